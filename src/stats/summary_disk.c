#include "stats/summary_disk.h"

#include "base/fd.h"

#include <sys/sysinfo.h>

/* /proc/stat has a number for each interrupt of the machine. */
#define PROC_FILE_MAX_BYTES (1 * MiB)
#define FIRST_ROOM 64

struct question {
    enum disk_question kind;
    const char *path;
    struct disk_answer answer;
    const char *failure; /* in the arena */
};

struct summary_disk {
    struct arena *arena; /* owned; holds this too */
    const char *proc_root;
    size_t count, room;
    struct question *questions; /* in the arena */
    struct disk_kernel kernel;
    struct error *kernel_err; /* owned */
};

struct job {
    struct summary_disk *disk; /* owned until taken */
    void (*on_done)(void *ctx, struct summary_disk *disk_owned);
    void *ctx;
};

struct summary_disk *summary_disk_new(const char *proc_root)
{
    struct arena *arena = arena_new(0);
    struct summary_disk *disk = arena_alloc(arena, sizeof(*disk));
    disk->arena = arena;
    disk->proc_root = arena_strdup(arena, proc_root);
    return disk;
}

void summary_disk_free(struct summary_disk *disk)
{
    if (!disk)
        return;
    error_free(TAKE(disk->kernel_err));
    arena_free(disk->arena);
}

size_t summary_disk_ask(struct summary_disk *disk, enum disk_question kind, const char *path)
{
    if (disk->count == disk->room) {
        disk->room = disk->room ? disk->room * 2 : FIRST_ROOM;
        struct question *larger = arena_calloc(disk->arena, disk->room, sizeof(*larger));
        if (disk->count > 0)
            memcpy(larger, disk->questions, disk->count * sizeof(*larger));
        disk->questions = larger;
    }
    disk->questions[disk->count] =
        (struct question){.kind = kind, .path = arena_strdup(disk->arena, path)};
    return disk->count++;
}

/* --- the kernel's figures --- */

static struct error *read_proc(const struct summary_disk *disk, const char *name, struct buf *text)
{
    buf_init(text, PROC_FILE_MAX_BYTES);
    return fd_read_file_blocking(arena_printf(disk->arena, "%s/%s", disk->proc_root, name), text);
}

static bool parse_number(struct str text, int64_t *ret)
{
    AUTO(free) char *copy = str_dup(str_trim(text));
    return parse_i64(copy, 0, INT64_MAX, ret);
}

static struct error *read_number(const struct summary_disk *disk, const char *name, int64_t *ret)
{
    AUTO(buf) struct buf text = {0};
    struct error *err = read_proc(disk, name, &text);
    if (!err && !parse_number(buf_str(&text), ret))
        err = error_new(ERROR_INTERNAL, "%s/%s is no number", disk->proc_root, name);
    return err;
}

static struct error *read_boot_time(const struct summary_disk *disk, int64_t *ret_ns)
{
    static const char key[] = "btime ";
    AUTO(buf) struct buf text = {0};
    struct error *err = read_proc(disk, "stat", &text);
    if (err)
        return err;
    struct str rest = buf_str(&text), line;
    int64_t seconds;
    while (str_split_next(&rest, '\n', &line)) {
        if (!str_has_prefix(line, key))
            continue;
        line.ptr += strlen(key);
        line.len -= strlen(key);
        if (!parse_number(line, &seconds))
            break;
        *ret_ns = sat_mul_i64(seconds, NS_PER_SEC);
        return NULL;
    }
    return error_new(ERROR_INTERNAL, "%s/stat does not tell when the machine was started",
                     disk->proc_root);
}

/* "0.01 0.05 0.10 2/449 12345": those that run and all there are. */
static bool parse_process_count(struct str text, int64_t *ret)
{
    struct str field = {0};
    for (int i = 0; i < 4; i++) {
        if (!str_split_next(&text, ' ', &field))
            return false;
    }
    size_t slash = str_find(field, '/');
    if (slash == field.len)
        return false;
    return parse_number((struct str){.ptr = field.ptr + slash + 1, .len = field.len - slash - 1},
                        ret);
}

static struct error *read_process_count(const struct summary_disk *disk, int64_t *ret)
{
    AUTO(buf) struct buf text = {0};
    AUTO(error) struct error *err = read_proc(disk, "loadavg", &text);
    if (!err && parse_process_count(buf_str(&text), ret))
        return NULL;
    struct sysinfo info;
    if (sysinfo(&info) != 0)
        return error_new(ERROR_INTERNAL, "nobody tells how many processes there are");
    *ret = info.procs;
    return NULL;
}

static struct error *read_kernel(const struct summary_disk *disk, struct disk_kernel *ret)
{
    int64_t pid_max = 0, threads_max = 0;
    struct error *err = read_number(disk, "sys/kernel/pid_max", &pid_max);
    if (!err)
        err = read_number(disk, "sys/kernel/threads-max", &threads_max);
    if (!err)
        err = read_process_count(disk, &ret->current_processes);
    if (!err)
        err = read_boot_time(disk, &ret->boot_ns);
    ret->max_pid = min_i64(pid_max, threads_max);
    return err;
}

/* --- answering, on a worker --- */

static struct error *answer(const struct question *question, struct disk_answer *ret)
{
    switch (question->kind) {
    case DISK_TOTALS:
        return fs_totals_read_blocking(question->path, &ret->totals);
    case DISK_FILES:
        return dir_usage_files_blocking(question->path, &ret->usage);
    case DISK_FILE:
        return dir_usage_file_blocking(question->path, &ret->usage);
    }
    return error_new(ERROR_INTERNAL, "an unknown question");
}

void summary_disk_run_blocking(struct summary_disk *disk)
{
    for (size_t i = 0; i < disk->count; i++) {
        struct question *question = &disk->questions[i];
        AUTO(error) struct error *err = answer(question, &question->answer);
        question->answer.known = !err;
        question->failure = err ? arena_strdup(disk->arena, err->message) : NULL;
    }
    disk->kernel_err = read_kernel(disk, &disk->kernel);
}

static void run_job(void *job)
{
    summary_disk_run_blocking(((struct job *)job)->disk);
}

static void on_job_done(UNUSED void *ctx, void *job)
{
    struct job *done = job;
    done->on_done(done->ctx, TAKE(done->disk));
}

static void release_job(void *job)
{
    summary_disk_free(((struct job *)job)->disk);
    free(job);
}

/* Logs and totals take microseconds each, and somebody waits. */
static const struct work_vtable disk_work = {.name = "figures of the disk",
                                             .class = WORK_NORMAL,
                                             .run_blocking = run_job,
                                             .on_done = on_job_done,
                                             .release = release_job};

struct work *summary_disk_start(struct summary_disk *disk_owned, struct work_pool *pool,
                                void (*on_done)(void *ctx, struct summary_disk *disk_owned),
                                void *ctx)
{
    struct job *job = xcalloc(1, sizeof(*job));
    *job = (struct job){.disk = disk_owned, .on_done = on_done, .ctx = ctx};
    return work_start(pool, &disk_work, job, NULL);
}

/* --- reading the answers --- */

const struct disk_answer *summary_disk_answer(const struct summary_disk *disk, size_t index)
{
    ASSERT(index < disk->count);
    return &disk->questions[index].answer;
}

const char *summary_disk_failure(const struct summary_disk *disk, size_t index)
{
    ASSERT(index < disk->count);
    return disk->questions[index].failure;
}

struct error *summary_disk_kernel(const struct summary_disk *disk, struct disk_kernel *ret)
{
    if (disk->kernel_err)
        return error_dup(disk->kernel_err);
    *ret = disk->kernel;
    return NULL;
}
