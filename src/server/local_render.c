#include "server/local_internal.h"

#include "base/fd.h"
#include "base/time.h"
#include "kube/codec.h"
#include "kube/resources.h"
#include "pod/why.h"
#include "wire/json.h"

#include <fcntl.h>
#include <unistd.h>

static void write_field(struct doc_writer *writer, const char *key, const char *text)
{
    doc_write_key(writer, key);
    doc_write_text(writer, text ? text : "");
}

static void write_time(struct doc_writer *writer, const char *key, int64_t wall_ns)
{
    char text[TIME_TEXT_SIZE];
    write_field(writer, key, time_format_rfc3339(wall_ns, text));
}

static void begin_object(struct doc_writer *writer, const char *key)
{
    if (key)
        doc_write_key(writer, key);
    writer->ops->begin_object(writer);
}

static void begin_array(struct doc_writer *writer, const char *key)
{
    doc_write_key(writer, key);
    writer->ops->begin_array(writer);
}

static void end_object(struct doc_writer *writer)
{
    writer->ops->end_object(writer);
}

static void end_array(struct doc_writer *writer)
{
    writer->ops->end_array(writer);
}

static void write_type(struct doc_writer *writer, const char *kind)
{
    write_field(writer, "kind", kind);
    write_field(writer, "apiVersion", "v1");
    begin_object(writer, "metadata");
    end_object(writer);
}

/* What is told of some or all pods. */
struct pods_render {
    const struct local_server *server;
    struct doc_writer *writer;
    const char *namespace, *pod; /* NULL: all */
};

static void render_involved(struct doc_writer *writer, const struct pod_view *view,
                            const char *container)
{
    begin_object(writer, "involvedObject");
    write_field(writer, "kind", "Pod");
    write_field(writer, "namespace", view->namespace);
    write_field(writer, "name", view->name);
    write_field(writer, "uid", view->uid);
    write_field(writer, "apiVersion", "v1");
    if (container) {
        const char *list = view->pod ? pod_list_of_container(view->pod->spec, container) : NULL;
        AUTO(free) char *path = xasprintf("spec.%s{%s}", list ? list : "containers", container);
        write_field(writer, "fieldPath", path);
    }
    end_object(writer);
}

static void render_event(const struct pods_render *render, const struct pod_view *view,
                         const struct timeline_entry *entry)
{
    struct doc_writer *writer = render->writer;
    AUTO(free) char *name = xasprintf("%s.%llx", view->name, (unsigned long long)entry->first_ns);
    begin_object(writer, NULL);
    begin_object(writer, "metadata");
    write_field(writer, "name", name);
    write_field(writer, "namespace", view->namespace);
    end_object(writer);
    render_involved(writer, view, entry->container);
    write_field(writer, "reason", entry->reason);
    write_field(writer, "message", entry->message);
    begin_object(writer, "source");
    write_field(writer, "component", "kubelet");
    write_field(writer, "host", render->server->node_name);
    end_object(writer);
    write_time(writer, "firstTimestamp", entry->first_ns);
    write_time(writer, "lastTimestamp", entry->last_ns);
    doc_write_key(writer, "count");
    doc_write_unsigned(writer, entry->count);
    write_field(writer, "type", entry->type == TIMELINE_WARNING ? "Warning" : "Normal");
    end_object(writer);
}

static bool is_chosen(const struct pods_render *render, const struct pod_view *view)
{
    return (!render->namespace || text_eq(render->namespace, view->namespace)) &&
           (!render->pod || text_eq(render->pod, view->name));
}

static void render_timeline(void *ctx, const struct pod_view *view)
{
    const struct pods_render *render = ctx;
    if (!is_chosen(render, view))
        return;
    for (size_t i = 0; view->timeline && i < view->timeline->count; i++)
        render_event(render, view, timeline_at(view->timeline, i));
}

void local_render_events(const struct local_server *server, const char *namespace, const char *pod,
                         struct buf *out)
{
    struct json_writer json;
    json_writer_init(&json, out, false);
    struct pods_render render = {
        .server = server, .writer = &json.base, .namespace = namespace, .pod = pod};
    begin_object(render.writer, NULL);
    write_type(render.writer, "EventList");
    begin_array(render.writer, "items");
    pods_visit(server->pods, render_timeline, &render);
    end_array(render.writer);
    end_object(render.writer);
    buf_add_char(out, '\n');
}

/* --- what pods wait for --- */

static void render_wait(struct doc_writer *writer, const struct pod_wait *wait)
{
    begin_object(writer, NULL);
    if (wait->container)
        write_field(writer, "container", wait->container);
    write_field(writer, "reason", wait->reason);
    write_field(writer, "message", wait->message);
    if (wait->since_ns > 0)
        write_time(writer, "since", wait->since_ns);
    if (wait->until_ns > 0)
        write_time(writer, "until", wait->until_ns);
    end_object(writer);
}

static void render_why(void *ctx, const struct pod_view *view)
{
    const struct pods_render *render = ctx;
    if (!is_chosen(render, view))
        return;
    struct doc_writer *writer = render->writer;
    AUTO(arena) struct arena *arena = arena_new(0);
    struct pod_wait *waits;
    size_t count = pods_why(render->server->pods, view->uid, arena, &waits);
    begin_object(writer, NULL);
    write_field(writer, "namespace", view->namespace);
    write_field(writer, "name", view->name);
    write_field(writer, "uid", view->uid);
    write_field(writer, "phase", view->status ? view->status->phase : NULL);
    doc_write_key(writer, "ready");
    doc_write_bool(writer, pod_condition_is_true(view->status, "Ready"));
    begin_array(writer, "waits");
    for (size_t i = 0; i < count; i++)
        render_wait(writer, &waits[i]);
    end_array(writer);
    end_object(writer);
}

void local_render_why(const struct local_server *server, const char *namespace, const char *pod,
                      struct buf *out)
{
    struct json_writer json;
    json_writer_init(&json, out, false);
    struct pods_render render = {
        .server = server, .writer = &json.base, .namespace = namespace, .pod = pod};
    begin_object(render.writer, NULL);
    begin_array(render.writer, "pods");
    pods_visit(server->pods, render_why, &render);
    end_array(render.writer);
    end_object(render.writer);
    buf_add_char(out, '\n');
}

/* --- status --- */

/* Field 2 of /proc/self/statm, in pages; procfs answers from memory, so the loop may read it. 0
 * when unknown. */
static int64_t resident_bytes(void)
{
    AUTO(fd) int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    char text[128];
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text));
    if (got <= 0)
        return 0;
    struct str rest = {.ptr = text, .len = (size_t)got}, field;
    bool has_field = str_split_next(&rest, ' ', &field); /* the first: total size */
    if (!has_field || !str_split_next(&rest, ' ', &field))
        return 0;
    AUTO(free) char *pages_text = str_dup(field);
    int64_t pages;
    if (!parse_i64(pages_text, 0, INT64_MAX, &pages))
        return 0;
    return sat_mul_i64(pages, sysconf(_SC_PAGESIZE));
}

static void render_problem(void *ctx, const struct manifest_problem *problem)
{
    struct doc_writer *writer = ctx;
    begin_object(writer, NULL);
    write_field(writer, "file", problem->file);
    write_field(writer, "message", problem->message);
    end_object(writer);
}

static void render_runtime(const struct local_server *server, struct doc_writer *writer,
                           const struct pods_summary *summary)
{
    begin_object(writer, "runtime");
    write_field(writer, "name", server->runtime_name);
    write_field(writer, "version", server->runtime_version);
    doc_write_key(writer, "ready");
    doc_write_bool(writer, summary->runtime_ready);
    doc_write_key(writer, "networkReady");
    doc_write_bool(writer, summary->network_ready);
    write_field(writer, "message", summary->runtime_message);
    end_object(writer);
}

static void render_counts(struct doc_writer *writer, const struct pods_summary *summary)
{
    begin_object(writer, "pods");
    doc_write_key(writer, "desired");
    doc_write_unsigned(writer, summary->desired);
    doc_write_key(writer, "running");
    doc_write_unsigned(writer, summary->running);
    doc_write_key(writer, "orphans");
    doc_write_unsigned(writer, summary->orphans);
    end_object(writer);
    doc_write_key(writer, "settled");
    doc_write_bool(writer, summary->settled);
    doc_write_key(writer, "missedChanges");
    doc_write_unsigned(writer, summary->missed_changes);
}

/* The node condition Ready in upstream's words (spec node.md). */
static void render_ready(struct doc_writer *writer, const struct pods_summary *summary)
{
    bool ready = summary->runtime_ready && summary->network_ready;
    const char *why_not = summary->runtime_message && summary->runtime_message[0] != '\0'
                              ? summary->runtime_message
                              : "container runtime status check may not have completed yet";
    begin_array(writer, "conditions");
    begin_object(writer, NULL);
    write_field(writer, "type", "Ready");
    write_field(writer, "status", ready ? "True" : "False");
    write_field(writer, "reason", ready ? "KubeletReady" : "KubeletNotReady");
    write_field(writer, "message", ready ? "kubelet is posting ready status" : why_not);
    end_object(writer);
    end_array(writer);
}

void local_render_status(const struct local_server *server, struct buf *out)
{
    struct pods_summary summary;
    pods_summarize(server->pods, &summary);
    struct json_writer json;
    json_writer_init(&json, out, false);
    struct doc_writer *writer = &json.base;
    int64_t up_ns = sat_sub_i64(loop_now_wall_ns(server->loop), server->started_wall_ns);

    begin_object(writer, NULL);
    write_field(writer, "nodeName", server->node_name);
    write_field(writer, "version", server->version);
    doc_write_key(writer, "pid");
    doc_write_integer(writer, getpid());
    doc_write_key(writer, "uptimeSeconds");
    doc_write_integer(writer, max_i64(0, up_ns) / NS_PER_SEC);
    render_runtime(server, writer, &summary);
    render_counts(writer, &summary);
    begin_array(writer, "manifestProblems");
    if (server->source)
        file_source_visit_problems(server->source, render_problem, writer);
    end_array(writer);
    render_ready(writer, &summary);
    int64_t resident = resident_bytes();
    if (resident > 0) {
        begin_object(writer, "memory");
        doc_write_key(writer, "rssBytes");
        doc_write_integer(writer, resident);
        end_object(writer);
    }
    end_object(writer);
    buf_add_char(out, '\n');
}

/* --- errors --- */

/* Error codes as HTTP and as metav1.StatusReason; what is not listed is an internal error. */
static const struct {
    enum error_code code;
    int http;
    const char *reason;
} error_replies[] = {
    {ERROR_INVALID_ARGUMENT, 400, "BadRequest"},
    {ERROR_FAILED_PRECONDITION, 400, "BadRequest"},
    {ERROR_PERMISSION_DENIED, 403, "Forbidden"},
    {ERROR_NOT_FOUND, 404, "NotFound"},
    {ERROR_UNIMPLEMENTED, 405, "MethodNotAllowed"},
    {ERROR_OUT_OF_RANGE, 422, "Invalid"},
    {ERROR_RESOURCE_EXHAUSTED, 429, "TooManyRequests"},
    {ERROR_UNAVAILABLE, 503, "ServiceUnavailable"},
};

int local_render_error(const struct error *err, struct buf *out)
{
    int http = 500;
    const char *reason = "InternalError";
    for (size_t i = 0; i < ARRAY_SIZE(error_replies); i++) {
        if (error_replies[i].code == err->code) {
            http = error_replies[i].http;
            reason = error_replies[i].reason;
        }
    }
    struct json_writer json;
    json_writer_init(&json, out, false);
    struct doc_writer *writer = &json.base;
    begin_object(writer, NULL);
    write_type(writer, "Status");
    write_field(writer, "status", "Failure");
    write_field(writer, "message", err->message);
    write_field(writer, "reason", reason);
    doc_write_key(writer, "code");
    doc_write_integer(writer, http);
    end_object(writer);
    buf_add_char(out, '\n');
    return http;
}
