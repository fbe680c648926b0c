/*
 * What api_probe does when it is told to. Each command begins a task or answers at once; a task
 * lives until what it began has ended, or somebody ends it.
 */
#include "base/hash.h"
#include "tests/lib/api_probe.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define NAMES_MAX 64

/* What a command has begun. At most one of the handles is not NULL. */
struct task {
    struct probe *probe;
    struct task *prev, *next;
    char *id;
    struct api_call *call;
    struct api_watch *watch;
    struct reflector *reflector;
    struct token_get *token;
    struct object_watch_get *object;
};

/* --- commands --- */

struct command {
    const struct doc_node *node;
    struct arena *arena;
    const char *id;
};

static const char *text_of(const struct command *command, const char *key)
{
    const struct doc_node *node = doc_get(command->node, key);
    return node && node->kind == DOC_STRING ? node->string.ptr : NULL;
}

static int64_t integer_of(const struct command *command, const char *key)
{
    const struct doc_node *node = doc_get(command->node, key);
    return node && node->kind == DOC_INTEGER ? node->integer : 0;
}

/* NAMES_MAX texts at most. */
static size_t texts_of(const struct command *command, const char *key,
                       const char *texts[static NAMES_MAX])
{
    const struct doc_node *node = doc_get(command->node, key);
    size_t count = node && node->kind == DOC_ARRAY ? node->array.count : 0;
    ASSERT(count <= NAMES_MAX);
    for (size_t i = 0; i < count; i++)
        texts[i] = node->array.items[i]->string.ptr;
    return count;
}

static const struct kube_kind *kind_of(const struct command *command, struct error **ret)
{
    const char *api_version = text_of(command, "apiVersion"), *name = text_of(command, "kind");
    const struct kube_kind *kind =
        name ? kube_kind_find(api_version ? api_version : "v1", name) : NULL;
    if (!kind)
        *ret = error_new(ERROR_INVALID_ARGUMENT, "no kind of this name");
    return kind;
}

static struct task *task_new(struct probe *probe, const struct command *command)
{
    struct task *task = xcalloc(1, sizeof(*task));
    task->probe = probe;
    task->id = xstrdup(command->id);
    DL_APPEND(probe->tasks, task);
    return task;
}

static void task_free(struct task *task)
{
    api_call_cancel(task->call);
    api_watch_cancel(task->watch);
    reflector_free(task->reflector);
    token_get_cancel(task->token);
    object_watch_get_cancel(task->object);
    DL_DELETE(task->probe->tasks, task);
    free(task->id);
    free(task);
}

static struct task *find_task(const struct probe *probe, const char *id)
{
    struct task *task;
    DL_FOREACH(probe->tasks, task) {
        if (text_eq(task->id, id))
            return task;
    }
    return NULL;
}

/* --- requests --- */

static void line_result(struct line *line, const struct api_result *result)
{
    line_integer(line, "http", result->http_status);
    if (result->retry_after_ns > 0)
        line_integer(line, "retryAfterMs", result->retry_after_ns / NS_PER_MS);
    line_error(line, result->err);
    if (result->object)
        line_object(line, result->kind, result->object);
}

static void on_call_done(void *ctx, struct api_result *result)
{
    struct task *task = ctx;
    struct line line;
    task->call = NULL;
    line_begin(&line, task->id, result->err ? "failed" : "done");
    line_result(&line, result);
    line_end(&line);
    task_free(task);
}

static const char *const verb_names[] = {
    [API_GET] = "get",
    [API_LIST] = "list",
    [API_CREATE] = "create",
    [API_UPDATE] = "update",
    [API_PATCH_STRATEGIC] = "patch-strategic",
    [API_PATCH_MERGE] = "patch-merge",
    [API_PATCH_JSON] = "patch-json",
    [API_PATCH_APPLY] = "patch-apply",
    [API_DELETE] = "delete",
    [API_DELETE_COLLECTION] = "delete-collection",
};

static struct api_client *client_of(const struct probe *probe, const struct command *command)
{
    const char *name = text_of(command, "client");
    return text_eq(name, "heartbeat") ? probe->heartbeat
           : text_eq(name, "json")    ? probe->json
                                      : probe->main;
}

static struct error *read_bodies(const struct command *command, struct api_request *request)
{
    const struct doc_node *object = doc_get(command->node, "object");
    const struct doc_node *patch = doc_get(command->node, "patch");
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    if (patch) {
        struct json_writer writer;
        AUTO(buf) struct buf text;
        buf_init(&text, LINE_MAX_BYTES);
        json_writer_init(&writer, &text, false);
        doc_write_node(&writer.base, patch);
        request->patch = str_from(arena_strdup(command->arena, buf_text(&text)));
    }
    if (!object)
        return NULL;
    ProtobufCMessage *body = NULL;
    struct error *err =
        kube_decode_any_document(object, &options, command->arena, &request->body_kind, &body);
    request->body = body;
    return err;
}

static struct error *do_call(struct probe *probe, const struct command *command)
{
    struct error *err = NULL;
    const char *verb = text_of(command, "verb");
    struct api_request request = {
        .kind = kind_of(command, &err),
        .namespace_ = text_of(command, "namespace"),
        .name = text_of(command, "name"),
        .subresource = text_of(command, "subresource"),
        .query = text_of(command, "query"),
        .timeout_ns = integer_of(command, "timeoutMs") * NS_PER_MS,
    };
    while (request.verb < API_DELETE_COLLECTION && !text_eq(verb_names[request.verb], verb))
        request.verb++;
    if (!err)
        err = read_bodies(command, &request);
    if (err)
        return err;
    struct task *task = task_new(probe, command);
    task->call = api_call_start(client_of(probe, command), &request, on_call_done, task);
    return NULL;
}

/* --- watches --- */

static void on_watch_open(void *ctx)
{
    struct task *task = ctx;
    say(task->id, "open");
}

static void on_watch_event(void *ctx, const struct watch_event *event, const struct error *err,
                           UNUSED struct arena *arena)
{
    struct task *task = ctx;
    struct line line;
    line_begin(&line, task->id, err ? "undecoded" : "event");
    line_error(&line, err);
    if (event) {
        line_text(&line, "type", watch_event_type_text(event->type));
        line_object(&line, event->kind, event->object);
    }
    line_end(&line);
}

static void on_watch_end(void *ctx, struct api_result *result)
{
    struct task *task = ctx;
    struct line line;
    task->watch = NULL;
    line_begin(&line, task->id, "ended");
    line_result(&line, result);
    line_end(&line);
    task_free(task);
}

static struct error *do_watch(struct probe *probe, const struct command *command)
{
    static const struct api_watch_events events = {
        .on_open = on_watch_open, .on_event = on_watch_event, .on_end = on_watch_end};
    struct error *err = NULL;
    const struct api_watch_request request = {
        .kind = kind_of(command, &err),
        .namespace_ = text_of(command, "namespace"),
        .query = text_of(command, "query"),
        .timeout_ns = integer_of(command, "timeoutS") * NS_PER_SEC,
    };
    if (err)
        return err;
    struct task *task = task_new(probe, command);
    task->watch = api_watch_start(client_of(probe, command), &request, &events, task);
    return NULL;
}

/* --- reflectors --- */

static void say_object(const char *id, const char *what, const struct kube_object *object,
                       const struct kube_object *old)
{
    struct line line;
    line_begin(&line, id, what);
    line_text(&line, "namespace", kube_object_namespace(object));
    line_text(&line, "name", kube_object_name(object));
    line_text(&line, "uid", kube_object_uid(object));
    line_text(&line, "version", kube_object_version(object));
    if (old)
        line_text(&line, "oldVersion", kube_object_version(old));
    line_end(&line);
}

static void on_added(void *ctx, const struct kube_object *object)
{
    const struct task *task = ctx;
    say_object(task->id, "added", object, NULL);
}

static void on_updated(void *ctx, const struct kube_object *old, const struct kube_object *object)
{
    const struct task *task = ctx;
    say_object(task->id, "updated", object, old);
}

static void on_deleted(void *ctx, const struct kube_object *object)
{
    const struct task *task = ctx;
    say_object(task->id, "deleted", object, NULL);
}

static void on_synced(void *ctx)
{
    const struct task *task = ctx;
    say(task->id, "synced");
}

static void on_cycle_failed(void *ctx, const struct error *err)
{
    const struct task *task = ctx;
    struct line line;
    line_begin(&line, task->id, "cycleFailed");
    line_error(&line, err);
    line_end(&line);
}

static struct error *do_reflect(struct probe *probe, const struct command *command)
{
    static const struct reflector_listener listener = {.on_added = on_added,
                                                       .on_updated = on_updated,
                                                       .on_deleted = on_deleted,
                                                       .on_synced = on_synced,
                                                       .on_failed = on_cycle_failed};
    struct error *err = NULL;
    const struct reflector_options options = {
        .kind = kind_of(command, &err),
        .namespace_ = text_of(command, "namespace"),
        .field_selector = text_of(command, "fieldSelector"),
        .label_selector = text_of(command, "labelSelector"),
        .min_watch_ns = integer_of(command, "minWatchS") * NS_PER_SEC,
        .max_watch_ns = integer_of(command, "maxWatchS") * NS_PER_SEC,
        .is_streaming_off = integer_of(command, "listsOnly") != 0,
    };
    if (err)
        return err;
    struct task *task = task_new(probe, command);
    task->reflector =
        reflector_new(probe->loop, client_of(probe, command), &options, &listener, task);
    reflector_start(task->reflector);
    return NULL;
}

static struct error *do_store(struct probe *probe, const struct command *command)
{
    const struct task *task = find_task(probe, text_of(command, "target"));
    if (!task || !task->reflector)
        return error_new(ERROR_NOT_FOUND, "no reflector of this id");
    struct line line;
    const struct kube_object *object = NULL;
    line_begin(&line, command->id, "store");
    line_text(&line, "version", reflector_version(task->reflector));
    line_error(&line, reflector_error(task->reflector));
    doc_write_key(&line.writer.base, "objects");
    line.writer.base.ops->begin_object(&line.writer.base);
    while ((object = reflector_next(task->reflector, object)) != NULL) {
        const char *key = arena_printf(command->arena, "%s/%s", kube_object_namespace(object),
                                       kube_object_name(object));
        line_text(&line, key, kube_object_version(object));
    }
    line.writer.base.ops->end_object(&line.writer.base);
    line_end(&line);
    return NULL;
}

static struct error *do_end(struct probe *probe, const struct command *command)
{
    struct task *task = find_task(probe, text_of(command, "target"));
    if (!task)
        return error_new(ERROR_NOT_FOUND, "nothing of this id is under way");
    task_free(task);
    say(command->id, "ended");
    return NULL;
}

/* --- events, the lease, tokens --- */

static struct error *do_event(struct probe *probe, const struct command *command)
{
    const struct doc_node *node = doc_get(command->node, "object");
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *object = NULL;
    struct error *err = kube_decode_document(node, &core__object_reference__descriptor, &options,
                                             command->arena, &object);
    if (err)
        return err;
    bool is_warning = text_eq(text_of(command, "type"), "Warning");
    event_record(probe->recorder, (const Core__ObjectReference *)object,
                 is_warning ? EVENT_WARNING : EVENT_NORMAL, text_of(command, "reason"), "%s",
                 text_of(command, "message"));
    say(command->id, "queued");
    return NULL;
}

static struct error *do_lease(struct probe *probe, const struct command *command)
{
    const struct lease_keeper_options options = {.node_name = text_of(command, "node"),
                                                 .duration_s = integer_of(command, "seconds")};
    lease_keeper_free(probe->lease);
    probe->lease = lease_keeper_new(probe->loop, probe->heartbeat, probe->transport, &options);
    lease_keeper_start(probe->lease);
    say(command->id, "started");
    return NULL;
}

static void on_token(void *ctx, const struct token *token, struct error *err_owned)
{
    struct task *task = ctx;
    task->token = NULL;
    if (err_owned) {
        say_failed(task->id, err_owned);
    } else {
        struct line line;
        line_begin(&line, task->id, "token");
        line_text(&line, "token", token->text);
        line_integer(&line, "expiresMs", token->expires_ns / NS_PER_MS);
        line_end(&line);
    }
    task_free(task);
}

static struct error *do_token(struct probe *probe, const struct command *command)
{
    const char *audiences[NAMES_MAX];
    const struct token_request request = {
        .namespace_ = text_of(command, "namespace"),
        .service_account = text_of(command, "serviceAccount"),
        .audiences = audiences,
        .audience_count = texts_of(command, "audiences", audiences),
        .has_expiration = integer_of(command, "seconds") != 0,
        .expiration_seconds = integer_of(command, "seconds"),
        .pod_name = text_of(command, "podName"),
        .pod_uid = text_of(command, "podUID"),
    };
    struct task *task = task_new(probe, command);
    task->token = token_cache_get(probe->tokens, &request, on_token, task);
    return NULL;
}

/* --- ConfigMaps and Secrets --- */

static void say_changed(const struct object_watch *watch, const char *id, const char *namespace_,
                        const char *name)
{
    const struct kube_object *object = object_watch_peek(watch, namespace_, name);
    struct line line;
    line_begin(&line, id, "changed");
    line_text(&line, "namespace", namespace_);
    line_text(&line, "name", name);
    line_text(&line, "version", object ? kube_object_version(object) : NULL);
    line_end(&line);
}

void on_secret_changed(void *ctx, const char *namespace_, const char *name)
{
    const struct probe *probe = ctx;
    say_changed(probe->secrets, "Secret", namespace_, name);
}

void on_config_map_changed(void *ctx, const char *namespace_, const char *name)
{
    const struct probe *probe = ctx;
    say_changed(probe->config_maps, "ConfigMap", namespace_, name);
}

static struct object_watch *manager_of(const struct probe *probe, const struct command *command)
{
    return text_eq(text_of(command, "kind"), "Secret") ? probe->secrets : probe->config_maps;
}

static struct error *do_register(struct probe *probe, const struct command *command)
{
    const char *names[NAMES_MAX];
    size_t count = texts_of(command, "names", names);
    object_watch_register(manager_of(probe, command), text_of(command, "pod"),
                          text_of(command, "namespace"), names, count);
    say(command->id, "registered");
    return NULL;
}

static struct error *do_unregister(struct probe *probe, const struct command *command)
{
    object_watch_unregister(manager_of(probe, command), text_of(command, "pod"));
    say(command->id, "unregistered");
    return NULL;
}

static void on_object(void *ctx, const struct kube_object *object, struct error *err_owned)
{
    struct task *task = ctx;
    task->object = NULL;
    if (err_owned)
        say_failed(task->id, err_owned);
    else
        say_object(task->id, "object", object, NULL);
    task_free(task);
}

static struct error *do_object(struct probe *probe, const struct command *command)
{
    struct task *task = task_new(probe, command);
    task->object = object_watch_get(manager_of(probe, command), text_of(command, "namespace"),
                                    text_of(command, "name"), on_object, task);
    return NULL;
}

/* --- the process --- */

static struct error *do_jump(UNUSED struct probe *probe, const struct command *command)
{
    clocks_jump(integer_of(command, "wallMs") * NS_PER_MS,
                integer_of(command, "suspendedMs") * NS_PER_MS);
    say(command->id, "jumped");
    return NULL;
}

static int64_t count_descriptors(void)
{
    int64_t count = -1; /* the one that reads them */
    DIR *dir = opendir("/proc/self/fd");
    ASSERT(dir);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this thread's */
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static int64_t resident_bytes(void)
{
    long long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    ASSERT(file);
    int count =
        fscanf(file, "%lld %lld", &total, &resident); /* NOLINT(cert-err34-c): the kernel's */
    ASSERT(count == 2);
    (void)fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}

static struct error *do_stats(struct probe *probe, const struct command *command)
{
    struct line line;
    struct timespec used = {0};
    const struct task *task;
    int64_t tasks = 0;
    DL_COUNT(probe->tasks, task, tasks);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    line_begin(&line, command->id, "stats");
    line_integer(&line, "connects", (int64_t)http_client_connects(probe->transport->http));
    line_integer(&line, "connections",
                 (int64_t)http_client_connection_count(probe->transport->http));
    line_integer(&line, "failures", (int64_t)probe->transport->all_failures);
    line_integer(&line, "tasks", tasks);
    line_integer(&line, "descriptors", count_descriptors());
    line_integer(&line, "residentBytes", resident_bytes());
    line_integer(&line, "heapBytes", (int64_t)mallinfo2().uordblks);
    line_integer(&line, "cpuUs", used.tv_sec * 1000000 + used.tv_nsec / NS_PER_US);
    line_integer(&line, "slowCallbacks", (int64_t)loop_slow_callbacks(probe->loop));
    line_integer(&line, "eventsQueued", (int64_t)event_recorder_queued(probe->recorder));
    line_integer(&line, "eventsLost", (int64_t)event_recorder_lost(probe->recorder));
    line_integer(&line, "tokens", (int64_t)token_cache_count(probe->tokens));
    line_integer(&line, "secretsWatched", (int64_t)object_watch_running(probe->secrets));
    line_integer(&line, "secretsNamed", (int64_t)object_watch_count(probe->secrets));
    if (probe->lease) {
        line_integer(&line, "leaseRenewedMs", lease_keeper_renewed_ns(probe->lease) / NS_PER_MS);
        line_error(&line, lease_keeper_error(probe->lease));
    }
    line_end(&line);
    return NULL;
}

static const struct action {
    const char *name;
    struct error *(*run)(struct probe *probe, const struct command *command);
} actions[] = {
    {"call", do_call},
    {"watch", do_watch},
    {"reflect", do_reflect},
    {"store", do_store},
    {"end", do_end},
    {"event", do_event},
    {"lease", do_lease},
    {"token", do_token},
    {"register", do_register},
    {"object", do_object},
    {"unregister", do_unregister},
    {"jump", do_jump},
    {"stats", do_stats},
};

void probe_end_tasks(struct probe *probe)
{
    while (probe->tasks)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): utlist unlinks it, unseen */
        task_free(probe->tasks);
}

void probe_obey(struct probe *probe, struct str text)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_parse_options options = {.max_bytes = LINE_MAX_BYTES};
    struct command command = {.arena = arena, .id = ""};
    struct error *err = json_parse(text, &options, arena, &command.node);
    if (err) {
        say_failed(command.id, err);
        return;
    }
    if (text_of(&command, "id"))
        command.id = text_of(&command, "id");
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        if (!text_eq(actions[i].name, text_of(&command, "do")))
            continue;
        err = actions[i].run(probe, &command);
        if (err)
            say_failed(command.id, err);
        return;
    }
    say_failed(command.id, error_new(ERROR_UNIMPLEMENTED, "no such command"));
}
