#include "server/zpages.h"

#include "base/time.h"
#include "wire/accept.h"
#include "wire/json.h"
#include "wire/yaml.h"

#include <time.h>

#define WARNING                                                                                    \
    "Warning: This endpoint is not meant to be machine parseable, has no formatting "              \
    "compatibility guarantees and is for debugging purposes only.\n"

/* --- what is wanted --- */

static bool names_page(const struct accept_clause *clause, const char *kind, bool *ret_is_old)
{
    struct str version = accept_param(clause, "v");
    *ret_is_old = str_eq_c(version, "v1alpha1");
    return str_eq_c(accept_param(clause, "as"), kind) &&
           str_eq_c(accept_param(clause, "g"), "config.k8s.io") &&
           (*ret_is_old || str_eq_c(version, "v1beta1"));
}

void zpage_negotiate(const char *accept, const char *kind, struct zpage_wish *ret)
{
    struct accept wanted;
    accept_parse(accept ? accept : "", &wanted);
    for (size_t i = 0; i < wanted.count; i++) {
        const struct accept_clause *clause = &wanted.clauses[i];
        bool is_old = false;
        if (str_eq_c(clause->type, "*/*") || accept_is(clause, "text/plain")) {
            *ret = (struct zpage_wish){.form = ZPAGE_TEXT};
            return;
        }
        if (!names_page(clause, kind, &is_old))
            continue;
        bool is_json = accept_is(clause, "application/json");
        if (!is_json && !accept_is(clause, "application/yaml"))
            continue;
        *ret =
            (struct zpage_wish){.form = is_json ? ZPAGE_JSON : ZPAGE_YAML, .is_deprecated = is_old};
        return;
    }
    *ret = (struct zpage_wish){.form = ZPAGE_NOT_ACCEPTABLE};
}

const char *zpage_content_type(enum zpage_form form)
{
    switch (form) {
    case ZPAGE_JSON:
        return "application/json";
    case ZPAGE_YAML:
        return "application/yaml";
    case ZPAGE_TEXT:
    case ZPAGE_NOT_ACCEPTABLE:
        break;
    }
    return "text/plain; charset=utf-8";
}

/* --- as an object --- */

static void write_field(struct doc_writer *writer, const char *key, const char *text)
{
    doc_write_key(writer, key);
    doc_write_text(writer, text);
}

static void write_type(struct doc_writer *writer, const char *kind, bool is_deprecated)
{
    write_field(writer, "kind", kind);
    write_field(writer, "apiVersion",
                is_deprecated ? "config.k8s.io/v1alpha1" : "config.k8s.io/v1beta1");
    doc_write_key(writer, "metadata");
    writer->ops->begin_object(writer);
    write_field(writer, "name", "kubelet");
    writer->ops->end_object(writer);
}

/* Calls @write with a writer of the wanted form. */
static void write_object(const struct zpage_wish *wish, struct buf *out,
                         void (*write)(struct doc_writer *writer, bool is_deprecated,
                                       const void *page),
                         const void *page)
{
    if (wish->form == ZPAGE_YAML) {
        struct yaml_writer yaml;
        yaml_writer_init(&yaml, out);
        write(&yaml.base, wish->is_deprecated, page);
        yaml_writer_done(&yaml);
        return;
    }
    struct json_writer json;
    json_writer_init(&json, out, false);
    write(&json.base, wish->is_deprecated, page);
    buf_add_char(out, '\n');
}

/* --- flags --- */

/* Of --name="value" the two parts. */
static bool split_flag(const char *item, struct str *ret_name, struct str *ret_value)
{
    struct str text = str_from(item);
    size_t at = str_find(text, '=');
    if (!str_has_prefix(text, "--") || text.len < at + 3)
        return false;
    *ret_name = (struct str){.ptr = text.ptr + 2, .len = at - 2};
    *ret_value = (struct str){.ptr = text.ptr + at + 2, .len = text.len - at - 3};
    return true;
}

static void write_flags_object(struct doc_writer *writer, bool is_deprecated, const void *page)
{
    const struct zpage_flags *flags = page;
    writer->ops->begin_object(writer);
    write_type(writer, "Flagz", is_deprecated);
    doc_write_key(writer, "flags");
    writer->ops->begin_object(writer);
    for (size_t i = 0; i < flags->count; i++) {
        struct str name, value;
        if (!split_flag(flags->items[i], &name, &value))
            continue;
        writer->ops->key(writer, name);
        writer->ops->string(writer, value);
    }
    writer->ops->end_object(writer);
    writer->ops->end_object(writer);
}

void zpage_write_flags(const struct zpage_wish *wish, const struct zpage_flags *flags,
                       const char *delimiter, struct buf *out)
{
    if (wish->form != ZPAGE_TEXT) {
        write_object(wish, out, write_flags_object, flags);
        return;
    }
    buf_add_text(out, "\nkubelet flagz\n" WARNING);
    for (size_t i = 0; i < flags->count; i++) {
        struct str name, value;
        if (split_flag(flags->items[i], &name, &value))
            buf_printf(out, "%.*s%s%.*s\n", STR_ARG(name), delimiter, STR_ARG(value));
    }
}

/* --- status --- */

static int64_t up_seconds(const struct zpage_status *status)
{
    return clamp_i64(sat_sub_i64(status->now_wall_ns, status->started_wall_ns), 0, INT64_MAX) /
           NS_PER_SEC;
}

static void write_status_object(struct doc_writer *writer, bool is_deprecated, const void *page)
{
    const struct zpage_status *status = page;
    char text[TIME_TEXT_SIZE];
    writer->ops->begin_object(writer);
    write_type(writer, "Statusz", is_deprecated);
    write_field(writer, "startTime", time_format_rfc3339(status->started_wall_ns, text));
    doc_write_key(writer, "uptimeSeconds");
    doc_write_integer(writer, up_seconds(status));
    write_field(writer, "goVersion", status->compiler);
    write_field(writer, "binaryVersion", status->binary_version);
    write_field(writer, "emulationVersion", status->emulation_version);
    doc_write_key(writer, "paths");
    writer->ops->begin_array(writer);
    for (const char *const *path = status->paths; *path; path++)
        doc_write_text(writer, *path);
    writer->ops->end_array(writer);
    writer->ops->end_object(writer);
}

/* "Sat Nov 21 03:06:53 UTC 2026", as date(1) has it. */
static void write_date(int64_t wall_ns, struct buf *out)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(wall_ns / NS_PER_SEC);
    struct tm tm = {.tm_mday = 1};
    (void)gmtime_r(&seconds, &tm);
    buf_printf(out, "%s %s %2d %02d:%02d:%02d UTC %d", days[tm.tm_wday], months[tm.tm_mon],
               tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_year + 1900);
}

void zpage_write_status(const struct zpage_wish *wish, const struct zpage_status *status,
                        const char *delimiter, struct buf *out)
{
    if (wish->form != ZPAGE_TEXT) {
        write_object(wish, out, write_status_object, status);
        return;
    }
    int64_t up_s = up_seconds(status);
    buf_add_text(out, "\nkubelet statusz\n" WARNING "\n");
    buf_printf(out, "Started%s", delimiter);
    write_date(status->started_wall_ns, out);
    buf_printf(out, "\nUp%s%lld hr %02lld min %02lld sec\n", delimiter, (long long)(up_s / 3600),
               (long long)(up_s / 60 % 60), (long long)(up_s % 60));
    buf_printf(out, "Go version%s%s\n", delimiter, status->compiler);
    buf_printf(out, "Binary version%s%s\n", delimiter, status->binary_version);
    buf_printf(out, "Emulation version%s%s\n", delimiter, status->emulation_version);
    buf_printf(out, "Paths%s", delimiter);
    for (const char *const *path = status->paths; *path; path++)
        buf_printf(out, "%s%s", path == status->paths ? "" : " ", *path);
    buf_add_char(out, '\n');
}
