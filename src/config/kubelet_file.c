#include "config/kubelet_file.h"

#include "base/fd.h"
#include "base/path.h"
#include "config/defaults.h"
#include "config/field.h"
#include "kube/codec.h"
#include "wire/json.h"
#include "wire/yaml.h"

#define FILES_MIN_CAPACITY 4

/* Fields whose relative paths mean the directory of the file given with --config. */
static const char *const path_fields[] = {
    "config.static_pod_path", "config.authentication.x509.client_ca_file",
    "config.tls_cert_file",   "config.tls_private_key_file",
    "config.resolv_conf",     "config.volume_plugin_dir",
    "config.pod_logs_dir",
};

static void add_file(struct kubelet_files *files, const char *path,
                     Kubeletconfig__KubeletConfiguration *config, struct arena *arena)
{
    if (files->count == files->capacity) {
        size_t capacity = files->capacity ? 2 * files->capacity : FILES_MIN_CAPACITY;
        struct kubelet_file *grown = arena_calloc(arena, capacity, sizeof(*grown));
        if (files->count)
            memcpy(grown, files->files, files->count * sizeof(*grown));
        files->files = grown;
        files->capacity = capacity;
    }
    Kubeletconfig__Options *raw =
        (void *)field_new_message(&kubeletconfig__options__descriptor, arena);
    raw->config = config;
    files->files[files->count++] =
        (struct kubelet_file){.path = arena_strdup(arena, path), .raw = raw};
}

static struct error *check_type(struct str text, const struct kube_decode_options *options,
                                struct arena *arena)
{
    struct kube_type_meta type;
    struct error *err = kube_decode_type_meta(text, options, arena, &type);
    if (err)
        return err;
    if (text_eq(type.api_version, KUBELET_CONFIG_API_VERSION) &&
        text_eq(type.kind, KUBELET_CONFIG_KIND))
        return NULL;
    if (!type.api_version[0] || !type.kind[0])
        return error_new(ERROR_INVALID_ARGUMENT,
                         "%s: no apiVersion/kind: begin the file with \"apiVersion: %s\" and "
                         "\"kind: %s\"",
                         options->file, KUBELET_CONFIG_API_VERSION, KUBELET_CONFIG_KIND);
    return error_new(ERROR_INVALID_ARGUMENT,
                     "%s: unknown apiVersion/kind: %s, Kind=%s (expected %s, Kind=%s)",
                     options->file, type.api_version, type.kind, KUBELET_CONFIG_API_VERSION,
                     KUBELET_CONFIG_KIND);
}

/* The one duration that may be a number, so the codec lets any JSON pass. */
static struct error *check_flush_frequency(ProtobufCMessage *config, const char *path)
{
    int64_t duration_ns;
    struct field logging = field_of(config, "logging");
    struct field frequency = field_inner(&logging, "flush_frequency");
    if (field_parse_duration(&frequency, &duration_ns))
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT,
                     "%s: logging.flushFrequency: expected a duration such as \"5s\" or a number "
                     "of nanoseconds",
                     path);
}

static bool looks_like_json(struct str text)
{
    text = str_trim(text);
    return text.len > 0 && text.ptr[0] == '{';
}

struct error *kubelet_file_read(const char *path, struct arena *arena,
                                Kubeletconfig__KubeletConfiguration **ret,
                                const struct doc_node **ret_doc, struct kubelet_files *files)
{
    AUTO(buf) struct buf content = {0};
    buf_init(&content, KUBE_OBJECT_MAX_BYTES);
    struct error *err = fd_read_file_blocking(path, &content);
    if (err)
        return err;
    if (content.len == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "kubelet config file \"%s\" was empty", path);

    struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT, .file = path};
    err = check_type(buf_str(&content), &options, arena);
    if (err)
        return err;
    ProtobufCMessage *message;
    err = kube_decode_text(buf_str(&content), &kubeletconfig__kubelet_configuration__descriptor,
                           &options, arena, &message);
    if (err)
        return err;
    struct doc_parse_options parse = {
        .max_bytes = KUBE_OBJECT_MAX_BYTES, .reject_duplicates = true, .file = path};
    struct str kept = {.ptr = arena_strndup(arena, content.data, content.len), .len = content.len};
    err = looks_like_json(kept) ? json_parse(kept, &parse, arena, ret_doc)
                                : yaml_parse(kept, &parse, arena, ret_doc);
    if (err)
        return err;
    err = check_flush_frequency(message, path);
    if (err)
        return err;
    *ret = (Kubeletconfig__KubeletConfiguration *)message;
    /* The caller goes on to change *ret; what the file says stays as it is. */
    add_file(files, path, (void *)kube_message_dup(message, arena), arena);
    return NULL;
}

static void resolve_paths(Kubeletconfig__Options *options, const char *file, struct arena *arena)
{
    AUTO(free) char *dir = path_dir(file);
    for (size_t i = 0; i < ARRAY_SIZE(path_fields); i++) {
        struct field field = field_find(&options->base, path_fields[i]);
        if (field_is_zero(&field) || path_is_absolute(field_text(&field)))
            continue;
        AUTO(free) char *resolved = path_join(dir, field_text(&field));
        field_set_text(&field, resolved, arena);
    }
}

/* An empty list is a list: nothing is enforced, which this value says as well. */
static void keep_empty_enforcement(const struct doc_node *doc, struct field *field,
                                   struct arena *arena)
{
    const struct doc_node *list = doc_get(doc, "enforceNodeAllocatable");
    if (list && list->kind == DOC_ARRAY && list->array.count == 0)
        field_add_text(field, "none", arena);
}

struct error *kubelet_file_load(const char *path, struct arena *arena,
                                Kubeletconfig__KubeletConfiguration **ret,
                                struct kubelet_files *files)
{
    Kubeletconfig__KubeletConfiguration *config = NULL;
    const struct doc_node *doc = NULL;
    struct error *err = kubelet_file_read(path, arena, &config, &doc, files);
    if (err)
        return error_wrap(err,
                          "failed to load kubelet config file, path: %s, error: failed to load "
                          "Kubelet config file %s, error",
                          path, path);
    Kubeletconfig__Options *options =
        (void *)field_new_message(&kubeletconfig__options__descriptor, arena);
    options->config = config;
    struct field enforce = field_of(&config->base, "enforce_node_allocatable");
    keep_empty_enforcement(doc, &enforce, arena);
    defaults_set_config(options, arena);
    resolve_paths(options, path, arena);
    const struct doc_node *eviction = doc_get(doc, "evictionHard");
    defaults_set_eviction(config, eviction && eviction->kind == DOC_OBJECT, arena);
    *ret = config;
    return NULL;
}
