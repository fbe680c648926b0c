#include "stats/host_parse.h"

#define CONTAINER_ID_DIGITS 64

/* --- words --- */

/* Fills up to @count numbers from the front of @rest and returns how many there were. */
static size_t next_numbers(struct str *rest, uint64_t *numbers, size_t count)
{
    struct str word;
    size_t filled = 0;
    while (filled < count && str_next_word(rest, &word)) {
        char digits[24];
        if (word.len >= sizeof(digits))
            break;
        memcpy(digits, word.ptr, word.len);
        digits[word.len] = '\0';
        if (!parse_u64(digits, &numbers[filled]))
            break;
        filled++;
    }
    return filled;
}

/* --- network --- */

static bool is_left_out(struct str name)
{
    static const char *const prefixes[] = {"veth", "docker", "nerdctl"};
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
        if (str_has_prefix(name, prefixes[i]))
            return true;
    }
    return str_eq_c(name, "lo");
}

/* Columns after the name: eight of receiving, eight of sending. */
enum {
    RX_BYTES,
    RX_PACKETS,
    RX_ERRORS,
    RX_DROPPED,
    TX_BYTES = 8,
    TX_PACKETS,
    TX_ERRORS,
    TX_DROPPED
};
#define NET_DEV_COLUMNS (TX_DROPPED + 1)

static bool parse_interface(struct str line, struct arena *arena, struct stats_interface *ret)
{
    /* A name may hold a ':', which the kernel does not forbid, so the last one ends it. */
    size_t colon = line.len;
    while (colon > 0 && line.ptr[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return false;
    struct str name = str_trim((struct str){.ptr = line.ptr, .len = colon - 1});
    struct str rest = {.ptr = line.ptr + colon, .len = line.len - colon};
    uint64_t n[NET_DEV_COLUMNS];
    if (name.len == 0 || str_find(name, '\0') < name.len) /* what was looked at is what is kept */
        return false;
    if (is_left_out(name) || next_numbers(&rest, n, ARRAY_SIZE(n)) < ARRAY_SIZE(n))
        return false;
    *ret = (struct stats_interface){.name = arena_strndup(arena, name.ptr, name.len),
                                    .rx_bytes = n[RX_BYTES],
                                    .rx_packets = n[RX_PACKETS],
                                    .rx_errors = n[RX_ERRORS],
                                    .rx_dropped = n[RX_DROPPED],
                                    .tx_bytes = n[TX_BYTES],
                                    .tx_packets = n[TX_PACKETS],
                                    .tx_errors = n[TX_ERRORS],
                                    .tx_dropped = n[TX_DROPPED]};
    return true;
}

size_t stats_parse_net_dev(struct str text, struct arena *arena, struct stats_interface **ret)
{
    struct stats_interface found[STATS_MAX_INTERFACES];
    size_t count = 0;
    struct str rest = text, line;
    while (count < ARRAY_SIZE(found) && str_split_next(&rest, '\n', &line)) {
        if (parse_interface(line, arena, &found[count]))
            count++;
    }
    *ret = arena_memdup(arena, found, count * sizeof(*found));
    return count;
}

/* --- disks --- */

enum {
    READS,
    READS_MERGED,
    SECTORS_READ,
    READ_MS,
    WRITES,
    WRITES_MERGED,
    SECTORS_WRITTEN,
    WRITE_MS,
    IN_FLIGHT,
    IO_MS,
    IO_WEIGHTED_MS,
    DISKSTATS_COLUMNS
};

static bool parse_disk(struct str line, struct arena *arena, struct stats_disk *ret)
{
    uint64_t device[2], n[DISKSTATS_COLUMNS];
    struct str name;
    if (next_numbers(&line, device, 2) < 2 || !str_next_word(&line, &name) ||
        next_numbers(&line, n, ARRAY_SIZE(n)) < ARRAY_SIZE(n))
        return false;
    *ret = (struct stats_disk){.major = device[0],
                               .minor = device[1],
                               .name = arena_strndup(arena, name.ptr, name.len),
                               .reads = n[READS],
                               .reads_merged = n[READS_MERGED],
                               .sectors_read = n[SECTORS_READ],
                               .read_ms = n[READ_MS],
                               .writes = n[WRITES],
                               .writes_merged = n[WRITES_MERGED],
                               .sectors_written = n[SECTORS_WRITTEN],
                               .write_ms = n[WRITE_MS],
                               .io_in_flight = n[IN_FLIGHT],
                               .io_ms = n[IO_MS],
                               .io_weighted_ms = n[IO_WEIGHTED_MS]};
    return true;
}

size_t stats_parse_diskstats(struct str text, struct arena *arena, struct stats_disk **ret)
{
    struct str rest = text, line;
    size_t lines = 0, count = 0;
    while (lines < STATS_MAX_DISKS && str_split_next(&rest, '\n', &line))
        lines++;
    struct stats_disk *disks = arena_calloc(arena, lines, sizeof(*disks));
    rest = text;
    for (size_t i = 0; i < lines && str_split_next(&rest, '\n', &line); i++) {
        if (parse_disk(line, arena, &disks[count]))
            count++;
    }
    *ret = disks;
    return count;
}

const struct stats_disk *stats_find_disk(const struct stats_disk *disks, size_t count,
                                         uint64_t major, uint64_t minor)
{
    for (size_t i = 0; i < count; i++) {
        if (disks[i].major == major && disks[i].minor == minor)
            return &disks[i];
    }
    return NULL;
}

/* --- file systems --- */

static bool is_container_id(struct str element)
{
    if (element.len != CONTAINER_ID_DIGITS)
        return false;
    for (size_t i = 0; i < element.len; i++) {
        if (!strchr("0123456789abcdef", element.ptr[i]))
            return false;
    }
    return true;
}

static bool belongs_to_container(const char *mount_point)
{
    struct str rest = str_from(mount_point), element;
    while (str_split_next(&rest, '/', &element)) {
        if (is_container_id(element) || str_has_prefix(element, "kubernetes.io~"))
            return true;
    }
    return false;
}

static bool is_on_disk(const char *fs_type)
{
    static const char *const types[] = {"btrfs", "f2fs", "xfs", "zfs"};
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if (text_eq(fs_type, types[i]))
            return true;
    }
    return text_has_prefix(fs_type, "ext");
}

/* btrfs numbers its mounts itself, so there the name of the device leads to the disk. */
static const struct stats_disk *disk_of(const struct mountinfo_entry *entry,
                                        const struct stats_disk *disks, size_t count)
{
    if (entry->major > 0)
        return stats_find_disk(disks, count, (uint64_t)entry->major, (uint64_t)entry->minor);
    for (size_t i = 0; i < count; i++) {
        if (text_has_prefix(entry->source, "/dev/") &&
            text_eq(entry->source + strlen("/dev/"), disks[i].name))
            return &disks[i];
    }
    return NULL;
}

static bool choose(const struct mountinfo_entry *entry, const struct stats_disk *disks,
                   size_t disk_count, struct arena *arena, struct stats_mount *ret)
{
    if (belongs_to_container(entry->mount_point))
        return false;
    *ret = (struct stats_mount){.device = entry->mount_point, .mount_point = entry->mount_point};
    if (text_eq(entry->fs_type, "tmpfs"))
        return true;
    if (!is_on_disk(entry->fs_type))
        return false;
    ret->disk = disk_of(entry, disks, disk_count);
    /* The kernel's own name for what it booted from, which no other tool knows. */
    bool is_alias = text_eq(entry->source, "/dev/root") && ret->disk;
    ret->device = is_alias ? arena_printf(arena, "/dev/%s", ret->disk->name) : entry->source;
    return true;
}

static bool has_device(const struct stats_mount *mounts, size_t count, const char *device)
{
    for (size_t i = 0; i < count; i++) {
        if (text_eq(mounts[i].device, device))
            return true;
    }
    return false;
}

static int by_device(const void *a, const void *b)
{
    const struct stats_mount *left = a, *right = b;
    return strcmp(left->device, right->device);
}

size_t stats_choose_mounts(const struct mountinfo_table *table, const struct stats_disk *disks,
                           size_t disk_count, struct arena *arena, struct stats_mount **ret)
{
    struct stats_mount *mounts = arena_calloc(arena, STATS_MAX_FILESYSTEMS, sizeof(*mounts));
    size_t count = 0;
    for (size_t i = 0; i < table->count && count < STATS_MAX_FILESYSTEMS; i++) {
        if (choose(&table->entries[i], disks, disk_count, arena, &mounts[count]) &&
            !has_device(mounts, count, mounts[count].device))
            count++;
    }
    qsort(mounts, count, sizeof(*mounts), by_device);
    *ret = mounts;
    return count;
}

/* --- names of cgroups --- */

bool stats_cgroup_is_of(const char *name, const char *id)
{
    static const char scope[] = ".scope";
    struct str text = str_from(name);
    if (str_has_suffix(text, scope))
        text.len -= sizeof(scope) - 1;
    size_t id_len = strlen(id);
    if (id_len == 0 || !str_has_suffix(text, id))
        return false;
    return text.len == id_len || text.ptr[text.len - id_len - 1] == '-';
}
