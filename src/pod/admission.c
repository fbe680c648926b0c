/* The handlers, one after the other; the first that refuses has the word (spec pods.md §4.1). What
 * upstream's topology manager, resizes and device plugins would add comes with them. */
#include "pod/admission_internal.h"

#include "kube/resources.h"
#include "pod/plan.h"

#define APPARMOR_ANNOTATION "container.apparmor.security.beta.kubernetes.io/"
#define TAINT_MEMORY_PRESSURE "node.kubernetes.io/memory-pressure"
#define LABEL_OS "kubernetes.io/os"

static const struct refusal no_refusal = {0};

/* --- pressure --- */

static bool tolerates_memory_pressure(const Core__PodSpec *spec)
{
    char key[] = TAINT_MEMORY_PRESSURE, effect[] = "NoSchedule";
    Core__Taint taint = CORE__TAINT__INIT;
    taint.key = key;
    taint.effect = effect;
    return pod_toleration_of(spec, &taint);
}

static struct refusal check_pressure(const struct admission_input *input, struct arena *arena)
{
    const struct admission_node *node = input->node;
    bool others = node->disk_pressure || node->pid_pressure;
    if ((!node->memory_pressure && !others) || input->is_static || pod_is_critical(input->pod))
        return no_refusal;
    if (!others && (pod_qos_of(input->pod) != POD_QOS_BESTEFFORT ||
                    tolerates_memory_pressure(input->pod->spec)))
        return no_refusal;
    const struct {
        bool holds;
        const char *name;
    } conditions[] = {{node->disk_pressure, "DiskPressure"},
                      {node->memory_pressure, "MemoryPressure"},
                      {node->pid_pressure, "PIDPressure"}};
    const char *names = "";
    for (size_t i = 0; i < ARRAY_SIZE(conditions); i++) {
        if (conditions[i].holds)
            names = arena_printf(arena, "%s%s%s", names, *names ? " " : "", conditions[i].name);
    }
    return (struct refusal){.reason = "Evicted",
                            .message =
                                arena_printf(arena, "The node had condition: [%s]. ", names)};
}

/* --- what the pod says of the node --- */

static bool reports_groups_policy(const Core__Node *node)
{
    const Core__NodeFeatures *features = node->status ? node->status->features : NULL;
    return features && features->has_supplemental_groups_policy &&
           features->supplemental_groups_policy;
}

static struct refusal check_claims(const struct admission_input *input)
{
    const Core__Node *node = input->node->node;
    const Core__PodSpec *spec = input->pod->spec;
    const char *label = pod_label(input->pod, LABEL_OS);
    const char *os = node_label(node, LABEL_OS);
    if (label && !text_eq(label, os ? os : "linux"))
        return (struct refusal){
            .reason = "PodOSSelectorNodeLabelDoesNotMatch",
            .message = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node "
                       "label"};
    if (spec->os && spec->os->name && *spec->os->name && !text_eq(spec->os->name, "linux"))
        return (struct refusal){.reason = "PodOSNotSupported",
                                .message =
                                    "Failed to admit pod as the OS field doesn't match node OS"};
    const Core__PodSecurityContext *security = spec->security_context;
    if (security && text_eq(security->supplemental_groups_policy, "Strict") &&
        !reports_groups_policy(node))
        return (struct refusal){
            .reason = "SupplementalGroupsPolicyNotSupported",
            .message = "SupplementalGroupsPolicy=Strict is not supported in this node"};
    return no_refusal;
}

/* --- fit --- */

static const char *shortage_text(const struct shortage *shortage, struct arena *arena)
{
    return arena_printf(arena,
                        "Node didn't have enough resource: %s, requested: %lld, used: %lld, "
                        "capacity: %lld",
                        shortage->name, (long long)shortage->requested, (long long)shortage->used,
                        (long long)shortage->capacity);
}

/* Of several failures the one that is told: resources come first. */
static struct refusal first_failure(const struct fit *fit, struct arena *arena)
{
    if (fit->n_shortages > 0)
        return (struct refusal){.reason = arena_printf(arena, "OutOf%s", fit->shortages[0].name),
                                .message = shortage_text(&fit->shortages[0], arena)};
    return (struct refusal){.reason = fit->reasons[0], .message = fit->messages[0]};
}

static struct refusal check_fit(const struct admission_input *input, struct arena *arena,
                                struct admission_result *ret)
{
    struct fit fit;
    admission_fit(input, arena, &fit);
    ret->wants_fresh_node = fit.only_labels;
    if (fit.n_shortages == 0 && fit.n_failures == 0)
        return no_refusal;
    if (!input->is_static && !pod_is_critical(input->pod))
        return first_failure(&fit, arena);
    if (fit.n_failures > 0)
        return (struct refusal){.reason = fit.reasons[0], .message = fit.messages[0]};
    const char *message = NULL;
    if (admission_choose_victims(input, &fit, arena, &ret->victims, &ret->n_victims, &message)) {
        ret->shortage = fit.shortages[0].name;
        return no_refusal;
    }
    return (struct refusal){
        .reason = "UnexpectedAdmissionError",
        .message = arena_printf(
            arena, "Unexpected error while attempting to recover from admission failure: %s",
            message)};
}

/* --- AppArmor --- */

static bool is_confined(const Core__AppArmorProfile *profile)
{
    return profile && !text_eq(profile->type, "Unconfined");
}

/* A container of any kind: the @index-th of the pod's; false behind the last one. */
static bool security_at(const Core__PodSpec *spec, size_t index, const Core__SecurityContext **ret)
{
    if (index < spec->n_init_containers) {
        *ret = spec->init_containers[index]->security_context;
        return true;
    }
    index -= spec->n_init_containers;
    if (index < spec->n_containers) {
        *ret = spec->containers[index]->security_context;
        return true;
    }
    index -= spec->n_containers;
    if (index >= spec->n_ephemeral_containers)
        return false;
    const Core__EphemeralContainerCommon *common =
        spec->ephemeral_containers[index]->ephemeral_container_common;
    *ret = common ? common->security_context : NULL;
    return true;
}

/* Any profile, in the old annotations too, makes AppArmor needed, whoever overrides it. */
static bool needs_apparmor(const Core__Pod *pod)
{
    const Core__PodSecurityContext *shared = pod->spec->security_context;
    const Core__SecurityContext *own;
    if (shared && is_confined(shared->app_armor_profile))
        return true;
    for (size_t i = 0; security_at(pod->spec, i, &own); i++) {
        if (own && is_confined(own->app_armor_profile))
            return true;
    }
    for (size_t i = 0; pod->metadata && i < pod->metadata->n_annotations; i++) {
        const Meta__ObjectMeta__AnnotationsEntry *entry = pod->metadata->annotations[i];
        if (text_has_prefix(entry->key, APPARMOR_ANNOTATION) &&
            !text_eq(entry->value, "unconfined"))
            return true;
    }
    return false;
}

static bool is_nameless(const Core__AppArmorProfile *profile)
{
    return profile && text_eq(profile->type, "Localhost") &&
           (!profile->localhost_profile || str_trim(str_from(profile->localhost_profile)).len == 0);
}

static bool has_nameless_profile(const Core__PodSpec *spec)
{
    const Core__AppArmorProfile *shared =
        spec->security_context ? spec->security_context->app_armor_profile : NULL;
    const Core__SecurityContext *own;
    for (size_t i = 0; security_at(spec, i, &own); i++) {
        if (is_nameless(own && own->app_armor_profile ? own->app_armor_profile : shared))
            return true;
    }
    return false;
}

static struct refusal check_apparmor(const struct admission_input *input)
{
    const Core__Pod *pod = input->pod;
    const char *phase = pod->status ? pod->status->phase : NULL;
    if ((phase && *phase && !text_eq(phase, "Pending")) || !needs_apparmor(pod))
        return no_refusal;
    if (!input->node->has_apparmor)
        return (struct refusal){.reason = "AppArmor",
                                .message = "Cannot enforce AppArmor: AppArmor is not enabled on "
                                           "the host"};
    if (has_nameless_profile(pod->spec))
        return (struct refusal){.reason = "AppArmor",
                                .message = "Cannot enforce AppArmor: invalid empty AppArmor "
                                           "profile name: \"\""};
    return no_refusal;
}

/* --- the rest --- */

static bool declares(const Core__Node *node, const char *feature)
{
    for (size_t i = 0; node->status && i < node->status->n_declared_features; i++) {
        if (text_eq(node->status->declared_features[i], feature))
            return true;
    }
    return false;
}

/* Of what a pod can need and a node declare, only this shows in the spec of a new pod. */
static struct refusal check_features(const struct admission_input *input, struct arena *arena)
{
    static const char feature[] = "RestartAllContainersOnContainerExits";
    if (!pod_has_restart_all_rule(input->pod) || declares(input->node->node, feature))
        return no_refusal;
    return (struct refusal){
        .reason = "PodFeatureUnsupported",
        .message =
            arena_printf(arena, "Pod requires node features that are not available: %s", feature)};
}

static struct refusal check_shutdown(const struct admission_input *input)
{
    if (!input->node->is_shutting_down)
        return no_refusal;
    return (struct refusal){.reason = "NodeShutdown",
                            .message = "Pod was rejected as the node is shutting down."};
}

static struct refusal ask_all(const struct admission_input *input, struct arena *arena,
                              struct admission_result *ret)
{
    struct refusal refusal = check_pressure(input, arena);
    if (!refusal.reason)
        refusal = admission_sysctls(input, arena);
    if (!refusal.reason && !input->node->node)
        refusal = (struct refusal){.reason = "InvalidNodeInfo",
                                   .message = "Kubelet cannot get node info."};
    if (!refusal.reason)
        refusal = check_claims(input);
    if (!refusal.reason)
        refusal = check_fit(input, arena, ret);
    if (!refusal.reason)
        refusal = check_apparmor(input);
    if (!refusal.reason)
        refusal = check_features(input, arena);
    if (!refusal.reason)
        refusal = check_shutdown(input);
    return refusal;
}

void admission_decide(const struct admission_input *input, struct arena *arena,
                      struct admission_result *ret)
{
    *ret = (struct admission_result){.verdict = ADMISSION_ADMITTED};
    struct refusal refusal = ask_all(input, arena, ret);
    if (refusal.reason) {
        ret->verdict = ADMISSION_REJECTED;
        ret->reason = refusal.reason;
        ret->message = refusal.message;
    } else if (ret->n_victims > 0) {
        ret->verdict = ADMISSION_PREEMPTS;
    }
}
