"""The server gone, the agent gone, and more at once than usual: what was running runs on, and in the end all is as it is
wanted."""

import pathlib
import random
import signal
import threading
import time

import bed as beds
import clocks
import cluster as clusters
import cri_client
from agent import SLEEP, condition, container_status, pod, shell

BACK_WITHIN = 5    # seconds from the server's return until the agent is heard
BURST = 100
KILLS = 20
SEED = 20261121


def restarts(one):
    return (container_status(one) or {"restartCount": 0})["restartCount"]


def kill_container(cluster, one):
    cluster.bed.cri.call("StopContainer", container_id=cluster.node.container(one), timeout=5)


def wait_local(cluster, name, what, predicate, timeout=30):
    """Waits for what the agent itself says of a pod, whatever the server knows."""
    def probe():
        one = cluster.node.pods().get(name)
        return one if one and predicate(one) else None
    return beds.wait_for(f"pod {name}, as the agent has it: {what}", probe, timeout)


def cpu_share(pid, seconds=2):
    """How much of a processor the process uses: one that spins would use all of it."""
    def used():
        return sum(int(task.read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
    start = used()
    time.sleep(seconds)
    return (used() - start) / seconds


def running_containers(cluster, uid):
    running = cluster.bed.cri.messages.CONTAINER_RUNNING
    return [c for c in cluster.bed.cri.containers(uid) if c.state == running]


# The server


def test_a_server_that_was_killed_is_told_all_when_it_is_back(space):
    space.create(pod("dies", shell("c", SLEEP)), pod("stays", shell("c", SLEEP)))
    before, stays = space.wait_running("dies"), space.wait_running("stays")
    space.plane.stop(signal.SIGKILL)
    kill_container(space, before)
    wait_local(space, "dies", "restarted", lambda p: restarts(p) == 1 and condition(p, "Ready") == "True")
    time.sleep(4)  # long enough for waits to have grown
    space.plane.start()
    after = space.wait_pod("dies", "its restart told", lambda p: restarts(p) == 1, timeout=BACK_WITHIN)
    assert container_status(after)["lastState"]["terminated"]["exitCode"] == 137
    space.create(pod("new", shell("c", SLEEP)))
    space.wait_running("new", timeout=BACK_WITHIN + 5)
    assert space.pod("stays")["status"] == stays["status"]
    beds.wait_for("the events of the second start", lambda: space.events("dies").count(
        ("Normal", "Started", "Container started")) >= 1 and any(
            e["reason"] == "Started" and e.get("count", 1) >= 2 for e in space.get("events")
            if e["involvedObject"]["name"] == "dies"), timeout=30)


def test_a_server_that_stands_still_holds_nothing_up(space):
    space.create(pod("dies", shell("c", SLEEP)))
    before = space.wait_running("dies")
    space.plane.pause()
    try:
        kill_container(space, before)
        wait_local(space, "dies", "restarted", lambda p: restarts(p) == 1 and condition(p, "Ready") == "True")
        time.sleep(12)  # beyond the limit of a heartbeat
    finally:
        space.plane.go_on()
    space.wait_pod("dies", "its restart told", lambda p: restarts(p) == 1, timeout=BACK_WITHIN)


def test_a_node_cut_off_for_a_minute_goes_on_and_catches_up(space):
    probe = {"exec": {"command": ["cat", "/ok"]}, "periodSeconds": 1, "failureThreshold": 2}
    space.create(pod("probed", shell("c", "touch /ok; " + SLEEP, livenessProbe=probe)), pod("stays", shell("c", SLEEP)),
                 pod("deleted", shell("c", SLEEP)), pod("forced", shell("c", SLEEP)))
    before = {name: space.wait_running(name) for name in ("probed", "stays", "deleted", "forced")}
    with space.cut_off():
        started = time.monotonic()
        space.node.exec(before["probed"], "rm", "/ok")
        space.delete("pods", "deleted")
        space.delete("pods", "forced", gracePeriodSeconds=0)
        space.create(pod("new", shell("c", SLEEP)))
        wait_local(space, "probed", "restarted by its probe", lambda p: restarts(p) == 1)
        time.sleep(max(0, started + 60 - time.monotonic()))
        for name in ("deleted", "forced", "stays"):
            assert running_containers(space, before[name]["metadata"]["uid"]), name
    size = len(space.plane.log())
    space.wait_pod("probed", "its restart told", lambda p: restarts(p) == 1, timeout=BACK_WITHIN)
    space.wait_gone("deleted", timeout=BACK_WITHIN + 5)
    beds.wait_for("the end of the forced one", lambda: not running_containers(
        space, before["forced"]["metadata"]["uid"]), timeout=10)
    space.wait_running("new", timeout=10)
    space.wait_ready()
    assert space.wait_event("probed", "Killing")[1] == "Container c failed liveness probe, will be restarted"
    assert space.pod("stays")["status"] == before["stays"]["status"]
    if clusters.BedPlane is type(space.plane):
        assert len(clusters.requests(space.plane, size)) < 120  # no thundering


def test_an_agent_that_starts_without_a_server_runs_what_it_knows(space):
    space.create(pod("stays", shell("c", SLEEP)))
    before = space.wait_running("stays")
    space.plane.stop(signal.SIGKILL)
    space.node.apply("static.yaml", pod("static", shell("c", SLEEP), metadata={"namespace": space.namespace}))
    try:
        space.node.restart(signal.SIGKILL)
        space.node.wait_running("static")
        time.sleep(3)  # an agent that took silence for emptiness would have ended the other by now
        assert [c.id for c in running_containers(space, before["metadata"]["uid"])] == [space.node.container(before)]
    finally:
        space.plane.start()
    space.wait_running(f"static-{beds.NODE_NAME}", timeout=BACK_WITHIN + 5)
    after = space.wait_running("stays")
    assert after["status"] == before["status"]
    space.node.remove("static.yaml")
    space.wait_gone(f"static-{beds.NODE_NAME}")


# Much at once


def test_a_hundred_pods_come_and_go_at_once(space):
    names = [f"p{number}" for number in range(BURST)]
    size = len(space.plane.log())
    space.create(*(pod(name, shell("c", SLEEP)) for name in names))

    def ready():
        return sum(condition(one, "Ready") == "True" for one in space.get("pods")) == BURST
    beds.wait_for(f"{BURST} pods: Ready", ready, timeout=120, interval=0.3)
    pods = space.get("pods")
    assert all(restarts(one) == 0 for one in pods)
    assert len({one["status"]["podIP"] for one in pods}) == BURST
    if clusters.BedPlane is type(space.plane):
        patches = [path for method, path, _ in clusters.requests(space.plane, size)
                   if method == "PATCH" and path.endswith("/status") and f"/{space.namespace}/pods/" in path]
        assert len(patches) <= 4 * BURST
    code, answer = space.request("DELETE", space.path("pods"), {})
    assert code == 200, answer
    beds.wait_for("the end of all", lambda: not space.get("pods"), timeout=120, interval=0.3)
    uids = {one["metadata"]["uid"] for one in pods}
    assert not [s for s in space.bed.cri.sandboxes() if s.metadata.uid in uids
                and s.state == space.bed.cri.messages.SANDBOX_READY]


class Twins:
    """Looks at the runtime all the time for containers of one name of one pod that run at the same time."""

    def __init__(self, bed):
        self.seen = set()
        self._cri = cri_client.CriClient(bed.socket, bed.cri.messages)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self):
        while not self._is_over.wait(0.03):
            running = [c for c in self._cri.containers() if c.state == self._cri.messages.CONTAINER_RUNNING]
            keys = [(c.labels["io.kubernetes.pod.uid"], c.metadata.name) for c in running]
            self.seen |= {key for key in keys if keys.count(key) > 1}

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()
        self._cri.close()


def counted(name):
    """A container that leaves a line for each of its starts."""
    return shell("c", f"echo start >> /host/{name}.starts; " + SLEEP, volumeMounts=[{"name": "host", "mountPath": "/host"}])


def test_kills_at_any_moment_of_much_coming_and_going_do_no_harm(space):
    chance = random.Random(SEED)
    directory = space.node.dir / "starts"
    volumes = [{"name": "host", "hostPath": {"path": str(directory), "type": "DirectoryOrCreate"}}]
    wanted, number = [], 0
    with Twins(space.bed) as twins:
        for _ in range(KILLS):
            for _ in range(chance.randint(0, 2)):
                name, number = f"p{number}", number + 1
                space.create(pod(name, counted(name), volumes=volumes))
                wanted.append(name)
            if len(wanted) > 4 or (wanted and chance.random() < 0.4):
                space.delete("pods", wanted.pop(chance.randrange(len(wanted))),
                             **({"gracePeriodSeconds": 0} if chance.random() < 0.3 else {}))
            time.sleep(chance.uniform(0, 0.7))
            space.node.stop(signal.SIGKILL)
            space.node.start(wait=False)
        uids = [space.wait_running(name, timeout=60)["metadata"]["uid"] for name in wanted]
    beds.wait_for("the deleted ones to go", lambda: {one["metadata"]["name"] for one in space.get("pods")} == set(wanted), 60)
    running, ready = space.bed.cri.messages.CONTAINER_RUNNING, space.bed.cri.messages.SANDBOX_READY
    beds.wait_for("one sandbox each, and no other", lambda: sorted(
        s.metadata.uid for s in space.bed.cri.sandboxes() if s.state == ready) == sorted(uids), 60)
    assert sorted(c.labels["io.kubernetes.pod.uid"] for c in space.bed.cri.containers() if c.state == running) == sorted(uids)
    assert not twins.seen
    for name in wanted:  # a start that a kill cut short may have succeeded or not: that alone is a cause for another
        told = space.node.log_lines(f'{space.namespace}/{name}".*reason="(Created|Started)"')
        created = ['reason="Created"' in line for line in told]
        assert all(created[:-1]), told  # nothing is made after one has started
        starts = (directory / f"{name}.starts").read_text().splitlines()
        assert 1 <= len(starts) <= sum(created), (name, starts, told)
        # A kill may also come between a container's creation and the word of it: only the attempt was told then.
        attempts = space.node.log_lines(f'{space.namespace}/{name}".*reason="Pulled"')
        assert restarts(space.pod(name)) < len(attempts), (name, attempts)


# The clock


def test_a_clock_that_is_set_forward_and_back_harms_nothing(space):
    clock = clocks.Clock(space.bed.dir)
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1, "failureThreshold": 1}
    with space.other_agent() as node:
        node.prefix = clock.prefix
        node.start()
        space.create(pod("calm", shell("c", SLEEP)), pod("probed", {**shell("c", SLEEP), "livenessProbe": probe}))
        before = {name: node.container(space.wait_running(name)) for name in ("calm", "probed")}
        for number, step in enumerate((3600, -3600, 24 * 3600, -24 * 3600)):
            clock.step(step)
            # New work is done at once, a restart is told, a deletion takes the time it asked for.
            space.create(pod(f"new-{number}", shell("c", SLEEP)))
            one = space.wait_running(f"new-{number}", timeout=10)
            kill_container(space, one)
            space.wait_pod(f"new-{number}", "restarted", lambda p: restarts(p) == 1 and condition(p, "Ready") == "True", 20)
            space.delete("pods", f"new-{number}", gracePeriodSeconds=1)
            space.wait_gone(f"new-{number}", timeout=15)
            assert space.node_condition("Ready") == "True"
        for name, container in before.items():
            assert node.container(space.pod(name)) == container and restarts(space.pod(name)) == 0, name
        renewed = space.get("leases", space.name, "kube-node-lease")["spec"]["renewTime"]
        beds.wait_for("the lease to be renewed by the new time", lambda: space.get(
            "leases", space.name, "kube-node-lease")["spec"]["renewTime"] != renewed, timeout=25)
        assert cpu_share(node.process.pid) < 0.1
