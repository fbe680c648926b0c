"""An API server that misbehaves by script: HTTPS, HTTP/1.1 only, one thread a connection. It keeps what it was asked.

authority = Authority()
with FaultServer(authority.issue()) as server:
    server.on("GET", "/api/v1/pods", Answer(429, headers={"Retry-After": "1"}), Answer.of(pod_list))
    kubeconfig = server.kubeconfig(path, authority)

on() sets the answers for a method and a path (without the query), one after the other; the last stays. An answer may
be a function of the request that returns one. Unknown paths are a 404.
"""

import base64
import dataclasses
import datetime
import ipaddress
import json
import pathlib
import socket
import ssl
import struct
import tempfile
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

JSON = "application/json"
PROTOBUF = "application/vnd.kubernetes.protobuf"
PROTOBUF_WATCH = "application/vnd.kubernetes.protobuf;stream=watch"
DAY = datetime.timedelta(days=1)
RESET = struct.pack("ii", 1, 0)


class Authority:
    """A certificate authority made on the spot."""

    def __init__(self, name="test-ca"):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.cert = self._build(self.name, self.key.public_key(), -DAY, DAY, True, [])
        self.pem = self.cert.public_bytes(serialization.Encoding.PEM)

    def _build(self, subject, key, begins, ends, is_ca, names):
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key)
                   .serial_number(x509.random_serial_number()).not_valid_before(now + begins).not_valid_after(now + ends)
                   .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, begins=-DAY, ends=DAY, address="127.0.0.1"):
        """A server's certificate and its key, as one PEM text."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])
        cert = self._build(subject, key.public_key(), begins, ends, False, [x509.IPAddress(ipaddress.ip_address(address))])
        return cert.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


@dataclasses.dataclass
class Answer:
    """Sent whole with its length, or in pieces (chunked). A piece is bytes, a number of seconds to wait, or a function
    that returns bytes and may wait."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: dict = dataclasses.field(default_factory=dict)
    pieces: list = None
    missing: int = 0  # so many bytes fewer are sent than Content-Length says
    is_cut: bool = False  # the connection ends after it: with pieces, without the last chunk
    is_silent: bool = False  # no answer: the connection is reset

    @classmethod
    def of(cls, value, **more):
        return cls(body=json.dumps(value).encode(), **more)

    @classmethod
    def failure(cls, code, reason, message, **more):
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
                  "reason": reason, "code": code}
        return cls(status=code, body=json.dumps(status).encode(), **more)


@dataclasses.dataclass
class Request:
    method: str
    path: str
    query: dict
    headers: dict
    body: bytes
    at: float


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def setup(self):
        self.request.do_handshake()
        super().setup()

    def handle_any(self):
        url = urllib.parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, url.path, dict(urllib.parse.parse_qsl(url.query)), dict(self.headers), body,
                          time.monotonic())
        answer = self.server.owner.take(request)
        if answer.is_silent:
            self.cut(reset=True)
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.pieces is None:
            self.send_header("Content-Length", str(len(answer.body) + answer.missing))
            self.end_headers()
            self.wfile.write(answer.body)
        else:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.send_pieces(answer)
        self.wfile.flush()
        if answer.is_cut or answer.missing:
            self.cut(reset=False)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

    def send_pieces(self, answer):
        for piece in answer.pieces:
            if isinstance(piece, (int, float)):
                self.server.owner.ending.wait(piece)
                continue
            data = piece() if callable(piece) else piece
            if data:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()
        if not answer.is_cut:
            self.wfile.write(b"0\r\n\r\n")

    def cut(self, reset):
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close_connection = True

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # handshakes that fail and connections that are cut are what it is for

    def shutdown_request(self, request):
        # In order for TLS would be unwrap(): what is tested here is the other way. A reset stays one.
        request.close()


class FaultServer:
    def __init__(self, certificate):
        self.requests = []
        self.connections = []
        self.ending = threading.Event()
        self._answers = {}
        self._lock = threading.Lock()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificate)
            file.flush()
            context.load_cert_chain(file.name)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        accept = self._server.socket.accept

        def get_request():
            plain, address = accept()
            self.connections.append(time.monotonic())
            return context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address

        self._server.get_request = get_request
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def on(self, method, path, *answers):
        with self._lock:
            self._answers[method, path] = list(answers)

    def take(self, request):
        with self._lock:
            self.requests.append(request)
            answers = self._answers.get((request.method, request.path))
            answer = Answer.failure(404, "NotFound", "the server could not find the requested resource")
            if answers:
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer(request) if callable(answer) else answer

    def asked(self, method=None, path=None, **query):
        """The requests so far of this method, path, and with these parameters."""
        with self._lock:
            return [request for request in self.requests
                    if method in (None, request.method) and path in (None, request.path)
                    and all(request.query.get(name) == value for name, value in query.items())]

    def kubeconfig(self, path, authority, **cluster):
        """Writes a kubeconfig for this server that trusts @authority; returns @path."""
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "c",
                  "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                  "clusters": [{"name": "c", "cluster": {
                      "server": f"https://127.0.0.1:{self.port}",
                      "certificate-authority-data": base64.b64encode(authority.pem).decode(), **cluster}}],
                  "users": [{"name": "u", "user": {"token": "secret"}}]}
        path = pathlib.Path(path)
        path.write_text(yaml.safe_dump(config))
        path.chmod(0o600)
        return path


# What watches are made of

def config_map(name, version, value="", namespace="default"):
    return {"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": str(version)},
            "data": {"value": value}}


def json_frame(kind, value):
    return json.dumps({"type": kind, "object": value}).encode() + b"\n"


def _field(number, data):
    """A length-delimited protobuf field."""
    data = data.encode() if isinstance(data, str) else data
    length, size = b"", len(data)
    while size >= 0x80:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data


def protobuf_frame(kind, value):
    """The same event about a ConfigMap as kube-apiserver sends it for stream=watch in protobuf."""
    meta = value["metadata"]
    message = _field(1, _field(1, meta["name"]) + _field(3, meta["namespace"]) + _field(5, meta["uid"])
                     + _field(6, meta["resourceVersion"]))
    message += b"".join(_field(2, _field(1, key) + _field(2, text)) for key, text in value["data"].items())
    unknown = _field(1, _field(1, "v1") + _field(2, "ConfigMap")) + _field(2, message)
    event = _field(1, kind) + _field(2, _field(1, b"k8s\0" + unknown))
    return struct.pack(">I", len(event)) + event
