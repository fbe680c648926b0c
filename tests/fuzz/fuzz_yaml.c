/* YAML text: never crashes, never grows without bound, and means the same after being written as
 * YAML. */
#include "wire/json.h"
#include "wire/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX_BYTES (64 * KiB)

static void write_json(const struct doc_node *node, struct buf *out)
{
    struct json_writer writer;
    buf_clear(out);
    json_writer_init(&writer, out, false);
    doc_write_node(&writer.base, node);
    ASSERT(!out->overflowed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct doc_parse_options options = {.max_bytes = INPUT_MAX_BYTES};
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf yaml, first, second;
    const struct doc_node *node = NULL;
    struct yaml_writer writer;
    /* Aliases may double what merging and escaping make six times longer. */
    buf_init(&yaml, 64 * INPUT_MAX_BYTES);
    buf_init(&first, 64 * INPUT_MAX_BYTES);
    buf_init(&second, 64 * INPUT_MAX_BYTES);
    struct error *err =
        yaml_parse((struct str){.ptr = (const char *)data, .len = size}, &options, arena, &node);
    if (err) {
        error_ignore(err, "most inputs are no YAML");
        return 0;
    }
    write_json(node, &first);
    yaml_writer_init(&writer, &yaml);
    doc_write_node(&writer.base, node);
    yaml_writer_done(&writer);
    ASSERT(!yaml.overflowed);
    options.max_bytes = 64 * INPUT_MAX_BYTES;
    err = yaml_parse(buf_str(&yaml), &options, arena, &node);
    ASSERT(!err);
    write_json(node, &second);
    ASSERT(str_eq(buf_str(&first), buf_str(&second)));
    return 0;
}
