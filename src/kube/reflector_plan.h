/*
 * What a reflector does next: list a page, stream, watch or wait. A pure step function over the
 * state below; time and random numbers are arguments, requests and objects are somebody else's.
 * Loop thread.
 *
 *     ┌──► STREAMING ──initial events end──► WATCHING ◄──closed, back-off──┐
 *     │        │ not offered                    │  ▲ └───────────────────────┘
 *   cycle      ▼                                │  │
 *     │     LISTING ───────last page────────────┼──┘
 *     │        │ failed                         │ expired, failed, very short
 *     └─────── RESTING ◄────────────────────────┘
 *
 * The rules and numbers are those of client-go's reflector, but for a server that does not answer
 * at all: it is asked again within seconds however long it has been away, and its absence does not
 * make the rests after it longer.
 */
#pragma once

#include "kube/jitter.h"

#include "meta.pb-c.h"

#define REFLECTOR_PAGE_SIZE 500
/* With the jitter, the transport's own pause and a version that has expired meanwhile, five seconds
 * after a server has come back its objects are being read. */
#define REFLECTOR_UNREACHED_MAX_NS NS_PER_SEC

enum reflector_phase {
    REFLECTOR_IDLE,      /* not started */
    REFLECTOR_STREAMING, /* a watch is open that begins with all objects; they are collected */
    REFLECTOR_LISTING,   /* a page is asked for; pages are collected */
    REFLECTOR_WATCHING,  /* a watch is open */
    REFLECTOR_RESTING,   /* waits before `after_rest` */
};

enum reflector_event_type {
    REFLECTOR_START,        /* from IDLE */
    REFLECTOR_TIMER,        /* the wait is over */
    REFLECTOR_PAGE,         /* collected; `version` and `next_page` are the list's */
    REFLECTOR_LIST_FAILED,  /* `failure` */
    REFLECTOR_OBJECT,       /* a watch has sent an object of `version`; it is stored or collected */
    REFLECTOR_BOOKMARK,     /* the same without an object */
    REFLECTOR_SKIPPED,      /* a watch has sent what does not decode */
    REFLECTOR_CLOSED,       /* the watch has ended, as watches do */
    REFLECTOR_WATCH_FAILED, /* it could not be opened, or told of an error: `failure` */
    REFLECTOR_OVERFULL,     /* an object has no room in the store */
};

enum reflector_failure {
    REFLECTOR_UNREACHED, /* no answer */
    REFLECTOR_THROTTLED, /* 429 */
    REFLECTOR_EXPIRED,   /* 410: the version is too old; or it is too large */
    REFLECTOR_REFUSED,   /* anything else */
};

struct reflector_event {
    enum reflector_event_type type;
    enum reflector_failure failure;
    int64_t retry_after_ns; /* …_FAILED: a rest that follows is at least so long; 0: not said */
    const char *version;    /* resourceVersion; NULL: none */
    const char *next_page;  /* PAGE: the list's `continue`; NULL or "": it was the last */
    bool is_added;          /* OBJECT: it is new */
    bool ends_initial;      /* BOOKMARK: all objects that there were have been sent */
};

enum reflector_action {
    REFLECTOR_GO_ON, /* wait for what is under way */
    REFLECTOR_LIST,
    REFLECTOR_STREAM,
    REFLECTOR_WATCH,
    REFLECTOR_WAIT,
};

/* The next step. Whatever else is under way ends with any action but GO_ON; `is_complete` is
 * carried out first. */
struct reflector_step {
    enum reflector_action action;
    int64_t wait_ns;     /* WAIT */
    int64_t timeout_ns;  /* STREAM, WATCH: whole seconds */
    bool begins_collect; /* LIST, STREAM: drop what has been collected */
    bool is_complete;    /* what has been collected replaces the store */
    bool is_very_short;  /* the watch ended at once, without an event */
};

struct reflector_plan {
    /* Set at the start. */
    int64_t min_watch_ns, max_watch_ns; /* time asked of the server for a watch, drawn in between */
    bool is_streaming_off;              /* always list */
    int64_t max_unreached_ns;           /* of a rest, without jitter, when nobody answers */

    enum reflector_phase phase;
    enum reflector_action after_rest;
    char *version;        /* of the last thing heard; NULL: nothing yet. Owned */
    char *next_page;      /* LISTING: the page asked for; NULL: the first. Owned */
    char *list_version;   /* LISTING: the version asked for; "" for the newest. Owned */
    bool is_version_lost; /* the server does not know `version` */
    bool is_unpaged;      /* LISTING: ask for all at once */
    bool was_relisted;    /* LISTING: this is the second try, with the newest version */
    bool server_pages;    /* it answers in pages even from its cache */
    bool follows_added;   /* WATCHING: the version of a new object counts */
    size_t event_count;   /* of this watch */
    int64_t opened_ns;    /* STREAMING, WATCHING: mono; when it was asked for, or became a watch */
    bool is_unreached;    /* RESTING: because nobody has answered */
    struct growing_wait backoff;
    struct growing_wait unreached; /* the same, of rests because nobody has answered */
};

/** @min_ns and @max_ns bound the time asked of the server for a watch. Rests while nobody answers
 * are REFLECTOR_UNREACHED_MAX_NS at most. */
void reflector_plan_init(struct reflector_plan *plan, int64_t min_ns, int64_t max_ns);
void reflector_plan_done(struct reflector_plan *plan);
/** Back to IDLE, as if stopped; what is known of the version stays. */
void reflector_plan_stop(struct reflector_plan *plan);

/** Takes @event at @now_ns (mono). An event that does not fit the phase changes nothing: GO_ON. */
struct reflector_step reflector_plan_step(struct reflector_plan *plan,
                                          const struct reflector_event *event, int64_t now_ns,
                                          uint64_t random);

/**
 * Appends the query for the LIST, STREAM or WATCH that is due, parameters in the order of their
 * names. @selection is escaped and has only fieldSelector and labelSelector, in this order; ""
 * without.
 */
struct buf;
void reflector_plan_query(const struct reflector_plan *plan, const char *selection,
                          struct buf *out);

/** What a failed list, a failed watch or a watch's ERROR event means. @status may be NULL. */
enum reflector_failure reflector_failure_of(const struct error *err, unsigned http_status,
                                            const Meta__Status *status);
