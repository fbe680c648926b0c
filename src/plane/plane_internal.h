/*
 * Shared by the files that serve requests only. Loop thread.
 */
#pragma once

#include "plane/authz.h"
#include "plane/controllers.h"
#include "plane/jwt.h"
#include "plane/node_proxy.h"
#include "plane/pki.h"
#include "plane/plane.h"
#include "plane/renewal.h"
#include "plane/watch.h"

struct serving; /* plane_serve.c */

struct plane {
    struct loop *loop;
    struct arena *arena; /* of what lives as long as the plane */
    struct plane_world world;
    struct pki *pki;
    struct renewal *renewal;
    struct jwt_key *token_key;
    struct authn *authn;
    struct store *store;
    struct http_server *server;
    struct tls_context *server_tls; /* of the start, as the next one */
    struct tls_context *node_tls;   /* as a client of the node's server */
    struct watch_house *watches;
    struct node_proxy *proxy;
    struct controllers *controllers;
    struct serving *servings; /* requests that wait for the store */
    const char *server_url;   /* as clients know it */
    bool is_stopping;
};

/** Answers @exchange, sooner or later. */
void plane_serve(struct plane *plane, struct http_exchange *exchange);
/** Ends what nodes are being asked. Before the server is closed. */
void plane_serve_end_asking(struct plane *plane);
/** Forgets all requests. The server and the store must have been closed before. */
void plane_serve_free_all(struct plane *plane);
