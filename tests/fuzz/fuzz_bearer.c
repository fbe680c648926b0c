/*
 * Header fields, a line each: name, colon, value. Whatever tokens are read, none is left in what is
 * passed on; and taking them out a second time changes nothing.
 */
#include "server/bearer.h"

#define MAX_FIELDS 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct http_fields fields_of(struct str text, struct arena *arena)
{
    struct http_field *items = arena_calloc(arena, MAX_FIELDS, sizeof(*items));
    struct http_fields fields = {.items = items};
    struct str line;
    while (fields.count < MAX_FIELDS && str_split_next(&text, '\n', &line)) {
        struct str name = {0};
        if (str_split_next(&line, ':', &name))
            items[fields.count++] = (struct http_field){
                .name = arena_strndup(arena, name.ptr, name.len),
                .value = arena_strndup(arena, line.ptr ? line.ptr : "", line.len)};
    }
    return fields;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct http_fields fields =
        fields_of((struct str){.ptr = (const char *)data, .len = size}, arena);
    struct bearer_tokens tokens, left;
    bearer_read(&fields, arena, &tokens);
    ASSERT(tokens.count <= BEARER_MAX_TOKENS);
    for (size_t i = 0; i < tokens.count; i++)
        ASSERT(*tokens.texts[i]);
    struct http_fields stripped = bearer_strip(&fields, arena);
    bearer_read(&stripped, arena, &left);
    ASSERT(left.count == 0 && !left.refusal);
    ASSERT(!http_fields_get(&stripped, "authorization"));
    struct http_fields again = bearer_strip(&stripped, arena);
    ASSERT(again.count == stripped.count);
    for (size_t i = 0; i < again.count; i++)
        ASSERT(text_eq(again.items[i].value, stripped.items[i].value));
    return 0;
}
