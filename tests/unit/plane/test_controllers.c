/* Namespaces, owners and dependents, events and certificates, kept in order without being asked. */
#include "plane/jwt.h"
#include "request_pem.h"
#include "tests/unit/plane/controllers_bed.h"

#define MAPS "/api/v1/namespaces/default/configmaps"
#define CSRS "/apis/certificates.k8s.io/v1/certificatesigningrequests"

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
    bed->rest->now_ns = loop_now_wall_ns(bed->rest->loop); /* the age of a request counts */
    const struct pki_options options = {.node_name = "node-a",
                                        .service_range = "10.96.0.0/12",
                                        .now_s = bed->rest->now_ns / NS_PER_SEC};
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
    int64_t asked_ns = loop_now_wall_ns(bed->rest->loop) / NS_PER_SEC * NS_PER_SEC;
    bed->rest->now_ns = asked_ns;
    ask_certificate(bed, "a", "example.com/signer");
    bed->rest->now_ns = asked_ns + 3600 * NS_PER_SEC;
    assert_int_equal(
        look_at(bed, &concern_signing, "certificatesigningrequests.certificates.k8s.io", "a"),
        23 * 3600 * NS_PER_SEC);
    bed->rest->now_ns = asked_ns + 24 * 3600 * NS_PER_SEC;
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
          TEST(dependents_go_with_their_last_owner),
          TEST(who_comes_after_the_owner_has_gone_goes_too),
          TEST(owners_that_cannot_be_judged_keep_their_dependents), TEST(orphans_are_let_go),
          TEST(an_owner_waits_for_those_that_block_it), TEST(events_live_for_a_time),
          TEST(requests_for_certificates_are_approved_and_signed),
          TEST(old_requests_for_certificates_go), TEST(the_controllers_may_end_at_any_moment))
