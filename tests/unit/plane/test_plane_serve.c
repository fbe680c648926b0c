/* Requests through the server: who may, what fits together, and clients that go away. */
#include "tests/unit/plane/plane_bed.h"

#define MAPS "/api/v1/namespaces/default/configmaps"
#define ADMIN "authorization: Bearer admin\r\n"

static void assert_body(const struct plane_client *client, const char *text)
{
    if (!strstr(buf_text(&client->body), text))
        fail_msg("no \"%s\" in %s", text, buf_text(&client->body));
}

TEST_CASE(a_request_gets_its_code)
{
    static const struct {
        const char *method, *target, *body;
        unsigned code;
        const char *text;
    } rows[] = {
        {"GET", MAPS "/none", NULL, 404, "configmaps \\\"none\\\" not found"},
        {"GET", "/apis/apps/v1/deployments", NULL, 404,
         "the server could not find the requested resource"},
        {"GET", "/api/v1/pods/name", NULL, 404, "could not find"},
        {"GET", "/api/v1/namespaces/default/nodes/n", NULL, 404, "could not find"},
        {"GET", "/api/v1/namespaces/default/pods/p/nothing", NULL, 404, "could not find"},
        {"PUT", MAPS, "{}", 405, "the server does not allow this method on the requested resource"},
        {"PATCH", MAPS, "{}", 405, "MethodNotAllowed"},
        {"POST", MAPS "/name", "{}", 405, "MethodNotAllowed"},
        {"POST", "/api/v1/configmaps", "{}", 405, "MethodNotAllowed"},
        {"DELETE", "/api/v1/configmaps", NULL, 405, "MethodNotAllowed"},
        {"DELETE", "/api/v1/namespaces/default/pods/p/log", NULL, 405, "MethodNotAllowed"},
        {"POST", "/api/v1/namespaces/default/pods/p/log", "{}", 405, "MethodNotAllowed"},
        {"GET", "/api/v1/namespaces/default/pods/p/log", NULL, 404, "pods \\\"p\\\" not found"},
        {"GET", "/apis/authentication.k8s.io/v1/tokenreviews", NULL, 405, "MethodNotAllowed"},
        {"GET", MAPS "?watch=1", NULL, 200, ""},
        {"GET", "/healthz", NULL, 200, "ok"},
        {"GET", "/livez/ping", NULL, 200, "ok"},
        {"GET", "/readyz?verbose", NULL, 200, "[+]ping ok"},
        {"GET", "/readyz/nothing", NULL, 404, "could not find"},
        {"GET", "/version", NULL, 200, "\"gitVersion\""},
        {"GET", "/", NULL, 200, "\"/api/v1\""},
        {"GET", "/metrics", NULL, 404, "could not find"},
        {"POST", MAPS, "{\"metadata\":{\"name\":\"a\"}}", 201, "\"name\":\"a\""},
        {"POST", MAPS "?dryRun=All", "{\"metadata\":{\"name\":\"dry\"}}", 201, "\"name\":\"dry\""},
        {"GET", MAPS "/dry", NULL, 404, "not found"},
    };
    AUTO(plane_bed) struct plane_bed *bed = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (i % (PLANE_BED_CLIENTS_MAX / 2) == 0) {
            if (bed)
                plane_bed_free(bed);
            bed = plane_bed_new();
        }
        print_message("%s %s\n", rows[i].method, rows[i].target);
        struct plane_client *client = plane_ask(bed, rows[i].method, rows[i].target, rows[i].body);
        assert_int_equal(client->status, rows[i].code);
        assert_body(client, rows[i].text);
    }
}

TEST_CASE(who_asks_decides)
{
    static const struct {
        const char *fields, *target;
        unsigned code;
        const char *text;
    } rows[] = {
        {"", "/version", 200, "gitVersion"},
        {"", MAPS, 403, "User \\\"system:anonymous\\\" cannot list resource \\\"configmaps\\\""},
        {"", "/api", 403, "cannot get path \\\"/api\\\""},
        {"authorization: Bearer wrong\r\n", "/version", 401, "Unauthorized"},
        {"authorization: Bearer nobody\r\n", "/api", 200, "APIVersions"},
        {"authorization: Bearer nobody\r\n", MAPS, 403, "User \\\"nobody\\\" cannot list"},
        /* Also what is not served is first a question of rights. */
        {"authorization: Bearer nobody\r\n", "/apis/apps/v1/deployments", 403, "cannot list"},
        {ADMIN "impersonate-user: nobody\r\n", MAPS, 403, "User \\\"nobody\\\" cannot list"},
        {"authorization: Bearer nobody\r\nimpersonate-user: admin\r\n", MAPS, 403,
         "cannot impersonate resource \\\"users\\\""},
        {"impersonate-user: admin\r\n", MAPS, 403,
         "User \\\"system:anonymous\\\" cannot impersonate"},
        /* There is no proxy in front whose word would count. */
        {"x-remote-user: admin\r\nx-remote-group: system:masters\r\n", MAPS, 403,
         "User \\\"system:anonymous\\\" cannot list"},
    };
    AUTO(plane_bed) struct plane_bed *bed = plane_bed_new();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s%s\n", rows[i].fields, rows[i].target);
        struct plane_client *client =
            plane_ask_with(bed, "GET", rows[i].target, rows[i].fields, NULL);
        assert_int_equal(client->status, rows[i].code);
        assert_body(client, rows[i].text);
    }
}

/* --- nodes --- */

#define NODE_A ADMIN "impersonate-user: system:node:node-a\r\nimpersonate-group: system:nodes\r\n"
#define POD(name, node, secret)                                                                    \
    "{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"nodeName\":\"" node                         \
    "\",\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"envFrom\":[{\"secretRef\":{\"name\":"    \
    "\"" secret "\"}}]}]}}"
#define IN(namespace_) "/api/v1/namespaces/" namespace_

/* Two nodes, a pod each in default; node-a's other pod "twin" has a twin of node-b in kube-system.
 */
static void make_two_nodes(struct plane_bed *bed)
{
    static const char *const rows[][2] = {
        {IN("default") "/secrets", "{\"metadata\":{\"name\":\"mine\"}}"},
        {IN("default") "/secrets", "{\"metadata\":{\"name\":\"theirs\"}}"},
        {IN("kube-system") "/secrets", "{\"metadata\":{\"name\":\"mine\"}}"},
        {IN("kube-system") "/serviceaccounts", "{\"metadata\":{\"name\":\"default\"}}"},
        {IN("default") "/pods", POD("a", "node-a", "mine")},
        {IN("default") "/pods", POD("b", "node-b", "theirs")},
        {IN("default") "/pods", POD("twin", "node-a", "mine")},
        {IN("kube-system") "/pods", POD("twin", "node-b", "mine")},
        {"/api/v1/nodes", "{\"metadata\":{\"name\":\"node-b\"}}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        rest_must(bed->rest, "POST", rows[i][0], rows[i][1]);
}

TEST_CASE(a_node_reaches_what_its_own_pods_need)
{
    static const struct {
        const char *method, *target, *body;
        unsigned code;
    } rows[] = {
        {"GET", IN("default") "/pods/a", NULL, 200},
        {"GET", IN("default") "/pods/b", NULL, 403},
        {"GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-a", NULL, 200},
        {"GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-b", NULL, 403},
        {"GET", "/api/v1/pods?fieldSelector=spec.nodeName!%3Dnode-a", NULL, 403},
        {"GET",
         "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-b&fieldSelector=spec.nodeName%3D"
         "node-a",
         NULL, 403},
        {"GET", IN("default") "/pods?fieldSelector=metadata.name%3Dtwin", NULL, 200},
        {"GET", IN("kube-system") "/pods?fieldSelector=metadata.name%3Dtwin", NULL, 403},
        /* Of all namespaces a name is no one object. */
        {"GET", "/api/v1/pods?fieldSelector=metadata.name%3Dtwin", NULL, 403},
        {"GET", IN("default") "/secrets/mine", NULL, 200},
        {"GET", IN("default") "/secrets/theirs", NULL, 403},
        {"GET", IN("default") "/secrets/none", NULL, 403},
        {"GET", IN("kube-system") "/secrets/mine", NULL, 403},
        {"GET", IN("default") "/secrets", NULL, 403},
        {"GET", IN("default") "/secrets?fieldSelector=metadata.name%3Dmine", NULL, 200},
        {"GET", IN("default") "/secrets?fieldSelector=metadata.name%3Dtheirs", NULL, 403},
        {"GET", IN("default") "/secrets?fieldSelector=metadata.name%3Dmine,metadata.name%3Dtheirs",
         NULL, 200}, /* and nothing in it */
        {"DELETE", IN("default") "/pods/b", NULL, 403},
        {"DELETE", IN("default") "/pods?fieldSelector=spec.nodeName%3Dnode-a", NULL, 403},
        {"POST", IN("default") "/pods/b/eviction",
         "{\"metadata\":{\"name\":\"b\"},\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\"}", 403},
        {"PATCH", IN("default") "/pods/a/ephemeralcontainers", "{}", 403},
        {"PATCH", IN("default") "/pods/b/status", "{\"status\":{\"phase\":\"Failed\"}}", 403},
        {"PATCH", IN("default") "/pods/a/status", "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}", 403},
        {"PATCH", IN("default") "/pods/a/status", "{\"status\":{\"message\":\"m\"}}", 200},
        {"POST", IN("default") "/serviceaccounts/other/token", "{\"spec\":{}}", 403},
        {"POST", IN("default") "/serviceaccounts/default/token", "{\"spec\":{}}", 403},
        {"PATCH", "/api/v1/nodes/node-b", "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}", 403},
        {"PATCH", "/api/v1/nodes/node-b/status", "{\"status\":{\"phase\":\"x\"}}", 403},
        {"GET", "/api/v1/nodes/node-a/proxy/pods", NULL, 403},
        {"GET", IN("default") "/pods/a/log", NULL, 403},
        {"PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-b", "{}", 403},
    };
    AUTO(plane_bed) struct plane_bed *bed = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (i % (PLANE_BED_CLIENTS_MAX / 2) == 0) {
            if (bed)
                plane_bed_free(bed);
            bed = plane_bed_new();
            make_two_nodes(bed);
        }
        print_message("%s %s\n", rows[i].method, rows[i].target);
        const char *fields = strcmp(rows[i].method, "PATCH") == 0 ? NODE_A
                                 "content-type: application/merge-patch+json\r\n"
                                                                  : NODE_A;
        struct plane_client *client =
            plane_ask_with(bed, rows[i].method, rows[i].target, fields, rows[i].body);
        if (client->status != rows[i].code)
            fail_msg("%u: %s", client->status, buf_text(&client->body));
        if (client->status == 200)
            assert_null(strstr(buf_text(&client->body), "theirs"));
    }
}

TEST_CASE(a_warning_is_a_quoted_text)
{
    AUTO(plane_bed) struct plane_bed *bed = plane_bed_new();
    struct plane_client *client =
        plane_ask(bed, "POST", MAPS, "{\"metadata\":{\"name\":\"a\"},\"datta\":{}}");
    assert_int_equal(client->status, 201);
    assert_string_equal(client->warning, "299 - \"unknown field \\\"datta\\\"\"");
    client = plane_ask(bed, "POST", MAPS "?fieldValidation=Ignore",
                       "{\"metadata\":{\"name\":\"b\"},\"datta\":{}}");
    assert_int_equal(client->status, 201);
    assert_null(client->warning);
}

TEST_CASE(the_log_of_a_pod_without_a_node_is_empty)
{
    AUTO(plane_bed) struct plane_bed *bed = plane_bed_new();
    rest_must(bed->rest, "POST", "/api/v1/namespaces/default/pods",
              "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\","
              "\"image\":\"i\"}]}}");
    struct plane_client *client =
        plane_ask(bed, "GET", "/api/v1/namespaces/default/pods/p/log", NULL);
    assert_int_equal(client->status, 204);
    assert_true(client->is_complete);
    assert_int_equal(client->body.len, 0);
}

/* Sends a request and lets the loop turn @turns times before the client is gone. */
static void ask_and_leave(struct plane_bed *bed, int turns)
{
    struct plane_client *client = plane_connect(bed);
    const char *body =
        arena_printf(bed->rest->arena, "{\"metadata\":{\"name\":\"left-after-%d\"}}", turns);
    const char *text =
        arena_printf(bed->rest->arena,
                     "POST " MAPS " HTTP/1.1\r\nhost: h\r\n" ADMIN "content-length: %zu\r\n\r\n%s",
                     strlen(body), body);
    plane_client_send(client, str_from(text));
    for (int i = 0; i < turns; i++)
        loop_turn(bed->rest->loop, 0);
    plane_client_hang_up(client);
}

TEST_CASE(a_client_may_leave_at_any_moment)
{
    AUTO(plane_bed) struct plane_bed *bed = plane_bed_new();
    for (int turns = 0; turns < 10; turns++) {
        ask_and_leave(bed, turns);
        assert_true(plane_is_idle(&bed->plane));
    }
    /* Those that were begun were done, whoever listens. */
    rest_must(bed->rest, "GET", MAPS "/left-after-9", NULL);
}

TEST_CASE(what_is_under_way_at_the_end_is_forgotten)
{
    for (int turns = 0; turns < 5; turns++) {
        AUTO(plane_bed) struct plane_bed *bed = plane_bed_new();
        struct plane_client *client = plane_connect(bed);
        plane_client_send(client,
                          STR_LITERAL("GET " MAPS "?watch=1 HTTP/1.1\r\nhost: h\r\n" ADMIN "\r\n"));
        for (int i = 0; i < turns; i++)
            loop_turn(bed->rest->loop, 0);
    }
}

TEST_MAIN(TEST(a_request_gets_its_code), TEST(who_asks_decides),
          TEST(a_node_reaches_what_its_own_pods_need), TEST(a_warning_is_a_quoted_text),
          TEST(the_log_of_a_pod_without_a_node_is_empty), TEST(a_client_may_leave_at_any_moment),
          TEST(what_is_under_way_at_the_end_is_forgotten))
