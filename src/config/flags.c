/*
 * Grammar: --name=value, --name value, --name alone for booleans and --version; -v N, -v=N, -vN and
 * -h, also joined as in -hv2; "--" ends the flags. "_" in a name counts as "-".
 */
#include "config/flags.h"

struct parser {
    int argc;
    const char *const *argv;
    int next; /* index of the next argument */
    struct arena *arena;
    struct flag_use *uses;
    size_t count;
    bool *seen; /* one per row of the option table */
    const char *command;
};

static bool needs_no_value(const struct option *option)
{
    return option->type == OPTION_BOOL || option->type == OPTION_VERSION;
}

static void add_use(struct parser *parser, const struct option *option, const char *value)
{
    bool *seen = &parser->seen[option - option_table];
    parser->uses[parser->count++] =
        (struct flag_use){.option = option, .value = value, .is_first = !*seen};
    *seen = true;
}

static struct error *parse_long(struct parser *parser, const char *argument)
{
    const char *name = argument + 2;
    size_t name_len = strcspn(name, "=");
    if (name_len == 0 || name[0] == '-')
        return error_new(ERROR_INVALID_ARGUMENT, "bad flag syntax: %s", argument);
    const struct option *option = option_find_flag((struct str){.ptr = name, .len = name_len});
    if (!option)
        return error_new(ERROR_INVALID_ARGUMENT, "unknown flag: --%.*s", (int)name_len, name);
    if (name[name_len] == '=')
        add_use(parser, option, name + name_len + 1);
    else if (needs_no_value(option))
        add_use(parser, option, "true");
    else if (parser->next < parser->argc)
        add_use(parser, option, parser->argv[parser->next++]);
    else
        return error_new(ERROR_INVALID_ARGUMENT, "flag needs an argument: --%.*s", (int)name_len,
                         name);
    return NULL;
}

/* The letters of "-hv2" and the like, from the left. */
static struct error *parse_short(struct parser *parser, const char *argument)
{
    for (const char *at = argument + 1; *at; at++) {
        const struct option *option = *at == 'h'   ? option_find_flag(STR_LITERAL("help"))
                                      : *at == 'v' ? option_find_flag(STR_LITERAL("v"))
                                                   : NULL;
        if (!option)
            return error_new(ERROR_INVALID_ARGUMENT, "unknown shorthand flag: '%c' in %s", *at,
                             argument);
        if (at[1] == '=') {
            add_use(parser, option, at + 2);
            return NULL;
        }
        if (needs_no_value(option)) {
            add_use(parser, option, "true");
            continue;
        }
        if (at[1])
            add_use(parser, option, at + 1);
        else if (parser->next < parser->argc)
            add_use(parser, option, parser->argv[parser->next++]);
        else
            return error_new(ERROR_INVALID_ARGUMENT, "flag needs an argument: '%c' in %s", *at,
                             argument);
        return NULL;
    }
    return NULL;
}

static void note_command(struct parser *parser, const char *word)
{
    if (!parser->command)
        parser->command = word;
}

struct error *flags_parse(int argc, const char *const *argv, struct arena *arena,
                          struct flag_uses *ret, const char **ret_command)
{
    size_t most = 0; /* uses: one an argument, or one a letter of joined shorthands */
    for (int i = 1; i < argc; i++)
        most += text_has_prefix(argv[i], "-") && argv[i][1] != '-' ? strlen(argv[i]) : 1;
    struct parser parser = {
        .argc = argc,
        .argv = argv,
        .next = 1,
        .arena = arena,
        .uses = arena_calloc(arena, most + 1, sizeof(struct flag_use)),
        .seen = arena_calloc(arena, option_count, sizeof(bool)),
    };
    while (parser.next < argc) {
        const char *argument = argv[parser.next++];
        struct error *err = NULL;
        if (text_eq(argument, "--")) {
            if (parser.next < argc)
                note_command(&parser, argv[parser.next]);
            break;
        }
        if (text_has_prefix(argument, "--"))
            err = parse_long(&parser, argument);
        else if (argument[0] == '-' && argument[1])
            err = parse_short(&parser, argument);
        else
            note_command(&parser, argument);
        if (err)
            return err;
    }
    *ret = (struct flag_uses){.count = parser.count, .uses = parser.uses};
    *ret_command = parser.command;
    return NULL;
}

struct error *flags_apply(const struct flag_uses *flags, enum flags_target target,
                          ProtobufCMessage *root, struct arena *arena)
{
    for (size_t i = 0; i < flags->count; i++) {
        const struct flag_use *use = &flags->uses[i];
        if (target == FLAGS_CONFIG_ONLY && !option_is_config(use->option))
            continue;
        bool replaces =
            use->is_first && !(target == FLAGS_CONFIG_ONLY && use->option->type == OPTION_GATES);
        struct error *err = option_value_set(root, use->option, use->value, replaces, arena);
        if (err)
            return error_wrap(err, "invalid argument \"%s\" for \"%s--%s\" flag", use->value,
                              text_eq(use->option->flag, "v") ? "-v, " : "", use->option->flag);
    }
    return NULL;
}
