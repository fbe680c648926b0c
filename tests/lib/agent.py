"""cubelet itself in a bed: its configuration, its life, and what it says about its pods."""

import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import yaml

import bed as beds

PROGRAM = pathlib.Path(os.environ.get("CUBELET", beds.ROOT / "build" / "cubelet"))
_numbers = itertools.count(1)


class Agent:
    """One node agent with directories, sockets and a cgroup root of its own; several may follow in one bed."""

    def __init__(self, bed, config=None, flags=(), name=None):
        assert PROGRAM.exists(), f"{PROGRAM} is not built: run make first"
        self.bed = bed
        self.program = bed.dir / "cubelet"  # a copy: a build may go on meanwhile
        if not self.program.exists():
            shutil.copy(PROGRAM, self.program)
        self.name = name or f"node-{next(_numbers)}"
        self.dir = bed.dir / self.name
        self.root_dir = self.dir / "kubelet"
        self.manifests = self.dir / "manifests"
        self.pod_logs = bed.dir / "log" / "pods" / self.name
        self.socket = self.dir / "cubelet.sock"
        self.config_path = self.dir / "config.yaml"
        self.log_path = self.dir / "cubelet.log"
        self.cgroup_root = f"{bed.cgroup}/{self.name}"
        self.process = None
        self.flags = list(flags)
        self.prefix = []  # a command that starts the program, such as env with variables
        self.manifests.mkdir(parents=True)
        self.root_dir.mkdir()
        self.root_dir.chmod(0o750)
        self.pod_logs.mkdir()
        (self.dir / "resolv.conf").write_text("nameserver 192.0.2.53\nsearch example.org\noptions ndots:2\n")
        beds.make_cgroup(self.cgroup_root)
        self.config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "staticPodPath": str(self.manifests), "podLogsDir": str(self.pod_logs),
            "containerRuntimeEndpoint": f"unix://{bed.socket}", "resolvConf": str(self.dir / "resolv.conf"),
            "cgroupDriver": "cgroupfs", "cgroupRoot": "/" + self.cgroup_root, "failSwapOn": False,
            "failCgroupV1": False, "volumePluginDir": str(self.dir / "volume-plugins"),
            "clusterDNS": ["10.0.0.10"], "clusterDomain": "cluster.local",
            **(config or {})}
        self.write_config()

    def write_config(self, **changes):
        self.config.update(changes)
        self.config_path.write_text(yaml.safe_dump({k: v for k, v in self.config.items() if v is not None}))

    # Its life

    def command(self, *more):
        return [*self.prefix, self.program, f"--config={self.config_path}", f"--root-dir={self.root_dir}",
                f"--cert-dir={self.root_dir}/pki", f"--local-socket={self.socket}", *self.flags, *more]

    def start(self, *flags, wait=True):
        """Starts the agent and waits until it answers on its local socket."""
        self.process = self.bed.spawn(*self.command(*flags), output=self.log_path)
        if wait:
            beds.wait_for("cubelet's answer on its local socket", self._answers, timeout=15)
        return self

    def _answers(self):
        assert self.process.is_running(), f"cubelet ended with {self.process.wait()}:\n{self.log_tail()}"
        return self.client("status", check=False).returncode == 0

    def run_to_its_end(self, *flags, command=None, timeout=15):
        """Starts the agent expecting that it refuses; returns its exit code and all it printed."""
        result = self.bed.run(*(command or self.command(*flags)), check=False, timeout=timeout)
        return result.returncode, result.stdout

    def stop(self, number=signal.SIGTERM, timeout=15):
        """Ends the agent with a signal; returns its exit code."""
        if self.process is None:
            return None
        self.process.kill(number)
        code = self.process.wait(timeout)
        self.process = None
        return code

    def restart(self, number=signal.SIGKILL):
        self.stop(number)
        return self.start()

    # Its pods

    def apply(self, name, pod):
        """Puts a manifest (an object, or text as it is) into the folder, at once and whole."""
        path = self.manifests / name
        text = pod if isinstance(pod, str) else json.dumps(pod) if name.endswith(".json") else yaml.safe_dump(pod)
        hidden = self.dir / (name + ".new")
        hidden.write_text(text)
        hidden.rename(path)
        return path

    def remove(self, name):
        (self.manifests / name).unlink()

    # What it says

    def client(self, *arguments, check=True, timeout=20):
        """Runs a client subcommand (pods, status, logs) to its end."""
        return subprocess.run(self.client_command(*arguments), check=check, timeout=timeout,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def client_command(self, *arguments):
        command, *more = arguments  # what follows a `--` belongs to the command of exec
        return [self.program, command, f"--local-socket={self.socket}", *more]

    def pods(self):
        """Every pod, by name, as the API would show it."""
        items = json.loads(self.client("pods", "-o", "json").stdout)["items"]
        return {pod["metadata"]["name"]: pod for pod in items}

    def status(self):
        return json.loads(self.client("status", "-o", "json").stdout)

    def pod(self, name):
        """The static pod @name (without the node's name), or None."""
        return self.pods().get(f"{name}-{beds.NODE_NAME}")

    def wait_pod(self, name, what, predicate, timeout=30):
        """Waits until predicate(pod) holds; @what says it in words. Returns the pod."""
        def probe():
            pod = self.pod(name)
            return pod if pod and predicate(pod) else None
        try:
            return beds.wait_for(f"pod {name}: {what}", probe, timeout)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{json.dumps(self.pod(name), indent=1)}") from None

    def wait_running(self, name, timeout=30):
        """Waits until every container of the pod runs (and is ready)."""
        return self.wait_pod(name, "Ready", lambda pod: condition(pod, "Ready") == "True", timeout)

    def wait_gone(self, name, timeout=30):
        beds.wait_for(f"the end of pod {name}", lambda: self.pod(name) is None, timeout)

    def logs(self, pod, *arguments):
        return self.client("logs", f"{pod}-{beds.NODE_NAME}", *arguments).stdout

    def log(self):
        """All lines the agent has logged so far."""
        return self.log_path.read_text() if self.log_path.exists() else ""

    def log_lines(self, pattern):
        return [line for line in self.log().splitlines() if re.search(pattern, line)]

    def log_tail(self, count=60):
        return "\n".join(self.log().splitlines()[-count:])

    # Where its things are

    def pod_dir(self, pod):
        return self.root_dir / "pods" / pod["metadata"]["uid"]

    def pod_log_dir(self, pod):
        metadata = pod["metadata"]
        return self.pod_logs / f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"

    def container(self, pod, name=None):
        """The id of the pod's running container @name (or its only one)."""
        statuses = pod["status"]["containerStatuses"]
        status = next(s for s in statuses if name in (None, s["name"]))
        return status["containerID"].removeprefix("containerd://")

    def exec(self, pod, *command, container=None):
        return self.bed.cri.exec(self.container(pod, container), *command)

    def curl(self, pod, port=80, path="/"):
        return self.bed.run("curl", "-sS", "--max-time", "5", f"http://{pod['status']['podIP']}:{port}{path}").stdout

    def pod_cgroups(self, pod):
        """The pod's cgroup directories that exist now."""
        wanted = "pod" + pod["metadata"]["uid"]
        return [path for top in beds.cgroup_directories(self.cgroup_root) if top.exists()
                for path in top.glob(f"kubepods/**/{wanted}")]


def condition(pod, kind):
    """The status of a pod condition: "True", "False", or None when it is absent."""
    return next((c["status"] for c in pod["status"].get("conditions", []) if c["type"] == kind), None)


def container_status(pod, name=None):
    """The status of the container @name, or of the only one; None before there is any."""
    statuses = pod["status"].get("containerStatuses", []) + pod["status"].get("initContainerStatuses", [])
    return next((s for s in statuses if name in (None, s["name"])), None)


def pod(name, *containers, **spec):
    """A Pod. terminationGracePeriodSeconds is short, so that tests are; metadata can be given as a dictionary."""
    metadata = {"name": name, **spec.pop("metadata", {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata,
            "spec": {"terminationGracePeriodSeconds": 1, "containers": list(containers), **spec}}


def shell(name, script, **more):
    """A busybox container that runs a shell script and takes SIGTERM at once."""
    return {"name": name, "image": "docker.io/library/busybox:1.36",
            "command": ["sh", "-c", "trap 'exit 0' TERM; " + script], **more}


SLEEP = "sleep 3600 & wait"
