/*
 * What a failed request means: HTTP status and the server's Status become one of our errors, by the
 * rules of apimachinery's api/errors. Pure. Any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/base.h"

#include "meta.pb-c.h"

/** The static token of a Status' reason ("NotFound"), or NULL when it is none of the known ones. */
const char *api_error_reason(const char *reason);

/**
 * The code for a reason (NULL: none) or, without a known one, for an HTTP status: NOT_FOUND for
 * 404, ABORTED for 409, ALREADY_EXISTS for reason AlreadyExists, OUT_OF_RANGE for 410,
 * RESOURCE_EXHAUSTED for 429, UNAVAILABLE for 503, DEADLINE_EXCEEDED for 504, …
 */
enum error_code api_error_code(unsigned http_status, const char *reason);

/** The error of a Status that tells of a failure. @http_status is used where it has no code of its
 * own (ERROR events of a watch have none of their own: 0). */
struct error *api_error_from_status(const Meta__Status *status, unsigned http_status);

/** A failure whose body is no Status. */
struct api_failure {
    unsigned http_status;
    const char *method;   /* "GET" */
    const char *resource; /* "pods", "leases.coordination.k8s.io"; NULL: not about one */
    const char *name;     /* NULL: none */
    struct str text;      /* of the body when it is readable, else empty */
};

/** client-go's words for it: `the server could not find the requested resource (get pods web)`. */
struct error *api_error_from_failure(const struct api_failure *failure);

/** @text for a message: white space folded, unprintable bytes replaced, cut to a few hundred
 * characters; in @arena. */
const char *api_error_excerpt(struct str text, struct arena *arena);
