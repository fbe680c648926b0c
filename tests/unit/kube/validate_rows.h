/*
 * Rows of validation tests: a pod with one thing wrong, and the errors it must have, all of them,
 * as "path: message" one a line; NULL for none. Every pod goes through pod_set_defaults() first.
 */
#pragma once

#include "kube/defaults.h"
#include "kube/validate.h"
#include "tests/unit/kube/pod_yaml.h"

struct validate_row {
    const char *name;
    struct pod_text pod;
    const char *want;
};

/* Messages that many rows share. */
#define NOT_A_LABEL                                                                                \
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "   \
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex "     \
    "used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
#define NOT_A_SUBDOMAIN                                                                            \
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "   \
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "  \
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
#define NOT_A_KEY_NAME                                                                             \
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "  \
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for " \
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
#define NOT_A_LABEL_VALUE                                                                          \
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "    \
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "             \
    "'my_value',  or '12345', regex used for validation is "                                       \
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"

/* All errors of @pod as text, "" without any; in @arena. */
static inline UNUSED const char *validate_text(Core__Pod *pod, struct arena *arena)
{
    struct field_errors *errors = arena_alloc(arena, sizeof(*errors));
    errors->arena = arena;
    pod_set_defaults(pod, arena);
    pod_validate_create(pod, errors);
    const char *text = "";
    for (size_t i = 0; i < errors->count; i++)
        text = arena_printf(arena, "%s%s%s: %s", text, i > 0 ? "\n" : "", errors->errors[i].path,
                            errors->errors[i].message);
    return text;
}

static inline UNUSED void validate_rows(const struct validate_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const char *got = validate_text(pod_build(&rows[i].pod, arena), arena);
        const char *want = rows[i].want ? rows[i].want : "";
        if (!text_eq(got, want))
            fail_msg("%s\nwant: %s\ngot:  %s", rows[i].name, want, got);
    }
}
