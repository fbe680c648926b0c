#include "server/serving_names.h"

#include <arpa/inet.h>
#include <netinet/in.h>

enum sort { SORT_HOST /* a name, unless it is an address */, SORT_NAME, SORT_ADDRESS };

static const struct {
    const char *type;
    enum sort sort;
} types[] = {
    {"Hostname", SORT_HOST},      {"InternalDNS", SORT_NAME},   {"ExternalDNS", SORT_NAME},
    {"InternalIP", SORT_ADDRESS}, {"ExternalIP", SORT_ADDRESS},
};

struct list {
    const char **items;
    size_t count;
};

/* Keeps @list sorted and its items unique. */
static void insert(struct list *list, const char *text)
{
    size_t at = 0;
    while (at < list->count && strcmp(list->items[at], text) < 0)
        at++;
    if (at < list->count && text_eq(list->items[at], text))
        return;
    memmove(list->items + at + 1, list->items + at, (list->count - at) * sizeof(*list->items));
    list->items[at] = text;
    list->count++;
}

/* The usual form of an address, so that one that is written in two ways is one; NULL for others. */
static const char *address_text(const char *text, struct arena *arena)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    char usual[INET6_ADDRSTRLEN];
    int family = strchr(text, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(family, text, bytes) != 1 || !inet_ntop(family, bytes, usual, sizeof(usual)))
        return NULL;
    return arena_strdup(arena, usual);
}

static void add(const Core__NodeAddress *address, struct arena *arena, struct list *names,
                struct list *addresses)
{
    const char *text = address->address;
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if (!text || !*text || !text_eq(address->type, types[i].type))
            continue;
        const char *usual = types[i].sort == SORT_NAME ? NULL : address_text(text, arena);
        if (usual)
            insert(addresses, usual);
        else if (types[i].sort != SORT_ADDRESS)
            insert(names, arena_strdup(arena, text));
        return;
    }
}

bool serving_names(const Core__Node *node, const char *node_name, bool is_dns_name_enough,
                   struct arena *arena, struct x509_subject *ret)
{
    static const char *const organizations[] = {"system:nodes"};
    size_t count = node->status ? node->status->n_addresses : 0;
    struct list names = {.items = arena_calloc(arena, count + 1, sizeof(char *))};
    struct list addresses = {.items = arena_calloc(arena, count + 1, sizeof(char *))};
    for (size_t i = 0; i < count; i++)
        add(node->status->addresses[i], arena, &names, &addresses);
    if (addresses.count == 0 && !(is_dns_name_enough && names.count > 0))
        return false;
    *ret = (struct x509_subject){.organizations = {organizations, 1},
                                 .common_name = arena_printf(arena, "system:node:%s", node_name),
                                 .dns_names = {names.items, names.count},
                                 .addresses = {addresses.items, addresses.count}};
    return true;
}
