/*
 * A docker configuration names registries, each with a user and a password. An entry's name is a
 * URL whose scheme does not matter; its host, port and path make the key that images are matched
 * against:
 *
 *   "https://r[0-9].example.com:5000/v2/team"  →  r[0-9].example.com:5000/team
 *
 * An image matches when its port is the key's, each label of its host matches the key's label as a
 * file name matches a pattern, and its path begins with the key's. All entries that match are
 * candidates, keys in reverse byte order so that the longer path comes first. An image of Docker's
 * own registry that nothing matches gets what is there for that registry's old name.
 *
 * Upstream: pkg/credentialprovider/keyring.go and config.go.
 */
#include "image/credentials.h"

#include "base/fd.h"
#include "kube/codec_base64.h"
#include "wire/json.h"

#include <strings.h>

#define DEFAULT_REGISTRY "docker.io"
#define DEFAULT_REGISTRY_KEY "index.docker.io" /* defaultRegistryKey */
#define OFFICIAL_PREFIX "library/"

/* str_from() without its branch for NULL: nothing here is. */
static struct str whole(const char *text)
{
    return (struct str){.ptr = text, .len = strlen(text)};
}

static struct str head(struct str text, size_t len)
{
    return (struct str){.ptr = text.ptr, .len = len};
}

static struct str behind(struct str text, size_t len)
{
    return (struct str){.ptr = text.ptr + len, .len = text.len - len};
}

/* Index of the last @c, or text.len. */
static size_t find_last(struct str text, char c)
{
    for (size_t i = text.len; i > 0; i--) {
        if (text.ptr[i - 1] == c)
            return i - 1;
    }
    return text.len;
}

static bool all_digits(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    }
    return true;
}

/* --- keys --- */

/* What Go's net/url takes in a host as it stands; percent signs, which zones of IPv6 addresses
 * need, are of no use in an image. */
static bool is_host_char(char c)
{
    unsigned char byte = (unsigned char)c;
    bool is_alnum =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || byte >= 0x80;
    return is_alnum || (c != '\0' && strchr("-._~!$&'()*+,;=:[]<>\"", c));
}

static bool is_host(struct str host)
{
    for (size_t i = 0; i < host.len; i++) {
        if (!is_host_char(host.ptr[i]))
            return false;
    }
    struct str port = {0};
    if (host.len > 0 && host.ptr[0] == '[') {
        size_t close = find_last(host, ']');
        if (close == host.len)
            return false;
        port = behind(host, close + 1);
    } else {
        port = behind(host, find_last(host, ':'));
    }
    return port.len == 0 || (port.ptr[0] == ':' && all_digits(behind(port, 1)));
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* *ret_text with its %XX resolved, terminated; false when there is a broken one, or a zero byte. */
static bool unescape(struct str text, struct arena *arena, struct str *ret)
{
    char *plain = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '%') {
            plain[len++] = text.ptr[i];
            continue;
        }
        int high = i + 2 < text.len ? hex_value(text.ptr[i + 1]) : -1;
        int low = i + 2 < text.len ? hex_value(text.ptr[i + 2]) : -1;
        if (high < 0 || low < 0 || high + low == 0)
            return false;
        plain[len++] = (char)(high << 4 | low);
        i += 2;
    }
    *ret = (struct str){.ptr = plain, .len = len};
    return true;
}

static struct str without_scheme(struct str url)
{
    static const char *const schemes[] = {"https://", "http://"};
    for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
        if (str_has_prefix(url, schemes[i]))
            return behind(url, strlen(schemes[i]));
    }
    return url;
}

/* The key of an entry named @location, in @arena; NULL when that is no URL. */
static const char *key_of(struct str location, struct arena *arena)
{
    for (size_t i = 0; i < location.len; i++) {
        if ((unsigned char)location.ptr[i] < ' ' || location.ptr[i] == 0x7f)
            return NULL;
    }
    struct str url = without_scheme(location), path;
    url = head(url, str_find(url, '#'));
    url = head(url, str_find(url, '?'));
    size_t slash = str_find(url, '/');
    struct str host = head(url, slash);
    size_t user = find_last(host, '@');
    if (user < host.len)
        host = behind(host, user + 1);
    if (!is_host(host) || !unescape(behind(url, slash), arena, &path))
        return NULL;
    /* Docker takes these for the host itself. */
    if (str_has_prefix(path, "/v1/") || str_has_prefix(path, "/v2/"))
        path = behind(path, 3);
    if (path.len == 1)
        path.len = 0;
    return arena_printf(arena, "%.*s%.*s", STR_ARG(host), STR_ARG(path));
}

/* --- matching --- */

/* A class of characters at the front of @pattern, behind its '['. Returns its length with the ']',
 * 0 when it is malformed. There is no '^', which no URL's host can have. */
static size_t match_class(struct str pattern, char c, bool *ret_matches)
{
    bool found = false;
    size_t i = 0;
    while (i < pattern.len && pattern.ptr[i] != '-') {
        if (pattern.ptr[i] == ']') {
            *ret_matches = found;
            return i > 0 ? i + 1 : 0;
        }
        char low = pattern.ptr[i++], high = low;
        if (i + 1 < pattern.len && pattern.ptr[i] == '-') {
            high = pattern.ptr[i + 1];
            if (high == ']' || high == '-')
                return 0;
            i += 2;
        }
        found = found || (c >= low && c <= high);
    }
    return 0;
}

/* One character of @pattern, not a '*', against @c. Returns how long it is in the pattern, 0: no
 * match. */
static size_t match_one(struct str pattern, char c)
{
    if (pattern.ptr[0] != '[')
        return pattern.ptr[0] == c ? 1 : 0;
    bool matches = false;
    size_t len = match_class(behind(pattern, 1), c, &matches);
    return len > 0 && matches ? 1 + len : 0;
}

/* As Go's filepath.Match() for what a host can hold: no slash, '?' or backslash. Each '*' that was
 * met makes those before it final, so that the time is a product of the lengths. */
static bool glob_matches(struct str pattern, struct str text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, star_text = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            star_text = t;
            continue;
        }
        size_t len = p < pattern.len ? match_one(behind(pattern, p), text.ptr[t]) : 0;
        if (len > 0) {
            p += len;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

/* A key or an image, taken apart. */
struct place {
    struct str host, port, path;
};

static struct place place_of(struct str text)
{
    struct place place = {.host = head(text, str_find(text, '/'))};
    place.path = behind(text, place.host.len);
    struct str host = place.host;
    size_t colon = find_last(host, ':');
    bool is_bracketed = host.len > 0 && host.ptr[0] == '[' && colon < host.len && colon > 0 &&
                        host.ptr[colon - 1] == ']';
    if (is_bracketed) {
        place.host = behind(head(host, colon - 1), 1);
        place.port = behind(host, colon + 1);
    } else if (colon < host.len && str_find(host, ':') == colon) {
        place.host = head(host, colon);
        place.port = behind(host, colon + 1);
    }
    return place;
}

static bool str_same(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static bool is_prefix(struct str prefix, struct str text)
{
    return prefix.len <= text.len && str_same(prefix, head(text, prefix.len));
}

static bool place_matches(const struct place *key, const struct place *image)
{
    if (!str_same(key->port, image->port) || !is_prefix(key->path, image->path))
        return false;
    struct str patterns = key->host, labels = image->host, pattern, label;
    for (;;) {
        bool has_pattern = str_split_next(&patterns, '.', &pattern);
        bool has_label = str_split_next(&labels, '.', &label);
        if (!has_pattern || !has_label)
            return has_pattern == has_label;
        if (!glob_matches(pattern, label))
            return false;
    }
}

/* --- images --- */

static bool has_upper(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] >= 'A' && text.ptr[i] <= 'Z')
            return true;
    }
    return false;
}

/* "busybox:1@sha256:…" → "docker.io/library/busybox", as Docker completes names. */
static struct str repository_of(const char *image, struct arena *arena)
{
    struct str name = head(whole(image), str_find(whole(image), '@'));
    size_t colon = find_last(name, ':'), slash = find_last(name, '/');
    if (colon < name.len && (slash == name.len || slash < colon))
        name = head(name, colon);
    struct str first = head(name, str_find(name, '/'));
    bool names_registry = first.len < name.len &&
                          (str_eq_c(first, "localhost") || has_upper(first) ||
                           str_find(first, '.') < first.len || str_find(first, ':') < first.len);
    bool is_default = !names_registry || str_eq_c(first, DEFAULT_REGISTRY) ||
                      str_eq_c(first, DEFAULT_REGISTRY_KEY);
    if (!is_default)
        return name;
    struct str rest = names_registry ? behind(name, first.len + 1) : name;
    const char *prefix = str_find(rest, '/') < rest.len ? "" : OFFICIAL_PREFIX;
    return whole(arena_printf(arena, "%s/%s%.*s", DEFAULT_REGISTRY, prefix, STR_ARG(rest)));
}

/* isDefaultRegistryMatch(): a first part without a dot or colon is no registry. */
static bool is_of_default_registry(struct str repository)
{
    struct str first = head(repository, str_find(repository, '/'));
    if (first.len == 0)
        return false;
    return str_eq_c(first, DEFAULT_REGISTRY) ||
           (str_find(first, '.') == first.len && str_find(first, ':') == first.len);
}

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
    struct str repository = repository_of(image, arena);
    struct place place = place_of(repository);
    const struct keyring_entry **found =
        arena_calloc(arena, keyring->count + 1, sizeof(const struct keyring_entry *));
    size_t count = 0;
    for (size_t i = 0; i < keyring->count; i++) {
        struct place key = place_of(whole(keyring->entries[i].key));
        if (place_matches(&key, &place))
            found[count++] = &keyring->entries[i];
    }
    bool is_default = count == 0 && is_of_default_registry(repository);
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
        entry->key = err ? NULL : key_of(member->key, arena);
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
