/* Control files of cgroups: whatever the kernel writes, every parser takes it or leaves it, and
 * what it takes stays within its lists. */
#include "cgroup/cgroup_parse.h"

#include <math.h>

static void check_devices(const struct cgroup_io_list *list)
{
    ASSERT(list->count <= CGROUP_MAX_IO_DEVICES);
    for (size_t i = 0; i < list->count; i++) {
        for (size_t j = 0; j < i; j++)
            ASSERT(list->items[i].major != list->items[j].major ||
                   list->items[i].minor != list->items[j].minor);
    }
}

static void check_pressure(struct str text)
{
    struct cgroup_pressure pressure = {0};
    if (cgroup_parse_pressure(text, &pressure))
        ASSERT(isfinite(pressure.some.avg10) && pressure.some.avg10 >= 0);
    else
        ASSERT(pressure.some.total_us == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 64 * KiB)
        return 0;
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct str text = {.ptr = (const char *)data, .len = size};
    struct cgroup_io_list list = {0};
    cgroup_parse_io_stat(text, arena, &list);
    cgroup_parse_blkio(text, true, arena, &list);
    cgroup_parse_blkio(text, false, arena, &list);
    check_devices(&list);
    check_pressure(text);

    struct cgroup_cpu_figures cpu = {0};
    struct cgroup_meminfo info;
    uint64_t number, limit;
    int64_t files;
    cgroup_parse_cpu_max(text, &cpu);
    cgroup_parse_meminfo(text, &info);
    if (cgroup_parse_number(text, &number))
        ASSERT(cgroup_parse_limit(text, &limit) && limit == number);
    if (cgroup_parse_open_files_limit(text, &files))
        ASSERT(files >= -1);
    struct str rest = text;
    int64_t pid;
    while (cgroup_next_pid(&rest, &pid))
        ASSERT(pid > 0 && pid <= INT32_MAX);
    return 0;
}
