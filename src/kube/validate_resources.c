/*
 * Resource requirements of containers and of the pod: names that exist, quantities that parse,
 * requests within limits, and the rules of resources that cannot be overcommitted.
 */
#include "kube/validate_internal.h"

#include "kube/quantity.h"
#include "kube/resources.h"

/* A list of names in a message ends here. */
#define CLAIMS_SHOWN_MAX 16

/* --- names (pkg/apis/core/helper) --- */

static const char *const standard_resources[] = {"cpu",
                                                 "memory",
                                                 "ephemeral-storage",
                                                 "requests.cpu",
                                                 "requests.memory",
                                                 "requests.ephemeral-storage",
                                                 "limits.cpu",
                                                 "limits.memory",
                                                 "limits.ephemeral-storage",
                                                 "pods",
                                                 "resourcequotas",
                                                 "services",
                                                 "replicationcontrollers",
                                                 "secrets",
                                                 "configmaps",
                                                 "persistentvolumeclaims",
                                                 "storage",
                                                 "requests.storage",
                                                 "services.nodeports",
                                                 "services.loadbalancers",
                                                 NULL};

static const char *const integer_resources[] = {"pods",
                                                "resourcequotas",
                                                "services",
                                                "replicationcontrollers",
                                                "secrets",
                                                "configmaps",
                                                "persistentvolumeclaims",
                                                "services.nodeports",
                                                "services.loadbalancers",
                                                NULL};

static bool is_overcommit_allowed(const char *name)
{
    return resource_is_native(name) && !resource_is_hugepages(name);
}

/* False when the name is no name at all, so that further faults would only repeat it. */
static bool check_resource_name(struct validation *v, const char *name,
                                const struct field_path *path)
{
    if (name_check_qualified(str_from(name))) {
        field_check_name(v, path, name, name_rule_qualified);
        return false;
    }
    if (strchr(name, '/') || is_one_of(name, standard_resources) || resource_is_hugepages(name) ||
        text_has_prefix(name, "requests.hugepages-"))
        return true;
    field_invalid(v, path, name, "must be a standard resource type or fully qualified");
    return false;
}

static void check_container_resource_name(struct validation *v, const char *name,
                                          const struct field_path *path)
{
    static const char *const standard[] = {"cpu", "memory", "ephemeral-storage", NULL};
    check_resource_name(v, name, path);
    if (!strchr(name, '/')) {
        if (!is_one_of(name, standard) && !resource_is_hugepages(name))
            field_invalid(v, path, name, "must be a standard resource for containers");
    } else if (!resource_is_native(name) && !resource_is_extended(name)) {
        field_invalid(v, path, name, "doesn't follow extended resource name standard");
    }
}

static void check_pod_resource_name(struct validation *v, const char *name,
                                    const struct field_path *path)
{
    static const char *const supported[] = {"cpu", "hugepages-", "memory", NULL};
    if (check_resource_name(v, name, path) && !resource_is_pod_level(name))
        field_not_supported(v, path, name, supported);
}

/* --- quantities --- */

static const char *canonical(struct validation *v, const Meta__Quantity *quantity)
{
    return quantity_canonical(quantity && !is_empty(quantity->string) ? quantity->string : "0",
                              v->scratch);
}

static bool is_whole(const Meta__Quantity *quantity)
{
    int64_t millis = quantity_milli_value(quantity);
    return millis == INT64_MAX || millis % 1000 == 0; /* saturated: too large to tell */
}

/* "hugepages-2Mi" and 4Mi: a whole number of pages of a size that is one. */
static bool is_divisible(struct validation *v, const char *name, const Meta__Quantity *quantity)
{
    const char *suffix = name + strlen(RESOURCE_HUGEPAGES_PREFIX);
    struct error *err = quantity_check(str_from(suffix));
    if (err) {
        error_ignore(err, "a size that is none divides nothing");
        return false;
    }
    Meta__Quantity size = META__QUANTITY__INIT;
    size.string = arena_strdup(v->scratch, suffix);
    int64_t bytes = quantity_value(&size);
    return bytes > 0 && is_whole(&size) && quantity_value(quantity) % bytes == 0;
}

/* False when the text is no quantity. */
static bool check_quantity(struct validation *v, const char *name, const Meta__Quantity *quantity,
                           const struct field_path *path)
{
    const Meta__Quantity zero = META__QUANTITY__INIT;
    if (quantity && !is_empty(quantity->string)) {
        AUTO(error) struct error *err = quantity_check(str_from(quantity->string));
        if (err) {
            field_invalid(v, path, quantity->string, err->message);
            return false;
        }
    }
    if (quantity_compare(quantity, &zero) < 0)
        field_invalid(v, path, canonical(v, quantity), "must be greater than or equal to 0");
    if ((is_one_of(name, integer_resources) || resource_is_extended(name)) && !is_whole(quantity))
        field_invalid(v, path, canonical(v, quantity), "must be an integer");
    return true;
}

static void check_hugepages(struct validation *v, const char *name, const Meta__Quantity *quantity,
                            const struct field_path *path)
{
    if (resource_is_hugepages(name) && !is_divisible(v, name, quantity)) {
        const char *text = canonical(v, quantity);
        field_invalid(
            v, path, text,
            arena_printf(v->scratch, "%s is not positive integer multiple of %s", text, name));
    }
}

/* --- requirements --- */

typedef void resource_name_rule(struct validation *v, const char *name,
                                const struct field_path *path);

/* What the maps held, for the rule about hugepages. */
struct seen {
    bool compute, hugepages;
};

static bool check_entry(struct validation *v, const char *name, const Meta__Quantity *quantity,
                        resource_name_rule *name_check, const struct field_path *path)
{
    name_check(v, name, path);
    return check_quantity(v, name, quantity, path);
}

static void note(struct seen *seen, const char *name)
{
    seen->compute = seen->compute || text_eq(name, RESOURCE_CPU) || text_eq(name, RESOURCE_MEMORY);
    seen->hugepages = seen->hugepages || resource_is_hugepages(name);
}

static void check_against_limit(struct validation *v, const Core__ResourceRequirements *resources,
                                const char *name, const Meta__Quantity *request,
                                const struct field_path *path)
{
    const Meta__Quantity *limit = resource_get_limit(resources, name);
    bool overcommit = is_overcommit_allowed(name);
    if (!limit) {
        if (!overcommit)
            field_required(v, FIELD(path, "limits"),
                           "Limit must be set for non overcommitable resources");
        return;
    }
    int order = quantity_compare(request, limit);
    const char *words = order != 0 && !overcommit ? "equal to"
                        : order > 0               ? "less than or equal to"
                                                  : NULL;
    if (words)
        field_invalid(v, FIELD(path, "requests"), canonical(v, request),
                      arena_printf(v->scratch, "must be %s %s limit of %s", words, name,
                                   canonical(v, limit)));
}

/* "must be one of … : a, b", sorted, or that there is none. */
static const char *known_claims(struct validation *v)
{
    static const char base[] = "must be one of the names in pod.spec.resourceClaims";
    size_t count = 0;
    const char **names = arena_calloc(v->scratch, v->spec->n_resource_claims, sizeof(*names));
    for (size_t i = 0; i < v->spec->n_resource_claims; i++) {
        const char *name = or_empty(v->spec->resource_claims[i]->name);
        size_t first;
        if (text_map_find(&v->claims, name, &first) && first == i)
            names[count++] = name;
    }
    if (count == 0)
        return arena_printf(v->scratch, "%s which is empty", base);
    qsort(names, count, sizeof(*names), text_compare);
    const char *text = arena_printf(v->scratch, "%s: %s", base, names[0]);
    for (size_t i = 1; i < count && i < CLAIMS_SHOWN_MAX; i++)
        text = arena_printf(v->scratch, "%s, %s", text, names[i]);
    return text;
}

static void check_claims(struct validation *v, const Core__ResourceRequirements *resources,
                         const struct field_path *path)
{
    struct text_map whole = {.arena = v->scratch}, parts = {.arena = v->scratch},
                    partly = {.arena = v->scratch};
    for (size_t i = 0; i < resources->n_claims; i++) {
        const char *name = or_empty(resources->claims[i]->name);
        const char *request = or_empty(resources->claims[i]->request);
        const struct field_path *at = FIELD_AT(path, i);
        if (is_empty(name)) {
            field_required(v, at, NULL);
            continue;
        }
        if (text_map_find(&whole, name, NULL)) {
            field_duplicate(v, at, name);
        } else if (is_empty(request)) {
            if (text_map_find(&partly, name, NULL))
                field_duplicate(v, at, name);
            text_map_add(&whole, name, i);
        } else {
            field_check_name(v, FIELD(at, "request"), request, name_rule_dns1123_label);
            const char *key = arena_printf(v->scratch, "%s/%s", name, request);
            if (!text_map_add(&parts, key, i))
                field_duplicate(v, at, key);
            text_map_add(&partly, name, i);
        }
        if (!text_map_find(&v->claims, name, NULL))
            field_not_found(v, at, name, known_claims(v));
    }
}

static void validate_requirements(struct validation *v, const Core__ResourceRequirements *resources,
                                  resource_name_rule *name_check, const struct field_path *path)
{
    struct seen seen = {.compute = false};
    for (size_t i = 0; i < resources->n_limits; i++) {
        const char *name = or_empty(resources->limits[i]->key);
        const Meta__Quantity *limit = resources->limits[i]->value;
        const struct field_path *at = FIELD_KEY(FIELD(path, "limits"), name);
        if (check_entry(v, name, limit, name_check, at))
            check_hugepages(v, name, limit, at);
        note(&seen, name);
    }
    for (size_t i = 0; i < resources->n_requests; i++) {
        const char *name = or_empty(resources->requests[i]->key);
        const Meta__Quantity *request = resources->requests[i]->value;
        const struct field_path *at = FIELD_KEY(FIELD(path, "requests"), name);
        if (check_entry(v, name, request, name_check, at)) {
            check_against_limit(v, resources, name, request, path);
            check_hugepages(v, name, request, at);
        }
        note(&seen, name);
    }
    if (seen.hugepages && !seen.compute)
        field_forbidden(v, path, "HugePages require cpu or memory");
    check_claims(v, resources, FIELD(path, "claims"));
}

void validate_container_resources(struct validation *v, const Core__ResourceRequirements *resources,
                                  const struct field_path *path)
{
    if (resources)
        validate_requirements(v, resources, check_container_resource_name, path);
}

void validate_overhead(struct validation *v, const struct field_path *path)
{
    struct seen seen = {.compute = false};
    for (size_t i = 0; i < v->spec->n_overhead; i++) {
        const char *name = or_empty(v->spec->overhead[i]->key);
        const Meta__Quantity *amount = v->spec->overhead[i]->value;
        /* Upstream judges it as limits of a container and says so in the path. */
        const struct field_path *at = FIELD_KEY(FIELD(path, "limits"), name);
        if (check_entry(v, name, amount, check_container_resource_name, at))
            check_hugepages(v, name, amount, at);
        note(&seen, name);
    }
    if (seen.hugepages && !seen.compute)
        field_forbidden(v, path, "HugePages require cpu or memory");
}

/* --- the pod level --- */

static const struct pod_resource_options containers_only = {.exclude_overhead = true,
                                                            .skip_pod_level = true};

/* What all containers together ask for, as text and for comparison; NULL when none asks. */
static const char *aggregate_text(struct validation *v, const char *name, bool limits)
{
    bool present;
    int64_t amount;
    if (text_eq(name, RESOURCE_CPU)) {
        amount = limits ? pod_limit_milli_cpu(v->pod, &containers_only, &present)
                        : pod_request_milli_cpu(v->pod, &containers_only, &present);
        return present ? quantity_from_milli(amount, v->scratch) : NULL;
    }
    amount = limits ? pod_limit_bytes(v->pod, &containers_only, name, &present)
                    : pod_request_bytes(v->pod, &containers_only, name, &present);
    return present ? quantity_from_value(amount, true, v->scratch) : NULL;
}

static void check_aggregate(struct validation *v, const char *name, const Meta__Quantity *pod_level,
                            bool limits, const struct field_path *path)
{
    const char *text = aggregate_text(v, name, limits);
    if (!text)
        return;
    Meta__Quantity sum = META__QUANTITY__INIT;
    sum.string = arena_strdup(v->scratch, text);
    if (quantity_compare(&sum, pod_level) > 0)
        field_invalid(v, FIELD_KEY(path, name), canonical(v, pod_level),
                      arena_printf(v->scratch,
                                   "must be greater than or equal to aggregate container %s of %s",
                                   limits ? "limits" : "requests", text));
}

static void check_container_limits(struct validation *v,
                                   const Core__ResourceRequirements *pod_level,
                                   const struct field_path *path)
{
    for (size_t i = 0; i < v->spec->n_containers; i++) {
        const Core__ResourceRequirements *own = v->spec->containers[i]->resources;
        for (size_t j = 0; own && j < own->n_limits; j++) {
            const char *name = own->limits[j]->key;
            const Meta__Quantity *limit = resource_get_limit(pod_level, name);
            if (!limit || quantity_compare(own->limits[j]->value, limit) <= 0)
                continue;
            const struct field_path *container = FIELD_AT(FIELD(path, "containers"), i);
            field_invalid(v, FIELD(FIELD_KEY(container, name), "limits"),
                          canonical(v, own->limits[j]->value),
                          arena_printf(v->scratch, "must be less than or equal to pod limits of %s",
                                       canonical(v, limit)));
        }
    }
}

void validate_pod_level_resources(struct validation *v, const struct field_path *path)
{
    const Core__ResourceRequirements *resources = v->spec->resources;
    if (!resources)
        return;
    if (text_eq(v->os, "windows")) {
        field_forbidden(v, path, "may not be set for a windows pod");
        return;
    }
    if (resources->n_claims > 0)
        field_forbidden(v, FIELD(path, "claims"),
                        "claims may not be set for Resources at pod-level");
    validate_requirements(v, resources, check_pod_resource_name, path);
    for (size_t i = 0; i < resources->n_requests; i++)
        check_aggregate(v, or_empty(resources->requests[i]->key), resources->requests[i]->value,
                        false, FIELD(path, "requests"));
    for (size_t i = 0; i < resources->n_limits; i++) {
        if (resource_is_hugepages(resources->limits[i]->key))
            check_aggregate(v, resources->limits[i]->key, resources->limits[i]->value, true,
                            FIELD(path, "limits"));
    }
    check_container_limits(v, resources, path);
}
