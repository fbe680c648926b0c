"""The program kubecodec: recorded and golden objects in all encodings, lists, streams, watches and refusals."""

import base64
import itertools
import json
import os
import pathlib
import shutil
import subprocess

import bed as beds
import children
import pytest
import yaml

PROGRAM = pathlib.Path(os.environ.get("CUBELET", beds.ROOT / "build" / "cubelet")).with_name("kubecodec")
RECORDED = beds.ROOT / "tests" / "data" / "recorded"
VECTORS = pathlib.Path(os.environ.get("CUBELET_SHARED", beds.ROOT.parent / "shared")) / "vectors"
GOLDEN = sorted(path.with_suffix("") for path in VECTORS.glob("*.json")) or [None]
FORMATS = {"json": ".json", "yaml": ".yaml", "protobuf": ".pb"}


class Loader(yaml.SafeLoader):
    """Reads times as the texts they are in JSON."""

    yaml_implicit_resolvers = {
        first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}


def run(data, *options):
    return subprocess.run([PROGRAM, *options], input=data, capture_output=True, timeout=60, check=False)


def convert(data, source, target, *options):
    """Converts and returns the bytes; fails with the program's own words."""
    result = run(data, "--from", source, "--to", target, *options)
    assert result.returncode == 0, result.stderr.decode()
    assert result.stderr == b""
    return result.stdout


def said(node):
    """Without what Go prints although it says nothing: null and a list's empty resourceVersion."""
    if isinstance(node, dict):
        return {key: said(value) for key, value in node.items()
                if value is not None and not (key == "metadata" and value == {"resourceVersion": ""})}
    return [said(value) for value in node] if isinstance(node, list) else node


def shown(node):
    """As above, for what kubecodec prints: an empty metadata of a List is not in question either."""
    return {key: value for key, value in said(node).items() if key != "metadata" or value}


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.name if path else "none")
def test_golden_objects_are_the_same_in_every_encoding(golden):
    if golden is None:
        pytest.skip("no golden objects in $CUBELET_SHARED/vectors")
    texts = {name: golden.with_name(golden.name + suffix).read_bytes() for name, suffix in FORMATS.items()}
    for source, target in itertools.product(FORMATS, FORMATS):
        result = convert(texts[source], source, target)
        if target == "protobuf":
            assert result == texts["protobuf"]
        else:
            assert yaml.load(result, Loader) == json.loads(texts["json"])


@pytest.mark.parametrize("name", ["pods", "node", "leases", "csinode"])
def test_recorded_objects_come_back(name):
    recorded = (RECORDED / "api" / f"{name}.json").read_bytes()
    want = shown(json.loads(recorded))
    for through in FORMATS:
        there = convert(recorded, "json", through)
        assert shown(json.loads(convert(there, through, "json"))) == want


def test_a_typed_list_stays_one():
    pods = json.loads((RECORDED / "api" / "pods.json").read_text())["items"]
    for pod in pods:
        del pod["kind"], pod["apiVersion"]
    pod_list = {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "7", "continue": "x"},
                "items": pods}
    there = convert(json.dumps(pod_list).encode(), "json", "protobuf")
    assert there.startswith(b"k8s\0")
    assert said(json.loads(convert(there, "protobuf", "json"))) == said(pod_list)
    assert json.loads(convert(b'{"kind":"PodList","apiVersion":"v1"}', "json", "json"))["items"] == []


def test_documents_of_a_stream_stay_apart():
    stream = (RECORDED / "input" / "pods.yaml").read_bytes()
    want = [document for document in yaml.load_all(stream, Loader) if document]
    lines = convert(stream, "yaml", "json").splitlines()
    names = [document["metadata"]["name"] for document in want]
    assert [json.loads(line)["metadata"]["name"] for line in lines] == names
    back = list(yaml.load_all(convert(b"\n".join(lines), "json", "yaml"), Loader))
    assert back == [json.loads(line) for line in lines]
    refused = run(stream, "--from", "yaml", "--to", "protobuf")
    assert refused.returncode == 1 and b"put them into a v1 List" in refused.stderr and refused.stdout == b""


def test_kubectl_reads_what_is_written(tmp_path):
    """An independent reader: kubectl's own decoder of manifests, which needs no server for this."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl")
    manifest = tmp_path / "node.yaml"
    recorded = (RECORDED / "api" / "node.json").read_bytes()
    manifest.write_bytes(convert(recorded, "json", "yaml"))
    shown_by_kubectl = subprocess.run(
        [kubectl, "label", "--local", "-f", manifest, "seen=yes", "-o", "json"], capture_output=True, check=True,
        timeout=60).stdout
    read = json.loads(shown_by_kubectl)
    assert read["metadata"]["labels"].pop("seen") == "yes"
    assert said(read)["status"] == said(json.loads(recorded))["status"]
    assert said(read)["metadata"] == said(json.loads(recorded))["metadata"]


@pytest.mark.parametrize("name", ["watch-node", "watch-static"])
def test_recorded_watches_come_back(name):
    recorded = (RECORDED / "api" / f"{name}.jsonl").read_bytes()
    want = [said(json.loads(line)) for line in recorded.splitlines()]
    frames = convert(recorded, "json", "protobuf", "--watch")
    assert [said(json.loads(line)) for line in convert(frames, "protobuf", "json", "--watch").splitlines()] == want
    documents = yaml.load_all(convert(frames, "protobuf", "yaml", "--watch"), Loader)
    assert [said(document) for document in documents] == want
    size = int.from_bytes(frames[:4], "big")
    assert frames[4:6] == b"\x0a\x05" and b"k8s\0" in frames[4:4 + size]


def test_events_of_a_watch_go_out_as_they_come():
    first = (RECORDED / "api" / "watch-node.jsonl").read_bytes().splitlines(keepends=True)[0]
    with children.Child([PROGRAM, "--from", "json", "--to", "json", "--watch"], stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE) as program:
        program.stdin.write(first)
        program.stdin.flush()
        assert json.loads(program.stdout.readline())["type"] == json.loads(first)["type"]
        program.stdin.close()
        assert program.wait(timeout=60) == 0


def test_a_watch_that_is_cut_off_or_broken_fails_after_its_good_events():
    lines = (RECORDED / "api" / "watch-node.jsonl").read_bytes().splitlines(keepends=True)
    for end, message in ((lines[1][:50], b"ends in the middle of an event"),
                         (b"oops", b"something other than an object"),
                         (b'{"type":"ODD","object":{}}', b'unknown type "ODD"')):
        result = run(lines[0] + end, "--from", "json", "--to", "json", "--watch")
        assert result.returncode == 1 and message in result.stderr
        assert len(result.stdout.splitlines()) == 1


def test_unknown_fields_are_refused_or_dropped():
    manifest = b"kind: Pod\napiVersion: v1\nspec:\n  containers:\n  - nmae: x\n"
    refused = run(manifest, "--from", "yaml", "--to", "json")
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert refused.stderr == b'kubecodec: line 5: unknown field "spec.containers[0].nmae"\n'
    pod = json.loads(convert(manifest, "yaml", "json", "--tolerant"))
    assert pod["spec"] == {"containers": [{}]}
    event = b'{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1","odd":1}}'
    assert b'unknown field "odd"' in run(event, "--from", "json", "--to", "json", "--watch").stderr
    assert json.loads(convert(event, "json", "json", "--watch", "--tolerant"))["object"]["kind"] == "Pod"
    # Field 15 of a Pod is none of ours: protobuf has always been read so.
    envelope = base64.b64decode("azhzAAoJCgJ2MRIDUG9kEgV6A2FiYxoAIgA=")
    assert json.loads(convert(envelope, "protobuf", "json")) == {"kind": "Pod", "apiVersion": "v1"}


@pytest.mark.parametrize(("data", "source", "message"), [
    (b"", "json", "invalid JSON"),
    (b"", "yaml", "the input holds no object"),
    (b"# nothing\n", "yaml", "the input holds no object"),
    (b"", "protobuf", "no protobuf envelope"),
    (b"[]", "json", "invalid JSON|expected an object"),
    (b'{"kind":"Pod"}', "json", "Object 'apiVersion' is missing"),
    (b'{"kind":"Foo","apiVersion":"v1"}', "json", 'no kind "Foo" is registered for version "v1"'),
    (b'{"kind":"Pod","apiVersion":"v1","kind":"Pod"}', "json", "duplicate"),
    (b'{"kind":"Pod","apiVersion":"v1","spec":{"priority":"high"}}', "json",
     'spec.priority: expected an integer, found string "high"'),
    (b"kind: Pod\napiVersion: v1\n---\nkind: Pod\napiVersion: v1\nspec: []\n", "yaml",
     "document 2, which begins in line 3"),
])
def test_refusals_say_what_and_where(data, source, message):
    result = run(data, "--from", source, "--to", "json")
    assert result.returncode == 1 and result.stdout == b""
    assert any(part in result.stderr.decode() for part in message.split("|")), result.stderr


@pytest.mark.parametrize("options", [
    [], ["--from", "json"], ["--to", "json"], ["--from", "xml", "--to", "json"],
    ["--from", "json", "--to", "json", "file"],
    ["--from", "yaml", "--to", "json", "--watch"], ["--frm", "json"], ["--from"],
])
def test_misuse_is_told_with_the_usage(options):
    result = run(b"", *options)
    assert result.returncode == 2 and result.stdout == b"" and b"kubecodec" in result.stderr


def test_help_and_a_full_disk():
    assert run(b"", "--help").stdout.startswith(b"Usage: kubecodec")
    assert run(b"", "--version").returncode == 0
    with open("/dev/full", "wb") as full:
        result = subprocess.run([PROGRAM, "--from", "json", "--to", "yaml"], input=b'{"kind":"Pod","apiVersion":"v1"}',
                                stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
    assert result.returncode == 1 and b"writing to standard output: No space left on device" in result.stderr
