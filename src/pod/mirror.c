/*
 * A slot for each full name: the static pods that have or had it, and the mirror the API source has
 * told of it. What changes a slot wakes it; in the next turn one look decides what is to be done:
 *
 *     a static pod of the name still ends       nothing: its mirror stays
 *     a mirror, but no static pod               delete it
 *     a mirror that is being deleted,
 *       or is that of another manifest          delete it, then create
 *     a static pod, but no mirror               create one, once the node's uid is known
 *
 * A slot has one request under way at a time. What the server answers is not what is believed: a
 * mirror is there when the source tells it, so that one that came and went unseen (a relist can
 * hide that) is missed and made again. The one exception is a mirror the server has deleted for us,
 * whose uid is remembered until the source has told its end as well.
 *
 * Requests of one name are kept apart, by a second after a creation and by a wait that grows after
 * failures: neither somebody who deletes each new mirror nor a server that refuses makes it spin.
 * "AlreadyExists" is a failure like any other: if that is the mirror that is wanted, the source
 * will tell, and nothing is left to be done.
 */
#include "pod/mirror.h"

#include "base/hash.h"
#include "base/log.h"
#include "kube/jitter.h"
#include "pod/mirror_pod.h"

#define FIRST_RETRY_NS (1 * NS_PER_SEC)
#define DEFAULT_RETRY_NS (10 * NS_PER_SEC)
/* With its jitter less than the 5 s within which a server that is back is to be used again. */
#define UNREACHED_RETRY_NS (3 * NS_PER_SEC)
#define RETRY_JITTER_PERMILLE 500
#define CREATION_PAUSE_NS (1 * NS_PER_SEC)

/* A static pod, by uid. */
struct claim {
    struct slot *slot;
    struct claim *prev, *next; /* the slot's claims, the newest last */
    struct pod_object *object;
    bool is_ending;
    UT_hash_handle hh; /* manager->claims */
    char uid[];
};

enum request { REQUEST_NONE, REQUEST_CREATE, REQUEST_DELETE };

struct slot {
    struct mirror_manager *manager;
    struct claim *claims;
    struct kube_object *mirror; /* as last told by the source; NULL: none */
    char *deleted_uid;          /* of a mirror that is told but no longer there, or NULL */

    enum request request; /* under way */
    struct api_call *call;
    char *request_uid; /* DELETE: the mirror's */

    struct growing_wait wait;
    int64_t not_before_ns;  /* mono: of the next request */
    int64_t expected_by_ns; /* mono: until then a mirror just created may be told; 0: none was */
    int64_t due_ns;         /* mono: of the next look; INT64_MAX: when woken */
    bool has_failed;
    enum error_code failed_as; /* what was logged of the last failure */

    /* What on_mirror was told last, for whom. */
    const struct claim *told_for;
    struct kube_object *told;

    bool is_woken;
    UT_hash_handle hh; /* manager->slots */
    char name[];       /* "<namespace>/<name>" */
};

struct mirror_manager {
    struct mirror_options options;
    char *node_name;
    char *node_uid; /* last known; NULL: not */
    const struct kube_kind *kind;
    struct claim *claims; /* hash head by uid */
    struct slot *slots;   /* hash head by full name */
    struct loop_timer *timer;
    bool is_ready;
    bool is_woken; /* the timer is armed for the next turn */
    bool is_freed;
};

/* --- slots and claims --- */

static void wake(struct slot *slot)
{
    struct mirror_manager *manager = slot->manager;
    slot->is_woken = true;
    if (manager->is_woken || manager->is_freed)
        return;
    manager->is_woken = true;
    loop_timer_start(manager->timer, 0);
}

static struct slot *find_slot(const struct mirror_manager *manager, const char *namespace_,
                              const char *name)
{
    AUTO(free) char *key = xasprintf("%s/%s", namespace_, name);
    struct slot *slot;
    HASH_FIND_STR(manager->slots, key, slot);
    return slot;
}

static struct slot *ensure_slot(struct mirror_manager *manager, const char *namespace_,
                                const char *name)
{
    struct slot *slot = find_slot(manager, namespace_, name);
    if (slot)
        return slot;
    AUTO(free) char *key = xasprintf("%s/%s", namespace_, name);
    size_t size = strlen(key) + 1;
    slot = xcalloc(1, sizeof(*slot) + size);
    memcpy(slot->name, key, size);
    slot->manager = manager;
    slot->due_ns = INT64_MAX;
    HASH_ADD_STR(manager->slots, name, slot);
    return slot;
}

static struct claim *find_claim(const struct mirror_manager *manager, const char *uid)
{
    struct claim *claim;
    HASH_FIND_STR(manager->claims, uid, claim);
    return claim;
}

static void forget_told(struct slot *slot)
{
    kube_object_unref(TAKE(slot->told));
    slot->told_for = NULL;
}

static void claim_free(struct mirror_manager *manager, struct claim *claim)
{
    struct slot *slot = claim->slot;
    if (slot->told_for == claim)
        forget_told(slot);
    DL_DELETE(slot->claims, claim);
    HASH_DEL(manager->claims, claim);
    pod_object_unref(claim->object);
    free(claim);
    wake(slot);
}

/* @slot is in no table and has no claims any more. */
static void slot_free(struct slot *slot)
{
    forget_told(slot);
    api_call_cancel(slot->call);
    kube_object_unref(slot->mirror);
    free(slot->deleted_uid);
    free(slot->request_uid);
    free(slot);
}

/* The static pod that a mirror is to be of: the newest, unless it ends; and whether any still ends.
 */
static struct claim *wanted(const struct slot *slot, bool *ret_any_ends)
{
    struct claim *claim, *newest = NULL;
    *ret_any_ends = false;
    DL_FOREACH(slot->claims, claim) {
        if (claim->is_ending)
            *ret_any_ends = true;
        else
            newest = claim;
    }
    return newest;
}

/* The mirror that is there. */
static const struct kube_object *present(const struct slot *slot)
{
    bool is_there = slot->mirror && !text_eq(kube_object_uid(slot->mirror), slot->deleted_uid);
    return is_there ? slot->mirror : NULL;
}

static bool is_of(const struct kube_object *mirror, const struct claim *claim)
{
    return mirror_pod_is_of((const Core__Pod *)mirror->message, claim->object->pod);
}

static const struct kube_object *mirror_for(const struct claim *claim)
{
    const struct kube_object *mirror = present(claim->slot);
    return mirror && is_of(mirror, claim) ? mirror : NULL;
}

/* --- answers --- */

static int64_t longest_wait(const struct mirror_manager *manager)
{
    return manager->options.retry_ns > 0 ? manager->options.retry_ns : DEFAULT_RETRY_NS;
}

/* Something went well. */
static void start_over(struct slot *slot)
{
    slot->wait = (struct growing_wait){0};
    slot->has_failed = false;
}

/* The next request has to wait, longer each time. */
static void hold_back(struct slot *slot, bool is_unreached)
{
    const struct mirror_manager *manager = slot->manager;
    int64_t max_ns = longest_wait(manager);
    if (is_unreached)
        max_ns = min_i64(max_ns, UNREACHED_RETRY_NS);
    struct growing_wait_policy policy = {.initial_ns = min_i64(FIRST_RETRY_NS, max_ns),
                                         .max_ns = max_ns,
                                         .jitter_permille = RETRY_JITTER_PERMILLE};
    int64_t now_ns = loop_now_mono_ns(manager->options.loop);
    slot->wait.next_ns = min_i64(slot->wait.next_ns, max_ns);
    slot->not_before_ns =
        sat_add_i64(now_ns, growing_wait_next(&slot->wait, &policy, now_ns, jitter_draw()));
}

/* The same failure again and again is said once. */
static void note_failure(struct slot *slot, const struct error *err, const char *message)
{
    bool is_known = slot->has_failed && slot->failed_as == err->code;
    slot->has_failed = true;
    slot->failed_as = err->code;
    if (!is_known || log_is_verbose(4))
        log_error(message, LOG_STR("pod", slot->name), LOG_ERR(err));
}

static void on_created(void *ctx, struct api_result *result)
{
    struct slot *slot = ctx;
    slot->call = NULL;
    slot->request = REQUEST_NONE;
    wake(slot);
    if (result->err) {
        hold_back(slot, result->http_status == 0);
        note_failure(slot, result->err, "Failed creating a mirror pod");
        return;
    }
    int64_t now_ns = loop_now_mono_ns(slot->manager->options.loop);
    start_over(slot);
    slot->not_before_ns = sat_add_i64(now_ns, CREATION_PAUSE_NS);
    slot->expected_by_ns = sat_add_i64(now_ns, longest_wait(slot->manager));
}

/* Conflict: it is another one by now, which the source will tell. */
static void on_deleted(void *ctx, struct api_result *result)
{
    struct slot *slot = ctx;
    AUTO(free) char *uid = TAKE(slot->request_uid);
    slot->call = NULL;
    slot->request = REQUEST_NONE;
    wake(slot);
    if (!result->err || error_is(result->err, ERROR_NOT_FOUND)) {
        free(slot->deleted_uid);
        slot->deleted_uid = TAKE(uid);
        start_over(slot);
        return;
    }
    hold_back(slot, result->http_status == 0);
    if (!error_is(result->err, ERROR_ABORTED))
        note_failure(slot, result->err, "Failed deleting a mirror pod");
}

/* --- requests --- */

static void start_create(struct slot *slot, const struct claim *claim)
{
    struct mirror_manager *manager = slot->manager;
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__Pod *pod =
        mirror_pod_of(claim->object->pod, manager->node_name, manager->node_uid, arena);
    log_v(3, "Creating a mirror pod for static pod", LOG_STR("pod", slot->name),
          LOG_STR("podUID", claim->uid));
    slot->expected_by_ns = 0;
    slot->request = REQUEST_CREATE;
    slot->call = api_call_start(manager->options.client,
                                &(struct api_request){.verb = API_CREATE,
                                                      .kind = manager->kind,
                                                      .namespace_ = pod->metadata->namespace_,
                                                      .body = &pod->base},
                                on_created, slot);
}

/* At once, and only that very one: a pod that has its name meanwhile is none of ours. */
static void start_delete(struct slot *slot, const struct kube_object *mirror)
{
    struct mirror_manager *manager = slot->manager;
    Meta__Preconditions preconditions = META__PRECONDITIONS__INIT;
    Meta__DeleteOptions options = META__DELETE_OPTIONS__INIT;
    slot->request_uid = xstrdup(kube_object_uid(mirror));
    preconditions.uid = slot->request_uid;
    options.has_grace_period_seconds = true;
    options.grace_period_seconds = 0;
    options.preconditions = &preconditions;
    log_v(2, "Deleting a mirror pod", LOG_STR("pod", slot->name),
          LOG_STR("podUID", slot->request_uid));
    slot->request = REQUEST_DELETE;
    slot->call = api_call_start(manager->options.client,
                                &(struct api_request){.verb = API_DELETE,
                                                      .kind = manager->kind,
                                                      .namespace_ = kube_object_namespace(mirror),
                                                      .name = kube_object_name(mirror),
                                                      .body = &options.base},
                                on_deleted, slot);
}

/* --- the look --- */

/* What is to be asked of the server next. *ret_claim: CREATE: for whom. */
static enum request plan(const struct slot *slot, const struct claim **ret_claim)
{
    bool any_ends;
    const struct claim *claim = wanted(slot, &any_ends);
    const struct kube_object *mirror = present(slot);
    *ret_claim = claim;
    if (!slot->manager->is_ready || slot->request != REQUEST_NONE || any_ends)
        return REQUEST_NONE;
    if (!claim)
        return mirror ? REQUEST_DELETE : REQUEST_NONE;
    if (!mirror)
        return slot->manager->node_uid ? REQUEST_CREATE : REQUEST_NONE;
    bool stays = !mirror->meta->deletion_timestamp && is_of(mirror, claim);
    return stays ? REQUEST_NONE : REQUEST_DELETE;
}

/* Says what has changed for the static pod. The listener may free the manager. */
static void tell(struct mirror_manager *manager, struct slot *slot)
{
    bool any_ends;
    const struct claim *claim = wanted(slot, &any_ends);
    const struct kube_object *mirror = claim ? mirror_for(claim) : NULL;
    bool is_other_pod = claim != slot->told_for;
    if (!is_other_pod && mirror == slot->told)
        return;
    forget_told(slot);
    slot->told_for = claim;
    slot->told = kube_object_ref(mirror);
    if (!claim || (!mirror && is_other_pod))
        return;
    /* Claim and mirror may be gone before the listener returns. */
    AUTO(pod_object) struct pod_object *object = pod_object_ref(claim->object);
    AUTO(kube_object) const struct kube_object *held = kube_object_ref(mirror);
    manager->options.on_mirror(manager->options.ctx, object->pod->metadata->uid, held);
}

/* When the slot has to be looked at again (mono); INT64_MAX: when it is woken. */
static int64_t act(struct slot *slot, int64_t now_ns)
{
    const struct claim *claim;
    enum request request = plan(slot, &claim);
    int64_t due_ns = slot->not_before_ns;
    switch (request) {
    case REQUEST_NONE:
        break;
    case REQUEST_CREATE:
        due_ns = max_i64(due_ns, slot->expected_by_ns);
        if (due_ns > now_ns)
            return due_ns;
        start_create(slot, claim);
        break;
    case REQUEST_DELETE:
        if (due_ns > now_ns)
            return due_ns;
        start_delete(slot, present(slot));
        break;
    }
    return INT64_MAX;
}

static bool is_empty(const struct slot *slot)
{
    return !slot->claims && !slot->mirror && slot->request == REQUEST_NONE;
}

static void on_turn(void *ctx)
{
    struct mirror_manager *manager = ctx;
    int64_t now_ns = loop_now_mono_ns(manager->options.loop), next_ns = INT64_MAX;
    struct slot *slot, *following;
    manager->is_woken = false;
    /* Slots are freed nowhere else, so `following` is there whatever the listener does. */
    HASH_ITER(hh, manager->slots, slot, following) {
        if (slot->is_woken || slot->due_ns <= now_ns) {
            slot->is_woken = false;
            tell(manager, slot);
            if (manager->is_freed)
                return;
            slot->due_ns = act(slot, now_ns);
        }
        next_ns = min_i64(next_ns, slot->due_ns);
        if (is_empty(slot)) {
            HASH_DEL(manager->slots, slot);
            slot_free(slot);
        }
    }
    if (!manager->is_woken && next_ns < INT64_MAX)
        loop_timer_start(manager->timer, sat_sub_i64(next_ns, now_ns));
}

/* --- life --- */

struct mirror_manager *mirror_manager_new(const struct mirror_options *options)
{
    struct mirror_manager *manager = xcalloc(1, sizeof(*manager));
    *manager = (struct mirror_manager){.options = *options,
                                       .node_name = xstrdup(options->node_name),
                                       .kind = kube_kind_find("v1", "Pod")};
    manager->timer = loop_timer_new(options->loop, "mirror pods", on_turn, manager);
    return manager;
}

static void release(void *memory)
{
    struct mirror_manager *manager = memory;
    struct claim *claim = manager->claims;
    HASH_CLEAR(hh, manager->claims);
    while (claim) {
        struct claim *next = claim->hh.next;
        pod_object_unref(claim->object);
        free(claim);
        claim = next;
    }
    struct slot *slot = manager->slots;
    HASH_CLEAR(hh, manager->slots);
    while (slot) {
        struct slot *next = slot->hh.next;
        slot_free(slot);
        slot = next;
    }
    free(manager->node_name);
    free(manager->node_uid);
    free(manager);
}

void mirror_manager_free(struct mirror_manager *manager)
{
    if (!manager)
        return;
    manager->is_freed = true;
    loop_timer_free(TAKE(manager->timer));
    struct slot *slot, *following;
    HASH_ITER(hh, manager->slots, slot, following) {
        api_call_cancel(TAKE(slot->call));
    }
    loop_defer_free(manager->options.loop, release, manager);
}

/* --- what is told --- */

static bool has_name_of(const struct claim *claim, const Meta__ObjectMeta *meta)
{
    const Meta__ObjectMeta *known = claim->object->pod->metadata;
    return text_eq(known->namespace_, meta->namespace_) && text_eq(known->name, meta->name);
}

static void add_claim(struct mirror_manager *manager, struct pod_object *object)
{
    const Meta__ObjectMeta *meta = object->pod->metadata;
    struct slot *slot = ensure_slot(manager, meta->namespace_, meta->name);
    size_t size = strlen(meta->uid) + 1;
    struct claim *claim = xcalloc(1, sizeof(*claim) + size);
    memcpy(claim->uid, meta->uid, size);
    claim->slot = slot;
    claim->object = pod_object_ref(object);
    DL_APPEND(slot->claims, claim);
    HASH_ADD_STR(manager->claims, uid, claim);
    wake(slot);
}

void mirror_want(struct mirror_manager *manager, struct pod_object *object)
{
    struct claim *claim = find_claim(manager, object->pod->metadata->uid);
    if (claim && claim->object == object && !claim->is_ending)
        return;
    if (claim && !has_name_of(claim, object->pod->metadata)) {
        claim_free(manager, claim);
        claim = NULL;
    }
    if (!claim) {
        add_claim(manager, object);
        return;
    }
    struct pod_object *before = claim->object;
    claim->object = pod_object_ref(object);
    pod_object_unref(before);
    if (claim->is_ending) { /* wanted anew: the newest */
        claim->is_ending = false;
        DL_DELETE(claim->slot->claims, claim);
        DL_APPEND(claim->slot->claims, claim);
    }
    wake(claim->slot);
}

void mirror_unwant(struct mirror_manager *manager, const char *static_uid, bool terminating)
{
    struct claim *claim = find_claim(manager, static_uid);
    if (!claim || (terminating && claim->is_ending))
        return;
    if (!terminating) {
        claim_free(manager, claim);
        return;
    }
    claim->is_ending = true;
    wake(claim->slot);
}

void mirror_gone(struct mirror_manager *manager, const char *static_uid)
{
    mirror_unwant(manager, static_uid, false);
}

void mirror_seen(struct mirror_manager *manager, const struct kube_object *object)
{
    struct slot *slot =
        ensure_slot(manager, kube_object_namespace(object), kube_object_name(object));
    if (slot->mirror == object)
        return;
    kube_object_unref(slot->mirror);
    slot->mirror = kube_object_ref(object);
    if (present(slot))
        slot->expected_by_ns = 0;
    wake(slot);
}

void mirror_vanished(struct mirror_manager *manager, const struct kube_object *object)
{
    struct slot *slot = find_slot(manager, kube_object_namespace(object), kube_object_name(object));
    if (!slot || !slot->mirror || !text_eq(kube_object_uid(slot->mirror), kube_object_uid(object)))
        return;
    kube_object_unref(TAKE(slot->mirror));
    free(TAKE(slot->deleted_uid));
    wake(slot);
}

void mirror_ready(struct mirror_manager *manager)
{
    if (manager->is_ready)
        return;
    manager->is_ready = true;
    mirror_node_changed(manager);
    struct slot *slot, *following;
    HASH_ITER(hh, manager->slots, slot, following) {
        wake(slot);
    }
}

void mirror_node_changed(struct mirror_manager *manager)
{
    const char *uid = manager->options.node_uid(manager->options.ctx);
    if (uid && *uid == '\0')
        uid = NULL;
    if (uid ? text_eq(uid, manager->node_uid) : !manager->node_uid)
        return;
    free(manager->node_uid);
    manager->node_uid = xstrdup(uid);
    struct slot *slot, *following;
    HASH_ITER(hh, manager->slots, slot, following) {
        slot->not_before_ns = 0;
        start_over(slot);
        wake(slot);
    }
}

const struct kube_object *mirror_of(const struct mirror_manager *manager, const char *static_uid)
{
    const struct claim *claim = find_claim(manager, static_uid);
    return claim ? mirror_for(claim) : NULL;
}
