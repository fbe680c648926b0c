/*
 * What a request for exec, attach, port-forward or run asks for, in whose protocol, and what the
 * runtime's streaming server is asked in turn (spec server.md §2.4-2.8). Pure. Any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "wire/channels.h"
#include "wire/http.h"

/** Which of a command's streams are wanted; a terminal has no error stream of its own. */
struct streaming_switches {
    bool input, output, error, tty;
};

/** INVALID_ARGUMENT, with a text for the client: none is wanted. */
MUST_CHECK struct error *streaming_parse_switches(const struct http_target *target,
                                                  struct streaming_switches *ret);

struct streaming_ports {
    int32_t *items;
    size_t count;
};

/** The parameters `port`, each one or more numbers separated by commas, into @arena.
 * INVALID_ARGUMENT: there is none, or one is no port. */
MUST_CHECK struct error *streaming_parse_ports(const struct http_target *target,
                                               struct arena *arena, struct streaming_ports *ret);

struct streaming_command {
    const char **words;
    size_t count;
};

/** The parameters `command`, a word each; borrowed from @target, the array in @arena. */
void streaming_parse_command(const struct http_target *target, struct arena *arena,
                             struct streaming_command *ret);
/** The parameter `cmd` split at each blank, as it ever was: two blanks make an empty word. */
void streaming_split_command(const char *cmd, struct arena *arena, struct streaming_command *ret);

/** How the client wants to be spoken to. */
enum streaming_manner {
    STREAMING_PASSED_ON, /* the runtime's affair: SPDY, older WebSocket protocols */
    STREAMING_CHANNELS,  /* WebSocket v5.channel.k8s.io */
    STREAMING_TUNNEL,    /* SPDY/3.1 in a WebSocket */
};

#define STREAMING_TUNNEL_PREFIX "SPDY/3.1+"

/** What is ended here rather than at the runtime; the rest is passed on. */
enum streaming_manner streaming_manner_of(const struct http_fields *fields, bool is_port_forward);

struct streaming_protocols {
    const char **names;
    size_t count;
};

/** The SPDY protocols that may be spoken in the tunnel, in the order offered, in @arena; an empty
 * name is none. */
void streaming_tunnel_protocols(const struct http_fields *fields, struct arena *arena,
                                struct streaming_protocols *ret);

/** Where the runtime serves a stream; in the arena it was parsed into. */
struct streaming_url {
    const char *host, *authority; /* without and with brackets and port */
    uint16_t port;
    bool is_tls;
    const char *target; /* path and query */
};

/** Takes the URL apart that a call of the runtime returned; a missing scheme is http. INTERNAL for
 * what has no host or is no URL. */
MUST_CHECK struct error *streaming_url_parse(const char *url, struct arena *arena,
                                             struct streaming_url *ret);

/**
 * Appends the head of a request for @url that passes the client's on: its method and @fields (no
 * credentials must be left in them), without those about a body, and where it comes from
 * (@remote_address, as in struct http_request).
 */
void streaming_write_passed_head(struct buf *out, const char *method,
                                 const struct http_fields *fields, const struct streaming_url *url,
                                 const char *remote_address);
/** The same of a client's request for a tunnel: SPDY without the WebSocket around it. */
void streaming_write_tunnel_head(struct buf *out, const struct http_fields *fields,
                                 const struct streaming_protocols *protocols,
                                 const struct streaming_url *url, const char *remote_address);
/** The head of our own request for a command's streams at @url. */
void streaming_write_command_head(struct buf *out, const struct streaming_url *url);
