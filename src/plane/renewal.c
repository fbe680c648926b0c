/*
 * The timer → a job on a worker → what it found, adopted on the loop → the timer.
 *
 * A job that is due does what a start does: it opens the directory as a pki of its own, which
 * renews, and writes the kubeconfigs. So there is one way to renew, a crash in the middle leaves
 * what a start can finish, and the pki in use is only touched on the loop. A job that fails leaves
 * everything as it was and is tried again at the next look.
 *
 * The wall clock may jump and machines sleep, while timers count what was awake; hence a look in
 * between, which costs a comparison.
 */
#include "plane/renewal.h"

#include "base/fd.h"
#include "base/log.h"

#define LOOK_NS (3600 * NS_PER_SEC)
/* As often as kube-apiserver reads its certificate files again (dynamiccertificates). */
#define LOOK_FILES_NS (60 * NS_PER_SEC)
/* Keeps an authority near its end, whose leaves are always due, from keeping us busy. */
#define PAUSE_NS (60 * NS_PER_SEC)
#define PEM_MAX_BYTES (1 * MiB)

struct files {
    struct buf cert_pem, key_pem; /* empty: none */
};

/* Inputs and results of a job, nothing of it shared. */
struct job {
    struct arena *arena; /* of the inputs */
    const char *data_dir, *cert_file, *key_file, *server_url;
    struct pki_options options;
    bool is_due;
    struct pki *pki;        /* what was opened; NULL: not due, or failed */
    struct error *pki_err;  /* why it failed */
    struct files files;     /* what was read */
    struct error *file_err; /* why that failed */
};

struct renewal {
    struct loop *loop;
    struct work_pool *pool;
    struct pki *pki;
    struct loop_timer *timer;
    struct work *work; /* NULL: no job is under way */
    struct arena *arena;
    struct renewal_options options; /* in the arena */
    struct pki_options pki_options; /* in the arena */
    const char *server_url;         /* NULL: not started */
    struct files files;
};

/* --- files --- */

static void files_init(struct files *files)
{
    buf_init(&files->cert_pem, PEM_MAX_BYTES);
    buf_init(&files->key_pem, PEM_MAX_BYTES);
}

static void files_done(struct files *files)
{
    if (files->key_pem.data)
        explicit_bzero(files->key_pem.data, files->key_pem.len);
    buf_done(&files->cert_pem);
    buf_done(&files->key_pem);
}

static struct error *files_read_blocking(const char *cert_file, const char *key_file,
                                         struct files *files)
{
    struct error *err = fd_read_file_blocking(cert_file, &files->cert_pem);
    return err ? err : fd_read_file_blocking(key_file, &files->key_pem);
}

static bool files_eq(const struct files *a, const struct files *b)
{
    return str_eq(buf_str(&a->cert_pem), buf_str(&b->cert_pem)) &&
           str_eq(buf_str(&a->key_pem), buf_str(&b->key_pem));
}

/* --- the job --- */

static const char *copy(const char *text, struct arena *arena)
{
    return text ? arena_strdup(arena, text) : NULL;
}

static struct pki_options copy_options(const struct pki_options *from, struct arena *arena)
{
    const char **names = arena_calloc(arena, from->extra_names.count + 1, sizeof(*names));
    for (size_t i = 0; i < from->extra_names.count; i++)
        names[i] = arena_strdup(arena, from->extra_names.items[i]);
    return (struct pki_options){
        .node_name = copy(from->node_name, arena),
        .listen_host = copy(from->listen_host, arena),
        .host_name = copy(from->host_name, arena),
        .service_range = copy(from->service_range, arena),
        .extra_names = {names, from->extra_names.count},
        .now_s = from->now_s,
    };
}

static struct job *job_new(const struct renewal *renewal, int64_t now_s)
{
    struct job *job = xcalloc(1, sizeof(*job));
    job->arena = arena_new(0);
    job->data_dir = copy(renewal->options.data_dir, job->arena);
    job->cert_file = copy(renewal->options.cert_file, job->arena);
    job->key_file = copy(renewal->options.key_file, job->arena);
    job->server_url = copy(renewal->server_url, job->arena);
    job->options = copy_options(&renewal->pki_options, job->arena);
    job->options.now_s = now_s;
    files_init(&job->files);
    return job;
}

static void job_release(void *object)
{
    struct job *job = object;
    pki_free(job->pki);
    error_free(job->pki_err);
    error_free(job->file_err);
    files_done(&job->files);
    arena_free(job->arena);
    free(job);
}

static void job_run_blocking(void *object)
{
    struct job *job = object;
    if (job->is_due) {
        AUTO(pki) struct pki *pki = NULL;
        job->pki_err = pki_open_blocking(job->data_dir, &job->options, &pki);
        if (!job->pki_err)
            job->pki_err = pki_write_kubeconfigs_blocking(pki, job->server_url);
        if (!job->pki_err)
            job->pki = TAKE(pki);
    }
    if (job->cert_file)
        job->file_err = files_read_blocking(job->cert_file, job->key_file, &job->files);
}

/* --- looking --- */

int64_t renewal_delay_ns(int64_t due_s, int64_t now_s, bool has_files, bool was_just_done)
{
    int64_t wait_ns = sat_mul_i64(sat_sub_i64(due_s, now_s), NS_PER_SEC);
    return clamp_i64(wait_ns, was_just_done ? PAUSE_NS : 0, has_files ? LOOK_FILES_NS : LOOK_NS);
}

static int64_t now_of(const struct renewal *renewal)
{
    return loop_now_wall_ns(renewal->loop) / NS_PER_SEC;
}

static void arm(struct renewal *renewal, bool was_just_done)
{
    loop_timer_start(renewal->timer,
                     renewal_delay_ns(pki_renewal_s(renewal->pki), now_of(renewal),
                                      renewal->options.cert_file != NULL, was_just_done));
}

/* True when the pki in use has other certificates now. */
static bool adopt_pki(struct renewal *renewal, struct job *job)
{
    if (job->pki && !job->pki_err)
        job->pki_err = pki_adopt(renewal->pki, TAKE(job->pki));
    if (job->pki_err)
        log_error("Failed to renew certificates", LOG_ERR(job->pki_err));
    else if (job->is_due)
        log_info("Certificates renewed", LOG_STR("dataDir", job->data_dir));
    return job->is_due && !job->pki_err;
}

/* True when the files say something else now. */
static bool adopt_files(struct renewal *renewal, struct job *job)
{
    if (job->file_err)
        log_error("Failed to read the serving certificate", LOG_ERR(job->file_err));
    if (!job->cert_file || job->file_err || files_eq(&job->files, &renewal->files))
        return false;
    struct files old = renewal->files;
    renewal->files = job->files;
    job->files = old;
    log_info("Serving certificate has changed", LOG_STR("file", job->cert_file));
    return true;
}

static void on_done(void *ctx, void *object)
{
    struct renewal *renewal = ctx;
    struct job *job = object;
    renewal->work = NULL;
    bool has_other_pki = adopt_pki(renewal, job);
    bool has_other_files = adopt_files(renewal, job);
    arm(renewal, true);
    if (has_other_pki || has_other_files)
        renewal->options.on_changed(renewal->options.ctx);
}

void renewal_look(struct renewal *renewal, int64_t now_s)
{
    static const struct work_vtable vtable = {.name = "certificates",
                                              .class = WORK_NORMAL,
                                              .run_blocking = job_run_blocking,
                                              .on_done = on_done,
                                              .release = job_release};
    bool is_due = pki_renewal_s(renewal->pki) <= now_s;
    if (renewal->work)
        return;
    if (!is_due && !renewal->options.cert_file) {
        arm(renewal, false);
        return;
    }
    struct job *job = job_new(renewal, now_s);
    job->is_due = is_due;
    renewal->work = work_start(renewal->pool, &vtable, job, renewal);
}

static void on_due(void *ctx)
{
    struct renewal *renewal = ctx;
    renewal_look(renewal, now_of(renewal));
}

/* --- its life --- */

struct error *renewal_new_blocking(struct loop *loop, struct work_pool *pool,
                                   const struct renewal_options *options, struct pki *pki,
                                   struct renewal **ret)
{
    AUTO(renewal) struct renewal *renewal = xcalloc(1, sizeof(*renewal));
    renewal->loop = loop;
    renewal->pool = pool;
    renewal->pki = pki;
    renewal->arena = arena_new(0);
    renewal->pki_options = copy_options(options->pki, renewal->arena);
    renewal->options = (struct renewal_options){
        .data_dir = copy(options->data_dir, renewal->arena),
        .cert_file = copy(options->cert_file, renewal->arena),
        .key_file = copy(options->key_file, renewal->arena),
        .on_changed = options->on_changed,
        .ctx = options->ctx,
    };
    renewal->timer = loop_timer_new(loop, "certificates", on_due, renewal);
    files_init(&renewal->files);
    struct error *err = options->cert_file ? files_read_blocking(options->cert_file,
                                                                 options->key_file, &renewal->files)
                                           : NULL;
    if (!err)
        *ret = TAKE(renewal);
    return err;
}

void renewal_free(struct renewal *renewal)
{
    if (!renewal)
        return;
    work_cancel(renewal->work);
    loop_timer_free(renewal->timer);
    files_done(&renewal->files);
    arena_free(renewal->arena);
    free(renewal);
}

void renewal_start(struct renewal *renewal, const char *server_url)
{
    renewal->server_url = arena_strdup(renewal->arena, server_url);
    arm(renewal, false);
}

const char *renewal_server_certificate_pem(const struct renewal *renewal)
{
    return renewal->options.cert_file ? buf_text(&renewal->files.cert_pem)
                                      : pki_server_certificate_pem(renewal->pki);
}

const char *renewal_server_key_pem(const struct renewal *renewal)
{
    return renewal->options.cert_file ? buf_text(&renewal->files.key_pem)
                                      : pki_server_key_pem(renewal->pki);
}
