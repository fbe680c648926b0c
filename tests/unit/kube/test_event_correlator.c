#include "kube/event_correlator.h"

#include "kube/kinds.h"
#include "tests/lib/test.h"

/* A correlator and a clock; each event is about now. */
struct bench {
    struct event_correlator *correlator;
    struct arena *arena;
    int64_t now_ns;
    struct event_verdict verdict;
};

static void bench_init(struct bench *bench, size_t max_entries)
{
    *bench = (struct bench){.correlator = event_correlator_new(max_entries),
                            .arena = arena_new(0),
                            .now_ns = 1000 * NS_PER_SEC};
}

static void auto_release_bench(struct bench *bench)
{
    event_correlator_free(bench->correlator);
    arena_free(bench->arena);
}

static Core__Event *event(struct bench *bench, const char *object, const char *type,
                          const char *reason, const char *message)
{
    struct arena *arena = bench->arena;
    Core__Event *event = (Core__Event *)kube_message_new(&core__event__descriptor, arena);
    Meta__ObjectMeta *meta = kube_object_ensure_meta(&event->base, arena);
    meta->name = arena_printf(arena, "%s.%llx", object, (unsigned long long)bench->now_ns);
    meta->namespace_ = arena_strdup(arena, "ns");
    event->involved_object =
        (Core__ObjectReference *)kube_message_new(&core__object_reference__descriptor, arena);
    event->involved_object->kind = arena_strdup(arena, "Pod");
    event->involved_object->name = arena_strdup(arena, object);
    event->source = (Core__EventSource *)kube_message_new(&core__event_source__descriptor, arena);
    event->source->component = arena_strdup(arena, "kubelet");
    event->reporting_component = event->source->component;
    event->type = arena_strdup(arena, type);
    event->reason = arena_strdup(arena, reason);
    event->message = arena_strdup(arena, message);
    event->first_timestamp = (Meta__Time *)kube_message_new(&meta__time__descriptor, arena);
    event->first_timestamp->has_seconds = true;
    event->first_timestamp->seconds = bench->now_ns / NS_PER_SEC;
    event->last_timestamp = event->first_timestamp;
    event->has_count = true;
    event->count = 1;
    return event;
}

static const struct event_verdict *tell_event(struct bench *bench, const Core__Event *told)
{
    const struct event_clock now = {.wall_ns = bench->now_ns, .mono_ns = bench->now_ns};
    event_correlate(bench->correlator, told, &now, bench->arena, &bench->verdict);
    return &bench->verdict;
}

static const struct event_verdict *tell(struct bench *bench, const char *object, const char *type,
                                        const char *reason, const char *message)
{
    return tell_event(bench, event(bench, object, type, reason, message));
}

static const char *patch(const struct bench *bench)
{
    return arena_strndup(bench->arena, bench->verdict.patch.ptr, bench->verdict.patch.len);
}

TEST_CASE(the_first_of_a_kind_passes_as_it_is)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, 0);
    const Core__Event *told = event(&bench, "web", "Normal", "Pulled", "ready");
    const struct event_verdict *verdict = tell_event(&bench, told);
    assert_ptr_equal(verdict->event, told);
    assert_int_equal(verdict->patch.len, 0);
    assert_false(verdict->is_dropped);
}

TEST_CASE(a_repeat_changes_the_event_that_was_sent)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, 0);
    const Core__Event *first = tell(&bench, "web", "Normal", "Pulled", "the \"image\"\n")->event;
    bench.now_ns += 75 * NS_PER_SEC;
    const struct event_verdict *verdict =
        tell(&bench, "web", "Normal", "Pulled", "the \"image\"\n");
    assert_string_equal(verdict->event->metadata->name, first->metadata->name);
    assert_string_equal(verdict->event->metadata->namespace_, "ns");
    assert_int_equal(verdict->event->count, 2);
    assert_int_equal(verdict->event->first_timestamp->seconds, 1000);
    assert_int_equal(verdict->event->last_timestamp->seconds, 1075);
    assert_string_equal(patch(&bench), "{\"count\":2,\"lastTimestamp\":\"1970-01-01T00:17:55Z\","
                                       "\"message\":\"the \\\"image\\\"\\n\"}");
    assert_int_equal(tell(&bench, "web", "Normal", "Pulled", "the \"image\"\n")->event->count, 3);
    /* Upstream leaves out what has not changed from "". */
    (void)tell(&bench, "web", "Normal", "Odd", "");
    (void)tell(&bench, "web", "Normal", "Odd", "");
    assert_string_equal(patch(&bench), "{\"count\":2,\"lastTimestamp\":\"1970-01-01T00:17:55Z\"}");
}

TEST_CASE(what_differs_is_another_event)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, 0);
    (void)tell(&bench, "web", "Normal", "Pulled", "m");
    assert_int_equal(tell(&bench, "db", "Normal", "Pulled", "m")->event->count, 1);
    assert_int_equal(tell(&bench, "web", "Warning", "Pulled", "m")->event->count, 1);
    assert_int_equal(tell(&bench, "web", "Normal", "Failed", "m")->event->count, 1);
    assert_int_equal(tell(&bench, "web", "Normal", "Pulled", "n")->event->count, 1);
    Core__Event *container = event(&bench, "web", "Normal", "Pulled", "m");
    container->involved_object->field_path = arena_strdup(bench.arena, "spec.containers{c}");
    assert_int_equal(tell_event(&bench, container)->event->count, 1);
    assert_int_equal(tell_event(&bench, container)->event->count, 2);
    /* Texts do not run into one another. */
    assert_int_equal(tell(&bench, "web", "Normal", "Pulledm", "")->event->count, 1);
}

TEST_CASE(what_the_server_has_is_what_goes_on)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, 0);
    const struct event_verdict *verdict = tell(&bench, "web", "Normal", "Pulled", "m");
    Core__Event stored = *verdict->event;
    Meta__ObjectMeta meta = *stored.metadata;
    stored.metadata = &meta;
    meta.name = (char *)"renamed";
    stored.count = 41;
    event_correlator_note_stored(bench.correlator, verdict, &stored);
    verdict = tell(&bench, "web", "Normal", "Pulled", "m");
    assert_int_equal(verdict->event->count, 42);
    assert_string_equal(verdict->event->metadata->name, "renamed");
}

TEST_CASE(the_tenth_message_is_combined)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, 0);
    for (int i = 1; i < 10; i++) {
        char message[] = {(char)('0' + i), '\0'};
        const struct event_verdict *verdict = tell(&bench, "web", "Warning", "Failed", message);
        assert_string_equal(verdict->event->message, message);
        assert_int_equal(verdict->patch.len, 0);
        bench.now_ns += 600 * NS_PER_SEC; /* of the one before, not of the first */
    }
    const struct event_verdict *verdict = tell(&bench, "web", "Warning", "Failed", "ten");
    const char *name = arena_printf(bench.arena, "web.%llx", (unsigned long long)bench.now_ns);
    assert_string_equal(verdict->event->message, "(combined from similar events): ten");
    assert_string_equal(verdict->event->metadata->name, name);
    assert_int_equal(verdict->event->count, 1);
    assert_int_equal(verdict->patch.len, 0);

    bench.now_ns += 60 * NS_PER_SEC;
    verdict = tell(&bench, "web", "Warning", "Failed", "eleven");
    assert_string_equal(verdict->event->metadata->name, name);
    assert_string_equal(patch(&bench), "{\"count\":2,\"lastTimestamp\":\"1970-01-01T01:47:40Z\","
                                       "\"message\":\"(combined from similar events): eleven\"}");
    /* One that was known before goes on being counted on its own. */
    verdict = tell(&bench, "web", "Warning", "Failed", "1");
    assert_string_equal(verdict->event->message, "1");
    assert_int_equal(verdict->event->count, 2);
    /* After ten minutes of silence all is forgotten. */
    bench.now_ns += 600 * NS_PER_SEC + 1;
    assert_string_equal(tell(&bench, "web", "Warning", "Failed", "twelve")->event->message,
                        "twelve");
}

TEST_CASE(containers_of_a_pod_are_similar)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, 0);
    for (int i = 1; i < 11; i++) {
        Core__Event *told =
            event(&bench, "web", "Normal", "Created", arena_printf(bench.arena, "container %d", i));
        told->involved_object->field_path = arena_printf(bench.arena, "spec.containers{c%d}", i);
        bool is_combined = text_has_prefix(tell_event(&bench, told)->event->message, "(combined");
        assert_int_equal(is_combined, i == 10);
    }
}

TEST_CASE(spam_is_dropped_but_counted)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, 0);
    for (int i = 0; i < 25; i++)
        assert_false(tell(&bench, "web", "Warning", "BackOff", "again")->is_dropped);
    for (int i = 0; i < 5; i++)
        assert_true(tell(&bench, "web", "Warning", "BackOff", "again")->is_dropped);
    /* Another reason fills the same bucket, another type or object has its own. */
    assert_true(tell(&bench, "web", "Warning", "Failed", "x")->is_dropped);
    assert_false(tell(&bench, "web", "Normal", "BackOff", "again")->is_dropped);
    assert_false(tell(&bench, "db", "Warning", "BackOff", "again")->is_dropped);

    bench.now_ns += 300 * NS_PER_SEC;
    const struct event_verdict *verdict = tell(&bench, "web", "Warning", "BackOff", "again");
    assert_false(verdict->is_dropped);
    assert_int_equal(verdict->event->count, 31);
    assert_true(tell(&bench, "web", "Warning", "BackOff", "again")->is_dropped);
}

TEST_CASE(memory_is_bounded)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, 16);
    for (int i = 0; i < 200; i++)
        (void)tell(&bench, arena_printf(bench.arena, "pod-%d", i), "Normal", "Pulled", "m");
    assert_int_equal(event_correlator_entries(bench.correlator), 48);
    /* The least recently used went first. */
    assert_int_equal(tell(&bench, "pod-184", "Normal", "Pulled", "m")->event->count, 2);
    assert_int_equal(tell(&bench, "pod-200", "Normal", "Pulled", "m")->event->count, 1);
    assert_int_equal(tell(&bench, "pod-185", "Normal", "Pulled", "m")->event->count, 1);
    assert_int_equal(tell(&bench, "pod-184", "Normal", "Pulled", "m")->event->count, 3);

    /* What says nothing any more is not kept: only what was sent is. */
    bench.now_ns += 7501 * NS_PER_SEC;
    (void)tell(&bench, "new", "Normal", "Pulled", "m");
    assert_int_equal(event_correlator_entries(bench.correlator), 18);
}

TEST_CASE(an_event_without_object_or_source_does_no_harm)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, 0);
    Core__Event bare = CORE__EVENT__INIT;
    bare.has_count = true;
    bare.count = 1;
    assert_false(tell_event(&bench, &bare)->is_dropped);
    assert_int_equal(tell_event(&bench, &bare)->event->count, 2);
    assert_string_equal(patch(&bench), "{\"count\":2}");
}

TEST_MAIN(TEST(the_first_of_a_kind_passes_as_it_is), TEST(a_repeat_changes_the_event_that_was_sent),
          TEST(what_differs_is_another_event), TEST(what_the_server_has_is_what_goes_on),
          TEST(the_tenth_message_is_combined), TEST(containers_of_a_pod_are_similar),
          TEST(spam_is_dropped_but_counted), TEST(memory_is_bounded),
          TEST(an_event_without_object_or_source_does_no_harm))
