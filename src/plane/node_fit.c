/*
 * The filters come in the scheduler's order: cordon, taints, selector and affinity, host ports,
 * resources. Resources are compared as the scheduler sums them: millis of cpu, whole units of all
 * else. A node that has not yet said what it has (no allocatable at all) is not judged by it: it
 * is the node's own admission that has the last word.
 */
#include "plane/node_fit.h"

#include "plane/taints.h"

#include "base/num.h"
#include "kube/codec.h"
#include "kube/node_match.h"

#define REASON_CORDON "node(s) were unschedulable"
#define REASON_TAINT "node(s) had untolerated taint(s)"
#define REASON_AFFINITY "node(s) didn't match Pod's node affinity/selector"
#define REASON_PORTS "node(s) didn't have free ports for the requested pod ports"
#define REASON_PODS "Too many pods"

struct node_room {
    struct arena *arena;
    const Core__Node *node; /* a copy */
    size_t pods;
    struct resource_amounts used;
    struct host_ports ports;
};

/* --- the room --- */

struct node_room *node_room_new(const Core__Node *node, struct arena *arena)
{
    struct node_room *room = arena_calloc(arena, 1, sizeof(*room));
    room->arena = arena;
    room->node = (const Core__Node *)kube_message_dup(&node->base, arena);
    return room;
}

const char *node_room_name(const struct node_room *room)
{
    return room->node->metadata->name;
}

void node_room_add(struct node_room *room, const Core__Pod *pod)
{
    const char *phase = pod->status ? pod->status->phase : NULL;
    if (!pod->spec || text_eq(phase, "Succeeded") || text_eq(phase, "Failed"))
        return;
    AUTO(arena) struct arena *scratch = arena_new(0);
    const struct resource_amounts requests = pod_requests_of(pod, scratch);
    room->pods++;
    for (size_t i = 0; i < requests.count; i++) {
        if (requests.items[i].amount > 0)
            resource_amounts_add(&room->used, requests.items[i].name, requests.items[i].amount,
                                 room->arena);
    }
    host_ports_add(&room->ports, pod->spec, room->arena);
}

/* --- the filters --- */

static bool has_free_ports(const struct node_room *room, const Core__PodSpec *spec,
                           struct arena *scratch)
{
    struct host_ports wanted = {0};
    host_ports_add(&wanted, spec, scratch);
    return !host_ports_conflict(&wanted, &room->ports);
}

static void reasons_add(struct fit_reasons *reasons, const char *text)
{
    for (size_t i = 0; i < reasons->count; i++) {
        if (strcmp(reasons->items[i].text, text) == 0) {
            reasons->items[i].nodes++;
            return;
        }
    }
    struct fit_reason *grown = arena_calloc(reasons->arena, reasons->count + 1, sizeof(*grown));
    for (size_t i = 0; i < reasons->count; i++)
        grown[i] = reasons->items[i];
    grown[reasons->count++] = (struct fit_reason){.text = text, .nodes = 1};
    reasons->items = grown;
}

/* All that is too little is named. */
static bool has_resources(const struct node_room *room, const Core__Pod *pod,
                          struct fit_reasons *reasons)
{
    const Core__Node *node = room->node;
    if (!node->status || node->status->n_allocatable == 0)
        return true;
    bool fits = true;
    if (sat_add_i64((int64_t)room->pods, 1) > node_allocatable(node, "pods", NULL)) {
        reasons_add(reasons, REASON_PODS);
        fits = false;
    }
    AUTO(arena) struct arena *scratch = arena_new(0);
    const struct resource_amounts requests = pod_requests_of(pod, scratch);
    for (size_t i = 0; i < requests.count; i++) {
        const struct resource_amount *asked = &requests.items[i];
        int64_t left = sat_sub_i64(node_allocatable(node, asked->name, NULL),
                                   resource_amounts_of(&room->used, asked->name));
        if (asked->amount <= 0 || asked->amount <= left)
            continue;
        reasons_add(reasons, arena_printf(reasons->arena, "Insufficient %s", asked->name));
        fits = false;
    }
    return fits;
}

bool node_room_fits(const struct node_room *room, const Core__Pod *pod, struct fit_reasons *reasons)
{
    const Core__Node *node = room->node;
    const char *reason = NULL;
    AUTO(arena) struct arena *scratch = arena_new(0);
    if (node->spec && node->spec->unschedulable && !pod_tolerates_cordon(pod->spec))
        reason = REASON_CORDON;
    else if (taint_in_the_way(node->spec, pod->spec))
        reason = REASON_TAINT;
    else if (!node_is_selected(node, pod->spec))
        reason = REASON_AFFINITY;
    else if (!has_free_ports(room, pod->spec, scratch))
        reason = REASON_PORTS;
    if (!reason)
        return has_resources(room, pod, reasons);
    reasons_add(reasons, reason);
    return false;
}

/* --- in words --- */

char *fit_reasons_text(const struct fit_reasons *reasons, size_t node_count)
{
    struct arena *arena = reasons->arena;
    if (node_count == 0)
        return arena_strdup(arena, "no nodes available to schedule pods");
    char *text = arena_printf(arena, "0/%zu nodes are available:", node_count);
    const char **parts = arena_calloc(arena, reasons->count + 1, sizeof(*parts));
    for (size_t i = 0; i < reasons->count; i++)
        parts[i] = arena_printf(arena, "%zu %s", reasons->items[i].nodes, reasons->items[i].text);
    qsort(parts, reasons->count, sizeof(*parts), text_compare);
    for (size_t i = 0; i < reasons->count; i++)
        text = arena_printf(arena, "%s %s%s", text, parts[i], i + 1 < reasons->count ? "," : ".");
    return text;
}
