#include "server/pod_list.h"

#include "kube/codec.h"

struct render {
    struct buf *out;
    unsigned flags;
    int64_t now_ns;
    size_t count;
};

static void begin_list(struct buf *out)
{
    buf_add_text(out, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":");
}

static void write_pod(struct render *render, const Core__Pod *pod)
{
    buf_add_char(render->out, render->count++ == 0 ? '[' : ',');
    kube_encode_json(&pod->base, NULL, render->out);
}

static void end_list(const struct render *render)
{
    const char *none = render->flags & POD_LIST_LOCAL ? "[]}\n" : "null}\n";
    buf_add_text(render->out, render->count == 0 ? none : "]}\n");
}

/* The messages here are only encoded: their non-const texts are not touched. */
static void name_pod(const struct pod_view *view, Meta__ObjectMeta *metadata)
{
    metadata->name = (char *)(uintptr_t)view->name;
    metadata->namespace_ = (char *)(uintptr_t)view->namespace;
    metadata->uid = (char *)(uintptr_t)view->uid;
}

/* --- as wanted --- */

/* When the pod began to end: its newest Killing, or now when nothing of it runs. */
static int64_t terminating_since(const struct render *render, const struct timeline *timeline)
{
    for (size_t i = timeline ? timeline->count : 0; i-- > 0;) {
        const struct timeline_entry *entry = timeline_at(timeline, i);
        if (text_eq(entry->reason, "Killing"))
            return entry->last_ns;
    }
    return render->now_ns;
}

static void write_wanted(void *ctx, const struct pod_view *view)
{
    struct render *render = ctx;
    if (!view->pod && !(render->flags & POD_LIST_ORPHANS))
        return;
    Core__Pod pod = CORE__POD__INIT;
    Meta__ObjectMeta metadata = META__OBJECT_META__INIT;
    Meta__Time deleted = META__TIME__INIT;
    if (view->pod) {
        pod = *view->pod;
        metadata = *view->pod->metadata;
    } else {
        name_pod(view, &metadata);
    }
    if ((render->flags & POD_LIST_LOCAL) && view->terminating && !metadata.deletion_timestamp) {
        deleted.has_seconds = true;
        deleted.seconds = terminating_since(render, view->timeline) / NS_PER_SEC;
        metadata.deletion_timestamp = &deleted;
    }
    pod.metadata = &metadata;
    if (view->status)
        pod.status = (Core__PodStatus *)(uintptr_t)view->status;
    write_pod(render, &pod);
}

void pod_list_write(const struct pods *pods, unsigned flags, int64_t now_wall_ns, struct buf *out)
{
    struct render render = {.out = out, .flags = flags, .now_ns = now_wall_ns};
    begin_list(out);
    pods_visit(pods, write_wanted, &render);
    end_list(&render);
}

/* --- as the runtime holds them --- */

static size_t count_running(const struct pod_observed *have)
{
    size_t count = 0;
    for (const struct container_observed *one = have->containers; one; one = one->next)
        count += one->state == CONTAINER_RUNNING;
    return count;
}

static bool has_ready_sandbox(const struct pod_observed *have)
{
    const struct sandbox_observed *one = have->sandboxes;
    while (one && !one->ready)
        one = one->next;
    return one != NULL;
}

static void write_running(void *ctx, const struct pod_view *view)
{
    struct render *render = ctx;
    const struct pod_observed *have = view->observed;
    size_t count = count_running(have);
    if (count == 0 && !has_ready_sandbox(have))
        return;
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod pod = CORE__POD__INIT;
    Meta__ObjectMeta metadata = META__OBJECT_META__INIT;
    Core__PodSpec spec = CORE__POD_SPEC__INIT;
    Core__PodStatus status = CORE__POD_STATUS__INIT;
    Core__ResourceRequirements resources = CORE__RESOURCE_REQUIREMENTS__INIT;
    name_pod(view, &metadata);
    spec.containers = arena_calloc(arena, count, sizeof(Core__Container *));
    for (const struct container_observed *one = have->containers; one; one = one->next) {
        if (one->state != CONTAINER_RUNNING)
            continue;
        Core__Container *container = arena_alloc(arena, sizeof(*container));
        core__container__init(container);
        const char *image = one->image_id[0] != '\0' ? one->image_id : one->image;
        container->name = (char *)(uintptr_t)one->name;
        container->image = (char *)(uintptr_t)image;
        container->resources = &resources;
        spec.containers[spec.n_containers++] = container;
    }
    pod.metadata = &metadata;
    pod.spec = &spec;
    pod.status = &status;
    write_pod(render, &pod);
}

void pod_list_write_running(const struct pods *pods, struct buf *out)
{
    struct render render = {.out = out};
    begin_list(out);
    pods_visit(pods, write_running, &render);
    end_list(&render);
}
