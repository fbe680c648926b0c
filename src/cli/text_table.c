#include "cli/text_table.h"

#define GAP 3

/* Continuation bytes of UTF-8 take no column. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (const char *c = text; *c != '\0'; c++)
        width += ((unsigned char)*c & 0xC0) != 0x80;
    return width;
}

void text_table_measure(struct text_table *table, const char *const *cells)
{
    for (size_t i = 0; i < table->columns; i++) {
        size_t width = width_of(cells[i]);
        if (width > table->widths[i])
            table->widths[i] = width;
    }
}

/* C0 and DEL, and C1 as UTF-8 writes it (U+009B begins an escape sequence, too). */
static bool is_control(const char *c)
{
    unsigned char byte = (unsigned char)c[0], next = byte ? (unsigned char)c[1] : 0;
    return byte < ' ' || byte == 0x7F || (byte == 0xC2 && next >= 0x80 && next < 0xA0);
}

/* Texts of pods may hold line ends and escape sequences: a terminal gets neither. */
static void add_cell(const char *text, struct buf *out)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (!is_control(c)) {
            buf_add_char(out, *c);
            continue;
        }
        buf_add_char(out, ' ');
        c += (unsigned char)*c == 0xC2; /* both bytes are one column */
    }
}

void text_table_add(const struct text_table *table, const char *const *cells, struct buf *out)
{
    for (size_t i = 0; i < table->columns; i++) {
        add_cell(cells[i], out);
        if (i + 1 == table->columns)
            break;
        for (size_t at = width_of(cells[i]); at < table->widths[i] + GAP; at++)
            buf_add_char(out, ' ');
    }
    buf_add_char(out, '\n');
}

/*
 * The rows of k8s.io/apimachinery/pkg/util/duration.HumanDuration: below @below_s the age is told
 * in @unit, and in
 * @rest_unit as well when there is one and something is left.
 */
#define MINUTE INT64_C(60)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define YEAR (365 * DAY)
static const struct {
    int64_t below_s, unit_s;
    char unit;
    int64_t rest_s; /* 0: no second part */
    char rest_unit;
} age_rows[] = {
    {2 * MINUTE, 1, 's', 0, 0},    {10 * MINUTE, MINUTE, 'm', 1, 's'},
    {3 * HOUR, MINUTE, 'm', 0, 0}, {8 * HOUR, HOUR, 'h', MINUTE, 'm'},
    {2 * DAY, HOUR, 'h', 0, 0},    {8 * DAY, DAY, 'd', HOUR, 'h'},
    {2 * YEAR, DAY, 'd', 0, 0},    {8 * YEAR, YEAR, 'y', DAY, 'd'},
    {INT64_MAX, YEAR, 'y', 0, 0},
};

const char *text_age(int64_t age_ns, struct arena *arena)
{
    int64_t age_s = age_ns / NS_PER_SEC;
    if (age_s < -1)
        return "<invalid>";
    age_s = max_i64(age_s, 0);
    size_t row = 0;
    while (age_s >= age_rows[row].below_s)
        row++;
    int64_t rest = age_rows[row].rest_s ? age_s % age_rows[row].unit_s / age_rows[row].rest_s : 0;
    long long count = age_s / age_rows[row].unit_s;
    if (rest == 0)
        return arena_printf(arena, "%lld%c", count, age_rows[row].unit);
    return arena_printf(arena, "%lld%c%lld%c", count, age_rows[row].unit, (long long)rest,
                        age_rows[row].rest_unit);
}
