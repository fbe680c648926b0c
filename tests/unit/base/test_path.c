#include "base/path.h"

#include "tests/lib/test.h"

TEST_CASE(cleaning_gives_the_shortest_equal_path)
{
    static const struct {
        const char *path, *want;
    } rows[] = {
        {"", "."},
        {"abc", "abc"},
        {"abc/def", "abc/def"},
        {"a/b/c", "a/b/c"},
        {".", "."},
        {"..", ".."},
        {"../..", "../.."},
        {"../../abc", "../../abc"},
        {"/abc", "/abc"},
        {"/", "/"},
        {"abc/", "abc"},
        {"abc/def/", "abc/def"},
        {"./", "."},
        {"../", ".."},
        {"../../", "../.."},
        {"/abc/", "/abc"},
        {"abc//def//ghi", "abc/def/ghi"},
        {"//abc", "/abc"},
        {"///abc", "/abc"},
        {"//abc//", "/abc"},
        {"//", "/"},
        {"abc/./def", "abc/def"},
        {"/./abc/def", "/abc/def"},
        {"abc/.", "abc"},
        {"abc/def/ghi/../jkl", "abc/def/jkl"},
        {"abc/def/../ghi/../jkl", "abc/jkl"},
        {"abc/def/..", "abc"},
        {"abc/def/../..", "."},
        {"/abc/def/../..", "/"},
        {"abc/def/../../..", ".."},
        {"/abc/def/../../..", "/"},
        {"abc/def/../../../ghi/jkl/../../../mno", "../../mno"},
        {"abc/./../def", "def"},
        {"abc//./../def", "def"},
        {"abc/../../././../def", "../../def"},
        {"/..", "/"},
        {"/../a", "/a"},
        {"../a/..", ".."},
        {"..a", "..a"},
        {"a../..b", "a../..b"},
        {"...", "..."},
        {"/a/.../..", "/a"},
        {"a/..b/..", "a"},
        {"a/b../..", "a"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(free) char *clean = path_clean(rows[i].path);
        assert_string_equal(clean, rows[i].want);
        AUTO(free) char *again = path_clean(clean);
        assert_string_equal(again, clean);
    }
}

TEST_CASE(joining_puts_one_slash_between)
{
    static const struct {
        const char *first, *second, *want;
    } rows[] = {{"a", "b", "a/b"},  {"a/", "/b", "a/b"},  {"/", "b", "/b"},
                {"", "b", "b"},     {"a", "", "a"},       {"", "", "."},
                {"a", "../b", "b"}, {"/a", "../..", "/"}, {"/a/b", "./c", "/a/b/c"}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(free) char *joined = path_join(rows[i].first, rows[i].second);
        assert_string_equal(joined, rows[i].want);
    }
    AUTO(free) char *all = path_join_all("/var/lib", "kubelet", "", "pods/", "uid", NULL);
    assert_string_equal(all, "/var/lib/kubelet/pods/uid");
    AUTO(free) char *one = path_join_all("/x/", NULL);
    assert_string_equal(one, "/x");
}

TEST_CASE(base_and_dir_split_at_the_last_slash)
{
    static const struct {
        const char *path, *base, *dir;
    } rows[] = {{"/a/b", "b", "/a"}, {"/a", "a", "/"},     {"a", "a", "."},   {"a/b", "b", "a"},
                {"/a/", "", "/a"},   {"/a//b", "b", "/a"}, {"//a", "a", "/"}, {"/", "", "/"},
                {"", "", "."},       {"../a", "a", ".."}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_string_equal(path_base(rows[i].path), rows[i].base);
        AUTO(free) char *dir = path_dir(rows[i].path);
        assert_string_equal(dir, rows[i].dir);
    }
}

TEST_CASE(questions_about_a_path_are_answered_by_elements)
{
    assert_true(path_is_absolute("/"));
    assert_false(path_is_absolute("a/b"));
    assert_false(path_is_absolute(""));

    assert_true(path_has_dotdot(".."));
    assert_true(path_has_dotdot("a/../b"));
    assert_true(path_has_dotdot("a/.."));
    assert_true(path_has_dotdot("../a"));
    assert_false(path_has_dotdot("a..b/..c/d../..."));
    assert_false(path_has_dotdot(""));

    assert_true(path_is_below("/a/b", "/a"));
    assert_true(path_is_below("/a", "/a"));
    assert_true(path_is_below("/a", "/"));
    assert_true(path_is_below("/", "/"));
    assert_false(path_is_below("/ab", "/a"));
    assert_false(path_is_below("/", "/a"));
    assert_false(path_is_below("a", "/"));
}

TEST_MAIN(TEST(cleaning_gives_the_shortest_equal_path), TEST(joining_puts_one_slash_between),
          TEST(base_and_dir_split_at_the_last_slash),
          TEST(questions_about_a_path_are_answered_by_elements))
