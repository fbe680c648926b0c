/*
 * Resource quantities: "100m", "1.5", "64Mi", "1e3". Values are exact decimals, also beyond int64;
 * what leaves as int64 saturates. Pure. Any thread. Source of the grammar:
 * apimachinery/pkg/api/resource.
 *
 * Where we differ from upstream on purpose: a number of more than 256 digits or an exponent of more
 * than 8 is refused, and amounts beyond 999E keep their suffix ("1000E") where upstream drops it.
 */
#pragma once

#include "base/arena.h"

#include "quantity.pb-c.h"

/**
 * Parses @text, which has no blanks around it. INVALID_ARGUMENT with upstream's words: "quantities
 * must match the regular expression …", "unable to parse numeric part of quantity", "unable to
 * parse quantity's suffix".
 */
MUST_CHECK struct error *quantity_check(struct str text);

/** Value rounded away from zero to whole units (Go Value()); 0 for NULL, empty or invalid text.
 * Saturates. */
int64_t quantity_value(const Meta__Quantity *quantity);
/** Thousandths, rounded likewise (Go MilliValue()). Saturates. */
int64_t quantity_milli_value(const Meta__Quantity *quantity);
/** -1, 0, 1, exact also beyond int64. NULL, empty and invalid text count as 0. */
int quantity_compare(const Meta__Quantity *a, const Meta__Quantity *b);
bool quantity_is_zero(const Meta__Quantity *quantity);

/**
 * Canonical text as the API server would store it ("0.5" → "500m", "1024Mi" → "1Gi"); owned by
 * @arena. NULL when
 * @text is no quantity. Like upstream it leaves some texts alone that could be shorter ("+1",
 * "1.500").
 */
const char *quantity_canonical(const char *text, struct arena *arena);
/** From whole numbers: "250m" / "1", and "64Mi"-style binary suffixes when @binary. */
const char *quantity_from_milli(int64_t millis, struct arena *arena);
const char *quantity_from_value(int64_t value, bool binary, struct arena *arena);
