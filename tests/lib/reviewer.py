"""Between a node and its API server: answers SubjectAccessReviews by a table, keeps what was reviewed, lets reviews fail
by script, and passes everything else on. So the rights of a test's users need no roles at the server.

reviewer = Reviewer(inside, plane, directory)
reviewer.rights["bob"] = {("get", "stats")}      # "*" is any verb
reviewer.kubeconfig                              # the node's; its bodies must be JSON: contentType application/json
reviewer.failure = lambda kind: 500              # the status to answer a review of this kind with; None: as usual
"""

import base64
import contextlib
import http.client
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

import fault_server as faults

TOKEN_REVIEW, ACCESS_REVIEW = "tokenreviews", "subjectaccessreviews"
_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body leave one after the other

    def setup(self):
        self.request.do_handshake()
        super().setup()

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.path.split("?")[0].rsplit("/", 1)[1]
        with contextlib.suppress(OSError, http.client.HTTPException):
            if kind in (TOKEN_REVIEW, ACCESS_REVIEW):
                self.server.owner.review(self, kind, body)
            else:
                self.pass_on(body)
            return
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def answer(self, status, content):
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def pass_on(self, body):
        with contextlib.closing(self.server.owner.upstream()) as upstream:
            fields = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
            upstream.request(self.command, self.path, body=body or None, headers=fields)
            response = upstream.getresponse()
            self.send_response(response.status)
            for name, value in response.getheaders():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while piece := response.read1(1 << 16):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, owner, listener):
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.owner = owner
        self.socket.close()
        self.socket = listener

    def handle_error(self, request, client_address):
        pass  # a client that goes away, or does not like us


class Reviewer:
    def __init__(self, inside, plane, directory):
        self.rights = {}
        self.failure = lambda kind: None
        self.reviews = []  # (kind, spec), in the order they came
        self._plane = plane
        self._lock = threading.Lock()
        authority = faults.Authority("reviewer-ca")
        identity = directory / "reviewer.pem"
        identity.write_bytes(authority.issue())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity)
        listener = inside.listen()
        port = listener.getsockname()[1]
        self._server = _Server(self, context.wrap_socket(listener, server_side=True, do_handshake_on_connect=False))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        config = yaml.safe_load(plane.node_kubeconfig.read_text())
        config["clusters"][0]["cluster"] = {"server": f"https://127.0.0.1:{port}",
                                            "certificate-authority-data": base64.b64encode(authority.pem).decode()}
        self.kubeconfig = directory / "reviewed.kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump(config))
        files = plane.credentials(plane.node_kubeconfig)
        self._upstream_context = ssl.create_default_context(cafile=files[5])
        self._upstream_context.load_cert_chain(files[1], files[3])

    def upstream(self):
        return http.client.HTTPSConnection("127.0.0.1", self._plane.port, context=self._upstream_context)

    def review(self, handler, kind, body):
        review = json.loads(body)
        with self._lock:
            self.reviews.append((kind, review["spec"]))
        status = self.failure(kind)
        if status is not None:
            handler.answer(status, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": status,
                                    "message": "as scripted", "reason": "InternalError"})
        elif kind == TOKEN_REVIEW:
            handler.pass_on(body)
        else:
            wanted = review["spec"]["resourceAttributes"]
            granted = self.rights.get(review["spec"]["user"], set())
            subresource = wanted["subresource"]
            is_allowed = bool({(wanted.get("verb", ""), subresource), ("*", subresource)} & granted)
            handler.answer(201, {**review, "status": {"allowed": is_allowed}})

    def asked(self, kind):
        """The specs of the reviews of that kind so far."""
        with self._lock:
            return [spec for each, spec in self.reviews if each == kind]

    def forget(self):
        with self._lock:
            self.reviews.clear()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
