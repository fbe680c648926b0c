#include "server/log_query.h"

#include "base/time.h"
#include "server/route.h"

static struct error *undecodable(void)
{
    return error_new(ERROR_INVALID_ARGUMENT, "Unable to decode query.");
}

static struct error *invalid(void)
{
    return error_new(ERROR_OUT_OF_RANGE, "Invalid request.");
}

static struct error *get_bool(const char *query, const char *key, struct arena *arena, bool *ret)
{
    const char *value;
    if (!route_query_get(query, key, arena, &value))
        return undecodable();
    *ret = route_query_bool(value);
    return NULL;
}

/* An integer of at least @low; *ret stays as it was when absent. */
static struct error *get_number(const char *query, const char *key, int64_t low,
                                struct arena *arena, int64_t *ret)
{
    const char *value;
    int64_t number;
    if (!route_query_get(query, key, arena, &value))
        return undecodable();
    if (!value)
        return NULL;
    if (!parse_i64(value, INT64_MIN, INT64_MAX, &number))
        return undecodable();
    if (number < low)
        return invalid();
    *ret = number;
    return NULL;
}

static struct error *get_tail(const char *query, struct arena *arena, int64_t *ret)
{
    struct error *err = get_number(query, "tailLines", 0, arena, ret);
    if (err)
        return err;
    const char *tail;
    if (!route_query_get(query, "tail", arena, &tail))
        return undecodable();
    if (!tail)
        return NULL;
    if (strcmp(tail, "all") == 0) {
        *ret = -1;
        return NULL;
    }
    return get_number(query, "tail", 0, arena, ret);
}

static struct error *get_since(const char *query, int64_t now_wall_ns, struct arena *arena,
                               int64_t *ret)
{
    int64_t seconds = 0;
    struct error *err = get_number(query, "sinceSeconds", 1, arena, &seconds);
    if (err)
        return err;
    const char *time;
    if (!route_query_get(query, "sinceTime", arena, &time))
        return undecodable();
    if (time && seconds > 0)
        return invalid();
    if (seconds > 0)
        *ret = sat_sub_i64(now_wall_ns, sat_mul_i64(seconds, NS_PER_SEC));
    if (!time)
        return NULL;
    err = time_parse_rfc3339(str_from(time), ret);
    if (!err)
        return NULL;
    error_ignore(err, "the specification has one text for all of them");
    return undecodable();
}

struct error *log_query_parse(const char *query, int64_t now_wall_ns, struct arena *arena,
                              struct log_query *ret)
{
    struct log_query parsed = {.tail_lines = -1, .limit_bytes = -1, .since_wall_ns = INT64_MIN};
    struct error *err = get_bool(query, "follow", arena, &parsed.follow);
    if (!err)
        err = get_bool(query, "previous", arena, &parsed.previous);
    if (!err)
        err = get_bool(query, "timestamps", arena, &parsed.timestamps);
    if (!err)
        err = get_tail(query, arena, &parsed.tail_lines);
    if (!err)
        err = get_number(query, "limitBytes", 1, arena, &parsed.limit_bytes);
    if (!err)
        err = get_since(query, now_wall_ns, arena, &parsed.since_wall_ns);
    if (!err)
        *ret = parsed;
    return err;
}

static bool has_container(const Core__PodSpec *spec, const char *name)
{
    for (size_t i = 0; i < spec->n_containers; i++) {
        if (text_eq(spec->containers[i]->name, name))
            return true;
    }
    for (size_t i = 0; i < spec->n_init_containers; i++) {
        if (text_eq(spec->init_containers[i]->name, name))
            return true;
    }
    for (size_t i = 0; i < spec->n_ephemeral_containers; i++) {
        const Core__EphemeralContainer *container = spec->ephemeral_containers[i];
        if (container->ephemeral_container_common &&
            text_eq(container->ephemeral_container_common->name, name))
            return true;
    }
    return false;
}

struct error *log_container_name(const Core__Pod *pod, const char *name, const char **ret)
{
    bool is_any = name[0] == '\0' || strcmp(name, "-") == 0;
    if (is_any && pod->spec->n_containers > 0) {
        *ret = pod->spec->containers[0]->name;
        return NULL;
    }
    if (!has_container(pod->spec, name))
        return error_new(ERROR_NOT_FOUND, "container \"%s\" not found in pod \"%s\"", name,
                         pod->metadata->name);
    *ret = name;
    return NULL;
}

static const Core__ContainerStatus *find_status(Core__ContainerStatus *const *statuses,
                                                size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (text_eq(statuses[i]->name, name))
            return statuses[i];
    }
    return NULL;
}

const Core__ContainerStatus *log_container_status(const Core__PodStatus *status,
                                                  const char *container)
{
    if (!status)
        return NULL;
    const Core__ContainerStatus *found =
        find_status(status->container_statuses, status->n_container_statuses, container);
    if (!found)
        found = find_status(status->init_container_statuses, status->n_init_container_statuses,
                            container);
    if (!found)
        found = find_status(status->ephemeral_container_statuses,
                            status->n_ephemeral_container_statuses, container);
    return found;
}

static bool is_set(const char *text)
{
    return text && text[0] != '\0';
}

static struct error *nothing_yet(const Core__ContainerStateWaiting *waiting, const char *container,
                                 const char *pod_name)
{
    const char *reason = waiting && waiting->reason ? waiting->reason : "";
    if (!waiting)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "container \"%s\" in pod \"%s\" is waiting to start - no logs yet",
                         container, pod_name);
    if (strcmp(reason, "ErrImagePull") == 0)
        reason = "image can't be pulled";
    else if (strcmp(reason, "ImagePullBackOff") == 0)
        reason = "trying and failing to pull image";
    return error_new(ERROR_FAILED_PRECONDITION,
                     "container \"%s\" in pod \"%s\" is waiting to start: %s", container, pod_name,
                     reason);
}

/*
 * A container that waits for its restart has one instance less than its status suggests: lastState
 * is then the newest there is, so "before newest" holds only beside an instance that is itself in
 * `state`.
 */
struct error *log_choose_instance(const Core__PodStatus *status, const char *pod_name,
                                  const char *container, bool previous, struct log_instance *ret)
{
    const Core__ContainerStatus *entry = log_container_status(status, container);
    if (!entry)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "container \"%s\" in pod \"%s\" is not available", container, pod_name);
    const Core__ContainerState *state = entry->state;
    const Core__ContainerStateTerminated *last =
        entry->last_state ? entry->last_state->terminated : NULL;
    const char *last_id = last && last->container_id ? last->container_id : "";
    bool has_current =
        state && (state->running || (state->terminated && is_set(state->terminated->container_id)));

    *ret = (struct log_instance){.before_newest = has_current, .container_id = last_id};
    if (previous) {
        if (!is_set(last_id))
            return error_new(ERROR_FAILED_PRECONDITION,
                             "previous terminated container \"%s\" in pod \"%s\" not found",
                             container, pod_name);
        return NULL;
    }
    ret->before_newest = false;
    if (state && state->running) {
        ret->running = true;
        ret->container_id = entry->container_id ? entry->container_id : "";
        return NULL;
    }
    if (has_current) {
        ret->container_id = state->terminated->container_id;
        return NULL;
    }
    if (is_set(last_id))
        return NULL;
    if (last || (state && state->terminated))
        return error_new(ERROR_FAILED_PRECONDITION, "container \"%s\" in pod \"%s\" is terminated",
                         container, pod_name);
    return nothing_yet(state ? state->waiting : NULL, container, pod_name);
}
