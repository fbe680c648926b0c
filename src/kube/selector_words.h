/*
 * The words of a label selector's text. For selector.c only. Pure.
 */
#pragma once

#include "base/base.h"

enum word_kind {
    WORD_END,
    WORD_CLOSE,
    WORD_COMMA,
    WORD_NOT,
    WORD_DOUBLE_EQUALS,
    WORD_EQUALS,
    WORD_GREATER,
    WORD_IDENTIFIER,
    WORD_IN,
    WORD_LESS,
    WORD_NOT_EQUALS,
    WORD_NOT_IN,
    WORD_OPEN,
};

struct word {
    enum word_kind kind;
    struct str text;
};

/** Takes the next word off @rest, with the blanks before it. "in" and "notin" are their own kinds,
 * also where they are meant as a name. */
struct word selector_read_word(const char **rest);
