#include "image/image_match.h"

#include "tests/lib/test.h"

TEST_CASE(images_have_a_repository)
{
    static const struct {
        const char *image, *want;
    } rows[] = {
        {"busybox", "docker.io/library/busybox"},
        {"busybox:1.36@sha256:00", "docker.io/library/busybox"},
        {"team/app:1", "docker.io/team/app"},
        {"index.docker.io/app", "docker.io/library/app"},
        {"index.docker.io/busybox", "docker.io/library/busybox"},
        {"localhost/app:1", "localhost/app"},
        {"localhost/app@sha256:00", "localhost/app"},
        {"r.example:5000/team/app:1@sha256:00", "r.example:5000/team/app"},
        {"r.example:5000/team/app:1", "r.example:5000/team/app"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct str repository = image_repository(rows[i].image, arena);
        assert_string_equal(arena_strndup(arena, repository.ptr, repository.len), rows[i].want);
    }
}

/* matchImages of a plugin: labels are patterns, the port is exact, the path is a prefix. */
TEST_CASE(patterns_match_images)
{
    static const struct {
        const char *pattern, *image;
        bool want;
    } rows[] = {
        {"r.example", "r.example/app", true},
        {"r.example/", "r.example/app", true},
        {"*.example", "r.example/app", true},
        {"*.example", "a.r.example/app", false},
        {"*.*.example", "a.r.example/app", true},
        {"k[0-9]s.example", "k8s.example/app", true},
        {"*.k8s.io", "registry.k8s.io/pause", true},
        {"app*.k8s.io", "app1.k8s.io/pause", true},
        {"r.example:5000", "r.example/app", false},
        {"r.example", "r.example:5000/app", false},
        {"r.example:5000", "r.example:5000/app", true},
        {"r.example/team", "r.example/team/app", true},
        {"r.example/team", "r.example/teams/app", true},
        {"r.example/team/", "r.example/teams/app", false},
        {"r.example/*", "r.example/app", false}, /* no pattern in a path */
        {"r.example/v2/app", "r.example/app", false},
        {"r.example/v2/app", "r.example/v2/app", true},
        {"docker.io", "busybox", true},
        {"docker.io/library", "busybox:1", true},
        {"index.docker.io", "busybox", false},
        {"https://r.example", "r.example/app", false},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *key = image_pattern_key(str_from(rows[i].pattern), arena);
        assert_non_null(key);
        if (registry_key_matches(key, image_repository(rows[i].image, arena)) != rows[i].want)
            fail_msg("%s on %s", rows[i].pattern, rows[i].image);
    }
}

TEST_CASE(what_is_no_url_is_no_pattern)
{
    static const char *const patterns[] = {"r example", "r.example:port", "r.example/%zz",
                                           "[::1",      "r.example\n",    "%41.example"};
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
        assert_null(image_pattern_key(str_from(patterns[i]), arena));
}

TEST_MAIN(TEST(images_have_a_repository), TEST(patterns_match_images),
          TEST(what_is_no_url_is_no_pattern))
