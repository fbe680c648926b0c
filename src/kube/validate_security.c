/*
 * Security contexts of pod and containers: ids, profiles, sysctls; and the annotations that said
 * the same before there were fields, which must not contradict them.
 */
#include "kube/validate_internal.h"

#include "kube/resources.h"

/* Users and groups are 32 bits wide. */
#define ID_MAX UINT32_MAX
#define APPARMOR_PROFILE_MAX_BYTES 4095 /* PATH_MAX - 1 */

#define SECCOMP_POD_ANNOTATION "seccomp.security.alpha.kubernetes.io/pod"
#define SECCOMP_CONTAINER_PREFIX "container.seccomp.security.alpha.kubernetes.io/"
#define APPARMOR_CONTAINER_PREFIX "container.apparmor.security.beta.kubernetes.io/"
#define LOCALHOST_PREFIX "localhost/"

static void check_id(struct validation *v, const struct field_path *path, bool has_id, int64_t id)
{
    if (has_id)
        field_check_range(v, path, id, 0, ID_MAX);
}

/* --- profiles --- */

static void validate_seccomp(struct validation *v, const Core__SeccompProfile *profile,
                             const struct field_path *path)
{
    static const char *const types[] = {"Localhost", "RuntimeDefault", "Unconfined", NULL};
    if (!profile)
        return;
    const struct field_path *localhost = FIELD(path, "localhostProfile");
    if (is_empty(profile->type))
        field_required(v, FIELD(path, "type"), "type is required when seccompProfile is set");
    else if (!is_one_of(profile->type, types))
        field_not_supported(v, FIELD(path, "type"), profile->type, types);
    if (text_eq(profile->type, "Localhost")) {
        if (!profile->localhost_profile)
            field_required(v, localhost, "must be set when seccomp type is Localhost");
        else
            field_check_descending_path(v, localhost, profile->localhost_profile);
    } else if (profile->localhost_profile) {
        field_invalid_message(v, localhost, &profile->base,
                              "can only be set when seccomp type is Localhost");
    }
}

static void validate_apparmor_localhost(struct validation *v, const char *name,
                                        const struct field_path *path)
{
    struct str text = str_from(name);
    if (!name || text.len == 0)
        field_required(v, path, "must be set when AppArmor type is Localhost");
    else if (str_trim(text).len != text.len)
        field_invalid(v, path, name, "must not be padded with whitespace");
    if (text.len > APPARMOR_PROFILE_MAX_BYTES)
        field_too_long(v, path, APPARMOR_PROFILE_MAX_BYTES);
}

static void validate_apparmor(struct validation *v, const Core__AppArmorProfile *profile,
                              const struct field_path *path)
{
    static const char *const types[] = {"Localhost", "RuntimeDefault", "Unconfined", NULL};
    if (!profile)
        return;
    const struct field_path *localhost = FIELD(path, "localhostProfile");
    if (is_empty(profile->type))
        field_required(v, FIELD(path, "type"), "type is required when appArmorProfile is set");
    else if (!is_one_of(profile->type, types))
        field_not_supported(v, FIELD(path, "type"), profile->type, types);
    else if (text_eq(profile->type, "Localhost"))
        validate_apparmor_localhost(v, profile->localhost_profile, localhost);
    else if (profile->localhost_profile)
        field_invalid(v, localhost, profile->localhost_profile,
                      "can only be set when AppArmor type is Localhost");
}

/* --- sysctls --- */

/* "net/core/x" and "net.core.x" are one; "net.eth0/1.x" style names keep their dots as they are. */
static const char *dotted_sysctl(struct arena *arena, const char *name)
{
    size_t first = strcspn(name, "./");
    char *copy = arena_strdup(arena, name);
    if (name[first] != '/')
        return copy;
    for (char *c = copy; *c; c++) {
        if (*c == '/')
            *c = '.';
        else if (*c == '.')
            *c = '/';
    }
    return copy;
}

static void check_host_sysctl(struct validation *v, const char *name, const struct field_path *path)
{
    const char *sysctl = dotted_sysctl(v->scratch, name);
    bool net = text_has_prefix(sysctl, "net.");
    bool ipc = text_eq(sysctl, "kernel.sem") || text_has_prefix(sysctl, "kernel.shm") ||
               text_has_prefix(sysctl, "kernel.msg") || text_has_prefix(sysctl, "fs.mqueue.");
    if (net && v->host_network)
        field_invalid(v, path, name, "may not be specified when 'hostNetwork' is true");
    else if (ipc && v->spec->has_host_ipc && v->spec->host_ipc)
        field_invalid(v, path, name, "may not be specified when 'hostIPC' is true");
}

static void validate_sysctls(struct validation *v, const Core__PodSecurityContext *security,
                             const struct field_path *path)
{
    struct text_map seen = {.arena = v->scratch};
    for (size_t i = 0; i < security->n_sysctls; i++) {
        const char *name = or_empty(security->sysctls[i]->name);
        const struct field_path *at = FIELD(FIELD_AT(path, i), "name");
        bool is_new = text_map_add(&seen, name, i);
        if (is_empty(name))
            field_required(v, at, NULL);
        else if (!is_sysctl_name(name))
            field_invalid(
                v, at, name,
                "must have at most 253 characters and match regex "
                "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$");
        else if (!is_new)
            field_duplicate(v, at, name);
        check_host_sysctl(v, name, at);
    }
}

/* --- the pod --- */

static void check_optional_enum(struct validation *v, const struct field_path *path,
                                const char *value, const char *const *supported)
{
    if (value && !is_one_of(value, supported))
        field_not_supported(v, path, value, supported);
}

void validate_pod_security(struct validation *v, const struct field_path *spec_path)
{
    static const char *const change_policies[] = {"Always", "OnRootMismatch", NULL};
    static const char *const groups_policies[] = {"Merge", "Strict", NULL};
    static const char *const selinux_policies[] = {"MountOption", "Recursive", NULL};
    const Core__PodSecurityContext *security = v->spec->security_context;
    const struct field_path *path = FIELD(spec_path, "securityContext");
    if (security) {
        check_id(v, FIELD(path, "fsGroup"), security->has_fs_group, security->fs_group);
        check_id(v, FIELD(path, "runAsUser"), security->has_run_as_user, security->run_as_user);
        check_id(v, FIELD(path, "runAsGroup"), security->has_run_as_group, security->run_as_group);
        for (size_t i = 0; i < security->n_supplemental_groups; i++)
            check_id(v, FIELD_AT(FIELD(path, "supplementalGroups"), i), true,
                     security->supplemental_groups[i]);
    }
    if (v->spec->has_share_process_namespace && v->spec->share_process_namespace &&
        v->spec->has_host_pid && v->spec->host_pid)
        field_invalid_raw(v, FIELD(path, "shareProcessNamespace"), "true",
                          "ShareProcessNamespace and HostPID cannot both be enabled");
    if (!security)
        return;
    validate_sysctls(v, security, FIELD(path, "sysctls"));
    check_optional_enum(v, FIELD(path, "fsGroupChangePolicy"), security->fs_group_change_policy,
                        change_policies);
    validate_seccomp(v, security->seccomp_profile, FIELD(path, "seccompProfile"));
    validate_windows_options(v, security->windows_options, FIELD(path, "windowsOptions"));
    validate_apparmor(v, security->app_armor_profile, FIELD(path, "appArmorProfile"));
    check_optional_enum(v, FIELD(path, "supplementalGroupsPolicy"),
                        security->supplemental_groups_policy, groups_policies);
    check_optional_enum(v, FIELD(path, "seLinuxChangePolicy"), security->se_linux_change_policy,
                        selinux_policies);
}

/* --- containers --- */

static void check_privilege(struct validation *v, const Core__SecurityContext *security,
                            const struct field_path *path)
{
    if (!security->has_allow_privilege_escalation || security->allow_privilege_escalation)
        return;
    if (security->has_privileged && security->privileged)
        field_invalid_message(
            v, path, &security->base,
            "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
    const Core__Capabilities *capabilities = security->capabilities;
    for (size_t i = 0; capabilities && i < capabilities->n_add; i++) {
        if (text_eq(capabilities->add[i], "CAP_SYS_ADMIN"))
            field_invalid_message(v, path, &security->base,
                                  "cannot set `allowPrivilegeEscalation` to false and "
                                  "`capabilities.Add` CAP_SYS_ADMIN");
    }
}

void validate_container_security(struct validation *v, const Core__SecurityContext *security,
                                 const struct field_path *path)
{
    static const char *const proc_mounts[] = {"Default", "Unmasked", NULL};
    if (!security)
        return;
    check_id(v, FIELD(path, "runAsUser"), security->has_run_as_user, security->run_as_user);
    check_id(v, FIELD(path, "runAsGroup"), security->has_run_as_group, security->run_as_group);
    check_optional_enum(v, FIELD(path, "procMount"), security->proc_mount, proc_mounts);
    if (v->host_users && text_eq(security->proc_mount, "Unmasked"))
        field_invalid(v, FIELD(path, "procMount"), security->proc_mount,
                      "`hostUsers` must be false to use `Unmasked`");
    validate_seccomp(v, security->seccomp_profile, FIELD(path, "seccompProfile"));
    check_privilege(v, security, path);
    validate_windows_options(v, security->windows_options, FIELD(path, "windowsOptions"));
    validate_apparmor(v, security->app_armor_profile, FIELD(path, "appArmorProfile"));
}

/* --- annotations --- */

static void validate_seccomp_annotation(struct validation *v, const char *value,
                                        const struct field_path *path)
{
    static const char *const fixed[] = {"runtime/default", "docker/default", "unconfined", NULL};
    if (is_one_of(value, fixed))
        return;
    if (text_has_prefix(or_empty(value), LOCALHOST_PREFIX))
        field_check_descending_path(v, path, value + strlen(LOCALHOST_PREFIX));
    else
        field_invalid(v, path, value, "must be a valid seccomp profile");
}

static bool has_container(const Core__PodSpec *spec, const char *name)
{
    struct container_place place;
    for (size_t i = 0; container_at(spec, i, &place); i++) {
        if (text_eq(place.container->name, name))
            return true;
    }
    for (size_t i = 0; i < spec->n_ephemeral_containers; i++) {
        const Core__EphemeralContainerCommon *common =
            spec->ephemeral_containers[i]->ephemeral_container_common;
        if (common && text_eq(common->name, name))
            return true;
    }
    return false;
}

static void validate_apparmor_annotation(struct validation *v, const char *key, const char *value,
                                         const struct field_path *path)
{
    static const char *const fixed[] = {"", "runtime/default", "unconfined", NULL};
    const char *container = key + strlen(APPARMOR_CONTAINER_PREFIX);
    if (!has_container(v->spec, container))
        field_invalid(v, FIELD_KEY(path, key), container, "container not found");
    if (!is_one_of(value, fixed) && !text_has_prefix(value, LOCALHOST_PREFIX))
        field_invalid(v, FIELD_KEY(path, key), value,
                      arena_printf(v->scratch, "invalid AppArmor profile name: \"%s\"", value));
}

void validate_security_annotations(struct validation *v, const struct field_path *path)
{
    const Meta__ObjectMeta *meta = v->pod->metadata;
    const char *pod_profile = pod_annotation(v->pod, SECCOMP_POD_ANNOTATION);
    if (pod_profile)
        validate_seccomp_annotation(v, pod_profile, FIELD(path, SECCOMP_POD_ANNOTATION));
    for (size_t i = 0; i < meta->n_annotations; i++) {
        const char *key = or_empty(meta->annotations[i]->key);
        if (text_has_prefix(key, SECCOMP_CONTAINER_PREFIX))
            validate_seccomp_annotation(v, or_empty(meta->annotations[i]->value), FIELD(path, key));
    }
    for (size_t i = 0; i < meta->n_annotations; i++) {
        const char *key = or_empty(meta->annotations[i]->key);
        if (text_has_prefix(key, APPARMOR_CONTAINER_PREFIX))
            validate_apparmor_annotation(v, key, or_empty(meta->annotations[i]->value), path);
    }
}

/* A profile in either form, to be compared. */
struct profile {
    const char *kind; /* "seccomp" or "apparmor", as the messages say it */
    const char *type, *localhost;
};

static void check_match(struct validation *v, const char *annotation, const struct profile *profile,
                        const struct field_path *path)
{
    bool same = true, same_file = true;
    if (text_eq(profile->type, "Unconfined")) {
        same = text_eq(annotation, "unconfined");
    } else if (text_eq(profile->type, "RuntimeDefault")) {
        same = text_eq(annotation, "runtime/default") ||
               (text_eq(profile->kind, "seccomp") && text_eq(annotation, "docker/default"));
    } else if (text_eq(profile->type, "Localhost")) {
        same = text_has_prefix(annotation, LOCALHOST_PREFIX);
        same_file = same && text_eq(annotation + strlen(LOCALHOST_PREFIX), profile->localhost);
    }
    if (!same)
        field_forbidden(
            v, FIELD(path, "type"),
            arena_printf(v->scratch, "%s type in annotation and field must match", profile->kind));
    else if (!same_file)
        field_forbidden(v, FIELD(path, "localhostProfile"),
                        arena_printf(v->scratch, "%s profile in annotation and field must match",
                                     profile->kind));
}

static void check_seccomp_match(struct validation *v, const char *key,
                                const Core__SeccompProfile *seccomp, const struct field_path *path)
{
    const char *annotation = seccomp ? pod_annotation(v->pod, key) : NULL;
    if (!annotation)
        return;
    const struct profile profile = {"seccomp", seccomp->type, seccomp->localhost_profile};
    check_match(v, annotation, &profile, FIELD(path, "seccompProfile"));
}

static void check_apparmor_match(struct validation *v, const char *key,
                                 const Core__AppArmorProfile *apparmor,
                                 const struct field_path *path)
{
    const char *annotation = apparmor ? pod_annotation(v->pod, key) : NULL;
    if (!annotation)
        return;
    const struct profile profile = {"apparmor", apparmor->type, apparmor->localhost_profile};
    check_match(v, annotation, &profile, FIELD(path, "appArmorProfile"));
}

void validate_annotations_match_fields(struct validation *v, const struct field_path *spec_path)
{
    const Core__PodSecurityContext *pod = v->spec->security_context;
    if (pod)
        check_seccomp_match(v, SECCOMP_POD_ANNOTATION, pod->seccomp_profile,
                            FIELD(spec_path, "securityContext"));
    struct container_place place;
    for (size_t i = 0; container_at(v->spec, i, &place); i++) {
        const Core__SecurityContext *own = place.container->security_context;
        const struct field_path *at =
            FIELD(FIELD_AT(FIELD(spec_path, place.list), place.index), "securityContext");
        const char *name = or_empty(place.container->name);
        check_seccomp_match(v, arena_printf(v->scratch, "%s%s", SECCOMP_CONTAINER_PREFIX, name),
                            own ? own->seccomp_profile : NULL, at);
        if (text_eq(v->os, "windows"))
            continue;
        const Core__AppArmorProfile *apparmor = own ? own->app_armor_profile : NULL;
        if (!apparmor && pod)
            apparmor = pod->app_armor_profile;
        check_apparmor_match(v, arena_printf(v->scratch, "%s%s", APPARMOR_CONTAINER_PREFIX, name),
                             apparmor, at);
    }
}
