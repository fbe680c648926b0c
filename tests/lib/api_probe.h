/*
 * What the files of api_probe know of each other: the process, its commands, the lines it writes.
 * tests/lib/api_probe.c has the manual. Loop thread.
 */
#pragma once

#include "kube/api_internal.h"
#include "kube/event_recorder.h"
#include "kube/lease_keeper.h"
#include "kube/object_watch.h"
#include "kube/reflector.h"
#include "kube/token_cache.h"
#include "wire/json.h"

#define LINE_MAX_BYTES (16 * MiB)

struct probe {
    struct loop *loop;
    struct work_pool *pool;
    struct api_transport *transport;
    struct api_client *main, *heartbeat, *json, *events;
    struct event_recorder *recorder;
    struct lease_keeper *lease; /* NULL: not started */
    struct token_cache *tokens;
    struct object_watch *config_maps, *secrets;
    struct task *tasks;
    struct loop_io *input;
    struct buf pending; /* of the input: an incomplete line */
};

/** Carries out the command in @text, a JSON object. */
void probe_obey(struct probe *probe, struct str text);
/** Ends, in silence, what commands have begun and nobody has ended. */
void probe_end_tasks(struct probe *probe);
/* For the managers of Secrets and ConfigMaps; @ctx is the probe. */
void on_secret_changed(void *ctx, const char *namespace_, const char *name);
void on_config_map_changed(void *ctx, const char *namespace_, const char *name);

/** From now on the clocks are so much further; negative: back. */
void clocks_jump(int64_t wall_ns, int64_t suspended_for_ns);

/* --- lines: begin, members, end --- */

struct line {
    struct buf text;
    struct json_writer writer;
};

void line_begin(struct line *line, const char *id, const char *what);
/** NULL leaves it out. */
void line_text(struct line *line, const char *key, const char *value);
void line_integer(struct line *line, const char *key, int64_t value);
void line_object(struct line *line, const struct kube_kind *kind, const ProtobufCMessage *object);
/** NULL leaves it out. */
void line_error(struct line *line, const struct error *err);
/** Writes the line to standard output, and releases it. */
void line_end(struct line *line);

/** A whole line. */
void say(const char *id, const char *what);
void say_failed(const char *id, struct error *err_owned);
