#include "pod/status_patch.h"

#include "kube/patch.h"
#include "kube/resources.h"
#include "pod/status_internal.h"
#include "wire/json.h"

static const char *const readiness[] = {"ContainersReady", "Ready"};

/* What has been decided of a merge before its conditions are. */
struct verdict {
    const struct status_patch_input *input;
    const Core__PodStatus *api; /* never NULL */
    bool tells_end;             /* the phase becomes a terminal one with this */
    bool is_unready;            /* a terminal pod that still looks ready */
    struct arena *arena;
};

static const Core__PodStatus no_status = CORE__POD_STATUS__INIT;

static const Core__PodStatus *api_status(const struct status_patch_input *input)
{
    return input->api->status ? input->api->status : &no_status;
}

/* --- conditions --- */

/* Of a resize the reason is what moves the time, of all others the status. */
static bool is_as_it_was(const Core__PodCondition *now, const Core__PodCondition *before)
{
    bool is_resize = text_has_prefix(now->type, "PodResize");
    return text_eq(now->status, before->status) &&
           (!is_resize || text_eq(now->reason, before->reason));
}

/* @condition (a copy) against the server's of the same type. */
static void settle(const struct verdict *verdict, Core__PodCondition *condition)
{
    const Core__PodCondition *before = pod_condition_find(verdict->api, condition->type);
    if (before && before->last_transition_time && is_as_it_was(condition, before))
        condition->last_transition_time = before->last_transition_time;
    else if (!condition->last_transition_time)
        condition->last_transition_time = status_time(verdict->input->now_ns, verdict->arena);
    if (before && before->has_observed_generation &&
        before->observed_generation > condition->observed_generation) {
        condition->has_observed_generation = true;
        condition->observed_generation = before->observed_generation;
    }
}

static bool is_readiness(const char *type)
{
    for (size_t i = 0; i < ARRAY_SIZE(readiness); i++) {
        if (text_eq(readiness[i], type))
            return true;
    }
    return false;
}

/* pkg/kubelet/status/generate.go: what a terminal phase says of readiness. */
static void make_unready(const struct verdict *verdict, const char *phase,
                         Core__PodCondition *condition)
{
    if (!text_eq(condition->status, "False"))
        condition->last_transition_time = NULL;
    condition->status = arena_strdup(verdict->arena, "False");
    condition->reason =
        arena_strdup(verdict->arena, text_eq(phase, "Failed") ? "PodFailed" : "PodCompleted");
    condition->message = NULL;
}

static void add_own(const struct verdict *verdict, Core__PodStatus *merged,
                    const Core__PodCondition *condition)
{
    Core__PodCondition *copy = arena_memdup(verdict->arena, condition, sizeof(*condition));
    if (verdict->is_unready && is_readiness(copy->type))
        make_unready(verdict, merged->phase, copy);
    settle(verdict, copy);
    merged->conditions[merged->n_conditions++] = copy;
}

/* Told with the end of the pod only, as of now: the end may have been long in coming. In the place
 * of the server's when it has one. */
static void add_disruption(const struct verdict *verdict, Core__PodStatus *merged)
{
    const Core__PodCondition *own = pod_condition_find(verdict->input->status, DISRUPTION_TARGET);
    if (!own || !verdict->tells_end)
        return;
    Core__PodCondition *copy = arena_memdup(verdict->arena, own, sizeof(*own));
    copy->last_transition_time = NULL;
    settle(verdict, copy);
    for (size_t i = 0; i < merged->n_conditions; i++) {
        if (text_eq(merged->conditions[i]->type, DISRUPTION_TARGET)) {
            merged->conditions[i] = copy;
            return;
        }
    }
    merged->conditions[merged->n_conditions++] = copy;
}

static void add_missing_readiness(const struct verdict *verdict, Core__PodStatus *merged)
{
    for (size_t i = 0; i < ARRAY_SIZE(readiness); i++) {
        if (pod_condition_find(merged, readiness[i]))
            continue;
        Core__PodCondition condition = CORE__POD_CONDITION__INIT;
        condition.type = arena_strdup(verdict->arena, readiness[i]);
        condition.has_observed_generation = merged->has_observed_generation;
        condition.observed_generation = merged->observed_generation;
        add_own(verdict, merged, &condition);
    }
}

/* Others' as the server has them, then the node's in their order. DisruptionTarget is both's. */
static void merge_conditions(const struct verdict *verdict, Core__PodStatus *merged)
{
    const Core__PodStatus *api = verdict->api, *own = verdict->input->status;
    merged->n_conditions = 0;
    merged->conditions =
        arena_calloc(verdict->arena, api->n_conditions + own->n_conditions + ARRAY_SIZE(readiness),
                     sizeof(void *));
    for (size_t i = 0; i < api->n_conditions; i++) {
        const char *type = api->conditions[i]->type;
        if (!status_owns_condition(type) || text_eq(type, DISRUPTION_TARGET))
            merged->conditions[merged->n_conditions++] = api->conditions[i];
    }
    add_disruption(verdict, merged);
    for (size_t i = 0; i < own->n_conditions; i++) {
        const char *type = own->conditions[i]->type;
        if (status_owns_condition(type) && !text_eq(type, DISRUPTION_TARGET))
            add_own(verdict, merged, own->conditions[i]);
    }
    if (verdict->is_unready)
        add_missing_readiness(verdict, merged);
}

/* --- the rest --- */

static void keep_phase(const Core__PodStatus *api, Core__PodStatus *merged)
{
    merged->phase = api->phase;
    merged->reason = api->reason;
    merged->message = api->message;
}

/* A terminal phase waits until nothing runs any more, and once told stays. Only a static pod may
 * begin anew under the same name, and so in the same mirror. */
static bool merge_phase(const struct status_patch_input *input, Core__PodStatus *merged)
{
    const Core__PodStatus *api = api_status(input);
    bool is_over = status_is_terminal(merged);
    if (status_is_terminal(api)) {
        if (!text_eq(api->phase, merged->phase) && !pod_is_mirror(input->api))
            keep_phase(api, merged);
        return false;
    }
    if (is_over && input->could_run)
        keep_phase(api, merged);
    return is_over && !input->could_run;
}

/* What others set, and what is set once. */
static void keep_foreign(const Core__PodStatus *api, Core__PodStatus *merged)
{
    merged->n_resource_claim_statuses = api->n_resource_claim_statuses;
    merged->resource_claim_statuses = api->resource_claim_statuses;
    merged->extended_resource_claim_status = api->extended_resource_claim_status;
    merged->n_node_allocatable_resource_claim_statuses =
        api->n_node_allocatable_resource_claim_statuses;
    merged->node_allocatable_resource_claim_statuses =
        api->node_allocatable_resource_claim_statuses;
    if (api->start_time)
        merged->start_time = api->start_time;
    if (api->qos_class && *api->qos_class)
        merged->qos_class = api->qos_class;
    if (api->has_observed_generation && api->observed_generation > merged->observed_generation) {
        merged->has_observed_generation = true;
        merged->observed_generation = api->observed_generation;
    }
}

Core__PodStatus *status_merge(const struct status_patch_input *input, struct arena *arena)
{
    struct verdict verdict = {.input = input, .api = api_status(input), .arena = arena};
    Core__PodStatus *merged = arena_memdup(arena, input->status, sizeof(*merged));
    keep_foreign(verdict.api, merged);
    verdict.tells_end = merge_phase(input, merged);
    verdict.is_unready =
        status_is_terminal(merged) && (pod_condition_is_true(input->status, "Ready") ||
                                       pod_condition_is_true(input->status, "ContainersReady"));
    merge_conditions(&verdict, merged);
    return merged;
}

/* --- the difference --- */

/*
 * The common answer, that there is nothing to send, for a tenth of the work. A decoded message has
 * but one form (kube/codec.h); one that was made by hand gets it on the way through its bytes.
 */
static bool is_same(const Core__PodStatus *api, const Core__PodStatus *merged, struct arena *arena)
{
    if (kube_message_eq(&api->base, &merged->base))
        return true;
    ProtobufCMessage *canonical = NULL;
    AUTO(buf) struct buf bytes;
    buf_init(&bytes, KUBE_OBJECT_MAX_BYTES);
    kube_encode_protobuf(&merged->base, &bytes);
    struct error *err = buf_error(&bytes, "the status");
    if (!err)
        err = kube_decode_protobuf(buf_str(&bytes), merged->base.descriptor, arena, &canonical);
    bool is_known = !err;
    error_ignore(err, "the long way tells what is wrong");
    return is_known && kube_message_eq(&api->base, canonical);
}

/* *ret stays NULL when there is none. The pod has metadata in any case, as Go writes it. */
static struct error *make_patch(const struct status_patch_input *input, struct arena *arena,
                                const struct doc_node **ret)
{
    Meta__ObjectMeta none = META__OBJECT_META__INIT, uid = META__OBJECT_META__INIT;
    Core__Pod before = CORE__POD__INIT, after = CORE__POD__INIT;
    const struct doc_node *before_doc = NULL, *after_doc = NULL, *patch = NULL;
    uid.uid = input->api->metadata ? input->api->metadata->uid : NULL;
    before.metadata = &none;
    before.status = (Core__PodStatus *)api_status(input);
    after.metadata = &uid;
    after.status = status_merge(input, arena);
    *ret = NULL;
    if (is_same(before.status, after.status, arena))
        return NULL;
    struct error *err = kube_message_to_document(&before.base, NULL, arena, &before_doc);
    if (!err)
        err = kube_message_to_document(&after.base, NULL, arena, &after_doc);
    if (!err)
        err = kube_patch_diff(before_doc, after_doc, &core__pod__descriptor, arena, &patch);
    if (!err && doc_get(patch, "status"))
        *ret = patch;
    return error_wrap(err, "comparing the status with the server's");
}

struct error *status_patch(const struct status_patch_input *input, struct buf *out, bool *ret_empty)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *patch = NULL;
    struct error *err = make_patch(input, arena, &patch);
    if (err)
        return err;
    if (patch) {
        struct json_writer writer;
        json_writer_init(&writer, out, false);
        doc_write_node(&writer.base, patch);
        err = buf_error(out, "the status patch");
    }
    if (!err)
        *ret_empty = !patch;
    return err;
}
