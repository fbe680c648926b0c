#include "kube/api_auth_files.h"

#include "base/fd.h"

#define AUTH_FILE_MAX_BYTES (1 * MiB)

static const char *const fields[] = {
    [AUTH_FILE_CA] = "certificate-authority",
    [AUTH_FILE_CERT] = "client-certificate",
    [AUTH_FILE_KEY] = "client-key",
    [AUTH_FILE_TOKEN] = "tokenFile",
};
_Static_assert(ARRAY_SIZE(fields) == AUTH_FILE_COUNT, "name every file");

const char *auth_file_field(enum auth_file file)
{
    return fields[file];
}

void auth_wipe_text(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

struct auth_file_job *auth_file_job_new_certificates(const struct kubeconfig *config)
{
    struct auth_file_job *job = xcalloc(1, sizeof(*job));
    job->path[AUTH_FILE_CA] = config->ca_data ? NULL : xstrdup(config->ca_file);
    job->path[AUTH_FILE_CERT] = config->cert_data ? NULL : xstrdup(config->cert_file);
    job->path[AUTH_FILE_KEY] = config->key_data ? NULL : xstrdup(config->key_file);
    return job;
}

struct auth_file_job *auth_file_job_new_token(const struct kubeconfig *config)
{
    struct auth_file_job *job = xcalloc(1, sizeof(*job));
    job->path[AUTH_FILE_TOKEN] = xstrdup(config->token_file);
    return job;
}

void auth_file_job_read_blocking(void *job_memory)
{
    struct auth_file_job *job = job_memory;
    for (size_t i = 0; i < AUTH_FILE_COUNT && !job->err; i++) {
        if (!job->path[i])
            continue;
        buf_init(&job->content[i], AUTH_FILE_MAX_BYTES);
        job->err = error_wrap(fd_read_file_blocking(job->path[i], &job->content[i]),
                              "unable to read %s", fields[i]);
    }
}

void auth_file_job_free(void *job_memory)
{
    struct auth_file_job *job = job_memory;
    for (size_t i = 0; i < AUTH_FILE_COUNT; i++) {
        free(job->path[i]);
        if (job->content[i].data)
            explicit_bzero(job->content[i].data, job->content[i].len);
        buf_done(&job->content[i]);
    }
    error_free(job->err);
    free(job);
}
