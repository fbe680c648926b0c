/*
 * Paths and operations from the table of resources. The names of operations are put together as
 * upstream's: readCoreV1NamespacedPodStatus, deleteCoreV1CollectionNode.
 */
#include "plane/openapi_internal.h"

#include "meta.pb-c.h"

/* --- which paths --- */

struct walk {
    const char *base; /* "/api/v1" */
    const struct resource *resource;
    struct arena *arena;
    openapi_each_path *each;
    void *ctx;
};

static bool is_stored(const struct resource *resource)
{
    return (resource->verbs & (VERB_GET | VERB_DELETE | VERB_UPDATE | VERB_PATCH)) != 0;
}

static void walk_resource(const struct walk *walk)
{
    const struct resource *resource = walk->resource;
    const char *name = resource->kind->resource;
    struct openapi_path path = {.resource = resource};
    path.path = arena_printf(walk->arena, "%s/%s", walk->base, name);
    if (!resource->kind->is_namespaced || (resource->verbs & VERB_LIST) != 0)
        walk->each(walk->ctx, &path);
    if (resource->kind->is_namespaced) {
        path.is_in_namespace = true;
        path.path = arena_printf(walk->arena, "%s/namespaces/{namespace}/%s", walk->base, name);
        walk->each(walk->ctx, &path);
    }
    const char *collection = path.path;
    path.is_item = true;
    path.path = arena_printf(walk->arena, "%s/{name}", collection);
    if (is_stored(resource))
        walk->each(walk->ctx, &path);
    for (size_t i = 0; i < resource->subresource_count; i++) {
        path.subresource = &resource->subresources[i];
        path.path = arena_printf(walk->arena, "%s/{name}/%s", collection, path.subresource->name);
        walk->each(walk->ctx, &path);
    }
}

void openapi_paths(const char *group, const char *version, struct arena *arena,
                   openapi_each_path *each, void *ctx)
{
    size_t rows;
    const struct resource *table = resource_table(&rows);
    for (size_t i = 0; i < rows; i++) {
        const struct kube_kind *kind = table[i].kind;
        if (group && !(text_eq(kind->group, group) && text_eq(kind->version, version)))
            continue;
        const char *base = kind->group[0] == '\0'
                               ? arena_printf(arena, "/api/%s", kind->version)
                               : arena_printf(arena, "/apis/%s/%s", kind->group, kind->version);
        struct walk walk = {
            .base = base, .resource = &table[i], .arena = arena, .each = each, .ctx = ctx};
        walk_resource(&walk);
    }
}

/* --- operations --- */

enum action {
    ACTION_LIST,
    ACTION_GET,
    ACTION_PUT,
    ACTION_PATCH,
    ACTION_POST,
    ACTION_DELETE,
    ACTION_DELETE_COLLECTION,
    ACTION_CONNECT_GET,
    ACTION_CONNECT_POST,
};
#define BIT(action) (1u << (action))
#define WRITES (BIT(ACTION_PUT) | BIT(ACTION_PATCH) | BIT(ACTION_POST))
#define LISTS (BIT(ACTION_LIST) | BIT(ACTION_DELETE_COLLECTION))
#define DELETES (BIT(ACTION_DELETE) | BIT(ACTION_DELETE_COLLECTION))

struct action_row {
    const char *method;
    const char *name;  /* x-kubernetes-action */
    const char *word;  /* of operationId, before the group */
    const char *about; /* before the kind */
    unsigned verb;     /* the verb it needs */
};

static const struct action_row action_rows[] = {
    [ACTION_LIST] = {"get", "list", "list", "list or watch objects of kind", VERB_LIST},
    [ACTION_GET] = {"get", "get", "read", "read the", VERB_GET},
    [ACTION_PUT] = {"put", "put", "replace", "replace the", VERB_UPDATE},
    [ACTION_PATCH] = {"patch", "patch", "patch", "change parts of the", VERB_PATCH},
    [ACTION_POST] = {"post", "post", "create", "create", VERB_CREATE},
    [ACTION_DELETE] = {"delete", "delete", "delete", "delete the", VERB_DELETE},
    [ACTION_DELETE_COLLECTION] = {"delete", "deletecollection", "delete", "delete objects of kind",
                                  VERB_DELETE_COLLECTION},
    [ACTION_CONNECT_GET] = {"get", "connect", "connect", "connect GET requests to", VERB_GET},
    [ACTION_CONNECT_POST] = {"post", "connect", "connect", "connect POST requests to", VERB_CREATE},
};

static const enum action collection_actions[] = {ACTION_LIST, ACTION_POST,
                                                 ACTION_DELETE_COLLECTION};
static const enum action item_actions[] = {ACTION_GET, ACTION_PUT, ACTION_PATCH, ACTION_POST,
                                           ACTION_DELETE};
static const enum action connect_actions[] = {ACTION_CONNECT_GET, ACTION_CONNECT_POST};

static const struct parameter_row {
    const char *name, *type;
    unsigned actions;
} parameter_rows[] = {
    {"allowWatchBookmarks", "boolean", BIT(ACTION_LIST)},
    {"continue", "string", LISTS},
    {"dryRun", "string", WRITES | DELETES},
    {"fieldManager", "string", WRITES},
    {"fieldSelector", "string", LISTS},
    {"fieldValidation", "string", WRITES},
    {"force", "boolean", BIT(ACTION_PATCH)},
    {"gracePeriodSeconds", "integer", DELETES},
    {"labelSelector", "string", LISTS},
    {"limit", "integer", LISTS},
    {"orphanDependents", "boolean", DELETES},
    {"propagationPolicy", "string", DELETES},
    {"resourceVersion", "string", LISTS},
    {"resourceVersionMatch", "string", LISTS},
    {"sendInitialEvents", "boolean", LISTS},
    {"timeoutSeconds", "integer", LISTS},
    {"watch", "boolean", BIT(ACTION_LIST)},
};

static const char *const patch_types[] = {
    "application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json",
    "application/strategic-merge-patch+json"};
static const char *const object_types[] = {
    "application/json", "application/vnd.kubernetes.protobuf", "application/yaml"};
static const char *const any_types[] = {"*/*"};

/* One operation under way. */
struct operation {
    const struct openapi_path *path;
    enum action action;
    enum openapi_dialect dialect;
    struct doc_writer *writer;
    struct arena *arena;
};

static void write_member(struct doc_writer *writer, const char *key, const char *text)
{
    doc_write_key(writer, key);
    doc_write_text(writer, text);
}

static const struct kube_kind *body_kind(const struct openapi_path *path)
{
    return path->subresource && path->subresource->kind ? path->subresource->kind
                                                        : path->resource->kind;
}

static const char *kind_name(const struct openapi_path *path)
{
    return path->subresource ? discovery_body_kind(path->resource, path->subresource)
                             : path->resource->kind->kind;
}

/* "Coordination" for coordination.k8s.io, "Core" for none. */
static const char *group_word(const char *group, struct arena *arena)
{
    if (group[0] == '\0')
        return "Core";
    char *word = arena_strndup(arena, group, strcspn(group, "."));
    word[0] = (char)(word[0] - 'a' + 'A');
    return word;
}

static const char *capitalised(const char *text, struct arena *arena)
{
    char *word = arena_strdup(arena, text);
    if (word[0] >= 'a' && word[0] <= 'z')
        word[0] = (char)(word[0] - 'a' + 'A');
    return word;
}

static const char *operation_id(const struct operation *operation)
{
    const struct openapi_path *path = operation->path;
    const struct kube_kind *kind = path->resource->kind;
    struct arena *arena = operation->arena;
    const struct action_row *row = &action_rows[operation->action];
    bool is_connect = strcmp(row->name, "connect") == 0;
    const char *method = is_connect ? capitalised(row->method, arena) : "";
    const char *collection = operation->action == ACTION_DELETE_COLLECTION ? "Collection" : "";
    const char *scope = path->is_in_namespace ? "Namespaced" : "";
    const char *part = path->subresource ? capitalised(path->subresource->name, arena) : "";
    const char *all = kind->is_namespaced && !path->is_in_namespace ? "ForAllNamespaces" : "";
    return arena_printf(arena, "%s%s%s%s%s%s%s%s%s", row->word, group_word(kind->group, arena),
                        capitalised(kind->version, arena), method, collection, scope, kind->kind,
                        part, all);
}

/* --- parameters --- */

static void write_parameter(const struct operation *operation, const char *name, const char *type,
                            const char *where)
{
    struct doc_writer *writer = operation->writer;
    writer->ops->begin_object(writer);
    write_member(writer, "name", name);
    write_member(writer, "in", where);
    if (strcmp(where, "path") == 0) {
        doc_write_key(writer, "required");
        doc_write_bool(writer, true);
    }
    bool is_nested = operation->dialect == OPENAPI_V3;
    if (is_nested) {
        doc_write_key(writer, "schema");
        writer->ops->begin_object(writer);
    }
    write_member(writer, "type", type);
    doc_write_key(writer, "uniqueItems");
    doc_write_bool(writer, true);
    if (is_nested)
        writer->ops->end_object(writer);
    writer->ops->end_object(writer);
}

/* What the request's body is; NULL for none. */
static const char *body_name(const struct operation *operation)
{
    switch (operation->action) {
    case ACTION_PUT:
    case ACTION_POST:
        return openapi_name(body_kind(operation->path)->type, operation->arena);
    case ACTION_PATCH:
        return OPENAPI_PATCH_NAME;
    case ACTION_DELETE:
    case ACTION_DELETE_COLLECTION:
        return openapi_name(&meta__delete_options__descriptor, operation->arena);
    case ACTION_LIST:
    case ACTION_GET:
    case ACTION_CONNECT_GET:
    case ACTION_CONNECT_POST:
        break;
    }
    return NULL;
}

static void write_body_parameter(const struct operation *operation, const char *name)
{
    struct doc_writer *writer = operation->writer;
    bool is_delete = (BIT(operation->action) & DELETES) != 0;
    writer->ops->begin_object(writer);
    write_member(writer, "name", "body");
    write_member(writer, "in", "body");
    if (!is_delete) {
        doc_write_key(writer, "required");
        doc_write_bool(writer, true);
    }
    doc_write_key(writer, "schema");
    openapi_write_ref(writer, name, operation->dialect, operation->arena);
    writer->ops->end_object(writer);
}

static void write_parameters(const struct operation *operation)
{
    struct doc_writer *writer = operation->writer;
    const char *body = operation->dialect == OPENAPI_V2 ? body_name(operation) : NULL;
    doc_write_key(writer, "parameters");
    writer->ops->begin_array(writer);
    if (body)
        write_body_parameter(operation, body);
    for (size_t i = 0; i < ARRAY_SIZE(parameter_rows); i++) {
        if ((parameter_rows[i].actions & BIT(operation->action)) != 0)
            write_parameter(operation, parameter_rows[i].name, parameter_rows[i].type, "query");
    }
    writer->ops->end_array(writer);
}

/* --- what goes in and comes out --- */

static void write_texts(struct doc_writer *writer, const char *key, const char *const *texts,
                        size_t count)
{
    doc_write_key(writer, key);
    writer->ops->begin_array(writer);
    for (size_t i = 0; i < count; i++)
        doc_write_text(writer, texts[i]);
    writer->ops->end_array(writer);
}

/* v3: a schema for each media type. @name NULL: a text. */
static void write_content(const struct operation *operation, const char *const *types, size_t count,
                          const char *name)
{
    struct doc_writer *writer = operation->writer;
    doc_write_key(writer, "content");
    writer->ops->begin_object(writer);
    for (size_t i = 0; i < count; i++) {
        doc_write_key(writer, types[i]);
        writer->ops->begin_object(writer);
        doc_write_key(writer, "schema");
        openapi_write_ref(writer, name, operation->dialect, operation->arena);
        writer->ops->end_object(writer);
    }
    writer->ops->end_object(writer);
}

static void write_request_body(const struct operation *operation)
{
    struct doc_writer *writer = operation->writer;
    const char *name = body_name(operation);
    if (!name)
        return;
    doc_write_key(writer, "requestBody");
    writer->ops->begin_object(writer);
    if (operation->action == ACTION_PATCH)
        write_content(operation, patch_types, ARRAY_SIZE(patch_types), name);
    else
        write_content(operation, any_types, ARRAY_SIZE(any_types), name);
    writer->ops->end_object(writer);
}

/* What the answer is; NULL for a stream or text. */
static const char *answer_name(const struct operation *operation)
{
    const struct openapi_path *path = operation->path;
    struct arena *arena = operation->arena;
    const struct kube_kind *list = kube_kind_list(path->resource->kind);
    bool returns_deleted = path->resource->strategy && path->resource->strategy->returns_deleted;
    if (path->subresource && path->subresource->is_proxied)
        return NULL;
    switch (operation->action) {
    case ACTION_LIST:
        return list ? openapi_name(list->type, arena) : NULL;
    case ACTION_GET:
    case ACTION_PUT:
    case ACTION_PATCH:
    case ACTION_POST:
        return openapi_name(body_kind(path)->type, arena);
    case ACTION_DELETE:
        return returns_deleted ? openapi_name(path->resource->kind->type, arena)
                               : openapi_name(&meta__status__descriptor, arena);
    case ACTION_DELETE_COLLECTION:
        return openapi_name(&meta__status__descriptor, arena);
    case ACTION_CONNECT_GET:
    case ACTION_CONNECT_POST:
        break;
    }
    return NULL;
}

static void write_answer(const struct operation *operation, const char *code, const char *about)
{
    struct doc_writer *writer = operation->writer;
    const char *name = answer_name(operation);
    doc_write_key(writer, code);
    writer->ops->begin_object(writer);
    write_member(writer, "description", about);
    if (name && operation->dialect == OPENAPI_V2) {
        doc_write_key(writer, "schema");
        openapi_write_ref(writer, name, operation->dialect, operation->arena);
    } else if (name) {
        write_content(operation, object_types, ARRAY_SIZE(object_types), name);
    }
    writer->ops->end_object(writer);
}

static void write_answers(const struct operation *operation)
{
    struct doc_writer *writer = operation->writer;
    doc_write_key(writer, "responses");
    writer->ops->begin_object(writer);
    write_answer(operation, "200", "OK");
    if ((BIT(operation->action) & WRITES) != 0)
        write_answer(operation, "201", "Created");
    doc_write_key(writer, "401");
    writer->ops->begin_object(writer);
    write_member(writer, "description", "Unauthorized");
    writer->ops->end_object(writer);
    writer->ops->end_object(writer);
}

static void write_operation(const struct operation *operation)
{
    struct doc_writer *writer = operation->writer;
    const struct action_row *row = &action_rows[operation->action];
    const struct openapi_path *path = operation->path;
    const struct kube_kind *kind = body_kind(path);
    doc_write_key(writer, row->method);
    writer->ops->begin_object(writer);
    write_member(writer, "description",
                 arena_printf(operation->arena, "%s %s", row->about, kind_name(path)));
    write_member(writer, "operationId", operation_id(operation));
    if (operation->dialect == OPENAPI_V2) {
        const char *const *types = operation->action == ACTION_PATCH ? patch_types : any_types;
        size_t count = operation->action == ACTION_PATCH ? ARRAY_SIZE(patch_types) : 1;
        write_texts(writer, "consumes", types, count);
        write_texts(writer, "produces", object_types, ARRAY_SIZE(object_types));
    } else {
        write_request_body(operation);
    }
    write_parameters(operation);
    write_answers(operation);
    write_member(writer, "x-kubernetes-action", row->name);
    doc_write_key(writer, "x-kubernetes-group-version-kind");
    openapi_write_kind(writer, kind->group, kind->version, kind_name(path));
    writer->ops->end_object(writer);
}

/* --- a path --- */

static void write_operations(struct operation *operation, const enum action *actions, size_t count)
{
    const struct openapi_path *path = operation->path;
    unsigned verbs = path->subresource ? path->subresource->verbs : path->resource->verbs;
    /* What is seen of all namespaces can only be listed. */
    if (path->resource->kind->is_namespaced && !path->is_in_namespace)
        verbs &= VERB_LIST;
    /* Creation is an affair of collections and subresources. */
    if (path->is_item && !path->subresource)
        verbs &= ~(unsigned)VERB_CREATE;
    for (size_t i = 0; i < count; i++) {
        if ((verbs & action_rows[actions[i]].verb) == 0)
            continue;
        operation->action = actions[i];
        write_operation(operation);
    }
}

/* Logs are read; everything else that is passed on is a connection. */
static bool is_connection(const struct openapi_path *path)
{
    return path->subresource && path->subresource->is_proxied &&
           strcmp(path->subresource->name, "log") != 0;
}

void openapi_write_path(struct doc_writer *writer, const struct openapi_path *path,
                        enum openapi_dialect dialect, struct arena *arena)
{
    struct operation operation = {
        .path = path, .dialect = dialect, .writer = writer, .arena = arena};
    writer->ops->begin_object(writer);
    if (is_connection(path))
        write_operations(&operation, connect_actions, ARRAY_SIZE(connect_actions));
    else if (path->is_item)
        write_operations(&operation, item_actions, ARRAY_SIZE(item_actions));
    else
        write_operations(&operation, collection_actions, ARRAY_SIZE(collection_actions));
    doc_write_key(writer, "parameters");
    writer->ops->begin_array(writer);
    if (path->is_item)
        write_parameter(&operation, "name", "string", "path");
    if (path->is_in_namespace)
        write_parameter(&operation, "namespace", "string", "path");
    write_parameter(&operation, "pretty", "string", "query");
    writer->ops->end_array(writer);
    writer->ops->end_object(writer);
}
