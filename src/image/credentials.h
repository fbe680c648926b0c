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

/** One way to log in at a registry; texts are "" when absent. */
struct image_credential {
    const char *username, *password;
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
/** Adds a pull secret of type kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg; a secret
 * of another type, or without the key, adds nothing. */
MUST_CHECK struct error *keyring_add_secret(struct keyring *keyring, const Core__Secret *secret,
                                            struct arena *arena);
/** Adds the node's own: the first config.json, else .dockercfg, that can be read in the folders
 * upstream looks in, @root_dir first. Why one could not be is *ret_warning (in the arena, without
 * anything secret); NULL: none was met. */
void keyring_add_node_blocking(struct keyring *keyring, const char *root_dir, struct arena *arena,
                               const char **ret_warning);

/** The credentials for @image (with or without tag and digest) in the order they are to be tried;
 * none: pull without. The array lives in @arena. */
void keyring_find(const struct keyring *keyring, const char *image, struct arena *arena,
                  const struct image_credential **ret, size_t *ret_count);
