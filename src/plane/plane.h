/*
 * nodeplane as a whole: builds the rooms of the API server for one node, introduces them, serves.
 * Loop thread.
 */
#pragma once

#include "loop/work.h"

struct plane; /* opaque */

/** What the command line says. Borrowed for the call. */
struct plane_options {
    const char *data_dir;      /* certificates, keys, kubeconfigs, objects.db */
    const char *listen;        /* "127.0.0.1:6443" */
    const char *node_name;     /* the machine's node */
    const char *service_range; /* "10.96.0.0/12", or two with a comma */
    const char *advertise;     /* what kubeconfigs point to, "https://host:port"; NULL: the address
                                  listened at */
    const char *const *extra_names; /* of the server's certificate */
    size_t extra_name_count;
    const char *token_file; /* static tokens; NULL: none */
    const char *cert_file;  /* the server's certificate from elsewhere, with its key, read again
                               when it changes; NULL: made */
    const char *key_file;
    bool is_unsynced; /* leave syncing to the kernel */
};

/**
 * Starts everything and listens. Blocks for the disk, as a start may. *ret is the caller's. The
 * errors are those of the parts, naming file, address or option.
 */
MUST_CHECK struct error *plane_start_blocking(struct loop *loop, struct work_pool *pool,
                                              const struct plane_options *options,
                                              struct plane **ret);
/** No new requests; watches end in order; certificates are no longer renewed. Always before the
 * pool is freed. */
void plane_stop(struct plane *plane);
/** True when every request has its answer, or one on its way: the moment to end. */
bool plane_is_idle(const struct plane *plane);
/** The pool must have been freed before. NULL is fine. */
void plane_free(struct plane *plane);
DEFINE_AUTO(plane, struct plane *, plane_free)
