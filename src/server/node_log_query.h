/*
 * A query for a node's logs (`/logs/?query=…`, spec server.md §2.10): what is asked, whether it may
 * be, and how journalctl is asked in turn. Pure. Any thread.
 */
#pragma once

#include "wire/http.h"

#define NODE_LOG_MAX_SERVICES 4
#define NODE_LOG_MAX_NAME_BYTES 256
#define NODE_LOG_MAX_TAIL_LINES 100000

/** A time with the offset it was given in, for messages. */
struct node_log_time {
    bool is_given;
    int64_t wall_s;
    int32_t nanos;
    int32_t offset_s; /* east of UTC */
};

/** Lives in the arena it was parsed into. */
struct node_log_query {
    const char *const *services;
    size_t service_count;
    const char *const *files; /* as given, with '/' or '\' */
    size_t file_count;
    struct node_log_time since, until;
    bool has_tail_lines, has_boot;
    int64_t tail_lines, boot;
    const char *pattern; /* "": none */
};

enum node_log_kind {
    NODE_LOG_PLAIN, /* no query: a path is meant */
    NODE_LOG_QUERY,
    NODE_LOG_MALFORMED, /* 400, with the text */
};

/** Reads the parameters of @target. *ret_problem, in @arena, is set for MALFORMED. */
enum node_log_kind node_log_query_parse(const struct http_target *target, struct arena *arena,
                                        struct node_log_query *ret, const char **ret_problem);

/**
 * What is wrong with @query (406), or NULL; lives in @arena. @file_problem is why its only file
 * cannot be read, or NULL; see node_log_query_file().
 */
const char *node_log_query_check(const struct node_log_query *query, const char *file_problem,
                                 struct arena *arena);
/** The file as given that must be looked at before the check, or NULL when the query is for
 * something else. */
const char *node_log_query_file(const struct node_log_query *query);

/** True when more is asked than names. */
bool node_log_query_has_options(const struct node_log_query *query);

/** The arguments for @program (journalctl) to show @services, NULL-terminated; in @arena. */
const char *const *node_log_query_arguments(const struct node_log_query *query, const char *program,
                                            const char *const *services, size_t count,
                                            struct arena *arena);
