#include "plane/table.h"

#include "base/fd.h"
#include "base/time.h"
#include "tests/lib/test.h"
#include "wire/json.h"

/* All rows are seen at this moment: 61 s after the recorded pods were made. */
#define NOW "2026-11-21T03:08:07Z"

static int64_t now_ns(void)
{
    int64_t now;
    assert_no_error(time_parse_rfc3339(STR_LITERAL(NOW), &now));
    return now;
}

/* The objects are written in YAML's braces, which are no JSON. */
static ProtobufCMessage *decode(const char *object_text, struct arena *arena,
                                const struct kube_kind **ret_kind)
{
    const char *yaml = arena_printf(arena, "---\n%s", object_text);
    const struct kube_decode_options strict = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *object;
    assert_no_error(kube_decode_any(str_from(yaml), KUBE_YAML, &strict, arena, ret_kind, &object));
    return object;
}

static const struct doc_node *parse(const struct buf *json, struct arena *arena)
{
    const struct doc_parse_options options = {.max_bytes = 16 * MiB, .reject_duplicates = true};
    const struct doc_node *node;
    assert_no_error(json_parse(buf_str(json), &options, arena, &node));
    return node;
}

/* "web|1/1|Running|0|61s"; a cell that is no text is written as JSON. */
static const char *join_cells(const struct doc_node *row, struct arena *arena)
{
    const struct doc_node *cells = doc_get(row, "cells");
    AUTO(buf) struct buf text;
    buf_init(&text, 64 * KiB);
    for (size_t i = 0; i < cells->array.count; i++) {
        const struct doc_node *cell = cells->array.items[i];
        if (i > 0)
            buf_add_char(&text, '|');
        if (cell->kind == DOC_STRING) {
            buf_add_str(&text, cell->string);
            continue;
        }
        struct json_writer writer;
        json_writer_init(&writer, &text, false);
        doc_write_node(&writer.base, cell);
    }
    return arena_strdup(arena, buf_text(&text));
}

/* The table of one object as a document. */
static const struct doc_node *table_of(const struct table_cells *cells, const char *yaml,
                                       enum table_include include, struct arena *arena)
{
    struct resource resource = {.table = cells};
    ProtobufCMessage *object = decode(yaml, arena, &resource.kind);
    AUTO(buf) struct buf out;
    buf_init(&out, 1 * MiB);
    struct table_writer *table = table_begin(&resource, NULL, true, include, now_ns(), arena, &out);
    table_add_row(table, object);
    table_end(table);
    assert_no_error(buf_error(&out, "table"));
    return parse(&out, arena);
}

static void assert_row(const struct table_cells *cells, const char *yaml, const char *want)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *table = table_of(cells, yaml, TABLE_INCLUDE_NONE, arena);
    const struct doc_node *rows = doc_get(table, "rows");
    assert_int_equal(rows->array.count, 1);
    const struct doc_node *row = rows->array.items[0];
    assert_int_equal(doc_get(row, "cells")->array.count,
                     doc_get(table, "columnDefinitions")->array.count);
    assert_string_equal(join_cells(row, arena), want);
}

/* --- recorded from a real cluster --- */

static char *read_data(const char *name)
{
    const char *data = getenv("CUBELET_TEST_DATA");
    assert_non_null(data);
    AUTO(free) char *path = xasprintf("%s/recorded/%s", data, name);
    AUTO(buf) struct buf text;
    buf_init(&text, 16 * MiB);
    assert_no_error(fd_read_file_blocking(path, &text));
    return xstrdup(buf_text(&text));
}

/* Takes the cells of a line of kubectl's output apart, which two blanks or more separate. */
static const char *split_line(struct str line, struct arena *arena)
{
    AUTO(buf) struct buf text;
    buf_init(&text, 4 * KiB);
    for (size_t i = 0; i < line.len; i++) {
        size_t blanks = 0;
        while (i + blanks < line.len && line.ptr[i + blanks] == ' ')
            blanks++;
        if (blanks >= 2 && i + blanks < line.len)
            buf_add_char(&text, '|');
        if (blanks >= 2)
            i += blanks - 1;
        else
            buf_add_char(&text, line.ptr[i]);
    }
    return arena_strdup(arena, buf_text(&text));
}

/* Each row compared with what kubectl printed; a column for the namespace comes first there when
 * @has_namespace. @list is a list's message or that of a single object. */
static void assert_recorded(const struct table_cells *cells, const char *objects,
                            const ProtobufCMessageDescriptor *list, const char *output,
                            bool has_namespace)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(free) char *text = read_data(objects);
    AUTO(free) char *printed = read_data(output);
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *message;
    assert_no_error(kube_decode_json(str_from(text), list, &options, arena, &message));
    size_t count = 1;
    ProtobufCMessage *const *items = &message;
    if (kube_list_meta(message))
        items = kube_list_items(message, &count);

    struct resource resource = {.table = cells};
    AUTO(buf) struct buf out;
    buf_init(&out, 1 * MiB);
    struct table_writer *table = table_begin(&resource, kube_list_meta(message), true,
                                             TABLE_INCLUDE_NONE, now_ns(), arena, &out);
    for (size_t i = 0; i < count; i++)
        table_add_row(table, items[i]);
    table_end(table);
    const struct doc_node *rows = doc_get(parse(&out, arena), "rows");

    struct str rest = str_from(printed);
    struct str line;
    assert_true(str_split_next(&rest, '\n', &line)); /* the header */
    for (size_t i = 0; i < count; i++) {
        assert_true(str_split_next(&rest, '\n', &line));
        const char *want = split_line(str_trim(line), arena);
        const char *have = join_cells(rows->array.items[i], arena);
        if (has_namespace)
            have = arena_printf(arena, "%s|%s", kube_object_meta(items[i])->namespace_, have);
        assert_string_equal(have, want);
    }
}

TEST_CASE(recorded_pods_look_as_kubectl_showed_them)
{
    assert_recorded(&table_pods, "api/pods.json", &core__pod_list__descriptor,
                    "kubectl/get-pods.txt", true);
}

TEST_CASE(a_recorded_node_looks_as_kubectl_showed_it)
{
    assert_recorded(&table_nodes, "api/node.json", &core__node__descriptor, "kubectl/get-nodes.txt",
                    false);
}

/* --- ages --- */

TEST_CASE(ages_are_told_as_people_know_them)
{
    static const struct {
        int64_t age_s;
        const char *want;
    } rows[] = {
        {-3, "<invalid>"},     {-1, "0s"},        {0, "0s"},
        {119, "119s"},         {120, "2m"},       {310, "5m10s"},
        {599, "9m59s"},        {600, "10m"},      {10799, "179m"},
        {10800, "3h"},         {10920, "3h2m"},   {28799, "7h59m"},
        {28800, "8h"},         {172799, "47h"},   {172800, "2d"},
        {273600, "3d4h"},      {691199, "7d23h"}, {691200, "8d"},
        {63071999, "729d"},    {63072000, "2y"},  {63158400, "2y1d"},
        {252287999, "7y364d"}, {252288000, "8y"}, {315360000, "10y"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    int64_t now = now_ns();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(table_age(now - rows[i].age_s * NS_PER_SEC, now, arena), rows[i].want);
    assert_string_equal(table_age(0, now, arena), "<unknown>");
    assert_string_equal(table_age(INT64_MIN, INT64_MAX, arena), "292y");
}

/* --- pods --- */

#define POD                                                                                        \
    "{apiVersion: v1, kind: Pod, metadata: {name: p, creationTimestamp: '2026-11-21T03:07:06Z'"

TEST_CASE(a_pods_status_is_that_of_its_containers)
{
    static const struct {
        const char *name, *pod, *want;
    } rows[] = {
        {"nothing is known yet", "}, spec: {containers: [{name: a}]}, status: {phase: Pending}}",
         "p|0/1|Pending|0|61s|<none>|<none>|<none>|<none>"},
        {"no status at all", "}}", "p|0/0||0|61s|<none>|<none>|<none>|<none>"},
        {"gated",
         "}, status: {phase: Pending, reason: X, conditions: [{type: PodScheduled, status: 'False',"
         " reason: SchedulingGated}]}}",
         "p|0/0|SchedulingGated|0|61s|<none>|<none>|<none>|<none>"},
        {"the first init container is under way",
         "}, spec: {initContainers: [{name: i}, {name: j}], containers: [{name: a}]}, status: "
         "{phase:"
         " Pending, initContainerStatuses: [{name: i, state: {running: {}}}, {name: j, state:"
         " {waiting: {reason: PodInitializing}}}], containerStatuses: [{name: a, restartCount: 7,"
         " state: {waiting: {reason: PodInitializing}}}]}}",
         "p|0/1|Init:0/2|0|61s|<none>|<none>|<none>|<none>"},
        {"the second one waits for its image",
         "}, spec: {initContainers: [{name: i}, {name: j}], containers: [{name: a}]}, status: "
         "{phase:"
         " Pending, initContainerStatuses: [{name: i, restartCount: 2, state: {terminated: "
         "{exitCode:"
         " 0, reason: Completed}}}, {name: j, state: {waiting: {reason: ImagePullBackOff}}}]}}",
         "p|0/1|Init:ImagePullBackOff|2|61s|<none>|<none>|<none>|<none>"},
        {"an init container was killed",
         "}, spec: {initContainers: [{name: i}], containers: [{name: a}]}, status: {phase: Pending,"
         " initContainerStatuses: [{name: i, state: {terminated: {exitCode: 137, signal: 9}}}]}}",
         "p|0/1|Init:Signal:9|0|61s|<none>|<none>|<none>|<none>"},
        {"an init container failed without a reason",
         "}, spec: {initContainers: [{name: i}], containers: [{name: a}]}, status: {phase: Pending,"
         " initContainerStatuses: [{name: i, state: {terminated: {exitCode: 3}}}]}}",
         "p|0/1|Init:ExitCode:3|0|61s|<none>|<none>|<none>|<none>"},
        {"a sidecar counts as a container, with its restarts",
         "}, spec: {initContainers: [{name: s, restartPolicy: Always}], containers: [{name: a}]},"
         " status: {phase: Running, initContainerStatuses: [{name: s, restartCount: 2, started: "
         "true,"
         " ready: true, state: {running: {}}, lastState: {terminated: {exitCode: 1, finishedAt:"
         " '2026-11-21T03:07:37Z'}}}], containerStatuses: [{name: a, restartCount: 1, ready: true,"
         " state: {running: {}}}]}}",
         "p|2/2|Running|3 (30s ago)|61s|<none>|<none>|<none>|<none>"},
        {"a sidecar that has not started holds the pod back",
         "}, spec: {initContainers: [{name: s, restartPolicy: Always}], containers: [{name: a}]},"
         " status: {phase: Pending, initContainerStatuses: [{name: s, started: false, state: "
         "{running:"
         " {}}}]}}",
         "p|0/2|Init:0/1|0|61s|<none>|<none>|<none>|<none>"},
        {"initialized pods whose init container runs again",
         "}, spec: {initContainers: [{name: i}], containers: [{name: a}]}, status: {phase: Running,"
         " conditions: [{type: Initialized, status: 'True'}], initContainerStatuses: [{name: i,"
         " restartCount: 4, state: {running: {}}}], containerStatuses: [{name: a, restartCount: 1,"
         " state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 1,"
         " finishedAt: '2026-11-21T03:03:07Z'}}}]}}",
         "p|0/1|CrashLoopBackOff|1 (5m ago)|61s|<none>|<none>|<none>|<none>"},
        {"one is done, another runs and is ready",
         "}, spec: {containers: [{name: a}, {name: b}]}, status: {phase: Running, conditions: "
         "[{type:"
         " Ready, status: 'True'}], containerStatuses: [{name: a, state: {terminated: {exitCode: 0,"
         " reason: Completed}}}, {name: b, ready: true, state: {running: {}}}]}}",
         "p|1/2|Running|0|61s|<none>|<none>|<none>|<none>"},
        {"one is done, another runs, the pod is not ready",
         "}, spec: {containers: [{name: a}, {name: b}]}, status: {phase: Running, conditions: "
         "[{type:"
         " Ready, status: 'False'}], containerStatuses: [{name: a, state: {terminated: {exitCode: "
         "0,"
         " reason: Completed}}}, {name: b, ready: true, state: {running: {}}}]}}",
         "p|1/2|NotReady|0|61s|<none>|<none>|<none>|<none>"},
        {"going",
         ", deletionTimestamp: '2026-11-21T03:08:30Z'}, spec: {containers: [{name: a}]}, status:"
         " {phase: Running, containerStatuses: [{name: a, ready: true, state: {running: {}}}]}}",
         "p|1/1|Terminating|0|61s|<none>|<none>|<none>|<none>"},
        {"done, and going",
         ", deletionTimestamp: '2026-11-21T03:08:30Z'}, spec: {containers: [{name: a}]}, status:"
         " {phase: Succeeded, containerStatuses: [{name: a, state: {terminated: {exitCode: 0, "
         "reason:"
         " Completed}}}]}}",
         "p|0/1|Completed|0|61s|<none>|<none>|<none>|<none>"},
        {"going with its node",
         ", deletionTimestamp: '2026-11-21T03:08:30Z'}, status: {phase: Running, reason: "
         "NodeLost}}",
         "p|0/0|Unknown|0|61s|<none>|<none>|<none>|<none>"},
        {"everything of -o wide",
         "}, spec: {nodeName: n1, readinessGates: [{conditionType: a}, {conditionType: b}]}, "
         "status:"
         " {phase: Running, podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}], nominatedNodeName: n2,"
         " conditions: [{type: a, status: 'True'}, {type: b, status: 'False'}]}}",
         "p|0/0|Running|0|61s|10.0.0.1|n1|n2|1/2"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(free) char *yaml = xasprintf("%s%s", POD, rows[i].pod);
        print_message("%s\n", rows[i].name);
        assert_row(&table_pods, yaml, rows[i].want);
    }
}

TEST_CASE(pods_that_are_done_are_marked_as_completed)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    static const char *const phases[] = {"Succeeded", "Failed", "Running"};
    for (size_t i = 0; i < ARRAY_SIZE(phases); i++) {
        const char *yaml = arena_printf(arena, "%s}, status: {phase: %s}}", POD, phases[i]);
        const struct doc_node *table = table_of(&table_pods, yaml, TABLE_INCLUDE_NONE, arena);
        const struct doc_node *row = doc_get(table, "rows")->array.items[0];
        const struct doc_node *conditions = doc_get(row, "conditions");
        if (i == 2) {
            assert_null(conditions);
            continue;
        }
        const struct doc_node *condition = conditions->array.items[0];
        assert_string_equal(doc_get(condition, "type")->string.ptr, "Completed");
        assert_string_equal(doc_get(condition, "reason")->string.ptr, phases[i]);
    }
}

/* --- other kinds --- */

#define AT ", creationTimestamp: '2026-11-21T03:07:06Z'"

TEST_CASE(each_kind_has_its_cells)
{
    static const struct {
        const struct table_cells *cells;
        const char *yaml, *want;
    } rows[] = {
        {&table_nodes,
         "{apiVersion: v1, kind: Node, metadata: {name: n1" AT
         ", labels: {node-role.kubernetes.io/worker: '', node-role.kubernetes.io/: '',"
         " kubernetes.io/role: db}}, spec: {unschedulable: true}, status: {conditions: [{type: "
         "Ready,"
         " status: 'False'}], nodeInfo: {kernelVersion: 6.1.0}, addresses: [{type: InternalIP, "
         "address: 10.0.0.1}, {type: InternalIP,"
         " address: 'fd00::1'}, {type: ExternalIP, address: 1.2.3.4}]}}",
         "n1|NotReady,SchedulingDisabled|db,worker|61s||10.0.0.1|1.2.3.4|<unknown>|6.1.0|<"
         "unknown>"},
        {&table_nodes, "{apiVersion: v1, kind: Node, metadata: {name: n1}}",
         "n1|Unknown|<none>|<unknown>||<none>|<none>|<unknown>|<unknown>|<unknown>"},
        {&table_namespaces,
         "{apiVersion: v1, kind: Namespace, metadata: {name: d" AT "}, status: {phase: Active}}",
         "d|Active|61s"},
        {&table_configmaps,
         "{apiVersion: v1, kind: ConfigMap, metadata: {name: c" AT
         "}, data: {a: b, c: d}, binaryData: {e: AA==}}",
         "c|3|61s"},
        {&table_secrets,
         "{apiVersion: v1, kind: Secret, metadata: {name: s" AT "}, type: Opaque, data: {a: AA==}}",
         "s|Opaque|1|61s"},
        {&table_serviceaccounts,
         "{apiVersion: v1, kind: ServiceAccount, metadata: {name: default" AT "}}",
         "default|0|61s"},
        {&table_leases,
         "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: l" AT
         "}, spec: {holderIdentity: node-a}}",
         "l|node-a|61s"},
        {&table_runtimeclasses,
         "{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: r" AT
         "}, handler: kata}",
         "r|kata|61s"},
        {&table_csrs,
         "{apiVersion: certificates.k8s.io/v1, kind: CertificateSigningRequest, metadata: {name: "
         "c" AT
         "}, spec: {request: AA==, signerName: example.com/s, username: jane, expirationSeconds:"
         " 3600}, status: {conditions: [{type: Approved, status: 'True'}, {type: Failed, status:"
         " 'True'}], certificate: AA==}}",
         "c|61s|example.com/s|jane|60m|Approved,Failed,Issued"},
        {&table_csrs,
         "{apiVersion: certificates.k8s.io/v1, kind: CertificateSigningRequest, metadata: {name: "
         "c" AT "}, spec: {request: AA==, username: jane}}",
         "c|61s|<none>|jane|<none>|Pending"},
        {NULL, "{apiVersion: v1, kind: ConfigMap, metadata: {name: c" AT "}}", "c|61s"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_row(rows[i].cells, rows[i].yaml, rows[i].want);
}

TEST_CASE(services_and_what_is_behind_them_have_their_cells)
{
    static const struct {
        const struct table_cells *cells;
        const char *yaml, *want;
    } rows[] = {
        {&table_services,
         "{apiVersion: v1, kind: Service, metadata: {name: s" AT
         "}, spec: {type: NodePort, clusterIPs: [10.96.0.1], externalIPs: [1.1.1.1, 2.2.2.2],"
         " selector: {b: c, a: b}, ports: [{port: 80, nodePort: 30080, protocol: TCP}, {port: 53,"
         " protocol: UDP}]}}",
         "s|NodePort|10.96.0.1|1.1.1.1,2.2.2.2|80:30080/TCP,53/UDP|61s|a=b,b=c"},
        {&table_services,
         "{apiVersion: v1, kind: Service, metadata: {name: s" AT
         "}, spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{ip: 9.9.9.9}, "
         "{hostname:"
         " lb}, {ip: 9.9.9.9}]}}}",
         "s|LoadBalancer|<none>|9.9.9.9,lb|<none>|61s|<none>"},
        {&table_services,
         "{apiVersion: v1, kind: Service, metadata: {name: s" AT "}, spec: {type: LoadBalancer}}",
         "s|LoadBalancer|<none>|<pending>|<none>|61s|<none>"},
        {&table_services,
         "{apiVersion: v1, kind: Service, metadata: {name: s" AT
         "}, spec: {type: ExternalName, externalName: example.com}}",
         "s|ExternalName|<none>|example.com|<none>|61s|<none>"},
        {&table_endpoints,
         "{apiVersion: v1, kind: Endpoints, metadata: {name: e" AT
         "}, subsets: [{addresses: [{ip: 10.0.0.1}, {ip: 'fd00::1'}], ports: [{port: 80}, {port:"
         " 443}]}]}",
         "e|10.0.0.1:80,[fd00::1]:80,10.0.0.1:443 + 1 more...|61s"},
        {&table_endpoints,
         "{apiVersion: v1, kind: Endpoints, metadata: {name: e" AT
         "}, subsets: [{addresses: [{ip: 10.0.0.1}]}]}",
         "e|10.0.0.1|61s"},
        {&table_endpoints, "{apiVersion: v1, kind: Endpoints, metadata: {name: e" AT "}}",
         "e|<none>|61s"},
        {&table_endpointslices,
         "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: e" AT
         "}, addressType: IPv4, endpoints: [{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]},"
         " {addresses: [10.0.0.3]}, {addresses: [10.0.0.4]}], ports: [{port: 80}, {name: dns}, "
         "{}]}",
         "e|IPv4|80,dns,*|10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...|61s"},
        {&table_endpointslices,
         "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: e" AT
         "}, addressType: IPv6, endpoints: []}",
         "e|IPv6|<unset>|<unset>|61s"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_row(rows[i].cells, rows[i].yaml, rows[i].want);
}

TEST_CASE(storage_has_its_cells)
{
    static const struct {
        const struct table_cells *cells;
        const char *yaml, *want;
    } rows[] = {
        {&table_persistentvolumes,
         "{apiVersion: v1, kind: PersistentVolume, metadata: {name: v" AT
         "}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteMany, ReadWriteOnce],"
         " persistentVolumeReclaimPolicy: Retain, storageClassName: fast, claimRef: {namespace: d,"
         " name: c}, volumeMode: Block}, status: {phase: Bound, reason: R}}",
         "v|1Gi|RWO,RWX|Retain|Bound|d/c|fast|<unset>|R|61s|Block"},
        {&table_persistentvolumes,
         "{apiVersion: v1, kind: PersistentVolume, metadata: {name: v" AT
         ", deletionTimestamp: '2026-11-21T03:07:06Z', annotations:"
         " {volume.beta.kubernetes.io/storage-class: old}}, spec: {storageClassName: fast}}",
         "v|0|||Terminating||old|<unset>||61s|<unset>"},
        {&table_persistentvolumeclaims,
         "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: c" AT
         "}, spec: {volumeName: v, storageClassName: fast, resources: {requests: {storage: 1Gi}}},"
         " status: {phase: Bound, accessModes: [ReadWriteOncePod], capacity: {storage: 2Gi}}}",
         "c|Bound|v|2Gi|RWOP|fast|<unset>|61s|<unset>"},
        {&table_persistentvolumeclaims,
         "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: c" AT
         "}, status: {phase: Pending, accessModes: [ReadWriteOnce]}}",
         "c|Pending|||||<unset>|61s|<unset>"},
        {&table_storageclasses,
         "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: s" AT
         ", annotations: {storageclass.kubernetes.io/is-default-class: 'true'}}, provisioner: p,"
         " allowVolumeExpansion: true, volumeBindingMode: WaitForFirstConsumer}",
         "s (default)|p|Delete|WaitForFirstConsumer|true|61s"},
        {&table_csidrivers,
         "{apiVersion: storage.k8s.io/v1, kind: CSIDriver, metadata: {name: d" AT
         "}, spec: {podInfoOnMount: true, tokenRequests: [{audience: a}, {audience: b}],"
         " volumeLifecycleModes: [Persistent, Ephemeral]}}",
         "d|true|true|false|a,b|false|Persistent,Ephemeral|61s"},
        {&table_csidrivers,
         "{apiVersion: storage.k8s.io/v1, kind: CSIDriver, metadata: {name: d" AT
         "}, spec: {attachRequired: false}}",
         "d|false|false|false|<unset>|false|<none>|61s"},
        {&table_csinodes,
         "{apiVersion: storage.k8s.io/v1, kind: CSINode, metadata: {name: n1" AT
         "}, spec: {drivers: [{name: d, nodeID: x}]}}",
         "n1|1|61s"},
        {&table_volumeattachments,
         "{apiVersion: storage.k8s.io/v1, kind: VolumeAttachment, metadata: {name: a" AT
         "}, spec: {attacher: d, nodeName: n1, source: {persistentVolumeName: v}}, status: "
         "{attached:"
         " true}}",
         "a|d|v|n1|true|61s"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_row(rows[i].cells, rows[i].yaml, rows[i].want);
}

TEST_CASE(events_of_both_groups_look_the_same)
{
    static const struct {
        const char *yaml, *want;
    } rows[] = {
        {"{apiVersion: v1, kind: Event, metadata: {name: e}, involvedObject: {kind: Pod, name: web,"
         " fieldPath: 'spec.containers{c}'}, type: Warning, reason: BackOff, message: \" it "
         "hurts\\n\","
         " source: {component: kubelet, host: n1}, count: 4, firstTimestamp: "
         "'2026-11-21T03:03:07Z',"
         " lastTimestamp: '2026-11-21T03:07:37Z'}",
         "30s|Warning|BackOff|pod/web|spec.containers{c}|kubelet, n1|it hurts|5m|4|e"},
        {"{apiVersion: events.k8s.io/v1, kind: Event, metadata: {name: e}, regarding: {kind: Pod,"
         " name: web, fieldPath: 'spec.containers{c}'}, type: Warning, reason: BackOff, note: it"
         " hurts, deprecatedSource: {component: kubelet, host: n1}, deprecatedCount: 4,"
         " deprecatedFirstTimestamp: '2026-11-21T03:03:07Z', deprecatedLastTimestamp:"
         " '2026-11-21T03:07:37Z'}",
         "30s|Warning|BackOff|pod/web|spec.containers{c}|kubelet, n1|it hurts|5m|4|e"},
        {"{apiVersion: v1, kind: Event, metadata: {name: e}, involvedObject: {kind: Node}, type:"
         " Normal, reason: R, message: m, eventTime: '2026-11-21T03:06:07.000000Z',"
         " reportingComponent: c}",
         "2m|Normal|R|node||c|m|2m|1|e"},
        {"{apiVersion: events.k8s.io/v1, kind: Event, metadata: {name: e}, regarding: {kind: Node},"
         " type: Normal, reason: R, note: m, eventTime: '2026-11-21T03:06:07.000000Z', series:"
         " {count: 9, lastObservedTime: '2026-11-21T03:08:00.000000Z'}, reportingController: c,"
         " reportingInstance: i}",
         "7s|Normal|R|node||c, i|m|2m|9|e"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_row(&table_events, rows[i].yaml, rows[i].want);
}

/* --- the frame --- */

TEST_CASE(a_table_says_what_it_is)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct resource resource = {.table = &table_configmaps,
                                .kind = kube_kind_find("v1", "ConfigMap")};
    Meta__ListMeta meta = META__LIST_META__INIT;
    char version[] = "17", token[] = "more";
    meta.resource_version = version;
    meta.continue_ = token;
    AUTO(buf) struct buf out;
    buf_init(&out, 64 * KiB);
    table_end(table_begin(&resource, &meta, true, TABLE_INCLUDE_NONE, now_ns(), arena, &out));
    const struct doc_node *table = parse(&out, arena);
    assert_string_equal(doc_get(table, "kind")->string.ptr, "Table");
    assert_string_equal(doc_get(table, "apiVersion")->string.ptr, "meta.k8s.io/v1");
    assert_string_equal(doc_get(doc_get(table, "metadata"), "resourceVersion")->string.ptr, "17");
    assert_string_equal(doc_get(doc_get(table, "metadata"), "continue")->string.ptr, "more");
    assert_int_equal(doc_get(table, "rows")->array.count, 0);
    const struct doc_node *columns = doc_get(table, "columnDefinitions");
    static const char *const names[] = {"Name", "Data", "Age"};
    assert_int_equal(columns->array.count, ARRAY_SIZE(names));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const struct doc_node *column = columns->array.items[i];
        assert_string_equal(doc_get(column, "name")->string.ptr, names[i]);
        assert_string_equal(doc_get(column, "format")->string.ptr, i == 0 ? "name" : "");
        assert_int_equal(doc_get(column, "priority")->integer, 0);
    }
}

TEST_CASE(later_tables_of_a_watch_leave_the_columns_out)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct resource resource = {.table = NULL};
    AUTO(buf) struct buf out;
    buf_init(&out, 64 * KiB);
    table_end(table_begin(&resource, NULL, false, TABLE_INCLUDE_NONE, 0, arena, &out));
    assert_int_equal(doc_get(parse(&out, arena), "columnDefinitions")->kind, DOC_NULL);
}

TEST_CASE(rows_carry_as_much_of_the_object_as_was_asked_for)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    static const struct {
        enum table_include include;
        const char *kind, *api_version;
        bool has_data;
    } rows[] = {
        {TABLE_INCLUDE_METADATA, "PartialObjectMetadata", "meta.k8s.io/v1", false},
        {TABLE_INCLUDE_OBJECT, "ConfigMap", "v1", true},
        {TABLE_INCLUDE_NONE, NULL, NULL, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct doc_node *table = table_of(
            &table_configmaps,
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: d}, data: {a: b}}",
            rows[i].include, arena);
        const struct doc_node *object = doc_get(doc_get(table, "rows")->array.items[0], "object");
        if (!rows[i].kind) {
            assert_int_equal(object->kind, DOC_NULL);
            continue;
        }
        assert_string_equal(doc_get(object, "kind")->string.ptr, rows[i].kind);
        assert_string_equal(doc_get(object, "apiVersion")->string.ptr, rows[i].api_version);
        assert_string_equal(doc_get(doc_get(object, "metadata"), "namespace")->string.ptr, "d");
        assert_int_equal(doc_get(object, "data") != NULL, rows[i].has_data);
    }
}

TEST_CASE(every_table_has_a_name_and_cells_that_fit_its_columns)
{
    size_t count;
    const struct resource *table = resource_table(&count);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        const struct resource *resource = &table[i];
        if ((resource->verbs & VERB_LIST) == 0)
            continue;
        AUTO(arena) struct arena *arena = arena_new(0);
        AUTO(buf) struct buf out;
        buf_init(&out, 64 * KiB);
        struct table_writer *writer =
            table_begin(resource, NULL, true, TABLE_INCLUDE_METADATA, now_ns(), arena, &out);
        /* An object without anything in it. */
        table_add_row(writer, kube_message_new(resource->kind->type, arena));
        table_end(writer);
        const struct doc_node *node = parse(&out, arena);
        const struct doc_node *columns = doc_get(node, "columnDefinitions");
        const struct doc_node *cells = doc_get(doc_get(node, "rows")->array.items[0], "cells");
        assert_int_equal(cells->array.count, columns->array.count);
        bool has_name = false;
        for (size_t c = 0; c < columns->array.count; c++)
            has_name |= str_eq_c(doc_get(columns->array.items[c], "name")->string, "Name");
        assert_true(has_name);
    }
}

TEST_MAIN(TEST(recorded_pods_look_as_kubectl_showed_them),
          TEST(a_recorded_node_looks_as_kubectl_showed_it), TEST(ages_are_told_as_people_know_them),
          TEST(a_pods_status_is_that_of_its_containers),
          TEST(pods_that_are_done_are_marked_as_completed), TEST(each_kind_has_its_cells),
          TEST(services_and_what_is_behind_them_have_their_cells), TEST(storage_has_its_cells),
          TEST(events_of_both_groups_look_the_same), TEST(a_table_says_what_it_is),
          TEST(later_tables_of_a_watch_leave_the_columns_out),
          TEST(rows_carry_as_much_of_the_object_as_was_asked_for),
          TEST(every_table_has_a_name_and_cells_that_fit_its_columns))
