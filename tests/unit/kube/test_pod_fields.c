/*
 * docs/pod-fields.md against the messages it speaks of and the tests it names: every field that a
 * pod's spec can hold has one row, no row is about anything else, and what is said to prove a row
 * exists. Messages of volume sources are left out: each source is one row.
 */
#include "kube/codec_internal.h"
#include "tests/lib/test.h"

#include "base/fd.h"
#include "base/path.h"

#include "core.pb-c.h"

#include <unistd.h>

#define ROWS_MAX 1024
#define MESSAGES_MAX 256
#define FILE_MAX_BYTES (4 * MiB)

struct row {
    const char *message, *field, *state, *proofs;
    unsigned line;
    bool is_claimed;
};

struct table {
    struct arena *arena;
    const char *root; /* of the sources */
    struct row rows[ROWS_MAX];
    size_t count;
    const ProtobufCMessageDescriptor *seen[MESSAGES_MAX];
    size_t n_seen;
    size_t n_faults;
};

#define fault(table, ...)                                                                          \
    do {                                                                                           \
        print_error(__VA_ARGS__);                                                                  \
        print_error("\n");                                                                         \
        (table)->n_faults++;                                                                       \
    } while (0)

/* --- the document --- */

static const char *read_text(struct table *table, const char *name)
{
    AUTO(free) char *path = path_join(table->root, name);
    struct buf text;
    buf_init(&text, FILE_MAX_BYTES);
    struct error *err = fd_read_file_blocking(path, &text);
    error_ignore(err, "the caller knows what is wrong");
    const char *copy = err ? NULL : arena_strdup(table->arena, buf_text(&text));
    buf_done(&text);
    return copy;
}

/* The next cell of a table's line, without blanks and back quotes around it. */
static const char *next_cell(struct table *table, struct str *rest)
{
    struct str cell;
    if (!str_split_next(rest, '|', &cell))
        return "";
    cell = str_trim(cell);
    while (cell.len > 1 && cell.ptr[0] == '`' && cell.ptr[cell.len - 1] == '`')
        cell = (struct str){.ptr = cell.ptr + 1, .len = cell.len - 2};
    return arena_strndup(table->arena, cell.ptr, cell.len);
}

static void add_row(struct table *table, struct str line, const char *message, unsigned number)
{
    struct str first;
    if (!str_split_next(&line, '|', &first))
        return;
    const char *field = next_cell(table, &line);
    if (text_eq(field, "Field") || text_has_prefix(field, "---"))
        return;
    assert_true(table->count < ROWS_MAX);
    struct row *row = &table->rows[table->count++];
    *row = (struct row){.message = message, .field = field, .line = number};
    row->state = next_cell(table, &line);
    (void)next_cell(table, &line); /* what happens, for people */
    row->proofs = next_cell(table, &line);
}

static void read_table(struct table *table)
{
    const char *text = read_text(table, "docs/pod-fields.md"), *message = NULL;
    assert_non_null(text);
    struct str rest = str_from(text), line;
    for (unsigned number = 1; str_split_next(&rest, '\n', &line); number++) {
        if (str_has_prefix(line, "## "))
            message = arena_strndup(table->arena, line.ptr + 3, line.len - 3);
        else if (message && str_has_prefix(line, "|"))
            add_row(table, line, message, number);
    }
}

static struct table table_read(void)
{
    const char *data = getenv("CUBELET_TEST_DATA");
    assert_non_null(data);
    struct table table = {.arena = arena_new(0)};
    AUTO(free) char *root = path_join(data, "../..");
    table.root = arena_strdup(table.arena, root);
    read_table(&table);
    return table;
}

static void table_finish(struct table *table)
{
    size_t n_faults = table->n_faults;
    arena_free(table->arena);
    if (n_faults > 0)
        fail_msg("%zu faults in docs/pod-fields.md", n_faults);
}

/* --- fields --- */

static void claim(struct table *table, const char *message, const char *field)
{
    size_t found = 0;
    for (size_t i = 0; i < table->count; i++) {
        struct row *row = &table->rows[i];
        if (!text_eq(row->message, message) || !text_eq(row->field, field))
            continue;
        row->is_claimed = true;
        if (++found > 1)
            fault(table, "line %u: %s.%s has a row already", row->line, message, field);
    }
    if (found == 0)
        fault(table, "%s.%s has no row", message, field);
}

static bool is_new(struct table *table, const ProtobufCMessageDescriptor *type)
{
    for (size_t i = 0; i < table->n_seen; i++) {
        if (table->seen[i] == type)
            return false;
    }
    assert_true(table->n_seen < MESSAGES_MAX);
    table->seen[table->n_seen++] = type;
    return true;
}

/* Claims the fields of @type as ones of @message; what they hold is left in table->seen. The
 * messages nest four deep at most. */
/* NOLINTNEXTLINE(misc-no-recursion) */
static void claim_fields(struct table *table, const ProtobufCMessageDescriptor *type,
                         const char *message, bool goes_on)
{
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        const ProtobufCMessageDescriptor *child =
            field->type == PROTOBUF_C_TYPE_MESSAGE ? field->descriptor : NULL;
        if (child && codec_is_inline(type, field)) {
            claim_fields(table, child, message, child != &core__volume_source__descriptor);
            continue;
        }
        char name[FIELD_NAME_SIZE];
        codec_json_name(type, field, name);
        claim(table, message, name);
        if (child && goes_on && !codec_is_map(type, field) &&
            codec_special_of(child) == CODEC_OBJECT && text_eq(child->package_name, "core"))
            (void)is_new(table, child);
    }
}

TEST_CASE(every_field_has_one_row_and_every_row_is_about_a_field)
{
    struct table table = table_read();
    (void)is_new(&table, &core__pod_spec__descriptor);
    (void)is_new(&table, &core__volume_projection__descriptor);
    for (size_t i = 0; i < table.n_seen; i++) {
        bool is_projection = table.seen[i] == &core__volume_projection__descriptor;
        claim_fields(&table, table.seen[i], table.seen[i]->short_name, !is_projection);
    }
    for (size_t i = 0; i < table.count; i++) {
        if (!table.rows[i].is_claimed)
            fault(&table, "line %u: there is no %s.%s", table.rows[i].line, table.rows[i].message,
                  table.rows[i].field);
    }
    assert_true(table.n_seen > 50); /* the walk went somewhere */
    table_finish(&table);
}

/* --- proofs --- */

/* "unit/pod/test_env.c" or "unit/pod/test_env.c: some_case" */
static void check_proof(struct table *table, const struct row *row, struct str proof)
{
    struct str file;
    struct str rest = str_trim(proof);
    if (rest.len == 0 || !str_split_next(&rest, ':', &file))
        return;
    const char *name = arena_strndup(table->arena, file.ptr, file.len);
    const char *text = read_text(table, arena_printf(table->arena, "tests/%s", name));
    if (!text) {
        fault(table, "line %u: there is no tests/%s", row->line, name);
        return;
    }
    rest = str_trim(rest);
    if (rest.len == 0) {
        fault(table, "line %u: tests/%s is named without a case", row->line, name);
        return;
    }
    bool is_python = text_has_prefix(name, "e2e/");
    const char *want = arena_printf(table->arena, "\n%s%.*s%s", is_python ? "def " : "TEST_CASE(",
                                    (int)rest.len, rest.ptr, is_python ? "(" : ")");
    if (!strstr(text, want))
        fault(table, "line %u: tests/%s has no case %.*s", row->line, name, (int)rest.len,
              rest.ptr);
}

TEST_CASE(every_state_is_known_and_every_proof_exists)
{
    static const struct {
        const char *name;
        bool needs_proof;
    } states[] = {{"works", true}, {"refused", true}, {"not yet", false}, {"ignored", false}};
    struct table table = table_read();
    for (size_t i = 0; i < table.count; i++) {
        const struct row *row = &table.rows[i];
        size_t state = 0;
        while (state < ARRAY_SIZE(states) && !text_eq(states[state].name, row->state))
            state++;
        if (state == ARRAY_SIZE(states)) {
            fault(&table, "line %u: %s.%s has no such state: %s", row->line, row->message,
                  row->field, row->state);
            continue;
        }
        if (states[state].needs_proof && row->proofs[0] == '\0')
            fault(&table, "line %u: nothing proves %s.%s", row->line, row->message, row->field);
        struct str rest = str_from(row->proofs), proof;
        while (str_split_next(&rest, ';', &proof))
            check_proof(&table, row, proof);
    }
    assert_true(table.count > 200);
    table_finish(&table);
}

TEST_MAIN(TEST(every_field_has_one_row_and_every_row_is_about_a_field),
          TEST(every_state_is_known_and_every_proof_exists))
