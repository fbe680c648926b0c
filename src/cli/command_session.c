/*
 * One loop over three descriptors: the agent's socket, standard input, and the signals that matter
 * while the terminal is raw. Output is written at once, so a slow reader slows the command down;
 * input is read only while the agent takes it.
 *
 * The end is the agent's: its status and its close. That standard input has ended, or that the
 * agent no longer takes it, ends nothing.
 */
#include "cli/command_session.h"

#include "base/fd.h"
#include "cli/channel_client.h"
#include "cli/cli_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE_BYTES (16 * KiB)
#define INPUT_AHEAD_BYTES (64 * KiB)
#define OUT_MAX_BYTES (1 * MiB)

struct session {
    const struct command_session_options *options;
    struct channel_client channels;
    struct buf out; /* for the agent */
    char *piece;    /* PIECE_BYTES */
    bool reads_input, is_deaf, has_ended;
    struct terminal terminal;
    int signals; /* -1: none are waited for */
    int stop;    /* the signal that ends this process; 0: none */
};

/* --- the agent --- */

static struct error *show(const struct channel_event *event)
{
    int fd = event->kind == CHANNEL_EVENT_ERRORS ? STDERR_FILENO : STDOUT_FILENO;
    return cli_write(fd, event->bytes);
}

static struct error *hear(struct session *session, struct websocket_input input)
{
    struct channel_event event = {.kind = CHANNEL_EVENT_END};
    struct error *err = NULL;
    do {
        err = channel_client_next(&session->channels, &input, &session->out, &event);
        if (!err && event.kind == CHANNEL_EVENT_END)
            session->has_ended = true;
        else if (!err && event.kind != CHANNEL_EVENT_NONE)
            err = show(&event);
    } while (!err && event.kind != CHANNEL_EVENT_NONE && !session->has_ended);
    return err;
}

static struct error *receive(struct session *session)
{
    ssize_t got = recv(session->options->socket, session->piece, PIECE_BYTES, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return NULL;
    if (got <= 0) { /* what it has said until then tells what to make of it */
        session->has_ended = true;
        return NULL;
    }
    return hear(session, (struct websocket_input){.ptr = session->piece, .len = (size_t)got});
}

/* Who does not listen any more may still have said something. */
static void send_out(struct session *session)
{
    ssize_t sent = send(session->options->socket, session->out.data, session->out.len,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
        buf_consume(&session->out, (size_t)sent);
    } else if (errno != EAGAIN && errno != EINTR) {
        session->is_deaf = true;
        buf_clear(&session->out);
    }
}

/* --- this side --- */

static struct error *read_input(struct session *session)
{
    ssize_t got = read(STDIN_FILENO, session->piece, PIECE_BYTES);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return NULL;
    if (got < 0 && errno != EBADF && errno != EIO) /* closed, or a terminal that is gone: its end */
        return error_from_errno(errno, "reading standard input");
    if (got > 0) {
        channel_client_add_input(&session->out,
                                 (struct str){.ptr = session->piece, .len = (size_t)got});
        return NULL;
    }
    session->reads_input = false;
    channel_client_end_input(&session->out);
    return NULL;
}

static bool find_size(struct terminal_size *ret)
{
    return terminal_size(STDOUT_FILENO, ret) || terminal_size(STDIN_FILENO, ret);
}

static void tell_size(struct session *session)
{
    struct terminal_size size;
    if (find_size(&size))
        channel_client_add_size(&session->out, size);
}

static void tell_first_size(struct session *session)
{
    struct terminal_size size;
    if (session->options->is_redrawn && find_size(&size)) {
        size.columns++;
        size.rows++;
        channel_client_add_size(&session->out, size);
    }
    tell_size(session);
}

static void take_signal(struct session *session)
{
    struct signalfd_siginfo info;
    if (read(session->signals, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo == SIGWINCH)
        tell_size(session);
    else
        session->stop = (int)info.ssi_signo;
}

/* --- the loop --- */

enum { POLL_SOCKET, POLL_INPUT, POLL_SIGNALS, POLL_COUNT };

static struct error *turn(struct session *session)
{
    bool takes_input =
        session->reads_input && !session->is_deaf && session->out.len < INPUT_AHEAD_BYTES;
    struct pollfd fds[POLL_COUNT] = {
        [POLL_SOCKET] = {.fd = session->options->socket,
                         .events = (short)(POLLIN | (session->out.len > 0 ? POLLOUT : 0))},
        [POLL_INPUT] = {.fd = takes_input ? STDIN_FILENO : -1, .events = POLLIN},
        [POLL_SIGNALS] = {.fd = session->signals, .events = POLLIN}};
    if (poll(fds, POLL_COUNT, -1) < 0)
        return errno == EINTR ? NULL : error_from_errno(errno, "waiting for the command");
    if (fds[POLL_SIGNALS].revents)
        take_signal(session);
    struct error *err = NULL;
    if (fds[POLL_SOCKET].revents & (POLLIN | POLLHUP | POLLERR))
        err = receive(session);
    if (!err && fds[POLL_INPUT].revents)
        err = read_input(session);
    if (!err && session->out.len > 0)
        send_out(session);
    return err;
}

static struct error *run(struct session *session)
{
    struct error *err = NULL;
    AUTO(free) char *early = str_dup(session->options->early);
    if (session->options->is_tty)
        tell_first_size(session);
    err = hear(session, (struct websocket_input){.ptr = early, .len = session->options->early.len});
    while (!err && !session->has_ended && session->stop == 0)
        err = turn(session);
    if (err)
        return err;
    return buf_error(&session->out, "what the node agent does not take");
}

/* --- the terminal --- */

/* What would end this process must give the terminal back first. */
static struct error *take_terminal(struct session *session, sigset_t *ret_before)
{
    static const int numbers[] = {SIGWINCH, SIGTERM, SIGHUP, SIGINT, SIGQUIT};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        sigaddset(&set, numbers[i]);
    (void)pthread_sigmask(SIG_BLOCK, &set, ret_before); /* cannot fail with a valid set */
    session->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (session->signals < 0)
        return error_from_errno(errno, "preparing for signals");
    return terminal_make_raw(STDIN_FILENO, &session->terminal);
}

static struct error *run_in_terminal(struct session *session)
{
    sigset_t before;
    sigemptyset(&before);
    struct error *err = take_terminal(session, &before);
    if (!err)
        err = run(session);
    terminal_restore(&session->terminal);
    fd_close(&session->signals);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (session->stop != 0)
        (void)raise(session->stop);
    return err;
}

struct error *command_session_run(const struct command_session_options *options, int *ret_code)
{
    struct session session = {.options = options,
                              .piece = xcalloc(1, PIECE_BYTES),
                              .reads_input = options->has_input,
                              .signals = -1};
    channel_client_init(&session.channels);
    buf_init(&session.out, OUT_MAX_BYTES);
    struct error *err = options->is_raw ? run_in_terminal(&session) : run(&session);
    if (!err)
        err = channel_client_result(&session.channels, ret_code);
    channel_client_done(&session.channels);
    buf_done(&session.out);
    free(session.piece);
    return err;
}
