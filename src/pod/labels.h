/*
 * The labels and annotations by which a kubelet finds its own again in the runtime
 * (pkg/kubelet/types/labels.go, kuberuntime/labels.go; spec runtime.md §3.12): written into CRI
 * configurations, read back from statuses. Inside the pod room only.
 */
#pragma once

#define LABEL_POD_NAME "io.kubernetes.pod.name"
#define LABEL_POD_NAMESPACE "io.kubernetes.pod.namespace"
#define LABEL_POD_UID "io.kubernetes.pod.uid"
#define LABEL_CONTAINER_NAME "io.kubernetes.container.name"

#define ANNOTATION_HASH "io.kubernetes.container.hash"
#define ANNOTATION_RESTART_COUNT "io.kubernetes.container.restartCount"
#define ANNOTATION_MESSAGE_PATH "io.kubernetes.container.terminationMessagePath"
#define ANNOTATION_MESSAGE_POLICY "io.kubernetes.container.terminationMessagePolicy"
#define ANNOTATION_PRE_STOP "io.kubernetes.container.preStopHandler"
#define ANNOTATION_PORTS "io.kubernetes.container.ports"
#define ANNOTATION_DELETION_GRACE "io.kubernetes.pod.deletionGracePeriod"
#define ANNOTATION_TERMINATION_GRACE "io.kubernetes.pod.terminationGracePeriod"

/* pkg/kubelet/types/pod_update.go: what the source adds to a pod */
#define ANNOTATION_CONFIG_SOURCE "kubernetes.io/config.source"
#define ANNOTATION_CONFIG_SEEN "kubernetes.io/config.seen"
#define ANNOTATION_CONFIG_HASH "kubernetes.io/config.hash"
