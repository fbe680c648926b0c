#include "server/log_query.h"

#include "base/time.h"
#include "server/pod_lookup.h"
#include "server/query.h"

static struct error *undecodable(void)
{
    return error_new(ERROR_INVALID_ARGUMENT, "Unable to decode query.");
}

static struct error *invalid(void)
{
    return error_new(ERROR_OUT_OF_RANGE, "Invalid request.");
}

struct number {
    bool is_given;
    int64_t value;
};

static struct error *decode_number(const char *text, struct number *ret)
{
    if (!text)
        return NULL;
    const char *digits = text[0] == '+' && text[1] != '-' ? text + 1 : text; /* as Go reads it */
    if (!parse_i64(digits, INT64_MIN, INT64_MAX, &ret->value))
        return undecodable();
    ret->is_given = true;
    return NULL;
}

/* The older parameter wins, unless it is empty. */
static struct error *decode_tail(const struct http_target *target, struct number *ret)
{
    const char *lines = http_target_param(target, "tailLines");
    const char *tail = http_target_param(target, "tail");
    if (tail && tail[0] != '\0')
        lines = strcmp(tail, "all") == 0 ? NULL : tail;
    return decode_number(lines, ret);
}

/* An empty time is given, but is no limit. */
static struct error *decode_time(const char *text, struct number *ret)
{
    ret->value = INT64_MIN;
    ret->is_given = text != NULL;
    if (!text || text[0] == '\0' || strcmp(text, "null") == 0)
        return NULL;
    int64_t seconds = 0;
    int32_t nanos = 0;
    struct error *err = time_parse_parts(str_from(text), &seconds, &nanos);
    ret->value = sat_add_i64(sat_mul_i64(seconds, NS_PER_SEC), nanos);
    if (!err)
        return NULL;
    error_ignore(err, "the specification has one text for all of them");
    return undecodable();
}

/* NULL: there is no such stream. */
static const char *known_stream(const char *name)
{
    static const char *const names[] = {"All", "Stdout", "Stderr"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (!name || strcmp(name, names[i]) == 0)
            return names[i];
    }
    return NULL;
}

static bool is_below(const struct number *number, int64_t low)
{
    return number->is_given && number->value < low;
}

struct error *log_query_parse(const struct http_target *target, int64_t now_wall_ns,
                              struct log_query *ret)
{
    struct number tail = {0}, limit = {0}, seconds = {0}, since = {0};
    struct error *err = decode_tail(target, &tail);
    if (!err)
        err = decode_number(http_target_param(target, "limitBytes"), &limit);
    if (!err)
        err = decode_number(http_target_param(target, "sinceSeconds"), &seconds);
    if (!err)
        err = decode_time(http_target_param(target, "sinceTime"), &since);
    if (err)
        return err;

    const char *stream = known_stream(http_target_param(target, "stream"));
    bool is_one_stream = stream && strcmp(stream, "All") != 0;
    if (is_below(&tail, 0) || is_below(&limit, 1) || is_below(&seconds, 1) ||
        (seconds.is_given && since.is_given) || !stream || (is_one_stream && tail.is_given))
        return invalid();
    *ret = (struct log_query){
        .follow = query_flag(target, "follow"),
        .previous = query_flag(target, "previous"),
        .timestamps = query_flag(target, "timestamps"),
        .stream = stream,
        .tail_lines = tail.is_given ? tail.value : -1,
        .limit_bytes = limit.is_given ? limit.value : -1,
        .since_wall_ns = seconds.is_given
                             ? sat_sub_i64(now_wall_ns, sat_mul_i64(seconds.value, NS_PER_SEC))
                             : since.value,
    };
    return NULL;
}

struct error *log_query_check_stream(const struct log_query *query, bool is_split)
{
    if (is_split || strcmp(query->stream, "All") == 0)
        return NULL;
    return error_new(ERROR_FAILED_PRECONDITION,
                     "unable to return the given log stream: \"%s\". Please enable "
                     "PodLogsQuerySplitStreams feature gate in kubelet",
                     query->stream);
}

struct error *log_container_check(const Core__Pod *pod, const char *name)
{
    if (container_lookup(pod->spec, name, NULL))
        return NULL;
    return error_new(ERROR_NOT_FOUND, "container \"%s\" not found in pod \"%s\"", name,
                     pod->metadata->name);
}

const char *log_container_or_first(const Core__Pod *pod, const char *name)
{
    bool is_any = name[0] == '\0' || strcmp(name, "-") == 0;
    return is_any && pod->spec->n_containers > 0 ? pod->spec->containers[0]->name : name;
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
