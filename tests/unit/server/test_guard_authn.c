#include "server/guard_internal.h"

#include "base/arena.h"
#include "base/buf.h"
#include "kube/kinds.h"
#include "tests/lib/test.h"

#include "authentication.pb-c.h"

/* A user as one line. */
static const char *shown(const struct server_user *user, struct arena *arena)
{
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 4 * KiB);
    if (!user)
        return "nobody";
    buf_printf(&out, "%s/%s", user->name, user->uid);
    for (size_t i = 0; i < user->group_count; i++)
        buf_printf(&out, " %s", user->groups[i]);
    for (size_t i = 0; i < user->extra_count; i++) {
        buf_printf(&out, " %s=", user->extra[i].key);
        for (size_t k = 0; k < user->extra[i].value_count; k++)
            buf_printf(&out, "%s,", user->extra[i].values[k]);
    }
    return arena_strdup(arena, buf_text(&out));
}

TEST_CASE(nobody_in_particular_is_anonymous)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    assert_string_equal(shown(&guard_anonymous, arena), "system:anonymous/ system:unauthenticated");
}

TEST_CASE(a_certificate_names_a_user)
{
    static const char *const groups[] = {"system:nodes", "more"};
    static const struct {
        const char *name;
        struct tls_subject subject;
        const char *want;
    } rows[] = {
        {"all of it",
         {.common_name = "bob",
          .uid = "u-1",
          .organizations = groups,
          .organization_count = 2,
          .sha256 = {0xde, 0xad, 0x0f}},
         "bob/u-1 system:nodes more system:authenticated "
         "authentication.kubernetes.io/credential-id="
         "X509SHA256=dead0f0000000000000000000000000000000000000000000000000000000000,"},
        {"a name alone",
         {.common_name = "bob"},
         "bob/ system:authenticated authentication.kubernetes.io/credential-id="
         "X509SHA256=0000000000000000000000000000000000000000000000000000000000000000,"},
        {"no name",
         {.common_name = "", .organizations = groups, .organization_count = 2},
         "nobody"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *got = shown(guard_user_of_subject(&rows[i].subject, arena), arena);
        if (!text_eq(got, rows[i].want))
            fail_msg("%s: %s", rows[i].name, got);
    }
}

TEST_CASE(a_user_outlives_its_connection)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    char name[] = "bob", group[] = "nodes", uid[] = "u-1";
    const char *const groups[] = {group};
    const struct tls_subject subject = {
        .common_name = name, .uid = uid, .organizations = groups, .organization_count = 1};
    const struct server_user *user = guard_user_of_subject(&subject, arena);
    memset(name, 'x', 3);
    memset(group, 'x', 3);
    memset(uid, 'x', 3);
    assert_true(text_has_prefix(shown(user, arena), "bob/u-1 nodes system:authenticated"));
}

/* --- reviews --- */

static const struct kube_kind *kind(void)
{
    return kube_kind_find(guard_token_review.api_version, guard_token_review.kind);
}

TEST_CASE(the_question_is_the_token_alone)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf text = {0};
    buf_init(&text, 4 * KiB);
    kube_encode_any(guard_token_question("abc", arena), kind(), KUBE_JSON, &text);
    assert_string_equal(buf_text(&text),
                        "{\"kind\":\"TokenReview\",\"apiVersion\":\"authentication.k8s.io/v1\","
                        "\"spec\":{\"token\":\"abc\"}}");
}

/* What a review with @status means: a user, or "no", or why it is no answer. */
static const char *read_status(const char *status, struct arena *arena)
{
    ProtobufCMessage *review = NULL;
    struct answer answer;
    const struct server_user *user = NULL;
    const char *text = arena_printf(arena, "{%s}", status);
    assert_no_error(kube_decode_json(str_from(text), kind()->type, &(struct kube_decode_options){0},
                                     arena, &review));
    AUTO(error) struct error *err = guard_token_review.read(review, arena, &answer);
    if (err)
        return arena_strdup(arena, err->message);
    if (!answer.is_yes)
        return answer.text.len == 0 ? "no" : "no, with a text";
    assert_no_error(guard_user_of_answer(&answer, arena, &user));
    return shown(user, arena);
}

TEST_CASE(the_answer_is_a_user_or_no)
{
    static const char *const rows[][2] = {
        {"\"status\":{\"authenticated\":true,\"user\":{\"username\":\"bob\",\"uid\":\"u-1\","
         "\"groups\":[\"a\",\"b\"],\"extra\":{\"k\":[\"v\",\"w\"],\"l\":[]}}}",
         "bob/u-1 a b system:authenticated k=v,w, l="},
        {"\"status\":{\"authenticated\":true,\"user\":{\"username\":\"bob\"}}",
         "bob/ system:authenticated"},
        {"\"status\":{\"authenticated\":true,\"user\":{\"username\":\"bob\","
         "\"groups\":[\"system:authenticated\",\"a\"]}}",
         "bob/ system:authenticated a"},
        {"\"status\":{\"authenticated\":true,\"user\":{\"username\":\"bob\","
         "\"groups\":[\"system:unauthenticated\"]}}",
         "bob/ system:unauthenticated"},
        {"\"status\":{\"authenticated\":true,\"user\":{\"username\":\"system:anonymous\"}}",
         "system:anonymous/"},
        {"\"status\":{\"authenticated\":true}", "the server's TokenReview names no user"},
        {"\"status\":{\"authenticated\":true,\"user\":{\"groups\":[\"a\"]}}",
         "the server's TokenReview names no user"},
        {"\"status\":{\"authenticated\":false,\"user\":{\"username\":\"bob\"}}", "no"},
        {"\"status\":{\"user\":{\"username\":\"bob\"}}", "no"},
        {"\"status\":{\"error\":\"invalid bearer token\"}", "no"},
        {"", "no"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *got = read_status(rows[i][0], arena);
        if (!text_eq(got, rows[i][1]))
            fail_msg("%s: %s", rows[i][0], got);
    }
}

TEST_MAIN(TEST(nobody_in_particular_is_anonymous), TEST(a_certificate_names_a_user),
          TEST(a_user_outlives_its_connection), TEST(the_question_is_the_token_alone),
          TEST(the_answer_is_a_user_or_no))
