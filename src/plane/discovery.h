/*
 * Discovery: what the server serves, from the table of resources. /api, /apis, /api/v1,
 * /apis/<group>/<version>, in the plain form and the aggregated one (APIGroupDiscoveryList, v2)
 * that newer clients ask for; /version and the paths at the root. Pure. Any thread.
 */
#pragma once

#include "base/buf.h"
#include "plane/resource.h"
#include "wire/http.h"

/* The release of Kubernetes whose API is offered. */
#define DISCOVERY_MAJOR "1"
#define DISCOVERY_MINOR "36"
#define DISCOVERY_PREVIOUS_MINOR "35" /* what objects and clients must still be able to say */
#define DISCOVERY_GIT_VERSION "v1.36.2+cubelet." CUBELET_VERSION

/** What is sent: a body with its type and a code. */
struct discovery_reply {
    unsigned code;
    const char *content_type; /* static */
    struct buf body;
};

/** The kind of the body of a subresource: "PodExecOptions", "Scale", or the resource's own. */
const char *discovery_body_kind(const struct resource *resource,
                                const struct subresource *subresource);

/**
 * Answers /api… and /apis… by @accept (JSON, YAML, protobuf, aggregated JSON). @server_address may
 * be a URL; its host and port are said. ret->body is initialised by the caller, who releases it
 * whatever happens. Failures: 404 for groups and versions that are not there, 406 for types that
 * are not offered.
 */
MUST_CHECK Meta__Status *discovery_reply(const struct http_target *target, const char *accept,
                                         const char *server_address, struct arena *arena,
                                         struct discovery_reply *ret);
/** version.Info as JSON: gitVersion "v1.36.2+cubelet.<version>", major, minor, platform. */
void discovery_version(struct buf *out);
/** {"paths": […]} */
void discovery_paths(struct buf *out);
