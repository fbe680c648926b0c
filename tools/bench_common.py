"""What the benchmarks share: accounts of a process, the runtime's view, and the floor under every latency."""

import contextlib
import pathlib
import shutil
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lib"))

import agent as agents  # noqa: E402
import bed as beds  # noqa: E402
import cluster as clusters  # noqa: E402
import cri_client  # noqa: E402
import images  # noqa: E402

NS = 1e9


def stage(text):
    print(f"… {text}", file=sys.stderr, flush=True)


# Accounts of one process

def status_field(pid, name):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name + ":")))


def private_kib(pid):
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean:", "Private_Dirty:")))


def cpu_seconds(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / NS


def cpu_percent(pid, seconds):
    before, started = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return 100 * (cpu_seconds(pid) - before) / (time.monotonic() - started)


# The runtime's view

def sleeper(name):
    """A pod as people make them, without a token volume, so that the floor is the same calls."""
    return agents.pod(name, agents.shell("c", agents.SLEEP), automountServiceAccountToken=False)


def started_at(bed, container_id):
    """When the container started, in seconds; 0 while it has not."""
    return bed.cri.call("ContainerStatus", container_id=container_id).status.started_at / NS


def kill_container(bed, container_id):
    bed.run("kill", "-KILL", bed.cri.container_info(container_id)["pid"])


def measure_floor(bed, number):
    """The same calls as a start and a restart cause, made directly. Returns ms of the start, of the restart's calls, and
    from a process' end until the runtime says that its container has exited."""
    name = f"floor-{number}"
    sandbox_config = {
        "metadata": {"name": name, "namespace": "default", "uid": name}, "hostname": name,
        "log_directory": str(bed.dir / "log" / "pods" / name), "labels": {"io.kubernetes.pod.uid": name},
        "linux": {"cgroup_parent": f"/{bed.cgroup}/{name}",
                  "security_context": {"namespace_options": {"pid": bed.cri.messages.CONTAINER}}}}

    def start(attempt):
        config = cri_client.container_command("c", images.BUSYBOX_IMAGE, "sh", "-c",
                                              "trap 'exit 0' TERM; " + agents.SLEEP)
        config["metadata"]["attempt"] = attempt
        container = bed.cri.call("CreateContainer", pod_sandbox_id=sandbox, config=config,
                                 sandbox_config=sandbox_config).container_id
        bed.cri.call("StartContainer", container_id=container)
        return container

    asked = time.time()
    sandbox = bed.cri.call("RunPodSandbox", config=sandbox_config).pod_sandbox_id
    bed.cri.call("ImageStatus", image={"image": images.BUSYBOX_IMAGE})
    first = start(0)
    start_ms = 1000 * (started_at(bed, first) - asked)

    kill_container(bed, first)
    finished = beds.wait_for("the exit", lambda: bed.cri.call("ContainerStatus", container_id=first).status.finished_at,
                             interval=0.001)
    asked = time.time()
    exit_ms = 1000 * (asked - finished / NS)
    restart_ms = 1000 * (started_at(bed, start(1)) - asked)

    bed.cri.call("StopPodSandbox", pod_sandbox_id=sandbox)
    bed.cri.call("RemovePodSandbox", pod_sandbox_id=sandbox)
    beds.remove_cgroup(f"{bed.cgroup}/{name}")
    return start_ms, restart_ms, exit_ms


# A cluster, of cubelet or of another kubelet

class Peer(agents.Agent):
    """Another kubelet on the same bed: no local socket to ask, and none of cubelet's own flags."""

    def command(self, *more):
        return [self.program, f"--config={self.config_path}", f"--root-dir={self.root_dir}", *self.flags, *more]

    def start(self, *flags, wait=True):
        self.process = self.bed.spawn(*self.command(*flags), output=self.log_path)
        return self


@contextlib.contextmanager
def a_cluster(bed, peer=None):
    options = {"maxPods": 600, "port": 10250, "serverTLSBootstrap": False}
    cluster = clusters.Cluster(bed, config=options)
    if peer:
        node = Peer(bed, config={**options, "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
                                 "authorization": {"mode": "AlwaysAllow"}}, name="peer")
        node.program = bed.dir / "peer-kubelet"  # "peer" is its folder
        shutil.copy(peer, node.program)
        node.flags = cluster.node.flags
        cluster.node = node
    try:
        yield cluster.start()
    finally:
        cluster.close()
