#include "plane/strategy_internal.h"

#include "coordination.pb-c.h"

static void check_spec(struct validation *v, const Coordination__LeaseSpec *spec)
{
    static const char *const strategies[] = {"OldestEmulationVersion", NULL};
    const struct field_path *path = FIELD(NULL, "spec");
    if (spec->has_lease_duration_seconds && spec->lease_duration_seconds <= 0)
        field_invalid_number(v, FIELD(path, "leaseDurationSeconds"), spec->lease_duration_seconds,
                             "must be greater than 0");
    if (spec->has_lease_transitions && spec->lease_transitions < 0)
        field_invalid_number(v, FIELD(path, "leaseTransitions"), spec->lease_transitions,
                             "must be greater than or equal to 0");
    /* Beside the known one there may be others, as long as they have a domain. */
    if (spec->strategy && !is_one_of(spec->strategy, strategies) && !strchr(spec->strategy, '/'))
        field_not_supported(v, FIELD(path, "strategy"), spec->strategy, strategies);
    if (!is_empty(spec->preferred_holder) && is_empty(spec->strategy))
        field_forbidden(v, FIELD(path, "preferredHolder"),
                        "may only be specified when `strategy` is defined");
}

static void validate(const struct strategy_context *context, const ProtobufCMessage *object,
                     const ProtobufCMessage *old, struct field_errors *errors)
{
    const Coordination__Lease *lease = (const Coordination__Lease *)object;
    struct validation v = strategy_validation(context, errors);
    if (old)
        meta_validate_update(&v, lease->metadata, kube_object_meta(old));
    else
        meta_validate(&v, lease->metadata, META_NAMESPACED, name_rule_dns1123_subdomain);
    if (lease->spec)
        check_spec(&v, lease->spec);
}

static void set_defaults(ProtobufCMessage *object, struct arena *arena)
{
    Coordination__Lease *lease = (Coordination__Lease *)object;
    if (!lease->spec)
        lease->spec = NEW_MESSAGE(arena, Coordination__LeaseSpec, coordination__lease_spec);
}

const struct strategy strategy_lease = {
    .set_defaults = set_defaults,
    .validate = validate,
    .requires_resource_version = true,
    .creates_on_update = true,
};
