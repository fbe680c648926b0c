/*
 * What authentication and authorization ask about stored objects: whether a token's objects are
 * still there, and what has to do with a node. Only inside a store task's run(). Loop thread.
 */
#pragma once

#include "plane/authz.h"
#include "plane/rest.h"

/** For authn_options and authz_policy; their ctx is a `const struct rest_env *`. */
extern const struct authn_objects plane_authn_objects;
extern const struct authz_facts plane_authz_facts;
