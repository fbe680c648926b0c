/* /checkpoint: has the runtime write a container's state to a file (spec server.md §2.11). */
#include "server/node_server_internal.h"

#include "base/num.h"
#include "base/time.h"
#include "server/pod_lookup.h"
#include "server/reply.h"
#include "wire/json.h"

#include <time.h>

struct checkpoint {
    struct node_request *request;
    struct pod_runtime *runtime;
    struct runtime_call *call;
    const char *name; /* "ns/pod/container" */
    const char *path;
};

static void cancel(void *wait)
{
    struct checkpoint *checkpoint = wait;
    runtime_call_cancel(checkpoint->runtime, checkpoint->call);
}

static void fail(const struct checkpoint *checkpoint, const char *why)
{
    struct http_exchange *exchange = checkpoint->request->exchange;
    reply_text(exchange, 500,
               arena_printf(http_exchange_arena(exchange), "checkpointing of %s failed (%s)",
                            checkpoint->name, why));
}

static void on_reply(void *ctx, UNUSED const ProtobufCMessage *reply, struct error *err_owned)
{
    struct checkpoint *checkpoint = ctx;
    AUTO(error) struct error *err = err_owned;
    node_request_wait(checkpoint->request, NULL, NULL);
    if (err) {
        fail(checkpoint, err->message);
        return;
    }
    AUTO(buf) struct buf body;
    buf_init(&body, 16 * KiB);
    struct json_writer json;
    json_writer_init(&json, &body, false);
    json.base.ops->begin_object(&json.base);
    doc_write_key(&json.base, "items");
    json.base.ops->begin_array(&json.base);
    doc_write_text(&json.base, checkpoint->path);
    json.base.ops->end_array(&json.base);
    json.base.ops->end_object(&json.base);
    reply_json(checkpoint->request->exchange, 200, buf_str(&body));
}

/* The time as upstream has it in the file's name: local, to the second. */
static const char *local_time(int64_t wall_ns, struct arena *arena)
{
    char text[64], zone[8];
    time_t seconds = (time_t)(wall_ns / NS_PER_SEC);
    struct tm tm = {.tm_mday = 1};
    (void)localtime_r(&seconds, &tm);
    (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    (void)strftime(zone, sizeof(zone), "%z", &tm);
    if (tm.tm_gmtoff == 0)
        return arena_printf(arena, "%sZ", text);
    return arena_printf(arena, "%s%.3s:%s", text, zone, zone + 3);
}

/* The last value counts. */
static bool parse_timeout(const struct http_target *target, int64_t *ret_s)
{
    *ret_s = 0;
    for (size_t i = 0; i < target->param_count; i++) {
        if (text_eq(target->params[i].name, "timeout") &&
            !parse_i64(target->params[i].value, INT64_MIN, INT64_MAX, ret_s))
            return false;
    }
    return true;
}

static void start(struct node_server *server, struct node_request *request, const char *id,
                  int64_t timeout_s)
{
    struct arena *arena = request->arena;
    const char *const *params = request->match.params;
    struct checkpoint *checkpoint = arena_calloc(arena, 1, sizeof(*checkpoint));
    checkpoint->request = request;
    checkpoint->runtime = server->parts.runtime;
    checkpoint->name = arena_printf(arena, "%s/%s/%s", params[0], params[1], params[2]);
    checkpoint->path = arena_printf(arena, "%s/checkpoints/checkpoint-%s_%s-%s-%s.tar",
                                    server->options.root_dir, params[1], params[0], params[2],
                                    local_time(loop_now_wall_ns(server->parts.loop), arena));
    if (!id) {
        fail(checkpoint, "container is not running");
        return;
    }
    Cri__CheckpointContainerRequest message = CRI__CHECKPOINT_CONTAINER_REQUEST__INIT;
    message.container_id = arena_strdup(arena, id);
    message.location = arena_strdup(arena, checkpoint->path);
    message.timeout = timeout_s;
    checkpoint->call =
        runtime_call_start(server->parts.runtime, RUNTIME_CHECKPOINT_CONTAINER, &message.base,
                           sat_mul_i64(timeout_s, NS_PER_SEC), on_reply, checkpoint);
    node_request_wait(request, checkpoint, cancel);
}

void node_answer_checkpoint(struct node_server *server, struct node_request *request)
{
    const char *const *params = request->match.params;
    struct pod_view view;
    int64_t timeout_s;
    if (!pod_lookup(server->parts.pods, params[0], params[1], &view)) {
        reply_text(request->exchange, 404, "pod does not exist");
    } else if (!container_lookup(view.pod->spec, params[2], NULL)) {
        reply_text(request->exchange, 404,
                   arena_printf(request->arena, "container %s does not exist", params[2]));
    } else if (!parse_timeout(&request->http->target, &timeout_s)) {
        reply_text(request->exchange, 404, "cannot parse value of timeout parameter");
    } else {
        start(server, request, pods_running_container(server->parts.pods, view.uid, params[2]),
              timeout_s);
    }
}
