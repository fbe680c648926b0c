/*
 * klog text lines:  I0828 10:15:02.000123   48211 worker.c:214] "Container started"
 * pod="default/web-0" Messages are constants; everything variable is a key, lowerCamelCase and
 * Kubernetes' own. Any thread; a line is one write(). base/ and wire/ do not log.
 */
#pragma once

#include "base/base.h"

enum log_severity {
    LOG_SEVERITY_INFO,
    LOG_SEVERITY_WARNING,
    LOG_SEVERITY_ERROR,
    LOG_SEVERITY_FATAL
};

/** One key=value. Made by the LOG_* macros below. */
struct log_field {
    const char *key; /* NULL ends a list */
    enum { LOG_FIELD_TEXT, LOG_FIELD_INT, LOG_FIELD_BOOL, LOG_FIELD_POD } kind;
    const char *text;      /* NULL prints as "" */
    const char *namespace; /* LOG_FIELD_POD: prints "namespace/text" quoted */
    int64_t number;
};

#define LOG_STR(name, value)                                                                       \
    ((struct log_field){.key = (name), .kind = LOG_FIELD_TEXT, .text = (value)})
#define LOG_INT(name, value)                                                                       \
    ((struct log_field){.key = (name), .kind = LOG_FIELD_INT, .number = (int64_t)(value)})
#define LOG_BOOL(name, value)                                                                      \
    ((struct log_field){.key = (name), .kind = LOG_FIELD_BOOL, .number = (value) ? 1 : 0})
#define LOG_POD(ns, pod_name)                                                                      \
    ((struct log_field){.key = "pod", .kind = LOG_FIELD_POD, .text = (pod_name), .namespace = (ns)})
#define LOG_ERR(err)                                                                               \
    ((struct log_field){                                                                           \
        .key = "err", .kind = LOG_FIELD_TEXT, .text = (err) ? (err)->message : NULL})

#define LOG_FIELDS_(...) ((const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.key = NULL}})
#define log_info(message, ...)                                                                     \
    log_write(LOG_SEVERITY_INFO, __FILE__, __LINE__, (message), LOG_FIELDS_(__VA_ARGS__))
#define log_warning(message, ...)                                                                  \
    log_write(LOG_SEVERITY_WARNING, __FILE__, __LINE__, (message), LOG_FIELDS_(__VA_ARGS__))
#define log_error(message, ...)                                                                    \
    log_write(LOG_SEVERITY_ERROR, __FILE__, __LINE__, (message), LOG_FIELDS_(__VA_ARGS__))
/** Info at verbosity @level: V(2) state changes, V(4) debugging, V(5) tracing. */
#define log_v(level, message, ...)                                                                 \
    (log_is_verbose(level)                                                                         \
         ? log_write(LOG_SEVERITY_INFO, __FILE__, __LINE__, (message), LOG_FIELDS_(__VA_ARGS__))   \
         : (void)0)

/** @fields is ended by a NULL key. */
void log_write(enum log_severity severity, const char *file, int line, const char *message,
               const struct log_field *fields);

bool log_is_verbose(int level);
/** Sets the sink, once at start: verbosity and descriptor (2 by default). */
void log_set_verbosity(int level);
void log_set_fd(int fd);
