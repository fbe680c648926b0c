"""With which certificate the node's own API is served, and whose it takes: asked of the cluster, given as files, replaced
while the agent runs; and the end of an agent while all of it is under way."""

import datetime
import os
import shutil
import signal
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import bed as beds
import cluster as clusters
import fault_server as faults
import plane as planes

SANITIZED = beds.ROOT / "build-test" / "cubelet"
ADDRESS = f"{beds.NODE_IP}:10250"
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


@pytest.fixture(scope="module")
def cluster(bed):
    """Its agent has the sanitizers, where it was built with them: what goes wrong at the end only they see."""
    made = clusters.Cluster(bed)
    if SANITIZED.exists() and "CUBELET" not in os.environ:
        made.node.program = shutil.copy(SANITIZED, made.node.dir / "cubelet")
    try:
        yield made.start()
    finally:
        made.close()


def handshake(bed):
    """The leaf that is served, or what the handshake ended with."""
    result = bed.run("sh", "-c", f"openssl s_client -connect {ADDRESS} </dev/null 2>&1", check=False)
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----\n"
    if begin not in result.stdout:
        return result.stdout
    text = result.stdout[result.stdout.index(begin):result.stdout.index(end) + len(end)]
    return x509.load_pem_x509_certificate(text.encode())


def curl(bed, path, *options):
    """(status code, body)"""
    result = bed.run("curl", "-s", "--max-time", "20", "-w", "\n%{http_code}", *options, f"https://{ADDRESS}{path}", check=False)
    body, _, code = result.stdout.rpartition("\n")
    return int(code), body


def issue(authority, name, *organizations, names=()):
    """A certificate with its key, as one PEM text."""
    key = ec.generate_private_key(ec.SECP256R1())
    oid = x509.NameOID
    subject = x509.Name([*(x509.NameAttribute(oid.ORGANIZATION_NAME, each) for each in organizations),
                         x509.NameAttribute(oid.COMMON_NAME, name)])
    now = datetime.datetime.utcnow()
    builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(authority.name).public_key(key.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(now - faults.DAY)
               .not_valid_after(now + faults.DAY))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return certificate.decode(), key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                   serialization.NoEncryption()).decode()


def requests_of_servers(cluster):
    code, answer = cluster.request("GET", CSRS)
    assert code == 200, answer
    return [each for each in answer["items"] if each["spec"]["signerName"] == "kubernetes.io/kubelet-serving"]


def replace(path, text):
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.rename(path)


def end_well(node):
    """Ends the agent as its supervisor does; it has nothing to complain of."""
    assert node.stop(signal.SIGTERM) == 0, node.log_tail(200)
    assert "Sanitizer" not in node.log_path.read_text(errors="replace"), node.log_tail(200)


def test_the_cluster_gives_a_certificate(cluster):
    bed = cluster.bed
    with cluster.other_agent(serverTLSBootstrap=True) as node:
        node.start()
        left = beds.wait_for("a request for a certificate", lambda: requests_of_servers(cluster), timeout=20)
        end_well(node)
        node.start()
        asked = beds.wait_for("another one, as the key of the first is gone",
                              lambda: len(now := requests_of_servers(cluster)) == 2 and now, timeout=20)
        pending = next(each for each in asked if each not in left)
        assert "alert number 80" in handshake(bed), "there is none yet"
        assert pending["spec"]["usages"] == ["digital signature", "server auth"]
        assert pending["metadata"]["generateName"] == "csr-"
        assert not (node.root_dir / "pki" / "kubelet-server-current.pem").exists()

        cluster.plane.kubectl("certificate", "approve", pending["metadata"]["name"])
        served = beds.wait_for("the certificate", lambda: isinstance(leaf := handshake(bed), x509.Certificate) and leaf, timeout=20)
        assert served.subject.rfc4514_string() == f"CN=system:node:{cluster.name},O=system:nodes"
        names = served.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert beds.NODE_IP in map(str, names.get_values_for_type(x509.IPAddress))
        assert cluster.name in names.get_values_for_type(x509.DNSName)
        assert curl(bed, "/healthz", "--cacert", cluster.plane.ca)[0] == 401, "it is the cluster's"

        current = node.root_dir / "pki" / "kubelet-server-current.pem"
        beds.wait_for("the file", current.is_symlink, timeout=10)
        assert current.readlink().is_absolute() and current.readlink().parent == current.parent
        assert current.stat().st_mode & 0o777 == 0o600
        text = current.read_text()
        assert text.startswith("-----BEGIN CERTIFICATE-----")
        assert text.index("-----BEGIN EC PRIVATE KEY-----") > text.index("-----END CERTIFICATE-----")

        end_well(node)
        node.start()
        assert beds.wait_for("the certificate", lambda: isinstance(leaf := handshake(bed), x509.Certificate) and leaf,
                             timeout=10).serial_number == served.serial_number
        cluster.wait_ready()
        assert len(requests_of_servers(cluster)) == 2, "what there is is enough"
        end_well(node)


def test_files_are_read_again_when_they_change(cluster, tmp_path):
    bed, authority, other = cluster.bed, faults.Authority("first"), faults.Authority("second")
    cert, key, ca = tmp_path / "tls.crt", tmp_path / "tls.key", tmp_path / "ca.crt"
    friend = tmp_path / "friend.pem"
    names = [x509.DNSName("one")]
    pairs = [issue(authority, name, names=names) for name in ("one", "two")]
    cert.write_text(pairs[0][0])
    key.write_text(pairs[0][1])
    ca.write_text(authority.pem.decode())
    friend.write_text("".join(issue(other, "friend", "system:masters")))

    def serves(name):
        leaf = handshake(bed)
        return isinstance(leaf, x509.Certificate) and leaf.subject.rfc4514_string() == f"CN={name}"

    with cluster.other_agent(tlsCertFile=str(cert), tlsPrivateKeyFile=str(key),
                             authentication={"x509": {"clientCAFile": str(ca)}}) as node:
        node.start()
        beds.wait_for("the first pair", lambda: serves("one"), timeout=10)
        replace(cert, "nothing of use")
        beds.wait_for("a complaint", lambda: "The serving certificate cannot be used" in node.log_path.read_text(), timeout=10)
        assert serves("one"), "a bad pair changes nothing"
        replace(key, pairs[1][1])
        replace(cert, pairs[1][0])
        beds.wait_for("the second pair", lambda: serves("two"), timeout=10)

        assert curl(bed, "/healthz", "-k", "--cert", friend) == (401, "Unauthorized")
        replace(ca, (authority.pem + other.pem).decode())
        beds.wait_for("the second authority", lambda: curl(bed, "/healthz", "-k", "--cert", friend)[0] == 200, timeout=10)
        replace(ca, "nothing of use")
        beds.wait_for("a complaint", lambda: "The client CA file cannot be used" in node.log_path.read_text(), timeout=10)
        assert curl(bed, "/healthz", "-k", "--cert", friend)[0] == 200, "a bad file changes nothing"
        replace(ca, authority.pem.decode())
        beds.wait_for("the end of the second authority",
                      lambda: curl(bed, "/healthz", "-k", "--cert", friend)[0] == 401, timeout=10)
        end_well(node)


@pytest.mark.parametrize("settings, words", [
    ({"tlsCertFile": "none", "tlsPrivateKeyFile": "none"}, "invalid certificate and key pair from file"),
    ({"authentication": {"x509": {"clientCAFile": "/etc/hosts"}}}, "unable to load client CA file"),
], ids=["pair", "authorities"])
def test_what_is_of_no_use_at_the_start_ends_the_agent(cluster, settings, words):
    with cluster.other_agent(**settings) as node:
        code, text = node.run_to_its_end()
        assert (code, words in text, "Sanitizer" in text) == (1, True, False), text


def test_nobody_sends_much_before_being_known(cluster, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(b"x" * (1 << 20))
    beds.wait_for("the port", lambda: curl(cluster.bed, "/healthz", "-k")[0] == 401, timeout=30)
    assert curl(cluster.bed, "/exec/ns/pod/c", "-k", "-H", "Expect:", "--data-binary", f"@{body}")[0] == 413
    assert curl(cluster.bed, "/exec/ns/pod/c", "-k", "--data-binary", "x" * 1000)[0] == 401


def requests_under_way(bed):
    """By the read-only port, which asks nobody."""
    page = bed.run("curl", "-s", f"http://{beds.NODE_IP}:10255/metrics", check=False).stdout
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in page.splitlines()
               if line.startswith("kubelet_http_inflight_requests{") and 'server_type="readwrite"' in line)


def test_an_agent_ends_while_much_is_under_way(cluster, tmp_path):
    """Requests that wait for the API server, the runtime and their clients."""
    bed, authority = cluster.bed, faults.Authority("first")
    ca, friend = tmp_path / "ca.crt", tmp_path / "friend.pem"
    ca.write_text(cluster.plane.ca.read_text() + authority.pem.decode())
    friend.write_text("".join(issue(authority, "friend", "system:masters")))
    cluster.create({"kind": "Pod", "metadata": {"name": "sleeper"}, "spec": {
        "terminationGracePeriodSeconds": 0, "containers": [
            {"name": "c", "image": "docker.io/library/busybox:1.36", "imagePullPolicy": "Never",
             "command": ["sh", "-c", "while true; do echo tick; sleep 1; done"]}]}})
    with open(bed.dir / "log" / "huge", "wb") as huge:
        huge.truncate(1 << 30)
    with cluster.other_agent(readOnlyPort=10255, authentication={"x509": {"clientCAFile": str(ca)}}) as node:
        node.start()
        cluster.wait_running("sleeper")
        known = ("-k", "--cert", friend, "-s", "--limit-rate", "100", "-o", "/dev/null")
        base = f"/{cluster.namespace}/sleeper"
        beds.wait_for("an answer", lambda: curl(bed, f"/containerLogs{base}/c", "-k", "--cert", friend)[0] == 200, timeout=30)
        clients = [bed.spawn("curl", *known, *more, f"https://{ADDRESS}{path}", output=tmp_path / "out") for more, path in [
            ((), f"/containerLogs{base}/c?follow=true"), (("-X", "POST"), f"/run{base}/c?cmd=sleep%203600"), ((), "/logs/huge")]]
        beds.wait_for("those who are known", lambda: requests_under_way(bed) == 3, timeout=10)
        stream = subprocess.Popen([planes.KUBECTL, "-n", cluster.namespace, "exec", "sleeper", "--", "sh", "-c",
                                   "echo ready; exec sleep 3600"],
                                  env=cluster.plane.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert stream.stdout.readline() == b"ready\n"
        cluster.plane.pause()
        try:
            clients += [bed.spawn("curl", "-s", "-k", "-H", f"Authorization: Bearer {token}", f"https://{ADDRESS}/pods",
                                  output=tmp_path / "out") for token in ("one", "two")]
            beds.wait_for("those who are not", lambda: requests_under_way(bed) == 6, timeout=10)
            end_well(node)
        finally:
            cluster.plane.go_on()
            stream.kill()
            stream.communicate()
            for client in clients:
                client.kill()
                client.wait()
