/*
 * Docker configurations: the first line is an image, the rest a configuration. Whatever is found
 * for the image is found for it with a tag and a digest as well, every login is one of the
 * configuration's, and a configuration that is refused has added nothing.
 */
#include "image/credentials.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_known(const struct keyring *keyring, const struct image_credential *login)
{
    bool known = false;
    for (size_t i = 0; i < keyring->count; i++)
        known = known || keyring->entries[i].credential.username == login->username;
    ASSERT(known && login->username && login->password);
}

static void check_found(const struct keyring *keyring, const char *image, struct arena *arena)
{
    const struct image_credential *found, *tagged;
    size_t count, n_tagged;
    keyring_find(keyring, image, arena, &found, &count);
    ASSERT(count <= keyring->count);
    for (size_t i = 0; i < count; i++)
        check_known(keyring, &found[i]);
    if (strchr(image, ':') || strchr(image, '@') || !*image)
        return;
    keyring_find(keyring, arena_printf(arena, "%s:v1@sha256:00", image), arena, &tagged, &n_tagged);
    ASSERT(n_tagged == count);
    for (size_t i = 0; i < count; i++)
        ASSERT(found[i].username == tagged[i].username);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct str text = {.ptr = (const char *)data, .len = size}, line;
    if (!str_split_next(&text, '\n', &line))
        return 0;
    const char *image = arena_strndup(arena, line.ptr, line.len);
    for (int legacy = 0; legacy < 2; legacy++) {
        struct keyring keyring = {0};
        AUTO(error) struct error *err = keyring_add_config(&keyring, text, legacy, arena);
        ASSERT(!err || keyring.count == 0);
        check_found(&keyring, image, arena);
    }
    return 0;
}
