/*
 * Who answers at all is half the proof: the thread that serves is the loop that drives the pods
 * and the one that writes the log, and a watchdog ends a process whose loop stands still. What is
 * left to check is whether the loop has had a runtime to work with.
 */
#include "server/health.h"

#define MIN_SYNC_LIMIT_NS (300 * NS_PER_SEC) /* pkg/kubelet/kubelet.go: SyncLoopHealthCheck */

static const char *always_passes(UNUSED const struct health_facts *facts)
{
    return NULL;
}

static const char *check_sync_loop(const struct health_facts *facts)
{
    int64_t limit_ns = sat_mul_i64(facts->sync_frequency_ns, 2);
    if (limit_ns < MIN_SYNC_LIMIT_NS)
        limit_ns = MIN_SYNC_LIMIT_NS;
    bool is_late =
        facts->is_runtime_lost && sat_sub_i64(facts->now_ns, facts->runtime_lost_ns) > limit_ns;
    return is_late ? "sync Loop took longer than expected" : NULL;
}

static const struct check {
    const char *name;
    const char *(*run)(const struct health_facts *facts);
} checks[] = {{"ping", always_passes}, {"log", always_passes}, {"syncloop", check_sync_loop}};
_Static_assert(ARRAY_SIZE(checks) == HEALTH_MAX_CHECKS, "a result for each check");

/* How many of them there are: ping is the first. */
static size_t count_checks(const struct health_facts *facts)
{
    return facts->is_ping_only ? 1 : ARRAY_SIZE(checks);
}

static void answer_one(const struct health_facts *facts, const char *name, struct buf *out,
                       struct health_report *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        const char *failure = text_eq(checks[i].name, name) ? checks[i].run(facts) : NULL;
        if (!failure)
            continue;
        ret->status = 500;
        ret->is_plain_error = true;
        buf_printf(out, "internal server error: %s", failure);
        return;
    }
    buf_add_text(out, "ok");
}

static bool is_excluded(const struct http_target *target, const char *name)
{
    for (size_t i = 0; i < target->param_count; i++) {
        if (text_eq(target->params[i].name, "exclude") && text_eq(target->params[i].value, name))
            return true;
    }
    return false;
}

static bool is_check(const struct health_facts *facts, const char *name)
{
    for (size_t i = 0; i < count_checks(facts); i++) {
        if (text_eq(checks[i].name, name))
            return true;
    }
    return false;
}

/* One line for all of them, sorted, each once; they come from outside, hence the quotes. */
static void warn_of_unknown(const struct health_facts *facts, const struct http_target *target,
                            struct buf *out)
{
    const char *last = NULL;
    bool has_any = false;
    for (;;) {
        const char *next = NULL;
        for (size_t i = 0; i < target->param_count; i++) {
            const char *value = target->params[i].value;
            if (!text_eq(target->params[i].name, "exclude") || !value || is_check(facts, value))
                continue;
            if (last && strcmp(value, last) <= 0)
                continue;
            if (!next || strcmp(value, next) < 0)
                next = value;
        }
        if (!next)
            break;
        buf_add_text(out, has_any ? ","
                                  : "warn: some health checks cannot be excluded: no matches for ");
        buf_printf(out, "\"%s\"", next);
        has_any = true;
        last = next;
    }
    if (has_any)
        buf_add_char(out, '\n');
}

static void write_lines(const struct health_facts *facts, const struct health_report *report,
                        const struct http_target *target, struct buf *out)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct health_result *result = &report->results[i];
        if (result->is_excluded)
            buf_printf(out, "[+]%s excluded: ok\n", result->name);
        else if (result->failure)
            buf_printf(out, "[-]%s failed: reason withheld\n", result->name);
        else
            buf_printf(out, "[+]%s ok\n", result->name);
    }
    warn_of_unknown(facts, target, out);
}

static void answer_all(const struct health_facts *facts, const struct http_target *target,
                       struct buf *out, struct health_report *ret)
{
    bool has_failed = false;
    for (size_t i = 0; i < count_checks(facts); i++) {
        struct health_result *result = &ret->results[ret->count++];
        result->name = checks[i].name;
        result->is_excluded = is_excluded(target, checks[i].name);
        result->failure = result->is_excluded ? NULL : checks[i].run(facts);
        has_failed = has_failed || result->failure;
    }
    if (has_failed) {
        write_lines(facts, ret, target, out);
        buf_add_text(out, "healthz check failed");
        ret->status = 500;
        ret->is_plain_error = true;
    } else if (http_target_param(target, "verbose")) {
        write_lines(facts, ret, target, out);
        buf_add_text(out, "healthz check passed\n");
    } else {
        buf_add_text(out, "ok");
    }
}

void health_answer(const struct health_facts *facts, const char *check,
                   const struct http_target *target, struct buf *out, struct health_report *ret)
{
    *ret = (struct health_report){.status = 200};
    if (check[0] != '\0')
        answer_one(facts, check, out, ret);
    else
        answer_all(facts, target, out, ret);
}
