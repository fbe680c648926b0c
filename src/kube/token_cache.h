/*
 * Service account tokens from the TokenRequest API, kept until it is time for new ones. Loop
 * thread.
 *
 * The rules are those of the kubelet's token manager.
 */
#pragma once

#include "kube/api_client.h"

struct token_cache; /* opaque */
struct token_get;   /* opaque: a get under way */

/** What a token is for. */
struct token_request {
    const char *namespace_;
    const char *service_account;
    const char *const *audiences;
    size_t audience_count; /* 0: the server's own */
    bool has_expiration;
    int64_t expiration_seconds;
    /* The object the token is bound to; pod_uid NULL: to none. */
    const char *pod_name;
    const char *pod_uid;
    const char *request_uid; /* metadata.uid of the request; NULL: none */
};

struct token {
    const char *text;
    int64_t expires_ns; /* wall */
};

/** Borrows @client for its life; NULL: standalone, and every get fails with "cannot use
 * TokenManager when kubelet is in standalone mode". */
struct token_cache *token_cache_new(struct loop *loop, struct api_client *client);
/** Cancels gets under way. NULL is fine. */
void token_cache_free(struct token_cache *cache);
DEFINE_AUTO(token_cache, struct token_cache *, token_cache_free)

/**
 * How a get ends: @token (borrowed) or an error.
 *
 *     failed to fetch token: …
 *     token "sa"/"ns"/… expired and refresh failed: …
 */
typedef void token_on_got(void *ctx, const struct token *token, struct error *err_owned);

/** Gets a token: a cached one, or a new one when there is none or it is time (@request is copied).
 * Equal requests share one call. @on_got runs once, not before this returns, unless cancelled. */
struct token_get *token_cache_get(struct token_cache *cache, const struct token_request *request,
                                  token_on_got *on_got, void *ctx);
void token_get_cancel(struct token_get *get); /* silence; NULL is fine */

/** Forgets the tokens bound to a pod that is gone. */
void token_cache_forget_pod(struct token_cache *cache, const char *pod_uid);
size_t token_cache_count(const struct token_cache *cache);

/** A cached token's times, for the pure rule below. */
struct token_times {
    int64_t expires_ns; /* wall */
    bool has_lifetime;  /* the server has said expirationSeconds */
    int64_t lifetime_s;
};
/** True when it is time for a new one at @now_ns (wall): 24 hours after it was issued, or when a
 * fifth of its life is left, less up to 9 whole seconds drawn from @random; when it has expired,
 * whatever is known of its life. */
bool token_needs_refresh(const struct token_times *times, int64_t now_ns, uint64_t random);
