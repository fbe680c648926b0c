"""Pulls from a real registry, and whose the pulled images are: pull policies, credentials, digests, and the records on disk
in the kubelet's layout."""

import hashlib
import json

import pytest

import bed as beds
import cri_client
import registry as registries
from agent import SLEEP, container_status, pod

USERS = {"me": "s3cret"}


@pytest.fixture
def private(space):
    """A registry that wants a password."""
    with registries.Registry(space.bed, users=USERS) as registry:
        yield registry


@pytest.fixture
def public(space):
    with registries.Registry(space.bed) as registry:
        yield registry


def login(name, registry, password="s3cret"):
    auths = {"auths": {registry.host: {"username": "me", "password": password}}}
    return {"kind": "Secret", "metadata": {"name": name}, "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": json.dumps(auths)}}


def puller(name, image, policy="IfNotPresent", secret=None):
    container = {"name": "c", "image": image, "imagePullPolicy": policy,
                 "command": ["sh", "-c", f"trap 'exit 0' TERM; {SLEEP}"]}
    return pod(name, container, imagePullSecrets=[{"name": secret}] if secret else [])


def waiting(one):
    return ((container_status(one) or {}).get("state") or {}).get("waiting") or {}


def wait_waiting(space, name, *reasons, timeout=20):
    return waiting(space.wait_pod(name, f"waiting with {reasons}", lambda p: waiting(p).get("reason") in reasons, timeout))


def forget(space, image):
    space.bed.cri.call("RemoveImage", image={"image": image})


def present(space, image):
    return space.bed.cri.call("ImageStatus", image={"image": image}).image


def file_name(key):
    return "sha256-" + hashlib.sha256(key.encode()).hexdigest()


def record(space, image_ref):
    path = space.node.root_dir / "image_manager" / "pulled" / file_name(image_ref)
    return json.loads(path.read_text()) if path.exists() else None


def intents(space):
    return sorted(path.name for path in (space.node.root_dir / "image_manager" / "pulling").iterdir())


def uid_of(space, kind, name):
    return space.get(kind, name)["metadata"]["uid"]


# Without a password


def test_an_image_that_anybody_may_pull_is_pulled_once_and_anybody_s(space, public):
    image = public.push("team/app:1")
    space.create(puller("first", image))
    space.wait_running("first")
    space.create(puller("second", image, policy="Never"))
    space.wait_running("second")
    assert space.wait_event("second", "Pulled")[1] == (
        f'Container image "{image}" already present on machine and can be accessed by the pod')
    told = [event[1:] for event in space.events("first") if event[1] in ("Pulling", "Pulled")]
    assert told[0] == ("Pulling", f'Pulling image "{image}"')
    assert told[1][1].startswith(f'Successfully pulled image "{image}" in ')
    image_ref = present(space, image).id
    found = record(space, image_ref)
    assert found.pop("lastUpdatedTime").endswith("Z")
    assert found == {"kind": "ImagePulledRecord", "apiVersion": "kubelet.config.k8s.io/v1beta1", "imageRef": image_ref,
                     "credentialMapping": {f"{public.host}/team/app": {"nodePodsAccessible": True}}}
    path = space.node.root_dir / "image_manager" / "pulled" / file_name(image_ref)
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    assert intents(space) == []
    forget(space, image)


def test_a_digest_names_an_image_exactly(space, public):
    image = public.push("team/app:1")
    digest = space.bed.cri.call("PullImage", image={"image": image}) and present(space, image).repo_digests[0]
    forget(space, image)
    assert digest.startswith(f"{public.host}/team/app@sha256:")
    space.create(puller("digest", digest))
    found = space.wait_running("digest")
    assert container_status(found)["imageID"] == digest
    assert set(record(space, present(space, digest).id)["credentialMapping"]) == {f"{public.host}/team/app"}
    forget(space, digest)


def test_each_policy_asks_the_registry_when_it_says(space, public):
    image = public.push("team/app:1")
    space.create(puller("never", image, policy="Never"))
    assert wait_waiting(space, "never", "ErrImageNeverPull")["message"] == (
        f'Container image "{image}" is not present with pull policy of Never')
    assert public.answers("team/app") == []
    space.create(puller("if-not-present", image))
    space.wait_running("if-not-present")
    beds.wait_for("the registry's log of the pull", lambda: public.answers("team/app"))
    seen = len(public.answers("team/app"))
    space.create(puller("present", image))
    space.wait_running("present")
    assert len(public.answers("team/app")) == seen
    space.create(puller("always", image, policy="Always"))
    space.wait_running("always")
    beds.wait_for("the registry's log of another pull", lambda: len(public.answers("team/app")) > seen)
    space.wait_running("never")  # the image is there by now, and anybody's
    forget(space, image)


def test_a_registry_that_does_not_answer_is_tried_again(space, public):
    image = public.push("team/app:1")
    public.stop()
    space.create(puller("early", image))
    found = wait_waiting(space, "early", "ImagePullBackOff")
    assert found["message"].startswith(f'Back-off pulling image "{image}": ErrImagePull: ')
    assert space.wait_event("early", "BackOff")[1] == f'Back-off pulling image "{image}"'
    assert intents(space) == []
    public.start()
    space.wait_running("early")
    forget(space, image)


# With a password


def test_an_image_is_for_the_pods_that_may_pull_it(space, private):
    image = private.push("team/app:1")
    space.create(login("login", private), login("twin", private), puller("owner", image, secret="login"))
    space.wait_running("owner")
    image_ref = present(space, image).id
    secrets = record(space, image_ref)["credentialMapping"][f"{private.host}/team/app"]["kubernetesSecrets"]
    hashed = hashlib.sha256(b'{"username":"me","password":"s3cret"}').hexdigest()
    assert secrets == [{"uid": uid_of(space, "secrets", "login"), "namespace": space.namespace, "name": "login",
                        "credentialHash": hashed}]

    space.create(puller("stranger", image), puller("never", image, policy="Never"))
    assert wait_waiting(space, "never", "ErrImageNeverPull")["message"] == (
        f'Container image "{image}" is not present with pull policy of Never')
    assert "401" in wait_waiting(space, "stranger", "ErrImagePull", "ImagePullBackOff")["message"]

    space.node.restart()  # which keeps nothing but what is on disk
    space.wait_ready()
    space.create(puller("later", image, policy="Never"), puller("same", image, policy="Never", secret="login"),
                 puller("twin", image, policy="Never", secret="twin"))
    wait_waiting(space, "later", "ErrImageNeverPull")
    space.wait_running("same")
    space.wait_running("twin")

    def names():
        found = record(space, image_ref)["credentialMapping"][f"{private.host}/team/app"]["kubernetesSecrets"]
        return [secret["name"] for secret in found]
    beds.wait_for("the record of the other secret", lambda: names() == ["login", "twin"])
    assert "s3cret" not in space.node.log()

    with space.other_agent(imagePullCredentialsVerificationPolicy="NeverVerify") as node:
        node.start()
        space.create(puller("unasked", image, policy="Never"))
        space.wait_running("unasked")
    with space.other_agent(imagePullCredentialsVerificationPolicy="NeverVerifyAllowlistedImages",
                           preloadedImagesVerificationAllowlist=[f"{private.host}/team/*"]) as node:
        node.start()
        space.create(puller("listed", image, policy="Never"))
        space.wait_running("listed")
    space.wait_ready()
    forget(space, image)


def test_a_wrong_password_and_then_the_right_one(space, private):
    image = private.push("team/app:1")
    space.create(login("login", private, password="wrong"), puller("pod", image, secret="login"))
    found = wait_waiting(space, "pod", "ErrImagePull", "ImagePullBackOff")
    assert "401" in found["message"] and "wrong" not in found["message"]
    assert space.wait_event("pod", "Failed", text="Failed to pull image")[0] == "Warning"
    space.patch("secrets", "login", {"stringData": login("login", private)["stringData"]})
    space.wait_running("pod", timeout=60)
    forget(space, image)


def test_an_image_that_was_there_before_is_asked_about_when_always_is_said(space, private):
    image = private.push("team/app:1")
    space.bed.cri.call("PullImage", image={"image": image}, auth={"username": "me", "password": "s3cret"})
    space.create(puller("preloaded", image, policy="Never"))
    space.wait_running("preloaded")
    with space.other_agent(imagePullCredentialsVerificationPolicy="AlwaysVerify") as node:
        node.start()
        space.create(puller("verified", image, policy="Never"))
        wait_waiting(space, "verified", "ErrImageNeverPull")
    space.wait_ready()
    forget(space, image)


def test_an_intent_left_behind_becomes_a_record(space, public):
    """As if the agent had been killed between the end of a pull and its record."""
    image = public.push("team/app:1")
    image_ref = space.bed.cri.call("PullImage", image={"image": image}).image_ref
    with space.other_agent() as node:
        left = node.root_dir / "image_manager" / "pulling" / file_name(image)
        left.write_text(json.dumps({"kind": "ImagePullIntent", "apiVersion": "kubelet.config.k8s.io/v1beta1", "image": image}))
        node.start()
        beds.wait_for("a record in the place of the intent", lambda: record(space, image_ref) and not left.exists())
        assert "credentialMapping" not in record(space, image_ref)
        space.create(puller("never", image, policy="Never"))
        wait_waiting(space, "never", "ErrImageNeverPull")
    space.wait_ready()
    try:
        forget(space, image)
    except cri_client.grpc.RpcError:  # whether it is in use is not the question here
        pass
