/*
 * spec.os and what belongs to one operating system only. We run Linux pods, but a manifest for
 * Windows gets the same answer here as from the API server; that this node cannot run it is for
 * admission to say.
 */
#include "kube/validate_internal.h"

#define CREDENTIAL_SPEC_MAX_BYTES (64 * KiB)
#define USER_DOMAIN_MAX_BYTES 256
#define USER_MAX_BYTES 104
#define NETBIOS_MAX_BYTES 15

static const char not_for_windows[] = "cannot be set for a windows pod";

/* --- runAsUserName: "user" or "DOMAIN\user" --- */

static bool is_netbios_name(struct str text)
{
    if (text.len == 0 || text.len > NETBIOS_MAX_BYTES || text.ptr[0] == '.')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (strchr("\\/:*?\"<>|", text.ptr[i]))
            return false;
    }
    return true;
}

static bool is_ascii_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_dns_domain(struct str text)
{
    enum { DNS_LABEL_MAX_BYTES = 63 };
    struct str rest = text, label;
    while (str_split_next(&rest, '.', &label)) {
        if (label.len == 0 || label.len > DNS_LABEL_MAX_BYTES || !is_ascii_alnum(label.ptr[0]) ||
            !is_ascii_alnum(label.ptr[label.len - 1]))
            return false;
        for (size_t i = 0; i < label.len; i++) {
            if (!is_ascii_alnum(label.ptr[i]) && label.ptr[i] != '-')
                return false;
        }
    }
    return true;
}

static void check_user(struct validation *v, const char *whole, const char *user,
                       const struct field_path *path)
{
    size_t len = strlen(user);
    if (len == 0)
        field_invalid(v, path, whole, "runAsUserName's User cannot be empty");
    else if (len > USER_MAX_BYTES)
        field_invalid(v, path, whole,
                      "runAsUserName's User length must not be longer than 104 characters");
    if (len > 0 && strspn(user, ". ") == len)
        field_invalid(v, path, whole, "runAsUserName's User cannot contain only periods or spaces");
    if (strpbrk(user, "\"/\\:;|=,+*?<>@[]"))
        field_invalid(v, path, whole,
                      "runAsUserName's User cannot contain the following characters: "
                      "\"/\\:;|=,+*?<>@[]");
}

static bool has_control_character(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    }
    return false;
}

static void validate_run_as_user_name(struct validation *v, const char *name,
                                      const struct field_path *path)
{
    const char *backslash = strchr(name, '\\');
    if (!*name) {
        field_invalid(v, path, name, "runAsUserName cannot be an empty string");
    } else if (has_control_character(name)) {
        field_invalid(v, path, name, "runAsUserName cannot contain control characters");
    } else if (backslash && strchr(backslash + 1, '\\')) {
        field_invalid(v, path, name, "runAsUserName cannot contain more than one backslash");
    } else {
        struct str domain = {.ptr = name, .len = backslash ? (size_t)(backslash - name) : 0};
        if (domain.len >= USER_DOMAIN_MAX_BYTES)
            field_invalid(v, path, name,
                          "runAsUserName's Domain length must be under 256 characters");
        if (backslash && !is_netbios_name(domain) && !is_dns_domain(domain))
            field_invalid(v, path, name,
                          "runAsUserName's Domain doesn't match the NetBios nor the DNS format");
        check_user(v, name, backslash ? backslash + 1 : name, path);
    }
}

void validate_windows_options(struct validation *v,
                              const Core__WindowsSecurityContextOptions *options,
                              const struct field_path *path)
{
    if (!options)
        return;
    if (options->gmsa_credential_spec_name)
        field_check_name(v, FIELD(path, "gmsaCredentialSpecName"),
                         options->gmsa_credential_spec_name, name_rule_dns1123_subdomain);
    const char *spec = options->gmsa_credential_spec;
    const struct field_path *spec_path = FIELD(path, "gmsaCredentialSpec");
    if (spec && !*spec)
        field_invalid(v, spec_path, spec, "gmsaCredentialSpec cannot be an empty string");
    else if (spec && strlen(spec) > CREDENTIAL_SPEC_MAX_BYTES)
        field_invalid(v, spec_path, spec, "gmsaCredentialSpec size must be under 64 KiB");
    if (options->run_as_user_name)
        validate_run_as_user_name(v, options->run_as_user_name, FIELD(path, "runAsUserName"));
}

/* --- host process --- */

/* hostProcess of an option block: NULL when it says nothing. */
static const protobuf_c_boolean *host_process_of(const Core__WindowsSecurityContextOptions *options)
{
    return options && options->has_host_process ? &options->host_process : NULL;
}

/* True when the container is a host process; names it when it contradicts the pod. */
static bool check_host_process(struct validation *v, const struct container_place *place,
                               const protobuf_c_boolean *pod, const struct field_path *spec_path)
{
    const Core__SecurityContext *security = place->container->security_context;
    const protobuf_c_boolean *own = host_process_of(security ? security->windows_options : NULL);
    if (!own)
        return pod && *pod;
    const struct field_path *options =
        FIELD(FIELD(FIELD_AT(FIELD(spec_path, place->list), place->index), "securityContext"),
              "windowsOptions");
    if (pod && !*pod != !*own)
        field_invalid_raw(v, FIELD(options, "hostProcess"), *own ? "true" : "false",
                          *pod ? "pod hostProcess value must be identical if both are "
                                 "specified, was true"
                               : "pod hostProcess value must be identical if both are "
                                 "specified, was false");
    return *own;
}

void validate_host_process(struct validation *v, const struct field_path *spec_path)
{
    const Core__PodSecurityContext *security = v->spec->security_context;
    const protobuf_c_boolean *pod = host_process_of(security ? security->windows_options : NULL);
    size_t total = 0, host = 0;
    struct container_place place;
    for (; container_at(v->spec, total, &place); total++) {
        if (check_host_process(v, &place, pod, spec_path))
            host++;
    }
    if (host == 0)
        return;
    if (host != total)
        field_invalid(v, spec_path, "",
                      "If pod contains any hostProcess containers then all containers must be "
                      "HostProcess containers");
    if (!v->host_network)
        field_invalid_raw(v, FIELD(spec_path, "hostNetwork"), "false",
                          "hostNetwork must be true if pod contains any hostProcess containers");
}

/* --- spec.os --- */

struct presence {
    const char *name;
    bool present;
};

static void forbid_present(struct validation *v, const struct field_path *path,
                           const struct presence *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fields[i].present)
            field_forbidden(v, FIELD(path, fields[i].name), not_for_windows);
    }
}

static void forbid_pod_linux_fields(struct validation *v, const struct field_path *spec_path)
{
    static const Core__PodSecurityContext empty = CORE__POD_SECURITY_CONTEXT__INIT;
    const Core__PodSpec *spec = v->spec;
    const Core__PodSecurityContext *security =
        spec->security_context ? spec->security_context : &empty;
    const struct presence before[] = {{"appArmorProfile", security->app_armor_profile != NULL},
                                      {"seLinuxOptions", security->se_linux_options != NULL}};
    const struct presence of_spec[] = {{"hostUsers", spec->has_host_users},
                                       {"hostPID", spec->has_host_pid && spec->host_pid},
                                       {"hostIPC", spec->has_host_ipc && spec->host_ipc}};
    const struct presence middle[] = {
        {"seccompProfile", security->seccomp_profile != NULL},
        {"fsGroup", security->has_fs_group},
        {"fsGroupChangePolicy", security->fs_group_change_policy != NULL},
        {"sysctls", security->n_sysctls > 0}};
    const struct presence shared[] = {{"shareProcessNamespace", spec->has_share_process_namespace}};
    const struct presence after[] = {
        {"runAsUser", security->has_run_as_user},
        {"runAsGroup", security->has_run_as_group},
        {"supplementalGroups", security->n_supplemental_groups > 0},
        {"supplementalGroupsPolicy", security->supplemental_groups_policy != NULL},
        {"seLinuxChangePolicy", security->se_linux_change_policy != NULL}};
    const struct field_path *path = FIELD(spec_path, "securityContext");
    forbid_present(v, path, before, ARRAY_SIZE(before));
    forbid_present(v, spec_path, of_spec, ARRAY_SIZE(of_spec));
    forbid_present(v, path, middle, ARRAY_SIZE(middle));
    forbid_present(v, spec_path, shared, ARRAY_SIZE(shared));
    forbid_present(v, path, after, ARRAY_SIZE(after));
}

static void forbid_container_linux_fields(struct validation *v,
                                          const Core__SecurityContext *security,
                                          const struct field_path *path)
{
    const struct presence fields[] = {
        {"appArmorProfile", security->app_armor_profile != NULL},
        {"seLinuxOptions", security->se_linux_options != NULL},
        {"seccompProfile", security->seccomp_profile != NULL},
        {"capabilities", security->capabilities != NULL},
        {"readOnlyRootFilesystem", security->has_read_only_root_filesystem},
        {"privileged", security->has_privileged},
        {"allowPrivilegeEscalation", security->has_allow_privilege_escalation},
        {"procMount", security->proc_mount != NULL},
        {"runAsUser", security->has_run_as_user},
        {"runAsGroup", security->has_run_as_group}};
    forbid_present(v, path, fields, ARRAY_SIZE(fields));
}

void validate_os(struct validation *v, const struct field_path *spec_path)
{
    static const char *const supported[] = {"linux", "windows", NULL};
    if (!v->os)
        return;
    const struct field_path *os = FIELD(spec_path, "os");
    if (is_empty(v->os)) {
        field_required(v, FIELD(os, "name"), "cannot be empty");
        return;
    }
    if (!is_one_of(v->os, supported)) {
        field_not_supported(v, os, v->os, supported);
        return;
    }
    bool windows = text_eq(v->os, "windows");
    const Core__PodSecurityContext *security = v->spec->security_context;
    static const char *const not_for_linux = "windows options cannot be set for a linux pod";
    if (windows)
        forbid_pod_linux_fields(v, spec_path);
    else if (security && security->windows_options)
        field_forbidden(v, FIELD(FIELD(spec_path, "securityContext"), "windowsOptions"),
                        not_for_linux);
    struct container_place place;
    for (size_t i = 0; container_at(v->spec, i, &place); i++) {
        const Core__SecurityContext *own = place.container->security_context;
        const struct field_path *at =
            FIELD(FIELD_AT(FIELD(spec_path, place.list), place.index), "securityContext");
        if (own && windows)
            forbid_container_linux_fields(v, own, at);
        else if (own && own->windows_options)
            field_forbidden(v, FIELD(at, "windowsOptions"), not_for_linux);
    }
}
