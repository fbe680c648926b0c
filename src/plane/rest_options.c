/*
 * What a request says beside its object: the options in its query, by upstream's rules
 * (apimachinery's validation of CreateOptions, UpdateOptions, PatchOptions and ListOptions).
 * Options that make no sense are refused before anything is looked at: a dry run of a sort that
 * nobody knows must not become a real one.
 */
#include "plane/rest_internal.h"

#include "kube/validation.h"
#include "plane/route.h"

#define FIELD_MANAGER_MAX_BYTES 128 /* upstream's FieldManagerMaxLength */

bool rest_is_dry_run(const struct plane_request *request)
{
    return text_eq(http_target_param(request->target, "dryRun"), "All");
}

static const char *param(const struct plane_request *request, const char *name)
{
    const char *value = http_target_param(request->target, name);
    return value ? value : "";
}

static bool is_apply(const struct rest_env *env, const struct plane_request *request)
{
    return strcmp(media_type(request->content_type, env->arena), REST_APPLY_TYPE) == 0;
}

/* --- options of writes --- */

static void check_manager(struct validation *v, const char *manager)
{
    const struct field_path *path = FIELD(NULL, "fieldManager");
    if (strlen(manager) > FIELD_MANAGER_MAX_BYTES)
        field_too_long(v, path, FIELD_MANAGER_MAX_BYTES);
    for (const char *at = manager; *at; at++) {
        if ((*at > 0 && *at < ' ') || *at == 0x7f)
            field_invalid(v, path, manager,
                          arena_printf(v->scratch, "invalid character U+%04X (at position %zu)",
                                       (unsigned)*at, (size_t)(at - manager)));
    }
}

void rest_check_dry_run(struct validation *v, const char *dry_run)
{
    if (*dry_run == '\0' || strcmp(dry_run, "All") == 0)
        return;
    /* A list in Go, shown as such. */
    static const char *const supported[] = {"All", NULL};
    struct field_errors *errors = v->errors;
    size_t count = errors->count;
    field_not_supported(v, FIELD(NULL, "dryRun"), dry_run, supported);
    if (errors->count > count)
        errors->errors[count].message =
            arena_printf(v->scratch,
                         "Unsupported value: []string{\"%s\"}: supported values:"
                         " \"All\"",
                         dry_run);
}

static void check_write_options(struct validation *v, const struct plane_request *request)
{
    static const char *const validations[] = {"Ignore", "Strict", "Warn", NULL};
    const char *validation = param(request, "fieldValidation");
    check_manager(v, param(request, "fieldManager"));
    rest_check_dry_run(v, param(request, "dryRun"));
    if (*validation)
        field_check_enum(v, FIELD(NULL, "fieldValidation"), validation, validations);
}

static void check_patch_options(struct validation *v, const struct rest_env *env,
                                const struct plane_request *request)
{
    if (is_apply(env, request)) {
        if (*param(request, "fieldManager") == '\0')
            field_required(v, FIELD(NULL, "fieldManager"), "is required for apply patch");
    } else if (http_target_param(request->target, "force")) {
        field_forbidden(v, FIELD(NULL, "force"), "may not be specified for non-apply patch");
    }
    check_write_options(v, request);
}

/* --- options of lists and watches --- */

static void check_list_options(struct validation *v, const struct plane_request *request)
{
    static const char *const matches[] = {"Exact", "NotOlderThan", "", NULL};
    const struct field_path *path = FIELD(NULL, "resourceVersionMatch");
    const char *match = param(request, "resourceVersionMatch");
    const char *version = param(request, "resourceVersion");
    if (*match && *version == '\0')
        field_forbidden(v, path,
                        "resourceVersionMatch is forbidden unless resourceVersion is provided");
    if (*match && *param(request, "continue"))
        field_forbidden(v, path, "resourceVersionMatch is forbidden when continue is provided");
    if (*match)
        field_check_enum(v, path, match, matches);
    if (strcmp(match, "Exact") == 0 && strcmp(version, "0") == 0)
        field_forbidden(v, path,
                        "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
    if (http_target_param(request->target, "sendInitialEvents"))
        field_forbidden(v, FIELD(NULL, "sendInitialEvents"),
                        "sendInitialEvents is forbidden for list");
}

static void check_watch_options(struct validation *v, const struct plane_request *request)
{
    static const char *const matches[] = {"NotOlderThan", NULL};
    const struct field_path *path = FIELD(NULL, "resourceVersionMatch");
    const char *match = param(request, "resourceVersionMatch");
    bool sends = http_target_param(request->target, "sendInitialEvents") != NULL;
    if (sends && strcmp(match, "NotOlderThan") != 0)
        field_forbidden(v, path,
                        "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    if (*match == '\0')
        return;
    if (!sends)
        field_forbidden(v, path,
                        "resourceVersionMatch is forbidden for watch unless sendInitialEvents is"
                        " provided");
    field_check_enum(v, path, match, matches);
    if (*param(request, "continue"))
        field_forbidden(v, path, "resourceVersionMatch is forbidden when continue is provided");
}

/* --- all --- */

Meta__Status *rest_check_options(const struct rest_env *env, const struct plane_request *request)
{
    struct field_errors *errors = arena_calloc(env->arena, 1, sizeof(*errors));
    errors->arena = env->arena;
    struct validation v = {.errors = errors, .scratch = env->arena};
    const char *kind = "";
    switch (request->verb) {
    case VERB_CREATE:
        kind = "CreateOptions";
        check_write_options(&v, request);
        break;
    case VERB_UPDATE:
        kind = "UpdateOptions";
        check_write_options(&v, request);
        break;
    case VERB_PATCH:
        kind = "PatchOptions";
        check_patch_options(&v, env, request);
        break;
    case VERB_LIST:
    case VERB_DELETE_COLLECTION:
        kind = "ListOptions";
        check_list_options(&v, request);
        break;
    case VERB_WATCH:
        kind = "ListOptions";
        check_watch_options(&v, request);
        break;
    case VERB_GET:
    case VERB_DELETE: /* its options may be in the body: rest_read_delete_options() */
        break;
    }
    return errors->count > 0 ? failure_invalid_options(env->arena, kind, errors) : NULL;
}

Meta__Status *rest_read_version(const struct rest_env *env, const struct plane_request *request,
                                int64_t *ret)
{
    const char *text = param(request, "resourceVersion");
    int64_t current = store_revision(env->store);
    *ret = 0;
    if (*text && !parse_i64(text, 0, INT64_MAX, ret))
        return failure_bad_request(env->arena, "Invalid value: \"%s\": invalid resource version",
                                   text);
    return *ret > current ? failure_too_large_version(env->arena, *ret, current) : NULL;
}
