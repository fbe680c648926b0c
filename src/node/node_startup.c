#include "node/node_startup.h"

#include "base/time.h"

static const struct metric_info infos[] = {
    [STARTUP_PRE_KUBELET] =
        {.name = "kubelet_node_startup_pre_kubelet_duration_seconds",
         .help = "[ALPHA] Duration in seconds of node startup before kubelet starts.",
         .type = METRIC_GAUGE},
    [STARTUP_PRE_REGISTRATION] =
        {.name = "kubelet_node_startup_pre_registration_duration_seconds",
         .help = "[ALPHA] Duration in seconds of node startup before registration.",
         .type = METRIC_GAUGE},
    [STARTUP_REGISTRATION] =
        {.name = "kubelet_node_startup_registration_duration_seconds",
         .help = "[ALPHA] Duration in seconds of node startup during registration.",
         .type = METRIC_GAUGE},
    [STARTUP_POST_REGISTRATION] =
        {.name = "kubelet_node_startup_post_registration_duration_seconds",
         .help = "[ALPHA] Duration in seconds of node startup after registration.",
         .type = METRIC_GAUGE},
    [STARTUP_TOTAL] = {.name = "kubelet_node_startup_duration_seconds",
                       .help = "[ALPHA] Duration in seconds of node startup in total.",
                       .type = METRIC_GAUGE},
};
_Static_assert(ARRAY_SIZE(infos) == STARTUP_METRIC_COUNT, "describe every family");

void node_startup_init(struct node_startup *startup, struct metrics *metrics, int64_t process_ns)
{
    *startup = (struct node_startup){.process_ns = process_ns};
    metrics_families(metrics, infos, STARTUP_METRIC_COUNT, startup->families);
}

void node_startup_attempt(struct node_startup *startup, int64_t now_ns)
{
    if (startup->attempt_ns == 0)
        startup->attempt_ns = now_ns;
}

void node_startup_registered(struct node_startup *startup, int64_t now_ns)
{
    if (startup->registered_ns == 0)
        startup->registered_ns = now_ns;
}

static void tell(const struct node_startup *startup, enum node_startup_metric metric,
                 int64_t from_ns, int64_t to_ns)
{
    metric_set(startup->families[metric], time_seconds(max_i64(to_ns - from_ns, 0)), NULL);
}

void node_startup_ready(struct node_startup *startup, int64_t now_ns)
{
    if (startup->is_told || startup->registered_ns == 0)
        return;
    startup->is_told = true;
    tell(startup, STARTUP_PRE_KUBELET, 0, startup->process_ns);
    tell(startup, STARTUP_PRE_REGISTRATION, startup->process_ns, startup->attempt_ns);
    tell(startup, STARTUP_REGISTRATION, startup->attempt_ns, startup->registered_ns);
    tell(startup, STARTUP_POST_REGISTRATION, startup->registered_ns, now_ns);
    tell(startup, STARTUP_TOTAL, 0, now_ns);
}
