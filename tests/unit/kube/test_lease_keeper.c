#include "kube/lease_keeper.h"

#include "base/buf.h"
#include "tests/lib/test.h"
#include "tests/unit/kube/fake_api_client.h"
#include "tests/unit/kube/fake_loop.h"

#include "coordination.pb-c.h"

#define LEASES "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"

struct bench {
    struct loop *loop;
    struct api_client *client;
    struct lease_keeper *keeper;
    struct arena *arena;
    /* A server's memory. */
    Coordination__Lease *lease;
    unsigned version;
    bool has_node;
};

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){.arena = arena_new(0), .has_node = true};
    assert_no_error(loop_new(&bench->loop));
    bench->client = fake_api_client_new(bench->loop);
    bench->keeper = lease_keeper_new(bench->loop, bench->client, fake_transport(bench->client),
                                     &(struct lease_keeper_options){.node_name = "node-a"});
}

static void auto_release_bench(struct bench *bench)
{
    lease_keeper_free(bench->keeper);
    assert_int_equal(fake_pending(bench->client), 0);
    assert_int_equal(fake_loop_live(bench->loop), 0);
    api_client_free(bench->client);
    loop_free(bench->loop);
    arena_free(bench->arena);
}

static const char *last_request(const struct bench *bench)
{
    return fake_log(bench->client, fake_started(bench->client) - 1);
}

static void answer_lease(struct bench *bench, struct fake_exchange *request)
{
    if (request->verb == API_GET && !bench->lease) {
        fake_fail(request, 404, "NotFound", "leases \"node-a\" not found");
        return;
    }
    if (request->verb == API_UPDATE || request->verb == API_CREATE) {
        const char *had = bench->lease ? bench->lease->metadata->resource_version : NULL;
        const Meta__ObjectMeta *meta = kube_object_meta(request->body);
        if (request->verb == API_UPDATE && !text_eq(meta->resource_version, had)) {
            fake_fail(request, 409, "Conflict", "the object has been modified");
            return;
        }
        bench->lease = (Coordination__Lease *)kube_message_dup(request->body, bench->arena);
        bench->lease->metadata->resource_version =
            arena_printf(bench->arena, "%u", ++bench->version);
    }
    fake_reply(request, &bench->lease->base);
}

/* The server answers what is asked now; the next request is for the next call. */
static void answer(struct bench *bench)
{
    struct fake_exchange *request = fake_first(bench->client);
    assert_non_null(request);
    if (text_eq(request->kind->kind, "Lease"))
        answer_lease(bench, request);
    else if (bench->has_node)
        fake_reply(request, fake_object(request->kind, NULL, "node-a",
                                        "285cb629-dd94-4cd8-9a24-0f959153238e", "1", bench->arena));
    else
        fake_fail(request, 404, "NotFound", "nodes \"node-a\" not found");
}

static void settle(struct bench *bench)
{
    while (fake_pending(bench->client))
        answer(bench);
}

TEST_CASE(the_lease_is_as_the_kubelet_makes_it)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    assert_int_equal(fake_started(bench.client), 0);
    lease_keeper_start(bench.keeper);
    lease_keeper_start(bench.keeper);
    assert_string_equal(last_request(&bench), "GET " LEASES "/node-a");
    answer(&bench);
    assert_string_equal(last_request(&bench), "GET /api/v1/nodes/node-a");
    answer(&bench);
    assert_string_equal(last_request(&bench), "POST " LEASES);
    AUTO(buf) struct buf text;
    buf_init(&text, 64 * KiB);
    kube_encode_any(fake_first(bench.client)->body,
                    kube_kind_find("coordination.k8s.io/v1", "Lease"), KUBE_JSON, &text);
    assert_string_equal(
        buf_text(&text),
        "{\"kind\":\"Lease\",\"apiVersion\":\"coordination.k8s.io/v1\",\"metadata\":{\"name\":"
        "\"node-a\",\"namespace\":\"kube-node-lease\",\"ownerReferences\":[{\"kind\":\"Node\","
        "\"name\":\"node-a\",\"uid\":\"285cb629-dd94-4cd8-9a24-0f959153238e\","
        "\"apiVersion\":\"v1\"}]},"
        "\"spec\":{\"holderIdentity\":\"node-a\",\"leaseDurationSeconds\":40,"
        "\"renewTime\":\"2027-01-15T08:16:40.000000Z\"}}");
    answer(&bench);
    assert_int_equal(fake_started(bench.client), 3);
    assert_int_equal(fake_loop_next(bench.loop), 10 * NS_PER_SEC);
    assert_int_equal(lease_keeper_renewed_ns(bench.keeper), loop_now_wall_ns(bench.loop));
    assert_null(lease_keeper_error(bench.keeper));
}

TEST_CASE(a_renewal_is_one_request)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    lease_keeper_start(bench.keeper);
    settle(&bench);
    size_t before = fake_started(bench.client);
    for (int i = 0; i < 10; i++) {
        fake_loop_advance(bench.loop, 10 * NS_PER_SEC + 123456789);
        assert_string_equal(last_request(&bench), "PUT " LEASES "/node-a");
        const Coordination__Lease *sent =
            (const Coordination__Lease *)fake_first(bench.client)->body;
        assert_string_equal(sent->metadata->resource_version,
                            bench.lease->metadata->resource_version);
        assert_int_equal(sent->spec->renew_time->nanos % NS_PER_US, 0);
        settle(&bench);
    }
    assert_int_equal(fake_started(bench.client) - before, 10);
}

TEST_CASE(a_foreign_lease_keeps_its_holder_and_owner)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    Coordination__LeaseSpec spec = COORDINATION__LEASE_SPEC__INIT;
    spec.holder_identity = (char *)"somebody";
    spec.has_lease_duration_seconds = true;
    spec.lease_duration_seconds = 7;
    bench.lease =
        (Coordination__Lease *)fake_object(kube_kind_find("coordination.k8s.io/v1", "Lease"),
                                           "kube-node-lease", "node-a", "u", "0", bench.arena);
    bench.lease->spec = &spec;
    lease_keeper_start(bench.keeper);
    settle(&bench);
    assert_string_equal(bench.lease->spec->holder_identity, "somebody");
    assert_int_equal(bench.lease->spec->lease_duration_seconds, 40);
    assert_int_equal(bench.lease->metadata->n_owner_references, 1);
    assert_string_equal(bench.lease->metadata->owner_references[0]->kind, "Node");
    assert_int_equal(fake_started(bench.client), 3); /* GET, GET node, PUT */
}

TEST_CASE(the_duration_sets_the_period)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    lease_keeper_free(bench.keeper);
    bench.keeper =
        lease_keeper_new(bench.loop, bench.client, fake_transport(bench.client),
                         &(struct lease_keeper_options){.node_name = "node-a", .duration_s = 100});
    lease_keeper_start(bench.keeper);
    settle(&bench);
    assert_int_equal(bench.lease->spec->lease_duration_seconds, 100);
    assert_int_equal(fake_loop_next(bench.loop), 25 * NS_PER_SEC);
}

TEST_CASE(connections_are_reset_from_the_second_failure_on)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    lease_keeper_start(bench.keeper);
    settle(&bench);
    fake_loop_advance(bench.loop, 10 * NS_PER_SEC);
    fake_lose(fake_first(bench.client));
    assert_int_equal(fake_resets(bench.client), 0);
    fake_lose(fake_first(bench.client));
    assert_int_equal(fake_resets(bench.client), 1);
    assert_string_equal(lease_keeper_error(bench.keeper)->message,
                        "updating the node lease: dial tcp 10.0.0.1:6443: connect: connection "
                        "refused");
    settle(&bench);
    assert_null(lease_keeper_error(bench.keeper));
}

TEST_CASE(a_node_without_uid_is_no_owner)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    lease_keeper_start(bench.keeper);
    answer(&bench);
    fake_reply(fake_first(bench.client),
               fake_object(kube_kind_find("v1", "Node"), NULL, "node-a", NULL, "1", bench.arena));
    assert_int_equal(fake_pending(bench.client), 0);
    assert_int_equal(fake_loop_next(bench.loop), 10 * NS_PER_SEC);
}

/* Each request of a life fails once, in each way: the lease is renewed all the same. */
static size_t sweep_once(int fault, size_t fault_at)
{
    AUTO(bench) struct bench bench;
    size_t steps = 0;
    bench_init(&bench);
    lease_keeper_start(bench.keeper);
    for (int second = 0; second < 60; second++) {
        while (fake_pending(bench.client)) {
            struct fake_exchange *first = fake_first(bench.client);
            if (steps++ != fault_at)
                answer(&bench);
            else if (fault == 0)
                fake_lose(first);
            else if (fault == 1)
                fake_fail(first, 409, "Conflict", "x");
            else if (fault == 2)
                fake_fail(first, 404, "NotFound", "x");
            else
                fake_fail(first, 500, "InternalError", "x");
        }
        fake_loop_advance(bench.loop, NS_PER_SEC);
    }
    assert_non_null(bench.lease);
    assert_true(loop_now_wall_ns(bench.loop) - lease_keeper_renewed_ns(bench.keeper) <=
                11 * NS_PER_SEC);
    assert_in_range(steps, 7, 16);
    return steps;
}

TEST_CASE(every_single_failure_heals)
{
    size_t steps = sweep_once(0, SIZE_MAX);
    for (size_t at = 0; at < steps; at++) {
        for (int fault = 0; fault < 4; fault++)
            (void)sweep_once(fault, at);
    }
}

TEST_MAIN(TEST(the_lease_is_as_the_kubelet_makes_it), TEST(a_renewal_is_one_request),
          TEST(a_foreign_lease_keeps_its_holder_and_owner), TEST(the_duration_sets_the_period),
          TEST(connections_are_reset_from_the_second_failure_on),
          TEST(a_node_without_uid_is_no_owner), TEST(every_single_failure_heals))
