/*
 * Payloads of volumes, from paths and keys as a hostile pod and ConfigMap might have them. The
 * input is lines: "K key" a key of the ConfigMap, "I key path" an item, "F path" a file of the
 * downward API. Property: what finish() lets through are clean relative paths that stay in the
 * volume and do not meet the names of the atomic writer, in order and each once, and
 * volume_payload_place() knows them.
 */
#include "base/path.h"
#include "volume/payload.h"

#define LINES_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    Core__ConfigMap object;
    Core__ConfigMap__DataEntry entries[LINES_MAX], *entry_list[LINES_MAX];
    Core__KeyToPath items[LINES_MAX], *item_list[LINES_MAX];
    size_t n_items;
};

static void read_line(struct input *input, struct volume_payload *payload, char *line)
{
    if (line[0] == '\0' || line[1] != ' ')
        return;
    char *text = line + 2;
    if (line[0] == 'F')
        volume_payload_add(payload, &(struct volume_file){.path = text, .mode = 0644});
    if (line[0] == 'K') {
        size_t index = input->object.n_data++;
        core__config_map__data_entry__init(&input->entries[index]);
        input->entries[index].key = text;
        input->entry_list[index] = &input->entries[index];
    }
    char *path = line[0] == 'I' ? strchr(text, ' ') : NULL;
    if (path) {
        size_t index = input->n_items++;
        *path++ = '\0';
        core__key_to_path__init(&input->items[index]);
        input->items[index].key = text;
        input->items[index].path = path;
        input->item_list[index] = &input->items[index];
    }
}

static void check(const struct volume_payload *payload)
{
    for (size_t i = 0; i < payload->count; i++) {
        const char *path = payload->files[i].path;
        AUTO(free) char *clean = path_clean(path);
        ASSERT(text_eq(clean, path));
        ASSERT(*path != '\0' && !path_is_absolute(path) && !text_eq(path, "."));
        ASSERT(!path_has_dotdot(path) && !text_has_prefix(path, ".."));
        ASSERT(i == 0 || strcmp(payload->files[i - 1].path, path) < 0);
        ASSERT(volume_payload_place(payload, path) == PAYLOAD_FILE);
        char *slash = strchr(clean, '/');
        if (slash) {
            *slash = '\0';
            ASSERT(volume_payload_place(payload, clean) != PAYLOAD_NONE);
        }
    }
    ASSERT(volume_payload_place(payload, "..data") == PAYLOAD_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct input *input = arena_alloc(arena, sizeof(*input));
    struct volume_payload payload = {.arena = arena};
    core__config_map__init(&input->object);
    input->object.data = input->entry_list;
    char *text = arena_strndup(arena, (const char *)data, strnlen((const char *)data, size));
    for (size_t i = 0; i < LINES_MAX && text; i++) {
        char *end = strchr(text, '\n');
        if (end)
            *end++ = '\0';
        read_line(input, &payload, text);
        text = end;
    }
    const struct payload_keys keys = {.items = input->item_list,
                                      .item_count = input->n_items,
                                      .default_mode = 0644,
                                      .optional = size % 2 == 0};
    AUTO(error)
    struct error *err = volume_payload_add_config_map(&payload, &input->object, &keys);
    if (!err)
        err = volume_payload_finish(&payload);
    if (!err)
        check(&payload);
    return 0;
}
