/*
 * Shared by the two halves of the fake runtime: fake_runtime_calls.c is what it holds and what the
 * methods do to it, fake_runtime.c is how calls, faults and changes travel, and the door to the
 * tests.
 */
#pragma once

#include "base/arena.h"
#include "base/hash.h"
#include "fake_runtime.h"
#include "tests/lib/test.h"

#define FAKE_MAX_IMAGES 16
#define FAKE_MAX_SCRIPTS 16

struct fake_sandbox {
    struct arena *arena;
    const char *id;
    const Cri__PodSandboxConfig *config;
    bool ready;
    int64_t created_ns;
    struct fake_sandbox *prev, *next;
};

struct fake_container {
    struct arena *arena;
    const char *id;
    const char *sandbox_id, *pod, *log_path;
    const Cri__ContainerConfig *config;
    Cri__ContainerState state;
    int32_t exit_code;
    int64_t created_ns, started_ns, finished_ns;
    bool watched;
    bool ends_soon; /* its script says so */
    struct fake_container *prev, *next;
};

/* A reply under way, a change to be told, or an effect that comes late. */
struct runtime_call {
    struct fake_runtime *fake;
    enum runtime_method method;
    runtime_on_reply *on_reply; /* NULL: nobody listens */
    void *ctx;
    struct arena *arena;
    ProtobufCMessage *reply;
    struct error *err;
    const ProtobufCMessage *late_request;
    size_t wait; /* turns */
    bool held;
    struct runtime_call *prev, *next;
};

struct fake_change {
    char *uid, *container_id; /* both NULL: everything is lost */
    struct fake_change *prev, *next;
};

struct fake_runtime {
    const char *ip; /* of sandboxes; NULL: one that leads nowhere */
    struct pod_runtime base;
    struct loop *loop;
    struct loop_timer *timer;
    struct runtime_listener listener;
    struct fake_sandbox *sandboxes;
    struct fake_container *containers;
    struct runtime_call *calls; /* in order */
    struct fake_change *changes;
    char *images[FAKE_MAX_IMAGES]; /* owned */
    size_t n_images;
    struct fake_script scripts[FAKE_MAX_SCRIPTS];
    size_t n_scripts;
    bool network_ready, lose_events;
    struct fake_handler {
        const char *name;
        bool recursive_read_only, user_namespaces;
    } handlers[FAKE_MAX_HANDLERS];
    size_t n_handlers;
    bool holds[RUNTIME_METHOD_COUNT];
    size_t ids, n_calls, counts[RUNTIME_METHOD_COUNT];
    int64_t last_ns;
    bool has_fault, hit;
    struct fake_fault fault;
    enum runtime_method hit_method;
    struct buf transcript, violations;
};

/* --- what the methods do --- */

struct fake_exchange {
    struct fake_runtime *fake;
    const ProtobufCMessage *request;
    ProtobufCMessage *reply;
    struct arena *arena;
};

struct fake_method {
    const ProtobufCMessageDescriptor *request, *reply;
    struct error *(*run)(struct fake_exchange *it);
};
/** By method; `run` is NULL where the pod room has no use for it. */
extern const struct fake_method fake_methods[RUNTIME_METHOD_COUNT];

struct fake_sandbox *fake_find_sandbox(const struct fake_runtime *fake, const char *id);
struct fake_container *fake_find_container(const struct fake_runtime *fake, const char *id);
/** Uid of the pod that @container belongs to. */
const char *fake_uid_of(const struct fake_runtime *fake, const struct fake_container *container);
void fake_sandbox_free(struct fake_runtime *fake, struct fake_sandbox *sandbox);
void fake_container_free(struct fake_runtime *fake, struct fake_container *container);
/** The script of containers called @name, or NULL. */
struct fake_script *fake_script_of(struct fake_runtime *fake, const char *name);
bool fake_has_image(const struct fake_runtime *fake, const char *name);
/** Queues word for the listener; both NULL: everything is lost. */
void fake_add_change(struct fake_runtime *fake, const char *uid, const char *container_id);
/** Tells that @container has exited, if that was asked for. */
void fake_tell_exit(struct fake_runtime *fake, struct fake_container *container);
void fake_end_container(struct fake_runtime *fake, struct fake_container *container, int32_t code);
void fake_end_sandbox(struct fake_runtime *fake, struct fake_sandbox *sandbox);
