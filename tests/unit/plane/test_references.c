#include "plane/references.h"

#include "object_yaml.h"

static const char pod_yaml[] =
    "metadata: {name: web}\n"
    "spec:\n"
    "  serviceAccountName: robot\n"
    "  imagePullSecrets: [{name: pull}]\n"
    "  initContainers:\n"
    "  - {name: i, envFrom: [{secretRef: {name: init-secret}}, {configMapRef: {name: init-map}}]}\n"
    "  containers:\n"
    "  - name: c\n"
    "    env:\n"
    "    - {name: A, valueFrom: {secretKeyRef: {name: env-secret, key: k}}}\n"
    "    - {name: B, valueFrom: {configMapKeyRef: {name: env-map, key: k}}}\n"
    "    - {name: C, value: plain}\n"
    "  ephemeralContainers:\n"
    "  - {name: e, env: [{name: A, valueFrom: {secretKeyRef: {name: debug-secret, key: k}}}]}\n"
    "  volumes:\n"
    "  - {name: v1, secret: {secretName: volume-secret}}\n"
    "  - {name: v2, configMap: {name: volume-map}}\n"
    "  - name: v3\n"
    "    projected:\n"
    "      sources: [{secret: {name: projected-secret}}, {configMap: {name: projected-map}}]\n"
    "  - {name: v4, persistentVolumeClaim: {claimName: claim}}\n"
    "  - {name: scratch, ephemeral: {volumeClaimTemplate: {spec: {}}}}\n"
    "  - {name: v6, csi: {driver: d, nodePublishSecretRef: {name: csi-secret}}}\n"
    "  - {name: v7, emptyDir: {}}\n"
    "  resourceClaims: [{name: gpu, resourceClaimName: device}]\n"
    "status:\n"
    "  resourceClaimStatuses: [{name: nic, resourceClaimName: web-nic}]\n";

TEST_CASE(a_pod_refers_to_what_it_names)
{
    static const struct {
        enum authz_object kind;
        const char *name;
        bool want;
    } rows[] = {
        {AUTHZ_SECRET, "pull", true},
        {AUTHZ_SECRET, "init-secret", true},
        {AUTHZ_SECRET, "env-secret", true},
        {AUTHZ_SECRET, "debug-secret", true},
        {AUTHZ_SECRET, "volume-secret", true},
        {AUTHZ_SECRET, "projected-secret", true},
        {AUTHZ_SECRET, "csi-secret", true},
        {AUTHZ_SECRET, "env-map", false},
        {AUTHZ_SECRET, "robot", false},
        {AUTHZ_SECRET, "", false},
        {AUTHZ_CONFIG_MAP, "init-map", true},
        {AUTHZ_CONFIG_MAP, "env-map", true},
        {AUTHZ_CONFIG_MAP, "volume-map", true},
        {AUTHZ_CONFIG_MAP, "projected-map", true},
        {AUTHZ_CONFIG_MAP, "pull", false},
        {AUTHZ_CLAIM, "claim", true},
        {AUTHZ_CLAIM, "web-scratch", true},
        {AUTHZ_CLAIM, "scratch", false},
        {AUTHZ_CLAIM, "web-v7", false},
        {AUTHZ_RESOURCE_CLAIM, "device", true},
        {AUTHZ_RESOURCE_CLAIM, "web-nic", true},
        {AUTHZ_RESOURCE_CLAIM, "gpu", false},
        {AUTHZ_SERVICE_ACCOUNT, "robot", true},
        {AUTHZ_SERVICE_ACCOUNT, "default", false},
        {AUTHZ_POD, "web", true},
        {AUTHZ_POD, "other", false},
        {AUTHZ_VOLUME, "claim", false},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__Pod *pod = (const Core__Pod *)object_parse(pod_yaml, &core__pod__descriptor, arena);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (pod_refers_to(pod, rows[i].kind, rows[i].name) != rows[i].want)
            fail_msg("row %zu: %s", i, rows[i].name);
    }
}

TEST_CASE(a_mirror_pod_opens_nothing)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__Pod *pod = (const Core__Pod *)object_parse(
        "metadata: {name: web, annotations: {kubernetes.io/config.mirror: x}}\n"
        "spec: {imagePullSecrets: [{name: pull}], serviceAccountName: robot}\n",
        &core__pod__descriptor, arena);
    assert_false(pod_refers_to(pod, AUTHZ_SECRET, "pull"));
    assert_false(pod_refers_to(pod, AUTHZ_SERVICE_ACCOUNT, "robot"));
    assert_true(pod_refers_to(pod, AUTHZ_POD, "web"));
}

TEST_CASE(a_volume_s_secrets_are_in_their_namespace)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__PersistentVolume *volume = (const Core__PersistentVolume *)object_parse(
        "metadata: {name: v}\n"
        "spec:\n"
        "  claimRef: {namespace: default, name: claim}\n"
        "  csi: {driver: d, volumeHandle: h, nodeStageSecretRef: {name: stage, namespace: "
        "storage},\n"
        "        nodePublishSecretRef: {name: publish}, \n"
        "        controllerExpandSecretRef: {name: expand, namespace: storage}}\n",
        &core__persistent_volume__descriptor, arena);
    assert_true(volume_refers_to_secret(volume, "storage", "stage"));
    assert_false(volume_refers_to_secret(volume, "default", "stage"));
    assert_true(volume_refers_to_secret(volume, "default", "publish"));
    assert_false(volume_refers_to_secret(volume, "storage", "expand"));
    assert_false(volume_refers_to_secret(volume, "default", ""));
}

TEST_MAIN(TEST(a_pod_refers_to_what_it_names), TEST(a_mirror_pod_opens_nothing),
          TEST(a_volume_s_secrets_are_in_their_namespace))
