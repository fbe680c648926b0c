#include "pod/cri_config.h"
#include "tests/lib/test.h"

TEST_CASE(a_hash_is_upstreams)
{
    static const struct {
        const char *image, *name;
        uint32_t want;
    } rows[] = {
        {"foo/image:v1", "test_container", 0x8e45cbd0},
        {"bar", "foo", 0x11a6d6d6},
        {"docker.io/library/busybox:1.36", "c", 0xc0d793c2},
        {"docker.io/library/busybox:1.36", "debugger-n4kqm", 0xfb0b8404},
        {"registry.k8s.io/e2e-test-images/agnhost:2.63.0", "web", 0xc57b0f17},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(container_hash(rows[i].image, rows[i].name), rows[i].want);
}

TEST_CASE(a_missing_text_counts_as_an_empty_one)
{
    assert_int_equal(container_hash(NULL, NULL), container_hash("", ""));
}

TEST_MAIN(TEST(a_hash_is_upstreams), TEST(a_missing_text_counts_as_an_empty_one))
