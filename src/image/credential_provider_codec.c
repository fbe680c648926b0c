#include "image/credential_provider_codec.h"

#include "kube/codec.h"
#include "kube/message_map.h"

#include "credentialprovider.pb-c.h"

#define RESPONSE_KIND "CredentialProviderResponse"
#define SHOWN_BYTES 253 /* of a word that a plugin gave, in a message */

static char *borrow(const char *text)
{
    return (char *)(uintptr_t)text; /* protobuf-c has no const, and encoding changes nothing */
}

void credential_request_encode(const struct credential_request *request, struct buf *out)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Credentialprovider__CredentialProviderRequest message =
        CREDENTIALPROVIDER__CREDENTIAL_PROVIDER_REQUEST__INIT;
    message.image = borrow(request->image);
    message.service_account_token = borrow(request->token);
    for (size_t i = 0; i < request->annotation_count; i++)
        message_map_set(&message.base, "service_account_annotations", request->annotations[i].key,
                        request->annotations[i].value, arena);
    const struct kube_type_meta type = {.api_version = request->api_version,
                                        .kind = "CredentialProviderRequest"};
    kube_encode_json(&message.base, &type, out);
}

static void wipe(const char *text)
{
    char *owned = borrow(text);
    if (owned)
        explicit_bzero(owned, strlen(owned));
    free(owned);
}

void credential_set_done(struct credential_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        wipe(set->logins[i].location);
        wipe(set->logins[i].username);
        wipe(set->logins[i].password);
    }
    free(TAKE(set->logins));
    set->count = 0;
}

static struct error *check_type(struct str text, const char *api_version, struct arena *arena)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_TOLERANT,
                                                .max_bytes = CREDENTIAL_RESPONSE_MAX_BYTES};
    struct kube_type_meta type;
    struct error *err = kube_decode_type_meta(text, &options, arena, &type);
    if (err) {
        error_ignore(err, "it may quote what is secret");
        return error_new(ERROR_INVALID_ARGUMENT,
                         "error reading GVK from response: it is no JSON object with apiVersion "
                         "and kind");
    }
    if (!text_eq(type.api_version, api_version))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "apiVersion from credential plugin response did not match expected "
                         "apiVersion:%s, actual apiVersion:%.*s",
                         api_version, SHOWN_BYTES, type.api_version);
    if (!text_eq(type.kind, RESPONSE_KIND))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "failed to decode CredentialProviderResponse, unexpected Kind: \"%.*s\"",
                         SHOWN_BYTES, type.kind);
    return NULL;
}

static struct error *read_cache_key(const char *type, enum credential_cache_key *ret)
{
    static const char *const names[] = {
        [CREDENTIAL_CACHE_IMAGE] = "Image",
        [CREDENTIAL_CACHE_REGISTRY] = "Registry",
        [CREDENTIAL_CACHE_GLOBAL] = "Global",
    };
    _Static_assert(ARRAY_SIZE(names) == CREDENTIAL_CACHE_GLOBAL + 1, "name every key");
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (text_eq(type, names[i])) {
            *ret = (enum credential_cache_key)i;
            return NULL;
        }
    }
    return error_new(ERROR_INVALID_ARGUMENT,
                     "credential provider plugin did not return a valid cacheKeyType: \"%.*s\"",
                     SHOWN_BYTES, type ? type : "");
}

static void take_logins(const Credentialprovider__CredentialProviderResponse *message,
                        struct credential_set *set)
{
    if (message->n_auth == 0)
        return;
    set->logins = xcalloc(message->n_auth, sizeof(*set->logins));
    for (size_t i = 0; i < message->n_auth; i++) {
        const Credentialprovider__AuthConfig *auth = message->auth[i]->value;
        const char *username = auth && auth->username ? auth->username : "";
        const char *password = auth && auth->password ? auth->password : "";
        set->logins[set->count++] =
            (struct registry_login){.location = xstrdup(message->auth[i]->key),
                                    .username = xstrdup(username),
                                    .password = xstrdup(password)};
    }
}

struct error *credential_response_decode(struct str text, const char *api_version,
                                         struct credential_response *ret)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT,
                                                .max_bytes = CREDENTIAL_RESPONSE_MAX_BYTES};
    AUTO(arena) struct arena *arena = arena_new(0);
    struct error *err = check_type(text, api_version, arena);
    if (err)
        return err;
    ProtobufCMessage *base = NULL;
    err = kube_decode_json(text, &credentialprovider__credential_provider_response__descriptor,
                           &options, arena, &base);
    if (err) {
        error_ignore(err, "it may quote what is secret");
        return error_new(ERROR_INVALID_ARGUMENT,
                         "error decoding credential provider plugin response from stdout");
    }
    const Credentialprovider__CredentialProviderResponse *message =
        (const Credentialprovider__CredentialProviderResponse *)base;
    struct credential_response response = {0};
    err = read_cache_key(message->cache_key_type, &response.cache_key);
    if (err)
        return err;
    response.has_cache_duration = message->cache_duration != NULL;
    if (message->cache_duration)
        response.cache_duration_ns = message->cache_duration->duration;
    take_logins(message, &response.set);
    *ret = response;
    return NULL;
}
