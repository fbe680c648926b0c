/* Shared inside the cli room: the commands, and what they have in common. The client process only.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "cli/cli_args.h"
#include "cli/pod_target.h"
#include "wire/doc.h"

#include "core.pb-c.h"

/* Each carries out one command; what it prints goes to standard output. */
MUST_CHECK struct error *cmd_pods(const struct cli_options *options);
MUST_CHECK struct error *cmd_status(const struct cli_options *options);
MUST_CHECK struct error *cmd_logs(const struct cli_options *options);
MUST_CHECK struct error *cmd_events(const struct cli_options *options);
MUST_CHECK struct error *cmd_top(const struct cli_options *options);
MUST_CHECK struct error *cmd_why(const struct cli_options *options);
/** Exec and attach. *ret_code: that of the command, once it has ended. */
MUST_CHECK struct error *cmd_exec(const struct cli_options *options, int *ret_code);

/** Writes to @fd at once. CANCELLED when nobody reads it any more. */
MUST_CHECK struct error *cli_write(int fd, struct str text);
/** The same to standard output. */
MUST_CHECK struct error *cli_print(struct str text);
/** Does nothing for @ns. */
void cli_pause(int64_t ns);
/** Prints the JSON @text indented, with the items of namespace @namespace only (NULL: all; also
 * when there are none). */
MUST_CHECK struct error *cli_print_json(struct str text, const char *namespace);
/** Parses a reply that lives in @arena. */
MUST_CHECK struct error *cli_parse_reply(struct str text, struct arena *arena,
                                         const struct doc_node **ret);

/** The namespace to show, or NULL for all. */
const char *cli_namespace_filter(const struct cli_options *options);

/** What a command is joined with; a terminal has no standard error of its own. */
struct exec_switches {
    bool input, tty;
};

/** GET /pods. */
MUST_CHECK struct error *cli_get_pods(const struct cli_options *options, struct arena *arena,
                                      Core__PodList **ret);
/** Asks for the pods and finds the one (in namespace @namespace, NULL: any) that the command is
 * about. Its texts live in @arena. Errors also as pod_target_find(). */
MUST_CHECK struct error *cli_find_pod(const struct cli_options *options, const char *namespace,
                                      struct arena *arena, struct pod_target *ret);
/** The same with the container, of the namespace that is given or else default; tells on standard
 * error which container was chosen if there was a choice. */
MUST_CHECK struct error *cli_find_container(const struct cli_options *options, struct arena *arena,
                                            struct pod_target *ret);
/** "<path>?namespace=…&pod=…" for the namespace and the pod that the command is about, which is
 * looked up first; all of them when it names none. Errors as cli_find_pod(). */
MUST_CHECK struct error *cli_add_choice(const struct cli_options *options, const char *path,
                                        struct buf *out);
/** GET @target as it came, indented, to standard output. */
MUST_CHECK struct error *cli_print_reply(const struct cli_options *options, const char *target);
/** GET /events at @target. */
MUST_CHECK struct error *cli_get_events(const struct cli_options *options, const char *target,
                                        struct arena *arena, const Core__EventList **ret);
/** The table of @list (pods of @namespace; NULL: all) as kubectl get pods prints it. */
void cli_render_pods(const Core__PodList *list, const char *namespace, bool wide,
                     int64_t now_wall_ns, struct buf *out);
/** "pod/web" a line. */
void cli_render_pod_names(const Core__PodList *list, const char *namespace, struct buf *out);
/** The table of @list, oldest first, with the namespace when @with_namespace. */
void cli_render_events(const Core__EventList *list, bool with_namespace, int64_t now_wall_ns,
                       struct buf *out);
/** The table of what the pods of @why (reply of GET /why) wait for; nothing when none waits. */
void cli_render_why(const struct doc_node *why, bool with_namespace, int64_t now_wall_ns,
                    struct buf *out);
/** The reply of GET /status for people. */
void cli_render_status(const struct doc_node *status, struct buf *out);
/** The path and query of a request for logs. */
void cli_add_logs_target(const struct cli_options *options, const struct pod_target *target,
                         struct buf *out);
/** The path and query of a request for exec or attach. */
void cli_add_exec_target(const struct cli_options *options, const struct pod_target *target,
                         const struct exec_switches *switches, struct buf *out);
/** The table of the pods (or their containers, or the node) of @summary (spec server.md §4.1), as
 * kubectl top prints it; nothing when there are no pods. */
void cli_render_top(const struct doc_node *summary, const struct cli_options *options,
                    struct buf *out);
