#include "pod/cri_config.h"
#include "tests/lib/test.h"

#define HEX32 "0123456789abcdef0123456789abcdef"
#define SHA256 "sha256:" HEX32 HEX32

TEST_CASE(a_reference_without_tag_and_digest_gets_latest)
{
    static const struct {
        const char *image, *want;
    } rows[] = {
        {"busybox", "busybox:latest"},
        {"busybox:1.36", "busybox:1.36"},
        {"docker.io/library/busybox:1.36", "docker.io/library/busybox:1.36"},
        {"me/tool", "me/tool:latest"},
        {"localhost/x", "localhost/x:latest"},
        {"registry.example:5000/a/b", "registry.example:5000/a/b:latest"},
        {"registry.example:5000/a/b:v1", "registry.example:5000/a/b:v1"},
        {"127.0.0.1:1/none:1", "127.0.0.1:1/none:1"},
        {"[2001:db8::1]:5000/x", "[2001:db8::1]:5000/x:latest"},
        {"[::1]/x", "[::1]/x:latest"},
        {"Host/x", "Host/x:latest"},
        {"a__b/c--d.e_f", "a__b/c--d.e_f:latest"},
        {"a__b.c/x", "a__b.c/x:latest"}, /* no domain by the grammar, but a path */
        {"x@" SHA256, "x@" SHA256},
        {"x:1@" SHA256, "x:1@" SHA256},
        {"x:A_b.c-9", "x:A_b.c-9"},
        {"x:_", "x:_"},
        {"index.docker.io/x", "index.docker.io/x:latest"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *got;
        assert_no_error(image_with_default_tag(rows[i].image, arena, &got));
        assert_string_equal(got, rows[i].want);
    }
}

TEST_CASE(a_malformed_reference_is_named_with_its_fault)
{
    static const struct {
        const char *image, *why;
    } rows[] = {
        {"", "invalid reference format"},
        {" busybox", "invalid reference format"},
        {"x:", "invalid reference format"},
        {"x@", "invalid reference format"},
        {"x:1:2", "invalid reference format"},
        {"-x", "invalid reference format"},
        {"x-", "invalid reference format"},
        {"a..b", "invalid reference format"},
        {"a___b", "invalid reference format"},
        {"a//b", "invalid reference format"},
        {"a/", "invalid reference format"},
        {"/a", "invalid reference format"},
        {"reg.example:port/x", "invalid reference format"},
        {"[::1/x", "invalid reference format"},
        {"x:-1", "invalid reference format"},
        {"x@sha256:0123", "invalid reference format"},
        {"X", "invalid reference format: repository name (library/X) must be lowercase"},
        {"me/Tool:V1", "invalid reference format: repository name (me/Tool) must be lowercase"},
        {"r.example/A/b", "invalid reference format: repository name (A/b) must be lowercase"},
        {"x@SHA256:" HEX32 HEX32,
         "invalid reference format: repository name (library/x@SHA256) must be lowercase"},
        {"A__b.c/x", "repository name must be lowercase"},
        {HEX32 HEX32,
         "invalid repository name (" HEX32 HEX32 "), cannot specify 64-byte hexadecimal strings"},
        {"x@sha256:" HEX32, "invalid checksum digest length"},
        {"x@sha256:ABCDEFABCDEFABCDEFABCDEFABCDEFAB" HEX32, "invalid checksum digest format"},
        {"x@md5:" HEX32, "unsupported digest algorithm"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *got;
        AUTO(error) struct error *err = image_with_default_tag(rows[i].image, arena, &got);
        assert_non_null(err);
        const char *want =
            arena_printf(arena, "couldn't parse image name \"%s\": %s", rows[i].image, rows[i].why);
        assert_string_equal(err->message, want);
        assert_string_equal(err->reason, "InvalidImageName");
        assert_int_equal(err->code, ERROR_INVALID_ARGUMENT);
    }
}

TEST_CASE(lengths_are_bounded)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    char name[300] = {0};
    const char *got;
    memset(name, 'a', 255 - strlen("library/"));
    assert_no_error(image_with_default_tag(name, arena, &got));
    memset(name, 'a', 256 - strlen("library/"));
    AUTO(error) struct error *err = image_with_default_tag(name, arena, &got);
    assert_non_null(err);
    assert_non_null(strstr(err->message, ": repository name must not be more than 255 characters"));

    char tagged[200] = "x:";
    memset(tagged + 2, 't', 128);
    assert_no_error(image_with_default_tag(tagged, arena, &got));
    tagged[130] = 't';
    assert_error_code(image_with_default_tag(tagged, arena, &got), ERROR_INVALID_ARGUMENT);
}

TEST_MAIN(TEST(a_reference_without_tag_and_digest_gets_latest),
          TEST(a_malformed_reference_is_named_with_its_fault), TEST(lengths_are_bounded))
