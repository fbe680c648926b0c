/*
 * An API server for one kind of objects behind tests/unit/kube/fake_api_client.h: it answers lists
 * and watches from a history, and fails as it is told. What a reflector holds must end up as what
 * the server has.
 */
#pragma once

#include "tests/unit/kube/fake_api_client.h"

#define FAKE_SERVER_NAMES 8 /* objects "n0" … in namespace "ns" */

struct fake_server_object {
    bool exists;
    unsigned uid;
    uint64_t version;
};

struct fake_server_change {
    enum watch_event_type type;
    unsigned name;
    struct fake_server_object object;
};

struct fake_server {
    struct api_client *client;
    bool offers_streams;
    size_t page_size; /* 0: all at once */
    struct fake_server_object objects[FAKE_SERVER_NAMES];
    uint64_t version; /* of the last change */
    uint64_t oldest;  /* changes up to this one are forgotten */
    unsigned uids;
    struct fake_server_change *changes; /* owned; the one of version v at v - 1 */
    /* The watch under way, by its place in the client's log plus one, and how far it has been told.
     * One reflector has one at a time. */
    size_t watch;
    uint64_t told;
};

void fake_server_init(struct fake_server *server, struct api_client *client);
void fake_server_done(struct fake_server *server);

/** Makes, changes (when it is there) or deletes object @name. */
void fake_server_put(struct fake_server *server, unsigned name);
void fake_server_delete(struct fake_server *server, unsigned name);
/** Forgets all changes: watches from an old version get 410. */
void fake_server_compact(struct fake_server *server);

/** Answers every call and tells every watch what it has not been told; until nothing is left. */
void fake_server_answer(struct fake_server *server);
/** The same for the first request only, one step of it: an event, a page. False: nothing to do. */
bool fake_server_answer_one(struct fake_server *server);
/** Sends a bookmark to the first open watch; false without one. */
bool fake_server_bookmark(struct fake_server *server);

/** Whether @object is what the server has under its name. */
bool fake_server_has(const struct fake_server *server, const struct kube_object *object);
size_t fake_server_count(const struct fake_server *server);
