#include "base/resident.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"

#include <malloc.h>
#include <sys/mman.h>

#define MAPS_MAX_BYTES (1 * MiB)

/* "55d0-55e0 r-xp 00001000 fe:00 1234  /usr/sbin/x": text of a file, which is never written to, so
 * that dropping it loses nothing. */
static void trim_mapping(struct str line)
{
    struct str range, access, offset, device, inode;
    if (!str_split_next(&line, ' ', &range) || !str_split_next(&line, ' ', &access) ||
        !str_split_next(&line, ' ', &offset) || !str_split_next(&line, ' ', &device) ||
        !str_split_next(&line, ' ', &inode))
        return;
    if (!str_eq_c(access, "r-xp") || str_eq_c(inode, "0"))
        return;
    AUTO(free) char *text = str_dup(range);
    char *end = NULL;
    uintptr_t first = (uintptr_t)strtoull(text, &end, 16);
    if (*end != '-')
        return;
    uintptr_t last = (uintptr_t)strtoull(end + 1, &end, 16);
    if (*end == '\0' && last > first)
        madvise((void *)first, last - first, MADV_DONTNEED); /* NOLINT(performance-no-int-to-ptr) */
}

void resident_trim(void)
{
    AUTO(buf) struct buf maps;
    buf_init(&maps, MAPS_MAX_BYTES);
    AUTO(error) struct error *err = fd_read_file_blocking("/proc/self/maps", &maps);
    struct str rest = buf_str(&maps), line;
    while (!err && str_split_next(&rest, '\n', &line))
        trim_mapping(line);
    resident_trim_heap();
}

void resident_trim_heap(void)
{
    malloc_trim(0);
}
