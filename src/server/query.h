/* Query parameters as Kubernetes reads them. Pure. Any thread. */
#pragma once

#include "wire/http.h"

#include <strings.h>

/** A boolean: absent, "false" in any case and "0" are false, anything else is true. */
static inline bool query_flag(const struct http_target *target, const char *name)
{
    const char *value = http_target_param(target, name);
    return value && strcmp(value, "0") != 0 && strcasecmp(value, "false") != 0;
}
