#include "stats/oom_parse.h"

#define FACILITY_SHIFT 3 /* a priority is a facility and, in three bits, a level */

static const char kill_prefix[] = "oom-kill:";
static const char cgroup_key[] = "task_memcg=";
/* What the kernel writes right after the path, which may itself hold any character. */
static const char next_key[] = ",task=";

static bool is_from_kernel(struct str prefix)
{
    struct str rest = prefix, field;
    if (!str_split_next(&rest, ',', &field) || field.len == 0 || field.len > 4)
        return false;
    unsigned priority = 0;
    for (size_t i = 0; i < field.len; i++) {
        if (field.ptr[i] < '0' || field.ptr[i] > '9')
            return false;
        priority = priority * 10 + (unsigned)(field.ptr[i] - '0');
    }
    return priority >> FACILITY_SHIFT == 0;
}

/* Index of @part in @text, or text.len. */
static size_t find_part(struct str text, const char *part)
{
    const char *place = text.len > 0 ? memmem(text.ptr, text.len, part, strlen(part)) : NULL;
    return place ? (size_t)(place - text.ptr) : text.len;
}

bool oom_parse_record(struct str record, struct str *ret_cgroup)
{
    size_t start = str_find(record, ';');
    if (start == record.len || !is_from_kernel((struct str){.ptr = record.ptr, .len = start}))
        return false;
    struct str text = {.ptr = record.ptr + start + 1, .len = record.len - start - 1};
    text.len = str_find(text, '\n'); /* further lines are properties of the record */
    if (!str_has_prefix(text, kill_prefix))
        return false;
    size_t key = find_part(text, cgroup_key);
    if (key == text.len)
        return false;
    struct str path = {.ptr = text.ptr + key + sizeof(cgroup_key) - 1,
                       .len = text.len - key - (sizeof(cgroup_key) - 1)};
    size_t end = find_part(path, next_key);
    if (end == path.len || end == 0 || end > OOM_MAX_CGROUP_BYTES || path.ptr[0] != '/')
        return false;
    *ret_cgroup = (struct str){.ptr = path.ptr, .len = end};
    return true;
}
