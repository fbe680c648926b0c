/*
 * The RPCs of CRI v1 as a table: path, message types, which service, which deadline, and what a
 * reply must hold before anybody may use it (spec runtime.md §1.3-1.4). Pure. Loop thread.
 */
#pragma once

#include "pod/runtime.h"
#include "wire/grpc.h"

enum cri_service { CRI_SERVICE_RUNTIME, CRI_SERVICE_IMAGE, CRI_SERVICE_COUNT };

/** How long a call may take; T is runtimeRequestTimeout, extra is what the caller adds. */
enum cri_deadline {
    CRI_DEADLINE_T,          /* T + extra */
    CRI_DEADLINE_2T,         /* 2 T + extra */
    CRI_DEADLINE_NONE,       /* only the caller ends it */
    CRI_DEADLINE_EXEC,       /* T + extra, none when extra is 0 */
    CRI_DEADLINE_CHECKPOINT, /* the greatest of T, extra and the request's own timeout */
};

/** Says what a complete reply lacks; @subject names what was asked about ("" when nothing). */
typedef struct error *cri_check(const ProtobufCMessage *reply, const char *subject);

struct cri_method {
    struct grpc_method grpc;
    enum cri_service service;
    enum cri_deadline deadline;
    cri_check *check;                                  /* NULL: any reply will do */
    char *(*subject)(const ProtobufCMessage *request); /* NULL: none. The result is owned */
};

/** The row of @method; static. */
const struct cri_method *cri_method(enum runtime_method method);

/** The server stream GetContainerEvents. */
extern const struct grpc_method cri_get_container_events;

/** The timeout of a call, or GRPC_NO_TIMEOUT. @request as for the call. */
int64_t cri_method_timeout_ns(enum runtime_method method, const ProtobufCMessage *request,
                              int64_t request_timeout_ns, int64_t extra_ns);

/** Refuses a request that must not be sent. @request may be NULL. */
MUST_CHECK struct error *cri_request_check(enum runtime_method method,
                                           const ProtobufCMessage *request);

/** Gives @err_owned the words that Kubernetes uses for a failure of @method; NULL stays NULL. */
struct error *cri_method_error(enum runtime_method method, const char *subject, int64_t extra_ns,
                               struct error *err_owned);

/** "rpc error: code = <name> desc = <message>": how Kubernetes words an RPC's error inside a longer
 * one. A new object. */
struct error *cri_error_as_rpc(struct error *err_owned);
