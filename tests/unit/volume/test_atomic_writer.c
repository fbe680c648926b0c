#include "volume/atomic_writer.h"

#include "volume/dir_beneath.h"
#include "volume/dir_names.h"
#include "volume_test.h"

#include <pthread.h>
#include <stdatomic.h>

#define NOW_NS (INT64_C(1795230426) * NS_PER_SEC) /* 2026-11-21T03:07:06Z */

/* A volume's directory, and how often its owner was asked before a publication. */
struct bench {
    struct scratch *scratch;
    const char *dir;
    size_t n_before;
    bool refuses;
    struct volume_payload payload;
};

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){.scratch = scratch_new()};
    bench->dir = make_dir_at(bench->scratch, "v");
}

static void auto_release_bench(struct bench *bench)
{
    scratch_free(bench->scratch);
}

static struct error *before_publish(void *ctx)
{
    struct bench *bench = ctx;
    bench->n_before++;
    return bench->refuses ? error_new(ERROR_INTERNAL, "not today") : NULL;
}

/* Pairs of path and text, ended by NULL. */
static struct error *publish(struct bench *bench, const char *const *files)
{
    bench->payload = (struct volume_payload){.arena = bench->scratch->arena};
    for (; *files; files += 2)
        volume_payload_add(&bench->payload,
                           &(struct volume_file){.path = files[0],
                                                 .bytes = (const uint8_t *)files[1],
                                                 .len = strlen(files[1]),
                                                 .mode = 0440});
    assert_no_error(volume_payload_finish(&bench->payload));
    return atomic_write_blocking(&(struct atomic_write){.dir = bench->dir,
                                                        .payload = &bench->payload,
                                                        .now_ns = NOW_NS,
                                                        .before_publish = before_publish,
                                                        .ctx = bench});
}
#define PUBLISH(bench, ...) publish((bench), (const char *const[]){__VA_ARGS__, NULL})

static const char *target_of(const struct bench *bench, const char *name)
{
    char target[256] = "";
    AUTO(free) char *path = path_join(bench->dir, name);
    ssize_t len = readlink(path, target, sizeof(target) - 1);
    assert_true(len > 0);
    return arena_strdup(bench->scratch->arena, target);
}

static const char *in(const struct bench *bench, const char *name)
{
    return arena_printf(bench->scratch->arena, "%s/%s", bench->dir, name);
}

/* Names in the volume, the directory of the time as "..T". */
static const char *listing(const struct bench *bench)
{
    struct dir_names names;
    AUTO(buf) struct buf out;
    buf_init(&out, 4 * KiB);
    assert_no_error(
        dir_names_read_blocking(bench->dir, DIR_NAMES_ALL, bench->scratch->arena, &names));
    for (size_t i = 0; i < names.count; i++)
        buf_printf(&out, "%s ", text_has_prefix(names.names[i], "..20") ? "..T" : names.names[i]);
    return arena_strdup(bench->scratch->arena, buf_text(&out));
}

TEST_CASE(the_first_publication_has_the_kubelets_form)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    assert_false(atomic_is_published_blocking(bench.dir));
    assert_no_error(PUBLISH(&bench, "token", "t0", "sub/deep/greeting", "hello", "sub/x", ""));
    assert_true(atomic_is_published_blocking(bench.dir));
    assert_string_equal(listing(&bench), "..T ..data sub token ");
    assert_true(text_has_prefix(target_of(&bench, "..data"), "..2026_11_21_03_07_06."));
    assert_string_equal(target_of(&bench, "token"), "..data/token");
    assert_string_equal(target_of(&bench, "sub"), "..data/sub");
    assert_content(in(&bench, "sub/deep/greeting"), "hello");
    assert_content(in(&bench, "sub/x"), "");
    assert_int_equal(mode_of(in(&bench, target_of(&bench, "..data"))), 0755);
    assert_int_equal(mode_of(in(&bench, "..data/token")), 0440);
    assert_int_equal(bench.n_before, 1);
}

TEST_CASE(equal_bytes_are_not_written_again)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    assert_no_error(PUBLISH(&bench, "a", "1", "b/c", "2"));
    const char *first = target_of(&bench, "..data");
    assert_no_error(PUBLISH(&bench, "a", "1", "b/c", "2"));
    assert_string_equal(target_of(&bench, "..data"), first);
    assert_int_equal(bench.n_before, 1);

    static const char *const changes[][5] = {
        {"a", "1", "b/c", "3", NULL},  /* other bytes */
        {"a", "10", "b/c", "3", NULL}, /* longer */
        {"a", "10", NULL},             /* one less */
        {"a", "10", "d", "", NULL},    /* one more */
        {"a/e", "1", NULL},            /* a file becomes a directory */
        {"a", "1", NULL},              /* and the other way round */
    };
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        const char *before = target_of(&bench, "..data");
        assert_no_error(publish(&bench, changes[i]));
        assert_string_not_equal(target_of(&bench, "..data"), before);
        assert_false(is_there(in(&bench, before)));
        assert_int_equal(bench.n_before, i + 2);
    }
    assert_string_equal(listing(&bench), "..T ..data a ");
}

TEST_CASE(links_follow_and_what_is_not_ours_is_left_alone)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    assert_no_error(PUBLISH(&bench, "a", "1", "b/c", "2", "taken", "3"));
    (void)make_dir_at(bench.scratch, "v/nested");
    (void)make_link_at(bench.scratch, "v/own", "elsewhere");
    assert_int_equal(unlink(in(&bench, "taken")), 0);
    (void)make_dir_at(bench.scratch, "v/taken");
    assert_no_error(PUBLISH(&bench, "a", "1", "taken", "3"));
    assert_string_equal(listing(&bench), "..T ..data a nested own taken ");
    assert_int_equal(unlink(in(&bench, "a")), 0);
    assert_no_error(PUBLISH(&bench, "a", "1", "taken", "3"));
    assert_content(in(&bench, "a"), "1");
    assert_no_error(publish(&bench, (const char *const[]){NULL}));
    assert_string_equal(listing(&bench), "..T ..data nested own taken ");
}

TEST_CASE(an_interrupted_publication_is_completed_by_the_next)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    assert_no_error(PUBLISH(&bench, "a", "1"));
    /* Died before the rename, after it, and before the old links and directories went. */
    (void)make_dir_at(bench.scratch, "v/..2026_11_21_03_00_00.17");
    (void)make_file_at(bench.scratch, "v/..2026_11_21_03_00_00.17/half", "h");
    (void)make_link_at(bench.scratch, "v/..data_tmp", "..2026_11_21_03_00_00.17");
    (void)make_link_at(bench.scratch, "v/gone", "..data/gone");
    assert_no_error(PUBLISH(&bench, "a", "1"));
    assert_string_equal(listing(&bench), "..T ..data a ");
    assert_int_equal(bench.n_before, 1);

    (void)make_link_at(bench.scratch, "v/..data_tmp", "nowhere");
    assert_no_error(PUBLISH(&bench, "a", "2"));
    assert_content(in(&bench, "a"), "2");
    assert_string_equal(listing(&bench), "..T ..data a ");

    /* Whoever removed the published directory gets it back. */
    assert_no_error(fd_remove_tree_blocking(in(&bench, target_of(&bench, "..data"))));
    assert_no_error(PUBLISH(&bench, "a", "2"));
    assert_content(in(&bench, "a"), "2");
}

TEST_CASE(a_failure_leaves_what_was_published)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    bench.refuses = true;
    error_free(PUBLISH(&bench, "a", "1"));
    assert_string_equal(listing(&bench), "");
    bench.refuses = false;
    assert_no_error(PUBLISH(&bench, "a", "1"));
    bench.refuses = true;
    AUTO(error) struct error *err = PUBLISH(&bench, "a", "2", "b", "3");
    assert_non_null(err);
    assert_string_equal(err->message, "not today");
    assert_string_equal(listing(&bench), "..T ..data a ");
    assert_content(in(&bench, "a"), "1");

    AUTO(error) struct error *conflict = PUBLISH(&bench, "x", "1", "x/y", "2");
    assert_non_null(conflict);
    assert_content(in(&bench, "a"), "1");
}

TEST_CASE(a_file_and_its_link_are_given_to_their_owner)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct volume_payload payload = {.arena = bench.scratch->arena};
    uid_t owner = geteuid() == 0 ? 1000 : geteuid();
    volume_payload_add(&payload, &(struct volume_file){.path = "token",
                                                       .bytes = (const uint8_t *)"t",
                                                       .len = 1,
                                                       .mode = 0600,
                                                       .has_owner = true,
                                                       .owner = owner});
    assert_no_error(volume_payload_finish(&payload));
    assert_no_error(atomic_write_blocking(
        &(struct atomic_write){.dir = bench.dir, .payload = &payload, .now_ns = NOW_NS}));
    struct stat st;
    assert_int_equal(stat(in(&bench, "token"), &st), 0);
    assert_int_equal(st.st_uid, owner);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(lstat(in(&bench, "token"), &st), 0);
    assert_int_equal(st.st_uid, owner);
}

/* --- a pod that keeps swapping directories for links to something outside --- */

struct swapper {
    const char *volume; /* NULL: only @dir */
    const char *dir, *spare, *link;
    atomic_bool stop;
};

/* The directory that is being filled, or NULL. */
static char *find_new_dir(const char *volume)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct dir_names names;
    if (!volume)
        return NULL;
    struct error *err = dir_names_read_blocking(volume, DIR_NAMES_DIRECTORIES, arena, &names);
    error_ignore(err, "it changes all the time");
    return err || names.count == 0 ? NULL : xstrdup(names.names[names.count - 1]);
}

static void *swap_until_stopped(void *ctx)
{
    struct swapper *swapper = ctx;
    while (!atomic_load(&swapper->stop)) {
        AUTO(free) char *new_dir = find_new_dir(swapper->volume);
        AUTO(free)
        char *dir =
            new_dir ? xasprintf("%s/%s/sub", swapper->volume, new_dir) : xstrdup(swapper->dir);
        (void)!rename(dir, swapper->spare);
        (void)!symlink(swapper->link, dir);
        (void)!unlink(dir);
        (void)!rename(swapper->spare, dir);
    }
    return NULL;
}

TEST_CASE(a_racing_swap_never_makes_anything_outside)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const char *outside = make_dir_at(bench.scratch, "outside");
    struct swapper swapper = {
        .dir = make_dir_at(bench.scratch, "v/sub"), .spare = in(&bench, "spare"), .link = outside};
    AUTO(fd) int dir_fd = open(bench.dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, swap_until_stopped, &swapper), 0);
    for (size_t i = 0; i < 2000; i++) {
        AUTO(fd) int fd = -1;
        error_ignore(dir_make_beneath_blocking(dir_fd, "sub/deep", 0755, &fd),
                     "the pod may have made a link");
        (void)!rmdir(in(&bench, "sub/deep"));
    }
    atomic_store(&swapper.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);

    swapper = (struct swapper){.volume = bench.dir,
                               .dir = in(&bench, "none"),
                               .spare = in(&bench, "spare"),
                               .link = outside};
    assert_int_equal(pthread_create(&thread, NULL, swap_until_stopped, &swapper), 0);
    for (size_t i = 0; i < 300; i++)
        error_free(PUBLISH(&bench, "a", "1", "sub/b", i % 2 ? "1" : "2", "sub/deep/c", "3"));
    atomic_store(&swapper.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);

    struct dir_names names;
    assert_no_error(dir_names_read_blocking(outside, DIR_NAMES_ALL, bench.scratch->arena, &names));
    assert_int_equal(names.count, 0);
}

TEST_CASE(a_link_in_the_way_is_refused)
{
    static const struct {
        const char *name, *link, *make;
    } rows[] = {
        {"in the first place", "v/l", "l/x"},
        {"in the middle", "v/d/l", "d/l/x"},
        {"in the last place", "v/d/m", "d/m"},
    };
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const char *outside = make_dir_at(bench.scratch, "outside");
    (void)make_dir_at(bench.scratch, "v/d");
    AUTO(fd) int dir_fd = open(bench.dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i].name);
        (void)make_link_at(bench.scratch, rows[i].link, outside);
        int fd = -1;
        AUTO(error) struct error *err = dir_make_beneath_blocking(dir_fd, rows[i].make, 0755, &fd);
        assert_non_null(err);
        assert_int_equal(fd, -1);
    }
    assert_int_equal(rmdir(outside), 0); /* still empty */
    int fd = -1;
    assert_no_error(dir_make_beneath_blocking(dir_fd, "d/e/f", 0750, &fd));
    fd_close(&fd);
    assert_int_equal(mode_of(in(&bench, "d/e/f")), 0750);
}

/* A pod that can write fills its volume with names; only ours are touched. */
TEST_CASE(many_foreign_names_are_left_alone)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    assert_no_error(PUBLISH(&bench, "a", "1", "b", "2"));
    for (size_t i = 0; i < 500; i++)
        (void)make_link_at(bench.scratch, arena_printf(bench.scratch->arena, "v/x%zu", i),
                           i % 2 ? "..data/other" : "..data/");
    (void)make_link_at(bench.scratch, "v/..2026_11_21_03_00_00.18", "/");
    assert_no_error(PUBLISH(&bench, "a", "2"));
    assert_false(is_there(in(&bench, "b")));
    assert_false(is_there(in(&bench, "..2026_11_21_03_00_00.18")));
    for (size_t i = 0; i < 500; i++)
        assert_true(is_there(in(&bench, arena_printf(bench.scratch->arena, "x%zu", i))));
}

TEST_MAIN(TEST(the_first_publication_has_the_kubelets_form),
          TEST(equal_bytes_are_not_written_again),
          TEST(links_follow_and_what_is_not_ours_is_left_alone),
          TEST(an_interrupted_publication_is_completed_by_the_next),
          TEST(a_failure_leaves_what_was_published),
          TEST(a_file_and_its_link_are_given_to_their_owner),
          TEST(a_racing_swap_never_makes_anything_outside), TEST(a_link_in_the_way_is_refused),
          TEST(many_foreign_names_are_left_alone))
