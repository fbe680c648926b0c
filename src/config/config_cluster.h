/*
 * The part of the configuration that makes the node a member of a cluster: the API server, what the
 * Node object says, how often. A part of struct config; the rules are those of config/config.h.
 */
#pragma once

#include "config/config_values.h"

#include "core.pb-c.h"

enum config_object_strategy {
    CONFIG_OBJECTS_WATCH,
    CONFIG_OBJECTS_CACHE,
    CONFIG_OBJECTS_GET,
};

/** configMapAndSecretChangeDetectionStrategy and its neighbours; names are those of the file. */
struct config_cluster {
    const char *kubeconfig; /* absolute; "": standalone */
    bool is_cloud_external; /* --cloud-provider=external */
    bool register_node;
    Core__Taint *const *register_with_taints;
    size_t n_register_with_taints;
    struct config_map node_labels; /* --node-labels */
    const char *provider_id;       /* "": none */
    bool enable_controller_attach_detach;
    int32_t kubelet_port; /* port, as the Node object tells it */

    int64_t node_status_update_frequency_ns;
    int64_t node_status_report_frequency_ns;
    int32_t node_lease_duration_s;
    int32_t node_status_max_images; /* -1: no limit */

    /* Requests. A rate of 0 is upstream's default of the client: 5 a second, bursts of 10. */
    int32_t kube_api_qps, kube_api_burst;
    int32_t event_record_qps, event_burst;
    bool is_json; /* contentType is application/json */
    enum config_object_strategy object_strategy;
};
