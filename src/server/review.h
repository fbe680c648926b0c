/*
 * Questions that the API server answers and whose answers are kept: TokenReview and
 * SubjectAccessReview. Equal questions under way share one request, which goes on when those who
 * asked have gone: its answer is worth keeping. Requests that fail in passing are tried again by
 * the rules of upstream's webhooks; failures are not kept. Loop thread.
 */
#pragma once

#include "base/metrics.h"
#include "kube/api_client.h"
#include "server/answer_cache.h"

struct reviews;       /* opaque: the questions of one type, with their answers */
struct review_flight; /* opaque: a request under way */

/** What is peculiar to a type of question. Constant and borrowed for ever. */
struct review_type {
    const char *api_version, *kind;
    /** What @reply, an object of that kind, answers; the text in @arena. An error when it is no
     * answer. */
    struct error *(*read)(const ProtobufCMessage *reply, struct arena *arena, struct answer *ret);
    /* Families by HTTP status: label "code". */
    const struct metric_info *request_total, *request_duration;
    /* Families of the answers that are kept, label "status": hit and miss, ok and error, in_flight
     * and blocked. All NULL: they are not counted. */
    const struct metric_info *cache_total, *cache_duration, *fetch_total, *fetch_active;
};

struct reviews_options {
    const struct review_type *type;
    struct answer_cache_limits limits;
    size_t max_under_way; /* requests at once */
    int64_t yes_ttl_ns, no_ttl_ns;
};

/** Borrows @client and @metrics (NULL: nobody counts). The caller owns it. */
struct reviews *reviews_new(struct loop *loop, struct api_client *client, struct metrics *metrics,
                            const struct reviews_options *options);
/** Cancels requests; who waits hears nothing any more. NULL is fine. */
void reviews_free(struct reviews *reviews);
DEFINE_AUTO(reviews, struct reviews *, reviews_free)

/** The key of a question that @text says completely: a digest under a key of this process, so that
 * nobody outside can aim at a place in the table, or read a token out of it. */
void reviews_key(const struct reviews *reviews, struct str text, struct answer_key *ret);

/** True when the answer is known; its text is valid until the next call of this header. */
bool reviews_find(struct reviews *reviews, const struct answer_key *key, struct answer *ret);

/** Exactly one of @answer and @err, both borrowed. The waiter is free again. */
typedef void review_on_answer(void *ctx, const struct answer *answer, const struct error *err);

/** Somebody who waits; in the caller's memory. */
struct review_waiter {
    struct review_waiter *prev, *next;
    struct review_flight *flight; /* NULL: does not wait */
    int64_t since_ns;
    review_on_answer *on_answer;
    void *ctx;
};

struct review_question {
    struct answer_key key;
    const ProtobufCMessage *body; /* of the type's kind; borrowed for the call */
    bool is_kept;                 /* else the answer is for those who wait only */
};

/**
 * Asks the API server, or waits with those who asked the same. waiter->on_answer (set by the
 * caller, like ctx) runs once, not before this returns. It takes REVIEW_LIMIT_NS at most.
 * RESOURCE_EXHAUSTED: too many are under way; nobody waits.
 */
MUST_CHECK struct error *reviews_ask(struct reviews *reviews,
                                     const struct review_question *question,
                                     struct review_waiter *waiter);
/** Silence for @waiter. One that does not wait is fine. */
void review_waiter_cancel(struct review_waiter *waiter);

#define REVIEW_LIMIT_NS (30 * NS_PER_SEC)

/** Answers that are kept. */
size_t reviews_count(const struct reviews *reviews);
