#include "tests/unit/pod/scenario.h"

#include "base/fd.h"
#include "base/num.h"
#include "base/path.h"
#include "tests/lib/test.h"
#include "tests/unit/pod/virtual_node.h"

#include <stdio.h>
#include <stdlib.h>

#define FILE_MAX_BYTES (256 * KiB)
#define MAX_STARTS 64
#define MAX_FAULTS 16
#define CONTEXT_LINES 4
#define SHOWN_LINES 24
#define EXIT_SIGTERM 143 /* 128 + SIGTERM */

/* A start that was told: the n-th line of a name is its n-th start, the last one all others. */
struct told_start {
    const char *name;
    struct behaviour how;
};

/* A step that fails once: "KillContainer web". */
struct told_fault {
    const char *action, *name;
    bool is_over;
};

struct scenario {
    const char *name;
    size_t line; /* being read, for messages */
    struct arena *arena;
    struct buf text;
    struct str title, pod, script, expected;
    struct told_start starts[MAX_STARTS];
    size_t n_starts;
    struct told_fault faults[MAX_FAULTS];
    size_t n_faults;
    struct node_event events[NODE_MAX_EVENTS];
    size_t n_events;
    bool is_static;
    int64_t until_ns; /* since the beginning */
};

#define scenario_fail(scenario, format, ...)                                                       \
    fail_msg("%s.txt:%zu: " format, (scenario)->name, (scenario)->line, __VA_ARGS__)

/* --- words --- */

/* Takes @prefix off the front of @text, if it is there. */
static bool take(struct str *text, const char *prefix)
{
    if (!str_has_prefix(*text, prefix))
        return false;
    size_t len = strlen(prefix);
    *text = str_trim((struct str){text->ptr + len, text->len - len});
    return true;
}

static const char *terminated(struct scenario *scenario, struct str text)
{
    return arena_strndup(scenario->arena, text.ptr, text.len);
}

static int64_t number(struct scenario *scenario, struct str text)
{
    int64_t value = 0;
    if (!parse_i64(terminated(scenario, text), 0, INT32_MAX, &value))
        scenario_fail(scenario, "not a number: %.*s", STR_ARG(text));
    return value;
}

/* "12s" */
static int64_t seconds(struct scenario *scenario, struct str text)
{
    if (!str_has_suffix(text, "s"))
        scenario_fail(scenario, "no time in seconds: %.*s", STR_ARG(text));
    return number(scenario, (struct str){text.ptr, text.len - 1}) * NS_PER_SEC;
}

/* --- the script --- */

static void read_exit(struct scenario *scenario, struct behaviour *how, struct str rest)
{
    struct str word = {0};
    str_next_word(&rest, &word);
    how->exit_code = (int32_t)number(scenario, word);
    rest = str_trim(rest);
    how->exit_reason = how->exit_code == 0 ? "Completed" : "Error";
    if (rest.len > 0)
        how->exit_reason = terminated(scenario, rest);
}

/* Phrases that end with a time; the two flags belong to the phrase. */
static bool read_timed_phrase(struct scenario *scenario, struct behaviour *how, struct str phrase)
{
    const struct {
        const char *prefix;
        int64_t *time_ns;
        bool *flag;
    } phrases[] = {{"starts in ", &how->start_ns, NULL},
                   {"runs ", &how->run_ns, NULL},
                   {"is unknown after ", &how->run_ns, &how->gets_unknown},
                   {"stops in ", &how->stop_ns, NULL},
                   {"preStop takes ", &how->pre_stop_ns, NULL},
                   {"has started after ", &how->startup_ns, NULL},
                   {"startup probe fails after ", &how->startup_ns, &how->startup_fails},
                   {"is ready after ", &how->ready_ns, NULL},
                   {"liveness probe fails after ", &how->liveness_fails_ns, NULL}};
    for (size_t i = 0; i < ARRAY_SIZE(phrases); i++) {
        if (!take(&phrase, phrases[i].prefix))
            continue;
        *phrases[i].time_ns = seconds(scenario, phrase);
        if (phrases[i].flag)
            *phrases[i].flag = true;
        return true;
    }
    return false;
}

static void read_phrase(struct scenario *scenario, struct behaviour *how, struct str phrase)
{
    struct str rest = phrase;
    if (read_timed_phrase(scenario, how, phrase) || str_eq_c(phrase, "runs"))
        return;
    if (take(&rest, "exits "))
        read_exit(scenario, how, rest);
    else if (take(&rest, "does not start "))
        how->start_error = terminated(scenario, rest);
    else if (str_eq_c(rest, "leaves it created"))
        how->leftover = LEFT_CREATED;
    else if (take(&rest, "stops with "))
        how->stop_code = (int32_t)number(scenario, rest);
    else if (str_eq_c(rest, "ignores SIGTERM"))
        how->stop_ns = NODE_FOREVER;
    else
        scenario_fail(scenario, "what does a container do that \"%.*s\"?", STR_ARG(phrase));
}

static void read_start(struct scenario *scenario, struct str name, struct str rest)
{
    assert_true(scenario->n_starts < MAX_STARTS);
    struct told_start *start = &scenario->starts[scenario->n_starts++];
    *start = (struct told_start){.name = terminated(scenario, name),
                                 .how = {.run_ns = NODE_FOREVER,
                                         .stop_code = EXIT_SIGTERM,
                                         .startup_ns = NODE_FOREVER,
                                         .ready_ns = NODE_FOREVER,
                                         .liveness_fails_ns = NODE_FOREVER}};
    struct str phrase;
    while (str_split_next(&rest, ',', &phrase))
        read_phrase(scenario, &start->how, str_trim(phrase));
}

static void read_event(struct scenario *scenario, struct str rest)
{
    struct str time;
    if (!str_split_next(&rest, ':', &time) || !rest.ptr)
        scenario_fail(scenario, "%s", "\"at\" needs a time, a colon and what happens then");
    struct node_event event = {.at_ns = NODE_BEGIN_NS + seconds(scenario, str_trim(time)),
                               .value = -1};
    rest = str_trim(rest);
    if (take(&rest, "delete with grace "))
        event.value = number(scenario, rest); /* and EVENT_DELETE, which is 0 */
    else if (take(&rest, "delete"))
        event.kind = EVENT_DELETE;
    else if (take(&rest, "evict with grace ")) {
        event.kind = EVENT_EVICT;
        event.value = number(scenario, rest);
    } else if (take(&rest, "lose sandbox")) {
        event.kind = EVENT_LOSE_SANDBOX;
        event.value = take(&rest, "with containers") ? 1 : 0;
    } else if (take(&rest, "restart agent"))
        event.kind = EVENT_RESTART_AGENT;
    else if (take(&rest, "change image of "))
        event.kind = EVENT_CHANGE_IMAGE;
    else if (take(&rest, "vanish "))
        event.kind = EVENT_VANISH;
    else if (take(&rest, "network ")) {
        event.kind = EVENT_NETWORK;
        event.value = str_eq_c(rest, "ready") ? 1 : 0;
    } else
        scenario_fail(scenario, "what is \"%.*s\"?", STR_ARG(rest));
    if (event.kind == EVENT_CHANGE_IMAGE || event.kind == EVENT_VANISH)
        event.name = terminated(scenario, rest);
    assert_true(scenario->n_events < NODE_MAX_EVENTS);
    scenario->events[scenario->n_events++] = event;
}

static void read_fault(struct scenario *scenario, struct str rest)
{
    struct str action = {0};
    str_next_word(&rest, &action);
    assert_true(scenario->n_faults < MAX_FAULTS);
    scenario->faults[scenario->n_faults++] = (struct told_fault){
        .action = terminated(scenario, action), .name = terminated(scenario, str_trim(rest))};
}

static void read_script_line(struct scenario *scenario, struct str line)
{
    struct str rest = line, name;
    if (take(&rest, "at "))
        read_event(scenario, rest);
    else if (take(&rest, "fails once: "))
        read_fault(scenario, rest);
    else if (take(&rest, "until "))
        scenario->until_ns = seconds(scenario, rest);
    else if (str_eq_c(line, "static pod"))
        scenario->is_static = true;
    else if (str_split_next(&rest, ':', &name) && rest.ptr)
        read_start(scenario, str_trim(name), rest);
    else
        scenario_fail(scenario, "not understood: %.*s", STR_ARG(line));
}

/* --- the file --- */

static char *path_of(const char *name)
{
    const char *data = getenv("CUBELET_TEST_DATA");
    if (!data)
        fail_msg("%s", "CUBELET_TEST_DATA is not set");
    return xasprintf("%s/transcripts/%s.txt", data, name);
}

/* The lines of @text between the one that is @from and the one that is @to (NULL: the end). */
static struct str section(struct scenario *scenario, const char *from, const char *to)
{
    const char *begin = strstr(buf_text(&scenario->text), from);
    const char *end = begin && to ? strstr(begin, to) : begin ? begin + strlen(begin) : NULL;
    if (!begin || !end)
        fail_msg("%s.txt has no section \"%s\"", scenario->name, from);
    begin += strlen(from);
    return (struct str){begin, (size_t)(end - begin)};
}

static size_t line_number(const struct scenario *scenario, const char *at)
{
    size_t line = 1;
    for (const char *c = buf_text(&scenario->text); c < at; c++)
        line += *c == '\n' ? 1 : 0;
    return line;
}

static void scenario_read(struct scenario *scenario, const char *name)
{
    *scenario = (struct scenario){.name = name, .arena = arena_new(0)};
    AUTO(free) char *path = path_of(name);
    buf_init(&scenario->text, FILE_MAX_BYTES);
    assert_no_error(fd_read_file_blocking(path, &scenario->text));
    if (!text_has_prefix(buf_text(&scenario->text), "§"))
        fail_msg("%s.txt does not begin with the section and the rule that it proves", name);
    scenario->pod = section(scenario, "\n--- pod\n", "\n--- script\n");
    scenario->script = section(scenario, "\n--- script\n", "\n--- expected\n");
    scenario->expected = section(scenario, "\n--- expected\n", NULL);
    struct str rest = scenario->script, line;
    while (str_split_next(&rest, '\n', &line)) {
        scenario->line = line_number(scenario, line.ptr);
        line = str_trim(line);
        if (line.len > 0 && line.ptr[0] != '#')
            read_script_line(scenario, line);
    }
    if (scenario->until_ns == 0)
        fail_msg("%s.txt does not say until when", name);
}

static void scenario_done(struct scenario *scenario)
{
    buf_done(&scenario->text);
    arena_free(scenario->arena);
}

/* --- the world it tells of --- */

static void on_start(void *ctx, const char *name, size_t nth, struct behaviour *ret)
{
    const struct scenario *scenario = ctx;
    *ret = (struct behaviour){.run_ns = NODE_FOREVER,
                              .stop_code = EXIT_SIGTERM,
                              .startup_ns = NODE_FOREVER,
                              .ready_ns = NODE_FOREVER,
                              .liveness_fails_ns = NODE_FOREVER};
    for (size_t i = 0; i < scenario->n_starts; i++) {
        if (!text_eq(scenario->starts[i].name, name))
            continue;
        *ret = scenario->starts[i].how;
        if (nth-- == 0)
            return;
    }
}

static bool on_step(void *ctx, enum pod_action_kind kind, const char *name, int64_t *ret_takes_ns)
{
    struct scenario *scenario = ctx;
    *ret_takes_ns = 0;
    for (size_t i = 0; i < scenario->n_faults; i++) {
        struct told_fault *fault = &scenario->faults[i];
        if (fault->is_over || !text_eq(fault->action, pod_action_name(kind)) ||
            !text_eq(fault->name, name))
            continue;
        fault->is_over = true;
        return true;
    }
    return false;
}

/* --- comparing --- */

/* Puts what happened in the place of what was expected, for a change that is meant. */
static void rewrite(const struct scenario *scenario, const char *transcript)
{
    AUTO(free) char *path = path_of(scenario->name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    size_t kept = (size_t)(scenario->expected.ptr - buf_text(&scenario->text));
    fprintf(file, "%.*s%s", (int)kept, buf_text(&scenario->text), transcript);
    assert_int_equal(fclose(file), 0);
}

static void show_rest(char mark, struct str rest)
{
    struct str line;
    for (size_t shown = 0; shown < SHOWN_LINES && str_split_next(&rest, '\n', &line); shown++) {
        if (line.len > 0)
            fprintf(stderr, "%c %.*s\n", mark, STR_ARG(line));
    }
}

/* Shows where both part, and how they go on. */
static void compare(struct scenario *scenario, const struct virtual_node *node)
{
    struct str got = buf_str(&node->transcript), want = scenario->expected;
    struct str got_line = {0}, want_line = {0}, got_rest = got, want_rest = want;
    struct str recent[CONTEXT_LINES] = {{0}};
    size_t n_same = 0;
    for (;;) {
        bool has_got = str_split_next(&got, '\n', &got_line) && got_line.ptr;
        bool has_want = str_split_next(&want, '\n', &want_line) && want_line.ptr;
        if (!has_got && !has_want)
            return;
        if (has_got != has_want || !str_eq(got_line, want_line))
            break;
        recent[n_same++ % CONTEXT_LINES] = got_line;
        got_rest = got;
        want_rest = want;
    }
    fprintf(stderr, "\n%.*s\n", (int)(scenario->pod.ptr - buf_text(&scenario->text)),
            buf_text(&scenario->text));
    for (size_t i = n_same < CONTEXT_LINES ? 0 : n_same - CONTEXT_LINES; i < n_same; i++)
        fprintf(stderr, "  %.*s\n", STR_ARG(recent[i % CONTEXT_LINES]));
    show_rest('-', want_rest);
    show_rest('+', got_rest);
    scenario->line = line_number(scenario, scenario->expected.ptr) + n_same;
    scenario_fail(scenario, "%s", "something else happens (- expected, + happened)");
}

void scenario_play(const char *name)
{
    struct scenario scenario;
    scenario_read(&scenario, name);
    struct virtual_world world = {.ctx = &scenario, .start = on_start, .step = on_step};
    struct virtual_node node;
    virtual_node_init(&node, terminated(&scenario, scenario.pod), &world);
    node.is_static = scenario.is_static;
    for (size_t i = 0; i < scenario.n_events; i++)
        virtual_node_will(&node, scenario.events[i]);
    virtual_node_run(&node, NODE_BEGIN_NS + scenario.until_ns);
    if (node.broken) {
        fprintf(stderr, "%s\n%s\n", buf_text(&scenario.text), buf_text(&node.transcript));
        fail_msg("%s.txt: %s", name, node.broken);
    }
    if (getenv("CUBELET_WRITE_TRANSCRIPTS"))
        rewrite(&scenario, buf_text(&node.transcript));
    else
        compare(&scenario, &node);
    virtual_node_done(&node);
    scenario_done(&scenario);
}
