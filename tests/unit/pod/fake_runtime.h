/*
 * A container runtime that exists only in memory, behind the vtable of pod/runtime.h: it keeps
 * sandboxes, containers and images, answers in later turns of the loop, behaves as containerd does
 * where the pod room depends on it, and fails on demand. What no agent should ever ask for is
 * collected in fake_runtime_violations(). Loop thread.
 */
#pragma once

#include "base/buf.h"
#include "loop/loop.h"
#include "pod/runtime.h"

struct fake_runtime; /* opaque */

struct fake_runtime *fake_runtime_new(struct loop *loop);
/** No call may be under way any more. */
void fake_runtime_free(struct fake_runtime *fake);
DEFINE_AUTO(fake_runtime, struct fake_runtime *, fake_runtime_free)
struct pod_runtime *fake_runtime_as_pod_runtime(struct fake_runtime *fake);

/* --- what it was asked --- */

/** Calls begun so far, reads included; calls not answered yet. */
size_t fake_runtime_calls(const struct fake_runtime *fake);
size_t fake_runtime_pending(const struct fake_runtime *fake);
/** Calls of @method begun so far. */
size_t fake_runtime_count(const struct fake_runtime *fake, enum runtime_method method);
/**
 * What changed the runtime, one line each: "RunPodSandbox web/0", "StartContainer web.c/0",
 * "StopContainer web.c/0 30", "ExecSync web.c/0 echo hi", "PullImage busybox:1". A sandbox's
 * handler follows as " with kata", a pull's user as " as bob". Failed calls are marked with "!" at
 * the end.
 */
const char *fake_runtime_transcript(const struct fake_runtime *fake);
void fake_runtime_clear_transcript(struct fake_runtime *fake);
/** Requests that no agent should make, one line each; "" when there were none. */
const char *fake_runtime_violations(const struct fake_runtime *fake);

/* --- what it holds --- */

size_t fake_runtime_sandboxes(const struct fake_runtime *fake);
size_t fake_runtime_containers(const struct fake_runtime *fake);
/** Running instances of container @name of pod @pod; NULL: of any. */
size_t fake_runtime_running(const struct fake_runtime *fake, const char *pod, const char *name);
/** Id of the instance of @name that was made last, "" when there is none; valid as long as the
 * instance. */
const char *fake_runtime_newest(const struct fake_runtime *fake, const char *pod, const char *name);
/** The config that instance was made with, or NULL. */
const Cri__ContainerConfig *fake_runtime_config(const struct fake_runtime *fake, const char *pod,
                                                const char *name);

void fake_runtime_add_image(struct fake_runtime *fake, const char *name);
/** Pulling is possible for images that contain no "absent", and with no password that contains
 * "wrong". */
void fake_runtime_set_network_ready(struct fake_runtime *fake, bool ready);

#define FAKE_MAX_HANDLERS 4
/** Its status tells of a handler called @name (borrowed for ever), which can mount read-only
 * recursively or not. Without any it tells of none. */
void fake_runtime_add_handler(struct fake_runtime *fake, const char *name,
                              bool recursive_read_only);
/** The handler added last can make user namespaces. */
void fake_runtime_allow_userns(struct fake_runtime *fake);

/* --- what happens to it --- */

/** What container @name (of any pod) does on its own. Texts are borrowed for ever. */
struct fake_script {
    const char *name;
    size_t exits; /* so many instances end right after their start; SIZE_MAX: all */
    int32_t exit_code;
    int32_t hook_exit_code; /* of ExecSync in it */
    const char *message;    /* written to its termination log when it ends; NULL: none */
};
void fake_runtime_script(struct fake_runtime *fake, const struct fake_script *script);

/** Running instance of @name of @pod ends. Fails the test when there is none. */
void fake_runtime_exit(struct fake_runtime *fake, const char *pod, const char *name,
                       int32_t exit_code);
/** The runtime cannot tell any more what became of the newest instance of @name of @pod; stopping
 * it changes nothing. */
void fake_runtime_lose_container(struct fake_runtime *fake, const char *pod, const char *name);
/** The newest instance of @name of @pod becomes @by_ns older than it is. */
void fake_runtime_age(struct fake_runtime *fake, const char *pod, const char *name, int64_t by_ns);
/** The address of all sandboxes with a network of their own (borrowed for ever); "" for none. */
void fake_runtime_set_ip(struct fake_runtime *fake, const char *ip);
/** The ready sandbox of @pod dies, its containers with it. */
void fake_runtime_kill_sandbox(struct fake_runtime *fake, const char *pod);
/** While true, changes are not told to the listener. */
void fake_runtime_lose_events(struct fake_runtime *fake, bool lose);
/** The listener is told that the ready sandbox of @pod changed, though it did not. */
void fake_runtime_poke(struct fake_runtime *fake, const char *pod);
/** While true, replies of @method wait; beside the one fault. */
void fake_runtime_hold(struct fake_runtime *fake, enum runtime_method method, bool hold);
/** All sandboxes and containers vanish without a word. */
void fake_runtime_forget(struct fake_runtime *fake);
/** The runtime restarts: on_lost is told; @wipe: it has forgotten everything but its images. */
void fake_runtime_restart(struct fake_runtime *fake, bool wipe);

enum fake_effect {
    FAKE_REFUSED,    /* an error, and nothing happened */
    FAKE_REPLY_LOST, /* an error, though it was done */
    FAKE_LATE,       /* an error, and it is done some turns later */
    FAKE_HELD,       /* done, but the reply waits for fake_runtime_release() */
    FAKE_HUNG,       /* nothing happens and nobody answers */
    FAKE_EFFECT_COUNT
};

/** Calls that go wrong. One at a time: a new one replaces what is left of the last one. */
struct fake_fault {
    bool of_method; /* only calls of `method` count */
    enum runtime_method method;
    size_t at;    /* the at-th call from now, counted from 1 */
    size_t times; /* and so many in all; 0: one, SIZE_MAX: for ever */
    enum fake_effect effect;
    enum error_code code;
    const char *message; /* borrowed for ever */
};
void fake_runtime_fail(struct fake_runtime *fake, const struct fake_fault *fault);
/** Ends the fault; replies that were held are delivered. */
void fake_runtime_release(struct fake_runtime *fake);
/** Whether the fault has hit, and the method it hit last. */
bool fake_runtime_was_hit(const struct fake_runtime *fake, enum runtime_method *ret_method);
