/*
 * Families whose samples carry labels beyond the six that every container_* sample has: their rows
 * are gathered, put in the order of their labels and written.
 */
#pragma once

#include "base/arena.h"
#include "stats/cadvisor.h"

/** What is written, shared by all families. */
struct cadvisor {
    struct exposition *page;
    const struct stats_records *records;
    const struct stats_record **order; /* by container, then id: the order of the labels */
    int64_t now_ns;
    struct arena *arena; /* rows live in it */
};

/** Names of the further labels by where they stand among the six; NULL: none there. */
struct cadvisor_labels {
    const char *after_container; /* cpu, device, failure_type */
    const char *before_name[2];  /* interface; major and minor */
    const char *before_pod;      /* operation */
    const char *last;            /* scope, state, ulimit */
};

struct cadvisor_row {
    const struct stats_record *record;
    /* Values of the labels above; NULL where there is none. */
    const char *after_container, *before_name[2], *before_pod, *last;
    double value;
};

/** Rows of one family. */
struct cadvisor_rows {
    struct arena *arena;
    size_t count, capacity;
    struct cadvisor_row *items;
};
void cadvisor_rows_add(struct cadvisor_rows *rows, const struct cadvisor_row *row);

/** When a sample was taken, in its third column. */
enum cadvisor_time { CADVISOR_SAMPLE_TIME, CADVISOR_NOW, CADVISOR_NO_TIME };

/** A family that is not a plain figure of every record. */
struct cadvisor_family {
    const char *name, *help;
    enum metric_type type;
    struct cadvisor_labels labels;
    void (*gather)(const struct cadvisor *cadvisor, const struct stats_record *record, size_t which,
                   struct cadvisor_rows *rows);
    size_t which; /* for gather() */
};

/** Writes a struct cadvisor_family unless it has no row. */
void cadvisor_write_rows(struct cadvisor *cadvisor, const void *row_of_table);
/** One sample. */
void cadvisor_write_row(struct cadvisor *cadvisor, const struct cadvisor_labels *names,
                        const struct cadvisor_row *row, enum cadvisor_time time);

/* --- the page's list of families --- */

#define CADVISOR_MAX_FAMILIES 128

/** Writes @family, a row of the table it was listed from. */
typedef void cadvisor_write_family(struct cadvisor *cadvisor, const void *family);

struct cadvisor_item {
    const char *name;
    cadvisor_write_family *write;
    const void *family;
};
struct cadvisor_list {
    size_t count;
    struct cadvisor_item items[CADVISOR_MAX_FAMILIES];
};
void cadvisor_list_add(struct cadvisor_list *list, const char *name, cadvisor_write_family *write,
                       const void *family);

/** The families of each file. */
void cadvisor_plain_list(struct cadvisor_list *list);
void cadvisor_labelled_list(struct cadvisor_list *list);
void cadvisor_disk_list(struct cadvisor_list *list);
