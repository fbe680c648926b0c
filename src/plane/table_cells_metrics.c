/*
 * The tables of metrics.k8s.io, as metrics-server writes them; what the containers of a pod use is
 * rounded up to whole thousandths of a core before it is summed.
 */
#include "plane/table_cells.h"

#include "base/num.h"
#include "base/time.h"
#include "kube/quantity.h"
#include "kube/resources.h"

#include "metrics.pb-c.h"

static const struct table_column columns[] = {
    COLUMN_NAME,
    COLUMN(RESOURCE_CPU, "string", "Cores in use: the mean over the window."),
    COLUMN(RESOURCE_MEMORY, "string", "The working set."),
    COLUMN("Window", "string", "The time over which it was measured."),
};

static void write_window(const struct cell_row *row, const Meta__Duration *window)
{
    char text[TIME_TEXT_SIZE];
    cell_write(row, time_format_duration(window ? window->duration : 0, text));
}

static void write_node(const struct cell_row *row)
{
    static const char *const names[] = {RESOURCE_CPU, RESOURCE_MEMORY};
    const Metrics__NodeMetrics *node = (const Metrics__NodeMetrics *)row->object;
    cell_write_name(row);
    for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
        const char *text = "";
        for (size_t i = 0; i < node->n_usage; i++) {
            if (text_eq(node->usage[i]->key, names[n]))
                text = node->usage[i]->value->string;
        }
        cell_write(row, text);
    }
    write_window(row, node->window);
}

const struct table_cells table_node_metrics = TABLE_CELLS(columns, write_node);

static void write_pod(const struct cell_row *row)
{
    const Metrics__PodMetrics *pod = (const Metrics__PodMetrics *)row->object;
    int64_t millis = 0, bytes = 0;
    for (size_t c = 0; c < pod->n_containers; c++) {
        const Metrics__ContainerMetrics *container = pod->containers[c];
        for (size_t i = 0; i < container->n_usage; i++) {
            const Meta__Quantity *value = container->usage[i]->value;
            if (text_eq(container->usage[i]->key, RESOURCE_CPU))
                millis = sat_add_i64(millis, quantity_milli_value(value));
            else
                bytes = sat_add_i64(bytes, quantity_value(value));
        }
    }
    cell_write_name(row);
    cell_write(row, quantity_from_milli(millis, row->arena));
    cell_write(row, quantity_from_value(bytes, true, row->arena));
    write_window(row, pod->window);
}

const struct table_cells table_pod_metrics = TABLE_CELLS(columns, write_pod);
