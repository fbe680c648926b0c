#include "volume/payload.h"

#include "base/path.h"

/* pkg/volume/util/atomic_writer.go: maxPathLength, maxFileNameLength. */
#define PATH_MAX_BYTES 4096
#define NAME_MAX_BYTES 255
#define MODE_BITS 0777

void volume_payload_add(struct volume_payload *payload, const struct volume_file *file)
{
    struct arena *arena = payload->arena;
    if (payload->count == payload->room) {
        payload->room = payload->room ? payload->room * 2 : 8;
        struct volume_file *larger = arena_calloc(arena, payload->room, sizeof(*larger));
        if (payload->count > 0)
            memcpy(larger, payload->files, payload->count * sizeof(*larger));
        payload->files = larger;
    }
    struct volume_file *copy = &payload->files[payload->count++];
    *copy = *file;
    copy->path = arena_strdup(arena, file->path ? file->path : "");
    copy->bytes = file->len > 0 ? arena_memdup(arena, file->bytes, file->len) : NULL;
    copy->mode = file->mode & MODE_BITS;
}

/* --- objects --- */

/* A key of a ConfigMap or Secret. */
struct entry {
    const char *key;
    const uint8_t *bytes;
    size_t len, order;
};

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* Of equal keys the one that counts comes first. */
static int compare_entries(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    int order = strcmp(left->key, right->key);
    return order != 0 ? order : (left->order > right->order) - (left->order < right->order);
}

static const struct entry *find_entry(const struct entry *entries, size_t count, const char *key)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(entries[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && strcmp(entries[low].key, key) == 0 ? &entries[low] : NULL;
}

static void add_entry(struct volume_payload *payload, const char *path, const struct entry *entry,
                      int32_t mode)
{
    volume_payload_add(payload, &(struct volume_file){.path = path,
                                                      .bytes = entry->bytes,
                                                      .len = entry->len,
                                                      .mode = (mode_t)(mode & MODE_BITS)});
}

/* Of equal keys the last counts when all are taken, as a file, and the first when they are named:
 * upstream's order of data and binaryData in the two cases. */
static struct error *add_entries(struct volume_payload *payload, struct entry *entries,
                                 size_t count, const struct payload_keys *keys, const char *missing)
{
    if (keys->item_count == 0) {
        for (size_t i = 0; i < count; i++)
            add_entry(payload, entries[i].key, &entries[i], keys->default_mode);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        entries[i].order = i;
    if (count > 1)
        qsort(entries, count, sizeof(*entries), compare_entries);
    for (size_t i = 0; i < keys->item_count; i++) {
        const Core__KeyToPath *item = keys->items[i];
        const struct entry *entry = find_entry(entries, count, or_empty(item->key));
        if (!entry && keys->optional)
            continue;
        if (!entry)
            return error_new(ERROR_NOT_FOUND, "%s: %s", missing, or_empty(item->key));
        add_entry(payload, or_empty(item->path), entry,
                  item->has_mode ? item->mode : keys->default_mode);
    }
    return NULL;
}

static struct entry entry_of_bytes(const char *key, const ProtobufCBinaryData *value)
{
    return (struct entry){.key = or_empty(key), .bytes = value->data, .len = value->len};
}

struct error *volume_payload_add_config_map(struct volume_payload *payload,
                                            const Core__ConfigMap *object,
                                            const struct payload_keys *keys)
{
    static const Core__ConfigMap none = CORE__CONFIG_MAP__INIT;
    const Core__ConfigMap *from = object ? object : &none;
    size_t count = 0;
    struct entry *entries =
        xcalloc(from->n_data + from->n_binary_data + 1, sizeof(*entries)); /* + 1: never empty */
    for (size_t i = 0; i < from->n_data; i++) {
        const char *text = or_empty(from->data[i]->value);
        entries[count++] = (struct entry){.key = or_empty(from->data[i]->key),
                                          .bytes = (const uint8_t *)text,
                                          .len = strlen(text)};
    }
    for (size_t i = 0; i < from->n_binary_data; i++)
        entries[count++] = entry_of_bytes(from->binary_data[i]->key, &from->binary_data[i]->value);
    struct error *err =
        add_entries(payload, entries, count, keys, "configmap references non-existent config key");
    free(entries);
    return err;
}

struct error *volume_payload_add_secret(struct volume_payload *payload, const Core__Secret *object,
                                        const struct payload_keys *keys)
{
    static const Core__Secret none = CORE__SECRET__INIT;
    const Core__Secret *from = object ? object : &none;
    struct entry *entries = xcalloc(from->n_data + 1, sizeof(*entries)); /* + 1: never empty */
    for (size_t i = 0; i < from->n_data; i++)
        entries[i] = entry_of_bytes(from->data[i]->key, &from->data[i]->value);
    struct error *err =
        add_entries(payload, entries, from->n_data, keys, "references non-existent secret key");
    free(entries);
    return err;
}

/* --- paths --- */

static struct error *check_elements(const char *path)
{
    for (const char *element = path;;) {
        const char *end = strchrnul(element, '/');
        size_t len = (size_t)(end - element);
        if (len == 2 && memcmp(element, "..", 2) == 0)
            return error_new(ERROR_INVALID_ARGUMENT, "invalid path: must not contain '..': %s",
                             path);
        if (len > NAME_MAX_BYTES)
            return error_new(ERROR_INVALID_ARGUMENT,
                             "invalid path: filenames must be less than or equal to %d characters",
                             NAME_MAX_BYTES);
        if (*end == '\0')
            return NULL;
        element = end + 1;
    }
}

static struct error *check_path(const char *path)
{
    if (*path == '\0')
        return error_new(ERROR_INVALID_ARGUMENT, "invalid path: must not be empty: \"%s\"", path);
    if (path_is_absolute(path))
        return error_new(ERROR_INVALID_ARGUMENT, "invalid path: must be relative path: %s", path);
    if (strlen(path) > PATH_MAX_BYTES)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "invalid path: must be less than or equal to %d characters",
                         PATH_MAX_BYTES);
    struct error *err = check_elements(path);
    if (!err && text_has_prefix(path, ".."))
        err = error_new(ERROR_INVALID_ARGUMENT, "invalid path: must not start with '..': %s", path);
    return err;
}

/* A path that is clean already, as nearly all are, is not copied. */
static const char *cleaned(const char *path, struct arena *arena)
{
    AUTO(free) char *clean = path_clean(path);
    return text_eq(clean, path) ? path : arena_strdup(arena, clean);
}

static int compare_files(const void *a, const void *b)
{
    const struct volume_file *const *left = a;
    const struct volume_file *const *right = b;
    int order = strcmp((*left)->path, (*right)->path);
    return order != 0 ? order : (*left > *right) - (*left < *right); /* as they were added */
}

struct error *volume_payload_finish(struct volume_payload *payload)
{
    struct arena *arena = payload->arena;
    const struct volume_file **sorted = arena_calloc(arena, payload->count + 1, sizeof(void *));
    for (size_t i = 0; i < payload->count; i++) {
        struct volume_file *file = &payload->files[i];
        struct error *err = check_path(file->path);
        if (err)
            return err;
        file->path = cleaned(file->path, arena);
        if (text_eq(file->path, ".")) /* upstream fails later, with a directory in its way */
            return error_new(ERROR_INVALID_ARGUMENT, "invalid path: must not be empty: \".\"");
        if (text_has_prefix(file->path, "..")) /* "./..data" has passed the check until here */
            return error_new(ERROR_INVALID_ARGUMENT, "invalid path: must not start with '..': %s",
                             file->path);
        sorted[i] = file;
    }
    if (payload->count > 1)
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): it is pointers that are sorted */
        qsort(sorted, payload->count, sizeof(*sorted), compare_files);
    struct volume_file *files = arena_calloc(arena, payload->count + 1, sizeof(*files));
    size_t count = 0;
    for (size_t i = 0; i < payload->count; i++) {
        if (i + 1 == payload->count || strcmp(sorted[i]->path, sorted[i + 1]->path) != 0)
            files[count++] = *sorted[i];
    }
    payload->files = files;
    payload->room = payload->count + 1;
    payload->count = count;
    return NULL;
}

/* How @path and the first @len bytes of @prefix followed by a slash compare. */
static int compare_below(const char *path, const char *prefix, size_t len)
{
    int order = strncmp(path, prefix, len);
    return order != 0 ? order : (int)(unsigned char)path[len] - '/';
}

enum payload_place volume_payload_place(const struct volume_payload *payload, const char *path)
{
    size_t len = strlen(path), low = 0, high = payload->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(payload->files[middle].path, path);
        if (order == 0)
            return PAYLOAD_FILE;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    /* "a.b" stands between "a" and "a/b", so what is below has its own place in the order. */
    for (high = payload->count; low < high;) {
        size_t middle = low + (high - low) / 2;
        int order = compare_below(payload->files[middle].path, path, len);
        if (order == 0)
            return PAYLOAD_PARENT;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return PAYLOAD_NONE;
}
