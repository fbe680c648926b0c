"""The node as the cluster sees it: its object, its conditions, its lease, its events, and what people are shown."""

import datetime
import json
import pathlib
import re
import signal

import pytest

import bed as beds
from agent import SLEEP, condition, pod, shell

RECORDED = pathlib.Path(__file__).resolve().parents[1] / "data" / "recorded" / "api"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
NOT_READY = "container runtime is down"


def recorded_node():
    return json.loads((RECORDED / "node.json").read_text())


def conditions(node):
    return [(c["type"], c["status"], c["reason"], c["message"]) for c in node["status"]["conditions"]]


def wait_node(cluster, what, predicate, timeout=30):
    def probe():
        node = cluster.node_object()
        return node if node and predicate(node) else None
    return beds.wait_for(f"node: {what}", probe, timeout)


def node_events(cluster, reason):
    return [event for event in cluster.events(cluster.name, namespace="default") if event[1] == reason]


# The object


def test_labels_annotations_and_addresses_are_a_kubelets(cluster):
    node, recorded = cluster.node_object(), recorded_node()
    assert node["metadata"]["labels"] == recorded["metadata"]["labels"]
    annotations = node["metadata"]["annotations"]
    assert annotations["volumes.kubernetes.io/controller-managed-attach-detach"] == "true"
    assert node["status"]["addresses"] == [{"type": "InternalIP", "address": beds.NODE_IP},
                                           {"type": "Hostname", "address": beds.NODE_NAME}]
    assert node["spec"].get("unschedulable") is None


def test_capacity_has_the_same_resources_in_the_same_notation(cluster):
    node, recorded = cluster.node_object(), recorded_node()
    ours = {name for name in recorded["status"]["capacity"] if not name.startswith("test.device/")}
    for part in ("capacity", "allocatable"):
        assert set(node["status"][part]) == ours
        for name in ours:
            def suffix(text):
                return re.sub(r"^\d+", "", text)
            assert suffix(node["status"][part][name]) == suffix(recorded["status"][part][name]), name
    memory = {part: int(node["status"][part]["memory"].removesuffix("Ki")) for part in ("capacity", "allocatable")}
    assert memory["capacity"] - memory["allocatable"] == 100 * 1024  # evictionHard memory.available 100Mi
    assert node["status"]["capacity"]["pods"] == "110"


def test_node_info_has_the_same_fields_and_what_this_machine_is(cluster):
    info, recorded = cluster.node_object()["status"]["nodeInfo"], recorded_node()["status"]["nodeInfo"]
    assert set(info) - {"swap"} == set(recorded) - {"swap"}
    assert info["kubeletVersion"].startswith(recorded["kubeletVersion"] + "+cubelet.") and info["operatingSystem"] == "linux"
    assert info["bootID"] == pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert info["containerRuntimeVersion"].startswith("containerd://")
    assert cluster.node_object()["status"]["daemonEndpoints"] == recorded_node()["status"]["daemonEndpoints"]


def test_runtime_handlers_and_features_are_the_runtimes(cluster):
    status = cluster.node_object()["status"]
    reply = cluster.bed.cri.call("Status")
    names = sorted(handler.name for handler in reply.runtime_handlers)
    assert [handler["name"] for handler in status.get("runtimeHandlers", [])] == names


def test_conditions_read_as_a_kubelets(cluster):
    assert conditions(cluster.node_object()) == conditions(recorded_node())


def test_images_are_listed_and_a_new_one_appears(cluster):
    def names():
        return {name for image in cluster.node_object()["status"].get("images", []) for name in image["names"]}
    beds.wait_for("busybox among the images", lambda: "docker.io/library/busybox:1.36" in names(), timeout=15)
    sizes = [image["sizeBytes"] for image in cluster.node_object()["status"]["images"]]
    assert sizes == sorted(sizes, reverse=True)


# The lease, the CSINode, the events


def test_the_lease_is_owned_and_renewed(cluster):
    def lease(renewed_after=""):
        code, answer = cluster.request("GET", f"{LEASES}/{cluster.name}")
        return answer if code == 200 and answer["spec"]["renewTime"] > renewed_after else None

    def seconds(one):
        return datetime.datetime.fromisoformat(one["spec"]["renewTime"].replace("Z", "+00:00")).timestamp()
    first = beds.wait_for("the lease", lease, timeout=12)  # a first attempt may come before the node
    node = cluster.node_object()
    assert first["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Node", "name": cluster.name, "uid": node["metadata"]["uid"]}]
    assert first["spec"]["holderIdentity"] == cluster.name and first["spec"]["leaseDurationSeconds"] == 40
    renewed = beds.wait_for("a renewal", lambda: lease(first["spec"]["renewTime"]), timeout=20)
    assert 9.5 < seconds(renewed) - seconds(first) < 15


def test_the_csi_node_is_owned_by_the_node(cluster):
    there = beds.wait_for("the CSINode", lambda: cluster.get("csinodes", cluster.name), timeout=10)
    recorded = json.loads((RECORDED / "csinode.json").read_text())["items"][0]
    assert there["metadata"]["ownerReferences"][0]["uid"] == cluster.node_object()["metadata"]["uid"]
    key = "storage.alpha.kubernetes.io/migrated-plugins"
    assert there["metadata"]["annotations"][key] == recorded["metadata"]["annotations"][key]
    assert not there["spec"].get("drivers")


@pytest.mark.parametrize("reason,message", [
    ("Starting", "Starting kubelet."),
    *[(reason, f"Node {beds.NODE_NAME} status is now: {reason}") for reason in (
        "NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID")],
    ("NodeAllocatableEnforced", "Updated Node Allocatable limit across pods")])
def test_the_start_of_a_node_is_told_in_events(cluster, reason, message):
    assert cluster.wait_event(cluster.name, reason, namespace="default", timeout=10) == ("Normal", message)
    event = next(event for event in cluster.get("events", namespace="default") if event["reason"] == reason)
    assert event["involvedObject"]["kind"] == "Node" and event["source"] == {"component": "kubelet", "host": cluster.name}


def test_kubectl_shows_the_node_as_people_know_it(cluster):
    header, row = cluster.kubectl("get", "nodes", "-o", "wide").splitlines()
    recorded_header = (RECORDED.parent / "kubectl" / "get-nodes.txt").read_text().splitlines()[0]
    assert header.split() == recorded_header.split()
    fields = row.split()
    assert (fields[0], fields[1], fields[2]) == (cluster.name, "Ready", "<none>")
    assert fields[4].startswith("v1.36.2+cubelet.") and beds.NODE_IP in fields and fields[-1].startswith("containerd://")
    text = cluster.kubectl("describe", "node", cluster.name)
    for expected in ("KubeletReady", "kubelet is posting ready status", "Kubelet Version:", "HolderIdentity:  node-a",
                     "Allocatable:", f"InternalIP:  {beds.NODE_IP}", "Non-terminated Pods:"):
        assert expected in text, text


# An existing node


def test_a_restarted_agent_adopts_its_node(cluster):
    cluster.patch("nodes", cluster.name, {
        "metadata": {"labels": {"kubernetes.io/hostname": "else", "kubernetes.io/os": "plan9", "mine": "kept",
                                "kubernetes.io/arch": None},
                     "annotations": {"mine": "kept"}},
        "spec": {"podCIDR": "10.88.0.0/24", "podCIDRs": ["10.88.0.0/24"],
                 "taints": [{"key": "dedicated", "value": "x", "effect": "PreferNoSchedule"}]}})
    before = cluster.node_object()
    cluster.node.restart(signal.SIGKILL)
    after = wait_node(cluster, "its labels as they were", lambda node: (
        node["metadata"]["labels"].get("kubernetes.io/hostname") == beds.NODE_NAME
        and node["metadata"]["labels"].get("kubernetes.io/os") == "linux"))
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["labels"] == {**recorded_node()["metadata"]["labels"], "mine": "kept"}
    assert after["metadata"]["annotations"]["mine"] == "kept"
    assert after["spec"] == before["spec"]
    assert condition(after, "Ready") == "True"
    beds.wait_for("the pods' address range told", lambda: cluster.node.log_lines(r'podCIDR="10\.88\.0\.0/24"'), timeout=10)
    cluster.patch("nodes", cluster.name, {"spec": {"taints": None}, "metadata": {"labels": {"mine": None}}})


def test_a_foreign_condition_stays_and_an_unknown_one_of_ours_is_mended(cluster):
    node = cluster.node_object()
    foreign = {"type": "NetworkUnavailable", "status": "False", "reason": "R", "message": "m",
               "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    unknown = {**next(c for c in node["status"]["conditions"] if c["type"] == "Ready"), "status": "Unknown",
               "reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}
    cluster.patch("nodes", cluster.name, {"status": {"conditions": [unknown, foreign]}}, "status")
    after = wait_node(cluster, "Ready again", lambda node: condition(node, "Ready") == "True", timeout=15)
    assert next(c for c in after["status"]["conditions"] if c["type"] == "NetworkUnavailable") == foreign


def test_a_node_that_was_deleted_under_the_agent_comes_back_with_the_next_one(cluster):
    """As upstream: a kubelet registers once; its node is made again when it starts again."""
    uid = cluster.node_object()["metadata"]["uid"]
    cluster.delete("nodes", cluster.name)
    assert cluster.node_object() is None
    cluster.node.restart(signal.SIGTERM)
    cluster.wait_ready()
    node = cluster.node_object()
    assert node["metadata"]["uid"] != uid
    beds.wait_for("the CSINode of the new node", lambda: (
        (cluster.get("csinodes", cluster.name) or {"metadata": {"ownerReferences": [{"uid": None}]}})["metadata"][
            "ownerReferences"][0]["uid"] == node["metadata"]["uid"]), timeout=20)


def test_an_agent_that_may_not_register_waits_for_its_node(cluster):
    """Its status begins once somebody else has made the object."""
    with cluster.other_agent("--register-node=false") as node:
        cluster.delete("nodes", cluster.name)
        node.start()
        beds.wait_for("that it looks for its node", lambda: node.log_lines("Joining the cluster"), timeout=10)
        assert cluster.node_object() is None
        cluster.create({"kind": "Node", "metadata": {"name": cluster.name, "labels": {"made": "by-hand"}}})
        cluster.wait_ready(timeout=20)
        assert cluster.node_object()["metadata"]["labels"]["made"] == "by-hand"
        assert cluster.node_object()["status"]["capacity"]["pods"] == "110"
    cluster.wait_ready()


def test_flags_shape_the_node_that_is_registered(cluster):
    flags = ("--node-labels=example.com/rack=r1", "--register-with-taints=dedicated=gpu:NoSchedule",
             "--hostname-override=node-a", "--node-ip=192.168.200.10")
    with cluster.other_agent(*flags, maxPods=7, systemReserved={"cpu": "100m", "memory": "64Mi"}) as node:
        cluster.delete("nodes", cluster.name)
        node.start()
        cluster.wait_ready()
        there = cluster.node_object()
        assert there["metadata"]["labels"]["example.com/rack"] == "r1"
        assert {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"} in there["spec"]["taints"]
        assert there["status"]["capacity"]["pods"] == "7"
        cpus = int(there["status"]["capacity"]["cpu"])
        assert there["status"]["allocatable"]["cpu"] == f"{cpus * 1000 - 100}m"
        cluster.delete("nodes", cluster.name)
    cluster.wait_ready()


def test_an_external_cloud_taints_the_node_and_gives_its_addresses(cluster):
    with cluster.other_agent("--cloud-provider=external", "--provider-id=cloud://x/1") as node:
        cluster.delete("nodes", cluster.name)
        node.start()
        there = wait_node(cluster, "registered", lambda node: node["status"].get("addresses"))
        assert {"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true",
                "effect": "NoSchedule"} in there["spec"]["taints"]
        assert there["spec"]["providerID"] == "cloud://x/1"
        assert there["status"]["addresses"] == [{"type": "Hostname", "address": beds.NODE_NAME}]
        cluster.delete("nodes", cluster.name)
    cluster.wait_ready()


# The runtime gone (last: it takes its time)


def test_a_node_without_its_runtime_is_not_ready_and_says_why(space):
    cluster = space
    cluster.create(pod("stays", shell("c", SLEEP)))
    before = cluster.wait_running("stays")
    cluster.bed.stop_containerd()
    try:
        node = wait_node(cluster, "NotReady", lambda node: condition(node, "Ready") == "False", timeout=120)
        message = next(c["message"] for c in node["status"]["conditions"] if c["type"] == "Ready")
        assert NOT_READY in message
        assert next(c["reason"] for c in node["status"]["conditions"] if c["type"] == "Ready") == "KubeletNotReady"
    finally:
        cluster.bed.start_containerd()
    cluster.wait_ready(timeout=30)
    assert cluster.wait_event(cluster.name, "NodeNotReady", namespace="default") == (
        "Normal", f"Node {cluster.name} status is now: NodeNotReady")
    assert cluster.wait_event(cluster.name, "NodeReady", namespace="default") == (
        "Normal", f"Node {cluster.name} status is now: NodeReady")
    after = cluster.wait_running("stays")
    assert after["status"]["containerStatuses"] == before["status"]["containerStatuses"]
