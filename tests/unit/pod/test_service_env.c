#include "pod/service_env.h"

#include "kube/codec.h"
#include "tests/lib/test.h"

static const Core__Service *service_from(const char *yaml, struct arena *arena)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *message = NULL;
    assert_no_error(
        kube_decode_yaml(str_from(yaml), &core__service__descriptor, &options, arena, &message));
    return (const Core__Service *)message;
}

#define MAX_SERVICES 4

/* "A=1 B=2" for a pod of namespace "ns". */
static const char *env_of(const char *const yaml[MAX_SERVICES], bool has_links, struct arena *arena)
{
    const struct service_audience audience = {.namespace_ = "ns", .has_links = has_links};
    const Core__Service *services[MAX_SERVICES];
    size_t count = 0;
    while (count < MAX_SERVICES && yaml[count]) {
        services[count] = service_from(yaml[count], arena);
        count++;
    }
    const struct service_variable *variables;
    size_t n_variables;
    service_env_build(&audience, services, count, arena, &variables, &n_variables);
    const char *all = "";
    for (size_t i = 0; i < n_variables; i++)
        all = arena_printf(arena, "%s%s%s=%s", all, i ? " " : "", variables[i].name,
                           variables[i].value);
    return all;
}

#define SERVICE(namespace_, name, ip, ports)                                                       \
    "{metadata: {namespace: " namespace_ ", name: " name "}, spec: {clusterIP: '" ip               \
    "', ports: [" ports "]}}"
#define MASTER_ENV(ip)                                                                             \
    "KUBERNETES_SERVICE_HOST=" ip " KUBERNETES_SERVICE_PORT=443 "                                  \
    "KUBERNETES_SERVICE_PORT_HTTPS=443 KUBERNETES_PORT=tcp://" ip ":443 "                          \
    "KUBERNETES_PORT_443_TCP=tcp://" ip ":443 KUBERNETES_PORT_443_TCP_PROTO=tcp "                  \
    "KUBERNETES_PORT_443_TCP_PORT=443 KUBERNETES_PORT_443_TCP_ADDR=" ip
#define MASTER SERVICE("default", "kubernetes", "10.0.0.1", "{name: https, port: 443}")

TEST_CASE(containers_are_told_of_services)
{
    static const struct {
        const char *name;
        const char *services[MAX_SERVICES];
        bool has_no_links;
        const char *want;
    } rows[] = {
        {"nothing to tell", {NULL}, false, ""},
        {"the API server, links or not", {MASTER}, true, MASTER_ENV("10.0.0.1")},
        {"a namesake of another namespace is none",
         {SERVICE("other", "kubernetes", "10.0.0.9", "{port: 1}")},
         false,
         ""},
        {"the pod's own namesake wins",
         {MASTER, SERVICE("ns", "kubernetes", "10.0.0.2", "{name: https, port: 443}")},
         false,
         MASTER_ENV("10.0.0.2")},
        {"the pod's own namesake wins in any order",
         {SERVICE("ns", "kubernetes", "10.0.0.2", "{name: https, port: 443}"), MASTER},
         false,
         MASTER_ENV("10.0.0.2")},
        {"but not without links",
         {SERVICE("ns", "kubernetes", "10.0.0.2", "{name: https, port: 443}"), MASTER},
         true,
         MASTER_ENV("10.0.0.1")},
        {"two ports, one of them named, two protocols",
         {SERVICE("ns", "my-db2", "10.0.0.3",
                  "{port: 53, protocol: UDP}, {name: dns-tcp, port: 54}")},
         false,
         "MY_DB2_SERVICE_HOST=10.0.0.3 MY_DB2_SERVICE_PORT=53 MY_DB2_SERVICE_PORT_DNS_TCP=54 "
         "MY_DB2_PORT=udp://10.0.0.3:53 "
         "MY_DB2_PORT_53_UDP=udp://10.0.0.3:53 MY_DB2_PORT_53_UDP_PROTO=udp "
         "MY_DB2_PORT_53_UDP_PORT=53 MY_DB2_PORT_53_UDP_ADDR=10.0.0.3 "
         "MY_DB2_PORT_54_TCP=tcp://10.0.0.3:54 MY_DB2_PORT_54_TCP_PROTO=tcp "
         "MY_DB2_PORT_54_TCP_PORT=54 MY_DB2_PORT_54_TCP_ADDR=10.0.0.3"},
        {"IPv6",
         {SERVICE("ns", "six", "fd00::1", "{port: 1}")},
         false,
         "SIX_SERVICE_HOST=fd00::1 SIX_SERVICE_PORT=1 SIX_PORT=tcp://[fd00::1]:1 "
         "SIX_PORT_1_TCP=tcp://[fd00::1]:1 SIX_PORT_1_TCP_PROTO=tcp SIX_PORT_1_TCP_PORT=1 "
         "SIX_PORT_1_TCP_ADDR=fd00::1"},
        {"by name, whatever the order",
         {SERVICE("ns", "b", "10.0.0.2", ""), SERVICE("ns", "a", "10.0.0.1", "")},
         false,
         "A_SERVICE_HOST=10.0.0.1 B_SERVICE_HOST=10.0.0.2"},
        {"no links", {SERVICE("ns", "b", "10.0.0.2", "{port: 1}")}, true, ""},
        {"another namespace, no address, headless",
         {SERVICE("other", "b", "10.0.0.2", "{port: 1}"), SERVICE("ns", "c", "", "{port: 1}"),
          SERVICE("ns", "d", "None", "{port: 1}"), "{metadata: {namespace: ns, name: e}}"},
         false,
         ""},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *got = env_of(rows[i].services, !rows[i].has_no_links, arena);
        if (!text_eq(got, rows[i].want))
            fail_msg("%s: got %s, want %s", rows[i].name, got, rows[i].want);
    }
}

TEST_MAIN(TEST(containers_are_told_of_services))
