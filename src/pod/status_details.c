/*
 * What a container has, as its entry in the status shows it: resources, the user it runs as, and
 * what is mounted (spec pods.md §8.5 step 4).
 */
#include "pod/status_internal.h"

#include "kube/message_map.h"
#include "kube/quantity.h"
#include "kube/resources.h"

/*
 * What the runtime reports counts over the spec for a running container, except for values below
 * what cgroups can express (spec runtime.md §4.5: requests up to 2m, limits up to 10m). Beside
 * limits of its own a container shows one that it has through its pod.
 */
static void overlay_actual(Core__ResourceRequirements *resources,
                           const struct container_observed *instance, struct arena *arena)
{
    if (!instance->has_resources || instance->state != CONTAINER_RUNNING)
        return;
    if (resources->n_requests > 0 && instance->cpu_shares >= 2) {
        int64_t actual = (instance->cpu_shares * 1000 + 1023) / 1024;
        const Meta__Quantity *wanted = resource_get_request(resources, "cpu");
        if (actual > 2 || (wanted && quantity_milli_value(wanted) > 2))
            message_map_set(&resources->base, "requests", "cpu", quantity_from_milli(actual, arena),
                            arena);
    }
    if (resources->n_limits == 0)
        return;
    if (instance->cpu_period > 0 && instance->cpu_quota > 0) {
        int64_t actual = instance->cpu_quota * 1000 / instance->cpu_period;
        const Meta__Quantity *wanted = resource_get_limit(resources, "cpu");
        if (actual > 10 || (wanted && quantity_milli_value(wanted) > 10))
            message_map_set(&resources->base, "limits", "cpu", quantity_from_milli(actual, arena),
                            arena);
    }
    if (instance->memory_limit_bytes > 0)
        message_map_set(&resources->base, "limits", "memory",
                        quantity_from_value(instance->memory_limit_bytes, true, arena), arena);
}

void status_fill_resources(Core__ContainerStatus *entry, const Core__Container *container,
                           const struct container_observed *instance, struct arena *arena)
{
    Core__ResourceRequirements *resources =
        STATUS_NEW(arena, Core__ResourceRequirements, core__resource_requirements__descriptor);
    if (container->resources) {
        resources = (Core__ResourceRequirements *)(void *)kube_message_dup(
            &container->resources->base, arena);
        resources->n_claims = 0;
        for (size_t i = 0; i < resources->n_requests; i++) {
            const Meta__Quantity *request = resources->requests[i]->value;
            message_map_set(&entry->base, "allocated_resources", resources->requests[i]->key,
                            request ? request->string : NULL, arena);
        }
    }
    overlay_actual(resources, instance, arena);
    entry->resources = resources;
}

void status_fill_user(Core__ContainerStatus *entry, const struct container_observed *instance,
                      struct arena *arena)
{
    if (!instance->has_user)
        return;
    Core__LinuxContainerUser *user =
        STATUS_NEW(arena, Core__LinuxContainerUser, core__linux_container_user__descriptor);
    user->has_uid = user->has_gid = true;
    user->uid = instance->uid;
    user->gid = instance->gid;
    user->n_supplemental_groups = instance->n_groups;
    if (instance->n_groups > 0)
        user->supplemental_groups =
            arena_memdup(arena, instance->groups, instance->n_groups * sizeof(int64_t));
    entry->user = STATUS_NEW(arena, Core__ContainerUser, core__container_user__descriptor);
    entry->user->linux = user;
}

/* What a container asks for and the runtime cannot do keeps it from starting, or is not done. */
static bool is_recursive(const Core__VolumeMount *mount, bool supported)
{
    return supported && (text_eq(mount->recursive_read_only, "Enabled") ||
                         text_eq(mount->recursive_read_only, "IfPossible"));
}

void status_fill_mounts(const struct status_input *input, Core__ContainerStatus *entry,
                        const Core__Container *container, struct arena *arena)
{
    entry->n_volume_mounts = container->n_volume_mounts;
    if (container->n_volume_mounts == 0)
        return;
    entry->volume_mounts = arena_calloc(arena, container->n_volume_mounts, sizeof(void *));
    for (size_t i = 0; i < container->n_volume_mounts; i++) {
        const Core__VolumeMount *mount = container->volume_mounts[i];
        Core__VolumeMountStatus *shown =
            STATUS_NEW(arena, Core__VolumeMountStatus, core__volume_mount_status__descriptor);
        shown->name = arena_strdup(arena, mount->name);
        shown->mount_path = arena_strdup(arena, mount->mount_path);
        if (mount->has_read_only && mount->read_only) {
            bool recursive = is_recursive(mount, input->recursive_read_only);
            shown->has_read_only = shown->read_only = true;
            shown->recursive_read_only = arena_strdup(arena, recursive ? "Enabled" : "Disabled");
        }
        entry->volume_mounts[i] = shown;
    }
}
