/* Asking nodes: servers on loopback, which speak no TLS, say what they are told to. */
#include "plane/usage_ask.h"
#include "tests/unit/plane/plane_bed.h"

#define SUMMARY(cpu)                                                                               \
    "{\"node\":{\"cpu\":{\"time\":\"2026-11-21T10:00:00Z\",\"usageNanoCores\":" #cpu               \
    "},\"memory\":{\"workingSetBytes\":1}}}"
#define METRICS_NODES "/apis/metrics.k8s.io/v1beta1/nodes"
#define TURNS_MAX 20000
#define ANSWERS_MAX 3

/* A node: its answers one after the other; a NULL text holds the request. */
struct node {
    struct http_server *server;
    struct {
        unsigned code;
        const char *text;
    } answers[ANSWERS_MAX];
    size_t asked;
};

struct scene {
    struct plane_bed *bed;
    struct node nodes[2];
    struct usage_asking *asking;
    const struct usage *usage; /* what came of it */
};

static void on_request(void *ctx, struct http_exchange *exchange)
{
    struct node *node = ctx;
    const struct http_request *request = http_exchange_request(exchange);
    assert_string_equal(request->method, "GET");
    assert_string_equal(request->target.path, "/stats/summary");
    assert_string_equal(request->target.raw_query, "only_cpu_and_memory=true");
    assert_true(node->asked < ANSWERS_MAX);
    size_t at = node->asked++;
    if (node->answers[at].text)
        http_exchange_reply(exchange, node->answers[at].code, &(const struct http_fields){0},
                            str_from(node->answers[at].text));
}

/* A node called @name; without @node nobody listens at its address. */
static void add_node(struct scene *scene, const char *name, struct node *node)
{
    static const struct http_server_options options = {0};
    struct rest_bed *rest = scene->bed->rest;
    const char *address = "127.0.0.1:1";
    if (node) {
        node->server = http_server_new(rest->loop, &options, on_request, node);
        assert_no_error(
            http_server_listen(node->server, "127.0.0.1:0", NULL, rest->arena, &address));
    }
    rest_must(rest, "POST", "/api/v1/nodes",
              arena_printf(rest->arena,
                           "{\"metadata\":{\"name\":\"%s\"},\"status\":{\"addresses\":["
                           "{\"type\":\"InternalIP\",\"address\":\"127.0.0.1\"}],"
                           "\"daemonEndpoints\":{\"kubeletEndpoint\":{\"Port\":%s}}}}",
                           name, strchr(address, ':') + 1));
}

static struct scene *scene_new(void)
{
    struct scene *scene = xcalloc(1, sizeof(*scene));
    scene->bed = plane_bed_new();
    return scene;
}

static void scene_free(struct scene *scene)
{
    for (size_t i = 0; i < ARRAY_SIZE(scene->nodes); i++)
        http_server_free(scene->nodes[i].server);
    plane_bed_free(scene->bed);
    free(scene);
}
DEFINE_AUTO(scene, struct scene *, scene_free)

#define SETTLE_UNTIL(scene, condition)                                                             \
    do {                                                                                           \
        for (int turns = 0; !(condition); turns++) {                                               \
            assert_true(turns < TURNS_MAX);                                                        \
            plane_settle((scene)->bed);                                                            \
        }                                                                                          \
    } while (0)

/* --- the asking by itself --- */

static struct error *prepare(void *ctx)
{
    struct scene *scene = ctx;
    struct rest_bed *rest = scene->bed->rest;
    const struct rest_env env = {.world = &rest->world, .store = rest->store, .arena = rest->arena};
    Meta__Status *failure = usage_prepare(&env, &scene->asking);
    assert_null(failure);
    return NULL;
}

static void prepared(void *ctx, const struct error *err)
{
    (void)ctx;
    assert_null(err);
}

static void on_usage(void *ctx, const struct usage *usage)
{
    struct scene *scene = ctx;
    assert_null(scene->usage);
    scene->usage = usage;
}

/* Without a pause between the readings. */
static const struct usage *ask(struct scene *scene)
{
    static const struct store_task task = {.run = prepare, .done = prepared};
    store_submit(scene->bed->rest->store, &task, scene);
    SETTLE_UNTIL(scene, scene->asking);
    usage_ask(scene->asking, scene->bed->plane.proxy, 0, on_usage, scene);
    assert_null(scene->usage);
    SETTLE_UNTIL(scene, scene->usage);
    return scene->usage;
}

TEST_CASE(the_second_reading_counts)
{
    AUTO(scene) struct scene *scene = scene_new();
    struct node *node = &scene->nodes[0];
    *node = (struct node){.answers = {{200, SUMMARY(1)}, {200, SUMMARY(2)}}};
    add_node(scene, "a", node);
    struct usage_figures figures;
    assert_true(usage_of_node(ask(scene), "a", &figures));
    assert_int_equal(figures.nano_cores, 2);
    assert_int_equal(node->asked, 2);
}

TEST_CASE(without_nodes_nothing_is_known)
{
    AUTO(scene) struct scene *scene = scene_new();
    struct usage_figures figures;
    assert_false(usage_of_node(ask(scene), "a", &figures));
}

TEST_CASE(a_node_that_fails_is_left_out)
{
    static const struct {
        struct node node;
        size_t asked;
    } rows[] = {
        {{.answers = {{500, "no"}}}, 1},
        {{.answers = {{401, SUMMARY(1)}}}, 1},
        {{.answers = {{200, SUMMARY(1)}, {503, SUMMARY(2)}}}, 2},
        {{.answers = {{200, SUMMARY(1)}, {200, "{\"node\":"}}}, 2},
        {{.answers = {{200, SUMMARY(1)}, {200, ""}}}, 2},
        /* What the first one says does not matter. */
        {{.answers = {{200, "{\"node\":"}, {200, "[]"}}}, 2},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(scene) struct scene *scene = scene_new();
        scene->nodes[0] = rows[i].node;
        scene->nodes[1] = (struct node){.answers = {{200, SUMMARY(1)}, {200, SUMMARY(2)}}};
        add_node(scene, "bad", &scene->nodes[0]);
        add_node(scene, "good", &scene->nodes[1]);
        add_node(scene, "gone", NULL);
        rest_must(scene->bed->rest, "POST", "/api/v1/nodes", "{\"metadata\":{\"name\":\"new\"}}");
        struct usage_figures figures;
        const struct usage *usage = ask(scene);
        assert_false(usage_of_node(usage, "bad", &figures));
        assert_false(usage_of_node(usage, "gone", &figures));
        assert_true(usage_of_node(usage, "good", &figures));
        assert_int_equal(scene->nodes[0].asked, rows[i].asked);
        assert_int_equal(scene->nodes[1].asked, 2);
    }
}

/* --- as a part of a request --- */

TEST_CASE(a_request_waits_for_its_nodes)
{
    AUTO(scene) struct scene *scene = scene_new();
    struct plane_client *client = plane_ask(scene->bed, "GET", METRICS_NODES, NULL);
    SETTLE_UNTIL(scene, client->is_complete);
    assert_int_equal(client->status, 200);
    assert_non_null(strstr(buf_text(&client->body), "\"items\":[]"));
}

TEST_CASE(who_may_not_ask_has_nobody_asked)
{
    AUTO(scene) struct scene *scene = scene_new();
    add_node(scene, "a", &scene->nodes[0]);
    struct plane_client *client =
        plane_ask_with(scene->bed, "GET", METRICS_NODES, "authorization: Bearer nobody\r\n", NULL);
    SETTLE_UNTIL(scene, client->is_complete);
    assert_int_equal(client->status, 403);
    assert_non_null(strstr(buf_text(&client->body), "metrics.k8s.io"));
    assert_int_equal(scene->nodes[0].asked, 0);
}

/* Held by the node, and in the pause between the readings. */
TEST_CASE(the_client_may_go_while_nodes_are_asked)
{
    static const char *const answers[] = {NULL, SUMMARY(1)};
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        AUTO(scene) struct scene *scene = scene_new();
        scene->nodes[0] = (struct node){.answers = {{200, answers[i]}}};
        add_node(scene, "a", &scene->nodes[0]);
        struct plane_client *client = plane_ask(scene->bed, "GET", METRICS_NODES, NULL);
        SETTLE_UNTIL(scene, scene->nodes[0].asked == 1);
        assert_false(client->is_complete);
        plane_client_hang_up(client);
        SETTLE_UNTIL(scene, !scene->bed->plane.servings);
        assert_int_equal(scene->nodes[0].asked, 1);
    }
}

TEST_CASE(the_plane_may_end_while_nodes_are_asked)
{
    static const char *const answers[] = {NULL, SUMMARY(1)};
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        AUTO(scene) struct scene *scene = scene_new();
        scene->nodes[0] = (struct node){.answers = {{200, answers[i]}}};
        add_node(scene, "a", &scene->nodes[0]);
        (void)plane_ask(scene->bed, "GET", METRICS_NODES, NULL);
        SETTLE_UNTIL(scene, scene->nodes[0].asked == 1);
        assert_non_null(scene->bed->plane.servings);
    }
}

TEST_CASE(a_plane_that_ends_has_nobody_asked)
{
    AUTO(scene) struct scene *scene = scene_new();
    add_node(scene, "a", &scene->nodes[0]);
    scene->bed->plane.is_stopping = true;
    struct plane_client *client = plane_ask(scene->bed, "GET", METRICS_NODES, NULL);
    SETTLE_UNTIL(scene, client->is_complete);
    assert_int_equal(client->status, 503);
    assert_int_equal(scene->nodes[0].asked, 0);
}

TEST_MAIN(TEST(the_second_reading_counts), TEST(without_nodes_nothing_is_known),
          TEST(a_node_that_fails_is_left_out), TEST(a_request_waits_for_its_nodes),
          TEST(who_may_not_ask_has_nobody_asked), TEST(the_client_may_go_while_nodes_are_asked),
          TEST(the_plane_may_end_while_nodes_are_asked), TEST(a_plane_that_ends_has_nobody_asked))
