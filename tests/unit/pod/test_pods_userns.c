/* Pods with `hostUsers: false` from their start to their end, on the bench. */
#include "pods_bench.h"

#define APART "hostUsers: false, " BENCH_WEB
#define FILE_OF_WEB "root/pods/u-web/userns"
#define UNIT 65536U

/* Ids for two pods. */
static struct userns *two_ranges(void)
{
    static const struct userns_options options = {
        .ids_per_pod = UNIT, .first = UNIT, .length = 2 * UNIT, .max_pods = 2};
    struct userns *userns = NULL;
    assert_no_error(userns_new(&options, &userns));
    return userns;
}

static void begin(struct bench *bench, struct userns *userns, bool can)
{
    bench_init(bench);
    fake_runtime_add_handler(bench->fake, "", false);
    if (can)
        fake_runtime_allow_userns(bench->fake);
    bench->env.userns = userns;
    bench_start(bench);
}

/* The event @reason of pod web, or "". */
static const char *event_message(const struct bench *bench, const char *uid, const char *reason)
{
    struct bench_look look = bench_look(bench, uid);
    for (size_t i = 0; look.found && i < look.view.timeline->count; i++) {
        const struct timeline_entry *entry = timeline_at(look.view.timeline, i);
        if (text_eq(entry->reason, reason))
            return entry->message;
    }
    return "";
}

TEST_CASE(a_pod_of_its_own_users_has_its_ids_from_start_to_end)
{
    struct bench bench;
    AUTO(userns) struct userns *userns = two_ranges();
    begin(&bench, userns, true);
    bench_want(&bench, "web", APART);
    bench_tell(&bench);
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "running"));
    uint32_t host_id = userns_find(userns, "u-web").host_id;
    assert_true(host_id == UNIT || host_id == 2 * UNIT);
    assert_true(bench_exists(&bench, FILE_OF_WEB));

    const Cri__ContainerConfig *config = fake_runtime_config(bench.fake, "web-n", "c");
    const Cri__UserNamespace *ids =
        config->linux->security_context->namespace_options->userns_options;
    assert_int_equal(ids->mode, CRI__NAMESPACE_MODE__POD);
    assert_int_equal(ids->uids[0]->host_id, host_id);
    assert_int_equal(ids->gids[0]->length, UNIT);
    assert_true(config->n_mounts > 0);
    for (size_t i = 0; i < config->n_mounts; i++) {
        assert_int_equal(config->mounts[i]->n_uidmappings, 1);
        assert_int_equal(config->mounts[i]->gidmappings[0]->host_id, host_id);
    }

    bench_drop(&bench, "u-web");
    bench_tell(&bench);
    bench_until(&bench, !bench_has_pod(&bench, "u-web"));
    assert_int_equal(userns_find(userns, "u-web").length, 0);
    bench_assert_gone(&bench, "web-n", "u-web");
    bench_finish(&bench);
}

TEST_CASE(a_new_sandbox_keeps_the_pods_ids)
{
    struct bench bench;
    AUTO(userns) struct userns *userns = two_ranges();
    begin(&bench, userns, true);
    bench_want(&bench, "web", APART);
    bench_tell(&bench);
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "running"));
    uint32_t host_id = userns_find(userns, "u-web").host_id;
    fake_runtime_kill_sandbox(bench.fake, "web-n");
    bench_until(&bench, fake_runtime_count(bench.fake, RUNTIME_RUN_POD_SANDBOX) == 2);
    bench_rest(&bench);
    assert_int_equal(userns_find(userns, "u-web").host_id, host_id);
    bench_finish(&bench);
}

TEST_CASE(a_pod_that_is_done_gives_its_ids_back)
{
    struct bench bench;
    AUTO(userns) struct userns *userns = two_ranges();
    begin(&bench, userns, true);
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "c", .exits = SIZE_MAX});
    bench_want(&bench, "web", "restartPolicy: Never, " APART);
    bench_tell(&bench);
    bench_until(&bench, text_eq(bench_phase(&bench, "u-web"), "Succeeded"));
    bench_until(&bench, userns_find(userns, "u-web").length == 0);
    bench_rest(&bench);
    assert_true(bench_has_pod(&bench, "u-web"));
    assert_false(bench_exists(&bench, FILE_OF_WEB));
    bench_finish(&bench);
}

TEST_CASE(without_free_ids_a_pod_waits_for_them)
{
    struct bench bench;
    AUTO(userns) struct userns *userns = two_ranges();
    struct userns_range range;
    assert_no_error(userns_claim(userns, "a", 0, &range));
    assert_no_error(userns_claim(userns, "b", 0, &range));
    begin(&bench, userns, true);
    bench_want(&bench, "web", APART);
    bench_tell(&bench);
    bench_until(&bench, bench_events(&bench, "u-web", "FailedCreatePodSandBox") > 0);
    assert_string_equal(event_message(&bench, "u-web", "FailedCreatePodSandBox"),
                        "Failed to create pod sandbox: could not find an empty slot to allocate a "
                        "user namespace");
    assert_false(bench_exists(&bench, FILE_OF_WEB));
    userns_release(userns, "a");
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "running"));
    bench_finish(&bench);
}

TEST_CASE(what_the_runtime_cannot_do_costs_no_ids)
{
    struct bench bench;
    AUTO(userns) struct userns *userns = two_ranges();
    begin(&bench, userns, false);
    bench_want(&bench, "web", APART);
    bench_want(&bench, "plain", BENCH_WEB);
    bench_tell(&bench);
    bench_until(&bench, bench_events(&bench, "u-web", "FailedCreatePodSandBox") > 0);
    assert_string_equal(event_message(&bench, "u-web", "FailedCreatePodSandBox"),
                        "Failed to create pod sandbox: can't set `spec.hostUsers: false`, runtime "
                        "does not support user namespaces");
    bench_until(&bench, text_eq(bench_state(&bench, "u-plain", "c"), "running"));
    assert_int_equal(userns_find(userns, "u-web").length, 0);
    assert_int_equal(userns_find(userns, "u-plain").length, 0);
    assert_false(bench_exists(&bench, FILE_OF_WEB));
    bench_finish(&bench);
}

TEST_MAIN(TEST(a_pod_of_its_own_users_has_its_ids_from_start_to_end),
          TEST(a_new_sandbox_keeps_the_pods_ids), TEST(a_pod_that_is_done_gives_its_ids_back),
          TEST(without_free_ids_a_pod_waits_for_them),
          TEST(what_the_runtime_cannot_do_costs_no_ids))
