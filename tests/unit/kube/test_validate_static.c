#include "tests/unit/kube/validate_rows.h"

#define MAY_NOT "static pods may not reference "
#define VOLUME(source)                                                                             \
    {                                                                                              \
        .spec = "volumes: [{name: v, " source "}]"                                                 \
    }

TEST_CASE(references_are_refused_in_upstreams_order)
{
    static const struct validate_row rows[] = {
        {"nothing", {.metadata = NULL}, NULL},
        {"an account",
         {.spec = "serviceAccountName: a, imagePullSecrets: [{name: s}]"},
         MAY_NOT "serviceaccounts"},
        {"a pull secret", {.spec = "imagePullSecrets: [{name: s}]"}, MAY_NOT "secrets"},
        {"a pull secret without a name", {.spec = "imagePullSecrets: [{}]"}, NULL},
        {"a secret in env",
         {.container = "env: [{name: a, valueFrom: {secretKeyRef: {name: s, key: k}}}]"},
         MAY_NOT "secrets"},
        {"a secret in envFrom of an init container",
         {.spec = "initContainers: [{name: i, image: a, envFrom: [{secretRef: {name: s}}]}]"},
         MAY_NOT "secrets"},
        {"a secret volume", VOLUME("secret: {secretName: s}"), MAY_NOT "secrets"},
        {"a secret volume without a name", VOLUME("secret: {}"),
         MAY_NOT "secrets (via secret volumes)"},
        {"a secret of a driver", VOLUME("iscsi: {secretRef: {name: s}}"), MAY_NOT "secrets"},
        {"a driver without a secret", VOLUME("iscsi: {iqn: a}"), NULL},
        {"secrets before config maps",
         {.spec = "volumes: [{name: v, projected: {sources: [{configMap: {name: c}}, {secret: "
                  "{name: s}}]}}]"},
         MAY_NOT "secrets"},
        {"a config map in env",
         {.container = "env: [{name: a, valueFrom: {configMapKeyRef: {name: s, key: k}}}]"},
         MAY_NOT "configmaps"},
        {"a config map volume", VOLUME("configMap: {name: c}"), MAY_NOT "configmaps"},
        {"a config map volume without a name", VOLUME("configMap: {}"),
         MAY_NOT "configmaps (via configmap volumes)"},
        {"a resource claim",
         {.spec = "resourceClaims: [{name: a, resourceClaimName: b}], volumes: [{name: v, csi: "
                  "{driver: d}}]"},
         MAY_NOT "resourceclaims"},
        {"a CSI driver", VOLUME("csi: {driver: d}"), MAY_NOT "csidrivers (via CSI volumes)"},
        {"gluster", VOLUME("glusterfs: {path: a}"), MAY_NOT "endpoints (via glusterFS volumes)"},
        {"a claim", VOLUME("persistentVolumeClaim: {claimName: c}"),
         MAY_NOT "persistentvolumeclaims"},
        {"an ephemeral claim", VOLUME("ephemeral: {}"),
         MAY_NOT "persistentvolumeclaims (via ephemeral volumes)"},
        {"an azure share", VOLUME("azureFile: {shareName: a}"),
         MAY_NOT "secrets (via azureFile volumes)"},
        {"a token", VOLUME("projected: {sources: [{serviceAccountToken: {path: t}}]}"),
         MAY_NOT "serviceaccounts (via projected volumes)"},
        {"a trust bundle", VOLUME("projected: {sources: [{clusterTrustBundle: {name: a}}]}"),
         MAY_NOT "clustertrustbundles"},
        {"a certificate", VOLUME("projected: {sources: [{podCertificate: {}}]}"),
         MAY_NOT "podcertificates"},
        {"a projected secret without a name", VOLUME("projected: {sources: [{secret: {}}]}"),
         MAY_NOT "secrets (via projected volumes)"},
        {"the downward API", VOLUME("projected: {sources: [{downwardAPI: {}}]}"), NULL},
        {"what a node has itself",
         {.spec = "volumes: [{name: a, emptyDir: {}}, {name: b, hostPath: {path: /a}}, {name: c, "
                  "image: {reference: x}}, {name: d, nfs: {server: s, path: /}}]"},
         NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const char *got = pod_static_reference_error(pod_build(&rows[i].pod, arena));
        if (!text_eq(got, rows[i].want))
            fail_msg("%s: got %s", rows[i].name, got ? got : "nothing");
    }
}

TEST_CASE(the_recorded_static_pod_is_good)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod = pod_parse(
        "apiVersion: v1\n"
        "kind: Pod\n"
        "metadata: {name: static-web-node-a, namespace: default, labels: {app: static}}\n"
        "spec:\n"
        "  nodeName: node-a\n"
        "  terminationGracePeriodSeconds: 1\n"
        "  tolerations: [{operator: Exists, effect: NoExecute}]\n"
        "  containers: [{name: c, image: \"docker.io/library/busybox:1.36\", command: [sh, -c, "
        "\"echo static; sleep 3600\"], resources: {requests: {cpu: 10m}}}]\n",
        arena);
    assert_string_equal(validate_text(pod, arena), "");
    assert_null(pod_static_reference_error(pod));
    assert_string_equal(pod->spec->containers[0]->image_pull_policy, "IfNotPresent");
}

TEST_MAIN(TEST(references_are_refused_in_upstreams_order), TEST(the_recorded_static_pod_is_good))
