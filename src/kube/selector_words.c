#include "kube/selector_words.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct word selector_read_word(const char **rest)
{
    static const struct {
        const char *text;
        enum word_kind kind;
    } symbols[] = {
        {"==", WORD_DOUBLE_EQUALS}, {"!=", WORD_NOT_EQUALS}, {")", WORD_CLOSE},
        {",", WORD_COMMA},          {"!", WORD_NOT},         {"=", WORD_EQUALS},
        {">", WORD_GREATER},        {"<", WORD_LESS},        {"(", WORD_OPEN},
    };
    const char *start = *rest;
    while (is_blank(*start))
        start++;
    struct word word = {.kind = *start ? WORD_IDENTIFIER : WORD_END, .text = {.ptr = start}};
    for (size_t i = 0; i < ARRAY_SIZE(symbols) && word.text.len == 0; i++) {
        if (!text_has_prefix(start, symbols[i].text))
            continue;
        word.kind = symbols[i].kind;
        word.text.len = strlen(symbols[i].text);
    }
    if (word.kind == WORD_IDENTIFIER) {
        word.text.len = strcspn(start, "=!(),>< \t\r\n");
        if (str_eq_c(word.text, "in"))
            word.kind = WORD_IN;
        else if (str_eq_c(word.text, "notin"))
            word.kind = WORD_NOT_IN;
    }
    *rest = start + word.text.len;
    return word;
}
