#include "pod/go_text.h"

#include <inttypes.h>

/* The letter of a two-character escape of JSON (no \v, \a), or 0. */
static char json_short_escape(uint32_t rune)
{
    switch (rune) {
    case '"':
    case '\\':
        return (char)rune;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

static bool json_needs_escape(uint32_t rune)
{
    return rune < 0x20 || rune == '<' || rune == '>' || rune == '&' || rune == 0x2028 ||
           rune == 0x2029;
}

void go_json_add_string(struct buf *buf, struct str text)
{
    buf_add_char(buf, '"');
    for (size_t at = 0; at < text.len;) {
        size_t start = at;
        uint32_t rune;
        if (!go_next_rune(text, &at, &rune))
            buf_add_text(buf, "\\ufffd");
        else if (json_short_escape(rune))
            buf_printf(buf, "\\%c", json_short_escape(rune));
        else if (json_needs_escape(rune))
            buf_printf(buf, "\\u%04" PRIx32, rune);
        else
            buf_add(buf, text.ptr + start, at - start);
    }
    buf_add_char(buf, '"');
}

/* "key": with a comma before all but the first; *first says whether the object is still empty. */
static void add_key(struct buf *buf, bool *first, const char *key)
{
    buf_printf(buf, "%s\"%s\":", *first ? "" : ",", key);
    *first = false;
}

static void add_text(struct buf *buf, bool *first, const char *key, const char *value)
{
    if (!value || !*value)
        return;
    add_key(buf, first, key);
    go_json_add_string(buf, str_from(value));
}

static void add_int(struct buf *buf, bool *first, const char *key, int64_t value)
{
    add_key(buf, first, key);
    buf_printf(buf, "%" PRId64, value);
}

/* An IntOrString is never left out: its zero value prints as 0. */
static void add_int_or_string(struct buf *buf, bool *first, const char *key,
                              const Meta__IntOrString *value)
{
    add_key(buf, first, key);
    if (value && value->type == 1) /* String */
        go_json_add_string(buf, str_from(value->str_val ? value->str_val : ""));
    else
        buf_printf(buf, "%" PRId32, value ? value->int_val : 0);
}

static void add_exec(struct buf *buf, const Core__ExecAction *exec)
{
    if (exec->n_command == 0) {
        buf_add_text(buf, "{}");
        return;
    }
    buf_add_text(buf, "{\"command\":[");
    for (size_t i = 0; i < exec->n_command; i++) {
        if (i > 0)
            buf_add_char(buf, ',');
        go_json_add_string(buf, str_from(exec->command[i]));
    }
    buf_add_text(buf, "]}");
}

static void add_header(struct buf *buf, const Core__HTTPHeader *header)
{
    buf_add_text(buf, "{\"name\":");
    go_json_add_string(buf, str_from(header->name ? header->name : ""));
    buf_add_text(buf, ",\"value\":");
    go_json_add_string(buf, str_from(header->value ? header->value : ""));
    buf_add_char(buf, '}');
}

static void add_http_get(struct buf *buf, const Core__HTTPGetAction *get)
{
    bool first = true;
    buf_add_char(buf, '{');
    add_text(buf, &first, "path", get->path);
    add_int_or_string(buf, &first, "port", get->port);
    add_text(buf, &first, "host", get->host);
    add_text(buf, &first, "scheme", get->scheme);
    if (get->n_http_headers > 0) {
        add_key(buf, &first, "httpHeaders");
        for (size_t i = 0; i < get->n_http_headers; i++) {
            buf_add_char(buf, i == 0 ? '[' : ',');
            add_header(buf, get->http_headers[i]);
        }
        buf_add_char(buf, ']');
    }
    buf_add_char(buf, '}');
}

static void add_tcp_socket(struct buf *buf, const Core__TCPSocketAction *socket)
{
    bool first = true;
    buf_add_char(buf, '{');
    add_int_or_string(buf, &first, "port", socket->port);
    add_text(buf, &first, "host", socket->host);
    buf_add_char(buf, '}');
}

void go_json_add_handler(struct buf *buf, const Core__LifecycleHandler *handler)
{
    bool first = true;
    buf_add_char(buf, '{');
    if (handler->exec) {
        add_key(buf, &first, "exec");
        add_exec(buf, handler->exec);
    }
    if (handler->http_get) {
        add_key(buf, &first, "httpGet");
        add_http_get(buf, handler->http_get);
    }
    if (handler->tcp_socket) {
        add_key(buf, &first, "tcpSocket");
        add_tcp_socket(buf, handler->tcp_socket);
    }
    if (handler->sleep) {
        add_key(buf, &first, "sleep");
        buf_printf(buf, "{\"seconds\":%" PRId64 "}", handler->sleep->seconds);
    }
    buf_add_char(buf, '}');
}

void go_json_add_ports(struct buf *buf, Core__ContainerPort *const *ports, size_t count)
{
    buf_add_char(buf, '[');
    for (size_t i = 0; i < count; i++) {
        const Core__ContainerPort *port = ports[i];
        bool first = true;
        buf_add_text(buf, i == 0 ? "{" : ",{");
        add_text(buf, &first, "name", port->name);
        if (port->host_port != 0)
            add_int(buf, &first, "hostPort", port->host_port);
        add_int(buf, &first, "containerPort", port->container_port);
        add_text(buf, &first, "protocol", port->protocol);
        add_text(buf, &first, "hostIP", port->host_ip);
        buf_add_char(buf, '}');
    }
    buf_add_char(buf, ']');
}
