/*
 * Files of pods with ids of their own, which may be damaged: what is read is what is written again,
 * and an allocator never records a range twice.
 */
#include "pod/userns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct userns_range range, again;
    const struct str text = {.ptr = (const char *)data, .len = size};
    AUTO(error) struct error *subids_err = userns_parse_subids(text, text, &range);
    AUTO(error) struct error *err = userns_file_parse(text, &range);
    if (err) {
        ASSERT(err->code == ERROR_INVALID_ARGUMENT || err->code == ERROR_RESOURCE_EXHAUSTED);
        return 0;
    }
    AUTO(buf) struct buf out;
    buf_init(&out, USERNS_FILE_MAX_BYTES);
    userns_file_add(&out, range);
    AUTO(error) struct error *second = userns_file_parse(buf_str(&out), &again);
    ASSERT(!second && again.host_id == range.host_id && again.length == range.length);

    const struct userns_options options = {
        .ids_per_pod = 65536, .first = 65536, .length = UINT32_MAX - 65535, .max_pods = 110};
    AUTO(userns) struct userns *userns = NULL;
    AUTO(error) struct error *options_err = userns_new(&options, &userns);
    ASSERT(!options_err);
    AUTO(error) struct error *recorded = userns_record(userns, "a", range);
    AUTO(error) struct error *stolen = userns_record(userns, "b", range);
    ASSERT(stolen);
    ASSERT((recorded == NULL) == (userns_find(userns, "a").length > 0));
    return 0;
}
