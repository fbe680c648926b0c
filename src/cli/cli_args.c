#include "cli/cli_args.h"

#include "base/time.h"

#define ON(command) (1U << (command))
#define ON_ALL (ON(CLI_COMMAND_COUNT) - 1)
#define ON_COMMANDS (ON(CLI_EXEC) | ON(CLI_ATTACH)) /* those that join a command */

enum option_kind {
    OPTION_BOOL,
    OPTION_TEXT,
    OPTION_OUTPUT,
    OPTION_ORDER,
    OPTION_NUMBER,
    OPTION_SECONDS,
    OPTION_TIME,
};

struct option {
    const char *name;
    char letter; /* 0: none */
    enum option_kind kind;
    unsigned commands; /* ON() bits */
    size_t offset;     /* in struct cli_options */
    int64_t low;       /* OPTION_NUMBER: the least value */
    const char *value; /* what the help calls the value */
    const char *meaning;
};

#define FIELD(name) offsetof(struct cli_options, name)
static const struct option options[] = {
    {"namespace", 'n', OPTION_TEXT,
     ON(CLI_PODS) | ON(CLI_LOGS) | ON(CLI_EVENTS) | ON_COMMANDS | ON(CLI_TOP) | ON(CLI_WHY),
     FIELD(namespace), 0, "NAME", "the namespace; logs, exec and attach without one: default"},
    {"all-namespaces", 'A', OPTION_BOOL, ON(CLI_PODS) | ON(CLI_EVENTS) | ON(CLI_TOP) | ON(CLI_WHY),
     FIELD(all_namespaces), 0, NULL, "all namespaces; what happens without --namespace"},
    {"output", 'o', OPTION_OUTPUT,
     ON(CLI_PODS) | ON(CLI_STATUS) | ON(CLI_EVENTS) | ON(CLI_TOP) | ON(CLI_WHY), FIELD(output), 0,
     "FORMAT", "json; for pods also wide, name"},
    {"watch", 'w', OPTION_BOOL, ON(CLI_PODS) | ON(CLI_EVENTS), FIELD(watch), 0, NULL,
     "go on and print what is new or changes"},
    {"container", 'c', OPTION_TEXT, ON(CLI_LOGS) | ON_COMMANDS, FIELD(container), 0, "NAME",
     "the container; without it the pod's default one, or the first"},
    {"stdin", 'i', OPTION_BOOL, ON_COMMANDS, FIELD(input), 0, NULL,
     "pass standard input on to the command"},
    {"tty", 't', OPTION_BOOL, ON_COMMANDS, FIELD(tty), 0, NULL,
     "with --stdin: the command has this terminal"},
    {"containers", 0, OPTION_BOOL, ON(CLI_TOP), FIELD(containers), 0, NULL,
     "a line for each container of the pods"},
    {"sort-by", 0, OPTION_ORDER, ON(CLI_TOP), FIELD(sort_by), 0, "FIGURE",
     "cpu or memory, the largest first; without it by name"},
    {"follow", 'f', OPTION_BOOL, ON(CLI_LOGS), FIELD(follow), 0, NULL,
     "go on until the container ends"},
    {"previous", 'p', OPTION_BOOL, ON(CLI_LOGS), FIELD(previous), 0, NULL,
     "the instance before the last restart"},
    {"tail", 0, OPTION_NUMBER, ON(CLI_LOGS), FIELD(tail_lines), -1, "LINES",
     "only the last lines; -1: all"},
    {"timestamps", 0, OPTION_BOOL, ON(CLI_LOGS), FIELD(timestamps), 0, NULL,
     "the time before each line"},
    {"since", 0, OPTION_SECONDS, ON(CLI_LOGS), FIELD(since_seconds), 0, "DURATION",
     "only lines younger than 10s, 5m, 3h, ..."},
    {"since-time", 0, OPTION_TIME, ON(CLI_LOGS), FIELD(since_time), 0, "TIME",
     "only lines since 2026-11-21T03:00:00Z, ..."},
    {"limit-bytes", 0, OPTION_NUMBER, ON(CLI_LOGS), FIELD(limit_bytes), 1, "BYTES",
     "no more than this"},
    {"local-socket", 0, OPTION_TEXT, ON_ALL, FIELD(socket_path), 0, "PATH",
     "the node agent's socket; default " CLI_DEFAULT_SOCKET},
    {"help", 'h', OPTION_BOOL, ON_ALL, FIELD(help), 0, NULL, "this text"},
};

static const struct {
    const char *name;
    const char *argument; /* NULL: takes none */
    bool needs_argument;
    const char *words; /* what comes behind "--"; NULL: more of the same */
    const char *meaning;
} commands[] = {
    [CLI_PODS] = {"pods", NULL, false, NULL, "lists the pods of this node"},
    [CLI_STATUS] = {"status", NULL, false, NULL, "shows the state of the node agent"},
    [CLI_LOGS] = {"logs", "POD", true, NULL,
                  "prints the log of a container; POD may lack the node's name"},
    [CLI_EVENTS] = {"events", "[POD]", false, NULL, "lists what happened to the pods"},
    [CLI_EXEC] = {"exec", "POD", true, "COMMAND [ARGUMENT...]",
                  "runs a command in a container, and ends with its exit code"},
    [CLI_ATTACH] = {"attach", "POD", true, NULL, "joins what runs in a container"},
    [CLI_TOP] = {"top", "[pods|node]", false, NULL,
                 "shows what the pods or the node use of CPU and memory"},
    [CLI_WHY] = {"why", "[POD]", false, NULL,
                 "tells what a pod, or all of them, waits for, and since when"},
    [CLI_HELP] = {"help", "[COMMAND]", false, NULL, "explains a command"},
};
_Static_assert(ARRAY_SIZE(commands) == CLI_COMMAND_COUNT, "describe every command");

static const char *const output_formats[] = {"json", "wide", "name"};

bool cli_find_command(const char *word, enum cli_command *ret)
{
    for (size_t i = 0; word && i < ARRAY_SIZE(commands); i++) {
        if (strcmp(commands[i].name, word) == 0) {
            *ret = (enum cli_command)i;
            return true;
        }
    }
    return false;
}

/* --- reading --- */

/* What is left of argv, and the result under way. */
struct reader {
    int argc, at;
    bool is_rest; /* no options any more */
    const char *const *argv;
    struct cli_options *options;
};

static struct error *set_seconds(const struct option *option, const char *value, int64_t *ret)
{
    int64_t duration_ns;
    struct error *err = time_parse_duration(str_from(value), &duration_ns);
    if (err)
        return error_wrap(err, "--%s", option->name);
    if (duration_ns <= 0)
        return error_new(ERROR_INVALID_ARGUMENT, "--%s must be more than nothing, not %s",
                         option->name, value);
    *ret = duration_ns / NS_PER_SEC + (duration_ns % NS_PER_SEC > 0);
    return NULL;
}

static struct error *set_output(enum cli_command command, const char *value, const char **ret)
{
    size_t usable = command == CLI_PODS ? ARRAY_SIZE(output_formats) : 1;
    for (size_t i = 0; i < usable; i++) {
        if (strcmp(output_formats[i], value) == 0) {
            *ret = output_formats[i];
            return NULL;
        }
    }
    return error_new(ERROR_INVALID_ARGUMENT, "--output %s is unknown: use %s", value,
                     command == CLI_PODS ? "json, wide or name" : "json");
}

static struct error *set_order(const char *value, const char **ret)
{
    if (strcmp(value, "cpu") != 0 && strcmp(value, "memory") != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "--sort-by %s is unknown: use cpu or memory",
                         value);
    *ret = value;
    return NULL;
}

static struct error *set_time(const struct option *option, const char *value, const char **ret)
{
    int64_t wall_ns;
    struct error *err = time_parse_rfc3339(str_from(value), &wall_ns);
    if (err)
        return error_wrap(err, "--%s", option->name);
    *ret = value;
    return NULL;
}

static struct error *set_flag(const struct option *option, const char *value, bool *ret)
{
    bool on = !value || strcmp(value, "true") == 0;
    if (!on && strcmp(value, "false") != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "--%s is true or false, not %s", option->name,
                         value);
    *ret = on;
    return NULL;
}

static struct error *set(struct cli_options *result, const struct option *option, const char *value)
{
    void *field = (char *)result + option->offset;
    switch (option->kind) {
    case OPTION_BOOL:
        return set_flag(option, value, field);
    case OPTION_TEXT:
        if (value[0] == '\0')
            return error_new(ERROR_INVALID_ARGUMENT, "--%s is empty", option->name);
        *(const char **)field = value;
        return NULL;
    case OPTION_OUTPUT:
        return set_output(result->command, value, field);
    case OPTION_ORDER:
        return set_order(value, field);
    case OPTION_TIME:
        return set_time(option, value, field);
    case OPTION_NUMBER:
        if (!parse_i64(value, option->low, INT64_MAX, field))
            return error_new(ERROR_INVALID_ARGUMENT, "--%s needs a number of at least %lld, not %s",
                             option->name, (long long)option->low, value);
        return NULL;
    case OPTION_SECONDS:
        return set_seconds(option, value, field);
    }
    return NULL;
}

static const struct option *find_long(enum cli_command command, struct str name)
{
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        if ((options[i].commands & ON(command)) && str_eq_c(name, options[i].name))
            return &options[i];
    }
    return NULL;
}

static const struct option *find_short(enum cli_command command, char letter)
{
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        if ((options[i].commands & ON(command)) && options[i].letter == letter)
            return &options[i];
    }
    return NULL;
}

/* The value in the next word. */
static struct error *set_from_next(struct reader *reader, const struct option *option)
{
    if (reader->at >= reader->argc)
        return error_new(ERROR_INVALID_ARGUMENT, "--%s needs a value", option->name);
    return set(reader->options, option, reader->argv[reader->at++]);
}

static struct error *read_long(struct reader *reader, const char *word)
{
    struct str name = str_from(word + 2);
    size_t equals = str_find(name, '=');
    const char *value = equals < name.len ? name.ptr + equals + 1 : NULL;
    name.len = equals;
    const struct option *option = find_long(reader->options->command, name);
    if (!option)
        return error_new(ERROR_INVALID_ARGUMENT, "unknown option --%.*s", STR_ARG(name));
    if (value || option->kind == OPTION_BOOL)
        return set(reader->options, option, value);
    return set_from_next(reader, option);
}

static struct error *read_short(struct reader *reader, const char *word)
{
    for (const char *letter = word + 1; *letter != '\0'; letter++) {
        const struct option *option = find_short(reader->options->command, *letter);
        if (!option)
            return error_new(ERROR_INVALID_ARGUMENT, "unknown option -%c in %s", *letter, word);
        if (option->kind == OPTION_BOOL) {
            struct error *err = set(reader->options, option, NULL);
            if (err)
                return err;
            continue;
        }
        const char *value = letter + 1;
        if (*value == '\0')
            return set_from_next(reader, option);
        return set(reader->options, option, *value == '=' ? value + 1 : value);
    }
    return NULL;
}

static struct error *read_argument(struct cli_options *result, const char *word)
{
    const char *name = commands[result->command].name;
    if (!commands[result->command].argument)
        return error_new(ERROR_INVALID_ARGUMENT, "%s takes no argument, found %s", name, word);
    if (result->pod && commands[result->command].words)
        return error_new(ERROR_INVALID_ARGUMENT, "the command comes behind --: %s %s -- %s", name,
                         result->pod, word);
    if (result->pod)
        return error_new(ERROR_INVALID_ARGUMENT, "%s takes one argument, found %s and %s", name,
                         result->pod, word);
    result->pod = word;
    return NULL;
}

/* What top is about. */
static struct error *set_subject(struct cli_options *result)
{
    static const struct {
        const char *word;
        bool is_node;
    } subjects[] = {{"pods", false}, {"pod", false}, {"node", true}, {"nodes", true}};
    for (size_t i = 0; i < ARRAY_SIZE(subjects); i++) {
        if (!result->pod || strcmp(subjects[i].word, result->pod) == 0) {
            result->is_node = subjects[i].is_node;
            return NULL;
        }
    }
    return error_new(ERROR_INVALID_ARGUMENT, "top shows pods or node, not %s", result->pod);
}

/* What no option can tell alone. */
static struct error *check(struct cli_options *result)
{
    const char *name = commands[result->command].name, *words = commands[result->command].words;
    if (result->help)
        return NULL;
    if (commands[result->command].needs_argument && !result->pod)
        return error_new(ERROR_INVALID_ARGUMENT, "%s needs the name of a pod", name);
    if (words && result->word_count == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "%s needs a command: %s %s -- %s", name, name,
                         result->pod, words);
    if (result->since_time && result->since_seconds > 0)
        return error_new(ERROR_INVALID_ARGUMENT, "--since and --since-time exclude each other");
    if (result->watch && result->output && strcmp(result->output, "wide") != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "--watch prints tables only");
    return result->command == CLI_TOP ? set_subject(result) : NULL;
}

static struct error *read_word(struct reader *reader)
{
    const char *word = reader->argv[reader->at++];
    bool is_end = !reader->is_rest && strcmp(word, "--") == 0;
    if (is_end && commands[reader->options->command].words) {
        reader->options->words = reader->argv + reader->at;
        reader->options->word_count = (size_t)(reader->argc - reader->at);
        reader->at = reader->argc;
        return NULL;
    }
    if (is_end) {
        reader->is_rest = true;
        return NULL;
    }
    if (!reader->is_rest && text_has_prefix(word, "--"))
        return read_long(reader, word);
    if (!reader->is_rest && word[0] == '-' && word[1] != '\0')
        return read_short(reader, word);
    return read_argument(reader->options, word);
}

struct error *cli_parse(int argc, const char *const *argv, struct cli_options *ret)
{
    struct cli_options result = {.socket_path = CLI_DEFAULT_SOCKET, .tail_lines = -1};
    if (argc < 2 || !cli_find_command(argv[1], &result.command))
        return error_new(ERROR_INVALID_ARGUMENT, "unknown command %s", argc < 2 ? "" : argv[1]);
    struct reader reader = {.argc = argc, .at = 2, .argv = argv, .options = &result};
    struct error *err = NULL;
    while (!err && reader.at < argc)
        err = read_word(&reader);
    if (!err)
        err = check(&result);
    if (!err)
        *ret = result;
    return err;
}

/* --- help --- */

static void add_option(const struct option *option, struct buf *out)
{
    AUTO(free)
    char *left = xasprintf("--%s%s%s", option->name, option->value ? " " : "",
                           option->value ? option->value : "");
    buf_printf(out, "  %c%c%s %-24s %s\n", option->letter ? '-' : ' ',
               option->letter ? option->letter : ' ', option->letter ? "," : " ", left,
               option->meaning);
}

static void add_usage(enum cli_command command, struct buf *out)
{
    const char *argument = commands[command].argument, *words = commands[command].words;
    buf_printf(out, "Usage: cubelet %s%s%s [options]%s%s\n%s.\n\n", commands[command].name,
               argument ? " " : "", argument ? argument : "", words ? " -- " : "",
               words ? words : "", commands[command].meaning);
}

void cli_add_help(enum cli_command command, struct buf *out)
{
    if (command == CLI_HELP) {
        buf_add_text(out, "Commands that ask the node agent of this machine:\n");
        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
            buf_printf(out, "  %-8s %s\n", commands[i].name, commands[i].meaning);
        buf_add_text(out, "\n`cubelet COMMAND --help` lists the options of a command, "
                          "`cubelet --help` those of the agent.\n");
        return;
    }
    add_usage(command, out);
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        if (options[i].commands & ON(command))
            add_option(&options[i], out);
    }
}
