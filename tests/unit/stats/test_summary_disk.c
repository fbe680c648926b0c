#include "stats/summary_disk.h"

#include "tests/lib/tempdir.h"

static void write_at(const char *dir, const char *name, const char *text)
{
    AUTO(free) char *path = path_join(dir, name);
    AUTO(free) char *parent = path_dir(path);
    assert_no_error(fd_mkdir_all(parent, 0700));
    assert_no_error(fd_write_file_blocking(path, str_from(text), 0600));
}

static char *proc_new(const char *dir)
{
    char *proc = path_join(dir, "proc");
    write_at(proc, "sys/kernel/pid_max", "32768\n");
    write_at(proc, "sys/kernel/threads-max", "20000\n");
    write_at(proc, "loadavg", "0.01 0.05 0.10 2/449 12345\n");
    write_at(proc, "stat", "cpu  1 2 3\nintr 5 0 0\nctxt 7\nbtime 1795224966\nprocesses 9\n");
    return proc;
}

TEST_CASE(each_question_gets_its_answer)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *proc = proc_new(dir);
    AUTO(free) char *file = path_join(dir, "logs/0.log");
    AUTO(free) char *logs = path_join(dir, "logs");
    write_at(dir, "logs/0.log", "text");
    write_at(dir, "logs/1.log", "text");
    AUTO(summary_disk) struct summary_disk *disk = summary_disk_new(proc);
    size_t totals = summary_disk_ask(disk, DISK_TOTALS, dir);
    size_t files = summary_disk_ask(disk, DISK_FILES, logs);
    size_t one = summary_disk_ask(disk, DISK_FILE, file);
    size_t missing = summary_disk_ask(disk, DISK_FILES, "/nowhere/at/all");
    assert_false(summary_disk_answer(disk, totals)->known);
    summary_disk_run_blocking(disk);

    assert_true(summary_disk_answer(disk, totals)->known);
    assert_true(summary_disk_answer(disk, totals)->totals.capacity_bytes > 0);
    assert_null(summary_disk_failure(disk, totals));
    assert_int_equal(summary_disk_answer(disk, files)->usage.inodes, 2);
    assert_int_equal(summary_disk_answer(disk, one)->usage.inodes, 1);
    assert_false(summary_disk_answer(disk, missing)->known);
    assert_non_null(strstr(summary_disk_failure(disk, missing), "/nowhere/at/all"));
}

TEST_CASE(many_questions_keep_their_places)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(summary_disk) struct summary_disk *disk = summary_disk_new("/proc");
    for (size_t i = 0; i < 500; i++)
        assert_int_equal(summary_disk_ask(disk, i % 2 == 0 ? DISK_FILES : DISK_FILE, dir), i);
    summary_disk_run_blocking(disk);
    for (size_t i = 0; i < 500; i++)
        assert_int_equal(summary_disk_answer(disk, i)->usage.inodes, i % 2 == 0 ? 0 : 1);
}

TEST_CASE(the_kernel_tells_its_start_and_its_processes)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *proc = proc_new(dir);
    AUTO(summary_disk) struct summary_disk *disk = summary_disk_new(proc);
    summary_disk_run_blocking(disk);
    struct disk_kernel kernel;
    assert_no_error(summary_disk_kernel(disk, &kernel));
    assert_int_equal(kernel.boot_ns, INT64_C(1795224966) * NS_PER_SEC);
    assert_int_equal(kernel.max_pid, 20000);
    assert_int_equal(kernel.current_processes, 449);
}

TEST_CASE(what_the_kernel_does_not_tell_is_an_error)
{
    static const struct {
        const char *name, *file, *text; /* text NULL: the file is missing */
        bool is_error;
    } rows[] = {
        {"no start", "stat", "cpu 1\n", true},
        {"a start that is no number", "stat", "btime soon\n", true},
        {"no stat", "stat", NULL, true},
        {"a limit that is no number", "sys/kernel/pid_max", "many\n", true},
        {"no limit", "sys/kernel/threads-max", NULL, true},
        {"no loadavg", "loadavg", NULL, false},
        {"a loadavg without a slash", "loadavg", "0 0 0 7 1\n", false},
        {"a short loadavg", "loadavg", "0 0", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(tempdir) char *dir = tempdir_new();
        AUTO(free) char *proc = proc_new(dir);
        AUTO(free) char *path = path_join(proc, rows[i].file);
        assert_int_equal(unlink(path), 0);
        if (rows[i].text)
            write_at(proc, rows[i].file, rows[i].text);
        AUTO(summary_disk) struct summary_disk *disk = summary_disk_new(proc);
        summary_disk_run_blocking(disk);
        struct disk_kernel kernel = {0};
        AUTO(error) struct error *err = summary_disk_kernel(disk, &kernel);
        if ((err != NULL) != rows[i].is_error)
            fail_msg("%s: %s", rows[i].name, err ? err->message : "no error");
        if (!err)
            assert_true(kernel.current_processes > 0);
    }
}

static void on_done(void *ctx, struct summary_disk *disk_owned)
{
    struct summary_disk **slot = ctx;
    *slot = disk_owned;
}

TEST_CASE(the_pool_answers_in_a_later_turn)
{
    AUTO(loop) struct loop *loop = NULL;
    assert_no_error(loop_new(&loop));
    struct work_pool *pool = work_pool_new(loop, 0);
    AUTO(summary_disk) struct summary_disk *answers = NULL;
    struct summary_disk *questions = summary_disk_new("/proc");
    size_t root = summary_disk_ask(questions, DISK_TOTALS, "/");
    (void)summary_disk_start(questions, pool, on_done, &answers);
    assert_null(answers);
    for (int i = 0; i < 10 && !answers; i++)
        loop_turn(loop, NS_PER_SEC);
    assert_non_null(answers);
    assert_true(summary_disk_answer(answers, root)->known);

    struct summary_disk *unheard = NULL;
    work_cancel(summary_disk_start(summary_disk_new("/proc"), pool, on_done, &unheard));
    work_pool_free(pool, NS_PER_SEC);
    assert_null(unheard);
}

TEST_MAIN(TEST(each_question_gets_its_answer), TEST(many_questions_keep_their_places),
          TEST(the_kernel_tells_its_start_and_its_processes),
          TEST(what_the_kernel_does_not_tell_is_an_error), TEST(the_pool_answers_in_a_later_turn))
