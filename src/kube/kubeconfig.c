/*
 * The text is parsed into a document tree, the entry of the context is looked up by name, and the
 * scalar fields of its cluster and user are read by two tables; what has a shape of its own (exec,
 * impersonation) follows by hand. A reader keeps the first error, so that reading goes on without a
 * test after each field.
 *
 * As upstream: unknown fields are ignored, empty texts are absent, names in a list are unique, only
 * the entries of the chosen context are looked at.
 */
#include "kube/kubeconfig.h"

#include "base/fd.h"
#include "base/path.h"
#include "kube/codec.h"
#include "kube/codec_base64.h"
#include "wire/doc.h"

#include <unistd.h>

#define MAX_LIST_ENTRIES 1000 /* clusters, arguments, groups: more is no kubeconfig */

struct reader {
    struct arena *arena; /* of the result */
    const char *path;
    const char *dir;
    struct error *err; /* the first one; owned */
};

enum field_kind { FIELD_TEXT, FIELD_PATH, FIELD_DATA, FIELD_BOOL };

struct field {
    const char *key;
    enum field_kind kind;
    size_t offset; /* in struct kubeconfig */
};

static const struct field cluster_fields[] = {
    {"server", FIELD_TEXT, offsetof(struct kubeconfig, server)},
    {"certificate-authority", FIELD_PATH, offsetof(struct kubeconfig, ca_file)},
    {"certificate-authority-data", FIELD_DATA, offsetof(struct kubeconfig, ca_data)},
    {"tls-server-name", FIELD_TEXT, offsetof(struct kubeconfig, tls_server_name)},
    {"proxy-url", FIELD_TEXT, offsetof(struct kubeconfig, proxy_url)},
    {"insecure-skip-tls-verify", FIELD_BOOL, offsetof(struct kubeconfig, insecure_skip_tls_verify)},
};

static const struct field user_fields[] = {
    {"client-certificate", FIELD_PATH, offsetof(struct kubeconfig, cert_file)},
    {"client-certificate-data", FIELD_DATA, offsetof(struct kubeconfig, cert_data)},
    {"client-key", FIELD_PATH, offsetof(struct kubeconfig, key_file)},
    {"client-key-data", FIELD_DATA, offsetof(struct kubeconfig, key_data)},
    {"token", FIELD_TEXT, offsetof(struct kubeconfig, token)},
    {"tokenFile", FIELD_PATH, offsetof(struct kubeconfig, token_file)},
    {"username", FIELD_TEXT, offsetof(struct kubeconfig, username)},
    {"password", FIELD_TEXT, offsetof(struct kubeconfig, password)},
    {"as", FIELD_TEXT, offsetof(struct kubeconfig, impersonate_user)},
    {"as-uid", FIELD_TEXT, offsetof(struct kubeconfig, impersonate_uid)},
};

/* --- values --- */

static void fail(struct reader *reader, const struct doc_node *node, const char *where,
                 const char *format, ...) PRINTF_LIKE(4, 5);

/* "<path>:<line>: <where>: <format>"; @where may be "", then the second part is missing. */
static void fail(struct reader *reader, const struct doc_node *node, const char *where,
                 const char *format, ...)
{
    if (reader->err)
        return;
    va_list args;
    va_start(args, format);
    AUTO(free) char *what = xvasprintf(format, args);
    va_end(args);
    reader->err = error_new(ERROR_INVALID_ARGUMENT, "%s%s%s%s",
                            doc_location(reader->path, node ? node->line : 0, reader->arena), where,
                            *where ? ": " : "", what);
}

static bool expect(struct reader *reader, const struct doc_node *node, const char *where,
                   enum doc_kind kind, const char *what)
{
    if (node->kind == kind)
        return true;
    fail(reader, node, where, "expected %s, found %s", what, doc_describe(node, reader->arena));
    return false;
}

/* NULL for what is absent, null or empty. */
static const char *text_of(struct reader *reader, const struct doc_node *node, const char *where)
{
    if (!node || node->kind == DOC_NULL || !expect(reader, node, where, DOC_STRING, "a string") ||
        node->string.len == 0)
        return NULL;
    return arena_strndup(reader->arena, node->string.ptr, node->string.len);
}

static const char *child_text(struct reader *reader, const struct doc_node *object,
                              const char *where, const char *key)
{
    return text_of(reader, doc_get(object, key), arena_printf(reader->arena, "%s.%s", where, key));
}

static const char *resolved(struct reader *reader, const char *path)
{
    if (!path || path_is_absolute(path))
        return path;
    AUTO(free) char *joined = path_join(reader->dir, path);
    return arena_strdup(reader->arena, joined);
}

static const char *decoded(struct reader *reader, const struct doc_node *node, const char *where,
                           const char *text)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    if (!text)
        return NULL;
    if (!base64_decode(str_from(text), reader->arena, &bytes, &len))
        fail(reader, node, where, "illegal base64 data");
    else if (len > 0 && memchr(bytes, '\0', len))
        fail(reader, node, where, "the decoded data is no text");
    else if (len > 0)
        return arena_strndup(reader->arena, (const char *)bytes, len);
    return NULL;
}

static void read_field(struct reader *reader, const struct field *field,
                       const struct doc_node *object, const char *where, struct kubeconfig *config)
{
    const struct doc_node *node = doc_get(object, field->key);
    if (!node || node->kind == DOC_NULL)
        return;
    const char *place = arena_printf(reader->arena, "%s.%s", where, field->key);
    void *at = (char *)config + field->offset;
    if (field->kind == FIELD_BOOL) {
        if (expect(reader, node, place, DOC_BOOL, "a boolean"))
            memcpy(at, &node->boolean, sizeof(node->boolean));
        return;
    }
    const char *text = text_of(reader, node, place);
    if (field->kind == FIELD_PATH)
        text = resolved(reader, text);
    else if (field->kind == FIELD_DATA)
        text = decoded(reader, node, place, text);
    memcpy(at, &text, sizeof(text));
}

/* The items of an array; NULL and 0 when it is absent. */
static const struct doc_node *const *items_of(struct reader *reader, const struct doc_node *node,
                                              const char *where, size_t *ret_count)
{
    *ret_count = 0;
    if (!node || node->kind == DOC_NULL || !expect(reader, node, where, DOC_ARRAY, "an array"))
        return NULL;
    if (node->array.count > MAX_LIST_ENTRIES) {
        fail(reader, node, where, "%zu entries are too many", node->array.count);
        return NULL;
    }
    *ret_count = node->array.count;
    return node->array.items;
}

static const char *const *texts_of(struct reader *reader, const struct doc_node *node,
                                   const char *where, size_t *ret_count)
{
    const struct doc_node *const *items = items_of(reader, node, where, ret_count);
    const char **texts = arena_calloc(reader->arena, *ret_count + 1, sizeof(*texts));
    for (size_t i = 0; i < *ret_count; i++) {
        const char *text =
            text_of(reader, items[i], arena_printf(reader->arena, "%s[%zu]", where, i));
        texts[i] = text ? text : "";
    }
    return texts;
}

/* --- named entries --- */

/*
 * The entry called @name of the list @list ("clusters"): its object below @key ("cluster"), and in
 * *ret_where its path. NULL when there is none, or an error was found. An entry that is there but
 * says nothing is an empty object.
 */
static const struct doc_node *find_entry(struct reader *reader, const struct doc_node *root,
                                         const char *list, const char *key, const char *name,
                                         const char **ret_where)
{
    static const struct doc_node nothing = {.kind = DOC_OBJECT};
    size_t count, found = SIZE_MAX;
    const struct doc_node *const *items = items_of(reader, doc_get(root, list), list, &count);
    for (size_t i = 0; i < count; i++) {
        const char *where = arena_printf(reader->arena, "%s[%zu]", list, i);
        if (!expect(reader, items[i], where, DOC_OBJECT, "an object"))
            return NULL;
        const char *own = child_text(reader, items[i], where, "name");
        if (!own || !text_eq(own, name))
            continue;
        if (found != SIZE_MAX) {
            fail(reader, items[i], where, "duplicate name \"%s\"", name);
            return NULL;
        }
        found = i;
    }
    if (found == SIZE_MAX || reader->err)
        return NULL;
    *ret_where = arena_printf(reader->arena, "%s[%zu].%s", list, found, key);
    const struct doc_node *object = doc_get(items[found], key);
    if (!object || object->kind == DOC_NULL)
        return &nothing;
    return expect(reader, object, *ret_where, DOC_OBJECT, "an object") ? object : NULL;
}

/* --- cluster --- */

static void check_proxy(struct reader *reader, const struct doc_node *cluster, const char *where,
                        const struct kubeconfig *config)
{
    if (!config->proxy_url || text_has_prefix(config->proxy_url, "http://"))
        return;
    where = arena_printf(reader->arena, "%s.proxy-url", where);
    size_t scheme_len = str_find(str_from(config->proxy_url), ':');
    if (config->proxy_url[scheme_len] && text_has_prefix(config->proxy_url + scheme_len, "://"))
        fail(reader, doc_get(cluster, "proxy-url"), where,
             "unsupported scheme \"%.*s\", must be http", (int)min_size(scheme_len, 32),
             config->proxy_url);
    else
        fail(reader, doc_get(cluster, "proxy-url"), where, "expected a URL like http://host:port");
}

static void read_cluster(struct reader *reader, const struct doc_node *cluster, const char *where,
                         struct kubeconfig *config)
{
    for (size_t i = 0; i < ARRAY_SIZE(cluster_fields); i++)
        read_field(reader, &cluster_fields[i], cluster, where, config);
    if (!config->server)
        fail(reader, cluster, where, "no server defined");
    if (config->insecure_skip_tls_verify && (config->ca_file || config->ca_data))
        fail(reader, cluster, where,
             "specifying a root certificates file with the insecure flag is not allowed");
    check_proxy(reader, cluster, where, config);
}

/* --- user --- */

static void read_exec_env(struct reader *reader, const struct doc_node *node, const char *where,
                          struct kubeconfig_exec *exec)
{
    const struct doc_node *const *items = items_of(reader, node, where, &exec->env_count);
    struct kubeconfig_env *env = arena_calloc(reader->arena, exec->env_count + 1, sizeof(*env));
    exec->env = env;
    for (size_t i = 0; i < exec->env_count; i++) {
        const char *place = arena_printf(reader->arena, "%s[%zu]", where, i);
        const char *value = child_text(reader, items[i], place, "value");
        env[i].name = child_text(reader, items[i], place, "name");
        env[i].value = value ? value : "";
        if (!env[i].name || strchr(env[i].name, '='))
            fail(reader, items[i], place, "the variable needs a name without '='");
    }
}

/* A node's agent has nobody to ask: a plugin that must be able to is refused, as upstream where
 * standard input is no terminal. v1 wants the field, v1beta1 has a default. */
static void check_interactive(struct reader *reader, const struct doc_node *node, const char *where,
                              const struct kubeconfig_exec *exec)
{
    const char *mode = child_text(reader, node, where, "interactiveMode");
    where = arena_printf(reader->arena, "%s.interactiveMode", where);
    if (!mode && !text_has_suffix(exec->api_version, "/v1beta1"))
        fail(reader, node, where, "must be specified to use an exec plugin");
    if (!mode || text_eq(mode, "Never") || text_eq(mode, "IfAvailable"))
        return;
    if (text_eq(mode, "Always"))
        fail(reader, node, where, "exec plugin cannot support interactive mode: there is no user");
    else
        fail(reader, node, where, "invalid interactiveMode \"%s\"", mode);
}

static void read_exec(struct reader *reader, const struct doc_node *node, const char *where,
                      struct kubeconfig *config)
{
    if (!node || node->kind == DOC_NULL || !expect(reader, node, where, DOC_OBJECT, "an object"))
        return;
    struct kubeconfig_exec *exec = arena_alloc(reader->arena, sizeof(*exec));
    config->exec = exec;
    exec->api_version = child_text(reader, node, where, "apiVersion");
    exec->command = child_text(reader, node, where, "command");
    exec->install_hint = child_text(reader, node, where, "installHint");
    exec->args = texts_of(reader, doc_get(node, "args"),
                          arena_printf(reader->arena, "%s.args", where), &exec->arg_count);
    read_exec_env(reader, doc_get(node, "env"), arena_printf(reader->arena, "%s.env", where), exec);
    const struct doc_node *provide = doc_get(node, "provideClusterInfo");
    if (provide && provide->kind != DOC_NULL &&
        expect(reader, provide, arena_printf(reader->arena, "%s.provideClusterInfo", where),
               DOC_BOOL, "a boolean"))
        exec->provide_cluster_info = provide->boolean;

    if (!exec->command)
        fail(reader, node, where, "command must be specified to use an exec plugin");
    else if (strchr(exec->command, '/'))
        exec->command = resolved(reader, exec->command);
    if (!exec->api_version)
        fail(reader, node, where, "apiVersion must be specified to use an exec plugin");
    else if (!text_eq(exec->api_version, "client.authentication.k8s.io/v1") &&
             !text_eq(exec->api_version, "client.authentication.k8s.io/v1beta1"))
        fail(reader, node, where, "exec plugin: invalid apiVersion \"%s\"", exec->api_version);
    else
        check_interactive(reader, node, where, exec);
}

static void read_impersonation(struct reader *reader, const struct doc_node *user,
                               const char *where, struct kubeconfig *config)
{
    config->impersonate_groups = texts_of(reader, doc_get(user, "as-groups"),
                                          arena_printf(reader->arena, "%s.as-groups", where),
                                          &config->impersonate_group_count);
    const struct doc_node *node = doc_get(user, "as-user-extra");
    const char *place = arena_printf(reader->arena, "%s.as-user-extra", where);
    if (node && node->kind != DOC_NULL && expect(reader, node, place, DOC_OBJECT, "an object")) {
        struct kubeconfig_extra *extra =
            arena_calloc(reader->arena, node->object.count + 1, sizeof(*extra));
        config->impersonate_extra = extra;
        config->impersonate_extra_count = node->object.count;
        for (size_t i = 0; i < node->object.count; i++) {
            const struct doc_member *member = &node->object.members[i];
            extra[i].key = arena_strndup(reader->arena, member->key.ptr, member->key.len);
            extra[i].values = texts_of(reader, member->value,
                                       arena_printf(reader->arena, "%s.%s", place, extra[i].key),
                                       &extra[i].value_count);
        }
    }
    if (!config->impersonate_user &&
        (config->impersonate_uid || config->impersonate_group_count > 0 ||
         config->impersonate_extra_count > 0))
        fail(reader, user, where,
             "requesting uid, groups or user-extra without impersonating a user");
}

static void read_user(struct reader *reader, const struct doc_node *user, const char *where,
                      struct kubeconfig *config)
{
    for (size_t i = 0; i < ARRAY_SIZE(user_fields); i++)
        read_field(reader, &user_fields[i], user, where, config);
    const struct doc_node *provider = doc_get(user, "auth-provider");
    if (provider && provider->kind != DOC_NULL) {
        const char *place = arena_printf(reader->arena, "%s.auth-provider", where);
        const char *name = child_text(reader, provider, place, "name");
        fail(reader, provider, place, "no Auth Provider found for name \"%s\"", name ? name : "");
    }
    read_exec(reader, doc_get(user, "exec"), arena_printf(reader->arena, "%s.exec", where), config);
    read_impersonation(reader, user, where, config);

    bool has_cert = config->cert_file || config->cert_data;
    bool has_key = config->key_file || config->key_data;
    if (has_cert && !has_key)
        fail(reader, user, where,
             "client-key-data or client-key must be specified to use a client certificate");
    if (has_key && !has_cert)
        fail(reader, user, where,
             "client-certificate-data or client-certificate must be specified to use a client key");
    if ((config->token || config->token_file) && (config->username || config->password))
        fail(reader, user, where,
             "more than one authentication method found: [token basicAuth], only one is allowed");
}

/* --- the whole --- */

static void check_type(struct reader *reader, const struct doc_node *root)
{
    const char *kind = text_of(reader, doc_get(root, "kind"), "kind");
    const char *version = text_of(reader, doc_get(root, "apiVersion"), "apiVersion");
    if ((kind && !text_eq(kind, "Config")) || (version && !text_eq(version, "v1")))
        fail(reader, root, "", "expected a v1 Config, found kind \"%s\" of version \"%s\"",
             kind ? kind : "", version ? version : "");
}

static void read_root(struct reader *reader, const struct doc_node *root, const char *context,
                      struct kubeconfig *config)
{
    if (root->kind == DOC_NULL || (root->kind == DOC_OBJECT && root->object.count == 0)) {
        fail(reader, NULL, "", "no configuration has been provided: the file is empty");
        return;
    }
    if (!expect(reader, root, "", DOC_OBJECT, "an object"))
        return;
    check_type(reader, root);
    config->context = context
                          ? arena_strdup(reader->arena, context)
                          : text_of(reader, doc_get(root, "current-context"), "current-context");
    if (!config->context) {
        fail(reader, root, "", "no context chosen: current-context is not set");
        return;
    }
    const char *where = "";
    const struct doc_node *chosen =
        find_entry(reader, root, "contexts", "context", config->context, &where);
    if (!chosen) {
        fail(reader, NULL, "", "context \"%s\" was not found", config->context);
        return;
    }
    const char *cluster_name = child_text(reader, chosen, where, "cluster");
    const char *user_name = child_text(reader, chosen, where, "user");
    if (!cluster_name || !user_name) {
        fail(reader, chosen, where, "no %s was specified for context \"%s\"",
             cluster_name ? "user" : "cluster", config->context);
        return;
    }
    const struct doc_node *cluster =
        find_entry(reader, root, "clusters", "cluster", cluster_name, &where);
    if (cluster)
        read_cluster(reader, cluster, where, config);
    else
        fail(reader, NULL, "", "cluster \"%s\" was not found for context \"%s\"", cluster_name,
             config->context);
    const struct doc_node *user = find_entry(reader, root, "users", "user", user_name, &where);
    if (user)
        read_user(reader, user, where, config);
    else
        fail(reader, NULL, "", "user \"%s\" was not found for context \"%s\"", user_name,
             config->context);
}

struct error *kubeconfig_parse(struct str text, const char *path, const char *context,
                               struct arena *arena, struct kubeconfig *ret)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    AUTO(free) char *dir = path_dir(path);
    const struct kube_decode_options options = {
        .unknown = KUBE_UNKNOWN_TOLERANT, .file = path, .max_bytes = KUBECONFIG_MAX_BYTES};
    const struct doc_node *root = NULL;
    struct error *err = kube_parse_text(text, &options, scratch, &root);
    if (err)
        return err;
    struct reader reader = {.arena = arena, .path = path, .dir = dir};
    struct kubeconfig config = {.path = arena_strdup(arena, path)};
    read_root(&reader, root, context, &config);
    if (!reader.err)
        *ret = config;
    return reader.err;
}

/* Relative files are meant from the kubeconfig's folder, wherever the process goes later. */
static char *absolute_path(const char *path)
{
    AUTO(free) char *here = path_is_absolute(path) ? NULL : getcwd(NULL, 0);
    return here ? path_join(here, path) : xstrdup(path);
}

struct error *kubeconfig_load(const char *path, const char *context, struct arena *arena,
                              struct kubeconfig *ret)
{
    AUTO(buf) struct buf text;
    buf_init(&text, KUBECONFIG_MAX_BYTES);
    AUTO(error) struct error *err = fd_read_file_blocking(path, &text);
    if (err && err->os_errno)
        return error_from_errno(err->os_errno, "open %s", path);
    if (err)
        return TAKE(err);
    AUTO(free) char *whole = absolute_path(path);
    err = kubeconfig_parse(buf_str(&text), whole, context, arena, ret);
    if (text.data)
        explicit_bzero(text.data, text.len);
    return TAKE(err);
}

/* --- copying --- */

static void copy_fields(const struct field *fields, size_t count, struct kubeconfig *config,
                        struct arena *arena)
{
    for (size_t i = 0; i < count; i++) {
        if (fields[i].kind == FIELD_BOOL)
            continue;
        const char *text;
        void *at = (char *)config + fields[i].offset;
        memcpy(&text, at, sizeof(text));
        text = arena_strdup(arena, text);
        memcpy(at, &text, sizeof(text));
    }
}

static const char *const *copy_texts(const char *const *texts, size_t count, struct arena *arena)
{
    const char **copy = arena_calloc(arena, count + 1, sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        copy[i] = arena_strdup(arena, texts[i]);
    return copy;
}

static const struct kubeconfig_exec *copy_exec(const struct kubeconfig_exec *exec,
                                               struct arena *arena)
{
    if (!exec)
        return NULL;
    struct kubeconfig_exec *copy = arena_memdup(arena, exec, sizeof(*exec));
    struct kubeconfig_env *env = arena_calloc(arena, exec->env_count + 1, sizeof(*env));
    copy->api_version = arena_strdup(arena, exec->api_version);
    copy->command = arena_strdup(arena, exec->command);
    copy->install_hint = arena_strdup(arena, exec->install_hint);
    copy->args = copy_texts(exec->args, exec->arg_count, arena);
    for (size_t i = 0; i < exec->env_count; i++)
        env[i] = (struct kubeconfig_env){.name = arena_strdup(arena, exec->env[i].name),
                                         .value = arena_strdup(arena, exec->env[i].value)};
    copy->env = env;
    return copy;
}

struct kubeconfig *kubeconfig_copy(const struct kubeconfig *config, struct arena *arena)
{
    struct kubeconfig *copy = arena_memdup(arena, config, sizeof(*config));
    copy->path = arena_strdup(arena, config->path);
    copy->context = arena_strdup(arena, config->context);
    copy_fields(cluster_fields, ARRAY_SIZE(cluster_fields), copy, arena);
    copy_fields(user_fields, ARRAY_SIZE(user_fields), copy, arena);
    copy->exec = copy_exec(config->exec, arena);
    copy->impersonate_groups =
        copy_texts(config->impersonate_groups, config->impersonate_group_count, arena);
    struct kubeconfig_extra *extra =
        arena_calloc(arena, config->impersonate_extra_count + 1, sizeof(*extra));
    for (size_t i = 0; i < config->impersonate_extra_count; i++) {
        const struct kubeconfig_extra *from = &config->impersonate_extra[i];
        extra[i] =
            (struct kubeconfig_extra){.key = arena_strdup(arena, from->key),
                                      .values = copy_texts(from->values, from->value_count, arena),
                                      .value_count = from->value_count};
    }
    copy->impersonate_extra = extra;
    return copy;
}
