#include "server/streaming_request.h"

#include "pod/go_text.h"
#include "wire/websocket.h"

#define PORT_PARAM "port"
#define FORWARDED_FOR "x-forwarded-for"

/* --- the query --- */

static bool is_on(const struct http_target *target, const char *name)
{
    return text_eq(http_target_param(target, name), "1");
}

struct error *streaming_parse_switches(const struct http_target *target,
                                       struct streaming_switches *ret)
{
    struct streaming_switches switches = {.input = is_on(target, "input"),
                                          .output = is_on(target, "output"),
                                          .error = is_on(target, "error"),
                                          .tty = is_on(target, "tty")};
    if (switches.tty)
        switches.error = false;
    if (!switches.input && !switches.output && !switches.error)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "you must specify at least 1 of stdin, stdout, stderr");
    *ret = switches;
    return NULL;
}

static bool is_number(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    }
    return text.len > 0;
}

/* @param: the whole parameter, which is what the message names. */
static struct error *parse_port(struct str text, const char *param, struct arena *arena,
                                int32_t *ret)
{
    int64_t port = 0;
    bool is_decimal = is_number(text);
    const char *digits = arena_strndup(arena, text.ptr, text.len);
    if (!is_decimal || !parse_i64(digits, 0, UINT16_MAX, &port))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "unable to parse %s as a port: strconv.ParseUint: parsing %s: %s",
                         go_quote(arena, param), go_quote(arena, digits),
                         is_decimal ? "value out of range" : "invalid syntax");
    if (port == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "port %s must be > 0", go_quote(arena, param));
    *ret = (int32_t)port;
    return NULL;
}

static size_t count_ports(const struct http_target *target)
{
    size_t count = 0;
    for (size_t i = 0; i < target->param_count; i++) {
        if (strcmp(target->params[i].name, PORT_PARAM) != 0)
            continue;
        count++;
        for (const char *c = target->params[i].value; *c; c++)
            count += *c == ',';
    }
    return count;
}

static struct error *parse_port_list(const char *param, struct arena *arena,
                                     struct streaming_ports *ports)
{
    struct str rest = str_from(param), piece;
    if (rest.len == 0)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "query parameter \"" PORT_PARAM "\" cannot be empty");
    struct error *err = NULL;
    while (!err && str_split_next(&rest, ',', &piece))
        err = parse_port(piece, param, arena, &ports->items[ports->count++]);
    return err;
}

struct error *streaming_parse_ports(const struct http_target *target, struct arena *arena,
                                    struct streaming_ports *ret)
{
    size_t most = count_ports(target);
    if (most == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "query parameter \"" PORT_PARAM "\" is required");
    struct streaming_ports ports = {.items = arena_calloc(arena, most, sizeof(*ports.items))};
    struct error *err = NULL;
    for (size_t i = 0; i < target->param_count && !err; i++) {
        if (strcmp(target->params[i].name, PORT_PARAM) == 0)
            err = parse_port_list(target->params[i].value, arena, &ports);
    }
    if (!err)
        *ret = ports;
    return err;
}

void streaming_parse_command(const struct http_target *target, struct arena *arena,
                             struct streaming_command *ret)
{
    *ret = (struct streaming_command){
        .words = arena_calloc(arena, target->param_count + 1, sizeof(*ret->words))};
    for (size_t i = 0; i < target->param_count; i++) {
        if (strcmp(target->params[i].name, "command") == 0)
            ret->words[ret->count++] = target->params[i].value;
    }
}

void streaming_split_command(const char *cmd, struct arena *arena, struct streaming_command *ret)
{
    size_t most = 1;
    for (const char *c = cmd; *c; c++)
        most += *c == ' ';
    *ret = (struct streaming_command){.words = arena_calloc(arena, most, sizeof(*ret->words))};
    struct str rest = str_from(cmd), word;
    while (str_split_next(&rest, ' ', &word))
        ret->words[ret->count++] = arena_strndup(arena, word.ptr, word.len);
}

/* --- protocols --- */

/* Takes the next protocol off the front of what @fields offer; *at starts as {0}. */
struct offer_place {
    size_t field;
    struct str rest;
};

static bool next_offer(const struct http_fields *fields, struct offer_place *at, struct str *ret)
{
    while (!str_split_next(&at->rest, ',', ret)) {
        while (at->field < fields->count &&
               strcmp(fields->items[at->field].name, "sec-websocket-protocol") != 0)
            at->field++;
        if (at->field == fields->count)
            return false;
        at->rest = str_from(fields->items[at->field++].value);
    }
    *ret = str_trim(*ret);
    return true;
}

enum streaming_manner streaming_manner_of(const struct http_fields *fields, bool is_port_forward)
{
    struct offer_place at = {0};
    struct str offer;
    if (!websocket_is_asked_for(fields))
        return STREAMING_PASSED_ON;
    while (next_offer(fields, &at, &offer)) {
        if (is_port_forward && str_has_prefix(offer, STREAMING_TUNNEL_PREFIX))
            return STREAMING_TUNNEL;
        if (!is_port_forward && str_eq_c(offer, CHANNELS_PROTOCOL))
            return STREAMING_CHANNELS;
    }
    return STREAMING_PASSED_ON;
}

void streaming_tunnel_protocols(const struct http_fields *fields, struct arena *arena,
                                struct streaming_protocols *ret)
{
    const size_t prefix_len = sizeof(STREAMING_TUNNEL_PREFIX) - 1;
    struct offer_place at = {0};
    struct str offer;
    size_t most = 0;
    while (next_offer(fields, &at, &offer))
        most++;
    *ret =
        (struct streaming_protocols){.names = arena_calloc(arena, most + 1, sizeof(*ret->names))};
    at = (struct offer_place){0};
    while (next_offer(fields, &at, &offer)) {
        if (str_has_prefix(offer, STREAMING_TUNNEL_PREFIX) && offer.len > prefix_len)
            ret->names[ret->count++] =
                arena_strndup(arena, offer.ptr + prefix_len, offer.len - prefix_len);
    }
}

/* --- the runtime's URL --- */

static struct error *bad_url(const char *url, const char *problem)
{
    return error_new(ERROR_INTERNAL, "the runtime's streaming URL \"%s\" %s", url, problem);
}

/* "host", "host:80", "[::1]:80". False when it is none. */
static bool parse_authority(const char *text, struct arena *arena, struct streaming_url *url)
{
    int64_t port = url->is_tls ? 443 : 80;
    const char *host = text, *end = text + strcspn(text, ":");
    if (text[0] == '[') {
        host++;
        end = strchr(text, ']');
        if (!end)
            return false;
    }
    const char *behind = end + (text[0] == '[');
    url->host = arena_strndup(arena, host, (size_t)(end - host));
    url->authority = text;
    if (*behind == ':' && !parse_i64(behind + 1, 1, UINT16_MAX, &port))
        return false;
    url->port = (uint16_t)port;
    return *url->host != '\0' && (*behind == ':' || *behind == '\0');
}

/* What would end a line of the request, or stand for credentials. */
static bool has_odd_bytes(const char *url)
{
    for (const char *c = url; *c; c++) {
        if (*c <= ' ' || *c >= 0x7f || *c == '@' || *c == '\\')
            return true;
    }
    return false;
}

struct error *streaming_url_parse(const char *url, struct arena *arena, struct streaming_url *ret)
{
    if (*url == '\0')
        return error_new(ERROR_INTERNAL, "URL is not set");
    if (has_odd_bytes(url))
        return bad_url(url, "is malformed");
    const char *rest = strstr(url, "://");
    struct str scheme = {.ptr = url, .len = rest ? (size_t)(rest - url) : 0};
    rest = rest ? rest + 3 : url;
    struct streaming_url parsed = {.is_tls = str_eq_c(scheme, "https")};
    if (scheme.len > 0 && !parsed.is_tls && !str_eq_c(scheme, "http"))
        return bad_url(url, "is neither http nor https");
    size_t len = strcspn(rest, "/?#");
    if (len == 0)
        return bad_url(url, "has no host");
    if (!parse_authority(arena_strndup(arena, rest, len), arena, &parsed))
        return bad_url(url, "is malformed");
    const char *path = rest + len;
    size_t path_len = strcspn(path, "#");
    parsed.target = arena_printf(arena, "%s%.*s", path[0] == '/' ? "" : "/", (int)path_len, path);
    *ret = parsed;
    return NULL;
}

/* --- requests of the runtime --- */

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static void write_field(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "%s: %s\r\n", name, value);
}

/* "10.0.0.1:4711" without the port, "[::1]:80" without brackets. */
static struct str host_of(const char *remote_address)
{
    const char *colon = strrchr(remote_address, ':');
    if (!colon)
        return (struct str){0}; /* a unix socket */
    struct str host = {.ptr = remote_address, .len = (size_t)(colon - remote_address)};
    if (host.len >= 2 && host.ptr[0] == '[')
        host = (struct str){.ptr = host.ptr + 1, .len = host.len - 2};
    return host;
}

/* Whoever has passed the request on before stands first. */
static void write_origin(struct buf *out, const struct http_fields *fields,
                         const char *remote_address)
{
    struct str host = host_of(remote_address);
    const char *separator = "";
    if (host.len == 0 && !http_fields_get(fields, FORWARDED_FOR))
        return;
    buf_add_text(out, FORWARDED_FOR ": ");
    for (size_t i = 0; i < fields->count; i++) {
        if (strcmp(fields->items[i].name, FORWARDED_FOR) != 0)
            continue;
        buf_printf(out, "%s%s", separator, fields->items[i].value);
        separator = ", ";
    }
    if (host.len > 0)
        buf_printf(out, "%s%.*s", separator, STR_ARG(host));
    buf_add_text(out, "\r\n");
}

static void write_start(struct buf *out, const char *method, const struct http_fields *fields,
                        const struct streaming_url *url)
{
    const char *host = http_fields_get(fields, "host");
    buf_printf(out, "%s %s HTTP/1.1\r\n", method, url->target);
    write_field(out, "host", host ? host : url->authority);
}

void streaming_write_passed_head(struct buf *out, const char *method,
                                 const struct http_fields *fields, const struct streaming_url *url,
                                 const char *remote_address)
{
    static const char *const ours[] = {"host", "content-length", "transfer-encoding",
                                       FORWARDED_FOR};
    write_start(out, method, fields, url);
    for (size_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->items[i];
        if (!is_one_of(field->name, ours, ARRAY_SIZE(ours)))
            write_field(out, field->name, field->value);
    }
    write_origin(out, fields, remote_address);
    buf_add_text(out, "\r\n");
}

void streaming_write_tunnel_head(struct buf *out, const struct http_fields *fields,
                                 const struct streaming_protocols *protocols,
                                 const struct streaming_url *url, const char *remote_address)
{
    static const char *const ours[] = {"host",       "content-length", "transfer-encoding",
                                       "connection", "upgrade",        "x-stream-protocol-version",
                                       FORWARDED_FOR};
    write_start(out, "POST", fields, url);
    for (size_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->items[i];
        if (!is_one_of(field->name, ours, ARRAY_SIZE(ours)) &&
            !text_has_prefix(field->name, "sec-websocket-"))
            write_field(out, field->name, field->value);
    }
    write_field(out, "connection", "Upgrade");
    write_field(out, "upgrade", "SPDY/3.1");
    for (size_t i = 0; i < protocols->count; i++)
        write_field(out, "x-stream-protocol-version", protocols->names[i]);
    write_origin(out, fields, remote_address);
    buf_add_text(out, "\r\n");
}

void streaming_write_command_head(struct buf *out, const struct streaming_url *url)
{
    static const char *const protocols[] = {CHANNELS_PROTOCOL, "v4.channel.k8s.io",
                                            "v3.channel.k8s.io", "v2.channel.k8s.io",
                                            "channel.k8s.io"};
    static const struct http_fields none = {0};
    write_start(out, "POST", &none, url);
    write_field(out, "connection", "Upgrade");
    write_field(out, "upgrade", "SPDY/3.1");
    for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
        write_field(out, "x-stream-protocol-version", protocols[i]);
    buf_add_text(out, "\r\n");
}
