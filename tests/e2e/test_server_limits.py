"""What the node's own API bears: slow, silent, stalled, malformed and greedy clients. They get their refusal or their end,
everybody else is served meanwhile, and nothing is left of them. How fast it is, tools/bench-load measures."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import select
import socket
import ssl
import threading
import time

import pytest

import bed as beds
import node_client
from agent import SLEEP, condition, pod, shell

OPEN = {"authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"}}
MIB = 1 << 20
SLOW_CLIENTS = 200
FLOOD = 10_000
GREETINGS = 2_000  # each of them is answered with a signature
GREETINGS_MAX = 1024 // 4  # of the port's connections at once, beyond which the oldest makes room
BODY_MAX = 256 << 10
LOG_BYTES = 64 * MIB


class Figures:
    """What the agent uses."""

    def __init__(self, node):
        self._proc = pathlib.Path(f"/proc/{node.process.pid}")

    def descriptors(self):
        return len(os.listdir(self._proc / "fd"))

    def resident_bytes(self):
        return int(re.search(r"^VmRSS:\s+(\d+)", (self._proc / "status").read_text(), re.MULTILINE)[1]) * 1024


class SlowClients:
    """Clients whose request comes a byte a second, in a thread of their own until all have been cut off."""

    def __init__(self, inside, count):
        self._sockets = [node_client.trusting_all().wrap_socket(inside.connect()) for _ in range(count)]
        self.heard = {}  # socket → what it was told before its end
        self._request = b"GET /healthz HTTP/1.1\r\nHost: " + b"x" * 4000
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        for at in range(len(self._request)):
            for each in self._sockets:
                if each not in self.heard:
                    self._step(each, self._request[at:at + 1])
            if len(self.heard) == len(self._sockets):
                return
            time.sleep(1)  # it is what they do

    def _step(self, sock, byte):
        try:
            if select.select([sock], [], [], 0)[0]:
                self.heard[sock] = sock.recv(4096)
            else:
                sock.send(byte)
        except OSError:
            self.heard[sock] = b""

    def is_over(self):
        return not self._thread.is_alive()

    def close(self):
        for each in self._sockets:
            each.close()


@pytest.fixture(scope="module")
def inside(bed):
    sockets = node_client.Inside(bed)
    yield sockets
    sockets.close()


@pytest.fixture(scope="module")
def module_node(bed, inside):
    """A node that serves all tests of this module: whatever one does to it, the next finds it in order."""
    import agent as agents
    node = agents.Agent(bed, OPEN)
    node.start()
    node.pid_of_all = node.process.pid
    node_client.handshake(inside)
    node.slow = SlowClients(inside, SLOW_CLIENTS)  # they take their time while other tests run
    yield node
    node.slow.close()
    if node.process is not None and node.process.is_running():
        node.process.kill()
        node.process.wait()
    bed.cri.remove_all()
    beds.remove_cgroup(node.cgroup_root)


@pytest.fixture
def node(module_node, inside):
    """After each test the same process is there, answers, and has the descriptors it had before."""
    figures = Figures(module_node)
    with node_client.NodeClient(inside) as client:
        assert client.get("/healthz").body == "ok"
    before = figures.descriptors()
    yield module_node
    assert module_node.process.is_running() and module_node.process.pid == module_node.pid_of_all, module_node.log_tail()
    with node_client.NodeClient(inside) as client:
        assert client.get("/healthz").body == "ok"
    # A few files come and go; slow clients only go.
    beds.wait_for("the descriptors' return", lambda: figures.descriptors() <= before + 5, timeout=20)


def say(inside, request, patience=10):
    """Everything that is answered to these bytes until the server closes or falls silent, and whether it closed."""
    with node_client.trusting_all().wrap_socket(inside.connect()) as sock:
        return listen(sock, request, patience)


def listen(sock, request, patience=10):
    sock.settimeout(patience)
    heard = bytearray()
    with contextlib.suppress(ConnectionError, ssl.SSLError):  # closed while we speak
        sock.sendall(request)
    try:
        while piece := sock.recv(1 << 16):
            heard += piece
    except TimeoutError:
        return bytes(heard), False
    except (ConnectionError, ssl.SSLError):
        pass
    return bytes(heard), True


def statuses(answer):
    return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]


# Malformed requests

GET = b"GET /healthz HTTP/1.1\r\nHost: node\r\n"
POST = b"POST /healthz HTTP/1.1\r\nHost: node\r\n"
MALFORMED = {
    "no request line": (b"\r\r\n\r\n", 400),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", 400),
    "no version": (b"GET /healthz\r\n\r\n", 400),
    "another version": (b"GET /healthz HTTP/9.9\r\nHost: node\r\n\r\n", 505),
    "a blank too many": (b"GET  /healthz  HTTP/1.1\r\nHost: node\r\n\r\n", 400),
    "no path": (b"GET healthz HTTP/1.1\r\nHost: node\r\n\r\n", 400),
    "a bad escape": (b"GET /%zz HTTP/1.1\r\nHost: node\r\n\r\n", 400),
    "a control character": (b"GET /heal\x01thz HTTP/1.1\r\nHost: node\r\n\r\n", 400),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    "two hosts": (GET + b"Host: other\r\n\r\n", 400),
    "a host that is none": (b"GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "a field without a colon": (GET + b"nonsense\r\n\r\n", 400),
    "a blank before the colon": (GET + b"X-A : b\r\n\r\n", 400),
    "a field without a name": (GET + b": b\r\n\r\n", 400),
    "a NUL": (GET + b"X-A: a\x00b\r\n\r\n", 400),
    "a long path": (b"GET /" + b"a" * 50_000 + b" HTTP/1.1\r\nHost: node\r\n\r\n", 414),
    "a field of two megabytes": (GET + b"X-A: " + b"a" * (2 * MIB) + b"\r\n\r\n", 431),
    "a hundred thousand fields": (GET + b"X-A: b\r\n" * 100_000 + b"\r\n", 431),
    "a field that never ends": (GET + b"X-A: " + b"a" * 200_000, 431),
    "an odd expectation": (POST + b"Expect: miracles\r\nContent-Length: 2\r\n\r\nab", 417),
    "two lengths": (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    "a list of lengths": (POST + b"Content-Length: 3, 4\r\n\r\nabcd", 400),
    "a negative length": (POST + b"Content-Length: -1\r\n\r\n", 400),
    "a signed length": (POST + b"Content-Length: +3\r\n\r\nabc", 400),
    "a hexadecimal length": (POST + b"Content-Length: 0x3\r\n\r\nabc", 400),
    "a length beyond all numbers": (POST + b"Content-Length: 99999999999999999999\r\n\r\n", 400),
    "length and chunks": (POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET + b"\r\n", 400),
    "an unknown encoding": (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    "an encoding twice": (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400),
    "a chunk without a size": (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", 400),
    "a chunk of a negative size": (POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n", 400),
    "a chunk beyond all numbers": (POST + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na\r\n0\r\n\r\n", 400),
    "a chunk longer than it says": (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", 400),
    "a chunk with an endless extension": (POST + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 200_000, 431),
    "a body that is too large": (POST + b"Content-Length: %d\r\n\r\n" % (BODY_MAX + 1) + b"a" * MIB, 413),
    "chunks that are too large together": (POST + b"Transfer-Encoding: chunked\r\n\r\n"
                                           + (b"1000\r\n" + b"a" * 0x1000 + b"\r\n") * 65, 413),
    "HTTP/2 without its being agreed on": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 9, 400),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_is_refused_and_ends_its_connection(node, inside, name):
    request, status = MALFORMED[name]
    # What is sent behind it must not be taken for a request: of a part of it another may be made.
    heard, is_closed = say(inside, request + GET + b"X-Smuggled: 1\r\n\r\n")
    assert is_closed and statuses(heard) == [status], heard[:300]
    assert b"\r\nconnection: close\r\n" in heard.lower()


SMUGGLED = b"GET /configz HTTP/1.1\r\nHost: node\r\n\r\n"


@pytest.mark.parametrize("request_bytes", [
    POST + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED,
    POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n0\r\n\r\n",
    GET + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED,
], ids=["by length", "by chunks", "of a GET"])
def test_a_request_in_a_body_is_a_body(node, inside, request_bytes):
    heard, _ = say(inside, request_bytes + GET + b"Connection: close\r\n\r\n")
    assert statuses(heard) == [200, 200] and b"kubeletconfig" not in heard


def test_requests_one_after_the_other_are_answered_in_their_order(node, inside):
    heard, is_closed = say(inside, (GET + b"\r\n" + b"GET /nope HTTP/1.1\r\nHost: node\r\n\r\n") * 50
                           + GET + b"Connection: close\r\n\r\n")
    assert is_closed and statuses(heard) == [200, 404] * 50 + [200]


def test_a_body_as_large_as_allowed_is_taken(node, inside):
    with node_client.NodeClient(inside) as client:
        assert client.ask("POST", "/healthz", body=b"a" * BODY_MAX).status == 200


def test_plain_http_on_the_port_of_https_is_told_so(node, inside):
    with contextlib.closing(inside.connect()) as sock:
        heard, is_closed = listen(sock, GET + b"\r\n")
    assert is_closed and heard == b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
    for rubbish in (b"\x00" * 100, b"\x16\x03\x01\xff\xff" + b"\x00" * 100, os.urandom(4096)):
        with contextlib.closing(inside.connect()) as sock:
            heard, is_closed = listen(sock, rubbish + b"\x00" * 70_000)
        assert is_closed and not statuses(heard)


def test_nothing_outside_is_reached_through_the_logs(node, inside):
    with node_client.NodeClient(inside) as client:
        for path in ("/logs/%2e%2e/%2e%2e/etc/hostname", "/logs/..%2f..%2fetc%2fhostname", "/logs/%2fetc%2fhostname",
                     "/logs/pods%00/../../etc/hostname"):
            answer = client.get(path)
            assert answer.status in (307, 400, 404) and beds.NODE_NAME not in answer.body, (path, answer)


# Clients that do not read

def test_who_does_not_read_holds_nobody_up_and_not_much_memory(node, inside):
    figures = Figures(node)
    log = node.bed.dir / "log" / "large.log"
    with open(log, "wb") as file:
        file.truncate(LOG_BYTES)
    before = figures.resident_bytes()
    with contextlib.ExitStack() as stack:
        stack.callback(log.unlink)
        for number in range(40):
            sock = stack.enter_context(node_client.trusting_all().wrap_socket(inside.connect()))
            path = b"/logs/large.log" if number % 2 else b"/metrics/cadvisor"
            # Asked for over and over, never read.
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                sock.send((b"GET " + path + b" HTTP/1.1\r\nHost: node\r\n\r\n") * 1000)
        with node_client.NodeClient(inside) as client:
            for _ in range(20):
                assert client.get("/healthz").body == "ok"
                assert client.get("/metrics/cadvisor").status == 200
        # Far below what they have asked for: 20 × 64 MiB of logs alone.
        assert figures.resident_bytes() - before < 32 * MIB
    with node_client.trusting_all().wrap_socket(inside.connect()) as sock:
        sock.sendall(b"GET /logs/none HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")


def test_a_large_answer_arrives_whole(node, inside):
    log = node.bed.dir / "log" / "whole.log"
    content = os.urandom(MIB) * 8
    log.write_bytes(content)
    try:
        with node_client.trusting_all().wrap_socket(inside.connect()) as sock:
            heard, _ = listen(sock, b"GET /logs/whole.log HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")
            assert heard.partition(b"\r\n\r\n")[2] == content
    finally:
        log.unlink()


# Many requests

def test_pods_start_while_many_ask_for_them(node, inside):
    count, names = 0, [f"busy-{number}" for number in range(10)]
    is_over = threading.Event()

    def ask():
        answers = 0
        with node_client.NodeClient(inside) as client:
            while not is_over.is_set():
                answer = client.get("/pods")
                assert answer.status == 200, answer
                assert json.loads(answer.body)["kind"] == "PodList"
                answers += 1
            assert client.connections_made == 1, "a connection is kept"
        return answers

    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as threads:
        asked = [threads.submit(ask) for _ in range(4)]
        try:
            for name in names:
                node.apply(f"{name}.yaml", pod(name, shell("c", SLEEP)))
            for name in names:
                node.wait_running(name, timeout=60)
            with node_client.NodeClient(inside) as client:
                items = json.loads(client.get("/pods").body)["items"]
            assert {each["metadata"]["name"] for each in items} == {f"{name}-{beds.NODE_NAME}" for name in names}
            assert all(condition(each, "Ready") == "True" for each in items)
        finally:
            is_over.set()
        count = sum(each.result() for each in asked)
    assert count > 0
    for name in names:
        node.remove(f"{name}.yaml")
    for name in names:
        node.wait_gone(name)


# Slow and silent clients

def test_slow_clients_are_cut_off_in_the_end(node):
    beds.wait_for("the end of the slow clients", node.slow.is_over, timeout=60)
    assert len(node.slow.heard) == SLOW_CLIENTS
    for heard in node.slow.heard.values():
        assert statuses(heard) in ([408], []), heard


@pytest.mark.parametrize("words", ["nothing", "half a greeting", "a greeting"])
def test_thousands_of_silent_clients_keep_nobody_out(node, inside, words):
    figures, hello = Figures(node), node_client.client_hello()
    before = figures.descriptors(), figures.resident_bytes()
    said = {"nothing": b"", "half a greeting": hello[:len(hello) // 2], "a greeting": hello}[words]
    peak = [0, 0]
    sockets = []
    try:
        while len(sockets) < (GREETINGS if words == "a greeting" else FLOOD):
            fresh = inside.connect_many(500)
            sockets += fresh
            for each in fresh:
                with contextlib.suppress(OSError):
                    each.send(said)
            with node_client.NodeClient(inside) as client:
                assert client.get("/healthz").body == "ok"
            peak = [max(pair) for pair in zip(peak, (figures.descriptors(), figures.resident_bytes()))]
    finally:
        for each in sockets:
            each.close()
    print(f"{words}: descriptors {before[0]} → {peak[0]}, resident {before[1] >> 10} KiB → {peak[1] >> 10} KiB")
    assert peak[0] - before[0] <= GREETINGS_MAX + 5
    assert peak[1] - before[1] < 32 * MIB


def test_what_clients_took_is_given_back(module_node, inside):
    """After all of the above."""
    beds.wait_for("memory as before", lambda: Figures(module_node).resident_bytes() < 24 * MIB, timeout=60)
