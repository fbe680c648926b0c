"""Fixtures: one bed (host) for the whole session, and an agent with a clean node for each test."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import agent as agents  # noqa: E402
import bed as beds  # noqa: E402


@pytest.fixture(scope="session")
def bed():
    with beds.Bed() as host:
        yield host.start()


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


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    if report.when == "call":
        item.failed = report.failed
