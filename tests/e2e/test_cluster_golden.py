"""The recorded input of a kubelet 1.36.2, given to nodeplane and cubelet: the node, the pods' statuses and the way there,
the events and the requests are the same. Names, ids, times and addresses apart, each accepted difference stands here
with its reason."""

import copy
import difflib
import json
import re

import agent as agents
import bed as beds
import cluster as clusters
import images
import pytest
import test_golden
import yaml

API = test_golden.RECORDED / "api"
INPUT = test_golden.RECORDED / "input"
OBJECTS = [one for name in ("pods.yaml", "cluster-only.yaml") for one in yaml.safe_load_all((INPUT / name).read_text())]
OBJECTS.sort(key=lambda one: one["kind"] == "Pod")  # what pods refer to comes first
STATIC = yaml.safe_load((INPUT / "static-web.yaml").read_text())
PODS = [one["metadata"]["name"] for one in OBJECTS if one["kind"] == "Pod"]
STATIC_NAME = f"{STATIC['metadata']['name']}-{beds.NODE_NAME}"
# Of the recorded configuration, what a bed does not decide: where things lie, and the node's own HTTP server.
CONFIGURED = ("maxPods", "evictionHard", "enforceNodeAllocatable", "clusterDNS", "clusterDomain", "failSwapOn",
              "failCgroupV1", "cgroupDriver")
# There is no agnhost here; its image name is busybox's, which serves the same page and ends as quickly.
WEB = ["sh", "-c", "trap 'exit 0' TERM; mkdir /www; touch /www/healthz; httpd -f -p 8080 -h /www & wait"]
LOOPS = {"crash", "unhealthy"}  # containers that are restarted without end
LISTS = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


def lines(name):
    return [json.loads(line) for line in (API / name).read_text().splitlines()]


class Seen:
    """What a watch, the events and the server's log showed of one run: @node, @settled (pods by name, before they are
    deleted), @pods (every state of each), @events and @requests."""


@pytest.fixture(scope="module")
def seen(bed):
    """The recorded input, lived through once from the node's start to its last pod's end."""
    bed.ctr("images", "tag", "--force", images.BUSYBOX_IMAGE, test_golden.AGNHOST)
    recorded = yaml.safe_load((INPUT / "kubelet-config.yaml").read_text())
    cluster = clusters.Cluster(bed, config={key: recorded[key] for key in CONFIGURED if key in recorded})
    try:
        yield live(cluster)
    finally:
        cluster.close()


def live(cluster):
    result = Seen()
    cluster.node.apply("static-web.yaml", STATIC)
    cluster.plane.start()
    with cluster.watch("pods") as static:
        cluster.node.start()
        cluster.wait_ready()
        cluster.wait_running(STATIC_NAME)
        cluster.namespace = "rec"
        cluster.create({"kind": "Namespace", "metadata": {"name": "rec"}})
        with cluster.watch("pods") as pods:
            cluster.create(*with_busybox(OBJECTS))
            settle(cluster)
            result.node = cluster.node_object()
            result.settled = {pod["metadata"]["name"]: pod for namespace in ("rec", "default")
                              for pod in cluster.get("pods", namespace=namespace)}
            for name in PODS:
                cluster.delete("pods", name)
            for name in PODS:
                pods.wait_deleted(name, timeout=45)
            result.pods = {name: pods.objects(name) for name in PODS}
        cluster.node.remove("static-web.yaml")
        static.wait_deleted(STATIC_NAME)
        result.pods[STATIC_NAME] = static.objects(STATIC_NAME)
    result.events = [event for namespace in ("rec", "default") for event in cluster.get("events", namespace=namespace)
                     if event["source"].get("component") == "kubelet"]
    result.requests = clusters.requests(cluster.plane)
    return result


def with_busybox(objects):
    result = copy.deepcopy(objects)
    web = next(one for one in result if one["kind"] == "Pod" and one["metadata"]["name"] == "web")
    del web["spec"]["containers"][0]["args"]
    web["spec"]["containers"][0]["command"] = WEB
    return result


def settle(cluster):
    """Waits until every pod has been where the recording saw it, loops twice round."""
    for name in ("web", "sidecar", "guaranteed", "volumes", "hooks", "hostnet", "secure"):
        cluster.wait_running(name, timeout=60)
    for name, phase in (("done", "Succeeded"), ("failed", "Failed"), ("oom", "Failed"), ("deadline", "Failed"),
                        ("misplaced", "Failed"), ("too-big", "Failed")):
        cluster.wait_phase(name, phase)
    for name, reason in (("never-pull", "ErrImageNeverPull"), ("bad-pull", "ImagePullBackOff"),
                         ("bad-config", "CreateContainerConfigError"), ("non-root", "CreateContainerConfigError")):
        cluster.wait_pod(name, reason, lambda pod, reason=reason: waiting(pod) == (reason, 0))
    for name in ("crash", "unhealthy"):
        cluster.wait_pod(name, "its second back-off", lambda pod: waiting(pod) == ("CrashLoopBackOff", 2), timeout=60)


def waiting(pod):
    status = agents.container_status(pod)
    return (status["state"].get("waiting", {}).get("reason"), status["restartCount"]) if status else None


# One run's own things replaced

UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
UNLIMITED = "9007199254740988Ki"
REPLACED = {"containerID": "ID", "imageID": "IMAGE", "lastTransitionTime": "TIME", "startTime": "TIME",
            "startedAt": "TIME", "finishedAt": "TIME", "hostIP": "NODE", "observedGeneration": "GENERATION"}


def neutral(value, key=None):
    """@value without what belongs to one run."""
    if isinstance(value, dict):
        return {k: neutral(v, k) for k, v in sorted(value.items()) if v is not None}  # null is another way to say nothing
    if isinstance(value, list):
        return [neutral(item, key) for item in value]
    if key in REPLACED and value is not None:
        return REPLACED[key]
    if key in ("ip", "podIP"):
        return "IP"
    return re.sub(r"kube-api-access-\w{5}", "kube-api-access", UID.sub("UID", value)) if isinstance(value, str) else value


# Statuses


def accepted_status(status, name):
    """A status, neutral and without the accepted differences."""
    status = neutral(status)
    # The recording resizes this pod and debugs that one in mid-life, which is not part of this input.
    if name == "guaranteed":
        status = json.loads(json.dumps(status).replace('"150m"', '"100m"').replace('"48Mi"', '"32Mi"'))
    status.pop("ephemeralContainerStatuses", None)
    limits = status.get("resources", {}).get("limits", {})
    # There a pod's cgroup is read back, which on cgroup v1 has a number for no limit and for a limit none once it is gone.
    if limits.get("memory") == UNLIMITED or name == "oom":
        limits.pop("memory", None)
    if limits == {}:
        status.get("resources", {}).pop("limits", None)
    for entry in (entry for key in LISTS for entry in status.get(key, [])):
        # containerd 1.6 does not tell with which user a container runs, and 2.1 words a failed pull otherwise.
        entry.pop("user", None)
        for state in entry.get("state", {}).values():
            if "failed to resolve" in state.get("message", ""):
                state["message"] = state["message"].partition("failed to resolve")[0]
        # Two names of one image: the runtime tells either.
        if "busybox" in entry.get("image", "") or "agnhost" in entry.get("image", ""):
            entry["image"] = "BUSYBOX"
    return status


def recorded_objects(name):
    return [row["object"] for row in lines("watch-static.jsonl" if name == STATIC_NAME else "watch-pods.jsonl")
            if row["object"]["metadata"]["name"] == name]


def differences(ours, theirs):
    texts = [json.dumps(value, indent=1, sort_keys=True).splitlines() for value in (theirs, ours)]
    return "\n".join(difflib.unified_diff(*texts, "recorded", "ours", lineterm="", n=4))


@pytest.mark.parametrize("name", [*sorted(set(PODS) - LOOPS - {"bad-pull"}), STATIC_NAME])
def test_a_pod_settles_in_the_recorded_status(seen, name):
    ours = accepted_status(seen.settled[name]["status"], name)
    theirs = accepted_status([one["status"] for one in recorded_objects(name)
                              if "deletionGracePeriodSeconds" not in one["metadata"]][-1], name)
    assert ours == theirs, differences(ours, theirs)


@pytest.mark.parametrize("name", sorted(PODS))
def test_a_pod_ends_in_the_recorded_status(seen, name):
    statuses = [accepted_status(objects[-1]["status"], name) for objects in (seen.pods[name], recorded_objects(name))]
    for status in statuses:  # the recording went round more often
        for entry in status.get("containerStatuses", []) if name in LOOPS else []:
            entry["restartCount"] = 0
    assert statuses[0] == statuses[1], differences(*statuses)


# The way there


def container_line(entry):
    kind, state = next(iter(entry.get("state", {}).items()), ("none", {}))
    words = [entry["name"], kind, state.get("reason"), f"r{entry['restartCount']}", "ready" if entry.get("ready") else None,
             "started" if entry.get("started") else None, "after " + "".join(entry["lastState"])
             if entry.get("lastState") else None, str(state["exitCode"]) if "exitCode" in state else None]
    return " ".join(word for word in words if word)


def condition_line(condition):
    known = (condition["type"], "=", condition["status"][0], "/" + condition["reason"] if "reason" in condition else "")
    return "".join(known)


def transitions(objects, name):
    """The distinct states that @objects went through, each as a line."""
    result = []
    for one in objects:
        status = accepted_status(one["status"], name)
        words = ["deleted" if "deletionGracePeriodSeconds" in one["metadata"] else "", status.get("phase", ""),
                 status.get("reason", ""), *map(condition_line, status.get("conditions", [])),
                 *(container_line(entry) for key in LISTS for entry in status.get(key, []))]
        line = ", ".join(word for word in words if word)
        if not result or result[-1] != line:
            result.append(line)
    return result


# States that only one of the two shows: pods, side, pattern, why.
ACCEPTED_STATES = [
    (".*", "ours", r"Running, PodReadyToStartContainers=T, .*Ready=F/Pod(Failed|Completed), .* terminated",
     "An end is told at once; the recorded writes come later and find the sandbox stopped, too."),
    ("sidecar", "ours", r"deleted, Running, .* proxy running r0 ready started, main terminated",
     "As above, for the first of two."),
    ("failed|crash", "ours", r"^Running, .* c running r0 ready started", "So short a life was not noticed there."),
    ("failed", "recorded", r"^Pending, .* c terminated Error r0 3", "As above: it ended without having been seen to begin."),
    ("unhealthy", "ours", r"^Running, .* c terminated Error r0 137", "Told between the kill and the restart."),
    ("crash", "recorded", r"^Running, .* c running r\d ready started after terminated",
     "So short a life may be over before it has been told."),
    ("crash", "recorded", r"^Running, .* c terminated Error r\d after terminated",
     "With the exit it is known that the container backs off; there it is known a moment later."),
    ("unhealthy", "ours", r"^Running, .* c waiting CrashLoopBackOff r1",
     "The second restart waits 10 s (spec pods.md §5.7). There a container that its probe ended is started by a pass that "
     "does not know of that end yet, so its back-off begins one restart later."),
    ("crash|unhealthy", "ours", r"^deleted, Running, .* c waiting CrashLoopBackOff",
     "Deleted at another point of its loop."),
    ("crash|unhealthy", "recorded", r"^deleted, Running, .* c (terminated Error|running) rN", "As above."),
    ("bad-pull", "recorded|ours", r"Pending, .* c waiting (ErrImagePull|ImagePullBackOff)", "It went round more often."),
    ("never-pull|bad-pull|bad-config|non-root", "recorded",
     r"^deleted, Pending, PodReadyToStartContainers=F, .* waiting ContainerCreating",
     "That the sandbox is gone and that the pod is over is one write."),
    ("guaranteed", "recorded", r"^Running, ", "The recording resizes it."),
    ("web", "recorded", r"^Running, .* Ready=F/ContainersNotReady, .* web running r0 started$",
     "Its first probe may succeed before the write that it runs has gone out; one write then tells both."),
    (STATIC_NAME, "ours", r"^Pending, .* c waiting ContainerCreating", "Its mirror is made before it runs, not after."),
    (STATIC_NAME, "ours", r"Running, .* c terminated", "Its end is told of it before its mirror goes."),
    (STATIC_NAME, "recorded", r"^deleted, Running, .* c running", "As above."),
]


def comparable_loop(states):
    """Of a container that is restarted without end: until its second back-off, then its pod's end."""
    return [re.sub(r" r\d+", " rN", state) if state.startswith("deleted") else state for state in states
            if state.startswith("deleted") or not re.search(r" r([3-9]|\d\d)", state)]


def is_accepted(name, side, line):
    return any(re.fullmatch(pods, name) and re.fullmatch(where, side) and re.search(pattern, line)
               for pods, where, pattern, _ in ACCEPTED_STATES)


@pytest.mark.parametrize("name", [*sorted(PODS), STATIC_NAME])
def test_a_pod_goes_the_recorded_way(seen, name):
    ours, theirs = transitions(seen.pods[name], name), transitions(recorded_objects(name), name)
    if name in LOOPS:
        ours, theirs = comparable_loop(ours), comparable_loop(theirs)
    faults = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, theirs, ours, autojunk=False).get_opcodes():
        if kind != "equal":
            faults += [("recorded", line) for line in theirs[a:b] if not is_accepted(name, "recorded", line)]
            faults += [("ours", line) for line in ours[c:d] if not is_accepted(name, "ours", line)]
    assert not faults, "\n".join(f"{side:8}: {line}" for side, line in faults)


# The node


def accepted_node(node):
    node = copy.deepcopy(node)
    node["metadata"] = {key: node["metadata"].get(key) for key in ("name", "labels", "annotations")}
    # The node lifecycle controller's.
    node["metadata"]["annotations"].pop("node.alpha.kubernetes.io/ttl", None)
    status = node["status"]
    for part in ("capacity", "allocatable"):
        for name in list(status[part]):
            if name.startswith("test.device/"):  # a device plugin of the recorded machine
                del status[part][name]
            elif name != "pods":
                status[part][name] = re.sub(r"^\d+", "N" if not name.startswith("hugepages") else "H", status[part][name])
    status["addresses"] = [{**address, "address": address["type"]} for address in status["addresses"]]
    for condition in status["conditions"]:
        condition["lastHeartbeatTime"] = condition["lastTransitionTime"] = "TIME"
    # The machine's: images, versions, ids.
    status["images"] = sorted(status["images"][0])
    # cubelet tells that it is none other than itself, behind the version whose behaviour it offers.
    status["nodeInfo"]["kubeletVersion"] = status["nodeInfo"]["kubeletVersion"].split("+")[0]
    status["nodeInfo"] = {key: value if key in ("architecture", "kubeletVersion", "kubeProxyVersion", "operatingSystem")
                          else "MACHINE" for key, value in status["nodeInfo"].items()}
    # containerd 1.6 tells neither handlers nor features.
    for key in ("runtimeHandlers", "features"):
        status.pop(key, None)
    # What is not there yet is not declared (spec node.md §5).
    missing = {"InPlacePodLevelResourcesVerticalScaling", "InPlacePodVerticalScalingInitContainers"}
    status["declaredFeatures"] = [name for name in status["declaredFeatures"] if name not in missing]
    return node


def test_the_node_is_the_recorded_one(seen):
    ours, theirs = accepted_node(seen.node), accepted_node(json.loads((API / "node.json").read_text()))
    assert ours == theirs, differences(ours, theirs)


# Events

ACCEPTED_EVENTS = [
    ("recorded", r"ResizeStarted|ResizeCompleted|debugger-", "The recording resizes and debugs pods in mid-life."),
    ("recorded", r"InvalidDiskCapacity", "Told there when the first statistics are asked for too early; ours are not."),
    ("ours", r"\| web \|.* Startup probe failed: .*connection refused", "Whether the server listens by then is chance."),
    ("ours", r"\| web \|.* Readiness probe failed: .*(connection re(fused|set by peer)|EOF)$",
     "A kubelet, too, asks whether a pod is ready until its last container is gone; whether it does so between is chance."),
]


def event_lines(events):
    result = set()
    for event in events:
        about = event["involvedObject"]
        message = UID.sub("UID", event["message"]).partition("failed to resolve")[0]
        result.add(" | ".join([about["kind"], about["name"], about.get("fieldPath", ""), event["type"], event["reason"],
                               message]))
    return result


def test_the_same_is_told_in_events(seen):
    ours, theirs = event_lines(seen.events), event_lines(lines("events-end.jsonl"))
    faults = [(side, line) for side, some in (("recorded", theirs - ours), ("ours", ours - theirs)) for line in sorted(some)
              if not any(where == side and re.search(pattern, line) for where, pattern, _ in ACCEPTED_EVENTS)]
    assert not faults, "\n".join(f"{side:8}: {line}" for side, line in faults)


@pytest.mark.parametrize("reason", ["Started", "NodeReady"])
def test_an_event_names_its_source_as_the_kubelet_does(seen, reason):
    def origin(event):
        return {key: event.get(key) or None for key in ("source", "reportingComponent", "reportingInstance")}
    ours = next(event for event in seen.events if event["reason"] == reason)
    theirs = next(event for event in lines("events-end.jsonl") if event["reason"] == reason)
    assert origin(ours) == origin(theirs)


# Requests

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def kind_of_request(verb, path, query):
    path = re.sub(r"/(pods|events)/[^/]+", r"/\1/NAME", path)
    names = sorted(part.partition("=")[0] for part in query.split("&")
                   if part and part.partition("=")[0] not in ("timeout", "resourceVersion"))
    selector = re.search(r"fieldSelector=([^&]*)", query)
    return " ".join([verb, path, ",".join(names), selector[1] if selector else ""]).strip()


def our_verb(method, path, query):
    if method == "GET":
        is_one = re.search(r"/(nodes|csinodes|leases|pods|configmaps|secrets)/[^/]+$", path)
        return "watch" if "watch=true" in query else "get" if is_one else "list"
    return VERBS[method]


def test_nothing_is_asked_of_the_server_that_the_kubelet_does_not_ask(seen):
    ours = {kind_of_request(our_verb(*request), *request[1:]) for request in seen.requests}
    theirs = {kind_of_request(row["verb"], row["path"], row["query"]) for row in lines("requests.jsonl")}
    assert not ours - theirs, "\n".join(sorted(ours - theirs))


def test_statuses_need_no_more_requests_than_a_kubelets(seen):
    def patches(requests):
        return sum(count for verb, path, count in requests if verb == "patch" and path.endswith("/status"))
    ours = [(our_verb(*request), request[1], 1) for request in seen.requests]
    assert patches(ours) <= patches([(row["verb"], row["path"], row["count"]) for row in lines("requests.jsonl")])
    # A status is compared with what the watch last showed; there each patch has a GET before it.
    assert not [path for verb, path, _ in ours if verb == "get" and re.search(r"/pods/[^/]+$", path)]
