/*
 * The order matters in one place: requests default from limits container by container before the
 * pod level is defaulted from their sum. Everything else is independent, field by field, in the
 * order of the PodSpec.
 */
#include "kube/defaults.h"

#include "kube/message_map.h"
#include "kube/quantity.h"
#include "kube/resources.h"

/* Names from pkg/apis/core/v1/defaults.go and the API's "+default" markers, 1.36. */
#define DEFAULT_FILE_MODE 0644
#define DEFAULT_GRACE_PERIOD_SECONDS 30
#define DEFAULT_TOKEN_EXPIRATION_SECONDS 3600

static bool is_empty(const char *text)
{
    return !text || !*text;
}

static void default_text(char **field, const char *value, struct arena *arena)
{
    if (is_empty(*field))
        *field = arena_strdup(arena, value);
}

/* --- image references --- */

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* "a", "a.b", "a_b", "a__b", "a--b": letters and digits joined by '.', '_', "__" or any number of
 * '-'. */
static bool is_path_component(struct str text)
{
    size_t i = 0;
    while (i < text.len) {
        size_t word = i;
        while (i < text.len && is_lower_or_digit(text.ptr[i]))
            i++;
        if (i == word)
            return false;
        if (i == text.len)
            return true;
        char joint = text.ptr[i];
        size_t start = i;
        while (i < text.len && text.ptr[i] == joint)
            i++;
        size_t run = i - start;
        if (!(joint == '-' || (joint == '.' && run == 1) || (joint == '_' && run <= 2)))
            return false;
    }
    return false;
}

static bool is_domain(struct str first)
{
    if (str_eq_c(first, "localhost"))
        return true;
    for (size_t i = 0; i < first.len; i++) {
        char c = first.ptr[i];
        if (c == '.' || c == ':' || (c >= 'A' && c <= 'Z'))
            return true;
    }
    return false;
}

/* @name is the reference before any tag or digest. */
static bool is_repository_name(struct str name)
{
    struct str rest = name, part;
    bool first = true;
    size_t components = 0;
    while (str_split_next(&rest, '/', &part)) {
        bool domain = first && rest.ptr && is_domain(part);
        first = false;
        if (domain)
            continue;
        if (!is_path_component(part))
            return false;
        components++;
    }
    return components > 0;
}

const char *image_default_pull_policy(const char *image)
{
    static const char *const always = "Always", *const if_not_present = "IfNotPresent";
    struct str name = str_from(image);
    bool has_digest = false;
    size_t at = str_find(name, '@');
    if (at < name.len) {
        has_digest = true;
        name.len = at;
    }
    struct str tag = {.ptr = NULL, .len = 0};
    for (size_t i = name.len; i > 0 && name.ptr[i - 1] != '/'; i--) {
        if (name.ptr[i - 1] == ':') {
            tag = (struct str){.ptr = name.ptr + i, .len = name.len - i};
            name.len = i - 1;
            break;
        }
    }
    if (!is_repository_name(name))
        return if_not_present;
    if (tag.ptr)
        return str_eq_c(tag, "latest") ? always : if_not_present;
    return has_digest ? if_not_present : always;
}

/* --- quantities --- */

static void default_quantity(Meta__Quantity *quantity, bool in_map, struct arena *arena)
{
    if (!quantity || is_empty(quantity->string))
        return;
    struct error *err = quantity_check(str_from(quantity->string));
    if (err) {
        error_ignore(err, "validation reports it with its path");
        return;
    }
    if (in_map) {
        /* SetDefaults_ResourceList: what is finer than a thousandth is rounded up. */
        int64_t millis = quantity_milli_value(quantity);
        Meta__Quantity rounded = META__QUANTITY__INIT;
        const char *text = quantity_from_milli(millis, arena);
        char *copy = arena_strdup(arena, text);
        rounded.string = copy;
        if (millis != INT64_MAX && millis != INT64_MIN &&
            quantity_compare(quantity, &rounded) != 0) {
            quantity->string = copy;
            return;
        }
    }
    const char *canonical = quantity_canonical(quantity->string, arena);
    if (!text_eq(canonical, quantity->string))
        quantity->string = arena_strdup(arena, canonical);
}

static void default_resource_maps(Core__ResourceRequirements *resources, struct arena *arena)
{
    for (size_t i = 0; resources && i < resources->n_limits; i++)
        default_quantity(resources->limits[i]->value, true, arena);
    for (size_t i = 0; resources && i < resources->n_requests; i++)
        default_quantity(resources->requests[i]->value, true, arena);
}

/* What is limited and not said to be requested is requested up to its limit. */
static void request_limit(Core__ResourceRequirements *resources,
                          const Core__ResourceRequirements__LimitsEntry *limit, struct arena *arena)
{
    message_map_set(&resources->base, "requests", limit->key,
                    limit->value ? limit->value->string : NULL, arena);
}

static void default_requests_from_limits(Core__ResourceRequirements *resources, struct arena *arena)
{
    for (size_t i = 0; resources && i < resources->n_limits; i++) {
        const Core__ResourceRequirements__LimitsEntry *limit = resources->limits[i];
        if (!resource_get_request(resources, limit->key))
            request_limit(resources, limit, arena);
    }
}

/* --- pod-level resources --- */

static bool pod_names_nothing(const Core__ResourceRequirements *resources)
{
    return !resources || (resources->n_limits == 0 && resources->n_requests == 0);
}

static const struct pod_resource_options containers_only = {.exclude_overhead = true,
                                                            .skip_pod_level = true};

/* Hugepages cannot be overcommitted: a pod that says something at pod level gets the sum as its
 * limit. */
static void default_pod_hugepage_limits(Core__Pod *pod, const Core__Container *container,
                                        struct arena *arena)
{
    Core__ResourceRequirements *pod_level = pod->spec->resources;
    const Core__ResourceRequirements *own = container->resources;
    for (size_t i = 0; own && i < own->n_limits; i++) {
        const char *name = own->limits[i]->key;
        if (!resource_is_hugepages(name) || resource_get_request(pod_level, name) ||
            resource_get_limit(pod_level, name))
            continue;
        int64_t sum = pod_limit_bytes(pod, &containers_only, name, NULL);
        message_map_set(&pod_level->base, "limits", name, quantity_from_value(sum, true, arena),
                        arena);
    }
}

static void default_pod_requests_from_containers(Core__Pod *pod, struct arena *arena)
{
    Core__ResourceRequirements *pod_level = pod->spec->resources;
    bool present;
    int64_t cpu = pod_request_milli_cpu(pod, &containers_only, &present);
    if (present && !resource_get_request(pod_level, RESOURCE_CPU))
        message_map_set(&pod_level->base, "requests", RESOURCE_CPU, quantity_from_milli(cpu, arena),
                        arena);
    int64_t memory = pod_request_bytes(pod, &containers_only, RESOURCE_MEMORY, &present);
    if (present && !resource_get_request(pod_level, RESOURCE_MEMORY))
        message_map_set(&pod_level->base, "requests", RESOURCE_MEMORY,
                        quantity_from_value(memory, true, arena), arena);
}

static void default_pod_level(Core__Pod *pod, struct arena *arena)
{
    Core__ResourceRequirements *pod_level = pod->spec->resources;
    if (pod_names_nothing(pod_level))
        return;
    for (size_t i = 0; i < pod->spec->n_containers; i++)
        default_pod_hugepage_limits(pod, pod->spec->containers[i], arena);
    for (size_t i = 0; i < pod->spec->n_init_containers; i++)
        default_pod_hugepage_limits(pod, pod->spec->init_containers[i], arena);
    if (pod_level->n_limits == 0)
        return;
    default_pod_requests_from_containers(pod, arena);
    for (size_t i = 0; i < pod_level->n_limits; i++) {
        const Core__ResourceRequirements__LimitsEntry *limit = pod_level->limits[i];
        if (resource_is_pod_level(limit->key) && !resource_get_request(pod_level, limit->key))
            request_limit(pod_level, limit, arena);
    }
}

/* --- containers --- */

static void default_http_get(Core__HTTPGetAction *action, struct arena *arena)
{
    if (!action)
        return;
    default_text(&action->path, "/", arena);
    default_text(&action->scheme, "HTTP", arena);
}

static void default_i32(protobuf_c_boolean *has, int32_t *field, int32_t value)
{
    if (*has && *field != 0)
        return;
    *has = true;
    *field = value;
}

static void default_probe(Core__Probe *probe, struct arena *arena)
{
    if (!probe)
        return;
    default_i32(&probe->has_timeout_seconds, &probe->timeout_seconds, 1);
    default_i32(&probe->has_period_seconds, &probe->period_seconds, 10);
    default_i32(&probe->has_success_threshold, &probe->success_threshold, 1);
    default_i32(&probe->has_failure_threshold, &probe->failure_threshold, 3);
    if (!probe->handler)
        return;
    default_http_get(probe->handler->http_get, arena);
    if (probe->handler->grpc && !probe->handler->grpc->service)
        probe->handler->grpc->service = arena_strdup(arena, "");
}

static void default_lifecycle(Core__Lifecycle *lifecycle, struct arena *arena)
{
    if (!lifecycle)
        return;
    if (lifecycle->post_start)
        default_http_get(lifecycle->post_start->http_get, arena);
    if (lifecycle->pre_stop)
        default_http_get(lifecycle->pre_stop->http_get, arena);
}

static void default_field_ref(Core__ObjectFieldSelector *field_ref, struct arena *arena)
{
    if (field_ref)
        default_text(&field_ref->api_version, "v1", arena);
}

static void default_resource_field_ref(Core__ResourceFieldSelector *selector, struct arena *arena)
{
    if (selector)
        default_quantity(selector->divisor, false, arena);
}

static void default_env(Core__EnvVar *const *env, size_t count, struct arena *arena)
{
    for (size_t i = 0; i < count; i++) {
        if (!env[i]->value_from)
            continue;
        default_field_ref(env[i]->value_from->field_ref, arena);
        default_resource_field_ref(env[i]->value_from->resource_field_ref, arena);
    }
}

static void default_ports(Core__ContainerPort *const *ports, size_t count, struct arena *arena)
{
    for (size_t i = 0; i < count; i++)
        default_text(&ports[i]->protocol, "TCP", arena);
}

static void default_image_fields(const char *image, char **pull_policy, char **message_path,
                                 char **message_policy, struct arena *arena)
{
    default_text(pull_policy, image_default_pull_policy(image), arena);
    default_text(message_path, "/dev/termination-log", arena);
    default_text(message_policy, "File", arena);
}

static void default_container(Core__Container *container, struct arena *arena)
{
    default_ports(container->ports, container->n_ports, arena);
    default_env(container->env, container->n_env, arena);
    default_resource_maps(container->resources, arena);
    default_requests_from_limits(container->resources, arena);
    default_probe(container->liveness_probe, arena);
    default_probe(container->readiness_probe, arena);
    default_probe(container->startup_probe, arena);
    default_lifecycle(container->lifecycle, arena);
    default_image_fields(container->image, &container->image_pull_policy,
                         &container->termination_message_path,
                         &container->termination_message_policy, arena);
}

/* The same for the twin message; requests are not defaulted from limits here, as upstream. */
static void default_ephemeral_container(Core__EphemeralContainerCommon *container,
                                        struct arena *arena)
{
    if (!container)
        return;
    default_ports(container->ports, container->n_ports, arena);
    default_env(container->env, container->n_env, arena);
    default_resource_maps(container->resources, arena);
    default_probe(container->liveness_probe, arena);
    default_probe(container->readiness_probe, arena);
    default_probe(container->startup_probe, arena);
    default_lifecycle(container->lifecycle, arena);
    default_image_fields(container->image, &container->image_pull_policy,
                         &container->termination_message_path,
                         &container->termination_message_policy, arena);
}

static void default_host_ports(Core__Container *const *containers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < containers[i]->n_ports; j++) {
            Core__ContainerPort *port = containers[i]->ports[j];
            if (port->container_port != 0)
                default_i32(&port->has_host_port, &port->host_port, port->container_port);
        }
    }
}

/* --- volumes --- */

static void default_mode(protobuf_c_boolean *has, int32_t *mode)
{
    if (*has)
        return;
    *has = true;
    *mode = DEFAULT_FILE_MODE;
}

static void default_downward_items(Core__DownwardAPIVolumeFile *const *items, size_t count,
                                   struct arena *arena)
{
    for (size_t i = 0; i < count; i++) {
        default_field_ref(items[i]->field_ref, arena);
        default_resource_field_ref(items[i]->resource_field_ref, arena);
    }
}

static void default_projected(Core__ProjectedVolumeSource *projected, struct arena *arena)
{
    default_mode(&projected->has_default_mode, &projected->default_mode);
    for (size_t i = 0; i < projected->n_sources; i++) {
        const Core__VolumeProjection *source = projected->sources[i];
        if (source->downward_api)
            default_downward_items(source->downward_api->items, source->downward_api->n_items,
                                   arena);
        Core__ServiceAccountTokenProjection *token = source->service_account_token;
        if (token && !token->has_expiration_seconds) {
            token->has_expiration_seconds = true;
            token->expiration_seconds = DEFAULT_TOKEN_EXPIRATION_SECONDS;
        }
    }
}

static void default_driver_volumes(const Core__VolumeSource *source, struct arena *arena)
{
    if (source->iscsi)
        default_text(&source->iscsi->iscsi_interface, "default", arena);
    if (source->rbd) {
        default_text(&source->rbd->pool, "rbd", arena);
        default_text(&source->rbd->user, "admin", arena);
        default_text(&source->rbd->keyring, "/etc/ceph/keyring", arena);
    }
    if (source->azure_disk) {
        Core__AzureDiskVolumeSource *azure = source->azure_disk;
        default_text(&azure->caching_mode, "ReadWrite", arena);
        default_text(&azure->kind, "Shared", arena);
        if (!azure->fs_type)
            azure->fs_type = arena_strdup(arena, "ext4");
        azure->has_read_only = true;
    }
    if (source->scale_io) {
        default_text(&source->scale_io->storage_mode, "ThinProvisioned", arena);
        default_text(&source->scale_io->fs_type, "xfs", arena);
    }
    Core__PersistentVolumeClaimTemplate *template =
        source->ephemeral ? source->ephemeral->volume_claim_template : NULL;
    if (template && template->spec && !template->spec->volume_mode)
        template->spec->volume_mode = arena_strdup(arena, "Filesystem");
}

/* Only pointers follow the header of a VolumeSource: empty means that every one of them is NULL. */
static bool has_source(const Core__VolumeSource *source)
{
    for (unsigned i = 0; i < source->base.descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &source->base.descriptor->fields[i];
        const void *member;
        memcpy(&member, (const char *)source + field->offset, sizeof(member));
        if (member)
            return true;
    }
    return false;
}

static void default_volume(Core__Volume *volume, struct arena *arena)
{
    if (!volume->volume_source) {
        volume->volume_source = arena_alloc(arena, sizeof(*volume->volume_source));
        core__volume_source__init(volume->volume_source);
    }
    Core__VolumeSource *source = volume->volume_source;
    if (!has_source(source)) {
        source->empty_dir = arena_alloc(arena, sizeof(*source->empty_dir));
        core__empty_dir_volume_source__init(source->empty_dir);
    }
    if (source->empty_dir)
        default_quantity(source->empty_dir->size_limit, false, arena);
    if (source->host_path && !source->host_path->type)
        source->host_path->type = arena_strdup(arena, "");
    if (source->secret)
        default_mode(&source->secret->has_default_mode, &source->secret->default_mode);
    if (source->config_map)
        default_mode(&source->config_map->has_default_mode, &source->config_map->default_mode);
    if (source->downward_api) {
        default_mode(&source->downward_api->has_default_mode, &source->downward_api->default_mode);
        default_downward_items(source->downward_api->items, source->downward_api->n_items, arena);
    }
    if (source->projected)
        default_projected(source->projected, arena);
    if (source->image)
        default_text(&source->image->pull_policy,
                     image_default_pull_policy(source->image->reference), arena);
    default_driver_volumes(source, arena);
}

/* --- the pod --- */

/* serviceAccount is an alias of serviceAccountName; the conversion to v1 writes both. */
static void default_service_account(Core__PodSpec *spec, struct arena *arena)
{
    if (is_empty(spec->service_account_name) && !is_empty(spec->service_account))
        spec->service_account_name = arena_strdup(arena, spec->service_account);
    if (!is_empty(spec->service_account_name) &&
        !text_eq(spec->service_account, spec->service_account_name))
        spec->service_account = arena_strdup(arena, spec->service_account_name);
}

static void default_spec_fields(Core__PodSpec *spec, struct arena *arena)
{
    default_text(&spec->restart_policy, "Always", arena);
    default_text(&spec->dns_policy, "ClusterFirst", arena);
    default_text(&spec->scheduler_name, "default-scheduler", arena);
    if (!spec->has_termination_grace_period_seconds) {
        spec->has_termination_grace_period_seconds = true;
        spec->termination_grace_period_seconds = DEFAULT_GRACE_PERIOD_SECONDS;
    }
    if (!spec->has_enable_service_links) {
        spec->has_enable_service_links = true;
        spec->enable_service_links = true;
    }
    if (!spec->security_context) {
        spec->security_context = arena_alloc(arena, sizeof(*spec->security_context));
        core__pod_security_context__init(spec->security_context);
    }
    default_service_account(spec, arena);
    for (size_t i = 0; i < spec->n_overhead; i++)
        default_quantity(spec->overhead[i]->value, true, arena);
}

void pod_set_defaults(Core__Pod *pod, struct arena *arena)
{
    if (!pod->metadata) {
        pod->metadata = arena_alloc(arena, sizeof(*pod->metadata));
        meta__object_meta__init(pod->metadata);
    }
    if (!pod->spec) {
        pod->spec = arena_alloc(arena, sizeof(*pod->spec));
        core__pod_spec__init(pod->spec);
    }
    Core__PodSpec *spec = pod->spec;
    for (size_t i = 0; i < spec->n_volumes; i++)
        default_volume(spec->volumes[i], arena);
    for (size_t i = 0; i < spec->n_init_containers; i++)
        default_container(spec->init_containers[i], arena);
    for (size_t i = 0; i < spec->n_containers; i++)
        default_container(spec->containers[i], arena);
    for (size_t i = 0; i < spec->n_ephemeral_containers; i++)
        default_ephemeral_container(spec->ephemeral_containers[i]->ephemeral_container_common,
                                    arena);
    default_resource_maps(spec->resources, arena);
    default_pod_level(pod, arena);
    default_spec_fields(spec, arena);
    if (spec->has_host_network && spec->host_network) {
        default_host_ports(spec->containers, spec->n_containers);
        default_host_ports(spec->init_containers, spec->n_init_containers);
    }
}
