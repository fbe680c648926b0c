"""An API server that misbehaves in HTTP/2: TLS, frames written by hand, one thread a connection. It keeps what it was
asked.

with H2FaultServer(authority.issue()) as server:
    server.on("GET", "/api/v1/pods", lambda link, request: link.reset(request.stream, REFUSED_STREAM), answer(pod_list))

on() sets the steps for a method and a path (without the query), one after the other; the last stays. A step is a
function of the connection and the request that sends what it likes; answer() makes the ordinary one. Unknown paths are
a 404. What every connection begins with is `greeting`, a function of the connection. Frames are those of RFC 9113; the
fields are compressed by Debian's python3-hpack, and only as literals.
"""

import dataclasses
import json
import select
import socket
import ssl
import struct
import tempfile
import threading
import time
import urllib.parse

import hpack

import fault_server as faults

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED, HAS_PRIORITY = 0x8, 0x20
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR = 0, 1, 2
REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 7, 8, 11
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 3, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_BYTES = 16384
FRAME_HEAD_BYTES = 9
POLL_S = 0.02


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings_frame(values):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in values.items()))


def encode_fields(fields):
    return hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*field) for field in fields], huffman=False)


@dataclasses.dataclass
class Request:
    connection: int  # which one of the server's
    stream: int
    method: str
    path: str
    query: dict
    headers: dict
    body: bytes
    at: float


class Closed(Exception):
    """The connection is over."""


class Connection:
    """One connection. Any thread may send; a TLS object bears one caller at a time."""

    def __init__(self, server, tls, number):
        self.server, self.tls, self.number = server, tls, number
        self.most_streams, self.pings, self.errors = 0, 0, []  # errors: the codes of its GOAWAYs
        self.resets = {}  # by stream: the client's code
        self.is_mute = False  # reads on, and says nothing any more
        self._lock = threading.RLock()
        self._decoder = hpack.Decoder()
        self._pending = b""
        self._open = {}  # by stream: the head of a request whose end is to come
        self._unanswered = set()

    # sending

    def send(self, data):
        with self._lock:
            while data and not self.is_mute:
                try:
                    data = data[self.tls.send(data):]
                except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    select.select([], [self.tls], [], POLL_S)
                except (OSError, ValueError) as error:
                    raise Closed from error

    def headers(self, stream, status=200, fields=(), is_end=False, content_type=faults.JSON):
        block = encode_fields([(":status", str(status)), ("content-type", content_type), *fields])
        self._send_block(stream, block, is_end)

    def _send_block(self, stream, block, is_end):
        self.send(frame(HEADERS, END_HEADERS | (END_STREAM if is_end else 0), stream, block))
        if is_end:
            self._unanswered.discard(stream)

    def data(self, stream, body, is_end=False):
        """Whatever the client's windows say."""
        pieces = [body[at:at + FRAME_BYTES] for at in range(0, len(body), FRAME_BYTES)] or [b""]
        frames = [frame(DATA, END_STREAM if is_end and number == len(pieces) - 1 else 0, stream, piece)
                  for number, piece in enumerate(pieces)]
        self.send(b"".join(frames))
        if is_end:
            self._unanswered.discard(stream)

    def trailers(self, stream, *fields):
        self._send_block(stream, encode_fields(fields), True)

    def reset(self, stream, code):
        self.send(frame(RST_STREAM, 0, stream, struct.pack(">I", code)))
        self._unanswered.discard(stream)

    def goaway(self, last, code=NO_ERROR, text=b""):
        self.send(frame(GOAWAY, 0, 0, struct.pack(">II", last, code) + text))

    def settings(self, values):
        self.send(settings_frame(values))

    def cut(self, reset=False):
        with self._lock:
            try:
                if reset:
                    self.tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, faults.RESET)
                # A FIN without TLS' own farewell, and the reader sees an end.
                self.tls.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    # receiving

    def _fill(self, size):
        while len(self._pending) < size:
            if self.server.ending.is_set():
                raise Closed
            with self._lock:
                try:
                    data = self.tls.recv(1 << 16)
                    if not data:
                        raise Closed
                    self._pending += data
                    continue
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    pass
                except (OSError, ValueError) as error:
                    raise Closed from error
            select.select([self.tls], [], [], POLL_S)

    def _take(self, size):
        self._fill(size)
        data, self._pending = self._pending[:size], self._pending[size:]
        return data

    def _take_frame(self):
        head = self._take(FRAME_HEAD_BYTES)
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        return kind, flags, stream, self._take(struct.unpack(">I", b"\0" + head[:3])[0])

    def serve(self):
        try:
            self.tls.do_handshake()
            self.tls.setblocking(False)
            assert self._take(len(PREFACE)) == PREFACE
            self.server.greeting(self)
            while True:
                self._obey(*self._take_frame())
        except (Closed, OSError):
            pass
        finally:
            with self._lock:
                self.tls.close()

    def _obey(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & ACK:
            self.send(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.pings += 1
            self.send(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            self.errors.append(struct.unpack(">I", payload[4:8])[0])
        elif kind == RST_STREAM:
            self.resets[stream] = struct.unpack(">I", payload)[0]
            self._open.pop(stream, None)
            self._unanswered.discard(stream)
        elif kind == HEADERS:
            assert not flags & PADDED and flags & END_HEADERS, "nghttp2 pads nothing, and requests are short"
            block = payload[5:] if flags & HAS_PRIORITY else payload
            self._open[stream] = (self._decoder.decode(block), [])
            self._unanswered.add(stream)
            self.most_streams = max(self.most_streams, len(self._unanswered))
        elif kind == DATA and stream in self._open:
            self._open[stream][1].append(payload)
            if payload:
                more = struct.pack(">I", len(payload))
                self.send(frame(WINDOW_UPDATE, 0, 0, more) + frame(WINDOW_UPDATE, 0, stream, more))
        if kind in (HEADERS, DATA) and flags & END_STREAM and stream in self._open:
            self._answer(stream, *self._open.pop(stream))

    def _answer(self, stream, fields, pieces):
        fields = dict(fields)
        url = urllib.parse.urlsplit(fields[":path"])
        request = Request(self.number, stream, fields[":method"], url.path, dict(urllib.parse.parse_qsl(url.query)),
                          fields, b"".join(pieces), time.monotonic())
        self.server.take(request)(self, request)


# Steps

def answer(value, status=200, fields=()):
    """All of @value in JSON."""
    body = json.dumps(value).encode()

    def send(link, request):
        link.headers(request.stream, status, [("content-length", str(len(body))), *fields])
        link.data(request.stream, body, is_end=True)
    return send


def hang(_link, _request):
    """No answer."""


def in_turn(*steps):
    """One step made of several."""
    def act(link, request):
        for step in steps:
            step(link, request)
    return act


def _greet(link):
    link.settings({MAX_CONCURRENT_STREAMS: 100})


class H2FaultServer:
    def __init__(self, certificate, greeting=_greet):
        self.requests, self.connections = [], []
        self.greeting = greeting
        self.ending = threading.Event()
        self._steps = {}
        self._lock = threading.Lock()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.set_alpn_protocols(["h2"])
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificate)
            file.flush()
            self._context.load_cert_chain(file.name)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._listener.settimeout(POLL_S)
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self):
        self._threads[0].start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in list(self._threads):
            thread.join(5)
        self._listener.close()

    def _accept(self):
        while not self.ending.is_set():
            try:
                plain, _ = self._listener.accept()
            except socket.timeout:
                continue
            plain.settimeout(5)  # for the handshake
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tls = self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
            link = Connection(self, tls, len(self.connections))
            self.connections.append(link)
            self._threads.append(threading.Thread(target=link.serve, daemon=True))
            self._threads[-1].start()

    def on(self, method, path, *steps):
        with self._lock:
            self._steps[method, path] = list(steps)

    def take(self, request):
        with self._lock:
            self.requests.append(request)
            steps = self._steps.get((request.method, request.path))
            if not steps:
                return answer({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound",
                               "message": "no such path", "code": 404}, 404)
            return steps.pop(0) if len(steps) > 1 else steps[0]

    asked = faults.FaultServer.asked
    kubeconfig = faults.FaultServer.kubeconfig
