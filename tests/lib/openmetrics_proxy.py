"""Passes requests on to a node and asks for OpenMetrics whatever the client would take: Prometheus takes text as well,
so a node that speaks both gives it text, and only this way its other parser reads our pages.

usage: openmetrics_proxy.py PORT NODE CERTIFICATE KEY    until killed; serves plain HTTP on loopback, NODE is host:port
"""

import http.client
import http.server
import ssl
import sys

OPENMETRICS = "application/openmetrics-text"


class Handler(http.server.BaseHTTPRequestHandler):
    node = None
    context = None

    def do_GET(self):
        connection = http.client.HTTPSConnection(self.node, context=self.context, timeout=10)
        try:
            connection.request("GET", self.path, headers={"Accept": OPENMETRICS})
            answer = connection.getresponse()
            body, kind = answer.read(), answer.getheader("Content-Type", "")
        finally:
            connection.close()
        # A page of another form would be read by the parser that is not meant here.
        self.send_response(answer.status if kind.startswith(OPENMETRICS) else 502)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main(port, node, certificate, key):
    Handler.node = node
    Handler.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    Handler.context.check_hostname = False
    Handler.context.verify_mode = ssl.CERT_NONE
    Handler.context.load_cert_chain(certificate, key)
    http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
