/*
 * Where to look for changes of what a path leads to: every symbolic link on the way, the end, or
 * what is missing first. Blocking, though shortly: on a worker.
 */
#pragma once

#include "base/arena.h"

struct path_spot {
    const char *dir;  /* without links in it */
    const char *name; /* of the entry */
};

#define PATH_TRACE_MAX 48

struct path_trace {
    size_t count;
    struct path_spot spots[PATH_TRACE_MAX];
};

/**
 * Adds the spots of the absolute @path to @trace, each once; texts live in @arena. What cannot be
 * followed (no permission, too many links) ends the trace there: reading the file says what is
 * wrong.
 */
void path_trace_blocking(const char *path, struct arena *arena, struct path_trace *trace);
