/*
 * Quoted texts as Go programs print them, for messages whose contract is what Go prints. Pure. Any
 * thread.
 */
#pragma once

#include "base/arena.h"

/** Decodes one UTF-8 sequence at @text[*at] and moves on; false for a byte that starts none (moves
 * by one, *ret_rune is that byte). */
bool go_next_rune(struct str text, size_t *at, uint32_t *ret_rune);

/**
 * @text as Go's %q prints it, in @arena. Beyond ASCII, code points that Unicode calls space,
 * control, format or private are escaped; unassigned ones, which Go escapes too, are not known
 * here.
 */
const char *go_quote(struct arena *arena, const char *text);
