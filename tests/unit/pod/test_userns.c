/* Ranges of host ids: who gets which, the file they stand in, and where they come from. */
#include "pod/userns.h"

#include "base/arena.h"
#include "tests/lib/tempdir.h"

#include <sys/stat.h>

#define UNIT 65536U

static struct userns *made(uint32_t first, uint32_t length, size_t max_pods)
{
    const struct userns_options options = {
        .ids_per_pod = UNIT, .first = first, .length = length, .max_pods = max_pods};
    struct userns *userns = NULL;
    assert_no_error(userns_new(&options, &userns));
    return userns;
}

static uint32_t claimed(struct userns *userns, const char *uid, uint64_t random)
{
    struct userns_range range;
    assert_no_error(userns_claim(userns, uid, random, &range));
    assert_int_equal(range.length, UNIT);
    return range.host_id;
}

TEST_CASE(no_two_pods_share_an_id)
{
    AUTO(userns) struct userns *userns = made(2 * UNIT, 3 * UNIT, 3);
    assert_int_equal(claimed(userns, "a", 1), 3 * UNIT);
    assert_int_equal(claimed(userns, "b", 4), 4 * UNIT); /* 4 % 3 is taken, the next is not */
    assert_int_equal(claimed(userns, "c", 2), 2 * UNIT); /* round the end */
    struct userns_range range;
    assert_error_message(userns_claim(userns, "d", 0, &range),
                         "could not find an empty slot to allocate a user namespace");
    assert_int_equal(userns_find(userns, "d").length, 0);
    userns_release(userns, "b");
    userns_release(userns, "b");
    userns_release(userns, "nobody");
    assert_int_equal(claimed(userns, "d", 0), 4 * UNIT);
}

TEST_CASE(a_pod_keeps_its_range)
{
    AUTO(userns) struct userns *userns = made(UNIT, 100 * UNIT, 3);
    assert_int_equal(userns_find(userns, "a").length, 0);
    uint32_t first = claimed(userns, "a", 7);
    assert_int_equal(claimed(userns, "a", 8), first);
    assert_int_equal(userns_find(userns, "a").host_id, first);
    assert_int_equal(userns_find(NULL, "a").length, 0);
    userns_release(NULL, "a");
}

TEST_CASE(the_last_range_ends_with_32_bits)
{
    AUTO(userns) struct userns *userns = made(UNIT, UINT32_MAX - UNIT + 1, 110);
    assert_int_equal(claimed(userns, "a", 65534), UINT32_MAX - UNIT + 1);
    assert_int_equal(claimed(userns, "b", 65534), UNIT);
}

TEST_CASE(ids_that_make_no_ranges_are_refused)
{
    static const struct {
        struct userns_options options;
        const char *want;
    } rows[] = {
        {{UNIT, UNIT + 1, UNIT, 1},
         "the ids for user namespaces begin at 65537, which must be a multiple of "
         "userNamespaces.idsPerPod (65536) and not 0"},
        {{UNIT, 0, UNIT, 1},
         "the ids for user namespaces begin at 0, which must be a multiple of "
         "userNamespaces.idsPerPod (65536) and not 0"},
        {{UNIT, UNIT, UNIT + 1, 1},
         "65537 ids are set aside for user namespaces, which must be a multiple of "
         "userNamespaces.idsPerPod (65536)"},
        {{UNIT, UNIT, 4 * UNIT, 5}, "kubelet user assigned IDs are not enough to support 5 pods"},
        {{UNIT, UINT32_MAX - UNIT + 1, 2 * UNIT, 1},
         "the ids for user namespaces, 131072 from 4294901760 on, go beyond 32 bits"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct userns *userns = NULL;
        assert_error_message(userns_new(&rows[i].options, &userns), rows[i].want);
        assert_null(userns);
    }
}

TEST_CASE(what_was_given_out_before_is_taken)
{
    AUTO(userns) struct userns *userns = made(UNIT, 4 * UNIT, 3);
    assert_no_error(userns_record(userns, "a", (struct userns_range){2 * UNIT, UNIT}));
    assert_no_error(userns_record(userns, "a", (struct userns_range){2 * UNIT, UNIT}));
    assert_int_equal(claimed(userns, "b", 1), 3 * UNIT);
    static const struct {
        const char *uid;
        struct userns_range range;
        const char *want;
    } rows[] = {
        {"c", {2 * UNIT, UNIT}, "the ids from 131072 on are another pod's"},
        {"a", {UNIT, UNIT}, "pod a has other ids already"},
        {"c", {UNIT, 2 * UNIT}, "it maps 131072 ids where userNamespaces.idsPerPod is 65536"},
        {"c", {UNIT + 1, UNIT}, "host id 65537 is no multiple of 65536"},
        {"c", {0, UNIT}, "host id 0 is not among the 262144 from 65536 on"},
        {"c", {5 * UNIT, UNIT}, "host id 327680 is not among the 262144 from 65536 on"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_error_message(userns_record(userns, rows[i].uid, rows[i].range), rows[i].want);
    assert_int_equal(userns_find(userns, "c").length, 0);
}

#define ONE(host, container, length)                                                               \
    "[{\"hostId\":" host ",\"containerId\":" container ",\"length\":" length "}]"
#define FILE_OF(users, groups) "{\"uidMappings\":" users ",\"gidMappings\":" groups "}"
#define USUAL ONE("131072", "0", "65536")

TEST_CASE(the_file_is_a_kubelets)
{
    AUTO(buf) struct buf text;
    buf_init(&text, USERNS_FILE_MAX_BYTES);
    userns_file_add(&text, (struct userns_range){131072, 65536});
    assert_string_equal(buf_text(&text), FILE_OF(USUAL, USUAL));
    struct userns_range range;
    assert_no_error(userns_file_parse(buf_str(&text), &range));
    assert_int_equal(range.host_id, 131072);
    assert_int_equal(range.length, 65536);
}

TEST_CASE(a_damaged_file_is_refused)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {FILE_OF("[]", USUAL), "uidMappings must hold exactly one mapping"},
        {FILE_OF(USUAL, "[1]"), "gidMappings must hold exactly one mapping"},
        {"{\"uidMappings\":" USUAL "}", "gidMappings must hold exactly one mapping"},
        {"[]", "uidMappings must hold exactly one mapping"},
        {FILE_OF(USUAL, ONE("65536", "0", "65536")), "uidMappings and gidMappings differ"},
        {FILE_OF(USUAL, ONE("131072", "1", "65536")),
         "gidMappings must map the container's id 0, not 1"},
        {FILE_OF(ONE("-1", "0", "65536"), USUAL),
         "uidMappings: hostId must be a number of 32 bits"},
        {FILE_OF(ONE("1", "0", "4294967296"), USUAL),
         "uidMappings: length must be a number of 32 bits"},
        {FILE_OF(ONE("\"1\"", "0", "1"), USUAL), "uidMappings: hostId must be a number of 32 bits"},
    };
    struct userns_range range;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_error_message(userns_file_parse(str_from(rows[i].text), &range), rows[i].want);
    assert_error_code(userns_file_parse(str_from("{\"uidMapp"), &range), ERROR_INVALID_ARGUMENT);
}

TEST_CASE(getsubids_is_understood)
{
    static const struct {
        const char *users, *groups, *want; /* NULL: fine */
    } rows[] = {
        {"0: kubelet 65536 7208960\n", "0: kubelet 65536 7208960\n", NULL},
        {"\n0: kubelet 65536 7208960\n\n", "\n0: kubelet 65536 7208960\n\n", NULL},
        {"0: kubelet 65536 7208960\n", "0: kubelet 65536 1\n",
         "its ids for users and for groups differ"},
        {"0: kubelet 65536 1\n1: kubelet 9 1\n", "0: kubelet 65536 1\n1: kubelet 9 1\n",
         "it must print exactly one line \"<n>: <user> <first> <count>\""},
        {"", "", "it must print exactly one line \"<n>: <user> <first> <count>\""},
        {"0: kubelet 65536", "0: kubelet 65536",
         "it must print exactly one line \"<n>: <user> <first> <count>\""},
        {"0: kubelet 1 2 3", "0: kubelet 1 2 3",
         "it must print exactly one line \"<n>: <user> <first> <count>\""},
        {"0: kubelet 4294967296 1", "0: kubelet 4294967296 1",
         "it prints ids of more than 32 bits"},
        {"0: kubelet x 1", "0: kubelet x 1", "it prints ids of more than 32 bits"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct userns_range range = {0};
        struct error *err =
            userns_parse_subids(str_from(rows[i].users), str_from(rows[i].groups), &range);
        if (rows[i].want) {
            assert_error_message(err, rows[i].want);
            continue;
        }
        assert_no_error(err);
        assert_int_equal(range.host_id, 65536);
        assert_int_equal(range.length, 7208960);
    }
}

/* --- the start of an agent --- */

struct place {
    char *dir;
    struct arena *arena;
};

static const char *at(const struct place *place, const char *name)
{
    return arena_printf(place->arena, "%s/%s", place->dir, name);
}

static void write_at(const struct place *place, const char *name, const char *text, mode_t mode)
{
    assert_no_error(fd_write_file_blocking(at(place, name), str_from(text), mode));
}

static struct place place_made(void)
{
    struct place place = {.dir = tempdir_new(), .arena = arena_new(0)};
    assert_no_error(fd_mkdir_all(at(&place, "pods/u-1"), 0755));
    write_at(&place, "passwd", "root:x:0:0::/:/bin/sh\nkubelet-not:x:1:1::/:/bin/sh\n", 0644);
    return place;
}

static void place_done(struct place *place)
{
    tempdir_free(place->dir);
    arena_free(place->arena);
}

static struct error *start_at(const struct place *place, struct userns **ret)
{
    const struct userns_start start = {.root_dir = place->dir,
                                       .ids_per_pod = UNIT,
                                       .max_pods = 110,
                                       .passwd = at(place, "passwd"),
                                       .getsubids = at(place, "getsubids")};
    return userns_start_blocking(&start, ret);
}

TEST_CASE(without_the_user_all_but_the_hosts_own_ids_serve)
{
    struct place place = place_made();
    write_at(&place, "getsubids", "#!/bin/sh\nexit 1\n", 0755);
    AUTO(userns) struct userns *userns = NULL;
    assert_no_error(start_at(&place, &userns));
    assert_int_equal(claimed(userns, "a", 0), UNIT);
    assert_int_equal(claimed(userns, "b", 65534), UINT32_MAX - UNIT + 1);
    place_done(&place);
}

TEST_CASE(the_user_without_the_program_changes_nothing)
{
    struct place place = place_made();
    write_at(&place, "passwd", "kubelet:x:7:7::/:/bin/false\n", 0644);
    AUTO(userns) struct userns *userns = NULL;
    assert_no_error(start_at(&place, &userns));
    assert_int_equal(claimed(userns, "a", 0), UNIT);
    place_done(&place);
}

TEST_CASE(the_users_own_ids_serve)
{
    struct place place = place_made();
    write_at(&place, "passwd", "root:x:0:0::/:/bin/sh\nkubelet:x:7:7::/:/bin/false\n", 0644);
    write_at(&place, "getsubids",
             "#!/bin/sh\ncase \"$*\" in\nkubelet|'-g kubelet') "
             "echo '0: kubelet 131072 7208960';;\n*) exit 1;;\nesac\n",
             0755);
    AUTO(userns) struct userns *userns = NULL;
    assert_no_error(start_at(&place, &userns));
    assert_int_equal(claimed(userns, "a", 0), 131072);
    place_done(&place);
}

TEST_CASE(ids_that_cannot_be_told_end_the_start)
{
    static const struct {
        const char *program, *want;
    } rows[] = {
        {"#!/bin/sh\nexit 3\n", "%s/getsubids kubelet: it fails with status 3"},
        {"#!/bin/sh\necho '0: kubelet 65536 65536'\n",
         "kubelet user assigned IDs are not enough to support 110 pods"},
        {"#!/bin/sh\necho \"$1\"\n", "%s/getsubids: its ids for users and for groups differ"},
        {"#!/bin/sh\nwhile echo 0123456789012345678901234567890123456789; do :; done\n",
         "%s/getsubids kubelet: it prints more than 4096 bytes"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct place place = place_made();
        write_at(&place, "passwd", "kubelet:x:7:7::/:/bin/false\n", 0644);
        write_at(&place, "getsubids", rows[i].program, 0755);
        struct userns *userns = NULL;
        AUTO(error) struct error *err = start_at(&place, &userns);
        assert_non_null(err);
        const char *want = text_has_prefix(rows[i].want, "%s")
                               ? arena_printf(place.arena, "%s%s", place.dir, rows[i].want + 2)
                               : rows[i].want;
        assert_string_equal(err->message, arena_printf(place.arena, "user namespaces: %s", want));
        assert_null(userns);
        place_done(&place);
    }
}

TEST_CASE(the_ids_of_pods_are_read_again)
{
    struct place place = place_made();
    assert_no_error(fd_mkdir_all(at(&place, "pods/u-2"), 0755)); /* one without */
    assert_no_error(fd_mkdir_all(at(&place, "pods/u-3"), 0755));
    write_at(&place, "pods/u-3/userns", "", 0600); /* as good as none */
    AUTO(free) char *path = userns_file_path(place.dir, "u-1");
    assert_no_error(userns_file_store_blocking(path, (struct userns_range){3 * UNIT, UNIT}));
    struct stat before, after;
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(before.st_mode & 07777, 0600);
    assert_no_error(userns_file_store_blocking(path, (struct userns_range){3 * UNIT, UNIT}));
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino); /* nothing is written when nothing changes */

    AUTO(userns) struct userns *userns = NULL;
    assert_no_error(start_at(&place, &userns));
    assert_int_equal(userns_find(userns, "u-1").host_id, 3 * UNIT);
    assert_int_equal(userns_find(userns, "u-2").length, 0);
    assert_int_equal(userns_find(userns, "u-3").length, 0);
    assert_int_equal(claimed(userns, "new", 2), 4 * UNIT);

    assert_no_error(userns_file_remove_blocking(path));
    assert_no_error(userns_file_remove_blocking(path));
    assert_int_equal(stat(path, &after), -1);
    place_done(&place);
}

TEST_CASE(two_pods_with_the_same_ids_end_the_start)
{
    struct place place = place_made();
    assert_no_error(fd_mkdir_all(at(&place, "pods/u-2"), 0755));
    write_at(&place, "pods/u-1/userns", FILE_OF(USUAL, USUAL), 0600);
    write_at(&place, "pods/u-2/userns", FILE_OF(USUAL, USUAL), 0600);
    struct userns *userns = NULL;
    AUTO(error) struct error *err = start_at(&place, &userns);
    assert_non_null(err);
    assert_non_null(strstr(err->message, "/userns (the ids of a pod; drain the node and remove "
                                         "the file): the ids from 131072 on are another pod's"));
    assert_null(userns);
    place_done(&place);
}

TEST_MAIN(TEST(no_two_pods_share_an_id), TEST(a_pod_keeps_its_range),
          TEST(the_last_range_ends_with_32_bits), TEST(ids_that_make_no_ranges_are_refused),
          TEST(what_was_given_out_before_is_taken), TEST(the_file_is_a_kubelets),
          TEST(a_damaged_file_is_refused), TEST(getsubids_is_understood),
          TEST(without_the_user_all_but_the_hosts_own_ids_serve),
          TEST(the_user_without_the_program_changes_nothing), TEST(the_users_own_ids_serve),
          TEST(ids_that_cannot_be_told_end_the_start), TEST(the_ids_of_pods_are_read_again),
          TEST(two_pods_with_the_same_ids_end_the_start))
