/*
 * Life of a watch:
 *
 *     QUEUED ──a slot is free──► LOOKING
 *     LOOKING ──running, pid──► WATCHING ──process gone──► CONFIRMING ──exited──► told
 *     LOOKING ──exited, not found──► told
 *     LOOKING ──the call failed, no descriptor is free──► WAITING
 *     WAITING ──time, or the runtime is back──► QUEUED
 *
 * CONFIRMING: a process is gone some milliseconds before its runtime says so, and a listener that
 * looked in between would see a running container and go back to sleep. So the status is asked for,
 * with growing delays, until it says EXITED; after ten seconds the listener is told anyway, to look
 * for itself.
 *
 * Between the status and pidfd_open() the process could end and its number be given to another.
 * That takes a wrap of all process numbers within a millisecond; the slow audit of the pod room
 * covers even that.
 */
#include "cri/exit_watch.h"

#include "base/hash.h"
#include "loop/pidfd.h"

#include <jansson.h>

/* Verbose statuses are large: so many are asked for at a time. */
#define LOOKING_MAX 8
#define CONFIRM_FIRST_NS (2 * NS_PER_MS)
#define CONFIRM_MAX_NS (200 * NS_PER_MS)
#define CONFIRM_LIMIT_NS (10 * NS_PER_SEC)
#define WAIT_FIRST_NS NS_PER_SEC
#define WAIT_MAX_NS (60 * NS_PER_SEC)

enum watch_state {
    WATCH_QUEUED,
    WATCH_LOOKING,
    WATCH_WATCHING,
    WATCH_CONFIRMING,
    WATCH_WAITING,
};

struct watch {
    struct exit_watcher *watcher;
    char *pod_uid;
    char *container_id;
    enum watch_state state;
    struct runtime_call *call; /* LOOKING, CONFIRMING; NULL: none under way */
    struct pidfd_watch *pidfd; /* WATCHING; freed when the timer of CONFIRMING first runs */
    struct loop_timer *timer;  /* NULL until needed */
    int64_t delay_ns;          /* the next pause of CONFIRMING or WAITING */
    int64_t limit_mono_ns;     /* CONFIRMING */
    UT_hash_handle hh;
};

struct exit_watcher {
    struct loop *loop;
    struct pod_runtime *runtime;
    exit_watcher_on_exit *on_exit;
    void *ctx;
    struct watch *watches; /* hash head, by container id; the watcher owns every watch */
    size_t looking;
    struct loop_timer *start_soon; /* starts queued ones */
};

static struct watch *find(const struct exit_watcher *watcher, const char *container_id)
{
    struct watch *watch;
    HASH_FIND_STR(watcher->watches, container_id, watch);
    return watch;
}

static void start_soon(struct exit_watcher *watcher)
{
    if (!loop_timer_is_armed(watcher->start_soon))
        loop_timer_start(watcher->start_soon, -1);
}

static void set_state(struct watch *watch, enum watch_state state)
{
    struct exit_watcher *watcher = watch->watcher;
    if (watch->state == WATCH_LOOKING)
        watcher->looking--;
    if (state == WATCH_LOOKING)
        watcher->looking++;
    if (state == WATCH_QUEUED || watch->state == WATCH_LOOKING)
        start_soon(watcher);
    watch->state = state;
}

static void watch_free(struct watch *watch)
{
    set_state(watch, WATCH_WAITING); /* gives its slot back */
    runtime_call_cancel(watch->watcher->runtime, watch->call);
    pidfd_watch_free(watch->pidfd);
    loop_timer_free(watch->timer);
    HASH_DEL(watch->watcher->watches, watch);
    free(watch->container_id);
    free(watch->pod_uid);
    free(watch);
}

/* The listener may watch the same container again, so the watch is gone before it is told. */
static void tell(struct watch *watch)
{
    struct exit_watcher *watcher = watch->watcher;
    AUTO(free) char *pod_uid = TAKE(watch->pod_uid);
    AUTO(free) char *container_id = xstrdup(watch->container_id);
    watch_free(watch);
    watcher->on_exit(watcher->ctx, pod_uid, container_id);
}

static void on_timer(void *ctx);

static void pause_for(struct watch *watch, int64_t max_ns)
{
    if (!watch->timer)
        watch->timer = loop_timer_new(watch->watcher->loop, "exit watch", on_timer, watch);
    loop_timer_start(watch->timer, watch->delay_ns);
    /* Grows slowly: what is slept too long is time that a restart takes longer. */
    watch->delay_ns = min_i64(sat_add_i64(watch->delay_ns, watch->delay_ns / 3), max_ns);
}

static void ask(struct watch *watch, bool is_verbose, runtime_on_reply *on_reply)
{
    Cri__ContainerStatusRequest request = CRI__CONTAINER_STATUS_REQUEST__INIT;
    request.container_id = watch->container_id;
    request.verbose = is_verbose;
    watch->call = runtime_call_start(watch->watcher->runtime, RUNTIME_CONTAINER_STATUS,
                                     &request.base, 0, on_reply, watch);
}

/* --- CONFIRMING --- */

static void on_confirm_reply(void *ctx, const ProtobufCMessage *reply, struct error *err_owned)
{
    struct watch *watch = ctx;
    AUTO(error) struct error *err = err_owned;
    watch->call = NULL;
    const Cri__ContainerStatusResponse *status =
        (const Cri__ContainerStatusResponse *)(const void *)reply;
    bool is_exited = status && status->status->state != CRI__CONTAINER_STATE__CONTAINER_RUNNING;
    if (is_exited || error_is(err, ERROR_NOT_FOUND) ||
        loop_now_mono_ns(watch->watcher->loop) >= watch->limit_mono_ns)
        tell(watch);
    else
        pause_for(watch, CONFIRM_MAX_NS);
}

static void confirm(struct watch *watch)
{
    set_state(watch, WATCH_CONFIRMING);
    watch->delay_ns = CONFIRM_FIRST_NS;
    watch->limit_mono_ns = sat_add_i64(loop_now_mono_ns(watch->watcher->loop), CONFIRM_LIMIT_NS);
    pause_for(watch, CONFIRM_MAX_NS);
}

static void on_process_gone(void *ctx)
{
    confirm(ctx);
}

/* --- LOOKING, WAITING --- */

int64_t exit_watch_parse_pid(const char *info_json)
{
    json_t *info = json_loads(info_json, 0, NULL);
    const json_t *pid = json_object_get(info, "pid");
    int64_t number = json_is_integer(pid) ? json_integer_value(pid) : 0;
    json_decref(info);
    return number > 0 && number <= INT32_MAX ? number : 0;
}

static int64_t pid_of(const Cri__ContainerStatusResponse *status)
{
    for (size_t i = 0; i < status->n_info; i++) {
        if (text_eq(status->info[i]->key, "info") && status->info[i]->value)
            return exit_watch_parse_pid(status->info[i]->value);
    }
    return 0;
}

static void look_failed(struct watch *watch, const struct error *err)
{
    if (error_is(err, ERROR_NOT_FOUND)) {
        tell(watch);
        return;
    }
    if (watch->state != WATCH_WAITING)
        set_state(watch, WATCH_WAITING);
    /* The return of a runtime that was away ends the pause, see exit_watcher_reconnected(). */
    pause_for(watch, WAIT_MAX_NS);
}

static void watch_process(struct watch *watch, int64_t pid)
{
    AUTO(error)
    struct error *err =
        pidfd_watch_new(watch->watcher->loop, pid, on_process_gone, watch, &watch->pidfd);
    if (!err)
        set_state(watch, WATCH_WATCHING);
    else if (error_is(err, ERROR_NOT_FOUND))
        confirm(watch); /* gone already */
    else if (error_is(err, ERROR_RESOURCE_EXHAUSTED))
        look_failed(watch, err); /* no descriptor was free */
    else
        watch_free(watch); /* one that only the audit can see */
}

static void on_look_reply(void *ctx, const ProtobufCMessage *reply, struct error *err_owned)
{
    struct watch *watch = ctx;
    AUTO(error) struct error *err = err_owned;
    watch->call = NULL;
    const Cri__ContainerStatusResponse *status =
        (const Cri__ContainerStatusResponse *)(const void *)reply;
    if (!status) {
        look_failed(watch, err);
    } else if (status->status->state == CRI__CONTAINER_STATE__CONTAINER_EXITED) {
        tell(watch);
    } else {
        int64_t pid =
            status->status->state == CRI__CONTAINER_STATE__CONTAINER_RUNNING ? pid_of(status) : 0;
        if (pid > 0)
            watch_process(watch, pid);
        else
            watch_free(watch);
    }
}

static void on_start_soon(void *ctx)
{
    struct exit_watcher *watcher = ctx;
    struct watch *watch, *next;
    HASH_ITER(hh, watcher->watches, watch, next) {
        if (watcher->looking >= LOOKING_MAX)
            break;
        if (watch->state != WATCH_QUEUED)
            continue;
        set_state(watch, WATCH_LOOKING);
        ask(watch, true, on_look_reply);
    }
}

static void on_timer(void *ctx)
{
    struct watch *watch = ctx;
    switch (watch->state) {
    case WATCH_CONFIRMING:
        pidfd_watch_free(watch->pidfd);
        watch->pidfd = NULL;
        ask(watch, false, on_confirm_reply);
        break;
    case WATCH_WAITING:
        set_state(watch, WATCH_QUEUED);
        break;
    case WATCH_QUEUED:
    case WATCH_LOOKING:
    case WATCH_WATCHING:
        break;
    }
}

void exit_watcher_reconnected(struct exit_watcher *watcher)
{
    struct watch *watch, *next;
    HASH_ITER(hh, watcher->watches, watch, next) {
        if (watch->state != WATCH_WAITING)
            continue;
        if (watch->timer)
            loop_timer_cancel(watch->timer);
        watch->delay_ns = WAIT_FIRST_NS;
        set_state(watch, WATCH_QUEUED);
    }
}

/* --- the table --- */

struct exit_watcher *exit_watcher_new(struct loop *loop, struct pod_runtime *runtime,
                                      exit_watcher_on_exit *on_exit, void *ctx)
{
    struct exit_watcher *watcher = xcalloc(1, sizeof(*watcher));
    watcher->loop = loop;
    watcher->runtime = runtime;
    watcher->on_exit = on_exit;
    watcher->ctx = ctx;
    watcher->start_soon = loop_timer_new(loop, "exit watcher", on_start_soon, watcher);
    return watcher;
}

void exit_watcher_free(struct exit_watcher *watcher)
{
    if (!watcher)
        return;
    while (watcher->watches)
        watch_free(watcher->watches);
    loop_timer_free(watcher->start_soon);
    free(watcher);
}

void exit_watcher_watch(struct exit_watcher *watcher, const char *pod_uid, const char *container_id)
{
    if (find(watcher, container_id))
        return;
    struct watch *watch = xcalloc(1, sizeof(*watch));
    watch->watcher = watcher;
    watch->pod_uid = xstrdup(pod_uid);
    watch->container_id = xstrdup(container_id);
    watch->delay_ns = WAIT_FIRST_NS;
    HASH_ADD_KEYPTR(hh, watcher->watches, watch->container_id, strlen(container_id), watch);
    set_state(watch, WATCH_QUEUED);
}

void exit_watcher_unwatch(struct exit_watcher *watcher, const char *container_id)
{
    struct watch *watch = find(watcher, container_id);
    if (watch)
        watch_free(watch);
}

size_t exit_watcher_count(const struct exit_watcher *watcher)
{
    return HASH_COUNT(watcher->watches);
}
