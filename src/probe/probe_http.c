/* The pure parts of an HTTP probe: request text, reply head, redirects. */
#include "probe/probe_net.h"

#include <strings.h>

/* pkg/probe/http/request.go; the version of the release whose behaviour is offered */
#define USER_AGENT "kube-probe/1.36"

static const char *header_value(const Core__HTTPGetAction *http, const char *name)
{
    for (size_t i = 0; i < http->n_http_headers; i++) {
        if (http->http_headers[i]->name && strcasecmp(http->http_headers[i]->name, name) == 0)
            return http->http_headers[i]->value ? http->http_headers[i]->value : "";
    }
    return NULL;
}

void probe_http_request(const Core__HTTPGetAction *http, const char *host, int32_t port,
                        const char *path, struct buf *out)
{
    bool v6 = strchr(host, ':');
    const char *host_header = header_value(http, "Host");
    const char *accept = header_value(http, "Accept");
    buf_printf(out, "GET %s%s HTTP/1.1\r\n", path[0] == '/' ? "" : "/", path);
    if (host_header)
        buf_printf(out, "Host: %s\r\n", host_header);
    else
        buf_printf(out, "Host: %s%s%s:%d\r\n", v6 ? "[" : "", host, v6 ? "]" : "", port);
    if (!header_value(http, "User-Agent"))
        buf_add_text(out, "User-Agent: " USER_AGENT "\r\n");
    if (!accept)
        buf_add_text(out, "Accept: */*\r\n");
    for (size_t i = 0; i < http->n_http_headers; i++) {
        const char *name = http->http_headers[i]->name, *value = http->http_headers[i]->value;
        bool is_host = strcasecmp(name, "Host") == 0;
        bool empty_accept = strcasecmp(name, "Accept") == 0 && (!value || value[0] == '\0');
        if (!is_host && !empty_accept)
            buf_printf(out, "%s: %s\r\n", name, value ? value : "");
    }
    buf_add_text(out, "Connection: close\r\n\r\n");
}

static bool find_head_end(struct str text, size_t *ret)
{
    const char *end = text.len > 3 ? memmem(text.ptr, text.len, "\r\n\r\n", 4) : NULL;
    if (end)
        *ret = (size_t)(end - text.ptr);
    return end;
}

struct probe_http_reply probe_http_parse(struct str text)
{
    struct probe_http_reply reply = {0};
    size_t head;
    if (!find_head_end(text, &head)) {
        reply.malformed = text.len >= 5 && memcmp(text.ptr, "HTTP/", 5) != 0;
        return reply;
    }
    struct str rest = {.ptr = text.ptr, .len = head}, line, version, code;
    if (!str_split_next(&rest, '\n', &line) || !str_split_next(&line, ' ', &version) ||
        !str_has_prefix(version, "HTTP/1.") || !str_split_next(&line, ' ', &code)) {
        reply.malformed = true;
        return reply;
    }
    AUTO(free) char *number = str_dup(str_trim(code));
    int64_t status;
    if (!parse_i64(number, 100, 999, &status)) {
        reply.malformed = true;
        return reply;
    }
    reply.status = (int)status;
    while (str_split_next(&rest, '\n', &line)) {
        size_t colon = str_find(line, ':');
        if (colon == 8 && strncasecmp(line.ptr, "Location", colon) == 0)
            reply.location = str_trim((struct str){.ptr = line.ptr + 9, .len = line.len - 9});
    }
    return reply;
}

bool probe_http_redirect(struct str location, const char *host, int32_t *port, char **ret_path)
{
    if (location.len == 0)
        return false;
    if (location.ptr[0] == '/' && !(location.len > 1 && location.ptr[1] == '/')) {
        *ret_path = str_dup(location);
        return true;
    }
    if (!str_has_prefix(location, "http://"))
        return false;
    struct str rest = {.ptr = location.ptr + 7, .len = location.len - 7};
    size_t slash = str_find(rest, '/');
    struct str authority = {.ptr = rest.ptr, .len = slash};
    bool v6 = authority.len > 0 && authority.ptr[0] == '[';
    size_t host_end = v6 ? str_find(authority, ']') : str_find(authority, ':');
    struct str name = {.ptr = authority.ptr + (v6 ? 1 : 0),
                       .len = host_end - (v6 && host_end > 0 ? 1 : 0)};
    if (!str_eq_c(name, host))
        return false;
    size_t port_at = host_end + (v6 ? 1 : 0);
    int64_t number = 80;
    if (port_at < authority.len) {
        AUTO(free)
        char *text = str_dup(
            (struct str){.ptr = authority.ptr + port_at + 1, .len = authority.len - port_at - 1});
        if (!parse_i64(text, 1, UINT16_MAX, &number))
            return false;
    }
    *port = (int32_t)number;
    *ret_path = slash < rest.len
                    ? str_dup((struct str){.ptr = rest.ptr + slash, .len = rest.len - slash})
                    : xstrdup("/");
    return true;
}
