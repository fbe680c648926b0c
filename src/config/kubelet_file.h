/*
 * KubeletConfiguration from files: the one named by --config, and the drop-ins below --config-dir
 * that are merged over it. Inside the config room only. Reads files, does not log.
 */
#pragma once

#include "base/arena.h"
#include "wire/doc.h"

#include "kubeletconfig.pb-c.h"

#define KUBELET_CONFIG_API_VERSION "kubelet.config.k8s.io/v1beta1"
#define KUBELET_CONFIG_KIND "KubeletConfiguration"

/** One file as it was written, for the lines about options without effect. */
struct kubelet_file {
    const char *path;
    Kubeletconfig__Options *raw; /* raw->config is what the file says, without defaults */
};

struct kubelet_files {
    struct kubelet_file *files; /* in the order applied */
    size_t count;
    size_t capacity;
};

/**
 * Loads @path (absolute): what it says, its defaults, its relative paths made absolute. Unknown and
 * duplicate fields are errors that name file, line and path. The file is added to @files.
 */
MUST_CHECK struct error *kubelet_file_load(const char *path, struct arena *arena,
                                           Kubeletconfig__KubeletConfiguration **ret,
                                           struct kubelet_files *files);

/**
 * Merges every *.conf below @dir into *config (replaced by a new message in @arena), in lexical
 * order of the path components, as RFC 7396 merge patches; then fills defaults again. Each file is
 * added to @files.
 */
MUST_CHECK struct error *kubelet_dropins_merge(const char *dir, struct arena *arena,
                                               Kubeletconfig__KubeletConfiguration **config,
                                               struct kubelet_files *files);

/* Shared by the two. */

/**
 * Reads and decodes one file strictly, apiVersion and kind included, into *ret, and adds it to
 * @files. *ret_doc is the same document as a tree, where null and empty lists can still be seen.
 */
MUST_CHECK struct error *kubelet_file_read(const char *path, struct arena *arena,
                                           Kubeletconfig__KubeletConfiguration **ret,
                                           const struct doc_node **ret_doc,
                                           struct kubelet_files *files);
