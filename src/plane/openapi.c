/*
 * The documents as a whole. Each definition and each path is written with memory of its own that is
 * given back at once; what is left is the text.
 */
#include "plane/openapi.h"

#include "plane/openapi_internal.h"
#include "wire/accept.h"
#include "wire/json.h"

#define JSON_TYPE "application/json"
/* The first is how clients ask, the second how it is answered: an '@' has no place in a type. */
#define PROTOBUF_OLD_TYPE "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
#define PROTOBUF_TYPE "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

struct document {
    struct doc_writer *writer;
    enum openapi_dialect dialect;
};

static void write_member(struct doc_writer *writer, const char *key, const char *text)
{
    doc_write_key(writer, key);
    doc_write_text(writer, text);
}

static void write_one_path(void *ctx, const struct openapi_path *path)
{
    const struct document *document = ctx;
    AUTO(arena) struct arena *arena = arena_new(0);
    doc_write_key(document->writer, path->path);
    openapi_write_path(document->writer, path, document->dialect, arena);
}

static void write_definitions(const struct document *document, const struct openapi_types *types)
{
    struct doc_writer *writer = document->writer;
    writer->ops->begin_object(writer);
    for (size_t i = 0; i < types->count; i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        doc_write_key(writer, types->items[i].name);
        openapi_write_definition(writer, &types->items[i], document->dialect, arena);
    }
    writer->ops->end_object(writer);
}

static void write_document(struct buf *out, const char *group, const char *version,
                           enum openapi_dialect dialect)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct json_writer json;
    json_writer_init(&json, out, false);
    struct doc_writer *writer = &json.base;
    struct document document = {.writer = writer, .dialect = dialect};
    bool is_v2 = dialect == OPENAPI_V2;
    writer->ops->begin_object(writer);
    write_member(writer, is_v2 ? "swagger" : "openapi", is_v2 ? "2.0" : "3.0.0");
    doc_write_key(writer, "info");
    writer->ops->begin_object(writer);
    write_member(writer, "title", "Kubernetes");
    write_member(writer, "version", DISCOVERY_GIT_VERSION);
    writer->ops->end_object(writer);
    doc_write_key(writer, "paths");
    writer->ops->begin_object(writer);
    openapi_paths(group, version, arena, write_one_path, &document);
    writer->ops->end_object(writer);

    struct openapi_types types = openapi_collect(group, version, arena);
    doc_write_key(writer, is_v2 ? "definitions" : "components");
    if (!is_v2) {
        writer->ops->begin_object(writer);
        doc_write_key(writer, "schemas");
    }
    write_definitions(&document, &types);
    if (!is_v2)
        writer->ops->end_object(writer);
    writer->ops->end_object(writer);
}

/* The group versions there are, with where their documents are. */
static void write_index(struct buf *out, struct arena *arena)
{
    size_t rows;
    const struct resource *table = resource_table(&rows);
    const char *last = "";
    struct json_writer json;
    json_writer_init(&json, out, false);
    struct doc_writer *writer = &json.base;
    writer->ops->begin_object(writer);
    doc_write_key(writer, "paths");
    writer->ops->begin_object(writer);
    for (size_t i = 0; i < rows; i++) {
        const struct kube_kind *kind = table[i].kind;
        if (text_eq(kind->api_version, last))
            continue;
        last = kind->api_version;
        const char *path =
            arena_printf(arena, "%s/%s", kind->group[0] == '\0' ? "api" : "apis", last);
        doc_write_key(writer, path);
        writer->ops->begin_object(writer);
        write_member(writer, "serverRelativeURL", arena_printf(arena, "/openapi/v3/%s", path));
        writer->ops->end_object(writer);
    }
    writer->ops->end_object(writer);
    writer->ops->end_object(writer);
}

static bool has_group(const char *group, const char *version)
{
    size_t rows;
    const struct resource *table = resource_table(&rows);
    for (size_t i = 0; i < rows; i++) {
        if (text_eq(table[i].kind->group, group) && text_eq(table[i].kind->version, version))
            return true;
    }
    return false;
}

/* The offered type that is wanted most; NULL when there is none. */
static const char *choose(const char *accept, bool has_protobuf)
{
    struct accept wanted;
    accept_parse(accept, &wanted);
    for (size_t i = 0; i < wanted.count; i++) {
        const struct accept_clause *clause = &wanted.clauses[i];
        if (accept_is(clause, JSON_TYPE))
            return JSON_TYPE;
        if (has_protobuf &&
            (accept_is(clause, PROTOBUF_TYPE) || accept_is(clause, PROTOBUF_OLD_TYPE)))
            return PROTOBUF_TYPE;
    }
    return NULL;
}

static Meta__Status *reply_v2(const char *type, struct arena *arena, struct discovery_reply *ret)
{
    if (strcmp(type, JSON_TYPE) == 0) {
        write_document(&ret->body, NULL, NULL, OPENAPI_V2);
        return NULL;
    }
    struct error *err = openapi_write_protobuf(&ret->body);
    return err ? failure_from_error(arena, err) : NULL;
}

static Meta__Status *reply_v3(const struct http_target *target, struct arena *arena,
                              struct discovery_reply *ret)
{
    const char *const *segments = target->segments;
    size_t count = target->segment_count;
    if (count == 2) {
        write_index(&ret->body, arena);
        return NULL;
    }
    bool is_core = count == 4 && strcmp(segments[2], "api") == 0;
    if (!is_core && !(count == 5 && strcmp(segments[2], "apis") == 0))
        return failure_no_such_resource(arena);
    const char *group = is_core ? "" : segments[3];
    const char *version = segments[count - 1];
    if ((!is_core && group[0] == '\0') || !has_group(group, version))
        return failure_no_such_resource(arena);
    write_document(&ret->body, group, version, OPENAPI_V3);
    return NULL;
}

Meta__Status *openapi_reply(const struct http_target *target, const char *accept,
                            struct arena *arena, struct discovery_reply *ret)
{
    bool is_v2 = target->segment_count == 2 && strcmp(target->segments[1], "v2") == 0;
    bool is_v3 = target->segment_count >= 2 && strcmp(target->segments[1], "v3") == 0;
    if (!is_v2 && !is_v3)
        return failure_no_such_resource(arena);
    const char *type = choose(accept, is_v2);
    if (!type)
        return failure_new(arena, 406, "only the following media types are accepted: %s",
                           is_v2 ? JSON_TYPE ", " PROTOBUF_TYPE : JSON_TYPE);
    ret->code = 200;
    ret->content_type = type;
    return is_v2 ? reply_v2(type, arena, ret) : reply_v3(target, arena, ret);
}
