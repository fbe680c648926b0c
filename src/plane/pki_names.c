/*
 * What the server's certificate is for: the names every cluster knows its API by, the first service
 * addresses, where it listens, what the machine is called, and what was asked for besides.
 */
#include "plane/pki_internal.h"

#include "kube/validate.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define FIXED_NAMES_MAX 16

struct server_names {
    struct arena *arena;
    const char **dns_names;
    size_t dns_name_count;
    const char **addresses;
    size_t address_count;
};

/* Sorts @text, unless empty or there already, to the names or the addresses. The lists have room
 * for all that are added. */
static struct error *add_server_name(struct server_names *names, const char *text)
{
    if (!text || !text[0])
        return NULL;
    if (x509_is_address(text)) {
        if (!text_list_has(&(struct text_list){names->addresses, names->address_count}, text))
            names->addresses[names->address_count++] = text;
        return NULL;
    }
    /* Machines may have capitals in their names, certificates compare without them. */
    char *lower = arena_strdup(names->arena, text);
    for (char *c = lower; *c; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    }
    const char *why = name_check_dns1123_subdomain(str_from(lower));
    if (why)
        return error_new(ERROR_INVALID_ARGUMENT, "server name \"%s\": %s", text, why);
    if (!text_list_has(&(struct text_list){names->dns_names, names->dns_name_count}, lower))
        names->dns_names[names->dns_name_count++] = lower;
    return NULL;
}

/* The first usable address of "10.96.0.0/12": 10.96.0.1. NULL when @range is none. */
static const char *first_address(struct str range, struct arena *arena)
{
    size_t slash = str_find(range, '/');
    const char *base = arena_strndup(arena, range.ptr, slash);
    unsigned char bytes[sizeof(struct in6_addr)];
    char text[INET6_ADDRSTRLEN];
    int family = inet_pton(AF_INET, base, bytes) == 1    ? AF_INET
                 : inet_pton(AF_INET6, base, bytes) == 1 ? AF_INET6
                                                         : -1;
    int64_t bits = family == AF_INET ? 32 : 128, prefix = 0;
    /* One bit at least must be left for a service. */
    if (family < 0 || slash == range.len ||
        !parse_i64(arena_strndup(arena, range.ptr + slash + 1, range.len - slash - 1), 0, bits - 1,
                   &prefix))
        return NULL;
    for (int64_t bit = prefix; bit < bits; bit++)
        bytes[bit / 8] &= (unsigned char)~(0x80u >> (bit % 8));
    bytes[bits / 8 - 1] |= 1;
    return inet_ntop(family, bytes, text, sizeof(text)) ? arena_strdup(arena, text) : NULL;
}

static struct error *add_service_addresses(struct server_names *names, const char *ranges)
{
    struct str rest = str_from(ranges ? ranges : ""), range;
    while (rest.len > 0 && str_split_next(&rest, ',', &range)) {
        const char *address = first_address(str_trim(range), names->arena);
        if (!address)
            return error_new(ERROR_INVALID_ARGUMENT, "service range \"%.*s\" is not a CIDR",
                             STR_ARG(range));
        if (names->address_count == FIXED_NAMES_MAX)
            return error_new(ERROR_INVALID_ARGUMENT, "too many service ranges");
        struct error *err = add_server_name(names, address);
        if (err)
            return err;
    }
    return NULL;
}

/* Nobody asked for the machine's own name; one that is no DNS name ("my_box") is only left out. */
static void add_host_name(struct server_names *names, const char *text)
{
    struct error *err = add_server_name(names, text);
    if (err)
        error_ignore(err, "the certificate does without");
}

static bool is_wildcard_address(const char *host)
{
    return text_eq(host, "0.0.0.0") || text_eq(host, "::");
}

struct error *pki_server_names(const struct pki_options *options, struct arena *arena,
                               struct x509_subject *ret)
{
    static const char *const fixed[] = {"localhost",
                                        "kubernetes",
                                        "kubernetes.default",
                                        "kubernetes.default.svc",
                                        "kubernetes.default.svc.cluster.local",
                                        "127.0.0.1",
                                        "::1"};
    size_t room = FIXED_NAMES_MAX + 2 + options->extra_names.count;
    struct server_names names = {
        .arena = arena,
        .dns_names = arena_calloc(arena, room, sizeof(char *)),
        .addresses = arena_calloc(arena, room, sizeof(char *)),
    };
    struct error *err = NULL;
    for (size_t i = 0; !err && i < ARRAY_SIZE(fixed); i++)
        err = add_server_name(&names, fixed[i]);
    if (!err)
        err = add_service_addresses(&names, options->service_range);
    if (!err && !is_wildcard_address(options->listen_host))
        err = add_server_name(&names, options->listen_host);
    if (!err)
        add_host_name(&names, options->host_name);
    for (size_t i = 0; !err && i < options->extra_names.count; i++)
        err = add_server_name(&names, options->extra_names.items[i]);
    ret->dns_names = (struct text_list){names.dns_names, names.dns_name_count};
    ret->addresses = (struct text_list){names.addresses, names.address_count};
    return err;
}
