"""exec, attach, cp and port-forward as people use them: a real kubectl through the API server to a node with a real
runtime. What each endpoint of the node does when it is spoken to alone is in test_cluster_wires.py."""

import contextlib
import fcntl
import hashlib
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import termios
import threading

import pytest

import bed as beds
import stream_peers
from stream_peers import digest, receive_all

MIB = 1 << 20
LARGE = os.urandom(5 * MIB)
COPY_MIB = 200
NAMESPACE = "streams"


@pytest.fixture(scope="module")
def pod(cluster):
    with stream_peers.stage(cluster, NAMESPACE) as made:
        yield made


@pytest.fixture(params=["websocket", "spdy"])
def wire(request):
    if request.param == "websocket" and not stream_peers.knows_websockets():
        pytest.skip("this kubectl knows no WebSockets")
    return request.param


@pytest.fixture
def kubectl(cluster, pod, wire):
    return stream_peers.Kubectl(cluster.plane, wire, NAMESPACE)


@pytest.fixture(autouse=True)
def nothing_is_left_open(cluster, pod):
    """After each test the agent holds no more descriptors than before."""
    with stream_peers.nothing_left_open(cluster.node):
        yield


# exec

@pytest.mark.parametrize("script, code", [("exit 0", 0), ("exit 1", 1), ("exit 137", 137), ("kill -9 $$", 137)])
def test_a_command_s_exit_code_is_kubectl_s(kubectl, script, code):
    out, err = kubectl.run("exec", "web", "-c", "c", "--", "sh", "-c", f"echo out; echo err >&2; {script}", code=code)
    assert out == b"out\n"
    assert err.startswith("err\n")


def test_a_command_that_is_not_there_is_told_of(kubectl):
    with kubectl.start("exec", "web", "-c", "c", "--", "no-such-command") as process:
        _, err = process.communicate(timeout=20)
    assert process.returncode in (1, 126, 127)
    assert b"no-such-command" in err


@pytest.mark.parametrize("container, words", [
    ("over", 'container not found ("over")'), ("none", "none is not valid for pod web")])
def test_there_is_no_command_in_what_does_not_run(kubectl, container, words):
    _, err = kubectl.run("exec", "web", "-c", container, "--", "true", code=1)
    assert words in err


def test_without_stdin_there_is_nothing_to_read(kubectl):
    out, _ = kubectl.run("exec", "web", "-c", "c", "--", "cat", stdin=b"not for it")
    assert out == b""


def test_the_container_is_the_one_that_was_asked_for(kubectl):
    for container in ("c", "ears"):
        out, _ = kubectl.run("exec", "web", "-c", container, "--", "sh", "-c", "echo $WHO")
        assert out.decode().strip() == container


def test_bytes_pass_unchanged_both_ways(kubectl):
    out, _ = kubectl.run("exec", "-i", "web", "-c", "c", "--", "cat", stdin=LARGE)
    assert digest(out) == digest(LARGE)


def test_the_end_of_stdin_arrives_alone(kubectl):
    """The command answers only once its input has ended: the other direction must stay open."""
    out, _ = kubectl.run("exec", "-i", "web", "-c", "c", "--", "sh", "-c", "sha256sum; sleep 0.2; echo done", stdin=LARGE)
    assert out.decode().split() == [digest(LARGE), "-", "done"]


def test_a_large_output_arrives_whole(kubectl):
    size = 10 * MIB
    out, err = kubectl.run("exec", "web", "-c", "c", "--", "sh", "-c",
                           f"yes 0123456789abcde | head -c {size} & yes error | head -c 600000 >&2; wait")
    assert digest(out) == digest(b"0123456789abcde\n" * (size // 16))
    wrong = err.replace("error\n", "")  # pytest would compare the two texts for minutes
    assert (len(err), wrong[:1000]) == (600000, "")


class Terminal:
    """A terminal of ours, and what was shown on it."""

    def __init__(self, rows, columns):
        self.main, self.other = pty.openpty()
        self.shown = b""
        self.resize(rows, columns)

    def resize(self, rows, columns):
        fcntl.ioctl(self.main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def start(self, kubectl, *arguments):
        process = kubectl.start(*arguments, stdin=self.other, stdout=self.other, stderr=self.other, start_new_session=True)
        os.close(self.other)
        return process

    def type(self, data):
        os.write(self.main, data)

    def wait(self, text):
        def shows():
            self.shown += os.read(self.main, 65536)
            return text in self.shown
        beds.wait_for(repr(text), shows)

    def close(self):
        os.close(self.main)


@pytest.fixture
def terminal():
    with contextlib.closing(Terminal(33, 111)) as made:
        yield made


def test_a_terminal_has_the_size_of_ours(kubectl, terminal):
    script = "tty; while ! [ -e stop ]; do stty size; sleep 0.05; done"
    with terminal.start(kubectl, "exec", "-it", "web", "-c", "c", "--", "sh", "-c", script) as process:
        terminal.wait(b"33 111")
        assert b"/dev/pts/" in terminal.shown
        terminal.resize(44, 122)
        process.send_signal(signal.SIGWINCH)
        terminal.wait(b"44 122")
        terminal.type(b"\x03")  # the far terminal makes it SIGINT, which ends the script: no line of ours does
        assert process.wait(20) == 130


# attach

def test_an_attached_client_talks_to_the_main_process(kubectl):
    """It hears what is said from then on, and leaves when its input has ended: the process goes on."""
    with kubectl.start("attach", "-i", "web", "-c", "ears", stdin=subprocess.PIPE) as process:
        for word in (b"one", b"two"):
            process.stdin.write(word + b"\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"got " + word + b"\n"
        process.kill()
    with kubectl.start("attach", "-i", "web", "-c", "ears", stdin=subprocess.PIPE) as process:
        process.stdin.write(b"three\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"got three\n"
        process.kill()


def test_an_attached_terminal_is_the_main_process_s(kubectl, terminal):
    with terminal.start(kubectl, "attach", "-it", "web", "-c", "term") as process:
        terminal.type(b"hello\n")
        terminal.wait(b"got hello")
        process.kill()


def test_nobody_attaches_to_what_has_ended(kubectl):
    _, err = kubectl.run("attach", "web", "-c", "over", code=1)
    assert 'container not found ("over")' in err or "cannot attach" in err


# cp

def test_a_file_is_copied_into_the_pod_and_back(cluster, pod, tmp_path):
    """Once, as kubectl does it by itself."""
    kubectl = stream_peers.Kubectl(cluster.plane, "websocket" if stream_peers.knows_websockets() else "spdy", NAMESPACE)
    want = hashlib.sha256()
    with open(tmp_path / "large", "wb") as large:
        for i in range(COPY_MIB):
            piece = LARGE[i * 4096:i * 4096 + MIB]
            want.update(piece)
            large.write(piece)
    kubectl.run("cp", "-c", "c", tmp_path / "large", "web:/tmp/large")
    out, _ = kubectl.run("exec", "web", "-c", "c", "--", "sha256sum", "/tmp/large")
    assert out.decode().split()[0] == want.hexdigest()
    kubectl.run("cp", "-c", "c", "web:/tmp/large", tmp_path / "back")
    kubectl.run("exec", "web", "-c", "c", "--", "rm", "/tmp/large")
    with open(tmp_path / "back", "rb") as back:
        assert hashlib.file_digest(back, "sha256").hexdigest() == want.hexdigest()
    for name in ("large", "back"):
        (tmp_path / name).unlink()


# port-forward

@pytest.fixture
def make_target(cluster, pod):
    """Makes servers on the loopback of the pod: make_target(serve)."""
    with contextlib.ExitStack() as ends:
        yield lambda serve: ends.enter_context(contextlib.closing(stream_peers.target_in(cluster, pod, serve)))


@pytest.fixture
def forward(kubectl):
    """Forwards to ports of the pod: forward(port, ...) returns what connects to each, and kubectl."""
    ends = contextlib.ExitStack()

    def connector(port):
        return lambda: socket.create_connection(("127.0.0.1", port), timeout=30)

    def start(*ports):
        process = kubectl.start("port-forward", "--address", "127.0.0.1", "web", *(f":{port}" for port in ports))
        ends.callback(lambda: (process.kill(), process.communicate()))
        lines = [process.stdout.readline().decode() for _ in ports]
        return [connector(int(re.match(r"Forwarding from 127\.0\.0\.1:(\d+) ->", line)[1])) for line in lines], process

    with ends:
        yield start


def test_several_ports_are_forwarded_over_several_connections(forward, make_target):
    targets = [make_target(stream_peers.echo) for _ in range(2)]
    targets.append(make_target(lambda connection: connection.sendall(LARGE)))
    connects, _ = forward(*(target.port for target in targets))
    with contextlib.ExitStack() as ends:
        connections = [ends.enter_context(connects[i % 2]()) for i in range(6)]
        for i, connection in enumerate(connections):
            connection.sendall(b"hello %d" % i)
        for i, connection in enumerate(connections):
            assert connection.recv(100) == b"hello %d" % i
        with connects[2]() as connection:
            assert digest(receive_all(connection)) == digest(LARGE)
        sender = threading.Thread(target=connections[0].sendall, args=(LARGE * 4,))
        sender.start()
        assert digest(receive(connections[0], len(LARGE) * 4)) == digest(LARGE * 4)
        sender.join()


def receive(connection, size):
    got = bytearray()
    while len(got) < size and (chunk := connection.recv(65536)):
        got += chunk
    return got


def test_a_client_that_closes_first_is_heard_out(forward, make_target):
    """The runtime passes the end on only a second later, when it closes the connection: it never closes half of one."""
    target = make_target(lambda connection: digest(receive_all(connection)))
    (connect,), _ = forward(target.port)
    with connect() as connection:
        connection.sendall(LARGE)
        connection.shutdown(socket.SHUT_WR)
        assert receive_all(connection) == b""
    assert beds.wait_for("what the server has seen", lambda: target.seen) == [digest(LARGE)]


def test_a_port_that_nobody_listens_at_is_told_of(forward, make_target):
    target = make_target(stream_peers.echo)
    target.close()
    (connect,), process = forward(target.port)
    with connect() as connection, contextlib.suppress(ConnectionError):
        assert receive_all(connection) == b""
    line = process.stderr.readline().decode()
    assert "an error occurred forwarding" in line and "connection refused" in line.lower(), line
