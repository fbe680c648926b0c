/*
 * Content negotiation: what a client wants back, and in what its body is written. Pure. Any thread.
 */
#pragma once

#include "kube/kinds.h"
#include "plane/failure.h"
#include "plane/table.h"
#include "wire/http.h"

enum reply_form {
    REPLY_OBJECT,
    REPLY_TABLE,   /* as=Table */
    REPLY_PARTIAL, /* as=PartialObjectMetadata or …List */
};

struct negotiated {
    enum kube_encoding encoding;
    enum reply_form form;
    enum table_include include; /* of REPLY_TABLE: includeObject */
    bool is_pretty;
    const char *content_type;       /* static; of a whole reply */
    const char *watch_content_type; /* static; of a watch's stream */
};

/**
 * What to answer for @accept (as sent; "" is anything), by the client's own order of preference. A
 * failure 406 when nothing of it is offered, 400 for an `includeObject` that is none. @user_agent
 * decides, as upstream, whether a person is looking and JSON is indented unless the target's
 * `pretty` says.
 */
MUST_CHECK Meta__Status *negotiate(const char *accept, const struct http_target *target,
                                   const char *user_agent, struct arena *arena,
                                   struct negotiated *ret);

/** The encoding of a body of @content_type ("" is JSON). A failure 415 for others. */
MUST_CHECK Meta__Status *negotiate_body(const char *content_type, struct arena *arena,
                                        enum kube_encoding *ret);

/** The type before any parameter, lower case: "application/json" of "Application/JSON;
 * charset=utf-8". In @arena. */
const char *media_type(const char *content_type, struct arena *arena);
