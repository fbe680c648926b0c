"""What was acknowledged stays: across kill -9 at any moment, a full disk, and a second process."""

import concurrent.futures
import http.client
import json
import os
import random
import signal
import subprocess
import threading
import time

import pytest

import plane as planes

MAPS = "/api/v1/namespaces/default/configmaps"


class Writer:
    """One connection on which objects are written as fast as they are acknowledged; remembers which were."""

    def __init__(self, plane, number):
        self.plane, self.number = plane, number
        self.acknowledged = {}  # name: turn
        self.attempted = {}

    def run(self):
        connection = self.plane.connection()
        try:
            for turn in range(100_000):
                name = f"w{self.number}-{turn % 7}"
                method, path = ("PUT", f"{MAPS}/{name}") if name in self.acknowledged else ("POST", MAPS)
                self.attempted[name] = turn
                body = json.dumps({"metadata": {"name": name}, "data": {"turn": str(turn)}})
                connection.request(method, path, body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                if answer.status in (200, 201):
                    self.acknowledged[name] = turn
                elif answer.status != 409:  # it was written the last time, unheard
                    raise AssertionError(f"{method} {path}: {answer.status}")
                else:
                    self.acknowledged[name] = -1
        except (OSError, http.client.HTTPException):
            pass  # the server is gone


@pytest.mark.parametrize("flags", [(), ("--unsafe-no-fsync",)], ids=["synced", "unsynced"])
def test_kill_loses_nothing_acknowledged(make_plane, flags):
    plane = make_plane(*flags).start()
    chance = random.Random(7)
    for _ in range(6):
        writers = [Writer(plane, number) for number in range(4)]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            running = [pool.submit(writer.run) for writer in writers]
            time.sleep(chance.uniform(0.05, 0.5))
            plane.stop(signal.SIGKILL)
            for future in running:
                future.result()
        plane.start()
        there = {item["metadata"]["name"]: int(item["data"]["turn"]) for item in plane.request("GET", MAPS)[1]["items"]
                 if item["metadata"]["name"].startswith("w")}
        for writer in writers:
            for name, turn in writer.acknowledged.items():
                assert name in there, f"{name} was acknowledged and is lost"
                assert turn <= there[name] <= max(writer.attempted[name], there[name] if turn < 0 else 0), name
    assert sum(len(writer.acknowledged) for writer in writers) > 0
    assert plane.stop() == 0


def test_versions_only_grow_across_a_kill(make_plane):
    plane = make_plane("--unsafe-no-fsync").start()
    last = 0
    for turn in range(3):
        code, answer = plane.request("POST", MAPS, {"metadata": {"name": f"a{turn}"}})
        assert code == 201
        version = int(answer["metadata"]["resourceVersion"])
        assert version > last
        last = version
        assert plane.request("DELETE", f"{MAPS}/a{turn}")[0] == 200
        plane.restart(signal.SIGKILL)
        assert int(plane.request("GET", MAPS)[1]["metadata"]["resourceVersion"]) > last


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_an_error_and_no_damage(make_plane, tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(mount)], check=True)
    try:
        plane = make_plane(directory=mount / "data").start()
        written, failed = [], None
        for number in range(200):
            name = f"big{number}"
            code, answer = plane.request("POST", MAPS, {"metadata": {"name": name}, "data": {"x": "y" * 50_000}})
            if code != 201:
                failed = (code, answer)
                break
            written.append(name)
        assert failed and failed[0] == 503, failed
        assert "full" in failed[1]["message"], failed
        names = {item["metadata"]["name"] for item in plane.request("GET", MAPS)[1]["items"]}
        assert set(written) <= names and f"big{len(written)}" not in names
        # Room is made, and it goes on.
        for name in written[:len(written) // 2]:
            code, answer = plane.request("DELETE", f"{MAPS}/{name}")
            if code == 503:
                subprocess.run(["mount", "-o", "remount,size=8m", str(mount)], check=True)
                code, answer = plane.request("DELETE", f"{MAPS}/{name}")
            assert code == 200, answer
        subprocess.run(["mount", "-o", "remount,size=8m", str(mount)], check=True)
        assert plane.request("POST", MAPS, {"metadata": {"name": "after"}})[0] == 201
        plane.restart(signal.SIGKILL)
        names = {item["metadata"]["name"] for item in plane.request("GET", MAPS)[1]["items"]}
        assert "after" in names and set(written[len(written) // 2:]) <= names
        plane.stop()
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=False)


def test_a_second_process_is_refused(make_plane):
    plane = make_plane("--unsafe-no-fsync").start()
    second = planes.Plane(plane.dir, *plane.flags)
    result = subprocess.run(second.command(), capture_output=True, text=True, timeout=10, check=False)
    assert result.returncode == 1
    assert f"{plane.dir}/objects.db is in use by another process" in result.stderr
    assert plane.request("GET", MAPS)[0] == 200


def test_an_end_that_is_asked_for_answers_what_is_under_way(make_plane):
    plane = make_plane("--unsafe-no-fsync").start()
    writer = Writer(plane, 0)
    thread = threading.Thread(target=writer.run)
    thread.start()
    time.sleep(0.3)
    assert plane.stop(signal.SIGTERM) == 0
    thread.join()
    plane.start()
    there = {item["metadata"]["name"]: int(item["data"]["turn"]) for item in plane.request("GET", MAPS)[1]["items"]
             if item["metadata"]["name"].startswith("w")}
    assert writer.acknowledged and all(there[name] >= turn for name, turn in writer.acknowledged.items())


def test_bad_calls_are_told(tmp_path):
    def call(*arguments):
        result = subprocess.run([str(planes.PROGRAM), *arguments], capture_output=True, text=True, timeout=10, check=False)
        return result.returncode, result.stderr

    assert call() == (2, "nodeplane: --data-dir is missing\nTry nodeplane --help\n")
    assert call("--data-dir", str(tmp_path / "a"), "x")[0] == 2
    assert call("--data-dir", str(tmp_path / "a"), "--tls-cert-file", "x")[0] == 2
    code, text = call("--data-dir", str(tmp_path / "b"), "--listen", "300.0.0.1:1")
    assert code == 1 and "300.0.0.1" in text
    code, text = call("--data-dir", str(tmp_path / "c"), "--service-cluster-ip-range", "nonsense")
    assert code == 1 and "nonsense" in text
    (tmp_path / "d").write_text("a file")
    assert call("--data-dir", str(tmp_path / "d"))[0] == 1
