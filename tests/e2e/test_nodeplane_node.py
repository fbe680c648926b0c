"""What nodeplane passes on to a node's server, which a few lines of Python play here: logs, and upgraded connections."""

import contextlib
import json
import select
import socket
import ssl
import subprocess
import threading

import pytest

import plane as planes

PODS = "/api/v1/namespaces/default/pods"


class Node:
    """Answers by path: /containerLogs with text, an upgrade of /exec with 101 and then every byte as it came."""

    def __init__(self, directory):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", directory / "key.pem",
                        "-out", directory / "cert.pem", "-subj", "/CN=node"], check=True, capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
        self.context.verify_mode = ssl.CERT_OPTIONAL
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.requests, self.subjects = [], []
        threading.Thread(target=self._accept, daemon=True).start()

    def trust(self, authority):
        self.context.load_verify_locations(authority)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError), self.context.wrap_socket(connection, server_side=True) as stream:
            head = b""
            while b"\r\n\r\n" not in head:
                head += stream.recv(4096)
            self.requests.append(head.decode())
            self.subjects.append(dict(item[0] for item in stream.getpeercert()["subject"]))
            if head.startswith(b"GET /containerLogs"):
                stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n")
            elif b"/exec/default/refused/" in head:
                stream.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope")
            else:
                stream.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n")
            while data := stream.recv(65536):
                self.requests.append(data.decode(errors="replace")[:100])
                stream.sendall(data)

    def close(self):
        self.listener.close()


@pytest.fixture(scope="module")
def node(plane, tmp_path_factory):
    server = Node(tmp_path_factory.mktemp("node"))
    server.trust(plane.credentials()[5])
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
    stream.sendall(f"POST {path} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n".encode())
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
