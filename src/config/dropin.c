/*
 * Drop-ins. Each file is first decoded on its own, strictly, so that a mistake is reported with its
 * own file, line and path. Then its tree is merged as an RFC 7396 patch over the JSON form of the
 * configuration so far: objects merge by key, lists and scalars replace, null deletes. The result
 * is decoded once, after the last.
 */
#include "config/kubelet_file.h"

#include "base/buf.h"
#include "base/path.h"
#include "config/convert.h"
#include "config/defaults.h"
#include "config/field.h"
#include "kube/codec.h"
#include "wire/json.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#define DROPIN_SUFFIX ".conf"
#define DROPIN_MAX_DEPTH 16     /* directories inside directories */
#define DROPIN_MAX_ENTRIES 4096 /* of one directory */

/* The configuration so far, as a tree, while files are merged into it. */
struct merge {
    struct arena *arena;
    const struct doc_node *tree;
    struct kubelet_files *files;
};

static const struct doc_node *merge_nodes(const struct doc_node *target,
                                          const struct doc_node *patch, struct arena *arena,
                                          unsigned depth);

static const struct doc_member *find_member(const struct doc_node *object, struct str key)
{
    for (size_t i = 0; object && i < object->object.count; i++) {
        if (str_eq(object->object.members[i].key, key))
            return &object->object.members[i];
    }
    return NULL;
}

static void add_member(struct doc_node *object, struct str key, const struct doc_node *value)
{
    object->object.members[object->object.count++] =
        (struct doc_member){.key = key, .value = value};
}

/* NOLINTBEGIN(misc-no-recursion): documents are at most DOC_MAX_DEPTH deep */

/* RFC 7396 with @patch an object; @target is an object or NULL. Depth is bounded by the parsers'
 * DOC_MAX_DEPTH. */
static const struct doc_node *merge_objects(const struct doc_node *target,
                                            const struct doc_node *patch, struct arena *arena,
                                            unsigned depth)
{
    size_t most = patch->object.count + (target ? target->object.count : 0);
    struct doc_node *merged = arena_alloc(arena, sizeof(*merged));
    merged->kind = DOC_OBJECT;
    merged->object.members = arena_calloc(arena, most ? most : 1, sizeof(struct doc_member));
    for (size_t i = 0; target && i < target->object.count; i++) {
        const struct doc_member *old = &target->object.members[i];
        const struct doc_member *new = find_member(patch, old->key);
        if (!new)
            add_member(merged, old->key, old->value);
        else if (new->value->kind != DOC_NULL)
            add_member(merged, old->key, merge_nodes(old->value, new->value, arena, depth + 1));
    }
    for (size_t i = 0; i < patch->object.count; i++) {
        const struct doc_member *new = &patch->object.members[i];
        if (new->value->kind != DOC_NULL && !find_member(target, new->key))
            add_member(merged, new->key, merge_nodes(NULL, new->value, arena, depth + 1));
    }
    return merged;
}

static const struct doc_node *merge_nodes(const struct doc_node *target,
                                          const struct doc_node *patch, struct arena *arena,
                                          unsigned depth)
{
    if (patch->kind != DOC_OBJECT || depth > DOC_MAX_DEPTH)
        return patch;
    return merge_objects(target && target->kind == DOC_OBJECT ? target : NULL, patch, arena, depth);
}

/* NOLINTEND(misc-no-recursion) */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in @dir, sorted, without "." and "..". */
static struct error *list_dir(const char *dir, struct text_list *names)
{
    DIR *stream = opendir(dir);
    if (!stream)
        return error_from_errno(errno, "open %s", dir);
    struct error *err = NULL;
    const struct dirent *entry;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): own stream */
    while (errno = 0, !err && (entry = readdir(stream))) {
        if (text_eq(entry->d_name, ".") || text_eq(entry->d_name, ".."))
            continue;
        if (names->count == DROPIN_MAX_ENTRIES)
            err = error_new(ERROR_RESOURCE_EXHAUSTED, "%s holds more than %d entries", dir,
                            DROPIN_MAX_ENTRIES);
        else
            text_list_add(names, arena_strdup(names->arena, entry->d_name));
    }
    if (!err && errno != 0)
        err = error_from_errno(errno, "list %s", dir);
    closedir(stream);
    if (!err && names->count > 0)
        qsort(names->items, names->count, sizeof(char *), compare_names);
    return err;
}

static struct error *merge_file(struct merge *merge, const char *path)
{
    Kubeletconfig__KubeletConfiguration *config;
    const struct doc_node *patch;
    struct error *err = kubelet_file_read(path, merge->arena, &config, &patch, merge->files);
    if (err)
        return error_wrap(err, "failed to load kubelet dropin file, path: %s, error", path);
    merge->tree = merge_nodes(merge->tree, patch, merge->arena, 0);
    return NULL;
}

/* A regular file, also behind a link, or a directory; whatever else is skipped. */
/* NOLINTNEXTLINE(misc-no-recursion): at most DROPIN_MAX_DEPTH deep */
static struct error *merge_dir(struct merge *merge, const char *dir, unsigned depth)
{
    if (depth > DROPIN_MAX_DEPTH)
        return error_new(ERROR_INVALID_ARGUMENT, "%s is nested deeper than %d directories", dir,
                         DROPIN_MAX_DEPTH);
    struct text_list names = {.arena = merge->arena};
    struct error *err = list_dir(dir, &names);
    for (size_t i = 0; !err && i < names.count; i++) {
        AUTO(free) char *path = path_join(dir, names.items[i]);
        struct stat entry;
        if (lstat(path, &entry) < 0)
            err = error_from_errno(errno, "stat %s", path);
        else if (S_ISDIR(entry.st_mode))
            err = merge_dir(merge, path, depth + 1);
        else if (text_has_suffix(names.items[i], DROPIN_SUFFIX) && stat(path, &entry) == 0 &&
                 S_ISREG(entry.st_mode))
            err = merge_file(merge, path);
    }
    return err;
}

static struct error *to_tree(const Kubeletconfig__KubeletConfiguration *config, struct arena *arena,
                             const struct doc_node **ret)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, KUBE_OBJECT_MAX_BYTES);
    kube_encode_json(&config->base, NULL, &text);
    struct error *err = buf_error(&text, "the configuration");
    if (err)
        return err;
    struct doc_parse_options options = {.max_bytes = KUBE_OBJECT_MAX_BYTES};
    struct str kept = {.ptr = arena_strndup(arena, buf_text(&text), text.len), .len = text.len};
    return json_parse(kept, &options, arena, ret);
}

static struct error *from_tree(const struct doc_node *tree, struct arena *arena,
                               Kubeletconfig__KubeletConfiguration **ret)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, KUBE_OBJECT_MAX_BYTES);
    struct json_writer writer;
    json_writer_init(&writer, &text, false);
    doc_write_node(&writer.base, tree);
    struct error *err = buf_error(&text, "the merged configuration");
    if (err)
        return err;
    struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *message;
    err = kube_decode_json(buf_str(&text), &kubeletconfig__kubelet_configuration__descriptor,
                           &options, arena, &message);
    if (err)
        return err;
    *ret = (Kubeletconfig__KubeletConfiguration *)message;
    const struct doc_node *enforce = doc_get(tree, "enforceNodeAllocatable");
    if (enforce && enforce->kind == DOC_ARRAY && enforce->array.count == 0) {
        struct field field = field_of(message, "enforce_node_allocatable");
        field_add_text(&field, "none", arena); /* an empty list enforces nothing */
    }
    return NULL;
}

struct error *kubelet_dropins_merge(const char *dir, struct arena *arena,
                                    Kubeletconfig__KubeletConfiguration **config,
                                    struct kubelet_files *files)
{
    struct merge merge = {.arena = arena, .files = files};
    struct error *err = to_tree(*config, arena, &merge.tree);
    if (err)
        return err;
    err = merge_dir(&merge, dir, 0);
    if (err)
        return error_wrap(err, "failed to walk through kubelet dropin directory \"%s\"", dir);
    Kubeletconfig__Options *options =
        (void *)field_new_message(&kubeletconfig__options__descriptor, arena);
    err = from_tree(merge.tree, arena, &options->config);
    if (err)
        return error_wrap(err, "failed to merge the files of %s", dir);
    defaults_set_config(options, arena);
    *config = options->config;
    return NULL;
}
