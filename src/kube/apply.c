/*
 * Server-side apply. An apply merges the configuration into the live object; then what the manager
 * applied last time and leaves out now is taken away again, unless another manager owns it; then
 * the whole is compared with the live object, and whoever owns what changed is in conflict, or when
 * forced loses it. An update knows its result already: it only does the last step, and gives all
 * that changed to its manager.
 *
 * "kubectl" is treated apart, as upstream does: fields that its client-side apply noted in an
 * annotation, and that still have the noted value, are given up without force.
 */
#include "kube/apply_internal.h"

#include "wire/json.h"

#define BEFORE_FIRST_APPLY "before-first-apply"
#define KUBECTL "kubectl"
#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"
#define MESSAGE_MAX_BYTES MiB

#define MEMBER(text)                                                                               \
    {                                                                                              \
        .element = {.kind = FIELD_NAME, .name = {.ptr = (text), .len = sizeof(text) - 1}},         \
        .is_member = true                                                                          \
    }

/* What nobody owns: identity, and what the server itself writes. */
static const struct field_entry unowned_metadata[] = {
    MEMBER("clusterName"),
    MEMBER("creationTimestamp"),
    MEMBER("generation"),
    MEMBER("managedFields"),
    MEMBER("name"),
    MEMBER("namespace"),
    MEMBER("resourceVersion"),
    MEMBER("selfLink"),
    MEMBER("uid"),
};
static const struct field_set unowned_metadata_set = {.entries = unowned_metadata,
                                                      .count = ARRAY_SIZE(unowned_metadata)};
static const struct field_entry unowned[] = {
    MEMBER("apiVersion"),
    MEMBER("kind"),
    {.element = {.kind = FIELD_NAME, .name = {.ptr = "metadata", .len = 8}},
     .is_member = true,
     .children = &unowned_metadata_set},
};
static const struct field_set unowned_set = {.entries = unowned, .count = ARRAY_SIZE(unowned)};

/* One request under way. */
struct operation {
    const struct kube_apply_request *request;
    struct arena *arena;
    struct kube_value_type type;
    const struct doc_node *live; /* without managedFields; empty when there is none */
    struct kube_managers managers;
    struct kube_manager self; /* who asks; its fields are not used */
};

static const struct doc_node *without_managers(const struct doc_node *object, struct arena *arena)
{
    static const struct kube_managers none = {0};
    return kube_set_managers(object, &none, arena);
}

static struct operation operation_of(const struct kube_apply_request *request,
                                     enum kube_manager_operation kind, struct arena *arena)
{
    bool has_name = request->manager && request->manager[0];
    const struct doc_node *empty = doc_new_object(arena, NULL, 0);
    return (struct operation){
        .request = request,
        .arena = arena,
        .type = kube_type_of_object(request->type),
        .live = request->live ? without_managers(request->live, arena) : empty,
        .self = {.name = has_name ? request->manager : "unknown",
                 .api_version = request->api_version,
                 .subresource = request->subresource ? request->subresource : "",
                 .operation = kind,
                 .fields = field_set_empty()},
    };
}

static const struct field_set *respected(const struct operation *op, const struct field_set *set)
{
    return op->request->ignored ? field_set_without(set, op->request->ignored, op->arena) : set;
}

/* What changes between @from and @to, without what the endpoint ignores. */
static struct error *compare(const struct operation *op, const struct doc_node *from,
                             const struct doc_node *to, struct apply_comparison *ret)
{
    struct error *err = apply_compare(from, to, &op->type, op->arena, ret);
    if (err)
        return error_wrap(err, "failed to compare objects");
    ret->added = respected(op, ret->added);
    ret->removed = respected(op, ret->removed);
    ret->modified = respected(op, ret->modified);
    return NULL;
}

/* Conflicts, found and told. */
struct conflict_list {
    struct kube_conflict *items; /* owned */
    size_t count;
    size_t capacity;
    const char *manager;             /* whose fields are being listed */
    const struct field_set *allowed; /* these are none; NULL: no exception */
    struct arena *arena;
};

/* `"kubelet" with subresource "status" using v1` */
static const char *manager_text(const struct kube_manager *manager, struct arena *arena)
{
    const char *text = arena_printf(arena, "\"%s\"", manager->name);
    if (manager->subresource[0])
        text = arena_printf(arena, "%s with subresource \"%s\"", text, manager->subresource);
    if (manager->operation == KUBE_MANAGER_UPDATE)
        text = arena_printf(arena, "%s using %s", text, manager->api_version);
    return text;
}

static bool has_path(const struct field_set *set, const struct field_element *path, size_t count)
{
    const struct field_entry *entry = NULL;
    for (size_t i = 0; i < count && set; i++) {
        entry = field_set_find(set, &path[i]);
        set = entry ? entry->children : NULL;
        if (!set && i + 1 < count)
            return false;
    }
    return entry && entry->is_member;
}

static void add_conflict(void *ctx, const struct field_element *path, size_t count)
{
    struct conflict_list *list = ctx;
    if (list->allowed && has_path(list->allowed, path, count))
        return;
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 8;
        list->items = xrealloc(list->items, list->capacity * sizeof(*list->items));
    }
    list->items[list->count++] = (struct kube_conflict){
        .manager = list->manager, .path = field_path_text(path, count, list->arena)};
}

static struct error *conflict_error(const struct conflict_list *list)
{
    AUTO(buf) struct buf text;
    buf_init(&text, MESSAGE_MAX_BYTES);
    if (list->count == 1)
        return error_with_reason(error_new(ERROR_ABORTED,
                                           "Apply failed with 1 conflict: conflict with %s: %s",
                                           list->items[0].manager, list->items[0].path),
                                 "Conflict");
    for (size_t i = 0; i < list->count; i++) {
        if (i == 0 || list->items[i].manager != list->items[i - 1].manager)
            buf_printf(&text, "%sconflicts with %s:", i ? "\n" : "", list->items[i].manager);
        buf_printf(&text, "\n- %s", list->items[i].path);
    }
    return error_with_reason(error_new(ERROR_ABORTED, "Apply failed with %zu conflicts: %s",
                                       list->count, buf_text(&text)),
                             "Conflict");
}

static int compare_names(const void *a, const void *b)
{
    const struct kube_manager *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    if (order == 0)
        order = strcmp(x->api_version, y->api_version);
    return order ? order : strcmp(x->subresource, y->subresource);
}

/* The fields of others that @changed touches, as an error when there are any. */
static struct error *check_conflicts(const struct operation *op, const struct field_set *changed,
                                     const struct field_set *allowed, struct kube_apply_result *ret)
{
    struct kube_managers sorted = apply_copy_managers(&op->managers, op->arena);
    struct conflict_list list = {.allowed = allowed, .arena = op->arena};
    struct kube_manager *self = apply_find_manager(&sorted, &op->self);
    if (self)
        self->fields = field_set_empty();
    if (sorted.count)
        qsort(sorted.items, sorted.count, sizeof(*sorted.items), compare_names);
    for (size_t i = 0; i < sorted.count; i++) {
        list.manager = manager_text(&sorted.items[i], op->arena);
        field_set_each(field_set_intersection(sorted.items[i].fields, changed, op->arena),
                       add_conflict, &list);
    }
    if (list.count == 0)
        return NULL;
    ret->conflicts = arena_memdup(op->arena, list.items, list.count * sizeof(*list.items));
    ret->conflict_count = list.count;
    struct error *err = conflict_error(&list);
    free(list.items);
    return err;
}

/* All but @keep lose what changed or is gone. */
static void take_from_others(struct operation *op, const struct apply_comparison *comparison,
                             const struct kube_manager *keep)
{
    size_t kept = 0;
    for (size_t i = 0; i < op->managers.count; i++) {
        struct kube_manager manager = op->managers.items[i];
        if (&op->managers.items[i] != keep) {
            manager.fields = field_set_difference(manager.fields, comparison->modified, op->arena);
            manager.fields = field_set_difference(manager.fields, comparison->added, op->arena);
            manager.fields = field_set_difference(manager.fields, comparison->removed, op->arena);
        }
        if (!field_set_is_empty(manager.fields))
            op->managers.items[kept++] = manager;
    }
    op->managers.count = kept;
}

static void set_time(const struct operation *op, struct kube_manager *manager)
{
    if (!manager)
        return;
    manager->has_time = true;
    manager->time_s = op->request->now_s;
}

/* Notes that the manager made @to of @from by an update. */
static struct error *note_update(struct operation *op, const struct kube_manager *self,
                                 const struct doc_node *from, const struct doc_node *to)
{
    struct apply_comparison comparison;
    struct error *err = compare(op, from, to, &comparison);
    if (err)
        return err;
    take_from_others(op, &comparison, NULL);
    const struct field_set *taken =
        field_set_union(comparison.modified, comparison.added, op->arena);
    taken = field_set_difference(taken, &unowned_set, op->arena);
    if (field_set_is_empty(taken))
        return NULL;
    const struct kube_manager *before = apply_find_manager(&op->managers, self);
    if (before)
        taken = field_set_union(taken, before->fields, op->arena);
    set_time(op, apply_set_manager(&op->managers, self, taken));
    apply_cap_updaters(&op->managers, op->arena);
    return NULL;
}

static struct error *remove_fields(const struct operation *op, const struct doc_node *object,
                                   const struct field_set *set, const struct doc_node **ret)
{
    const struct doc_node *left = NULL;
    struct error *err = apply_remove(object, set, &op->type, op->arena, &left);
    if (!err)
        *ret = left ? left : doc_new_object(op->arena, NULL, 0);
    return err;
}

/* The fields of @object, each struct's fields with members below included. */
static struct error *named_fields_of(const struct operation *op, const struct doc_node *object,
                                     const struct field_set **ret)
{
    const struct field_set *set = NULL;
    struct error *err = apply_fields_of(object, &op->type, true, op->arena, &set);
    if (!err)
        *ret = apply_with_named_fields(set, &op->type, op->arena);
    return err;
}

/*
 * Takes away what the manager applied last time (@last) and nobody owns now. Removing it all at
 * first takes parents with what others own below them, so these are added back; and what was
 * removed only along with its parent, without having been applied by this manager, comes back too.
 */
static struct error *prune(const struct operation *op, const struct field_set *last,
                           const struct doc_node *merged, const struct doc_node **ret)
{
    const struct field_set *owned = field_set_empty(), *all = NULL, *left = NULL;
    const struct doc_node *pruned = NULL;
    if (field_set_is_empty(last)) {
        *ret = merged;
        return NULL;
    }
    last = apply_with_named_fields(last, &op->type, op->arena);
    for (size_t i = 0; i < op->managers.count; i++)
        owned = field_set_union(owned, op->managers.items[i].fields, op->arena);
    owned = apply_with_named_fields(owned, &op->type, op->arena);

    struct error *err = remove_fields(op, merged, last, &pruned);
    if (!err)
        err = named_fields_of(op, merged, &all);
    if (!err)
        err = named_fields_of(op, pruned, &left);
    if (err)
        return err;
    left = field_set_union(left, owned, op->arena);
    err = remove_fields(op, merged, field_set_difference(all, left, op->arena), &pruned);
    if (!err)
        err = named_fields_of(op, pruned, &left);
    if (err)
        return err;
    const struct field_set *gone = field_set_difference(all, left, op->arena);
    return remove_fields(op, merged, field_set_intersection(gone, last, op->arena), ret);
}

/* One apply, once everything is checked. @allowed: conflicts that do not count. */
static struct error *merge_and_own(struct operation *op, bool is_forced,
                                   const struct field_set *allowed, struct kube_apply_result *ret)
{
    const struct doc_node *config = op->request->object, *merged = NULL, *object = NULL;
    const struct field_set *last = field_set_empty(), *fields = NULL;
    struct apply_comparison comparison;
    struct error *err = apply_fields_of(config, &op->type, false, op->arena, &fields);
    if (err)
        return error_with_reason(error_wrap(err, "failed to create typed patch object"),
                                 "BadRequest");
    const struct kube_manager *before = apply_find_manager(&op->managers, &op->self);
    if (before)
        last = before->fields;
    apply_set_manager(&op->managers, &op->self, respected(op, fields));

    err = apply_merge(op->live, config, &op->type, op->arena, &merged);
    if (!err)
        err = prune(op, last, merged, &object);
    if (!err)
        err = compare(op, op->live, object, &comparison);
    const struct field_set *changed = NULL;
    if (!err)
        changed = field_set_union(comparison.modified, comparison.added, op->arena);
    if (!err && !is_forced)
        err = check_conflicts(op, changed, allowed, ret);
    if (err)
        return err;

    take_from_others(op, &comparison, apply_find_manager(&op->managers, &op->self));
    fields = field_set_difference(respected(op, fields), &unowned_set, op->arena);
    struct kube_manager *self = apply_set_manager(&op->managers, &op->self, fields);
    ret->is_changed = !doc_equal(op->live, object);
    ret->object = ret->is_changed ? object : op->live;
    if (ret->is_changed)
        set_time(op, self);
    return NULL;
}

static const struct doc_node *last_applied_of(const struct doc_node *object)
{
    const struct doc_node *annotations = doc_get(doc_get(object, "metadata"), "annotations");
    const struct doc_node *text = doc_get(annotations, LAST_APPLIED);
    return text && text->kind == DOC_STRING && text->string.len ? text : NULL;
}

/* The fields that kubectl's annotation notes and that are still as noted; NULL when it says
 * nothing that can be used. */
static const struct field_set *still_as_noted(const struct operation *op)
{
    const struct doc_parse_options options = {.max_bytes = KUBE_OBJECT_MAX_BYTES};
    const struct doc_node *text = last_applied_of(op->live), *noted = NULL;
    const struct field_set *fields = NULL;
    struct apply_comparison comparison;
    if (!text)
        return NULL;
    struct error *err = json_parse(text->string, &options, op->arena, &noted);
    const struct doc_node *version = err ? NULL : doc_get(noted, "apiVersion");
    if (!err && (!version || version->kind != DOC_STRING ||
                 !str_eq_c(version->string, op->request->api_version)))
        return NULL;
    if (!err)
        err = apply_fields_of(noted, &op->type, false, op->arena, &fields);
    if (!err)
        err = apply_compare(noted, op->live, &op->type, op->arena, &comparison);
    if (err) {
        error_ignore(err, "an annotation that cannot be read permits nothing");
        return NULL;
    }
    fields = field_set_difference(fields, comparison.modified, op->arena);
    fields = field_set_difference(fields, comparison.added, op->arena);
    return field_set_difference(fields, comparison.removed, op->arena);
}

/* Keeps the annotation of client-side apply in step, where there is one. */
static const struct doc_node *note_last_applied(const struct operation *op,
                                                const struct doc_node *object)
{
    const struct doc_node *config = op->request->object;
    const struct doc_node *metadata = doc_get(config, "metadata");
    const struct doc_node *annotations = doc_get(metadata, "annotations");
    struct json_writer writer;
    AUTO(buf) struct buf text;
    if (!last_applied_of(object))
        return object;
    if (doc_get(annotations, LAST_APPLIED)) {
        annotations = doc_without_member(annotations, LAST_APPLIED, op->arena);
        metadata = doc_with_member(metadata, "annotations", annotations, op->arena);
        config = doc_with_member(config, "metadata", metadata, op->arena);
    }
    buf_init(&text, KUBE_OBJECT_MAX_BYTES);
    json_writer_init(&writer, &text, false);
    doc_write_node(&writer.base, doc_sorted(config, op->arena));
    buf_add_char(&text, '\n');
    if (text.overflowed)
        return object;
    metadata = doc_get(object, "metadata");
    annotations = doc_with_member(doc_get(metadata, "annotations"), LAST_APPLIED,
                                  doc_new_text(op->arena, buf_str(&text)), op->arena);
    metadata = doc_with_member(metadata, "annotations", annotations, op->arena);
    return doc_with_member(object, "metadata", metadata, op->arena);
}

/* The object with its managers; beyond the caps it could not be read again. */
static struct error *finish(const struct operation *op, const struct doc_node *object,
                            const struct doc_node **ret)
{
    const struct doc_node *finished = kube_set_managers(object, &op->managers, op->arena);
    struct error *err = doc_check_extent(finished, "the object with its managed fields");
    if (!err)
        *ret = finished;
    return error_with_reason(err, "RequestEntityTooLarge");
}

static struct error *bad_request(struct error *err_owned)
{
    return error_with_reason(err_owned, "BadRequest");
}

static struct error *check_config(const struct kube_apply_request *request)
{
    const struct kube_decode_options strict = {.unknown = KUBE_UNKNOWN_STRICT};
    const struct doc_node *config = request->object;
    const struct doc_node *version = doc_get(config, "apiVersion");
    struct error *err = doc_check_extent(config, "the applied configuration");
    if (err)
        return error_with_reason(err, "RequestEntityTooLarge");
    if (!version || version->kind != DOC_STRING || !str_eq_c(version->string, request->api_version))
        return bad_request(error_new(
            ERROR_INVALID_ARGUMENT,
            "Incorrect version specified in apply patch. Specified patch version: %s, expected: %s",
            version && version->kind == DOC_STRING ? version->string.ptr : "",
            request->api_version));
    const struct doc_node *managers = doc_get(doc_get(config, "metadata"), "managedFields");
    if (managers && managers->kind != DOC_NULL)
        return bad_request(error_new(ERROR_INVALID_ARGUMENT, "metadata.managedFields must be nil"));
    AUTO(arena) struct arena *scratch = arena_new(0);
    ProtobufCMessage *unused = NULL;
    return bad_request(kube_decode_document(config, request->type, &strict, scratch, &unused));
}

/* Without force first; then, for kubectl, with what its annotation gives up. */
static struct error *apply_as_asked(struct operation *op, struct kube_apply_result *ret)
{
    struct kube_managers before = apply_copy_managers(&op->managers, op->arena);
    struct error *err = merge_and_own(op, op->request->is_forced, NULL, ret);
    if (!error_is(err, ERROR_ABORTED) || !text_eq(op->self.name, KUBECTL))
        return err;
    const struct field_set *allowed = still_as_noted(op);
    if (!allowed)
        return err;
    error_ignore(err, "the annotation may allow it");
    *ret = (struct kube_apply_result){0};
    op->managers = before;
    return merge_and_own(op, false, allowed, ret);
}

struct error *kube_apply(const struct kube_apply_request *request, struct arena *arena,
                         struct kube_apply_result *ret)
{
    struct operation op = operation_of(request, KUBE_MANAGER_APPLY, arena);
    struct kube_apply_result result = {0};
    struct error *err = check_config(request);
    if (err)
        return err;
    if (request->live) {
        err = kube_managers_of(request->live, request->type, arena, &op.managers);
        if (err)
            return error_wrap(err, "failed to decode managed fields");
    }
    op.managers = apply_copy_managers(&op.managers, arena);
    if (request->live && op.managers.count == 0) {
        struct kube_manager before = op.self;
        before.name = BEFORE_FIRST_APPLY;
        before.operation = KUBE_MANAGER_UPDATE;
        err = note_update(&op, &before, doc_new_object(arena, NULL, 0), op.live);
    }
    if (!err)
        err = apply_as_asked(&op, &result);
    if (!err && text_eq(op.self.name, KUBECTL))
        result.object = note_last_applied(&op, result.object);
    if (!err)
        err = finish(&op, result.object, &result.object);
    *ret = result;
    return err;
}

/* True for `[]` and `[{}]`, by which a client asks to forget all managers. */
static bool is_reset(const struct doc_node *object)
{
    const struct doc_node *list = doc_get(doc_get(object, "metadata"), "managedFields");
    if (!list || list->kind != DOC_ARRAY || list->array.count > 1)
        return false;
    return list->array.count == 0 ||
           (list->array.items[0]->kind == DOC_OBJECT && list->array.items[0]->object.count == 0);
}

/* The managers an update begins with: the client's, else the live object's. */
static struct kube_managers managers_before(const struct kube_apply_request *request,
                                            struct arena *arena)
{
    struct kube_managers managers = {0};
    bool has_subresource = request->subresource && request->subresource[0];
    if (!has_subresource && is_reset(request->object))
        return managers;
    struct error *err = NULL;
    if (!has_subresource)
        err = kube_managers_of(request->object, request->type, arena, &managers);
    error_ignore(err, "then the live object's count");
    if (managers.count || !request->live)
        return managers;
    err = kube_managers_of(request->live, request->type, arena, &managers);
    error_ignore(err, "what cannot be read owns nothing");
    return managers;
}

struct error *kube_update_managers(const struct kube_apply_request *request, struct arena *arena,
                                   const struct doc_node **ret)
{
    struct operation op = operation_of(request, KUBE_MANAGER_UPDATE, arena);
    struct error *err = doc_check_extent(request->object, "the object");
    if (err)
        return error_with_reason(err, "RequestEntityTooLarge");
    const struct doc_node *object = without_managers(request->object, arena);
    struct kube_managers before = managers_before(request, arena);
    op.managers = apply_copy_managers(&before, arena);
    if (op.managers.count == 0 && request->live) {
        *ret = object;
        return NULL;
    }
    err = note_update(&op, &op.self, op.live, object);
    return err ? err : finish(&op, object, ret);
}
