#include "cli/terminal.h"

#include <errno.h>
#include <sys/ioctl.h>

bool terminal_size(int fd, struct terminal_size *ret)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0)
        return false;
    *ret = (struct terminal_size){.columns = size.ws_col, .rows = size.ws_row};
    return true;
}

struct error *terminal_make_raw(int fd, struct terminal *ret)
{
    struct terminal terminal = {.fd = fd, .is_raw = true};
    if (tcgetattr(fd, &terminal.before) < 0)
        return error_from_errno(errno, "reading the terminal's settings");
    struct termios raw = terminal.before;
    cfmakeraw(&raw);
    if (tcsetattr(fd, TCSADRAIN, &raw) < 0)
        return error_from_errno(errno, "changing the terminal's settings");
    *ret = terminal;
    return NULL;
}

void terminal_restore(struct terminal *terminal)
{
    if (!terminal->is_raw)
        return;
    terminal->is_raw = false;
    /* Should it fail there is no terminal any more. */
    (void)tcsetattr(terminal->fd, TCSADRAIN, &terminal->before);
}
