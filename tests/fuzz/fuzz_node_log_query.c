/*
 * The query of /logs/ comes from whoever may read a node's logs, and ends as arguments of a
 * program. Properties: what was accepted asks for few services with harmless names; no argument but
 * the pattern and what we say ourselves begins with what a client sent; the check does not depend
 * on when it is made.
 */
#include "server/node_log_query.h"

#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_arguments(const struct node_log_query *query, struct arena *arena)
{
    static const char *const options[] = {
        "--utc",       "--no-pager", "--output=", "--since=", "--until=",
        "--pager-end", "--lines=",   "--unit=",   "--grep=",  "--boot"};
    const char *const *argv =
        node_log_query_arguments(query, "journalctl", query->services, query->service_count, arena);
    size_t count = 0;
    for (const char *const *arg = argv + 1; *arg; arg++, count++) {
        bool is_ours = false;
        for (size_t i = 0; i < ARRAY_SIZE(options); i++)
            is_ours = is_ours || text_has_prefix(*arg, options[i]);
        int64_t boot = 0;
        ASSERT(is_ours || (text_eq(arg[-1], "--boot") && parse_i64(*arg, INT64_MIN, 0, &boot)));
    }
    ASSERT(count <= 11 + NODE_LOG_MAX_SERVICES);
}

static void check_names(const struct node_log_query *query)
{
    ASSERT(query->service_count <= NODE_LOG_MAX_SERVICES);
    ASSERT((query->service_count == 0) == (query->file_count == 1));
    for (size_t i = 0; i < query->service_count; i++) {
        const char *name = query->services[i];
        ASSERT(strlen(name) <= NODE_LOG_MAX_NAME_BYTES);
        ASSERT(!strpbrk(name, "/\\ \t\n'\"`$;&|<>*?"));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(free)
    char *raw = xasprintf("/logs/?%.*s", (int)min_size(size, 1U << 14), (const char *)data);
    struct http_target target;
    struct error *err = http_target_parse(str_from(raw), arena, &target);
    if (err) {
        error_ignore(err, "the HTTP server refuses it");
        return 0;
    }
    struct node_log_query query;
    const char *problem = NULL;
    enum node_log_kind kind = node_log_query_parse(&target, arena, &query, &problem);
    ASSERT((kind == NODE_LOG_MALFORMED) == (problem != NULL));
    if (kind != NODE_LOG_QUERY)
        return 0;
    problem = node_log_query_check(&query, NULL, arena);
    ASSERT(text_eq(problem, node_log_query_check(&query, NULL, arena)));
    if (problem)
        return 0;
    check_names(&query);
    check_arguments(&query, arena);
    return 0;
}
