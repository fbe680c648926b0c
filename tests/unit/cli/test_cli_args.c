#include "cli/cli_args.h"
#include "tests/lib/test.h"

#define MAX_WORDS 12

struct row {
    const char *argv[MAX_WORDS]; /* without argv[0] */
    struct cli_options want;
    const char *err;
};

#define DEFAULTS .socket_path = CLI_DEFAULT_SOCKET, .tail_lines = -1

static const char *const rows_words[] = {"ls", "-l", "--", "-x", ""};

static const struct row rows[] = {
    {{"pods"}, {DEFAULTS, .command = CLI_PODS}, NULL},
    {{"pods", "-A", "-o", "wide", "-w"},
     {DEFAULTS, .command = CLI_PODS, .all_namespaces = true, .output = "wide", .watch = true},
     NULL},
    {{"pods", "-ojson", "-nkube-system"},
     {DEFAULTS, .command = CLI_PODS, .output = "json", .namespace = "kube-system"},
     NULL},
    {{"pods", "-o=name"}, {DEFAULTS, .command = CLI_PODS, .output = "name"}, NULL},
    {{"logs", "web", "--local-socket=/x", "-f"},
     {.tail_lines = -1, .socket_path = "/x", .command = CLI_LOGS, .pod = "web", .follow = true},
     NULL},
    {{"logs", "--local-socket", "/x", "-fp", "--tail", "5", "--timestamps", "--since=90s", "web"},
     {.socket_path = "/x",
      .command = CLI_LOGS,
      .pod = "web",
      .follow = true,
      .previous = true,
      .tail_lines = 5,
      .timestamps = true,
      .since_seconds = 90},
     NULL},
    {{"logs", "-fc", "main", "--since", "1500ms", "--", "-odd"},
     {DEFAULTS, .command = CLI_LOGS, .pod = "-odd", .follow = true, .container = "main",
      .since_seconds = 2},
     NULL},
    {{"logs", "web", "--follow=false"}, {DEFAULTS, .command = CLI_LOGS, .pod = "web"}, NULL},
    {{"logs", "--help"}, {DEFAULTS, .command = CLI_LOGS, .help = true}, NULL},
    {{"events", "-n", "a"}, {DEFAULTS, .command = CLI_EVENTS, .namespace = "a"}, NULL},
    {{"events", "web"}, {DEFAULTS, .command = CLI_EVENTS, .pod = "web"}, NULL},
    {{"events", "-wA"},
     {DEFAULTS, .command = CLI_EVENTS, .watch = true, .all_namespaces = true},
     NULL},
    {{"logs", "web", "--since-time=2026-11-21T03:00:00.5+01:00"},
     {DEFAULTS, .command = CLI_LOGS, .pod = "web", .since_time = "2026-11-21T03:00:00.5+01:00"},
     NULL},
    {{"exec", "-it", "web", "-cmain", "-n", "a", "--", "ls", "-l", "--", "-x"},
     {DEFAULTS, .command = CLI_EXEC, .pod = "web", .input = true, .tty = true, .container = "main",
      .namespace = "a", .words = &rows_words[0], .word_count = 4},
     NULL},
    {{"exec", "--stdin", "--tty=false", "web", "--", ""},
     {DEFAULTS, .command = CLI_EXEC, .pod = "web", .input = true, .words = &rows_words[4],
      .word_count = 1},
     NULL},
    {{"attach", "web", "-i"}, {DEFAULTS, .command = CLI_ATTACH, .pod = "web", .input = true}, NULL},
    {{"attach", "--", "-odd"}, {DEFAULTS, .command = CLI_ATTACH, .pod = "-odd"}, NULL},
    {{"top"}, {DEFAULTS, .command = CLI_TOP}, NULL},
    {{"top", "pods", "--containers", "--sort-by=memory", "-n", "a"},
     {DEFAULTS, .command = CLI_TOP, .pod = "pods", .containers = true, .sort_by = "memory",
      .namespace = "a"},
     NULL},
    {{"top", "node", "-ojson"},
     {DEFAULTS, .command = CLI_TOP, .pod = "node", .is_node = true, .output = "json"},
     NULL},
    {{"help", "logs"}, {DEFAULTS, .command = CLI_HELP, .pod = "logs"}, NULL},
    {{"frob"}, {0}, "unknown command frob"},
    {{NULL}, {0}, "unknown command "},
    {{"logs"}, {0}, "logs needs the name of a pod"},
    {{"logs", "a", "b"}, {0}, "logs takes one argument, found a and b"},
    {{"status", "x"}, {0}, "status takes no argument, found x"},
    {{"status", "-w"}, {0}, "unknown option -w in -w"},
    {{"status", "--watch=1"}, {0}, "unknown option --watch"},
    {{"status", "-o", "wide"}, {0}, "--output wide is unknown: use json"},
    {{"pods", "-o", "yaml"}, {0}, "--output yaml is unknown: use json, wide or name"},
    {{"pods", "-n"}, {0}, "--namespace needs a value"},
    {{"pods", "--namespace="}, {0}, "--namespace is empty"},
    {{"pods", "--watch=1"}, {0}, "--watch is true or false, not 1"},
    {{"logs", "a", "--tail=x"}, {0}, "--tail needs a number of at least -1, not x"},
    {{"exec"}, {0}, "exec needs the name of a pod"},
    {{"exec", "--", "ls"}, {0}, "exec needs the name of a pod"},
    {{"exec", "web"}, {0}, "exec needs a command: exec web -- COMMAND [ARGUMENT...]"},
    {{"exec", "web", "--"}, {0}, "exec needs a command: exec web -- COMMAND [ARGUMENT...]"},
    {{"exec", "web", "ls"}, {0}, "the command comes behind --: exec web -- ls"},
    {{"attach"}, {0}, "attach needs the name of a pod"},
    {{"attach", "web", "--", "ls"}, {0}, "attach takes one argument, found web and ls"},
    {{"logs", "web", "-i"}, {0}, "unknown option -i in -i"},
    {{"top", "clouds"}, {0}, "top shows pods or node, not clouds"},
    {{"top", "--sort-by", "name"}, {0}, "--sort-by name is unknown: use cpu or memory"},
    {{"top", "-o", "wide"}, {0}, "--output wide is unknown: use json"},
    {{"pods", "-w", "-ojson"}, {0}, "--watch prints tables only"},
    {{"events", "-w", "-ojson"}, {0}, "--watch prints tables only"},
    {{"logs", "a", "--since-time=now"}, {0}, "--since-time: \"now\" is not an RFC 3339 time"},
    {{"logs", "a", "--since-time=2026-11-21T03:00:00Z", "--since=1h"},
     {0},
     "--since and --since-time exclude each other"},
    {{"logs", "a", "--since=0s"}, {0}, "--since must be more than nothing, not 0s"},
};

static int count_words(const struct row *row)
{
    int count = 0;
    while (count < MAX_WORDS && row->argv[count])
        count++;
    return count;
}

static void assert_options(const struct cli_options *have, const struct cli_options *want)
{
    assert_int_equal(have->command, want->command);
    assert_string_equal(have->socket_path, want->socket_path);
    assert_true(text_eq(have->namespace, want->namespace));
    assert_true(text_eq(have->output, want->output));
    assert_true(text_eq(have->container, want->container));
    assert_true(text_eq(have->pod, want->pod));
    assert_int_equal(have->all_namespaces, want->all_namespaces);
    assert_int_equal(have->watch, want->watch);
    assert_int_equal(have->follow, want->follow);
    assert_int_equal(have->previous, want->previous);
    assert_int_equal(have->timestamps, want->timestamps);
    assert_int_equal(have->help, want->help);
    assert_int_equal(have->tail_lines, want->tail_lines);
    assert_int_equal(have->since_seconds, want->since_seconds);
    assert_true(text_eq(have->since_time, want->since_time));
    assert_true(text_eq(have->sort_by, want->sort_by));
    assert_int_equal(have->input, want->input);
    assert_int_equal(have->tty, want->tty);
    assert_int_equal(have->containers, want->containers);
    assert_int_equal(have->is_node, want->is_node);
    assert_int_equal(have->word_count, want->word_count);
    for (size_t i = 0; i < want->word_count; i++)
        assert_string_equal(have->words[i], want->words[i]);
}

TEST_CASE(command_lines_are_understood_or_refused)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *argv[MAX_WORDS + 1] = {"cubelet"};
        int argc = count_words(&rows[i]) + 1;
        for (int k = 1; k < argc; k++)
            argv[k] = rows[i].argv[k - 1];
        struct cli_options options;
        AUTO(error) struct error *err = cli_parse(argc, argv, &options);
        if (rows[i].err) {
            assert_non_null(err);
            assert_string_equal(err->message, rows[i].err);
            continue;
        }
        if (err)
            fail_msg("row %zu: %s", i, err->message);
        assert_options(&options, &rows[i].want);
    }
}

TEST_CASE(help_names_every_command_and_its_options)
{
    AUTO(buf) struct buf out;
    buf_init(&out, 16 * KiB);
    cli_add_help(CLI_HELP, &out);
    assert_non_null(strstr(buf_text(&out), "\n  logs "));
    buf_clear(&out);
    cli_add_help(CLI_LOGS, &out);
    assert_non_null(strstr(buf_text(&out), "Usage: cubelet logs POD [options]\n"));
    assert_non_null(strstr(buf_text(&out), "\n  -f, --follow "));
    assert_non_null(strstr(buf_text(&out), "\n      --tail LINES "));
    assert_null(strstr(buf_text(&out), "--watch"));
    buf_clear(&out);
    cli_add_help(CLI_EXEC, &out);
    assert_non_null(
        strstr(buf_text(&out), "Usage: cubelet exec POD [options] -- COMMAND [ARGUMENT...]\n"));
    assert_non_null(strstr(buf_text(&out), "\n  -i, --stdin "));
}

TEST_MAIN(TEST(command_lines_are_understood_or_refused),
          TEST(help_names_every_command_and_its_options))
