#include "volume/volume_jobs.h"

#include "volume_test.h"

static struct error *tear_down(const struct scratch *scratch, const char *uid)
{
    struct volume_teardown_job *job =
        volume_teardown_job_new(scratch->dir, uid, VOLUME_TEARDOWN_REMOVE_DIR);
    volume_teardown_job_run_blocking(job);
    struct error *err = TAKE(job->err);
    volume_teardown_job_free(job);
    return err;
}

static struct scratch *pod_dir_new(void)
{
    struct scratch *scratch = scratch_new();
    (void)make_dir_at(scratch, "pods/uid/volumes");
    (void)make_dir_at(scratch, "pods/uid/plugins");
    return scratch;
}

TEST_CASE(a_pod_that_nobody_remembers_is_removed_from_the_disk_alone)
{
    AUTO(scratch) struct scratch *scratch = pod_dir_new();
    (void)make_dir_at(scratch, "pods/uid/volumes/kubernetes.io~empty-dir/scratch/sub");
    (void)make_file_at(scratch, "pods/uid/volumes/kubernetes.io~empty-dir/scratch/sub/f", "");
    (void)make_dir_at(scratch, "pods/uid/plugins/kubernetes.io~empty-dir/scratch");
    (void)make_file_at(scratch, "pods/uid/plugins/kubernetes.io~empty-dir/scratch/ready", "");
    (void)make_dir_at(scratch, "pods/uid/volumes/kubernetes.io~configmap/cm/..2026");
    (void)make_file_at(scratch, "pods/uid/volumes/kubernetes.io~configmap/cm/..2026/k", "v");
    (void)make_link_at(scratch, "pods/uid/volumes/kubernetes.io~configmap/cm/..data", "..2026");
    (void)make_dir_at(scratch, "pods/uid/plugins/kubernetes.io~empty-dir/wrapped_cm");
    (void)make_dir_at(scratch, "pods/uid/containers/c");
    (void)make_file_at(scratch, "pods/uid/containers/c/0a1b2c3d", "bye");
    (void)make_file_at(scratch, "pods/uid/etc-hosts", "");
    (void)make_dir_at(scratch, "pods/other");
    assert_no_error(tear_down(scratch, "uid"));
    assert_false(is_there(at(scratch, "pods/uid")));
    assert_true(is_there(at(scratch, "pods/other")));
    assert_no_error(tear_down(scratch, "uid"));
}

TEST_CASE(data_of_plugins_we_do_not_know_is_never_removed)
{
    AUTO(scratch) struct scratch *scratch = pod_dir_new();
    (void)make_dir_at(scratch, "pods/uid/volumes/kubernetes.io~nfs/empty");
    (void)make_dir_at(scratch, "pods/uid/volumes/kubernetes.io~csi/pv-1/mount");
    (void)make_file_at(scratch, "pods/uid/volumes/kubernetes.io~csi/pv-1/vol_data.json", "{}");
    (void)make_file_at(scratch, "pods/uid/etc-hosts", "");
    AUTO(error) struct error *err = tear_down(scratch, "uid");
    assert_non_null(err);
    assert_true(text_has_prefix(
        err->message, "orphaned pod \"uid\" found, but failed to rmdir() volume at path "));
    assert_content(at(scratch, "pods/uid/volumes/kubernetes.io~csi/pv-1/vol_data.json"), "{}");
    assert_true(is_there(at(scratch, "pods/uid/etc-hosts")));
    assert_false(is_there(at(scratch, "pods/uid/volumes/kubernetes.io~nfs/empty")));
}

TEST_CASE(a_file_among_the_volumes_stops_the_removal)
{
    AUTO(scratch) struct scratch *scratch = pod_dir_new();
    (void)make_file_at(scratch, "pods/uid/volumes/stray", "kept");
    AUTO(error) struct error *err = tear_down(scratch, "uid");
    assert_non_null(err);
    assert_true(text_has_prefix(err->message, "orphaned pod \"uid\" found, but error occurred when "
                                              "trying to remove the volumes dir: "));
    assert_content(at(scratch, "pods/uid/volumes/stray"), "kept");
}

TEST_CASE(a_stuck_volume_does_not_hold_the_others)
{
    AUTO(scratch) struct scratch *scratch = pod_dir_new();
    (void)make_dir_at(scratch, "pods/uid/volumes/a.example~other/stuck/full");
    (void)make_dir_at(scratch, "pods/uid/volumes/kubernetes.io~empty-dir/scratch/full");
    AUTO(error) struct error *err = tear_down(scratch, "uid");
    assert_non_null(err);
    assert_false(is_there(at(scratch, "pods/uid/volumes/kubernetes.io~empty-dir/scratch")));
    assert_true(is_there(at(scratch, "pods/uid/volumes/a.example~other/stuck/full")));
}

TEST_CASE(links_in_a_pods_directory_are_removed_not_followed)
{
    AUTO(scratch) struct scratch *scratch = pod_dir_new();
    const char *outside = make_dir_at(scratch, "outside");
    (void)make_file_at(scratch, "outside/f", "kept");
    (void)make_link_at(scratch, "pods/uid/containers", outside);
    (void)make_dir_at(scratch, "pods/uid/volumes/kubernetes.io~empty-dir");
    (void)make_link_at(scratch, "pods/uid/volumes/kubernetes.io~empty-dir/scratch", outside);
    assert_no_error(tear_down(scratch, "uid"));
    assert_content(at(scratch, "outside/f"), "kept");

    (void)make_dir_at(scratch, "pods");
    (void)make_link_at(scratch, "pods/linked", outside);
    AUTO(error) struct error *err = tear_down(scratch, "linked");
    assert_non_null(err);
    assert_content(at(scratch, "outside/f"), "kept");
}

TEST_CASE(a_uid_that_climbs_is_refused)
{
    static const char *const uids[] = {"", ".", "..", "a/b", "../pods"};
    AUTO(scratch) struct scratch *scratch = pod_dir_new();
    for (size_t i = 0; i < ARRAY_SIZE(uids); i++)
        assert_error_code(tear_down(scratch, uids[i]), ERROR_INVALID_ARGUMENT);
    assert_true(is_there(at(scratch, "pods/uid")));
}

TEST_CASE(mounts_left_over_are_taken_off_where_we_know_how)
{
    enter_own_mounts();
    AUTO(scratch) struct scratch *scratch = pod_dir_new();
    const char *precious = make_dir_at(scratch, "precious");
    (void)make_file_at(scratch, "precious/f", "kept");
    const char *secret = make_dir_at(scratch, "pods/uid/volumes/kubernetes.io~secret/s");
    const char *bound = make_dir_at(scratch, "pods/uid/volume-subpaths/s/c/0");
    assert_int_equal(mount("tmpfs", secret, "tmpfs", 0, NULL), 0);
    assert_int_equal(mount(precious, bound, NULL, MS_BIND, NULL), 0);
    assert_no_error(tear_down(scratch, "uid"));
    assert_false(is_there(at(scratch, "pods/uid")));
    assert_content(at(scratch, "precious/f"), "kept");
}

TEST_CASE(mounts_left_over_of_unknown_plugins_and_elsewhere_stop_the_removal)
{
    static const char *const places[] = {"pods/uid/volumes/kubernetes.io~nfs/share",
                                         "pods/uid/containers/c", "pods/uid/volumes/odd/v/deep"};
    enter_own_mounts();
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        AUTO(scratch) struct scratch *scratch = pod_dir_new();
        const char *precious = make_dir_at(scratch, "precious");
        (void)make_file_at(scratch, "precious/f", "kept");
        const char *place = make_dir_at(scratch, places[i]);
        (void)make_file_at(scratch, "pods/uid/etc-hosts", "");
        assert_int_equal(mount(precious, place, NULL, MS_BIND, NULL), 0);
        AUTO(error) struct error *err = tear_down(scratch, "uid");
        if (!err)
            fail_msg("%s: removed", places[i]);
        assert_content(at(scratch, "precious/f"), "kept");
        assert_true(is_there(at(scratch, "pods/uid/etc-hosts")));
        assert_int_equal(umount2(place, 0), 0);
    }
}

TEST_MAIN(TEST(a_pod_that_nobody_remembers_is_removed_from_the_disk_alone),
          TEST(data_of_plugins_we_do_not_know_is_never_removed),
          TEST(a_file_among_the_volumes_stops_the_removal),
          TEST(a_stuck_volume_does_not_hold_the_others),
          TEST(links_in_a_pods_directory_are_removed_not_followed),
          TEST(a_uid_that_climbs_is_refused),
          TEST(mounts_left_over_are_taken_off_where_we_know_how),
          TEST(mounts_left_over_of_unknown_plugins_and_elsewhere_stop_the_removal))
