/*
 * Text from outside: a pointer with a length, until proven otherwise. Borrowed, never owned. Any
 * thread.
 */
#pragma once

#include "base/base.h"

struct str {
    const char *ptr; /* not terminated; may be NULL when len is 0 */
    size_t len;
};

#define STR_LITERAL(text) ((struct str){.ptr = (text), .len = sizeof(text) - 1})
/** For printf("%.*s", STR_ARG(s)); the length is capped at INT_MAX. */
#define STR_ARG(s) str_printf_len(s), ((s).ptr ? (s).ptr : "")

static inline struct str str_from(const char *text)
{
    return (struct str){.ptr = text, .len = text ? strlen(text) : 0};
}

int str_printf_len(struct str text);

bool str_eq(struct str a, struct str b);
bool str_eq_c(struct str a, const char *b);
bool str_has_prefix(struct str text, const char *prefix);
bool str_has_suffix(struct str text, const char *suffix);

/** True when both are NULL or both hold the same bytes. */
bool text_eq(const char *a, const char *b);
/** strcmp() of two array elements that are texts (const char *), for qsort() and bsearch(). */
int text_compare(const void *a, const void *b);
bool text_has_prefix(const char *text, const char *prefix);
bool text_has_suffix(const char *text, const char *suffix);

/** Without leading and trailing ASCII white space. */
struct str str_trim(struct str text);

/**
 * Takes the text before the next @separator off the front of @rest into @ret; the last piece ends
 * at the end of the text. False when nothing is left (the piece after a final separator is an empty
 * one). Start with *rest = the whole text; afterwards rest->ptr is NULL.
 */
bool str_split_next(struct str *rest, char separator, struct str *ret);

/** Takes the next word off the front of @rest into @ret; white space is as for str_trim(). False,
 * and nothing is touched, when there is only that. */
bool str_next_word(struct str *rest, struct str *ret);

/** Index of the first @c, or text.len. */
size_t str_find(struct str text, char c);

/** Two lower-case digits a byte, and a NUL: @ret has room for 2 * @len + 1. Returns it. */
char *str_hex(const void *bytes, size_t len, char *ret);

/** An owned, terminated copy. */
char *str_dup(struct str text);
