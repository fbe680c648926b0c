/*
 *     head ──► payload ──► head …
 *
 * A frame's head is gathered until it is whole; a payload is handed out as it comes, but that of a
 * control frame, which may stand between the frames of a message, is gathered too.
 */
#include "wire/websocket.h"

#include <openssl/evp.h>
#include <strings.h>

#define KEY_BYTES 16
#define KEY_TEXT_LEN 24 /* of as many bytes in base64 */
#define VERSION "13"
#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 §1.3 */
#define SHA1_BYTES 20
#define ACCEPT_SIZE 29

#define FIN_BIT 0x80U
#define RESERVED_BITS 0x70U
#define OPCODE_BITS 0x0fU
#define MASK_BIT 0x80U
#define LENGTH_BITS 0x7fU
#define LENGTH_16 126U
#define LENGTH_64 127U
#define MASK_BYTES 4U

/* --- the handshake --- */

static bool is_key(const char *text)
{
    unsigned char bytes[KEY_TEXT_LEN];
    if (!text || strlen(text) != KEY_TEXT_LEN || strcmp(text + KEY_TEXT_LEN - 2, "==") != 0 ||
        text[KEY_TEXT_LEN - 3] == '=')
        return false;
    return EVP_DecodeBlock(bytes, (const unsigned char *)text, KEY_TEXT_LEN) == KEY_BYTES + 2;
}

bool websocket_is_asked_for(const struct http_fields *fields)
{
    const char *upgrade = http_fields_get(fields, "upgrade");
    return upgrade && strcasecmp(upgrade, "websocket") == 0 &&
           http_fields_has_token(fields, "connection", "upgrade");
}

struct error *websocket_check_request(const struct http_fields *fields, const char **ret_key)
{
    const char *version = http_fields_get(fields, "sec-websocket-version");
    const char *key = http_fields_get(fields, "sec-websocket-key");
    if (!text_eq(version, VERSION))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "missing or bad WebSocket version: only " VERSION " is spoken");
    if (!is_key(key))
        return error_new(ERROR_INVALID_ARGUMENT, "missing or bad Sec-WebSocket-Key");
    *ret_key = key;
    return NULL;
}

static void write_accept(const char *key, char ret[static ACCEPT_SIZE])
{
    char text[KEY_TEXT_LEN + sizeof(GUID)];
    unsigned char digest[EVP_MAX_MD_SIZE];
    memcpy(text, key, KEY_TEXT_LEN);
    memcpy(text + KEY_TEXT_LEN, GUID, sizeof(GUID));
    if (EVP_Digest(text, sizeof(text) - 1, digest, NULL, EVP_sha1(), NULL) != 1)
        base_die("openssl: no SHA-1");
    (void)EVP_EncodeBlock((unsigned char *)ret, digest, SHA1_BYTES);
}

void websocket_add_agreement(struct buf *out, const char *key, const char *protocol)
{
    char accept[ACCEPT_SIZE];
    write_accept(key, accept);
    buf_printf(out,
               "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Accept: %s\r\n",
               accept);
    if (protocol)
        buf_printf(out, "Sec-WebSocket-Protocol: %s\r\n", protocol);
    buf_add_text(out, "\r\n");
}

/* --- heads --- */

static struct error *violation(const char *what)
{
    return error_new(ERROR_INVALID_ARGUMENT, "websocket: %s", what);
}

static bool is_control(unsigned opcode)
{
    return opcode >= WEBSOCKET_CLOSE;
}

/* How long the head is, as far as its first two bytes tell; 2 before those are there. */
static size_t head_size(const struct websocket_parser *parser)
{
    if (parser->head_len < 2)
        return 2;
    unsigned length = parser->head[1] & LENGTH_BITS;
    size_t extra = length == LENGTH_16 ? 2 : length == LENGTH_64 ? 8 : 0;
    return 2 + extra + (parser->head[1] & MASK_BIT ? MASK_BYTES : 0);
}

static uint64_t read_number(const unsigned char *bytes, size_t count)
{
    uint64_t number = 0;
    for (size_t i = 0; i < count; i++)
        number = number << 8 | bytes[i];
    return number;
}

static uint64_t payload_length(const struct websocket_parser *parser)
{
    unsigned length = parser->head[1] & LENGTH_BITS;
    if (length == LENGTH_16)
        return read_number(parser->head + 2, 2);
    return length == LENGTH_64 ? read_number(parser->head + 2, 8) : length;
}

/* The first two bytes, which say it all but the length. */
static struct error *check_start(const struct websocket_parser *parser)
{
    unsigned first = parser->head[0], opcode = first & OPCODE_BITS;
    if (first & RESERVED_BITS)
        return violation("a reserved bit is set");
    if ((opcode > WEBSOCKET_BINARY && opcode < WEBSOCKET_CLOSE) || opcode > WEBSOCKET_PONG)
        return violation("an unknown kind of frame");
    bool is_masked = parser->head[1] & MASK_BIT;
    if (is_masked == parser->is_client)
        return violation(is_masked ? "a server must not mask its frames"
                                   : "a client must mask its frames");
    if (is_control(opcode) &&
        (!(first & FIN_BIT) || (parser->head[1] & LENGTH_BITS) > WEBSOCKET_CONTROL_MAX_BYTES))
        return violation("a control frame is in pieces or too long");
    if (opcode == WEBSOCKET_CONTINUATION && !parser->is_in_message)
        return violation("a continuation of nothing");
    if ((opcode == WEBSOCKET_TEXT || opcode == WEBSOCKET_BINARY) && parser->is_in_message)
        return violation("a message within a message");
    return NULL;
}

static struct error *begin_payload(struct websocket_parser *parser)
{
    uint64_t length = payload_length(parser);
    if (length > INT64_MAX)
        return violation("a frame is too long");
    parser->opcode = parser->head[0] & OPCODE_BITS;
    parser->left = length;
    parser->mask_at = 0;
    parser->is_in_payload = true;
    if (is_control(parser->opcode)) {
        parser->control_len = 0;
        return NULL;
    }
    parser->is_last_frame = parser->head[0] & FIN_BIT;
    if (parser->opcode != WEBSOCKET_CONTINUATION) {
        parser->is_in_message = true;
        parser->has_begun = false;
        parser->is_text = parser->opcode == WEBSOCKET_TEXT;
    }
    return NULL;
}

/* Gathers a head. A wrong one is refused as soon as it can be known. */
static struct error *take_head(struct websocket_parser *parser, struct websocket_input *input)
{
    while (parser->head_len < head_size(parser) && input->len > 0) {
        parser->head[parser->head_len++] = (unsigned char)*input->ptr;
        input->ptr++;
        input->len--;
        if (parser->head_len == 2) {
            struct error *err = check_start(parser);
            if (err)
                return err;
        }
    }
    return parser->head_len == head_size(parser) ? begin_payload(parser) : NULL;
}

/* --- payloads --- */

static void unmask(struct websocket_parser *parser, char *bytes, size_t len)
{
    const unsigned char *mask = parser->head + parser->head_len - MASK_BYTES;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)((unsigned char)bytes[i] ^ mask[(parser->mask_at + i) % MASK_BYTES]);
    parser->mask_at = (unsigned)((parser->mask_at + len) % MASK_BYTES);
}

/* Takes what has come of the payload, unmasked. */
static struct str take_payload(struct websocket_parser *parser, struct websocket_input *input)
{
    size_t len = input->len < parser->left ? input->len : (size_t)parser->left;
    char *bytes = input->ptr;
    if (!parser->is_client)
        unmask(parser, bytes, len);
    parser->left -= len;
    input->ptr += len;
    input->len -= len;
    return (struct str){.ptr = bytes, .len = len};
}

static void end_frame(struct websocket_parser *parser)
{
    parser->head_len = 0;
    parser->is_in_payload = false;
}

static bool is_status(uint64_t status)
{
    return (status >= 1000 && status <= 1011 && status != 1004 && status != 1005 &&
            status != 1006) ||
           (status >= 3000 && status < 5000) || (status > 1011 && status < 1015);
}

static struct error *close_event(struct websocket_parser *parser, struct websocket_event *ret)
{
    uint64_t status = 0;
    if (parser->control_len == 1)
        return violation("a close with half a status");
    if (parser->control_len >= 2) {
        status = read_number((const unsigned char *)parser->control, 2);
        if (!is_status(status))
            return violation("a close with an impossible status");
    }
    parser->is_closed = true;
    *ret = (struct websocket_event){.kind = WEBSOCKET_EVENT_CLOSE, .status = (unsigned)status};
    return NULL;
}

static struct error *take_control(struct websocket_parser *parser, struct str bytes,
                                  struct websocket_event *ret)
{
    memcpy(parser->control + parser->control_len, bytes.ptr, bytes.len);
    parser->control_len += bytes.len;
    if (parser->left > 0)
        return NULL;
    end_frame(parser);
    if (parser->opcode == WEBSOCKET_CLOSE)
        return close_event(parser, ret);
    *ret = (struct websocket_event){.kind = parser->opcode == WEBSOCKET_PING ? WEBSOCKET_EVENT_PING
                                                                             : WEBSOCKET_EVENT_PONG,
                                    .bytes = {.ptr = parser->control, .len = parser->control_len}};
    return NULL;
}

static void take_piece(struct websocket_parser *parser, struct str bytes,
                       struct websocket_event *ret)
{
    bool is_frame_end = parser->left == 0;
    bool is_last = is_frame_end && parser->is_last_frame;
    if (is_frame_end)
        end_frame(parser);
    if (bytes.len == 0 && !is_last)
        return;
    *ret = (struct websocket_event){.kind = WEBSOCKET_EVENT_PIECE,
                                    .bytes = bytes,
                                    .is_first = !parser->has_begun,
                                    .is_last = is_last,
                                    .is_text = parser->is_text};
    parser->has_begun = true;
    if (is_last)
        parser->is_in_message = false;
}

struct error *websocket_next(struct websocket_parser *parser, struct websocket_input *input,
                             struct websocket_event *ret)
{
    struct websocket_event event = {.kind = WEBSOCKET_EVENT_NONE};
    struct error *err = NULL;
    /* An empty frame is worth a turn with no bytes at all. */
    while (!err && event.kind == WEBSOCKET_EVENT_NONE && !parser->is_closed &&
           (input->len > 0 || (parser->is_in_payload && parser->left == 0))) {
        if (!parser->is_in_payload) {
            err = take_head(parser, input);
            continue;
        }
        struct str bytes = take_payload(parser, input);
        if (is_control(parser->opcode))
            err = take_control(parser, bytes, &event);
        else
            take_piece(parser, bytes, &event);
    }
    if (parser->is_closed) /* what follows a close does not count */
        *input = (struct websocket_input){.ptr = input->ptr + input->len};
    if (!err)
        *ret = event;
    return err;
}

/* --- sending --- */

static void add_head(struct buf *out, enum websocket_opcode opcode, size_t len, unsigned mask_bit)
{
    unsigned char head[WEBSOCKET_HEAD_MAX_BYTES] = {(unsigned char)(FIN_BIT | (unsigned)opcode)};
    size_t size = len < LENGTH_16 ? 0 : len <= UINT16_MAX ? 2 : 8;
    head[1] = (unsigned char)(mask_bit | (size == 0   ? (unsigned)len
                                          : size == 2 ? LENGTH_16
                                                      : LENGTH_64));
    for (size_t i = 0; i < size; i++)
        head[2 + i] = (unsigned char)((uint64_t)len >> (8 * (size - 1 - i)));
    buf_add(out, head, 2 + size + (mask_bit ? MASK_BYTES : 0));
}

void websocket_add_head(struct buf *out, enum websocket_opcode opcode, size_t len)
{
    add_head(out, opcode, len, 0);
}

void websocket_add_client_head(struct buf *out, enum websocket_opcode opcode, size_t len)
{
    add_head(out, opcode, len, MASK_BIT);
}

void websocket_add_frame(struct buf *out, enum websocket_opcode opcode, struct str bytes)
{
    websocket_add_head(out, opcode, bytes.len);
    buf_add_str(out, bytes);
}

void websocket_add_close(struct buf *out, enum websocket_status status)
{
    const unsigned char bytes[] = {(unsigned char)((unsigned)status >> 8),
                                   (unsigned char)((unsigned)status & 0xff)};
    websocket_add_frame(out, WEBSOCKET_CLOSE,
                        (struct str){.ptr = (const char *)bytes, .len = sizeof(bytes)});
}
