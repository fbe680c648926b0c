/* The stream on one end of a socket pair, a WebSocket client on the other; one thread, and nothing
 * waits for time. */
#include "wire/websocket_stream.h"

#include "base/buf.h"
#include "base/fd.h"
#include "tests/lib/choppy_stream.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MASK "\0\0\0\0"

struct scene {
    struct loop *loop;
    struct byte_stream *stream;
    struct choppy_stream *choppy; /* below it */
    int fd;                       /* the client's end */
    struct buf got;               /* what the owner has read */
    struct buf seen;              /* what the client has */
    bool is_end, is_client_ended;
    char *error;
};

static void scene_take(struct scene *scene)
{
    char bytes[16];
    size_t len = 1;
    while (len > 0 && !scene->is_end && !scene->error) {
        AUTO(error)
        struct error *err =
            scene->stream->vtable->read(scene->stream, bytes, sizeof(bytes), &len, &scene->is_end);
        if (err) {
            scene->error = xstrdup(err->message);
            break;
        }
        buf_add(&scene->got, bytes, len);
    }
    if (scene->is_end || scene->error)
        scene->stream->vtable->want(scene->stream, 0);
}

static void on_ready(void *ctx, unsigned events)
{
    if (events & LOOP_IO_READ)
        scene_take(ctx);
}

static struct scene *scene_new(const char *first, struct str early, size_t piece)
{
    struct scene *scene = xcalloc(1, sizeof(*scene));
    int fds[2];
    assert_no_error(loop_new(&scene->loop));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    scene->fd = fds[1];
    buf_init(&scene->got, MiB);
    buf_init(&scene->seen, MiB);
    scene->choppy = choppy_stream_new(byte_stream_from_socket(scene->loop, fds[0]), piece);
    scene->stream = websocket_stream_new(scene->loop, &scene->choppy->base, str_from(first), early);
    scene->stream->vtable->listen(scene->stream, on_ready, scene);
    scene->stream->vtable->want(scene->stream, LOOP_IO_READ);
    return scene;
}

static void scene_settle(struct scene *scene)
{
    char bytes[4096];
    for (int i = 0; i < 40; i++) {
        loop_turn(scene->loop, 0);
        ssize_t len = recv(scene->fd, bytes, sizeof(bytes), 0);
        if (len > 0)
            buf_add(&scene->seen, bytes, (size_t)len);
        scene->is_client_ended = len == 0;
    }
}

static void scene_free(struct scene *scene)
{
    byte_stream_free(scene->stream);
    fd_close(&scene->fd);
    buf_done(&scene->got);
    buf_done(&scene->seen);
    loop_free(scene->loop);
    free(scene->error);
    free(scene);
}
DEFINE_AUTO(scene, struct scene *, scene_free)

static void client_sends(struct scene *scene, struct str bytes)
{
    assert_int_equal(send(scene->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL), (ssize_t)bytes.len);
    scene_settle(scene);
}

static void assert_seen(struct scene *scene, struct str want)
{
    assert_int_equal(scene->seen.len, want.len);
    assert_memory_equal(buf_text(&scene->seen), want.ptr, want.len);
}

TEST_CASE(messages_are_bytes_however_they_come)
{
    for (size_t piece = 1; piece < 40; piece++) {
        AUTO(scene) struct scene *scene = scene_new("", (struct str){0}, piece);
        client_sends(scene, STR_LITERAL("\x02\x82" MASK "ab\x80\x81" MASK "c\x82\x80" MASK
                                        "\x82\x81\x01\x02\x03\x04\x65"));
        assert_string_equal(buf_text(&scene->got), "abcd");
        assert_false(scene->is_end);
    }
}

TEST_CASE(what_came_before_is_read_first)
{
    AUTO(scene)
    struct scene *scene = scene_new("HEAD", STR_LITERAL("\x82\x93" MASK "a long enough text."), 5);
    scene_settle(scene);
    assert_string_equal(buf_text(&scene->got), "a long enough text.");
    assert_seen(scene, STR_LITERAL("HEAD"));
    client_sends(scene, STR_LITERAL("\x82\x81" MASK "!"));
    assert_string_equal(buf_text(&scene->got), "a long enough text.!");
}

TEST_CASE(what_is_written_is_taken_when_it_has_left)
{
    AUTO(scene) struct scene *scene = scene_new("HEAD", (struct str){0}, 3);
    struct str rest = STR_LITERAL("some bytes");
    size_t calls = 0;
    while (rest.len > 0) {
        size_t len = 0;
        scene->choppy->piece_bytes = calls % 2 == 0 ? 3 : 0; /* 0: it takes nothing now */
        assert_no_error(scene->stream->vtable->write(scene->stream, rest.ptr, rest.len, &len));
        rest = (struct str){.ptr = rest.ptr + len, .len = rest.len - len};
        assert_true(++calls < 100);
    }
    scene_settle(scene);
    assert_seen(scene, STR_LITERAL("HEAD\x82\x0asome bytes"));
}

TEST_CASE(pings_are_answered_and_a_close_is_the_end)
{
    AUTO(scene) struct scene *scene = scene_new("", (struct str){0}, 1000);
    client_sends(scene, STR_LITERAL("\x02\x81" MASK "a\x89\x82" MASK "hi\x80\x81" MASK "b"));
    assert_string_equal(buf_text(&scene->got), "ab");
    assert_seen(scene, STR_LITERAL("\x8a\x02hi"));
    buf_clear(&scene->seen);
    client_sends(scene, STR_LITERAL("\x82\x81" MASK "c\x88\x82" MASK "\x03\xe8\x82\x81" MASK "d"));
    assert_string_equal(buf_text(&scene->got), "abc");
    assert_true(scene->is_end);
    assert_seen(scene, STR_LITERAL("\x88\x02\x03\xe8"));
}

/* Writes until the kernel takes no more; what is offered stays to be offered again. */
static void fill(struct scene *scene, struct str bytes)
{
    for (size_t len = 1; len > 0;)
        assert_no_error(scene->stream->vtable->write(scene->stream, bytes.ptr, bytes.len, &len));
}

TEST_CASE(the_last_ping_is_answered_however_much_waits)
{
    static const char large[8000] = "x";
    AUTO(scene) struct scene *scene = scene_new("", (struct str){0}, SIZE_MAX);
    fill(scene, (struct str){.ptr = large, .len = sizeof(large)});
    struct str pings = STR_LITERAL("\x89\x82" MASK "hi\x89\x82" MASK "yo");
    assert_int_equal(send(scene->fd, pings.ptr, pings.len, MSG_NOSIGNAL), (ssize_t)pings.len);
    for (int i = 0; i < 5; i++)
        loop_turn(scene->loop, 0);
    for (int i = 0; i < 5; i++)
        scene_settle(scene);
    struct str got = buf_str(&scene->seen);
    assert_true(got.len > sizeof(large) && got.len % (sizeof(large) + 4) == 4);
    assert_memory_equal(got.ptr + got.len - 4, "\x8a\x02yo", 4);
}

TEST_CASE(after_a_close_nothing_is_written)
{
    AUTO(scene) struct scene *scene = scene_new("", (struct str){0}, 1000);
    client_sends(scene, STR_LITERAL("\x88\x80" MASK));
    size_t len = 0;
    AUTO(error) struct error *err = scene->stream->vtable->write(scene->stream, "late", 4, &len);
    assert_non_null(err);
    scene_settle(scene);
    assert_seen(scene, STR_LITERAL("\x88\x02\x03\xe8"));
}

TEST_CASE(frames_with_nothing_in_them_are_read_in_turns)
{
    AUTO(scene) struct scene *scene = scene_new("", (struct str){0}, 1000);
    for (int i = 0; i < 100; i++)
        assert_int_equal(send(scene->fd, "\x89\x80" MASK, 6, MSG_NOSIGNAL), 6);
    int left = 0;
    loop_turn(scene->loop, 0);
    assert_int_equal(ioctl(scene->fd, SIOCOUTQ, &left), 0);
    assert_true(left > 0);
    scene_settle(scene);
    assert_int_equal(ioctl(scene->fd, SIOCOUTQ, &left), 0);
    assert_int_equal(left, 0);
}

TEST_CASE(what_is_wrong_is_told)
{
    static const struct {
        struct str bytes, answer;
        const char *error;
    } rows[] = {
        {STR_LITERAL("\x81\x81" MASK "a"), STR_LITERAL("\x88\x02\x03\xeb"),
         "websocket: a text message"},
        {STR_LITERAL("\x82\x01"), STR_LITERAL("\x88\x02\x03\xea"),
         "websocket: a client must mask its frames"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(scene) struct scene *scene = scene_new("", (struct str){0}, 1000);
        client_sends(scene, rows[i].bytes);
        assert_string_equal(scene->error, rows[i].error);
        assert_seen(scene, rows[i].answer);
    }
}

TEST_CASE(a_client_that_breaks_off_is_an_end)
{
    AUTO(scene) struct scene *scene = scene_new("", (struct str){0}, 1000);
    client_sends(scene, STR_LITERAL("\x82\x85" MASK "ab"));
    fd_close(&scene->fd);
    scene->fd = -1;
    scene_settle(scene);
    assert_string_equal(buf_text(&scene->got), "ab");
    assert_true(scene->is_end);
}

TEST_CASE(ended_it_says_goodbye_and_still_listens)
{
    AUTO(scene) struct scene *scene = scene_new("", (struct str){0}, 1000);
    assert_true(scene->stream->vtable->end(scene->stream));
    scene_settle(scene);
    assert_seen(scene, STR_LITERAL("\x88\x02\x03\xe8"));
    assert_true(scene->is_client_ended);
    client_sends(scene, STR_LITERAL("\x82\x81" MASK "a\x88\x80" MASK));
    assert_string_equal(buf_text(&scene->got), "a");
    assert_true(scene->is_end);
}

TEST_CASE(freed_it_says_goodbye)
{
    struct scene *scene = scene_new("", (struct str){0}, 1000);
    byte_stream_free(TAKE(scene->stream));
    scene_settle(scene);
    assert_seen(scene, STR_LITERAL("\x88\x02\x03\xe8"));
    assert_true(scene->is_client_ended);
    scene_free(scene);
}

TEST_MAIN(TEST(messages_are_bytes_however_they_come), TEST(what_came_before_is_read_first),
          TEST(what_is_written_is_taken_when_it_has_left),
          TEST(pings_are_answered_and_a_close_is_the_end),
          TEST(the_last_ping_is_answered_however_much_waits),
          TEST(after_a_close_nothing_is_written),
          TEST(frames_with_nothing_in_them_are_read_in_turns), TEST(what_is_wrong_is_told),
          TEST(a_client_that_breaks_off_is_an_end), TEST(ended_it_says_goodbye_and_still_listens),
          TEST(freed_it_says_goodbye))
