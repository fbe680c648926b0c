/*
 * A certificate with its key that is replaced from time to time, on disk as a kubelet keeps it
 * (spec node.md §2.5):
 *
 *     DIR/PREFIX-2026-11-21-03-24-00.pem   local time; certificates, leaf first, then the key; 0600
 *     DIR/PREFIX-current.pem               a link to the newest, by its absolute path
 *     DIR/PREFIX-updated.pem               that link while it is being switched
 *
 * Old pairs stay. Everything here blocks: on a worker.
 */
#pragma once

#include "base/buf.h"

#define CERTIFICATE_MAX_BYTES (256 * KiB) /* of each file */

/** Borrowed for the call. */
struct certificate_place {
    const char *dir;       /* absolute */
    const char *prefix;    /* "kubelet-server" */
    const char *cert_file; /* used while there is no current pair; NULL or "": none */
    const char *key_file;  /* with it */
};

/**
 * Reads the current pair, or else that of the two files, or DIR/PREFIX.crt with DIR/PREFIX.key:
 * appended to @pem, certificates before key; its bytes are not looked at. A switch that was cut off
 * is finished first. NOT_FOUND when there is nothing, else the errno's with the path in front.
 */
MUST_CHECK struct error *certificate_store_load_blocking(const struct certificate_place *place,
                                                         struct buf *pem);

/**
 * Writes @pem as the pair of @now_wall_ns and makes it the current one; a crash in between leaves
 * the one before. DIR is made when missing. FAILED_PRECONDITION when something else than a link is
 * in the place of the current one.
 */
MUST_CHECK struct error *certificate_store_save_blocking(const struct certificate_place *place,
                                                         struct str pem, int64_t now_wall_ns);
