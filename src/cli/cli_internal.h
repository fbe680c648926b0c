/* Shared inside the cli room: the commands, and what they have in common. The client process only.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "cli/cli_args.h"
#include "wire/doc.h"

#include "core.pb-c.h"

/* Each carries out one command; what it prints goes to standard output. */
MUST_CHECK struct error *cmd_pods(const struct cli_options *options);
MUST_CHECK struct error *cmd_status(const struct cli_options *options);
MUST_CHECK struct error *cmd_logs(const struct cli_options *options);
MUST_CHECK struct error *cmd_events(const struct cli_options *options);

/** Writes to standard output at once. CANCELLED when nobody reads it any more. */
MUST_CHECK struct error *cli_print(struct str text);
/** Prints the JSON @text indented, with the items of namespace @namespace only (NULL: all; also
 * when there are none). */
MUST_CHECK struct error *cli_print_json(struct str text, const char *namespace);
/** Parses a reply that lives in @arena. */
MUST_CHECK struct error *cli_parse_reply(struct str text, struct arena *arena,
                                         const struct doc_node **ret);

/** The namespace to show, or NULL for all. */
const char *cli_namespace_filter(const struct cli_options *options);

/** GET /pods. */
MUST_CHECK struct error *cli_get_pods(const struct cli_options *options, struct arena *arena,
                                      Core__PodList **ret);
/**
 * The full name of pod @name of @namespace (NULL: any) in @list: the name itself, or with "-<node>"
 * behind, as static pods are called; @name itself when there is neither.
 */
const char *cli_full_pod_name(const Core__PodList *list, const char *namespace, const char *name);

/** The table of @list (pods of @namespace; NULL: all) as kubectl get pods prints it. */
void cli_render_pods(const Core__PodList *list, const char *namespace, bool wide,
                     int64_t now_wall_ns, struct buf *out);
/** "pod/web" a line. */
void cli_render_pod_names(const Core__PodList *list, const char *namespace, struct buf *out);
/** The table of @list, oldest first, with the namespace when @with_namespace. */
void cli_render_events(const Core__EventList *list, bool with_namespace, int64_t now_wall_ns,
                       struct buf *out);
/** The reply of GET /status for people. */
void cli_render_status(const struct doc_node *status, struct buf *out);
/** The path and query of a request for logs. */
void cli_add_logs_target(const struct cli_options *options, const char *pod, struct buf *out);
