#include "tests/unit/plane/rest_bed.h"

#include "plane/csr.h"
#include "plane/facts.h"
#include "plane/jwt.h"
#include "tests/unit/plane/request_pem.h"

#define ACCOUNT "/api/v1/namespaces/default/serviceaccounts/default/token"
#define ISSUER "https://kubernetes.default.svc.cluster.local"

/* The bed with a key for tokens and an authenticator that knows it. */
struct identity {
    struct jwt_key *key;
    struct authn *authn;
};

static const char *const audiences[] = {ISSUER};

static void give_identity(struct rest_bed *bed, struct identity *identity)
{
    AUTO(pkey) EVP_PKEY *key = NULL;
    assert_no_error(crypto_new_key(&key));
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    AUTO(free) char *pem = xstrndup(data, (size_t)len);
    assert_no_error(jwt_key_new(pem, &identity->key));
    const struct authn_options options = {.key = identity->key,
                                          .issuer = ISSUER,
                                          .audiences = {audiences, ARRAY_SIZE(audiences)},
                                          .objects = &plane_authn_objects};
    assert_no_error(authn_new_blocking(&options, &identity->authn));
    bed->world.token_key = identity->key;
    bed->world.audiences = options.audiences;
    bed->world.authn = identity->authn;
}

static void drop_identity(struct identity *identity)
{
    authn_free(identity->authn);
    jwt_key_free(identity->key);
}

static struct jwt_claims claims_of(struct rest_bed *bed, const struct identity *identity,
                                   const char *token)
{
    const struct jwt_expectations expectations = {.issuer = ISSUER,
                                                  .now_s = bed->now_ns / NS_PER_SEC};
    struct jwt_claims claims;
    assert_no_error(jwt_verify(identity->key, str_from(token), &expectations, bed->arena, &claims));
    return claims;
}

TEST_CASE(a_token_lives_an_hour_unless_asked_otherwise)
{
    static const struct {
        const char *spec;
        const char *expires;
        int64_t lifetime_s, warn_after_s; /* 0: none */
    } rows[] = {
        {"{}", "2026-11-21T11:00:00Z", 3600, 0},
        {"{\"expirationSeconds\":600}", "2026-11-21T10:10:00Z", 600, 0},
        {"{\"expirationSeconds\":3607}", "2026-11-21T11:00:07Z", 365 * 86400, 3607},
        {"{\"expirationSeconds\":3607,\"audiences\":[\"vault\"]}", "2026-11-21T11:00:07Z", 3607, 0},
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    struct identity identity;
    give_identity(bed, &identity);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        rest_must(bed, "POST", ACCOUNT, arena_printf(bed->arena, "{\"spec\":%s}", rows[i].spec));
        assert_string_equal(rest_field(bed, "kind"), "TokenRequest");
        assert_string_equal(rest_field(bed, "apiVersion"), "authentication.k8s.io/v1");
        assert_string_equal(rest_field(bed, "metadata name"), "default");
        assert_string_equal(rest_field(bed, "status expirationTimestamp"), rows[i].expires);
        const struct jwt_claims claims = claims_of(bed, &identity, rest_field(bed, "status token"));
        assert_string_equal(claims.subject, "system:serviceaccount:default:default");
        assert_int_equal(claims.expires_s - claims.issued_s, rows[i].lifetime_s);
        assert_int_equal(claims.has_warn_after ? claims.warn_after_s - claims.issued_s : 0,
                         rows[i].warn_after_s);
        assert_null(claims.pod.name);
    }
    drop_identity(&identity);
}

TEST_CASE(a_token_may_be_bound_to_a_pod)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    struct identity identity;
    give_identity(bed, &identity);
    rest_must(bed, "POST", "/api/v1/nodes", "{\"metadata\":{\"name\":\"n\"}}");
    const char *node = arena_strdup(bed->arena, rest_field(bed, "metadata uid"));
    rest_must(bed, "POST", "/api/v1/namespaces/default/pods",
              "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"nodeName\":\"n\",\"containers\":[{"
              "\"name\":\"c\",\"image\":\"i\"}]}}");
    const char *pod = arena_strdup(bed->arena, rest_field(bed, "metadata uid"));
    rest_must(bed, "POST", ACCOUNT,
              arena_printf(bed->arena,
                           "{\"spec\":{\"boundObjectRef\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\","
                           "\"name\":\"web\",\"uid\":\"%s\"}}}",
                           pod));
    const struct jwt_claims claims = claims_of(bed, &identity, rest_field(bed, "status token"));
    assert_string_equal(claims.pod.uid, pod);
    assert_string_equal(claims.node.name, "n");
    assert_string_equal(claims.node.uid, node);
    assert_string_equal(claims.audiences.items[0], ISSUER);
    drop_identity(&identity);
}

TEST_CASE(a_token_of_a_pod_whose_node_has_no_object_is_good)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    struct identity identity;
    give_identity(bed, &identity);
    rest_must(bed, "POST", "/api/v1/namespaces/default/pods",
              "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"nodeName\":\"none\",\"containers\":[{"
              "\"name\":\"c\",\"image\":\"i\"}]}}");
    rest_must(bed, "POST", ACCOUNT,
              "{\"spec\":{\"boundObjectRef\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\","
              "\"name\":\"web\"}}}");
    const struct jwt_claims claims = claims_of(bed, &identity, rest_field(bed, "status token"));
    assert_string_equal(claims.pod.name, "web");
    assert_string_equal(claims.node.name, "none");
    assert_string_equal(claims.node.uid, "");
    drop_identity(&identity);
}

TEST_CASE(a_wrong_token_request_is_refused)
{
    static const struct {
        const char *body;
        unsigned code;
        const char *message;
    } rows[] = {
        {"{\"spec\":{\"expirationSeconds\":599}}", 422,
         "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid "
         "value: 599: may not specify a duration less than 10 minutes"},
        {"{\"spec\":{\"expirationSeconds\":4294967297}}", 422,
         "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid "
         "value: 4294967297: may not specify a duration larger than 2^32 seconds"},
        {"{\"metadata\":{\"name\":\"x\"}}", 422,
         "TokenRequest.authentication.k8s.io \"x\" is invalid: metadata.name: Invalid value: "
         "\"x\": must match the service account name if specified"},
        {"{\"spec\":{\"boundObjectRef\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"name\":\"x\"}}}",
         404, "pods \"x\" not found"},
        {"{\"spec\":{\"boundObjectRef\":{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"name\":\"x\"}"
         "}"
         "}",
         400, "cannot bind token to object of type v1, Kind=Service"},
        {"{\"spec\":{\"boundObjectRef\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"name\":\"web\","
         "\"uid\":\"x\"}}}",
         409,
         "Operation cannot be fulfilled on Pod \"web\": the UID in the bound object reference (x) "
         "does not match the UID in record. The object might have been deleted and then "
         "recreated"},
        {"{\"spec\":{\"boundObjectRef\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"name\":\"other\"}"
         "}"
         "}",
         400,
         "cannot bind token for serviceaccount \"default\" to pod running with different "
         "serviceaccount name."},
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    struct identity identity;
    give_identity(bed, &identity);
    rest_must(bed, "POST", "/api/v1/namespaces/default/serviceaccounts",
              "{\"metadata\":{\"name\":\"b\"}}");
    rest_must(bed, "POST", "/api/v1/namespaces/default/pods",
              "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"containers\":[{\"name\":\"c\","
              "\"image\":\"i\"}]}}");
    rest_must(bed, "POST", "/api/v1/namespaces/default/pods",
              "{\"metadata\":{\"name\":\"other\"},\"spec\":{\"serviceAccountName\":\"b\","
              "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        unsigned code = rest_ask(bed, "POST", ACCOUNT, rows[i].body);
        rest_expect(bed, code, rows[i].code, rows[i].message);
    }
    unsigned code = rest_ask(bed, "POST", "/api/v1/namespaces/default/serviceaccounts/none/token",
                             "{\"spec\":{}}");
    rest_expect(bed, code, 404, "serviceaccounts \"none\" not found");
    /* Admission has its say about what nodes ask for. */
    rest_bed_become(bed, "system:node:n", GROUP_NODES);
    code = rest_ask(bed, "POST", ACCOUNT, "{\"spec\":{}}");
    rest_expect(bed, code, 403,
                "serviceaccounts \"default\" is forbidden: node requested token not bound to a "
                "pod");
    drop_identity(&identity);
}

#define TOKEN_REVIEWS "/apis/authentication.k8s.io/v1/tokenreviews"

TEST_CASE(a_token_is_reviewed)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    struct identity identity;
    give_identity(bed, &identity);
    rest_must(bed, "POST", ACCOUNT, "{\"spec\":{}}");
    const char *token = arena_strdup(bed->arena, rest_field(bed, "status token"));
    rest_must(bed, "POST", TOKEN_REVIEWS,
              arena_printf(bed->arena, "{\"spec\":{\"token\":\"%s\"}}", token));
    assert_int_equal(bed->reply.code, 201);
    assert_string_equal(rest_field(bed, "status authenticated"), "true");
    assert_string_equal(rest_field(bed, "status user username"),
                        "system:serviceaccount:default:default");
    assert_string_equal(rest_field(bed, "status user groups 0"), "system:serviceaccounts");
    assert_string_equal(rest_field(bed, "status audiences"), "[\"" ISSUER "\"]");
    rest_must(bed, "POST", TOKEN_REVIEWS, "{\"spec\":{\"token\":\"rubbish\"}}");
    assert_string_equal(rest_field(bed, "status authenticated"), "");
    assert_string_not_equal(rest_field(bed, "status error"), "");
    unsigned code = rest_ask(bed, "POST", TOKEN_REVIEWS, "{\"spec\":{}}");
    rest_expect(bed, code, 400, "token is required for TokenReview in authentication");
    drop_identity(&identity);
}

#define AUTHORIZATION "/apis/authorization.k8s.io/v1/"

TEST_CASE(access_is_reviewed)
{
    static const struct {
        const char *target, *spec;
        unsigned code;
        const char *want; /* status.allowed, or the message */
    } rows[] = {
        {AUTHORIZATION "selfsubjectaccessreviews",
         "\"resourceAttributes\":{\"verb\":\"get\",\"resource\":\"pods\"}", 201, "true"},
        {AUTHORIZATION "selfsubjectaccessreviews",
         "\"nonResourceAttributes\":{\"verb\":\"get\",\"path\":\"/x\"}", 201, "true"},
        {AUTHORIZATION "selfsubjectaccessreviews", "", 422,
         "SelfSubjectAccessReview.authorization.k8s.io \"\" is invalid: spec.resourceAttributes: "
         "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be "
         "specified"},
        {AUTHORIZATION "subjectaccessreviews",
         "\"user\":\"eve\",\"resourceAttributes\":{\"verb\":\"get\",\"resource\":\"pods\"}", 201,
         "false"},
        {AUTHORIZATION "subjectaccessreviews",
         "\"user\":\"eve\",\"groups\":[\"system:masters\"],\"resourceAttributes\":{\"verb\":"
         "\"get\",\"resource\":\"pods\"}",
         201, "true"},
        {AUTHORIZATION "subjectaccessreviews",
         "\"resourceAttributes\":{\"verb\":\"get\",\"resource\":\"pods\"}", 422,
         "SubjectAccessReview.authorization.k8s.io \"\" is invalid: spec.user: Invalid value: "
         "\"\": at least one of user or group must be specified"},
        {AUTHORIZATION "namespaces/default/localsubjectaccessreviews",
         "\"user\":\"eve\",\"resourceAttributes\":{\"namespace\":\"default\",\"verb\":\"get\","
         "\"resource\":\"pods\"}",
         201, "false"},
        {AUTHORIZATION "namespaces/default/localsubjectaccessreviews",
         "\"user\":\"eve\",\"resourceAttributes\":{\"namespace\":\"x\",\"verb\":\"get\","
         "\"resource\":\"pods\"}",
         422,
         "LocalSubjectAccessReview.authorization.k8s.io \"\" is invalid: "
         "spec.resourceAttributes.namespace: Invalid value: \"x\": must match metadata.namespace"},
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        unsigned code = rest_ask(bed, "POST", rows[i].target,
                                 arena_printf(bed->arena, "{\"spec\":{%s}}", rows[i].spec));
        rest_expect(bed, code, rows[i].code, NULL);
        assert_string_equal(rest_field(bed, code == 201 ? "status allowed" : "message"),
                            rows[i].want);
    }
}

TEST_CASE(who_asks_about_itself_is_told)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    rest_bed_become(bed, "jane", "devs");
    rest_must(bed, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", "{}");
    assert_string_equal(rest_field(bed, "status userInfo"),
                        "{\"username\":\"jane\",\"groups\":[\"system:authenticated\",\"devs\"]}");
    rest_must(bed, "POST", AUTHORIZATION "selfsubjectrulesreviews",
              "{\"spec\":{\"namespace\":\"default\"}}");
    assert_string_not_equal(rest_field(bed, "status resourceRules"), "");
    unsigned code = rest_ask(bed, "POST", AUTHORIZATION "selfsubjectrulesreviews", "{}");
    rest_expect(bed, code, 400, "no namespace on request");
}

/* --- certificate signing requests --- */

#define CSRS "/apis/certificates.k8s.io/v1/certificatesigningrequests"

static const char *base64(struct arena *arena, const char *text)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = strlen(text), at = 0;
    char *out = arena_alloc(arena, (len + 2) / 3 * 4 + 1);
    for (size_t i = 0; i < len; i += 3) {
        unsigned bits = 0;
        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (i + k < len ? (unsigned char)text[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            out[at++] = k <= len - i ? letters[bits >> (18 - 6 * k) & 63] : '=';
    }
    return out;
}

static const char *csr_body(struct rest_bed *bed, const char *name, const char *more)
{
    AUTO(free)
    char *pem = request_pem(&(const struct request_text){.common_name = "system:node:n",
                                                         .organizations = {"system:nodes", NULL}});
    return arena_printf(bed->arena,
                        "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"request\":\"%s\",%s}}", name,
                        base64(bed->arena, pem), more);
}

#define USAGES                                                                                     \
    "\"signerName\":\"kubernetes.io/kube-apiserver-client-kubelet\",\"usages\":[\"client auth\","  \
    "\"digital signature\"]"

TEST_CASE(a_signing_request_notes_who_asks)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    rest_bed_become(bed, "jane", "devs");
    rest_must(bed, "POST", CSRS,
              csr_body(bed, "a", USAGES ",\"username\":\"eve\",\"groups\":[\"system:masters\"]"));
    assert_string_equal(rest_field(bed, "spec username"), "jane");
    assert_string_equal(rest_field(bed, "spec groups"), "[\"system:authenticated\",\"devs\"]");
    assert_string_equal(rest_field(bed, "status"), "{}");
    unsigned code = rest_patch_with(bed, "merge", CSRS "/a",
                                    "{\"spec\":{\"username\":\"eve\"},\"status\":{\"conditions\":[{"
                                    "\"type\":\"Approved\",\"status\":\"True\"}]}}");
    rest_expect(bed, code, 200, NULL);
    assert_string_equal(rest_field(bed, "spec username"), "jane");
    assert_string_equal(rest_field(bed, "status conditions"), "");
}

TEST_CASE(a_signing_request_is_approved_on_its_own_path)
{
    static const struct {
        const char *target, *patch;
        unsigned code;
        const char *message;
    } rows[] = {
        {CSRS "/a/status",
         "{\"status\":{\"conditions\":[{\"type\":\"Approved\",\"status\":\"True\"}]}}", 422,
         "CertificateSigningRequest.certificates.k8s.io \"a\" is invalid: status.conditions: "
         "Forbidden: updates may not add a condition of type \"Approved\""},
        {CSRS "/a/approval",
         "{\"status\":{\"conditions\":[{\"type\":\"Approved\",\"status\":\"False\"}]}}", 422,
         "CertificateSigningRequest.certificates.k8s.io \"a\" is invalid: "
         "status.conditions[0].status: Unsupported value: \"False\": supported values: \"True\""},
        {CSRS "/a/approval",
         "{\"status\":{\"conditions\":[{\"type\":\"Approved\",\"status\":\"True\",\"reason\":"
         "\"r\"}],\"certificate\":\"eA==\"}}",
         200, NULL},
        {CSRS "/a/approval",
         "{\"status\":{\"conditions\":[{\"type\":\"Approved\",\"status\":\"True\"},{\"type\":"
         "\"Denied\",\"status\":\"True\"}]}}",
         422,
         "CertificateSigningRequest.certificates.k8s.io \"a\" is invalid: "
         "status.conditions[1].type: Invalid value: \"Denied\": Approved and Denied conditions are "
         "mutually exclusive"},
        {CSRS "/a/approval", "{\"status\":{\"conditions\":[]}}", 422,
         "CertificateSigningRequest.certificates.k8s.io \"a\" is invalid: status.conditions: "
         "Forbidden: updates may not remove a condition of type \"Approved\""},
        {CSRS "/a/status", "{\"status\":{\"certificate\":\"eA==\"}}", 422, NULL},
        {CSRS "/a/status",
         "{\"status\":{\"certificate\":\"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==\"}}", 200, NULL},
        {CSRS "/a/status", "{\"status\":{\"certificate\":null}}", 422,
         "CertificateSigningRequest.certificates.k8s.io \"a\" is invalid: status.certificate: "
         "Forbidden: updates may not modify existing certificate content"},
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    rest_must(bed, "POST", CSRS, csr_body(bed, "a", USAGES));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        unsigned code = rest_patch_with(bed, "merge", rows[i].target, rows[i].patch);
        rest_expect(bed, code, rows[i].code, rows[i].message);
    }
    rest_must(bed, "GET", CSRS "/a", NULL);
    assert_string_equal(rest_field(bed, "status conditions 0 lastUpdateTime"),
                        "2026-11-21T10:00:00Z");
    assert_string_equal(rest_field(bed, "status conditions 0 lastTransitionTime"),
                        "2026-11-21T10:00:00Z");
}

TEST_CASE(a_wrong_signing_request_is_refused)
{
    static const struct {
        const char *spec, *message;
    } rows[] = {
        {"\"signerName\":\"kubernetes.io/kube-apiserver-client\"",
         "CertificateSigningRequest.certificates.k8s.io \"a\" is invalid: spec.usages: Required "
         "value"},
        {"\"signerName\":\"mine\",\"usages\":[\"client auth\"]",
         "CertificateSigningRequest.certificates.k8s.io \"a\" is invalid: spec.signerName: Invalid "
         "value: \"mine\": must be a fully qualified domain and path of the form "
         "'example.com/signer-name'"},
        {USAGES ",\"expirationSeconds\":1",
         "CertificateSigningRequest.certificates.k8s.io \"a\" is invalid: spec.expirationSeconds: "
         "Invalid value: 1: may not specify a duration less than 600 seconds (10 minutes)"},
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        unsigned code = rest_ask(bed, "POST", CSRS, csr_body(bed, "a", rows[i].spec));
        rest_expect(bed, code, 422, rows[i].message);
    }
    unsigned code = rest_ask(bed, "POST", CSRS,
                             "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"request\":\"eA==\","
                             "\"signerName\":\"a.b/c\",\"usages\":[\"client auth\"]}}");
    assert_int_equal(code, 422);
    assert_non_null(
        strstr(rest_field(bed, "message"), "PEM block type must be CERTIFICATE REQUEST"));
}

TEST_MAIN(TEST(a_token_lives_an_hour_unless_asked_otherwise), TEST(a_token_may_be_bound_to_a_pod),
          TEST(a_token_of_a_pod_whose_node_has_no_object_is_good),
          TEST(a_wrong_token_request_is_refused), TEST(a_token_is_reviewed),
          TEST(access_is_reviewed), TEST(who_asks_about_itself_is_told),
          TEST(a_signing_request_notes_who_asks),
          TEST(a_signing_request_is_approved_on_its_own_path),
          TEST(a_wrong_signing_request_is_refused))
