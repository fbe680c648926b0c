/*
 * Which pods end so that a critical one fits (spec pods.md §4.3, pkg/kubelet/preemption).
 * Candidates come in three groups by their class; from each as few as possible are taken, the
 * better ones only for what all the lesser ones together cannot give.
 */
#include "pod/admission_internal.h"

#include "base/buf.h"
#include "kube/resources.h"

#define MESSAGE_MAX_BYTES 4096

/* What is still missing of one resource. */
struct need {
    const char *name;
    int64_t amount;
};

struct needs {
    struct need *items;
    size_t count;
};

struct candidate {
    size_t index; /* in input->others */
    const Core__Pod *pod;
    int64_t *gives; /* per need */
    int64_t memory, cpu;
    bool is_taken;
};

struct group {
    struct candidate **items;
    size_t count;
};

static bool is_preemptable(const struct admission_input *input, size_t index)
{
    const Core__Pod *pod = input->pod, *other = input->others[index];
    if (!input->others_static[index] && !pod_is_critical(other))
        return true; /* only critical pods preempt */
    return pod->spec->has_priority && other->spec->has_priority &&
           pod->spec->priority > other->spec->priority;
}

static int64_t gives(const Core__Pod *pod, const char *resource)
{
    return strcmp(resource, "pods") == 0 ? 1 : pod_request_of(pod, resource);
}

static bool is_met(const struct needs *needs)
{
    for (size_t i = 0; i < needs->count; i++) {
        if (needs->items[i].amount > 0)
            return false;
    }
    return true;
}

/* @needs less what the group's pods would give. */
static struct needs less(const struct needs *needs, const struct group *group, bool only_taken,
                         struct arena *arena)
{
    struct needs rest = {.items = arena_calloc(arena, needs->count, sizeof(*rest.items)),
                         .count = needs->count};
    for (size_t i = 0; i < needs->count; i++) {
        rest.items[i] = needs->items[i];
        for (size_t k = 0; k < group->count; k++) {
            if (!only_taken || group->items[k]->is_taken)
                rest.items[i].amount = max_i64(rest.items[i].amount - group->items[k]->gives[i], 0);
        }
    }
    return rest;
}

/* How far off the needs a pod leaves us: what it lacks of each, squared. */
static double distance(const struct needs *needs, const struct candidate *candidate)
{
    double sum = 0;
    for (size_t i = 0; i < needs->count; i++) {
        double wanted = (double)needs->items[i].amount;
        double rest = wanted - (double)candidate->gives[i];
        if (wanted > 0 && rest > 0)
            sum += rest / wanted * (rest / wanted);
    }
    return sum;
}

static bool is_smaller(const struct candidate *a, const struct candidate *b)
{
    return a->memory != b->memory ? a->memory < b->memory : a->cpu < b->cpu;
}

/* Takes pods of the group, the nearest to the needs first, until they are met or none is left. */
static void take(struct group *group, struct needs needs, struct arena *arena)
{
    while (!is_met(&needs)) {
        struct candidate *best = NULL;
        for (size_t i = 0; i < group->count; i++) {
            struct candidate *item = group->items[i];
            if (item->is_taken)
                continue;
            double gap = best ? distance(&needs, item) - distance(&needs, best) : -1;
            if (gap < 0 || (gap <= 0 && is_smaller(item, best)))
                best = item;
        }
        if (!best)
            return;
        best->is_taken = true;
        const struct group one = {.items = &best, .count = 1};
        needs = less(&needs, &one, false, arena);
    }
}

static void put_in_groups(const struct admission_input *input, const struct needs *needs,
                          struct arena *arena, struct group groups[static 3])
{
    for (size_t q = 0; q < 3; q++)
        groups[q] = (struct group){.items = arena_calloc(arena, input->n_others, sizeof(void *))};
    for (size_t i = 0; i < input->n_others; i++) {
        if (!is_preemptable(input, i))
            continue;
        const Core__Pod *pod = input->others[i];
        struct candidate *candidate = arena_calloc(arena, 1, sizeof(*candidate));
        *candidate = (struct candidate){.index = i,
                                        .pod = pod,
                                        .gives = arena_calloc(arena, needs->count, sizeof(int64_t)),
                                        .memory = gives(pod, RESOURCE_MEMORY),
                                        .cpu = gives(pod, RESOURCE_CPU)};
        for (size_t k = 0; k < needs->count; k++)
            candidate->gives[k] = gives(pod, needs->items[k].name);
        struct group *group = &groups[pod_qos_of(pod)];
        group->items[group->count++] = candidate;
    }
}

/* @needs: what would be missing even without all of them. */
static const char *no_victims_text(const struct needs *needs, struct arena *arena)
{
    struct buf text;
    buf_init(&text, MESSAGE_MAX_BYTES);
    buf_add_text(&text,
                 "preemption: error finding a set of pods to preempt: no set of running pods "
                 "found to reclaim resources: [");
    for (size_t i = 0; i < needs->count; i++) {
        if (needs->items[i].amount > 0)
            buf_printf(&text, "(res: %s, q: %lld), ", needs->items[i].name,
                       (long long)needs->items[i].amount);
    }
    buf_add_text(&text, "]");
    const char *copy = arena_strdup(arena, buf_text(&text));
    buf_done(&text);
    return copy;
}

bool admission_choose_victims(const struct admission_input *input, const struct fit *fit,
                              struct arena *arena, const size_t **ret_victims, size_t *ret_count,
                              const char **ret_message)
{
    struct needs needs = {.items = arena_calloc(arena, fit->n_shortages, sizeof(struct need)),
                          .count = fit->n_shortages};
    for (size_t i = 0; i < fit->n_shortages; i++) {
        const struct shortage *shortage = &fit->shortages[i];
        needs.items[i] =
            (struct need){.name = shortage->name,
                          .amount = sat_sub_i64(shortage->requested,
                                                sat_sub_i64(shortage->capacity, shortage->used))};
    }
    struct group groups[3];
    put_in_groups(input, &needs, arena, groups);
    struct group *best = &groups[POD_QOS_BESTEFFORT], *burst = &groups[POD_QOS_BURSTABLE],
                 *sure = &groups[POD_QOS_GUARANTEED];
    struct needs without_best = less(&needs, best, false, arena);
    struct needs without_both = less(&without_best, burst, false, arena);
    struct needs without_all = less(&without_both, sure, false, arena);
    if (!is_met(&without_all)) {
        *ret_message = no_victims_text(&without_all, arena);
        return false;
    }
    take(sure, without_both, arena);
    struct needs rest = less(&needs, sure, true, arena);
    take(burst, less(&rest, best, false, arena), arena);
    take(best, less(&rest, burst, true, arena), arena);

    size_t *victims = arena_calloc(arena, input->n_others, sizeof(*victims)), count = 0;
    struct group *const order[] = {best, burst, sure};
    for (size_t q = 0; q < ARRAY_SIZE(order); q++) {
        for (size_t i = 0; i < order[q]->count; i++) {
            if (order[q]->items[i]->is_taken)
                victims[count++] = order[q]->items[i]->index;
        }
    }
    *ret_victims = victims;
    *ret_count = count;
    return true;
}
