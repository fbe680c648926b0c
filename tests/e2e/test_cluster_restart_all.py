"""RestartAllContainers: one container's exit restarts the whole pod in place."""

import signal

import pytest

import bed as beds
from agent import SLEEP, pod, shell

MOUNT = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
RULES = {"restartPolicy": "Never", "restartPolicyRules": [
    {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}]}
WAIT = "while [ ! -e /v/go ]; do sleep 0.1; done; rm /v/go; exit 42"


def gang(name, **more):
    """init notes each of its runs; web asks for a restart of all once there is a file."""
    return pod(name, {**shell("web", WAIT), **MOUNT, **RULES},
               {**shell("log", SLEEP), "lifecycle": {"preStop": {"exec": {"command": ["touch", "/v/stopped"]}}}, **MOUNT},
               initContainers=[{**shell("init", "echo ran >> /v/runs"), **MOUNT},
                               {**shell("side", SLEEP), "restartPolicy": "Always"}],
               volumes=[{"name": "v", "emptyDir": {}}], **more)


def counts(one):
    status = one["status"]
    return {c["name"]: c["restartCount"] for c in status["initContainerStatuses"] + status["containerStatuses"]}


def restarting(one):
    return next((c for c in one["status"].get("conditions", []) if c["type"] == "AllContainersRestarting"), {})


def all_run_again(one, times):
    return set(counts(one).values()) == {times} and restarting(one).get("status") == "False" and all(
        "running" in c["state"] for c in one["status"]["containerStatuses"])


def test_all_containers_restart_in_place(space):
    space.create(gang("gang"))
    before = space.wait_running("gang")
    assert restarting(before)["status"] == "False" and "observedGeneration" not in restarting(before)
    sandboxes = [one.id for one in space.bed.cri.sandboxes(before["metadata"]["uid"])]
    with space.watch("pods") as watch:
        space.kubectl("exec", "gang", "-c", "log", "--", "touch", "/v/go")
        after = space.wait_pod("gang", "all have restarted", lambda p: all_run_again(p, 1))
        states = watch.objects("gang")
    assert after["status"]["podIP"] == before["status"]["podIP"]
    assert [one.id for one in space.bed.cri.sandboxes(before["metadata"]["uid"])] == sandboxes
    seen = [restarting(one) for one in states]
    started = next(c for c in seen if c["status"] == "True")
    assert (started["reason"], started["message"]) == ("RestartAllContainersStarted",
                                                       "container exited with restart policy rule")
    assert seen[-1]["status"] == "False"
    assert {one["status"]["phase"] for one in states} <= {"Running", "Pending"}
    for entry in after["status"]["containerStatuses"]:
        end = entry["lastState"]["terminated"]
        assert (end["reason"], end["exitCode"], end["message"]) == (
            "RestartingAllContainers", 137, "The container is removed because RestartAllContainers in place")
    # The volume is the same one, initialisation ran again, and no hook did.
    assert space.kubectl("exec", "gang", "-c", "log", "--", "cat", "/v/runs") == "ran\nran\n"
    assert space.kubectl("exec", "gang", "-c", "log", "--", "ls", "/v") == "runs\n"
    assert ("Normal", "Killing", "killing") in space.events("gang")
    # And again, with no back-off.
    space.kubectl("exec", "gang", "-c", "log", "--", "touch", "/v/go")
    space.wait_pod("gang", "all have restarted twice", lambda p: all_run_again(p, 2), timeout=9)


def test_a_debugger_survives_it(space):
    space.create(gang("gang"))
    space.wait_running("gang")
    space.patch("pods", "gang", {"spec": {"ephemeralContainers": [
        {**shell("debug", SLEEP), "imagePullPolicy": "IfNotPresent"}]}}, "ephemeralcontainers")
    found = space.wait_pod("gang", "the debugger runs", lambda p: "running" in (
        p["status"].get("ephemeralContainerStatuses") or [{"state": {}}])[0]["state"])
    space.kubectl("exec", "gang", "-c", "log", "--", "touch", "/v/go")
    after = space.wait_pod("gang", "all have restarted", lambda p: all_run_again(p, 1))
    assert after["status"]["ephemeralContainerStatuses"] == found["status"]["ephemeralContainerStatuses"]


def test_an_agent_that_dies_in_the_middle_finishes_it(space):
    space.create(gang("gang"))
    space.wait_running("gang")
    space.kubectl("exec", "gang", "-c", "log", "--", "touch", "/v/go")
    space.wait_pod("gang", "it restarts", lambda p: restarting(p).get("status") == "True" or counts(p)["web"] == 1)
    space.node.restart(signal.SIGKILL)
    space.wait_pod("gang", "all have restarted", lambda p: all_run_again(p, 1))
    assert space.kubectl("exec", "gang", "-c", "log", "--", "cat", "/v/runs") == "ran\nran\n"


def test_a_static_pod_may_ask_for_it(make_node):
    node = make_node().start()
    node.apply("gang.yaml", gang("gang"))
    before = node.wait_running("gang")
    node.client("exec", before["metadata"]["name"], "-c", "log", "--", "touch", "/v/go")
    after = node.wait_pod("gang", "all have restarted", lambda p: all_run_again(p, 1))
    assert after["status"]["podIP"] == before["status"]["podIP"]


@pytest.mark.parametrize("code", [0, 1])
def test_another_exit_code_ends_the_container_alone(space, code):
    space.create(pod("one", {**shell("web", f"exit {code}"), **RULES}, shell("log", SLEEP)))
    found = space.wait_pod("one", "web has ended", lambda p: any(
        "terminated" in c["state"] for c in p["status"].get("containerStatuses", [])))
    assert restarting(found)["status"] == "False"
    beds.wait_for("log", lambda: all(c["restartCount"] == 0 for c in space.pod("one")["status"]["containerStatuses"]))
