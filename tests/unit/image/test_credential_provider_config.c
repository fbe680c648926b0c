#include "image/credential_provider_config.h"

#include "base/fd.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <sys/stat.h>

#define HEAD "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\n"
#define HEAD_OF(version)                                                                           \
    "apiVersion: kubelet.config.k8s.io/" version "\nkind: CredentialProviderConfig\n"
#define V1 "credentialprovider.kubelet.k8s.io/v1"
#define PROVIDER(name)                                                                             \
    "- name: " name "\n  matchImages: [r.example]\n  defaultCacheDuration: 1m\n  apiVersion: " V1  \
    "\n"
#define TOKENS(rest) HEAD "providers:\n" PROVIDER("p") "  tokenAttributes:\n" rest
#define GOOD_TOKENS                                                                                \
    "    serviceAccountTokenAudience: a\n    cacheType: Token\n    requireServiceAccount: true\n"

static Credentialprovider__CredentialProviderConfig *decode(const char *text, struct arena *arena)
{
    Credentialprovider__CredentialProviderConfig *config = NULL;
    assert_no_error(credential_provider_config_decode(str_from(text), "f", arena, &config));
    return config;
}

TEST_CASE(every_field_is_decoded)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Credentialprovider__CredentialProviderConfig *config =
        decode(TOKENS(GOOD_TOKENS "    requiredServiceAccountAnnotationKeys: [x.io/a]\n"
                                  "    optionalServiceAccountAnnotationKeys: [b]\n"
                                  "  args: [one, two]\n"
                                  "  env: [{name: A, value: b}]\n"),
               arena);
    assert_no_error(credential_provider_config_check(config, true));
    assert_int_equal(config->n_providers, 1);
    const Credentialprovider__CredentialProvider *provider = config->providers[0];
    assert_string_equal(provider->name, "p");
    assert_string_equal(provider->match_images[0], "r.example");
    assert_int_equal(provider->default_cache_duration->duration, 60 * NS_PER_SEC);
    assert_string_equal(provider->api_version, V1);
    assert_string_equal(provider->args[1], "two");
    assert_string_equal(provider->env[0]->name, "A");
    assert_string_equal(provider->env[0]->value, "b");
    const Credentialprovider__ServiceAccountTokenAttributes *tokens = provider->token_attributes;
    assert_string_equal(tokens->service_account_token_audience, "a");
    assert_string_equal(tokens->cache_type, CREDENTIAL_CACHE_TOKEN);
    assert_true(tokens->has_require_service_account && tokens->require_service_account);
    assert_string_equal(tokens->required_service_account_annotation_keys[0], "x.io/a");
    assert_string_equal(tokens->optional_service_account_annotation_keys[0], "b");
}

TEST_CASE(all_versions_are_decoded_strictly)
{
    static const struct {
        const char *text, *want; /* NULL: it decodes */
    } rows[] = {
        {HEAD_OF("v1") "providers:\n" PROVIDER("p"), NULL},
        {HEAD_OF("v1beta1") "providers:\n" PROVIDER("p"), NULL},
        {HEAD_OF("v1alpha1") "providers:\n" PROVIDER("p"), NULL},
        {"{\"apiVersion\": \"kubelet.config.k8s.io/v1\", \"kind\": \"CredentialProviderConfig\", "
         "\"providers\": []}",
         NULL},
        {HEAD_OF("v2") "providers: []\n",
         "f: no kind \"CredentialProviderConfig\" is registered for version "
         "\"kubelet.config.k8s.io/v2\" (expected \"CredentialProviderConfig\" of "
         "\"kubelet.config.k8s.io/v1\", v1beta1 or v1alpha1)"},
        {"apiVersion: kubelet.config.k8s.io/v1\nkind: Other\n",
         "f: no kind \"Other\" is registered for version \"kubelet.config.k8s.io/v1\" (expected "
         "\"CredentialProviderConfig\" of \"kubelet.config.k8s.io/v1\", v1beta1 or v1alpha1)"},
        {"providers: []\n", "f: no apiVersion or kind (expected \"kubelet.config.k8s.io/v1\", "
                            "\"CredentialProviderConfig\")"},
        {"", "f:1: expected an object, found null"},
        {HEAD "provider: []\n", "f:3: unknown field \"provider\""},
        {HEAD "providers:\n- name: p\n  matchImage: [a]\n",
         "f:5: unknown field \"providers[0].matchImage\""},
        {HEAD "providers:\n- name: p\n  name: q\n", "f:5: duplicate key \"name\""},
        {HEAD "providers:\n- name: p\n  defaultCacheDuration: 5\n",
         "f:5: providers[0].defaultCacheDuration: expected a duration such as \"1m30s\", found "
         "number 5"},
        {HEAD_OF("v1beta1") "providers:\n" PROVIDER("p") "  tokenAttributes: {cacheType: Token}\n",
         "f: unknown field \"providers[0].tokenAttributes\" (of kubelet.config.k8s.io/v1beta1; it "
         "needs kubelet.config.k8s.io/v1)"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        Credentialprovider__CredentialProviderConfig *config = NULL;
        AUTO(error)
        struct error *err =
            credential_provider_config_decode(str_from(rows[i].text), "f", arena, &config);
        if (!rows[i].want) {
            assert_no_error(TAKE(err));
            assert_non_null(config);
            continue;
        }
        assert_non_null(err);
        assert_string_equal(err->message, rows[i].want);
        assert_null(config);
    }
}

#define FAULT "failed to validate credential provider config: "
#define AT "providers.tokenAttributes"

TEST_CASE(faults_are_told_in_upstreams_words)
{
    static const struct {
        const char *text, *want; /* NULL: it is fine */
    } rows[] = {
        {HEAD, FAULT "providers: Required value: at least 1 item in plugins is required"},
        {HEAD "providers:\n" PROVIDER("p"), NULL},
        {HEAD "providers:\n" PROVIDER("p") PROVIDER("p"),
         FAULT "providers.name: Duplicate value: \"p\""},
        {HEAD "providers:\n" PROVIDER("a/b"),
         FAULT "providers.name: Invalid value: \"a/b\": provider name cannot contain '/'"},
        {HEAD "providers:\n" PROVIDER("a b"),
         FAULT "providers.name: Invalid value: \"a b\": provider name cannot contain spaces"},
        {HEAD "providers:\n" PROVIDER("'.'"),
         FAULT "providers.name: Invalid value: \".\": provider name cannot be '.'"},
        {HEAD "providers:\n" PROVIDER("'..'"),
         FAULT "providers.name: Invalid value: \"..\": provider name cannot be '..'"},
        {HEAD "providers:\n" PROVIDER("''"), FAULT "providers.name: Required value"},
        {HEAD "providers:\n- name: p\n",
         FAULT "[providers.apiVersion: Required value, providers.matchImages: Required value: at "
               "least 1 item in matchImages is required, providers.defaultCacheDuration: Required "
               "value]"},
        {HEAD "providers:\n- name: p\n  matchImages: ['r.example:x']\n"
              "  defaultCacheDuration: -1s\n  apiVersion: v1\n",
         FAULT
         "[providers.apiVersion: Unsupported value: \"v1\": supported values: \"" V1 "\", \"" V1
         "alpha1\", \"" V1 "beta1\", providers.matchImages: Invalid value: \"r.example:x\": match "
         "image is invalid: expected a host, its port and a path, of which the last two may be "
         "missing, providers.defaultCacheDuration: Invalid value: \"-1s\": defaultCacheDuration "
         "must be greater than or equal to 0]"},
        {HEAD "providers:\n- name: p\n  matchImages: [a]\n  defaultCacheDuration: 0s\n"
              "  apiVersion: " V1 "beta1\n",
         NULL},
        /* tokens */
        {TOKENS(GOOD_TOKENS), NULL},
        {TOKENS("    requireServiceAccount: false\n"),
         FAULT "[" AT ".serviceAccountTokenAudience: Required value, " AT
               ".cacheType: Required value: cacheType is required to be set when tokenAttributes "
               "is specified. Supported values are: ServiceAccount, Token]"},
        {TOKENS("    serviceAccountTokenAudience: a\n    cacheType: Pod\n"),
         FAULT "[" AT ".requireServiceAccount: Required value, " AT
               ".cacheType: Unsupported value: \"Pod\": supported values: \"ServiceAccount\", "
               "\"Token\"]"},
        {HEAD "providers:\n- name: p\n  matchImages: [a]\n  defaultCacheDuration: 0s\n"
              "  apiVersion: " V1 "beta1\n  tokenAttributes:\n" GOOD_TOKENS,
         FAULT AT ": Forbidden: tokenAttributes is only supported for " V1 " API version"},
        {TOKENS("    serviceAccountTokenAudience: a\n    cacheType: ServiceAccount\n"
                "    requireServiceAccount: false\n"
                "    requiredServiceAccountAnnotationKeys: [a]\n"),
         FAULT AT ".requiredServiceAccountAnnotationKeys: Forbidden: requireServiceAccount cannot "
                  "be false when requiredServiceAccountAnnotationKeys is set"},
        {TOKENS(GOOD_TOKENS "    requiredServiceAccountAnnotationKeys: [b, A.io/C, a, a]\n"
                            "    optionalServiceAccountAnnotationKeys: [c, b, a]\n"),
         FAULT "[" AT ".requiredServiceAccountAnnotationKeys: Duplicate value: \"a\", " AT
               ": Invalid value: [\"a\",\"b\"]: annotation keys cannot be both required and "
               "optional]"},
        {TOKENS(GOOD_TOKENS "    optionalServiceAccountAnnotationKeys: [a b]\n"), FAULT AT
         ".optionalServiceAccountAnnotationKeys: Invalid value: \"a b\": name part must consist of "
         "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
         "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
         "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        AUTO(error)
        struct error *err = credential_provider_config_check(decode(rows[i].text, arena), true);
        if (!rows[i].want) {
            assert_no_error(TAKE(err));
            continue;
        }
        assert_non_null(err);
        if (!text_eq(err->message, rows[i].want))
            fail_msg("row %zu: %s", i, err->message);
    }
}

TEST_CASE(tokens_need_their_gate)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Credentialprovider__CredentialProviderConfig *config = decode(TOKENS(GOOD_TOKENS), arena);
    assert_error_message(credential_provider_config_check(config, false),
                         FAULT AT ": Forbidden: tokenAttributes is not supported when "
                                  "KubeletServiceAccountTokenForCredentialProviders feature gate "
                                  "is disabled");
}

/* --- files --- */

struct tree {
    char *dir;
    struct arena *arena;
    const char *bin;
};

static struct tree tree_new(void)
{
    struct tree tree = {.dir = tempdir_new(), .arena = arena_new(0)};
    tree.bin = arena_printf(tree.arena, "%s/bin", tree.dir);
    assert_int_equal(mkdir(tree.bin, 0755), 0);
    return tree;
}

static void tree_done(struct tree *tree)
{
    tempdir_free(tree->dir);
    arena_free(tree->arena);
}

static const char *put(struct tree *tree, const char *name, const char *text, mode_t mode)
{
    const char *path = arena_printf(tree->arena, "%s/%s", tree->dir, name);
    assert_no_error(fd_write_file_blocking(path, str_from(text), mode));
    return path;
}

static struct error *load(struct tree *tree, const char *path,
                          struct credential_provider_config *ret)
{
    return credential_provider_config_load_blocking(path, tree->bin, true, tree->arena, ret);
}

TEST_CASE(a_file_is_loaded_with_its_hash)
{
    struct tree tree = tree_new();
    const char *path = put(&tree, "c.yaml", HEAD "providers:\n" PROVIDER("p"), 0600);
    (void)put(&tree, "bin/p", "#!/bin/sh\n", 0755);
    struct credential_provider_config config = {0};
    assert_no_error(load(&tree, path, &config));
    assert_int_equal(config.message->n_providers, 1);
    /* sha256 of the 8 bytes of its length, then of the file; computed with sha256sum */
    assert_string_equal(config.hash,
                        "sha256:49fabe5bb9db2b2971e16e4ad37e2b100c2e1713b2022d3926929e76282499e7");
    tree_done(&tree);
}

TEST_CASE(a_directory_is_read_in_lexical_order)
{
    struct tree tree = tree_new();
    assert_int_equal(mkdir(arena_printf(tree.arena, "%s/conf", tree.dir), 0755), 0);
    assert_int_equal(mkdir(arena_printf(tree.arena, "%s/conf/d.yaml", tree.dir), 0755), 0);
    (void)put(&tree, "conf/b.yaml", HEAD "providers:\n" PROVIDER("b"), 0600);
    (void)put(&tree, "conf/a.yml", HEAD "providers:\n" PROVIDER("a"), 0600);
    (void)put(&tree, "conf/c.json",
              "{\"apiVersion\": \"kubelet.config.k8s.io/v1beta1\", \"kind\": "
              "\"CredentialProviderConfig\"}",
              0600);
    (void)put(&tree, "conf/note.txt", "no configuration", 0600);
    (void)put(&tree, "bin/a", "", 0755);
    (void)put(&tree, "bin/b", "", 0755);
    const char *conf = arena_printf(tree.arena, "%s/conf", tree.dir);
    struct credential_provider_config config = {0};
    assert_no_error(load(&tree, conf, &config));
    assert_int_equal(config.message->n_providers, 2);
    assert_string_equal(config.message->providers[0]->name, "a");
    assert_string_equal(config.message->providers[1]->name, "b");

    (void)put(&tree, "conf/e.yaml", HEAD "providers:\n" PROVIDER("a"), 0600);
    assert_error_message(load(&tree, conf, &config),
                         "duplicate provider name \"a\" found in configuration file(s)");
    const char *bad = put(&tree, "conf/e.yaml", HEAD "x: 1\n", 0600);
    assert_error_message(load(&tree, conf, &config),
                         arena_printf(tree.arena,
                                      "error decoding config \"%s\": %s:3: unknown field \"x\"",
                                      bad, bad));
    tree_done(&tree);
}

TEST_CASE(what_is_not_there_is_named)
{
    struct tree tree = tree_new();
    struct credential_provider_config config = {0};
    const char *path = put(&tree, "c.yaml", HEAD "providers:\n" PROVIDER("p"), 0600);
    const char *program = arena_printf(tree.arena, "%s/p", tree.bin);

    assert_error_message(
        load(&tree, path, &config),
        arena_printf(tree.arena, "plugin binary executable %s did not exist", program));
    (void)put(&tree, "bin/p", "", 0644);
    assert_error_message(load(&tree, path, &config),
                         arena_printf(tree.arena,
                                      "error inspecting binary executable %s: Permission denied",
                                      program));
    assert_error_message(
        load(&tree, tree.bin, &config),
        arena_printf(tree.arena, "no configuration files found in directory \"%s\"", tree.bin));
    assert_error_message(load(&tree, "/nonexistent", &config),
                         "unable to access path \"/nonexistent\": No such file or directory");
    assert_error_message(load(&tree, "", &config), "credential provider config path is empty: "
                                                   "--image-credential-provider-config names it");
    assert_error_message(
        credential_provider_config_load_blocking(path, "/nonexistent", true, tree.arena, &config),
        "plugin binary directory /nonexistent did not exist "
        "(--image-credential-provider-bin-dir)");
    assert_null(config.message);
    tree_done(&tree);
}

TEST_MAIN(TEST(every_field_is_decoded), TEST(all_versions_are_decoded_strictly),
          TEST(faults_are_told_in_upstreams_words), TEST(tokens_need_their_gate),
          TEST(a_file_is_loaded_with_its_hash), TEST(a_directory_is_read_in_lexical_order),
          TEST(what_is_not_there_is_named))
