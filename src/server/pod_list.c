#include "server/pod_list.h"

#include "kube/codec.h"
#include "wire/json.h"

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

static void write_field(struct doc_writer *writer, const char *key, const char *text)
{
    doc_write_key(writer, key);
    doc_write_text(writer, text);
}

static void write_empty(struct doc_writer *writer, const char *key)
{
    doc_write_key(writer, key);
    writer->ops->begin_object(writer);
    writer->ops->end_object(writer);
}

static void write_container(struct doc_writer *writer, const struct container_observed *container)
{
    writer->ops->begin_object(writer);
    write_field(writer, "name", container->name);
    write_field(writer, "image",
                container->image_id[0] != '\0' ? container->image_id : container->image);
    write_empty(writer, "resources");
    writer->ops->end_object(writer);
}

/* Go's list that nothing was added to is null. */
static void write_containers(struct doc_writer *writer, const struct pod_observed *have)
{
    bool has_some = false;
    doc_write_key(writer, "containers");
    for (const struct container_observed *one = have->containers; one; one = one->next) {
        if (one->state != CONTAINER_RUNNING)
            continue;
        if (!has_some)
            writer->ops->begin_array(writer);
        has_some = true;
        write_container(writer, one);
    }
    if (has_some)
        writer->ops->end_array(writer);
    else
        writer->ops->literal(writer, "null");
}

/* By hand: what the codec leaves out because it says nothing is shown here, as a kubelet does. */
static void write_running(void *ctx, const struct pod_view *view)
{
    struct render *render = ctx;
    if (!pod_observed_is_running(view->observed))
        return;
    buf_add_char(render->out, render->count++ == 0 ? '[' : ',');
    struct json_writer json;
    json_writer_init(&json, render->out, false);
    struct doc_writer *writer = &json.base;
    writer->ops->begin_object(writer);
    doc_write_key(writer, "metadata");
    writer->ops->begin_object(writer);
    write_field(writer, "name", view->name);
    write_field(writer, "namespace", view->namespace);
    write_field(writer, "uid", view->uid);
    writer->ops->end_object(writer);
    doc_write_key(writer, "spec");
    writer->ops->begin_object(writer);
    write_containers(writer, view->observed);
    writer->ops->end_object(writer);
    write_empty(writer, "status");
    writer->ops->end_object(writer);
}

void pod_list_write_running(const struct pods *pods, struct buf *out)
{
    struct render render = {.out = out};
    begin_list(out);
    pods_visit(pods, write_running, &render);
    end_list(&render);
}
