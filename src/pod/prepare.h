/*
 * What must be read from or made on the disk before the runtime is told about a sandbox or
 * container, as one job: log folders, the host's resolv.conf, restart counts that only log files
 * remember. Inside the pod room; loop thread.
 */
#pragma once

#include "pod/op.h"

struct prepare_job {
    /* in */
    char *log_dir;        /* made with mode 0755 */
    char *container_name; /* NULL: no restart count wanted */
    char *resolv_path;    /* "": none */
    char *userns_path;    /* NULL: none; else made to hold userns */
    struct userns_range userns;
    /* out */
    struct error *err;      /* also of what failed before the job began */
    char *resolv_text;      /* NULL when resolv_path is "" */
    uint32_t restart_count; /* 1 + the highest N of N.log in the container's log folder, else 0 */
};

/** Starts the job as a step of @op for the pod of @op. @container_name NULL: no restart count. */
void prepare_start(struct pod_op *op, const char *container_name);
/** The finished job, inside advance(). */
struct prepare_job *prepare_result(struct pod_op *op);

/** What the runtime is told with a sandbox; lives in the arena of the operation. */
struct sandbox_setup {
    struct runtime_handler handler; /* of the pod's RuntimeClass */
    Cri__PodSandboxConfig *config;
};

/**
 * Builds the sandbox config of the pod of @op from what the job read; notices become events.
 * NOT_FOUND `runtimeclass.node.k8s.io "x" not found`, or as sandbox_config_build().
 */
MUST_CHECK struct error *prepare_sandbox(struct pod_op *op, const struct prepare_job *job,
                                         uint32_t attempt, struct sandbox_setup *ret);

/** What the runtime can do for the pod of @worker, which has an object; without any feature while
 * its RuntimeClass is not known. */
struct runtime_handler prepare_handler_of(const struct pod_worker *worker);

/** 1 + highest N over file names "N.log*" in @dir; 0 when there is none. Blocking. */
uint32_t prepare_count_logs_blocking(const char *dir);
