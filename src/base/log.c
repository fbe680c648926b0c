#include "base/log.h"

#include "base/buf.h"
#include "base/time.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES (64 * KiB)
/* One value may not crowd out the rest of the line. */
#define VALUE_MAX_BYTES (8 * KiB)

/* The sink: set once at start, read by any thread. */
static atomic_int sink_verbosity;
static atomic_int sink_fd = STDERR_FILENO;

static const char severity_letters[] = {
    [LOG_SEVERITY_INFO] = 'I',
    [LOG_SEVERITY_WARNING] = 'W',
    [LOG_SEVERITY_ERROR] = 'E',
    [LOG_SEVERITY_FATAL] = 'F',
};

bool log_is_verbose(int level)
{
    return level <= atomic_load_explicit(&sink_verbosity, memory_order_relaxed);
}

void log_set_verbosity(int level)
{
    atomic_store_explicit(&sink_verbosity, level, memory_order_relaxed);
}

void log_set_fd(int fd)
{
    atomic_store_explicit(&sink_fd, fd, memory_order_relaxed);
}

/*
 * Decodes the UTF-8 character at the front of @text into *ret_rune and returns its length; 0 when
 * the bytes are not one (overlong forms, surrogates and values beyond Unicode are not).
 */
static size_t decode_utf8(struct str text, uint32_t *ret_rune)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t smallest;
    } forms[] = {{0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        size_t len = i + 2;
        if ((bytes[0] & forms[i].mask) != forms[i].lead || text.len < len)
            continue;
        uint32_t rune = bytes[0] & (unsigned char)~forms[i].mask;
        for (size_t j = 1; j < len; j++) {
            if ((bytes[j] & 0xc0) != 0x80)
                return 0;
            rune = rune << 6 | (bytes[j] & 0x3f);
        }
        if (rune < forms[i].smallest || rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff))
            return 0;
        *ret_rune = rune;
        return len;
    }
    return 0;
}

/*
 * What could deceive the reader of a terminal: controls, blanks that look like a space or like
 * nothing, marks that turn the direction of writing, private use.
 */
static bool is_printable(uint32_t rune)
{
    static const uint32_t hidden[][2] = {
        {0x80, 0xa0},     {0xad, 0xad},     {0x61c, 0x61c},   {0x1680, 0x1680},    {0x180e, 0x180e},
        {0x2000, 0x200f}, {0x2028, 0x202f}, {0x205f, 0x206f}, {0x3000, 0x3000},    {0xe000, 0xf8ff},
        {0xfeff, 0xfeff}, {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0x10ffff},
    };
    for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
        if (rune >= hidden[i][0] && rune <= hidden[i][1])
            return false;
    }
    return true;
}

static void put_ascii(struct buf *line, char c)
{
    static const char escaped[] = "\a\b\f\n\r\t\v\\\"", letters[] = "abfnrtv\\\"";
    const char *found = c ? strchr(escaped, c) : NULL;
    if (found) {
        buf_add_char(line, '\\');
        buf_add_char(line, letters[found - escaped]);
    } else if (c < ' ' || c == 0x7f) {
        buf_printf(line, "\\x%02x", (unsigned)(unsigned char)c);
    } else {
        buf_add_char(line, c);
    }
}

/* The inside of a quoted text, escaped as by Go's strconv.Quote(). */
static void put_escaped(struct buf *line, const char *text)
{
    if (!text)
        return;
    struct str rest = {.ptr = text, .len = strnlen(text, VALUE_MAX_BYTES)};
    bool cut = text[rest.len] != '\0';
    while (rest.len > 0) {
        size_t len = 1;
        uint32_t rune;
        if ((unsigned char)rest.ptr[0] < 0x80)
            put_ascii(line, rest.ptr[0]);
        else if ((len = decode_utf8(rest, &rune)) == 0) {
            len = 1;
            buf_printf(line, "\\x%02x", (unsigned)(unsigned char)rest.ptr[0]);
        } else if (is_printable(rune))
            buf_add(line, rest.ptr, len);
        else
            buf_printf(line, rune < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)rune);
        rest.ptr += len;
        rest.len -= len;
    }
    if (cut)
        buf_add_text(line, "...");
}

static void put_header(struct buf *line, enum log_severity severity, const char *file, int number)
{
    int64_t now_ns = time_wall_ns();
    time_t sec = (time_t)(now_ns / NS_PER_SEC);
    struct tm local = {0};
    (void)localtime_r(&sec, &local);
    const char *slash = strrchr(file, '/');
    buf_printf(line, "%c%02d%02d %02d:%02d:%02d.%06d %7d %s:%d] ", severity_letters[severity],
               local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec,
               (int)(now_ns % NS_PER_SEC / NS_PER_US), (int)getpid(), slash ? slash + 1 : file,
               number);
}

static void put_field(struct buf *line, const struct log_field *field)
{
    buf_printf(line, " %s=", field->key);
    switch (field->kind) {
    case LOG_FIELD_INT:
        buf_printf(line, "%lld", (long long)field->number);
        break;
    case LOG_FIELD_BOOL:
        buf_add_text(line, field->number ? "true" : "false");
        break;
    case LOG_FIELD_TEXT:
        buf_add_char(line, '"');
        put_escaped(line, field->text);
        buf_add_char(line, '"');
        break;
    case LOG_FIELD_POD:
        buf_add_char(line, '"');
        put_escaped(line, field->namespace);
        if (field->namespace && field->namespace[0])
            buf_add_char(line, '/');
        put_escaped(line, field->text);
        buf_add_char(line, '"');
        break;
    }
}

void log_write(enum log_severity severity, const char *file, int line, const char *message,
               const struct log_field *fields)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, LINE_MAX_BYTES);
    put_header(&text, severity, file, line);
    buf_add_char(&text, '"');
    put_escaped(&text, message);
    buf_add_char(&text, '"');
    for (const struct log_field *field = fields; field->key; field++)
        put_field(&text, field);
    /* A line that grew too long lost its end, but must stay a line. */
    text.overflowed = false;
    buf_truncate(&text, LINE_MAX_BYTES - 1);
    buf_add_char(&text, '\n');
    ssize_t done = write(atomic_load_explicit(&sink_fd, memory_order_relaxed), text.data, text.len);
    (void)done; /* there is nowhere to report a log that cannot be written */
}
