/* The gRPC client against a real HTTP/2 server (grpc_peer.h) in the same loop. */
#include "wire/grpc.h"

#include "cri.pb-c.h"
#include "tests/lib/test.h"
#include "tests/unit/cri/grpc_peer.h"

#include <stdio.h>

/* Every wait of a test ends early when what it waits for is there; this is for when it never comes.
 */
#define TURNS_MAX 2000
#define TURN_NS (5 * NS_PER_MS)
#define NEVER_NS (60 * NS_PER_SEC)

static const struct grpc_method exec_sync = {.path = "/runtime.v1.RuntimeService/ExecSync",
                                             .request = &cri__exec_sync_request__descriptor,
                                             .reply = &cri__exec_sync_response__descriptor};

enum behaviour {
    BE_SILENT, /* leave the request open, see bench.held */
    BE_ECHO,   /* stdout of the reply is the container id of the request */
};

/* What became of one call. */
struct outcome {
    struct bench *bench;
    size_t count; /* callbacks */
    bool is_ok;
    enum error_code code;
    char message[400];
    char text[32];        /* the first bytes of stdout */
    size_t len;           /* of stdout */
    struct outcome *next; /* a call to start when this one has ended */
};

struct bench {
    struct loop *loop;
    struct grpc_peer *peer;
    struct grpc_channel *channel;
    enum behaviour behaviour;
    struct grpc_peer_stream *held; /* the last request that was left open */
    size_t connected, disconnected;
    bool free_in_callback;
};

static void on_request(void *ctx, struct grpc_peer_stream *stream, const char *path,
                       struct str message)
{
    struct bench *bench = ctx;
    assert_string_equal(path, exec_sync.path);
    if (bench->behaviour == BE_SILENT) {
        bench->held = stream;
        return;
    }
    Cri__ExecSyncRequest *request =
        cri__exec_sync_request__unpack(NULL, message.len, (const uint8_t *)message.ptr);
    assert_non_null(request);
    Cri__ExecSyncResponse reply = CRI__EXEC_SYNC_RESPONSE__INIT;
    reply.stdout.data = (uint8_t *)request->container_id;
    reply.stdout.len = strlen(request->container_id);
    grpc_peer_reply(stream, &reply.base);
    cri__exec_sync_request__free_unpacked(request, NULL);
}

static void on_connected(void *ctx)
{
    ((struct bench *)ctx)->connected++;
}

static void on_disconnected(void *ctx, const struct error *cause)
{
    assert_int_equal(cause->code, ERROR_UNAVAILABLE);
    ((struct bench *)ctx)->disconnected++;
}

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){0};
    assert_no_error(loop_new(&bench->loop));
    bench->peer = grpc_peer_new(bench->loop, on_request, bench);
    bench->channel = grpc_channel_new(bench->loop, grpc_peer_path(bench->peer));
    const struct grpc_channel_listener listener = {
        .on_connected = on_connected, .on_disconnected = on_disconnected, .ctx = bench};
    grpc_channel_listen(bench->channel, &listener);
}

static void bench_done(struct bench *bench)
{
    grpc_channel_free(bench->channel);
    grpc_peer_free(bench->peer);
    loop_free(bench->loop);
}

static struct grpc_call *start(struct bench *bench, const char *id, int64_t timeout_ns,
                               struct outcome *outcome);

static void on_reply(void *ctx, const ProtobufCMessage *reply, struct error *err_owned)
{
    struct outcome *outcome = ctx;
    outcome->count++;
    outcome->is_ok = reply != NULL;
    assert_true((reply == NULL) == (err_owned != NULL));
    if (reply) {
        const Cri__ExecSyncResponse *exec = (const Cri__ExecSyncResponse *)(const void *)reply;
        outcome->len = exec->stdout.len;
        size_t len = min_size(exec->stdout.len, sizeof(outcome->text) - 1);
        if (len > 0)
            memcpy(outcome->text, exec->stdout.data, len);
        outcome->text[len] = '\0';
    } else {
        outcome->code = err_owned->code;
        (void)snprintf(outcome->message, sizeof(outcome->message), "%s", err_owned->message);
        error_free(err_owned);
    }
    if (outcome->next)
        start(outcome->bench, "next", NEVER_NS, outcome->next);
    if (outcome->bench->free_in_callback) {
        grpc_channel_free(outcome->bench->channel);
        outcome->bench->channel = NULL;
    }
}

static struct grpc_call *start(struct bench *bench, const char *id, int64_t timeout_ns,
                               struct outcome *outcome)
{
    *outcome = (struct outcome){.bench = bench};
    char container_id[64];
    (void)snprintf(container_id, sizeof(container_id), "%s", id);
    Cri__ExecSyncRequest request = CRI__EXEC_SYNC_REQUEST__INIT;
    request.container_id = container_id;
    struct grpc_call *call =
        grpc_unary_start(bench->channel, &exec_sync, &request.base, timeout_ns, on_reply, outcome);
    assert_non_null(call);
    assert_int_equal(outcome->count, 0); /* never from inside the start */
    return call;
}

#define turn_until(bench, condition)                                                               \
    do {                                                                                           \
        for (int turns = 0; !(condition) && turns < TURNS_MAX; turns++)                            \
            loop_turn((bench)->loop, TURN_NS);                                                     \
        assert_true(condition);                                                                    \
    } while (0)

/* Lets everything that is under way between the two ends of a socket arrive. */
static void settle(struct bench *bench)
{
    for (int i = 0; i < 20; i++)
        loop_turn(bench->loop, 0);
}

static void assert_failed(const struct outcome *outcome, enum error_code code, const char *message)
{
    assert_int_equal(outcome->count, 1);
    assert_false(outcome->is_ok);
    assert_int_equal(outcome->code, code);
    assert_string_equal(outcome->message, message);
}

TEST_CASE(a_unary_call_brings_its_reply)
{
    struct bench bench;
    struct outcome first, second;
    bench_init(&bench);
    bench.behaviour = BE_ECHO;
    start(&bench, "one", NEVER_NS, &first);
    start(&bench, "two", GRPC_NO_TIMEOUT, &second);
    turn_until(&bench, first.count + second.count == 2);
    assert_string_equal(first.text, "one");
    assert_string_equal(second.text, "two");
    assert_int_equal(grpc_peer_seen(bench.peer)->connections, 1);
    assert_int_equal(bench.connected, 1);
    assert_true(grpc_channel_is_connected(bench.channel));
    bench_done(&bench);
}

TEST_CASE(a_request_names_what_grpc_asks_for)
{
    static const struct {
        const char *name, *value;
    } wanted[] = {{":method", "POST"},         {":scheme", "http"},
                  {":authority", "localhost"}, {"content-type", "application/grpc"},
                  {"te", "trailers"},          {"user-agent", "grpc-c-cubelet/" CUBELET_VERSION}};
    struct bench bench;
    struct outcome outcome;
    bench_init(&bench);
    start(&bench, "one", GRPC_NO_TIMEOUT, &outcome);
    turn_until(&bench, bench.held != NULL);
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
        assert_string_equal(grpc_peer_header(bench.held, wanted[i].name), wanted[i].value);
    assert_null(grpc_peer_header(bench.held, "grpc-timeout"));
    bench.held = NULL;
    start(&bench, "two", NEVER_NS, &outcome);
    turn_until(&bench, bench.held != NULL);
    assert_non_null(grpc_peer_header(bench.held, "grpc-timeout"));
    bench_done(&bench);
}

TEST_CASE(a_status_keeps_its_code_and_message)
{
    static const struct {
        const char *name;
        bool has_data;
        int status;
        const char *sent, *wanted;
        enum error_code code;
    } cases[] = {
        {"trailers only", false, 5, "no such container", "no such container", ERROR_NOT_FOUND},
        {"after data", true, 14, "gone", "gone", ERROR_UNAVAILABLE},
        {"encoded", false, 2, "caf%C3%A9 100%25%", "caf\xc3\xa9 100%%", ERROR_UNKNOWN},
        {"no message", false, 12, "", "", ERROR_UNIMPLEMENTED},
        {"a number gRPC does not know", false, 99, "odd", "odd", ERROR_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bench bench;
        struct outcome outcome;
        bench_init(&bench);
        start(&bench, "x", NEVER_NS, &outcome);
        turn_until(&bench, bench.held != NULL);
        Cri__ExecSyncResponse reply = CRI__EXEC_SYNC_RESPONSE__INIT;
        if (cases[i].has_data)
            grpc_peer_send(bench.held, &reply.base);
        grpc_peer_end(bench.held, cases[i].status, cases[i].sent);
        turn_until(&bench, outcome.count > 0);
        assert_failed(&outcome, cases[i].code, cases[i].wanted);
        bench_done(&bench);
    }
}

TEST_CASE(a_response_that_is_none_is_an_error)
{
    static const struct {
        const char *name, *http_status, *wanted;
        enum error_code code;
    } cases[] = {
        {"not found", "404", "unexpected HTTP status code received from server: 404 (Not Found)",
         ERROR_UNIMPLEMENTED},
        {"overload", "503",
         "unexpected HTTP status code received from server: 503 (Service Unavailable)",
         ERROR_UNAVAILABLE},
        {"no trailers", "200", "server closed the stream without sending trailers", ERROR_INTERNAL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bench bench;
        struct outcome outcome;
        bench_init(&bench);
        start(&bench, "x", NEVER_NS, &outcome);
        turn_until(&bench, bench.held != NULL);
        grpc_peer_end_http(bench.held, cases[i].http_status);
        turn_until(&bench, outcome.count > 0);
        assert_failed(&outcome, cases[i].code, cases[i].wanted);
        bench_done(&bench);
    }
}

TEST_CASE(a_unary_call_wants_exactly_one_message)
{
    struct bench bench;
    struct outcome none, two, half;
    Cri__ExecSyncResponse reply = CRI__EXEC_SYNC_RESPONSE__INIT;
    bench_init(&bench);
    start(&bench, "x", NEVER_NS, &none);
    turn_until(&bench, bench.held != NULL);
    grpc_peer_end(TAKE(bench.held), 0, "");
    start(&bench, "x", NEVER_NS, &two);
    turn_until(&bench, bench.held != NULL);
    grpc_peer_send(bench.held, &reply.base);
    grpc_peer_send(bench.held, &reply.base);
    bench.held = NULL;
    start(&bench, "x", NEVER_NS, &half);
    turn_until(&bench, bench.held != NULL);
    grpc_peer_send_raw(bench.held, (struct str){.ptr = "\0\0\0\0\7abc", .len = 8});
    grpc_peer_end(TAKE(bench.held), 0, "");
    turn_until(&bench, none.count + two.count + half.count == 3);
    assert_int_equal(none.code, ERROR_INTERNAL);
    assert_int_equal(two.code, ERROR_INTERNAL);
    assert_failed(&half, ERROR_INTERNAL, "unexpected EOF");
    bench_done(&bench);
}

TEST_CASE(a_reply_larger_than_the_windows_arrives_whole)
{
    struct bench bench;
    struct outcome outcome;
    bench_init(&bench);
    start(&bench, "x", NEVER_NS, &outcome);
    turn_until(&bench, bench.held != NULL);
    AUTO(free) uint8_t *bytes = xcalloc(5, MiB);
    memset(bytes, 'y', 5 * MiB);
    Cri__ExecSyncResponse reply = CRI__EXEC_SYNC_RESPONSE__INIT;
    reply.stdout.data = bytes;
    reply.stdout.len = 5 * MiB;
    grpc_peer_reply(bench.held, &reply.base);
    turn_until(&bench, outcome.count > 0);
    assert_true(outcome.is_ok);
    assert_int_equal(outcome.len, 5 * MiB);
    assert_string_equal(outcome.text, "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy");
    bench_done(&bench);
}

TEST_CASE(a_reply_beyond_16_MiB_is_refused)
{
    struct bench bench;
    struct outcome outcome;
    bench_init(&bench);
    start(&bench, "x", NEVER_NS, &outcome);
    turn_until(&bench, bench.held != NULL);
    /* Announced, never sent: the announcement alone must be enough. */
    grpc_peer_send_raw(bench.held, (struct str){.ptr = "\0\1\0\0\1", .len = 5});
    turn_until(&bench, outcome.count > 0);
    assert_failed(&outcome, ERROR_RESOURCE_EXHAUSTED,
                  "grpc: received message larger than max (16777217 vs. 16777216)");
    turn_until(&bench, grpc_peer_seen(bench.peer)->resets == 1);
    bench.behaviour = BE_ECHO;
    start(&bench, "still alive", NEVER_NS, &outcome);
    turn_until(&bench, outcome.count > 0);
    assert_string_equal(outcome.text, "still alive");
    bench_done(&bench);
}

TEST_CASE(a_request_of_many_MiB_is_sent_whole)
{
    struct bench bench;
    struct outcome outcome = {.bench = &bench};
    bench_init(&bench);
    bench.behaviour = BE_ECHO;
    AUTO(free) char *id = xcalloc(3 * MiB + 1, 1);
    memset(id, 'z', 3 * MiB);
    Cri__ExecSyncRequest request = CRI__EXEC_SYNC_REQUEST__INIT;
    request.container_id = id;
    grpc_unary_start(bench.channel, &exec_sync, &request.base, NEVER_NS, on_reply, &outcome);
    turn_until(&bench, outcome.count > 0);
    assert_int_equal(outcome.len, 3 * MiB);
    bench_done(&bench);
}

TEST_CASE(resets_become_the_codes_of_grpc)
{
    static const struct {
        uint32_t reset;
        enum error_code code;
        const char *message;
    } cases[] = {
        {2, ERROR_INTERNAL, "stream terminated by RST_STREAM with error code: INTERNAL_ERROR"},
        {8, ERROR_CANCELLED, "stream terminated by RST_STREAM with error code: CANCEL"},
        {11, ERROR_RESOURCE_EXHAUSTED,
         "stream terminated by RST_STREAM with error code: ENHANCE_YOUR_CALM"},
        {12, ERROR_PERMISSION_DENIED,
         "stream terminated by RST_STREAM with error code: INADEQUATE_SECURITY"},
    };
    struct bench bench;
    bench_init(&bench);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct outcome outcome;
        start(&bench, "x", NEVER_NS, &outcome);
        turn_until(&bench, bench.held != NULL);
        grpc_peer_reset(TAKE(bench.held), cases[i].reset);
        turn_until(&bench, outcome.count > 0);
        assert_failed(&outcome, cases[i].code, cases[i].message);
    }
    assert_int_equal(grpc_peer_seen(bench.peer)->connections, 1);
    bench_done(&bench);
}

TEST_CASE(a_refused_call_is_sent_once_more)
{
    struct bench bench;
    struct outcome outcome;
    bench_init(&bench);
    start(&bench, "x", NEVER_NS, &outcome);
    turn_until(&bench, bench.held != NULL);
    grpc_peer_reset(TAKE(bench.held), 7);
    turn_until(&bench, bench.held != NULL);
    assert_int_equal(grpc_peer_seen(bench.peer)->requests, 2);
    grpc_peer_reset(TAKE(bench.held), 7);
    turn_until(&bench, outcome.count > 0);
    assert_failed(&outcome, ERROR_UNAVAILABLE,
                  "stream terminated by RST_STREAM with error code: REFUSED_STREAM");
    bench_done(&bench);
}

TEST_CASE(goaway_moves_new_calls_and_unseen_ones_to_a_new_connection)
{
    struct bench bench;
    struct outcome seen, unseen, later;
    bench_init(&bench);
    start(&bench, "seen", NEVER_NS, &seen);
    turn_until(&bench, bench.held != NULL);
    struct grpc_peer_stream *first = TAKE(bench.held);
    int32_t first_id = grpc_peer_stream_id(first);
    start(&bench, "unseen", NEVER_NS, &unseen);
    turn_until(&bench, bench.held != NULL);
    bench.behaviour = BE_ECHO;
    grpc_peer_goaway(bench.peer, first_id);
    turn_until(&bench, unseen.count > 0);
    assert_string_equal(unseen.text, "unseen");
    start(&bench, "later", NEVER_NS, &later);
    turn_until(&bench, later.count > 0);
    assert_string_equal(later.text, "later");
    assert_int_equal(grpc_peer_seen(bench.peer)->connections, 2);

    Cri__ExecSyncResponse reply = CRI__EXEC_SYNC_RESPONSE__INIT;
    assert_int_equal(seen.count, 0);
    grpc_peer_reply(first, &reply.base);
    turn_until(&bench, seen.count > 0);
    assert_true(seen.is_ok);
    assert_int_equal(bench.disconnected, 1);
    bench_done(&bench);
}

TEST_CASE(a_call_ends_at_its_deadline)
{
    struct bench bench;
    struct outcome outcome;
    bench_init(&bench);
    start(&bench, "x", 20 * NS_PER_MS, &outcome);
    turn_until(&bench, outcome.count > 0);
    assert_failed(&outcome, ERROR_DEADLINE_EXCEEDED, "context deadline exceeded");
    turn_until(&bench, grpc_peer_seen(bench.peer)->resets == 1);
    assert_int_equal(grpc_peer_seen(bench.peer)->last_reset, 8);
    bench_done(&bench);
}

TEST_CASE(the_deadline_counts_while_connecting)
{
    struct bench bench;
    struct outcome outcome;
    bench_init(&bench);
    grpc_peer_be_mute(bench.peer);
    start(&bench, "x", 20 * NS_PER_MS, &outcome);
    turn_until(&bench, outcome.count > 0);
    assert_failed(&outcome, ERROR_DEADLINE_EXCEEDED, "context deadline exceeded");
    bench_done(&bench);
}

TEST_CASE(a_cancelled_call_is_silent_and_the_server_is_told)
{
    struct bench bench;
    struct outcome outcome, unsent;
    bench_init(&bench);
    struct grpc_call *call = start(&bench, "x", NEVER_NS, &outcome);
    turn_until(&bench, bench.held != NULL);
    grpc_call_cancel(call);
    turn_until(&bench, grpc_peer_seen(bench.peer)->resets == 1);
    assert_int_equal(grpc_peer_seen(bench.peer)->last_reset, 8);
    grpc_call_cancel(start(&bench, "y", NEVER_NS, &unsent));
    grpc_call_cancel(NULL);
    settle(&bench);
    assert_int_equal(outcome.count + unsent.count, 0);
    bench_done(&bench);
}

TEST_CASE(streams_beyond_the_limit_wait_their_turn)
{
    enum { CALLS = 10 };
    struct bench bench;
    struct outcome outcomes[CALLS], cancelled;
    bench_init(&bench);
    grpc_peer_limit_streams(bench.peer, 2);
    bench.behaviour = BE_ECHO;
    start(&bench, "first", NEVER_NS, &outcomes[0]); /* brings the limit */
    turn_until(&bench, outcomes[0].count > 0);
    bench.behaviour = BE_SILENT;
    struct outcome holding[2];
    for (size_t i = 0; i < 2; i++) {
        start(&bench, "hold", NEVER_NS, &holding[i]);
        turn_until(&bench, bench.held != NULL);
        if (i == 0)
            bench.held = NULL;
    }
    bench.behaviour = BE_ECHO;
    struct grpc_call *queued = start(&bench, "cancelled", NEVER_NS, &cancelled);
    for (size_t i = 0; i < CALLS; i++)
        start(&bench, "wait", NEVER_NS, &outcomes[i]);
    settle(&bench);
    assert_int_equal(outcomes[0].count, 0);
    grpc_call_cancel(queued);
    settle(&bench);
    grpc_peer_end(bench.held, 5, "make room");
    for (size_t i = 0; i < CALLS; i++)
        turn_until(&bench, outcomes[i].count > 0);
    assert_string_equal(outcomes[CALLS - 1].text, "wait");
    assert_int_equal(cancelled.count, 0);
    assert_int_equal(grpc_peer_seen(bench.peer)->open_streams_max, 2);
    bench_done(&bench);
}

TEST_CASE(a_lost_connection_fails_its_calls_and_the_next_call_makes_a_new_one)
{
    struct bench bench;
    struct outcome lost, later;
    bench_init(&bench);
    start(&bench, "lost", NEVER_NS, &lost);
    turn_until(&bench, bench.held != NULL);
    grpc_peer_drop(bench.peer, true);
    turn_until(&bench, lost.count > 0);
    assert_failed(&lost, ERROR_UNAVAILABLE, "error reading from server: EOF");
    assert_int_equal(bench.disconnected, 1);
    assert_false(grpc_channel_is_connected(bench.channel));
    bench.behaviour = BE_ECHO;
    start(&bench, "later", NEVER_NS, &later);
    turn_until(&bench, later.count > 0);
    assert_string_equal(later.text, "later");
    assert_int_equal(bench.connected, 2);
    bench_done(&bench);
}

TEST_CASE(calls_fail_at_once_while_the_channel_backs_off)
{
    struct bench bench;
    struct outcome dialling, waiting, later;
    bench_init(&bench);
    grpc_peer_drop(bench.peer, false);
    char wanted[300];
    (void)snprintf(wanted, sizeof(wanted),
                   "connection error: desc = \"transport: Error while dialing: dial unix %s: "
                   "connect: no such file or directory\"",
                   grpc_peer_path(bench.peer));
    start(&bench, "dials", NEVER_NS, &dialling);
    dialling.next = &waiting;
    turn_until(&bench, dialling.count > 0);
    assert_failed(&dialling, ERROR_UNAVAILABLE, wanted);

    /* The server is back, but the call was made in the moment of the failure, within the back-off.
     */
    grpc_peer_listen(bench.peer);
    bench.behaviour = BE_ECHO;
    turn_until(&bench, waiting.count > 0);
    assert_failed(&waiting, ERROR_UNAVAILABLE, wanted);
    assert_int_equal(grpc_peer_seen(bench.peer)->connections, 0);

    int64_t over_ns = loop_now_mono_ns(bench.loop) + 130 * NS_PER_MS;
    turn_until(&bench, loop_now_mono_ns(bench.loop) >= over_ns);
    assert_int_equal(grpc_peer_seen(bench.peer)->connections, 0); /* nobody called */
    start(&bench, "later", NEVER_NS, &later);
    turn_until(&bench, later.count > 0);
    assert_string_equal(later.text, "later");
    bench_done(&bench);
}

TEST_CASE(a_kept_channel_finds_its_server_again_unasked)
{
    struct bench bench;
    bench_init(&bench);
    grpc_channel_keep_connected(bench.channel);
    turn_until(&bench, bench.connected == 1);
    grpc_peer_drop(bench.peer, false);
    turn_until(&bench, bench.disconnected == 1);
    int64_t over_ns = loop_now_mono_ns(bench.loop) + 150 * NS_PER_MS;
    turn_until(&bench, loop_now_mono_ns(bench.loop) >= over_ns); /* one attempt fails */
    grpc_peer_listen(bench.peer);
    turn_until(&bench, bench.connected == 2);
    bench_done(&bench);
}

TEST_CASE(a_channel_may_be_freed_in_a_callback)
{
    struct bench bench;
    struct outcome first, second;
    bench_init(&bench);
    bench.behaviour = BE_ECHO;
    bench.free_in_callback = true;
    start(&bench, "one", NEVER_NS, &first);
    start(&bench, "two", NEVER_NS, &second);
    turn_until(&bench, first.count > 0);
    settle(&bench);
    assert_int_equal(second.count, 0);
    bench_done(&bench);
}

TEST_CASE(a_channel_may_be_freed_when_its_calls_are_lost)
{
    struct bench bench;
    struct outcome first, second;
    bench_init(&bench);
    bench.free_in_callback = true;
    start(&bench, "one", NEVER_NS, &first);
    start(&bench, "two", NEVER_NS, &second);
    turn_until(&bench, grpc_peer_seen(bench.peer)->requests == 2);
    grpc_peer_drop(bench.peer, false);
    turn_until(&bench, first.count + second.count > 0);
    settle(&bench);
    assert_int_equal(first.count + second.count, 1);
    bench_done(&bench);
}

/* --- server streams --- */

struct stream_outcome {
    size_t messages, ends;
    int32_t sum;
    bool has_error;
    enum error_code code;
    struct grpc_call *cancel_at_message;
};

static void on_message(void *ctx, const ProtobufCMessage *message)
{
    struct stream_outcome *outcome = ctx;
    outcome->messages++;
    outcome->sum += ((const Cri__ExecSyncResponse *)(const void *)message)->exit_code;
    grpc_call_cancel(TAKE(outcome->cancel_at_message));
}

static void on_stream_end(void *ctx, struct error *err_owned)
{
    struct stream_outcome *outcome = ctx;
    outcome->ends++;
    outcome->has_error = err_owned != NULL;
    outcome->code = err_owned ? err_owned->code : 0;
    error_free(err_owned);
}

static const struct grpc_stream_events stream_events = {.on_message = on_message,
                                                        .on_end = on_stream_end};

static void send_code(struct grpc_peer_stream *stream, int32_t code)
{
    Cri__ExecSyncResponse message = CRI__EXEC_SYNC_RESPONSE__INIT;
    message.exit_code = code;
    grpc_peer_send(stream, &message.base);
}

TEST_CASE(a_stream_brings_its_messages_and_its_end)
{
    static const struct {
        const char *name;
        int status;
        bool has_error;
        enum error_code code;
    } cases[] = {{"a good end", 0, false, 0}, {"a bad end", 13, true, ERROR_INTERNAL}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bench bench;
        struct stream_outcome outcome = {0};
        bench_init(&bench);
        grpc_stream_start(bench.channel, &exec_sync, NULL, &stream_events, &outcome);
        turn_until(&bench, bench.held != NULL);
        send_code(bench.held, 1);
        send_code(bench.held, 20);
        turn_until(&bench, outcome.messages == 2);
        send_code(bench.held, 300);
        turn_until(&bench, outcome.messages == 3);
        assert_int_equal(outcome.sum, 321);
        assert_int_equal(outcome.ends, 0);
        grpc_peer_end(bench.held, cases[i].status, "");
        turn_until(&bench, outcome.ends == 1);
        assert_int_equal(outcome.has_error, cases[i].has_error);
        assert_int_equal(outcome.code, cases[i].code);
        bench_done(&bench);
    }
}

TEST_CASE(a_stream_may_be_cancelled_in_its_callback)
{
    struct bench bench;
    struct stream_outcome outcome = {0};
    bench_init(&bench);
    outcome.cancel_at_message =
        grpc_stream_start(bench.channel, &exec_sync, NULL, &stream_events, &outcome);
    turn_until(&bench, bench.held != NULL);
    send_code(bench.held, 1);
    send_code(bench.held, 2);
    turn_until(&bench, outcome.messages == 1);
    settle(&bench);
    assert_int_equal(outcome.messages, 1);
    assert_int_equal(outcome.ends, 0);
    assert_int_equal(grpc_peer_seen(bench.peer)->last_reset, 8);
    bench_done(&bench);
}

TEST_MAIN(TEST(a_unary_call_brings_its_reply), TEST(a_request_names_what_grpc_asks_for),
          TEST(a_status_keeps_its_code_and_message), TEST(a_response_that_is_none_is_an_error),
          TEST(a_unary_call_wants_exactly_one_message),
          TEST(a_reply_larger_than_the_windows_arrives_whole),
          TEST(a_reply_beyond_16_MiB_is_refused), TEST(a_request_of_many_MiB_is_sent_whole),
          TEST(resets_become_the_codes_of_grpc), TEST(a_refused_call_is_sent_once_more),
          TEST(goaway_moves_new_calls_and_unseen_ones_to_a_new_connection),
          TEST(a_call_ends_at_its_deadline), TEST(the_deadline_counts_while_connecting),
          TEST(a_cancelled_call_is_silent_and_the_server_is_told),
          TEST(streams_beyond_the_limit_wait_their_turn),
          TEST(a_lost_connection_fails_its_calls_and_the_next_call_makes_a_new_one),
          TEST(calls_fail_at_once_while_the_channel_backs_off),
          TEST(a_kept_channel_finds_its_server_again_unasked),
          TEST(a_channel_may_be_freed_in_a_callback),
          TEST(a_channel_may_be_freed_when_its_calls_are_lost),
          TEST(a_stream_brings_its_messages_and_its_end),
          TEST(a_stream_may_be_cancelled_in_its_callback))
