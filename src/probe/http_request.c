/* pkg/probe/http/request.go and net/http's request.go. */
#include "probe/http_request.h"

#include "base/go_quote.h"
#include "wire/http.h"

static bool is_name(const char *name)
{
    for (const char *c = name; *c != '\0'; c++) {
        if (!http_is_token_char(*c))
            return false;
    }
    return name[0] != '\0';
}

static bool is_value(const char *value)
{
    for (const char *c = value; *c != '\0'; c++) {
        if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
            return false;
    }
    return true;
}

/* "x-own" becomes "X-Own". */
static const char *canonical(const char *name, struct arena *arena)
{
    char *result = arena_strdup(arena, name);
    bool is_first = true;
    for (char *c = result; *c != '\0'; c++) {
        if (is_first && *c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
        else if (!is_first && *c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
        is_first = *c == '-';
    }
    return result;
}

static const char *first_value(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->count; i++) {
        if (strcmp(request->fields[i].name, name) == 0)
            return request->fields[i].value;
    }
    return NULL;
}

bool http_request_has(const struct http_request *request, const char *name)
{
    return first_value(request, name) != NULL;
}

void http_request_drop(struct http_request *request, const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < request->count; i++) {
        if (strcmp(request->fields[i].name, name) != 0)
            request->fields[kept++] = request->fields[i];
    }
    request->count = kept;
}

/* Keeps the order by name; equal names stay as they came. */
static void insert(struct http_request *request, const char *name, const char *value)
{
    size_t at = request->count++;
    for (; at > 0 && strcmp(request->fields[at - 1].name, name) > 0; at--)
        request->fields[at] = request->fields[at - 1];
    request->fields[at] = (struct http_request_field){.name = name, .value = value};
}

struct error *http_request_of(Core__HTTPHeader *const *headers, size_t n_headers,
                              const char *user_agent, struct arena *arena, struct http_request *ret)
{
    struct http_request request = {.fields =
                                       arena_calloc(arena, n_headers + 1, sizeof(*request.fields))};
    for (size_t i = 0; i < n_headers; i++) {
        const char *name = headers[i]->name ? headers[i]->name : "";
        const char *value = headers[i]->value ? headers[i]->value : "";
        if (!is_name(name))
            return error_new(ERROR_INVALID_ARGUMENT, "net/http: invalid header field name %s",
                             go_quote(arena, name));
        name = canonical(name, arena);
        if (!is_value(value))
            return error_new(ERROR_INVALID_ARGUMENT, "net/http: invalid header field value for %s",
                             go_quote(arena, name));
        AUTO(free) char *trimmed = str_dup(str_trim(str_from(value)));
        insert(&request, name, arena_strdup(arena, trimmed));
    }
    const char *accept = first_value(&request, "Accept");
    if (!accept)
        insert(&request, "Accept", "*/*");
    else if (accept[0] == '\0')
        http_request_drop(&request, "Accept");
    const char *host = first_value(&request, "Host");
    const char *agent = first_value(&request, "User-Agent");
    request.host = host && host[0] != '\0' ? host : NULL;
    request.user_agent = agent ? agent : user_agent;
    if (request.user_agent[0] == '\0')
        request.user_agent = NULL;
    /* Told otherwise, or not the caller's to tell (net/http: reqWriteExcludeHeader). */
    static const char *const excluded[] = {"Host", "User-Agent", "Content-Length",
                                           "Transfer-Encoding", "Trailer"};
    for (size_t i = 0; i < ARRAY_SIZE(excluded); i++)
        http_request_drop(&request, excluded[i]);
    *ret = request;
    return NULL;
}

void http_request_format(const struct http_request *request, const struct http_url *url,
                         const char *referer, struct arena *arena, struct buf *out)
{
    buf_printf(out, "GET %s HTTP/1.1\r\nHost: %s\r\n", http_url_target(url, arena),
               request->host ? request->host : url->host);
    if (request->user_agent)
        buf_printf(out, "User-Agent: %s\r\n", request->user_agent);
    for (size_t i = 0; i < request->count; i++)
        buf_printf(out, "%s: %s\r\n", request->fields[i].name, request->fields[i].value);
    if (referer && !http_request_has(request, "Referer"))
        buf_printf(out, "Referer: %s\r\n", referer);
    if (!http_request_has(request, "Connection"))
        buf_add_text(out, "Connection: close\r\n");
    buf_add_text(out, "\r\n");
}
