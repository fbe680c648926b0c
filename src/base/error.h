/*
 * One error object, returned. NULL is success; anything else is owned by the caller.
 * Messages read "outer: inner: cause", are for people and are never parsed. Any thread.
 */
#pragma once

#include "base/base.h"

/** What a caller may branch on: the gRPC code set, with gRPC's numbers. */
enum error_code {
    ERROR_CANCELLED = 1,
    ERROR_UNKNOWN = 2,
    ERROR_INVALID_ARGUMENT = 3,
    ERROR_DEADLINE_EXCEEDED = 4,
    ERROR_NOT_FOUND = 5,
    ERROR_ALREADY_EXISTS = 6,
    ERROR_PERMISSION_DENIED = 7,
    ERROR_RESOURCE_EXHAUSTED = 8,
    ERROR_FAILED_PRECONDITION = 9,
    ERROR_ABORTED = 10,
    ERROR_OUT_OF_RANGE = 11,
    ERROR_UNIMPLEMENTED = 12,
    ERROR_INTERNAL = 13,
    ERROR_UNAVAILABLE = 14,
    ERROR_DATA_LOSS = 15,
    ERROR_UNAUTHENTICATED = 16,
};
#define ERROR_CODE_MAX ERROR_UNAUTHENTICATED

struct error {
    enum error_code code;
    int os_errno;       /* 0 unless a system call failed */
    const char *reason; /* static CamelCase token for events and status, or NULL */
    char *message;      /* never NULL */
};

/** Makes an error. Never fails. */
struct error *error_new(enum error_code code, const char *format, ...) PRINTF_LIKE(2, 3);

/** Makes an error from errno value @os_errno; the text of the errno is appended: "<format>: No such
 * …". */
struct error *error_from_errno(int os_errno, const char *format, ...) PRINTF_LIKE(2, 3);

/** Prefixes the message of @err_owned with "<format>: " and returns the same object. NULL stays
 * NULL. */
struct error *error_wrap(struct error *err_owned, const char *format, ...) PRINTF_LIKE(2, 3);

/** Sets the reason token (static string, borrowed for ever) and returns @err_owned. NULL stays
 * NULL. */
struct error *error_with_reason(struct error *err_owned, const char *reason);

/** A deep copy, owned by the caller; NULL gives NULL. */
struct error *error_dup(const struct error *err);

void error_free(struct error *err); /* NULL is fine */
DEFINE_AUTO(error, struct error *, error_free)

/** Drops an error on purpose; @why is for the reader. */
void error_ignore(struct error *err_owned, const char *why);

/** True when @err is an error with @code; NULL is no error. */
bool error_is(const struct error *err, enum error_code code);

/** "NotFound", "DeadlineExceeded", …: gRPC's names; "Code(n)" numbers are never produced. */
const char *error_code_name(enum error_code code);

/** The code for an errno: ENOENT NOT_FOUND, EEXIST ALREADY_EXISTS, EACCES PERMISSION_DENIED, … */
enum error_code error_code_from_errno(int os_errno);
