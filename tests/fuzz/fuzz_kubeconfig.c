/*
 * Any bytes as a kubeconfig. Properties: no crash; what is accepted has a server, whole credentials
 * and absolute paths; a copy is equal; the same text read again gives the same answer.
 */
#include "kube/kubeconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_absolute_or_absent(const char *path)
{
    return !path || path[0] == '/';
}

static void check(const struct kubeconfig *config)
{
    ASSERT(config->server && *config->server);
    ASSERT(config->context);
    ASSERT(is_absolute_or_absent(config->ca_file) && is_absolute_or_absent(config->cert_file));
    ASSERT(is_absolute_or_absent(config->key_file) && is_absolute_or_absent(config->token_file));
    bool has_cert = config->cert_file || config->cert_data;
    bool has_key = config->key_file || config->key_data;
    ASSERT(has_cert == has_key);
    ASSERT(!(config->insecure_skip_tls_verify && (config->ca_file || config->ca_data)));
    if (config->exec) {
        ASSERT(config->exec->command && config->exec->api_version);
        for (size_t i = 0; i < config->exec->arg_count; i++)
            ASSERT(config->exec->args[i]);
        for (size_t i = 0; i < config->exec->env_count; i++)
            ASSERT(config->exec->env[i].name && config->exec->env[i].value);
    }
    for (size_t i = 0; i < config->impersonate_extra_count; i++) {
        const struct kubeconfig_extra *extra = &config->impersonate_extra[i];
        ASSERT(extra->key && (extra->values || extra->value_count == 0));
    }
}

static void check_same(const struct kubeconfig *a, const struct kubeconfig *b)
{
    ASSERT(text_eq(a->server, b->server) && text_eq(a->ca_data, b->ca_data));
    ASSERT(text_eq(a->cert_data, b->cert_data) && text_eq(a->key_data, b->key_data));
    ASSERT(text_eq(a->token, b->token) && text_eq(a->token_file, b->token_file));
    ASSERT(text_eq(a->impersonate_user, b->impersonate_user));
    ASSERT(a->impersonate_group_count == b->impersonate_group_count);
    ASSERT((a->exec == NULL) == (b->exec == NULL));
    ASSERT(!a->exec || a->exec->arg_count == b->exec->arg_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char path[] = "/etc/kubernetes/kubelet.conf";
    AUTO(arena) struct arena *arena = arena_new(0);
    struct str text = {.ptr = (const char *)data, .len = size};
    struct kubeconfig config, again;
    AUTO(error) struct error *err = kubeconfig_parse(text, path, NULL, arena, &config);
    AUTO(error) struct error *same = kubeconfig_parse(text, path, NULL, arena, &again);
    ASSERT((err == NULL) == (same == NULL));
    if (err) {
        ASSERT(text_eq(err->message, same->message));
        ASSERT(err->code == ERROR_INVALID_ARGUMENT || err->code == ERROR_RESOURCE_EXHAUSTED);
        return 0;
    }
    check(&config);
    check_same(&config, &again);
    const struct kubeconfig *copy = kubeconfig_copy(&config, arena);
    check(copy);
    check_same(&config, copy);
    return 0;
}
