/* The lines that api_probe writes: one JSON object each. */
#include "tests/lib/api_probe.h"

#include <errno.h>
#include <unistd.h>

void line_begin(struct line *line, const char *id, const char *what)
{
    buf_init(&line->text, LINE_MAX_BYTES);
    json_writer_init(&line->writer, &line->text, false);
    line->writer.base.ops->begin_object(&line->writer.base);
    doc_write_key(&line->writer.base, "id");
    doc_write_text(&line->writer.base, id);
    doc_write_key(&line->writer.base, "what");
    doc_write_text(&line->writer.base, what);
}

void line_text(struct line *line, const char *key, const char *value)
{
    if (!value)
        return;
    doc_write_key(&line->writer.base, key);
    doc_write_text(&line->writer.base, value);
}

void line_integer(struct line *line, const char *key, int64_t value)
{
    doc_write_key(&line->writer.base, key);
    doc_write_integer(&line->writer.base, value);
}

void line_object(struct line *line, const struct kube_kind *kind, const ProtobufCMessage *object)
{
    AUTO(buf) struct buf json;
    buf_init(&json, LINE_MAX_BYTES);
    kube_encode_any(object, kind, KUBE_JSON, &json);
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_parse_options options = {.max_bytes = LINE_MAX_BYTES};
    const struct doc_node *node = NULL;
    AUTO(error) struct error *err = json_parse(buf_str(&json), &options, arena, &node);
    ASSERT(!err);
    doc_write_key(&line->writer.base, "object");
    doc_write_node(&line->writer.base, node);
}

void line_error(struct line *line, const struct error *err)
{
    if (!err)
        return;
    line_text(line, "code", error_code_name(err->code));
    line_text(line, "error", err->message);
    line_text(line, "reason", err->reason);
}

void line_end(struct line *line)
{
    line->writer.base.ops->end_object(&line->writer.base);
    buf_add_char(&line->text, '\n');
    ASSERT(!line->text.overflowed);
    struct str rest = buf_str(&line->text);
    while (rest.len > 0) {
        ssize_t len = write(STDOUT_FILENO, rest.ptr, rest.len);
        if (len < 0 && errno != EINTR)
            base_die("nobody reads standard output");
        if (len > 0)
            rest = (struct str){.ptr = rest.ptr + len, .len = rest.len - (size_t)len};
    }
    buf_done(&line->text);
}

void say(const char *id, const char *what)
{
    struct line line;
    line_begin(&line, id, what);
    line_end(&line);
}

void say_failed(const char *id, struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    struct line line;
    line_begin(&line, id, "failed");
    line_error(&line, err);
    line_end(&line);
}
