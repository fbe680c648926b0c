/*
 * One record per pod that has ever been woken:
 *
 *     CLEAN ──wake──► WOKEN ──look──► QUEUED ──turn──► SENDING ──answer──► WOKEN
 *                       ▲                │                │ refused: GET, then once more
 *                       └── WAITING ◄────┴─ the same once more: not within STATUS_RETRY_NS
 *
 * A wake looks at the pod in the next turn and queues it by importance. When its turn comes the
 * patch is made of what is so then; a pod the server has all of becomes CLEAN, or is deleted for
 * good. Every answer leads to another look, so that a request needs to know nothing of what comes
 * after it.
 *
 * What the server has is the newer one of what the watch told and what the last request answered,
 * by resourceVersion; the latter is dropped as soon as the watch has caught up.
 *
 * Failures:
 * - No answer, or one that says the server is not well: the gate closes. Nothing is sent but one
 *   probe after each of growing waits, until anything is answered; then all goes on by importance.
 * - A refusal: someone has changed the pod, so it is read and tried again; the second one in a row
 *   waits. A request that was answered, either way, is not repeated for STATUS_RETRY_NS unless it
 *   is another one by then: neither a server that drops a field nor a pod it refuses is asked in a
 *   circle.
 * - The server has no such pod: nothing more is sent until the watch has another state of it.
 */
#include "pod/status_manager_internal.h"

#define DEFAULT_PARALLEL 32
#define SENDS_PER_TURN 64

/* --- lists --- */

static void unlink_entry(struct status_entry *entry)
{
    if (entry->list)
        DL_DELETE(*entry->list, entry);
    entry->list = NULL;
}

/* By order_ns; what comes now mostly belongs to the end. */
static void link_entry(struct status_entry *entry, struct status_entry **list, int64_t order_ns)
{
    entry->list = list;
    entry->order_ns = order_ns;
    struct status_entry *before = *list ? (*list)->prev : NULL;
    while (before && before->order_ns > order_ns)
        before = before == *list ? NULL : before->prev;
    DL_APPEND_ELEM(*list, before, entry);
}

void status_entry_set_state(struct status_entry *entry, enum status_entry_state state)
{
    struct status_manager *manager = entry->manager;
    unlink_entry(entry);
    manager->pending += entry->state == STATUS_ENTRY_CLEAN && state != STATUS_ENTRY_CLEAN;
    manager->pending -= entry->state != STATUS_ENTRY_CLEAN && state == STATUS_ENTRY_CLEAN;
    manager->under_way += entry->state != STATUS_ENTRY_SENDING && state == STATUS_ENTRY_SENDING;
    manager->under_way -= entry->state == STATUS_ENTRY_SENDING && state != STATUS_ENTRY_SENDING;
    entry->state = state;
}

static bool may_send(const struct status_manager *manager)
{
    if (manager->is_troubled)
        return !manager->probe &&
               loop_now_mono_ns(manager->options.loop) >= manager->closed_until_ns;
    return manager->under_way < manager->options.max_parallel;
}

static bool is_queue_empty(const struct status_manager *manager)
{
    for (size_t i = 0; i < STATUS_COUNT; i++) {
        if (manager->queues[i])
            return false;
    }
    return true;
}

void status_manager_arm(struct status_manager *manager)
{
    int64_t now_ns = loop_now_mono_ns(manager->options.loop), due_ns = INT64_MAX;
    if (manager->waiting)
        due_ns = manager->waiting->order_ns;
    if (manager->woken || (!is_queue_empty(manager) && may_send(manager)))
        due_ns = now_ns;
    else if (!is_queue_empty(manager) && manager->is_troubled && !manager->probe)
        due_ns = min_i64(due_ns, manager->closed_until_ns);
    if (due_ns == INT64_MAX)
        loop_timer_cancel(manager->timer);
    else
        loop_timer_start(manager->timer, due_ns - now_ns);
}

void status_entry_wake(struct status_entry *entry)
{
    struct status_manager *manager = entry->manager;
    int64_t now_ns = loop_now_mono_ns(manager->options.loop);
    if (entry->state == STATUS_ENTRY_CLEAN)
        entry->since_ns = now_ns;
    status_entry_set_state(entry, STATUS_ENTRY_WOKEN);
    link_entry(entry, &manager->woken, now_ns);
}

void status_entry_wait(struct status_entry *entry, int64_t due_ns)
{
    status_entry_set_state(entry, STATUS_ENTRY_WAITING);
    link_entry(entry, &entry->manager->waiting, due_ns);
}

/* --- records --- */

static struct status_entry *find(const struct status_manager *manager, const char *uid)
{
    struct status_entry *entry;
    HASH_FIND(hh, manager->entries, uid, strlen(uid), entry);
    return entry;
}

static struct status_entry *entry_new(struct status_manager *manager, const char *uid)
{
    size_t len = strlen(uid);
    struct status_entry *entry = xcalloc(1, sizeof(*entry) + len + 1);
    entry->manager = manager;
    memcpy(entry->uid, uid, len);
    HASH_ADD_KEYPTR(hh, manager->entries, entry->uid, len, entry);
    return entry;
}

void status_entry_free(struct status_entry *entry)
{
    struct status_manager *manager = entry->manager;
    api_call_cancel(TAKE(entry->call));
    status_entry_set_state(entry, STATUS_ENTRY_CLEAN);
    if (manager->probe == entry)
        manager->probe = NULL;
    HASH_DEL(manager->entries, entry);
    kube_object_unref(TAKE(entry->about));
    kube_object_unref(TAKE(entry->known));
    free(entry->over_uid);
    free(entry->over_version);
    free(entry);
}

/* --- turns --- */

/* Queues a woken pod by what there is to tell of it. */
static void look(struct status_entry *entry)
{
    struct status_report report = {0};
    struct status_manager *manager = entry->manager;
    if (!manager->options.report(manager->options.ctx, entry->uid, &report)) {
        status_entry_free(entry);
        return;
    }
    const struct kube_object *object = status_entry_server_has(entry, &report);
    status_entry_set_state(entry, object ? STATUS_ENTRY_QUEUED : STATUS_ENTRY_CLEAN);
    if (object)
        link_entry(entry, &manager->queues[status_importance_of(&report, object)], entry->since_ns);
}

/* The most important one. A probe is better not one that has made the server unwell before: else a
 * single pod could keep all others waiting. */
static struct status_entry *next_queued(const struct status_manager *manager)
{
    struct status_entry *best = NULL;
    for (size_t i = 0; i < STATUS_COUNT; i++) {
        struct status_entry *entry;
        DL_FOREACH(manager->queues[i], entry) {
            if (!best || entry->troubles < best->troubles)
                best = entry;
            if (best->troubles == 0 || !manager->is_troubled)
                return best;
        }
    }
    return best;
}

static void on_timer(void *ctx)
{
    struct status_manager *manager = ctx;
    int64_t now_ns = loop_now_mono_ns(manager->options.loop);
    while (manager->waiting && manager->waiting->order_ns <= now_ns)
        status_entry_wake(manager->waiting);
    while (manager->woken)
        look(manager->woken);
    for (size_t sends = 0; sends < SENDS_PER_TURN && may_send(manager); sends++) {
        struct status_entry *entry = next_queued(manager);
        if (!entry)
            break;
        status_entry_send(entry);
    }
    status_manager_arm(manager);
}

/* --- the door --- */

/* From a change to the server's having it. */
static const double sync_bounds[] = {0.01, 0.05, 0.1, 0.5, 1, 5, 10, 20, 30, 45, 60};
const struct metric_info status_sync_seconds = {
    .name = "kubelet_pod_status_sync_duration_seconds",
    .help = "[ALPHA] Duration in seconds to sync a pod status update. Measures time from detection "
            "of a change to pod status until the API is successfully updated for that pod, even if "
            "multiple intevening changes to pod status occur.",
    .type = METRIC_HISTOGRAM,
    METRIC_BOUNDS(sync_bounds)};

struct status_manager *status_manager_new(const struct status_manager_options *options)
{
    struct status_manager *manager = xcalloc(1, sizeof(*manager));
    manager->options = *options;
    manager->options.max_parallel =
        options->max_parallel ? options->max_parallel : DEFAULT_PARALLEL;
    manager->kind = kube_kind_find("v1", "Pod");
    manager->options_kind = kube_kind_find("v1", "DeleteOptions");
    manager->sync_seconds = metrics_family(options->metrics, &status_sync_seconds);
    manager->timer = loop_timer_new(options->loop, "pod statuses", on_timer, manager);
    return manager;
}

void status_manager_free(struct status_manager *manager)
{
    if (!manager)
        return;
    struct status_entry *entry, *next;
    HASH_ITER(hh, manager->entries, entry, next) {
        status_entry_free(entry);
    }
    loop_timer_free(manager->timer);
    error_free(manager->error);
    free(manager);
}

void status_manager_wake(struct status_manager *manager, const char *uid)
{
    struct status_entry *entry = find(manager, uid);
    if (!entry)
        entry = entry_new(manager, uid);
    if (entry->state == STATUS_ENTRY_SENDING)
        return; /* its answer wakes it */
    status_entry_wake(entry);
    status_manager_arm(manager);
}

void status_manager_forget(struct status_manager *manager, const char *uid)
{
    struct status_entry *entry = find(manager, uid);
    if (!entry)
        return;
    status_entry_free(entry);
    status_manager_arm(manager);
}

size_t status_manager_pending(const struct status_manager *manager)
{
    return manager->pending;
}

const struct error *status_manager_error(const struct status_manager *manager)
{
    return manager->error;
}
