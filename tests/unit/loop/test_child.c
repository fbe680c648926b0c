#include "loop/child.h"

#include "base/buf.h"
#include "base/fd.h"
#include "tests/lib/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TURNS 5000

struct parent {
    struct loop *loop;
    struct work_pool *pool;
    struct child *child;
    struct buf output;
    size_t exits;
    int status;
    bool frees_at_output, pauses_at_output;
};

static void on_output(void *ctx, struct str bytes)
{
    struct parent *parent = ctx;
    buf_add_str(&parent->output, bytes);
    if (parent->pauses_at_output)
        child_pause(parent->child, true);
    if (parent->frees_at_output)
        child_free(TAKE(parent->child));
}

static void on_exit_of_child(void *ctx, int status)
{
    struct parent *parent = ctx;
    parent->exits++;
    parent->status = status;
}

static const struct child_events events = {.on_output = on_output, .on_exit = on_exit_of_child};

static void parent_init(struct parent *parent)
{
    *parent = (struct parent){0};
    assert_no_error(loop_new(&parent->loop));
    parent->pool = work_pool_new(parent->loop, 0);
    buf_init(&parent->output, 16 * MiB);
}

static void parent_done(struct parent *parent)
{
    child_free(parent->child);
    loop_turn(parent->loop, 0); /* reaps */
    work_pool_free(parent->pool, NS_PER_SEC);
    loop_free(parent->loop);
    buf_done(&parent->output);
    /* Nobody is left behind. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static struct error *start(struct parent *parent, const char *script, bool joins_stderr)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    static const char *const env[] = {"A=b", NULL};
    const struct child_options options = {.argv = argv,
                                          .env = env,
                                          .errors = joins_stderr ? CHILD_ERRORS_JOINED
                                                                 : CHILD_ERRORS_DROPPED};
    return child_start(parent->loop, parent->pool, &options, &events, parent, &parent->child);
}

#define TURN_UNTIL(parent, condition)                                                              \
    do {                                                                                           \
        for (int turns = 0; !(condition) && turns < TURNS; turns++)                                \
            loop_turn((parent)->loop, 10 * NS_PER_MS);                                             \
        assert_true(condition);                                                                    \
    } while (0)

TEST_CASE(output_is_told_and_then_the_end)
{
    static const struct {
        const char *script, *output;
        bool joins_stderr;
        int code;
    } rows[] = {
        {"echo out; echo err >&2; exit 3", "out\n", false, 3},
        {"echo out; echo err >&2", "out\nerr\n", true, 0},
        {"echo $A; read x; echo \"[$x]\"", "b\n[]\n", false, 0}, /* no input */
        {"exec >&-; exit 1", "", false, 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct parent parent;
        parent_init(&parent);
        assert_no_error(start(&parent, rows[i].script, rows[i].joins_stderr));
        assert_int_equal(parent.output.len, 0);
        TURN_UNTIL(&parent, parent.exits == 1);
        assert_string_equal(buf_text(&parent.output), rows[i].output);
        assert_true(WIFEXITED(parent.status));
        assert_int_equal(WEXITSTATUS(parent.status), rows[i].code);
        child_pause(parent.child, false);
        loop_turn(parent.loop, 0);
        assert_int_equal(parent.exits, 1);
        parent_done(&parent);
    }
}

TEST_CASE(input_and_errors_may_be_descriptors)
{
    struct parent parent;
    parent_init(&parent);
    static const char *const argv[] = {"sh", "-c", "cat; echo err >&2", NULL};
    static const char *const env[] = {NULL};
    int errors[2];
    AUTO(fd) int in_fd = memfd_create("input", MFD_CLOEXEC);
    assert_int_equal(write(in_fd, "told", 4), 4);
    assert_int_equal(lseek(in_fd, 0, SEEK_SET), 0);
    assert_int_equal(pipe2(errors, O_CLOEXEC), 0);
    const struct child_options options = {.argv = argv,
                                          .env = env,
                                          .errors = CHILD_ERRORS_APART,
                                          .in_fd = in_fd,
                                          .err_fd = errors[1]};
    assert_no_error(
        child_start(parent.loop, parent.pool, &options, &events, &parent, &parent.child));
    TURN_UNTIL(&parent, parent.exits == 1);
    assert_string_equal(buf_text(&parent.output), "told");
    char told[8] = "";
    assert_int_equal(read(errors[0], told, sizeof(told)), 4);
    assert_string_equal(told, "err\n");
    fd_close(&errors[0]);
    fd_close(&errors[1]);
    parent_done(&parent);
}

TEST_CASE(a_missing_program_is_an_error)
{
    struct parent parent;
    parent_init(&parent);
    static const char *const argv[] = {"/nonexistent/program", NULL};
    static const char *const env[] = {NULL};
    const struct child_options options = {.argv = argv, .env = env};
    assert_error_code(
        child_start(parent.loop, parent.pool, &options, &events, &parent, &parent.child),
        ERROR_NOT_FOUND);
    assert_null(parent.child);
    parent_done(&parent);
}

TEST_CASE(a_paused_one_waits_with_its_output_and_its_end)
{
    struct parent parent;
    parent_init(&parent);
    parent.pauses_at_output = true;
    assert_no_error(start(&parent, "sleep 100 & echo $!; echo two", false));
    TURN_UNTIL(&parent, parent.output.len > 0);
    for (int i = 0; i < 20; i++)
        loop_turn(parent.loop, 2 * NS_PER_MS);
    assert_int_equal(parent.exits, 0);
    parent.pauses_at_output = false;
    child_pause(parent.child, false);
    /* The grandchild that holds the pipe open is not waited for. */
    TURN_UNTIL(&parent, parent.exits == 1);
    char *end = NULL;
    pid_t grandchild = (pid_t)strtol(buf_text(&parent.output), &end, 10);
    assert_string_equal(end, "\ntwo\n");
    assert_int_equal(kill(grandchild, SIGKILL), 0);
    parent_done(&parent);
}

TEST_CASE(a_chatty_one_is_read_whole)
{
    struct parent parent;
    parent_init(&parent);
    assert_no_error(
        start(&parent, "i=0; while [ $i -lt 200 ]; do printf %1000d 1; i=$((i+1)); done", false));
    TURN_UNTIL(&parent, parent.exits == 1);
    assert_int_equal(parent.output.len, 200 * 1000); /* more than a pipe holds */
    parent_done(&parent);
}

TEST_CASE(a_killed_one_ends_with_all_it_started)
{
    struct parent parent;
    parent_init(&parent);
    assert_no_error(start(&parent, "echo on; sleep 100; echo off", false));
    TURN_UNTIL(&parent, parent.output.len > 0);
    child_kill(parent.child);
    TURN_UNTIL(&parent, parent.exits == 1);
    assert_true(WIFSIGNALED(parent.status));
    assert_int_equal(WTERMSIG(parent.status), SIGKILL);
    child_kill(parent.child); /* does nothing */
    parent_done(&parent);
}

TEST_CASE(a_freed_one_is_killed_in_silence)
{
    struct parent parent;
    parent_init(&parent);
    parent.frees_at_output = true;
    assert_no_error(start(&parent, "echo on; exec sleep 100", false));
    TURN_UNTIL(&parent, parent.output.len > 0);
    assert_null(parent.child);
    loop_turn(parent.loop, 0);
    assert_int_equal(parent.exits, 0);
    parent_done(&parent);
}

static size_t count_named(const char *const *env, const char *name, const char **ret_last)
{
    size_t count = 0;
    AUTO(free) char *prefix = xasprintf("%s=", name);
    for (; *env; env++) {
        if (!text_has_prefix(*env, prefix))
            continue;
        *ret_last = *env;
        count++;
    }
    return count;
}

TEST_CASE(an_environment_has_ours_and_in_its_place_what_is_given)
{
    static const struct child_variable own[] = {
        {"PATH", "/own"}, {"CHILD_TWICE", "first"}, {"CHILD_TWICE", "last"}, {"CHILD_EMPTY", ""}};
    AUTO(arena) struct arena *arena = arena_new(0);
    assert_int_equal(setenv("CHILD_INHERITED", "yes", 1), 0);
    const char *const *env = child_environment(own, ARRAY_SIZE(own), arena);
    static const struct {
        const char *name, *want;
    } rows[] = {{"PATH", "PATH=/own"},
                {"CHILD_TWICE", "CHILD_TWICE=last"},
                {"CHILD_EMPTY", "CHILD_EMPTY="},
                {"CHILD_INHERITED", "CHILD_INHERITED=yes"}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *found = "";
        assert_int_equal(count_named(env, rows[i].name, &found), 1);
        assert_string_equal(found, rows[i].want);
    }
}

TEST_MAIN(TEST(an_environment_has_ours_and_in_its_place_what_is_given),
          TEST(output_is_told_and_then_the_end), TEST(input_and_errors_may_be_descriptors),
          TEST(a_missing_program_is_an_error), TEST(a_paused_one_waits_with_its_output_and_its_end),
          TEST(a_chatty_one_is_read_whole), TEST(a_killed_one_ends_with_all_it_started),
          TEST(a_freed_one_is_killed_in_silence))
