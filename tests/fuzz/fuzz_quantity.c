/*
 * Quantities: the canonical form is one itself, settles, and means the same; comparison is an order
 * that agrees with the rounded values. Upstream's form may change once more: "687.5Ki" becomes
 * "704000", which has lost the memory of its suffix and so becomes "704k".
 */
#include "kube/quantity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *text_of(struct str part, struct arena *arena)
{
    /* A NUL ends the text, as it does in a message. */
    return arena_strndup(arena, part.ptr, strnlen(part.ptr, part.len));
}

static Meta__Quantity quantity_of(const char *text)
{
    Meta__Quantity quantity = META__QUANTITY__INIT;
    quantity.string = (char *)(uintptr_t)text;
    return quantity;
}

static bool check_one(const char *text, struct arena *arena)
{
    struct error *err = quantity_check(str_from(text));
    const char *canonical = quantity_canonical(text, arena);
    ASSERT((err == NULL) == (canonical != NULL));
    error_ignore(err, "most inputs are no quantities");
    if (!canonical)
        return false;
    const char *again = quantity_canonical(canonical, arena);
    Meta__Quantity a = quantity_of(text), b = quantity_of(canonical);
    const char *settled = again ? quantity_canonical(again, arena) : NULL;
    ASSERT(again && text_eq(again, settled));
    ASSERT(quantity_compare(&a, &b) == 0);
    ASSERT(quantity_value(&a) == quantity_value(&b));
    ASSERT(quantity_milli_value(&a) == quantity_milli_value(&b));
    ASSERT(quantity_is_zero(&a) == quantity_is_zero(&b));
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct str rest = {.ptr = (const char *)data, .len = size}, first, second;
    if (!str_split_next(&rest, '\n', &first))
        return 0;
    const char *x = text_of(first, arena);
    bool is_good = check_one(x, arena);
    if (!is_good || !str_split_next(&rest, '\n', &second))
        return 0;
    const char *y = text_of(second, arena);
    if (!check_one(y, arena))
        return 0;
    Meta__Quantity a = quantity_of(x), b = quantity_of(y);
    int order = quantity_compare(&a, &b);
    ASSERT(order == -quantity_compare(&b, &a));
    ASSERT(order > 0 || quantity_value(&a) <= quantity_value(&b));
    ASSERT(order < 0 || quantity_milli_value(&a) >= quantity_milli_value(&b));
    return 0;
}
