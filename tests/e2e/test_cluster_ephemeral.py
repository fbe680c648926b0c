"""Ephemeral containers: `kubectl debug` on a pod that runs, what the debugger sees, how it ends and what stays as it was."""

import json
import signal
import subprocess

import pytest

import bed as beds
import children
import plane as planes
import test_golden
from agent import SLEEP, container_status, pod, shell

IMAGE = "docker.io/library/busybox:1.36"


def debugger(name, script, **more):
    return {**shell(name, script), "imagePullPolicy": "IfNotPresent", **more}


def add(space, name, *containers):
    return space.patch("pods", name, {"spec": {"ephemeralContainers": list(containers)}}, "ephemeralcontainers")


def entry(one, name):
    return next((c for c in one["status"].get("ephemeralContainerStatuses", []) if c["name"] == name), {"state": {}})


def wait_state(space, name, container, state):
    found = space.wait_pod(name, f"{container} is {state}", lambda p: state in entry(p, container)["state"])
    return entry(found, container)


@pytest.fixture
def web(space):
    """A pod that runs, and a check that nobody has touched its container since."""
    space.create(pod("web", shell("c", "echo started; " + SLEEP)))
    before = space.wait_running("web")
    yield before
    now = space.pod("web")
    assert container_status(now)["containerID"] == container_status(before)["containerID"]
    assert container_status(now)["restartCount"] == 0 and now["status"]["podIP"] == before["status"]["podIP"]


def test_kubectl_debug_sees_the_processes_of_its_target(space, web):
    if "--profile" not in space.kubectl("debug", "--help"):
        pytest.skip("this kubectl knows no `debug` of our day")
    space.kubectl("debug", "web", "-c", "shell", f"--image={IMAGE}", "--image-pull-policy=IfNotPresent", "--target=c",
                  "--profile=baseline", "--", "sh", "-c", "ps -o args; trap 'exit 0' TERM; sleep 3600 & wait")
    wait_state(space, "web", "shell", "running")
    beds.wait_for("its log", lambda: "echo started" in space.kubectl("logs", "web", "-c", "shell"))
    first = space.kubectl("exec", "web", "-c", "shell", "--", "cat", "/proc/1/cmdline")
    assert "echo started" in first, first
    assert space.pod("web")["status"]["phase"] == "Running"


def test_kubectl_debug_attaches(space, web):
    if "--profile" not in space.kubectl("debug", "--help"):
        pytest.skip("this kubectl knows no `debug` of our day")
    command = [planes.KUBECTL, "-n", space.namespace, "debug", "-i", "web", "-c", "talk", f"--image={IMAGE}",
               "--image-pull-policy=IfNotPresent", "--profile=baseline", "--", "sh", "-c", "read line; echo heard $line; " + SLEEP]
    with children.Child(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                        env=space.plane.environment()) as process:
        try:
            process.stdin.write(b"hello\n")
            process.stdin.flush()  # it stays open: the runtime lets go of the output with the input
            assert process.stdout.readline() == b"heard hello\n"
        finally:
            process.kill()
    wait_state(space, "web", "talk", "running")


def test_it_ends_once_and_looks_as_recorded(space, web):
    add(space, "web", debugger("once", "echo found it > /dev/termination-log; sleep 1; exit 3", targetContainerName="c"))
    found = wait_state(space, "web", "once", "terminated")
    assert found["state"]["terminated"]["exitCode"] == 3
    assert found["state"]["terminated"]["message"] == "found it\n"
    assert (found["ready"], found["restartCount"], found["lastState"]) == (False, 0, {})
    recorded = json.loads((test_golden.RECORDED / "api" / "pods.json").read_text())["items"]
    theirs = next(one for one in recorded if one["metadata"]["name"] == "hooks")["status"]["ephemeralContainerStatuses"][0]
    assert {*found, "user"} == {*theirs, "user"}  # containerd 1.6 tells of no user
    assert [reason for _, reason, _ in space.events("web")].count("Started") == 2
    # What else happens to the pod does not start it again.
    add(space, "web", *space.pod("web")["spec"]["ephemeralContainers"], debugger("next", SLEEP))
    wait_state(space, "web", "next", "running")
    assert entry(space.pod("web"), "once")["containerID"] == found["containerID"]
    names = [c["name"] for c in space.pod("web")["status"]["ephemeralContainerStatuses"]]
    assert names == ["next", "once"]


def test_it_has_what_other_containers_have(space, web):
    space.create({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "words"}, "data": {"word": "ice"}})
    add(space, "web", debugger("env", "echo $WORD $NAME; " + SLEEP, env=[
        {"name": "WORD", "valueFrom": {"configMapKeyRef": {"name": "words", "key": "word"}}},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]))
    wait_state(space, "web", "env", "running")
    beds.wait_for("its log", lambda: space.kubectl("logs", "web", "-c", "env") == "ice web\n")


def test_it_mounts_a_volume_that_others_write(space):
    space.create(pod("writer", shell("c", "echo shared > /v/f; " + SLEEP, volumeMounts=[{"name": "v", "mountPath": "/v"}]),
                     volumes=[{"name": "v", "emptyDir": {}}, {"name": "unused", "emptyDir": {}}]))
    before = space.wait_running("writer")
    add(space, "writer", debugger("reader", "cat /v/f; echo mine > /unused/f; " + SLEEP, volumeMounts=[
        {"name": "v", "mountPath": "/v"}, {"name": "unused", "mountPath": "/unused"}]))
    wait_state(space, "writer", "reader", "running")
    beds.wait_for("its log", lambda: space.kubectl("logs", "writer", "-c", "reader") == "shared\n")
    assert container_status(space.pod("writer"))["containerID"] == container_status(before)["containerID"]


def test_an_image_that_is_not_there_hurts_nobody_else(space, web):
    add(space, "web", {**debugger("lost", "true"), "image": "no.such.registry.invalid/image:1", "imagePullPolicy": "Never"})
    found = wait_state(space, "web", "lost", "waiting")
    space.wait_pod("web", "it says why",
                   lambda p: entry(p, "lost")["state"].get("waiting", {}).get("reason") == "ErrImageNeverPull")
    assert found["restartCount"] == 0
    assert space.pod("web")["status"]["phase"] == "Running"


def test_a_target_that_has_not_started_is_named(space):
    space.create(pod("slow", shell("c", SLEEP), initContainers=[shell("first", "while [ ! -e /v/go ]; do sleep 0.1; done",
                                                                      volumeMounts=[{"name": "v", "mountPath": "/v"}])],
                     volumes=[{"name": "v", "emptyDir": {}}]))
    space.wait_pod("slow", "first runs", lambda p: any(
        "running" in c["state"] for c in p["status"].get("initContainerStatuses", [])))
    add(space, "slow", debugger("early", SLEEP, targetContainerName="c"), debugger("free", SLEEP))
    wait_state(space, "slow", "free", "running")  # before the pod is initialised
    found = wait_state(space, "slow", "early", "waiting")
    assert found["state"]["waiting"] == {"reason": "CreateContainerConfigError",
                                         "message": "unable to find target container c"}
    space.kubectl("exec", "slow", "-c", "first", "--", "touch", "/v/go")
    space.wait_running("slow")
    wait_state(space, "slow", "early", "running")


def test_an_agent_that_restarts_leaves_it_running(space, web):
    add(space, "web", debugger("stays", SLEEP))
    found = wait_state(space, "web", "stays", "running")
    space.node.restart(signal.SIGKILL)
    space.wait_ready()
    add(space, "web", *space.pod("web")["spec"]["ephemeralContainers"], debugger("later", SLEEP))
    wait_state(space, "web", "later", "running")
    assert entry(space.pod("web"), "stays")["containerID"] == found["containerID"]


def test_it_goes_with_its_pod(space):
    space.create(pod("job", shell("c", "while [ ! -e /tmp/go ]; do sleep 0.1; done"), restartPolicy="Never"))
    space.wait_running("job")
    add(space, "job", debugger("shell", SLEEP))
    wait_state(space, "job", "shell", "running")
    space.kubectl("exec", "job", "-c", "c", "--", "touch", "/tmp/go")
    over = space.wait_phase("job", "Succeeded")
    assert "terminated" in entry(over, "shell")["state"]
    space.delete("pods", "job")
    space.wait_gone("job")
