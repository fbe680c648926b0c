/*
 * Certificate signing requests: who asks is noted at creation and never changes, the approval and
 * the certificate each have a subresource of their own.
 */
#include "plane/strategy_internal.h"

#include "plane/authn.h"
#include "plane/csr.h"

#include "certificates.pb-c.h"

typedef Certificates__CertificateSigningRequest request;
typedef Certificates__CertificateSigningRequestCondition condition;

/* pkg/apis/certificates/validation */
#define EXPIRATION_MIN_S 600
#define SIGNER_NAME_MAX_BYTES (253 + 1 + 253)

static void note_asker(Certificates__CertificateSigningRequestSpec *spec,
                       const struct plane_user *user, struct arena *arena)
{
    spec->username = arena_strdup(arena, user->name);
    spec->uid = is_empty(user->uid) ? NULL : arena_strdup(arena, user->uid);
    spec->groups = arena_calloc(arena, user->groups.count, sizeof(*spec->groups));
    spec->n_groups = user->groups.count;
    for (size_t i = 0; i < user->groups.count; i++)
        spec->groups[i] = arena_strdup(arena, user->groups.items[i]);
    spec->extra = arena_calloc(arena, user->extra_count, sizeof(void *));
    spec->n_extra = user->extra_count;
    for (size_t i = 0; i < user->extra_count; i++) {
        const struct plane_extra *from = &user->extra[i];
        Certificates__CertificateSigningRequestSpec__ExtraEntry *entry =
            NEW_MESSAGE(arena, Certificates__CertificateSigningRequestSpec__ExtraEntry,
                        certificates__certificate_signing_request_spec__extra_entry);
        Certificates__ExtraValue *value =
            NEW_MESSAGE(arena, Certificates__ExtraValue, certificates__extra_value);
        value->n_items = from->values.count;
        value->items = arena_calloc(arena, from->values.count, sizeof(*value->items));
        for (size_t k = 0; k < from->values.count; k++)
            value->items[k] = arena_strdup(arena, from->values.items[k]);
        entry->key = arena_strdup(arena, from->key);
        entry->value = value;
        spec->extra[i] = entry;
    }
}

static void set_defaults(ProtobufCMessage *object, struct arena *arena)
{
    request *csr = (request *)object;
    if (!csr->spec)
        csr->spec = NEW_MESSAGE(arena, Certificates__CertificateSigningRequestSpec,
                                certificates__certificate_signing_request_spec);
    for (size_t i = 0; csr->status && i < csr->status->n_conditions; i++)
        strategy_default_text(&csr->status->conditions[i]->status, "True", arena);
}

static Meta__Status *prepare_create(const struct strategy_context *context,
                                    ProtobufCMessage *object)
{
    request *csr = (request *)object;
    note_asker(csr->spec, context->user, context->arena);
    csr->status = NEW_MESSAGE(context->arena, Certificates__CertificateSigningRequestStatus,
                              certificates__certificate_signing_request_status);
    return NULL;
}

/* --- conditions --- */

static const condition *find_condition(const request *csr, const char *type)
{
    for (size_t i = 0; csr->status && i < csr->status->n_conditions; i++) {
        if (text_eq(csr->status->conditions[i]->type, type))
            return csr->status->conditions[i];
    }
    return NULL;
}

static void set_condition_times(const struct strategy_context *context, request *csr,
                                const request *old)
{
    for (size_t i = 0; csr->status && i < csr->status->n_conditions; i++) {
        condition *each = csr->status->conditions[i];
        const condition *before = find_condition(old, each->type);
        if (!each->last_update_time)
            each->last_update_time = object_time(context->now_wall_ns, context->arena);
        if (each->last_transition_time)
            continue;
        bool is_same = before && text_eq(before->status, each->status);
        each->last_transition_time = is_same && before->last_transition_time
                                         ? before->last_transition_time
                                         : object_time(context->now_wall_ns, context->arena);
    }
}

/* The approval changes the conditions only. */
static void keep_certificate(const struct strategy_context *context, request *csr,
                             const request *old)
{
    Certificates__CertificateSigningRequestStatus *status =
        NEW_MESSAGE(context->arena, Certificates__CertificateSigningRequestStatus,
                    certificates__certificate_signing_request_status);
    if (old->status) {
        status->has_certificate = old->status->has_certificate;
        status->certificate = old->status->certificate;
    }
    if (csr->status) {
        status->n_conditions = csr->status->n_conditions;
        status->conditions = csr->status->conditions;
    }
    csr->status = status;
}

static Meta__Status *prepare_update(const struct strategy_context *context,
                                    ProtobufCMessage *object, const ProtobufCMessage *old_object)
{
    request *csr = (request *)object;
    const request *old = (const request *)old_object;
    csr->spec = old->spec;
    if (strategy_is_through(context, "approval"))
        keep_certificate(context, csr, old);
    else if (!strategy_is_through(context, "status"))
        csr->status = old->status;
    if (context->subresource)
        set_condition_times(context, csr, old);
    return NULL;
}

/* --- validation --- */

static const char *const usages[] = {"any",
                                     "cert sign",
                                     "client auth",
                                     "code signing",
                                     "content commitment",
                                     "crl sign",
                                     "data encipherment",
                                     "decipher only",
                                     "digital signature",
                                     "email protection",
                                     "encipher only",
                                     "ipsec end system",
                                     "ipsec tunnel",
                                     "ipsec user",
                                     "key agreement",
                                     "key encipherment",
                                     "microsoft sgc",
                                     "netscape sgc",
                                     "ocsp signing",
                                     "s/mime",
                                     "server auth",
                                     "signing",
                                     "timestamping",
                                     NULL};

static void check_usages(struct validation *v,
                         const Certificates__CertificateSigningRequestSpec *spec)
{
    const struct field_path *path = FIELD(FIELD(NULL, "spec"), "usages");
    struct text_map seen = {.arena = v->scratch};
    if (spec->n_usages == 0)
        field_required(v, path, NULL);
    for (size_t i = 0; i < spec->n_usages; i++) {
        if (!is_one_of(spec->usages[i], usages))
            field_not_supported(v, FIELD_AT(path, i), spec->usages[i], usages);
        if (!text_map_add(&seen, or_empty(spec->usages[i]), i))
            field_duplicate(v, FIELD_AT(path, i), spec->usages[i]);
    }
}

/* "example.com/signer-name": a domain of two parts at least, and a path. */
static void check_signer_name(struct validation *v, const char *name)
{
    const struct field_path *path = FIELD(FIELD(NULL, "spec"), "signerName");
    if (is_empty(name)) {
        field_required(v, path, NULL);
        return;
    }
    const char *slash = strchr(name, '/');
    if (!slash) {
        field_invalid(v, path, name,
                      "must be a fully qualified domain and path of the form "
                      "'example.com/signer-name'");
        return;
    }
    struct str domain = {.ptr = name, .len = (size_t)(slash - name)};
    struct name_faults faults = {.count = 0};
    name_rule_dns1123_subdomain(domain, &faults);
    name_rule_dns1123_subdomain(str_from(slash + 1), &faults);
    for (size_t i = 0; i < faults.count; i++)
        field_invalid(v, path, name, faults.messages[i]);
    if (str_find(domain, '.') == domain.len)
        field_invalid(v, path, name,
                      "should be a domain with at least two segments separated by "
                      "dots");
    if (strlen(name) > SIGNER_NAME_MAX_BYTES)
        field_too_long(v, path, SIGNER_NAME_MAX_BYTES);
    if (text_eq(name, "kubernetes.io/legacy-unknown"))
        field_invalid(v, path, name, "is not allowed via this API version");
}

static void check_spec(struct validation *v,
                       const Certificates__CertificateSigningRequestSpec *spec)
{
    const struct field_path *path = FIELD(NULL, "spec");
    const struct str pem = {.ptr = (const char *)spec->request.data, .len = spec->request.len};
    struct csr csr;
    AUTO(error) struct error *err = csr_read(pem, v->scratch, &csr);
    if (err)
        field_invalid_raw(v, FIELD(path, "request"),
                          arena_printf(v->scratch, "\"%.*s\"", STR_ARG(pem)), err->message);
    check_usages(v, spec);
    check_signer_name(v, spec->signer_name);
    if (spec->has_expiration_seconds && spec->expiration_seconds < EXPIRATION_MIN_S)
        field_invalid_number(v, FIELD(path, "expirationSeconds"), spec->expiration_seconds,
                             "may not specify a duration less than 600 seconds (10 minutes)");
}

static void check_conditions(struct validation *v, const request *csr)
{
    static const char *const terminal[] = {"Approved", "Denied", "Failed", NULL};
    static const char *const only_true[] = {"True", NULL};
    static const char *const any[] = {"True", "False", "Unknown", NULL};
    const struct field_path *path = FIELD(FIELD(NULL, "status"), "conditions");
    struct text_map seen = {.arena = v->scratch};
    bool is_decided = false;
    for (size_t i = 0; csr->status && i < csr->status->n_conditions; i++) {
        const condition *each = csr->status->conditions[i];
        const struct field_path *at = FIELD_AT(path, i);
        field_check_present(v, FIELD(at, "type"), each->type);
        field_check_enum(v, FIELD(at, "status"), each->status,
                         is_one_of(each->type, terminal) ? only_true : any);
        bool is_decision = text_eq(each->type, "Approved") || text_eq(each->type, "Denied");
        if (!text_map_add(&seen, or_empty(each->type), i))
            field_duplicate(v, FIELD(at, "type"), each->type);
        else if (is_decision && is_decided)
            field_invalid(v, FIELD(at, "type"), each->type,
                          "Approved and Denied conditions are mutually exclusive");
        is_decided = is_decided || is_decision;
    }
}

/* A decision stays, and only the approval makes one; so does a failure, which the signer notes. */
static void check_decisions(struct validation *v, const struct strategy_context *context,
                            const request *csr, const request *old)
{
    static const char *const types[] = {"Approved", "Denied", "Failed"};
    const struct field_path *path = FIELD(FIELD(NULL, "status"), "conditions");
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        bool was = find_condition(old, types[i]) != NULL;
        bool is = find_condition(csr, types[i]) != NULL;
        if (was && !is)
            field_forbidden(v, path,
                            arena_printf(v->scratch,
                                         "updates may not remove a condition of type \"%s\"",
                                         types[i]));
        bool is_failure = strcmp(types[i], "Failed") == 0;
        if (!was && is && !is_failure && !strategy_is_through(context, "approval"))
            field_forbidden(v, path,
                            arena_printf(v->scratch,
                                         "updates may not add a condition of type \"%s\"",
                                         types[i]));
    }
}

static void check_certificate(struct validation *v, const request *csr, const request *old)
{
    const struct field_path *path = FIELD(FIELD(NULL, "status"), "certificate");
    static const Certificates__CertificateSigningRequestStatus none =
        CERTIFICATES__CERTIFICATE_SIGNING_REQUEST_STATUS__INIT;
    const ProtobufCBinaryData *now = csr->status ? &csr->status->certificate : &none.certificate;
    const ProtobufCBinaryData *then = old->status ? &old->status->certificate : &none.certificate;
    bool is_same =
        now->len == then->len && (now->len == 0 || memcmp(now->data, then->data, now->len) == 0);
    if (then->len > 0 && !is_same)
        field_forbidden(v, path, "updates may not modify existing certificate content");
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    if (then->len == 0 && now->len > 0 && !memmem(now->data, now->len, begin, sizeof(begin) - 1))
        field_invalid(v, path, "<certificate data>",
                      "must contain at least one CERTIFICATE PEM block");
}

static void validate(const struct strategy_context *context, const ProtobufCMessage *object,
                     const ProtobufCMessage *old_object, struct field_errors *errors)
{
    const request *csr = (const request *)object;
    const request *old = (const request *)old_object;
    struct validation v = strategy_validation(context, errors);
    if (!old) {
        meta_validate(&v, csr->metadata, META_CLUSTER, name_rule_path_segment);
        check_spec(&v, csr->spec);
        return;
    }
    meta_validate_update(&v, csr->metadata, old->metadata);
    check_conditions(&v, csr);
    check_decisions(&v, context, csr, old);
    check_certificate(&v, csr, old);
}

const struct strategy strategy_certificate_signing_request = {
    .set_defaults = set_defaults,
    .prepare_create = prepare_create,
    .prepare_update = prepare_update,
    .validate = validate,
};
