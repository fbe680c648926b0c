/*
 * A container with the right to mount writes part of the mount table. Property: what the parser
 * accepts can be written the kernel's way and is read back as the same mount; paths come out
 * absolute.
 */
#include "volume/mountinfo.h"

#include "base/buf.h"

#include <inttypes.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_escaped(struct buf *out, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == ' ' || *c == '\t' || *c == '\n' || *c == '\\')
            buf_printf(out, "\\%03o", (unsigned)(unsigned char)*c);
        else
            buf_add_char(out, *c);
    }
}

static void write_line(struct buf *out, const struct mountinfo_entry *entry)
{
    buf_printf(out, "%" PRId64 " %" PRId64 " %" PRId64 ":%" PRId64 " ", entry->id, entry->parent_id,
               entry->major, entry->minor);
    add_escaped(out, entry->root);
    buf_add_char(out, ' ');
    add_escaped(out, entry->mount_point);
    buf_add_char(out, ' ');
    add_escaped(out, entry->options);
    buf_add_text(out, entry->shared ? " shared:1 - " : " - ");
    add_escaped(out, entry->fs_type);
    buf_add_char(out, ' ');
    add_escaped(out, entry->source);
    buf_add_char(out, ' ');
    add_escaped(out, entry->super_options);
}

static void check_same(const struct mountinfo_entry *a, const struct mountinfo_entry *b)
{
    ASSERT(a->id == b->id && a->parent_id == b->parent_id);
    ASSERT(a->major == b->major && a->minor == b->minor);
    ASSERT(a->shared == b->shared);
    ASSERT(text_eq(a->root, b->root));
    ASSERT(text_eq(a->options, b->options));
    ASSERT(text_eq(a->fs_type, b->fs_type));
    ASSERT(text_eq(a->source, b->source));
    ASSERT(text_eq(a->super_options, b->super_options));
    /* Written anew, a path that ends in the kernel's mark loses one more of them. */
    ASSERT(text_has_prefix(a->mount_point, b->mount_point));
}

static void check_entry(const struct mountinfo_entry *entry, struct arena *arena)
{
    ASSERT(entry->mount_point[0] == '/');
    ASSERT(entry->id >= 0 && entry->parent_id >= 0 && entry->major >= 0 && entry->minor >= 0);
    struct buf line;
    struct mountinfo_entry again;
    buf_init(&line, 64 * MiB);
    write_line(&line, entry);
    AUTO(error) struct error *err = mountinfo_parse_line(buf_str(&line), arena, &again);
    ASSERT(!err);
    check_same(entry, &again);
    buf_done(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct mountinfo_table table;
    struct str text = {.ptr = (const char *)data, .len = size};
    AUTO(error) struct error *err = mountinfo_parse(text, arena, &table);
    for (size_t i = 0; !err && i < table.count; i++) {
        check_entry(&table.entries[i], arena);
        ASSERT(mountinfo_find(&table, table.entries[i].mount_point) != NULL);
    }
    return 0;
}
