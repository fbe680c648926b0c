#include "plane/jwt.h"

#include "tests/lib/test.h"
#include "wire/base64url.h"
#include "wire/json.h"

/* Made for this test; it opens nothing. */
static const char key_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQghpLp9ZRwVaiK6yqu\n"
                              "nyCpiqPiSIvxtoztl6jSYMiFr1WhRANCAAT6dxkMxW7kTXlHPguhDaH8nnS9UOuF\n"
                              "k3vrKw3t+O0n9Nkr5yM8xEQGXj7GnOcT1t5X99l+UQ1NTGppF+wurUL2\n"
                              "-----END PRIVATE KEY-----\n";
static const char other_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                                "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg3HqHV0dGMCUp17zI\n"
                                "OuAPPu4zfYzoUPRoFr9f7x9BpEyhRANCAATaHPA/CZ4AnymMSH43q4cCghKfJr0X\n"
                                "kFisU3ETcRJg7WAbAxw9fmkTfKIN13Z1hbyvXKaYKo7EjcAqdXaFmJvM\n"
                                "-----END PRIVATE KEY-----\n";

#define NOW INT64_C(1700000000)

static const char *const audiences[] = {"https://kubernetes.default.svc.cluster.local", "vault"};
static const struct jwt_claims sample = {
    .issuer = "https://kubernetes.default.svc.cluster.local",
    .subject = "system:serviceaccount:default:web",
    .audiences = {audiences, 2},
    .expires_s = NOW + 3600,
    .issued_s = NOW,
    .not_before_s = NOW,
    .id = "0b2c1f3a",
    .namespace_ = "default",
    .service_account = {"web", "sa-uid"},
    .pod = {"web-0", "pod-uid"},
    .node = {"node-a", "node-uid"},
    .has_warn_after = true,
    .warn_after_s = NOW + 3607,
};

static struct jwt_key *make_key(const char *pem)
{
    struct jwt_key *key = NULL;
    assert_no_error(jwt_key_new(pem, &key));
    return key;
}

static const char *make_token(const struct jwt_key *key, const struct jwt_claims *claims,
                              struct arena *arena)
{
    AUTO(buf) struct buf out = {0};
    buf_init(&out, JWT_MAX_BYTES);
    assert_no_error(jwt_sign(key, claims, &out));
    return arena_strdup(arena, buf_text(&out));
}

/* The first two parts of a token that nobody has signed. */
static const char *unsigned_token(const char *header, const char *payload, struct arena *arena)
{
    AUTO(buf) struct buf out = {0};
    buf_init(&out, JWT_MAX_BYTES);
    base64url_encode(str_from(header), &out);
    buf_add_char(&out, '.');
    base64url_encode(str_from(payload), &out);
    return arena_strdup(arena, buf_text(&out));
}

/* --- signing and verifying --- */

TEST_CASE(a_signed_token_verifies_and_says_what_was_put_in)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(jwt_key) struct jwt_key *key = make_key(key_pem);
    const char *token = make_token(key, &sample, arena);
    const struct jwt_expectations expected = {
        .issuer = sample.issuer, .now_s = NOW, .audiences = {audiences + 1, 1}};
    struct jwt_claims claims;
    assert_no_error(jwt_verify(key, str_from(token), &expected, arena, &claims));
    assert_string_equal(claims.subject, sample.subject);
    assert_string_equal(claims.id, sample.id);
    assert_string_equal(claims.namespace_, "default");
    assert_string_equal(claims.service_account.name, "web");
    assert_string_equal(claims.service_account.uid, "sa-uid");
    assert_string_equal(claims.pod.name, "web-0");
    assert_string_equal(claims.node.uid, "node-uid");
    assert_null(claims.secret.name);
    assert_int_equal(claims.audiences.count, 2);
    assert_int_equal(claims.expires_s, NOW + 3600);
    assert_true(claims.has_warn_after);
    assert_int_equal(claims.warn_after_s, NOW + 3607);
    assert_string_equal(jwt_peek_issuer(str_from(token), arena), sample.issuer);
}

TEST_CASE(the_payload_is_written_as_kube_apiserver_writes_it)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(jwt_key) struct jwt_key *key = make_key(key_pem);
    struct str rest = str_from(make_token(key, &sample, arena)), header, payload, text;
    assert_true(str_split_next(&rest, '.', &header));
    assert_true(str_split_next(&rest, '.', &payload));
    assert_true(base64url_decode(header, arena, &text));
    assert_string_equal(arena_strndup(arena, text.ptr, text.len),
                        arena_printf(arena, "{\"alg\":\"ES256\",\"kid\":\"%s\"}", jwt_key_id(key)));
    assert_true(base64url_decode(payload, arena, &text));
    assert_string_equal(
        arena_strndup(arena, text.ptr, text.len),
        "{\"aud\":[\"https://kubernetes.default.svc.cluster.local\",\"vault\"],\"exp\":1700003600,"
        "\"iat\":1700000000,\"iss\":\"https://kubernetes.default.svc.cluster.local\","
        "\"jti\":\"0b2c1f3a\",\"kubernetes.io\":{\"namespace\":\"default\",\"node\":{\"name\":"
        "\"node-a\",\"uid\":\"node-uid\"},\"pod\":{\"name\":\"web-0\",\"uid\":\"pod-uid\"},"
        "\"serviceaccount\":{\"name\":\"web\",\"uid\":\"sa-uid\"},\"warnafter\":1700003607},"
        "\"nbf\":1700000000,\"sub\":\"system:serviceaccount:default:web\"}");
}

TEST_CASE(what_is_out_of_time_or_meant_for_others_is_refused)
{
    static const char *const other_audience[] = {"other"};
    static const struct {
        const char *name;
        int64_t now_s;
        const char *issuer;
        struct text_list audiences;
        const char *want; /* NULL: good */
    } rows[] = {
        {"any audience", NOW, NULL, {0}, NULL},
        {"within the leeway behind its end", NOW + 3660, NULL, {0}, NULL},
        {"expired", NOW + 3661, NULL, {0}, "service account token has expired"},
        {"within the leeway before its time", NOW - 60, NULL, {0}, NULL},
        {"too early", NOW - 61, NULL, {0}, "service account token is not valid yet"},
        {"another issuer", NOW, "https://else", {0}, "the token is of another issuer"},
        {"another audience",
         NOW,
         NULL,
         {other_audience, 1},
         "token audiences [\"https://kubernetes.default.svc.cluster.local\" \"vault\"] is invalid "
         "for the target audiences [\"other\"]"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(jwt_key) struct jwt_key *key = make_key(key_pem);
    const char *token = make_token(key, &sample, arena);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct jwt_expectations expected = {
            .issuer = rows[i].issuer ? rows[i].issuer : sample.issuer,
            .now_s = rows[i].now_s,
            .audiences = rows[i].audiences,
        };
        struct jwt_claims claims;
        AUTO(error)
        struct error *err = jwt_verify(key, str_from(token), &expected, arena, &claims);
        if (!rows[i].want && err)
            fail_msg("%s: %s", rows[i].name, err->message);
        if (!rows[i].want)
            continue;
        assert_non_null(err);
        assert_int_equal(err->code, ERROR_UNAUTHENTICATED);
        assert_string_equal(err->message, rows[i].want);
    }
}

TEST_CASE(every_changed_byte_of_a_token_is_noticed)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(jwt_key) struct jwt_key *key = make_key(key_pem);
    char *token = arena_strdup(arena, make_token(key, &sample, arena));
    const struct jwt_expectations expected = {.issuer = sample.issuer, .now_s = NOW};
    for (size_t i = 0; token[i]; i++) {
        char was = token[i];
        token[i] = was == 'A' ? 'B' : 'A';
        struct jwt_claims claims;
        assert_error_code(jwt_verify(key, str_from(token), &expected, arena, &claims),
                          ERROR_UNAUTHENTICATED);
        token[i] = was;
    }
}

TEST_CASE(another_key_is_another_signer)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(jwt_key) struct jwt_key *key = make_key(key_pem);
    AUTO(jwt_key) struct jwt_key *other = make_key(other_pem);
    assert_string_not_equal(jwt_key_id(key), jwt_key_id(other));
    const struct jwt_expectations expected = {.issuer = sample.issuer, .now_s = NOW};
    struct jwt_claims claims;
    assert_error_message(
        jwt_verify(other, str_from(make_token(key, &sample, arena)), &expected, arena, &claims),
        "the token is signed with another key");
}

TEST_CASE(foreign_shapes_are_refused_before_the_signature_is_looked_at)
{
    static const struct {
        const char *name;
        const char *header; /* NULL: @text is the token */
        const char *text;
        const char *want;
    } rows[] = {
        {"nothing", NULL, "", "the token is not a JWT: it must have three parts"},
        {"two parts", NULL, "a.b", "the token is not a JWT: it must have three parts"},
        {"four parts", NULL, "YQ.YQ.YQ.YQ", "the token is not a JWT: it must have three parts"},
        {"no base64url", NULL, "a=.YQ.YQ", "the token is not a JWT: a part is not base64url"},
        {"no JSON", "x", NULL, "the token is not signed with ES256"},
        {"alg none", "{\"alg\":\"none\"}", NULL, "the token is not signed with ES256"},
        {"alg HS256", "{\"alg\":\"HS256\"}", NULL, "the token is not signed with ES256"},
        {"alg twice", "{\"alg\":\"none\",\"alg\":\"ES256\"}", NULL,
         "the token is not signed with ES256"},
        {"crit", "{\"alg\":\"ES256\",\"crit\":[\"b64\"]}", NULL,
         "the token asks for extensions that are not known"},
        {"a number for kid", "{\"alg\":\"ES256\",\"kid\":1}", NULL,
         "the token is signed with another key"},
        {"right, but nobody signed", "{\"alg\":\"ES256\"}", NULL, "invalid signature"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(jwt_key) struct jwt_key *key = make_key(key_pem);
    const struct jwt_expectations expected = {.issuer = sample.issuer, .now_s = NOW};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *token =
            rows[i].header
                ? arena_printf(arena, "%s.%s", unsigned_token(rows[i].header, "{}", arena), "YQ")
                : rows[i].text;
        struct jwt_claims claims;
        AUTO(error)
        struct error *err = jwt_verify(key, str_from(token), &expected, arena, &claims);
        if (!err || strcmp(err->message, rows[i].want) != 0)
            fail_msg("%s: %s", rows[i].name, err ? err->message : "was taken");
    }
}

TEST_CASE(claims_that_contradict_each_other_are_refused)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(jwt_key) struct jwt_key *key = make_key(key_pem);
    const struct jwt_expectations expected = {.issuer = sample.issuer, .now_s = NOW};
    struct jwt_claims claims, result;
    claims = sample;
    claims.subject = "system:serviceaccount:kube-system:web";
    assert_error_message(
        jwt_verify(key, str_from(make_token(key, &claims, arena)), &expected, arena, &result),
        "sub claim is invalid");
    claims = sample;
    claims.service_account = (struct jwt_ref){0};
    assert_error_message(
        jwt_verify(key, str_from(make_token(key, &claims, arena)), &expected, arena, &result),
        "the token's claims are not those of a service account");
    claims = sample;
    claims.expires_s = -1;
    assert_error_code(
        jwt_verify(key, str_from(make_token(key, &claims, arena)), &expected, arena, &result),
        ERROR_UNAUTHENTICATED);
}

TEST_CASE(a_token_beyond_the_cap_is_neither_made_nor_read)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(jwt_key) struct jwt_key *key = make_key(key_pem);
    char *long_name = arena_alloc(arena, JWT_MAX_BYTES + 1);
    memset(long_name, 'a', JWT_MAX_BYTES);
    struct jwt_claims claims = sample;
    claims.id = long_name;
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 4 * JWT_MAX_BYTES);
    assert_error_code(jwt_sign(key, &claims, &out), ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(out.len, 0);
    const struct jwt_expectations expected = {.issuer = sample.issuer, .now_s = NOW};
    assert_error_message(jwt_verify(key, str_from(arena_printf(arena, "%s.a.a", long_name)),
                                    &expected, arena, &claims),
                         "the token is too long");
}

TEST_CASE(a_token_is_for_no_more_audiences_than_are_read)
{
    const char *many[JWT_MAX_AUDIENCES + 1];
    for (size_t i = 0; i < ARRAY_SIZE(many); i++)
        many[i] = "a";
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(jwt_key) struct jwt_key *key = make_key(key_pem);
    const struct jwt_expectations expected = {.issuer = sample.issuer, .now_s = NOW};
    struct jwt_claims claims = sample, result;
    claims.audiences = (struct text_list){many, JWT_MAX_AUDIENCES};
    const char *token = make_token(key, &claims, arena);
    assert_no_error(jwt_verify(key, str_from(token), &expected, arena, &result));
    claims.audiences.count++;
    AUTO(buf) struct buf out = {0};
    buf_init(&out, JWT_MAX_BYTES);
    assert_error_message(jwt_sign(key, &claims, &out), "a token is for at most 32 audiences");
}

TEST_CASE(a_refusal_shows_no_endless_list)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(jwt_key) struct jwt_key *key = make_key(key_pem);
    const char **many = arena_calloc(arena, 2000, sizeof(*many));
    for (size_t i = 0; i < 2000; i++)
        many[i] = "other";
    const struct jwt_expectations expected = {
        .issuer = sample.issuer, .now_s = NOW, .audiences = {many, 2000}};
    struct jwt_claims claims;
    assert_error_message(
        jwt_verify(key, str_from(make_token(key, &sample, arena)), &expected, arena, &claims),
        "token audiences [\"https://kubernetes.default.svc.cluster.local\" \"vault\"] is invalid "
        "for the target audiences [too many to show]");
}

/* --- keys and documents --- */

TEST_CASE(only_p256_private_keys_are_keys)
{
    struct jwt_key *key = NULL;
    assert_error_message(jwt_key_new("", &key), "not a PEM private key");
    assert_error_message(
        jwt_key_new("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", &key),
        "not a PEM private key");
    assert_null(key);
}

TEST_CASE(the_documents_name_the_key_and_the_issuer)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(jwt_key) struct jwt_key *key = make_key(key_pem);
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 4 * KiB);
    jwt_write_jwks(key, &out);
    const struct doc_parse_options options = {.max_bytes = 4 * KiB, .reject_duplicates = true};
    const struct doc_node *node = NULL;
    assert_no_error(json_parse(buf_str(&out), &options, arena, &node));
    const struct doc_node *keys = doc_get(node, "keys");
    assert_int_equal(keys->array.count, 1);
    assert_string_equal(doc_get(keys->array.items[0], "kid")->string.ptr, jwt_key_id(key));
    assert_int_equal(doc_get(keys->array.items[0], "x")->string.len, 43);
    assert_int_equal(doc_get(keys->array.items[0], "y")->string.len, 43);
    buf_clear(&out);
    jwt_write_discovery("https://kubernetes.default.svc", "https://10.0.0.1:6443/openid/v1/jwks",
                        &out);
    assert_string_equal(buf_text(&out),
                        "{\"issuer\":\"https://kubernetes.default.svc\",\"jwks_uri\":"
                        "\"https://10.0.0.1:6443/openid/v1/jwks\",\"response_types_supported\":["
                        "\"id_token\"],\"subject_types_supported\":[\"public\"],"
                        "\"id_token_signing_alg_values_supported\":[\"ES256\"]}");
}

TEST_MAIN(TEST(a_token_is_for_no_more_audiences_than_are_read),
          TEST(a_refusal_shows_no_endless_list),
          TEST(a_signed_token_verifies_and_says_what_was_put_in),
          TEST(the_payload_is_written_as_kube_apiserver_writes_it),
          TEST(what_is_out_of_time_or_meant_for_others_is_refused),
          TEST(every_changed_byte_of_a_token_is_noticed), TEST(another_key_is_another_signer),
          TEST(foreign_shapes_are_refused_before_the_signature_is_looked_at),
          TEST(claims_that_contradict_each_other_are_refused),
          TEST(a_token_beyond_the_cap_is_neither_made_nor_read),
          TEST(only_p256_private_keys_are_keys), TEST(the_documents_name_the_key_and_the_issuer))
