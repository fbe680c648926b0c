"""Probes of containers: what they hold back, and what they restart; and hooks, which use the same client."""

import pathlib

import pytest

from agent import condition, container_status, pod, shell
from bed import NODE_IP, wait_for

SERVER = "mkdir -p /www; echo yes > /www/healthz; exec httpd -f -p 8080 -h /www"
HTTP_PORT, HTTPS_PORT, GRPC_PORT = 8180, 8181, 8182
PROGRAM = pathlib.Path(__file__).parents[1] / "lib" / "probed_server.py"


def http_probe(path="/healthz", **fields):
    return {"httpGet": {"path": path, "port": 8080}, "periodSeconds": 1, **fields}


class Probed:
    """HTTP, HTTPS and gRPC servers at the node's address, which is that of pods in the host's network."""

    def __init__(self, bed, directory):
        self.dir = directory
        self.process = bed.spawn("/usr/bin/python3", PROGRAM, NODE_IP, HTTP_PORT, HTTPS_PORT, GRPC_PORT, directory,
                                 output=directory / "out")
        wait_for("the servers", (directory / "ready").exists)

    def log(self):
        path = self.dir / "log"
        return path.read_text().splitlines() if path.exists() else []

    def heard(self, start):
        return any(line.startswith(start) for line in self.log())


@pytest.fixture
def probed(bed, tmp_path):
    servers = Probed(bed, tmp_path)
    yield servers
    servers.process.kill()
    servers.process.wait()


def get(port, path="/ok", **fields):
    return {"httpGet": {"host": NODE_IP, "port": port, "path": path, **fields}}


def asleep(**container):
    return shell("c", "sleep 3600 & wait", **container)


def test_readiness_follows_its_probe(node):
    node.apply("r.yaml", pod("ready", shell("c", SERVER, readinessProbe=http_probe()), terminationGracePeriodSeconds=1))
    ready = node.wait_running("ready")
    assert container_status(ready)["ready"] and container_status(ready)["started"]
    node.bed.cri.exec(node.container(ready), "rm", "/www/healthz")
    failed = node.wait_pod("ready", "not ready", lambda p: condition(p, "Ready") == "False")
    assert container_status(failed)["restartCount"] == 0
    assert "running" in container_status(failed)["state"]
    assert "Readiness probe failed: HTTP probe failed with statuscode: 404" in node.client("events").stdout


def test_a_failing_liveness_probe_restarts_the_container(node):
    node.apply("l.yaml", pod("alive", shell("c", "touch /tmp/ok; sleep 3; rm /tmp/ok; exec sleep 3600", livenessProbe={
        "exec": {"command": ["cat", "/tmp/ok"]}, "periodSeconds": 1, "failureThreshold": 2}),
        terminationGracePeriodSeconds=1))
    restarted = node.wait_pod("alive", "restarted", lambda p: (
        container_status(p) and container_status(p)["restartCount"] == 1), timeout=40)
    assert container_status(restarted)["lastState"]["terminated"]
    assert "failed liveness probe, will be restarted" in node.client("events").stdout


def test_a_startup_probe_holds_the_others_back(node):
    node.apply("s.yaml", pod("slow", shell(
        "c", f"sleep 5; {SERVER}", startupProbe=http_probe(failureThreshold=60),
        livenessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 10}),
        terminationGracePeriodSeconds=1))
    starting = node.wait_pod("slow", "running", lambda p: (
        container_status(p) and "running" in container_status(p)["state"]))
    assert not container_status(starting)["started"] and not container_status(starting)["ready"]
    ready = node.wait_running("slow", timeout=60)
    assert container_status(ready)["started"] and container_status(ready)["restartCount"] == 0


def test_https_is_probed_whoever_the_certificate_is_for(node, probed):
    node.apply("h.yaml", pod("secret", asleep(readinessProbe={
        **get(HTTPS_PORT, "/there?x=1", scheme="HTTPS", httpHeaders=[{"name": "Host", "value": "example.org"}]),
        "periodSeconds": 1})))
    node.wait_pod("secret", "ready", lambda p: condition(p, "Ready") == "True")
    assert probed.log()[:2] == ["https /there?x=1 example.org kube-probe/1.36", "https /ok example.org kube-probe/1.36"]


def test_https_at_a_server_without_it_is_told_in_the_words_of_a_kubelet(node, probed):
    node.apply("p.yaml", pod("plain", asleep(readinessProbe={**get(HTTP_PORT, scheme="HTTPS"), "periodSeconds": 1})))
    wait_for("the event", lambda: (
        f'Readiness probe failed: Get "https://{NODE_IP}:{HTTP_PORT}/ok": '
        'http: server gave HTTP response to HTTPS client'
        in node.client("events").stdout))
    assert not probed.heard("https")


def test_a_redirect_to_another_host_is_a_warning_and_a_success(node, probed):
    node.apply("w.yaml", pod("moved", asleep(readinessProbe={**get(HTTP_PORT, "/away"), "periodSeconds": 1})))
    node.wait_pod("moved", "ready", lambda p: condition(p, "Ready") == "True")
    assert "Readiness probe warning: Probe terminated redirects, Response body: this is /away" in node.client(
        "events").stdout
    assert probed.heard("http /away")


def test_a_grpc_service_says_whether_it_is_ready(node, probed):
    (probed.dir / "serving").touch()
    node.apply("g.yaml", pod("health", asleep(readinessProbe={
        "grpc": {"port": GRPC_PORT, "service": "web"}, "periodSeconds": 1, "failureThreshold": 1}), hostNetwork=True))
    node.wait_pod("health", "ready", lambda p: condition(p, "Ready") == "True")
    assert probed.heard("grpc web kube-probe/1.36 ")
    (probed.dir / "serving").unlink()
    node.wait_pod("health", "not ready", lambda p: condition(p, "Ready") == "False")
    assert 'Readiness probe failed: service unhealthy (responded with "NOT_SERVING")' in node.client("events").stdout


def test_a_grpc_probe_where_nobody_listens_takes_all_its_time(node):
    node.apply("n.yaml", pod("nobody", asleep(readinessProbe={"grpc": {"port": 1}, "periodSeconds": 1}),
                             hostNetwork=True))
    wait_for("the event", lambda: (
        f'Readiness probe failed: timeout: failed to connect service "{NODE_IP}:1" within 1s: context deadline exceeded'
        in node.client("events").stdout))


def test_hooks_are_heard_before_and_after(node, probed):
    node.apply("k.yaml", pod("hooked", asleep(lifecycle={
        "postStart": get(HTTP_PORT, "/hello"),
        "preStop": get(HTTP_PORT, "/bye", scheme="HTTPS")})))  # not TLS: asked again without
    node.wait_running("hooked")
    assert probed.log() == [f"http /hello {NODE_IP}:{HTTP_PORT} kube-lifecycle/1.36"]  # 404, which does not matter
    node.remove("k.yaml")
    wait_for("the fall-back", lambda: probed.heard(f"http /bye {NODE_IP}:{HTTP_PORT} kube-lifecycle/1.36"))
    node.wait_gone("hooked")


def test_a_hook_finds_its_pod_by_itself(node):
    """The address is the pod's own, and a server that is not there yet fails the hook."""
    node.apply("f.yaml", pod("early", asleep(lifecycle={"postStart": {"httpGet": {"port": 8080, "path": "/x"}}})))
    refused = node.wait_pod("early", "refused", lambda p: container_status(p) and "connection refused" in str(
        container_status(p)["state"]))
    assert 'HTTP lifecycle hook (/x) for Container "c" in Pod "early-' in str(container_status(refused)["state"])
    assert "PostStartHook failed" in node.client("events").stdout
