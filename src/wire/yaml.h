/*
 * YAML text to a document tree (by libyaml) and back. Plain scalars mean what they mean to
 * Kubernetes' YAML reader, which follows YAML 1.1: yes/no/on/off are booleans, 0644 is octal, ~ is
 * null. Pure. Any thread.
 */
#pragma once

#include "wire/doc.h"

/**
 * Parses the first document of @text; the rest of the stream is not looked at. An empty stream is a
 * null node. Anchors, aliases and merge keys are resolved; what aliases add is capped at
 * options->max_bytes. Keys that are numbers or booleans become their text, as JSON needs. Tags of
 * the core schema are honoured, others refused. INVALID_ARGUMENT `<file>:<line>: …`,
 * RESOURCE_EXHAUSTED beyond options->max_bytes or DOC_MAX_DEPTH.
 */
MUST_CHECK struct error *yaml_parse(struct str text, const struct doc_parse_options *options,
                                    struct arena *arena, const struct doc_node **ret);

/** What an unquoted scalar means; node->line and column are left alone. Text of strings is
 * borrowed. */
void yaml_resolve_plain(struct str text, struct doc_node *ret_node);

/** Writes block-style YAML as a doc_writer; texts that would read as another type are quoted. */
struct yaml_writer {
    struct doc_writer base;
    void *emitter; /* libyaml's, owned */
    bool failed;
};
void yaml_writer_init(struct yaml_writer *writer, struct buf *out);
/** Ends the document. After it @writer holds nothing. */
void yaml_writer_done(struct yaml_writer *writer);
