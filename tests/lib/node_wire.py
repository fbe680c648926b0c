"""A node's own API spoken to without an API server: requests, WebSockets (by python3-websocket), and the client's side of
SPDY/3.1, bare or in a WebSocket."""

import contextlib
import json
import socket
import ssl
import struct
import threading
import urllib.parse
import zlib

import websocket

import bed as beds
import forward
import stream_wire

PORT = 10250
TIMEOUT_S = 30
STDIN, STDOUT, STDERR, STATUS, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255  # the channels of a command
NAMES = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": STATUS, "resize": RESIZE}
SUCCESS = {"metadata": {}, "status": "Success"}


class Answer(Exception):
    """The HTTP answer of a request, which was a refusal if it had asked for an upgrade."""

    def __init__(self, status, headers, body):
        super().__init__(status, body)
        self.status, self.headers, self.body = status, headers, body


class Node:
    """The port 10250 of a cluster's node, for whoever administers the cluster, until close()."""

    def __init__(self, cluster):
        credentials = cluster.plane.credentials()
        files = dict(zip(credentials[::2], credentials[1::2]))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the node has signed its own
        context.load_cert_chain(files["--cert"], files["--key"])
        # TLS is spoken there, by one thread: Python's does not bear two on one connection.
        self._forward = forward.Forward(cluster.bed.init_pid, PORT, host=beds.NODE_IP, ssl=context)
        beds.wait_for("the node's answer", self._answers)

    def _answers(self):
        """Until it has made its certificate, it refuses all connections."""
        with contextlib.suppress(OSError):
            return self.get("/healthz").status == 200

    def close(self):
        self._forward.close()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self._forward.port), timeout=TIMEOUT_S)

    def request(self, method, path, headers=()):
        """The answer to a request, whatever it is."""
        with self.connect() as connection:
            send_head(connection, method, path, [*headers, ("Connection", "close")])
            return _read_answer(connection)

    def get(self, path):
        return self.request("GET", path)

    def websocket(self, path, *protocols):
        """A WebSocket; its .subprotocol is what the node has chosen. Raises Answer when there is none."""
        connection = self.connect()
        try:
            return websocket.create_connection(f"ws://{beds.NODE_IP}:{PORT}{path}", socket=connection, subprotocols=protocols,
                                               timeout=TIMEOUT_S, enable_multithread=True)
        except websocket.WebSocketBadStatusException as refusal:
            raise Answer(refusal.status_code, refusal.resp_headers, None) from None

    def spdy(self, path, *protocols):
        """SPDY on a connection of its own. Raises Answer when there is none."""
        connection = self.connect()
        send_head(connection, "POST", path, [("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"),
                                              *(("X-Stream-Protocol-Version", name) for name in protocols)])
        answer = _read_answer(connection)
        if answer.status != 101:
            raise answer
        return Spdy(connection, answer.headers.get("x-stream-protocol-version"), early=answer.body)

    def tunnel(self, path, protocol="portforward.k8s.io"):
        """SPDY in a WebSocket."""
        return Spdy(_Tunnel(self.websocket(path, "SPDY/3.1+" + protocol)), protocol)


def query(**parameters):
    """"?a=1&b=x&b=y", without what is None."""
    return "?" + urllib.parse.urlencode({name: value for name, value in parameters.items() if value is not None}, doseq=True)


def send_head(connection, method, path, headers):
    """Sends a request without a body."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {beds.NODE_IP}:{PORT}", *(f"{name}: {value}" for name, value in headers)]
    connection.sendall("".join(line + "\r\n" for line in [*lines, ""]).encode())


def _read_answer(connection):
    said = b""
    while b"\r\n\r\n" not in said:
        chunk = connection.recv(65536)
        if not chunk:
            raise ConnectionError(f"the connection ended within the head: {said!r}")
        said += chunk
    head, _, body = said.partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    headers = {}
    for name, _, value in (field.partition(":") for field in fields):
        headers[name.lower()] = ", ".join([*headers.get(name.lower(), "").split(", "), value.strip()]).lstrip(", ")
    code = int(status.split()[1])
    if code == 101:
        return Answer(code, headers, body)
    is_chunked = headers.get("transfer-encoding") == "chunked"
    while not (body.endswith(b"0\r\n\r\n") if is_chunked else len(body) >= int(headers.get("content-length", 1 << 60))):
        chunk = connection.recv(65536)
        if not chunk:
            break
        body += chunk
    return Answer(code, headers, _unchunk(body) if is_chunked else body)


def _unchunk(body):
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        whole += body[:int(size, 16)]
        body = body[int(size, 16) + 2:]
    return whole


class _Tunnel:
    """What a WebSocket carries, as if it were a connection."""

    def __init__(self, ws):
        self.ws = ws

    def recv(self, _size):
        kind, data = self.ws.recv_data()
        return b"" if kind == websocket.ABNF.OPCODE_CLOSE else data

    def sendall(self, data):
        self.ws.send_binary(data)

    def close(self):
        self.ws.close()


class Spdy:
    """The client's side of SPDY/3.1 as Kubernetes uses it. What is said on a stream gathers in .said, by number."""

    def __init__(self, carrier, protocol, early=b""):
        self.carrier, self.protocol = carrier, protocol
        self.said, self.ended = {}, set()
        self._pending, self._next = early, 1
        self._inflate = zlib.decompressobj(zdict=stream_wire.DICTIONARY)
        self._deflate = zlib.compressobj(zdict=stream_wire.DICTIONARY)
        self._lock = threading.Lock()

    def open(self, **headers):
        """Opens a stream and returns its number."""
        number, self._next = self._next, self._next + 2
        words = [word.encode() for pair in headers.items() for word in pair]
        block = struct.pack(">I", len(headers)) + b"".join(struct.pack(">I", len(word)) + word for word in words)
        body = struct.pack(">IIH", number, 0, 0) + self._deflate.compress(block) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        self._send(struct.pack(">HHI", 0x8003, stream_wire.SYN_STREAM, len(body)) + body)
        self.said[number] = b""
        return number

    def write(self, number, data=b"", is_last=False):
        for start in range(0, max(len(data), 1), stream_wire.CHUNK_BYTES):
            chunk = data[start:start + stream_wire.CHUNK_BYTES]
            flags = stream_wire.FIN if is_last and start + len(chunk) == len(data) else 0
            self._send(struct.pack(">II", number, flags << 24 | len(chunk)) + chunk)

    def write_in_thread(self, number, data):
        """Writes all and closes the stream while the caller reads."""
        thread = threading.Thread(target=self.write, args=(number, data, True), daemon=True)
        thread.start()
        return thread

    def _send(self, data):
        with self._lock:
            self.carrier.sendall(data)

    def _exactly(self, size):
        while len(self._pending) < size:
            data = self.carrier.recv(65536)
            if not data:
                raise EOFError
            self._pending += data
        whole, self._pending = self._pending[:size], self._pending[size:]
        return whole

    def read_frame(self):
        """Takes one frame in. Raises EOFError at the connection's end."""
        first, second = struct.unpack(">II", self._exactly(8))
        body, is_last = self._exactly(second & 0xffffff), second >> 24 & stream_wire.FIN
        number, kind = first, None
        if first & 0x80000000:
            kind = first & 0xffff
            number = struct.unpack_from(">I", body)[0] if len(body) >= 4 else 0
            if kind == stream_wire.PING and number % 2 == 0:
                self._send(struct.pack(">HHI", 0x8003, stream_wire.PING, 4) + body)
        elif number in self.said:
            self.said[number] += body
        if kind == stream_wire.RST_STREAM or (is_last and kind in (None, stream_wire.SYN_REPLY)):
            self.ended.add(number)

    def read_until(self, predicate):
        """Takes frames in until predicate() holds."""
        while not predicate():
            self.read_frame()

    def read_all(self, *numbers):
        """What is said on the streams, to their ends, or that of the connection."""
        with contextlib.suppress(EOFError):
            self.read_until(lambda: self.ended.issuperset(numbers))
        return [self.said[number] for number in numbers]

    def close(self):
        self.carrier.close()

    def vanish(self):
        """Closes the connection without a word."""
        (self.carrier.ws.sock if isinstance(self.carrier, _Tunnel) else self.carrier).close()


class Command:
    """An exec or attach on a v5 or v4 WebSocket: what is said gathers in .said, by channel."""

    def __init__(self, ws):
        self.ws = ws
        self.said = {STDOUT: b"", STDERR: b"", STATUS: b""}

    def write(self, data, channel=STDIN):
        self.ws.send_binary(bytes([channel]) + data)

    def end_stdin(self):
        """v5 only."""
        self.ws.send_binary(bytes([CLOSE, STDIN]))

    def vanish(self):
        """Closes the connection without a word."""
        self.ws.sock.close()

    def read(self):
        """Takes one message in; False at the end."""
        kind, message = self.ws.recv_data()
        if kind == websocket.ABNF.OPCODE_CLOSE:
            return False
        assert kind == websocket.ABNF.OPCODE_BINARY, kind
        self.said[message[0]] += message[1:]
        return True

    def read_until(self, predicate):
        while not predicate():
            assert self.read(), self.said

    def finish(self):
        """Reads to the end; returns (stdout, stderr, status)."""
        while self.read():
            pass
        self.ws.close()
        return self.said[STDOUT], self.said[STDERR], json.loads(self.said[STATUS] or "null")
