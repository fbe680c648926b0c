/*
 * The variables that tell a container where services are (spec runtime.md §3.5): those of the pod's
 * namespace and of the cluster itself. Pure. Any thread.
 */
#pragma once

#include "base/arena.h"

#include "core.pb-c.h"

/** Whose containers are told. */
struct service_audience {
    const char *namespace_; /* of the pod */
    bool has_links;         /* enableServiceLinks */
};

struct service_variable {
    const char *name, *value;
};

/** True when containers of @audience are told of @service. */
bool service_env_tells(const struct service_audience *audience, const Core__Service *service);

/**
 * The variables of those of @services that @audience is told of, in the order of the services'
 * names; a name can occur twice, and then the last value counts. All live in @arena but the
 * addresses, which stay those of @services.
 */
void service_env_build(const struct service_audience *audience,
                       const Core__Service *const *services, size_t count, struct arena *arena,
                       const struct service_variable **ret, size_t *ret_count);
