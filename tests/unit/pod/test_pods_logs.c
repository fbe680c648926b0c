/* Logs of running containers over the fake runtime, in real time: who is looked at, what is asked.
 */
#include "pods_bench.h"

#include <dirent.h>
#include <unistd.h>

#define LOG "logs/default_web-n_u-web/c/0.log"
#define LOG_FOLDER "logs/default_web-n_u-web/c"
#define STARTED "RunPodSandbox web-n/0\nCreateContainer web-n.c/0\nStartContainer web-n.c/0\n"

static void init(struct bench *bench, int64_t max_bytes)
{
    bench_init(bench);
    bench->env.logs = (struct pods_log_policy){
        .max_bytes = max_bytes, .max_files = 3, .max_workers = 1, .period_ns = NS_PER_MS};
}

/* Files in the log's folder. */
static size_t count_files(const struct bench *bench)
{
    size_t count = 0;
    DIR *entries = opendir(bench_path(bench, LOG_FOLDER));
    const struct dirent *entry;
    while (entries && (entry = readdir(entries)))
        count += entry->d_name[0] == '.' ? 0 : 1;
    if (entries)
        closedir(entries);
    return count;
}

static bool said(const struct bench *bench, const char *text)
{
    return strstr(bench_transcript(bench), text);
}

TEST_CASE(a_log_below_the_limit_is_left_alone)
{
    struct bench bench;
    init(&bench, 10);
    bench_begin(&bench, "web", BENCH_WEB);
    bench_write(bench_path(&bench, LOG), "012345678");
    size_t calls = fake_runtime_calls(bench.fake);
    bench_idle(&bench);
    assert_int_equal(fake_runtime_calls(bench.fake), calls); /* looking costs the runtime nothing */
    assert_string_equal(bench_transcript(&bench), STARTED);
    assert_int_equal(count_files(&bench), 1);
    bench_finish(&bench);
}

TEST_CASE(a_log_of_just_the_limit_is_rotated_and_opened_anew)
{
    struct bench bench;
    init(&bench, 10);
    bench_begin(&bench, "web", BENCH_WEB);
    bench_write(bench_path(&bench, LOG), "0123456789");
    bench_until(&bench, said(&bench, "ReopenContainerLog"));
    bench_rest(&bench);
    assert_string_equal(bench_transcript(&bench), STARTED "ReopenContainerLog web-n.c/0\n");
    assert_int_equal(count_files(&bench), 2);
    bench_finish(&bench);
}

TEST_CASE(a_missing_log_is_opened_anew)
{
    struct bench bench;
    init(&bench, 10);
    bench_begin(&bench, "web", BENCH_WEB);
    assert_int_equal(unlink(bench_path(&bench, LOG)), 0);
    bench_until(&bench, said(&bench, "ReopenContainerLog"));
    bench_rest(&bench);
    assert_string_equal(bench_transcript(&bench), STARTED "ReopenContainerLog web-n.c/0\n");
    assert_true(bench_exists(&bench, LOG));
    bench_finish(&bench);
}

TEST_CASE(a_log_that_cannot_be_opened_anew_gets_its_name_back_until_it_can)
{
    struct bench bench;
    init(&bench, 10);
    bench_begin(&bench, "web", BENCH_WEB);
    fake_runtime_fail(bench.fake, &(struct fake_fault){.of_method = true,
                                                       .method = RUNTIME_REOPEN_CONTAINER_LOG,
                                                       .times = 2,
                                                       .effect = FAKE_REFUSED});
    bench_write(bench_path(&bench, LOG), "0123456789");
    bench_until(&bench, fake_runtime_count(bench.fake, RUNTIME_REOPEN_CONTAINER_LOG) == 3);
    bench_rest(&bench);
    assert_int_equal(count_files(&bench), 2);
    bench_finish(&bench);
}

TEST_CASE(a_negative_limit_is_none_and_keeps_the_logs_of_removed_containers)
{
    struct bench bench;
    init(&bench, -1);
    bench_begin(&bench, "web", BENCH_WEB);
    bench_write(bench_path(&bench, LOG), "0123456789");
    bench_idle(&bench);
    for (size_t i = 0; i < 2; i++) {
        fake_runtime_exit(bench.fake, "web-n", "c", 0);
        bench_rest(&bench);
    }
    assert_true(said(&bench, "RemoveContainer web-n.c/0"));
    assert_false(said(&bench, "ReopenContainerLog"));
    assert_true(bench_exists(&bench, LOG));
    assert_false(bench_exists(&bench, "links/web-n_default_c-container-2.log"));
    bench_finish(&bench);
}

TEST_CASE(a_removed_container_takes_its_rotated_logs_with_it)
{
    struct bench bench;
    init(&bench, 10);
    bench_begin(&bench, "web", BENCH_WEB);
    bench_write(bench_path(&bench, LOG ".20200101-000000.gz"), "");
    for (size_t i = 0; i < 2; i++) {
        fake_runtime_exit(bench.fake, "web-n", "c", 0);
        bench_rest(&bench);
    }
    assert_true(said(&bench, "RemoveContainer web-n.c/0"));
    assert_false(bench_exists(&bench, LOG));
    assert_false(bench_exists(&bench, LOG ".20200101-000000.gz"));
    bench_finish(&bench);
}

TEST_CASE(a_container_whose_logs_cannot_be_deleted_stays)
{
    struct bench bench;
    init(&bench, 1000);
    bench_begin(&bench, "web", BENCH_WEB);
    /* The folder of its logs has become a link to another place. */
    assert_no_error(fd_mkdir_all(bench_path(&bench, "elsewhere"), 0755));
    bench_write(bench_path(&bench, "elsewhere/0.log"), "precious");
    assert_int_equal(rename(bench_path(&bench, LOG_FOLDER), bench_path(&bench, LOG_FOLDER ".away")),
                     0);
    assert_int_equal(symlink(bench_path(&bench, "elsewhere"), bench_path(&bench, LOG_FOLDER)), 0);
    for (size_t i = 0; i < 2; i++) {
        fake_runtime_exit(bench.fake, "web-n", "c", 0);
        bench_until(&bench, fake_runtime_running(bench.fake, "web-n", "c") == 1);
    }
    bench_idle(&bench);
    assert_false(said(&bench, "RemoveContainer"));
    assert_int_equal(fake_runtime_containers(bench.fake), 3);
    assert_true(bench_exists(&bench, "elsewhere/0.log"));
    /* Once it can be reached again the container goes. */
    assert_int_equal(unlink(bench_path(&bench, LOG_FOLDER)), 0);
    assert_int_equal(rename(bench_path(&bench, LOG_FOLDER ".away"), bench_path(&bench, LOG_FOLDER)),
                     0);
    bench_rest(&bench);
    assert_true(said(&bench, "RemoveContainer web-n.c/0"));
    assert_false(bench_exists(&bench, LOG));
    bench_finish(&bench);
}

TEST_MAIN(TEST(a_log_below_the_limit_is_left_alone),
          TEST(a_log_of_just_the_limit_is_rotated_and_opened_anew),
          TEST(a_missing_log_is_opened_anew),
          TEST(a_log_that_cannot_be_opened_anew_gets_its_name_back_until_it_can),
          TEST(a_negative_limit_is_none_and_keeps_the_logs_of_removed_containers),
          TEST(a_removed_container_takes_its_rotated_logs_with_it),
          TEST(a_container_whose_logs_cannot_be_deleted_stays))
