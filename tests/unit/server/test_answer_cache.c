#include "server/answer_cache.h"

#include "tests/lib/test.h"

static struct answer_key key_of(unsigned number)
{
    struct answer_key key = {0};
    memcpy(key.bytes, &number, sizeof(number));
    return key;
}

static void put(struct answer_cache *cache, unsigned number, const char *text, int64_t now_ns,
                int64_t expires_ns)
{
    const struct answer_key key = key_of(number);
    const struct answer answer = {.is_yes = true, .text = str_from(text)};
    answer_cache_put(cache, &key, &answer, now_ns, expires_ns);
}

static bool has(struct answer_cache *cache, unsigned number, int64_t now_ns)
{
    struct answer answer;
    const struct answer_key key = key_of(number);
    return answer_cache_get(cache, &key, now_ns, &answer);
}

static struct answer_cache *cache_new(size_t max_entries, size_t max_bytes)
{
    const struct answer_cache_limits limits = {max_entries, max_bytes};
    return answer_cache_new(&limits);
}

TEST_CASE(an_answer_is_kept_with_its_text)
{
    AUTO(answer_cache) struct answer_cache *cache = cache_new(4, 64);
    const struct answer_key yes = key_of(1), no = key_of(2);
    struct answer got;
    char text[] = "bob";
    put(cache, 1, text, 0, 10);
    memset(text, 'x', sizeof(text)); /* a copy is kept */
    answer_cache_put(cache, &no, &(struct answer){0}, 0, 10);
    assert_true(answer_cache_get(cache, &yes, 0, &got));
    assert_true(got.is_yes);
    assert_true(str_eq_c(got.text, "bob"));
    assert_true(answer_cache_get(cache, &no, 0, &got));
    assert_false(got.is_yes);
    assert_int_equal(got.text.len, 0);
    assert_false(has(cache, 3, 0));

    put(cache, 1, "eve", 1, 10);
    assert_true(answer_cache_get(cache, &yes, 1, &got));
    assert_true(str_eq_c(got.text, "eve"));
    assert_int_equal(answer_cache_count(cache), 2);
}

TEST_CASE(an_answer_expires)
{
    AUTO(answer_cache) struct answer_cache *cache = cache_new(4, 64);
    put(cache, 1, "", 0, 10);
    assert_true(has(cache, 1, 9));
    assert_false(has(cache, 1, 10));
    assert_int_equal(answer_cache_count(cache), 0);
    put(cache, 2, "", 10, 10);
    put(cache, 3, "", 10, 9);
    assert_int_equal(answer_cache_count(cache), 0);
}

TEST_CASE(an_answer_that_may_no_longer_be_kept_takes_the_old_one_with_it)
{
    AUTO(answer_cache) struct answer_cache *cache = cache_new(4, 64);
    put(cache, 1, "old", 0, 10);
    put(cache, 1, "new", 1, 1);
    assert_false(has(cache, 1, 1));
}

TEST_CASE(the_one_not_asked_for_the_longest_goes_first)
{
    AUTO(answer_cache) struct answer_cache *cache = cache_new(3, 64);
    for (unsigned i = 1; i <= 3; i++)
        put(cache, i, "", 0, 10);
    assert_true(has(cache, 1, 0));
    assert_true(has(cache, 3, 0)); /* the last one, which stays the last */
    put(cache, 4, "", 0, 10);
    assert_int_equal(answer_cache_count(cache), 3);
    assert_false(has(cache, 2, 0));
    put(cache, 5, "", 0, 10);
    assert_false(has(cache, 1, 0));
    assert_true(has(cache, 3, 0));
    assert_true(has(cache, 4, 0));
    assert_true(has(cache, 5, 0));
}

TEST_CASE(texts_have_a_limit_together_and_a_share_of_it_each)
{
    AUTO(answer_cache) struct answer_cache *cache = cache_new(100, 20);
    put(cache, 1, "12345", 0, 10);
    put(cache, 2, "12345", 0, 10);
    put(cache, 3, "12345", 0, 10);
    put(cache, 4, "12345", 0, 10);
    assert_int_equal(answer_cache_count(cache), 4);
    put(cache, 5, "123456", 0, 10); /* more than a quarter */
    assert_false(has(cache, 5, 0));
    assert_int_equal(answer_cache_count(cache), 4);
    put(cache, 6, "1", 0, 10);
    assert_false(has(cache, 1, 0));
    assert_true(has(cache, 2, 0));
    put(cache, 7, "1234", 0, 10); /* fits where the first was */
    assert_int_equal(answer_cache_count(cache), 5);
}

TEST_CASE(what_nobody_asks_for_again_goes_when_others_come)
{
    AUTO(answer_cache) struct answer_cache *cache = cache_new(1000, 64);
    for (unsigned i = 0; i < 100; i++)
        put(cache, i, "", 0, 10);
    for (unsigned i = 100; i < 160; i++)
        put(cache, i, "", 10, 20);
    assert_int_equal(answer_cache_count(cache), 60);
}

TEST_MAIN(TEST(an_answer_is_kept_with_its_text), TEST(an_answer_expires),
          TEST(an_answer_that_may_no_longer_be_kept_takes_the_old_one_with_it),
          TEST(the_one_not_asked_for_the_longest_goes_first),
          TEST(texts_have_a_limit_together_and_a_share_of_it_each),
          TEST(what_nobody_asks_for_again_goes_when_others_come))
