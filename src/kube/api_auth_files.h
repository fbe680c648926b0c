/*
 * The files that credentials come from, read as a job of the worker pool: inputs copied in,
 * contents inside. Room-private. Reading: any thread.
 */
#pragma once

#include "base/buf.h"
#include "kube/kubeconfig.h"

enum auth_file { AUTH_FILE_CA, AUTH_FILE_CERT, AUTH_FILE_KEY, AUTH_FILE_TOKEN, AUTH_FILE_COUNT };

struct auth_file_job {
    char *path[AUTH_FILE_COUNT]; /* NULL: not to be read */
    struct buf content[AUTH_FILE_COUNT];
    struct error *err; /* the first file that could not be read: names field and path */
};

/** The certificates and key of @config as far as they are files (data wins). Owned by the caller.
 */
struct auth_file_job *auth_file_job_new_certificates(const struct kubeconfig *config);
/** The token file of @config. */
struct auth_file_job *auth_file_job_new_token(const struct kubeconfig *config);
/** Reads; for struct work_vtable. */
void auth_file_job_read_blocking(void *job);
/** Wipes the contents and frees; for struct work_vtable. */
void auth_file_job_free(void *job);
DEFINE_AUTO(auth_file_job, struct auth_file_job *, auth_file_job_free)

/** The kubeconfig's field for a file: "client-key". Static. */
const char *auth_file_field(enum auth_file file);
/** Overwrites a secret text, then frees it; NULL is fine. */
void auth_wipe_text(char *text);
