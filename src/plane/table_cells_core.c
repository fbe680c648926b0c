/*
 * kubectl get of nodes, events, namespaces and what holds data or says who is who.
 */
#include "plane/table_cells.h"

#include "certificates.pb-c.h"
#include "coordination.pb-c.h"
#include "events.pb-c.h"
#include "node.pb-c.h"

/* --- nodes --- */

static const struct table_column node_columns[] = {
    COLUMN_NAME,
    COLUMN("Status", "string", "Whether the node is ready, and whether it takes new pods."),
    COLUMN("Roles", "string", "The roles that the node's labels give it."),
    COLUMN_AGE,
    COLUMN("Version", "string", "The version of the node's kubelet."),
    COLUMN_WIDE("Internal-IP", "string", "The node's first address inside the cluster."),
    COLUMN_WIDE("External-IP", "string", "The node's first address for the outside."),
    COLUMN_WIDE("OS-Image", "string", "The operating system, as it calls itself."),
    COLUMN_WIDE("Kernel-Version", "string", "The kernel that is running, and its architecture."),
    COLUMN_WIDE("Container-Runtime", "string", "The container runtime and its version."),
};

#define ROLE_PREFIX "node-role.kubernetes.io/"
#define ROLE_LABEL "kubernetes.io/role"

static const char *node_status(const Core__Node *node, struct arena *arena)
{
    const char *ready = "Unknown";
    /* Should a type occur twice, the last one counts. */
    for (size_t i = 0; node->status && i < node->status->n_conditions; i++) {
        const Core__NodeCondition *condition = node->status->conditions[i];
        if (text_eq(condition->type, "Ready"))
            ready = text_eq(condition->status, "True") ? "Ready" : "NotReady";
    }
    bool is_cordoned = node->spec && node->spec->unschedulable;
    return is_cordoned ? arena_printf(arena, "%s,SchedulingDisabled", ready) : ready;
}

static const char *node_roles(const Meta__ObjectMeta *meta, struct arena *arena)
{
    const char **roles = arena_calloc(arena, meta->n_labels + 1, sizeof(*roles));
    size_t count = 0;
    for (size_t i = 0; i < meta->n_labels; i++) {
        const char *key = meta->labels[i]->key;
        if (text_has_prefix(key, ROLE_PREFIX) && key[sizeof(ROLE_PREFIX) - 1] != '\0')
            roles[count++] = key + sizeof(ROLE_PREFIX) - 1;
        else if (text_eq(key, ROLE_LABEL) && cell_is_set(meta->labels[i]->value))
            roles[count++] = meta->labels[i]->value;
    }
    return cell_or(cell_sorted_list(roles, count, arena), "<none>");
}

static const char *node_address(const Core__Node *node, const char *type)
{
    for (size_t i = 0; node->status && i < node->status->n_addresses; i++) {
        if (text_eq(node->status->addresses[i]->type, type))
            return node->status->addresses[i]->address;
    }
    return "<none>";
}

/* "6.1.0-18-amd64 (amd64)": since 1.35 with the architecture. */
static const char *kernel_text(const Core__NodeSystemInfo *info, struct arena *arena)
{
    const char *kernel = cell_or(info->kernel_version, "<unknown>");
    if (!cell_is_set(info->architecture))
        return kernel;
    return arena_printf(arena, "%s (%s)", kernel, info->architecture);
}

static void write_node(const struct cell_row *row)
{
    static const Core__NodeSystemInfo no_info = CORE__NODE_SYSTEM_INFO__INIT;
    const Core__Node *node = (const Core__Node *)row->object;
    const Core__NodeSystemInfo *info =
        node->status && node->status->node_info ? node->status->node_info : &no_info;
    cell_write_name(row);
    cell_write(row, node_status(node, row->arena));
    cell_write(row, node_roles(row->meta, row->arena));
    cell_write_age(row);
    cell_write(row, info->kubelet_version);
    cell_write(row, node_address(node, "InternalIP"));
    cell_write(row, node_address(node, "ExternalIP"));
    cell_write(row, cell_or(info->os_image, "<unknown>"));
    cell_write(row, kernel_text(info, row->arena));
    cell_write(row, cell_or(info->container_runtime_version, "<unknown>"));
}

const struct table_cells table_nodes = TABLE_CELLS(node_columns, write_node);

/* --- events, of both groups --- */

static const struct table_column event_columns[] = {
    COLUMN("Last Seen", "string", "Time since it happened last."),
    COLUMN("Type", "string", "Normal or Warning."),
    COLUMN("Reason", "string", "Why it happened, in one word."),
    COLUMN("Object", "string", "The object it is about."),
    COLUMN_WIDE("Subobject", "string", "The part of the object it is about."),
    COLUMN_WIDE("Source", "string", "The component that reports it."),
    COLUMN("Message", "string", "What happened."),
    COLUMN_WIDE("First Seen", "string", "Time since it happened first."),
    COLUMN_WIDE("Count", "string", "How often it happened."),
    {.name = "Name",
     .type = "string",
     .format = "name",
     .description = "What the event is called.",
     .priority = 1},
};

/* What both messages say, under one set of names. */
struct event {
    const Core__ObjectReference *object;
    const Core__EventSource *source;
    const char *reason, *message, *type, *controller, *instance;
    const Meta__Time *first, *last;
    const Meta__MicroTime *time, *series_time;
    bool has_series;
    int32_t count;
};

static struct event of_core(const Core__Event *event)
{
    return (struct event){
        .object = event->involved_object,
        .source = event->source,
        .reason = event->reason,
        .message = event->message,
        .type = event->type,
        .controller = event->reporting_component,
        .instance = event->reporting_instance,
        .first = event->first_timestamp,
        .last = event->last_timestamp,
        .time = event->event_time,
        .series_time = event->series ? event->series->last_observed_time : NULL,
        .has_series = event->series != NULL,
        .count = event->series ? event->series->count : event->count,
    };
}

static struct event of_events(const Events__Event *event)
{
    return (struct event){
        .object = event->regarding,
        .source = event->deprecated_source,
        .reason = event->reason,
        .message = event->note,
        .type = event->type,
        .controller = event->reporting_controller,
        .instance = event->reporting_instance,
        .first = event->deprecated_first_timestamp,
        .last = event->deprecated_last_timestamp,
        .time = event->event_time,
        .series_time = event->series ? event->series->last_observed_time : NULL,
        .has_series = event->series != NULL,
        .count = event->series ? event->series->count : event->deprecated_count,
    };
}

/* "pod/web", "node". */
static const char *event_target(const Core__ObjectReference *object, struct arena *arena)
{
    char *kind = arena_strdup(arena, object && object->kind ? object->kind : "");
    for (char *at = kind; *at; at++)
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
    if (!object || !cell_is_set(object->name))
        return kind;
    return arena_printf(arena, "%s/%s", kind, object->name);
}

static const char *event_source(const struct event *event, struct arena *arena)
{
    const char *component = cell_or(event->source ? event->source->component : NULL, NULL);
    const char *host = cell_or(event->source ? event->source->host : NULL, NULL);
    if (!component)
        component = cell_or(event->controller, "");
    if (!host)
        host = cell_or(event->instance, "");
    return host[0] == '\0' ? component : arena_printf(arena, "%s, %s", component, host);
}

static void write_event(const struct cell_row *row)
{
    struct event event = row->object->descriptor == &events__event__descriptor
                             ? of_events((const Events__Event *)row->object)
                             : of_core((const Core__Event *)row->object);
    const char *first = event.first ? cell_age(row, event.first) : cell_micro_age(row, event.time);
    const char *last = event.last ? cell_age(row, event.last) : first;
    if (event.has_series)
        last = cell_micro_age(row, event.series_time);
    /* Events of one occurrence have no count in the newer API. */
    int32_t count = event.count == 0 && !event.has_series ? 1 : event.count;

    struct str message = str_trim(str_from(event.message));
    cell_write(row, last);
    cell_write(row, event.type);
    cell_write(row, event.reason);
    cell_write(row, event_target(event.object, row->arena));
    cell_write(row, event.object ? event.object->field_path : NULL);
    cell_write(row, event_source(&event, row->arena));
    row->writer->ops->string(row->writer, message);
    cell_write(row, first);
    doc_write_integer(row->writer, count);
    cell_write_name(row);
}

const struct table_cells table_events = TABLE_CELLS(event_columns, write_event);

/* --- namespaces --- */

static const struct table_column namespace_columns[] = {
    COLUMN_NAME,
    COLUMN("Status", "string", "Active, or Terminating while it is emptied."),
    COLUMN_AGE,
};

static void write_namespace(const struct cell_row *row)
{
    const Core__Namespace *namespace = (const Core__Namespace *)row->object;
    cell_write_name(row);
    cell_write(row, namespace->status ? namespace->status->phase : NULL);
    cell_write_age(row);
}

const struct table_cells table_namespaces = TABLE_CELLS(namespace_columns, write_namespace);

/* --- ConfigMaps, Secrets, service accounts --- */

static const struct table_column configmap_columns[] = {
    COLUMN_NAME,
    COLUMN("Data", "string", "How many keys it has."),
    COLUMN_AGE,
};

static void write_configmap(const struct cell_row *row)
{
    const Core__ConfigMap *map = (const Core__ConfigMap *)row->object;
    cell_write_name(row);
    doc_write_unsigned(row->writer, map->n_data + map->n_binary_data);
    cell_write_age(row);
}

const struct table_cells table_configmaps = TABLE_CELLS(configmap_columns, write_configmap);

static const struct table_column secret_columns[] = {
    COLUMN_NAME,
    COLUMN("Type", "string", "What its data is for."),
    COLUMN("Data", "string", "How many keys it has."),
    COLUMN_AGE,
};

static void write_secret(const struct cell_row *row)
{
    const Core__Secret *secret = (const Core__Secret *)row->object;
    cell_write_name(row);
    cell_write(row, secret->type);
    doc_write_unsigned(row->writer, secret->n_data);
    cell_write_age(row);
}

const struct table_cells table_secrets = TABLE_CELLS(secret_columns, write_secret);

static const struct table_column account_columns[] = {
    COLUMN_NAME,
    COLUMN("Secrets", "string", "How many secrets it lists."),
    COLUMN_AGE,
};

static void write_account(const struct cell_row *row)
{
    const Core__ServiceAccount *account = (const Core__ServiceAccount *)row->object;
    cell_write_name(row);
    doc_write_unsigned(row->writer, account->n_secrets);
    cell_write_age(row);
}

const struct table_cells table_serviceaccounts = TABLE_CELLS(account_columns, write_account);

/* --- leases --- */

static const struct table_column lease_columns[] = {
    COLUMN_NAME,
    COLUMN("Holder", "string", "Who holds the lease."),
    COLUMN_AGE,
};

static void write_lease(const struct cell_row *row)
{
    const Coordination__Lease *lease = (const Coordination__Lease *)row->object;
    cell_write_name(row);
    cell_write(row, lease->spec ? lease->spec->holder_identity : NULL);
    cell_write_age(row);
}

const struct table_cells table_leases = TABLE_CELLS(lease_columns, write_lease);

/* --- certificate signing requests --- */

static const struct table_column csr_columns[] = {
    COLUMN_NAME,
    COLUMN_AGE,
    COLUMN("SignerName", "string", "Who is asked to sign."),
    COLUMN("Requestor", "string", "The user who asks."),
    COLUMN("RequestedDuration", "string", "How long the certificate should be good for."),
    COLUMN("Condition", "string", "Whether it was approved or denied, and issued."),
};

static bool csr_has(const Certificates__CertificateSigningRequestStatus *status, const char *type)
{
    for (size_t i = 0; status && i < status->n_conditions; i++) {
        if (text_eq(status->conditions[i]->type, type))
            return true;
    }
    return false;
}

static void write_csr(const struct cell_row *row)
{
    static const Certificates__CertificateSigningRequestSpec no_spec =
        CERTIFICATES__CERTIFICATE_SIGNING_REQUEST_SPEC__INIT;
    const Certificates__CertificateSigningRequest *csr =
        (const Certificates__CertificateSigningRequest *)row->object;
    const Certificates__CertificateSigningRequestSpec *spec = csr->spec ? csr->spec : &no_spec;
    const char *decision = csr_has(csr->status, "Denied")     ? "Denied"
                           : csr_has(csr->status, "Approved") ? "Approved"
                                                              : "Pending";
    bool is_issued = csr->status && csr->status->certificate.len > 0;
    cell_write_name(row);
    cell_write_age(row);
    cell_write(row, cell_or(spec->signer_name, "<none>"));
    cell_write(row, spec->username);
    cell_write(row, spec->has_expiration_seconds
                        ? cell_duration(spec->expiration_seconds * NS_PER_SEC, row->arena)
                        : "<none>");
    cell_write(row, arena_printf(row->arena, "%s%s%s", decision,
                                 csr_has(csr->status, "Failed") ? ",Failed" : "",
                                 is_issued ? ",Issued" : ""));
}

const struct table_cells table_csrs = TABLE_CELLS(csr_columns, write_csr);

/* --- runtime classes --- */

static const struct table_column runtime_class_columns[] = {
    COLUMN_NAME,
    COLUMN("Handler", "string", "The container runtime's name for the configuration."),
    COLUMN_AGE,
};

static void write_runtime_class(const struct cell_row *row)
{
    cell_write_name(row);
    cell_write(row, ((const Node__RuntimeClass *)row->object)->handler);
    cell_write_age(row);
}

const struct table_cells table_runtimeclasses =
    TABLE_CELLS(runtime_class_columns, write_runtime_class);
