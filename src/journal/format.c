/* The journal's file format; see journal.h. */
#include "journal/journal.h"

#include "base/hash.h"

#define RECORD_HEAD_BYTES 8 /* length and checksum */
#define RECORD_MIN_BYTES 3  /* operation and key length */

enum { OPERATION_PUT = 1, OPERATION_REMOVE = 2 };

static void add_u16(struct buf *out, size_t value)
{
    unsigned char bytes[2] = {(unsigned char)(value & 0xff), (unsigned char)(value >> 8 & 0xff)};
    buf_add(out, bytes, sizeof(bytes));
}

static void add_u32(struct buf *out, size_t value)
{
    add_u16(out, value & 0xffff);
    add_u16(out, value >> 16 & 0xffff);
}

static size_t get_u16(const char *at)
{
    const unsigned char *bytes = (const unsigned char *)at;
    return (size_t)bytes[0] | (size_t)bytes[1] << 8;
}

static size_t get_u32(const char *at)
{
    return get_u16(at) | get_u16(at + 2) << 16;
}

void journal_format_header(const char *kind, struct buf *out)
{
    buf_printf(out, "cubelet-journal 1 %s\n", kind);
}

void journal_format_record(const char *key, struct str value, bool remove, struct buf *out)
{
    struct buf rest;
    size_t key_len = strlen(key);
    ASSERT(key_len <= JOURNAL_KEY_MAX_BYTES && value.len <= JOURNAL_VALUE_MAX_BYTES);
    buf_init(&rest, RECORD_MIN_BYTES + JOURNAL_KEY_MAX_BYTES + JOURNAL_VALUE_MAX_BYTES);
    buf_add_char(&rest, remove ? OPERATION_REMOVE : OPERATION_PUT);
    add_u16(&rest, key_len);
    buf_add(&rest, key, key_len);
    if (!remove)
        buf_add_str(&rest, value);
    add_u32(out, rest.len);
    add_u32(out, hash_fnv1a_32(rest.data, rest.len));
    buf_add(out, rest.data, rest.len);
    buf_done(&rest);
}

/* The record behind @rest's checksum; false when its parts do not fit together. */
static bool read_record(struct str rest,
                        void (*on_record)(void *ctx, const char *key, struct str value), void *ctx)
{
    size_t key_len = get_u16(rest.ptr + 1);
    char operation = rest.ptr[0];
    if (key_len > JOURNAL_KEY_MAX_BYTES || RECORD_MIN_BYTES + key_len > rest.len ||
        (operation != OPERATION_PUT && operation != OPERATION_REMOVE))
        return false;
    AUTO(free) char *key = xstrndup(rest.ptr + RECORD_MIN_BYTES, key_len);
    struct str value = {.ptr = rest.ptr + RECORD_MIN_BYTES + key_len,
                        .len = rest.len - RECORD_MIN_BYTES - key_len};
    if (operation == OPERATION_REMOVE)
        value = (struct str){0};
    on_record(ctx, key, value);
    return true;
}

/* A crash may leave a tail that the file system has lengthened but not yet filled. */
static bool is_all_zero(struct str text)
{
    return text.len > 0 && text.ptr[0] == '\0' && memcmp(text.ptr, text.ptr + 1, text.len - 1) == 0;
}

enum journal_parse_end journal_parse(struct str text, const char *kind,
                                     void (*on_record)(void *ctx, const char *key,
                                                       struct str value),
                                     void *ctx, size_t *ret_good)
{
    AUTO(free) char *header = xasprintf("cubelet-journal 1 %s\n", kind);
    *ret_good = 0;
    if (!str_has_prefix(text, header)) {
        bool torn =
            text.len < strlen(header) && memcmp(text.ptr ? text.ptr : "", header, text.len) == 0;
        return torn ? JOURNAL_PARSE_TORN : JOURNAL_PARSE_DAMAGED;
    }
    size_t at = strlen(header);
    *ret_good = at;
    while (at < text.len) {
        size_t left = text.len - at;
        if (left < RECORD_HEAD_BYTES ||
            is_all_zero((struct str){.ptr = text.ptr + at, .len = left}))
            return JOURNAL_PARSE_TORN;
        size_t len = get_u32(text.ptr + at);
        if (len < RECORD_MIN_BYTES ||
            len > RECORD_MIN_BYTES + JOURNAL_KEY_MAX_BYTES + JOURNAL_VALUE_MAX_BYTES)
            return JOURNAL_PARSE_DAMAGED;
        if (left - RECORD_HEAD_BYTES < len)
            return JOURNAL_PARSE_TORN;
        struct str rest = {.ptr = text.ptr + at + RECORD_HEAD_BYTES, .len = len};
        bool is_last = left - RECORD_HEAD_BYTES == len;
        /* A last record that is complete in length but not in content was cut by a crash, too. */
        if (hash_fnv1a_32(rest.ptr, rest.len) != get_u32(text.ptr + at + 4))
            return is_last ? JOURNAL_PARSE_TORN : JOURNAL_PARSE_DAMAGED;
        if (!read_record(rest, on_record, ctx))
            return JOURNAL_PARSE_DAMAGED;
        at += RECORD_HEAD_BYTES + len;
        *ret_good = at;
    }
    return JOURNAL_PARSE_OK;
}
