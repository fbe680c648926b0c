/*
 * The files of pull records: what blocks. For pull_records.c only. On a worker.
 */
#pragma once

#include "image/pull_record.h"

#define PULL_PRUNE_MAX_FILES 8192      /* looked at in one pass */
#define PULL_LIST_MAX_BYTES (16 * MiB) /* and of their content */

/** One file as it was found, or is now. */
enum pull_file_state { PULL_FILE_ABSENT, PULL_FILE_READABLE, PULL_FILE_DAMAGED };
struct pull_file {
    char name[PULL_RECORD_NAME_SIZE];
    enum pull_file_state state;
    struct str text;     /* of a readable one */
    const char *problem; /* of a damaged one */
};

enum pull_folder { PULL_FOLDER_PULLING, PULL_FOLDER_PULLED };

struct pull_listing {
    const struct pull_file *files; /* at most as many as were asked for */
    size_t count;
    size_t n_on_disk;
};

/** Reads up to @max_files of a folder, whose old versions are written anew. What cannot be listed
 * is an error, and @ret what was found until then. Lives in @arena. */
MUST_CHECK struct error *pull_disk_list_blocking(const char *dir, enum pull_folder folder,
                                                 size_t max_files, struct arena *arena,
                                                 struct pull_listing *ret);
/** Reads one file; @ret->name is set. */
void pull_disk_read_blocking(const char *dir, enum pull_folder folder, struct arena *arena,
                             struct pull_file *ret);
/** Replaces one, without fsync, as a kubelet does. */
MUST_CHECK struct error *pull_disk_write_blocking(const char *dir, const char *name,
                                                  struct str text);
/** One that is not there is removed. */
MUST_CHECK struct error *pull_disk_remove_blocking(const char *dir, const char *name);

/** Merges @proof into the record, of which @ret is what is there afterwards. A damaged one is
 * replaced. On error @ret is what is there still. */
MUST_CHECK struct error *pull_disk_merge_blocking(const char *dir, const struct pull_proof *proof,
                                                  int64_t now_s, struct arena *arena,
                                                  struct pull_file *ret);
struct pull_prune {
    const char *const *ids; /* of the images there are, sorted */
    size_t n_ids;
    int64_t before_s;
    const char **names; /* set by it, even when it goes wrong: the files removed; in its arena */
    size_t n_names;
};
/** Removes the records of images that are not among the ids and that are older than before_s. */
MUST_CHECK struct error *pull_disk_prune_blocking(const char *dir, struct arena *arena,
                                                  struct pull_prune *prune);
