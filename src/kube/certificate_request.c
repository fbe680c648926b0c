/*
 *     create ──► list and watch that one object ──► signed
 *        └──────────────────┴── failed, or patience ended
 *
 * What the reflector meets on its way (a server that is away) it heals itself; only the object's
 * own end, or the end of patience, is a failure. A first list without the object is none: it may
 * come from a cache that has not heard of it yet.
 */
#include "kube/certificate_request.h"

#include "kube/reflector.h"

#include "certificates.pb-c.h"

#define CREATE_TIMEOUT_NS (30 * NS_PER_SEC)

struct certificate_request {
    struct loop *loop;
    struct api_client *client;
    struct api_call *call;       /* of creating; NULL: over */
    struct reflector *reflector; /* NULL: not yet created */
    struct loop_timer *patience;
    char *uid; /* of the object */
    certificate_on_signed *on_signed;
    void *ctx;
};

void certificate_request_cancel(struct certificate_request *request)
{
    if (!request)
        return;
    if (request->call)
        api_call_cancel(TAKE(request->call));
    reflector_free(TAKE(request->reflector));
    loop_timer_free(TAKE(request->patience));
    free(TAKE(request->uid));
    loop_defer_free(request->loop, free, request);
}

static void finish(struct certificate_request *request, struct str pem, struct error *err_owned)
{
    certificate_on_signed *on_signed = request->on_signed;
    void *ctx = request->ctx;
    /* The bytes may live in what the reflector holds. */
    AUTO(free) char *copy = str_dup(pem);
    certificate_request_cancel(request);
    on_signed(ctx, (struct str){.ptr = copy, .len = pem.len}, err_owned);
}

static void fail(struct certificate_request *request, struct error *err_owned)
{
    finish(request, (struct str){0}, err_owned);
}

/* --- what becomes of the object --- */

static const Certificates__CertificateSigningRequestCondition *condition(
    const Certificates__CertificateSigningRequestStatus *status, const char *type)
{
    for (size_t i = 0; status && i < status->n_conditions; i++) {
        if (text_eq(status->conditions[i]->type, type))
            return status->conditions[i];
    }
    return NULL;
}

static const char *shown(const char *text)
{
    return text ? text : "";
}

static struct error *verdict(const Certificates__CertificateSigningRequestStatus *status)
{
    static const struct {
        const char *type, *word;
    } ends[] = {{"Denied", "is denied"}, {"Failed", "failed"}};
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        const Certificates__CertificateSigningRequestCondition *end =
            condition(status, ends[i].type);
        if (end)
            return error_new(ERROR_PERMISSION_DENIED,
                             "certificate signing request %s, reason: %s, message: %s",
                             ends[i].word, shown(end->reason), shown(end->message));
    }
    return NULL;
}

static void on_seen(void *ctx, const struct kube_object *object)
{
    struct certificate_request *request = ctx;
    if (!text_eq(kube_object_uid(object), request->uid)) {
        fail(request, error_new(ERROR_ABORTED, "csr \"%s\" changed UIDs", object->meta->name));
        return;
    }
    const Certificates__CertificateSigningRequest *csr =
        (const Certificates__CertificateSigningRequest *)object->message;
    struct error *err = verdict(csr->status);
    if (err) {
        fail(request, err);
        return;
    }
    if (condition(csr->status, "Approved") && csr->status->certificate.len > 0)
        finish(request,
               (struct str){.ptr = (const char *)csr->status->certificate.data,
                            .len = csr->status->certificate.len},
               NULL);
}

static void on_updated(void *ctx, UNUSED const struct kube_object *old,
                       const struct kube_object *object)
{
    on_seen(ctx, object);
}

static void on_deleted(void *ctx, const struct kube_object *object)
{
    fail(ctx, error_new(ERROR_NOT_FOUND, "csr \"%s\" was deleted", object->meta->name));
}

static const struct reflector_listener listener = {
    .on_added = on_seen, .on_updated = on_updated, .on_deleted = on_deleted};

/* --- asking --- */

static void watch(struct certificate_request *request, const char *name)
{
    AUTO(free) char *selector = xasprintf("metadata.name=%s", name);
    const struct reflector_options options = {
        .kind = kube_kind_find("certificates.k8s.io/v1", "CertificateSigningRequest"),
        .field_selector = selector,
        .is_streaming_off = true,
    };
    request->reflector =
        reflector_new(request->loop, request->client, &options, &listener, request);
    reflector_start(request->reflector);
}

static void on_created(void *ctx, struct api_result *result)
{
    struct certificate_request *request = ctx;
    request->call = NULL;
    if (result->err) {
        fail(request,
             error_wrap(error_dup(result->err), "cannot create certificate signing request"));
        return;
    }
    const Meta__ObjectMeta *meta = kube_object_meta(result->object);
    if (!meta || !meta->name || !meta->uid) {
        fail(request, error_new(ERROR_INTERNAL,
                                "cannot create certificate signing request: the answer has no "
                                "name or uid"));
        return;
    }
    request->uid = xstrdup(meta->uid);
    watch(request, meta->name);
}

static void on_impatient(void *ctx)
{
    fail(ctx, error_new(ERROR_DEADLINE_EXCEEDED, "timed out waiting for the condition"));
}

static const ProtobufCMessage *body_of(const struct certificate_request_options *options,
                                       struct arena *arena)
{
    Certificates__CertificateSigningRequest *csr =
        (Certificates__CertificateSigningRequest *)kube_message_new(
            &certificates__certificate_signing_request__descriptor, arena);
    Certificates__CertificateSigningRequestSpec *spec = csr->spec =
        (Certificates__CertificateSigningRequestSpec *)kube_message_new(
            &certificates__certificate_signing_request_spec__descriptor, arena);
    kube_object_ensure_meta(&csr->base, arena)->generate_name = arena_strdup(arena, "csr-");
    spec->signer_name = arena_strdup(arena, options->signer_name);
    spec->has_request = true;
    spec->request.len = options->request_pem.len;
    spec->request.data = arena_memdup(arena, options->request_pem.ptr, options->request_pem.len);
    spec->n_usages = options->usage_count;
    spec->usages = arena_calloc(arena, options->usage_count, sizeof(char *));
    for (size_t i = 0; i < options->usage_count; i++)
        spec->usages[i] = arena_strdup(arena, options->usages[i]);
    return &csr->base;
}

struct certificate_request *certificate_request_start(
    struct loop *loop, struct api_client *client, const struct certificate_request_options *options,
    certificate_on_signed *on_signed, void *ctx)
{
    struct certificate_request *request = xcalloc(1, sizeof(*request));
    *request = (struct certificate_request){
        .loop = loop, .client = client, .on_signed = on_signed, .ctx = ctx};
    request->patience = loop_timer_new(loop, "certificate request", on_impatient, request);
    loop_timer_start(request->patience, CERTIFICATE_REQUEST_PATIENCE_NS);
    AUTO(arena) struct arena *arena = arena_new(0);
    request->call =
        api_call_start(client,
                       &(struct api_request){.verb = API_CREATE,
                                             .kind = kube_kind_find("certificates.k8s.io/v1",
                                                                    "CertificateSigningRequest"),
                                             .body = body_of(options, arena),
                                             .timeout_ns = CREATE_TIMEOUT_NS},
                       on_created, request);
    return request;
}
