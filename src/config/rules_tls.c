/* The names that TLS settings may use; part of rules_check_start(). */
#include "config/rules.h"

/* IANA names of the suites that the kubelet's TLS library knows, and its two legacy aliases. */
static const char *const cipher_suites[] = {
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_RC4_128_SHA",
};

static const char *const tls_versions[] = {"", "VersionTLS10", "VersionTLS11", "VersionTLS12",
                                           "VersionTLS13"};

/* IANA ids: P-256, P-384, P-521, X25519, and the three hybrids with ML-KEM. */
static const int32_t curves[] = {23, 24, 25, 29, 4587, 4588, 4589};

static bool is_curve(int32_t id)
{
    for (size_t i = 0; i < ARRAY_SIZE(curves); i++) {
        if (curves[i] == id)
            return true;
    }
    return false;
}

static struct error *check_curves(const Kubeletconfig__KubeletConfiguration *config)
{
    for (size_t i = 0; i < config->n_tls_curve_preferences; i++) {
        int32_t id = config->tls_curve_preferences[i];
        if (!is_curve(id))
            return error_new(ERROR_INVALID_ARGUMENT,
                             "tlsCurvePreferences: curve %d is not supported", id);
        for (size_t k = 0; k < i; k++) {
            if (config->tls_curve_preferences[k] == id)
                return error_new(ERROR_INVALID_ARGUMENT,
                                 "tlsCurvePreferences: curve %d is listed twice", id);
        }
    }
    return NULL;
}

struct error *rules_check_tls(const Kubeletconfig__KubeletConfiguration *config)
{
    for (size_t i = 0; i < config->n_tls_cipher_suites; i++) {
        if (!rules_is_one_of(config->tls_cipher_suites[i], cipher_suites,
                             ARRAY_SIZE(cipher_suites)))
            return error_new(ERROR_INVALID_ARGUMENT,
                             "Cipher suite %s not supported or doesn't exist",
                             config->tls_cipher_suites[i]);
    }
    const char *version = config->tls_min_version ? config->tls_min_version : "";
    if (!rules_is_one_of(version, tls_versions, ARRAY_SIZE(tls_versions)))
        return error_new(ERROR_INVALID_ARGUMENT, "unknown tls version \"%s\"", version);
    return check_curves(config);
}
