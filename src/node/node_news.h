/*
 * What happens to this node's object, told as events on it (spec node.md §8): what a status says is
 * told when the server has taken it. A part of node/node_keeper.c. Loop thread.
 */
#pragma once

#include "kube/event_recorder.h"
#include "node/node_status.h"

/** In the keeper's memory; members are private. */
struct node_news {
    struct event_recorder *events; /* borrowed, as the texts */
    const char *node_name, *boot_id;

    /* With the status on its way. */
    struct node_event waiting[NODE_MAX_EVENTS];
    size_t n_waiting;
    bool is_reboot;

    /* Told already: the first for each registration, the second once in a life. */
    bool has_told_initial, has_told_reboot;
    bool is_unschedulable;
};

/** An event on the node itself, as the kubelet makes it: without a uid. */
void node_event_record(struct event_recorder *events, const char *node_name, enum event_type type,
                       const char *reason, const char *message);

void node_news_init(struct node_news *news, struct event_recorder *events, const char *node_name,
                    const char *boot_id);

void node_news_starting(struct node_news *news);
/** An attempt to register @initial begins. Told for the first of a registration, successful or not,
 * as the kubelet does. */
void node_news_registering(struct node_news *news, const Core__Node *initial);
/** A status that makes @after of @before goes on its way; what was on its way before is forgotten.
 */
void node_news_sending(struct node_news *news, const Core__Node *before, const Core__Node *after);
/** The server has taken it. */
void node_news_taken(struct node_news *news);
/** The watch shows @node: has it been cordoned, or is it no longer? */
void node_news_seen(struct node_news *news, const Core__Node *node);
/** The object is gone; the next registration is another. */
void node_news_gone(struct node_news *news);
