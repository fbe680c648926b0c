/*
 * Disks and file systems. Two sources meet here: the host's file systems with their disks, in the
 * root record, and what each cgroup did to block devices. Where the root's cgroup tells of a device
 * that a file system already stands for, the file system's figures count: a page that has the same
 * labels twice is refused whole.
 */
#include "stats/cadvisor_rows.h"
#include "stats/host_parse.h"

#define MS_PER_SEC 1000.0
#define US_PER_SEC 1000000.0
#define NO_OFFSET SIZE_MAX

/** Where a family's values come from; @which of its row. */
struct source {
    bool has_filesystems;
    size_t filesystem; /* a uint64_t of struct stats_filesystem, or NO_OFFSET */
    size_t disk;       /* a uint64_t of struct stats_disk, or NO_OFFSET */
    double scale;      /* divides it */
    bool has_devices;
    bool are_bytes;
    enum cgroup_io_kind kind;
};

#define FILESYSTEM(member) offsetof(struct stats_filesystem, member)
#define DISK(member) offsetof(struct stats_disk, member)

enum {
    INODES_FREE,
    INODES_TOTAL,
    IO_CURRENT,
    IO_TIME,
    IO_TIME_WEIGHTED,
    LIMIT,
    READ_SECONDS,
    READS_BYTES,
    READS_MERGED,
    READS,
    SECTOR_READS,
    SECTOR_WRITES,
    USAGE,
    WRITE_SECONDS,
    WRITES_BYTES,
    WRITES_MERGED,
    WRITES,
    SOURCE_COUNT
};

static const struct source sources[SOURCE_COUNT] = {
    [INODES_FREE] = {true, FILESYSTEM(inodes_free), NO_OFFSET, 1, false, false, 0},
    [INODES_TOTAL] = {true, FILESYSTEM(inodes), NO_OFFSET, 1, false, false, 0},
    [IO_CURRENT] = {true, NO_OFFSET, DISK(io_in_flight), 1, false, false, 0},
    [IO_TIME] = {true, NO_OFFSET, DISK(io_ms), MS_PER_SEC, false, false, 0},
    [IO_TIME_WEIGHTED] = {true, NO_OFFSET, DISK(io_weighted_ms), MS_PER_SEC, false, false, 0},
    [LIMIT] = {true, FILESYSTEM(capacity_bytes), NO_OFFSET, 1, false, false, 0},
    [READ_SECONDS] = {true, NO_OFFSET, DISK(read_ms), MS_PER_SEC, false, false, 0},
    [READS_BYTES] = {false, NO_OFFSET, NO_OFFSET, 1, true, true, CGROUP_IO_READ},
    [READS_MERGED] = {true, NO_OFFSET, DISK(reads_merged), 1, false, false, 0},
    [READS] = {true, NO_OFFSET, DISK(reads), 1, true, false, CGROUP_IO_READ},
    [SECTOR_READS] = {true, NO_OFFSET, DISK(sectors_read), 1, false, false, 0},
    [SECTOR_WRITES] = {true, NO_OFFSET, DISK(sectors_written), 1, false, false, 0},
    [USAGE] = {true, FILESYSTEM(free_bytes), NO_OFFSET, 1, false, false, 0},
    [WRITE_SECONDS] = {true, NO_OFFSET, DISK(write_ms), MS_PER_SEC, false, false, 0},
    [WRITES_BYTES] = {false, NO_OFFSET, NO_OFFSET, 1, true, true, CGROUP_IO_WRITE},
    [WRITES_MERGED] = {true, NO_OFFSET, DISK(writes_merged), 1, false, false, 0},
    [WRITES] = {true, NO_OFFSET, DISK(writes), 1, true, false, CGROUP_IO_WRITE},
};

static double number_at(const void *object, size_t offset)
{
    uint64_t number;
    memcpy(&number, (const char *)object + offset, sizeof(number));
    return (double)number;
}

static double filesystem_value(const struct stats_filesystem *filesystem, size_t which)
{
    const struct source *source = &sources[which];
    if (which == USAGE)
        return (double)(filesystem->capacity_bytes - filesystem->free_bytes);
    if (source->filesystem != NO_OFFSET)
        return number_at(filesystem, source->filesystem);
    return filesystem->disk ? number_at(filesystem->disk, source->disk) / source->scale : 0;
}

/* "/dev/sda"; a device that nobody names goes by its number, so that two of them differ. */
static const char *device_name(const struct cadvisor *cadvisor,
                               const struct cgroup_io_device *device)
{
    const struct stats_records *records = cadvisor->records;
    const struct stats_disk *disk =
        stats_find_disk(records->disks, records->n_disks, device->major, device->minor);
    if (disk)
        return arena_printf(cadvisor->arena, "/dev/%s", disk->name);
    return arena_printf(cadvisor->arena, "%llu:%llu", (unsigned long long)device->major,
                        (unsigned long long)device->minor);
}

static bool is_filesystem(const struct stats_record *record, const char *device)
{
    for (size_t i = 0; i < record->n_filesystems; i++) {
        if (text_eq(record->filesystems[i].device, device))
            return true;
    }
    return false;
}

static void add_device(const struct cadvisor *cadvisor, const struct stats_record *record,
                       const struct source *source, const struct cgroup_io_device *device,
                       struct cadvisor_rows *rows)
{
    if ((source->are_bytes ? device->has_bytes : device->has_operations) == 0)
        return;
    const char *name = device_name(cadvisor, device);
    if (source->has_filesystems && is_filesystem(record, name))
        return;
    uint64_t value =
        source->are_bytes ? device->bytes[source->kind] : device->operations[source->kind];
    const struct cadvisor_row row = {
        .record = record, .after_container = name, .value = (double)value};
    cadvisor_rows_add(rows, &row);
}

static void gather_disk(const struct cadvisor *cadvisor, const struct stats_record *record,
                        size_t which, struct cadvisor_rows *rows)
{
    const struct source *source = &sources[which];
    for (size_t i = 0; source->has_filesystems && i < record->n_filesystems; i++) {
        const struct stats_filesystem *filesystem = &record->filesystems[i];
        const struct cadvisor_row row = {.record = record,
                                         .after_container = filesystem->device,
                                         .value = filesystem_value(filesystem, which)};
        cadvisor_rows_add(rows, &row);
    }
    for (size_t i = 0; source->has_devices && i < record->figures.n_io_devices; i++)
        add_device(cadvisor, record, source, &record->figures.io_devices[i], rows);
}

/* @which is an enum cgroup_io_cost. */
static void gather_cost(const struct cadvisor *cadvisor, const struct stats_record *record,
                        size_t which, struct cadvisor_rows *rows)
{
    for (size_t i = 0; i < record->figures.n_io_devices; i++) {
        const struct cgroup_io_device *device = &record->figures.io_devices[i];
        if (!(device->has_cost & (1U << which)))
            continue;
        const struct cadvisor_row row = {.record = record,
                                         .after_container = device_name(cadvisor, device),
                                         .value = (double)device->cost_us[which] / US_PER_SEC};
        cadvisor_rows_add(rows, &row);
    }
}

static void gather_blkio(const struct cadvisor *cadvisor, const struct stats_record *record,
                         UNUSED size_t which, struct cadvisor_rows *rows)
{
    for (size_t i = 0; i < record->figures.n_io_devices; i++) {
        const struct cgroup_io_device *device = &record->figures.io_devices[i];
        struct cadvisor_row row = {
            .record = record,
            .after_container = device_name(cadvisor, device),
            .before_name = {
                arena_printf(cadvisor->arena, "%llu", (unsigned long long)device->major),
                arena_printf(cadvisor->arena, "%llu", (unsigned long long)device->minor)}};
        for (size_t kind = 0; kind < CGROUP_IO_KIND_COUNT; kind++) {
            if (!(device->has_bytes & (1U << kind)))
                continue;
            row.before_pod = cgroup_io_kind_name((enum cgroup_io_kind)kind);
            row.value = (double)device->bytes[kind];
            cadvisor_rows_add(rows, &row);
        }
    }
}

#define BY_DEVICE                                                                                  \
    {                                                                                              \
        .after_container = "device"                                                                \
    }
#define DISK_FAMILY(name, help, type, which)                                                       \
    {                                                                                              \
        name, help, type, BY_DEVICE, gather_disk, which                                            \
    }

static const struct cadvisor_family families[] = {
    {"container_blkio_device_usage_total",
     "Blkio Device bytes usage",
     METRIC_COUNTER,
     {.after_container = "device", .before_name = {"major", "minor"}, .before_pod = "operation"},
     gather_blkio,
     0},
    DISK_FAMILY("container_fs_inodes_free", "Number of available Inodes", METRIC_GAUGE,
                INODES_FREE),
    DISK_FAMILY("container_fs_inodes_total", "Number of Inodes", METRIC_GAUGE, INODES_TOTAL),
    {"container_fs_io_cost_indebt_seconds_total", "Cumulative IOCost debt in seconds",
     METRIC_COUNTER, BY_DEVICE, gather_cost, CGROUP_COST_INDEBT},
    {"container_fs_io_cost_indelay_seconds_total", "Cumulative IOCost delay in seconds",
     METRIC_COUNTER, BY_DEVICE, gather_cost, CGROUP_COST_INDELAY},
    {"container_fs_io_cost_usage_seconds_total", "Cumulative IOCost usage in seconds",
     METRIC_COUNTER, BY_DEVICE, gather_cost, CGROUP_COST_USAGE},
    {"container_fs_io_cost_wait_seconds_total", "Cumulative IOCost wait in seconds", METRIC_COUNTER,
     BY_DEVICE, gather_cost, CGROUP_COST_WAIT},
    DISK_FAMILY("container_fs_io_current", "Number of I/Os currently in progress", METRIC_GAUGE,
                IO_CURRENT),
    DISK_FAMILY("container_fs_io_time_seconds_total",
                "Cumulative count of seconds spent doing I/Os", METRIC_COUNTER, IO_TIME),
    DISK_FAMILY("container_fs_io_time_weighted_seconds_total",
                "Cumulative weighted I/O time in seconds", METRIC_COUNTER, IO_TIME_WEIGHTED),
    DISK_FAMILY("container_fs_limit_bytes",
                "Number of bytes that can be consumed by the container on this filesystem.",
                METRIC_GAUGE, LIMIT),
    DISK_FAMILY("container_fs_read_seconds_total", "Cumulative count of seconds spent reading",
                METRIC_COUNTER, READ_SECONDS),
    DISK_FAMILY("container_fs_reads_bytes_total", "Cumulative count of bytes read", METRIC_COUNTER,
                READS_BYTES),
    DISK_FAMILY("container_fs_reads_merged_total", "Cumulative count of reads merged",
                METRIC_COUNTER, READS_MERGED),
    DISK_FAMILY("container_fs_reads_total", "Cumulative count of reads completed", METRIC_COUNTER,
                READS),
    DISK_FAMILY("container_fs_sector_reads_total", "Cumulative count of sector reads completed",
                METRIC_COUNTER, SECTOR_READS),
    DISK_FAMILY("container_fs_sector_writes_total", "Cumulative count of sector writes completed",
                METRIC_COUNTER, SECTOR_WRITES),
    DISK_FAMILY("container_fs_usage_bytes",
                "Number of bytes that are consumed by the container on this filesystem.",
                METRIC_GAUGE, USAGE),
    DISK_FAMILY("container_fs_write_seconds_total", "Cumulative count of seconds spent writing",
                METRIC_COUNTER, WRITE_SECONDS),
    DISK_FAMILY("container_fs_writes_bytes_total", "Cumulative count of bytes written",
                METRIC_COUNTER, WRITES_BYTES),
    DISK_FAMILY("container_fs_writes_merged_total", "Cumulative count of writes merged",
                METRIC_COUNTER, WRITES_MERGED),
    DISK_FAMILY("container_fs_writes_total", "Cumulative count of writes completed", METRIC_COUNTER,
                WRITES),
};

void cadvisor_disk_list(struct cadvisor_list *list)
{
    for (size_t i = 0; i < ARRAY_SIZE(families); i++)
        cadvisor_list_add(list, families[i].name, cadvisor_write_rows, &families[i]);
}
