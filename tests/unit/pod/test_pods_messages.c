/* What a container's end says (spec pods.md §8.6): its file, or the end of its log; a row a rule.
 */
#include "pods_bench.h"

#include "pod/termination.h"

#include <unistd.h>

#define LINE "2026-01-01T00:00:00Z stdout F "
#define CHUNK_BYTES (16 * KiB) /* what runtimes break longer lines into */

enum file_kind { FILE_LEFT_EMPTY, FILE_TEXT, FILE_GONE, FILE_IS_FOLDER };

struct rule {
    const char *name;
    bool falls_back;
    int exit_code;
    enum file_kind kind;
    const char *file, *log; /* log NULL: there is none */
    const char *want;       /* "" : no message */
    bool is_prefix;
};

static const char *termination_file(const struct bench *bench)
{
    const Cri__ContainerConfig *config = fake_runtime_config(bench->fake, "web-n", "c");
    for (size_t i = 0; i < config->n_mounts; i++) {
        if (text_eq(config->mounts[i]->container_path, "/dev/termination-log"))
            return arena_strdup(bench->arena, config->mounts[i]->host_path);
    }
    fail_msg("there is no termination log");
    return NULL;
}

static void prepare(const struct bench *bench, const struct rule *rule)
{
    const char *file = termination_file(bench);
    switch (rule->kind) {
    case FILE_LEFT_EMPTY:
        break;
    case FILE_TEXT:
        bench_write(file, rule->file);
        break;
    case FILE_IS_FOLDER:
    case FILE_GONE:
        assert_int_equal(unlink(file), 0);
        if (rule->kind == FILE_IS_FOLDER)
            assert_int_equal(mkdir(file, 0755), 0);
        break;
    }
    const char *log = bench_path(bench, "logs/default_web-n_u-web/c/0.log");
    if (rule->log)
        bench_write(log, rule->log);
    else
        assert_int_equal(unlink(log), 0);
}

static void expect_message(const struct rule *rule)
{
    struct bench bench;
    print_message("  %s\n", rule->name);
    bench_init(&bench);
    bench_begin(&bench, "web",
                arena_printf(bench.arena,
                             "restartPolicy: Never, containers: [{name: c, image: 'img:1', "
                             "terminationMessagePolicy: %s}]",
                             rule->falls_back ? "FallbackToLogsOnError" : "File"));
    prepare(&bench, rule);
    fake_runtime_exit(bench.fake, "web-n", "c", rule->exit_code);
    bench_until(&bench, text_has_prefix(bench_state(&bench, "u-web", "c"), "exited"));
    const char *got = bench_container(&bench, "u-web", "c")->state->terminated->message;
    const char *shown = got ? got : "";
    if (rule->is_prefix)
        assert_true(text_has_prefix(shown, rule->want));
    else
        assert_string_equal(shown, rule->want);
    bench_finish(&bench);
}

TEST_CASE(an_end_is_told_by_the_file_or_the_log)
{
    static const struct rule rules[] = {
        {"the file", false, 1, FILE_TEXT, "bye", NULL, "bye", false},
        {"the file after success", false, 0, FILE_TEXT, "done", NULL, "done", false},
        {"the file before the log", true, 1, FILE_TEXT, "bye", LINE "log\n", "bye", false},
        {"an empty file", false, 1, FILE_LEFT_EMPTY, NULL, LINE "log\n", "", false},
        {"the log after a failure", true, 1, FILE_LEFT_EMPTY, NULL, LINE "a\n" LINE "b\n", "a\nb\n",
         false},
        {"not the log after success", true, 0, FILE_LEFT_EMPTY, NULL, LINE "log\n", "", false},
        {"the log when the file is gone", true, 1, FILE_GONE, NULL, LINE "log\n", "log\n", false},
        {"nothing when the file is gone", false, 1, FILE_GONE, NULL, LINE "log\n", "", false},
        {"a file that cannot be read", true, 1, FILE_IS_FOLDER, NULL, LINE "log\n",
         "Error on reading termination log ", true},
        {"a log that is not there", true, 1, FILE_LEFT_EMPTY, NULL, NULL,
         "Error on reading termination message from logs: ", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
        expect_message(&rules[i]);
}

/* @count letters behind @prefix; in @arena. */
static char *letters(struct arena *arena, const char *prefix, size_t count)
{
    size_t len = strlen(prefix);
    char *text = arena_alloc(arena, len + count + 1);
    memcpy(text, prefix, len);
    memset(text + len, 'x', count);
    text[len + count] = '\0';
    return text;
}

TEST_CASE(only_the_end_of_much_is_told)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *bytes_4096 = letters(arena, "", TERMINATION_FILE_MAX_BYTES);
    const char *bytes_2048 = letters(arena, "", TERMINATION_LOG_MAX_BYTES);
    const char *chunk =
        letters(arena, "2026-01-01T00:00:00.123456789+00:00 stdout P ", CHUNK_BYTES);
    const struct rule rules[] = {
        {"the last 4096 bytes of the file", false, 1, FILE_TEXT,
         letters(arena, "begin", TERMINATION_FILE_MAX_BYTES), NULL, bytes_4096, false},
        {"the last 2048 bytes of the log", true, 1, FILE_LEFT_EMPTY, NULL,
         arena_printf(arena, "%s\n", chunk), bytes_2048, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
        expect_message(&rules[i]);
}

TEST_MAIN(TEST(an_end_is_told_by_the_file_or_the_log), TEST(only_the_end_of_much_is_told))
