/* What a worker remembers of what went wrong, and of each container of its pod. */
#include "kube/resources.h"
#include "pod/pods_internal.h"

/* --- notes and results, one per container of the spec --- */

static void free_notes(struct pod_worker *worker)
{
    for (size_t i = 0; i < worker->n_notes; i++) {
        free((char *)(uintptr_t)worker->results[i].reason);
        free((char *)(uintptr_t)worker->results[i].message);
    }
    free(worker->notes);
    free(worker->results);
    worker->notes = NULL;
    worker->results = NULL;
    worker->n_notes = 0;
}

/* The name of container @index: init containers first, then regular, then ephemeral ones. */
static const char *container_name(const Core__PodSpec *spec, size_t index)
{
    if (index < spec->n_init_containers)
        return spec->init_containers[index]->name;
    index -= spec->n_init_containers;
    if (index < spec->n_containers)
        return spec->containers[index]->name;
    return ephemeral_container_name(spec->ephemeral_containers[index - spec->n_containers]);
}

/* Notes follow the spec. What is known of a name that stays is kept. */
void pod_worker_renew_notes(struct pod_worker *worker)
{
    const Core__PodSpec *spec = worker->object->pod->spec;
    size_t count = spec->n_init_containers + spec->n_containers + spec->n_ephemeral_containers;
    struct container_note *notes = xcalloc(count, sizeof(*notes));
    struct start_result *results = xcalloc(count, sizeof(*results));
    for (size_t i = 0; i < count; i++) {
        const char *name = container_name(spec, i);
        for (size_t old = 0; old < worker->n_notes; old++) {
            if (!text_eq(worker->notes[old].name, name))
                continue;
            notes[i] = worker->notes[old];
            results[i].reason = TAKE(worker->results[old].reason);
            results[i].message = TAKE(worker->results[old].message);
        }
        notes[i].name = results[i].container = name;
    }
    free_notes(worker);
    worker->notes = notes;
    worker->results = results;
    worker->n_notes = count;
}

struct container_note *pod_worker_note(struct pod_worker *worker, const char *name)
{
    for (size_t i = 0; i < worker->n_notes; i++) {
        if (text_eq(worker->notes[i].name, name))
            return &worker->notes[i];
    }
    return NULL;
}

void pod_worker_set_result(struct pod_worker *worker, const char *name, const char *reason,
                           const char *message)
{
    for (size_t i = 0; i < worker->n_notes; i++) {
        struct start_result *result = &worker->results[i];
        if (!text_eq(result->container, name))
            continue;
        char *new_reason = xstrdup(reason), *new_message = xstrdup(message);
        free((char *)(uintptr_t)result->reason);
        free((char *)(uintptr_t)result->message);
        result->reason = new_reason;
        result->message = new_message;
    }
}

/* --- cooldowns --- */

void pod_worker_cool_down(struct pod_worker *worker, const char *id, int64_t delay_ns)
{
    worker->cooldowns =
        xrealloc(worker->cooldowns, (worker->n_cooldowns + 1) * sizeof(*worker->cooldowns));
    worker->cooldowns[worker->n_cooldowns++] = (struct pod_cooldown){
        .id = xstrdup(id),
        .until_ns = sat_add_i64(loop_now_wall_ns(worker->pods->env.loop), delay_ns)};
}

void pod_worker_end_cooldowns(struct pod_worker *worker, int64_t now_ns)
{
    size_t kept = 0;
    for (size_t i = 0; i < worker->n_cooldowns; i++) {
        if (worker->cooldowns[i].until_ns > now_ns)
            worker->cooldowns[kept++] = worker->cooldowns[i];
        else
            free(worker->cooldowns[i].id);
    }
    worker->n_cooldowns = kept;
    if (kept == 0)
        worker->kill_failed = false;
}

int64_t pod_worker_cools_until(const struct pod_worker *worker, const char *id)
{
    for (size_t i = 0; i < worker->n_cooldowns; i++) {
        if (strcmp(worker->cooldowns[i].id, id) == 0)
            return worker->cooldowns[i].until_ns;
    }
    return 0;
}

/* --- pulls that failed --- */

struct pod_pull_failure {
    struct pod_pull_failure *next;
    char *text;
    char image[];
};

static struct pod_pull_failure *find_pull_failure(const struct pod_worker *worker,
                                                  const char *image)
{
    struct pod_pull_failure *failure = worker->pull_failures;
    while (failure && strcmp(failure->image, image) != 0)
        failure = failure->next;
    return failure;
}

void pod_worker_set_pull_failure(struct pod_worker *worker, const char *image, const char *text)
{
    struct pod_pull_failure *failure = find_pull_failure(worker, image);
    if (!failure && !text)
        return;
    if (!failure) {
        size_t len = strlen(image);
        failure = xcalloc(1, sizeof(*failure) + len + 1);
        memcpy(failure->image, image, len);
        LL_PREPEND(worker->pull_failures, failure);
    }
    free(failure->text);
    failure->text = xstrdup(text);
    if (text)
        return;
    LL_DELETE(worker->pull_failures, failure);
    free(failure);
}

const char *pod_worker_pull_failure(const struct pod_worker *worker, const char *image)
{
    const struct pod_pull_failure *failure = find_pull_failure(worker, image);
    return failure ? failure->text : NULL;
}

/* --- the end --- */

void pod_worker_forget(struct pod_worker *worker)
{
    free_notes(worker);
    for (size_t i = 0; i < worker->n_cooldowns; i++)
        free(worker->cooldowns[i].id);
    free(worker->cooldowns);
    worker->cooldowns = NULL;
    worker->n_cooldowns = 0;
    while (worker->pull_failures)
        pod_worker_set_pull_failure(worker, worker->pull_failures->image, NULL);
}
