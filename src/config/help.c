/* The text of --help: one line a flag, as the kubelet's own help is laid out. */
#include "config/config.h"

#include "config/defaults.h"
#include "config/gates.h"
#include "config/option_value.h"

static const char long_text[] =
    "cubelet is a Kubernetes node agent. It runs the pods that its sources name with the "
    "container\n"
    "runtime of the node, keeps them running, and reports on them. It takes the flags and the\n"
    "configuration file of the kubelet " CONFIG_KUBERNETES_VERSION ". What it does not act on yet\n"
    "is accepted, and named in the log at start.\n";

#define NAME_COLUMN_MAX 60 /* names are padded to the longest, up to here */

static int column_of(const struct option *option, char *text, size_t size)
{
    const char *type = option_type_name(option->type);
    const char *shorthand = text_eq(option->flag, "v")      ? "-v, "
                            : text_eq(option->flag, "help") ? "-h, "
                                                            : "    ";
    const char *blank = type[0] && option->type != OPTION_VERSION ? " " : "";
    return snprintf(text, size, "  %s--%s%s%s", shorthand, option->flag, blank, type);
}

/* A default that says nothing is not shown, as pflag does. */
static bool is_worth_showing(const char *value)
{
    return value[0] && !text_eq(value, "false") && !text_eq(value, "0") && !text_eq(value, "0s") &&
           !text_eq(value, "[]");
}

static void print_default(FILE *out, const struct option *option, const char *value)
{
    bool is_quoted = option->type == OPTION_TEXT;
    if (is_worth_showing(value))
        (void)fprintf(out, is_quoted ? " (default \"%s\")" : " (default %s)", value);
}

static void print_gates(FILE *out, int indent)
{
    (void)fprintf(out, ". Options are:");
    for (int i = 0; i < GATE_COUNT; i++) {
        const struct gate_info *gate = gate_info((enum feature_gate)i);
        if (gate->stage == GATE_STAGE_ALPHA || gate->stage == GATE_STAGE_BETA)
            (void)fprintf(out, "\n%*s%s=true|false (%s - default=%s)", indent, "", gate->name,
                          gate_stage_name(gate->stage), gate->by_default ? "true" : "false");
    }
}

static void print_option(FILE *out, const struct option *option, const char *value, int width)
{
    char column[2 * NAME_COLUMN_MAX];
    int len = column_of(option, column, sizeof(column));
    if (len <= width)
        (void)fprintf(out, "%-*s   %s", width, column, option->help);
    else
        (void)fprintf(out, "%s\n%*s   %s", column, width, "", option->help);
    if (option->type == OPTION_GATES)
        print_gates(out, width + 3);
    print_default(out, option, value);
    if (!(option->traits & OPTION_EFFECTIVE))
        (void)fprintf(out, " (without effect yet)");
    if (option_deprecation(option))
        (void)fprintf(out, " (DEPRECATED: %s)", option_deprecation(option));
    (void)fprintf(out, "\n");
}

void config_print_help(FILE *out)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Kubeletconfig__Options options = KUBELETCONFIG__OPTIONS__INIT;
    Kubeletconfig__KubeletFlags flags = KUBELETCONFIG__KUBELET_FLAGS__INIT;
    options.flags = &flags;
    defaults_set_flags(&options, arena);
    defaults_set_config(&options, arena);
    defaults_set_without_file(&options, arena);

    int width = 0;
    for (size_t i = 0; i < option_count; i++) {
        char column[2 * NAME_COLUMN_MAX];
        int len = option_table[i].flag ? column_of(&option_table[i], column, sizeof(column)) : 0;
        width = len > width && len <= NAME_COLUMN_MAX ? len : width;
    }
    (void)fprintf(out, "%s\nUsage:\n  cubelet [flags]\n\nFlags:\n", long_text);
    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];
        if (option->flag)
            print_option(out, option, option_value_text(&options.base, option, arena), width);
    }
}
