#include "cli/cli.h"

#include "cli/cli_internal.h"
#include "cli/local_client.h"
#include "kube/codec.h"
#include "wire/json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define EXIT_ERROR 1
#define EXIT_USAGE 2
#define HELP_MAX_BYTES (16 * KiB)
#define DEFAULT_NAMESPACE "default"

bool cli_is_command(const char *word)
{
    enum cli_command command;
    return cli_find_command(word, &command);
}

/* Somebody else may have made what we were given non-blocking. */
static void wait_for_room(int fd)
{
    struct pollfd wanted = {.fd = fd, .events = POLLOUT};
    (void)poll(&wanted, 1, -1);
}

struct error *cli_write(int fd, struct str text)
{
    while (text.len > 0) {
        ssize_t written = write(fd, text.ptr, text.len);
        if (written < 0 && errno == EAGAIN)
            wait_for_room(fd);
        if (written < 0 && (errno == EINTR || errno == EAGAIN))
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

struct error *cli_print(struct str text)
{
    return cli_write(STDOUT_FILENO, text);
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

struct error *cli_find_pod(const struct cli_options *options, const char *namespace,
                           struct arena *arena, struct pod_target *ret)
{
    Core__PodList *pods = NULL;
    struct error *err = cli_get_pods(options, arena, &pods);
    return err ? err : pod_target_find(pods, namespace, options->pod, ret);
}

struct error *cli_find_container(const struct cli_options *options, struct arena *arena,
                                 struct pod_target *ret)
{
    const char *namespace = options->namespace ? options->namespace : DEFAULT_NAMESPACE;
    struct error *err = cli_find_pod(options, namespace, arena, ret);
    if (!err)
        err = pod_target_choose(ret, options->container);
    if (!err && ret->is_default)
        (void)fprintf(stderr, "Defaulted container \"%s\" out of: %s\n", ret->container,
                      pod_target_containers(ret, arena));
    return err;
}

struct error *cli_add_choice(const struct cli_options *options, const char *path, struct buf *out)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct pod_target pod = {.namespace = cli_namespace_filter(options)};
    if (options->pod) {
        struct error *err = cli_find_pod(options, pod.namespace, arena, &pod);
        if (err)
            return err;
    }
    buf_printf(out, "%s?", path);
    if (pod.namespace) {
        buf_add_text(out, "namespace=");
        local_client_add_encoded(out, pod.namespace);
    }
    if (pod.name) {
        buf_add_text(out, "&pod=");
        local_client_add_encoded(out, pod.name);
    }
    return buf_error(out, "the request");
}

struct error *cli_print_reply(const struct cli_options *options, const char *target)
{
    AUTO(buf) struct buf reply;
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    struct error *err = local_client_get(options->socket_path, target, &reply);
    return err ? err : cli_print_json(buf_str(&reply), NULL);
}

void cli_pause(int64_t ns)
{
    const struct timespec pause = {.tv_sec = ns / NS_PER_SEC, .tv_nsec = ns % NS_PER_SEC};
    (void)nanosleep(&pause, NULL);
}

static struct error *print_help(enum cli_command command)
{
    AUTO(buf) struct buf text;
    buf_init(&text, HELP_MAX_BYTES);
    cli_add_help(command, &text);
    return cli_print(buf_str(&text));
}

static struct error *run(const struct cli_options *options, int *ret_code)
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
    case CLI_EXEC:
    case CLI_ATTACH:
        return cmd_exec(options, ret_code);
    case CLI_TOP:
        return cmd_top(options);
    case CLI_WHY:
        return cmd_why(options);
    case CLI_HELP: {
        enum cli_command about = CLI_HELP;
        if (options->pod && !cli_find_command(options->pod, &about))
            return error_new(ERROR_INVALID_ARGUMENT, "there is no command %s", options->pod);
        return print_help(about);
    }
    }
    return NULL;
}

/* One of the three that is closed would be taken by our socket, which would then be read from or
 * printed to. */
static void fill_standard_streams(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_CLOEXEC) < 0)
            return; /* then nor can a socket be made */
    }
}

int cli_run(int argc, const char *const *argv)
{
    fill_standard_streams();
    struct cli_options options;
    AUTO(error) struct error *err = cli_parse(argc, argv, &options);
    if (err) {
        (void)fprintf(stderr, "cubelet: %s\nSee `cubelet %s --help`.\n", err->message,
                      argc > 1 && cli_is_command(argv[1]) ? argv[1] : "help");
        return EXIT_USAGE;
    }
    int code = 0;
    err = run(&options, &code);
    if (!err)
        return code;
    if (err->code != ERROR_CANCELLED)
        (void)fprintf(stderr, "cubelet: %s\n", err->message);
    return EXIT_ERROR;
}
