#include "node/machine.h"

#include "base/fd.h"
#include "base/path.h"
#include "tests/lib/test.h"

#include <sys/utsname.h>

static const char *write_id(const char *dir, const char *name, const char *text,
                            struct arena *arena)
{
    const char *path = arena_printf(arena, "%s/%s", dir, name);
    assert_no_error(fd_write_file_blocking(path, str_from(text), 0600));
    return path;
}

TEST_CASE(the_first_file_that_can_be_read_holds_the_id)
{
    char dir[] = "/tmp/cubelet-machine-XXXXXX";
    assert_non_null(mkdtemp(dir));
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *none = arena_printf(arena, "%s/none", dir);
    const char *a = write_id(dir, "a", "  3d1219c7\n", arena);
    const char *b = write_id(dir, "b", "other\n", arena);
    const char *empty = write_id(dir, "empty", "", arena);
    const struct {
        const char *name, *paths[3];
        size_t count;
        const char *want;
    } rows[] = {
        {"one file", {a}, 1, "3d1219c7"},
        {"the first of two", {b, a}, 2, "other"},
        {"the first is not there", {none, a, b}, 3, "3d1219c7"},
        {"an empty one counts", {empty, a}, 2, ""},
        {"a folder is no file", {dir, a}, 2, "3d1219c7"},
        {"none is there", {none}, 1, ""},
        {"no file is named", {NULL}, 0, ""},
    };
    const struct node_facts facts = {.node_name = "node-a"};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct config_list files = {.count = rows[i].count, .items = rows[i].paths};
        struct config machine_id = {.machine_id_files = files, .root_dir = dir},
                      boot_id = {.boot_id_files = files, .root_dir = dir};
        struct node_machine machine;
        node_machine_read(&machine_id, &facts, arena, &machine);
        if (strcmp(machine.machine_id, rows[i].want) != 0 || machine.boot_id[0] != '\0')
            fail_msg("%s: '%s' '%s'", rows[i].name, machine.machine_id, machine.boot_id);
        node_machine_read(&boot_id, &facts, arena, &machine);
        if (strcmp(machine.boot_id, rows[i].want) != 0 || machine.machine_id[0] != '\0')
            fail_msg("%s: '%s' '%s'", rows[i].name, machine.boot_id, machine.machine_id);
    }
    assert_no_error(fd_remove_tree_blocking(dir));
}

TEST_CASE(what_the_facts_know_is_taken_from_them)
{
    const struct config config = {.root_dir = "/"};
    const struct node_facts facts = {.node_name = "node-a",
                                     .cpu_capacity_millis = 3000,
                                     .memory_capacity_bytes = 12345,
                                     .swap_capacity_bytes = 678};
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_machine machine;
    node_machine_read(&config, &facts, arena, &machine);
    assert_string_equal(machine.hostname, "node-a");
    assert_int_equal(machine.cpus, 3);
    assert_int_equal(machine.memory_bytes, 12345);
    assert_int_equal(machine.swap_bytes, 678);
}

TEST_CASE(the_kernel_tells_of_itself)
{
    const struct config config = {.root_dir = "/no/such/folder"};
    const struct node_facts facts = {.node_name = "node-a"};
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_machine machine;
    node_machine_read(&config, &facts, arena, &machine);
    struct utsname system;
    assert_int_equal(uname(&system), 0);
    assert_string_equal(machine.kernel_version, system.release);
    assert_true(machine.kernel_major >= 5);
    assert_true(machine.architecture[0] != '\0');
    assert_true(machine.os_image[0] != '\0');
    assert_int_equal(machine.root_fs_bytes, 0);
    for (size_t i = 1; i < machine.n_hugepages; i++)
        assert_string_not_equal(machine.hugepages[i - 1].resource, machine.hugepages[i].resource);
}

TEST_MAIN(TEST(the_first_file_that_can_be_read_holds_the_id),
          TEST(what_the_facts_know_is_taken_from_them), TEST(the_kernel_tells_of_itself))
