/*
 * Volumes with content: configMap, secret, downwardAPI and projected, four names for files that
 * come from the API (spec volumes.md §3.6). In three steps: a plugin's plan() notes what a volume
 * is made of; what has to be asked for is gathered (content_gather.h) and made a payload, on the
 * loop; a worker publishes that. Inside the volume room only.
 */
#pragma once

#include "kube/object.h"
#include "volume/empty_dir.h"
#include "volume/payload.h"
#include "volume/volume.h"

enum content_kind {
    CONTENT_CONFIG_MAP,
    CONTENT_SECRET,
    CONTENT_DOWNWARD_API,
    CONTENT_TOKEN,   /* serviceAccountToken */
    CONTENT_REFUSED, /* a source cubelet does not know how to make */
};

/** One source of files. What it refers to of the pod is borrowed until the payload is made. */
struct content_source {
    enum content_kind kind;
    const char *name;         /* of the object, or of what is refused */
    struct payload_keys keys; /* but for the default mode, which is the volume's */
    Core__DownwardAPIVolumeFile *const *files;
    size_t file_count;
    const Core__ServiceAccountTokenProjection *token;

    /* What gathering has brought; content_release() lets go of it. */
    const struct kube_object *object; /* a reference; NULL with an error */
    char *token_text;
    int64_t token_expires_ns;
    struct error *failure;
};

/** A volume; lives in the job's arena. */
struct content {
    const char *volume; /* the pod's name for it */
    struct empty_dir_wrapped wrapped;
    bool is_projected;
    bool has_default_mode;
    int32_t default_mode;
    bool has_fs_user, has_fs_group;
    uid_t fs_user; /* the user all containers run as (spec §1.11) */
    size_t source_count;
    struct content_source *sources;
    const char *const *nested; /* where containers mount other volumes into it; ended by NULL */

    struct volume_payload payload; /* made by content_build() */
    int64_t refresh_at_ns;         /* wall: its sources want to be asked again; 0: never */
};

/**
 * Makes the payload from what was gathered; @arena holds it. Loop thread. An error is the volume's:
 * what is published already stays as it is.
 */
MUST_CHECK struct error *content_build(struct content *content,
                                       const struct volume_sources *sources, const Core__Pod *pod,
                                       int64_t now_ns, struct arena *arena);
/** Lets go of what was gathered. Loop thread. */
void content_release(struct content *content);

/** When a token that expires at @expires_ns and was asked for for @requested_s is worth asking for
 * again (wall); always after @now_ns. Pure. */
int64_t content_token_refresh_ns(int64_t now_ns, int64_t expires_ns, int64_t requested_s);
