/*
 * Loading a configuration in a test: arguments in one line, files in a directory of the test's own.
 */
#pragma once

#include "base/arena.h"
#include "base/fd.h"
#include "base/path.h"
#include "config/config.h"
#include "tests/lib/test.h"

#include <unistd.h>

#define LOAD_MAX_ARGS 32
#define LOAD_HEADER "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"

/* Splits @line at blanks; "%" stands for @dir. */
static inline UNUSED struct error *load_result(const char *line, const char *dir,
                                               struct config_result *ret)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *argv[LOAD_MAX_ARGS] = {"cubelet"};
    int argc = 1;
    struct str rest = str_from(line), word;
    while (line[0] && str_split_next(&rest, ' ', &word)) {
        size_t at = dir ? str_find(word, '%') : word.len;
        argv[argc++] = at < word.len ? arena_printf(arena, "%.*s%s%.*s", (int)at, word.ptr, dir,
                                                    (int)(word.len - at - 1), word.ptr + at + 1)
                                     : arena_strndup(arena, word.ptr, word.len);
        assert_true(argc < LOAD_MAX_ARGS);
    }
    return config_load(argc, argv, ret);
}

static inline UNUSED struct config *load_config(const char *line, const char *dir)
{
    struct config_result result = {.outcome = CONFIG_HELP};
    assert_no_error(load_result(line, dir, &result));
    assert_int_equal(result.outcome, CONFIG_RUN);
    return result.config;
}

static inline UNUSED void assert_load_fails(const char *line, const char *dir, const char *want)
{
    struct config_result result = {.outcome = CONFIG_HELP};
    AUTO(error) struct error *err = load_result(line, dir, &result);
    if (!err)
        fail_msg("\"%s\" should have failed with: %s", line, want);
    if (!strstr(err->message, want))
        fail_msg("\"%s\" failed with: %s\nwanted: %s", line, err->message, want);
}

static inline UNUSED char *make_dir(void)
{
    char *dir = xstrdup("/tmp/cubelet-config-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return dir;
}

static inline UNUSED void remove_dir(char *dir_owned)
{
    assert_no_error(fd_remove_tree_blocking(dir_owned));
    free(dir_owned);
}

static inline UNUSED void write_file(const char *dir, const char *name, const char *text)
{
    AUTO(free) char *path = path_join(dir, name);
    AUTO(free) char *parent = path_dir(path);
    assert_no_error(fd_mkdir_all(parent, 0700));
    assert_no_error(fd_write_file_blocking(path, str_from(text), 0600));
}
