/* Time is said, not waited for; and far from the clock of the machine, which the timer reads. */
#include "plane/renewal.h"

#include "loop/work.h"
#include "tests/lib/tempdir.h"

#define NOW INT64_C(4102444800) /* 2100 */
#define YEAR_S (INT64_C(365) * 24 * 3600)
#define DUE_S (NOW + YEAR_S * 81 / 100)

struct bed {
    struct loop *loop;
    struct work_pool *pool;
    char *dir;
    struct pki *pki;
    struct renewal *renewal;
    int changes;
};

static const struct pki_options pki_options = {
    .node_name = "node-a", .service_range = "10.96.0.0/12", .now_s = NOW};

static void on_changed(void *ctx)
{
    ((struct bed *)ctx)->changes++;
}

static char *path_of(const struct bed *bed, const char *file)
{
    return path_join(bed->dir, file);
}

static char *read_text(const struct bed *bed, const char *file)
{
    AUTO(free) char *path = path_of(bed, file);
    AUTO(buf) struct buf text;
    buf_init(&text, 64 * KiB);
    assert_no_error(fd_read_file_blocking(path, &text));
    return buf_take(&text);
}

static void write_text(const struct bed *bed, const char *file, const char *text)
{
    AUTO(free) char *path = path_of(bed, file);
    assert_no_error(fd_write_file_blocking(path, str_from(text), 0600));
}

static struct bed *bed_new(bool has_files)
{
    struct bed *bed = xcalloc(1, sizeof(*bed));
    assert_no_error(loop_new(&bed->loop));
    bed->pool = work_pool_new(bed->loop, 0);
    bed->dir = tempdir_new();
    assert_no_error(pki_open_blocking(bed->dir, &pki_options, &bed->pki));
    assert_no_error(pki_write_kubeconfigs_blocking(bed->pki, "https://127.0.0.1:6443"));
    AUTO(free) char *cert = path_of(bed, "tls.crt");
    AUTO(free) char *key = path_of(bed, "tls.key");
    if (has_files) {
        write_text(bed, "tls.crt", "certificate 1");
        write_text(bed, "tls.key", "key 1");
    }
    const struct renewal_options options = {
        .data_dir = bed->dir,
        .pki = &pki_options,
        .cert_file = has_files ? cert : NULL,
        .key_file = has_files ? key : NULL,
        .on_changed = on_changed,
        .ctx = bed,
    };
    assert_no_error(renewal_new_blocking(bed->loop, bed->pool, &options, bed->pki, &bed->renewal));
    renewal_start(bed->renewal, "https://127.0.0.1:6443");
    return bed;
}

static void bed_free(struct bed *bed)
{
    renewal_free(bed->renewal);
    work_pool_free(bed->pool, 0);
    pki_free(bed->pki);
    loop_free(bed->loop);
    tempdir_free(bed->dir);
    free(bed);
}
DEFINE_AUTO(bed, struct bed *, bed_free)

static void look(struct bed *bed, int64_t now_s)
{
    renewal_look(bed->renewal, now_s);
    for (int i = 0; i < 5; i++)
        loop_turn(bed->loop, 0);
}

TEST_CASE(what_a_start_would_renew_is_renewed_while_running)
{
    static const char *const renewed[] = {"pki/apiserver.crt", "pki/admin.crt",
                                          "pki/node-node-a.crt", "admin.kubeconfig",
                                          "node-node-a.kubeconfig"};
    static const char *const kept[] = {"pki/ca.crt", "pki/ca.key", "pki/sa.key",
                                       "pki/apiserver.key", "pki/admin.key"};
    AUTO(bed) struct bed *bed = bed_new(false);
    char *before[ARRAY_SIZE(renewed)], *same[ARRAY_SIZE(kept)];
    for (size_t i = 0; i < ARRAY_SIZE(renewed); i++)
        before[i] = read_text(bed, renewed[i]);
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
        same[i] = read_text(bed, kept[i]);
    const char *authority = pki_ca_pem(bed->pki); /* others hold on to it */

    look(bed, pki_renewal_s(bed->pki) - 1);
    assert_int_equal(bed->changes, 0);
    assert_string_equal(renewal_server_certificate_pem(bed->renewal), before[0]);
    look(bed, DUE_S);
    assert_int_equal(bed->changes, 1);
    look(bed, DUE_S);
    assert_int_equal(bed->changes, 1);

    for (size_t i = 0; i < ARRAY_SIZE(renewed); i++) {
        AUTO(free) char *after = read_text(bed, renewed[i]);
        assert_string_not_equal(after, before[i]);
        if (i == 0)
            assert_string_equal(renewal_server_certificate_pem(bed->renewal), after);
        if (i == 1)
            assert_string_equal(pki_admin_certificate_pem(bed->pki), after);
        free(before[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        AUTO(free) char *after = read_text(bed, kept[i]);
        assert_string_equal(after, same[i]);
        free(same[i]);
    }
    assert_ptr_equal(pki_ca_pem(bed->pki), authority);
    assert_true(pki_renewal_s(bed->pki) > DUE_S + YEAR_S / 2);
}

TEST_CASE(what_cannot_be_renewed_stays_and_is_tried_again)
{
    AUTO(bed) struct bed *bed = bed_new(false);
    AUTO(free) char *before = xstrdup(renewal_server_certificate_pem(bed->renewal));
    AUTO(free) char *key = read_text(bed, "pki/admin.key");
    write_text(bed, "pki/admin.key", "rubbish");
    look(bed, DUE_S);
    assert_int_equal(bed->changes, 0);
    assert_string_equal(renewal_server_certificate_pem(bed->renewal), before);
    write_text(bed, "pki/admin.key", key);
    look(bed, DUE_S);
    assert_int_equal(bed->changes, 1);
    assert_string_not_equal(renewal_server_certificate_pem(bed->renewal), before);
}

TEST_CASE(another_authority_waits_for_a_restart)
{
    AUTO(bed) struct bed *bed = bed_new(false);
    AUTO(free) char *before = xstrdup(renewal_server_certificate_pem(bed->renewal));
    AUTO(free) char *pki = path_of(bed, "pki");
    assert_no_error(fd_remove_tree_blocking(pki));
    look(bed, DUE_S);
    assert_int_equal(bed->changes, 0);
    assert_string_equal(renewal_server_certificate_pem(bed->renewal), before);
}

TEST_CASE(files_from_elsewhere_are_read_again)
{
    AUTO(bed) struct bed *bed = bed_new(true);
    assert_string_equal(renewal_server_certificate_pem(bed->renewal), "certificate 1");
    look(bed, NOW);
    assert_int_equal(bed->changes, 0);
    write_text(bed, "tls.crt", "certificate 2");
    write_text(bed, "tls.key", "key 2");
    look(bed, NOW);
    assert_int_equal(bed->changes, 1);
    assert_string_equal(renewal_server_certificate_pem(bed->renewal), "certificate 2");
    assert_string_equal(renewal_server_key_pem(bed->renewal), "key 2");
    /* Taken away for a moment, as some do who replace: the last ones stay. */
    AUTO(free) char *key = path_of(bed, "tls.key");
    assert_int_equal(unlink(key), 0);
    look(bed, NOW);
    assert_int_equal(bed->changes, 1);
    assert_string_equal(renewal_server_key_pem(bed->renewal), "key 2");
    /* The administrator's is ours all the same. */
    look(bed, DUE_S);
    assert_int_equal(bed->changes, 2);
    assert_string_equal(renewal_server_certificate_pem(bed->renewal), "certificate 2");
}

TEST_CASE(a_look_under_way_ends_in_silence_with_its_owner)
{
    for (int turns = 0; turns < 4; turns++) {
        AUTO(bed) struct bed *bed = bed_new(false);
        renewal_look(bed->renewal, DUE_S);
        renewal_look(bed->renewal, DUE_S); /* one at a time */
        for (int i = 0; i < turns; i++)
            loop_turn(bed->loop, 0);
        assert_true(bed->changes <= 1);
    }
}

TEST_CASE(the_next_look_is_in_time_and_not_too_often)
{
    static const struct {
        const char *name;
        int64_t due_in_s;
        bool has_files, was_just_done;
        int64_t want_s;
    } rows[] = {
        {"in a year: the clock may jump", YEAR_S, false, false, 3600},
        {"within the hour", 8, false, false, 8},
        {"overdue", -5, false, false, 0},
        {"overdue again", -5, false, true, 60},
        {"files", YEAR_S, true, false, 60},
        {"files, just read", 8, true, true, 60},
        {"never", INT64_MAX, false, false, 3600},
        {"always", INT64_MIN, false, true, 60},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t got_ns = renewal_delay_ns(sat_add_i64(NOW, rows[i].due_in_s), NOW,
                                          rows[i].has_files, rows[i].was_just_done);
        if (got_ns != rows[i].want_s * NS_PER_SEC)
            fail_msg("%s: %lld ns", rows[i].name, (long long)got_ns);
    }
}

TEST_MAIN(TEST(what_a_start_would_renew_is_renewed_while_running),
          TEST(what_cannot_be_renewed_stays_and_is_tried_again),
          TEST(another_authority_waits_for_a_restart), TEST(files_from_elsewhere_are_read_again),
          TEST(a_look_under_way_ends_in_silence_with_its_owner),
          TEST(the_next_look_is_in_time_and_not_too_often))
