"""exec, attach, cp, port-forward and logs through nodeplane, end to end: a real kubectl on one side, a played node that
really runs commands on the other. What nodeplane passes on it must neither change nor keep."""

import contextlib
import fcntl
import os
import pathlib
import pty
import re
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import pytest

import bed as beds
import plane as planes
import played_node
import stream_peers
from stream_peers import Kubectl, Target, digest, echo, receive_all

PODS = "/api/v1/namespaces/default/pods"
MIB = 1 << 20
LARGE = os.urandom(5 * MIB)
NODE = "streams-node"
# Far above what the buffers of some connections take, far below what passes through them in a test.
GROWTH_MAX_BYTES = 12 * MIB


@pytest.fixture(scope="module")
def node(plane, tmp_path_factory):
    server = played_node.PlayedNode(tmp_path_factory.mktemp("node"))
    server.trust(plane.credentials()[5])
    code, answer = plane.request("POST", "/api/v1/nodes", {
        "metadata": {"name": NODE}, "status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                                               "daemonEndpoints": {"kubeletEndpoint": {"Port": server.port}}}})
    assert code == 201, answer
    code, answer = plane.request("POST", PODS, planes.pod("web", nodeName=NODE))
    assert code == 201, answer
    code, answer = plane.request("PATCH", f"{PODS}/web/status", {"status": {"phase": "Running"}},
                                 content_type="application/merge-patch+json")
    assert code == 200, answer
    yield server
    plane.request("DELETE", f"{PODS}/web?gracePeriodSeconds=0")
    plane.request("DELETE", f"/api/v1/nodes/{NODE}")
    server.close()


def descriptors(plane):
    return len(os.listdir(f"/proc/{plane.process.pid}/fd"))


@pytest.fixture(autouse=True)
def nothing_is_left_open(plane, node):
    """After each test nodeplane holds the descriptors it held before, and no connection to the node."""
    beds.wait_for("a quiet node", lambda: node.connection_count() == 0)
    before = descriptors(plane)
    yield
    beds.wait_for("the end of every connection to the node", lambda: node.connection_count() == 0)
    beds.wait_for(f"{before} descriptors", lambda: descriptors(plane) <= before)


@pytest.fixture(params=["websocket", "spdy"])
def wire(request):
    if request.param == "websocket" and not stream_peers.knows_websockets():
        pytest.skip("this kubectl knows no WebSockets")
    return request.param


@pytest.fixture
def kubectl(plane, node, wire):
    node.requests.clear()
    return Kubectl(plane, wire)


# exec and attach

@pytest.mark.parametrize("script, code", [("exit 0", 0), ("exit 3", 3), ("exit 137", 137), ("kill -9 $$", 137)])
def test_a_command_s_exit_code_is_kubectl_s(kubectl, script, code):
    out, err = kubectl.run("exec", "web", "--", "sh", "-c", f"echo out; echo err >&2; {script}", code=code)
    assert out == b"out\n"
    assert err.startswith("err\n")


def test_the_wire_is_the_one_that_was_asked_for(kubectl, node, wire):
    kubectl.run("exec", "web", "--", "true")
    head = node.requests[0].lower()
    if wire == "websocket":
        assert head.startswith("get /exec/default/web/c?") and "sec-websocket-protocol: v5.channel.k8s.io" in head
    else:
        assert head.startswith("post /exec/default/web/c?") and "upgrade: spdy/3.1" in head
    assert len(node.requests) == 1
    assert node.subjects[-1]["organizationName"] == "system:masters"


def test_a_command_that_is_not_there_is_told_of(kubectl):
    _, err = kubectl.run("exec", "web", "--", "no-such-command", code=1)
    assert "no-such-command" in err


def test_bytes_pass_unchanged_both_ways(kubectl):
    out, _ = kubectl.run("exec", "-i", "web", "--", "cat", stdin=LARGE)
    assert digest(out) == digest(LARGE)


def test_the_end_of_stdin_arrives_alone(kubectl):
    """The command answers only once its input has ended: the other direction must stay open."""
    out, _ = kubectl.run("exec", "-i", "web", "--", "sh", "-c", "sha256sum; sleep 0.2; echo done", stdin=LARGE)
    assert out.decode().split() == [digest(LARGE), "-", "done"]


def test_a_terminal_has_the_size_of_ours(kubectl):
    """`kubectl exec -it` on a terminal of ours, which then changes its size."""
    def resize(rows, columns):
        fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    shown = b""

    def shows(text):
        nonlocal shown
        shown += os.read(main, 65536)
        return text in shown

    main, other = pty.openpty()
    resize(33, 111)
    script = "tty; while ! [ -e stop ]; do stty size; sleep 0.05; done; rm stop; read word; echo got:$word; exit 5"
    with kubectl.start("exec", "-it", "web", "--", "sh", "-c", script, stdin=other, stdout=other, stderr=other,
                       start_new_session=True) as process:
        os.close(other)
        beds.wait_for("the first size", lambda: shows(b"33 111"))
        assert b"/dev/pts/" in shown
        resize(44, 122)
        process.send_signal(signal.SIGWINCH)
        beds.wait_for("the new size", lambda: shows(b"44 122"))
        os.write(main, b"\x03")  # the far terminal makes it SIGINT, which ends the script: no line of ours does
        assert process.wait(20) == 130
    os.close(main)


def test_an_attached_client_talks_to_the_main_process(kubectl, node):
    node.main = ["sh", "-c", "echo ready; while read -r line; do echo \"got $line\"; done; echo bye >&2"]
    out, err = kubectl.run("attach", "-i", "web", stdin=b"one\ntwo\n")
    assert out == b"ready\ngot one\ngot two\n"
    assert "bye\n" in err


def test_many_commands_at_once_do_not_mix(kubectl):
    processes = [kubectl.start("exec", "web", "--", "sh", "-c", f"for i in $(seq 2000); do echo {n}; done") for n in range(6)]
    for n, process in enumerate(processes):
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert out == f"{n}\n".encode() * 2000


# cp

def test_a_file_is_copied_into_the_pod_and_back(kubectl, node, tmp_path):
    (tmp_path / "large").write_bytes(LARGE)
    kubectl.run("cp", tmp_path / "large", "web:into")
    assert digest((node.root / "into").read_bytes()) == digest(LARGE)
    kubectl.run("cp", "web:into", tmp_path / "back")
    assert digest((tmp_path / "back").read_bytes()) == digest(LARGE)


def test_a_directory_is_copied_into_the_pod_and_back(kubectl, node, wire, tmp_path):
    files = {"a": b"1", "empty": b"", "below/b": LARGE[:MIB], "below/deep/c": b"3" * 1000}
    for name, content in files.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_bytes(content)
    kubectl.run("cp", tmp_path / "tree", f"web:tree-{wire}")
    kubectl.run("cp", f"web:tree-{wire}", tmp_path / "back")
    for root in (node.root / f"tree-{wire}", tmp_path / "back"):
        found = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        assert found == files


# port-forward

@pytest.fixture
def forward(kubectl):
    """Forwards to a Target: forward(serve) returns it and what connects to it."""
    ends = contextlib.ExitStack()

    def start(serve):
        target = Target(serve)
        ends.callback(target.close)
        process = kubectl.start("port-forward", "web", f":{target.port}")
        ends.callback(lambda: (process.kill(), process.communicate()))
        line = process.stdout.readline().decode()
        port = int(re.match(r"Forwarding from 127\.0\.0\.1:(\d+) ->", line)[1])
        target.forwarder = process
        return target, lambda: socket.create_connection(("127.0.0.1", port), timeout=30)

    with ends:
        yield start


def test_parallel_connections_carry_large_transfers(forward):
    _, connect = forward(echo)
    results = {}

    def one(n):
        sent = bytes([n]) + LARGE[:2 * MIB]
        with connect() as connection:
            sender = threading.Thread(target=connection.sendall, args=(sent,))
            sender.start()
            got = b""
            while len(got) < len(sent) and (chunk := connection.recv(65536)):
                got += chunk
            sender.join()
        results[n] = digest(got) == digest(sent)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == {n: True for n in range(4)}


def test_a_server_that_closes_first_is_heard_out(forward):
    _, connect = forward(lambda connection: connection.sendall(LARGE))
    for _ in range(3):
        with connect() as connection:
            assert digest(receive_all(connection)) == digest(LARGE)


def test_a_client_that_closes_first_is_heard_out(forward):
    target, connect = forward(lambda connection: digest(receive_all(connection)))
    with connect() as connection:
        connection.sendall(LARGE)
        connection.shutdown(socket.SHUT_WR)
        assert receive_all(connection) == b""
    beds.wait_for("what the server has seen", lambda: target.seen)
    assert target.seen == [digest(LARGE)]


def test_a_port_that_nobody_listens_at_ends_only_its_connection(forward):
    target, connect = forward(echo)
    target.close()
    with connect() as connection, contextlib.suppress(ConnectionError):
        assert receive_all(connection) == b""


# logs

def test_a_followed_log_that_is_cut_by_the_client_ends_at_the_node(kubectl, node):
    node.log.write_text("first\n")
    process = kubectl.start("logs", "-f", "web")
    with process:
        assert process.stdout.readline() == b"first\n"
        for i in range(3):
            with open(node.log, "a") as log:
                log.write(f"line {i}\n")
            assert process.stdout.readline() == f"line {i}\n".encode()
        assert node.connection_count() == 1
        process.kill()


def test_a_large_log_arrives_whole(kubectl, node):
    node.log.write_bytes(LARGE)
    out, _ = kubectl.run("logs", "web")
    assert digest(out) == digest(LARGE)


def test_a_log_that_cannot_be_had_says_why(kubectl, plane, node):
    node.answers["web"] = 400, 'container "c" in pod "web" is waiting to start: ContainerCreating'
    try:
        _, err = kubectl.run("logs", "web", code=1)
        code, answer = plane.request("GET", f"{PODS}/web/log")
    finally:
        del node.answers["web"]
    assert err.strip() == 'Error from server (BadRequest): container "c" in pod "web" is waiting to start: ContainerCreating'
    assert (code, answer["kind"], answer["reason"]) == (400, "Status", "BadRequest")


# a node that goes away

@pytest.mark.parametrize("arguments", [
    ("exec", "web", "--", "sh", "-c", "echo ready; sleep 600"), ("exec", "-i", "web", "--", "sh", "-c", "echo ready; cat"),
    ("attach", "web"), ("logs", "-f", "web"), ("port-forward", "web", ":1")], ids=lambda arguments: " ".join(arguments[:2]))
def test_a_node_that_goes_away_ends_kubectl(kubectl, node, wire, arguments):
    """How well kubectl takes it is its own affair: over SPDY it knows no difference between a command's end and this."""
    node.main = ["sh", "-c", "echo ready; sleep 600"]
    node.log.write_text("ready\n")
    with kubectl.start(*arguments, stdin=subprocess.PIPE) as process:
        assert process.stdout.readline()
        node.cut()
        process.wait(20)
        err = process.stderr.read().decode()
        if arguments[0] == "port-forward":
            assert "lost connection to pod" in err
        else:
            assert (process.returncode != 0) == (wire == "websocket" or arguments[0] == "logs"), err


def test_a_node_that_is_not_there_is_told_of(kubectl, plane):
    code, answer = plane.request("POST", "/api/v1/nodes", {
        "metadata": {"name": "gone"}, "status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                                                 "daemonEndpoints": {"kubeletEndpoint": {"Port": planes.free_port()}}}})
    assert code == 201, answer
    plane.request("POST", PODS, planes.pod("lost", nodeName="gone"))
    try:
        for command in (("exec", "lost", "--", "true"), ("logs", "lost")):
            _, err = kubectl.run(*command, code=1)
            assert "connection refused" in err
    finally:
        plane.request("DELETE", f"{PODS}/lost?gracePeriodSeconds=0")
        plane.request("DELETE", "/api/v1/nodes/gone")


def test_clients_that_are_killed_leave_nothing_behind(kubectl, node):
    """What nothing_is_left_open then looks at."""
    processes = [kubectl.start("exec", "-i", "web", "--", "cat", stdin=subprocess.PIPE) for _ in range(8)]
    beds.wait_for("eight connections at the node", lambda: node.connection_count() == 8)
    for process in processes:
        process.kill()
        process.communicate()


# who reads slowly

def grows(plane, moved):
    """How much nodeplane grows until nothing moves any more."""
    before, last, quiet = plane.resident_bytes(), -1, 0
    peak = before
    while quiet < 5:
        now = moved()
        quiet = quiet + 1 if now == last else 0
        last = now
        peak = max(peak, plane.resident_bytes())
        time.sleep(0.2)  # in which much would move
    return peak - before


@pytest.mark.parametrize("arguments", [("exec", "web", "--", "cat", "blob"), ("logs", "web")], ids=["exec", "logs"])
def test_a_slow_reader_holds_the_node_back(kubectl, plane, node, arguments):
    blob = node.root / "blob"
    blob.write_bytes(LARGE * 20)
    node.log.write_bytes(LARGE * 20)
    with kubectl.start(*arguments) as process:
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        beds.wait_for("a connection", lambda: node.connection_count() == 1)
        assert grows(plane, lambda: pathlib.Path(f"/proc/{process.pid}/io").read_text()) < GROWTH_MAX_BYTES
        assert digest(process.stdout.read()) == digest(LARGE * 20)
        assert process.wait(20) == 0
    blob.unlink()


def test_a_command_that_does_not_read_holds_the_client_back(kubectl, plane, node):
    with kubectl.start("exec", "-i", "web", "--", "sleep", "600", stdin=open("/dev/zero", "rb")) as process:
        beds.wait_for("a connection", lambda: node.connection_count() == 1)
        assert grows(plane, lambda: pathlib.Path(f"/proc/{process.pid}/io").read_text()) < GROWTH_MAX_BYTES
        node.cut()
        process.wait(20)


# Python's client, whose protocol is the older one

def test_python_s_client_runs_a_command(plane, node):
    import kubernetes
    core = kubernetes.client.CoreV1Api(plane.client())
    stream = kubernetes.stream.stream(core.connect_get_namespaced_pod_exec, "web", "default", stdin=True, stdout=True, stderr=True,
                                      command=["sh", "-c", "read line; echo got:$line; echo err >&2; exit 4"], tty=False,
                                      _preload_content=False)
    stream.write_stdin("hello\n")
    stream.run_forever(timeout=20)
    assert (stream.read_stdout(), stream.read_stderr(), stream.returncode) == ("got:hello\n", "err\n", 4)


def test_python_s_client_forwards_a_port(plane, node):
    import kubernetes
    core = kubernetes.client.CoreV1Api(plane.client())
    target = Target(echo)
    forward = kubernetes.stream.portforward(core.connect_get_namespaced_pod_portforward, "web", "default", ports=str(target.port))
    connection = forward.socket(target.port)
    connection.setblocking(True)
    connection.sendall(b"hello")
    assert connection.recv(100) == b"hello"
    connection.close()
    target.close()


# who is not kubectl

def test_a_stream_needs_an_upgrade(plane, node):
    for part in ("exec?command=true&stdout=1", "attach?stdout=1", "portforward?ports=1"):
        code, answer = plane.request("POST", f"{PODS}/web/{part}")
        assert (code, answer["message"]) == (400, "Upgrade request required")
