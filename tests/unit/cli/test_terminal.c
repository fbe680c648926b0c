/* The settings of a pseudo-terminal of the test's own. */
#include "cli/terminal.h"

#include "base/fd.h"
#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NAME_SIZE 64

struct pair {
    int master, slave;
};

static struct pair pair_new(void)
{
    struct pair pair = {.master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
    char name[NAME_SIZE];
    assert_true(pair.master >= 0);
    assert_int_equal(grantpt(pair.master), 0);
    assert_int_equal(unlockpt(pair.master), 0);
    assert_int_equal(ptsname_r(pair.master, name, sizeof(name)), 0);
    pair.slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(pair.slave >= 0);
    return pair;
}

static void pair_done(struct pair *pair)
{
    fd_close(&pair->master);
    fd_close(&pair->slave);
}

static struct termios settings_of(int fd)
{
    struct termios settings;
    assert_int_equal(tcgetattr(fd, &settings), 0);
    return settings;
}

TEST_CASE(settings_are_given_back)
{
    struct pair pair = pair_new();
    struct termios before = settings_of(pair.slave);
    assert_true(before.c_lflag & ISIG);
    {
        AUTO(terminal) struct terminal terminal = {0};
        assert_no_error(terminal_make_raw(pair.slave, &terminal));
        struct termios raw = settings_of(pair.slave);
        assert_int_equal(raw.c_lflag & (ISIG | ICANON | ECHO | IEXTEN), 0);
        assert_int_equal(raw.c_iflag & (ICRNL | IXON), 0);
        assert_int_equal(raw.c_oflag & OPOST, 0);
    }
    struct termios after = settings_of(pair.slave);
    assert_int_equal(after.c_lflag, before.c_lflag);
    assert_int_equal(after.c_iflag, before.c_iflag);
    assert_int_equal(after.c_oflag, before.c_oflag);
    pair_done(&pair);
}

TEST_CASE(what_is_no_terminal_stays_as_it_is)
{
    AUTO(terminal) struct terminal terminal = {0};
    AUTO(fd) int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct terminal_size size;
    AUTO(error) struct error *err = terminal_make_raw(fd, &terminal);
    assert_non_null(err);
    assert_false(terminal.is_raw);
    assert_false(terminal_size(fd, &size));
}

TEST_CASE(a_size_is_told_when_there_is_one)
{
    struct pair pair = pair_new();
    const struct winsize want = {.ws_row = 33, .ws_col = 101};
    struct terminal_size size;
    assert_false(terminal_size(pair.slave, &size)); /* nobody has set one */
    assert_int_equal(ioctl(pair.master, TIOCSWINSZ, &want), 0);
    assert_true(terminal_size(pair.slave, &size));
    assert_int_equal(size.columns, 101);
    assert_int_equal(size.rows, 33);
    pair_done(&pair);
}

TEST_MAIN(TEST(settings_are_given_back), TEST(what_is_no_terminal_stays_as_it_is),
          TEST(a_size_is_told_when_there_is_one))
