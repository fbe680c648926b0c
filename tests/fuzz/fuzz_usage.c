/* A node says what is used on it: whatever it says, no figure is negative and every pod is found
 * that was taken in. */
#include "plane/usage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 64 * KiB)
        return 0;
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct str text = {.ptr = (const char *)data, .len = size};
    struct usage *usage = usage_new(arena);
    for (int i = 0; i < 2; i++) {
        AUTO(error) struct error *err = usage_add_summary(usage, "n", text, 1);
        struct usage_figures figures;
        if (!err && usage_of_node(usage, "n", &figures))
            ASSERT(figures.nano_cores >= 0 && figures.bytes >= 0 && figures.taken_wall_ns >= 0);
    }
    const struct usage_container *containers;
    size_t count = usage_of_pod(usage, "default", "web", &containers);
    for (size_t i = 0; i < count; i++) {
        ASSERT(containers[i].name != NULL);
        ASSERT(containers[i].figures.nano_cores >= 0 && containers[i].figures.bytes >= 0);
    }
    return 0;
}
