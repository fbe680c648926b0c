#include "plane/accept.h"

static bool equals_ignoring_case(struct str text, const char *want)
{
    return text.len == strlen(want) && strncasecmp(text.ptr, want, text.len) == 0;
}

bool accept_next(struct str *rest, struct accept_clause *ret)
{
    struct str clause;
    while (str_split_next(rest, ',', &clause)) {
        size_t len = str_find(clause, ';');
        struct str type = str_trim((struct str){.ptr = clause.ptr, .len = len});
        if (type.len == 0)
            continue;
        *ret = (struct accept_clause){.type = type, .params = {.ptr = ""}};
        if (len < clause.len)
            ret->params = (struct str){.ptr = clause.ptr + len + 1, .len = clause.len - len - 1};
        return true;
    }
    return false;
}

bool accept_is(const struct accept_clause *clause, const char *type)
{
    if (equals_ignoring_case(clause->type, type) || str_eq_c(clause->type, "*/*"))
        return true;
    return str_eq_c(clause->type, "application/*") && text_has_prefix(type, "application/");
}

struct str accept_param(const struct accept_clause *clause, const char *name)
{
    struct str rest = clause->params;
    struct str param;
    while (str_split_next(&rest, ';', &param)) {
        size_t len = str_find(param, '=');
        struct str key = str_trim((struct str){.ptr = param.ptr, .len = len});
        if (len < param.len && equals_ignoring_case(key, name))
            return str_trim((struct str){.ptr = param.ptr + len + 1, .len = param.len - len - 1});
    }
    return (struct str){.ptr = ""};
}
