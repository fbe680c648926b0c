"""What a container takes from the API: environment, volumes that stay up to date, tokens, pull secrets, runtime classes."""

import base64
import json

import pytest

import bed as beds
from agent import SLEEP, condition, container_status, pod, shell
from test_fake_runtime import FakeRuntime


def config_map(name, **data):
    return {"kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name, kind="Opaque", **data):
    return {"kind": "Secret", "metadata": {"name": name}, "type": kind, "stringData": data}


def key_ref(source, name, key, **more):
    return {"name": "V", "valueFrom": {source: {"name": name, "key": key, **more}}}


def waiting(one):
    return ((container_status(one) or {}).get("state") or {}).get("waiting") or {}


def environment(space, one):
    return dict(line.split("=", 1) for line in space.node.exec(one, "env").splitlines() if "=" in line)


def volume_pod(name, source, **spec):
    return pod(name, shell("c", SLEEP, volumeMounts=[{"name": "v", "mountPath": "/v"}]), volumes=[{"name": "v", **source}],
               **spec)


def wait_content(space, one, path, content):
    beds.wait_for(f"{path} in the container: {content!r}", lambda: space.node.exec(
        one, "sh", "-c", f"cat {path} 2>/dev/null || echo none") == content, timeout=15)


# Environment


def test_the_environment_comes_from_config_maps_and_secrets(space):
    space.create(config_map("settings", LEVEL="high", COLOUR="red"), secret("keys", PASSWORD="s3cret"))
    space.create(pod("env", shell("c", SLEEP, envFrom=[
        {"configMapRef": {"name": "settings"}}, {"prefix": "KEY_", "secretRef": {"name": "keys"}},
        {"configMapRef": {"name": "none", "optional": True}}, {"secretRef": {"name": "none", "optional": True}}],
        env=[{"name": "COLOUR", "value": "blue"}, {"name": "SUM", "value": "$(LEVEL)-$(KEY_PASSWORD)"},
             {"name": "ONE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "LEVEL"}}},
             {"name": "TWO", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "PASSWORD"}}},
             {"name": "LEFT_OUT", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "no", "optional": True}}},
             {"name": "NO_OBJECT", "valueFrom": {"secretKeyRef": {"name": "none", "key": "no", "optional": True}}}])))
    found = environment(space, space.wait_running("env"))
    expected = {"LEVEL": "high", "COLOUR": "blue", "KEY_PASSWORD": "s3cret", "SUM": "high-s3cret", "ONE": "high", "TWO": "s3cret"}
    assert {name: found.get(name) for name in expected} == expected
    assert "LEFT_OUT" not in found and "NO_OBJECT" not in found


@pytest.mark.parametrize("name,container,message,missing", [
    ("no-config-map", {"env": [key_ref("configMapKeyRef", "late", "key")]}, 'configmap "late" not found',
     config_map("late", key="now")),
    ("no-secret", {"env": [key_ref("secretKeyRef", "late", "key")]}, 'secret "late" not found', secret("late", key="now")),
    ("no-key", {"env": [key_ref("configMapKeyRef", "there", "no")]}, "couldn't find key no in ConfigMap {ns}/there", None),
    ("no-secret-key", {"env": [key_ref("secretKeyRef", "there", "no")]}, "couldn't find key no in Secret {ns}/there", None),
    ("from-config-map", {"envFrom": [{"configMapRef": {"name": "late"}}]}, 'configmap "late" not found',
     config_map("late", V="now")),
    ("from-secret", {"envFrom": [{"secretRef": {"name": "late"}}]}, 'secret "late" not found', secret("late", V="now"))])
def test_what_is_missing_is_named_and_awaited(space, name, container, message, missing):
    space.create(config_map("there", key="v"), secret("there", key="v"))
    space.create(pod(name, shell("c", SLEEP, **container)))
    expected = message.format(ns=space.namespace)
    found = space.wait_pod(name, "a complaint", lambda p: waiting(p).get("reason") == "CreateContainerConfigError")
    assert waiting(found)["message"] == expected
    assert space.wait_event(name, "Failed") == ("Warning", f"Error: {expected}")
    if missing:
        space.create({**missing, "metadata": dict(missing["metadata"])})
        assert environment(space, space.wait_running(name, timeout=15))["V"] == "now"


@pytest.mark.parametrize("has_links", [True, False])
def test_services_are_in_the_environment(space, has_links):
    space.create({"kind": "Service", "metadata": {"name": "my-web"}, "spec": {
        "selector": {"a": "b"}, "ports": [{"name": "http", "port": 80}]}})
    address = space.get("services", "my-web")["spec"]["clusterIP"]

    def found():
        name = f"links-{len(seen)}"
        seen.append(name)
        space.create(pod(name, shell("c", SLEEP), enableServiceLinks=has_links))
        return environment(space, space.wait_running(name))
    seen = []
    env = found()
    if has_links and "MY_WEB_SERVICE_HOST" not in env:
        env = found()  # the first may have been faster than the watch of services
    if has_links:
        expected = {"MY_WEB_SERVICE_HOST": address, "MY_WEB_SERVICE_PORT": "80", "MY_WEB_SERVICE_PORT_HTTP": "80",
                    "MY_WEB_PORT": f"tcp://{address}:80", "MY_WEB_PORT_80_TCP_ADDR": address}
        assert {name: env.get(name) for name in expected} == expected
    else:
        assert not [name for name in env if name.startswith("MY_WEB_")]
    kubernetes = space.get("services", "kubernetes", namespace="default")
    if kubernetes:
        assert env["KUBERNETES_SERVICE_HOST"] == kubernetes["spec"]["clusterIP"]


# Volumes


def test_a_config_map_volume_follows_its_object(space):
    space.create(config_map("settings", a="1", b="2"))
    space.create(volume_pod("follows", {"configMap": {"name": "settings"}}))
    one = space.wait_running("follows")
    assert space.node.exec(one, "sh", "-c", "cat /v/a /v/b; stat -c %a /v/..data/a") == "12644\n"
    space.patch("configmaps", "settings", {"data": {"a": "new", "b": None, "c": "3"}})
    wait_content(space, one, "/v/a", "new")
    assert space.node.exec(one, "sh", "-c", "ls /v") == "a\nc\n"
    assert container_status(space.pod("follows"))["restartCount"] == 0


def test_a_secret_volume_is_in_memory_with_the_modes_it_asks_for(space):
    space.create(secret("keys", key="s3cret", other="x"))
    space.create(volume_pod("secret", {"secret": {"secretName": "keys", "defaultMode": 0o440, "items": [
        {"key": "key", "path": "deep/key", "mode": 0o400}]}}, securityContext={"fsGroup": 2000}))
    one = space.wait_running("secret")
    assert space.node.exec(one, "cat", "/v/deep/key") == "s3cret"
    assert space.node.exec(one, "stat", "-L", "-c", "%a %g", "/v/deep/key") == "440 2000\n"  # fsGroup may read
    assert space.node.exec(one, "stat", "-f", "-c", "%T", "/v") == "tmpfs\n"
    with pytest.raises(AssertionError):
        space.node.exec(one, "touch", "/v/x")
    space.patch("secrets", "keys", {"stringData": {"key": "changed"}})
    wait_content(space, one, "/v/deep/key", "changed")


def test_labels_in_a_downward_volume_follow_the_pod(space):
    space.create(volume_pod("downward", {"downwardAPI": {"items": [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "where", "fieldRef": {"fieldPath": "metadata.namespace"}}]}}, metadata={"labels": {"a": "b"}}))
    one = space.wait_running("downward")
    assert space.node.exec(one, "cat", "/v/labels") == 'a="b"'
    assert space.node.exec(one, "cat", "/v/where") == space.namespace
    space.patch("pods", "downward", {"metadata": {"labels": {"c": "d"}}})
    wait_content(space, one, "/v/labels", 'a="b"\nc="d"')


@pytest.mark.parametrize("source,message", [
    ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
    ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
    ({"configMap": {"name": "there", "items": [{"key": "no", "path": "p"}]}},
     "configmap references non-existent config key: no"),
    ({"secret": {"secretName": "there", "items": [{"key": "no", "path": "p"}]}}, "references non-existent secret key: no"),
    ({"projected": {"sources": [{"configMap": {"name": "none"}}, {"secret": {"name": "none"}}]}},
     '[configmap "none" not found, secret "none" not found]')])
def test_a_volume_whose_source_is_missing_is_told_in_an_event(space, source, message):
    space.create(config_map("there", key="v"), secret("there", key="v"))
    space.create(volume_pod("missing", source))
    assert space.wait_event("missing", "FailedMount", text="SetUp") == (
        "Warning", f'MountVolume.SetUp failed for volume "v" : {message}')
    assert waiting(space.pod("missing")) == {"reason": "ContainerCreating"}


def test_optional_sources_may_be_missing_and_come_later(space):
    space.create(volume_pod("optional", {"projected": {"sources": [
        {"configMap": {"name": "late", "optional": True}},
        {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}}]}}))
    one = space.wait_running("optional")
    assert space.node.exec(one, "ls", "/v") == "name\n"
    space.create(config_map("late", key="here"))
    wait_content(space, one, "/v/key", "here")
    space.delete("configmaps", "late")
    wait_content(space, one, "/v/key", "none\n")


def test_a_pod_has_a_token_that_the_server_knows(space):
    space.create({"kind": "ServiceAccount", "metadata": {"name": "builder"}})
    space.create(volume_pod("token", {"projected": {"sources": [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}]}}, serviceAccountName="builder"))
    one = space.wait_running("token")
    token = space.node.exec(one, "cat", "/v/token")
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["kubernetes.io"]["pod"] == {"name": "token", "uid": one["metadata"]["uid"]}
    assert claims["exp"] - claims["iat"] == 3600
    code, review = space.request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": token}})
    assert code == 201 and review["status"]["authenticated"], review
    assert review["status"]["user"]["username"] == f"system:serviceaccount:{space.namespace}:builder"
    space.delete("pods", "token", gracePeriodSeconds=0)
    code, review = space.request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": token}})
    assert not review["status"].get("authenticated")


# Images and runtimes


def test_pull_secrets_reach_the_runtime(space):
    login = {"auths": {"registry.example.com": {"auth": base64.b64encode(b"me:s3cret").decode()}}}
    space.create(secret("login", kind="kubernetes.io/dockerconfigjson", **{".dockerconfigjson": json.dumps(login)}))
    fake = FakeRuntime(space.bed, space.node.dir / "fake-runtime")
    try:
        with space.other_agent(containerRuntimeEndpoint=f"unix://{fake.socket}") as node:
            node.start()
            space.create(pod("pulls", {"name": "c", "image": "registry.example.com/team/app:1"},
                             imagePullSecrets=[{"name": "login"}, {"name": "none"}]))

            def calls():
                return [call for call in fake.calls("PullImage") if "team/app" in json.dumps(call)]
            call = beds.wait_for("the pull", calls)[0]
            assert (call["request"]["auth"]["username"], call["request"]["auth"]["password"]) == ("me", "s3cret")
            assert space.wait_event("pulls", "FailedToRetrieveImagePullSecret") == (
                "Warning", "Unable to retrieve some image pull secrets (none); attempting to pull the image may not succeed.")
            assert "s3cret" not in node.log()
            space.delete("pods", "pulls", gracePeriodSeconds=0)
    finally:
        fake.stop()
    space.wait_ready()


def test_a_runtime_class_names_the_handler(space):
    space.create({"kind": "RuntimeClass", "apiVersion": "node.k8s.io/v1", "metadata": {"name": "plain"}, "handler": "runc"},
                 {"kind": "RuntimeClass", "apiVersion": "node.k8s.io/v1", "metadata": {"name": "odd"}, "handler": "odd"})
    try:
        space.create(pod("plain", shell("c", SLEEP), runtimeClassName="plain"),
                     pod("odd", shell("c", SLEEP), runtimeClassName="odd"))
        uid = space.wait_running("plain")["metadata"]["uid"]
        assert space.bed.cri.sandboxes(uid)[0].runtime_handler == "runc"
        kind, message = space.wait_event("odd", "FailedCreatePodSandBox")
        assert kind == "Warning" and '"odd"' in message
        assert waiting(space.pod("odd"))["reason"] == "ContainerCreating"
    finally:
        space.delete("runtimeclasses", "plain")
        space.delete("runtimeclasses", "odd")


def test_a_runtime_class_that_is_gone_is_told_in_an_event(space):
    space.create({"kind": "RuntimeClass", "apiVersion": "node.k8s.io/v1", "metadata": {"name": "brief"}, "handler": "runc"})
    space.node.stop()
    space.create(pod("classless", shell("c", SLEEP), runtimeClassName="brief"))
    space.delete("runtimeclasses", "brief")
    space.node.start()
    assert space.wait_event("classless", "FailedCreatePodSandBox") == (
        "Warning", 'Failed to create pod sandbox: runtimeclass.node.k8s.io "brief" not found')
    assert condition(space.pod("classless"), "PodReadyToStartContainers") == "False"
