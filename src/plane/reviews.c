/*
 * Reviews: questions about users that are answered in the object itself and stored nowhere. Who
 * asks was allowed to ask by authorization; who is asked about may be anybody.
 */
#include "plane/strategy_internal.h"

#include "plane/authn.h"
#include "plane/authz.h"

#include "authentication.pb-c.h"
#include "authorization.pb-c.h"

/* --- authentication.k8s.io --- */

static char **copy_texts(const struct text_list *list, struct arena *arena)
{
    char **copies = arena_calloc(arena, list->count, sizeof(*copies));
    for (size_t i = 0; i < list->count; i++)
        copies[i] = arena_strdup(arena, list->items[i]);
    return copies;
}

static Authentication__UserInfo__ExtraEntry *make_extra(const struct plane_extra *extra,
                                                        struct arena *arena)
{
    Authentication__UserInfo__ExtraEntry *entry = NEW_MESSAGE(
        arena, Authentication__UserInfo__ExtraEntry, authentication__user_info__extra_entry);
    entry->key = arena_strdup(arena, extra->key);
    entry->value = NEW_MESSAGE(arena, Authentication__ExtraValue, authentication__extra_value);
    entry->value->n_items = extra->values.count;
    entry->value->items = copy_texts(&extra->values, arena);
    return entry;
}

static Authentication__UserInfo *make_user_info(const struct plane_user *user, struct arena *arena)
{
    Authentication__UserInfo *info =
        NEW_MESSAGE(arena, Authentication__UserInfo, authentication__user_info);
    info->username = arena_strdup(arena, user->name);
    info->uid = is_empty(user->uid) ? NULL : arena_strdup(arena, user->uid);
    info->n_groups = user->groups.count;
    info->groups = copy_texts(&user->groups, arena);
    info->n_extra = user->extra_count;
    info->extra = arena_calloc(arena, user->extra_count, sizeof(void *));
    for (size_t i = 0; i < user->extra_count; i++)
        info->extra[i] = make_extra(&user->extra[i], arena);
    return info;
}

Meta__Status *review_token(const struct strategy_context *context, ProtobufCMessage *object,
                           ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind)
{
    (void)ret_reply;
    (void)ret_kind;
    Authentication__TokenReview *review = (Authentication__TokenReview *)object;
    struct arena *arena = context->arena;
    if (!review->spec || is_empty(review->spec->token))
        return failure_bad_request(arena, "token is required for TokenReview in authentication");
    const struct authn_token token = {
        .text = str_from(review->spec->token),
        .audiences = {.items = (const char *const *)review->spec->audiences,
                      .count = review->spec->n_audiences},
    };
    struct plane_user user = {0};
    struct text_list audiences = {0};
    AUTO(error)
    struct error *err = authn_review_token(context->world->authn, &token, context->authn_context,
                                           arena, &user, &audiences);
    review->status =
        NEW_MESSAGE(arena, Authentication__TokenReviewStatus, authentication__token_review_status);
    if (err) {
        review->status->user =
            NEW_MESSAGE(arena, Authentication__UserInfo, authentication__user_info);
        review->status->error = arena_strdup(arena, err->message);
        return NULL;
    }
    review->status->has_authenticated = true;
    review->status->authenticated = true;
    review->status->user = make_user_info(&user, arena);
    review->status->n_audiences = audiences.count;
    review->status->audiences = copy_texts(&audiences, arena);
    return NULL;
}

Meta__Status *review_self(const struct strategy_context *context, ProtobufCMessage *object,
                          ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind)
{
    (void)ret_reply;
    (void)ret_kind;
    Authentication__SelfSubjectReview *review = (Authentication__SelfSubjectReview *)object;
    struct arena *arena = context->arena;
    Meta__ObjectMeta *meta = kube_object_ensure_meta(object, arena);
    meta->creation_timestamp = object_time(context->now_wall_ns, arena);
    review->status = NEW_MESSAGE(arena, Authentication__SelfSubjectReviewStatus,
                                 authentication__self_subject_review_status);
    review->status->user_info = make_user_info(context->user, arena);
    return NULL;
}

/* --- authorization.k8s.io --- */

/* What is asked, for whom; the object is for messages. */
struct question {
    const ProtobufCMessage *object;
    const Authorization__ResourceAttributes *resource;
    const Authorization__NonResourceAttributes *path;
};

static Meta__Status *refuse(const struct strategy_context *context, const struct question *question,
                            const char *path, const char *message)
{
    const struct field_error error = {.path = path, .message = message};
    return strategy_invalid(context, "authorization.k8s.io/v1", question->object, &error);
}

static Meta__Status *decide(const struct strategy_context *context, const struct question *question,
                            const struct plane_user *user,
                            Authorization__SubjectAccessReviewStatus **ret)
{
    struct authz_attributes attributes;
    if (question->resource && question->path)
        return refuse(context, question, "spec.nonResourceAttributes",
                      "Invalid value: cannot be specified in combination with resourceAttributes");
    if (!authz_attributes_of_review(question->resource, question->path, user, context->arena,
                                    &attributes))
        return refuse(context, question, "spec.resourceAttributes",
                      "Invalid value: null: exactly one of nonResourceAttributes or "
                      "resourceAttributes must be specified");
    const struct authz_verdict verdict = authz_decide(&attributes, context->policy, context->arena);
    Authorization__SubjectAccessReviewStatus *status =
        NEW_MESSAGE(context->arena, Authorization__SubjectAccessReviewStatus,
                    authorization__subject_access_review_status);
    status->has_allowed = true;
    status->allowed = verdict.is_allowed;
    status->reason = is_empty(verdict.reason) ? NULL : arena_strdup(context->arena, verdict.reason);
    *ret = status;
    return NULL;
}

static struct plane_user user_of_spec(const Authorization__SubjectAccessReviewSpec *spec,
                                      struct arena *arena)
{
    struct plane_user user = {
        .name = or_empty(spec->user),
        .uid = or_empty(spec->uid),
        .groups = {.items = (const char *const *)spec->groups, .count = spec->n_groups},
    };
    struct plane_extra *extra = arena_calloc(arena, spec->n_extra, sizeof(*extra));
    for (size_t i = 0; i < spec->n_extra; i++) {
        const Authorization__ExtraValue *value = spec->extra[i]->value;
        extra[i].key = or_empty(spec->extra[i]->key);
        if (value)
            extra[i].values = (struct text_list){.items = (const char *const *)value->items,
                                                 .count = value->n_items};
    }
    user.extra = extra;
    user.extra_count = spec->n_extra;
    return user;
}

static Meta__Status *decide_for_subject(const struct strategy_context *context,
                                        const ProtobufCMessage *object,
                                        const Authorization__SubjectAccessReviewSpec *spec,
                                        Authorization__SubjectAccessReviewStatus **ret)
{
    static const Authorization__SubjectAccessReviewSpec empty =
        AUTHORIZATION__SUBJECT_ACCESS_REVIEW_SPEC__INIT;
    if (!spec)
        spec = &empty;
    const struct question question = {.object = object,
                                      .resource = spec->resource_attributes,
                                      .path = spec->non_resource_attributes};
    if (is_empty(spec->user) && spec->n_groups == 0)
        return refuse(context, &question, "spec.user",
                      "Invalid value: \"\": at least one of user or group must be specified");
    const struct plane_user user = user_of_spec(spec, context->arena);
    return decide(context, &question, &user, ret);
}

Meta__Status *review_access(const struct strategy_context *context, ProtobufCMessage *object,
                            ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind)
{
    (void)ret_reply;
    (void)ret_kind;
    Authorization__SubjectAccessReview *review = (Authorization__SubjectAccessReview *)object;
    return decide_for_subject(context, object, review->spec, &review->status);
}

Meta__Status *review_local_access(const struct strategy_context *context, ProtobufCMessage *object,
                                  ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind)
{
    (void)ret_reply;
    (void)ret_kind;
    Authorization__LocalSubjectAccessReview *review =
        (Authorization__LocalSubjectAccessReview *)object;
    const Authorization__ResourceAttributes *asked =
        review->spec ? review->spec->resource_attributes : NULL;
    const char *namespace_ = review->metadata ? or_empty(review->metadata->namespace_) : "";
    const struct question question = {.object = object};
    if (review->spec && review->spec->non_resource_attributes)
        return refuse(context, &question, "spec.nonResourceAttributes",
                      "Invalid value: disallowed on this kind of request");
    if (asked && !text_eq(or_empty(asked->namespace_), namespace_))
        return refuse(context, &question, "spec.resourceAttributes.namespace",
                      arena_printf(context->arena,
                                   "Invalid value: \"%s\": must match metadata.namespace",
                                   or_empty(asked->namespace_)));
    return decide_for_subject(context, object, review->spec, &review->status);
}

Meta__Status *review_self_access(const struct strategy_context *context, ProtobufCMessage *object,
                                 ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind)
{
    (void)ret_reply;
    (void)ret_kind;
    Authorization__SelfSubjectAccessReview *review =
        (Authorization__SelfSubjectAccessReview *)object;
    struct question question = {.object = object};
    if (review->spec) {
        question.resource = review->spec->resource_attributes;
        question.path = review->spec->non_resource_attributes;
    }
    return decide(context, &question, context->user, &review->status);
}

Meta__Status *review_self_rules(const struct strategy_context *context, ProtobufCMessage *object,
                                ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind)
{
    (void)ret_reply;
    (void)ret_kind;
    Authorization__SelfSubjectRulesReview *review = (Authorization__SelfSubjectRulesReview *)object;
    const char *namespace_ = review->spec ? review->spec->namespace_ : NULL;
    if (is_empty(namespace_))
        return failure_bad_request(context->arena, "no namespace on request");
    review->status = authz_rules_review(context->user, namespace_, context->policy, context->arena);
    return NULL;
}
