#include "tests/unit/kube/validate_rows.h"

#define V0 "spec.volumes[0]."

/* One volume named v with the given source. */
#define VOLUME(source)                                                                             \
    {                                                                                              \
        .spec = "volumes: [{name: v, " source "}]"                                                 \
    }
#define PROJECTED(source)                                                                          \
    {                                                                                              \
        .spec = "serviceAccountName: s, volumes: [{name: v, projected: {sources: [" source "]}}]"  \
    }

TEST_CASE(good_volumes_pass)
{
    static const struct validate_row rows[] = {
        {"no source, which is an emptyDir", {.spec = "volumes: [{name: v}]"}, NULL},
        {"a limited emptyDir", VOLUME("emptyDir: {medium: Memory, sizeLimit: 1Gi}"), NULL},
        {"a host path", VOLUME("hostPath: {path: /a/..b, type: DirectoryOrCreate}"), NULL},
        {"a secret",
         VOLUME("secret: {secretName: s, defaultMode: 511, items: [{key: a, path: b/c, mode: 0}]}"),
         NULL},
        {"a config map", VOLUME("configMap: {name: c, items: [{key: a, path: .b}]}"), NULL},
        {"the downward API",
         VOLUME("downwardAPI: {items: [{path: l, fieldRef: {fieldPath: metadata.labels}}, {path: "
                "c, resourceFieldRef: {containerName: c, resource: limits.cpu}}, {path: h, "
                "resourceFieldRef: {containerName: c, resource: requests.hugepages-2Mi, divisor: "
                "1Mi}}]}"),
         NULL},
        {"everything projected",
         PROJECTED("{secret: {name: s, items: [{key: a, path: a}]}}, {configMap: {name: c, items: "
                   "[{key: a, path: b}]}}, {downwardAPI: {items: [{path: c, fieldRef: {fieldPath: "
                   "metadata.uid}}]}}, {serviceAccountToken: {path: t, expirationSeconds: 600}}, "
                   "{clusterTrustBundle: {name: b, path: d}}, {podCertificate: {signerName: a.b/c, "
                   "keyType: ED25519, keyPath: e}}"),
         NULL},
        {"a claim", VOLUME("persistentVolumeClaim: {claimName: c}"), NULL},
        {"an ephemeral claim", VOLUME("ephemeral: {volumeClaimTemplate: {spec: {}}}"), NULL},
        {"a share", VOLUME("nfs: {server: s, path: /}"), NULL},
        {"a driver", VOLUME("csi: {driver: Secrets-Store.csi.k8s.io}"), NULL},
        {"an image", VOLUME("image: {reference: 'a:1'}"), NULL},
        {"a target",
         VOLUME("iscsi: {targetPortal: 10.0.0.1, iqn: 'iqn.2001-04.com.example:storage', lun: 255, "
                "initiatorName: eui.0123456789abcdef}"),
         NULL},
        {"a fibre", VOLUME("fc: {wwids: [a]}"), NULL},
        {"a Managed disk",
         VOLUME("azureDisk: {diskName: d, diskURI: /subscriptions/a, kind: Managed}"), NULL},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(names_and_numbers_of_sources_are_checked)
{
    static const struct validate_row rows[] = {
        {"no name", {.spec = "volumes: [{emptyDir: {}}]"}, V0 "name: Required value"},
        {"a bad name",
         {.spec = "volumes: [{name: A}]"},
         V0 "name: Invalid value: \"A\": " NOT_A_LABEL},
        {"a name twice",
         {.spec = "volumes: [{name: a}, {name: a}]"},
         "spec.volumes[1].name: Duplicate value: \"a\""},
        {"two sources", VOLUME("emptyDir: {}, hostPath: {path: ''}"),
         V0 "hostPath: Forbidden: may not specify more than 1 volume type"},
        {"three sources, with upstream's slips",
         VOLUME("hostPath: {path: /a}, downwardAPI: {}, cephfs: {}"),
         V0 "cephFS: Forbidden: may not specify more than 1 volume type\n" V0
            "downwarAPI: Forbidden: may not specify more than 1 volume type"},
        {"a faulty volume is not there to be mounted",
         {.spec = "volumes: [{name: v, hostPath: {}}]",
          .container = "volumeMounts: [{name: v, mountPath: /a}]"},
         V0 "hostPath.path: Required value\n"
            "spec.containers[0].volumeMounts[0].name: Not found: \"v\""},
        {"a claim that an ephemeral volume creates",
         {.spec = "volumes: [{name: e, ephemeral: {volumeClaimTemplate: {spec: {}}}}, {name: p, "
                  "persistentVolumeClaim: {claimName: web-e}}]"},
         "spec.volumes[1].persistentVolumeClaim.claimName: Invalid value: \"web-e\": must not "
         "reference a PVC that gets created for an ephemeral volume"},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(an_undefaulted_volume_needs_a_source)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod = pod_build(&(struct pod_text){.metadata = NULL}, arena);
    pod_set_defaults(pod, arena);
    pod->spec->volumes = pod_parse("spec: {volumes: [{name: v}]}", arena)->spec->volumes;
    pod->spec->n_volumes = 1;
    struct field_errors *errors = arena_alloc(arena, sizeof(*errors));
    errors->arena = arena;
    pod_validate_create(pod, errors);
    assert_int_equal(errors->count, 1);
    assert_string_equal(errors->errors[0].path, "spec.volumes[0]");
    assert_string_equal(errors->errors[0].message, "Required value: must specify a volume type");
}

TEST_CASE(local_sources_are_checked)
{
    static const struct validate_row rows[] = {
        {"a negative limit", VOLUME("emptyDir: {sizeLimit: -1}"),
         V0 "emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity"},
        {"a host path upwards, of an unknown type", VOLUME("hostPath: {path: /a/../b, type: Pipe}"),
         V0 "hostPath.path: Invalid value: \"/a/../b\": must not contain '..'\n" V0
            "hostPath.type: Unsupported value: \"Pipe\": supported values: \"\", "
            "\"BlockDevice\", \"CharDevice\", \"Directory\", \"DirectoryOrCreate\", \"File\", "
            "\"FileOrCreate\", \"Socket\""},
        {"a secret of nothing", VOLUME("secret: {defaultMode: 512}"),
         V0 "secret.secretName: Required value\n" V0
            "secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), "
            "both inclusive"},
        {"items",
         VOLUME("configMap: {name: c, items: [{}, {key: a, path: /b}, {key: a, path: ../b, mode: "
                "-1}, {key: a, path: ..b}]}"),
         V0 "configMap.items[0].key: Required value\n" V0
            "configMap.items[0].path: Required value\n" V0
            "configMap.items[1].path: Invalid value: \"/b\": must be a relative path\n" V0
            "configMap.items[2].path: Invalid value: \"../b\": must not contain '..'\n" V0
            "configMap.items[2].mode: Invalid value: -1: must be a number between 0 and 0777 "
            "(octal), both inclusive\n" V0
            "configMap.items[3].path: Invalid value: \"..b\": must not start with '..'"},
        {"a config map without a name", VOLUME("configMap: {}"),
         V0 "configMap.name: Required value"},
        {"downward files",
         VOLUME("downwardAPI: {items: [{path: a}, {path: b, fieldRef: {fieldPath: status.podIP}}, "
                "{path: c, resourceFieldRef: {resource: limits.cpu}}, {path: d, fieldRef: "
                "{fieldPath: metadata.name}, resourceFieldRef: {}}]}"),
         V0 "downwardAPI: Required value: one of fieldRef and resourceFieldRef is required\n" V0
            "downwardAPI.fieldRef.fieldPath: Unsupported value: \"status.podIP\": supported "
            "values: \"metadata.annotations\", \"metadata.labels\", \"metadata.name\", "
            "\"metadata.namespace\", \"metadata.uid\"\n" V0
            "downwardAPI.resourceFieldRef.containerName: Required value\n" V0
            "downwardAPI: Invalid value: \"resource\": fieldRef and resourceFieldRef can not be "
            "specified simultaneously"},
        {"an image of nothing", VOLUME("image: {pullPolicy: Maybe}"),
         V0 "image.reference: Required value\n" V0
            "image.pullPolicy: Unsupported value: \"Maybe\": supported values: \"Always\", "
            "\"IfNotPresent\", \"Never\""},
        {"a repository", VOLUME("gitRepo: {directory: ..}"),
         V0 "gitRepo.repository: Required value\n" V0
            "gitRepo.directory: Invalid value: \"..\": must not contain '..'"},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

#define P0 V0 "projected"
TEST_CASE(projections_are_checked)
{
    static const struct validate_row rows[] = {
        {"names", PROJECTED("{secret: {}}, {configMap: {}}"),
         P0 ".sources[0].secret.name: Required value\n" P0
            ".sources[1].configMap.name: Required value"},
        {"one source with two kinds", PROJECTED("{secret: {name: a}, configMap: {name: b}}"),
         P0 ".sources[0]: Forbidden: may not specify more than 1 volume type per source"},
        {"paths that meet",
         PROJECTED("{secret: {name: a, items: [{key: k, path: p}]}}, {configMap: {name: b, items: "
                   "[{key: k, path: p}]}}"),
         P0 ": Invalid value: \"b\": conflicting duplicate paths"},
        {"a token that ends too soon",
         PROJECTED("{serviceAccountToken: {path: t, expirationSeconds: 599}}"),
         P0 ".sources[0].serviceAccountToken.expirationSeconds: Invalid value: 599: may not "
            "specify a duration less than 10 minutes"},
        {"a token that ends too late, nowhere",
         PROJECTED("{serviceAccountToken: {expirationSeconds: 4294967297}}"),
         P0 ".sources[0].serviceAccountToken.expirationSeconds: Invalid value: 4294967297: may not "
            "specify a duration larger than 2^32 seconds\n" P0 ".path: Required value"},
        {"a bundle of nothing", PROJECTED("{clusterTrustBundle: {path: a}}"),
         P0 ".sources[0].clusterTrustBundle: Required value: either name or signerName must be "
            "specified"},
        {"a certificate",
         PROJECTED("{podCertificate: {keyType: RSA1024, maxExpirationSeconds: 5}}"),
         P0 ".sources[0].podCertificate.keyType: Unsupported value: \"RSA1024\": supported values: "
            "\"RSA3072\", \"RSA4096\", \"ECDSAP256\", \"ECDSAP384\", \"ECDSAP521\", "
            "\"ED25519\"\n" P0
            ".sources[0].podCertificate.maxExpirationSeconds: Invalid value: 5: if provided, "
            "maxExpirationSeconds must be >= 3600\n" P0
            ".sources[0].podCertificate: Required value: specify at least one of "
            "credentialBundlePath, keyPath, and certificateChainPath"},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(remote_sources_are_checked)
{
    static const struct validate_row rows[] = {
        {"a share", VOLUME("nfs: {path: a}"),
         V0 "nfs.server: Required value\n" V0
            "nfs.path: Invalid value: \"a\": must be an absolute path"},
        {"a claim", VOLUME("persistentVolumeClaim: {}"),
         V0 "persistentVolumeClaim.claimName: Required value"},
        {"a driver", VOLUME("csi: {driver: a_b, nodePublishSecretRef: {}}"),
         V0 "csi.driver: Invalid value: \"a_b\": " NOT_A_SUBDOMAIN "\n" V0
            "csi.nodePublishSecretRef.name: Required value"},
        {"an ephemeral claim of nothing", VOLUME("ephemeral: {}"),
         V0 "ephemeral.volumeClaimTemplate: Required value"},
        {"a target", VOLUME("iscsi: {iqn: abc, lun: 256, chapAuthSession: true}"),
         V0 "iscsi.targetPortal: Required value\n" V0
            "iscsi.iqn: Invalid value: \"abc\": must be valid format starting with iqn, eui, or "
            "naa\n" V0 "iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive\n" V0
            "iscsi.secretRef: Required value"},
        {"names of targets",
         VOLUME("iscsi: {targetPortal: a, iqn: 'iqn.2001.com:a', initiatorName: naa.xyz}"),
         V0 "iscsi.iqn: Invalid value: \"iqn.2001.com:a\": must be valid format\n" V0
            "iscsi.initiatorname: Invalid value: \"naa.xyz\": must be valid format"},
        {"a fibre", VOLUME("fc: {targetWWNs: [a], wwids: [b]}"),
         V0 "fc.targetWWNs: Invalid value: [\"a\"]: targetWWNs and wwids can not be specified "
            "simultaneously\n" V0
            "fc.lun: Required value: lun is required if targetWWNs is specified"},
        {"a disk of Google's, at upstream's path", VOLUME("gcePersistentDisk: {partition: 256}"),
         V0 "persistentDisk.pdName: Required value\n" V0
            "persistentDisk.partition: Invalid value: 256: must be between 1 and 255, inclusive"},
        {"a flexible option", VOLUME("flexVolume: {options: {Kubernetes.IO/a: b}}"),
         V0 "flexVolume.driver: Required value\n" V0
            "flexVolume.options[Kubernetes.IO/a]: Invalid value: \"Kubernetes.IO/a\": "
            "kubernetes.io and k8s.io namespaces are reserved"},
        {"a block device of Ceph", VOLUME("rbd: {}"),
         V0 "rbd.monitors: Required value\n" V0 "rbd.image: Required value"},
        {"an azure disk", VOLUME("azureDisk: {diskURI: x, kind: Own, cachingMode: All}"),
         V0 "azureDisk.diskName: Required value\n" V0
            "azureDisk.cachingMode: Unsupported value: \"All\": supported values: \"None\", "
            "\"ReadOnly\", \"ReadWrite\"\n" V0
            "azureDisk.kind: Unsupported value: \"Own\": supported values: \"Dedicated\", "
            "\"Managed\", \"Shared\"\n" V0
            "azureDisk.diskURI: Unsupported value: \"x\": supported values: "
            "\"https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd\""},
        {"a dataset", VOLUME("flocker: {datasetName: a/b, datasetUUID: c}"),
         V0 "flocker: Invalid value: \"resource\": datasetName and datasetUUID can not be "
            "specified simultaneously\n" V0
            "flocker.datasetName: Invalid value: \"a/b\": must not contain '/'"},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_MAIN(TEST(good_volumes_pass), TEST(names_and_numbers_of_sources_are_checked),
          TEST(an_undefaulted_volume_needs_a_source), TEST(local_sources_are_checked),
          TEST(projections_are_checked), TEST(remote_sources_are_checked))
