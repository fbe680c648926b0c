/*
 * Loading, in upstream's order (lowest first): defaults, the file of --config, the drop-ins of
 * --config-dir, the command line. Flags are parsed once and applied twice: first over the defaults
 * of a kubelet without a file, which finds --config and checks every value, then over what the
 * files made.
 */
#include "config/config.h"

#include "base/path.h"
#include "config/configz.h"
#include "config/convert.h"
#include "config/defaults.h"
#include "config/flags.h"
#include "config/kubelet_file.h"
#include "config/rules.h"
#include "kube/names.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#define CONFIG_ARENA_BYTES (16 * KiB)
#define COMMAND_LINE "command line"

struct load {
    struct arena *arena;
    struct flag_uses flags;
    Kubeletconfig__Options *options; /* defaults and flags, then files and flags */
    struct kubelet_files files;
    const char *config_path; /* absolute; "" without one */
    struct gate_set gates;
};

static Kubeletconfig__Options *new_options(struct arena *arena)
{
    Kubeletconfig__Options *options =
        (void *)field_new_message(&kubeletconfig__options__descriptor, arena);
    options->flags = (void *)field_new_message(&kubeletconfig__kubelet_flags__descriptor, arena);
    return options;
}

/* Defaults, what differs without a file, and every flag. */
static struct error *apply_command_line(struct load *load, const char **ret_command, int argc,
                                        const char *const *argv)
{
    struct error *err = flags_parse(argc, argv, load->arena, &load->flags, ret_command);
    if (!err) {
        load->options = new_options(load->arena);
        defaults_set_flags(load->options, load->arena);
        defaults_set_config(load->options, load->arena);
        defaults_set_without_file(load->options, load->arena);
        err = flags_apply(&load->flags, FLAGS_ALL, &load->options->base, load->arena);
    }
    return error_wrap(err, "failed to parse kubelet flag");
}

static struct error *make_absolute(const char *path, struct arena *arena, const char **ret)
{
    char here[PATH_MAX];
    *ret = path;
    if (!path[0] || path_is_absolute(path))
        return NULL;
    if (!getcwd(here, sizeof(here)))
        return error_from_errno(errno, "find the working directory for %s", path);
    AUTO(free) char *joined = path_join(here, path);
    *ret = arena_strdup(arena, joined);
    return NULL;
}

static struct error *make_gates(const struct load *load, struct gate_set *ret)
{
    const Kubeletconfig__KubeletConfiguration *config = load->options->config;
    struct gate_setting *settings =
        arena_calloc(load->arena, config->n_feature_gates + 1, sizeof(*settings));
    for (size_t i = 0; i < config->n_feature_gates; i++)
        settings[i] = (struct gate_setting){.name = config->feature_gates[i]->key,
                                            .value = config->feature_gates[i]->value};
    return gate_set_make(settings, config->n_feature_gates, ret);
}

static struct error *apply_files(struct load *load)
{
    const char *config_dir = load->options->flags->config_dir;
    struct error *err =
        make_absolute(load->options->flags->config ? load->options->flags->config : "", load->arena,
                      &load->config_path);
    if (err)
        return err;
    bool has_dir = config_dir && config_dir[0];
    if (load->config_path[0])
        err =
            kubelet_file_load(load->config_path, load->arena, &load->options->config, &load->files);
    if (!err && has_dir)
        err = kubelet_dropins_merge(config_dir, load->arena, &load->options->config, &load->files);
    if (err || (!load->config_path[0] && !has_dir))
        return err;
    return flags_apply(&load->flags, FLAGS_CONFIG_ONLY, &load->options->base, load->arena);
}

static struct error *check(struct load *load)
{
    struct error *err = make_gates(load, &load->gates);
    if (err)
        return error_wrap(err, "failed to set feature gates from the configuration");
    struct rules_subject subject = {
        .options = load->options, .gates = &load->gates, .arena = load->arena};
    err = rules_check(&subject);
    if (err) {
        struct error *wrapped =
            error_new(err->code, "failed to validate kubelet configuration, error: %s, path: %s",
                      err->message, load->config_path);
        error_free(err);
        return wrapped;
    }
    return rules_check_start(&subject);
}

/* "config.logging.verbosity" → "logging.verbosity", each name as JSON has it. */
static const char *json_path(const char *path, struct arena *arena)
{
    char name[FIELD_NAME_SIZE];
    const char *json = "";
    struct str rest = str_from(path), part;
    bool is_root = true;
    while (str_split_next(&rest, '.', &part)) {
        if (!is_root) {
            AUTO(free) char *proto_name = str_dup(part);
            (void)field_name_to_json(proto_name, name);
            json = arena_printf(arena, "%s%s%s", json, json[0] ? "." : "", name);
        }
        is_root = false;
    }
    return json;
}

struct inert_list {
    struct config_inert *items;
    size_t count;
};

static void add_inert_files(const struct load *load, const struct option *option,
                            struct inert_list *list)
{
    for (size_t i = 0; i < load->files.count; i++) {
        const struct kubelet_file *file = &load->files.files[i];
        if (!option_value_is_given(&file->raw->base, option))
            continue;
        list->items[list->count++] = (struct config_inert){
            .name = json_path(option->path, load->arena), .source = file->path};
        return; /* once is enough, whoever says it */
    }
}

static void add_inert_flag(const struct load *load, const struct option *option,
                           struct inert_list *list)
{
    for (size_t i = 0; i < load->flags.count; i++) {
        if (load->flags.uses[i].option != option)
            continue;
        list->items[list->count++] = (struct config_inert){
            .name = arena_printf(load->arena, "--%s", option->flag), .source = COMMAND_LINE};
        return;
    }
}

static void find_inert(const struct load *load, struct config *config)
{
    struct inert_list list = {.items =
                                  arena_calloc(load->arena, 2 * option_count, sizeof(*list.items))};
    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];
        if (option->traits & OPTION_EFFECTIVE)
            continue;
        add_inert_flag(load, option, &list);
        if (option_is_config(option))
            add_inert_files(load, option, &list);
    }
    config->inert = list.items;
    config->inert_count = list.count;
}

static void note_deprecated(const struct load *load, struct config *config)
{
    struct text_list list = {.arena = load->arena};
    for (size_t i = 0; i < load->flags.count; i++) {
        const struct option *option = load->flags.uses[i].option;
        if (option_deprecation(option))
            text_list_add(&list, arena_printf(load->arena, "Flag --%s has been deprecated, %s",
                                              option->flag, option_deprecation(option)));
    }
    config->deprecated = text_list_view(&list);
}

static void note_warnings(const struct load *load, struct config *config)
{
    struct text_list list = {.arena = load->arena};
    const Kubeletconfig__KubeletConfiguration *kubelet = load->options->config;
    for (size_t i = 0; i < kubelet->n_feature_gates; i++) {
        struct gate_setting setting = {.name = kubelet->feature_gates[i]->key,
                                       .value = kubelet->feature_gates[i]->value};
        if (gate_setting_is_obsolete(&setting))
            text_list_add(&list,
                          arena_printf(load->arena,
                                       "Setting GA or deprecated feature gate %s=%s. It will be "
                                       "removed in a future release.",
                                       setting.name, setting.value ? "true" : "false"));
    }
    const char *version = load->options->flags->version;
    if (version[0] == 'v')
        text_list_add(&list, arena_printf(load->arena,
                                          "--version=%s is without effect: the reported version "
                                          "stays %s",
                                          version, CONFIG_VERSION));
    const char *ignored = convert_ignored_node_ips(load->options->flags, load->arena);
    if (ignored[0])
        text_list_add(&list,
                      arena_printf(load->arena,
                                   "Could not parse some node IP(s), ignoring them: %s", ignored));
    const char *own = kubelet->kubelet_cgroups, *reserved = kubelet->kube_reserved_cgroup;
    if (own && own[0] && reserved && reserved[0] && !path_is_below(own, reserved))
        text_list_add(&list, "unsupported configuration:KubeletCgroups is not within "
                             "KubeReservedCgroup");
    config->warnings = text_list_view(&list);
}

/* As upstream logs them: the values of the flags themselves, whatever the files said. */
static void note_flag_values(const struct load *load, ProtobufCMessage *flags_only,
                             struct config *config)
{
    struct text_list list = {.arena = load->arena};
    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];
        if (option->flag)
            text_list_add(&list, arena_printf(load->arena, "--%s=\"%s\"", option->flag,
                                              option_value_text(flags_only, option, load->arena)));
    }
    config->flag_values = text_list_view(&list);
}

/* Flags may name paths below the working directory; those of files are absolute by now. */
static struct error *make_paths_absolute(const struct load *load, struct config *config)
{
    const char **paths[] = {&config->static_pod_path, &config->resolv_conf, &config->cert_dir,
                            &config->local_socket_path, &config->cluster.kubeconfig};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct error *err = make_absolute(*paths[i], load->arena, paths[i]);
        if (err)
            return err;
    }
    return NULL;
}

/* A node that has yet to ask for its first certificate cannot join: refused now, rather than tried
 * over and over with credentials that are not there. Where the kubeconfig exists the flag is
 * without effect, as a kubelet's own restart has it. */
static struct error *check_bootstrap(const struct load *load, const struct config *config)
{
    const char *bootstrap = load->options->flags->bootstrap_kubeconfig;
    const char *kubeconfig = config->cluster.kubeconfig;
    if (!bootstrap || !bootstrap[0] || (kubeconfig[0] && access(kubeconfig, F_OK) == 0))
        return NULL;
    if (!kubeconfig[0])
        return error_new(ERROR_FAILED_PRECONDITION,
                         "--bootstrap-kubeconfig \"%s\" comes without --kubeconfig: cubelet cannot "
                         "ask for its first certificate yet; name a kubeconfig with credentials "
                         "of the node by --kubeconfig, or leave both flags out",
                         bootstrap);
    return error_new(ERROR_FAILED_PRECONDITION,
                     "the file of --kubeconfig \"%s\" does not exist, and cubelet cannot yet ask "
                     "for its first certificate with --bootstrap-kubeconfig \"%s\": put a "
                     "kubeconfig with credentials of the node in its place",
                     kubeconfig, bootstrap);
}

static struct error *finish(struct load *load, struct config **ret)
{
    struct rules_subject subject = {
        .options = load->options, .gates = &load->gates, .arena = load->arena};
    struct error *err = make_gates(load, &load->gates);
    if (err)
        return error_wrap(err, "failed to set feature gates from the command line");
    err = rules_check_node_labels(subject.options->flags, load->arena);
    if (err)
        return err;
    struct config *config = arena_alloc(load->arena, sizeof(*config));
    note_flag_values(load, &load->options->base, config);
    err = apply_files(load);
    if (!err)
        err = check(load);
    if (err)
        return err;
    convert_options(load->options, load->arena, config);
    err = make_paths_absolute(load, config);
    if (!err)
        err = check_bootstrap(load, config);
    if (err)
        return err;
    config->config_path = load->config_path;
    config->gates = load->gates;
    find_inert(load, config);
    note_deprecated(load, config);
    note_warnings(load, config);
    configz_prepare(load->options->config, config->cert_dir, load->arena);
    *ret = config;
    return NULL;
}

/* --version and --version=true show the version, raw its parts; vX.Y.Z is accepted and changes
 * nothing. */
static char *version_text(const char *value)
{
    if (text_eq(value, "true"))
        return xstrdup("Kubernetes " CONFIG_VERSION);
    if (text_eq(value, "raw"))
        return xstrdup("version.Info{Major:\"1\", Minor:\"36\", GitVersion:\"" CONFIG_VERSION
                       "\", Compiler:\"cc\", Platform:\"linux\"}");
    return NULL;
}

struct error *config_load(int argc, const char *const *argv, struct config_result *ret)
{
    AUTO(arena) struct arena *arena = arena_new(CONFIG_ARENA_BYTES);
    struct load load = {.arena = arena, .config_path = ""};
    const char *command = NULL;
    struct error *err = apply_command_line(&load, &command, argc, argv);
    if (err)
        return err;
    if (command)
        return error_new(ERROR_INVALID_ARGUMENT, "unknown command %s", command);
    if (load.options->flags->help) {
        *ret = (struct config_result){.outcome = CONFIG_HELP};
        return NULL;
    }
    char *version = version_text(load.options->flags->version);
    if (version) {
        *ret = (struct config_result){.outcome = CONFIG_VERSION_TEXT, .version_text = version};
        return NULL;
    }
    struct config *config = NULL;
    err = finish(&load, &config);
    if (err)
        return err;
    ASSERT(config);
    config->arena = TAKE(arena);
    *ret = (struct config_result){.outcome = CONFIG_RUN, .config = config};
    return NULL;
}

void config_free(struct config *config)
{
    if (config)
        arena_free(config->arena); /* the config itself lives in it */
}

struct error *config_check_host(const struct config *config, const struct config_host *host)
{
    if (!host->cgroup_v1)
        return NULL;
    if (config->fail_cgroup_v1)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "kubelet is configured to not run on a host using cgroup v1. cgroup v1 "
                         "support is unsupported and will be removed in a future release (to run "
                         "all the same, set failCgroupV1: false or --fail-cgroupv1=false)");
    if (config->memory_swap_behavior == CONFIG_SWAP_LIMITED_SWAP)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "invalid configuration: memorySwap.swapBehavior \"LimitedSwap\" needs "
                         "cgroup v2; this host runs cgroup v1 (use NoSwap)");
    if (config->has_single_process_oom_kill && !config->single_process_oom_kill)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "invalid configuration: singleProcessOOMKill must not be false on a host "
                         "using cgroup v1 (leave it out)");
    return NULL;
}
