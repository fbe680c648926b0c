/* Time is virtual, jobs run when the test says so, the files are real. */
#include "kube/certificate_manager.h"

#include "tests/lib/tempdir.h"
#include "tests/unit/kube/csr_server.h"
#include "tests/unit/kube/fake_loop.h"
#include "tests/unit/volume/fake_work.h"

#define DAY_S (INT64_C(24) * 3600)

static const char *const organizations[] = {"system:nodes"};
static const char *const dns_names[] = {"node-a"};
static const char *const first_address[] = {"10.0.0.1"}, *const second_address[] = {"10.0.0.2"};
static const struct x509_subject at_first = {.organizations = {organizations, 1},
                                             .common_name = "system:node:node-a",
                                             .dns_names = {dns_names, 1},
                                             .addresses = {first_address, 1}};
static const struct x509_subject later = {.organizations = {organizations, 1},
                                          .common_name = "system:node:node-a",
                                          .dns_names = {dns_names, 1},
                                          .addresses = {second_address, 1}};

struct bed {
    struct csr_server server;
    struct x509_pair ca;
    char *dir;
    struct certificate_manager *manager;
    char *pem; /* told last; NULL: none */
    size_t told, failures;
    int64_t age_ns; /* of the last rotation; 0: none */
};

static void on_certificate(void *ctx, const char *pem)
{
    struct bed *bed = ctx;
    free(bed->pem);
    bed->pem = xstrdup(pem);
    bed->told++;
}

static void on_rotated(void *ctx, int64_t age_ns)
{
    ((struct bed *)ctx)->age_ns = age_ns;
}

static void on_renew_failed(void *ctx)
{
    ((struct bed *)ctx)->failures++;
}

static const struct certificate_listener listener = {
    .on_certificate = on_certificate, .on_rotated = on_rotated, .on_renew_failed = on_renew_failed};

static void open_manager(struct bed *bed, bool has_client)
{
    static const char *const usages[] = {"digital signature", "server auth"};
    const struct certificate_manager_options options = {
        .loop = bed->server.loop,
        .client = has_client ? bed->server.client : NULL,
        .place = {.dir = bed->dir, .prefix = "kubelet-server"},
        .signer_name = "kubernetes.io/kubelet-serving",
        .usages = usages,
        .usage_count = 2,
    };
    bed->manager = certificate_manager_new(&options, &listener, bed);
}

/* Jobs are done and what follows from them at once. */
static void settle(struct bed *bed)
{
    fake_loop_advance(bed->server.loop, 0);
    while (fake_work_count() > 0) {
        fake_work_run();
        fake_work_deliver();
        fake_loop_advance(bed->server.loop, 0);
    }
}

static int64_t now_s(const struct bed *bed)
{
    return loop_now_wall_ns(bed->server.loop) / NS_PER_SEC;
}

static void make_ca(struct bed *bed)
{
    const struct x509_issue issue = {.role = X509_ROLE_CA,
                                     .subject = {.common_name = "ca"},
                                     .not_before_s = now_s(bed) - DAY_S,
                                     .not_after_s = now_s(bed) + 10000 * DAY_S};
    assert_no_error(crypto_new_key(&bed->ca.key));
    assert_no_error(x509_issue(&issue, bed->ca.key, NULL, &bed->ca.certificate));
}

static void turn(struct loop *loop)
{
    fake_loop_advance(loop, 0);
}

static void bed_init(struct bed *bed)
{
    *bed = (struct bed){.dir = tempdir_new()};
    assert_no_error(loop_new(&bed->server.loop));
    bed->server.client = fake_api_client_new(bed->server.loop);
    bed->server.arena = arena_new(0);
    bed->server.turn = turn;
    bed->server.subject = &at_first;
    make_ca(bed);
}

static void auto_release_bed(struct bed *bed)
{
    certificate_manager_free(bed->manager);
    while (fake_work_count() > 0)
        fake_work_deliver();
    fake_loop_advance(bed->server.loop, 0);
    assert_int_equal(fake_pending(bed->server.client), 0);
    assert_int_equal(fake_loop_live(bed->server.loop), 0);
    api_client_free(bed->server.client);
    loop_free(bed->server.loop);
    arena_free(bed->server.arena);
    crypto_free_pkey(bed->ca.key);
    crypto_free_certificate(bed->ca.certificate);
    tempdir_free(bed->dir);
    free(bed->pem);
}

static void sign(struct bed *bed, int64_t life_s)
{
    csr_server_accept(&bed->server);
    csr_server_sign(&bed->server, csr_server_issue(&bed->server, &bed->ca, life_s));
    settle(bed);
}

/* A manager that has a certificate of a hundred days. */
static void bed_init_served(struct bed *bed)
{
    bed_init(bed);
    open_manager(bed, true);
    certificate_manager_want(bed->manager, &at_first);
    settle(bed);
    sign(bed, 100 * DAY_S);
    assert_int_equal(bed->told, 2);
    assert_non_null(bed->pem);
}

/* Begins anew, as a restart does. */
static void reopen(struct bed *bed, bool has_client)
{
    certificate_manager_free(TAKE(bed->manager));
    free(TAKE(bed->pem));
    bed->told = 0;
    open_manager(bed, has_client);
    certificate_manager_want(bed->manager, &at_first);
    settle(bed);
}

TEST_CASE(a_certificate_is_replaced_at_70_to_90_percent_of_its_life)
{
    static const struct {
        int64_t from_s, until_s;
        uint64_t random;
        int64_t want_s;
    } rows[] = {
        {1000, 2000, 0, 1700},
        {1000, 2000, 199, 1899},
        {1000, 2000, 200, 1700},
        {1000, 1000, 7, 1000},
        {1000, 500, 7, 650}, /* a life that ends before it begins is over anyway */
        {0, INT64_MAX, 0, INT64_MAX / 100},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(certificate_rotation_s(rows[i].from_s, rows[i].until_s, rows[i].random),
                         rows[i].want_s);
}

TEST_CASE(without_a_certificate_one_is_asked_for_once_it_is_known_for_whom)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    open_manager(&bed, true);
    assert_int_equal(bed.told, 0);
    settle(&bed);
    assert_int_equal(bed.told, 1);
    assert_null(bed.pem);
    assert_int_equal(certificate_manager_end_s(bed.manager), INT64_MAX);
    assert_int_equal(fake_started(bed.server.client), 0);

    certificate_manager_want(bed.manager, &at_first);
    certificate_manager_want(bed.manager, &at_first);
    assert_int_equal(fake_started(bed.server.client), 1);
    sign(&bed, 100 * DAY_S);
    assert_int_equal(bed.told, 2);
    assert_non_null(strstr(bed.pem, "-----BEGIN EC PRIVATE KEY-----"));
    assert_true(text_has_prefix(bed.pem, "-----BEGIN CERTIFICATE-----"));
    assert_int_equal(certificate_manager_end_s(bed.manager), now_s(&bed) + 100 * DAY_S);
    assert_int_equal(bed.failures, 0);
    assert_int_equal(bed.age_ns, 0);
}

TEST_CASE(a_restart_goes_on_with_what_is_on_disk)
{
    AUTO(bed) struct bed bed;
    bed_init_served(&bed);
    AUTO(free) char *before = xstrdup(bed.pem);
    size_t requests = fake_started(bed.server.client);
    reopen(&bed, true);
    assert_int_equal(bed.told, 1);
    assert_string_equal(bed.pem, before);
    assert_int_equal(fake_started(bed.server.client), requests);

    reopen(&bed, false); /* nobody to ask */
    assert_string_equal(bed.pem, before);
}

TEST_CASE(it_is_replaced_in_time_and_its_age_told)
{
    AUTO(bed) struct bed bed;
    bed_init_served(&bed);
    AUTO(free) char *before = xstrdup(bed.pem);
    size_t requests = fake_started(bed.server.client);
    fake_loop_advance(bed.server.loop, (70 * DAY_S - 1) * NS_PER_SEC);
    assert_int_equal(fake_started(bed.server.client), requests);
    fake_loop_advance(bed.server.loop, 1 * NS_PER_SEC);
    assert_int_equal(fake_started(bed.server.client), requests + 1);
    assert_int_equal(bed.told, 2);
    sign(&bed, 100 * DAY_S);
    assert_int_equal(bed.told, 3);
    assert_string_not_equal(bed.pem, before);
    assert_int_equal(bed.age_ns, 70 * DAY_S * NS_PER_SEC);
    fake_loop_advance(bed.server.loop, 69 * DAY_S * NS_PER_SEC);
    assert_int_equal(fake_started(bed.server.client), requests + 3); /* POST, list, watch */
}

TEST_CASE(failures_grow_the_pause_to_half_a_minute)
{
    static const int64_t want_s[] = {2, 4, 8, 16, 32, 32, 32};
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    open_manager(&bed, true);
    certificate_manager_want(bed.manager, &at_first);
    settle(&bed);
    for (size_t i = 0; i < ARRAY_SIZE(want_s); i++) {
        size_t requests = fake_started(bed.server.client);
        fake_fail(fake_first(bed.server.client), 403, "Forbidden", "not for you");
        fake_loop_advance(bed.server.loop, want_s[i] * NS_PER_SEC - 1);
        assert_int_equal(fake_started(bed.server.client), requests);
        assert_int_equal(bed.failures, i + 1);
        fake_loop_advance(bed.server.loop, 1);
        assert_int_equal(fake_started(bed.server.client), requests + 1);
    }
    sign(&bed, 100 * DAY_S);
    assert_non_null(bed.pem);
}

TEST_CASE(other_addresses_make_another_request)
{
    AUTO(bed) struct bed bed;
    bed_init_served(&bed);
    certificate_manager_want(bed.manager, NULL);
    certificate_manager_want(bed.manager, &at_first);
    assert_int_equal(fake_pending(bed.server.client), 0);
    certificate_manager_want(bed.manager, &later);
    assert_int_equal(fake_pending(bed.server.client), 1);
    assert_non_null(bed.pem); /* the old one serves meanwhile */
    bed.server.subject = &later;
    sign(&bed, 100 * DAY_S);
    assert_int_equal(bed.told, 3);
    assert_int_equal(fake_pending(bed.server.client), 0);

    /* What the certificate holds beyond what is wanted does not matter. */
    const struct x509_subject less = {.common_name = later.common_name,
                                      .addresses = {second_address, 1}};
    certificate_manager_want(bed.manager, &less);
    assert_int_equal(fake_pending(bed.server.client), 0);
}

TEST_CASE(a_request_for_old_addresses_is_given_up)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    open_manager(&bed, true);
    certificate_manager_want(bed.manager, &at_first);
    settle(&bed);
    csr_server_accept(&bed.server);
    certificate_manager_want(bed.manager, &later);
    assert_int_equal(fake_pending(bed.server.client), 0);
    assert_int_equal(bed.failures, 1);
    fake_loop_advance(bed.server.loop, 2 * NS_PER_SEC);
    bed.server.subject = &later;
    sign(&bed, 100 * DAY_S);
    assert_non_null(bed.pem);
}

TEST_CASE(an_expired_certificate_serves_no_longer)
{
    AUTO(bed) struct bed bed;
    bed_init_served(&bed);
    /* Nobody answers from here on. */
    fake_loop_advance(bed.server.loop, 100 * DAY_S * NS_PER_SEC);
    assert_non_null(bed.pem);
    fake_loop_advance(bed.server.loop, NS_PER_SEC);
    assert_null(bed.pem);
    assert_int_equal(bed.told, 3);
    assert_int_equal(certificate_manager_end_s(bed.manager), INT64_MAX);
    assert_true(bed.failures > 0); /* of patience */

    reopen(&bed, true);
    assert_int_equal(bed.told, 1);
    assert_null(bed.pem);
    assert_int_equal(fake_pending(bed.server.client), 1);
}

TEST_CASE(a_certificate_for_another_key_or_none_is_refused)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    open_manager(&bed, true);
    certificate_manager_want(bed.manager, &at_first);
    settle(&bed);
    AUTO(buf) struct buf other = {0};
    buf_init(&other, 64 * KiB);
    assert_no_error(crypto_write_certificate(bed.ca.certificate, &other));
    const char *const answers[] = {buf_text(&other), "rubbish"};
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        csr_server_accept(&bed.server);
        csr_server_sign(&bed.server, answers[i]);
        settle(&bed);
        assert_null(bed.pem);
        assert_int_equal(bed.failures, i + 1);
        fake_loop_advance(bed.server.loop, 10 * NS_PER_SEC);
    }
    sign(&bed, 100 * DAY_S);
    assert_non_null(bed.pem);
}

TEST_CASE(a_certificate_that_cannot_be_stored_is_used)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    AUTO(free) char *current = path_join(bed.dir, "kubelet-server-current.pem");
    assert_no_error(fd_write_file_blocking(current, STR_LITERAL("in the way"), 0600));
    open_manager(&bed, true);
    certificate_manager_want(bed.manager, &at_first);
    settle(&bed);
    assert_null(bed.pem);
    sign(&bed, 100 * DAY_S);
    assert_non_null(bed.pem);
    assert_int_equal(bed.failures, 1);
    fake_loop_advance(bed.server.loop, 3600 * NS_PER_SEC);
    assert_int_equal(fake_pending(bed.server.client), 0);
}

TEST_CASE(a_certificate_that_is_old_on_arrival_asks_for_the_next_after_a_pause)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    open_manager(&bed, true);
    certificate_manager_want(bed.manager, &at_first);
    settle(&bed);
    bed.server.subject = &later; /* a signer that grants other names */
    sign(&bed, 100 * DAY_S);
    assert_non_null(bed.pem);
    assert_int_equal(fake_pending(bed.server.client), 0);
    fake_loop_advance(bed.server.loop, 2 * NS_PER_SEC);
    assert_int_equal(fake_pending(bed.server.client), 1);
}

TEST_MAIN(TEST(a_certificate_is_replaced_at_70_to_90_percent_of_its_life),
          TEST(without_a_certificate_one_is_asked_for_once_it_is_known_for_whom),
          TEST(a_restart_goes_on_with_what_is_on_disk),
          TEST(it_is_replaced_in_time_and_its_age_told),
          TEST(failures_grow_the_pause_to_half_a_minute),
          TEST(other_addresses_make_another_request), TEST(a_request_for_old_addresses_is_given_up),
          TEST(an_expired_certificate_serves_no_longer),
          TEST(a_certificate_for_another_key_or_none_is_refused),
          TEST(a_certificate_that_cannot_be_stored_is_used),
          TEST(a_certificate_that_is_old_on_arrival_asks_for_the_next_after_a_pause))
