/*
 * The controllers over a store: what was put in, and what becomes of it without being asked.
 *
 *     AUTO(bed) struct bed *bed = begun_bed();
 *     must(bed, "POST", "/api/v1/nodes", "{\"metadata\":{\"name\":\"n\"}}");
 *     assert_string_equal(field(bed, "/api/v1/nodes/n", "metadata name"), "n");
 */
#pragma once

#include "plane/controllers_internal.h"
#include "plane/pki.h"
#include "tests/unit/plane/rest_bed.h"

#define PODS "/api/v1/namespaces/default/pods"

struct bed {
    struct rest_bed *rest;
    struct pki *pki; /* NULL: not needed */
    struct controllers_options options;
    struct controllers *controllers;
};

/* Turns until nothing follows from anything any more; what waits for time waits. */
static inline UNUSED void settle(struct bed *bed)
{
    for (int i = 0; i < 60; i++)
        loop_turn(bed->rest->loop, 0);
}

static inline UNUSED struct bed *bed_new(void)
{
    struct bed *bed = xcalloc(1, sizeof(*bed));
    bed->rest = rest_bed_new();
    bed->rest->world.ca_pem = "the authority";
    return bed;
}

static inline UNUSED void begin(struct bed *bed)
{
    bed->options.world = &bed->rest->world;
    bed->options.pki = bed->pki;
    bed->controllers = controllers_new(bed->rest->loop, bed->rest->store, &bed->options);
    settle(bed);
}

static inline UNUSED struct bed *begun_bed(void)
{
    struct bed *bed = bed_new();
    begin(bed);
    return bed;
}

static inline UNUSED void bed_free(struct bed *bed)
{
    controllers_free(bed->controllers);
    pki_free(bed->pki);
    rest_bed_free(bed->rest);
    free(bed);
}
DEFINE_AUTO(bed, struct bed *, bed_free)

static inline UNUSED void must(struct bed *bed, const char *method, const char *target,
                               const char *body)
{
    rest_must(bed->rest, method, target, body);
    settle(bed);
}

static const char *field(struct bed *bed, const char *target, const char *path)
{
    rest_must(bed->rest, "GET", target, NULL);
    return rest_field(bed->rest, path);
}

static inline UNUSED bool is_there(struct bed *bed, const char *target)
{
    return rest_ask(bed->rest, "GET", target, NULL) == 200;
}

/* --- a look by hand, at a time of one's own --- */

struct look {
    struct bed *bed;
    const struct concern *concern;
    struct store_key key;
    struct ctl_run run;
    struct arena *arena;
    bool is_done;
};

static inline UNUSED struct error *run_look(void *ctx)
{
    struct look *look = ctx;
    struct rest_bed *rest = look->bed->rest;
    static const char *const groups[] = {GROUP_MASTERS};
    static const struct plane_user user = {.name = "ctl", .uid = "", .groups = {groups, 1}};
    const struct rest_env env = {.world = &rest->world,
                                 .store = rest->store,
                                 .arena = look->arena,
                                 .now_wall_ns = rest->now_ns};
    look->run = (struct ctl_run){.controllers = look->bed->controllers,
                                 .env = &env,
                                 .user = &user,
                                 .options = &look->bed->options};
    const Meta__Status *failure = look->concern->reconcile(&look->run, &look->key);
    if (failure)
        fail_msg("%s", failure->message);
    return NULL;
}

static inline UNUSED void look_done(void *ctx, const struct error *err)
{
    assert_null(err);
    ((struct look *)ctx)->is_done = true;
}

/* Returns when to look again. */
static inline UNUSED int64_t look_at(struct bed *bed, const struct concern *concern,
                                     const char *resource, const char *name)
{
    static const struct store_task task = {.run = run_look, .done = look_done};
    AUTO(arena) struct arena *arena = arena_new(0);
    struct look look = {.bed = bed,
                        .concern = concern,
                        .key = {.resource = resource, .namespace_ = "", .name = name},
                        .arena = arena};
    store_submit(bed->rest->store, &task, &look);
    while (!look.is_done)
        loop_turn(bed->rest->loop, NS_PER_MS);
    settle(bed);
    return look.run.again_after_ns;
}

/* --- pods --- */

static inline UNUSED void make_pod(struct bed *bed, const char *name, const char *spec)
{
    must(bed, "POST", PODS,
         arena_printf(bed->rest->arena,
                      "{\"metadata\":{\"name\":\"%s\"},\"spec\":{%s\"containers\":["
                      "{\"name\":\"c\",\"image\":\"i\"}]}}",
                      name, spec));
}
