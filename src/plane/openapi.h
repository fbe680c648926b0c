/*
 * OpenAPI documents made from the message descriptors and the table of resources: v2 (JSON and
 * gnostic's protobuf, which kubectl up to 1.26 asks for) and v3 (an index and one document a group
 * version), for `kubectl explain`, `apply` and `create --validate`. Made when asked for and not
 * kept. Pure. Any thread.
 */
#pragma once

#include "base/buf.h"
#include "plane/discovery.h"

/**
 * Answers /openapi/v2 and /openapi/v3… by @accept; v3 is offered in JSON only. ret->body is
 * initialised by the caller, who releases it whatever happens. Failures: 404 for documents that are
 * not there, 406 for types that are not offered.
 */
MUST_CHECK Meta__Status *openapi_reply(const struct http_target *target, const char *accept,
                                       struct arena *arena, struct discovery_reply *ret);
