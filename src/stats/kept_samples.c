#include "stats/kept_samples.h"

#include "base/hash.h"

struct entry {
    int64_t read_ns;
    bool is_noted;
    struct cgroup_figures figures; /* without io_devices */
    UT_hash_handle hh;
    char path[];
};

struct stats_kept {
    struct entry *entries; /* hash head by path */
};

struct stats_kept *stats_kept_new(void)
{
    return xcalloc(1, sizeof(struct stats_kept));
}

static void forget(struct stats_kept *kept, struct entry *entry)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash unlinks it, unseen */
    HASH_DEL(kept->entries, entry);
    free(entry);
}

void stats_kept_free(struct stats_kept *kept)
{
    if (!kept)
        return;
    struct entry *entry, *next;
    HASH_ITER(hh, kept->entries, entry, next)
        forget(kept, entry);
    free(kept);
}

static struct entry *find(const struct stats_kept *kept, const char *path)
{
    struct entry *entry;
    HASH_FIND_STR(kept->entries, path, entry);
    return entry;
}

const struct cgroup_figures *stats_kept_find(const struct stats_kept *kept, const char *path)
{
    const struct entry *entry = find(kept, path);
    return entry ? &entry->figures : NULL;
}

static struct entry *add(struct stats_kept *kept, const char *path)
{
    size_t len = strlen(path);
    struct entry *entry = xcalloc(1, sizeof(*entry) + len + 1);
    memcpy(entry->path, path, len);
    HASH_ADD_KEYPTR(hh, kept->entries, entry->path, len, entry);
    return entry;
}

static uint64_t rate_of(const struct entry *before, int64_t read_ns,
                        const struct cgroup_figures *now)
{
    const struct cgroup_figures *then = &before->figures;
    if (then->inode != now->inode || !then->has_cpu || !now->has_cpu ||
        read_ns <= before->read_ns || now->cpu.total_ns < then->cpu.total_ns)
        return 0;
    double used_ns = (double)(now->cpu.total_ns - then->cpu.total_ns);
    double rate = used_ns / (double)(read_ns - before->read_ns) * (double)NS_PER_SEC;
    return rate < (double)INT64_MAX ? (uint64_t)rate : 0;
}

uint64_t stats_kept_note(struct stats_kept *kept, const char *path, int64_t read_ns,
                         const struct cgroup_figures *figures)
{
    struct entry *entry = find(kept, path);
    if (!entry)
        entry = add(kept, path);
    uint64_t rate = rate_of(entry, read_ns, figures);
    entry->figures = *figures;
    entry->figures.io_devices = NULL; /* in somebody else's arena */
    entry->figures.n_io_devices = 0;
    entry->read_ns = read_ns;
    entry->is_noted = true;
    return rate;
}

void stats_kept_end(struct stats_kept *kept)
{
    struct entry *entry, *next;
    HASH_ITER(hh, kept->entries, entry, next) {
        if (!entry->is_noted)
            forget(kept, entry);
        else
            entry->is_noted = false;
    }
}

size_t stats_kept_count(const struct stats_kept *kept)
{
    return HASH_COUNT(kept->entries);
}
