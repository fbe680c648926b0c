#include "kube/validate_internal.h"
#include "tests/unit/kube/validate_rows.h"

static const char long_label[] =
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; /* 63 */

static char *repeat(char c, size_t count, struct arena *arena)
{
    char *text = arena_alloc(arena, count + 1);
    memset(text, c, count);
    return text;
}

struct name_row {
    const char *name, *want; /* the first fault, NULL when fine */
};

static void check_rows(const struct name_row *rows, size_t count, name_rule *rule)
{
    for (size_t i = 0; i < count; i++) {
        struct name_faults faults = {.count = 0};
        rule(str_from(rows[i].name), &faults);
        const char *got = faults.count > 0 ? faults.messages[0] : NULL;
        if (!text_eq(got, rows[i].want))
            fail_msg("\"%s\": got %s", rows[i].name, got ? got : "no fault");
    }
}

TEST_CASE(labels_are_lower_case_without_dots)
{
    static const struct name_row rows[] = {
        {"a", NULL},
        {"a-1", NULL},
        {"1a", NULL},
        {long_label, NULL},
        {"", NOT_A_LABEL},
        {"A", NOT_A_LABEL},
        {"-a", NOT_A_LABEL},
        {"a-", NOT_A_LABEL},
        {"a_b", NOT_A_LABEL},
        {"a b", NOT_A_LABEL},
        {"a\n", NOT_A_LABEL},
        {"\xc3\xa9", NOT_A_LABEL},
        {"a.b", "must not contain dots"},
        {"a.", NOT_A_LABEL},
    };
    check_rows(rows, ARRAY_SIZE(rows), name_rule_dns1123_label);
    assert_null(name_check_dns1123_label(STR_LITERAL("web-0")));
    assert_string_equal(name_check_dns1123_label((struct str){.ptr = NULL, .len = 0}), NOT_A_LABEL);
    assert_non_null(name_check_dns1123_label(STR_LITERAL("a\0b")));
}

TEST_CASE(a_label_that_is_long_and_wrong_has_two_faults)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct name_faults faults = {.count = 0};
    name_rule_dns1123_label(str_from(repeat('A', 64, arena)), &faults);
    assert_int_equal(faults.count, 2);
    assert_string_equal(faults.messages[0], "must be no more than 63 bytes");
    assert_string_equal(faults.messages[1], NOT_A_LABEL);
}

TEST_CASE(subdomains_are_labels_and_dots)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    static const struct name_row rows[] = {
        {"a", NULL},
        {"a.b-c.1", NULL},
        {"", NOT_A_SUBDOMAIN},
        {".a", NOT_A_SUBDOMAIN},
        {"a.", NOT_A_SUBDOMAIN},
        {"a..b", NOT_A_SUBDOMAIN},
        {"a.-b", NOT_A_SUBDOMAIN},
        {"a.B", NOT_A_SUBDOMAIN},
    };
    check_rows(rows, ARRAY_SIZE(rows), name_rule_dns1123_subdomain);
    assert_null(name_check_dns1123_subdomain(str_from(repeat('a', 253, arena))));
    assert_string_equal(name_check_dns1123_subdomain(str_from(repeat('a', 254, arena))),
                        "must be no more than 253 bytes");
}

TEST_CASE(a_prefix_may_end_in_dashes)
{
    static const struct name_row rows[] = {
        {"a", NULL},
        {"a-", NULL},
        {"ab-", NULL},
        {"a.b-", NULL},
        {"a--", NULL},
        {"a.-", NULL},
        {"-", NOT_A_SUBDOMAIN},
        {"A-", NULL}, /* upstream masks it */
        {"Ab-", NOT_A_SUBDOMAIN},
    };
    check_rows(rows, ARRAY_SIZE(rows), name_rule_dns1123_subdomain_prefix);
}

TEST_CASE(qualified_names_have_an_optional_prefix)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    static const struct name_row rows[] = {
        {"a", NULL},
        {"A.b_c-1", NULL},
        {"example.com/a", NULL},
        {"", "name part must be non-empty"},
        {"-a", NOT_A_KEY_NAME},
        {"a b", NOT_A_KEY_NAME},
        {"/a", "prefix part must be non-empty"},
        {"a/", "name part must be non-empty"},
        {"Example.com/a", "prefix part " NOT_A_SUBDOMAIN},
        {"a/b/c",
         "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must "
         "start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or "
         "'123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with "
         "an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"},
    };
    check_rows(rows, ARRAY_SIZE(rows), name_rule_qualified);
    assert_null(name_check_qualified(str_from(repeat('a', 63, arena))));
    assert_string_equal(name_check_qualified(str_from(repeat('a', 64, arena))),
                        "name part must be no more than 63 bytes");
}

TEST_CASE(port_names_follow_rfc_6335)
{
    static const struct name_row rows[] = {
        {"http", NULL},
        {"a-1", NULL},
        {"123456789012345", "must contain at least one letter (a-z)"},
        {"a123456789012345", "must be no more than 15 bytes"},
        {"Http", "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"},
        {"a--b", "must not contain consecutive hyphens"},
        {"-a", "must not begin or end with a hyphen"},
        {"a-", "must not begin or end with a hyphen"},
        {"", "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"},
    };
    check_rows(rows, ARRAY_SIZE(rows), name_rule_port_name);
}

TEST_CASE(env_names_are_printable_ascii)
{
    static const char odd[] = "a valid environment variable name must consist only of printable "
                              "ASCII characters other than '='";
    static const struct name_row rows[] = {
        {"A", NULL},    {"1 odd name!", NULL}, {"", "environment variable name must be non-empty"},
        {"a=b", odd},   {"a\tb", odd},         {"\xc3\xa9", odd},
        {"a\x7f", odd},
    };
    check_rows(rows, ARRAY_SIZE(rows), name_rule_env_name);
}

TEST_CASE(config_keys_are_file_names)
{
    static const char odd[] =
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "
        "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is "
        "'[-._a-zA-Z0-9]+')";
    static const struct name_row rows[] = {
        {"a.b_C-1", NULL},
        {".a", NULL},
        {"", odd},
        {"a/b", odd},
        {".", "must not be '.'"},
        {"..", "must not be '..'"},
        {"..a", "must not start with '..'"},
    };
    check_rows(rows, ARRAY_SIZE(rows), name_rule_config_key);
}

TEST_CASE(addresses_are_strict)
{
    static const char odd[] = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    static const struct name_row rows[] = {
        {"10.9.8.7", NULL},
        {"2001:db8::ffff", NULL},
        {"::", NULL},
        {"FE80::1", NULL},
        {"", odd},
        {"10.9.8", odd},
        {"10.9.8.7.6", odd},
        {"10.9.8.256", odd},
        {"10.9.8.", odd},
        {"a", odd},
        {"10.9.8.0/24", odd},
        {"fe80::1%eth0", odd},
        {"010.9.8.7", "must not have leading 0s"},
        {"::ffff:1.2.3.4", "must not be an IPv4-mapped IPv6 address"},
        {"0.0.0.0", NULL},
    };
    check_rows(rows, ARRAY_SIZE(rows), name_rule_ip);
}

TEST_CASE(sysctl_names_are_segments)
{
    static const struct {
        const char *name;
        bool want;
    } rows[] = {
        {"kernel.shm_rmid_forced", true},
        {"net/ipv4/ip_forward", true},
        {"net.ipv4.conf.eth0-1.x", true},
        {"a", true},
        {"", false},
        {".a", false},
        {"a.", false},
        {"a..b", false},
        {"a._b", false},
        {"a_.b", false},
        {"a_", false},
        {"A.b", false},
        {"a b", false},
        {"a-/b", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (is_sysctl_name(rows[i].name) != rows[i].want)
            fail_msg("\"%s\"", rows[i].name);
    }
    AUTO(arena) struct arena *arena = arena_new(0);
    assert_true(is_sysctl_name(repeat('a', 253, arena)));
    assert_false(is_sysctl_name(repeat('a', 254, arena)));
}

TEST_CASE(a_text_map_holds_every_text_once)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct text_map map = {.arena = arena};
    size_t value;
    assert_false(text_map_find(&map, "a", &value));
    for (size_t i = 0; i < 1000; i++)
        assert_true(text_map_add(&map, arena_printf(arena, "key-%zu", i), i));
    for (size_t i = 0; i < 1000; i++) {
        assert_true(text_map_find(&map, arena_printf(arena, "key-%zu", i), &value));
        assert_int_equal(value, i);
        assert_false(text_map_add(&map, arena_printf(arena, "key-%zu", i), 0));
    }
    assert_int_equal(map.count, 1000);
    assert_true(text_map_add(&map, NULL, 7));
    assert_true(text_map_find(&map, "", &value));
    assert_int_equal(value, 7);
}

TEST_MAIN(TEST(labels_are_lower_case_without_dots),
          TEST(a_label_that_is_long_and_wrong_has_two_faults), TEST(subdomains_are_labels_and_dots),
          TEST(a_prefix_may_end_in_dashes), TEST(qualified_names_have_an_optional_prefix),
          TEST(port_names_follow_rfc_6335), TEST(env_names_are_printable_ascii),
          TEST(config_keys_are_file_names), TEST(addresses_are_strict),
          TEST(sysctl_names_are_segments), TEST(a_text_map_holds_every_text_once))
