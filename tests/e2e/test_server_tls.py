"""With what the node's own API is served over TLS: certificates from files, of the node's own and of the cluster, their
replacement, and the settings of the handshake."""

import contextlib
import os
import re
import ssl
import stat
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import bed as beds
import cluster as clusters
import fault_server as faults
import node_client

# A node without a cluster, open to all, so that only the handshake matters.
OPEN = {"authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"}}
SERVER = f"{beds.NODE_IP}:{node_client.PORT}"


@pytest.fixture(scope="module")
def inside(bed):
    sockets = node_client.Inside(bed)
    yield sockets
    sockets.close()


@pytest.fixture
def authority():
    made = faults.Authority("serving-ca")
    return made.cert, made.key


def put_pair(authority, node, name):
    """Writes a server's certificate for @name and its key as two files of the node, each replaced at once."""
    whole = node_client.issue(authority, node.dir / "whole.pem", name, names=[name], is_server=True).read_text()
    border = whole.index("-----BEGIN PRIVATE KEY")
    for file_name, text in (("tls.crt", whole[:border]), ("tls.key", whole[border:])):
        fresh = node.dir / (file_name + ".new")
        fresh.write_text(text)
        fresh.rename(node.dir / file_name)


def with_files(node):
    return {"tlsCertFile": str(node.dir / "tls.crt"), "tlsPrivateKeyFile": str(node.dir / "tls.key")}


def shown_name(certificate):
    return certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value


def wait_shown(inside, name):
    return beds.wait_for(f"the certificate of {name}", lambda: shown_name(node_client.handshake(inside)) == name, timeout=10)


def certificates_in(path):
    return [x509.load_pem_x509_certificate(text.encode()) for text in re.findall(
        "-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", path.read_text(), re.DOTALL)]


def fingerprint(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


# Files

def test_files_serve_and_new_ones_are_shown_to_new_connections(make_node, inside, authority):
    node = make_node(OPEN)
    node.write_config(**with_files(node))
    put_pair(authority, node, "first.example")
    node.start()
    assert shown_name(node_client.handshake(inside)) == "first.example"

    clients = [node_client.NodeClient(inside).connect() for _ in range(3)]
    with contextlib.ExitStack() as stack:
        for client in clients:
            stack.enter_context(client)
            assert client.get("/healthz").body == "ok"
        put_pair(authority, node, "second.example")
        wait_shown(inside, "second.example")
        (node.dir / "tls.key").write_text("no key")
        beds.wait_for("word of the bad key", lambda: node.log_lines("The serving certificate cannot be used"), timeout=10)
        assert shown_name(node_client.handshake(inside)) == "second.example"
        put_pair(authority, node, "third.example")
        wait_shown(inside, "third.example")
        for client in clients:
            assert client.get("/healthz").body == "ok"
            assert client.connections_made == 1, "an open connection is not harmed"
            assert shown_name(node_client.shown_certificate(client.socket)) == "first.example"


def test_files_are_followed_through_the_links_of_a_secret_volume(make_node, inside, authority):
    node = make_node(OPEN)
    volume = node.dir / "secret"
    for number, name in ((1, "first.example"), (2, "second.example")):
        put_pair(authority, node, name)
        (volume / f"..{number}").mkdir(parents=True)
        for file_name in ("tls.crt", "tls.key"):
            (node.dir / file_name).rename(volume / f"..{number}" / file_name)
    (volume / "..data").symlink_to("..1")
    for file_name in ("tls.crt", "tls.key"):
        (volume / file_name).symlink_to(f"..data/{file_name}")
    node.write_config(tlsCertFile=str(volume / "tls.crt"), tlsPrivateKeyFile=str(volume / "tls.key"))
    node.start()
    assert shown_name(node_client.handshake(inside)) == "first.example"
    (volume / "..new").symlink_to("..2")
    (volume / "..new").rename(volume / "..data")
    wait_shown(inside, "second.example")


# A certificate of the node's own

def test_without_files_a_certificate_is_made_once(make_node, inside):
    node = make_node(OPEN).start()
    shown = node_client.handshake(inside)
    files = node.root_dir / "pki" / "kubelet.crt", node.root_dir / "pki" / "kubelet.key"
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o644, 0o600]
    chain = certificates_in(files[0])
    assert fingerprint(chain[0]) == fingerprint(shown)
    assert re.fullmatch(rf"{beds.NODE_NAME}@\d+", shown_name(shown))
    assert shown.issuer == chain[1].subject and re.fullmatch(rf"{beds.NODE_NAME}-ca@\d+", shown_name(chain[1]))
    extension = {each.oid: each.value for each in shown.extensions}
    assert extension[x509.ExtensionOID.SUBJECT_ALTERNATIVE_NAME].get_values_for_type(x509.DNSName) == [beds.NODE_NAME]
    assert list(extension[x509.ExtensionOID.EXTENDED_KEY_USAGE]) == [x509.ExtendedKeyUsageOID.SERVER_AUTH]
    assert not extension[x509.ExtensionOID.BASIC_CONSTRAINTS].ca
    assert (shown.not_valid_after - shown.not_valid_before).days == 365

    trusting = ssl.create_default_context(cadata=chain[1].public_bytes(serialization.Encoding.PEM).decode())
    with contextlib.closing(inside.connect()) as plain, trusting.wrap_socket(plain, server_hostname=beds.NODE_NAME):
        pass

    node.restart()
    assert fingerprint(node_client.handshake(inside)) == fingerprint(shown)
    node.stop()
    files[1].unlink()
    code, output = node.run_to_its_end()
    assert code == 1 and "certificate and key must be supplied as a pair" in output
    files[0].unlink()
    node.start()
    renewed = node_client.handshake(inside)
    assert fingerprint(renewed) != fingerprint(shown)
    assert fingerprint(certificates_in(files[0])[0]) == fingerprint(renewed)


# A certificate of the cluster

@pytest.fixture
def cluster(bed):
    made = clusters.Cluster(bed, config={"serverTLSBootstrap": True})
    try:
        yield made.start()
    finally:
        made.close()


def serving_requests(cluster):
    return [each for each in cluster.plane.get("csr")["items"]
            if each["spec"]["signerName"] == "kubernetes.io/kubelet-serving"]


def test_a_certificate_of_the_cluster_serves_once_it_is_approved(cluster, inside):
    (request,) = beds.wait_for("the request", lambda: serving_requests(cluster))
    assert request["spec"]["username"] == f"system:node:{beds.NODE_NAME}"
    assert sorted(request["spec"]["usages"]) == ["digital signature", "server auth"]
    with pytest.raises(ssl.SSLError, match="TLSV1_ALERT_INTERNAL_ERROR"):
        node_client.handshake(inside)
    refused = cluster.plane.kubectl("get", "--raw", f"/api/v1/nodes/{beds.NODE_NAME}/proxy/healthz", check=False)
    assert "tls: internal error" in refused.stderr

    cluster.plane.kubectl("certificate", "approve", request["metadata"]["name"])
    shown = beds.wait_for("a certificate", lambda: try_handshake(inside), timeout=15)
    assert shown_name(shown) == f"system:node:{beds.NODE_NAME}"
    names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [beds.NODE_NAME]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == [beds.NODE_IP]
    current = cluster.node.root_dir / "pki" / "kubelet-server-current.pem"
    beds.wait_for("it on disk", current.is_symlink)
    assert re.fullmatch(r".*/kubelet-server-[0-9-]+\.pem", os.path.realpath(current))
    assert stat.S_IMODE(current.stat().st_mode) == 0o600

    trusting = ssl.create_default_context(cafile=cluster.plane.ca)
    with contextlib.closing(inside.connect()) as plain, trusting.wrap_socket(plain, server_hostname=beds.NODE_IP):
        pass
    assert cluster.plane.kubectl("get", "--raw", f"/api/v1/nodes/{beds.NODE_NAME}/proxy/healthz").stdout == "ok"

    cluster.node.restart()
    assert fingerprint(node_client.handshake(inside)) == fingerprint(shown), "what is on disk serves at once"
    cluster.wait_ready()
    assert len(serving_requests(cluster)) == 1


def try_handshake(inside):
    with contextlib.suppress(ssl.SSLError):
        return node_client.handshake(inside)


# Settings

# Weaker than what the client's own defaults let it offer.
ANY_OLD = ["-cipher", "ALL@SECLEVEL=0"]
# What is configured; what a client insists on; whether they agree, or on what.
SETTINGS = {
    "defaults": ({}, [
        (["-tls1_3"], "TLSv1.3"), (["-tls1_2"], "TLSv1.2"), (["-tls1_1", *ANY_OLD], None), (["-tls1", *ANY_OLD], None),
        (["-tls1_2", "-cipher", "AES128-GCM-SHA256"], None), (["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], "TLSv1.2"),
        (["-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"], "TLSv1.2"), (["-groups", "P-256"], "prime256v1"),
        (["-groups", "X25519"], "X25519"), (["-alpn", "h2,http/1.1"], "No ALPN negotiated")]),
    "from TLS 1.3 on": ({"tlsMinVersion": "VersionTLS13"}, [(["-tls1_2"], None), (["-tls1_3"], "TLSv1.3")]),
    "from TLS 1.0 on": ({"tlsMinVersion": "VersionTLS10"}, [(["-tls1", *ANY_OLD], "TLSv1"), (["-tls1_3"], "TLSv1.3")]),
    "two suites": ({"tlsCipherSuites": ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_RSA_WITH_AES_128_GCM_SHA256"]}, [
        (["-tls1_2"], "ECDHE-RSA-AES256-GCM-SHA384"), (["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], None),
        (["-tls1_2", "-cipher", "AES128-GCM-SHA256"], "AES128-GCM-SHA256"), (["-tls1_3"], "TLSv1.3")]),
    "one curve": ({"tlsCurvePreferences": [24]}, [
        (["-groups", "P-384"], "secp384r1"), (["-groups", "P-256:P-384"], "secp384r1"), (["-groups", "P-256"], None),
        (["-groups", "X25519"], None), (["-tls1_2", "-groups", "P-256"], None)]),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_reach_the_handshake(make_node, bed, name):
    config, cases = SETTINGS[name]
    make_node({**OPEN, **config}).start()
    for options, wanted in cases:
        result = bed.run("openssl", "s_client", "-connect", SERVER, *options, check=False, timeout=20,
                         stderr=subprocess.STDOUT)
        has_agreed = re.search(r"^New, (?!\(NONE\))", result.stdout, re.MULTILINE) is not None
        assert has_agreed == (wanted is not None), (options, result.stdout[-1500:])
        assert wanted is None or wanted in result.stdout, (options, result.stdout[-1500:])


def test_a_client_certificate_is_asked_for_with_an_authority_only(make_node, bed, inside, authority):
    node = make_node(OPEN)
    ask = ["openssl", "s_client", "-connect", SERVER]
    node.start()
    assert "No client certificate CA names sent" in bed.run(*ask).stdout
    assert "Client Certificate Types" not in bed.run(*ask, "-tls1_2").stdout
    node.stop()
    ca_file = node.dir / "client-ca.crt"
    ca_file.write_bytes(authority[0].public_bytes(serialization.Encoding.PEM))
    node.write_config(authentication={**OPEN["authentication"], "x509": {"clientCAFile": str(ca_file)}})
    node.start()
    assert "CN = serving-ca" in bed.run(*ask).stdout.partition("Acceptable client certificate CA names")[2]
    # Another authority takes the place of the first while the node runs: whom it knows changes with it.
    old = node_client.issue(authority, node.dir / "old.pem", "old")
    with node_client.NodeClient(inside, certificate=old) as client:
        assert client.get("/healthz").status == 200
        other = faults.Authority("other-ca")
        fresh = node.dir / "client-ca.new"
        fresh.write_bytes(other.pem)
        fresh.rename(ca_file)
        beds.wait_for("the end of the old authority", lambda: client.get("/healthz").status == 401, timeout=10)
        assert client.connections_made == 1
    new = node_client.issue((other.cert, other.key), node.dir / "new.pem", "new")
    with node_client.NodeClient(inside, certificate=new) as client:
        assert client.get("/healthz").status == 200


# What is refused at the start, and what is said of it.
REFUSED = {
    "an unknown version": ({"tlsMinVersion": "VersionTLS14"}, 'unknown tls version "VersionTLS14"'),
    "an unknown suite": ({"tlsCipherSuites": ["TLS_NO_SUCH_SUITE"]},
                         "Cipher suite TLS_NO_SUCH_SUITE not supported or doesn't exist"),
    "an unknown curve": ({"tlsCurvePreferences": [7]}, "tlsCurvePreferences"),
    "a curve twice": ({"tlsCurvePreferences": [24, 24]}, "tlsCurvePreferences"),
    "a certificate without a key": ({"tlsCertFile": "{dir}/tls.crt"}, "{dir}/tls.crt"),
    "no such file": ({"tlsCertFile": "{dir}/none.crt", "tlsPrivateKeyFile": "{dir}/none.key"}, "{dir}/none.crt"),
    "no certificate": ({"tlsCertFile": "{dir}/rubbish", "tlsPrivateKeyFile": "{dir}/tls.key"}, "{dir}/rubbish"),
    "another's key": ({"tlsCertFile": "{dir}/tls.crt", "tlsPrivateKeyFile": "{dir}/other.key"},
                      "the private key does not belong to the certificate"),
    "no authority": ({"authentication": {**OPEN["authentication"], "x509": {"clientCAFile": "{dir}/rubbish"}}},
                     "unable to load client CA file"),
    "no such authority": ({"authentication": {**OPEN["authentication"], "x509": {"clientCAFile": "{dir}/none"}}},
                          "{dir}/none"),
}


def filled(value, directory):
    if isinstance(value, dict):
        return {key: filled(each, directory) for key, each in value.items()}
    return value.format(dir=directory) if isinstance(value, str) else value


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_settings_are_refused_at_the_start(make_node, authority, name):
    config, message = REFUSED[name]
    node = make_node(OPEN)
    put_pair(authority, node, "one")
    (node.dir / "tls.key").rename(node.dir / "other.key")
    put_pair(authority, node, "two")
    (node.dir / "rubbish").write_text("rubbish\n")
    node.write_config(**filled(config, node.dir))
    code, output = node.run_to_its_end()
    assert code == 1
    assert message.format(dir=node.dir) in output, output[-2000:]
