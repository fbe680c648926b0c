#include "server/guard_internal.h"

#include "base/arena.h"
#include "base/buf.h"
#include "kube/kinds.h"
#include "tests/lib/test.h"

#include "authorization.pb-c.h"

static const struct kube_kind *kind(void)
{
    return kube_kind_find(guard_access_review.api_version, guard_access_review.kind);
}

TEST_CASE(the_question_is_as_the_kubelet_asks_it)
{
    static const char *const groups[] = {"a", "b"}, *const values[] = {"v", "w"};
    static const struct server_user_extra extra[] = {{"k", values, 2}, {"l", NULL, 0}};
    static const struct server_user bob = {.name = "bob",
                                           .uid = "u-1",
                                           .groups = groups,
                                           .group_count = 2,
                                           .extra = extra,
                                           .extra_count = 2};
    static const struct server_user plain = {.name = "eve", .uid = ""};
    static const struct {
        struct guard_wish wish;
        const char *want;
    } rows[] = {
        {{&bob, "get", "proxy", "node-a"},
         "{\"kind\":\"SubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/v1\","
         "\"spec\":{\"resourceAttributes\":{\"verb\":\"get\",\"version\":\"v1\","
         "\"resource\":\"nodes\",\"subresource\":\"proxy\",\"name\":\"node-a\"},\"user\":\"bob\","
         "\"groups\":[\"a\",\"b\"],\"extra\":{\"k\":[\"v\",\"w\"],\"l\":[]},\"uid\":\"u-1\"}}"},
        {{&plain, "", "log", "node-a"},
         "{\"kind\":\"SubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/v1\","
         "\"spec\":{\"resourceAttributes\":{\"version\":\"v1\","
         "\"resource\":\"nodes\",\"subresource\":\"log\",\"name\":\"node-a\"},\"user\":\"eve\"}}"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(buf) struct buf text = {0};
        buf_init(&text, 4 * KiB);
        kube_encode_any(guard_access_question(&rows[i].wish, arena), kind(), KUBE_JSON, &text);
        assert_string_equal(buf_text(&text), rows[i].want);
    }
}

TEST_CASE(different_wishes_have_different_texts)
{
    static const char *const ab[] = {"a", "b"}, *const a[] = {"a"}, *const trick[] = {"a1:b"},
                             *const empty[] = {""};
    static const struct server_user_extra k_a[] = {{"k", a, 1}}, k_ab[] = {{"k", ab, 2}},
                                          k_none[] = {{"k", NULL, 0}},
                                          a_k[] = {{"a", NULL, 0}, {"k", NULL, 0}};
    static const struct server_user users[] = {
        {.name = "bob", .uid = ""},
        {.name = "bob", .uid = "u"},
        {.name = "bobu", .uid = ""},
        {.name = "", .uid = "bob"},
        {.name = "bob", .uid = "", .groups = a, .group_count = 1},
        {.name = "bob", .uid = "", .groups = ab, .group_count = 2},
        {.name = "bob", .uid = "", .groups = trick, .group_count = 1},
        {.name = "bob", .uid = "", .groups = empty, .group_count = 1},
        {.name = "bob", .uid = "", .extra = k_a, .extra_count = 1},
        {.name = "bob", .uid = "", .extra = k_ab, .extra_count = 1},
        {.name = "bob", .uid = "", .extra = k_none, .extra_count = 1},
        {.name = "bob", .uid = "", .extra = a_k, .extra_count = 2},
    };
    static const char *const rights[][2] = {
        {"get", "proxy"}, {"create", "proxy"}, {"", "proxy"}, {"get", "pods"}};
    enum { COUNT = ARRAY_SIZE(users) * ARRAY_SIZE(rights) };
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *texts[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        const char *const *right = rights[i % ARRAY_SIZE(rights)];
        const struct guard_wish wish = {&users[i / ARRAY_SIZE(rights)], right[0], right[1], "n"};
        AUTO(buf) struct buf text = {0};
        buf_init(&text, 4 * KiB);
        guard_access_text(&wish, &text);
        texts[i] = arena_strdup(arena, buf_text(&text));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(texts[i], texts[k]);
    }
}

TEST_CASE(a_wish_without_measure_is_not_kept)
{
    static const struct server_user bob = {.name = "bob", .uid = ""};
    static const struct guard_wish wish = {&bob, "get", "proxy", "node-a"};
    char path[10001];
    memset(path, 'x', sizeof(path));
    size_t others = strlen("get") + strlen("v1") + strlen("nodes") + strlen("proxynode-a");
    path[9999 - others] = '\0';
    assert_true(guard_access_is_kept(&wish, path));
    path[9999 - others] = 'x';
    path[10000 - others] = '\0';
    assert_false(guard_access_is_kept(&wish, path));
}

TEST_CASE(the_answer_is_yes_or_no_and_not_both)
{
    static const struct {
        bool allowed, denied;
        const char *want;
    } rows[] = {
        {true, false, "yes"},
        {false, false, "no"},
        {false, true, "no"},
        {true, true, "the server's SubjectAccessReview both allows and denies"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    Authorization__SubjectAccessReview review = AUTHORIZATION__SUBJECT_ACCESS_REVIEW__INIT;
    Authorization__SubjectAccessReviewStatus status =
        AUTHORIZATION__SUBJECT_ACCESS_REVIEW_STATUS__INIT;
    struct answer answer = {.is_yes = true};
    assert_no_error(guard_access_review.read(&review.base, arena, &answer));
    assert_false(answer.is_yes);
    review.status = &status;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        status.allowed = rows[i].allowed;
        status.denied = rows[i].denied;
        AUTO(error) struct error *err = guard_access_review.read(&review.base, arena, &answer);
        assert_string_equal(err ? err->message : answer.is_yes ? "yes" : "no", rows[i].want);
    }
}

TEST_MAIN(TEST(the_question_is_as_the_kubelet_asks_it), TEST(different_wishes_have_different_texts),
          TEST(a_wish_without_measure_is_not_kept), TEST(the_answer_is_yes_or_no_and_not_both))
