#include "base/hash.h"

#include "tests/lib/test.h"

#include <stdio.h>

TEST_CASE(fnv_hashes_are_the_published_ones)
{
    assert_int_equal(hash_fnv1a_32("", 0), 0x811c9dc5);
    assert_int_equal(hash_fnv1a_32("a", 1), 0xe40c292c);
    assert_int_equal(hash_fnv1a_32("foobar", 6), 0xbf9cf968);
    assert_true(hash_fnv1a_64("", 0) == UINT64_C(0xcbf29ce484222325));
    assert_true(hash_fnv1a_64("a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(hash_fnv1a_64("foobar", 6) == UINT64_C(0x85944171f73967e8));
    struct hash128 none = hash_fnv1a_128("", 0), a = hash_fnv1a_128("a", 1);
    assert_true(none.high == UINT64_C(0x6c62272e07bb0142) &&
                none.low == UINT64_C(0x62b821756295c58d));
    assert_true(a.high == UINT64_C(0xd228cb696f1a8caf) && a.low == UINT64_C(0x78912b704e4a8964));
}

TEST_CASE(a_hash_continued_is_the_hash_of_the_whole)
{
    uint32_t hash = hash_fnv1a_32_add(HASH_FNV32_START, "foo", 3);
    assert_int_equal(hash_fnv1a_32_add(hash, "bar", 3), hash_fnv1a_32("foobar", 6));
}

TEST_CASE(the_keyed_hash_is_stable_and_spreads)
{
    assert_int_equal(hash_bytes("abc", 3), hash_bytes("abc", 3));
    assert_int_equal(hash_bytes(NULL, 0), hash_bytes("", 0));
    unsigned buckets[64] = {0};
    char key[16] = {0};
    for (unsigned i = 0; i < 6400; i++) {
        key[0] = (char)(i & 0xff);
        key[1] = (char)(i >> 8);
        buckets[hash_bytes(key, 2 + i % 14) % 64]++;
    }
    for (size_t i = 0; i < 64; i++)
        assert_in_range(buckets[i], 40, 180); /* 6400 different keys, mean 100: six deviations */
}

TEST_CASE(every_byte_and_the_length_count)
{
    const char zeroes[32] = {0};
    for (size_t len = 1; len < sizeof(zeroes); len++) {
        char changed[32] = {0};
        changed[len - 1] = 1;
        assert_int_not_equal(hash_bytes(zeroes, len), hash_bytes(changed, len));
        assert_int_not_equal(hash_bytes(zeroes, len), hash_bytes(zeroes, len - 1));
    }
}

struct item {
    UT_hash_handle hh;
    int number;
    char key[8];
};

TEST_CASE(a_table_finds_what_it_holds)
{
    struct item items[100] = {0};
    struct item *table = NULL, *found;
    for (int i = 0; i < 100; i++) {
        items[i].number = i;
        (void)snprintf(items[i].key, sizeof(items[i].key), "k%d", i);
        HASH_ADD_STR(table, key, &items[i]);
    }
    assert_int_equal(HASH_COUNT(table), 100);
    HASH_FIND_STR(table, "k42", found);
    assert_ptr_equal(found, &items[42]);
    HASH_FIND_STR(table, "k100", found);
    assert_null(found);
    HASH_CLEAR(hh, table);
}

TEST_MAIN(TEST(fnv_hashes_are_the_published_ones), TEST(a_hash_continued_is_the_hash_of_the_whole),
          TEST(the_keyed_hash_is_stable_and_spreads), TEST(every_byte_and_the_length_count),
          TEST(a_table_finds_what_it_holds))
