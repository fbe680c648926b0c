/*
 * Image references: what is accepted keeps its text, plus ":latest" at most, is made of plain
 * characters, and is accepted again unchanged; what is refused is refused as InvalidImageName.
 */
#include "pod/cri_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_accepted(const char *image, const char *full, struct arena *arena)
{
    size_t len = strlen(image);
    ASSERT(text_has_prefix(full, image));
    ASSERT(full[len] == '\0' || text_eq(full + len, ":latest"));
    for (const char *c = full; *c; c++)
        ASSERT(*c > ' ' && *c < 0x7f);
    ASSERT(!strstr(full, "//") && !text_has_suffix(full, "/"));
    const char *again = NULL;
    AUTO(error) struct error *err = image_with_default_tag(full, arena, &again);
    ASSERT(!err && text_eq(again, full));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *image = arena_strndup(arena, (const char *)data, size);
    const char *full = NULL;
    AUTO(error) struct error *err = image_with_default_tag(image, arena, &full);
    if (err) {
        ASSERT(text_eq(err->reason, "InvalidImageName"));
        ASSERT(text_has_prefix(err->message, "couldn't parse image name \""));
        return 0;
    }
    check_accepted(image, full, arena);
    return 0;
}
