/* The keeper against a server played by the test, on virtual time. What it asks and what it tells
 * are one transcript. */
#include "node/node_keeper.h"

#include "kube/patch.h"
#include "tests/lib/metrics_read.h"
#include "tests/lib/test.h"
#include "tests/unit/kube/fake_api_client.h"
#include "tests/unit/kube/fake_loop.h"
#include "tests/unit/node/node_bed.h"

#define UID "285cb629-dd94-4cd8-9a24-0f959153238e"
#define GET_NODE "GET /api/v1/nodes/node-a\n"
#define PATCH_NODE "PATCH /api/v1/nodes/node-a/status\n"
#define POST_NODE "POST /api/v1/nodes\n"
#define NOT_READY "Ready=False"

struct work {
    const struct work_vtable *vtable;
    void *job, *ctx;
};

struct bench {
    struct node_bed bed;
    struct loop *loop;
    struct metrics *metrics;
    struct api_client *client, *heartbeat;
    struct node_keeper *keeper;
    const char *not_ready[2];
    size_t n_not_ready;
    bool memory_pressure;
    size_t n_images;
    const char *told; /* by callbacks and events, one a line */
    size_t read_of_log[2];
    unsigned rereads;
    bool is_slow;              /* the resolver does not answer */
    const char *quick_address; /* known without it */
    bool is_certain;           /* it has no choice */
    bool has_lost_one;         /* that was known */
    unsigned looks;            /* at the machine itself */
    /* A server's memory. */
    Core__Node *node;
    unsigned version, uids;
    bool is_create_forbidden;
    bool is_behind; /* the watch tells nothing */
    struct fake_exchange *watch;
};

/* The work pool and the recorder have no context that a test could reach. */
static struct bench *current;

static void tell(struct bench *bench, const char *format, ...) PRINTF_LIKE(2, 3);
static void tell(struct bench *bench, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *line = arena_vprintf(bench->bed.arena, format, args);
    va_end(args);
    bench->told = arena_printf(bench->bed.arena, "%s%s\n", bench->told, line);
}

/* What was told since the last call. */
static const char *told(struct bench *bench)
{
    const char *text = bench->told;
    bench->told = "";
    return text;
}

/* --- what surrounds the keeper --- */

void event_record(UNUSED struct event_recorder *recorder, const Core__ObjectReference *object,
                  enum event_type type, const char *reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *message = arena_vprintf(current->bed.arena, format, args);
    va_end(args);
    assert_string_equal(object->kind, "Node");
    assert_string_equal(object->api_version, "v1");
    assert_string_equal(object->name, "node-a");
    assert_null(object->uid);
    tell(current, "event %s%s: %s", type == EVENT_WARNING ? "Warning " : "", reason, message);
}

static struct work *pending_work;

struct work *work_start(UNUSED struct work_pool *pool, const struct work_vtable *vtable,
                        void *job_owned, void *ctx)
{
    assert_null(pending_work);
    pending_work = xcalloc(1, sizeof(*pending_work));
    *pending_work = (struct work){.vtable = vtable, .job = job_owned, .ctx = ctx};
    return pending_work;
}

void work_cancel(struct work *work)
{
    if (!work)
        return;
    assert_ptr_equal(work, pending_work);
    pending_work = NULL;
    work->vtable->release(work->job);
    free(work);
}

static void run_work(void)
{
    struct work *work = TAKE(pending_work);
    if (!work)
        return;
    work->vtable->run_blocking(work->job);
    work->vtable->on_done(work->ctx, work->job);
    work->vtable->release(work->job);
    free(work);
}

struct error *node_addresses_find_blocking(const struct node_addresses_input *input,
                                           UNUSED struct arena *arena, struct node_addresses *ret)
{
    assert_string_equal(input->hostname, "node-a");
    assert_string_equal(input->node_name, "node-a");
    if (input->node_ips[0]) { /* is it still there? */
        *ret = current->bed.addresses;
        return current->has_lost_one ? error_new(ERROR_NOT_FOUND, "not there") : NULL;
    }
    current->looks += input->is_quick;
    if (input->is_quick && current->quick_address) {
        *ret = (struct node_addresses){
            .count = 2,
            .items = {{"InternalIP", current->quick_address}, {"Hostname", "node-a"}},
            .is_certain = current->is_certain};
        return NULL;
    }
    if (input->is_quick || current->bed.addresses.count == 0)
        return error_new(ERROR_NOT_FOUND, "can't get ip address of node node-a. error: none");
    *ret = current->bed.addresses;
    return NULL;
}

static void fill(void *ctx, struct node_status_input *input)
{
    struct bench *bench = ctx;
    int64_t now_ns = input->now_ns;
    assert_int_equal(now_ns, loop_now_wall_ns(bench->loop));
    *input = bench->bed.input;
    input->now_ns = now_ns;
    input->not_ready = bench->not_ready;
    input->n_not_ready = bench->n_not_ready;
    input->memory_pressure = bench->memory_pressure;
    input->n_images = bench->n_images;
}

static void on_node(void *ctx, const struct kube_object *node)
{
    struct bench *bench = ctx;
    tell(bench, "node %s", node ? kube_object_version(node) : "gone");
}

static void on_synced(void *ctx)
{
    tell(ctx, "synced");
}

static void on_pod_cidr(void *ctx, const char *cidrs)
{
    tell(ctx, "cidrs %s", cidrs);
}

static void on_addresses(void *ctx, const struct node_addresses *addresses)
{
    assert_true(addresses->count > 0);
    tell(ctx, "addresses %s", addresses->items[0].address);
}

static void on_reread(void *ctx)
{
    ((struct bench *)ctx)->rereads++;
}

static void make_keeper(struct bench *bench)
{
    bench->keeper =
        node_keeper_new(&(struct node_keeper_options){.loop = bench->loop,
                                                      .transport = fake_transport(bench->heartbeat),
                                                      .client = bench->client,
                                                      .heartbeat = bench->heartbeat,
                                                      .fill = fill,
                                                      .fill_ctx = bench,
                                                      .on_node = on_node,
                                                      .on_synced = on_synced,
                                                      .on_addresses = on_addresses,
                                                      .on_pod_cidr = on_pod_cidr,
                                                      .ctx = bench,
                                                      .config = &bench->bed.config,
                                                      .facts = &bench->bed.facts,
                                                      .machine = &bench->bed.machine,
                                                      .metrics = bench->metrics,
                                                      .process_began_ns = 1});
}

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){.told = "", .version = 10, .n_images = 1};
    bed_init(&bench->bed);
    bench->bed.config.cluster.register_node = true;
    bench->bed.config.cluster.node_status_update_frequency_ns = 10 * NS_PER_SEC;
    bench->bed.config.cluster.node_status_report_frequency_ns = 300 * NS_PER_SEC;
    bench->metrics = metrics_new();
    current = bench;
    pending_work = NULL;
    assert_no_error(loop_new(&bench->loop));
    bench->client = fake_api_client_new(bench->loop);
    bench->heartbeat = fake_api_client_new(bench->loop);
    make_keeper(bench);
}

static void auto_release_bench(struct bench *bench)
{
    node_keeper_free(bench->keeper);
    metrics_free(bench->metrics);
    assert_null(pending_work);
    assert_int_equal(fake_pending(bench->client), 0);
    assert_int_equal(fake_pending(bench->heartbeat), 0);
    fake_loop_advance(bench->loop, 0);
    assert_int_equal(fake_loop_live(bench->loop), 0);
    api_client_free(bench->client);
    api_client_free(bench->heartbeat);
    loop_free(bench->loop);
    auto_release_bed(&bench->bed);
}

/* --- the server --- */

static void store(struct bench *bench, ProtobufCMessage *object, bool is_new)
{
    Meta__ObjectMeta *meta = kube_object_ensure_meta(object, bench->bed.arena);
    meta->resource_version = arena_printf(bench->bed.arena, "%u", ++bench->version);
    if (is_new)
        meta->uid = arena_printf(bench->bed.arena, UID "%u", bench->uids++);
    bench->node = (Core__Node *)object;
}

static void show(struct bench *bench, enum watch_event_type type, const ProtobufCMessage *object)
{
    if (bench->watch && bench->watch->is_open && !bench->is_behind)
        bench->watch = fake_send(bench->watch, type, object);
}

static void remove_node(struct bench *bench)
{
    const ProtobufCMessage *gone = &bench->node->base;
    bench->version++;
    bench->node = NULL;
    show(bench, WATCH_DELETED, gone);
}

static void apply(struct bench *bench, const char *patch_text)
{
    struct arena *arena = bench->bed.arena;
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    const struct doc_parse_options parse = {.max_bytes = MiB};
    const struct doc_node *before = NULL, *patch = NULL, *after = NULL;
    ProtobufCMessage *object = NULL;
    assert_no_error(kube_message_to_document(&bench->node->base, NULL, arena, &before));
    assert_no_error(json_parse(str_from(patch_text), &parse, arena, &patch));
    assert_no_error(kube_patch_strategic(before, patch, &core__node__descriptor, arena, &after));
    assert_no_error(kube_decode_document(after, &core__node__descriptor, &options, arena, &object));
    store(bench, object, false);
}

static void answer_watch(struct bench *bench, struct fake_exchange *watch)
{
    AUTO(free) char *version = xasprintf("%u", bench->version);
    bench->watch = fake_open(watch);
    if (bench->node)
        bench->watch = fake_send(bench->watch, WATCH_ADDED, &bench->node->base);
    bench->watch = fake_send_bookmark(bench->watch, version, true);
}

static void answer(struct bench *bench, struct fake_exchange *request)
{
    bool is_create = request->verb == API_CREATE;
    if (request->is_watch) {
        answer_watch(bench, request);
    } else if (is_create && bench->is_create_forbidden) {
        fake_fail(request, 403, "Forbidden", "nodes is forbidden");
    } else if (is_create && bench->node) {
        fake_fail(request, 409, "AlreadyExists", "nodes \"node-a\" already exists");
    } else if (is_create) {
        store(bench, kube_message_dup(request->body, bench->bed.arena), true);
        fake_reply(request, &bench->node->base);
        show(bench, WATCH_ADDED, &bench->node->base);
    } else if (!bench->node) {
        fake_fail(request, 404, "NotFound", "nodes \"node-a\" not found");
    } else if (request->patch) {
        apply(bench, request->patch);
        fake_reply(request, &bench->node->base);
        show(bench, WATCH_MODIFIED, &bench->node->base);
    } else {
        fake_reply(request, &bench->node->base);
    }
}

/* The oldest request that waits for an answer, of either client; NULL: none does. */
static struct fake_exchange *waiting(const struct bench *bench)
{
    struct fake_exchange *exchange = fake_first(bench->client);
    while (exchange && exchange->is_open)
        exchange = exchange->next;
    return exchange ? exchange : fake_first(bench->heartbeat);
}

static void settle(struct bench *bench)
{
    for (int i = 0; i < 100; i++) {
        fake_loop_advance(bench->loop, 0);
        if (!bench->is_slow)
            run_work();
        struct fake_exchange *request = waiting(bench);
        if (!request)
            return;
        answer(bench, request);
    }
    fail_msg("it does not come to rest");
}

static void start(struct bench *bench)
{
    node_keeper_start(bench->keeper);
    settle(bench);
}

static void pass(struct bench *bench, int64_t duration_ns)
{
    int64_t end_ns = loop_now_mono_ns(bench->loop) + duration_ns;
    settle(bench);
    while (loop_now_mono_ns(bench->loop) < end_ns) {
        int64_t left_ns = end_ns - loop_now_mono_ns(bench->loop);
        int64_t next_ns = fake_loop_next(bench->loop);
        fake_loop_advance(bench->loop,
                          next_ns >= 0 ? min_i64(max_i64(next_ns, 0), left_ns) : left_ns);
        settle(bench);
    }
}

/* What was asked since the last call, but the watches; of both clients, the first's first. */
static const char *asked(struct bench *bench)
{
    const struct api_client *clients[] = {bench->client, bench->heartbeat};
    const char *all = "";
    for (size_t c = 0; c < ARRAY_SIZE(clients); c++) {
        for (; bench->read_of_log[c] < fake_started(clients[c]); bench->read_of_log[c]++) {
            const char *line = fake_log(clients[c], bench->read_of_log[c]);
            if (!text_has_prefix(line, "WATCH "))
                all = arena_printf(bench->bed.arena, "%s%s\n", all, line);
        }
    }
    return all;
}

static void forget(struct bench *bench)
{
    (void)asked(bench);
    (void)told(bench);
}

static void not_ready(struct bench *bench, const char *text)
{
    bench->not_ready[0] = text;
    bench->n_not_ready = text ? 1 : 0;
}

static const char *ready_of(struct bench *bench)
{
    const Core__NodeStatus *status = bench->node->status;
    for (size_t i = 0; i < status->n_conditions; i++) {
        if (text_eq(status->conditions[i]->type, "Ready"))
            return status->conditions[i]->status;
    }
    return "absent";
}

/* --- registration --- */

TEST_CASE(a_fresh_node_is_registered_and_becomes_ready_at_once)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    not_ready(&bench, "CSINode is not yet initialized");
    assert_string_equal(asked(&bench), "");
    node_keeper_start(bench.keeper);
    node_keeper_start(bench.keeper);
    assert_string_equal(fake_log(bench.client, 0),
                        "WATCH /api/v1/nodes?allowWatchBookmarks=true&fieldSelector=metadata.name"
                        "%3Dnode-a&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&"
                        "timeout=5m0s&timeoutSeconds=300&watch=true");
    assert_false(node_keeper_has_synced(bench.keeper));
    settle(&bench);
    assert_string_equal(asked(&bench), POST_NODE);
    assert_string_equal(
        told(&bench),
        "event Starting: Starting kubelet.\n"
        "addresses 10.99.1.2\n"
        "event NodeHasSufficientMemory: Node node-a status is now: NodeHasSufficientMemory\n"
        "event NodeHasNoDiskPressure: Node node-a status is now: NodeHasNoDiskPressure\n"
        "event NodeHasSufficientPID: Node node-a status is now: NodeHasSufficientPID\n"
        "synced\nnode 11\n");
    assert_true(node_keeper_has_synced(bench.keeper));
    assert_true(node_keeper_is_registered(bench.keeper));
    assert_int_equal(node_keeper_reported_ns(bench.keeper), loop_now_wall_ns(bench.loop));
    assert_string_equal(ready_of(&bench), "False");
    static const char startup[] = "kubelet_node_startup_duration_seconds";
    assert_float_equal(metrics_value(bench.metrics, startup, ""), 0, 0);
    not_ready(&bench, NULL);
    node_keeper_wake(bench.keeper);
    node_keeper_wake(bench.keeper);
    settle(&bench);
    assert_string_equal(asked(&bench), PATCH_NODE);
    assert_string_equal(told(&bench),
                        "event NodeReady: Node node-a status is now: NodeReady\nnode 12\n");
    assert_string_equal(ready_of(&bench), "True");
    assert_float_equal(metrics_value(bench.metrics, startup, ""),
                       (double)loop_now_mono_ns(bench.loop) / NS_PER_SEC, 1e-3);
    assert_string_equal(bench.node->status->addresses[0]->address, "10.99.1.2");
}

TEST_CASE(a_node_that_exists_is_read_reconciled_and_reported)
{
    static const struct {
        const char *name, *node;
        bool is_forbidden;
        const char *asked;
    } rows[] = {
        {"one of a former life", "{'metadata': {'name': 'node-a'}}", false,
         POST_NODE GET_NODE PATCH_NODE PATCH_NODE},
        {"one that we may not create", "{'metadata': {'name': 'node-a'}}", true,
         POST_NODE GET_NODE PATCH_NODE PATCH_NODE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        bench.is_create_forbidden = rows[i].is_forbidden;
        store(&bench, &bed_node(&bench.bed, rows[i].node)->base, true);
        start(&bench);
        const char *requests = asked(&bench);
        if (!text_eq(requests, rows[i].asked))
            fail_msg("%s: %s", rows[i].name, requests);
        assert_true(node_keeper_is_registered(bench.keeper));
        assert_string_equal(ready_of(&bench), "True");
        /* A restart: nothing differs, the status is reported all the same. */
        node_keeper_free(bench.keeper);
        make_keeper(&bench);
        forget(&bench);
        start(&bench);
        assert_string_equal(asked(&bench), POST_NODE GET_NODE PATCH_NODE);
        assert_null(strstr(told(&bench), "NodeReady"));
    }
}

TEST_CASE(registering_is_tried_for_ever_more_and_more_slowly)
{
    static const int64_t pauses_ms[] = {100, 200, 400, 800, 1600, 3200, 6400, 7000, 7000};
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    node_keeper_start(bench.keeper);
    answer(&bench, waiting(&bench));
    run_work();
    (void)told(&bench);
    for (size_t i = 0; i < ARRAY_SIZE(pauses_ms); i++) {
        assert_string_equal(asked(&bench), POST_NODE);
        if (i % 2)
            fake_lose(waiting(&bench));
        else
            fake_fail(waiting(&bench), 500, "InternalError", "oh");
        assert_false(node_keeper_is_registered(bench.keeper));
        assert_string_equal(node_keeper_error(bench.keeper)->message,
                            i % 2 ? "registering the node: dial tcp 10.0.0.1:6443: connect: "
                                    "connection refused"
                                  : "registering the node: oh");
        fake_loop_advance(bench.loop, pauses_ms[i] * NS_PER_MS - 1);
        assert_string_equal(asked(&bench), "");
        fake_loop_advance(bench.loop, 1);
    }
    settle(&bench);
    assert_true(node_keeper_is_registered(bench.keeper));
    assert_null(node_keeper_error(bench.keeper));
    assert_string_equal(told(&bench), "node 11\n"); /* pressure was told once */
}

TEST_CASE(a_node_that_is_not_to_register_waits_for_its_object)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    node_keeper_free(bench.keeper);
    bench.bed.config.cluster.register_node = false;
    make_keeper(&bench);
    start(&bench);
    pass(&bench, 60 * NS_PER_SEC);
    assert_string_equal(asked(&bench), "");
    assert_true(node_keeper_has_synced(bench.keeper));
    assert_false(node_keeper_is_registered(bench.keeper));
    store(&bench, &bed_node(&bench.bed, "{'metadata': {'name': 'node-a'}}")->base, true);
    show(&bench, WATCH_ADDED, &bench.node->base);
    settle(&bench);
    assert_string_equal(asked(&bench), PATCH_NODE);
    assert_true(node_keeper_is_registered(bench.keeper));
    assert_string_equal(ready_of(&bench), "True");
    remove_node(&bench);
    pass(&bench, 60 * NS_PER_SEC);
    assert_string_equal(asked(&bench), "");
    assert_false(node_keeper_is_registered(bench.keeper));
}

TEST_CASE(the_resolver_is_waited_for_but_not_for_long)
{
    static const char *const quick[] = {NULL, "10.99.1.9"};
    for (size_t i = 0; i < ARRAY_SIZE(quick); i++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        bench.is_slow = true;
        bench.quick_address = quick[i];
        node_keeper_free(bench.keeper);
        make_keeper(&bench);
        start(&bench);
        node_keeper_wake(bench.keeper);
        pass(&bench, 49 * NS_PER_MS);
        assert_string_equal(asked(&bench), "");
        pass(&bench, NS_PER_MS);
        assert_string_equal(asked(&bench), POST_NODE);
        assert_int_equal(bench.node->status->n_addresses, 2 * i);
        if (i > 0)
            assert_string_equal(bench.node->status->addresses[0]->address, quick[i]);
        bench.is_slow = false;
        settle(&bench);
        assert_string_equal(asked(&bench), PATCH_NODE);
        assert_int_equal(bench.node->status->n_addresses, 2);
        assert_string_equal(bench.node->status->addresses[0]->address, "10.99.1.2");
    }
}

TEST_CASE(the_resolver_is_left_alone_where_it_has_no_choice)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    bench.quick_address = "10.99.1.9";
    bench.is_certain = bench.is_slow = true;
    node_keeper_free(bench.keeper);
    make_keeper(&bench);
    start(&bench);
    assert_string_equal(asked(&bench), POST_NODE);
    pass(&bench, 3600 * NS_PER_SEC);
    assert_null(pending_work);
    assert_in_range(bench.looks, 300, 400);
    /* Another address, or another interface, is a reason to look. */
    bench.is_certain = false;
    pass(&bench, 11 * NS_PER_SEC);
    assert_non_null(pending_work);
    run_work();
    settle(&bench);
    assert_string_equal(bench.node->status->addresses[0]->address, "10.99.1.2");
    /* What the resolver had chosen is gone, and leaves one. */
    bench.is_certain = true;
    bench.bed.addresses.items[0].address = "10.99.1.9";
    pass(&bench, 11 * NS_PER_SEC);
    assert_non_null(pending_work);
    run_work();
    settle(&bench);
    assert_string_equal(bench.node->status->addresses[0]->address, "10.99.1.9");
}

TEST_CASE(the_resolver_is_asked_when_the_machine_changes_and_now_and_then)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    bench.quick_address = "10.99.1.2";
    node_keeper_free(bench.keeper);
    make_keeper(&bench);
    start(&bench);
    bench.is_slow = true;
    pass(&bench, 289 * NS_PER_SEC);
    assert_null(pending_work);
    pass(&bench, 11 * NS_PER_SEC);
    assert_non_null(pending_work);
    run_work();
    bench.quick_address = "10.99.1.3"; /* the name says what it said */
    pass(&bench, 10 * NS_PER_SEC);
    assert_non_null(pending_work);
    run_work();
    pass(&bench, 200 * NS_PER_SEC);
    assert_null(pending_work);
    assert_string_equal(bench.node->status->addresses[0]->address, "10.99.1.2");
    /* What was chosen by name is gone, though the default route is the same. */
    bench.has_lost_one = true;
    pass(&bench, 10 * NS_PER_SEC);
    assert_non_null(pending_work);
}

/* --- the object goes --- */

TEST_CASE(a_node_that_was_deleted_is_registered_again)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    start(&bench);
    pass(&bench, 70 * NS_PER_SEC);
    forget(&bench);
    remove_node(&bench);
    assert_false(node_keeper_is_registered(bench.keeper));
    settle(&bench);
    assert_string_equal(asked(&bench), POST_NODE);
    assert_string_equal(
        told(&bench),
        "node gone\n"
        "event NodeHasSufficientMemory: Node node-a status is now: NodeHasSufficientMemory\n"
        "event NodeHasNoDiskPressure: Node node-a status is now: NodeHasNoDiskPressure\n"
        "event NodeHasSufficientPID: Node node-a status is now: NodeHasSufficientPID\n"
        "node 13\n");
    assert_string_equal(node_keeper_best(bench.keeper)->metadata->uid, UID "1");
}

/* Deleted and made by somebody else while the watch was away: the list shows another uid. */
TEST_CASE(a_node_that_was_replaced_is_as_good_as_gone)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    start(&bench);
    pass(&bench, 70 * NS_PER_SEC);
    forget(&bench);
    store(&bench, &bed_node(&bench.bed, "{'metadata': {'name': 'node-a'}}")->base, true);
    show(&bench, WATCH_MODIFIED, &bench.node->base);
    assert_string_equal(told(&bench), "node gone\n"
                                      "event NodeHasSufficientMemory: Node node-a status is now: "
                                      "NodeHasSufficientMemory\n"
                                      "event NodeHasNoDiskPressure: Node node-a status is now: "
                                      "NodeHasNoDiskPressure\n"
                                      "event NodeHasSufficientPID: Node node-a status is now: "
                                      "NodeHasSufficientPID\n"
                                      "node 12\n");
    settle(&bench);
    assert_string_equal(asked(&bench), POST_NODE GET_NODE PATCH_NODE PATCH_NODE);
    assert_true(node_keeper_is_registered(bench.keeper));
    assert_string_equal(ready_of(&bench), "True");
}

TEST_CASE(who_deletes_it_again_and_again_meets_pauses)
{
    static const int64_t pauses_ms[] = {100, 200, 400, 800, 1600, 3200, 6400, 7000};
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    start(&bench);
    for (size_t i = 0; i < ARRAY_SIZE(pauses_ms); i++) {
        forget(&bench);
        remove_node(&bench);
        pass(&bench, pauses_ms[i] * NS_PER_MS - 1);
        assert_string_equal(asked(&bench), "");
        pass(&bench, 1);
        assert_string_equal(asked(&bench), POST_NODE);
    }
    pass(&bench, 60 * NS_PER_SEC);
    forget(&bench);
    remove_node(&bench);
    settle(&bench);
    assert_string_equal(asked(&bench), POST_NODE);
}

TEST_CASE(a_read_may_find_it_gone_before_the_watch_does)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    start(&bench);
    pass(&bench, 70 * NS_PER_SEC);
    forget(&bench);
    const ProtobufCMessage *gone = &bench.node->base;
    bench.node = NULL;
    bench.version++;
    bench.is_behind = true;
    not_ready(&bench, "container runtime is down");
    node_keeper_wake(bench.keeper);
    settle(&bench);
    assert_string_equal(asked(&bench), POST_NODE PATCH_NODE "GET /api/v1/nodes/node-a\n");
    /* What the watch says of the former one is no news. */
    forget(&bench);
    bench.is_behind = false;
    assert_string_equal(node_keeper_best(bench.keeper)->metadata->uid, UID "1");
    show(&bench, WATCH_DELETED, gone);
    show(&bench, WATCH_ADDED, &bench.node->base);
    settle(&bench);
    assert_string_equal(asked(&bench), "");
    assert_true(node_keeper_is_registered(bench.keeper));
}

/* --- the status --- */

TEST_CASE(what_is_no_flip_is_told_with_the_next_period)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    start(&bench);
    forget(&bench);
    bench.n_images = 2;
    node_keeper_wake(bench.keeper);
    pass(&bench, 9999 * NS_PER_MS);
    assert_string_equal(asked(&bench), "");
    pass(&bench, NS_PER_MS);
    assert_string_equal(asked(&bench), PATCH_NODE);
    assert_int_equal(bench.node->status->n_images, 2);
}

TEST_CASE(a_node_that_flips_again_and_again_is_told_of_once_a_second)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    start(&bench);
    forget(&bench);
    for (int i = 0; i < 9; i++) {
        not_ready(&bench, i % 2 ? NULL : "container runtime is down");
        node_keeper_wake(bench.keeper);
        settle(&bench);
    }
    assert_string_equal(asked(&bench), PATCH_NODE PATCH_NODE PATCH_NODE);
    assert_string_equal(ready_of(&bench), "False");
    not_ready(&bench, NULL);
    node_keeper_wake(bench.keeper);
    pass(&bench, 999 * NS_PER_MS);
    assert_string_equal(asked(&bench), "");
    pass(&bench, NS_PER_MS);
    assert_string_equal(asked(&bench), PATCH_NODE);
    assert_string_equal(ready_of(&bench), "True");
    bench.memory_pressure = true;
    node_keeper_wake(bench.keeper);
    pass(&bench, NS_PER_SEC);
    assert_string_equal(asked(&bench), PATCH_NODE);
    assert_non_null(strstr(told(&bench), "event NodeHasInsufficientMemory"));
}

/* Without a random share the first report is due after half a period, the next after a whole one.
 */
TEST_CASE(an_unchanged_status_is_reported_every_five_minutes)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    start(&bench);
    forget(&bench);
    pass(&bench, 149 * NS_PER_SEC);
    assert_string_equal(asked(&bench), "");
    pass(&bench, NS_PER_SEC);
    assert_string_equal(asked(&bench), PATCH_NODE);
    pass(&bench, 299 * NS_PER_SEC);
    assert_string_equal(asked(&bench), "");
    pass(&bench, NS_PER_SEC);
    assert_string_equal(asked(&bench), PATCH_NODE);
    fake_random_set(3 * NS_PER_SEC);
    bench.n_images = 3;
    pass(&bench, 20 * NS_PER_SEC);
    assert_string_equal(asked(&bench), PATCH_NODE);
}

TEST_CASE(five_tries_are_an_update_and_connections_are_reset_from_the_second_failure_on)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    start(&bench);
    forget(&bench);
    not_ready(&bench, "container runtime is down");
    node_keeper_wake(bench.keeper);
    fake_loop_advance(bench.loop, 0);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(fake_resets(bench.heartbeat), i > 1 ? i - 1 : 0);
        assert_non_null(waiting(&bench));
        fake_lose(waiting(&bench));
    }
    assert_null(waiting(&bench));
    assert_int_equal(fake_resets(bench.heartbeat), 4);
    assert_string_equal(asked(&bench), PATCH_NODE GET_NODE GET_NODE GET_NODE GET_NODE);
    assert_string_equal(node_keeper_error(bench.keeper)->message,
                        "reading the node: dial tcp 10.0.0.1:6443: connect: connection refused");
    assert_string_equal(told(&bench), "");
    assert_int_equal(fake_loop_next(bench.loop), 10 * NS_PER_SEC);
    pass(&bench, 10 * NS_PER_SEC);
    assert_string_equal(asked(&bench), PATCH_NODE);
    assert_string_equal(told(&bench),
                        "event NodeNotReady: Node node-a status is now: NodeNotReady\nnode 12\n");
    assert_null(node_keeper_error(bench.keeper));
}

TEST_CASE(a_patch_that_fails_is_made_again_of_what_the_server_has)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    start(&bench);
    forget(&bench);
    not_ready(&bench, "container runtime is down");
    node_keeper_wake(bench.keeper);
    fake_loop_advance(bench.loop, 0);
    fake_fail(waiting(&bench), 409, "Conflict", "x");
    settle(&bench);
    assert_string_equal(asked(&bench), PATCH_NODE GET_NODE PATCH_NODE);
    assert_string_equal(ready_of(&bench), "False");
    assert_int_equal(fake_resets(bench.heartbeat), 0);
}

TEST_CASE(other_addresses_are_told_at_once_and_none_leave_the_old_ones)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    start(&bench);
    forget(&bench);
    bench.bed.addresses.items[0].address = bench.quick_address = "10.99.1.3";
    pass(&bench, 10 * NS_PER_SEC);
    assert_string_equal(asked(&bench), PATCH_NODE);
    assert_string_equal(told(&bench), "addresses 10.99.1.3\nnode 12\n");
    assert_string_equal(bench.node->status->addresses[0]->address, "10.99.1.3");
    bench.quick_address = NULL;
    bench.bed.addresses.count = 0;
    pass(&bench, 30 * NS_PER_SEC);
    assert_string_equal(asked(&bench), "");
    assert_int_equal(bench.node->status->n_addresses, 2);
    bench.bed.addresses.count = 2;
    pass(&bench, 30 * NS_PER_SEC);
    assert_string_equal(asked(&bench), "");
}

/* --- what the object says to us --- */

TEST_CASE(cordons_ranges_of_addresses_and_boots_are_told)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    start(&bench);
    forget(&bench);
    static const struct {
        const char *patch, *told;
    } rows[] = {
        {"{\"spec\": {\"unschedulable\": true}}",
         "event NodeNotSchedulable: Node node-a status is now: NodeNotSchedulable\nnode 12\n"},
        {"{\"metadata\": {\"labels\": {\"a\": \"b\"}}}", "node 13\n"},
        {"{\"spec\": {\"unschedulable\": null}}",
         "event NodeSchedulable: Node node-a status is now: NodeSchedulable\nnode 14\n"},
        {"{\"spec\": {\"podCIDRs\": [\"10.0.1.0/24\", \"fd00::/64\"]}}",
         "cidrs 10.0.1.0/24,fd00::/64\nnode 15\n"},
        {"{\"metadata\": {\"labels\": {\"a\": \"c\"}}}", "node 16\n"},
        {"{\"spec\": {\"podCIDRs\": [\"10.0.2.0/24\"]}}",
         "cidrs 10.0.2.0/24,10.0.1.0/24,fd00::/64\nnode 17\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        apply(&bench, rows[i].patch);
        show(&bench, WATCH_MODIFIED, &bench.node->base);
        assert_string_equal(told(&bench), rows[i].told);
    }
    apply(&bench, "{\"status\": {\"nodeInfo\": {\"bootID\": \"another\"}}}");
    show(&bench, WATCH_MODIFIED, &bench.node->base);
    forget(&bench);
    pass(&bench, 10 * NS_PER_SEC);
    assert_string_equal(told(&bench),
                        "event Warning Rebooted: Node node-a has been rebooted, boot id: "
                        "03a250a3-3c3f-40a0-9161-05f36ef54cf2\nnode 19\n");
    apply(&bench, "{\"status\": {\"nodeInfo\": {\"bootID\": \"another\"}}}");
    show(&bench, WATCH_MODIFIED, &bench.node->base);
    forget(&bench);
    pass(&bench, 10 * NS_PER_SEC);
    assert_string_equal(told(&bench), "node 21\n"); /* once in a life */
}

TEST_CASE(the_best_node_is_the_newest_that_is_known)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const Core__Node *best = node_keeper_best(bench.keeper);
    assert_string_equal(best->metadata->name, "node-a");
    assert_null(best->metadata->resource_version);
    assert_ptr_not_equal(node_keeper_best(bench.keeper), best);
    start(&bench);
    assert_string_equal(node_keeper_best(bench.keeper)->metadata->resource_version, "11");
    assert_ptr_equal(node_keeper_best(bench.keeper), node_keeper_node(bench.keeper)->message);
    /* Labels that the watch has not told yet. */
    apply(&bench, "{\"metadata\": {\"labels\": {\"a\": \"b\"}}}");
    node_keeper_reread(bench.keeper, on_reread, &bench);
    node_keeper_reread(bench.keeper, on_reread, &bench);
    assert_int_equal(bench.rereads, 0);
    settle(&bench);
    assert_int_equal(bench.rereads, 2);
    assert_string_equal(node_keeper_best(bench.keeper)->metadata->resource_version, "12");
    assert_string_equal(kube_object_version(node_keeper_node(bench.keeper)), "11");
    show(&bench, WATCH_MODIFIED, &bench.node->base);
    assert_ptr_equal(node_keeper_best(bench.keeper), node_keeper_node(bench.keeper)->message);
    node_keeper_reread(bench.keeper, on_reread, &bench);
    fake_lose(waiting(&bench));
    assert_int_equal(bench.rereads, 3);
    node_keeper_reread(bench.keeper, on_reread, &bench); /* freed while it waits */
}

/* --- whatever fails --- */

/* Each request of a life fails once, in each way: the server has the truth in the end. */
static size_t sweep_once(int life, int fault, size_t fault_at)
{
    AUTO(bench) struct bench bench;
    size_t steps = 0;
    bench_init(&bench);
    not_ready(&bench, "CSINode is not yet initialized");
    if (life == 1)
        store(&bench, &bed_node(&bench.bed, "{'metadata': {'name': 'node-a'}}")->base, true);
    node_keeper_start(bench.keeper);
    for (int second = 0; second < 30; second++) {
        struct fake_exchange *request = waiting(&bench);
        for (; request; request = waiting(&bench)) {
            if (request->is_watch || steps++ != fault_at)
                answer(&bench, request);
            else if (fault == 0)
                fake_lose(request);
            else if (fault == 1)
                fake_fail(request, 409, "Conflict", "x");
            else if (fault == 2)
                fake_fail(request, 404, "NotFound", "x");
            else
                fake_fail(request, 500, "InternalError", "x");
            run_work();
        }
        if (second == 2)
            not_ready(&bench, NULL);
        if (second == 3 && bench.node)
            remove_node(&bench);
        node_keeper_wake(bench.keeper);
        fake_loop_advance(bench.loop, NS_PER_SEC);
        run_work();
    }
    assert_non_null(bench.node);
    assert_string_equal(ready_of(&bench), "True");
    assert_int_equal(bench.node->status->n_addresses, 2);
    assert_true(node_keeper_is_registered(bench.keeper));
    assert_null(node_keeper_error(bench.keeper));
    assert_in_range(steps, 2, 25);
    return steps;
}

TEST_CASE(every_single_failure_heals)
{
    for (int life = 0; life < 2; life++) {
        size_t steps = sweep_once(life, 0, SIZE_MAX);
        for (size_t at = 0; at < steps; at++) {
            for (int fault = 0; fault < 4; fault++)
                (void)sweep_once(life, fault, at);
        }
    }
}

TEST_MAIN(TEST(a_fresh_node_is_registered_and_becomes_ready_at_once),
          TEST(a_node_that_exists_is_read_reconciled_and_reported),
          TEST(registering_is_tried_for_ever_more_and_more_slowly),
          TEST(a_node_that_is_not_to_register_waits_for_its_object),
          TEST(the_resolver_is_waited_for_but_not_for_long),
          TEST(the_resolver_is_left_alone_where_it_has_no_choice),
          TEST(the_resolver_is_asked_when_the_machine_changes_and_now_and_then),
          TEST(a_node_that_was_deleted_is_registered_again),
          TEST(a_node_that_was_replaced_is_as_good_as_gone),
          TEST(who_deletes_it_again_and_again_meets_pauses),
          TEST(a_read_may_find_it_gone_before_the_watch_does),
          TEST(what_is_no_flip_is_told_with_the_next_period),
          TEST(a_node_that_flips_again_and_again_is_told_of_once_a_second),
          TEST(an_unchanged_status_is_reported_every_five_minutes),
          TEST(five_tries_are_an_update_and_connections_are_reset_from_the_second_failure_on),
          TEST(a_patch_that_fails_is_made_again_of_what_the_server_has),
          TEST(other_addresses_are_told_at_once_and_none_leave_the_old_ones),
          TEST(cordons_ranges_of_addresses_and_boots_are_told),
          TEST(the_best_node_is_the_newest_that_is_known), TEST(every_single_failure_heals))
