/*
 * Line by line up to the empty one, then a body of one of three kinds. Informational answers (1xx)
 * are read over. Texts of refusals: net/http's response.go, transfer.go and net/textproto.
 */
#include "probe/http_reply.h"

#include "base/arena.h"
#include "base/go_quote.h"
#include "wire/http.h"

#include <strings.h>

enum step {
    STEP_STATUS_LINE,
    STEP_FIELDS,
    STEP_BODY_LENGTH, /* `left` bytes */
    STEP_BODY_TO_END, /* until the server closes */
    STEP_CHUNK_SIZE,  /* a line */
    STEP_CHUNK,       /* `left` bytes */
    STEP_CHUNK_END,   /* an empty line behind it */
    STEP_TRAILER,     /* lines up to an empty one */
};

#define MAX_INFORMATIONAL 5 /* net/http: as many are read over */
#define CHUNK_LINE_MAX_BYTES (4 * KiB)
#define BROKEN "net/http: HTTP/1.x transport connection broken: "

void http_reply_init(struct http_reply *reply)
{
    *reply = (struct http_reply){.step = STEP_STATUS_LINE};
    buf_init(&reply->line, HTTP_REPLY_HEAD_MAX_BYTES);
    buf_init(&reply->field, HTTP_REPLY_HEAD_MAX_BYTES);
    buf_init(&reply->body, HTTP_REPLY_BODY_MAX_BYTES);
}

void http_reply_done(struct http_reply *reply)
{
    buf_done(&reply->line);
    buf_done(&reply->body);
    free(reply->location);
    buf_done(&reply->field);
    free(reply->problem);
    *reply = (struct http_reply){0};
}

/* Within the head the whole connection counts as broken, behind it only the body. */
static void refuse(struct http_reply *reply, const char *problem, const char *quoted)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    bool is_head = reply->state == HTTP_REPLY_HEAD;
    reply->problem = xasprintf("%s%s%s%s", is_head ? BROKEN : "", problem, quoted ? " " : "",
                               quoted ? go_quote(arena, quoted) : "");
    reply->state = HTTP_REPLY_BAD;
    if (is_head)
        reply->status = 0;
}

/* --- the head --- */

static bool is_version(const char *text)
{
    return strlen(text) == 8 && text_has_prefix(text, "HTTP/") && text[5] >= '0' &&
           text[5] <= '9' && text[6] == '.' && text[7] >= '0' && text[7] <= '9';
}

static void take_status_line(struct http_reply *reply, struct str line)
{
    AUTO(free) char *all = str_dup(line);
    char *blank = strchr(all, ' ');
    if (!blank) {
        refuse(reply, "malformed HTTP response", all);
        return;
    }
    AUTO(free) char *version = xstrndup(all, (size_t)(blank - all));
    const char *rest = blank + strspn(blank, " ");
    AUTO(free) char *code = xstrndup(rest, strcspn(rest, " "));
    int64_t status = 0;
    if (strlen(code) != 3 || !parse_i64(code, 0, 999, &status)) {
        refuse(reply, "malformed HTTP status code", code);
        return;
    }
    if (!is_version(version)) {
        refuse(reply, "malformed HTTP version", version);
        return;
    }
    reply->is_http10 = version[5] < '1' || (version[5] == '1' && version[7] == '0');
    reply->status = (unsigned)status;
    reply->step = STEP_FIELDS;
}

static bool is_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (!http_is_token_char(name.ptr[i]))
            return false;
    }
    return name.len > 0;
}

static bool is_called(struct str name, const char *wanted)
{
    return name.len == strlen(wanted) && strncasecmp(name.ptr, wanted, name.len) == 0;
}

static void take_length(struct http_reply *reply, const char *value)
{
    uint64_t length = 0;
    bool is_same = !reply->has_length;
    if (!parse_u64(value, &length) || length > INT64_MAX) {
        refuse(reply, "bad Content-Length", value);
        return;
    }
    if (!is_same && length != reply->left) {
        refuse(reply, "http: message cannot contain multiple Content-Length headers; got", value);
        return;
    }
    reply->has_length = true;
    reply->left = length;
}

/* A field, whole: continuation lines have been joined. */
static void take_field(struct http_reply *reply)
{
    if (reply->field.len == 0)
        return;
    AUTO(free) char *field = buf_take(&reply->field);
    struct str all = str_from(field);
    size_t colon = str_find(all, ':');
    struct str name = {.ptr = all.ptr, .len = colon};
    if (colon == all.len || !is_name(name)) {
        AUTO(free) char *problem = xasprintf("malformed MIME header line: %s", field);
        refuse(reply, problem, NULL);
        return;
    }
    AUTO(free)
    char *value =
        str_dup(str_trim((struct str){.ptr = all.ptr + colon + 1, .len = all.len - colon - 1}));
    if (is_called(name, "Location") && !reply->location) {
        reply->location = xstrdup(value);
    } else if (is_called(name, "Transfer-Encoding") && !reply->is_http10) {
        if (strcasecmp(value, "chunked") == 0)
            reply->is_chunked = true;
        else
            refuse(reply, "unsupported transfer encoding:", value);
    } else if (is_called(name, "Content-Length")) {
        take_length(reply, value);
    }
}

static void begin_body(struct http_reply *reply)
{
    if (reply->status >= 100 && reply->status < 200 && reply->status != 101) {
        unsigned informational = reply->informational + 1;
        http_reply_done(reply);
        http_reply_init(reply);
        reply->informational = informational;
        if (informational > MAX_INFORMATIONAL)
            refuse(reply, "net/http: too many 1xx informational responses", NULL);
        return;
    }
    reply->state = HTTP_REPLY_BODY;
    bool has_none = reply->status < 200 || reply->status == 204 || reply->status == 304;
    bool is_empty = !reply->is_chunked && reply->has_length && reply->left == 0;
    if (has_none || is_empty)
        reply->state = HTTP_REPLY_DONE;
    reply->step = reply->is_chunked   ? STEP_CHUNK_SIZE
                  : reply->has_length ? STEP_BODY_LENGTH
                                      : STEP_BODY_TO_END;
}

static void take_field_line(struct http_reply *reply, struct str line)
{
    bool is_more = line.len > 0 && (line.ptr[0] == ' ' || line.ptr[0] == '\t');
    if (is_more && reply->field.len > 0) {
        buf_add_char(&reply->field, ' ');
        buf_add_str(&reply->field, str_trim(line));
        return;
    }
    take_field(reply);
    if (reply->state == HTTP_REPLY_BAD)
        return;
    if (line.len == 0) {
        begin_body(reply);
    } else if (is_more) {
        AUTO(free)
        char *problem = xasprintf("malformed MIME header initial line: %.*s", STR_ARG(line));
        refuse(reply, problem, NULL);
    } else {
        buf_add_str(&reply->field, line);
    }
}

/* --- chunks --- */

static void take_chunk_size(struct http_reply *reply, struct str line)
{
    line.len = str_find(line, ';');
    line = str_trim(line);
    uint64_t size = 0;
    for (size_t i = 0; i < line.len; i++) {
        int digit = hex_digit_value(line.ptr[i]);
        if (digit < 0) {
            refuse(reply, "invalid byte in chunk length", NULL);
            return;
        }
        if (i == 16) {
            refuse(reply, "http chunk length too large", NULL);
            return;
        }
        size = size << 4 | (uint64_t)digit;
    }
    if (line.len == 0) {
        refuse(reply, "empty hex number for chunk length", NULL);
        return;
    }
    reply->left = size;
    reply->step = size == 0 ? STEP_TRAILER : STEP_CHUNK;
}

static void take_line(struct http_reply *reply, struct str line)
{
    switch ((enum step)reply->step) {
    case STEP_STATUS_LINE:
        take_status_line(reply, line);
        break;
    case STEP_FIELDS:
        take_field_line(reply, line);
        break;
    case STEP_CHUNK_SIZE:
        take_chunk_size(reply, line);
        break;
    case STEP_CHUNK_END:
        reply->step = STEP_CHUNK_SIZE;
        if (line.len > 0)
            refuse(reply, "malformed chunked encoding", NULL);
        break;
    case STEP_TRAILER:
        if (line.len == 0)
            reply->state = HTTP_REPLY_DONE;
        break;
    case STEP_BODY_LENGTH:
    case STEP_BODY_TO_END:
    case STEP_CHUNK:
        break;
    }
}

/* --- bytes --- */

static bool is_in_lines(const struct http_reply *reply)
{
    return reply->step != STEP_BODY_LENGTH && reply->step != STEP_BODY_TO_END &&
           reply->step != STEP_CHUNK;
}

/* Takes the rest of a line off @bytes; a line that is not whole yet is kept. */
static void collect_line(struct http_reply *reply, struct str *bytes)
{
    size_t end = str_find(*bytes, '\n');
    bool is_whole = end < bytes->len;
    size_t taken = end + (is_whole ? 1 : 0);
    bool is_head = reply->state == HTTP_REPLY_HEAD;
    size_t limit = is_head ? HTTP_REPLY_HEAD_MAX_BYTES : CHUNK_LINE_MAX_BYTES;
    reply->head_bytes = is_head ? reply->head_bytes + taken : reply->line.len + taken;
    if (reply->head_bytes > limit) {
        free(reply->problem);
        reply->problem = is_head
                             ? xasprintf("net/http: server response headers exceeded %zu bytes; "
                                         "aborted",
                                         limit)
                             : xstrdup("header line too long");
        reply->state = HTTP_REPLY_BAD;
        return;
    }
    buf_add(&reply->line, bytes->ptr, end);
    *bytes = (struct str){.ptr = bytes->ptr + taken, .len = bytes->len - taken};
    if (!is_whole)
        return;
    struct buf line = reply->line;
    buf_init(&reply->line, HTTP_REPLY_HEAD_MAX_BYTES);
    if (line.len > 0 && line.data[line.len - 1] == '\r')
        line.len--;
    take_line(reply, (struct str){.ptr = line.len > 0 ? line.data : "", .len = line.len});
    buf_done(&line);
}

static void collect_body(struct http_reply *reply, struct str *bytes)
{
    bool is_bounded = reply->step != STEP_BODY_TO_END;
    size_t len = bytes->len;
    if (is_bounded && reply->left < len)
        len = (size_t)reply->left;
    size_t room = HTTP_REPLY_BODY_MAX_BYTES - reply->body.len;
    buf_add(&reply->body, bytes->ptr, min_size(len, room));
    *bytes = (struct str){.ptr = bytes->ptr + len, .len = bytes->len - len};
    if (is_bounded)
        reply->left -= len;
    bool is_full = reply->body.len == HTTP_REPLY_BODY_MAX_BYTES; /* more of it changes nothing */
    bool is_over = is_bounded && reply->left == 0;
    if (is_full || (is_over && reply->step == STEP_BODY_LENGTH))
        reply->state = HTTP_REPLY_DONE;
    else if (is_over)
        reply->step = STEP_CHUNK_END;
}

static bool is_open(const struct http_reply *reply)
{
    return reply->state == HTTP_REPLY_HEAD || reply->state == HTTP_REPLY_BODY;
}

enum http_reply_state http_reply_take(struct http_reply *reply, struct str bytes)
{
    while (bytes.len > 0 && is_open(reply)) {
        if (is_in_lines(reply))
            collect_line(reply, &bytes);
        else
            collect_body(reply, &bytes);
    }
    return reply->state;
}

enum http_reply_state http_reply_take_end(struct http_reply *reply)
{
    if (!is_open(reply))
        return reply->state;
    bool is_mute = reply->state == HTTP_REPLY_HEAD && reply->head_bytes == 0;
    if (reply->step == STEP_BODY_TO_END) {
        reply->state = HTTP_REPLY_DONE;
    } else if (is_mute) {
        reply->problem = xstrdup("EOF");
        reply->state = HTTP_REPLY_BAD;
    } else {
        refuse(reply, "unexpected EOF", NULL);
    }
    return reply->state;
}
