/*
 * Telling JSON that needs no rewriting: valid, without a blank, without escapes other than \" and
 * \\. A check in one pass, where parsing and writing it anew would take a tree. Pure. Any thread.
 */
#pragma once

#include "base/base.h"

/**
 * True when @text is one JSON value that a compact writer would write just like this. False says
 * nothing: the text may be valid in another form, or none.
 */
bool json_is_compact(struct str text);
