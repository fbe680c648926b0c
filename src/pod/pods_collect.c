/*
 * Gauges of the set of pods. A kubelet renews them when it does its housekeeping or lists the
 * runtime; here they are read off the workers when somebody asks.
 */
#include "pod/pod_metrics.h"

#include "pod/pods_internal.h"

/* --- pods by where they are in their lives --- */

enum { CONFIG_DESIRED, CONFIG_ORPHAN, CONFIG_RUNTIME_ONLY, CONFIG_COUNT };
#define LIFE_COUNT (POD_LIFE_TERMINATED + 1)

struct census {
    size_t working[CONFIG_COUNT][LIFE_COUNT][2]; /* the last: not static, static */
    size_t desired[2], active[2];
    size_t mirrors, running, ephemeral_containers;
    size_t containers[CONTAINER_UNKNOWN + 1]; /* by state */
};

static void count_runtime(struct census *census, const struct pod_observed *have)
{
    bool is_ready = false;
    for (const struct sandbox_observed *sandbox = have->sandboxes; sandbox; sandbox = sandbox->next)
        is_ready = is_ready || sandbox->ready;
    census->running += is_ready;
    for (const struct container_observed *c = have->containers; c; c = c->next)
        census->containers[c->state]++;
}

static void count_worker(struct census *census, const struct pod_worker *worker)
{
    count_runtime(census, &worker->have);
    bool is_desired = worker->object && !worker->want.removed;
    size_t config = !worker->object ? CONFIG_RUNTIME_ONLY
                    : is_desired    ? CONFIG_DESIRED
                                    : CONFIG_ORPHAN;
    size_t is_static = worker->object && pod_object_is_static(worker->object) ? 1 : 0;
    census->working[config][worker->want.life][is_static]++;
    census->active[is_static] += pod_worker_is_active(worker);
    if (!is_desired)
        return;
    census->desired[is_static]++;
    census->mirrors += is_static && worker->admission == POD_ADMITTED;
    census->ephemeral_containers += worker->object->pod->spec->n_ephemeral_containers;
}

static void show_working(const struct census *census, struct metric_family *family)
{
    static const char *const configs[] = {[CONFIG_DESIRED] = "desired",
                                          [CONFIG_ORPHAN] = "orphan",
                                          [CONFIG_RUNTIME_ONLY] = "runtime_only"};
    static const char *const lives[] = {[POD_LIFE_SYNC] = "sync",
                                        [POD_LIFE_TERMINATING] = "terminating",
                                        [POD_LIFE_TERMINATED] = "terminated"};
    for (size_t config = 0; config < CONFIG_COUNT; config++) {
        for (size_t life = 0; life < LIFE_COUNT; life++) {
            const size_t *count = census->working[config][life];
            if (config == CONFIG_RUNTIME_ONLY) { /* nobody can tell whether it was static */
                metric_set(family, (double)count[0], configs[config], lives[life], "unknown");
                continue;
            }
            metric_set(family, (double)count[0], configs[config], lives[life], "");
            metric_set(family, (double)count[1], configs[config], lives[life], "true");
        }
    }
}

static void show_census(const struct census *census, struct metric_family *const *families)
{
    show_working(census, families[POD_METRIC_WORKING_PODS]);
    metric_set(families[POD_METRIC_DESIRED_PODS], (double)census->desired[0], "");
    metric_set(families[POD_METRIC_DESIRED_PODS], (double)census->desired[1], "true");
    metric_set(families[POD_METRIC_ACTIVE_PODS], (double)census->active[0], "");
    metric_set(families[POD_METRIC_ACTIVE_PODS], (double)census->active[1], "true");
    metric_set(families[POD_METRIC_MIRROR_PODS], (double)census->mirrors, NULL);
    metric_set(families[POD_METRIC_RUNNING_PODS], (double)census->running, NULL);
    metric_set(families[POD_METRIC_EPHEMERAL_CONTAINERS], (double)census->ephemeral_containers,
               NULL);
    metric_clear(families[POD_METRIC_RUNNING_CONTAINERS]);
    for (size_t state = 0; state < ARRAY_SIZE(census->containers); state++) {
        if (census->containers[state] > 0)
            metric_set(families[POD_METRIC_RUNNING_CONTAINERS], (double)census->containers[state],
                       container_state_name((enum container_state)state));
    }
}

/* --- volumes --- */

static bool is_mounted(const struct volume_set *set, const char *name)
{
    for (size_t i = 0; set && i < set->count; i++) {
        if (text_eq(set->volumes[i].name, name))
            return true;
    }
    return false;
}

static void count_volume(void *ctx, const char *name, const char *plugin)
{
    const struct pod_worker *worker = ctx;
    struct metric_family *family = worker->pods->metrics.families[POD_METRIC_VOLUMES];
    bool is_desired = worker->want.life == POD_LIFE_SYNC && worker->admission == POD_ADMITTED;
    metric_add(family, is_desired, plugin, "desired_state_of_world");
    metric_add(family, is_mounted(worker->volumes, name), plugin, "actual_state_of_world");
}

/* --- the whole --- */

static void collect(void *ctx, UNUSED struct metrics *metrics)
{
    struct pods *pods = ctx;
    struct census census = {0};
    metric_clear(pods->metrics.families[POD_METRIC_VOLUMES]);
    struct pod_worker *worker, *next;
    HASH_ITER(hh, pods->workers, worker, next) {
        count_worker(&census, worker);
        if (worker->object && (worker->volumes || worker->want.life == POD_LIFE_SYNC))
            volume_each_wanted(worker->object->pod, count_volume, worker);
    }
    show_census(&census, pods->metrics.families);
}

void pods_collect_start(struct pods *pods, struct metrics *metrics)
{
    metrics_add_collector(metrics, collect, pods);
}

void pods_collect_stop(struct pods *pods, struct metrics *metrics)
{
    metrics_remove_collector(metrics, pods);
}
