/*
 * What the files of server/guard.h share: users as they come from certificates and reviews, and the
 * two types of reviews. Pure, but for the verdict that a certificate keeps. Loop thread.
 */
#pragma once

#include "server/access.h"
#include "server/review.h"
#include "server/user.h"
#include "wire/tls_certificate.h"

#define USER_ANONYMOUS "system:anonymous"
#define GROUP_AUTHENTICATED "system:authenticated"
#define GROUP_UNAUTHENTICATED "system:unauthenticated"

/* --- guard_authn.c --- */

/** Whoever shows nothing. Static. */
extern const struct server_user guard_anonymous;

/** The user a verified certificate is about, in @arena; NULL when it names nobody. */
const struct server_user *guard_user_of_subject(const struct tls_subject *subject,
                                                struct arena *arena);

/** A TokenReview: yes with the user's UserInfo as text, or no. */
extern const struct review_type guard_token_review;
/** The question whether @token is somebody's, in @arena. */
const ProtobufCMessage *guard_token_question(const char *token, struct arena *arena);
/** The user of a yes, in @arena. */
MUST_CHECK struct error *guard_user_of_answer(const struct answer *answer, struct arena *arena,
                                              const struct server_user **ret);

/* --- guard_authz.c --- */

/** A SubjectAccessReview: yes or no, without text. */
extern const struct review_type guard_access_review;

/** One thing that somebody wants to do. */
struct guard_wish {
    const struct server_user *user;
    const char *verb, *subresource, *node_name;
};

/** A text that is different for different wishes. */
void guard_access_text(const struct guard_wish *wish, struct buf *out);
/** The question whether @wish is allowed, in @arena. */
const ProtobufCMessage *guard_access_question(const struct guard_wish *wish, struct arena *arena);
/** False for a wish so long that somebody may want to fill memory with the likes of it: @path is
 * that of the request. */
bool guard_access_is_kept(const struct guard_wish *wish, const char *path);
