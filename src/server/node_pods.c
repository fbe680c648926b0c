/*
 * /pods and /runningpods. The text of /pods is kept while nothing of it changes and somebody asks
 * again within a second: on a full node it is some hundred kilobytes, and there are monitors that
 * ask without pause.
 */
#include "server/node_server_internal.h"

#include "server/pod_list.h"
#include "server/reply.h"

#define KEEP_NS NS_PER_SEC

void node_pods_changed(struct node_server *server)
{
    buf_done(&server->pods_page);
    buf_init(&server->pods_page, NODE_REPLY_MAX_BYTES);
}

static void on_keep_end(void *ctx)
{
    node_pods_changed(ctx);
}

void node_pods_init(struct node_server *server)
{
    buf_init(&server->pods_page, NODE_REPLY_MAX_BYTES);
    server->pods_page_end = loop_timer_new(server->parts.loop, "pods-page", on_keep_end, server);
}

void node_pods_done(struct node_server *server)
{
    loop_timer_free(server->pods_page_end);
    buf_done(&server->pods_page);
}

static void reply_list(struct node_request *request, const struct buf *page)
{
    AUTO(error) struct error *err = buf_error(page, "the list of pods");
    if (err)
        reply_text(request->exchange, 500, err->message);
    else
        reply_json(request->exchange, 200, buf_str(page));
}

void node_answer_pods(struct node_server *server, struct node_request *request)
{
    if (server->pods_page.len == 0)
        pod_list_write(server->parts.pods, 0, loop_now_wall_ns(server->parts.loop),
                       &server->pods_page);
    loop_timer_start(server->pods_page_end, KEEP_NS);
    reply_list(request, &server->pods_page);
}

void node_answer_running_pods(struct node_server *server, struct node_request *request)
{
    AUTO(buf) struct buf page;
    buf_init(&page, NODE_REPLY_MAX_BYTES);
    pod_list_write_running(server->parts.pods, &page);
    reply_list(request, &page);
}
