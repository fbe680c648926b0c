/*
 * kube/api_client.h without a server, linked instead of the real one: the test sees every request
 * and answers it, when and how it likes. Runs on tests/unit/kube/fake_loop.h.
 *
 *     struct api_client *client = fake_api_client_new(loop);
 *     … the code under test starts something …
 *     struct fake_exchange *request = fake_first(client);
 *     assert_string_equal(request->target, "/api/v1/pods?limit=500&resourceVersion=0");
 *     fake_reply(request, object);
 */
#pragma once

#include "base/arena.h"
#include "kube/api_client.h"
#include "kube/object.h"

/** A call or a watch that waits for its answer. Gone once answered, ended or cancelled. */
struct fake_exchange {
    struct fake_exchange *prev, *next;
    struct api_client *client;
    size_t serial; /* index in the log */
    bool is_watch, is_open;
    enum api_verb verb;
    const struct kube_kind *kind;
    char *method; /* "GET", "POST", …, "WATCH" */
    char *target; /* as the real client would write it */
    char *patch;  /* NULL: none */
    struct arena *arena;
    ProtobufCMessage *body; /* a copy, in `arena`; NULL: none */
    api_on_done *on_done;
    const struct api_watch_events *events;
    void *ctx;
};

struct api_client *fake_api_client_new(struct loop *loop);

/** Requests that wait, the oldest first. */
size_t fake_pending(const struct api_client *client);
struct fake_exchange *fake_first(const struct api_client *client);
/** The oldest whose target holds @text; NULL when none does. */
struct fake_exchange *fake_find(const struct api_client *client, const char *text);
/** Requests ever made; in the order of making, all of them, "METHOD target". */
size_t fake_started(const struct api_client *client);
const char *fake_log(const struct api_client *client, size_t index);
/** How often api_transport_reset() was called. */
struct api_transport *fake_transport(struct api_client *client);
unsigned fake_resets(const struct api_client *client);

/* How a call ends. */
void fake_reply(struct fake_exchange *call, const ProtobufCMessage *object);
/** A list of @count objects; @next_page NULL: the last. */
void fake_reply_list(struct fake_exchange *call, const ProtobufCMessage *const *objects,
                     size_t count, const char *version, const char *next_page);
/** A call, or a watch that is not open: the server's Status. */
void fake_fail(struct fake_exchange *exchange, unsigned http_status, const char *reason,
               const char *message);
/** The same for an answer without a Status. */
void fake_fail_bare(struct fake_exchange *exchange, unsigned http_status);
/** No answer; or the connection of an open watch is lost. */
void fake_lose(struct fake_exchange *exchange);
/** No answer: the server has reset the connection. */
void fake_reset(struct fake_exchange *call);
/** No answer, for a reason of our own: a certificate, a plugin, a request that cannot be made. */
void fake_lose_as(struct fake_exchange *exchange, enum error_code code);

/* What a watch tells. Each returns the watch, or NULL when it was cancelled meanwhile. */
struct fake_exchange *fake_open(struct fake_exchange *watch);
struct fake_exchange *fake_send(struct fake_exchange *watch, enum watch_event_type type,
                                const ProtobufCMessage *object);
/** A bookmark; with the annotation that ends the initial events when @ends_initial. */
struct fake_exchange *fake_send_bookmark(struct fake_exchange *watch, const char *version,
                                         bool ends_initial);
struct fake_exchange *fake_send_error(struct fake_exchange *watch, int32_t code, const char *reason,
                                      const char *message);
struct fake_exchange *fake_send_garbage(struct fake_exchange *watch);
/** The server ends it in order. */
void fake_close(struct fake_exchange *watch);

/** An object of @kind in @arena; @uid and @version may be NULL. */
ProtobufCMessage *fake_object(const struct kube_kind *kind, const char *namespace_,
                              const char *name, const char *uid, const char *version,
                              struct arena *arena);
