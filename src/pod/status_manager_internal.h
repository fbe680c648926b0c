/*
 * What the status manager's two files share: the records and their states (status_manager.c), and
 * the requests and answers about one pod (status_exchange.c). Inside them only. Loop thread.
 */
#pragma once

#include "base/hash.h"
#include "base/metrics.h"
#include "kube/jitter.h"
#include "pod/status_manager.h"

#define STATUS_RETRY_NS (10 * NS_PER_SEC) /* pkg/kubelet/status: syncPeriod, the full pass */

/** What is counted here; status_manager.c. */
extern const struct metric_info status_sync_seconds;

enum status_entry_state {
    STATUS_ENTRY_CLEAN,
    STATUS_ENTRY_WOKEN,
    STATUS_ENTRY_QUEUED,
    STATUS_ENTRY_SENDING,
    STATUS_ENTRY_WAITING
};

/* The first goes first. */
enum status_importance {
    STATUS_DELETE,
    STATUS_TERMINAL,
    STATUS_CRITICAL,
    STATUS_OTHER,
    STATUS_COUNT
};

struct status_entry {
    UT_hash_handle hh;
    struct status_entry *prev, *next; /* in *list */
    struct status_entry **list;       /* NULL: in none */
    struct status_manager *manager;
    enum status_entry_state state;
    int64_t order_ns; /* mono; QUEUED: of the first change not sent, WAITING: the end */
    int64_t since_ns; /* mono; of the first change not sent */

    struct api_call *call; /* SENDING, with … */
    enum api_verb verb;
    uint64_t request_hash;
    const struct kube_object *about; /* what the watch had told when it was sent; a reference */
    bool must_read;                  /* the server refused: what it has must be read first */
    unsigned refusals;               /* in a row */
    unsigned troubles;               /* answers in a row that the server is not well */

    uint64_t held_hash;              /* the request that was answered last … */
    int64_t held_until_ns;           /* … is not repeated before; mono */
    const struct kube_object *known; /* newer than what the watch has told; NULL: that is newest */
    char *over_uid;                  /* the API object nothing more is sent of; NULL: none */
    char *over_version;              /* while it is in this version; NULL: for good */
    char uid[];
};

struct status_manager {
    struct status_manager_options options;
    const struct kube_kind *kind, *options_kind;
    struct status_entry *entries; /* hash head by uid */
    struct status_entry *woken, *waiting, *queues[STATUS_COUNT];
    struct loop_timer *timer;
    size_t pending, under_way;

    bool is_troubled; /* the last answer was none */
    struct growing_wait gate;
    int64_t closed_until_ns;          /* mono; while troubled */
    const struct status_entry *probe; /* the one request while troubled; NULL: none under way */
    struct error *error;
    struct metric_family *sync_seconds; /* NULL: nothing is counted */
};

/* status_manager.c */

/** Takes @entry out of the list it is in. */
void status_entry_set_state(struct status_entry *entry, enum status_entry_state state);
/** It is looked at in the next turn that status_manager_arm() provides. */
void status_entry_wake(struct status_entry *entry);
/** It is looked at again at @due_ns (mono), unless something changes before. */
void status_entry_wait(struct status_entry *entry, int64_t due_ns);
/** Cancels its request. */
void status_entry_free(struct status_entry *entry);
/** Sets the timer for whatever is to be done next; answers come by themselves. */
void status_manager_arm(struct status_manager *manager);

/* status_exchange.c */

/** The newest state of the API's object that is known; NULL: there is none, or nothing more is to
 * be sent of it. Borrowed from @entry or @report. */
const struct kube_object *status_entry_server_has(struct status_entry *entry,
                                                  const struct status_report *report);
/** What there is to tell of a pod whose API object is @object. */
enum status_importance status_importance_of(const struct status_report *report,
                                            const struct kube_object *object);
/** A queued pod's turn: sends what the server lacks, or moves @entry to the state it belongs to.
 * May free it. */
void status_entry_send(struct status_entry *entry);
