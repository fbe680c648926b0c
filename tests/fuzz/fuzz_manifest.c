/*
 * Static pod manifests, YAML and JSON: reading never crashes, what is accepted has everything that
 * the rest of the agent relies on, and the same text gives the same pod.
 */
#include "kube/codec.h"
#include "pod/static_pod.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_text(const char *text)
{
    return text && text[0] != '\0';
}

static void check_pod(const Core__Pod *pod)
{
    const Meta__ObjectMeta *meta = pod->metadata;
    ASSERT(meta && has_text(meta->name) && has_text(meta->namespace_) && has_text(meta->uid));
    /* They name folders. */
    ASSERT(!strchr(meta->uid, '/') && meta->uid[0] != '.');
    ASSERT(!strchr(meta->name, '/') && !strchr(meta->namespace_, '/'));
    ASSERT(text_eq(pod->spec->node_name, "node-a") && has_text(pod->spec->restart_policy));
    ASSERT(pod->spec->n_containers > 0);
    for (size_t i = 0; i < pod->spec->n_containers; i++) {
        const Core__Container *container = pod->spec->containers[i];
        ASSERT(has_text(container->name) && has_text(container->image));
        ASSERT(has_text(container->image_pull_policy) && !strchr(container->name, '/'));
    }
    for (size_t i = 0; i < pod->spec->n_init_containers; i++)
        ASSERT(has_text(pod->spec->init_containers[i]->name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct static_pod_input input = {.text = {.ptr = (const char *)data, .len = size},
                                     .path = "/etc/kubernetes/manifests/web",
                                     .node_name = "node-a",
                                     .seen_ns = 1000 * NS_PER_SEC};
    AUTO(pod_object) struct pod_object *first = NULL;
    AUTO(pod_object) struct pod_object *second = NULL;
    AUTO(error) struct error *err = static_pod_read(&input, &first);
    if (err) {
        ASSERT(has_text(err->message) && !first);
        return 0;
    }
    check_pod(first->pod);
    AUTO(error) struct error *again = static_pod_read(&input, &second);
    ASSERT(!again && kube_message_eq(&first->pod->base, &second->pod->base));
    return 0;
}
