#include "server/static_file.h"

#include <stdlib.h>

/* --- conditions: RFC 9110 §13, for a server without entity tags --- */

/* "" and absent are the same. */
static const char *get(const struct http_fields *fields, const char *name)
{
    const char *value = http_fields_get(fields, name);
    return value && value[0] != '\0' ? value : NULL;
}

/* True when the list names any tag; no tag of a client's is one of ours. */
static bool has_star(const char *list)
{
    return list[strspn(list, " \t,")] == '*';
}

/* A date that cannot be read is no condition. */
static bool is_later_than(int64_t modified_s, const char *date)
{
    int64_t date_s = 0;
    return date && modified_s != 0 && http_date_parse(date, &date_s) && modified_s > date_s;
}

static bool is_not_later_than(int64_t modified_s, const char *date)
{
    int64_t date_s = 0;
    return date && modified_s != 0 && http_date_parse(date, &date_s) && modified_s <= date_s;
}

bool static_folder_is_unchanged(const struct http_fields *fields, int64_t modified_s)
{
    return is_not_later_than(modified_s, get(fields, "if-modified-since"));
}

/* STATIC_WHOLE: go on. */
static enum static_outcome check(const struct http_fields *fields, const struct static_file *file)
{
    const char *match = get(fields, "if-match");
    if (match ? !has_star(match)
              : is_later_than(file->modified_s, get(fields, "if-unmodified-since")))
        return STATIC_FAILED;
    const char *none_match = get(fields, "if-none-match");
    bool is_unchanged =
        none_match ? has_star(none_match) : static_folder_is_unchanged(fields, file->modified_s);
    return is_unchanged ? STATIC_NOT_MODIFIED : STATIC_WHOLE;
}

/* If-Range: the part is wanted of the very file of then only. */
static bool is_part_wanted(const struct http_fields *fields, const struct static_file *file)
{
    const char *condition = get(fields, "if-range");
    int64_t date_s = 0;
    return !condition || (http_date_parse(condition, &date_s) && date_s == file->modified_s);
}

/* --- ranges --- */

struct range {
    int64_t from, length;
};

enum range_kind { RANGE_BAD, RANGE_BEHIND, RANGE_GOOD };

static bool parse_number(struct str text, int64_t *ret)
{
    AUTO(free) char *copy = str_dup(text);
    if (text.len > 0 && text.ptr[0] == '+') /* as Go reads it */
        return parse_i64(copy + 1, 0, INT64_MAX, ret) && copy[1] != '-';
    return parse_i64(copy, 0, INT64_MAX, ret);
}

/* "5-9", "5-", "-5" */
static enum range_kind parse_range(struct str text, int64_t size, struct range *ret)
{
    size_t dash = str_find(text, '-');
    if (dash == text.len)
        return RANGE_BAD;
    struct str first = str_trim((struct str){.ptr = text.ptr, .len = dash});
    struct str last =
        str_trim((struct str){.ptr = text.ptr + dash + 1, .len = text.len - dash - 1});
    int64_t from = 0, to = size - 1;
    if (first.len == 0) {
        int64_t suffix = 0;
        if (!parse_number(last, &suffix))
            return RANGE_BAD;
        ret->length = min_i64(suffix, size);
        ret->from = size - ret->length;
        return RANGE_GOOD;
    }
    if (!parse_number(first, &from))
        return RANGE_BAD;
    if (from >= size)
        return RANGE_BEHIND;
    if (last.len > 0 && (!parse_number(last, &to) || to < from))
        return RANGE_BAD;
    *ret = (struct range){.from = from, .length = min_i64(to, size - 1) - from + 1};
    return RANGE_GOOD;
}

static void decide_range(const char *field, int64_t size, struct static_answer *ret)
{
    struct str rest = str_from(field), piece;
    size_t good = 0, behind = 0;
    struct range range = {0};
    bool is_bad = !str_has_prefix(rest, "bytes=");
    if (!is_bad)
        rest = str_from(field + strlen("bytes="));
    while (!is_bad && str_split_next(&rest, ',', &piece)) {
        piece = str_trim(piece);
        enum range_kind kind = piece.len > 0 ? parse_range(piece, size, &range) : RANGE_GOOD;
        good += kind == RANGE_GOOD && piece.len > 0;
        behind += kind == RANGE_BEHIND;
        is_bad = kind == RANGE_BAD;
    }
    bool is_behind = !is_bad && good == 0 && behind > 0;
    if (is_bad || (is_behind && size > 0)) {
        ret->outcome = STATIC_OUT_OF_RANGE;
        ret->has_no_overlap = is_behind;
    } else if (good == 1) {
        ret->outcome = STATIC_PART;
        ret->from = range.from;
        ret->length = range.length;
    }
}

void static_file_decide(const struct http_fields *fields, const struct static_file *file,
                        struct static_answer *ret)
{
    *ret = (struct static_answer){.outcome = check(fields, file), .length = file->size};
    const char *range = get(fields, "range");
    if (ret->outcome == STATIC_WHOLE && range && is_part_wanted(fields, file))
        decide_range(range, file->size, ret);
}

/* --- folders --- */

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct static_entry *)a)->name, ((const struct static_entry *)b)->name);
}

/* A path as Go's URL prints it. */
static void write_link(const char *name, struct buf *out)
{
    if (strchr(name, ':')) /* or it would look like a scheme */
        buf_add_text(out, "./");
    for (const char *c = name; *c; c++) {
        if (strchr("$&+,/:;=@", *c))
            buf_add_char(out, *c);
        else
            http_escape(out, (struct str){.ptr = c, .len = 1});
    }
}

void static_folder_write(struct static_entry *entries, size_t count, struct buf *out)
{
    if (count > 0)
        qsort(entries, count, sizeof(*entries), compare);
    buf_add_text(out, "<!doctype html>\n"
                      "<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n");
    for (size_t i = 0; i < count; i++) {
        const char *slash = entries[i].is_folder ? "/" : "";
        buf_add_text(out, "<a href=\"");
        write_link(entries[i].name, out);
        buf_printf(out, "%s\">", slash);
        http_escape_html(out, str_from(entries[i].name));
        buf_printf(out, "%s</a>\n", slash);
    }
    buf_add_text(out, "</pre>\n");
}
