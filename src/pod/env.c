#include "pod/env.h"

#include "pod/cri_config_internal.h"
#include "pod/cri_message.h"
#include "pod/downward.h"
#include "pod/env_file.h"
#include "pod/expand.h"
#include "pod/go_text.h"

#include "base/hash.h"
#include "kube/resources.h"

struct variable {
    const char *name;
    const char *value;
    UT_hash_handle hh;
};

struct environment {
    struct variable
        *variables; /* hash head; uthash keeps the order of insertion; entries live in the arena */
    size_t bytes;
};

static struct variable *find(const struct environment *environment, struct str name)
{
    struct variable *variable;
    HASH_FIND(hh, environment->variables, name.ptr, name.len, variable);
    return variable;
}

const char *environment_lookup(const void *environment, struct str name)
{
    const struct variable *variable = find(environment, name);
    return variable ? variable->value : NULL;
}

void environment_free(struct environment *environment)
{
    if (!environment)
        return;
    HASH_CLEAR(hh, environment->variables);
    free(environment);
}

/* A later value takes the place of an earlier one. */
static struct error *set(struct environment *environment, struct arena *arena, const char *name,
                         const char *value)
{
    environment->bytes += strlen(name) + strlen(value);
    if (environment->bytes > ENVIRONMENT_MAX_BYTES)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "the environment is larger than %zu bytes",
                         ENVIRONMENT_MAX_BYTES);
    struct variable *variable = find(environment, str_from(name));
    if (!variable) {
        variable = arena_alloc(arena, sizeof(*variable));
        variable->name = name;
        HASH_ADD_KEYPTR(hh, environment->variables, variable->name, strlen(variable->name),
                        variable);
    }
    variable->value = value;
    return NULL;
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static struct error *no_client(const char *kind, const Core__Pod *pod,
                               const Core__LocalObjectReference *reference)
{
    return error_new(ERROR_FAILED_PRECONDITION, "couldn't get %s %s/%s, no kubeClient defined",
                     kind, or_empty(pod->metadata->namespace_),
                     reference ? or_empty(reference->name) : "");
}

static struct error *check_env_from(const Core__EnvFromSource *source, const Core__Pod *pod)
{
    if (source->config_map_ref)
        return no_client("configMap", pod, source->config_map_ref->local_object_reference);
    if (source->secret_ref)
        return no_client("secret", pod, source->secret_ref->local_object_reference);
    return NULL;
}

static const struct env_file *find_file(const struct container_config_input *input,
                                        const Core__FileKeySelector *selector)
{
    for (size_t i = 0; i < input->n_env_files; i++) {
        const struct env_file *file = &input->env_files[i];
        if (text_eq(file->volume_name, selector->volume_name) &&
            text_eq(file->path, selector->path))
            return file;
    }
    return NULL;
}

/* *ret is NULL when the variable is to be left out. An empty value counts as missing. */
static struct error *from_file(const struct container_config_input *input,
                               const Core__FileKeySelector *selector, struct arena *arena,
                               const char **ret)
{
    if (!mounted_volume_find(input, selector->volume_name))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "cannot find the volume %s referenced by FileKeyRef",
                         go_quote(arena, selector->volume_name));
    const struct env_file *file = find_file(input, selector);
    if (!file)
        return error_new(ERROR_INTERNAL, "the environment file %s of volume %s was not read",
                         go_quote(arena, selector->path), go_quote(arena, selector->volume_name));
    if (!file->readable)
        return error_new(ERROR_INVALID_ARGUMENT, "couldn't parse env file");
    const char *value;
    struct error *err = env_file_get(file->content, or_empty(selector->key), arena, &value);
    if (err) {
        error_ignore(err, "upstream tells users nothing of a container's file");
        return error_new(ERROR_INVALID_ARGUMENT, "couldn't parse env file");
    }
    bool missing = !value || !*value;
    if (missing && !selector->optional)
        return error_new(ERROR_INVALID_ARGUMENT, "environment variable key %s not found in file %s",
                         go_quote(arena, selector->key), go_quote(arena, selector->path));
    *ret = missing ? NULL : value;
    return NULL;
}

static struct error *from_source(const struct container_config_input *input,
                                 const Core__EnvVarSource *source, struct arena *arena,
                                 const char **ret)
{
    if (source->field_ref)
        return downward_field(source->field_ref, input->pod, input->node, input->pod_ips, arena,
                              ret);
    if (source->resource_field_ref)
        return downward_resource(source->resource_field_ref, input->pod, input->container,
                                 input->node, arena, ret);
    if (source->config_map_key_ref)
        return no_client("configMap", input->pod,
                         source->config_map_key_ref->local_object_reference);
    if (source->secret_key_ref)
        return no_client("secret", input->pod, source->secret_key_ref->local_object_reference);
    if (source->file_key_ref)
        return from_file(input, source->file_key_ref, arena, ret);
    *ret = "";
    return NULL;
}

static struct error *set_variable(const struct container_config_input *input,
                                  const Core__EnvVar *variable, struct environment *environment,
                                  struct arena *arena)
{
    const char *value = "";
    struct error *err = NULL;
    if (variable->value && *variable->value)
        err = expand(variable->value, environment_lookup, environment, arena, &value);
    else if (variable->value_from)
        err = from_source(input, variable->value_from, arena, &value);
    if (err)
        return err;
    return value ? set(environment, arena, or_empty(variable->name), value) : NULL;
}

struct error *environment_build(const struct container_config_input *input, struct arena *arena,
                                struct environment **ret)
{
    const Core__Container *container = input->container;
    if (!input->pod->spec->has_enable_service_links)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "nil pod.spec.enableServiceLinks encountered, cannot construct envvars");
    if (input->env_sources && !input->env_sources->services_ready && !pod_is_static(input->pod))
        return error_new(ERROR_UNAVAILABLE,
                         "services have not yet been read at least once, cannot construct envvars");

    AUTO(environment) struct environment *environment = xcalloc(1, sizeof(*environment));
    for (size_t i = 0; i < container->n_env_from; i++) {
        struct error *err = check_env_from(container->env_from[i], input->pod);
        if (err)
            return err;
    }
    for (size_t i = 0; i < container->n_env; i++) {
        struct error *err = set_variable(input, container->env[i], environment, arena);
        if (err)
            return err;
    }
    *ret = TAKE(environment);
    return NULL;
}

Cri__KeyValue **environment_to_cri(const struct environment *environment, struct arena *arena,
                                   size_t *ret_count)
{
    *ret_count = HASH_COUNT(environment->variables);
    if (*ret_count == 0)
        return NULL;
    Cri__KeyValue **list = cri_array(arena, *ret_count);
    size_t i = 0;
    for (const struct variable *variable = environment->variables; variable;
         variable = variable->hh.next) {
        Cri__KeyValue *pair = cri_new(arena, &cri__key_value__descriptor);
        pair->key = cri_text(arena, variable->name);
        pair->value.len = strlen(variable->value);
        pair->value.data = arena_memdup(arena, variable->value, pair->value.len + 1);
        list[i++] = pair;
    }
    return list;
}

static bool already_listed(const struct env_file_request *requests, size_t count,
                           const Core__FileKeySelector *file)
{
    for (size_t i = 0; i < count; i++) {
        if (text_eq(requests[i].volume_name, file->volume_name) &&
            text_eq(requests[i].path, file->path))
            return true;
    }
    return false;
}

void container_env_files(const struct container_config_input *input, struct arena *arena,
                         struct env_file_request **ret_requests, size_t *ret_count)
{
    const Core__Container *container = input->container;
    struct env_file_request *requests =
        arena_calloc(arena, container->n_env + 1, sizeof(*requests));
    size_t count = 0;
    for (size_t i = 0; i < container->n_env; i++) {
        const Core__EnvVarSource *source = container->env[i]->value_from;
        const Core__FileKeySelector *file = source ? source->file_key_ref : NULL;
        if (!file || !file->volume_name || !file->path || already_listed(requests, count, file))
            continue;
        const struct mounted_volume *volume = mounted_volume_find(input, file->volume_name);
        if (!volume || !volume->host_path)
            continue;
        requests[count++] = (struct env_file_request){
            .volume_name = file->volume_name, .volume_path = volume->host_path, .path = file->path};
    }
    *ret_requests = requests;
    *ret_count = count;
}
