/*
 * One pass reads some files of some hundred cgroups, so what counts is the number of system calls:
 * a directory is opened once a cgroup and hierarchy and its files relative to it; no path is walked
 * twice, a control file is one record, which the kernel gives whole, so that nobody asks whether
 * more follows; no stream or error object is made for a file that may well be missing; and what
 * only those who run can change is not read again while nobody has run.
 */
#include "cgroup/cgroup_reader.h"

#include "base/time.h"
#include "cgroup/cgroup_internal.h"
#include "cgroup/cgroup_reader_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define NS_PER_MINUTE (60 * NS_PER_SEC)

/* --- files --- */

ssize_t reader_read_all(int fd, char *bytes, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t got = read(fd, bytes + len, size - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        len += (size_t)got;
    }
    return (ssize_t)len;
}

static ssize_t read_once(int fd, char *bytes, size_t size)
{
    ssize_t got;
    do {
        got = read(fd, bytes, size);
    } while (got < 0 && errno == EINTR);
    return got;
}

/* Reads file @name of @dir into the buffer. A text that does not fit ends with its last whole line.
 * False: there is no such file, or it cannot be read. */
static bool read_text(struct cgroup_reader *reader, int dir, const char *name,
                      ssize_t (*read_bytes)(int fd, char *bytes, size_t size))
{
    reader->len = 0;
    AUTO(fd) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    ssize_t got = read_bytes(fd, reader->text, READER_TEXT_MAX_BYTES);
    if (got < 0)
        return false;
    size_t len = (size_t)got;
    if (len == READER_TEXT_MAX_BYTES) {
        while (len > 0 && reader->text[len - 1] != '\n')
            len--;
    }
    reader->len = len;
    return true;
}

static bool read_proc(struct cgroup_reader *reader, const char *path)
{
    return reader->proc >= 0 && read_text(reader, reader->proc, path, reader_read_all);
}

struct str reader_text(const struct cgroup_reader *reader)
{
    return (struct str){.ptr = reader->text, .len = reader->len};
}

int reader_dir(const struct cgroup_reader *reader, enum cgroup_controller controller)
{
    return reader->dirs[reader->same[controller]];
}

bool reader_read_control(struct cgroup_reader *reader, enum cgroup_controller controller,
                         const char *name)
{
    int dir = reader_dir(reader, controller);
    return dir >= 0 && read_text(reader, dir, name, read_once);
}

bool reader_read_number(struct cgroup_reader *reader, enum cgroup_controller controller,
                        const char *name, uint64_t *ret)
{
    return reader_read_control(reader, controller, name) &&
           cgroup_parse_number(reader_text(reader), ret);
}

void reader_read_numbers(struct cgroup_reader *reader, enum cgroup_controller controller,
                         const struct reader_number *numbers, size_t count, void *ret)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t number;
        if (reader_read_control(reader, controller, numbers[i].file) &&
            cgroup_parse_limit(reader_text(reader), &number))
            memcpy((char *)ret + numbers[i].offset, &number, sizeof(number));
    }
}

uint64_t reader_sat_mul(uint64_t number, uint64_t by)
{
    uint64_t product;
    return __builtin_mul_overflow(number, by, &product) ? UINT64_MAX : product;
}

/* --- the reader --- */

void cgroup_layout_copy(const struct cgroup_tree *tree, struct arena *arena,
                        struct cgroup_layout *ret)
{
    *ret = (struct cgroup_layout){.version = tree->facts.version,
                                  .mount_root = arena_strdup(arena, tree->mount_root)};
    for (size_t i = 0; i < CGROUP_CONTROLLER_COUNT; i++)
        ret->mounts[i] = arena_strdup(arena, tree->facts.mounts[i]);
    /* The unified hierarchy has every controller on v2. */
    if (ret->version == CGROUP_V2)
        ret->mounts[CGROUP_UNIFIED] = ret->mount_root;
}

enum cgroup_controller reader_main_controller(const struct cgroup_reader *reader)
{
    return reader->layout->version == CGROUP_V2 ? CGROUP_UNIFIED : CGROUP_CPU;
}

static void open_mounts(struct cgroup_reader *reader)
{
    const char *const *mounts = reader->layout->mounts;
    for (size_t i = 0; i < CGROUP_CONTROLLER_COUNT; i++) {
        reader->same[i] = i;
        for (size_t j = 0; mounts[i] && j < i && reader->same[i] == i; j++) {
            if (text_eq(mounts[i], mounts[j]))
                reader->same[i] = j;
        }
        if (mounts[i] && reader->same[i] == i)
            reader->mounts[i] = open(mounts[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
}

struct error *cgroup_reader_new_blocking(const struct cgroup_layout *layout, const char *proc_root,
                                         struct cgroup_reader **ret)
{
    AUTO(cgroup_reader) struct cgroup_reader *reader = xcalloc(1, sizeof(*reader));
    reader->layout = layout;
    reader->text = xcalloc(1, READER_TEXT_MAX_BYTES);
    reader->pids = xcalloc(READER_MAX_PROCESSES, sizeof(*reader->pids));
    reader->proc = open(proc_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < CGROUP_CONTROLLER_COUNT; i++)
        reader->mounts[i] = reader->dirs[i] = -1;
    open_mounts(reader);
    enum cgroup_controller main = reader_main_controller(reader);
    if (reader->mounts[reader->same[main]] < 0)
        return error_new(ERROR_UNAVAILABLE, "the cgroup hierarchy %s cannot be opened",
                         layout->mounts[main] ? layout->mounts[main] : "of controller cpu");
    /* v1 has the files too where a cgroup2 mount lies beside it, but no pod's processes in there.
     */
    if (layout->version == CGROUP_V2)
        reader->has_pressure =
            faccessat(reader->mounts[reader->same[main]], "cpu.pressure", F_OK, 0) == 0;
    if (read_proc(reader, "meminfo"))
        cgroup_parse_meminfo(reader_text(reader), &reader->meminfo);
    reader->boot_ns = sat_sub_i64(time_wall_ns(), time_mono_ns()) / NS_PER_MINUTE * NS_PER_MINUTE;
    *ret = TAKE(reader);
    return NULL;
}

static void close_dirs(struct cgroup_reader *reader)
{
    for (size_t i = 0; i < CGROUP_CONTROLLER_COUNT; i++)
        fd_close(&reader->dirs[i]);
}

void cgroup_reader_free(struct cgroup_reader *reader)
{
    if (!reader)
        return;
    close_dirs(reader);
    for (size_t i = 0; i < CGROUP_CONTROLLER_COUNT; i++)
        fd_close(&reader->mounts[i]);
    fd_close(&reader->proc);
    free(reader->text);
    free(reader->pids);
    free(reader);
}

bool cgroup_reader_has_pressure(const struct cgroup_reader *reader)
{
    return reader->has_pressure;
}

const struct cgroup_meminfo *cgroup_reader_meminfo(const struct cgroup_reader *reader)
{
    return &reader->meminfo;
}

/* --- the cgroup under way --- */

static int open_below(const struct cgroup_reader *reader, enum cgroup_controller controller,
                      const char *below, int flags)
{
    int mount = reader->mounts[reader->same[controller]];
    return mount < 0 ? -1 : openat(mount, below, flags | O_DIRECTORY | O_CLOEXEC);
}

static void set_path(struct cgroup_reader *reader, const char *path)
{
    reader->is_root = path[0] == '/' && path[1] == '\0';
    reader->below = reader->is_root ? "." : path + 1;
}

/* False: the cgroup is not there. */
static bool open_main_dir(struct cgroup_reader *reader, const char *path)
{
    enum cgroup_controller main = reader_main_controller(reader);
    set_path(reader, path);
    reader->dirs[reader->same[main]] = open_below(reader, main, reader->below, O_PATH);
    return reader_dir(reader, main) >= 0;
}

static void open_other_dirs(struct cgroup_reader *reader)
{
    static const enum cgroup_controller used_v1[] = {CGROUP_CPUACCT, CGROUP_MEMORY, CGROUP_PIDS,
                                                     CGROUP_BLKIO};
    for (size_t i = 0; reader->layout->version == CGROUP_V1 && i < ARRAY_SIZE(used_v1); i++) {
        size_t slot = reader->same[used_v1[i]];
        if (reader->dirs[slot] < 0)
            reader->dirs[slot] = open_below(reader, used_v1[i], reader->below, O_PATH);
    }
}

/* The root has no limits and no usage of its own: the machine's memory and swap stand for them. */
static void fill_root_memory(const struct cgroup_reader *reader,
                             struct cgroup_memory_figures *memory)
{
    const struct cgroup_meminfo *machine = &reader->meminfo;
    memory->limit_bytes = machine->total_bytes;
    memory->swap_limit_bytes = machine->swap_total_bytes;
    if (reader->layout->version == CGROUP_V1)
        return;
    memory->usage_bytes = memory->rss_bytes + memory->cache_bytes;
    memory->swap_bytes = machine->swap_total_bytes > machine->swap_free_bytes
                             ? machine->swap_total_bytes - machine->swap_free_bytes
                             : 0;
}

/* --- when it was made --- */

static void note_time(const struct cgroup_reader *reader, int mount, const char *path,
                      int64_t *oldest_ns)
{
    struct stat info;
    if (fstatat(mount, path, &info, 0) != 0)
        return;
    int64_t at_ns = sat_add_i64(sat_mul_i64(info.st_mtim.tv_sec, NS_PER_SEC), info.st_mtim.tv_nsec);
    at_ns = max_i64(at_ns, reader->boot_ns);
    if (*oldest_ns == 0 || at_ns < *oldest_ns)
        *oldest_ns = at_ns;
}

/* No hierarchy says when a cgroup was made. The kernel dates a file when it first has to show it,
 * so the oldest date is the nearest to the truth. */
static int64_t read_created(const struct cgroup_reader *reader, struct arena *arena)
{
    const char *control =
        reader->layout->version == CGROUP_V2 ? "cgroup.events" : "cgroup.clone_children";
    const char *file = arena_printf(arena, "%s/%s", reader->below, control);
    int64_t oldest_ns = 0;
    for (size_t i = 0; i < CGROUP_CONTROLLER_COUNT; i++) {
        if (reader->mounts[i] < 0)
            continue;
        note_time(reader, reader->mounts[i], reader->below, &oldest_ns);
        note_time(reader, reader->mounts[i], file, &oldest_ns);
    }
    return oldest_ns;
}

static bool read_identity(struct cgroup_reader *reader, const struct cgroup_read *read,
                          struct arena *arena, struct cgroup_figures *ret)
{
    struct stat info;
    if (fstat(reader_dir(reader, reader_main_controller(reader)), &info) != 0)
        return false;
    ret->inode = info.st_ino;
    reader->before = read->before && read->before->inode == ret->inode ? read->before : NULL;
    reader->is_asleep = false;
    if (reader->before)
        ret->created_ns = reader->before->created_ns;
    if ((read->wants & CGROUP_WANT_CREATED) && ret->created_ns == 0)
        ret->created_ns = read_created(reader, arena);
    return true;
}

/* --- what is known --- */

void reader_note_cpu(struct cgroup_reader *reader, const struct cgroup_figures *ret)
{
    const struct cgroup_figures *before = reader->before;
    reader->is_asleep = before && !reader->is_root && before->has_cpu && ret->has_cpu &&
                        before->cpu.total_ns == ret->cpu.total_ns;
}

bool reader_is_memory_known(const struct cgroup_reader *reader, uint64_t usage_bytes)
{
    return reader->is_asleep && reader->before->has_memory &&
           reader->before->memory.usage_bytes == usage_bytes;
}

/* --- one cgroup --- */

static bool read_figures(struct cgroup_reader *reader, const struct cgroup_read *read,
                         struct arena *arena, struct cgroup_figures *ret)
{
    if (!read_identity(reader, read, arena, ret))
        return false;
    if (reader->layout->version == CGROUP_V2)
        reader_fill_v2(reader, arena, ret);
    else
        reader_fill_v1(reader, arena, ret);
    struct cgroup_memory_figures *memory = &ret->memory;
    if (reader->is_root)
        fill_root_memory(reader, memory);
    if (memory->usage_bytes > memory->inactive_file_bytes)
        memory->working_set_bytes = memory->usage_bytes - memory->inactive_file_bytes;
    return reader_fill_processes(reader, read->wants & CGROUP_WANT_OPEN_FILES, ret);
}

bool cgroup_reader_read_blocking(struct cgroup_reader *reader, const struct cgroup_read *read,
                                 struct arena *arena, struct cgroup_figures *ret)
{
    *ret = (struct cgroup_figures){0};
    bool is_there = open_main_dir(reader, read->path);
    if (is_there) {
        open_other_dirs(reader);
        is_there = read_figures(reader, read, arena, ret);
    }
    close_dirs(reader);
    return is_there;
}

bool cgroup_reader_has_process_blocking(struct cgroup_reader *reader, const char *path, int64_t pid)
{
    size_t kept = 0;
    uint64_t total;
    bool is_there = open_main_dir(reader, path) &&
                    reader_read_processes(reader, READER_MAX_PROCESSES, &kept, &total);
    close_dirs(reader);
    for (size_t i = 0; is_there && i < kept; i++) {
        if (reader->pids[i] == pid)
            return true;
    }
    return false;
}

size_t cgroup_reader_children_blocking(struct cgroup_reader *reader, const char *path, size_t max,
                                       struct arena *arena, const char ***ret)
{
    set_path(reader, path);
    int fd = open_below(reader, reader_main_controller(reader), reader->below, O_RDONLY);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    *ret = NULL;
    if (!dir) {
        fd_close(&fd);
        return 0;
    }
    const char **names = arena_calloc(arena, max, sizeof(*names));
    size_t count = 0;
    const struct dirent *entry;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): own stream */
    while (count < max && (entry = readdir(dir)) != NULL) {
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            names[count++] = arena_strdup(arena, entry->d_name);
    }
    (void)closedir(dir);
    *ret = names;
    return count;
}

bool cgroup_reader_process_file_blocking(struct cgroup_reader *reader, int64_t pid,
                                         const char *name, struct str *ret)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "%lld/%s", (long long)pid, name);
    if (!read_proc(reader, path))
        return false;
    *ret = reader_text(reader);
    return true;
}
