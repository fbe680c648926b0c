#include "server/node_log_query.h"

#include "base/buf.h"
#include "tests/lib/test.h"

static enum node_log_kind parse(const char *raw, struct arena *arena, struct node_log_query *ret,
                                const char **ret_problem)
{
    struct http_target target;
    assert_no_error(
        http_target_parse(str_from(arena_printf(arena, "/logs/?%s", raw)), arena, &target));
    return node_log_query_parse(&target, arena, ret, ret_problem);
}

TEST_CASE(what_is_asked_is_read_or_refused)
{
    static const struct {
        const char *query;
        enum node_log_kind kind;
        const char *problem;
    } rows[] = {
        {"", NODE_LOG_PLAIN, NULL},
        {"x=1&sinceTime=&boot=&tailLines=&pattern=", NODE_LOG_PLAIN, NULL},
        {"query=kubelet", NODE_LOG_QUERY, NULL},
        {"query=&query=kubelet", NODE_LOG_QUERY, NULL},
        {"query=%2Ffoo.log", NODE_LOG_QUERY, NULL},
        {"boot=0", NODE_LOG_QUERY, NULL},
        {"pattern=x", NODE_LOG_QUERY, NULL},
        {"query", NODE_LOG_MALFORMED, "query: Invalid value: [\"\"]: query cannot be empty"},
        {"query=+&query=", NODE_LOG_MALFORMED,
         "query: Invalid value: [\" \",\"\"]: query cannot be empty"},
        {"sinceTime=now", NODE_LOG_MALFORMED,
         "sinceTime: Invalid value: \"now\": invalid time format"},
        {"boot=x", NODE_LOG_MALFORMED,
         "boot: Invalid value: \"x\": strconv.Atoi: parsing \"x\": invalid syntax"},
        {"tailLines=99999999999999999999", NODE_LOG_MALFORMED,
         "tailLines: Invalid value: \"99999999999999999999\": strconv.Atoi: parsing "
         "\"99999999999999999999\": value out of range"},
        {"untilTime=x&boot=-", NODE_LOG_MALFORMED,
         "[untilTime: Invalid value: \"x\": invalid time format, boot: Invalid value: \"-\": "
         "strconv.Atoi: parsing \"-\": invalid syntax]"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct node_log_query query;
        const char *problem = NULL;
        enum node_log_kind kind = parse(rows[i].query, arena, &query, &problem);
        if (kind != rows[i].kind || !text_eq(problem, rows[i].problem))
            fail_msg("%s: %d %s", rows[i].query, kind, problem);
    }
}

#define EIGHT "aaaaaaaa"
#define SIXTY_FOUR EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT
#define LONG SIXTY_FOUR SIXTY_FOUR SIXTY_FOUR SIXTY_FOUR

TEST_CASE(what_may_not_be_asked_is_told)
{
    static const struct {
        const char *query, *file_problem, *problem;
    } rows[] = {
        {"query=kubelet&query=a@b.c:d-e_F", NULL, NULL},
        {"query=" LONG, NULL, NULL},
        {"query=%2Ffoo", NULL, NULL},
        {"query=a&sinceTime=2026-11-21T03:00:00Z&untilTime=2026-11-21T05:00:00%2B02:00&boot=-1&"
         "tailLines=100000&pattern=^a",
         NULL, NULL},
        {"boot=0", NULL, "query: Required value: cannot be empty with options"},
        {"query=a%3Bb", NULL,
         "query: Invalid value: \"a;b\": input contains unsupported characters"},
        {"query=" LONG "a", NULL,
         "query: Invalid value: \"" LONG "a\": length must be less than 100"},
        {"query=a&query=b&query=c&query=d&query=e", NULL,
         "query: Too many: 5: must have at most 4 items"},
        {"query=a&query=b&query=c&query=d%3B&query=e%3B&query=f%3B", NULL,
         "[query: Invalid value: \"d;\": input contains unsupported characters, query: Too many: "
         "6: "
         "must have at most 4 items]"},
        {"query=/a&query=b&query=%5Cc", NULL,
         "query: Invalid value: \"[/a \\\\c], [b]\": cannot specify a file and service"},
        {"query=/a&query=/b", NULL,
         "query: Invalid value: [\"/a\",\"/b\"]: cannot specify more than one file"},
        {"query=/a&boot=0", "not looked at",
         "query: Invalid value: [\"/a\"]: cannot specify file with options"},
        {"query=/a", "stat /var/log/a: no such file or directory",
         "query: Invalid value: [\"/a\"]: stat /var/log/a: no such file or directory"},
        {"query=a&sinceTime=2026-11-21T03:00:01Z&untilTime=2026-11-21T03:00:00Z", NULL,
         "untilTime: Invalid value: 2026-11-21 03:00:00 +0000 UTC: must be after `sinceTime`"},
        {"query=a&sinceTime=2026-11-21T03:00:01Z&untilTime=2026-11-21T02:00:00.25-00:30", NULL,
         "untilTime: Invalid value: 2026-11-21 02:00:00.25 -0030 -0030: must be after "
         "`sinceTime`"},
        {"query=a&boot=1&tailLines=-1", NULL,
         "[boot: Invalid value: 1: must be less than 1, tailLines: Invalid value: -1: must be "
         "between 0 and 100000, inclusive]"},
        {"query=a&pattern=(", NULL,
         "pattern: Invalid value: \"(\": error parsing regexp: missing closing ): `(`"},
        {"query=a%3B&query=a%3B", NULL, /* the same once */
         "query: Invalid value: \"a;\": input contains unsupported characters"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct node_log_query query;
        const char *problem = NULL;
        assert_int_equal(parse(rows[i].query, arena, &query, &problem), NODE_LOG_QUERY);
        problem = node_log_query_check(&query, rows[i].file_problem, arena);
        if (!text_eq(problem, rows[i].problem))
            fail_msg("%s: %s", rows[i].query, problem);
    }
}

TEST_CASE(a_file_is_looked_at_when_it_alone_is_asked_for)
{
    static const char *const rows[][2] = {{"query=/a", "/a"},
                                          {"query=/a&query=", "/a"},
                                          {"query=/a&boot=0", NULL},
                                          {"query=/a&query=b", NULL},
                                          {"query=b", NULL}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct node_log_query query;
        const char *problem = NULL;
        assert_int_equal(parse(rows[i][0], arena, &query, &problem), NODE_LOG_QUERY);
        assert_true(text_eq(node_log_query_file(&query), rows[i][1]));
    }
}

TEST_CASE(journalctl_is_asked_for_what_was_asked)
{
    static const char *const rows[][2] = {
        {"query=a", "journalctl --utc --no-pager --output=short-precise --unit=a"},
        {"query=a&query=b&tailLines=5&boot=-1&pattern=x%20y",
         "journalctl --utc --no-pager --output=short-precise --pager-end --lines=5 --unit=a "
         "--unit=b --grep=x y --boot -1"},
        {"query=a&sinceTime=2026-11-21T03:04:05%2B02:00&untilTime=2026-11-21T03:04:05Z",
         "journalctl --utc --no-pager --output=short-precise --since=2026-11-21 01:04:05 UTC "
         "--until=2026-11-21 03:04:05 UTC --unit=a"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        AUTO(buf) struct buf got;
        buf_init(&got, 4 * KiB);
        struct node_log_query query;
        const char *problem = NULL;
        assert_int_equal(parse(rows[i][0], arena, &query, &problem), NODE_LOG_QUERY);
        const char *const *argv = node_log_query_arguments(&query, "journalctl", query.services,
                                                           query.service_count, arena);
        for (size_t j = 0; argv[j]; j++)
            buf_printf(&got, "%s%s", j ? " " : "", argv[j]);
        assert_string_equal(buf_text(&got), rows[i][1]);
    }
}

TEST_MAIN(TEST(what_is_asked_is_read_or_refused), TEST(what_may_not_be_asked_is_told),
          TEST(a_file_is_looked_at_when_it_alone_is_asked_for),
          TEST(journalctl_is_asked_for_what_was_asked))
