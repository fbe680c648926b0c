/*
 * What the sources want, merged (spec pods.md §1.8): which pods have a worker, and with which
 * object. A pod that is new is admitted first (admit.c); one that has changed in its status alone
 * is only remembered.
 */
#include "pod/op.h"

#include "kube/codec.h"
#include "kube/pod_references.h"
#include "pod/probing.h"

#include "meta.pb-c.h"

/* --- orphans --- */

bool pods_sources_are_ready(const struct pods *pods)
{
    return (pods->env.sources & ~pods->ready_sources) == 0;
}

void pods_end_orphans(struct pods *pods)
{
    if (!pods->listed || !pods_sources_are_ready(pods))
        return;
    struct pod_worker *worker, *next;
    HASH_ITER(hh, pods->workers, worker, next) {
        if (worker->object || worker->want.life != POD_LIFE_SYNC)
            continue;
        metric_add(pods->metrics.families[POD_METRIC_ORPHANED_PODS], 1, NULL);
        pod_worker_terminate(worker, true);
    }
    pods_sweep_start(pods);
}

void pods_source_ready(struct pods *pods, enum pod_source source)
{
    pods->ready_sources |= 1U << source;
    pods_end_orphans(pods);
}

/* --- what has changed --- */

enum change {
    CHANGE_NONE,
    CHANGE_STATUS,   /* status, resourceVersion and the like: nothing to do for it */
    CHANGE_METADATA, /* labels or annotations: content made of them */
    CHANGE_SPEC,     /* the spec, or that the pod is to end */
};

/* The members of metadata that matter to a node. Shallow. */
static Meta__ObjectMeta labels_of(const Core__Pod *pod)
{
    const Meta__ObjectMeta *meta = pod->metadata;
    Meta__ObjectMeta bare = META__OBJECT_META__INIT;
    bare.labels = meta->labels;
    bare.n_labels = meta->n_labels;
    bare.annotations = meta->annotations;
    bare.n_annotations = meta->n_annotations;
    return bare;
}

static Meta__ObjectMeta deletion_of(const Core__Pod *pod)
{
    const Meta__ObjectMeta *meta = pod->metadata;
    Meta__ObjectMeta bare = META__OBJECT_META__INIT;
    bare.deletion_timestamp = meta->deletion_timestamp;
    bare.has_deletion_grace_period_seconds = meta->has_deletion_grace_period_seconds;
    bare.deletion_grace_period_seconds = meta->deletion_grace_period_seconds;
    return bare;
}

static enum change change_between(const Core__Pod *old, const Core__Pod *pod)
{
    Meta__ObjectMeta old_deletion = deletion_of(old), deletion = deletion_of(pod);
    if (!kube_message_eq(&old->spec->base, &pod->spec->base) ||
        !kube_message_eq(&old_deletion.base, &deletion.base))
        return CHANGE_SPEC;
    Meta__ObjectMeta old_labels = labels_of(old), labels = labels_of(pod);
    if (!kube_message_eq(&old_labels.base, &labels.base))
        return CHANGE_METADATA;
    return kube_message_eq(&old->base, &pod->base) ? CHANGE_NONE : CHANGE_STATUS;
}

static bool has_same_mounts(Core__Container *const *a, Core__Container *const *b, size_t count)
{
    bool is_same = true;
    for (size_t i = 0; is_same && i < count; i++) {
        is_same = a[i]->n_volume_mounts == b[i]->n_volume_mounts;
        for (size_t k = 0; is_same && k < a[i]->n_volume_mounts; k++)
            is_same = kube_message_eq(&a[i]->volume_mounts[k]->base, &b[i]->volume_mounts[k]->base);
    }
    return is_same;
}

/* Volumes, which of them are mounted, and who may read them. */
bool pod_spec_has_same_volumes(const Core__PodSpec *a, const Core__PodSpec *b)
{
    bool is_same = a->n_volumes == b->n_volumes && !a->security_context == !b->security_context &&
                   a->n_containers == b->n_containers &&
                   a->n_init_containers == b->n_init_containers &&
                   a->n_ephemeral_containers == b->n_ephemeral_containers;
    for (size_t i = 0; is_same && i < a->n_volumes; i++)
        is_same = kube_message_eq(&a->volumes[i]->base, &b->volumes[i]->base);
    return is_same && has_same_mounts(a->containers, b->containers, a->n_containers) &&
           has_same_mounts(a->init_containers, b->init_containers, a->n_init_containers) &&
           (!a->security_context ||
            kube_message_eq(&a->security_context->base, &b->security_context->base));
}

/* --- one pod --- */

static struct pod_worker *add_worker(struct pods *pods, struct pod_object *object)
{
    const Meta__ObjectMeta *meta = object->pod->metadata;
    struct pod_worker *worker = pod_worker_new(pods, meta->uid, meta->namespace_, meta->name);
    worker->observed = pods->listed && !pods->relist;
    worker->inspect_again = pods->listed && pods->relist;
    return worker;
}

static bool was_ended(const struct pod_worker *worker)
{
    const Core__PodStatus *api = worker->object->pod->status;
    return !pod_object_is_static(worker->object) && worker->want.life == POD_LIFE_SYNC && api &&
           status_is_terminal(api);
}

static void update(struct pod_worker *worker, struct pod_object *object, enum change change)
{
    if (change == CHANGE_NONE && worker->object->api == object->api)
        return;
    if (change == CHANGE_NONE || change == CHANGE_STATUS) {
        pod_worker_keep_object(worker, object);
        /* Others' conditions count for its own, and so does their saying that it is over. */
        if (object->pod->spec->n_readiness_gates > 0 || was_ended(worker))
            pod_worker_wake(worker);
        return;
    }
    log_info("Pod updated", LOG_POD(worker->namespace, worker->name),
             LOG_STR("podUID", worker->uid), LOG_STR("origin", object->origin));
    if (change == CHANGE_METADATA) {
        pod_worker_keep_object(worker, object);
        worker->volumes_stale = true;
        pod_worker_wake(worker);
        return;
    }
    pod_worker_set_object(worker, object);
}

void pods_put(struct pods *pods, struct pod_object *object)
{
    struct pod_worker *worker = pods_find(pods, object->pod->metadata->uid);
    if (worker && worker->want.removed) {
        /* The same uid came back while it is being ended: it starts anew once that is done. */
        pod_object_unref(worker->again);
        worker->again = pod_object_ref(object);
        return;
    }
    if (worker && worker->object) {
        update(worker, object, change_between(worker->object->pod, object->pod));
        return;
    }
    if (!worker)
        worker = add_worker(pods, object); /* else it was found in the runtime before */
    log_info("Pod added", LOG_POD(worker->namespace, worker->name), LOG_STR("podUID", worker->uid),
             LOG_STR("origin", object->origin));
    pod_worker_set_object(worker, object);
    pod_metrics_added(worker);
    pods_admit(worker);
}

static bool is_from(const struct pod_object *object, enum pod_source source)
{
    return object && object->source == source;
}

static void drop(struct pod_worker *worker, enum pod_source source)
{
    if (is_from(worker->again, source))
        pod_object_unref(TAKE(worker->again));
    if (worker->want.removed || !is_from(worker->object, source))
        return;
    log_info("Pod removed", LOG_POD(worker->namespace, worker->name),
             LOG_STR("podUID", worker->uid));
    pod_worker_terminate(worker, true);
}

void pods_drop(struct pods *pods, enum pod_source source, const char *uid)
{
    struct pod_worker *worker = pods_find(pods, uid);
    if (worker)
        drop(worker, source);
}

void pods_set_desired(struct pods *pods, enum pod_source source, struct pod_object *const *objects,
                      size_t count)
{
    struct pod_worker *worker, *next;
    HASH_ITER(hh, pods->workers, worker, next) {
        bool wanted = false;
        for (size_t i = 0; i < count && !wanted; i++)
            wanted = strcmp(objects[i]->pod->metadata->uid, worker->uid) == 0;
        if (!wanted)
            drop(worker, source);
    }
    for (size_t i = 0; i < count; i++)
        pods_put(pods, objects[i]);
    pods_source_ready(pods, source);
}

/* --- news about what pods are made of --- */

struct sought {
    bool is_secret;
    const char *name;
};

static bool is_another(void *ctx, bool is_secret, const char *name)
{
    const struct sought *sought = ctx;
    return is_secret != sought->is_secret || strcmp(name, sought->name) != 0;
}

static bool refers_to(const struct pod_worker *worker, bool is_secret, const char *name)
{
    struct sought sought = {.is_secret = is_secret, .name = name};
    return !pod_references_visit(worker->object->pod->spec, is_another, &sought);
}

void pods_object_changed(struct pods *pods, bool is_secret, const char *namespace_,
                         const char *name)
{
    struct pod_worker *worker, *next;
    HASH_ITER(hh, pods->workers, worker, next) {
        if (!worker->object || worker->want.life != POD_LIFE_SYNC ||
            strcmp(worker->namespace, namespace_) != 0 || !refers_to(worker, is_secret, name))
            continue;
        worker->volumes_stale = true;
        pod_worker_retry_now(worker);
    }
}

void pods_recover_status(struct pods *pods, const char *uid, const Core__PodStatus *status)
{
    struct pod_worker *worker = pods_find(pods, uid);
    /* Whether a static pod is over, its manifest and the runtime say. */
    if (worker && worker->object && pod_object_is_static(worker->object) && !worker->status &&
        !status_is_terminal(status))
        pod_worker_recover_status(worker, status);
}
