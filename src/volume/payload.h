/*
 * What a volume with content holds: files by path, made from ConfigMaps, Secrets and single values
 * (spec volumes.md §3.5 step 1, §3.6). Pure. Any thread. Inside the volume room only.
 */
#pragma once

#include "base/arena.h"

#include "core.pb-c.h"

#include <sys/types.h>

struct volume_file {
    const char *path;
    const uint8_t *bytes;
    size_t len;
    mode_t mode;
    bool has_owner; /* else it stays with the agent's user */
    uid_t owner;
};

/** Zeroed but for the arena at the start; grows in it. */
struct volume_payload {
    struct arena *arena;
    struct volume_file *files;
    size_t count, room;
};

/** Which keys of an object go where. */
struct payload_keys {
    Core__KeyToPath *const *items; /* borrowed */
    size_t item_count;             /* 0: every key is a file of its name */
    int32_t default_mode;
    bool optional; /* a missing key is passed over */
};

/** Adds @file, whose path and bytes are copied. */
void volume_payload_add(struct volume_payload *payload, const struct volume_file *file);
/** Adds the data and binaryData of @object (NULL: an empty one). NOT_FOUND `configmap references
 * non-existent config key: …`. */
MUST_CHECK struct error *volume_payload_add_config_map(struct volume_payload *payload,
                                                       const Core__ConfigMap *object,
                                                       const struct payload_keys *keys);
/** The same for a Secret: `references non-existent secret key: …`. */
MUST_CHECK struct error *volume_payload_add_secret(struct volume_payload *payload,
                                                   const Core__Secret *object,
                                                   const struct payload_keys *keys);
/**
 * Checks and cleans the paths, then sorts the files by them; of several with one path the one added
 * last stays. INVALID_ARGUMENT `invalid path: …`, upstream's texts.
 */
MUST_CHECK struct error *volume_payload_finish(struct volume_payload *payload);

enum payload_place {
    PAYLOAD_NONE, /* nothing lies there */
    PAYLOAD_FILE,
    PAYLOAD_PARENT /* files lie below it */
};
/** What @path is among the files of a finished payload. */
enum payload_place volume_payload_place(const struct volume_payload *payload, const char *path);
