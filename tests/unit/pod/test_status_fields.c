/*
 * What a container's entry in the status says beside its state (spec pods.md §8.5 item 4), field by
 * field, from a pod and what the runtime tells of its one container.
 */
#include "kube/resources.h"
#include "pod/cri_message.h"
#include "pod/labels.h"
#include "pod/status.h"
#include "pod_fixture.h"

struct told {
    Cri__LinuxContainerUser *user;
    Cri__LinuxContainerResources *resources;
    Cri__Signal stop_signal;
    bool is_created; /* it does not run yet */
};

static Cri__ContainerStatus *cri_status(const struct told *told, struct arena *arena)
{
    Cri__ContainerStatus *status = cri_new(arena, &cri__container_status__descriptor);
    status->id = cri_text(arena, "abc");
    status->metadata = cri_new(arena, &cri__container_metadata__descriptor);
    status->metadata->name = cri_text(arena, "c");
    status->state = told->is_created ? CRI__CONTAINER_STATE__CONTAINER_CREATED
                                     : CRI__CONTAINER_STATE__CONTAINER_RUNNING;
    status->created_at = status->started_at = 100 * NS_PER_SEC;
    status->image = cri_new(arena, &cri__image_spec__descriptor);
    status->image->image = cri_text(arena, "docker.io/library/busybox:latest");
    status->image_ref = cri_text(arena, "docker.io/library/busybox@sha256:1");
    status->image_id = cri_text(arena, "sha256:2");
    status->stop_signal = told->stop_signal;
    if (told->user) {
        status->user = cri_new(arena, &cri__container_user__descriptor);
        status->user->linux = told->user;
    }
    if (told->resources) {
        status->resources = cri_new(arena, &cri__container_resources__descriptor);
        status->resources->linux = told->resources;
    }
    return status;
}

static const Core__ContainerStatus *entry_of(const Core__Pod *pod, const struct told *told,
                                             const struct status_input *more, struct arena *arena)
{
    static const char *const host_ips[] = {"192.0.2.7", NULL};
    struct pod_observed have = {0};
    if (told)
        pod_observed_put_container(&have, "sandbox", cri_status(told, arena));
    struct status_input input = *more;
    input.pod = pod;
    input.have = &have;
    input.runtime_name = "containerd";
    input.host_ips = host_ips;
    input.now_ns = 200 * NS_PER_SEC;
    const Core__PodStatus *status = status_generate(&input, arena);
    pod_observed_clear(&have);
    assert_int_equal(status->n_container_statuses, 1);
    return status->container_statuses[0];
}

static const struct status_input nothing_more = {0};

TEST_CASE(ids_and_images_are_the_runtimes)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__Pod *pod = pod_with("", "", "", arena);
    const Core__ContainerStatus *got = entry_of(pod, &(struct told){0}, &nothing_more, arena);
    assert_string_equal(got->container_id, "containerd://abc");
    assert_string_equal(got->image, "docker.io/library/busybox:latest");
    assert_string_equal(got->image_id, "docker.io/library/busybox@sha256:1");
    assert_null(got->user);
    assert_null(got->stop_signal);

    got = entry_of(pod, NULL, &nothing_more, arena);
    assert_null(got->container_id);
    assert_string_equal(got->image, "busybox");
    assert_string_equal(got->image_id, "");
    assert_null(got->resources);
}

TEST_CASE(the_user_is_told_as_the_runtime_tells_it)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    int64_t groups[] = {3000, 10};
    Cri__LinuxContainerUser user = CRI__LINUX_CONTAINER_USER__INIT;
    user.uid = 1000;
    user.gid = 0;
    user.supplemental_groups = groups;
    user.n_supplemental_groups = ARRAY_SIZE(groups);
    const struct told told = {.user = &user};
    const Core__ContainerStatus *got =
        entry_of(pod_with("", "", "", arena), &told, &nothing_more, arena);
    assert_int_equal(got->user->linux->uid, 1000);
    assert_true(got->user->linux->has_gid);
    assert_int_equal(got->user->linux->gid, 0);
    assert_int_equal(got->user->linux->n_supplemental_groups, 2);
    assert_int_equal(got->user->linux->supplemental_groups[1], 10);
}

TEST_CASE(mounts_say_whether_they_are_read_only_all_the_way_down)
{
    static const struct {
        const char *name, *mount;
        bool supported;
        const char *want; /* NULL: nothing said */
    } rows[] = {
        {"a writable one", "", true, NULL},
        {"a writable one that asks in vain", ", recursiveReadOnly: IfPossible", true, NULL},
        {"not asked for", ", readOnly: true", true, "Disabled"},
        {"refused", ", readOnly: true, recursiveReadOnly: Disabled", true, "Disabled"},
        {"if possible, and it is", ", readOnly: true, recursiveReadOnly: IfPossible", true,
         "Enabled"},
        {"if possible, and it is not", ", readOnly: true, recursiveReadOnly: IfPossible", false,
         "Disabled"},
        {"demanded", ", readOnly: true, recursiveReadOnly: Enabled", true, "Enabled"},
        {"demanded of a runtime that cannot", ", readOnly: true, recursiveReadOnly: Enabled", false,
         "Disabled"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("  %s\n", rows[i].name);
        const char *mounts =
            arena_printf(arena, "volumeMounts: [{name: v, mountPath: /v%s}]", rows[i].mount);
        const Core__Pod *pod = pod_with("", "volumes: [{name: v, emptyDir: {}}]", mounts, arena);
        const struct status_input more = {.recursive_read_only = rows[i].supported};
        const Core__ContainerStatus *got = entry_of(pod, NULL, &more, arena);
        assert_int_equal(got->n_volume_mounts, 1);
        assert_string_equal(got->volume_mounts[0]->name, "v");
        assert_string_equal(got->volume_mounts[0]->mount_path, "/v");
        assert_int_equal(got->volume_mounts[0]->read_only, rows[i].want != NULL);
        assert_true(text_eq(got->volume_mounts[0]->recursive_read_only, rows[i].want));
    }
}

TEST_CASE(the_stop_signal_is_told_once_its_gate_is_on)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__Pod *pod = pod_with("", "", "", arena);
    const struct status_input gate_on = {.stop_signals = true};
    const struct told told = {.stop_signal = CRI__SIGNAL__SIGRTMINPLUS3};
    assert_null(entry_of(pod, &told, &nothing_more, arena)->stop_signal);
    assert_string_equal(entry_of(pod, &told, &gate_on, arena)->stop_signal, "SIGRTMIN+3");
    assert_null(entry_of(pod, &(struct told){0}, &gate_on, arena)->stop_signal);
    assert_null(entry_of(pod, NULL, &gate_on, arena)->stop_signal);
}

static const char *limit(const Core__ContainerStatus *entry, const char *name)
{
    const Meta__Quantity *value = resource_get_limit(entry->resources, name);
    return value ? value->string : "none";
}

static const char *request(const Core__ContainerStatus *entry, const char *name)
{
    const Meta__Quantity *value = resource_get_request(entry->resources, name);
    return value ? value->string : "none";
}

TEST_CASE(resources_are_the_allocated_ones_unless_the_runtime_knows_better)
{
    static const struct {
        const char *name, *resources;
        bool is_created;
        int64_t shares, quota, memory;
        const char *cpu_request, *cpu_limit, *memory_limit;
    } rows[] = {
        {"what the runtime has", "{requests: {cpu: 100m}, limits: {cpu: 200m, memory: 1Mi}}", false,
         512, 50000, 2 * (int64_t)MiB, "500m", "500m", "2Mi"},
        {"not before it runs", "{requests: {cpu: 100m}, limits: {cpu: 200m, memory: 1Mi}}", true,
         512, 50000, 2 * (int64_t)MiB, "100m", "200m", "1Mi"},
        {"less than a cgroup can express", "{requests: {cpu: 1m}, limits: {cpu: 5m}}", false, 2,
         1000, 0, "1m", "5m", "none"},
        {"a limit that was lifted for exclusive CPUs",
         "{requests: {cpu: '1', memory: 1Mi}, limits: {cpu: '1', memory: 1Mi}}", false, 1024, -1, 0,
         "1", "1", "1Mi"},
        {"nothing asked for", "{}", false, 2, 0, 0, "none", "none", "none"},
        {"nothing of its own, all of the pod's", "{}", false, 512, 50000, MiB, "none", "none",
         "none"},
        {"beside its own what it has of the pod",
         "{requests: {memory: 1Mi}, limits: {memory: 1Mi}}", false, 512, 50000, MiB, "500m", "500m",
         "1Mi"},
        {"beside its own no more than nothing", "{requests: {memory: 1Mi}, limits: {memory: 1Mi}}",
         false, 2, 1000, MiB, "none", "none", "1Mi"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("  %s\n", rows[i].name);
        Cri__LinuxContainerResources resources = CRI__LINUX_CONTAINER_RESOURCES__INIT;
        resources.cpu_shares = rows[i].shares;
        resources.cpu_quota = rows[i].quota;
        resources.cpu_period = 100000;
        resources.memory_limit_in_bytes = rows[i].memory;
        const struct told told = {.resources = &resources, .is_created = rows[i].is_created};
        const Core__Pod *pod =
            pod_with("", "", arena_printf(arena, "resources: %s", rows[i].resources), arena);
        const Core__ContainerStatus *got = entry_of(pod, &told, &nothing_more, arena);
        assert_string_equal(request(got, "cpu"), rows[i].cpu_request);
        assert_string_equal(limit(got, "cpu"), rows[i].cpu_limit);
        assert_string_equal(limit(got, "memory"), rows[i].memory_limit);
    }
}

TEST_CASE(allocated_resources_are_the_requests)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__Pod *pod =
        pod_with("", "", "resources: {requests: {cpu: 100m, memory: 5Mi}}", arena);
    const Core__ContainerStatus *got = entry_of(pod, &(struct told){0}, &nothing_more, arena);
    assert_int_equal(got->n_allocated_resources, 2);
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(got->allocated_resources[i]->value->string,
                            text_eq(got->allocated_resources[i]->key, "cpu") ? "100m" : "5Mi");
    assert_int_equal(entry_of(pod, NULL, &nothing_more, arena)->n_allocated_resources, 0);
}

TEST_MAIN(TEST(ids_and_images_are_the_runtimes), TEST(the_user_is_told_as_the_runtime_tells_it),
          TEST(mounts_say_whether_they_are_read_only_all_the_way_down),
          TEST(the_stop_signal_is_told_once_its_gate_is_on),
          TEST(resources_are_the_allocated_ones_unless_the_runtime_knows_better),
          TEST(allocated_resources_are_the_requests))
