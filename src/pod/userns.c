/* Ranges of host ids: who has which, and the text they are kept in. Nothing here touches a disk. */
#include "pod/userns.h"

#include "base/hash.h"
#include "wire/json.h"

struct owner {
    char *uid;
    size_t slot;
    UT_hash_handle hh;
};

struct userns {
    struct userns_options options;
    size_t n_slots;
    uint8_t *taken;       /* a bit per slot; NULL until a pod wants one: most nodes have none */
    struct owner *owners; /* by uid */
};

struct error *userns_new(const struct userns_options *options, struct userns **ret)
{
    uint32_t unit = options->ids_per_pod;
    if (options->first % unit != 0 || options->first < unit)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "the ids for user namespaces begin at %u, which must be a multiple of "
                         "userNamespaces.idsPerPod (%u) and not 0",
                         options->first, unit);
    if (options->length % unit != 0)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "%u ids are set aside for user namespaces, which must be a multiple of "
                         "userNamespaces.idsPerPod (%u)",
                         options->length, unit);
    if ((uint64_t)options->first + options->length > (uint64_t)UINT32_MAX + 1)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "the ids for user namespaces, %u from %u on, go beyond 32 bits",
                         options->length, options->first);
    if (options->length / unit < options->max_pods)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "kubelet user assigned IDs are not enough to support %zu pods",
                         options->max_pods);
    struct userns *userns = xcalloc(1, sizeof(*userns));
    userns->options = *options;
    userns->n_slots = options->length / unit;
    *ret = userns;
    return NULL;
}

void userns_free(struct userns *userns)
{
    if (!userns)
        return;
    while (userns->owners)
        userns_release(userns, userns->owners->uid);
    free(userns->taken);
    free(userns);
}

/* --- who has which --- */

static bool is_taken(const struct userns *userns, size_t slot)
{
    return userns->taken && ((unsigned)userns->taken[slot / 8] >> (slot % 8) & 1U) != 0;
}

static struct owner *find(const struct userns *userns, const char *uid)
{
    struct owner *owner = NULL;
    HASH_FIND_STR(userns->owners, uid, owner);
    return owner;
}

static void take(struct userns *userns, const char *uid, size_t slot)
{
    if (!userns->taken)
        userns->taken = xcalloc(userns->n_slots / 8 + 1, 1);
    userns->taken[slot / 8] |= (uint8_t)(1U << (slot % 8));
    struct owner *owner = xcalloc(1, sizeof(*owner));
    owner->uid = xstrdup(uid);
    owner->slot = slot;
    HASH_ADD_KEYPTR(hh, userns->owners, owner->uid, strlen(owner->uid), owner);
}

static struct userns_range range_of(const struct userns *userns, size_t slot)
{
    uint32_t unit = userns->options.ids_per_pod;
    return (struct userns_range){.host_id = userns->options.first + (uint32_t)slot * unit,
                                 .length = unit};
}

struct userns_range userns_find(const struct userns *userns, const char *uid)
{
    const struct owner *owner = userns ? find(userns, uid) : NULL;
    return owner ? range_of(userns, owner->slot) : (struct userns_range){0};
}

struct error *userns_claim(struct userns *userns, const char *uid, uint64_t random,
                           struct userns_range *ret)
{
    *ret = userns_find(userns, uid);
    if (ret->length > 0)
        return NULL;
    for (size_t i = 0; i < userns->n_slots; i++) {
        size_t slot = (size_t)(random % userns->n_slots + i) % userns->n_slots;
        if (is_taken(userns, slot))
            continue;
        take(userns, uid, slot);
        *ret = range_of(userns, slot);
        return NULL;
    }
    return error_new(ERROR_RESOURCE_EXHAUSTED,
                     "could not find an empty slot to allocate a user namespace");
}

struct error *userns_record(struct userns *userns, const char *uid, struct userns_range range)
{
    const struct userns_options *options = &userns->options;
    if (range.length != options->ids_per_pod)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "it maps %u ids where userNamespaces.idsPerPod is %u", range.length,
                         options->ids_per_pod);
    if (range.host_id % options->ids_per_pod != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "host id %u is no multiple of %u", range.host_id,
                         options->ids_per_pod);
    if (range.host_id < options->first || range.host_id - options->first >= options->length)
        return error_new(ERROR_INVALID_ARGUMENT, "host id %u is not among the %u from %u on",
                         range.host_id, options->length, options->first);
    size_t slot = (range.host_id - options->first) / options->ids_per_pod;
    const struct owner *owner = find(userns, uid);
    if (owner && owner->slot == slot)
        return NULL;
    if (owner)
        return error_new(ERROR_INVALID_ARGUMENT, "pod %s has other ids already", uid);
    if (is_taken(userns, slot))
        return error_new(ERROR_INVALID_ARGUMENT, "the ids from %u on are another pod's",
                         range.host_id);
    take(userns, uid, slot);
    return NULL;
}

void userns_release(struct userns *userns, const char *uid)
{
    struct owner *owner = userns ? find(userns, uid) : NULL;
    if (!owner)
        return;
    userns->taken[owner->slot / 8] &= (uint8_t) ~(1U << (owner->slot % 8));
    HASH_DEL(userns->owners, owner);
    free(owner->uid);
    free(owner);
}

/* --- the file --- */

static void add_mappings(struct doc_writer *writer, const char *key, struct userns_range range)
{
    doc_write_key(writer, key);
    writer->ops->begin_array(writer);
    writer->ops->begin_object(writer);
    doc_write_key(writer, "hostId");
    doc_write_integer(writer, range.host_id);
    doc_write_key(writer, "containerId");
    doc_write_integer(writer, 0);
    doc_write_key(writer, "length");
    doc_write_integer(writer, range.length);
    writer->ops->end_object(writer);
    writer->ops->end_array(writer);
}

void userns_file_add(struct buf *out, struct userns_range range)
{
    struct json_writer writer;
    json_writer_init(&writer, out, false);
    struct doc_writer *doc = &writer.base;
    doc->ops->begin_object(doc);
    add_mappings(doc, "uidMappings", range);
    add_mappings(doc, "gidMappings", range);
    doc->ops->end_object(doc);
}

static struct error *parse_id(const struct doc_node *mapping, const char *key, uint32_t *ret)
{
    const struct doc_node *node = doc_get(mapping, key);
    *ret = 0;
    if (!node) /* as a kubelet reads it: what is not there is 0 */
        return NULL;
    if (node->kind != DOC_INTEGER || !to_u32_checked(node->integer, ret))
        return error_new(ERROR_INVALID_ARGUMENT, "%s must be a number of 32 bits", key);
    return NULL;
}

static struct error *parse_mapping(const struct doc_node *file, const char *key,
                                   struct userns_range *ret)
{
    const struct doc_node *list = doc_get(file, key);
    if (!list || list->kind != DOC_ARRAY || list->array.count != 1 ||
        list->array.items[0]->kind != DOC_OBJECT)
        return error_new(ERROR_INVALID_ARGUMENT, "%s must hold exactly one mapping", key);
    const struct doc_node *mapping = list->array.items[0];
    uint32_t container_id = 0;
    struct error *err = parse_id(mapping, "hostId", &ret->host_id);
    if (!err)
        err = parse_id(mapping, "length", &ret->length);
    if (!err)
        err = parse_id(mapping, "containerId", &container_id);
    if (err)
        return error_wrap(err, "%s", key);
    if (container_id != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "%s must map the container's id 0, not %u", key,
                         container_id);
    return NULL;
}

struct error *userns_file_parse(struct str text, struct userns_range *ret)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_parse_options options = {.max_bytes = USERNS_FILE_MAX_BYTES};
    const struct doc_node *file;
    struct error *err = json_parse(text, &options, arena, &file);
    if (err)
        return err;
    struct userns_range users = {0}, groups = {0};
    err = parse_mapping(file, "uidMappings", &users);
    if (!err)
        err = parse_mapping(file, "gidMappings", &groups);
    if (err)
        return err;
    if (users.host_id != groups.host_id || users.length != groups.length)
        return error_new(ERROR_INVALID_ARGUMENT, "uidMappings and gidMappings differ");
    *ret = users;
    return NULL;
}

/* --- what getsubids prints --- */

struct error *userns_parse_subids(struct str users, struct str groups, struct userns_range *ret)
{
    if (users.len != groups.len || memcmp(users.ptr, groups.ptr, users.len) != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "its ids for users and for groups differ");
    struct str rest = str_trim(users), words[5];
    size_t count = 0;
    bool one_line = str_find(rest, '\n') == rest.len;
    while (count < ARRAY_SIZE(words) && str_next_word(&rest, &words[count]))
        count++;
    if (!one_line || count != 4)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "it must print exactly one line \"<n>: <user> <first> <count>\"");
    AUTO(free) char *first = str_dup(words[2]);
    AUTO(free) char *length = str_dup(words[3]);
    int64_t from, count_of_ids;
    if (!parse_i64(first, 0, UINT32_MAX, &from) || !parse_i64(length, 0, UINT32_MAX, &count_of_ids))
        return error_new(ERROR_INVALID_ARGUMENT, "it prints ids of more than 32 bits");
    *ret = (struct userns_range){.host_id = (uint32_t)from, .length = (uint32_t)count_of_ids};
    return NULL;
}
