#include "server/zpages.h"

#include "tests/lib/test.h"

#define WARNING                                                                                    \
    "Warning: This endpoint is not meant to be machine parseable, has no formatting "              \
    "compatibility guarantees and is for debugging purposes only.\n"

TEST_CASE(a_page_is_text_unless_its_object_is_asked_for_by_name)
{
    static const struct {
        const char *accept;
        enum zpage_form want;
        bool is_deprecated;
    } rows[] = {
        {NULL, ZPAGE_TEXT, false},
        {"*/*", ZPAGE_TEXT, false},
        {"text/plain", ZPAGE_TEXT, false},
        {"text/html, */*;q=0.1", ZPAGE_TEXT, false},
        {"application/json", ZPAGE_NOT_ACCEPTABLE, false},
        {"application/json;g=config.k8s.io;v=v1beta1;as=Flagz", ZPAGE_JSON, false},
        {"application/yaml; as=Flagz; v=v1beta1; g=config.k8s.io", ZPAGE_YAML, false},
        {"application/json;g=config.k8s.io;v=v1alpha1;as=Flagz", ZPAGE_JSON, true},
        {"application/json;g=config.k8s.io;v=v1;as=Flagz", ZPAGE_NOT_ACCEPTABLE, false},
        {"application/json;g=config.k8s.io;v=v1beta1;as=Statusz", ZPAGE_NOT_ACCEPTABLE, false},
        {"application/cbor;g=config.k8s.io;v=v1beta1;as=Flagz", ZPAGE_NOT_ACCEPTABLE, false},
        {"application/json, text/plain;q=0.5", ZPAGE_TEXT, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct zpage_wish wish;
        zpage_negotiate(rows[i].accept, "Flagz", &wish);
        if (wish.form != rows[i].want || wish.is_deprecated != rows[i].is_deprecated)
            fail_msg("%s", rows[i].accept);
    }
}

static char *flags_page(enum zpage_form form, const char *delimiter)
{
    static const char *const items[] = {"--address=\"0.0.0.0\"", "--config=\"\"",
                                        "--node-labels=\"a=b\""};
    static const struct zpage_flags flags = {.items = items, .count = ARRAY_SIZE(items)};
    struct zpage_wish wish = {.form = form};
    struct buf out;
    buf_init(&out, 4 * KiB);
    zpage_write_flags(&wish, &flags, delimiter, &out);
    return buf_take(&out);
}

TEST_CASE(flags_are_lines_or_an_object)
{
    AUTO(free) char *text = flags_page(ZPAGE_TEXT, " ");
    assert_string_equal(text,
                        "\nkubelet flagz\n" WARNING "address 0.0.0.0\nconfig \nnode-labels a=b\n");
    AUTO(free) char *json = flags_page(ZPAGE_JSON, " ");
    assert_string_equal(json, "{\"kind\":\"Flagz\",\"apiVersion\":\"config.k8s.io/v1beta1\","
                              "\"metadata\":{\"name\":\"kubelet\"},\"flags\":{\"address\":"
                              "\"0.0.0.0\",\"config\":\"\",\"node-labels\":\"a=b\"}}\n");
    AUTO(free) char *yaml = flags_page(ZPAGE_YAML, " ");
    assert_non_null(strstr(yaml, "node-labels: a=b\n"));
}

TEST_CASE(the_status_tells_how_long_it_runs)
{
    static const char *const paths[] = {"/configz", "/debug", NULL};
    /* 2026-11-21T03:06:53Z and 26 hours, 1 minute and 15 seconds later */
    static const struct zpage_status status = {.started_wall_ns = 1795230413 * NS_PER_SEC,
                                               .now_wall_ns = 1795324088 * NS_PER_SEC,
                                               .compiler = "gcc",
                                               .binary_version = "1.36.2+cubelet.0.1.0",
                                               .emulation_version = "1.36",
                                               .paths = paths};
    AUTO(buf) struct buf out;
    buf_init(&out, 4 * KiB);
    zpage_write_status(&(struct zpage_wish){.form = ZPAGE_TEXT}, &status, ": ", &out);
    assert_string_equal(buf_text(&out),
                        "\nkubelet statusz\n" WARNING "\n"
                        "Started: Sat Nov 21 03:06:53 UTC 2026\nUp: 26 hr 01 min 15 sec\n"
                        "Go version: gcc\nBinary version: 1.36.2+cubelet.0.1.0\n"
                        "Emulation version: 1.36\nPaths: /configz /debug\n");
    buf_clear(&out);
    zpage_write_status(&(struct zpage_wish){.form = ZPAGE_JSON, .is_deprecated = true}, &status,
                       ": ", &out);
    assert_string_equal(buf_text(&out),
                        "{\"kind\":\"Statusz\",\"apiVersion\":\"config.k8s.io/v1alpha1\","
                        "\"metadata\":{\"name\":\"kubelet\"},\"startTime\":"
                        "\"2026-11-21T03:06:53Z\",\"uptimeSeconds\":93675,\"goVersion\":\"gcc\","
                        "\"binaryVersion\":\"1.36.2+cubelet.0.1.0\",\"emulationVersion\":\"1.36\","
                        "\"paths\":[\"/configz\",\"/debug\"]}\n");
}

TEST_MAIN(TEST(a_page_is_text_unless_its_object_is_asked_for_by_name),
          TEST(flags_are_lines_or_an_object), TEST(the_status_tells_how_long_it_runs))
