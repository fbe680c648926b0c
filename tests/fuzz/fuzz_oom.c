/* Records of the kernel's log: what is told as a cgroup is a path, a piece of the record, and no
 * longer than promised. */
#include "stats/oom_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str record = {.ptr = (const char *)data, .len = size};
    struct str cgroup;
    if (!oom_parse_record(record, &cgroup))
        return 0;
    ASSERT(cgroup.len > 0 && cgroup.len <= OOM_MAX_CGROUP_BYTES && cgroup.ptr[0] == '/');
    ASSERT(cgroup.ptr >= record.ptr && cgroup.ptr + cgroup.len <= record.ptr + record.len);
    ASSERT(str_find(cgroup, '\n') == cgroup.len);
    return 0;
}
