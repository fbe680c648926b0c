/*
 * An arena: memory that lives and dies together, e.g. one decoded message. Holds memory only, no
 * clean-up hooks. Not thread-safe; an arena may be handed from one thread to another as a whole.
 */
#pragma once

#include "base/base.h"

#include <stdarg.h>

struct arena; /* opaque */

/**
 * Makes an empty arena whose blocks start at @first_block_bytes (0: a small default) and grow by
 * doubling. No memory is taken before the first allocation. The caller owns it.
 */
struct arena *arena_new(size_t first_block_bytes);
void arena_free(struct arena *arena); /* NULL is fine */
DEFINE_AUTO(arena, struct arena *, arena_free)

/** Zeroed, 16-byte aligned memory that lives as long as the arena. Aborts when memory is out. */
void *arena_alloc(struct arena *arena, size_t size);
void *arena_calloc(struct arena *arena, size_t count, size_t size);
char *arena_strdup(struct arena *arena, const char *text); /* NULL gives NULL */
char *arena_strndup(struct arena *arena, const char *text, size_t len);
/** With the letters of ASCII in lower case. */
char *arena_strlower(struct arena *arena, struct str text);
char *arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
char *arena_vprintf(struct arena *arena, const char *format, va_list args) PRINTF_LIKE(2, 0);
void *arena_memdup(struct arena *arena, const void *memory, size_t size);

/** Bytes handed out so far, and bytes held from the system. */
size_t arena_used(const struct arena *arena);
size_t arena_held(const struct arena *arena);
