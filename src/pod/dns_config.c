/*
 * What a sandbox's resolv.conf will say (spec runtime.md §2.5): a base chosen by dnsPolicy, merged
 * with dnsConfig, cut to Kubernetes' limits.
 */
#include "pod/cri_config_internal.h"

#include "pod/cri_message.h"
#include "pod/go_text.h"

#include "base/buf.h"

/* pkg/apis/core/validation: MaxDNSNameservers, MaxDNSSearchPaths, MaxDNSSearchListChars,
 * DNS1123SubdomainMaxLength */
#define NAMESERVERS_MAX 3
#define SEARCHES_MAX 32
#define SEARCH_LINE_MAX 2048
#define SEARCH_PATH_MAX 253

enum dns_base { DNS_NONE, DNS_CLUSTER, DNS_HOST };

/* An unknown policy counts as ClusterFirst, as upstream has it. */
static enum dns_base dns_base_of(const Core__PodSpec *spec)
{
    static const struct {
        const char *policy;
        enum dns_base pod_network, host_network;
    } policies[] = {
        {"None", DNS_NONE, DNS_NONE},
        {"ClusterFirstWithHostNet", DNS_CLUSTER, DNS_CLUSTER},
        {"ClusterFirst", DNS_CLUSTER, DNS_HOST},
        {"Default", DNS_HOST, DNS_HOST},
    };
    for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
        if (text_eq(spec->dns_policy, policies[i].policy))
            return spec->host_network ? policies[i].host_network : policies[i].pod_network;
    }
    return DNS_CLUSTER;
}

/* A list under construction; room for all candidates is taken beforehand. */
struct dns_list {
    char **items;
    size_t count;
};

static size_t count_texts(const char *const *texts)
{
    size_t count = 0;
    while (texts && texts[count])
        count++;
    return count;
}

static struct dns_list list_new(struct arena *arena, size_t capacity)
{
    return (struct dns_list){.items = cri_array(arena, capacity)};
}

static bool list_has(const struct dns_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (text_eq(list->items[i], text))
            return true;
    }
    return false;
}

static void list_add(struct dns_list *list, struct arena *arena, const char *text)
{
    list->items[list->count++] = cri_text(arena, text);
}

static void list_add_new(struct dns_list *list, struct arena *arena, const char *text)
{
    if (!list_has(list, text))
        list_add(list, arena, text);
}

static void notice_add(struct config_notices *notices, struct config_notice notice)
{
    ASSERT(notices->count < ARRAY_SIZE(notices->items));
    notices->items[notices->count++] = notice;
}

struct dns {
    struct dns_list servers, searches, options;
};

static void copy_all(struct dns_list *list, struct arena *arena, const char *const *texts)
{
    for (size_t i = 0; texts && texts[i]; i++)
        list_add(list, arena, texts[i]);
}

/* The host's file as it is; without one (resolvConf: "") name look-ups go to the machine itself,
 * i.e. nowhere. */
static void base_from_host(const struct sandbox_config_input *input, struct arena *arena,
                           struct dns *dns)
{
    const struct resolv_conf *resolv = input->resolv;
    if (resolv) {
        copy_all(&dns->servers, arena, resolv->servers);
        copy_all(&dns->searches, arena, resolv->searches);
        copy_all(&dns->options, arena, resolv->options);
        return;
    }
    for (size_t i = 0; input->node->node_ips && input->node->node_ips[i]; i++)
        list_add(&dns->servers, arena, strchr(input->node->node_ips[i], ':') ? "::1" : "127.0.0.1");
    if (dns->servers.count == 0)
        list_add(&dns->servers, arena, "127.0.0.1");
    list_add(&dns->searches, arena, ".");
}

static void base_from_cluster(const struct sandbox_config_input *input, struct arena *arena,
                              struct dns *dns)
{
    const struct node_facts *node = input->node;
    copy_all(&dns->servers, arena, node->cluster_dns);
    const char *const *host_searches = input->resolv ? input->resolv->searches : NULL;
    list_add(&dns->options, arena, "ndots:5");
    if (!node->cluster_domain || !*node->cluster_domain) {
        copy_all(&dns->searches, arena, host_searches);
        return;
    }
    list_add_new(
        &dns->searches, arena,
        arena_printf(arena, "%s.svc.%s", input->pod->metadata->namespace_, node->cluster_domain));
    list_add_new(&dns->searches, arena, arena_printf(arena, "svc.%s", node->cluster_domain));
    list_add_new(&dns->searches, arena, node->cluster_domain);
    for (size_t i = 0; host_searches && host_searches[i]; i++)
        list_add_new(&dns->searches, arena, host_searches[i]);
}

static void note_missing_cluster_dns(const struct sandbox_config_input *input, struct arena *arena,
                                     struct config_notices *notices)
{
    static const char text[] =
        "kubelet does not have ClusterDNS IP configured and cannot create Pod using "
        "\"ClusterFirst\" policy. Falling back to \"Default\" policy.";
    const char *pod = go_quote(arena, pod_text(input->pod, arena));
    notice_add(notices,
               (struct config_notice){.reason = "MissingClusterDNS",
                                      .message = arena_printf(arena, "pod: %s. %s", pod, text),
                                      .node_message = text});
}

static void remove_duplicates(struct dns_list *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct dns_list before = {.items = list->items, .count = kept};
        if (!list_has(&before, list->items[i]))
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

static bool option_is(const char *option, const char *name)
{
    size_t len = strcspn(option, ":");
    return strlen(name) == len && memcmp(option, name, len) == 0;
}

static void merge_option(struct dns_list *options, struct arena *arena,
                         const Core__PodDNSConfigOption *option)
{
    const char *name = option->name ? option->name : "";
    bool has_value = option->value && *option->value;
    char *text =
        has_value ? arena_printf(arena, "%s:%s", name, option->value) : cri_text(arena, name);
    for (size_t i = 0; i < options->count; i++) {
        if (option_is(options->items[i], name)) {
            options->items[i] = text;
            return;
        }
    }
    options->items[options->count++] = text;
}

static void merge_dns_config(struct dns *dns, struct arena *arena, const Core__PodDNSConfig *config)
{
    for (size_t i = 0; i < config->n_nameservers; i++)
        list_add(&dns->servers, arena, config->nameservers[i]);
    remove_duplicates(&dns->servers);
    for (size_t i = 0; i < config->n_searches; i++)
        list_add(&dns->searches, arena, config->searches[i]);
    remove_duplicates(&dns->searches);
    for (size_t i = 0; i < config->n_options; i++)
        merge_option(&dns->options, arena, config->options[i]);
}

static const char *joined(const struct dns_list *list, struct arena *arena)
{
    const char *text = "";
    for (size_t i = 0; i < list->count; i++)
        text = i == 0 ? list->items[i] : arena_printf(arena, "%s %s", text, list->items[i]);
    return text;
}

static void limit_servers(struct dns_list *servers, struct arena *arena,
                          struct config_notices *notices)
{
    if (servers->count <= NAMESERVERS_MAX)
        return;
    servers->count = NAMESERVERS_MAX;
    const char *message =
        arena_printf(arena,
                     "Nameserver limits were exceeded, some nameservers have been omitted, the "
                     "applied nameserver line is: %s",
                     joined(servers, arena));
    notice_add(notices, (struct config_notice){.reason = "DNSConfigForming", .message = message});
}

/* glibc once aborted on a search path beyond 255 bytes, so longer ones are left out. */
static void drop_long_paths(struct dns_list *searches)
{
    size_t kept = 0;
    for (size_t i = 0; i < searches->count; i++) {
        if (strlen(searches->items[i]) <= SEARCH_PATH_MAX)
            searches->items[kept++] = searches->items[i];
    }
    searches->count = kept;
}

static void cut_line(struct dns_list *searches)
{
    size_t len = 0; /* of the line with a blank behind each path */
    for (size_t i = 0; i < searches->count; i++)
        len += strlen(searches->items[i]) + 1;
    while (searches->count > 0 && len > SEARCH_LINE_MAX + 1) {
        searches->count--;
        len -= strlen(searches->items[searches->count]) + 1;
    }
}

static void limit_searches(struct dns_list *searches, struct arena *arena,
                           struct config_notices *notices)
{
    size_t before = searches->count;
    searches->count = min_size(searches->count, SEARCHES_MAX);
    drop_long_paths(searches);
    cut_line(searches);
    if (searches->count == before)
        return;
    const char *message =
        arena_printf(arena,
                     "Search Line limits were exceeded, some search paths have been omitted, the "
                     "applied search line is: %s",
                     joined(searches, arena));
    notice_add(notices, (struct config_notice){.reason = "DNSConfigForming", .message = message});
}

/* Room for everything that may be added: host, cluster and pod together. */
static struct dns dns_new(const struct sandbox_config_input *input, struct arena *arena)
{
    const struct resolv_conf none = {0};
    const struct resolv_conf *resolv = input->resolv ? input->resolv : &none;
    const Core__PodDNSConfig *config = input->pod->spec->dns_config;
    size_t node_ips = count_texts(input->node->node_ips),
           cluster = count_texts(input->node->cluster_dns);
    return (struct dns){
        .servers = list_new(arena, count_texts(resolv->servers) + node_ips + cluster + 1 +
                                       (config ? config->n_nameservers : 0)),
        .searches =
            list_new(arena, count_texts(resolv->searches) + 3 + (config ? config->n_searches : 0)),
        .options =
            list_new(arena, count_texts(resolv->options) + 1 + (config ? config->n_options : 0)),
    };
}

Cri__DNSConfig *dns_config_build(const struct sandbox_config_input *input, struct arena *arena,
                                 struct config_notices *notices)
{
    struct dns dns = dns_new(input, arena);
    enum dns_base base = dns_base_of(input->pod->spec);
    if (base == DNS_CLUSTER && count_texts(input->node->cluster_dns) == 0) {
        note_missing_cluster_dns(input, arena, notices);
        base = DNS_HOST;
    }
    switch (base) {
    case DNS_NONE:
        break;
    case DNS_CLUSTER:
        base_from_cluster(input, arena, &dns);
        break;
    case DNS_HOST:
        base_from_host(input, arena, &dns);
        break;
    }
    if (input->pod->spec->dns_config)
        merge_dns_config(&dns, arena, input->pod->spec->dns_config);
    limit_servers(&dns.servers, arena, notices);
    limit_searches(&dns.searches, arena, notices);

    Cri__DNSConfig *config = cri_new(arena, &cri__dnsconfig__descriptor);
    config->servers = dns.servers.items;
    config->n_servers = dns.servers.count;
    config->searches = dns.searches.items;
    config->n_searches = dns.searches.count;
    config->options = dns.options.items;
    config->n_options = dns.options.count;
    return config;
}
