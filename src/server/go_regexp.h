/*
 * Whether a text is a regular expression by Go's rules (regexp/syntax with Perl's additions), which
 * is what the API promises of log patterns, whoever then searches with them. Pure. Any thread.
 */
#pragma once

#include "base/arena.h"

#define GO_REGEXP_MAX_DEPTH 1000  /* of groups; Go's own limit */
#define GO_REGEXP_MAX_REPEAT 1000 /* likewise, for nested counts multiplied */

/**
 * NULL when @pattern is one, else what is wrong with it, as Go says it: "error parsing regexp:
 * missing closing ): `(a`"; lives in @arena. Names of Unicode classes (\p{Greek}) are not looked
 * up: any is taken.
 */
const char *go_regexp_check(const char *pattern, struct arena *arena);
