/*
 * Validation: what the API server would refuse on create (pkg/apis/core/validation), with its field
 * paths and words. Pure. Any thread.
 *
 * Not looked into, because upstream's checks are rarely met on a node: the claim template of an
 * ephemeral volume beyond being there, signer names and trust bundle names of projected volumes,
 * the host:port pairs of quobyte, and the long dead annotation of tolerations. Ephemeral containers
 * are refused whole. A value that upstream prints as a Go struct is printed as the object's JSON.
 */
#pragma once

#include "base/arena.h"

#include "core.pb-c.h"

struct field_error {
    const char *path;    /* "spec.containers[0].ports[1].hostPort" */
    const char *message; /* "Invalid value: 70000: must be between 1 and 65535, inclusive", without
                            the path */
};

/** Errors in the order found; lives in the arena given to the validator. At most FIELD_ERRORS_MAX
 * are kept. */
#define FIELD_ERRORS_MAX 64
struct field_errors {
    struct arena *arena;
    size_t count;   /* kept */
    size_t omitted; /* found beyond the cap */
    struct field_error errors[FIELD_ERRORS_MAX];
};

/**
 * Validates a pod that went through pod_set_defaults() as the API server does at creation. The
 * caller sets
 * @out->arena and zeroes the rest; errors are appended and their texts live in that arena.
 */
void pod_validate_create(const Core__Pod *pod, struct field_errors *out);

/**
 * The reference check of static pods (spec pods.md §1.7): NULL when @pod references no API object,
 * else the text "static pods may not reference <resource>" in static memory.
 */
const char *pod_static_reference_error(const Core__Pod *pod);

/** "invalid pod: [path: message, path: message]", or NULL without errors. Lives in @arena. */
const char *field_errors_text(const struct field_errors *errors, struct arena *arena);

/*
 * Single rules, upstream's names and words; NULL when fine, else the first message (static). @name
 * may hold any bytes.
 */

/** IsDNS1123Label: a lower-case name without dots, at most 63 bytes. */
const char *name_check_dns1123_label(struct str name);
/** IsDNS1123Subdomain: such labels joined by dots, at most 253 bytes. */
const char *name_check_dns1123_subdomain(struct str name);
/** IsQualifiedName: a label key, "name" or "dns.prefix/name". */
const char *name_check_qualified(struct str name);
