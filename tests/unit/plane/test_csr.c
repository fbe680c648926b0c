#include "plane/csr.h"

#include "plane/authn.h"
#include "request_pem.h"

#define NODE_A "system:node:node-a"

static struct csr read_request(const struct request_text *text, struct arena *arena)
{
    AUTO(free) char *pem = request_pem(text);
    struct csr csr;
    assert_no_error(csr_read(str_from(pem), arena, &csr));
    return csr;
}

TEST_CASE(a_request_is_read_whole)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct csr csr = read_request(
        &(struct request_text){
            .common_name = NODE_A,
            .organizations = {"system:nodes", "others"},
            .alternative_names = "DNS:node-a,DNS:node-a.lan,IP:10.0.0.1,IP:fd00::1,email:a@b.c,"
                                 "URI:spiffe://x/y,RID:1.2.3",
        },
        arena);
    assert_string_equal(csr.common_name, NODE_A);
    assert_int_equal(csr.organizations.count, 2);
    assert_string_equal(csr.organizations.items[1], "others");
    assert_int_equal(csr.dns_names.count, 2);
    assert_string_equal(csr.dns_names.items[1], "node-a.lan");
    assert_int_equal(csr.addresses.count, 2);
    assert_string_equal(csr.addresses.items[0], "10.0.0.1");
    assert_string_equal(csr.addresses.items[1], "fd00::1");
    assert_int_equal(csr.emails.count, 1);
    assert_int_equal(csr.uris.count, 1);
}

TEST_CASE(what_is_no_request_of_its_own_key_is_refused)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct csr csr;
    assert_error_message(csr_read(str_from(""), arena, &csr),
                         "PEM block type must be CERTIFICATE REQUEST");
    assert_error_message(csr_read(str_from("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"
                                           "-----END CERTIFICATE REQUEST-----\n"),
                                  arena, &csr),
                         "PEM block type must be CERTIFICATE REQUEST");
    AUTO(free)
    char *forged =
        request_pem(&(struct request_text){.common_name = NODE_A, .is_signed_by_other = true});
    assert_error_message(csr_read(str_from(forged), arena, &csr),
                         "unable to verify certificate request signature");
    AUTO(free)
    char *control = request_pem(&(struct request_text){.common_name = "system:node:a\nb"});
    assert_error_message(csr_read(str_from(control), arena, &csr),
                         "a name of the request has a control character inside");
}

/* As none they would pass where none are allowed. */
TEST_CASE(names_that_do_not_read_are_not_none)
{
    static const struct request_text rows[] = {
        {.common_name = NODE_A, .alternative_names = "DNS:a", .has_names_twice = true},
        {.common_name = NODE_A, .alternative_names = "DNS:a", .has_broken_names = true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        AUTO(free) char *pem = request_pem(&rows[i]);
        struct csr csr;
        assert_error_message(csr_read(str_from(pem), arena, &csr),
                             "the names of the request do not read, or come twice");
    }
}

TEST_CASE(names_beyond_the_cap_are_refused)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *names = "DNS:n0";
    for (size_t i = 1; i <= CSR_MAX_NAMES; i++)
        names = arena_printf(arena, "%s,DNS:n%zu", names, i);
    AUTO(free)
    char *pem =
        request_pem(&(struct request_text){.common_name = NODE_A, .alternative_names = names});
    struct csr csr;
    assert_error_message(csr_read(str_from(pem), arena, &csr),
                         "the request has more than 256 names");
}

TEST_CASE(only_our_signers_are_known)
{
    enum csr_signer signer = CSR_SIGNER_CLIENT;
    assert_true(csr_signer_from_name("kubernetes.io/kubelet-serving", &signer));
    assert_int_equal(signer, CSR_SIGNER_SERVING);
    assert_true(csr_signer_from_name("kubernetes.io/kube-apiserver-client-kubelet", &signer));
    assert_int_equal(signer, CSR_SIGNER_CLIENT_KUBELET);
    assert_false(csr_signer_from_name("kubernetes.io/legacy-unknown", &signer));
    assert_false(csr_signer_from_name("example.com/x", &signer));
    assert_false(csr_signer_from_name(NULL, &signer));
}

#define CLIENT_USAGES                                                                              \
    {                                                                                              \
        "digital signature", "client auth"                                                         \
    }
#define SERVER_USAGES                                                                              \
    {                                                                                              \
        "digital signature", "server auth"                                                         \
    }

static const struct {
    const char *name;
    enum csr_signer signer;
    struct request_text request;
    const char *usages[5];
    const char *want; /* NULL: signed */
} checks[] = {
    {"a kubelet's client",
     CSR_SIGNER_CLIENT_KUBELET,
     {.common_name = NODE_A, .organizations = {"system:nodes"}},
     CLIENT_USAGES,
     NULL},
    {"with key encipherment",
     CSR_SIGNER_CLIENT_KUBELET,
     {.common_name = NODE_A, .organizations = {"system:nodes"}},
     {"key encipherment", "digital signature", "client auth"},
     NULL},
    {"no organization",
     CSR_SIGNER_CLIENT_KUBELET,
     {.common_name = NODE_A},
     CLIENT_USAGES,
     "subject organization is not system:nodes"},
    {"a second organization",
     CSR_SIGNER_CLIENT_KUBELET,
     {.common_name = NODE_A, .organizations = {"system:nodes", "system:masters"}},
     CLIENT_USAGES,
     "subject organization is not system:nodes"},
    {"a client with a DNS name",
     CSR_SIGNER_CLIENT_KUBELET,
     {.common_name = NODE_A, .organizations = {"system:nodes"}, .alternative_names = "DNS:x"},
     CLIENT_USAGES,
     "DNS subjectAltNames are not allowed"},
    {"a client with an address",
     CSR_SIGNER_CLIENT_KUBELET,
     {.common_name = NODE_A, .organizations = {"system:nodes"}, .alternative_names = "IP:10.0.0.1"},
     CLIENT_USAGES,
     "IP subjectAltNames are not allowed"},
    {"a client with a mail address",
     CSR_SIGNER_CLIENT_KUBELET,
     {.common_name = NODE_A, .organizations = {"system:nodes"}, .alternative_names = "email:a@b.c"},
     CLIENT_USAGES,
     "Email subjectAltNames are not allowed"},
    {"a client with a URI",
     CSR_SIGNER_CLIENT_KUBELET,
     {.common_name = NODE_A,
      .organizations = {"system:nodes"},
      .alternative_names = "URI:spiffe://x"},
     CLIENT_USAGES,
     "URI subjectAltNames are not allowed"},
    {"not a node's name",
     CSR_SIGNER_CLIENT_KUBELET,
     {.common_name = "node-a", .organizations = {"system:nodes"}},
     CLIENT_USAGES,
     "subject common name does not begin with system:node:"},
    {"a server's usage for a client",
     CSR_SIGNER_CLIENT_KUBELET,
     {.common_name = NODE_A, .organizations = {"system:nodes"}},
     {"digital signature", "client auth", "server auth"},
     "usages did not match [client auth digital signature key encipherment]"},
    {"a kubelet's server",
     CSR_SIGNER_SERVING,
     {.common_name = NODE_A,
      .organizations = {"system:nodes"},
      .alternative_names = "DNS:node-a,IP:10.0.0.1"},
     SERVER_USAGES,
     NULL},
    {"a server without names",
     CSR_SIGNER_SERVING,
     {.common_name = NODE_A, .organizations = {"system:nodes"}},
     SERVER_USAGES,
     "DNS or IP subjectAltName is required"},
    {"a server that is a client too",
     CSR_SIGNER_SERVING,
     {.common_name = NODE_A, .organizations = {"system:nodes"}, .alternative_names = "DNS:node-a"},
     CLIENT_USAGES,
     "usages did not match [digital signature key encipherment server auth]"},
    {"a server called otherwise",
     CSR_SIGNER_SERVING,
     {.common_name = "web", .organizations = {"system:nodes"}, .alternative_names = "DNS:node-a"},
     SERVER_USAGES,
     "subject common name does not begin with system:node:"},
    {"anybody's client", CSR_SIGNER_CLIENT, {.common_name = "jane"}, {"client auth"}, NULL},
    {"anybody's client for serving",
     CSR_SIGNER_CLIENT,
     {.common_name = "jane"},
     {"client auth", "server auth"},
     "invalid usage for client certificate: server auth"},
    {"a client for nothing",
     CSR_SIGNER_CLIENT,
     {.common_name = "jane"},
     {"digital signature"},
     "missing required usage for client certificate: client auth"},
};

static struct text_list usages_of(const char *const *usages)
{
    struct text_list list = {usages, 0};
    while (usages[list.count])
        list.count++;
    return list;
}

TEST_CASE(each_signer_signs_what_upstream_s_signs)
{
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct csr csr = read_request(&checks[i].request, arena);
        const struct text_list usages = usages_of(checks[i].usages);
        AUTO(error) struct error *err = csr_check(checks[i].signer, &csr, &usages);
        if (!text_eq(err ? err->message : NULL, checks[i].want))
            fail_msg("%s: %s", checks[i].name, err ? err->message : "was taken");
    }
}

TEST_CASE(nobody_becomes_a_master_by_certificate)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct csr csr = read_request(
        &(struct request_text){.common_name = "jane", .organizations = {"dev", "system:masters"}},
        arena);
    assert_string_equal(
        csr_subject_restriction(CSR_SIGNER_CLIENT, &csr),
        "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not "
        "allowed");
    assert_null(csr_subject_restriction(CSR_SIGNER_SERVING, &csr));
}

TEST_CASE(only_certificates_of_nodes_are_approved_without_a_person)
{
    static const char *const client[] = {"digital signature", "client auth"};
    static const char *const server[] = {"digital signature", "server auth"};
    const struct text_list client_usages = {client, 2}, server_usages = {server, 2};
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct csr csr = read_request(
        &(struct request_text){.common_name = NODE_A, .organizations = {"system:nodes"}}, arena);
    const struct csr serving =
        read_request(&(struct request_text){.common_name = NODE_A,
                                            .organizations = {"system:nodes"},
                                            .alternative_names = "DNS:node-a"},
                     arena);
    const struct plane_user self = {.name = NODE_A}, bootstrap = {.name = "system:bootstrap:abc"};
    struct csr_approval found[CSR_APPROVALS_MAX];
    assert_int_equal(csr_approvals(CSR_SIGNER_CLIENT_KUBELET, &csr, &client_usages, &self, found),
                     2);
    assert_string_equal(found[0].subresource, "selfnodeclient");
    assert_string_equal(found[1].subresource, "nodeclient");
    assert_int_equal(
        csr_approvals(CSR_SIGNER_CLIENT_KUBELET, &csr, &client_usages, &bootstrap, found), 1);
    assert_string_equal(found[0].subresource, "nodeclient");
    assert_int_equal(csr_approvals(CSR_SIGNER_SERVING, &serving, &server_usages, &self, found), 1);
    assert_string_equal(found[0].subresource, "selfnodeserver");
    assert_int_equal(csr_approvals(CSR_SIGNER_SERVING, &serving, &server_usages, &bootstrap, found),
                     0);
    assert_int_equal(csr_approvals(CSR_SIGNER_CLIENT, &csr, &client_usages, &self, found), 0);
    assert_int_equal(csr_approvals(CSR_SIGNER_CLIENT_KUBELET, &csr, &server_usages, &self, found),
                     0);
}

TEST_MAIN(TEST(a_request_is_read_whole), TEST(what_is_no_request_of_its_own_key_is_refused),
          TEST(names_that_do_not_read_are_not_none), TEST(names_beyond_the_cap_are_refused),
          TEST(only_our_signers_are_known), TEST(each_signer_signs_what_upstream_s_signs),
          TEST(nobody_becomes_a_master_by_certificate),
          TEST(only_certificates_of_nodes_are_approved_without_a_person))
