/*
 * Files of pull records. What is read can be written, and what was written reads the same and is
 * written the same; a pod nobody knows is let in by no record that does not say so.
 */
#include "image/pull_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const struct pull_record *record, struct arena *arena)
{
    AUTO(buf) struct buf first, second;
    buf_init(&first, PULL_RECORD_MAX_BYTES);
    buf_init(&second, PULL_RECORD_MAX_BYTES);
    AUTO(error) struct error *too_large = pull_record_encode(record, &first);
    if (too_large)
        return; /* escapes make it longer */
    struct pull_record again;
    bool is_old = true;
    AUTO(error) struct error *err = pull_record_decode(buf_str(&first), arena, &again, &is_old);
    ASSERT(!err && !is_old);
    err = pull_record_encode(&again, &second);
    ASSERT(!err && str_eq(buf_str(&first), buf_str(&second)));
}

static void check_stranger(const struct pull_record *record)
{
    static const struct pull_policy policy = {.kind = CONFIG_PULL_ALWAYS_VERIFY};
    static const struct pull_access stranger = {0};
    for (size_t i = 0; i < record->n_mappings; i++) {
        struct pull_check_input input = {.policy = &policy,
                                         .repository = record->mappings[i].repository,
                                         .is_known = true,
                                         .record = record,
                                         .pod = &stranger};
        const struct pull_secret *note;
        bool is_let_in = pull_check(&input, &note) == PULL_CHECK_RECORD_FOUND;
        ASSERT(is_let_in == record->mappings[i].access.all_pods && !note);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct str text = {.ptr = (const char *)data, .len = size};
    struct pull_record record;
    const char *image;
    bool is_old;
    AUTO(error) struct error *err = pull_record_decode(text, arena, &record, &is_old);
    if (!err) {
        check_round_trip(&record, arena);
        check_stranger(&record);
    }
    AUTO(error) struct error *no_intent = pull_intent_decode(text, arena, &image, &is_old);
    ASSERT(err || no_intent);
    return 0;
}
