/*
 * One line is
 *
 *   36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue
 *
 * id, parent, device, root, mount point, options, any number of optional fields, "-", type, source,
 * super options. Fields are divided by exactly one blank, since a source may be empty: collapsing
 * blanks would let a container shift the fields behind it. Blank, tab, newline and backslash inside
 * a field are octal escapes.
 */
#include "volume/mountinfo.h"

#include "base/fd.h"
#include "base/path.h"
#include "volume/mounter.h"

#define TABLE_MAX_BYTES                                                                            \
    (32 * MiB)        /* 100 000 mounts, the kernel's own limit, of an ordinary length */
#define READ_TRIES 10 /* upstream: ConsistentRead */
#define NUMBER_MAX_CHARS 20
#define DELETED_SUFFIX "//deleted"

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

/* Anything but a full octal escape of one byte stays as it is: some file systems print bare
 * backslashes. */
static char *decode(struct str raw, struct arena *arena)
{
    char *text = arena_alloc(arena, raw.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        const char *at = raw.ptr + i;
        if (*at == '\\' && raw.len - i > 3 && at[1] >= '0' && at[1] <= '3' && is_octal(at[2]) &&
            is_octal(at[3])) {
            int byte = (at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0');
            if (byte != 0) {
                text[len++] = (char)byte;
                i += 3;
                continue;
            }
        }
        text[len++] = *at;
    }
    text[len] = '\0';
    return text;
}

static bool parse_number(struct str text, int64_t *ret)
{
    char digits[NUMBER_MAX_CHARS + 1] = "";
    if (text.len == 0 || text.len > NUMBER_MAX_CHARS)
        return false;
    memcpy(digits, text.ptr, text.len);
    return strlen(digits) == text.len && parse_i64(digits, 0, INT64_MAX, ret);
}

static bool parse_device(struct str text, struct mountinfo_entry *entry)
{
    size_t colon = str_find(text, ':');
    if (colon == text.len)
        return false;
    struct str major = {.ptr = text.ptr, .len = colon};
    struct str minor = {.ptr = text.ptr + colon + 1, .len = text.len - colon - 1};
    return parse_number(major, &entry->major) && parse_number(minor, &entry->minor);
}

static struct error *bad(struct str line, const char *what)
{
    return error_new(ERROR_INVALID_ARGUMENT, "mount table: %s in \"%.*s\"", what, STR_ARG(line));
}

/* A mount point that was removed in another namespace keeps its old name with a mark behind it. */
static char *without_deleted(char *path)
{
    if (text_has_suffix(path, DELETED_SUFFIX) && strlen(path) > strlen(DELETED_SUFFIX))
        path[strlen(path) - strlen(DELETED_SUFFIX)] = '\0';
    return path;
}

struct error *mountinfo_parse_line(struct str line, struct arena *arena,
                                   struct mountinfo_entry *ret)
{
    struct mountinfo_entry entry = {0};
    struct str rest = line, field[6], optional;
    if (line.len > 0 && memchr(line.ptr, '\0', line.len))
        return bad(line, "a NUL byte");
    for (size_t i = 0; i < ARRAY_SIZE(field); i++) {
        if (!str_split_next(&rest, ' ', &field[i]))
            return bad(line, "too few fields");
    }
    if (!parse_number(field[0], &entry.id) || !parse_number(field[1], &entry.parent_id))
        return bad(line, "a mount id that is no number");
    if (!parse_device(field[2], &entry))
        return bad(line, "a device that is not major:minor");
    if (field[4].len == 0 || field[4].ptr[0] != '/')
        return bad(line, "a mount point that is not absolute");

    bool separated = false;
    while (!separated && str_split_next(&rest, ' ', &optional)) {
        separated = str_eq_c(optional, "-");
        entry.shared = entry.shared || str_has_prefix(optional, "shared:");
    }
    struct str type, source;
    if (!separated || !str_split_next(&rest, ' ', &type) || !str_split_next(&rest, ' ', &source) ||
        !rest.ptr)
        return bad(line, "too few fields after the optional ones");

    entry.root = decode(field[3], arena);
    entry.mount_point = without_deleted(decode(field[4], arena));
    entry.options = decode(field[5], arena);
    entry.fs_type = decode(type, arena);
    entry.source = decode(source, arena);
    entry.super_options =
        decode(rest, arena); /* the last field: not every file system escapes it */
    *ret = entry;
    return NULL;
}

static size_t count_lines(struct str text)
{
    size_t count = 0;
    struct str line;
    while (str_split_next(&text, '\n', &line))
        count++;
    return count;
}

struct error *mountinfo_parse(struct str text, struct arena *arena, struct mountinfo_table *ret)
{
    struct mountinfo_table table = {0};
    table.entries = arena_calloc(arena, count_lines(text), sizeof(*table.entries));
    struct str rest = text, line;
    for (size_t number = 1; str_split_next(&rest, '\n', &line); number++) {
        if (line.len == 0)
            continue;
        struct error *err = mountinfo_parse_line(line, arena, &table.entries[table.count]);
        if (err)
            return error_wrap(err, "line %zu", number);
        table.count++;
    }
    *ret = table;
    return NULL;
}

static struct error *read_text(struct buf *text)
{
    buf_clear(text);
    return error_wrap(fd_read_file_blocking("/proc/self/mountinfo", text),
                      "reading the mount table");
}

static struct error *read_until_equal(struct buf *text)
{
    AUTO(buf) struct buf again = {0};
    buf_init(&again, TABLE_MAX_BYTES);
    for (size_t try = 0; try < READ_TRIES; try++) {
        struct error *err = read_text(&again);
        if (err)
            return err;
        if (str_eq(buf_str(text), buf_str(&again)))
            return NULL;
        buf_clear(text);
        buf_add_str(text, buf_str(&again));
    }
    return error_new(ERROR_UNAVAILABLE, "the mount table keeps changing: %d reads all differed",
                     READ_TRIES);
}

struct error *mountinfo_read_blocking(struct arena *arena, struct mountinfo_table *ret)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, TABLE_MAX_BYTES);
    struct error *err = read_text(&text);
    if (!err && !mounter_kernel_is_at_least(5, 8))
        err = read_until_equal(&text);
    if (!err)
        err = mountinfo_parse(buf_str(&text), arena, ret);
    return err;
}

const struct mountinfo_entry *mountinfo_find(const struct mountinfo_table *table, const char *path)
{
    for (size_t i = table->count; i > 0; i--) {
        if (text_eq(table->entries[i - 1].mount_point, path))
            return &table->entries[i - 1];
    }
    return NULL;
}

const struct mountinfo_entry *mountinfo_find_containing(const struct mountinfo_table *table,
                                                        const char *path)
{
    const struct mountinfo_entry *best = NULL;
    for (size_t i = 0; i < table->count; i++) {
        const struct mountinfo_entry *entry = &table->entries[i];
        if (path_is_below(path, entry->mount_point) &&
            (!best || strlen(entry->mount_point) >= strlen(best->mount_point)))
            best = entry;
    }
    return best;
}

const struct mountinfo_entry *mountinfo_find_below(const struct mountinfo_table *table,
                                                   const char *path)
{
    for (size_t i = table->count; i > 0; i--) {
        if (path_is_below(table->entries[i - 1].mount_point, path))
            return &table->entries[i - 1];
    }
    return NULL;
}

bool mountinfo_option(const char *options, const char *name, struct str *ret_value)
{
    struct str rest = str_from(options), option;
    while (str_split_next(&rest, ',', &option)) {
        size_t equals = str_find(option, '=');
        struct str key = {.ptr = option.ptr, .len = equals};
        if (!str_eq_c(key, name))
            continue;
        size_t value = equals < option.len ? equals + 1 : option.len;
        *ret_value = (struct str){.ptr = option.ptr + value, .len = option.len - value};
        return true;
    }
    return false;
}
