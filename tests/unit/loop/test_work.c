#include "loop/work.h"

#include "tests/lib/test.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>

#define MAX_TURNS 1000
#define LIMIT_NS (10 * NS_PER_SEC)

/* What the jobs of a case tell it; a real job has no such pointer, but a test must look inside. */
struct scene {
    struct loop *loop;
    struct work_pool *pool;
    sem_t gate; /* jobs that are gated wait here */
    atomic_int running, ran, released;
    int done;
    char order[32];
    pthread_t last; /* who ran the last of those that tell */
};

struct job {
    struct scene *scene;
    char name;
    bool gated;
    pthread_t thread;
};

static void run_job(void *memory)
{
    struct job *job = memory;
    job->thread = pthread_self();
    atomic_fetch_add(&job->scene->running, 1);
    if (job->gated)
        (void)sem_wait(&job->scene->gate);
    atomic_fetch_add(&job->scene->ran, 1);
}

static void note_done(void *ctx, void *memory)
{
    struct scene *scene = ctx;
    const struct job *job = memory;
    scene->order[scene->done++] = job->name;
}

static void free_job(void *memory)
{
    struct job *job = memory;
    atomic_fetch_add(&job->scene->released, 1);
    free(job);
}

static const struct work_vtable normal = {
    .name = "normal", .run_blocking = run_job, .on_done = note_done, .release = free_job};
static const struct work_vtable slow = {.name = "slow",
                                        .class = WORK_SLOW,
                                        .run_blocking = run_job,
                                        .on_done = note_done,
                                        .release = free_job};

static struct scene *scene_new(size_t max_threads)
{
    struct scene *scene = xcalloc(1, sizeof(*scene));
    assert_no_error(loop_new(&scene->loop));
    scene->pool = work_pool_new(scene->loop, max_threads);
    assert_int_equal(sem_init(&scene->gate, 0, 0), 0);
    return scene;
}

static void scene_free(struct scene *scene)
{
    work_pool_free(scene->pool, LIMIT_NS);
    loop_free(scene->loop);
    (void)sem_destroy(&scene->gate);
    free(scene);
}
DEFINE_AUTO(scene, struct scene *, scene_free)

static struct work *start(struct scene *scene, const struct work_vtable *vtable, char name,
                          bool gated)
{
    struct job *job = xcalloc(1, sizeof(*job));
    *job = (struct job){.scene = scene, .name = name, .gated = gated};
    return work_start(scene->pool, vtable, job, scene);
}

static void wait_for(const atomic_int *count, int want)
{
    while (atomic_load(count) < want)
        (void)sched_yield();
}

static void open_gate(struct scene *scene, int jobs)
{
    while (jobs-- > 0)
        (void)sem_post(&scene->gate);
}

static void turn_until_done(struct scene *scene, int want)
{
    for (int i = 0; i < MAX_TURNS && scene->done < want; i++)
        loop_turn(scene->loop, 10 * NS_PER_MS);
    assert_int_equal(scene->done, want);
}

TEST_CASE(jobs_are_done_once_each_and_then_released)
{
    AUTO(scene) struct scene *scene = scene_new(4);
    for (char name = 'a'; name < 'a' + 20; name++)
        assert_non_null(start(scene, name % 2 ? &normal : &slow, name, false));
    assert_int_equal(scene->done, 0);
    turn_until_done(scene, 20);
    loop_turn(scene->loop, 0);
    assert_int_equal(scene->done, 20);
    assert_int_equal(atomic_load(&scene->ran), 20);
    assert_int_equal(atomic_load(&scene->released), 20);
    assert_int_equal(work_pool_busy(scene->pool), 0);
    assert_int_equal(work_pool_stuck(scene->pool), 0);
}

static void assert_other_thread(void *ctx, void *memory)
{
    const struct job *job = memory;
    assert_false(pthread_equal(job->thread, pthread_self()));
    note_done(ctx, memory);
}

TEST_CASE(a_job_runs_on_another_thread)
{
    static const struct work_vtable vtable = {.name = "elsewhere",
                                              .run_blocking = run_job,
                                              .on_done = assert_other_thread,
                                              .release = free_job};
    AUTO(scene) struct scene *scene = scene_new(1);
    assert_non_null(start(scene, &vtable, 'a', false));
    turn_until_done(scene, 1);
}

TEST_CASE(a_single_thread_keeps_the_order)
{
    AUTO(scene) struct scene *scene = scene_new(1);
    for (char name = 'a'; name <= 'h'; name++)
        assert_non_null(start(scene, name % 2 ? &normal : &slow, name, false));
    turn_until_done(scene, 8);
    assert_string_equal(scene->order, "abcdefgh");
}

TEST_CASE(as_many_jobs_run_at_once_as_there_are_threads)
{
    AUTO(scene) struct scene *scene = scene_new(3);
    for (char name = 'a'; name <= 'e'; name++)
        assert_non_null(start(scene, &normal, name, true));
    wait_for(&scene->running, 3);
    assert_int_equal(work_pool_busy(scene->pool), 5);
    open_gate(scene, 5);
    turn_until_done(scene, 5);
}

static void note_thread(void *ctx, void *memory)
{
    struct scene *scene = ctx;
    scene->last = ((const struct job *)memory)->thread;
    note_done(ctx, memory);
}

/* Else a job every now and then would keep all of them from ending. */
TEST_CASE(who_rested_last_works_next)
{
    static const struct work_vtable vtable = {
        .name = "who", .run_blocking = run_job, .on_done = note_thread, .release = free_job};
    AUTO(scene) struct scene *scene = scene_new(3);
    for (char name = 'a'; name <= 'c'; name++)
        assert_non_null(start(scene, &normal, name, true));
    wait_for(&scene->running, 3);
    open_gate(scene, 3);
    turn_until_done(scene, 3);
    pthread_t first = {0};
    for (int i = 0; i < 6; i++) {
        assert_non_null(start(scene, &vtable, 'x', false));
        turn_until_done(scene, 4 + i);
        if (i == 0)
            first = scene->last;
        assert_true(pthread_equal(scene->last, first));
    }
}

TEST_CASE(slow_jobs_leave_half_the_pool_to_others)
{
    AUTO(scene) struct scene *scene = scene_new(4);
    for (char name = 'a'; name <= 'd'; name++)
        assert_non_null(start(scene, &slow, name, true));
    assert_non_null(start(scene, &normal, 'n', false));
    assert_non_null(start(scene, &normal, 'o', false));
    turn_until_done(scene, 2);
    assert_true(scene->order[0] >= 'n' && scene->order[1] >= 'n');
    wait_for(&scene->running, 4);
    assert_int_equal(atomic_load(&scene->running), 4); /* two slow, two that are done */
    open_gate(scene, 4);
    turn_until_done(scene, 6);
}

TEST_CASE(a_queued_job_that_is_cancelled_never_runs)
{
    AUTO(scene) struct scene *scene = scene_new(1);
    assert_non_null(start(scene, &normal, 'a', true));
    wait_for(&scene->running, 1);
    struct work *queued = start(scene, &normal, 'b', false);
    work_cancel(queued);
    assert_int_equal(atomic_load(&scene->released), 1);
    assert_int_equal(work_pool_busy(scene->pool), 1);
    open_gate(scene, 1);
    turn_until_done(scene, 1);
    assert_int_equal(atomic_load(&scene->ran), 1);
    work_cancel(NULL);
}

TEST_CASE(a_running_job_that_is_cancelled_ends_unheard_and_is_released)
{
    AUTO(scene) struct scene *scene = scene_new(1);
    struct work *work = start(scene, &normal, 'a', true);
    wait_for(&scene->running, 1);
    work_cancel(work);
    assert_int_equal(atomic_load(&scene->released), 0);
    assert_int_equal(work_pool_busy(scene->pool), 1);
    open_gate(scene, 1);
    for (int i = 0; i < MAX_TURNS && atomic_load(&scene->released) == 0; i++)
        loop_turn(scene->loop, 10 * NS_PER_MS);
    assert_int_equal(atomic_load(&scene->released), 1);
    assert_int_equal(atomic_load(&scene->ran), 1);
    assert_int_equal(scene->done, 0);
}

TEST_CASE(a_finished_job_that_is_cancelled_before_its_turn_stays_unheard)
{
    AUTO(scene) struct scene *scene = scene_new(1);
    struct work *work = start(scene, &normal, 'a', false);
    while (work_pool_busy(scene->pool) > 0)
        (void)sched_yield();
    work_cancel(work);
    assert_int_equal(atomic_load(&scene->released), 1);
    loop_turn(scene->loop, 0);
    assert_int_equal(scene->done, 0);
}

static struct work *own_work;

static void cancel_own(void *ctx, void *memory)
{
    note_done(ctx, memory);
    work_cancel(TAKE(own_work));
}

TEST_CASE(cancelling_from_its_own_on_done_does_nothing)
{
    static const struct work_vtable vtable = {
        .name = "own", .run_blocking = run_job, .on_done = cancel_own, .release = free_job};
    AUTO(scene) struct scene *scene = scene_new(0);
    own_work = start(scene, &vtable, 'a', false);
    loop_turn(scene->loop, 0);
    assert_int_equal(scene->done, 1);
    assert_int_equal(atomic_load(&scene->released), 1);
}

static void start_another(void *ctx, void *memory)
{
    struct scene *scene = ctx;
    note_done(ctx, memory);
    if (scene->done < 4)
        (void)start(scene, &normal, 'x', false);
}

TEST_CASE(a_pool_without_threads_runs_in_order_at_the_next_turn)
{
    static const struct work_vtable vtable = {
        .name = "chain", .run_blocking = run_job, .on_done = start_another, .release = free_job};
    AUTO(scene) struct scene *scene = scene_new(0);
    (void)start(scene, &vtable, 'a', false);
    (void)start(scene, &slow, 'b', false);
    struct work *cancelled = start(scene, &normal, 'c', false);
    assert_int_equal(atomic_load(&scene->ran), 0);
    assert_int_equal(work_pool_busy(scene->pool), 3);
    work_cancel(cancelled);
    loop_turn(scene->loop, 0);
    assert_string_equal(scene->order, "ab");
    loop_turn(scene->loop, 0);
    assert_string_equal(scene->order, "abx");
    loop_turn(scene->loop, 0);
    assert_string_equal(scene->order, "abx");
}

TEST_CASE(freeing_the_pool_waits_for_running_jobs_and_releases_the_rest)
{
    struct scene *scene = scene_new(1);
    (void)start(scene, &normal, 'a', true);
    wait_for(&scene->running, 1);
    (void)start(scene, &normal, 'b', false);
    (void)start(scene, &normal, 'c', false);
    open_gate(scene, 1);
    work_pool_free(TAKE(scene->pool), LIMIT_NS);
    assert_int_equal(atomic_load(&scene->released), 3);
    assert_true(atomic_load(&scene->ran) >= 1);
    loop_turn(scene->loop, 0);
    assert_int_equal(scene->done, 0);
    scene_free(scene);
}

TEST_CASE(a_stuck_thread_is_left_behind_and_releases_its_job_itself)
{
    struct scene *scene = scene_new(2);
    (void)start(scene, &normal, 'a', true);
    wait_for(&scene->running, 1);
    work_pool_free(TAKE(scene->pool), NS_PER_MS);
    assert_int_equal(atomic_load(&scene->released), 0);
    open_gate(scene, 1);
    wait_for(&scene->released, 1);
    scene_free(scene);
}

static void free_pool(void *ctx, void *memory)
{
    struct scene *scene = ctx;
    note_done(ctx, memory);
    work_pool_free(TAKE(scene->pool), LIMIT_NS);
}

TEST_CASE(the_pool_may_be_freed_by_a_callback)
{
    static const struct work_vtable vtable = {
        .name = "last", .run_blocking = run_job, .on_done = free_pool, .release = free_job};
    for (size_t threads = 0; threads < 3; threads++) {
        struct scene *scene = scene_new(threads);
        (void)start(scene, &vtable, 'a', false);
        (void)start(scene, &vtable, 'b', false);
        turn_until_done(scene, 1);
        assert_null(scene->pool);
        assert_int_equal(atomic_load(&scene->released), 2);
        scene_free(scene);
    }
}

TEST_MAIN(TEST(jobs_are_done_once_each_and_then_released), TEST(a_job_runs_on_another_thread),
          TEST(a_single_thread_keeps_the_order),
          TEST(as_many_jobs_run_at_once_as_there_are_threads), TEST(who_rested_last_works_next),
          TEST(slow_jobs_leave_half_the_pool_to_others),
          TEST(a_queued_job_that_is_cancelled_never_runs),
          TEST(a_running_job_that_is_cancelled_ends_unheard_and_is_released),
          TEST(a_finished_job_that_is_cancelled_before_its_turn_stays_unheard),
          TEST(cancelling_from_its_own_on_done_does_nothing),
          TEST(a_pool_without_threads_runs_in_order_at_the_next_turn),
          TEST(freeing_the_pool_waits_for_running_jobs_and_releases_the_rest),
          TEST(a_stuck_thread_is_left_behind_and_releases_its_job_itself),
          TEST(the_pool_may_be_freed_by_a_callback))
