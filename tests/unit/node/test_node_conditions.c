#include "tests/unit/node/node_bed.h"

#define LATER_S 10

TEST_CASE(texts_are_one_text)
{
    static const struct {
        const char *texts[4];
        const char *want;
    } rows[] = {
        {{NULL}, ""},
        {{"a"}, "a"},
        {{"a", "b", "c"}, "[a, b, c]"},
        {{"a", "b", "a"}, "[a, b]"},
        {{"a", "a"}, "a"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        size_t count = 0;
        while (rows[i].texts[count])
            count++;
        assert_string_equal(node_not_ready_text(rows[i].texts, count, arena), rows[i].want);
    }
}

/* type, status, reason and message of all conditions, one a line. */
static const char *conditions_of(struct node_bed *bed, const Core__Node *node)
{
    const char *text = "";
    for (size_t i = 0; i < node->status->n_conditions; i++) {
        const Core__NodeCondition *it = node->status->conditions[i];
        text = arena_printf(bed->arena, "%s%s %s %s: %s\n", text, it->type, it->status, it->reason,
                            it->message);
    }
    return text;
}

#define CALM                                                                                       \
    "MemoryPressure False KubeletHasSufficientMemory: kubelet has sufficient memory available\n"   \
    "DiskPressure False KubeletHasNoDiskPressure: kubelet has no disk pressure\n"                  \
    "PIDPressure False KubeletHasSufficientPID: kubelet has sufficient PID available\n"
#define READY "Ready True KubeletReady: kubelet is posting ready status\n"

struct given {
    const char *not_ready[3];
    bool memory, disk, pid, shutdown, no_quota, no_disk_size;
};

static void apply_given(struct node_bed *bed, const struct given *given)
{
    size_t count = 0;
    while (count < ARRAY_SIZE(given->not_ready) && given->not_ready[count])
        count++;
    bed->input.not_ready = given->not_ready;
    bed->input.n_not_ready = count;
    bed->input.memory_pressure = given->memory;
    bed->input.disk_pressure = given->disk;
    bed->input.pid_pressure = given->pid;
    bed->input.is_shutting_down = given->shutdown;
    bed->machine.has_cpu_quota = !given->no_quota;
    if (given->no_disk_size)
        bed->machine.root_fs_bytes = 0;
}

static const struct row {
    const char *name;
    struct given given;
    const char *want;
} rows[] = {
    {"all is well", {.memory = false}, CALM READY},
    {"one thing is not",
     {.not_ready = {"container runtime is down"}},
     CALM "Ready False KubeletNotReady: container runtime is down\n"},
    {"several are not",
     {.not_ready = {"a", "b", "a"}, .shutdown = true},
     CALM "Ready False KubeletNotReady: [a, b, node is shutting down]\n"},
    {"shutdown", {.shutdown = true}, CALM "Ready False KubeletNotReady: node is shutting down\n"},
    {"the size of the disk is not known",
     {.not_ready = {"a"}, .no_disk_size = true},
     CALM "Ready False KubeletNotReady: [a, missing node capacity for resources: "
          "ephemeral-storage]\n"},
    {"no cpu quota",
     {.no_quota = true},
     CALM "Ready True KubeletReady: kubelet is posting ready status. WARNING: CPU hardcapping "
          "unsupported\n"},
    {"no cpu quota and not ready",
     {.not_ready = {"a"}, .no_quota = true},
     CALM "Ready False KubeletNotReady: a. WARNING: CPU hardcapping unsupported\n"},
    {"all the pressure",
     {.memory = true, .disk = true, .pid = true},
     "MemoryPressure True KubeletHasInsufficientMemory: kubelet has insufficient memory available\n"
     "DiskPressure True KubeletHasDiskPressure: kubelet has disk pressure\n"
     "PIDPressure True KubeletHasInsufficientPID: kubelet has insufficient PID available\n" READY},
};

TEST_CASE(conditions_say_how_the_node_is)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(bed) struct node_bed bed;
        bed_init(&bed);
        apply_given(&bed, &rows[i].given);
        const char *got = conditions_of(&bed, node_object_initial(&bed.input, bed.arena));
        if (strcmp(got, rows[i].want) != 0)
            fail_msg("%s: got\n%s\nwant\n%s", rows[i].name, got, rows[i].want);
    }
}

/* Seconds after the first status of heartbeat and transition, of all conditions. */
static const char *times_of(struct node_bed *bed, const Core__Node *node)
{
    const char *text = "";
    for (size_t i = 0; i < node->status->n_conditions; i++) {
        const Core__NodeCondition *it = node->status->conditions[i];
        text =
            arena_printf(bed->arena, "%s%s %lld %lld\n", text, it->type,
                         (long long)(it->last_heartbeat_time->seconds - BED_NOW_NS / NS_PER_SEC),
                         (long long)(it->last_transition_time->seconds - BED_NOW_NS / NS_PER_SEC));
    }
    return text;
}

TEST_CASE(heartbeats_move_always_and_transitions_with_the_status)
{
    AUTO(bed) struct node_bed bed;
    bed_init(&bed);
    bed.input.not_ready = (const char *const[]){"a"};
    bed.input.n_not_ready = 1;
    const Core__Node *node = node_object_initial(&bed.input, bed.arena);
    bed.input.now_ns += LATER_S * NS_PER_SEC + 999;
    bed.input.not_ready = (const char *const[]){"b"};
    node = node_status_update(&bed.input, node, bed.arena);
    assert_string_equal(times_of(&bed, node),
                        "MemoryPressure 10 0\nDiskPressure 10 0\nPIDPressure 10 0\nReady 10 0\n");
    assert_string_equal(conditions_of(&bed, node), CALM "Ready False KubeletNotReady: b\n");
    bed.input.now_ns += LATER_S * NS_PER_SEC;
    bed.input.n_not_ready = 0;
    bed.input.disk_pressure = true;
    node = node_status_update(&bed.input, node, bed.arena);
    assert_string_equal(times_of(&bed, node),
                        "MemoryPressure 20 0\nDiskPressure 20 20\nPIDPressure 20 0\nReady 20 20\n");
}

TEST_CASE(the_words_of_pressure_stay_while_its_status_does)
{
    AUTO(bed) struct node_bed bed;
    bed_init(&bed);
    const Core__Node *before = bed_node(
        &bed, "{'status':{'conditions':[{'type':'DiskPressure','status':'False','reason':'Own','"
              "message':'mine'},{'type':'PIDPressure','status':'Unknown','reason':'"
              "NodeStatusUnknown','message':'x'}]}}");
    const Core__Node *node = node_status_update(&bed.input, before, bed.arena);
    assert_string_equal(
        conditions_of(&bed, node),
        "DiskPressure False Own: mine\n"
        "PIDPressure False KubeletHasSufficientPID: kubelet has sufficient PID available\n"
        "MemoryPressure False KubeletHasSufficientMemory: kubelet has sufficient memory "
        "available\n" READY);
    assert_null(node->status->conditions[0]->last_transition_time);
}

TEST_CASE(conditions_of_others_stay_where_and_as_they_are)
{
    static const char foreign[] =
        "{'lastHeartbeatTime':'2020-01-01T00:00:00Z','message':'m','reason':'R','status':'True','"
        "type':'KernelDeadlock'}";
    AUTO(bed) struct node_bed bed;
    bed_init(&bed);
    const Core__Node *before =
        bed_node(&bed, arena_printf(bed.arena,
                                    "{'status':{'conditions':[{'type':'Ready','status':'True'},%s,{"
                                    "'type':'MemoryPressure','status':'True'}]}}",
                                    foreign));
    const Core__Node *node = node_status_update(&bed.input, before, bed.arena);
    const char *all = bed_part(&bed, node, "status.conditions");
    const char *types = "";
    for (size_t i = 0; i < node->status->n_conditions; i++)
        types = arena_printf(bed.arena, "%s%s ", types, node->status->conditions[i]->type);
    assert_non_null(strstr(all, foreign));
    assert_string_equal(types, "Ready KernelDeadlock MemoryPressure DiskPressure PIDPressure ");
}

/* --- events --- */

#define STATUS(memory, ready)                                                                      \
    "{'status':{'conditions':[{'type':'MemoryPressure','status':'" memory                          \
    "'},{'type':'Ready','status':'" ready "'}]}}"

static const struct event_row {
    const char *name;
    const char *before;
    const char *after;
    const char *want;
} event_rows[] = {
    {"nothing", STATUS("False", "True"), STATUS("False", "True"), ""},
    {"ready", STATUS("False", "False"), STATUS("False", "True"), "NodeReady "},
    {"ready after the server had given it up", STATUS("Unknown", "Unknown"),
     STATUS("False", "True"), "NodeHasSufficientMemory NodeReady "},
    {"not ready", STATUS("False", "True"), STATUS("False", "False"), "NodeNotReady "},
    {"pressure", STATUS("False", "True"), STATUS("True", "True"), "NodeHasInsufficientMemory "},
    {"no pressure", STATUS("True", "True"), STATUS("False", "True"), "NodeHasSufficientMemory "},
    {"all are new, and Ready is no news", NULL,
     "{'status':{'conditions':[{'type':'Ready','status':'True'},{'type':'PIDPressure','status':'"
     "False'},{'type':'DiskPressure','status':'True'},{'type':'MemoryPressure','status':'False'}]}"
     "}",
     "NodeHasSufficientMemory NodeHasDiskPressure NodeHasSufficientPID "},
    {"a condition of another's", "{}", "{'status':{'conditions':[{'type':'X','status':'True'}]}}",
     ""},
    {"cordoned", "{}", "{'spec':{'unschedulable':true}}", "NodeNotSchedulable "},
    {"cordoned from the start", NULL, "{'spec':{'unschedulable':true}}", "NodeNotSchedulable "},
    {"uncordoned", "{'spec':{'unschedulable':true}}", "{'spec':{}}", "NodeSchedulable "},
    {"still cordoned", "{'spec':{'unschedulable':true}}", "{'spec':{'unschedulable':true}}", ""},
};

TEST_CASE(transitions_are_events)
{
    for (size_t i = 0; i < ARRAY_SIZE(event_rows); i++) {
        const struct event_row *row = &event_rows[i];
        AUTO(bed) struct node_bed bed;
        bed_init(&bed);
        struct node_event events[NODE_MAX_EVENTS];
        size_t count = node_status_events(row->before ? bed_node(&bed, row->before) : NULL,
                                          bed_node(&bed, row->after), events);
        const char *got = "";
        for (size_t k = 0; k < count; k++)
            got = arena_printf(bed.arena, "%s%s ", got, events[k].reason);
        if (strcmp(got, row->want) != 0)
            fail_msg("%s: got %s, want %s", row->name, got, row->want);
    }
}

TEST_CASE(registering_tells_of_three_conditions)
{
    AUTO(bed) struct node_bed bed;
    bed_init(&bed);
    struct node_event events[NODE_MAX_EVENTS];
    const Core__Node *node = node_object_initial(&bed.input, bed.arena);
    assert_int_equal(node_status_events(NULL, node, events), 3);
    assert_string_equal(events[0].reason, "NodeHasSufficientMemory");
    assert_string_equal(events[1].reason, "NodeHasNoDiskPressure");
    assert_string_equal(events[2].reason, "NodeHasSufficientPID");
}

TEST_MAIN(TEST(texts_are_one_text), TEST(conditions_say_how_the_node_is),
          TEST(heartbeats_move_always_and_transitions_with_the_status),
          TEST(the_words_of_pressure_stay_while_its_status_does),
          TEST(conditions_of_others_stay_where_and_as_they_are), TEST(transitions_are_events),
          TEST(registering_tells_of_three_conditions))
