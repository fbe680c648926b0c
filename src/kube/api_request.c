#include "kube/api_request.h"

#include "base/buf.h"
#include "wire/http.h"

static const struct {
    const char *method;
    const char *title; /* as Go's url.Error has it */
    const char *patch_type;
} verbs[] = {
    [API_GET] = {"GET", "Get", NULL},
    [API_LIST] = {"GET", "Get", NULL},
    [API_CREATE] = {"POST", "Post", NULL},
    [API_UPDATE] = {"PUT", "Put", NULL},
    [API_PATCH_STRATEGIC] = {"PATCH", "Patch", "application/strategic-merge-patch+json"},
    [API_PATCH_MERGE] = {"PATCH", "Patch", "application/merge-patch+json"},
    [API_PATCH_JSON] = {"PATCH", "Patch", "application/json-patch+json"},
    /* of which JSON is a part */
    [API_PATCH_APPLY] = {"PATCH", "Patch", "application/apply-patch+yaml"},
    [API_DELETE] = {"DELETE", "Delete", NULL},
    [API_DELETE_COLLECTION] = {"DELETE", "Delete", NULL},
};
_Static_assert(ARRAY_SIZE(verbs) == API_DELETE_COLLECTION + 1, "describe every verb");

const char *api_verb_method(enum api_verb verb)
{
    return verbs[verb].method;
}

const char *api_method_title(const char *method)
{
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (text_eq(verbs[i].method, method))
            return verbs[i].title;
    }
    return method;
}

const char *api_verb_patch_type(enum api_verb verb)
{
    return verbs[verb].patch_type;
}

bool api_verb_is_read(enum api_verb verb)
{
    return verb == API_GET || verb == API_LIST;
}

const char *api_qualified_resource(const struct kube_kind *kind, struct arena *arena)
{
    return kind->group[0] ? arena_printf(arena, "%s.%s", kind->resource, kind->group)
                          : kind->resource;
}

/* --- the server --- */

static struct error *bad_host(const char *server)
{
    return error_new(ERROR_INVALID_ARGUMENT, "host must be a URL or a host:port pair: \"%s\"",
                     server);
}

/* Splits "host", "host:port", "[::1]:port" into its parts; *ret_port is untouched without one. */
static bool split_host_port(struct str authority, struct str *ret_host, uint16_t *ret_port)
{
    struct str host = authority, port = {0};
    if (host.len > 0 && host.ptr[0] == '[') {
        size_t end = str_find(host, ']');
        if (end == host.len)
            return false;
        port = (struct str){.ptr = host.ptr + end + 1, .len = host.len - end - 1};
        host = (struct str){.ptr = host.ptr + 1, .len = end - 1};
    } else {
        size_t end = str_find(host, ':');
        port = (struct str){.ptr = host.ptr + end, .len = host.len - end};
        host.len = end;
    }
    if (port.len > 0) {
        AUTO(free) char *digits = str_dup((struct str){.ptr = port.ptr + 1, .len = port.len - 1});
        int64_t number;
        if (port.ptr[0] != ':' || !parse_i64(digits, 1, UINT16_MAX, &number))
            return false;
        *ret_port = (uint16_t)number;
    }
    *ret_host = host;
    return host.len > 0;
}

static bool has_odd_bytes(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text <= ' ' || *text == 0x7f || strchr("\"\\@?#<>", *text))
            return true;
    }
    return false;
}

struct error *api_origin_parse(const char *server, bool prefers_tls, struct arena *arena,
                               struct api_origin *ret)
{
    struct api_origin origin = {.is_tls = prefers_tls};
    const char *rest = server;
    if (text_has_prefix(server, "https://") || text_has_prefix(server, "http://")) {
        origin.is_tls = server[4] == 's';
        rest = server + (origin.is_tls ? 8 : 7);
    } else if (strstr(server, "://")) {
        return bad_host(server);
    }
    if (has_odd_bytes(rest))
        return bad_host(server);
    struct str authority = str_from(rest), host;
    authority.len = str_find(authority, '/');
    origin.port = origin.is_tls ? 443 : 80;
    if (!split_host_port(authority, &host, &origin.port))
        return bad_host(server);

    struct str path = str_from(rest + authority.len);
    while (path.len > 0 && path.ptr[path.len - 1] == '/')
        path.len--;
    origin.host = arena_strndup(arena, host.ptr, host.len);
    origin.base_path = arena_strndup(arena, path.ptr, path.len);
    origin.text =
        arena_printf(arena, "%s://%.*s", origin.is_tls ? "https" : "http", STR_ARG(authority));
    *ret = origin;
    return NULL;
}

/* --- paths --- */

/* apimachinery's IsValidPathSegmentName. @what is "resource name", "namespace", "subresource". */
static struct error *check_segment(const char *what, const char *text)
{
    if (text_eq(text, ".") || text_eq(text, ".."))
        return error_new(ERROR_INVALID_ARGUMENT, "invalid %s \"%s\": [may not be '%s']", what, text,
                         text);
    const char *bad = strpbrk(text, "/%");
    if (bad)
        return error_new(ERROR_INVALID_ARGUMENT, "invalid %s \"%s\": [may not contain '%c']", what,
                         text, *bad);
    return NULL;
}

static bool wants_name(enum api_verb verb)
{
    switch (verb) {
    case API_LIST:
    case API_CREATE:
    case API_DELETE_COLLECTION:
        return false;
    case API_GET:
    case API_UPDATE:
    case API_PATCH_STRATEGIC:
    case API_PATCH_MERGE:
    case API_PATCH_JSON:
    case API_PATCH_APPLY:
    case API_DELETE:
        return true;
    }
    return true;
}

static struct error *check_request(const struct api_request *request)
{
    const struct kube_kind *kind = request->kind;
    bool has_name = request->name && *request->name;
    bool has_namespace = request->namespace_ && *request->namespace_;
    if (!kind->resource)
        return error_new(ERROR_INVALID_ARGUMENT, "%s is not a resource", kind->kind);
    if (!has_name && (request->name || wants_name(request->verb) || request->subresource))
        return error_new(ERROR_INVALID_ARGUMENT, "resource name may not be empty");
    if (kind->is_namespaced && !has_namespace && has_name)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "an empty namespace may not be set when a resource name is provided");
    if (kind->is_namespaced && !has_namespace && request->verb == API_CREATE)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "an empty namespace may not be set during creation");
    if (!kind->is_namespaced && has_namespace)
        return error_new(ERROR_INVALID_ARGUMENT, "%s have no namespace", kind->resource);
    struct error *err = has_namespace ? check_segment("namespace", request->namespace_) : NULL;
    if (!err && has_name)
        err = check_segment("resource name", request->name);
    if (!err && request->subresource)
        err = check_segment("subresource", request->subresource);
    return err;
}

static void add_segment(struct buf *out, const char *text)
{
    buf_add_char(out, '/');
    http_escape(out, str_from(text));
}

struct error *api_request_path(const struct api_request *request, struct arena *arena,
                               const char **ret)
{
    struct error *err = check_request(request);
    if (err)
        return err;
    const struct kube_kind *kind = request->kind;
    AUTO(buf) struct buf path;
    buf_init(&path, HTTP_TARGET_MAX_BYTES);
    buf_add_text(&path, kind->group[0] ? "/apis" : "/api");
    if (kind->group[0])
        add_segment(&path, kind->group);
    add_segment(&path, kind->version);
    if (request->namespace_ && *request->namespace_) {
        buf_add_text(&path, "/namespaces");
        add_segment(&path, request->namespace_);
    }
    add_segment(&path, kind->resource);
    if (request->name)
        add_segment(&path, request->name);
    if (request->subresource)
        add_segment(&path, request->subresource);
    err = buf_error(&path, "the path of the request");
    if (!err)
        *ret = arena_strdup(arena, buf_text(&path));
    return err;
}

/* --- queries --- */

struct pair {
    struct str name; /* escaped, as it stands in the text */
    struct str text; /* "name=value", escaped */
};

static int compare_names(struct str a, struct str b)
{
    size_t len = min_size(a.len, b.len);
    int order = a.ptr && b.ptr ? memcmp(a.ptr, b.ptr, len) : 0;
    return order != 0 ? order : a.len < b.len ? -1 : a.len > b.len;
}

/* Keeps the order of equal names: theirs means something to the server. */
static void insert_pair(struct pair *pairs, size_t *count, struct pair pair)
{
    size_t at = *count;
    for (; at > 0 && compare_names(pairs[at - 1].name, pair.name) > 0; at--)
        pairs[at] = pairs[at - 1];
    pairs[at] = pair;
    (*count)++;
}

static struct pair pair_of(struct str text)
{
    return (struct pair){.name = {.ptr = text.ptr, .len = str_find(text, '=')}, .text = text};
}

static struct str escaped_param(const struct api_param *param, struct arena *arena)
{
    AUTO(buf) struct buf text;
    buf_init(&text, SIZE_MAX / 2); /* our own texts */
    http_escape(&text, str_from(param->name));
    buf_add_char(&text, '=');
    http_escape(&text, str_from(param->value));
    return str_from(arena_strdup(arena, buf_text(&text)));
}

const char *api_target(const char *path, const char *query, const struct api_param *added,
                       size_t added_count, struct arena *arena)
{
    size_t count = 0, max = added_count + 1, len = strlen(path) + 1;
    for (const char *c = query; c && *c; c++)
        max += *c == '&';
    struct pair *pairs = arena_calloc(arena, max, sizeof(*pairs));
    struct str rest = str_from(query), text;
    while (rest.len > 0 && str_split_next(&rest, '&', &text)) {
        if (text.len > 0)
            insert_pair(pairs, &count, pair_of(text));
    }
    for (size_t i = 0; i < added_count; i++) {
        if (added[i].value)
            insert_pair(pairs, &count, pair_of(escaped_param(&added[i], arena)));
    }
    for (size_t i = 0; i < count; i++)
        len += pairs[i].text.len + 1;
    AUTO(buf) struct buf target;
    buf_init(&target, len);
    buf_add_text(&target, path);
    for (size_t i = 0; i < count; i++) {
        buf_add_char(&target, i == 0 ? '?' : '&');
        buf_add_str(&target, pairs[i].text);
    }
    return arena_strdup(arena, buf_text(&target));
}
