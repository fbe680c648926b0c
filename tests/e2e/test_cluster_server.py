"""The node's own API as people use it: kubectl through the API server to a node with a real runtime."""

import json

import pytest

import bed as beds

RAW = "/api/v1/nodes/node-a/proxy"
TALKER = ["sh", "-c", "echo one; echo two >&2; echo three; exec sleep 3600"]


def busybox(name, command, **spec):
    return {"kind": "Pod", "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [
                {"name": "c", "image": "docker.io/library/busybox:1.36", "command": command, "imagePullPolicy": "Never"}],
                **spec}}


@pytest.fixture
def talker(space):
    space.create(busybox("talker", TALKER))
    space.wait_running("talker")
    # Until its serving certificate is signed the node answers with an alert.
    beds.wait_for("the node to serve", lambda: raw(space, "/healthz", check=False).returncode == 0)
    return space


def raw(space, path, check=True):
    return space.plane.kubectl("get", "--raw", f"{RAW}{path}", check=check)


def test_kubectl_logs(talker):
    # The runtime reads two pipes: nobody knows which first.
    assert sorted(talker.kubectl("logs", "talker").splitlines()) == ["one", "three", "two"]


def test_kubectl_exec(talker):
    result = talker.plane.kubectl("-n", talker.namespace, "exec", "talker", "--", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (result.stdout, result.returncode) == ("out\n", 7), result.stderr


def test_a_script_is_executed(talker):
    script = "# a line of no use\n" * 500 + "echo done"  # each blank and newline is three bytes in the request
    assert talker.kubectl("exec", "talker", "--", "sh", "-c", script) == "done\n"


@pytest.mark.parametrize("path", ["/healthz", "/pods", "/runningpods/", "/configz", "/stats/summary", "/metrics",
                                  "/metrics/cadvisor", "/metrics/resource", "/metrics/probes", "/metrics/slis", "/flagz",
                                  "/statusz", "/logs/"])
def test_each_endpoint_answers(talker, path):
    result = raw(talker, path)
    assert result.stdout, result.stderr
