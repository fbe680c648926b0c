#include "image/credential_provider_cache.h"

#include "tests/lib/test.h"

#define NOBODY ((struct str){.len = 0})

static void put(struct credential_cache *cache, enum credential_cache_key key, const char *image,
                struct str account, const char *user, int64_t expires_ns)
{
    struct credential_response response = {.cache_key = key};
    response.set.logins = xcalloc(1, sizeof(*response.set.logins));
    response.set.logins[0] = (struct registry_login){
        .location = xstrdup("r"), .username = xstrdup(user), .password = xstrdup("p")};
    response.set.count = 1;
    credential_cache_put(cache, image, account, &response, expires_ns);
    assert_null(response.set.logins);
}

static const char *find(struct credential_cache *cache, const char *image, struct str account,
                        int64_t now_ns)
{
    const struct credential_set *set = credential_cache_find(cache, image, account, now_ns);
    return set ? set->logins[0].username : "";
}

TEST_CASE(an_answer_is_good_for_what_its_key_says)
{
    AUTO(credential_cache) struct credential_cache *cache = credential_cache_new(0);
    put(cache, CREDENTIAL_CACHE_GLOBAL, "x.example/a", NOBODY, "global", 100);
    put(cache, CREDENTIAL_CACHE_REGISTRY, "r.example:5000/team/a", NOBODY, "registry", 100);
    put(cache, CREDENTIAL_CACHE_IMAGE, "r.example:5000/team/a", NOBODY, "image", 100);
    static const struct {
        const char *image, *want;
    } rows[] = {
        {"r.example:5000/team/a", "image"},
        {"r.example:5000/team/ab", "registry"},
        {"r.example:5000/other", "registry"},
        {"r.example/team/a", "global"},
        {"x.example/a", "global"},
        {"global/a", "global"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(find(cache, rows[i].image, NOBODY, 1), rows[i].want);
}

TEST_CASE(accounts_do_not_share)
{
    AUTO(credential_cache) struct credential_cache *cache = credential_cache_new(0);
    struct str one = STR_LITERAL("1"), two = STR_LITERAL("2");
    put(cache, CREDENTIAL_CACHE_GLOBAL, "r/a", one, "one", 100);
    assert_string_equal(find(cache, "r/a", one, 1), "one");
    assert_string_equal(find(cache, "r/a", two, 1), "");
    assert_string_equal(find(cache, "r/a", NOBODY, 1), "");
    put(cache, CREDENTIAL_CACHE_GLOBAL, "r/b", two, "two", 100);
    assert_string_equal(find(cache, "r/a", two, 1), "two");
    assert_string_equal(find(cache, "r/a", one, 1), "one");
}

TEST_CASE(what_has_expired_is_not_found)
{
    AUTO(credential_cache) struct credential_cache *cache = credential_cache_new(0);
    put(cache, CREDENTIAL_CACHE_IMAGE, "r/a", NOBODY, "image", 10);
    put(cache, CREDENTIAL_CACHE_REGISTRY, "r/a", NOBODY, "registry", 20);
    assert_string_equal(find(cache, "r/a", NOBODY, 10), "image");
    assert_string_equal(find(cache, "r/a", NOBODY, 11), "registry");
    assert_int_equal(credential_cache_count(cache), 1);
    put(cache, CREDENTIAL_CACHE_REGISTRY, "r/b", NOBODY, "newer", 30);
    assert_string_equal(find(cache, "r/a", NOBODY, 21), "newer");
    assert_string_equal(find(cache, "r/a", NOBODY, 31), "");
    assert_int_equal(credential_cache_count(cache), 0);
}

TEST_CASE(what_nobody_asks_for_goes_every_quarter_of_an_hour)
{
    AUTO(credential_cache) struct credential_cache *cache = credential_cache_new(0);
    put(cache, CREDENTIAL_CACHE_IMAGE, "r/a", NOBODY, "a", 10);
    put(cache, CREDENTIAL_CACHE_IMAGE, "r/b", NOBODY, "b", 2 * CREDENTIAL_CACHE_PURGE_NS);
    (void)find(cache, "s/c", NOBODY, CREDENTIAL_CACHE_PURGE_NS);
    assert_int_equal(credential_cache_count(cache), 2);
    (void)find(cache, "s/c", NOBODY, CREDENTIAL_CACHE_PURGE_NS + 1);
    assert_int_equal(credential_cache_count(cache), 1);
    put(cache, CREDENTIAL_CACHE_IMAGE, "r/a", NOBODY, "a", 10);
    (void)find(cache, "s/c", NOBODY, 2 * CREDENTIAL_CACHE_PURGE_NS + 1);
    assert_int_equal(credential_cache_count(cache), 2);
}

TEST_CASE(a_full_cache_drops_what_expires_first)
{
    AUTO(credential_cache) struct credential_cache *cache = credential_cache_new(0);
    AUTO(arena) struct arena *arena = arena_new(0);
    for (int i = 0; i < CREDENTIAL_CACHE_MAX_ENTRIES; i++)
        put(cache, CREDENTIAL_CACHE_IMAGE, arena_printf(arena, "r/%d", i), NOBODY, "u", 1000 - i);
    put(cache, CREDENTIAL_CACHE_IMAGE, "r/0", NOBODY, "again", 1000); /* takes no more room */
    assert_int_equal(credential_cache_count(cache), CREDENTIAL_CACHE_MAX_ENTRIES);
    put(cache, CREDENTIAL_CACHE_IMAGE, "r/new", NOBODY, "new", 1);
    assert_int_equal(credential_cache_count(cache), CREDENTIAL_CACHE_MAX_ENTRIES);
    assert_string_equal(find(cache, "r/new", NOBODY, -100), "new");
    assert_string_equal(find(cache, "r/0", NOBODY, -100), "again");
    assert_string_equal(
        find(cache, arena_printf(arena, "r/%d", CREDENTIAL_CACHE_MAX_ENTRIES - 1), NOBODY, -100),
        "");
}

TEST_MAIN(TEST(an_answer_is_good_for_what_its_key_says), TEST(accounts_do_not_share),
          TEST(what_has_expired_is_not_found),
          TEST(what_nobody_asks_for_goes_every_quarter_of_an_hour),
          TEST(a_full_cache_drops_what_expires_first))
