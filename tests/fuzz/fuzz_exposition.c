/*
 * Who may scrape says what it likes in Accept and Accept-Encoding, and a cgroup's name may be any
 * bytes. Properties: negotiation ends with one of the formats; a label value, whatever it is, stays
 * within its quotes, on its line, and is UTF-8.
 */
#include "stats/exposition.h"
#include "wire/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_utf8(struct str text)
{
    const unsigned char *at = (const unsigned char *)text.ptr;
    for (size_t left = text.len; left > 0;) {
        size_t len = doc_utf8_length(at, left);
        ASSERT(len > 0);
        at += len;
        left -= len;
    }
}

/* `x{l="…"} 1` and nothing behind, with every quote and backslash inside escaped. */
static void check_sample(struct str line)
{
    ASSERT(str_has_prefix(line, "x{l=\"") && str_has_suffix(line, "\"} 1\n"));
    size_t end = line.len - strlen("\"} 1\n");
    for (size_t i = strlen("x{l=\""); i < end; i++) {
        ASSERT(line.ptr[i] != '\n' && line.ptr[i] != '"');
        if (line.ptr[i] == '\\') {
            i++;
            ASSERT(i < end && (line.ptr[i] == '\\' || line.ptr[i] == '"' || line.ptr[i] == 'n'));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(free) char *text = xstrndup((const char *)data, size);
    enum exposition_format format = exposition_negotiate(text);
    ASSERT(format == EXPOSITION_TEXT || format == EXPOSITION_OPENMETRICS);
    (void)exposition_accepts_gzip(text);

    AUTO(buf) struct buf out;
    buf_init(&out, 4 * size + 64);
    struct exposition page;
    exposition_init(&page, &out, format);
    exposition_family(&page, "x", "", METRIC_GAUGE);
    size_t start = out.len;
    const struct exposition_label label = {"l", text};
    exposition_sample(&page, &label, 1, 1, EXPOSITION_NO_TIMESTAMP);
    ASSERT(!out.overflowed);
    check_utf8(buf_str(&out));
    check_sample((struct str){.ptr = out.data + start, .len = out.len - start});
    return 0;
}
