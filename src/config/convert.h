/*
 * From the messages to the typed struct config. Inside the config room only. Pure; everything that
 * is not copied is borrowed from the messages, which live in the same arena.
 */
#pragma once

#include "config/config.h"

#include "kubeletconfig.pb-c.h"

/** Fills @ret from options that went through all rules. Lists of what start-up should say are left
 * alone. */
void convert_options(const Kubeletconfig__Options *options, struct arena *arena,
                     struct config *ret);

/** The parts of --node-ip that are no addresses, with commas between; "" when all are. In @arena.
 */
const char *convert_ignored_node_ips(const Kubeletconfig__KubeletFlags *flags, struct arena *arena);

/** A growing list of texts in an arena. */
struct text_list {
    struct arena *arena;
    const char **items;
    size_t count;
    size_t capacity;
};
void text_list_add(struct text_list *list, const char *text);
struct config_list text_list_view(const struct text_list *list);
