/*
 * Certificate signing requests: approved by themselves where upstream's controller does so, signed
 * once approved, and forgotten after a while.
 */
#include "plane/controllers_internal.h"

#include "plane/pki.h"

#include "certificates.pb-c.h"

/* Upstream's cleaner: what was approved or refused stays an hour, what is pending a day. */
#define SETTLED_LIFE_NS (3600 * NS_PER_SEC)
#define PENDING_LIFE_NS (86400 * NS_PER_SEC)

static void on_change(struct controllers *controllers, struct ctl_change *change)
{
    if (change->row->type != STORE_DELETED &&
        strcmp(change->row->key.resource, "certificatesigningrequests.certificates.k8s.io") == 0)
        ctl_enqueue(controllers, &concern_signing, &change->row->key);
}

static const struct resource *csr_resource(void)
{
    return resource_find("certificates.k8s.io", "v1", "certificatesigningrequests");
}

static bool has_condition(const Certificates__CertificateSigningRequest *object, const char *type)
{
    for (size_t i = 0; object->status && i < object->status->n_conditions; i++) {
        if (text_eq(object->status->conditions[i]->type, type))
            return true;
    }
    return false;
}

static void add_condition(const struct ctl_run *run,
                          Certificates__CertificateSigningRequest *object, const char *type,
                          const char *reason, const char *message)
{
    struct arena *arena = run->env->arena;
    if (!object->status)
        object->status = (Certificates__CertificateSigningRequestStatus *)kube_message_new(
            &certificates__certificate_signing_request_status__descriptor, arena);
    Certificates__CertificateSigningRequestStatus *status = object->status;
    Certificates__CertificateSigningRequestCondition **conditions =
        arena_alloc(arena, (status->n_conditions + 1) * sizeof(void *));
    for (size_t i = 0; i < status->n_conditions; i++)
        conditions[i] = status->conditions[i];
    Certificates__CertificateSigningRequestCondition *condition =
        (Certificates__CertificateSigningRequestCondition *)kube_message_new(
            &certificates__certificate_signing_request_condition__descriptor, arena);
    condition->type = arena_strdup(arena, type);
    condition->status = arena_strdup(arena, "True");
    condition->reason = arena_strdup(arena, reason);
    condition->message = arena_strdup(arena, message);
    condition->last_update_time = object_time(run->env->now_wall_ns, arena);
    condition->last_transition_time = condition->last_update_time;
    conditions[status->n_conditions++] = condition;
    status->conditions = conditions;
}

static struct text_list usages_of(const Certificates__CertificateSigningRequest *object)
{
    return (struct text_list){.items = (const char *const *)object->spec->usages,
                              .count = object->spec->n_usages};
}

/* --- approving --- */

static Meta__Status *approve(const struct ctl_run *run,
                             Certificates__CertificateSigningRequest *object,
                             enum csr_signer signer, const struct csr *csr)
{
    struct csr_approval approvals[CSR_APPROVALS_MAX];
    const struct text_list usages = usages_of(object);
    const struct plane_user asker = {
        .name = object->spec->username ? object->spec->username : "",
        .uid = object->spec->uid ? object->spec->uid : "",
        .groups = {.items = (const char *const *)object->spec->groups,
                   .count = object->spec->n_groups},
    };
    const struct authz_policy policy = {0};
    size_t count = csr_approvals(signer, csr, &usages, &asker, approvals);
    for (size_t i = 0; i < count; i++) {
        const struct authz_attributes attributes = {
            .user = &asker,
            .verb = "create",
            .is_resource = true,
            .group = "certificates.k8s.io",
            .version = "v1",
            .resource = "certificatesigningrequests",
            .subresource = approvals[i].subresource,
        };
        if (!authz_decide(&attributes, &policy, run->env->arena).is_allowed)
            continue;
        add_condition(run, object, "Approved", "AutoApproved", approvals[i].message);
        return rest_update(run->env, run->user, csr_resource(), "approval", &object->base, NULL);
    }
    return NULL; /* for a person to decide */
}

/* --- signing --- */

/* @object has a status: it is approved. */
static Meta__Status *sign(const struct ctl_run *run,
                          Certificates__CertificateSigningRequest *object, enum csr_signer signer)
{
    const struct pki_order order = {
        .signer = signer,
        .request_pem = {.ptr = (const char *)object->spec->request.data,
                        .len = object->spec->request.len},
        .usages = usages_of(object),
        .has_expiration = object->spec->has_expiration_seconds,
        .expiration_s = object->spec->expiration_seconds,
        .now_s = run->env->now_wall_ns / NS_PER_SEC,
    };
    const char *pem = NULL;
    AUTO(error)
    struct error *err = pki_sign_csr(run->options->pki, &order, run->env->arena, &pem);
    if (err) {
        add_condition(run, object, "Failed", "SignerValidationFailure", err->message);
    } else if (object->status) {
        object->status->has_certificate = true;
        object->status->certificate = (ProtobufCBinaryData){
            .data = arena_memdup(run->env->arena, pem, strlen(pem)), .len = strlen(pem)};
    }
    return rest_update(run->env, run->user, csr_resource(), "status", &object->base, NULL);
}

static Meta__Status *settle(struct ctl_run *run, Certificates__CertificateSigningRequest *object)
{
    enum csr_signer signer;
    struct csr csr;
    if (!object->spec->signer_name || !csr_signer_from_name(object->spec->signer_name, &signer))
        return NULL; /* somebody else's */
    const struct str pem = {.ptr = (const char *)object->spec->request.data,
                            .len = object->spec->request.len};
    AUTO(error) struct error *err = csr_read(pem, run->env->arena, &csr);
    if (err) {
        add_condition(run, object, "Failed", "SignerValidationFailure", err->message);
        return rest_update(run->env, run->user, csr_resource(), "status", &object->base, NULL);
    }
    Meta__Status *failure = NULL;
    if (!has_condition(object, "Approved"))
        failure = approve(run, object, signer, &csr);
    if (!failure && has_condition(object, "Approved"))
        failure = sign(run, object, signer);
    return failure;
}

static Meta__Status *reconcile(struct ctl_run *run, const struct store_key *key)
{
    ProtobufCMessage *message = NULL;
    Meta__Status *failure = ctl_read(run, "certificates.k8s.io", "certificatesigningrequests", NULL,
                                     key->name, &message);
    Certificates__CertificateSigningRequest *object =
        (Certificates__CertificateSigningRequest *)message;
    if (failure || !object || !object->spec || object->metadata->deletion_timestamp)
        return failure;
    bool is_signed = object->status && object->status->has_certificate;
    bool is_over = is_signed || has_condition(object, "Denied") || has_condition(object, "Failed");
    int64_t age_ns =
        sat_sub_i64(run->env->now_wall_ns, object_time_ns(object->metadata->creation_timestamp));
    int64_t life_ns =
        is_over || has_condition(object, "Approved") ? SETTLED_LIFE_NS : PENDING_LIFE_NS;
    if (age_ns >= life_ns)
        return ctl_delete(run, csr_resource(), NULL, key->name, 0);
    run->again_after_ns = life_ns - max_i64(age_ns, 0);
    return is_over ? NULL : settle(run, object);
}

const struct concern concern_signing = {
    .name = "signing", .on_change = on_change, .reconcile = reconcile};
