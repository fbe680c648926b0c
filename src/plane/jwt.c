/*
 * A token is three base64url texts joined by dots: header, payload, signature. Signing writes the
 * first two and signs "header.payload"; verifying first checks the signature over the very bytes
 * that came, and only then believes the payload.
 *
 * ES256 signatures are r and s as 32 big-endian bytes each, where OpenSSL speaks DER; the two
 * helpers below translate.
 */
#include "plane/jwt.h"

#include "wire/crypto.h"

#include "wire/base64url.h"
#include "wire/json.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#define COORDINATE_BYTES ((size_t)32) /* of P-256 */
#define SIGNATURE_BYTES (2 * COORDINATE_BYTES)
#define POINT_BYTES (1 + 2 * COORDINATE_BYTES) /* uncompressed: 4, x, y */
#define KEY_ID_MAX_BYTES 64
#define SHOWN_LIST_MAX_BYTES ((size_t)4 * KiB) /* of audiences in a refusal */

struct jwt_key {
    EVP_PKEY *pkey;             /* owned */
    struct buf id;              /* jwt_key_id() */
    uint8_t point[POINT_BYTES]; /* the public key */
};

/* --- the key --- */

static struct error *read_public_part(struct jwt_key *key)
{
    char group[32] = "";
    size_t len = 0;
    if (!EVP_PKEY_get_utf8_string_param(key->pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group),
                                        NULL) ||
        !text_eq(group, SN_X9_62_prime256v1))
        return error_new(ERROR_INVALID_ARGUMENT, "the signing key is not a P-256 key");
    if (!EVP_PKEY_get_octet_string_param(key->pkey, OSSL_PKEY_PARAM_PUB_KEY, key->point,
                                         sizeof(key->point), &len) ||
        len != POINT_BYTES || key->point[0] != POINT_CONVERSION_UNCOMPRESSED)
        return crypto_error("reading the public part of the signing key");

    unsigned char *der = NULL;
    int der_len = i2d_PUBKEY(key->pkey, &der);
    if (der_len <= 0)
        return crypto_error("encoding the public part of the signing key");
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(der, (size_t)der_len, digest);
    OPENSSL_free(der);
    base64url_encode((struct str){.ptr = (char *)digest, .len = sizeof(digest)}, &key->id);
    return NULL;
}

struct error *jwt_key_new(const char *pem, struct jwt_key **ret)
{
    AUTO(jwt_key) struct jwt_key *key = xcalloc(1, sizeof(*key));
    buf_init(&key->id, KEY_ID_MAX_BYTES);
    struct error *err = crypto_read_key(str_from(pem), &key->pkey);
    if (!err)
        err = read_public_part(key);
    if (err)
        return err;
    *ret = TAKE(key);
    return NULL;
}

void jwt_key_free(struct jwt_key *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->pkey);
    buf_done(&key->id);
    free(key);
}

const char *jwt_key_id(const struct jwt_key *key)
{
    return buf_text(&key->id);
}

/* --- signatures --- */

static struct error *raw_from_der(const unsigned char *der, size_t der_len,
                                  uint8_t raw[static SIGNATURE_BYTES])
{
    AUTO(ecdsa_sig) ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)der_len);
    if (!sig || BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, COORDINATE_BYTES) < 0 ||
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + COORDINATE_BYTES, COORDINATE_BYTES) < 0)
        return crypto_error("encoding a token's signature");
    return NULL;
}

/* *ret is OpenSSL's memory, the caller frees it. Returns its length, or 0. */
static size_t der_from_raw(const uint8_t raw[static SIGNATURE_BYTES], unsigned char **ret)
{
    AUTO(ecdsa_sig) ECDSA_SIG *sig = ECDSA_SIG_new();
    AUTO(bignum) BIGNUM *r = BN_bin2bn(raw, COORDINATE_BYTES, NULL);
    AUTO(bignum) BIGNUM *s = BN_bin2bn(raw + COORDINATE_BYTES, COORDINATE_BYTES, NULL);
    if (!sig || !r || !s || !ECDSA_SIG_set0(sig, r, s))
        return 0;
    r = NULL; /* now the signature's */
    s = NULL;
    int len = i2d_ECDSA_SIG(sig, ret);
    return len > 0 ? (size_t)len : 0;
}

static struct error *sign(const struct jwt_key *key, struct str input,
                          uint8_t raw[static SIGNATURE_BYTES])
{
    unsigned char der[2 * SIGNATURE_BYTES];
    size_t der_len = sizeof(der);
    AUTO(md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    crypto_begin();
    if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key->pkey) != 1 ||
        EVP_DigestSign(ctx, der, &der_len, (const unsigned char *)input.ptr, input.len) != 1)
        return crypto_error("signing a token");
    return raw_from_der(der, der_len, raw);
}

static bool is_signed(const struct jwt_key *key, struct str input, struct str signature)
{
    if (signature.len != SIGNATURE_BYTES)
        return false;
    unsigned char *der = NULL;
    size_t der_len = der_from_raw((const uint8_t *)signature.ptr, &der);
    AUTO(md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool is_good =
        der_len > 0 && ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key->pkey) == 1 &&
        EVP_DigestVerify(ctx, der, der_len, (const unsigned char *)input.ptr, input.len) == 1;
    OPENSSL_free(der);
    crypto_begin(); /* a signature that does not fit leaves words in OpenSSL's queue */
    return is_good;
}

/* --- writing --- */

static void write_ref(struct doc_writer *writer, const char *key, const struct jwt_ref *ref)
{
    if (!ref->name)
        return;
    doc_write_key(writer, key);
    writer->ops->begin_object(writer);
    doc_write_key(writer, "name");
    doc_write_text(writer, ref->name);
    if (ref->uid) {
        doc_write_key(writer, "uid");
        doc_write_text(writer, ref->uid);
    }
    writer->ops->end_object(writer);
}

static void write_time(struct doc_writer *writer, const char *key, int64_t seconds)
{
    doc_write_key(writer, key);
    doc_write_integer(writer, seconds);
}

static void write_text(struct doc_writer *writer, const char *key, const char *text)
{
    if (!text)
        return;
    doc_write_key(writer, key);
    doc_write_text(writer, text);
}

static void write_private(struct doc_writer *writer, const struct jwt_claims *claims)
{
    doc_write_key(writer, "kubernetes.io");
    writer->ops->begin_object(writer);
    write_text(writer, "namespace", claims->namespace_);
    write_ref(writer, "node", &claims->node);
    write_ref(writer, "pod", &claims->pod);
    write_ref(writer, "secret", &claims->secret);
    write_ref(writer, "serviceaccount", &claims->service_account);
    if (claims->has_warn_after)
        write_time(writer, "warnafter", claims->warn_after_s);
    writer->ops->end_object(writer);
}

static void write_payload(const struct jwt_claims *claims, struct buf *out)
{
    struct json_writer json;
    json_writer_init(&json, out, false);
    struct doc_writer *writer = &json.base;
    writer->ops->begin_object(writer);
    doc_write_key(writer, "aud");
    writer->ops->begin_array(writer);
    for (size_t i = 0; i < claims->audiences.count; i++)
        doc_write_text(writer, claims->audiences.items[i]);
    writer->ops->end_array(writer);
    write_time(writer, "exp", claims->expires_s);
    write_time(writer, "iat", claims->issued_s);
    write_text(writer, "iss", claims->issuer);
    write_text(writer, "jti", claims->id);
    write_private(writer, claims);
    write_time(writer, "nbf", claims->not_before_s);
    write_text(writer, "sub", claims->subject);
    writer->ops->end_object(writer);
}

struct error *jwt_sign(const struct jwt_key *key, const struct jwt_claims *claims, struct buf *out)
{
    AUTO(buf) struct buf header = {0}, payload = {0}, token = {0};
    if (claims->audiences.count > JWT_MAX_AUDIENCES)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "a token is for at most %zu audiences",
                         JWT_MAX_AUDIENCES);
    buf_init(&header, JWT_MAX_BYTES);
    buf_init(&payload, JWT_MAX_BYTES);
    buf_init(&token, JWT_MAX_BYTES);
    buf_printf(&header, "{\"alg\":\"ES256\",\"kid\":\"%s\"}", jwt_key_id(key));
    write_payload(claims, &payload);
    struct error *err = buf_error(&payload, "the token's payload");
    if (err)
        return err;
    base64url_encode(buf_str(&header), &token);
    buf_add_char(&token, '.');
    base64url_encode(buf_str(&payload), &token);

    uint8_t raw[SIGNATURE_BYTES];
    err = sign(key, buf_str(&token), raw);
    if (err)
        return err;
    buf_add_char(&token, '.');
    base64url_encode((struct str){.ptr = (char *)raw, .len = sizeof(raw)}, &token);
    err = buf_error(&token, "the token");
    if (!err)
        buf_add_str(out, buf_str(&token));
    return err;
}

/* --- reading --- */

struct parts {
    struct str signed_input; /* header.payload */
    struct str header;       /* decoded */
    struct str payload;      /* decoded */
    struct str signature;    /* decoded */
};

static struct error *refuse(const char *why)
{
    return error_new(ERROR_UNAUTHENTICATED, "%s", why);
}

static struct error *take_apart(struct str token, struct arena *arena, struct parts *ret)
{
    if (token.len > JWT_MAX_BYTES)
        return refuse("the token is too long");
    struct str rest = token, encoded[3];
    for (size_t i = 0; i < ARRAY_SIZE(encoded); i++) {
        if (!str_split_next(&rest, '.', &encoded[i]))
            return refuse("the token is not a JWT: it must have three parts");
    }
    if (rest.ptr)
        return refuse("the token is not a JWT: it must have three parts");
    if (!base64url_decode(encoded[0], arena, &ret->header) ||
        !base64url_decode(encoded[1], arena, &ret->payload) ||
        !base64url_decode(encoded[2], arena, &ret->signature))
        return refuse("the token is not a JWT: a part is not base64url");
    ret->signed_input = (struct str){.ptr = token.ptr, .len = encoded[0].len + 1 + encoded[1].len};
    return NULL;
}

static const struct doc_node *parse_object(struct str text, struct arena *arena)
{
    const struct doc_parse_options options = {.max_bytes = JWT_MAX_BYTES,
                                              .reject_duplicates = true};
    const struct doc_node *node = NULL;
    struct error *err = json_parse(text, &options, arena, &node);
    if (err) {
        error_ignore(err, "what is no JSON is no token of ours; the parser's place says nothing");
        return NULL;
    }
    return node->kind == DOC_OBJECT ? node : NULL;
}

/* The text of a member, NULL when it is missing or no string. */
static const char *get_text(const struct doc_node *object, const char *key)
{
    const struct doc_node *node = doc_get(object, key);
    return node && node->kind == DOC_STRING ? node->string.ptr : NULL;
}

static bool get_time(const struct doc_node *object, const char *key, int64_t *ret)
{
    const struct doc_node *node = doc_get(object, key);
    if (!node || node->kind != DOC_INTEGER || node->integer < 0)
        return false;
    *ret = node->integer;
    return true;
}

/* False when the member is there and is not an object with a name. A missing uid is "", which is no
 * object's: a pod's token may mention a node that was not there. */
static bool get_ref(const struct doc_node *object, const char *key, struct jwt_ref *ret)
{
    const struct doc_node *node = doc_get(object, key);
    if (!node)
        return true;
    if (node->kind != DOC_OBJECT)
        return false;
    ret->name = get_text(node, "name");
    ret->uid = doc_get(node, "uid") ? get_text(node, "uid") : "";
    return ret->name && ret->name[0] && ret->uid;
}

static bool get_audiences(const struct doc_node *payload, struct arena *arena,
                          struct jwt_claims *ret)
{
    const struct doc_node *node = doc_get(payload, "aud");
    if (!node || (node->kind != DOC_STRING && node->kind != DOC_ARRAY))
        return false;
    size_t count = node->kind == DOC_STRING ? 1 : node->array.count;
    if (count > JWT_MAX_AUDIENCES)
        return false;
    const char **audiences = arena_calloc(arena, count + 1, sizeof(*audiences));
    for (size_t i = 0; i < count; i++) {
        const struct doc_node *item = node->kind == DOC_STRING ? node : node->array.items[i];
        if (item->kind != DOC_STRING)
            return false;
        audiences[i] = item->string.ptr;
    }
    ret->audiences = (struct text_list){audiences, count};
    return true;
}

static bool get_private(const struct doc_node *payload, struct jwt_claims *ret)
{
    const struct doc_node *node = doc_get(payload, "kubernetes.io");
    if (!node || node->kind != DOC_OBJECT)
        return false;
    ret->namespace_ = get_text(node, "namespace");
    ret->has_warn_after = get_time(node, "warnafter", &ret->warn_after_s);
    return ret->namespace_ && (ret->has_warn_after || !doc_get(node, "warnafter")) &&
           get_ref(node, "serviceaccount", &ret->service_account) && ret->service_account.name &&
           get_ref(node, "pod", &ret->pod) && get_ref(node, "node", &ret->node) &&
           get_ref(node, "secret", &ret->secret);
}

static bool read_claims(const struct doc_node *payload, struct arena *arena, struct jwt_claims *ret)
{
    ret->issuer = get_text(payload, "iss");
    ret->subject = get_text(payload, "sub");
    ret->id = get_text(payload, "jti");
    return ret->issuer && ret->subject && (ret->id || !doc_get(payload, "jti")) &&
           get_time(payload, "exp", &ret->expires_s) && get_time(payload, "iat", &ret->issued_s) &&
           get_time(payload, "nbf", &ret->not_before_s) && get_audiences(payload, arena, ret) &&
           get_private(payload, ret);
}

static struct error *check_header(const struct jwt_key *key, const struct doc_node *header)
{
    if (!header || !text_eq(get_text(header, "alg"), "ES256"))
        return refuse("the token is not signed with ES256");
    if (doc_get(header, "crit"))
        return refuse("the token asks for extensions that are not known");
    if (doc_get(header, "kid") && !text_eq(get_text(header, "kid"), jwt_key_id(key)))
        return refuse("the token is signed with another key");
    return NULL;
}

static const char *quoted_list(const struct text_list *texts, struct arena *arena)
{
    /* Who asks for a review says as many audiences as fit into a body. */
    AUTO(buf) struct buf list;
    buf_init(&list, SHOWN_LIST_MAX_BYTES);
    for (size_t i = 0; i < texts->count && !list.overflowed; i++)
        buf_printf(&list, "%s\"%s\"", i > 0 ? " " : "", texts->items[i]);
    return list.overflowed ? "[too many to show]" : arena_printf(arena, "[%s]", buf_text(&list));
}

static struct error *check_audience(const struct jwt_claims *claims,
                                    const struct jwt_expectations *expectations,
                                    struct arena *arena)
{
    for (size_t i = 0; i < claims->audiences.count; i++) {
        if (text_list_has(&expectations->audiences, claims->audiences.items[i]))
            return NULL;
    }
    if (expectations->audiences.count == 0)
        return NULL;
    return error_new(
        ERROR_UNAUTHENTICATED, "token audiences %s is invalid for the target audiences %s",
        quoted_list(&claims->audiences, arena), quoted_list(&expectations->audiences, arena));
}

static struct error *check_claims(const struct jwt_claims *claims,
                                  const struct jwt_expectations *expectations, struct arena *arena)
{
    if (!text_eq(claims->issuer, expectations->issuer))
        return refuse("the token is of another issuer");
    const char *subject = arena_printf(arena, "system:serviceaccount:%s:%s", claims->namespace_,
                                       claims->service_account.name);
    if (!text_eq(claims->subject, subject))
        return refuse("sub claim is invalid");
    if (expectations->now_s > sat_add_i64(claims->expires_s, JWT_LEEWAY_S))
        return refuse("service account token has expired");
    if (expectations->now_s < sat_sub_i64(claims->not_before_s, JWT_LEEWAY_S) ||
        expectations->now_s < sat_sub_i64(claims->issued_s, JWT_LEEWAY_S))
        return refuse("service account token is not valid yet");
    return check_audience(claims, expectations, arena);
}

struct error *jwt_verify(const struct jwt_key *key, struct str token,
                         const struct jwt_expectations *expectations, struct arena *arena,
                         struct jwt_claims *ret)
{
    struct parts parts = {0};
    struct error *err = take_apart(token, arena, &parts);
    if (!err)
        err = check_header(key, parse_object(parts.header, arena));
    if (err)
        return err;
    if (!is_signed(key, parts.signed_input, parts.signature))
        return refuse("invalid signature");

    struct jwt_claims claims = {0};
    const struct doc_node *payload = parse_object(parts.payload, arena);
    if (!payload || !read_claims(payload, arena, &claims))
        return refuse("the token's claims are not those of a service account");
    err = check_claims(&claims, expectations, arena);
    if (!err)
        *ret = claims;
    return err;
}

const char *jwt_peek_issuer(struct str token, struct arena *arena)
{
    struct parts parts = {0};
    struct error *err = take_apart(token, arena, &parts);
    if (err) {
        error_ignore(err, "the caller only asks whether it is one");
        return NULL;
    }
    const struct doc_node *payload = parse_object(parts.payload, arena);
    return payload ? get_text(payload, "iss") : NULL;
}

/* --- documents --- */

static void add_coordinate(struct doc_writer *writer, const char *key, const uint8_t *bytes)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, KEY_ID_MAX_BYTES);
    base64url_encode((struct str){.ptr = (const char *)bytes, .len = COORDINATE_BYTES}, &text);
    write_text(writer, key, buf_text(&text));
}

void jwt_write_jwks(const struct jwt_key *key, struct buf *out)
{
    struct json_writer json;
    json_writer_init(&json, out, false);
    struct doc_writer *writer = &json.base;
    writer->ops->begin_object(writer);
    doc_write_key(writer, "keys");
    writer->ops->begin_array(writer);
    writer->ops->begin_object(writer);
    write_text(writer, "use", "sig");
    write_text(writer, "kty", "EC");
    write_text(writer, "kid", jwt_key_id(key));
    write_text(writer, "crv", "P-256");
    write_text(writer, "alg", "ES256");
    add_coordinate(writer, "x", key->point + 1);
    add_coordinate(writer, "y", key->point + 1 + COORDINATE_BYTES);
    writer->ops->end_object(writer);
    writer->ops->end_array(writer);
    writer->ops->end_object(writer);
}

static void write_list(struct doc_writer *writer, const char *key, const char *only)
{
    doc_write_key(writer, key);
    writer->ops->begin_array(writer);
    doc_write_text(writer, only);
    writer->ops->end_array(writer);
}

void jwt_write_discovery(const char *issuer, const char *jwks_uri, struct buf *out)
{
    struct json_writer json;
    json_writer_init(&json, out, false);
    struct doc_writer *writer = &json.base;
    writer->ops->begin_object(writer);
    write_text(writer, "issuer", issuer);
    write_text(writer, "jwks_uri", jwks_uri);
    write_list(writer, "response_types_supported", "id_token");
    write_list(writer, "subject_types_supported", "public");
    write_list(writer, "id_token_signing_alg_values_supported", "ES256");
    writer->ops->end_object(writer);
}
