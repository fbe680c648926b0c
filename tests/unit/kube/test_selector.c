#include "kube/selector.h"
#include "tests/lib/test.h"

#include "core.pb-c.h"
#include "events.pb-c.h"

#define LABELS_MAX 4

struct labels {
    Meta__ObjectMeta meta;
    Meta__ObjectMeta__LabelsEntry entries[LABELS_MAX];
    Meta__ObjectMeta__LabelsEntry *pointers[LABELS_MAX];
};

/* "a=1 b=2"; the texts live in @arena. */
static const Meta__ObjectMeta *make_labels(const char *text, struct labels *labels,
                                           struct arena *arena)
{
    struct str rest = str_from(text), pair;
    labels->meta = (Meta__ObjectMeta)META__OBJECT_META__INIT;
    labels->meta.labels = labels->pointers;
    while (text[0] && str_split_next(&rest, ' ', &pair)) {
        size_t equals = str_find(pair, '='), i = labels->meta.n_labels++;
        labels->entries[i] = (Meta__ObjectMeta__LabelsEntry)META__OBJECT_META__LABELS_ENTRY__INIT;
        labels->entries[i].key = arena_strndup(arena, pair.ptr, equals);
        labels->entries[i].value =
            arena_strndup(arena, pair.ptr + equals + 1, pair.len - equals - 1);
        labels->pointers[i] = &labels->entries[i];
    }
    return &labels->meta;
}

TEST_CASE(label_selectors_match_as_in_kubernetes)
{
    static const struct {
        const char *selector, *labels;
        bool matches;
    } rows[] = {
        {"", "", true},
        {"", "a=1", true},
        {"a=1", "a=1", true},
        {"a=1", "a=2", false},
        {"a=1", "b=1", false},
        {"a==1", "a=1", true},
        {"a", "a=", true},
        {"a", "b=1", false},
        {"!a", "b=1", true},
        {"! a", "a=1", false},
        {"a=", "a=", true},
        {"a=", "b=1", false},
        {"a!=1", "a=2", true},
        {"a!=1", "b=1", true},
        {"a!=1", "a=1", false},
        {"a in (1,2)", "a=2", true},
        {"a in (1,2)", "a=3", false},
        {"a in (1,2)", "", false},
        {"a in ()", "a=", true},
        {"a in (,1)", "a=", true},
        {"a in (1,)", "a=", true},
        {"a in (1,,2)", "a=", true},
        {"a notin (1,2)", "a=3", true},
        {"a notin (1,2)", "a=1", false},
        {"a notin (1,2)", "", true},
        {"a=1,b=2", "a=1 b=2", true},
        {"a=1,b=2", "a=1", false},
        {" a = 1 ,\tb notin ( 3 ) ,!c", "a=1 b=2", true},
        {"in=notin", "in=notin", true},
        {"in in (in,notin)", "in=in", true},
        {"notin", "notin=", true},
        {"a>1", "a=2", true},
        {"a>1", "a=1", false},
        {"a<1", "a=-1", true},
        {"a<1", "a=x", false},
        {"a<1", "", false},
        {"example.com/role=web", "example.com/role=web", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct label_selector *selector;
        struct labels labels;
        const Meta__ObjectMeta *meta = make_labels(rows[i].labels, &labels, arena);
        assert_no_error(label_selector_parse(rows[i].selector, arena, &selector));
        print_message("%s on %s\n", rows[i].selector, rows[i].labels);
        assert_int_equal(label_selector_matches(selector, meta), rows[i].matches);
        assert_int_equal(label_selector_is_empty(selector), rows[i].selector[0] == '\0');
        if (rows[i].labels[0] == '\0')
            assert_int_equal(label_selector_matches(selector, NULL), rows[i].matches);
    }
}

#define KEY_FAULT                                                                                  \
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "  \
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for " \
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
#define VALUE_FAULT                                                                                \
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "    \
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value', " \
    " or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
#define CANNOT "unable to parse requirement: "

TEST_CASE(malformed_label_selectors_are_refused_in_the_servers_words)
{
    static const struct {
        const char *selector, *message;
    } rows[] = {
        {"a b", CANNOT "found 'b', expected: in, notin, =, ==, !=, gt, lt"},
        {"a in", CANNOT "found '' expected: '('"},
        {"a in b", CANNOT "found 'b' expected: '('"},
        {"a in (", CANNOT "found '', expected: ',', ')' or identifier"},
        {"a in (b", CANNOT "found '', expected: ',' or ')'"},
        {"a in (b c)", CANNOT "found 'c', expected: ',' or ')'"},
        {"a in (b,", CANNOT "found '', expected: ',', or identifier"},
        {"a in (=)", CANNOT "found '=', expected: ',', ')' or identifier"},
        {"a=(", CANNOT "found '(', expected: identifier"},
        {"a==!", CANNOT "found '!', expected: identifier"},
        {"!", CANNOT "found '', expected: identifier"},
        {"!!a", CANNOT "found '!', expected: identifier"},
        {"!a=1", "found '=', expected: ',' or 'end of string'"},
        {"a=1 b", "found 'b', expected: ',' or 'end of string'"},
        {"a,", "found '', expected: identifier after ','"},
        {"a,,b", "found ',', expected: identifier after ','"},
        {"=a", "found '=', expected: !, identifier, or 'end of string'"},
        {",a", "found ',', expected: !, identifier, or 'end of string'"},
        {"-a=1", CANNOT "<nil>: Invalid value: \"-a\": " KEY_FAULT},
        {"/a", CANNOT "<nil>: Invalid value: \"/a\": prefix part must be non-empty"},
        {"a=b/c", CANNOT "values[0][a]: Invalid value: \"b/c\": " VALUE_FAULT},
        {"a in (b,-)", CANNOT "values[0][a]: Invalid value: \"-\": " VALUE_FAULT},
        {"a>b", CANNOT "values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must "
                       "be an integer"},
        {"a>b/c",
         CANNOT "[values[0]: Invalid value: \"b/c\": for 'Gt', 'Lt' operators, the value "
                "must be an integer, values[0][a]: Invalid value: \"b/c\": " VALUE_FAULT "]"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct label_selector *selector = NULL;
        print_message("%s\n", rows[i].selector);
        assert_error_message(label_selector_parse(rows[i].selector, arena, &selector),
                             rows[i].message);
        assert_null(selector);
    }
}

TEST_CASE(label_selectors_have_one_text)
{
    static const struct {
        const char *selector, *text;
    } rows[] = {
        {"", ""},
        {"b = 2, a==1", "a==1,b=2"},
        {"a notin (c,b,c),!d,e", "a notin (b,c),!d,e"},
        {"a in (x)", "a in (x)"},
        {"a!=1,a<3,a>1,z=", "a!=1,a<3,a>1,z="},
        {"a in (1,)", "a in (,1)"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        AUTO(buf) struct buf text;
        const struct label_selector *selector;
        buf_init(&text, KiB);
        assert_no_error(label_selector_parse(rows[i].selector, arena, &selector));
        label_selector_write(selector, &text);
        assert_string_equal(buf_text(&text), rows[i].text);
    }
}

static const Meta__LabelSelector *decode_selector(const char *json, struct arena *arena)
{
    const struct kube_decode_options strict = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *message;
    assert_no_error(kube_decode_json(str_from(json), &meta__label_selector__descriptor, &strict,
                                     arena, &message));
    return (const Meta__LabelSelector *)message;
}

TEST_CASE(selectors_of_objects_become_the_same)
{
    static const struct {
        const char *json, *text;
    } rows[] = {
        {"{}", ""},
        {"{\"matchLabels\":{\"b\":\"2\",\"a\":\"1\"}}", "a=1,b=2"},
        {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"In\",\"values\":[\"y\",\"x\"]},"
         "{\"key\":\"b\",\"operator\":\"NotIn\",\"values\":[\"x\"]},"
         "{\"key\":\"c\",\"operator\":\"Exists\"},{\"key\":\"d\",\"operator\":\"DoesNotExist\"}]}",
         "a in (x,y),b notin (x),c,!d"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct label_selector *selector;
    struct labels labels;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(buf) struct buf text;
        buf_init(&text, KiB);
        assert_no_error(
            label_selector_from_message(decode_selector(rows[i].json, arena), arena, &selector));
        label_selector_write(selector, &text);
        assert_string_equal(buf_text(&text), rows[i].text);
    }
    assert_no_error(label_selector_from_message(NULL, arena, &selector));
    assert_false(label_selector_matches(selector, make_labels("a=1", &labels, arena)));
    assert_false(label_selector_is_empty(selector));
}

TEST_CASE(malformed_selectors_of_objects_are_refused)
{
    static const struct {
        const char *json, *message;
    } rows[] = {
        {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"in\"}]}",
         "\"in\" is not a valid label selector operator"},
        {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"In\"}]}",
         "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"},
        {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Exists\",\"values\":[\"x\"]}]}",
         "values: Invalid value: [\"x\"]: values set must be empty for exists and does not exist"},
        {"{\"matchLabels\":{\"/a\":\"1\"}}",
         "key: Invalid value: \"/a\": prefix part must be non-empty"},
        {"{\"matchLabels\":{\"a\":\"b c\"}}", "values[0][a]: Invalid value: \"b c\": " VALUE_FAULT},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct label_selector *selector;
        assert_error_message(
            label_selector_from_message(decode_selector(rows[i].json, arena), arena, &selector),
            rows[i].message);
    }
}

/* --- fields --- */

static const char *value_of(UNUSED void *ctx, const char *path)
{
    if (text_eq(path, "metadata.name"))
        return "web";
    if (text_eq(path, "odd"))
        return "a,b=c\\d";
    return NULL;
}

TEST_CASE(field_selectors_match_as_in_kubernetes)
{
    static const struct {
        const char *selector;
        bool matches;
    } rows[] = {
        {"", true},
        {",,", true},
        {"metadata.name=web", true},
        {"metadata.name==web", true},
        {"metadata.name=db", false},
        {"metadata.name!=db", true},
        {"metadata.name!=web", false},
        {"spec.nodeName=", true},
        {"spec.nodeName!=", false},
        {"metadata.name=web,spec.nodeName=n", false},
        {"metadata.name=web,spec.nodeName!=n", true},
        {"odd=a\\,b\\=c\\\\d", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct field_selector *selector;
        print_message("%s\n", rows[i].selector);
        assert_no_error(field_selector_parse(rows[i].selector, arena, &selector));
        assert_int_equal(field_selector_matches(selector, value_of, NULL), rows[i].matches);
    }
}

TEST_CASE(malformed_field_selectors_are_refused_in_the_servers_words)
{
    static const struct {
        const char *selector, *message;
    } rows[] = {
        {"a", "invalid selector: 'a'; can't understand 'a'"},
        {"a=1,b", "invalid selector: 'a=1,b'; can't understand 'b'"},
        {"a=b=c", "invalid field selector: unescaped character in value: 61"},
        {"a=\\x", "invalid field selector: invalid escape sequence: \\x"},
        {"a=\\\xc3\xa4", "invalid field selector: invalid escape sequence: \\\xc3\xa4"},
        {"a=b\\", "invalid field selector: invalid escape sequence: \\"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct field_selector *selector;
        assert_error_message(field_selector_parse(rows[i].selector, arena, &selector),
                             rows[i].message);
    }
}

TEST_CASE(field_selectors_have_one_text_and_tell_exact_values)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf text;
    const struct field_selector *selector;
    buf_init(&text, KiB);
    assert_no_error(field_selector_parse("b!=x\\,y,,a==1", arena, &selector));
    field_selector_write(selector, &text);
    assert_string_equal(buf_text(&text), "a=1,b!=x\\,y");
    assert_false(field_selector_is_empty(selector));
    assert_string_equal(field_selector_exact(selector, "a"), "1");
    assert_null(field_selector_exact(selector, "b"));
    assert_null(field_selector_exact(selector, "c"));
    assert_no_error(field_selector_parse("", arena, &selector));
    assert_true(field_selector_is_empty(selector));
}

TEST_CASE(only_the_fields_of_a_kind_are_selectable)
{
    static const struct {
        const char *api_version, *kind, *selector, *message;
    } rows[] = {
        {"v1", "Pod", "spec.nodeName=a,status.phase!=Failed,spec.host=b", NULL},
        {"v1", "Pod", "spec.priority=1", "field label not supported: spec.priority"},
        {"v1", "Node", "spec.unschedulable=true", NULL},
        {"v1", "Node", "metadata.namespace=a", "field label not supported: metadata.namespace"},
        {"v1", "Event", "involvedObject.uid=a,source=kubelet", NULL},
        {"events.k8s.io/v1", "Event", "regarding.uid=a", NULL},
        {"events.k8s.io/v1", "Event", "involvedObject.uid=a",
         "field label not supported: involvedObject.uid"},
        {"v1", "ConfigMap", "metadata.name=a,metadata.namespace=b", NULL},
        {"v1", "ConfigMap", "data=x",
         "\"data\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""},
        {"resource.k8s.io/v1", "ResourceSlice", "spec.nodeName=a,spec.driver=d", NULL},
        {"resource.k8s.io/v1", "ResourceSlice", "spec.pool=a",
         "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: spec.pool"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct field_selector *selector;
        const struct kube_kind *kind = kube_kind_find(rows[i].api_version, rows[i].kind);
        assert_no_error(field_selector_parse(rows[i].selector, arena, &selector));
        if (rows[i].message)
            assert_error_message(field_selector_check(selector, kind), rows[i].message);
        else
            assert_no_error(field_selector_check(selector, kind));
    }
}

TEST_CASE(the_fields_of_objects_are_found)
{
    static const char pod[] =
        "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\",\"namespace\":\"n\"},"
        "\"spec\":{\"nodeName\":\"node-a\",\"hostNetwork\":true},\"status\":{\"podIP\":"
        "\"10.0.0.1\",\"podIPs\":[{\"ip\":\"10.0.0.1\"}]}}";
    static const char empty_pod[] = "{\"kind\":\"Pod\",\"apiVersion\":\"v1\"}";
    static const char node[] = "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"spec\":{}}";
    static const char event[] = "{\"kind\":\"Event\",\"apiVersion\":\"v1\",\"source\":{"
                                "\"component\":\"kubelet\"},\"reportingComponent\":\"x\"}";
    static const char new_event[] = "{\"kind\":\"Event\",\"apiVersion\":\"events.k8s.io/v1\","
                                    "\"reportingController\":\"kubelet\"}";
    static const struct {
        const char *object, *selector;
        bool matches;
    } rows[] = {
        {pod, "metadata.name=a,metadata.namespace=n,spec.nodeName=node-a", true},
        {pod, "spec.host=node-a", true},
        {pod, "spec.hostNetwork=true,status.podIP=10.0.0.1", true},
        {pod, "status.podIPs=", true},
        {pod, "status.phase=Running", false},
        {empty_pod, "spec.hostNetwork=false,spec.nodeName=,metadata.name=", true},
        {empty_pod, "spec.nodeName!=", false},
        {node, "spec.unschedulable=false", true},
        {node, "spec.unschedulable=true", false},
        {event, "source=kubelet,reportingComponent=x", true},
        {event, "involvedObject.kind=Pod", false},
        {new_event, "source=kubelet", true},
    };
    const struct kube_decode_options strict = {.unknown = KUBE_UNKNOWN_STRICT};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct field_selector *selector;
        const struct kube_kind *kind;
        ProtobufCMessage *object;
        print_message("%s\n", rows[i].selector);
        assert_no_error(
            kube_decode_any(str_from(rows[i].object), KUBE_JSON, &strict, arena, &kind, &object));
        assert_no_error(field_selector_parse(rows[i].selector, arena, &selector));
        assert_no_error(field_selector_check(selector, kind));
        assert_int_equal(field_selector_matches_object(selector, kind, object), rows[i].matches);
    }
}

TEST_MAIN(TEST(label_selectors_match_as_in_kubernetes),
          TEST(malformed_label_selectors_are_refused_in_the_servers_words),
          TEST(label_selectors_have_one_text), TEST(selectors_of_objects_become_the_same),
          TEST(malformed_selectors_of_objects_are_refused),
          TEST(field_selectors_match_as_in_kubernetes),
          TEST(malformed_field_selectors_are_refused_in_the_servers_words),
          TEST(field_selectors_have_one_text_and_tell_exact_values),
          TEST(only_the_fields_of_a_kind_are_selectable), TEST(the_fields_of_objects_are_found))
