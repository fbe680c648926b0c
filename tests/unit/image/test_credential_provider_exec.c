/* The plugins are shell scripts that the test writes: only a real process shows how one is asked.
 */
#include "image/credential_provider_exec.h"

#include "image/credential_provider_codec.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <sys/wait.h>

#define LONG_NS (20 * NS_PER_SEC) /* how long a hang takes to be seen */

struct world {
    struct loop *loop;
    struct work_pool *pool;
    char *dir;
    unsigned ends;
    char *output, *message;
    enum error_code code;
};

static void on_done(void *ctx, struct str output, struct error *err_owned)
{
    struct world *world = ctx;
    AUTO(error) struct error *err = err_owned;
    world->ends++;
    world->output = str_dup(output);
    world->message = err ? xstrdup(err->message) : NULL;
    world->code = err ? err->code : ERROR_UNKNOWN;
}

static int setup(void **state)
{
    struct world *world = xcalloc(1, sizeof(*world));
    assert_no_error(loop_new(&world->loop));
    world->pool = work_pool_new(world->loop, 0);
    world->dir = tempdir_new();
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    work_pool_free(world->pool, LONG_NS);
    loop_free(world->loop);
    tempdir_free(world->dir);
    free(world->output);
    free(world->message);
    free(world);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left behind */
    return 0;
}

static struct credential_exec *start(struct world *world, const char *script, const char *request,
                                     int64_t timeout_ns)
{
    AUTO(free) char *path = path_join(world->dir, "plugin");
    AUTO(free) char *text = xasprintf("#!/bin/sh\n%s\n", script);
    assert_no_error(fd_write_file_blocking(path, str_from(text), 0755));
    char *args[] = {(char[]){"one"}, (char[]){"two words"}};
    Credentialprovider__ExecEnvVar first = CREDENTIALPROVIDER__EXEC_ENV_VAR__INIT, second = first;
    first.name = (char[]){"PATH"};
    first.value = (char[]){"/bin:/usr/bin"};
    second.name = (char[]){"GREETING"};
    second.value = (char[]){"hi"};
    Credentialprovider__ExecEnvVar *env[] = {&second, &first, &second};
    Credentialprovider__CredentialProvider provider = CREDENTIALPROVIDER__CREDENTIAL_PROVIDER__INIT;
    provider.name = (char[]){"plugin"};
    provider.args = args;
    provider.n_args = ARRAY_SIZE(args);
    provider.env = env;
    provider.n_env = ARRAY_SIZE(env);
    const struct credential_exec_options options = {.loop = world->loop,
                                                    .pool = world->pool,
                                                    .provider = &provider,
                                                    .path = path,
                                                    .image = "r.example/app",
                                                    .secret = "t0ken",
                                                    .request = str_from(request),
                                                    .timeout_ns = timeout_ns};
    free(TAKE(world->output));
    free(TAKE(world->message));
    world->ends = 0;
    struct credential_exec *run = credential_exec_start(&options, on_done, world);
    assert_int_equal(world->ends, 0);
    return run;
}

static void run(struct world *world, const char *script, const char *request, int64_t timeout_ns)
{
    (void)start(world, script, request, timeout_ns);
    while (world->ends == 0)
        loop_turn(world->loop, LONG_NS);
    assert_int_equal(world->ends, 1);
}

static void a_plugin_reads_its_request_and_answers(void **state)
{
    static const struct {
        const char *script, *want;
    } rows[] = {
        {"cat", "asked"},
        {"echo -n ignored", "ignored"},
        {"cat >/dev/null; echo -n \"$1,$2,$#\"", "one,two words,2"},
        {"env | grep -c ^PATH=; echo \"$PATH $GREETING $HOME\"",
         "1\n/bin:/usr/bin hi /somewhere\n"},
        {"echo complaint >&2; echo fine", "fine\n"},
        {"(sleep 100; echo late) & echo early",
         "early\n"}, /* who holds the pipe is not waited for */
    };
    assert_int_equal(setenv("HOME", "/somewhere", 1), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        run(*state, rows[i].script, "asked", LONG_NS);
        const struct world *world = *state;
        assert_null(world->message);
        assert_string_equal(world->output, rows[i].want);
    }
}

#define FAILED "error execing credential provider plugin plugin for image r.example/app: "

static void a_failure_says_what_the_plugin_complained_of(void **state)
{
    static const struct {
        const char *script, *want;
    } rows[] = {
        {"exit 3", FAILED "exit status 3"},
        {"echo s3cret; exit 1", FAILED "exit status 1"},
        {"echo ' no key ' >&2; exit 1", FAILED "exit status 1: no key"},
        {"printf 'a\\nb' >&2; exit 1", FAILED "exit status 1: a\nb"},
        {"echo 'token t0ken, t0ke' >&2; exit 1", FAILED "exit status 1: token <redacted>, t0ke"},
        {"echo dying >&2; kill -9 $$", FAILED "signal: Killed: dying"},
    };
    const struct world *world = *state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        run(*state, rows[i].script, "", LONG_NS);
        assert_string_equal(world->message, rows[i].want);
    }
}

static void only_the_beginning_of_long_complaints_is_kept(void **state)
{
    const struct world *world = *state;
    run(*state, "head -c 300000 /dev/zero | tr '\\0' x >&2; exit 1", "", LONG_NS);
    assert_int_equal(strlen(world->message),
                     strlen(FAILED "exit status 1: ") + CREDENTIAL_EXEC_ERRORS_MAX_BYTES);
    /* A token that is cut off there is not shown either. */
    run(*state, "head -c 4093 /dev/zero | tr '\\0' x >&2; echo t0ken >&2; exit 1", "", LONG_NS);
    assert_non_null(strstr(world->message, "x<redacted>"));
    assert_null(strstr(world->message, "t0k"));
}

static void a_plugin_that_takes_too_long_is_killed(void **state)
{
    const struct world *world = *state;
    run(*state, "echo slow >&2; exec sleep 100", "", 200 * NS_PER_MS);
    assert_int_equal(world->code, ERROR_DEADLINE_EXCEEDED);
    assert_string_equal(world->message, FAILED "context deadline exceeded: slow");
}

static void a_plugin_that_prints_too_much_is_killed(void **state)
{
    const struct world *world = *state;
    run(*state, "exec cat /dev/zero", "", LONG_NS);
    assert_string_equal(world->message, FAILED "it printed more than 1048576 bytes");
    assert_int_equal(world->code, ERROR_RESOURCE_EXHAUSTED);
}

static void a_long_request_needs_nobody_who_reads_it(void **state)
{
    const struct world *world = *state;
    AUTO(free) char *request = xcalloc(1, 600 * KiB + 1);
    memset(request, 'r', 600 * KiB);
    run(*state, "echo done", request, LONG_NS);
    assert_string_equal(world->output, "done\n");
    run(*state, "wc -c", request, LONG_NS);
    assert_string_equal(world->output, "614400\n");
}

static void a_plugin_that_is_gone_fails_in_the_next_turn(void **state)
{
    struct world *world = *state;
    run(world, "", "", LONG_NS);
    assert_null(world->message);
    AUTO(free) char *path = path_join(world->dir, "gone");
    Credentialprovider__CredentialProvider provider = CREDENTIALPROVIDER__CREDENTIAL_PROVIDER__INIT;
    provider.name = (char[]){"plugin"};
    const struct credential_exec_options options = {.loop = world->loop,
                                                    .pool = world->pool,
                                                    .provider = &provider,
                                                    .path = path,
                                                    .image = "r.example/app",
                                                    .timeout_ns = LONG_NS};
    free(TAKE(world->output));
    world->ends = 0;
    (void)credential_exec_start(&options, on_done, world);
    assert_int_equal(world->ends, 0);
    while (world->ends == 0)
        loop_turn(world->loop, LONG_NS);
    AUTO(free)
    char *want = xasprintf(FAILED "starting %s: No such file or directory", path);
    assert_string_equal(world->message, want);
}

static void a_cancelled_run_is_killed_in_silence(void **state)
{
    struct world *world = *state;
    struct credential_exec *exec = start(world, "exec sleep 100", "", LONG_NS);
    credential_exec_cancel(exec);
    credential_exec_cancel(NULL);
    loop_turn(world->loop, 0); /* reaps */
    assert_int_equal(world->ends, 0);
}

#define IN_WORLD(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_plugin_reads_its_request_and_answers),
        IN_WORLD(a_failure_says_what_the_plugin_complained_of),
        IN_WORLD(only_the_beginning_of_long_complaints_is_kept),
        IN_WORLD(a_plugin_that_takes_too_long_is_killed),
        IN_WORLD(a_plugin_that_prints_too_much_is_killed),
        IN_WORLD(a_long_request_needs_nobody_who_reads_it),
        IN_WORLD(a_plugin_that_is_gone_fails_in_the_next_turn),
        IN_WORLD(a_cancelled_run_is_killed_in_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
