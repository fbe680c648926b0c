#include "node/address_choice.h"

#include "tests/lib/test.h"

#include <arpa/inet.h>

#define MAX_LOCALS 8
#define V4_HEADING                                                                                 \
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
#define V4_REST "\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
#define V4_DEFAULT(interface) interface "\t00000000" V4_REST
#define ZEROS "00000000000000000000000000000000"
#define V6_ROUTE(destination, gateway, interface)                                                  \
    destination " 00 " ZEROS " 00 " gateway                                                        \
                " 00000400 00000003 00000000 00000003     " interface "\n"
#define V6_GATEWAY "fd000000000000000000000000000001"
#define V6_DEFAULT(interface) V6_ROUTE(ZEROS, V6_GATEWAY, interface)

/* --- a network made of texts --- */

struct local {
    const char *interface, *address;
    unsigned flags;
};

struct fake {
    struct node_network network;
    const char *const *looked_up; /* NULL: must not be asked */
    const char *v4_routes, *v6_routes;
    struct node_local_address locals[MAX_LOCALS];
};

static struct in6_addr ip_of(const char *text)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, text, &v4) == 1)
        return node_ip_of_v4(v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6), 1);
    return v6;
}

static size_t fake_lookup(const struct node_network *self, const char *name, struct arena *arena,
                          const struct in6_addr **ret)
{
    const struct fake *fake = CONTAINER_OF(self, const struct fake, network);
    assert_string_equal(name, "node-a");
    assert_non_null(fake->looked_up);
    struct in6_addr *ips = arena_calloc(arena, MAX_LOCALS, sizeof(*ips));
    size_t count = 0;
    for (; fake->looked_up[count]; count++)
        ips[count] = ip_of(fake->looked_up[count]);
    *ret = ips;
    return count;
}

static bool fake_routes(const struct node_network *self, bool v6, struct arena *arena UNUSED,
                        struct str *ret)
{
    const struct fake *fake = CONTAINER_OF(self, const struct fake, network);
    const char *text = v6 ? fake->v6_routes : fake->v4_routes;
    if (text)
        *ret = str_from(text);
    return text != NULL;
}

static const struct node_network_vtable fake_vtable = {.lookup = fake_lookup,
                                                       .routes = fake_routes};

static void fake_init(struct fake *fake, const struct local *locals)
{
    *fake = (struct fake){.network = {.vtable = &fake_vtable}};
    for (size_t i = 0; locals[i].interface; i++) {
        struct node_local_address *local = &fake->locals[i];
        memcpy(local->interface, locals[i].interface, strlen(locals[i].interface) + 1);
        local->flags = locals[i].flags;
        local->address = ip_of(locals[i].address);
        fake->network.n_locals++;
    }
    fake->network.locals = fake->locals;
}

/* The addresses in order with commas between, or the error. */
static const char *outcome(const struct fake *fake, const char *const *node_ips,
                           const char *hostname, struct arena *arena)
{
    struct node_addresses_input input = {
        .node_ips = node_ips, .hostname = hostname, .node_name = "node-a"};
    struct node_addresses found = {.count = 99};
    AUTO(error)
    struct error *err = node_addresses_choose(&input, &fake->network, arena, &found);
    if (err) {
        assert_int_equal(found.count, 99);
        return arena_strdup(arena, err->message);
    }
    const char *text = "";
    for (size_t i = 0; i < found.count; i++) {
        bool is_last = i + 1 == found.count;
        assert_string_equal(found.items[i].type, is_last ? "Hostname" : "InternalIP");
        text = arena_printf(arena, "%s%s%s", text, i > 0 ? "," : "", found.items[i].address);
    }
    return text;
}

static const struct local usual[] = {{"lo", "127.0.0.1", IFF_UP | IFF_LOOPBACK},
                                     {"eth0", "10.0.0.5", IFF_UP},
                                     {"eth1", "192.168.1.5", IFF_UP},
                                     {"lo", "::1", IFF_UP | IFF_LOOPBACK},
                                     {"eth0", "fd00::5", IFF_UP},
                                     {"eth0", "fe80::5", IFF_UP},
                                     {"eth1", "169.254.1.1", IFF_UP},
                                     {NULL, NULL, 0}};

/* --- what is specified --- */

TEST_CASE(a_specified_address_must_be_this_machines)
{
    static const struct {
        const char *name, *node_ips[3], *want;
    } rows[] = {
        {"one", {"10.0.0.5"}, "10.0.0.5,node-a"},
        {"one with zeros in front", {"010.000.0.05"}, "10.0.0.5,node-a"},
        {"an IPv6 one", {"fd00::5"}, "fd00::5,node-a"},
        {"in another spelling", {"FD00:0::0:5"}, "fd00::5,node-a"},
        {"an IPv4 one in IPv6 spelling", {"::ffff:10.0.0.5"}, "10.0.0.5,node-a"},
        {"two", {"10.0.0.5", "fd00::5"}, "10.0.0.5,fd00::5,node-a"},
        {"two, IPv6 first", {"fd00::5", "192.168.1.5"}, "fd00::5,192.168.1.5,node-a"},
        {"loopback", {"127.0.0.1"}, "failed to validate nodeIP: nodeIP can't be loopback address"},
        {"loopback, IPv6", {"::1"}, "failed to validate nodeIP: nodeIP can't be loopback address"},
        {"multicast",
         {"224.0.0.1"},
         "failed to validate nodeIP: nodeIP can't be a multicast address"},
        {"multicast, the last one",
         {"239.255.255.255"},
         "failed to validate nodeIP: nodeIP can't be a multicast address"},
        {"multicast, IPv6",
         {"ff02::1"},
         "failed to validate nodeIP: nodeIP can't be a multicast address"},
        {"link-local, though it is there",
         {"169.254.1.1"},
         "failed to validate nodeIP: nodeIP can't be a link-local unicast address"},
        {"link-local, IPv6",
         {"fe80::5"},
         "failed to validate nodeIP: nodeIP can't be a link-local unicast address"},
        {"somebody else's",
         {"10.0.0.6"},
         "failed to validate nodeIP: node IP: \"10.0.0.6\" not found in the host's network "
         "interfaces"},
        {"the second one somebody else's",
         {"10.0.0.5", "fd00::6"},
         "failed to validate secondaryNodeIP: node IP: \"fd00::6\" not found in the host's network "
         "interfaces"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    struct fake fake;
    fake_init(&fake, usual);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *have = outcome(&fake, rows[i].node_ips, "node-a", arena);
        if (strcmp(have, rows[i].want) != 0)
            fail_msg("%s: %s", rows[i].name, have);
    }
}

/* --- names --- */

TEST_CASE(a_name_is_looked_up_unless_it_is_an_address)
{
    static const struct {
        const char *name, *hostname, *node_ip, *looked_up[4], *want;
    } rows[] = {
        {"an address as name", "10.9.9.9", NULL, {NULL}, "10.9.9.9,10.9.9.9"},
        {"an IPv6 address as name", "fd00::9", NULL, {NULL}, "fd00::9,fd00::9"},
        {"--node-ip goes first", "10.9.9.9", "10.0.0.5", {NULL}, "10.0.0.5,10.9.9.9"},
        {"one answer", "node-a", NULL, {"192.168.1.5"}, "192.168.1.5,node-a"},
        {"the first of the family",
         "node-a",
         NULL,
         {"192.168.1.5", "10.0.0.5"},
         "192.168.1.5,node-a"},
        {"what is not this machine's is passed over",
         "node-a",
         NULL,
         {"127.0.1.1", "10.1.1.1", "192.168.1.5"},
         "192.168.1.5,node-a"},
        {"IPv4 goes first", "node-a", NULL, {"fd00::5", "10.0.0.5"}, "10.0.0.5,node-a"},
        {"IPv6 if asked for", "node-a", "::", {"10.0.0.5", "fd00::5"}, "fd00::5,node-a"},
        {"IPv4 if asked for", "node-a", "0.0.0.0", {"fd00::5", "10.0.0.5"}, "10.0.0.5,node-a"},
        {"the other family if there is no choice", "node-a", NULL, {"fd00::5"}, "fd00::5,node-a"},
        {"the other family, IPv6 asked for", "node-a", "::", {"10.0.0.5"}, "10.0.0.5,node-a"},
        {"nothing usable: by the route", "node-a", NULL, {"127.0.1.1"}, "10.0.0.5,node-a"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct fake fake;
        fake_init(&fake, usual);
        fake.looked_up = rows[i].looked_up[0] ? rows[i].looked_up : NULL;
        fake.v4_routes = V4_HEADING V4_DEFAULT("eth0");
        const char *const node_ips[] = {rows[i].node_ip, NULL};
        const char *have = outcome(&fake, node_ips, rows[i].hostname, arena);
        if (strcmp(have, rows[i].want) != 0)
            fail_msg("%s: %s", rows[i].name, have);
    }
}

/* Where the resolver has no choice it is not asked, which may take seconds. */
TEST_CASE(a_machine_with_a_single_address_needs_no_resolver)
{
    static const struct local single[] = {{"lo", "127.0.0.1", IFF_UP | IFF_LOOPBACK},
                                          {"eth0", "10.0.0.5", IFF_UP},
                                          {"macvlan0", "10.0.0.5", IFF_UP},
                                          {"eth0", "fe80::5", IFF_UP},
                                          {NULL, NULL, 0}};
    static const struct {
        const char *name;
        const struct local *locals;
        const char *hostname, *node_ip, *route, *looked_up[2], *want;
        bool is_certain; /* without the resolver */
    } rows[] = {
        {"a single one", single, "node-a", NULL, "eth0", {NULL}, "10.0.0.5,node-a", true},
        {"IPv6 asked for", single, "node-a", "::", "eth0", {NULL}, "10.0.0.5,node-a", true},
        {"on no route", single, "node-a", NULL, "eth9", {"10.0.0.5"}, "10.0.0.5,node-a", false},
        {"some", usual, "node-a", NULL, "eth0", {"192.168.1.5"}, "192.168.1.5,node-a", false},
        {"an address as name", usual, "10.9.9.9", NULL, "eth0", {NULL}, "10.9.9.9,10.9.9.9", true},
        {"a specified one", usual, "node-a", "10.0.0.5", "eth0", {NULL}, "10.0.0.5,node-a", true},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct fake fake;
        fake_init(&fake, rows[i].locals);
        fake.looked_up = rows[i].looked_up[0] ? rows[i].looked_up : NULL;
        fake.v4_routes = arena_printf(arena, "%s%s\t00000000\n", V4_HEADING, rows[i].route);
        const char *const node_ips[] = {rows[i].node_ip, NULL};
        const char *have = outcome(&fake, node_ips, rows[i].hostname, arena);
        if (strcmp(have, rows[i].want) != 0)
            fail_msg("%s: %s", rows[i].name, have);
        struct node_addresses_input input = {.node_ips = node_ips,
                                             .hostname = rows[i].hostname,
                                             .node_name = "node-a",
                                             .is_quick = true};
        struct node_addresses found = {0};
        AUTO(error)
        struct error *err = node_addresses_choose(&input, &fake.network, arena, &found);
        if ((!err && found.is_certain) != rows[i].is_certain)
            fail_msg("%s: certain %d", rows[i].name, found.is_certain);
    }
}

/* --- routes --- */

#define NO_ADDRESS "can't get ip address of node node-a. error: "
#define NO_ROUTES                                                                                  \
    NO_ADDRESS "no default routes found in \"/proc/net/route\" or \"/proc/net/ipv6_route\""

/* An unnumbered uplink: the node's own address is the loopback interface's (RFC 5549). */
static const struct local unnumbered[] = {{"lo", "127.0.0.1", IFF_UP | IFF_LOOPBACK},
                                          {"lo", "10.7.7.7", IFF_UP | IFF_LOOPBACK},
                                          {"eth1", "10.8.8.8", IFF_UP},
                                          {"eth0", "fe80::1", IFF_UP},
                                          {NULL, NULL, 0}};
static const struct local bare[] = {{"lo", "127.0.0.1", IFF_UP | IFF_LOOPBACK},
                                    {"eth0", "255.255.255.255", IFF_UP},
                                    {"eth0", "0.0.0.0", IFF_UP},
                                    {"eth0", "224.0.0.1", IFF_UP},
                                    {NULL, NULL, 0}};
static const struct local down[] = {
    {"eth0", "10.0.0.5", 0}, {"eth1", "10.0.1.5", IFF_UP}, {NULL, NULL, 0}};
static const struct local tunnels[] = {{"lo", "10.7.7.7", IFF_UP | IFF_LOOPBACK},
                                       {"ppp0", "10.6.6.6", IFF_UP | IFF_POINTOPOINT},
                                       {"eth0", "10.5.5.5", 0},
                                       {"eth1", "fd00::1", IFF_UP},
                                       {NULL, NULL, 0}};

TEST_CASE(the_default_route_tells_the_address)
{
    static const struct {
        const char *name;
        const struct local *locals;
        const char *node_ip, *v4, *v6, *want;
    } rows[] = {
        {"IPv4", usual, NULL, V4_DEFAULT("eth0"), "", "10.0.0.5,node-a"},
        {"a kernel without IPv6", usual, NULL, V4_DEFAULT("eth0"), NULL, "10.0.0.5,node-a"},
        {"the other interface", usual, NULL, V4_DEFAULT("eth1"), "", "192.168.1.5,node-a"},
        {"the first of two", usual, NULL, V4_DEFAULT("eth1") V4_DEFAULT("eth0"), "",
         "192.168.1.5,node-a"},
        {"the first that has an address", usual, NULL, V4_DEFAULT("gone0") V4_DEFAULT("eth0"), "",
         "10.0.0.5,node-a"},
        {"both: IPv4 goes first", usual, NULL, V4_DEFAULT("eth0"), V6_DEFAULT("eth0"),
         "10.0.0.5,node-a"},
        {"both: IPv6 if asked for", usual, "::", V4_DEFAULT("eth0"), V6_DEFAULT("eth0"),
         "fd00::5,node-a"},
        {"IPv6 alone", usual, NULL, "", V6_DEFAULT("eth0"), "fd00::5,node-a"},
        {"IPv6 asked for, IPv4 alone", usual, "::", V4_DEFAULT("eth0"), "", "10.0.0.5,node-a"},
        {"no default route", usual, NULL, "eth0\t0001A8C0" V4_REST, "", NO_ROUTES},
        {"none at all", usual, NULL, "", "", NO_ROUTES},
        {"the kernel's own refusal is none", usual, NULL, "", V6_ROUTE(ZEROS, ZEROS, "lo"),
         NO_ROUTES},
        {"an interface without addresses", usual, NULL, V4_DEFAULT("eth9"), "",
         NO_ADDRESS "unable to select an IP from default routes."},
        {"IPv6 where there is IPv4 alone", down, NULL, "", V6_DEFAULT("eth1"),
         NO_ADDRESS "unable to select an IP from default routes."},
        {"an interface that is down", down, NULL, V4_DEFAULT("eth0"), "",
         NO_ADDRESS "unable to select an IP from default routes."},
        {"no address that is global", bare, NULL, V4_DEFAULT("eth0"), "",
         NO_ADDRESS "unable to select an IP from default routes."},
        {"the loopback interface's", unnumbered, NULL, V4_DEFAULT("eth0"), "", "10.7.7.7,node-a"},
        {"the loopback interface's goes before the next route", unnumbered, NULL,
         V4_DEFAULT("eth0") V4_DEFAULT("eth1"), "", "10.7.7.7,node-a"},
        {"no routes file: any interface", usual, NULL, NULL, NULL, "10.0.0.5,node-a"},
        {"no routes file: IPv6 if asked for", usual, "::", NULL, NULL, "fd00::5,node-a"},
        {"no routes file: neither tunnels nor what is down", tunnels, NULL, NULL, NULL,
         "fd00::1,node-a"},
        {"no routes file: nothing", bare, NULL, NULL, NULL,
         NO_ADDRESS "no acceptable interface with global unicast address found on host"},
    };
    static const char *const unknown[] = {NULL};
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct fake fake;
        fake_init(&fake, rows[i].locals);
        fake.looked_up = unknown;
        fake.v4_routes = rows[i].v4 ? arena_printf(arena, "%s%s", V4_HEADING, rows[i].v4) : NULL;
        fake.v6_routes = rows[i].v6;
        const char *const node_ips[] = {rows[i].node_ip, NULL};
        const char *have = outcome(&fake, node_ips, "node-a", arena);
        if (strcmp(have, rows[i].want) != 0)
            fail_msg("%s: %s", rows[i].name, have);
    }
}

TEST_CASE(a_line_of_routes_is_a_default_route_or_passed_over)
{
    static const struct {
        const char *name;
        bool v6;
        const char *text, *want; /* NULL: none */
    } rows[] = {
        {"as the kernel writes it", false, V4_HEADING V4_DEFAULT("eth0") "eth0\t0001A8C0" V4_REST,
         "eth0"},
        {"not the first line", false, "cni0\t0000580A" V4_REST V4_DEFAULT("ens3"), "ens3"},
        {"no heading", false, V4_DEFAULT("eth0"), "eth0"},
        {"two fields only", false, "eth0\t00000000\n", "eth0"},
        {"no newline at the end", false, "eth0\t00000000", "eth0"},
        {"the longest name", false, V4_DEFAULT("fifteen-letters"), "fifteen-letters"},
        {"a name too long, then a good one", false, V4_DEFAULT("sixteen--letters") V4_DEFAULT("b"),
         "b"},
        {"a name too long", false, V4_DEFAULT("sixteen--letters"), NULL},
        {"an empty name", false, V4_DEFAULT(""), NULL},
        {"the heading alone", false, V4_HEADING, NULL},
        {"empty", false, "", NULL},
        {"newlines only", false, "\n\n", NULL},
        {"one field", false, "eth0\n", NULL},
        {"too many zeros", false, "eth0\t000000000" V4_REST, NULL},
        {"too few zeros", false, "eth0\t0" V4_REST, NULL},
        {"zeros in the gateway's place", false, "eth0\t0001A8C0\t00000000\n", NULL},
        {"IPv6", true, V6_DEFAULT("eth0"), "eth0"},
        {"IPv6, not the first line", true,
         V6_ROUTE(V6_GATEWAY, V6_GATEWAY, "a") V6_ROUTE(ZEROS, ZEROS, "lo") V6_DEFAULT("b"), "b"},
        {"IPv6, a field missing", true, ZEROS " 00 " ZEROS " 00 " V6_GATEWAY " 0 0 0 0\n", NULL},
        {"IPv6, a name too long", true, V6_DEFAULT("sixteen--letters"), NULL},
        {"IPv4 for IPv6", true, V4_DEFAULT("eth0"), NULL},
        {"IPv6 for IPv4", false, V6_DEFAULT("eth0"), NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char name[IF_NAMESIZE] = "untouched";
        struct str rest = str_from(rows[i].text);
        bool is_found = node_next_default_route(&rest, rows[i].v6, name);
        const char *want = rows[i].want ? rows[i].want : "untouched";
        if (is_found != (rows[i].want != NULL) || strcmp(name, want) != 0)
            fail_msg("%s: %d '%s'", rows[i].name, is_found, name);
    }
}

TEST_MAIN(TEST(a_specified_address_must_be_this_machines),
          TEST(a_name_is_looked_up_unless_it_is_an_address),
          TEST(a_machine_with_a_single_address_needs_no_resolver),
          TEST(the_default_route_tells_the_address),
          TEST(a_line_of_routes_is_a_default_route_or_passed_over))
