"""Credential provider plugins: images that a real registry gives only to who knows the password, which only a plugin
tells; what a plugin is told; and configurations the agent does not start with."""

import hashlib
import json
import stat

import pytest
import yaml

import bed as beds
import cri_client
from agent import SLEEP, container_status, pod, shell
from registry import Registry

V1 = "credentialprovider.kubelet.k8s.io/v1"

# Answers with what ANSWER holds, and notes what it was asked and given.
PLUGIN = """#!/usr/bin/python3
import json, os, sys
asked = json.load(sys.stdin)
with open(os.environ["NOTES"], "a") as notes:
    print(json.dumps({"asked": asked, "args": sys.argv[1:], "path": os.environ.get("PATH", "")}), file=notes)
print("asked for", asked["image"], file=sys.stderr)
answer = json.loads(os.environ["ANSWER"])
print(json.dumps({"kind": "CredentialProviderResponse", "apiVersion": asked["apiVersion"], **answer}))
sys.exit(int(os.environ.get("CODE", "0")))
"""


class Plugins:
    """A directory of plugins with their configuration, for one agent."""

    def __init__(self, directory):
        self.bin = directory / "bin"
        self.config = directory / "config.yaml"
        self.notes = directory / "notes"
        self.bin.mkdir(parents=True)
        self.providers = []
        self.flags = [f"--image-credential-provider-config={self.config}",
                      f"--image-credential-provider-bin-dir={self.bin}"]

    def add(self, name, images, logins, code=0, cache="Image", **more):
        program = self.bin / name
        program.write_text(PLUGIN)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        auth = {where: {"username": user, "password": password} for where, (user, password) in logins.items()}
        env = {"NOTES": str(self.notes), "ANSWER": json.dumps({"cacheKeyType": cache, "auth": auth}), "CODE": str(code)}
        self.providers.append({"name": name, "matchImages": images, "defaultCacheDuration": "10m", "apiVersion": V1,
                               "args": ["get", "now"], "env": [{"name": k, "value": v} for k, v in env.items()], **more})
        self.config.write_text(yaml.safe_dump({"kind": "CredentialProviderConfig", "apiVersion": "kubelet.config.k8s.io/v1",
                                               "providers": self.providers}))
        return self

    def runs(self):
        return [json.loads(line) for line in self.notes.read_text().splitlines()] if self.notes.exists() else []


def private(name, image, **spec):
    return pod(name, shell("c", SLEEP, image=image), **spec)


def waiting(one):
    return ((container_status(one) or {}).get("state") or {}).get("waiting") or {}


@pytest.fixture
def node_with(make_node):
    return lambda plugins: make_node(flags=plugins.flags).start()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_pull_succeeds_only_thanks_to_a_plugin(bed, make_node, tmp_path, tls):
    with Registry(bed, users={"me": "s3cret"}, tls=tls) as registry:
        image = registry.push("team/app:1")
        without = make_node().start()
        without.apply("p.yaml", private("p", image))
        without.wait_pod("p", "a failed pull", lambda one: waiting(one).get("reason") in ("ErrImagePull", "ImagePullBackOff"))
        beds.wait_for("the registry's answer", lambda: registry.answers("team/app"))
        assert set(registry.answers("team/app")) == {401}
        without.remove("p.yaml")
        without.wait_gone("p")
        without.stop()

        plugins = Plugins(tmp_path).add("broken", ["*.test", registry.host], {registry.host: ("me", "n0t")}, code=1)
        plugins.add("keys", [registry.host + "/team"], {registry.host: ("me", "s3cret")}, cache="Registry")
        plugins.add("others", ["other.test"], {registry.host: ("me", "n0t")})
        node = make_node(flags=[*plugins.flags, "-v=5"]).start()
        node.apply("p.yaml", private("p", image))
        one = node.wait_running("p")
        assert container_status(one)["imageID"].startswith("sha256:") or "@sha256:" in container_status(one)["imageID"]
        beds.wait_for("the registry's answer", lambda: 200 in registry.answers("team/app"))
        # Both plugins for this image were asked for its repository; the third one was not.
        runs = plugins.runs()
        assert [run["asked"] for run in runs] == 2 * [
            {"kind": "CredentialProviderRequest", "apiVersion": V1, "image": f"{registry.host}/team/app"}]
        assert runs[0]["args"] == ["get", "now"] and "/bin" in runs[0]["path"]
        failure, = node.log_lines("Failed getting credential from external registry credential provider")
        assert (f"error execing credential provider plugin broken for image {registry.host}/team/app: exit status 1: "
                f"asked for {registry.host}/team/app") in failure
        assert "s3cret" not in node.log() and "n0t" not in node.log()

        # The answer was for the whole registry: only the plugin that failed is asked for the next image.
        other = registry.push("team/other:1")
        node.apply("q.yaml", private("q", other))
        node.wait_running("q")
        assert len(plugins.runs()) == 3
        for name in ("p.yaml", "q.yaml"):
            node.remove(name)
        node.wait_gone("p")
        node.wait_gone("q")
        for pulled in (image, other):
            bed.cri.call("RemoveImage", image={"image": pulled})


def test_logins_of_the_node_come_before_those_of_plugins(bed, make_node, tmp_path):
    with Registry(bed, users={"me": "s3cret"}) as registry:
        image = registry.push("team/app:1")
        plugins = Plugins(tmp_path).add("keys", [registry.host], {registry.host: ("me", "s3cret")})
        node = make_node(flags=plugins.flags)
        (node.root_dir / "config.json").write_text(json.dumps(
            {"auths": {registry.host: {"username": "me", "password": "outdated"}}}))
        node.start()
        node.apply("p.yaml", private("p", image))
        node.wait_running("p")
        beds.wait_for("the registry's answer", lambda: 200 in registry.answers("team/app"))
        answers = registry.answers("team/app")
        assert 401 in answers[:answers.index(200)]
        node.remove("p.yaml")
        node.wait_gone("p")
        bed.cri.call("RemoveImage", image={"image": image})


def test_a_pod_that_ends_does_not_wait_for_a_plugin(bed, node_with, tmp_path):
    plugins = Plugins(tmp_path)
    plugins.add("slow", ["r.test"], {})
    (plugins.bin / "slow").write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid\nexec sleep 1000\n")
    node = node_with(plugins)
    node.apply("p.yaml", private("p", "r.test/app:1"))
    pid = int(beds.wait_for("the plugin", lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    inside = bed.inside(f"/proc/{pid}/cmdline")
    assert inside.read_text().startswith("sleep")
    node.apply("q.yaml", pod("q", shell("c", SLEEP)))  # nobody else waits for it either
    node.wait_running("q")
    node.remove("p.yaml")
    node.wait_gone("p", timeout=15)
    beds.wait_for("the end of the plugin", lambda: not inside.exists())


def test_an_agent_does_not_start_with_a_faulty_configuration(make_node, tmp_path):
    plugins = Plugins(tmp_path).add("keys", ["r.example"], {})
    node = make_node()

    def refusal(*flags):
        code, text = node.run_to_its_end(*flags)
        assert code == 1, text
        assert "Failed to register CRI auth plugins: " in text
        return text

    config, folder = plugins.flags
    assert f"plugin binary directory {tmp_path}/none did not exist" in refusal(
        config, f"--image-credential-provider-bin-dir={tmp_path}/none")
    assert "credential provider config path is empty" in refusal(folder)
    assert f'unable to access path \\"{tmp_path}/none\\"' in refusal(
        folder, f"--image-credential-provider-config={tmp_path}/none")
    (plugins.bin / "keys").chmod(0o644)
    assert f"error inspecting binary executable {plugins.bin}/keys: Permission denied" in refusal(*plugins.flags)
    plugins.config.write_text(plugins.config.read_text() + "extra: 1\n")
    line = len(plugins.config.read_text().splitlines())
    assert f'{plugins.config}:{line}: unknown field \\"extra\\"' in refusal(*plugins.flags)


# With a token of the pod's service account, which needs an API server

AUDIENCE = "registry.test"


def account(name, **annotations):
    return {"kind": "ServiceAccount", "metadata": {"name": name, "annotations": annotations}}


def with_account(name, image, service_account, **container):
    """nodeplane grants a node tokens for those audiences only that a volume of the pod projects."""
    return pod(name, shell("c", SLEEP, image=image, **container), serviceAccountName=service_account, volumes=[
        {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": AUDIENCE}}]}}])


def credential_mapping(node, image_ref):
    """Whose an image is, as the record on the node's disk has it."""
    name = "sha256-" + hashlib.sha256(image_ref.encode()).hexdigest()
    return json.loads((node.root_dir / "image_manager" / "pulled" / name).read_text())["credentialMapping"]


def test_a_plugin_is_told_who_pulls(space, tmp_path):
    with Registry(space.bed, users={"me": "s3cret"}) as registry:
        image = registry.push("team/app:1")
        plugins = Plugins(tmp_path).add(
            "keys", [registry.host], {registry.host: ("me", "s3cret")}, cache="Global",
            tokenAttributes={"serviceAccountTokenAudience": AUDIENCE, "cacheType": "ServiceAccount",
                             "requireServiceAccount": True, "requiredServiceAccountAnnotationKeys": ["example.com/role"],
                             "optionalServiceAccountAnnotationKeys": ["example.com/area"]})
        space.create(account("puller", **{"example.com/role": "reader", "unasked": "x"}),
                     account("reader", **{"example.com/role": "reader"}), account("nobody"))
        with space.other_agent(*plugins.flags, "-v=5", readOnlyPort=10255) as node:
            node.start()
            space.wait_ready()
            space.create(with_account("refused", image, "nobody"))
            assert "401" in space.wait_event("refused", "Failed", text="Failed to pull image")[1]
            assert plugins.runs() == []
            assert node.log_lines("Required annotation not found")
            space.delete("pods", "refused", gracePeriodSeconds=0)

            space.create(with_account("pulls", image, "puller"))
            one = space.wait_running("pulls")
            asked = plugins.runs()[0]["asked"]
            token = asked.pop("serviceAccountToken")
            assert asked == {"kind": "CredentialProviderRequest", "apiVersion": V1, "image": f"{registry.host}/team/app",
                             "serviceAccountAnnotations": {"example.com/role": "reader"}}
            code, review = space.request("POST", "/apis/authentication.k8s.io/v1/tokenreviews",
                                         {"spec": {"token": token, "audiences": [AUDIENCE]}})
            assert code == 201 and review["status"]["authenticated"], review
            user = review["status"]["user"]
            assert user["username"] == f"system:serviceaccount:{space.namespace}:puller"
            assert user["extra"]["authentication.kubernetes.io/pod-uid"] == [one["metadata"]["uid"]]

            # Another pod of the account: a token of its own, but what is known of the account serves it, too.
            other = registry.push("team/other:1")
            space.create(with_account("pulls-too", other, "puller"))
            space.wait_running("pulls-too")
            assert len(plugins.runs()) == 1
            text = plugins.config.read_bytes()
            digest = hashlib.sha256(len(text).to_bytes(8, "big") + text).hexdigest()
            page = space.bed.run("curl", "-sS", f"http://{beds.NODE_IP}:10255/metrics").stdout
            assert f'kubelet_credential_provider_config_info{{hash="sha256:{digest}"}} 1' in page
            assert 'kubelet_credential_provider_plugin_duration_count{plugin_name="keys"} 1' in page
            assert token not in node.log() and "s3cret" not in node.log()

            # The image is the account's now, and nobody else's.
            image_ref = space.bed.cri.call("ImageStatus", image={"image": image}).image.id
            uid = space.get("serviceaccounts", "puller")["metadata"]["uid"]
            assert credential_mapping(node, image_ref) == {f"{registry.host}/team/app": {
                "kubernetesServiceAccounts": [{"uid": uid, "namespace": space.namespace, "name": "puller"}]}}
            space.create(with_account("again", image, "puller", imagePullPolicy="Never"),
                         with_account("other", image, "reader", imagePullPolicy="Never"))
            space.wait_running("again")
            space.wait_pod("other", "refused", lambda found: waiting(found).get("reason") == "ErrImageNeverPull")
            for name in ("pulls", "pulls-too", "again", "other"):
                space.delete("pods", name, gracePeriodSeconds=0)
                space.wait_gone(name)
            beds.wait_for("the images' end", lambda: remove_images(space.bed, image, other))
    space.wait_ready()


def remove_images(bed, *names):
    try:
        for name in names:
            bed.cri.call("RemoveImage", image={"image": name})
    except cri_client.grpc.RpcError:
        return False
    return True
