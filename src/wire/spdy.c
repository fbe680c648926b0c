/*
 *     head (8 bytes) ──┬─ data ──► payload, piece by piece ──► head …
 *                      ├─ control ──► body, gathered until it is whole ──► head …
 *                      └─ unknown control ──► passed over ──► head …
 *
 * All header blocks of one direction are one stream of zlib's, so each must be inflated, in order,
 * whether or not anybody wants to read it.
 */
#include "wire/spdy.h"

#include <zlib.h>

#define HEAD_BYTES 8
#define VERSION 3U
#define CONTROL_BIT 0x80000000U
#define LENGTH_BITS 0xffffffU
#define STREAM_BITS 0x7fffffffU
#define FIN_FLAG 1U
#define BLOCK_MAX_BYTES (64 * KiB) /* of headers, as compressed and as they are */
#define FIELDS_MAX 256
/* A small window for what we compress: a few headers a connection. */
#define DEFLATE_WINDOW_BITS 11
#define DEFLATE_MEMORY_LEVEL 1
#define INFLATE_CHUNK_BYTES ((size_t)1024)

struct spdy {
    z_stream inflate, deflate;
    unsigned char head[HEAD_BYTES];
    size_t head_len;
    bool is_in_payload;
    bool is_data;
    bool is_skipped; /* an unknown control frame */
    bool is_dead;    /* what came was no SPDY */
    unsigned kind;   /* of a control frame */
    unsigned flags;
    uint32_t stream; /* of data */
    uint32_t left;   /* of the payload */
    struct buf body; /* of a control frame */
    struct buf text; /* of headers, inflated */
    char *kept;      /* names and values of the last headers, each with a NUL behind it */
    struct http_field *fields;
};

/* --- header compression --- */

/* SPDY/3 §2.6.10.1: words with their lengths before them, then a text. */
static const char *const dictionary_words[] = {"options",
                                               "head",
                                               "post",
                                               "put",
                                               "delete",
                                               "trace",
                                               "accept",
                                               "accept-charset",
                                               "accept-encoding",
                                               "accept-language",
                                               "accept-ranges",
                                               "age",
                                               "allow",
                                               "authorization",
                                               "cache-control",
                                               "connection",
                                               "content-base",
                                               "content-encoding",
                                               "content-language",
                                               "content-length",
                                               "content-location",
                                               "content-md5",
                                               "content-range",
                                               "content-type",
                                               "date",
                                               "etag",
                                               "expect",
                                               "expires",
                                               "from",
                                               "host",
                                               "if-match",
                                               "if-modified-since",
                                               "if-none-match",
                                               "if-range",
                                               "if-unmodified-since",
                                               "last-modified",
                                               "location",
                                               "max-forwards",
                                               "pragma",
                                               "proxy-authenticate",
                                               "proxy-authorization",
                                               "range",
                                               "referer",
                                               "retry-after",
                                               "server",
                                               "te",
                                               "trailer",
                                               "transfer-encoding",
                                               "upgrade",
                                               "user-agent",
                                               "vary",
                                               "via",
                                               "warning",
                                               "www-authenticate",
                                               "method",
                                               "get",
                                               "status",
                                               "200 OK",
                                               "version",
                                               "HTTP/1.1",
                                               "url",
                                               "public",
                                               "set-cookie",
                                               "keep-alive",
                                               "origin"};
static const char dictionary_text[] =
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 "
    "Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 "
    "Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service "
    "UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, "
    "Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/"
    "xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-"
    "8charset=iso-8859-1,utf-,*,enq=0.";

static void add_u32(struct buf *out, uint32_t number)
{
    const unsigned char bytes[] = {(unsigned char)(number >> 24), (unsigned char)(number >> 16),
                                   (unsigned char)(number >> 8), (unsigned char)number};
    buf_add(out, bytes, sizeof(bytes));
}

static uint32_t read_u32(const char *bytes)
{
    const unsigned char *b = (const unsigned char *)bytes;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void add_dictionary(struct buf *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(dictionary_words); i++) {
        add_u32(out, (uint32_t)strlen(dictionary_words[i]));
        buf_add_text(out, dictionary_words[i]);
    }
    buf_add_text(out, dictionary_text);
}

typedef int set_dictionary(z_stream *stream, const unsigned char *bytes, unsigned len);

static bool use_dictionary(z_stream *stream, set_dictionary *set)
{
    AUTO(buf) struct buf text;
    buf_init(&text, 4 * KiB);
    add_dictionary(&text);
    return set(stream, (const unsigned char *)buf_text(&text), (unsigned)text.len) == Z_OK;
}

struct spdy *spdy_new(void)
{
    struct spdy *spdy = xcalloc(1, sizeof(*spdy));
    buf_init(&spdy->body, BLOCK_MAX_BYTES);
    buf_init(&spdy->text, BLOCK_MAX_BYTES);
    if (inflateInit(&spdy->inflate) != Z_OK ||
        deflateInit2(&spdy->deflate, Z_DEFAULT_COMPRESSION, Z_DEFLATED, DEFLATE_WINDOW_BITS,
                     DEFLATE_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK ||
        !use_dictionary(&spdy->deflate, deflateSetDictionary))
        base_die("zlib: out of memory");
    return spdy;
}

void spdy_free(struct spdy *spdy)
{
    if (!spdy)
        return;
    (void)inflateEnd(&spdy->inflate);
    (void)deflateEnd(&spdy->deflate);
    buf_done(&spdy->body);
    buf_done(&spdy->text);
    free(spdy->kept);
    free(spdy->fields);
    free(spdy);
}

static struct error *violation(const char *what)
{
    return error_new(ERROR_INVALID_ARGUMENT, "spdy: %s", what);
}

/* zlib takes its input as it was before const. */
static unsigned char *as_input(const char *bytes)
{
    union {
        const char *in;
        unsigned char *out;
    } cast = {.in = bytes};
    return cast.out;
}

/* Inflates @block into spdy->text. */
static struct error *inflate_block(struct spdy *spdy, struct str block)
{
    z_stream *stream = &spdy->inflate;
    unsigned char chunk[INFLATE_CHUNK_BYTES];
    stream->next_in = as_input(block.ptr);
    stream->avail_in = (unsigned)block.len;
    int result;
    do {
        stream->next_out = chunk;
        stream->avail_out = sizeof(chunk);
        result = inflate(stream, Z_SYNC_FLUSH);
        if (result == Z_NEED_DICT)
            result = use_dictionary(stream, inflateSetDictionary) ? Z_OK : Z_DATA_ERROR;
        buf_add(&spdy->text, chunk, sizeof(chunk) - stream->avail_out);
    } while (result == Z_OK && !spdy->text.overflowed &&
             (stream->avail_in > 0 || stream->avail_out == 0));
    if (spdy->text.overflowed)
        return violation("headers are too large");
    /* Z_BUF_ERROR: nothing was left to do. */
    return result == Z_OK || result == Z_BUF_ERROR ? NULL : violation("headers do not inflate");
}

static void deflate_block(struct spdy *spdy, struct str block, struct buf *out)
{
    z_stream *stream = &spdy->deflate;
    unsigned char chunk[INFLATE_CHUNK_BYTES];
    stream->next_in = as_input(block.ptr);
    stream->avail_in = (unsigned)block.len;
    do {
        stream->next_out = chunk;
        stream->avail_out = sizeof(chunk);
        (void)deflate(stream, Z_SYNC_FLUSH); /* without room it has nothing to say */
        buf_add(out, chunk, sizeof(chunk) - stream->avail_out);
    } while (stream->avail_out == 0);
}

/* --- headers --- */

/* Takes a text with its length off the front of @block. */
static bool take_text(struct str *block, struct str *ret)
{
    if (block->len < 4)
        return false;
    uint32_t len = read_u32(block->ptr);
    if (len > block->len - 4)
        return false;
    *ret = (struct str){.ptr = block->ptr + 4, .len = len};
    *block = (struct str){.ptr = block->ptr + 4 + len, .len = block->len - 4 - len};
    return true;
}

static bool is_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        if (c <= ' ' || c >= 0x7f || (c >= 'A' && c <= 'Z'))
            return false;
    }
    return name.len > 0;
}

struct field_list {
    struct http_field *items;
    size_t count;
    char *texts; /* where the next one is written */
};

static const char *keep_text(struct field_list *list, struct str text)
{
    char *kept = list->texts;
    memcpy(kept, text.ptr, text.len);
    kept[text.len] = '\0';
    list->texts += text.len + 1;
    return kept;
}

/* A name with its values, which NULs separate. */
static bool add_field(struct field_list *list, struct str name, struct str values)
{
    if (!is_name(name))
        return false;
    const char *kept = keep_text(list, name);
    struct str rest = values, value;
    if (!rest.ptr)
        rest.ptr = "";
    while (str_split_next(&rest, '\0', &value)) {
        if (list->count == FIELDS_MAX)
            return false;
        list->items[list->count++] =
            (struct http_field){.name = kept, .value = keep_text(list, value)};
    }
    return true;
}

/* Each text has four bytes of length before it and, kept, one behind it: they fit into a block's
 * size. */
static struct error *parse_headers(struct spdy *spdy, struct str compressed,
                                   struct http_fields *ret)
{
    struct error *err = inflate_block(spdy, compressed);
    if (err)
        return err;
    if (!spdy->fields)
        spdy->fields = xcalloc(FIELDS_MAX, sizeof(*spdy->fields));
    struct str block = buf_str(&spdy->text), name, values;
    if (block.len < 4)
        return violation("headers are cut short");
    uint32_t count = read_u32(block.ptr);
    free(spdy->kept);
    spdy->kept = xcalloc(1, block.len);
    struct field_list list = {.items = spdy->fields, .texts = spdy->kept};
    block = (struct str){.ptr = block.ptr + 4, .len = block.len - 4};
    for (uint32_t i = 0; i < count; i++) {
        if (!take_text(&block, &name) || !take_text(&block, &values))
            return violation("headers are cut short");
        if (!add_field(&list, name, values))
            return violation("a header is malformed, or there are too many");
    }
    *ret = (struct http_fields){.items = list.items, .count = list.count};
    return NULL;
}

/* --- frames that come --- */

static bool is_known(unsigned kind)
{
    switch (kind) {
    case SPDY_SYN_STREAM:
    case SPDY_SYN_REPLY:
    case SPDY_RST_STREAM:
    case SPDY_SETTINGS:
    case SPDY_PING:
    case SPDY_GOAWAY:
    case SPDY_HEADERS:
    case SPDY_WINDOW_UPDATE:
        return true;
    default:
        return false;
    }
}

static struct error *begin_payload(struct spdy *spdy)
{
    uint32_t first = read_u32((const char *)spdy->head);
    uint32_t second = read_u32((const char *)spdy->head + 4);
    spdy->is_in_payload = true;
    spdy->flags = second >> 24;
    spdy->left = second & LENGTH_BITS;
    spdy->is_data = !(first & CONTROL_BIT);
    spdy->is_skipped = false;
    if (spdy->is_data) {
        spdy->stream = first & STREAM_BITS;
        return spdy->stream ? NULL : violation("data without a stream");
    }
    if ((first >> 16 & 0x7fff) != VERSION)
        return violation("not version 3");
    spdy->kind = first & 0xffff;
    spdy->is_skipped = !is_known(spdy->kind);
    if (!spdy->is_skipped && spdy->left > BLOCK_MAX_BYTES)
        return violation("a control frame is too large");
    return NULL;
}

static struct str take_bytes(struct str *input, size_t most)
{
    struct str taken = {.ptr = input->ptr, .len = min_size(input->len, most)};
    *input = (struct str){.ptr = input->ptr + taken.len, .len = input->len - taken.len};
    return taken;
}

static void end_frame(struct spdy *spdy)
{
    spdy->head_len = 0;
    spdy->is_in_payload = false;
}

/* How many bytes stand before a frame's headers. */
static size_t bytes_before_headers(unsigned kind)
{
    /* SYN_STREAM: stream, associated stream, priority, slot. */
    return kind == SPDY_SYN_STREAM ? 10 : 4;
}

/* A frame of known size that is a stream and a number, or one of both. */
static bool has_size(const struct spdy *spdy)
{
    switch (spdy->kind) {
    case SPDY_PING:
        return spdy->body.len == 4;
    case SPDY_RST_STREAM:
    case SPDY_GOAWAY:
    case SPDY_WINDOW_UPDATE:
        return spdy->body.len == 8;
    case SPDY_SETTINGS: /* a count, and two numbers each */
        return spdy->body.len >= 4 &&
               spdy->body.len - 4 == (uint64_t)read_u32(buf_text(&spdy->body)) * 8;
    default:
        return spdy->body.len >= bytes_before_headers(spdy->kind);
    }
}

static struct error *control_event(struct spdy *spdy, struct spdy_event *ret)
{
    const char *body = buf_text(&spdy->body);
    struct spdy_event event = {.frame = (enum spdy_frame)spdy->kind};
    struct error *err = NULL;
    if (!has_size(spdy))
        return violation("a control frame has a wrong size");
    switch (event.frame) {
    case SPDY_SYN_STREAM:
    case SPDY_SYN_REPLY:
    case SPDY_HEADERS: {
        struct str block = buf_str(&spdy->body);
        (void)take_bytes(&block, bytes_before_headers(spdy->kind));
        event.stream = read_u32(body) & STREAM_BITS;
        event.is_last = spdy->flags & FIN_FLAG;
        err = event.stream ? parse_headers(spdy, block, &event.fields)
                           : violation("headers without a stream");
        break;
    }
    case SPDY_RST_STREAM:
    case SPDY_WINDOW_UPDATE:
        event.stream = read_u32(body) & STREAM_BITS;
        event.value = read_u32(body + 4);
        break;
    case SPDY_GOAWAY:
        event.value = read_u32(body + 4);
        break;
    case SPDY_PING:
        event.value = read_u32(body);
        break;
    case SPDY_SETTINGS:
    case SPDY_NONE:
    case SPDY_DATA:
        break;
    }
    if (!err)
        *ret = event;
    return err;
}

static void data_event(struct spdy *spdy, struct str bytes, struct spdy_event *ret)
{
    bool is_last = spdy->left == 0 && (spdy->flags & FIN_FLAG);
    if (bytes.len > 0 || is_last)
        *ret = (struct spdy_event){
            .frame = SPDY_DATA, .stream = spdy->stream, .bytes = bytes, .is_last = is_last};
}

static struct error *take_payload(struct spdy *spdy, struct str *input, struct spdy_event *ret)
{
    struct str bytes = take_bytes(input, spdy->left);
    struct error *err = NULL;
    spdy->left -= (uint32_t)bytes.len;
    if (spdy->is_data)
        data_event(spdy, bytes, ret);
    else if (!spdy->is_skipped)
        buf_add_str(&spdy->body, bytes);
    if (spdy->left > 0)
        return NULL;
    if (!spdy->is_data && !spdy->is_skipped)
        err = control_event(spdy, ret);
    buf_done(&spdy->body);
    buf_done(&spdy->text);
    end_frame(spdy);
    return err;
}

static struct error *take_head(struct spdy *spdy, struct str *input)
{
    struct str bytes = take_bytes(input, HEAD_BYTES - spdy->head_len);
    memcpy(spdy->head + spdy->head_len, bytes.ptr, bytes.len);
    spdy->head_len += bytes.len;
    return spdy->head_len == HEAD_BYTES ? begin_payload(spdy) : NULL;
}

struct error *spdy_next(struct spdy *spdy, struct str *input, struct spdy_event *ret)
{
    struct spdy_event event = {.frame = SPDY_NONE};
    struct error *err = spdy->is_dead ? violation("the connection is broken") : NULL;
    /* A frame without a payload ends without further bytes. */
    while (!err && event.frame == SPDY_NONE &&
           (input->len > 0 || (spdy->is_in_payload && spdy->left == 0)))
        err = spdy->is_in_payload ? take_payload(spdy, input, &event) : take_head(spdy, input);
    if (err)
        spdy->is_dead = true;
    else
        *ret = event;
    return err;
}

/* --- frames that go --- */

static void add_head(struct buf *out, enum spdy_frame frame, size_t len)
{
    add_u32(out, CONTROL_BIT | VERSION << 16 | (uint32_t)frame);
    add_u32(out, (uint32_t)len & LENGTH_BITS);
}

static void add_text(struct buf *out, const char *text)
{
    add_u32(out, (uint32_t)strlen(text));
    buf_add_text(out, text);
}

void spdy_add_headers(struct spdy *spdy, struct buf *out, enum spdy_frame frame, uint32_t stream,
                      const struct http_fields *fields)
{
    AUTO(buf) struct buf plain;
    AUTO(buf) struct buf block;
    buf_init(&plain, BLOCK_MAX_BYTES);
    buf_init(&block, 2 * BLOCK_MAX_BYTES);
    add_u32(&plain, (uint32_t)fields->count);
    for (size_t i = 0; i < fields->count; i++) {
        add_text(&plain, fields->items[i].name);
        add_text(&plain, fields->items[i].value);
    }
    deflate_block(spdy, buf_str(&plain), &block);
    bool is_opening = frame == SPDY_SYN_STREAM;
    add_head(out, frame, block.len + (is_opening ? 10 : 4));
    add_u32(out, stream & STREAM_BITS);
    if (is_opening) {
        add_u32(out, 0);
        buf_add(out, "\0\0", 2);
    }
    buf_add_str(out, buf_str(&block));
}

void spdy_add_data(struct buf *out, uint32_t stream, struct str bytes, bool is_last)
{
    ASSERT(bytes.len <= LENGTH_BITS);
    add_u32(out, stream & STREAM_BITS);
    add_u32(out, (is_last ? FIN_FLAG << 24 : 0) | (uint32_t)bytes.len);
    buf_add_str(out, bytes);
}

void spdy_add_control(struct buf *out, enum spdy_frame frame, const uint32_t *numbers, size_t count)
{
    add_head(out, frame, count * 4);
    for (size_t i = 0; i < count; i++)
        add_u32(out, numbers[i]);
}
