/* One pod's requests and what their answers mean; the states are those of status_manager.c. */
#include "pod/status_manager_internal.h"

#include "base/log.h"
#include "base/time.h"
#include "kube/resources.h"
#include "pod/status.h"
#include "pod/status_patch.h"

#define PATCH_MAX_BYTES (3 * MiB) /* what an API server reads of a request */

#define HTTP_NOT_FOUND 404
#define HTTP_CONFLICT 409
#define HTTP_UNPROCESSABLE 422
#define HTTP_TOO_MANY_REQUESTS 429
#define HTTP_BAD_GATEWAY 502
#define HTTP_GATEWAY_TIMEOUT 504

/* A server that returns hears of it within 5 s. */
static const struct growing_wait_policy gate_policy = {
    .initial_ns = 200 * NS_PER_MS, .max_ns = 4 * NS_PER_SEC, .jitter_permille = 200};

/* --- what the server has --- */

static uint64_t version_of(const struct kube_object *object)
{
    uint64_t version = 0;
    return parse_u64(kube_object_version(object), &version) ? version : 0;
}

static void forget_known(struct status_entry *entry)
{
    kube_object_unref(TAKE(entry->known));
}

static void set_over(struct status_entry *entry, const char *uid, const char *version)
{
    free(entry->over_uid);
    free(entry->over_version);
    entry->over_uid = xstrdup(uid);
    entry->over_version = xstrdup(version);
}

const struct kube_object *status_entry_server_has(struct status_entry *entry,
                                                  const struct status_report *report)
{
    const struct kube_object *api = report->api;
    if (entry->known && (!api || version_of(entry->known) <= version_of(api) ||
                         !text_eq(kube_object_uid(entry->known), kube_object_uid(api))))
        forget_known(entry);
    if (api && entry->over_uid && text_eq(entry->over_uid, kube_object_uid(api)) &&
        (!entry->over_version || text_eq(entry->over_version, kube_object_version(api))))
        return NULL;
    return entry->known ? entry->known : api;
}

static const Core__Pod *pod_of(const struct kube_object *object)
{
    return (const Core__Pod *)object->message;
}

static bool is_over(const Core__Pod *pod)
{
    return pod->status && status_is_terminal(pod->status);
}

/* Spec pods.md §8.9 "Final delete", once no status is left to be sent. */
static bool may_delete(const struct status_report *report, const struct kube_object *object)
{
    return report->finished && !report->is_static && !pod_is_mirror(pod_of(object)) &&
           object->meta->deletion_timestamp && is_over(pod_of(object));
}

enum status_importance status_importance_of(const struct status_report *report,
                                            const struct kube_object *object)
{
    if (may_delete(report, object))
        return STATUS_DELETE;
    if (report->status && status_is_terminal(report->status) && !report->could_run &&
        !is_over(pod_of(object)))
        return STATUS_TERMINAL;
    return report->is_critical ? STATUS_CRITICAL : STATUS_OTHER;
}

/* --- requests --- */

static void on_done(void *ctx, struct api_result *result);

static void start(struct status_entry *entry, const struct status_report *report,
                  const struct api_request *what, uint64_t hash)
{
    struct status_manager *manager = entry->manager;
    struct api_request request = *what;
    request.kind = manager->kind;
    request.namespace_ = report->namespace_;
    request.name = report->name;
    status_entry_set_state(entry, STATUS_ENTRY_SENDING);
    entry->verb = request.verb;
    entry->request_hash = hash;
    entry->about = kube_object_ref(report->api);
    if (manager->is_troubled)
        manager->probe = entry;
    entry->call = api_call_start(manager->options.client, &request, on_done, entry);
}

/* False: this very request was answered a short while ago, and waits. */
static bool may_repeat(struct status_entry *entry, uint64_t hash)
{
    int64_t now_ns = loop_now_mono_ns(entry->manager->options.loop);
    bool is_same = entry->held_hash == hash || entry->refusals > 1;
    if (!is_same || now_ns >= entry->held_until_ns)
        return true;
    status_entry_wait(entry, entry->held_until_ns);
    return false;
}

static void send_get(struct status_entry *entry, const struct status_report *report)
{
    if (entry->refusals > 1 && !may_repeat(entry, entry->held_hash))
        return;
    start(entry, report, &(struct api_request){.verb = API_GET}, 0);
}

static void send_patch(struct status_entry *entry, const struct status_report *report,
                       const struct buf *patch)
{
    uint64_t hash = hash_fnv1a_64(patch->data, patch->len);
    if (!may_repeat(entry, hash))
        return;
    start(entry, report,
          &(struct api_request){
              .verb = API_PATCH_STRATEGIC, .subresource = "status", .patch = buf_str(patch)},
          hash);
}

static void send_delete(struct status_entry *entry, const struct status_report *report,
                        const struct kube_object *object)
{
    uint64_t hash = hash_fnv1a_64("DELETE", sizeof("DELETE"));
    if (!may_repeat(entry, hash))
        return;
    Meta__Preconditions preconditions = META__PRECONDITIONS__INIT;
    Meta__DeleteOptions options = META__DELETE_OPTIONS__INIT;
    preconditions.uid = object->meta->uid;
    options.preconditions = &preconditions;
    options.has_grace_period_seconds = true;
    options.grace_period_seconds = 0;
    start(entry, report,
          &(struct api_request){
              .verb = API_DELETE, .body = &options.base, .body_kind = entry->manager->options_kind},
          hash);
}

static void note_error(struct status_manager *manager, struct error *err_owned)
{
    error_free(manager->error);
    manager->error = err_owned;
}

/* The patch in @out; false when it cannot be made, and the pod waits. */
static bool make_patch(struct status_entry *entry, const struct status_report *report,
                       const struct kube_object *object, struct buf *out, bool *ret_empty)
{
    struct status_manager *manager = entry->manager;
    *ret_empty = true;
    if (!report->status)
        return true;
    const struct status_patch_input input = {.api = pod_of(object),
                                             .status = report->status,
                                             .could_run = report->could_run,
                                             .now_ns = loop_now_wall_ns(manager->options.loop)};
    struct error *err = status_patch(&input, out, ret_empty);
    if (!err)
        return true;
    log_error("Failed to update status for pod", LOG_POD(report->namespace_, report->name),
              LOG_STR("podUID", entry->uid), LOG_ERR(err));
    note_error(manager, err);
    status_entry_wait(entry, sat_add_i64(loop_now_mono_ns(manager->options.loop), STATUS_RETRY_NS));
    return false;
}

/* The server has all of it. */
static void settle(struct status_entry *entry)
{
    entry->refusals = 0;
    status_entry_set_state(entry, STATUS_ENTRY_CLEAN);
}

void status_entry_send(struct status_entry *entry)
{
    struct status_report report = {0};
    const struct status_manager_options *options = &entry->manager->options;
    if (!options->report(options->ctx, entry->uid, &report)) {
        status_entry_free(entry);
        return;
    }
    const struct kube_object *object = status_entry_server_has(entry, &report);
    AUTO(buf) struct buf patch;
    bool is_empty;
    buf_init(&patch, PATCH_MAX_BYTES);
    if (!object) {
        status_entry_set_state(entry, STATUS_ENTRY_CLEAN);
    } else if (entry->must_read) {
        send_get(entry, &report);
    } else if (make_patch(entry, &report, object, &patch, &is_empty)) {
        if (!is_empty)
            send_patch(entry, &report, &patch);
        else if (may_delete(&report, object))
            send_delete(entry, &report, object);
        else
            settle(entry);
    }
}

/* --- answers --- */

static bool is_unwell(const struct api_result *result)
{
    unsigned status = result->http_status;
    if (!result->err)
        return false;
    if (status == 0) /* a request that cannot be made is nobody else's trouble */
        return !error_is(result->err, ERROR_INVALID_ARGUMENT) &&
               !error_is(result->err, ERROR_RESOURCE_EXHAUSTED);
    return status == HTTP_TOO_MANY_REQUESTS ||
           (status >= HTTP_BAD_GATEWAY && status <= HTTP_GATEWAY_TIMEOUT);
}

static const char *doing(enum api_verb verb)
{
    return verb == API_GET      ? "Failed to get status for pod"
           : verb == API_DELETE ? "Failed to delete status for pod"
                                : "Failed to update status for pod";
}

static void log_failure(const struct status_entry *entry, const struct error *err)
{
    log_error(doing(entry->verb),
              LOG_POD(kube_object_namespace(entry->about), kube_object_name(entry->about)),
              LOG_STR("podUID", entry->uid), LOG_ERR(err));
}

static void log_step(const struct status_entry *entry, int level, const char *message)
{
    log_v(level, message,
          LOG_POD(kube_object_namespace(entry->about), kube_object_name(entry->about)),
          LOG_STR("podUID", entry->uid));
}

/* Only the first failure and those of probes tell something about the server; others were sent
 * before it was known. */
static void on_trouble(struct status_entry *entry, const struct api_result *result, bool was_probe)
{
    struct status_manager *manager = entry->manager;
    if (!manager->is_troubled)
        log_failure(entry, result->err);
    if (!manager->is_troubled || was_probe) {
        int64_t now_ns = loop_now_mono_ns(manager->options.loop);
        manager->closed_until_ns = sat_add_i64(
            now_ns, growing_wait_next(&manager->gate, &gate_policy, now_ns, jitter_draw()));
    }
    manager->is_troubled = true;
    entry->troubles += result->http_status != 0; /* a lost connection is no pod's fault */
    status_entry_wake(entry);
}

static void on_refusal(struct status_entry *entry, const struct api_result *result)
{
    unsigned status = result->http_status;
    entry->must_read =
        entry->verb == API_GET || status == HTTP_CONFLICT || status == HTTP_UNPROCESSABLE;
    entry->refusals++;
    log_failure(entry, result->err);
    status_entry_wake(entry);
}

/* Nothing more is sent of the API's object, as long as the watch has it in this version or,
 * @for_good, ever. */
static void end_object(struct status_entry *entry, bool for_good)
{
    forget_known(entry);
    set_over(entry, kube_object_uid(entry->about),
             for_good ? NULL : kube_object_version(entry->about));
    entry->must_read = false;
    entry->refusals = 0;
    /* What the watch has by now may be another one. */
    status_entry_wake(entry);
}

/* An object of the server, by GET or as the answer to a PATCH. */
static void on_object(struct status_entry *entry, const ProtobufCMessage *message)
{
    Meta__ObjectMeta *meta = kube_object_meta(message);
    if (!meta || !text_eq(meta->uid, entry->about->meta->uid)) {
        log_step(entry, 2, "Pod was deleted and then recreated, skipping status update");
        end_object(entry, false);
        return;
    }
    meta->n_managed_fields = 0; /* nobody here reads them */
    forget_known(entry);
    entry->known = kube_object_new(entry->manager->kind, message);
    entry->must_read = false;
    status_entry_wake(entry);
}

static void on_success(struct status_entry *entry, const struct api_result *result)
{
    if (entry->verb == API_DELETE) {
        log_step(entry, 3, "Pod fully terminated and removed from etcd");
        end_object(entry, true); /* finalizers may keep it; nothing more is done for it */
        return;
    }
    int64_t now_ns = loop_now_mono_ns(entry->manager->options.loop);
    int64_t took_ns = now_ns - entry->since_ns;
    entry->since_ns = now_ns;
    if (entry->verb == API_PATCH_STRATEGIC) {
        metric_observe(entry->manager->sync_seconds, time_seconds(took_ns), NULL);
        log_step(entry, 3, "Status for pod updated successfully");
        entry->refusals = 0;
    }
    on_object(entry, result->object);
}

/* What was answered is not sent again at once, whatever the answer. */
static void hold(struct status_entry *entry, bool is_refused)
{
    if (entry->verb != API_GET)
        entry->held_hash = entry->request_hash;
    if (entry->verb != API_GET || is_refused)
        entry->held_until_ns =
            sat_add_i64(loop_now_mono_ns(entry->manager->options.loop), STATUS_RETRY_NS);
}

static void take_answer(struct status_entry *entry, const struct api_result *result, bool was_probe)
{
    struct status_manager *manager = entry->manager;
    bool is_gone = result->http_status == HTTP_NOT_FOUND && result->status;
    note_error(manager, is_gone ? NULL : error_dup(result->err));
    if (is_unwell(result)) {
        on_trouble(entry, result, was_probe);
        return;
    }
    manager->is_troubled = false;
    manager->gate = (struct growing_wait){0};
    entry->troubles = 0;
    hold(entry, result->err != NULL);
    if (is_gone) {
        log_step(entry, 3, "Pod does not exist on the server");
        end_object(entry, false);
    } else if (result->err) {
        on_refusal(entry, result);
    } else {
        on_success(entry, result);
    }
}

/* Every answer wakes the pod, also for what has changed meanwhile. */
static void on_done(void *ctx, struct api_result *result)
{
    struct status_entry *entry = ctx;
    struct status_manager *manager = entry->manager;
    bool was_probe = manager->probe == entry;
    entry->call = NULL;
    if (was_probe)
        manager->probe = NULL;
    take_answer(entry, result, was_probe);
    kube_object_unref(TAKE(entry->about));
    status_manager_arm(manager);
}
