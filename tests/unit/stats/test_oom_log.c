/* The kernel's log gives a record a read(), which a socket pair of packets does as well. */
#include "stats/oom_log.h"

#include "base/fd.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct log_bed {
    struct loop *loop;
    struct oom_log *log;
    int kernel; /* its end */
};

static void setup(struct log_bed *bed)
{
    int ends[2];
    assert_no_error(loop_new(&bed->loop));
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
                     0);
    bed->log = oom_log_new_from_fd(bed->loop, ends[0]);
    bed->kernel = ends[1];
}

static void teardown(struct log_bed *bed)
{
    oom_log_free(bed->log);
    fd_close(&bed->kernel);
    loop_free(bed->loop);
}

static void say(const struct log_bed *bed, const char *cgroup)
{
    char record[256];
    int len =
        snprintf(record, sizeof(record), "6,1,2,-;oom-kill:task_memcg=%s,task=x,pid=1\n", cgroup);
    assert_int_equal(write(bed->kernel, record, (size_t)len), len);
    loop_turn(bed->loop, 0);
}

TEST_CASE(kills_are_counted_by_cgroup)
{
    struct log_bed bed;
    setup(&bed);
    assert_int_equal(oom_log_count(bed.log, "/a"), 0);
    say(&bed, "/a");
    say(&bed, "/b");
    say(&bed, "/a");
    assert_int_equal(write(bed.kernel, "6,1,2,-;something else", 22), 22);
    loop_turn(bed.loop, 0);
    assert_int_equal(oom_log_count(bed.log, "/a"), 2);
    assert_int_equal(oom_log_count(bed.log, "/b"), 1);
    assert_int_equal(oom_log_count(bed.log, "/"), 0);
    teardown(&bed);
}

TEST_CASE(the_oldest_makes_room)
{
    struct log_bed bed;
    setup(&bed);
    char cgroup[32];
    for (int i = 0; i < OOM_MAX_CGROUPS; i++) {
        (void)snprintf(cgroup, sizeof(cgroup), "/c%d", i);
        say(&bed, cgroup);
    }
    say(&bed, "/c0"); /* now /c1 is the one longest ago */
    say(&bed, "/new");
    assert_int_equal(oom_log_count(bed.log, "/c0"), 2);
    assert_int_equal(oom_log_count(bed.log, "/c1"), 0);
    assert_int_equal(oom_log_count(bed.log, "/c2"), 1);
    assert_int_equal(oom_log_count(bed.log, "/new"), 1);
    teardown(&bed);
}

TEST_CASE(a_log_that_ends_is_left_alone)
{
    struct log_bed bed;
    setup(&bed);
    say(&bed, "/a");
    fd_close(&bed.kernel);
    for (int i = 0; i < 4; i++)
        loop_turn(bed.loop, 0);
    assert_int_equal(oom_log_count(bed.log, "/a"), 1);
    teardown(&bed);
}

TEST_CASE(a_log_that_cannot_be_opened_is_an_error)
{
    struct loop *loop;
    struct oom_log *log = NULL;
    assert_no_error(loop_new(&loop));
    assert_error_code(oom_log_new(loop, "/nowhere/kmsg", &log), ERROR_NOT_FOUND);
    assert_null(log);
    loop_free(loop);
}

TEST_MAIN(TEST(kills_are_counted_by_cgroup), TEST(the_oldest_makes_room),
          TEST(a_log_that_ends_is_left_alone), TEST(a_log_that_cannot_be_opened_is_an_error))
