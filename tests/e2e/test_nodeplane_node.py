"""Byte by byte what nodeplane passes on to a node's server, and what it must not. What people do with it is in
test_nodeplane_streams.py."""

import contextlib
import json
import select
import socket
import ssl

import pytest

import bed as beds
import plane as planes
import played_node

PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture(scope="module")
def node(plane, tmp_path_factory):
    server = played_node.PlayedNode(tmp_path_factory.mktemp("node"))
    server.trust(plane.credentials()[5])
    server.answers["refused"] = 403, "nope"
    code, answer = plane.request("POST", "/api/v1/nodes", {
        "metadata": {"name": "played"}, "status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                                                   "daemonEndpoints": {"kubeletEndpoint": {"Port": server.port}}}})
    assert code == 201, answer
    for name in ("web", "refused"):
        code, answer = plane.request("POST", PODS, planes.pod(name, nodeName="played"))
        assert code == 201, answer
    yield server
    for name in ("web", "refused"):
        plane.request("DELETE", f"{PODS}/{name}?gracePeriodSeconds=0")
    plane.request("DELETE", "/api/v1/nodes/played")
    server.close()


def upgrade(plane, path):
    """A raw connection to the plane that has asked for an upgrade, and the answer's head."""
    credentials = plane.credentials()
    context = ssl.create_default_context(cafile=credentials[5])
    context.load_cert_chain(credentials[1], credentials[3])
    stream = context.wrap_socket(socket.create_connection(("127.0.0.1", plane.port), timeout=10), server_hostname="127.0.0.1")
    stream.sendall(f"POST {path} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        data = stream.recv(4096)
        assert data, head
        head += data
    return stream, head


def echo(stream, sent):
    """Sends and receives at the same time, from one thread: an SSL object does not bear two."""
    stream.setblocking(False)
    offset, got = 0, b""
    while len(got) < len(sent):
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            offset += stream.send(sent[offset:offset + 16384]) if offset < len(sent) else 0
        try:
            data = stream.recv(65536)
            assert data, f"the connection ended after {len(got)} bytes"
            got += data
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            select.select([stream], [stream] if offset < len(sent) else [], [], 10)
    return got


def test_kubectl_shows_the_log(plane, node):
    assert plane.kubectl("logs", "web", "--tail=3").stdout == "hello\n"
    assert node.requests[-1].startswith("GET /containerLogs/default/web/c?tailLines=3 HTTP/1.1\r\n")
    assert node.subjects[-1]["organizationName"] == "system:masters"
    assert plane.curl(f"{PODS}/web/log", "--http2").stdout == "hello\n"


def test_an_upgraded_connection_carries_bytes_both_ways(plane, node):
    stream, head = upgrade(plane, f"{PODS}/web/exec?command=cat&stdin=true")
    with stream:
        assert head.startswith(b"HTTP/1.1 101 ")
        sent = json.dumps(list(range(200_000))).encode()
        assert echo(stream, sent) == sent


def test_a_refused_upgrade_does_not_open_the_node(plane, node):
    """The way of CVE-2018-1002105: going on to speak on the connection with the plane's own rights."""
    stream, head = upgrade(plane, f"{PODS}/refused/exec?command=cat")
    before = len(node.requests)
    with stream, contextlib.suppress(OSError):
        assert head.startswith(b"HTTP/1.1 403 ") and b"connection: close" in head
        stream.sendall(b"GET /runningpods/ HTTP/1.1\r\nHost: h\r\n\r\n")
        while stream.recv(4096):
            pass
    assert len(node.requests) == before


def test_there_is_an_end_to_streams_at_once(plane, node):
    """So that no user of exec can take every descriptor."""
    with contextlib.ExitStack() as streams:
        for _ in range(256):
            stream, head = upgrade(plane, f"{PODS}/web/exec?command=cat")
            streams.enter_context(stream)
            assert head.startswith(b"HTTP/1.1 101 ")
        stream, head = upgrade(plane, f"{PODS}/web/exec?command=cat")
        streams.enter_context(stream)
        assert head.startswith(b"HTTP/1.1 429 ")
        assert plane.kubectl("logs", "web").stdout == "hello\n"
    beds.wait_for("the end of the streams", lambda: node.connection_count() == 0)
    stream, head = upgrade(plane, f"{PODS}/web/exec?command=cat")
    with stream:
        assert head.startswith(b"HTTP/1.1 101 ")
