#include "pod/hook.h"

#include "pod/cri_request.h"
#include "pod/expand.h"

#define HOOK_OUTPUT_MAX_BYTES (10 * KiB)

static void run_exec(struct pod_op *op, const Core__ExecAction *exec, const char *id)
{
    char **command = exec->command;
    op->err = op->container ? expand_command(op->container, exec, op->arena, &command) : NULL;
    if (op->err) {
        pod_op_wait(op, 0);
        return;
    }
    Cri__ExecSyncRequest request = CRI__EXEC_SYNC_REQUEST__INIT;
    request.container_id = cri_borrow(id);
    request.n_cmd = exec->n_command;
    request.cmd = command;
    pod_op_call(op, RUNTIME_EXEC_SYNC, &request.base, 0);
}

void hook_start(struct pod_op *op, const Core__LifecycleHandler *handler, const char *id,
                int64_t limit_ns)
{
    op->reply = NULL;
    if (handler->exec) {
        run_exec(op, handler->exec, id);
        if (limit_ns > 0 && op->call)
            pod_op_wait(op, limit_ns);
        return;
    }
    if (handler->sleep) {
        int64_t sleep_ns = sat_mul_i64(max_i64(handler->sleep->seconds, 0), NS_PER_SEC);
        if (limit_ns > 0 && limit_ns < sleep_ns)
            metric_add(op->worker->pods->metrics.families[POD_METRIC_SLEEPS_CUT], 1, NULL);
        pod_op_wait(op, limit_ns > 0 ? min_i64(sleep_ns, limit_ns) : sleep_ns);
        return;
    }
    op->err = error_new(ERROR_UNIMPLEMENTED,
                        "Cannot run handler: cubelet runs exec and sleep hooks, not %s hooks yet",
                        handler->http_get ? "httpGet" : "tcpSocket");
    pod_op_wait(op, 0);
}

struct error *hook_result(struct pod_op *op)
{
    struct pod_runtime *runtime = op->worker->pods->env.runtime;
    runtime_call_cancel(runtime, TAKE(op->call)); /* the limit came first: the hook is abandoned */
    if (op->timer)
        loop_timer_cancel(op->timer);
    struct error *err = TAKE(op->err);
    const Cri__ExecSyncResponse *reply = (const Cri__ExecSyncResponse *)op->reply;
    if (!err && reply && reply->exit_code != 0)
        err = error_new(ERROR_UNKNOWN, "command exited with %d", reply->exit_code);
    if (!err)
        return NULL;
    const char *name = op->container ? op->container->name : "";
    int shown = (int)min_size(reply ? reply->stderr.len : 0, HOOK_OUTPUT_MAX_BYTES);
    struct error *told =
        error_new(err->code,
                  "Exec lifecycle hook for Container \"%s\" in Pod \"%s_%s(%s)\" failed - error: "
                  "%s, message: \"%.*s\"",
                  name, op->worker->name, op->worker->namespace, op->worker->uid, err->message,
                  shown, shown > 0 ? (const char *)reply->stderr.data : "");
    error_free(err);
    return told;
}
