"""Rotation of container logs by a real agent on a real runtime: what a follower hears of a pod that talks a lot, which
files there are then, and what becomes of them with their container."""

import contextlib
import gzip
import itertools
import os
import re
import subprocess
import threading
import time

import agent as agents
import bed as beds
import children
import pytest
from agent import SLEEP, pod, shell

MAX_BYTES = 64 << 10
MAX_FILES = 4
INTERVAL_S = 3  # the shortest there may be
CONFIG = {"containerLogMaxSize": f"{MAX_BYTES >> 10}Ki", "containerLogMaxFiles": MAX_FILES,
          "containerLogMonitorInterval": f"{INTERVAL_S}s"}
# A line has some 60 bytes, and the runtime adds 40: the limit is reached long before the next look.
WORDS = "these words are here to make the line longer"
TALK = ("i=0; while [ ! -e /quiet ]; do n=0; while [ $n -lt 100 ]; do "
        f"i=$((i+1)); echo $i {WORDS}; n=$((n+1)); done; sleep 0.05; done; " + SLEEP)
ROTATED = re.compile(r"0\.log\.\d{8}-\d{6}(\.gz)?")


def names(folder):
    return sorted(os.listdir(folder))


def log_folder(node, made, container="c"):
    return node.pod_log_dir(made) / container


def wait_rotations(folder, count, timeout=60):
    """Waits until so many rotations were seen; returns the names of the files they made."""
    seen = set()

    def probe():
        seen.update(name.removesuffix(".gz") for name in names(folder) if ROTATED.fullmatch(name))
        return len(seen) >= count
    beds.wait_for(f"{count} rotations in {folder}", probe, timeout)
    return seen


@contextlib.contextmanager
def follower(node, name):
    """`cubelet logs -f`, ended after a while in any case."""
    with children.Child(node.client_command("logs", "-f", name), stdout=subprocess.PIPE) as process:
        limit = threading.Timer(120, process.kill)
        limit.start()
        try:
            yield process
        finally:
            limit.cancel()
            process.kill()


def number_of(line):
    number, _, words = line.decode().partition(" ")
    assert words == WORDS + "\n", line
    return int(number)


def text_of(path):
    """The lines the container said, as they are in one file of its log."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return b"".join(line.split(b" ", 3)[3] for line in data.splitlines(keepends=True))


def test_a_follower_hears_each_line_once_over_rotations(make_node):
    node = make_node(CONFIG)
    node.apply("talk.yaml", pod("talk", shell("c", TALK)))
    node.start()
    made = node.wait_running("talk")
    folder = log_folder(node, made)
    with follower(node, "talk") as process:
        rotations = []
        watcher = threading.Thread(target=lambda: rotations.append(wait_rotations(folder, 5)))
        watcher.start()
        heard = itertools.count(1)
        while watcher.is_alive():
            for _ in range(100):
                assert number_of(process.stdout.readline()) == next(heard)
        watcher.join()
        # And some that were said after the last rotation.
        for _ in range(2000):
            assert number_of(process.stdout.readline()) == next(heard)
    assert rotations, "there was no rotation"


def test_files_are_named_and_kept_as_upstream_does(make_node):
    """The log, the newest rotated one as it is, and compressed ones up to the most there may be; together they are all
    that was said since the oldest."""
    node = make_node(CONFIG)
    node.apply("talk.yaml", pod("talk", shell("c", TALK)))
    node.start()
    made = node.wait_running("talk")
    folder = log_folder(node, made)
    seen = wait_rotations(folder, MAX_FILES + 1)
    node.exec(made, "touch", "/quiet")

    def is_settled():
        there = names(folder)
        return len(there) == MAX_FILES and "0.log" in there and (folder / "0.log").stat().st_size < MAX_BYTES
    beds.wait_for("the last rotation", is_settled)
    node.stop()
    there = names(folder)
    rotated = sorted(name for name in there if ROTATED.fullmatch(name))
    assert there == ["0.log", *rotated], there
    assert [name.endswith(".gz") for name in rotated] == [True] * (MAX_FILES - 2) + [False]
    assert {name.removesuffix(".gz") for name in rotated} <= seen | {rotated[-1]}
    stamp = time.strptime(rotated[-1], "0.log.%Y%m%d-%H%M%S")
    assert abs(time.mktime(stamp) - time.time()) < 60, "not the local time"
    for name in rotated[:-1]:
        assert (folder / name).stat().st_mode == (folder / rotated[-1]).stat().st_mode
    lines = b"".join(text_of(folder / name) for name in [*rotated, "0.log"]).splitlines(keepends=True)
    numbers = [number_of(line) for line in lines if line.endswith(b"\n")]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert numbers[0] > 1, "nothing was deleted"


def test_a_log_that_was_lost_is_opened_anew(make_node):
    node = make_node(CONFIG)
    node.apply("quiet.yaml", pod("quiet", shell("c", "echo begins; " + SLEEP)))
    node.start()
    made = node.wait_running("quiet")
    path = log_folder(node, made) / "0.log"
    path.unlink()
    beds.wait_for("a new log", path.exists, timeout=4 * INTERVAL_S)
    node.bed.cri.exec(node.container(made), "sh", "-c", "echo again >/proc/1/fd/1")
    beds.wait_for("what was said then", lambda: node.logs("quiet") == "again\n")


@pytest.mark.parametrize("size, is_kept", [("64Ki", False), ("-1", True)])
def test_logs_go_with_their_container_unless_they_are_kept(make_node, size, is_kept):
    node = make_node({**CONFIG, "containerLogMaxSize": size})
    node.apply("again.yaml", pod("again", shell("c", f"seq 20000; {SLEEP}")))
    node.start()
    made = node.wait_running("again")
    folder = log_folder(node, made)
    if is_kept:
        beds.wait_for("a large log", lambda: (folder / "0.log").stat().st_size > MAX_BYTES)
    else:
        wait_rotations(folder, 1)
    for count in (1, 2):
        node.bed.cri.call("StopContainer", container_id=node.container(made))
        made = node.wait_pod("again", f"restarted {count} times", lambda p, count=count: was_restarted(p, count), 60)
    beds.wait_for("the end of the first instance", lambda: len(node.bed.cri.containers(made["metadata"]["uid"])) == 2)
    of_first = [name for name in names(folder) if name.startswith("0.log")]
    assert of_first == (["0.log"] if is_kept else [])
    node.remove("again.yaml")
    node.wait_gone("again")
    assert not node.pod_log_dir(made).exists()


def was_restarted(made, count):
    status = agents.container_status(made) or {"state": {}}
    return status.get("restartCount") == count and "running" in status["state"]
