"""Containers outlive the agent and the runtime, and the agent goes on where it was."""

import re
import signal
import time

import bed as beds
from agent import SLEEP, condition, container_status, pod, shell


def test_a_killed_agent_goes_on_with_the_same_containers(node):
    node.apply("a.yaml", pod("a", shell("c", SLEEP)))
    node.apply("b.yaml", pod("b", shell("one", SLEEP), shell("two", SLEEP)))
    before = {name: node.wait_running(name) for name in ("a", "b")}
    node.restart(signal.SIGKILL)
    for name, pod_before in before.items():
        after = node.wait_running(name)
        assert after["metadata"]["uid"] == pod_before["metadata"]["uid"]
        assert [(s["name"], s["containerID"], s["restartCount"]) for s in after["status"]["containerStatuses"]] == [
            (s["name"], s["containerID"], s["restartCount"]) for s in pod_before["status"]["containerStatuses"]]
        assert after["status"]["startTime"] == pod_before["status"]["startTime"]
    assert len(node.bed.cri.sandboxes()) == 2
    assert len(node.bed.cri.containers()) == 3


def back_off(p):
    """The wait that the pod's container is in, in seconds; None when it is in none."""
    message = (container_status(p) or {}).get("state", {}).get("waiting", {}).get("message", "")
    found = re.match(r"back-off (\d+)s ", message)
    return int(found[1]) if found else None


def test_restart_counts_and_back_off_outlive_the_agent(node):
    node.apply("crash.yaml", pod("crash", shell("c", "exit 7")))
    before = container_status(node.wait_pod("crash", "in back-off", lambda p: back_off(p) == 10))["restartCount"]
    node.restart(signal.SIGKILL)
    after = node.wait_pod("crash", "still in back-off", back_off, timeout=60)
    # On a slow machine the wait may be over by now; then this must be the next one, not the first again.
    assert (back_off(after), container_status(after)["restartCount"]) in [(10, before), (20, before + 1)]


def test_kills_at_any_moment_leave_one_sandbox_and_one_container_a_pod(node):
    """The agent dies while pods are being made; in the end each pod has what it needs, once."""
    for delay_ms in (0, 20, 50, 90, 140, 200):
        for number in range(3):
            node.apply(f"p{number}.yaml", pod(f"p{number}", shell("c", SLEEP), metadata={"labels": {
                "round": str(delay_ms)}}))
        time.sleep(delay_ms / 1000)
        node.restart(signal.SIGKILL)
    for number in range(3):
        node.wait_pod(f"p{number}", "the last round's", lambda p: (
            p["metadata"]["labels"]["round"] == "200" and condition(p, "Ready") == "True"), timeout=60)
    running = node.bed.cri.messages.CONTAINER_RUNNING
    ready = node.bed.cri.messages.SANDBOX_READY
    beds.wait_for("one of each", lambda: (
        sum(c.state == running for c in node.bed.cri.containers()) == 3
        and sum(s.state == ready for s in node.bed.cri.sandboxes()) == 3), timeout=30)


def test_pods_whose_manifest_went_while_the_agent_was_down_are_cleaned_up(node):
    node.apply("gone.yaml", pod("gone", shell("c", SLEEP)))
    node.apply("stays.yaml", pod("stays", shell("c", SLEEP)))
    gone, stays = node.wait_running("gone"), node.wait_running("stays")
    node.stop(signal.SIGKILL)
    node.remove("gone.yaml")
    node.start()
    uid = gone["metadata"]["uid"]
    beds.wait_for("the sandbox to go", lambda: not node.bed.cri.sandboxes(uid), timeout=30)
    beds.wait_for("the pod directory to go", lambda: not node.pod_dir(gone).exists(), timeout=30)
    beds.wait_for("the cgroups to go", lambda: not node.pod_cgroups(gone), timeout=30)
    beds.wait_for("the logs to go", lambda: not node.pod_log_dir(gone).exists(), timeout=30)
    assert node.container(node.wait_running("stays")) == node.container(stays)


def test_a_container_that_died_while_the_agent_was_down_is_replaced(node):
    node.apply("a.yaml", pod("a", shell("c", SLEEP)))
    before = node.wait_running("a")
    node.stop(signal.SIGKILL)
    node.bed.cri.call("StopContainer", container_id=node.container(before), timeout=20)
    node.start()
    after = node.wait_pod("a", "restarted", lambda p: container_status(p)["restartCount"] == 1
                          and condition(p, "Ready") == "True")
    assert node.container(after) != node.container(before)


def test_a_sandbox_that_died_is_made_again(node):
    node.apply("a.yaml", pod("a", shell("c", SLEEP)))
    before = node.wait_running("a")
    sandbox = node.bed.cri.sandboxes(before["metadata"]["uid"])[0].id
    node.bed.cri.call("StopPodSandbox", pod_sandbox_id=sandbox)
    after = node.wait_pod("a", "running again", lambda p: condition(p, "Ready") == "True" and (
        container_status(p)["containerID"] != container_status(before)["containerID"]), timeout=90)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_sigterm_and_sigint_end_the_agent_cleanly_and_leave_the_containers(node):
    node.apply("a.yaml", pod("a", shell("c", SLEEP)))
    before = node.wait_running("a")
    for number in (signal.SIGTERM, signal.SIGINT):
        assert node.stop(number) == 0, node.log_tail()
        assert node.bed.cri.exec(node.container(before), "echo", "alive") == "alive\n"
        assert not node.socket.exists()
        node.start()
        assert node.container(node.wait_running("a")) == node.container(before)


def test_pods_go_on_through_a_runtime_restart(node):
    node.apply("a.yaml", pod("a", shell("c", SLEEP)))
    before = node.wait_running("a")
    node.bed.stop_containerd()
    try:
        # The agent looks every minute at a runtime that it was content with.
        beds.wait_for("NotReady runtime", lambda: not node.status()["runtime"]["ready"], timeout=90)
        # What is asked for while the runtime is away happens when it is back.
        node.apply("b.yaml", pod("b", shell("c", SLEEP)))
    finally:
        node.bed.start_containerd()
    node.wait_running("b", timeout=60)
    assert node.container(node.wait_running("a")) == node.container(before)
    assert container_status(node.pod("a"))["restartCount"] == 0
    # Exits are noticed again, too.
    node.bed.cri.call("StopContainer", container_id=node.container(before), timeout=20)
    node.wait_pod("a", "restarted", lambda p: container_status(p)["restartCount"] == 1)


def test_a_stopped_agent_takes_over_from_its_state_on_disk_only(node):
    """Nothing below the root directory but pods is needed: an agent with a lost journal adopts what runs."""
    node.apply("a.yaml", pod("a", shell("c", SLEEP)))
    before = node.wait_running("a")
    node.stop(signal.SIGKILL)
    journal = node.root_dir / "journal"
    if journal.exists():
        for path in journal.iterdir():
            path.write_bytes(b"\0garbage")
    node.start()
    assert node.container(node.wait_running("a")) == node.container(before)


def test_a_manifest_that_turned_bad_keeps_its_pod_over_a_restart_of_the_agent(node):
    node.apply("kept.yaml", pod("kept", shell("c", SLEEP), terminationGracePeriodSeconds=1))
    before = node.wait_running("kept")
    node.apply("kept.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: kept}\nspec: {containerz: []}\n")
    beds.wait_for("the complaint", lambda: "containerz" in node.log())
    node.restart(signal.SIGKILL)
    after = node.wait_running("kept")
    assert node.container(after) == node.container(before)
    assert after["status"]["startTime"] == before["status"]["startTime"]
    node.remove("kept.yaml")
    node.wait_gone("kept")
