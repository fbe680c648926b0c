/*
 * Tokens. A text that begins with '=' is the rest of it as a payload, signed here with the right
 * key; any other is a token as it stands. What verifies has claims that, signed again, verify to
 * the same claims; and base64url has one text for each value.
 */
#include "plane/jwt.h"
#include "wire/base64url.h"
#include "wire/crypto.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#define NOW INT64_C(1700000000)
#define COORDINATE_BYTES 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static EVP_PKEY *pkey;      /* made once, for all inputs */
static struct jwt_key *key; /* the same */

static void prepare(void)
{
    static const char pem[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgNkd20inaiSlO6ETD\n"
                              "9/z1eLYe3yezUIX48BCzTiha2QihRANCAATpluX/vEJ9YC+PzaVei78PEgAS9v9P\n"
                              "XX99CoNOLP0VQOpdWy8B5xNr+FTp/wgPoAAc7EdMXTvomquKVXqA3zgZ\n"
                              "-----END PRIVATE KEY-----\n";
    if (key)
        return;
    struct error *err = crypto_read_key(str_from(pem), &pkey);
    if (!err)
        err = jwt_key_new(pem, &key);
    ASSERT(!err);
}

static void check_base64url(struct str text, struct arena *arena)
{
    struct str bytes;
    AUTO(buf) struct buf again = {0};
    buf_init(&again, text.len + 1);
    if (!base64url_decode(text, arena, &bytes))
        return;
    base64url_encode(bytes, &again);
    ASSERT(str_eq(buf_str(&again), text));
}

static void sign(struct buf *token)
{
    unsigned char der[256];
    const unsigned char *at = der;
    size_t der_len = sizeof(der);
    AUTO(md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ASSERT(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey) == 1);
    ASSERT(EVP_DigestSign(ctx, der, &der_len, (const unsigned char *)token->data, token->len) == 1);
    AUTO(ecdsa_sig) ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)der_len);
    unsigned char raw[2 * COORDINATE_BYTES];
    ASSERT(BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, COORDINATE_BYTES) > 0);
    ASSERT(BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + COORDINATE_BYTES, COORDINATE_BYTES) > 0);
    buf_add_char(token, '.');
    base64url_encode((struct str){.ptr = (char *)raw, .len = sizeof(raw)}, token);
}

static bool refs_eq(const struct jwt_ref *a, const struct jwt_ref *b)
{
    return text_eq(a->name, b->name) && text_eq(a->uid, b->uid);
}

static bool claims_eq(const struct jwt_claims *a, const struct jwt_claims *b)
{
    for (size_t i = 0; i < a->audiences.count && i < b->audiences.count; i++)
        ASSERT(text_eq(a->audiences.items[i], b->audiences.items[i]));
    return a->audiences.count == b->audiences.count && text_eq(a->issuer, b->issuer) &&
           text_eq(a->subject, b->subject) && text_eq(a->id, b->id) &&
           text_eq(a->namespace_, b->namespace_) && a->expires_s == b->expires_s &&
           a->issued_s == b->issued_s && a->not_before_s == b->not_before_s &&
           a->has_warn_after == b->has_warn_after && a->warn_after_s == b->warn_after_s &&
           refs_eq(&a->service_account, &b->service_account) && refs_eq(&a->pod, &b->pod) &&
           refs_eq(&a->node, &b->node) && refs_eq(&a->secret, &b->secret);
}

static void check_token(struct str token, struct arena *arena)
{
    const char *issuer = jwt_peek_issuer(token, arena);
    const struct jwt_expectations expected = {.issuer = issuer ? issuer : "", .now_s = NOW};
    struct jwt_claims claims, again;
    AUTO(error) struct error *err = jwt_verify(key, token, &expected, arena, &claims);
    if (err) {
        ASSERT(err->code == ERROR_UNAUTHENTICATED);
        return;
    }
    AUTO(buf) struct buf out = {0};
    buf_init(&out, JWT_MAX_BYTES);
    AUTO(error) struct error *too_long = jwt_sign(key, &claims, &out);
    if (too_long) /* what was read escaped may be longer when it is written */
        return;
    AUTO(error) struct error *lost = jwt_verify(key, buf_str(&out), &expected, arena, &again);
    ASSERT(!lost && claims_eq(&claims, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare();
    AUTO(arena) struct arena *arena = arena_new(0);
    struct str text = {.ptr = (const char *)data, .len = size};
    if (size == 0 || data[0] != '=') {
        check_base64url(text, arena);
        check_token(text, arena);
        return 0;
    }
    AUTO(buf) struct buf token = {0};
    buf_init(&token, 4 * MiB);
    base64url_encode(STR_LITERAL("{\"alg\":\"ES256\"}"), &token);
    buf_add_char(&token, '.');
    base64url_encode((struct str){.ptr = text.ptr + 1, .len = text.len - 1}, &token);
    sign(&token);
    check_token(buf_str(&token), arena);
    return 0;
}
