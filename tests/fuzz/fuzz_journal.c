/*
 * The journal's file format: what is parsed from any bytes, formatted again, parses to the same
 * records; and a file that is cut anywhere keeps every record before the cut.
 */
#include "journal/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KIND "test"
#define FILE_MAX_BYTES (8 * MiB)

/* The records seen, in the format itself, and how many. */
struct seen {
    struct buf text;
    size_t count;
};

static void on_record(void *ctx, const char *key, struct str value)
{
    struct seen *seen = ctx;
    journal_format_record(key, value, !value.ptr, &seen->text);
    seen->count++;
}

static void count_record(void *ctx, UNUSED const char *key, UNUSED struct str value)
{
    (*(size_t *)ctx)++;
}

/* Cuts @text, which is wholly good, at @cut: nothing that ended before it is lost, nothing comes in
 * addition. */
static void check_cut(struct str text, size_t cut, size_t all)
{
    size_t count = 0, good = 0;
    struct str part = {.ptr = text.ptr, .len = cut};
    enum journal_parse_end end = journal_parse(part, KIND, count_record, &count, &good);
    ASSERT(end != JOURNAL_PARSE_DAMAGED && good <= cut && count <= all);
    ASSERT((end == JOURNAL_PARSE_OK) == (good == cut && cut > 0));
    size_t again = 0, good_again = 0;
    part.len = good;
    if (good > 0)
        ASSERT(journal_parse(part, KIND, count_record, &again, &good_again) == JOURNAL_PARSE_OK &&
               again == count && good_again == good);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen first = {0}, second = {0};
    struct str text = {.ptr = (const char *)data, .len = size};
    size_t good = 0, good_again = 0;
    buf_init(&first.text, FILE_MAX_BYTES);
    buf_init(&second.text, FILE_MAX_BYTES);
    journal_format_header(KIND, &first.text);
    journal_format_header(KIND, &second.text);
    enum journal_parse_end end = journal_parse(text, KIND, on_record, &first, &good);
    ASSERT(good <= size && (end != JOURNAL_PARSE_OK || good == size));
    ASSERT(!first.text.overflowed);

    end = journal_parse(buf_str(&first.text), KIND, on_record, &second, &good_again);
    ASSERT(end == JOURNAL_PARSE_OK && good_again == first.text.len && second.count == first.count);
    ASSERT(str_eq(buf_str(&first.text), buf_str(&second.text)));
    size_t step = first.text.len / 64 + 1;
    for (size_t cut = 0; cut < first.text.len; cut += step)
        check_cut(buf_str(&first.text), cut, first.count);
    buf_done(&first.text);
    buf_done(&second.text);
    return 0;
}
