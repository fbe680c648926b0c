/*
 * The host's resolv.conf, line by line: `nameserver` adds, `search` replaces what an earlier line
 * said, `options` merges by name. Comments are lines with '#'; everything else is passed over.
 */
#include "pod/cri_config.h"

/* A NULL-terminated list that grows in an arena; what it outgrows stays there until the arena goes.
 */
struct text_list {
    const char **items;
    size_t count;
    size_t capacity;
};

static void list_add(struct text_list *list, struct arena *arena, const char *text)
{
    if (list->count + 1 >= list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 4;
        const char **items = arena_calloc(arena, capacity, sizeof(*items));
        if (list->count)
            memcpy(items, list->items, list->count * sizeof(*items));
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = text;
    list->items[list->count] = NULL;
}

static void read_searches(struct str words, struct text_list *searches, struct arena *arena)
{
    searches->count = 0;
    if (searches->items)
        searches->items[0] = NULL;
    struct str word;
    while (str_next_word(&words, &word)) {
        if (str_eq_c(word, "."))
            continue;
        if (str_has_suffix(word, "."))
            word.len--;
        list_add(searches, arena, arena_strndup(arena, word.ptr, word.len));
    }
}

/* The same option given again takes the place of the earlier one. */
static void read_options(struct str words, struct text_list *options, struct arena *arena)
{
    struct str word;
    while (str_next_word(&words, &word)) {
        struct str name = {.ptr = word.ptr, .len = str_find(word, ':')};
        const char *text = arena_strndup(arena, word.ptr, word.len);
        size_t at = 0;
        while (at < options->count) {
            struct str old = str_from(options->items[at]);
            if (str_eq((struct str){.ptr = old.ptr, .len = str_find(old, ':')}, name))
                break;
            at++;
        }
        if (at < options->count)
            options->items[at] = text;
        else
            list_add(options, arena, text);
    }
}

static const char *const none[] = {NULL};

static const char *const *list_items(const struct text_list *list)
{
    return list->items ? list->items : none;
}

struct error *resolv_conf_parse(struct str text, struct arena *arena, struct resolv_conf *ret)
{
    if (text.len > RESOLV_CONF_MAX_BYTES)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "resolv.conf is larger than %zu bytes",
                         RESOLV_CONF_MAX_BYTES);
    struct text_list servers = {0}, searches = {0}, options = {0};
    bool bare = false;
    struct str line;
    while (str_split_next(&text, '\n', &line)) {
        struct str rest = line, keyword, word;
        if (!str_next_word(&rest, &keyword) || keyword.ptr[0] == '#')
            continue;
        if (str_eq_c(keyword, "nameserver")) {
            if (str_next_word(&rest, &word))
                list_add(&servers, arena, arena_strndup(arena, word.ptr, word.len));
            else
                bare = true;
        } else if (str_eq_c(keyword, "search")) {
            read_searches(rest, &searches, arena);
        } else if (str_eq_c(keyword, "options")) {
            read_options(rest, &options, arena);
        }
    }
    if (bare)
        return error_new(ERROR_INVALID_ARGUMENT, "nameserver list is empty ");
    *ret = (struct resolv_conf){.servers = list_items(&servers),
                                .searches = list_items(&searches),
                                .options = list_items(&options)};
    return NULL;
}
