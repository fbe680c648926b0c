#include "volume/payload.h"

#include "base/buf.h"
#include "volume_test.h"

/* "path=bytes:mode " of every file. */
static const char *shown(const struct volume_payload *payload)
{
    AUTO(buf) struct buf out;
    buf_init(&out, 64 * KiB);
    for (size_t i = 0; i < payload->count; i++)
        buf_printf(&out, "%s=%.*s:%o ", payload->files[i].path, (int)payload->files[i].len,
                   (const char *)payload->files[i].bytes, payload->files[i].mode);
    return arena_strdup(payload->arena, buf_text(&out));
}

static void add(struct volume_payload *payload, const char *path, const char *text)
{
    volume_payload_add(payload, &(struct volume_file){.path = path,
                                                      .bytes = (const uint8_t *)text,
                                                      .len = strlen(text),
                                                      .mode = 0644});
}

static Core__KeyToPath item(const char *key, const char *path)
{
    Core__KeyToPath made = CORE__KEY_TO_PATH__INIT;
    made.key = (char *)(uintptr_t)key;
    made.path = (char *)(uintptr_t)path;
    return made;
}

/* data {a: text-a, b: text-b}, binaryData {b: bytes-b, c: bytes-c} */
struct fixture {
    Core__ConfigMap__DataEntry data[2], *data_list[2];
    Core__ConfigMap__BinaryDataEntry binary[2], *binary_list[2];
    Core__ConfigMap object;
};

static void fixture_init(struct fixture *fixture)
{
    static const char *const texts[] = {"text-a", "text-b"}, *const bytes[] = {"bytes-b",
                                                                               "bytes-c"};
    core__config_map__init(&fixture->object);
    for (size_t i = 0; i < 2; i++) {
        core__config_map__data_entry__init(&fixture->data[i]);
        core__config_map__binary_data_entry__init(&fixture->binary[i]);
        fixture->data[i].key = (char *)(uintptr_t)(i == 0 ? "a" : "b");
        fixture->data[i].value = (char *)(uintptr_t)texts[i];
        fixture->binary[i].key = (char *)(uintptr_t)(i == 0 ? "b" : "c");
        fixture->binary[i].value.data = (uint8_t *)(uintptr_t)bytes[i];
        fixture->binary[i].value.len = strlen(bytes[i]);
        fixture->data_list[i] = &fixture->data[i];
        fixture->binary_list[i] = &fixture->binary[i];
    }
    fixture->object.n_data = fixture->object.n_binary_data = 2;
    fixture->object.data = fixture->data_list;
    fixture->object.binary_data = fixture->binary_list;
}

TEST_CASE(keys_of_a_config_map_become_files)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__KeyToPath a = item("a", "dir/x"), b = item("b", "y"), missing = item("nope", "z");
    a.has_mode = true;
    a.mode = 0400;
    Core__KeyToPath *const items[] = {&a, &b, &missing};
    static const struct {
        const char *name;
        size_t n_items;
        bool optional;
        const char *want, *error;
    } rows[] = {
        {"all keys; binaryData wins", 0, false, "a=text-a:444 b=bytes-b:444 c=bytes-c:444 ", NULL},
        {"named keys; data wins", 2, false, "dir/x=text-a:400 y=text-b:444 ", NULL},
        {"a missing key", 3, false, NULL, "configmap references non-existent config key: nope"},
        {"a missing key that may be missing", 3, true, "dir/x=text-a:400 y=text-b:444 ", NULL},
    };
    struct fixture fixture;
    fixture_init(&fixture);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i].name);
        struct volume_payload payload = {.arena = arena};
        const struct payload_keys keys = {.items = items,
                                          .item_count = rows[i].n_items,
                                          .default_mode = 0444,
                                          .optional = rows[i].optional};
        AUTO(error)
        struct error *err = volume_payload_add_config_map(&payload, &fixture.object, &keys);
        if (rows[i].error) {
            assert_non_null(err);
            assert_string_equal(err->message, rows[i].error);
            continue;
        }
        assert_null(err);
        assert_no_error(volume_payload_finish(&payload));
        assert_string_equal(shown(&payload), rows[i].want);
    }
}

TEST_CASE(an_object_that_is_not_there_has_no_files)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct volume_payload payload = {.arena = arena};
    const struct payload_keys keys = {.default_mode = 0644};
    assert_no_error(volume_payload_add_config_map(&payload, NULL, &keys));
    assert_no_error(volume_payload_add_secret(&payload, NULL, &keys));
    assert_no_error(volume_payload_finish(&payload));
    assert_int_equal(payload.count, 0);

    Core__KeyToPath named = item("k", "p");
    Core__KeyToPath *const items[] = {&named};
    const struct payload_keys wanted = {.items = items, .item_count = 1};
    AUTO(error) struct error *err = volume_payload_add_secret(&payload, NULL, &wanted);
    assert_non_null(err);
    assert_string_equal(err->message, "references non-existent secret key: k");
}

TEST_CASE(paths_are_checked_and_cleaned)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    char *long_name = arena_alloc(arena, 257), *long_path = arena_alloc(arena, 4098);
    memset(long_name, 'n', 256);
    for (size_t i = 0; i < 4097; i++)
        long_path[i] = i % 2 ? '/' : 'p';
    const struct {
        const char *path, *want, *error;
    } rows[] = {
        {"a", "a", NULL},
        {"a//b/./c/", "a/b/c", NULL},
        {"..a/b/..c", NULL, "invalid path: must not start with '..': ..a/b/..c"},
        {"a/..b", "a/..b", NULL},
        {".hidden", ".hidden", NULL},
        {"", NULL, "invalid path: must not be empty: \"\""},
        {".", NULL, "invalid path: must not be empty: \".\""},
        {"/a", NULL, "invalid path: must be relative path: /a"},
        {"a/../b", NULL, "invalid path: must not contain '..': a/../b"},
        {"..", NULL, "invalid path: must not contain '..': .."},
        {"..data", NULL, "invalid path: must not start with '..': ..data"},
        {"./..data", NULL, "invalid path: must not start with '..': ..data"},
        {long_name, NULL, "invalid path: filenames must be less than or equal to 255 characters"},
        {long_path, NULL, "invalid path: must be less than or equal to 4096 characters"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct volume_payload payload = {.arena = arena};
        add(&payload, rows[i].path, "x");
        AUTO(error) struct error *err = volume_payload_finish(&payload);
        if (rows[i].error) {
            assert_non_null(err);
            assert_string_equal(err->message, rows[i].error);
        } else {
            assert_null(err);
            assert_string_equal(payload.files[0].path, rows[i].want);
        }
    }
}

TEST_CASE(of_equal_paths_the_last_one_stays)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct volume_payload payload = {.arena = arena};
    add(&payload, "b", "1");
    add(&payload, "a", "2");
    add(&payload, "./b", "3");
    add(&payload, "a.x", "4");
    add(&payload, "d/e", "5");
    add(&payload, "d.e", "6");
    add(&payload, "a", "7");
    assert_no_error(volume_payload_finish(&payload));
    assert_string_equal(shown(&payload), "a=7:644 a.x=4:644 b=3:644 d.e=6:644 d/e=5:644 ");
    assert_int_equal(volume_payload_place(&payload, "a"), PAYLOAD_FILE);
    assert_int_equal(volume_payload_place(&payload, "d"), PAYLOAD_PARENT);
    assert_int_equal(volume_payload_place(&payload, "d/e"), PAYLOAD_FILE);
    assert_int_equal(volume_payload_place(&payload, "d/"), PAYLOAD_NONE);
    assert_int_equal(volume_payload_place(&payload, "e"), PAYLOAD_NONE);
    assert_int_equal(volume_payload_place(&payload, "a.xy"), PAYLOAD_NONE);
}

TEST_MAIN(TEST(keys_of_a_config_map_become_files), TEST(an_object_that_is_not_there_has_no_files),
          TEST(paths_are_checked_and_cleaned), TEST(of_equal_paths_the_last_one_stays))
