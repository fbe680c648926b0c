"""Static pods as the cluster sees them: each has a mirror, which is only a picture."""

import signal

import bed as beds
from agent import SLEEP, condition, container_status, pod, shell

MIRROR = "kubernetes.io/config.mirror"
HASH = "kubernetes.io/config.hash"


def mirror_name(name):
    return f"{name}-{beds.NODE_NAME}"


def static(name, script=SLEEP, **more):
    return pod(name, shell("c", script), **more)


def apply(space, name, one):
    one["metadata"]["namespace"] = space.namespace
    space.node.apply(f"{name}.yaml", one)


def wait_mirror(space, name):
    return space.wait_running(mirror_name(name))


def remove(space, name):
    space.node.remove(f"{name}.yaml")
    space.wait_gone(mirror_name(name))


def containers_of(one):
    return [(s["name"], s["containerID"], s["restartCount"]) for s in one["status"]["containerStatuses"]]


def test_a_mirror_shows_the_static_pod_and_its_status(space):
    apply(space, "web", static("web", metadata={"labels": {"app": "web"}}))
    mirror = wait_mirror(space, "web")
    ours = space.node.pod("web")
    metadata = mirror["metadata"]
    assert metadata["uid"] != ours["metadata"]["uid"]
    assert metadata["annotations"][MIRROR] == metadata["annotations"][HASH] == ours["metadata"]["uid"]
    assert metadata["annotations"]["kubernetes.io/config.source"] == "file"
    assert metadata["annotations"]["kubernetes.io/config.seen"]
    assert metadata["labels"] == {"app": "web"}
    assert metadata["ownerReferences"] == [{"apiVersion": "v1", "kind": "Node", "name": space.name, "controller": True,
                                            "uid": space.node_object()["metadata"]["uid"]}]
    assert mirror["spec"]["nodeName"] == space.name
    assert {"effect": "NoExecute", "operator": "Exists"} in mirror["spec"]["tolerations"]
    assert containers_of(mirror) == containers_of(ours)
    assert mirror["status"]["podIP"] == ours["status"]["podIP"]
    remove(space, "web")
    assert not space.bed.cri.sandboxes(ours["metadata"]["uid"]) or space.node.wait_gone("web") is None


def test_a_mirror_that_people_delete_comes_back_and_nothing_else_happens(space):
    apply(space, "web", static("web"))
    before = wait_mirror(space, "web")
    for options in ({}, {"gracePeriodSeconds": 0}):
        uid = space.pod(mirror_name("web"))["metadata"]["uid"]
        space.delete("pods", mirror_name("web"), **options)
        after = space.wait_pod(mirror_name("web"), "a new one, with its status", lambda p, uid=uid: (
            p["metadata"]["uid"] != uid and condition(p, "Ready") == "True"))
        assert containers_of(after) == containers_of(before)
        assert after["status"]["startTime"] == before["status"]["startTime"]
    remove(space, "web")


def test_a_changed_manifest_replaces_pod_and_mirror(space):
    apply(space, "web", static("web"))
    before = wait_mirror(space, "web")
    apply(space, "web", static("web", metadata={"labels": {"version": "2"}}))
    after = space.wait_pod(mirror_name("web"), "the new one", lambda p: (
        p["metadata"].get("labels") == {"version": "2"} and condition(p, "Ready") == "True"))
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["metadata"]["annotations"][HASH] != before["metadata"]["annotations"][HASH]
    assert containers_of(after) != containers_of(before)
    remove(space, "web")


def test_several_changes_in_a_row_end_with_the_last(space):
    apply(space, "web", static("web", terminationGracePeriodSeconds=2))
    wait_mirror(space, "web")
    for number in range(4):
        apply(space, "web", static("web", terminationGracePeriodSeconds=2, metadata={"labels": {"version": str(number)}}))
    space.wait_pod(mirror_name("web"), "the last one", lambda p: (
        p["metadata"].get("labels") == {"version": "3"} and condition(p, "Ready") == "True"))
    running = space.bed.cri.messages.CONTAINER_RUNNING
    assert sum(c.state == running and c.labels["io.kubernetes.pod.namespace"] == space.namespace
               for c in space.bed.cri.containers()) == 1
    remove(space, "web")


def test_the_status_of_a_mirror_follows_its_pod(space):
    apply(space, "web", static("web", "sleep 1; exit 3"))
    found = space.wait_pod(mirror_name("web"), "restarted", lambda p: (
        (container_status(p) or {"restartCount": 0})["restartCount"] >= 1))
    assert container_status(found)["lastState"]["terminated"]["exitCode"] == 3
    assert space.wait_event(mirror_name("web"), "Started") == ("Normal", "Container started")
    remove(space, "web")


def test_a_mirror_outlives_the_agent_and_goes_with_its_manifest(space):
    apply(space, "stays", static("stays"))
    apply(space, "goes", static("goes"))
    stays, goes = wait_mirror(space, "stays"), wait_mirror(space, "goes")
    space.node.stop(signal.SIGKILL)
    space.node.remove("goes.yaml")
    space.node.start()
    space.wait_gone(mirror_name("goes"))
    beds.wait_for("its sandbox to go", lambda: not space.bed.cri.sandboxes(goes["metadata"]["annotations"][HASH]))
    after = space.pod(mirror_name("stays"))
    assert after["metadata"]["uid"] == stays["metadata"]["uid"]
    assert after["status"] == stays["status"]
    remove(space, "stays")


def test_a_mirror_waits_for_the_node(space):
    """Its owner must be there first; the pod itself waits for nobody."""
    with space.other_agent("--register-node=false") as node:
        space.delete("nodes", space.name)
        apply(space, "early", static("early"))
        node.start()
        assert condition(node.wait_running("early"), "Ready") == "True"
        assert space.pod(mirror_name("early")) is None
        space.create({"kind": "Node", "metadata": {"name": space.name}})
        mirror = wait_mirror(space, "early")
        assert mirror["metadata"]["ownerReferences"][0]["uid"] == space.node_object()["metadata"]["uid"]
    space.wait_ready()
    remove(space, "early")


def test_a_mirror_changed_by_hand_disturbs_nothing(space):
    apply(space, "web", static("web"))
    before = wait_mirror(space, "web")
    space.patch("pods", mirror_name("web"), {"metadata": {"labels": {"touched": "by-hand"}}})
    space.node.restart(signal.SIGTERM)
    after = wait_mirror(space, "web")
    assert containers_of(after) == containers_of(before)
    remove(space, "web")
