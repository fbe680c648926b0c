/*
 * REST without connections: a store in a directory of its own, a clock that stands still, and
 * requests as literals.
 *
 *     AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
 *     assert_int_equal(rest_ask(bed, "GET", "/api/v1/nodes/a", NULL), 404);
 *     assert_string_equal(rest_field(bed, "message"), "nodes \"a\" not found");
 *
 * The namespaces default and kube-system are there, and default's service account.
 */
#pragma once

#include "base/buf.h"
#include "plane/authn.h"
#include "plane/rest.h"
#include "tests/lib/test.h"

/* 2026-11-21T10:00:00Z */
#define REST_BED_NOW_NS (INT64_C(1795255200) * NS_PER_SEC)

struct rest_bed {
    char *dir;
    struct loop *loop;
    struct work_pool *pool;
    struct store *store;
    struct arena *arena;      /* of the bed */
    struct plane_world world; /* may be changed between requests */
    struct plane_user user;   /* who asks: an admin, unless changed */
    int64_t now_ns;
    const char *content_type; /* of bodies; JSON unless changed */
    const char *accept;       /* JSON unless changed */
    const char *user_agent;
    const struct usage *usage; /* what was measured; NULL unless changed */

    /* the last answer */
    struct arena *reply_arena;
    struct plane_reply reply;
    const struct doc_node *document; /* its body, when that is JSON */
};

struct rest_bed *rest_bed_new(void);
void rest_bed_free(struct rest_bed *bed);
DEFINE_AUTO(rest_bed, struct rest_bed *, rest_bed_free)

/** Becomes the user @name in @group (NULL: only authenticated). */
void rest_bed_become(struct rest_bed *bed, const char *name, const char *group);
/** Becomes the admin again. */
void rest_bed_become_admin(struct rest_bed *bed);

/** Does one request, without authorization, and returns the code of the answer. @body is borrowed;
 * NULL: none. */
unsigned rest_ask(struct rest_bed *bed, const char *method, const char *target, const char *body);
/** PATCH with @type, such as "merge", "json", "strategic-merge". */
unsigned rest_patch_with(struct rest_bed *bed, const char *type, const char *target,
                         const char *body);

/**
 * The value in the last answer at @path: member names and indexes with blanks between, such as
 * "spec containers 0 image". "" when there is none; what is no scalar is its JSON.
 */
const char *rest_field(const struct rest_bed *bed, const char *path);

/** Fails unless the code and, when it is not NULL, the answer's message are these. */
void rest_expect(struct rest_bed *bed, unsigned code, unsigned want_code, const char *message);
/** A request that must succeed. */
void rest_must(struct rest_bed *bed, const char *method, const char *target, const char *body);
