#include "wire/accept.h"

static bool equals_ignoring_case(struct str text, const char *want)
{
    return text.len == strlen(want) && strncasecmp(text.ptr, want, text.len) == 0;
}

/* "0.8" as 800; 1000 for nothing or nonsense. */
static int quality_of(struct str text)
{
    if (text.len == 0 || (text.ptr[0] != '0' && text.ptr[0] != '1'))
        return 1000;
    int value = (text.ptr[0] - '0') * 1000;
    int scale = 100;
    for (size_t i = 2; i < text.len && i < 5; i++, scale /= 10) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return 1000;
        value += (text.ptr[i] - '0') * scale;
    }
    return value > 1000 ? 1000 : value;
}

static struct accept_clause clause_of(struct str text)
{
    size_t len = str_find(text, ';');
    struct accept_clause clause = {.type = str_trim((struct str){.ptr = text.ptr, .len = len}),
                                   .params = {.ptr = ""}};
    if (len < text.len)
        clause.params = (struct str){.ptr = text.ptr + len + 1, .len = text.len - len - 1};
    clause.quality = quality_of(accept_param(&clause, "q"));
    return clause;
}

void accept_parse(const char *field, struct accept *ret)
{
    struct str rest = str_from(*field ? field : "*/*");
    struct str text;
    ret->count = 0;
    while (ret->count < ACCEPT_CLAUSES_MAX && str_split_next(&rest, ',', &text)) {
        const struct accept_clause clause = clause_of(text);
        if (clause.type.len == 0 || clause.quality == 0)
            continue;
        size_t at = ret->count++;
        for (; at > 0 && ret->clauses[at - 1].quality < clause.quality; at--)
            ret->clauses[at] = ret->clauses[at - 1];
        ret->clauses[at] = clause;
    }
}

bool accept_is(const struct accept_clause *clause, const char *type)
{
    if (equals_ignoring_case(clause->type, type) || str_eq_c(clause->type, "*/*"))
        return true;
    return equals_ignoring_case(clause->type, "application/*") &&
           text_has_prefix(type, "application/");
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
