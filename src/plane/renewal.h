/*
 * Certificates that do not end while nodeplane runs. What a start would renew is renewed when it is
 * due, with the kubeconfigs that hold it; a certificate that was given as files is read again when
 * these change. Loop thread; the disk is a worker's.
 */
#pragma once

#include "loop/work.h"
#include "plane/pki.h"

struct renewal; /* opaque */

struct renewal_options {
    const char *data_dir;          /* copied */
    const struct pki_options *pki; /* copied; the time in it is not looked at */
    const char *cert_file; /* the server's certificate from elsewhere; NULL: that of the pki */
    const char *key_file;  /* with it */
    /** The server's certificate or that of the pki's administrator is another one now. */
    void (*on_changed)(void *ctx);
    void *ctx;
};

/**
 * Reads the files, if there are any, and waits for renewal_start(). @pki is borrowed and changed by
 * pki_adopt(). Errors: those of reading, with the file's name. The caller owns *ret.
 */
MUST_CHECK struct error *renewal_new_blocking(struct loop *loop, struct work_pool *pool,
                                              const struct renewal_options *options,
                                              struct pki *pki, struct renewal **ret);
/** Stops in silence. Before the pool is freed. NULL is fine. */
void renewal_free(struct renewal *renewal);
DEFINE_AUTO(renewal, struct renewal *, renewal_free)

/** From now on looks by itself, for a server that clients know as @server_url (copied). */
void renewal_start(struct renewal *renewal, const char *server_url);

/** With what to serve now: borrowed, until the next change. */
const char *renewal_server_certificate_pem(const struct renewal *renewal);
const char *renewal_server_key_pem(const struct renewal *renewal);

/* --- its parts, for tests --- */

/** What the timer does when it is @now_s (seconds since 1970): begins to renew what is due then and
 * to read the files. Nothing while an earlier look is under way. */
void renewal_look(struct renewal *renewal, int64_t now_s);

/** How long to wait with the next look. Pure. */
int64_t renewal_delay_ns(int64_t due_s, int64_t now_s, bool has_files, bool was_just_done);
