/*
 * One try is a short conversation:
 *
 *     READING_NODE ──► READING ──found, ours────────────────► DONE
 *                         │ │ └──annotation is another──► UPDATING ──► DONE
 *                         │ └──of a former node──► DELETING ──┐
 *                         └──404──────────────────────────────┴──► CREATING ──► DONE
 *
 * The first try of a round begins with READING when the Node's uid was told with its registration.
 * Any other answer ends the try; another follows after a pause. Four tries in quick succession are
 * a round, as with the kubelet. When a round has failed the node says why, and rests longer and
 * longer. The kubelet exits after six rounds; this one goes on, as nothing is gained by an exit.
 */
#include "node/csi_node.h"

#include "base/buf.h"
#include "base/log.h"
#include "kube/message_map.h"

#include "storage.pb-c.h"

/* The kubelet's updateBackoff and initBackoff. */
#define TRIES_OF_A_ROUND 4
#define TRY_PAUSE_NS (10 * NS_PER_MS)
#define TRY_PAUSE_FACTOR 5
#define ROUND_PAUSE_NS (30 * NS_PER_MS)
#define ROUND_PAUSE_FACTOR 8
/* Ours: the fourth round of the kubelet rests half as long again, the fifth two minutes. */
#define ROUND_PAUSE_MAX_NS (10 * NS_PER_SEC)

#define MIGRATED_PLUGINS_KEY "storage.alpha.kubernetes.io/migrated-plugins"
/* The in-tree plugins whose work CSI drivers do; sorted. */
#define MIGRATED_PLUGINS                                                                           \
    "kubernetes.io/aws-ebs,kubernetes.io/azure-disk,kubernetes.io/azure-file,"                     \
    "kubernetes.io/cinder,kubernetes.io/gce-pd,kubernetes.io/portworx-volume,"                     \
    "kubernetes.io/vsphere-volume"

#define NOT_YET "CSINode is not yet initialized"
#define CAUSES_MAX_BYTES (16 * KiB)

enum csi_state {
    CSI_WAITING, /* for the start and the Node */
    CSI_READING_NODE,
    CSI_READING,
    CSI_DELETING,
    CSI_CREATING,
    CSI_UPDATING,
    CSI_RESTING,
    CSI_DONE,
};

struct csi_node {
    struct loop *loop;
    struct api_client *client;
    const struct kube_kind *node_kind, *csi_kind;
    char *name;
    void (*on_changed)(void *ctx);
    void *ctx;

    enum csi_state state;
    bool is_started, is_registered;
    bool is_again; /* registered again while a try is under way */
    struct api_call *call;
    struct loop_timer *timer;
    char *node_uid;
    bool knows_uid; /* without having to ask: it was told, and no try has failed since */
    struct error *failures[TRIES_OF_A_ROUND]; /* of this round */
    unsigned tries;
    int64_t round_pause_ns; /* the next one; 0: the first */
    char *pending;
};

static void start_round(struct csi_node *node);
static void send(struct csi_node *node, enum csi_state state, const struct api_request *request);

/* --- the object --- */

static void set_plugins(Meta__ObjectMeta *meta, struct arena *arena)
{
    message_map_set(&meta->base, "annotations", MIGRATED_PLUGINS_KEY, MIGRATED_PLUGINS, arena);
}

static Storage__CSINode *object_new(const struct csi_node *node, struct arena *arena)
{
    Storage__CSINode *object =
        (Storage__CSINode *)kube_message_new(&storage__csinode__descriptor, arena);
    Meta__ObjectMeta *meta = kube_object_ensure_meta(&object->base, arena);
    Meta__OwnerReference *owner =
        (Meta__OwnerReference *)kube_message_new(&meta__owner_reference__descriptor, arena);
    owner->api_version = arena_strdup(arena, node->node_kind->api_version);
    owner->kind = arena_strdup(arena, node->node_kind->kind);
    owner->name = arena_strdup(arena, node->name);
    owner->uid = arena_strdup(arena, node->node_uid);
    meta->name = arena_strdup(arena, node->name);
    meta->owner_references = arena_calloc(arena, 1, sizeof(Meta__OwnerReference *));
    meta->owner_references[0] = owner;
    meta->n_owner_references = 1;
    set_plugins(meta, arena);
    object->spec =
        (Storage__CSINodeSpec *)kube_message_new(&storage__csinode_spec__descriptor, arena);
    return object;
}

/* True when the object belongs to a Node of our name that is not ours. */
static bool is_of_former_node(const struct csi_node *node, const Meta__ObjectMeta *meta)
{
    for (size_t i = 0; meta && i < meta->n_owner_references; i++) {
        const Meta__OwnerReference *owner = meta->owner_references[i];
        if (text_eq(owner->kind, node->node_kind->kind) && !text_eq(owner->uid, node->node_uid))
            return true;
    }
    return false;
}

/* The annotation as a set is what it has to be: the kubelet compares so. */
static bool has_plugins(const Meta__ObjectMeta *meta)
{
    const char *had = "";
    for (size_t i = 0; meta && i < meta->n_annotations; i++) {
        if (text_eq(meta->annotations[i]->key, MIGRATED_PLUGINS_KEY))
            had = meta->annotations[i]->value;
    }
    struct str rest = str_from(MIGRATED_PLUGINS), wanted;
    size_t wanted_len = 0, had_len = 0;
    while (str_split_next(&rest, ',', &wanted)) {
        struct str other_rest = str_from(had), other;
        bool is_there = false;
        while (!is_there && str_split_next(&other_rest, ',', &other))
            is_there = str_eq(wanted, other);
        if (!is_there)
            return false;
        wanted_len++;
    }
    rest = str_from(had);
    while (str_split_next(&rest, ',', &wanted))
        had_len++;
    return had_len == wanted_len;
}

/* --- how a try ends --- */

static void note_pending(struct csi_node *node, char *text_owned)
{
    bool is_same = node->pending && text_owned && text_eq(node->pending, text_owned);
    if (is_same || (!node->pending && !text_owned)) {
        free(text_owned);
        return;
    }
    free(node->pending);
    node->pending = text_owned;
    node->on_changed(node->ctx);
}

static void forget_failures(struct csi_node *node)
{
    for (unsigned i = 0; i < node->tries; i++) {
        error_free(node->failures[i]);
        node->failures[i] = NULL;
    }
    node->tries = 0;
}

/* What has failed, as one text: bare, or "[a, b]" without repeats. */
static char *causes(const struct csi_node *node)
{
    AUTO(buf) struct buf out;
    size_t count = 0;
    buf_init(&out, CAUSES_MAX_BYTES);
    for (unsigned i = 0; i < node->tries; i++) {
        bool is_new = true;
        for (unsigned k = 0; k < i; k++)
            is_new = is_new && !text_eq(node->failures[k]->message, node->failures[i]->message);
        if (is_new)
            buf_printf(&out, "%s%s", count++ > 0 ? ", " : "", node->failures[i]->message);
    }
    return count > 1 ? xasprintf("[%s]", buf_text(&out)) : xstrdup(buf_text(&out));
}

static void rest(struct csi_node *node, int64_t pause_ns)
{
    node->state = node->is_registered ? CSI_RESTING : CSI_WAITING;
    if (node->is_registered)
        loop_timer_start(node->timer, pause_ns);
}

static void end_round(struct csi_node *node)
{
    AUTO(free) char *why = causes(node);
    char *text = xasprintf("failed to initialize CSINode: error updating CSINode annotation: "
                           "timed out waiting for the condition; caused by: %s",
                           why);
    int64_t pause_ns = node->round_pause_ns ? node->round_pause_ns : ROUND_PAUSE_NS;
    log_error("Failed to initialize CSINode", LOG_STR("node", node->name), LOG_STR("err", why),
              LOG_INT("waitMilliseconds", pause_ns / NS_PER_MS));
    forget_failures(node);
    node->round_pause_ns = min_i64(sat_mul_i64(pause_ns, ROUND_PAUSE_FACTOR), ROUND_PAUSE_MAX_NS);
    rest(node, pause_ns);
    note_pending(node, text);
}

static void fail_try(struct csi_node *node, struct error *err_owned)
{
    int64_t pause_ns = TRY_PAUSE_NS;
    for (unsigned i = 0; i < node->tries; i++)
        pause_ns *= TRY_PAUSE_FACTOR;
    node->failures[node->tries++] = err_owned;
    node->knows_uid = node->knows_uid && node->is_again; /* what was told meanwhile is newer */
    if (node->is_again)
        start_round(node);
    else if (node->tries == TRIES_OF_A_ROUND)
        end_round(node);
    else
        rest(node, pause_ns);
}

static void succeed(struct csi_node *node)
{
    if (node->is_again) {
        start_round(node);
        return;
    }
    forget_failures(node);
    node->round_pause_ns = 0;
    node->state = CSI_DONE;
    log_info("Initialized CSINode", LOG_STR("node", node->name));
    note_pending(node, NULL);
}

/* --- the conversation --- */

static void create(struct csi_node *node)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    send(node, CSI_CREATING,
         &(struct api_request){
             .verb = API_CREATE, .kind = node->csi_kind, .body = &object_new(node, arena)->base});
}

/* With its uid, so that one made meanwhile for the right Node stays. */
static void remove_former(struct csi_node *node, const Meta__ObjectMeta *meta)
{
    Meta__Preconditions same = META__PRECONDITIONS__INIT;
    Meta__DeleteOptions options = META__DELETE_OPTIONS__INIT;
    same.uid = meta->uid;
    options.preconditions = &same;
    send(
        node, CSI_DELETING,
        &(struct api_request){
            .verb = API_DELETE, .kind = node->csi_kind, .name = node->name, .body = &options.base});
}

static void judge(struct csi_node *node, const struct api_result *result)
{
    const Meta__ObjectMeta *meta = kube_object_meta(result->object);
    if (is_of_former_node(node, meta)) {
        remove_former(node, meta);
    } else if (has_plugins(meta)) {
        succeed(node);
    } else {
        AUTO(arena) struct arena *arena = arena_new(0);
        ProtobufCMessage *object = kube_message_dup(result->object, arena);
        set_plugins(kube_object_ensure_meta(object, arena), arena);
        send(node, CSI_UPDATING,
             &(struct api_request){
                 .verb = API_UPDATE, .kind = node->csi_kind, .name = node->name, .body = object});
    }
}

static void read_object(struct csi_node *node)
{
    send(node, CSI_READING,
         &(struct api_request){.verb = API_GET, .kind = node->csi_kind, .name = node->name});
}

static void take_uid(struct csi_node *node, const struct api_result *result)
{
    const Meta__ObjectMeta *meta = kube_object_meta(result->object);
    if (!meta || !meta->uid || !*meta->uid) {
        fail_try(node, error_new(ERROR_INTERNAL, "node \"%s\" has no uid", node->name));
        return;
    }
    free(node->node_uid);
    node->node_uid = xstrdup(meta->uid);
    read_object(node);
}

static void on_done(void *ctx, struct api_result *result)
{
    struct csi_node *node = ctx;
    enum csi_state state = node->state;
    node->call = NULL;
    bool is_gone =
        error_is(result->err, ERROR_NOT_FOUND) && (state == CSI_READING || state == CSI_DELETING);
    if (result->err && !is_gone) {
        fail_try(node, error_dup(result->err));
        return;
    }
    switch (state) {
    case CSI_READING_NODE:
        take_uid(node, result);
        break;
    case CSI_READING:
        if (is_gone)
            create(node);
        else
            judge(node, result);
        break;
    case CSI_DELETING:
        create(node);
        break;
    case CSI_CREATING:
    case CSI_UPDATING:
        succeed(node);
        break;
    case CSI_WAITING:
    case CSI_RESTING:
    case CSI_DONE:
        break; /* nobody waits for an answer */
    }
}

static void send(struct csi_node *node, enum csi_state state, const struct api_request *request)
{
    node->state = state;
    node->call = api_call_start(node->client, request, on_done, node);
}

static void start_try(struct csi_node *node)
{
    if (node->knows_uid) {
        read_object(node);
        return;
    }
    send(node, CSI_READING_NODE,
         &(struct api_request){.verb = API_GET, .kind = node->node_kind, .name = node->name});
}

static void start_round(struct csi_node *node)
{
    node->is_again = false;
    node->round_pause_ns = 0;
    forget_failures(node);
    loop_timer_cancel(node->timer);
    start_try(node);
}

static void on_timer(void *ctx)
{
    start_try(ctx);
}

static void look_again(struct csi_node *node)
{
    if (!node->is_started || !node->is_registered)
        return;
    if (node->call)
        node->is_again = true;
    else
        start_round(node);
}

/* --- the door --- */

struct csi_node *csi_node_new(struct loop *loop, struct api_client *client, const char *node_name,
                              void (*on_changed)(void *ctx), void *ctx)
{
    struct csi_node *node = xcalloc(1, sizeof(*node));
    *node = (struct csi_node){.loop = loop,
                              .client = client,
                              .node_kind = kube_kind_find("v1", "Node"),
                              .csi_kind = kube_kind_find("storage.k8s.io/v1", "CSINode"),
                              .name = xstrdup(node_name),
                              .on_changed = on_changed,
                              .ctx = ctx,
                              .pending = xstrdup(NOT_YET)};
    node->timer = loop_timer_new(loop, "CSINode", on_timer, node);
    return node;
}

void csi_node_free(struct csi_node *node)
{
    if (!node)
        return;
    api_call_cancel(node->call);
    loop_timer_free(node->timer);
    forget_failures(node);
    free(node->name);
    free(node->node_uid);
    free(node->pending);
    free(node);
}

void csi_node_start(struct csi_node *node)
{
    if (node->is_started)
        return;
    node->is_started = true;
    look_again(node);
}

void csi_node_registered(struct csi_node *node, const char *uid)
{
    if (node->is_registered && (*uid == '\0' || text_eq(node->node_uid, uid)))
        return;
    free(node->node_uid);
    node->node_uid = xstrdup(uid);
    node->knows_uid = *uid != '\0';
    node->is_registered = true;
    look_again(node);
}

void csi_node_gone(struct csi_node *node)
{
    node->is_registered = false;
    node->knows_uid = false;
    if (node->call)
        return; /* it ends, and a try that fails for this finds the new Node if there is one */
    node->state = CSI_WAITING;
    loop_timer_cancel(node->timer);
}

const char *csi_node_pending(const struct csi_node *node)
{
    return node->pending;
}
