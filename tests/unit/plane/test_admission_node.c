#include "plane/admission.h"

#include "object_yaml.h"
#include "request_pem.h"

#include "authentication.pb-c.h"
#include "certificates.pb-c.h"
#include "coordination.pb-c.h"
#include "resource.pb-c.h"
#include "storage.pb-c.h"

static const char *const node_groups[] = {"system:nodes", "system:authenticated"};
static const char *const user_groups[] = {"system:authenticated"};
static const struct plane_user node_a = {"system:node:node-a", "", {node_groups, 2}, NULL, 0};
static const struct plane_user nameless = {"system:node:", "", {node_groups, 2}, NULL, 0};
static const struct plane_user jane = {"jane", "", {user_groups, 1}, NULL, 0};

/* What is stored: yaml by kind and name. */
static const struct {
    enum admission_object kind;
    const char *name;
    const ProtobufCMessageDescriptor *type;
    const char *yaml;
} stored[] = {
    {ADMISSION_NODE, "node-a", &core__node__descriptor,
     "{metadata: {name: node-a, uid: node-uid}}"},
    {ADMISSION_POD, "mine", &core__pod__descriptor,
     "{metadata: {name: mine, uid: mine-uid}, spec: {nodeName: node-a, volumes: [{name: t, "
     "projected: {sources: [{serviceAccountToken: {path: t}}, {serviceAccountToken: {path: v, "
     "audience: vault}}]}}, {name: c, csi: {driver: d.example}}, {name: p, persistentVolumeClaim: "
     "{claimName: claim}}, {name: e, ephemeral: {volumeClaimTemplate: {spec: {}}}}]}}"},
    {ADMISSION_POD, "bare", &core__pod__descriptor,
     "{metadata: {name: bare, uid: bare-uid}, spec: {nodeName: node-a}}"},
    {ADMISSION_POD, "theirs", &core__pod__descriptor,
     "{metadata: {name: theirs, uid: theirs-uid}, spec: {nodeName: node-b}}"},
    {ADMISSION_CSI_DRIVER, "d.example", &storage__csidriver__descriptor,
     "{metadata: {name: d.example}, spec: {tokenRequests: [{audience: inline}]}}"},
    {ADMISSION_CSI_DRIVER, "pv.example", &storage__csidriver__descriptor,
     "{metadata: {name: pv.example}, spec: {tokenRequests: [{audience: claimed}]}}"},
    {ADMISSION_CLAIM, "claim", &core__persistent_volume_claim__descriptor,
     "{metadata: {name: claim}, spec: {volumeName: v}}"},
    {ADMISSION_VOLUME, "v", &core__persistent_volume__descriptor,
     "{metadata: {name: v}, spec: {csi: {driver: pv.example, volumeHandle: h}}}"},
};

static const ProtobufCMessage *get(void *ctx, enum admission_object kind,
                                   UNUSED const char *namespace_, const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(stored); i++) {
        if (stored[i].kind == kind && text_eq(stored[i].name, name))
            return object_parse(stored[i].yaml, stored[i].type, ctx);
    }
    return NULL;
}
static const struct admission_facts facts = {.get = get};

#define CREATE ADMISSION_CREATE
#define UPDATE ADMISSION_UPDATE
#define DELETE ADMISSION_DELETE

struct row {
    const char *name;
    enum admission_operation operation;
    const char *resource, *subresource, *object_name;
    const char *object, *old; /* yaml */
    const char *want;         /* behind `… is forbidden: `; NULL: passes; a 404's whole message */
};

static void check_rows(const struct row *rows, size_t count, const char *group,
                       const ProtobufCMessageDescriptor *type)
{
    for (size_t i = 0; i < count; i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct admission_request request = {
            .user = &node_a,
            .operation = rows[i].operation,
            .group = group,
            .resource = rows[i].resource,
            .subresource = rows[i].subresource,
            .namespace_ = text_eq(rows[i].resource, "leases") ? "kube-node-lease" : "default",
            .name = rows[i].object_name,
            .object = rows[i].object ? object_parse(rows[i].object, type, arena) : NULL,
            .old = rows[i].old ? object_parse(rows[i].old, type, arena) : NULL,
            .facts = &facts,
            .facts_ctx = arena,
            .arena = arena,
        };
        const Meta__Status *failure = admission_node_restriction(&request);
        const char *got = failure ? failure->message : NULL;
        const char *behind = got ? strstr(got, " is forbidden: ") : NULL;
        if (behind)
            got = behind + strlen(" is forbidden: ");
        if (!text_eq(got, rows[i].want))
            fail_msg("%s: %s", rows[i].name, failure ? failure->message : "passed");
        if (failure)
            assert_int_equal(failure->code, behind ? 403 : 404);
    }
}

/* --- pods --- */

#define MIRROR(owner, spec)                                                                        \
    "{metadata: {name: web, annotations: {kubernetes.io/config.mirror: x}, ownerReferences: "      \
    "[" owner "]}, spec: {" spec "}}"
#define OWNER "{apiVersion: v1, kind: Node, name: node-a, uid: node-uid, controller: true}"
#define ON_A "nodeName: node-a"

static const struct row pod_rows[] = {
    {"a mirror pod", CREATE, "pods", NULL, NULL, MIRROR(OWNER, ON_A), NULL, NULL},
    {"an ordinary pod", CREATE, "pods", NULL, NULL, "{metadata: {name: web}}", NULL,
     "pod does not have \"kubernetes.io/config.mirror\" annotation, node \"node-a\" can only "
     "create "
     "mirror pods"},
    {"on another node", CREATE, "pods", NULL, NULL, MIRROR(OWNER, "nodeName: node-b"), NULL,
     "node \"node-a\" can only create pods with spec.nodeName set to itself"},
    {"without an owner", CREATE, "pods", NULL, NULL, MIRROR("", ON_A), NULL,
     "node \"node-a\" can only create pods with an owner reference set to itself"},
    {"with two owners", CREATE, "pods", NULL, NULL, MIRROR(OWNER ", " OWNER, ON_A), NULL,
     "node \"node-a\" can only create pods with a single owner reference set to itself"},
    {"owned by another node", CREATE, "pods", NULL, NULL,
     MIRROR("{apiVersion: v1, kind: Node, name: node-b, uid: u, controller: true}", ON_A), NULL,
     "node \"node-a\" can only create pods with an owner reference set to itself"},
    {"owned, not controlled", CREATE, "pods", NULL, NULL,
     MIRROR("{apiVersion: v1, kind: Node, name: node-a, uid: node-uid}", ON_A), NULL,
     "node \"node-a\" can only create pods with a controller owner reference set to itself"},
    {"blocking the node's end", CREATE, "pods", NULL, NULL,
     MIRROR("{apiVersion: v1, kind: Node, name: node-a, uid: node-uid, controller: true, "
            "blockOwnerDeletion: true}",
            ON_A),
     NULL, "node \"node-a\" must not set blockOwnerDeletion on an owner reference"},
    {"of an older node", CREATE, "pods", NULL, NULL,
     MIRROR("{apiVersion: v1, kind: Node, name: node-a, uid: old, controller: true}", ON_A), NULL,
     "node node-a UID mismatch: expected old got node-uid"},
    {"with an account", CREATE, "pods", NULL, NULL,
     MIRROR(OWNER, ON_A ", serviceAccountName: default"), NULL,
     "node \"node-a\" can not create pods that reference serviceaccounts"},
    {"with a secret", CREATE, "pods", NULL, NULL,
     MIRROR(OWNER, ON_A ", volumes: [{name: v, secret: {secretName: s}}]"), NULL,
     "node \"node-a\" can not create pods that reference secrets"},
    {"with a claim", CREATE, "pods", NULL, NULL,
     MIRROR(OWNER, ON_A ", volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]"), NULL,
     "node \"node-a\" can not create pods that reference persistentvolumeclaims"},
    {"changing one", UPDATE, "pods", NULL, "mine", "{}", "{}",
     "unexpected operation \"UPDATE\", node \"node-a\" can only create and delete mirror pods"},
    {"deleting its own", DELETE, "pods", NULL, "mine", NULL, NULL, NULL},
    {"deleting another's", DELETE, "pods", NULL, "theirs", NULL, NULL,
     "node \"node-a\" can only delete pods with spec.nodeName set to itself"},
    {"deleting nothing", DELETE, "pods", NULL, "gone", NULL, NULL, "pods \"gone\" not found"},
    {"deleting what it was shown", DELETE, "pods", NULL, "gone", NULL, "{spec: {nodeName: node-a}}",
     NULL},
    {"binding", CREATE, "pods", "binding", "mine", "{}", NULL,
     "unexpected pod subresource \"binding\", only 'status' and 'eviction' are allowed"},
    {"status", UPDATE, "pods", "status", "mine",
     "{metadata: {labels: {b: '2', a: '1'}}, spec: {nodeName: node-a}, status: {phase: Running}}",
     "{metadata: {labels: {a: '1', b: '2'}}, spec: {nodeName: node-a}}", NULL},
    {"status of another's", UPDATE, "pods", "status", "theirs", "{spec: {nodeName: node-a}}",
     "{spec: {nodeName: node-b}}",
     "node \"node-a\" can only update pod status for pods with spec.nodeName set to itself"},
    {"labels through status", UPDATE, "pods", "status", "mine",
     "{metadata: {labels: {a: '2'}}, spec: {nodeName: node-a}}",
     "{metadata: {labels: {a: '1'}}, spec: {nodeName: node-a}}",
     "node \"node-a\" cannot update labels through pod status"},
    {"claims through status", UPDATE, "pods", "status", "mine",
     "{spec: {nodeName: node-a}, status: {resourceClaimStatuses: [{name: g, resourceClaimName: "
     "x}]}}",
     "{spec: {nodeName: node-a}}", "node \"node-a\" cannot update resource claim statues"},
    {"extended claims through status", UPDATE, "pods", "status", "mine",
     "{spec: {nodeName: node-a}, status: {extendedResourceClaimStatus: {resourceClaimName: x}}}",
     "{spec: {nodeName: node-a}}", "node \"node-a\" cannot update extended resource claim status"},
    {"evicting its own", CREATE, "pods", "eviction", "mine", "{}", NULL, NULL},
    {"evicting by the body", CREATE, "pods", "eviction", NULL, "{metadata: {name: mine}}", NULL,
     NULL},
    {"evicting another's", CREATE, "pods", "eviction", "theirs", "{}", NULL,
     "node node-a can only evict pods with spec.nodeName set to itself"},
    {"evicting nothing", CREATE, "pods", "eviction", "gone", "{}", NULL, "pods \"gone\" not found"},
    {"evicting whom", CREATE, "pods", "eviction", NULL, "{}", NULL,
     "could not determine pod from request data"},
};

TEST_CASE(a_node_writes_its_own_pods_only)
{
    check_rows(pod_rows, ARRAY_SIZE(pod_rows), "", &core__pod__descriptor);
}

/* --- nodes --- */

#define NODE(labels, spec)                                                                         \
    "{metadata: {name: node-a, uid: node-uid, labels: {" labels "}}, spec: {" spec "}}"

static const struct row node_rows[] = {
    {"registering", CREATE, "nodes", NULL, NULL,
     NODE("kubernetes.io/hostname: h, kubernetes.io/os: linux, node.kubernetes.io/x: v, "
          "sub.kubelet.kubernetes.io/x: v, example.com/x: v, plain: v",
          "taints: [{key: k, effect: NoSchedule}]"),
     NULL, NULL},
    {"registering another", CREATE, "nodes", NULL, NULL, "{metadata: {name: node-b}}", NULL,
     "node \"node-a\" is not allowed to modify node \"node-b\""},
    {"with labels of others", CREATE, "nodes", NULL, NULL,
     NODE("node-role.kubernetes.io/master: '', node-restriction.kubernetes.io/x: v, "
          "a.node-restriction.kubernetes.io/x: v, foo.k8s.io/x: v",
          ""),
     NULL,
     "node \"node-a\" is not allowed to set the following labels: "
     "a.node-restriction.kubernetes.io/x, foo.k8s.io/x, node-restriction.kubernetes.io/x, "
     "node-role.kubernetes.io/master"},
    {"with a config source", CREATE, "nodes", NULL, NULL,
     NODE("", "configSource: {configMap: {name: x}}"), NULL,
     "node \"node-a\" is not allowed to create pods with a non-nil configSource"},
    {"changing its status", UPDATE, "nodes", "status", "node-a",
     "{metadata: {name: node-a}, status: {phase: x}}", "{metadata: {name: node-a}}", NULL},
    {"changing another", UPDATE, "nodes", "status", "node-b", "{}", "{}",
     "node \"node-a\" is not allowed to modify node \"node-b\""},
    {"a label of its own", UPDATE, "nodes", NULL, "node-a", NODE("kubernetes.io/arch: arm", ""),
     NODE("kubernetes.io/arch: amd64", ""), NULL},
    {"a label taken away", UPDATE, "nodes", NULL, "node-a", NODE("", ""),
     NODE("node-role.kubernetes.io/x: ''", ""),
     "is not allowed to modify labels: node-role.kubernetes.io/x"},
    {"a label changed", UPDATE, "nodes", NULL, "node-a", NODE("node-role.kubernetes.io/x: b", ""),
     NODE("node-role.kubernetes.io/x: a", ""),
     "is not allowed to modify labels: node-role.kubernetes.io/x"},
    {"labels that stay", UPDATE, "nodes", NULL, "node-a", NODE("node-role.kubernetes.io/x: a", ""),
     NODE("node-role.kubernetes.io/x: a", ""), NULL},
    {"taints", UPDATE, "nodes", NULL, "node-a", NODE("", ""),
     NODE("", "taints: [{key: k, effect: NoSchedule}]"),
     "node \"node-a\" is not allowed to modify taints"},
    {"an owner", UPDATE, "nodes", NULL, "node-a",
     "{metadata: {name: node-a, ownerReferences: [{apiVersion: v1, kind: X, name: x, uid: u}]}}",
     "{metadata: {name: node-a}}", "node \"node-a\" is not allowed to modify ownerReferences"},
    {"a new config source", UPDATE, "nodes", NULL, "node-a",
     NODE("", "configSource: {configMap: {name: x}}"), NODE("", ""),
     "node \"node-a\" is not allowed to update configSource to a new non-nil configSource"},
    {"the old config source", UPDATE, "nodes", NULL, "node-a",
     NODE("", "configSource: {configMap: {name: x}}"),
     NODE("", "configSource: {configMap: {name: x}}"), NULL},
};

TEST_CASE(a_node_says_of_itself_only_what_it_may)
{
    check_rows(node_rows, ARRAY_SIZE(node_rows), "", &core__node__descriptor);
}

/* --- claims --- */

static const struct row claim_rows[] = {
    {"the object", UPDATE, "persistentvolumeclaims", NULL, "c", "{}", "{}",
     "may only update PVC status"},
    {"a resize", UPDATE, "persistentvolumeclaims", "status", "c",
     "{metadata: {name: c, resourceVersion: '2'}, status: {phase: Bound, capacity: {storage: 2Gi}, "
     "conditions: [{type: Resizing, status: 'True'}], allocatedResources: {storage: 2Gi}, "
     "allocatedResourceStatuses: {storage: NodeResizePending}}}",
     "{metadata: {name: c, resourceVersion: '1'}, status: {phase: Bound, capacity: {storage: "
     "1Gi}}}",
     NULL},
    {"the phase", UPDATE, "persistentvolumeclaims", "status", "c", "{status: {phase: Lost}}",
     "{status: {phase: Bound}}",
     "node \"node-a\" is not allowed to update fields other than status.quantity and "
     "status.conditions"},
    {"a label", UPDATE, "persistentvolumeclaims", "status", "c", "{metadata: {labels: {a: b}}}",
     "{metadata: {}}",
     "node \"node-a\" is not allowed to update fields other than status.quantity and "
     "status.conditions"},
};

TEST_CASE(a_node_writes_the_results_of_a_resize_only)
{
    check_rows(claim_rows, ARRAY_SIZE(claim_rows), "", &core__persistent_volume_claim__descriptor);
}

/* --- tokens --- */

#define TOKEN(audiences, ref) "{spec: {audiences: [" audiences "], boundObjectRef: {" ref "}}}"
#define TO_MINE "apiVersion: v1, kind: Pod, name: mine, uid: mine-uid"
#define NOT_FOUND(audience)                                                                        \
    "audience \"" audience                                                                         \
    "\" not found in pod spec volume, system:node:node-a is not authorized "                       \
    "to request tokens for this audience"

static const struct row token_rows[] = {
    {"the API server's", CREATE, "serviceaccounts", "token", "web", TOKEN("", TO_MINE), NULL, NULL},
    {"a projected one", CREATE, "serviceaccounts", "token", "web", TOKEN("vault", TO_MINE), NULL,
     NULL},
    {"an inline driver's", CREATE, "serviceaccounts", "token", "web", TOKEN("inline", TO_MINE),
     NULL, NULL},
    {"a claim's driver's", CREATE, "serviceaccounts", "token", "web", TOKEN("claimed", TO_MINE),
     NULL, NULL},
    {"nobody's", CREATE, "serviceaccounts", "token", "web", TOKEN("other", TO_MINE), NULL,
     NOT_FOUND("other")},
    {"a pod without volumes", CREATE, "serviceaccounts", "token", "web",
     TOKEN("", "apiVersion: v1, kind: Pod, name: bare, uid: bare-uid"), NULL, NOT_FOUND("")},
    {"two at once", CREATE, "serviceaccounts", "token", "web", TOKEN("vault, inline", TO_MINE),
     NULL, "node may only request 0 or 1 audiences"},
    {"bound to nothing", CREATE, "serviceaccounts", "token", "web", "{spec: {}}", NULL,
     "node requested token not bound to a pod"},
    {"bound to a secret", CREATE, "serviceaccounts", "token", "web",
     TOKEN("", "apiVersion: v1, kind: Secret, name: s, uid: u"), NULL,
     "node requested token not bound to a pod"},
    {"without a uid", CREATE, "serviceaccounts", "token", "web",
     TOKEN("", "apiVersion: v1, kind: Pod, name: mine"), NULL,
     "node requested token with a pod binding without a uid"},
    {"for a pod that is gone", CREATE, "serviceaccounts", "token", "web",
     TOKEN("", "apiVersion: v1, kind: Pod, name: gone, uid: u"), NULL, "pods \"gone\" not found"},
    {"for an older pod", CREATE, "serviceaccounts", "token", "web",
     TOKEN("", "apiVersion: v1, kind: Pod, name: mine, uid: old"), NULL,
     "the UID in the bound object reference (old) does not match the UID in record. The object "
     "might have been deleted and then recreated"},
    {"for a pod elsewhere", CREATE, "serviceaccounts", "token", "web",
     TOKEN("", "apiVersion: v1, kind: Pod, name: theirs, uid: theirs-uid"), NULL,
     "node requested token bound to a pod scheduled on a different node"},
};

TEST_CASE(a_node_gets_tokens_for_its_pods_only)
{
    check_rows(token_rows, ARRAY_SIZE(token_rows), "", &authentication__token_request__descriptor);
}

/* --- objects of its name --- */

static const struct row lease_rows[] = {
    {"its own", CREATE, "leases", NULL, NULL, "{metadata: {name: node-a}}", NULL, NULL},
    {"another's", CREATE, "leases", NULL, NULL, "{metadata: {name: node-b}}", NULL,
     "can only access node lease with the same name as the requesting node"},
    {"changing another's", UPDATE, "leases", NULL, "node-b", "{}", "{}",
     "can only access node lease with the same name as the requesting node"},
    {"deleting its own", DELETE, "leases", NULL, "node-a", NULL, NULL, NULL},
};
static const struct row csi_rows[] = {
    {"its own", CREATE, "csinodes", NULL, NULL, "{metadata: {name: node-a}}", NULL, NULL},
    {"another's", UPDATE, "csinodes", NULL, "node-b", "{}", "{}",
     "can only access CSINode with the same name as the requesting node"},
};
static const struct row slice_rows[] = {
    {"its own", CREATE, "resourceslices", NULL, NULL, "{spec: {nodeName: node-a}}", NULL, NULL},
    {"another's", CREATE, "resourceslices", NULL, NULL, "{spec: {nodeName: node-b}}", NULL,
     "can only create ResourceSlice with the same NodeName as the requesting node"},
    {"deleting everybody's", DELETE, "resourceslices", NULL, "s", NULL, "{spec: {allNodes: true}}",
     "can only delete ResourceSlice with the same NodeName as the requesting node"},
};

TEST_CASE(a_node_writes_objects_of_its_own_name_only)
{
    check_rows(lease_rows, ARRAY_SIZE(lease_rows), "coordination.k8s.io",
               &coordination__lease__descriptor);
    check_rows(csi_rows, ARRAY_SIZE(csi_rows), "storage.k8s.io", &storage__csinode__descriptor);
    check_rows(slice_rows, ARRAY_SIZE(slice_rows), "resource.k8s.io",
               &resource__resource_slice__descriptor);
}

TEST_CASE(a_lease_elsewhere_is_nobody_s)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct admission_request request = {.user = &node_a,
                                              .operation = ADMISSION_UPDATE,
                                              .group = "coordination.k8s.io",
                                              .resource = "leases",
                                              .namespace_ = "default",
                                              .name = "node-a",
                                              .arena = arena};
    assert_string_equal(admission_node_restriction(&request)->message,
                        "leases.coordination.k8s.io \"node-a\" is forbidden: can only access "
                        "leases in the \"kube-node-lease\" system namespace");
}

/* --- certificate requests --- */

static const Meta__Status *ask_csr(const char *signer, const char *common_name, struct arena *arena)
{
    AUTO(free)
    char *pem = request_pem(
        &(struct request_text){.common_name = common_name, .organizations = {"system:nodes"}});
    Certificates__CertificateSigningRequest *object =
        (Certificates__CertificateSigningRequest *)object_parse(
            arena_printf(arena, "{metadata: {name: r}, spec: {signerName: %s}}", signer),
            &certificates__certificate_signing_request__descriptor, arena);
    object->spec->has_request = true;
    object->spec->request.data = (uint8_t *)arena_strdup(arena, pem);
    object->spec->request.len = strlen(pem);
    const struct admission_request request = {.user = &node_a,
                                              .operation = ADMISSION_CREATE,
                                              .group = "certificates.k8s.io",
                                              .resource = "certificatesigningrequests",
                                              .object = &object->base,
                                              .arena = arena};
    return admission_node_restriction(&request);
}

TEST_CASE(a_node_asks_for_its_own_certificates_only)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    assert_null(ask_csr("kubernetes.io/kubelet-serving", "system:node:node-a", arena));
    assert_null(ask_csr("kubernetes.io/kube-apiserver-client", "anybody", arena));
    assert_string_equal(
        ask_csr("kubernetes.io/kube-apiserver-client-kubelet", "system:node:node-b", arena)
            ->message,
        "certificatesigningrequests.certificates.k8s.io \"r\" is forbidden: can only create a node "
        "CSR with CN=system:node:node-a");
}

/* --- who --- */

TEST_CASE(only_nodes_are_restricted_and_nameless_ones_wholly)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct admission_request request = {.user = &jane,
                                        .operation = ADMISSION_DELETE,
                                        .resource = "nodes",
                                        .name = "node-b",
                                        .arena = arena};
    assert_null(admission_node_restriction(&request));
    request.user = &nameless;
    request.resource = "services";
    assert_string_equal(admission_node_restriction(&request)->message,
                        "services \"node-b\" is forbidden: could not determine node from user "
                        "\"system:node:\"");
    request.user = &node_a;
    assert_null(admission_node_restriction(&request));
}

TEST_MAIN(TEST(a_node_writes_its_own_pods_only), TEST(a_node_says_of_itself_only_what_it_may),
          TEST(a_node_writes_the_results_of_a_resize_only),
          TEST(a_node_gets_tokens_for_its_pods_only),
          TEST(a_node_writes_objects_of_its_own_name_only), TEST(a_lease_elsewhere_is_nobody_s),
          TEST(a_node_asks_for_its_own_certificates_only),
          TEST(only_nodes_are_restricted_and_nameless_ones_wholly))
