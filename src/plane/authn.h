/*
 * Who is asking: from a request's certificate or bearer token to a user, and from impersonation
 * headers to another one. What a user may do is authz's affair. Looks objects up through a vtable;
 * reads one file at start. Loop thread.
 */
#pragma once

#include "base/arena.h"
#include "plane/failure.h"
#include "plane/jwt.h"
#include "wire/http_server.h"

#define USER_ANONYMOUS "system:anonymous"
#define GROUP_AUTHENTICATED "system:authenticated"
#define GROUP_UNAUTHENTICATED "system:unauthenticated"
#define GROUP_MASTERS "system:masters"
#define GROUP_NODES "system:nodes"
#define GROUP_SERVICE_ACCOUNTS "system:serviceaccounts"

struct plane_extra {
    const char *key;
    struct text_list values;
};

/** A user as TokenReview and SubjectAccessReview know it. Lives in the arena it was made in. */
struct plane_user {
    const char *name;
    const char *uid; /* "" when there is none */
    struct text_list groups;
    const struct plane_extra *extra;
    size_t extra_count;
};

bool plane_user_has_group(const struct plane_user *user, const char *group);
/**
 * The node @user is: in system:nodes and called system:node:NAME. NULL for everybody else; "" when
 * the name is missing behind the prefix, which must be refused.
 */
const char *plane_user_node(const struct plane_user *user);

/* --- what a service-account token's objects are like now --- */

enum authn_object_kind { AUTHN_SERVICE_ACCOUNT, AUTHN_POD, AUTHN_SECRET, AUTHN_NODE };

struct authn_object {
    const char *uid; /* borrowed for the call */
    bool is_deleting;
    int64_t deletion_s; /* metadata.deletionTimestamp when is_deleting */
};

/** Supplied by the caller of authn_new(). */
struct authn_objects {
    /** False when there is no such object. @namespace_ NULL for a node. */
    bool (*find)(void *ctx, enum authn_object_kind kind, const char *namespace_, const char *name,
                 struct authn_object *ret);
};

/* --- authentication --- */

struct authn_options {
    const char *token_file;     /* kube-apiserver's --token-auth-file; NULL: none */
    const struct jwt_key *key;  /* of service-account tokens; NULL: none are accepted. Kept */
    const char *issuer;         /* of service-account tokens. Copied */
    struct text_list audiences; /* the API server's own; none: the issuer is the audience. Copied */
    const struct authn_objects *objects; /* kept; needed with @key */
    bool refuses_anonymous;
};

struct authn; /* opaque */

/**
 * Reads the token file: CSV rows `token,user,uid[,"group1,group2"]`; a token that comes twice is
 * the later row's, an empty one nobody's. INVALID_ARGUMENT `<file>:<line>: token file must have at
 * least 3 columns (token, user name, user uid), found 2` and for broken quotes; RESOURCE_EXHAUSTED
 * beyond AUTHN_FILE_MAX_BYTES. Of the tokens only digests are kept. The caller owns *ret.
 */
MUST_CHECK struct error *authn_new_blocking(const struct authn_options *options,
                                            struct authn **ret);
void authn_free(struct authn *authn); /* NULL is fine */
DEFINE_AUTO(authn, struct authn *, authn_free)
#define AUTHN_FILE_MAX_BYTES (1 * MiB)

/** Where and when a request is authenticated. @ctx is passed to the objects' find(). */
struct authn_context {
    void *objects_ctx;
    int64_t now_s; /* seconds since 1970 */
};

/**
 * The user of @request, in @arena: from the peer's certificate, else from `Authorization: Bearer`,
 * else anonymous. UNAUTHENTICATED when a token was shown and is not good, when the certificate of
 * an open connection has expired meanwhile and no good token is there, or when nothing was shown
 * and anonymous requests are refused: the answer is 401 whose message is "Unauthorized"; the
 * error's text is for the log. The groups hold system:authenticated unless the user is anonymous.
 */
MUST_CHECK struct error *authn_request(const struct authn *authn,
                                       const struct http_request *request,
                                       const struct authn_context *context, struct arena *arena,
                                       struct plane_user *ret);

/** What a token is asked to be good for (TokenReview). */
struct authn_token {
    struct str text;
    struct text_list audiences; /* none: the API server's own */
};

/**
 * The user of a token alone. *ret_audiences (may be NULL) are those asked for that the token is
 * for; a static token is for the API server's own. UNAUTHENTICATED as above.
 */
MUST_CHECK struct error *authn_review_token(const struct authn *authn,
                                            const struct authn_token *token,
                                            const struct authn_context *context,
                                            struct arena *arena, struct plane_user *ret,
                                            struct text_list *ret_audiences);

/* --- impersonation --- */

struct authz_attributes; /* plane/authz.h */

/** Asked once for each thing to be impersonated, as verb impersonate; NULL allows it. */
typedef Meta__Status *authn_authorize(void *ctx, const struct authz_attributes *attributes);

/**
 * Applies Impersonate-User, -Uid, -Group and -Extra-KEY of @request to @user: *ret is @user itself
 * when there are none, else the other user, whom @authorize let through. Groups follow upstream's
 * rules (those of a service account by its name; system:authenticated added). Failures:
 * @authorize's, and 400 when a header other than -User comes without that.
 */
MUST_CHECK Meta__Status *authn_impersonate(const struct http_request *request,
                                           const struct plane_user *user, struct arena *arena,
                                           authn_authorize *authorize, void *ctx,
                                           struct plane_user *ret);
