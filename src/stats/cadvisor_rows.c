#include "stats/cadvisor_rows.h"

#define BASE_LABELS 6
#define MAX_LABELS (BASE_LABELS + 5)
#define FIRST_ROWS 64

void cadvisor_rows_add(struct cadvisor_rows *rows, const struct cadvisor_row *row)
{
    if (rows->count == rows->capacity) {
        rows->capacity = rows->capacity ? rows->capacity * 2 : FIRST_ROWS;
        struct cadvisor_row *grown = arena_calloc(rows->arena, rows->capacity, sizeof(*grown));
        if (rows->count > 0)
            memcpy(grown, rows->items, rows->count * sizeof(*grown));
        rows->items = grown;
    }
    rows->items[rows->count++] = *row;
}

static int compare_texts(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "");
}

/* By the labels in the order they are written. Name, namespace and pod follow from the id. */
static int compare_rows(const void *a, const void *b)
{
    const struct cadvisor_row *left = a, *right = b;
    const char *const texts[][2] = {
        {left->record->container, right->record->container},
        {left->after_container, right->after_container},
        {left->record->path, right->record->path},
        {left->before_name[0], right->before_name[0]},
        {left->before_name[1], right->before_name[1]},
        {left->before_pod, right->before_pod},
        {left->last, right->last},
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        int order = compare_texts(texts[i][0], texts[i][1]);
        if (order != 0)
            return order;
    }
    return 0;
}

static size_t add_label(struct exposition_label *labels, size_t count, const char *name,
                        const char *value)
{
    if (!name)
        return count;
    labels[count] = (struct exposition_label){.name = name, .value = value};
    return count + 1;
}

static int64_t time_ms(const struct cadvisor *cadvisor, const struct stats_record *record,
                       enum cadvisor_time time)
{
    switch (time) {
    case CADVISOR_SAMPLE_TIME:
        return record->sample_ns / NS_PER_MS;
    case CADVISOR_NOW:
        return cadvisor->now_ns / NS_PER_MS;
    case CADVISOR_NO_TIME:
        break;
    }
    return EXPOSITION_NO_TIMESTAMP;
}

void cadvisor_write_row(struct cadvisor *cadvisor, const struct cadvisor_labels *names,
                        const struct cadvisor_row *row, enum cadvisor_time time)
{
    const struct stats_record *record = row->record;
    struct exposition_label labels[MAX_LABELS];
    size_t count = add_label(labels, 0, "container", record->container);
    count = add_label(labels, count, names->after_container, row->after_container);
    count = add_label(labels, count, "id", record->path);
    count = add_label(labels, count, "image", record->image);
    count = add_label(labels, count, names->before_name[0], row->before_name[0]);
    count = add_label(labels, count, names->before_name[1], row->before_name[1]);
    count = add_label(labels, count, "name", record->name);
    count = add_label(labels, count, "namespace", record->namespace);
    count = add_label(labels, count, names->before_pod, row->before_pod);
    count = add_label(labels, count, "pod", record->pod);
    count = add_label(labels, count, names->last, row->last);
    exposition_sample(cadvisor->page, labels, count, row->value, time_ms(cadvisor, record, time));
}

void cadvisor_write_rows(struct cadvisor *cadvisor, const void *row_of_table)
{
    const struct cadvisor_family *family = row_of_table;
    struct cadvisor_rows rows = {.arena = cadvisor->arena};
    for (size_t i = 0; i < cadvisor->records->count; i++)
        family->gather(cadvisor, cadvisor->order[i], family->which, &rows);
    if (rows.count == 0)
        return;
    qsort(rows.items, rows.count, sizeof(*rows.items), compare_rows);
    exposition_family(cadvisor->page, family->name, family->help, family->type);
    for (size_t i = 0; i < rows.count; i++)
        cadvisor_write_row(cadvisor, &family->labels, &rows.items[i], CADVISOR_SAMPLE_TIME);
}
