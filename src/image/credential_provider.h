/*
 * Credential provider plugins: programs on the node that are asked for the logins of an image
 * before it is pulled (spec pods.md §6.5). What they answer is remembered as long as they say. A
 * plugin that wants to know for whom it is asked gets a token of the pod's service account.
 *
 * What goes wrong gives no logins and is logged, never with anything secret. Loop thread.
 */
#pragma once

#include "image/credential_provider_config.h"
#include "image/credential_provider_exec.h"
#include "image/credentials.h"
#include "kube/token_cache.h"

struct metrics;              /* base/metrics.h */
struct credential_providers; /* opaque: all plugins of a node */
struct credential_lookup;    /* opaque: one image that they are asked for */

struct credential_providers_options {
    struct loop *loop;
    struct work_pool *pool;
    const struct credential_provider_config *config; /* borrowed, outlives the plugins */
    const char *bin_dir;                             /* copied */
    struct api_client *client;  /* NULL: standalone, and whoever needs a token is not asked */
    struct token_cache *tokens; /* the same; both outlive the plugins */
    struct metrics *metrics;    /* NULL: not counted */
    int64_t timeout_ns;         /* of a run; CREDENTIAL_EXEC_TIMEOUT_NS but in tests */
};

struct credential_providers *credential_providers_new(
    const struct credential_providers_options *options);
/** No lookup may be left. NULL is fine. */
void credential_providers_free(struct credential_providers *providers);
DEFINE_AUTO(credential_providers, struct credential_providers *, credential_providers_free)

/** Who wants to pull. */
struct credential_pod {
    const char *namespace_, *name, *uid;
    const char *service_account; /* NULL or "": none */
};

/** Over: the logins of all plugins for the image, in the order they are to be tried; borrowed for
 * the call. The lookup is gone when this returns. */
typedef void credential_on_found(void *ctx, const struct image_credential *found, size_t count);

/**
 * Asks the plugins that are for @image (with or without tag and digest) one after the other;
 * identical questions that are asked at the same time share one run. @pod is copied. @on_found runs
 * exactly once, never from inside this call, not after credential_lookup_cancel(). NULL: no plugin
 * is for this image, nothing has begun.
 */
struct credential_lookup *credential_lookup_start(struct credential_providers *providers,
                                                  const char *image,
                                                  const struct credential_pod *pod,
                                                  credential_on_found *on_found, void *ctx);
/** Silence; a run that nobody waits for any more is ended. NULL is fine. */
void credential_lookup_cancel(struct credential_lookup *lookup);
