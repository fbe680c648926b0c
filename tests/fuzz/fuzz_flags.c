/*
 * Any bytes as a command line, one argument a line. Properties: no crash, and a value that was
 * accepted is accepted again in the spelling that the FLAG lines show.
 */
#include "config/flags.h"

#include "base/buf.h"

#include "kubeletconfig.pb-c.h"

#define ARGS_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Types whose shown text is itself the syntax; lists are shown in brackets, headers masked. */
static bool reads_back(enum option_type type)
{
    return type == OPTION_BOOL || type == OPTION_INT32 || type == OPTION_INT64 ||
           type == OPTION_LEVEL || type == OPTION_TEXT || type == OPTION_IP ||
           type == OPTION_DURATION || type == OPTION_QUANTITY || type == OPTION_GATES ||
           type == OPTION_TAINTS;
}

static void check_use(Kubeletconfig__Options *options, const struct option *option,
                      struct arena *arena)
{
    if (!reads_back(option->type))
        return;
    Kubeletconfig__Options again = KUBELETCONFIG__OPTIONS__INIT;
    const char *text = option_value_text(&options->base, option, arena);
    struct error *err = option_value_set(&again.base, option, text, true, arena);
    ASSERT(!err);
    ASSERT(text_eq(option_value_text(&again.base, option, arena), text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *argv[ARGS_MAX] = {"cubelet"};
    int argc = 1;
    struct str rest = {.ptr = (const char *)data, .len = size}, line;
    while (size > 0 && argc < ARGS_MAX && str_split_next(&rest, '\n', &line))
        argv[argc++] = arena_strndup(arena, line.ptr, line.len);

    struct flag_uses flags;
    const char *command = NULL;
    AUTO(error) struct error *err = flags_parse(argc, argv, arena, &flags, &command);
    if (err)
        return 0;
    Kubeletconfig__Options options = KUBELETCONFIG__OPTIONS__INIT;
    err = flags_apply(&flags, FLAGS_ALL, &options.base, arena);
    for (size_t i = 0; !err && i < flags.count; i++)
        check_use(&options, flags.uses[i].option, arena);
    return 0;
}
