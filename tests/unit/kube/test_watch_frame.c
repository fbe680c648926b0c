#include "kube/watch_frame.h"

#include "kube/json_scan.h"
#include "tests/lib/test.h"

#include "core.pb-c.h"

#include <stdio.h>

static char *read_recorded(const char *name, size_t *ret_len)
{
    const char *data = getenv("CUBELET_TEST_DATA");
    AUTO(free) char *path = xasprintf("%s/recorded/api/%s", data ? data : "tests/data", name);
    AUTO(buf) struct buf text;
    buf_init(&text, 4 * MiB);
    FILE *file = fopen(path, "re");
    if (!file)
        fail_msg("cannot open %s", path);
    char chunk[4096];
    for (size_t got; (got = fread(chunk, 1, sizeof(chunk), file)) > 0;)
        buf_add(&text, chunk, got);
    fclose(file);
    *ret_len = text.len;
    return buf_take(&text);
}

/* Feeds @bytes in pieces of @step and appends what comes out, as JSON frames, to @out. */
static size_t pump(struct watch_decoder *decoder, struct str bytes, size_t step, struct buf *out)
{
    size_t count = 0;
    for (size_t at = 0; at < bytes.len; at += step) {
        struct str piece = {.ptr = bytes.ptr + at, .len = min_size(step, bytes.len - at)};
        assert_no_error(watch_decoder_feed(decoder, piece));
        for (bool has = true; has;) {
            AUTO(arena) struct arena *arena = arena_new(0);
            struct watch_event event;
            assert_no_error(watch_decoder_next(decoder, arena, &has, &event));
            if (has)
                watch_frame_encode(&event, KUBE_JSON, out);
            count += has;
        }
    }
    return count;
}

static void to_protobuf(struct str json, struct buf *out)
{
    AUTO(watch_decoder) struct watch_decoder *decoder = watch_decoder_new(KUBE_JSON);
    assert_no_error(watch_decoder_feed(decoder, json));
    for (bool has = true; has;) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct watch_event event;
        assert_no_error(watch_decoder_next(decoder, arena, &has, &event));
        if (has)
            watch_frame_encode(&event, KUBE_PROTOBUF, out);
    }
}

TEST_CASE(a_recorded_watch_comes_out_as_it_went_in)
{
    static const size_t steps[] = {1, 7, 4096, SIZE_MAX / 2};
    size_t len;
    AUTO(free) char *text = read_recorded("watch-static.jsonl", &len);
    struct str json = {.ptr = text, .len = len};
    AUTO(buf) struct buf protobuf;
    buf_init(&protobuf, MiB);
    to_protobuf(json, &protobuf);
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        AUTO(watch_decoder) struct watch_decoder *from_json = watch_decoder_new(KUBE_JSON);
        AUTO(watch_decoder) struct watch_decoder *from_pb = watch_decoder_new(KUBE_PROTOBUF);
        AUTO(buf) struct buf once, twice;
        buf_init(&once, MiB);
        buf_init(&twice, MiB);
        assert_int_equal(pump(from_json, json, steps[i], &once), 4);
        assert_int_equal(pump(from_pb, buf_str(&protobuf), steps[i], &twice), 4);
        assert_string_equal(buf_text(&once), buf_text(&twice));
        assert_false(watch_decoder_is_partial(from_json));
        assert_false(watch_decoder_is_partial(from_pb));
    }
}

#define POD_EVENT(type)                                                                            \
    "{\"type\":\"" type "\",\"object\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\","                   \
    "\"metadata\":{\"name\":\"a}\\\"{\"}}}\n"

TEST_CASE(each_type_of_event_is_known)
{
    static const struct {
        const char *text;
        enum watch_event_type type;
        const char *kind;
    } rows[] = {
        {POD_EVENT("ADDED"), WATCH_ADDED, "Pod"},
        {POD_EVENT("MODIFIED"), WATCH_MODIFIED, "Pod"},
        {POD_EVENT("DELETED"), WATCH_DELETED, "Pod"},
        {"{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Lease\",\"apiVersion\":"
         "\"coordination.k8s.io/v1\",\"metadata\":{\"resourceVersion\":\"7\"}}}\n",
         WATCH_BOOKMARK, "Lease"},
        {"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":"
         "\"Failure\",\"reason\":\"Expired\",\"code\":410}}\n",
         WATCH_ERROR, "Status"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(watch_decoder) struct watch_decoder *decoder = watch_decoder_new(KUBE_JSON);
        AUTO(arena) struct arena *arena = arena_new(0);
        AUTO(buf) struct buf back;
        struct watch_event event;
        bool has;
        buf_init(&back, KiB);
        assert_no_error(watch_decoder_feed(decoder, str_from(rows[i].text)));
        assert_no_error(watch_decoder_next(decoder, arena, &has, &event));
        assert_true(has);
        assert_int_equal(event.type, rows[i].type);
        assert_string_equal(event.kind->kind, rows[i].kind);
        watch_frame_encode(&event, KUBE_JSON, &back);
        assert_string_equal(buf_text(&back), rows[i].text);
        assert_no_error(watch_decoder_next(decoder, arena, &has, &event));
        assert_false(has);
    }
}

/* Framed as by the API server: length, then a bare message around the object in its envelope. */
TEST_CASE(a_protobuf_frame_has_upstreams_bytes)
{
    static const char want[] = "\0\0\0\x2a" /* length */
                               "\x0a\x05"   /* type */
                               "ADDED"
                               "\x12\x21\x0a\x1f" /* object.raw */
                               "k8s\0"
                               "\x0a\x09\x0a\x02v1\x12\x03Pod" /* typeMeta */
                               "\x12\x0a\x0a\x08\x0a\x06"      /* raw.metadata.name */
                               "static"
                               "\x1a\0\x22\0";
    AUTO(buf) struct buf bytes;
    char name[] = "static";
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    Core__Pod pod = CORE__POD__INIT;
    buf_init(&bytes, KiB);
    meta.name = name;
    pod.metadata = &meta;
    const struct watch_event event = {
        .type = WATCH_ADDED, .kind = kube_kind_find("v1", "Pod"), .object = &pod.base};
    watch_frame_encode(&event, KUBE_PROTOBUF, &bytes);
    assert_int_equal(bytes.len, sizeof(want) - 1);
    assert_memory_equal(bytes.data, want, bytes.len);
}

TEST_CASE(a_frame_for_people_is_a_yaml_document)
{
    AUTO(buf) struct buf text;
    Core__Pod pod = CORE__POD__INIT;
    buf_init(&text, KiB);
    const struct watch_event event = {
        .type = WATCH_DELETED, .kind = kube_kind_find("v1", "Pod"), .object = &pod.base};
    watch_frame_encode(&event, KUBE_YAML, &text);
    assert_string_equal(buf_text(&text),
                        "---\ntype: DELETED\nobject:\n  kind: Pod\n  apiVersion: v1\n");
}

TEST_CASE(a_bad_frame_is_skipped_and_the_stream_goes_on)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"{\"type\":\"GONE\",\"object\":{}}", "watch event: unknown type \"GONE\""},
        {"{\"type\":\"ADDED\"}", "watch event: expected a \"type\" and an \"object\""},
        {"{\"type\":\"ADDED\",\"object\":{}}", "watch event: Object 'Kind' is missing"},
        {"{\"type\":\"ADDED\",\"object\":{\"kind\":\"Foo\",\"apiVersion\":\"v1\"}}",
         "watch event: no kind \"Foo\" is registered for version \"v1\""},
    };
    AUTO(watch_decoder) struct watch_decoder *decoder = watch_decoder_new(KUBE_JSON);
    AUTO(arena) struct arena *arena = arena_new(0);
    struct watch_event event;
    bool has;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_no_error(watch_decoder_feed(decoder, str_from(rows[i].text)));
        assert_error_message(watch_decoder_next(decoder, arena, &has, &event), rows[i].message);
        assert_false(has);
    }
    assert_no_error(watch_decoder_feed(decoder, STR_LITERAL(POD_EVENT("ADDED"))));
    assert_no_error(watch_decoder_next(decoder, arena, &has, &event));
    assert_true(has);

    AUTO(watch_decoder) struct watch_decoder *protobuf = watch_decoder_new(KUBE_PROTOBUF);
    assert_no_error(watch_decoder_feed(protobuf, STR_LITERAL("\0\0\0\x02\x0a\x05\0\0\0\0")));
    assert_error_message(watch_decoder_next(protobuf, arena, &has, &event),
                         "watch event: not a valid protobuf message");
    assert_error_message(watch_decoder_next(protobuf, arena, &has, &event),
                         "watch event: unknown type \"\"");
    assert_no_error(watch_decoder_next(protobuf, arena, &has, &event));
    assert_false(has);
}

TEST_CASE(unknown_fields_are_dropped_unless_refused)
{
    static const char text[] = "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Pod\",\"apiVersion\":"
                               "\"v1\",\"spec\":{\"new\":1}}}";
    AUTO(watch_decoder) struct watch_decoder *decoder = watch_decoder_new(KUBE_JSON);
    AUTO(arena) struct arena *arena = arena_new(0);
    struct watch_event event;
    bool has;
    assert_no_error(watch_decoder_feed(decoder, STR_LITERAL(text)));
    assert_no_error(watch_decoder_next(decoder, arena, &has, &event));
    assert_true(has);
    watch_decoder_refuse_unknown(decoder);
    assert_no_error(watch_decoder_feed(decoder, STR_LITERAL(text)));
    assert_error_message(watch_decoder_next(decoder, arena, &has, &event),
                         "watch event: unknown field \"spec.new\"");
}

TEST_CASE(what_cannot_become_a_frame_ends_the_stream)
{
    AUTO(watch_decoder) struct watch_decoder *json = watch_decoder_new(KUBE_JSON);
    assert_error_code(watch_decoder_feed(json, STR_LITERAL(POD_EVENT("ADDED") "oops")),
                      ERROR_INVALID_ARGUMENT);
    assert_error_code(watch_decoder_feed(json, STR_LITERAL(" ")), ERROR_INVALID_ARGUMENT);
    AUTO(arena) struct arena *arena = arena_new(0);
    struct watch_event event;
    bool has;
    /* What came whole before it is still there. */
    assert_no_error(watch_decoder_next(json, arena, &has, &event));
    assert_true(has);

    AUTO(watch_decoder) struct watch_decoder *protobuf = watch_decoder_new(KUBE_PROTOBUF);
    assert_error_code(watch_decoder_feed(protobuf, STR_LITERAL("\x7f\0\0\0")),
                      ERROR_RESOURCE_EXHAUSTED);

    AUTO(watch_decoder) struct watch_decoder *endless = watch_decoder_new(KUBE_JSON);
    AUTO(free) char *piece = xcalloc(1, MiB);
    memset(piece, '[', MiB);
    assert_no_error(watch_decoder_feed(endless, STR_LITERAL("{\"a\":")));
    struct error *err = NULL;
    for (size_t i = 0; i < 12 && !err; i++)
        err = watch_decoder_feed(endless, (struct str){.ptr = piece, .len = MiB});
    assert_error_code(err, ERROR_RESOURCE_EXHAUSTED);
}

TEST_CASE(the_middle_of_a_frame_is_known)
{
    AUTO(watch_decoder) struct watch_decoder *json = watch_decoder_new(KUBE_JSON);
    AUTO(watch_decoder) struct watch_decoder *protobuf = watch_decoder_new(KUBE_PROTOBUF);
    assert_false(watch_decoder_is_partial(json));
    assert_no_error(watch_decoder_feed(json, STR_LITERAL(POD_EVENT("ADDED") " \n")));
    assert_false(watch_decoder_is_partial(json));
    assert_no_error(watch_decoder_feed(json, STR_LITERAL("{\"type\"")));
    assert_true(watch_decoder_is_partial(json));
    assert_false(watch_decoder_is_partial(protobuf));
    assert_no_error(watch_decoder_feed(protobuf, STR_LITERAL("\0")));
    assert_true(watch_decoder_is_partial(protobuf));
    assert_no_error(watch_decoder_feed(protobuf, STR_LITERAL("\0\0\0")));
    assert_false(watch_decoder_is_partial(protobuf));
}

TEST_CASE(the_end_of_an_object_is_found_in_any_pieces)
{
    static const char text[] = " {\"a\":[{\"}\":\"\\\\\\\"}\"}]}\t{}";
    for (size_t step = 1; step < sizeof(text); step++) {
        struct json_scan scan = {0};
        size_t objects = 0, at = 0;
        while (at < sizeof(text) - 1) {
            struct str piece = {.ptr = text + at, .len = min_size(step, sizeof(text) - 1 - at)};
            size_t used;
            enum json_scan_end end = json_scan_next(&scan, piece, &used);
            assert_int_not_equal(end, JSON_SCAN_BROKEN);
            objects += end == JSON_SCAN_OBJECT;
            at += used;
        }
        assert_int_equal(objects, 2);
    }
}

TEST_MAIN(TEST(a_recorded_watch_comes_out_as_it_went_in), TEST(each_type_of_event_is_known),
          TEST(a_protobuf_frame_has_upstreams_bytes), TEST(a_frame_for_people_is_a_yaml_document),
          TEST(a_bad_frame_is_skipped_and_the_stream_goes_on),
          TEST(unknown_fields_are_dropped_unless_refused),
          TEST(what_cannot_become_a_frame_ends_the_stream), TEST(the_middle_of_a_frame_is_known),
          TEST(the_end_of_an_object_is_found_in_any_pieces))
