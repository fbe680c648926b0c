/* Ephemeral containers over a fake runtime: added to a pod of the API server that runs, and to ones
 * that do not. Every call may fail. */
#include "pod/api_source.h"

#include "kube/defaults.h"
#include "kube/kinds.h"
#include "pods_bench.h"

#define SEEN_NS (1700000000 * NS_PER_SEC)
#define DEBUG(name, more) "{name: " name ", image: 'img:1', imagePullPolicy: IfNotPresent" more "}"

static void put(struct bench *bench, const char *spec, const char *debuggers)
{
    const char *text = arena_printf(
        bench->arena,
        "metadata: {name: web, namespace: d, uid: u-web}\n"
        "spec: {%s containers: [{name: c, image: 'img:1', imagePullPolicy: IfNotPresent}], "
        "ephemeralContainers: [%s]}\n",
        spec, debuggers);
    struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT, .file = "test"};
    ProtobufCMessage *message = NULL;
    assert_no_error(
        kube_decode_yaml(str_from(text), &core__pod__descriptor, &options, bench->arena, &message));
    pod_set_defaults((Core__Pod *)message, bench->arena); /* as the server does */
    AUTO(kube_object)
    const struct kube_object *object = kube_object_new(kube_kind_find("v1", "Pod"), message);
    AUTO(pod_object) struct pod_object *pod = pod_object_from_api(object, SEEN_NS);
    pods_put(bench->pods, pod);
}

static void begin(struct bench *bench, const char *spec, const char *debuggers)
{
    bench_init(bench);
    bench->env.sources = 1U << POD_SOURCE_API;
    bench_start(bench);
    put(bench, spec, debuggers);
    pods_source_ready(bench->pods, POD_SOURCE_API);
    bench_rest(bench);
}

/* The entry of ephemeral container @name; NULL: it has none. */
static const Core__ContainerStatus *entry_of(const struct bench *bench, const char *name)
{
    const Core__PodStatus *status = bench_look(bench, "u-web").view.status;
    for (size_t i = 0; status && i < status->n_ephemeral_container_statuses; i++) {
        if (text_eq(status->ephemeral_container_statuses[i]->name, name))
            return status->ephemeral_container_statuses[i];
    }
    return NULL;
}

static bool waits(const struct bench *bench, const char *name, const char *reason)
{
    const Core__ContainerStatus *entry = entry_of(bench, name);
    return entry && entry->state->waiting && text_eq(entry->state->waiting->reason, reason);
}

static bool runs(const struct bench *bench, const char *name)
{
    const Core__ContainerStatus *entry = entry_of(bench, name);
    return entry && entry->state->running;
}

TEST_CASE(one_that_is_added_starts_and_disturbs_nothing)
{
    struct bench bench;
    begin(&bench, "", "");
    const char *running = arena_strdup(bench.arena, fake_runtime_newest(bench.fake, "web", "c"));
    fake_runtime_clear_transcript(bench.fake);
    put(&bench, "", DEBUG("shell", ""));
    bench_rest(&bench);
    assert_string_equal(bench_transcript(&bench),
                        "CreateContainer web.shell/0\nStartContainer web.shell/0\n");
    assert_string_equal(fake_runtime_newest(bench.fake, "web", "c"), running);
    const Core__ContainerStatus *entry = entry_of(&bench, "shell");
    assert_true(runs(&bench, "shell"));
    assert_true(entry->has_ready && !entry->ready);
    assert_false(entry->has_started);
    assert_string_equal(bench_phase(&bench, "u-web"), "Running");
    assert_int_equal(bench_events(&bench, "u-web", "Created"), 2);

    fake_runtime_exit(bench.fake, "web", "shell", 3);
    bench_rest(&bench);
    entry = entry_of(&bench, "shell");
    assert_int_equal(entry->state->terminated->exit_code, 3);
    assert_int_equal(entry->restart_count, 0);
    assert_int_equal(fake_runtime_count(bench.fake, RUNTIME_CREATE_CONTAINER), 2);
    assert_string_equal(bench_phase(&bench, "u-web"), "Running");
    bench_finish(&bench);
}

TEST_CASE(its_target_is_the_newest_instance_of_that_name)
{
    struct bench bench;
    begin(&bench, "", "");
    fake_runtime_exit(bench.fake, "web", "c", 1);
    bench_rest(&bench);
    put(&bench, "",
        "{name: shell, image: 'img:1', imagePullPolicy: IfNotPresent, targetContainerName: c}");
    bench_rest(&bench);
    const Cri__NamespaceOption *options =
        fake_runtime_config(bench.fake, "web", "shell")->linux->security_context->namespace_options;
    assert_int_equal(options->pid, CRI__NAMESPACE_MODE__TARGET);
    assert_string_equal(options->target_id, fake_runtime_newest(bench.fake, "web", "c"));
    bench_finish(&bench);
}

TEST_CASE(a_target_that_is_not_there_is_waited_for)
{
    struct bench bench;
    bench_init(&bench);
    bench.env.sources = 1U << POD_SOURCE_API;
    bench.env.retry_ns = NS_PER_MS;
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "first"});
    bench_start(&bench);
    put(&bench, "initContainers: [{name: first, image: 'img:1', imagePullPolicy: IfNotPresent}],",
        "{name: shell, image: 'img:1', imagePullPolicy: IfNotPresent, targetContainerName: c}");
    pods_source_ready(bench.pods, POD_SOURCE_API);
    bench_until(&bench, waits(&bench, "shell", "CreateContainerConfigError"));
    assert_string_equal(entry_of(&bench, "shell")->state->waiting->message,
                        "unable to find target container c");
    assert_true(bench_events(&bench, "u-web", "Failed") > 0);
    bench_until(&bench, fake_runtime_running(bench.fake, "web", "first") == 1);
    fake_runtime_exit(bench.fake, "web", "first", 0);
    bench_until(&bench, runs(&bench, "shell"));
    assert_string_equal(bench_state(&bench, "u-web", "c"), "running");
    bench_finish(&bench);
}

TEST_CASE(its_message_is_read_when_it_ends)
{
    struct bench bench;
    begin(&bench, "", "");
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "shell", .message = "found it"});
    put(&bench, "", DEBUG("shell", ""));
    bench_rest(&bench);
    fake_runtime_exit(bench.fake, "web", "shell", 0);
    bench_rest(&bench);
    assert_string_equal(entry_of(&bench, "shell")->state->terminated->message, "found it");
    bench_finish(&bench);
}

TEST_CASE(entries_come_in_the_order_of_their_names)
{
    struct bench bench;
    begin(&bench, "", DEBUG("b", "") ", " DEBUG("a", ""));
    const Core__PodStatus *status = bench_look(&bench, "u-web").view.status;
    assert_int_equal(status->n_ephemeral_container_statuses, 2);
    assert_string_equal(status->ephemeral_container_statuses[0]->name, "a");
    bench_finish(&bench);
}

TEST_CASE(an_image_that_cannot_be_pulled_keeps_only_itself_waiting)
{
    struct bench bench;
    bench_init(&bench);
    bench.env.sources = 1U << POD_SOURCE_API;
    bench_start(&bench);
    put(&bench, "", "{name: shell, image: 'absent:1', imagePullPolicy: IfNotPresent}");
    pods_source_ready(bench.pods, POD_SOURCE_API);
    bench_until(&bench, waits(&bench, "shell", "ImagePullBackOff") ||
                            waits(&bench, "shell", "ErrImagePull"));
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "running"));
    assert_string_equal(bench_phase(&bench, "u-web"), "Running");
    bench_finish(&bench);
}

TEST_CASE(it_is_killed_with_its_pod)
{
    struct bench bench;
    begin(&bench, "", DEBUG("shell", ""));
    fake_runtime_clear_transcript(bench.fake);
    pods_drop(bench.pods, POD_SOURCE_API, "u-web");
    bench_rest(&bench);
    assert_non_null(strstr(bench_transcript(&bench), "StopContainer web.shell/0 30\n"));
    bench_assert_gone(&bench, "web", "u-web");
    bench_finish(&bench);
}

/* --- failure sweep --- */

/* One run with call @at failing as @effect says; 0: none. Returns the number of calls. */
static size_t run_scenario(enum fake_effect effect, size_t at)
{
    struct bench bench;
    begin(&bench, "", "");
    size_t before = fake_runtime_calls(bench.fake);
    if (at > 0)
        fake_runtime_fail(bench.fake,
                          &(struct fake_fault){.at = at,
                                               .effect = effect,
                                               .code = effect == FAKE_LATE ? ERROR_DEADLINE_EXCEEDED
                                                                           : ERROR_UNAVAILABLE});
    put(&bench, "",
        "{name: shell, image: 'img:1', imagePullPolicy: IfNotPresent, "
        "targetContainerName: c}");
    bench_rest(&bench);
    bool has_run = entry_of(&bench, "shell") && entry_of(&bench, "shell")->container_id;
    if (!has_run || fake_runtime_running(bench.fake, "web", "c") != 1)
        fail_msg("effect %d at call %zu:\n%s", (int)effect, at, bench_transcript(&bench));
    /* One that was created and not started is not touched again, as with a kubelet. */
    if (effect == FAKE_REFUSED && runs(&bench, "shell"))
        fake_runtime_exit(bench.fake, "web", "shell", 0);
    bench_rest(&bench);
    pods_drop(bench.pods, POD_SOURCE_API, "u-web");
    bench_rest(&bench);
    bench_assert_gone(&bench, "web", "u-web");
    size_t calls = fake_runtime_calls(bench.fake) - before;
    bench_finish(&bench);
    return calls;
}

TEST_CASE(every_call_may_fail)
{
    static const enum fake_effect effects[] = {FAKE_REFUSED, FAKE_REPLY_LOST, FAKE_LATE};
    size_t calls = run_scenario(FAKE_REFUSED, 0);
    assert_true(calls > 8);
    for (size_t i = 0; i < ARRAY_SIZE(effects); i++) {
        for (size_t at = 1; at <= calls; at++)
            run_scenario(effects[i], at);
    }
}

TEST_MAIN(TEST(one_that_is_added_starts_and_disturbs_nothing),
          TEST(its_target_is_the_newest_instance_of_that_name),
          TEST(a_target_that_is_not_there_is_waited_for), TEST(its_message_is_read_when_it_ends),
          TEST(entries_come_in_the_order_of_their_names),
          TEST(an_image_that_cannot_be_pulled_keeps_only_itself_waiting),
          TEST(it_is_killed_with_its_pod), TEST(every_call_may_fail))
