#include "base/error.h"

#include <errno.h>
#include <stdarg.h>

static const char *const code_names[] = {
    [ERROR_CANCELLED] = "Canceled",
    [ERROR_UNKNOWN] = "Unknown",
    [ERROR_INVALID_ARGUMENT] = "InvalidArgument",
    [ERROR_DEADLINE_EXCEEDED] = "DeadlineExceeded",
    [ERROR_NOT_FOUND] = "NotFound",
    [ERROR_ALREADY_EXISTS] = "AlreadyExists",
    [ERROR_PERMISSION_DENIED] = "PermissionDenied",
    [ERROR_RESOURCE_EXHAUSTED] = "ResourceExhausted",
    [ERROR_FAILED_PRECONDITION] = "FailedPrecondition",
    [ERROR_ABORTED] = "Aborted",
    [ERROR_OUT_OF_RANGE] = "OutOfRange",
    [ERROR_UNIMPLEMENTED] = "Unimplemented",
    [ERROR_INTERNAL] = "Internal",
    [ERROR_UNAVAILABLE] = "Unavailable",
    [ERROR_DATA_LOSS] = "DataLoss",
    [ERROR_UNAUTHENTICATED] = "Unauthenticated",
};
_Static_assert(ARRAY_SIZE(code_names) == ERROR_CODE_MAX + 1, "name every code");

/* What is not listed is UNKNOWN. */
static const struct {
    int os_errno;
    enum error_code code;
} errno_codes[] = {
    {ENOENT, ERROR_NOT_FOUND},
    {ESRCH, ERROR_NOT_FOUND},
    {ENXIO, ERROR_NOT_FOUND},
    {ENODEV, ERROR_NOT_FOUND},
    {ECHILD, ERROR_NOT_FOUND},
    {EEXIST, ERROR_ALREADY_EXISTS},
    {EADDRINUSE, ERROR_ALREADY_EXISTS},
    {EACCES, ERROR_PERMISSION_DENIED},
    {EPERM, ERROR_PERMISSION_DENIED},
    {EROFS, ERROR_PERMISSION_DENIED},
    {EINVAL, ERROR_INVALID_ARGUMENT},
    {ENAMETOOLONG, ERROR_INVALID_ARGUMENT},
    {ENOTDIR, ERROR_FAILED_PRECONDITION},
    {EISDIR, ERROR_FAILED_PRECONDITION},
    {ENOTEMPTY, ERROR_FAILED_PRECONDITION},
    {EBUSY, ERROR_FAILED_PRECONDITION},
    {ETXTBSY, ERROR_FAILED_PRECONDITION},
    {ELOOP, ERROR_FAILED_PRECONDITION},
    {EXDEV, ERROR_FAILED_PRECONDITION},
    {ENOMEM, ERROR_RESOURCE_EXHAUSTED},
    {ENOSPC, ERROR_RESOURCE_EXHAUSTED},
    {EDQUOT, ERROR_RESOURCE_EXHAUSTED},
    {EMFILE, ERROR_RESOURCE_EXHAUSTED},
    {ENFILE, ERROR_RESOURCE_EXHAUSTED},
    {EMLINK, ERROR_RESOURCE_EXHAUSTED},
    {EFBIG, ERROR_RESOURCE_EXHAUSTED},
    {E2BIG, ERROR_RESOURCE_EXHAUSTED},
    {ETIMEDOUT, ERROR_DEADLINE_EXCEEDED},
    {EAGAIN, ERROR_UNAVAILABLE},
    {EINTR, ERROR_UNAVAILABLE},
    {EPIPE, ERROR_UNAVAILABLE},
    {ENOTCONN, ERROR_UNAVAILABLE},
    {ECONNREFUSED, ERROR_UNAVAILABLE},
    {ECONNRESET, ERROR_UNAVAILABLE},
    {ECONNABORTED, ERROR_UNAVAILABLE},
    {EHOSTUNREACH, ERROR_UNAVAILABLE},
    {ENETUNREACH, ERROR_UNAVAILABLE},
    {EHOSTDOWN, ERROR_UNAVAILABLE},
    {ENETDOWN, ERROR_UNAVAILABLE},
    {EADDRNOTAVAIL, ERROR_UNAVAILABLE},
    {ENOSYS, ERROR_UNIMPLEMENTED},
    {EOPNOTSUPP, ERROR_UNIMPLEMENTED},
    {EPROTONOSUPPORT, ERROR_UNIMPLEMENTED},
    {EAFNOSUPPORT, ERROR_UNIMPLEMENTED},
    {ERANGE, ERROR_OUT_OF_RANGE},
    {EOVERFLOW, ERROR_OUT_OF_RANGE},
    {ECANCELED, ERROR_CANCELLED},
    {EBADF, ERROR_INTERNAL},
    {EFAULT, ERROR_INTERNAL},
    {EIO, ERROR_DATA_LOSS},
    {EBADMSG, ERROR_DATA_LOSS},
};

static struct error *error_with_message(enum error_code code, int os_errno, char *message_owned)
{
    struct error *err = xcalloc(1, sizeof(*err));
    *err = (struct error){.code = code, .os_errno = os_errno, .message = message_owned};
    return err;
}

struct error *error_new(enum error_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *message = xvasprintf(format, args);
    va_end(args);
    return error_with_message(code, 0, message);
}

struct error *error_from_errno(int os_errno, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    AUTO(free) char *what = xvasprintf(format, args);
    va_end(args);
    char text[128];
    /* GNU's strerror_r(): the text may be a static one instead of ours. */
    const char *cause = strerror_r(os_errno, text, sizeof(text));
    return error_with_message(error_code_from_errno(os_errno), os_errno,
                              xasprintf("%s: %s", what, cause));
}

struct error *error_wrap(struct error *err_owned, const char *format, ...)
{
    if (!err_owned)
        return NULL;
    va_list args;
    va_start(args, format);
    AUTO(free) char *what = xvasprintf(format, args);
    va_end(args);
    char *message = xasprintf("%s: %s", what, err_owned->message);
    free(err_owned->message);
    err_owned->message = message;
    return err_owned;
}

struct error *error_with_reason(struct error *err_owned, const char *reason)
{
    if (err_owned)
        err_owned->reason = reason;
    return err_owned;
}

struct error *error_dup(const struct error *err)
{
    if (!err)
        return NULL;
    struct error *copy = error_with_message(err->code, err->os_errno, xstrdup(err->message));
    copy->reason = err->reason;
    return copy;
}

void error_free(struct error *err)
{
    if (!err)
        return;
    free(err->message);
    free(err);
}

void error_ignore(struct error *err_owned, UNUSED const char *why)
{
    error_free(err_owned);
}

bool error_is(const struct error *err, enum error_code code)
{
    return err && err->code == code;
}

const char *error_code_name(enum error_code code)
{
    /* A value from outside that was cast unchecked reads as gRPC's own catch-all. */
    if (code < ERROR_CANCELLED || code > ERROR_CODE_MAX)
        return code_names[ERROR_UNKNOWN];
    return code_names[code];
}

enum error_code error_code_from_errno(int os_errno)
{
    for (size_t i = 0; i < ARRAY_SIZE(errno_codes); i++) {
        if (errno_codes[i].os_errno == os_errno)
            return errno_codes[i].code;
    }
    return ERROR_UNKNOWN;
}
