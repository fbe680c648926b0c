#include "base/buf.h"
#include "kube/codec.h"
#include "server/guard_internal.h"

#include "authentication.pb-c.h"

#define CREDENTIAL_ID "authentication.kubernetes.io/credential-id"

static const char *const anonymous_groups[] = {GROUP_UNAUTHENTICATED};

const struct server_user guard_anonymous = {
    .name = USER_ANONYMOUS, .uid = "", .groups = anonymous_groups, .group_count = 1};

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

/* Gives @user (in @arena) the @count groups @groups (copied, their texts borrowed), and
 * system:authenticated unless it is one or the other already. */
static void set_groups(struct server_user *user, const char *const *groups, size_t count,
                       struct arena *arena)
{
    const char **all = arena_calloc(arena, count + 1, sizeof(*all));
    bool is_complete = text_eq(user->name, USER_ANONYMOUS);
    for (size_t i = 0; i < count; i++) {
        all[i] = groups[i];
        is_complete = is_complete || text_eq(groups[i], GROUP_AUTHENTICATED) ||
                      text_eq(groups[i], GROUP_UNAUTHENTICATED);
    }
    if (!is_complete)
        all[count++] = GROUP_AUTHENTICATED;
    user->groups = all;
    user->group_count = count;
}

/* --- certificates --- */

/* The subject lives as long as its connection, which may end before the arena. */
const struct server_user *guard_user_of_subject(const struct tls_subject *subject,
                                                struct arena *arena)
{
    if (!*subject->common_name)
        return NULL;
    struct server_user *user = arena_alloc(arena, sizeof(*user));
    struct server_user_extra *extra = arena_alloc(arena, sizeof(*extra));
    const char **values = arena_calloc(arena, 1, sizeof(*values));
    char digest[2 * TLS_SHA256_BYTES + 1];
    values[0] =
        arena_printf(arena, "X509SHA256=%s", str_hex(subject->sha256, TLS_SHA256_BYTES, digest));
    *extra = (struct server_user_extra){.key = CREDENTIAL_ID, .values = values, .value_count = 1};
    const char **groups = arena_calloc(arena, subject->organization_count + 1, sizeof(*groups));
    for (size_t i = 0; i < subject->organization_count; i++)
        groups[i] = arena_strdup(arena, subject->organizations[i]);
    *user = (struct server_user){.name = arena_strdup(arena, subject->common_name),
                                 .uid = arena_strdup(arena, text_or_empty(subject->uid)),
                                 .extra = extra,
                                 .extra_count = 1};
    set_groups(user, groups, subject->organization_count, arena);
    return user;
}

/* --- tokens --- */

const ProtobufCMessage *guard_token_question(const char *token, struct arena *arena)
{
    Authentication__TokenReview *review = (Authentication__TokenReview *)kube_message_new(
        &authentication__token_review__descriptor, arena);
    review->spec = (Authentication__TokenReviewSpec *)kube_message_new(
        &authentication__token_review_spec__descriptor, arena);
    review->spec->token = arena_strdup(arena, token);
    return &review->base;
}

/* Why a token is no good is not told to whoever shows it; upstream neither. */
static struct error *read_token_review(const ProtobufCMessage *reply, struct arena *arena,
                                       struct answer *ret)
{
    const Authentication__TokenReviewStatus *status =
        ((const Authentication__TokenReview *)reply)->status;
    *ret = (struct answer){0};
    if (!status || !status->authenticated)
        return NULL;
    if (!status->user || !*text_or_empty(status->user->username))
        return error_new(ERROR_INTERNAL, "the server's TokenReview names no user");
    AUTO(buf) struct buf packed = {0};
    buf_init(&packed, KUBE_OBJECT_MAX_BYTES);
    kube_encode_protobuf(&status->user->base, &packed);
    struct error *err = buf_error(&packed, "the user of the server's TokenReview");
    if (err)
        return err;
    ret->is_yes = true;
    ret->text.ptr = packed.len > 0 ? arena_memdup(arena, packed.data, packed.len) : NULL;
    ret->text.len = packed.len;
    return NULL;
}

static struct server_user_extra read_extra(const Authentication__UserInfo__ExtraEntry *entry)
{
    const Authentication__ExtraValue *value = entry->value;
    return (struct server_user_extra){.key = text_or_empty(entry->key),
                                      .values = value ? (const char *const *)value->items : NULL,
                                      .value_count = value ? value->n_items : 0};
}

struct error *guard_user_of_answer(const struct answer *answer, struct arena *arena,
                                   const struct server_user **ret)
{
    ProtobufCMessage *message = NULL;
    struct error *err =
        kube_decode_protobuf(answer->text, &authentication__user_info__descriptor, arena, &message);
    if (err)
        return err;
    const Authentication__UserInfo *info = (const Authentication__UserInfo *)message;
    struct server_user *user = arena_alloc(arena, sizeof(*user));
    struct server_user_extra *extra = arena_calloc(arena, info->n_extra + 1, sizeof(*extra));
    for (size_t i = 0; i < info->n_extra; i++)
        extra[i] = read_extra(info->extra[i]);
    *user = (struct server_user){.name = text_or_empty(info->username),
                                 .uid = text_or_empty(info->uid),
                                 .extra = extra,
                                 .extra_count = info->n_extra};
    set_groups(user, (const char *const *)info->groups, info->n_groups, arena);
    *ret = user;
    return NULL;
}

/* --- what is counted --- */

static const double request_bounds[] = {0.25, 0.5, 0.7, 1, 1.5, 3, 5, 10};

static const struct metric_info request_total = {
    .name = "apiserver_delegated_authn_request_total",
    .help = "[ALPHA] Number of HTTP requests partitioned by status code.",
    .type = METRIC_COUNTER,
    .labels = {"code"}};
static const struct metric_info request_duration = {
    .name = "apiserver_delegated_authn_request_duration_seconds",
    .help = "[ALPHA] Request latency in seconds. Broken down by status code.",
    .type = METRIC_HISTOGRAM,
    .labels = {"code"},
    .bounds = request_bounds,
    .bound_count = ARRAY_SIZE(request_bounds)};
static const struct metric_info cache_total = {.name = "authentication_token_cache_request_total",
                                               .help = "[ALPHA] ",
                                               .type = METRIC_COUNTER,
                                               .labels = {"status"}};
static const struct metric_info cache_duration = {
    .name = "authentication_token_cache_request_duration_seconds",
    .help = "[ALPHA] ",
    .type = METRIC_HISTOGRAM,
    .labels = {"status"},
    .bounds = metrics_default_bounds,
    .bound_count = METRICS_DEFAULT_BOUND_COUNT};
static const struct metric_info fetch_total = {.name = "authentication_token_cache_fetch_total",
                                               .help = "[ALPHA] ",
                                               .type = METRIC_COUNTER,
                                               .labels = {"status"}};
static const struct metric_info fetch_active = {.name =
                                                    "authentication_token_cache_active_fetch_count",
                                                .help = "[ALPHA] ",
                                                .type = METRIC_GAUGE,
                                                .labels = {"status"}};

const struct review_type guard_token_review = {
    .api_version = "authentication.k8s.io/v1",
    .kind = "TokenReview",
    .read = read_token_review,
    .request_total = &request_total,
    .request_duration = &request_duration,
    .cache_total = &cache_total,
    .cache_duration = &cache_duration,
    .fetch_total = &fetch_total,
    .fetch_active = &fetch_active,
};
