"""Both ends of streams that pass through an API server and a node: kubectl on one side, servers in "the pod" on the other."""

import contextlib
import functools
import hashlib
import json
import os
import re
import socket
import subprocess
import threading

import agent as agents
import bed as beds
import children
import forward
import node_wire
import plane as planes


@functools.cache
def knows_websockets():
    """Whether kubectl speaks WebSockets when it is asked to."""
    version = json.loads(subprocess.run([planes.KUBECTL, "version", "--client", "-o", "json"], capture_output=True, text=True,
                                        check=True, timeout=10).stdout)
    return int(re.match(r"\d+", version["clientVersion"]["minor"])[0]) >= 31


# kubectl reads from the connection before it has made its streams (client-go, readDemuxLoop): what comes so early is logged
# and thrown away. On a busy machine that meets the empty message a kubelet opens the output with, which is no loss.
DISCARDED = re.compile(r"^E\d{4} .*Unknown stream id \d+, discarding message\n", re.MULTILINE)


class Kubectl:
    """kubectl that speaks one of its protocols, with bytes."""

    def __init__(self, plane, wire, namespace="default"):
        enabled = "true" if wire == "websocket" else "false"
        self.environment = {**plane.environment(), "KUBECTL_REMOTE_COMMAND_WEBSOCKETS": enabled,
                            "KUBECTL_PORT_FORWARD_WEBSOCKETS": enabled}
        self.namespace = namespace

    def start(self, *arguments, **options):
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return children.Child([planes.KUBECTL, "-n", self.namespace, *map(str, arguments)], env=self.environment,
                              **{**pipes, **options})

    def run(self, *arguments, stdin=b"", code=0, timeout=60):
        """What it prints on either stream. Where kubectl threw output away itself, it is run again."""
        for _ in range(3):
            with self.start(*arguments, stdin=subprocess.PIPE) as process:
                try:
                    out, err = process.communicate(stdin, timeout=timeout)
                finally:
                    process.kill()
            err, discarded = DISCARDED.subn("", err.decode())
            if discarded <= 1:
                break
        assert process.returncode == code, (process.returncode, out[-1000:], err)
        return out, err


class Target:
    """A server in "the pod"; @serve(connection) has one connection to itself."""

    def __init__(self, serve, listener=None):
        self.serve = serve
        self.listener = listener or socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.seen = []  # what @serve returned
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        with connection:
            self.seen.append(self.serve(connection))

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # else it listens as long as somebody is in accept()
        self.listener.close()


def digest(data):
    return hashlib.sha256(data).hexdigest()


def receive_all(connection):
    chunks = []
    while chunk := connection.recv(65536):
        chunks.append(chunk)
    return b"".join(chunks)


def echo(connection):
    while chunk := connection.recv(65536):
        connection.sendall(chunk)


def descriptors(agent):
    """What the agent has open, by number."""
    found = {}
    for entry in os.scandir(f"/proc/{agent.process.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found[entry.name] = os.readlink(entry)
    return found


@contextlib.contextmanager
def nothing_left_open(agent):
    """Waits at its end until the agent holds no more descriptors than at the beginning."""
    before = descriptors(agent)
    yield
    try:
        beds.wait_for(f"{len(before)} descriptors", lambda: len(descriptors(agent)) <= len(before))
    except TimeoutError as error:
        raise TimeoutError(f"{error}\nbefore: {before}\nnow: {descriptors(agent)}") from None


# A pod to do all this with

def _container(name, script, **more):
    return agents.shell(name, script, env=[{"name": "WHO", "value": name}], imagePullPolicy="Never", **more)


@contextlib.contextmanager
def stage(cluster, namespace):
    """One pod "web" in a namespace that is the cluster's for so long: "c" to run commands in, "ears" that answers what it
    hears, "term" with a terminal, and "over", which has ended. Its node has an API by then."""
    cluster.create({"kind": "Namespace", "metadata": {"name": namespace}})
    cluster.namespace = namespace
    answer = "while read -r line; do echo \"got $line\"; done; exec sleep 3600"
    cluster.create(agents.pod(
        "web", _container("c", agents.SLEEP), _container("ears", answer, stdin=True),
        _container("term", "tty; " + answer, stdin=True, tty=True), _container("over", "exit 0"), restartPolicy="Never",
        terminationGracePeriodSeconds=0))
    pod = cluster.wait_pod("web", "with its containers", _is_set)
    with contextlib.closing(node_wire.Node(cluster)):
        yield pod
    cluster.delete("pods", "web", gracePeriodSeconds=0)
    cluster.delete("namespaces", namespace)
    cluster.namespace = "default"


def _is_set(pod):
    states = {name: (agents.container_status(pod, name) or {}).get("state", {}) for name in ("c", "ears", "term", "over")}
    return "terminated" in states.pop("over") and all("running" in state for state in states.values())


def target_in(cluster, pod, serve):
    """A Target on the loopback of @pod."""
    cri = cluster.bed.cri
    sandbox, = (sandbox for sandbox in cri.sandboxes(pod["metadata"]["uid"]) if sandbox.state == 0)
    process = f"{cluster.bed.init_pid}/root/proc/{cri.sandbox_info(sandbox.id)['pid']}"
    return Target(serve, forward.within(process, lambda: socket.create_server(("127.0.0.1", 0))))
