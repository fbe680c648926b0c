/* The watcher of processes over a runtime that is a table of answers, and processes that are real.
 */
#include "cri/exit_watch.h"

#include "tests/lib/test.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define TURNS_MAX 2000
#define TURN_NS (5 * NS_PER_MS)
#define PENDING_MAX 64

#define turn_until(bench, condition)                                                               \
    do {                                                                                           \
        for (int turns = 0; !(condition) && turns < TURNS_MAX; turns++)                            \
            loop_turn((bench)->loop, TURN_NS);                                                     \
        assert_true(condition);                                                                    \
    } while (0)

struct runtime_call {
    runtime_on_reply *on_reply;
    void *ctx;
    bool is_verbose;
};

struct bench {
    struct pod_runtime runtime;
    struct loop *loop;
    struct exit_watcher *watcher;
    struct runtime_call *pending[PENDING_MAX];
    size_t pending_count;
    size_t asked, asked_verbose;
    size_t told;
    char told_uid[32], told_id[32];
    bool watch_again; /* the listener's wish */
};

static struct runtime_call *fake_call(struct pod_runtime *self, enum runtime_method method,
                                      const ProtobufCMessage *request, UNUSED int64_t extra_ns,
                                      runtime_on_reply *on_reply, void *ctx)
{
    struct bench *bench = CONTAINER_OF(self, struct bench, runtime);
    assert_int_equal(method, RUNTIME_CONTAINER_STATUS);
    assert_true(bench->pending_count < PENDING_MAX);
    struct runtime_call *call = xcalloc(1, sizeof(*call));
    call->on_reply = on_reply;
    call->ctx = ctx;
    call->is_verbose = ((const Cri__ContainerStatusRequest *)(const void *)request)->verbose != 0;
    bench->pending[bench->pending_count++] = call;
    bench->asked++;
    bench->asked_verbose += call->is_verbose ? 1 : 0;
    return call;
}

static struct runtime_call *take_pending(struct bench *bench, size_t index)
{
    struct runtime_call *call = bench->pending[index];
    for (size_t i = index; i + 1 < bench->pending_count; i++)
        bench->pending[i] = bench->pending[i + 1];
    bench->pending_count--;
    return call;
}

static void fake_cancel(struct pod_runtime *self, struct runtime_call *call)
{
    struct bench *bench = CONTAINER_OF(self, struct bench, runtime);
    for (size_t i = 0; i < bench->pending_count; i++) {
        if (bench->pending[i] == call)
            free(take_pending(bench, i));
    }
}

static const struct pod_runtime_vtable fake_vtable = {.call = fake_call, .cancel = fake_cancel};

/* Answers the oldest question. @pid 0: the runtime tells none. */
static void answer(struct bench *bench, Cri__ContainerState state, pid_t pid)
{
    char key[] = "info", json[64];
    (void)snprintf(json, sizeof(json), "{\"sandboxID\":\"s\",\"pid\":%d}", (int)pid);
    Cri__ContainerStatusResponse__InfoEntry info = CRI__CONTAINER_STATUS_RESPONSE__INFO_ENTRY__INIT;
    Cri__ContainerStatusResponse__InfoEntry *infos[] = {&info};
    info.key = key;
    info.value = json;
    Cri__ContainerStatus status = CRI__CONTAINER_STATUS__INIT;
    Cri__ContainerStatusResponse reply = CRI__CONTAINER_STATUS_RESPONSE__INIT;
    status.state = state;
    reply.status = &status;
    assert_true(bench->pending_count > 0);
    AUTO(free) struct runtime_call *call = take_pending(bench, 0);
    if (call->is_verbose && pid > 0) {
        reply.n_info = 1;
        reply.info = infos;
    }
    call->on_reply(call->ctx, &reply.base, NULL);
}

static void answer_error(struct bench *bench, enum error_code code)
{
    AUTO(free) struct runtime_call *call = take_pending(bench, 0);
    call->on_reply(call->ctx, NULL, error_new(code, "as told"));
}

static void on_exit_told(void *ctx, const char *pod_uid, const char *container_id)
{
    struct bench *bench = ctx;
    bench->told++;
    (void)snprintf(bench->told_uid, sizeof(bench->told_uid), "%s", pod_uid);
    (void)snprintf(bench->told_id, sizeof(bench->told_id), "%s", container_id);
    if (bench->watch_again)
        exit_watcher_watch(bench->watcher, pod_uid, container_id);
}

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){.runtime = {.vtable = &fake_vtable}};
    assert_no_error(loop_new(&bench->loop));
    bench->watcher = exit_watcher_new(bench->loop, &bench->runtime, on_exit_told, bench);
}

static void bench_done(struct bench *bench)
{
    exit_watcher_free(bench->watcher);
    assert_int_equal(bench->pending_count, 0);
    loop_free(bench->loop);
}

static pid_t start_process(void)
{
    char cat[] = "sleep", arg[] = "600";
    char *argv[] = {cat, arg, NULL};
    char *envp[] = {NULL};
    pid_t pid = 0;
    assert_int_equal(posix_spawnp(&pid, "sleep", NULL, NULL, argv, envp), 0);
    return pid;
}

static void end_process(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

#define RUNNING CRI__CONTAINER_STATE__CONTAINER_RUNNING
#define EXITED CRI__CONTAINER_STATE__CONTAINER_EXITED
#define CREATED CRI__CONTAINER_STATE__CONTAINER_CREATED

TEST_CASE(an_exit_is_told_once_the_runtime_says_so)
{
    struct bench bench;
    bench_init(&bench);
    pid_t pid = start_process();
    exit_watcher_watch(bench.watcher, "uid", "c1");
    exit_watcher_watch(bench.watcher, "uid", "c1"); /* idempotent */
    assert_int_equal(bench.asked, 0);               /* never from inside */
    turn_until(&bench, bench.pending_count == 1);
    answer(&bench, RUNNING, pid);
    exit_watcher_watch(bench.watcher, "uid", "c1");
    loop_turn(bench.loop, TURN_NS);
    assert_int_equal(bench.asked, 1);

    end_process(pid);
    turn_until(&bench, bench.pending_count == 1);
    answer(&bench, RUNNING, 0); /* the runtime has not noticed yet */
    assert_int_equal(bench.told, 0);
    turn_until(&bench, bench.pending_count == 1);
    answer(&bench, EXITED, 0);
    assert_int_equal(bench.told, 1);
    assert_string_equal(bench.told_uid, "uid");
    assert_string_equal(bench.told_id, "c1");
    assert_int_equal(exit_watcher_count(bench.watcher), 0);
    assert_int_equal(bench.asked_verbose, 1);
    bench_done(&bench);
}

TEST_CASE(a_process_that_is_gone_already_is_confirmed_at_once)
{
    struct bench bench;
    bench_init(&bench);
    pid_t pid = start_process();
    end_process(pid);
    exit_watcher_watch(bench.watcher, "uid", "c1");
    turn_until(&bench, bench.pending_count == 1);
    answer(&bench, RUNNING, pid);
    turn_until(&bench, bench.pending_count == 1);
    answer(&bench, EXITED, 0);
    assert_int_equal(bench.told, 1);
    bench_done(&bench);
}

TEST_CASE(the_first_answer_may_settle_it)
{
    static const struct {
        const char *name;
        bool is_error;
        Cri__ContainerState state;
        pid_t pid;
        size_t told;
    } cases[] = {
        {"exited", false, EXITED, 0, 1},
        {"no such container", true, EXITED, 0, 1},
        {"not started", false, CREATED, 0, 0},
        {"no pid", false, RUNNING, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bench bench;
        bench_init(&bench);
        exit_watcher_watch(bench.watcher, "uid", "c1");
        turn_until(&bench, bench.pending_count == 1);
        if (cases[i].is_error)
            answer_error(&bench, ERROR_NOT_FOUND);
        else
            answer(&bench, cases[i].state, cases[i].pid);
        assert_int_equal(bench.told, cases[i].told);
        assert_int_equal(exit_watcher_count(bench.watcher), 0);
        bench_done(&bench);
    }
}

TEST_CASE(a_runtime_that_is_away_is_asked_when_it_is_back)
{
    struct bench bench;
    bench_init(&bench);
    exit_watcher_watch(bench.watcher, "uid", "c1");
    turn_until(&bench, bench.pending_count == 1);
    answer_error(&bench, ERROR_UNAVAILABLE);
    loop_turn(bench.loop, TURN_NS);
    assert_int_equal(bench.asked, 1);
    exit_watcher_reconnected(bench.watcher);
    turn_until(&bench, bench.pending_count == 1);
    answer(&bench, EXITED, 0);
    assert_int_equal(bench.told, 1);
    bench_done(&bench);
}

TEST_CASE(one_that_found_no_free_descriptor_is_tried_again)
{
    struct bench bench;
    bench_init(&bench);
    pid_t pid = start_process();
    exit_watcher_watch(bench.watcher, "uid", "c1");
    turn_until(&bench, bench.pending_count == 1);

    struct rlimit usual, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = usual.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    answer(&bench, RUNNING, pid);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);

    assert_int_equal(exit_watcher_count(bench.watcher), 1);
    exit_watcher_reconnected(bench.watcher); /* spares the test the pause */
    turn_until(&bench, bench.pending_count == 1);
    answer(&bench, RUNNING, pid);
    end_process(pid);
    turn_until(&bench, bench.pending_count == 1);
    answer(&bench, EXITED, 0);
    assert_int_equal(bench.told, 1);
    bench_done(&bench);
}

TEST_CASE(unwatching_is_silent_in_every_state)
{
    struct bench bench;
    bench_init(&bench);
    pid_t pid = start_process();
    exit_watcher_watch(bench.watcher, "uid", "queued");
    exit_watcher_unwatch(bench.watcher, "queued");
    exit_watcher_unwatch(bench.watcher, "never seen");
    exit_watcher_watch(bench.watcher, "uid", "looking");
    turn_until(&bench, bench.pending_count == 1);
    exit_watcher_unwatch(bench.watcher, "looking");
    assert_int_equal(bench.pending_count, 0);
    exit_watcher_watch(bench.watcher, "uid", "watching");
    exit_watcher_watch(bench.watcher, "uid", "confirming");
    turn_until(&bench, bench.pending_count == 2);
    answer(&bench, RUNNING, pid);
    answer(&bench, RUNNING, pid);
    exit_watcher_unwatch(bench.watcher, "watching");
    end_process(pid);
    turn_until(&bench, bench.pending_count == 1);
    exit_watcher_unwatch(bench.watcher, "confirming");
    loop_turn(bench.loop, TURN_NS);
    assert_int_equal(bench.told, 0);
    assert_int_equal(exit_watcher_count(bench.watcher), 0);
    bench_done(&bench);
}

TEST_CASE(a_listener_may_watch_again)
{
    struct bench bench;
    bench_init(&bench);
    bench.watch_again = true;
    exit_watcher_watch(bench.watcher, "uid", "c1");
    turn_until(&bench, bench.pending_count == 1);
    answer(&bench, EXITED, 0);
    bench.watch_again = false;
    turn_until(&bench, bench.pending_count == 1);
    answer(&bench, EXITED, 0);
    assert_int_equal(bench.told, 2);
    bench_done(&bench);
}

TEST_CASE(only_a_few_are_asked_about_at_a_time)
{
    enum { COUNT = 30, AT_A_TIME = 8 };
    struct bench bench;
    bench_init(&bench);
    for (int i = 0; i < COUNT; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "c%d", i);
        exit_watcher_watch(bench.watcher, "uid", id);
    }
    size_t answered = 0;
    while (answered < COUNT) {
        turn_until(&bench, bench.pending_count == min_size(AT_A_TIME, COUNT - answered));
        answer(&bench, EXITED, 0);
        answered++;
    }
    assert_int_equal(bench.told, COUNT);
    bench_done(&bench);
}

TEST_CASE(a_pid_is_read_from_the_info_of_a_runtime)
{
    static const struct {
        const char *json;
        int64_t wanted;
    } cases[] = {
        {"{\"sandboxID\":\"a\",\"pid\":4242,\"config\":{\"pid\":1}}", 4242},
        {"{\"config\":{\"pid\":1}}", 0},
        {"{\"pid\":0}", 0},
        {"{\"pid\":-3}", 0},
        {"{\"pid\":99999999999}", 0},
        {"{\"pid\":\"12\"}", 0},
        {"[1]", 0},
        {"{\"pid\":12", 0},
        {"", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(exit_watch_parse_pid(cases[i].json), cases[i].wanted);
}

TEST_MAIN(TEST(an_exit_is_told_once_the_runtime_says_so),
          TEST(a_process_that_is_gone_already_is_confirmed_at_once),
          TEST(the_first_answer_may_settle_it),
          TEST(a_runtime_that_is_away_is_asked_when_it_is_back),
          TEST(one_that_found_no_free_descriptor_is_tried_again),
          TEST(unwatching_is_silent_in_every_state), TEST(a_listener_may_watch_again),
          TEST(only_a_few_are_asked_about_at_a_time),
          TEST(a_pid_is_read_from_the_info_of_a_runtime))
