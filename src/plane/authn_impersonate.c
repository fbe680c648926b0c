/*
 * Impersonation: a request that shows one user's credentials and asks to be somebody else. Each
 * thing it wants to be (user, uid, groups, extra values) is asked for on its own, as the verb
 * impersonate on a resource that exists for this purpose only.
 */
#include "plane/authn.h"
#include "plane/authz.h"

#include <strings.h>

#define HEADER_USER "impersonate-user"
#define HEADER_UID "impersonate-uid"
#define HEADER_GROUP "impersonate-group"
#define HEADER_EXTRA "impersonate-extra-"
#define SERVICE_ACCOUNT_PREFIX "system:serviceaccount:"

struct impersonation {
    const struct plane_user *user; /* who asks */
    struct arena *arena;
    authn_authorize *authorize;
    void *ctx;
};

static size_t count_fields(const struct http_request *request, const char *prefix)
{
    size_t count = 0;
    for (size_t i = 0; i < request->fields.count; i++)
        count += text_has_prefix(request->fields.items[i].name, prefix) ? 1 : 0;
    return count;
}

static Meta__Status *ask(const struct impersonation *self, struct authz_attributes *attributes)
{
    attributes->user = self->user;
    attributes->verb = "impersonate";
    attributes->version = attributes->group && attributes->group[0] ? "v1" : "";
    attributes->is_resource = true;
    return self->authorize(self->ctx, attributes);
}

/* Splits "system:serviceaccount:<namespace>:<name>"; false for any other user. */
static bool split_service_account(const char *user, struct arena *arena, const char **ret_namespace,
                                  const char **ret_name)
{
    if (!text_has_prefix(user, SERVICE_ACCOUNT_PREFIX))
        return false;
    struct str rest = str_from(user + strlen(SERVICE_ACCOUNT_PREFIX));
    size_t colon = str_find(rest, ':');
    if (colon == 0 || colon + 1 >= rest.len || strchr(rest.ptr + colon + 1, ':'))
        return false;
    *ret_namespace = arena_strndup(arena, rest.ptr, colon);
    *ret_name = rest.ptr + colon + 1;
    return true;
}

static Meta__Status *become_user(const struct impersonation *self, const char *name)
{
    struct authz_attributes attributes = {.group = "", .resource = "users", .name = name};
    if (split_service_account(name, self->arena, &attributes.namespace_, &attributes.name))
        attributes.resource = "serviceaccounts";
    return ask(self, &attributes);
}

/* --- groups --- */

static Meta__Status *become_groups(const struct impersonation *self,
                                   const struct http_request *request, const char **groups,
                                   size_t *count)
{
    for (size_t i = 0; i < request->fields.count; i++) {
        const struct http_field *field = &request->fields.items[i];
        if (!text_eq(field->name, HEADER_GROUP))
            continue;
        struct authz_attributes attributes = {
            .group = "", .resource = "groups", .name = field->value};
        Meta__Status *failure = ask(self, &attributes);
        if (failure)
            return failure;
        groups[(*count)++] = arena_strdup(self->arena, field->value);
    }
    return NULL;
}

/* What upstream adds: a service account's own groups when none were named, and the mark of who is
 * authenticated. */
static void complete_groups(const char *user, bool were_named, struct arena *arena,
                            const char **groups, size_t *count)
{
    const char *namespace_ = NULL, *name = NULL;
    if (!were_named && split_service_account(user, arena, &namespace_, &name)) {
        groups[(*count)++] = GROUP_SERVICE_ACCOUNTS;
        groups[(*count)++] = arena_printf(arena, GROUP_SERVICE_ACCOUNTS ":%s", namespace_);
    }
    const struct text_list list = {groups, *count};
    bool is_anonymous = text_eq(user, USER_ANONYMOUS);
    const char *mark = is_anonymous ? GROUP_UNAUTHENTICATED : GROUP_AUTHENTICATED;
    if (!text_list_has(&list, GROUP_AUTHENTICATED) && !text_list_has(&list, GROUP_UNAUTHENTICATED))
        groups[(*count)++] = mark;
}

/* --- extra values --- */

/* Header names are lower case and cannot hold '/', so keys come percent-encoded. */
static const char *extra_key(const char *encoded, struct arena *arena)
{
    struct http_target target;
    struct error *err =
        http_target_parse(str_from(arena_printf(arena, "/%s", encoded)), arena, &target);
    if (err) {
        error_ignore(err, "a broken escape stands for itself, as upstream takes it");
        return arena_strdup(arena, encoded);
    }
    return target.path + 1;
}

static Meta__Status *become_extra(const struct impersonation *self,
                                  const struct http_request *request, struct plane_extra *extra,
                                  size_t *count)
{
    for (size_t i = 0; i < request->fields.count; i++) {
        const struct http_field *field = &request->fields.items[i];
        if (!text_has_prefix(field->name, HEADER_EXTRA))
            continue;
        const char *key = extra_key(field->name + strlen(HEADER_EXTRA), self->arena);
        struct authz_attributes attributes = {.group = "authentication.k8s.io",
                                              .resource = "userextras",
                                              .subresource = key,
                                              .name = field->value};
        Meta__Status *failure = ask(self, &attributes);
        if (failure)
            return failure;
        const char **values = arena_calloc(self->arena, 1, sizeof(*values));
        values[0] = arena_strdup(self->arena, field->value);
        extra[(*count)++] = (struct plane_extra){.key = key, .values = {values, 1}};
    }
    return NULL;
}

/* Brings the values of one key together, in the order sent. */
static size_t merge_extra(struct plane_extra *extra, size_t count, struct arena *arena)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        while (k < kept && !text_eq(extra[k].key, extra[i].key))
            k++;
        if (k == kept) {
            extra[kept++] = extra[i];
            continue;
        }
        size_t value_count = extra[k].values.count;
        const char **values = arena_calloc(arena, value_count + 1, sizeof(*values));
        for (size_t v = 0; v < value_count; v++)
            values[v] = extra[k].values.items[v];
        values[value_count] = extra[i].values.items[0];
        extra[k].values = (struct text_list){values, value_count + 1};
    }
    return kept;
}

/* --- the whole --- */

static Meta__Status *become_uid(const struct impersonation *self, const char *uid)
{
    struct authz_attributes attributes = {
        .group = "authentication.k8s.io", .resource = "uids", .name = uid};
    return uid && uid[0] ? ask(self, &attributes) : NULL;
}

static Meta__Status *become(const struct impersonation *self, const struct http_request *request,
                            const char *name, struct plane_user *ret)
{
    const char *uid = http_fields_get(&request->fields, HEADER_UID);
    size_t room = count_fields(request, HEADER_GROUP) + 3, group_count = 0, extra_count = 0;
    const char **groups = arena_calloc(self->arena, room, sizeof(*groups));
    struct plane_extra *extra =
        arena_calloc(self->arena, count_fields(request, HEADER_EXTRA) + 1, sizeof(*extra));
    Meta__Status *failure = become_user(self, name);
    if (!failure)
        failure = become_groups(self, request, groups, &group_count);
    if (!failure)
        failure = become_extra(self, request, extra, &extra_count);
    if (!failure)
        failure = become_uid(self, uid);
    if (failure)
        return failure;
    complete_groups(name, group_count > 0, self->arena, groups, &group_count);
    *ret = (struct plane_user){
        .name = arena_strdup(self->arena, name),
        .uid = uid ? arena_strdup(self->arena, uid) : "",
        .groups = {groups, group_count},
        .extra = extra,
        .extra_count = merge_extra(extra, extra_count, self->arena),
    };
    return NULL;
}

Meta__Status *authn_impersonate(const struct http_request *request, const struct plane_user *user,
                                struct arena *arena, authn_authorize *authorize, void *ctx,
                                struct plane_user *ret)
{
    const char *name = http_fields_get(&request->fields, HEADER_USER);
    const struct impersonation self = {
        .user = user, .arena = arena, .authorize = authorize, .ctx = ctx};
    if (name && name[0])
        return become(&self, request, name, ret);
    if (count_fields(request, HEADER_GROUP) + count_fields(request, HEADER_EXTRA) +
            count_fields(request, HEADER_UID) >
        0)
        return failure_bad_request(
            arena, "requested groups, uid or extra values without impersonating a user");
    *ret = *user;
    return NULL;
}
