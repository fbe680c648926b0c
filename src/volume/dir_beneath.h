/*
 * Making directories below one that somebody else may be changing at the same time. On a worker.
 * Inside the volume room only.
 */
#pragma once

#include "base/base.h"

#include <sys/types.h>

/**
 * Makes @relative and what is missing above it, below @dir_fd, with @mode less umask; existing ones
 * keep theirs. A link anywhere on the way is an error (os_errno ELOOP or ENOTDIR), so nothing is
 * made elsewhere, whatever is swapped meanwhile. *ret_fd (O_PATH) is the innermost, the caller's.
 */
MUST_CHECK struct error *dir_make_beneath_blocking(int dir_fd, const char *relative, mode_t mode,
                                                   int *ret_fd);
