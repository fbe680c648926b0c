/* The payload of a volume from what was gathered: which source gives which files, and what is told
 * when one cannot (spec volumes.md §3.6, §3.8). */
#include "volume/content.h"

#include "base/buf.h"
#include "kube/jitter.h"

#define MESSAGE_MAX_BYTES (16 * KiB)
/* A token's mode when its file is given to somebody; the group's rights come with fsGroup. */
#define PRIVATE_MODE 0600
/* The API's default for expirationSeconds. */
#define TOKEN_DEFAULT_S 3600
/* The kubelet's token manager: a token is renewed when a fifth of its life is left, or a day after
 * it was issued. */
#define TOKEN_LAST_PART 5
#define TOKEN_MAX_AGE_NS (INT64_C(24) * 3600 * NS_PER_SEC)
#define TOKEN_MIN_WAIT_NS (60 * NS_PER_SEC)
/* pkg/kubelet/pod_workers.go: workerResyncIntervalJitterFactor. */
#define REREAD_PERMILLE 500

/* --- several errors as one: Go's aggregate --- */

struct causes {
    struct arena *arena;
    const char **texts; /* each once */
    size_t count, room;
    enum error_code code; /* the first one's */
};

static void add_cause(struct causes *causes, struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    if (!err)
        return;
    for (size_t i = 0; i < causes->count; i++) {
        if (text_eq(causes->texts[i], err->message))
            return;
    }
    if (causes->count == causes->room) {
        causes->room = causes->room ? causes->room * 2 : 4;
        const char **larger = arena_calloc(causes->arena, causes->room, sizeof(*larger));
        if (causes->count > 0)
            memcpy(larger, causes->texts, causes->count * sizeof(*larger));
        causes->texts = larger;
    }
    if (causes->count == 0)
        causes->code = err->code;
    causes->texts[causes->count++] = arena_strdup(causes->arena, err->message);
}

static struct error *aggregate(const struct causes *causes)
{
    if (causes->count == 0)
        return NULL;
    if (causes->count == 1)
        return error_new(causes->code, "%s", causes->texts[0]);
    AUTO(buf) struct buf text;
    buf_init(&text, MESSAGE_MAX_BYTES);
    for (size_t i = 0; i < causes->count; i++)
        buf_printf(&text, "%s%s", i > 0 ? ", " : "", causes->texts[i]);
    return error_new(causes->code, "[%s]", buf_text(&text));
}

/* --- the sources --- */

struct build {
    struct content *content;
    const struct volume_sources *sources;
    const Core__Pod *pod;
    struct arena *arena;
    struct causes causes;
};

static struct error *no_client(const struct content *content)
{
    if (content->is_projected)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "cannot setup projected volume %s because kube client is not configured",
                         content->volume);
    return error_new(ERROR_FAILED_PRECONDITION,
                     "not supported due to running kubelet in standalone mode");
}

/* The object of @source, NULL when it is optional and not there. */
static struct error *object_of(const struct build *build, struct content_source *source,
                               const ProtobufCMessage **ret)
{
    *ret = source->object ? source->object->message : NULL;
    if (source->object)
        return NULL;
    if (!source->failure)
        return no_client(build->content);
    if (source->keys.optional && error_is(source->failure, ERROR_NOT_FOUND))
        return NULL;
    return TAKE(source->failure);
}

static void refresh_by(struct content *content, int64_t at_ns)
{
    if (content->refresh_at_ns == 0 || at_ns < content->refresh_at_ns)
        content->refresh_at_ns = at_ns;
}

static struct error *add_object(struct build *build, struct content_source *source, int64_t now_ns)
{
    const ProtobufCMessage *object;
    struct error *err = object_of(build, source, &object);
    if (err)
        return err;
    if (build->sources->reread_ns > 0)
        refresh_by(build->content,
                   sat_add_i64(now_ns, jitter_above(build->sources->reread_ns, REREAD_PERMILLE,
                                                    jitter_draw())));
    struct payload_keys keys = source->keys;
    keys.default_mode = build->content->default_mode;
    struct volume_payload *payload = &build->content->payload;
    return source->kind == CONTENT_SECRET
               ? volume_payload_add_secret(payload, (const Core__Secret *)object, &keys)
               : volume_payload_add_config_map(payload, (const Core__ConfigMap *)object, &keys);
}

/* Volumes offer less than env does: nothing that may change or come late. */
static bool is_offered(const char *path)
{
    static const char *const offered[] = {"metadata.name", "metadata.namespace", "metadata.uid",
                                          "metadata.labels", "metadata.annotations"};
    for (size_t i = 0; i < ARRAY_SIZE(offered); i++) {
        if (text_eq(path, offered[i]))
            return true;
    }
    return text_has_prefix(path, "metadata.labels['") ||
           text_has_prefix(path, "metadata.annotations['");
}

static struct error *downward_value(const struct build *build,
                                    const Core__DownwardAPIVolumeFile *file, const char **ret)
{
    const struct volume_sources *sources = build->sources;
    *ret = "";
    if (file->field_ref) {
        const char *path = file->field_ref->field_path ? file->field_ref->field_path : "";
        if (!sources->field || !is_offered(path))
            return error_new(ERROR_INVALID_ARGUMENT, "unsupported fieldPath: %s", path);
        return sources->field(sources->ctx, file->field_ref, build->pod, build->arena, ret);
    }
    if (!file->resource_field_ref)
        return NULL;
    if (!sources->resource)
        return error_new(ERROR_INVALID_ARGUMENT, "unsupported container resource : %s",
                         file->resource_field_ref->resource ? file->resource_field_ref->resource
                                                            : "");
    return sources->resource(sources->ctx, file->resource_field_ref, build->pod, build->arena, ret);
}

static void add_downward(struct build *build, const struct content_source *source)
{
    for (size_t i = 0; i < source->file_count; i++) {
        const Core__DownwardAPIVolumeFile *file = source->files[i];
        const char *value;
        struct error *err = downward_value(build, file, &value);
        int32_t mode = file->has_mode ? file->mode : build->content->default_mode;
        if (!err)
            volume_payload_add(&build->content->payload,
                               &(struct volume_file){.path = file->path,
                                                     .bytes = (const uint8_t *)value,
                                                     .len = strlen(value),
                                                     .mode = (mode_t)mode});
        add_cause(&build->causes, err);
    }
}

int64_t content_token_refresh_ns(int64_t now_ns, int64_t expires_ns, int64_t requested_s)
{
    int64_t life_ns = sat_mul_i64(requested_s, NS_PER_SEC);
    /* It may have come out of the cache, so its age counts and not when it was published. */
    int64_t old_ns = sat_add_i64(sat_sub_i64(expires_ns, life_ns), TOKEN_MAX_AGE_NS);
    int64_t late_ns = sat_sub_i64(expires_ns, life_ns / TOKEN_LAST_PART);
    /* A second later than the cache's own rule, so that it agrees. */
    int64_t at_ns = sat_add_i64(min_i64(old_ns, late_ns), NS_PER_SEC);
    if (at_ns <= now_ns) {
        /* The server gives shorter ones, or gives none at present. */
        int64_t left_ns = sat_sub_i64(expires_ns, now_ns);
        at_ns = sat_add_i64(now_ns, max_i64(left_ns / TOKEN_LAST_PART, TOKEN_MIN_WAIT_NS));
    }
    return min_i64(at_ns, sat_add_i64(now_ns, TOKEN_MAX_AGE_NS + NS_PER_SEC));
}

static struct error *add_token(struct build *build, struct content_source *source, int64_t now_ns)
{
    struct content *content = build->content;
    if (source->failure)
        return TAKE(source->failure);
    if (!source->token_text)
        return no_client(content);
    bool is_private = content->has_fs_user || content->has_fs_group;
    volume_payload_add(
        &content->payload,
        &(struct volume_file){.path = source->token->path,
                              .bytes = (const uint8_t *)source->token_text,
                              .len = strlen(source->token_text),
                              .mode = is_private ? PRIVATE_MODE : (mode_t)content->default_mode,
                              .has_owner = content->has_fs_user,
                              .owner = content->fs_user});
    int64_t requested_s =
        source->token->has_expiration_seconds ? source->token->expiration_seconds : TOKEN_DEFAULT_S;
    refresh_by(content, content_token_refresh_ns(now_ns, source->token_expires_ns, requested_s));
    return NULL;
}

static void add_source(struct build *build, struct content_source *source, int64_t now_ns)
{
    switch (source->kind) {
    case CONTENT_CONFIG_MAP:
    case CONTENT_SECRET:
        add_cause(&build->causes, add_object(build, source, now_ns));
        return;
    case CONTENT_DOWNWARD_API:
        add_downward(build, source);
        return;
    case CONTENT_TOKEN:
        add_cause(&build->causes, add_token(build, source, now_ns));
        return;
    case CONTENT_REFUSED:
        add_cause(&build->causes,
                  error_new(ERROR_UNIMPLEMENTED,
                            "projected source \"%s\" is not supported by cubelet yet",
                            source->name));
        return;
    }
}

struct error *content_build(struct content *content, const struct volume_sources *sources,
                            const Core__Pod *pod, int64_t now_ns, struct arena *arena)
{
    if (!content->has_default_mode)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "no defaultMode used, not even the default value for it");
    content->payload = (struct volume_payload){.arena = arena};
    struct build build = {.content = content,
                          .sources = sources,
                          .pod = pod,
                          .arena = arena,
                          .causes = {.arena = arena}};
    for (size_t i = 0; i < content->source_count; i++)
        add_source(&build, &content->sources[i], now_ns);
    struct error *err = aggregate(&build.causes);
    return err ? err : volume_payload_finish(&content->payload);
}

void content_release(struct content *content)
{
    for (size_t i = 0; i < content->source_count; i++) {
        struct content_source *source = &content->sources[i];
        kube_object_unref(TAKE(source->object));
        error_free(TAKE(source->failure));
        if (source->token_text)
            explicit_bzero(source->token_text, strlen(source->token_text));
        free(TAKE(source->token_text));
    }
}
