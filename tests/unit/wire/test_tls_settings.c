/* What was chosen is seen from a client's side, in real handshakes. */
#include "wire/tls_settings.h"

#include "tests/lib/tls_certs.h"
#include "tests/lib/tls_handshake.h"

#define HYBRID_SINCE 0x30500000L /* OpenSSL 3.5 */

struct bed {
    struct loop *loop;
    struct arena *arena;
    struct test_cert ecdsa;
};

static void bed_init(struct bed *bed)
{
    *bed = (struct bed){.arena = arena_new(0)};
    assert_no_error(loop_new(&bed->loop));
    bed->ecdsa = test_cert_new(&(struct test_cert_options){.common_name = "node"}, NULL);
}

static void auto_release_bed(struct bed *bed)
{
    test_cert_free(&bed->ecdsa);
    arena_free(bed->arena);
    loop_free(bed->loop);
}

static struct tls_sight shake(const struct bed *bed, const struct tls_options *options,
                              const struct tls_client *client)
{
    struct tls_options whole = *options;
    whole.cert_pem = bed->ecdsa.cert_pem;
    whole.key_pem = bed->ecdsa.key_pem;
    AUTO(tls_context) struct tls_context *context = NULL;
    assert_no_error(tls_context_new_server(&whole, &context));
    return tls_shake(bed->loop, context, client);
}

TEST_CASE(the_lowest_version_is_what_was_asked_for)
{
    static const struct {
        int min, client, alert; /* 0: they agree */
    } rows[] = {
        {0, TLS1_2_VERSION, 0},
        {0, TLS1_1_VERSION, 70},
        {0, TLS1_VERSION, 70},
        {TLS1_VERSION, TLS1_VERSION, 0},
        {TLS1_VERSION, TLS1_1_VERSION, 0},
        {TLS1_1_VERSION, TLS1_VERSION, 70},
        {TLS1_1_VERSION, TLS1_1_VERSION, 0},
        {TLS1_2_VERSION, TLS1_1_VERSION, 70},
        {TLS1_2_VERSION, TLS1_2_VERSION, 0},
        {TLS1_3_VERSION, TLS1_2_VERSION, 70},
        {TLS1_3_VERSION, TLS1_3_VERSION, 0},
    };
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(tls_sight)
        struct tls_sight sight = shake(
            &bed, &(struct tls_options){.min_version = rows[i].min},
            &(struct tls_client){.min_version = rows[i].client, .max_version = rows[i].client});
        assert_int_equal(sight.is_done, rows[i].alert == 0);
        assert_int_equal(sight.alert, rows[i].alert);
        if (sight.is_done)
            assert_int_equal(sight.version, rows[i].client);
    }
}

TEST_CASE(the_server_prefers_suites_as_go_does)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    AUTO(tls_sight)
    struct tls_sight newest = shake(&bed, &(struct tls_options){0}, &(struct tls_client){0});
    assert_string_equal(newest.cipher, "TLS_AES_128_GCM_SHA256");
    AUTO(tls_sight)
    struct tls_sight older =
        shake(&bed, &(struct tls_options){0},
              &(struct tls_client){.max_version = TLS1_2_VERSION,
                                   .ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384:"
                                              "ECDHE-ECDSA-AES128-GCM-SHA256"});
    assert_string_equal(older.cipher, "ECDHE-ECDSA-AES128-GCM-SHA256");
}

TEST_CASE(chosen_suites_come_in_gos_order_and_are_the_only_ones)
{
    static const char *const names[] = {
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
        "TLS_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"};
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    struct tls_suites suites;
    assert_no_error(
        tls_suites_choose(&(struct text_list){names, ARRAY_SIZE(names)}, bed.arena, &suites));
    assert_string_equal(suites.ciphers, "ECDHE-ECDSA-AES256-GCM-SHA384:"
                                        "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-SHA");
    assert_int_equal(suites.insecure.count, 0);
    assert_int_equal(suites.missing.count, 0);

    const struct tls_options options = {.ciphers = suites.ciphers};
    AUTO(tls_sight)
    struct tls_sight shared =
        shake(&bed, &options, &(struct tls_client){.max_version = TLS1_2_VERSION});
    assert_string_equal(shared.cipher, "ECDHE-ECDSA-AES256-GCM-SHA384");
    AUTO(tls_sight)
    struct tls_sight none = shake(&bed, &options,
                                  &(struct tls_client){.max_version = TLS1_2_VERSION,
                                                       .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"});
    assert_false(none.is_done);
    assert_int_equal(none.alert, 40);
}

TEST_CASE(insecure_suites_are_told_and_those_that_openssl_lacks_are_left_out)
{
    static const char *const names[] = {"TLS_ECDHE_RSA_WITH_RC4_128_SHA",
                                        "TLS_RSA_WITH_AES_128_GCM_SHA256"};
    AUTO(arena) struct arena *arena = arena_new(0);
    struct tls_suites suites;
    assert_no_error(tls_suites_choose(&(struct text_list){names, 2}, arena, &suites));
    assert_string_equal(suites.ciphers, "AES128-GCM-SHA256");
    assert_int_equal(suites.insecure.count, 2);
    assert_int_equal(suites.missing.count, 1);
    assert_string_equal(suites.missing.items[0], names[0]);
}

TEST_CASE(a_list_of_nothing_but_tls_1_3_leaves_nothing_for_older_versions)
{
    static const char *const names[] = {"TLS_CHACHA20_POLY1305_SHA256"};
    AUTO(arena) struct arena *arena = arena_new(0);
    struct tls_suites suites;
    assert_no_error(tls_suites_choose(&(struct text_list){names, 1}, arena, &suites));
    assert_null(suites.ciphers);
    assert_int_equal(suites.missing.count, 0);
}

TEST_CASE(an_unknown_suite_is_refused_by_its_name)
{
    static const char *const names[] = {"ECDHE-RSA-AES128-GCM-SHA256"};
    AUTO(arena) struct arena *arena = arena_new(0);
    struct tls_suites suites;
    assert_error_message(tls_suites_choose(&(struct text_list){names, 1}, arena, &suites),
                         "Cipher suite ECDHE-RSA-AES128-GCM-SHA256 not supported or doesn't exist");
}

TEST_CASE(curves_come_in_gos_order_and_are_the_only_ones)
{
    static const int32_t ids[] = {25, 23};
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    const char *groups = NULL;
    assert_no_error(tls_groups_choose(ids, ARRAY_SIZE(ids), bed.arena, &groups));
    assert_string_equal(groups, "P-256:P-521");
    const struct tls_options options = {.groups = groups};
    /* TLS 1.3 takes the curve for which the client brought a share. */
    AUTO(tls_sight)
    struct tls_sight shared =
        shake(&bed, &options,
              &(struct tls_client){.max_version = TLS1_2_VERSION, .groups = "P-521:P-256:X25519"});
    assert_int_equal(shared.group, NID_X9_62_prime256v1);
    AUTO(tls_sight)
    struct tls_sight none = shake(&bed, &options, &(struct tls_client){.groups = "X25519"});
    assert_false(none.is_done);

    assert_no_error(tls_groups_choose(NULL, 0, bed.arena, &groups));
    assert_null(groups);
    assert_error_message(tls_groups_choose(&(int32_t){30}, 1, bed.arena, &groups),
                         "curve 30 is not supported");
}

TEST_CASE(a_hybrid_curve_is_refused_by_an_openssl_without_it)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *groups = NULL;
    AUTO(error)
    struct error *err = tls_groups_choose((const int32_t[]){29, 4588}, 2, arena, &groups);
    if (OpenSSL_version_num() >= HYBRID_SINCE) {
        assert_null(err);
        assert_string_equal(groups, "X25519MLKEM768:X25519");
        return;
    }
    assert_int_equal(err->code, ERROR_FAILED_PRECONDITION);
    assert_true(
        text_has_prefix(err->message, "curve 4588 (X25519MLKEM768) is not supported by OpenSSL"));
}

TEST_MAIN(TEST(the_lowest_version_is_what_was_asked_for),
          TEST(the_server_prefers_suites_as_go_does),
          TEST(chosen_suites_come_in_gos_order_and_are_the_only_ones),
          TEST(insecure_suites_are_told_and_those_that_openssl_lacks_are_left_out),
          TEST(a_list_of_nothing_but_tls_1_3_leaves_nothing_for_older_versions),
          TEST(an_unknown_suite_is_refused_by_its_name),
          TEST(curves_come_in_gos_order_and_are_the_only_ones),
          TEST(a_hybrid_curve_is_refused_by_an_openssl_without_it))
