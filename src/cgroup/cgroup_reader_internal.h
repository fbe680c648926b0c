/*
 * Shared by the files that read a cgroup's figures: the reader and the control files of the cgroup
 * under way.
 *
 *   cgroup_reader.c     the pass: hierarchies, directories, one cgroup after the other
 *   cgroup_reader_v1.c, cgroup_reader_v2.c  which file holds what
 *   cgroup_processes.c  who is in it and what they have open
 */
#pragma once

#include "base/fd.h"
#include "cgroup/cgroup_reader.h"

/* More is never needed of a control file but cgroup.procs, which is read in pieces. */
#define READER_TEXT_MAX_BYTES (64 * KiB)

/* Processes of one cgroup that are looked at one by one: a pod must not be able to keep a worker
 * busy for ever. They are all counted. */
#define READER_MAX_PROCESSES 4096

struct cgroup_reader {
    const struct cgroup_layout *layout;
    int proc;                             /* descriptor of /proc */
    int mounts[CGROUP_CONTROLLER_COUNT];  /* -1: not mounted, or the same as an earlier one's */
    size_t same[CGROUP_CONTROLLER_COUNT]; /* the slot whose mount serves the controller */
    int dirs[CGROUP_CONTROLLER_COUNT];    /* of the cgroup under way */
    const char *below;                    /* its path without the leading slash; "." for the root */
    bool is_root;
    bool has_pressure;
    const struct cgroup_figures *before; /* of the cgroup under way, itself; NULL: nothing */
    bool is_asleep;                      /* nobody in it has run since then */
    struct cgroup_meminfo meminfo;
    int64_t boot_ns;
    char *text; /* READER_TEXT_MAX_BYTES */
    size_t len;
    int64_t *pids; /* READER_MAX_PROCESSES */
};

/** Reads until the end or until @size is full; -1 with errno set on failure. */
ssize_t reader_read_all(int fd, char *bytes, size_t size);
/** What was read last. */
struct str reader_text(const struct cgroup_reader *reader);

/** The directory of the cgroup under way in @controller's hierarchy; -1: it has none there. */
int reader_dir(const struct cgroup_reader *reader, enum cgroup_controller controller);
/** The hierarchy that every cgroup is in, and whose directory says whether it exists. */
enum cgroup_controller reader_main_controller(const struct cgroup_reader *reader);
/** A control file of the cgroup under way. */
bool reader_read_control(struct cgroup_reader *reader, enum cgroup_controller controller,
                         const char *name);
bool reader_read_number(struct cgroup_reader *reader, enum cgroup_controller controller,
                        const char *name, uint64_t *ret);

/** A control file that holds a number, and the uint64_t at @offset of the struct that it fills. */
struct reader_number {
    const char *file;
    size_t offset;
};
/** Fills what can be read; a negative number counts as "max". */
void reader_read_numbers(struct cgroup_reader *reader, enum cgroup_controller controller,
                         const struct reader_number *numbers, size_t count, void *ret);
uint64_t reader_sat_mul(uint64_t number, uint64_t by);

/** The CPU total of @ret has been read: notes whether anybody has run. The kernel counts a run at
 * the latest when it ends, so what a process has done since is missed until then, not for good. */
void reader_note_cpu(struct cgroup_reader *reader, const struct cgroup_figures *ret);
/** The memory in use is @usage_bytes: nobody has run, and the kernel has taken nothing back. */
bool reader_is_memory_known(const struct cgroup_reader *reader, uint64_t usage_bytes);

void reader_fill_v1(struct cgroup_reader *reader, struct arena *arena, struct cgroup_figures *ret);
void reader_fill_v2(struct cgroup_reader *reader, struct arena *arena, struct cgroup_figures *ret);

/* --- cgroup_processes.c --- */

/** The processes of the cgroup under way: how many, and up to @max of their ids in reader->pids.
 * False: the cgroup has gone. */
bool reader_read_processes(struct cgroup_reader *reader, size_t max, size_t *ret_kept,
                           uint64_t *ret_total);
/** Processes, tasks and where @wants_files what they have open. False: the cgroup has gone. */
bool reader_fill_processes(struct cgroup_reader *reader, bool wants_files,
                           struct cgroup_figures *ret);
