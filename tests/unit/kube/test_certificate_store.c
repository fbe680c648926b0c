#include "kube/certificate_store.h"

#include "tests/lib/tempdir.h"

#include <fcntl.h>
#include <sys/stat.h>

#define NOW_NS (INT64_C(1800000000) * NS_PER_SEC)

struct bed {
    char *dir, *cert_file, *key_file;
    struct certificate_place place;
};

static void bed_init(struct bed *bed)
{
    *bed = (struct bed){.dir = tempdir_new()};
    bed->cert_file = path_join(bed->dir, "tls.crt");
    bed->key_file = path_join(bed->dir, "tls.key");
    bed->place = (struct certificate_place){.dir = bed->dir,
                                            .prefix = "kubelet-server",
                                            .cert_file = bed->cert_file,
                                            .key_file = bed->key_file};
}

static void auto_release_bed(struct bed *bed)
{
    tempdir_free(bed->dir);
    free(bed->cert_file);
    free(bed->key_file);
}

static char *path_of(const struct bed *bed, const char *file)
{
    return path_join(bed->dir, file);
}

static void put(const struct bed *bed, const char *file, const char *text)
{
    AUTO(free) char *path = path_of(bed, file);
    assert_no_error(fd_write_file_blocking(path, str_from(text), 0600));
}

static void assert_loads(const struct bed *bed, const char *want)
{
    AUTO(buf) struct buf pem = {0};
    buf_init(&pem, CERTIFICATE_MAX_BYTES);
    assert_no_error(certificate_store_load_blocking(&bed->place, &pem));
    assert_string_equal(buf_text(&pem), want);
}

static char *link_of(const struct bed *bed, const char *file)
{
    AUTO(free) char *path = path_of(bed, file);
    char target[4096] = "";
    assert_true(readlink(path, target, sizeof(target) - 1) > 0);
    return xstrdup(target);
}

TEST_CASE(a_pair_is_saved_beside_the_older_ones_and_is_the_current_one)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    assert_no_error(certificate_store_save_blocking(&bed.place, STR_LITERAL("one"), NOW_NS));
    AUTO(free) char *first = link_of(&bed, "kubelet-server-current.pem");
    assert_loads(&bed, "one");
    assert_no_error(
        certificate_store_save_blocking(&bed.place, STR_LITERAL("two"), NOW_NS + NS_PER_SEC));
    AUTO(free) char *second = link_of(&bed, "kubelet-server-current.pem");
    assert_loads(&bed, "two");

    assert_string_not_equal(first, second);
    assert_true(path_is_absolute(second));
    struct stat info;
    assert_int_equal(lstat(first, &info), 0);
    assert_int_equal(info.st_mode, S_IFREG | 0600);
    AUTO(free) char *name = path_of(&bed, "kubelet-server-2027-01-15-08-00-01.pem");
    assert_string_equal(second, name);
}

TEST_CASE(the_current_pair_comes_before_files_and_files_before_those_of_the_directory)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    AUTO(buf) struct buf pem = {0};
    buf_init(&pem, CERTIFICATE_MAX_BYTES);
    assert_error_code(certificate_store_load_blocking(&bed.place, &pem), ERROR_NOT_FOUND);
    put(&bed, "kubelet-server.crt", "dir cert");
    assert_error_code(certificate_store_load_blocking(&bed.place, &pem), ERROR_NOT_FOUND);
    assert_int_equal(pem.len, 0);
    put(&bed, "kubelet-server.key", "dir key");
    assert_loads(&bed, "dir cert\ndir key");
    put(&bed, "tls.crt", "cert");
    put(&bed, "tls.key", "key");
    assert_loads(&bed, "cert\nkey");
    assert_no_error(certificate_store_save_blocking(&bed.place, STR_LITERAL("saved"), NOW_NS));
    assert_loads(&bed, "saved");
}

TEST_CASE(a_switch_that_was_cut_off_is_finished)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    assert_no_error(certificate_store_save_blocking(&bed.place, STR_LITERAL("one"), NOW_NS));
    AUTO(free) char *current = path_of(&bed, "kubelet-server-current.pem");
    AUTO(free) char *updated = path_of(&bed, "kubelet-server-updated.pem");
    assert_int_equal(rename(current, updated), 0);
    assert_loads(&bed, "one");
    struct stat info;
    assert_int_equal(lstat(updated, &info), -1);

    /* One that was left beside the current link is no obstacle. */
    assert_int_equal(symlink("/nowhere", updated), 0);
    assert_no_error(
        certificate_store_save_blocking(&bed.place, STR_LITERAL("two"), NOW_NS + NS_PER_SEC));
    assert_loads(&bed, "two");
}

TEST_CASE(a_file_in_the_place_of_the_link_is_read_and_left_alone)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    put(&bed, "kubelet-server-current.pem", "by hand");
    assert_loads(&bed, "by hand");
    assert_error_code(certificate_store_save_blocking(&bed.place, STR_LITERAL("new"), NOW_NS),
                      ERROR_FAILED_PRECONDITION);
    assert_loads(&bed, "by hand");
}

TEST_CASE(a_file_that_is_too_long_is_refused)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    char *text = xcalloc(1, CERTIFICATE_MAX_BYTES + 2);
    memset(text, 'x', CERTIFICATE_MAX_BYTES + 1);
    put(&bed, "kubelet-server-current.pem", text);
    free(text);
    AUTO(buf) struct buf pem = {0};
    buf_init(&pem, CERTIFICATE_MAX_BYTES);
    assert_error_code(certificate_store_load_blocking(&bed.place, &pem), ERROR_RESOURCE_EXHAUSTED);
}

TEST_CASE(the_directory_is_made)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    AUTO(free) char *below = path_of(&bed, "pki/more");
    const struct certificate_place place = {.dir = below, .prefix = "kubelet-client"};
    AUTO(buf) struct buf pem = {0};
    buf_init(&pem, CERTIFICATE_MAX_BYTES);
    assert_error_code(certificate_store_load_blocking(&place, &pem), ERROR_NOT_FOUND);
    assert_no_error(certificate_store_save_blocking(&place, STR_LITERAL("one"), NOW_NS));
    assert_no_error(certificate_store_load_blocking(&place, &pem));
    assert_string_equal(buf_text(&pem), "one");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pair_is_saved_beside_the_older_ones_and_is_the_current_one),
        TEST(the_current_pair_comes_before_files_and_files_before_those_of_the_directory),
        TEST(a_switch_that_was_cut_off_is_finished),
        TEST(a_file_in_the_place_of_the_link_is_read_and_left_alone),
        TEST(a_file_that_is_too_long_is_refused),
        TEST(the_directory_is_made),
    };
    setenv("TZ", "UTC", 1); /* names are in local time */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
