/*
 * With which logins the image of a container that starts may be pulled: those of the pod's pull
 * secrets, the node's own, which are read from its disk, and those of credential provider plugins.
 *
 *   secrets fetched ─► read ─► node logins ─► plugins, if one is for the image ─► found
 */
#include "pod/op_start.h"

#include "image/credential_provider.h"

/* --- pull secrets --- */

bool start_secrets_fetch(struct pod_op *op)
{
    struct start *start = op->state;
    const Core__PodSpec *spec = op->object->pod->spec;
    const char **names = arena_calloc(op->arena, spec->n_image_pull_secrets + 1, sizeof(*names));
    size_t count = 0;
    for (size_t i = 0; i < spec->n_image_pull_secrets; i++) {
        const char *name = spec->image_pull_secrets[i]->name;
        if (name && *name)
            names[count++] = name;
    }
    const struct pod_references references = {.secrets = names, .secret_count = count};
    op->step = START_PULL_SECRETS;
    start->pull_secrets = start_fetch(op, &references);
    return start->pull_secrets;
}

/* A pull secret that is not there may not be needed. */
void start_secrets_fetched(struct pod_op *op)
{
    const struct start *start = op->state;
    size_t count;
    const struct env_object *secrets = object_fetch_results(start->pull_secrets, &count);
    const char *missing = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!secrets[i].err)
            continue;
        log_info("Unable to retrieve pull secret, the image pull may not succeed.",
                 LOG_POD(op->worker->namespace, op->worker->name),
                 LOG_STR("secret", secrets[i].name), LOG_ERR(secrets[i].err));
        missing =
            missing ? arena_printf(op->arena, "%s, %s", missing, secrets[i].name) : secrets[i].name;
    }
    if (missing)
        pod_worker_event(op->worker, TIMELINE_WARNING, "FailedToRetrieveImagePullSecret", NULL,
                         arena_printf(op->arena,
                                      "Unable to retrieve some image pull secrets (%s); attempting "
                                      "to pull the image may not succeed.",
                                      missing));
}

/* Bad content of one secret fails the pull before it has begun, with the raw text for a reason, as
 * upstream does. */
static struct error *read_pull_secrets(struct pod_op *op)
{
    struct start *start = op->state;
    size_t count;
    const struct env_object *secrets = object_fetch_results(start->pull_secrets, &count);
    struct error *err = NULL;
    for (size_t i = 0; !err && i < count; i++) {
        if (secrets[i].object)
            err = keyring_add_secret(&start->keyring, (const Core__Secret *)secrets[i].object,
                                     op->arena);
    }
    return err;
}

bool start_secrets_read(struct pod_op *op)
{
    const struct start *start = op->state;
    if (!start->has_logins)
        op->err = read_pull_secrets(op);
    if (!op->err)
        return true;
    AUTO(error) struct error *err = TAKE(op->err);
    start_fail(op, err->message, err->message, err->message);
    return false;
}

/* --- the node's own, and plugins' --- */

/* What is on the node's own disk for an image. */
struct node_logins {
    char *root_dir;
    struct arena *arena;
    struct keyring keyring;
    const char *warning; /* NULL: none */
};

static void node_logins_run(void *job)
{
    struct node_logins *logins = job;
    keyring_add_node_blocking(&logins->keyring, logins->root_dir, logins->arena, &logins->warning);
}

static void node_logins_release(void *job)
{
    struct node_logins *logins = job;
    free(logins->root_dir);
    arena_free(logins->arena);
    free(logins);
}

static const struct pod_job node_logins_kind = {
    .name = "read node logins",
    .run_blocking = node_logins_run,
    .release = node_logins_release,
};

void start_logins_find(struct pod_op *op)
{
    struct node_logins *logins = xcalloc(1, sizeof(*logins));
    logins->root_dir = xstrdup(op->worker->pods->env.node->root_dir);
    logins->arena = arena_new(0);
    op->step = START_NODE_LOGINS;
    pod_op_job(op, &node_logins_kind, logins);
}

static void add_logins(struct pod_op *op, const struct image_credential *found, size_t count)
{
    struct start *start = op->state;
    size_t room = start->n_logins + count;
    struct image_credential *logins = arena_calloc(op->arena, room + 1, sizeof(*logins));
    if (start->n_logins > 0)
        memcpy(logins, start->logins, start->n_logins * sizeof(*logins));
    for (size_t i = 0; i < count; i++)
        logins[start->n_logins + i] = image_credential_dup(&found[i], op->arena);
    start->logins = logins;
    start->n_logins = room;
    start->refusals = arena_calloc(op->arena, room + 1, sizeof(*start->refusals));
}

static void on_plugin_logins(void *ctx, const struct image_credential *found, size_t count)
{
    struct pod_op *op = ctx;
    ((struct start *)op->state)->plugin_logins = NULL;
    add_logins(op, found, count);
    op->may_abandon = false;
    op->advance(op);
}

/* False: none is for the image. They may take a while, so meanwhile the operation idles. */
static bool ask_plugins(struct pod_op *op)
{
    struct start *start = op->state;
    struct credential_providers *providers = op->worker->pods->env.credential_providers;
    if (!providers)
        return false;
    const struct credential_pod pod = {.namespace_ = op->worker->namespace,
                                       .name = op->worker->name,
                                       .uid = op->worker->uid,
                                       .service_account =
                                           op->object->pod->spec->service_account_name};
    op->step = START_PLUGIN_LOGINS;
    start->plugin_logins =
        credential_lookup_start(providers, start->image, &pod, on_plugin_logins, op);
    if (start->plugin_logins)
        pod_op_idles(op);
    return start->plugin_logins;
}

/* Those of the secrets that match, then those of the node, then those of plugins. */
static void collect_logins(struct pod_op *op)
{
    const struct start *start = op->state;
    const struct node_logins *node = op->job;
    if (node->warning)
        log_v(2, "Docker config file error", LOG_STR("err", node->warning));
    const struct keyring *const keyrings[] = {&start->keyring, &node->keyring};
    for (size_t k = 0; k < ARRAY_SIZE(keyrings); k++) {
        const struct image_credential *found;
        size_t count;
        keyring_find(keyrings[k], start->image, op->arena, &found, &count);
        add_logins(op, found, count);
    }
    if (!ask_plugins(op))
        start_image_logins_found(op);
}

void start_logins_advance(struct pod_op *op)
{
    if (op->step == START_NODE_LOGINS)
        collect_logins(op);
    else
        start_image_logins_found(op);
}

void start_logins_release(struct pod_op *op)
{
    struct start *start = op->state;
    credential_lookup_cancel(TAKE(start->plugin_logins));
    object_fetch_free(TAKE(start->pull_secrets));
}
