#include "plane/pki.h"

#include "base/fd.h"
#include "plane/jwt.h"
#include "request_pem.h"
#include "wire/tls.h"

#include <sys/stat.h>
#include <unistd.h>

#define NOW INT64_C(1700000000)
#define YEAR_S (INT64_C(365) * 24 * 3600)

/* A data directory that is gone after the test. */
struct place {
    char parent[32];
    char *dir;
};

static void place_init(struct place *place)
{
    memcpy(place->parent, "/tmp/test-pki-XXXXXX", sizeof("/tmp/test-pki-XXXXXX"));
    assert_non_null(mkdtemp(place->parent));
    place->dir = xasprintf("%s/data", place->parent);
}

static void auto_release_place(struct place *place)
{
    assert_no_error(fd_remove_tree_blocking(place->parent));
    free(place->dir);
}

static const struct pki_options usual = {
    .node_name = "node-a",
    .listen_host = "192.0.2.7",
    .host_name = "Box.example",
    .service_range = "10.96.0.0/12",
    .now_s = NOW,
};

static struct pki *open_pki(const struct place *place, const struct pki_options *options)
{
    struct pki *pki = NULL;
    assert_no_error(pki_open_blocking(place->dir, options, &pki));
    return pki;
}

static char *read_text(const struct place *place, const char *file)
{
    AUTO(free) char *path = xasprintf("%s/%s", place->dir, file);
    AUTO(buf) struct buf text = {0};
    buf_init(&text, 64 * KiB);
    assert_no_error(fd_read_file_blocking(path, &text));
    return buf_take(&text);
}

static void write_text(const struct place *place, const char *file, const char *text)
{
    AUTO(free) char *path = xasprintf("%s/%s", place->dir, file);
    assert_no_error(fd_write_file_blocking(path, str_from(text), 0600));
}

static void remove_file(const struct place *place, const char *file)
{
    AUTO(free) char *path = xasprintf("%s/%s", place->dir, file);
    assert_int_equal(unlink(path), 0);
}

static const char *const files[] = {
    "pki/ca.crt",    "pki/ca.key",    "pki/apiserver.crt",   "pki/apiserver.key",
    "pki/admin.crt", "pki/admin.key", "pki/node-node-a.crt", "pki/node-node-a.key",
    "pki/sa.key",    "pki/sa.pub",    "admin.kubeconfig",    "node-node-a.kubeconfig",
};

static X509 *read_certificate(const char *pem)
{
    X509 *certificate = NULL;
    assert_no_error(crypto_read_certificate(str_from(pem), &certificate));
    return certificate;
}

static const char *subject_of(X509 *certificate, char text[static 256])
{
    return X509_NAME_oneline(X509_get_subject_name(certificate), text, 256);
}

static int64_t end_of(X509 *certificate)
{
    struct tm parts;
    assert_int_equal(ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts), 1);
    return (int64_t)timegm(&parts);
}

/* Whether OpenSSL itself trusts @certificate for @purpose by @ca_pem at @now_s. */
static bool is_trusted(X509 *certificate, const char *ca_pem, int purpose, int64_t now_s)
{
    AUTO(certificate) X509 *ca = read_certificate(ca_pem);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    assert_int_equal(X509_STORE_add_cert(store, ca), 1);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, certificate, NULL), 1);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    assert_int_equal(X509_VERIFY_PARAM_set_purpose(param, purpose), 1);
    bool is_good = X509_verify_cert(ctx) == 1;
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return is_good;
}

/* --- first and second start --- */

TEST_CASE(the_first_start_makes_everything_and_for_nobody_else)
{
    AUTO(place) struct place place;
    place_init(&place);
    AUTO(pki) struct pki *pki = open_pki(&place, &usual);
    assert_no_error(pki_write_kubeconfigs_blocking(pki, "https://192.0.2.7:6443"));
    struct stat st;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        AUTO(free) char *path = xasprintf("%s/%s", place.dir, files[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
    }
    AUTO(free) char *dir = xasprintf("%s/pki", place.dir);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(place.dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

TEST_CASE(a_second_start_uses_what_is_there)
{
    AUTO(place) struct place place;
    place_init(&place);
    char *first[ARRAY_SIZE(files)];
    for (size_t round = 0; round < 2; round++) {
        struct pki_options options = usual;
        options.now_s = NOW + (int64_t)round * 24 * 3600;
        AUTO(pki) struct pki *pki = open_pki(&place, &options);
        assert_no_error(pki_write_kubeconfigs_blocking(pki, "https://192.0.2.7:6443"));
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
            char *text = read_text(&place, files[i]);
            if (round == 0) {
                first[i] = text;
                continue;
            }
            assert_string_equal(text, first[i]);
            free(text);
            free(first[i]);
        }
    }
}

TEST_CASE(certificates_say_who_and_verify)
{
    AUTO(place) struct place place;
    place_init(&place);
    AUTO(pki) struct pki *pki = open_pki(&place, &usual);
    static const struct {
        const char *file;
        const char *subject;
        int purpose;
        int other_purpose;
    } rows[] = {
        {"pki/apiserver.crt", "/CN=kube-apiserver", X509_PURPOSE_SSL_SERVER,
         X509_PURPOSE_SSL_CLIENT},
        {"pki/admin.crt", "/O=system:masters/CN=kubernetes-admin", X509_PURPOSE_SSL_CLIENT,
         X509_PURPOSE_SSL_SERVER},
        {"pki/node-node-a.crt", "/O=system:nodes/CN=system:node:node-a", X509_PURPOSE_SSL_CLIENT,
         X509_PURPOSE_SSL_SERVER},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(free) char *pem = read_text(&place, rows[i].file);
        AUTO(certificate) X509 *certificate = read_certificate(pem);
        char text[256];
        assert_string_equal(subject_of(certificate, text), rows[i].subject);
        assert_true(is_trusted(certificate, pki_ca_pem(pki), rows[i].purpose, NOW));
        assert_false(is_trusted(certificate, pki_ca_pem(pki), rows[i].other_purpose, NOW));
        assert_true(end_of(certificate) > NOW + YEAR_S - 3600);
        assert_true(end_of(certificate) <= NOW + YEAR_S);
    }
    AUTO(certificate) X509 *ca = read_certificate(pki_ca_pem(pki));
    assert_true(end_of(ca) > NOW + 10 * YEAR_S - 3600);
}

TEST_CASE(the_server_certificate_is_for_every_name_of_the_server)
{
    static const char *const extra[] = {"plane.example", "198.51.100.3"};
    AUTO(place) struct place place;
    place_init(&place);
    struct pki_options options = usual;
    options.extra_names = (struct text_list){extra, 2};
    options.service_range = "10.96.0.0/12,fd00:96::/112";
    AUTO(pki) struct pki *pki = open_pki(&place, &options);
    AUTO(certificate) X509 *certificate = read_certificate(pki_server_certificate_pem(pki));
    static const char *const names[] = {"localhost",
                                        "kubernetes",
                                        "kubernetes.default",
                                        "kubernetes.default.svc",
                                        "kubernetes.default.svc.cluster.local",
                                        "box.example",
                                        "plane.example"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_int_equal(X509_check_host(certificate, names[i], 0, 0, NULL), 1);
    static const char *const addresses[] = {"127.0.0.1", "::1",        "192.0.2.7",
                                            "10.96.0.1", "fd00:96::1", "198.51.100.3"};
    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
        assert_int_equal(X509_check_ip_asc(certificate, addresses[i], 0), 1);
    assert_int_equal(X509_check_host(certificate, "example", 0, 0, NULL), 0);
}

TEST_CASE(a_new_name_of_the_server_is_a_new_certificate_with_the_old_key)
{
    static const char *const extra[] = {"later.example"};
    AUTO(place) struct place place;
    place_init(&place);
    AUTO(pki) struct pki *pki = open_pki(&place, &usual);
    struct pki_options options = usual;
    options.extra_names = (struct text_list){extra, 1};
    AUTO(pki) struct pki *again = open_pki(&place, &options);
    assert_string_equal(pki_server_key_pem(again), pki_server_key_pem(pki));
    assert_string_not_equal(pki_server_certificate_pem(again), pki_server_certificate_pem(pki));
    /* Fewer names are no reason. */
    AUTO(pki) struct pki *third = open_pki(&place, &usual);
    assert_string_equal(pki_server_certificate_pem(third), pki_server_certificate_pem(again));
}

TEST_CASE(what_is_near_its_end_is_renewed_at_start)
{
    AUTO(place) struct place place;
    place_init(&place);
    AUTO(pki) struct pki *pki = open_pki(&place, &usual);
    AUTO(free) char *admin = read_text(&place, "pki/admin.crt");
    struct pki_options options = usual;
    options.now_s = NOW + YEAR_S * 79 / 100;
    AUTO(pki) struct pki *before = open_pki(&place, &options);
    AUTO(free) char *admin_before = read_text(&place, "pki/admin.crt");
    assert_string_equal(admin_before, admin);
    options.now_s = NOW + YEAR_S * 81 / 100;
    AUTO(pki) struct pki *after = open_pki(&place, &options);
    AUTO(free) char *admin_after = read_text(&place, "pki/admin.crt");
    assert_string_not_equal(admin_after, admin);
    assert_string_equal(pki_ca_pem(after), pki_ca_pem(pki));
    AUTO(certificate) X509 *renewed = read_certificate(admin_after);
    assert_true(is_trusted(renewed, pki_ca_pem(after), X509_PURPOSE_SSL_CLIENT,
                           options.now_s + YEAR_S / 2));
}

TEST_CASE(a_leaf_of_a_clock_that_was_ahead_is_renewed)
{
    AUTO(place) struct place place;
    place_init(&place);
    AUTO(pki) struct pki *first = open_pki(&place, &usual);
    /* The leaf was made again by a clock that ran half a year ahead. */
    struct pki_options options = usual;
    options.now_s = NOW + YEAR_S / 2;
    remove_file(&place, "pki/admin.crt");
    AUTO(pki) struct pki *ahead = open_pki(&place, &options);
    AUTO(free) char *early = read_text(&place, "pki/admin.crt");
    AUTO(pki) struct pki *after = open_pki(&place, &usual);
    assert_string_not_equal(pki_admin_certificate_pem(after), early);
    AUTO(certificate) X509 *admin = read_certificate(pki_admin_certificate_pem(after));
    assert_true(is_trusted(admin, pki_ca_pem(after), X509_PURPOSE_SSL_CLIENT, NOW));
}

TEST_CASE(renewal_is_told_to_the_second)
{
    AUTO(place) struct place place;
    place_init(&place);
    AUTO(pki) struct pki *pki = open_pki(&place, &usual);
    struct pki_options options = usual;
    options.now_s = pki_renewal_s(pki) - 1;
    AUTO(pki) struct pki *before = open_pki(&place, &options);
    assert_string_equal(pki_server_certificate_pem(before), pki_server_certificate_pem(pki));
    options.now_s++;
    AUTO(pki) struct pki *after = open_pki(&place, &options);
    assert_string_not_equal(pki_server_certificate_pem(after), pki_server_certificate_pem(pki));
}

TEST_CASE(a_machine_s_name_that_is_none_is_left_out)
{
    AUTO(place) struct place place;
    place_init(&place);
    struct pki_options options = usual;
    options.host_name = "my_box";
    AUTO(pki) struct pki *pki = open_pki(&place, &options);
    AUTO(certificate) X509 *certificate = read_certificate(pki_server_certificate_pem(pki));
    assert_int_equal(X509_check_host(certificate, "my_box", 0, 0, NULL), 0);
    assert_int_equal(X509_check_host(certificate, "localhost", 0, 0, NULL), 1);
}

TEST_CASE(a_leaf_never_outlives_the_authority)
{
    AUTO(place) struct place place;
    place_init(&place);
    struct pki_options options = usual;
    AUTO(pki) struct pki *pki = open_pki(&place, &options);
    options.now_s = NOW + 10 * YEAR_S - YEAR_S / 4;
    AUTO(pki) struct pki *late = open_pki(&place, &options);
    AUTO(certificate) X509 *ca = read_certificate(pki_ca_pem(late));
    AUTO(certificate) X509 *server = read_certificate(pki_server_certificate_pem(late));
    assert_int_equal(end_of(server), end_of(ca));
    options.now_s = NOW + 11 * YEAR_S;
    struct pki *dead = NULL;
    AUTO(free) char *want = xasprintf("%s/pki/ca.crt: has expired", place.dir);
    assert_error_message(pki_open_blocking(place.dir, &options, &dead), want);
}

/* --- damage --- */

TEST_CASE(what_a_crash_left_half_done_is_finished)
{
    static const char *const half[] = {"pki/ca.crt", "pki/apiserver.crt", "pki/node-node-a.crt",
                                       "pki/sa.pub"};
    for (size_t i = 0; i < ARRAY_SIZE(half); i++) {
        AUTO(place) struct place place;
        place_init(&place);
        AUTO(pki) struct pki *pki = open_pki(&place, &usual);
        remove_file(&place, half[i]);
        /* Leaves of an authority that was made anew for its key still belong to it. */
        AUTO(pki) struct pki *again = open_pki(&place, &usual);
        AUTO(free) char *text = read_text(&place, half[i]);
        assert_true(text[0] == '-');
    }
}

TEST_CASE(a_damaged_file_is_an_error_that_names_it)
{
    static const struct {
        const char *file;
        const char *text; /* NULL: taken away; "@f": the text of file f */
        const char *want;
    } rows[] = {
        {"pki/ca.crt", "rubbish", "pki/ca.crt: not a PEM certificate"},
        {"pki/ca.key", "", "pki/ca.key: not a PEM private key"},
        {"pki/ca.key", NULL, "pki/ca.key: is missing although %s/pki/ca.crt is there"},
        {"pki/ca.key", "@pki/admin.key", "pki/ca.key: does not belong to %s/pki/ca.crt"},
        {"pki/ca.crt", "@pki/admin.crt", "pki/ca.key: does not belong to %s/pki/ca.crt"},
        {"pki/apiserver.crt", "@pki/admin.crt",
         "pki/apiserver.key: does not belong to %s/pki/apiserver.crt"},
        {"pki/admin.key", NULL, "pki/admin.key: is missing although %s/pki/admin.crt is there"},
        {"pki/node-node-a.crt", "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n",
         "pki/node-node-a.crt: not a PEM certificate"},
        {"pki/sa.key", NULL, "pki/sa.key: is missing although %s/pki/sa.pub is there"},
        {"pki/sa.key", "@pki/admin.key", "pki/sa.pub: does not belong to %s/pki/sa.key"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(place) struct place place;
        place_init(&place);
        AUTO(pki) struct pki *pki = open_pki(&place, &usual);
        if (!rows[i].text) {
            remove_file(&place, rows[i].file);
        } else if (rows[i].text[0] == '@') {
            AUTO(free) char *text = read_text(&place, rows[i].text + 1);
            write_text(&place, rows[i].file, text);
        } else {
            write_text(&place, rows[i].file, rows[i].text);
        }
        struct pki *again = NULL;
        AUTO(error) struct error *err = pki_open_blocking(place.dir, &usual, &again);
        assert_null(again);
        assert_non_null(err);
        assert_int_equal(err->code, ERROR_INVALID_ARGUMENT);
        const char *split = strstr(rows[i].want, "%s");
        AUTO(free)
        char *want = split ? xasprintf("%s/%.*s%s%s", place.dir, (int)(split - rows[i].want),
                                       rows[i].want, place.dir, split + 2)
                           : xasprintf("%s/%s", place.dir, rows[i].want);
        assert_string_equal(err->message, want);
    }
}

TEST_CASE(a_leaf_of_another_authority_is_damage)
{
    AUTO(place) struct place place, other;
    place_init(&place);
    place_init(&other);
    AUTO(pki) struct pki *pki = open_pki(&place, &usual);
    AUTO(pki) struct pki *foreign = open_pki(&other, &usual);
    AUTO(free) char *certificate = read_text(&other, "pki/admin.crt");
    AUTO(free) char *key = read_text(&other, "pki/admin.key");
    write_text(&place, "pki/admin.crt", certificate);
    write_text(&place, "pki/admin.key", key);
    struct pki *again = NULL;
    AUTO(free)
    char *want =
        xasprintf("%s/pki/admin.crt: was not issued by %s/pki/ca.crt", place.dir, place.dir);
    assert_error_message(pki_open_blocking(place.dir, &usual, &again), want);
}

TEST_CASE(options_that_are_wrong_are_refused)
{
    static const char *const bad_name[] = {"not a name"};
    static const struct {
        struct pki_options options;
        const char *want;
    } rows[] = {
        {{.node_name = "../x", .now_s = NOW}, "node name \"../x\": "},
        {{.node_name = "", .now_s = NOW}, "node name \"\": "},
        {{.node_name = "a", .service_range = "10.96.0.0", .now_s = NOW},
         "service range \"10.96.0.0\" is not a CIDR"},
        {{.node_name = "a", .service_range = "10.96.0.0/33", .now_s = NOW},
         "service range \"10.96.0.0/33\" is not a CIDR"},
        {{.node_name = "a", .extra_names = {bad_name, 1}, .now_s = NOW},
         "server name \"not a name\": "},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(place) struct place place;
        place_init(&place);
        struct pki *pki = NULL;
        AUTO(error) struct error *err = pki_open_blocking(place.dir, &rows[i].options, &pki);
        assert_non_null(err);
        assert_int_equal(err->code, ERROR_INVALID_ARGUMENT);
        assert_true(text_has_prefix(err->message, rows[i].want));
    }
}

/* --- what others do with it --- */

TEST_CASE(tls_and_tokens_take_what_was_made)
{
    AUTO(place) struct place place;
    place_init(&place);
    AUTO(pki) struct pki *pki = open_pki(&place, &usual);
    const struct tls_options options = {
        .ca_pem = pki_ca_pem(pki),
        .cert_pem = pki_server_certificate_pem(pki),
        .key_pem = pki_server_key_pem(pki),
        .alpn = "h2,http/1.1",
        .client_auth = TLS_CLIENT_AUTH_REQUEST,
    };
    AUTO(tls_context) struct tls_context *tls = NULL;
    assert_no_error(tls_context_new_server(&options, &tls));
    AUTO(jwt_key) struct jwt_key *key = NULL;
    assert_no_error(jwt_key_new(pki_token_key_pem(pki), &key));
}

TEST_CASE(a_kubeconfig_follows_the_server_s_address)
{
    AUTO(place) struct place place;
    place_init(&place);
    AUTO(pki) struct pki *pki = open_pki(&place, &usual);
    assert_no_error(pki_write_kubeconfigs_blocking(pki, "https://[::1]:6443"));
    AUTO(free) char *text = read_text(&place, "node-node-a.kubeconfig");
    assert_non_null(strstr(text, "server: https://[::1]:6443"));
    assert_non_null(strstr(text, "current-context: system:node:node-a@kubernetes"));
    assert_non_null(strstr(text, "client-key-data: "));
    assert_no_error(pki_write_kubeconfigs_blocking(pki, "https://10.0.0.1:6443"));
    AUTO(free) char *later = read_text(&place, "admin.kubeconfig");
    assert_non_null(strstr(later, "server: https://10.0.0.1:6443"));
    assert_non_null(strstr(later, "current-context: kubernetes-admin@kubernetes"));
}

/* --- signing --- */

static const struct {
    const char *name;
    bool has_expiration;
    int64_t expiration_s;
    int64_t want_s; /* from now to the end */
} lives[] = {
    {"the whole year", false, 0, YEAR_S - 300},
    {"more than a year", true, 3 * YEAR_S, YEAR_S - 300},
    {"a day", true, 24 * 3600, 24 * 3600 - 300},
    {"an hour is not backdated at its end", true, 3600, 3600},
    {"less than there may be", true, 1, 600},
};

TEST_CASE(a_request_is_signed_for_the_time_asked_for)
{
    static const char *const usages[] = {"digital signature", "client auth"};
    AUTO(place) struct place place;
    place_init(&place);
    AUTO(pki) struct pki *pki = open_pki(&place, &usual);
    AUTO(free)
    char *pem = request_pem(&(struct request_text){.common_name = "system:node:node-a",
                                                   .organizations = {"system:nodes"}});
    for (size_t i = 0; i < ARRAY_SIZE(lives); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct pki_order order = {.signer = CSR_SIGNER_CLIENT_KUBELET,
                                        .request_pem = str_from(pem),
                                        .usages = {usages, 2},
                                        .has_expiration = lives[i].has_expiration,
                                        .expiration_s = lives[i].expiration_s,
                                        .now_s = NOW};
        const char *signed_pem = NULL;
        assert_no_error(pki_sign_csr(pki, &order, arena, &signed_pem));
        AUTO(certificate) X509 *certificate = read_certificate(signed_pem);
        char text[256];
        assert_string_equal(subject_of(certificate, text), "/O=system:nodes/CN=system:node:node-a");
        assert_int_equal(end_of(certificate) - NOW, lives[i].want_s);
        assert_true(is_trusted(certificate, pki_ca_pem(pki), X509_PURPOSE_SSL_CLIENT, NOW));
    }
}

TEST_CASE(a_serving_certificate_keeps_its_names_and_a_long_node_name)
{
    static const char *const usages[] = {"server auth", "digital signature", "key encipherment"};
    static const char name[] =
        "system:node:a-node-with-a-name-that-is-longer-than-those-sixty-four."
        "characters-of-x520.example";
    AUTO(place) struct place place;
    place_init(&place);
    AUTO(pki) struct pki *pki = open_pki(&place, &usual);
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(free)
    char *pem = request_pem(&(struct request_text){.common_name = name,
                                                   .organizations = {"system:nodes"},
                                                   .alternative_names = "DNS:node-a,IP:10.0.0.9"});
    struct pki_order order = {.signer = CSR_SIGNER_SERVING,
                              .request_pem = str_from(pem),
                              .usages = {usages, 3},
                              .now_s = NOW};
    const char *signed_pem = NULL;
    assert_no_error(pki_sign_csr(pki, &order, arena, &signed_pem));
    AUTO(certificate) X509 *certificate = read_certificate(signed_pem);
    assert_int_equal(X509_check_host(certificate, "node-a", 0, 0, NULL), 1);
    assert_int_equal(X509_check_ip_asc(certificate, "10.0.0.9", 0), 1);
    assert_true(is_trusted(certificate, pki_ca_pem(pki), X509_PURPOSE_SSL_SERVER, NOW));
    order.signer = CSR_SIGNER_CLIENT_KUBELET;
    assert_error_message(pki_sign_csr(pki, &order, arena, &signed_pem),
                         "DNS subjectAltNames are not allowed");
}

TEST_MAIN(TEST(a_leaf_of_a_clock_that_was_ahead_is_renewed), TEST(renewal_is_told_to_the_second),
          TEST(a_machine_s_name_that_is_none_is_left_out),
          TEST(the_first_start_makes_everything_and_for_nobody_else),
          TEST(a_second_start_uses_what_is_there), TEST(certificates_say_who_and_verify),
          TEST(the_server_certificate_is_for_every_name_of_the_server),
          TEST(a_new_name_of_the_server_is_a_new_certificate_with_the_old_key),
          TEST(what_is_near_its_end_is_renewed_at_start), TEST(a_leaf_never_outlives_the_authority),
          TEST(what_a_crash_left_half_done_is_finished),
          TEST(a_damaged_file_is_an_error_that_names_it),
          TEST(a_leaf_of_another_authority_is_damage), TEST(options_that_are_wrong_are_refused),
          TEST(tls_and_tokens_take_what_was_made), TEST(a_kubeconfig_follows_the_server_s_address),
          TEST(a_request_is_signed_for_the_time_asked_for),
          TEST(a_serving_certificate_keeps_its_names_and_a_long_node_name))
