/*
 * Discovery in its plain form, which is made of messages (APIResourceList and so on), so that it
 * exists in JSON, YAML and protobuf; and what the server says of itself.
 */
#include "plane/discovery_internal.h"

#include "kube/kinds.h"
#include "plane/negotiate.h"
#include "wire/json.h"

#include <openssl/evp.h>

#if defined(__x86_64__)
#define PLATFORM "linux/amd64"
#elif defined(__aarch64__)
#define PLATFORM "linux/arm64"
#else
#define PLATFORM "linux/unknown"
#endif

/* --- what is in the table --- */

/* In the order upstream shows them. */
static const enum plane_verb verbs[] = {VERB_CREATE, VERB_DELETE, VERB_DELETE_COLLECTION,
                                        VERB_GET,    VERB_LIST,   VERB_PATCH,
                                        VERB_UPDATE, VERB_WATCH};

const char *discovery_next_verb(unsigned among, size_t *at)
{
    while (*at < ARRAY_SIZE(verbs)) {
        enum plane_verb verb = verbs[(*at)++];
        if ((among & verb) != 0)
            return plane_verb_text(verb);
    }
    return NULL;
}

/* The kinds that stand for the bodies of subresources that are passed on; they are in no table, as
 * they have only query parameters. */
static const struct option_row {
    const char *resource, *subresource, *kind;
} option_rows[] = {
    {"nodes", "proxy", "NodeProxyOptions"}, {"pods", "attach", "PodAttachOptions"},
    {"pods", "exec", "PodExecOptions"},     {"pods", "portforward", "PodPortForwardOptions"},
    {"pods", "proxy", "PodProxyOptions"},   {"services", "proxy", "ServiceProxyOptions"},
};

const char *discovery_body_kind(const struct resource *resource,
                                const struct subresource *subresource)
{
    if (subresource->kind)
        return subresource->kind->kind;
    for (size_t i = 0; subresource->is_proxied && i < ARRAY_SIZE(option_rows); i++) {
        if (text_eq(option_rows[i].resource, resource->kind->resource) &&
            text_eq(option_rows[i].subresource, subresource->name))
            return option_rows[i].kind;
    }
    return resource->kind->kind;
}

bool discovery_is_of_group(const struct resource *resource, const char *group)
{
    return text_eq(resource->kind->group, group);
}

bool discovery_is_of(const struct resource *resource, const char *group, const char *version)
{
    return discovery_is_of_group(resource, group) && text_eq(resource->kind->version, version);
}

bool discovery_is_first(const struct resource *rows, size_t index, bool by_version)
{
    const struct kube_kind *kind = rows[index].kind;
    for (size_t i = 0; i < index; i++) {
        if (by_version ? discovery_is_of(&rows[i], kind->group, kind->version)
                       : discovery_is_of_group(&rows[i], kind->group))
            return false;
    }
    return true;
}

/* --- the plain form --- */

static char *text_of(struct arena *arena, const char *text)
{
    return arena_strdup(arena, text);
}

static void add_text(struct arena *arena, const char *text, size_t len, char **list, size_t *count)
{
    if (len > 0)
        list[(*count)++] = arena_strndup(arena, text, len);
}

/* "po,pod" as a list. */
static void split(struct arena *arena, const char *texts, char ***ret, size_t *ret_count)
{
    size_t count = 1;
    for (const char *at = texts; *at; at++)
        count += *at == ',' ? 1 : 0;
    *ret = arena_calloc(arena, count, sizeof(char *));
    *ret_count = 0;
    for (;;) {
        size_t len = strcspn(texts, ",");
        add_text(arena, texts, len, *ret, ret_count);
        if (texts[len] == '\0')
            return;
        texts += len + 1;
    }
}

static Meta__Verbs *verbs_of(unsigned among, struct arena *arena)
{
    Meta__Verbs *message = (Meta__Verbs *)kube_message_new(&meta__verbs__descriptor, arena);
    message->items = arena_calloc(arena, ARRAY_SIZE(verbs), sizeof(char *));
    const char *verb;
    for (size_t at = 0; (verb = discovery_next_verb(among, &at));)
        message->items[message->n_items++] = text_of(arena, verb);
    return message;
}

/* Upstream's hash of what is stored: clients only compare it. */
static char *storage_hash(const struct kube_kind *kind, struct arena *arena)
{
    const char *text = arena_printf(arena, "%s/%s/%s", kind->group, kind->version, kind->kind);
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) != 1)
        return NULL;
    unsigned char *base64 = arena_alloc(arena, 16);
    (void)EVP_EncodeBlock(base64, digest, 8);
    return (char *)base64;
}

static bool is_stored(const struct resource *resource)
{
    return !resource->review && (resource->verbs & VERB_WATCH) != 0;
}

static Meta__APIResource *new_entry(const struct resource *resource, struct arena *arena)
{
    Meta__APIResource *entry =
        (Meta__APIResource *)kube_message_new(&meta__apiresource__descriptor, arena);
    entry->has_namespaced = true;
    entry->namespaced = resource->kind->is_namespaced;
    return entry;
}

static Meta__APIResource *entry_of(const struct resource *resource, struct arena *arena)
{
    const struct kube_kind *kind = resource->kind;
    Meta__APIResource *entry = new_entry(resource, arena);
    entry->name = text_of(arena, kind->resource);
    entry->singular_name = text_of(arena, kind->singular);
    entry->kind = text_of(arena, kind->kind);
    entry->verbs = verbs_of(resource->verbs, arena);
    split(arena, kind->short_names, &entry->short_names, &entry->n_short_names);
    split(arena, kind->categories, &entry->categories, &entry->n_categories);
    if (is_stored(resource))
        entry->storage_version_hash = storage_hash(kind, arena);
    return entry;
}

static Meta__APIResource *entry_of_part(const struct resource *resource,
                                        const struct subresource *part, struct arena *arena)
{
    Meta__APIResource *entry = new_entry(resource, arena);
    entry->name = arena_printf(arena, "%s/%s", resource->kind->resource, part->name);
    entry->singular_name = text_of(arena, "");
    entry->kind = text_of(arena, discovery_body_kind(resource, part));
    entry->verbs = verbs_of(part->verbs, arena);
    if (part->kind && !text_eq(part->kind->api_version, resource->kind->api_version)) {
        entry->group = text_of(arena, part->kind->group);
        entry->version = text_of(arena, part->kind->version);
    }
    return entry;
}

static int compare_entries(const void *a, const void *b)
{
    const Meta__APIResource *const *left = a;
    const Meta__APIResource *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

/* NULL when the table has nothing of it. */
static Meta__APIResourceList *resource_list(const char *group, const char *version,
                                            struct arena *arena)
{
    size_t rows;
    const struct resource *table = resource_table(&rows);
    size_t capacity = 0;
    for (size_t i = 0; i < rows; i++)
        capacity += discovery_is_of(&table[i], group, version) ? 1 + table[i].subresource_count : 0;
    if (capacity == 0)
        return NULL;
    Meta__APIResourceList *list =
        (Meta__APIResourceList *)kube_message_new(&meta__apiresource_list__descriptor, arena);
    list->group_version =
        group[0] == '\0' ? text_of(arena, version) : arena_printf(arena, "%s/%s", group, version);
    list->resources = arena_calloc(arena, capacity, sizeof(Meta__APIResource *));
    for (size_t i = 0; i < rows; i++) {
        if (!discovery_is_of(&table[i], group, version))
            continue;
        list->resources[list->n_resources++] = entry_of(&table[i], arena);
        for (size_t s = 0; s < table[i].subresource_count; s++)
            list->resources[list->n_resources++] =
                entry_of_part(&table[i], &table[i].subresources[s], arena);
    }
    qsort(list->resources, list->n_resources, sizeof(Meta__APIResource *), compare_entries);
    return list;
}

static Meta__GroupVersionForDiscovery *version_of(const struct kube_kind *kind, struct arena *arena)
{
    Meta__GroupVersionForDiscovery *version = (Meta__GroupVersionForDiscovery *)kube_message_new(
        &meta__group_version_for_discovery__descriptor, arena);
    version->group_version = text_of(arena, kind->api_version);
    version->version = text_of(arena, kind->version);
    return version;
}

/* NULL when the table has nothing of it. The version that comes first is the preferred one. */
static Meta__APIGroup *group_of(const char *name, struct arena *arena)
{
    size_t rows;
    const struct resource *table = resource_table(&rows);
    Meta__APIGroup *group = (Meta__APIGroup *)kube_message_new(&meta__apigroup__descriptor, arena);
    group->name = text_of(arena, name);
    group->versions = arena_calloc(arena, rows, sizeof(Meta__GroupVersionForDiscovery *));
    for (size_t i = 0; i < rows; i++) {
        if (discovery_is_of_group(&table[i], name) && discovery_is_first(table, i, true))
            group->versions[group->n_versions++] = version_of(table[i].kind, arena);
    }
    if (group->n_versions == 0)
        return NULL;
    group->preferred_version = group->versions[0];
    return group;
}

static Meta__APIGroupList *group_list(struct arena *arena)
{
    size_t rows;
    const struct resource *table = resource_table(&rows);
    Meta__APIGroupList *list =
        (Meta__APIGroupList *)kube_message_new(&meta__apigroup_list__descriptor, arena);
    list->groups = arena_calloc(arena, rows, sizeof(Meta__APIGroup *));
    for (size_t i = 0; i < rows; i++) {
        if (table[i].kind->group[0] != '\0' && discovery_is_first(table, i, false))
            list->groups[list->n_groups++] = group_of(table[i].kind->group, arena);
    }
    return list;
}

/* @server_address may be a URL, of which the host and port are said. */
static Meta__APIVersions *core_versions(const char *server_address, struct arena *arena)
{
    const char *scheme_end = strstr(server_address, "://");
    Meta__APIVersions *versions =
        (Meta__APIVersions *)kube_message_new(&meta__apiversions__descriptor, arena);
    versions->versions = arena_calloc(arena, 1, sizeof(char *));
    versions->versions[versions->n_versions++] = text_of(arena, "v1");
    Meta__ServerAddressByClientCIDR *address = (Meta__ServerAddressByClientCIDR *)kube_message_new(
        &meta__server_address_by_client_cidr__descriptor, arena);
    address->client_cidr = text_of(arena, "0.0.0.0/0");
    address->server_address = text_of(arena, scheme_end ? scheme_end + 3 : server_address);
    versions->server_address_by_client_cidrs =
        arena_calloc(arena, 1, sizeof(Meta__ServerAddressByClientCIDR *));
    versions->server_address_by_client_cidrs[versions->n_server_address_by_client_cidrs++] =
        address;
    return versions;
}

/* --- the door --- */

/* NULL when there is nothing at @target. */
static const ProtobufCMessage *find_plain(const struct http_target *target,
                                          const char *server_address, struct arena *arena)
{
    const char *const *segments = target->segments;
    size_t count = target->segment_count;
    if (count == 0)
        return NULL;
    if (text_eq(segments[0], "api")) {
        if (count == 1)
            return &core_versions(server_address, arena)->base;
        Meta__APIResourceList *list = count == 2 ? resource_list("", segments[1], arena) : NULL;
        return list ? &list->base : NULL;
    }
    if (!text_eq(segments[0], "apis"))
        return NULL;
    if (count == 1)
        return &group_list(arena)->base;
    if (segments[1][0] == '\0')
        return NULL;
    if (count == 2) {
        Meta__APIGroup *group = group_of(segments[1], arena);
        return group ? &group->base : NULL;
    }
    Meta__APIResourceList *list =
        count == 3 ? resource_list(segments[1], segments[2], arena) : NULL;
    return list ? &list->base : NULL;
}

static const struct kube_kind *kind_of(const ProtobufCMessage *message)
{
    size_t count;
    const struct kube_kind *kinds = kube_kinds(&count);
    for (size_t i = 0; i < count; i++) {
        if (kinds[i].type == message->descriptor)
            return &kinds[i];
    }
    return NULL;
}

Meta__Status *discovery_reply(const struct http_target *target, const char *accept,
                              const char *server_address, struct arena *arena,
                              struct discovery_reply *ret)
{
    const ProtobufCMessage *plain = find_plain(target, server_address, arena);
    if (!plain)
        return failure_no_such_resource(arena);
    const struct discovery_aggregated *aggregated =
        target->segment_count == 1 ? discovery_find_aggregated(accept) : NULL;
    ret->code = 200;
    if (aggregated) {
        ret->content_type = aggregated->content_type;
        discovery_write_aggregated(&ret->body, aggregated, text_eq(target->segments[0], "api"));
        return NULL;
    }
    struct negotiated negotiated;
    Meta__Status *failure = negotiate(accept, target, "", arena, &negotiated);
    if (failure)
        return failure;
    if (negotiated.form != REPLY_OBJECT)
        return failure_new(arena, 406, "only plain and aggregated discovery is offered here");
    ret->content_type = negotiated.content_type;
    struct kube_type_meta type = kube_kind_meta(kind_of(plain));
    if (negotiated.encoding == KUBE_JSON && negotiated.is_pretty)
        kube_encode_json_pretty(plain, &type, &ret->body);
    else
        kube_encode_any(plain, kind_of(plain), negotiated.encoding, &ret->body);
    return NULL;
}

void discovery_version(struct buf *out)
{
    static const struct {
        const char *key, *value;
    } rows[] = {
        {"major", DISCOVERY_MAJOR},
        {"minor", DISCOVERY_MINOR},
        {"emulationMajor", DISCOVERY_MAJOR},
        {"emulationMinor", DISCOVERY_MINOR},
        {"minCompatibilityMajor", DISCOVERY_MAJOR},
        {"minCompatibilityMinor", DISCOVERY_PREVIOUS_MINOR},
        {"gitVersion", DISCOVERY_GIT_VERSION},
        {"gitCommit", ""},
        {"gitTreeState", ""},
        /* What Go programs say that were not told when they were built. */
        {"buildDate", "1970-01-01T00:00:00Z"},
        {"goVersion", ""},
#ifdef __clang__
        {"compiler", "clang"},
#else
        {"compiler", "gcc"},
#endif
        {"platform", PLATFORM},
    };
    struct json_writer json;
    json_writer_init(&json, out, true);
    json.base.ops->begin_object(&json.base);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        doc_write_key(&json.base, rows[i].key);
        doc_write_text(&json.base, rows[i].value);
    }
    json.base.ops->end_object(&json.base);
}

/* The paths before, and after, those of the groups. */
static const char *const first_paths[] = {"/.well-known/openid-configuration", "/api", "/api/v1",
                                          "/apis"};
static const char *const last_paths[] = {
    "/healthz",     "/healthz/ping",   "/livez",  "/livez/ping",  "/openapi/v2", "/openapi/v3",
    "/openapi/v3/", "/openid/v1/jwks", "/readyz", "/readyz/ping", "/version"};

static void write_group_path(struct buf *out, const struct kube_kind *kind, bool has_version)
{
    buf_add_text(out, ",\n    \"/apis/");
    buf_add_text(out, kind->group);
    if (has_version) {
        buf_add_char(out, '/');
        buf_add_text(out, kind->version);
    }
    buf_add_char(out, '"');
}

void discovery_paths(struct buf *out)
{
    size_t rows;
    const struct resource *table = resource_table(&rows);
    buf_add_text(out, "{\n  \"paths\": [");
    for (size_t i = 0; i < ARRAY_SIZE(first_paths); i++)
        buf_printf(out, "%s\n    \"%s\"", i > 0 ? "," : "", first_paths[i]);
    for (size_t i = 0; i < rows; i++) {
        const struct kube_kind *kind = table[i].kind;
        if (kind->group[0] == '\0')
            continue;
        if (discovery_is_first(table, i, false))
            write_group_path(out, kind, false);
        if (discovery_is_first(table, i, true))
            write_group_path(out, kind, true);
    }
    for (size_t i = 0; i < ARRAY_SIZE(last_paths); i++)
        buf_printf(out, ",\n    \"%s\"", last_paths[i]);
    buf_add_text(out, "\n  ]\n}");
}
