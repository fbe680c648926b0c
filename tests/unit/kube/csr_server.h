/*
 * The server's side of signing requests on tests/unit/kube/fake_api_client.h: answers creation, the
 * list and the watch of one request after the other, and says what becomes of it.
 *
 *     csr_server_accept(&server);                 POST, list, watch: the request is there, pending
 *     csr_server_sign(&server, certificate_pem);
 */
#pragma once

#include "tests/lib/test.h"
#include "tests/unit/kube/fake_api_client.h"

#include "certificates.pb-c.h"

#include "wire/x509.h"

#include <openssl/x509.h>

#define CSR_PATH "/apis/certificates.k8s.io/v1/certificatesigningrequests"

struct csr_server {
    struct loop *loop;
    void (*turn)(struct loop *loop); /* what has been started goes on */
    struct api_client *client;
    struct arena *arena;
    Certificates__CertificateSigningRequest *csr; /* the newest, as it is now */
    unsigned count, version;
    const struct x509_subject *subject; /* of what is issued; the test's */
};

static inline UNUSED void csr_server_touch(struct csr_server *server)
{
    server->csr->metadata->resource_version = arena_printf(server->arena, "%u", ++server->version);
}

/** Answers the POST that waits. */
static inline UNUSED void csr_server_create(struct csr_server *server)
{
    struct fake_exchange *post = fake_find(server->client, CSR_PATH);
    assert_non_null(post);
    assert_int_equal(post->verb, API_CREATE);
    server->csr =
        (Certificates__CertificateSigningRequest *)kube_message_dup(post->body, server->arena);
    server->count++;
    server->csr->metadata->name = arena_printf(server->arena, "csr-%u", server->count);
    server->csr->metadata->uid = arena_printf(server->arena, "uid-%u", server->count);
    csr_server_touch(server);
    fake_reply(post, &server->csr->base);
    server->turn(server->loop);
}

/** Answers the list, with the request in it when @is_there. */
static inline UNUSED void csr_server_list(struct csr_server *server, bool is_there)
{
    struct fake_exchange *list = fake_find(server->client, CSR_PATH);
    assert_non_null(list);
    assert_int_equal(list->verb, API_LIST);
    const ProtobufCMessage *object = &server->csr->base;
    fake_reply_list(list, &object, is_there ? 1 : 0, server->csr->metadata->resource_version, NULL);
    server->turn(server->loop);
}

static inline UNUSED struct fake_exchange *csr_server_watch(struct csr_server *server)
{
    struct fake_exchange *watch = fake_find(server->client, CSR_PATH);
    assert_non_null(watch);
    assert_true(watch->is_watch);
    return watch->is_open ? watch : fake_open(watch);
}

static inline UNUSED void csr_server_accept(struct csr_server *server)
{
    csr_server_create(server);
    csr_server_list(server, true);
    (void)csr_server_watch(server);
}

/** The request is another now, and the watch tells. */
static inline UNUSED void csr_server_tell(struct csr_server *server, enum watch_event_type type)
{
    csr_server_touch(server);
    (void)fake_send(csr_server_watch(server), type, &server->csr->base);
    server->turn(server->loop);
}

static inline UNUSED Certificates__CertificateSigningRequestStatus *csr_server_status(
    struct csr_server *server)
{
    if (!server->csr->status)
        server->csr->status = (Certificates__CertificateSigningRequestStatus *)kube_message_new(
            &certificates__certificate_signing_request_status__descriptor, server->arena);
    return server->csr->status;
}

static inline UNUSED void csr_server_condition(struct csr_server *server, const char *type,
                                               const char *reason, const char *message)
{
    Certificates__CertificateSigningRequestStatus *status = csr_server_status(server);
    status->n_conditions = 1;
    status->conditions = arena_calloc(server->arena, 1, sizeof(void *));
    status->conditions[0] = (Certificates__CertificateSigningRequestCondition *)kube_message_new(
        &certificates__certificate_signing_request_condition__descriptor, server->arena);
    status->conditions[0]->type = arena_strdup(server->arena, type);
    status->conditions[0]->status = arena_strdup(server->arena, "True");
    status->conditions[0]->reason = arena_strdup(server->arena, reason);
    status->conditions[0]->message = arena_strdup(server->arena, message);
}

static inline UNUSED void csr_server_sign(struct csr_server *server, const char *certificate_pem)
{
    csr_server_condition(server, "Approved", "Ok", "fine");
    Certificates__CertificateSigningRequestStatus *status = csr_server_status(server);
    status->has_certificate = true;
    status->certificate.len = strlen(certificate_pem);
    status->certificate.data =
        arena_memdup(server->arena, certificate_pem, strlen(certificate_pem));
    csr_server_tell(server, WATCH_MODIFIED);
}

/** A certificate for what the newest request asks for, of @ca, beginning now; in the arena. */
static inline UNUSED const char *csr_server_issue(struct csr_server *server,
                                                  const struct x509_pair *ca, int64_t life_s)
{
    const struct x509_subject *subject = server->subject;
    int64_t now_s = loop_now_wall_ns(server->loop) / NS_PER_SEC;
    const struct x509_issue issue = {.role = X509_ROLE_SERVER,
                                     .subject = *subject,
                                     .not_before_s = now_s,
                                     .not_after_s = now_s + life_s};
    AUTO(request) X509_REQ *request = NULL;
    AUTO(certificate) X509 *certificate = NULL;
    AUTO(buf) struct buf pem = {0};
    buf_init(&pem, 64 * KiB);
    assert_no_error(crypto_read_request(
        (struct str){(const char *)server->csr->spec->request.data, server->csr->spec->request.len},
        &request));
    assert_no_error(x509_issue(&issue, X509_REQ_get0_pubkey(request), ca, &certificate));
    assert_no_error(crypto_write_certificate(certificate, &pem));
    return arena_strdup(server->arena, buf_text(&pem));
}
