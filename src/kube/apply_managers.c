/* metadata.managedFields as data and back. */
#include "kube/apply_internal.h"

#include "base/time.h"

/* Entries of updaters that are kept; the oldest beyond it are merged. Upstream's number and name.
 */
#define MAX_UPDATERS ((size_t)10)
#define OLD_UPDATES "ancient-changes"

static const char *const operation_names[] = {
    [KUBE_MANAGER_APPLY] = "Apply",
    [KUBE_MANAGER_UPDATE] = "Update",
};

static struct error *read_operation(const struct doc_node *entry, enum kube_manager_operation *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(operation_names); i++) {
        if (text_eq(doc_get_text(entry, "operation"), operation_names[i])) {
            *ret = (enum kube_manager_operation)i;
            return NULL;
        }
    }
    return error_new(ERROR_INVALID_ARGUMENT, "operation must be `Apply` or `Update`");
}

static struct error *read_time(const struct doc_node *entry, struct kube_manager *manager)
{
    int32_t nanos = 0;
    const struct doc_node *time = doc_get(entry, "time");
    if (!time || time->kind == DOC_NULL)
        return NULL;
    manager->has_time = true;
    return time_parse_parts(str_from(doc_get_text(entry, "time")), &manager->time_s, &nanos);
}

static struct error *read_entry(const struct doc_node *entry, const struct kube_value_type *type,
                                size_t index, struct arena *arena, struct kube_manager *ret)
{
    struct kube_manager manager = {.name = doc_get_text(entry, "manager"),
                                   .api_version = doc_get_text(entry, "apiVersion"),
                                   .subresource = doc_get_text(entry, "subresource"),
                                   .fields = field_set_empty()};
    const char *fields_type = doc_get_text(entry, "fieldsType");
    const struct doc_node *fields = doc_get(entry, "fieldsV1");
    struct error *err = read_operation(entry, &manager.operation);
    if (err)
        return err;
    if (manager.api_version[0] == '\0')
        return error_new(ERROR_INVALID_ARGUMENT, "apiVersion must not be empty");
    if (fields_type[0] == '\0')
        return error_new(ERROR_INVALID_ARGUMENT, "missing fieldsType in managed fields entry %zu",
                         index);
    if (!text_eq(fields_type, "FieldsV1"))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "invalid fieldsType \"%s\" in managed fields entry %zu", fields_type,
                         index);
    err = read_time(entry, &manager);
    if (!err && fields && fields->kind != DOC_NULL)
        err = field_set_parse(fields, arena, &manager.fields);
    if (err)
        return error_wrap(err, "managed fields entry %zu", index);
    manager.fields = apply_with_whole_atoms(manager.fields, type, arena);
    *ret = manager;
    return NULL;
}

struct error *kube_managers_of(const struct doc_node *object,
                               const ProtobufCMessageDescriptor *type, struct arena *arena,
                               struct kube_managers *ret)
{
    struct kube_value_type root = kube_type_of_object(type);
    const struct doc_node *list = doc_get(doc_get(object, "metadata"), "managedFields");
    struct kube_managers managers = {0};
    if (!list || list->kind == DOC_NULL) {
        *ret = managers;
        return NULL;
    }
    if (list->kind != DOC_ARRAY)
        return error_new(ERROR_INVALID_ARGUMENT, "metadata.managedFields: expected an array");
    managers.items = arena_calloc(arena, list->array.count + 1, sizeof(*managers.items));
    for (size_t i = 0; i < list->array.count; i++) {
        struct kube_manager manager = {0};
        struct error *err = read_entry(list->array.items[i], &root, i, arena, &manager);
        if (err)
            return err;
        /* As in upstream's map, the last of two with one identity counts. */
        struct kube_manager *same = apply_find_manager(&managers, &manager);
        if (!same)
            same = &managers.items[managers.count++];
        *same = manager;
    }
    *ret = managers;
    return NULL;
}

static int compare_managers(const void *a, const void *b)
{
    const struct kube_manager *x = a, *y = b;
    if (x->operation != y->operation)
        return x->operation < y->operation ? -1 : 1;
    if (x->time_s != y->time_s)
        return x->time_s < y->time_s ? -1 : 1;
    int order = strcmp(x->name, y->name);
    if (order == 0)
        order = strcmp(x->api_version, y->api_version);
    return order ? order : strcmp(x->subresource, y->subresource);
}

static void add_text(struct doc_edit *entry, struct str key, const char *text, struct arena *arena)
{
    if (text[0])
        doc_edit_set(entry, key, doc_new_text(arena, str_from(text)));
}

/* In the order of the .proto file. */
static const struct doc_node *entry_of(const struct kube_manager *manager, struct arena *arena)
{
    char time[TIME_TEXT_SIZE];
    AUTO(doc_edit) struct doc_edit entry;
    doc_edit_init(&entry, NULL);
    add_text(&entry, STR_LITERAL("manager"), manager->name, arena);
    add_text(&entry, STR_LITERAL("operation"), operation_names[manager->operation], arena);
    add_text(&entry, STR_LITERAL("apiVersion"), manager->api_version, arena);
    if (manager->has_time)
        add_text(&entry, STR_LITERAL("time"), time_format_parts(manager->time_s, 0, 0, time),
                 arena);
    add_text(&entry, STR_LITERAL("fieldsType"), "FieldsV1", arena);
    doc_edit_set(&entry, STR_LITERAL("fieldsV1"), field_set_document(manager->fields, arena));
    add_text(&entry, STR_LITERAL("subresource"), manager->subresource, arena);
    return doc_edit_node(&entry, arena);
}

const struct doc_node *kube_set_managers(const struct doc_node *object,
                                         const struct kube_managers *managers, struct arena *arena)
{
    const struct doc_node *metadata = doc_get(object, "metadata");
    if (managers->count == 0) {
        if (!doc_get(metadata, "managedFields"))
            return object;
        metadata = doc_without_member(metadata, "managedFields", arena);
        return doc_with_member(object, "metadata", metadata, arena);
    }
    struct kube_managers sorted = apply_copy_managers(managers, arena);
    qsort(sorted.items, sorted.count, sizeof(*sorted.items), compare_managers);
    AUTO(free)
    const struct doc_node **entries = xcalloc(sorted.count, sizeof(struct doc_node *));
    for (size_t i = 0; i < sorted.count; i++)
        entries[i] = entry_of(&sorted.items[i], arena);
    metadata = doc_with_member(metadata, "managedFields",
                               doc_new_array(arena, entries, sorted.count), arena);
    return doc_with_member(object, "metadata", metadata, arena);
}

struct kube_manager *apply_find_manager(const struct kube_managers *managers,
                                        const struct kube_manager *like)
{
    for (size_t i = 0; i < managers->count; i++) {
        struct kube_manager *manager = &managers->items[i];
        bool is_version_same = like->operation == KUBE_MANAGER_APPLY ||
                               text_eq(manager->api_version, like->api_version);
        if (manager->operation == like->operation && text_eq(manager->name, like->name) &&
            text_eq(manager->subresource, like->subresource) && is_version_same)
            return manager;
    }
    return NULL;
}

struct kube_managers apply_copy_managers(const struct kube_managers *managers, struct arena *arena)
{
    struct kube_managers copy = {.count = managers->count};
    copy.items = arena_calloc(arena, managers->count + 2, sizeof(*copy.items));
    if (managers->count)
        memcpy(copy.items, managers->items, managers->count * sizeof(*copy.items));
    return copy;
}

static void drop_manager(struct kube_managers *managers, struct kube_manager *manager)
{
    const struct kube_manager *end = &managers->items[managers->count--];
    memmove(manager, manager + 1, (size_t)(end - (manager + 1)) * sizeof(*manager));
}

struct kube_manager *apply_set_manager(struct kube_managers *managers,
                                       const struct kube_manager *like,
                                       const struct field_set *fields)
{
    struct kube_manager *manager = apply_find_manager(managers, like);
    if (field_set_is_empty(fields)) {
        if (manager)
            drop_manager(managers, manager);
        return NULL;
    }
    if (!manager) {
        manager = &managers->items[managers->count++];
        *manager = *like;
    }
    manager->api_version = like->api_version;
    manager->fields = fields;
    return manager;
}

/* The updater that changed something longest ago, but after @after in that order; SIZE_MAX: none.
 */
static bool is_older(const struct kube_manager *a, const struct kube_manager *b)
{
    if (a->time_s != b->time_s)
        return a->time_s < b->time_s;
    int order = strcmp(a->name, b->name);
    if (order == 0)
        order = strcmp(a->api_version, b->api_version);
    return order ? order < 0 : strcmp(a->subresource, b->subresource) < 0;
}

/* The updater whose last change lies back farthest; NULL when there is none. */
static struct kube_manager *oldest_updater(const struct kube_managers *managers)
{
    struct kube_manager *oldest = NULL;
    for (size_t i = 0; i < managers->count; i++) {
        struct kube_manager *manager = &managers->items[i];
        if (manager->operation == KUBE_MANAGER_UPDATE && (!oldest || is_older(manager, oldest)))
            oldest = manager;
    }
    return oldest;
}

static size_t count_updaters(const struct kube_managers *managers)
{
    size_t count = 0;
    for (size_t i = 0; i < managers->count; i++)
        count += managers->items[i].operation == KUBE_MANAGER_UPDATE ? 1 : 0;
    return count;
}

/* Takes the oldest updater out. There is one. */
static struct kube_manager take_oldest(struct kube_managers *managers)
{
    struct kube_manager *oldest = oldest_updater(managers);
    ASSERT(oldest);
    struct kube_manager taken = *oldest;
    drop_manager(managers, oldest);
    return taken;
}

/* One version of each type is known, so there is one entry for old changes. */
void apply_cap_updaters(struct kube_managers *managers, struct arena *arena)
{
    while (count_updaters(managers) > MAX_UPDATERS) {
        struct kube_manager first = take_oldest(managers);
        struct kube_manager merged = take_oldest(managers); /* the later one gives the time */
        merged.name = OLD_UPDATES;
        merged.subresource = "";
        merged.fields = field_set_union(merged.fields, first.fields, arena);
        const struct kube_manager *same = apply_find_manager(managers, &merged);
        if (same)
            merged.fields = field_set_union(merged.fields, same->fields, arena);
        struct kube_manager *entry = apply_set_manager(managers, &merged, merged.fields);
        if (entry)
            entry->time_s = merged.time_s;
    }
}
