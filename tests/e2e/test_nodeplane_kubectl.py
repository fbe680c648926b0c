"""What people do with kubectl, one behaviour a test. Those that take `api` hold for a real kube-apiserver as well; those
that take `plane` need what stands beside an API server in a cluster: a scheduler and controllers."""

import json
import re
import subprocess
import threading

import pytest

import bed as beds
import plane as planes


@pytest.fixture(scope="module")
def kubectl_minor():
    text = subprocess.run([planes.KUBECTL, "version", "--client", "-o", "json"], capture_output=True, text=True, check=True,
                          timeout=10).stdout
    return int(re.match(r"\d+", json.loads(text)["clientVersion"]["minor"])[0])


@pytest.fixture
def k(api, namespace):
    """kubectl in the test's namespace; returns what it printed."""
    def run(*arguments, **options):
        return api.kubectl("-n", namespace, *arguments, **options).stdout
    return run


@pytest.fixture
def fails(api, namespace):
    """kubectl that must fail; returns what it complained about."""
    def run(*arguments, **options):
        result = api.kubectl("-n", namespace, *arguments, check=False, **options)
        assert result.returncode != 0, result.stdout
        return result.stderr
    return run


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def rows(text):
    return [line.split() for line in text.splitlines()]


@pytest.fixture
def ready_node(plane):
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": planes.NODE_NAME}}
    plane.kubectl("create", "-f", "-", stdin=node)
    yield planes.NODE_NAME
    plane.kubectl("delete", "node", planes.NODE_NAME)


@pytest.fixture
def plane_namespace(plane):
    plane.kubectl("create", "namespace", "with-controllers")
    yield "with-controllers"
    plane.kubectl("delete", "namespace", "with-controllers", "--ignore-not-found", "--wait=false")


# looking

def test_get_shows_the_columns_people_know(api, k):
    assert rows(api.kubectl("get", "namespaces").stdout)[0] == ["NAME", "STATUS", "AGE"]
    k("create", "-f", "-", stdin=planes.pod("web"))
    assert rows(k("get", "pods"))[0] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert rows(k("get", "pods"))[1][:4] == ["web", "0/1", "Pending", "0"]
    assert k("get", "pods", "-o", "wide").splitlines()[0].split(None, 7) == [
        "NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED NODE   READINESS GATES"]
    k("create", "configmap", "cm", "--from-literal=a=b", "--from-literal=c=d")
    assert ["cm", "2"] in [row[:2] for row in rows(k("get", "configmaps"))]
    k("create", "secret", "generic", "s", "--from-literal=a=b")
    assert rows(k("get", "secrets"))[1][:3] == ["s", "Opaque", "1"]
    k("create", "service", "clusterip", "svc", "--tcp=80")
    assert rows(k("get", "svc"))[0] == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert rows(k("get", "svc"))[1][4] == "80/TCP"


def test_selectors_choose(k):
    for name, label in (("a", "tier=front"), ("b", "tier=back")):
        k("create", "-f", "-", stdin=planes.pod(name))
        k("label", "pod", name, label)
    assert k("get", "pods", "-l", "tier=front", "-o", "name") == "pod/a\n"
    assert k("get", "pods", "-l", "tier in (back,x)", "-o", "name") == "pod/b\n"
    assert k("get", "pods", "-l", "!tier", "-o", "name") == ""
    assert k("get", "pods", "--field-selector", "metadata.name=b,status.phase=Pending", "-o", "name") == "pod/b\n"


def test_describe_knows_every_part(k):
    k("create", "-f", "-", stdin=planes.pod("web"))
    text = k("describe", "pod", "web")
    for part in ("Name:             web", "Status:           Pending", "QoS Class:", "busybox:1.36"):
        assert re.sub(r"\s+", " ", part) in re.sub(r"[ \t]+", " ", text)


def test_events_are_shown_with_their_object(api, namespace, k):
    k("create", "-f", "-", stdin=planes.pod("web"))
    uid = json.loads(k("get", "pod", "web", "-o", "json"))["metadata"]["uid"]
    event = {"metadata": {"name": "web.1"}, "type": "Warning", "reason": "Tested", "message": "seen", "count": 3,
             "involvedObject": {"kind": "Pod", "namespace": namespace, "name": "web", "uid": uid, "apiVersion": "v1"},
             "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z", "source": {"component": "me"}}
    code, answer = api.request("POST", f"/api/v1/namespaces/{namespace}/events", event)
    assert code == 201, answer
    assert re.search(r"Warning +Tested +pod/web +seen", k("get", "events"))
    assert re.search(r"Warning +Tested .* me +seen", k("describe", "pod", "web"))
    _, answer = api.request("GET", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events/web.1")
    assert (answer["regarding"]["name"], answer["note"], answer["deprecatedCount"]) == ("web", "seen", 3)


def test_explain_follows_the_fields(api):
    text = api.kubectl("explain", "pod.spec.containers").stdout
    assert re.search(r"image\s+<string>", text)
    assert re.search(r"ports\s+<\[\]", text)


def test_api_resources_are_found(api):
    lines = rows(api.kubectl("api-resources", "--no-headers").stdout)
    found = {(row[0], row[-1]) for row in lines}
    assert {("pods", "Pod"), ("leases", "Lease"), ("certificatesigningrequests", "CertificateSigningRequest")} <= found
    assert "coordination.k8s.io/v1" in api.kubectl("api-versions").stdout.split()
    assert "v1.3" in api.kubectl("version", "-o", "json").stdout


def test_what_is_not_there_is_said_as_usual(api, k, fails):
    assert fails("get", "pod", "none").strip() == 'Error from server (NotFound): pods "none" not found'
    assert "the server doesn't have a resource type \"nonsense\"" in fails("get", "nonsense")
    text = api.kubectl("create", "configmap", "x", "-n", "no-such-namespace", check=False).stderr
    assert 'namespaces "no-such-namespace" not found' in text
    assert "No resources found in" in api.kubectl("-n", "kube-public", "get", "pods").stderr


# writing

def test_create_refuses_a_second_time(k, fails):
    k("create", "configmap", "a", "--from-literal=x=y")
    assert 'configmaps "a" already exists' in fails("create", "configmap", "a")


def test_mistakes_are_told_with_their_path(fails):
    bad = planes.pod("Bad_Name")
    bad["spec"]["containers"][0]["imagePullPolicy"] = "Sometimes"
    text = fails("create", "-f", "-", stdin=bad)
    assert 'The Pod "Bad_Name" is invalid' in text
    assert 'metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain must consist of' in text
    assert 'spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes"' in text


def test_unknown_fields_are_refused(fails):
    bad = planes.pod("a")
    bad["spec"]["containers"][0]["imagee"] = "x"
    assert re.search(r'unknown field "(spec.containers\[0\]\.)?imagee"', fails("create", "-f", "-", stdin=bad))


def test_patches_of_all_kinds(k, fails):
    k("create", "configmap", "a", "--from-literal=x=1")
    k("patch", "configmap", "a", "-p", '{"data":{"y":"2"}}')
    k("patch", "configmap", "a", "--type=merge", "-p", '{"data":{"x":null,"z":"3"}}')
    k("patch", "configmap", "a", "--type=json", "-p", '[{"op":"replace","path":"/data/y","value":"4"}]')
    assert json.loads(k("get", "configmap", "a", "-o", "json"))["data"] == {"y": "4", "z": "3"}
    assert "The request is invalid" in fails("patch", "configmap", "a", "--type=json", "-p",
                                             '[{"op":"remove","path":"/data/none"}]')


def test_strategic_patches_merge_lists_by_key(k):
    k("create", "-f", "-", stdin=planes.pod("web", activeDeadlineSeconds=100))
    k("patch", "pod", "web", "-p", '{"spec":{"activeDeadlineSeconds":50,"containers":[{"name":"c","image":"busybox:2"}]}}')
    spec = json.loads(k("get", "pod", "web", "-o", "json"))["spec"]
    assert (spec["activeDeadlineSeconds"], len(spec["containers"]), spec["containers"][0]["image"]) == (50, 1, "busybox:2")


def test_labels_and_annotations(k, fails):
    k("create", "configmap", "a")
    k("label", "configmap", "a", "x=1")
    assert "already has a value (1)" in fails("label", "configmap", "a", "x=2")
    k("label", "--overwrite", "configmap", "a", "x=2")
    k("annotate", "configmap", "a", "note=some text")
    meta = json.loads(k("get", "configmap", "a", "-o", "json"))["metadata"]
    assert (meta["labels"], meta["annotations"]) == ({"x": "2"}, {"note": "some text"})
    k("label", "configmap", "a", "x-")
    assert "labels" not in json.loads(k("get", "configmap", "a", "-o", "json"))["metadata"]


def test_edit_writes_what_the_editor_leaves(api, k, monkeypatch):
    k("create", "configmap", "a", "--from-literal=x=before")
    monkeypatch.setenv("KUBE_EDITOR", "sed -i s/before/after/")
    assert "edited" in k("edit", "configmap", "a")
    assert json.loads(k("get", "configmap", "a", "-o", "json"))["data"] == {"x": "after"}


def test_replace_needs_the_newest_version(k, fails):
    k("create", "configmap", "a", "--from-literal=x=1")
    old = json.loads(k("get", "configmap", "a", "-o", "json"))
    k("patch", "configmap", "a", "-p", '{"data":{"x":"2"}}')
    assert "the object has been modified; please apply your changes to the latest version" in fails(
        "replace", "-f", "-", stdin=old)
    old["metadata"].pop("resourceVersion")
    k("replace", "-f", "-", stdin=old)
    assert json.loads(k("get", "configmap", "a", "-o", "json"))["data"] == {"x": "1"}


def test_apply_adds_changes_and_removes(k):
    assert "created" in k("apply", "-f", "-", stdin=config_map("a", x="1", y="2"))
    assert "unchanged" in k("apply", "-f", "-", stdin=config_map("a", x="1", y="2"))
    k("patch", "configmap", "a", "-p", '{"data":{"mine":"kept"}}')
    assert "configured" in k("apply", "-f", "-", stdin=config_map("a", x="3"))
    assert json.loads(k("get", "configmap", "a", "-o", "json"))["data"] == {"x": "3", "mine": "kept"}
    result = k("diff", "-f", "-", stdin=config_map("a", x="3"), check=False)
    assert result == ""


def test_apply_of_many_objects_at_once(api, namespace, k):
    objects = [config_map("a", x="1"), planes.pod("web"),
               {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "svc"},
                "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}}}]
    for item in objects:
        item["metadata"]["namespace"] = namespace
    assert api.apply(*objects).stdout.split() == ["configmap/a", "created", "pod/web", "created", "service/svc", "created"]
    again = api.apply(*objects).stdout
    assert again.count("unchanged") == 3, again


def test_server_side_apply_guards_its_fields(k, fails):
    k("apply", "--server-side", "-f", "-", stdin=config_map("a", x="1"))
    text = fails("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=config_map("a", x="2"))
    assert 'Apply failed with 1 conflict: conflict with "kubectl": .data.x' in text
    k("apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-", stdin=config_map("a", x="2", y="3"))
    k("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=config_map("a", x="2"))
    assert json.loads(k("get", "configmap", "a", "-o", "json"))["data"] == {"x": "2"}


def test_a_dry_run_changes_nothing(k, fails):
    assert k("create", "configmap", "a", "--dry-run=server", "-o", "name") == "configmap/a\n"
    assert "not found" in fails("get", "configmap", "a")
    k("create", "configmap", "a", "--from-literal=x=1")
    k("apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-", stdin=config_map("a", x="2"))
    k("delete", "configmap", "a", "--dry-run=server")
    assert json.loads(k("get", "configmap", "a", "-o", "json"))["data"] == {"x": "1"}


# deleting and waiting

def test_delete_waits_until_it_is_gone(k, fails):
    k("create", "configmap", "a")
    assert 'configmap "a" deleted' in k("delete", "configmap", "a", "--timeout=10s")
    assert "not found" in fails("delete", "configmap", "a")
    assert k("delete", "configmap", "a", "--ignore-not-found") == ""


def test_delete_of_a_collection(k):
    for name in "abc":
        k("create", "configmap", name)
    k("label", "configmaps", "a", "b", "go=yes")
    k("delete", "configmaps", "-l", "go=yes")
    assert set(k("get", "configmaps", "-o", "name").split()) - {"configmap/kube-root-ca.crt"} == {"configmap/c"}


def test_finalizers_hold_an_object(k):
    k("create", "configmap", "a")
    k("patch", "configmap", "a", "--type=merge", "-p", '{"metadata":{"finalizers":["test.example/hold"]}}')
    k("delete", "configmap", "a", "--wait=false")
    assert json.loads(k("get", "configmap", "a", "-o", "json"))["metadata"]["deletionTimestamp"]
    k("patch", "configmap", "a", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    assert k("get", "configmap", "a", "--ignore-not-found") == ""


def test_wait_sees_a_condition_come(api, namespace, k):
    k("create", "-f", "-", stdin=planes.pod("web"))
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    path = f"/api/v1/namespaces/{namespace}/pods/web/status"
    timer = threading.Timer(0.3, lambda: api.request("PATCH", path, status, content_type="application/merge-patch+json"))
    timer.start()
    assert "condition met" in k("wait", "--for=condition=Ready", "pod/web", "--timeout=10s")
    timer.join()
    timer = threading.Timer(0.3, lambda: api.request("DELETE", f"/api/v1/namespaces/{namespace}/pods/web"))
    timer.start()
    assert "condition met" in k("wait", "--for=delete", "pod/web", "--timeout=10s")
    timer.join()


def test_get_watches(api, namespace, k):
    k("create", "configmap", "a")
    watcher = subprocess.Popen([planes.KUBECTL, "-n", namespace, "get", "configmaps", "-w", "--field-selector=metadata.name!=x"],
                               stdout=subprocess.PIPE, text=True, env=api.environment())
    try:
        assert watcher.stdout.readline().split() == ["NAME", "DATA", "AGE"]
        names = [watcher.stdout.readline().split()[0]]
        k("create", "configmap", "b")
        while "b" not in names:
            names.append(watcher.stdout.readline().split()[0])
        k("patch", "configmap", "a", "-p", '{"data":{"x":"1","y":"2"}}')
        row = watcher.stdout.readline().split()
        assert row[:2] == ["a", "2"]
    finally:
        watcher.kill()
        watcher.communicate()


# who may what

def test_auth_can_i(api, kubectl_minor):
    assert api.kubectl("auth", "can-i", "create", "pods").stdout == "yes\n"
    result = api.kubectl("auth", "can-i", "create", "pods", "--as=nobody", check=False)
    assert (result.returncode, result.stdout.split()[0]) == (1, "no")
    if kubectl_minor >= 27:
        assert "system:masters" in api.kubectl("auth", "whoami").stdout


def test_a_token_is_its_service_account(api, namespace, k, kubectl_minor):
    if kubectl_minor < 24:
        pytest.skip("this kubectl knows no `create token`")
    k("create", "serviceaccount", "bot")
    token = k("create", "token", "bot").strip()
    path = f"/api/v1/namespaces/{namespace}/pods"
    answer = json.loads(subprocess.run(["curl", "-sSk", "--noproxy", "*", "-H", f"Authorization: Bearer {token}",
                                        api.server + path], capture_output=True, text=True, check=True, timeout=10).stdout)
    assert answer["code"] == 403
    assert f'User "system:serviceaccount:{namespace}:bot" cannot list resource "pods"' in answer["message"]
    k("delete", "serviceaccount", "bot")
    answer = json.loads(subprocess.run(["curl", "-sSk", "--noproxy", "*", "-H", f"Authorization: Bearer {token}",
                                        api.server + path], capture_output=True, text=True, check=True, timeout=10).stdout)
    assert answer["code"] == 401


# what stands beside an API server

def test_a_namespace_goes_with_all_it_holds(plane):
    plane.kubectl("create", "namespace", "going")
    plane.kubectl("-n", "going", "create", "configmap", "a")
    plane.kubectl("-n", "going", "create", "-f", "-", stdin=planes.pod("web"))
    assert 'namespace "going" deleted' in plane.kubectl("delete", "namespace", "going", "--timeout=10s").stdout
    assert "not found" in plane.kubectl("get", "namespace", "going", check=False).stderr
    plane.kubectl("create", "namespace", "going")
    assert "No resources found" in plane.kubectl("-n", "going", "get", "pods").stderr
    plane.kubectl("delete", "namespace", "going")


def test_a_namespace_has_what_pods_need(plane, plane_namespace):
    beds.wait_for("the service account", lambda: "default" in plane.kubectl("-n", plane_namespace, "get", "sa").stdout)
    beds.wait_for("the authority", lambda: "kube-root-ca.crt" in plane.kubectl("-n", plane_namespace, "get", "cm").stdout)
    assert plane.get("service", "kubernetes")["spec"]["clusterIP"] == "10.96.0.1"


def test_a_pod_gets_the_node(plane, plane_namespace, ready_node):
    beds.wait_for("the service account", lambda: "default" in plane.kubectl("-n", plane_namespace, "get", "sa").stdout)
    plane.kubectl("-n", plane_namespace, "create", "-f", "-", stdin=planes.pod("web"))
    beds.wait_for("a node", lambda: plane.get("-n", plane_namespace, "pod", "web")["spec"].get("nodeName") == ready_node)
    plane.kubectl("-n", plane_namespace, "delete", "pod", "web", "--wait=false")
    row = rows(plane.kubectl("-n", plane_namespace, "get", "pods").stdout)[1]
    assert row[:3] == ["web", "0/1", "Terminating"]
    plane.kubectl("-n", plane_namespace, "delete", "pod", "web", "--force", "--grace-period=0")
    assert "No resources found" in plane.kubectl("-n", plane_namespace, "get", "pods").stderr


def test_describe_shows_what_the_scheduler_did(plane, plane_namespace, ready_node):
    def describe(kind, name):
        return plane.kubectl("-n", plane_namespace, "describe", kind, name).stdout

    def told(text):
        return lambda: text in " ".join(describe("pod", "picky").split())

    beds.wait_for("the service account", lambda: "default" in plane.kubectl("-n", plane_namespace, "get", "sa").stdout)
    plane.kubectl("cordon", ready_node)
    beds.wait_for("the taint", lambda: "node.kubernetes.io/unschedulable:NoSchedule" in describe("node", ready_node))
    plane.kubectl("-n", plane_namespace, "create", "-f", "-", stdin=planes.pod("picky", nodeSelector={"disk": "fast"}))
    beds.wait_for("a reason", told("default-scheduler 0/1 nodes are available: 1 node(s) were unschedulable."))
    plane.kubectl("uncordon", ready_node)
    beds.wait_for("another reason",
                  told("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."))
    plane.kubectl("label", "node", ready_node, "disk=fast")
    beds.wait_for("a node", told(f"Successfully assigned {plane_namespace}/picky to {ready_node}"))
    events = rows(plane.kubectl("-n", plane_namespace, "get", "events", "--no-headers", "-o",
                                "custom-columns=TYPE:.type,REASON:.reason,FROM:.reportingComponent").stdout)
    assert sorted(events) == [["Normal", "Scheduled", "default-scheduler"], ["Warning", "FailedScheduling", "default-scheduler"],
                              ["Warning", "FailedScheduling", "default-scheduler"]]
    assert "Taints: <none>" in " ".join(describe("node", ready_node).split())
    plane.kubectl("-n", plane_namespace, "delete", "pod", "picky", "--force", "--grace-period=0")


def test_logs_and_exec_of_a_node_that_is_not_there(plane, plane_namespace, ready_node):
    beds.wait_for("the service account", lambda: "default" in plane.kubectl("-n", plane_namespace, "get", "sa").stdout)
    status = {"status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                         "daemonEndpoints": {"kubeletEndpoint": {"Port": planes.free_port()}}}}
    code, answer = plane.request("PATCH", f"/api/v1/nodes/{ready_node}/status", status,
                                 content_type="application/merge-patch+json")
    assert code == 200, answer
    plane.kubectl("-n", plane_namespace, "create", "-f", "-", stdin=planes.pod("web", nodeName=ready_node))
    text = plane.kubectl("-n", plane_namespace, "logs", "web", check=False).stderr
    assert "connect: connection refused" in text
    text = plane.kubectl("-n", plane_namespace, "exec", "web", "--", "ls", check=False).stderr
    assert "error dialing backend" in text
    plane.kubectl("-n", plane_namespace, "delete", "pod", "web", "--force", "--grace-period=0")


def test_a_certificate_is_approved_by_a_person_and_signed(plane, tmp_path):
    import base64
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                    tmp_path / "key.pem", "-out", tmp_path / "request.pem", "-subj", "/CN=bob/O=people"], check=True,
                   capture_output=True)
    request = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "bob"},
               "spec": {"signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"],
                        "request": base64.b64encode((tmp_path / "request.pem").read_bytes()).decode()}}
    plane.kubectl("create", "-f", "-", stdin=request)
    assert "Pending" in plane.kubectl("get", "csr", "bob").stdout
    plane.kubectl("certificate", "approve", "bob")
    beds.wait_for("the certificate", lambda: plane.get("csr", "bob")["status"].get("certificate"))
    assert "Approved,Issued" in plane.kubectl("get", "csr", "bob").stdout
    (tmp_path / "cert.pem").write_bytes(base64.b64decode(plane.get("csr", "bob")["status"]["certificate"]))
    answer = json.loads(subprocess.run(["curl", "-sSk", "--noproxy", "*", "--cert", tmp_path / "cert.pem", "--key",
                                        tmp_path / "key.pem", plane.server + "/api/v1/pods"], capture_output=True, text=True,
                                       check=True, timeout=10).stdout)
    assert 'User "bob" cannot list resource "pods"' in answer["message"]
    plane.kubectl("delete", "csr", "bob")


def test_dependents_go_with_their_owner(plane, plane_namespace):
    def make(name, *owners):
        item = config_map(name)
        item["metadata"]["ownerReferences"] = list(owners)
        plane.kubectl("-n", plane_namespace, "create", "-f", "-", stdin=item)
        uid = plane.get("-n", plane_namespace, "configmap", name)["metadata"]["uid"]
        return {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid, "blockOwnerDeletion": True}

    owner = make("owner")
    make("child", owner)
    plane.kubectl("-n", plane_namespace, "delete", "configmap", "owner", "--cascade=foreground", "--timeout=10s")
    assert "not found" in plane.kubectl("-n", plane_namespace, "get", "configmap", "child", check=False).stderr
