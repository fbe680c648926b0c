"""The recorded pods of a kubelet 1.36.2, run as static pods, give the runtime the same configurations and the disk the
same trees. Ids, times and places apart, each accepted difference stands here with its reason."""

import json
import pathlib
import re

import agent as agents
import bed as beds
import images
import pytest
import yaml

RECORDED = beds.ROOT / "tests" / "data" / "recorded"
PODS = {pod["metadata"]["name"]: pod
        for name in ("pods.yaml", "static-web.yaml")
        for pod in yaml.safe_load_all((RECORDED / "input" / name).read_text())}
# Their containers are refused or never started: only the sandbox can be compared.
SANDBOX_ONLY = {"never-pull", "bad-pull", "non-root"}
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.63.0"
IMAGE_ID = re.compile(r"sha256:[0-9a-f]{64}")
SEEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}[Z+-]")
# What containerd 1.6 drops from a configuration when it stores it, because its CRI did not have it.
UNKNOWN_TO_1_6 = {"userns_options", "user_specified_image", "CDI_devices", "supplemental_groups_policy", "stop_signal"}


@pytest.fixture(scope="module")
def recorded_node(bed):
    """The node on which all the recorded pods run at once."""

    bed.ctr("images", "tag", "--force", images.BUSYBOX_IMAGE, AGNHOST)
    node = agents.Agent(bed)
    (node.dir / "resolv.conf").write_text("nameserver 10.255.255.53\n")
    for name, pod in PODS.items():
        node.apply(f"{name}.yaml", {**pod, "spec": {k: v for k, v in pod["spec"].items() if k != "nodeName"}})
    node.start()
    yield node
    if node.process is not None and node.process.is_running():
        node.process.kill()
        node.process.wait()
    bed.cri.remove_all()
    beds.remove_cgroup(node.cgroup_root)


def recorded(name, container=None):
    """The recorded configuration of the pod's sandbox, or of the first kept attempt of one of its containers."""
    pod_name = name if PODS[name]["metadata"].get("namespace") else f"{name}-{beds.NODE_NAME}"
    part = f"container_{container}" if container else "sandbox"
    found = [json.loads(path.read_text())["cri"]["Metadata"]["Config"]
             for path in (RECORDED / "cri").glob(f"{pod_name}_{part}_*.json")]
    return min(found, key=lambda config: config["metadata"].get("attempt", 0))


def without(value, keys):
    """@value without the given keys at any depth."""
    if isinstance(value, dict):
        return {key: without(inner, keys) for key, inner in value.items() if key not in keys}
    return [without(inner, keys) for inner in value] if isinstance(value, list) else value


def place_free(config, replacements):
    """@config with everything replaced that belongs to one machine, run or pod instance."""
    text = json.dumps(config)
    for old, new in replacements:
        text = text.replace(old, new)
    text = re.sub(r"(/containers/[^/\"]+/)[0-9a-f]{8}\"", r'\1HEX"', text)
    return json.loads(IMAGE_ID.sub("IMAGE", text))


def accepted(config, name):
    """@config as recorded, with the differences that are accepted."""
    annotations = config.get("annotations", {})
    # These pods came from an API server there, and come from a file here.
    annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    if annotations.get("kubernetes.io/config.source") == "api":
        annotations["kubernetes.io/config.source"] = "file"
        annotations["kubernetes.io/config.hash"] = "UID"
    if "kubernetes.io/config.seen" in annotations:
        annotations["kubernetes.io/config.seen"] = "SEEN"
    # Without an API server there are no services, so no variables for them, and no service account.
    filters = {"envs": lambda env: not re.match(r"(KUBERNETES|WEB)_", env["key"]),
               "mounts": lambda mount: "serviceaccount" not in mount["container_path"]}
    for key, is_kept in filters.items():
        config[key] = [entry for entry in config.get(key, []) if is_kept(entry)]
        if not config[key]:
            del config[key]
    # The recording keeps a later attempt where the first was already removed; what is compared is the first.
    if "log_path" in config:
        config["metadata"]["attempt"] = 0
        config["log_path"] = f"{config['metadata']['name']}/0.log"
        annotations["io.kubernetes.container.restartCount"] = "0"
        # Huge page sizes are the machine's.
        names = {"2048kB": "2MB", "1048576kB": "1GB", "64kB": "64KB", "32768kB": "32MB"}
        config["linux"]["resources"]["hugepage_limits"] = [
            {"page_size": names[path.name.removeprefix("hugepages-")]}
            for path in pathlib.Path("/sys/kernel/mm/hugepages").glob("hugepages-*")]
    if name == "web" and "log_path" in config:
        config["image"]["user_specified_image"] = AGNHOST
    return config


def comparable(node, config, name, uid):
    """Our configuration @config of the static pod @name, in the recording's terms."""
    annotations = config.get("annotations", {})
    if "kubernetes.io/config.seen" in annotations:
        assert SEEN.match(annotations["kubernetes.io/config.seen"])
        annotations["kubernetes.io/config.seen"] = "SEEN"
    return place_free(config, [
        (str(node.root_dir), "/var/lib/kubelet"), (str(node.pod_logs), "/var/log/pods"),
        ("/" + node.cgroup_root, ""), (uid, "UID"), (f"{name}-{beds.NODE_NAME}", name)])


def settle(node, config):
    """Without what this runtime does not keep, and with the huge page sizes, which come in the order of a directory
    listing, sorted."""
    old = node.bed.cri.call("Version").runtime_version.startswith("1.6.")
    config["linux"]["resources"].get("hugepage_limits", []).sort(key=lambda limit: limit["page_size"])
    # containerd 2 puts these into the stored map by itself (enable_unprivileged_ports, …_icmp).
    for name_added in ("net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range"):
        config["linux"].get("sysctls", {}).pop(name_added, None)
    return without(config, UNKNOWN_TO_1_6 if old else set())


def own_sandbox(node, name):
    label = {"io.kubernetes.pod.name": f"{name}-{beds.NODE_NAME}"}
    found = beds.wait_for(f"the sandbox of {name}", lambda: node.bed.cri.call(
        "ListPodSandbox", filter={"label_selector": label}).items, timeout=60)
    return min(found, key=lambda item: item.metadata.attempt)


def expected(config, name):
    uid = (config.get("labels") or {})["io.kubernetes.pod.uid"]
    return place_free(accepted(config, name), [(uid, "UID"), (f"{name}-{beds.NODE_NAME}", name)])


def test_all_recorded_pods_are_there():
    assert len(PODS) == 16
    for name in PODS:
        assert recorded(name)["metadata"]["name"].startswith(name)


@pytest.mark.parametrize("name", sorted(PODS))
def test_a_sandbox_is_configured_as_the_kubelet_does(recorded_node, name):
    sandbox = own_sandbox(recorded_node, name)
    config = recorded_node.bed.cri.sandbox_info(sandbox.id)["config"]
    ours = comparable(recorded_node, config, name, sandbox.metadata.uid)
    assert settle(recorded_node, ours) == settle(recorded_node, expected(recorded(name), name))


@pytest.mark.parametrize("name,container", [
    (name, container["name"]) for name in sorted(set(PODS) - SANDBOX_ONLY)
    for container in PODS[name]["spec"].get("initContainers", []) + PODS[name]["spec"]["containers"]])
def test_a_container_is_configured_as_the_kubelet_does(recorded_node, name, container):
    cri, uid = recorded_node.bed.cri, own_sandbox(recorded_node, name).metadata.uid

    def first_attempt():
        # An early attempt may be removed already; all attempts are alike but for their number.
        found = [item for item in cri.containers(uid) if item.metadata.name == container]
        return min(found, key=lambda item: item.metadata.attempt) if found else None

    item = beds.wait_for(f"container {container} of {name}", first_attempt, timeout=60)
    config = cri.container_info(item.id)["config"]
    attempt = str(config["metadata"].pop("attempt", 0))
    assert config["annotations"]["io.kubernetes.container.restartCount"] == attempt
    assert config["log_path"] == f"{container}/{attempt}.log"
    config["annotations"]["io.kubernetes.container.restartCount"] = "0"
    config["log_path"] = f"{container}/0.log"
    ours = settle(recorded_node, comparable(recorded_node, config, name, uid))
    theirs = settle(recorded_node, expected(recorded(name, container), name))
    theirs["metadata"].pop("attempt", None)
    assert ours == theirs


# Disk

# Entries of the kubelet's root directory that come with parts that a standalone node does not have yet.
NOT_YET = {"actuated_pods_state", "allocated_pods_state", "cpu_manager_state", "memory_manager_state",
           "dra_manager_state", "device-plugins", "pki", "pod-resources/kubelet.sock"}
# Ours alone: the journal (DESIGN: crash-safe local state).
OURS = {"journal"}


def tree(top, depth=None):
    """Lines of @top as in the recording: mode, owner, kind, relative path."""
    result = set()
    for path in [top, *top.rglob("*")]:
        info = path.lstat()
        kind = {0o040000: "d", 0o100000: "f", 0o140000: "s", 0o120000: "l"}[info.st_mode & 0o170000]
        bits = "".join(letter if info.st_mode >> (8 - position) & 1 else "-"
                       for position, letter in enumerate("rwxrwxrwx"))
        relative = path.relative_to(top)
        if depth is None or len(relative.parts) <= depth:
            result.add(f"{kind.replace('f', '-')}{bits} {info.st_uid}:{info.st_gid} {kind} "
                       + ("." if relative == pathlib.Path(".") else f"./{relative}"))
    return result


def recorded_tree(file_name, below=None):
    """The recorded lines, or those below one folder, with that folder as their top."""
    lines = (RECORDED / "disk" / file_name).read_text().splitlines()
    if below is None:
        return set(lines)
    found = set()
    for line in lines:
        head, path = line.rsplit(" ", 1)
        if path == below or path.startswith(below + "/"):
            found.add(f"{head} ." + path.removeprefix(below))
    assert found, below
    return found


def hex_free(lines):
    return {re.sub(r"(\./containers/[^/]+/)[0-9a-f]{8}$", r"\1HEX", line) for line in lines}


@pytest.mark.parametrize("name", ["static-web", "sidecar"])
def test_a_pods_directory_is_as_the_kubelets(recorded_node, name):
    recorded_node.wait_running(name, timeout=60)
    uid = recorded_node.pod(name)["metadata"]["uid"]
    theirs_uid = recorded(name)["metadata"]["uid"]
    # The contents of volumes are the containers' own.
    ours = {line for line in tree(recorded_node.root_dir / "pods" / uid) if not line.endswith("/work/flag")}
    assert hex_free(ours) == hex_free(recorded_tree("tree-kubelet.txt", f"./pods/{theirs_uid}"))


@pytest.mark.parametrize("name", ["static-web", "sidecar"])
def test_a_pods_logs_are_as_the_kubelets(recorded_node, name):
    running = recorded_node.wait_running(name, timeout=60)
    theirs = recorded(name)["log_directory"].removeprefix("/var/log/pods/")
    assert tree(recorded_node.pod_log_dir(running)) == recorded_tree("tree-log-pods.txt", "./" + theirs)
    links = recorded_node.bed.dir / "log" / "containers"
    for status in running["status"]["containerStatuses"]:
        metadata, container_id = running["metadata"], status["containerID"].removeprefix("containerd://")
        link = links / f"{metadata['name']}_{metadata['namespace']}_{status['name']}-{container_id}.log"
        assert str(link.readlink()) == str(recorded_node.pod_log_dir(running) / status["name"] / "0.log")


def test_the_root_directory_is_as_the_kubelets(recorded_node):
    recorded_node.wait_running("static-web", timeout=60)

    def top(lines, dropped):
        return {line for line in lines if not re.match(r".* \./pods/", line)
                and not any(re.search(rf" \./{re.escape(name)}(/|$)", line) for name in dropped)}

    theirs = top(recorded_tree("tree-kubelet.txt"), NOT_YET)
    ours = top(tree(recorded_node.root_dir), OURS)
    # The top itself is made by whoever installs the node; the recorded one was.
    assert {line for line in ours if not line.endswith(" .")} == {line for line in theirs if not line.endswith(" .")}
