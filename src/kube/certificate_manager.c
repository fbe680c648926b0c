/*
 *     LOADING ──► RESTING ◄────────────────────┐
 *                   │ due, and it is known     │ stored, or failed
 *                   │ whom it is for           │
 *                   ▼                          │
 *                 ASKING ──► STORING ──────────┘
 *
 * Resting ends when the certificate has lived for most of its time, does not fit what is wanted or
 * is not there. After a failure it lasts at least as long as the back-off says. A certificate that
 * was signed but could not be stored is used nevertheless: asking again would not help the disk.
 *
 * Each request has a key of its own, which is forgotten with it.
 */
#include "kube/certificate_manager.h"

#include "base/log.h"
#include "kube/certificate_request.h"
#include "kube/jitter.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

/* jitteryDuration() of client-go's certificate manager. */
#define ROTATE_FROM_PERCENT 70
#define ROTATE_UNTIL_PERCENT 90
/* Timers count the time awake, certificates the wall clock's, which may be set: a look in between
 * costs a comparison. */
#define LOOK_NS (3600 * NS_PER_SEC)

/* 2 s, doubling, a tenth of jitter; after five attempts every 32 s. */
static const struct growing_wait_policy policy = {
    .initial_ns = 2 * NS_PER_SEC, .max_ns = 32 * NS_PER_SEC, .jitter_permille = 100};

enum state { LOADING, RESTING, ASKING, STORING };

struct held {
    struct buf pem;
    struct x509_st *certificate; /* NULL: there is none */
    int64_t from_s, until_s, rotate_s;
};

/* A job of reading or writing; inputs copied in. */
struct job {
    struct certificate_place place;
    struct arena *arena; /* of its texts */
    bool is_store;
    int64_t now_ns;
    struct buf pem;
    struct error *err;
};

struct certificate_manager {
    struct certificate_manager_options options; /* texts in the arena */
    struct arena *arena;
    const struct certificate_listener *listener;
    void *ctx;

    enum state state;
    struct held held;
    bool is_wanted;
    struct x509_subject wanted; /* in its arena */
    struct arena *wanted_arena;

    struct certificate_request *request;
    struct evp_pkey_st *key; /* of the request */
    struct work *work;
    struct growing_wait wait;
    int64_t resume_ns; /* mono; not to be asked before */
    struct loop_timer *due, *end;
};

static void advance(struct certificate_manager *manager);

int64_t certificate_rotation_s(int64_t not_before_s, int64_t not_after_s, uint64_t random)
{
    int64_t life_s = sat_sub_i64(not_after_s, not_before_s);
    int64_t low_s = sat_mul_i64(life_s, ROTATE_FROM_PERCENT) / 100;
    int64_t high_s = sat_mul_i64(life_s, ROTATE_UNTIL_PERCENT) / 100;
    return sat_add_i64(not_before_s, jitter_between(low_s, high_s, random));
}

static int64_t now_s(const struct certificate_manager *manager)
{
    return loop_now_wall_ns(manager->options.loop) / NS_PER_SEC;
}

/* How long until @at_s, but not for ever. */
static int64_t until_ns(const struct certificate_manager *manager, int64_t at_s)
{
    int64_t wait_ns = sat_mul_i64(sat_sub_i64(at_s, now_s(manager)), NS_PER_SEC);
    return clamp_i64(wait_ns, 0, LOOK_NS);
}

/* --- the certificate in use --- */

static void held_done(struct held *held)
{
    if (held->pem.data)
        explicit_bzero(held->pem.data, held->pem.len);
    buf_done(&held->pem);
    X509_free(held->certificate);
    *held = (struct held){0};
}

/* Takes the leaf and the key of @pem apart; *ret is made only when they are a pair. */
static struct error *held_read(struct str pem, struct held *ret)
{
    AUTO(certificate) X509 *certificate = NULL;
    AUTO(pkey) EVP_PKEY *key = NULL;
    struct held held = {0};
    struct error *err = crypto_read_certificate(pem, &certificate);
    if (!err)
        err = crypto_read_key(pem, &key);
    if (!err)
        err = x509_validity(certificate, &held.from_s, &held.until_s);
    if (err)
        return err;
    bool is_pair = X509_check_private_key(certificate, key) == 1;
    crypto_begin();
    if (!is_pair)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "the private key does not belong to the certificate");
    buf_init(&held.pem, 2 * CERTIFICATE_MAX_BYTES);
    buf_add_str(&held.pem, pem);
    held.certificate = TAKE(certificate);
    held.rotate_s = certificate_rotation_s(held.from_s, held.until_s, jitter_draw());
    *ret = held;
    return NULL;
}

static void tell_certificate(const struct certificate_manager *manager)
{
    if (manager->listener->on_certificate)
        manager->listener->on_certificate(
            manager->ctx, manager->held.certificate ? buf_text(&manager->held.pem) : NULL);
}

static void tell_failure(const struct certificate_manager *manager)
{
    if (manager->listener->on_renew_failed)
        manager->listener->on_renew_failed(manager->ctx);
}

static bool has_ended(const struct certificate_manager *manager, const struct held *held)
{
    return now_s(manager) > held->until_s;
}

static void watch_end(struct certificate_manager *manager)
{
    if (manager->held.certificate)
        loop_timer_start(manager->end, until_ns(manager, sat_add_i64(manager->held.until_s, 1)));
    else
        loop_timer_cancel(manager->end);
}

static void on_end(void *ctx)
{
    struct certificate_manager *manager = ctx;
    if (has_ended(manager, &manager->held)) {
        log_error("The certificate in use has expired",
                  LOG_STR("signerName", manager->options.signer_name));
        held_done(&manager->held);
        tell_certificate(manager);
        advance(manager);
    }
    watch_end(manager);
}

static bool is_fit(const struct certificate_manager *manager)
{
    return manager->held.certificate && x509_is_of(manager->held.certificate, &manager->wanted) &&
           x509_covers(manager->held.certificate, &manager->wanted);
}

/* --- files --- */

static struct certificate_place copy_place(const struct certificate_place *from,
                                           struct arena *arena)
{
    return (struct certificate_place){.dir = arena_strdup(arena, from->dir),
                                      .prefix = arena_strdup(arena, from->prefix),
                                      .cert_file = arena_strdup(arena, from->cert_file),
                                      .key_file = arena_strdup(arena, from->key_file)};
}

static void job_run_blocking(void *object)
{
    struct job *job = object;
    job->err = job->is_store
                   ? certificate_store_save_blocking(&job->place, buf_str(&job->pem), job->now_ns)
                   : certificate_store_load_blocking(&job->place, &job->pem);
}

static void job_release(void *object)
{
    struct job *job = object;
    if (job->pem.data)
        explicit_bzero(job->pem.data, job->pem.len);
    buf_done(&job->pem);
    error_free(job->err);
    arena_free(job->arena);
    free(job);
}

static void on_loaded(struct certificate_manager *manager, const struct job *job)
{
    struct held held = {0};
    AUTO(error) struct error *err = NULL;
    if (!job->err)
        err = held_read(buf_str(&job->pem), &held);
    else if (!error_is(job->err, ERROR_NOT_FOUND))
        err = error_dup(job->err);
    if (err)
        log_warning("The certificate on disk is of no use", LOG_STR("dir", job->place.dir),
                    LOG_STR("prefix", job->place.prefix), LOG_ERR(err));
    if (held.certificate && has_ended(manager, &held)) {
        log_info("The certificate on disk has expired", LOG_STR("dir", job->place.dir),
                 LOG_STR("prefix", job->place.prefix));
        held_done(&held);
    }
    manager->held = held;
    watch_end(manager);
    tell_certificate(manager);
}

static void on_stored(struct certificate_manager *manager, const struct job *job)
{
    if (!job->err)
        return;
    log_error("Could not store the new certificate, which is used nevertheless",
              LOG_STR("dir", job->place.dir), LOG_ERR(job->err));
    tell_failure(manager);
}

static void on_job_done(void *ctx, void *object)
{
    struct certificate_manager *manager = ctx;
    const struct job *job = object;
    manager->work = NULL;
    manager->state = RESTING;
    if (job->is_store)
        on_stored(manager, job);
    else
        on_loaded(manager, job);
    advance(manager);
}

static void start_job(struct certificate_manager *manager, bool is_store)
{
    static const struct work_vtable vtable = {.name = "certificate",
                                              .class = WORK_NORMAL,
                                              .run_blocking = job_run_blocking,
                                              .on_done = on_job_done,
                                              .release = job_release};
    struct job *job = xcalloc(1, sizeof(*job));
    job->arena = arena_new(0);
    job->place = copy_place(&manager->options.place, job->arena);
    job->is_store = is_store;
    job->now_ns = loop_now_wall_ns(manager->options.loop);
    buf_init(&job->pem, 2 * CERTIFICATE_MAX_BYTES);
    if (is_store)
        buf_add_str(&job->pem, buf_str(&manager->held.pem));
    manager->work = work_start(manager->options.pool, &vtable, job, manager);
}

/* --- asking --- */

static void forget_request(struct certificate_manager *manager)
{
    certificate_request_cancel(TAKE(manager->request));
    EVP_PKEY_free(TAKE(manager->key));
}

/* Looks again when the back-off is over. */
static void rest_after_failure(struct certificate_manager *manager)
{
    int64_t now_ns = loop_now_mono_ns(manager->options.loop);
    int64_t wait_ns = growing_wait_next(&manager->wait, &policy, now_ns, jitter_draw());
    manager->state = RESTING;
    manager->resume_ns = sat_add_i64(now_ns, wait_ns);
    loop_timer_start(manager->due, wait_ns);
}

static void fail(struct certificate_manager *manager, const struct error *err)
{
    log_error("Could not get a certificate, will try again",
              LOG_STR("signerName", manager->options.signer_name), LOG_ERR(err));
    forget_request(manager);
    rest_after_failure(manager);
    tell_failure(manager);
}

/* What was signed, with the key it is for. */
static struct error *adopt(struct certificate_manager *manager, struct str certificate_pem)
{
    AUTO(buf) struct buf pem = {0};
    struct held held = {0};
    buf_init(&pem, 2 * CERTIFICATE_MAX_BYTES);
    struct error *err = crypto_copy_certificates(certificate_pem, &pem);
    if (!err)
        err = crypto_write_named_key(manager->key, &pem);
    if (!err)
        err = held_read(buf_str(&pem), &held);
    if (pem.data)
        explicit_bzero(pem.data, pem.len);
    if (err)
        return error_wrap(err, "the certificate that was signed");
    int64_t old_from_s = manager->held.from_s;
    bool had_one = manager->held.certificate != NULL;
    held_done(&manager->held);
    manager->held = held;
    if (had_one && manager->listener->on_rotated)
        manager->listener->on_rotated(
            manager->ctx, sat_mul_i64(sat_sub_i64(now_s(manager), old_from_s), NS_PER_SEC));
    return NULL;
}

static void on_signed(void *ctx, struct str certificate_pem, struct error *err_owned)
{
    struct certificate_manager *manager = ctx;
    AUTO(error) struct error *err = err_owned;
    manager->request = NULL;
    if (!err)
        err = adopt(manager, certificate_pem);
    if (err) {
        fail(manager, err);
        return;
    }
    forget_request(manager);
    /* One that is old on arrival, by our clock, is used but does not have the next asked for at
     * once. */
    if (manager->held.rotate_s <= now_s(manager) || !is_fit(manager))
        rest_after_failure(manager);
    else
        manager->wait = (struct growing_wait){0};
    log_info("A new certificate is in use", LOG_STR("signerName", manager->options.signer_name),
             LOG_INT("expiresInSeconds", manager->held.until_s - now_s(manager)));
    manager->state = STORING;
    watch_end(manager);
    start_job(manager, true);
    tell_certificate(manager);
}

static void ask(struct certificate_manager *manager)
{
    AUTO(buf) struct buf pem = {0};
    buf_init(&pem, CERTIFICATE_MAX_BYTES);
    manager->state = ASKING;
    AUTO(error) struct error *err = crypto_new_key(&manager->key);
    if (!err)
        err = x509_write_request(&manager->wanted, manager->key, &pem);
    if (err) {
        fail(manager, err);
        return;
    }
    log_info("Asking for a certificate", LOG_STR("signerName", manager->options.signer_name));
    const struct certificate_request_options options = {.signer_name = manager->options.signer_name,
                                                        .usages = manager->options.usages,
                                                        .usage_count = manager->options.usage_count,
                                                        .request_pem = buf_str(&pem)};
    manager->request = certificate_request_start(manager->options.loop, manager->options.client,
                                                 &options, on_signed, manager);
}

/* The one decision: whether it is time to ask. */
static void advance(struct certificate_manager *manager)
{
    if (manager->state != RESTING)
        return;
    loop_timer_cancel(manager->due);
    if (!manager->options.client || !manager->is_wanted)
        return;
    int64_t due_ns = is_fit(manager) ? until_ns(manager, manager->held.rotate_s) : 0;
    int64_t pause_ns = sat_sub_i64(manager->resume_ns, loop_now_mono_ns(manager->options.loop));
    int64_t wait_ns = max_i64(due_ns, pause_ns);
    if (wait_ns > 0)
        loop_timer_start(manager->due, wait_ns);
    else
        ask(manager);
}

static void on_due(void *ctx)
{
    advance(ctx);
}

/* --- what is wanted --- */

static struct text_list copy_list(const struct text_list *from, struct arena *arena)
{
    const char **items = arena_calloc(arena, from->count + 1, sizeof(*items));
    for (size_t i = 0; i < from->count; i++)
        items[i] = arena_strdup(arena, from->items[i]);
    return (struct text_list){items, from->count};
}

static bool list_eq(const struct text_list *a, const struct text_list *b)
{
    bool is_same = a->count == b->count;
    for (size_t i = 0; is_same && i < a->count; i++)
        is_same = text_eq(a->items[i], b->items[i]);
    return is_same;
}

static bool subject_eq(const struct x509_subject *a, const struct x509_subject *b)
{
    return text_eq(a->common_name, b->common_name) &&
           list_eq(&a->organizations, &b->organizations) && list_eq(&a->dns_names, &b->dns_names) &&
           list_eq(&a->addresses, &b->addresses);
}

void certificate_manager_want(struct certificate_manager *manager,
                              const struct x509_subject *subject)
{
    if (!subject) {
        manager->is_wanted = false;
        advance(manager);
        return;
    }
    bool is_same = manager->wanted_arena && subject_eq(subject, &manager->wanted);
    if (is_same && manager->is_wanted)
        return;
    if (!is_same) {
        struct arena *arena = arena_new(0);
        manager->wanted = (struct x509_subject){
            .organizations = copy_list(&subject->organizations, arena),
            .common_name = arena_strdup(arena, subject->common_name),
            .dns_names = copy_list(&subject->dns_names, arena),
            .addresses = copy_list(&subject->addresses, arena),
        };
        arena_free(manager->wanted_arena);
        manager->wanted_arena = arena;
    }
    manager->is_wanted = true;
    if (manager->state == ASKING && !is_same) {
        AUTO(error)
        struct error *err =
            error_new(ERROR_CANCELLED, "the request is for names that are no longer this node's");
        fail(manager, err);
        return;
    }
    advance(manager);
}

int64_t certificate_manager_end_s(const struct certificate_manager *manager)
{
    return manager->held.certificate ? manager->held.until_s : INT64_MAX;
}

/* --- life --- */

struct certificate_manager *certificate_manager_new(
    const struct certificate_manager_options *options, const struct certificate_listener *listener,
    void *ctx)
{
    struct certificate_manager *manager = xcalloc(1, sizeof(*manager));
    manager->arena = arena_new(0);
    manager->options = *options;
    manager->options.place = copy_place(&options->place, manager->arena);
    manager->options.signer_name = arena_strdup(manager->arena, options->signer_name);
    const struct text_list usages = {options->usages, options->usage_count};
    manager->options.usages = copy_list(&usages, manager->arena).items;
    manager->listener = listener;
    manager->ctx = ctx;
    manager->due = loop_timer_new(options->loop, "certificate", on_due, manager);
    manager->end = loop_timer_new(options->loop, "certificate's end", on_end, manager);
    manager->state = LOADING;
    start_job(manager, false);
    return manager;
}

void certificate_manager_free(struct certificate_manager *manager)
{
    if (!manager)
        return;
    work_cancel(manager->work);
    forget_request(manager);
    held_done(&manager->held);
    loop_timer_free(manager->due);
    loop_timer_free(manager->end);
    arena_free(manager->wanted_arena);
    arena_free(manager->arena);
    free(manager);
}
