/*
 * A watch of the API on one connection: from the store's changes to frames, through selectors and
 * the encoding that was asked for, with bookmarks. Holds back when the client is slow, and ends a
 * client that is too slow, which then lists again. Loop thread.
 */
#pragma once

#include "plane/rest.h"

#include "loop/loop.h"
#include "wire/http_server.h"

struct plane_watch; /* opaque: lives until its client goes, its time is up, or the house closes */
struct watch_house; /* opaque: all watches */

struct watch_house *watch_house_new(struct loop *loop, struct store *store);
/** Ends all watches in order (the clients see a proper end). NULL is fine. */
void watch_house_free(struct watch_house *house);
DEFINE_AUTO(watch_house, struct watch_house *, watch_house_free)

/** What a watch begins with, collected in the store task of its request. */
struct watch_start;                               /* opaque; borrows from the request's arena */
void watch_start_free(struct watch_start *start); /* NULL is fine */
DEFINE_AUTO(watch_start, struct watch_start *, watch_start_free)

/**
 * Reads the request's parameters (resourceVersion, resourceVersionMatch, sendInitialEvents,
 * allowWatchBookmarks, timeoutSeconds, selectors) and, where they ask for it, the initial events,
 * by upstream's rules for "", "0" and a number. Only from a store task's run(). Failures: 400 and
 * 422 for parameters that make no sense (together), 504 for a revision that lies in the future. One
 * that has gone is, as upstream, no failure: the stream begins and ends with an ERROR event of code
 * 410. The caller owns *ret.
 */
MUST_CHECK Meta__Status *watch_prepare(const struct rest_env *env,
                                       const struct plane_request *request,
                                       struct watch_start **ret);
/** Answers @exchange with the stream; it is the watch's from here on. From the task's done(). */
void watch_begin(struct watch_house *house, struct watch_start *start_owned,
                 struct http_exchange *exchange);
size_t watch_house_count(const struct watch_house *house);
