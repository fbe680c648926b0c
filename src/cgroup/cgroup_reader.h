/*
 * Reads the figures of cgroups, one after the other, for one pass over the node. Made on the worker
 * that uses it, from a layout that was copied out of the tree; holds a descriptor per hierarchy and
 * one buffer. A cgroup may vanish at any moment: what is read of one that did is not told.
 */
#pragma once

#include "cgroup/cgroup.h"
#include "cgroup/cgroup_fs.h"
#include "cgroup/cgroup_parse.h"

/** Where the hierarchies are: what a worker may know of the tree. Texts live in an arena. */
struct cgroup_layout {
    enum cgroup_version version;
    const char *mounts[CGROUP_CONTROLLER_COUNT]; /* v1; NULL: not mounted */
    const char *mount_root;                      /* v2 */
};
void cgroup_layout_copy(const struct cgroup_tree *tree, struct arena *arena,
                        struct cgroup_layout *ret);

struct cgroup_reader; /* opaque; one thread at a time */

/** @layout and @proc_root ("/proc") are borrowed for the reader's life. UNAVAILABLE: the hierarchy
 * that every cgroup is in cannot be opened. */
MUST_CHECK struct error *cgroup_reader_new_blocking(const struct cgroup_layout *layout,
                                                    const char *proc_root,
                                                    struct cgroup_reader **ret);
void cgroup_reader_free(struct cgroup_reader *reader); /* NULL is fine */
DEFINE_AUTO(cgroup_reader, struct cgroup_reader *, cgroup_reader_free)

/** The kernel measures pressure. */
bool cgroup_reader_has_pressure(const struct cgroup_reader *reader);
/** /proc/meminfo at the time the reader was made. */
const struct cgroup_meminfo *cgroup_reader_meminfo(const struct cgroup_reader *reader);

enum cgroup_wants {
    CGROUP_WANT_OPEN_FILES = 1, /* descriptors, sockets and limit: walks /proc/<pid>/fd */
    CGROUP_WANT_CREATED = 2,    /* created_ns: costs two calls per hierarchy */
};

/** One cgroup; @path as "/kubepods/burstable". */
struct cgroup_read {
    const char *path;
    unsigned wants; /* enum cgroup_wants */
    /* What was read of it last; NULL: nothing. What cannot have changed since is taken from there:
     * when it was made, and, as long as nobody in it has used the CPU, who is in it, what they have
     * open and what they have counted. io_devices are not looked at. */
    const struct cgroup_figures *before;
};
/**
 * Fills @ret; what it refers to lives in @arena. The root is told with the machine's memory and
 * swap as its limits. False, and @ret undefined: the cgroup is not there, or no longer.
 */
bool cgroup_reader_read_blocking(struct cgroup_reader *reader, const struct cgroup_read *read,
                                 struct arena *arena, struct cgroup_figures *ret);

/** Whether @pid is in cgroup @path now; what lies below it does not count. */
bool cgroup_reader_has_process_blocking(struct cgroup_reader *reader, const char *path,
                                        int64_t pid);
/** Names of the cgroups right below @path, in @arena; none when it is gone. At most @max. */
size_t cgroup_reader_children_blocking(struct cgroup_reader *reader, const char *path, size_t max,
                                       struct arena *arena, const char ***ret);
/** /proc/<@pid>/<@name>, borrowed until the next call; false: it cannot be read. */
bool cgroup_reader_process_file_blocking(struct cgroup_reader *reader, int64_t pid,
                                         const char *name, struct str *ret);
