/*
 * Shared by credential_provider.c, which has the way of a lookup, and credential_provider_run.c,
 * which has the runs that lookups share. For these two only. Loop thread.
 */
#pragma once

#include "image/credential_provider.h"
#include "image/credential_provider_cache.h"

struct metric_family; /* base/metrics.h */

#define CREDENTIAL_DIGEST_BYTES 32

enum credential_metric {
    CREDENTIAL_METRIC_DURATION,
    CREDENTIAL_METRIC_ERRORS,
    CREDENTIAL_METRIC_CONFIG,
    CREDENTIAL_METRIC_COUNT
};

/* A plugin that runs, and the lookups that wait for it. */
struct credential_run {
    struct credential_run *prev, *next;
    struct credential_provider *provider;
    struct credential_exec *exec;
    struct credential_lookup *waiting; /* linked by their run_prev and run_next */
    char *image;
    char *token;                                 /* it was given; NULL: none */
    struct str account;                          /* for the cache: `digests`, or "" */
    uint8_t digests[2][CREDENTIAL_DIGEST_BYTES]; /* of the account as the cache knows it, and with
                                                    the token */
    int64_t started_ns;
};

struct credential_provider {
    struct credential_providers *providers;
    const Credentialprovider__CredentialProvider *config;
    const Credentialprovider__ServiceAccountTokenAttributes *tokens; /* NULL: it wants none */
    char *path;
    const char **patterns; /* keys of matchImages, in the arena */
    struct credential_cache *cache;
    struct credential_run *runs;
};

struct credential_providers {
    struct credential_providers_options options;
    struct arena *arena;
    struct credential_provider *items;
    size_t count;
    const struct kube_kind *account_kind;
    struct metric_family *metrics[CREDENTIAL_METRIC_COUNT];
};

struct credential_lookup {
    struct credential_lookup *run_prev, *run_next;
    struct credential_providers *providers;
    struct arena *arena; /* for all it gathers */
    struct credential_pod pod;
    const char *image;
    struct str repository;
    struct keyring keyring;
    size_t next;              /* index of the next plugin */
    struct loop_timer *timer; /* goes on */
    credential_on_found *on_found;
    void *ctx;

    /* Of the plugin that is being asked. */
    struct credential_provider *provider;
    bool has_account;
    struct credential_source source;
    struct credential_annotation *annotations; /* those that it wants to know, sorted */
    size_t annotation_count;
    char *token;
    struct api_call *account_call;
    struct token_get *token_get;
    struct credential_run *run;
};

/** All is there that lookup->provider is to be told: takes what is known, or waits for a run.
 * Either way lookup->timer is started once there is an answer. */
void credential_run_ask(struct credential_lookup *lookup);
/** The lookup waits no more; the run ends with the last one. */
void credential_run_leave(struct credential_lookup *lookup);
