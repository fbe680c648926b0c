/*
 * JSON text to a document tree (by jansson) and back. Pure. Any thread.
 */
#pragma once

#include "wire/doc.h"

/**
 * Parses the whole of @text, which is one JSON value. The tree lives in @arena and has no line
 * numbers. A string with U+0000 inside and text that is no UTF-8 are refused. INVALID_ARGUMENT
 * `<file>:<line>: invalid JSON: …`, RESOURCE_EXHAUSTED beyond options->max_bytes or DOC_MAX_DEPTH.
 */
MUST_CHECK struct error *json_parse(struct str text, const struct doc_parse_options *options,
                                    struct arena *arena, const struct doc_node **ret);

/** Writes JSON as a doc_writer: compact, or indented by two blanks like kubectl. */
struct json_writer {
    struct doc_writer base;
    unsigned indent; /* blanks a level; 0: compact */
    bool needs_comma;
    bool after_key;
    unsigned depth;
};
void json_writer_init(struct json_writer *writer, struct buf *out, bool pretty);
/** The same with @indent blanks a level; 0: compact. */
void json_writer_init_indented(struct json_writer *writer, struct buf *out, unsigned indent);

/**
 * Appends @text as a JSON string, escaped as Go's encoding/json does with HTML escaping off: \"
 * \\ \b \f \n \r \t, \u00xx for other control characters, \u2028 and \u2029 escaped, bytes that are
 * no UTF-8 as \ufffd.
 */
void json_add_string(struct buf *out, struct str text);
