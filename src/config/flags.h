/*
 * The command line in the syntax of the kubelet's flag library: which flags were used with which
 * values. Inside the config room only. Pure.
 */
#pragma once

#include "config/option_value.h"

struct flag_use {
    const struct option *option;
    const char *value;
    bool is_first; /* no earlier use of this flag */
};

struct flag_uses {
    size_t count;
    const struct flag_use *uses; /* in the order given */
};

/**
 * Splits @argv (argv[0] is skipped) into uses of known flags; all memory comes from @arena or is
 * argv's own. Values are not looked at. Errors INVALID_ARGUMENT: "unknown flag: --x", "unknown
 * shorthand flag: 'x' in -xy", "flag needs an argument: --x", "bad flag syntax: …". The first word
 * that is no flag, or follows "--", is returned in *ret_command (NULL without one), and ends
 * nothing: flags after it count too.
 */
MUST_CHECK struct error *flags_parse(int argc, const char *const *argv, struct arena *arena,
                                     struct flag_uses *ret, const char **ret_command);

enum flags_target {
    FLAGS_ALL,         /* every flag */
    FLAGS_CONFIG_ONLY, /* those of KubeletConfiguration; feature gates merge by key instead of
                          replacing */
};

/**
 * Sets what the flags say in @root (a kubeletconfig.Options). Error INVALID_ARGUMENT
 * `invalid argument "x" for "--flag" flag: why`.
 */
MUST_CHECK struct error *flags_apply(const struct flag_uses *flags, enum flags_target target,
                                     ProtobufCMessage *root, struct arena *arena);
