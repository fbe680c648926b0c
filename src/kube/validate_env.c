/*
 * Environment variables and what they may be read from; the field and resource selectors serve the
 * downward API volumes as well.
 */
#include "kube/validate_internal.h"

#include "kube/quantity.h"

/* --- downward API selectors --- */

/* "metadata.labels['app']" → the part before the bracket, and the key. False when @text has no such
 * form. */
static bool split_subscript(struct arena *arena, const char *text, const char **ret_path,
                            const char **ret_key)
{
    const char *bracket = strstr(text, "['");
    size_t len = strlen(text);
    if (!bracket || bracket == text || !text_has_suffix(text, "']"))
        return false;
    const char *key = bracket + 2, *end = text + len - 2;
    if (key > end)
        return false;
    *ret_path = arena_strndup(arena, text, (size_t)(bracket - text));
    *ret_key = arena_strndup(arena, key, (size_t)(end - key));
    return true;
}

static void check_subscripted(struct validation *v, const char *path_text, const char *key,
                              const char *whole, const struct field_path *path)
{
    if (text_eq(path_text, "metadata.annotations"))
        field_check_name_lowered(v, path, key, name_rule_qualified);
    else if (text_eq(path_text, "metadata.labels"))
        field_check_name(v, path, key, name_rule_qualified);
    else
        field_invalid(v, FIELD(path, "fieldPath"), whole,
                      arena_printf(v->scratch,
                                   "error converting fieldPath: field label does not support "
                                   "subscript: %s",
                                   whole));
}

void validate_field_ref(struct validation *v, const Core__ObjectFieldSelector *selector,
                        bool in_volume, const struct field_path *path)
{
    /* What the conversion knows at all (pkg/apis/core/pods: ConvertDownwardAPIFieldLabel). */
    static const char *const known[] = {
        "metadata.annotations", "metadata.labels", "metadata.name",      "metadata.namespace",
        "metadata.uid",         "spec.nodeName",   "spec.restartPolicy", "spec.serviceAccountName",
        "spec.schedulerName",   "status.phase",    "status.hostIP",      "status.hostIPs",
        "status.podIP",         "status.podIPs",   "spec.host",          NULL};
    static const char *const for_env[] = {"metadata.name",
                                          "metadata.namespace",
                                          "metadata.uid",
                                          "spec.nodeName",
                                          "spec.serviceAccountName",
                                          "status.hostIP",
                                          "status.hostIPs",
                                          "status.podIP",
                                          "status.podIPs",
                                          NULL};
    static const char *const for_volume[] = {"metadata.annotations", "metadata.labels",
                                             "metadata.name",        "metadata.namespace",
                                             "metadata.uid",         NULL};
    const char *field = or_empty(selector->field_path), *subscripted, *key;
    const struct field_path *at = FIELD(path, "fieldPath");
    if (is_empty(selector->api_version)) {
        field_required(v, FIELD(path, "apiVersion"), NULL);
        return;
    }
    if (is_empty(field)) {
        field_required(v, at, NULL);
        return;
    }
    const char *fault = NULL;
    if (!text_eq(selector->api_version, "v1"))
        fault = arena_printf(v->scratch, "error converting fieldPath: unsupported pod version: %s",
                             selector->api_version);
    else if (split_subscript(v->scratch, field, &subscripted, &key)) {
        check_subscripted(v, subscripted, key, field, path);
        return;
    } else if (!is_one_of(field, known))
        fault = arena_printf(v->scratch,
                             "error converting fieldPath: field label not supported: %s", field);
    if (fault) {
        field_invalid(v, at, field, fault);
        return;
    }
    if (text_eq(field, "spec.host"))
        field = "spec.nodeName";
    const char *const *allowed = in_volume ? for_volume : for_env;
    if (!is_one_of(field, allowed))
        field_not_supported(v, at, field, allowed);
}

#define BYTE_DIVISORS                                                                              \
    "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported " \
    "with the "

static const char *divisor_fault(const char *resource, const char *divisor)
{
    static const char *const cpu[] = {"1m", "1", NULL};
    static const char *const bytes[] = {"1",   "1k",  "1M",  "1G",  "1T",  "1P",  "1E",
                                        "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei", NULL};
    const char *dot = strchr(resource, '.');
    const char *name = dot ? dot + 1 : "";
    if (text_eq(name, "cpu"))
        return is_one_of(divisor, cpu)
                   ? NULL
                   : "only divisor's values 1m and 1 are supported with the cpu resource";
    if (is_one_of(divisor, bytes))
        return NULL;
    if (text_eq(name, "memory"))
        return BYTE_DIVISORS "memory resource";
    if (text_eq(name, "ephemeral-storage"))
        return BYTE_DIVISORS "local ephemeral storage resource";
    return text_has_prefix(name, "hugepages-") ? BYTE_DIVISORS "hugepages resource" : NULL;
}

static void check_divisor(struct validation *v, const char *resource, const Meta__Quantity *divisor,
                          const struct field_path *path)
{
    if (!divisor || is_empty(divisor->string))
        return;
    AUTO(error) struct error *err = quantity_check(str_from(divisor->string));
    if (err) {
        field_invalid(v, FIELD(path, "divisor"), divisor->string, err->message);
        return;
    }
    if (quantity_is_zero(divisor))
        return;
    const char *fault = divisor_fault(resource, quantity_canonical(divisor->string, v->scratch));
    if (fault)
        field_invalid(v, FIELD(path, "divisor"), resource, fault);
}

void validate_resource_field_ref(struct validation *v, const Core__ResourceFieldSelector *selector,
                                 bool in_volume, const struct field_path *path)
{
    static const char *const resources[] = {"limits.cpu",
                                            "limits.ephemeral-storage",
                                            "limits.memory",
                                            "requests.cpu",
                                            "requests.ephemeral-storage",
                                            "requests.memory",
                                            NULL};
    const char *resource = or_empty(selector->resource);
    if (in_volume && is_empty(selector->container_name))
        field_required(v, FIELD(path, "containerName"), NULL);
    else if (is_empty(resource))
        field_required(v, FIELD(path, "resource"), NULL);
    else if (!is_one_of(resource, resources) && !text_has_prefix(resource, "limits.hugepages-") &&
             !text_has_prefix(resource, "requests.hugepages-"))
        field_not_supported(v, FIELD(path, "resource"), resource, resources);
    check_divisor(v, resource, selector->divisor, path);
}

/* --- env --- */

static void check_key_selector(struct validation *v, const char *name, const char *key,
                               const struct field_path *path)
{
    field_check_name(v, FIELD(path, "name"), name, name_rule_dns1123_subdomain);
    if (is_empty(key))
        field_required(v, FIELD(path, "key"), NULL);
    else
        field_check_name(v, FIELD(path, "key"), key, name_rule_config_key);
}

static void validate_file_key(struct validation *v, const Core__FileKeySelector *selector,
                              const struct field_path *path)
{
    if (is_empty(selector->key))
        field_required(v, FIELD(path, "key"), NULL);
    else
        field_check_name(v, FIELD(path, "key"), selector->key, name_rule_env_name);
    if (is_empty(selector->volume_name))
        field_required(v, FIELD(path, "volumeName"), NULL);
    else
        field_check_name(v, FIELD(path, "volumeName"), selector->volume_name,
                         name_rule_dns1123_label);
    if (is_empty(selector->path))
        field_required(v, FIELD(path, "path"), NULL);
    else
        field_check_no_backsteps(v, FIELD(path, "path"), selector->path);
}

/* Checks each source that is there and counts them. */
static size_t validate_env_sources(struct validation *v, const Core__EnvVarSource *from,
                                   const struct field_path *path)
{
    size_t sources = 0;
    if (from->field_ref) {
        sources++;
        validate_field_ref(v, from->field_ref, false, FIELD(path, "fieldRef"));
    }
    if (from->resource_field_ref) {
        sources++;
        validate_resource_field_ref(v, from->resource_field_ref, false,
                                    FIELD(path, "resourceFieldRef"));
    }
    if (from->config_map_key_ref) {
        sources++;
        check_key_selector(v, reference_name(from->config_map_key_ref->local_object_reference),
                           from->config_map_key_ref->key, FIELD(path, "configMapKeyRef"));
    }
    if (from->secret_key_ref) {
        sources++;
        check_key_selector(v, reference_name(from->secret_key_ref->local_object_reference),
                           from->secret_key_ref->key, FIELD(path, "secretKeyRef"));
    }
    if (from->file_key_ref) {
        sources++;
        validate_file_key(v, from->file_key_ref, FIELD(path, "fileKeyRef"));
    }
    return sources;
}

static void validate_value_from(struct validation *v, const Core__EnvVar *var,
                                const struct field_path *path)
{
    if (!var->value_from)
        return;
    size_t sources = validate_env_sources(v, var->value_from, path);
    if (sources == 0)
        field_invalid(v, path, "",
                      "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, "
                      "`secretKeyRef` or `fileKeyRef`");
    else if (!is_empty(var->value))
        field_invalid(v, path, "", "may not be specified when `value` is not empty");
    else if (sources > 1)
        field_invalid(v, path, "", "may not have more than one field specified at a time");
}

static void check_env_reference(struct validation *v, const Core__LocalObjectReference *reference,
                                const struct field_path *path)
{
    const char *name = reference_name(reference);
    if (is_empty(name))
        field_required(v, FIELD(path, "name"), NULL);
    else
        field_check_name(v, FIELD(path, "name"), name, name_rule_dns1123_subdomain_prefix);
}

static void validate_env_from(struct validation *v, const Core__EnvFromSource *from, size_t index,
                              const struct field_path *path)
{
    const struct field_path *at = FIELD_AT(path, index);
    if (!is_empty(from->prefix))
        field_check_name(v, FIELD(at, "prefix"), from->prefix, name_rule_env_name);
    if (from->config_map_ref)
        check_env_reference(v, from->config_map_ref->local_object_reference,
                            FIELD(at, "configMapRef"));
    if (from->secret_ref)
        check_env_reference(v, from->secret_ref->local_object_reference, FIELD(at, "secretRef"));
    /* Without the index, as upstream. */
    if (!from->config_map_ref && !from->secret_ref)
        field_invalid(v, path, "", "must specify one of: `configMapRef` or `secretRef`");
    else if (from->config_map_ref && from->secret_ref)
        field_invalid(v, path, "", "may not have more than one field specified at a time");
}

void validate_env(struct validation *v, const Core__Container *container,
                  const struct field_path *path)
{
    for (size_t i = 0; i < container->n_env; i++) {
        const Core__EnvVar *var = container->env[i];
        const struct field_path *at = FIELD_AT(FIELD(path, "env"), i);
        if (is_empty(var->name))
            field_required(v, FIELD(at, "name"), NULL);
        else
            field_check_name(v, FIELD(at, "name"), var->name, name_rule_env_name);
        validate_value_from(v, var, FIELD(at, "valueFrom"));
    }
    for (size_t i = 0; i < container->n_env_from; i++)
        validate_env_from(v, container->env_from[i], i, FIELD(path, "envFrom"));
}
