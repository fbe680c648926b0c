/*
 * ConfigMaps and Secrets: keys, sizes, types, and what `immutable` means.
 */
#include "plane/strategy_internal.h"

#include "wire/json.h"

/* core.MaxSecretSize: of all values together, in both kinds. */
#define DATA_MAX_BYTES (1 * MiB)

static void check_key(struct validation *v, const struct field_path *map, const char *key)
{
    field_check_name(v, FIELD_KEY(map, or_empty(key)), key, name_rule_config_key);
}

static void check_still_immutable(struct validation *v, bool is_kept)
{
    if (!is_kept)
        field_forbidden(v, FIELD(NULL, "immutable"), "field is immutable when `immutable` is set");
}

static void forbid_change(struct validation *v, const char *field)
{
    field_forbidden(v, FIELD(NULL, field), "field is immutable when `immutable` is set");
}

/* --- ConfigMap --- */

static bool same_text_data(const Core__ConfigMap *a, const Core__ConfigMap *b)
{
    Core__ConfigMap left = CORE__CONFIG_MAP__INIT, right = CORE__CONFIG_MAP__INIT;
    left.n_data = a->n_data;
    left.data = a->data;
    right.n_data = b->n_data;
    right.data = b->data;
    return kube_message_eq(&left.base, &right.base);
}

static bool same_binary_data(const Core__ConfigMap *a, const Core__ConfigMap *b)
{
    Core__ConfigMap left = CORE__CONFIG_MAP__INIT, right = CORE__CONFIG_MAP__INIT;
    left.n_binary_data = a->n_binary_data;
    left.binary_data = a->binary_data;
    right.n_binary_data = b->n_binary_data;
    right.binary_data = b->binary_data;
    return kube_message_eq(&left.base, &right.base);
}

static void check_config_map_data(struct validation *v, const Core__ConfigMap *map)
{
    struct text_map binary = {.arena = v->scratch};
    size_t total = 0;
    for (size_t i = 0; i < map->n_binary_data; i++) {
        text_map_add(&binary, or_empty(map->binary_data[i]->key), i);
        total += map->binary_data[i]->value.len;
    }
    const struct field_path *data = FIELD(NULL, "data");
    for (size_t i = 0; i < map->n_data; i++) {
        const char *key = or_empty(map->data[i]->key);
        check_key(v, data, key);
        if (text_map_find(&binary, key, NULL))
            field_invalid(v, FIELD_KEY(data, key), key, "duplicate of key present in binaryData");
        total += strlen(or_empty(map->data[i]->value));
    }
    for (size_t i = 0; i < map->n_binary_data; i++)
        check_key(v, FIELD(NULL, "binaryData"), map->binary_data[i]->key);
    if (total > DATA_MAX_BYTES)
        field_too_long(v, FIELD(NULL, ""), DATA_MAX_BYTES);
}

static void validate_config_map(const struct strategy_context *context,
                                const ProtobufCMessage *object, const ProtobufCMessage *old_object,
                                struct field_errors *errors)
{
    const Core__ConfigMap *map = (const Core__ConfigMap *)object;
    const Core__ConfigMap *old = (const Core__ConfigMap *)old_object;
    struct validation v = strategy_validation(context, errors);
    if (old)
        meta_validate_new_finalizers(&v, map->metadata, old->metadata);
    if (old && old->immutable) {
        check_still_immutable(&v, map->immutable);
        if (!same_text_data(map, old))
            forbid_change(&v, "data");
        if (!same_binary_data(map, old))
            forbid_change(&v, "binaryData");
    }
    meta_validate(&v, map->metadata, META_NAMESPACED, name_rule_dns1123_subdomain);
    check_config_map_data(&v, map);
}

const struct strategy strategy_config_map = {.validate = validate_config_map};

/* --- Secret --- */

static Core__Secret__DataEntry *find_data(const Core__Secret *secret, const char *key)
{
    for (size_t i = 0; i < secret->n_data; i++) {
        if (text_eq(secret->data[i]->key, key))
            return secret->data[i];
    }
    return NULL;
}

/* stringData is only a way to write data. */
static void merge_string_data(Core__Secret *secret, struct arena *arena)
{
    if (secret->n_string_data == 0)
        return;
    Core__Secret__DataEntry **merged =
        arena_calloc(arena, secret->n_data + secret->n_string_data, sizeof(void *));
    for (size_t i = 0; i < secret->n_data; i++)
        merged[i] = secret->data[i];
    secret->data = merged;
    for (size_t i = 0; i < secret->n_string_data; i++) {
        const Core__Secret__StringDataEntry *entry = secret->string_data[i];
        Core__Secret__DataEntry *data = find_data(secret, entry->key);
        if (!data) {
            data = NEW_MESSAGE(arena, Core__Secret__DataEntry, core__secret__data_entry);
            data->key = entry->key;
            merged[secret->n_data++] = data;
        }
        const char *text = or_empty(entry->value);
        data->has_value = true;
        data->value.len = strlen(text);
        data->value.data = arena_memdup(arena, text, data->value.len);
    }
    secret->n_string_data = 0;
    secret->string_data = NULL;
}

static void default_secret(ProtobufCMessage *object, struct arena *arena)
{
    Core__Secret *secret = (Core__Secret *)object;
    strategy_default_text(&secret->type, "Opaque", arena);
    merge_string_data(secret, arena);
}

static void check_json(struct validation *v, const Core__Secret *secret, const char *key)
{
    const struct field_path *path = FIELD_KEY(FIELD(NULL, "data"), key);
    const Core__Secret__DataEntry *data = find_data(secret, key);
    if (!data) {
        field_required(v, path, NULL);
        return;
    }
    const struct doc_parse_options options = {.max_bytes = DATA_MAX_BYTES};
    const struct str text = {.ptr = (const char *)data->value.data, .len = data->value.len};
    const struct doc_node *document = NULL;
    AUTO(error) struct error *err = json_parse(text, &options, v->scratch, &document);
    if (err)
        field_invalid(v, path, "<secret contents redacted>", err->message);
    else if (document->kind != DOC_OBJECT)
        field_invalid(v, path, "<secret contents redacted>", "the document must be an object");
}

static void require_data(struct validation *v, const Core__Secret *secret, const char *key)
{
    if (!find_data(secret, key))
        field_required(v, FIELD_KEY(FIELD(NULL, "data"), key), NULL);
}

static void check_account_token(struct validation *v, const Core__Secret *secret)
{
    static const char key[] = "kubernetes.io/service-account.name";
    for (size_t i = 0; i < secret->metadata->n_annotations; i++) {
        if (text_eq(secret->metadata->annotations[i]->key, key) &&
            !is_empty(secret->metadata->annotations[i]->value))
            return;
    }
    field_required(v, FIELD_KEY(FIELD(FIELD(NULL, "metadata"), "annotations"), key), NULL);
}

static void check_basic_auth(struct validation *v, const Core__Secret *secret)
{
    if (find_data(secret, "username") || find_data(secret, "password"))
        return;
    require_data(v, secret, "username");
    require_data(v, secret, "password");
}

static void check_ssh_auth(struct validation *v, const Core__Secret *secret)
{
    const Core__Secret__DataEntry *key = find_data(secret, "ssh-privatekey");
    if (!key || key->value.len == 0)
        field_required(v, FIELD_KEY(FIELD(NULL, "data"), "ssh-privatekey"), NULL);
}

static void check_docker_config(struct validation *v, const Core__Secret *secret)
{
    check_json(v, secret, ".dockercfg");
}

static void check_docker_config_json(struct validation *v, const Core__Secret *secret)
{
    check_json(v, secret, ".dockerconfigjson");
}

static void check_tls(struct validation *v, const Core__Secret *secret)
{
    require_data(v, secret, "tls.crt");
    require_data(v, secret, "tls.key");
}

static void check_secret_type(struct validation *v, const Core__Secret *secret)
{
    static const struct {
        const char *type;
        void (*check)(struct validation *v, const Core__Secret *secret);
    } rows[] = {
        {"kubernetes.io/service-account-token", check_account_token},
        {"kubernetes.io/dockercfg", check_docker_config},
        {"kubernetes.io/dockerconfigjson", check_docker_config_json},
        {"kubernetes.io/basic-auth", check_basic_auth},
        {"kubernetes.io/ssh-auth", check_ssh_auth},
        {"kubernetes.io/tls", check_tls},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (text_eq(secret->type, rows[i].type))
            rows[i].check(v, secret);
    }
}

static bool same_secret_data(const Core__Secret *a, const Core__Secret *b)
{
    Core__Secret left = CORE__SECRET__INIT, right = CORE__SECRET__INIT;
    left.n_data = a->n_data;
    left.data = a->data;
    right.n_data = b->n_data;
    right.data = b->data;
    return kube_message_eq(&left.base, &right.base);
}

static void validate_secret(const struct strategy_context *context, const ProtobufCMessage *object,
                            const ProtobufCMessage *old_object, struct field_errors *errors)
{
    const Core__Secret *secret = (const Core__Secret *)object;
    const Core__Secret *old = (const Core__Secret *)old_object;
    struct validation v = strategy_validation(context, errors);
    if (old) {
        meta_validate_new_finalizers(&v, secret->metadata, old->metadata);
        strategy_check_immutable_text(&v, FIELD(NULL, "type"), secret->type, old->type);
    }
    if (old && old->immutable) {
        check_still_immutable(&v, secret->immutable);
        if (!same_secret_data(secret, old))
            forbid_change(&v, "data");
    }
    meta_validate(&v, secret->metadata, META_NAMESPACED, name_rule_dns1123_subdomain);
    size_t total = 0;
    for (size_t i = 0; i < secret->n_data; i++) {
        check_key(&v, FIELD(NULL, "data"), secret->data[i]->key);
        total += secret->data[i]->value.len;
    }
    if (total > DATA_MAX_BYTES)
        field_too_long(&v, FIELD(NULL, "data"), DATA_MAX_BYTES);
    check_secret_type(&v, secret);
}

const struct strategy strategy_secret = {
    .set_defaults = default_secret,
    .validate = validate_secret,
};
