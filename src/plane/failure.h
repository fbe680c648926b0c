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
/** 409 AlreadyExists for a name that the server made up itself. */
Meta__Status *failure_no_unique_name(struct arena *arena, const struct failure_target *target);
/** 409 Conflict `Operation cannot be fulfilled on pods "web": <why>`. */
Meta__Status *failure_conflict(struct arena *arena, const struct failure_target *target,
                               const char *why);
/** 403 `pods "web" is forbidden: <why>`. */
Meta__Status *failure_forbidden(struct arena *arena, const struct failure_target *target,
                                const char *why);
/** 422 Invalid `Pod "web" is invalid: spec.x: Required value`, a cause for each error. */
Meta__Status *failure_invalid(struct arena *arena, const struct kube_kind *kind, const char *name,
                              const struct field_errors *errors);
/** 422 Invalid for the parameters of a request: `CreateOptions.meta.k8s.io "" is invalid: …`. */
Meta__Status *failure_invalid_options(struct arena *arena, const char *options_kind,
                                      const struct field_errors *errors);
/** The same for what a patch has made of an object: ` "" is invalid: patch: Invalid value: …`, with
 * what came out and why that is none. */
Meta__Status *failure_invalid_patch(struct arena *arena, const char *patched, const char *why);
/** 422 Invalid `the server rejected our request due to an error in our request`: a patch that does
 * not fit; upstream does not say why. */
Meta__Status *failure_rejected(struct arena *arena);
/** 400 BadRequest with the message as it is. */
Meta__Status *failure_bad_request(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
/** 410 Expired. */
Meta__Status *failure_expired(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
/** 504 Timeout for a resourceVersion that lies in the future, with the cause by which clients know
 * it. */
Meta__Status *failure_too_large_version(struct arena *arena, int64_t wanted, int64_t current);
/** 500 without a reason, as upstream answers with errors that are none of its API's. */
Meta__Status *failure_unknown(struct arena *arena, const char *message);
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
