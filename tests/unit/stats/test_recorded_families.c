/*
 * The families that a kubelet was seen to show, against those of the agent's rooms: same name, same
 * help, same type, same labels, same buckets; or a row of recorded-differences.tsv, which says why
 * not.
 */
#include "base/fd.h"
#include "cri/cri_metrics.h"
#include "image/pull_metrics.h"
#include "kube/api_metrics.h"
#include "node/node_startup.h"
#include "pod/pod_metrics.h"
#include "pod/status_manager_internal.h"
#include "stats/exposition.h"
#include "stats/idle_metrics.h"
#include "stats/process_metrics.h"
#include "stats/volume_stats.h"
#include "tests/lib/test.h"
#include "volume/volume_metrics.h"

#include <stdio.h>

#define LINE_MAX_BYTES 8192
#define TEXT_MAX_BYTES (16 * KiB)

/* --- what is not served, and why --- */

#define REPLY "/metrics"
#define MAX_ABSENT 40

/* Served by rooms that this test does without; tests/e2e/test_server_recorded.py sees them. */
static const char *const elsewhere[] = {
    "apiserver_client_certificate_expiration_seconds", "apiserver_delegated_authz_*",
    "kubelet_container_log_filesystem_used_bytes", "kubelet_http_*"};

struct absences {
    struct arena *arena; /* borrowed */
    size_t count;
    const char *names[MAX_ABSENT]; /* one that ends in * stands for all that begin so */
};

static void add_absence(struct absences *absences, const char *name)
{
    assert_true(absences->count < MAX_ABSENT);
    absences->names[absences->count++] = name;
}

/* Those of the page, from the table of all differences. */
static void read_absences(struct absences *absences)
{
    const char *path =
        arena_printf(absences->arena, "%s/recorded-differences.tsv", getenv("CUBELET_TEST_DATA"));
    AUTO(buf) struct buf text;
    buf_init(&text, MiB);
    assert_no_error(fd_read_file_blocking(path, &text));
    struct str rest = buf_str(&text), line, reply, name;
    while (str_split_next(&rest, '\n', &line)) {
        if (str_split_next(&line, '\t', &reply) && str_split_next(&line, '\t', &name) &&
            str_eq_c(reply, REPLY))
            add_absence(absences, arena_strndup(absences->arena, name.ptr, name.len));
    }
    assert_true(absences->count > 0);
    for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++)
        add_absence(absences, elsewhere[i]);
}

static bool names_family(const char *row, const char *name)
{
    struct str stem = str_from(row);
    if (stem.ptr[stem.len - 1] != '*')
        return text_eq(row, name);
    return strncmp(name, stem.ptr, stem.len - 1) == 0;
}

/* --- the recording --- */

struct recorded {
    char *name;
    struct buf head;   /* the lines of HELP and TYPE */
    struct buf labels; /* names, joined by commas, without le */
    struct buf bounds; /* of a histogram, likewise */
};

static void recorded_done(struct recorded *family)
{
    free(family->name);
    buf_done(&family->head);
    buf_done(&family->labels);
    buf_done(&family->bounds);
    *family = (struct recorded){0};
}

/* The next `name="value"` of @rest, in which values hold no escaped quotes. */
static bool next_label(struct str *rest, struct str *ret_name, struct str *ret_value)
{
    if (!str_split_next(rest, '=', ret_name))
        return false;
    if (str_has_prefix(*ret_name, ","))
        *ret_name = (struct str){.ptr = ret_name->ptr + 1, .len = ret_name->len - 1};
    struct str quote;
    return str_split_next(rest, '"', &quote) && str_split_next(rest, '"', ret_value);
}

static void add_item(struct buf *list, struct str item)
{
    buf_printf(list, "%s%.*s", list->len > 0 ? "," : "", STR_ARG(item));
}

static void read_sample(struct recorded *family, const char *line)
{
    const char *open = strchr(line, '{'), *close = strrchr(line, '}');
    if (!open || !close)
        return;
    struct str rest = {.ptr = open + 1, .len = (size_t)(close - open) - 1}, name, value;
    AUTO(buf) struct buf labels;
    buf_init(&labels, TEXT_MAX_BYTES);
    while (next_label(&rest, &name, &value)) {
        if (!str_eq_c(name, "le"))
            add_item(&labels, name);
        else if (!str_eq_c(value, "+Inf") && !strstr(buf_text(&family->bounds), "end"))
            add_item(&family->bounds, value);
        else if (!strstr(buf_text(&family->bounds), "end"))
            buf_add_text(&family->bounds, ",end");
    }
    buf_clear(&family->labels);
    buf_add_str(&family->labels, buf_str(&labels));
}

/* --- what is served --- */

struct served {
    struct metrics *metrics;
    struct process_metrics *process;
    const struct metric_info *found; /* what look() looks for */
    const char *name;
};

static void add_server_rooms(struct served *served)
{
    struct cri_metrics cri;
    struct api_metrics api;
    struct volume_metrics volumes;
    struct node_startup startup;
    struct pull_metrics pulls;
    cri_metrics_init(&cri, served->metrics);
    api_metrics_init(&api, served->metrics, "https://10.0.0.1:6443", false);
    volume_metrics_init(&volumes, served->metrics);
    node_startup_init(&startup, served->metrics, 0);
    pull_metrics_init(&pulls, served->metrics);
    (void)metrics_family(served->metrics, &status_sync_seconds);
}

static void served_init(struct served *served)
{
    *served = (struct served){.metrics = metrics_new()};
    struct pod_metrics pods;
    pod_metrics_init(&pods, served->metrics, NULL);
    add_server_rooms(served);
    idle_metrics_add(served->metrics);
    (void)metrics_family(served->metrics, &volume_stats_seconds);
    const struct process_metrics_options options = {
        .node_name = "n", .version = "v1.36.2", .architecture = "amd64", .cgroup_version = 2};
    served->process = process_metrics_new(served->metrics, &options);
}

static void served_done(struct served *served)
{
    process_metrics_free(served->process);
    metrics_free(served->metrics);
}

static void look(void *ctx, const struct metric_info *info)
{
    struct served *served = ctx;
    if (text_eq(info->name, served->name))
        served->found = info;
}

static const struct metric_info *find(struct served *served, const char *name)
{
    served->name = name;
    served->found = NULL;
    metrics_each_family(served->metrics, look, served);
    return served->found;
}

static void assert_same(const struct recorded *family, const struct metric_info *info)
{
    AUTO(buf) struct buf head, labels, bounds;
    buf_init(&head, TEXT_MAX_BYTES);
    buf_init(&labels, TEXT_MAX_BYTES);
    buf_init(&bounds, TEXT_MAX_BYTES);
    struct exposition page;
    exposition_init(&page, &head, EXPOSITION_TEXT);
    exposition_family(&page, info->name, info->help, info->type);
    for (size_t i = 0; info->labels[i]; i++)
        add_item(&labels, str_from(info->labels[i]));
    for (size_t i = 0; i < info->bound_count; i++) {
        buf_add_text(&bounds, i > 0 ? "," : "");
        exposition_number(&bounds, info->bounds[i]);
    }
    if (info->type == METRIC_HISTOGRAM)
        buf_add_text(&bounds, ",end");
    assert_string_equal(buf_text(&head), buf_text(&family->head));
    if (!text_eq(buf_text(&labels), buf_text(&family->labels)))
        fail_msg("%s has the labels %s, not %s", info->name, buf_text(&labels),
                 buf_text(&family->labels));
    if (!text_eq(buf_text(&bounds), buf_text(&family->bounds)))
        fail_msg("%s has the bounds %s, not %s", info->name, buf_text(&bounds),
                 buf_text(&family->bounds));
}

/* --- the comparison --- */

struct tally {
    const struct absences *absences; /* NULL: everything is there */
    size_t served;
    size_t absent[MAX_ABSENT];
};

static void compare(struct served *served, const struct recorded *family, struct tally *tally)
{
    if (!family->name)
        return;
    const struct metric_info *info = find(served, family->name);
    if (info) {
        assert_same(family, info);
        tally->served++;
        return;
    }
    for (size_t i = 0; tally->absences && i < tally->absences->count; i++) {
        if (names_family(tally->absences->names[i], family->name)) {
            tally->absent[i]++;
            return;
        }
    }
    fail_msg("%s is neither served nor in the table", family->name);
}

/* A line of HELP begins a family. */
static void read_page(struct served *served, const char *name, struct tally *tally)
{
    AUTO(free)
    char *path = xasprintf("%s/recorded/http/%s", getenv("CUBELET_TEST_DATA"), name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    struct recorded family = {0};
    char line[LINE_MAX_BYTES];
    while (fgets(line, sizeof(line), file)) {
        struct str rest = str_from(line), word;
        if (text_has_prefix(line, "# HELP ")) {
            compare(served, &family, tally);
            recorded_done(&family);
            for (int i = 0; i < 3; i++)
                assert_true(str_split_next(&rest, ' ', &word));
            family.name = str_dup(word);
            buf_init(&family.head, TEXT_MAX_BYTES);
            buf_init(&family.labels, TEXT_MAX_BYTES);
            buf_init(&family.bounds, TEXT_MAX_BYTES);
        }
        if (line[0] == '#')
            buf_add_text(&family.head, line);
        else
            read_sample(&family, line);
    }
    compare(served, &family, tally);
    recorded_done(&family);
    (void)fclose(file);
}

TEST_CASE(every_family_of_the_page_is_served_or_accounted_for)
{
    struct served served;
    AUTO(arena) struct arena *arena = arena_new(0);
    struct absences absences = {.arena = arena};
    struct tally tally = {.absences = &absences};
    read_absences(&absences);
    served_init(&served);
    read_page(&served, "metrics.txt", &tally);
    for (size_t i = 0; i < absences.count; i++) {
        if (tally.absent[i] == 0)
            fail_msg("the row of %s is about nothing any more", absences.names[i]);
    }
    assert_true(tally.served > 100);
    served_done(&served);
}

TEST_CASE(the_probes_page_is_served_whole)
{
    struct served served = {.metrics = metrics_new()};
    struct tally tally = {0};
    struct pod_metrics pods;
    pod_metrics_init(&pods, NULL, served.metrics);
    process_metrics_add_start(served.metrics);
    read_page(&served, "metrics_probes.txt", &tally);
    assert_int_equal(tally.served, 3);
    served_done(&served);
}

TEST_CASE(the_page_of_service_levels_has_the_process_s_start)
{
    struct served served = {.metrics = metrics_new()};
    struct tally tally = {0};
    process_metrics_add_start(served.metrics);
    read_page(&served, "metrics_slis.txt", &tally);
    assert_int_equal(tally.served, 1);
    served_done(&served);
}

TEST_MAIN(TEST(every_family_of_the_page_is_served_or_accounted_for),
          TEST(the_probes_page_is_served_whole),
          TEST(the_page_of_service_levels_has_the_process_s_start))
