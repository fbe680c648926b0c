"""The agent against a scripted runtime: failures, hangs and lost connections that a real one shows only by chance."""

import contextlib
import pathlib
import signal
import time

import pytest

import bed as beds
import fake_cri
from agent import condition, container_status, pod

IMAGE = "docker.io/library/busybox:1.36"
# gRPC's codes, as the fake sends and as Kubernetes prints them. One that gRPC does not know counts as Unknown.
CODES = {
    "CANCELLED": "Canceled", "UNKNOWN": "Unknown", "INVALID_ARGUMENT": "InvalidArgument",
    "DEADLINE_EXCEEDED": "DeadlineExceeded", "NOT_FOUND": "NotFound", "ALREADY_EXISTS": "AlreadyExists",
    "PERMISSION_DENIED": "PermissionDenied", "RESOURCE_EXHAUSTED": "ResourceExhausted",
    "FAILED_PRECONDITION": "FailedPrecondition", "ABORTED": "Aborted", "OUT_OF_RANGE": "OutOfRange",
    "UNIMPLEMENTED": "Unimplemented", "INTERNAL": "Internal", "UNAVAILABLE": "Unavailable", "DATA_LOSS": "DataLoss",
    "UNAUTHENTICATED": "Unauthenticated", 99: "Unknown"}
PROGRAM = pathlib.Path(fake_cri.__file__)


class FakeRuntime(fake_cri.FakeCri):
    """The scripted runtime inside a bed, so that the pids of its containers mean something to the agent."""

    def __init__(self, bed, directory, *arguments):
        self.bed = bed
        self.directory = directory
        self.socket = directory / "cri.sock"
        self.control = directory / "control.sock"
        directory.mkdir()
        self.process = bed.spawn("/usr/bin/python3", PROGRAM, "--socket", self.socket, "--control", self.control,
                                 "--messages", beds.CACHE, "--image", IMAGE, *arguments,
                                 output=directory / "fake.log")
        beds.wait_for("the fake runtime", self._is_up)

    def _is_up(self):
        assert self.process.is_running(), (self.directory / "fake.log").read_text()
        return self.control.exists() and self.socket.exists()

    def stop(self):
        self.process.kill(signal.SIGTERM)
        try:
            self.process.wait(10)
        finally:
            self.process.kill()

    def containers(self, state="CONTAINER_RUNNING"):
        """The containers in @state; proto3's zero value, CONTAINER_CREATED, is not shown by name."""
        return [c for c in self.do("state")["containers"] if c.get("state", "CONTAINER_CREATED") == state]

    def starts(self):
        """The ids of all containers whose start was ever asked for, in order."""
        return [call["request"]["container_id"] for call in self.calls("StartContainer")]


@pytest.fixture
def make_runtime(bed):
    """Makes fake runtimes: make_runtime("--processes"). They end with the test: before its agents, or after them when
    the test names this fixture first."""
    with contextlib.ExitStack() as stack:
        def make(*arguments):
            directory = bed.dir / f"fake-{time.monotonic_ns()}"
            return stack.enter_context(FakeRuntime(bed, directory, *arguments))

        yield make


@pytest.fixture
def runtime(make_runtime):
    return make_runtime()


@pytest.fixture
def make_fake_node(make_node):
    """Makes agents on a fake runtime, not yet started."""
    def make(fake):
        return make_node(config={"containerRuntimeEndpoint": f"unix://{fake.socket}"})

    return make


@pytest.fixture
def fake_node(make_fake_node, runtime):
    """A started agent on the fake runtime."""
    return make_fake_node(runtime).start()


def simple(name, image=IMAGE, **more):
    return pod(name, {"name": "c", "image": image, "command": ["sleep", "3600"], **more})


def waiting(found):
    """What the pod's container waits for; empty when it does not wait."""
    status = container_status(found)
    return (status or {}).get("state", {}).get("waiting", {})


def events_with(node, text):
    return [line for line in node.client("events").stdout.splitlines() if text in line]


def wait_event(node, text, timeout=30):
    """The first event that says so."""
    return beds.wait_for(f"the event {text!r}", lambda: events_with(node, text), timeout)[0]


def wait_restarted(node, name):
    """Well before the agent lists everything again, which it does every minute."""
    return node.wait_pod(name, "restarted", lambda p: container_status(p)["restartCount"] == 1
                         and condition(p, "Ready") == "True", timeout=30)


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "INTERNAL"])
def test_a_sandbox_that_fails_once_is_told_of_and_made_again(fake_node, runtime, code):
    runtime.do("fail", method="RunPodSandbox", code=code, message="no room at the moment")
    fake_node.apply("a.yaml", simple("a"))
    fake_node.wait_running("a")
    line = wait_event(fake_node, "Failed to create pod sandbox: ")
    assert "FailedCreatePodSandBox" in line and "no room at the moment" in line
    assert len(runtime.calls("RunPodSandbox")) == 2
    assert len(runtime.do("state")["sandboxes"]) == 1
    assert len(runtime.starts()) == 1


def test_a_container_whose_creation_hangs_holds_up_nobody_else(fake_node, runtime):
    runtime.do("hang", method="CreateContainer")
    fake_node.apply("slow.yaml", simple("slow"))
    beds.wait_for("the call that hangs", lambda: runtime.calls("CreateContainer"))
    for name in ("one", "two"):
        fake_node.apply(f"{name}.yaml", simple(name))
    beds.wait_for("everyone's turn", lambda: len(runtime.calls("CreateContainer")) == 3)
    assert fake_node.status()["runtime"]["ready"]
    assert not runtime.starts()
    runtime.do("release", method="CreateContainer")
    for name in ("slow", "one", "two"):
        fake_node.wait_running(name)
    assert len(runtime.starts()) == 3


def test_pods_with_containers_go_on_while_another_is_being_created(fake_node, runtime):
    """The pods that run are looked after (an exit is noticed) while a call of another one hangs."""
    fake_node.apply("a.yaml", simple("a"))
    fake_node.wait_running("a")
    runtime.do("hang", method="RunPodSandbox")
    fake_node.apply("slow.yaml", simple("slow"))
    beds.wait_for("the call that hangs", lambda: len(runtime.calls("RunPodSandbox")) == 2)
    runtime.do("exit", container=runtime.containers()[0]["id"], exit_code=3)
    wait_restarted(fake_node, "a")
    runtime.do("release", method="RunPodSandbox")
    fake_node.wait_running("slow")


def test_a_start_that_fails_shows_the_runtimes_message_and_is_tried_again(fake_node, runtime):
    runtime.do("fail", method="StartContainer", code="UNKNOWN", message="exec: no such file", times=1)
    fake_node.apply("a.yaml", simple("a"))
    found = fake_node.wait_pod("a", "RunContainerError", lambda p: waiting(p).get("reason") == "RunContainerError")
    assert "exec: no such file" in waiting(found)["message"]
    fake_node.wait_running("a", timeout=60)
    assert len(runtime.containers()) == 1


def refuse_with_every_code(node, runtime, method):
    """Starts a pod for each code, whose calls of @method fail with it: pod name → (message, Kubernetes' name)."""
    refused = {f"code-{str(code).lower().replace('_', '-')}": (code, f"no {method}, said {code}") for code in CODES}
    for name, (code, message) in refused.items():
        runtime.do("fail", method=method, code=code, message=message, times=0, pod=f"{name}-{beds.NODE_NAME}")
        node.apply(f"{name}.yaml", simple(name))
    return {name: (message, CODES[code]) for name, (code, message) in refused.items()}


def assert_all_recover(node, runtime, method, names):
    """Another pod runs all the while; with the errors gone each pod has one container that runs, in one sandbox."""
    node.apply("fine.yaml", simple("fine"))
    node.wait_running("fine")
    assert node.process.is_running() and node.status()["runtime"]["ready"]
    runtime.do("fail", method=method, code=None)
    for name in names:
        node.wait_running(name, timeout=60)
    state = runtime.do("state")
    everyone = sorted(f"{name}-{beds.NODE_NAME}" for name in [*names, "fine"])
    assert sorted(s["metadata"]["name"] for s in state["sandboxes"]) == everyone
    assert sorted(c["labels"]["io.kubernetes.pod.name"] for c in runtime.containers()) == everyone
    assert not node.log_lines("^F")


def test_a_start_may_fail_with_any_code(fake_node, runtime):
    """The pod's status has the runtime's message, without the code: so does a kubelet."""
    refused = refuse_with_every_code(fake_node, runtime, "StartContainer")
    for name, (message, _) in refused.items():
        found = fake_node.wait_pod(name, "RunContainerError", lambda p: waiting(p).get("reason") == "RunContainerError")
        assert waiting(found)["message"] == message
        assert found["status"]["phase"] == "Pending"
        assert f"Error: {message}" in wait_event(fake_node, message)
    assert_all_recover(fake_node, runtime, "StartContainer", refused)


def test_a_sandbox_may_fail_with_any_code(fake_node, runtime):
    """The pod's containers wait as if nothing were wrong, its events tell: so does a kubelet."""
    refused = refuse_with_every_code(fake_node, runtime, "RunPodSandbox")
    for name, (message, _) in refused.items():
        line = wait_event(fake_node, message)
        assert "FailedCreatePodSandBox" in line and f"{name}-{beds.NODE_NAME}" in line
        found = fake_node.pod(name)
        assert found["status"]["phase"] == "Pending"
        assert waiting(found) == {"reason": "ContainerCreating"}
    assert_all_recover(fake_node, runtime, "RunPodSandbox", refused)
    assert len(runtime.starts()) == len(refused) + 1


def test_a_refused_sandbox_is_told_of_with_its_code(fake_node, runtime):
    refused = refuse_with_every_code(fake_node, runtime, "RunPodSandbox")
    for message, code in refused.values():
        line = wait_event(fake_node, message)
        assert f"Failed to create pod sandbox: rpc error: code = {code} desc = {message}" in line


def test_a_runtime_that_went_and_came_back_starts_nothing_twice(fake_node, runtime):
    fake_node.apply("a.yaml", simple("a"))
    fake_node.wait_running("a")
    runtime.do("down")
    # A runtime is down when it has not answered for 30 s.
    beds.wait_for("NotReady runtime", lambda: not fake_node.status()["runtime"]["ready"], timeout=90)
    fake_node.apply("b.yaml", simple("b"))
    runtime.do("up")
    fake_node.wait_running("b", timeout=60)
    assert container_status(fake_node.wait_running("a"))["restartCount"] == 0
    assert len(runtime.starts()) == len(set(runtime.starts())) == 2
    beds.wait_for("a new stream of events", lambda: runtime.do("state")["event_streams"] == 1)
    first = runtime.starts()[0]
    runtime.do("exit", container=first, exit_code=1)
    wait_restarted(fake_node, "a")


@pytest.mark.parametrize("method", ["RunPodSandbox", "CreateContainer", "StartContainer"])
def test_a_connection_lost_in_the_middle_of_a_start_leaves_one_container(fake_node, runtime, method):
    runtime.do("hang", method=method)
    fake_node.apply("a.yaml", simple("a"))
    beds.wait_for("the call in flight", lambda: runtime.calls(method))
    runtime.do("down")
    runtime.do("release", method=method)
    runtime.do("up")
    fake_node.wait_running("a", timeout=60)
    assert len(runtime.containers()) == 1
    ready = [s for s in runtime.do("state")["sandboxes"] if s.get("state", "SANDBOX_READY") == "SANDBOX_READY"]
    assert len(ready) == 1


def test_an_exit_without_its_event_is_noticed_by_the_process(make_runtime, make_fake_node):
    runtime = make_runtime("--processes")
    node = make_fake_node(runtime).start()
    node.apply("a.yaml", simple("a"))
    node.wait_running("a")
    runtime.do("events", on=False)
    beds.wait_for("no streams", lambda: runtime.do("state")["event_streams"] == 0)
    node.bed.run("kill", "-KILL", runtime.containers()[0]["pid"])
    found = wait_restarted(node, "a")
    assert container_status(found)["lastState"]["terminated"]["exitCode"] == 137


def test_a_lost_event_is_made_up_for_by_the_process(make_runtime, make_fake_node):
    runtime = make_runtime("--processes")
    node = make_fake_node(runtime).start()
    node.apply("a.yaml", simple("a"))
    node.wait_running("a")
    runtime.do("lose_events", count=1)
    node.bed.run("kill", "-KILL", runtime.containers()[0]["pid"])
    wait_restarted(node, "a")


def test_an_exit_is_noticed_by_its_event_alone(fake_node, runtime):
    """The runtime tells no pids, so that only the event can say it."""
    runtime.do("set", name="verbose_pid", value=False)
    fake_node.apply("a.yaml", simple("a"))
    fake_node.wait_running("a")
    runtime.do("exit", container=runtime.containers()[0]["id"], exit_code=5)
    found = wait_restarted(fake_node, "a")
    assert container_status(found)["lastState"]["terminated"]["exitCode"] == 5


def test_an_event_that_dribbles_holds_up_nobody(make_runtime, make_fake_node):
    """An event stops halfway. Other streams of the same connection go on; with its rest the event counts."""
    runtime = make_runtime("--slow-wire")
    runtime.do("set", name="verbose_pid", value=False)  # so that only events tell
    node = make_fake_node(runtime).start()
    node.apply("a.yaml", simple("a"))
    node.wait_running("a")
    runtime.do("dribble", method="GetContainerEvents", hold=100)
    runtime.do("exit", container=runtime.containers()[0]["id"], exit_code=5)
    beds.wait_for("half an event", lambda: runtime.do("state")["held"] == 1)
    node.apply("b.yaml", simple("b"))
    node.wait_running("b")
    assert node.status()["runtime"]["ready"]
    assert container_status(node.pod("a"))["restartCount"] == 0
    runtime.do("flow", method="GetContainerEvents")
    found = wait_restarted(node, "a")
    assert container_status(found)["lastState"]["terminated"]["exitCode"] == 5
    assert runtime.do("state")["event_streams"] == 1
    assert len(runtime.calls("GetContainerEvents")) == 1


def test_a_list_that_dribbles_holds_up_nobody(make_runtime, make_fake_node):
    """The list after a broken stream of events stops halfway. Once it is whole, it tells what no event did."""
    runtime = make_runtime("--slow-wire")
    runtime.do("set", name="verbose_pid", value=False)
    node = make_fake_node(runtime).start()
    node.apply("a.yaml", simple("a"))
    node.wait_running("a")
    runtime.do("lose_events", count=1)
    runtime.do("exit", container=runtime.containers()[0]["id"], exit_code=5)
    runtime.do("dribble", method="ListContainers", hold=100)
    runtime.do("end_events")
    beds.wait_for("half a list", lambda: runtime.do("state")["held"] == 1)
    node.apply("b.yaml", simple("b"))
    node.wait_running("b")
    assert node.status()["runtime"]["ready"]
    assert container_status(node.pod("a"))["restartCount"] == 0
    runtime.do("flow", method="ListContainers")
    found = wait_restarted(node, "a")
    assert container_status(found)["lastState"]["terminated"]["exitCode"] == 5
    assert len(runtime.starts()) == len(set(runtime.starts())) == 3


def test_a_list_beyond_what_is_taken_is_logged_and_got_over(make_fake_node, runtime):
    runtime.do("grow", method="ListContainers", bytes=17 << 20)
    node = make_fake_node(runtime)
    node.apply("a.yaml", simple("a"))
    node.start()
    beds.wait_for("the refusal in the log", lambda: node.log_lines("larger than max"))
    assert node.status() and node.pods()
    assert not runtime.starts()
    runtime.do("grow", method="ListContainers", bytes=0)
    node.wait_running("a", timeout=60)
    assert len(runtime.starts()) == 1


def test_a_pod_waits_for_the_runtimes_network(make_fake_node, runtime):
    runtime.do("status", ready=True, network=False)
    node = make_fake_node(runtime)
    node.apply("a.yaml", simple("a"))
    node.start()
    wait_event(node, "network is not ready: container runtime network not ready: NetworkReady=false")
    # A pod of the host's network needs none; once it runs, the other had its turn, too.
    node.apply("host.yaml", pod("host", {"name": "c", "image": IMAGE}, hostNetwork=True))
    node.wait_running("host")
    asked = [call["request"]["config"]["metadata"]["name"] for call in runtime.calls("RunPodSandbox")]
    assert asked == [f"host-{beds.NODE_NAME}"]
    runtime.do("status", ready=True, network=True)
    node.wait_running("a")


def test_an_image_that_cannot_be_looked_at_shows_so(fake_node, runtime):
    runtime.do("fail", method="ImageStatus", code="UNKNOWN", message="image store is broken", times=0)
    fake_node.apply("a.yaml", simple("a"))
    found = fake_node.wait_pod("a", "ImageInspectError", lambda p: waiting(p).get("reason") == "ImageInspectError")
    assert "image store is broken" in waiting(found)["message"]
    runtime.do("fail", method="ImageStatus", code=None)
    fake_node.wait_running("a", timeout=60)


def test_an_image_that_cannot_be_pulled_is_told_of_then_backed_off_from(fake_node, runtime):
    runtime.do("fail", method="PullImage", code="NOT_FOUND", message="no such manifest", times=1)
    fake_node.apply("a.yaml", simple("a", image="registry.example/a:1"))
    wait_event(fake_node, "Error: ErrImagePull")  # as a reason it is there for a second only
    found = fake_node.wait_pod("a", "ImagePullBackOff", lambda p: waiting(p).get("reason") == "ImagePullBackOff")
    assert waiting(found)["message"] == (
        'Back-off pulling image "registry.example/a:1": ErrImagePull: rpc error: code = NotFound desc = no such manifest')
    assert len(runtime.calls("PullImage")) == 1
    fake_node.wait_running("a", timeout=60)
    assert len(runtime.calls("PullImage")) == 2
