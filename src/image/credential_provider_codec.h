/*
 * What a credential provider plugin is asked and what it answers
 * (credentialprovider.kubelet.k8s.io, spec pods.md §6.5). Pure. Any thread. No error here holds
 * anything of what a plugin has answered but its version and its cacheKeyType.
 */
#pragma once

#include "base/buf.h"
#include "image/credentials.h"

#define CREDENTIAL_RESPONSE_MAX_BYTES (1 * MiB)
#define CREDENTIAL_REQUEST_MAX_BYTES (2 * MiB) /* an object's annotations and a token, escaped */

struct credential_annotation {
    const char *key, *value;
};

struct credential_request {
    const char *api_version;
    const char *image;
    const char *token; /* NULL: none */
    const struct credential_annotation *annotations;
    size_t annotation_count;
};

/** Appends the CredentialProviderRequest as JSON. */
void credential_request_encode(const struct credential_request *request, struct buf *out);

/** Which further images an answer is good for. */
enum credential_cache_key {
    CREDENTIAL_CACHE_IMAGE,
    CREDENTIAL_CACHE_REGISTRY, /* all of the image's host */
    CREDENTIAL_CACHE_GLOBAL,
};

/** Logins that a plugin gave. Immutable; wiped when they are released. */
struct credential_set {
    struct registry_login *logins;
    size_t count;
};
void credential_set_done(struct credential_set *set); /* a zeroed struct is fine */

struct credential_response {
    enum credential_cache_key cache_key;
    bool has_cache_duration;
    int64_t cache_duration_ns;
    struct credential_set set; /* owned */
};

/**
 * Reads a CredentialProviderResponse of @api_version. Absent, null and empty `auth` are no logins.
 * INVALID_ARGUMENT: no JSON, another version or kind, an unknown field, no valid cacheKeyType.
 */
MUST_CHECK struct error *credential_response_decode(struct str text, const char *api_version,
                                                    struct credential_response *ret);
