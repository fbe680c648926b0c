/*
 * Any text as a label selector and as a field selector; what follows a NUL is the value of a label
 * and of every field. Properties: no crash, and a selector's text selects the same and has itself
 * as its text.
 */
#include "kube/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX_BYTES (4 * MiB)

static const char *value_of(void *ctx, const char *path)
{
    return path[0] == 's' ? ctx : "";
}

static void check_labels(const char *text, const Meta__ObjectMeta *meta, struct arena *arena)
{
    const struct label_selector *selector, *again;
    AUTO(buf) struct buf first, second;
    buf_init(&first, TEXT_MAX_BYTES);
    buf_init(&second, TEXT_MAX_BYTES);
    struct error *err = label_selector_parse(text, arena, &selector);
    if (err) {
        error_ignore(err, "most inputs are none");
        return;
    }
    label_selector_write(selector, &first);
    err = label_selector_parse(buf_text(&first), arena, &again);
    ASSERT(!err);
    label_selector_write(again, &second);
    ASSERT(str_eq(buf_str(&first), buf_str(&second)));
    ASSERT(label_selector_matches(selector, meta) == label_selector_matches(again, meta));
    ASSERT(label_selector_matches(selector, NULL) == label_selector_matches(again, NULL));
    ASSERT(label_selector_is_empty(selector) == (first.len == 0));
}

static void check_fields(const char *text, char *value, struct arena *arena)
{
    const struct field_selector *selector, *again;
    AUTO(buf) struct buf first, second;
    buf_init(&first, TEXT_MAX_BYTES);
    buf_init(&second, TEXT_MAX_BYTES);
    struct error *err = field_selector_parse(text, arena, &selector);
    if (err) {
        error_ignore(err, "most inputs are none");
        return;
    }
    field_selector_write(selector, &first);
    err = field_selector_parse(buf_text(&first), arena, &again);
    ASSERT(!err);
    field_selector_write(again, &second);
    ASSERT(field_selector_matches(selector, value_of, value) ==
           field_selector_matches(again, value_of, value));
    ASSERT(first.len == second.len);
    size_t count;
    const struct kube_kind *kinds = kube_kinds(&count);
    for (size_t i = 0; i < count; i++)
        error_ignore(field_selector_check(selector, &kinds[i]), "only that it does not crash");
    const ProtobufCMessage *pod = kube_message_new(kube_kind_find("v1", "Pod")->type, arena);
    (void)field_selector_matches_object(selector, kube_kind_find("v1", "Pod"), pod);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *bytes = size ? (const char *)data : "";
    size_t len = strnlen(bytes, size);
    const char *text = arena_strndup(arena, bytes, len);
    char *value = arena_strndup(arena, bytes + len + (len < size), size - len - (len < size));
    char key[] = "app";
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    Meta__ObjectMeta__LabelsEntry label = META__OBJECT_META__LABELS_ENTRY__INIT;
    Meta__ObjectMeta__LabelsEntry *labels[] = {&label};
    label.key = key;
    label.value = value;
    meta.labels = labels;
    meta.n_labels = 1;
    check_labels(text, &meta, arena);
    check_fields(text, value, arena);
    return 0;
}
