/* What a client sees of the serving port: real files, real handshakes, a loop of its own; only the
 * API server is played. */
#include "server/serving_tls.h"

#include "tests/lib/tempdir.h"
#include "tests/lib/tls_certs.h"
#include "tests/lib/tls_handshake.h"
#include "tests/unit/kube/csr_server.h"

#include <math.h>
#include <sys/stat.h>

#define WAIT_NS (5 * NS_PER_SEC) /* how long a hang takes to be seen */
#define MAX_TURNS 2000
#define ALERT_INTERNAL_ERROR 80
#define DAY_S (INT64_C(24) * 3600)

struct bed {
    char *dir, *cert_file, *key_file, *ca_file;
    struct loop *loop;
    struct work_pool *pool;
    struct metrics *metrics;
    struct config config;
    struct serving_tls *serving;
    struct csr_server server;

    size_t contexts, failures;
    char *failure;
    char *ca_pem;                /* told last */
    struct tls_context *context; /* told last */
};

static void on_context(void *ctx, struct tls_context *context)
{
    struct bed *bed = ctx;
    bed->contexts++;
    tls_context_unref(bed->context);
    bed->context = tls_context_ref(context);
}

static void on_client_ca(void *ctx, const char *ca_pem)
{
    struct bed *bed = ctx;
    free(bed->ca_pem);
    bed->ca_pem = xstrdup(ca_pem);
}

static void on_failed(void *ctx, const struct error *err)
{
    struct bed *bed = ctx;
    bed->failures++;
    free(bed->failure);
    bed->failure = xstrdup(err->message);
}

static const struct serving_tls_listener listener = {
    .on_context = on_context, .on_client_ca = on_client_ca, .on_failed = on_failed};

static void turn(struct loop *loop)
{
    for (int i = 0; i < 5; i++)
        loop_turn(loop, 0);
}

static void bed_init(struct bed *bed)
{
    *bed = (struct bed){.dir = tempdir_new(), .metrics = metrics_new()};
    assert_no_error(loop_new(&bed->loop));
    bed->pool = work_pool_new(bed->loop, 0);
    bed->cert_file = path_join(bed->dir, "tls.crt");
    bed->key_file = path_join(bed->dir, "tls.key");
    bed->ca_file = path_join(bed->dir, "ca.crt");
    assert_no_error(gate_set_make(NULL, 0, &bed->config.gates));
    bed->config.cert_dir = bed->dir;
    bed->config.server.tls_cert_file = "";
    bed->config.server.tls_private_key_file = "";
    bed->config.server.client_ca_file = "";
    bed->server = (struct csr_server){.loop = bed->loop, .turn = turn, .arena = arena_new(0)};
    bed->server.client = fake_api_client_new(bed->loop);
}

static void auto_release_bed(struct bed *bed)
{
    serving_tls_free(bed->serving);
    turn(bed->loop);
    api_client_free(bed->server.client);
    arena_free(bed->server.arena);
    tls_context_unref(bed->context);
    work_pool_free(bed->pool, 0);
    metrics_free(bed->metrics);
    loop_free(bed->loop);
    tempdir_free(bed->dir);
    free(bed->cert_file);
    free(bed->key_file);
    free(bed->ca_file);
    free(bed->failure);
    free(bed->ca_pem);
}

static struct error *try_open(struct bed *bed)
{
    const struct serving_tls_options options = {
        .loop = bed->loop,
        .pool = bed->pool,
        .client = bed->server.client,
        .metrics = bed->metrics,
        .config = &bed->config,
        .node_name = "node-a",
        .client_auth = TLS_CLIENT_AUTH_OPTIONAL,
    };
    struct error *err = serving_tls_new(&options, &listener, bed, &bed->serving);
    assert_int_equal(bed->contexts + bed->failures, 0);
    return err;
}

static void open_it(struct bed *bed)
{
    assert_no_error(try_open(bed));
    assert_non_null(serving_tls_context(bed->serving));
}

static void give_files(struct bed *bed)
{
    bed->config.server.tls_cert_file = bed->cert_file;
    bed->config.server.tls_private_key_file = bed->key_file;
}

static void put(const char *path, const char *text)
{
    assert_no_error(fd_write_file_blocking(path, str_from(text), 0600));
}

static void put_pair(const struct bed *bed, const struct test_cert *cert)
{
    put(bed->cert_file, cert->cert_pem);
    put(bed->key_file, cert->key_pem);
}

static struct test_cert cert_of(const char *name)
{
    return test_cert_new(&(struct test_cert_options){.common_name = name}, NULL);
}

/* Turns the loop until @condition holds. */
#define TURN_UNTIL(bed, condition)                                                                 \
    do {                                                                                           \
        for (size_t turns = 0; !(condition); turns++) {                                            \
            assert_true(turns < MAX_TURNS);                                                        \
            loop_turn((bed)->loop, WAIT_NS);                                                       \
        }                                                                                          \
    } while (0)

static struct tls_sight shake(const struct bed *bed)
{
    return tls_shake(bed->loop, serving_tls_context(bed->serving), &(struct tls_client){0});
}

#define assert_serves(bed, name)                                                                   \
    do {                                                                                           \
        AUTO(tls_sight) struct tls_sight sight = shake(bed);                                       \
        assert_true(sight.is_done);                                                                \
        assert_string_equal(sight.common_name, (name));                                            \
    } while (0)

#define assert_pending(bed)                                                                        \
    do {                                                                                           \
        AUTO(tls_sight) struct tls_sight sight = shake(bed);                                       \
        assert_false(sight.is_done);                                                               \
        assert_int_equal(sight.alert, ALERT_INTERNAL_ERROR);                                       \
    } while (0)

/* --- files --- */

TEST_CASE(files_serve_and_until_they_are_read_nobody_is_served)
{
    AUTO(bed) struct bed bed;
    AUTO(test_cert) struct test_cert cert = cert_of("one");
    bed_init(&bed);
    put_pair(&bed, &cert);
    give_files(&bed);
    open_it(&bed);
    struct tls_context *first = tls_context_ref(serving_tls_context(bed.serving));
    TURN_UNTIL(&bed, bed.contexts == 1);
    assert_ptr_equal(bed.context, serving_tls_context(bed.serving));
    assert_serves(&bed, "one");
    AUTO(tls_sight) struct tls_sight early = tls_shake(bed.loop, first, &(struct tls_client){0});
    assert_int_equal(early.alert, ALERT_INTERNAL_ERROR);
    tls_context_unref(first);
}

TEST_CASE(no_protocol_is_negotiated_and_no_certificate_asked_for)
{
    AUTO(bed) struct bed bed;
    AUTO(test_cert) struct test_cert cert = cert_of("one");
    bed_init(&bed);
    put_pair(&bed, &cert);
    give_files(&bed);
    open_it(&bed);
    TURN_UNTIL(&bed, bed.contexts == 1);
    AUTO(tls_sight)
    struct tls_sight sight = tls_shake(bed.loop, bed.context,
                                       &(struct tls_client){.alpn = "\2h2\10http/1.1",
                                                            .cert_pem = cert.cert_pem,
                                                            .key_pem = cert.key_pem});
    assert_true(sight.is_done);
    assert_false(sight.has_alpn);
    assert_null(sight.user);
    assert_int_equal(sight.ca_names, 0);
}

TEST_CASE(files_that_change_serve_and_bad_ones_leave_the_old)
{
    AUTO(bed) struct bed bed;
    AUTO(test_cert) struct test_cert one = cert_of("one");
    AUTO(test_cert) struct test_cert two = cert_of("two");
    bed_init(&bed);
    put_pair(&bed, &one);
    give_files(&bed);
    open_it(&bed);
    TURN_UNTIL(&bed, bed.contexts == 1);
    put_pair(&bed, &two);
    TURN_UNTIL(&bed, bed.contexts == 2);
    assert_serves(&bed, "two");

    put(bed.cert_file, "rubbish"); /* not told */
    loop_turn(bed.loop, WAIT_NS);
    loop_turn(bed.loop, WAIT_NS);
    turn(bed.loop);
    assert_serves(&bed, "two");
    put(bed.cert_file, one.cert_pem); /* with the other's key */
    loop_turn(bed.loop, WAIT_NS);
    loop_turn(bed.loop, WAIT_NS);
    turn(bed.loop);
    assert_serves(&bed, "two");
    assert_int_equal(bed.contexts, 2);
    put(bed.key_file, one.key_pem);
    TURN_UNTIL(&bed, bed.contexts == 3);
    assert_serves(&bed, "one");
    assert_int_equal(bed.failures, 0);
}

TEST_CASE(an_expired_pair_from_files_serves_nevertheless)
{
    AUTO(bed) struct bed bed;
    AUTO(test_cert)
    struct test_cert old = test_cert_new(
        &(struct test_cert_options){
            .common_name = "old", .begins_s = -10 * TEST_CERT_DAY_S, .ends_s = -TEST_CERT_DAY_S},
        NULL);
    bed_init(&bed);
    put_pair(&bed, &old);
    give_files(&bed);
    open_it(&bed);
    TURN_UNTIL(&bed, bed.contexts == 1);
    assert_serves(&bed, "old");
}

TEST_CASE(files_that_are_of_no_use_at_the_start_are_a_failure)
{
    AUTO(test_cert) struct test_cert one = cert_of("one");
    AUTO(test_cert) struct test_cert two = cert_of("two");
    const struct {
        const char *cert, *key; /* NULL: not there */
        const char *want;       /* the end of the message */
    } rows[] = {
        {NULL, NULL, "No such file or directory"},
        {one.cert_pem, NULL, "No such file or directory"},
        {"rubbish", one.key_pem, "certificate: no certificate in PEM form found"},
        {one.cert_pem, two.key_pem, "the private key does not belong to the certificate"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(bed) struct bed bed;
        bed_init(&bed);
        if (rows[i].cert)
            put(bed.cert_file, rows[i].cert);
        if (rows[i].key)
            put(bed.key_file, rows[i].key);
        give_files(&bed);
        open_it(&bed);
        TURN_UNTIL(&bed, bed.failures == 1);
        assert_true(text_has_prefix(bed.failure, "invalid certificate and key pair from file ("));
        if (!text_has_suffix(bed.failure, rows[i].want))
            fail_msg("\"%s\"", bed.failure);
        assert_pending(&bed);
    }
}

TEST_CASE(without_the_gate_files_are_read_once)
{
    static const struct gate_setting off[] = {{"ReloadKubeletServerCertificateFile", false}};
    AUTO(bed) struct bed bed;
    AUTO(test_cert) struct test_cert one = cert_of("one");
    AUTO(test_cert) struct test_cert two = cert_of("two");
    bed_init(&bed);
    assert_no_error(gate_set_make(off, 1, &bed.config.gates));
    put_pair(&bed, &one);
    give_files(&bed);
    open_it(&bed);
    TURN_UNTIL(&bed, bed.contexts == 1);
    put_pair(&bed, &two);
    turn(bed.loop); /* nothing is armed that could still come */
    assert_serves(&bed, "one");
}

/* --- the client CA file --- */

TEST_CASE(clients_are_known_by_the_ca_file_of_the_moment)
{
    AUTO(bed) struct bed bed;
    AUTO(test_cert) struct test_cert cert = cert_of("one");
    AUTO(test_cert)
    struct test_cert ca =
        test_cert_new(&(struct test_cert_options){.common_name = "ca", .is_ca = true}, NULL);
    AUTO(test_cert)
    struct test_cert other_ca =
        test_cert_new(&(struct test_cert_options){.common_name = "other", .is_ca = true}, NULL);
    AUTO(test_cert)
    struct test_cert user = test_cert_new(
        &(struct test_cert_options){.common_name = "admin", .usage = "clientAuth"}, &other_ca);
    const struct tls_client client = {.cert_pem = user.cert_pem, .key_pem = user.key_pem};
    bed_init(&bed);
    put_pair(&bed, &cert);
    put(bed.ca_file, ca.cert_pem);
    give_files(&bed);
    bed.config.server.client_ca_file = bed.ca_file;
    open_it(&bed);
    TURN_UNTIL(&bed, bed.contexts == 1); /* of both files, not of the first alone */
    assert_string_equal(bed.ca_pem, ca.cert_pem);
    AUTO(tls_sight) struct tls_sight unknown = tls_shake(bed.loop, bed.context, &client);
    assert_true(unknown.is_done);
    assert_null(unknown.user);
    assert_int_equal(unknown.ca_names, 1);

    put(bed.ca_file, "rubbish"); /* keeps the old */
    loop_turn(bed.loop, WAIT_NS);
    loop_turn(bed.loop, WAIT_NS);
    turn(bed.loop);
    assert_string_equal(bed.ca_pem, ca.cert_pem);
    assert_int_equal(bed.contexts, 1);
    assert_serves(&bed, "one");

    put(bed.ca_file, other_ca.cert_pem);
    TURN_UNTIL(&bed, bed.contexts == 2);
    assert_string_equal(bed.ca_pem, other_ca.cert_pem);
    AUTO(tls_sight) struct tls_sight known = tls_shake(bed.loop, bed.context, &client);
    assert_string_equal(known.user, "admin");
    assert_int_equal(bed.failures, 0);
}

TEST_CASE(nobody_is_served_without_the_ca_file_and_its_absence_is_a_failure)
{
    AUTO(bed) struct bed bed;
    AUTO(test_cert) struct test_cert cert = cert_of("one");
    bed_init(&bed);
    put_pair(&bed, &cert);
    give_files(&bed);
    bed.config.server.client_ca_file = bed.ca_file;
    open_it(&bed);
    TURN_UNTIL(&bed, bed.failures == 1);
    assert_true(text_has_prefix(bed.failure, "unable to load client CA file"));
    turn(bed.loop);
    assert_int_equal(bed.contexts, 0);
    assert_pending(&bed);
}

/* --- a pair of our own --- */

TEST_CASE(without_files_a_pair_is_made_and_found_again)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    open_it(&bed);
    assert_pending(&bed);
    TURN_UNTIL(&bed, bed.contexts == 1);
    AUTO(tls_sight) struct tls_sight first = shake(&bed);
    assert_true(first.is_done);
    assert_true(text_has_prefix(first.common_name, "node-a@"));
    assert_int_equal(sk_X509_num(first.chain), 2);

    serving_tls_free(TAKE(bed.serving));
    bed.contexts = 0;
    open_it(&bed);
    TURN_UNTIL(&bed, bed.contexts == 1);
    assert_serves(&bed, first.common_name);
}

TEST_CASE(a_pair_that_cannot_be_made_is_a_failure)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    put(bed.cert_file, "no directory");
    bed.config.cert_dir = bed.cert_file;
    open_it(&bed);
    TURN_UNTIL(&bed, bed.failures == 1);
    assert_true(text_has_prefix(bed.failure, "unable to generate self signed cert: "));
}

/* --- asked of the cluster --- */

struct node {
    Core__NodeAddress address;
    Core__NodeAddress *addresses[1];
    Core__NodeStatus status;
    Core__Node node;
    char text[32];
};

static const Core__Node *node_at(struct node *node, const char *address)
{
    *node = (struct node){.address = CORE__NODE_ADDRESS__INIT,
                          .status = CORE__NODE_STATUS__INIT,
                          .node = CORE__NODE__INIT};
    static char type[] = "InternalIP";
    memcpy(node->text, address, strlen(address) + 1);
    node->address.type = type;
    node->address.address = node->text;
    node->addresses[0] = &node->address;
    node->status.addresses = node->addresses;
    node->status.n_addresses = 1;
    node->node.status = &node->status;
    return &node->node;
}

struct figures {
    double ttl, errors, rotations;
    size_t count;
};

static void on_family(UNUSED void *ctx, UNUSED const struct metric_info *info) {}

static void on_series(void *ctx, const struct metric_info *info, const struct metric_series *series)
{
    struct figures *figures = ctx;
    figures->count++;
    if (text_eq(info->name, "kubelet_certificate_manager_server_ttl_seconds"))
        figures->ttl = series->value;
    if (text_eq(info->name, "kubelet_server_expiration_renew_errors"))
        figures->errors = series->value;
    if (text_eq(info->name, "kubelet_certificate_manager_server_rotation_seconds"))
        figures->rotations = (double)series->count;
}

static struct figures figures_of(const struct bed *bed)
{
    struct figures figures = {0};
    const struct metrics_visitor visitor = {
        .family = on_family, .series = on_series, .ctx = &figures};
    metrics_visit(bed->metrics, &visitor);
    return figures;
}

static struct x509_pair ca_new(const struct bed *bed)
{
    struct x509_pair ca = {0};
    int64_t now_s = loop_now_wall_ns(bed->loop) / NS_PER_SEC;
    const struct x509_issue issue = {.role = X509_ROLE_CA,
                                     .subject = {.common_name = "ca"},
                                     .not_before_s = now_s - DAY_S,
                                     .not_after_s = now_s + 1000 * DAY_S};
    assert_no_error(crypto_new_key(&ca.key));
    assert_no_error(x509_issue(&issue, ca.key, NULL, &ca.certificate));
    return ca;
}

static void sign(struct bed *bed, const struct x509_pair *ca, const struct x509_subject *subject)
{
    bed->server.subject = subject;
    csr_server_accept(&bed->server);
    csr_server_sign(&bed->server, csr_server_issue(&bed->server, ca, 100 * DAY_S));
    turn(bed->loop);
}

TEST_CASE(a_certificate_of_the_cluster_serves_once_it_is_signed_and_after_a_restart)
{
    static const char *const address[] = {"10.0.0.1"}, *const second_address[] = {"10.0.0.2"};
    static const char *const organizations[] = {"system:nodes"};
    const struct x509_subject subject = {.organizations = {organizations, 1},
                                         .common_name = "system:node:node-a",
                                         .addresses = {address, 1}};
    const struct x509_subject moved = {.organizations = {organizations, 1},
                                       .common_name = "system:node:node-a",
                                       .addresses = {second_address, 1}};
    AUTO(bed) struct bed bed;
    struct node node;
    bed_init(&bed);
    struct x509_pair ca = ca_new(&bed);
    bed.config.server.server_tls_bootstrap = true;
    open_it(&bed);
    TURN_UNTIL(&bed, bed.contexts == 1);
    assert_pending(&bed);
    assert_true(isinf(figures_of(&bed).ttl));
    assert_int_equal(fake_pending(bed.server.client), 0); /* for whom is not known */

    serving_tls_node(bed.serving, node_at(&node, "10.0.0.1"));
    serving_tls_node(bed.serving, NULL);
    sign(&bed, &ca, &subject);
    assert_serves(&bed, "system:node:node-a");
    struct figures figures = figures_of(&bed);
    assert_int_equal(figures.count, 3);
    assert_true(figures.ttl > 99.0 * (double)DAY_S && figures.ttl <= 100.0 * (double)DAY_S);
    assert_true(figures.errors == 0 && figures.rotations == 0);
    AUTO(free) char *current = path_join(bed.dir, "kubelet-server-current.pem");
    struct stat info;
    assert_int_equal(lstat(current, &info), 0);
    assert_true(S_ISLNK(info.st_mode));

    serving_tls_node(bed.serving, node_at(&node, "10.0.0.2"));
    sign(&bed, &ca, &moved);
    assert_true(figures_of(&bed).rotations == 1);

    serving_tls_free(TAKE(bed.serving));
    bed.contexts = 0;
    open_it(&bed);
    TURN_UNTIL(&bed, bed.contexts == 1);
    serving_tls_node(bed.serving, node_at(&node, "10.0.0.2"));
    assert_serves(&bed, "system:node:node-a");
    assert_int_equal(fake_pending(bed.server.client), 0);
    crypto_free_pkey(ca.key);
    crypto_free_certificate(ca.certificate);
}

TEST_CASE(a_refused_request_is_counted_and_nobody_is_served)
{
    AUTO(bed) struct bed bed;
    struct node node;
    bed_init(&bed);
    bed.config.server.server_tls_bootstrap = true;
    open_it(&bed);
    TURN_UNTIL(&bed, bed.contexts == 1);
    serving_tls_node(bed.serving, node_at(&node, "10.0.0.1"));
    fake_fail(fake_first(bed.server.client), 403, "Forbidden", "not for you");
    assert_true(figures_of(&bed).errors == 1);
    assert_pending(&bed);
    assert_int_equal(bed.failures, 0);
}

TEST_CASE(only_who_asks_for_certificates_counts_them)
{
    AUTO(bed) struct bed bed;
    AUTO(test_cert) struct test_cert cert = cert_of("one");
    bed_init(&bed);
    put_pair(&bed, &cert);
    give_files(&bed);
    open_it(&bed);
    TURN_UNTIL(&bed, bed.contexts == 1);
    assert_int_equal(figures_of(&bed).count, 0);
    serving_tls_node(bed.serving, NULL);
}

/* --- settings --- */

TEST_CASE(settings_reach_the_handshake)
{
    static const char *const suites[] = {"TLS_AES_128_GCM_SHA256"};
    static const int32_t curves[] = {24};
    AUTO(bed) struct bed bed;
    AUTO(test_cert) struct test_cert cert = cert_of("one");
    bed_init(&bed);
    put_pair(&bed, &cert);
    give_files(&bed);
    bed.config.server.tls_cipher_suites = (struct config_list){1, suites};
    bed.config.server.tls_curve_preferences = (struct config_curves){1, curves};
    open_it(&bed);
    TURN_UNTIL(&bed, bed.contexts == 1);
    AUTO(tls_sight) struct tls_sight sight = shake(&bed);
    assert_true(sight.is_done);
    assert_int_equal(sight.version, TLS1_3_VERSION);
    assert_int_equal(sight.group, NID_secp384r1);
    /* Nothing of the list is for TLS 1.2. */
    AUTO(tls_sight)
    struct tls_sight older =
        tls_shake(bed.loop, bed.context, &(struct tls_client){.max_version = TLS1_2_VERSION});
    assert_int_equal(older.alert, 70);
}

TEST_CASE(settings_that_cannot_be_kept_are_refused)
{
    static const char *const suites[] = {"NO_SUCH_SUITE"};
    static const int32_t curves[] = {30};
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    bed.config.server.tls_cipher_suites = (struct config_list){1, suites};
    assert_error_message(
        try_open(&bed),
        "tlsCipherSuites: Cipher suite NO_SUCH_SUITE not supported or doesn't exist");
    bed.config.server.tls_cipher_suites = (struct config_list){0};
    bed.config.server.tls_curve_preferences = (struct config_curves){1, curves};
    assert_error_message(try_open(&bed), "tlsCurvePreferences: curve 30 is not supported");
    assert_null(bed.serving);
}

TEST_MAIN(TEST(files_serve_and_until_they_are_read_nobody_is_served),
          TEST(no_protocol_is_negotiated_and_no_certificate_asked_for),
          TEST(files_that_change_serve_and_bad_ones_leave_the_old),
          TEST(an_expired_pair_from_files_serves_nevertheless),
          TEST(files_that_are_of_no_use_at_the_start_are_a_failure),
          TEST(without_the_gate_files_are_read_once),
          TEST(clients_are_known_by_the_ca_file_of_the_moment),
          TEST(nobody_is_served_without_the_ca_file_and_its_absence_is_a_failure),
          TEST(without_files_a_pair_is_made_and_found_again),
          TEST(a_pair_that_cannot_be_made_is_a_failure),
          TEST(a_certificate_of_the_cluster_serves_once_it_is_signed_and_after_a_restart),
          TEST(a_refused_request_is_counted_and_nobody_is_served),
          TEST(only_who_asks_for_certificates_counts_them), TEST(settings_reach_the_handshake),
          TEST(settings_that_cannot_be_kept_are_refused))
