/*
 * The rules a configuration must keep. Inside the config room only. Pure; texts live in the arena
 * given.
 */
#pragma once

#include "config/gates.h"

#include "kubeletconfig.pb-c.h"

/** What the rules look at. */
struct rules_subject {
    const Kubeletconfig__Options *options; /* complete: defaults are filled in */
    const struct gate_set *gates;
    struct arena *arena;
};

/** Found violations, in rule order, exact duplicates dropped. */
struct rules_findings {
    struct arena *arena;
    const char **texts;
    size_t count;
    size_t capacity;
};
void rules_add(struct rules_findings *findings, const char *format, ...) PRINTF_LIKE(2, 3);
/** rules_add() with "invalid configuration: " in front. */
void rules_add_invalid(struct rules_findings *findings, const char *format, ...) PRINTF_LIKE(2, 3);

/**
 * Upstream's validation of KubeletConfiguration, all rules at once. Error INVALID_ARGUMENT with the
 * one message, or "[first, second, …]".
 */
MUST_CHECK struct error *rules_check(const struct rules_subject *subject);

/**
 * The rules upstream finds out one by one while it starts: values that must parse (reservations,
 * thresholds, sysctls, TLS names, policies) and the instance flags. Error INVALID_ARGUMENT for the
 * first that fails.
 */
MUST_CHECK struct error *rules_check_start(const struct rules_subject *subject);

/* Parts of the two, in files of their own. */
void rules_resources(const struct rules_subject *subject, struct rules_findings *findings);
void rules_logging(const struct rules_subject *subject, struct rules_findings *findings);
MUST_CHECK struct error *rules_check_tls(const Kubeletconfig__KubeletConfiguration *config);
MUST_CHECK struct error *rules_check_node_labels(const Kubeletconfig__KubeletFlags *flags,
                                                 struct arena *arena);

bool rules_is_one_of(const char *value, const char *const *allowed, size_t count);
/** True for a label value; NULL is the empty one. */
bool rules_is_label_value(const char *text);

/** Parses a cpuset list ("0-2,5"); false when it is none. Counts the CPUs. */
MUST_CHECK bool rules_parse_cpus(const char *text, int64_t *ret_count);
