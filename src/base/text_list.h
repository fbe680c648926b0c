/*
 * A list of texts, borrowed. Pure. Any thread.
 */
#pragma once

#include "base/base.h"

struct text_list {
    const char *const *items;
    size_t count;
};

/** True when @text is one of @list. */
static inline UNUSED bool text_list_has(const struct text_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (text_eq(list->items[i], text))
            return true;
    }
    return false;
}
