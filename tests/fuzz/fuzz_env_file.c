/*
 * Environment files, which containers write: reading never fails beyond its two errors, a value
 * holds no quote, and a value that was found is found again in a file that says only that.
 */
#include "pod/env_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (memchr(data, 0, size)) /* C texts end there; the file does not */
        return 0;
    AUTO(arena) struct arena *arena = arena_new(0);
    struct str text = {.ptr = (const char *)data, .len = size};
    const char *value = NULL;
    AUTO(error) struct error *err = env_file_get(text, "KEY", arena, &value);
    if (err) {
        ASSERT(err->code == ERROR_INVALID_ARGUMENT || err->code == ERROR_RESOURCE_EXHAUSTED);
        return 0;
    }
    if (!value)
        return 0;
    ASSERT(!strchr(value, '\''));
    const char *line = arena_printf(arena, "KEY='%s'\n", value), *again = NULL;
    AUTO(error) struct error *second = env_file_get(str_from(line), "KEY", arena, &again);
    ASSERT(!second && text_eq(again, value));
    return 0;
}
