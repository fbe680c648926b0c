/*
 * Names in a directory, read at once, so that the directory may change while they are worked on.
 * Any thread; may wait for a disk.
 */
#pragma once

#include "base/arena.h"

struct dir_names {
    size_t count;
    const char **names; /* in the arena, sorted; "." and ".." left out */
};

enum dir_names_kind { DIR_NAMES_ALL, DIR_NAMES_DIRECTORIES /* real ones: no links */ };

/**
 * Reads the names in @path itself (a link there is refused). A missing directory has none. Errors
 * are the errno's.
 */
MUST_CHECK struct error *dir_names_read_blocking(const char *path, enum dir_names_kind kind,
                                                 struct arena *arena, struct dir_names *ret);
