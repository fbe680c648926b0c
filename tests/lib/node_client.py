"""Who asks a node: connections to the servers of a bed from inside its network, with the credentials one likes.

inside = Inside(bed)
with NodeClient(inside, token="…") as client:
    answer = client.ask("GET", "/pods")      # .status, .headers, .body (text)
"""

import concurrent.futures
import contextlib
import dataclasses
import datetime
import http.client
import socket
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import bed as beds
import forward

PORT = 10250


class Inside:
    """Makes sockets in a bed's network; they work in any thread."""

    def __init__(self, bed):
        self._maker = concurrent.futures.ThreadPoolExecutor(
            max_workers=1, initializer=forward.enter_network, initargs=(bed.init_pid,))

    def connect(self, port=PORT, address=beds.NODE_IP, timeout=30):
        return self._maker.submit(socket.create_connection, (address, port), timeout).result()

    def connect_many(self, count, port=PORT, address=beds.NODE_IP):
        """Connections without a word, as many as it takes the kernel to make."""
        def make():
            return [socket.create_connection((address, port), timeout=30) for _ in range(count)]
        return self._maker.submit(make).result()

    def listen(self, address="127.0.0.1", port=0):
        return self._maker.submit(socket.create_server, (address, port), backlog=256).result()

    def close(self):
        self._maker.shutdown()


def trusting_all():
    """TLS for a client that takes any server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict  # by names in lower case
    body: str


class NodeClient:
    """One connection, kept as long as the server keeps it, with one set of credentials: a token, a file with a
    certificate and its key, or nothing."""

    def __init__(self, inside, token=None, certificate=None, port=PORT, is_tls=True, timeout=60):
        self._inside, self._port, self._is_tls, self._timeout = inside, port, is_tls, timeout
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.context = trusting_all()
        if certificate:
            self.context.load_cert_chain(certificate)
        self._connection = None
        self.connections_made = 0

    def _connect(self):
        connection = http.client.HTTPConnection(beds.NODE_IP, self._port)
        connection.sock = self._inside.connect(self._port, timeout=self._timeout)
        if self._is_tls:
            connection.sock = self.context.wrap_socket(connection.sock)
        self.connections_made += 1
        return connection

    def connect(self):
        """Connects now, so that the next requests go over this connection."""
        self.close()
        self._connection = self._connect()
        return self

    @property
    def socket(self):
        return self._connection.sock

    def ask(self, method, path, body=None, headers=None):
        fields = {**self._headers, **(headers or {})}
        for is_last in (False, True):
            if self._connection is None:
                self._connection = self._connect()
            try:
                self._connection.request(method, path, body=body, headers=fields)
                response = self._connection.getresponse()
                text = response.read().decode(errors="replace")
            except (ConnectionError, http.client.BadStatusLine, ssl.SSLEOFError):
                self.close()
                if is_last:  # the first may be a connection that the server has closed meanwhile
                    raise
                continue
            if self._connection.sock is None:  # the server ends it
                self._connection = None
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, text)
        raise AssertionError("not reached")

    def get(self, path, **headers):
        return self.ask("GET", path, headers=headers)

    def close(self):
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# Certificates

def load_authority(directory):
    """(certificate, key) of an authority whose files are ca.crt and ca.key."""
    return (x509.load_pem_x509_certificate((directory / "ca.crt").read_bytes()),
            serialization.load_pem_private_key((directory / "ca.key").read_bytes(), None))


def issue(authority, path, common_name, groups=(), lasts=datetime.timedelta(days=1), names=(), is_server=False):
    """Writes a certificate of that authority with its key to @path, which is returned. One that lasts a negative time
    has ended that long ago."""
    ca_cert, ca_key = authority
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.utcnow()
    subject = [x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject.append(x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name))
    usage = x509.ExtendedKeyUsageOID.SERVER_AUTH if is_server else x509.ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (x509.CertificateBuilder().subject_name(x509.Name(subject)).issuer_name(ca_cert.subject)
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(now - datetime.timedelta(days=30)).not_valid_after(now + lasts)
               .add_extension(x509.ExtendedKeyUsage([usage]), critical=False))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    path.write_bytes(builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
                     + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                         serialization.NoEncryption()))
    return path


def shown_certificate(tls_socket):
    return x509.load_der_x509_certificate(tls_socket.getpeercert(binary_form=True))


def handshake(inside, context=None, port=PORT):
    """The certificate that a new connection is shown. A failed handshake is an ssl.SSLError."""
    with contextlib.closing(inside.connect(port)) as plain:
        with (context or trusting_all()).wrap_socket(plain) as secure:
            return shown_certificate(secure)


def client_hello():
    """The first flight of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = trusting_all().wrap_bio(incoming, outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()
