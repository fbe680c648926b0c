#include "volume/content_gather.h"

#include "kube/object_watch.h"
#include "kube/token_cache.h"

/* One question. */
struct fetch {
    struct content_gather *gather;
    struct content_source *source;
    struct object_watch_get *object;
    struct token_get *token;
};

struct content_gather {
    size_t count, pending;
    struct fetch *fetches;
    void (*on_done)(void *ctx);
    void *ctx;
};

static void gather_free(struct content_gather *gather)
{
    free(gather->fetches);
    free(gather);
}

void content_gather_cancel(struct content_gather *gather)
{
    if (!gather)
        return;
    for (size_t i = 0; i < gather->count; i++) {
        object_watch_get_cancel(gather->fetches[i].object);
        token_get_cancel(gather->fetches[i].token);
    }
    gather_free(gather);
}

static void answered(struct fetch *fetch)
{
    struct content_gather *gather = fetch->gather;
    fetch->object = NULL;
    fetch->token = NULL;
    if (--gather->pending > 0)
        return;
    void (*on_done)(void *ctx) = gather->on_done;
    void *ctx = gather->ctx;
    gather_free(gather);
    on_done(ctx);
}

static void on_object(void *ctx, const struct kube_object *object, struct error *err_owned)
{
    struct fetch *fetch = ctx;
    fetch->source->object = kube_object_ref(object);
    fetch->source->failure = err_owned;
    answered(fetch);
}

static void on_token(void *ctx, const struct token *token, struct error *err_owned)
{
    struct fetch *fetch = ctx;
    if (token) {
        fetch->source->token_text = xstrdup(token->text);
        fetch->source->token_expires_ns = token->expires_ns;
    }
    fetch->source->failure = err_owned;
    answered(fetch);
}

static struct token_get *ask_for_token(struct fetch *fetch, struct token_cache *tokens,
                                       const Core__Pod *pod)
{
    const Core__ServiceAccountTokenProjection *projection = fetch->source->token;
    const Meta__ObjectMeta *meta = pod->metadata;
    bool has_audience = projection->audience && *projection->audience;
    const char *const audiences[] = {projection->audience};
    const struct token_request request = {
        .namespace_ = meta->namespace_ ? meta->namespace_ : "",
        .service_account = pod->spec->service_account_name ? pod->spec->service_account_name : "",
        .audiences = audiences,
        .audience_count = has_audience ? 1 : 0,
        .has_expiration = projection->has_expiration_seconds,
        .expiration_seconds = projection->expiration_seconds,
        .pod_name = meta->name ? meta->name : "",
        .pod_uid = meta->uid ? meta->uid : "",
    };
    return token_cache_get(tokens, &request, on_token, fetch);
}

/* Whether there is somebody to ask about @source. */
static bool is_askable(const struct content_source *source, const struct volume_sources *sources)
{
    switch (source->kind) {
    case CONTENT_CONFIG_MAP:
        return sources->config_maps != NULL;
    case CONTENT_SECRET:
        return sources->secrets != NULL;
    case CONTENT_TOKEN:
        return sources->tokens != NULL;
    case CONTENT_DOWNWARD_API:
    case CONTENT_REFUSED:
        break;
    }
    return false;
}

static void ask(struct fetch *fetch, const struct volume_sources *sources, const Core__Pod *pod)
{
    const struct content_source *source = fetch->source;
    const char *namespace_ = pod->metadata->namespace_ ? pod->metadata->namespace_ : "";
    if (source->kind == CONTENT_TOKEN)
        fetch->token = ask_for_token(fetch, sources->tokens, pod);
    else
        fetch->object = object_watch_get(source->kind == CONTENT_SECRET ? sources->secrets
                                                                        : sources->config_maps,
                                         namespace_, source->name, on_object, fetch);
}

struct content_gather *content_gather_start(const struct volume_sources *sources,
                                            const Core__Pod *pod, struct content *const *contents,
                                            size_t count, void (*on_done)(void *ctx), void *ctx)
{
    size_t room = 0;
    for (size_t i = 0; i < count; i++)
        room += contents[i]->source_count;
    if (room == 0)
        return NULL;
    struct content_gather *gather = xcalloc(1, sizeof(*gather));
    gather->fetches = xcalloc(room, sizeof(*gather->fetches));
    gather->on_done = on_done;
    gather->ctx = ctx;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < contents[i]->source_count; k++) {
            if (is_askable(&contents[i]->sources[k], sources))
                gather->fetches[gather->count++] =
                    (struct fetch){.gather = gather, .source = &contents[i]->sources[k]};
        }
    }
    gather->pending = gather->count;
    if (gather->count == 0) {
        gather_free(gather);
        return NULL;
    }
    for (size_t i = 0; i < gather->count; i++)
        ask(&gather->fetches[i], sources, pod);
    return gather;
}
