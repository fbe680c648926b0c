/* The status as a whole: addresses, class, containers, phase, conditions, in that order (spec
 * pods.md §8.1). */
#include "pod/status_internal.h"

#include "base/time.h"
#include "kube/message_map.h"
#include "kube/quantity.h"
#include "kube/resources.h"
#include "pod/labels.h"

#include <arpa/inet.h>

bool status_is_terminal(const Core__PodStatus *status)
{
    return text_eq(status->phase, "Succeeded") || text_eq(status->phase, "Failed");
}

static char *canonical_ip(const char *text, struct arena *arena)
{
    struct in6_addr address;
    char canonical[INET6_ADDRSTRLEN];
    int family = strchr(text, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(family, text, &address) != 1 ||
        !inet_ntop(family, &address, canonical, sizeof(canonical)))
        return arena_strdup(arena, text);
    return arena_strdup(arena, canonical);
}

static void add_pod_ip(Core__PodStatus *status, const char *ip, struct arena *arena)
{
    Core__PodIP *entry = STATUS_NEW(arena, Core__PodIP, core__pod_ip__descriptor);
    entry->ip = canonical_ip(ip, arena);
    status->pod_ips[status->n_pod_ips++] = entry;
}

/* The first address of the node's primary family, then the first of the other one. */
static void reduce_ips(const struct status_input *input, const char *const *ips, size_t count,
                       Core__PodStatus *status, struct arena *arena)
{
    status->pod_ips = arena_calloc(arena, 2, sizeof(void *));
    for (int pass = 0; pass < 2; pass++) {
        bool want_v6 = input->primary_ipv6 == (pass == 0);
        for (size_t i = 0; i < count; i++) {
            if ((strchr(ips[i], ':') != NULL) != want_v6)
                continue;
            add_pod_ip(status, ips[i], arena);
            break;
        }
    }
    if (status->n_pod_ips > 0)
        status->pod_ip = arena_strdup(arena, status->pod_ips[0]->ip);
}

static void fill_ips(const struct status_input *input, Core__PodStatus *status, struct arena *arena)
{
    size_t n_host = 0;
    while (input->host_ips && input->host_ips[n_host])
        n_host++;
    status->host_ips = arena_calloc(arena, n_host + 1, sizeof(void *));
    for (size_t i = 0; i < n_host; i++) {
        Core__HostIP *entry = STATUS_NEW(arena, Core__HostIP, core__host_ip__descriptor);
        entry->ip = arena_strdup(arena, input->host_ips[i]);
        status->host_ips[status->n_host_ips++] = entry;
    }
    if (n_host > 0)
        status->host_ip = arena_strdup(arena, input->host_ips[0]);

    const Core__PodSpec *spec = input->pod->spec;
    const struct sandbox_observed *active = pod_observed_active_sandbox(input->have);
    if (spec->has_host_network && spec->host_network) {
        reduce_ips(input, input->host_ips, n_host, status, arena);
    } else if (active && active->n_ips > 0) {
        reduce_ips(input, active->ips, active->n_ips, status, arena);
    } else if (!active && input->old && input->old->n_pod_ips > 0 &&
               (input->have->sandboxes || input->final)) {
        /* While a dead sandbox is still known its addresses stay in view (spec runtime.md §5.1),
         * and those of a pod that is over for good. */
        const char *kept[2] = {0};
        size_t count = min_size(input->old->n_pod_ips, ARRAY_SIZE(kept));
        for (size_t i = 0; i < count; i++)
            kept[i] = input->old->pod_ips[i]->ip;
        reduce_ips(input, kept, count, status, arena);
    }
}

/* One of the two resources a pod is counted by. */
struct total {
    const char *name;
    const char *request, *limit; /* NULL: none */
};

static struct total cpu_total(const Core__Pod *pod, struct arena *arena)
{
    static const struct pod_resource_options all = {0};
    bool has_request = false, has_limit = false;
    int64_t request = pod_request_milli_cpu(pod, &all, &has_request);
    int64_t limit = pod_limit_milli_cpu(pod, &all, &has_limit);
    return (struct total){.name = "cpu",
                          .request = has_request ? quantity_from_milli(request, arena) : NULL,
                          .limit = has_limit ? quantity_from_milli(limit, arena) : NULL};
}

static struct total memory_total(const Core__Pod *pod, struct arena *arena)
{
    static const struct pod_resource_options all = {0};
    bool has_request = false, has_limit = false;
    int64_t request = pod_request_bytes(pod, &all, "memory", &has_request);
    int64_t limit = pod_limit_bytes(pod, &all, "memory", &has_limit);
    return (struct total){.name = "memory",
                          .request = has_request ? quantity_from_value(request, true, arena) : NULL,
                          .limit = has_limit ? quantity_from_value(limit, true, arena) : NULL};
}

/* Pod-level totals: cpu and memory of all containers, as scheduled. */
static void fill_pod_resources(const struct status_input *input, Core__PodStatus *status,
                               struct arena *arena)
{
    const struct total totals[] = {cpu_total(input->pod, arena), memory_total(input->pod, arena)};
    Core__ResourceRequirements *resources =
        STATUS_NEW(arena, Core__ResourceRequirements, core__resource_requirements__descriptor);
    status->resources = resources;
    for (size_t i = 0; i < ARRAY_SIZE(totals); i++) {
        const struct total *total = &totals[i];
        if (total->request) {
            message_map_set(&status->base, "allocated_resources", total->name, total->request,
                            arena);
            message_map_set(&resources->base, "requests", total->name, total->request, arena);
        }
        if (total->limit)
            message_map_set(&resources->base, "limits", total->name, total->limit, arena);
    }
}

static void fill_phase(const struct status_input *input, Core__PodStatus *status,
                       struct arena *arena)
{
    const Core__PodStatus *old = input->old;
    const char *phase = status_phase(input, status);
    if (input->forced_reason)
        phase = "Failed";
    if (old && status_is_terminal(old))
        phase = old->phase; /* never left again */
    status->phase = arena_strdup(arena, phase);
    if (input->forced_reason && text_eq(phase, "Failed")) {
        status->reason = arena_strdup(arena, input->forced_reason);
        status->message = arena_strdup(arena, input->forced_message);
    } else if (old && text_eq(old->phase, phase)) {
        status->reason = arena_strdup(arena, old->reason);
        status->message = arena_strdup(arena, old->message);
    }
}

/* Spec pods.md §8.8: whatever it was short of, the server's pod is over now. Its conditions go on
 * saying what that was. */
static void end_pod(const struct status_input *input, Core__PodStatus *status, struct arena *arena)
{
    if (!input->terminated)
        return;
    status_end_containers(input, status, arena);
    if (!input->is_static && !status_is_terminal(status))
        status->phase = arena_strdup(arena, "Failed");
}

/*
 * Set once. After a restart of the agent the runtime still knows when the pod was first seen,
 * through the annotation that its sandbox got.
 */
static int64_t start_ns(const struct status_input *input)
{
    if (input->old && input->old->start_time)
        return sat_mul_i64(input->old->start_time->seconds, NS_PER_SEC);
    int64_t first_ns = input->now_ns, seen_ns;
    const char *seen = pod_annotation(input->pod, ANNOTATION_CONFIG_SEEN);
    struct error *err = seen ? time_parse_rfc3339(str_from(seen), &seen_ns) : NULL;
    if (seen && !err)
        first_ns = min_i64(first_ns, seen_ns);
    error_ignore(err, "an annotation that cannot be read counts as absent");
    for (const struct sandbox_observed *s = input->have->sandboxes; s; s = s->next) {
        if (s->seen_ns > 0)
            first_ns = min_i64(first_ns, s->seen_ns);
    }
    return first_ns;
}

Core__PodStatus *status_generate(const struct status_input *input, struct arena *arena)
{
    Core__PodStatus *status = STATUS_NEW(arena, Core__PodStatus, core__pod_status__descriptor);
    fill_ips(input, status, arena);
    status->qos_class = arena_strdup(arena, pod_qos_name(pod_qos_of(input->pod)));
    status_fill_containers(input, status, arena);
    fill_phase(input, status, arena);
    status_keep_ended(input, status, arena);
    status_fill_conditions(input, status, arena);
    end_pod(input, status, arena);
    fill_pod_resources(input, status, arena);
    status->start_time = status_time(start_ns(input), arena);
    if (input->pod->metadata->has_generation) {
        status->has_observed_generation = true;
        status->observed_generation = input->pod->metadata->generation;
    }
    return status;
}

/* Conditions are compared without their times and generations. */
static bool conditions_eq(const Core__PodStatus *a, const Core__PodStatus *b)
{
    if (a->n_conditions != b->n_conditions)
        return false;
    for (size_t i = 0; i < a->n_conditions; i++) {
        const Core__PodCondition *left = a->conditions[i], *right = b->conditions[i];
        if (!text_eq(left->type, right->type) || !text_eq(left->status, right->status) ||
            !text_eq(left->reason, right->reason) || !text_eq(left->message, right->message))
            return false;
    }
    return true;
}

bool status_eq(const Core__PodStatus *a, const Core__PodStatus *b)
{
    if (!conditions_eq(a, b))
        return false;
    Core__PodStatus left = *a, right = *b; /* shallow: only the lists' lengths are changed */
    left.n_conditions = right.n_conditions = 0;
    return kube_message_eq(&left.base, &right.base);
}

bool status_deadline_exceeded(const Core__Pod *pod, const Core__PodStatus *status, int64_t now_ns,
                              int64_t *ret_due_ns)
{
    *ret_due_ns = 0;
    if (!pod->spec->has_active_deadline_seconds || !status || !status->start_time)
        return false;
    int64_t start_ns = sat_mul_i64(status->start_time->seconds, NS_PER_SEC);
    int64_t due_ns =
        sat_add_i64(start_ns, sat_mul_i64(pod->spec->active_deadline_seconds, NS_PER_SEC));
    *ret_due_ns = due_ns;
    return now_ns >= due_ns;
}
