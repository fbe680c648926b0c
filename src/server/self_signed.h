/*
 * The pair that serves when nobody gave another (spec node.md §2.6): DIR/kubelet.crt and
 * DIR/kubelet.key, made on the first start and used from then on, even when expired: who trusts a
 * self-signed certificate has pinned it. Blocking, and slow where keys are made: on a worker.
 */
#pragma once

#include "base/arena.h"

#define SELF_SIGNED_CERT "kubelet.crt"
#define SELF_SIGNED_KEY "kubelet.key"

struct self_signed_options {
    const char *dir;  /* absolute; made when missing */
    const char *host; /* the node's name, or an address */
    int64_t now_s;    /* seconds since 1970 */
};

enum self_signed_outcome {
    SELF_SIGNED_FOUND,
    SELF_SIGNED_MADE,
    SELF_SIGNED_REPLACED, /* a damaged pair, kept as *.damaged */
};

/**
 * Makes sure that the pair is there. A certificate without its key is an error, as upstream has it:
 * INVALID_ARGUMENT `…: certificate and key must be supplied as a pair`. A key without certificate
 * is what a start that was cut off leaves, and one that does not belong to its certificate, or does
 * not read, is damaged. Errors else: the disk's. The key is written first, 0600, the certificate
 * 0644.
 */
MUST_CHECK struct error *self_signed_ensure_blocking(const struct self_signed_options *options,
                                                     enum self_signed_outcome *ret);
