#include "kube/kubeconfig.h"

#include "tests/lib/tempdir.h"

#define PATH "/etc/kubernetes/kubelet.conf"

/* A file with one cluster, user and context; the two objects are the test's. */
#define FILE_OF(cluster, user)                                                                     \
    "apiVersion: v1\nkind: Config\ncurrent-context: c\n"                                           \
    "contexts:\n- name: c\n  context: {cluster: k, user: u, namespace: default}\n"                 \
    "clusters:\n- name: other\n  cluster: {server: 7}\n- name: k\n  cluster: " cluster "\n"        \
    "users:\n- name: u\n  user: " user "\n"

static struct error *parse(const char *text, struct arena *arena, struct kubeconfig *ret)
{
    return kubeconfig_parse(str_from(text), PATH, NULL, arena, ret);
}

TEST_CASE(every_field_of_a_full_file_is_read)
{
    static const char text[] = FILE_OF(
        "{server: 'https://10.0.0.1:6443/p', certificate-authority: pki/ca.crt, "
        "certificate-authority-data: Q0E=, tls-server-name: api, proxy-url: 'http://p:3128', "
        "extensions: [], disable-compression: true}",
        "{client-certificate: ../c.crt, client-key: /k.key, client-certificate-data: QUI=, "
        "client-key-data: Q0Q=, token: t, tokenFile: tok, as: boss, as-uid: '7', "
        "as-groups: [a, b], as-user-extra: {Scopes: [x, z]}}");
    AUTO(arena) struct arena *arena = arena_new(0);
    struct kubeconfig config;
    assert_no_error(parse(text, arena, &config));
    assert_string_equal(config.path, PATH);
    assert_string_equal(config.context, "c");
    assert_string_equal(config.server, "https://10.0.0.1:6443/p");
    assert_string_equal(config.ca_file, "/etc/kubernetes/pki/ca.crt");
    assert_string_equal(config.ca_data, "CA");
    assert_string_equal(config.tls_server_name, "api");
    assert_string_equal(config.proxy_url, "http://p:3128");
    assert_false(config.insecure_skip_tls_verify);
    assert_string_equal(config.cert_file, "/etc/c.crt");
    assert_string_equal(config.cert_data, "AB");
    assert_string_equal(config.key_file, "/k.key");
    assert_string_equal(config.key_data, "CD");
    assert_string_equal(config.token, "t");
    assert_string_equal(config.token_file, "/etc/kubernetes/tok");
    assert_string_equal(config.impersonate_user, "boss");
    assert_string_equal(config.impersonate_uid, "7");
    assert_int_equal(config.impersonate_group_count, 2);
    assert_string_equal(config.impersonate_groups[1], "b");
    assert_int_equal(config.impersonate_extra_count, 1);
    assert_string_equal(config.impersonate_extra[0].key, "Scopes");
    assert_int_equal(config.impersonate_extra[0].value_count, 2);
    assert_string_equal(config.impersonate_extra[0].values[1], "z");
    assert_null(config.exec);
    assert_null(config.username);
}

TEST_CASE(an_exec_plugin_is_read_and_copied)
{
    static const char text[] =
        FILE_OF("{server: a, insecure-skip-tls-verify: true}",
                "{exec: {apiVersion: client.authentication.k8s.io/v1, command: ./bin/get, args: "
                "[a, ''], env: [{name: A, value: b}, {name: B, value: ''}], installHint: 'do it', "
                "provideClusterInfo: true, interactiveMode: IfAvailable}}");
    AUTO(arena) struct arena *copies = arena_new(0);
    struct kubeconfig *copy;
    {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct kubeconfig config;
        assert_no_error(parse(text, arena, &config));
        copy = kubeconfig_copy(&config, copies);
    }
    const struct kubeconfig_exec *exec = copy->exec;
    assert_true(copy->insecure_skip_tls_verify);
    assert_string_equal(exec->api_version, "client.authentication.k8s.io/v1");
    assert_string_equal(exec->command, "/etc/kubernetes/bin/get");
    assert_int_equal(exec->arg_count, 2);
    assert_string_equal(exec->args[0], "a");
    assert_string_equal(exec->args[1], "");
    assert_int_equal(exec->env_count, 2);
    assert_string_equal(exec->env[0].name, "A");
    assert_string_equal(exec->env[0].value, "b");
    assert_string_equal(exec->env[1].value, "");
    assert_string_equal(exec->install_hint, "do it");
    assert_true(exec->provide_cluster_info);
}

TEST_CASE(the_same_file_as_json_and_another_context)
{
    static const char text[] =
        "{\"kind\":\"Config\",\"current-context\":\"no\",\"contexts\":[{\"name\":\"b\",\"context\":"
        "{\"cluster\":\"k\",\"user\":\"u\"}}],\"clusters\":[{\"name\":\"k\",\"cluster\":{"
        "\"server\":\"https://s\",\"proxy-url\":\"\"}}],\"users\":[{\"name\":\"u\"}],"
        "\"preferences\":{}}";
    AUTO(arena) struct arena *arena = arena_new(0);
    struct kubeconfig config;
    assert_no_error(kubeconfig_parse(str_from(text), PATH, "b", arena, &config));
    assert_string_equal(config.server, "https://s");
    assert_string_equal(config.context, "b");
    assert_null(config.proxy_url);
    assert_null(config.token);
    assert_error_message(kubeconfig_parse(str_from(text), PATH, NULL, arena, &config),
                         PATH ": context \"no\" was not found");
}

#define EXEC(fields) "{exec: {command: get, " fields "}}"
#define V1 "apiVersion: client.authentication.k8s.io/v1"
#define SERVER "{server: s}"

TEST_CASE(a_mistake_is_named_with_its_place)
{
    static const struct {
        const char *name, *text, *want;
    } rows[] = {
        {"empty", "", ": no configuration has been provided: the file is empty"},
        {"an empty object", "{}", ": no configuration has been provided: the file is empty"},
        {"a list", "[a]", ":1: expected an object, found an array"},
        {"another kind", "kind: Pod\napiVersion: v1",
         ":1: expected a v1 Config, found kind \"Pod\" of version \"v1\""},
        {"no context", "kind: Config", ":1: no context chosen: current-context is not set"},
        {"a context that is not there", "current-context: a", ": context \"a\" was not found"},
        {"no user", "current-context: a\ncontexts:\n- name: a\n  context: {cluster: k}\n",
         ":4: contexts[0].context: no user was specified for context \"a\""},
        {"no cluster", "current-context: a\ncontexts:\n- name: a\n",
         ": contexts[0].context: no cluster was specified for context \"a\""},
        {"a cluster that is not there",
         "current-context: a\ncontexts:\n- name: a\n  context: {cluster: k, user: u}\n",
         ": cluster \"k\" was not found for context \"a\""},
        {"a user that is not there",
         "current-context: a\ncontexts:\n- name: a\n  context: {cluster: k, user: u}\n"
         "clusters:\n- name: k\n  cluster: {server: s}\n",
         ": user \"u\" was not found for context \"a\""},
        {"a name twice", "current-context: a\ncontexts:\n- name: a\n- name: a\n",
         ":4: contexts[1]: duplicate name \"a\""},
        {"a list that is none", "current-context: a\ncontexts: {}\n",
         ":2: contexts: expected an array, found an object"},
        {"an entry that is none", "current-context: a\ncontexts: [x]\n",
         ":2: contexts[0]: expected an object, found string \"x\""},
        {"no server", FILE_OF("{}", "{}"), ":11: clusters[1].cluster: no server defined"},
        {"a server that is no text", FILE_OF("{server: 7}", "{}"),
         ":11: clusters[1].cluster.server: expected a string, found number 7"},
        {"a flag that is none", FILE_OF("{server: s, insecure-skip-tls-verify: 'yes'}", "{}"),
         ":11: clusters[1].cluster.insecure-skip-tls-verify: expected a boolean, found string "
         "\"yes\""},
        {"insecure with a CA",
         FILE_OF("{server: s, insecure-skip-tls-verify: true, certificate-authority-data: QQ==}",
                 "{}"),
         ":11: clusters[1].cluster: specifying a root certificates file with the insecure flag is "
         "not allowed"},
        {"bad base64", FILE_OF(SERVER, "{client-key-data: '%%'}"),
         ":14: users[0].user.client-key-data: illegal base64 data"},
        {"binary data", FILE_OF(SERVER, "{client-key-data: AAAA}"),
         ":14: users[0].user.client-key-data: the decoded data is no text"},
        {"a certificate alone", FILE_OF(SERVER, "{client-certificate: a}"),
         ":14: users[0].user: client-key-data or client-key must be specified to use a client "
         "certificate"},
        {"a key alone", FILE_OF(SERVER, "{client-key: a}"),
         ":14: users[0].user: client-certificate-data or client-certificate must be specified to "
         "use a client key"},
        {"two ways to log in", FILE_OF(SERVER, "{token: a, username: b}"),
         ":14: users[0].user: more than one authentication method found: [token basicAuth], only "
         "one is allowed"},
        {"a provider of old", FILE_OF(SERVER, "{auth-provider: {name: gcp}}"),
         ":14: users[0].user.auth-provider: no Auth Provider found for name \"gcp\""},
        {"groups of nobody", FILE_OF(SERVER, "{as-groups: [a]}"),
         ":14: users[0].user: requesting uid, groups or user-extra without impersonating a user"},
        {"a proxy of another kind", FILE_OF("{server: s, proxy-url: 'socks5://p:1'}", "{}"),
         ":11: clusters[1].cluster.proxy-url: unsupported scheme \"socks5\", must be http"},
        {"a proxy over TLS", FILE_OF("{server: s, proxy-url: 'https://p:1'}", "{}"),
         ":11: clusters[1].cluster.proxy-url: unsupported scheme \"https\", must be http"},
        {"a proxy that is no URL", FILE_OF("{server: s, proxy-url: 'p:1'}", "{}"),
         ":11: clusters[1].cluster.proxy-url: expected a URL like http://host:port"},
        {"no command", FILE_OF(SERVER, "{exec: {" V1 "}}"),
         ":14: users[0].user.exec: command must be specified to use an exec plugin"},
        {"no version", FILE_OF(SERVER, EXEC("args: []")),
         ":14: users[0].user.exec: apiVersion must be specified to use an exec plugin"},
        {"an old version",
         FILE_OF(SERVER, EXEC("apiVersion: client.authentication.k8s.io/v1alpha1")),
         ":14: users[0].user.exec: exec plugin: invalid apiVersion "
         "\"client.authentication.k8s.io/v1alpha1\""},
        {"no mode", FILE_OF(SERVER, EXEC(V1)),
         ":14: users[0].user.exec.interactiveMode: must be specified to use an exec plugin"},
        {"a user wanted", FILE_OF(SERVER, EXEC(V1 ", interactiveMode: Always")),
         ":14: users[0].user.exec.interactiveMode: exec plugin cannot support interactive mode: "
         "there is no user"},
        {"an unknown mode", FILE_OF(SERVER, EXEC(V1 ", interactiveMode: Maybe")),
         ":14: users[0].user.exec.interactiveMode: invalid interactiveMode \"Maybe\""},
        {"a variable without a name",
         FILE_OF(SERVER, EXEC(V1 ", interactiveMode: Never, env: [{value: a}]")),
         ":14: users[0].user.exec.env[0]: the variable needs a name without '='"},
        {"an argument that is none",
         FILE_OF(SERVER, EXEC(V1 ", interactiveMode: Never, args: [1]")),
         ":14: users[0].user.exec.args[0]: expected a string, found number 1"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct kubeconfig config = {.path = "untouched"};
        AUTO(error) struct error *err = parse(rows[i].text, arena, &config);
        AUTO(free) char *want = xasprintf("%s%s", PATH, rows[i].want);
        if (!err || err->code != ERROR_INVALID_ARGUMENT || !text_eq(err->message, want))
            fail_msg("%s: %s", rows[i].name, err ? err->message : "no error");
        assert_string_equal(config.path, "untouched");
    }
}

TEST_CASE(what_is_absent_null_or_empty_is_the_same)
{
    static const char *const users[] = {"{}",
                                        "null",
                                        "{token: null}",
                                        "{token: ''}",
                                        "{exec: null, auth-provider: null, as-user-extra: null}",
                                        "{v2field: [1, 2]}"};
    for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        AUTO(free) char *text = xasprintf(FILE_OF(SERVER, "%s"), users[i]);
        struct kubeconfig config;
        assert_no_error(parse(text, arena, &config));
        assert_null(config.token);
        assert_null(config.exec);
    }
}

TEST_CASE(a_file_is_read_and_a_missing_one_is_named)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *path = path_join(dir, "kubelet.conf");
    AUTO(arena) struct arena *arena = arena_new(0);
    struct kubeconfig config;
    AUTO(free) char *want = xasprintf("open %s: No such file or directory", path);
    AUTO(error) struct error *err = kubeconfig_load(path, NULL, arena, &config);
    assert_int_equal(err->code, ERROR_NOT_FOUND);
    assert_string_equal(err->message, want);

    assert_no_error(
        fd_write_file_blocking(path, STR_LITERAL(FILE_OF(SERVER, "{tokenFile: token}")), 0600));
    assert_no_error(kubeconfig_load(path, NULL, arena, &config));
    AUTO(free) char *token = path_join(dir, "token");
    assert_string_equal(config.token_file, token);

    assert_no_error(fd_write_file_blocking(path, STR_LITERAL(""), 0600));
    AUTO(error) struct error *empty = kubeconfig_load(path, NULL, arena, &config);
    assert_int_equal(empty->code, ERROR_INVALID_ARGUMENT);
    assert_true(
        text_has_suffix(empty->message, "no configuration has been provided: the file is empty"));
}

TEST_MAIN(TEST(every_field_of_a_full_file_is_read), TEST(an_exec_plugin_is_read_and_copied),
          TEST(the_same_file_as_json_and_another_context), TEST(a_mistake_is_named_with_its_place),
          TEST(what_is_absent_null_or_empty_is_the_same),
          TEST(a_file_is_read_and_a_missing_one_is_named))
