#include "cli/cli.h"

#include "cli/cli_internal.h"
#include "cli/local_client.h"
#include "kube/codec.h"
#include "wire/json.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define EXIT_ERROR 1
#define EXIT_USAGE 2
#define HELP_MAX_BYTES (16 * KiB)

bool cli_is_command(const char *word)
{
    enum cli_command command;
    return cli_find_command(word, &command);
}

struct error *cli_print(struct str text)
{
    while (text.len > 0) {
        ssize_t written = write(STDOUT_FILENO, text.ptr, text.len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno == EPIPE)
            return error_new(ERROR_CANCELLED, "nobody reads the output");
        if (written < 0)
            return error_from_errno(errno, "writing the output");
        text.ptr += written;
        text.len -= (size_t)written;
    }
    return NULL;
}

struct error *cli_parse_reply(struct str text, struct arena *arena, const struct doc_node **ret)
{
    const struct doc_parse_options options = {.max_bytes = CLIENT_REPLY_MAX_BYTES,
                                              .file = "the node agent's reply"};
    return json_parse(text, &options, arena, ret);
}

static bool is_in_namespace(const struct doc_node *item, const char *namespace)
{
    const struct doc_node *found = doc_get(doc_get(item, "metadata"), "namespace");
    return !namespace || (found && found->kind == DOC_STRING && str_eq_c(found->string, namespace));
}

static void write_items(struct doc_writer *writer, const struct doc_node *items,
                        const char *namespace)
{
    writer->ops->begin_array(writer);
    for (size_t i = 0; i < items->array.count; i++) {
        if (is_in_namespace(items->array.items[i], namespace))
            doc_write_node(writer, items->array.items[i]);
    }
    writer->ops->end_array(writer);
}

struct error *cli_print_json(struct str text, const char *namespace)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *document = NULL;
    struct error *err = cli_parse_reply(text, arena, &document);
    if (err)
        return err;
    AUTO(buf) struct buf out;
    buf_init(&out, 4 * CLIENT_REPLY_MAX_BYTES);
    struct json_writer json;
    json_writer_init(&json, &out, true);
    struct doc_writer *writer = &json.base;
    writer->ops->begin_object(writer);
    for (size_t i = 0; document->kind == DOC_OBJECT && i < document->object.count; i++) {
        const struct doc_member *member = &document->object.members[i];
        writer->ops->key(writer, member->key);
        if (str_eq_c(member->key, "items") && member->value->kind == DOC_ARRAY)
            write_items(writer, member->value, namespace);
        else
            doc_write_node(writer, member->value);
    }
    writer->ops->end_object(writer);
    buf_add_char(&out, '\n');
    err = buf_error(&out, "the output");
    return err ? err : cli_print(buf_str(&out));
}

const char *cli_namespace_filter(const struct cli_options *options)
{
    return options->all_namespaces ? NULL : options->namespace;
}

struct error *cli_get_pods(const struct cli_options *options, struct arena *arena,
                           Core__PodList **ret)
{
    AUTO(buf) struct buf reply;
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    struct error *err = local_client_get(options->socket_path, "/pods", &reply);
    if (err)
        return err;
    const struct kube_decode_options decode = {.unknown = KUBE_UNKNOWN_TOLERANT,
                                               .file = "the node agent's reply"};
    ProtobufCMessage *message = NULL;
    err = kube_decode_json(buf_str(&reply), &core__pod_list__descriptor, &decode, arena, &message);
    if (!err)
        *ret = (Core__PodList *)message;
    return err;
}

static bool is_called(const Core__Pod *pod, const char *namespace, const char *name, bool with_node)
{
    if (!pod->metadata || !pod->metadata->name ||
        (namespace && !text_eq(pod->metadata->namespace_, namespace)))
        return false;
    if (!with_node)
        return strcmp(pod->metadata->name, name) == 0;
    const char *node = pod->spec ? pod->spec->node_name : NULL;
    AUTO(free) char *full = xasprintf("%s-%s", name, node ? node : "");
    return node && strcmp(pod->metadata->name, full) == 0;
}

const char *cli_full_pod_name(const Core__PodList *list, const char *namespace, const char *name)
{
    for (int with_node = 0; with_node < 2; with_node++) {
        for (size_t i = 0; i < list->n_items; i++) {
            if (is_called(list->items[i], namespace, name, with_node == 1))
                return list->items[i]->metadata->name;
        }
    }
    return name;
}

static struct error *print_help(enum cli_command command)
{
    AUTO(buf) struct buf text;
    buf_init(&text, HELP_MAX_BYTES);
    cli_add_help(command, &text);
    return cli_print(buf_str(&text));
}

static struct error *run(const struct cli_options *options)
{
    if (options->help)
        return print_help(options->command);
    switch (options->command) {
    case CLI_PODS:
        return cmd_pods(options);
    case CLI_STATUS:
        return cmd_status(options);
    case CLI_LOGS:
        return cmd_logs(options);
    case CLI_EVENTS:
        return cmd_events(options);
    case CLI_HELP: {
        enum cli_command about = CLI_HELP;
        if (options->pod && !cli_find_command(options->pod, &about))
            return error_new(ERROR_INVALID_ARGUMENT, "there is no command %s", options->pod);
        return print_help(about);
    }
    }
    return NULL;
}

int cli_run(int argc, const char *const *argv)
{
    struct cli_options options;
    AUTO(error) struct error *err = cli_parse(argc, argv, &options);
    if (err) {
        (void)fprintf(stderr, "cubelet: %s\nSee `cubelet %s --help`.\n", err->message,
                      argc > 1 && cli_is_command(argv[1]) ? argv[1] : "help");
        return EXIT_USAGE;
    }
    err = run(&options);
    if (!err)
        return 0;
    if (err->code != ERROR_CANCELLED)
        (void)fprintf(stderr, "cubelet: %s\n", err->message);
    return EXIT_ERROR;
}
