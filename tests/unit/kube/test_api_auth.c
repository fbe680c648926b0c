/* Credentials, seen from the server: who it is told that asks, and how often. */
#include "api_bench.h"

static const struct api_step good = {.status = 200, .body = NODE_JSON};
static const struct api_step refused = {.status = 401, .content_type = "text/plain"};

struct files {
    char *dir; /* AUTO(tempdir) of the test */
    char *paths[4];
    size_t count;
};

static void auto_release_files(struct files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->paths[i]);
    tempdir_free(files->dir);
}

static const char *file_write(struct files *files, const char *name, const char *text)
{
    AUTO(free) char *path = path_join(files->dir, name);
    assert_no_error(fd_write_file_blocking(path, str_from(text), 0600));
    for (size_t i = 0; i < files->count; i++) {
        if (text_eq(files->paths[i], path))
            return files->paths[i];
    }
    assert_true(files->count < ARRAY_SIZE(files->paths));
    files->paths[files->count] = TAKE(path);
    return files->paths[files->count++];
}

static void run_good(struct api_bench *bench)
{
    AUTO(api_record) struct api_record record = {0};
    bench->steps[bench->requests] = good;
    api_record_run_get(bench, &record);
    assert_null(record.message);
}

static const char *last_authorization(const struct api_bench *bench)
{
    return bench->seen[bench->requests - 1].authorization;
}

/* --- what never changes --- */

TEST_CASE(token_password_and_impersonation_are_sent)
{
    static const char *const groups[] = {"g"};
    static const char *const scopes[] = {"s"};
    static const struct kubeconfig_extra extra[] = {{"Scopes", scopes, 1}};
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    bench.config.token = "secret";
    bench.config.impersonate_user = "boss";
    bench.config.impersonate_groups = groups;
    bench.config.impersonate_group_count = 1;
    bench.config.impersonate_extra = extra;
    bench.config.impersonate_extra_count = 1;
    api_bench_connect(&bench, NULL);
    run_good(&bench);
    assert_string_equal(bench.seen[0].authorization, "Bearer secret");
    assert_string_equal(bench.seen[0].impersonate_user, "boss");
    assert_string_equal(bench.seen[0].impersonate_group, "g");
    assert_string_equal(bench.seen[0].impersonate_extra, "s");
}

TEST_CASE(a_password_is_sent_and_not_tried_twice)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_PLAIN);
    bench.config.username = "u";
    bench.config.password = "p:w";
    bench.steps[0] = refused;
    api_bench_connect(&bench, NULL);
    AUTO(api_record) struct api_record record = {0};
    api_record_run_get(&bench, &record);
    assert_string_equal(bench.seen[0].authorization, "Basic dTpwOnc=");
    assert_int_equal(record.code, ERROR_UNAUTHENTICATED);
    assert_string_equal(record.message, "the server has asked for the client to provide "
                                        "credentials (get nodes a)");
    assert_int_equal(bench.requests, 1);
}

TEST_CASE(credentials_that_are_no_use_are_refused_at_once)
{
    AUTO(files) struct files files = {.dir = tempdir_new()};
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    const char *junk = file_write(&files, "junk", "junk");
    const char *empty = file_write(&files, "empty", " \n");
    const char *url = bench.url, *ca = bench.ca.cert_pem, *cert = bench.client_cert.cert_pem;
    const struct {
        const char *name;
        struct kubeconfig config;
        enum error_code code;
        const char *want; /* the beginning */
    } rows[] = {
        {"no CA file",
         {.server = url, .ca_file = "/nowhere/ca"},
         ERROR_NOT_FOUND,
         "unable to read certificate-authority: opening /nowhere/ca: "},
        {"no certificate file",
         {.server = url, .ca_data = ca, .cert_file = "/nowhere/c", .key_file = "/nowhere/k"},
         ERROR_NOT_FOUND,
         "unable to read client-certificate: opening /nowhere/c: "},
        {"a CA that is none",
         {.server = url, .ca_file = junk},
         ERROR_INVALID_ARGUMENT,
         "unable to load TLS material (certificate-authority "},
        {"a key of another",
         {.server = url, .ca_data = ca, .cert_data = cert, .key_data = bench.server_cert.key_pem},
         ERROR_INVALID_ARGUMENT,
         "unable to load TLS material: "},
        {"no token file",
         {.server = url, .ca_data = ca, .token_file = "/nowhere/t"},
         ERROR_NOT_FOUND,
         "unable to read tokenFile: opening /nowhere/t: "},
        {"an empty token file",
         {.server = url, .ca_data = ca, .token_file = empty},
         ERROR_INVALID_ARGUMENT,
         "read empty token from file \""},
        {"a token of two lines",
         {.server = url, .ca_data = ca, .token = "a\r\nb: c"},
         ERROR_INVALID_ARGUMENT,
         "the value for the request header authorization holds control characters"},
        {"no URL", {.server = "ftp://x"}, ERROR_INVALID_ARGUMENT, "host must be a URL"},
        {"no proxy",
         {.server = url, .ca_data = ca, .proxy_url = "http://"},
         ERROR_INVALID_ARGUMENT,
         ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(error)
        struct error *err = api_transport_new(bench.loop, bench.pool, &rows[i].config, "test/1.0",
                                              &bench.transport);
        if (!error_is(err, rows[i].code) || !text_has_prefix(err->message, rows[i].want))
            fail_msg("%s: %s", rows[i].name, err ? err->message : "no error");
        assert_null(bench.transport);
    }
}

/* --- token files --- */

TEST_CASE(a_token_file_is_read_again_when_its_time_has_come)
{
    AUTO(files) struct files files = {.dir = tempdir_new()};
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    bench.config.token = "loses";
    bench.config.token_file = file_write(&files, "token", "one\n");
    bench.timing.auth.token_reread_ns = 0;
    api_bench_connect(&bench, NULL);
    run_good(&bench);
    assert_string_equal(last_authorization(&bench), "Bearer one");
    (void)file_write(&files, "token", "two");
    run_good(&bench);
    assert_string_equal(last_authorization(&bench), "Bearer two");
    (void)file_write(&files, "token", "");
    run_good(&bench); /* what cannot be is not believed */
    assert_string_equal(last_authorization(&bench), "Bearer two");
}

TEST_CASE(a_refused_token_is_tried_again_only_with_a_new_one)
{
    AUTO(files) struct files files = {.dir = tempdir_new()};
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    bench.config.token_file = file_write(&files, "token", "one");
    bench.steps[0] = bench.steps[1] = bench.steps[3] = bench.steps[4] = refused;
    bench.steps[2] = good;
    api_bench_connect(&bench, NULL);
    AUTO(api_record) struct api_record record = {0};
    api_record_run_get(&bench, &record);
    assert_int_equal(record.code, ERROR_UNAUTHENTICATED);
    assert_int_equal(record.http_status, 401);
    assert_int_equal(bench.requests, 1);

    (void)file_write(&files, "token", "two");
    api_record_run_get(&bench, &record);
    assert_null(record.message);
    assert_int_equal(bench.requests, 3);
    assert_string_equal(bench.seen[1].authorization, "Bearer one");
    assert_string_equal(bench.seen[2].authorization, "Bearer two");

    (void)file_write(&files, "token", "three");
    api_record_run_get(&bench, &record);
    assert_int_equal(record.code, ERROR_UNAUTHENTICATED); /* once is enough */
    assert_int_equal(bench.requests, 5);
}

TEST_CASE(calls_that_wait_for_a_token_may_be_cancelled_and_freed)
{
    AUTO(files) struct files files = {.dir = tempdir_new()};
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    bench.config.token_file = file_write(&files, "token", "one");
    bench.timing.auth.token_reread_ns = 0;
    api_bench_connect(&bench, NULL);
    AUTO(api_record) struct api_record first = {0}, second = {0};
    api_record_get_node(&bench, &first);
    api_record_get_node(&bench, &second);
    api_call_cancel(TAKE(first.call));
    bench.steps[0] = good;
    api_record_wait(&second);
    assert_null(second.message);
    assert_int_equal(first.ends, 0);
    api_record_get_node(&bench, &first);
    api_client_free(TAKE(bench.client));
    api_transport_free(TAKE(bench.transport)); /* while the file is being read */
    api_bench_settle(&bench);
    assert_int_equal(first.ends, 0);
}

/* --- certificates --- */

TEST_CASE(a_renewed_certificate_is_shown_on_a_new_connection)
{
    AUTO(files) struct files files = {.dir = tempdir_new()};
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    AUTO(test_cert)
    struct test_cert renewed =
        test_cert_new(&(struct test_cert_options){.common_name = "renewed"}, &bench.ca);
    bench.config.ca_data = NULL;
    bench.config.ca_file = file_write(&files, "ca", bench.ca.cert_pem);
    bench.config.cert_file = file_write(&files, "cert", bench.client_cert.cert_pem);
    bench.config.key_file = file_write(&files, "key", bench.client_cert.key_pem);
    bench.timing.auth.files_reread_ns = bench.timing.auth.token_reread_ns = 0;
    api_bench_connect(&bench, NULL);
    run_good(&bench);
    assert_string_equal(bench.seen[0].common_name, "system:node:a");

    (void)file_write(&files, "cert", renewed.cert_pem);
    run_good(&bench);
    api_bench_settle(&bench);
    run_good(&bench); /* half a pair is none: the old one is good still */
    assert_string_equal(bench.seen[2].common_name, "system:node:a");
    assert_int_equal(http_client_connects(bench.transport->http), 1);

    (void)file_write(&files, "key", renewed.key_pem);
    run_good(&bench); /* which starts the reading */
    api_bench_settle(&bench);
    run_good(&bench);
    assert_string_equal(bench.seen[4].common_name, "renewed");
    assert_int_equal(http_client_connects(bench.transport->http), 2);
    (void)file_write(&files, "ca", "");
    run_good(&bench);
    api_bench_settle(&bench);
    run_good(&bench);
    assert_int_equal(http_client_connects(bench.transport->http), 2);
}

struct watch_ends {
    size_t opens, ends;
    enum error_code code;
};

static void on_watch_open(void *ctx)
{
    ((struct watch_ends *)ctx)->opens++;
}

static void on_watch_event(UNUSED void *ctx, UNUSED const struct watch_event *event,
                           UNUSED const struct error *err, UNUSED struct arena *arena)
{
}

static void on_watch_end(void *ctx, struct api_result *result)
{
    struct watch_ends *ends = ctx;
    ends->ends++;
    ends->code = result->err ? result->err->code : 0;
}

TEST_CASE(watches_end_in_order_when_the_certificate_is_renewed)
{
    static const struct api_watch_events events = {
        .on_open = on_watch_open, .on_event = on_watch_event, .on_end = on_watch_end};
    AUTO(files) struct files files = {.dir = tempdir_new()};
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    AUTO(test_cert)
    struct test_cert renewed =
        test_cert_new(&(struct test_cert_options){.common_name = "renewed"}, &bench.ca);
    bench.config.cert_data = NULL;
    bench.config.cert_file = file_write(&files, "cert", bench.client_cert.cert_pem);
    bench.config.key_file = file_write(&files, "key", bench.client_cert.key_pem);
    bench.timing.auth.files_reread_ns = 0;
    bench.steps[0] = (struct api_step){.what = STEP_STREAM, .status = 200};
    api_bench_connect(&bench, NULL);
    struct watch_ends ends = {0};
    const struct api_watch_request request = {.kind = kind_of("v1", "Pod")};
    (void)api_watch_start(bench.client, &request, &events, &ends);
    TURN_UNTIL(&bench, ends.opens == 1);
    (void)file_write(&files, "cert", renewed.cert_pem);
    (void)file_write(&files, "key", renewed.key_pem);
    run_good(&bench);
    TURN_UNTIL(&bench, ends.ends == 1);
    assert_int_equal(ends.code, 0);
    TURN_UNTIL(&bench, bench.is_held_gone); /* the old connection is not kept */
}

/* --- plugins --- */

#define PLUGIN_VERSION "client.authentication.k8s.io/v1"

/* A plugin that prints the file "credential" of its folder and counts its runs in "runs". */
struct plugin {
    struct files files;
    const char *args[2];
    char *script;
    struct kubeconfig_exec exec;
};

static void plugin_init(struct plugin *plugin, struct api_bench *bench)
{
    *plugin = (struct plugin){.files = {.dir = tempdir_new()}};
    plugin->script = xasprintf("cd '%s' && printf x >>runs && cat credential", plugin->files.dir);
    plugin->args[0] = "-c";
    plugin->args[1] = plugin->script;
    plugin->exec = (struct kubeconfig_exec){.api_version = PLUGIN_VERSION,
                                            .command = "/bin/sh",
                                            .args = plugin->args,
                                            .arg_count = ARRAY_SIZE(plugin->args)};
    bench->config.exec = &plugin->exec;
}

static void auto_release_plugin(struct plugin *plugin)
{
    free(plugin->script);
    auto_release_files(&plugin->files);
}

/* @fields follow the token: `,"expirationTimestamp":"…"`. */
static void plugin_give(struct plugin *plugin, const char *token, const char *fields)
{
    AUTO(free)
    char *text = xasprintf("{\"kind\":\"ExecCredential\",\"apiVersion\":\"%s\","
                           "\"status\":{\"token\":\"%s\"%s}}",
                           PLUGIN_VERSION, token, fields);
    (void)file_write(&plugin->files, "credential", text);
}

static size_t plugin_runs(const struct plugin *plugin)
{
    AUTO(buf) struct buf text;
    buf_init(&text, KiB);
    AUTO(free) char *path = path_join(plugin->files.dir, "runs");
    error_ignore(fd_read_file_blocking(path, &text), "it has not run");
    return text.len;
}

TEST_CASE(a_plugin_runs_once_for_all_who_wait)
{
    AUTO(api_bench) struct api_bench bench;
    AUTO(plugin) struct plugin plugin;
    api_bench_init(&bench, API_BENCH_TLS);
    plugin_init(&plugin, &bench);
    plugin_give(&plugin, "one", "");
    api_bench_connect(&bench, NULL);
    AUTO(api_record) struct api_record first = {0}, second = {0};
    bench.steps[0] = bench.steps[1] = good;
    api_record_get_node(&bench, &first);
    api_record_get_node(&bench, &second);
    TURN_UNTIL(&bench, first.ends == 1 && second.ends == 1);
    assert_null(first.message);
    run_good(&bench);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(bench.seen[i].authorization, "Bearer one");
    assert_int_equal(plugin_runs(&plugin), 1);
}

TEST_CASE(a_refused_credential_makes_the_plugin_run_again_but_not_for_ever)
{
    AUTO(api_bench) struct api_bench bench;
    AUTO(plugin) struct plugin plugin;
    api_bench_init(&bench, API_BENCH_TLS);
    plugin_init(&plugin, &bench);
    plugin_give(&plugin, "one", "");
    api_bench_connect(&bench, NULL);
    run_good(&bench);
    plugin_give(&plugin, "two", "");
    bench.steps[1] = refused;
    bench.steps[2] = good;
    AUTO(api_record) struct api_record record = {0};
    api_record_run_get(&bench, &record);
    assert_null(record.message);
    assert_string_equal(bench.seen[2].authorization, "Bearer two");
    assert_int_equal(plugin_runs(&plugin), 2);

    bench.steps[3] = refused;
    api_record_run_get(&bench, &record);
    assert_int_equal(record.code, ERROR_UNAUTHENTICATED);
    assert_int_equal(bench.requests, 4);
    assert_int_equal(plugin_runs(&plugin), 2); /* too soon */
}

TEST_CASE(an_expired_credential_is_renewed_before_it_is_sent)
{
    AUTO(api_bench) struct api_bench bench;
    AUTO(plugin) struct plugin plugin;
    api_bench_init(&bench, API_BENCH_TLS);
    plugin_init(&plugin, &bench);
    plugin_give(&plugin, "old", ",\"expirationTimestamp\":\"1999-01-01T00:00:00Z\"");
    api_bench_connect(&bench, NULL);
    run_good(&bench);
    assert_string_equal(last_authorization(&bench), "Bearer old");
    plugin_give(&plugin, "new", ",\"expirationTimestamp\":\"2199-01-01T00:00:00Z\"");
    run_good(&bench);
    run_good(&bench);
    assert_string_equal(last_authorization(&bench), "Bearer new");
    assert_int_equal(plugin_runs(&plugin), 2);
}

TEST_CASE(a_plugin_s_failure_is_the_call_s_and_is_not_repeated_at_once)
{
    AUTO(api_bench) struct api_bench bench;
    AUTO(plugin) struct plugin plugin;
    api_bench_init(&bench, API_BENCH_TLS);
    plugin_init(&plugin, &bench);
    (void)file_write(&plugin.files, "credential", "{}");
    api_bench_connect(&bench, NULL);
    AUTO(api_record) struct api_record record = {0};
    AUTO(free)
    char *want = xasprintf(
        "Get \"%s/api/v1/nodes/a\": getting credentials: exec: executable /bin/sh: the plugin did "
        "not return an ExecCredential",
        bench.url);
    for (int i = 0; i < 2; i++) {
        api_record_run_get(&bench, &record);
        assert_int_equal(record.code, ERROR_UNAUTHENTICATED);
        assert_string_equal(record.message, want);
    }
    assert_int_equal(plugin_runs(&plugin), 1);
    assert_int_equal(bench.requests, 0);
}

static void add_pair(struct buf *fields, const struct test_cert *cert)
{
    buf_add_text(fields, ",\"clientCertificateData\":\"");
    for (const char *c = cert->cert_pem; *c; c++)
        buf_add_text(fields, *c == '\n' ? "\\n" : (const char[]){*c, '\0'});
    buf_add_text(fields, "\",\"clientKeyData\":\"");
    for (const char *c = cert->key_pem; *c; c++)
        buf_add_text(fields, *c == '\n' ? "\\n" : (const char[]){*c, '\0'});
    buf_add_text(fields, "\"");
}

TEST_CASE(a_plugin_s_certificate_is_used)
{
    AUTO(api_bench) struct api_bench bench;
    AUTO(plugin) struct plugin plugin;
    AUTO(buf) struct buf fields;
    api_bench_init(&bench, API_BENCH_TLS);
    plugin_init(&plugin, &bench);
    buf_init(&fields, MiB);
    add_pair(&fields, &bench.client_cert);
    plugin_give(&plugin, "t", buf_text(&fields));
    api_bench_connect(&bench, NULL);
    run_good(&bench);
    assert_string_equal(bench.seen[0].common_name, "system:node:a");
    assert_string_equal(bench.seen[0].authorization, "Bearer t");
}

TEST_CASE(a_token_that_the_plugin_gives_no_more_is_sent_no_more)
{
    AUTO(api_bench) struct api_bench bench;
    AUTO(plugin) struct plugin plugin;
    AUTO(buf) struct buf fields = {0};
    api_bench_init(&bench, API_BENCH_TLS);
    plugin_init(&plugin, &bench);
    buf_init(&fields, 64 * KiB);
    add_pair(&fields, &bench.client_cert);
    buf_add_text(&fields, ",\"expirationTimestamp\":\"1999-01-01T00:00:00Z\"");
    plugin_give(&plugin, "t", buf_text(&fields));
    api_bench_connect(&bench, NULL);
    run_good(&bench);
    assert_string_equal(last_authorization(&bench), "Bearer t");
    plugin_give(&plugin, "", buf_text(&fields));
    run_good(&bench);
    assert_null(last_authorization(&bench));
}

TEST_CASE(a_transport_may_go_while_its_plugin_runs)
{
    AUTO(api_bench) struct api_bench bench;
    AUTO(plugin) struct plugin plugin;
    api_bench_init(&bench, API_BENCH_TLS);
    plugin_init(&plugin, &bench);
    plugin.args[1] = "sleep 1000";
    api_bench_connect(&bench, NULL);
    AUTO(api_record) struct api_record record = {0};
    api_record_get_node(&bench, &record);
    api_bench_settle(&bench);
    api_client_free(TAKE(bench.client));
    api_transport_free(TAKE(bench.transport));
    api_bench_settle(&bench);
    assert_int_equal(record.ends, 0);
}

TEST_CASE(a_call_s_deadline_does_not_wait_for_the_plugin)
{
    AUTO(api_bench) struct api_bench bench;
    AUTO(plugin) struct plugin plugin;
    api_bench_init(&bench, API_BENCH_TLS);
    plugin_init(&plugin, &bench);
    plugin.args[1] = "sleep 1000";
    api_bench_connect(&bench, &(struct api_client_options){.timeout_ns = 30 * NS_PER_MS});
    AUTO(api_record) struct api_record record = {0};
    api_record_run_get(&bench, &record);
    assert_int_equal(record.code, ERROR_DEADLINE_EXCEEDED);
}

TEST_MAIN(TEST(token_password_and_impersonation_are_sent),
          TEST(a_password_is_sent_and_not_tried_twice),
          TEST(credentials_that_are_no_use_are_refused_at_once),
          TEST(a_token_file_is_read_again_when_its_time_has_come),
          TEST(a_refused_token_is_tried_again_only_with_a_new_one),
          TEST(calls_that_wait_for_a_token_may_be_cancelled_and_freed),
          TEST(a_renewed_certificate_is_shown_on_a_new_connection),
          TEST(watches_end_in_order_when_the_certificate_is_renewed),
          TEST(a_plugin_runs_once_for_all_who_wait),
          TEST(a_refused_credential_makes_the_plugin_run_again_but_not_for_ever),
          TEST(an_expired_credential_is_renewed_before_it_is_sent),
          TEST(a_plugin_s_failure_is_the_call_s_and_is_not_repeated_at_once),
          TEST(a_plugin_s_certificate_is_used),
          TEST(a_token_that_the_plugin_gives_no_more_is_sent_no_more),
          TEST(a_transport_may_go_while_its_plugin_runs),
          TEST(a_call_s_deadline_does_not_wait_for_the_plugin))
