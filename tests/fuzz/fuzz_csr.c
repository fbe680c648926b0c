/*
 * Certificate requests. What begins with '-' is PEM as it stands; anything else is DER, which, when
 * OpenSSL reads it at all, is signed anew here so that names are looked at behind the check of the
 * signature. What is read has texts without control characters; what a signer takes is issued, and
 * the certificate is for the same names.
 */
#include "plane/pki_internal.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW INT64_C(1700000000)

static struct x509_pair ca; /* made once, for all inputs */

static void prepare(void)
{
    const struct x509_issue issue = {.role = X509_ROLE_CA,
                                     .subject = {.common_name = "kubernetes"},
                                     .not_before_s = NOW,
                                     .not_after_s = NOW + PKI_CA_LIFE_S};
    if (ca.certificate)
        return;
    struct error *err = crypto_new_key(&ca.key);
    if (!err)
        err = x509_issue(&issue, ca.key, NULL, &ca.certificate);
    ASSERT(!err);
}

static char *signed_anew(const uint8_t *data, size_t size)
{
    const unsigned char *at = data;
    AUTO(request) X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)size);
    crypto_begin();
    if (!request || X509_REQ_set_pubkey(request, ca.key) != 1 ||
        X509_REQ_sign(request, ca.key, EVP_sha256()) <= 0)
        return NULL;
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    if (PEM_write_bio_X509_REQ(bio, request) != 1)
        return NULL;
    long len = BIO_get_mem_data(bio, &text);
    return xstrndup(text, (size_t)len);
}

static void check_texts(const struct text_list *list)
{
    ASSERT(list->count <= CSR_MAX_NAMES);
    for (size_t i = 0; i < list->count; i++) {
        for (const char *c = list->items[i]; *c; c++)
            ASSERT((unsigned char)*c >= ' ' && *c != 0x7f);
    }
}

static void check_issue(enum csr_signer signer, const struct csr *csr)
{
    static const char *const client[] = {"digital signature", "client auth"};
    static const char *const server[] = {"digital signature", "server auth"};
    const struct text_list usages = {signer == CSR_SIGNER_SERVING ? server : client, 2};
    AUTO(error) struct error *refused = csr_check(signer, csr, &usages);
    if (refused) {
        ASSERT(refused->code == ERROR_INVALID_ARGUMENT);
        return;
    }
    const struct x509_issue issue = {
        .role = signer == CSR_SIGNER_SERVING ? X509_ROLE_SERVER : X509_ROLE_CLIENT,
        .subject = {.organizations = csr->organizations,
                    .common_name = csr->common_name,
                    .dns_names = csr->dns_names,
                    .addresses = csr->addresses},
        .not_before_s = NOW,
        .not_after_s = NOW + PKI_LEAF_LIFE_S,
    };
    AUTO(certificate) X509 *certificate = NULL;
    AUTO(error) struct error *err = x509_issue(&issue, ca.key, &ca, &certificate);
    ASSERT(!err);
    ASSERT(X509_verify(certificate, ca.key) == 1);
    const X509_NAME *subject = X509_get_subject_name(certificate);
    ASSERT(X509_NAME_entry_count(subject) ==
           (int)csr->organizations.count + (csr->common_name[0] ? 1 : 0));
    for (size_t i = 0; i < csr->addresses.count; i++)
        ASSERT(X509_check_ip_asc(certificate, csr->addresses.items[i], 0) == 1);
    crypto_begin();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare();
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(free)
    char *pem =
        size > 0 && data[0] == '-' ? xstrndup((const char *)data, size) : signed_anew(data, size);
    if (!pem)
        return 0;
    struct csr csr;
    AUTO(error) struct error *err = csr_read(str_from(pem), arena, &csr);
    if (err) {
        ASSERT(err->code == ERROR_INVALID_ARGUMENT || err->code == ERROR_INTERNAL);
        return 0;
    }
    check_texts(&csr.organizations);
    check_texts(&csr.dns_names);
    check_texts(&csr.addresses);
    check_texts(&csr.emails);
    check_texts(&csr.uris);
    check_issue(CSR_SIGNER_CLIENT, &csr);
    check_issue(CSR_SIGNER_CLIENT_KUBELET, &csr);
    check_issue(CSR_SIGNER_SERVING, &csr);
    return 0;
}
