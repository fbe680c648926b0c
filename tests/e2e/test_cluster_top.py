"""kubectl top through nodeplane, which asks the node itself: there is no metrics-server."""

import contextlib
import json

import pytest

import agent as agents
import node_wire

pytestmark = pytest.mark.parametrize("cluster", ["nodeplane"], indirect=True)
METRICS = "/apis/metrics.k8s.io/v1beta1"
BUSY = ["sh", "-c", "while :; do :; done"]
BUSY_MIN, BUSY_MAX = 80, 300  # where 200 are the limit, on a machine that has other things to do
HELD_BYTES = 24 << 20  # by the quiet container, in a file in memory


def table(text):
    title, *rows = (line.split() for line in text.splitlines())
    return title, rows


def cores(text):
    """"200m" as thousandths of a core."""
    assert text.endswith("m"), text
    return int(text[:-1])


def mebibytes(text):
    assert text.endswith("Mi"), text
    return int(text[:-2])


@pytest.fixture(scope="module")
def pods(cluster):
    """"busy", which takes a fifth of a core, beside a quiet container that holds memory; "idle"; "done", which has ended."""
    limits = {"limits": {"cpu": "200m", "memory": "64Mi"}}
    held = ["sh", "-c", f"head -c {HELD_BYTES} /dev/zero > /m/held; exec sleep 3600"]
    cluster.namespace = "top"
    cluster.create({"kind": "Namespace", "metadata": {"name": cluster.namespace}})
    cluster.create(agents.pod("busy", {**agents.shell("spin", ""), "command": BUSY, "resources": limits},
                              {**agents.shell("hold", ""), "command": held, "volumeMounts": [{"name": "m", "mountPath": "/m"}]},
                              metadata={"labels": {"app": "busy"}}, volumes=[{"name": "m", "emptyDir": {"medium": "Memory"}}]))
    cluster.create(agents.pod("idle", agents.shell("c", agents.SLEEP), metadata={"labels": {"app": "idle"}}))
    cluster.create(agents.pod("done", agents.shell("c", "exit 0"), restartPolicy="Never"))
    for name in ("busy", "idle"):
        cluster.wait_running(name)
    cluster.wait_phase("done", "Succeeded")
    with contextlib.closing(node_wire.Node(cluster)):  # which has an API by then
        yield cluster
    for name in ("busy", "idle", "done"):
        cluster.delete("pods", name, gracePeriodSeconds=0)
    cluster.delete("namespaces", cluster.namespace)
    cluster.namespace = "default"


def top(space, *arguments, check=True):
    return space.plane.kubectl("-n", space.namespace, "top", *arguments, check=check)


def get(space, path, code=200):
    got, answer = space.request("GET", METRICS + path)
    assert got == code, answer
    return answer


def test_top_shows_what_pods_use(pods):
    title, rows = table(top(pods, "pods").stdout)
    assert title == ["NAME", "CPU(cores)", "MEMORY(bytes)"]
    assert [row[0] for row in rows] == ["busy", "idle"]  # what has ended uses nothing
    assert BUSY_MIN <= cores(rows[0][1]) <= BUSY_MAX
    assert mebibytes(rows[0][2]) >= HELD_BYTES >> 20
    assert cores(rows[1][1]) < BUSY_MIN
    assert top(pods, "pods", "--no-headers", "--sort-by=memory").stdout.splitlines()[0].split()[0] == "busy"


def test_top_shows_containers(pods):
    title, rows = table(top(pods, "pod", "busy", "--containers").stdout)
    assert title == ["POD", "NAME", "CPU(cores)", "MEMORY(bytes)"]
    assert sorted(row[:2] for row in rows) == [["busy", "hold"], ["busy", "spin"]]
    by_name = {row[1]: row for row in rows}
    assert cores(by_name["spin"][2]) >= BUSY_MIN > cores(by_name["hold"][2])
    assert mebibytes(by_name["hold"][3]) >= HELD_BYTES >> 20 > mebibytes(by_name["spin"][3])


def test_top_chooses_pods(pods):
    assert [row[0] for row in table(top(pods, "pods", "-l", "app=idle").stdout)[1]] == ["idle"]
    assert [row[0] for row in table(top(pods, "pods", "--field-selector", "metadata.name=busy").stdout)[1]] == ["busy"]
    everywhere = table(top(pods, "pods", "-A").stdout)
    assert everywhere[0][0] == "NAMESPACE"
    assert [pods.namespace, "busy"] in [row[:2] for row in everywhere[1]]
    assert top(pods, "pods", "-l", "app=none").stdout == ""


@pytest.mark.parametrize("name", ["done", "none"])
def test_there_is_nothing_to_tell_of_what_does_not_run(pods, name):
    result = top(pods, "pod", name, check=False)
    assert result.returncode == 1 and name in result.stderr and "not found" in result.stderr


def test_top_shows_the_node(pods):
    title, rows = table(top(pods, "node").stdout)
    assert [title[0], title[1], title[3]] == ["NAME", "CPU(cores)", "MEMORY(bytes)"]  # shares are called by version
    (name, cpu, share, memory, _), = rows
    assert name == "node-a"
    assert cores(cpu) >= BUSY_MIN and share.endswith("%") and mebibytes(memory) > 100


def test_the_objects_are_those_of_metrics_server(pods):
    answer = get(pods, f"/namespaces/{pods.namespace}/pods/busy")
    assert (answer["kind"], answer["apiVersion"]) == ("PodMetrics", "metrics.k8s.io/v1beta1")
    assert answer["metadata"] == {"name": "busy", "namespace": pods.namespace, "labels": {"app": "busy"},
                                  "creationTimestamp": answer["timestamp"]}
    assert sorted(answer) == ["apiVersion", "containers", "kind", "metadata", "timestamp", "window"]
    spin = next(container for container in answer["containers"] if container["name"] == "spin")
    assert sorted(spin["usage"]) == ["cpu", "memory"]
    assert float(answer["window"].removesuffix("s")) >= 1.2
    assert get(pods, "/nodes/node-a")["kind"] == "NodeMetrics"
    assert get(pods, f"/namespaces/{pods.namespace}/pods/none", 404)["reason"] == "NotFound"
    listed = get(pods, "/nodes")
    assert listed["kind"] == "NodeMetricsList" and [item["metadata"]["name"] for item in listed["items"]] == ["node-a"]


def test_kubectl_get_shows_a_table(pods):
    title, rows = table(pods.kubectl("get", "pods.metrics.k8s.io"))
    assert title == ["NAME", "CPU", "MEMORY", "WINDOW"]
    assert [row[0] for row in rows] == ["busy", "idle"]
    assert "NodeMetrics" in pods.plane.kubectl("api-resources", "--api-group", "metrics.k8s.io").stdout
    assert json.loads(pods.kubectl("get", "pod", "busy", "-o", "json"))["kind"] == "Pod"  # "pods" are still the core's


def test_a_watch_of_what_is_measured_is_refused(pods):
    assert get(pods, "/nodes?watch=1", 405)["reason"] == "MethodNotAllowed"
