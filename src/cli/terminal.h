/* The terminal in which the client runs. Its settings are the user's: whoever changes them gives
 * them back. The client process only. */
#pragma once

#include "base/base.h"

#include <termios.h>

struct terminal_size {
    uint16_t columns, rows;
};

/** The size of the terminal at @fd. False: there is none, or it does not tell. */
bool terminal_size(int fd, struct terminal_size *ret);

/** In the owner's struct, zeroed to begin. */
struct terminal {
    bool is_raw;
    int fd;
    struct termios before;
};

/** Passes every key of the terminal at @fd on as it is; also those that would end this process. */
MUST_CHECK struct error *terminal_make_raw(int fd, struct terminal *ret);
/** Gives the settings back. One that is not raw is fine. */
void terminal_restore(struct terminal *terminal);
static inline UNUSED void auto_release_terminal(struct terminal *terminal)
{
    terminal_restore(terminal);
}
