/* What is read as a time or a duration is written as a text that reads the same. */
#include "base/time.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_duration(struct str text)
{
    int64_t ns = 0, again = 0;
    char written[TIME_TEXT_SIZE];
    AUTO(error) struct error *err = time_parse_duration(text, &ns);
    if (err)
        return;
    AUTO(error)
    struct error *second = time_parse_duration(str_from(time_format_duration(ns, written)), &again);
    ASSERT(!second && again == ns);
}

static void check_moment(struct str text)
{
    int64_t sec = 0, sec_again = 0, ns = 0;
    int32_t nanos = 0, nanos_again = 0;
    char written[TIME_TEXT_SIZE];
    AUTO(error) struct error *err = time_parse_parts(text, &sec, &nanos);
    if (err)
        return;
    ASSERT(nanos >= 0 && nanos < NS_PER_SEC);
    if (sec < TIME_MIN_SEC || sec > TIME_MAX_SEC)
        return; /* the offset led out of the years that can be written */
    AUTO(error)
    struct error *second = time_parse_parts(str_from(time_format_parts(sec, nanos, 9, written)),
                                            &sec_again, &nanos_again);
    ASSERT(!second && sec_again == sec && nanos_again == nanos);
    AUTO(error) struct error *third = time_parse_rfc3339(text, &ns);
    if (third)
        return; /* beyond what nanoseconds can hold */
    ASSERT(strcmp(time_format_rfc3339_nano(ns, (char[TIME_TEXT_SIZE]){0}), written) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {.ptr = (const char *)data, .len = size};
    check_duration(text);
    check_moment(text);
    return 0;
}
