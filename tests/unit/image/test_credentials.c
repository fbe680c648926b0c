#include "image/credentials.h"

#include "base/fd.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

/* The logins for @image as "user:password user:password", with a '!' where a key was none. */
static const char *logins_for(const struct keyring *keyring, const char *image, struct arena *arena)
{
    const struct image_credential *found;
    size_t count;
    keyring_find(keyring, image, arena, &found, &count);
    const char *all = "";
    for (size_t i = 0; i < count; i++)
        all = arena_printf(arena, "%s%s%s:%s", all, i ? " " : "", found[i].username,
                           found[i].password);
    return all;
}

/* A configuration with one entry for each of @keys (separated by blanks); the users are "0", "1", …
 */
static struct keyring keyring_of(const char *keys, struct arena *arena)
{
    struct keyring keyring = {0};
    const char *json = "{\"auths\": {";
    struct str rest = str_from(keys), key;
    for (int i = 0; str_split_next(&rest, ' ', &key); i++)
        json = arena_printf(arena, "%s%s\"%.*s\": {\"username\": \"%d\", \"password\": \"p\"}",
                            json, i ? ", " : "", STR_ARG(key), i);
    json = arena_printf(arena, "%s}}", json);
    assert_no_error(keyring_add_config(&keyring, str_from(json), false, arena));
    return keyring;
}

TEST_CASE(entries_match_images)
{
    static const struct {
        const char *keys, *image, *want;
    } rows[] = {
        {"r.example", "r.example/a:1", "0:p"},
        {"r.example", "other.example/a", ""},
        {"r.example", "r.example:5000/a", ""},
        {"r.example:5000", "r.example:5000/a@sha256:0123", "0:p"},
        {"r.example:5000", "r.example:5000/a:1@sha256:0123", "0:p"},
        {"https://r.example/ http://s.example", "r.example/a", "0:p"},
        {"https://r.example/v1/ https://r.example/v2/team", "r.example/team/a", "1:p 0:p"},
        {"r.example/v1", "r.example/a", ""},
        {"r.example/v1", "r.example/v1/a", "0:p"},
        {"user@r.example", "r.example/a", "0:p"},
        {"r.example?x=/y", "r.example/a", "0:p"},
        {"r.example#x", "r.example/a", "0:p"},
        {"r.example/a%20b", "r.example/a", ""},
        {"r.example/%61", "r.example/a", "0:p"},
        /* the longer path first, whatever its place; a prefix need not end at a slash */
        {"r.example r.example/team r.example/team/a", "r.example/team/abc", "2:p 1:p 0:p"},
        {"r.example/team", "r.example/other/a", ""},
        {"r.example/t", "r.example/team/a", "0:p"},
        /* patterns, label by label */
        {"*.example", "r.example/a", "0:p"},
        {"*.example", "a.r.example/a", ""},
        {"*.*.example", "a.r.example/a", "0:p"},
        {"r*1.example rr*.example *r1.example a*.example", "rr1.example/a", "1:p 0:p 2:p"},
        {"r[0-9x].example r[^a].example r[0.example r[67]*.example", "r7.example/a", "3:p 0:p"},
        {"r[a-].example r[].example r[-a].example", "ra.example/a", ""},
        {"*.example:5000", "r.example:5000/a", "0:p"},
        /* Docker's own registry, by its new name and its old one */
        {"docker.io", "busybox", "0:p"},
        {"docker.io/library/busy", "busybox:1", "0:p"},
        {"docker.io/team", "team/app", "0:p"},
        {"https://index.docker.io/v1/", "busybox", "0:p"},
        {"https://index.docker.io/v1/", "index.docker.io/team/app", "0:p"},
        {"https://index.docker.io/v1/ docker.io", "busybox", "1:p"},
        {"https://index.docker.io/v1/", "r.example/a", ""},
        {"https://index.docker.io/v1/", "localhost:5000/a", ""},
        {"https://index.docker.io/v1/", "localhost/a", "0:p"},
        /* what is no URL is passed over */
        {"r.example:port r.example%41 [::1 r.example/%zz r.example", "r.example/a", "4:p"},
        {"[fd00::1]:5000", "[fd00::1]:5000/a", "0:p"},
        {"", "r.example/a", ""},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct keyring keyring = keyring_of(rows[i].keys, arena);
        const char *got = logins_for(&keyring, rows[i].image, arena);
        if (!text_eq(got, rows[i].want))
            fail_msg("%s for %s: got %s, want %s", rows[i].keys, rows[i].image, got, rows[i].want);
    }
}

TEST_CASE(logins_are_read)
{
    static const struct {
        const char *entry, *want; /* want "!…" is an error */
    } rows[] = {
        {"{\"username\": \"u\", \"password\": \"p:q\"}", "u:p:q"},
        {"{\"auth\": \"dTpwOnE=\"}", "u:p:q"},
        {"{\"auth\": \"dTpwOnE\"}", "u:p:q"},
        {"{\"auth\": \"dTpw\\nOnE\"}", "u:p:q"},
        {"{\"auth\": \"dTpw\", \"username\": \"x\", \"password\": \"y\", \"email\": \"z\"}", "u:p"},
        {"{\"auth\": \"\", \"username\": \"x\"}", "x:"},
        {"{\"Auth\": null, \"USERNAME\": \"x\", \"more\": [1]}", "x:"},
        {"null", ":"},
        {"{\"auth\": \"dTpw=\"}", "!the field auth is not base64"},
        {"{\"auth\": \"d=Tpw\"}", "!the field auth is not base64"},
        {"{\"auth\": \"dTpwO\"}", "!the field auth is not base64"},
        {"{\"auth\": \"ADpi\"}", "!the field auth is not base64"},
        {"{\"auth\": \"dXA=\"}",
         "!unable to parse auth field, must be formatted as base64(username:password)"},
        {"{\"auth\": 1}", "!the field auth is not a string"},
        {"{\"password\": {}}", "!the field password is not a string"},
        {"\"u:p\"", "!an entry is not an object"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct keyring keyring = {0};
        const char *text =
            arena_printf(arena, "{\"auths\": {\"s\": {}, \"r.example\": %s}}", rows[i].entry);
        AUTO(error)
        struct error *err = keyring_add_config(&keyring, str_from(text), false, arena);
        const char *got = err ? arena_printf(arena, "!%s", err->message)
                              : logins_for(&keyring, "r.example/a", arena);
        if (!text_eq(got, rows[i].want))
            fail_msg("%s: got %s, want %s", rows[i].entry, got, rows[i].want);
        assert_int_equal(keyring.count, err ? 0 : 2);
    }
}

TEST_CASE(configurations_have_two_forms)
{
    static const struct {
        const char *text;
        bool is_legacy;
        size_t want;
        const char *refusal;
    } rows[] = {
        {"{\"auths\": {\"a\": {}, \"b\": {}}, \"HttpHeaders\": {}}", false, 2, NULL},
        {"{\"a\": {}, \"b\": {}}", true, 2, NULL},
        {"{\"a\": {}}", false, 0, NULL},
        {"{\"auths\": null}", false, 0, NULL},
        {"null", false, 0, NULL},
        {"null", true, 0, NULL},
        {"{\"auths\": []}", false, 0, "the registries are not an object"},
        {"[]", true, 0, "a docker configuration is not an object"},
        {"{\"a\": {\"password\": \"hunter2\"", true, 0, "a docker configuration is not JSON"},
        {"", false, 0, "a docker configuration is not JSON"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct keyring keyring = {0};
        AUTO(error)
        struct error *err =
            keyring_add_config(&keyring, str_from(rows[i].text), rows[i].is_legacy, arena);
        if (!text_eq(err ? err->message : NULL, rows[i].refusal) || keyring.count != rows[i].want)
            fail_msg("%s: got %s, %zu", rows[i].text, err ? err->message : "ok", keyring.count);
    }
}

TEST_CASE(a_configuration_has_a_limit)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf text;
    buf_init(&text, CREDENTIALS_FILE_MAX_BYTES);
    buf_add_text(&text, "{\"first\": {}");
    for (int i = 1; i < CREDENTIALS_MAX_ENTRIES; i++)
        buf_printf(&text, ", \"r%d\": {}", i);
    buf_add_text(&text, "}");
    struct keyring keyring = {0};
    assert_no_error(keyring_add_config(&keyring, buf_str(&text), true, arena));
    assert_int_equal(keyring.count, CREDENTIALS_MAX_ENTRIES);
    assert_error_code(keyring_add_config(&keyring, STR_LITERAL("{\"a\": {}}"), true, arena),
                      ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(keyring.count, CREDENTIALS_MAX_ENTRIES);
}

TEST_CASE(what_does_not_count_is_not_kept)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf text;
    buf_init(&text, CREDENTIALS_FILE_MAX_BYTES);
    buf_add_text(&text, "{\"auths\": {\"r.example\": {\"username\": \"u\"}}, \"more\": [0");
    for (int i = 0; i < 100000; i++)
        buf_add_text(&text, ", 0");
    buf_add_text(&text, "]}");
    struct keyring keyring = {0};
    assert_no_error(keyring_add_config(&keyring, buf_str(&text), false, arena));
    assert_true(arena_used(arena) < 4 * KiB);
    assert_string_equal(logins_for(&keyring, "r.example/a", arena), "u:");
}

static struct error *add_secret(struct keyring *keyring, const char *type, const char *key,
                                const char *text, struct arena *arena)
{
    Core__Secret__DataEntry entry = CORE__SECRET__DATA_ENTRY__INIT;
    Core__Secret__DataEntry *entries[] = {&entry};
    entry.key = arena_strdup(arena, key);
    entry.has_value = true;
    entry.value.data = (uint8_t *)arena_strdup(arena, text);
    entry.value.len = strlen(text);
    Core__Secret secret = CORE__SECRET__INIT;
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    meta.uid = arena_strdup(arena, "uid-1");
    meta.namespace_ = arena_strdup(arena, "team");
    meta.name = arena_strdup(arena, "login");
    secret.metadata = &meta;
    secret.type = arena_strdup(arena, type);
    secret.data = entries;
    secret.n_data = 1;
    return keyring_add_secret(keyring, &secret, arena);
}

TEST_CASE(secrets_count_by_their_type)
{
    static const struct {
        const char *type, *key, *text;
        size_t want;
    } rows[] = {
        {"kubernetes.io/dockerconfigjson", ".dockerconfigjson", "{\"auths\": {\"a\": {}}}", 1},
        {"kubernetes.io/dockercfg", ".dockercfg", "{\"a\": {}}", 1},
        {"kubernetes.io/dockercfg", ".dockerconfigjson", "{\"auths\": {\"a\": {}}}", 0},
        {"kubernetes.io/dockerconfigjson", ".dockerconfigjson", "", 0},
        {"kubernetes.io/dockerconfigjson", "config.json", "{\"auths\": {\"a\": {}}}", 0},
        {"Opaque", ".dockercfg", "{\"a\": {}}", 0},
        {NULL, ".dockercfg", "{\"a\": {}}", 0},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct keyring keyring = {0};
        assert_no_error(add_secret(&keyring, rows[i].type, rows[i].key, rows[i].text, arena));
        assert_int_equal(keyring.count, rows[i].want);
    }
    struct keyring keyring = {0};
    assert_error_code(add_secret(&keyring, "kubernetes.io/dockercfg", ".dockercfg", "{", arena),
                      ERROR_INVALID_ARGUMENT);
}

TEST_CASE(secrets_are_searched_together)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct keyring keyring = {0};
    assert_no_error(add_secret(&keyring, "kubernetes.io/dockercfg", ".dockercfg",
                               "{\"r.example\": {\"username\": \"a\"}}", arena));
    assert_no_error(add_secret(
        &keyring, "kubernetes.io/dockercfg", ".dockercfg",
        "{\"r.example/x\": {\"username\": \"b\"}, \"https://r.example\": {\"username\": \"c\"}}",
        arena));
    assert_string_equal(logins_for(&keyring, "r.example/x/y", arena), "b: a: c:");
}

TEST_CASE(a_login_knows_the_secret_it_is_from)
{
    static const char text[] = "{\"r.example\": {\"username\": \"u\", \"email\": \"u@r.example\"}}";
    AUTO(arena) struct arena *arena = arena_new(0);
    struct keyring keyring = {0};
    assert_no_error(add_secret(&keyring, "kubernetes.io/dockercfg", ".dockercfg", text, arena));
    assert_no_error(keyring_add_config(&keyring, str_from(text), true, arena));
    const struct image_credential *found;
    size_t count;
    keyring_find(&keyring, "r.example/a", arena, &found, &count);
    assert_int_equal(count, 2);
    assert_int_equal(found[0].source.kind, CREDENTIAL_SOURCE_SECRET);
    assert_int_equal(found[1].source.kind, CREDENTIAL_SOURCE_NONE);
    assert_string_equal(found[1].source.uid, "");

    AUTO(arena) struct arena *other = arena_new(0);
    struct image_credential copy = image_credential_dup(&found[0], other);
    arena_free(TAKE(arena));
    assert_string_equal(copy.username, "u");
    assert_string_equal(copy.password, "");
    assert_string_equal(copy.email, "u@r.example");
    assert_int_equal(copy.source.kind, CREDENTIAL_SOURCE_SECRET);
    assert_string_equal(copy.source.uid, "uid-1");
    assert_string_equal(copy.source.namespace_, "team");
    assert_string_equal(copy.source.name, "login");
}

TEST_CASE(logins_of_a_plugin_are_searched_by_their_registry)
{
    static const struct registry_login first[] = {{"r.example", "a", "1"}, {"not a url", "b", "2"}},
                                       second[] = {{"https://r.example/team", "c", "3"},
                                                   {"*.example", "d", "4"},
                                                   {"r.example", "e", "5"}};
    static const struct credential_source source = {
        .kind = CREDENTIAL_SOURCE_SERVICE_ACCOUNT, .uid = "u", .namespace_ = "n", .name = "s"};
    AUTO(arena) struct arena *arena = arena_new(0);
    struct keyring keyring = {0};
    assert_no_error(keyring_add_logins(&keyring, first, ARRAY_SIZE(first), &source, arena));
    assert_no_error(keyring_add_logins(&keyring, second, ARRAY_SIZE(second), &source, arena));
    assert_string_equal(logins_for(&keyring, "r.example/team/app", arena), "c:3 a:1 e:5 d:4");
    assert_int_equal(keyring.entries[0].credential.source.kind, CREDENTIAL_SOURCE_SERVICE_ACCOUNT);
    assert_string_equal(keyring.entries[0].credential.source.name, "s");
    assert_string_equal(keyring.entries[0].credential.email, "");
}

TEST_CASE(the_nodes_own_configuration_is_found)
{
    static const struct {
        const char *path, *text; /* below the root folder, $HOME or nowhere */
        const char *want, *warning;
    } rows[] = {
        {NULL, NULL, "", NULL},
        {"home/.dockercfg", "{\"r.example\": {\"username\": \"h1\"}}", "h1:", NULL},
        {"root/.dockercfg", "{\"r.example\": {\"username\": \"r1\"}}", "r1:", NULL},
        {"home/.docker/config.json", "{\"auths\": {\"r.example\": {\"username\": \"h2\"}}}",
         "h2:", NULL},
        {"root/config.json", "{\"auths\": 1}", "h2:", "the registries are not an object"},
        {"root/config.json", "{\"auths\": {\"r.example\": {\"username\": \"r2\"}}}", "r2:", NULL},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    char *dir = tempdir_new();
    const char *old_home = getenv("HOME");
    assert_no_error(fd_mkdir_all(arena_printf(arena, "%s/root", dir), 0755));
    assert_no_error(fd_mkdir_all(arena_printf(arena, "%s/home/.docker", dir), 0755));
    assert_int_equal(setenv("HOME", arena_printf(arena, "%s/home", dir), 1), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].path)
            assert_no_error(fd_write_file_blocking(arena_printf(arena, "%s/%s", dir, rows[i].path),
                                                   str_from(rows[i].text), 0600));
        struct keyring keyring = {0};
        const char *warning = "unset";
        keyring_add_node_blocking(&keyring, arena_printf(arena, "%s/root", dir), arena, &warning);
        assert_string_equal(logins_for(&keyring, "r.example/a", arena), rows[i].want);
        assert_true(!warning == !rows[i].warning);
        assert_true(!warning || text_has_suffix(warning, rows[i].warning));
    }
    assert_int_equal(old_home ? setenv("HOME", old_home, 1) : unsetenv("HOME"), 0);
    tempdir_free(dir);
}

TEST_MAIN(TEST(entries_match_images), TEST(logins_are_read), TEST(configurations_have_two_forms),
          TEST(a_configuration_has_a_limit), TEST(what_does_not_count_is_not_kept),
          TEST(secrets_count_by_their_type), TEST(secrets_are_searched_together),
          TEST(a_login_knows_the_secret_it_is_from),
          TEST(logins_of_a_plugin_are_searched_by_their_registry),
          TEST(the_nodes_own_configuration_is_found))
