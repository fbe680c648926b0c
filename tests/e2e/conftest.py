"""Fixtures: one bed (host) for the whole session and an agent with a clean node for each test; one nodeplane, and where
there is one a kube-apiserver, for the tests of the API; and a cluster of one node for each module of test_cluster_*.py."""

import pathlib
import signal
import sys
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import agent as agents  # noqa: E402
import apiserver as apiservers  # noqa: E402
import bed as beds  # noqa: E402
import cluster as clusters  # noqa: E402
import plane as planes  # noqa: E402


@pytest.fixture(scope="session")
def bed():
    with beds.Bed() as host:
        host.start()
        know_itself(host)
        yield host


def know_itself(host):
    """Lets the host find its own name, as any machine does; no name server answers there, and asking takes seconds."""
    hosts = host.dir / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{beds.NODE_IP} {beds.NODE_NAME}\n")
    host.run("mount", "--bind", hosts, "/etc/hosts")


@pytest.fixture
def make_node(bed, request):
    """Makes agents, not yet started: make_node(config={…}, flags=[…]). Each is ended with its pods afterwards."""
    made = []

    def make(config=None, flags=()):
        made.append(agents.Agent(bed, config, flags))
        return made[-1]

    yield make
    for node in made:
        if getattr(request.node, "failed", False):
            print(f"\n--- the log of {node.name}'s cubelet ---\n{node.log_tail(200)}")
        if node.process is not None and node.process.is_running():
            node.process.kill()
            node.process.wait()
    bed.cri.remove_all()
    for node in made:
        beds.remove_cgroup(node.cgroup_root)


@pytest.fixture
def node(make_node):
    """A started agent on an empty node."""
    return make_node().start()


@pytest.fixture(scope="session")
def plane(tmp_path_factory):
    """One nodeplane for all tests that only need one. What it logs of sanitizers fails the session's last test."""
    server = planes.Plane(tmp_path_factory.mktemp("plane") / "data", "--unsafe-no-fsync").start()
    yield server
    assert server.stop() == 0, server.log()[-4000:]


@pytest.fixture
def make_plane(tmp_path):
    """Makes nodeplanes of one's own, not yet started: make_plane(*flags). Each is ended afterwards."""
    made = []

    def make(*flags, directory=None):
        made.append(planes.Plane(directory or tmp_path / f"plane-{len(made)}", *flags))
        return made[-1]

    yield make
    for server in made:
        server.stop(signal.SIGKILL)


@pytest.fixture(scope="session")
def kube_apiserver(tmp_path_factory):
    """The real thing, where KUBEBUILDER_ASSETS names a folder with kube-apiserver and etcd."""
    if not apiservers.ASSETS:
        pytest.skip("KUBEBUILDER_ASSETS names no kube-apiserver")
    server = apiservers.KubeApiserver(tmp_path_factory.mktemp("kube-apiserver")).start()
    yield server
    server.stop()


@pytest.fixture(params=["nodeplane", "kube-apiserver"])
def api(request):
    """What must be true of any Kubernetes API: the same case for nodeplane and for the real one."""
    return request.getfixturevalue("plane" if request.param == "nodeplane" else "kube_apiserver")


@pytest.fixture
def namespace(api):
    """A namespace of the test's own at `api`."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    code, answer = api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    assert code == 201, answer
    yield name
    api.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="module", params=list(clusters.SERVERS))
def cluster(bed, request):
    """One node with its API for the tests of a module; the real kube-apiserver only where there is one."""
    if request.param == "kube-apiserver" and not apiservers.ASSETS:
        pytest.skip("KUBEBUILDER_ASSETS names no kube-apiserver")
    made = clusters.Cluster(bed, server=request.param)
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture
def space(cluster, request):
    """The module's cluster, whose namespace is one of the test's own. Its pods end with the test."""
    cluster.namespace = f"test-{uuid.uuid4().hex[:8]}"
    cluster.create({"kind": "Namespace", "metadata": {"name": cluster.namespace}})
    yield cluster
    if getattr(request.node, "failed", False):
        print(f"\n--- the log of {cluster.node.name}'s cubelet ---\n{cluster.node.log_tail(200)}")
    code, answer = cluster.request("DELETE", cluster.path("pods"), {"gracePeriodSeconds": 0})
    assert code == 200, answer
    cluster.delete("namespaces", cluster.namespace)
    cluster.namespace = "default"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    if report.when == "call":
        item.failed = report.failed
