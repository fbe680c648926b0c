/*
 * $(VAR) expansion as Kubernetes defines it (spec runtime.md §3.4): "$$" is "$", "$(NAME)" its
 * value where defined and itself where not, anything else stays. One pass: what was put in is not
 * expanded again. Pure.
 */
#pragma once

#include "base/arena.h"

#include "core.pb-c.h"

/* What one text may grow to: the kernel takes no argument or variable above 128 KiB, so nobody
 * misses more. */
#define EXPAND_MAX_BYTES (1 * MiB)

/** The value of @name, or NULL when it is not defined. */
typedef const char *expand_lookup(const void *ctx, struct str name);

/**
 * Expands @text with @lookup into @arena. RESOURCE_EXHAUSTED when the result is beyond
 * EXPAND_MAX_BYTES.
 */
MUST_CHECK struct error *expand(const char *text, expand_lookup *lookup, const void *ctx,
                                struct arena *arena, const char **ret);

/**
 * Expands the words of a hook's or probe's command, which see the literal environment of @container
 * only (spec runtime.md §3.4). The list and its words live in @arena.
 */
MUST_CHECK struct error *expand_command(const Core__Container *container,
                                        const Core__ExecAction *exec, struct arena *arena,
                                        char ***ret_words);
