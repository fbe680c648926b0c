/*
 * The pull records of the node (pull_record.h says what they are), in the kubelet's layout below
 * its root directory, so that either can go on from the other (spec runtime.md §9.5):
 *
 *   <root>/image_manager/pulling/sha256-…   intents: of the image as the pod writes it
 *   <root>/image_manager/pulled/sha256-…    records: of the runtime's image ref
 *
 * What is asked for often is in memory, bounded; what is not is read from disk. Writes happen on
 * workers, one at a time in the order they were asked for, so what was asked for later sees them.
 * A file that cannot be read stays where it is until a pull replaces it: without it the image would
 * pass for one that was on the node already, and be anybody's. Loop thread.
 */
#pragma once

#include "image/pull_record.h"
#include "loop/work.h"

struct pull_records; /* opaque: one per node */
struct pull_request; /* opaque: something asked for that is under way */
struct metrics;      /* base/metrics.h */

struct pull_records_options {
    struct work_pool *pool;    /* borrowed, like the following */
    const char *root_dir;      /* its two folders are there */
    struct pull_policy policy; /* the list is borrowed */
    size_t max_intents;        /* in memory, at least 1 */
    size_t max_records;
    struct metrics *metrics; /* NULL: nothing is counted */
};

/** Begins to read what is there; whatever is asked for waits for that. */
struct pull_records *pull_records_new(const struct pull_records_options *options);
/** No callback runs any more. Must end before its pool. NULL is fine. */
void pull_records_free(struct pull_records *records);
/** The agent ends: a pull that is broken off now may still happen, so its intent stays. */
void pull_records_close(struct pull_records *records);

/** An answer to whatever is under way will not come; what was asked for happens anyway. NULL is
 * fine. */
void pull_request_cancel(struct pull_request *request);

/* --- looking --- */

/** What there is about an image; borrowed until the next turn of the loop. */
struct pull_known {
    bool is_unreadable;
    bool is_known;
    struct str record; /* the file's content; no ptr: there is none */
};

/** False: it has to be read first, with pull_records_ask(). */
bool pull_records_look(struct pull_records *records, const char *image, const char *image_ref,
                       struct pull_known *ret);
/** @on_known runs once, later. The result is valid until then. */
struct pull_request *pull_records_ask(struct pull_records *records, const char *image,
                                      const char *image_ref,
                                      void (*on_known)(void *ctx, const struct pull_known *known),
                                      void *ctx);

/**
 * Whether the pod may use the image (pull_check()); counted, unless it needs to know more.
 * @repository as in struct pull_check_input; @pod NULL: not looked up yet. *ret_note lives as long
 * as @pod.
 */
enum pull_check pull_records_check(struct pull_records *records, const struct pull_known *known,
                                   const char *repository, const struct pull_access *pod,
                                   const struct pull_secret **ret_note);

/* --- pulling --- */

/** A pull of @image is meant: from now on it is known. To be ended with one of the two below. */
void pull_records_enter(struct pull_records *records, const char *image);
/** Puts the intent of a pull that was entered on disk. NULL: it is there already. Otherwise
 * @on_written runs once, later, and owns its error. */
struct pull_request *pull_records_write_intent(struct pull_records *records, const char *image,
                                               void (*on_written)(void *ctx,
                                                                  struct error *err_owned),
                                               void *ctx);
/** The pull did not happen; the last one of @image takes the intent away. */
void pull_records_leave(struct pull_records *records, const char *image);
/** It has: @proof (copied) goes into the record, then the intent goes as above, or stays when the
 * record could not be written, which is logged. @on_done runs once, later. */
struct pull_request *pull_records_leave_pulled(struct pull_records *records, const char *image,
                                               const struct pull_proof *proof,
                                               void (*on_done)(void *ctx), void *ctx);
/** @proof (copied) goes into the record, without a pull; nobody waits for it. */
void pull_records_note(struct pull_records *records, const struct pull_proof *proof);

/* --- what the runtime has --- */

/** @on_read runs once, later: what was on disk at the start is known, and whether it is anything at
 * all. */
struct pull_request *pull_records_when_read(struct pull_records *records,
                                            void (*on_read)(void *ctx, bool has_any), void *ctx);
/** An image of the runtime; borrowed for the call. */
struct pull_image {
    const char *id;
    const char *const *names; /* tags and digests */
    size_t n_names;
};
/**
 * Compares with all images the runtime had at @asked_s (wall clock): intents left by an agent that
 * ended while it pulled become records nobody is named in, if their image is there; records of
 * images that are not, and that are older, go.
 */
void pull_records_reconcile(struct pull_records *records, const struct pull_image *images,
                            size_t count, int64_t asked_s);
