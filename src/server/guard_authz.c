#include "base/buf.h"
#include "kube/codec.h"
#include "server/guard_internal.h"

#include "authorization.pb-c.h"

#define API_VERSION "v1"

/* Upstream's maxControlledAttrCacheSize. */
#define MAX_KEPT_BYTES 10000

/* --- the question --- */

static void add_part(struct buf *out, const char *text)
{
    buf_printf(out, "%zu:", strlen(text));
    buf_add_text(out, text);
}

static void add_parts(struct buf *out, const char *const *texts, size_t count)
{
    buf_printf(out, "%zu;", count);
    for (size_t i = 0; i < count; i++)
        add_part(out, texts[i]);
}

/* Every text with its length and every list with its count in front, so that nothing can be moved
 * from one to the next. */
void guard_access_text(const struct guard_wish *wish, struct buf *out)
{
    const struct server_user *user = wish->user;
    add_part(out, wish->verb);
    add_part(out, wish->subresource);
    add_part(out, wish->node_name);
    add_part(out, user->name);
    add_part(out, user->uid);
    add_parts(out, user->groups, user->group_count);
    buf_printf(out, "%zu;", user->extra_count);
    for (size_t i = 0; i < user->extra_count; i++) {
        add_part(out, user->extra[i].key);
        add_parts(out, user->extra[i].values, user->extra[i].value_count);
    }
}

static char *dup_or_null(struct arena *arena, const char *text)
{
    return *text ? arena_strdup(arena, text) : NULL;
}

static char **dup_all(struct arena *arena, const char *const *texts, size_t count)
{
    char **copies = arena_calloc(arena, count + 1, sizeof(*copies));
    for (size_t i = 0; i < count; i++)
        copies[i] = arena_strdup(arena, texts[i]);
    return copies;
}

static Authorization__SubjectAccessReviewSpec__ExtraEntry *extra_entry(
    const struct server_user_extra *extra, struct arena *arena)
{
    Authorization__SubjectAccessReviewSpec__ExtraEntry *entry =
        (Authorization__SubjectAccessReviewSpec__ExtraEntry *)kube_message_new(
            &authorization__subject_access_review_spec__extra_entry__descriptor, arena);
    entry->key = arena_strdup(arena, extra->key);
    entry->value = (Authorization__ExtraValue *)kube_message_new(
        &authorization__extra_value__descriptor, arena);
    entry->value->n_items = extra->value_count;
    entry->value->items = dup_all(arena, extra->values, extra->value_count);
    return entry;
}

static Authorization__ResourceAttributes *attributes_of(const struct guard_wish *wish,
                                                        struct arena *arena)
{
    Authorization__ResourceAttributes *attributes =
        (Authorization__ResourceAttributes *)kube_message_new(
            &authorization__resource_attributes__descriptor, arena);
    attributes->verb = dup_or_null(arena, wish->verb);
    attributes->version = arena_strdup(arena, API_VERSION);
    attributes->resource = arena_strdup(arena, ACCESS_RESOURCE);
    attributes->subresource = arena_strdup(arena, wish->subresource);
    attributes->name = arena_strdup(arena, wish->node_name);
    return attributes;
}

const ProtobufCMessage *guard_access_question(const struct guard_wish *wish, struct arena *arena)
{
    const struct server_user *user = wish->user;
    Authorization__SubjectAccessReview *review =
        (Authorization__SubjectAccessReview *)kube_message_new(
            &authorization__subject_access_review__descriptor, arena);
    Authorization__SubjectAccessReviewSpec *spec =
        (Authorization__SubjectAccessReviewSpec *)kube_message_new(
            &authorization__subject_access_review_spec__descriptor, arena);
    spec->resource_attributes = attributes_of(wish, arena);
    spec->user = arena_strdup(arena, user->name);
    spec->uid = dup_or_null(arena, user->uid);
    spec->n_groups = user->group_count;
    spec->groups = dup_all(arena, user->groups, user->group_count);
    spec->n_extra = user->extra_count;
    spec->extra = arena_calloc(arena, user->extra_count + 1,
                               sizeof(Authorization__SubjectAccessReviewSpec__ExtraEntry *));
    for (size_t i = 0; i < user->extra_count; i++)
        spec->extra[i] = extra_entry(&user->extra[i], arena);
    review->spec = spec;
    return &review->base;
}

bool guard_access_is_kept(const struct guard_wish *wish, const char *path)
{
    return strlen(wish->verb) + strlen(API_VERSION) + strlen(ACCESS_RESOURCE) +
               strlen(wish->subresource) + strlen(wish->node_name) + strlen(path) <
           MAX_KEPT_BYTES;
}

/* --- the answer --- */

static struct error *read_access_review(const ProtobufCMessage *reply, UNUSED struct arena *arena,
                                        struct answer *ret)
{
    const Authorization__SubjectAccessReviewStatus *status =
        ((const Authorization__SubjectAccessReview *)reply)->status;
    bool is_allowed = status && status->allowed;
    if (is_allowed && status->denied)
        return error_new(ERROR_INTERNAL, "the server's SubjectAccessReview both allows and denies");
    *ret = (struct answer){.is_yes = is_allowed};
    return NULL;
}

/* --- what is counted --- */

static const double request_bounds[] = {0.25, 0.5, 0.7, 1, 1.5, 3, 5, 10};

static const struct metric_info request_total = {
    .name = "apiserver_delegated_authz_request_total",
    .help = "[ALPHA] Number of HTTP requests partitioned by status code.",
    .type = METRIC_COUNTER,
    .labels = {"code"}};
static const struct metric_info request_duration = {
    .name = "apiserver_delegated_authz_request_duration_seconds",
    .help = "[ALPHA] Request latency in seconds. Broken down by status code.",
    .type = METRIC_HISTOGRAM,
    .labels = {"code"},
    .bounds = request_bounds,
    .bound_count = ARRAY_SIZE(request_bounds)};

const struct review_type guard_access_review = {
    .api_version = "authorization.k8s.io/v1",
    .kind = "SubjectAccessReview",
    .read = read_access_review,
    .request_total = &request_total,
    .request_duration = &request_duration,
};
