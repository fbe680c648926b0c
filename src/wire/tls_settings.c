#include "wire/tls_settings.h"

#include "base/buf.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#define LIST_MAX_BYTES (4 * KiB) /* all suites of the table together are less */

struct suite {
    const char *iana;
    const char *openssl; /* NULL: one of TLS 1.3 */
    bool is_insecure;
};

/* Best first, as Go prefers them on a machine with AES instructions. */
static const struct suite suites[] = {
    {"TLS_AES_128_GCM_SHA256", NULL, false},
    {"TLS_AES_256_GCM_SHA384", NULL, false},
    {"TLS_CHACHA20_POLY1305_SHA256", NULL, false},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", false},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256", false},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", false},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384", false},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", false},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305", false},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305", false},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "ECDHE-RSA-CHACHA20-POLY1305", false},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA", false},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA", false},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA", false},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA", false},
    {"TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256", true},
    {"TLS_RSA_WITH_AES_256_GCM_SHA384", "AES256-GCM-SHA384", true},
    {"TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA", true},
    {"TLS_RSA_WITH_AES_256_CBC_SHA", "AES256-SHA", true},
    {"TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", "ECDHE-RSA-DES-CBC3-SHA", true},
    {"TLS_RSA_WITH_3DES_EDE_CBC_SHA", "DES-CBC3-SHA", true},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "ECDHE-ECDSA-AES128-SHA256", true},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", "ECDHE-RSA-AES128-SHA256", true},
    {"TLS_RSA_WITH_AES_128_CBC_SHA256", "AES128-SHA256", true},
    {"TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", "ECDHE-ECDSA-RC4-SHA", true},
    {"TLS_ECDHE_RSA_WITH_RC4_128_SHA", "ECDHE-RSA-RC4-SHA", true},
    {"TLS_RSA_WITH_RC4_128_SHA", "RC4-SHA", true},
};

/* Best first, likewise. The hybrids came with OpenSSL 3.5. */
static const struct curve {
    int32_t id;
    const char *name;
} curves[] = {
    {4588, "X25519MLKEM768"},
    {4587, "SecP256r1MLKEM768"},
    {4589, "SecP384r1MLKEM1024"},
    {29, "X25519"},
    {23, "P-256"},
    {24, "P-384"},
    {25, "P-521"},
};

/* A context to ask which names OpenSSL knows; the caller frees it. */
static SSL_CTX *new_oracle(void)
{
    ERR_clear_error();
    SSL_CTX *oracle = SSL_CTX_new(TLS_server_method());
    if (!oracle)
        base_die("openssl: out of memory");
    SSL_CTX_set_security_level(oracle, 0);
    return oracle;
}
DEFINE_AUTO(oracle, SSL_CTX *, SSL_CTX_free)

/* --- suites --- */

static bool is_suite(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(suites); i++) {
        if (text_eq(suites[i].iana, name))
            return true;
    }
    return false;
}

static void add_name(struct text_list *list, const char **items, const char *name)
{
    items[list->count++] = name;
    list->items = items;
}

/* A suite and its alias are one. */
static bool has_suite(const struct buf *list, const char *openssl)
{
    struct str rest = buf_str(list), name;
    while (rest.len > 0 && str_split_next(&rest, ':', &name)) {
        if (str_eq_c(name, openssl))
            return true;
    }
    return false;
}

struct error *tls_suites_choose(const struct text_list *names, struct arena *arena,
                                struct tls_suites *ret)
{
    for (size_t i = 0; i < names->count; i++) {
        if (!is_suite(names->items[i]))
            return error_new(ERROR_INVALID_ARGUMENT,
                             "Cipher suite %s not supported or doesn't exist", names->items[i]);
    }
    AUTO(oracle) SSL_CTX *oracle = new_oracle();
    AUTO(buf) struct buf list = {0};
    buf_init(&list, LIST_MAX_BYTES);
    struct tls_suites chosen = {0};
    const char **insecure = arena_calloc(arena, ARRAY_SIZE(suites), sizeof(*insecure));
    const char **missing = arena_calloc(arena, ARRAY_SIZE(suites), sizeof(*missing));
    for (size_t i = 0; i < ARRAY_SIZE(suites); i++) {
        const struct suite *suite = &suites[i];
        if (!suite->openssl || !text_list_has(names, suite->iana))
            continue;
        if (suite->is_insecure)
            add_name(&chosen.insecure, insecure, suite->iana);
        if (SSL_CTX_set_cipher_list(oracle, suite->openssl) != 1)
            add_name(&chosen.missing, missing, suite->iana);
        else if (!has_suite(&list, suite->openssl))
            buf_printf(&list, "%s%s", list.len > 0 ? ":" : "", suite->openssl);
    }
    ERR_clear_error();
    chosen.ciphers = list.len > 0 ? arena_strdup(arena, buf_text(&list)) : NULL;
    *ret = chosen;
    return NULL;
}

/* --- curves --- */

static bool has_id(const int32_t *ids, size_t count, int32_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id)
            return true;
    }
    return false;
}

static bool is_curve(int32_t id)
{
    for (size_t i = 0; i < ARRAY_SIZE(curves); i++) {
        if (curves[i].id == id)
            return true;
    }
    return false;
}

struct error *tls_groups_choose(const int32_t *ids, size_t count, struct arena *arena,
                                const char **ret)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_curve(ids[i]))
            return error_new(ERROR_INVALID_ARGUMENT, "curve %d is not supported", ids[i]);
    }
    AUTO(oracle) SSL_CTX *oracle = new_oracle();
    AUTO(buf) struct buf list = {0};
    buf_init(&list, LIST_MAX_BYTES);
    for (size_t i = 0; i < ARRAY_SIZE(curves); i++) {
        if (!has_id(ids, count, curves[i].id))
            continue;
        bool is_known = SSL_CTX_set1_groups_list(oracle, curves[i].name) == 1;
        ERR_clear_error();
        if (!is_known)
            return error_new(ERROR_FAILED_PRECONDITION, "curve %d (%s) is not supported by %s",
                             curves[i].id, curves[i].name, OpenSSL_version(OPENSSL_VERSION));
        buf_printf(&list, "%s%s", list.len > 0 ? ":" : "", curves[i].name);
    }
    *ret = count > 0 ? arena_strdup(arena, buf_text(&list)) : NULL;
    return NULL;
}
