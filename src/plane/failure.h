/*
 * What went wrong, in the API's own words: a Status with HTTP code, reason, message and details.
 * The rest functions return one, or NULL when all is well. Messages are those of kube-apiserver
 * (apimachinery api/errors). Everything lives in the arena given. Pure. Any thread.
 */
#pragma once

#include "kube/kinds.h"
#include "kube/validate.h"

/** What a failure is about: "pods" (with @group "") and the name; name may be NULL. */
struct failure_target {
    const char *group;
    const char *resource; /* plural: in messages and details.kind */
    const char *name;
};

/** 404 `pods "web" not found`; group-qualified as `leases.coordination.k8s.io "x" not found`. */
Meta__Status *failure_not_found(struct arena *arena, const struct failure_target *target);
/** 409 AlreadyExists `pods "web" already exists`. */
Meta__Status *failure_already_exists(struct arena *arena, const struct failure_target *target);
/** 409 Conflict `Operation cannot be fulfilled on pods "web": <why>`. */
Meta__Status *failure_conflict(struct arena *arena, const struct failure_target *target,
                               const char *why);
/** 403 `pods "web" is forbidden: <why>`. */
Meta__Status *failure_forbidden(struct arena *arena, const struct failure_target *target,
                                const char *why);
/** 422 Invalid `Pod "web" is invalid: spec.x: Required value`, a cause for each error. */
Meta__Status *failure_invalid(struct arena *arena, const struct kube_kind *kind, const char *name,
                              const struct field_errors *errors);
/** 400 BadRequest with the message as it is. */
Meta__Status *failure_bad_request(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
/** 410 Expired. */
Meta__Status *failure_expired(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
/** 405 `the server does not allow this method on the requested resource`. */
Meta__Status *failure_method_not_allowed(struct arena *arena);
/** 404 `the server could not find the requested resource`. */
Meta__Status *failure_no_such_resource(struct arena *arena);
/** Any other: @code with its usual reason (401 Unauthorized, 413 RequestEntityTooLarge, 415
 * UnsupportedMediaType, 406 NotAcceptable, 429 TooManyRequests, 500 InternalError, 503
 * ServiceUnavailable, …). */
Meta__Status *failure_new(struct arena *arena, unsigned code, const char *format, ...)
    PRINTF_LIKE(3, 4);
/**
 * From an error of the lower rooms, which is released: INVALID_ARGUMENT 400, RESOURCE_EXHAUSTED
 * 413, UNAVAILABLE 503 (a full disk), OUT_OF_RANGE 410 and the like; what has no code of its own is
 * 500 InternalError, "Internal error occurred: …".
 */
Meta__Status *failure_from_error(struct arena *arena, struct error *err_owned);
