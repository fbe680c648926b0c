/*
 * Grammar, after upstream's util/env: leading blanks are dropped; an empty line or one with '#' is
 * skipped; NAME '=' follows with no blank before '='. A blank (or nothing) behind '=' means the
 * empty value; otherwise a single quote opens a value that runs to the next single quote, over
 * lines if need be, with no escapes. Behind it only blanks or a comment may stand.
 */
#include "pod/env_file.h"

#include "base/buf.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct str skip_blanks(struct str text)
{
    while (text.len > 0 && is_blank(text.ptr[0]))
        text = (struct str){.ptr = text.ptr + 1, .len = text.len - 1};
    return text;
}

static struct str drop(struct str text, size_t count)
{
    return (struct str){.ptr = text.ptr + count, .len = text.len - count};
}

static struct error *malformed(const char *why)
{
    return error_new(ERROR_INVALID_ARGUMENT, "invalid environment file: %s", why);
}

/* The next line; an error when it is too long. *ret_more is false at the end of the text. */
static struct error *next_line(struct str *rest, struct str *ret_line, bool *ret_more)
{
    *ret_more = str_split_next(rest, '\n', ret_line);
    if (*ret_more && ret_line->len > ENV_FILE_LINE_MAX)
        return malformed("a line is too long");
    return NULL;
}

/* Reads on from behind the opening quote at @line; lines are taken off @rest until the quote
 * closes. */
static struct error *read_quoted(struct str line, struct str *rest, struct buf *value)
{
    for (;;) {
        size_t quote = str_find(line, '\'');
        buf_add(value, line.ptr, quote);
        if (quote < line.len) {
            struct str behind = skip_blanks(drop(line, quote + 1));
            if (behind.len > 0 && behind.ptr[0] != '#')
                return malformed("text behind a closing quote");
            return buf_error(value, "a value of an environment file");
        }
        bool more;
        struct error *err = next_line(rest, &line, &more);
        if (err)
            return err;
        if (!more)
            return malformed("a quote is not closed");
        buf_add_char(value, '\n');
    }
}

/* One assignment: @line is trimmed in front and no comment. */
static struct error *read_assignment(struct str line, struct str *rest, struct str *ret_name,
                                     struct buf *value)
{
    size_t equals = str_find(line, '=');
    if (equals == line.len || equals == 0)
        return malformed("a line is not NAME='value'");
    *ret_name = (struct str){.ptr = line.ptr, .len = equals};
    if (is_blank(line.ptr[equals - 1]))
        return malformed("a blank before '='");
    struct str behind = drop(line, equals + 1);
    if (behind.len == 0 || is_blank(behind.ptr[0]))
        return NULL;
    if (behind.ptr[0] != '\'')
        return malformed("a value is not in single quotes");
    return read_quoted(drop(behind, 1), rest, value);
}

struct error *env_file_get(struct str text, const char *key, struct arena *arena,
                           const char **ret_value)
{
    AUTO(buf) struct buf value;
    buf_init(&value, 1 * MiB);
    for (;;) {
        struct str line;
        bool more;
        struct error *err = next_line(&text, &line, &more);
        if (err)
            return err;
        if (!more)
            break;
        line = skip_blanks(line);
        if (line.len == 0 || line.ptr[0] == '#')
            continue;
        struct str name = {0};
        buf_clear(&value);
        err = read_assignment(line, &text, &name, &value);
        if (err)
            return err;
        if (str_eq_c(name, key)) {
            *ret_value = arena_strndup(arena, buf_text(&value), value.len);
            return NULL;
        }
    }
    *ret_value = NULL;
    return NULL;
}
