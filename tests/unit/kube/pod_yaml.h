/*
 * Pods for tests, written as YAML flow text: a minimal good pod into which a row splices its own
 * fields.
 */
#pragma once

#include "kube/codec.h"
#include "tests/lib/test.h"

#include "core.pb-c.h"

/* What a row adds, each as flow text such as "hostNetwork: true, subdomain: x"; NULL adds nothing.
 */
struct pod_text {
    const char *metadata;
    const char *spec;
    const char *container;  /* into the one container "c" */
    const char *containers; /* instead of it: the whole list, "[{…}]" */
};

static inline UNUSED Core__Pod *pod_parse(const char *yaml, struct arena *arena)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *message = NULL;
    AUTO(error)
    struct error *err =
        kube_decode_yaml(str_from(yaml), &core__pod__descriptor, &options, arena, &message);
    if (err)
        fail_msg("%s\nin: %s", err->message, yaml);
    return (Core__Pod *)message;
}

static inline UNUSED Core__Pod *pod_build(const struct pod_text *text, struct arena *arena)
{
    const char *metadata = text->metadata ? text->metadata : "";
    const char *spec = text->spec ? text->spec : "";
    const char *own = text->container ? text->container : "";
    /* A row that begins with a name brings its own identity. */
    const char *identity =
        text_has_prefix(metadata, "name:") ? "" : "name: web, namespace: default, ";
    const char *containers =
        text->containers
            ? text->containers
            : arena_printf(arena, "[{name: c, image: busybox%s%s}]", *own ? ", " : "", own);
    return pod_parse(arena_printf(arena, "metadata: {%s%s}\nspec: {containers: %s%s%s}\n", identity,
                                  metadata, containers, *spec ? ", " : "", spec),
                     arena);
}
