/* What is there for people who look for a fault: configuration, flags, versions, profiles. */
#include "server/node_server_internal.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/num.h"
#include "kube/codec.h"
#include "server/reply.h"
#include "server/zpages.h"

#include <fcntl.h>

#define MAX_VERBOSITY 1000
#define COMPILER "C " __VERSION__

/* --- /configz --- */

void node_answer_configz(struct node_server *server, struct node_request *request)
{
    static const struct kube_type_meta type = {.kind = "KubeletConfiguration",
                                               .api_version = "kubelet.config.k8s.io/v1beta1"};
    AUTO(buf) struct buf page;
    buf_init(&page, NODE_REPLY_MAX_BYTES);
    buf_add_text(&page, "{\"kubeletconfig\":");
    kube_encode_json(server->options.kubelet_configuration, &type, &page);
    buf_add_text(&page, "}");
    AUTO(error) struct error *err = buf_error(&page, "the configuration");
    if (err) {
        reply_plain_error(request->exchange, 500, err->message);
        return;
    }
    static const struct http_field items[] = {{"content-type", "application/json"},
                                              {"x-content-type-options", "nosniff"}};
    static const struct http_fields fields = {.items = items, .count = ARRAY_SIZE(items)};
    http_exchange_reply(request->exchange, 200, &fields, buf_str(&page));
}

/* --- /flagz and /statusz --- */

static const char *deprecation(const char *kind, struct arena *arena)
{
    return arena_printf(arena,
                        "299 - \"config.k8s.io/v1alpha1 %s is deprecated, use "
                        "config.k8s.io/v1beta1 %s\"",
                        kind, kind);
}

/* Sees to what is wanted; false: it was refused. */
static bool wants_page(struct node_request *request, const char *kind, struct zpage_wish *ret)
{
    zpage_negotiate(http_fields_get(&request->http->fields, "accept"), kind, ret);
    if (ret->form != ZPAGE_NOT_ACCEPTABLE)
        return true;
    const char *text = arena_printf(request->arena,
                                    "only the following media types are accepted: text/plain, "
                                    "application/json;g=config.k8s.io;v=v1beta1;as=%s, "
                                    "application/yaml;g=config.k8s.io;v=v1beta1;as=%s",
                                    kind, kind);
    reply_plain_error(request->exchange, 406, text);
    return false;
}

static void reply_page(struct node_request *request, const char *kind,
                       const struct zpage_wish *wish, const struct buf *page)
{
    const struct http_field items[] = {{"content-type", zpage_content_type(wish->form)},
                                       {"warning", deprecation(kind, request->arena)}};
    const struct http_fields fields = {.items = items,
                                       .count = wish->is_deprecated ? ARRAY_SIZE(items) : 1};
    http_exchange_reply(request->exchange, 200, &fields, buf_str(page));
}

void node_answer_flagz(struct node_server *server, struct node_request *request)
{
    const struct zpage_flags flags = {.items = server->options.flag_values->items,
                                      .count = server->options.flag_values->count};
    struct zpage_wish wish;
    if (!wants_page(request, "Flagz", &wish))
        return;
    AUTO(buf) struct buf page;
    buf_init(&page, NODE_REPLY_MAX_BYTES);
    zpage_write_flags(&wish, &flags, server->flagz_delimiter, &page);
    reply_page(request, "Flagz", &wish, &page);
}

/* "v1.36.2" as "1.36". */
static const char *minor_version(const char *version, struct arena *arena)
{
    struct str text = str_from(version[0] == 'v' ? version + 1 : version);
    size_t major = str_find(text, '.');
    if (major == text.len)
        return arena_strdup(arena, text.ptr);
    struct str rest = {.ptr = text.ptr + major + 1, .len = text.len - major - 1};
    return arena_strndup(arena, text.ptr, major + 1 + str_find(rest, '.'));
}

void node_answer_statusz(struct node_server *server, struct node_request *request)
{
    struct arena *arena = request->arena;
    const char *version = server->options.version;
    const struct zpage_status status = {
        .started_wall_ns = server->options.started_wall_ns,
        .now_wall_ns = loop_now_wall_ns(server->parts.loop),
        .compiler = COMPILER,
        .binary_version = version[0] == 'v' ? version + 1 : version,
        .emulation_version = minor_version(server->options.kubernetes_version, arena),
        .paths = endpoint_plain_roots(request->listener->endpoints)};
    struct zpage_wish wish;
    if (!wants_page(request, "Statusz", &wish))
        return;
    AUTO(buf) struct buf page;
    buf_init(&page, NODE_REPLY_MAX_BYTES);
    zpage_write_status(&wish, &status, server->flagz_delimiter, &page);
    reply_page(request, "Statusz", &wish, &page);
}

/* --- /debug/flags/v --- */

void node_answer_debug_flags(struct node_server *server, struct node_request *request)
{
    struct http_exchange *exchange = request->exchange;
    struct arena *arena = http_exchange_arena(exchange);
    struct str body = str_trim(request->http->body);
    int64_t level = 0;
    if (!server->options.config->enable_debug_flags_handler) {
        reply_plain_error(exchange, 405, "flags endpoint is disabled.");
        return;
    }
    if (!text_eq(request->http->method, "PUT")) {
        reply_plain_error(exchange, 406, "unsupported http method");
        return;
    }
    const char *text = arena_strndup(arena, body.ptr, body.len);
    if (!parse_i64(text, 0, MAX_VERBOSITY, &level)) {
        reply_plain_error(exchange, 400,
                          arena_printf(arena,
                                       "failed set klog.logging.verbosity %s: not a number from 0 "
                                       "to %d",
                                       text, MAX_VERBOSITY));
        return;
    }
    log_set_verbosity((int)level);
    const char *done =
        arena_printf(arena, "successfully set klog.logging.verbosity to %lld\n", (long long)level);
    reply_plain(exchange, 200, str_from(done));
}

/* --- /debug/pprof/ --- */

static void reply_command_line(const struct node_request *request)
{
    AUTO(buf) struct buf text;
    buf_init(&text, 4 * MiB);
    /* A file of the kernel's own memory: it waits for no disk. */
    AUTO(error) struct error *err = fd_read_file_blocking("/proc/self/cmdline", &text);
    if (err) {
        reply_plain_error(request->exchange, 500, err->message);
        return;
    }
    if (text.len > 0) /* Go joins the arguments, the kernel ends each */
        buf_truncate(&text, text.len - 1);
    reply_plain(request->exchange, 200, buf_str(&text));
}

/* Those that a Go program has; whoever asks for one shall know why there is none. */
static bool is_profile_of_go(const char *name)
{
    static const char *const names[] = {"allocs",  "block",  "goroutine",    "heap", "mutex",
                                        "profile", "symbol", "threadcreate", "trace"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (text_eq(names[i], name))
            return true;
    }
    return false;
}

/* The bare root is no route there either: a kubelet's routing wants a name behind it, and so its
 * index cannot be reached. */
void node_answer_pprof(struct node_server *server, struct node_request *request)
{
    const char *name = request->match.params[0];
    if (!server->options.config->enable_profiling_handler)
        reply_plain_error(request->exchange, 405, "profiling endpoint is disabled.");
    else if (text_eq(name, "cmdline"))
        reply_command_line(request);
    else if (is_profile_of_go(name))
        reply_plain_error(request->exchange, 501,
                          "This agent is written in C and has no such profile of Go's; perf(1) "
                          "can profile it.");
    else
        reply_plain_error(request->exchange, 404, "Unknown profile");
}
