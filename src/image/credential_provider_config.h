/*
 * CredentialProviderConfig (kubelet.config.k8s.io v1, v1beta1, v1alpha1): which plugins give
 * credentials for which images (spec config.md §6.1). Decoding and checking are pure; one function
 * reads files. Any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/str.h"

#include "credentialprovider.pb-c.h"

#define CREDENTIAL_PROVIDER_V1 "credentialprovider.kubelet.k8s.io/v1"
#define CREDENTIAL_PROVIDER_FILE_MAX_BYTES (1 * MiB)
#define CREDENTIAL_PROVIDER_MAX_FILES 256 /* of a directory */

/** Values of tokenAttributes.cacheType. */
#define CREDENTIAL_CACHE_ACCOUNT "ServiceAccount"
#define CREDENTIAL_CACHE_TOKEN "Token"

#define CREDENTIAL_PROVIDER_HASH_SIZE 72 /* "sha256:", 64 digits, NUL */

struct credential_provider_config {
    Credentialprovider__CredentialProviderConfig *message; /* of all files together */
    char hash[CREDENTIAL_PROVIDER_HASH_SIZE];              /* of all files, for the metric */
};

/**
 * Decodes the text of one file strictly. INVALID_ARGUMENT: malformed, an unknown or duplicate
 * field, another kind or version; names @path, the line where it is known, and the field. *ret
 * lives in @arena.
 */
MUST_CHECK struct error *credential_provider_config_decode(
    struct str text, const char *path, struct arena *arena,
    Credentialprovider__CredentialProviderConfig **ret);

/** Checks what was decoded. @has_tokens: the gate KubeletServiceAccountTokenForCredentialProviders.
 * INVALID_ARGUMENT with every fault, in upstream's words. */
MUST_CHECK struct error *credential_provider_config_check(
    const Credentialprovider__CredentialProviderConfig *config, bool has_tokens);

/**
 * Reads @path: a file, or a directory whose *.json, *.yaml and *.yml files are read in lexical
 * order and joined; checks it, and that every plugin is an executable of @bin_dir. Errors name the
 * file, and the field or the program. *ret lives in @arena.
 */
MUST_CHECK struct error *credential_provider_config_load_blocking(
    const char *path, const char *bin_dir, bool has_tokens, struct arena *arena,
    struct credential_provider_config *ret);
