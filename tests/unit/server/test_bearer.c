#include "server/bearer.h"

#include "tests/lib/test.h"

#define PREFIX "base64url.bearer.authorization.k8s.io."
#define MAX_FIELDS 6

/* What was read, as "first|second|refusal". */
static const char *read_all(const struct http_field *items, struct arena *arena)
{
    struct http_fields fields = {.items = items};
    while (fields.count < MAX_FIELDS && items[fields.count].name)
        fields.count++;
    struct bearer_tokens tokens;
    bearer_read(&fields, arena, &tokens);
    return arena_printf(arena, "%s|%s|%s", tokens.count > 0 ? tokens.texts[0] : "",
                        tokens.count > 1 ? tokens.texts[1] : "",
                        tokens.refusal ? tokens.refusal : "");
}

TEST_CASE(a_token_stands_behind_its_scheme)
{
    static const char *const rows[][2] = {
        {"Bearer abc", "abc||"},     {"bearer abc", "abc||"}, {"BEARER abc", "abc||"},
        {"  Bearer abc  ", "abc||"}, {"Bearer a b", "a||"},   {"Bearer", "||"},
        {"Bearer ", "||"},           {"Bearer  abc", "||"},   {"Basic abc", "||"},
        {"Bearerabc", "||"},         {"abc", "||"},           {"", "||"},
        {"Bearer\tabc", "||"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct http_field fields[MAX_FIELDS] = {{"authorization", rows[i][0]}};
        const char *got = read_all(fields, arena);
        if (!text_eq(got, rows[i][1]))
            fail_msg("\"%s\": %s", rows[i][0], got);
    }
    static const struct http_field twice[MAX_FIELDS] = {{"authorization", "Bearer a"},
                                                        {"authorization", "Bearer b"}};
    assert_string_equal(read_all(twice, arena), "a||");
}

#define UPGRADE                                                                                    \
    {"connection", "keep-alive, Upgrade"},                                                         \
    {                                                                                              \
        "upgrade", "WebSocket"                                                                     \
    }

TEST_CASE(a_token_may_hide_among_the_subprotocols_of_a_websocket)
{
    static const struct {
        const char *name;
        struct http_field fields[MAX_FIELDS];
        const char *want;
    } rows[] = {
        {"good", {UPGRADE, {"sec-websocket-protocol", "v5.x, " PREFIX "YWJj"}}, "abc||"},
        {"first", {UPGRADE, {"sec-websocket-protocol", PREFIX "YWJj,v5.x"}}, "abc||"},
        {"in two fields",
         {UPGRADE, {"sec-websocket-protocol", PREFIX "YWJj"}, {"sec-websocket-protocol", "v5.x"}},
         "abc||"},
        {"no upgrade", {{"sec-websocket-protocol", "v5.x," PREFIX "YWJj"}}, "||"},
        {"another upgrade",
         {{"connection", "upgrade"},
          {"upgrade", "SPDY/3.1"},
          {"sec-websocket-protocol", "v5.x," PREFIX "YWJj"}},
         "||"},
        {"an upgrade nobody announced",
         {{"upgrade", "websocket"}, {"sec-websocket-protocol", "v5.x," PREFIX "YWJj"}},
         "||"},
        {"none", {UPGRADE, {"sec-websocket-protocol", "v5.x"}}, "||"},
        {"alone",
         {UPGRADE, {"sec-websocket-protocol", PREFIX "YWJj"}},
         "||missing additional subprotocol"},
        {"empty", {UPGRADE, {"sec-websocket-protocol", "v5.x," PREFIX}}, "||"},
        {"empty and alone", {UPGRADE, {"sec-websocket-protocol", PREFIX}}, "||"},
        {"two",
         {UPGRADE, {"sec-websocket-protocol", "v5.x," PREFIX "YWJj," PREFIX "YWJj"}},
         "||multiple base64.bearer.authorization tokens specified"},
        {"padded",
         {UPGRADE, {"sec-websocket-protocol", "v5.x," PREFIX "YQ=="}},
         "||invalid base64.bearer.authorization token encoding"},
        {"no UTF-8",
         {UPGRADE, {"sec-websocket-protocol", "v5.x," PREFIX "_w"}},
         "||invalid base64.bearer.authorization token"},
        {"with a NUL",
         {UPGRADE, {"sec-websocket-protocol", "v5.x," PREFIX "YQBi"}},
         "||invalid base64.bearer.authorization token"},
        {"in another case",
         {UPGRADE, {"sec-websocket-protocol", "v5.x,Base64url.bearer.authorization.k8s.io.YWJj"}},
         "||"},
        {"behind another token",
         {UPGRADE,
          {"authorization", "Bearer one"},
          {"sec-websocket-protocol", "v5.x," PREFIX "YWJj"}},
         "one|abc|"},
        {"bad behind another token",
         {UPGRADE, {"authorization", "Bearer one"}, {"sec-websocket-protocol", PREFIX "YWJj"}},
         "one||missing additional subprotocol"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *got = read_all(rows[i].fields, arena);
        if (!text_eq(got, rows[i].want))
            fail_msg("%s: %s", rows[i].name, got);
    }
}

TEST_CASE(what_is_passed_on_has_no_credentials)
{
    static const struct http_field items[] = {
        {"host", "node-a"},
        {"authorization", "Bearer abc"},
        {"authorization", "Basic abc"},
        {"sec-websocket-protocol", "v5.x , " PREFIX "YWJj,v4.x"},
        {"sec-websocket-protocol", PREFIX "YWJj"},
        {"sec-websocket-protocol", "a, b"},
        {"x", PREFIX "YWJj"},
    };
    static const struct http_field want[] = {
        {"host", "node-a"},
        {"sec-websocket-protocol", "v5.x,v4.x"},
        {"sec-websocket-protocol", "a, b"},
        {"x", PREFIX "YWJj"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct http_fields fields = {items, ARRAY_SIZE(items)};
    struct http_fields got = bearer_strip(&fields, arena);
    assert_int_equal(got.count, ARRAY_SIZE(want));
    for (size_t i = 0; i < got.count; i++) {
        assert_string_equal(got.items[i].name, want[i].name);
        assert_string_equal(got.items[i].value, want[i].value);
    }
    got = bearer_strip(&(struct http_fields){0}, arena);
    assert_int_equal(got.count, 0);
}

TEST_MAIN(TEST(a_token_stands_behind_its_scheme),
          TEST(a_token_may_hide_among_the_subprotocols_of_a_websocket),
          TEST(what_is_passed_on_has_no_credentials))
