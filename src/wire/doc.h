/*
 * A parsed JSON or YAML document as a tree, and the writer both formats share. Numbers keep the
 * difference between integer and real. Nodes live in the arena given to the parser and are
 * immutable; a YAML alias shares its node. Pure. Any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

#define DOC_MAX_DEPTH 64 /* nesting of containers; Kubernetes objects stay below 20 */

enum doc_kind { DOC_NULL, DOC_BOOL, DOC_INTEGER, DOC_REAL, DOC_STRING, DOC_ARRAY, DOC_OBJECT };

struct doc_node;

struct doc_member {
    struct str key; /* terminated, without NUL inside */
    const struct doc_node *value;
    unsigned line; /* of the key; 0 when unknown */
};

struct doc_node {
    enum doc_kind kind;
    unsigned line; /* 1-based; 0 when the format does not tell (JSON) */
    unsigned column;
    union {
        bool boolean;
        int64_t integer;
        double real;       /* finite */
        struct str string; /* terminated; without NUL inside unless options->allow_nul */
        struct {
            const struct doc_node **items;
            size_t count;
        } array;
        struct {
            struct doc_member *members; /* in the document's order */
            size_t count;
        } object;
    };
};

struct doc_parse_options {
    size_t max_bytes;       /* a longer text is RESOURCE_EXHAUSTED */
    bool reject_duplicates; /* a key twice is INVALID_ARGUMENT; otherwise the last one wins */
    bool allow_nul;         /* JSON: strings (not keys) may hold U+0000; mind their lengths */
    const char *file;       /* names the source in errors; NULL leaves it out */
};

/** The value of @key in an object node, or NULL (also when @node is no object). */
const struct doc_node *doc_get(const struct doc_node *node, const char *key);
/** The string under @key; "" when there is none, or something else. Borrowed from @node. */
const char *doc_get_text(const struct doc_node *node, const char *key);

/** How many items an array node has; 0 when @node is none. */
size_t doc_count(const struct doc_node *node);

/** What @node is, for "expected …, found …": `string "http"`, `number 8080`, `an object`; lives in
 * @arena. */
const char *doc_describe(const struct doc_node *node, struct arena *arena);

/**
 * Resolves keys that occur twice in @object by dropping all but the last, or with
 * options->reject_duplicates refuses them: INVALID_ARGUMENT `<file>:<line>: duplicate key "x"`. For
 * parsers.
 */
MUST_CHECK struct error *doc_check_duplicates(struct doc_node *object,
                                              const struct doc_parse_options *options);

/** "<file>:<line>: " with what is known of both; lives in @arena. */
const char *doc_location(const char *file, unsigned line, struct arena *arena);

/** Length of the well-formed UTF-8 sequence at the front of @text of @len > 0 bytes, or 0. */
size_t doc_utf8_length(const unsigned char *text, size_t len);

#define DOC_REAL_SIZE 40
/** The shortest decimal text that reads back as the finite @real, in Go's JSON style (1e+21, 0.5,
 * 100), with an exponent from 2^63 on. */
char *doc_format_real(double real, char text[static DOC_REAL_SIZE]);

/*
 * Writing. The calls follow the document: begin, key, value, …, end. What does not fit its buffer
 * is seen through buf_error(). A writer is made by json_writer_init() or yaml_writer_init() in the
 * caller's memory.
 */
struct doc_writer;
struct doc_writer_ops {
    void (*begin_object)(struct doc_writer *writer);
    void (*end_object)(struct doc_writer *writer);
    void (*begin_array)(struct doc_writer *writer);
    void (*end_array)(struct doc_writer *writer);
    void (*key)(struct doc_writer *writer, struct str key);
    void (*string)(struct doc_writer *writer, struct str text);
    void (*literal)(struct doc_writer *writer, const char *text); /* number, true, false, null */
    /** Writes a value that is JSON already; false, and nothing written, when it would have to be
     * written differently. NULL: a writer of something else. */
    bool (*json)(struct doc_writer *writer, struct str text);
};
struct doc_writer {
    const struct doc_writer_ops *ops;
    struct buf *out;
};

void doc_write_key(struct doc_writer *writer, const char *key);
void doc_write_text(struct doc_writer *writer, const char *text);
void doc_write_integer(struct doc_writer *writer, int64_t value);
void doc_write_unsigned(struct doc_writer *writer, uint64_t value);
void doc_write_bool(struct doc_writer *writer, bool value);
/** A whole tree; not deeper than DOC_MAX_DEPTH, which parsers grant. */
void doc_write_node(struct doc_writer *writer, const struct doc_node *node);
