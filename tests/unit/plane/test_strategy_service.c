#include "tests/unit/plane/rest_bed.h"

#include "plane/ip_text.h"

#define SERVICES "/api/v1/namespaces/default/services"

/* POSTs a service called @name with @spec. */
static unsigned make(struct rest_bed *bed, const char *name, const char *spec)
{
    return rest_ask(
        bed, "POST", SERVICES,
        arena_printf(bed->arena, "{\"metadata\":{\"name\":\"%s\"},\"spec\":{%s}}", name, spec));
}

static void must_make(struct rest_bed *bed, const char *name, const char *spec)
{
    rest_expect(bed, make(bed, name, spec), 201, NULL);
}

static bool is_in(const char *text, const char *range_text)
{
    struct ip ip;
    struct ip_range range;
    return ip_parse(text, &ip) && ip_range_parse(str_from(range_text), &range) &&
           ip_range_has(&range, &ip);
}

TEST_CASE(a_new_service_is_defaulted_and_has_an_address)
{
    static const struct {
        const char *path, *value;
    } rows[] = {
        {"spec type", "ClusterIP"},
        {"spec sessionAffinity", "None"},
        {"spec internalTrafficPolicy", "Cluster"},
        {"spec ipFamilies", "[\"IPv4\"]"},
        {"spec ipFamilyPolicy", "SingleStack"},
        {"spec externalTrafficPolicy", ""},
        {"spec ports 0", "{\"protocol\":\"TCP\",\"port\":80,\"targetPort\":80}"},
        {"status", "{\"loadBalancer\":{}}"},
        {"metadata generation", ""},
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    must_make(bed, "web", "\"ports\":[{\"port\":80}],\"selector\":{\"app\":\"web\"}");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(rest_field(bed, rows[i].path), rows[i].value);
    const char *ip = rest_field(bed, "spec clusterIP");
    assert_true(is_in(ip, "10.96.0.0/12"));
    assert_string_equal(rest_field(bed, "spec clusterIPs 0"), ip);
}

TEST_CASE(addresses_are_given_once_and_come_back)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    bed->world.service_range = "10.96.0.0/29"; /* .2 to .6 are left for services */
    const char *taken[5];
    for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
        must_make(bed, arena_printf(bed->arena, "s%zu", i), "\"ports\":[{\"port\":80}]");
        taken[i] = arena_strdup(bed->arena, rest_field(bed, "spec clusterIP"));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(taken[i], taken[k]);
        assert_string_not_equal(taken[i], "10.96.0.1");
    }
    unsigned code = make(bed, "one-more", "\"ports\":[{\"port\":80}]");
    rest_expect(bed, code, 500,
                "Internal error occurred: failed to allocate a serviceIP: range is full");
    rest_must(bed, "DELETE", SERVICES "/s3", NULL);
    must_make(bed, "one-more", "\"ports\":[{\"port\":80}]");
    assert_string_equal(rest_field(bed, "spec clusterIP"), taken[3]);
}

TEST_CASE(an_address_may_be_asked_for)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    must_make(bed, "dns", "\"clusterIP\":\"10.96.0.10\",\"ports\":[{\"port\":53}]");
    assert_string_equal(rest_field(bed, "spec clusterIPs"), "[\"10.96.0.10\"]");
    unsigned code = make(bed, "two", "\"clusterIP\":\"10.96.0.10\",\"ports\":[{\"port\":53}]");
    rest_expect(bed, code, 422,
                "Service \"two\" is invalid: spec.clusterIPs: Invalid value: [\"10.96.0.10\"]: "
                "failed to allocate IP 10.96.0.10: provided IP is already allocated");
    code = make(bed, "two", "\"clusterIP\":\"10.0.0.1\",\"ports\":[{\"port\":53}]");
    rest_expect(
        bed, code, 422,
        "Service \"two\" is invalid: spec.clusterIPs: Invalid value: [\"10.0.0.1\"]: failed "
        "to allocate IP 10.0.0.1: the provided IP (10.0.0.1) is not in the valid range. The "
        "range of valid IPs is 10.96.0.0/12");
    code = make(bed, "two", "\"clusterIP\":\"nonsense\",\"ports\":[{\"port\":53}]");
    rest_expect(bed, code, 422,
                "Service \"two\" is invalid: spec.clusterIPs[0]: Invalid value: \"nonsense\": must "
                "be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
}

TEST_CASE(some_services_have_no_address)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    must_make(bed, "headless", "\"clusterIP\":\"None\",\"selector\":{\"a\":\"b\"}");
    assert_string_equal(rest_field(bed, "spec clusterIPs"), "[\"None\"]");
    assert_string_equal(rest_field(bed, "spec ipFamilies"), "[\"IPv4\"]");
    must_make(bed, "free", "\"clusterIP\":\"None\"");
    assert_string_equal(rest_field(bed, "spec ipFamilies"), "[\"IPv4\",\"IPv6\"]");
    assert_string_equal(rest_field(bed, "spec ipFamilyPolicy"), "RequireDualStack");
    must_make(bed, "elsewhere", "\"type\":\"ExternalName\",\"externalName\":\"example.com\"");
    assert_string_equal(rest_field(bed, "spec"),
                        "{\"type\":\"ExternalName\",\"sessionAffinity\":\"None\",\"externalName\":"
                        "\"example.com\"}");
}

TEST_CASE(two_families_get_an_address_each)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    unsigned code =
        make(bed, "web", "\"ipFamilyPolicy\":\"RequireDualStack\",\"ports\":[{\"port\":80}]");
    rest_expect(bed, code, 422,
                "Service \"web\" is invalid: spec.ipFamilyPolicy: Invalid value: "
                "\"RequireDualStack\": this cluster is not configured for dual-stack services");
    must_make(bed, "single", "\"ipFamilyPolicy\":\"PreferDualStack\",\"ports\":[{\"port\":80}]");
    assert_string_equal(rest_field(bed, "spec ipFamilies"), "[\"IPv4\"]");

    bed->world.service_range = "10.96.0.0/12,fd00:10:96::/112";
    must_make(bed, "web", "\"ipFamilyPolicy\":\"RequireDualStack\",\"ports\":[{\"port\":80}]");
    assert_string_equal(rest_field(bed, "spec ipFamilies"), "[\"IPv4\",\"IPv6\"]");
    assert_true(is_in(rest_field(bed, "spec clusterIPs 0"), "10.96.0.0/12"));
    assert_true(is_in(rest_field(bed, "spec clusterIPs 1"), "fd00:10:96::/112"));
    must_make(bed, "six", "\"ipFamilies\":[\"IPv6\"],\"ports\":[{\"port\":80}]");
    assert_true(is_in(rest_field(bed, "spec clusterIP"), "fd00:10:96::/112"));

    /* One that is there gets its second family, and loses it again. */
    must_make(bed, "grows", "\"ports\":[{\"port\":80}]");
    const char *first = arena_strdup(bed->arena, rest_field(bed, "spec clusterIP"));
    code = rest_patch_with(bed, "merge", SERVICES "/grows",
                           "{\"spec\":{\"ipFamilyPolicy\":\"PreferDualStack\"}}");
    rest_expect(bed, code, 200, NULL);
    assert_string_equal(rest_field(bed, "spec clusterIPs 0"), first);
    assert_true(is_in(rest_field(bed, "spec clusterIPs 1"), "fd00:10:96::/112"));
    code = rest_patch_with(bed, "merge", SERVICES "/grows",
                           "{\"spec\":{\"ipFamilyPolicy\":\"SingleStack\"}}");
    rest_expect(bed, code, 200, NULL);
    assert_string_equal(rest_field(bed, "spec clusterIPs"),
                        arena_printf(bed->arena, "[\"%s\"]", first));
}

static int64_t node_port(struct rest_bed *bed, int index)
{
    int64_t port = 0;
    const char *path = arena_printf(bed->arena, "spec ports %d nodePort", index);
    assert_true(parse_i64(rest_field(bed, path), 30000, 32767, &port));
    return port;
}

TEST_CASE(node_ports_are_given_once)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    must_make(bed, "web",
              "\"type\":\"NodePort\",\"ports\":[{\"name\":\"t\",\"port\":53},{\"name\":\"u\","
              "\"port\":53,\"protocol\":\"UDP\"},{\"name\":\"x\",\"port\":80,\"nodePort\":30080}]");
    assert_int_equal(node_port(bed, 0), node_port(bed, 1));
    assert_int_not_equal(node_port(bed, 0), 30080);
    assert_int_equal(node_port(bed, 2), 30080);
    assert_string_equal(rest_field(bed, "spec externalTrafficPolicy"), "Cluster");
    unsigned code =
        make(bed, "two", "\"type\":\"NodePort\",\"ports\":[{\"port\":80,\"nodePort\":30080}]");
    rest_expect(
        bed, code, 422,
        "Service \"two\" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided "
        "port is already allocated");
    code = make(bed, "two", "\"type\":\"NodePort\",\"ports\":[{\"port\":80,\"nodePort\":80}]");
    rest_expect(bed, code, 422,
                "Service \"two\" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided "
                "port is not in the valid range. The range of valid ports is 30000-32767");
    must_make(bed, "lb",
              "\"type\":\"LoadBalancer\",\"externalTrafficPolicy\":\"Local\",\"ports\":[{\"port\":"
              "80}]");
    assert_true(node_port(bed, 0) >= 30000);
    assert_string_equal(rest_field(bed, "spec allocateLoadBalancerNodePorts"), "true");
    assert_string_not_equal(rest_field(bed, "spec healthCheckNodePort"), "");
    must_make(bed, "bare",
              "\"type\":\"LoadBalancer\",\"allocateLoadBalancerNodePorts\":false,\"ports\":[{"
              "\"port\":80}]");
    assert_string_equal(rest_field(bed, "spec ports 0 nodePort"), "");
}

TEST_CASE(what_was_given_survives_an_update_that_does_not_say_it)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    must_make(bed, "web", "\"type\":\"NodePort\",\"ports\":[{\"port\":80}]");
    const char *ip = arena_strdup(bed->arena, rest_field(bed, "spec clusterIP"));
    int64_t port = node_port(bed, 0);
    rest_must(bed, "PUT", SERVICES "/web",
              "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"type\":\"NodePort\",\"ports\":[{"
              "\"port\":81}]}}");
    assert_string_equal(rest_field(bed, "spec clusterIP"), ip);
    assert_int_equal(node_port(bed, 0), port);
    /* To another type and back. */
    unsigned code =
        rest_patch_with(bed, "merge", SERVICES "/web", "{\"spec\":{\"type\":\"ClusterIP\"}}");
    rest_expect(bed, code, 200, NULL);
    assert_string_equal(rest_field(bed, "spec ports 0 nodePort"), "");
    assert_string_equal(rest_field(bed, "spec externalTrafficPolicy"), "");
    assert_string_equal(rest_field(bed, "spec clusterIP"), ip);
    code = rest_patch_with(bed, "merge", SERVICES "/web",
                           "{\"spec\":{\"type\":\"ExternalName\",\"externalName\":\"a.b\"}}");
    rest_expect(bed, code, 200, NULL);
    assert_string_equal(rest_field(bed, "spec clusterIP"), "");
    assert_string_equal(rest_field(bed, "spec ipFamilies"), "");
    code = rest_patch_with(bed, "merge", SERVICES "/web", "{\"spec\":{\"type\":\"ClusterIP\"}}");
    rest_expect(bed, code, 200, NULL);
    assert_true(is_in(rest_field(bed, "spec clusterIP"), "10.96.0.0/12"));
}

TEST_CASE(an_address_does_not_change)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    must_make(bed, "web", "\"clusterIP\":\"10.96.0.10\",\"ports\":[{\"port\":80}]");
    unsigned code =
        rest_patch_with(bed, "merge", SERVICES "/web", "{\"spec\":{\"clusterIP\":\"10.96.0.11\"}}");
    rest_expect(bed, code, 422,
                "Service \"web\" is invalid: spec.clusterIPs[0]: Invalid value: [\"10.96.0.11\"]: "
                "may not change once set");
    code = rest_patch_with(bed, "merge", SERVICES "/web/status",
                           "{\"spec\":{\"selector\":{\"a\":\"b\"}},\"status\":{\"loadBalancer\":{"
                           "\"ingress\":[{\"ip\":\"1.2.3.4\"}]}}}");
    rest_expect(bed, code, 200, NULL);
    assert_string_equal(rest_field(bed, "spec selector"), "");
    assert_string_equal(rest_field(bed, "status loadBalancer ingress 0 ip"), "1.2.3.4");
}

TEST_CASE(a_wrong_service_is_refused_in_known_words)
{
    static const struct {
        const char *name, *spec, *message;
    } rows[] = {
        {"web", "\"type\":\"ClusterIP\"", "Service \"web\" is invalid: spec.ports: Required value"},
        {"web", "\"ports\":[{\"port\":0}]", NULL},
        {"web", "\"ports\":[{\"port\":80},{\"port\":81}]",
         "Service \"web\" is invalid: [spec.ports[0].name: Required value, spec.ports[1].name: "
         "Required value]"},
        {"web", "\"ports\":[{\"port\":80,\"protocol\":\"tcp\"}]",
         "Service \"web\" is invalid: spec.ports[0].protocol: Unsupported value: \"tcp\": "
         "supported "
         "values: \"SCTP\", \"TCP\", \"UDP\""},
        {"web", "\"ports\":[{\"port\":80,\"nodePort\":30000}]",
         "Service \"web\" is invalid: spec.ports[0].nodePort: Forbidden: may not be used when "
         "`type` is 'ClusterIP'"},
        {"web", "\"type\":\"Other\",\"ports\":[{\"port\":80}]",
         "Service \"web\" is invalid: spec.type: Unsupported value: \"Other\": supported values: "
         "\"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\""},
        {"web", "\"sessionAffinity\":\"x\",\"ports\":[{\"port\":80}]",
         "Service \"web\" is invalid: spec.sessionAffinity: Unsupported value: \"x\": supported "
         "values: \"ClientIP\", \"None\""},
        {"web", "\"externalIPs\":[\"127.0.0.1\"],\"ports\":[{\"port\":80}]",
         "Service \"web\" is invalid: spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not "
         "be "
         "in the loopback range (127.0.0.0/8, ::1/128)"},
        {"web", "\"type\":\"ExternalName\"",
         "Service \"web\" is invalid: spec.externalName: Required value"},
        {"1web", "\"ports\":[{\"port\":80}]",
         "Service \"1web\" is invalid: metadata.name: Invalid value: \"1web\": a DNS-1035 label "
         "must consist of lower case alphanumeric characters or '-', start with an alphabetic "
         "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex "
         "used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"},
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        rest_expect(bed, make(bed, rows[i].name, rows[i].spec), 422, rows[i].message);
    /* A put of what is not there makes it. */
    rest_must(bed, "PUT", SERVICES "/put",
              "{\"metadata\":{\"name\":\"put\"},\"spec\":{\"ports\":[{\"port\":1}]}}");
    assert_int_equal(bed->reply.code, 201);
}

TEST_CASE(affinity_by_client_has_a_time)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    must_make(bed, "web", "\"sessionAffinity\":\"ClientIP\",\"ports\":[{\"port\":80}]");
    assert_string_equal(rest_field(bed, "spec sessionAffinityConfig"),
                        "{\"clientIP\":{\"timeoutSeconds\":10800}}");
}

TEST_CASE(a_dry_run_takes_no_address)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    bed->world.service_range = "10.96.0.0/30"; /* one address */
    for (int i = 0; i < 3; i++) {
        rest_must(bed, "POST", SERVICES "?dryRun=All",
                  "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"ports\":[{\"port\":80}]}}");
        assert_string_equal(rest_field(bed, "spec clusterIP"), "10.96.0.2");
    }
}

TEST_CASE(without_a_range_no_service_gets_an_address)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    bed->world.service_range = "";
    unsigned code =
        rest_ask(bed, "POST", SERVICES,
                 "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"ports\":[{\"port\":80}]}}");
    rest_expect(bed, code, 500, "Internal error occurred: the service range \"\" is no range");
}

TEST_MAIN(TEST(without_a_range_no_service_gets_an_address),
          TEST(a_new_service_is_defaulted_and_has_an_address),
          TEST(addresses_are_given_once_and_come_back), TEST(an_address_may_be_asked_for),
          TEST(some_services_have_no_address), TEST(two_families_get_an_address_each),
          TEST(node_ports_are_given_once),
          TEST(what_was_given_survives_an_update_that_does_not_say_it),
          TEST(an_address_does_not_change), TEST(a_wrong_service_is_refused_in_known_words),
          TEST(affinity_by_client_has_a_time), TEST(a_dry_run_takes_no_address))
