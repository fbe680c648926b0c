#include "base/base.h"
#include "tests/lib/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

TEST_CASE(allocation_of_nothing_is_still_an_object)
{
    AUTO(free) void *none = xcalloc(0, 16);
    AUTO(free) void *empty = xrealloc(NULL, 0);
    assert_non_null(none);
    assert_non_null(empty);
}

TEST_CASE(texts_are_copied_up_to_a_maximum)
{
    assert_null(xstrdup(NULL));
    AUTO(free) char *whole = xstrdup("abc");
    assert_string_equal(whole, "abc");
    AUTO(free) char *part = xstrndup("abc", 2);
    assert_string_equal(part, "ab");
    const char unterminated[2] = {'x', 'y'};
    AUTO(free) char *exact = xstrndup(unterminated, 2);
    assert_string_equal(exact, "xy");
    AUTO(free) char *printed = xasprintf("%d-%s", 7, "x");
    assert_string_equal(printed, "7-x");
}

TEST_CASE(take_hands_over_and_leaves_null)
{
    char *owner = xstrdup("x");
    AUTO(free) char *other = TAKE(owner);
    assert_null(owner);
    assert_string_equal(other, "x");
}

TEST_CASE(container_of_finds_the_struct)
{
    struct outer {
        int first;
        long member;
    } outer = {.first = 3};
    assert_int_equal(CONTAINER_OF(&outer.member, struct outer, member)->first, 3);
}

static void fail_an_assertion(void)
{
    int two = 2;
    ASSERT(two == 3);
}

static void die_with_a_long_text(void)
{
    base_die("%*s", 5000, "x");
}

static void overflow_an_allocation(void)
{
    volatile size_t count = SIZE_MAX;
    free(xcalloc(count, 2));
}

/* Runs @body in a child, whose standard error arrives in @text; the child must have aborted. */
static void assert_aborts(void (*body)(void), char *text, size_t size)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(ends[1], 2);
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        struct sigaction plain = {.sa_handler = SIG_DFL}; /* cmocka's stays with the parent */
        (void)sigaction(SIGABRT, &plain, NULL);
        body();
        _exit(0);
    }
    assert_true(child > 0);
    (void)close(ends[1]);
    size_t len = 0;
    ssize_t got;
    while (len < size - 1 && (got = read(ends[0], text + len, size - 1 - len)) > 0)
        len += (size_t)got;
    text[len] = '\0';
    (void)close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}

TEST_CASE(a_failed_assertion_says_what_and_where)
{
    char text[4096];
    assert_aborts(fail_an_assertion, text, sizeof(text));
    assert_non_null(strstr(text, "test_base.c:"));
    assert_non_null(strstr(text, "assertion failed: two == 3\n"));
}

TEST_CASE(a_last_message_is_one_line_even_when_cut)
{
    char text[4096];
    assert_aborts(die_with_a_long_text, text, sizeof(text));
    assert_true(strchr(text, '\n') - text == 510);
}

TEST_CASE(an_overflowing_allocation_ends_the_process)
{
    char text[4096];
    assert_aborts(overflow_an_allocation, text, sizeof(text));
}

TEST_MAIN(TEST(allocation_of_nothing_is_still_an_object), TEST(texts_are_copied_up_to_a_maximum),
          TEST(take_hands_over_and_leaves_null), TEST(container_of_finds_the_struct),
          TEST(a_failed_assertion_says_what_and_where),
          TEST(a_last_message_is_one_line_even_when_cut),
          TEST(an_overflowing_allocation_ends_the_process))
