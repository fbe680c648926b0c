#include "probe/grpc_check.h"

#include "played_grpc.h"

#define TURNS 800

struct world {
    struct loop *loop;
    struct work_pool *pool;
    struct probe_net *net;
    bool is_done;
    char failure[256];
};

static void on_done(void *ctx, const char *failure)
{
    struct world *world = ctx;
    assert_false(world->is_done);
    world->is_done = true;
    (void)snprintf(world->failure, sizeof(world->failure), "%s", failure ? failure : "none");
}

static void world_init(struct world *world)
{
    *world = (struct world){0};
    assert_no_error(loop_new(&world->loop));
    world->pool = work_pool_new(world->loop, 0);
    world->net = probe_net_new(world->loop, world->pool);
}

static void world_done(struct world *world)
{
    probe_net_free(world->net);
    work_pool_free(world->pool, 0);
    loop_free(world->loop);
}

static struct grpc_check_options to(uint16_t port, int64_t timeout_ns)
{
    return (struct grpc_check_options){.host = "127.0.0.1",
                                       .port = port,
                                       .service = "",
                                       .user_agent = "kube-probe/1.36",
                                       .timeout_ns = timeout_ns};
}

static void run(struct world *world, const struct grpc_check_options *options)
{
    assert_non_null(grpc_check_start(world->net, options, on_done, world));
    assert_false(world->is_done);
    for (int i = 0; i < TURNS && !world->is_done; i++)
        loop_turn(world->loop, 10 * NS_PER_MS);
    assert_true(world->is_done);
}

TEST_CASE(what_the_server_says_is_told_in_the_words_of_a_kubelet)
{
    static const struct {
        const char *name, *status, *message;
        int reply;
        const char *failure;
    } rows[] = {
        {"serving", "0", NULL, 1, "none"},
        {"not serving", "0", NULL, 2, "service unhealthy (responded with \"NOT_SERVING\")"},
        {"unknown", "0", NULL, 0, "service unhealthy (responded with \"UNKNOWN\")"},
        {"no such service", "0", NULL, 3, "service unhealthy (responded with \"SERVICE_UNKNOWN\")"},
        {"a status of tomorrow", "0", NULL, 7, "service unhealthy (responded with \"7\")"},
        {"no health service", "12", "unknown service grpc.health.v1.Health", -1,
         "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): "
         "unknown service grpc.health.v1.Health"},
        {"unknown service", "5", "unknown service", -1,
         "error: health rpc probe failed: unknown service"},
        {"its own deadline", "4", "too late", -1, "timeout: health rpc did not complete within 5s"},
        {"no message", "0", NULL, -1,
         "error: health rpc probe failed: cardinality violation: received no response message from "
         "non-server-streaming RPC"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct world world;
        world_init(&world);
        struct played_grpc server = {
            .status = rows[i].status, .message = rows[i].message, .reply = rows[i].reply};
        played_grpc_start(&server, world.loop);
        const struct grpc_check_options options = to(server.port, 5 * NS_PER_SEC);
        run(&world, &options);
        if (!text_eq(world.failure, rows[i].failure))
            fail_msg("%s: %s", rows[i].name, world.failure);
        played_grpc_stop(&server);
        world_done(&world);
    }
}

TEST_CASE(a_call_says_who_asks_and_for_which_service)
{
    struct world world;
    world_init(&world);
    struct played_grpc server = {.status = "0", .reply = 1};
    played_grpc_start(&server, world.loop);
    struct grpc_check_options options = to(server.port, 5 * NS_PER_SEC);
    options.service = "web";
    run(&world, &options);
    assert_string_equal(world.failure, "none");
    assert_string_equal(server.path, "/grpc.health.v1.Health/Check");
    assert_true(text_has_prefix(server.user_agent, "kube-probe/1.36 "));
    AUTO(free) char *authority = xasprintf("127.0.0.1:%u", server.port);
    assert_string_equal(server.authority, authority);
    assert_string_not_equal(server.timeout, "");
    assert_int_equal(server.request_len, 10);
    assert_memory_equal(server.request, "\0\0\0\0\5\n\3web", 10);
    played_grpc_stop(&server);
    world_done(&world);
}

TEST_CASE(who_does_not_answer_in_time_is_told_by_how_far_it_came)
{
    struct world world;
    world_init(&world);
    struct played_grpc mute = {.is_mute = true};
    played_grpc_start(&mute, world.loop);
    struct grpc_check_options options = to(mute.port, 100 * NS_PER_MS);
    run(&world, &options);
    assert_string_equal(world.failure, "timeout: health rpc did not complete within 100ms");
    played_grpc_stop(&mute);
    world_done(&world);

    world_init(&world);
    struct played_grpc deaf = {.is_deaf = true};
    played_grpc_start(&deaf, world.loop);
    options = to(deaf.port, 50 * NS_PER_MS);
    run(&world, &options);
    AUTO(free)
    char *want = xasprintf("timeout: failed to connect service \"127.0.0.1:%u\" within 50ms: "
                           "context deadline exceeded",
                           deaf.port);
    assert_string_equal(world.failure, want);
    played_grpc_stop(&deaf);
    world_done(&world);
}

TEST_CASE(a_refused_connection_is_tried_again_until_the_time_is_up)
{
    struct world world;
    world_init(&world);
    unsigned port = loopback_free_port();
    const struct grpc_check_options options = to((uint16_t)port, 20 * NS_PER_MS);
    run(&world, &options);
    AUTO(free)
    char *want = xasprintf("timeout: failed to connect service \"127.0.0.1:%u\" within 20ms: "
                           "context deadline exceeded",
                           port);
    assert_string_equal(world.failure, want);
    world_done(&world);
}

TEST_CASE(who_cancels_hears_nothing)
{
    struct world world;
    world_init(&world);
    struct played_grpc server = {.is_mute = true};
    played_grpc_start(&server, world.loop);
    const struct grpc_check_options options = to(server.port, NS_PER_SEC);
    struct grpc_check *check = grpc_check_start(world.net, &options, on_done, &world);
    for (int i = 0; i < TURNS && server.request_len == 0; i++)
        loop_turn(world.loop, 10 * NS_PER_MS);
    assert_true(server.request_len > 0);
    grpc_check_cancel(check);
    for (int i = 0; i < TURNS && server.conns[0].stream; i++)
        loop_turn(world.loop, 10 * NS_PER_MS);
    assert_false(world.is_done);
    played_grpc_stop(&server);
    world_done(&world);
}

TEST_MAIN(TEST(what_the_server_says_is_told_in_the_words_of_a_kubelet),
          TEST(a_call_says_who_asks_and_for_which_service),
          TEST(who_does_not_answer_in_time_is_told_by_how_far_it_came),
          TEST(a_refused_connection_is_tried_again_until_the_time_is_up),
          TEST(who_cancels_hears_nothing))
