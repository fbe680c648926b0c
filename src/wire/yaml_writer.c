#include "wire/yaml.h"

#include <yaml.h>

static struct yaml_writer *yaml_writer_of(struct doc_writer *base)
{
    return CONTAINER_OF(base, struct yaml_writer, base);
}

static int on_bytes(void *data, unsigned char *bytes, size_t len)
{
    buf_add(data, bytes, len);
    return 1;
}

static void emit(struct yaml_writer *writer, yaml_event_t *event, int made)
{
    if (!made || !yaml_emitter_emit(writer->emitter, event))
        writer->failed = true;
}

static void begin_object(struct doc_writer *base)
{
    yaml_event_t event;
    int made = yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE);
    emit(yaml_writer_of(base), &event, made);
}

static void end_object(struct doc_writer *base)
{
    yaml_event_t event;
    emit(yaml_writer_of(base), &event, yaml_mapping_end_event_initialize(&event));
}

static void begin_array(struct doc_writer *base)
{
    yaml_event_t event;
    int made =
        yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE);
    emit(yaml_writer_of(base), &event, made);
}

static void end_array(struct doc_writer *base)
{
    yaml_event_t event;
    emit(yaml_writer_of(base), &event, yaml_sequence_end_event_initialize(&event));
}

static void emit_scalar(struct doc_writer *base, struct str text, yaml_scalar_style_t style)
{
    yaml_event_t event;
    int made = yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text.ptr,
                                            str_printf_len(text), 1, 1, style);
    emit(yaml_writer_of(base), &event, made);
}

/* Times and numbers to base 60 ("2026-11-21T03:24:00Z", "1:30") are texts to us but not to other
 * readers of YAML 1.1; Kubernetes quotes them too. */
static bool looks_like_time(struct str text)
{
    static const char time_bytes[] = "0123456789+-:.TtZz ";
    bool has_mark = false;
    if (!text.ptr || text.len == 0 || !strchr("0123456789+-", text.ptr[0]))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\0' || !strchr(time_bytes, text.ptr[i]))
            return false;
        has_mark = has_mark || text.ptr[i] == ':' || (i > 0 && text.ptr[i] == '-');
    }
    return has_mark;
}

/* Quotes what would read as another type; long texts with line ends keep them visible. */
static yaml_scalar_style_t style_of(struct str text)
{
    struct doc_node node = {.kind = DOC_NULL};
    yaml_resolve_plain(text, &node);
    if (node.kind != DOC_STRING || str_eq_c(text, "<<") || str_eq_c(text, "=") ||
        looks_like_time(text))
        return YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    if (!text.ptr || str_find(text, '\n') == text.len)
        return YAML_ANY_SCALAR_STYLE;
    /* A block that starts with blanks or holds other control characters is safer quoted. */
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if ((c < 0x20 && c != '\n') || c >= 0x7f)
            return YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    }
    bool starts_blank = text.ptr[0] == ' ' || text.ptr[0] == '\n';
    return starts_blank ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_LITERAL_SCALAR_STYLE;
}

static void write_string(struct doc_writer *base, struct str text)
{
    size_t good = 0;
    while (good < text.len) {
        size_t step = doc_utf8_length((const unsigned char *)text.ptr + good, text.len - good);
        if (step == 0)
            break;
        good += step;
    }
    if (good == text.len) {
        emit_scalar(base, text.ptr ? text : STR_LITERAL(""), style_of(text));
        return;
    }
    /* libyaml takes UTF-8 only; what is none becomes U+FFFD, as in JSON. */
    struct buf clean;
    buf_init(&clean, text.len * 3);
    for (size_t i = 0; i < text.len;) {
        size_t step = doc_utf8_length((const unsigned char *)text.ptr + i, text.len - i);
        if (step)
            buf_add(&clean, text.ptr + i, step);
        else
            buf_add_text(&clean, "\xef\xbf\xbd");
        i += step ? step : 1;
    }
    emit_scalar(base, buf_str(&clean), style_of(buf_str(&clean)));
    buf_done(&clean);
}

static void write_key(struct doc_writer *base, struct str key)
{
    write_string(base, key);
}

static void write_literal(struct doc_writer *base, const char *text)
{
    emit_scalar(base, str_from(text), YAML_PLAIN_SCALAR_STYLE);
}

static const struct doc_writer_ops yaml_writer_ops = {
    .begin_object = begin_object,
    .end_object = end_object,
    .begin_array = begin_array,
    .end_array = end_array,
    .key = write_key,
    .string = write_string,
    .literal = write_literal,
};

void yaml_writer_init(struct yaml_writer *writer, struct buf *out)
{
    yaml_emitter_t *emitter = xcalloc(1, sizeof(*emitter));
    yaml_event_t event;
    *writer =
        (struct yaml_writer){.base = {.ops = &yaml_writer_ops, .out = out}, .emitter = emitter};
    if (!yaml_emitter_initialize(emitter))
        base_die("out of memory for a YAML emitter");
    yaml_emitter_set_output(emitter, on_bytes, out);
    yaml_emitter_set_unicode(emitter, 1);
    yaml_emitter_set_width(emitter, -1);
    yaml_emitter_set_indent(emitter, 2);
    emit(writer, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
    emit(writer, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
}

void yaml_writer_done(struct yaml_writer *writer)
{
    yaml_event_t event;
    if (!writer->failed) {
        emit(writer, &event, yaml_document_end_event_initialize(&event, 1));
        emit(writer, &event, yaml_stream_end_event_initialize(&event));
    }
    /* Only broken calls or lost memory make libyaml fail: on_bytes() never does. */
    ASSERT(!writer->failed);
    yaml_emitter_delete(writer->emitter);
    free(writer->emitter);
    writer->emitter = NULL;
}
