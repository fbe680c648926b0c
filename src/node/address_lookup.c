#include "node/address_lookup.h"

#include "base/log.h"

struct address_lookup {
    struct work_pool *pool;
    const struct config *config;
    const char *node_name, *hostname;
    void (*on_done)(void *ctx, bool is_other);
    void *ctx;

    struct work *work;
    int64_t looked_ns; /* mono: when the last look-up began; 0: there was none */
    char *quick;       /* what the machine knew by itself then, as text; owned */

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

/* False: the machine has no address that it could tell without the resolver. */
static bool look_quickly(const struct address_lookup *lookup, struct arena *arena,
                         struct node_addresses *ret)
{
    const struct node_addresses_input input = input_of(lookup, true, arena);
    struct error *err = node_addresses_find_blocking(&input, arena, ret);
    bool is_found = !err;
    error_ignore(err, "the resolver may know better");
    return is_found;
}

/* False: an address that is known is this machine's no more. */
static bool is_still_here(const struct address_lookup *lookup, struct arena *arena)
{
    const char *ips[NODE_MAX_ADDRESSES + 1] = {NULL};
    size_t count = 0;
    for (size_t i = 0; i < lookup->addresses.count; i++) {
        if (text_eq(lookup->addresses.items[i].type, "InternalIP"))
            ips[count++] = lookup->addresses.items[i].address;
    }
    const struct node_addresses_input input = {.node_ips = ips,
                                               .hostname = lookup->hostname,
                                               .node_name = lookup->node_name,
                                               .is_quick = true};
    struct node_addresses ignored;
    AUTO(error) struct error *err = node_addresses_find_blocking(&input, arena, &ignored);
    return count == 0 || !err;
}

static const char *text_of(const struct node_addresses *addresses, struct arena *arena)
{
    const char *text = "";
    for (size_t i = 0; i < addresses->count; i++)
        text = arena_printf(arena, "%s%s=%s,", text, addresses->items[i].type,
                            addresses->items[i].address);
    return text;
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
    lookup->arena = arena_new(0);
    lookup->is_known = look_quickly(lookup, lookup->arena, &lookup->addresses);
    lookup->quick = xstrdup(text_of(&lookup->addresses, lookup->arena));
    return lookup;
}

void address_lookup_free(struct address_lookup *lookup)
{
    if (!lookup)
        return;
    work_cancel(lookup->work);
    arena_free(lookup->arena);
    free(lookup->quick);
    free(lookup);
}

void address_lookup_start(struct address_lookup *lookup, int64_t now_ns)
{
    static const struct work_vtable vtable = {.name = "node addresses",
                                              .class = WORK_SLOW,
                                              .run_blocking = run_blocking,
                                              .on_done = on_work_done,
                                              .release = release};
    if (lookup->work)
        return;
    lookup->looked_ns = now_ns;
    struct job *job = xcalloc(1, sizeof(*job));
    job->arena = arena_new(0);
    job->input = input_of(lookup, false, job->arena);
    lookup->work = work_start(lookup->pool, &vtable, job, lookup);
}

void address_lookup_refresh(struct address_lookup *lookup, int64_t now_ns)
{
    if (lookup->work) /* it may have begun before what would be seen now; the next period sees it */
        return;
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_addresses found = {0};
    bool is_certain = look_quickly(lookup, arena, &found) && found.is_certain;
    const char *quick = text_of(&found, arena);
    bool is_due = sat_sub_i64(now_ns, lookup->looked_ns) >= ADDRESS_LOOKUP_PERIOD_NS;
    bool is_known = lookup->is_known && is_same(&found, &lookup->addresses);
    if (is_certain ? is_known
                   : !is_due && text_eq(quick, lookup->quick) && is_still_here(lookup, arena))
        return;
    free(lookup->quick);
    lookup->quick = xstrdup(quick);
    address_lookup_start(lookup, now_ns);
}

bool address_lookup_is_certain(const struct address_lookup *lookup)
{
    return lookup->is_known && lookup->addresses.is_certain;
}

const struct node_addresses *address_lookup_get(const struct address_lookup *lookup)
{
    return lookup->is_known ? &lookup->addresses : NULL;
}
