#include "stats/host_read.h"

#include "base/buf.h"
#include "base/fd.h"
#include "stats/fs_totals.h"
#include "stats/host_parse.h"

#define DISKSTATS_MAX_BYTES (256 * KiB)
#define NUMBER_MAX_BYTES 64
#define LIST_MAX_BYTES (4 * KiB)
#define MAX_PROCESSORS 4096

/* --- processors --- */

struct processor {
    int64_t socket, core;
};

static bool read_small(const char *path, size_t max_bytes, struct buf *buf)
{
    buf_init(buf, max_bytes);
    struct error *err = fd_read_file_blocking(path, buf);
    bool is_read = err == NULL;
    error_ignore(err, "what the machine does not say is left at its default");
    return is_read;
}

static int64_t read_number(const char *sys_root, int64_t cpu, const char *file)
{
    AUTO(free)
    char *path =
        xasprintf("%s/devices/system/cpu/cpu%lld/topology/%s", sys_root, (long long)cpu, file);
    AUTO(buf) struct buf text = {0};
    int64_t number = -1;
    if (!read_small(path, NUMBER_MAX_BYTES, &text))
        return -1;
    AUTO(free) char *word = str_dup(str_trim(buf_str(&text)));
    return parse_i64(word, 0, INT32_MAX, &number) ? number : -1;
}

static int compare_processors(const void *a, const void *b)
{
    const struct processor *left = a, *right = b;
    if (left->socket != right->socket)
        return left->socket < right->socket ? -1 : 1;
    return left->core < right->core ? -1 : left->core > right->core;
}

/* Counts the different ones of a sorted list. */
static void count_processors(struct processor *list, size_t count, struct stats_topology *ret)
{
    qsort(list, count, sizeof(*list), compare_processors);
    for (size_t i = 0; i < count; i++) {
        bool is_first = i == 0;
        if (is_first || list[i].socket != list[i - 1].socket)
            ret->sockets++;
        if (is_first || compare_processors(&list[i], &list[i - 1]) != 0)
            ret->physical_cores++;
    }
    ret->cores = count;
}

static bool parse_range(struct str text, int64_t *ret_first, int64_t *ret_last)
{
    struct str rest = text, word;
    if (!str_split_next(&rest, '-', &word))
        return false;
    AUTO(free) char *first = str_dup(word);
    AUTO(free) char *last = rest.ptr ? str_dup(rest) : xstrdup(first);
    return parse_i64(first, 0, MAX_PROCESSORS - 1, ret_first) &&
           parse_i64(last, *ret_first, MAX_PROCESSORS - 1, ret_last);
}

void stats_read_topology_blocking(const char *sys_root, struct stats_topology *ret)
{
    *ret = (struct stats_topology){0};
    AUTO(free) char *path = xasprintf("%s/devices/system/cpu/online", sys_root);
    AUTO(buf) struct buf online = {0};
    if (!read_small(path, LIST_MAX_BYTES, &online))
        return;
    AUTO(free) struct processor *list = xcalloc(MAX_PROCESSORS, sizeof(*list));
    size_t count = 0;
    struct str rest = str_trim(buf_str(&online)), range;
    while (str_split_next(&rest, ',', &range)) {
        int64_t first, last;
        if (!parse_range(range, &first, &last))
            continue;
        for (int64_t cpu = first; cpu <= last && count < MAX_PROCESSORS; cpu++) {
            int64_t socket = read_number(sys_root, cpu, "physical_package_id");
            int64_t core = read_number(sys_root, cpu, "core_id");
            list[count++] =
                (struct processor){.socket = max_i64(socket, 0), .core = core < 0 ? cpu : core};
        }
    }
    count_processors(list, count, ret);
}

/* --- disks --- */

size_t stats_read_disks_blocking(const char *proc_root, struct arena *arena,
                                 const struct stats_disk **ret)
{
    AUTO(free) char *path = xasprintf("%s/diskstats", proc_root);
    AUTO(buf) struct buf text = {0};
    struct stats_disk *disks = NULL;
    size_t count = read_small(path, DISKSTATS_MAX_BYTES, &text)
                       ? stats_parse_diskstats(buf_str(&text), arena, &disks)
                       : 0;
    *ret = disks;
    return count;
}

static bool measure(const struct stats_mount *mount, struct stats_filesystem *ret)
{
    struct fs_totals totals;
    struct error *err = fs_totals_read_blocking(mount->mount_point, &totals);
    if (err) {
        error_ignore(err, "it has been unmounted meanwhile");
        return false;
    }
    *ret = (struct stats_filesystem){.device = mount->device,
                                     .disk = mount->disk,
                                     .capacity_bytes = totals.capacity_bytes,
                                     .free_bytes = totals.free_bytes,
                                     .available_bytes = totals.available_bytes,
                                     .inodes = totals.inodes,
                                     .inodes_free = totals.inodes_free};
    return true;
}

size_t stats_read_filesystems_blocking(const struct stats_disk *disks, size_t disk_count,
                                       struct arena *arena, const struct stats_filesystem **ret)
{
    AUTO(arena) struct arena *scratch = arena_new(64 * KiB);
    struct mountinfo_table table = {0};
    AUTO(error) struct error *err = mountinfo_read_blocking(scratch, &table);
    *ret = NULL;
    if (err)
        return 0;
    struct stats_mount *mounts;
    size_t n_mounts = stats_choose_mounts(&table, disks, disk_count, scratch, &mounts);
    struct stats_filesystem *list = arena_calloc(arena, n_mounts, sizeof(*list));
    size_t count = 0;
    for (size_t i = 0; i < n_mounts; i++) {
        if (!measure(&mounts[i], &list[count]))
            continue;
        list[count].device = arena_strdup(arena, list[count].device);
        count++;
    }
    *ret = list;
    return count;
}
