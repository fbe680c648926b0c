/* The plugins are /bin/sh with a script as an argument: the one place where a test needs a child.
 */
#include "kube/exec_credential.h"

#include "tests/lib/test.h"

#define V1 "client.authentication.k8s.io/v1"
#define OF(status) "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\"," status "}"

TEST_CASE(a_credential_is_read)
{
    AUTO(exec_credential) struct exec_credential credential = {0};
    assert_no_error(exec_credential_parse(
        STR_LITERAL(
            OF("\"spec\":{},\"status\":{\"token\":\"t\",\"clientCertificateData\":\"C\","
               "\"clientKeyData\":\"K\",\"expirationTimestamp\":\"1970-01-01T00:00:02Z\"}")),
        V1, &credential));
    assert_string_equal(credential.token, "t");
    assert_string_equal(credential.cert_pem, "C");
    assert_string_equal(credential.key_pem, "K");
    assert_true(credential.has_expiry);
    assert_int_equal(credential.expires_wall_ns, 2 * NS_PER_SEC);
    exec_credential_done(&credential);
    assert_no_error(exec_credential_parse(
        STR_LITERAL(OF("\"status\":{\"token\":\"t\",\"expirationTimestamp\":null}")), V1,
        &credential));
    assert_false(credential.has_expiry);
}

TEST_CASE(what_is_no_credential_is_refused)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"{}", "the plugin did not return an ExecCredential"},
        {"[]", "the plugin did not return an ExecCredential"},
        {"{\"kind\":\"ExecCredential\"}",
         "exec plugin is configured to use API version " V1 ", plugin returned version "},
        {"{\"kind\":\"ExecCredential\",\"apiVersion\":\"v9\"}",
         "exec plugin is configured to use API version " V1 ", plugin returned version v9"},
        {OF("\"status\":null"), "exec plugin didn't return a status field"},
        {OF("\"status\":{}"), "exec plugin didn't return a token or cert/key pair"},
        {OF("\"status\":{\"clientKeyData\":\"K\"}"),
         "exec plugin returned only certificate or key, not both"},
        {OF("\"status\":{\"token\":7}"), "status.token: expected a string"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct exec_credential credential = {0};
        assert_error_message(exec_credential_parse(str_from(rows[i].text), V1, &credential),
                             rows[i].want);
        assert_null(credential.token);
    }
    struct exec_credential credential = {0};
    assert_error_code(exec_credential_parse(STR_LITERAL("no json"), V1, &credential),
                      ERROR_INVALID_ARGUMENT);
    assert_error_code(
        exec_credential_parse(
            STR_LITERAL(OF("\"status\":{\"token\":\"t\",\"expirationTimestamp\":\"soon\"}")), V1,
            &credential),
        ERROR_INVALID_ARGUMENT);
}

TEST_CASE(the_plugin_is_told_of_the_cluster_when_it_asks)
{
    struct kubeconfig_exec exec = {.api_version = V1, .command = "x"};
    const struct kubeconfig config = {
        .server = "https://s", .tls_server_name = "n", .proxy_url = "http://p", .exec = &exec};
    AUTO(free) char *plain = exec_credential_info(&config, "CA");
    assert_string_equal(plain, "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
                               "\",\"spec\":{\"interactive\":false}}");
    exec.provide_cluster_info = true;
    AUTO(free) char *full = exec_credential_info(&config, "CA");
    assert_string_equal(full, "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
                              "\",\"spec\":{\"cluster\":{\"server\":\"https://s\","
                              "\"tls-server-name\":\"n\",\"certificate-authority-data\":\"Q0E=\","
                              "\"proxy-url\":\"http://p\"},\"interactive\":false}}");
}

/* --- running --- */

#define LONG_NS (20 * NS_PER_SEC) /* how long a hang takes to be seen */

struct world {
    struct loop *loop;
    struct work_pool *pool;
    unsigned ends;
    char *token;
    char *message;
};

static void on_done(void *ctx, struct exec_credential *credential, const struct error *err)
{
    struct world *world = ctx;
    world->ends++;
    assert_true(!credential == (err != NULL));
    world->token = credential ? xstrdup(credential->token) : NULL;
    world->message = err ? xstrdup(err->message) : NULL;
    if (err)
        assert_int_equal(err->code, ERROR_UNAUTHENTICATED);
}

static int setup(void **state)
{
    struct world *world = xcalloc(1, sizeof(*world));
    assert_no_error(loop_new(&world->loop));
    world->pool = work_pool_new(world->loop, 2);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    work_pool_free(world->pool, LONG_NS);
    loop_free(world->loop);
    free(world->token);
    free(world->message);
    free(world);
    return 0;
}

/* Runs @command with @args until it has told. */
static void run(struct world *world, const char *command, const char *const *args, size_t arg_count,
                int64_t timeout_ns)
{
    static const struct kubeconfig_env env[] = {{"GREETING", "hi"}};
    const struct kubeconfig_exec exec = {.api_version = V1,
                                         .command = command,
                                         .args = args,
                                         .arg_count = arg_count,
                                         .env = env,
                                         .env_count = ARRAY_SIZE(env),
                                         .install_hint = "install it"};
    const struct kubeconfig config = {.server = "s", .exec = &exec};
    world->ends = 0;
    free(TAKE(world->token));
    free(TAKE(world->message));
    const struct exec_options options = {
        .loop = world->loop, .pool = world->pool, .config = &config, .timeout_ns = timeout_ns};
    (void)exec_run_start(&options, on_done, world);
    assert_int_equal(world->ends, 0);
    while (world->ends == 0)
        loop_turn(world->loop, LONG_NS);
    assert_int_equal(world->ends, 1);
}

static void run_shell(struct world *world, const char *script, int64_t timeout_ns)
{
    const char *const args[] = {"-c", script};
    run(world, "sh", args, ARRAY_SIZE(args), timeout_ns);
}

#define PRINT                                                                                      \
    "printf '{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1                                    \
    "\",\"status\":{\"token\":\"%s\"}}' "

TEST_CASE(a_plugin_is_run_with_its_arguments_and_variables)
{
    struct world *world = *test_state;
    run_shell(world, PRINT "\"$GREETING-$(cat)\"", LONG_NS);
    assert_null(world->message);
    assert_string_equal(world->token, "hi-"); /* nothing comes from standard input */
    run_shell(world,
              "case \"$KUBERNETES_EXEC_INFO\" in *'\"interactive\":false'*) " PRINT "ok;; esac",
              LONG_NS);
    assert_string_equal(world->token, "ok");
}

TEST_CASE(a_plugin_that_fails_is_named)
{
    static const struct {
        const char *script, *want;
    } rows[] = {
        {"exit 3", "getting credentials: exec: executable sh failed with exit code 3"},
        {"kill -9 $$", "getting credentials: exec: executable sh was ended by signal 9"},
        {PRINT "x; exit 1", "getting credentials: exec: executable sh failed with exit code 1"},
        {"echo '{}'", "getting credentials: exec: executable sh: the plugin did not return an "
                      "ExecCredential"},
        {"exec cat /dev/zero",
         "getting credentials: exec: executable sh printed more than 1048576 bytes"},
        {"for i in 1 2 3 4; do cat /dev/zero & done; wait",
         "getting credentials: exec: executable sh printed more than 1048576 bytes"},
    };
    struct world *world = *test_state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        run_shell(world, rows[i].script, LONG_NS);
        assert_null(world->token);
        assert_string_equal(world->message, rows[i].want);
    }
}

TEST_CASE(a_plugin_that_is_not_there_comes_with_the_hint)
{
    struct world *world = *test_state;
    run(world, "no-such-plugin-here", NULL, 0, LONG_NS);
    assert_string_equal(
        world->message,
        "getting credentials: exec: executable no-such-plugin-here not found: install it");
    run(world, "/dev/null", NULL, 0, LONG_NS);
    assert_string_equal(world->message,
                        "getting credentials: exec: executable /dev/null: Permission denied");
}

TEST_CASE(a_plugin_that_hangs_is_killed_with_its_children)
{
    struct world *world = *test_state;
    run_shell(world, "sleep 1000 & sleep 1000", 1);
    assert_string_equal(world->message,
                        "getting credentials: exec: executable sh did not end within 1ns");
}

TEST_CASE(a_grandchild_that_keeps_the_pipe_open_is_not_waited_for)
{
    struct world *world = *test_state;
    run_shell(world, "sleep 2 & " PRINT "there", LONG_NS);
    assert_string_equal(world->token, "there");
}

TEST_CASE(a_cancelled_plugin_is_never_heard_of_again)
{
    struct world *world = *test_state;
    static const char *const args[] = {"1000"};
    const struct kubeconfig_exec exec = {
        .api_version = V1, .command = "sleep", .args = args, .arg_count = ARRAY_SIZE(args)};
    const struct kubeconfig config = {.server = "s", .exec = &exec};
    const struct exec_options options = {
        .loop = world->loop, .pool = world->pool, .config = &config, .timeout_ns = LONG_NS};
    exec_run_cancel(exec_run_start(&options, on_done, world));
    exec_run_cancel(NULL);
    while (work_pool_busy(world->pool) > 0)
        loop_turn(world->loop, LONG_NS);
    assert_int_equal(world->ends, 0);
}

#define RUN(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

TEST_MAIN(TEST(a_credential_is_read), TEST(what_is_no_credential_is_refused),
          TEST(the_plugin_is_told_of_the_cluster_when_it_asks),
          RUN(a_plugin_is_run_with_its_arguments_and_variables), RUN(a_plugin_that_fails_is_named),
          RUN(a_plugin_that_is_not_there_comes_with_the_hint),
          RUN(a_plugin_that_hangs_is_killed_with_its_children),
          RUN(a_grandchild_that_keeps_the_pipe_open_is_not_waited_for),
          RUN(a_cancelled_plugin_is_never_heard_of_again))
