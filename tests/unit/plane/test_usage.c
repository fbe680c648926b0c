/* What is taken in of a node's summary, and what is not. */
#include "plane/usage.h"

#include "base/buf.h"
#include "tests/lib/test.h"

#define WINDOW_NS (1200 * NS_PER_MS)
#define TIME "2026-11-21T10:00:00Z"
#define TIME_NS (INT64_C(1795255200) * NS_PER_SEC)
#define CPU(nanos) "\"cpu\":{\"time\":\"" TIME "\",\"usageNanoCores\":" #nanos "}"
#define MEMORY(bytes) "\"memory\":{\"time\":\"" TIME "\",\"workingSetBytes\":" #bytes "}"
#define NODE "\"node\":{\"nodeName\":\"n\"," CPU(5) "," MEMORY(6) "}"
#define POD(namespace_, name, containers)                                                          \
    "{\"podRef\":{\"name\":\"" name "\",\"namespace\":\"" namespace_                               \
    "\",\"uid\":\"u\"},\"containers\":[" containers "]}"
#define CONTAINER(name, cpu, memory) "{\"name\":\"" name "\"," CPU(cpu) "," MEMORY(memory) "}"

static struct usage *usage_of(const char *text, struct arena *arena)
{
    struct usage *usage = usage_new(arena);
    assert_no_error(usage_add_summary(usage, "n", str_from(text), WINDOW_NS));
    return usage;
}

static void assert_figures(const struct usage_figures *figures, int64_t nano_cores, int64_t bytes)
{
    assert_int_equal(figures->nano_cores, nano_cores);
    assert_int_equal(figures->bytes, bytes);
    assert_int_equal(figures->taken_wall_ns, TIME_NS);
    assert_int_equal(figures->window_ns, WINDOW_NS);
}

TEST_CASE(a_node_is_found_by_the_name_it_was_asked_under)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct usage *usage = usage_of("{" NODE "}", arena);
    struct usage_figures figures;
    assert_true(usage_of_node(usage, "n", &figures));
    assert_figures(&figures, 5, 6);
    assert_false(usage_of_node(usage, "m", &figures));
    assert_no_error(usage_add_summary(usage, "m", STR_LITERAL("{" NODE "}"), WINDOW_NS));
    assert_true(usage_of_node(usage, "m", &figures));
    assert_true(usage_of_node(usage, "n", &figures));
}

TEST_CASE(pods_are_found_by_namespace_and_name)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    static const char text[] =
        "{" NODE
        ",\"pods\":[" POD("b", "web", CONTAINER("z", 1, 2) "," CONTAINER("a", 3, 4)) "," POD(
            "a", "web", CONTAINER("c", 7, 8)) "]}";
    struct usage *usage = usage_of(text, arena);
    const struct usage_container *containers;
    assert_int_equal(usage_of_pod(usage, "b", "web", &containers), 2);
    assert_string_equal(containers[0].name, "z"); /* in the node's order */
    assert_figures(&containers[0].figures, 1, 2);
    assert_figures(&containers[1].figures, 3, 4);
    assert_int_equal(usage_of_pod(usage, "a", "web", &containers), 1);
    assert_figures(&containers[0].figures, 7, 8);
    assert_int_equal(usage_of_pod(usage, "a", "db", &containers), 0);
    assert_null(containers);
    /* Those of another node do not take the place of these. */
    assert_no_error(usage_add_summary(
        usage, "m", STR_LITERAL("{" NODE ",\"pods\":[" POD("a", "db", CONTAINER("c", 9, 9)) "]}"),
        WINDOW_NS));
    assert_int_equal(usage_of_pod(usage, "a", "db", &containers), 1);
    assert_int_equal(usage_of_pod(usage, "b", "web", &containers), 2);
}

TEST_CASE(what_lacks_a_figure_is_left_out)
{
    static const char *const containers[] = {
        "{\"name\":\"c\"}",
        "{\"name\":\"c\"," CPU(1) "}",
        "{\"name\":\"c\"," MEMORY(1) "}",
        "{\"name\":\"c\"," CPU(-1) "," MEMORY(1) "}",
        "{\"name\":\"c\",\"cpu\":{\"time\":\"" TIME "\",\"usageNanoCores\":\"1\"}," MEMORY(1) "}",
        "{\"name\":\"c\"," CPU(1.5) "," MEMORY(1) "}",
        "{\"name\":\"c\",\"cpu\":{\"time\":null,\"usageNanoCores\":1}," MEMORY(1) "}",
        "{\"name\":\"c\",\"cpu\":{\"time\":\"now\",\"usageNanoCores\":1}," MEMORY(1) "}",
        "{\"name\":\"c\",\"cpu\":7,\"memory\":7}",
        "null",
        "\"c\"",
    };
    for (size_t i = 0; i < ARRAY_SIZE(containers); i++) {
        print_message("%s\n", containers[i]);
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct usage_container *found;
        const char *text = arena_printf(arena,
                                        "{\"node\":{},\"pods\":[" POD("a", "one", "%s") "," POD(
                                            "a", "two", "%s," CONTAINER("d", 3, 4)) "]}",
                                        containers[i], containers[i]);
        struct usage *usage = usage_of(text, arena);
        struct usage_figures figures;
        assert_false(usage_of_node(usage, "n", &figures));
        assert_int_equal(usage_of_pod(usage, "a", "one", &found), 0);
        assert_int_equal(usage_of_pod(usage, "a", "two", &found), 1);
        assert_string_equal(found[0].name, "d");
    }
}

TEST_CASE(what_is_no_summary_is_refused_as_a_whole)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "the summary of node \"n\": "},
        {"nothing", "invalid JSON"},
        {"[]", "expected an object node, found nothing"},
        {"{\"pods\":[" POD("a", "web", CONTAINER("c", 1, 2)) "]}",
         "expected an object node, found nothing"},
        {"{\"node\":7}", "expected an object node, found number 7"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct usage *usage = usage_new(arena);
        const struct usage_container *found;
        AUTO(error)
        struct error *err = usage_add_summary(usage, "n", str_from(rows[i].text), WINDOW_NS);
        assert_true(error_is(err, ERROR_INVALID_ARGUMENT));
        assert_non_null(strstr(err->message, rows[i].message));
        assert_int_equal(usage_of_pod(usage, "a", "web", &found), 0);
    }
}

TEST_CASE(a_summary_without_an_end_is_refused)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf text;
    buf_init(&text, USAGE_SUMMARY_MAX_BYTES + KiB);
    buf_add_text(&text, "{" NODE ",\"pods\":[");
    while (text.len <= USAGE_SUMMARY_MAX_BYTES)
        buf_add_text(&text, "null,");
    struct usage *usage = usage_new(arena);
    assert_error_code(usage_add_summary(usage, "n", buf_str(&text), WINDOW_NS),
                      ERROR_RESOURCE_EXHAUSTED);
}

TEST_MAIN(TEST(a_node_is_found_by_the_name_it_was_asked_under),
          TEST(pods_are_found_by_namespace_and_name), TEST(what_lacks_a_figure_is_left_out),
          TEST(what_is_no_summary_is_refused_as_a_whole), TEST(a_summary_without_an_end_is_refused))
