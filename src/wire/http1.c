/*
 * http-parser, as Debian builds it, forgives a lot: bare LF, anything in the place of the LF behind
 * a CR or of the CRLF behind a chunk, blanks in field names, folded lines. So every byte it uses
 * that is no body passes check_framing() too, before any event that rests on it is handed out, and
 * the head's fields are checked again as a whole. The two must agree on the length of the body.
 *
 *     bytes → http_parser_execute() → callbacks record → check_framing() → one event
 *
 * A callback that makes an event pauses the library, so there is at most one event per call. The
 * library gives some bytes back to be read again (the last LF of a head, the last byte of a body):
 * `ahead` counts those at the front of the next input that are checked already.
 */
#include "wire/http1.h"

#include "base/buf.h"

#include <http_parser.h>
#include <strings.h>

/* The library's own limit, which cannot be changed without changing it for the whole process. */
#define LIBRARY_MAX_HEAD_BYTES HTTP_MAX_HEADER_SIZE

/* What came before the next framing byte. */
enum {
    BEFORE_MESSAGE = -1,
    BEHIND_CHUNK = -2, /* CRLF must follow */
};

enum piece { PIECE_NONE, PIECE_TARGET, PIECE_NAME, PIECE_VALUE };

struct http1_parser {
    http_parser lib;
    enum http1_answers answers;
    size_t max_head_bytes;
    bool is_inside, is_past_head, is_informational, is_tunnel;
    unsigned error_status; /* 0: no error yet */
    const char *problem;   /* static: what a callback found wrong */
    int previous;          /* the last framing byte, or one of the two above */
    size_t start_blanks;   /* seen in the request line, until it has ended */
    bool is_start_over;    /* it has */
    size_t ahead;
    size_t framing_bytes; /* of this head, trailer or chunk line */
    enum piece piece;
    size_t target_len;
    struct buf text; /* target and fields, each followed by a NUL */
    struct http1_head head;
    struct http_field *fields; /* owned; head.fields */
    struct http1_event event;  /* recorded by the callbacks of one call */
};

static int fail(struct http1_parser *parser, unsigned status, const char *problem)
{
    if (parser->error_status == 0) {
        parser->error_status = status;
        parser->problem = problem;
    }
    return -1;
}

/* --- text: inside the library --- */

static bool is_value_char(unsigned char c)
{
    return c == '\t' || (c >= ' ' && c != 0x7f);
}

static bool is_target_char(unsigned char c)
{
    return c > ' ' && c < 0x7f;
}

static bool is_piece_char(enum piece piece, unsigned char c)
{
    switch (piece) {
    case PIECE_TARGET:
        return is_target_char(c);
    case PIECE_NAME:
        return http_is_token_char((char)c);
    case PIECE_VALUE:
        return is_value_char(c);
    case PIECE_NONE:
        break;
    }
    return false;
}

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static int add_text(struct http1_parser *parser, enum piece piece, const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_piece_char(piece, (unsigned char)at[i]))
            return fail(parser, 400,
                        piece == PIECE_TARGET ? "invalid character in the request target"
                        : piece == PIECE_NAME ? "invalid character in a header field's name"
                                              : "invalid character in a header field's value");
    }
    if (parser->is_past_head)
        return 0; /* a trailer */
    if (parser->piece != piece && parser->piece != PIECE_NONE)
        buf_add_char(&parser->text, '\0');
    parser->piece = piece;
    if (piece != PIECE_NAME) {
        buf_add(&parser->text, at, len);
        return 0;
    }
    size_t start = parser->text.len;
    buf_add(&parser->text, at, len);
    for (size_t i = start; i < parser->text.len; i++)
        parser->text.data[i] = lower(parser->text.data[i]);
    return 0;
}

static int on_url(http_parser *lib, const char *at, size_t len)
{
    struct http1_parser *parser = lib->data;
    parser->target_len += len;
    if (parser->target_len > HTTP_TARGET_MAX_BYTES)
        return fail(parser, 414, "the request target is too long");
    return add_text(parser, PIECE_TARGET, at, len);
}

static int on_name(http_parser *lib, const char *at, size_t len)
{
    return add_text(lib->data, PIECE_NAME, at, len);
}

static int on_value(http_parser *lib, const char *at, size_t len)
{
    return add_text(lib->data, PIECE_VALUE, at, len);
}

/* --- the head --- */

static void end_texts(struct http1_parser *parser)
{
    if (parser->piece == PIECE_NAME) /* the library reports empty values too; to be sure */
        buf_add_char(&parser->text, '\0');
    buf_add_char(&parser->text, '\0');
}

/* Cuts the white space off a value's end, within the text. */
static const char *trim_end(char *value)
{
    size_t len = strlen(value);
    while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    value[len] = '\0';
    return value;
}

static void index_texts(struct http1_parser *parser)
{
    struct http1_head *head = &parser->head;
    char *at = parser->text.data, *end = at + parser->text.len;
    if (parser->lib.type == HTTP_REQUEST) {
        head->target = at;
        at += strlen(at) + 1;
    }
    size_t texts = 0;
    for (const char *c = at; c < end; c++)
        texts += *c == '\0';
    parser->fields = xcalloc(texts / 2 + 1, sizeof(*parser->fields));
    head->fields.items = parser->fields;
    while (at < end) {
        char *value = at + strlen(at) + 1;
        if (value >= end)
            break;
        char *next = value + strlen(value) + 1;
        parser->fields[head->fields.count++] =
            (struct http_field){.name = at, .value = trim_end(value)};
        at = next;
    }
}

static size_t count_fields(const struct http_fields *fields, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < fields->count; i++)
        count += text_eq(fields->items[i].name, name);
    return count;
}

static bool is_bodiless_status(unsigned status)
{
    return status < 200 || status == 204 || status == 304;
}

/* What ends the body, read from the fields and compared with what the library read. */
static int check_length(struct http1_parser *parser)
{
    struct http1_head *head = &parser->head;
    size_t lengths = count_fields(&head->fields, "content-length");
    size_t encodings = count_fields(&head->fields, "transfer-encoding");
    bool is_chunked = encodings == 1;
    if (lengths > 1 || encodings > 1 || (lengths == 1 && encodings == 1))
        return fail(parser, 400, "more than one field tells the length of the body");
    if (is_chunked &&
        strcasecmp(http_fields_get(&head->fields, "transfer-encoding"), "chunked") != 0)
        return fail(parser, 501, "unsupported transfer encoding");
    if (is_chunked && head->is_http10)
        return fail(parser, 400, "a transfer encoding in HTTP/1.0");
    head->body_length = -1;
    if (lengths == 1) {
        const char *text = http_fields_get(&head->fields, "content-length");
        if (!parse_i64(text, 0, INT64_MAX, &head->body_length) || text[0] == '-')
            return fail(parser, 400, "invalid Content-Length");
    }
    bool lib_is_chunked = (parser->lib.flags & F_CHUNKED) != 0;
    uint64_t lib_length = parser->lib.content_length;
    if (lib_is_chunked != is_chunked || (lengths == 1 ? lib_length != (uint64_t)head->body_length
                                                      : !is_chunked && lib_length != UINT64_MAX))
        return fail(parser, 400, "the length of the body is ambiguous");
    return 0;
}

static int check_request(struct http1_parser *parser)
{
    struct http1_head *head = &parser->head;
    size_t hosts = count_fields(&head->fields, "host");
    if (hosts > 1 || (hosts == 0 && !head->is_http10))
        return fail(parser, 400, hosts > 1 ? "too many Host headers" : "missing Host header");
    const char *host = http_fields_get(&head->fields, "host");
    if (host && strpbrk(host, " \t/\\@,?#\"<>"))
        return fail(parser, 400, "malformed Host header");
    const char *expect = http_fields_get(&head->fields, "expect");
    if (expect && strcasecmp(expect, "100-continue") != 0)
        return fail(parser, 417, "unknown expectation");
    if (head->body_length < 0 && (parser->lib.flags & F_CHUNKED) == 0)
        head->body_length = 0; /* a request without either field has no body */
    head->has_body = head->body_length != 0;
    /* It would mean nothing, and the library takes what it holds for the next request. */
    if (head->has_body && parser->lib.method == HTTP_CONNECT)
        return fail(parser, 400, "a body in a CONNECT request");
    head->is_continue_wanted = expect && head->has_body && !head->is_http10;
    head->is_upgrade = !head->has_body && !head->is_http10 &&
                       http_fields_has_token(&head->fields, "connection", "upgrade") &&
                       http_fields_get(&head->fields, "upgrade") != NULL;
    return 0;
}

/* What the library's on_headers_complete returns: 0, 1 no body, 2 no HTTP behind this. */
static int judge_response(struct http1_parser *parser)
{
    struct http1_head *head = &parser->head;
    bool is_connected = parser->answers == HTTP1_ANSWERS_CONNECT && head->status / 100 == 2;
    head->is_upgrade = is_connected || head->status == 101;
    bool is_bodiless = head->is_upgrade || is_bodiless_status(head->status) ||
                       parser->answers == HTTP1_ANSWERS_HEAD;
    bool is_until_close =
        !is_bodiless && head->body_length < 0 && (parser->lib.flags & F_CHUNKED) == 0;
    head->has_body = !is_bodiless && head->body_length != 0;
    if (is_until_close || head->is_upgrade)
        head->is_keep_alive = false;
    parser->is_tunnel = head->is_upgrade;
    parser->is_informational = head->status < 200 && !head->is_upgrade;
    return head->is_upgrade ? 2 : is_bodiless ? 1 : 0;
}

static bool is_keep_alive(const struct http1_head *head)
{
    if (http_fields_has_token(&head->fields, "connection", "close"))
        return false;
    return !head->is_http10 || http_fields_has_token(&head->fields, "connection", "keep-alive");
}

static int on_head(http_parser *lib)
{
    struct http1_parser *parser = lib->data;
    bool is_request = lib->type == HTTP_REQUEST;
    end_texts(parser);
    if (parser->text.overflowed)
        return fail(parser, 431, "the header fields are too large");
    if (lib->http_major == 0) /* a line without a version is taken for this */
        return fail(parser, 400, "malformed request line");
    if (lib->http_major != 1 || lib->http_minor > 1)
        return fail(parser, 505, "unsupported protocol version");
    struct http1_head *head = &parser->head;
    *head = (struct http1_head){.is_http10 = lib->http_minor == 0};
    if (is_request)
        head->method = http_method_str((enum http_method)lib->method);
    else
        head->status = lib->status_code;
    index_texts(parser);
    head->is_keep_alive = is_keep_alive(head);
    if (!is_request && (head->status < 100 || head->status > 999))
        return fail(parser, 502, "invalid status");
    if (check_length(parser) != 0 || (is_request && check_request(parser) != 0))
        return -1;
    parser->event = (struct http1_event){.kind = HTTP1_HEAD, .head = head};
    parser->is_past_head = true;
    http_parser_pause(lib, 1);
    return is_request ? 0 : judge_response(parser);
}

/* --- the rest of a message --- */

static int on_body(http_parser *lib, const char *at, size_t len)
{
    struct http1_parser *parser = lib->data;
    if (len == 0)
        return 0;
    parser->event = (struct http1_event){.kind = HTTP1_BODY, .bytes = {.ptr = at, .len = len}};
    http_parser_pause(lib, 1);
    return 0;
}

static int on_complete(http_parser *lib)
{
    struct http1_parser *parser = lib->data;
    parser->event = (struct http1_event){.kind = HTTP1_COMPLETE};
    http_parser_pause(lib, 1);
    return 0;
}

static int on_begin(http_parser *lib)
{
    ((struct http1_parser *)lib->data)->is_inside = true;
    return 0;
}

static const http_parser_settings settings = {.on_message_begin = on_begin,
                                              .on_url = on_url,
                                              .on_header_field = on_name,
                                              .on_header_value = on_value,
                                              .on_headers_complete = on_head,
                                              .on_body = on_body,
                                              .on_message_complete = on_complete};

static bool is_expected_behind(int previous, char c)
{
    if (previous == BEHIND_CHUNK)
        return c == '\r';
    if ((previous == '\r') != (c == '\n'))
        return false;
    return previous != '\n' || (c != ' ' && c != '\t');
}

/* A request line has one blank in each of two places; whoever splits it at others reads another
 * target. */
static bool is_blank_expected(struct http1_parser *parser, char c)
{
    if (parser->is_start_over || parser->lib.type != HTTP_REQUEST)
        return true;
    if (c == '\n')
        parser->is_start_over = parser->start_blanks > 0; /* empty lines may stand before it */
    if (c != ' ')
        return true;
    parser->start_blanks++;
    return parser->previous != ' ';
}

static int check_framing(struct http1_parser *parser, struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (!is_expected_behind(parser->previous, bytes.ptr[i]))
            return fail(parser, 400, "malformed line end or folded line");
        if (!is_blank_expected(parser, bytes.ptr[i]))
            return fail(parser, 400, "malformed request line");
        parser->previous = (unsigned char)bytes.ptr[i];
    }
    parser->framing_bytes += bytes.len;
    if (parser->framing_bytes > parser->max_head_bytes)
        return fail(parser, 431, "the header fields are too large");
    return 0;
}

/* Checks what the library has read of @input, @used bytes and those of a body event. */
static int check_used(struct http1_parser *parser, struct str input, size_t used)
{
    struct http1_event *event = &parser->event;
    size_t from = min_size(parser->ahead, input.len), to = used;
    if (event->kind == HTTP1_HEAD)
        to = used + 1; /* the LF that ends the head, which the library reads again */
    if (event->kind == HTTP1_BODY)
        to = (size_t)(event->bytes.ptr - input.ptr);
    if (to > from && check_framing(parser, (struct str){input.ptr + from, to - from}) != 0)
        return -1;
    size_t read_to = to > from ? to : from;
    if (event->kind == HTTP1_BODY) {
        size_t body_end = to + event->bytes.len;
        parser->previous = BEHIND_CHUNK;
        parser->framing_bytes = 0;
        if (body_end < used &&
            check_framing(parser, (struct str){input.ptr + body_end, used - body_end}) != 0)
            return -1;
        read_to = body_end > used ? body_end : used;
    }
    parser->ahead = read_to - used;
    return 0;
}

static void clear_head(struct http1_parser *parser)
{
    buf_done(&parser->text);
    buf_init(&parser->text, parser->max_head_bytes);
    free(TAKE(parser->fields));
    parser->head = (struct http1_head){0};
    parser->piece = PIECE_NONE;
    parser->target_len = 0;
}

static void end_message(struct http1_parser *parser)
{
    parser->is_inside = parser->is_past_head = false;
    parser->is_start_over = false;
    parser->start_blanks = 0;
    parser->previous = BEFORE_MESSAGE;
    parser->ahead = 0;
    parser->framing_bytes = 0;
    if (!parser->is_informational) /* else what was expected is still to come */
        parser->answers = HTTP1_ANSWERS_ORDINARY;
}

static void judge_library(struct http1_parser *parser)
{
    enum http_errno code = HTTP_PARSER_ERRNO(&parser->lib);
    if (code != HPE_OK && code != HPE_PAUSED)
        (void)fail(parser, code == HPE_HEADER_OVERFLOW ? 431 : 400, http_errno_description(code));
}

static struct error *parser_error(const struct http1_parser *parser)
{
    return error_new(ERROR_INVALID_ARGUMENT, "malformed HTTP %s: %s",
                     parser->lib.type == HTTP_REQUEST ? "request" : "response", parser->problem);
}

struct error *http1_parser_next(struct http1_parser *parser, struct str *input,
                                struct http1_event *ret)
{
    if (parser->error_status != 0)
        return parser_error(parser);
    if (parser->event.kind == HTTP1_HEAD)
        clear_head(parser);
    parser->event = (struct http1_event){.kind = HTTP1_NONE};
    if (input->len > 0 && (!parser->is_tunnel || parser->is_inside)) {
        http_parser_pause(&parser->lib, 0);
        size_t used = http_parser_execute(&parser->lib, &settings, input->ptr, input->len);
        judge_library(parser);
        if (parser->error_status == 0)
            (void)check_used(parser, *input, used);
        if (parser->error_status != 0)
            return parser_error(parser);
        *input = (struct str){.ptr = input->ptr + used, .len = input->len - used};
    }
    if (parser->event.kind == HTTP1_COMPLETE)
        end_message(parser);
    *ret = parser->event;
    return NULL;
}

struct error *http1_parser_end(struct http1_parser *parser, struct http1_event *ret)
{
    if (parser->error_status != 0)
        return parser_error(parser);
    parser->event = (struct http1_event){.kind = HTTP1_NONE};
    http_parser_pause(&parser->lib, 0);
    if (http_parser_execute(&parser->lib, &settings, NULL, 0) != 0) {
        (void)fail(parser, 400, "unexpected EOF");
        return error_new(ERROR_UNAVAILABLE, "unexpected EOF");
    }
    if (parser->event.kind == HTTP1_COMPLETE)
        end_message(parser);
    *ret = parser->event;
    return NULL;
}

unsigned http1_parser_error_status(const struct http1_parser *parser)
{
    return parser->error_status;
}

bool http1_parser_is_inside(const struct http1_parser *parser)
{
    return parser->is_inside;
}

void http1_parser_expect(struct http1_parser *parser, enum http1_answers answers)
{
    parser->answers = answers;
}

struct http1_parser *http1_parser_new(enum http1_side side, size_t max_head_bytes)
{
    struct http1_parser *parser = xcalloc(1, sizeof(*parser));
    http_parser_init(&parser->lib, side == HTTP1_REQUESTS ? HTTP_REQUEST : HTTP_RESPONSE);
    parser->lib.data = parser;
    parser->max_head_bytes = min_size(max_head_bytes, LIBRARY_MAX_HEAD_BYTES);
    parser->previous = BEFORE_MESSAGE;
    buf_init(&parser->text, parser->max_head_bytes);
    return parser;
}

void http1_parser_free(struct http1_parser *parser)
{
    if (!parser)
        return;
    buf_done(&parser->text);
    free(parser->fields);
    free(parser);
}
