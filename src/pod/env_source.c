#include "pod/env_source.h"

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static struct error *no_client(const struct container_config_input *input,
                               const struct env_reference *reference)
{
    return error_new(ERROR_FAILED_PRECONDITION, "couldn't get %s %s/%s, no kubeClient defined",
                     reference->is_secret ? "secret" : "configMap",
                     or_empty(input->pod->metadata->namespace_), or_empty(reference->name));
}

static const struct env_object *look_up(const struct env_sources *sources,
                                        const struct env_reference *reference)
{
    for (size_t i = 0; i < sources->n_objects; i++) {
        const struct env_object *object = &sources->objects[i];
        if (object->is_secret == reference->is_secret && text_eq(object->name, reference->name))
            return object;
    }
    return NULL;
}

struct error *env_source_find(const struct container_config_input *input,
                              const struct env_reference *reference,
                              const struct env_object **ret_object)
{
    if (!input->env_sources)
        return no_client(input, reference);
    const struct env_object *object = look_up(input->env_sources, reference);
    if (!object) /* a name that cannot be asked for: the managers know nothing of it either */
        return error_new(ERROR_FAILED_PRECONDITION, "object \"%s\"/\"%s\" not registered",
                         or_empty(input->pod->metadata->namespace_), or_empty(reference->name));
    if (object->err && !(reference->is_optional && error_is(object->err, ERROR_NOT_FOUND)))
        return error_dup(object->err);
    *ret_object = object->err ? NULL : object;
    return NULL;
}

size_t env_source_count(const struct env_object *object)
{
    return object->is_secret ? ((const Core__Secret *)object->object)->n_data
                             : ((const Core__ConfigMap *)object->object)->n_data;
}

struct env_entry env_source_entry(const struct env_object *object, size_t index)
{
    if (object->is_secret) {
        const Core__Secret__DataEntry *entry = ((const Core__Secret *)object->object)->data[index];
        return (struct env_entry){
            .key = or_empty(entry->key),
            .value = {.ptr = (const char *)entry->value.data, .len = entry->value.len}};
    }
    const Core__ConfigMap__DataEntry *entry =
        ((const Core__ConfigMap *)object->object)->data[index];
    return (struct env_entry){.key = or_empty(entry->key),
                              .value = str_from(or_empty(entry->value))};
}

static bool find_key(const struct env_object *object, const char *key, struct str *ret_value)
{
    for (size_t i = 0; i < env_source_count(object); i++) {
        struct env_entry entry = env_source_entry(object, i);
        if (strcmp(entry.key, key) != 0)
            continue;
        *ret_value = entry.value;
        return true;
    }
    return false;
}

struct error *env_source_value(const struct container_config_input *input,
                               const struct env_reference *reference, const char *key,
                               struct str *ret_value, bool *ret_found)
{
    const struct env_object *object = NULL;
    struct error *err = env_source_find(input, reference, &object);
    if (err)
        return err;
    bool found = object && find_key(object, or_empty(key), ret_value);
    if (object && !found && !reference->is_optional)
        return error_new(ERROR_INVALID_ARGUMENT, "couldn't find key %s in %s %s/%s", or_empty(key),
                         reference->is_secret ? "Secret" : "ConfigMap",
                         or_empty(input->pod->metadata->namespace_), reference->name);
    *ret_found = found;
    return NULL;
}
