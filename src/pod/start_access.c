/*
 * Whether a pod may use an image that is there, and what its own pulls show of that: a container's
 * start as the pull records see it. Without them every pod may use every image.
 */
#include "pod/op_start.h"

#include "image/image_match.h"
#include "image/pull_records.h"

static struct pull_records *records_of(const struct pod_op *op)
{
    return op->worker->pods->env.pull_records;
}

static const char *repository_of(struct pod_op *op)
{
    struct str repository = image_repository(op->container->image, op->arena);
    return arena_strndup(op->arena, repository.ptr, repository.len);
}

/* --- logins as the records have them --- */

static struct pull_secret secret_of(struct pod_op *op, const struct image_credential *login)
{
    char hash[PULL_RECORD_HASH_SIZE];
    pull_credential_hash(login->username, login->password, login->email, hash);
    return (struct pull_secret){.uid = login->source.uid,
                                .namespace_ = login->source.namespace_,
                                .name = login->source.name,
                                .hash = arena_strdup(op->arena, hash)};
}

/* What these logins give the pod; one that is anybody's gives nothing that is its own. */
static struct pull_access *access_of(struct pod_op *op, const struct image_credential *logins,
                                     size_t count)
{
    struct pull_secret *secrets = arena_calloc(op->arena, count + 1, sizeof(*secrets));
    struct pull_account *accounts = arena_calloc(op->arena, count + 1, sizeof(*accounts));
    struct pull_access *access = arena_alloc(op->arena, sizeof(*access));
    for (size_t i = 0; i < count; i++) {
        const struct credential_source *source = &logins[i].source;
        switch (source->kind) {
        case CREDENTIAL_SOURCE_NONE:
            break;
        case CREDENTIAL_SOURCE_SECRET:
            secrets[access->n_secrets++] = secret_of(op, &logins[i]);
            break;
        case CREDENTIAL_SOURCE_SERVICE_ACCOUNT:
            accounts[access->n_accounts++] = (struct pull_account){
                .uid = source->uid, .namespace_ = source->namespace_, .name = source->name};
            break;
        }
    }
    access->secrets = secrets;
    access->accounts = accounts;
    return access;
}

/* --- may it --- */

static void decide(struct pod_op *op, const struct pull_known *known)
{
    const struct start *start = op->state;
    const char *repository = repository_of(op);
    const struct pull_access *own =
        start->has_logins ? access_of(op, start->logins, start->n_logins) : NULL;
    const struct pull_secret *note = NULL;
    switch (pull_records_check(records_of(op), known, repository, own, &note)) {
    case PULL_CHECK_POLICY_ALLOWS:
    case PULL_CHECK_RECORD_FOUND:
        if (note) {
            const struct pull_access access = {.secrets = note, .n_secrets = 1};
            const struct pull_proof proof = {
                .image_ref = start->image_ref, .repository = repository, .access = &access};
            pull_records_note(records_of(op), &proof);
        }
        start_image_allowed(op);
        return;
    case PULL_CHECK_MUST_AUTHENTICATE:
    case PULL_CHECK_ERROR:
        start_image_refused(op);
        return;
    case PULL_CHECK_NEEDS_ACCESS:
        start_image_find_logins(op);
        return;
    }
}

static void on_known(void *ctx, const struct pull_known *known)
{
    struct pod_op *op = ctx;
    ((struct start *)op->state)->request = NULL;
    decide(op, known);
}

void start_access_check(struct pod_op *op)
{
    struct start *start = op->state;
    struct pull_known known;
    if (!records_of(op)) {
        start_image_allowed(op);
        return;
    }
    op->step = START_ACCESS;
    if (pull_records_look(records_of(op), op->container->image, start->image_ref, &known))
        decide(op, &known);
    else
        start->request =
            pull_records_ask(records_of(op), op->container->image, start->image_ref, on_known, op);
}

/* --- a pull --- */

void start_access_enter(struct pod_op *op)
{
    struct start *start = op->state;
    if (!records_of(op))
        return;
    pull_records_enter(records_of(op), op->container->image);
    start->is_meant = true;
}

static void on_intended(void *ctx, struct error *err_owned)
{
    struct pod_op *op = ctx;
    AUTO(error) struct error *err = error_wrap(err_owned, "failed to record image pull intent");
    ((struct start *)op->state)->request = NULL;
    if (err)
        start_fail(op, err->message, err->message,
                   arena_printf(op->arena,
                                "Failed to record image pull intent for container image \"%s\": %s",
                                op->container->image, err->message));
    else
        start_image_intended(op);
}

void start_access_intend(struct pod_op *op)
{
    struct start *start = op->state;
    op->step = START_INTENT;
    if (start->is_meant)
        start->request =
            pull_records_write_intent(records_of(op), op->container->image, on_intended, op);
    if (!start->request)
        start_image_intended(op);
}

static void on_recorded(void *ctx)
{
    struct pod_op *op = ctx;
    ((struct start *)op->state)->request = NULL;
    start_image_recorded(op);
}

void start_access_pulled(struct pod_op *op)
{
    struct start *start = op->state;
    if (!start->is_meant) {
        start_image_recorded(op);
        return;
    }
    bool is_anonymous = start->n_tried == start->n_logins;
    struct pull_access *access =
        is_anonymous ? access_of(op, NULL, 0) : access_of(op, &start->logins[start->n_tried], 1);
    access->all_pods = access->n_secrets == 0 && access->n_accounts == 0;
    const struct pull_proof proof = {
        .image_ref = start->image_ref, .repository = repository_of(op), .access = access};
    start->is_meant = false;
    op->step = START_RECORD;
    start->request =
        pull_records_leave_pulled(records_of(op), op->container->image, &proof, on_recorded, op);
}

void start_access_release(struct pod_op *op)
{
    struct start *start = op->state;
    pull_request_cancel(TAKE(start->request));
    if (start->is_meant)
        pull_records_leave(records_of(op), op->container->image);
    start->is_meant = false;
}
