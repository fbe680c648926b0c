/*
 * The choice goes down a list until something is found: what --node-ip says, a host name that is an
 * address, what the node's name resolves to if that is this machine, the interface that the default
 * route leaves by. Where there are both families IPv4 is preferred, unless --node-ip is "::".
 *
 * A name may only resolve to an address that this machine has. One that has a single address need
 * not ask the resolver: what the default route tells is then all that it could say.
 */
#include "node/address_choice.h"

#include <arpa/inet.h>

#define V4_OFFSET 12 /* of the four bytes in an IPv4-mapped address */
#define V4_ROUTE_FIELDS 2
#define V6_ROUTE_FIELDS 10
#define INTERNAL_IP "InternalIP"
#define HOSTNAME "Hostname"

/* --- addresses --- */

struct in6_addr node_ip_of_v4(struct in_addr v4)
{
    struct in6_addr ip = {.s6_addr = {[10] = 0xFF, [11] = 0xFF}};
    memcpy(ip.s6_addr + V4_OFFSET, &v4, sizeof(v4));
    return ip;
}

/* Parts of an IPv4 address may begin with zeros, as Kubernetes has always read them. */
static bool parse_v4(const char *text, struct in_addr *ret)
{
    struct str rest = str_from(text), part;
    unsigned char bytes[sizeof(*ret)];
    size_t parts = 0;
    while (str_split_next(&rest, '.', &part)) {
        uint64_t value;
        AUTO(free) char *number = str_dup(part);
        if (parts == sizeof(bytes) || !parse_u64(number, &value) || value > UINT8_MAX)
            return false;
        bytes[parts++] = (unsigned char)value;
    }
    memcpy(ret, bytes, sizeof(bytes));
    return parts == sizeof(bytes);
}

static bool parse_ip(const char *text, struct in6_addr *ret)
{
    struct in_addr v4;
    if (!parse_v4(text, &v4))
        return inet_pton(AF_INET6, text, ret) == 1;
    *ret = node_ip_of_v4(v4);
    return true;
}

static bool is_v4(const struct in6_addr *ip)
{
    return IN6_IS_ADDR_V4MAPPED(ip);
}

static const unsigned char *v4_bytes(const struct in6_addr *ip)
{
    return ip->s6_addr + V4_OFFSET;
}

static const char *ip_text(const struct in6_addr *ip, struct arena *arena)
{
    char text[INET6_ADDRSTRLEN];
    const char *written = is_v4(ip) ? inet_ntop(AF_INET, v4_bytes(ip), text, sizeof(text))
                                    : inet_ntop(AF_INET6, ip, text, sizeof(text));
    ASSERT(written);
    return arena_strdup(arena, written);
}

static bool is_unspecified(const struct in6_addr *ip)
{
    static const unsigned char zero[4];
    return IN6_IS_ADDR_UNSPECIFIED(ip) ||
           (is_v4(ip) && memcmp(v4_bytes(ip), zero, sizeof(zero)) == 0);
}

static bool is_loopback(const struct in6_addr *ip)
{
    return IN6_IS_ADDR_LOOPBACK(ip) || (is_v4(ip) && v4_bytes(ip)[0] == 127);
}

static bool is_multicast(const struct in6_addr *ip)
{
    return IN6_IS_ADDR_MULTICAST(ip) || (is_v4(ip) && (v4_bytes(ip)[0] & 0xF0) == 0xE0);
}

static bool is_link_local(const struct in6_addr *ip)
{
    return IN6_IS_ADDR_LINKLOCAL(ip) ||
           (is_v4(ip) && v4_bytes(ip)[0] == 169 && v4_bytes(ip)[1] == 254);
}

static bool is_broadcast(const struct in6_addr *ip)
{
    static const unsigned char ones[4] = {0xFF, 0xFF, 0xFF, 0xFF};
    return is_v4(ip) && memcmp(v4_bytes(ip), ones, sizeof(ones)) == 0;
}

/* Private addresses count. */
static bool is_global_unicast(const struct in6_addr *ip)
{
    return !is_broadcast(ip) && !is_unspecified(ip) && !is_loopback(ip) && !is_multicast(ip) &&
           !is_link_local(ip);
}

/* Why @ip can be no node's; NULL: it could be. */
static const char *refusal(const struct in6_addr *ip)
{
    static const struct {
        bool (*is)(const struct in6_addr *ip);
        const char *message;
    } refused[] = {
        {is_loopback, "nodeIP can't be loopback address"},
        {is_multicast, "nodeIP can't be a multicast address"},
        {is_link_local, "nodeIP can't be a link-local unicast address"},
        {is_unspecified, "nodeIP can't be an all zeros address"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        if (refused[i].is(ip))
            return refused[i].message;
    }
    return NULL;
}

static struct error *validate(const struct node_network *network, const struct in6_addr *ip,
                              struct arena *arena)
{
    const char *message = refusal(ip);
    if (message)
        return error_new(ERROR_INVALID_ARGUMENT, "%s", message);
    for (size_t i = 0; i < network->n_locals; i++) {
        if (IN6_ARE_ADDR_EQUAL(&network->locals[i].address, ip))
            return NULL;
    }
    return error_new(ERROR_NOT_FOUND, "node IP: \"%s\" not found in the host's network interfaces",
                     ip_text(ip, arena));
}

/* True when there is exactly one address that validate() would take. */
static bool has_single_address(const struct node_network *network)
{
    const struct in6_addr *only = NULL;
    for (size_t i = 0; i < network->n_locals; i++) {
        const struct in6_addr *ip = &network->locals[i].address;
        if (refusal(ip))
            continue;
        if (only && !IN6_ARE_ADDR_EQUAL(only, ip))
            return false;
        only = ip;
    }
    return only != NULL;
}

/* --- the default route --- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Splits @line at blanks; fields beyond @max are left alone. */
static size_t split_fields(struct str line, struct str *fields, size_t max)
{
    size_t count = 0, at = 0;
    while (count < max) {
        while (at < line.len && is_blank(line.ptr[at]))
            at++;
        size_t start = at;
        while (at < line.len && !is_blank(line.ptr[at]))
            at++;
        if (at == start)
            break;
        fields[count++] = (struct str){.ptr = line.ptr + start, .len = at - start};
    }
    return count;
}

static bool is_all_zeros(struct str digits, size_t len)
{
    size_t zeros = 0;
    while (zeros < digits.len && digits.ptr[zeros] == '0')
        zeros++;
    return zeros == digits.len && digits.len == len;
}

/* The interface of the default route that @line describes, or an empty text. The kernel lists its
 * own refusal of unroutable addresses as an IPv6 default route too: that one has no gateway. */
static struct str default_route(struct str line, bool v6)
{
    static const struct str none = {0};
    struct str fields[V6_ROUTE_FIELDS];
    size_t count = split_fields(line, fields, ARRAY_SIZE(fields));
    if (!v6)
        return count >= V4_ROUTE_FIELDS && is_all_zeros(fields[1], 2 * sizeof(struct in_addr))
                   ? fields[0]
                   : none;
    size_t len = 2 * sizeof(struct in6_addr);
    return count == V6_ROUTE_FIELDS && is_all_zeros(fields[0], len) && !is_all_zeros(fields[4], len)
               ? fields[9]
               : none;
}

bool node_next_default_route(struct str *rest, bool v6, char name[static IF_NAMESIZE])
{
    struct str line;
    while (str_split_next(rest, '\n', &line)) {
        struct str interface = default_route(line, v6);
        if (interface.len == 0 || interface.len >= IF_NAMESIZE)
            continue;
        memcpy(name, interface.ptr, interface.len);
        name[interface.len] = '\0';
        return true;
    }
    return false;
}

/* The first global address of the family on an interface that has all of @with and none of
 * @without;
 * @name NULL: any. */
static bool find_global(const struct node_network *network, bool v6, const char *name,
                        unsigned with, unsigned without, struct in6_addr *ret)
{
    for (size_t i = 0; i < network->n_locals; i++) {
        const struct node_local_address *local = &network->locals[i];
        if ((name && strcmp(local->interface, name) != 0) || (local->flags & with) != with ||
            (local->flags & without) != 0)
            continue;
        if (is_v4(&local->address) == !v6 && is_global_unicast(&local->address)) {
            *ret = local->address;
            return true;
        }
    }
    return false;
}

/* A default route whose interface has link-local addresses alone (RFC 5549) leaves the node's own
 * address to the loopback interface. */
static bool find_by_routes(const struct node_network *network, bool v6, struct str routes,
                           struct in6_addr *ret)
{
    char name[IF_NAMESIZE];
    while (node_next_default_route(&routes, v6, name)) {
        if (find_global(network, v6, name, IFF_UP, 0, ret) ||
            find_global(network, v6, NULL, IFF_UP | IFF_LOOPBACK, 0, ret))
            return true;
    }
    return false;
}

static struct error *find_default(const struct node_network *network, bool prefers_v6,
                                  struct arena *arena, struct in6_addr *ret)
{
    struct str routes[2] = {{0}}; /* by "v6" */
    bool has_routes = network->vtable->routes(network, false, arena, &routes[false]);
    if (has_routes && !network->vtable->routes(network, true, arena, &routes[true]))
        routes[true] = (struct str){0}; /* a kernel without IPv6 */
    bool has_default = false;
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        bool v6 = (i == 0) == prefers_v6;
        char ignored[IF_NAMESIZE];
        struct str rest = routes[v6];
        has_default = node_next_default_route(&rest, v6, ignored) || has_default;
        if (has_routes
                ? find_by_routes(network, v6, routes[v6], ret)
                : find_global(network, v6, NULL, IFF_UP, IFF_LOOPBACK | IFF_POINTOPOINT, ret))
            return NULL;
    }
    if (!has_routes)
        return error_new(ERROR_NOT_FOUND,
                         "no acceptable interface with global unicast address found on host");
    if (!has_default)
        return error_new(ERROR_NOT_FOUND, "no default routes found in \"" NODE_V4_ROUTES
                                          "\" or \"" NODE_V6_ROUTES "\"");
    return error_new(ERROR_NOT_FOUND, "unable to select an IP from default routes.");
}

/* --- the choice --- */

/* The first of the preferred family that is this machine's, else the first of the other. */
static bool find_by_name(const struct node_network *network, const char *name, bool prefers_v6,
                         struct arena *arena, struct in6_addr *ret)
{
    const struct in6_addr *ips = NULL;
    size_t count = network->vtable->lookup(network, name, arena, &ips);
    bool is_found = false;
    for (size_t i = 0; i < count; i++) {
        AUTO(error) struct error *err = validate(network, &ips[i], arena);
        bool is_preferred = is_v4(&ips[i]) == !prefers_v6;
        if (err || (is_found && !is_preferred))
            continue;
        *ret = ips[i];
        is_found = true;
        if (is_preferred)
            break;
    }
    return is_found;
}

struct choice {
    size_t count;
    struct in6_addr ips[NODE_MAX_IPS];
    bool prefers_v6;
    bool is_certain;
};

/* True when the default route's address is the only one that a name could resolve to. */
static bool find_only(const struct node_network *network, bool prefers_v6, struct arena *arena,
                      struct in6_addr *ret)
{
    if (!has_single_address(network))
        return false;
    AUTO(error) struct error *err = find_default(network, prefers_v6, arena, ret);
    return !err;
}

static struct error *find_one(const struct node_addresses_input *input,
                              const struct node_network *network, struct arena *arena,
                              struct choice *ret)
{
    struct in6_addr *ip = &ret->ips[0];
    bool prefers_v6 = ret->prefers_v6;
    ret->count = 1;
    ret->is_certain = parse_ip(input->hostname, ip) || find_only(network, prefers_v6, arena, ip);
    if (ret->is_certain ||
        (!input->is_quick && find_by_name(network, input->node_name, prefers_v6, arena, ip)))
        return NULL;
    struct error *err = find_default(network, prefers_v6, arena, ip);
    return err ? error_wrap(err, "can't get ip address of node %s. error", input->node_name) : NULL;
}

/* What --node-ip says; "0.0.0.0" and "::" only say a family. */
static struct error *specify(const struct node_addresses_input *input,
                             const struct node_network *network, struct arena *arena,
                             struct choice *ret)
{
    static const char *const names[NODE_MAX_IPS] = {"nodeIP", "secondaryNodeIP"};
    *ret = (struct choice){.is_certain = true};
    for (size_t i = 0; i < NODE_MAX_IPS && input->node_ips[i]; i++) {
        struct in6_addr ip;
        if (!parse_ip(input->node_ips[i], &ip))
            return error_new(ERROR_INVALID_ARGUMENT, "failed to validate %s: \"%s\" is no address",
                             names[i], input->node_ips[i]);
        if (i == 0)
            ret->prefers_v6 = !is_v4(&ip);
        if (is_unspecified(&ip))
            continue;
        struct error *err = validate(network, &ip, arena);
        if (err)
            return error_wrap(err, "failed to validate %s", names[i]);
        ret->ips[ret->count++] = ip;
    }
    return NULL;
}

struct error *node_addresses_choose(const struct node_addresses_input *input,
                                    const struct node_network *network, struct arena *arena,
                                    struct node_addresses *ret)
{
    struct choice choice;
    struct error *err = specify(input, network, arena, &choice);
    if (!err && choice.count == 0)
        err = find_one(input, network, arena, &choice);
    if (err)
        return err;
    struct node_addresses found = {.is_certain = choice.is_certain};
    for (size_t i = 0; i < choice.count; i++)
        found.items[found.count++] =
            (struct node_address){.type = INTERNAL_IP, .address = ip_text(&choice.ips[i], arena)};
    found.items[found.count++] =
        (struct node_address){.type = HOSTNAME, .address = arena_strdup(arena, input->hostname)};
    *ret = found;
    return NULL;
}
