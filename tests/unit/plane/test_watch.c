/* Watches as a client sees them: through the server, over the store. */
#include "tests/unit/plane/plane_bed.h"

#include "kube/watch_frame.h"

#define MAPS "/api/v1/namespaces/default/configmaps"
#define ALL_MAPS "/api/v1/configmaps"
#define PROTOBUF "accept: application/vnd.kubernetes.protobuf\r\n"
#define TABLE "accept: application/json;as=Table;v=v1;g=meta.k8s.io\r\n"
#define ADMIN "authorization: Bearer admin\r\n"
#define LARGE_BYTES (100 * KiB)

static void put_map(struct rest_bed *rest, const char *method, const char *name, const char *labels)
{
    bool is_new = strcmp(method, "POST") == 0;
    const char *target = is_new ? MAPS : arena_printf(rest->arena, MAPS "/%s", name);
    rest_must(rest, method, target,
              arena_printf(rest->arena, "{\"metadata\":{\"name\":\"%s\",\"labels\":{%s}}}", name,
                           labels));
}

static void add_map(struct plane_bed *bed, const char *name)
{
    put_map(bed->rest, "POST", name, "");
}

static void delete_map(struct plane_bed *bed, const char *name)
{
    rest_must(bed->rest, "DELETE", arena_printf(bed->rest->arena, MAPS "/%s", name), NULL);
}

static struct plane_client *watch(struct plane_bed *bed, const char *query)
{
    return plane_ask(bed, "GET", arena_printf(bed->rest->arena, MAPS "?watch=1&%s", query), NULL);
}

static bool is_end_mark(const Meta__ObjectMeta *meta)
{
    return meta->n_annotations == 1 &&
           strcmp(meta->annotations[0]->key, "k8s.io/initial-events-end") == 0 &&
           strcmp(meta->annotations[0]->value, "true") == 0;
}

static void add_event(const struct watch_event *event, struct buf *out)
{
    const Meta__ObjectMeta *meta = kube_object_meta(event->object);
    buf_printf(out, "%s%s", out->len > 0 ? " " : "", watch_event_type_text(event->type));
    if (event->type == WATCH_ERROR)
        buf_printf(out, ":%d", ((const Meta__Status *)event->object)->code);
    else if (event->type == WATCH_BOOKMARK)
        buf_printf(out, ":%s", is_end_mark(meta) ? "end" : "mark");
    else
        buf_printf(out, ":%s", meta->name);
}

/* What the client was told since it was asked last: "ADDED:a MODIFIED:a". */
static const char *told(struct plane_client *client)
{
    plane_settle(client->bed);
    struct arena *arena = client->bed->rest->arena;
    bool is_protobuf = strstr(client->content_type, "protobuf") != NULL;
    AUTO(watch_decoder)
    struct watch_decoder *decoder = watch_decoder_new(is_protobuf ? KUBE_PROTOBUF : KUBE_JSON);
    AUTO(buf) struct buf out;
    buf_init(&out, 1 * MiB);
    struct watch_event event;
    assert_no_error(watch_decoder_feed(decoder, buf_str(&client->body)));
    for (bool has = true; has;) {
        assert_no_error(watch_decoder_next(decoder, arena, &has, &event));
        if (has)
            add_event(&event, &out);
    }
    assert_false(watch_decoder_is_partial(decoder));
    buf_clear(&client->body);
    return arena_strdup(arena, buf_text(&out));
}

static const char *list_version(struct plane_bed *bed)
{
    rest_must(bed->rest, "GET", MAPS, NULL);
    return arena_strdup(bed->rest->arena, rest_field(bed->rest, "metadata resourceVersion"));
}

TEST_CASE(changes_are_told_in_order)
{
    AUTO(plane_bed) struct plane_bed *bed = plane_bed_new();
    add_map(bed, "a");
    const char *query = arena_printf(bed->rest->arena, "resourceVersion=%s", list_version(bed));
    struct plane_client *json = watch(bed, query);
    struct plane_client *protobuf =
        plane_ask_with(bed, "GET", arena_printf(bed->rest->arena, ALL_MAPS "?watch=True&%s", query),
                       ADMIN PROTOBUF, NULL);
    assert_int_equal(json->status, 200);
    assert_string_equal(json->content_type, "application/json");
    assert_string_equal(protobuf->content_type, "application/vnd.kubernetes.protobuf;stream=watch");
    add_map(bed, "b");
    put_map(bed->rest, "PUT", "a", "\"x\":\"y\"");
    put_map(bed->rest, "PUT", "a", "\"x\":\"y\""); /* nothing */
    delete_map(bed, "a");
    rest_must(bed->rest, "POST", "/api/v1/namespaces/default/secrets",
              "{\"metadata\":{\"name\":\"else\"}}");
    assert_string_equal(told(json), "ADDED:b MODIFIED:a DELETED:a");
    assert_string_equal(told(protobuf), "ADDED:b MODIFIED:a DELETED:a");
    assert_false(json->is_complete);
    assert_int_equal(watch_house_count(bed->plane.watches), 2);

    /* And to who comes later with that version. */
    assert_string_equal(told(watch(bed, query)), "ADDED:b MODIFIED:a DELETED:a");
}

TEST_CASE(a_watch_begins_by_what_it_asks_for)
{
    static const struct {
        const char *query;
        const char *want; /* before anything changes; then "c" comes */
    } rows[] = {
        {"", "ADDED:a ADDED:b"},
        {"resourceVersion=", "ADDED:a ADDED:b"},
        {"resourceVersion=0", "ADDED:a ADDED:b"},
        {"allowWatchBookmarks=true", "ADDED:a ADDED:b"},
        {"sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
         "ADDED:a ADDED:b BOOKMARK:end"},
        {"sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
         "&resourceVersion=1",
         "ADDED:a ADDED:b BOOKMARK:end"},
        {"sendInitialEvents=true&resourceVersionMatch=NotOlderThan", "ADDED:a ADDED:b"},
        {"sendInitialEvents=false&resourceVersionMatch=NotOlderThan", ""},
        {"sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
         "&labelSelector=none",
         "BOOKMARK:end"},
        {"fieldSelector=metadata.name%3Db", "ADDED:b"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i].query);
        AUTO(plane_bed) struct plane_bed *bed = plane_bed_new();
        add_map(bed, "a");
        add_map(bed, "b");
        struct plane_client *client = watch(bed, rows[i].query);
        assert_int_equal(client->status, 200);
        assert_string_equal(told(client), rows[i].want);
        add_map(bed, "c");
        bool is_selected = !strstr(rows[i].query, "Selector");
        assert_string_equal(told(client), is_selected ? "ADDED:c" : "");
    }
}

TEST_CASE(parameters_that_make_no_sense_are_refused)
{
    static const struct {
        const char *query;
        unsigned code;
        const char *message;
    } rows[] = {
        {"resourceVersion=x", 400, "invalid resource version"},
        {"resourceVersion=999999", 504, "Too large resource version: 999999"},
        {"resourceVersionMatch=NotOlderThan", 422,
         "ListOptions.meta.k8s.io \\\"\\\" is invalid: resourceVersionMatch: Forbidden:"
         " resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"},
        {"sendInitialEvents=true", 422,
         "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"},
        {"sendInitialEvents=true&resourceVersionMatch=Exact", 422,
         "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"},
        {"sendInitialEvents=true&resourceVersionMatch=NotOlderThan&continue=x", 422,
         "resourceVersionMatch is forbidden when continue is provided"},
        {"labelSelector=,,", 400, "unable to parse"},
        {"fieldSelector=spec.x%3D1", 400, "\\\"spec.x\\\" is not a known field selector"},
    };
    AUTO(plane_bed) struct plane_bed *bed = plane_bed_new();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i].query);
        struct plane_client *client = watch(bed, rows[i].query);
        assert_int_equal(client->status, rows[i].code);
        assert_true(client->is_complete);
        if (!strstr(buf_text(&client->body), rows[i].message))
            fail_msg("no \"%s\" in %s", rows[i].message, buf_text(&client->body));
    }
    assert_int_equal(watch_house_count(bed->plane.watches), 0);
}

TEST_CASE(an_object_comes_into_a_selector_and_leaves_it)
{
    AUTO(plane_bed) struct plane_bed *bed = plane_bed_new();
    struct rest_bed *rest = bed->rest;
    put_map(rest, "POST", "a", "");
    struct plane_client *client = watch(bed, "labelSelector=app%3Dweb&resourceVersion=0");
    assert_string_equal(told(client), "");
    put_map(rest, "PUT", "a", "\"app\":\"web\"");
    assert_string_equal(told(client), "ADDED:a");
    put_map(rest, "PUT", "a", "\"app\":\"web\",\"more\":\"1\"");
    assert_string_equal(told(client), "MODIFIED:a");
    put_map(rest, "PUT", "a", "\"app\":\"db\"");
    plane_settle(bed);
    /* As it was when it was last in sight, at the revision of its leaving. */
    assert_non_null(strstr(buf_text(&client->body), "\"more\":\"1\""));
    rest_must(rest, "GET", MAPS "/a", NULL);
    const char *version = arena_printf(rest->arena, "\"resourceVersion\":\"%s\"",
                                       rest_field(rest, "metadata resourceVersion"));
    assert_non_null(strstr(buf_text(&client->body), version));
    assert_string_equal(told(client), "DELETED:a");
    put_map(rest, "PUT", "a", "\"app\":\"other\"");
    delete_map(bed, "a");
    put_map(rest, "POST", "b", "\"app\":\"web\"");
    delete_map(bed, "b");
    assert_string_equal(told(client), "ADDED:b DELETED:b");
}

TEST_CASE(only_metadata_or_a_table_is_told_when_asked_for)
{
    AUTO(plane_bed) struct plane_bed *bed = plane_bed_new();
    add_map(bed, "a");
    struct plane_client *partial = plane_ask_with(
        bed, "GET", MAPS "?watch=1",
        ADMIN "accept: application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io\r\n", NULL);
    struct plane_client *table = plane_ask_with(bed, "GET", MAPS "?watch=1", ADMIN TABLE, NULL);
    add_map(bed, "b");
    plane_settle(bed);
    assert_non_null(strstr(buf_text(&partial->body), "\"kind\":\"PartialObjectMetadata\""));
    assert_string_equal(told(partial), "ADDED:a ADDED:b");
    const char *first = buf_text(&table->body);
    const char *second = strchr(first, '\n') + 1;
    assert_non_null(strstr(first, "\"columnDefinitions\":[{"));
    assert_null(strstr(second, "\"columnDefinitions\":[{"));
    assert_non_null(strstr(second, "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Table\""));
}

TEST_CASE(a_version_that_has_gone_is_told_in_the_stream)
{
    AUTO(plane_bed) struct plane_bed *bed = plane_bed_new();
    /* The store remembers what happened since it was opened: the bed begins at 1. */
    struct rest_bed *rest = bed->rest;
    char *large = arena_alloc(rest->arena, LARGE_BYTES + 1);
    memset(large, 'x', LARGE_BYTES);
    add_map(bed, "a");
    const char *old = list_version(bed);
    for (int i = 0; i < 45; i++)
        rest_must(rest, "PUT", MAPS "/a",
                  arena_printf(rest->arena,
                               "{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"%d%s\"}}", i,
                               large));
    struct plane_client *client = watch(bed, arena_printf(rest->arena, "resourceVersion=%s", old));
    assert_int_equal(client->status, 200);
    assert_true(client->is_complete);
    assert_non_null(strstr(buf_text(&client->body), "\"reason\":\"Expired\""));
    assert_non_null(strstr(buf_text(&client->body), "too old resource version: "));
    assert_string_equal(told(client), "ERROR:410");
    assert_int_equal(watch_house_count(bed->plane.watches), 0);
}

/* Changes a large map @count times, so that a client that does not read falls behind. */
static void write_large(struct plane_bed *bed, int count)
{
    struct rest_bed *rest = bed->rest;
    char *large = arena_alloc(rest->arena, LARGE_BYTES + 1);
    memset(large, 'x', LARGE_BYTES);
    for (int i = 0; i < count; i++) {
        AUTO(free)
        char *body =
            xasprintf("{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"%d%s\"}}", i, large);
        rest_must(rest, "PUT", MAPS "/a", body);
    }
    plane_settle(bed);
}

TEST_CASE(a_slow_client_gets_everything_once_and_in_order)
{
    AUTO(plane_bed) struct plane_bed *bed = plane_bed_new();
    add_map(bed, "a");
    struct plane_client *client = watch(bed, "resourceVersion=0");
    assert_string_equal(told(client), "ADDED:a");
    client->is_paused = true;
    write_large(bed, 12);
    delete_map(bed, "a");
    add_map(bed, "b");
    plane_settle(bed);
    client->is_paused = false;
    assert_string_equal(told(client),
                        "MODIFIED:a MODIFIED:a MODIFIED:a MODIFIED:a MODIFIED:a MODIFIED:a"
                        " MODIFIED:a MODIFIED:a MODIFIED:a MODIFIED:a MODIFIED:a MODIFIED:a"
                        " DELETED:a ADDED:b");
    add_map(bed, "c");
    assert_string_equal(told(client), "ADDED:c");
}

TEST_CASE(a_client_that_is_too_slow_must_list_again)
{
    AUTO(plane_bed) struct plane_bed *bed = plane_bed_new();
    add_map(bed, "a");
    struct plane_client *client = watch(bed, "resourceVersion=0");
    assert_string_equal(told(client), "ADDED:a");
    client->is_paused = true;
    write_large(bed, 60);
    client->is_paused = false;
    const char *all = told(client);
    assert_string_equal(all + strlen(all) - strlen(" ERROR:410"), " ERROR:410");
    assert_true(client->is_complete);
    assert_int_equal(watch_house_count(bed->plane.watches), 0);
}

TEST_CASE(a_slow_beginning_is_told_bit_by_bit)
{
    AUTO(plane_bed) struct plane_bed *bed = plane_bed_new();
    struct rest_bed *rest = bed->rest;
    char *large = arena_alloc(rest->arena, LARGE_BYTES + 1);
    memset(large, 'x', LARGE_BYTES);
    for (int i = 0; i < 12; i++)
        rest_must(rest, "POST", MAPS,
                  arena_printf(rest->arena,
                               "{\"metadata\":{\"name\":\"m%02d\"},\"data\":{\"k\":\"%s\"}}", i,
                               large));
    struct plane_client *client = plane_connect(bed);
    client->is_paused = true;
    plane_client_send(client,
                      STR_LITERAL("GET " MAPS "?watch=1&sendInitialEvents=true"
                                  "&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
                                  " HTTP/1.1\r\nhost: h\r\n" ADMIN "\r\n"));
    plane_settle(bed);
    add_map(bed, "later");
    plane_settle(bed);
    client->is_paused = false;
    plane_settle(bed);
    assert_string_equal(told(client),
                        "ADDED:m00 ADDED:m01 ADDED:m02 ADDED:m03 ADDED:m04 ADDED:m05 ADDED:m06"
                        " ADDED:m07 ADDED:m08 ADDED:m09 ADDED:m10 ADDED:m11 BOOKMARK:end"
                        " ADDED:later");
}

TEST_CASE(a_watch_ends_with_its_client_or_the_house)
{
    AUTO(plane_bed) struct plane_bed *bed = plane_bed_new();
    struct plane_client *gone = watch(bed, "");
    struct plane_client *stays = watch(bed, "");
    assert_int_equal(watch_house_count(bed->plane.watches), 2);
    plane_client_hang_up(gone);
    assert_int_equal(watch_house_count(bed->plane.watches), 1);
    add_map(bed, "a");
    assert_string_equal(told(stays), "ADDED:a");
    watch_house_free(TAKE(bed->plane.watches));
    plane_settle(bed);
    assert_true(stays->is_complete);
    assert_int_equal(stays->body.len, 0);

    /* Who asks in the last moment is sent away. */
    bed->plane.is_stopping = true;
    assert_int_equal(watch(bed, "")->status, 503);
}

TEST_CASE(watching_needs_the_right_to)
{
    AUTO(plane_bed) struct plane_bed *bed = plane_bed_new();
    struct plane_client *client =
        plane_ask_with(bed, "GET", MAPS "?watch=1", "authorization: Bearer nobody\r\n", NULL);
    assert_int_equal(client->status, 403);
    assert_non_null(strstr(buf_text(&client->body),
                           "User \\\"nobody\\\" cannot watch resource \\\"configmaps\\\""));
}

TEST_MAIN(TEST(changes_are_told_in_order), TEST(a_watch_begins_by_what_it_asks_for),
          TEST(parameters_that_make_no_sense_are_refused),
          TEST(an_object_comes_into_a_selector_and_leaves_it),
          TEST(only_metadata_or_a_table_is_told_when_asked_for),
          TEST(a_version_that_has_gone_is_told_in_the_stream),
          TEST(a_slow_client_gets_everything_once_and_in_order),
          TEST(a_client_that_is_too_slow_must_list_again),
          TEST(a_slow_beginning_is_told_bit_by_bit),
          TEST(a_watch_ends_with_its_client_or_the_house), TEST(watching_needs_the_right_to))
