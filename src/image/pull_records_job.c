#include "image/pull_records_job.h"

#include "base/time.h"

struct pull_proof pull_proof_dup(const struct pull_proof *proof, struct arena *arena)
{
    struct pull_proof copy = {.image_ref = arena_strdup(arena, proof->image_ref),
                              .repository = arena_strdup(arena, proof->repository)};
    const struct pull_access *from = proof->access;
    if (!from)
        return copy;
    struct pull_access *access = arena_alloc(arena, sizeof(*access));
    struct pull_secret *secrets = arena_calloc(arena, from->n_secrets + 1, sizeof(*secrets));
    struct pull_account *accounts = arena_calloc(arena, from->n_accounts + 1, sizeof(*accounts));
    for (size_t i = 0; i < from->n_secrets; i++)
        secrets[i] =
            (struct pull_secret){.uid = arena_strdup(arena, from->secrets[i].uid),
                                 .namespace_ = arena_strdup(arena, from->secrets[i].namespace_),
                                 .name = arena_strdup(arena, from->secrets[i].name),
                                 .hash = arena_strdup(arena, from->secrets[i].hash)};
    for (size_t i = 0; i < from->n_accounts; i++)
        accounts[i] =
            (struct pull_account){.uid = arena_strdup(arena, from->accounts[i].uid),
                                  .namespace_ = arena_strdup(arena, from->accounts[i].namespace_),
                                  .name = arena_strdup(arena, from->accounts[i].name)};
    *access = (struct pull_access){.all_pods = from->all_pods,
                                   .secrets = secrets,
                                   .n_secrets = from->n_secrets,
                                   .accounts = accounts,
                                   .n_accounts = from->n_accounts};
    copy.access = access;
    return copy;
}

static void remove_intent(struct pull_job *job)
{
    struct pull_file *intent = &job->files[PULL_FOLDER_PULLING];
    pull_record_name(job->image, intent->name);
    intent->state = PULL_FILE_ABSENT;
    job->err = pull_disk_remove_blocking(job->dirs[PULL_FOLDER_PULLING], intent->name);
    job->has_file[PULL_FOLDER_PULLING] = !job->err;
}

static void write_intent(struct pull_job *job)
{
    struct pull_file *intent = &job->files[PULL_FOLDER_PULLING];
    AUTO(buf) struct buf text;
    buf_init(&text, PULL_RECORD_MAX_BYTES);
    pull_record_name(job->image, intent->name);
    job->err = pull_intent_encode(job->image, &text);
    if (!job->err)
        job->err =
            pull_disk_write_blocking(job->dirs[PULL_FOLDER_PULLING], intent->name, buf_str(&text));
    if (job->err)
        return;
    intent->state = PULL_FILE_READABLE;
    intent->text = str_from(arena_strdup(job->arena, buf_text(&text)));
    job->has_file[PULL_FOLDER_PULLING] = true;
}

static void merge_record(struct pull_job *job)
{
    job->err = pull_disk_merge_blocking(job->dirs[PULL_FOLDER_PULLED], &job->proof,
                                        time_wall_ns() / NS_PER_SEC, job->arena,
                                        &job->files[PULL_FOLDER_PULLED]);
    job->has_file[PULL_FOLDER_PULLED] = true;
    if (!job->err && job->takes_intent)
        remove_intent(job);
}

static void read_both(struct pull_job *job)
{
    const char *keys[] = {job->image, job->proof.image_ref};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        pull_record_name(keys[i], job->files[i].name);
        pull_disk_read_blocking(job->dirs[i], (enum pull_folder)i, job->arena, &job->files[i]);
        job->has_file[i] = true;
    }
}

static void list_both(struct pull_job *job)
{
    for (size_t i = 0; !job->err && i < ARRAY_SIZE(job->listings); i++)
        job->err = pull_disk_list_blocking(job->dirs[i], (enum pull_folder)i, job->max_files[i],
                                           job->arena, &job->listings[i]);
}

void pull_job_run_blocking(void *memory)
{
    struct pull_job *job = memory;
    switch (job->kind) {
    case PULL_REQUEST_READ:
        list_both(job);
        return;
    case PULL_REQUEST_READ_DONE:
        return;
    case PULL_REQUEST_KNOWN:
        read_both(job);
        return;
    case PULL_REQUEST_INTEND:
        write_intent(job);
        return;
    case PULL_REQUEST_LEAVE:
        remove_intent(job);
        return;
    case PULL_REQUEST_PULLED:
        merge_record(job);
        return;
    case PULL_REQUEST_PRUNE:
        job->err = pull_disk_prune_blocking(job->dirs[PULL_FOLDER_PULLED], job->arena, &job->prune);
        return;
    }
}

void pull_job_release(void *memory)
{
    struct pull_job *job = memory;
    error_free(job->err);
    arena_free(job->arena);
    free(job);
}
