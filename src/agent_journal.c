#include "agent_journal.h"

/* A value is "<wait ns> <restarted at ns>" in decimal. */
static void note_backoff(struct pods_journal *self, const char *key, int64_t wait_ns,
                         int64_t restarted_ns)
{
    struct agent_journal *journal = CONTAINER_OF(self, struct agent_journal, pods);
    if (wait_ns == 0) {
        journal_remove(journal->backoffs, key);
        return;
    }
    AUTO(free) char *value = xasprintf("%lld %lld", (long long)wait_ns, (long long)restarted_ns);
    journal_put(journal->backoffs, key, str_from(value));
}

struct load {
    void (*each)(void *ctx, const char *key, int64_t wait_ns, int64_t restarted_ns);
    void *ctx;
};

static void load_one(void *ctx, const char *key, struct str value)
{
    const struct load *load = ctx;
    struct str wait, restarted;
    int64_t wait_ns, restarted_ns;
    if (!str_split_next(&value, ' ', &wait) || !str_split_next(&value, ' ', &restarted))
        return;
    AUTO(free) char *wait_text = str_dup(wait);
    AUTO(free) char *restarted_text = str_dup(restarted);
    if (parse_i64(wait_text, 0, INT64_MAX, &wait_ns) &&
        parse_i64(restarted_text, 0, INT64_MAX, &restarted_ns))
        load->each(load->ctx, key, wait_ns, restarted_ns);
}

static void load_backoffs(struct pods_journal *self,
                          void (*each)(void *ctx, const char *key, int64_t wait_ns,
                                       int64_t restarted_ns),
                          void *ctx)
{
    const struct agent_journal *journal = CONTAINER_OF(self, struct agent_journal, pods);
    struct load load = {.each = each, .ctx = ctx};
    journal_visit(journal->backoffs, load_one, &load);
}

static void load_manifests(struct manifest_store *self,
                           void (*each)(void *ctx, const char *file, struct str pod), void *ctx)
{
    const struct agent_journal *journal = CONTAINER_OF(self, struct agent_journal, manifests);
    journal_visit(journal->manifests_file, each, ctx);
}

static void put_manifest(struct manifest_store *self, const char *file, struct str pod)
{
    journal_put(CONTAINER_OF(self, struct agent_journal, manifests)->manifests_file, file, pod);
}

static void remove_manifest(struct manifest_store *self, const char *file)
{
    journal_remove(CONTAINER_OF(self, struct agent_journal, manifests)->manifests_file, file);
}

static const struct manifest_store_vtable manifest_store_vtable = {
    .load = load_manifests, .put = put_manifest, .remove = remove_manifest};

static const struct pods_journal_vtable pods_journal_vtable = {.note_backoff = note_backoff,
                                                               .load_backoffs = load_backoffs};

struct error *agent_journal_open_blocking(struct work_pool *pool, const char *root_dir,
                                          struct agent_journal *ret)
{
    AUTO(free) char *dir = xasprintf("%s/journal", root_dir);
    *ret = (struct agent_journal){.pods.vtable = &pods_journal_vtable,
                                  .manifests.vtable = &manifest_store_vtable};
    struct error *err = journal_open_blocking(pool, dir, "backoff", &ret->backoffs);
    if (!err)
        err = journal_open_blocking(pool, dir, "manifests", &ret->manifests_file);
    return err;
}

void agent_journal_close(struct agent_journal *journal)
{
    journal_close(TAKE(journal->backoffs));
    journal_close(TAKE(journal->manifests_file));
}
