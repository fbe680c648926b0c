#include "plane/authn_tokens.h"

#include "base/fd.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#define COLUMNS_MIN 3 /* token, user, uid; then groups */
#define COLUMNS_USED 4

struct row {
    unsigned char digest[SHA256_DIGEST_LENGTH]; /* of the token, so that it is nowhere in memory */
    struct plane_user user;
    struct row *next; /* the row before it in the file: the last one wins */
};

struct authn_tokens {
    struct arena *arena; /* owns rows and users */
    struct row *rows;
};

/* --- CSV, as Go's encoding/csv reads it --- */

struct reader {
    struct str rest;
    const char *path;
    unsigned line;
};

static struct error *bad_line(const struct reader *reader, const char *why)
{
    return error_new(ERROR_INVALID_ARGUMENT, "%s:%u: %s", reader->path, reader->line, why);
}

static char next_char(const struct reader *reader)
{
    if (reader->rest.len == 0)
        return '\0';
    return *reader->rest.ptr;
}

static void skip(struct reader *reader)
{
    if (*reader->rest.ptr == '\n')
        reader->line++;
    reader->rest.ptr++;
    reader->rest.len--;
}

/* The number of bytes of a line end at the front: 0, 1 or (CR LF) 2. */
static size_t line_end(const struct reader *reader)
{
    if (str_has_prefix(reader->rest, "\r\n"))
        return 2;
    return next_char(reader) == '\n' ? 1 : 0;
}

static struct error *read_quoted(struct reader *reader, struct buf *field)
{
    skip(reader);
    for (;;) {
        if (reader->rest.len == 0)
            return bad_line(reader, "a quoted field does not end");
        char c = next_char(reader);
        skip(reader);
        if (c == '"' && next_char(reader) != '"')
            break;
        if (c == '"')
            skip(reader);
        buf_add_char(field, c);
    }
    if (reader->rest.len > 0 && next_char(reader) != ',' && line_end(reader) == 0)
        return bad_line(reader, "text behind a quoted field");
    return NULL;
}

static struct error *read_field(struct reader *reader, struct buf *field)
{
    if (next_char(reader) == '"')
        return read_quoted(reader, field);
    while (reader->rest.len > 0 && next_char(reader) != ',' && line_end(reader) == 0) {
        if (next_char(reader) == '"')
            return bad_line(reader, "a quote inside a field that is not quoted");
        buf_add_char(field, next_char(reader));
        skip(reader);
    }
    return NULL;
}

/* Reads a record up to its line's end; fields beyond COLUMNS_USED are counted and dropped. */
static struct error *read_record(struct reader *reader, struct buf fields[static COLUMNS_USED],
                                 size_t *ret_count)
{
    size_t count = 0;
    for (;;) {
        AUTO(buf) struct buf dropped = {0};
        buf_init(&dropped, AUTHN_FILE_MAX_BYTES);
        struct error *err = read_field(reader, count < COLUMNS_USED ? &fields[count] : &dropped);
        if (err)
            return err;
        count++;
        if (next_char(reader) != ',')
            break;
        skip(reader);
    }
    for (size_t end = line_end(reader); end > 0; end--)
        skip(reader);
    *ret_count = count;
    return NULL;
}

/* --- rows --- */

static struct text_list read_groups(struct str text, struct arena *arena)
{
    size_t count = text.len > 0 ? 1 : 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == ',' ? 1 : 0;
    const char **groups = arena_calloc(arena, count + 1, sizeof(*groups));
    struct str rest = text, group;
    for (size_t i = 0; i < count && str_split_next(&rest, ',', &group); i++)
        groups[i] = arena_strndup(arena, group.ptr, group.len);
    return (struct text_list){groups, count};
}

static void digest_of(struct str token, unsigned char digest[static SHA256_DIGEST_LENGTH])
{
    SHA256((const unsigned char *)(token.len > 0 ? token.ptr : ""), token.len, digest);
}

static struct error *add_row(struct authn_tokens *tokens, struct reader *reader,
                             struct buf fields[static COLUMNS_USED])
{
    unsigned line = reader->line;
    size_t count = 0;
    struct error *err = read_record(reader, fields, &count);
    if (err)
        return err;
    if (count < COLUMNS_MIN)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "%s:%u: token file must have at least 3 columns (token, user name, user "
                         "uid), found %zu",
                         reader->path, line, count);
    if (fields[0].len == 0)
        return NULL;
    struct row *row = arena_alloc(tokens->arena, sizeof(*row));
    digest_of(buf_str(&fields[0]), row->digest);
    row->user = (struct plane_user){
        .name = arena_strdup(tokens->arena, buf_text(&fields[1])),
        .uid = arena_strdup(tokens->arena, buf_text(&fields[2])),
        .groups = read_groups(buf_str(&fields[3]), tokens->arena),
    };
    row->next = tokens->rows;
    tokens->rows = row;
    return NULL;
}

struct error *authn_tokens_parse(struct str text, const char *path, struct authn_tokens **ret)
{
    AUTO(authn_tokens) struct authn_tokens *tokens = xcalloc(1, sizeof(*tokens));
    tokens->arena = arena_new(0);
    struct reader reader = {.rest = text, .path = path, .line = 1};
    while (reader.rest.len > 0) {
        if (line_end(&reader) > 0) {
            skip(&reader);
            continue;
        }
        struct buf fields[COLUMNS_USED];
        for (size_t i = 0; i < COLUMNS_USED; i++)
            buf_init(&fields[i], AUTHN_FILE_MAX_BYTES);
        struct error *err = add_row(tokens, &reader, fields);
        if (fields[0].data)
            explicit_bzero(fields[0].data, fields[0].len);
        for (size_t i = 0; i < COLUMNS_USED; i++)
            buf_done(&fields[i]);
        if (err)
            return err;
    }
    *ret = TAKE(tokens);
    return NULL;
}

struct error *authn_tokens_read_blocking(const char *path, struct authn_tokens **ret)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, AUTHN_FILE_MAX_BYTES);
    struct error *err = fd_read_file_blocking(path, &text);
    if (!err)
        err = authn_tokens_parse(buf_str(&text), path, ret);
    if (text.data)
        explicit_bzero(text.data, text.len);
    return err;
}

void authn_tokens_free(struct authn_tokens *tokens)
{
    if (!tokens)
        return;
    arena_free(tokens->arena);
    free(tokens);
}

const struct plane_user *authn_tokens_find(const struct authn_tokens *tokens, struct str token)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    digest_of(token, digest);
    const struct row *found = NULL;
    /* All rows are looked at, whichever fits. */
    for (const struct row *row = tokens->rows; row; row = row->next) {
        if (CRYPTO_memcmp(digest, row->digest, sizeof(digest)) == 0 && !found)
            found = row;
    }
    return found ? &found->user : NULL;
}
