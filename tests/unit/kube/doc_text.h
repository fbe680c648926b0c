/*
 * Document trees for tests, written as JSON in which ' stands for ", and printed back.
 */
#pragma once

#include "tests/lib/test.h"
#include "wire/json.h"

/** The tree of @text; a test that cannot be read fails. */
static inline UNUSED const struct doc_node *doc_parse(const char *text, struct arena *arena)
{
    const struct doc_parse_options options = {.max_bytes = 64 * MiB, .reject_duplicates = true};
    char *json = arena_strdup(arena, text);
    const struct doc_node *node = NULL;
    for (char *c = json; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    AUTO(error) struct error *err = json_parse(str_from(json), &options, arena, &node);
    if (err)
        fail_msg("%s\nin: %s", err->message, text);
    return node;
}

/** Compact JSON, with ' for ". */
static inline UNUSED const char *doc_print(const struct doc_node *node, struct arena *arena)
{
    struct json_writer writer;
    AUTO(buf) struct buf out;
    buf_init(&out, 64 * MiB);
    json_writer_init(&writer, &out, false);
    doc_write_node(&writer.base, node);
    char *text = arena_strdup(arena, buf_text(&out));
    for (char *c = text; *c; c++)
        *c = *c == '"' ? '\'' : *c;
    return text;
}

/** Fails unless both have the same text; @name tells the row. */
#define assert_doc(name, node, want, arena)                                                        \
    do {                                                                                           \
        const char *test_got = doc_print((node), (arena));                                         \
        if (!text_eq(test_got, (want)))                                                            \
            fail_msg("%s: got\n%s\nwant\n%s", (name), test_got, (want));                           \
    } while (0)
