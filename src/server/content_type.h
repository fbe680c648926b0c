/*
 * What kind of file something is, by its name or else by its first bytes, as Go's file server tells
 * it without a table of the machine's. Pure. Any thread.
 */
#pragma once

#include "base/str.h"

#define CONTENT_SNIFF_BYTES 512 /* more of them are not looked at */

/** The media type for @name's extension in any case, or NULL. Static. */
const char *content_type_by_name(const char *name);
/** The media type of a file that begins with @bytes: "text/plain; charset=utf-8" when there is
 * nothing binary in them, at last "application/octet-stream". Static. */
const char *content_type_sniff(struct str bytes);
