#include "pod/log_rotation.h"

#include "base/str.h"

#include <time.h>

#define TMP_SUFFIX ".tmp"
#define GZIP_SUFFIX ".gz"

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct log_file *)a)->name, ((const struct log_file *)b)->name);
}

static bool is_compressed(const char *name)
{
    return text_has_suffix(name, GZIP_SUFFIX);
}

/* @files are sorted. */
static bool has_sibling(const struct log_file *files, size_t count, const char *name)
{
    AUTO(free) char *sibling = xasprintf("%s" GZIP_SUFFIX, name);
    const struct log_file wanted = {.name = sibling};
    return bsearch(&wanted, files, count, sizeof(*files), by_name);
}

static bool is_unused(const struct log_file *files, size_t count, const char *name)
{
    if (text_has_suffix(name, TMP_SUFFIX))
        return true;
    return !is_compressed(name) && has_sibling(files, count, name);
}

void log_rotation_plan(struct log_file *files, size_t count, int32_t max_files)
{
    if (count == 0)
        return;
    qsort(files, count, sizeof(*files), by_name);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        bool unused = is_unused(files, count, files[i].name);
        files[i].fate = unused                         ? LOG_IS_DELETED
                        : is_compressed(files[i].name) ? LOG_STAYS
                                                       : LOG_IS_COMPRESSED;
        used += unused ? 0 : 1;
    }
    /* The log itself and the one that takes its place are files, too. */
    size_t room = max_files > 2 ? (size_t)max_files - 2 : 0;
    for (size_t i = 0; i < count && used > room; i++) {
        if (files[i].fate == LOG_IS_DELETED)
            continue;
        files[i].fate = LOG_IS_DELETED;
        used--;
    }
}

bool log_rotation_is_taken(const struct log_file *files, size_t count, const char *name)
{
    AUTO(free) char *compressed = xasprintf("%s" GZIP_SUFFIX, name);
    for (size_t i = 0; i < count; i++) {
        if (files[i].fate != LOG_IS_DELETED &&
            (strcmp(files[i].name, name) == 0 || strcmp(files[i].name, compressed) == 0))
            return true;
    }
    return false;
}

char *log_rotation_name(const char *log, int64_t now_wall_ns)
{
    struct tm local = {0};
    char stamp[sizeof("20060102-150405")];
    time_t seconds = (time_t)(now_wall_ns / NS_PER_SEC);
    if (!localtime_r(&seconds, &local) ||
        strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &local) == 0)
        return xasprintf("%s.%lld", log, (long long)seconds); /* a year of more than four digits */
    return xasprintf("%s.%s", log, stamp);
}
