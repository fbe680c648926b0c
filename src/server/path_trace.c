#include "server/path_trace.h"

#include "base/path.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as the kernel */

static void add(struct path_trace *trace, const char *dir, const char *name)
{
    for (size_t i = 0; i < trace->count; i++) {
        if (text_eq(trace->spots[i].dir, dir) && text_eq(trace->spots[i].name, name))
            return;
    }
    if (trace->count < PATH_TRACE_MAX)
        trace->spots[trace->count++] = (struct path_spot){.dir = dir, .name = name};
}

/* NULL when it cannot be read. */
static const char *target_of(const char *link, struct arena *arena)
{
    char target[PATH_MAX];
    ssize_t len = readlink(link, target, sizeof(target));
    return len > 0 && (size_t)len < sizeof(target) ? arena_strndup(arena, target, (size_t)len)
                                                   : NULL;
}

/* The directory above @dir, which has no links, so that ".." means just that. */
static const char *above(const char *dir, struct arena *arena)
{
    AUTO(free) char *parent = path_dir(dir);
    return arena_strdup(arena, parent);
}

static const char *below(const char *dir, const char *name, struct arena *arena)
{
    return arena_printf(arena, "%s/%s", text_eq(dir, "/") ? "" : dir, name);
}

void path_trace_blocking(const char *path, struct arena *arena, struct path_trace *trace)
{
    const char *dir = "/"; /* as far as we are, without links */
    struct str rest = str_from(path), element;
    size_t links = 0;
    while (str_split_next(&rest, '/', &element)) {
        if (element.len == 0 || str_eq_c(element, "."))
            continue;
        if (str_eq_c(element, "..")) {
            dir = above(dir, arena);
            continue;
        }
        const char *name = arena_strndup(arena, element.ptr, element.len);
        const char *here = below(dir, name, arena);
        struct stat info;
        bool is_there = lstat(here, &info) == 0;
        bool is_dir = is_there && S_ISDIR(info.st_mode);
        if (!is_dir || rest.len == 0)
            add(trace, dir, name);
        if (is_dir) {
            dir = here;
            continue;
        }
        if (!is_there || !S_ISLNK(info.st_mode) || ++links > LINKS_MAX)
            return;
        const char *target = target_of(here, arena);
        if (!target)
            return;
        if (path_is_absolute(target))
            dir = "/";
        rest = str_from(arena_printf(arena, "%s/%.*s", target, STR_ARG(rest)));
    }
}
