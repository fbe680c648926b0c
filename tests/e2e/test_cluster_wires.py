"""The streams of a node's own API, spoken to without an API server: every protocol it knows, what it refuses and in which
words, and what is left when clients go away or come in crowds."""

import base64
import contextlib
import json
import os
import pathlib
import re
import struct
import threading
import time

import pytest

import bed as beds
import node_wire
import stream_peers
from node_wire import STDOUT, Answer, Command, query
from stream_peers import digest

MIB = 1 << 20
LARGE = os.urandom(3 * MIB)
NAMESPACE = "wires"
V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
PLAIN = "text/plain; charset=utf-8"


@pytest.fixture(scope="module")
def pod(cluster):
    with stream_peers.stage(cluster, NAMESPACE) as made:
        yield made


@pytest.fixture(scope="module")
def node(cluster, pod):
    with contextlib.closing(node_wire.Node(cluster)) as made:
        yield made


@pytest.fixture
def make_target(cluster, pod):
    """Makes servers on the loopback of the pod: make_target(serve)."""
    with contextlib.ExitStack() as ends:
        yield lambda serve: ends.enter_context(contextlib.closing(stream_peers.target_in(cluster, pod, serve)))


@pytest.fixture(autouse=True)
def nothing_is_left_open(cluster, node):
    """After each test the agent holds no more descriptors than before."""
    with stream_peers.nothing_left_open(cluster.node):
        yield


def resident_bytes(cluster):
    text = pathlib.Path(f"/proc/{cluster.node.process.pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+) kB", text, re.MULTILINE)[1]) * 1024


# What may remain: text that was not needed before, and holes in the heap. What compresses the headers of one session takes
# 300 KiB, so that of a hundred not many could be forgotten.
REMAINS_BYTES = 8 * MIB


def exec_path(*command, container="c", uid="", **switches):
    return (f"/exec/{NAMESPACE}/web/{uid}{container}"
            + query(command=command, **{"output": 1, "error": 1, **switches}))


def attach_path(container, **switches):
    return f"/attach/{NAMESPACE}/web/{container}" + query(**switches)


def exit_status(code):
    """What a command's status says of an exit code, as it was told to clients."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]}}


def without_message(status):
    return {key: value for key, value in status.items() if key != "message"}


# exec on WebSockets

@pytest.mark.parametrize("protocol", [V5, V4])
@pytest.mark.parametrize("code", [0, 1, 137])
def test_a_command_s_output_and_exit_code(node, protocol, code):
    ws = node.websocket(exec_path("sh", "-c", f"echo out; echo err >&2; exit {code}"), protocol)
    assert ws.subprotocol == protocol
    out, err, status = Command(ws).finish()
    assert (out, err) == (b"out\n", b"err\n")
    assert without_message(status) == exit_status(code)
    assert code == 0 or f"exit code {code}" in status["message"]


def test_the_first_protocol_that_both_know_is_chosen(node):
    ws = node.websocket(exec_path("true"), "v9.channel.k8s.io", V5, V4)
    assert ws.subprotocol == V5
    Command(ws).finish()


@pytest.mark.parametrize("protocol", ["base64.channel.k8s.io", "v4.base64.channel.k8s.io"])
def test_channels_in_text(node, protocol):
    ws = node.websocket(exec_path("sh", "-c", "read a; echo got $a; echo err >&2", input=1), protocol)
    assert ws.subprotocol == protocol
    ws.send(b"0" + base64.b64encode(b"hello\n"))
    said = {}
    while message := ws.recv():
        said[message[0]] = said.get(message[0], b"") + base64.b64decode(message[1:])
    ws.close()
    assert (said["1"], said["2"]) == (b"got hello\n", b"err\n")


@pytest.mark.parametrize("protocol", [V5, V4])
def test_what_comes_in_goes_out(node, protocol):
    command = Command(node.websocket(exec_path("head", "-c", str(len(LARGE)), input=1), protocol))
    sender = threading.Thread(target=lambda: [command.write(LARGE[at:at + 30000]) for at in range(0, len(LARGE), 30000)])
    sender.start()
    out, err, status = command.finish()
    sender.join()
    assert (digest(out), err, status) == (digest(LARGE), b"", exit_status(0))


def test_v5_ends_stdin_alone(node):
    command = Command(node.websocket(exec_path("sh", "-c", "sha256sum; echo done >&2", input=1), V5))
    command.write(LARGE)
    command.end_stdin()
    out, err, status = command.finish()
    assert (out.split()[0].decode(), err, status) == (digest(LARGE), b"done\n", exit_status(0))


@pytest.mark.parametrize("protocol", [V5, V4])
def test_a_terminal_is_resized(node, protocol):
    script = "while sleep 0.05; do stty size; done"
    command = Command(node.websocket(exec_path("sh", "-c", script, input=1, tty=1), protocol))
    for rows, columns in ((24, 80), (50, 132)):
        command.write(json.dumps({"Width": columns, "Height": rows}).encode(), node_wire.RESIZE)
        command.read_until(lambda: f"{rows} {columns}\r\n".encode() in command.said[STDOUT])
    command.write(b"\x03")
    out, err, status = command.finish()
    assert err == b"" and without_message(status) == exit_status(130)


@pytest.mark.parametrize("protocol", [V5, V4])
def test_a_command_that_cannot_start_is_told_in_the_status(node, protocol):
    out, err, status = Command(node.websocket(exec_path("no-such-command"), protocol)).finish()
    assert (out, err, status["status"]) == (b"", b"", "Failure")
    assert (status["reason"], status["code"]) == ("InternalError", 500)
    assert "no-such-command" in status["message"]


def test_the_uid_may_be_said(node, pod):
    uid = pod["metadata"]["uid"]
    out, _, _ = Command(node.websocket(exec_path("echo", "me", uid=uid + "/"), V5)).finish()
    assert out == b"me\n"
    answer = node.request("GET", exec_path("echo", "me", uid="another/"), WEBSOCKET)
    assert (answer.status, answer.body) == (500, b'container not found ("c")')


def test_a_session_is_counted_by_what_it_is(node):
    def count():
        text = node.get("/metrics").body.decode()
        return {name: float(value) for name, value in re.findall(
            r'^kubelet_websocket_streaming_requests_total\{subresource="(\w+)"\} (\S+)$', text, re.MULTILINE)}
    before = count()
    Command(node.websocket(exec_path("true"), V5)).finish()
    assert count()["exec"] == before.get("exec", 0) + 1


# attach

@pytest.mark.parametrize("protocol", [V5, V4])
def test_an_attached_client_talks_to_the_main_process(node, protocol):
    command = Command(node.websocket(attach_path("ears", input=1, output=1, error=1), protocol))
    command.write(b"hello\n")
    command.read_until(lambda: command.said[STDOUT] == b"got hello\n")
    command.ws.close()


def test_an_attached_terminal_is_the_spec_s_affair(node):
    """Whatever the client asks for, the container has the terminal it has."""
    command = Command(node.websocket(attach_path("term", input=1, output=1), V5))
    command.write(b"hello\n")
    command.read_until(lambda: b"got hello\r\n" in command.said[STDOUT])
    command.ws.close()


# exec on SPDY

def spdy_command(node, path, *names, protocols=(V4, "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")):
    spdy = node.spdy(path, *protocols)
    return spdy, {name: spdy.open(streamtype=name) for name in names}


@pytest.mark.parametrize("code", [0, 1, 137])
def test_a_command_over_spdy(node, code):
    path = exec_path("sh", "-c", f"echo out; echo err >&2; exit {code}")
    spdy, streams = spdy_command(node, path, "error", "stdout", "stderr")
    assert spdy.protocol == V4
    status, out, err = spdy.read_all(*streams.values())
    spdy.close()
    assert (out, err) == (b"out\n", b"err\n")
    assert without_message(json.loads(status)) == exit_status(code)


def test_bytes_over_spdy_and_the_end_of_stdin(node):
    path = exec_path("sh", "-c", "tee /dev/stderr | sha256sum", input=1)
    spdy, streams = spdy_command(node, path, "error", "stdin", "stdout", "stderr")
    sender = spdy.write_in_thread(streams["stdin"], LARGE)
    status, out, err = spdy.read_all(streams["error"], streams["stdout"], streams["stderr"])
    sender.join()
    spdy.close()
    assert (out.split()[0].decode(), digest(err)) == (digest(LARGE), digest(LARGE))
    assert json.loads(status) == exit_status(0)


# port-forward

def forward_path(**parameters):
    return f"/portForward/{NAMESPACE}/web" + query(**parameters)


def open_pair(spdy, port, request):
    """The two streams of a forwarded connection: (what goes wrong, the bytes)."""
    return [spdy.open(streamtype=kind, port=str(port), requestid=str(request)) for kind in ("error", "data")]


@pytest.fixture(params=["spdy", "tunnel"])
def forward(request, node):
    with contextlib.closing(getattr(node, request.param)(forward_path(), "portforward.k8s.io")) as spdy:
        assert spdy.protocol == "portforward.k8s.io"
        yield spdy


def test_ports_and_connections_share_a_connection(forward, make_target):
    targets = [make_target(stream_peers.echo), make_target(lambda connection: connection.sendall(LARGE))]
    pairs = [open_pair(forward, targets[0].port, i) for i in range(3)]
    for i, (_, data) in enumerate(pairs):
        forward.write(data, b"hello %d" % i)
    forward.read_until(lambda: all(forward.said[data] == b"hello %d" % i for i, (_, data) in enumerate(pairs)))
    error, data = open_pair(forward, targets[1].port, 3)
    assert [digest(said) for said in forward.read_all(error, data)] == [digest(b""), digest(LARGE)]


def test_much_passes_both_ways(forward, make_target):
    _, data = open_pair(forward, make_target(stream_peers.echo).port, 0)
    sender = threading.Thread(target=forward.write, args=(data, LARGE * 3))
    sender.start()
    forward.read_until(lambda: len(forward.said[data]) >= 3 * len(LARGE))
    sender.join()
    assert digest(forward.said[data]) == digest(LARGE * 3)


def test_a_port_that_nobody_listens_at(forward, make_target):
    target = make_target(stream_peers.echo)
    target.close()
    error, _ = open_pair(forward, target.port, 0)
    said, = forward.read_all(error)
    assert b"connection refused" in said and str(target.port).encode() in said


def test_ports_in_channels(node, make_target):
    """Two channels for each port, which each say the port first."""
    ports = [make_target(stream_peers.echo).port for _ in range(2)]
    ws = node.websocket(forward_path(port=ports), V4)
    assert ws.subprotocol == V4
    said = {number: b"" for number in range(4)}
    ws.send_binary(bytes([2]) + b"hello")
    while said[2][2:] != b"hello":
        message = ws.recv()
        said[message[0]] += message[1:]
    ws.close()
    assert said == {number: struct.pack("<H", ports[number // 2]) + (b"hello" if number == 2 else b"") for number in range(4)}


# what is refused

@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", [exec_path("true"), attach_path("ears", output=1), forward_path()])
def test_a_stream_needs_an_upgrade(node, method, path):
    answer = node.request(method, path)
    assert (answer.status, answer.body) == (500, b"Upgrade request required\n")
    assert (answer.headers["content-type"], answer.headers["x-content-type-options"]) == (PLAIN, "nosniff")


UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"), ("X-Stream-Protocol-Version", V4)]
WEBSOCKET = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
             ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Protocol", V4)]


@pytest.mark.parametrize("path, code, body", [
    (exec_path("true", output=0, error=0), 400, "you must specify at least 1 of stdin, stdout, stderr"),
    (exec_path("true", output="true", error=0), 400, "you must specify at least 1 of stdin, stdout, stderr"),
    (f"/exec/{NAMESPACE}/none/c" + query(command="true", output=1), 404, "pod does not exist"),
    (exec_path("true", container="none"), 500, 'container not found ("none")'),
    (exec_path("true", container="over"), 500, 'container not found ("over")'),
    (f"/attach/{NAMESPACE}/none/c" + query(output=1), 404, "pod does not exist"),
    (attach_path("none", output=1), 500, f"container none not found in pod web_{NAMESPACE}"),
    (attach_path("over", output=1), 500, 'container not found ("over")'),
    (f"/portForward/{NAMESPACE}/none", 404, "pod does not exist"),
    (f"/portForward/{NAMESPACE}/web/another", 404, "pod not found")])
def test_what_cannot_be_streamed_is_refused(node, path, code, body):
    answer = node.request("POST", path, UPGRADE)
    assert (answer.status, answer.body.decode(), answer.headers["content-type"]) == (code, body, PLAIN)


@pytest.mark.parametrize("ports, body", [
    ([], 'query parameter "port" is required'), ([""], 'query parameter "port" cannot be empty'),
    (["80,x"], 'unable to parse "80,x" as a port: strconv.ParseUint: parsing "x": invalid syntax'),
    (["65536"], 'unable to parse "65536" as a port: strconv.ParseUint: parsing "65536": value out of range'),
    (["0"], 'port "0" must be > 0')])
def test_a_port_that_is_none_is_refused(node, ports, body):
    answer = node.request("GET", forward_path(port=ports), WEBSOCKET)
    assert (answer.status, answer.body.decode()) == (400, body)


def test_a_protocol_that_the_runtime_does_not_know_is_its_own_to_refuse(node):
    with pytest.raises(Answer) as refusal:
        node.spdy(exec_path("true"), "v9.channel.k8s.io")
    assert refusal.value.status == 403
    assert V4 in refusal.value.headers["x-accepted-stream-protocol-versions"]


# run

@pytest.mark.parametrize("cmd, code, body", [
    ("echo one two", 200, "one two\n"), ("true", 200, ""), ("echo  a", 200, " a\n"),
    ("false", 500, "command 'false' exited with 1: ")])
def test_a_command_is_run_to_its_end(node, cmd, code, body):
    answer = node.request("POST", f"/run/{NAMESPACE}/web/c" + query(cmd=cmd))
    assert (answer.status, answer.body.decode()) == (code, body)
    assert answer.headers["content-type"] == ("application/json" if code == 200 else PLAIN)


def test_a_command_that_cannot_be_run_is_refused(node):
    answer = node.request("POST", f"/run/{NAMESPACE}/web/c" + query(cmd="no-such-command"))
    assert answer.status == 500
    assert re.fullmatch(r'rpc error: code = Unknown desc = failed to exec in container: .* exec: "no-such-command": executable '
                        r"file not found in \$PATH.*", answer.body.decode())
    for path, code, body in ((f"/run/{NAMESPACE}/none/c?cmd=true", 404, "pod does not exist"),
                             (f"/run/{NAMESPACE}/web/none?cmd=true", 500, 'container not found ("none")')):
        answer = node.request("POST", path)
        assert (answer.status, answer.body.decode()) == (code, body)
    answer = node.get(f"/run/{NAMESPACE}/web/c?cmd=true")
    assert (answer.status, answer.headers["allow"], answer.body) == (405, "POST", b"405: Method Not Allowed")


# clients that go away

def processes(cluster, mark):
    """How many processes of the bed have @mark among their arguments."""
    found = 0
    for path in pathlib.Path(cluster.bed.inside("/proc")).glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += mark in path.read_text().split("\0")
    return found


@pytest.mark.parametrize("protocol", [V5, V4, "spdy"])
def test_a_client_that_vanishes_ends_its_command_s_input(cluster, node, protocol):
    """What the command makes of it is its own affair."""
    path = exec_path("sh", "-c", "echo ready; cat; exit 0", "vanishes", input=1)
    if protocol == "spdy":
        client, streams = spdy_command(node, path, "error", "stdin", "stdout", "stderr")
        client.read_until(lambda: client.said[streams["stdout"]] == b"ready\n")
    else:
        client = Command(node.websocket(path, protocol))
        client.read_until(lambda: client.said[STDOUT] == b"ready\n")
    assert processes(cluster, "vanishes") > 0
    client.vanish()
    beds.wait_for("the end of the command", lambda: processes(cluster, "vanishes") == 0)


def test_a_forwarding_client_that_vanishes_ends_its_connections(forward, make_target):
    target = make_target(stream_peers.echo)
    _, data = open_pair(forward, target.port, 0)
    forward.write(data, b"hello")
    forward.read_until(lambda: forward.said[data] == b"hello")
    forward.vanish()
    beds.wait_for("the end of the connection", lambda: target.seen)


# clients that do not listen

FLOOD_BYTES = 200 * MIB


def peak_bytes(cluster):
    """The most that the agent takes of the memory for a while, in which much would come."""
    peak = 0
    for _ in range(10):
        peak = max(peak, resident_bytes(cluster))
        time.sleep(0.1)
    return peak


@pytest.mark.parametrize("protocol", [V5, V4, "spdy"])
def test_a_client_that_does_not_listen_holds_its_command_back(cluster, node, protocol):
    """When it goes, the runtime leaves the command with its output that nobody takes."""
    before = resident_bytes(cluster)
    path = exec_path("sh", "-c", f"head -c {FLOOD_BYTES} /dev/zero", f"floods-{protocol}")
    if protocol == "spdy":
        client, _ = spdy_command(node, path, "error", "stdout", "stderr")
    else:
        client = Command(node.websocket(path, protocol))
    beds.wait_for("the command", lambda: processes(cluster, f"floods-{protocol}") > 0)
    assert peak_bytes(cluster) < before + REMAINS_BYTES
    assert processes(cluster, f"floods-{protocol}") > 0
    client.vanish()


def flood(connection):
    with contextlib.suppress(ConnectionError):
        connection.sendall(bytes(FLOOD_BYTES))


def test_a_client_that_does_not_listen_holds_its_connections_back(cluster, forward, make_target):
    before = resident_bytes(cluster)
    _, data = open_pair(forward, make_target(flood).port, 0)
    assert peak_bytes(cluster) < before + REMAINS_BYTES
    forward.read_until(lambda: len(forward.said[data]) >= len(LARGE))
    forward.vanish()


# crowds

def in_crowds(count, one):
    """Runs one(0) to one(count - 1) at once; all must return True."""
    results = {}
    threads = [threading.Thread(target=lambda n=n: results.update({n: one(n)})) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert results == {n: True for n in range(count)}


def test_a_hundred_commands_at_once(cluster, node):
    gate = threading.Barrier(100)

    def one(n):
        word = b"session %d\n" % n
        if n % 2:
            spdy, streams = spdy_command(node, exec_path("cat", input=1), "error", "stdin", "stdout", "stderr")
            spdy.write(streams["stdin"], word)
            spdy.read_until(lambda: spdy.said[streams["stdout"]] == word)
            gate.wait()
            spdy.write(streams["stdin"], word * 1000, True)
            out, = spdy.read_all(streams["stdout"])
            spdy.close()
            return out == word * 1001
        command = Command(node.websocket(exec_path("cat", input=1), V5))
        command.write(word)
        command.read_until(lambda: command.said[STDOUT] == word)
        gate.wait()
        command.write(word * 1000)
        command.end_stdin()
        return command.finish() == (word * 1001, b"", exit_status(0))

    before = resident_bytes(cluster)
    in_crowds(100, one)
    beds.wait_for("the memory's return", lambda: resident_bytes(cluster) < before + REMAINS_BYTES)


def test_twenty_forwardings_at_once(cluster, node, make_target):
    port = make_target(stream_peers.echo).port
    gate = threading.Barrier(20)

    def one(n):
        with contextlib.closing((node.tunnel if n % 2 else node.spdy)(forward_path(), "portforward.k8s.io")) as spdy:
            _, data = open_pair(spdy, port, 0)
            word = bytes([n]) * 300000
            spdy.write(data, word)
            gate.wait()
            spdy.read_until(lambda: len(spdy.said[data]) >= len(word))
            return spdy.said[data] == word

    before = resident_bytes(cluster)
    in_crowds(20, one)
    beds.wait_for("the memory's return", lambda: resident_bytes(cluster) < before + REMAINS_BYTES)
