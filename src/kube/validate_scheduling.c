/*
 * Where a pod may run: affinity, tolerations, spreading, scheduling gates; and the DNS
 * configuration, which is the other list of names and numbers in a spec. The node only needs
 * tolerations and node affinity, but a manifest that the API server would refuse is refused here
 * too.
 */
#include "kube/validate_internal.h"

/* Limits of libc's resolver (pkg/apis/core/validation: MaxDNSNameservers and kin). */
#define DNS_NAMESERVERS_MAX 3
#define DNS_SEARCHES_MAX 32
#define DNS_SEARCH_LIST_MAX_BYTES 2048

/* The paths are spelled once: they appear in four kinds of affinity. */
static const char required_field[] = "requiredDuringSchedulingIgnoredDuringExecution";
static const char preferred_field[] = "preferredDuringSchedulingIgnoredDuringExecution";

static void check_label_values(struct validation *v, const struct field_path *path,
                               char *const *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        field_check_name(v, FIELD_AT(path, i), values[i], name_rule_label_value);
}

/* In and NotIn want values, Exists and DoesNotExist want none. False for any other operator. */
static bool check_set_operator(struct validation *v, const struct field_path *path,
                               const char *relation, size_t n_values)
{
    if (text_eq(relation, "In") || text_eq(relation, "NotIn")) {
        if (n_values == 0)
            field_required(v, FIELD(path, "values"),
                           "must be specified when `operator` is 'In' or 'NotIn'");
        return true;
    }
    if (text_eq(relation, "Exists") || text_eq(relation, "DoesNotExist")) {
        if (n_values > 0)
            field_forbidden(v, FIELD(path, "values"),
                            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        return true;
    }
    return false;
}

/* --- node affinity --- */

static void validate_node_requirement(struct validation *v,
                                      const Core__NodeSelectorRequirement *requirement,
                                      bool check_values, const struct field_path *path)
{
    const char *relation = requirement->operator_;
    if (text_eq(relation, "Gt") || text_eq(relation, "Lt")) {
        if (requirement->n_values != 1)
            field_required(v, FIELD(path, "values"),
                           "must be specified single value when `operator` is 'Lt' or 'Gt'");
    } else if (!check_set_operator(v, path, relation, requirement->n_values)) {
        field_invalid(v, FIELD(path, "operator"), relation, "not a valid selector operator");
    }
    field_check_name(v, FIELD(path, "key"), requirement->key, name_rule_qualified);
    if (check_values)
        check_label_values(v, FIELD(path, "values"), requirement->values, requirement->n_values);
}

static void validate_node_field(struct validation *v,
                                const Core__NodeSelectorRequirement *requirement,
                                const struct field_path *path)
{
    const char *relation = requirement->operator_;
    if (!text_eq(relation, "In") && !text_eq(relation, "NotIn"))
        field_invalid(v, FIELD(path, "operator"), relation, "not a valid selector operator");
    else if (requirement->n_values != 1)
        field_required(
            v, FIELD(path, "values"),
            "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
    if (!text_eq(requirement->key, "metadata.name")) {
        field_invalid(v, FIELD(path, "key"), requirement->key, "not a valid field selector key");
        return;
    }
    for (size_t i = 0; i < requirement->n_values; i++)
        field_check_name(v, FIELD_AT(FIELD(path, "values"), i), requirement->values[i],
                         name_rule_dns1123_subdomain);
}

static void validate_node_term(struct validation *v, const Core__NodeSelectorTerm *term,
                               bool check_values, const struct field_path *path)
{
    for (size_t i = 0; term && i < term->n_match_expressions; i++)
        validate_node_requirement(v, term->match_expressions[i], check_values,
                                  FIELD_AT(FIELD(path, "matchExpressions"), i));
    for (size_t i = 0; term && i < term->n_match_fields; i++)
        validate_node_field(v, term->match_fields[i], FIELD_AT(FIELD(path, "matchFields"), i));
}

static void check_weight(struct validation *v, const struct field_path *path, int32_t weight)
{
    if (weight < 1 || weight > 100)
        field_invalid_number(v, path, weight, "must be in the range 1-100");
}

static void validate_node_affinity(struct validation *v, const Core__NodeAffinity *affinity,
                                   const struct field_path *path)
{
    const Core__NodeSelector *required =
        affinity->required_during_scheduling_ignored_during_execution;
    if (required) {
        const struct field_path *terms = FIELD(FIELD(path, required_field), "nodeSelectorTerms");
        if (required->n_node_selector_terms == 0)
            field_required(v, terms, "must have at least one node selector term");
        for (size_t i = 0; i < required->n_node_selector_terms; i++)
            validate_node_term(v, required->node_selector_terms[i], true, FIELD_AT(terms, i));
    }
    for (size_t i = 0; i < affinity->n_preferred_during_scheduling_ignored_during_execution; i++) {
        const Core__PreferredSchedulingTerm *term =
            affinity->preferred_during_scheduling_ignored_during_execution[i];
        const struct field_path *at = FIELD_AT(FIELD(path, preferred_field), i);
        check_weight(v, FIELD(at, "weight"), term->weight);
        /* Upstream lets odd values pass here: a wish that no node fulfils does no harm. */
        validate_node_term(v, term->preference, false, FIELD(at, "preference"));
    }
}

/* --- pod affinity --- */

static void validate_label_selector(struct validation *v, const Meta__LabelSelector *selector,
                                    const struct field_path *path)
{
    if (!selector)
        return;
    const struct field_path *labels = FIELD(path, "matchLabels");
    for (size_t i = 0; i < selector->n_match_labels; i++) {
        field_check_name(v, labels, selector->match_labels[i]->key, name_rule_qualified);
        field_check_name(v, labels, selector->match_labels[i]->value, name_rule_label_value);
    }
    for (size_t i = 0; i < selector->n_match_expressions; i++) {
        const Meta__LabelSelectorRequirement *expression = selector->match_expressions[i];
        const struct field_path *at = FIELD_AT(FIELD(path, "matchExpressions"), i);
        if (!check_set_operator(v, at, expression->operator_, expression->n_values))
            field_invalid(v, FIELD(at, "operator"), expression->operator_,
                          "not a valid selector operator");
        field_check_name(v, FIELD(at, "key"), expression->key, name_rule_qualified);
        check_label_values(v, FIELD(at, "values"), expression->values, expression->n_values);
    }
}

static void check_label_keys(struct validation *v, char *const *keys, size_t count,
                             const Meta__LabelSelector *selector, const struct field_path *path)
{
    if (count > 0 && !selector) {
        field_forbidden(v, path, "must not be specified when labelSelector is not set");
        return;
    }
    for (size_t i = 0; i < count; i++)
        field_check_name(v, FIELD_AT(path, i), keys[i], name_rule_qualified);
}

struct label_keys {
    char *const *match;
    size_t n_match;
    char *const *mismatch;
    size_t n_mismatch;
};

/* A key of matchLabelKeys that the selector names twice was there before the server merged it in.
 */
static void check_keys_against_selector(struct validation *v, const struct label_keys *keys,
                                        const Meta__LabelSelector *selector,
                                        const struct field_path *path)
{
    if (!selector || keys->n_match == 0)
        return;
    struct text_map index = {.arena = v->scratch}, named = {.arena = v->scratch};
    for (size_t i = 0; i < keys->n_match; i++)
        text_map_add(&index, keys->match[i], i);
    for (size_t i = 0; i < selector->n_match_labels; i++)
        text_map_add(&named, selector->match_labels[i]->key, i);
    for (size_t i = 0; i < selector->n_match_expressions; i++) {
        const char *key = or_empty(selector->match_expressions[i]->key);
        size_t at;
        if (!text_map_add(&named, key, i) && text_map_find(&index, key, &at))
            field_invalid(v, FIELD_AT(path, at), key,
                          "exists in both matchLabelKeys and labelSelector");
    }
}

static void validate_label_keys(struct validation *v, const struct label_keys *keys,
                                const Meta__LabelSelector *selector, const struct field_path *path)
{
    const struct field_path *match = FIELD(path, "matchLabelKeys");
    check_label_keys(v, keys->match, keys->n_match, selector, match);
    check_label_keys(v, keys->mismatch, keys->n_mismatch, selector,
                     FIELD(path, "mismatchLabelKeys"));
    check_keys_against_selector(v, keys, selector, path);
    struct text_map mismatch = {.arena = v->scratch};
    for (size_t i = 0; i < keys->n_mismatch; i++)
        text_map_add(&mismatch, keys->mismatch[i], i);
    for (size_t i = 0; i < keys->n_match; i++) {
        if (text_map_find(&mismatch, keys->match[i], NULL))
            field_invalid(v, FIELD_AT(match, i), keys->match[i],
                          "exists in both matchLabelKeys and mismatchLabelKeys");
    }
}

static void validate_pod_term(struct validation *v, const Core__PodAffinityTerm *term,
                              const struct field_path *path)
{
    static const Core__PodAffinityTerm empty = CORE__POD_AFFINITY_TERM__INIT;
    if (!term)
        term = &empty;
    validate_label_selector(v, term->label_selector, FIELD(path, "labelSelector"));
    validate_label_selector(v, term->namespace_selector, FIELD(path, "namespaceSelector"));
    for (size_t i = 0; i < term->n_namespaces; i++)
        field_check_name(v, FIELD(path, "namespace"), term->namespaces[i], name_rule_dns1123_label);
    const struct label_keys keys = {term->match_label_keys, term->n_match_label_keys,
                                    term->mismatch_label_keys, term->n_mismatch_label_keys};
    validate_label_keys(v, &keys, term->label_selector, path);
    if (is_empty(term->topology_key))
        field_required(v, FIELD(path, "topologyKey"), "can not be empty");
    field_check_name(v, FIELD(path, "topologyKey"), term->topology_key, name_rule_qualified);
}

static void validate_pod_terms(struct validation *v, Core__PodAffinityTerm *const *terms,
                               size_t count, const struct field_path *path)
{
    for (size_t i = 0; i < count; i++)
        validate_pod_term(v, terms[i], FIELD_AT(FIELD(path, required_field), i));
}

static void validate_weighted_terms(struct validation *v,
                                    Core__WeightedPodAffinityTerm *const *terms, size_t count,
                                    const struct field_path *path)
{
    for (size_t i = 0; i < count; i++) {
        const struct field_path *at = FIELD_AT(FIELD(path, preferred_field), i);
        check_weight(v, FIELD(at, "weight"), terms[i]->weight);
        validate_pod_term(v, terms[i]->pod_affinity_term, FIELD(at, "podAffinityTerm"));
    }
}

void validate_affinity(struct validation *v, const struct field_path *path)
{
    const Core__Affinity *affinity = v->spec->affinity;
    if (!affinity)
        return;
    if (affinity->node_affinity)
        validate_node_affinity(v, affinity->node_affinity, FIELD(path, "nodeAffinity"));
    const Core__PodAffinity *pod = affinity->pod_affinity;
    if (pod) {
        const struct field_path *at = FIELD(path, "podAffinity");
        validate_pod_terms(v, pod->required_during_scheduling_ignored_during_execution,
                           pod->n_required_during_scheduling_ignored_during_execution, at);
        validate_weighted_terms(v, pod->preferred_during_scheduling_ignored_during_execution,
                                pod->n_preferred_during_scheduling_ignored_during_execution, at);
    }
    const Core__PodAntiAffinity *anti = affinity->pod_anti_affinity;
    if (anti) {
        const struct field_path *at = FIELD(path, "podAntiAffinity");
        validate_pod_terms(v, anti->required_during_scheduling_ignored_during_execution,
                           anti->n_required_during_scheduling_ignored_during_execution, at);
        validate_weighted_terms(v, anti->preferred_during_scheduling_ignored_during_execution,
                                anti->n_preferred_during_scheduling_ignored_during_execution, at);
    }
}

/* --- tolerations --- */

static void validate_toleration_value(struct validation *v, const Core__Toleration *toleration,
                                      const struct field_path *path)
{
    static const char *const operators[] = {"Equal", "Exists", NULL};
    /* TaintTolerationComparisonOperators is alpha and off: Lt and Gt are refused with the longer
     * list. */
    static const char *const with_comparison[] = {"Equal", "Exists", "Lt", "Gt", NULL};
    static const char *const comparison[] = {"Lt", "Gt", NULL};
    const char *relation = or_empty(toleration->operator_);
    if (is_empty(relation) || text_eq(relation, "Equal")) {
        struct name_faults faults = {.count = 0};
        name_rule_label_value(str_from(or_empty(toleration->value)), &faults);
        const char *all =
            faults.count == 0 ? NULL
            : faults.count == 1
                ? faults.messages[0]
                : arena_printf(v->scratch, "%s;%s", faults.messages[0], faults.messages[1]);
        if (all)
            field_invalid(v, FIELD(path, "operator"), toleration->value, all);
    } else if (text_eq(relation, "Exists")) {
        if (!is_empty(toleration->value))
            field_invalid(v, FIELD(path, "operator"), toleration->value,
                          "value must be empty when `operator` is 'Exists'");
    } else {
        field_not_supported(v, FIELD(path, "operator"), relation,
                            is_one_of(relation, comparison) ? with_comparison : operators);
    }
}

void validate_tolerations(struct validation *v, const struct field_path *path)
{
    static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};
    for (size_t i = 0; i < v->spec->n_tolerations; i++) {
        const Core__Toleration *toleration = v->spec->tolerations[i];
        const struct field_path *at = FIELD_AT(path, i);
        if (!is_empty(toleration->key))
            field_check_name(v, FIELD(at, "key"), toleration->key, name_rule_qualified);
        else if (!text_eq(toleration->operator_, "Exists"))
            field_invalid(v, FIELD(at, "operator"), toleration->operator_,
                          "operator must be Exists when `key` is empty, which means \"match all "
                          "values and all keys\"");
        if (toleration->has_toleration_seconds && !text_eq(toleration->effect, "NoExecute"))
            field_invalid(v, FIELD(at, "effect"), toleration->effect,
                          "effect must be 'NoExecute' when `tolerationSeconds` is set");
        validate_toleration_value(v, toleration, at);
        if (!is_empty(toleration->effect))
            field_check_enum(v, FIELD(at, "effect"), toleration->effect, effects);
    }
}

/* --- spreading and gates --- */

static void check_repeated_constraint(struct validation *v, size_t i, struct text_map *later,
                                      const struct field_path *path)
{
    const Core__TopologySpreadConstraint *constraint = v->spec->topology_spread_constraints[i];
    const char *pair = arena_printf(v->scratch, "{%s, %s}", or_empty(constraint->topology_key),
                                    or_empty(constraint->when_unsatisfiable));
    size_t last;
    if (text_map_find(later, pair, &last) && last != i)
        field_duplicate(v, FIELD(path, "{topologyKey, whenUnsatisfiable}"), pair);
}

static void validate_min_domains(struct validation *v,
                                 const Core__TopologySpreadConstraint *constraint,
                                 const struct field_path *path)
{
    if (!constraint->has_min_domains)
        return;
    if (constraint->min_domains <= 0)
        field_invalid_number(v, path, constraint->min_domains, "must be greater than zero");
    if (!text_eq(constraint->when_unsatisfiable, "DoNotSchedule"))
        field_invalid_number(
            v, path, constraint->min_domains,
            arena_printf(v->scratch,
                         "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not %s",
                         or_empty(constraint->when_unsatisfiable)));
}

static void validate_spread_constraint(struct validation *v, size_t i, struct text_map *later,
                                       const struct field_path *path)
{
    static const char *const actions[] = {"DoNotSchedule", "ScheduleAnyway", NULL};
    static const char *const policies[] = {"Honor", "Ignore", NULL};
    const Core__TopologySpreadConstraint *constraint = v->spec->topology_spread_constraints[i];
    if (constraint->max_skew <= 0)
        field_invalid_number(v, FIELD(path, "maxSkew"), constraint->max_skew,
                             "must be greater than zero");
    if (is_empty(constraint->topology_key))
        field_required(v, FIELD(path, "topologyKey"), "can not be empty");
    if (!is_one_of(constraint->when_unsatisfiable, actions))
        field_not_supported(v, FIELD(path, "whenUnsatisfiable"), constraint->when_unsatisfiable,
                            actions);
    check_repeated_constraint(v, i, later, path);
    validate_min_domains(v, constraint, FIELD(path, "minDomains"));
    if (constraint->node_affinity_policy && !is_one_of(constraint->node_affinity_policy, policies))
        field_not_supported(v, FIELD(path, "nodeAffinityPolicy"), constraint->node_affinity_policy,
                            policies);
    if (constraint->node_taints_policy && !is_one_of(constraint->node_taints_policy, policies))
        field_not_supported(v, FIELD(path, "nodeTaintsPolicy"), constraint->node_taints_policy,
                            policies);
    const struct label_keys keys = {constraint->match_label_keys, constraint->n_match_label_keys,
                                    NULL, 0};
    validate_label_keys(v, &keys, constraint->label_selector, path);
    validate_label_selector(v, constraint->label_selector, FIELD(path, "labelSelector"));
}

void validate_spread_constraints(struct validation *v, const struct field_path *path)
{
    size_t count = v->spec->n_topology_spread_constraints;
    /* pair → the last index that has it: a constraint is a repetition when a later one is the same.
     */
    struct text_map last = {.arena = v->scratch};
    for (size_t i = count; i > 0; i--) {
        const Core__TopologySpreadConstraint *constraint =
            v->spec->topology_spread_constraints[i - 1];
        text_map_add(&last,
                     arena_printf(v->scratch, "{%s, %s}", or_empty(constraint->topology_key),
                                  or_empty(constraint->when_unsatisfiable)),
                     i - 1);
    }
    for (size_t i = 0; i < count; i++)
        validate_spread_constraint(v, i, &last, FIELD_AT(path, i));
}

void validate_scheduling_gates(struct validation *v, const struct field_path *path)
{
    struct text_map seen = {.arena = v->scratch};
    for (size_t i = 0; i < v->spec->n_scheduling_gates; i++) {
        const char *name = or_empty(v->spec->scheduling_gates[i]->name);
        field_check_name(v, FIELD_AT(path, i), name, name_rule_qualified);
        if (!text_map_add(&seen, name, i))
            field_duplicate(v, FIELD_AT(path, i), name);
    }
}

/* --- DNS --- */

static void validate_searches(struct validation *v, const Core__PodDNSConfig *config,
                              const struct field_path *path)
{
    size_t bytes = config->n_searches > 0 ? config->n_searches - 1 : 0; /* the blanks between */
    for (size_t i = 0; i < config->n_searches; i++)
        bytes += strlen(config->searches[i]);
    if (config->n_searches > DNS_SEARCHES_MAX)
        field_invalid_list(v, path, config->searches, config->n_searches,
                           "must not have more than 32 search paths");
    if (bytes > DNS_SEARCH_LIST_MAX_BYTES)
        field_invalid_list(
            v, path, config->searches, config->n_searches,
            "must not have more than 2048 characters (including spaces) in the search list");
    for (size_t i = 0; i < config->n_searches; i++) {
        char *search = arena_strdup(v->scratch, config->searches[i]);
        if (text_eq(search, "."))
            continue;
        size_t len = strlen(search);
        if (len > 0 && search[len - 1] == '.')
            search[len - 1] = '\0';
        field_check_name(v, FIELD_AT(path, i), search, name_rule_dns1123_subdomain_underscore);
    }
}

void validate_dns_config(struct validation *v, const struct field_path *path)
{
    const Core__PodDNSConfig *config = v->spec->dns_config;
    const struct field_path *nameservers = FIELD(path, "nameservers");
    if (text_eq(v->spec->dns_policy, "None")) {
        if (!config) {
            field_required(v, path, "must provide `dnsConfig` when `dnsPolicy` is None");
            return;
        }
        if (config->n_nameservers == 0) {
            field_required(v, nameservers,
                           "must provide at least one DNS nameserver when `dnsPolicy` is None");
            return;
        }
    }
    if (!config)
        return;
    if (config->n_nameservers > DNS_NAMESERVERS_MAX)
        field_invalid_list(v, nameservers, config->nameservers, config->n_nameservers,
                           "must not have more than 3 nameservers");
    for (size_t i = 0; i < config->n_nameservers; i++)
        field_check_name(v, FIELD_AT(nameservers, i), config->nameservers[i], name_rule_ip);
    validate_searches(v, config, FIELD(path, "searches"));
    for (size_t i = 0; i < config->n_options; i++) {
        if (is_empty(config->options[i]->name))
            field_required(v, FIELD_AT(FIELD(path, "options"), i), "must not be empty");
    }
}
