/*
 * A docker configuration names registries, each with a user and a password. Entries are kept by the
 * key of their registry (image_match.h). All entries that match an image are candidates, keys in
 * reverse byte order so that the longer path comes first. An image of Docker's own registry that
 * nothing matches gets what is there for that registry's old name.
 *
 * Upstream: pkg/credentialprovider/keyring.go and config.go.
 */
#include "image/credentials.h"

#include "base/fd.h"
#include "image/image_match.h"
#include "kube/codec_base64.h"
#include "wire/json.h"

#include <strings.h>

/* --- finding --- */

/* Keys in reverse byte order; equal ones as they were added. */
static int compare(const void *a, const void *b)
{
    const struct keyring_entry *const *left = a, *const *right = b;
    int order = strcmp((*right)->key, (*left)->key);
    if (order != 0)
        return order;
    return (*left > *right) - (*left < *right);
}

struct image_credential image_credential_dup(const struct image_credential *credential,
                                             struct arena *arena)
{
    const struct credential_source *source = &credential->source;
    return (struct image_credential){
        .username = arena_strdup(arena, credential->username),
        .password = arena_strdup(arena, credential->password),
        .email = arena_strdup(arena, credential->email),
        .source = {.kind = source->kind,
                   .uid = arena_strdup(arena, source->uid),
                   .namespace_ = arena_strdup(arena, source->namespace_),
                   .name = arena_strdup(arena, source->name)},
    };
}

void keyring_find(const struct keyring *keyring, const char *image, struct arena *arena,
                  const struct image_credential **ret, size_t *ret_count)
{
    struct str repository = image_repository(image, arena);
    const struct keyring_entry **found =
        arena_calloc(arena, keyring->count + 1, sizeof(const struct keyring_entry *));
    size_t count = 0;
    for (size_t i = 0; i < keyring->count; i++) {
        if (registry_key_matches(keyring->entries[i].key, repository))
            found[count++] = &keyring->entries[i];
    }
    bool is_default = count == 0 && image_is_of_default_registry(repository);
    for (size_t i = 0; is_default && i < keyring->count; i++) {
        if (text_eq(keyring->entries[i].key, DEFAULT_REGISTRY_KEY))
            found[count++] = &keyring->entries[i];
    }
    if (count > 1)
        qsort(found, count, sizeof(const struct keyring_entry *), compare);
    struct image_credential *credentials = arena_calloc(arena, count + 1, sizeof(*credentials));
    for (size_t i = 0; i < count; i++)
        credentials[i] = found[i]->credential;
    *ret = credentials;
    *ret_count = count;
}

/* --- reading --- */

static struct error *malformed(const char *what)
{
    return error_new(ERROR_INVALID_ARGUMENT, "%s", what);
}

/* As Go's encoding/json finds a field: in any case of letters, the last one counts. */
static const struct doc_node *field(const struct doc_node *object, const char *name)
{
    const struct doc_node *found = NULL;
    for (size_t i = 0; i < object->object.count; i++) {
        const struct doc_member *member = &object->object.members[i];
        if (member->key.len == strlen(name) && strcasecmp(member->key.ptr, name) == 0 &&
            member->value->kind != DOC_NULL)
            found = member->value;
    }
    return found;
}

static struct error *text_field(const struct doc_node *entry, const char *name, struct arena *arena,
                                const char **ret)
{
    const struct doc_node *node = field(entry, name);
    if (node && node->kind != DOC_STRING)
        return error_new(ERROR_INVALID_ARGUMENT, "the field %s is not a string", name);
    *ret = node ? arena_strdup(arena, node->string.ptr) : "";
    return NULL;
}

/* Base64 with all of its padding or with none, as two of Go's decoders take it. */
static bool decode_auth(const char *auth, struct arena *arena, const char **ret_text)
{
    struct str text = str_from(auth);
    if (!str_has_suffix(str_trim(text), "=")) {
        size_t symbols = 0;
        for (size_t i = 0; i < text.len; i++)
            symbols += text.ptr[i] != '\n' && text.ptr[i] != '\r';
        static const char *const padding[] = {"", NULL, "==", "="};
        if (!padding[symbols % 4])
            return false;
        text = str_from(arena_printf(arena, "%s%s", auth, padding[symbols % 4]));
    }
    uint8_t *bytes;
    size_t len;
    if (!base64_decode(text, arena, &bytes, &len) || memchr(bytes, 0, len))
        return false;
    *ret_text = arena_strndup(arena, (const char *)bytes, len);
    return true;
}

static const struct credential_source no_source = {.uid = "", .namespace_ = "", .name = ""};

static struct error *read_credential(const struct doc_node *entry, struct arena *arena,
                                     struct image_credential *ret)
{
    *ret = (struct image_credential){.username = "", .password = "", .email = ""};
    if (entry->kind == DOC_NULL)
        return NULL;
    if (entry->kind != DOC_OBJECT)
        return malformed("an entry is not an object");
    const char *auth;
    struct error *err = text_field(entry, "username", arena, &ret->username);
    if (!err)
        err = text_field(entry, "password", arena, &ret->password);
    if (!err)
        err = text_field(entry, "email", arena, &ret->email);
    if (!err)
        err = text_field(entry, "auth", arena, &auth);
    if (err || !*auth)
        return err;
    const char *pair;
    if (!decode_auth(auth, arena, &pair))
        return malformed("the field auth is not base64");
    const char *colon = strchr(pair, ':');
    if (!colon)
        return malformed(
            "unable to parse auth field, must be formatted as base64(username:password)");
    ret->username = arena_strndup(arena, pair, (size_t)(colon - pair));
    ret->password = colon + 1;
    return NULL;
}

/* Room for @more entries. */
static struct error *reserve(struct keyring *keyring, size_t more, struct arena *arena)
{
    if (more > CREDENTIALS_MAX_ENTRIES - keyring->count)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "more than %d registries",
                         CREDENTIALS_MAX_ENTRIES);
    if (keyring->capacity - keyring->count >= more)
        return NULL;
    struct keyring_entry *entries = arena_calloc(arena, keyring->count + more, sizeof(*entries));
    if (keyring->count > 0)
        memcpy(entries, keyring->entries, keyring->count * sizeof(*entries));
    keyring->entries = entries;
    keyring->capacity = keyring->count + more;
    return NULL;
}

static struct error *add_registries(struct keyring *keyring, const struct doc_node *registries,
                                    const struct credential_source *source, struct arena *arena)
{
    if (registries->kind == DOC_NULL)
        return NULL;
    if (registries->kind != DOC_OBJECT)
        return malformed("the registries are not an object");
    struct error *err = reserve(keyring, registries->object.count, arena);
    size_t count = keyring->count;
    for (size_t i = 0; !err && i < registries->object.count; i++) {
        const struct doc_member *member = &registries->object.members[i];
        struct keyring_entry *entry = &keyring->entries[count];
        err = read_credential(member->value, arena, &entry->credential);
        entry->credential.source = *source;
        entry->key = err ? NULL : registry_key(member->key, arena);
        count += entry->key != NULL;
    }
    if (!err)
        keyring->count = count;
    return err;
}

/* The texts of @source live as long as @arena. */
static struct error *add_config(struct keyring *keyring, struct str text, bool is_legacy,
                                const struct credential_source *source, struct arena *arena)
{
    static const struct doc_parse_options options = {.max_bytes = CREDENTIALS_FILE_MAX_BYTES};
    /* Parsed, a text can be many times as large: of that only what counts is kept. */
    AUTO(arena) struct arena *scratch = arena_new(0);
    const struct doc_node *config;
    struct error *err = json_parse(text, &options, scratch, &config);
    if (error_is(err, ERROR_INVALID_ARGUMENT)) {
        error_ignore(err, "it quotes the text, which is secret");
        return malformed("a docker configuration is not JSON");
    }
    if (err || config->kind == DOC_NULL)
        return err;
    if (config->kind != DOC_OBJECT)
        return malformed("a docker configuration is not an object");
    const struct doc_node *registries = is_legacy ? config : field(config, "auths");
    return registries ? add_registries(keyring, registries, source, arena) : NULL;
}

struct error *keyring_add_config(struct keyring *keyring, struct str text, bool is_legacy,
                                 struct arena *arena)
{
    return add_config(keyring, text, is_legacy, &no_source, arena);
}

static struct credential_source source_of(const Meta__ObjectMeta *meta, struct arena *arena)
{
    struct credential_source source = no_source;
    source.kind = CREDENTIAL_SOURCE_SECRET;
    if (!meta)
        return source;
    source.uid = arena_strdup(arena, meta->uid ? meta->uid : "");
    source.namespace_ = arena_strdup(arena, meta->namespace_ ? meta->namespace_ : "");
    source.name = arena_strdup(arena, meta->name ? meta->name : "");
    return source;
}

struct error *keyring_add_secret(struct keyring *keyring, const Core__Secret *secret,
                                 struct arena *arena)
{
    static const struct {
        const char *type, *key;
        bool is_legacy;
    } types[] = {
        {"kubernetes.io/dockerconfigjson", ".dockerconfigjson", false},
        {"kubernetes.io/dockercfg", ".dockercfg", true},
    };
    for (size_t t = 0; t < ARRAY_SIZE(types); t++) {
        if (!text_eq(secret->type, types[t].type))
            continue;
        for (size_t i = 0; i < secret->n_data; i++) {
            const Core__Secret__DataEntry *entry = secret->data[i];
            struct str text = {.ptr = (const char *)entry->value.data, .len = entry->value.len};
            if (!text_eq(entry->key, types[t].key) || text.len == 0)
                continue;
            const struct credential_source source = source_of(secret->metadata, arena);
            return add_config(keyring, text, types[t].is_legacy, &source, arena);
        }
    }
    return NULL;
}

struct error *keyring_add_logins(struct keyring *keyring, const struct registry_login *logins,
                                 size_t count, const struct credential_source *source,
                                 struct arena *arena)
{
    struct error *err = reserve(keyring, count, arena);
    for (size_t i = 0; !err && i < count; i++) {
        const char *key = registry_key(str_from(logins[i].location), arena);
        const struct image_credential login = {.username = logins[i].username,
                                               .password = logins[i].password,
                                               .email = "",
                                               .source = *source};
        if (key)
            keyring->entries[keyring->count++] = (struct keyring_entry){
                .key = key, .credential = image_credential_dup(&login, arena)};
    }
    return err;
}

/* --- the node's own --- */

/* True when @path was there and could be read. */
static bool add_file_blocking(struct keyring *keyring, const char *path, bool is_legacy,
                              struct arena *arena, const char **ret_warning)
{
    AUTO(buf) struct buf text;
    buf_init(&text, CREDENTIALS_FILE_MAX_BYTES);
    AUTO(error) struct error *err = fd_read_file_blocking(path, &text);
    if (error_is(err, ERROR_NOT_FOUND))
        return false;
    if (!err)
        err = keyring_add_config(keyring, buf_str(&text), is_legacy, arena);
    if (err)
        *ret_warning = arena_printf(arena, "%s: %s", path, err->message);
    return !err;
}

void keyring_add_node_blocking(struct keyring *keyring, const char *root_dir, struct arena *arena,
                               const char **ret_warning)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody ever changes the environment */
    const char *home = getenv("HOME");
    const char *in_home = home && *home ? arena_printf(arena, "%s/", home) : NULL;
    const struct {
        const char *folder; /* NULL: skipped */
        const char *file;
        bool is_legacy;
    } places[] = {
        {arena_printf(arena, "%s/", root_dir), "config.json", false},
        {"", "config.json", false}, /* the working directory */
        {in_home, ".docker/config.json", false},
        {"/", ".docker/config.json", false},
        {arena_printf(arena, "%s/", root_dir), ".dockercfg", true},
        {"", ".dockercfg", true},
        {in_home, ".dockercfg", true},
        {"/", ".dockercfg", true},
    };
    *ret_warning = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        if (!places[i].folder)
            continue;
        const char *path = arena_printf(arena, "%s%s", places[i].folder, places[i].file);
        if (add_file_blocking(keyring, path, places[i].is_legacy, arena, ret_warning))
            return;
    }
}
