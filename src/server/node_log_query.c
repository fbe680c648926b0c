#include "server/node_log_query.h"

#include "base/buf.h"
#include "base/time.h"
#include "pod/go_text.h"
#include "server/go_regexp.h"
#include "wire/json.h"

#include <time.h>

/* A target (HTTP_TARGET_MAX_BYTES) whose every byte is shown in two problems, quoted twice. */
#define TEXT_MAX_BYTES (8 * HTTP_TARGET_MAX_BYTES)

/* --- what is wrong, as Kubernetes lists it: one as it is, several as [a, b] --- */

#define MAX_PROBLEMS 16 /* a check finds one at most, that of the services one for each */

struct problems {
    struct arena *arena;
    const char *items[MAX_PROBLEMS];
    size_t count;
};

static void add(struct problems *problems, const char *text)
{
    for (size_t i = 0; i < problems->count; i++) {
        if (strcmp(problems->items[i], text) == 0)
            return;
    }
    ASSERT(problems->count < MAX_PROBLEMS);
    problems->items[problems->count++] = text;
}

static const char *join(const struct problems *problems)
{
    if (problems->count < 2)
        return problems->count > 0 ? problems->items[0] : NULL;
    struct buf out;
    buf_init(&out, TEXT_MAX_BYTES);
    for (size_t i = 0; i < problems->count; i++)
        buf_printf(&out, "%s%s", i ? ", " : "[", problems->items[i]);
    buf_add_char(&out, ']');
    const char *joined = arena_strdup(problems->arena, buf_text(&out));
    buf_done(&out);
    return joined;
}

/* @value as it is to be printed. */
static void add_invalid(struct problems *problems, const char *field, const char *value,
                        const char *detail)
{
    add(problems, arena_printf(problems->arena, "%s: Invalid value: %s: %s", field, value, detail));
}

static void add_invalid_text(struct problems *problems, const char *field, const char *value,
                             const char *detail)
{
    add_invalid(problems, field, go_quote(problems->arena, value), detail);
}

/* A list as JSON. */
static const char *list_text(const char *const *items, size_t count, struct arena *arena)
{
    struct buf out;
    buf_init(&out, TEXT_MAX_BYTES);
    buf_add_char(&out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_add_char(&out, ',');
        json_add_string(&out, str_from(items[i]));
    }
    buf_add_char(&out, ']');
    const char *text = arena_strdup(arena, buf_text(&out));
    buf_done(&out);
    return text;
}

/* A list as Go's %v prints it. */
static const char *plain_list(const char *const *items, size_t count, struct arena *arena)
{
    struct buf out;
    buf_init(&out, TEXT_MAX_BYTES);
    buf_add_char(&out, '[');
    for (size_t i = 0; i < count; i++)
        buf_printf(&out, "%s%s", i ? " " : "", items[i]);
    buf_add_char(&out, ']');
    const char *text = arena_strdup(arena, buf_text(&out));
    buf_done(&out);
    return text;
}

/* --- parsing --- */

static bool is_blank(const char *text)
{
    return str_trim(str_from(text)).len == 0;
}

/* Returns whether `query` occurs. */
static bool collect_names(const struct http_target *target, struct arena *arena,
                          struct node_log_query *query, const char *const **ret_all,
                          size_t *ret_count)
{
    const char **all = arena_calloc(arena, target->param_count, sizeof(*query->services));
    const char **services = arena_calloc(arena, target->param_count, sizeof(*query->services));
    const char **files = arena_calloc(arena, target->param_count, sizeof(*query->services));
    size_t count = 0;
    for (size_t i = 0; i < target->param_count; i++) {
        const char *value = target->params[i].value;
        if (strcmp(target->params[i].name, "query") != 0)
            continue;
        all[count++] = value;
        if (strpbrk(value, "/\\"))
            files[query->file_count++] = value;
        else if (!is_blank(value))
            services[query->service_count++] = value;
    }
    query->services = services;
    query->files = files;
    *ret_all = all;
    *ret_count = count;
    return count > 0;
}

/* Empty is as good as absent. */
static const char *get(const struct http_target *target, const char *name)
{
    const char *value = http_target_param(target, name);
    return value && value[0] != '\0' ? value : NULL;
}

/* "…+02:00": the offset of a time that is known to be RFC 3339. */
static int32_t offset_of(const char *text)
{
    size_t len = strlen(text);
    const char *zone = len > 6 ? text + len - 6 : text;
    if (zone[0] != '+' && zone[0] != '-')
        return 0;
    int32_t hours = (zone[1] - '0') * 10 + (zone[2] - '0');
    int32_t minutes = (zone[4] - '0') * 10 + (zone[5] - '0');
    int32_t offset_s = (hours * 60 + minutes) * 60;
    return zone[0] == '-' ? -offset_s : offset_s;
}

static void parse_time(const struct http_target *target, const char *name,
                       struct problems *problems, struct node_log_time *ret)
{
    const char *text = get(target, name);
    if (!text)
        return;
    struct error *err = time_parse_parts(str_from(text), &ret->wall_s, &ret->nanos);
    if (err) {
        error_ignore(err, "said in other words");
        add_invalid_text(problems, name, text, "invalid time format");
        return;
    }
    ret->is_given = true;
    ret->offset_s = offset_of(text);
}

static void parse_number(const struct http_target *target, const char *name,
                         struct problems *problems, bool *ret_has, int64_t *ret)
{
    const char *text = get(target, name);
    if (!text)
        return;
    const char *digits = text[0] == '+' && text[1] != '-' ? text + 1 : text;
    *ret_has = parse_i64(digits, INT64_MIN, INT64_MAX, ret);
    if (*ret_has)
        return;
    const char *number = digits + (digits[0] == '-');
    bool is_number = number[0] != '\0' && number[strspn(number, "0123456789")] == '\0';
    struct arena *arena = problems->arena;
    add_invalid_text(problems, name, text,
                     arena_printf(arena, "strconv.Atoi: parsing %s: %s", go_quote(arena, text),
                                  is_number ? "value out of range" : "invalid syntax"));
}

enum node_log_kind node_log_query_parse(const struct http_target *target, struct arena *arena,
                                        struct node_log_query *ret, const char **ret_problem)
{
    struct problems problems = {.arena = arena};
    struct node_log_query query = {.pattern = ""};
    const char *const *all = NULL;
    size_t count = 0;
    bool has_query = collect_names(target, arena, &query, &all, &count);
    if (has_query && query.file_count + query.service_count == 0)
        add_invalid(&problems, "query", list_text(all, count, arena), "query cannot be empty");
    parse_time(target, "sinceTime", &problems, &query.since);
    parse_time(target, "untilTime", &problems, &query.until);
    parse_number(target, "boot", &problems, &query.has_boot, &query.boot);
    parse_number(target, "tailLines", &problems, &query.has_tail_lines, &query.tail_lines);
    const char *pattern = get(target, "pattern");
    if (pattern)
        query.pattern = pattern;
    *ret_problem = join(&problems);
    if (*ret_problem)
        return NODE_LOG_MALFORMED;
    *ret = query;
    bool is_query =
        query.file_count + query.service_count > 0 || node_log_query_has_options(&query);
    return is_query ? NODE_LOG_QUERY : NODE_LOG_PLAIN;
}

bool node_log_query_has_options(const struct node_log_query *query)
{
    return query->since.is_given || query->until.is_given || query->has_tail_lines ||
           query->has_boot || query->pattern[0] != '\0';
}

/* --- checking --- */

static bool is_safe_name(const char *name)
{
    for (const char *c = name; *c; c++) {
        bool is_alnum =
            (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');
        if (!is_alnum && !strchr("-_.:@", *c))
            return false;
    }
    return true;
}

/* Names beyond those allowed are not looked at: a request may hold thousands. */
static void check_services(const struct node_log_query *query, struct problems *problems)
{
    for (size_t i = 0; i < min_size(query->service_count, NODE_LOG_MAX_SERVICES); i++) {
        const char *name = query->services[i];
        if (strlen(name) > NODE_LOG_MAX_NAME_BYTES) /* upstream's words, if not its limit */
            add_invalid_text(problems, "query", name, "length must be less than 100");
        else if (!is_safe_name(name))
            add_invalid_text(problems, "query", name, "input contains unsupported characters");
    }
    if (query->service_count > NODE_LOG_MAX_SERVICES)
        add(problems,
            arena_printf(problems->arena, "query: Too many: %zu: must have at most %d items",
                         query->service_count, NODE_LOG_MAX_SERVICES));
}

static void check_files(const struct node_log_query *query, const char *file_problem,
                        struct problems *problems)
{
    struct arena *arena = problems->arena;
    const char *files = list_text(query->files, query->file_count, arena);
    if (query->file_count == 0 && query->service_count == 0)
        add(problems, "query: Required value: cannot be empty with options");
    else if (query->file_count > 0 && query->service_count > 0)
        add_invalid_text(problems, "query",
                         arena_printf(arena, "%s, %s",
                                      plain_list(query->files, query->file_count, arena),
                                      plain_list(query->services, query->service_count, arena)),
                         "cannot specify a file and service");
    else if (query->file_count > 1)
        add_invalid(problems, "query", files, "cannot specify more than one file");
    else if (query->file_count == 1 && node_log_query_has_options(query))
        add_invalid(problems, "query", files, "cannot specify file with options");
    else if (query->file_count == 1 && file_problem)
        add_invalid(problems, "query", files, file_problem);
}

/* As Go prints a time that is not the machine's own: 2026-11-21 03:00:00 +0000 UTC */
static const char *time_text(const struct node_log_time *time, struct arena *arena)
{
    time_t local = (time_t)(time->wall_s + time->offset_s);
    struct tm tm = {0};
    (void)gmtime_r(&local, &tm);
    char fraction[16] = "";
    if (time->nanos > 0) {
        int len = snprintf(fraction, sizeof(fraction), ".%09d", (int)time->nanos);
        while (len > 0 && fraction[len - 1] == '0')
            fraction[--len] = '\0';
    }
    int32_t minutes = (time->offset_s < 0 ? -time->offset_s : time->offset_s) / 60;
    const char *zone = arena_printf(arena, "%c%02d%02d", time->offset_s < 0 ? '-' : '+',
                                    (int)(minutes / 60), (int)(minutes % 60));
    return arena_printf(arena, "%04d-%02d-%02d %02d:%02d:%02d%s %s %s", tm.tm_year + 1900,
                        tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, fraction, zone,
                        time->offset_s == 0 ? "UTC" : zone);
}

static bool is_after(const struct node_log_time *a, const struct node_log_time *b)
{
    return a->wall_s != b->wall_s ? a->wall_s > b->wall_s : a->nanos > b->nanos;
}

static void check_options(const struct node_log_query *query, struct problems *problems)
{
    struct arena *arena = problems->arena;
    if (query->since.is_given && query->until.is_given && is_after(&query->since, &query->until))
        add_invalid(problems, "untilTime", time_text(&query->until, arena),
                    "must be after `sinceTime`");
    if (query->has_boot && query->boot > 0)
        add_invalid(problems, "boot", arena_printf(arena, "%lld", (long long)query->boot),
                    "must be less than 1");
    if (query->has_tail_lines &&
        (query->tail_lines < 0 || query->tail_lines > NODE_LOG_MAX_TAIL_LINES))
        add_invalid(
            problems, "tailLines", arena_printf(arena, "%lld", (long long)query->tail_lines),
            arena_printf(arena, "must be between 0 and %d, inclusive", NODE_LOG_MAX_TAIL_LINES));
    const char *problem = go_regexp_check(query->pattern, arena);
    if (problem)
        add_invalid_text(problems, "pattern", query->pattern, problem);
}

const char *node_log_query_check(const struct node_log_query *query, const char *file_problem,
                                 struct arena *arena)
{
    struct problems problems = {.arena = arena};
    check_services(query, &problems);
    check_files(query, file_problem, &problems);
    check_options(query, &problems);
    return join(&problems);
}

const char *node_log_query_file(const struct node_log_query *query)
{
    bool is_file = query->file_count == 1 && query->service_count == 0;
    return is_file && !node_log_query_has_options(query) ? query->files[0] : NULL;
}

/* --- journalctl --- */

/* Upstream gives the time in the zone of the request, which journalctl takes for the machine's. */
static const char *journal_time(const char *option, const struct node_log_time *time,
                                struct arena *arena)
{
    time_t seconds = (time_t)time->wall_s;
    struct tm tm = {0};
    (void)gmtime_r(&seconds, &tm);
    return arena_printf(arena, "--%s=%04d-%02d-%02d %02d:%02d:%02d UTC", option, tm.tm_year + 1900,
                        tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

const char *const *node_log_query_arguments(const struct node_log_query *query, const char *program,
                                            const char *const *services, size_t count,
                                            struct arena *arena)
{
    enum { FIXED = 4, OPTIONS = 7 };
    const char **argv = arena_calloc(arena, FIXED + OPTIONS + count + 1, sizeof(program));
    size_t n = 0;
    argv[n++] = program;
    argv[n++] = "--utc";
    argv[n++] = "--no-pager";
    argv[n++] = "--output=short-precise";
    if (query->since.is_given)
        argv[n++] = journal_time("since", &query->since, arena);
    if (query->until.is_given)
        argv[n++] = journal_time("until", &query->until, arena);
    if (query->has_tail_lines) {
        argv[n++] = "--pager-end";
        argv[n++] = arena_printf(arena, "--lines=%lld", (long long)query->tail_lines);
    }
    for (size_t i = 0; i < count; i++)
        argv[n++] = arena_printf(arena, "--unit=%s", services[i]);
    if (query->pattern[0] != '\0')
        argv[n++] = arena_printf(arena, "--grep=%s", query->pattern);
    if (query->has_boot) {
        argv[n++] = "--boot";
        argv[n++] = arena_printf(arena, "%lld", (long long)query->boot);
    }
    return argv;
}
