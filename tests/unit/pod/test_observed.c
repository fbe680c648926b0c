#include "pod/observed.h"

#include "pod/cri_request.h"
#include "tests/lib/test.h"

#define MAX_PAIRS 4

/* --- sandboxes --- */

static struct sandbox_observed *put_sandbox(struct pod_observed *have, const char *id,
                                            uint32_t attempt, int64_t created_ns, bool ready)
{
    Cri__PodSandboxMetadata meta = CRI__POD_SANDBOX_METADATA__INIT;
    meta.attempt = attempt;
    Cri__PodSandboxStatus status = CRI__POD_SANDBOX_STATUS__INIT;
    status.id = cri_borrow(id);
    status.metadata = &meta;
    status.created_at = created_ns;
    status.state =
        ready ? CRI__POD_SANDBOX_STATE__SANDBOX_READY : CRI__POD_SANDBOX_STATE__SANDBOX_NOTREADY;
    return pod_observed_put_sandbox(have, &status);
}

static void expect_sandboxes(const struct pod_observed *have, const char *want)
{
    char text[128] = "";
    size_t len = 0;
    for (const struct sandbox_observed *s = have->sandboxes; s; s = s->next)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s ", s->id);
    assert_string_equal(text, want);
}

TEST_CASE(sandboxes_are_kept_newest_first)
{
    struct pod_observed have = {0};
    put_sandbox(&have, "b", 0, 10, false);
    put_sandbox(&have, "a", 0, 10, false); /* same attempt and time: by id */
    put_sandbox(&have, "c", 0, 20, false); /* same attempt: created later first */
    put_sandbox(&have, "d", 2, 5, true);   /* the attempt counts most */
    expect_sandboxes(&have, "d c a b ");
    put_sandbox(&have, "d", 2, 5, false); /* the same one again */
    expect_sandboxes(&have, "d c a b ");
    assert_null(pod_observed_active_sandbox(&have));
    pod_observed_drop_sandbox(&have, "c");
    pod_observed_drop_sandbox(&have, "unknown");
    expect_sandboxes(&have, "d a b ");
    put_sandbox(&have, "a", 0, 10, true);
    assert_null(pod_observed_active_sandbox(&have)); /* ready, but not the newest */
    assert_true(pod_observed_is_running(&have));
    put_sandbox(&have, "d", 2, 5, true);
    assert_string_equal(pod_observed_active_sandbox(&have)->id, "d");
    pod_observed_clear(&have);
    assert_null(have.sandboxes);
    assert_false(pod_observed_is_running(&have));
}

TEST_CASE(one_address_that_does_not_parse_spoils_them_all)
{
    static const struct {
        const char *name;
        bool has_network;
        const char *ip;
        const char *more[2];
        const char *want; /* each address, then a blank */
    } rows[] = {
        {"no network section", false, NULL, {0}, ""},
        {"no address", true, "", {0}, ""},
        {"one", true, "10.1.0.2", {0}, "10.1.0.2 "},
        {"dual stack", true, "10.1.0.2", {"2001:db8::2"}, "10.1.0.2 2001:db8::2 "},
        {"primary only further down", true, "", {"10.1.0.2"}, "10.1.0.2 "},
        {"nonsense first", true, "nonsense", {"10.1.0.2"}, ""},
        {"nonsense later", true, "10.1.0.2", {"2001:db8::2", "10.1.0.256"}, ""},
        {"an empty one later", true, "10.1.0.2", {""}, ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        Cri__PodIP extra[2] = {CRI__POD_IP__INIT, CRI__POD_IP__INIT}, *list[2];
        Cri__PodSandboxNetworkStatus network = CRI__POD_SANDBOX_NETWORK_STATUS__INIT;
        network.ip = cri_borrow(rows[i].ip);
        network.additional_ips = list;
        for (size_t n = 0; n < ARRAY_SIZE(extra) && rows[i].more[n]; n++) {
            extra[n].ip = cri_borrow(rows[i].more[n]);
            list[network.n_additional_ips++] = &extra[n];
        }
        Cri__PodSandboxStatus status = CRI__POD_SANDBOX_STATUS__INIT;
        status.id = cri_borrow("s");
        status.network = rows[i].has_network ? &network : NULL;
        struct pod_observed have = {0};
        const struct sandbox_observed *sandbox = pod_observed_put_sandbox(&have, &status);
        char text[128] = "";
        size_t len = 0;
        for (size_t n = 0; n < sandbox->n_ips; n++)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s ", sandbox->ips[n]);
        if (strcmp(text, rows[i].want) != 0 || sandbox->has_network != rows[i].has_network)
            fail_msg("%s: \"%s\"", rows[i].name, text);
        pod_observed_clear(&have);
    }
}

TEST_CASE(the_network_namespace_tells_the_host_network)
{
    Cri__NamespaceOption option = CRI__NAMESPACE_OPTION__INIT;
    Cri__Namespace namespaces = CRI__NAMESPACE__INIT;
    Cri__LinuxPodSandboxStatus os = CRI__LINUX_POD_SANDBOX_STATUS__INIT;
    Cri__PodSandboxStatus status = CRI__POD_SANDBOX_STATUS__INIT;
    status.id = cri_borrow("s");
    struct pod_observed have = {0};
    assert_false(pod_observed_put_sandbox(&have, &status)->host_network);
    status.linux = &os;
    assert_false(pod_observed_put_sandbox(&have, &status)->host_network);
    os.namespaces = &namespaces;
    assert_false(pod_observed_put_sandbox(&have, &status)->host_network);
    namespaces.options = &option;
    assert_false(pod_observed_put_sandbox(&have, &status)->host_network);
    option.network = CRI__NAMESPACE_MODE__NODE;
    assert_true(pod_observed_put_sandbox(&have, &status)->host_network);
    pod_observed_clear(&have);
}

/* --- containers --- */

static struct container_observed *put(struct pod_observed *have, const char *id, const char *name,
                                      Cri__ContainerState state, int64_t created_ns)
{
    Cri__ContainerMetadata meta = CRI__CONTAINER_METADATA__INIT;
    meta.name = cri_borrow(name);
    Cri__ContainerStatus status = CRI__CONTAINER_STATUS__INIT;
    status.id = cri_borrow(id);
    status.metadata = &meta;
    status.state = state;
    status.created_at = created_ns;
    status.started_at = created_ns + 1;
    status.finished_at = created_ns + 2;
    status.exit_code = 7;
    status.reason = cri_borrow("Error");
    status.message = cri_borrow("of the runtime");
    return pod_observed_put_container(have, "sandbox", &status);
}

#define CREATED CRI__CONTAINER_STATE__CONTAINER_CREATED
#define RUNNING CRI__CONTAINER_STATE__CONTAINER_RUNNING
#define EXITED CRI__CONTAINER_STATE__CONTAINER_EXITED
#define UNKNOWN CRI__CONTAINER_STATE__CONTAINER_UNKNOWN

TEST_CASE(instances_are_kept_newest_first)
{
    struct pod_observed have = {0};
    put(&have, "w1", "web", EXITED, 10);
    put(&have, "l1", "log", RUNNING, 20);
    put(&have, "w3", "web", RUNNING, 30);
    put(&have, "w2", "web", EXITED, 20);
    assert_string_equal(pod_observed_newest(&have, "web")->id, "w3");
    assert_string_equal(pod_observed_previous(&have, "web")->id, "w2");
    assert_string_equal(pod_observed_newest(&have, "log")->id, "l1");
    assert_null(pod_observed_previous(&have, "log"));
    assert_null(pod_observed_newest(&have, "other"));
    assert_null(pod_observed_previous(&have, "other"));
    assert_string_equal(pod_observed_container(&have, "w1")->sandbox_id, "sandbox");
    pod_observed_drop_container(&have, "w3");
    pod_observed_drop_container(&have, "unknown");
    assert_string_equal(pod_observed_newest(&have, "web")->id, "w2");
    assert_true(pod_observed_is_running(&have));
    pod_observed_clear(&have);
    assert_null(have.containers);
}

TEST_CASE(times_and_results_belong_to_states)
{
    static const struct {
        Cri__ContainerState cri;
        enum container_state want;
        bool has_start, has_end;
    } rows[] = {
        {CREATED, CONTAINER_CREATED, false, false},
        {RUNNING, CONTAINER_RUNNING, true, false},
        {EXITED, CONTAINER_EXITED, true, true},
        {UNKNOWN, CONTAINER_UNKNOWN, true, false},
        {(Cri__ContainerState)17, CONTAINER_UNKNOWN, true, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pod_observed have = {0};
        const struct container_observed *c = put(&have, "c", "web", rows[i].cri, 10);
        assert_int_equal(c->state, rows[i].want);
        assert_int_equal(c->created_ns, 10);
        assert_int_equal(c->started_ns, rows[i].has_start ? 11 : 0);
        assert_int_equal(c->finished_ns, rows[i].has_end ? 12 : 0);
        assert_int_equal(c->exit_code, rows[i].has_end ? 7 : 0);
        assert_string_equal(c->reason, rows[i].has_end ? "Error" : "");
        assert_string_equal(c->message, rows[i].has_end ? "of the runtime" : "");
        pod_observed_clear(&have);
    }
    assert_string_equal(container_state_name(CONTAINER_UNKNOWN), "unknown");
}

TEST_CASE(an_overtaken_status_changes_nothing)
{
    static const struct {
        Cri__ContainerState old, new;
        enum container_state want;
    } rows[] = {
        {CREATED, RUNNING, CONTAINER_RUNNING}, {CREATED, EXITED, CONTAINER_EXITED},
        {RUNNING, EXITED, CONTAINER_EXITED},   {RUNNING, CREATED, CONTAINER_RUNNING},
        {EXITED, RUNNING, CONTAINER_EXITED},   {EXITED, CREATED, CONTAINER_EXITED},
        {RUNNING, UNKNOWN, CONTAINER_UNKNOWN}, {UNKNOWN, RUNNING, CONTAINER_RUNNING},
        {UNKNOWN, EXITED, CONTAINER_EXITED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pod_observed have = {0};
        put(&have, "c", "web", rows[i].old, 10);
        const struct container_observed *c = put(&have, "c", "web", rows[i].new, 10);
        assert_int_equal(c->state, rows[i].want);
        assert_ptr_equal(c, have.containers);
        assert_null(c->next);
        pod_observed_clear(&have);
    }
}

TEST_CASE(the_termination_message_is_read_once_and_kept)
{
    struct pod_observed have = {0};
    struct container_observed *c = put(&have, "c", "web", EXITED, 10);
    assert_false(c->message_is_final);
    container_observed_set_termination(c, "last words");
    assert_string_equal(c->message, "of the runtime: last words");
    c = put(&have, "c", "web", EXITED, 10); /* read again from the runtime */
    assert_true(c->message_is_final);
    assert_string_equal(c->message, "of the runtime: last words");
    c = put(&have, "d", "web", EXITED, 10);
    container_observed_set_termination(c, "");
    assert_true(c->message_is_final);
    assert_string_equal(c->message, "of the runtime");
    pod_observed_clear(&have);
}

TEST_CASE(a_stop_that_was_begun_is_remembered)
{
    struct pod_observed have = {0};
    put(&have, "c", "web", RUNNING, 10)->stop_begun = true;
    assert_true(put(&have, "c", "web", RUNNING, 10)->stop_begun);
    assert_false(put(&have, "d", "web", RUNNING, 11)->stop_begun);
    pod_observed_clear(&have);
}

TEST_CASE(a_status_without_a_sandbox_keeps_the_one_that_is_known)
{
    struct pod_observed have = {0};
    put(&have, "c", "web", RUNNING, 10);
    Cri__ContainerStatus status = CRI__CONTAINER_STATUS__INIT;
    status.id = cri_borrow("c");
    status.state = EXITED;
    assert_string_equal(pod_observed_put_container(&have, "", &status)->sandbox_id, "sandbox");
    pod_observed_clear(&have);
}

/* --- what a kubelet wrote into annotations and labels --- */

struct annotated {
    Cri__ContainerStatus status;
    Cri__ContainerStatus__AnnotationsEntry entries[MAX_PAIRS], *list[MAX_PAIRS];
};

static void annotate(struct annotated *it, const char *key, const char *value)
{
    size_t i = it->status.n_annotations++;
    assert_true(i < MAX_PAIRS);
    cri__container_status__annotations_entry__init(&it->entries[i]);
    it->entries[i].key = cri_borrow(key);
    it->entries[i].value = cri_borrow(value);
    it->list[i] = &it->entries[i];
    it->status.annotations = it->list;
}

static void annotated_init(struct annotated *it)
{
    *it = (struct annotated){.status = CRI__CONTAINER_STATUS__INIT};
    it->status.id = cri_borrow("c");
}

TEST_CASE(annotations_that_cannot_be_read_count_as_absent)
{
    static const struct {
        const char *name, *key, *value;
        int32_t restarts;
        uint32_t hash;
        bool has_grace;
        int64_t grace_s;
    } rows[] = {
        {.name = "none", .key = "other", .value = "1"},
        {"restarts", "io.kubernetes.container.restartCount", "3", 3, 0, false, 0},
        {"negative", "io.kubernetes.container.restartCount", "-3", 0, 0, false, 0},
        {"words", "io.kubernetes.container.restartCount", "three", 0, 0, false, 0},
        {"too many", "io.kubernetes.container.restartCount", "2147483648", 0, 0, false, 0},
        {"hash", "io.kubernetes.container.hash", "d34db33f", 0, 0xd34db33f, false, 0},
        {"no hash", "io.kubernetes.container.hash", "", 0, 0, false, 0},
        {"a long hash", "io.kubernetes.container.hash", "1d34db33f", 0, 0, false, 0},
        {"no hex", "io.kubernetes.container.hash", "12xy", 0, 0, false, 0},
        {"a signed hash", "io.kubernetes.container.hash", "-1", 0, 0, false, 0},
        {"a hash after a blank", "io.kubernetes.container.hash", " 12", 0, 0, false, 0},
        {"a hash with a prefix", "io.kubernetes.container.hash", "0x12", 0, 0, false, 0},
        {"grace", "io.kubernetes.pod.terminationGracePeriod", "40", 0, 0, true, 40},
        {"no grace", "io.kubernetes.pod.terminationGracePeriod", "0", 0, 0, true, 0},
        {"bad grace", "io.kubernetes.pod.terminationGracePeriod", "4s", 0, 0, false, 0},
        {"deletion", "io.kubernetes.pod.deletionGracePeriod", "5", 0, 0, true, 5},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct annotated it;
        annotated_init(&it);
        annotate(&it, rows[i].key, rows[i].value);
        struct pod_observed have = {0};
        const struct container_observed *c = pod_observed_put_container(&have, "", &it.status);
        if (c->restart_count != rows[i].restarts || c->hash != rows[i].hash ||
            c->has_grace != rows[i].has_grace || c->grace_s != rows[i].grace_s)
            fail_msg("%s: restarts %d hash %x grace %d %lld", rows[i].name, c->restart_count,
                     c->hash, c->has_grace, (long long)c->grace_s);
        pod_observed_clear(&have);
    }
}

TEST_CASE(the_grace_period_of_a_deletion_comes_first)
{
    struct annotated it;
    annotated_init(&it);
    annotate(&it, "io.kubernetes.pod.terminationGracePeriod", "40");
    annotate(&it, "io.kubernetes.pod.deletionGracePeriod", "5");
    struct pod_observed have = {0};
    assert_int_equal(pod_observed_put_container(&have, "", &it.status)->grace_s, 5);
    pod_observed_clear(&have);
}

TEST_CASE(the_termination_log_is_found_through_the_mounts)
{
    static const struct {
        const char *name, *path, *policy, *want;
        bool from_logs;
    } rows[] = {
        {"mounted", "/dev/termination-log", "File", "/host/log", false},
        {"not mounted", "/elsewhere", "FallbackToLogsOnError", NULL, true},
        {"no path", "", "", NULL, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct annotated it;
        annotated_init(&it);
        annotate(&it, "io.kubernetes.container.terminationMessagePath", rows[i].path);
        annotate(&it, "io.kubernetes.container.terminationMessagePolicy", rows[i].policy);
        Cri__Mount other = CRI__MOUNT__INIT, log = CRI__MOUNT__INIT;
        Cri__Mount *mounts[] = {&other, &log};
        other.container_path = cri_borrow("/etc/hosts");
        other.host_path = cri_borrow("/host/hosts");
        log.container_path = cri_borrow("/dev/termination-log");
        log.host_path = cri_borrow("/host/log");
        it.status.mounts = mounts;
        it.status.n_mounts = ARRAY_SIZE(mounts);
        struct pod_observed have = {0};
        const struct container_observed *c = pod_observed_put_container(&have, "", &it.status);
        if (!text_eq(c->termination_path, rows[i].want) ||
            c->termination_from_logs != rows[i].from_logs)
            fail_msg("%s: %s", rows[i].name, c->termination_path ? c->termination_path : "none");
        pod_observed_clear(&have);
    }
}

TEST_CASE(the_name_comes_from_the_label_and_the_image_id_from_the_reference_when_missing)
{
    Cri__ContainerMetadata meta = CRI__CONTAINER_METADATA__INIT;
    meta.name = cri_borrow("meta");
    Cri__ContainerStatus__LabelsEntry label = CRI__CONTAINER_STATUS__LABELS_ENTRY__INIT;
    Cri__ContainerStatus__LabelsEntry *labels[] = {&label};
    label.key = cri_borrow("io.kubernetes.container.name");
    label.value = cri_borrow("label");
    Cri__ContainerStatus status = CRI__CONTAINER_STATUS__INIT;
    status.id = cri_borrow("c");
    status.metadata = &meta;
    status.image_ref = cri_borrow("ref");
    struct pod_observed have = {0};
    const struct container_observed *c = pod_observed_put_container(&have, "", &status);
    assert_string_equal(c->name, "meta");
    assert_string_equal(c->image, "");
    assert_string_equal(c->image_id, "ref");
    pod_observed_drop_container(&have, "c");
    status.labels = labels;
    status.n_labels = 1;
    status.image_id = cri_borrow("id");
    c = pod_observed_put_container(&have, "", &status);
    assert_string_equal(c->name, "label");
    assert_string_equal(c->image_id, "id");
    pod_observed_clear(&have);
}

TEST_MAIN(TEST(sandboxes_are_kept_newest_first),
          TEST(one_address_that_does_not_parse_spoils_them_all),
          TEST(the_network_namespace_tells_the_host_network), TEST(instances_are_kept_newest_first),
          TEST(times_and_results_belong_to_states), TEST(an_overtaken_status_changes_nothing),
          TEST(the_termination_message_is_read_once_and_kept),
          TEST(a_stop_that_was_begun_is_remembered),
          TEST(a_status_without_a_sandbox_keeps_the_one_that_is_known),
          TEST(annotations_that_cannot_be_read_count_as_absent),
          TEST(the_grace_period_of_a_deletion_comes_first),
          TEST(the_termination_log_is_found_through_the_mounts),
          TEST(the_name_comes_from_the_label_and_the_image_id_from_the_reference_when_missing))
