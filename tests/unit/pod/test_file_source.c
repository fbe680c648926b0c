#include "pod/file_source.h"

#include "base/log.h"
#include "base/str.h"
#include "tests/lib/tempdir.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_TURNS 2000
#define WAIT_NS (2 * NS_PER_MS)
#define NEVER_NS (3600 * NS_PER_SEC)
#define SOON_NS (20 * NS_PER_MS)
#define SETTLED_NS (120 * NS_PER_MS) /* longer than a file may take to be written */

struct fixture {
    char *dir, *path, *log;
    struct arena *arena;
    struct loop *loop;
    struct work_pool *pool;
    struct file_source *source;
    int log_fd;
    size_t sets; /* calls of on_set */
    char *names; /* "a=img:1 b=img:1": the last set; NULL before the first */
    struct manifest_store store;
    char *kept; /* the bytes of the one manifest that is kept, or NULL */
    size_t kept_len;
};

static void on_set(void *ctx, struct pod_object *const *objects, size_t count)
{
    struct fixture *it = ctx;
    struct buf text;
    buf_init(&text, 64 * KiB);
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "%s%s=%s", i > 0 ? " " : "", objects[i]->pod->metadata->name,
                   objects[i]->pod->spec->containers[0]->image);
    free(it->names);
    it->names = buf_take(&text);
    it->sets++;
}

static const char *below(const struct fixture *it, const char *name)
{
    return arena_printf(it->arena, "%s/%s", it->path, name);
}

static void set_up(struct fixture *it)
{
    *it = (struct fixture){.dir = tempdir_new(), .arena = arena_new(0)};
    it->path = path_join(it->dir, "manifests");
    it->log = path_join(it->dir, "log");
    assert_no_error(fd_mkdir_all(it->path, 0755));
    it->log_fd = open(it->log, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    assert_true(it->log_fd >= 0);
    log_set_fd(it->log_fd);
    assert_no_error(loop_new(&it->loop));
    it->pool = work_pool_new(it->loop, 0);
}

static void start(struct fixture *it, int64_t resync_ns)
{
    struct file_source_options options = {.path = it->path,
                                          .node_name = "n",
                                          .resync_ns = resync_ns,
                                          .store = it->store.vtable ? &it->store : NULL};
    it->source = file_source_new(it->loop, it->pool, &options, on_set, it);
}

static void tear_down(struct fixture *it)
{
    file_source_free(it->source);
    work_pool_free(it->pool, NS_PER_SEC);
    loop_free(it->loop);
    log_set_fd(STDERR_FILENO);
    assert_int_equal(close(it->log_fd), 0);
    arena_free(it->arena);
    tempdir_free(it->dir);
    free(it->path);
    free(it->log);
    free(it->names);
    free(it->kept);
}

/* Writes as an editor does that does not care for readers: into the file itself. */
static void put_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static const char *manifest(const struct fixture *it, const char *name, const char *image)
{
    return arena_printf(it->arena,
                        "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\n"
                        "spec: {containers: [{name: c, image: '%s'}]}\n",
                        name, image);
}

static void put_pod(const struct fixture *it, const char *file, const char *name, const char *image)
{
    put_text(below(it, file), manifest(it, name, image));
}

static void expect_at(struct fixture *it, const char *names, int line)
{
    for (size_t i = 0; i < MAX_TURNS && !text_eq(it->names, names); i++)
        loop_turn(it->loop, WAIT_NS);
    if (!text_eq(it->names, names))
        fail_msg("line %d: the set is \"%s\", not \"%s\"", line, it->names ? it->names : "(none)",
                 names);
}
#define expect(it, names) expect_at((it), (names), __LINE__)

/* Turns for as long as a change could take to be seen; for what must not happen. */
static void let_settle(struct fixture *it)
{
    int64_t until_ns = loop_now_mono_ns(it->loop) + SETTLED_NS;
    while (loop_now_mono_ns(it->loop) < until_ns)
        loop_turn(it->loop, WAIT_NS);
}

static size_t logged(const struct fixture *it, const char *text)
{
    AUTO(buf) struct buf log = {0};
    buf_init(&log, MiB);
    assert_no_error(fd_read_file_blocking(it->log, &log));
    size_t count = 0;
    for (const char *at = buf_text(&log); (at = strstr(at, text)); at++)
        count++;
    return count;
}

static void count_problem(void *ctx, UNUSED const struct manifest_problem *problem)
{
    (*(size_t *)ctx)++;
}

static size_t problems(const struct fixture *it)
{
    size_t count = 0;
    file_source_visit_problems(it->source, count_problem, &count);
    return count;
}

#define UNUSABLE "Could not use a static pod manifest"

TEST_CASE(manifests_in_a_folder_are_the_set)
{
    struct fixture it;
    set_up(&it);
    put_pod(&it, "b.yaml", "b", "img:1");
    put_pod(&it, "a", "a", "img:1");
    start(&it, NEVER_NS);
    expect(&it, "a-n=img:1 b-n=img:1");
    put_pod(&it, "c.json", "c", "img:1");
    expect(&it, "a-n=img:1 b-n=img:1 c-n=img:1");
    put_pod(&it, "b.yaml", "b", "img:2");
    expect(&it, "a-n=img:1 b-n=img:2 c-n=img:1");
    assert_int_equal(unlink(below(&it, "a")), 0);
    expect(&it, "b-n=img:2 c-n=img:1");
    tear_down(&it);
}

TEST_CASE(an_empty_folder_is_a_set_without_pods)
{
    struct fixture it;
    set_up(&it);
    start(&it, NEVER_NS);
    expect(&it, "");
    assert_int_equal(it.sets, 1);
    tear_down(&it);
}

TEST_CASE(hidden_files_and_folders_are_ignored)
{
    struct fixture it;
    set_up(&it);
    put_pod(&it, ".hidden", "hidden", "img:1");
    assert_no_error(fd_mkdir_all(below(&it, "folder"), 0755));
    put_pod(&it, "folder/inner.yaml", "inner", "img:1");
    start(&it, NEVER_NS);
    expect(&it, "");
    put_pod(&it, ".later", "later", "img:1");
    assert_no_error(fd_mkdir_all(below(&it, "folder2"), 0755));
    let_settle(&it);
    assert_string_equal(it.names, "");
    assert_int_equal(problems(&it), 0);
    tear_down(&it);
}

TEST_CASE(a_bad_manifest_is_reported_once_and_recovers)
{
    struct fixture it;
    set_up(&it);
    put_pod(&it, "good", "good", "img:1");
    put_text(below(&it, "bad"), "apiVersion: v1\nkind: Pod\nspec: {nonsense: 1}\n");
    start(&it, SOON_NS);
    expect(&it, "good-n=img:1");
    let_settle(&it);
    assert_int_equal(logged(&it, UNUSABLE), 1);
    assert_int_equal(problems(&it), 1);
    put_pod(&it, "bad", "bad", "img:1");
    expect(&it, "bad-n=img:1 good-n=img:1");
    assert_int_equal(problems(&it), 0);
    assert_int_equal(logged(&it, "Static pod manifest is usable now"), 1);
    tear_down(&it);
}

TEST_CASE(a_manifest_that_turns_bad_keeps_its_pod)
{
    struct fixture it;
    set_up(&it);
    put_pod(&it, "web", "web", "img:1");
    start(&it, SOON_NS);
    expect(&it, "web-n=img:1");
    put_text(below(&it, "web"), "apiVersion: v1\nkind: Pod\n");
    let_settle(&it);
    assert_int_equal(problems(&it), 1);
    put_pod(&it, "other", "other", "img:1");
    expect(&it, "other-n=img:1 web-n=img:1");
    put_pod(&it, "web", "web", "img:1"); /* the content of before is news again */
    let_settle(&it);
    assert_int_equal(problems(&it), 0);
    tear_down(&it);
}

TEST_CASE(a_half_written_manifest_is_not_reported_when_the_rest_follows)
{
    struct fixture it;
    set_up(&it);
    put_text(below(&it, "web"), "apiVersion: v1\nkind: Pod\n");
    start(&it, NEVER_NS);
    for (size_t i = 0; i < 5; i++)
        loop_turn(it.loop, WAIT_NS);
    assert_int_equal(it.sets, 0); /* a first set without this pod would make an orphan of it */
    put_pod(&it, "web", "web", "img:1");
    expect(&it, "web-n=img:1");
    assert_int_equal(it.sets, 1);
    assert_int_equal(logged(&it, UNUSABLE), 0);
    tear_down(&it);
}

TEST_CASE(a_rename_over_a_manifest_replaces_it)
{
    struct fixture it;
    set_up(&it);
    put_pod(&it, "web", "web", "img:1");
    start(&it, NEVER_NS);
    expect(&it, "web-n=img:1");
    put_pod(&it, ".web.tmp", "web", "img:2");
    assert_int_equal(rename(below(&it, ".web.tmp"), below(&it, "web")), 0);
    expect(&it, "web-n=img:2");
    assert_int_equal(rename(below(&it, "web"), below(&it, "renamed")), 0);
    let_settle(&it);
    assert_string_equal(it.names, "web-n=img:2");
    tear_down(&it);
}

TEST_CASE(a_rewrite_within_one_tick_of_the_clock_is_seen)
{
    struct fixture it;
    set_up(&it);
    put_pod(&it, "web", "web", "img:1");
    start(&it, NEVER_NS);
    expect(&it, "web-n=img:1");
    struct stat before;
    assert_int_equal(stat(below(&it, "web"), &before), 0);
    put_pod(&it, "web", "web", "img:2");
    const struct timespec times[] = {before.st_atim, before.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, below(&it, "web"), times, 0), 0);
    expect(&it, "web-n=img:2");
    tear_down(&it);
}

TEST_CASE(touching_a_manifest_changes_nothing)
{
    struct fixture it;
    set_up(&it);
    put_pod(&it, "web", "web", "img:1");
    start(&it, SOON_NS);
    expect(&it, "web-n=img:1");
    assert_int_equal(utimensat(AT_FDCWD, below(&it, "web"), NULL, 0), 0);
    let_settle(&it);
    assert_int_equal(it.sets, 1);
    tear_down(&it);
}

TEST_CASE(the_last_of_two_manifests_for_one_pod_counts)
{
    struct fixture it;
    set_up(&it);
    put_pod(&it, "a", "web", "img:1");
    put_pod(&it, "b", "web", "img:2");
    start(&it, NEVER_NS);
    expect(&it, "web-n=img:2");
    assert_int_equal(unlink(below(&it, "b")), 0);
    expect(&it, "web-n=img:1");
    tear_down(&it);
}

TEST_CASE(a_manifest_that_clashes_with_two_others_replaces_both)
{
    struct fixture it;
    set_up(&it);
    put_text(below(&it, "a"), manifest(&it, "web, uid: u-1", "img:1"));
    put_text(below(&it, "b"), manifest(&it, "other, uid: u-2", "img:2"));
    put_text(below(&it, "c"), manifest(&it, "web, uid: u-2", "img:3"));
    start(&it, NEVER_NS);
    expect(&it, "web-n=img:3");
    tear_down(&it);
}

TEST_CASE(a_single_file_may_be_the_path)
{
    struct fixture it;
    set_up(&it);
    const char *file = below(&it, "only.yaml");
    put_pod(&it, "only.yaml", "web", "img:1");
    put_pod(&it, "ignored.yaml", "ignored", "img:1");
    free(it.path);
    it.path = xstrdup(file);
    start(&it, SOON_NS);
    expect(&it, "web-n=img:1");
    put_text(file, manifest(&it, "web", "img:2"));
    expect(&it, "web-n=img:2");
    const char *next = arena_printf(it.arena, "%s.next", file);
    put_text(next, manifest(&it, "web", "img:3"));
    assert_int_equal(rename(next, file), 0);
    expect(&it, "web-n=img:3");
    assert_int_equal(unlink(file), 0);
    expect(&it, "");
    tear_down(&it);
}

TEST_CASE(a_missing_path_is_no_pods_until_it_is_made)
{
    struct fixture it;
    set_up(&it);
    assert_int_equal(rmdir(it.path), 0);
    start(&it, SOON_NS);
    expect(&it, "");
    let_settle(&it);
    assert_int_equal(logged(&it, "The static pod path does not exist"), 1);
    assert_no_error(fd_mkdir_all(it.path, 0755));
    put_pod(&it, "web", "web", "img:1");
    expect(&it, "web-n=img:1");
    assert_int_equal(unlink(below(&it, "web")), 0);
    assert_int_equal(rmdir(it.path), 0);
    expect(&it, "");
    tear_down(&it);
}

TEST_CASE(a_path_that_cannot_be_read_makes_no_set)
{
    struct fixture it;
    set_up(&it);
    assert_int_equal(rmdir(it.path), 0);
    assert_int_equal(mkfifo(it.path, 0600), 0);
    start(&it, SOON_NS);
    let_settle(&it);
    assert_int_equal(it.sets, 0);
    assert_true(logged(&it, "is neither a folder nor a regular file") > 0);
    tear_down(&it);
}

TEST_CASE(the_resync_sees_what_inotify_cannot)
{
    struct fixture it;
    set_up(&it);
    const char *target = arena_printf(it.arena, "%s/target", it.dir);
    put_text(target, manifest(&it, "web", "img:1"));
    assert_int_equal(symlink(target, below(&it, "web")), 0);
    start(&it, SOON_NS);
    expect(&it, "web-n=img:1");
    put_text(target, manifest(&it, "web", "img:20"));
    expect(&it, "web-n=img:20");
    tear_down(&it);
}

TEST_CASE(a_manifest_beyond_ten_mebibytes_is_refused)
{
    struct fixture it;
    set_up(&it);
    put_pod(&it, "web", "web", "img:1");
    put_pod(&it, "zbig", "big", "img:1");
    int fd = open(below(&it, "zbig"), O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)(10 * MiB)), 0);
    assert_int_equal(close(fd), 0);
    start(&it, NEVER_NS);
    expect(&it, "web-n=img:1");
    let_settle(&it);
    assert_int_equal(logged(&it, "the read limit is reached"), 1);
    tear_down(&it);
}

/* Nothing about the file changes when it can be read again. */
TEST_CASE(a_manifest_that_could_not_be_read_for_a_while_is_read_again)
{
    struct fixture it;
    set_up(&it);
    const char *file = below(&it, "only.yaml"), *next = below(&it, "next.yaml");
    put_pod(&it, "only.yaml", "web", "img:1");
    put_pod(&it, "next.yaml", "web", "img:2");
    free(it.path);
    it.path = xstrdup(file);
    start(&it, SOON_NS);
    expect(&it, "web-n=img:1");
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(rename(next, file), 0);
    let_settle(&it);
    size_t count = problems(&it);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(count, 1);
    expect(&it, "web-n=img:2");
    assert_int_equal(problems(&it), 0);
    tear_down(&it);
}

static void store_load(struct manifest_store *self,
                       void (*each)(void *ctx, const char *file, struct str pod), void *ctx)
{
    const struct fixture *it = CONTAINER_OF(self, struct fixture, store);
    if (it->kept)
        each(ctx, "web", (struct str){.ptr = it->kept, .len = it->kept_len});
}

static void store_put(struct manifest_store *self, const char *file, struct str pod)
{
    struct fixture *it = CONTAINER_OF(self, struct fixture, store);
    assert_string_equal(file, "web");
    free(it->kept);
    it->kept = xcalloc(1, pod.len + 1);
    memcpy(it->kept, pod.ptr, pod.len);
    it->kept_len = pod.len;
}

static void store_remove(struct manifest_store *self, UNUSED const char *file)
{
    struct fixture *it = CONTAINER_OF(self, struct fixture, store);
    free(it->kept);
    it->kept = NULL;
}

TEST_CASE(what_was_good_before_the_agent_restarted_stays_while_its_manifest_is_bad)
{
    static const struct manifest_store_vtable vtable = {
        .load = store_load, .put = store_put, .remove = store_remove};
    struct fixture it;
    set_up(&it);
    it.store.vtable = &vtable;
    put_pod(&it, "web", "web", "img:1");
    start(&it, NEVER_NS);
    expect(&it, "web-n=img:1");
    file_source_free(TAKE(it.source));
    put_text(below(&it, "web"), "nonsense");
    free(it.names);
    it.names = NULL;
    start(&it, NEVER_NS);
    expect(&it, "web-n=img:1");
    let_settle(&it);
    assert_int_equal(problems(&it), 1);
    assert_int_equal(unlink(below(&it, "web")), 0);
    expect(&it, "");
    assert_null(it.kept);
    tear_down(&it);
}

TEST_CASE(what_is_too_large_to_be_kept_takes_what_was_kept_away)
{
    static const struct manifest_store_vtable vtable = {
        .load = store_load, .put = store_put, .remove = store_remove};
    struct fixture it;
    set_up(&it);
    it.store.vtable = &vtable;
    put_pod(&it, "web", "web", "img:1");
    start(&it, NEVER_NS);
    expect(&it, "web-n=img:1");
    assert_non_null(it.kept);
    AUTO(buf) struct buf text = {0};
    buf_init(&text, MiB);
    buf_add_text(&text, "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n"
                        "spec: {containers: [{name: c, image: 'img:2', args: [");
    for (size_t i = 0; i < 300 * KiB; i++)
        buf_add_char(&text, 'x');
    buf_add_text(&text, "]}]}\n");
    put_text(below(&it, "web"), buf_text(&text));
    expect(&it, "web-n=img:2");
    assert_null(it.kept);
    tear_down(&it);
}

TEST_MAIN(TEST(manifests_in_a_folder_are_the_set), TEST(an_empty_folder_is_a_set_without_pods),
          TEST(hidden_files_and_folders_are_ignored),
          TEST(a_bad_manifest_is_reported_once_and_recovers),
          TEST(a_manifest_that_turns_bad_keeps_its_pod),
          TEST(a_half_written_manifest_is_not_reported_when_the_rest_follows),
          TEST(a_rename_over_a_manifest_replaces_it),
          TEST(a_rewrite_within_one_tick_of_the_clock_is_seen),
          TEST(touching_a_manifest_changes_nothing),
          TEST(the_last_of_two_manifests_for_one_pod_counts),
          TEST(a_manifest_that_clashes_with_two_others_replaces_both),
          TEST(a_single_file_may_be_the_path), TEST(a_missing_path_is_no_pods_until_it_is_made),
          TEST(a_path_that_cannot_be_read_makes_no_set), TEST(the_resync_sees_what_inotify_cannot),
          TEST(a_manifest_beyond_ten_mebibytes_is_refused),
          TEST(a_manifest_that_could_not_be_read_for_a_while_is_read_again),
          TEST(what_was_good_before_the_agent_restarted_stays_while_its_manifest_is_bad),
          TEST(what_is_too_large_to_be_kept_takes_what_was_kept_away))
