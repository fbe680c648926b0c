"""Pods with users of their own. Where the runtime cannot make them (containerd before 2.0, old runc) they are refused;
with one that can (see CONTAINERD in tests/lib/bed.py) they run, and the same tests look inside."""

import json

import bed as beds
import pytest
from agent import SLEEP, container_status, pod, shell

IDS = 65536


@pytest.fixture
def can(node):
    """Whether the runtime's default handler can make user namespaces."""
    handlers = node.bed.cri.call("Status").runtime_handlers
    return any(handler.features.user_namespaces for handler in handlers if handler.name == "")


def apply(node, name="u", **container):
    node.apply(f"{name}.yaml", pod(
        name, shell("c", "touch /data/mine; " + SLEEP, volumeMounts=[{"name": "data", "mountPath": "/data"}],
                    **container),
        volumes=[{"name": "data", "emptyDir": {}}], hostUsers=False))


def is_refused(node, name):
    text = ("Failed to create pod sandbox: can't set `spec.hostUsers: false`, "
            "runtime does not support user namespaces")
    beds.wait_for("the refusal", lambda: text in node.log())
    assert container_status(node.pod(name))["state"]["waiting"]["reason"] == "ContainerCreating"
    assert not (node.pod_dir(node.pod(name)) / "userns").exists()


def mapping_of(node, running, ids=IDS):
    """The host id in the pod's file, which must be in a kubelet's form."""
    path = node.pod_dir(running) / "userns"
    assert path.stat().st_mode & 0o7777 == 0o600
    text = path.read_text()
    host_id = json.loads(text)["uidMappings"][0]["hostId"]
    one = f'[{{"hostId":{host_id},"containerId":0,"length":{ids}}}]'
    assert text == f'{{"uidMappings":{one},"gidMappings":{one}}}'
    assert host_id % ids == 0 and host_id > 0
    return host_id


def test_a_pod_of_its_own_users_is_root_only_inside(node, can):
    apply(node)
    if not can:
        is_refused(node, "u")
        return
    running = node.wait_running("u")
    host_id = mapping_of(node, running)
    for name in ("uid_map", "gid_map"):
        assert node.exec(running, "cat", f"/proc/self/{name}").split() == ["0", str(host_id), str(IDS)]
    assert node.exec(running, "id", "-u") == "0\n"
    assert node.exec(running, "stat", "-c", "%u", "/data/mine", "/etc/hosts", "/dev/termination-log") == "0\n0\n0\n"
    data = node.pod_dir(running) / "volumes" / "kubernetes.io~empty-dir" / "data" / "mine"
    beds.wait_for("its file", data.exists)
    assert data.stat().st_uid == 0, "mounts are mapped, so that volumes keep the ids of the pod"


def test_every_kind_of_mount_is_the_pods_own(node, can):
    (node.dir / "shared").mkdir()
    (node.dir / "shared" / "old").write_text("old")
    mounts = [{"name": "memory", "mountPath": "/memory"}, {"name": "host", "mountPath": "/host"},
              {"name": "host", "mountPath": "/part", "subPath": "sub"}, {"name": "labels", "mountPath": "/labels"}]
    node.apply("u.yaml", pod(
        "u", shell("c", SLEEP, volumeMounts=mounts), hostUsers=False, securityContext={"fsGroup": 2000},
        volumes=[{"name": "memory", "emptyDir": {"medium": "Memory"}},
                 {"name": "host", "hostPath": {"path": str(node.dir / "shared")}},
                 {"name": "labels", "downwardAPI": {"items": [
                     {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}}]))
    if not can:
        is_refused(node, "u")
        return
    running = node.wait_running("u")
    assert node.exec(running, "stat", "-c", "%u:%g", "/memory", "/host/old", "/part") == "0:2000\n0:0\n0:0\n"
    assert node.exec(running, "cat", "/labels/name") == f"u-{beds.NODE_NAME}"
    node.exec(running, "touch", "/memory/new", "/host/new", "/part/new")
    assert (node.dir / "shared" / "new").stat().st_uid == 0
    assert (node.dir / "shared" / "sub" / "new").stat().st_uid == 0


def test_the_ids_outlive_the_agent_and_go_with_the_pod(node, can):
    apply(node)
    if not can:
        is_refused(node, "u")
        return
    before = node.wait_running("u")
    host_id = mapping_of(node, before)
    node.restart()
    after = node.wait_running("u")
    assert container_status(after)["containerID"] == container_status(before)["containerID"]
    assert mapping_of(node, after) == host_id
    apply(node, "v")
    assert mapping_of(node, node.wait_running("v")) != host_id
    node.remove("u.yaml")
    node.wait_gone("u")
    beds.wait_for("its directory to go", lambda: not node.pod_dir(before).exists())


def test_proc_is_unmasked_only_with_users_of_its_own(node, can):
    apply(node, securityContext={"procMount": "Unmasked"})
    if not can:
        is_refused(node, "u")
    else:
        running = node.wait_running("u")
        assert " /proc/sys " not in node.exec(running, "cat", "/proc/self/mountinfo")
    node.apply("h.yaml", pod("h", shell("c", SLEEP, securityContext={"procMount": "Unmasked"})))
    beds.wait_for("the refusal", lambda: "`hostUsers` must be false to use `Unmasked`" in node.log())
    assert node.pod("h") is None


def test_a_pod_gets_as_many_ids_as_are_configured(make_node, bed):
    node = make_node(config={"userNamespaces": {"idsPerPod": 2 * IDS}, "maxPods": 5}).start()
    apply(node)
    handlers = bed.cri.call("Status").runtime_handlers
    if not any(handler.features.user_namespaces for handler in handlers):
        is_refused(node, "u")
        return
    running = node.wait_running("u")
    host_id = mapping_of(node, running, 2 * IDS)
    assert node.exec(running, "cat", "/proc/self/uid_map").split() == ["0", str(host_id), str(2 * IDS)]


def test_ids_that_two_pods_claim_end_the_start(make_node):
    node = make_node()
    one = '[{"hostId":131072,"containerId":0,"length":65536}]'
    for uid in ("one", "two"):
        (node.root_dir / "pods" / uid).mkdir(parents=True)
        (node.root_dir / "pods" / uid / "userns").write_text(f'{{"uidMappings":{one},"gidMappings":{one}}}')
    code, output = node.run_to_its_end()
    assert code == 1
    assert "/userns (the ids of a pod; drain the node and remove the file)" in output
    assert "the ids from 131072 on are another pod's" in output
