/*
 * api_probe: the client of the Kubernetes API as a process of its own, for tests that break its
 * connections. Reads commands from standard input, one JSON object a line, and writes what happens
 * to standard output, one JSON object a line; the log goes to standard error. Ends, and frees all
 * it has, at the end of its input.
 *
 *     usage: api_probe KUBECONFIG [VERBOSITY]
 *
 * Every command has an `id`, which all lines about it carry, and says in `do` what is to be done:
 *
 *     call        one request: client (main, heartbeat, json), verb (get, list, create, update,
 *                 patch-strategic, patch-merge, patch-json, patch-apply, delete,
 *                 delete-collection), apiVersion, kind, namespace, name, subresource, query,
 *                 object, patch, timeoutMs                     → done, failed
 *     watch       apiVersion, kind, namespace, query, timeoutS  → open, event, undecoded, ended
 *     reflect     apiVersion, kind, namespace, fieldSelector, labelSelector, listsOnly, minWatchS,
 *                 maxWatchS                     → added, updated, deleted, synced, cycleFailed
 *     store       target (the id of a reflector)                → store
 *     end         target (the id of anything under way)         → ended
 *     event       object (a reference), type, reason, message   → queued
 *     lease       node, seconds                                 → started
 *     token       namespace, serviceAccount, audiences, seconds, podName, podUID → token, failed
 *     register    kind (ConfigMap, Secret), pod, namespace, names → registered; later: changed
 *     unregister  kind, pod                                     → unregistered
 *     object      kind, namespace, name: through the watch      → object, failed
 *     jump        wallMs, suspendedMs: the clocks go on from there → jumped
 *     stats       connections, descriptors, memory, time used, … → stats
 *
 * The program's own clock_gettime() stands before the C library's, so that clocks can jump.
 */
#include "tests/lib/api_probe.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)16 * 1024)
#define WORKER_THREADS 2
#define STOP_LIMIT_NS (2 * NS_PER_SEC)
/* The kubelet's defaults: kubeAPIQPS, kubeAPIBurst; and its heartbeat client's deadline. */
#define MAIN_QPS 50
#define MAIN_BURST 100
#define HEARTBEAT_TIMEOUT_NS (10 * NS_PER_SEC)

/* --- clocks that jump --- */

static int64_t wall_jump_ns, suspended_ns; /* the one global state: there is one clock_gettime() */

/* CLOCK_BOOTTIME counts while a machine is suspended, CLOCK_MONOTONIC does not. */
__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *ret)
{
    if (syscall(SYS_clock_gettime, clock, ret) < 0)
        return -1;
    int64_t jump_ns = clock == CLOCK_REALTIME   ? wall_jump_ns
                      : clock == CLOCK_BOOTTIME ? suspended_ns
                                                : 0;
    int64_t now_ns = ret->tv_sec * NS_PER_SEC + ret->tv_nsec + jump_ns;
    ret->tv_sec = now_ns / NS_PER_SEC;
    ret->tv_nsec = now_ns % NS_PER_SEC;
    return 0;
}

void clocks_jump(int64_t wall_ns, int64_t suspended_for_ns)
{
    wall_jump_ns += wall_ns;
    suspended_ns += suspended_for_ns;
}

/* --- the process --- */

static void on_input(void *ctx, UNUSED unsigned events)
{
    struct probe *probe = ctx;
    AUTO(free) char *piece = xcalloc(1, PIECE_BYTES);
    ssize_t len = read(STDIN_FILENO, piece, PIECE_BYTES);
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len <= 0) {
        loop_stop(probe->loop);
        return;
    }
    buf_add(&probe->pending, piece, (size_t)len);
    struct str text = buf_str(&probe->pending);
    for (size_t end = str_find(text, '\n'); end < text.len; end = str_find(text, '\n')) {
        probe_obey(probe, (struct str){.ptr = text.ptr, .len = end});
        buf_consume(&probe->pending, end + 1);
        text = buf_str(&probe->pending);
    }
}

static void close_all(struct probe *probe)
{
    probe_end_tasks(probe);
    loop_io_free(TAKE(probe->input));
    buf_done(&probe->pending);
    lease_keeper_free(TAKE(probe->lease));
    event_recorder_free(TAKE(probe->recorder));
    token_cache_free(TAKE(probe->tokens));
    object_watch_free(TAKE(probe->secrets));
    object_watch_free(TAKE(probe->config_maps));
    loop_turn(probe->loop, 0); /* runs what was deferred */
    api_client_free(TAKE(probe->main));
    api_client_free(TAKE(probe->heartbeat));
    api_client_free(TAKE(probe->json));
    api_client_free(TAKE(probe->events));
    api_transport_free(TAKE(probe->transport));
    work_pool_free(TAKE(probe->pool), STOP_LIMIT_NS);
    loop_free(TAKE(probe->loop));
}

static void make_clients(struct probe *probe)
{
    const struct api_client_options normal = {.qps = MAIN_QPS, .burst = MAIN_BURST};
    const struct api_client_options json = {.qps = MAIN_QPS, .burst = MAIN_BURST, .is_json = true};
    const struct api_client_options heartbeat = {.is_unlimited = true,
                                                 .timeout_ns = HEARTBEAT_TIMEOUT_NS};
    const struct object_watch_options secrets = {
        .kind = kube_kind_find("v1", "Secret"), .on_changed = on_secret_changed, .ctx = probe};
    const struct object_watch_options config_maps = {.kind = kube_kind_find("v1", "ConfigMap"),
                                                     .on_changed = on_config_map_changed,
                                                     .ctx = probe};
    probe->main = api_client_new(probe->transport, &normal);
    probe->json = api_client_new(probe->transport, &json);
    probe->heartbeat = api_client_new(probe->transport, &heartbeat);
    probe->events = api_client_new(probe->transport, &normal);
    probe->recorder = event_recorder_new(probe->loop, probe->events, "api-probe", "here");
    probe->tokens = token_cache_new(probe->loop, probe->main);
    probe->secrets = object_watch_new(probe->loop, probe->main, &secrets);
    probe->config_maps = object_watch_new(probe->loop, probe->main, &config_maps);
}

static struct error *run(const char *kubeconfig_path)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct kubeconfig config;
    struct probe probe = {0};
    struct error *err = kubeconfig_load(kubeconfig_path, NULL, arena, &config);
    if (!err)
        err = loop_new(&probe.loop);
    if (err)
        return err;
    probe.pool = work_pool_new(probe.loop, WORKER_THREADS);
    err = api_transport_new(probe.loop, probe.pool, &config, "api_probe/1", &probe.transport);
    if (err) {
        work_pool_free(probe.pool, STOP_LIMIT_NS);
        loop_free(probe.loop);
        return err;
    }
    make_clients(&probe);
    buf_init(&probe.pending, LINE_MAX_BYTES);
    (void)fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK); /* else a read waits, and nothing is lost */
    probe.input = loop_io_new(probe.loop, "commands", STDIN_FILENO, on_input, &probe);
    loop_io_want(probe.input, LOOP_IO_READ);
    say("", "ready");
    loop_run(probe.loop);
    close_all(&probe);
    return NULL;
}

int main(int argc, char **argv)
{
    int64_t verbosity = 0;
    if (argc < 2 || (argc > 2 && !parse_i64(argv[2], 0, 10, &verbosity))) {
        fprintf(stderr, "usage: api_probe KUBECONFIG [VERBOSITY]\n");
        return 2;
    }
    log_set_verbosity((int)verbosity);
    AUTO(error) struct error *err = run(argv[1]);
    if (!err)
        return 0;
    say_failed("", error_dup(err));
    return 1;
}
