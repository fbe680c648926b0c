/*
 * Single rules of the plan: when a sandbox must be made, when a dead container starts again. They
 * are shared with the status generator, which has to say in advance what the plan will do.
 */
#include "pod/plan.h"

#include "base/buf.h"
#include "base/hash.h"
#include "kube/codec.h"

struct sandbox_decision pod_sandbox_decide(const Core__Pod *pod, const struct pod_observed *have)
{
    const struct sandbox_observed *newest = have->sandboxes;
    if (!newest)
        return (struct sandbox_decision){.create = true};

    struct sandbox_decision again = {
        .create = true, .attempt = newest->attempt + 1, .old_id = newest->id};
    size_t ready = 0;
    for (const struct sandbox_observed *sandbox = newest; sandbox; sandbox = sandbox->next)
        ready += sandbox->ready ? 1 : 0;
    if (ready > 1 || !newest->ready)
        return again;

    bool host_network = pod->spec->has_host_network && pod->spec->host_network;
    if (newest->host_network != host_network) {
        again.old_id = NULL; /* upstream reports none here, so no SandboxChanged event */
        return again;
    }
    if (!host_network && newest->has_network && newest->n_ips == 0)
        return again;
    return (struct sandbox_decision){.attempt = newest->attempt, .old_id = newest->id};
}

bool container_policy_is(const Core__Pod *pod, const Core__Container *container, const char *policy)
{
    const char *own = container->restart_policy;
    return text_eq(own && own[0] != '\0' ? own : pod->spec->restart_policy, policy);
}

static bool exit_code_listed(const Core__ContainerRestartRuleOnExitCodes *codes, int32_t exit_code)
{
    for (size_t i = 0; i < codes->n_values; i++) {
        if (codes->values[i] == exit_code)
            return true;
    }
    return false;
}

static bool rule_matches(const Core__ContainerRestartRule *rule, int32_t exit_code)
{
    if (!rule->exit_codes)
        return false;
    bool is_listed = exit_code_listed(rule->exit_codes, exit_code);
    return text_eq(rule->exit_codes->operator_, "In") ? is_listed : !is_listed;
}

const Core__ContainerRestartRule *container_deciding_rule(const Core__Container *container,
                                                          int32_t exit_code)
{
    if (!container->restart_policy || container->restart_policy[0] == '\0')
        return NULL;
    for (size_t i = 0; i < container->n_restart_policy_rules; i++) {
        if (rule_matches(container->restart_policy_rules[i], exit_code))
            return container->restart_policy_rules[i];
    }
    return NULL;
}

bool container_should_start(const Core__Pod *pod, const Core__Container *container,
                            const struct container_observed *newest)
{
    if (pod->metadata && pod->metadata->deletion_timestamp)
        return false;
    if (!newest)
        return true;
    if (newest->state == CONTAINER_RUNNING)
        return false;
    if (newest->state != CONTAINER_EXITED)
        return true;
    const Core__ContainerRestartRule *rule = container_deciding_rule(container, newest->exit_code);
    if (rule &&
        (text_eq(rule->action, "Restart") || text_eq(rule->action, ACTION_RESTART_ALL_CONTAINERS)))
        return true;
    if (container_policy_is(pod, container, "OnFailure"))
        return newest->exit_code != 0;
    return container_policy_is(pod, container, "Always");
}

const char *container_backoff_key(const Core__Pod *pod, const Core__Container *container,
                                  struct arena *arena)
{
    uint32_t hash = HASH_FNV32_START;
    if (container->image)
        hash = hash_fnv1a_32_add(hash, container->image, strlen(container->image));
    if (container->resources) {
        struct buf text;
        buf_init(&text, 64 * KiB);
        kube_encode_protobuf(&container->resources->base, &text);
        hash = hash_fnv1a_32_add(hash, text.data, text.len);
        buf_done(&text);
    }
    return arena_printf(arena, "%s/%s/%08x", pod->metadata->uid, container->name, hash);
}

int64_t pod_effective_grace(const Core__Pod *pod)
{
    int64_t grace_s = 0;
    if (pod->metadata && pod->metadata->has_deletion_grace_period_seconds)
        grace_s = pod->metadata->deletion_grace_period_seconds;
    else if (pod->spec && pod->spec->has_termination_grace_period_seconds)
        grace_s = pod->spec->termination_grace_period_seconds;
    return max_i64(grace_s, 1);
}
