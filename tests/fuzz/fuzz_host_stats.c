/* A pod names its interfaces: the list has an end, no name is one of the host's, and every name is
 * a piece of the text. Disks alike. */
#include "stats/host_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 64 * KiB)
        return 0;
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct str text = {.ptr = (const char *)data, .len = size};
    struct stats_interface *interfaces;
    size_t count = stats_parse_net_dev(text, arena, &interfaces);
    ASSERT(count <= STATS_MAX_INTERFACES);
    for (size_t i = 0; i < count; i++) {
        ASSERT(interfaces[i].name[0] != '\0' && !text_has_prefix(interfaces[i].name, "veth"));
        ASSERT(!text_eq(interfaces[i].name, "lo"));
    }
    struct stats_disk *disks;
    count = stats_parse_diskstats(text, arena, &disks);
    ASSERT(count <= STATS_MAX_DISKS);
    for (size_t i = 0; i < count; i++)
        ASSERT(stats_find_disk(disks, count, disks[i].major, disks[i].minor) != NULL);
    return 0;
}
