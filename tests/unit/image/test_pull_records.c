#include "image/pull_records.h"

#include "base/log.h"
#include "base/metrics.h"
#include "tests/lib/metrics_read.h"
#include "tests/lib/tempdir.h"

#include <fcntl.h>
#include <sys/stat.h>

#define TURNS 1000
#define REF "sha256:abc"
#define REPO "docker.io/library/busybox"
#define RECORD_HEAD                                                                                \
    "{\"kind\":\"ImagePulledRecord\",\"apiVersion\":\"kubelet.config.k8s.io/v1beta1\","

struct fixture {
    char *dir;
    int log_fd;
    struct arena *arena;
    struct loop *loop;
    struct work_pool *pool;
    struct metrics *metrics;
    struct pull_records_options options;
    struct pull_records *records;
    size_t n_done;
    char *error; /* of the last intent, or "" */
    struct pull_known known;
    bool has_any;
};

static const char *file_of(const struct fixture *it, const char *folder, const char *key)
{
    char name[PULL_RECORD_NAME_SIZE];
    pull_record_name(key, name);
    return arena_printf(it->arena, "%s/image_manager/%s/%s", it->dir, folder, name);
}

static const char *text_of(const struct fixture *it, const char *folder, const char *key)
{
    AUTO(buf) struct buf text;
    buf_init(&text, PULL_RECORD_MAX_BYTES);
    AUTO(error) struct error *err = fd_read_file_blocking(file_of(it, folder, key), &text);
    return err ? "" : arena_strdup(it->arena, buf_text(&text));
}

static void put(const struct fixture *it, const char *folder, const char *key, const char *text)
{
    assert_no_error(fd_write_file_blocking(file_of(it, folder, key), str_from(text), 0600));
}

static void turn_until(struct fixture *it, size_t n_done)
{
    for (size_t i = 0; i < TURNS && it->n_done < n_done; i++)
        loop_turn(it->loop, NS_PER_MS);
    assert_int_equal(it->n_done, n_done);
}

static void on_read(void *ctx, bool has_any)
{
    struct fixture *it = ctx;
    it->has_any = has_any;
    it->n_done++;
}

static void on_known(void *ctx, const struct pull_known *known)
{
    struct fixture *it = ctx;
    it->known = *known;
    if (known->record.ptr)
        it->known.record.ptr = arena_strndup(it->arena, known->record.ptr, known->record.len);
    it->n_done++;
}

static void on_written(void *ctx, struct error *err_owned)
{
    struct fixture *it = ctx;
    it->error = arena_strdup(it->arena, err_owned ? err_owned->message : "");
    error_free(err_owned);
    it->n_done++;
}

static void on_done(void *ctx)
{
    ((struct fixture *)ctx)->n_done++;
}

/* Opens the store and waits until it has read what is there. */
static void open_store(struct fixture *it)
{
    it->records = pull_records_new(&it->options);
    it->n_done = 0;
    (void)pull_records_when_read(it->records, on_read, it);
    turn_until(it, 1);
    it->n_done = 0;
}

static void init(struct fixture *it)
{
    *it = (struct fixture){.dir = tempdir_new(), .arena = arena_new(0), .metrics = metrics_new()};
    it->log_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (!getenv("CUBELET_TEST_LOG"))
        log_set_fd(it->log_fd);
    assert_no_error(loop_new(&it->loop));
    it->pool = work_pool_new(it->loop, 0);
    static const char *const folders[] = {"image_manager/pulling", "image_manager/pulled"};
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
        assert_no_error(fd_mkdir_all(arena_printf(it->arena, "%s/%s", it->dir, folders[i]), 0700));
    it->options =
        (struct pull_records_options){.pool = it->pool,
                                      .root_dir = it->dir,
                                      .policy = {.kind = CONFIG_PULL_NEVER_VERIFY_PRELOADED_IMAGES},
                                      .max_intents = 8,
                                      .max_records = 8,
                                      .metrics = it->metrics};
}

static void done(struct fixture *it)
{
    pull_records_free(it->records);
    work_pool_free(it->pool, NS_PER_SEC);
    loop_free(it->loop);
    metrics_free(it->metrics);
    log_set_fd(STDERR_FILENO);
    assert_int_equal(close(it->log_fd), 0);
    tempdir_free(it->dir);
    arena_free(it->arena);
}

/* What is known of an image now, whatever was asked for before. */
static struct pull_known ask(struct fixture *it, const char *image, const char *ref)
{
    it->n_done = 0;
    if (pull_records_look(it->records, image, ref, &it->known))
        return it->known;
    (void)pull_records_ask(it->records, image, ref, on_known, it);
    turn_until(it, 1);
    return it->known;
}

static void write_intent(struct fixture *it, const char *image)
{
    it->n_done = 0;
    pull_records_enter(it->records, image);
    if (pull_records_write_intent(it->records, image, on_written, it))
        turn_until(it, 1);
}

static void leave_pulled(struct fixture *it, const char *image, const struct pull_access *access)
{
    struct pull_proof proof = {.image_ref = REF, .repository = REPO, .access = access};
    it->n_done = 0;
    (void)pull_records_leave_pulled(it->records, image, &proof, on_done, it);
    turn_until(it, 1);
}

static double figure(const struct fixture *it, const char *name, const char *values)
{
    return metrics_value(it->metrics, name, values);
}

static const struct pull_access anybody = {.all_pods = true};

/* --- cases --- */

TEST_CASE(an_intent_is_there_while_a_pull_is_meant_and_then_a_record)
{
    struct fixture it;
    init(&it);
    open_store(&it);
    assert_false(it.has_any);
    assert_false(ask(&it, "busybox:1", REF).is_known);
    write_intent(&it, "busybox:1");
    assert_string_equal(text_of(&it, "pulling", "busybox:1"),
                        "{\"kind\":\"ImagePullIntent\",\"apiVersion\":\"kubelet.config.k8s.io/"
                        "v1beta1\",\"image\":\"busybox:1\"}\n");
    struct stat info;
    assert_int_equal(stat(file_of(&it, "pulling", "busybox:1"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_true(ask(&it, "busybox:1", REF).is_known);
    leave_pulled(&it, "busybox:1", &anybody);
    assert_string_equal(text_of(&it, "pulling", "busybox:1"), "");
    assert_non_null(strstr(text_of(&it, "pulled", REF),
                           "\"credentialMapping\":{\"" REPO "\":{\"nodePodsAccessible\":true}}}"));
    assert_true(ask(&it, "busybox:1", REF).record.ptr);
    assert_true(figure(&it, "kubelet_imagemanager_ondisk_pulledrecords", "") == 1);
    assert_true(figure(&it, "kubelet_imagemanager_inmemory_pulledrecords_usage_percent", "") ==
                12.5);
    assert_true(figure(&it, "kubelet_imagemanager_ondisk_pullintents", "") == 0);
    done(&it);
}

TEST_CASE(an_intent_stays_until_the_last_of_several_pulls_has_ended)
{
    struct fixture it;
    init(&it);
    open_store(&it);
    write_intent(&it, "busybox:1");
    write_intent(&it, "busybox:1");
    leave_pulled(&it, "busybox:1", &anybody);
    assert_string_not_equal(text_of(&it, "pulling", "busybox:1"), "");
    pull_records_leave(it.records, "busybox:1");
    (void)ask(&it, "x", "x");
    assert_string_equal(text_of(&it, "pulling", "busybox:1"), "");
    done(&it);
}

TEST_CASE(a_pull_that_follows_on_a_failed_one_keeps_its_intent)
{
    struct fixture it;
    init(&it);
    open_store(&it);
    write_intent(&it, "busybox:1");
    pull_records_leave(it.records, "busybox:1"); /* on its way to the disk */
    write_intent(&it, "busybox:1");
    assert_string_not_equal(text_of(&it, "pulling", "busybox:1"), "");
    done(&it);
}

TEST_CASE(a_pull_in_back_off_is_known_and_writes_nothing)
{
    struct fixture it;
    init(&it);
    open_store(&it);
    pull_records_enter(it.records, "busybox:1");
    assert_true(ask(&it, "busybox:1", REF).is_known);
    pull_records_leave(it.records, "busybox:1");
    assert_int_equal(work_pool_busy(it.pool), 0);
    assert_false(ask(&it, "busybox:1", REF).is_known);
    done(&it);
}

TEST_CASE(a_record_that_says_the_same_is_not_written_again)
{
    struct fixture it;
    init(&it);
    open_store(&it);
    write_intent(&it, "busybox:1");
    leave_pulled(&it, "busybox:1", &anybody);
    struct stat before, after;
    assert_int_equal(stat(file_of(&it, "pulled", REF), &before), 0);
    write_intent(&it, "busybox:1");
    leave_pulled(&it, "busybox:1", &anybody);
    assert_int_equal(stat(file_of(&it, "pulled", REF), &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    done(&it);
}

TEST_CASE(records_outlive_the_agent_and_those_of_the_old_version_are_rewritten)
{
    struct fixture it;
    init(&it);
    put(&it, "pulled", REF,
        "{\"kind\":\"ImagePulledRecord\",\"apiVersion\":\"kubelet.config.k8s.io/v1alpha1\","
        "\"lastUpdatedTime\":\"2026-11-21T03:24:00Z\",\"imageRef\":\"" REF "\"}");
    open_store(&it);
    assert_true(it.has_any);
    static const char *const want =
        RECORD_HEAD "\"lastUpdatedTime\":\"2026-11-21T03:24:00Z\",\"imageRef\":\"" REF "\"}\n";
    assert_string_equal(text_of(&it, "pulled", REF), want);
    assert_string_equal(ask(&it, "busybox:1", REF).record.ptr, want);
    done(&it);
}

TEST_CASE(a_damaged_file_means_a_pull_which_replaces_it)
{
    struct fixture it;
    init(&it);
    put(&it, "pulled", REF, "{\"kind\":");
    put(&it, "pulling", "busybox:2", "");
    open_store(&it);
    assert_true(ask(&it, "busybox:1", REF).is_unreadable);
    assert_true(ask(&it, "busybox:2", "sha256:other").is_unreadable);
    assert_false(ask(&it, "busybox:1", "sha256:other").is_unreadable);
    assert_string_equal(text_of(&it, "pulled", REF), "{\"kind\":");
    write_intent(&it, "busybox:1");
    leave_pulled(&it, "busybox:1", &anybody);
    assert_false(ask(&it, "busybox:1", REF).is_unreadable);
    done(&it);
}

TEST_CASE(a_file_of_another_image_is_damaged)
{
    struct fixture it;
    init(&it);
    put(&it, "pulled", REF, RECORD_HEAD "\"lastUpdatedTime\":null,\"imageRef\":\"sha256:other\"}");
    open_store(&it);
    assert_true(ask(&it, "busybox:1", REF).is_unreadable);
    done(&it);
}

TEST_CASE(what_is_not_in_memory_any_more_is_read_from_disk)
{
    struct fixture it;
    init(&it);
    it.options.max_records = 1;
    it.options.max_intents = 1;
    static const char *const refs[] = {"sha256:a", "sha256:b", "sha256:c"};
    for (size_t i = 0; i < ARRAY_SIZE(refs); i++)
        put(&it, "pulled", refs[i],
            arena_printf(it.arena, RECORD_HEAD "\"lastUpdatedTime\":null,\"imageRef\":\"%s\"}",
                         refs[i]));
    open_store(&it);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_SIZE(refs); i++) {
            struct pull_known known = ask(&it, "busybox:1", refs[i]);
            assert_true(known.is_known && !known.is_unreadable);
            assert_non_null(strstr(known.record.ptr, refs[i]));
        }
        assert_false(ask(&it, "busybox:1", "sha256:d").is_known);
    }
    assert_true(figure(&it, "kubelet_imagemanager_ondisk_pulledrecords", "") == 3);
    done(&it);
}

TEST_CASE(an_intent_that_cannot_be_written_is_an_error)
{
    struct fixture it;
    init(&it);
    open_store(&it);
    assert_no_error(
        fd_remove_tree_blocking(arena_printf(it.arena, "%s/image_manager/pulling", it.dir)));
    write_intent(&it, "busybox:1");
    assert_non_null(strstr(it.error, "No such file or directory"));
    done(&it);
}

TEST_CASE(a_record_that_cannot_be_written_leaves_the_intent)
{
    struct fixture it;
    init(&it);
    open_store(&it);
    write_intent(&it, "busybox:1");
    assert_no_error(
        fd_remove_tree_blocking(arena_printf(it.arena, "%s/image_manager/pulled", it.dir)));
    leave_pulled(&it, "busybox:1", &anybody);
    assert_string_not_equal(text_of(&it, "pulling", "busybox:1"), "");
    assert_true(ask(&it, "busybox:1", REF).is_known);
    done(&it);
}

TEST_CASE(at_the_start_intents_of_images_that_are_there_become_records)
{
    struct fixture it;
    init(&it);
    open_store(&it);
    write_intent(&it, "busybox:1");
    write_intent(&it, "absent:1");
    pull_records_close(it.records); /* the agent ends while it pulls */
    pull_records_leave(it.records, "busybox:1");
    pull_records_leave(it.records, "absent:1");
    (void)ask(&it, "x", "x");
    pull_records_free(it.records);
    assert_string_not_equal(text_of(&it, "pulling", "busybox:1"), "");

    open_store(&it);
    static const char *const names[] = {"busybox@sha256:0", "busybox:1"};
    static const struct pull_image image = {.id = REF, .names = names, .n_names = 2};
    pull_records_reconcile(it.records, &image, 1, 0);
    struct pull_known known = ask(&it, "busybox:1", REF);
    assert_non_null(strstr(known.record.ptr, "\"imageRef\":\"" REF "\"}\n")); /* no mapping */
    assert_string_equal(text_of(&it, "pulling", "busybox:1"), "");
    assert_string_not_equal(text_of(&it, "pulling", "absent:1"), "");
    done(&it);
}

TEST_CASE(records_of_images_that_are_gone_go_unless_they_are_newer)
{
    struct fixture it;
    init(&it);
    static const char *const refs[] = {"sha256:there", "sha256:gone", "sha256:newer"},
                             *const times[] = {"2026-11-21T03:24:00Z", "2026-11-21T03:24:00Z",
                                               "2026-11-21T03:24:01Z"};
    for (size_t i = 0; i < ARRAY_SIZE(refs); i++)
        put(&it, "pulled", refs[i],
            arena_printf(it.arena, RECORD_HEAD "\"lastUpdatedTime\":\"%s\",\"imageRef\":\"%s\"}",
                         times[i], refs[i]));
    put(&it, "pulled", "sha256:damaged", "");
    open_store(&it);
    static const struct pull_image image = {.id = "sha256:there"};
    pull_records_reconcile(it.records, &image, 1, 1795231441);
    (void)ask(&it, "x", "x");
    assert_string_not_equal(text_of(&it, "pulled", refs[0]), "");
    assert_string_equal(text_of(&it, "pulled", refs[1]), "");
    assert_string_not_equal(text_of(&it, "pulled", refs[2]), "");
    assert_true(ask(&it, "x", "sha256:damaged").is_unreadable);
    assert_false(ask(&it, "x", refs[1]).is_known);
    assert_true(figure(&it, "kubelet_imagemanager_ondisk_pulledrecords", "") == 3);
    done(&it);
}

TEST_CASE(checks_are_counted_by_their_result_once_they_have_one)
{
    struct fixture it;
    init(&it);
    open_store(&it);
    static const char *const name = "kubelet_imagemanager_image_mustpull_checks_total";
    const struct pull_secret secret = {.uid = "u", .namespace_ = "n", .name = "s", .hash = "h"};
    const struct pull_access own = {.secrets = &secret, .n_secrets = 1};
    const struct pull_secret *note;
    struct pull_known known = ask(&it, "busybox:1", REF);
    assert_int_equal(pull_records_check(it.records, &known, REPO, NULL, &note),
                     PULL_CHECK_POLICY_ALLOWS);
    write_intent(&it, "busybox:1");
    leave_pulled(&it, "busybox:1", &own);
    known = ask(&it, "busybox:1", REF);
    assert_int_equal(pull_records_check(it.records, &known, REPO, NULL, &note),
                     PULL_CHECK_NEEDS_ACCESS);
    assert_int_equal(pull_records_check(it.records, &known, REPO, &own, &note),
                     PULL_CHECK_RECORD_FOUND);
    assert_true(figure(&it, name, "credentialPolicyAllowed") == 1);
    assert_true(figure(&it, name, "credentialRecordFound") == 1);
    assert_true(figure(&it, name, "") != 1);
    done(&it);
}

TEST_CASE(who_has_gone_away_is_not_answered_and_what_was_asked_for_happens)
{
    struct fixture it;
    init(&it);
    open_store(&it);
    pull_records_enter(it.records, "busybox:1");
    pull_request_cancel(pull_records_write_intent(it.records, "busybox:1", on_written, &it));
    const struct pull_proof proof = {.image_ref = REF, .repository = REPO, .access = &anybody};
    pull_request_cancel(pull_records_leave_pulled(it.records, "busybox:1", &proof, on_done, &it));
    pull_request_cancel(pull_records_ask(it.records, "busybox:1", REF, on_known, &it));
    assert_true(ask(&it, "busybox:1", REF).record.ptr);
    assert_int_equal(it.n_done, 1);
    done(&it);
}

TEST_MAIN(TEST(an_intent_is_there_while_a_pull_is_meant_and_then_a_record),
          TEST(an_intent_stays_until_the_last_of_several_pulls_has_ended),
          TEST(a_pull_that_follows_on_a_failed_one_keeps_its_intent),
          TEST(a_pull_in_back_off_is_known_and_writes_nothing),
          TEST(a_record_that_says_the_same_is_not_written_again),
          TEST(records_outlive_the_agent_and_those_of_the_old_version_are_rewritten),
          TEST(a_damaged_file_means_a_pull_which_replaces_it),
          TEST(a_file_of_another_image_is_damaged),
          TEST(what_is_not_in_memory_any_more_is_read_from_disk),
          TEST(an_intent_that_cannot_be_written_is_an_error),
          TEST(a_record_that_cannot_be_written_leaves_the_intent),
          TEST(at_the_start_intents_of_images_that_are_there_become_records),
          TEST(records_of_images_that_are_gone_go_unless_they_are_newer),
          TEST(checks_are_counted_by_their_result_once_they_have_one),
          TEST(who_has_gone_away_is_not_answered_and_what_was_asked_for_happens))
