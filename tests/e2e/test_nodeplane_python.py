"""python3-kubernetes, the client most scripts use."""

import threading

import pytest

kubernetes = pytest.importorskip("kubernetes")


@pytest.fixture
def core(api):
    with api.client() as client:
        yield kubernetes.client.CoreV1Api(client)


def config_map(name, **data):
    return kubernetes.client.V1ConfigMap(metadata=kubernetes.client.V1ObjectMeta(name=name), data=data)


def failure(action, *arguments, **options):
    with pytest.raises(kubernetes.client.ApiException) as caught:
        action(*arguments, **options)
    return caught.value


def test_create_read_update_delete(core, namespace):
    created = core.create_namespaced_config_map(namespace, config_map("a", x="1"))
    assert (created.metadata.name, created.data) == ("a", {"x": "1"})
    created.data["x"] = "2"
    assert core.replace_namespaced_config_map("a", namespace, created).data == {"x": "2"}
    assert failure(core.replace_namespaced_config_map, "a", namespace, created).status == 409
    assert core.read_namespaced_config_map("a", namespace).data == {"x": "2"}
    assert core.delete_namespaced_config_map("a", namespace).status == "Success"
    error = failure(core.read_namespaced_config_map, "a", namespace)
    assert (error.status, error.reason) == (404, "Not Found")


def test_lists_with_selectors_and_pages(core, namespace):
    for number in range(5):
        item = config_map(f"m{number}")
        item.metadata.labels = {"parity": "odd" if number % 2 else "even"}
        core.create_namespaced_config_map(namespace, item)
    chosen = core.list_namespaced_config_map(namespace, label_selector="parity=odd")
    assert [item.metadata.name for item in chosen.items] == ["m1", "m3"]
    page = core.list_namespaced_config_map(namespace, limit=2, field_selector=f"metadata.namespace={namespace}")
    rest = core.list_namespaced_config_map(namespace, limit=50, _continue=page.metadata._continue)
    names = {item.metadata.name for item in page.items + rest.items}
    assert {f"m{number}" for number in range(5)} <= names


def test_patches(core, namespace):
    core.create_namespaced_config_map(namespace, config_map("a", x="1"))
    assert core.patch_namespaced_config_map("a", namespace, {"data": {"y": "2"}}).data == {"x": "1", "y": "2"}
    patched = core.patch_namespaced_config_map("a", namespace, [{"op": "remove", "path": "/data/x"}])
    assert patched.data == {"y": "2"}


def test_a_watch_goes_on_where_it_was(core, namespace):
    since = core.list_namespaced_config_map(namespace).metadata.resource_version
    core.create_namespaced_config_map(namespace, config_map("a", x="1"))

    def later():
        core.patch_namespaced_config_map("a", namespace, {"data": {"x": "2"}})
        core.delete_namespaced_config_map("a", namespace)

    timer = threading.Timer(0.3, later)
    timer.start()
    told = []
    watcher = kubernetes.watch.Watch()
    for event in watcher.stream(core.list_namespaced_config_map, namespace, resource_version=since, timeout_seconds=10):
        if event["object"].metadata.name != "a":
            continue
        told.append((event["type"], (event["object"].data or {}).get("x")))
        if event["type"] == "DELETED":
            watcher.stop()
    timer.join()
    assert told == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]


def test_a_watch_without_a_version_begins_with_what_is_there(core, namespace):
    core.create_namespaced_config_map(namespace, config_map("a"))
    watcher = kubernetes.watch.Watch()
    names = {event["object"].metadata.name
             for event in watcher.stream(core.list_namespaced_config_map, namespace, timeout_seconds=1)}
    assert "a" in names


def test_pods_have_defaults_and_statuses(core, namespace):
    spec = kubernetes.client.V1PodSpec(containers=[kubernetes.client.V1Container(name="c", image="busybox:1.36")])
    pod = core.create_namespaced_pod(namespace, kubernetes.client.V1Pod(
        metadata=kubernetes.client.V1ObjectMeta(generate_name="web-"), spec=spec))
    assert pod.metadata.name.startswith("web-") and len(pod.metadata.name) == 9
    assert (pod.spec.restart_policy, pod.spec.dns_policy, pod.status.phase) == ("Always", "ClusterFirst", "Pending")
    pod.status.phase = "Running"
    assert core.patch_namespaced_pod_status(pod.metadata.name, namespace, {"status": {"phase": "Running"}}).status.phase == "Running"
    assert core.read_namespaced_pod_status(pod.metadata.name, namespace).status.phase == "Running"
    spec.containers[0].name = "Not_A_Label"
    error = failure(core.create_namespaced_pod, namespace, kubernetes.client.V1Pod(
        metadata=kubernetes.client.V1ObjectMeta(name="bad"), spec=spec))
    assert error.status == 422 and "spec.containers[0].name" in error.body


def test_bindings_evictions_and_reviews(api, core, namespace):
    spec = {"containers": [{"name": "c", "image": "busybox:1.36"}], "schedulerName": "mine"}
    core.create_namespaced_pod(namespace, {"metadata": {"name": "web"}, "spec": spec})
    core.create_namespaced_pod_binding("web", namespace, {"metadata": {"name": "web"},
                                                          "target": {"kind": "Node", "name": "node-x"}}, _preload_content=False)
    assert core.read_namespaced_pod("web", namespace).spec.node_name == "node-x"
    code, answer = api.request("POST", f"/api/v1/namespaces/{namespace}/pods/web/eviction",
                               {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web"}})
    assert code == 201, answer
    assert core.read_namespaced_pod("web", namespace).metadata.deletion_timestamp
    core.delete_namespaced_pod("web", namespace, grace_period_seconds=0)
    authorization = kubernetes.client.AuthorizationV1Api(core.api_client)
    review = authorization.create_self_subject_access_review({"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}})
    assert review.status.allowed


def test_leases_as_leader_election_uses_them(api, namespace):
    with api.client() as client:
        leases = kubernetes.client.CoordinationV1Api(client)
        body = {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15,
                                                         "renewTime": "2026-01-01T00:00:00.123456Z"}}
        lease = leases.create_namespaced_lease(namespace, body)
        assert lease.spec.renew_time.microsecond == 123456
        first = lease.metadata.resource_version
        lease.spec.holder_identity = "b"
        leases.replace_namespaced_lease("leader", namespace, lease)
        lease.metadata.resource_version = first
        assert failure(leases.replace_namespaced_lease, "leader", namespace, lease).status == 409
