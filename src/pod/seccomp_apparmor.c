/*
 * Which seccomp and AppArmor profile a container runs under. For AppArmor three places may speak:
 * the container's field, the old annotation of the pod, the pod's field, in this order.
 */
#include "pod/cri_config_internal.h"

#include "pod/cri_message.h"
#include "pod/go_text.h"

#include "base/path.h"
#include "kube/resources.h"

#define APPARMOR_ANNOTATION "container.apparmor.security.beta.kubernetes.io/"
#define APPARMOR_LOCALHOST "localhost/"

static Cri__SecurityProfile *profile_new(struct arena *arena, Cri__SecurityProfileProfileType type,
                                         const char *localhost_ref)
{
    Cri__SecurityProfile *profile = cri_new(arena, &cri__security_profile__descriptor);
    profile->profile_type = type;
    profile->localhost_ref = cri_text(arena, localhost_ref);
    return profile;
}

static struct error *seccomp_from_field(const Core__SeccompProfile *field, const char *root_dir,
                                        struct arena *arena, Cri__SecurityProfile **ret)
{
    if (text_eq(field->type, "RuntimeDefault")) {
        *ret = profile_new(arena, CRI__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault, NULL);
        return NULL;
    }
    if (!text_eq(field->type, "Localhost")) {
        *ret = profile_new(arena, CRI__SECURITY_PROFILE__PROFILE_TYPE__Unconfined, NULL);
        return NULL;
    }
    if (!field->localhost_profile || !*field->localhost_profile)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "localhostProfile must be set if seccompProfile type is Localhost.");
    AUTO(free) char *path = path_join_all(root_dir, "seccomp", field->localhost_profile, NULL);
    *ret = profile_new(arena, CRI__SECURITY_PROFILE__PROFILE_TYPE__Localhost, path);
    return NULL;
}

struct error *seccomp_profile_build(const struct container_config_input *input, struct arena *arena,
                                    Cri__SecurityProfile **ret)
{
    const Core__SecurityContext *own = input->container->security_context;
    const Core__PodSecurityContext *shared = input->pod->spec->security_context;
    if (own && own->seccomp_profile)
        return seccomp_from_field(own->seccomp_profile, input->node->root_dir, arena, ret);
    if (shared && shared->seccomp_profile)
        return seccomp_from_field(shared->seccomp_profile, input->node->root_dir, arena, ret);
    *ret = profile_new(arena,
                       input->node->seccomp_default
                           ? CRI__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault
                           : CRI__SECURITY_PROFILE__PROFILE_TYPE__Unconfined,
                       NULL);
    return NULL;
}

/* The annotation as the field it became; false when there is none or its value is not one of the
 * known forms. */
static bool apparmor_from_annotation(const struct container_config_input *input,
                                     struct arena *arena, Core__AppArmorProfile *ret)
{
    const char *key = arena_printf(arena, "%s%s", APPARMOR_ANNOTATION, input->container->name);
    const char *value = pod_annotation(input->pod, key);
    if (!value)
        return false;
    if (text_eq(value, "runtime/default")) {
        ret->type = arena_strdup(arena, "RuntimeDefault");
    } else if (text_eq(value, "unconfined")) {
        ret->type = arena_strdup(arena, "Unconfined");
    } else if (text_has_prefix(value, APPARMOR_LOCALHOST) && value[strlen(APPARMOR_LOCALHOST)]) {
        ret->type = arena_strdup(arena, "Localhost");
        ret->localhost_profile = arena_strdup(arena, value + strlen(APPARMOR_LOCALHOST));
    } else {
        return false;
    }
    return true;
}

struct error *apparmor_profile_set(const struct container_config_input *input, struct arena *arena,
                                   Cri__LinuxContainerSecurityContext *security)
{
    const Core__SecurityContext *own = input->container->security_context;
    const Core__PodSecurityContext *shared = input->pod->spec->security_context;
    Core__AppArmorProfile annotated = CORE__APP_ARMOR_PROFILE__INIT;
    const Core__AppArmorProfile *profile = own ? own->app_armor_profile : NULL;
    if (!profile && apparmor_from_annotation(input, arena, &annotated))
        profile = &annotated;
    if (!profile && shared)
        profile = shared->app_armor_profile;
    if (!profile)
        return NULL;

    if (text_eq(profile->type, "RuntimeDefault")) {
        security->apparmor =
            profile_new(arena, CRI__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault, NULL);
        security->apparmor_profile = cri_text(arena, "runtime/default");
        return NULL;
    }
    if (text_eq(profile->type, "Unconfined")) {
        security->apparmor =
            profile_new(arena, CRI__SECURITY_PROFILE__PROFILE_TYPE__Unconfined, NULL);
        security->apparmor_profile = cri_text(arena, "unconfined");
        return NULL;
    }
    if (!text_eq(profile->type, "Localhost"))
        return error_new(ERROR_INVALID_ARGUMENT, "unknown apparmor profile type: %s",
                         go_quote(arena, profile->type));
    if (!profile->localhost_profile)
        return error_new(ERROR_INVALID_ARGUMENT, "missing localhost apparmor profile name");
    security->apparmor = profile_new(arena, CRI__SECURITY_PROFILE__PROFILE_TYPE__Localhost,
                                     profile->localhost_profile);
    security->apparmor_profile =
        arena_printf(arena, "%s%s", APPARMOR_LOCALHOST, profile->localhost_profile);
    return NULL;
}
