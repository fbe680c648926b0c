#include "plane/failure.h"

#include "base/buf.h"
#include "kube/validation.h"

/* The reason of each code, and what it says when nobody has more to say. */
struct code_row {
    unsigned code;
    const char *reason;
};

static const struct code_row codes[] = {
    {400, "BadRequest"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "NotFound"},
    {405, "MethodNotAllowed"},
    {406, "NotAcceptable"},
    {409, "Conflict"},
    {410, "Expired"},
    {413, "RequestEntityTooLarge"},
    {415, "UnsupportedMediaType"},
    {422, "Invalid"},
    {429, "TooManyRequests"},
    {500, "InternalError"},
    {503, "ServiceUnavailable"},
    {504, "Timeout"},
};

static const char *reason_of(unsigned code)
{
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        if (codes[i].code == code)
            return codes[i].reason;
    }
    return "Unknown";
}

static Meta__Status *make(struct arena *arena, unsigned code, const char *reason, char *message)
{
    Meta__Status *status = (Meta__Status *)kube_message_new(&meta__status__descriptor, arena);
    status->metadata = (Meta__ListMeta *)kube_message_new(&meta__list_meta__descriptor, arena);
    status->status = arena_strdup(arena, "Failure");
    status->message = message;
    status->reason = arena_strdup(arena, reason);
    status->has_code = true;
    status->code = (int32_t)code;
    return status;
}

static Meta__StatusDetails *add_details(struct arena *arena, Meta__Status *status,
                                        const char *group, const char *kind, const char *name)
{
    Meta__StatusDetails *details =
        (Meta__StatusDetails *)kube_message_new(&meta__status_details__descriptor, arena);
    details->name = arena_strdup(arena, name);
    details->group = *group ? arena_strdup(arena, group) : NULL;
    details->kind = arena_strdup(arena, kind);
    status->details = details;
    return details;
}

/* "pods", "leases.coordination.k8s.io" */
static const char *qualified(struct arena *arena, const struct failure_target *target)
{
    if (!*target->group)
        return target->resource;
    return arena_printf(arena, "%s.%s", target->resource, target->group);
}

static Meta__Status *about(struct arena *arena, const struct failure_target *target, unsigned code,
                           const char *reason, char *message)
{
    Meta__Status *status = make(arena, code, reason, message);
    add_details(arena, status, target->group, target->resource, target->name);
    return status;
}

Meta__Status *failure_not_found(struct arena *arena, const struct failure_target *target)
{
    char *message = arena_printf(arena, "%s \"%s\" not found", qualified(arena, target),
                                 target->name ? target->name : "");
    return about(arena, target, 404, "NotFound", message);
}

Meta__Status *failure_already_exists(struct arena *arena, const struct failure_target *target)
{
    char *message = arena_printf(arena, "%s \"%s\" already exists", qualified(arena, target),
                                 target->name ? target->name : "");
    return about(arena, target, 409, "AlreadyExists", message);
}

Meta__Status *failure_no_unique_name(struct arena *arena, const struct failure_target *target)
{
    char *message = arena_printf(
        arena,
        "%s \"%s\" already exists, the server was not able to generate a unique name for the"
        " object",
        qualified(arena, target), target->name ? target->name : "");
    Meta__Status *status = about(arena, target, 409, "AlreadyExists", message);
    status->details->has_retry_after_seconds = true;
    status->details->retry_after_seconds = 1;
    return status;
}

Meta__Status *failure_conflict(struct arena *arena, const struct failure_target *target,
                               const char *why)
{
    char *message = arena_printf(arena, "Operation cannot be fulfilled on %s \"%s\": %s",
                                 qualified(arena, target), target->name ? target->name : "", why);
    return about(arena, target, 409, "Conflict", message);
}

Meta__Status *failure_forbidden(struct arena *arena, const struct failure_target *target,
                                const char *why)
{
    const char *resource = qualified(arena, target);
    char *message =
        target->name && *target->name
            ? arena_printf(arena, "%s \"%s\" is forbidden: %s", resource, target->name, why)
            : arena_printf(arena, "%s is forbidden: %s", resource, why);
    return about(arena, target, 403, "Forbidden", message);
}

/* The kind of a field error is told by the words its message begins with. */
static const char *cause_reason(const char *message)
{
    static const struct {
        const char *prefix, *reason;
    } rows[] = {
        {"Not found", "FieldValueNotFound"},        {"Required value", "FieldValueRequired"},
        {"Duplicate value", "FieldValueDuplicate"}, {"Unsupported value", "FieldValueNotSupported"},
        {"Forbidden", "FieldValueForbidden"},       {"Too long", "FieldValueTooLong"},
        {"Too many", "FieldValueTooMany"},          {"Internal error", "InternalError"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (text_has_prefix(message, rows[i].prefix))
            return rows[i].reason;
    }
    return "FieldValueInvalid";
}

static char *invalid_message(struct arena *arena, const struct kube_kind *kind, const char *name,
                             const struct field_errors *errors)
{
    AUTO(buf) struct buf text;
    buf_init(&text, 256 * KiB);
    buf_add_text(&text, kind->kind);
    if (*kind->group)
        buf_printf(&text, ".%s", kind->group);
    buf_printf(&text, " \"%s\" is invalid: ", name);
    if (errors->count > 1)
        buf_add_char(&text, '[');
    for (size_t i = 0; i < errors->count; i++)
        buf_printf(&text, "%s%s: %s", i > 0 ? ", " : "", errors->errors[i].path,
                   errors->errors[i].message);
    if (errors->omitted > 0)
        buf_printf(&text, ", and %zu more", errors->omitted);
    if (errors->count > 1)
        buf_add_char(&text, ']');
    return arena_strndup(arena, buf_text(&text), text.len);
}

static void add_cause(struct arena *arena, Meta__StatusDetails *details, const char *reason,
                      const struct field_error *error)
{
    Meta__StatusCause **causes = arena_alloc(arena, (details->n_causes + 1) * sizeof(void *));
    for (size_t i = 0; i < details->n_causes; i++)
        causes[i] = details->causes[i];
    Meta__StatusCause *cause =
        (Meta__StatusCause *)kube_message_new(&meta__status_cause__descriptor, arena);
    cause->reason = arena_strdup(arena, reason);
    cause->message = arena_strdup(arena, error->message);
    cause->field = arena_strdup(arena, error->path);
    causes[details->n_causes++] = cause;
    details->causes = causes;
}

Meta__Status *failure_invalid(struct arena *arena, const struct kube_kind *kind, const char *name,
                              const struct field_errors *errors)
{
    Meta__Status *status =
        make(arena, 422, "Invalid", invalid_message(arena, kind, name ? name : "", errors));
    Meta__StatusDetails *details = add_details(arena, status, kind->group, kind->kind, name);
    for (size_t i = 0; i < errors->count; i++)
        add_cause(arena, details, cause_reason(errors->errors[i].message), &errors->errors[i]);
    return status;
}

/* Details that say nothing are there nevertheless in what upstream makes of bare HTTP codes. */
static Meta__Status *with_empty_details(Meta__Status *status, struct arena *arena)
{
    status->details =
        (Meta__StatusDetails *)kube_message_new(&meta__status_details__descriptor, arena);
    return status;
}

Meta__Status *failure_invalid_options(struct arena *arena, const char *options_kind,
                                      const struct field_errors *errors)
{
    const struct kube_kind kind = {.group = "meta.k8s.io", .kind = options_kind};
    return failure_invalid(arena, &kind, NULL, errors);
}

Meta__Status *failure_invalid_patch(struct arena *arena, const char *patched, const char *why)
{
    const struct kube_kind kind = {.group = "", .kind = ""};
    struct field_errors *errors = arena_calloc(arena, 1, sizeof(*errors));
    errors->arena = arena;
    struct validation v = {.errors = errors, .scratch = arena};
    field_invalid(&v, FIELD(NULL, "patch"), patched, why);
    return failure_invalid(arena, &kind, NULL, errors);
}

Meta__Status *failure_rejected(struct arena *arena)
{
    Meta__Status *status =
        failure_new(arena, 422, "the server rejected our request due to an error in our request");
    return with_empty_details(status, arena);
}

Meta__Status *failure_bad_request(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *message = arena_vprintf(arena, format, args);
    va_end(args);
    return make(arena, 400, "BadRequest", message);
}

Meta__Status *failure_expired(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *message = arena_vprintf(arena, format, args);
    va_end(args);
    return make(arena, 410, "Expired", message);
}

Meta__Status *failure_too_large_version(struct arena *arena, int64_t wanted, int64_t current)
{
    Meta__Status *status =
        failure_new(arena, 504, "Timeout: Too large resource version: %lld, current: %lld",
                    (long long)wanted, (long long)current);
    with_empty_details(status, arena);
    const struct field_error cause = {.path = NULL, .message = "Too large resource version"};
    add_cause(arena, status->details, "ResourceVersionTooLarge", &cause);
    status->details->has_retry_after_seconds = true;
    status->details->retry_after_seconds = 1;
    return status;
}

Meta__Status *failure_unknown(struct arena *arena, const char *message)
{
    Meta__Status *status = failure_new(arena, 500, "%s", message);
    status->reason = NULL;
    return status;
}

Meta__Status *failure_method_not_allowed(struct arena *arena)
{
    Meta__Status *status =
        failure_new(arena, 405, "the server does not allow this method on the requested resource");
    return with_empty_details(status, arena);
}

Meta__Status *failure_no_such_resource(struct arena *arena)
{
    Meta__Status *status =
        failure_new(arena, 404, "the server could not find the requested resource");
    return with_empty_details(status, arena);
}

Meta__Status *failure_new(struct arena *arena, unsigned code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *message = arena_vprintf(arena, format, args);
    va_end(args);
    return make(arena, code, reason_of(code), message);
}

static unsigned http_code(enum error_code code)
{
    switch (code) {
    case ERROR_INVALID_ARGUMENT:
        return 400;
    case ERROR_UNAUTHENTICATED:
        return 401;
    case ERROR_PERMISSION_DENIED:
        return 403;
    case ERROR_NOT_FOUND:
        return 404;
    case ERROR_ALREADY_EXISTS:
    case ERROR_ABORTED:
        return 409;
    case ERROR_OUT_OF_RANGE:
        return 410;
    case ERROR_RESOURCE_EXHAUSTED:
        return 413;
    case ERROR_UNAVAILABLE:
        return 503;
    case ERROR_DEADLINE_EXCEEDED:
        return 504;
    case ERROR_CANCELLED:
    case ERROR_UNKNOWN:
    case ERROR_FAILED_PRECONDITION:
    case ERROR_UNIMPLEMENTED:
    case ERROR_INTERNAL:
    case ERROR_DATA_LOSS:
        break;
    }
    return 500;
}

Meta__Status *failure_from_error(struct arena *arena, struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    unsigned code = http_code(err->code);
    if (code != 500)
        return failure_new(arena, code, "%s", err->message);
    return failure_new(arena, code, "Internal error occurred: %s", err->message);
}
