/*
 * Container entries of the status (spec pods.md §8.5). Each entry starts as "waiting", or as what
 * it was; the newest two instances of the runtime overwrite it; what is due to start but could not
 * becomes waiting with the reason.
 */
#include "pod/status_internal.h"

#include "base/buf.h"
#include "kube/resources.h"
#include "pod/stop_signal.h"
#include "wire/doc.h"

/* kubelet_pods.go: exit code of what was lost from sight. */
#define EXIT_CODE_UNKNOWN 137
/* prober_manager.go: containers this much older than the agent keep their readiness. */
#define AGENT_START_SLACK_NS (10 * NS_PER_SEC)
#define MESSAGE_TOTAL_MAX_BYTES 12288 /* container/runtime.go MaxPodTerminationMessageLogLength */

#define REASON_UNKNOWN "ContainerStatusUnknown"

struct build {
    const struct status_input *input;
    struct arena *arena;
    size_t message_max; /* bytes of a termination message */
    bool restarts_all;  /* containers are taken away in order to begin anew */
    enum { LIST_REGULAR, LIST_INIT, LIST_EPHEMERAL } list;
};

Meta__Time *status_time(int64_t wall_ns, struct arena *arena)
{
    Meta__Time *time = STATUS_NEW(arena, Meta__Time, meta__time__descriptor);
    time->has_seconds = true;
    time->seconds = wall_ns / NS_PER_SEC; /* whole seconds: finer parts are not shown anywhere */
    time->has_nanos = true;               /* as it is when it comes back from the API server */
    return time;
}

bool status_is_terminated(const Core__ContainerStatus *entry)
{
    return entry && entry->state && entry->state->terminated;
}

bool status_is_running(const Core__ContainerStatus *entry)
{
    return entry && entry->state && entry->state->running;
}

Core__ContainerStatus *status_find(Core__ContainerStatus *const *list, size_t count,
                                   const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (text_eq(list[i]->name, name))
            return list[i];
    }
    return NULL;
}

static const Core__ContainerStatus *old_entry(const struct build *build, const char *name)
{
    const Core__PodStatus *old = build->input->old;
    if (!old)
        return NULL;
    switch (build->list) {
    case LIST_REGULAR:
        return status_find(old->container_statuses, old->n_container_statuses, name);
    case LIST_INIT:
        return status_find(old->init_container_statuses, old->n_init_container_statuses, name);
    case LIST_EPHEMERAL:
        return status_find(old->ephemeral_container_statuses, old->n_ephemeral_container_statuses,
                           name);
    }
    return NULL;
}

/* --- states --- */

static Core__ContainerState *waiting(struct arena *arena, const char *reason, const char *message)
{
    Core__ContainerState *state =
        STATUS_NEW(arena, Core__ContainerState, core__container_state__descriptor);
    state->waiting =
        STATUS_NEW(arena, Core__ContainerStateWaiting, core__container_state_waiting__descriptor);
    if (reason && reason[0] != '\0')
        state->waiting->reason = arena_strdup(arena, reason);
    if (message && message[0] != '\0')
        state->waiting->message = arena_strdup(arena, message);
    return state;
}

Core__ContainerState *status_lost_state(struct arena *arena, const char *message)
{
    Core__ContainerState *state =
        STATUS_NEW(arena, Core__ContainerState, core__container_state__descriptor);
    Core__ContainerStateTerminated *end = STATUS_NEW(arena, Core__ContainerStateTerminated,
                                                     core__container_state_terminated__descriptor);
    end->has_exit_code = true;
    end->exit_code = EXIT_CODE_UNKNOWN;
    end->reason = arena_strdup(arena, REASON_UNKNOWN);
    end->message = arena_strdup(arena, message);
    state->terminated = end;
    return state;
}

static const char *scheme_id(const struct build *build, const struct container_observed *instance)
{
    return arena_printf(build->arena, "%s://%s", build->input->runtime_name, instance->id);
}

/*
 * @message as it may be shown: no longer than the container's share, and text, which the last bytes
 * a container wrote need not be. What is no UTF-8 becomes U+FFFD here already: the API server would
 * have it so, and the two would never agree.
 */
static char *shown_message(const struct build *build, const char *message)
{
    static const char replacement[] = "\xef\xbf\xbd";
    struct buf text;
    buf_init(&text, build->message_max);
    for (size_t left = strlen(message); left > 0;) {
        size_t len = doc_utf8_length((const unsigned char *)message, left);
        size_t step = len > 0 ? len : 1;
        struct str shown = len > 0 ? (struct str){message, len} : str_from(replacement);
        if (text.len + shown.len > build->message_max)
            break;
        buf_add_str(&text, shown);
        message += step;
        left -= step;
    }
    char *copy = text.len > 0 ? arena_strdup(build->arena, buf_text(&text)) : NULL;
    buf_done(&text);
    return copy;
}

/* The share may have become smaller since: containers are added for debugging. */
static void limit_message(const struct build *build, Core__ContainerState *state)
{
    Core__ContainerStateTerminated *end = state ? state->terminated : NULL;
    if (end && end->message && strlen(end->message) > build->message_max)
        end->message = shown_message(build, end->message);
}

static Core__ContainerState *exited(const struct build *build,
                                    const struct container_observed *instance)
{
    struct arena *arena = build->arena;
    Core__ContainerState *state =
        STATUS_NEW(arena, Core__ContainerState, core__container_state__descriptor);
    Core__ContainerStateTerminated *end = STATUS_NEW(arena, Core__ContainerStateTerminated,
                                                     core__container_state_terminated__descriptor);
    end->has_exit_code = true;
    end->exit_code = instance->exit_code;
    if (instance->reason[0] != '\0')
        end->reason = arena_strdup(arena, instance->reason);
    end->message = shown_message(build, instance->message);
    end->started_at = status_time(instance->started_ns, arena);
    end->finished_at = status_time(instance->finished_ns, arena);
    end->container_id = arena_strdup(arena, scheme_id(build, instance));
    state->terminated = end;
    return state;
}

/* The runtime cannot tell what became of one that ran. */
static Core__ContainerState *lost_state(const struct build *build)
{
    Core__ContainerState *state = status_lost_state(
        build->arena, "The container could not be located when the pod was terminated");
    if (build->restarts_all)
        state->terminated->reason = arena_strdup(build->arena, REASON_RESTARTING_ALL);
    return state;
}

static Core__ContainerState *instance_state(const struct build *build,
                                            const struct container_observed *instance,
                                            const Core__ContainerStatus *old)
{
    struct arena *arena = build->arena;
    switch (instance->state) {
    case CONTAINER_RUNNING: {
        Core__ContainerState *state =
            STATUS_NEW(arena, Core__ContainerState, core__container_state__descriptor);
        state->running = STATUS_NEW(arena, Core__ContainerStateRunning,
                                    core__container_state_running__descriptor);
        state->running->started_at = status_time(instance->started_ns, arena);
        return state;
    }
    case CONTAINER_EXITED:
        return exited(build, instance);
    case CONTAINER_UNKNOWN:
        return status_is_running(old) ? lost_state(build) : waiting(arena, NULL, NULL);
    case CONTAINER_CREATED:
        return waiting(arena, NULL, NULL);
    }
    return waiting(arena, NULL, NULL);
}

/* --- one entry --- */

static Core__ContainerState *empty_state(struct arena *arena)
{
    return STATUS_NEW(arena, Core__ContainerState, core__container_state__descriptor);
}

static Core__ContainerState *copy_state(const Core__ContainerState *state, struct arena *arena)
{
    return state ? (Core__ContainerState *)(void *)kube_message_dup(&state->base, arena)
                 : empty_state(arena);
}

static void set_restarts(Core__ContainerStatus *entry, int32_t count)
{
    entry->has_restart_count = true;
    entry->restart_count = count;
}

static Core__ContainerStatus *new_entry(const struct build *build, const Core__Container *container,
                                        const Core__ContainerStatus *old)
{
    struct arena *arena = build->arena;
    if (status_is_terminated(old))
        return (Core__ContainerStatus *)(void *)kube_message_dup(&old->base, arena);
    Core__ContainerStatus *entry =
        STATUS_NEW(arena, Core__ContainerStatus, core__container_status__descriptor);
    bool has_init = build->input->pod->spec->n_init_containers > 0;
    entry->name = arena_strdup(arena, container->name);
    entry->image = arena_strdup(arena, container->image);
    entry->image_id = arena_strdup(arena, "");
    entry->state = waiting(arena, has_init ? "PodInitializing" : "ContainerCreating", NULL);
    status_fill_mounts(build->input, entry, container, arena);
    set_restarts(entry, old && old->has_restart_count ? old->restart_count : 0);
    entry->last_state = copy_state(old ? old->last_state : NULL, arena);
    return entry;
}

/* It ran when last seen and now the runtime does not know it. */
static void note_vanished(const struct build *build, Core__ContainerStatus *entry,
                          const Core__ContainerStatus *old)
{
    if (!status_is_running(old) || entry->last_state->terminated)
        return;
    entry->last_state =
        status_lost_state(build->arena, "The container could not be located when the pod was "
                                        "deleted.  The container used to be Running");
    const Meta__ObjectMeta *meta = build->input->pod->metadata;
    if (!meta->deletion_timestamp && !build->input->terminated)
        set_restarts(entry, entry->restart_count + 1);
}

/* It was taken away in order to begin anew (spec pods.md §5.8). */
static void note_taken_away(const struct build *build, Core__ContainerStatus *entry,
                            const Core__ContainerStatus *old)
{
    static const char message[] = "The container is removed because RestartAllContainers in place";
    const Core__ContainerStateWaiting *before = old && old->state ? old->state->waiting : NULL;
    if (!old || (before && !text_eq(before->reason, REASON_RESTARTING_ALL)))
        return; /* there was nothing to be taken away */
    entry->state = waiting(build->arena, REASON_RESTARTING_ALL, message);
    if (before)
        return; /* that was noted already */
    entry->last_state = status_lost_state(build->arena, message);
    entry->last_state->terminated->reason = arena_strdup(build->arena, REASON_RESTARTING_ALL);
    set_restarts(entry, entry->restart_count + 1);
}

/* Never below what was shown; one more when an instance was lost from sight or its count does not
 * tell of its start. */
static int32_t restarts_of(const struct container_observed *instance,
                           const Core__ContainerStatus *old, bool is_new)
{
    int32_t shown = old && old->has_restart_count ? old->restart_count : 0;
    bool lost_sight = instance->state == CONTAINER_UNKNOWN && status_is_running(old);
    bool uncounted = is_new && instance->state == CONTAINER_RUNNING && status_is_terminated(old) &&
                     shown >= instance->restart_count;
    if (lost_sight || uncounted)
        return shown + 1;
    return instance->restart_count > shown ? instance->restart_count : shown;
}

static void apply_newest(const struct build *build, Core__ContainerStatus *entry,
                         const struct container_observed *instance,
                         const Core__Container *container, const Core__ContainerStatus *old)
{
    struct arena *arena = build->arena;
    const char *id = scheme_id(build, instance);
    bool is_new = !old || !text_eq(old->container_id, id);
    entry->last_state = copy_state(is_new && status_is_terminated(old) ? old->state
                                   : old                               ? old->last_state
                                                                       : NULL,
                                   arena);
    /* What was told to be lost stays so until more is known. */
    bool is_still_lost =
        instance->state == CONTAINER_UNKNOWN && !is_new && status_is_terminated(old);
    entry->state =
        is_still_lost ? copy_state(old->state, arena) : instance_state(build, instance, old);
    entry->container_id = arena_strdup(arena, id);
    entry->image = arena_strdup(arena, instance->image);
    entry->image_id = arena_strdup(arena, instance->image_ref);
    set_restarts(entry, restarts_of(instance, old, is_new));
    status_fill_resources(entry, container, instance, arena);
    status_fill_user(entry, instance, arena);
    if (build->input->stop_signals)
        entry->stop_signal = arena_strdup(arena, stop_signal_name(instance->stop_signal));
}

static const struct start_result *failed_start(const struct status_input *input, const char *name)
{
    for (size_t i = 0; i < input->n_results; i++) {
        if (input->results[i].reason && text_eq(input->results[i].container, name))
            return &input->results[i];
    }
    return NULL;
}

/* What should run but could not be started shows why; the end of its last run moves to lastState.
 */
static void show_failed_start(const struct build *build, Core__ContainerStatus *entry,
                              const Core__Container *container,
                              const struct container_observed *newest)
{
    const struct status_input *input = build->input;
    bool done = build->list == LIST_INIT && newest && newest->state == CONTAINER_EXITED &&
                newest->exit_code == 0 && !container_is_sidecar(container);
    const struct start_result *result = failed_start(input, container->name);
    if (done || !result || input->final || !container_should_start(input->pod, container, newest))
        return;
    if (entry->state->terminated)
        entry->last_state = entry->state;
    entry->state = waiting(build->arena, result->reason, result->message);
}

static bool some_regular_was_created(const struct status_input *input)
{
    for (size_t i = 0; i < input->pod->spec->n_containers; i++) {
        if (pod_observed_newest(input->have, input->pod->spec->containers[i]->name))
            return true;
    }
    return false;
}

/* A plain init container that was removed from the runtime after its work was done. */
static void infer_completed(const struct build *build, Core__ContainerStatus *entry,
                            const Core__Container *container)
{
    if (build->list != LIST_INIT || build->restarts_all || container_is_sidecar(container) ||
        !entry->state->waiting || !some_regular_was_created(build->input))
        return;
    Core__ContainerStateTerminated *end = STATUS_NEW(build->arena, Core__ContainerStateTerminated,
                                                     core__container_state_terminated__descriptor);
    end->has_exit_code = true;
    end->reason = arena_strdup(build->arena, "Completed");
    end->message =
        arena_strdup(build->arena, "Unable to get init container status from container runtime and "
                                   "pod has been initialized, treat it as exited normally");
    entry->state = empty_state(build->arena);
    entry->state->terminated = end;
}

/* --- started and ready (spec pods.md §7.4) --- */

static const struct container_note *note_of(const struct status_input *input, const char *name)
{
    static const struct container_note none = {.name = ""};
    for (size_t i = 0; i < input->n_notes; i++) {
        if (text_eq(input->notes[i].name, name))
            return &input->notes[i];
    }
    return &none;
}

static void set_started_ready(const struct build *build, Core__ContainerStatus *entry,
                              const Core__Container *container,
                              const struct container_observed *newest,
                              const Core__ContainerStatus *old)
{
    if (build->list == LIST_EPHEMERAL) { /* nobody waits for it: it is neither */
        entry->has_ready = true;
        entry->ready = false;
        return;
    }
    const struct container_note *note = note_of(build->input, container->name);
    bool running = status_is_running(entry);
    bool survived =
        newest && build->input->agent_started_ns - newest->started_ns > AGENT_START_SLACK_NS;
    /* What a probe has said counts more, and of a young container it is asked again. */
    bool was_started = survived && note->startup == PROBE_UNKNOWN && old && old->has_started &&
                       old->started && text_eq(old->container_id, entry->container_id);
    bool started = running && (!note->has_startup || note->startup == PROBE_SUCCESS || was_started);
    bool ready = started;
    if (ready && note->has_readiness)
        ready = note->readiness == PROBE_SUCCESS ||
                (note->readiness == PROBE_UNKNOWN && survived && old && old->ready);
    if (build->list == LIST_INIT && !container_is_sidecar(container))
        ready = status_is_terminated(entry) && entry->state->terminated->exit_code == 0;
    entry->has_started = entry->has_ready = true;
    entry->started = started;
    entry->ready = ready;
}

static Core__ContainerStatus *build_entry(const struct build *build,
                                          const Core__Container *container)
{
    const struct pod_observed *have = build->input->have;
    const Core__ContainerStatus *old = old_entry(build, container->name);
    const struct container_observed *newest = pod_observed_newest(have, container->name);
    const struct container_observed *previous = pod_observed_previous(have, container->name);
    Core__ContainerStatus *entry = new_entry(build, container, old);
    if (newest)
        apply_newest(build, entry, newest, container, old);
    else if (build->restarts_all && build->list != LIST_EPHEMERAL)
        note_taken_away(build, entry, old);
    else
        note_vanished(build, entry, old);
    if (previous && previous->state == CONTAINER_EXITED) /* one that never ran has no last state */
        entry->last_state = instance_state(build, previous, NULL);
    if (!newest)
        infer_completed(build, entry, container);
    show_failed_start(build, entry, container, newest);
    limit_message(build, entry->state);
    limit_message(build, entry->last_state);
    set_started_ready(build, entry, container, newest, old);
    return entry;
}

static int by_name(const void *a, const void *b)
{
    const Core__ContainerStatus *const *left = a, *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

static void fill_ephemeral(const struct build *build, Core__PodStatus *status)
{
    const Core__PodSpec *spec = build->input->pod->spec;
    size_t count = spec->n_ephemeral_containers;
    if (count == 0)
        return;
    Core__ContainerStatus **list = arena_calloc(build->arena, count, sizeof(void *));
    status->ephemeral_container_statuses = list;
    for (size_t i = 0; i < count; i++) {
        const Core__EphemeralContainer *ephemeral = spec->ephemeral_containers[i];
        if (ephemeral_container_name(ephemeral)[0] != '\0')
            list[status->n_ephemeral_container_statuses++] =
                build_entry(build, ephemeral_as_container(ephemeral, build->arena));
    }
    qsort(list, status->n_ephemeral_container_statuses, sizeof(void *), by_name);
}

void status_fill_containers(const struct status_input *input, Core__PodStatus *status,
                            struct arena *arena)
{
    const Core__PodSpec *spec = input->pod->spec;
    size_t total = spec->n_containers + spec->n_init_containers + spec->n_ephemeral_containers;
    struct build build = {.input = input,
                          .arena = arena,
                          .restarts_all = pod_told_restarting_all(input->old) ||
                                          pod_restarts_all(input->pod, input->have, input->old),
                          .message_max = MESSAGE_TOTAL_MAX_BYTES / (total > 0 ? total : 1)};
    status->n_container_statuses = spec->n_containers;
    status->container_statuses = arena_calloc(arena, spec->n_containers + 1, sizeof(void *));
    for (size_t i = 0; i < spec->n_containers; i++)
        status->container_statuses[i] = build_entry(&build, spec->containers[i]);
    qsort(status->container_statuses, status->n_container_statuses, sizeof(void *), by_name);
    build.list = LIST_EPHEMERAL;
    fill_ephemeral(&build, status);

    build.list = LIST_INIT;
    status->n_init_container_statuses = spec->n_init_containers;
    status->init_container_statuses =
        arena_calloc(arena, spec->n_init_containers + 1, sizeof(void *));
    for (size_t i = 0; i < spec->n_init_containers; i++)
        status->init_container_statuses[i] = build_entry(&build, spec->init_containers[i]);
}
