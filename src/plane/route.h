/*
 * From method and path to what is asked for: a resource with a verb, or one of the few other
 * endpoints. Pure. Any thread.
 */
#pragma once

#include "plane/resource.h"
#include "wire/http.h"

enum route_kind {
    ROUTE_RESOURCE,
    ROUTE_DISCOVERY, /* /api, /apis, /api/v1, /apis/<group>, /apis/<group>/<version> */
    ROUTE_OPENAPI,   /* /openapi/v2, /openapi/v3, /openapi/v3/… */
    ROUTE_VERSION,   /* /version */
    ROUTE_HEALTH,    /* /healthz, /livez, /readyz and what lies below */
    ROUTE_OIDC,      /* /.well-known/openid-configuration, /openid/v1/jwks */
    ROUTE_ROOT,      /* / : the paths there are */
    ROUTE_UNKNOWN,
};

/** What a request asks for. Texts are borrowed from the target. */
struct route {
    enum route_kind kind;
    enum plane_verb verb;
    const char *group, *version;     /* "" and "v1" for core */
    const char *resource_name;       /* as in the path, served or not; NULL below the version */
    const char *namespace_;          /* NULL: none, or all */
    const char *name;                /* NULL: the collection */
    const char *subresource_name;    /* NULL: the object */
    const struct resource *resource; /* NULL: not served */
    const struct subresource *subresource;
    const char *rest; /* what follows a proxy subresource, as sent, with its '/'; "" for nothing */
};

/**
 * Never fails: what fits nothing is ROUTE_UNKNOWN, and a resource that is not served has `resource`
 * NULL, so that authorization can still be asked before 404 is said. A method without a verb
 * (TRACE) is ROUTE_UNKNOWN.
 */
void route_parse(const char *method, const struct http_target *target, struct route *ret);

/** True when the parameter @name is there and neither "false" (in any case) nor "0": upstream's
 * reading of a switch, by which `?watch`, `?watch=true` and `?watch=True` are all the same. */
bool route_param_is_on(const struct http_target *target, const char *name);
