#include "pod/cri_config.h"
#include "tests/lib/test.h"

static const char *join(struct arena *arena, const char *const *texts)
{
    const char *all = "";
    for (size_t i = 0; texts[i]; i++)
        all = arena_printf(arena, "%s%s%s", all, i ? "," : "", texts[i]);
    return all;
}

TEST_CASE(lines_become_lists)
{
    static const struct {
        const char *name, *text, *servers, *searches, *options;
    } rows[] = {
        {"an empty file", "", "", "", ""},
        {"servers add up", "nameserver 1.1.1.1\nnameserver 2.2.2.2\n", "1.1.1.1,2.2.2.2", "", ""},
        {"only the first word of a server counts", "nameserver 1.1.1.1 # mine", "1.1.1.1", "", ""},
        {"the last search line wins", "search a b\nsearch c d\n", "", "c,d", ""},
        {"an empty search line clears", "search a b\nsearch\n", "", "", ""},
        {"one trailing dot goes, the root too", "search a.b. . c..", "", "a.b,c.", ""},
        {"options merge by name", "options ndots:5 rotate\noptions ndots:2 debug", "", "",
         "ndots:2,rotate,debug"},
        {"comments and unknown words",
         "# nameserver 9.9.9.9\n;nameserver 8.8.8.8\ndomain x\nnameserver 1.1.1.1", "1.1.1.1", "",
         ""},
        {"blanks around", "  \tnameserver\t1.1.1.1  \r\n\n  search  a  ", "1.1.1.1", "a", ""},
        {"a keyword must stand alone", "nameservers 1.1.1.1\nsearching x", "", "", ""},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct resolv_conf conf;
        assert_no_error(resolv_conf_parse(str_from(rows[i].text), arena, &conf));
        print_message("  %s\n", rows[i].name);
        assert_string_equal(join(arena, conf.servers), rows[i].servers);
        assert_string_equal(join(arena, conf.searches), rows[i].searches);
        assert_string_equal(join(arena, conf.options), rows[i].options);
    }
}

TEST_CASE(a_bare_nameserver_fails_the_file)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct resolv_conf conf;
    assert_error_message(
        resolv_conf_parse(STR_LITERAL("search a\nnameserver\nnameserver \n"), arena, &conf),
        "nameserver list is empty ");
}

TEST_CASE(a_huge_file_is_refused)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct resolv_conf conf;
    struct str huge = {.ptr = "x", .len = RESOLV_CONF_MAX_BYTES + 1};
    assert_error_code(resolv_conf_parse(huge, arena, &conf), ERROR_RESOURCE_EXHAUSTED);
}

TEST_MAIN(TEST(lines_become_lists), TEST(a_bare_nameserver_fails_the_file),
          TEST(a_huge_file_is_refused))
