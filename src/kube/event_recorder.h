/*
 * Tells the API what happens to an object: v1 Events, one after the other, through the correlator.
 * What cannot be sent for long, or is too much, is dropped: events are for people. Loop thread.
 *
 * The rules and numbers are those of client-go's record package.
 */
#pragma once

#include "kube/api_client.h"

#include "core.pb-c.h"

struct event_recorder; /* opaque */

enum event_type { EVENT_NORMAL, EVENT_WARNING };

/** Borrows @client for its life; it should be one of its own, with the events' rate limit. NULL:
 * events are only logged (verbosity 3), as all are. Texts are copied. */
struct event_recorder *event_recorder_new(struct loop *loop, struct api_client *client,
                                          const char *component, const char *host);
/** Forgets what has not been sent. NULL is fine. */
void event_recorder_free(struct event_recorder *recorder);
DEFINE_AUTO(event_recorder, struct event_recorder *, event_recorder_free)

/**
 * Queues an event about @object (borrowed; its namespace is the event's, "default" when it has
 * none). @reason is a CamelCase token, copied; the message is printed. Never fails: when the queue
 * is full the event is dropped and counted.
 */
void event_record(struct event_recorder *recorder, const Core__ObjectReference *object,
                  enum event_type type, const char *reason, const char *format, ...)
    PRINTF_LIKE(5, 6);

/** Events that wait or are being sent. */
size_t event_recorder_queued(const struct event_recorder *recorder);
/** Events dropped because the queue was full, the server refused them or could not be reached for
 * too long; not those the correlator drops. */
uint64_t event_recorder_lost(const struct event_recorder *recorder);
