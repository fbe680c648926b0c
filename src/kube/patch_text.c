/* Errors with upstream's texts, and values as Go prints them. */
#include "kube/patch_internal.h"

#define GO_TEXT_MAX_BYTES 512 /* of a value in an error text */

/* NOLINTBEGIN(misc-no-recursion): trees are at most DOC_MAX_DEPTH deep */
static void add_go_text(struct buf *out, const struct doc_node *node, struct arena *arena)
{
    char real[DOC_REAL_SIZE];
    if (out->overflowed)
        return;
    switch (node->kind) {
    case DOC_NULL:
        buf_add_text(out, "<nil>");
        break;
    case DOC_BOOL:
        buf_add_text(out, node->boolean ? "true" : "false");
        break;
    case DOC_INTEGER:
        buf_printf(out, "%lld", (long long)node->integer);
        break;
    case DOC_REAL:
        buf_add_text(out, doc_format_real(node->real, real));
        break;
    case DOC_STRING:
        buf_add_str(out, node->string);
        break;
    case DOC_ARRAY:
        buf_add_char(out, '[');
        for (size_t i = 0; i < node->array.count && !out->overflowed; i++) {
            if (i)
                buf_add_char(out, ' ');
            add_go_text(out, node->array.items[i], arena);
        }
        buf_add_char(out, ']');
        break;
    case DOC_OBJECT:
        buf_add_text(out, "map[");
        for (size_t i = 0; i < node->object.count && !out->overflowed; i++) {
            const struct doc_member *member = &node->object.members[i];
            buf_printf(out, "%s%.*s:", i ? " " : "", STR_ARG(member->key));
            add_go_text(out, member->value, arena);
        }
        buf_add_char(out, ']');
        break;
    }
}
/* NOLINTEND(misc-no-recursion) */

const char *patch_go_text(const struct doc_node *node, struct arena *arena)
{
    /* A key of any length stays whole, since lists are sorted by it. */
    if (node->kind == DOC_STRING)
        return node->string.ptr;
    AUTO(buf) struct buf text;
    buf_init(&text, GO_TEXT_MAX_BYTES);
    add_go_text(&text, doc_sorted(node, arena), arena);
    return arena_printf(arena, "%s%s", buf_text(&text), text.overflowed ? "…" : "");
}

struct error *patch_bad_request(const char *text)
{
    return error_with_reason(error_new(ERROR_INVALID_ARGUMENT, "%s", text), "BadRequest");
}

static struct error *error_with(const char *reason, const char *format, va_list args)
    PRINTF_LIKE(2, 0);

static struct error *error_with(const char *reason, const char *format, va_list args)
{
    AUTO(free) char *text = xvasprintf(format, args);
    return error_with_reason(error_new(ERROR_INVALID_ARGUMENT, "%s", text), reason);
}

struct error *patch_invalid(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct error *err = error_with("Invalid", format, args);
    va_end(args);
    return err;
}

struct error *patch_does_not_fit(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct error *err = error_with("InternalError", format, args);
    va_end(args);
    return err;
}

static const char *go_type(const struct doc_node *node)
{
    switch (node->kind) {
    case DOC_NULL:
        return "%!s(<nil>)";
    case DOC_BOOL:
        return "bool";
    case DOC_INTEGER:
        return "int64";
    case DOC_REAL:
        return "float64";
    case DOC_STRING:
        return "string";
    case DOC_ARRAY:
        return "[]interface {}";
    case DOC_OBJECT:
        return "map[string]interface {}";
    }
    return "";
}

struct error *patch_bad_type(const char *expected, const struct doc_node *actual)
{
    return patch_does_not_fit("expected a %s, but received a %s", expected, go_type(actual));
}

struct error *patch_no_merge_key(const struct doc_node *element, const char *merge_key)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    return patch_does_not_fit("map: %s does not contain declared merge key: %s",
                              patch_go_text(element, scratch), merge_key);
}

struct error *patch_no_field(const struct kube_value_type *type, struct str name)
{
    return patch_does_not_fit("unable to find api field in struct %s for the json field \"%.*s\"",
                              type->message ? type->message->short_name : "RawExtension",
                              STR_ARG(name));
}

struct error *patch_check_extent(const struct doc_node *node, const char *what)
{
    return error_with_reason(doc_check_extent(node, what), "RequestEntityTooLarge");
}
