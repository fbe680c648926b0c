/*
 * The words every room speaks: ownership macros, allocation, assertions, and the small base
 * headers. Include this one header; it brings errors, numbers and strings with it. Knows nothing of
 * Kubernetes.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define KiB ((size_t)1024)
#define MiB (1024 * KiB)
#define GiB (1024 * MiB)

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_SEC INT64_C(1000000000)

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first_arg)                                                       \
    __attribute__((format(printf, format_index, first_arg)))
#define UNUSED __attribute__((unused))
#define NORETURN __attribute__((noreturn))

/** Declares a local that is released on every way out of its block: AUTO(fd) int fd = open(…); */
#define AUTO(name) __attribute__((cleanup(auto_release_##name), unused))

/** Defines what AUTO(name) does: calls @release(value) unless the value is NULL. */
#define DEFINE_AUTO(name, type, release)                                                           \
    /* NOLINTNEXTLINE(bugprone-macro-parentheses): a type */                                       \
    static inline UNUSED void auto_release_##name(type *value)                                     \
    {                                                                                              \
        if (*value)                                                                                \
            release(*value);                                                                       \
    }

/** Hands a pointer over: evaluates to its value and leaves NULL behind. */
#define TAKE(pointer)                                                                              \
    __extension__({                                                                                \
        __typeof__(pointer) *take_from = &(pointer);                                               \
        __typeof__(pointer) take_value = *take_from;                                               \
        *take_from = NULL;                                                                         \
        take_value;                                                                                \
    })

/** The struct that holds @member at @pointer. */
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/** Always on, for programmer errors only, free of side effects. Aborts with the expression's text.
 */
#define ASSERT(expr) ((expr) ? (void)0 : base_assert_failed(#expr, __FILE__, __LINE__))

#ifdef NDEBUG
#define DEBUG_ASSERT(expr) ((void)sizeof(expr))
#else
#define DEBUG_ASSERT(expr) ASSERT(expr)
#endif

NORETURN void base_assert_failed(const char *expr, const char *file, int line);

/** Ends the process with a message on standard error; for exhausted memory and broken invariants.
 */
NORETURN void base_die(const char *format, ...) PRINTF_LIKE(1, 2);

/*
 * Allocation that never returns NULL: running out of memory ends the process (STYLE §2.4:
 * containers outlive the agent). Sizes from outside must pass through a capped buffer or arena
 * instead. All results are owned by the caller and released with free().
 */
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *memory, size_t size);
char *xstrdup(const char *text);                  /* NULL gives NULL */
char *xstrndup(const char *text, size_t max_len); /* copies at most @max_len bytes, terminates */
char *xasprintf(const char *format, ...) PRINTF_LIKE(1, 2);
char *xvasprintf(const char *format, va_list args) PRINTF_LIKE(1, 0);

/** AUTO(free): for locals from the functions above. */
static inline UNUSED void auto_release_free(void *pointer_to_memory)
{
    void *memory;
    memcpy(&memory, pointer_to_memory, sizeof(memory));
    free(memory);
}

#include "base/banned.h"
#include "base/error.h"
#include "base/num.h"
#include "base/str.h"
