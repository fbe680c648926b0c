#include "stats/kept_samples.h"

#include "base/hash.h"

struct entry {
    uint64_t inode;
    int64_t created_ns, read_ns;
    bool has_cpu, is_noted;
    uint64_t cpu_total_ns;
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

uint64_t stats_kept_inode(const struct stats_kept *kept, const char *path)
{
    const struct entry *entry = find(kept, path);
    return entry ? entry->inode : 0;
}

static struct entry *add(struct stats_kept *kept, const char *path)
{
    size_t len = strlen(path);
    struct entry *entry = xcalloc(1, sizeof(*entry) + len + 1);
    memcpy(entry->path, path, len);
    HASH_ADD_KEYPTR(hh, kept->entries, entry->path, len, entry);
    return entry;
}

static uint64_t rate_of(const struct entry *before, const struct stats_sample *now)
{
    if (!before->has_cpu || !now->has_cpu || now->read_ns <= before->read_ns ||
        now->cpu_total_ns < before->cpu_total_ns)
        return 0;
    double used_ns = (double)(now->cpu_total_ns - before->cpu_total_ns);
    double rate = used_ns / (double)(now->read_ns - before->read_ns) * (double)NS_PER_SEC;
    return rate < (double)INT64_MAX ? (uint64_t)rate : 0;
}

uint64_t stats_kept_note(struct stats_kept *kept, const struct stats_sample *sample,
                         int64_t *ret_created_ns)
{
    struct entry *entry = find(kept, sample->path);
    if (!entry)
        entry = add(kept, sample->path);
    bool is_same = entry->inode == sample->inode;
    uint64_t rate = is_same ? rate_of(entry, sample) : 0;
    if (!is_same || entry->created_ns == 0)
        entry->created_ns = sample->created_ns;
    entry->inode = sample->inode;
    entry->read_ns = sample->read_ns;
    entry->has_cpu = sample->has_cpu;
    entry->cpu_total_ns = sample->cpu_total_ns;
    entry->is_noted = true;
    *ret_created_ns = entry->created_ns;
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
