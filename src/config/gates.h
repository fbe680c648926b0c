/*
 * Feature gates: the table of known gates, and the set of values that --feature-gates and
 * `featureGates` make of it. Values in, values out: no I/O, no logging. Any thread.
 */
#pragma once

#include "base/arena.h"

enum feature_gate {
#define GATE(name, stage, by_default, locked) GATE_##name,
#include "config/gate_list.h"
#undef GATE
    GATE_COUNT
};

enum gate_stage { GATE_STAGE_ALPHA, GATE_STAGE_BETA, GATE_STAGE_GA, GATE_STAGE_DEPRECATED };

struct gate_info {
    const char *name; /* "PodLevelResources" */
    enum gate_stage stage;
    bool by_default;
    bool locked; /* cannot be changed from its default */
};

/** The row of @gate; static memory. */
const struct gate_info *gate_info(enum feature_gate gate);
const char *gate_stage_name(
    enum gate_stage stage); /* "ALPHA", "BETA", "", "DEPRECATED", as the metric has it */

/** The value of every gate. Plain data; copy it freely. */
struct gate_set {
    bool enabled[GATE_COUNT];
};

static inline bool gate_is_enabled(const struct gate_set *set, enum feature_gate gate)
{
    return set->enabled[gate];
}

/** One setting as somebody wrote it, in the order given; @name may also be AllAlpha or AllBeta. */
struct gate_setting {
    const char *name;
    bool value;
};

/**
 * Computes the values that @settings make of the defaults into *ret. AllAlpha and AllBeta move only
 * the gates that no setting names. Errors INVALID_ARGUMENT, in upstream's words: an unknown gate, a
 * locked gate set to its other value, an enabled gate whose dependency is disabled.
 */
MUST_CHECK struct error *gate_set_make(const struct gate_setting *settings, size_t count,
                                       struct gate_set *ret);

/** True when setting this gate deserves a warning because it will go away: a GA or deprecated one.
 */
bool gate_setting_is_obsolete(const struct gate_setting *setting);
