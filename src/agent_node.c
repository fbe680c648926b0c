#include "agent_node.h"

#include "base/time.h"

void agent_node_fill(void *ctx, struct node_status_input *input)
{
    struct agent_node *node = ctx;
    input->runtime_name = node->runtime_name;
    input->runtime_version = node->runtime_version;
    input->runtime = pods_runtime_status(node->pods);
    if (node->images)
        input->images = image_list_get(node->images, &input->n_images);
    size_t count = pods_not_ready(node->pods, node->not_ready);
    const char *storage = node->csi ? csi_node_pending(node->csi) : NULL;
    if (storage)
        node->not_ready[count++] = storage;
    input->not_ready = node->not_ready;
    input->n_not_ready = count;
}

/* Without a cluster pods are admitted to the node that would be registered in one. */
static const Core__Node *made_up(struct agent_node *node)
{
    arena_free(node->made_arena);
    node->made_arena = arena_new(0);
    struct node_status_input input = {
        .config = node->config, .facts = node->facts, .machine = node->machine};
    agent_node_fill(node, &input);
    return node_object_initial(&input, node->made_arena);
}

static void gate_node(struct pods_gate *self, struct admission_node *ret)
{
    struct agent_node *node = CONTAINER_OF(self, struct agent_node, gate);
    const struct config_list *sysctls = &node->config->allowed_unsafe_sysctls;
    *ret = (struct admission_node){
        .node = node->keeper ? node_keeper_best(node->keeper) : made_up(node),
        .node_name = node->facts->node_name,
        .has_apparmor = node->machine->has_apparmor,
        .allowed_unsafe_sysctls = sysctls->items,
        .n_allowed_unsafe_sysctls = sysctls->count,
        .kernel_major = node->machine->kernel_major,
        .kernel_minor = node->machine->kernel_minor,
    };
}

static void gate_reread(struct pods_gate *self, void (*on_done)(void *ctx), void *ctx)
{
    struct agent_node *node = CONTAINER_OF(self, struct agent_node, gate);
    node_keeper_reread(node->keeper, on_done, ctx);
}

void agent_node_init(struct agent_node *node)
{
    static const struct pods_gate_vtable alone = {.node = gate_node};
    static const struct pods_gate_vtable member = {.node = gate_node, .reread = gate_reread};
    node->gate.vtable = node->keeper ? &member : &alone;
}

void agent_node_done(struct agent_node *node)
{
    arena_free(node->made_arena);
    node->made_arena = NULL;
}
