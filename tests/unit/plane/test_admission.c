#include "plane/admission.h"

#include "object_yaml.h"
#include "request_pem.h"

#include "certificates.pb-c.h"

static const char *const user_groups[] = {"system:authenticated"};
static const struct plane_user jane = {"jane", "", {user_groups, 1}, NULL, 0};

/* Namespaces: default lives, leaving is terminating. */
static const ProtobufCMessage *get(void *ctx, enum admission_object kind, const char *namespace_,
                                   const char *name)
{
    assert_null(namespace_);
    if (kind != ADMISSION_NAMESPACE)
        return NULL;
    if (text_eq(name, "default"))
        return object_parse("{metadata: {name: default}, status: {phase: Active}}",
                            &core__namespace__descriptor, ctx);
    if (text_eq(name, "leaving"))
        return object_parse("{metadata: {name: leaving}, status: {phase: Terminating}}",
                            &core__namespace__descriptor, ctx);
    return NULL;
}
static const struct admission_facts facts = {.get = get};

TEST_CASE(namespaces_gate_what_is_written_into_them)
{
    static const struct {
        const char *name;
        struct admission_request request;
        int code; /* 0: passes */
        const char *want;
    } rows[] = {
        {"into a living one",
         {.operation = ADMISSION_CREATE, .resource = "pods", .namespace_ = "default"},
         0,
         NULL},
        {"into none",
         {.operation = ADMISSION_CREATE, .resource = "pods", .namespace_ = "nowhere"},
         404,
         "namespaces \"nowhere\" not found"},
        {"into one that goes",
         {.operation = ADMISSION_CREATE,
          .resource = "pods",
          .namespace_ = "leaving",
          .name = "web"},
         403,
         "pods \"web\" is forbidden: unable to create new content in namespace leaving because it "
         "is being terminated"},
        {"an update in one that goes",
         {.operation = ADMISSION_UPDATE,
          .resource = "pods",
          .namespace_ = "leaving",
          .name = "web"},
         0,
         NULL},
        {"a delete in none",
         {.operation = ADMISSION_DELETE, .resource = "pods", .namespace_ = "nowhere", .name = "x"},
         0,
         NULL},
        {"of no namespace",
         {.operation = ADMISSION_CREATE, .resource = "nodes", .name = "n"},
         0,
         NULL},
        {"a review tells nothing",
         {.operation = ADMISSION_CREATE,
          .group = "authorization.k8s.io",
          .resource = "localsubjectaccessreviews",
          .namespace_ = "nowhere"},
         0,
         NULL},
        {"deleting default",
         {.operation = ADMISSION_DELETE, .resource = "namespaces", .name = "default"},
         403,
         "namespaces \"default\" is forbidden: this namespace may not be deleted"},
        {"deleting another",
         {.operation = ADMISSION_DELETE, .resource = "namespaces", .name = "web"},
         0,
         NULL},
        {"making one",
         {.operation = ADMISSION_CREATE, .resource = "namespaces", .name = "web"},
         0,
         NULL},
        {"a lease",
         {.operation = ADMISSION_CREATE,
          .group = "coordination.k8s.io",
          .resource = "leases",
          .namespace_ = "leaving"},
         403,
         "leases.coordination.k8s.io \"Unknown!\" is forbidden: unable to create new content in "
         "namespace leaving because it is being terminated"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct admission_request request = rows[i].request;
        request.user = &jane;
        request.facts = &facts;
        request.facts_ctx = arena;
        request.arena = arena;
        const Meta__Status *failure = admission_run(&request, NULL);
        if ((failure ? failure->code : 0) != rows[i].code)
            fail_msg("%s: %s", rows[i].name, failure ? failure->message : "passed");
        if (failure)
            assert_string_equal(failure->message, rows[i].want);
    }
}

TEST_CASE(a_terminating_namespace_is_named_as_the_cause)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct admission_request request = {.user = &jane,
                                              .operation = ADMISSION_CREATE,
                                              .resource = "pods",
                                              .namespace_ = "leaving",
                                              .name = "web",
                                              .facts = &facts,
                                              .facts_ctx = arena,
                                              .arena = arena};
    const Meta__Status *failure = admission_namespace_lifecycle(&request);
    assert_int_equal(failure->details->n_causes, 1);
    assert_string_equal(failure->details->causes[0]->reason, "NamespaceTerminating");
    assert_string_equal(failure->details->causes[0]->message,
                        "namespace leaving is being terminated");
    assert_string_equal(failure->details->causes[0]->field, "metadata.namespace");
}

TEST_CASE(generated_names_stand_for_objects_without_one)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct admission_request request = {
        .resource = "pods",
        .arena = arena,
        .object = object_parse("metadata: {generateName: web-}", &core__pod__descriptor, arena)};
    assert_string_equal(admission_forbidden(&request, "no")->message,
                        "pods \"web-\" is forbidden: no");
}

static const Meta__Status *ask_csr(const char *signer, const struct request_text *text,
                                   struct arena *arena)
{
    AUTO(free) char *pem = text ? request_pem(text) : xstrdup("rubbish");
    Certificates__CertificateSigningRequest *object =
        (Certificates__CertificateSigningRequest *)object_parse(
            arena_printf(arena, "{metadata: {name: r}, spec: {signerName: %s}}", signer),
            &certificates__certificate_signing_request__descriptor, arena);
    object->spec->has_request = true;
    object->spec->request.data = (uint8_t *)arena_strdup(arena, pem);
    object->spec->request.len = strlen(pem);
    const struct admission_request request = {.user = &jane,
                                              .operation = ADMISSION_CREATE,
                                              .group = "certificates.k8s.io",
                                              .resource = "certificatesigningrequests",
                                              .object = &object->base,
                                              .arena = arena};
    return admission_certificate_subject(&request);
}

TEST_CASE(nobody_asks_for_a_master_s_certificate)
{
    static const char client[] = "kubernetes.io/kube-apiserver-client";
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct request_text master = {.common_name = "jane", .organizations = {"system:masters"}};
    const struct request_text plain = {.common_name = "jane", .organizations = {"dev"}};
    assert_string_equal(ask_csr(client, &master, arena)->message,
                        "certificatesigningrequests.certificates.k8s.io \"r\" is forbidden: use of "
                        "kubernetes.io/kube-apiserver-client signer with system:masters group is "
                        "not allowed");
    assert_null(ask_csr(client, &plain, arena));
    assert_null(ask_csr("example.com/mine", &master, arena));
    assert_string_equal(ask_csr(client, NULL, arena)->message,
                        "certificatesigningrequests.certificates.k8s.io \"r\" is forbidden: failed "
                        "to parse CSR: PEM block type must be CERTIFICATE REQUEST");
}

TEST_MAIN(TEST(namespaces_gate_what_is_written_into_them),
          TEST(a_terminating_namespace_is_named_as_the_cause),
          TEST(generated_names_stand_for_objects_without_one),
          TEST(nobody_asks_for_a_master_s_certificate))
