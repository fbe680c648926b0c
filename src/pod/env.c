#include "pod/env.h"

#include "pod/cri_config_internal.h"
#include "pod/cri_message.h"
#include "pod/downward.h"
#include "pod/env_file.h"
#include "pod/env_source.h"
#include "pod/expand.h"
#include "pod/go_text.h"
#include "pod/service_env.h"

#include "base/hash.h"
#include "kube/resources.h"

struct variable {
    const char *name;
    const char *value; /* terminated; what comes from a Secret may hold zero bytes before */
    size_t len;
    UT_hash_handle hh;
};

/* Entries live in the arena; uthash keeps the order of insertion. */
struct environment {
    struct variable *variables; /* hash head */
    struct variable *services;  /* hash head: what holds where no variable has that name */
    size_t bytes;
};

static struct variable *find(struct variable *variables, struct str name)
{
    struct variable *variable;
    HASH_FIND(hh, variables, name.ptr, name.len, variable);
    return variable;
}

const char *environment_lookup(const void *environment, struct str name)
{
    const struct environment *self = environment;
    const struct variable *variable = find(self->variables, name);
    if (!variable)
        variable = find(self->services, name);
    return variable ? variable->value : NULL;
}

void environment_free(struct environment *environment)
{
    if (!environment)
        return;
    HASH_CLEAR(hh, environment->variables);
    HASH_CLEAR(hh, environment->services);
    free(environment);
}

/* A later value takes the place of an earlier one. Both texts are kept; @value is terminated. */
static struct error *set(struct environment *environment, struct variable **variables,
                         struct arena *arena, const char *name, struct str value)
{
    environment->bytes += strlen(name) + value.len;
    if (environment->bytes > ENVIRONMENT_MAX_BYTES)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "the environment is larger than %zu bytes",
                         ENVIRONMENT_MAX_BYTES);
    struct variable *variable = find(*variables, str_from(name));
    if (!variable) {
        variable = arena_alloc(arena, sizeof(*variable));
        variable->name = name;
        HASH_ADD_KEYPTR(hh, *variables, variable->name, strlen(variable->name), variable);
    }
    variable->value = value.ptr;
    variable->len = value.len;
    return NULL;
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* Objects' values are as long as they say; ours end with a zero byte. */
static const char *terminated(struct arena *arena, struct str value)
{
    char *text = arena_alloc(arena, value.len + 1);
    if (value.len > 0)
        memcpy(text, value.ptr, value.len);
    return text;
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
    /* Of a volume that is not on the host nothing is read, nor is a file without a name. */
    const struct env_file *file = find_file(input, selector);
    if (!file || !file->readable)
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

/* The value of one key of an object, terminated; *ret NULL as in from_file(). */
static struct error *from_object(const struct container_config_input *input,
                                 const struct env_reference *reference, const char *key,
                                 struct arena *arena, struct str *ret)
{
    struct str value = {0};
    bool found = false;
    struct error *err = env_source_value(input, reference, key, &value, &found);
    if (err)
        return err;
    ret->ptr = found ? terminated(arena, value) : NULL;
    ret->len = value.len;
    return NULL;
}

static struct env_reference reference_to(bool is_secret, const Core__LocalObjectReference *object,
                                         bool is_optional)
{
    return (struct env_reference){
        .is_secret = is_secret, .name = object ? object->name : NULL, .is_optional = is_optional};
}

static struct error *from_key(const struct container_config_input *input,
                              const Core__EnvVarSource *source, struct arena *arena,
                              struct str *ret)
{
    const Core__ConfigMapKeySelector *config_map = source->config_map_key_ref;
    const Core__SecretKeySelector *secret = source->secret_key_ref;
    struct env_reference reference =
        config_map ? reference_to(false, config_map->local_object_reference, config_map->optional)
                   : reference_to(true, secret->local_object_reference, secret->optional);
    return from_object(input, &reference, config_map ? config_map->key : secret->key, arena, ret);
}

static struct error *from_source(const struct container_config_input *input,
                                 const Core__EnvVarSource *source, struct arena *arena,
                                 struct str *ret)
{
    const char *text = "";
    struct error *err = NULL;
    if (source->field_ref)
        err = downward_field(source->field_ref, input->pod, input->node, input->pod_ips, arena,
                             &text);
    else if (source->resource_field_ref)
        err = downward_resource(source->resource_field_ref, input->pod, input->container,
                                input->node, arena, &text);
    else if (source->config_map_key_ref || source->secret_key_ref)
        return from_key(input, source, arena, ret);
    else if (source->file_key_ref)
        err = from_file(input, source->file_key_ref, arena, &text);
    if (err)
        return err;
    *ret = str_from(text);
    return NULL;
}

static struct error *set_variable(const struct container_config_input *input,
                                  const Core__EnvVar *variable, struct environment *environment,
                                  struct arena *arena)
{
    struct str value = STR_LITERAL("");
    struct error *err = NULL;
    if (variable->value && *variable->value) {
        const char *text = NULL;
        err = expand(variable->value, environment_lookup, environment, arena, &text);
        value = str_from(text);
    } else if (variable->value_from) {
        err = from_source(input, variable->value_from, arena, &value);
    }
    if (err || !value.ptr)
        return err;
    return set(environment, &environment->variables, arena, or_empty(variable->name), value);
}

/* Every key of the object becomes a variable: names are not checked, any text goes. */
static struct error *set_all(const struct container_config_input *input,
                             const Core__EnvFromSource *source, struct environment *environment,
                             struct arena *arena)
{
    const Core__ConfigMapEnvSource *config_map = source->config_map_ref;
    const Core__SecretEnvSource *secret = source->secret_ref;
    if (!config_map && !secret)
        return NULL;
    struct env_reference reference =
        config_map ? reference_to(false, config_map->local_object_reference, config_map->optional)
                   : reference_to(true, secret->local_object_reference, secret->optional);
    const struct env_object *object = NULL;
    struct error *err = env_source_find(input, &reference, &object);
    for (size_t i = 0; !err && object && i < env_source_count(object); i++) {
        struct env_entry entry = env_source_entry(object, i);
        const char *name = source->prefix && *source->prefix
                               ? arena_printf(arena, "%s%s", source->prefix, entry.key)
                               : entry.key;
        struct str value = {.ptr = terminated(arena, entry.value), .len = entry.value.len};
        err = set(environment, &environment->variables, arena, name, value);
    }
    return err;
}

static struct error *set_services(const struct container_config_input *input,
                                  struct environment *environment, struct arena *arena)
{
    const struct env_sources *sources = input->env_sources;
    if (!sources || sources->n_services == 0)
        return NULL;
    const struct service_audience audience = {.namespace_ = input->pod->metadata->namespace_,
                                              .has_links = input->pod->spec->enable_service_links};
    const struct service_variable *variables;
    size_t count;
    service_env_build(&audience, sources->services, sources->n_services, arena, &variables, &count);
    struct error *err = NULL;
    for (size_t i = 0; !err && i < count; i++)
        err = set(environment, &environment->services, arena, variables[i].name,
                  str_from(variables[i].value));
    return err;
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
    struct error *err = set_services(input, environment, arena);
    for (size_t i = 0; !err && i < container->n_env_from; i++)
        err = set_all(input, container->env_from[i], environment, arena);
    for (size_t i = 0; !err && i < container->n_env; i++)
        err = set_variable(input, container->env[i], environment, arena);
    if (err)
        return err;
    *ret = TAKE(environment);
    return NULL;
}

static Cri__KeyValue *pair_of(const struct variable *variable, struct arena *arena)
{
    Cri__KeyValue *pair = cri_new(arena, &cri__key_value__descriptor);
    pair->key = cri_text(arena, variable->name);
    pair->value.len = variable->len;
    pair->value.data = arena_memdup(arena, variable->value, variable->len + 1);
    return pair;
}

Cri__KeyValue **environment_to_cri(const struct environment *environment, struct arena *arena,
                                   size_t *ret_count)
{
    size_t most = HASH_COUNT(environment->variables) + HASH_COUNT(environment->services);
    *ret_count = 0;
    if (most == 0)
        return NULL;
    Cri__KeyValue **list = cri_array(arena, most);
    size_t count = 0;
    const struct variable *variable;
    for (variable = environment->variables; variable; variable = variable->hh.next)
        list[count++] = pair_of(variable, arena);
    for (variable = environment->services; variable; variable = variable->hh.next) {
        if (!find(environment->variables, str_from(variable->name)))
            list[count++] = pair_of(variable, arena);
    }
    *ret_count = count;
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
