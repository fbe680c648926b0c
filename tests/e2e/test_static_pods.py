"""Pods from manifest files, with no control plane: they start, run, crash, change and go as their files say."""

import json
import re
import subprocess
import time

import bed as beds
import pytest
from agent import SLEEP, condition, container_status, pod, shell

WEB = "mkdir -p /www; echo it works > /www/index.html; exec httpd -f -p 80 -h /www"


def web(name="web"):
    return pod(name, shell("c", WEB, ports=[{"containerPort": 80}]))


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_web_server_starts_from_a_manifest_and_answers(node, suffix):
    node.apply(f"web.{suffix}", web())
    running = node.wait_running("web")
    assert running["metadata"]["name"] == "web-node-a"
    assert running["metadata"]["namespace"] == "default"
    assert running["spec"]["nodeName"] == "node-a"
    assert running["status"]["phase"] == "Running"
    assert running["status"]["qosClass"] == "BestEffort"
    annotations = running["metadata"]["annotations"]
    assert annotations["kubernetes.io/config.source"] == "file"
    assert annotations["kubernetes.io/config.hash"] == running["metadata"]["uid"]
    assert re.fullmatch(r"[0-9a-f]{32}", running["metadata"]["uid"])
    assert node.curl(running) == "it works\n"


def test_a_manifest_that_is_there_before_the_agent_starts_too(make_node):
    node = make_node()
    node.apply("web.yaml", web())
    node.start()
    assert node.curl(node.wait_running("web")) == "it works\n"


def test_one_file_may_be_the_whole_source(make_node):
    node = make_node()
    path = node.apply("only.yaml", web())
    node.write_config(staticPodPath=str(path))
    node.start()
    node.wait_running("web")


def test_a_static_pod_has_all_conditions_and_times(node):
    node.apply("web.yaml", web())
    running = node.wait_running("web")
    for kind in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"):
        assert condition(running, kind) == "True", kind
    status = container_status(running)
    assert status["ready"] and status["started"] and status["restartCount"] == 0
    assert status["image"] == "docker.io/library/busybox:1.36"
    assert status["imageID"].startswith("sha256:")
    assert status["containerID"].startswith("containerd://")
    assert "startedAt" in status["state"]["running"]
    assert running["status"]["hostIP"] == beds.NODE_IP
    assert running["status"]["podIPs"] == [{"ip": running["status"]["podIP"]}]


def test_a_crashing_container_restarts_with_growing_waits(node):
    node.apply("crash.yaml", pod("crash", shell("c", "echo going down; exit 7")))
    waiting = node.wait_pod("crash", "in back-off", lambda p: container_status(p) and (
        container_status(p)["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"), timeout=30)
    status = container_status(waiting)
    # The first restart is immediate, the second waits.
    assert status["restartCount"] >= 1
    assert status["lastState"]["terminated"]["exitCode"] == 7
    uid = waiting["metadata"]["uid"]
    assert status["state"]["waiting"]["message"] == (
        f"back-off 10s restarting failed container=c pod=crash-node-a_default({uid})")
    assert waiting["status"]["phase"] == "Running"
    count = status["restartCount"]
    again = node.wait_pod("crash", "restarted after the wait", lambda p: (
        container_status(p)["restartCount"] == count + 1 and "waiting" in container_status(p)["state"]), timeout=30)
    assert container_status(again)["state"]["waiting"]["message"].startswith("back-off 20s restarting failed")
    assert node.logs("crash") == "going down\n"


def test_an_init_container_prepares_a_volume(node):
    mount = [{"name": "work", "mountPath": "/data"}]
    node.apply("init.yaml", pod(
        "init", shell("main", "cat /data/made; " + SLEEP, volumeMounts=mount),
        initContainers=[shell("prepare", "echo ready > /data/made", volumeMounts=mount)],
        volumes=[{"name": "work", "emptyDir": {}}]))
    running = node.wait_running("init")
    first = running["status"]["initContainerStatuses"][0]
    assert first["state"]["terminated"]["reason"] == "Completed"
    beds.wait_for("the log", lambda: node.logs("init", "-c", "main") == "ready\n")


def test_init_containers_run_one_after_another_and_a_failing_one_is_tried_again(node):
    mount = [{"name": "work", "mountPath": "/data"}]
    node.apply("order.yaml", pod(
        "order", shell("main", "cat /data/order; " + SLEEP, volumeMounts=mount),
        initContainers=[
            shell("one", "echo one >> /data/order", volumeMounts=mount),
            shell("two", "[ -e /data/tried ] || { touch /data/tried; exit 1; }; echo two >> /data/order",
                  volumeMounts=mount)],
        volumes=[{"name": "work", "emptyDir": {}}]))
    running = node.wait_running("order", timeout=60)
    assert container_status(running, "two")["restartCount"] == 1
    beds.wait_for("the log", lambda: node.logs("order", "-c", "main") == "one\ntwo\n")


def test_a_sidecar_starts_before_and_ends_with_the_main_container(node):
    mount = [{"name": "work", "mountPath": "/data"}]
    node.apply("sidecar.yaml", pod(
        "sidecar", shell("main", "while ! [ -e /data/up ]; do sleep 0.1; done; exit 0", volumeMounts=mount),
        initContainers=[shell("proxy", "touch /data/up; " + SLEEP, restartPolicy="Always", volumeMounts=mount)],
        restartPolicy="Never", volumes=[{"name": "work", "emptyDir": {}}]))
    node.wait_pod("sidecar", "finished", lambda p: p["status"]["phase"] == "Succeeded", timeout=45)


@pytest.mark.parametrize("code,phase", [(0, "Succeeded"), (3, "Failed")])
def test_a_pod_that_is_not_to_be_restarted_ends_with_its_container(node, code, phase):
    node.apply("once.yaml", pod("once", shell("c", f"exit {code}"), restartPolicy="Never"))
    ended = node.wait_pod("once", phase, lambda p: p["status"]["phase"] == phase)
    assert container_status(ended)["state"]["terminated"]["exitCode"] == code
    assert container_status(ended)["restartCount"] == 0


def test_on_failure_restarts_failures_only(node):
    node.apply("flaky.yaml", pod(
        "flaky", shell("c", "[ -e /data/tried ] && exit 0; touch /data/tried; exit 1",
                       volumeMounts=[{"name": "work", "mountPath": "/data"}]),
        restartPolicy="OnFailure", volumes=[{"name": "work", "emptyDir": {}}]))
    ended = node.wait_pod("flaky", "Succeeded", lambda p: p["status"]["phase"] == "Succeeded")
    assert container_status(ended)["restartCount"] == 1


def test_a_removed_manifest_takes_everything_of_its_pod(node):
    node.apply("web.yaml", web())
    running = node.wait_running("web")
    uid = running["metadata"]["uid"]
    links = node.bed.dir / "log" / "containers"
    assert node.pod_dir(running).is_dir()
    assert node.pod_log_dir(running).is_dir()
    assert node.pod_cgroups(running)
    link = links / f"web-node-a_default_c-{node.container(running)}.log"
    assert link.is_symlink()
    node.remove("web.yaml")
    node.wait_gone("web")
    for what, is_gone in {
            "containers": lambda: not node.bed.cri.containers(uid),
            "sandboxes": lambda: not node.bed.cri.sandboxes(uid),
            "pod directory": lambda: not node.pod_dir(running).exists(),
            "log directory": lambda: not node.pod_log_dir(running).exists(),
            "log link": lambda: not link.is_symlink(),
            "cgroups": lambda: not node.pod_cgroups(running)}.items():
        beds.wait_for(f"{what} to go", is_gone)


def test_a_pod_is_asked_before_it_is_killed(node):
    node.apply("asked.yaml", pod(
        "asked", {"name": "c", "image": "docker.io/library/busybox:1.36", "command": [
            "sh", "-c", "trap 'sleep 1; echo done > /data/asked; exit 0' TERM; sleep 3600 & wait"],
            "volumeMounts": [{"name": "work", "mountPath": "/data"}]},
        terminationGracePeriodSeconds=20,
        volumes=[{"name": "work", "hostPath": {"path": str(node.dir / "host"), "type": "DirectoryOrCreate"}}]))
    node.wait_running("asked")
    node.remove("asked.yaml")
    started = time.monotonic()
    node.wait_gone("asked")
    assert time.monotonic() - started < 15
    assert (node.dir / "host" / "asked").read_text() == "done\n"


def test_a_deaf_container_is_killed_after_its_grace_period(node):
    node.apply("deaf.yaml", pod(
        "deaf", {"name": "c", "image": "docker.io/library/busybox:1.36", "command": ["sleep", "3600"]},
        terminationGracePeriodSeconds=3))
    node.wait_running("deaf")
    started = time.monotonic()
    node.remove("deaf.yaml")
    node.wait_gone("deaf")
    assert 2.5 < time.monotonic() - started < 25  # of the grace period, not of the default 30 s


def test_a_changed_manifest_replaces_the_pod(node):
    node.apply("web.yaml", web())
    first = node.wait_running("web")
    changed = web()
    changed["spec"]["containers"][0]["env"] = [{"name": "NEW", "value": "1"}]
    node.apply("web.yaml", changed)
    second = node.wait_pod("web", "replaced", lambda p: (
        p["metadata"]["uid"] != first["metadata"]["uid"] and condition(p, "Ready") == "True"))
    assert node.exec(second, "sh", "-c", "echo $NEW") == "1\n"
    beds.wait_for("the first one's end", lambda: not node.bed.cri.sandboxes(first["metadata"]["uid"]))


BROKEN = {
    "syntax": ("apiVersion: v1\nkind: Pod\nmetadata: {name: bad\nspec: {}\n", ["bad.yaml", "line "]),
    "unknown field": ("apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec:\n  containers:\n"
                      "  - {name: c, image: b, imagee: x}\n", ["bad.yaml", "spec.containers[0].imagee"]),
    "wrong type": ("apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec:\n  containers:\n"
                   "  - {name: c, image: b, tty: maybe}\n", ["bad.yaml", "spec.containers[0].tty"]),
    "bad quantity": ("apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec:\n  containers:\n"
                     "  - {name: c, image: b, resources: {limits: {memory: 1Xi}}}\n",
                     ["bad.yaml", "spec.containers[0].resources.limits"]),
    "no containers": ("apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec: {containers: []}\n",
                      ["bad.yaml", "spec.containers"]),
    "duplicate name": ("apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec:\n  containers:\n"
                       "  - {name: c, image: b}\n  - {name: c, image: b}\n", ["bad.yaml", "spec.containers[1].name"]),
    "no such volume": ("apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec:\n  containers:\n"
                       "  - {name: c, image: b, volumeMounts: [{name: v, mountPath: /v}]}\n",
                       ["bad.yaml", "spec.containers[0].volumeMounts[0].name"]),
    "not a pod": ("apiVersion: v1\nkind: Service\nmetadata: {name: bad}\n", ["bad.yaml", "Service"]),
    "API reference": ("apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec:\n  serviceAccountName: x\n"
                      "  containers:\n  - {name: c, image: b}\n",
                      ["bad.yaml", "static pods may not reference serviceaccounts"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_manifest_is_named_once_and_hurts_nobody_else(make_node, case):
    text, wanted = BROKEN[case]
    node = make_node(config={"fileCheckFrequency": "1s"})
    node.apply("good.yaml", web("good"))
    node.apply("bad.yaml", text)
    node.start()
    node.wait_running("good")
    lines = beds.wait_for("the complaint", lambda: node.log_lines(r"^[EW].*bad\.yaml"))
    for part in wanted:
        assert part in lines[0], lines
    time.sleep(2.5)  # two more listings of the folder: an absence cannot be waited for
    assert len(node.log_lines(r"^[EW].*bad\.yaml")) == 1, node.log_tail()
    assert node.pod("bad") is None
    node.apply("bad.yaml", web("bad"))
    node.wait_running("bad")


def test_a_pod_whose_manifest_turned_bad_keeps_running(make_node):
    node = make_node(config={"fileCheckFrequency": "1s"}).start()
    node.apply("web.yaml", web())
    before = node.wait_running("web")
    node.apply("web.yaml", "kind: [")
    beds.wait_for("the complaint", lambda: node.log_lines(r"^[EW].*web\.yaml"))
    time.sleep(2.5)  # two more listings of the folder: an absence cannot be waited for
    after = node.pod("web")
    assert node.container(after) == node.container(before)
    assert node.curl(after) == "it works\n"
    node.apply("web.yaml", web())
    time.sleep(0.5)
    assert node.container(node.wait_running("web")) == node.container(before)


def test_hidden_files_and_folders_are_no_manifests(node):
    node.apply(".hidden.yaml", web("hidden"))
    (node.manifests / "folder").mkdir()
    node.apply("web.yaml", web())
    node.wait_running("web")
    assert sorted(node.pods()) == ["web-node-a"]


def test_a_file_that_grows_in_place_is_read_when_whole(node):
    """An editor that writes slowly: half a manifest is complained about at most, then the pod starts."""
    text = json.dumps(web())
    path = node.manifests / "slow.json"
    with open(path, "w") as file:
        for start in range(0, len(text), 40):
            file.write(text[start:start + 40])
            file.flush()
    node.wait_running("web")


def test_pods_are_shown_as_a_table_and_as_json(node):
    node.apply("web.yaml", web())
    node.wait_running("web")
    table = node.client("pods").stdout.splitlines()
    assert table[0].split()[:4] == ["NAMESPACE", "NAME", "READY", "STATUS"]
    assert table[1].split()[:4] == ["default", "web-node-a", "1/1", "Running"]
    listed = json.loads(node.client("pods", "-o", "json").stdout)
    assert (listed["kind"], listed["apiVersion"]) == ("PodList", "v1")
    status = node.status()
    assert status["nodeName"] == "node-a"
    assert status["pid"] > 0
    assert (status["pods"]["desired"], status["pods"]["running"]) == (1, 1)
    assert status["runtime"]["name"] == "containerd" and status["runtime"]["ready"]


def test_logs_can_be_followed_and_wrong_names_are_errors(node):
    node.apply("talk.yaml", pod(
        "talk", shell("one", "i=0; while [ $i -lt 50 ]; do echo line $i; i=$((i+1)); sleep 0.1; done; " + SLEEP),
        shell("two", "echo from two; " + SLEEP)))
    node.wait_running("talk")
    follower = subprocess.Popen(
        [*node.client_command("logs", "talk-node-a", "-c", "one", "-f")], stdout=subprocess.PIPE, text=True)
    try:
        assert [follower.stdout.readline() for _ in range(30)] == [f"line {i}\n" for i in range(30)]
    finally:
        follower.kill()
        follower.wait()
        follower.stdout.close()
    beds.wait_for("the other log", lambda: node.logs("talk", "-c", "two") == "from two\n")
    assert node.logs("talk").startswith("line 0\n")  # the first container's, when none is named
    for arguments in (["talk-node-a", "-c", "three"], ["nobody"]):
        refused = node.client("logs", *arguments, check=False)
        assert refused.returncode != 0 and refused.stderr, arguments
        assert not refused.stdout
