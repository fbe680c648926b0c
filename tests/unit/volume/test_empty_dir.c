#include "volume/volume_plugin.h"

#include "volume/mounter.h"
#include "volume/mountinfo.h"
#include "volume_test.h"

static const struct volume_plugin *const plugin = &volume_plugin_empty_dir;

#define DIR_OF "pods/uid/volumes/kubernetes.io~empty-dir/"
#define MARKER_OF "pods/uid/plugins/kubernetes.io~empty-dir/"

struct setting {
    struct scratch *scratch;
    Core__Pod *pod;
    Core__Container *container;
    int64_t allocatable_bytes;
    bool noswap;
    bool has_fs_group;
    int64_t fs_group;
};

static struct setting setting_new(struct scratch *scratch)
{
    struct setting setting = {.scratch = scratch, .pod = pod_new(scratch->arena, "uid")};
    setting.container = pod_add_container(scratch->arena, setting.pod);
    (void)make_dir_at(scratch, "pods/uid");
    return setting;
}

static struct error *set_up(const struct setting *setting, const char **ret_host_path)
{
    struct arena *arena = setting->scratch->arena;
    const Core__Volume *volume = setting->pod->spec->volumes[0];
    const struct volume_plan_env env = {.allocatable_memory_bytes = setting->allocatable_bytes};
    const void *input;
    assert_ptr_equal(volume_plugin_for(volume->volume_source), plugin);
    struct error *err = plugin->plan(&env, setting->pod, volume, arena, &input);
    if (err)
        return err;
    const struct volume_set_up how = {
        .place = {setting->scratch->dir, "uid", volume->name, arena},
        .input = input,
        .tmpfs_noswap = setting->noswap,
        .has_fs_group = setting->has_fs_group,
        .fs_group = setting->fs_group,
    };
    return plugin->set_up_blocking(&how, ret_host_path);
}

static struct error *tear_down(const struct setting *setting, const char *name)
{
    const struct volume_place place = {setting->scratch->dir, "uid", name, setting->scratch->arena};
    return plugin->tear_down_blocking(plugin, &place);
}

TEST_CASE(the_default_medium_is_an_open_directory_with_a_marker)
{
    AUTO(scratch) struct scratch *scratch = scratch_new();
    struct setting setting = setting_new(scratch);
    const char *host_path;
    (void)pod_add_empty_dir(scratch->arena, setting.pod, "work", "");
    mode_t old = umask(027);
    assert_no_error(set_up(&setting, &host_path));
    (void)umask(old);
    assert_string_equal(host_path, at(scratch, DIR_OF "work"));
    assert_int_equal(mode_of(host_path), 0777);
    assert_int_equal(mode_of(at(scratch, MARKER_OF "work")), 0750);
    assert_true(is_there(at(scratch, MARKER_OF "work/ready")));
}

TEST_CASE(content_survives_being_set_up_again)
{
    AUTO(scratch) struct scratch *scratch = scratch_new();
    struct setting setting = setting_new(scratch);
    const char *host_path;
    (void)pod_add_empty_dir(scratch->arena, setting.pod, "work", "");
    assert_no_error(set_up(&setting, &host_path));
    const char *file = make_file_at(scratch, DIR_OF "work/f", "mine");
    assert_int_equal(chmod(file, 0600), 0);
    setting.has_fs_group = true;
    setting.fs_group = getegid();
    assert_no_error(set_up(&setting, &host_path));
    assert_content(file, "mine");
    assert_int_equal(mode_of(file), 0600);
}

TEST_CASE(a_marker_without_its_directory_means_starting_over)
{
    AUTO(scratch) struct scratch *scratch = scratch_new();
    struct setting setting = setting_new(scratch);
    const char *host_path;
    (void)pod_add_empty_dir(scratch->arena, setting.pod, "work", "");
    assert_no_error(set_up(&setting, &host_path));
    assert_int_equal(rmdir(host_path), 0);
    setting.has_fs_group = true;
    setting.fs_group = getegid();
    assert_no_error(set_up(&setting, &host_path));
    assert_int_equal(mode_of(host_path), 02777);
    assert_true(is_there(at(scratch, MARKER_OF "work/ready")));
}

TEST_CASE(a_file_or_link_where_the_directory_belongs_is_refused)
{
    AUTO(scratch) struct scratch *scratch = scratch_new();
    struct setting setting = setting_new(scratch);
    const char *host_path = NULL;
    const char *victim = make_dir_at(scratch, "victim");
    (void)pod_add_empty_dir(scratch->arena, setting.pod, "work", "");
    (void)make_dir_at(scratch, DIR_OF);
    (void)make_link_at(scratch, DIR_OF "work", victim);
    AUTO(error) struct error *err = set_up(&setting, &host_path);
    assert_non_null(err);
    assert_int_equal(mode_of(victim), 0755);

    assert_int_equal(unlink(at(scratch, DIR_OF "work")), 0);
    (void)make_file_at(scratch, DIR_OF "work", "");
    error_free(TAKE(err));
    err = set_up(&setting, &host_path);
    assert_non_null(err);
    assert_null(host_path);
    assert_false(is_there(at(scratch, MARKER_OF "work/ready")));
}

TEST_CASE(media_that_cannot_be_are_refused)
{
    static const struct {
        const char *medium, *requests[2], *message;
    } rows[] = {
        {"Disk", {0}, "unknown storage medium \"Disk\""},
        {"HugePagesX", {0}, "unknown storage medium \"HugePagesX\""},
        {"HugePages",
         {0},
         "medium HugePages: hugePages storage requested, but there is no resource request for huge "
         "pages"},
        {"HugePages",
         {"hugepages-2Mi", "hugepages-1Gi"},
         "medium: HugePages can't be used if container requests multiple huge page sizes"},
        {"HugePages-1Gi",
         {"hugepages-2Mi"},
         "medium HugePages-1Gi: hugePages storage requested, but there is no resource request for "
         "huge pages"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(scratch) struct scratch *scratch = scratch_new();
        struct setting setting = setting_new(scratch);
        const char *host_path;
        for (size_t k = 0; k < 2 && rows[i].requests[k]; k++)
            container_request(scratch->arena, setting.container, rows[i].requests[k], "2Gi");
        (void)pod_add_empty_dir(scratch->arena, setting.pod, "v", rows[i].medium);
        assert_error_message(set_up(&setting, &host_path), rows[i].message);
    }
}

static const struct mountinfo_entry *mount_at(struct arena *arena, const char *path)
{
    struct mountinfo_table table;
    assert_no_error(mountinfo_read_blocking(arena, &table));
    return mountinfo_find(&table, path);
}

TEST_CASE(memory_is_a_tmpfs_of_the_smallest_size)
{
    static const struct {
        const char *name;
        int64_t allocatable;
        const char *pod_limit, *size_limit, *want_size; /* NULL: the kernel's default */
    } rows[] = {
        {"nothing known", 0, NULL, NULL, NULL},
        {"the node", 64 << 20, NULL, NULL, "65536k"},
        {"the pod", 64 << 20, "32Mi", NULL, "32768k"},
        {"the volume", 64 << 20, "32Mi", "8Mi", "8192k"},
        {"a volume larger than the pod", 64 << 20, "32Mi", "1Gi", "32768k"},
        {"a pod larger than the node", 64 << 20, "1Gi", NULL, "65536k"},
        {"a volume that asks for nothing", 64 << 20, NULL, "0", "65536k"},
    };
    enter_own_mounts();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(scratch) struct scratch *scratch = scratch_new();
        struct setting setting = setting_new(scratch);
        const char *host_path;
        setting.allocatable_bytes = rows[i].allocatable;
        if (rows[i].pod_limit)
            container_limit(scratch->arena, setting.container, "memory", rows[i].pod_limit);
        Core__EmptyDirVolumeSource *source =
            pod_add_empty_dir(scratch->arena, setting.pod, "mem", "Memory");
        if (rows[i].size_limit)
            source->size_limit = quantity_new(scratch->arena, rows[i].size_limit);
        assert_no_error(set_up(&setting, &host_path));
        const struct mountinfo_entry *entry = mount_at(scratch->arena, host_path);
        assert_non_null(entry);
        assert_string_equal(entry->fs_type, "tmpfs");
        assert_string_equal(entry->source, "tmpfs");
        struct str size;
        bool limited = mountinfo_option(entry->super_options, "size", &size);
        if (limited != (rows[i].want_size != NULL) ||
            (limited && !str_eq_c(size, rows[i].want_size)))
            fail_msg("%s: %s", rows[i].name, entry->super_options);
        assert_no_error(tear_down(&setting, "mem"));
        assert_null(mount_at(scratch->arena, host_path));
        assert_false(is_there(host_path));
    }
}

TEST_CASE(memory_is_mounted_once_and_given_to_the_group)
{
    enter_own_mounts();
    AUTO(scratch) struct scratch *scratch = scratch_new();
    struct setting setting = setting_new(scratch);
    const char *host_path;
    setting.has_fs_group = true;
    setting.fs_group = 2000;
    setting.allocatable_bytes = 1 << 20;
    setting.noswap = mounter_kernel_is_at_least(6, 4);
    (void)pod_add_empty_dir(scratch->arena, setting.pod, "mem", "Memory");
    assert_no_error(set_up(&setting, &host_path));
    assert_int_equal(mode_of(host_path), 03777);
    int64_t id = mount_at(scratch->arena, host_path)->id;
    struct str value;
    assert_int_equal(
        mountinfo_option(mount_at(scratch->arena, host_path)->super_options, "noswap", &value),
        setting.noswap);
    assert_no_error(set_up(&setting, &host_path));
    assert_int_equal(mount_at(scratch->arena, host_path)->id, id);

    /* After a reboot the marker is there and the tmpfs is not. */
    assert_no_error(mounter_unmount_blocking(host_path));
    assert_no_error(set_up(&setting, &host_path));
    assert_non_null(mount_at(scratch->arena, host_path));
    assert_no_error(tear_down(&setting, "mem"));
}

TEST_CASE(huge_pages_are_mounted_in_the_size_that_is_requested)
{
    enter_own_mounts();
    if (!is_there("/sys/kernel/mm/hugepages/hugepages-2048kB")) {
        print_message("this kernel has no huge pages of 2 MiB\n");
        skip();
    }
    AUTO(scratch) struct scratch *scratch = scratch_new();
    struct setting setting = setting_new(scratch);
    const char *host_path;
    container_request(scratch->arena, setting.container, "hugepages-2Mi", "2Mi");
    (void)pod_add_empty_dir(scratch->arena, setting.pod, "huge", "HugePages");
    assert_no_error(set_up(&setting, &host_path));
    assert_string_equal(mount_at(scratch->arena, host_path)->fs_type, "hugetlbfs");
    assert_no_error(set_up(&setting, &host_path));

    setting.container->resources->n_requests = 0;
    container_request(scratch->arena, setting.container, "hugepages-1Gi", "1Gi");
    const char *message =
        arena_printf(scratch->arena,
                     "pod uid: mounted dir %s pagesize '2M' and requested medium size '1Gi' differ",
                     at(scratch, DIR_OF "huge"));
    assert_error_message(set_up(&setting, &host_path), message);
    assert_no_error(tear_down(&setting, "huge"));
    assert_false(is_there(at(scratch, DIR_OF "huge")));
}

TEST_CASE(teardown_removes_marker_and_content_and_is_idempotent)
{
    AUTO(scratch) struct scratch *scratch = scratch_new();
    struct setting setting = setting_new(scratch);
    const char *host_path;
    const char *outside = make_file_at(scratch, "outside", "kept");
    (void)pod_add_empty_dir(scratch->arena, setting.pod, "work", "");
    assert_no_error(set_up(&setting, &host_path));
    (void)make_dir_at(scratch, DIR_OF "work/a/b");
    (void)make_file_at(scratch, DIR_OF "work/a/b/f", "");
    (void)make_link_at(scratch, DIR_OF "work/a/link", outside);
    (void)make_link_at(scratch, DIR_OF "work/up", "..");
    for (size_t i = 0; i < 2; i++) {
        assert_no_error(tear_down(&setting, "work"));
        assert_false(is_there(host_path));
        assert_false(is_there(at(scratch, MARKER_OF "work")));
        assert_content(outside, "kept");
    }
}

TEST_CASE(what_is_mounted_on_the_volume_is_taken_off_and_not_emptied)
{
    enter_own_mounts();
    AUTO(scratch) struct scratch *scratch = scratch_new();
    struct setting setting = setting_new(scratch);
    const char *host_path;
    const char *precious = make_dir_at(scratch, "precious");
    (void)make_file_at(scratch, "precious/f", "kept");
    (void)pod_add_empty_dir(scratch->arena, setting.pod, "work", "");
    assert_no_error(set_up(&setting, &host_path));
    assert_int_equal(mount(precious, host_path, NULL, MS_BIND, NULL), 0);
    assert_no_error(tear_down(&setting, "work"));
    assert_false(is_there(host_path));
    assert_content(at(scratch, "precious/f"), "kept");
}

TEST_CASE(what_is_mounted_inside_the_volume_stops_its_removal)
{
    enter_own_mounts();
    AUTO(scratch) struct scratch *scratch = scratch_new();
    struct setting setting = setting_new(scratch);
    const char *host_path;
    const char *precious = make_dir_at(scratch, "precious");
    (void)make_file_at(scratch, "precious/f", "kept");
    (void)pod_add_empty_dir(scratch->arena, setting.pod, "work", "");
    assert_no_error(set_up(&setting, &host_path));
    const char *inside = make_dir_at(scratch, DIR_OF "work/inside");
    assert_int_equal(mount(precious, inside, NULL, MS_BIND, NULL), 0);
    assert_error_code(tear_down(&setting, "work"), ERROR_FAILED_PRECONDITION);
    assert_content(at(scratch, "precious/f"), "kept");
    assert_no_error(mounter_unmount_blocking(inside));
    assert_no_error(tear_down(&setting, "work"));
}

TEST_MAIN(TEST(the_default_medium_is_an_open_directory_with_a_marker),
          TEST(content_survives_being_set_up_again),
          TEST(a_marker_without_its_directory_means_starting_over),
          TEST(a_file_or_link_where_the_directory_belongs_is_refused),
          TEST(media_that_cannot_be_are_refused), TEST(memory_is_a_tmpfs_of_the_smallest_size),
          TEST(memory_is_mounted_once_and_given_to_the_group),
          TEST(huge_pages_are_mounted_in_the_size_that_is_requested),
          TEST(teardown_removes_marker_and_content_and_is_idempotent),
          TEST(what_is_mounted_on_the_volume_is_taken_off_and_not_emptied),
          TEST(what_is_mounted_inside_the_volume_stops_its_removal))
