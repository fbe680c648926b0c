/*
 * With which credentials an image may be pulled: docker configurations from pull secrets and from
 * the node, matched against the image's name (spec pods.md §6.4). Pure but for the one function
 * that says so. Any thread.
 */
#pragma once

#include "base/arena.h"

#include "core.pb-c.h"

#define CREDENTIALS_FILE_MAX_BYTES (1 * MiB)
#define CREDENTIALS_MAX_ENTRIES 4096

/** Whom a login was given to; pull records keep it (spec pods.md §6.6). */
enum credential_source_kind {
    CREDENTIAL_SOURCE_NONE, /* every pod of the node may use it: the node's own, a plugin's */
    CREDENTIAL_SOURCE_SECRET,
    CREDENTIAL_SOURCE_SERVICE_ACCOUNT, /* a plugin's, for a token of that account */
};
struct credential_source {
    enum credential_source_kind kind;
    const char *uid, *namespace_, *name; /* of the object; "" for CREDENTIAL_SOURCE_NONE */
};

/** One way to log in at a registry; texts are never NULL, and "" when absent. */
struct image_credential {
    const char *username, *password, *email;
    struct credential_source source;
};

/** Docker configurations that are searched together. Value struct, starts zeroed; lives in the
 * arena of the calls that fill it. */
struct keyring {
    struct keyring_entry *entries;
    size_t count, capacity;
};
struct keyring_entry {
    const char *key; /* host, port and path that an image must match: may hold `*`, `?`, `[]` */
    struct image_credential credential;
};

/** Adds `{"auths": {…}}` (@is_legacy: the map itself, as .dockercfg has it). INVALID_ARGUMENT:
 * malformed, nothing was added. */
MUST_CHECK struct error *keyring_add_config(struct keyring *keyring, struct str text,
                                            bool is_legacy, struct arena *arena);
/** Adds a pull secret of type kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg, and its
 * logins have it for a source; a secret of another type, or without the key, adds nothing. */
MUST_CHECK struct error *keyring_add_secret(struct keyring *keyring, const Core__Secret *secret,
                                            struct arena *arena);
/** A login with the name of its registry, as a plugin gives it. */
struct registry_login {
    const char *location, *username, *password;
};
/** Adds @logins (copied), all from @source; those whose location is no URL count for nothing.
 * RESOURCE_EXHAUSTED: they are too many, nothing was added. */
MUST_CHECK struct error *keyring_add_logins(struct keyring *keyring,
                                            const struct registry_login *logins, size_t count,
                                            const struct credential_source *source,
                                            struct arena *arena);
/** Adds the node's own: the first config.json, else .dockercfg, that can be read in the folders
 * upstream looks in, @root_dir first. Why one could not be is *ret_warning (in the arena, without
 * anything secret); NULL: none was met. */
void keyring_add_node_blocking(struct keyring *keyring, const char *root_dir, struct arena *arena,
                               const char **ret_warning);

/** A copy that lives in @arena. */
struct image_credential image_credential_dup(const struct image_credential *credential,
                                             struct arena *arena);

/** The credentials for @image (with or without tag and digest) in the order they are to be tried;
 * none: pull without. The array lives in @arena. */
void keyring_find(const struct keyring *keyring, const char *image, struct arena *arena,
                  const struct image_credential **ret, size_t *ret_count);
