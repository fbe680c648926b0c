#include "kube/json_scan.h"

/* One byte inside a string; the closing quote ends it. */
static void scan_string_byte(struct json_scan *scan, char c)
{
    if (scan->after_backslash)
        scan->after_backslash = false;
    else if (c == '\\')
        scan->after_backslash = true;
    else if (c == '"')
        scan->in_string = false;
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

enum json_scan_end json_scan_next(struct json_scan *scan, struct str bytes, size_t *ret_used)
{
    for (size_t i = 0; i < bytes.len; i++) {
        char c = bytes.ptr[i];
        if (scan->in_string) {
            scan_string_byte(scan, c);
        } else if (scan->depth == 0 && c != '{') {
            if (is_white(c))
                continue;
            *ret_used = i;
            return JSON_SCAN_BROKEN;
        } else if (c == '"') {
            scan->in_string = true;
        } else if (c == '{' || c == '[') {
            scan->depth++;
        } else if ((c == '}' || c == ']') && --scan->depth == 0) {
            *ret_used = i + 1;
            return JSON_SCAN_OBJECT;
        }
    }
    *ret_used = bytes.len;
    return JSON_SCAN_MORE;
}
