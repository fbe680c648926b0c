/*
 * Publishing files in a directory all at once, in the form of the kubelet's atomic writer, so that
 * either agent goes on where the other one was (spec volumes.md §3.5). On a worker. Inside the
 * volume room only.
 */
#pragma once

#include "volume/payload.h"

struct atomic_write {
    const char *dir;                      /* the volume's directory, which exists */
    const struct volume_payload *payload; /* finished */
    int64_t now_ns;                       /* wall; names the new directory */
    /** Called when the new files are there but not yet to be seen; an error calls it off. */
    struct error *(*before_publish)(void *ctx);
    void *ctx;
};

/**
 * Makes what is to be seen in the directory the payload, and nothing else that was published here
 * before. Bytes that are the same by now are not written again; what an interrupted call has left
 * is put right. On error the old content is still what is published, or the new one is.
 */
MUST_CHECK struct error *atomic_write_blocking(const struct atomic_write *write);

/** Whether something was ever published in @dir. */
bool atomic_is_published_blocking(const char *dir);
