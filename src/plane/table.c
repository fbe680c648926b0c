/*
 * The frame of a table is written as text, its cells by a JSON writer of their own: one value a
 * column. A table of an object that has no table of its own shows name and age.
 */
#include "plane/table.h"

#include "base/time.h"
#include "plane/table_cells.h"
#include "wire/json.h"

static const struct table_column default_columns[] = {COLUMN_NAME, COLUMN_AGE};

static void write_default(const struct cell_row *row)
{
    cell_write_name(row);
    cell_write_age(row);
}

static const struct table_cells default_cells = TABLE_CELLS(default_columns, write_default);

struct table_writer {
    const struct resource *resource;
    const struct table_cells *cells;
    enum table_include include;
    int64_t now_wall_ns;
    struct arena *arena;
    struct buf *out;
    bool has_rows;
};

static void write_columns(struct buf *out, const struct table_cells *cells)
{
    struct json_writer json;
    json_writer_init(&json, out, false);
    struct doc_writer *writer = &json.base;
    writer->ops->begin_array(writer);
    for (size_t i = 0; i < cells->column_count; i++) {
        const struct table_column *column = &cells->columns[i];
        writer->ops->begin_object(writer);
        doc_write_key(writer, "name");
        doc_write_text(writer, column->name);
        doc_write_key(writer, "type");
        doc_write_text(writer, column->type);
        doc_write_key(writer, "format");
        doc_write_text(writer, column->format);
        doc_write_key(writer, "description");
        doc_write_text(writer, column->description);
        doc_write_key(writer, "priority");
        doc_write_integer(writer, column->priority);
        writer->ops->end_object(writer);
    }
    writer->ops->end_array(writer);
}

/* NOLINTNEXTLINE(readability-function-size): one parameter more than is good, each needed */
struct table_writer *table_begin(const struct resource *resource, const Meta__ListMeta *meta,
                                 bool with_header, enum table_include include, int64_t now_wall_ns,
                                 struct arena *arena, struct buf *out)
{
    struct table_writer *table = arena_alloc(arena, sizeof(*table));
    *table = (struct table_writer){
        .resource = resource,
        .cells = resource->table ? resource->table : &default_cells,
        .include = include,
        .now_wall_ns = now_wall_ns,
        .arena = arena,
        .out = out,
    };
    buf_add_text(out, "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":");
    if (meta)
        kube_encode_json(&meta->base, NULL, out);
    else
        buf_add_text(out, "{}");
    buf_add_text(out, ",\"columnDefinitions\":");
    if (with_header)
        write_columns(out, table->cells);
    else
        buf_add_text(out, "null");
    buf_add_text(out, ",\"rows\":[");
    return table;
}

/* What upstream says of pods that are done, so that clients may leave them out. */
static void write_conditions(struct buf *out, const ProtobufCMessage *object)
{
    if (object->descriptor != &core__pod__descriptor)
        return;
    const Core__Pod *pod = (const Core__Pod *)object;
    const char *phase = pod->status ? pod->status->phase : NULL;
    const char *message = text_eq(phase, "Succeeded") ? "The pod has completed successfully."
                          : text_eq(phase, "Failed")  ? "The pod failed."
                                                      : NULL;
    if (message)
        buf_printf(out,
                   ",\"conditions\":[{\"type\":\"Completed\",\"status\":\"True\",\"reason\":\"%s\","
                   "\"message\":\"%s\"}]",
                   phase, message);
}

static void write_object(const struct table_writer *table, const ProtobufCMessage *object)
{
    static const struct kube_type_meta partial = {.api_version = "meta.k8s.io/v1",
                                                  .kind = "PartialObjectMetadata"};
    buf_add_text(table->out, ",\"object\":");
    switch (table->include) {
    case TABLE_INCLUDE_NONE:
        buf_add_text(table->out, "null");
        break;
    case TABLE_INCLUDE_METADATA: {
        Meta__PartialObjectMetadata metadata = META__PARTIAL_OBJECT_METADATA__INIT;
        metadata.metadata = kube_object_meta(object);
        kube_encode_json(&metadata.base, &partial, table->out);
        break;
    }
    case TABLE_INCLUDE_OBJECT:
        kube_encode_any(object, table->resource->kind, KUBE_JSON, table->out);
        break;
    }
}

void table_add_row(struct table_writer *writer, const ProtobufCMessage *object)
{
    static const Meta__ObjectMeta no_meta = META__OBJECT_META__INIT;
    const Meta__ObjectMeta *meta = kube_object_meta(object);
    struct buf *out = writer->out;
    if (writer->has_rows)
        buf_add_char(out, ',');
    writer->has_rows = true;

    buf_add_text(out, "{\"cells\":");
    struct json_writer json;
    json_writer_init(&json, out, false);
    json.base.ops->begin_array(&json.base);
    const struct cell_row row = {.object = object,
                                 .meta = meta ? meta : &no_meta,
                                 .now_wall_ns = writer->now_wall_ns,
                                 .arena = writer->arena,
                                 .writer = &json.base};
    writer->cells->write(&row);
    json.base.ops->end_array(&json.base);
    write_conditions(out, object);
    write_object(writer, object);
    buf_add_char(out, '}');
}

void table_end(struct table_writer *writer)
{
    buf_add_text(writer->out, "]}");
}

/* --- ages --- */

#define MINUTE_S INT64_C(60)
#define HOUR_S (60 * MINUTE_S)
#define DAY_S (24 * HOUR_S)
#define YEAR_S (365 * DAY_S)

/* Up to @below_s, a span is told in @unit_s and, when @rest_s is not 0 and there is a rest, that;
 * the letters follow. As apimachinery's duration.HumanDuration. */
static const struct span_row {
    int64_t below_s;
    int64_t unit_s;
    int64_t rest_s;
    char unit, rest;
} span_rows[] = {
    {2 * MINUTE_S, 1, 0, 's', 0},      {10 * MINUTE_S, MINUTE_S, 1, 'm', 's'},
    {3 * HOUR_S, MINUTE_S, 0, 'm', 0}, {8 * HOUR_S, HOUR_S, MINUTE_S, 'h', 'm'},
    {2 * DAY_S, HOUR_S, 0, 'h', 0},    {8 * DAY_S, DAY_S, HOUR_S, 'd', 'h'},
    {2 * YEAR_S, DAY_S, 0, 'd', 0},    {8 * YEAR_S, YEAR_S, DAY_S, 'y', 'd'},
    {INT64_MAX, YEAR_S, 0, 'y', 0},
};

const char *cell_duration(int64_t span_ns, struct arena *arena)
{
    int64_t span_s = span_ns / NS_PER_SEC;
    /* Clocks of different machines may be a little apart. */
    if (span_s < -1)
        return "<invalid>";
    if (span_ns < 0)
        return "0s";
    const struct span_row *row = span_rows;
    while (span_s >= row->below_s)
        row++;
    long long whole = span_s / row->unit_s;
    long long rest = row->rest_s > 0 ? span_s % row->unit_s / row->rest_s : 0;
    if (rest == 0)
        return arena_printf(arena, "%lld%c", whole, row->unit);
    return arena_printf(arena, "%lld%c%lld%c", whole, row->unit, rest, row->rest);
}

const char *table_age(int64_t since_wall_ns, int64_t now_wall_ns, struct arena *arena)
{
    if (since_wall_ns == 0)
        return "<unknown>";
    return cell_duration(sat_sub_i64(now_wall_ns, since_wall_ns), arena);
}

/* --- cells --- */

bool cell_is_set(const char *text)
{
    return text && text[0] != '\0';
}

const char *cell_or(const char *text, const char *otherwise)
{
    return cell_is_set(text) ? text : otherwise;
}

static const char *parts_age(const struct cell_row *row, int64_t seconds, int32_t nanos)
{
    if (seconds == TIME_GO_ZERO_SEC)
        return "<unknown>";
    int64_t since_ns = sat_add_i64(sat_mul_i64(seconds, NS_PER_SEC), nanos);
    return table_age(since_ns, row->now_wall_ns, row->arena);
}

const char *cell_age(const struct cell_row *row, const Meta__Time *since)
{
    return since ? parts_age(row, since->seconds, since->nanos) : "<unknown>";
}

const char *cell_micro_age(const struct cell_row *row, const Meta__MicroTime *since)
{
    return since ? parts_age(row, since->seconds, since->nanos) : "<unknown>";
}

void cell_write(const struct cell_row *row, const char *text)
{
    doc_write_text(row->writer, text ? text : "");
}

void cell_write_name(const struct cell_row *row)
{
    cell_write(row, row->meta->name);
}

void cell_write_age(const struct cell_row *row)
{
    cell_write(row, cell_age(row, row->meta->creation_timestamp));
}

void cell_list_add(struct buf *list, const char *text)
{
    if (list->len > 0)
        buf_add_char(list, ',');
    buf_add_text(list, text);
}

const char *cell_sorted_list(const char **items, size_t count, struct arena *arena)
{
    AUTO(buf) struct buf list;
    buf_init(&list, CELL_MAX_BYTES);
    if (count > 1)
        qsort(items, count, sizeof(*items), text_compare);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(items[i], items[i - 1]) != 0)
            cell_list_add(&list, items[i]);
    }
    return arena_strdup(arena, buf_text(&list));
}

const char *cell_annotation(const Meta__ObjectMeta *meta, const char *key)
{
    for (size_t i = 0; i < meta->n_annotations; i++) {
        if (text_eq(meta->annotations[i]->key, key))
            return meta->annotations[i]->value;
    }
    return NULL;
}
