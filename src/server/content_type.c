#include "server/content_type.h"

#include <strings.h>

#define UTF8 "; charset=utf-8"
#define TEXT "text/plain" UTF8

/* mime/type.go */
static const struct {
    const char *extension, *type;
} extensions[] = {
    {".avif", "image/avif"},
    {".css", "text/css" UTF8},
    {".gif", "image/gif"},
    {".htm", "text/html" UTF8},
    {".html", "text/html" UTF8},
    {".ico", "image/x-icon"},
    {".jpeg", "image/jpeg"},
    {".jpg", "image/jpeg"},
    {".js", "text/javascript" UTF8},
    {".json", "application/json"},
    {".mjs", "text/javascript" UTF8},
    {".pdf", "application/pdf"},
    {".png", "image/png"},
    {".svg", "image/svg+xml"},
    {".wasm", "application/wasm"},
    {".webp", "image/webp"},
    {".xml", "text/xml" UTF8},
};

const char *content_type_by_name(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *dot = strrchr(slash ? slash : name, '.');
    for (size_t i = 0; dot && i < ARRAY_SIZE(extensions); i++) {
        if (strcasecmp(dot, extensions[i].extension) == 0)
            return extensions[i].type;
    }
    return NULL;
}

/* --- by the first bytes: mimesniff.spec.whatwg.org §6 and §7, as net/http/sniff.go has it --- */

static const char *const html_tags[] = {"<!DOCTYPE HTML",
                                        "<HTML",
                                        "<HEAD",
                                        "<SCRIPT",
                                        "<IFRAME",
                                        "<H1",
                                        "<DIV",
                                        "<FONT",
                                        "<TABLE",
                                        "<A",
                                        "<STYLE",
                                        "<TITLE",
                                        "<B",
                                        "<BODY",
                                        "<BR",
                                        "<P",
                                        "<!--"};

#define BYTES(text) STR_LITERAL(text)

/* `behind` stands at offset 8, whatever is before it. */
static const struct {
    struct str start, behind;
    const char *type;
} signatures[] = {
    {BYTES("%PDF-"), {0}, "application/pdf"},
    {BYTES("%!PS-Adobe-"), {0}, "application/postscript"},
    {BYTES("\xef\xbb\xbf"), {0}, TEXT},
    {BYTES("\0\0\1\0"), {0}, "image/x-icon"},
    {BYTES("\0\0\2\0"), {0}, "image/x-icon"},
    {BYTES("BM"), {0}, "image/bmp"},
    {BYTES("GIF87a"), {0}, "image/gif"},
    {BYTES("GIF89a"), {0}, "image/gif"},
    {BYTES("RIFF"), BYTES("WEBPVP"), "image/webp"},
    {BYTES("\x89PNG\r\n\x1a\n"), {0}, "image/png"},
    {BYTES("\xff\xd8\xff"), {0}, "image/jpeg"},
    {BYTES("FORM"), BYTES("AIFF"), "audio/aiff"},
    {BYTES("ID3"), {0}, "audio/mpeg"},
    {BYTES("OggS\0"), {0}, "application/ogg"},
    {BYTES("MThd\0\0\0\6"), {0}, "audio/midi"},
    {BYTES("RIFF"), BYTES("AVI "), "video/avi"},
    {BYTES("RIFF"), BYTES("WAVE"), "audio/wave"},
    {BYTES("\x1a\x45\xdf\xa3"), {0}, "video/webm"},
    {BYTES("\0\1\0\0"), {0}, "font/ttf"},
    {BYTES("OTTO"), {0}, "font/otf"},
    {BYTES("ttcf"), {0}, "font/collection"},
    {BYTES("wOFF"), {0}, "font/woff"},
    {BYTES("wOF2"), {0}, "font/woff2"},
    {BYTES("\x1f\x8b\x08"), {0}, "application/x-gzip"},
    {BYTES("PK\3\4"), {0}, "application/zip"},
    {BYTES("Rar!\x1a\7\0"), {0}, "application/x-rar-compressed"},
    {BYTES("Rar!\x1a\7\1\0"), {0}, "application/x-rar-compressed"},
    {BYTES("\0asm"), {0}, "application/wasm"},
};
#define BEHIND_AT 8

static bool has_at(struct str bytes, size_t at, struct str wanted)
{
    return at + wanted.len <= bytes.len &&
           (wanted.len == 0 || memcmp(bytes.ptr + at, wanted.ptr, wanted.len) == 0);
}

static bool is_html(struct str bytes)
{
    for (size_t i = 0; i < ARRAY_SIZE(html_tags); i++) {
        size_t len = strlen(html_tags[i]);
        if (bytes.len > len && strncasecmp(bytes.ptr, html_tags[i], len) == 0 &&
            (bytes.ptr[len] == ' ' || bytes.ptr[len] == '>'))
            return true;
    }
    return false;
}

/* An ISO base media file whose brands name mp4. */
static bool is_mp4(struct str bytes)
{
    if (bytes.len < 12)
        return false;
    size_t box = 0;
    for (size_t i = 0; i < 4; i++)
        box = box << 8 | (unsigned char)bytes.ptr[i];
    if (bytes.len < box || box % 4 != 0 || !has_at(bytes, 4, STR_LITERAL("ftyp")))
        return false;
    for (size_t at = 8; at < box; at += 4) {
        if (at != 12 && has_at(bytes, at, STR_LITERAL("mp4"))) /* at 12 is a version */
            return true;
    }
    return false;
}

static bool is_binary(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte <= 0x08 || byte == 0x0b || (byte >= 0x0e && byte <= 0x1a) ||
           (byte >= 0x1c && byte <= 0x1f);
}

static struct str without_blanks(struct str bytes)
{
    while (bytes.len > 0 && bytes.ptr[0] != '\0' && strchr("\t\n\x0c\r ", bytes.ptr[0])) {
        bytes.ptr++;
        bytes.len--;
    }
    return bytes;
}

const char *content_type_sniff(struct str bytes)
{
    bytes.len = min_size(bytes.len, CONTENT_SNIFF_BYTES);
    struct str text = without_blanks(bytes);
    if (is_html(text))
        return "text/html" UTF8;
    if (has_at(text, 0, STR_LITERAL("<?xml")))
        return "text/xml" UTF8;
    for (size_t i = 0; i < ARRAY_SIZE(signatures); i++) {
        if (has_at(bytes, 0, signatures[i].start) &&
            has_at(bytes, signatures[i].behind.len ? BEHIND_AT : 0, signatures[i].behind))
            return signatures[i].type;
    }
    /* With fewer bytes behind it a mark is nothing but two odd ones. */
    if (bytes.len >= 4 && has_at(bytes, 0, STR_LITERAL("\xfe\xff")))
        return "text/plain; charset=utf-16be";
    if (bytes.len >= 4 && has_at(bytes, 0, STR_LITERAL("\xff\xfe")))
        return "text/plain; charset=utf-16le";
    if (is_mp4(bytes))
        return "video/mp4";
    for (size_t i = 0; i < text.len; i++) {
        if (is_binary(text.ptr[i]))
            return "application/octet-stream";
    }
    return TEXT;
}
