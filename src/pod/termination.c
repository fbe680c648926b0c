#include "pod/termination.h"

#include "base/fd.h"
#include "base/path.h"

/* Of a log's end: a line as long as runtimes make them, 16 KiB, with its time stamp, or 80 that add
 * up to 2048 bytes. */
#define LOG_TAIL_BYTES (17 * KiB)

struct message_job {
    char *file; /* NULL: none */
    char *log;  /* NULL: no fallback */
    char *text; /* the result, never NULL after the run */
};

static void message_job_release(void *ctx)
{
    struct message_job *job = ctx;
    free(job->file);
    free(job->log);
    free(job->text);
    free(job);
}

/* "2026-01-02T03:04:05.6Z stdout F text": the part after the third blank, and whether the line is
 * whole. */
static bool parse_log_line(struct str line, struct str *ret_content, bool *ret_partial)
{
    struct str time, stream, tags;
    if (!str_split_next(&line, ' ', &time) || !str_split_next(&line, ' ', &stream) ||
        !str_split_next(&line, ' ', &tags))
        return false;
    if (!str_eq_c(stream, "stdout") && !str_eq_c(stream, "stderr"))
        return false;
    *ret_partial = tags.len > 0 && tags.ptr[0] == 'P';
    *ret_content = line;
    return true;
}

void termination_tail_of_log(struct str text, struct buf *out)
{
    /* Where the last 80 lines begin: raw lines, as `tailLines` counts them (spec runtime.md §6.4).
     */
    size_t begin = text.len;
    size_t lines = 0;
    if (begin > 0 && text.ptr[begin - 1] == '\n')
        begin--;
    while (begin > 0) {
        if (text.ptr[begin - 1] == '\n' && ++lines == TERMINATION_LOG_MAX_LINES)
            break;
        begin--;
    }
    struct buf content;
    buf_init(&content, LOG_TAIL_BYTES);
    struct str rest = {.ptr = text.ptr + begin, .len = text.len - begin};
    struct str line;
    while (rest.len > 0 && str_split_next(&rest, '\n', &line)) {
        struct str part;
        bool partial;
        if (line.len == 0 || !parse_log_line(line, &part, &partial))
            continue;
        buf_add_str(&content, part);
        if (!partial)
            buf_add_char(&content, '\n');
    }
    size_t keep = min_size(content.len, TERMINATION_LOG_MAX_BYTES);
    buf_add_str(out, (struct str){.ptr = buf_text(&content) + (content.len - keep), .len = keep});
    buf_done(&content);
}

static char *read_file_message(const char *path)
{
    struct buf text;
    buf_init(&text, TERMINATION_FILE_MAX_BYTES);
    AUTO(error) struct error *err = fd_read_tail_blocking(path, TERMINATION_FILE_MAX_BYTES, &text);
    if (err && err->code != ERROR_NOT_FOUND) {
        buf_done(&text);
        return xasprintf("Error on reading termination log %s: %s", path, err->message);
    }
    return buf_take(&text);
}

static char *read_log_message(const char *path)
{
    struct buf tail, text;
    buf_init(&tail, LOG_TAIL_BYTES);
    buf_init(&text, TERMINATION_LOG_MAX_BYTES);
    AUTO(error) struct error *err = fd_read_tail_blocking(path, LOG_TAIL_BYTES, &tail);
    if (err)
        buf_done(&tail);
    else
        termination_tail_of_log(buf_str(&tail), &text);
    buf_done(&tail);
    if (err) {
        buf_done(&text);
        return xasprintf("Error on reading termination message from logs: %s", err->message);
    }
    return buf_take(&text);
}

static void message_job_run(void *ctx)
{
    struct message_job *job = ctx;
    job->text = job->file ? read_file_message(job->file) : xstrdup("");
    if (job->text[0] == '\0' && job->log) {
        free(job->text);
        job->text = read_log_message(job->log);
    }
}

static const struct pod_job message_job = {
    .name = "termination message",
    .run_blocking = message_job_run,
    .release = message_job_release,
};

bool termination_start(struct pod_op *op, struct container_observed *instance)
{
    if (instance->state != CONTAINER_EXITED || instance->message_is_final)
        return false;
    bool fall_back = instance->termination_from_logs && instance->exit_code != 0 &&
                     strcmp(instance->reason, "ContainerCannotRun") != 0;
    if (!instance->termination_path && !fall_back) {
        container_observed_set_termination(instance, "");
        return false;
    }
    struct message_job *job = xcalloc(1, sizeof(*job));
    job->file = xstrdup(instance->termination_path);
    if (fall_back && instance->log_path[0] != '\0')
        job->log = xstrdup(instance->log_path);
    pod_op_job(op, &message_job, job);
    return true;
}

void termination_finish(struct pod_op *op, const char *id)
{
    const struct message_job *job = op->job;
    struct container_observed *instance = pod_observed_container(&op->worker->have, id);
    if (instance && instance->state == CONTAINER_EXITED && !instance->message_is_final)
        container_observed_set_termination(instance, job->text);
}
