/*
 * The texts of a request: where the server is, the path of an object, the query, the method and
 * content type of a verb. Room-private. Pure. Any thread.
 */
#pragma once

#include "kube/api_client.h"

/** A server's URL taken apart. */
struct api_origin {
    bool is_tls;
    const char *host; /* without brackets */
    uint16_t port;
    const char *base_path; /* "" or "/prefix", no slash at the end */
    const char *text;      /* "https://10.0.0.1:6443", without the path; as it was written */
};

/**
 * Takes @server apart: http or https, port 80 or 443 unless given. Without a scheme it is https
 * when @prefers_tls, else http, as client-go has it. INVALID_ARGUMENT: `host must be a URL or a
 * host:port pair: "…"`.
 */
MUST_CHECK struct error *api_origin_parse(const char *server, bool prefers_tls, struct arena *arena,
                                          struct api_origin *ret);

/**
 * "/api/v1/namespaces/default/pods/web/status". INVALID_ARGUMENT with client-go's words for a name
 * or namespace that cannot stand in a path, for one that is missing, and for a kind that is no
 * resource.
 */
MUST_CHECK struct error *api_request_path(const struct api_request *request, struct arena *arena,
                                          const char **ret);

struct api_param {
    const char *name;
    const char *value; /* not yet escaped; NULL: leave it out */
};

/** @path, and after a '?' the parameters of @query (escaped; NULL: none) and @added in the order of
 * their names, as Go writes them. */
const char *api_target(const char *path, const char *query, const struct api_param *added,
                       size_t added_count, struct arena *arena);

const char *api_verb_method(enum api_verb verb); /* "GET", "POST", …; static */
/** "Get" for "GET": the word of Go's errors. */
const char *api_method_title(const char *method);
bool api_verb_is_read(enum api_verb verb); /* GET or LIST */
/** The content type of a patch verb's body; NULL for other verbs. Static. */
const char *api_verb_patch_type(enum api_verb verb);

/** "pods", "leases.coordination.k8s.io": the resource for messages, in @arena. */
const char *api_qualified_resource(const struct kube_kind *kind, struct arena *arena);
