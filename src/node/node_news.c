#include "node/node_news.h"

#include "node/node_status_internal.h"

void node_news_init(struct node_news *news, struct event_recorder *events, const char *node_name,
                    const char *boot_id)
{
    *news = (struct node_news){.events = events, .node_name = node_name, .boot_id = boot_id};
}

static Core__ObjectReference reference_to_node(const char *name)
{
    Core__ObjectReference node = CORE__OBJECT_REFERENCE__INIT;
    node.api_version = node_text("v1");
    node.kind = node_text("Node");
    node.name = node_text(name);
    return node;
}

static Core__ObjectReference reference_to(const struct node_news *news)
{
    return reference_to_node(news->node_name);
}

void node_event_record(struct event_recorder *events, const char *node_name, enum event_type type,
                       const char *reason, const char *message)
{
    const Core__ObjectReference node = reference_to_node(node_name);
    event_record(events, &node, type, reason, "%s", message);
}

static void tell_status(const struct node_news *news, const char *reason)
{
    const Core__ObjectReference node = reference_to(news);
    event_record(news->events, &node, EVENT_NORMAL, reason, "Node %s status is now: %s",
                 news->node_name, reason);
}

void node_news_starting(struct node_news *news)
{
    const Core__ObjectReference node = reference_to(news);
    event_record(news->events, &node, EVENT_NORMAL, "Starting", "Starting kubelet.");
}

void node_news_registering(struct node_news *news, const Core__Node *initial)
{
    struct node_event events[NODE_MAX_EVENTS];
    if (news->has_told_initial)
        return;
    news->has_told_initial = true;
    size_t count = node_status_events(NULL, initial, events);
    for (size_t i = 0; i < count; i++)
        tell_status(news, events[i].reason);
}

void node_news_sending(struct node_news *news, const Core__Node *before, const Core__Node *after)
{
    const Core__NodeSystemInfo *info = before->status ? before->status->node_info : NULL;
    const char *boot_id = info && info->boot_id ? info->boot_id : "";
    news->is_reboot = !news->has_told_reboot && *boot_id && !text_eq(boot_id, news->boot_id);
    news->n_waiting = node_status_events(before, after, news->waiting);
}

void node_news_taken(struct node_news *news)
{
    if (news->is_reboot) {
        const Core__ObjectReference node = reference_to(news);
        news->has_told_reboot = true;
        event_record(news->events, &node, EVENT_WARNING, "Rebooted",
                     "Node %s has been rebooted, boot id: %s", news->node_name, news->boot_id);
    }
    for (size_t i = 0; i < news->n_waiting; i++)
        tell_status(news, news->waiting[i].reason);
    news->is_reboot = false;
    news->n_waiting = 0;
}

void node_news_seen(struct node_news *news, const Core__Node *node)
{
    bool is_unschedulable = node->spec && node->spec->unschedulable;
    if (is_unschedulable == news->is_unschedulable)
        return;
    news->is_unschedulable = is_unschedulable;
    tell_status(news, is_unschedulable ? "NodeNotSchedulable" : "NodeSchedulable");
}

void node_news_gone(struct node_news *news)
{
    news->has_told_initial = false;
}
