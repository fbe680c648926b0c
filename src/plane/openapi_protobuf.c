/*
 * The v2 document as gnostic's protobuf (proto/openapi_v2.proto). Each path and definition is
 * written into a tree, turned into its message and packed: messages with one entry, one after the
 * other, are a message with all entries. What protobuf has no field for (all that begins with x-)
 * goes along as YAML, of which JSON is a part.
 */
#include "plane/openapi_internal.h"
#include "wire/doc_build.h"
#include "wire/json.h"

#include "openapi_v2.pb-c.h"

#define DOCUMENT_MAX_BYTES (64 * MiB)
#define EXTENSION_MAX_BYTES (64 * KiB)

#define NEW(arena, name) kube_message_new(&openapi__##name##__descriptor, (arena))

/* --- out of the tree --- */

/* Absent is empty. */
static char *text_in(const struct doc_node *node, const char *key, struct arena *arena)
{
    return arena_strdup(arena, doc_get_text(node, key));
}

static bool bool_in(const struct doc_node *node, const char *key)
{
    const struct doc_node *value = doc_get(node, key);
    return value && value->kind == DOC_BOOL && value->boolean;
}

static size_t member_count(const struct doc_node *object)
{
    return object && object->kind == DOC_OBJECT ? object->object.count : 0;
}

static char **texts_in(const struct doc_node *node, const char *key, struct arena *arena,
                       size_t *ret_count)
{
    const struct doc_node *array = doc_get(node, key);
    *ret_count = doc_count(array);
    char **texts = arena_calloc(arena, *ret_count + 1, sizeof(char *));
    for (size_t i = 0; i < *ret_count; i++)
        texts[i] = arena_strdup(arena, array->array.items[i]->string.ptr);
    return texts;
}

static Openapi__NamedAny *new_extension(const struct doc_member *member, struct arena *arena)
{
    AUTO(buf) struct buf json;
    buf_init(&json, EXTENSION_MAX_BYTES);
    struct json_writer writer;
    json_writer_init(&writer, &json, false);
    doc_write_node(&writer.base, member->value);
    buf_add_char(&json, '\n');
    Openapi__NamedAny *named = (Openapi__NamedAny *)NEW(arena, named_any);
    named->name = arena_strdup(arena, member->key.ptr);
    named->value = (Openapi__Any *)NEW(arena, any);
    named->value->yaml = arena_strdup(arena, buf_text(&json));
    return named;
}

static Openapi__NamedAny **extensions_in(const struct doc_node *node, struct arena *arena,
                                         size_t *ret_count)
{
    size_t members = member_count(node);
    Openapi__NamedAny **named = arena_calloc(arena, members + 1, sizeof(Openapi__NamedAny *));
    *ret_count = 0;
    for (size_t i = 0; i < members; i++) {
        if (str_has_prefix(node->object.members[i].key, "x-"))
            named[(*ret_count)++] = new_extension(&node->object.members[i], arena);
    }
    return named;
}

/* --- schemas --- */

/* A schema to be filled; schemas hold schemas, so they wait in a list. */
struct task {
    const struct doc_node *node;
    Openapi__Schema *schema;
    struct task *next;
};

static Openapi__Schema *add_task(struct task **tasks, const struct doc_node *node,
                                 struct arena *arena)
{
    struct task *task = arena_alloc(arena, sizeof(*task));
    *task = (struct task){
        .node = node, .schema = (Openapi__Schema *)NEW(arena, schema), .next = *tasks};
    *tasks = task;
    return task->schema;
}

static void fill_properties(const struct task *task, const struct doc_node *properties,
                            struct task **tasks, struct arena *arena)
{
    size_t count = member_count(properties);
    Openapi__Properties *message = (Openapi__Properties *)NEW(arena, properties);
    message->additional_properties = arena_calloc(arena, count + 1, sizeof(Openapi__NamedSchema *));
    message->n_additional_properties = count;
    for (size_t i = 0; i < count; i++) {
        Openapi__NamedSchema *named = (Openapi__NamedSchema *)NEW(arena, named_schema);
        named->name = arena_strdup(arena, properties->object.members[i].key.ptr);
        named->value = add_task(tasks, properties->object.members[i].value, arena);
        message->additional_properties[i] = named;
    }
    task->schema->properties = message;
}

static void fill_type(const struct task *task, struct arena *arena)
{
    if (!doc_get(task->node, "type"))
        return;
    Openapi__TypeItem *type = (Openapi__TypeItem *)NEW(arena, type_item);
    type->value = arena_calloc(arena, 1, sizeof(char *));
    type->value[type->n_value++] = text_in(task->node, "type", arena);
    task->schema->type = type;
}

static void fill_schema(const struct task *task, struct task **tasks, struct arena *arena)
{
    const struct doc_node *node = task->node;
    Openapi__Schema *schema = task->schema;
    schema->ref = text_in(node, "$ref", arena);
    schema->format = text_in(node, "format", arena);
    schema->description = text_in(node, "description", arena);
    schema->required = texts_in(node, "required", arena, &schema->n_required);
    schema->vendor_extension = extensions_in(node, arena, &schema->n_vendor_extension);
    fill_type(task, arena);
    const struct doc_node *properties = doc_get(node, "properties");
    if (properties)
        fill_properties(task, properties, tasks, arena);
    const struct doc_node *values = doc_get(node, "additionalProperties");
    if (values) {
        schema->additional_properties =
            (Openapi__AdditionalPropertiesItem *)NEW(arena, additional_properties_item);
        schema->additional_properties->schema = add_task(tasks, values, arena);
    }
    const struct doc_node *items = doc_get(node, "items");
    if (items) {
        schema->items = (Openapi__ItemsItem *)NEW(arena, items_item);
        schema->items->schema = arena_calloc(arena, 1, sizeof(Openapi__Schema *));
        schema->items->schema[schema->items->n_schema++] = add_task(tasks, items, arena);
    }
}

static Openapi__Schema *new_schema(const struct doc_node *node, struct arena *arena)
{
    struct task *tasks = NULL;
    Openapi__Schema *schema = add_task(&tasks, node, arena);
    while (tasks) {
        const struct task *task = tasks;
        tasks = tasks->next;
        fill_schema(task, &tasks, arena);
    }
    return schema;
}

/* --- operations --- */

static Openapi__NonBodyParameter *new_plain_parameter(const struct doc_node *node,
                                                      struct arena *arena)
{
    Openapi__NonBodyParameter *message =
        (Openapi__NonBodyParameter *)NEW(arena, non_body_parameter);
    if (str_eq_c(doc_get(node, "in")->string, "path")) {
        Openapi__PathParameter *path = (Openapi__PathParameter *)NEW(arena, path_parameter);
        path->name = text_in(node, "name", arena);
        path->in = text_in(node, "in", arena);
        path->type = text_in(node, "type", arena);
        path->required = bool_in(node, "required");
        path->unique_items = bool_in(node, "uniqueItems");
        message->path = path;
        return message;
    }
    Openapi__PlainParameter *query = (Openapi__PlainParameter *)NEW(arena, plain_parameter);
    query->name = text_in(node, "name", arena);
    query->in = text_in(node, "in", arena);
    query->type = text_in(node, "type", arena);
    query->required = bool_in(node, "required");
    query->unique_items = bool_in(node, "uniqueItems");
    message->query = query;
    return message;
}

static Openapi__ParametersItem *new_parameter(const struct doc_node *node, struct arena *arena)
{
    Openapi__ParametersItem *item = (Openapi__ParametersItem *)NEW(arena, parameters_item);
    item->parameter = (Openapi__Parameter *)NEW(arena, parameter);
    const struct doc_node *schema = doc_get(node, "schema");
    if (!schema) {
        item->parameter->non_body_parameter = new_plain_parameter(node, arena);
        return item;
    }
    Openapi__BodyParameter *body = (Openapi__BodyParameter *)NEW(arena, body_parameter);
    body->name = text_in(node, "name", arena);
    body->in = text_in(node, "in", arena);
    body->required = bool_in(node, "required");
    body->schema = new_schema(schema, arena);
    item->parameter->body_parameter = body;
    return item;
}

static Openapi__ParametersItem **parameters_in(const struct doc_node *node, struct arena *arena,
                                               size_t *ret_count)
{
    const struct doc_node *array = doc_get(node, "parameters");
    *ret_count = doc_count(array);
    Openapi__ParametersItem **items =
        arena_calloc(arena, *ret_count + 1, sizeof(Openapi__ParametersItem *));
    for (size_t i = 0; i < *ret_count; i++)
        items[i] = new_parameter(array->array.items[i], arena);
    return items;
}

static Openapi__NamedResponseValue *new_response(const struct doc_member *member,
                                                 struct arena *arena)
{
    Openapi__NamedResponseValue *named =
        (Openapi__NamedResponseValue *)NEW(arena, named_response_value);
    Openapi__Response *response = (Openapi__Response *)NEW(arena, response);
    named->name = arena_strdup(arena, member->key.ptr);
    named->value = (Openapi__ResponseValue *)NEW(arena, response_value);
    named->value->response = response;
    response->description = text_in(member->value, "description", arena);
    const struct doc_node *schema = doc_get(member->value, "schema");
    if (schema) {
        response->schema = (Openapi__SchemaItem *)NEW(arena, schema_item);
        response->schema->schema = new_schema(schema, arena);
    }
    return named;
}

static Openapi__Responses *new_responses(const struct doc_node *node, struct arena *arena)
{
    Openapi__Responses *responses = (Openapi__Responses *)NEW(arena, responses);
    size_t count = member_count(node);
    responses->response_code =
        arena_calloc(arena, count + 1, sizeof(Openapi__NamedResponseValue *));
    responses->n_response_code = count;
    for (size_t i = 0; i < count; i++)
        responses->response_code[i] = new_response(&node->object.members[i], arena);
    return responses;
}

/* NULL for NULL. */
static Openapi__Operation *new_operation(const struct doc_node *node, struct arena *arena)
{
    if (!node)
        return NULL;
    Openapi__Operation *operation = (Openapi__Operation *)NEW(arena, operation);
    operation->description = text_in(node, "description", arena);
    operation->operation_id = text_in(node, "operationId", arena);
    operation->consumes = texts_in(node, "consumes", arena, &operation->n_consumes);
    operation->produces = texts_in(node, "produces", arena, &operation->n_produces);
    operation->parameters = parameters_in(node, arena, &operation->n_parameters);
    operation->responses = new_responses(doc_get(node, "responses"), arena);
    operation->vendor_extension = extensions_in(node, arena, &operation->n_vendor_extension);
    return operation;
}

static Openapi__PathItem *new_path_item(const struct doc_node *node, struct arena *arena)
{
    Openapi__PathItem *item = (Openapi__PathItem *)NEW(arena, path_item);
    item->get = new_operation(doc_get(node, "get"), arena);
    item->put = new_operation(doc_get(node, "put"), arena);
    item->post = new_operation(doc_get(node, "post"), arena);
    item->delete_ = new_operation(doc_get(node, "delete"), arena);
    item->patch = new_operation(doc_get(node, "patch"), arena);
    item->parameters = parameters_in(node, arena, &item->n_parameters);
    return item;
}

/* --- the document --- */

static void pack(const ProtobufCMessage *message, struct buf *out)
{
    AUTO(free) uint8_t *bytes = xcalloc(1, protobuf_c_message_get_packed_size(message) + 1);
    buf_add(out, bytes, protobuf_c_message_pack(message, bytes));
}

struct document {
    struct buf paths, definitions;
    struct error *err; /* the first */
};

static void add_path(void *ctx, const struct openapi_path *path)
{
    struct document *document = ctx;
    if (document->err)
        return;
    AUTO(arena) struct arena *arena = arena_new(0);
    struct doc_builder builder;
    const struct doc_node *node;
    doc_builder_init(&builder, arena);
    openapi_write_path(&builder.base, path, OPENAPI_V2, arena);
    document->err = doc_builder_finish(&builder, &node);
    if (document->err)
        return;
    Openapi__NamedPathItem named = OPENAPI__NAMED_PATH_ITEM__INIT;
    named.name = arena_strdup(arena, path->path);
    named.value = new_path_item(node, arena);
    Openapi__NamedPathItem *items[] = {&named};
    Openapi__Paths paths = OPENAPI__PATHS__INIT;
    paths.path = items;
    paths.n_path = 1;
    pack(&paths.base, &document->paths);
}

static void add_definition(struct document *document, const struct openapi_type *type)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct doc_builder builder;
    const struct doc_node *node;
    doc_builder_init(&builder, arena);
    openapi_write_definition(&builder.base, type, OPENAPI_V2, arena);
    document->err = doc_builder_finish(&builder, &node);
    if (document->err)
        return;
    Openapi__NamedSchema named = OPENAPI__NAMED_SCHEMA__INIT;
    named.name = arena_strdup(arena, type->name);
    named.value = new_schema(node, arena);
    Openapi__NamedSchema *items[] = {&named};
    Openapi__Definitions definitions = OPENAPI__DEFINITIONS__INIT;
    definitions.additional_properties = items;
    definitions.n_additional_properties = 1;
    pack(&definitions.base, &document->definitions);
}

static ProtobufCBinaryData bytes_of(const struct buf *buf)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)buf->data, .len = buf->len};
}

static void pack_document(const struct document *document, struct arena *arena, struct buf *out)
{
    Openapi__Info info = OPENAPI__INFO__INIT;
    info.title = arena_strdup(arena, "Kubernetes");
    info.version = arena_strdup(arena, DISCOVERY_GIT_VERSION);
    Openapi__Document message = OPENAPI__DOCUMENT__INIT;
    message.swagger = arena_strdup(arena, "2.0");
    message.info = &info;
    message.paths = bytes_of(&document->paths);
    message.definitions = bytes_of(&document->definitions);
    pack(&message.base, out);
}

struct error *openapi_write_protobuf(struct buf *out)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct document document = {.err = NULL};
    buf_init(&document.paths, DOCUMENT_MAX_BYTES);
    buf_init(&document.definitions, DOCUMENT_MAX_BYTES);
    openapi_paths(NULL, NULL, arena, add_path, &document);
    struct openapi_types types = openapi_collect(NULL, NULL, arena);
    for (size_t i = 0; i < types.count && !document.err; i++)
        add_definition(&document, &types.items[i]);
    if (!document.err)
        pack_document(&document, arena, out);
    buf_done(&document.paths);
    buf_done(&document.definitions);
    return document.err;
}
