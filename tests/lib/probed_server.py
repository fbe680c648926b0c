#!/usr/bin/python3
"""What probes and hooks are pointed at: HTTP, HTTPS and gRPC health servers at one address, until they are killed.

usage: probed_server.py ADDRESS HTTP_PORT HTTPS_PORT GRPC_PORT DIRECTORY

HTTP and HTTPS answer by path, as any web server might: /ok 200, /away a redirect to another host, /there a redirect to
/ok, anything else 404; the gRPC service is SERVING while the file DIRECTORY/serving exists. DIRECTORY gets a
certificate that nobody trusts, the file `ready` once all three listen, and `log` with a line for whatever was asked.
"""

import concurrent.futures
import http.server
import pathlib
import socket
import ssl
import subprocess
import sys
import threading

import grpc

SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"
TLS_HANDSHAKE = b"\x16"


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    REDIRECTS = {"/away": "http://192.0.2.1/", "/there": "/ok"}

    def do_GET(self):
        path = self.path.split("?")[0]
        body = f"this is {path}".encode()
        self.server.note(f"{self.server.scheme} {self.path} {self.headers['Host']} {self.headers['User-Agent']}")
        self.send_response(302 if path in self.REDIRECTS else 200 if path == "/ok" else 404)
        if path in self.REDIRECTS:
            self.send_header("Location", self.REDIRECTS[path])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nobody reads it."""


class Server(http.server.ThreadingHTTPServer):
    def __init__(self, address, scheme, note):
        super().__init__(address, Answers)
        self.scheme, self.note = scheme, note
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def finish_request(self, request, client_address):
        if self.scheme == "http" and request.recv(1, socket.MSG_PEEK) == TLS_HANDSHAKE:
            request.recv(65536)
            request.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTPS request to an HTTP server.\n")
            return
        super().finish_request(request, client_address)

    def handle_error(self, *_):
        """A probe may go away at any time."""


class TlsServer(Server):
    """The handshake is made by the thread of the connection, so that one that fails holds nobody up."""

    def __init__(self, address, note, certificate):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        super().__init__(address, "https", note)

    def finish_request(self, request, client_address):
        with self.context.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)


class Health(grpc.GenericRpcHandler):
    def __init__(self, directory, note):
        self._serving, self._note = directory / "serving", note

    def service(self, details):
        if details.method != "/grpc.health.v1.Health/Check":
            return None
        agent = dict(details.invocation_metadata).get("user-agent", "")
        return grpc.unary_unary_rpc_method_handler(lambda request, _context: self._check(request, agent))

    def _check(self, request, agent):
        self._note(f"grpc {request[2:].decode()} {agent}")
        return SERVING if self._serving.exists() else NOT_SERVING


def main():
    address, directory = sys.argv[1], pathlib.Path(sys.argv[5])
    http_port, https_port, grpc_port = (int(text) for text in sys.argv[2:5])
    certificate = directory / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=nobody",
                    "-keyout", certificate, "-out", directory / "own.pem"], check=True, capture_output=True)
    certificate.write_text(certificate.read_text() + (directory / "own.pem").read_text())
    lock = threading.Lock()

    def note(line):
        with lock, open(directory / "log", "a", encoding="utf-8") as log:
            log.write(line + "\n")

    Server((address, http_port), "http", note)
    TlsServer((address, https_port), note, certificate)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), handlers=[Health(directory, note)])
    if server.add_insecure_port(f"{address}:{grpc_port}") != grpc_port:
        sys.exit(f"nothing can listen at {address}:{grpc_port}")
    server.start()
    (directory / "ready").touch()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
