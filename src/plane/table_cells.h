/*
 * What the files of kubectl's tables share: columns that nearly all have, and how cells are
 * written. The cells are those of kube-apiserver (pkg/printers/internalversion); it, too, always
 * sends those of -o wide. Pure. Any thread.
 */
#pragma once

#include "plane/table.h"

#include "wire/doc.h"

/* A list in a cell is cut beyond this; kube-apiserver has no limit. */
#define CELL_MAX_BYTES (16 * KiB)

#define COLUMN(column_name, column_type, about)                                                    \
    {                                                                                              \
        .name = (column_name), .type = (column_type), .format = "", .description = (about)         \
    }
#define COLUMN_WIDE(column_name, column_type, about)                                               \
    {                                                                                              \
        .name = (column_name), .type = (column_type), .format = "", .description = (about),        \
        .priority = 1                                                                              \
    }
#define COLUMN_NAME                                                                                \
    {                                                                                              \
        .name = "Name", .type = "string", .format = "name",                                        \
        .description = "What the object is called, unique among its kind in its namespace."        \
    }
#define COLUMN_AGE COLUMN("Age", "string", "Time since the object was created.")

#define TABLE_CELLS(column_list, write_function)                                                   \
    {                                                                                              \
        .columns = (column_list), .column_count = ARRAY_SIZE(column_list),                         \
        .write = (write_function)                                                                  \
    }

/** A row under way; a value struct. */
struct cell_row {
    const ProtobufCMessage *object;
    const Meta__ObjectMeta *meta; /* never NULL */
    int64_t now_wall_ns;
    struct arena *arena;
    struct doc_writer *writer;
};

bool cell_is_set(const char *text); /* neither NULL nor "" */
/** @text, or @otherwise when it is not set. */
const char *cell_or(const char *text, const char *otherwise);
/** The age of a time; "<unknown>" when it is absent or Go's zero time. */
const char *cell_age(const struct cell_row *row, const Meta__Time *since);
const char *cell_micro_age(const struct cell_row *row, const Meta__MicroTime *since);
/** A span as kubectl shows it: table_age() without the clock. */
const char *cell_duration(int64_t span_ns, struct arena *arena);

/* Writing one cell. */
void cell_write(const struct cell_row *row, const char *text); /* NULL is "" */
void cell_write_name(const struct cell_row *row);
void cell_write_age(const struct cell_row *row);

/** Adds @text to a list with commas. */
void cell_list_add(struct buf *list, const char *text);
/** @items, which are sorted for it, as such a list in which nothing occurs twice; "" for none. */
const char *cell_sorted_list(const char **items, size_t count, struct arena *arena);

/** The value of @key in an object's annotations, or NULL. */
const char *cell_annotation(const Meta__ObjectMeta *meta, const char *key);
