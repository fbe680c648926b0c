/*
 * Two lines with fieldsV1 in JSON. Properties: what is read is written so that it reads the same;
 * the algebra keeps its laws.
 */
#include "kube/field_set.h"
#include "wire/json.h"

#include "core.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct doc_node *parse_json(struct str text, struct arena *arena)
{
    const struct doc_parse_options options = {.max_bytes = MiB};
    const struct doc_node *node = NULL;
    struct error *err = json_parse(text, &options, arena, &node);
    error_ignore(err, "most inputs are no JSON");
    return node;
}

static const struct field_set *parse(struct str text, struct arena *arena)
{
    const struct doc_node *node = parse_json(text, arena);
    const struct field_set *set = NULL, *back = NULL;
    struct error *err = node ? field_set_parse(node, arena, &set) : NULL;
    error_ignore(err, "most inputs are no field set");
    if (!set)
        return NULL;
    err = field_set_parse(field_set_document(set, arena), arena, &back);
    ASSERT(!err);
    ASSERT(field_set_equal(set, back));
    return set;
}

static void count_path(void *ctx, const struct field_element *path, size_t count)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    size_t *paths = ctx;
    ASSERT(field_path_text(path, count, scratch)[0]);
    ++*paths;
}

static size_t count_members(const struct field_set *set)
{
    size_t count = 0;
    field_set_each(set, count_path, &count);
    return count;
}

static void check_laws(const struct field_set *a, const struct field_set *b, struct arena *arena)
{
    const struct field_set *both = field_set_union(a, b, arena);
    const struct field_set *common = field_set_intersection(a, b, arena);
    const struct field_set *only_a = field_set_difference(a, b, arena);
    ASSERT(field_set_equal(both, field_set_union(b, a, arena)));
    ASSERT(field_set_equal(common, field_set_intersection(b, a, arena)));
    ASSERT(field_set_equal(field_set_union(common, only_a, arena), a));
    ASSERT(field_set_is_empty(field_set_intersection(only_a, b, arena)));
    ASSERT(field_set_is_empty(field_set_difference(a, both, arena)));
    ASSERT(field_set_is_empty(field_set_difference(field_set_without(a, b, arena), only_a, arena)));
    ASSERT(count_members(a) + count_members(b) == count_members(both) + count_members(common));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct str rest = {.ptr = (const char *)data, .len = size}, line = {.ptr = NULL};
    const struct field_set *sets[2] = {NULL, NULL};
    for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
        if (str_split_next(&rest, '\n', &line))
            sets[i] = parse(line, arena);
    }
    if (sets[0] && sets[1])
        check_laws(sets[0], sets[1], arena);

    /* The same line as a pod: its fields are a set like any other. */
    const struct doc_node *node =
        parse_json((struct str){.ptr = (const char *)data, .len = size}, arena);
    const struct field_set *fields = NULL, *back = NULL;
    struct error *err =
        node ? field_set_of_document(node, &core__pod__descriptor, true, arena, &fields) : NULL;
    error_ignore(err, "most inputs are no pod");
    if (fields) {
        err = field_set_parse(field_set_document(fields, arena), arena, &back);
        ASSERT(!err && field_set_equal(fields, back));
    }
    return 0;
}
