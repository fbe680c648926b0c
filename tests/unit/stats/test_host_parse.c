#include "stats/host_parse.h"

#include "base/buf.h"
#include "tests/lib/test.h"

#define NET_DEV_HEAD                                                                               \
    "Inter-|   Receive                    |  Transmit\n"                                           \
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes packets\n"

TEST_CASE(interfaces_but_for_those_of_the_host_are_read)
{
    static const char text[] =
        NET_DEV_HEAD "    lo:     10   1 0 0 0 0 0 0 10 1 0 0 0 0 0 0\n"
                     "  eth0:100 2 3 4 0 0 0 0 50 6 7 8 0 0 0 0\n"
                     "veth12: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n"
                     "docker0: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n"
                     "nerdctl0: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n"
                     "eth0:1: 18446744073709551615 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n"
                     "short: 1 2 3\n"
                     "bad: 1 2 3 4 5 6 7 8 x 1 2 3\n"
                     "nocolon 1 2 3\n";
    AUTO(arena) struct arena *arena = arena_new(0);
    struct stats_interface *list;
    assert_int_equal(stats_parse_net_dev(str_from(text), arena, &list), 2);
    assert_string_equal(list[0].name, "eth0");
    assert_int_equal(list[0].rx_bytes, 100);
    assert_int_equal(list[0].rx_packets, 2);
    assert_int_equal(list[0].rx_errors, 3);
    assert_int_equal(list[0].rx_dropped, 4);
    assert_int_equal(list[0].tx_bytes, 50);
    assert_int_equal(list[0].tx_packets, 6);
    assert_int_equal(list[0].tx_errors, 7);
    assert_int_equal(list[0].tx_dropped, 8);
    assert_string_equal(list[1].name, "eth0:1");
    assert_true(list[1].rx_bytes == UINT64_MAX);
}

TEST_CASE(a_pod_cannot_show_interfaces_without_end)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, MiB);
    for (int i = 0; i < STATS_MAX_INTERFACES + 5; i++)
        buf_printf(&text, "d%d: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n", i);
    AUTO(arena) struct arena *arena = arena_new(0);
    struct stats_interface *list;
    assert_int_equal(stats_parse_net_dev(buf_str(&text), arena, &list), STATS_MAX_INTERFACES);
    assert_int_equal(stats_parse_net_dev(STR_LITERAL(""), arena, &list), 0);
}

TEST_CASE(disks_of_every_name_are_read)
{
    static const char text[] =
        " 254       0 vda 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27\n"
        " 259       1 nvme0n1p1 1 2 3 4 5 6 7 8 9 10 11\n"
        "  8 0 short 1 2 3\n"
        "junk\n";
    AUTO(arena) struct arena *arena = arena_new(0);
    struct stats_disk *disks;
    assert_int_equal(stats_parse_diskstats(str_from(text), arena, &disks), 2);
    assert_string_equal(disks[1].name, "nvme0n1p1");
    const struct stats_disk *vda = stats_find_disk(disks, 2, 254, 0);
    assert_string_equal(vda->name, "vda");
    assert_int_equal(vda->reads, 11);
    assert_int_equal(vda->reads_merged, 12);
    assert_int_equal(vda->sectors_read, 13);
    assert_int_equal(vda->read_ms, 14);
    assert_int_equal(vda->writes, 15);
    assert_int_equal(vda->writes_merged, 16);
    assert_int_equal(vda->sectors_written, 17);
    assert_int_equal(vda->write_ms, 18);
    assert_int_equal(vda->io_in_flight, 19);
    assert_int_equal(vda->io_ms, 20);
    assert_int_equal(vda->io_weighted_ms, 21);
    assert_null(stats_find_disk(disks, 2, 254, 1));
}

#define ID "0c5366251195b84a771b4ae106d2b09189a6474d1d592806b1e95c23cb17e162"

TEST_CASE(mounts_of_the_host_are_chosen_once_each)
{
    static const char text[] =
        "27 1 254:0 / / rw - ext4 /dev/vda rw\n"
        "28 27 254:0 /x /mnt/bind rw - ext4 /dev/vda rw\n"
        "29 27 0:23 / /dev/shm rw - tmpfs tmpfs rw\n"
        "30 29 0:27 / /dev/shm rw - tmpfs tmpfs rw\n"
        "31 27 0:50 / /run/k/sandboxes/" ID "/shm rw - tmpfs shm rw\n"
        "32 27 0:51 / /var/lib/kubelet/pods/u/volumes/kubernetes.io~secret/s rw - tmpfs tmpfs rw\n"
        "33 27 0:52 / /nfs rw - nfs4 server:/x rw\n"
        "34 27 0:53 / /merged rw - overlay overlay rw\n"
        "35 27 259:1 / /boot rw - ext2 /dev/root rw\n"
        "36 27 0:54 / /data rw - btrfs /dev/nvme0n1p1 rw\n"
        "37 27 0:21 / /proc rw - proc proc rw\n";
    AUTO(arena) struct arena *arena = arena_new(0);
    static const struct stats_disk disks[] = {{.major = 254, .name = "vda"},
                                              {.major = 259, .minor = 1, .name = "nvme0n1p1"}};
    struct mountinfo_table table;
    assert_no_error(mountinfo_parse(str_from(text), arena, &table));
    struct stats_mount *mounts;
    size_t count = stats_choose_mounts(&table, disks, ARRAY_SIZE(disks), arena, &mounts);
    static const struct {
        const char *device, *mount_point, *disk;
    } want[] = {
        {"/dev/nvme0n1p1", "/boot", "nvme0n1p1"}, /* what was /dev/root */
        {"/dev/shm", "/dev/shm", NULL},
        {"/dev/vda", "/", "vda"},
    };
    assert_int_equal(count, ARRAY_SIZE(want));
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(mounts[i].device, want[i].device);
        assert_string_equal(mounts[i].mount_point, want[i].mount_point);
        assert_true(text_eq(mounts[i].disk ? mounts[i].disk->name : NULL, want[i].disk));
    }
}

TEST_CASE(btrfs_is_on_the_disk_of_its_name)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    static const struct stats_disk disks[] = {{.major = 8, .name = "sda"}};
    struct mountinfo_table table;
    assert_no_error(mountinfo_parse(STR_LITERAL("36 27 0:54 / / rw - btrfs /dev/sda rw\n"
                                                "37 27 0:55 / /z rw - zfs pool/z rw\n"),
                                    arena, &table));
    struct stats_mount *mounts;
    assert_int_equal(stats_choose_mounts(&table, disks, 1, arena, &mounts), 2);
    assert_ptr_equal(mounts[0].disk, &disks[0]);
    assert_string_equal(mounts[1].device, "pool/z");
    assert_null(mounts[1].disk);
}

TEST_CASE(a_cgroup_is_known_by_the_id_in_its_name)
{
    static const struct {
        const char *name, *id;
        bool is_of;
    } rows[] = {
        {ID, ID, true},
        {"crio-" ID, ID, true},
        {"cri-containerd-" ID ".scope", ID, true},
        {"x" ID, ID, false},
        {ID ".slice", ID, false},
        {"sandbox-1", "sandbox-1", true},
        {"sandbox-11", "sandbox-1", false},
        {"anything", "", false},
        {".scope", "", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (stats_cgroup_is_of(rows[i].name, rows[i].id) != rows[i].is_of)
            fail_msg("%s and %s", rows[i].name, rows[i].id);
    }
}

TEST_MAIN(TEST(interfaces_but_for_those_of_the_host_are_read),
          TEST(a_pod_cannot_show_interfaces_without_end), TEST(disks_of_every_name_are_read),
          TEST(mounts_of_the_host_are_chosen_once_each), TEST(btrfs_is_on_the_disk_of_its_name),
          TEST(a_cgroup_is_known_by_the_id_in_its_name))
