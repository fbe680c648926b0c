/*
 * Path texts. Lexical only: nothing here looks at the disk. Any thread.
 */
#pragma once

#include "base/base.h"

/** "a" + "b" → "a/b" with one slash between and the result cleaned as path_clean() does. Owned. */
char *path_join(const char *first, const char *second);
/** Several parts, ended by NULL. Owned. */
char *path_join_all(const char *first, ...) __attribute__((sentinel));
/** Removes double and trailing slashes, "." and ".." elements, as Go's path.Clean; "" → ".". Owned.
 */
char *path_clean(const char *path);
/** The part after the last slash; borrowed from @path. */
const char *path_base(const char *path);
/** Everything before the last slash ("/" for a top-level name, "." without one). Owned. */
char *path_dir(const char *path);
bool path_is_absolute(const char *path);
/** True when some element of @path is exactly "..". */
bool path_has_dotdot(const char *path);
/** True when @path is @root or lies below it; both cleaned. */
bool path_is_below(const char *path, const char *root);
