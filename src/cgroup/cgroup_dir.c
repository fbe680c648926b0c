/*
 * Making and removing cgroups as directories.
 *
 * v1: one directory in every mounted hierarchy, parents first. A fresh cpuset is empty and would
 * refuse processes, so each level takes over its parent's cpus and mems.
 *
 * v2: one directory. Every level but the last passes all controllers on through
 * cgroup.subtree_control; a level that is threaded cannot limit memory and is refused.
 *
 * Removing: processes first (SIGKILL, up to five looks, since they may fork meanwhile), then
 * directories from the leaves up. A cgroup stays busy until its last process is reaped by the
 * kernel, so EBUSY is waited out: 1 ms, 2 ms, … for about a second.
 */
#include "cgroup/cgroup_internal.h"

#include "base/fd.h"
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define KILL_ROUNDS 5          /* upstream: removeAttempts */
#define REMOVE_TRIES 10        /* upstream: libcontainer's retries of EBUSY */
#define REMOVE_FIRST_WAIT_MS 1 /* doubles */
#define SMALL_FILE_MAX_BYTES (64 * KiB)
#define PROCS_MAX_BYTES (16 * MiB)
/* A privileged container can nest cgroups at will; beyond this the pod's cgroup is not taken down.
 */
#define DESCENDANTS_MAX 65536

/* What a complete cgroup needs (spec §2.4). On v1 systemd's own hierarchy belongs to it. */
static const enum cgroup_controller needed[] = {CGROUP_CPU,    CGROUP_CPUACCT, CGROUP_CPUSET,
                                                CGROUP_MEMORY, CGROUP_SYSTEMD, CGROUP_PIDS,
                                                CGROUP_HUGETLB};
static const char *const needed_v2[] = {"cpu", "cpuset", "hugetlb", "memory", "pids"};

const char *cgroup_mount_of(const struct cgroup_tree *tree, enum cgroup_controller controller)
{
    return tree->facts.version == CGROUP_V2 ? tree->mount_root : tree->facts.mounts[controller];
}

static bool is_repeated(const struct cgroup_tree *tree, size_t controller)
{
    for (size_t i = 0; i < controller; i++) {
        if (text_eq(tree->facts.mounts[i], tree->facts.mounts[controller]))
            return true;
    }
    return false;
}

const char *cgroup_next_mount(const struct cgroup_tree *tree, size_t *cursor)
{
    if (tree->facts.version == CGROUP_V2)
        return (*cursor)++ == 0 ? tree->mount_root : NULL;
    while (*cursor < CGROUP_CONTROLLER_COUNT) {
        size_t i = (*cursor)++;
        if (tree->facts.mounts[i] && !is_repeated(tree, i))
            return tree->facts.mounts[i];
    }
    return NULL;
}

char *cgroup_name_text(const char *cgroup)
{
    struct buf text;
    buf_init(&text, SMALL_FILE_MAX_BYTES);
    buf_add_char(&text, '[');
    struct str rest = str_from(cgroup), element;
    while (str_split_next(&rest, '/', &element)) {
        if (element.len > 0)
            buf_printf(&text, "%s\"%.*s\"", text.len > 1 ? " " : "", STR_ARG(element));
    }
    buf_add_char(&text, ']');
    return buf_take(&text);
}

/* --- is it there? --- */

static bool has_word(struct str words, const char *word)
{
    struct str piece;
    while (str_split_next(&words, ' ', &piece)) {
        if (str_eq_c(str_trim(piece), word))
            return true;
    }
    return false;
}

static struct error *check_v2(const struct cgroup_tree *tree, const char *cgroup)
{
    AUTO(free) char *name = cgroup_name_text(cgroup);
    AUTO(free) char *path = path_join_all(tree->mount_root, cgroup, "cgroup.controllers", NULL);
    AUTO(buf) struct buf have = {0}, missing = {0};
    buf_init(&have, SMALL_FILE_MAX_BYTES);
    buf_init(&missing, SMALL_FILE_MAX_BYTES);
    struct error *err = fd_read_file_blocking(path, &have);
    if (err) {
        err->code = ERROR_FAILED_PRECONDITION;
        return error_wrap(err, "could not read controllers for cgroup %s", name);
    }
    for (size_t i = 0; i < ARRAY_SIZE(needed_v2); i++) {
        if (has_word(str_from(tree->v2_controllers), needed_v2[i]) &&
            !has_word(buf_str(&have), needed_v2[i]))
            buf_printf(&missing, "%s%s", missing.len > 0 ? ", " : "", needed_v2[i]);
    }
    if (missing.len == 0)
        return NULL;
    return error_new(ERROR_FAILED_PRECONDITION, "cgroup %s has some missing controllers: %s", name,
                     buf_text(&missing));
}

struct error *cgroup_dir_check(const struct cgroup_tree *tree, const char *cgroup)
{
    if (tree->facts.version == CGROUP_V2)
        return check_v2(tree, cgroup);
    AUTO(buf) struct buf missing = {0};
    buf_init(&missing, SMALL_FILE_MAX_BYTES);
    for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
        const char *mount = cgroup_mount_of(tree, needed[i]);
        if (!mount)
            continue;
        AUTO(free) char *path = path_join(mount, cgroup);
        if (access(path, F_OK) != 0)
            buf_printf(&missing, "%s%s", missing.len > 0 ? ", " : "", path);
    }
    if (missing.len == 0)
        return NULL;
    AUTO(free) char *name = cgroup_name_text(cgroup);
    return error_new(ERROR_FAILED_PRECONDITION, "cgroup %s has some missing paths: %s", name,
                     buf_text(&missing));
}

/* --- making --- */

/* Directories made by one call, so that a failure leaves nothing behind. */
struct made {
    struct arena *arena;
    const char *paths[CGROUP_CONTROLLER_COUNT * 8];
    size_t count;
};

static void unmake(const struct cgroup_tree *tree, struct made *made)
{
    while (made->count > 0) {
        /* One that cannot be removed is found and completed by the next attempt. */
        (void)tree->fs->remove_dir(tree->fs->ctx, made->paths[--made->count]);
    }
}

static struct error *make_level(const struct cgroup_tree *tree, const char *path, struct made *made)
{
    int os_errno = tree->fs->make_dir(tree->fs->ctx, path);
    if (os_errno == EEXIST)
        return NULL;
    if (os_errno != 0) /* NOT_FOUND: its parent is not there */
        return error_from_errno(os_errno, "making cgroup %s", path);
    if (made->count < ARRAY_SIZE(made->paths))
        made->paths[made->count++] = arena_strdup(made->arena, path);
    return NULL;
}

static struct error *read_small(const char *dir, const char *file, struct buf *text)
{
    AUTO(free) char *path = path_join(dir, file);
    buf_clear(text);
    return fd_read_file_blocking(path, text);
}

static struct error *inherit_cpuset_file(const char *parent, const char *child, const char *file)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, SMALL_FILE_MAX_BYTES);
    struct error *err = read_small(child, file, &text);
    if (err || str_trim(buf_str(&text)).len > 0)
        return err;
    err = read_small(parent, file, &text);
    struct str value = str_trim(buf_str(&text));
    if (err || value.len == 0)
        return err;
    AUTO(free) char *path = path_join(child, file);
    return fd_write_control_file(path, value);
}

static struct error *prepare_v1_level(const struct cgroup_tree *tree, const char *mount,
                                      const char *parent, const char *path)
{
    if (!text_eq(mount, tree->facts.mounts[CGROUP_CPUSET]))
        return NULL;
    struct error *err = inherit_cpuset_file(parent, path, "cpuset.cpus");
    if (!err)
        err = inherit_cpuset_file(parent, path, "cpuset.mems");
    return err;
}

/* All at once where the kernel takes that; else each alone, and what it refuses shows when a limit
 * is set. */
static void pass_controllers_on(const struct cgroup_tree *tree, const char *path)
{
    AUTO(free) char *file = path_join(path, "cgroup.subtree_control");
    AUTO(buf) struct buf all = {0};
    buf_init(&all, SMALL_FILE_MAX_BYTES);
    struct str rest = str_from(tree->v2_controllers), word;
    while (str_split_next(&rest, ' ', &word))
        buf_printf(&all, "%s+%.*s", all.len > 0 ? " " : "", STR_ARG(word));
    if (all.len == 0)
        return;
    struct error *err = fd_write_control_file(file, buf_str(&all));
    if (!err)
        return;
    error_ignore(err, "one of them may be the culprit, try each");
    rest = buf_str(&all);
    while (str_split_next(&rest, ' ', &word))
        error_ignore(fd_write_control_file(file, word), "not every controller can be passed on");
}

static struct error *refuse_threaded(const char *path)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, SMALL_FILE_MAX_BYTES);
    struct error *err = read_small(path, "cgroup.type", &text);
    if (error_is(err, ERROR_NOT_FOUND)) {
        error_ignore(err, "the root cgroup has no type");
        return NULL;
    }
    if (err)
        return err;
    struct str type = str_trim(buf_str(&text));
    if (str_eq_c(type, "domain invalid") || str_eq_c(type, "threaded") ||
        str_eq_c(type, "domain threaded"))
        return error_new(
            ERROR_FAILED_PRECONDITION,
            "cgroup %s is in \"%.*s\" mode and cannot hold domain controllers: remove it "
            "or make it a domain again",
            path, STR_ARG(type));
    return NULL;
}

static struct error *make_in(const struct cgroup_tree *tree, const char *mount, const char *cgroup,
                             struct made *made)
{
    bool v2 = tree->facts.version == CGROUP_V2;
    if (!v2 && !text_eq(mount, tree->facts.mounts[CGROUP_CPUSET])) {
        /* Nothing is to be set up on the way, so one call does when the parents are there. */
        struct error *err = make_level(
            tree, arena_printf(made->arena, "%s%s%s", mount, cgroup[0] == '/' ? "" : "/", cgroup),
            made);
        if (!error_is(err, ERROR_NOT_FOUND))
            return err;
        error_ignore(err, "the parents are made below");
    }
    const char *parent = mount;
    struct str rest = str_from(cgroup), element;
    while (str_split_next(&rest, '/', &element)) {
        if (element.len == 0)
            continue;
        if (v2)
            pass_controllers_on(tree, parent);
        char *path = arena_printf(made->arena, "%s/%.*s", parent, STR_ARG(element));
        struct error *err = make_level(tree, path, made);
        if (!err)
            err = v2 ? refuse_threaded(path) : prepare_v1_level(tree, mount, parent, path);
        if (err)
            return err;
        parent = path;
    }
    return NULL;
}

struct error *cgroup_dir_make(const struct cgroup_tree *tree, const char *cgroup)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct made made = {.arena = arena};
    size_t cursor = 0;
    const char *mount;
    while ((mount = cgroup_next_mount(tree, &cursor)) != NULL) {
        struct error *err = make_in(tree, mount, cgroup, &made);
        if (!err)
            continue;
        if (mount == tree->facts.mounts[CGROUP_UNIFIED]) {
            error_ignore(err, "the hybrid hierarchy limits nothing and may be read-only");
            continue;
        }
        unmake(tree, &made);
        return err;
    }
    return NULL;
}

/* --- listing --- */

static bool is_directory(int dir_fd, const struct dirent *entry)
{
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    struct stat st;
    return fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

struct error *cgroup_dir_children(const char *path, struct arena *arena, const char ***ret_names,
                                  size_t *ret_count)
{
    const char **names = NULL;
    size_t count = 0, room = 0;
    DIR *dir = opendir(path);
    if (!dir && errno != ENOENT)
        return error_from_errno(errno, "listing cgroup %s", path);
    const struct dirent *entry;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): own stream */
    while (errno = 0, dir && (entry = readdir(dir))) {
        if (text_eq(entry->d_name, ".") || text_eq(entry->d_name, "..") ||
            !is_directory(dirfd(dir), entry))
            continue;
        if (count == room) {
            room = room ? room * 2 : 16;
            const char **larger = arena_calloc(arena, room, sizeof(*larger));
            if (count > 0)
                memcpy(larger, names, count * sizeof(*names));
            names = larger;
        }
        names[count++] = arena_strdup(arena, entry->d_name);
    }
    int os_errno = errno; /* of readdir(); ENOENT and ENODEV: removed meanwhile */
    if (dir)
        closedir(dir);
    if (os_errno != 0 && os_errno != ENOENT && os_errno != ENODEV)
        return error_from_errno(os_errno, "listing cgroup %s", path);
    *ret_names = names;
    *ret_count = count;
    return NULL;
}

struct paths {
    const char **items;
    size_t count, room;
};

static void paths_add(struct paths *paths, const char *path)
{
    if (paths->count == paths->room) {
        paths->room = paths->room ? paths->room * 2 : 16;
        paths->items = xrealloc(paths->items, paths->room * sizeof(*paths->items));
    }
    paths->items[paths->count++] = path;
}

/* Fills @ret with @top and everything below it, parents before children. Texts in @arena. */
static struct error *list_tree(const char *top, struct arena *arena, struct paths *ret)
{
    if (access(top, F_OK) != 0)
        return NULL;
    paths_add(ret, arena_strdup(arena, top));
    for (size_t i = 0; i < ret->count; i++) {
        const char **names = NULL;
        size_t count = 0;
        struct error *err = cgroup_dir_children(ret->items[i], arena, &names, &count);
        if (err)
            return err;
        for (size_t k = 0; k < count; k++)
            paths_add(ret, arena_printf(arena, "%s/%s", ret->items[i], names[k]));
        if (ret->count > DESCENDANTS_MAX)
            return error_new(ERROR_RESOURCE_EXHAUSTED, "more than %d cgroups below %s",
                             DESCENDANTS_MAX, top);
    }
    return NULL;
}

/* --- killing and removing --- */

static struct error *kill_in(const struct cgroup_tree *tree, const char *path, size_t *seen)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, PROCS_MAX_BYTES);
    struct error *err = read_small(path, "cgroup.procs", &text);
    if (error_is(err, ERROR_NOT_FOUND) || (err && err->os_errno == ENODEV)) {
        error_ignore(err, "removed meanwhile");
        return NULL;
    }
    if (err && err->os_errno == EOPNOTSUPP) {
        error_ignore(err, "a threaded cgroup: its domain, further up the tree, lists the process");
        return NULL;
    }
    if (err)
        return err;
    struct str rest = buf_str(&text), line;
    while (str_split_next(&rest, '\n', &line)) {
        char number[24] = "";
        int64_t pid;
        memcpy(number, line.ptr, min_size(line.len, sizeof(number) - 1));
        /* 0 stands for a process outside our pid namespace; 1 is nobody's to kill. */
        if (!parse_i64(number, 2, INT32_MAX, &pid) || pid == getpid())
            continue;
        (*seen)++;
        int os_errno = tree->fs->kill_process(tree->fs->ctx, (pid_t)pid);
        if (os_errno != 0 && os_errno != ESRCH && !err)
            err = error_from_errno(os_errno, "killing process %s", number);
    }
    return err;
}

/* One look at all @paths; *ret_seen is the number of processes found. The first refusal is
 * returned. */
static struct error *kill_round(const struct cgroup_tree *tree, const struct paths *paths,
                                size_t *ret_seen)
{
    struct error *first = NULL;
    *ret_seen = 0;
    for (size_t i = 0; i < paths->count; i++) {
        struct error *err = kill_in(tree, paths->items[i], ret_seen);
        if (!first)
            first = err;
        else
            error_ignore(err, "the first one tells enough");
    }
    return first;
}

static struct error *kill_all(const struct cgroup_tree *tree, const char *cgroup,
                              const struct paths *paths)
{
    AUTO(error) struct error *err = NULL;
    for (size_t round = 0; round < KILL_ROUNDS; round++) {
        size_t seen;
        error_free(TAKE(err));
        err = kill_round(tree, paths, &seen);
        if (!err && seen == 0)
            return NULL;
    }
    if (!err)
        return NULL; /* all were signalled and are on their way out: removing waits for them */
    AUTO(free) char *name = cgroup_name_text(cgroup);
    return error_wrap(TAKE(err), "failed to kill all the processes attached to the %s cgroups",
                      name);
}

static void sleep_ms(int64_t ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * NS_PER_MS};
    (void)nanosleep(&wait, NULL);
}

static struct error *remove_one(const struct cgroup_tree *tree, const char *path)
{
    int64_t wait_ms = REMOVE_FIRST_WAIT_MS;
    for (size_t try = 0;; try++) {
        int os_errno = tree->fs->remove_dir(tree->fs->ctx, path);
        if (os_errno == 0 || os_errno == ENOENT)
            return NULL;
        if (os_errno != EBUSY || try == REMOVE_TRIES)
            return error_from_errno(os_errno, "removing cgroup %s", path);
        sleep_ms(wait_ms);
        wait_ms *= 2;
    }
}

struct error *cgroup_dir_destroy_blocking(const struct cgroup_tree *tree, const char *cgroup)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct paths paths = {0};
    struct error *err = NULL;
    size_t cursor = 0;
    const char *mount;
    while (!err && (mount = cgroup_next_mount(tree, &cursor)) != NULL) {
        /* Each hierarchy's list begins with its own top and is complete before the next is added.
         */
        struct paths part = {0};
        err = list_tree(arena_printf(arena, "%s%s", mount, cgroup), arena, &part);
        for (size_t i = 0; i < part.count; i++)
            paths_add(&paths, part.items[i]);
        free(part.items);
    }
    if (!err)
        err = kill_all(tree, cgroup, &paths);
    for (size_t i = paths.count; !err && i > 0; i--)
        err = remove_one(tree, paths.items[i - 1]);
    free(paths.items);
    return err;
}
