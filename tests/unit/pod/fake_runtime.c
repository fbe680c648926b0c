/*
 * A call takes effect when it is made; its reply is decided then and delivered from a timer, one a
 * turn, in order. So a reply may be older than what has happened since, as with a real runtime.
 */
#include "fake_runtime_internal.h"

#include "kube/codec.h"
#include "pod/cri_message.h"

#define TEXT_MAX_BYTES (1 * MiB)
#define LATE_TURNS 6

static struct fake_runtime *fake_of(struct pod_runtime *self)
{
    return CONTAINER_OF(self, struct fake_runtime, base);
}

/* --- calls --- */

static void run_call(struct runtime_call *call, const ProtobufCMessage *request)
{
    struct fake_exchange exchange = {.fake = call->fake,
                                     .request = request,
                                     .reply =
                                         cri_new(call->arena, fake_methods[call->method].reply),
                                     .arena = call->arena};
    size_t written = call->fake->transcript.len;
    call->err = fake_methods[call->method].run(&exchange);
    if (!call->err) {
        call->reply = exchange.reply;
        return;
    }
    if (call->fake->transcript.len > written) {
        buf_truncate(&call->fake->transcript, call->fake->transcript.len - 1);
        buf_add_text(&call->fake->transcript, " !\n");
    }
}

static void call_free(struct runtime_call *call)
{
    error_free(call->err);
    arena_free(call->arena);
    free(call);
}

static bool is_hit(struct fake_runtime *fake, enum runtime_method method)
{
    struct fake_fault *fault = &fake->fault;
    if (!fake->has_fault || (fault->of_method && fault->method != method))
        return false;
    if (fault->at > 1) {
        fault->at--;
        return false;
    }
    fake->hit = true;
    fake->hit_method = method;
    if (fault->times <= 1)
        fake->has_fault = false;
    else if (fault->times != SIZE_MAX)
        fault->times--;
    return true;
}

static struct runtime_call *call_new(struct fake_runtime *fake, enum runtime_method method)
{
    struct runtime_call *call = xcalloc(1, sizeof(*call));
    call->fake = fake;
    call->method = method;
    call->arena = arena_new(0);
    DL_APPEND(fake->calls, call);
    return call;
}

static void run_with_fault(struct runtime_call *call, const ProtobufCMessage *request)
{
    struct fake_runtime *fake = call->fake;
    const struct fake_fault *fault = &fake->fault;
    if (fault->effect == FAKE_REPLY_LOST || fault->effect == FAKE_HELD)
        run_call(call, request);
    call->held = fault->effect == FAKE_HELD || fault->effect == FAKE_HUNG;
    if (fault->effect == FAKE_LATE) {
        struct runtime_call *late = call_new(fake, call->method);
        late->late_request = kube_message_dup(request, late->arena);
        late->wait = LATE_TURNS;
    }
    if (fault->effect != FAKE_HELD) {
        error_free(call->err);
        call->reply = NULL;
        call->err = error_new(fault->code, "%s", fault->message ? fault->message : "made to fail");
    }
}

static struct runtime_call *fake_call(struct pod_runtime *self, enum runtime_method method,
                                      const ProtobufCMessage *request, UNUSED int64_t extra_ns,
                                      runtime_on_reply *on_reply, void *ctx)
{
    struct fake_runtime *fake = fake_of(self);
    assert_non_null(fake_methods[method].run);
    assert_ptr_equal(request->descriptor, fake_methods[method].request);
    fake->n_calls++;
    fake->counts[method]++;
    struct runtime_call *call = call_new(fake, method);
    call->on_reply = on_reply;
    call->ctx = ctx;
    if (is_hit(fake, method))
        run_with_fault(call, request);
    else
        run_call(call, request);
    loop_timer_start(fake->timer, 0);
    return call;
}

static void fake_cancel(UNUSED struct pod_runtime *self, struct runtime_call *call)
{
    if (!call)
        return;
    DL_DELETE(call->fake->calls, call);
    call_free(call);
}

static bool is_held(const struct runtime_call *call)
{
    return call->held || call->fake->holds[call->method];
}

/* The first call whose reply may go out now. */
static struct runtime_call *next_call(struct fake_runtime *fake)
{
    struct runtime_call *call;
    DL_FOREACH(fake->calls, call) {
        if (is_held(call))
            continue;
        if (call->wait > 0)
            call->wait--;
        else
            return call;
    }
    return NULL;
}

static void answer(struct fake_runtime *fake, struct runtime_call *call)
{
    if (call->late_request)
        run_call(call, call->late_request);
    DL_DELETE(fake->calls, call);
    if (call->on_reply)
        call->on_reply(call->ctx, call->reply, TAKE(call->err));
    call_free(call);
}

static void change_free(struct fake_runtime *fake, struct fake_change *change)
{
    DL_DELETE(fake->changes, change);
    free(change->uid);
    free(change->container_id);
    free(change);
}

static void tell_change(struct fake_runtime *fake)
{
    struct fake_change *change = fake->changes;
    const struct runtime_listener *to = &fake->listener;
    if (!change->uid && to->on_lost)
        to->on_lost(to->ctx);
    else if (change->uid && to->on_changed)
        to->on_changed(to->ctx, change->uid, change->container_id);
    change_free(fake, change);
}

static void on_timer(void *ctx)
{
    struct fake_runtime *fake = ctx;
    struct fake_container *container;
    DL_FOREACH(fake->containers, container) {
        if (!container->ends_soon)
            continue;
        container->ends_soon = false;
        if (container->state == CRI__CONTAINER_STATE__CONTAINER_RUNNING)
            fake_end_container(fake, container,
                               fake_script_of(fake, container->config->metadata->name)->exit_code);
    }
    struct runtime_call *call = next_call(fake);
    if (call)
        answer(fake, call);
    if (fake->changes)
        tell_change(fake);
    bool more = fake->changes;
    DL_FOREACH(fake->calls, call)
        more = more || !is_held(call);
    if (more)
        loop_timer_start(fake->timer, 0);
}

/* --- the rest of the vtable --- */

static void fake_listen(struct pod_runtime *self, const struct runtime_listener *listener)
{
    fake_of(self)->listener = *listener;
}

static void fake_watch_exit(struct pod_runtime *self, const char *pod_uid, const char *container_id)
{
    struct fake_runtime *fake = fake_of(self);
    struct fake_container *container = fake_find_container(fake, container_id);
    if (!container) {
        fake_add_change(fake, pod_uid, container_id);
        return;
    }
    container->watched = true;
    if (container->state == CRI__CONTAINER_STATE__CONTAINER_EXITED)
        fake_tell_exit(fake, container);
}

static void fake_unwatch_exit(struct pod_runtime *self, const char *container_id)
{
    struct fake_container *container = fake_find_container(fake_of(self), container_id);
    if (container)
        container->watched = false;
}

static const struct pod_runtime_vtable fake_vtable = {.call = fake_call,
                                                      .cancel = fake_cancel,
                                                      .listen = fake_listen,
                                                      .watch_exit = fake_watch_exit,
                                                      .unwatch_exit = fake_unwatch_exit};

struct pod_runtime *fake_runtime_as_pod_runtime(struct fake_runtime *fake)
{
    return &fake->base;
}

struct fake_runtime *fake_runtime_new(struct loop *loop)
{
    struct fake_runtime *fake = xcalloc(1, sizeof(*fake));
    fake->base.vtable = &fake_vtable;
    fake->loop = loop;
    fake->network_ready = true;
    fake->timer = loop_timer_new(loop, "fake runtime", on_timer, fake);
    buf_init(&fake->transcript, TEXT_MAX_BYTES);
    buf_init(&fake->violations, TEXT_MAX_BYTES);
    return fake;
}

static void forget_all(struct fake_runtime *fake)
{
    while (fake->containers)
        fake_container_free(fake, fake->containers);
    while (fake->sandboxes)
        fake_sandbox_free(fake, fake->sandboxes);
}

void fake_runtime_free(struct fake_runtime *fake)
{
    if (!fake)
        return;
    while (fake->calls) {
        struct runtime_call *call = fake->calls;
        assert_null(call->on_reply);
        DL_DELETE(fake->calls, call);
        call_free(call);
    }
    while (fake->changes)
        change_free(fake, fake->changes);
    forget_all(fake);
    for (size_t i = 0; i < fake->n_images; i++)
        free(fake->images[i]);
    loop_timer_free(fake->timer);
    buf_done(&fake->transcript);
    buf_done(&fake->violations);
    free(fake);
}

/* --- looking in --- */

size_t fake_runtime_calls(const struct fake_runtime *fake)
{
    return fake->n_calls;
}

size_t fake_runtime_pending(const struct fake_runtime *fake)
{
    size_t count = 0;
    const struct runtime_call *call;
    DL_FOREACH(fake->calls, call)
        count++;
    return count;
}

size_t fake_runtime_count(const struct fake_runtime *fake, enum runtime_method method)
{
    return fake->counts[method];
}

const char *fake_runtime_transcript(const struct fake_runtime *fake)
{
    return buf_text(&fake->transcript);
}

void fake_runtime_clear_transcript(struct fake_runtime *fake)
{
    buf_clear(&fake->transcript);
}

const char *fake_runtime_violations(const struct fake_runtime *fake)
{
    return buf_text(&fake->violations);
}

size_t fake_runtime_sandboxes(const struct fake_runtime *fake)
{
    size_t count = 0;
    const struct fake_sandbox *sandbox;
    DL_FOREACH(fake->sandboxes, sandbox)
        count++;
    return count;
}

size_t fake_runtime_containers(const struct fake_runtime *fake)
{
    size_t count = 0;
    const struct fake_container *container;
    DL_FOREACH(fake->containers, container)
        count++;
    return count;
}

static bool is_named(const struct fake_container *container, const char *pod, const char *name)
{
    return (!pod || strcmp(container->pod, pod) == 0) &&
           (!name || strcmp(container->config->metadata->name, name) == 0);
}

size_t fake_runtime_running(const struct fake_runtime *fake, const char *pod, const char *name)
{
    size_t count = 0;
    const struct fake_container *container;
    DL_FOREACH(fake->containers, container) {
        if (container->state == CRI__CONTAINER_STATE__CONTAINER_RUNNING &&
            is_named(container, pod, name))
            count++;
    }
    return count;
}

static struct fake_container *newest(const struct fake_runtime *fake, const char *pod,
                                     const char *name)
{
    struct fake_container *container, *found = NULL;
    DL_FOREACH(fake->containers, container) {
        if (is_named(container, pod, name))
            found = container;
    }
    return found;
}

const char *fake_runtime_newest(const struct fake_runtime *fake, const char *pod, const char *name)
{
    const struct fake_container *container = newest(fake, pod, name);
    return container ? container->id : "";
}

const Cri__ContainerConfig *fake_runtime_config(const struct fake_runtime *fake, const char *pod,
                                                const char *name)
{
    const struct fake_container *container = newest(fake, pod, name);
    return container ? container->config : NULL;
}

/* --- making things happen --- */

void fake_runtime_add_image(struct fake_runtime *fake, const char *name)
{
    if (fake_has_image(fake, name))
        return;
    assert_true(fake->n_images < FAKE_MAX_IMAGES);
    fake->images[fake->n_images++] = xstrdup(name);
}

void fake_runtime_add_handler(struct fake_runtime *fake, const char *name, bool recursive_read_only)
{
    ASSERT(fake->n_handlers < FAKE_MAX_HANDLERS);
    fake->handlers[fake->n_handlers++] =
        (struct fake_handler){.name = name, .recursive_read_only = recursive_read_only};
}

void fake_runtime_allow_userns(struct fake_runtime *fake)
{
    ASSERT(fake->n_handlers > 0);
    fake->handlers[fake->n_handlers - 1].user_namespaces = true;
}

void fake_runtime_set_network_ready(struct fake_runtime *fake, bool ready)
{
    fake->network_ready = ready;
}

void fake_runtime_script(struct fake_runtime *fake, const struct fake_script *script)
{
    struct fake_script *known = fake_script_of(fake, script->name);
    if (!known) {
        assert_true(fake->n_scripts < FAKE_MAX_SCRIPTS);
        known = &fake->scripts[fake->n_scripts++];
    }
    *known = *script;
}

void fake_runtime_exit(struct fake_runtime *fake, const char *pod, const char *name,
                       int32_t exit_code)
{
    struct fake_container *container = newest(fake, pod, name);
    assert_non_null(container);
    assert_int_equal(container->state, CRI__CONTAINER_STATE__CONTAINER_RUNNING);
    fake_end_container(fake, container, exit_code);
}

void fake_runtime_lose_container(struct fake_runtime *fake, const char *pod, const char *name)
{
    struct fake_container *container = newest(fake, pod, name);
    assert_non_null(container);
    container->state = CRI__CONTAINER_STATE__CONTAINER_UNKNOWN;
    fake_add_change(fake, fake_uid_of(fake, container), container->id);
}

void fake_runtime_age(struct fake_runtime *fake, const char *pod, const char *name, int64_t by_ns)
{
    struct fake_container *container = newest(fake, pod, name);
    assert_non_null(container);
    container->started_ns -= by_ns;
}

void fake_runtime_set_ip(struct fake_runtime *fake, const char *ip)
{
    fake->ip = ip;
}

void fake_runtime_kill_sandbox(struct fake_runtime *fake, const char *pod)
{
    struct fake_sandbox *sandbox;
    DL_FOREACH(fake->sandboxes, sandbox) {
        if (!sandbox->ready || strcmp(sandbox->config->metadata->name, pod) != 0)
            continue;
        fake_end_sandbox(fake, sandbox);
        if (!fake->lose_events)
            fake_add_change(fake, sandbox->config->metadata->uid, sandbox->id);
    }
}

void fake_runtime_lose_events(struct fake_runtime *fake, bool lose)
{
    fake->lose_events = lose;
}

void fake_runtime_poke(struct fake_runtime *fake, const char *pod)
{
    const struct fake_sandbox *sandbox;
    DL_FOREACH(fake->sandboxes, sandbox) {
        if (sandbox->ready && strcmp(sandbox->config->metadata->name, pod) == 0)
            fake_add_change(fake, sandbox->config->metadata->uid, sandbox->id);
    }
}

void fake_runtime_hold(struct fake_runtime *fake, enum runtime_method method, bool hold)
{
    fake->holds[method] = hold;
    loop_timer_start(fake->timer, 0);
}

void fake_runtime_forget(struct fake_runtime *fake)
{
    forget_all(fake);
}

void fake_runtime_restart(struct fake_runtime *fake, bool wipe)
{
    if (wipe)
        forget_all(fake);
    fake_add_change(fake, NULL, NULL);
}

void fake_runtime_fail(struct fake_runtime *fake, const struct fake_fault *fault)
{
    fake->fault = *fault;
    fake->has_fault = true;
    fake->hit = false;
}

void fake_runtime_release(struct fake_runtime *fake)
{
    fake->has_fault = false;
    struct runtime_call *call;
    DL_FOREACH(fake->calls, call) {
        if (call->reply || call->err)
            call->held = false;
    }
    loop_timer_start(fake->timer, 0);
}

bool fake_runtime_was_hit(const struct fake_runtime *fake, enum runtime_method *ret_method)
{
    if (fake->hit && ret_method)
        *ret_method = fake->hit_method;
    return fake->hit;
}
