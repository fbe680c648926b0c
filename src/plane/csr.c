#include "plane/csr.h"

#include "plane/authn.h"
#include "wire/crypto.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/stack.h>
#include <openssl/x509v3.h>

static const char *const signer_names[] = {
    [CSR_SIGNER_CLIENT] = "kubernetes.io/kube-apiserver-client",
    [CSR_SIGNER_CLIENT_KUBELET] = "kubernetes.io/kube-apiserver-client-kubelet",
    [CSR_SIGNER_SERVING] = "kubernetes.io/kubelet-serving",
};

bool csr_signer_from_name(const char *name, enum csr_signer *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(signer_names); i++) {
        if (text_eq(name, signer_names[i])) {
            *ret = (enum csr_signer)i;
            return true;
        }
    }
    return false;
}

/* --- reading --- */

static struct error *bad(const char *why)
{
    return error_new(ERROR_INVALID_ARGUMENT, "%s", why);
}

/* A list that grows while a request is read; room for CSR_MAX_NAMES. */
struct names_writer {
    const char **items;
    size_t count;
};

static struct error *add_name(struct names_writer *names, struct str text, struct arena *arena)
{
    if (names->count == CSR_MAX_NAMES)
        return error_new(ERROR_INVALID_ARGUMENT, "the request has more than %zu names",
                         CSR_MAX_NAMES);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < ' ' || c == 0x7f)
            return bad("a name of the request has a control character inside");
    }
    if (!names->items)
        names->items = arena_calloc(arena, CSR_MAX_NAMES, sizeof(*names->items));
    names->items[names->count++] = arena_strndup(arena, text.ptr ? text.ptr : "", text.len);
    return NULL;
}

static struct text_list names_done(const struct names_writer *names)
{
    return (struct text_list){.items = names->items, .count = names->count};
}

static struct error *add_asn1_text(struct names_writer *names, const ASN1_STRING *text,
                                   struct arena *arena)
{
    unsigned char *utf8 = NULL;
    int len = ASN1_STRING_to_UTF8(&utf8, text);
    if (len < 0)
        return crypto_error("reading a name of the request");
    struct error *err =
        add_name(names, (struct str){.ptr = (const char *)utf8, .len = (size_t)len}, arena);
    OPENSSL_free(utf8);
    return err;
}

/* All values of the subject's attribute @nid. */
static struct error *read_subject(X509_NAME *subject, int nid, struct arena *arena,
                                  struct text_list *ret)
{
    struct names_writer names = {0};
    for (int i = -1; (i = X509_NAME_get_index_by_NID(subject, nid, i)) >= 0;) {
        struct error *err =
            add_asn1_text(&names, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)), arena);
        if (err)
            return err;
    }
    *ret = names_done(&names);
    return NULL;
}

static struct error *add_address(struct names_writer *names, const ASN1_OCTET_STRING *bytes,
                                 struct arena *arena)
{
    char text[INET6_ADDRSTRLEN];
    int len = ASN1_STRING_length(bytes);
    int family = len == (int)sizeof(struct in_addr)    ? AF_INET
                 : len == (int)sizeof(struct in6_addr) ? AF_INET6
                                                       : -1;
    if (family < 0 || !inet_ntop(family, ASN1_STRING_get0_data(bytes), text, sizeof(text)))
        return bad("an IP address of the request has a strange length");
    return add_name(names, str_from(text), arena);
}

struct alternative_names {
    struct names_writer dns_names, addresses, emails, uris;
};

/* The text kinds of alternative names are IA5String, ASCII; anything else in them is a trick. */
static struct error *add_ascii(struct names_writer *names, const ASN1_STRING *text,
                               struct arena *arena)
{
    struct str bytes = {.ptr = (const char *)ASN1_STRING_get0_data(text),
                        .len = (size_t)ASN1_STRING_length(text)};
    for (size_t i = 0; i < bytes.len; i++) {
        if ((unsigned char)bytes.ptr[i] > 0x7e)
            return bad("a name of the request is not ASCII");
    }
    return add_name(names, bytes, arena);
}

/* Kinds of names beside these four (directory names, other names) are not copied into certificates,
 * so they are passed over, as Go's x509 does. */
static struct error *add_alternative(struct alternative_names *names, const GENERAL_NAME *name,
                                     struct arena *arena)
{
    if (name->type == GEN_DNS)
        return add_ascii(&names->dns_names, name->d.dNSName, arena);
    if (name->type == GEN_EMAIL)
        return add_ascii(&names->emails, name->d.rfc822Name, arena);
    if (name->type == GEN_URI)
        return add_ascii(&names->uris, name->d.uniformResourceIdentifier, arena);
    if (name->type == GEN_IPADD)
        return add_address(&names->addresses, name->d.iPAddress, arena);
    return NULL;
}

static struct error *read_alternatives(X509_REQ *request, struct arena *arena, struct csr *ret)
{
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
    int criticality = -1; /* -1: not there, -2: there twice */
    GENERAL_NAMES *found =
        extensions ? X509V3_get_d2i(extensions, NID_subject_alt_name, &criticality, NULL) : NULL;
    struct alternative_names names = {0};
    struct error *err = !found && criticality != -1
                            ? bad("the names of the request do not read, or come twice")
                            : NULL;
    for (int i = 0; !err && i < sk_GENERAL_NAME_num(found); i++)
        err = add_alternative(&names, sk_GENERAL_NAME_value(found, i), arena);
    GENERAL_NAMES_free(found);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    crypto_begin();
    ret->dns_names = names_done(&names.dns_names);
    ret->addresses = names_done(&names.addresses);
    ret->emails = names_done(&names.emails);
    ret->uris = names_done(&names.uris);
    return err;
}

struct error *csr_read(struct str pem, struct arena *arena, struct csr *ret)
{
    if (pem.len > CSR_MAX_BYTES)
        return error_new(ERROR_INVALID_ARGUMENT, "the certificate request is larger than %zu bytes",
                         CSR_MAX_BYTES);
    AUTO(request) X509_REQ *request = NULL;
    struct error *err = crypto_read_request(pem, &request);
    if (err) {
        error_ignore(err, "replaced by upstream's words");
        return bad("PEM block type must be CERTIFICATE REQUEST");
    }
    EVP_PKEY *pkey = X509_REQ_get0_pubkey(request);
    bool is_signed = pkey && X509_REQ_verify(request, pkey) == 1;
    crypto_begin();
    if (!is_signed)
        return bad("unable to verify certificate request signature");

    struct csr csr = {0};
    struct text_list common_names = {0};
    X509_NAME *subject = X509_REQ_get_subject_name(request);
    err = read_subject(subject, NID_commonName, arena, &common_names);
    if (!err)
        err = read_subject(subject, NID_organizationName, arena, &csr.organizations);
    if (!err)
        err = read_alternatives(request, arena, &csr);
    if (err)
        return err;
    /* Go keeps the last of several common names. */
    csr.common_name = common_names.count > 0 ? common_names.items[common_names.count - 1] : "";
    *ret = csr;
    return NULL;
}

/* --- judging --- */

#define USAGE_DIGITAL_SIGNATURE (1u << 0)
#define USAGE_KEY_ENCIPHERMENT (1u << 1)
#define USAGE_CLIENT_AUTH (1u << 2)
#define USAGE_SERVER_AUTH (1u << 3)
#define USAGE_OTHER (1u << 4)

static unsigned usage_bit(const char *usage)
{
    if (text_eq(usage, "digital signature"))
        return USAGE_DIGITAL_SIGNATURE;
    if (text_eq(usage, "key encipherment"))
        return USAGE_KEY_ENCIPHERMENT;
    if (text_eq(usage, "client auth"))
        return USAGE_CLIENT_AUTH;
    return text_eq(usage, "server auth") ? USAGE_SERVER_AUTH : USAGE_OTHER;
}

static unsigned usage_bits(const struct text_list *usages)
{
    unsigned bits = 0;
    for (size_t i = 0; i < usages->count; i++)
        bits |= usage_bit(usages->items[i]);
    return bits;
}

/* Key encipherment is for RSA keys; who asks for it with another gets it nevertheless. */
static bool is_exactly(unsigned usages, unsigned wanted)
{
    return usages == wanted || usages == (wanted | USAGE_KEY_ENCIPHERMENT);
}

static bool is_of_nodes(const struct csr *csr)
{
    return csr->organizations.count == 1 && text_eq(csr->organizations.items[0], "system:nodes");
}

static const char *check_kubelet_client(const struct csr *csr, unsigned usages)
{
    if (!is_of_nodes(csr))
        return "subject organization is not system:nodes";
    if (csr->dns_names.count > 0)
        return "DNS subjectAltNames are not allowed";
    if (csr->emails.count > 0)
        return "Email subjectAltNames are not allowed";
    if (csr->addresses.count > 0)
        return "IP subjectAltNames are not allowed";
    if (csr->uris.count > 0)
        return "URI subjectAltNames are not allowed";
    if (!text_has_prefix(csr->common_name, "system:node:"))
        return "subject common name does not begin with system:node:";
    return is_exactly(usages, USAGE_DIGITAL_SIGNATURE | USAGE_CLIENT_AUTH)
               ? NULL
               : "usages did not match [client auth digital signature key encipherment]";
}

static const char *check_serving(const struct csr *csr, unsigned usages)
{
    if (!is_of_nodes(csr))
        return "subject organization is not system:nodes";
    if (csr->dns_names.count == 0 && csr->addresses.count == 0)
        return "DNS or IP subjectAltName is required";
    if (csr->emails.count > 0)
        return "Email subjectAltNames are not allowed";
    if (csr->uris.count > 0)
        return "URI subjectAltNames are not allowed";
    if (!is_exactly(usages, USAGE_DIGITAL_SIGNATURE | USAGE_SERVER_AUTH))
        return "usages did not match [digital signature key encipherment server auth]";
    return text_has_prefix(csr->common_name, "system:node:")
               ? NULL
               : "subject common name does not begin with system:node:";
}

static struct error *check_client(const struct text_list *usages)
{
    const unsigned allowed = USAGE_DIGITAL_SIGNATURE | USAGE_KEY_ENCIPHERMENT | USAGE_CLIENT_AUTH;
    for (size_t i = 0; i < usages->count; i++) {
        if (!(usage_bit(usages->items[i]) & allowed))
            return error_new(ERROR_INVALID_ARGUMENT, "invalid usage for client certificate: %s",
                             usages->items[i]);
    }
    if (!(usage_bits(usages) & USAGE_CLIENT_AUTH))
        return bad("missing required usage for client certificate: client auth");
    return NULL;
}

struct error *csr_check(enum csr_signer signer, const struct csr *csr,
                        const struct text_list *usages)
{
    const char *why = NULL;
    switch (signer) {
    case CSR_SIGNER_CLIENT:
        return check_client(usages);
    case CSR_SIGNER_CLIENT_KUBELET:
        why = check_kubelet_client(csr, usage_bits(usages));
        break;
    case CSR_SIGNER_SERVING:
        why = check_serving(csr, usage_bits(usages));
        break;
    }
    return why ? bad(why) : NULL;
}

const char *csr_subject_restriction(enum csr_signer signer, const struct csr *csr)
{
    if (signer != CSR_SIGNER_CLIENT)
        return NULL;
    return text_list_has(&csr->organizations, GROUP_MASTERS)
               ? "use of kubernetes.io/kube-apiserver-client signer with system:masters group is "
                 "not allowed"
               : NULL;
}

size_t csr_approvals(enum csr_signer signer, const struct csr *csr, const struct text_list *usages,
                     const struct plane_user *asker,
                     struct csr_approval ret[static CSR_APPROVALS_MAX])
{
    size_t count = 0;
    bool is_for_self = text_eq(asker->name, csr->common_name);
    struct error *err = csr_check(signer, csr, usages);
    if (err) {
        error_ignore(err, "the signer refuses it later, in words; here it is only not recognised");
        return 0;
    }
    switch (signer) {
    case CSR_SIGNER_CLIENT:
        break;
    case CSR_SIGNER_CLIENT_KUBELET:
        if (is_for_self)
            ret[count++] = (struct csr_approval){
                "selfnodeclient",
                "Auto approving self kubelet client certificate after SubjectAccessReview."};
        ret[count++] = (struct csr_approval){
            "nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."};
        break;
    case CSR_SIGNER_SERVING:
        if (is_for_self)
            ret[count++] = (struct csr_approval){
                "selfnodeserver",
                "Auto approving self kubelet server certificate after SubjectAccessReview."};
        break;
    }
    return count;
}
