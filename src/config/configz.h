/*
 * The KubeletConfiguration in force in the form in which /configz shows it. Pure. Any thread.
 */
#pragma once

#include "base/arena.h"

#include "kubeletconfig.pb-c.h"

/**
 * Makes of @config, from which everything else was read already, what a kubelet shows: its scalars
 * that are no pointers in Go are absent when they are zero, and without a certificate of its own
 * the one is named that is made below @cert_dir. New memory comes from @arena.
 */
void configz_prepare(Kubeletconfig__KubeletConfiguration *config, const char *cert_dir,
                     struct arena *arena);
