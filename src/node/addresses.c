#include "node/address_choice.h"

#include "base/buf.h"
#include "base/fd.h"
#include "node/facts_parse.h"

#include <ifaddrs.h>
#include <netdb.h>
#include <sys/socket.h>

/* More than any node has; a limit because pods make interfaces too. */
#define MAX_LOCALS 4096
#define MAX_LOOKED_UP 64

/* False for a family that is no address of a node. */
static bool to_ip(const struct sockaddr *address, struct in6_addr *ret)
{
    if (!address)
        return false;
    if (address->sa_family == AF_INET6) {
        *ret = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        return true;
    }
    if (address->sa_family != AF_INET)
        return false;
    *ret = node_ip_of_v4(((const struct sockaddr_in *)(const void *)address)->sin_addr);
    return true;
}

static size_t lookup(const struct node_network *self UNUSED, const char *name, struct arena *arena,
                     const struct in6_addr **ret)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(name, NULL, &hints, &found) != 0)
        return 0;
    struct in6_addr *ips = arena_calloc(arena, MAX_LOOKED_UP, sizeof(*ips));
    size_t count = 0;
    for (const struct addrinfo *entry = found; entry && count < MAX_LOOKED_UP;
         entry = entry->ai_next) {
        if (to_ip(entry->ai_addr, &ips[count]))
            count++;
    }
    freeaddrinfo(found);
    *ret = ips;
    return count;
}

static bool read_routes(const struct node_network *self UNUSED, bool v6, struct arena *arena,
                        struct str *ret)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, FACTS_ROUTES_MAX_BYTES);
    AUTO(error)
    struct error *err = fd_read_file_blocking(v6 ? NODE_V6_ROUTES : NODE_V4_ROUTES, &text);
    if (err)
        return false;
    struct str whole = buf_str(&text);
    *ret = (struct str){.ptr = arena_strndup(arena, whole.ptr, whole.len), .len = whole.len};
    return true;
}

static void read_locals(struct arena *arena, struct node_network *network)
{
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) < 0)
        return;
    size_t count = 0;
    struct in6_addr ip;
    for (const struct ifaddrs *entry = all; entry && count < MAX_LOCALS; entry = entry->ifa_next)
        count += to_ip(entry->ifa_addr, &ip) ? 1 : 0;
    struct node_local_address *locals = arena_calloc(arena, count, sizeof(*locals));
    for (const struct ifaddrs *entry = all; entry && network->n_locals < count;
         entry = entry->ifa_next) {
        struct node_local_address *local = &locals[network->n_locals];
        if (!to_ip(entry->ifa_addr, &local->address))
            continue;
        size_t len = min_size(strlen(entry->ifa_name), IF_NAMESIZE - 1);
        memcpy(local->interface, entry->ifa_name, len);
        local->flags = entry->ifa_flags;
        network->n_locals++;
    }
    network->locals = locals;
    freeifaddrs(all);
}

struct error *node_addresses_find_blocking(const struct node_addresses_input *input,
                                           struct arena *arena, struct node_addresses *ret)
{
    static const struct node_network_vtable kernel = {.lookup = lookup, .routes = read_routes};
    /* Routes may be long, and the answer is three short texts. */
    AUTO(arena) struct arena *work = arena_new(0);
    struct node_network network = {.vtable = &kernel};
    read_locals(work, &network);
    struct node_addresses found;
    struct error *err = node_addresses_choose(input, &network, work, &found);
    if (err)
        return err;
    for (size_t i = 0; i < found.count; i++)
        found.items[i].address = arena_strdup(arena, found.items[i].address);
    *ret = found;
    return NULL;
}
