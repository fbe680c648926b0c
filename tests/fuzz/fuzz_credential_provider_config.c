/*
 * CredentialProviderConfig: what decodes is the same again once it was written down as JSON, and
 * checking it twice finds the same.
 */
#include "image/credential_provider_config.h"

#include "base/buf.h"
#include "kube/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_twice(const Credentialprovider__CredentialProviderConfig *config)
{
    AUTO(error) struct error *first = credential_provider_config_check(config, true);
    AUTO(error) struct error *second = credential_provider_config_check(config, true);
    ASSERT(!first == !second);
    ASSERT(!first || text_eq(first->message, second->message));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Credentialprovider__CredentialProviderConfig *config = NULL, *again = NULL;
    AUTO(error)
    struct error *err = credential_provider_config_decode(
        (struct str){.ptr = (const char *)data, .len = size}, "f", arena, &config);
    if (err)
        return 0;
    check_twice(config);
    AUTO(buf) struct buf text;
    buf_init(&text, CREDENTIAL_PROVIDER_FILE_MAX_BYTES);
    const struct kube_type_meta type = {"kubelet.config.k8s.io/v1", "CredentialProviderConfig"};
    kube_encode_json(&config->base, &type, &text);
    if (text.overflowed) /* escapes make it longer */
        return 0;
    err = credential_provider_config_decode(buf_str(&text), "f", arena, &again);
    ASSERT(!err && kube_message_eq(&config->base, &again->base));
    return 0;
}
