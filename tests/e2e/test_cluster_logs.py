"""Container logs as people read them: every flag of `kubectl logs`, followers through rotations and ends, and what the
node's own API says when there is nothing to show."""

import contextlib
import datetime
import pathlib
import re
import threading
import time

import pytest

import agent as agents
import bed as beds
import node_wire
import stream_peers
from node_wire import query
from stream_peers import digest

NAMESPACE = "logs"
# By hand, so that every byte is known; the third line is one that the runtime has split.
LINES = """2020-01-01T00:00:00.000000000Z stdout F old
2022-02-02T10:00:00.5Z stderr F err
2022-02-02T10:00:01.000000001Z stdout P split 
2022-02-02T10:00:01.000000002Z stdout F line
{now} stdout F new
"""
TEXT = "old\nerr\nsplit line\nnew\n"
FOLLOWERS = 20


@pytest.fixture(scope="module")
def pods(cluster):
    """What can be read of: "web" with a container that says what it is told to, and one whose log is written by hand;
    "again", which was restarted once, "over", which has ended, and "never", whose image there is not."""
    cluster.create({"kind": "Namespace", "metadata": {"name": NAMESPACE}})
    cluster.namespace = NAMESPACE
    labels = {"labels": {"app": "x"}}
    restart = "if [ -e /state/x ]; then echo second; sleep 3600 & wait; fi; touch /state/x; echo first; exit 1"
    cluster.create(
        agents.pod("web", container("c", agents.SLEEP), container("hand", agents.SLEEP),
                   container("b", "echo b; " + agents.SLEEP), metadata=labels),
        agents.pod("again", container("c", restart, volumeMounts=[{"name": "state", "mountPath": "/state"}]),
                   volumes=[{"name": "state", "emptyDir": {}}]),
        agents.pod("over", container("c", "echo one; echo two; exit 3"), restartPolicy="Never", metadata=labels),
        agents.pod("never", {**container("c", "true"), "image": "example.org/none:1"}))
    found = {"web": cluster.wait_running("web"), "over": cluster.wait_phase("over", "Failed"),
             "again": cluster.wait_pod("again", "restarted", was_restarted),
             "never": cluster.wait_pod("never", "refused", is_waiting)}
    write_log(cluster, found["web"])
    yield found
    code, answer = cluster.request("DELETE", cluster.path("pods"), {"gracePeriodSeconds": 0})
    assert code == 200, answer
    cluster.delete("namespaces", NAMESPACE)
    cluster.namespace = "default"


def container(name, script, **more):
    return agents.shell(name, script, imagePullPolicy="Never", **more)


def was_restarted(pod):
    status = agents.container_status(pod) or {}
    return status.get("restartCount") == 1 and "running" in status["state"]


def is_waiting(pod):
    status = agents.container_status(pod) or {"state": {}}
    return status["state"].get("waiting", {}).get("reason") == "ErrImageNeverPull"


def log_path(cluster, pod, name, number=0):
    return cluster.node.pod_log_dir(pod) / name / f"{number}.log"


def write_log(cluster, pod):
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    log_path(cluster, pod, "hand").write_text(LINES.format(now=now))


@pytest.fixture(scope="module")
def node(cluster, pods):
    with contextlib.closing(node_wire.Node(cluster)) as made:
        with follow(made, "web", "b"):  # with the first follower comes a descriptor that stays
            pass
        yield made


def follow(node, pod, name):
    """A connection on which the log is followed, once the first is heard."""
    connection = node.connect()
    node_wire.send_head(connection, "GET", logs_path(pod, name, follow=1), [])
    said = b""
    while b"\r\n\r\n" not in said or not said.endswith(b"\n\r\n"):
        said += connection.recv(4096)
    return connection


@pytest.fixture
def kubectl(cluster, node):
    return stream_peers.Kubectl(cluster.plane, "spdy", NAMESPACE)


@pytest.fixture(autouse=True)
def nothing_is_left_open(cluster, node):
    """After each test the agent holds no more descriptors than before."""
    with stream_peers.nothing_left_open(cluster.node):
        yield


def log(kubectl, *arguments, code=0):
    out, err = kubectl.run("logs", *arguments, code=code)
    return err if code else out.decode()


# flags

@pytest.mark.parametrize("flags, text", [
    ([], TEXT), (["--tail=2"], "line\nnew\n"), (["--tail=3"], "split line\nnew\n"), (["--tail=0"], ""), (["--tail=-1"], TEXT),
    (["--limit-bytes=6"], "old\ner"), (["--since=1h"], "new\n"), (["--since-time=2022-02-02T10:00:01Z"], "split line\nnew\n"),
    (["--since-time=2022-02-02T10:00:00+01:00"], "err\nsplit line\nnew\n"), (["--since-time=2100-01-01T00:00:00Z"], ""),
    (["--tail=3", "--limit-bytes=3"], "spl"), (["--tail=3", "--since=1h"], "new\n")],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_what_is_shown(kubectl, flags, text):
    """Lines are counted as they are in the file, where one may be in pieces."""
    assert log(kubectl, "web", "-c", "hand", *flags) == text


def test_timestamps_are_the_runtime_s(kubectl):
    lines = log(kubectl, "web", "-c", "hand", "--timestamps", "--tail=4").splitlines()
    assert lines[:-1] == ["2022-02-02T10:00:00.500000000Z err", "2022-02-02T10:00:01.000000001Z split line"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z new", lines[-1])


def test_previous_is_the_instance_before(kubectl):
    assert log(kubectl, "again") == "second\n"
    assert log(kubectl, "again", "--previous") == "first\n"
    assert log(kubectl, "web", "-c", "c", "--previous", code=1).strip() == \
        'Error from server (BadRequest): previous terminated container "c" in pod "web" not found'


def test_all_containers_of_all_pods_with_a_label(kubectl):
    hand = [f"[pod/web/hand] {line}" for line in TEXT.splitlines()]
    found = log(kubectl, "web", "--all-containers", "--prefix").splitlines()
    assert sorted(found) == sorted([*hand, "[pod/web/b] b"])
    found = log(kubectl, "-l", "app=x", "--all-containers", "--prefix", "--tail=-1").splitlines()
    assert sorted(found) == sorted([*hand, "[pod/web/b] b", "[pod/over/c] one", "[pod/over/c] two"])


def test_a_large_log_arrives_whole(cluster, kubectl, pods):
    count = 400_000
    path = log_path(cluster, pods["web"], "hand")
    try:
        with open(path, "w") as file:
            file.writelines(f"2022-02-02T10:00:00.{i:09}Z stdout F this is line number {i:09}\n" for i in range(count))
        out, _ = kubectl.run("logs", "web", "-c", "hand")
        assert digest(out) == digest("".join(f"this is line number {i:09}\n" for i in range(count)).encode())
        assert log(kubectl, "web", "-c", "hand", "--tail=1") == f"this is line number {count - 1:09}\n"
    finally:
        write_log(cluster, pods["web"])


# followers

def say(cluster, pod, *words, name="c"):
    """Lets the container say so on its standard output."""
    script = "for word; do echo $word; done >/proc/1/fd/1"
    cluster.bed.cri.exec(cluster.node.container(pod, name), "sh", "-c", script, "sh", *words)


@contextlib.contextmanager
def follower(kubectl, *arguments):
    """kubectl, which ends in any case after a while, so that whoever reads from it does."""
    with kubectl.start("logs", "-f", *arguments) as process:
        limit = threading.Timer(60, process.kill)
        limit.start()
        try:
            yield process
        finally:
            limit.cancel()
            process.kill()


def test_a_follower_hears_what_is_said_until_it_leaves(cluster, kubectl, pods):
    say(cluster, pods["web"], "before", "last")
    with follower(kubectl, "web", "-c", "c", "--tail=1") as process:
        assert process.stdout.readline() == b"last\n"
        for i in range(3):
            say(cluster, pods["web"], f"word-{i}")
            assert process.stdout.readline() == b"word-%d\n" % i


def test_a_follower_misses_nothing_in_a_rotation(cluster, kubectl, pods):
    """As the agent that rotates does it: rename, and have the runtime open the log anew."""
    path, target = log_path(cluster, pods["web"], "c"), cluster.node.container(pods["web"], "c")
    say(cluster, pods["web"], "begin")
    with follower(kubectl, "web", "-c", "c", "--tail=1") as process:
        assert process.stdout.readline() == b"begin\n"
        for turn in range(3):
            said = [*(f"{turn}-{i}" for i in range(100)), "between", "behind"]
            say(cluster, pods["web"], *said[:-2])
            path.rename(path.with_suffix(f".log.{turn}"))
            say(cluster, pods["web"], said[-2])  # still into the old file
            cluster.bed.cri.call("ReopenContainerLog", container_id=target)
            say(cluster, pods["web"], said[-1])
            assert [process.stdout.readline().decode().strip() for _ in said] == said


def test_a_follower_ends_with_its_container(cluster, kubectl):
    """All that was logged is heard, and nothing of the next instance. It is for the log to say what that is:
    containerd 1.6 loses some of what a container says in its last moment."""
    script = "echo begins; until [ -e /go ]; do sleep 0.05; done; seq 20000; exit 1"
    cluster.create(agents.pod("ends", container("c", script)))
    pod = cluster.wait_running("ends")
    with follower(kubectl, "ends") as process:
        assert process.stdout.readline() == b"begins\n"
        cluster.bed.cri.exec(cluster.node.container(pod), "touch", "/go")
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    cluster.wait_pod("ends", "restarted", was_restarted)
    assert "begins\n" + out.decode() == log(kubectl, "ends", "--previous")
    cluster.delete("pods", "ends", gracePeriodSeconds=0)
    cluster.wait_gone("ends")


def test_a_follower_of_what_has_ended_ends(kubectl):
    assert log(kubectl, "over", "-f") == "one\ntwo\n"


def test_a_follower_ends_with_its_pod(cluster, kubectl):
    cluster.create(agents.pod("goes", container("c", "echo begins; " + agents.SLEEP)))
    cluster.wait_running("goes")
    with follower(kubectl, "goes") as process:
        assert process.stdout.readline() == b"begins\n"
        cluster.delete("pods", "goes", gracePeriodSeconds=1)
        out, _ = process.communicate(timeout=30)
    assert out == b""
    cluster.wait_gone("goes")


def wakes(cluster):
    """How often the agent's loop has slept so far."""
    text = pathlib.Path(f"/proc/{cluster.node.process.pid}/status").read_text()
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.MULTILINE)[1])


def cpu_ticks(cluster):
    fields = pathlib.Path(f"/proc/{cluster.node.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_followers_cost_nothing_while_nothing_is_said(cluster, node):
    with contextlib.ExitStack() as ends:
        for _ in range(FOLLOWERS):
            ends.enter_context(follow(node, "web", "b"))
        def is_quiet():
            """For three seconds. If each follower looked once a second, the agent woke 60 times in any three of them."""
            wakes_before, ticks_before = wakes(cluster), cpu_ticks(cluster)
            time.sleep(3)
            return wakes(cluster) - wakes_before < 2 * FOLLOWERS and cpu_ticks(cluster) - ticks_before <= 2
        beds.wait_for("an agent that sleeps, once what the opening has stirred up is over", is_quiet)


# what is answered

def logs_path(pod, name, **parameters):
    return f"/containerLogs/{NAMESPACE}/{pod}/{name}" + query(**parameters)


@pytest.mark.parametrize("path, code, body", [
    (logs_path("none", "c"), 404, 'pod "none" does not exist'),
    (logs_path("web", "none"), 404, 'container "none" not found in pod "web"'),
    (logs_path("web", "c", tailLines="x"), 400, '{"message": "Unable to decode query."}'),
    (logs_path("web", "c", sinceTime="yesterday"), 400, '{"message": "Unable to decode query."}'),
    (logs_path("web", "c", tailLines=-1), 422, '{"message": "Invalid request."}'),
    (logs_path("web", "c", limitBytes=0), 422, '{"message": "Invalid request."}'),
    (logs_path("web", "c", sinceSeconds=0), 422, '{"message": "Invalid request."}'),
    (logs_path("web", "c", sinceSeconds=1, sinceTime="2022-02-02T10:00:00Z"), 422, '{"message": "Invalid request."}'),
    (logs_path("web", "c", stream="Stdin"), 422, '{"message": "Invalid request."}')])
def test_a_log_that_is_not_asked_for_rightly(node, path, code, body):
    answer = node.get(path)
    assert (answer.status, answer.body.decode()) == (code, body)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-length"] == str(len(body))


@pytest.mark.parametrize("path, body", [
    (logs_path("web", "c", previous="true"), 'previous terminated container "c" in pod "web" not found'),
    (logs_path("never", "c"), 'container "c" in pod "never" is waiting to start: ErrImageNeverPull')])
def test_a_log_that_is_not_there(node, path, body):
    answer = node.get(path)
    assert (answer.status, answer.body.decode(), answer.headers["transfer-encoding"]) == (400, body, "chunked")


def test_a_log_comes_in_chunks_and_has_no_type(node):
    answer = node.get(logs_path("web", "hand", tailLines=2, stream="All"))
    assert (answer.status, answer.body) == (200, b"line\nnew\n")
    assert answer.headers["transfer-encoding"] == "chunked" and "content-type" not in answer.headers


def test_a_file_that_was_lost_is_told_in_the_log(cluster, node, pods):
    path = log_path(cluster, pods["web"], "b")
    aside = path.with_suffix(".aside")
    path.rename(aside)
    try:
        answer = node.get(logs_path("web", "b"))
    finally:
        aside.rename(path)
    assert answer.status == 200
    assert answer.body.decode().startswith("failed to try resolving symlinks in path ")


def test_other_methods_are_refused(node):
    answer = node.request("POST", logs_path("web", "c"))
    assert (answer.status, answer.headers["allow"], answer.body) == (405, "GET", b"405: Method Not Allowed")
