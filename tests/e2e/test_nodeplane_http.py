"""The API on the wire, by curl over HTTP/1.1 and HTTP/2: encodings, lists in pages, watches, which tell every change
exactly once and in order or say 410, and the certificate that is served with."""

import datetime
import json
import ssl
import subprocess
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

import bed as beds
import plane as planes

PROTOBUF = "application/vnd.kubernetes.protobuf"
VERSIONS = ["--http1.1", "--http2"]


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


@pytest.fixture
def maps(namespace):
    return f"/api/v1/namespaces/{namespace}/configmaps"


def create(api, maps, name, **data):
    code, answer = api.request("POST", maps, config_map(name, **data))
    assert code == 201, answer
    return answer


def put(api, maps, name, **data):
    code, answer = api.request("PUT", f"{maps}/{name}", config_map(name, **data))
    assert code == 200, answer
    return answer


def list_version(api, maps):
    return api.request("GET", maps)[1]["metadata"]["resourceVersion"]


def watch(api, path, *options, timeout=10):
    """All events until the server ends the watch."""
    text = api.curl(path, *options, timeout=timeout).stdout
    return [json.loads(line) for line in text.splitlines()]


def short(events):
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


# what is answered

@pytest.mark.parametrize("version", VERSIONS)
def test_both_protocols_answer(api, maps, version):
    answer = api.curl(maps, version, "-w", "\n%{http_version} %{http_code} %{content_type}").stdout
    body, _, line = answer.rpartition("\n")
    assert line == f"{'2' if version == '--http2' else '1.1'} 200 application/json"
    assert json.loads(body)["kind"] == "ConfigMapList"
    assert api.curl("/healthz", version).stdout == "ok"


@pytest.mark.parametrize("version", VERSIONS)
def test_many_requests_on_one_connection(api, maps, version):
    paths = [f"{api.server}{maps}?limit={limit}" for limit in range(1, 40)]
    result = subprocess.run(["curl", "-sS", "--noproxy", "*", "--max-time", "20", *api.credentials(), version,
                             *(["--parallel", "--parallel-max", "10"] if version == "--http2" else []),
                             "-w", "%{num_connects}\n", *[part for path in paths for part in ("-o", "/dev/null", path)]],
                            capture_output=True, text=True, check=True, timeout=30)
    connects = [int(line) for line in result.stdout.split()]
    assert len(connects) == len(paths)
    assert sum(connects) <= (10 if version == "--http2" else 1), connects


def test_encodings_say_the_same(api, maps, tmp_path):
    create(api, maps, "a", x="1")
    yaml_text = api.curl(f"{maps}/a", "-H", "Accept: application/yaml").stdout
    assert "kind: ConfigMap\n" in yaml_text and 'x: "1"' in yaml_text
    path = tmp_path / "a.pb"
    api.curl(f"{maps}/a", "-H", f"Accept: {PROTOBUF}", "-o", str(path))
    binary = path.read_bytes()
    assert binary.startswith(b"k8s\0") and b"ConfigMap" in binary
    # And back: what the server said it also understands.
    api.request("DELETE", f"{maps}/a")
    stripped = api.curl(maps, "-X", "POST", "-H", "Content-Type: application/yaml", "-w", "%{http_code}", "--data-binary",
                        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: from-yaml}\ndata: {x: 'y'}\n").stdout
    assert stripped.endswith("201")
    answer = api.curl(f"{maps}/from-yaml", "-H", "Accept: application/json;as=Table;v=v1;g=meta.k8s.io").stdout
    table = json.loads(answer)
    assert (table["kind"], table["rows"][0]["cells"][:2]) == ("Table", ["from-yaml", 1])
    answer = api.curl(f"{maps}/from-yaml", "-H", "Accept: application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io").stdout
    assert json.loads(answer)["kind"] == "PartialObjectMetadata" and "data" not in json.loads(answer)


def test_an_object_in_protobuf_is_understood(api, maps, tmp_path):
    created = create(api, maps, "a", x="1")
    path = tmp_path / "a.pb"
    api.curl(f"{maps}/a", "-H", f"Accept: {PROTOBUF}", "-o", str(path))
    answer = api.curl(f"{maps}/a", "-X", "PUT", "-H", f"Content-Type: {PROTOBUF}", "--data-binary", f"@{path}").stdout
    assert json.loads(answer)["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]
    path.write_bytes(path.read_bytes()[:-3])
    answer = api.curl(f"{maps}/a", "-X", "PUT", "-H", f"Content-Type: {PROTOBUF}", "--data-binary", f"@{path}").stdout
    assert json.loads(answer)["code"] == 400


def test_codes_for_what_does_not_fit(api, maps, tmp_path):
    assert api.request("GET", "/api/v1/pods/name")[0] == 404
    assert api.request("PUT", maps, config_map("a"))[0] == 405
    assert api.request("POST", f"{maps}/a", config_map("a"))[0] == 405
    assert api.request("GET", "/apis/nothing.example/v1")[0] == 404
    assert api.request("POST", maps, "{", )[0] == 400
    assert api.request("POST", maps, config_map("a"), content_type="text/plain")[0] == 415
    code, answer = api.request("POST", maps, {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "a"}})
    assert (code, answer["reason"]) == (400, "BadRequest")
    assert json.loads(api.curl(maps, "-H", "Accept: text/html").stdout)["code"] == 406
    large = tmp_path / "large.json"
    large.write_text(json.dumps(config_map("large", x="y" * (4 << 20))))
    assert api.request("POST", maps, f"@{large}")[0] == 413


# lists

def test_lists_come_in_pages(api, maps):
    for number in range(7):
        create(api, maps, f"m{number}")
    names, query, remaining = [], "", []
    while True:
        code, page = api.request("GET", f"{maps}?limit=3{query}")
        assert code == 200 and len(page["items"]) <= 3
        names += [item["metadata"]["name"] for item in page["items"]]
        remaining.append(page["metadata"].get("remainingItemCount"))
        if not page["metadata"].get("continue"):
            break
        query = f"&continue={page['metadata']['continue']}"
    assert [name for name in names if name.startswith("m")] == [f"m{number}" for number in range(7)]
    assert remaining[0] >= 4 and remaining[-1] is None
    assert api.request("GET", f"{maps}?limit=3&continue=nonsense")[0] == 400


def test_conditional_writes(api, maps):
    version = create(api, maps, "a", x="1")["metadata"]["resourceVersion"]
    stale = config_map("a", x="2")
    stale["metadata"]["resourceVersion"] = version
    put(api, maps, "a", x="3")
    code, answer = api.request("PUT", f"{maps}/a", stale)
    assert (code, answer["reason"]) == (409, "Conflict")
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "1-2-3"}}
    assert api.request("DELETE", f"{maps}/a", options)[0] == 409
    options["preconditions"] = {"resourceVersion": list_version(api, f"{maps}/a")}
    assert api.request("DELETE", f"{maps}/a", options)[0] == 200


# watches

@pytest.mark.parametrize("version", VERSIONS)
def test_a_watch_tells_what_happened_since(api, maps, version):
    since = list_version(api, maps)
    create(api, maps, "a", x="1")
    put(api, maps, "a", x="2")
    api.request("DELETE", f"{maps}/a")
    events = watch(api, f"{maps}?watch=1&resourceVersion={since}&timeoutSeconds=1", version)
    assert short(events) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions)) and versions[0] > int(since)


def test_selectors_turn_changes_into_comings_and_goings(api, maps):
    since = list_version(api, maps)
    create(api, maps, "a")
    for label in ("web", "db"):
        code, _ = api.request("PATCH", f"{maps}/a", {"metadata": {"labels": {"app": label}}},
                              content_type="application/merge-patch+json")
        assert code == 200
    events = watch(api, f"{maps}?watch=1&resourceVersion={since}&timeoutSeconds=1&labelSelector=app%3Dweb")
    assert short(events) == [("ADDED", "a"), ("DELETED", "a")]


def test_bookmarks_say_how_far_the_watch_is(api, maps):
    create(api, maps, "a")
    events = watch(api, f"{maps}?watch=1&timeoutSeconds=1&allowWatchBookmarks=true&sendInitialEvents=true"
                        "&resourceVersionMatch=NotOlderThan&fieldSelector=metadata.name%3Da")
    assert short(events)[:2] == [("ADDED", "a"), ("BOOKMARK", "")]
    mark = events[1]["object"]
    assert mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(mark["metadata"]["resourceVersion"]) >= int(events[0]["object"]["metadata"]["resourceVersion"])
    code, answer = api.request("GET", f"{maps}?watch=1&sendInitialEvents=true")
    assert code == 422 and "resourceVersionMatch" in answer["message"]


def test_a_watch_in_protobuf(api, maps, tmp_path):
    create(api, maps, "a")
    path = tmp_path / "frames"
    api.curl(f"{maps}?watch=1&timeoutSeconds=1&resourceVersion=0&fieldSelector=metadata.name%3Da", "-H",
             f"Accept: {PROTOBUF}", "-o", str(path))
    frames = path.read_bytes()
    length = int.from_bytes(frames[:4], "big")
    assert b"ADDED" in frames[4:4 + length] and b"k8s\0" in frames[4:4 + length]
    assert len(frames) == 4 + length


@pytest.mark.parametrize("version", VERSIONS)
def test_every_change_is_told_once_and_in_order(api, maps, version):
    """Writers run while watches come and go: each watch goes on from the last version it has seen."""
    writers, rounds = 4, 60
    since = list_version(api, maps)
    done = threading.Event()

    def write(number):
        connection = api.connection()
        for turn in range(rounds):
            method, path = ("POST", maps) if turn == 0 else ("PUT", f"{maps}/w{number}")
            connection.request(method, path, json.dumps(config_map(f"w{number}", turn=str(turn))),
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            assert answer.status in (200, 201), answer.read()
            answer.read()
        connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    seen = []

    def follow():
        last = since
        while not done.is_set() or last != list_version(api, maps):
            events = watch(api, f"{maps}?watch=1&timeoutSeconds=1&resourceVersion={last}", version)
            assert all(event["type"] != "ERROR" for event in events), events
            seen.extend(events)
            if events:
                last = events[-1]["object"]["metadata"]["resourceVersion"]
            if done.is_set() and not events:
                return

    follower = threading.Thread(target=follow)
    follower.start()
    for thread in threads:
        thread.join()
    done.set()
    follower.join()
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in seen]
    assert versions == sorted(set(versions))
    mine = [event for event in seen if event["object"]["metadata"]["name"].startswith("w")]
    for number in range(writers):
        turns = [event["object"]["data"]["turn"] for event in mine if event["object"]["metadata"]["name"] == f"w{number}"]
        assert turns == [str(turn) for turn in range(rounds)]


def test_a_version_that_has_gone_is_410(make_plane):
    plane = make_plane("--unsafe-no-fsync").start()
    maps = "/api/v1/namespaces/default/configmaps"
    since = list_version(plane, maps)
    for number in range(45):  # more than is remembered
        put_or_create = create if number == 0 else put
        put_or_create(plane, maps, "a", x=f"{number}" + "x" * 100_000)
    events = watch(plane, f"{maps}?watch=1&resourceVersion={since}&timeoutSeconds=5")
    assert [(event["type"], event["object"]["code"], event["object"]["reason"]) for event in events] == [
        ("ERROR", 410, "Expired")]
    # A restart forgets what happened, and says so as well.
    since = list_version(plane, maps)
    put(plane, maps, "a", x="1")
    plane.restart()
    events = watch(plane, f"{maps}?watch=1&resourceVersion={since}&timeoutSeconds=5")
    assert events[0]["object"]["code"] == 410
    assert short(watch(plane, f"{maps}?watch=1&resourceVersion={list_version(plane, maps)}&timeoutSeconds=1")) == []


def test_watches_end_in_order_with_the_server(make_plane):
    plane = make_plane("--unsafe-no-fsync").start()
    with planes.Watch(plane, "/api/v1/namespaces?watch=1") as watcher:
        assert watcher.next()["type"] == "ADDED"
        assert plane.stop() == 0
        while watcher.next() is not None:
            pass
        assert watcher.process.wait(5) == 0  # chunked to its end: curl has nothing to complain about


# certificates

def end_soon(plane, seconds):
    """Gives the server of a plane that is not running the certificate it has, but for @seconds."""
    pki = plane.dir / "pki"
    old = x509.load_pem_x509_certificate((pki / "apiserver.crt").read_bytes())
    key = serialization.load_pem_private_key((pki / "ca.key").read_bytes(), None)
    now = datetime.datetime.utcnow().replace(microsecond=0)
    builder = x509.CertificateBuilder(old.issuer, old.subject, old.public_key(), x509.random_serial_number(), now,
                                      now + datetime.timedelta(seconds=seconds), list(old.extensions))
    new = builder.sign(key, hashes.SHA256())
    (pki / "apiserver.crt").write_bytes(new.public_bytes(serialization.Encoding.PEM))
    return new.serial_number


def shown_to_new_connections(plane):
    return x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", plane.port)).encode())


def test_the_serving_certificate_is_renewed_while_running(make_plane):
    plane = make_plane("--unsafe-no-fsync").start()
    plane.stop()
    short_lived = end_soon(plane, 12)
    plane.start()
    connection = plane.connection()
    try:
        connection.request("GET", "/readyz")
        assert connection.getresponse().read() == b"ok"
        socket = connection.sock
        assert shown_to_new_connections(plane).serial_number == short_lived
        beds.wait_for("another certificate", lambda: shown_to_new_connections(plane).serial_number != short_lived, timeout=20)
        new = shown_to_new_connections(plane)
        assert new.not_valid_after - datetime.datetime.utcnow() > datetime.timedelta(days=360)
        assert new.public_bytes(serialization.Encoding.PEM) == (plane.dir / "pki" / "apiserver.crt").read_bytes()
        # Who is connected stays so.
        connection.request("GET", "/readyz")
        assert connection.getresponse().read() == b"ok" and connection.sock is socket
        assert plane.curl("/readyz").stdout == "ok"
    finally:
        connection.close()


def test_kubeconfigs_work_where_they_point_to(make_plane):
    plane = make_plane("--unsafe-no-fsync", "--advertise=https://plane.example:6443").start()
    assert "https://plane.example:6443" in plane.kubeconfig.read_text()
    names = shown_to_new_connections(plane).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "plane.example" in names.get_values_for_type(x509.DNSName)


def test_a_second_process_touches_no_certificate(make_plane):
    plane = make_plane("--unsafe-no-fsync").start()
    before = {path.name: path.read_bytes() for path in (plane.dir / "pki").iterdir()}
    second = planes.Plane(plane.dir, *plane.flags, "--tls-san=other.example")
    result = subprocess.run(second.command(), capture_output=True, text=True, timeout=10, check=False)
    assert result.returncode == 1 and "in use by another process" in result.stderr
    assert {path.name: path.read_bytes() for path in (plane.dir / "pki").iterdir()} == before
