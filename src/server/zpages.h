/*
 * /flagz and /statusz: what is asked for and the pages (spec server.md §2.3). Pure. Any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

enum zpage_form { ZPAGE_TEXT, ZPAGE_JSON, ZPAGE_YAML, ZPAGE_NOT_ACCEPTABLE };

struct zpage_wish {
    enum zpage_form form;
    bool is_deprecated; /* v1alpha1: the answer carries a warning */
};

/** What the Accept field @accept (NULL: none) wants of the page @kind, "Flagz" or "Statusz". */
void zpage_negotiate(const char *accept, const char *kind, struct zpage_wish *ret);

/** One flag as --name="value", as the configuration keeps them. */
struct zpage_flags {
    const char *const *items; /* sorted by name */
    size_t count;
};
/** Writes the page; @delimiter is used by the text form only. */
void zpage_write_flags(const struct zpage_wish *wish, const struct zpage_flags *flags,
                       const char *delimiter, struct buf *out);

struct zpage_status {
    int64_t started_wall_ns, now_wall_ns;
    const char *compiler;          /* stands where a kubelet names its Go */
    const char *binary_version;    /* "1.36.2+cubelet.0.1.0" */
    const char *emulation_version; /* "1.36" */
    const char *const *paths;      /* NULL-terminated */
};
void zpage_write_status(const struct zpage_wish *wish, const struct zpage_status *status,
                        const char *delimiter, struct buf *out);

/** "text/plain; charset=utf-8", "application/json", "application/yaml". Static. */
const char *zpage_content_type(enum zpage_form form);
