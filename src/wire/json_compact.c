#include "wire/json_compact.h"

#include "wire/doc.h"

struct cursor {
    const unsigned char *at, *end;
    uint64_t is_object; /* a bit a level: object or array */
    unsigned depth;
};

static bool take(struct cursor *cursor, char c)
{
    if (cursor->at == cursor->end || *cursor->at != (unsigned char)c)
        return false;
    cursor->at++;
    return true;
}

static bool take_string(struct cursor *cursor)
{
    if (!take(cursor, '"'))
        return false;
    while (cursor->at < cursor->end && *cursor->at != '"') {
        size_t left = (size_t)(cursor->end - cursor->at);
        size_t step = 1;
        if (*cursor->at == '\\') {
            if (left < 2 || (cursor->at[1] != '"' && cursor->at[1] != '\\'))
                return false;
            step = 2;
        } else if (*cursor->at >= 0x80) {
            step = doc_utf8_length(cursor->at, left);
            /* U+2028 and U+2029 are written escaped. */
            bool is_separator = step == 3 && cursor->at[0] == 0xE2 && cursor->at[1] == 0x80 &&
                                (cursor->at[2] == 0xA8 || cursor->at[2] == 0xA9);
            if (step == 0 || is_separator)
                return false;
        } else if (*cursor->at < 0x20) {
            return false;
        }
        cursor->at += step;
    }
    return take(cursor, '"');
}

/* Integers of a modest length only: what is longer or a fraction may be written differently. */
static bool take_number(struct cursor *cursor)
{
    bool is_negative = take(cursor, '-');
    const unsigned char *digits = cursor->at;
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9')
        cursor->at++;
    size_t count = (size_t)(cursor->at - digits);
    return count > 0 && count < 18 && (digits[0] != '0' || (count == 1 && !is_negative));
}

static bool take_word(struct cursor *cursor, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(cursor->end - cursor->at) < len || memcmp(cursor->at, word, len) != 0)
        return false;
    cursor->at += len;
    return true;
}

static bool take_scalar(struct cursor *cursor)
{
    switch (*cursor->at) {
    case '"':
        return take_string(cursor);
    case 't':
        return take_word(cursor, "true");
    case 'f':
        return take_word(cursor, "false");
    case 'n':
        return take_word(cursor, "null");
    default: /* bytes are no enum */
        return take_number(cursor);
    }
}

static bool take_key(struct cursor *cursor)
{
    return take_string(cursor) && take(cursor, ':');
}

static bool in_object(const struct cursor *cursor)
{
    return (cursor->is_object >> (cursor->depth - 1) & 1) != 0;
}

/* An object or array begins. *ret_is_closed: it was an empty one. */
static bool open_container(struct cursor *cursor, bool is_object, bool *ret_is_closed)
{
    cursor->at++;
    *ret_is_closed = take(cursor, is_object ? '}' : ']');
    if (*ret_is_closed)
        return true;
    if (cursor->depth == DOC_MAX_DEPTH)
        return false;
    uint64_t bit = UINT64_C(1) << cursor->depth++;
    cursor->is_object = is_object ? cursor->is_object | bit : cursor->is_object & ~bit;
    return !is_object || take_key(cursor);
}

/* A value is complete: goes to the next one. *ret_is_end: there is none, the text is over. */
static bool go_on(struct cursor *cursor, bool *ret_is_end)
{
    while (cursor->depth > 0) {
        if (take(cursor, ','))
            return !in_object(cursor) || take_key(cursor);
        if (!take(cursor, in_object(cursor) ? '}' : ']'))
            return false;
        cursor->depth--;
    }
    *ret_is_end = true;
    return cursor->at == cursor->end;
}

_Static_assert(DOC_MAX_DEPTH <= 64, "a bit for each level");

bool json_is_compact(struct str text)
{
    struct cursor cursor = {.at = (const unsigned char *)text.ptr};
    cursor.end = cursor.at + text.len;
    bool is_end = false, is_good = text.len > 0;
    while (is_good && !is_end) {
        bool is_complete = true;
        if (cursor.at == cursor.end)
            return false;
        if (*cursor.at == '{' || *cursor.at == '[')
            is_good = open_container(&cursor, *cursor.at == '{', &is_complete);
        else
            is_good = take_scalar(&cursor);
        if (is_good && is_complete)
            is_good = go_on(&cursor, &is_end);
    }
    return is_good;
}
