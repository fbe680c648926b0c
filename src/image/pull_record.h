/*
 * Records of image pulls, which keep an image that was pulled with one pod's credentials from the
 * pods of others (spec pods.md §6.6, runtime.md §3.2, §9.5):
 *
 *   ImagePullIntent    a pull of this image may be under way
 *   ImagePulledRecord  this image was pulled, and with whose credentials
 *
 * Here they are values: their JSON, how a pull changes a record, and whether a pod may use an image
 * that is there. Pure. Any thread. The store on disk is pull_records.h.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "config/config.h"

#define PULL_RECORD_MAX_BYTES (256 * KiB)
/* Room in a record for what a look found; a pull adds beyond (writeRecordWhileMatchingLimit). */
#define PULL_RECORD_MATCH_LIMIT 100
#define PULL_RECORD_NAME_SIZE (sizeof("sha256-") + 64)
#define PULL_RECORD_HASH_SIZE (64 + 1)

struct pull_secret {
    const char *uid, *namespace_, *name;
    const char *hash; /* pull_credential_hash() of what it holds for the image; "" : unknown */
};
struct pull_account {
    const char *uid, *namespace_, *name;
};

/** Who has shown that they may use an image of one repository. */
struct pull_access {
    bool all_pods; /* nodePodsAccessible: it was pulled anonymously or with the node's login */
    const struct pull_secret *secrets;
    size_t n_secrets;
    const struct pull_account *accounts;
    size_t n_accounts;
};

struct pull_mapping {
    const char *repository; /* "docker.io/library/busybox": normalised, no tag, no digest */
    struct pull_access access;
};

struct pull_record {
    const char *image_ref; /* of the runtime */
    int64_t updated_s;     /* wall clock, seconds since 1970 */
    const struct pull_mapping *mappings;
    size_t n_mappings;
};

/* --- files --- */

/** "sha256-<hex>", the name of the file about @key: the image of the pod or the image ref. */
void pull_record_name(const char *key, char ret[static PULL_RECORD_NAME_SIZE]);

/** Appends the file's content. RESOURCE_EXHAUSTED when @out is too small for it. */
MUST_CHECK struct error *pull_record_encode(const struct pull_record *record, struct buf *out);
MUST_CHECK struct error *pull_intent_encode(const char *image, struct buf *out);

/**
 * Reads a file's content into @arena, strictly: INVALID_ARGUMENT for what is no such object, or has
 * fields it should not have. *ret_is_old: it is of v1alpha1, and is to be written anew.
 */
MUST_CHECK struct error *pull_record_decode(struct str text, struct arena *arena,
                                            struct pull_record *ret, bool *ret_is_old);
MUST_CHECK struct error *pull_intent_decode(struct str text, struct arena *arena,
                                            const char **ret_image, bool *ret_is_old);

/** Lower-case hex SHA-256 of a login as Docker's JSON has it; texts may be "". */
void pull_credential_hash(const char *username, const char *password, const char *email,
                          char ret[static PULL_RECORD_HASH_SIZE]);

/* --- deciding --- */

/** What a pull, or a look, has shown: @image_ref may be used by @access in @repository. */
struct pull_proof {
    const char *image_ref;
    const char *repository;           /* NULL: that it was pulled is all that is known */
    const struct pull_access *access; /* NULL: likewise */
};

/**
 * The record with what @proof adds. @old NULL: there is none yet. False: nothing changes, @ret is
 * not set. The result refers to both and lives in @arena.
 */
bool pull_record_merge(const struct pull_record *old, const struct pull_proof *proof, int64_t now_s,
                       struct arena *arena, struct pull_record *ret);

struct pull_policy {
    enum config_pull_policy kind;
    const char *const *allowlist; /* borrowed; repositories, or what one begins with and "*" */
    size_t n_allowlist;
};

enum pull_check {
    PULL_CHECK_POLICY_ALLOWS,
    PULL_CHECK_RECORD_FOUND,
    PULL_CHECK_MUST_AUTHENTICATE, /* a real pull has to show it */
    PULL_CHECK_ERROR,             /* likewise */
    PULL_CHECK_NEEDS_ACCESS,      /* it depends on input->pod, which is NULL */
};
/** "credentialPolicyAllowed", …: the label of kubelet_imagemanager_image_mustpull_checks_total. */
const char *pull_check_name(enum pull_check check);

struct pull_check_input {
    const struct pull_policy *policy;
    const char *repository;           /* of the image; NULL: it could not be told */
    bool is_unreadable;               /* what there is about the image cannot be read */
    bool is_known;                    /* there is an intent or a record, if only a broken one */
    const struct pull_record *record; /* NULL: none */
    const struct pull_access *pod;    /* the pod's own secrets and account; NULL: see above */
};

/** Whether the pod may use the image that is there. *ret_note: the secret that is to be merged into
 * the record, since it was known in another form; NULL: none. */
enum pull_check pull_check(const struct pull_check_input *input,
                           const struct pull_secret **ret_note);
