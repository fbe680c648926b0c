/*
 * Where one JSON object ends in a stream of them, without parsing: brackets are counted, strings
 * skipped. Bytes may come in pieces. Pure. Any thread.
 */
#pragma once

#include "base/base.h"

/** Zeroed before the first byte; the same struct goes on with the next piece. */
struct json_scan {
    size_t depth; /* open brackets; 0 between objects */
    bool in_string;
    bool after_backslash;
};

enum json_scan_end {
    JSON_SCAN_OBJECT, /* an object ends; the scan is ready for the next */
    JSON_SCAN_MORE,   /* the bytes end first */
    JSON_SCAN_BROKEN, /* something other than white space stands before an object */
};

/** Reads from the front of @bytes up to the end of one object, or all. *ret_used: bytes read. */
enum json_scan_end json_scan_next(struct json_scan *scan, struct str bytes, size_t *ret_used);
