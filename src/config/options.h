/*
 * The table of options: one row for every flag and every KubeletConfiguration field, with type,
 * default, target and help text, so that they cannot drift apart. Inside the config room only.
 * Constant data.
 */
#pragma once

#include "base/base.h"

/** What a value looks like, on the command line and in the table's own defaults. */
enum option_type {
    OPTION_BOOL,
    OPTION_INT32,
    OPTION_INT64,
    OPTION_LEVEL, /* a verbosity, >= 0 */
    OPTION_TEXT,
    OPTION_IP,
    OPTION_DURATION,
    OPTION_QUANTITY,  /* into a meta.Quantity */
    OPTION_LIST,      /* a,b with CSV quoting */
    OPTION_MAP,       /* k=v,k=v */
    OPTION_SIGNALS,   /* k<v,k<v: eviction thresholds */
    OPTION_PAIR,      /* one k=v a use */
    OPTION_LABELS,    /* k=v or k, accumulating */
    OPTION_GATES,     /* k=true,k=false */
    OPTION_HEADERS,   /* name:value,name:value */
    OPTION_TAINTS,    /* key=value:Effect,… */
    OPTION_MEMORY,    /* N:type=quantity[,type=quantity][;N:…] */
    OPTION_VMODULE,   /* pattern=N,… */
    OPTION_VERSION,   /* true, false, raw or vX.Y.Z */
    OPTION_FILE_ONLY, /* a type that no flag has: a number with fraction, a list of numbers or
                         objects */
    OPTION_TYPE_COUNT
};

enum option_trait {
    OPTION_EFFECTIVE = 1 << 0, /* this build acts on it */
    OPTION_NULLABLE = 1 << 1,  /* an explicit zero is kept; otherwise zero means the default */
    OPTION_OLD_FILE = 1 << 2,  /* deprecated flag: belongs into the file */
    OPTION_OLD_STATS = 1 << 3, /* deprecated flag of the statistics library */
    OPTION_OLD_GC = 1 << 4,    /* deprecated flag: eviction replaces it */
    OPTION_OLD_GONE = 1 << 5,  /* deprecated flag without a successor */
};
#define OPTION_OLD (OPTION_OLD_FILE | OPTION_OLD_STATS | OPTION_OLD_GC | OPTION_OLD_GONE)

struct option {
    const char *flag; /* without dashes; NULL when only a file can set it */
    const char
        *path; /* the field below kubeletconfig.Options: "config.max_pods", "flags.root_dir" */
    enum option_type type;
    unsigned traits;        /* enum option_trait bits */
    const char *by_default; /* in the syntax of the type; NULL: absent */
    const char *help;
};

/** Rows with a flag first, sorted by it; then the others. */
extern const struct option option_table[];
extern const size_t option_count;

/** The row of a flag, "_" counting as "-"; NULL when there is none. */
const struct option *option_find_flag(struct str name);
/** The row whose field is @path; NULL when there is none. */
const struct option *option_find_path(const char *path);

/** True for a field of KubeletConfiguration, false for an instance flag. */
bool option_is_config(const struct option *option);
/** The word --help shows for the type; "" for booleans. */
const char *option_type_name(enum option_type type);
/** What "Flag --x has been deprecated, " ends with; NULL when the flag is not deprecated. */
const char *option_deprecation(const struct option *option);
