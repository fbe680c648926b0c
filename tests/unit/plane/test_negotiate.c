#include "plane/negotiate.h"
#include "tests/lib/test.h"

#define TABLE ";as=Table;v=v1;g=meta.k8s.io"
#define PROTOBUF "application/vnd.kubernetes.protobuf"

static struct http_target *target_of(const char *raw, struct arena *arena)
{
    struct http_target *target = arena_calloc(arena, 1, sizeof(*target));
    assert_no_error(http_target_parse(str_from(raw), arena, target));
    return target;
}

TEST_CASE(the_answer_has_the_form_that_was_asked_for)
{
    static const struct {
        const char *accept;
        enum kube_encoding encoding;
        enum reply_form form;
        const char *type, *watch_type;
    } rows[] = {
        {"", KUBE_JSON, REPLY_OBJECT, "application/json", "application/json"},
        {"*/*", KUBE_JSON, REPLY_OBJECT, "application/json", "application/json"},
        {"application/*", KUBE_JSON, REPLY_OBJECT, "application/json", "application/json"},
        {"Application/JSON; charset=utf-8", KUBE_JSON, REPLY_OBJECT, "application/json",
         "application/json"},
        {"application/yaml", KUBE_YAML, REPLY_OBJECT, "application/yaml", "application/json"},
        {PROTOBUF, KUBE_PROTOBUF, REPLY_OBJECT, PROTOBUF, PROTOBUF ";stream=watch"},
        {PROTOBUF ", application/json", KUBE_PROTOBUF, REPLY_OBJECT, PROTOBUF,
         PROTOBUF ";stream=watch"},
        {"application/json;q=0.5," PROTOBUF ";q=0.9", KUBE_PROTOBUF, REPLY_OBJECT, PROTOBUF,
         PROTOBUF ";stream=watch"},
        {PROTOBUF ";q=0,application/yaml", KUBE_YAML, REPLY_OBJECT, "application/yaml",
         "application/json"},
        {"text/html,application/cbor,*/*;q=0.1", KUBE_JSON, REPLY_OBJECT, "application/json",
         "application/json"},
        /* kubectl 1.20 */
        {"application/json" TABLE ",application/json;as=Table;v=v1beta1;g=meta.k8s.io,"
         "application/json",
         KUBE_JSON, REPLY_TABLE, "application/json", "application/json"},
        {"application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", KUBE_JSON,
         REPLY_OBJECT, "application/json", "application/json"},
        {PROTOBUF TABLE ",application/json" TABLE, KUBE_JSON, REPLY_TABLE, "application/json",
         "application/json"},
        {PROTOBUF ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1", KUBE_PROTOBUF, REPLY_PARTIAL,
         PROTOBUF, PROTOBUF ";stream=watch"},
        {"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", KUBE_JSON,
         REPLY_PARTIAL, "application/json", "application/json"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct http_target *target = target_of("/", arena);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i].accept);
        struct negotiated got;
        assert_null(negotiate(rows[i].accept, target, "", arena, &got));
        assert_int_equal(got.encoding, rows[i].encoding);
        assert_int_equal(got.form, rows[i].form);
        assert_string_equal(got.content_type, rows[i].type);
        assert_string_equal(got.watch_content_type, rows[i].watch_type);
    }
}

TEST_CASE(what_is_not_offered_is_refused)
{
    static const char *const rows[] = {"text/html",
                                       "application/cbor",
                                       "application/json;as=Tree;v=v1;g=meta.k8s.io",
                                       "application/json;as=Table;v=v2;g=meta.k8s.io",
                                       "application/json;q=0",
                                       PROTOBUF TABLE,
                                       ","};
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct http_target *target = target_of("/", arena);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i]);
        struct negotiated got;
        const Meta__Status *failure = negotiate(rows[i], target, "", arena, &got);
        assert_non_null(failure);
        assert_int_equal(failure->code, 406);
        assert_string_equal(failure->reason, "NotAcceptable");
    }
}

TEST_CASE(a_table_says_how_much_of_its_objects_goes_along)
{
    static const struct {
        const char *target;
        enum table_include include;
    } rows[] = {
        {"/", TABLE_INCLUDE_METADATA},
        {"/?includeObject=", TABLE_INCLUDE_METADATA},
        {"/?includeObject=Metadata", TABLE_INCLUDE_METADATA},
        {"/?includeObject=Object", TABLE_INCLUDE_OBJECT},
        {"/?includeObject=None", TABLE_INCLUDE_NONE},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    struct negotiated got;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_null(
            negotiate("application/json" TABLE, target_of(rows[i].target, arena), "", arena, &got));
        assert_int_equal(got.include, rows[i].include);
    }
    const struct http_target *target = target_of("/?includeObject=All", arena);
    const Meta__Status *failure = negotiate("application/json" TABLE, target, "", arena, &got);
    assert_non_null(failure);
    assert_int_equal(failure->code, 400);
    assert_string_equal(failure->message,
                        "Unable to convert to Table as requested: includeObject: Invalid value:"
                        " \"All\": must be 'Metadata', 'Object', 'None', or empty");
    /* It is nobody's business when no table is asked for. */
    assert_null(negotiate("", target, "", arena, &got));
}

TEST_CASE(people_see_indented_json)
{
    static const struct {
        const char *target, *user_agent, *accept;
        bool is_pretty;
    } rows[] = {
        {"/", "kubectl/v1.32.4", "", false},
        {"/", "curl/7.88.1", "", true},
        {"/", "Wget/1.21", "", true},
        {"/", "Mozilla/5.0", "", true},
        {"/?pretty=true", "x", "", true},
        {"/?pretty=1", "x", "", true},
        {"/?pretty=false", "curl/7", "", false},
        {"/?pretty=0", "curl/7", "", false},
        {"/?pretty=maybe", "curl/7", "", false},
        {"/?pretty=", "curl/7", "", true},
        {"/?pretty=true", "x", PROTOBUF, false},
        {"/?pretty=true", "x", "application/yaml", false},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s %s\n", rows[i].target, rows[i].user_agent);
        struct negotiated got;
        assert_null(negotiate(rows[i].accept, target_of(rows[i].target, arena), rows[i].user_agent,
                              arena, &got));
        assert_int_equal(got.is_pretty, rows[i].is_pretty);
    }
}

TEST_CASE(a_body_is_what_its_type_says)
{
    static const struct {
        const char *type;
        enum kube_encoding encoding;
    } rows[] = {
        {"", KUBE_JSON},
        {"application/json", KUBE_JSON},
        {"APPLICATION/Json ; charset=utf-8", KUBE_JSON},
        {"application/yaml", KUBE_YAML},
        {PROTOBUF, KUBE_PROTOBUF},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    enum kube_encoding got;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i].type);
        assert_null(negotiate_body(rows[i].type, arena, &got));
        assert_int_equal(got, rows[i].encoding);
    }
    const Meta__Status *failure = negotiate_body("text/plain", arena, &got);
    assert_non_null(failure);
    assert_int_equal(failure->code, 415);
    assert_string_equal(failure->reason, "UnsupportedMediaType");
}

TEST_MAIN(TEST(the_answer_has_the_form_that_was_asked_for), TEST(what_is_not_offered_is_refused),
          TEST(a_table_says_how_much_of_its_objects_goes_along), TEST(people_see_indented_json),
          TEST(a_body_is_what_its_type_says))
