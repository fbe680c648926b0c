"""The API client (src/kube/) against servers and networks that fail: what arrives in the end, what was asked how often,
and what it cost. tests/lib/api_probe.c is the client, fault_proxy.py the network, nodeplane, fault_server.py or
h2_fault_server.py the server.
"""

import contextlib
import datetime
import json
import signal
import threading
import time

import pytest

import api_probe as probes
import bed as beds
import fault_server as faults
import h2_fault_server as h2
import plane as planes
from fault_proxy import FaultProxy
from fault_server import Answer, config_map, json_frame, protobuf_frame

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
ONE = CONFIG_MAPS + "/one"


@pytest.fixture
def own_plane(make_plane):
    """A nodeplane for one test, which may stop it."""
    return make_plane("--unsafe-no-fsync").start()


@pytest.fixture
def start_probe(tmp_path, request):
    """Makes probes; they are ended with the test, and a leak fails it."""
    made = []

    def start(kubeconfig):
        made.append(probes.Probe(kubeconfig, tmp_path / f"probe-{len(made)}.log"))
        return made[-1]

    yield start
    for probe in made:
        if getattr(request.node, "failed", False):
            print(f"--- the log of api_probe ---\n{probe.log_tail(60)}")
            probe.kill()
        else:
            probe.close()


@pytest.fixture
def probe(api, start_probe):
    """A probe that talks to the server directly."""
    return start_probe(api.kubeconfig)


@pytest.fixture
def start_behind_proxy(start_probe, tmp_path):
    """Makes a proxy before a server, and a probe behind it."""
    with contextlib.ExitStack() as stack:
        def start(server):
            proxy = stack.enter_context(FaultProxy(server.port))
            path = tmp_path / f"proxied-{proxy.port}.kubeconfig"
            return proxy, start_probe(probes.kubeconfig_for(path, server.kubeconfig, proxy.port))
        yield start


@pytest.fixture(scope="module")
def authority():
    return faults.Authority()


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.issue()


@pytest.fixture
def scripted(authority, certificate, start_probe, tmp_path):
    """A server that answers by script, and a probe that trusts it."""
    with faults.FaultServer(certificate) as server:
        yield server, start_probe(server.kubeconfig(tmp_path / "scripted.kubeconfig", authority))


def failure_of(ask, *arguments, **parameters):
    """The line of a command that has to fail."""
    with pytest.raises(probes.Failed) as failed:
        ask(*arguments, **parameters)
    return failed.value.answer


def config_map_named(name, value=""):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}}


def cpu_limit(seconds, probe):
    """@seconds of processor time in microseconds, more under the sanitizers."""
    return seconds * 1e6 * (4 if probe.is_sanitized() else 1)


def jump(probe, **jumps):
    """Lets the probe's clocks jump; its loop notices with libevent's next tick, 4 ms or less later."""
    probe.ask("jump", **jumps)
    time.sleep(0.02)


# Requests

@pytest.mark.parametrize("client", ["main", "json"])
def test_objects_are_made_read_changed_and_deleted(probe, namespace, client):
    def call(verb, kind="ConfigMap", **parameters):
        return probe.call(verb, kind, client=client, namespace=namespace, **parameters)

    made = call("create", object=config_map_named("one", "a"))
    assert made["http"] == 201 and made["object"]["data"] == {"value": "a"}
    uid, version = made["object"]["metadata"]["uid"], made["object"]["metadata"]["resourceVersion"]
    again = failure_of(call, "create", object=config_map_named("one"))
    assert (again["http"], again["code"], again["error"]) == (409, "AlreadyExists", 'configmaps "one" already exists')
    absent = failure_of(call, "get", name="two")
    assert (absent["http"], absent["code"], absent["error"]) == (404, "NotFound", 'configmaps "two" not found')

    changed = made["object"]
    changed["data"]["value"] = "ä€𝄞"
    assert call("update", name="one", object=changed)["object"]["data"] == {"value": "ä€𝄞"}
    changed["metadata"]["resourceVersion"] = version
    stale = failure_of(call, "update", name="one", object=changed)
    assert (stale["http"], stale["code"]) == (409, "Aborted"), stale

    call("patch-strategic", name="one", patch={"data": {"b": "1"}})
    call("patch-merge", name="one", patch={"data": {"c": "2"}})
    patched = call("patch-json", name="one", patch=[{"op": "remove", "path": "/data/b"}])["object"]
    assert patched["data"] == {"value": "ä€𝄞", "c": "2"} and patched["metadata"]["uid"] == uid
    applied = call("patch-apply", name="one", query="fieldManager=other&force=true",
                   patch={"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"d": "3"}})
    assert applied["object"]["data"] == {"value": "ä€𝄞", "c": "2", "d": "3"}

    listed = call("list", query="fieldSelector=metadata.name%3Done")
    assert [item["metadata"]["name"] for item in listed["object"]["items"]] == ["one"]
    call("delete", name="one")
    assert failure_of(call, "get", name="one")["http"] == 404
    assert probe.stats()["connects"] == 1 and probe.stats()["tasks"] == 0


def test_a_pod_and_its_status_subresource(probe, namespace):
    pod = {"apiVersion": "v1", "kind": "Pod", **{key: value for key, value in planes.pod("web").items()
                                                if key in ("metadata", "spec")}}
    made = probe.call("create", "Pod", namespace=namespace, object=pod)["object"]
    assert made["status"]["phase"] == "Pending" and made["spec"]["containers"][0]["image"] == "busybox:1.36"
    status = probe.call("patch-strategic", "Pod", namespace=namespace, name="web", subresource="status",
                        patch={"status": {"phase": "Running", "podIP": "10.0.0.9"}})["object"]["status"]
    assert (status["phase"], status["podIP"]) == ("Running", "10.0.0.9")
    wrong = failure_of(probe.call, "create", "Pod", namespace=namespace,
                       object={"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "none"}, "spec": {}})
    assert (wrong["http"], wrong["code"]) == (422, "InvalidArgument") and "spec.containers: Required value" in wrong["error"]


def test_heartbeats_do_not_wait_for_the_rate_limit(probe):
    count = 170
    started = time.monotonic()
    calls = [probe.start_call("get", "Namespace", name="default") for _ in range(count)]
    heartbeats = [planes.elapsed(lambda: probe.call("get", "Namespace", name="default", client="heartbeat"))
                  for _ in range(5)]
    ends = [probe.wait(call, "done")["at"] - started for call in calls]
    # A burst of 100, then 50 a second.
    assert ends[99] < 1.2 < ends[-1] < 5, (ends[99], ends[-1])
    assert max(heartbeats) < 1, heartbeats  # the first would have waited 1.4 s
    assert ends == sorted(ends), "calls were sent out of order"


# Answers that are failures

RETRIED = {
    "429 with Retry-After": (429, "TooManyRequests"),
    "500 with Retry-After": (500, "InternalError"),
    "503 with Retry-After": (503, "ServiceUnavailable"),
}


@pytest.mark.parametrize("verb", ["get", "create"])
@pytest.mark.parametrize("name", RETRIED)
def test_an_answer_with_retry_after_is_asked_again(scripted, name, verb):
    server, probe = scripted
    status, reason = RETRIED[name]
    refusal = Answer.failure(status, reason, "busy", headers={"Retry-After": "0"})
    slow = Answer.failure(status, reason, "busy", headers={"Retry-After": "1"})
    method, path = ("GET", ONE) if verb == "get" else ("POST", CONFIG_MAPS)
    last = slow if (verb, status) == ("get", 429) else refusal  # one case takes a second, the others none
    server.on(method, path, refusal, refusal, last, Answer.of(config_map("one", 5)))
    where = {"name": "one"} if verb == "get" else {"object": config_map_named("one")}
    assert probe.call(verb, "ConfigMap", namespace="default", **where)["object"]["metadata"]["resourceVersion"] == "5"
    asked = server.asked(method, path)
    assert len(asked) == 4 and len(server.requests) == 4
    if last is slow:
        assert 0.99 < asked[3].at - asked[2].at < 5
    assert len({request.body for request in asked}) == 1, "the body was not sent again as it was"


@pytest.mark.parametrize("status,code", [(429, "ResourceExhausted"), (500, "Internal"), (503, "Unavailable"),
                                         (504, "DeadlineExceeded")])
def test_an_answer_without_retry_after_is_final(scripted, status, code):
    server, probe = scripted
    server.on("GET", ONE, Answer.failure(status, "", "no"))
    answer = failure_of(probe.call, "get", "ConfigMap", namespace="default", name="one")
    assert (answer["http"], answer["code"]) == (status, code)
    assert len(server.requests) == 1


def test_a_server_that_always_asks_to_come_again_is_given_up(scripted):
    server, probe = scripted
    server.on("GET", ONE, Answer.failure(429, "TooManyRequests", "busy", headers={"Retry-After": "0"}))
    answer = failure_of(probe.call, "get", "ConfigMap", namespace="default", name="one")
    assert (answer["http"], answer["code"]) == (429, "ResourceExhausted")
    assert len(server.requests) == 11, "client-go tries again ten times"


def test_a_read_whose_connection_is_lost_is_asked_again_and_a_write_is_not(scripted):
    server, probe = scripted
    server.on("GET", ONE, Answer(is_silent=True), Answer.of(config_map("one", 7), missing=40), Answer.of(config_map("one", 8)))
    server.on("POST", CONFIG_MAPS, Answer(is_silent=True))
    read = probe.start_call("get", "ConfigMap", namespace="default", name="one")
    answer = failure_of(probe.call, "create", "ConfigMap", namespace="default", object=config_map_named("one"))
    assert (answer["http"], answer["code"]) == (0, "Unavailable"), answer
    assert answer["error"].startswith(f'Post "https://127.0.0.1:{server.port}{CONFIG_MAPS}'), answer
    assert probe.wait(read, "done")["object"]["metadata"]["resourceVersion"] == "8"
    asked = server.asked("GET", ONE)
    assert len(asked) == 3 and len(server.asked("POST")) == 1
    assert all(0.9 < later.at - earlier.at < 4 for earlier, later in zip(asked, asked[1:])), "client-go waits a second"


GARBAGE = {
    "HTML with 200": (Answer(body=b"<html>hello</html>", content_type="text/html"), "Internal"),
    "HTML with 502": (Answer(502, b"<html>bad gateway</html>", content_type="text/html"), "Unavailable"),
    "half an object": (Answer(body=b'{"kind":"ConfigMap","apiVersion":"v1","meta'), "Internal"),
    "nothing": (Answer(body=b""), "Internal"),
    "no envelope": (Answer(body=b"k8t\0abc", content_type=faults.PROTOBUF), "Internal"),
    "a broken envelope": (Answer(body=b"k8s\0\x0a\xff\xff\xff\xff\x0f", content_type=faults.PROTOBUF), "Internal"),
    "another kind": (Answer.of({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "one"}}), "Internal"),
    "410": (Answer.failure(410, "Expired", "too old"), "OutOfRange"),
    "a Status that is none": (Answer(500, b"[1,2"), "Internal"),
}


def test_garbage_is_an_error_that_says_so(scripted):
    server, probe = scripted
    for name, (garbage, code) in GARBAGE.items():
        server.on("GET", ONE, garbage)
        before = len(server.requests)
        answer = failure_of(probe.call, "get", "ConfigMap", namespace="default", name="one")
        assert (answer["http"], answer["code"]) == (garbage.status, code), (name, answer)
        assert answer["error"], name
        assert len(server.requests) == before + 1, name


def test_a_slow_answer_arrives_unless_there_is_a_deadline(scripted):
    server, probe = scripted
    body = json.dumps(config_map("one", 3)).encode()
    dribble = [part for at in range(0, len(body), 16) for part in (0.08, body[at:at + 16])]
    server.on("GET", ONE, Answer(pieces=dribble))
    patient = probe.start_call("get", "ConfigMap", namespace="default", name="one")
    started = time.monotonic()
    answer = failure_of(probe.call, "get", "ConfigMap", namespace="default", name="one", timeoutMs=300)
    assert answer["code"] == "DeadlineExceeded" and "context deadline exceeded" in answer["error"], answer
    assert time.monotonic() - started > 0.29
    assert probe.wait(patient, "done")["object"]["metadata"]["resourceVersion"] == "3"
    assert len(server.requests) == 2 and server.requests[1].query == {"timeout": "300ms"}


# Certificates

CERTIFICATES = {
    "expired": ({"begins": -3 * faults.DAY, "ends": -faults.DAY}, False, "x509: certificate has expired or is not yet valid: "),
    "not valid yet": ({"begins": faults.DAY, "ends": 2 * faults.DAY}, False,
                      "x509: certificate has expired or is not yet valid: "),
    "of another authority": ({}, True, "x509: certificate signed by unknown authority"),
    "for another address": ({"address": "10.0.0.1"}, False, "x509: certificate is valid for 10.0.0.1, not 127.0.0.1"),
}


def test_a_certificate_that_does_not_hold_is_refused_without_haste(authority, start_probe, tmp_path):
    """All four at once: what is asserted takes two seconds of real time."""
    begun = []
    for number, (name, (how, is_foreign, text)) in enumerate(CERTIFICATES.items()):
        issuer = faults.Authority("another") if is_foreign else authority
        server = faults.FaultServer(issuer.issue(**how)).__enter__()
        probe = start_probe(server.kubeconfig(tmp_path / f"{number}.kubeconfig", authority))
        begun.append((name, text, server, probe))
        answer = failure_of(probe.call, "get", "ConfigMap", namespace="default", name="one")
        assert (answer["http"], answer["code"]) == (0, "Unauthenticated"), (name, answer)
        assert answer["error"].startswith(f'Get "https://127.0.0.1:{server.port}{ONE}": tls: failed to verify certificate: '
                                          + text), (name, answer)
    watched = []
    for _, _, server, probe in begun:
        watched.append((len(server.connections), probe.stats()["cpuUs"], probe.send("reflect", kind="ConfigMap")))
        probe.send("lease", node="node-a")
    time.sleep(2)
    for (name, text, server, probe), (connections, cpu, reflector) in zip(begun, watched):
        assert text in probe.of(reflector, "cycleFailed")[0]["error"], name
        assert not probe.of(reflector, "synced") and not server.requests, name
        # A reflector that rests 0.8 s and more, and a lease that is asked for after 0.2, 0.4, 0.8 s.
        assert 2 <= len(server.connections) - connections <= 20, (name, len(server.connections) - connections)
        assert probe.stats()["cpuUs"] - cpu < cpu_limit(0.15, probe), name
        server.__exit__()


# Watches

def test_a_watch_ends_when_the_server_was_asked_to(probe):
    name = probe.send("watch", kind="Namespace", timeoutS=1)
    opened = probe.wait(name, "open")
    ended = probe.wait(name, "ended")
    assert "error" not in ended and 0.8 < ended["at"] - opened["at"] < 10, ended
    assert {line["object"]["metadata"]["name"] for line in probe.of(name, "event")} >= {"default", "kube-system"}
    assert probe.stats()["connects"] == 1


FRAMES = {"JSON": ("application/json;stream=watch", json_frame), "protobuf": (faults.PROTOBUF_WATCH, protobuf_frame)}


@pytest.mark.parametrize("encoding", FRAMES)
def test_a_frame_that_is_cut_off_ends_a_watch_with_an_error(scripted, encoding):
    server, probe = scripted
    content_type, frame = FRAMES[encoding]
    whole = frame("ADDED", config_map("one", 5, "x"))
    cuts = {"in the frame": (whole + whole[:len(whole) // 2], False), "in its beginning": (whole + whole[:2], False),
            "with the connection": (whole + whole[:20], True)}
    for name, (data, is_cut) in cuts.items():
        server.on("GET", CONFIG_MAPS, Answer(pieces=[data], content_type=content_type, is_cut=is_cut))
        watch = probe.send("watch", kind="ConfigMap", namespace="default")
        ended = probe.wait(watch, "ended")
        assert ended["code"] == "Unavailable", (name, ended)
        assert [line["object"] for line in probe.of(watch, "event")] == [
            {"kind": "ConfigMap", **{key: value for key, value in config_map("one", 5, "x").items() if key != "kind"}}], name
    dribble = [piece for at in range(0, len(whole), 7) for piece in (0.002, whole[at:at + 7])]
    server.on("GET", CONFIG_MAPS, Answer(pieces=dribble, content_type=content_type))
    watch = probe.send("watch", kind="ConfigMap", namespace="default")
    assert "error" not in probe.wait(watch, "ended") and len(probe.of(watch, "event")) == 1


def test_a_frame_that_is_none_does_not_end_what_can_go_on(scripted):
    server, probe = scripted
    good = json_frame("ADDED", config_map("one", 5))
    bad = json_frame("ADDED", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": 7}})
    foreign = json_frame("ADDED", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "one"}})
    server.on("GET", CONFIG_MAPS, Answer(pieces=[good + bad + foreign + good]))
    watch = probe.send("watch", kind="ConfigMap", namespace="default")
    assert "error" not in probe.wait(watch, "ended")
    assert [line["what"] for line in probe.of(watch)] == ["open", "event", "undecoded", "undecoded", "event", "ended"]
    server.on("GET", CONFIG_MAPS, Answer(body=b"<html>log in</html>", content_type="text/html"))
    answer = probe.wait(probe.send("watch", kind="ConfigMap", namespace="default"), "ended")
    assert answer["code"] == "Internal" and "text/html" in answer["error"], answer


class CuttingServer:
    """ConfigMaps that change as they are watched. The first watches are cut in the middle of their third event."""

    def __init__(self, server, frame, content_type, cut_count):
        self.frame, self.content_type, self.cut_count = frame, content_type, cut_count
        self.history = [config_map(f"c-{number % 7}", 101 + number, str(number)) for number in range(60)]
        self.watched_from = []
        server.on("GET", CONFIG_MAPS, self.answer)

    def answer(self, request):
        if request.query.get("sendInitialEvents"):
            return Answer.failure(422, "Invalid", "sendInitialEvents is forbidden")
        if not request.query.get("watch"):
            return Answer.of({"apiVersion": "v1", "kind": "ConfigMapList", "metadata": {"resourceVersion": "100"}, "items": []})
        since = int(request.query["resourceVersion"])
        self.watched_from.append(since)
        frames = [self.frame("ADDED" if int(change["metadata"]["resourceVersion"]) <= 107 else "MODIFIED", change)
                  for change in self.history if int(change["metadata"]["resourceVersion"]) > since]
        if len(self.watched_from) > self.cut_count:
            return Answer(content_type=self.content_type, pieces=[b"".join(frames), 30])
        cut = b"".join(frames[:2]) + frames[2][:len(frames[2]) - 3]
        return Answer(content_type=self.content_type, pieces=[cut], is_cut=len(self.watched_from) % 2 == 0)


@pytest.mark.parametrize("encoding", FRAMES)
def test_a_reflector_goes_on_where_frames_were_cut_off(scripted, encoding):
    server, probe = scripted
    content_type, frame = FRAMES[encoding]
    script = CuttingServer(server, frame, content_type, cut_count=2)
    reflector = probe.send("reflect", kind="ConfigMap", namespace="default")
    probe.wait(reflector, "updated", count=53, timeout=20)
    heard = [int(line["version"]) for line in probe.of(reflector, "added", "updated")]
    assert heard == list(range(101, 161)), "each change once and in order"
    assert script.watched_from == [100, 102, 104]
    assert len(server.asked("GET", CONFIG_MAPS)) == 5, "a stream that is not offered, a list, three watches"
    assert replay(probe, reflector) == {f"default/c-{n % 7}": str(101 + n) for n in range(60)}


# Reflectors over faults

def replay(probe, reflector):
    """What a listener knows who believes every line about @reflector, each of which has to make sense."""
    known = {}
    for line in probe.of(reflector, "added", "updated", "deleted"):
        key = f"{line['namespace']}/{line['name']}"
        if line["what"] == "added":
            assert key not in known, f"{key} was added twice"
            known[key] = line["version"]
        elif line["what"] == "updated":
            assert known[key] == line["oldVersion"] != line["version"], f"{key} was told twice or out of order: {line}"
            known[key] = line["version"]
        else:
            del known[key]
    return known


def versions_of(probe, namespace):
    listed = probe.call("list", "ConfigMap", namespace=namespace, client="heartbeat")["object"]["items"]
    return {f"{namespace}/{item['metadata']['name']}": item["metadata"]["resourceVersion"] for item in listed}


def settle(probe, reflector, expected, timeout=20):
    """Waits until the reflector's store is @expected, and asserts that its listener heard the same."""
    def is_settled():
        return probe.ask("store", target=reflector)["objects"] == expected
    beds.wait_for("the reflector to be true", is_settled, timeout=timeout)
    assert replay(probe, reflector) == expected


class Writer:
    """Makes changes, one after the other, and remembers their versions."""

    def __init__(self, probe, namespace):
        self.probe, self.namespace = probe, namespace
        self.versions, self.deleted = [], []

    def write(self, count):
        """Yields before each of @count changes."""
        for number in range(count):
            yield number
            name = f"c-{number // 3}"
            if number % 3 == 0:
                answer = self.call("create", object=config_map_named(name, str(number)))
            elif number % 3 == 1 or number % 2 == 0:
                answer = self.call("patch-merge", name=name, patch={"data": {"value": str(number)}})
            else:
                self.call("delete", name=name)
                self.deleted.append(name)
                continue
            self.versions.append(answer["object"]["metadata"]["resourceVersion"])

    def call(self, verb, **parameters):
        return self.probe.call(verb, "ConfigMap", namespace=self.namespace, client="heartbeat", **parameters)


CHANGES = 90
# What is done to the connection before which change.
FAULTS = {
    "none": {},
    "reset": {10: [FaultProxy.cut], 60: [FaultProxy.cut]},
    "closed in order": {20: [lambda proxy: proxy.cut(reset=False)]},
    "cut within a record": {15: [lambda proxy: proxy.cut_after(down=777)], 50: [lambda proxy: proxy.cut_after(down=1)]},
    "stalled for a while": {10: [FaultProxy.stall], 80: [FaultProxy.resume]},
    "refused for a while": {30: [FaultProxy.refuse, FaultProxy.cut], 85: [FaultProxy.resume]},
    "turned away for a while": {30: [FaultProxy.turn_away, FaultProxy.cut], 85: [FaultProxy.resume]},
    "accepted and never answered": {30: [FaultProxy.half_open, FaultProxy.cut], 85: [FaultProxy.resume]},
    "dead": {40: [lambda proxy: proxy.stall(new=False)]},
}
# Seconds between the changes: a reflector rests 0.8 to 1.6 s after its first watch that was cut.
PACE_S = 0.04


class Faulted:
    """One nodeplane with one writer, and for each fault a proxy, a probe behind it and its reflector. All run at once."""

    def __init__(self, directory):
        self.plane = planes.Plane(directory / "plane", "--unsafe-no-fsync").start()
        self.proxies, self.probes, self.begun, self.before, self.calls = {}, {}, {}, {}, {}
        for name in FAULTS:
            proxy = self.proxies[name] = FaultProxy(self.plane.port).__enter__()
            path = directory / f"{name.replace(' ', '-')}.kubeconfig"
            probe = self.probes[name] = probes.Probe(probes.kubeconfig_for(path, self.plane.kubeconfig, proxy.port),
                                                     directory / f"{path.stem}.log")
            probe.send("reflect", id="r", kind="ConfigMap", namespace="default")
            probe.wait("r", "synced")
        self.writer = Writer(probes.Probe(self.plane.kubeconfig, directory / "writer.log"), "default")
        self.failure = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            for number in self.writer.write(CHANGES):
                for name, schedule in FAULTS.items():
                    for act in schedule.get(number, []):
                        self.begun.setdefault(name, time.monotonic())
                        act(self.proxies[name])
                    if name == "dead" and number in schedule:
                        self._call_the_dead()
                time.sleep(PACE_S)
            self.expected = versions_of(self.writer.probe, "default")
        except BaseException as failure:  # told by done()
            self.failure = failure

    def _call_the_dead(self):
        probe = self.probes["dead"]
        self.before["dead"] = probe.stats()
        for name, parameters in {"get": {"verb": "get", "name": "kube-root-ca.crt"},
                                 "heartbeat": {"verb": "get", "name": "none", "client": "heartbeat"},
                                 "create": {"verb": "create", "object": config_map_named("by-the-dead")}}.items():
            self.calls[name] = probe.send("call", kind="ConfigMap", namespace="kube-public", **parameters)

    def done(self):
        """Waits for the writer."""
        self.thread.join(30)
        assert not self.thread.is_alive(), "the writer hangs"
        if self.failure:
            raise self.failure
        return self

    def close(self):
        for probe in [*self.probes.values(), self.writer.probe]:
            probe.kill()
        for proxy in self.proxies.values():
            proxy.__exit__()
        self.plane.stop(signal.SIGKILL)


@pytest.fixture(scope="module", autouse=True)
def faulted(tmp_path_factory):
    """Begins with the first test, as the peer that is dead takes half a minute to be noticed."""
    running = Faulted(tmp_path_factory.mktemp("faulted"))
    yield running
    running.close()


# How many connections a probe may have begun; what was cut in the handshake does not count as opened.
CONNECTS = {"none": (1, 1), "reset": (3, 3), "closed in order": (2, 2), "cut within a record": (3, 3),
            "stalled for a while": (1, 1), "accepted and never answered": (2, 3)}


@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in ("dead", "accepted and never answered")])
def test_a_reflector_hears_everything_once(faulted, fault):
    probe = faulted.done().probes[fault]
    settle(probe, "r", faulted.expected)
    stats = probe.stats()
    # No list was needed: the watch went on at the version where it was cut.
    assert sorted(line["version"] for line in probe.of("r", "added", "updated")
                  if line["name"].startswith("c-")) == sorted(faulted.writer.versions)
    assert sorted(line["name"] for line in probe.of("r", "deleted")) == sorted(faulted.writer.deleted)
    assert len(faulted.writer.versions) + len(faulted.writer.deleted) == CHANGES and faulted.writer.deleted
    if fault in CONNECTS:
        least, most = CONNECTS[fault]
        accepted = len(faulted.proxies[fault].accepted)
        assert least <= accepted <= most and 0 <= accepted - stats["connects"] <= most - 1, (accepted, stats)
    assert stats["connections"] == 1 and stats["tasks"] == 1
    assert stats["cpuUs"] < cpu_limit(0.5, probe)
    probe.close()


def test_a_reflector_is_true_with_any_server(api, namespace, start_behind_proxy, start_probe):
    proxy, probe = start_behind_proxy(api)
    reflector = probe.send("reflect", kind="ConfigMap", namespace=namespace, fieldSelector="metadata.name!=c-4")
    probe.wait(reflector, "synced")
    writer = Writer(start_probe(api.kubeconfig), namespace)
    for number in writer.write(60):
        if number == 30:
            proxy.cut()
    expected = versions_of(writer.probe, namespace)
    assert expected.pop(f"{namespace}/c-4")
    settle(probe, reflector, expected)
    heard = [line["version"] for line in probe.of(reflector, "added", "updated") if line["name"].startswith("c-")]
    assert set(heard) < set(writer.versions) and len(set(heard)) == len(heard) == len(writer.versions) - 3
    assert probe.stats()["connects"] == len(proxy.accepted) == 2


def test_a_server_that_turns_connections_away_is_tried_with_pauses(own_plane, start_behind_proxy):
    """Eight calls that wait, one connection at a time, at random intervals that grow up to a second."""
    proxy, probe = start_behind_proxy(own_plane)
    probe.call("get", "Namespace", name="default")
    proxy.turn_away()
    proxy.cut()
    before = probe.stats()
    begun = time.monotonic()
    calls = [probe.start_call("create", "ConfigMap", namespace="default", object=config_map_named(f"c-{number}"))
             for number in range(8)]
    ends = [probe.wait(call, "failed") for call in calls]
    assert {end["code"] for end in ends} == {"Unavailable"} and {end["http"] for end in ends} == {0}, ends
    tries = proxy.accepted[1:]
    took = [end["at"] - begun for end in ends]
    assert max(took) < 10 and (min(took) > 2.9 or len(tries) == 11), "tried for three seconds or ten times more"
    assert 5 <= len(tries) <= 11, [at - begun for at in tries]
    gaps = sorted(later - earlier for earlier, later in zip(tries, tries[1:]))
    assert gaps[-1] < 3 and gaps[-1] - gaps[len(gaps) // 2] > 0.02, "pauses are drawn"
    after = probe.stats()
    assert after["failures"] - before["failures"] == len(tries) and after["connects"] == before["connects"]
    assert after["cpuUs"] - before["cpuUs"] < cpu_limit(0.1, probe)

    late = probe.start_call("create", "ConfigMap", namespace="default", object=config_map_named("late"))
    time.sleep(0.3)
    proxy.resume()
    assert probe.wait(late, "done", timeout=2)["http"] == 201
    assert probe.call("get", "ConfigMap", namespace="default", name="late")["http"] == 200
    assert probe.stats()["connections"] == 1 and probe.stats()["tasks"] == 0


# The lease, events, tokens, single objects

def micro_time(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def node_object(name):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}


def test_a_restart_of_the_server_costs_a_list_and_no_heartbeat(own_plane, start_probe):
    """In order (drained, GOAWAY) and killed."""
    api, probe = own_plane, start_probe(own_plane.kubeconfig)
    probe.call("create", "Node", object=node_object("node-a"))
    reflector = probe.send("reflect", kind="ConfigMap", namespace="default")
    probe.wait(reflector, "synced")
    probe.ask("lease", node="node-a", seconds=4)  # renewed each second

    def lease():
        return probe.call("get", "Lease", apiVersion="coordination.k8s.io/v1", namespace="kube-node-lease", name="node-a",
                          client="heartbeat")["object"]
    made = beds.wait_for("the lease", lambda: probe.stats().get("leaseRenewedMs")) and lease()
    assert made["spec"]["holderIdentity"] == "node-a" and made["metadata"]["ownerReferences"][0]["name"] == "node-a"
    for round_, number in enumerate((signal.SIGTERM, signal.SIGKILL)):
        probe.call("create", "ConfigMap", namespace="default", object=config_map_named(f"before-{round_}"))
        before = probe.stats()
        assert api.stop(number) == (0 if number == signal.SIGTERM else -number)
        time.sleep(0.3)
        api.start()
        other = start_probe(api.kubeconfig)
        other.call("create", "ConfigMap", namespace="default", object=config_map_named(f"after-{round_}"))
        settle(probe, reflector, versions_of(other, "default"))
        # A call right after it succeeds although the connection of before is gone.
        assert probe.call("get", "Namespace", name="default")["http"] == 200
        beds.wait_for("a renewal", lambda: probe.stats()["leaseRenewedMs"] > before["leaseRenewedMs"] + 300, timeout=6)
        assert 1 <= probe.stats()["connects"] - before["connects"] <= 12, (before, probe.stats())
    now = lease()
    assert now["metadata"]["uid"] == made["metadata"]["uid"], "the lease was made anew"
    assert micro_time(now["spec"]["renewTime"]) > micro_time(made["spec"]["renewTime"])
    assert now["spec"]["leaseDurationSeconds"] == 4
    assert "error" not in probe.stats()


def test_a_server_that_ends_in_order_loses_no_write(own_plane, start_probe):
    """GOAWAY: what it has taken it answers; what it has not is sent again to the next one, and no more than once."""
    probe = start_probe(own_plane.kubeconfig)
    calls = []

    def write():
        for number in range(150):
            calls.append(probe.start_call("create", "ConfigMap", namespace="default", client="heartbeat",
                                          object=config_map_named(f"c-{number}")))
            time.sleep(0.008)
    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(2):
        time.sleep(0.2)
        assert own_plane.stop(signal.SIGTERM) == 0
        own_plane.start()
    writer.join()
    ends = [probe.wait(call, "done", "failed") for call in calls]
    assert [end for end in ends if end["what"] == "failed"] == []
    assert {f"default/c-{number}" for number in range(150)} <= set(versions_of(probe, "default"))
    assert probe.stats()["connections"] == 1 and probe.stats()["tasks"] == 0


def test_a_version_that_is_too_old_costs_a_list(own_plane, start_behind_proxy, start_probe):
    """The history of a nodeplane begins with its start; what happened before it is told by comparing."""
    proxy, probe = start_behind_proxy(own_plane)
    writer = Writer(probe, "default")
    for _ in writer.write(30):
        pass
    reflector = probe.send("reflect", kind="ConfigMap", namespace="default")
    probe.wait(reflector, "synced")
    before = len(probe.of(reflector, "added", "updated", "deleted"))
    proxy.refuse()
    proxy.cut()
    other = start_probe(own_plane.kubeconfig)
    for value in ("x", "y"):
        other.call("patch-merge", "ConfigMap", namespace="default", name="c-0", patch={"data": {"value": value}})
    other.call("delete", "ConfigMap", namespace="default", name="c-2")
    other.call("delete", "ConfigMap", namespace="default", name="c-4")
    again = other.call("create", "ConfigMap", namespace="default", object=config_map_named("c-4"))
    other.call("create", "ConfigMap", namespace="default", object=config_map_named("new"))
    other.call("create", "ConfigMap", namespace="default", object=config_map_named("short-lived"))
    other.call("delete", "ConfigMap", namespace="default", name="short-lived")
    own_plane.restart()
    proxy.resume()
    settle(probe, reflector, versions_of(other, "default"))
    told = [(line["what"], line["name"]) for line in probe.of(reflector, "added", "updated", "deleted")][before:]
    assert sorted(told) == [("added", "c-4"), ("added", "new"), ("deleted", "c-2"), ("deleted", "c-4"), ("updated", "c-0")]
    assert told.index(("deleted", "c-4")) < told.index(("added", "c-4")), "another uid is another object"
    assert again["object"]["metadata"]["uid"] in [line["uid"] for line in probe.of(reflector, "added")]
    assert len(probe.of(reflector, "synced")) == 1


EXPIRED = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Expired", "code": 410,
           "message": "too old resource version"}


@pytest.mark.parametrize("answer", [Answer.of(EXPIRED, status=410), Answer(pieces=[json_frame("ERROR", EXPIRED)])],
                         ids=["as an answer", "as an event"])
def test_an_expired_version_is_listed_anew_once(scripted, answer):
    server, probe = scripted
    lists, watches = [], []

    def serve(request):
        if request.query.get("sendInitialEvents"):
            return Answer.failure(422, "Invalid", "sendInitialEvents is forbidden")
        if request.query.get("watch"):
            watches.append(request.query["resourceVersion"])
            return answer if len(watches) == 1 else Answer(pieces=[30])
        lists.append(request.query.get("resourceVersion"))
        return Answer.of({"apiVersion": "v1", "kind": "ConfigMapList", "metadata": {"resourceVersion": str(100 * len(lists))},
                          "items": [config_map("one", 50), config_map(f"two-{len(lists)}", 60)]})
    server.on("GET", CONFIG_MAPS, serve)
    reflector = probe.send("reflect", kind="ConfigMap", namespace="default")
    probe.wait(reflector, "deleted")
    beds.wait_for("the second watch", lambda: len(watches) == 2)
    # client-go asks for the version it knew: what is at least as new.
    assert watches == ["100", "200"] and lists == ["0", "100"]
    assert [(line["what"], line["name"]) for line in probe.of(reflector, "added", "updated", "deleted")][:2] == [
        ("added", "one"), ("added", "two-1")]
    assert replay(probe, reflector) == {"default/one": "50", "default/two-2": "60"}


def test_events_that_repeat_are_counted_and_similar_ones_combined(api, probe, namespace):
    def about(name):
        return {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": name, "uid": f"uid-{name}"}
    for _ in range(5):
        probe.ask("event", object=about("same"), type="Normal", reason="Pulled", message="pulled")
    for number in range(15):
        probe.ask("event", object=about("similar"), type="Warning", reason="Failed", message=f"failure {number}")
    for _ in range(40):
        probe.ask("event", object=about("spam"), type="Normal", reason="Spam", message="again")
    beds.wait_for("the events to be sent", lambda: probe.stats()["eventsQueued"] == 0)
    events = api.get("events", "-n", namespace)["items"]
    by_pod = {name: [event for event in events if event["involvedObject"]["name"] == name]
              for name in ("same", "similar", "spam")}
    assert [(event["count"], event["message"], event["type"]) for event in by_pod["same"]] == [(5, "pulled", "Normal")]
    assert [event["count"] for event in by_pod["spam"]] == [25], "a burst of 25"
    combined = [event for event in by_pod["similar"] if event["message"].startswith("(combined from similar events): ")]
    # The first ten are told one by one; the spam filter counts for them, too.
    assert len(by_pod["similar"]) == 10 and len(combined) == 1 and combined[0]["count"] == 6, by_pod["similar"]
    assert combined[0]["source"]["component"] == "api-probe" and combined[0]["type"] == "Warning"
    assert probe.stats()["eventsLost"] == 0


def test_events_wait_for_a_server_that_is_away(api, namespace, start_behind_proxy):
    proxy, probe = start_behind_proxy(api)
    pod = {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": "web", "uid": "1"}
    probe.call("get", "Namespace", name="default")
    proxy.turn_away()
    proxy.cut()
    for reason in ("First", "Second"):
        probe.ask("event", object=pod, type="Normal", reason=reason, message="m")
    assert probe.stats()["eventsQueued"] == 2
    time.sleep(0.5)
    proxy.resume()
    beds.wait_for("the events to be sent", lambda: probe.stats()["eventsQueued"] == 0, timeout=12)
    assert {event["reason"] for event in api.get("events", "-n", namespace)["items"]} == {"First", "Second"}
    assert probe.stats()["eventsLost"] == 0


def test_a_token_is_asked_for_once(scripted):
    server, probe = scripted
    path = "/api/v1/namespaces/default/serviceaccounts/robot/token"
    numbers, server_ahead = iter(range(1, 100)), [datetime.timedelta()]

    def issue(_):
        return Answer.of({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {
            "audiences": ["a"], "expirationSeconds": 3600}, "status": {
                "token": f"token-{next(numbers)}", "expirationTimestamp": (
                    datetime.datetime.utcnow() + server_ahead[0] + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")}}, status=201)
    server.on("POST", path, issue)
    robot = {"namespace": "default", "serviceAccount": "robot", "seconds": 3600}
    names = [probe.send("token", audiences=["a"], **robot) for _ in range(5)]
    assert {probe.wait(name, "token")["token"] for name in names} == {"token-1"}, "equal requests share one"
    assert probe.ask("token", audiences=["b"], **robot)["token"] == "token-2"
    assert probe.ask("token", audiences=["a"], podName="p", podUID="1", **robot)["token"] == "token-3"
    assert len(server.asked("POST", path)) == 3 and probe.stats()["tokens"] == 3
    # A fifth of its life is left: a new one.
    jump(probe, wallMs=50 * 60 * 1000)
    server_ahead[0] = datetime.timedelta(minutes=50)
    assert probe.ask("token", audiences=["a"], **robot)["token"] == "token-4"
    assert probe.ask("token", audiences=["a"], **robot)["token"] == "token-4"
    # No new one to be had: the old one as long as it lasts, then the error.
    server.on("POST", path, Answer.failure(503, "ServiceUnavailable", "away"))
    jump(probe, wallMs=5 * 60 * 1000)
    assert probe.ask("token", audiences=["b"], **robot)["token"] == "token-2"
    jump(probe, wallMs=10 * 60 * 1000)
    answer = failure_of(probe.ask, "token", audiences=["b"], **robot)
    assert "expired and refresh failed" in answer["error"] and "away" in answer["error"], answer


def test_a_token_of_a_server(probe, namespace):
    probe.call("create", "ServiceAccount", namespace=namespace,
               object={"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}})
    token = probe.ask("token", namespace=namespace, serviceAccount="robot", seconds=600)
    assert token["token"].count(".") == 2
    assert probe.ask("token", namespace=namespace, serviceAccount="robot", seconds=600)["token"] == token["token"]
    answer = failure_of(probe.ask, "token", namespace=namespace, serviceAccount="nobody", seconds=600)
    assert 'failed to fetch token: serviceaccounts "nobody" not found' in answer["error"], answer


def secret(value):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"value": value}}


def test_a_secret_is_watched_while_a_pod_names_it(api, namespace, start_behind_proxy, start_probe):
    proxy, probe = start_behind_proxy(api)
    writer = start_probe(api.kubeconfig)
    made = writer.call("create", "Secret", namespace=namespace, object=secret("a"))["object"]["metadata"]["resourceVersion"]
    where = {"kind": "Secret", "namespace": namespace}
    assert "not registered" in failure_of(probe.ask, "object", name="s", **where)["error"]
    for pod in ("1", "2"):
        probe.ask("register", pod=pod, names=["s"], **where)
    assert probe.ask("object", name="s", **where)["version"] == made
    assert probe.stats()["secretsWatched"] == 1 and probe.stats()["secretsNamed"] == 1

    def patch(value):
        return writer.call("patch-strategic", "Secret", namespace=namespace, name="s", patch={
            "stringData": {"value": value}})["object"]["metadata"]["resourceVersion"]
    second = patch("b")
    assert probe.wait("Secret", "changed")["version"] == second
    assert probe.ask("object", name="s", **where)["version"] == second
    proxy.cut()
    third = patch("c")
    assert probe.wait("Secret", "changed", count=2)["version"] == third
    probe.ask("unregister", kind="Secret", pod="1")
    assert probe.stats()["secretsWatched"] == 1
    probe.ask("unregister", kind="Secret", pod="2")
    assert probe.stats()["secretsWatched"] == 0 and probe.stats()["secretsNamed"] == 0
    down = proxy.down
    patch("d")
    probe.call("get", "Namespace", name="default")
    assert proxy.down - down < 2000 and len(probe.of("Secret", "changed")) == 2
    assert probe.stats()["connects"] == 2


# Clocks

def test_clocks_that_jump_disturb_nothing(own_plane, start_behind_proxy):
    proxy, probe = start_behind_proxy(own_plane)
    probe.call("create", "Node", object=node_object("node-a"))
    reflector = probe.send("reflect", kind="ConfigMap", namespace="default")
    probe.wait(reflector, "synced")
    probe.ask("lease", node="node-a", seconds=4)
    beds.wait_for("the lease", lambda: probe.stats().get("leaseRenewedMs"))
    hour = 3600 * 1000
    jumps = [{"wallMs": hour}, {"wallMs": -3 * hour}, {"wallMs": 2 * hour}, {"wallMs": hour, "suspendedMs": hour}]
    for number, change in enumerate(jumps):
        before = probe.stats()
        jump(probe, **change)
        name = f"c-{number}"
        probe.call("create", "ConfigMap", namespace="default", object=config_map_named(name))
        beds.wait_for("the object in the copy",
                      lambda: name in [line["name"] for line in probe.of(reflector, "added")])  # noqa: B023
        wall_ms = (time.time() * 1000) + sum(done.get("wallMs", 0) for done in jumps[:number + 1])
        beds.wait_for("a renewal", lambda: abs(probe.stats()["leaseRenewedMs"] - wall_ms) < 3000, timeout=3)  # noqa: B023
        after = probe.stats()
        assert after["cpuUs"] - before["cpuUs"] < cpu_limit(0.1, probe), change
        assert after["connects"] == before["connects"] or "suspendedMs" in change, (change, before, after)
    assert probe.stats()["connects"] <= 2 and len(proxy.accepted) <= 2
    renewed = probe.stats()["leaseRenewedMs"]
    time.sleep(2.2)
    assert 900 < probe.stats()["leaseRenewedMs"] - renewed < 3500, "renewed each second as before"


# HTTP/2

@pytest.fixture
def start_h2(authority, certificate, start_probe, tmp_path):
    """Makes HTTP/2 servers that answer by script, each with a probe of its own."""
    with contextlib.ExitStack() as stack:
        def start(**options):
            server = stack.enter_context(h2.H2FaultServer(certificate, **options))
            return server, start_probe(server.kubeconfig(tmp_path / f"h2-{server.port}.kubeconfig", authority))
        yield start


def goaway(code=h2.NO_ERROR, has_seen=False):
    """A GOAWAY that has seen the request, or has not."""
    return lambda link, request: link.goaway(request.stream - (0 if has_seen else 2) if request.stream > 1 or has_seen else 0, code)


def reset(code):
    return lambda link, request: link.reset(request.stream, code)


def cut(link, _):
    link.cut()


def raw(*frames):
    """Frames as they are; a function gets the stream's number."""
    return lambda link, request: link.send(b"".join(part(request.stream) if callable(part) else part for part in frames))


def part_of_answer(link, request):
    link.headers(request.stream)
    link.data(request.stream, b'{"kind":"Con')


def half_a_frame(link, request):
    link.headers(request.stream)
    link.send(h2.frame(h2.DATA, 0, request.stream, b'{"kind":"ConfigMap"' + b" " * 81)[:60])
    link.cut()


def answer_of_length(length):
    def send(link, request):
        link.headers(request.stream, fields=[("content-length", str(length))])
        link.data(request.stream, b"{}" * 8, is_end=True)
    return send


def promise(link, request):
    block = h2.encode_fields([(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a")])
    link.send(h2.frame(h2.PUSH_PROMISE, h2.END_HEADERS, request.stream, b"\0\0\0\2" + block))


def bomb(stream):
    """A field of 3 KB, and 120 references to it of a byte each: 360 KB of header list."""
    block = h2.encode_fields([(":status", "200")]) + b"\x40\x01x\x7f" + bytes([3000 - 127 & 0x7F | 0x80, 3000 - 127 >> 7])
    return h2.frame(h2.HEADERS, h2.END_HEADERS, stream, block + b"y" * 3000 + b"\xbe" * 120)


def endless_headers(stream):
    return h2.frame(h2.HEADERS, 0, stream, h2.encode_fields([(":status", "200")])) + b"".join(
        h2.frame(h2.CONTINUATION, 0, stream, h2.encode_fields([(f"x-{number}", "y" * 16000)])) for number in range(200))


def big_answer(link, request):
    """Eight times the client's window for a stream, in one go and whatever the windows say."""
    h2.answer(config_map("one", 5, "x" * (8 << 20)))(link, request)


GOOD = h2.answer(config_map("one", 5))
LOST = "Unavailable"
# What happens to a read and what to a write: "done", or the error's code and how its text ends; how often each is asked
# (at most, where the client has a limit of time), and the connections it takes.
ANSWERS = {
    "an answer in order": ([GOOD], "done", 1, "done", 1, 1),
    "1xx before the answer": ([h2.in_turn(lambda link, request: link.headers(request.stream, 103), GOOD)], "done", 1, "done", 1, 1),
    "frames of unknown types": ([h2.in_turn(raw(h2.frame(0xFA, 0xFF, 0, b"?" * 99), lambda s: h2.frame(0xFB, 1, s)), GOOD)],
                                "done", 1, "done", 1, 1),
    "RST_STREAM after the answer": ([h2.in_turn(GOOD, reset(h2.NO_ERROR))], "done", 1, "done", 1, 1),
    "no heed of windows": ([big_answer], "done", 1, "done", 1, 1),
    "GOAWAY that has not seen it": ([goaway(), GOOD], "done", 2, "done", 2, 2),
    "GOAWAY with ENHANCE_YOUR_CALM": ([goaway(h2.ENHANCE_YOUR_CALM), GOOD], "done", 2, "done", 2, 2),
    "GOAWAY that has seen it": ([h2.in_turn(goaway(has_seen=True), GOOD)], "done", 1, "done", 1, 1),
    "GOAWAY of a shutdown in two steps": ([h2.in_turn(lambda link, _: link.goaway(0x7FFFFFFF), GOOD, goaway(has_seen=True))],
                                          "done", 1, "done", 1, 1),
    "GOAWAY that has seen it, and the end": ([h2.in_turn(goaway(has_seen=True), cut), GOOD], "done", 2, LOST, 1, 2),
    "GOAWAY and ever again": ([goaway(h2.ENHANCE_YOUR_CALM)], (LOST, "takes no more requests on this connection"), 11,
                              (LOST, "takes no more requests on this connection"), 11, 11),
    "REFUSED_STREAM": ([reset(h2.REFUSED_STREAM), GOOD], "done", 2, "done", 2, 1),
    "REFUSED_STREAM for ever": ([reset(h2.REFUSED_STREAM)], (LOST, "takes no more requests on this connection"), 11,
                                (LOST, "takes no more requests on this connection"), 11, 1),
    "REFUSED_STREAM in the answer": ([h2.in_turn(part_of_answer, reset(h2.REFUSED_STREAM)), GOOD],
                                     (LOST, "stream error: REFUSED_STREAM"), 1, (LOST, "stream error: REFUSED_STREAM"), 1, 1),
    "GOAWAY in the answer that has not seen it": ([h2.in_turn(part_of_answer, goaway()), GOOD], (LOST, "stream error: REFUSED_STREAM"),
                                                  1, (LOST, "stream error: REFUSED_STREAM"), 1, 1),
    "INTERNAL_ERROR": ([reset(h2.INTERNAL_ERROR), GOOD], (LOST, "stream error: INTERNAL_ERROR"), 1,
                       (LOST, "stream error: INTERNAL_ERROR"), 1, 1),
    "INTERNAL_ERROR in the answer": ([h2.in_turn(part_of_answer, reset(h2.INTERNAL_ERROR)), GOOD],
                                     (LOST, "stream error: INTERNAL_ERROR"), 1, (LOST, "stream error: INTERNAL_ERROR"), 1, 1),
    "a cut instead of an answer": ([cut, GOOD], "done", 2, LOST, 1, 2),
    "a cut in the answer": ([h2.in_turn(part_of_answer, cut), GOOD], "done", 2, LOST, 1, 2),
    "a cut in a frame": ([half_a_frame, GOOD], "done", 2, LOST, 1, 2),
    "PUSH_PROMISE": ([h2.in_turn(promise, GOOD), GOOD], "done", 2, LOST, 1, 2),
    "DATA without HEADERS": ([lambda link, request: link.data(request.stream, b"{}", is_end=True), GOOD],
                             "done", 2, LOST, 1, 2),
    "a stream that nobody opened": ([raw(h2.frame(h2.HEADERS, h2.END_HEADERS, 2, h2.encode_fields([(":status", "200")]))), GOOD],
                                    "done", 2, LOST, 1, 2),
    "more to a window than it holds": ([raw(h2.frame(h2.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff")), GOOD], "done", 2, LOST, 1, 2),
    "fields that do not decode": ([raw(lambda s: h2.frame(h2.HEADERS, h2.END_HEADERS, s, b"\xff\xff\xff\xff\xff\xff")), GOOD],
                                  "done", 2, LOST, 1, 2),
    "a frame that is too large": ([raw(lambda s: b"\x80\0\0\0\0" + s.to_bytes(4, "big")), GOOD], "done", 2, LOST, 1, 2),
    "more fields than are taken": ([raw(bomb), GOOD], (LOST, "stream error: INTERNAL_ERROR"), 1,
                                   (LOST, "stream error: INTERNAL_ERROR"), 1, 1),
    "fields without end": ([raw(endless_headers), GOOD], "done", 2, LOST, 1, 2),
    "an error in trailers only": ([lambda link, request: link.headers(request.stream, 503, is_end=True), GOOD],
                                  (LOST, "unable to handle the request (get configmaps one)"), 1,
                                  (LOST, "unable to handle the request (post configmaps)"), 1, 1),
    "an answer in trailers only": ([lambda link, request: link.headers(request.stream, is_end=True), GOOD],
                                   ("Internal", "the answer is empty"), 1, ("Internal", "the answer is empty"), 1, 1),
    "an answer with trailers": ([lambda link, request: (
        link.headers(request.stream), link.data(request.stream, json.dumps(config_map("one", 5)).encode()),
        link.trailers(request.stream, ("x-sum", "1")))], "done", 1, "done", 1, 1),
    "less than content-length says": ([answer_of_length(17), GOOD], (LOST, "stream error: PROTOCOL_ERROR"), 1,
                                      (LOST, "stream error: PROTOCOL_ERROR"), 1, 1),
    "more than content-length says": ([answer_of_length(15), GOOD], (LOST, "stream error: PROTOCOL_ERROR"), 1,
                                      (LOST, "stream error: PROTOCOL_ERROR"), 1, 1),
    "an answer without a status": ([raw(lambda s: h2.frame(h2.HEADERS, 5, s, h2.encode_fields([("a", "b")]))), GOOD],
                                   (LOST, "stream error: PROTOCOL_ERROR"), 1, (LOST, "stream error: PROTOCOL_ERROR"), 1, 1),
}


class Asked:
    """A read and a write of one row, each of a probe with a server of its own."""

    def __init__(self, start_h2, name):
        self.name = name
        steps, *self.expected = ANSWERS[name]
        self.pairs = []
        for method, path, verb, where in (("GET", ONE, "get", {"name": "one"}),
                                          ("POST", CONFIG_MAPS, "create", {"object": config_map_named("one")})):
            server, probe = start_h2()
            server.on(method, path, *steps)
            self.pairs.append((server, probe, probe.start_call(verb, "ConfigMap", namespace="default", **where)))

    def check(self):
        for number, (server, probe, call) in enumerate(self.pairs):
            about = (self.name, server.requests[0].method)
            expected, most = self.expected[2 * number:2 * number + 2]
            end = probe.wait(call, "done", "failed")
            asked = len(server.requests)
            if expected == "done":
                assert end["what"] == "done" and end["object"]["metadata"]["resourceVersion"] == "5", (about, end)
            else:
                code, text = (expected, "") if isinstance(expected, str) else expected
                assert end["what"] == "failed" and end["code"] == code and end["error"].endswith(text), (about, end)
            assert asked == most or most == 11 and 3 <= asked <= most, (about, asked)
            stats = probe.stats()
            connects = self.expected[4] if most > 1 else 1
            assert stats["connects"] == connects or connects == 11 and stats["connects"] == asked, (about, stats)
            assert stats["tasks"] == 0 and stats["cpuUs"] < cpu_limit(0.6, probe), (about, stats)
            # And the client is as good as new, where the script has an end.
            if expected == "done" or most == 1:
                server.on("GET", ONE, GOOD)
                assert probe.call("get", "ConfigMap", namespace="default", name="one")["http"] == 200, about
                assert probe.stats()["connections"] == 1 and len(server.requests) == asked + 1, about
            probe.close()


def test_http2_that_goes_wrong_is_asked_again_where_that_is_safe(start_h2):
    """All rows at a time, some at once: half of them wait a second for a lost connection, or three for the limit."""
    names = list(ANSWERS)
    for at in range(0, len(names), 8):
        for asked in [Asked(start_h2, name) for name in names[at:at + 8]]:
            asked.check()


NOT_SETTINGS = {
    "HTTP/1.1": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "another frame": h2.frame(h2.PING, 0, 0, b"12345678"),
    "SETTINGS that may not be": h2.settings_frame({h2.INITIAL_WINDOW_SIZE: 1 << 31}),
    "zeros": bytes(100),
    "GOAWAY at once": h2.settings_frame({h2.MAX_CONCURRENT_STREAMS: 1}) + h2.frame(h2.GOAWAY, 0, 0, bytes(8)),
}


@pytest.mark.parametrize("name", NOT_SETTINGS)
def test_a_server_that_begins_with_something_else_is_left_without_haste(start_h2, name):
    server, probe = start_h2(greeting=lambda link: link.send(NOT_SETTINGS[name]))
    calls = [probe.start_call(verb, "ConfigMap", namespace="default", timeoutMs=1800, **where)
             for verb, where in (("get", {"name": "one"}), ("create", {"object": config_map_named("one")})) for _ in range(20)]
    for call in calls:
        answer = probe.wait(call, "failed", "done")
        assert answer["what"] == "failed" and answer["http"] == 0, answer
        assert answer["code"] in ("Unavailable", "DeadlineExceeded"), answer
    stats = probe.stats()
    assert 2 <= len(server.connections) <= 16, len(server.connections)
    assert stats["connections"] == 0 and stats["tasks"] == 0 and stats["cpuUs"] < cpu_limit(0.3, probe), stats


def test_a_server_that_takes_one_request_at_a_time_gets_them_all(start_h2):
    settings = {h2.MAX_CONCURRENT_STREAMS: 1, h2.INITIAL_WINDOW_SIZE: 16}
    server, probe = start_h2(greeting=lambda link: link.settings(settings))
    server.on("GET", ONE, GOOD)
    server.on("GET", CONFIG_MAPS, lambda link, request: link.headers(request.stream))
    server.on("POST", CONFIG_MAPS, GOOD)
    watch = probe.send("watch", kind="ConfigMap", namespace="default")
    probe.wait(watch, "open")
    reads = [probe.start_call("get", "ConfigMap", namespace="default", name="one") for _ in range(30)]
    big = config_map_named("one", "x" * 5000)
    assert probe.call("create", "ConfigMap", namespace="default", object=big, client="json")["http"] == 200
    assert all(probe.wait(read, "done")["http"] == 200 for read in reads), "the watch must not keep them waiting"
    assert json.loads(server.asked("POST")[0].body)["data"] == big["data"], "sent in pieces of 16 bytes"
    assert len(server.requests) == 32 and max(link.most_streams for link in server.connections) == 1
    assert 2 <= len(server.connections) <= 16 and not probe.of(watch, "ended")


def test_a_node_watches_more_objects_than_a_connection_takes(start_h2):
    server, probe = start_h2()  # 100 streams, as kube-apiserver
    server.on("GET", CONFIG_MAPS, lambda link, request: link.headers(request.stream))
    server.on("GET", ONE, GOOD)
    watches = [probe.send("watch", kind="ConfigMap", namespace="default") for _ in range(250)]
    for watch in watches:
        probe.wait(watch, "open")
    answer = probe.call("get", "ConfigMap", namespace="default", name="one", client="heartbeat", timeoutMs=1000)
    assert answer["http"] == 200, "heartbeats must get through"
    assert [link.most_streams for link in server.connections] == [100, 100, 51]
    for watch in watches:
        probe.send("end", target=watch)
    beds.wait_for("the server to hear of it", lambda: sum(len(link.resets) for link in server.connections) == 250)
    assert probe.stats()["tasks"] == 0 and set(server.connections[0].resets.values()) == {h2.CANCEL}


def test_a_server_may_close_its_door_and_open_it_again(start_h2):
    server, probe = start_h2(greeting=lambda link: link.settings({h2.MAX_CONCURRENT_STREAMS: 0}))
    server.on("GET", ONE, GOOD)
    reads = [probe.start_call("get", "ConfigMap", namespace="default", name="one") for _ in range(5)]
    late = failure_of(probe.call, "get", "ConfigMap", namespace="default", name="one", timeoutMs=300)
    assert late["code"] == "DeadlineExceeded", late
    # One may have left before the server could say so.
    assert len(server.connections) == 1 and len(server.requests) <= 1
    server.connections[0].settings({h2.MAX_CONCURRENT_STREAMS: 2})
    assert all(probe.wait(read, "done")["http"] == 200 for read in reads)
    assert len(server.requests) == 5 and server.connections[0].most_streams <= 2
    # A further one may be made, which takes nothing. It is dropped when there is room by then; another may be made after it.
    assert probe.stats()["connections"] <= 2


def test_goaway_and_then_silence_holds_up_nobody_else(start_h2):
    server, probe = start_h2()
    server.on("GET", ONE, h2.in_turn(goaway(has_seen=True), lambda link, _: setattr(link, "is_mute", True)), GOOD)
    server.on("GET", CONFIG_MAPS, lambda link, request: link.headers(request.stream))
    watch = probe.send("watch", kind="ConfigMap", namespace="default")
    probe.wait(watch, "open")
    silent = probe.start_call("get", "ConfigMap", namespace="default", name="one", timeoutMs=600)
    beds.wait_for("the GOAWAY", lambda: server.connections[0].is_mute)
    assert probe.call("get", "ConfigMap", namespace="default", name="one")["http"] == 200
    assert probe.wait(silent, "failed")["code"] == "DeadlineExceeded"
    assert [request.connection for request in server.requests] == [0, 0, 1]
    assert probe.stats()["connections"] == 2, "the watch still hopes; pings will tell within 25 s"
    probe.send("end", target=watch)
    beds.wait_for("the silent connection to be closed", lambda: probe.stats()["connections"] == 1)


# How a watch is broken that is in the middle of its third event.
BREAKS = {
    "ended in order": lambda link, stream: link.data(stream, b"", is_end=True),
    "ended with trailers": lambda link, stream: link.trailers(stream, ("x-sum", "1")),
    "cut": lambda link, stream: link.cut(),
    "cut in a frame": lambda link, stream: (link.send(h2.frame(h2.DATA, 0, stream, b"x" * 99)[:11]), link.cut(reset=True)),
    "RST_STREAM INTERNAL_ERROR": lambda link, stream: link.reset(stream, h2.INTERNAL_ERROR),
    "RST_STREAM CANCEL": lambda link, stream: link.reset(stream, h2.CANCEL),
    "GOAWAY below it": lambda link, stream: link.goaway(0),
    "GOAWAY, and the end": lambda link, stream: (link.goaway(stream, h2.ENHANCE_YOUR_CALM), link.cut()),
    "GOAWAY, and its end": lambda link, stream: (link.goaway(stream), link.data(stream, b"", is_end=True)),
    "PUSH_PROMISE": lambda link, stream: link.send(h2.frame(h2.PUSH_PROMISE, h2.END_HEADERS, stream, b"\0\0\0\2" + b"\x82")),
}


class BreakingServer:
    """As CuttingServer, with more ways to break."""

    def __init__(self, server, frame, content_type, break_it):
        self.server, self.frame, self.content_type, self.break_it = server, frame, content_type, break_it
        self.history = [config_map(f"c-{number % 7}", 101 + number, str(number)) for number in range(20)]
        self.watched_from = []
        server.on("GET", CONFIG_MAPS, self.serve)

    def serve(self, link, request):
        if request.query.get("sendInitialEvents"):
            h2.answer({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "message": "no",
                       "code": 422}, 422)(link, request)
        elif not request.query.get("watch"):
            h2.answer({"apiVersion": "v1", "kind": "ConfigMapList", "metadata": {"resourceVersion": "100"},
                       "items": []})(link, request)
        else:
            since = int(request.query["resourceVersion"])
            self.watched_from.append(since)
            frames = [self.frame("ADDED" if int(change["metadata"]["resourceVersion"]) <= 107 else "MODIFIED", change)
                      for change in self.history if int(change["metadata"]["resourceVersion"]) > since]
            link.headers(request.stream, content_type=self.content_type)
            if len(self.watched_from) > 2:
                link.data(request.stream, b"".join(frames))
            else:
                link.data(request.stream, b"".join(frames[:2]) + frames[2][:len(frames[2]) - 3])
                self.break_it(link, request.stream)


@pytest.mark.parametrize("encoding", FRAMES)
def test_a_reflector_goes_on_where_http2_was_broken(start_h2, encoding):
    content_type, frame = FRAMES[encoding]
    begun = {}
    for name, break_it in BREAKS.items():
        server, probe = start_h2()
        script = BreakingServer(server, frame, content_type, break_it)
        begun[name] = script, probe, probe.send("reflect", kind="ConfigMap", namespace="default")
    for name, (script, probe, reflector) in begun.items():
        probe.wait(reflector, "updated", count=13, timeout=20)
        heard = [int(line["version"]) for line in probe.of(reflector, "added", "updated")]
        assert heard == list(range(101, 121)), f"{name}: each change once and in order"
        assert script.watched_from == [100, 102, 104], name
        assert len(probe.of(reflector, "synced")) == 1 and not probe.of(reflector, "deleted"), name
        # A stream that is not offered, a list, three watches. Nothing is listed anew.
        assert len(script.server.requests) == 5, (name, script.server.requests)
        assert replay(probe, reflector) == {f"default/c-{n % 7}": str(101 + n) for n in range(20)}, name
        stats = probe.stats()
        assert stats["connections"] == 1 and stats["cpuUs"] < cpu_limit(0.4, probe), (name, stats)
        probe.close()


def test_nothing_is_left_of_http2_that_went_wrong(start_h2):
    server, probe = start_h2()
    # Without those that wait a second, or for the limit.
    steps = [ANSWERS[name][0][0] for name, row in ANSWERS.items()
             if row[3] == "done" and len(row[0]) == 2 or isinstance(row[1], tuple) and row[2] == 1 or "frames" in name]
    breaks = [act for name, act in BREAKS.items() if "PUSH" not in name]

    def break_everything(rounds):
        for number in range(rounds):
            server.on("POST", CONFIG_MAPS, *[step for step in steps], GOOD)
            server.on("GET", CONFIG_MAPS, *[lambda link, request, act=act: (
                link.headers(request.stream), link.data(request.stream, b'{"type":"ADD'), act(link, request.stream))
                for act in breaks])
            watches = [probe.send("watch", kind="ConfigMap", namespace="default") for _ in breaks]
            for call in [probe.start_call("create", "ConfigMap", namespace="default", client="heartbeat", timeoutMs=3000,
                                          object=config_map_named("one")) for _ in steps]:
                probe.wait(call, "done", "failed")
            for watch in watches:
                probe.wait(watch, "ended")

    break_everything(3)
    before = probe.stats()
    break_everything(10)
    after = probe.stats()
    assert after["tasks"] == 0 and after["connections"] <= 1
    assert after["descriptors"] <= before["descriptors"] + 1, (before, after)
    if not probe.is_sanitized():
        assert after["heapBytes"] - before["heapBytes"] < 64 * 1024, (before, after)
    idle = probe.stats()["cpuUs"]
    time.sleep(0.5)
    assert probe.stats()["cpuUs"] - idle < cpu_limit(0.01, probe), "it spins"


# What is left

def test_nothing_is_left_of_what_was_begun_and_broken(api, start_behind_proxy):
    proxy, probe = start_behind_proxy(api)
    probe.call("get", "Namespace", name="default")

    def break_everything(rounds):
        calls = []
        for number in range(rounds):
            begun = [probe.send("reflect", kind="ConfigMap"), probe.send("watch", kind="Secret"),
                     probe.send("watch", kind="Namespace", timeoutS=60)]
            probe.ask("register", kind="Secret", pod=str(number), namespace="default", names=["a", "b"])
            calls += [probe.start_call("list", "Namespace") for _ in range(3)]
            if number % 4 == 1:
                proxy.cut()
            elif number % 4 == 2:
                proxy.cut_after(down=500)
            for name in begun:
                if not probe.of(name, "ended"):
                    probe.send("end", target=name)
            probe.ask("unregister", kind="Secret", pod=str(number))
        for name in calls:
            probe.wait(name, "done", "failed")

    break_everything(6)
    before = probe.stats()
    break_everything(24)
    beds.wait_for("everything to have ended", lambda: probe.stats()["tasks"] == 0)
    beds.wait_for("the descriptors to be closed", lambda: probe.stats()["descriptors"] <= before["descriptors"] + 1)
    after = probe.stats()
    assert after["connections"] <= 1 and after["secretsWatched"] == 0
    if not probe.is_sanitized():
        assert after["heapBytes"] - before["heapBytes"] < 64 * 1024, (before, after)
        assert after["residentBytes"] < 16 << 20
    idle = probe.stats()["cpuUs"]
    time.sleep(0.5)
    assert probe.stats()["cpuUs"] - idle < cpu_limit(0.01, probe), "it spins"


# The dead peer: begun at the start, looked at in the end

def test_a_peer_that_never_answers_is_given_up(faulted):
    fault = "accepted and never answered"
    probe = faulted.done().probes[fault]
    settle(probe, "r", faulted.expected, timeout=40)
    least, most = CONNECTS[fault]
    assert least <= len(faulted.proxies[fault].accepted) - 1 <= most + 1
    assert probe.stats()["cpuUs"] < cpu_limit(0.5, probe)
    probe.close()


def test_a_peer_that_is_dead_is_noticed_within_30_s(faulted):
    proxy, probe = faulted.done().proxies["dead"], faulted.probes["dead"]
    stalled = faulted.begun["dead"]
    settle(probe, "r", faulted.expected, timeout=40)
    assert len(proxy.accepted) == 2, [at - stalled for at in proxy.accepted]
    assert 15 < proxy.accepted[1] - stalled < 30, proxy.accepted[1] - stalled
    assert sorted(line["version"] for line in probe.of("r", "added", "updated")
                  if line["name"].startswith("c-")) == sorted(faulted.writer.versions)

    heartbeat = probe.wait(faulted.calls["heartbeat"], "failed")
    assert heartbeat["code"] == "DeadlineExceeded" and 9.9 < heartbeat["at"] - stalled < 15, heartbeat
    read = probe.wait(faulted.calls["get"], "done", "failed")
    assert read["http"] in (200, 404) and 15 < read["at"] - stalled < 32, "a read is asked again on the new connection"
    write = probe.wait(faulted.calls["create"], "failed")
    assert write["code"] == "Unavailable" and write["http"] == 0, write
    stats = probe.stats()
    assert stats["connections"] == 1 and stats["descriptors"] <= faulted.before["dead"]["descriptors"] + 1
    assert stats["cpuUs"] - faulted.before["dead"]["cpuUs"] < cpu_limit(0.3, probe)
    probe.close()
