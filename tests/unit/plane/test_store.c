#include "base/buf.h"
#include "base/path.h"
#include "plane/store.h"
#include "tests/lib/tempdir.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#define TURNS_MAX 2000

/* A store in a directory of its own, with workers that run inline. */
struct bed {
    char *dir;
    char *path;
    struct loop *loop;
    struct work_pool *pool;
    struct store *store;
    struct store_options options;
};

static void bed_open(struct bed *bed)
{
    assert_no_error(loop_new(&bed->loop));
    bed->pool = work_pool_new(bed->loop, 0);
    bed->options.path = bed->path;
    assert_no_error(store_open(bed->loop, bed->pool, &bed->options, &bed->store));
}

static void bed_close(struct bed *bed)
{
    work_pool_free(bed->pool, 0);
    store_close(bed->store);
    loop_free(bed->loop);
}

static struct bed *bed_new(void)
{
    struct bed *bed = xcalloc(1, sizeof(*bed));
    bed->dir = tempdir_new();
    bed->path = path_join(bed->dir, "objects.db");
    bed->options.is_unsynced = true;
    bed_open(bed);
    return bed;
}

static void bed_free(struct bed *bed)
{
    bed_close(bed);
    tempdir_free(bed->dir);
    free(bed->path);
    free(bed);
}
DEFINE_AUTO(bed, struct bed *, bed_free)

/* --- a task as a line of script: "+pods a x" creates, "=pods a y" updates, "-pods a z" deletes
 * with the last state z, "!" fails --- */

struct script {
    struct store *store;
    const char *lines; /* separated by ';' */
    int64_t revision;  /* of its last write */
    bool is_done;
    enum error_code code; /* 0: committed */
};

static struct error *run_line(struct script *script, const char *line)
{
    if (*line == '!')
        return error_new(ERROR_ABORTED, "as told");
    char resource[16], name[16], value[16] = "";
    /* NOLINTNEXTLINE(cert-err34-c): texts of bounded length only */
    assert_true(sscanf(line + 1, "%15s %15s %15s", resource, name, value) >= 2);
    const struct store_key key = {.resource = resource, .namespace_ = "default", .name = name};
    struct str bytes = str_from(value);
    switch (*line) {
    case '+':
        return store_create(script->store, &key, bytes, &script->revision);
    case '=':
        return store_update(script->store, &key, bytes, &script->revision);
    default:
        return store_delete(script->store, &key, bytes, &script->revision);
    }
}

static struct error *run_script(void *ctx)
{
    struct script *script = ctx;
    struct error *err = NULL;
    const char *line = script->lines;
    while (!err && *line) {
        size_t len = strcspn(line, ";");
        AUTO(free) char *copy = xstrndup(line, len);
        err = run_line(script, copy);
        line += line[len] == ';' ? len + 1 : len;
    }
    return err;
}

static void script_done(void *ctx, const struct error *err)
{
    struct script *script = ctx;
    script->is_done = true;
    script->code = err ? err->code : 0;
}

static const struct store_task script_task = {.run = run_script, .done = script_done};

static void submit(struct bed *bed, struct script *script, const char *lines)
{
    *script = (struct script){.store = bed->store, .lines = lines};
    store_submit(bed->store, &script_task, script);
}

static void wait_done(struct bed *bed, const struct script *script)
{
    for (int i = 0; i < TURNS_MAX && !script->is_done; i++)
        loop_turn(bed->loop, NS_PER_MS);
    assert_true(script->is_done);
}

static enum error_code run_now(struct bed *bed, const char *lines)
{
    struct script script;
    submit(bed, &script, lines);
    wait_done(bed, &script);
    return script.code;
}

/* --- what is there, as "name=value@revision name=…" --- */

struct listing {
    struct bed *bed;
    struct buf text;
    struct store_range range;
    bool is_done;
};

static struct error *list_item(void *ctx, const struct store_item *item)
{
    struct listing *listing = ctx;
    buf_printf(&listing->text, "%s%s=%.*s@%lld", listing->text.len ? " " : "", item->key.name,
               STR_ARG(item->bytes), (long long)item->revision);
    return NULL;
}

static struct error *run_listing(void *ctx)
{
    struct listing *listing = ctx;
    return store_list(listing->bed->store, &listing->range, list_item, listing);
}

static void listing_done(void *ctx, const struct error *err)
{
    struct listing *listing = ctx;
    assert_null(err);
    listing->is_done = true;
}

static char *list(struct bed *bed, struct store_range range)
{
    struct listing listing = {.bed = bed, .range = range};
    buf_init(&listing.text, 64 * KiB);
    const struct store_task task = {.run = run_listing, .done = listing_done};
    store_submit(bed->store, &task, &listing);
    for (int i = 0; i < TURNS_MAX && !listing.is_done; i++)
        loop_turn(bed->loop, NS_PER_MS);
    assert_true(listing.is_done);
    return buf_take(&listing.text);
}

static void assert_pods(struct bed *bed, const char *want)
{
    AUTO(free) char *got = list(bed, (struct store_range){.resource = "pods"});
    assert_string_equal(got, want);
}

/* --- what a watch was told, as "+a:x@2 =a:x>y@3 -a:y>z@4" --- */

struct seen {
    struct store_watch *watch;
    struct buf text;
    size_t stop_after; /* 0: never */
    size_t count;
};

static void on_change(void *ctx, const struct store_change *change)
{
    static const char sign[] = {
        [STORE_CREATED] = '+', [STORE_UPDATED] = '=', [STORE_DELETED] = '-'};
    struct seen *seen = ctx;
    buf_printf(&seen->text, "%s%c%s:%.*s>%.*s@%lld", seen->text.len ? " " : "", sign[change->type],
               change->key.name, STR_ARG(change->before), STR_ARG(change->bytes),
               (long long)change->revision);
    if (++seen->count == seen->stop_after)
        store_watch_stop(TAKE(seen->watch));
}

static void watch(struct bed *bed, struct seen *seen, const char *resource, int64_t since)
{
    buf_init(&seen->text, 64 * KiB);
    assert_no_error(store_watch_start(bed->store, resource, since, on_change, seen, &seen->watch));
}

TEST_CASE(what_is_written_is_read_back_with_its_revision)
{
    AUTO(bed) struct bed *bed = bed_new();
    assert_int_equal(store_committed_revision(bed->store), 1);
    assert_int_equal(run_now(bed, "+pods a x;+pods b y"), 0);
    assert_pods(bed, "a=x@2 b=y@3");
    assert_int_equal(run_now(bed, "=pods a z"), 0);
    assert_int_equal(run_now(bed, "-pods b gone"), 0);
    assert_pods(bed, "a=z@4");
    assert_int_equal(store_committed_revision(bed->store), 5);
}

TEST_CASE(a_task_that_fails_takes_back_its_own_writes_only)
{
    static const struct {
        const char *name, *lines;
        enum error_code code;
    } rows[] = {
        {"as told", "+pods bad x;+pods worse y;!", ERROR_ABORTED},
        {"created twice", "+pods bad x;+pods bad y", ERROR_ALREADY_EXISTS},
        {"updated out of nothing", "+pods bad x;=pods none y", ERROR_NOT_FOUND},
        {"deleted out of nothing", "-pods none y", ERROR_NOT_FOUND},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(bed) struct bed *bed = bed_new();
        struct seen seen = {0};
        watch(bed, &seen, NULL, 1);
        struct script before, failing, after;
        submit(bed, &before, "+pods a x");
        submit(bed, &failing, rows[i].lines);
        submit(bed, &after, "=pods a y");
        wait_done(bed, &after);
        assert_int_equal(before.code, 0);
        assert_int_equal(failing.code, rows[i].code);
        assert_int_equal(after.code, 0);
        assert_pods(bed, "a=y@3");
        assert_string_equal(buf_text(&seen.text), "+a:>x@2 =a:x>y@3");
        buf_done(&seen.text);
    }
}

TEST_CASE(a_withdrawn_task_is_never_run)
{
    AUTO(bed) struct bed *bed = bed_new();
    struct script kept, dropped;
    submit(bed, &kept, "+pods a x");
    submit(bed, &dropped, "+pods b x");
    assert_true(store_withdraw(bed->store, &dropped));
    assert_false(store_withdraw(bed->store, &dropped));
    wait_done(bed, &kept);
    assert_false(dropped.is_done);
    assert_pods(bed, "a=x@2");
}

TEST_CASE(a_list_goes_on_behind_a_key)
{
    AUTO(bed) struct bed *bed = bed_new();
    assert_int_equal(run_now(bed, "+pods a 1;+pods b 2;+pods c 3;+nodes a 4"), 0);
    struct store_range range = {.resource = "pods", .limit = 2};
    AUTO(free) char *first = list(bed, range);
    assert_string_equal(first, "a=1@2 b=2@3");
    range.after_namespace = "default";
    range.after_name = "b";
    AUTO(free) char *second = list(bed, range);
    assert_string_equal(second, "c=3@4");
    AUTO(free)
    char *elsewhere =
        list(bed, (struct store_range){.resource = "pods", .namespace_ = "kube-system"});
    assert_string_equal(elsewhere, "");
}

TEST_CASE(a_watch_sees_the_past_and_then_the_present_once_and_in_order)
{
    AUTO(bed) struct bed *bed = bed_new();
    assert_int_equal(run_now(bed, "+pods a x;+nodes n x"), 0);
    assert_int_equal(run_now(bed, "=pods a y"), 0);
    struct seen from_start = {0}, from_middle = {0}, all = {0};
    watch(bed, &from_start, "pods", 1);
    watch(bed, &from_middle, "pods", 2);
    watch(bed, &all, NULL, 1);
    assert_int_equal(from_start.count, 0); /* never from inside the call */
    assert_int_equal(run_now(bed, "-pods a z"), 0);
    assert_string_equal(buf_text(&from_start.text), "+a:>x@2 =a:x>y@4 -a:y>z@5");
    assert_string_equal(buf_text(&from_middle.text), "=a:x>y@4 -a:y>z@5");
    assert_string_equal(buf_text(&all.text), "+a:>x@2 +n:>x@3 =a:x>y@4 -a:y>z@5");
    store_watch_stop(from_middle.watch);
    buf_done(&from_start.text);
    buf_done(&from_middle.text);
    buf_done(&all.text);
}

TEST_CASE(a_watch_may_stop_while_it_is_told)
{
    AUTO(bed) struct bed *bed = bed_new();
    struct seen short_one = {.stop_after = 1}, other = {0};
    watch(bed, &short_one, "pods", 1);
    watch(bed, &other, "pods", 1);
    assert_int_equal(run_now(bed, "+pods a x;=pods a y"), 0);
    assert_int_equal(short_one.count, 1);
    assert_int_equal(other.count, 2);
    buf_done(&short_one.text);
    buf_done(&other.text);
}

TEST_CASE(a_revision_beyond_the_history_is_out_of_range)
{
    AUTO(bed) struct bed *bed = bed_new();
    bed_close(bed);
    bed->options.history_max_events = 2;
    bed_open(bed);
    assert_int_equal(run_now(bed, "+pods a x;=pods a y;=pods a z"), 0);
    struct store_watch *none = NULL;
    assert_error_message(store_watch_start(bed->store, "pods", 1, on_change, NULL, &none),
                         "too old resource version: 1 (2)");
    assert_error_message(store_watch_start(bed->store, "pods", 5, on_change, NULL, &none),
                         "Too large resource version: 5, current: 4");
    struct seen seen = {0};
    watch(bed, &seen, "pods", 2);
    assert_int_equal(run_now(bed, "-pods a gone"), 0);
    assert_string_equal(buf_text(&seen.text), "=a:x>y@3 =a:y>z@4 -a:z>gone@5");
    buf_done(&seen.text);
}

TEST_CASE(the_next_process_goes_on_where_this_one_was)
{
    AUTO(bed) struct bed *bed = bed_new();
    assert_int_equal(run_now(bed, "+pods a x;+pods b y;-pods b z"), 0);
    bed_close(bed);
    bed_open(bed);
    assert_int_equal(store_committed_revision(bed->store), 4);
    assert_pods(bed, "a=x@2");
    struct store_watch *none = NULL;
    assert_error_code(store_watch_start(bed->store, "pods", 3, on_change, NULL, &none),
                      ERROR_OUT_OF_RANGE);
    assert_int_equal(run_now(bed, "=pods a y"), 0);
    assert_pods(bed, "a=y@5");
}

TEST_CASE(a_second_process_is_refused)
{
    AUTO(bed) struct bed *bed = bed_new();
    struct store *second = NULL;
    AUTO(error) struct error *err = store_open(bed->loop, bed->pool, &bed->options, &second);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(err->message, "is in use by another process"));
}

TEST_CASE(a_damaged_file_is_left_alone_and_named)
{
    AUTO(bed) struct bed *bed = bed_new();
    AUTO(free) char *path = path_join(bed->dir, "damaged.db");
    AUTO(fd) int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    static const char junk[4096] = "no database at all";
    assert_int_equal(write(fd, junk, sizeof(junk)), sizeof(junk));
    struct store *store = NULL;
    const struct store_options options = {.path = path};
    AUTO(error) struct error *err = store_open(bed->loop, bed->pool, &options, &store);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_DATA_LOSS);
    assert_non_null(strstr(err->message, path));
}

TEST_CASE(a_full_disk_fails_the_batch_and_changes_nothing)
{
    AUTO(bed) struct bed *bed = bed_new();
    assert_int_equal(run_now(bed, "+pods a x"), 0);
    struct seen seen = {0};
    watch(bed, &seen, "pods", 2);

    /* A limit on the size of files stands for a disk that is full. */
    const struct sigaction ignored = {.sa_handler = SIG_IGN};
    assert_int_equal(sigaction(SIGXFSZ, &ignored, NULL), 0);
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    const struct rlimit small = {.rlim_cur = 4096, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum error_code code = run_now(bed, "=pods a y;+pods b z");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);

    assert_int_equal(code, ERROR_UNAVAILABLE);
    assert_int_equal(seen.count, 0);
    assert_pods(bed, "a=x@2");
    assert_int_equal(run_now(bed, "=pods a z"), 0);
    assert_string_equal(buf_text(&seen.text), "=a:x>z@3");
    buf_done(&seen.text);
}

TEST_MAIN(TEST(what_is_written_is_read_back_with_its_revision),
          TEST(a_task_that_fails_takes_back_its_own_writes_only),
          TEST(a_withdrawn_task_is_never_run), TEST(a_list_goes_on_behind_a_key),
          TEST(a_watch_sees_the_past_and_then_the_present_once_and_in_order),
          TEST(a_watch_may_stop_while_it_is_told),
          TEST(a_revision_beyond_the_history_is_out_of_range),
          TEST(the_next_process_goes_on_where_this_one_was), TEST(a_second_process_is_refused),
          TEST(a_damaged_file_is_left_alone_and_named),
          TEST(a_full_disk_fails_the_batch_and_changes_nothing))
