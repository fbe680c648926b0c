/*
 * Security contexts of sandboxes and containers (spec runtime.md §2.6, §3.16). The effective
 * context of a container is the pod's, overridden field by field by the container's own.
 */
#include "pod/cri_config_internal.h"

#include "pod/cri_message.h"
#include "pod/go_text.h"

/* Uids beyond are refused for images that must not run as root. */
#define UID_MAX_CHECKED INT32_MAX

static const char *const default_masked_paths[] = {
    "/proc/asound",      "/proc/acpi",          "/proc/interrupts", "/proc/kcore",
    "/proc/keys",        "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
    "/proc/sched_debug", "/proc/scsi",          "/sys/firmware",    "/sys/devices/virtual/powercap",
};

static const char *const default_readonly_paths[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static Cri__Int64Value *int64_value(struct arena *arena, int64_t number)
{
    Cri__Int64Value *value = cri_new(arena, &cri__int64_value__descriptor);
    value->value = number;
    return value;
}

static Cri__SELinuxOption *selinux_option(struct arena *arena, const Core__SELinuxOptions *options)
{
    if (!options)
        return NULL;
    Cri__SELinuxOption *option = cri_new(arena, &cri__selinux_option__descriptor);
    option->user = cri_text(arena, options->user);
    option->role = cri_text(arena, options->role);
    option->type = cri_text(arena, options->type);
    option->level = cri_text(arena, options->level);
    return option;
}

static struct error *userns_refusal(const struct runtime_handler *handler, struct arena *arena)
{
    const char *name = go_quote(arena, handler->name ? handler->name : "");
    const char *subject = handler->name && *handler->name
                              ? arena_printf(arena, "RuntimeClass handler %s does", name)
                              : "runtime does";
    const char *cause =
        handler->is_unknown ? arena_printf(arena, ": the handler %s is not known", name) : "";
    return error_new(ERROR_INVALID_ARGUMENT,
                     "can't set `spec.hostUsers: false`, %s not support user namespaces%s", subject,
                     cause);
}

static Cri__IDMapping **id_mapping(struct arena *arena, struct userns_range range)
{
    Cri__IDMapping **list = cri_array(arena, 1);
    list[0] = cri_new(arena, &cri__idmapping__descriptor);
    list[0]->host_id = range.host_id;
    list[0]->length = range.length;
    return list;
}

static struct error *userns_options(const Core__PodSpec *spec,
                                    const struct runtime_handler *handler,
                                    struct userns_range range, struct arena *arena,
                                    Cri__UserNamespace **ret)
{
    Cri__UserNamespace *options = cri_new(arena, &cri__user_namespace__descriptor);
    options->mode = CRI__NAMESPACE_MODE__NODE;
    *ret = options;
    if (!spec->has_host_users || spec->host_users)
        return NULL;
    if (!handler->user_namespaces)
        return userns_refusal(handler, arena);
    if (range.length == 0)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "can't set `spec.hostUsers: false`, the pod was given no ids");
    options->mode = CRI__NAMESPACE_MODE__POD;
    options->uids = id_mapping(arena, range);
    options->gids = id_mapping(arena, range);
    options->n_uids = options->n_gids = 1;
    return NULL;
}

static struct error *namespace_options(const Core__Pod *pod, const struct runtime_handler *handler,
                                       struct userns_range range, struct arena *arena,
                                       Cri__NamespaceOption **ret)
{
    const Core__PodSpec *spec = pod->spec;
    Cri__NamespaceOption *options = cri_new(arena, &cri__namespace_option__descriptor);
    options->network = spec->host_network ? CRI__NAMESPACE_MODE__NODE : CRI__NAMESPACE_MODE__POD;
    options->ipc = spec->host_ipc ? CRI__NAMESPACE_MODE__NODE : CRI__NAMESPACE_MODE__POD;
    options->pid = spec->host_pid                  ? CRI__NAMESPACE_MODE__NODE
                   : spec->share_process_namespace ? CRI__NAMESPACE_MODE__POD
                                                   : CRI__NAMESPACE_MODE__CONTAINER;
    *ret = options;
    return userns_options(spec, handler, range, arena, &options->userns_options);
}

static struct error *groups_policy(const Core__PodSecurityContext *context,
                                   Cri__SupplementalGroupsPolicy *ret)
{
    const char *policy = context->supplemental_groups_policy;
    if (!policy || text_eq(policy, "Merge"))
        *ret = CRI__SUPPLEMENTAL_GROUPS_POLICY__Merge;
    else if (text_eq(policy, "Strict"))
        *ret = CRI__SUPPLEMENTAL_GROUPS_POLICY__Strict;
    else
        return error_new(ERROR_INVALID_ARGUMENT, "unsupported supplementalGroupsPolicy: %s",
                         policy);
    return NULL;
}

/* Lists of groups are joined in an order that differs between sandbox and container. */
struct groups {
    const int64_t *ids;
    size_t count;
};

static int64_t *join_groups(struct arena *arena, const struct groups *parts, size_t n_parts,
                            size_t *ret_count)
{
    size_t total = 0;
    for (size_t i = 0; i < n_parts; i++)
        total += parts[i].count;
    *ret_count = 0;
    if (total == 0)
        return NULL;
    int64_t *joined = arena_calloc(arena, total, sizeof(*joined));
    for (size_t i = 0; i < n_parts; i++) {
        for (size_t k = 0; k < parts[i].count; k++)
            joined[(*ret_count)++] = parts[i].ids[k];
    }
    return joined;
}

static bool is_privileged(const Core__SecurityContext *context)
{
    return context && context->privileged;
}

static bool any_privileged(const Core__PodSpec *spec)
{
    bool privileged = false;
    for (size_t i = 0; i < spec->n_containers; i++)
        privileged |= is_privileged(spec->containers[i]->security_context);
    for (size_t i = 0; i < spec->n_init_containers; i++)
        privileged |= is_privileged(spec->init_containers[i]->security_context);
    for (size_t i = 0; i < spec->n_ephemeral_containers; i++) {
        const Core__EphemeralContainerCommon *common =
            spec->ephemeral_containers[i]->ephemeral_container_common;
        privileged |= common && is_privileged(common->security_context);
    }
    return privileged;
}

static struct error *apply_pod_context(const struct sandbox_config_input *input,
                                       struct arena *arena,
                                       Cri__LinuxSandboxSecurityContext *security)
{
    const Core__PodSecurityContext *context = input->pod->spec->security_context;
    if (context->has_run_as_user)
        security->run_as_user = int64_value(arena, context->run_as_user);
    if (context->has_run_as_group)
        security->run_as_group = int64_value(arena, context->run_as_group);
    struct error *err = namespace_options(input->pod, &input->handler, input->userns, arena,
                                          &security->namespace_options);
    if (err)
        return err;
    const struct groups groups[] = {
        {&context->fs_group, context->has_fs_group ? 1 : 0},
        {input->extra_groups, input->n_extra_groups},
        {context->supplemental_groups, context->n_supplemental_groups},
    };
    security->supplemental_groups =
        join_groups(arena, groups, ARRAY_SIZE(groups), &security->n_supplemental_groups);
    err = groups_policy(context, &security->supplemental_groups_policy);
    if (err)
        return err;
    security->selinux_options = selinux_option(arena, context->se_linux_options);
    return NULL;
}

struct error *sandbox_security_build(const struct sandbox_config_input *input, struct arena *arena,
                                     Cri__LinuxSandboxSecurityContext **ret)
{
    Cri__LinuxSandboxSecurityContext *security =
        cri_new(arena, &cri__linux_sandbox_security_context__descriptor);
    security->privileged = any_privileged(input->pod->spec);
    /* The pause process needs nothing unusual, so the pod's own profile is not imposed on it. */
    security->seccomp = cri_new(arena, &cri__security_profile__descriptor);
    security->seccomp->profile_type = CRI__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault;
    if (input->pod->spec->security_context) {
        struct error *err = apply_pod_context(input, arena, security);
        if (err)
            return err;
    }
    *ret = security;
    return NULL;
}

/* The fields that pod and container share, after overriding. */
struct effective_context {
    const Core__SELinuxOptions *se_linux_options;
    bool has_run_as_user, has_run_as_group;
    bool run_as_non_root;
    int64_t run_as_user, run_as_group;
};

static struct effective_context effective_context_of(const Core__Pod *pod,
                                                     const Core__Container *container)
{
    const Core__PodSecurityContext none_pod = CORE__POD_SECURITY_CONTEXT__INIT;
    const Core__SecurityContext none_own = CORE__SECURITY_CONTEXT__INIT;
    const Core__PodSecurityContext *shared =
        pod->spec->security_context ? pod->spec->security_context : &none_pod;
    const Core__SecurityContext *own =
        container->security_context ? container->security_context : &none_own;
    return (struct effective_context){
        .se_linux_options =
            own->se_linux_options ? own->se_linux_options : shared->se_linux_options,
        .has_run_as_user = own->has_run_as_user || shared->has_run_as_user,
        .run_as_user = own->has_run_as_user ? own->run_as_user : shared->run_as_user,
        .has_run_as_group = own->has_run_as_group || shared->has_run_as_group,
        .run_as_group = own->has_run_as_group ? own->run_as_group : shared->run_as_group,
        .run_as_non_root =
            own->has_run_as_non_root ? own->run_as_non_root : shared->run_as_non_root,
    };
}

/* The user an image asks for: a uid wins over a name; neither means root. */
static bool image_user_is_name(const struct container_config_input *input)
{
    return !input->image_has_uid && input->image_username && *input->image_username;
}

static void set_user(const struct container_config_input *input,
                     const struct effective_context *context, struct arena *arena,
                     Cri__LinuxContainerSecurityContext *security)
{
    if (context->has_run_as_user)
        security->run_as_user = int64_value(arena, context->run_as_user);
    else if (image_user_is_name(input))
        security->run_as_username = cri_text(arena, input->image_username);
    else
        security->run_as_user = int64_value(arena, input->image_has_uid ? input->image_uid : 0);
    if (context->has_run_as_group)
        security->run_as_group = int64_value(arena, context->run_as_group);
}

static void set_paths(const struct container_config_input *input, struct arena *arena,
                      Cri__LinuxContainerSecurityContext *security)
{
    const Core__SecurityContext *own = input->container->security_context;
    if (own && text_eq(own->proc_mount, "Unmasked"))
        return;
    size_t fixed = ARRAY_SIZE(default_masked_paths), n_extra;
    char **extra = cri_text_list(arena, input->node->masked_paths_extra, &n_extra);
    security->n_masked_paths = fixed + n_extra;
    security->masked_paths = cri_array(arena, security->n_masked_paths);
    for (size_t i = 0; i < security->n_masked_paths; i++)
        security->masked_paths[i] =
            i < fixed ? cri_text(arena, default_masked_paths[i]) : extra[i - fixed];

    security->n_readonly_paths = ARRAY_SIZE(default_readonly_paths);
    security->readonly_paths = cri_array(arena, security->n_readonly_paths);
    for (size_t i = 0; i < security->n_readonly_paths; i++)
        security->readonly_paths[i] = cri_text(arena, default_readonly_paths[i]);
}

/* What only the container itself can say. */
static void set_own(const Core__SecurityContext *own, struct arena *arena,
                    Cri__LinuxContainerSecurityContext *security)
{
    if (!own)
        return;
    security->privileged = own->privileged;
    security->readonly_rootfs = own->read_only_root_filesystem;
    security->no_new_privs =
        own->has_allow_privilege_escalation && !own->allow_privilege_escalation;
    if (own->capabilities) {
        const Core__Capabilities *from = own->capabilities;
        security->capabilities = cri_new(arena, &cri__capability__descriptor);
        security->capabilities->add_capabilities = cri_texts(arena, from->add, from->n_add);
        security->capabilities->n_add_capabilities = from->n_add;
        security->capabilities->drop_capabilities = cri_texts(arena, from->drop, from->n_drop);
        security->capabilities->n_drop_capabilities = from->n_drop;
    }
}

static struct error *set_groups(const struct container_config_input *input, struct arena *arena,
                                Cri__LinuxContainerSecurityContext *security)
{
    const Core__PodSecurityContext none = CORE__POD_SECURITY_CONTEXT__INIT;
    const Core__PodSecurityContext *context = input->pod->spec->security_context;
    if (!context)
        context = &none;
    const struct groups groups[] = {
        {&context->fs_group, context->has_fs_group ? 1 : 0},
        {context->supplemental_groups, context->n_supplemental_groups},
        {input->extra_groups, input->n_extra_groups},
    };
    security->supplemental_groups =
        join_groups(arena, groups, ARRAY_SIZE(groups), &security->n_supplemental_groups);
    return groups_policy(context, &security->supplemental_groups_policy);
}

/* Where containers share their processes anyway there is nobody to be aimed at. */
static void set_target(const struct container_config_input *input, struct arena *arena,
                       Cri__NamespaceOption *options)
{
    if (!input->target_id || options->pid != CRI__NAMESPACE_MODE__CONTAINER)
        return;
    options->pid = CRI__NAMESPACE_MODE__TARGET;
    options->target_id = cri_text(arena, input->target_id);
}

struct error *container_security_build(const struct container_config_input *input,
                                       struct arena *arena,
                                       Cri__LinuxContainerSecurityContext **ret)
{
    struct effective_context context = effective_context_of(input->pod, input->container);
    Cri__LinuxContainerSecurityContext *security =
        cri_new(arena, &cri__linux_container_security_context__descriptor);
    set_own(input->container->security_context, arena, security);
    security->selinux_options = selinux_option(arena, context.se_linux_options);
    set_paths(input, arena, security);
    struct error *err = seccomp_profile_build(input, arena, &security->seccomp);
    if (err)
        return err;
    err = apparmor_profile_set(input, arena, security);
    if (err)
        return err;
    set_user(input, &context, arena, security);
    err = namespace_options(input->pod, &input->handler, input->userns, arena,
                            &security->namespace_options);
    if (err)
        return err;
    set_target(input, arena, security->namespace_options);
    err = set_groups(input, arena, security);
    if (err)
        return err;
    *ret = security;
    return NULL;
}

struct error *container_check_non_root(const struct container_config_input *input,
                                       struct arena *arena)
{
    struct effective_context context = effective_context_of(input->pod, input->container);
    if (!context.run_as_non_root)
        return NULL;
    const char *where =
        arena_printf(arena, "(pod: %s, container: %s)",
                     go_quote(arena, pod_text(input->pod, arena)), input->container->name);
    if (context.has_run_as_user) {
        if (context.run_as_user != 0)
            return NULL;
        return error_new(ERROR_INVALID_ARGUMENT, "container's runAsUser breaks non-root policy %s",
                         where);
    }
    if (image_user_is_name(input))
        return error_new(
            ERROR_INVALID_ARGUMENT,
            "container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is "
            "non-root %s",
            input->image_username, where);
    int64_t uid = input->image_has_uid ? input->image_uid : 0;
    if (uid == 0)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "container has runAsNonRoot and image will run as root %s", where);
    if (uid < 0 || uid > UID_MAX_CHECKED)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "container has runAsNonRoot and image has an invalid user id (%lld). "
                         "(Must be 1-(%d)): must "
                         "be between 0 and %d, inclusive %s",
                         (long long)uid, UID_MAX_CHECKED, UID_MAX_CHECKED, where);
    return NULL;
}
