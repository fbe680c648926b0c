/*
 * Starting one container, as its files share it: op_start.c has the state machine and all steps but
 * those of the image, start_image.c finds or pulls the image, start_logins.c knows with what,
 * start_access.c whether the pod may use one that is there, start_target.c finds the container that
 * an ephemeral one is aimed at. For these only. Loop thread.
 */
#pragma once

#include "image/credentials.h"
#include "pod/object_fetch.h"
#include "pod/op.h"

struct credential_lookup; /* image/credential_provider.h */
struct pull_request;      /* image/pull_records.h */
struct pull_ticket;       /* image/pull_queue.h */

/* Steps of the operation. Those of the image are start_image.c's. */
enum start_step {
    START_PREPARE,
    START_PULL_SECRETS,
    START_IMAGE_STATUS,
    START_ACCESS,
    START_NODE_LOGINS,
    START_PLUGIN_LOGINS,
    START_INTENT,
    START_PULL_TURN,
    START_PULL,
    START_RECORD,
    START_IMAGE_USER,
    START_OBJECTS,
    START_ENV_FILES,
    START_SUBPATHS,
    START_FILES,
    START_CREATE,
    START_START,
    START_STATUS,
    START_STATUS_PAUSE,
    START_MESSAGE,
    START_LINK,
    START_HOOK,
    START_HOOK_KILL,
};

/** The state of the operation (op->state). */
struct start {
    const char *sandbox_id;
    const char *const *pod_ips;
    struct runtime_handler handler;
    Cri__PodSandboxConfig *sandbox_config;
    struct object_fetch *objects; /* that the container's environment refers to; or NULL */
    const struct env_file *env_files;
    size_t n_env_files;
    Cri__ContainerConfig *config;
    uint32_t restart_count;
    const char *target_name; /* of an ephemeral container: whose processes it is to see, or NULL */
    const char *target_id;   /* the instance of that name */
    const char *const *subpath_targets;
    struct container_files files;
    const char *id;   /* of the new instance */
    bool is_doubtful; /* StartContainer failed: its effect is not known */

    /* start_image.c; what the container's config needs of it is there once the image is ready */
    const char *image; /* with a tag */
    const char *image_ref;
    bool image_has_uid;
    int64_t image_uid;
    const char *image_username;
    uint64_t image_bytes;
    struct object_fetch *pull_secrets;       /* or NULL */
    struct keyring keyring;                  /* what they hold */
    struct credential_lookup *plugin_logins; /* while plugins are asked, or NULL */
    const struct image_credential *logins;   /* in the order they are tried; none: without */
    size_t n_logins, n_tried;
    bool has_logins;            /* they were looked up */
    bool is_checking;           /* to know whether the image that is there may be used */
    const char **refusals;      /* why each of those that were tried did not do */
    struct pull_ticket *ticket; /* while it waits for its turn and pulls */
    int64_t wait_began_ns, pull_began_ns, pull_ended_ns;
    struct pull_request *request; /* to the pull records; or NULL */
    bool is_meant;                /* a pull, and they know */
};

/* --- start_image.c --- */

/**
 * Sees to the image of op->container as its pull policy says. Needs start->sandbox_config. Either
 * goes on to start_with_image(), now or after some steps, or ends the operation with the waiting
 * reason of what went wrong (spec runtime.md §3.2).
 */
void start_image(struct pod_op *op);
/** Goes on from START_PULL_SECRETS to START_IMAGE_USER; START_ACCESS, START_INTENT, START_PULL_TURN
 * and START_RECORD end otherwise. */
void start_image_advance(struct pod_op *op);
/** Gives the place in the pull queue and the secrets back, if there are any. */
void start_image_release(struct pod_op *op);

/** The answers to start_access.c: the pod may use the image that is there; or it has to pull it; or
 * that cannot be told without start->logins, whereafter start_access_check() asks again. */
void start_image_allowed(struct pod_op *op);
void start_image_refused(struct pod_op *op);
void start_image_find_logins(struct pod_op *op);
/** That a pull is meant is on disk. */
void start_image_intended(struct pod_op *op);
/** That the image was pulled is. */
void start_image_recorded(struct pod_op *op);

/** start->logins is complete. */
void start_image_logins_found(struct pod_op *op);

/* --- start_logins.c --- */

/** Starts the pod's pull secrets on their way; false: it names none. */
bool start_secrets_fetch(struct pod_op *op);
/** They have come: tells which have not. */
void start_secrets_fetched(struct pod_op *op);
/** Reads what they hold, unless that was done; false: that cannot be, and the operation has ended
 * with it. */
bool start_secrets_read(struct pod_op *op);
/** Looks for all logins that match the image, and goes on to start_image_logins_found(), now or
 * later. */
void start_logins_find(struct pod_op *op);
/** Goes on from START_NODE_LOGINS and START_PLUGIN_LOGINS. */
void start_logins_advance(struct pod_op *op);
void start_logins_release(struct pod_op *op);

/* --- start_access.c; each of these does nothing but go on when there are no pull records --- */

/** Decides about the image start->image_ref, which is there. Goes on to one of the three above, now
 * or later. */
void start_access_check(struct pod_op *op);
/** A pull is meant, from now on until start_access_pulled() or the operation's end. */
void start_access_enter(struct pod_op *op);
/** Puts that on disk and goes on to start_image_intended(), or ends the operation. */
void start_access_intend(struct pod_op *op);
/** The image was pulled with the login that was tried last: puts that on disk and goes on to
 * start_image_recorded(). */
void start_access_pulled(struct pod_op *op);
/** Gives up what was asked of the records and what was meant. */
void start_access_release(struct pod_op *op);

/* --- start_target.c --- */

/** Finds the instance that start->target_name means, if it means one; false: there is none, and the
 * operation has ended with CreateContainerConfigError. */
bool start_find_target(struct pod_op *op);

/* --- op_start.c --- */

/**
 * Begins to get the objects that @references names (borrowed, they outlive the operation), as the
 * pending step of @op: its end calls advance(). NULL: nothing to get, or no API server; nothing has
 * begun. Meanwhile the operation is cancelled when the pod ends.
 */
struct object_fetch *start_fetch(struct pod_op *op, const struct pod_references *references);
/** Goes on with the image that was found: members image_ref to image_username are set. */
void start_with_image(struct pod_op *op);
/** Ends the operation: the container waits with @reason and @message, next try at @retry_at_ns
 * (wall clock). */
void start_fail_until(struct pod_op *op, const char *reason, const char *message,
                      int64_t retry_at_ns);
/** The same for a step of the table in spec runtime.md §3.1: event "Error: <@event_text>", the
 * usual pause. */
void start_fail(struct pod_op *op, const char *reason, const char *event_text, const char *message);
/** The same with op->err, which must be set, as text and message. */
void start_fail_with_error(struct pod_op *op, const char *reason);
