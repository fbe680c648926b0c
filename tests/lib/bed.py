"""A test bed: one "host" for a node agent, made of namespaces, with its own containerd and CNI network.

The host is a process tree below a small init (tests/lib/pause.c) in its own process, mount, network and UTS
namespaces. So ending it is one kill: the kernel takes every process, mount, interface and network namespace with the
init, even when the test program itself was killed (the init's parent dies with us). Only directories are left to
remove: the bed's own and its cgroups; `bed.py sweep` removes those of beds whose owner is gone.

The bed's directory has the same path inside and outside, cgroups are the machine's, and everything else that is
written to fixed places (/run, /var/log) is the bed's own inside.

CONTAINERD may name another containerd (with its shim and ctr beside it, and a runc if it is not to be the machine's).
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import cri_client
import images

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("CUBELET_TEST_CACHE", ROOT / "build" / "bed-cache"))
CGROUP_MOUNT = pathlib.Path("/sys/fs/cgroup")
CGROUP_PREFIX = "cubelet-e2e-"
DIRECTORY_PREFIX = "cubelet-bed-"
NODE_NAME = "node-a"
NODE_IP = "192.168.200.10"
POD_SUBNET = "10.88.0.0/16"

CONTAINERD_CONFIG = """version = 2
root = "{dir}/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.erofs", "io.containerd.nri.v1.nri"]
[grpc]
  address = "{dir}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Containers of a test bed may not lower their score below ours where CAP_SYS_RESOURCE is missing.
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{dir}/cni"
  # How registries are reached, read at each pull: registry.py puts its own there.
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{dir}/certs.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""

CNI_CONFIG = {
    "cniVersion": "0.4.0", "name": "bed",
    "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "hairpinMode": True,
         "ipam": {"type": "host-local", "ranges": [[{"subnet": POD_SUBNET}]], "routes": [{"dst": "0.0.0.0/0"}],
                  "dataDir": "/run/cni-ipam"}},
        {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}]}


def wait_for(what, probe, timeout=30, interval=0.05):
    """Calls @probe until it returns something true, which is returned; else fails naming @what."""
    deadline = time.monotonic() + timeout
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout} s for {what}; last seen: {value!r}")
        time.sleep(interval)


def _child_of(pid):
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return None
    return int(children[0]) if children else None


class Process:
    """A program inside the bed. Its own pid (as the machine sees it), not that of the nsenter before it."""

    def __init__(self, popen):
        self._popen = popen
        self.pid = wait_for("the program behind nsenter", lambda: _child_of(popen.pid) or popen.poll() is not None)
        if self.pid is True:
            self.pid = None

    def kill(self, number=signal.SIGKILL):
        if self._popen.poll() is None:
            os.kill(self.pid, number)

    def wait(self, timeout=30):
        """Waits for the end; returns the exit code, negative for a signal."""
        code = self._popen.wait(timeout)
        return 128 - code if code > 128 else code

    def is_running(self):
        return self._popen.poll() is None


def cgroup_directories(name):
    """Every existing directory of the cgroup @name, one per hierarchy."""
    hierarchies = [CGROUP_MOUNT]
    if not (CGROUP_MOUNT / "cgroup.controllers").exists():
        hierarchies = [path for path in CGROUP_MOUNT.iterdir() if path.is_dir() and not path.is_symlink()]
    return [hierarchy / name for hierarchy in hierarchies]


def make_cgroup(name):
    """Makes the cgroup @name in every hierarchy, ready for children (cpusets filled in, controllers on)."""
    for path in cgroup_directories(name):
        path.mkdir(exist_ok=True)
        for file_name in ("cpuset.cpus", "cpuset.mems"):
            if (path / file_name).exists() and not (path / "cgroup.controllers").exists():
                (path / file_name).write_text((path.parent / file_name).read_text())
        controllers = path / "cgroup.controllers"
        if controllers.exists() and controllers.read_text().split():
            (path / "cgroup.subtree_control").write_text(" ".join("+" + c for c in controllers.read_text().split()))


def remove_cgroup(name):
    """Removes the cgroup @name with everything below it, ending what still runs there."""
    for top in cgroup_directories(name):
        deadline = time.monotonic() + 10
        while top.exists():
            for directory, _, _ in os.walk(top, topdown=False):
                _empty_and_remove(pathlib.Path(directory))
            if top.exists() and time.monotonic() > deadline:
                raise TimeoutError(f"{top} does not empty")
            time.sleep(0.01 if top.exists() else 0)


def _empty_and_remove(directory):
    with contextlib.suppress(OSError):
        directory.rmdir()
        return
    with contextlib.suppress(OSError):
        for pid in (directory / "cgroup.procs").read_text().split():
            if int(pid) != os.getpid():
                os.kill(int(pid), signal.SIGKILL)


class Bed:
    """One host. Use it as a context manager, or call close()."""

    def __init__(self, directory=None, cgroup=None, lives_on=False):
        """@lives_on: the host stays when we end (the quickstart); otherwise it dies with us, whatever happens."""
        self._lives_on = lives_on
        self.dir = pathlib.Path(directory or tempfile.mkdtemp(prefix=DIRECTORY_PREFIX))
        self.dir.mkdir(parents=True, exist_ok=True)
        self.dir.chmod(0o755)
        (self.dir / "owner").write_text(str(os.getpid()))
        self.cgroup = cgroup or CGROUP_PREFIX + self.dir.name.removeprefix(DIRECTORY_PREFIX)
        self.socket = self.dir / "containerd.sock"
        self.init_pid = None
        self.containerd = None
        self._holder = None
        self._spawned = []
        self._cri = None
        containerd = pathlib.Path(os.environ.get("CONTAINERD") or shutil.which("containerd") or "containerd")
        self._containerd_program = containerd
        self.environment = dict(os.environ, PATH=f"{containerd.parent}:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin"
                                                 ":/usr/bin:/bin")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def start(self):
        """Brings up the host with its network, containerd and the two images."""
        try:
            make_cgroup(self.cgroup)
            self._start_host()
            self._make_network()
            self._configure()
            self.start_containerd()
            self._import_images()
        except BaseException:
            self.close()
            raise
        return self

    # The host

    def _start_host(self):
        pause = images.build_pause_program(CACHE)
        init = self.dir / "init"
        shutil.copy(pause, init)
        for name in ("log", "log/pods", "log/containers", "cni"):
            (self.dir / name).mkdir(exist_ok=True)
        die_with_us = [] if self._lives_on else ["setpriv", "--pdeathsig", "KILL", "--"]
        with open(self.dir / "host.log", "wb") as log:
            self._holder = subprocess.Popen(
                [*die_with_us, "unshare", "--pid", "--mount", "--net", "--uts", "--fork", "--kill-child",
                 "--mount-proc", "--propagation", "slave", "--", init],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.init_pid = wait_for("the bed's init", self._find_init)
        (self.dir / "init.pid").write_text(str(self.init_pid))

    def _find_init(self):
        if self._holder.poll() is not None:
            raise RuntimeError("no namespaces for the bed: " + (self.dir / "host.log").read_text())
        child = _child_of(self._holder.pid)
        try:
            return child if child and os.readlink(f"/proc/{child}/exe") == str(self.dir / "init") else None
        except FileNotFoundError:
            return None

    def _make_network(self):
        script = f"""set -e
            hostname {NODE_NAME}
            mount -t tmpfs -o mode=755 tmpfs /run
            mount --bind {self.dir}/log /var/log
            ip link set lo up
            # The node's address must not be loopback: an interface that leads nowhere is enough.
            ip link add uplink type veth peer name uplink-peer
            ip address add {NODE_IP}/24 dev uplink
            ip link set uplink up
            ip link set uplink-peer up
            ip route add default via 192.168.200.1 dev uplink
            echo 1 > /proc/sys/net/ipv4/ip_forward"""
        self.run("sh", "-c", script)

    def _enter(self, command):
        return ["nsenter", f"--target={self.init_pid}", "--pid", "--mount", "--net", "--uts", "--", *command]

    def run(self, *command, check=True, timeout=60, **options):
        """Runs @command inside to its end; returns subprocess's result with text output."""
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "env": self.environment,
                   "stdin": subprocess.DEVNULL, **options}
        result = subprocess.run(self._enter([str(part) for part in command]), timeout=timeout, **options)
        if check and result.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))} exited {result.returncode}: {result.stdout}")
        return result

    def spawn(self, *command, output, **options):
        """Starts @command inside with both its outputs appended to the file @output; returns a Process."""
        with open(output, "ab") as sink:
            self._spawned.append(subprocess.Popen(
                self._enter([str(part) for part in command]), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
                start_new_session=True, env=self.environment, **options))
        return Process(self._spawned[-1])

    def inside(self, path):
        """A path by which this process sees @path as it is inside (tmpfs mounts and all)."""
        return pathlib.Path(f"/proc/{self.init_pid}/root") / str(path).lstrip("/")

    # Its runtime

    def _configure(self):
        config = CONTAINERD_CONFIG.format(dir=self.dir, pause=images.PAUSE_IMAGE)
        (self.dir / "containerd.toml").write_text(config)
        (self.dir / "cni" / "10-bed.conflist").write_text(json.dumps(CNI_CONFIG, indent=1))

    def start_containerd(self):
        """Starts containerd and waits until it is ready, network included."""
        self.containerd = self.spawn(self._containerd_program, "--config", self.dir / "containerd.toml",
                                     output=self.dir / "containerd.log")
        try:
            wait_for("containerd", self._is_runtime_ready)
        except TimeoutError as error:
            raise RuntimeError("containerd does not become ready: "
                               + (self.dir / "containerd.log").read_text()[-2000:]) from error

    def _is_runtime_ready(self):
        if not self.containerd.is_running():
            raise RuntimeError("containerd ended: " + (self.dir / "containerd.log").read_text()[-2000:])
        try:
            conditions = self.cri.call("Status", timeout=5).status.conditions
        except cri_client.grpc.RpcError:
            self._drop_client()
            return False
        return len(conditions) >= 2 and all(condition.status for condition in conditions)

    def stop_containerd(self, number=signal.SIGKILL):
        self.containerd.kill(number)
        self.containerd.wait()
        self._drop_client()

    @property
    def cri(self):
        """A client of the bed's runtime (a new one after the runtime was restarted)."""
        if self._cri is None:
            self._cri = cri_client.CriClient(self.socket, cri_client.load_messages(CACHE))
        return self._cri

    def _drop_client(self):
        if self._cri is not None:
            self._cri.close()
            self._cri = None

    def _import_images(self):
        for archive in (images.build_pause_archive(CACHE), images.build_busybox_archive(CACHE)):
            self.ctr("images", "import", archive)

    def ctr(self, *arguments):
        return self.run("ctr", "--address", self.socket, "--namespace", "k8s.io", *arguments).stdout

    # Its end

    def close(self):
        """Ends the host and removes its traces. May be called twice, and after a failed start."""
        self._drop_client()
        _end(self.init_pid)  # first: its parent reaps it and ends by itself
        if self._holder is not None and self.init_pid is None:
            self._holder.kill()
        for process in (self._holder, *self._spawned):
            if process is not None:
                process.wait(timeout=30)
        self.init_pid, self._holder, self._spawned = None, None, []
        remove_traces(self.dir, self.cgroup)


def _end(init_pid):
    """Kills a bed's init, and so all its processes, and waits until the kernel has taken them."""
    if not init_pid:
        return
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(init_pid)
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)
    wait_for(f"the end of process {init_pid}", lambda: not is_alive(init_pid))


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def remove_traces(directory, cgroup):
    """Removes the directories of a bed whose processes are gone."""
    remove_cgroup(cgroup)
    if directory.exists():
        shutil.rmtree(directory)


def end_of_another(directory):
    """Ends the host of a bed that another process made, found by its directory alone."""
    directory = pathlib.Path(directory)
    pid_file = directory / "init.pid"
    if pid_file.exists():
        pid = int(pid_file.read_text())
        with contextlib.suppress(FileNotFoundError):  # another process may have the number by now
            if os.readlink(f"/proc/{pid}/exe") == str(directory / "init"):
                _end(pid)


def sweep():
    """Removes what beds have left whose owner was killed outright."""
    places = {tempfile.gettempdir(), "/dev/shm"}  # the benchmark's beds lie in memory
    for directory in (found for place in places for found in pathlib.Path(place).glob(DIRECTORY_PREFIX + "*")):
        owner = directory / "owner"
        if owner.exists() and is_alive(int(owner.read_text())):
            continue
        end_of_another(directory)
        remove_traces(directory, CGROUP_PREFIX + directory.name.removeprefix(DIRECTORY_PREFIX))
        print(f"removed the traces of {directory}")


if __name__ == "__main__":
    if sys.argv[1:] != ["sweep"]:
        sys.exit("usage: bed.py sweep")
    sweep()
