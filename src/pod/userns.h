/*
 * Which of the host's user and group ids stand for those of a pod with a user namespace of its own
 * (`hostUsers: false`; spec resources.md §10). Every such pod has one range of `idsPerPod` ids, its
 * 0 first, the same for users and groups, and no two pods share an id. A pod keeps its range as
 * long as anything is left of it, also over a restart: it stands in `<root>/pods/<uid>/userns` as
 * a kubelet writes it.
 *
 * Loop thread; what ends in _blocking on a worker, or at start-up.
 */
#pragma once

#include "base/buf.h"

/** The host's ids from @host_id on; @length 0: none. */
struct userns_range {
    uint32_t host_id, length;
};

struct userns; /* opaque: one per node */

struct userns_options {
    uint32_t ids_per_pod;
    uint32_t first, length; /* what may be handed out */
    size_t max_pods;
};

/**
 * Makes an allocator in which nothing is taken. INVALID_ARGUMENT when the ids are not whole ranges,
 * begin below the first one (which is the host's own), or are fewer than max_pods ranges.
 */
MUST_CHECK struct error *userns_new(const struct userns_options *options, struct userns **ret);
void userns_free(struct userns *userns);
DEFINE_AUTO(userns, struct userns *, userns_free)

/**
 * The range of pod @uid, which gets one when it has none: the first free one from where @random
 * points. RESOURCE_EXHAUSTED when all are taken.
 */
MUST_CHECK struct error *userns_claim(struct userns *userns, const char *uid, uint64_t random,
                                      struct userns_range *ret);
/** Takes @range, which pod @uid was given earlier. INVALID_ARGUMENT when it is no range of this
 * node, when it is another pod's, or when @uid has another one. */
MUST_CHECK struct error *userns_record(struct userns *userns, const char *uid,
                                       struct userns_range range);
/** The range of pod @uid; length 0 when it has none. NULL is fine. */
struct userns_range userns_find(const struct userns *userns, const char *uid);
/** Gives the range of pod @uid back, if it has one. NULL is fine. */
void userns_release(struct userns *userns, const char *uid);

/* --- the file --- */

#define USERNS_FILE_MAX_BYTES (4 * KiB) /* a kubelet's has 150 */

/** Appends the file's text. */
void userns_file_add(struct buf *out, struct userns_range range);
/** Reads it. INVALID_ARGUMENT unless it is JSON with exactly one mapping for users, the same for
 * groups, and container id 0. */
MUST_CHECK struct error *userns_file_parse(struct str text, struct userns_range *ret);

/** "<root>/pods/<uid>/userns". Owned. */
char *userns_file_path(const char *root_dir, const char *uid);
/** Makes the file at @path hold @range; writes only when it does not yet. Mode 0600, synced. */
MUST_CHECK struct error *userns_file_store_blocking(const char *path, struct userns_range range);
/** Removes it; a missing one is fine. */
MUST_CHECK struct error *userns_file_remove_blocking(const char *path);

/* --- start-up --- */

/**
 * Reads what `getsubids` printed for users and for groups: one line `<n>: <user> <first> <length>`,
 * the same for both. INVALID_ARGUMENT otherwise.
 */
MUST_CHECK struct error *userns_parse_subids(struct str users, struct str groups,
                                             struct userns_range *ret);

struct userns_start {
    const char *root_dir;
    uint32_t ids_per_pod;
    size_t max_pods;
    const char *passwd;    /* "/etc/passwd" */
    const char *getsubids; /* the program, looked for in PATH unless it holds a slash */
};
/**
 * Makes the node's allocator: the ids that belong to user `kubelet` where there is such a user and
 * the program, else all but the host's first @ids_per_pod; then records what pods have by their
 * files. Any failure is one to end the agent with: two pods must not get to share ids.
 */
MUST_CHECK struct error *userns_start_blocking(const struct userns_start *start,
                                               struct userns **ret);
