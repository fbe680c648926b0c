#include "tests/unit/plane/rest_bed.h"

#define MAPS "/api/v1/namespaces/default/configmaps"

static void make_map(struct rest_bed *bed, const char *name, const char *labels)
{
    const char *body = arena_printf(
        bed->arena, "{\"metadata\":{\"name\":\"%s\",\"labels\":{%s}},\"data\":{\"k\":\"v\"}}", name,
        labels);
    rest_must(bed, "POST", MAPS, body);
}

TEST_CASE(a_created_object_has_what_the_server_keeps)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    unsigned code = rest_ask(bed, "POST", MAPS,
                             "{\"metadata\":{\"name\":\"a\",\"uid\":\"mine\",\"generation\":7,"
                             "\"selfLink\":\"/x\",\"deletionTimestamp\":\"2020-01-01T00:00:00Z\"},"
                             "\"data\":{\"k\":\"v\"}}");
    assert_int_equal(code, 201);
    assert_string_equal(rest_field(bed, "kind"), "ConfigMap");
    assert_string_equal(rest_field(bed, "apiVersion"), "v1");
    assert_string_equal(rest_field(bed, "metadata namespace"), "default");
    assert_string_equal(rest_field(bed, "metadata creationTimestamp"), "2026-11-21T10:00:00Z");
    assert_int_equal(strlen(rest_field(bed, "metadata uid")), 36);
    assert_string_equal(rest_field(bed, "metadata generation"), "");
    assert_string_equal(rest_field(bed, "metadata selfLink"), "");
    assert_string_equal(rest_field(bed, "metadata deletionTimestamp"), "");
    assert_string_not_equal(rest_field(bed, "metadata resourceVersion"), "");

    assert_int_equal(rest_ask(bed, "GET", MAPS "/a", NULL), 200);
    assert_string_equal(rest_field(bed, "data k"), "v");
    assert_int_equal(strlen(rest_field(bed, "metadata uid")), 36);
}

TEST_CASE(what_is_wrong_with_a_creation_is_said)
{
    static const struct {
        const char *name, *target, *body;
        unsigned code;
        const char *message;
    } rows[] = {
        {"twice", MAPS, "{\"metadata\":{\"name\":\"there\"}}", 409,
         "configmaps \"there\" already exists"},
        {"no namespace", "/api/v1/namespaces/none/configmaps", "{\"metadata\":{\"name\":\"a\"}}",
         404, "namespaces \"none\" not found"},
        {"another namespace", MAPS, "{\"metadata\":{\"name\":\"a\",\"namespace\":\"other\"}}", 400,
         "the namespace of the provided object does not match the namespace sent on the request"},
        {"no name", MAPS, "{\"metadata\":{}}", 422,
         "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is "
         "required"},
        {"a version", MAPS, "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"5\"}}", 500,
         "resourceVersion should not be set on objects to be created"},
        {"another kind", MAPS, "{\"kind\":\"Secret\",\"metadata\":{\"name\":\"a\"}}", 400, NULL},
        {"another version", MAPS, "{\"apiVersion\":\"v2\",\"metadata\":{\"name\":\"a\"}}", 400,
         "the API version in the data (v2) does not match the expected API version (v1)"},
        {"no JSON", MAPS, "{", 400, NULL},
        {"a bad name", MAPS, "{\"metadata\":{\"name\":\"A\"}}", 422,
         "ConfigMap \"A\" is invalid: metadata.name: Invalid value: \"A\": a lowercase RFC 1123 "
         "subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
         "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
         "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"},
        {"an unknown field, strictly", MAPS "?fieldValidation=Strict",
         "{\"metadata\":{\"name\":\"a\"},\"dta\":{}}", 400,
         "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: "
         "unknown field \"dta\""},
        {"a dry run nobody knows", MAPS "?dryRun=Some", "{\"metadata\":{\"name\":\"a\"}}", 422,
         "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: "
         "[]string{\"Some\"}: "
         "supported values: \"All\""},
        {"a validation nobody knows", MAPS "?fieldValidation=Hard",
         "{\"metadata\":{\"name\":\"a\"}}", 422,
         "CreateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"Hard\": "
         "supported values: \"Ignore\", \"Strict\", \"Warn\""},
        {"a manager of two lines", MAPS "?fieldManager=a%0Ab", "{\"metadata\":{\"name\":\"a\"}}",
         422,
         "CreateOptions.meta.k8s.io \"\" is invalid: fieldManager: Invalid value: \"a\\nb\": "
         "invalid "
         "character U+000A (at position 1)"},
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_map(bed, "there", "");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        unsigned code = rest_ask(bed, "POST", rows[i].target, rows[i].body);
        rest_expect(bed, code, rows[i].code, rows[i].message);
    }
    assert_int_equal(rest_ask(bed, "GET", MAPS "/a", NULL), 404);
    assert_string_equal(rest_field(bed, "message"), "configmaps \"a\" not found");
    assert_string_equal(rest_field(bed, "reason"), "NotFound");
    assert_string_equal(rest_field(bed, "details kind"), "configmaps");
}

TEST_CASE(a_name_is_made_from_generate_name)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    rest_must(bed, "POST", MAPS, "{\"metadata\":{\"generateName\":\"web-\"}}");
    const char *name = rest_field(bed, "metadata name");
    assert_true(text_has_prefix(name, "web-"));
    assert_int_equal(strlen(name), 9);
    unsigned code = rest_ask(bed, "POST", MAPS, "{\"metadata\":{\"generateName\":\"Web-\"}}");
    assert_int_equal(code, 422);
    assert_non_null(strstr(rest_field(bed, "message"), "metadata.generateName: Invalid value: "
                                                       "\"Web-\": a lowercase RFC 1123"));
}

TEST_CASE(an_unknown_field_is_warned_of)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    rest_must(bed, "POST", MAPS, "{\"metadata\":{\"name\":\"a\"},\"dta\":{}}");
    assert_string_equal(bed->reply.warning, "unknown field \"dta\"");
    rest_must(bed, "POST", MAPS "?fieldValidation=Ignore",
              "{\"metadata\":{\"name\":\"b\"},\"dta\":{}}");
    assert_null(bed->reply.warning);
}

static const char *names(struct rest_bed *bed)
{
    struct buf text;
    buf_init(&text, 1 * MiB);
    for (int i = 0;; i++) {
        const char *path = arena_printf(bed->reply_arena, "items %d metadata name", i);
        const char *name = rest_field(bed, path);
        if (!*name)
            break;
        buf_printf(&text, "%s%s", i > 0 ? " " : "", name);
    }
    const char *copy = arena_strdup(bed->reply_arena, buf_text(&text));
    buf_done(&text);
    return copy;
}

TEST_CASE(a_list_comes_in_pages)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    const char *all[] = {"a", "b", "c", "d", "e"};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        make_map(bed, all[i], "");
    rest_must(bed, "GET", MAPS, NULL);
    assert_string_equal(rest_field(bed, "kind"), "ConfigMapList");
    assert_string_equal(names(bed), "a b c d e");
    assert_string_equal(rest_field(bed, "metadata continue"), "");
    const char *version = arena_strdup(bed->arena, rest_field(bed, "metadata resourceVersion"));

    rest_must(bed, "GET", MAPS "?limit=2", NULL);
    assert_string_equal(names(bed), "a b");
    assert_string_equal(rest_field(bed, "metadata remainingItemCount"), "3");
    const char *next =
        arena_printf(bed->arena, MAPS "?limit=2&continue=%s", rest_field(bed, "metadata continue"));
    make_map(bed, "bb", "");
    rest_must(bed, "GET", next, NULL);
    assert_string_equal(names(bed), "bb c");
    assert_string_equal(rest_field(bed, "metadata resourceVersion"), version);
    next =
        arena_printf(bed->arena, MAPS "?limit=9&continue=%s", rest_field(bed, "metadata continue"));
    rest_must(bed, "GET", next, NULL);
    assert_string_equal(names(bed), "d e");
    assert_string_equal(rest_field(bed, "metadata continue"), "");

    assert_int_equal(rest_ask(bed, "GET", MAPS "?limit=2&continue=rubbish", NULL), 400);
    assert_int_equal(rest_ask(bed, "GET", MAPS "?limit=many", NULL), 400);
}

TEST_CASE(a_list_is_selected_by_labels_and_fields)
{
    static const struct {
        const char *query, *names;
    } rows[] = {
        {"labelSelector=app%3Dweb", "a b"},
        {"labelSelector=app%3Dweb,tier!%3Dback", "a"},
        {"labelSelector=!app", "c kube-root"},
        {"labelSelector=app%20in%20(web)", "a b"},
        {"fieldSelector=metadata.name%3Db", "b"},
        {"fieldSelector=metadata.name!%3Db", "a c kube-root"},
        {"fieldSelector=metadata.namespace%3Ddefault&limit=1", "a"},
        {"labelSelector=app%3Dweb&limit=1", "a"},
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_map(bed, "a", "\"app\":\"web\"");
    make_map(bed, "b", "\"app\":\"web\",\"tier\":\"back\"");
    make_map(bed, "c", "");
    make_map(bed, "kube-root", "");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        rest_must(bed, "GET", arena_printf(bed->arena, MAPS "?%s", rows[i].query), NULL);
        assert_string_equal(names(bed), rows[i].names);
    }
    assert_string_equal(rest_field(bed, "metadata remainingItemCount"), "");
    assert_string_not_equal(rest_field(bed, "metadata continue"), "");
    assert_int_equal(rest_ask(bed, "GET", MAPS "?fieldSelector=data.k%3Dv", NULL), 400);
    assert_int_equal(rest_ask(bed, "GET", MAPS "?labelSelector=a%20b", NULL), 400);
    rest_must(bed, "GET", "/api/v1/configmaps", NULL);
    assert_string_equal(names(bed), "a b c kube-root");
}

TEST_CASE(a_list_of_a_state_that_is_not_there_yet_is_refused)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    unsigned code = rest_ask(bed, "GET", MAPS "?resourceVersion=999999", NULL);
    assert_int_equal(code, 504);
    assert_true(text_has_prefix(rest_field(bed, "message"),
                                "Timeout: Too large resource version: 999999, current: "));
    assert_string_equal(rest_field(bed, "reason"), "Timeout");
    /* By which client-go knows it. */
    assert_string_equal(rest_field(bed, "details"),
                        "{\"causes\":[{\"reason\":\"ResourceVersionTooLarge\",\"message\":"
                        "\"Too large resource version\"}],\"retryAfterSeconds\":1}");
    assert_int_equal(rest_ask(bed, "GET", MAPS "?resourceVersion=0", NULL), 200);
    make_map(bed, "a", "");
    assert_int_equal(rest_ask(bed, "GET", MAPS "/a?resourceVersion=999999", NULL), 504);
    assert_int_equal(rest_ask(bed, "GET", MAPS "/a?resourceVersion=0", NULL), 200);
}

TEST_CASE(list_options_must_go_together)
{
    static const struct {
        const char *query;
        unsigned code;
        const char *message;
    } rows[] = {
        {"resourceVersionMatch=Exact", 422,
         "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: "
         "resourceVersionMatch is forbidden unless resourceVersion is provided"},
        {"resourceVersionMatch=Exact&resourceVersion=0", 422,
         "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: "
         "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""},
        {"resourceVersionMatch=Newest&resourceVersion=1", 422,
         "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Unsupported value: "
         "\"Newest\": supported values: \"Exact\", \"NotOlderThan\", \"\""},
        {"sendInitialEvents=true", 422,
         "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: "
         "sendInitialEvents is forbidden for list"},
        {"continue=1%2Fdefault%2Fa&resourceVersion=1", 400,
         "specifying resource version is not allowed when using continue"},
        {"resourceVersionMatch=Exact&resourceVersion=1", 410,
         "The resourceVersion for the provided list is too old."},
        {"continue=1%2Fdefault%2Fa&resourceVersion=0", 200, NULL},
        {"resourceVersionMatch=NotOlderThan&resourceVersion=1", 200, NULL},
        {"dryRun=Some", 200, NULL}, /* no option of a list */
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i].query);
        const char *target = arena_printf(bed->arena, MAPS "?%s", rows[i].query);
        rest_expect(bed, rest_ask(bed, "GET", target, NULL), rows[i].code, rows[i].message);
    }
    unsigned code = rest_ask(bed, "GET", MAPS "?resourceVersionMatch=Exact", NULL);
    assert_int_equal(code, 422);
    assert_string_equal(rest_field(bed, "details group"), "meta.k8s.io");
    assert_string_equal(rest_field(bed, "details kind"), "ListOptions");
    assert_string_equal(rest_field(bed, "details causes 0 field"), "resourceVersionMatch");
    assert_string_equal(rest_field(bed, "details causes 0 reason"), "FieldValueForbidden");
}

TEST_CASE(an_update_must_be_based_on_what_is_there)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_map(bed, "a", "");
    const char *version = arena_strdup(bed->arena, rest_field(bed, "metadata resourceVersion"));
    const char *uid = arena_strdup(bed->arena, rest_field(bed, "metadata uid"));
    const char *body =
        arena_printf(bed->arena,
                     "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\"},\"data\":{\"k\":"
                     "\"w\"}}",
                     version);
    rest_must(bed, "PUT", MAPS "/a", body);
    assert_string_equal(rest_field(bed, "metadata uid"), uid);
    assert_string_not_equal(rest_field(bed, "metadata resourceVersion"), version);
    assert_string_equal(rest_field(bed, "metadata creationTimestamp"), "2026-11-21T10:00:00Z");

    unsigned code = rest_ask(bed, "PUT", MAPS "/a", body);
    rest_expect(bed, code, 409,
                "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; "
                "please apply your changes to the latest version and try again");
    code = rest_ask(bed, "PUT", MAPS "/a", "{\"metadata\":{\"name\":\"a\",\"uid\":\"x\"}}");
    assert_int_equal(code, 409);
    code = rest_ask(bed, "PUT", MAPS "/a", "{\"metadata\":{\"name\":\"b\"}}");
    rest_expect(bed, code, 400,
                "the name of the object (b) does not match the name on the URL (a)");
    assert_int_equal(rest_ask(bed, "PUT", MAPS "/none", "{\"metadata\":{\"name\":\"none\"}}"), 404);
}

#define LEASES "/apis/coordination.k8s.io/v1/namespaces/default/leases"

TEST_CASE(an_update_creates_what_may_be_created_so)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    /* The version of one that has gone is no hindrance, its uid is. */
    unsigned code = rest_ask(bed, "PUT", LEASES "/a",
                             "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"7\"}}");
    rest_expect(bed, code, 201, NULL);
    assert_string_not_equal(rest_field(bed, "metadata resourceVersion"), "7");
    code = rest_ask(bed, "PUT", LEASES "/b", "{\"metadata\":{\"name\":\"b\",\"uid\":\"u\"}}");
    rest_expect(bed, code, 409,
                "Operation cannot be fulfilled on leases.coordination.k8s.io \"b\": StorageError: "
                "invalid object, Code: 4, Key: /registry/leases/default/b, ResourceVersion: 0, "
                "AdditionalErrorMsg: Precondition failed: UID in precondition: u, UID in object "
                "meta: ");
    code = rest_ask(bed, "PUT", LEASES "/a", "{\"metadata\":{\"name\":\"a\"}}");
    rest_expect(bed, code, 422,
                "leases.coordination.k8s.io \"a\" is invalid: metadata.resourceVersion: Invalid "
                "value: 0: must be specified for an update");
}

TEST_CASE(who_may_only_update_creates_nothing)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    rest_bed_become(bed, "nobody", NULL);
    unsigned code = rest_ask(bed, "PUT", LEASES "/a", "{\"metadata\":{\"name\":\"a\"}}");
    rest_expect(bed, code, 403,
                "leases.coordination.k8s.io \"a\" is forbidden: User \"nobody\" cannot create "
                "resource \"leases\" in API group \"coordination.k8s.io\" in the namespace "
                "\"default\"");
    code = rest_patch_with(
        bed, "apply", MAPS "/a?fieldManager=m",
        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}");
    rest_expect(bed, code, 403,
                "configmaps \"a\" is forbidden: User \"nobody\" cannot create resource "
                "\"configmaps\" in API group \"\" in the namespace \"default\"");
}

TEST_CASE(an_apply_creates_what_is_not_there)
{
    static const struct {
        const char *name, *target, *body;
        unsigned code;
        const char *message;
    } rows[] = {
        {"an object", MAPS "/a?fieldManager=m",
         "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\","
         "\"resourceVersion\":\"7\"}}",
         201, NULL},
        {"one that was there before", MAPS "/b?fieldManager=m",
         "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"b\",\"uid\":\"u\"}"
         "}",
         409,
         "Operation cannot be fulfilled on configmaps \"b\": uid mismatch: the provided object "
         "specified uid u, and no existing object was found"},
        {"no part of an object", "/api/v1/nodes/n/status?fieldManager=m",
         "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"n\"}}", 404,
         "nodes \"n\" not found"},
        {"by nobody", MAPS "/c",
         "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\"}}", 422,
         "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for "
         "apply patch"},
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i].name);
        unsigned code = rest_patch_with(bed, "apply", rows[i].target, rows[i].body);
        rest_expect(bed, code, rows[i].code, rows[i].message);
    }
}

TEST_CASE(an_update_that_changes_nothing_writes_nothing)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_map(bed, "a", "\"x\":\"1\",\"b\":\"2\",\"m\":\"3\"");
    const char *version = arena_strdup(bed->arena, rest_field(bed, "metadata resourceVersion"));
    rest_must(bed, "PUT", MAPS "/a",
              "{\"metadata\":{\"name\":\"a\",\"labels\":{\"b\":\"2\",\"m\":\"3\",\"x\":\"1\"}},"
              "\"data\":{\"k\":\"v\"}}");
    assert_string_equal(rest_field(bed, "metadata resourceVersion"), version);
    assert_int_equal(rest_patch_with(bed, "merge", MAPS "/a", "{\"data\":{\"k\":\"v\"}}"), 200);
    assert_string_equal(rest_field(bed, "metadata resourceVersion"), version);
}

TEST_CASE(a_patch_of_each_kind_changes_what_it_says)
{
    static const struct {
        const char *type, *body, *data;
    } rows[] = {
        {"merge", "{\"data\":{\"l\":\"2\"}}", "{\"k\":\"v\",\"l\":\"2\"}"},
        {"strategic-merge", "{\"data\":{\"k\":null}}", "{\"l\":\"2\"}"},
        {"json", "[{\"op\":\"add\",\"path\":\"/data/m\",\"value\":\"3\"}]",
         "{\"l\":\"2\",\"m\":\"3\"}"},
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_map(bed, "a", "");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        unsigned code = rest_patch_with(bed, rows[i].type, MAPS "/a", rows[i].body);
        rest_expect(bed, code, 200, NULL);
        assert_string_equal(rest_field(bed, "data"), rows[i].data);
    }
}

TEST_CASE(a_patch_that_does_not_fit_is_refused)
{
    static const struct {
        const char *type, *target, *body;
        unsigned code;
        const char *begin; /* of the message */
    } rows[] = {
        {"merge", MAPS "/none", "{}", 404, ""},
        {"merge", MAPS "/a", "{", 400, "error decoding patch: "},
        {"json", MAPS "/a", "[{\"op\":\"remove\",\"path\":\"/data/none\"}]", 422,
         "the server rejected our request due to an error in our request"},
        {"json", MAPS "/a", "{}", 400, ""},
        {"merge", MAPS "/a", "{\"metadata\":{\"name\":\"b\"}}", 400, ""},
        {"merge", MAPS "/a", "{\"metadata\":{\"resourceVersion\":\"1\"}}", 409, ""},
        {"merge", MAPS "/a", "{\"data\":{\"a b\":\"\"}}", 422, "ConfigMap \"a\" is invalid: "},
        {"merge", MAPS "/a", "{\"data\":7}", 422,
         " \"\" is invalid: patch: Invalid value: \"{\\\"kind\\\":\\\"ConfigMap\\\","},
        {"merge", MAPS "/a?fieldValidation=Strict", "{\"dta\":{}}", 422,
         " \"\" is invalid: patch: Invalid value: \"{"},
        {"merge", MAPS "/a?force=true", "{}", 422,
         "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for "
         "non-apply patch"},
        {"rubbish", MAPS "/a", "{}", 415, ""},
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_map(bed, "a", "");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        unsigned code = rest_patch_with(bed, rows[i].type, rows[i].target, rows[i].body);
        rest_expect(bed, code, rows[i].code, NULL);
        if (!text_has_prefix(rest_field(bed, "message"), rows[i].begin))
            fail_msg("%s: %s", rows[i].body, rest_field(bed, "message"));
    }
}

TEST_CASE(a_name_that_is_going_is_said_to_be)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    rest_must(bed, "POST", MAPS, "{\"metadata\":{\"name\":\"a\",\"finalizers\":[\"x/y\"]}}");
    rest_must(bed, "DELETE", MAPS "/a", NULL);
    unsigned code = rest_ask(bed, "POST", MAPS, "{\"metadata\":{\"name\":\"a\"}}");
    rest_expect(bed, code, 409, "object is being deleted: configmaps \"a\" already exists");
    assert_string_equal(rest_field(bed, "reason"), "AlreadyExists");
    code = rest_ask(bed, "POST", MAPS, "{\"metadata\":{\"name\":\"a\",\"generateName\":\"a\"}}");
    rest_expect(bed, code, 409,
                "object is being deleted: configmaps \"a\" already exists, the server was not able "
                "to generate a unique name for the object");
    assert_string_equal(rest_field(bed, "details retryAfterSeconds"), "1");
}

TEST_CASE(a_deletion_answers_with_a_status)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_map(bed, "a", "");
    const char *uid = arena_strdup(bed->arena, rest_field(bed, "metadata uid"));
    assert_int_equal(rest_ask(bed, "DELETE", MAPS "/a", NULL), 200);
    assert_string_equal(rest_field(bed, "kind"), "Status");
    assert_string_equal(rest_field(bed, "status"), "Success");
    assert_string_equal(rest_field(bed, "details name"), "a");
    assert_string_equal(rest_field(bed, "details kind"), "configmaps");
    assert_string_equal(rest_field(bed, "details uid"), uid);
    assert_int_equal(rest_ask(bed, "GET", MAPS "/a", NULL), 404);
    assert_int_equal(rest_ask(bed, "DELETE", MAPS "/a", NULL), 404);
}

TEST_CASE(a_deletion_may_name_what_it_means)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_map(bed, "a", "");
    const char *uid = arena_strdup(bed->arena, rest_field(bed, "metadata uid"));
    unsigned code = rest_ask(bed, "DELETE", MAPS "/a", "{\"preconditions\":{\"uid\":\"another\"}}");
    rest_expect(bed, code, 409,
                arena_printf(bed->arena,
                             "Operation cannot be fulfilled on ConfigMap \"a\": the UID in the "
                             "precondition (another) does not match the UID in record (%s). The "
                             "object might have been deleted and then recreated",
                             uid));
    code = rest_ask(bed, "DELETE", MAPS "/a", "{\"preconditions\":{\"resourceVersion\":\"1\"}}");
    assert_int_equal(code, 409);
    code = rest_ask(bed, "DELETE", MAPS "/a", "{\"propagationPolicy\":\"Later\"}");
    assert_int_equal(code, 422);
    const char *body = arena_printf(bed->arena,
                                    "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\","
                                    "\"preconditions\":{\"uid\":\"%s\"}}",
                                    uid);
    assert_int_equal(rest_ask(bed, "DELETE", MAPS "/a", body), 200);
}

TEST_CASE(finalizers_keep_an_object)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    rest_must(bed, "POST", MAPS,
              "{\"metadata\":{\"name\":\"a\",\"finalizers\":[\"example.com/x\"]}}");
    assert_int_equal(rest_ask(bed, "DELETE", MAPS "/a", NULL), 200);
    assert_string_equal(rest_field(bed, "kind"), "ConfigMap");
    assert_string_equal(rest_field(bed, "metadata deletionTimestamp"), "2026-11-21T10:00:00Z");
    assert_string_equal(rest_field(bed, "metadata deletionGracePeriodSeconds"), "0");
    /* A second deletion changes nothing. */
    bed->now_ns += 60 * NS_PER_SEC;
    const char *version = arena_strdup(bed->arena, rest_field(bed, "metadata resourceVersion"));
    assert_int_equal(rest_ask(bed, "DELETE", MAPS "/a", NULL), 200);
    assert_string_equal(rest_field(bed, "metadata resourceVersion"), version);

    unsigned code = rest_patch_with(bed, "merge", MAPS "/a",
                                    "{\"metadata\":{\"finalizers\":[\"example.com/x\","
                                    "\"example.com/y\"]}}");
    rest_expect(bed, code, 422,
                "ConfigMap \"a\" is invalid: metadata.finalizers: Forbidden: no new finalizers can "
                "be added if the object is being deleted, found new finalizers "
                "[]string{\"example.com/y\"}");
    code = rest_patch_with(bed, "merge", MAPS "/a", "{\"metadata\":{\"finalizers\":null}}");
    assert_int_equal(code, 200);
    assert_int_equal(rest_ask(bed, "GET", MAPS "/a", NULL), 404);
}

TEST_CASE(the_propagation_policy_becomes_a_finalizer)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_map(bed, "a", "");
    unsigned code = rest_ask(bed, "DELETE", MAPS "/a", "{\"propagationPolicy\":\"Foreground\"}");
    assert_int_equal(code, 200);
    assert_string_equal(rest_field(bed, "metadata finalizers"), "[\"foregroundDeletion\"]");
    code = rest_ask(bed, "DELETE", MAPS "/a", "{\"orphanDependents\":false}");
    assert_int_equal(code, 200);
    assert_int_equal(rest_ask(bed, "GET", MAPS "/a", NULL), 404);
}

TEST_CASE(a_dry_run_leaves_nothing_behind)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_map(bed, "a", "");
    rest_must(bed, "POST", MAPS "?dryRun=All", "{\"metadata\":{\"name\":\"b\"}}");
    assert_string_equal(rest_field(bed, "metadata name"), "b");
    assert_int_equal(rest_ask(bed, "GET", MAPS "/b", NULL), 404);
    assert_int_equal(
        rest_patch_with(bed, "merge", MAPS "/a?dryRun=All", "{\"data\":{\"k\":\"w\"}}"), 200);
    assert_string_equal(rest_field(bed, "data k"), "w");
    rest_must(bed, "DELETE", MAPS "/a?dryRun=All", NULL);
    /* kubectl says it in the body. */
    rest_must(bed, "DELETE", MAPS "/a", "{\"dryRun\":[\"All\"]}");
    rest_must(bed, "GET", MAPS "/a", NULL);
    assert_string_equal(rest_field(bed, "data k"), "v");
    assert_int_equal(rest_ask(bed, "DELETE", MAPS "/a", "{\"dryRun\":[\"Some\"]}"), 422);
}

TEST_CASE(deletion_options_are_read_from_body_or_query)
{
    static const struct {
        const char *name, *query, *body;
        unsigned code;
        const char *want; /* finalizers, or the message */
    } rows[] = {
        {"the query", "propagationPolicy=Foreground", NULL, 200, "[\"foregroundDeletion\"]"},
        {"a switch without a value", "orphanDependents", NULL, 200, "[\"orphan\"]"},
        {"a switch in capitals", "orphanDependents=True", NULL, 200, "[\"orphan\"]"},
        {"the body alone counts", "propagationPolicy=Foreground",
         "{\"propagationPolicy\":\"Orphan\"}", 200, "[\"orphan\"]"},
        {"both in the query", "propagationPolicy=Orphan&orphanDependents=true", NULL, 422,
         "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Invalid value: \"Orphan\": "
         "orphanDependents and deletionPropagation cannot be both set"},
        {"no policy", "propagationPolicy=Never", NULL, 422,
         "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: "
         "\"Never\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""},
        {"no grace", "gracePeriodSeconds=soon", NULL, 400,
         "gracePeriodSeconds \"soon\" is no number of seconds"},
        {"no dry run", "dryRun=Some", NULL, 422,
         "DeleteOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: "
         "[]string{\"Some\"}: "
         "supported values: \"All\""},
        {"the old way", "orphanDependents=false", NULL, 202, "[\"x/y\"]"},
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i].name);
        const char *name = arena_printf(bed->arena, "m%zu", i);
        bool is_held = rows[i].code == 202;
        rest_must(bed, "POST", MAPS,
                  arena_printf(bed->arena, "{\"metadata\":{\"name\":\"%s\",\"finalizers\":[%s]}}",
                               name, is_held ? "\"x/y\"" : ""));
        const char *target = arena_printf(bed->arena, MAPS "/%s?%s", name, rows[i].query);
        assert_int_equal(rest_ask(bed, "DELETE", target, rows[i].body), rows[i].code);
        assert_string_equal(rest_field(bed, rows[i].code < 300 ? "metadata finalizers" : "message"),
                            rows[i].want);
    }
}

TEST_CASE(a_limit_holds_for_the_deletion_of_a_collection)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_map(bed, "a", "");
    make_map(bed, "b", "");
    make_map(bed, "c", "");
    rest_must(bed, "DELETE", MAPS "?limit=2", NULL);
    assert_string_equal(names(bed), "a b");
    assert_string_not_equal(rest_field(bed, "metadata continue"), "");
    rest_must(bed, "GET", MAPS, NULL);
    assert_string_equal(names(bed), "c");
}

TEST_CASE(one_object_may_be_a_table)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_map(bed, "a", "");
    const char *version = arena_strdup(bed->arena, rest_field(bed, "metadata resourceVersion"));
    bed->accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    rest_must(bed, "GET", MAPS "/a", NULL);
    assert_string_equal(rest_field(bed, "metadata resourceVersion"), version);
    assert_string_equal(rest_field(bed, "rows 0 object kind"), "PartialObjectMetadata");
    rest_must(bed, "GET", MAPS "/a?includeObject=Object", NULL);
    assert_string_equal(rest_field(bed, "rows 0 object data k"), "v");
    rest_must(bed, "GET", MAPS "?includeObject=None", NULL);
    assert_string_equal(rest_field(bed, "rows 0 object"), "");
    assert_int_equal(rest_ask(bed, "GET", MAPS "?includeObject=All", NULL), 400);
}

TEST_CASE(a_collection_is_deleted_by_selector)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_map(bed, "a", "\"app\":\"web\"");
    make_map(bed, "b", "\"app\":\"web\"");
    make_map(bed, "c", "");
    rest_must(bed, "DELETE", MAPS "?labelSelector=app%3Dweb", NULL);
    assert_string_equal(rest_field(bed, "kind"), "ConfigMapList");
    assert_string_equal(names(bed), "a b");
    rest_must(bed, "GET", MAPS, NULL);
    assert_string_equal(names(bed), "c");
}

TEST_CASE(what_a_resource_does_not_do_is_refused)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    static const struct {
        const char *method, *target;
    } rows[] = {
        {"DELETE", "/api/v1/namespaces"},
        {"GET", "/apis/authentication.k8s.io/v1/tokenreviews"},
        {"DELETE", "/api/v1/namespaces/default/pods/a/status"},
        {"GET", "/api/v1/namespaces/default/pods/a/binding"},
        {"GET", "/api/v1/namespaces/default/finalize"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        unsigned code = rest_ask(bed, rows[i].method, rows[i].target, NULL);
        rest_expect(bed, code, 405,
                    "the server does not allow this method on the requested resource");
    }
}

TEST_CASE(who_asks_for_yaml_or_only_metadata_gets_it)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_map(bed, "a", "");
    bed->accept = "application/yaml";
    rest_must(bed, "GET", MAPS "/a", NULL);
    assert_string_equal(bed->reply.content_type, "application/yaml");
    assert_non_null(strstr(buf_text(&bed->reply.body), "  name: a\n"));
    rest_must(bed, "GET", MAPS, NULL);
    assert_non_null(strstr(buf_text(&bed->reply.body), "kind: ConfigMapList"));
    bed->accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    rest_must(bed, "GET", MAPS "/a", NULL);
    assert_string_equal(rest_field(bed, "kind"), "PartialObjectMetadata");
    assert_string_equal(rest_field(bed, "metadata name"), "a");
    assert_string_equal(rest_field(bed, "data"), "");
    bed->accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    rest_must(bed, "GET", MAPS, NULL);
    assert_string_equal(rest_field(bed, "kind"), "PartialObjectMetadataList");
    assert_string_equal(names(bed), "a");
    bed->accept = "text/html";
    assert_int_equal(rest_ask(bed, "GET", MAPS "/a", NULL), 406);
}

TEST_CASE(protobuf_goes_in_and_out)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_map(bed, "a", "");
    make_map(bed, "b", "");
    bed->accept = "application/vnd.kubernetes.protobuf";
    rest_must(bed, "GET", MAPS, NULL);
    assert_string_equal(bed->reply.content_type, bed->accept);
    const struct kube_kind *kind = NULL;
    ProtobufCMessage *list = NULL;
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    assert_no_error(kube_decode_any(buf_str(&bed->reply.body), KUBE_PROTOBUF, &options, bed->arena,
                                    &kind, &list));
    assert_string_equal(kind->kind, "ConfigMapList");
    size_t count = 0;
    ProtobufCMessage *const *items = kube_list_items(list, &count);
    assert_int_equal(count, 2);
    assert_string_equal(kube_object_meta(items[1])->name, "b");
}

TEST_CASE(managed_fields_name_who_wrote_what)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_map(bed, "a", "");
    assert_string_equal(rest_field(bed, "metadata managedFields 0 manager"), "test");
    assert_string_equal(rest_field(bed, "metadata managedFields 0 operation"), "Update");
}

TEST_MAIN(TEST(list_options_must_go_together), TEST(an_update_creates_what_may_be_created_so),
          TEST(who_may_only_update_creates_nothing), TEST(an_apply_creates_what_is_not_there),
          TEST(a_name_that_is_going_is_said_to_be),
          TEST(deletion_options_are_read_from_body_or_query),
          TEST(a_limit_holds_for_the_deletion_of_a_collection), TEST(one_object_may_be_a_table),
          TEST(a_created_object_has_what_the_server_keeps),
          TEST(what_is_wrong_with_a_creation_is_said), TEST(a_name_is_made_from_generate_name),
          TEST(an_unknown_field_is_warned_of), TEST(a_list_comes_in_pages),
          TEST(a_list_is_selected_by_labels_and_fields),
          TEST(a_list_of_a_state_that_is_not_there_yet_is_refused),
          TEST(an_update_must_be_based_on_what_is_there),
          TEST(an_update_that_changes_nothing_writes_nothing),
          TEST(a_patch_of_each_kind_changes_what_it_says),
          TEST(a_patch_that_does_not_fit_is_refused), TEST(a_deletion_answers_with_a_status),
          TEST(a_deletion_may_name_what_it_means), TEST(finalizers_keep_an_object),
          TEST(the_propagation_policy_becomes_a_finalizer), TEST(a_dry_run_leaves_nothing_behind),
          TEST(a_collection_is_deleted_by_selector), TEST(what_a_resource_does_not_do_is_refused),
          TEST(who_asks_for_yaml_or_only_metadata_gets_it), TEST(protobuf_goes_in_and_out),
          TEST(managed_fields_name_who_wrote_what))
