/*
 * Local state that must survive the agent: small records under a key, one append-only file per kind
 * (DESIGN §6). Each record carries a checksum; a torn tail is cut, a damaged file is set aside with
 * a warning, and neither ever keeps the agent from starting. The file is rewritten compactly when
 * it has grown to twice its content. Nothing is written while nothing changes. Loop thread; writing
 * happens on a worker.
 *
 * File: the line "cubelet-journal 1 <kind>\n", then records:
 *   u32 length of the rest, u32 FNV-1a of the rest, u8 operation (1 put, 2 remove), u16 key length,
 * key, value All numbers little-endian.
 */
#pragma once

#include "base/buf.h"
#include "loop/work.h"

#define JOURNAL_KEY_MAX_BYTES 1024
#define JOURNAL_VALUE_MAX_BYTES (256 * KiB)
#define JOURNAL_FILE_MAX_BYTES (64 * MiB)

struct journal; /* opaque: one file */

/**
 * Opens "<dir>/<kind>" and reads it; a missing file is an empty one. Blocking: at start-up only.
 * Errors of reading are logged and leave an empty journal; the only error is a folder that cannot
 * be made.
 */
MUST_CHECK struct error *journal_open_blocking(struct work_pool *pool, const char *dir,
                                               const char *kind, struct journal **ret);
/** Writes what is unwritten (blocking, bounded by one write), then frees. NULL is fine. */
void journal_close(struct journal *journal);
DEFINE_AUTO(journal, struct journal *, journal_close)

/** Sets the value of @key (both copied). An equal value changes and writes nothing. */
void journal_put(struct journal *journal, const char *key, struct str value);
/** Removes @key; an unknown one is fine. */
void journal_remove(struct journal *journal, const char *key);
/** Visits all records in the order of their first put. */
void journal_visit(const struct journal *journal,
                   void (*visit)(void *ctx, const char *key, struct str value), void *ctx);
size_t journal_count(const struct journal *journal);

/* --- the format, on its own for tests and fuzzing: pure --- */

/** Appends the header, or one record (@value NULL ptr: remove), to @out. */
void journal_format_header(const char *kind, struct buf *out);
void journal_format_record(const char *key, struct str value, bool remove, struct buf *out);

enum journal_parse_end {
    JOURNAL_PARSE_OK,      /* all of it was read */
    JOURNAL_PARSE_TORN,    /* the tail is cut off: what came before is good */
    JOURNAL_PARSE_DAMAGED, /* not a journal of this kind, or a record whose checksum is wrong before
                              the tail */
};
/**
 * Reads @text; @on_record (value NULL ptr: remove) is called for each good record in order.
 * *ret_good is the number of bytes up to the end of the last good record.
 */
enum journal_parse_end journal_parse(struct str text, const char *kind,
                                     void (*on_record)(void *ctx, const char *key,
                                                       struct str value),
                                     void *ctx, size_t *ret_good);
