#include "node/address_lookup.h"

#include "base/log.h"

struct address_lookup {
    struct work_pool *pool;
    const struct config *config;
    const char *node_name, *hostname;
    void (*on_done)(void *ctx, bool is_other);
    void *ctx;

    struct work *work;
    struct arena *arena; /* of: */
    struct node_addresses addresses;
    bool is_known;
};

struct job {
    struct arena *arena; /* of what follows */
    struct node_addresses_input input;
    struct node_addresses found;
    struct error *error;
};

static void run_blocking(void *job_pointer)
{
    struct job *job = job_pointer;
    job->error = node_addresses_find_blocking(&job->input, job->arena, &job->found);
}

/* Copied, for a worker. */
static struct node_addresses_input input_of(const struct address_lookup *lookup, bool is_quick,
                                            struct arena *arena)
{
    const struct config_list *ips = &lookup->config->node_ips;
    const char **copies = arena_calloc(arena, ips->count + 1, sizeof(*copies));
    for (size_t i = 0; i < ips->count; i++)
        copies[i] = arena_strdup(arena, ips->items[i]);
    return (struct node_addresses_input){.node_ips = copies,
                                         .hostname = arena_strdup(arena, lookup->hostname),
                                         .node_name = arena_strdup(arena, lookup->node_name),
                                         .is_quick = is_quick};
}

static bool is_same(const struct node_addresses *a, const struct node_addresses *b)
{
    bool is_same = a->count == b->count;
    for (size_t i = 0; is_same && i < a->count; i++)
        is_same = text_eq(a->items[i].type, b->items[i].type) &&
                  text_eq(a->items[i].address, b->items[i].address);
    return is_same;
}

static void on_work_done(void *ctx, void *job_pointer)
{
    struct address_lookup *lookup = ctx;
    struct job *job = job_pointer;
    bool is_other = !job->error && !(lookup->is_known && is_same(&lookup->addresses, &job->found));
    lookup->work = NULL;
    lookup->is_known = lookup->is_known || !job->error;
    if (job->error)
        log_error("Failed to set some node status fields", LOG_STR("node", lookup->node_name),
                  LOG_ERR(job->error));
    if (is_other) {
        arena_free(lookup->arena);
        lookup->arena = TAKE(job->arena);
        lookup->addresses = job->found;
    }
    lookup->on_done(lookup->ctx, is_other);
}

static void release(void *job_pointer)
{
    struct job *job = job_pointer;
    arena_free(job->arena);
    error_free(job->error);
    free(job);
}

struct address_lookup *address_lookup_new(struct work_pool *pool, const struct config *config,
                                          const char *node_name, const char *hostname,
                                          void (*on_done)(void *ctx, bool is_other), void *ctx)
{
    struct address_lookup *lookup = xcalloc(1, sizeof(*lookup));
    *lookup = (struct address_lookup){.pool = pool,
                                      .config = config,
                                      .node_name = node_name,
                                      .hostname = hostname,
                                      .on_done = on_done,
                                      .ctx = ctx};
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct node_addresses_input input = input_of(lookup, true, arena);
    struct error *err = node_addresses_find_blocking(&input, arena, &lookup->addresses);
    lookup->is_known = !err;
    if (!err)
        lookup->arena = TAKE(arena);
    error_ignore(err, "the resolver may know better");
    return lookup;
}

void address_lookup_free(struct address_lookup *lookup)
{
    if (!lookup)
        return;
    work_cancel(lookup->work);
    arena_free(lookup->arena);
    free(lookup);
}

void address_lookup_start(struct address_lookup *lookup)
{
    static const struct work_vtable vtable = {.name = "node addresses",
                                              .class = WORK_SLOW,
                                              .run_blocking = run_blocking,
                                              .on_done = on_work_done,
                                              .release = release};
    if (lookup->work)
        return;
    struct job *job = xcalloc(1, sizeof(*job));
    job->arena = arena_new(0);
    job->input = input_of(lookup, false, job->arena);
    lookup->work = work_start(lookup->pool, &vtable, job, lookup);
}

const struct node_addresses *address_lookup_get(const struct address_lookup *lookup)
{
    return lookup->is_known ? &lookup->addresses : NULL;
}
