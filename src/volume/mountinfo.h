/*
 * The kernel's mount table, /proc/<pid>/mountinfo, parsed strictly. A container with the right to
 * mount chooses part of its text (sources, paths), so nothing in it is trusted. Parsing is pure;
 * any thread.
 */
#pragma once

#include "base/arena.h"

/** One mount. Texts are decoded (\040 and friends) and live in the arena given to the parser. */
struct mountinfo_entry {
    int64_t id;
    int64_t parent_id;
    int64_t major;
    int64_t minor;
    const char *root;        /* what of the file system is mounted; "net:[…]" on nsfs */
    const char *mount_point; /* absolute; without the "//deleted" of a removed one */
    const char *options;     /* of this mount */
    bool shared;             /* has the optional field shared:N */
    const char *fs_type;
    const char *source;        /* may be empty */
    const char *super_options; /* of the file system */
};

struct mountinfo_table {
    size_t count;
    struct mountinfo_entry *entries; /* in the kernel's order: a later one covers an earlier one */
};

/** Parses one @line without its newline. INVALID_ARGUMENT says what is wrong with it. */
MUST_CHECK struct error *mountinfo_parse_line(struct str line, struct arena *arena,
                                              struct mountinfo_entry *ret);
/** Parses a whole table. INVALID_ARGUMENT names the line; nothing is skipped silently. */
MUST_CHECK struct error *mountinfo_parse(struct str text, struct arena *arena,
                                         struct mountinfo_table *ret);
/**
 * Reads this process's table. Before Linux 5.8 a table that changes while it is read may lack
 * entries, so there it is read until two reads agree. Any thread; takes milliseconds on a crowded
 * node.
 */
MUST_CHECK struct error *mountinfo_read_blocking(struct arena *arena, struct mountinfo_table *ret);

/** The top-most mount at exactly @path (clean, absolute), or NULL. */
const struct mountinfo_entry *mountinfo_find(const struct mountinfo_table *table, const char *path);
/** The mount that @path (clean, absolute, without symlinks) lies on, or NULL. */
const struct mountinfo_entry *mountinfo_find_containing(const struct mountinfo_table *table,
                                                        const char *path);
/** The last mount at @path or below it, or NULL: unmounting these one after the other empties it.
 */
const struct mountinfo_entry *mountinfo_find_below(const struct mountinfo_table *table,
                                                   const char *path);
/** Value of @name in a comma list such as "rw,size=8192k": borrowed; false when it is not there. */
bool mountinfo_option(const char *options, const char *name, struct str *ret_value);
