/*
 * The strict file format behind env[].valueFrom.fileKeyRef: lines of NAME='value', where a value
 * may span lines. Pure. Any thread. The content is written by a container and so is hostile.
 */
#pragma once

#include "base/arena.h"

#define ENV_FILE_LINE_MAX (64 * KiB)

/**
 * Finds @key in @text: *ret_value is in @arena, or NULL when no line names it. The first match wins
 * and what follows is not looked at. INVALID_ARGUMENT when a line before is malformed or longer
 * than ENV_FILE_LINE_MAX.
 */
MUST_CHECK struct error *env_file_get(struct str text, const char *key, struct arena *arena,
                                      const char **ret_value);
