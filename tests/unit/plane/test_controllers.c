/* The controllers over a store: what was put in, and what becomes of it without being asked. */
#include "plane/controllers_internal.h"
#include "plane/jwt.h"
#include "plane/pki.h"
#include "request_pem.h"
#include "tests/unit/plane/rest_bed.h"

#include "core.pb-c.h"

#define MAPS "/api/v1/namespaces/default/configmaps"
#define PODS "/api/v1/namespaces/default/pods"
#define CSRS "/apis/certificates.k8s.io/v1/certificatesigningrequests"

struct bed {
    struct rest_bed *rest;
    struct pki *pki; /* NULL: not needed */
    struct controllers_options options;
    struct controllers *controllers;
};

/* Turns until nothing follows from anything any more; what waits for time waits. */
static void settle(struct bed *bed)
{
    for (int i = 0; i < 60; i++)
        loop_turn(bed->rest->loop, 0);
}

static struct bed *bed_new(void)
{
    struct bed *bed = xcalloc(1, sizeof(*bed));
    bed->rest = rest_bed_new();
    bed->rest->world.ca_pem = "the authority";
    return bed;
}

static void begin(struct bed *bed)
{
    bed->options.world = &bed->rest->world;
    bed->options.pki = bed->pki;
    bed->controllers = controllers_new(bed->rest->loop, bed->rest->store, &bed->options);
    settle(bed);
}

static struct bed *begun_bed(void)
{
    struct bed *bed = bed_new();
    begin(bed);
    return bed;
}

static void bed_free(struct bed *bed)
{
    controllers_free(bed->controllers);
    pki_free(bed->pki);
    rest_bed_free(bed->rest);
    free(bed);
}
DEFINE_AUTO(bed, struct bed *, bed_free)

static void must(struct bed *bed, const char *method, const char *target, const char *body)
{
    rest_must(bed->rest, method, target, body);
    settle(bed);
}

static const char *field(struct bed *bed, const char *target, const char *path)
{
    rest_must(bed->rest, "GET", target, NULL);
    return rest_field(bed->rest, path);
}

static bool is_there(struct bed *bed, const char *target)
{
    return rest_ask(bed->rest, "GET", target, NULL) == 200;
}

/* --- a look by hand, at a time of one's own --- */

struct look {
    struct bed *bed;
    const struct concern *concern;
    struct store_key key;
    struct ctl_run run;
    struct arena *arena;
    bool is_done;
};

static struct error *run_look(void *ctx)
{
    struct look *look = ctx;
    struct rest_bed *rest = look->bed->rest;
    static const char *const groups[] = {GROUP_MASTERS};
    static const struct plane_user user = {.name = "ctl", .uid = "", .groups = {groups, 1}};
    const struct rest_env env = {.world = &rest->world,
                                 .store = rest->store,
                                 .arena = look->arena,
                                 .now_wall_ns = rest->now_ns};
    look->run = (struct ctl_run){.controllers = look->bed->controllers,
                                 .env = &env,
                                 .user = &user,
                                 .options = &look->bed->options};
    const Meta__Status *failure = look->concern->reconcile(&look->run, &look->key);
    if (failure)
        fail_msg("%s", failure->message);
    return NULL;
}

static void look_done(void *ctx, const struct error *err)
{
    assert_null(err);
    ((struct look *)ctx)->is_done = true;
}

/* Returns when to look again. */
static int64_t look_at(struct bed *bed, const struct concern *concern, const char *resource,
                       const char *name)
{
    static const struct store_task task = {.run = run_look, .done = look_done};
    AUTO(arena) struct arena *arena = arena_new(0);
    struct look look = {.bed = bed,
                        .concern = concern,
                        .key = {.resource = resource, .namespace_ = "", .name = name},
                        .arena = arena};
    store_submit(bed->rest->store, &task, &look);
    while (!look.is_done)
        loop_turn(bed->rest->loop, NS_PER_MS);
    settle(bed);
    return look.run.again_after_ns;
}

/* --- namespaces --- */

TEST_CASE(namespaces_are_furnished)
{
    static const char *const names[] = {"default", "kube-node-lease", "kube-public", "kube-system",
                                        "mine"};
    AUTO(bed) struct bed *bed = begun_bed();
    must(bed, "POST", "/api/v1/namespaces", "{\"metadata\":{\"name\":\"mine\"}}");
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct arena *arena = bed->rest->arena;
        assert_true(is_there(bed, arena_printf(arena, "/api/v1/namespaces/%s", names[i])));
        assert_true(is_there(
            bed, arena_printf(arena, "/api/v1/namespaces/%s/serviceaccounts/default", names[i])));
        const char *map =
            arena_printf(arena, "/api/v1/namespaces/%s/configmaps/kube-root-ca.crt", names[i]);
        assert_string_equal(field(bed, map, "data ca.crt"), "the authority");
    }
    assert_string_equal(
        field(bed, "/api/v1/namespaces/default/services/kubernetes", "spec clusterIP"),
        "10.96.0.1");
}

TEST_CASE(what_belongs_into_a_namespace_comes_back)
{
    AUTO(bed) struct bed *bed = begun_bed();
    must(bed, "DELETE", "/api/v1/namespaces/default/serviceaccounts/default", NULL);
    must(bed, "PUT", MAPS "/kube-root-ca.crt",
         "{\"metadata\":{\"name\":\"kube-root-ca.crt\"},\"data\":{\"ca.crt\":\"forged\"}}");
    assert_true(is_there(bed, "/api/v1/namespaces/default/serviceaccounts/default"));
    assert_string_equal(field(bed, MAPS "/kube-root-ca.crt", "data ca.crt"), "the authority");
    must(bed, "DELETE", MAPS "/kube-root-ca.crt", NULL);
    assert_true(is_there(bed, MAPS "/kube-root-ca.crt"));
}

TEST_CASE(a_namespace_is_emptied_and_goes)
{
    AUTO(bed) struct bed *bed = begun_bed();
    must(bed, "POST", "/api/v1/namespaces", "{\"metadata\":{\"name\":\"mine\"}}");
    must(bed, "POST", "/api/v1/namespaces/mine/configmaps", "{\"metadata\":{\"name\":\"a\"}}");
    must(bed, "POST", "/api/v1/namespaces/mine/secrets",
         "{\"metadata\":{\"name\":\"held\",\"finalizers\":[\"me/you\"]}}");
    must(bed, "DELETE", "/api/v1/namespaces/mine", NULL);
    assert_string_equal(field(bed, "/api/v1/namespaces/mine", "status phase"), "Terminating");
    assert_false(is_there(bed, "/api/v1/namespaces/mine/configmaps/a"));
    assert_string_not_equal(
        field(bed, "/api/v1/namespaces/mine/secrets/held", "metadata deletionTimestamp"), "");
    assert_int_equal(rest_patch_with(bed->rest, "merge", "/api/v1/namespaces/mine/secrets/held",
                                     "{\"metadata\":{\"finalizers\":null}}"),
                     200);
    settle(bed);
    assert_false(is_there(bed, "/api/v1/namespaces/mine"));
    assert_false(is_there(bed, "/api/v1/namespaces/mine/configmaps/kube-root-ca.crt"));
}

TEST_CASE(a_finalizer_of_somebody_else_holds_a_namespace)
{
    AUTO(bed) struct bed *bed = begun_bed();
    must(bed, "POST", "/api/v1/namespaces",
         "{\"metadata\":{\"name\":\"mine\"},\"spec\":{\"finalizers\":[\"me/you\"]}}");
    must(bed, "DELETE", "/api/v1/namespaces/mine", NULL);
    assert_true(is_there(bed, "/api/v1/namespaces/mine"));
    assert_string_equal(rest_field(bed->rest, "spec finalizers"), "[\"me/you\"]");
}

/* --- scheduling --- */

static void make_pod(struct bed *bed, const char *name, const char *spec)
{
    must(bed, "POST", PODS,
         arena_printf(bed->rest->arena,
                      "{\"metadata\":{\"name\":\"%s\"},\"spec\":{%s\"containers\":["
                      "{\"name\":\"c\",\"image\":\"i\"}]}}",
                      name, spec));
}

static const char *why_pending(struct bed *bed, const char *name)
{
    rest_must(bed->rest, "GET", arena_printf(bed->rest->arena, PODS "/%s", name), NULL);
    return rest_field(bed->rest, "status conditions 0 message");
}

static const char *node_of(struct bed *bed, const char *name)
{
    return field(bed, arena_printf(bed->rest->arena, PODS "/%s", name), "spec nodeName");
}

TEST_CASE(pods_get_the_node_that_will_have_them)
{
    AUTO(bed) struct bed *bed = begun_bed();
    make_pod(bed, "any", "");
    make_pod(bed, "tolerant", "\"tolerations\":[{\"key\":\"k\",\"operator\":\"Exists\"}],");
    make_pod(bed, "gated", "\"schedulingGates\":[{\"name\":\"me/wait\"}],");
    make_pod(bed, "foreign", "\"schedulerName\":\"mine\",");
    assert_string_equal(why_pending(bed, "any"), "no nodes available to schedule pods");
    must(bed, "POST", "/api/v1/nodes",
         "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"unschedulable\":true,\"taints\":[{"
         "\"key\":\"k\",\"value\":\"v\",\"effect\":\"NoSchedule\"}]}}");
    assert_string_equal(why_pending(bed, "any"),
                        "0/1 nodes are available: 1 node(s) were unschedulable.");
    assert_string_equal(rest_field(bed->rest, "status conditions 0 reason"), "Unschedulable");
    assert_int_equal(rest_patch_with(bed->rest, "merge", "/api/v1/nodes/n",
                                     "{\"spec\":{\"unschedulable\":null}}"),
                     200);
    settle(bed);
    assert_string_equal(node_of(bed, "tolerant"), "n");
    assert_string_equal(rest_field(bed->rest, "status conditions 0 status"), "True");
    assert_string_equal(why_pending(bed, "any"),
                        "0/1 nodes are available: 1 node(s) had untolerated taint {k: v}.");
    assert_int_equal(
        rest_patch_with(bed->rest, "merge", "/api/v1/nodes/n", "{\"spec\":{\"taints\":null}}"),
        200);
    settle(bed);
    assert_string_equal(node_of(bed, "any"), "n");
    assert_string_equal(node_of(bed, "gated"), "");
    assert_string_equal(node_of(bed, "foreign"), "");
    assert_int_equal(
        rest_patch_with(bed->rest, "merge", PODS "/gated", "{\"spec\":{\"schedulingGates\":null}}"),
        200);
    settle(bed);
    assert_string_equal(node_of(bed, "gated"), "n");
}

TEST_CASE(what_was_there_before_is_seen_to_at_the_start)
{
    AUTO(bed) struct bed *bed = bed_new();
    make_pod(bed, "a", "");
    must(bed, "POST", "/api/v1/nodes", "{\"metadata\":{\"name\":\"n\"}}");
    begin(bed);
    assert_string_equal(node_of(bed, "a"), "n");
}

/* --- owners --- */

/* Makes a ConfigMap with the references given, and returns its uid. */
static const char *make_map(struct bed *bed, const char *name, const char *owners)
{
    must(bed, "POST", MAPS,
         arena_printf(bed->rest->arena, "{\"metadata\":{\"name\":\"%s\",\"ownerReferences\":[%s]}}",
                      name, owners));
    const char *target = arena_printf(bed->rest->arena, MAPS "/%s", name);
    if (!is_there(bed, target))
        return "";
    return arena_strdup(bed->rest->arena, rest_field(bed->rest, "metadata uid"));
}

static const char *owner(struct bed *bed, const char *name, const char *uid, bool blocks)
{
    return arena_printf(bed->rest->arena,
                        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"name\":\"%s\","
                        "\"uid\":\"%s\",\"blockOwnerDeletion\":%s}",
                        name, uid, blocks ? "true" : "false");
}

static void delete_map(struct bed *bed, const char *name, const char *policy)
{
    must(bed, "DELETE",
         arena_printf(bed->rest->arena, MAPS "/%s?propagationPolicy=%s", name, policy), NULL);
}

TEST_CASE(dependents_go_with_their_last_owner)
{
    AUTO(bed) struct bed *bed = begun_bed();
    const char *a = owner(bed, "a", make_map(bed, "a", ""), false);
    const char *b = owner(bed, "b", make_map(bed, "b", ""), false);
    make_map(bed, "of-a", a);
    make_map(bed, "of-both", arena_printf(bed->rest->arena, "%s,%s", a, b));
    const char *child = make_map(bed, "child", a);
    make_map(bed, "grandchild", owner(bed, "child", child, false));
    delete_map(bed, "a", "Background");
    assert_false(is_there(bed, MAPS "/of-a"));
    assert_false(is_there(bed, MAPS "/child"));
    assert_false(is_there(bed, MAPS "/grandchild"));
    assert_string_equal(field(bed, MAPS "/of-both", "metadata ownerReferences 0 name"), "b");
    assert_string_equal(rest_field(bed->rest, "metadata ownerReferences 1 name"), "");
    delete_map(bed, "b", "Background");
    assert_false(is_there(bed, MAPS "/of-both"));
}

TEST_CASE(who_comes_after_the_owner_has_gone_goes_too)
{
    AUTO(bed) struct bed *bed = begun_bed();
    assert_string_equal(make_map(bed, "late", owner(bed, "gone", "1-2-3", false)), "");
    /* Another one of the same name is no owner. */
    make_map(bed, "again", "");
    assert_string_equal(make_map(bed, "late", owner(bed, "again", "1-2-3", false)), "");
    assert_true(is_there(bed, MAPS "/again"));
}

TEST_CASE(owners_that_cannot_be_judged_keep_their_dependents)
{
    AUTO(bed) struct bed *bed = begun_bed();
    make_map(bed, "of-a-stranger",
             "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"name\":\"d\",\"uid\":\"1\"}");
    assert_true(is_there(bed, MAPS "/of-a-stranger"));
    /* Something without a namespace cannot be owned by something in one. */
    must(bed, "POST", "/api/v1/persistentvolumes",
         "{\"metadata\":{\"name\":\"v\",\"ownerReferences\":[{\"apiVersion\":\"v1\","
         "\"kind\":\"ConfigMap\",\"name\":\"a\",\"uid\":\"1\"}]},\"spec\":{\"capacity\":{"
         "\"storage\":\"1Gi\"},\"accessModes\":[\"ReadWriteOnce\"],\"hostPath\":{\"path\":\"/"
         "x\"}}}");
    assert_true(is_there(bed, "/api/v1/persistentvolumes/v"));
}

TEST_CASE(orphans_are_let_go)
{
    AUTO(bed) struct bed *bed = begun_bed();
    make_map(bed, "child", owner(bed, "a", make_map(bed, "a", ""), true));
    delete_map(bed, "a", "Orphan");
    assert_false(is_there(bed, MAPS "/a"));
    assert_true(is_there(bed, MAPS "/child"));
    assert_string_equal(rest_field(bed->rest, "metadata ownerReferences"), "");
}

TEST_CASE(an_owner_waits_for_those_that_block_it)
{
    AUTO(bed) struct bed *bed = begun_bed();
    const char *a = owner(bed, "a", make_map(bed, "a", ""), true);
    const char *b = owner(bed, "b", make_map(bed, "b", ""), true);
    must(bed, "POST", MAPS,
         arena_printf(bed->rest->arena,
                      "{\"metadata\":{\"name\":\"slow\",\"finalizers\":[\"me/you\"],"
                      "\"ownerReferences\":[%s]}}",
                      a));
    make_map(bed, "quick", a);
    make_map(bed, "shared", arena_printf(bed->rest->arena, "%s,%s", a, b));
    delete_map(bed, "a", "Foreground");
    assert_false(is_there(bed, MAPS "/quick"));
    assert_string_equal(field(bed, MAPS "/a", "metadata finalizers"), "[\"foregroundDeletion\"]");
    assert_string_equal(field(bed, MAPS "/shared", "metadata ownerReferences 0 name"), "b");
    assert_int_equal(
        rest_patch_with(bed->rest, "merge", MAPS "/slow", "{\"metadata\":{\"finalizers\":null}}"),
        200);
    settle(bed);
    assert_false(is_there(bed, MAPS "/slow"));
    assert_false(is_there(bed, MAPS "/a"));
}

/* --- nodes and their pods --- */

static void make_node(struct bed *bed)
{
    must(bed, "POST", "/api/v1/nodes",
         "{\"metadata\":{\"name\":\"n\"},\"status\":{\"conditions\":[{\"type\":\"Ready\","
         "\"status\":\"True\"},{\"type\":\"DiskPressure\",\"status\":\"False\"},"
         "{\"type\":\"Mine\",\"status\":\"True\"}]}}");
}

TEST_CASE(a_node_that_is_silent_is_unknown)
{
    AUTO(bed) struct bed *bed = begun_bed();
    bed->options.node_grace_ns = 50 * NS_PER_SEC;
    make_node(bed);
    assert_int_equal(look_at(bed, &concern_nodes, "nodes", "n"), 0); /* no lease: no judgement */
    must(
        bed, "POST", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
        "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"renewTime\":\"2026-11-21T10:00:00.000000Z\"}}");
    bed->rest->now_ns = REST_BED_NOW_NS + 20 * NS_PER_SEC;
    assert_int_equal(look_at(bed, &concern_nodes, "nodes", "n"), 30 * NS_PER_SEC);
    bed->rest->now_ns = REST_BED_NOW_NS - 3600 * NS_PER_SEC;
    assert_int_equal(look_at(bed, &concern_nodes, "nodes", "n"), 50 * NS_PER_SEC);
    assert_string_equal(field(bed, "/api/v1/nodes/n", "status conditions 0 status"), "True");
    bed->rest->now_ns = REST_BED_NOW_NS + 50 * NS_PER_SEC;
    assert_int_equal(look_at(bed, &concern_nodes, "nodes", "n"), 0);
    assert_string_equal(field(bed, "/api/v1/nodes/n", "status conditions 0 status"), "Unknown");
    assert_string_equal(rest_field(bed->rest, "status conditions 0 reason"), "NodeStatusUnknown");
    assert_string_equal(rest_field(bed->rest, "status conditions 1 status"), "Unknown");
    assert_string_equal(rest_field(bed->rest, "status conditions 2 status"), "True");
}

TEST_CASE(pods_of_a_node_that_has_gone_go)
{
    AUTO(bed) struct bed *bed = begun_bed();
    make_node(bed);
    make_pod(bed, "there", "\"nodeName\":\"n\",");
    make_pod(bed, "lost", "\"nodeName\":\"gone\",");
    make_pod(bed, "elsewhere", "\"nodeName\":\"other\",");
    look_at(bed, &concern_pods, "nodes", "n");
    look_at(bed, &concern_pods, "nodes", "gone");
    assert_true(is_there(bed, PODS "/there"));
    assert_false(is_there(bed, PODS "/lost"));
    assert_true(is_there(bed, PODS "/elsewhere"));
}

TEST_CASE(the_oldest_finished_pods_beyond_the_limit_go)
{
    AUTO(bed) struct bed *bed = begun_bed();
    static const char *const names[] = {"d", "a", "c", "b", "runs"};
    bed->options.finished_pods_max = 2;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        make_pod(bed, names[i], "\"nodeName\":\"n\",");
        const char *status = arena_printf(bed->rest->arena, "{\"status\":{\"phase\":\"%s\"}}",
                                          i == 4  ? "Running"
                                          : i % 2 ? "Failed"
                                                  : "Succeeded");
        const char *target = arena_printf(bed->rest->arena, PODS "/%s/status", names[i]);
        assert_int_equal(rest_patch_with(bed->rest, "merge", target, status), 200);
        bed->rest->now_ns += NS_PER_SEC;
    }
    assert_int_equal(look_at(bed, &concern_pods, "pods", ""), 0);
    assert_false(is_there(bed, PODS "/d"));
    assert_false(is_there(bed, PODS "/a"));
    assert_true(is_there(bed, PODS "/c"));
    assert_true(is_there(bed, PODS "/b"));
    assert_true(is_there(bed, PODS "/runs"));
}

TEST_CASE(events_live_for_a_time)
{
    AUTO(bed) struct bed *bed = begun_bed();
    bed->options.event_ttl_ns = 3600 * NS_PER_SEC;
    const char *events = "/api/v1/namespaces/default/events";
    struct arena *arena = bed->rest->arena;
    must(bed, "POST", events,
         "{\"metadata\":{\"name\":\"old\"},\"involvedObject\":{\"namespace\":\"default\"}}");
    must(bed, "POST", events,
         "{\"metadata\":{\"name\":\"seen\"},\"involvedObject\":{\"namespace\":\"default\"},"
         "\"lastTimestamp\":\"2026-11-21T10:30:00Z\"}");
    bed->rest->now_ns = REST_BED_NOW_NS + 3590 * NS_PER_SEC;
    assert_int_equal(look_at(bed, &concern_expiry, "events", ""), 60 * NS_PER_SEC);
    bed->rest->now_ns = REST_BED_NOW_NS + 3600 * NS_PER_SEC;
    assert_int_equal(look_at(bed, &concern_expiry, "events", ""), 1800 * NS_PER_SEC);
    assert_false(is_there(bed, arena_printf(arena, "%s/old", events)));
    assert_true(is_there(bed, arena_printf(arena, "%s/seen", events)));
}

/* --- certificates --- */

static const char *base64(const char *text, struct arena *arena)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = strlen(text);
    char *out = arena_alloc(arena, len / 3 * 4 + 5);
    char *at = out;
    for (size_t i = 0; i < len; i += 3) {
        unsigned bits = (unsigned)(unsigned char)text[i] << 16;
        bits |= i + 1 < len ? (unsigned)(unsigned char)text[i + 1] << 8 : 0;
        bits |= i + 2 < len ? (unsigned)(unsigned char)text[i + 2] : 0;
        for (int shift = 18; shift >= 0; shift -= 6)
            *at++ = letters[bits >> shift & 63];
    }
    for (size_t missing = (3 - len % 3) % 3; missing > 0; missing--)
        at[-(long)missing] = '=';
    return out;
}

static void ask_certificate(struct bed *bed, const char *name, const char *signer)
{
    AUTO(free)
    char *pem = request_pem(&(struct request_text){.common_name = "system:node:node-a",
                                                   .organizations = {"system:nodes"}});
    must(bed, "POST", CSRS,
         arena_printf(bed->rest->arena,
                      "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"request\":\"%s\","
                      "\"signerName\":\"%s\",\"usages\":[\"digital signature\","
                      "\"client auth\"]}}",
                      name, base64(pem, bed->rest->arena), signer));
}

TEST_CASE(requests_for_certificates_are_approved_and_signed)
{
    AUTO(bed) struct bed *bed = bed_new();
    const struct pki_options options = {.node_name = "node-a",
                                        .service_range = "10.96.0.0/12",
                                        .now_s = REST_BED_NOW_NS / NS_PER_SEC};
    assert_no_error(pki_open_blocking(bed->rest->dir, &options, &bed->pki));
    begin(bed);
    /* Its own certificate anew: approved by itself. */
    rest_bed_become(bed->rest, "system:node:node-a", "system:nodes");
    ask_certificate(bed, "own", "kubernetes.io/kube-apiserver-client-kubelet");
    rest_bed_become_admin(bed->rest);
    assert_string_equal(field(bed, CSRS "/own", "status conditions 0 type"), "Approved");
    assert_string_equal(rest_field(bed->rest, "status conditions 0 reason"), "AutoApproved");
    assert_string_not_equal(rest_field(bed->rest, "status certificate"), "");

    /* Somebody else's: a person decides. */
    rest_bed_become(bed->rest, "bob", NULL);
    ask_certificate(bed, "other", "kubernetes.io/kube-apiserver-client-kubelet");
    rest_bed_become_admin(bed->rest);
    assert_string_equal(field(bed, CSRS "/other", "status conditions"), "");
    must(bed, "PUT", CSRS "/other/approval",
         arena_printf(bed->rest->arena,
                      "{\"metadata\":{\"name\":\"other\"},\"status\":{\"conditions\":[{"
                      "\"type\":\"Approved\",\"status\":\"True\",\"reason\":\"x\"}]}}"));
    assert_string_not_equal(field(bed, CSRS "/other", "status certificate"), "");

    ask_certificate(bed, "foreign", "example.com/signer");
    assert_string_equal(field(bed, CSRS "/foreign", "status conditions"), "");
}

TEST_CASE(old_requests_for_certificates_go)
{
    AUTO(bed) struct bed *bed = begun_bed();
    ask_certificate(bed, "a", "example.com/signer");
    bed->rest->now_ns = REST_BED_NOW_NS + 3600 * NS_PER_SEC;
    assert_int_equal(
        look_at(bed, &concern_signing, "certificatesigningrequests.certificates.k8s.io", "a"),
        23 * 3600 * NS_PER_SEC);
    bed->rest->now_ns = REST_BED_NOW_NS + 24 * 3600 * NS_PER_SEC;
    look_at(bed, &concern_signing, "certificatesigningrequests.certificates.k8s.io", "a");
    assert_false(is_there(bed, CSRS "/a"));
}

TEST_CASE(the_controllers_may_end_at_any_moment)
{
    for (int turns = 0; turns < 12; turns++) {
        AUTO(bed) struct bed *bed = bed_new();
        bed->options.world = &bed->rest->world;
        bed->controllers = controllers_new(bed->rest->loop, bed->rest->store, &bed->options);
        for (int i = 0; i < turns; i++)
            loop_turn(bed->rest->loop, 0);
    }
}

TEST_MAIN(TEST(namespaces_are_furnished), TEST(what_belongs_into_a_namespace_comes_back),
          TEST(a_namespace_is_emptied_and_goes),
          TEST(a_finalizer_of_somebody_else_holds_a_namespace),
          TEST(pods_get_the_node_that_will_have_them),
          TEST(what_was_there_before_is_seen_to_at_the_start),
          TEST(dependents_go_with_their_last_owner),
          TEST(who_comes_after_the_owner_has_gone_goes_too),
          TEST(owners_that_cannot_be_judged_keep_their_dependents), TEST(orphans_are_let_go),
          TEST(an_owner_waits_for_those_that_block_it), TEST(a_node_that_is_silent_is_unknown),
          TEST(pods_of_a_node_that_has_gone_go), TEST(the_oldest_finished_pods_beyond_the_limit_go),
          TEST(events_live_for_a_time), TEST(requests_for_certificates_are_approved_and_signed),
          TEST(old_requests_for_certificates_go), TEST(the_controllers_may_end_at_any_moment))
