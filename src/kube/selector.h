/*
 * Selectors: which objects a list, a watch or a deletion is about, by their labels or by a few of
 * their fields. Pure. Any thread. A selector is immutable and lives in the arena given to the
 * parser.
 */
#pragma once

#include "kube/kinds.h"

struct label_selector; /* opaque */

/**
 * Parses the text of `?labelSelector=`: "app=web,tier in (a,b),!canary". "" selects everything.
 * INVALID_ARGUMENT in the API server's words:
 *
 *     unable to parse requirement: found 'x', expected: in, notin, =, ==, !=, gt, lt
 *     unable to parse requirement: values[0][app]: Invalid value: "a b": a valid label must …
 */
MUST_CHECK struct error *label_selector_parse(const char *text, struct arena *arena,
                                              const struct label_selector **ret);
/** The selector of an object's spec. NULL selects nothing, an empty one everything. @message is
 * borrowed as long as the selector lives. INVALID_ARGUMENT as above, or for an unknown operator. */
MUST_CHECK struct error *label_selector_from_message(const Meta__LabelSelector *message,
                                                     struct arena *arena,
                                                     const struct label_selector **ret);
/** True when the labels of @meta (NULL: none) satisfy every requirement. */
bool label_selector_matches(const struct label_selector *selector, const Meta__ObjectMeta *meta);
/** True when it selects everything. */
bool label_selector_is_empty(const struct label_selector *selector);
/** Appends its canonical text: requirements and values sorted. */
void label_selector_write(const struct label_selector *selector, struct buf *out);

struct field_selector; /* opaque */

/**
 * Parses the text of `?fieldSelector=`: "metadata.name=x,spec.nodeName!=y"; in values a backslash
 * stands before `,`, `=` and itself. "" selects everything. Which fields there are is up to
 * field_selector_check(). INVALID_ARGUMENT in the API server's words.
 */
MUST_CHECK struct error *field_selector_parse(const char *text, struct arena *arena,
                                              const struct field_selector **ret);
/** INVALID_ARGUMENT "field label not supported: x" when @kind cannot be selected by a field of
 * @selector. */
MUST_CHECK struct error *field_selector_check(const struct field_selector *selector,
                                              const struct kube_kind *kind);
/** The value of the field at @path; NULL means the same as "". */
typedef const char *field_value_of(void *ctx, const char *path);
bool field_selector_matches(const struct field_selector *selector, field_value_of *value_of,
                            void *ctx);
/** The same for an object of @kind, whose supported fields this room knows to find. */
bool field_selector_matches_object(const struct field_selector *selector,
                                   const struct kube_kind *kind, const ProtobufCMessage *object);
bool field_selector_is_empty(const struct field_selector *selector);
/** The value that the field at @path must have, or NULL when the selector leaves that open: a watch
 * with "metadata.name=x" is about one object. */
const char *field_selector_exact(const struct field_selector *selector, const char *path);
/** Appends its text, sorted and escaped. */
void field_selector_write(const struct field_selector *selector, struct buf *out);

/** The paths by which objects of @kind can be selected. */
const char *const *field_selector_paths(const struct kube_kind *kind, size_t *ret_count);
