/*
 * The answer of a credential provider plugin: whatever is read of it is whole, and can be searched
 * like any other logins; of what is refused nothing is left.
 */
#include "image/credential_provider_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void search(const struct credential_set *set)
{
    static const struct credential_source nobody = {.uid = "", .namespace_ = "", .name = ""};
    AUTO(arena) struct arena *arena = arena_new(0);
    struct keyring keyring = {0};
    AUTO(error)
    struct error *err = keyring_add_logins(&keyring, set->logins, set->count, &nobody, arena);
    ASSERT(!err == (set->count <= CREDENTIALS_MAX_ENTRIES));
    ASSERT(keyring.count <= set->count);
    const struct image_credential *found;
    size_t count;
    keyring_find(&keyring, "r.example:5000/x/app", arena, &found, &count);
    for (size_t i = 0; i < count; i++)
        ASSERT(found[i].username && found[i].password && !found[i].email[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct credential_response response = {0};
    AUTO(error)
    struct error *err =
        credential_response_decode((struct str){.ptr = (const char *)data, .len = size},
                                   "credentialprovider.kubelet.k8s.io/v1", &response);
    ASSERT(!err || !response.set.logins);
    ASSERT(!err || strlen(err->message) < KiB);
    for (size_t i = 0; i < response.set.count; i++) {
        const struct registry_login *login = &response.set.logins[i];
        ASSERT(login->location && login->username && login->password);
    }
    search(&response.set);
    credential_set_done(&response.set);
    return 0;
}
