#include "volume/volume_plugin.h"

#include "volume_test.h"

#include <sys/socket.h>
#include <sys/un.h>

static struct error *set_up(struct arena *arena, const char *path, const char *type,
                            const char **ret_host_path)
{
    Core__Pod *pod = pod_new(arena, "uid");
    const struct volume_plan_env env = {0};
    const void *input;
    pod_add_host_path(arena, pod, "v", path, type);
    const Core__Volume *volume = pod->spec->volumes[0];
    assert_ptr_equal(volume_plugin_for(volume->volume_source), &volume_plugin_host_path);
    struct error *err = volume_plugin_host_path.plan(&env, pod, volume, arena, &input);
    if (err)
        return err;
    const struct volume_set_up how = {
        .place = {.root_dir = "/nowhere", .pod_uid = "uid", .name = "v", .arena = arena},
        .input = input,
        .has_fs_group = true,
        .fs_group = 4711};
    return volume_plugin_host_path.set_up_blocking(&how, ret_host_path);
}

static void make_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    fd_close(&fd);
}

TEST_CASE(each_type_accepts_its_own_kind_only)
{
    static const char *const kinds[] = {"dir", "file", "socket", "/dev/null", "missing"};
    static const struct {
        const char *type, *mismatch; /* NULL: no check */
        bool accepts[ARRAY_SIZE(kinds)];
    } rows[] = {
        {"", NULL, {true, true, true, true, true}},
        {"Directory", "a directory", {true, false, false, false, false}},
        {"DirectoryOrCreate", "a directory", {true, false, false, false, true}},
        {"File", "a file", {false, true, false, false, false}},
        {"FileOrCreate", "a file", {false, true, false, false, true}},
        {"Socket", "a socket file", {false, false, true, false, false}},
        {"CharDevice", "a character device", {false, false, false, true, false}},
        {"BlockDevice", "a block device", {false, false, false, false, false}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(scratch) struct scratch *scratch = scratch_new();
        (void)make_dir_at(scratch, "dir");
        (void)make_file_at(scratch, "file", "");
        make_socket(at(scratch, "socket"));
        for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
            const char *path = *kinds[k] == '/' ? kinds[k] : at(scratch, kinds[k]);
            const char *host_path = NULL;
            AUTO(error)
            struct error *err = set_up(scratch->arena, path, rows[i].type, &host_path);
            if (!err != rows[i].accepts[k])
                fail_msg("type %s, %s: %s", rows[i].type, kinds[k], err ? err->message : "taken");
            if (!err)
                assert_string_equal(host_path, path);
            else
                assert_string_equal(err->message,
                                    arena_printf(scratch->arena,
                                                 "hostPath type check failed: %s is not %s", path,
                                                 rows[i].mismatch));
        }
    }
}

TEST_CASE(what_is_created_has_upstreams_modes_and_keeps_its_owner)
{
    AUTO(scratch) struct scratch *scratch = scratch_new();
    const char *host_path;
    mode_t old = umask(022);
    assert_no_error(set_up(scratch->arena, at(scratch, "a/b"), "DirectoryOrCreate", &host_path));
    assert_no_error(set_up(scratch->arena, at(scratch, "a/f"), "FileOrCreate", &host_path));
    (void)umask(old);
    assert_int_equal(mode_of(at(scratch, "a/b")), 0755);
    assert_int_equal(mode_of(at(scratch, "a/f")), 0644);
    struct stat st;
    assert_int_equal(stat(at(scratch, "a/b"), &st), 0);
    assert_int_equal(st.st_gid, getegid());
    assert_error_code(set_up(scratch->arena, at(scratch, "x/f"), "FileOrCreate", &host_path),
                      ERROR_NOT_FOUND);
}

TEST_CASE(links_are_followed_and_what_is_there_is_kept)
{
    AUTO(scratch) struct scratch *scratch = scratch_new();
    const char *host_path;
    (void)make_file_at(scratch, "file", "kept");
    (void)make_link_at(scratch, "link", at(scratch, "file"));
    assert_no_error(set_up(scratch->arena, at(scratch, "link"), "FileOrCreate", &host_path));
    assert_content(at(scratch, "file"), "kept");
    (void)make_link_at(scratch, "dangling", at(scratch, "nowhere"));
    assert_error_code(set_up(scratch->arena, at(scratch, "dangling"), "Directory", &host_path),
                      ERROR_FAILED_PRECONDITION);
}

TEST_CASE(a_path_that_climbs_and_an_unknown_type_are_refused)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *host_path;
    assert_error_message(set_up(arena, "/var/../etc", "", &host_path),
                         "invalid HostPath `/var/../etc`: must not contain '..'");
    assert_error_message(set_up(arena, "/var", "Folder", &host_path),
                         "Folder is an invalid volume type");
}

TEST_MAIN(TEST(each_type_accepts_its_own_kind_only),
          TEST(what_is_created_has_upstreams_modes_and_keeps_its_owner),
          TEST(links_are_followed_and_what_is_there_is_kept),
          TEST(a_path_that_climbs_and_an_unknown_type_are_refused))
