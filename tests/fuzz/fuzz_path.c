/* A cleaned path is clean, never longer than it was, and has ".." at its beginning only. */
#include "base/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(free) char *path = str_dup((struct str){.ptr = (const char *)data, .len = size});
    AUTO(free) char *clean = path_clean(path);
    AUTO(free) char *again = path_clean(clean);
    ASSERT(strcmp(clean, again) == 0);
    ASSERT(*clean && (strlen(clean) <= strlen(path) || !*path));
    ASSERT(path_is_absolute(clean) == path_is_absolute(path));
    ASSERT(!strstr(clean, "//") && !strstr(clean, "/./"));
    ASSERT(!path_is_absolute(clean) || !path_has_dotdot(clean));
    /* Whatever is appended to a rooted path and cleaned stays below the root. */
    AUTO(free) char *joined = path_join_all("/", path, NULL);
    ASSERT(path_is_below(joined, "/") && !path_has_dotdot(joined));
    return 0;
}
