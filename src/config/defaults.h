/*
 * The defaults of KubeletConfiguration: those of the option table and those that are computed.
 * Inside the config room only. Pure.
 */
#pragma once

#include "base/arena.h"

#include "kubeletconfig.pb-c.h"

/** Fills every absent field of options->flags from the option table. */
void defaults_set_flags(Kubeletconfig__Options *options, struct arena *arena);

/**
 * Fills what is absent in options->config, or zero where zero means the default. evictionHard is
 * left alone: see defaults_set_eviction(). Gates that matter are the defaults and the
 * configuration's own.
 */
void defaults_set_config(Kubeletconfig__Options *options, struct arena *arena);

/** The few values that differ when no configuration file is used; over the defaults, before the
 * flags. */
void defaults_set_without_file(Kubeletconfig__Options *options, struct arena *arena);

/**
 * evictionHard of the file given with --config: all default signals when the file has no map
 * (@is_given false), the missing ones when it asks to merge, else nothing.
 */
void defaults_set_eviction(Kubeletconfig__KubeletConfiguration *config, bool is_given,
                           struct arena *arena);
