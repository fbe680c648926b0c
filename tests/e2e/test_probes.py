"""Probes of containers: what they hold back, and what they restart."""

from agent import condition, container_status, pod, shell

SERVER = "mkdir -p /www; echo yes > /www/healthz; exec httpd -f -p 8080 -h /www"


def http_probe(path="/healthz", **fields):
    return {"httpGet": {"path": path, "port": 8080}, "periodSeconds": 1, **fields}


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
