#include "base/go_quote.h"

#include "base/buf.h"

#include <inttypes.h>

bool go_next_rune(struct str text, size_t *at, uint32_t *ret_rune)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *bytes = (const unsigned char *)text.ptr + *at;
    size_t left = text.len - *at;
    size_t len = bytes[0] < 0x80   ? 1
                 : bytes[0] < 0xc2 ? 0
                 : bytes[0] < 0xe0 ? 2
                 : bytes[0] < 0xf0 ? 3
                                   : 4;
    *at += 1;
    *ret_rune = bytes[0];
    if (len == 1)
        return true;
    if (len == 0 || len > left || bytes[0] > 0xf4)
        return false;
    uint32_t rune = bytes[0] & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        if ((bytes[i] & 0xc0U) != 0x80)
            return false;
        rune = rune << 6 | (bytes[i] & 0x3fU);
    }
    if (rune < smallest[len] || rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff))
        return false;
    *at += len - 1;
    *ret_rune = rune;
    return true;
}

/* Ranges above ASCII that are not printable in Go's sense: white space, controls, formats, private
 * use. */
static const struct {
    uint32_t first, last;
} unprintable[] = {
    {0x80, 0xa0},       {0xad, 0xad},       {0x600, 0x605},     {0x61c, 0x61c},
    {0x6dd, 0x6dd},     {0x70f, 0x70f},     {0x1680, 0x1680},   {0x180e, 0x180e},
    {0x2000, 0x200f},   {0x2028, 0x202f},   {0x205f, 0x206f},   {0x3000, 0x3000},
    {0xd800, 0xf8ff},   {0xfeff, 0xfeff},   {0xfff0, 0xfffb},   {0xfffe, 0xffff},
    {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe00ff}, {0xe01f0, 0x10ffff},
};

static bool is_printable(uint32_t rune)
{
    if (rune < 0x80)
        return rune >= 0x20 && rune != 0x7f;
    for (size_t i = 0; i < ARRAY_SIZE(unprintable); i++) {
        if (rune >= unprintable[i].first && rune <= unprintable[i].last)
            return false;
    }
    return true;
}

/* Go's %q: the short escapes of C, then \x7f for ASCII, \u and \U beyond. */
static void quote_rune(struct buf *buf, uint32_t rune)
{
    static const char short_escapes[] = "abtnvfr"; /* 0x07 to 0x0d, in order */
    if (rune >= 0x07 && rune <= 0x0d)
        buf_printf(buf, "\\%c", short_escapes[rune - 0x07]);
    else if (rune < 0x80)
        buf_printf(buf, "\\x%02" PRIx32, rune);
    else if (rune < 0x10000)
        buf_printf(buf, "\\u%04" PRIx32, rune);
    else
        buf_printf(buf, "\\U%08" PRIx32, rune);
}

const char *go_quote(struct arena *arena, const char *text)
{
    struct str from = str_from(text ? text : "");
    AUTO(buf) struct buf buf;
    buf_init(&buf, 10 * from.len + 3); /* the longest escape, \U0010ffff */
    buf_add_char(&buf, '"');
    for (size_t at = 0; at < from.len;) {
        size_t start = at;
        uint32_t rune;
        if (!go_next_rune(from, &at, &rune))
            buf_printf(&buf, "\\x%02" PRIx32, rune);
        else if (rune == '"' || rune == '\\')
            buf_printf(&buf, "\\%c", (char)rune);
        else if (is_printable(rune))
            buf_add(&buf, from.ptr + start, at - start);
        else
            quote_rune(&buf, rune);
    }
    buf_add_char(&buf, '"');
    return arena_strndup(arena, buf_text(&buf), buf.len);
}
