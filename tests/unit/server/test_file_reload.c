/* Real files and a real loop; jobs run in it. Nothing waits but for what must come. */
#include "server/file_reload.h"

#include "tests/lib/tempdir.h"

#include <semaphore.h>
#include <sys/stat.h>

#define MAX_BYTES 1000
#define WAIT_NS (5 * NS_PER_SEC) /* how long a hang takes to be seen */
#define MAX_TURNS 2000

struct bed {
    char *dir;
    struct loop *loop;
    struct work_pool *pool;
    struct file_reload *reload;
    size_t count;
    struct buf text; /* "one|two;" for contents, "!NOT_FOUND;" for errors by number */
    bool frees;
};

static void on_read(void *ctx, const struct str *contents, const struct error *err)
{
    struct bed *bed = ctx;
    assert_true(!contents == !!err);
    if (err)
        buf_printf(&bed->text, "!%d;", err->code);
    for (size_t i = 0; contents && i < bed->count; i++)
        buf_printf(&bed->text, "%.*s%s", STR_ARG(contents[i]), i + 1 < bed->count ? "|" : ";");
    if (bed->frees)
        file_reload_free(TAKE(bed->reload));
}

static void bed_init(struct bed *bed)
{
    *bed = (struct bed){.dir = tempdir_new()};
    assert_no_error(loop_new(&bed->loop));
    bed->pool = work_pool_new(bed->loop, 0);
    buf_init(&bed->text, 64 * KiB);
}

static void auto_release_bed(struct bed *bed)
{
    file_reload_free(bed->reload);
    work_pool_free(bed->pool, WAIT_NS);
    loop_free(bed->loop);
    tempdir_free(bed->dir);
    buf_done(&bed->text);
}

static void begin(struct bed *bed, const char *first, const char *second)
{
    AUTO(free) char *a = path_join(bed->dir, first);
    AUTO(free) char *b = path_join(bed->dir, second ? second : "");
    bed->count = second ? 2 : 1;
    const struct file_reload_options options = {
        .paths = {a, b}, .count = bed->count, .max_bytes = MAX_BYTES};
    bed->reload = file_reload_new(bed->loop, bed->pool, &options, on_read, bed);
    assert_int_equal(bed->text.len, 0);
}

/* A new file in the place of the old, as careful writers do. */
static void put(const struct bed *bed, const char *name, const char *text)
{
    AUTO(free) char *path = path_join(bed->dir, name);
    assert_no_error(fd_write_file_blocking(path, str_from(text), 0600));
}

/* The same file with other bytes. */
static void rewrite(const struct bed *bed, const char *name, const char *text)
{
    AUTO(free) char *path = path_join(bed->dir, name);
    assert_no_error(fd_write_control_file(path, str_from(text)));
}

static void make_dir(const struct bed *bed, const char *name)
{
    AUTO(free) char *path = path_join(bed->dir, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void make_link(const struct bed *bed, const char *name, const char *target)
{
    AUTO(free) char *path = path_join(bed->dir, name);
    assert_int_equal(symlink(target, path), 0);
}

static void move(const struct bed *bed, const char *from, const char *to)
{
    AUTO(free) char *a = path_join(bed->dir, from);
    AUTO(free) char *b = path_join(bed->dir, to);
    assert_int_equal(rename(a, b), 0);
}

static void take_away(const struct bed *bed, const char *name)
{
    AUTO(free) char *path = path_join(bed->dir, name);
    assert_no_error(fd_remove_tree_blocking(path));
}

/* Waits until @want is the end of what was told. */
#define assert_told(bed, want)                                                                     \
    do {                                                                                           \
        for (size_t turns = 0; !text_has_suffix(buf_text(&(bed)->text), (want)); turns++) {        \
            if (turns == MAX_TURNS)                                                                \
                fail_msg("\"%s\" instead of \"%s\"", buf_text(&(bed)->text), (want));              \
            loop_turn((bed)->loop, WAIT_NS);                                                       \
        }                                                                                          \
        assert_string_equal(buf_text(&(bed)->text), (want));                                       \
        buf_clear(&(bed)->text);                                                                   \
    } while (0)

TEST_CASE(files_are_told_at_the_start_and_when_replaced)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    put(&bed, "tls.crt", "c1");
    put(&bed, "tls.key", "k1");
    begin(&bed, "tls.crt", "tls.key");
    assert_told(&bed, "c1|k1;");
    put(&bed, "tls.crt", "c2");
    put(&bed, "tls.key", "k2");
    assert_told(&bed, "c2|k2;"); /* one reading of both */
    put(&bed, "tls.key", "k3");
    assert_told(&bed, "c2|k3;");
    rewrite(&bed, "tls.key", "k4");
    assert_told(&bed, "c2|k4;");
}

TEST_CASE(the_same_again_is_no_news)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    put(&bed, "tls.crt", "c1");
    begin(&bed, "tls.crt", NULL);
    assert_told(&bed, "c1;");
    put(&bed, "tls.crt", "c1");
    put(&bed, "other", "c1");
    loop_turn(bed.loop, WAIT_NS); /* the change is heard of */
    loop_turn(bed.loop, WAIT_NS); /* and the moment over */
    put(&bed, "tls.crt", "c2");
    assert_told(&bed, "c2;");
}

TEST_CASE(a_file_that_goes_and_comes_back_is_told_each_time)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    begin(&bed, "tls.crt", NULL);
    assert_told(&bed, "!5;");
    put(&bed, "tls.crt", "c1");
    assert_told(&bed, "c1;");
    take_away(&bed, "tls.crt");
    assert_told(&bed, "!5;");
    put(&bed, "tls.crt", "c1");
    assert_told(&bed, "c1;");
}

TEST_CASE(a_file_that_is_too_long_is_an_error)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    char text[MAX_BYTES + 2];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    put(&bed, "tls.crt", text);
    begin(&bed, "tls.crt", NULL);
    assert_told(&bed, "!8;");
    put(&bed, "tls.crt", "c1");
    assert_told(&bed, "c1;");
}

TEST_CASE(the_swap_of_a_secret_volume_is_seen)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    make_dir(&bed, "..1");
    put(&bed, "..1/tls.crt", "c1");
    make_link(&bed, "..data", "..1");
    make_link(&bed, "tls.crt", "..data/tls.crt");
    begin(&bed, "tls.crt", NULL);
    assert_told(&bed, "c1;");
    static const char *const dirs[] = {"..1", "..2", "..3"};
    for (size_t i = 1; i < ARRAY_SIZE(dirs); i++) {
        AUTO(free) char *path = path_join(dirs[i], "tls.crt");
        AUTO(free) char *want = xasprintf("c%zu;", i + 1);
        AUTO(free) char *text = xasprintf("c%zu", i + 1);
        make_dir(&bed, dirs[i]);
        put(&bed, path, text);
        make_link(&bed, "..data_tmp", dirs[i]);
        move(&bed, "..data_tmp", "..data");
        take_away(&bed, dirs[i - 1]);
        assert_told(&bed, want);
    }
    put(&bed, "..3/tls.crt", "in place");
    assert_told(&bed, "in place;");
}

TEST_CASE(a_directory_that_is_replaced_is_watched_again)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    make_dir(&bed, "pki");
    put(&bed, "pki/tls.crt", "c1");
    begin(&bed, "pki/tls.crt", NULL);
    assert_told(&bed, "c1;");

    make_dir(&bed, "new");
    put(&bed, "new/tls.crt", "c2");
    move(&bed, "pki", "old");
    move(&bed, "new", "pki");
    assert_told(&bed, "c2;");
    put(&bed, "pki/tls.crt", "c3");
    assert_told(&bed, "c3;");

    take_away(&bed, "pki");
    assert_told(&bed, "!5;");
    make_dir(&bed, "pki");
    put(&bed, "pki/tls.crt", "c4");
    assert_told(&bed, "c4;");
    put(&bed, "pki/tls.crt", "c5");
    assert_told(&bed, "c5;");
}

/* A job of the test's own, to know where the only worker is. */
struct gate {
    sem_t reached, open;
};

static void gate_run(void *object)
{
    struct gate *gate = *(struct gate **)object;
    (void)sem_post(&gate->reached);
    while (sem_wait(&gate->open) != 0)
        continue;
}

static void gate_done(UNUSED void *ctx, UNUSED void *object) {}

static const struct work_vtable gate_work = {.name = "gate",
                                             .class = WORK_NORMAL,
                                             .run_blocking = gate_run,
                                             .on_done = gate_done,
                                             .release = free};

static void start_gate(struct bed *bed, struct gate *gate)
{
    struct gate **object = xcalloc(1, sizeof(struct gate *));
    *object = gate;
    assert_int_equal(sem_init(&gate->reached, 0, 0), 0);
    assert_int_equal(sem_init(&gate->open, 0, 0), 0);
    (void)work_start(bed->pool, &gate_work, object, NULL);
}

static void wait_for(sem_t *sem)
{
    while (sem_wait(sem) != 0)
        continue;
}

TEST_CASE(a_change_of_what_a_link_leads_to_since_it_was_read_is_seen)
{
    AUTO(bed) struct bed bed;
    struct gate before, behind;
    bed_init(&bed);
    work_pool_free(bed.pool, 0);
    bed.pool = work_pool_new(bed.loop, 1);
    put(&bed, "old", "c1");
    put(&bed, "new", "c2");
    make_link(&bed, "tls.crt", "old");
    begin(&bed, "tls.crt", NULL);
    assert_told(&bed, "c1;");
    loop_turn(bed.loop, 0);
    while (work_pool_busy(bed.pool) > 0)
        loop_turn(bed.loop, WAIT_NS);

    start_gate(&bed, &before);
    wait_for(&before.reached);
    make_link(&bed, "next", "new");
    move(&bed, "next", "tls.crt");
    while (work_pool_busy(bed.pool) < 2) /* it is to be read again, when the worker is free */
        loop_turn(bed.loop, WAIT_NS);
    put(&bed, "other", ""); /* so that the loop hears of files first, then of the job */
    start_gate(&bed, &behind);
    (void)sem_post(&before.open);
    wait_for(&behind.reached);
    rewrite(&bed, "new", "c3");
    (void)sem_post(&behind.open);
    for (size_t i = 0; !text_has_suffix(buf_text(&bed.text), "c3;"); i++) {
        assert_true(i < 100);
        loop_turn(bed.loop, WAIT_NS / 50);
    }
    assert_string_equal(buf_text(&bed.text), "c2;c3;");

    assert_int_equal(sem_destroy(&before.reached) | sem_destroy(&before.open) |
                         sem_destroy(&behind.reached) | sem_destroy(&behind.open),
                     0);
}

TEST_CASE(it_may_be_freed_while_it_tells_and_at_any_other_time)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    put(&bed, "tls.crt", "c1");
    begin(&bed, "tls.crt", NULL);
    file_reload_free(TAKE(bed.reload)); /* the job is under way */
    begin(&bed, "tls.crt", NULL);
    bed.frees = true;
    assert_told(&bed, "c1;");
    assert_null(bed.reload);
    put(&bed, "tls.crt", "c2");
    loop_turn(bed.loop, 0);
    assert_int_equal(bed.text.len, 0);
}

TEST_MAIN(TEST(files_are_told_at_the_start_and_when_replaced), TEST(the_same_again_is_no_news),
          TEST(a_file_that_goes_and_comes_back_is_told_each_time),
          TEST(a_file_that_is_too_long_is_an_error), TEST(the_swap_of_a_secret_volume_is_seen),
          TEST(a_directory_that_is_replaced_is_watched_again),
          TEST(a_change_of_what_a_link_leads_to_since_it_was_read_is_seen),
          TEST(it_may_be_freed_while_it_tells_and_at_any_other_time))
