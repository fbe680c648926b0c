"""Pods from the API: their whole life with every status on the way, their ends good and bad, and what outlives the agent."""

import json
import signal
import time

import pytest

import bed as beds
from agent import SLEEP, condition, container_status, pod, shell

CONDITIONS = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]  # as a kubelet sends them
TERMINAL = ("Succeeded", "Failed")


def stubborn(name="c"):
    return {"name": name, "image": "docker.io/library/busybox:1.36",
            "command": ["sh", "-c", "trap '' TERM; while true; do sleep 1; done"]}


def distinct(values):
    return [value for i, value in enumerate(values) if i == 0 or values[i - 1] != value]


def state_of(one):
    """The one word that says what a container does."""
    return next(iter((container_status(one) or {"state": {"none": None}})["state"]))


def check_every_state(states, is_ended_by_deletion=True):
    """What holds of each status that a node tells, and between one and the next."""
    last = None
    for one in states:
        status = one["status"]
        kinds = [c["type"] for c in status.get("conditions", [])]
        if "startTime" not in status:
            assert last is None or "startTime" not in last["status"]
            continue
        assert kinds == CONDITIONS, kinds
        assert status["hostIP"] == beds.NODE_IP and status["hostIPs"] == [{"ip": beds.NODE_IP}]
        assert status["qosClass"]
        assert status["observedGeneration"] <= one["metadata"]["generation"]
        if condition(one, "Ready") == "True":
            assert condition(one, "ContainersReady") == "True"
        if condition(one, "ContainersReady") == "True":
            assert condition(one, "PodReadyToStartContainers") == condition(one, "Initialized") == "True"
            assert status["podIP"] and status["podIPs"] == [{"ip": status["podIP"]}]
            assert all(c["ready"] and c["started"] for c in status["containerStatuses"])
        if status["phase"] in TERMINAL:
            assert condition(one, "Ready") == condition(one, "ContainersReady") == "False"
            assert all("terminated" in c["state"] for c in status["containerStatuses"])
        if last is not None and "startTime" in last["status"]:
            assert status["startTime"] == last["status"]["startTime"]
            assert status["observedGeneration"] >= last["status"]["observedGeneration"]
            assert last["status"]["phase"] not in TERMINAL or status["phase"] == last["status"]["phase"]
            for before, now in zip(last["status"]["conditions"], status["conditions"]):
                assert before["status"] != now["status"] or before["lastTransitionTime"] == now["lastTransitionTime"]
        last = one


def test_a_pod_from_its_creation_to_its_end(space):
    with space.watch("pods") as watch:
        space.create(pod("life", shell("c", SLEEP)))
        space.wait_running("life")
        space.delete("pods", "life")
        watch.wait_deleted("life")
        states = watch.objects("life")
    check_every_state(states)
    assert distinct([one["status"]["phase"] for one in states]) == ["Pending", "Running", "Succeeded"]
    assert distinct([state_of(one) for one in states]) == ["none", "waiting", "running", "terminated"]
    starting = next(one for one in states if state_of(one) == "waiting")
    assert container_status(starting)["state"]["waiting"] == {"reason": "ContainerCreating"}
    assert condition(starting, "Initialized") == condition(starting, "PodScheduled") == "True"
    unready = next(c for c in starting["status"]["conditions"] if c["type"] == "Ready")
    assert (unready["status"], unready["reason"], unready["message"]) == (
        "False", "ContainersNotReady", "containers with unready status: [c]")
    running = next(one for one in states if state_of(one) == "running")
    found = container_status(running)
    assert found["containerID"].startswith("containerd://") and found["imageID"] and found["restartCount"] == 0
    assert found["image"] == "docker.io/library/busybox:1.36"
    if "user" in found:  # a runtime before CRI 1.31 does not tell
        assert found["user"]["linux"]["uid"] == found["user"]["linux"]["gid"] == 0
    ended = container_status(states[-1])["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["containerID"]) == (0, "Completed", found["containerID"])
    ready = next(c for c in states[-1]["status"]["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "PodCompleted")
    assert states[-1]["status"]["observedGeneration"] == states[-1]["metadata"]["generation"]


def test_the_events_of_a_plain_life(space):
    space.create(pod("told", shell("c", SLEEP)))
    space.wait_running("told")
    space.delete("pods", "told")
    space.wait_gone("told")
    space.wait_event("told", "Killing")
    assert [event for event in space.events("told") if event[1] != "Scheduled"] == [
        ("Normal", "Pulled", 'Container image "docker.io/library/busybox:1.36" already present on machine and can be accessed '
                             'by the pod'),
        ("Normal", "Created", "Container created"), ("Normal", "Started", "Container started"),
        ("Normal", "Killing", "Stopping container c")]


def test_people_run_and_delete_pods_with_kubectl(space):
    if not hasattr(space.plane, "node_kubeconfig") or "kube-apiserver" in str(space.plane.program):
        pytest.skip("needs a scheduler")
    space.kubectl("run", "web", "--image=docker.io/library/busybox:1.36", "--", "sh", "-c", "trap 'exit 0' TERM; " + SLEEP)
    space.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=20s")
    _, row = space.kubectl("get", "pods", "-o", "wide").splitlines()
    assert row.split()[:4] == ["web", "1/1", "Running", "0"] and space.name in row.split()
    text = space.kubectl("describe", "pod", "web")
    assert "Successfully assigned" in text and "Container started" in text
    space.kubectl("delete", "pod", "web", timeout=60)
    assert space.pod("web") is None


@pytest.mark.parametrize("policy,script,phase,exit_code,restarts", [
    ("Never", "exit 0", "Succeeded", 0, 0), ("Never", "exit 3", "Failed", 3, 0), ("OnFailure", "exit 0", "Succeeded", 0, 0),
    ("OnFailure", "[ -e /v/again ] || { touch /v/again; exit 4; }", "Succeeded", 0, 1)])
def test_pods_that_end_by_themselves(space, policy, script, phase, exit_code, restarts):
    with space.watch("pods") as watch:
        space.create(pod("job", shell("c", script, volumeMounts=[{"name": "v", "mountPath": "/v"}]), restartPolicy=policy,
                         volumes=[{"name": "v", "emptyDir": {}}]))
        ended = space.wait_phase("job", phase)
        states = watch.objects("job")
    check_every_state(states)
    found = container_status(ended)
    assert (found["state"]["terminated"]["exitCode"], found["restartCount"]) == (exit_code, restarts)
    reason = "PodCompleted" if phase == "Succeeded" else "PodFailed"
    assert {c["reason"] for c in ended["status"]["conditions"] if c["type"] in ("Ready", "ContainersReady")} == {reason}
    beds.wait_for("the sandbox to stop", lambda: not any(
        s.state == space.bed.cri.messages.SANDBOX_READY for s in space.bed.cri.sandboxes(ended["metadata"]["uid"])))
    space.delete("pods", "job")
    space.wait_gone("job", timeout=10)


def test_a_pod_that_keeps_crashing_says_so(space):
    space.create(pod("crash", shell("c", "exit 7")))
    found = container_status(space.wait_pod("crash", "in back-off", lambda p: (container_status(p) or {"state": {}})[
        "state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"))
    uid = space.pod("crash")["metadata"]["uid"]
    text = f"restarting failed container=c pod=crash_{space.namespace}({uid})"
    assert found["state"]["waiting"]["message"] == f"back-off 10s {text}"
    assert found["lastState"]["terminated"]["exitCode"] == 7 and found["restartCount"] == 1
    assert space.pod("crash")["status"]["phase"] == "Running"
    assert space.wait_event("crash", "BackOff") == (
        "Warning", f"Back-off restarting failed container c in pod crash_{space.namespace}({uid})")


def test_an_image_that_is_not_there(space):
    space.create(pod("pull", {"name": "c", "image": "registry.invalid/none:1"}))
    found = space.wait_pod("pull", "in image back-off", lambda p: (container_status(p) or {"state": {}})["state"].get(
        "waiting", {}).get("reason") == "ImagePullBackOff", timeout=60)
    assert container_status(found)["state"]["waiting"]["message"].startswith(
        'Back-off pulling image "registry.invalid/none:1": ErrImagePull: ')
    assert space.wait_event("pull", "BackOff") == ("Normal", 'Back-off pulling image "registry.invalid/none:1"')
    assert found["status"]["phase"] == "Pending" and condition(found, "PodReadyToStartContainers") == "True"


# Deletion


def test_a_container_that_ignores_the_signal_is_given_its_grace(space):
    space.create(pod("slow", stubborn(), terminationGracePeriodSeconds=3))
    uid = space.wait_running("slow")["metadata"]["uid"]
    started = time.monotonic()
    with space.watch("pods") as watch:
        space.delete("pods", "slow")
        watch.wait_deleted("slow")
        states = watch.objects("slow")
    assert 2.5 < time.monotonic() - started < 20  # not the default 30 s
    assert container_status(states[-1])["state"]["terminated"]["exitCode"] == 137
    assert states[-1]["status"]["phase"] == "Failed"
    assert all(one["metadata"]["deletionGracePeriodSeconds"] in (3, 0) for one in states)
    assert not any(c.state == space.bed.cri.messages.CONTAINER_RUNNING for c in space.bed.cri.containers(uid))


def test_a_second_deletion_shortens_the_grace(space):
    space.create(pod("slow", stubborn(), terminationGracePeriodSeconds=60))
    space.wait_running("slow")
    space.delete("pods", "slow")
    space.wait_event("slow", "Killing")
    space.delete("pods", "slow", gracePeriodSeconds=1)
    space.wait_gone("slow", timeout=8)


def test_a_forced_deletion_takes_the_object_at_once_and_the_containers_soon(space):
    space.create(pod("forced", shell("c", SLEEP)))
    uid = space.wait_running("forced")["metadata"]["uid"]
    space.kubectl("delete", "pod", "forced", "--grace-period=0", "--force")
    assert space.pod("forced") is None
    beds.wait_for("the sandbox to go", lambda: not space.bed.cri.sandboxes(uid), timeout=20)


def test_a_pre_stop_hook_runs_before_the_signal(space):
    directory = space.node.dir / "hook"
    hook = {"exec": {"command": ["sh", "-c", "echo hook >> /host/order; sleep 1"]}}
    script = "trap 'echo signal >> /host/order; exit 0' TERM; " + SLEEP
    space.create(pod("hook", shell("c", script, lifecycle={"preStop": hook},
                                   volumeMounts=[{"name": "host", "mountPath": "/host"}]), terminationGracePeriodSeconds=10,
                     volumes=[{"name": "host", "hostPath": {"path": str(directory), "type": "DirectoryOrCreate"}}]))
    space.wait_running("hook")
    space.delete("pods", "hook")
    space.wait_gone("hook")
    assert (directory / "order").read_text() == "hook\nsignal\n"


def test_a_pending_pod_that_waits_for_a_secret_goes_when_it_is_deleted(space):
    space.create(pod("stuck", shell("c", SLEEP, volumeMounts=[{"name": "s", "mountPath": "/s"}]),
                     volumes=[{"name": "s", "secret": {"secretName": "nobody-made-it"}}]))
    found = space.wait_pod("stuck", "pending on the node", lambda p: p["status"].get("startTime"))
    assert container_status(found)["state"]["waiting"]["reason"] == "ContainerCreating"
    assert space.wait_event("stuck", "FailedMount", text="nobody-made-it") == (
        "Warning", 'MountVolume.SetUp failed for volume "s" : secret "nobody-made-it" not found')
    space.delete("pods", "stuck")
    space.wait_gone("stuck", timeout=10)


def test_everything_of_a_deleted_pod_goes_from_the_machine(space):
    space.create(pod("tidy", shell("c", SLEEP, volumeMounts=[{"name": "v", "mountPath": "/v"}]),
                     volumes=[{"name": "v", "emptyDir": {"medium": "Memory"}}]))
    found = space.wait_running("tidy")
    assert space.node.pod_dir(found).exists() and space.node.pod_cgroups(found)
    space.delete("pods", "tidy")
    space.wait_gone("tidy")
    assert not space.node.pod_cgroups(found)  # before the object: whoever sees it gone may reckon with the room
    beds.wait_for("the sandbox to go", lambda: not space.bed.cri.sandboxes(found["metadata"]["uid"]))
    beds.wait_for("the directory to go", lambda: not space.node.pod_dir(found).exists())
    beds.wait_for("the logs to go", lambda: not space.node.pod_log_dir(found).exists())


def test_a_pod_past_its_deadline_fails(space):
    with space.watch("pods") as watch:
        space.create(pod("late", shell("c", SLEEP), activeDeadlineSeconds=2))
        ended = space.wait_phase("late", "Failed", timeout=15)
        states = watch.objects("late")
    check_every_state(states)
    message = "Pod was active on the node longer than the specified deadline"
    assert (ended["status"]["reason"], ended["status"]["message"]) == ("DeadlineExceeded", message)
    assert space.wait_event("late", "DeadlineExceeded") == ("Normal", message)


# Admission


@pytest.mark.parametrize("name,spec,labels,reason,message", [
    ("selector", {"nodeSelector": {"no": "such"}}, {}, "NodeAffinity",
     "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"),
    ("cpu", {"cpu": "1000"}, {}, "OutOfcpu", "Node didn't have enough resource: cpu, requested: 1000000, used: "),
    ("label", {}, {"kubernetes.io/os": "windows"}, "PodOSSelectorNodeLabelDoesNotMatch",
     "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"),
    ("os", {"os": {"name": "windows"}}, {}, "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"),
    ("sysctl", {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}, {}, "SysctlForbidden",
     'forbidden sysctl: "kernel.msgmax" not allowlisted')])
def test_a_pod_that_does_not_fit_is_rejected_and_can_be_deleted(space, name, spec, labels, reason, message):
    spec = dict(spec)
    resources = {"resources": {"requests": {"cpu": spec.pop("cpu")}}} if "cpu" in spec else {}
    space.create(pod(name, shell("c", SLEEP, **resources), metadata={"labels": labels}, **spec))
    rejected = space.wait_phase(name, "Failed")
    status = rejected["status"]
    assert status["reason"] == reason
    assert status["message"].startswith(f"Pod was rejected: {message}")
    assert "containerStatuses" not in status and status["startTime"]
    kind, told = space.wait_event(name, reason)
    assert kind == "Warning" and f"Pod was rejected: {told}" == status["message"]
    assert not space.bed.cri.sandboxes(rejected["metadata"]["uid"])
    space.delete("pods", name)
    space.wait_gone(name, timeout=10)


def test_two_pods_do_not_get_the_same_host_port(space):
    ports = {"ports": [{"containerPort": 80, "hostPort": 31480}]}
    space.create(pod("first", shell("c", SLEEP, **ports)))
    space.wait_running("first")
    space.create(pod("second", shell("c", SLEEP, **ports)))
    assert space.wait_phase("second", "Failed")["status"]["reason"] == "NodePorts"
    space.delete("pods", "first")
    space.wait_gone("first")
    space.create(pod("third", shell("c", SLEEP, **ports)))
    space.wait_running("third")


def test_a_static_pod_makes_room_for_itself(space):
    cpus = int(space.node_object()["status"]["allocatable"]["cpu"])
    space.create(pod("victim", shell("c", SLEEP, resources={"requests": {"cpu": f"{cpus * 1000 - 200}m"}})))
    space.wait_running("victim")
    space.node.apply("critical.yaml", pod("critical", shell("c", SLEEP, resources={"requests": {"cpu": "500m"}})))
    try:
        ended = space.wait_phase("victim", "Failed")
        message = "Preempted in order to admit critical pod"
        assert (ended["status"]["reason"], ended["status"]["message"]) == ("Preempting", message)
        disruption = next(c for c in ended["status"]["conditions"] if c["type"] == "DisruptionTarget")
        assert (disruption["status"], disruption["reason"], disruption["message"]) == (
            "True", "TerminationByKubelet", "Pod was preempted by Kubelet to accommodate a critical pod.")
        assert space.wait_event("victim", "Preempting") == ("Warning", message)
        space.node.wait_running("critical")
    finally:
        space.node.remove("critical.yaml")
        space.node.wait_gone("critical")


# Changes


def test_readiness_gates_keep_a_pod_from_being_ready(space):
    space.create(pod("gated", shell("c", SLEEP), readinessGates=[{"conditionType": "example.com/balanced"}]))
    found = space.wait_pod("gated", "its containers ready", lambda p: condition(p, "ContainersReady") == "True")
    ready = next(c for c in found["status"]["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"], ready["message"]) == (
        "False", "ReadinessGatesNotReady",
        'corresponding condition of pod readiness gate "example.com/balanced" does not exist.')
    space.patch("pods", "gated", {"status": {"conditions": [{"type": "example.com/balanced", "status": "False"}]}}, "status")
    space.wait_pod("gated", "the other message", lambda p: any(
        c.get("message") == 'the status of pod readiness gate "example.com/balanced" is not "True", but False'
        for c in p["status"]["conditions"]))
    space.patch("pods", "gated", {"status": {"conditions": [{"type": "example.com/balanced", "status": "True"}]}}, "status")
    assert condition(space.wait_running("gated"), "example.com/balanced") == "True"
    space.patch("pods", "gated", {"status": {"conditions": [{"type": "example.com/balanced", "status": "False"}]}}, "status")
    space.wait_pod("gated", "not ready any more", lambda p: condition(p, "Ready") == "False")


def test_labels_and_annotations_change_without_a_restart(space):
    space.create(pod("named", shell("c", SLEEP)))
    before = space.wait_running("named")
    space.patch("pods", "named", {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}})
    beds.wait_for("the agent's notice", lambda: space.node.pods()["named"]["metadata"].get("labels") == {"a": "b"})
    assert space.pod("named")["status"] == before["status"]


def test_another_image_in_place_restarts_that_container_alone(space):
    other = "docker.io/library/busybox:other"
    space.bed.ctr("images", "tag", "--force", "docker.io/library/busybox:1.36", other)
    beds.wait_for("the other image", lambda: any(other in image.repo_tags for image in space.bed.cri.call("ListImages").images))
    space.create(pod("changing", shell("c", SLEEP), shell("stays", SLEEP)))
    before = space.wait_running("changing")
    space.patch("pods", "changing", {"spec": {"containers": [{"name": "c", "image": other}]}})
    after = space.wait_pod("changing", "restarted with the other image", lambda p: (
        container_status(p, "c")["restartCount"] == 1 and condition(p, "Ready") == "True"))
    assert container_status(after, "stays") == container_status(before, "stays")
    assert space.wait_event("changing", "Killing") == ("Normal", "Container c definition changed, will be restarted")
    assert after["status"]["observedGeneration"] == after["metadata"]["generation"] == 2


def test_a_probe_that_fails_takes_the_pod_out_and_back(space):
    space.create(pod("probed", shell("c", "touch /ok; " + SLEEP, readinessProbe={
        "exec": {"command": ["cat", "/ok"]}, "periodSeconds": 1, "failureThreshold": 1})))
    found = space.wait_running("probed")
    space.node.exec(found, "rm", "/ok")
    space.wait_pod("probed", "not ready", lambda p: condition(p, "Ready") == "False")
    assert space.wait_event("probed", "Unhealthy")[1].startswith("Readiness probe failed: ")
    space.node.exec(found, "touch", "/ok")
    space.wait_running("probed")


# The agent gone and back


def test_a_killed_agent_leaves_pods_and_their_statuses_as_they_are(space):
    space.create(pod("runs", shell("a", SLEEP), shell("b", SLEEP)), pod("ended", shell("c", "exit 0"), restartPolicy="Never"),
                 pod("failed", shell("c", "exit 1"), restartPolicy="Never"),
                 pod("restarted", shell("c", "[ -e /v/again ] || { touch /v/again; exit 1; }; " + SLEEP, volumeMounts=[
                     {"name": "v", "mountPath": "/v"}]), volumes=[{"name": "v", "emptyDir": {}}]))
    before = {"runs": space.wait_running("runs"), "ended": space.wait_phase("ended", "Succeeded"),
              "failed": space.wait_phase("failed", "Failed"), "restarted": space.wait_pod("restarted", "restarted", lambda p: (
                  container_status(p) or {"restartCount": 0})["restartCount"] == 1 and condition(p, "Ready") == "True")}
    with space.watch("pods") as watch:
        space.node.restart(signal.SIGKILL)
        space.create(pod("next", shell("c", SLEEP)))
        space.wait_running("next")  # by then the agent has looked at all
        for name, was in before.items():
            assert space.pod(name)["status"] == was["status"], name
            assert not watch.objects(name), json.dumps(watch.objects(name), indent=1)


def test_pods_deleted_while_the_agent_is_away_end_when_it_is_back(space):
    space.create(pod("graceful", shell("c", SLEEP)), pod("forced", shell("c", SLEEP)), pod("stays", shell("c", SLEEP)))
    graceful, forced, stays = (space.wait_running(name) for name in ("graceful", "forced", "stays"))
    space.node.stop(signal.SIGKILL)
    space.delete("pods", "graceful")
    space.delete("pods", "forced", gracePeriodSeconds=0)
    space.create(pod("new", shell("c", SLEEP)))
    space.node.start()
    space.wait_gone("graceful", timeout=15)
    for one in (graceful, forced):
        beds.wait_for("the sandboxes to go", lambda uid=one["metadata"]["uid"]: not space.bed.cri.sandboxes(uid), timeout=15)
    space.wait_running("new")
    assert space.pod("stays")["status"] == stays["status"]


def test_a_container_that_died_while_the_agent_was_away_counts_once(space):
    space.create(pod("dies", shell("c", SLEEP)))
    before = space.wait_running("dies")
    space.node.stop(signal.SIGKILL)
    space.bed.cri.call("StopContainer", container_id=space.node.container(before), timeout=5)
    space.node.start()
    after = space.wait_pod("dies", "restarted", lambda p: (
        container_status(p)["restartCount"] == 1 and condition(p, "Ready") == "True"))
    assert container_status(after)["lastState"]["terminated"]["containerID"] == container_status(before)["containerID"]
    assert after["status"]["startTime"] == before["status"]["startTime"]
