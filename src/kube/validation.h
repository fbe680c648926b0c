/*
 * What validators of every kind share: where an error is (a path on the stack), how it is recorded,
 * the rules on names, and those on the metadata that all objects have. Pure. Any thread.
 */
#pragma once

#include "kube/validate.h"

/* --- paths --- */

/**
 * A place in the object: links on the stack towards the root, turned into text only when an error
 * is recorded. One of name (a child), key (a map's entry), or index.
 */
struct field_path {
    const struct field_path *parent; /* NULL at the root */
    const char *name;
    const char *key;
    size_t index;
};

/* Links that live until the end of the block they are written in. */
#define FIELD(parent_, name_) (&(const struct field_path){.parent = (parent_), .name = (name_)})
#define FIELD_AT(parent_, index_)                                                                  \
    (&(const struct field_path){.parent = (parent_), .index = (index_)})
#define FIELD_KEY(parent_, key_) (&(const struct field_path){.parent = (parent_), .key = (key_)})

/* --- a set of texts --- */

/** Texts with a number each, in an arena: uniqueness in one look, however long a hostile list is.
 */
struct text_map {
    struct arena *arena;
    struct text_map_slot *slots; /* capacity is a power of two, at most half full */
    size_t capacity;
    size_t count;
};

/** Remembers @text (borrowed, as is @len) with @value. False, and nothing changed, when it is there
 * already. */
bool text_map_add(struct text_map *map, const char *text, size_t value);
/** True when @text is there; its number goes to @ret_value, which may be NULL. */
bool text_map_find(const struct text_map *map, const char *text, size_t *ret_value);

/* --- one validation --- */

struct validation {
    struct field_errors *errors;
    struct arena *scratch; /* for the time of the call */
    const Core__Pod *pod;
    const Core__PodSpec *spec;
    bool host_network, host_users;
    const char *os;          /* spec.os.name, NULL without spec.os */
    struct text_map volumes; /* name → index in spec->volumes, valid volumes only */
    struct text_map claims;  /* names of spec.resourceClaims */
};

/* Recording, one function a kind of field.Error. @detail may be NULL or "" for none. */
void field_required(struct validation *v, const struct field_path *path, const char *detail);
void field_forbidden(struct validation *v, const struct field_path *path, const char *detail);
void field_duplicate(struct validation *v, const struct field_path *path, const char *value);
void field_not_found(struct validation *v, const struct field_path *path, const char *value,
                     const char *detail);
/** Invalid value: "text": detail. A NULL @value prints as "". */
void field_invalid(struct validation *v, const struct field_path *path, const char *value,
                   const char *detail);
/** Invalid value: number: detail. */
void field_invalid_number(struct validation *v, const struct field_path *path, int64_t value,
                          const char *detail);
/** Invalid value: raw: detail; @raw is printed unquoted (JSON, true, false). */
void field_invalid_raw(struct validation *v, const struct field_path *path, const char *raw,
                       const char *detail);
/** Invalid value with the object's JSON. */
void field_invalid_message(struct validation *v, const struct field_path *path,
                           const ProtobufCMessage *value, const char *detail);
/** Invalid value with a JSON list of texts. */
void field_invalid_list(struct validation *v, const struct field_path *path, char *const *values,
                        size_t count, const char *detail);
/** Unsupported value: "text": supported values: …; @supported is ended by NULL and in upstream's
 * order. */
void field_not_supported(struct validation *v, const struct field_path *path, const char *value,
                         const char *const *supported);
void field_too_long(struct validation *v, const struct field_path *path, size_t max_bytes);
void field_too_many(struct validation *v, const struct field_path *path, size_t count, size_t max);

/* Small checks built from them. */
/** Required when empty and @required; unsupported when not in @supported. */
void field_check_enum(struct validation *v, const struct field_path *path, const char *value,
                      const char *const *supported);
void field_check_nonnegative(struct validation *v, const struct field_path *path, int64_t value);
/** "must be between low and high, inclusive". */
void field_check_range(struct validation *v, const struct field_path *path, int64_t value,
                       int64_t low, int64_t high);
void field_check_mode(struct validation *v, const struct field_path *path, bool has_mode,
                      int32_t mode);
/** Not empty. */
void field_check_present(struct validation *v, const struct field_path *path, const char *value);

/* Path texts (validate_volume.c). */
/** True when some element between slashes is "..". NULL is fine. */
bool has_backsteps(const char *path);
void field_check_no_backsteps(struct validation *v, const struct field_path *path,
                              const char *value);
void field_check_descending_path(struct validation *v, const struct field_path *path,
                                 const char *value);
void field_check_local_path(struct validation *v, const struct field_path *path, const char *value);

/* --- names (validate_names.c) --- */

/** What is wrong with a name, in upstream's order and words; static texts. */
#define NAME_FAULTS_MAX 6
struct name_faults {
    size_t count;
    const char *messages[NAME_FAULTS_MAX];
};
typedef void name_rule(struct str name, struct name_faults *faults);

name_rule name_rule_dns1123_label;
name_rule name_rule_dns1123_subdomain;
/** A prefix of a generated name: a trailing dash is fine. */
name_rule name_rule_dns1123_subdomain_prefix;
name_rule name_rule_dns1123_subdomain_underscore;
name_rule name_rule_qualified;
name_rule name_rule_label_value;
name_rule name_rule_port_name;
name_rule name_rule_env_name;
name_rule name_rule_config_key;
name_rule name_rule_http_header;
name_rule name_rule_ip;

/** Records each fault of @value at @path. NULL counts as "". */
void field_check_name(struct validation *v, const struct field_path *path, const char *value,
                      name_rule *rule);
/** The same for the lower-cased @value, as annotation keys are read; the value is shown as it is.
 */
void field_check_name_lowered(struct validation *v, const struct field_path *path,
                              const char *value, name_rule *rule);
/** Lower-case sysctl segments joined by '.' or '/', at most 253 bytes. */
bool is_sysctl_name(const char *name);

/* --- small readings --- */

static inline bool is_empty(const char *text)
{
    return !text || !*text;
}

static inline const char *or_empty(const char *text)
{
    return text ? text : "";
}

/** True when @value is one of @list, which is ended by NULL. */
bool is_one_of(const char *value, const char *const *list);

static inline const char *reference_name(const Core__LocalObjectReference *reference)
{
    return reference ? or_empty(reference->name) : "";
}

/** A visitor's list of all init and regular containers in upstream's order. */
struct container_place {
    const Core__Container *container;
    const char *list; /* "initContainers" or "containers" */
    size_t index;
};
/** The @i-th of them; false beyond the last. */
bool container_at(const Core__PodSpec *spec, size_t i, struct container_place *ret);

/* --- metadata (validate_meta.c) --- */

/** What holds for labels, annotations, owners and finalizers of any object; @path is where @meta
 * lies. */
void validate_common_metadata(struct validation *v, const Meta__ObjectMeta *meta,
                              const struct field_path *path);
