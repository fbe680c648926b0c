#include "volume/volume.h"

#include "volume_test.h"

/* Fills @source with the type that @member of the row names. */
#define SOURCE(type, init, member)                                                                 \
    static void set_##member(struct arena *arena, Core__VolumeSource *source)                      \
    {                                                                                              \
        source->member = arena_alloc(arena, sizeof(type));                                         \
        init(source->member);                                                                      \
    }
SOURCE(Core__EmptyDirVolumeSource, core__empty_dir_volume_source__init, empty_dir)
SOURCE(Core__HostPathVolumeSource, core__host_path_volume_source__init, host_path)
SOURCE(Core__ConfigMapVolumeSource, core__config_map_volume_source__init, config_map)
SOURCE(Core__SecretVolumeSource, core__secret_volume_source__init, secret)
SOURCE(Core__DownwardAPIVolumeSource, core__downward_apivolume_source__init, downward_api)
SOURCE(Core__ProjectedVolumeSource, core__projected_volume_source__init, projected)
SOURCE(Core__NFSVolumeSource, core__nfsvolume_source__init, nfs)

static void set_memory(struct arena *arena, Core__VolumeSource *source)
{
    set_empty_dir(arena, source);
    source->empty_dir->medium = arena_strdup(arena, "Memory");
}

static void set_nothing(UNUSED struct arena *arena, UNUSED Core__VolumeSource *source) {}

TEST_CASE(each_type_is_measured_in_its_way)
{
    static const struct {
        const char *name;
        void (*set)(struct arena *arena, Core__VolumeSource *source);
        const char *dir; /* NULL: not measured */
        enum volume_measure measure;
        bool is_local_ephemeral;
    } rows[] = {
        {"an emptyDir", set_empty_dir, "kubernetes.io~empty-dir", VOLUME_MEASURE_WALK, true},
        {"in memory", set_memory, "kubernetes.io~empty-dir", VOLUME_MEASURE_WALK, false},
        {"a hostPath", set_host_path, NULL, VOLUME_MEASURE_NONE, false},
        {"a ConfigMap", set_config_map, "kubernetes.io~configmap", VOLUME_MEASURE_WALK_ONCE, true},
        {"a Secret", set_secret, "kubernetes.io~secret", VOLUME_MEASURE_WALK_ONCE, false},
        {"downward API", set_downward_api, "kubernetes.io~downward-api", VOLUME_MEASURE_WALK_ONCE,
         false},
        {"projected", set_projected, "kubernetes.io~projected", VOLUME_MEASURE_WALK_ONCE, false},
        {"without a plugin", set_nfs, NULL, VOLUME_MEASURE_NONE, false},
        {"without a type", set_nothing, NULL, VOLUME_MEASURE_NONE, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        Core__Pod *pod = pod_new(arena, "uid-1");
        container_mount(arena, pod_add_container(arena, pod), "v");
        rows[i].set(arena, pod_add_volume(arena, pod, "v"));
        const struct volume_measurable *found = NULL;
        size_t count = volume_measurables("/root", pod, arena, &found);
        if (count != (rows[i].dir ? 1U : 0U))
            fail_msg("%s: %zu", rows[i].name, count);
        if (count == 0)
            continue;
        assert_string_equal(found->name, "v");
        assert_string_equal(found->path,
                            arena_printf(arena, "/root/pods/uid-1/volumes/%s/v", rows[i].dir));
        assert_int_equal(found->measure, rows[i].measure);
        assert_int_equal(found->is_local_ephemeral, rows[i].is_local_ephemeral);
    }
}

TEST_CASE(only_what_containers_mount_counts)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod = pod_new(arena, "uid-1");
    Core__Container *container = pod_add_container(arena, pod);
    (void)pod_add_empty_dir(arena, pod, "unused", "");
    (void)pod_add_empty_dir(arena, pod, "b", "");
    (void)pod_add_empty_dir(arena, pod, "a", "");
    container_mount(arena, container, "a");
    container_mount(arena, container, "b");
    const struct volume_measurable *found = NULL;
    assert_int_equal(volume_measurables("/root", pod, arena, &found), 2);
    assert_string_equal(found[0].name, "b");
    assert_string_equal(found[1].name, "a");
}

TEST_CASE(names_that_are_no_file_names_are_passed_over)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod = pod_new(arena, "uid-1");
    (void)pod_add_empty_dir(arena, pod, "..", "");
    container_mount(arena, pod_add_container(arena, pod), "..");
    const struct volume_measurable *found = NULL;
    assert_int_equal(volume_measurables("/root", pod, arena, &found), 0);
    (void)pod_add_empty_dir(arena, pod, "good", "");
    container_mount(arena, pod->spec->containers[0], "good");
    assert_int_equal(volume_measurables("/root", pod, arena, &found), 1);
    pod->metadata->uid = arena_strdup(arena, "../other");
    assert_int_equal(volume_measurables("/root", pod, arena, &found), 0);
    pod->spec = NULL;
    assert_int_equal(volume_measurables("/root", pod, arena, &found), 0);
}

TEST_MAIN(TEST(each_type_is_measured_in_its_way), TEST(only_what_containers_mount_counts),
          TEST(names_that_are_no_file_names_are_passed_over))
