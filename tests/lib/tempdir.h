/*
 * A directory of its own for a test that needs files: made below $TMPDIR, removed with all it
 * holds.
 *
 *     AUTO(tempdir) char *dir = tempdir_new();
 */
#pragma once

#include "base/fd.h"
#include "base/path.h"
#include "tests/lib/test.h"

#include <unistd.h>

static inline UNUSED char *tempdir_new(void)
{
    const char *base = getenv("TMPDIR");
    char *dir = path_join(base && *base ? base : "/tmp", "cubelet-test-XXXXXX");
    if (!mkdtemp(dir))
        fail_msg("cannot make %s", dir);
    return dir;
}

static inline UNUSED void tempdir_free(char *dir)
{
    assert_no_error(fd_remove_tree_blocking(dir));
    free(dir);
}
DEFINE_AUTO(tempdir, char *, tempdir_free)
