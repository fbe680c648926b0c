/* JSON text: never crashes, and what is written from a tree reads back as the same text. */
#include "wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_json(const struct doc_node *node, bool pretty, struct buf *out)
{
    struct json_writer writer;
    buf_clear(out);
    json_writer_init(&writer, out, pretty);
    doc_write_node(&writer.base, node);
    ASSERT(!out->overflowed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct doc_parse_options options = {.max_bytes = 16 * MiB};
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf first, second;
    const struct doc_node *node = NULL;
    buf_init(&first, 16 * MiB);
    buf_init(&second, 16 * MiB);
    struct error *err =
        json_parse((struct str){.ptr = (const char *)data, .len = size}, &options, arena, &node);
    if (err) {
        error_ignore(err, "most inputs are no JSON");
        return 0;
    }
    write_json(node, true, &first);
    err = json_parse(buf_str(&first), &options, arena, &node);
    ASSERT(!err);
    write_json(node, false, &first);
    err = json_parse(buf_str(&first), &options, arena, &node);
    ASSERT(!err);
    write_json(node, false, &second);
    ASSERT(str_eq(buf_str(&first), buf_str(&second)));
    return 0;
}
