"""What a container is allowed, as it sees it itself; and what keeps a pod off the node before anything starts."""

import json
import pathlib

import bed as beds
import pytest
from agent import SLEEP, container_status, pod, shell

def start(node, container=None, **spec):
    node.apply("s.yaml", pod("s", shell("c", SLEEP, securityContext=container or {}), **spec))
    return node.wait_running("s")


def fact(node, running, key):
    """The value of @key in the container's /proc/self/status."""
    lines = node.exec(running, "cat", "/proc/self/status").splitlines()
    return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(f"{key}:"))


@pytest.mark.parametrize("own, shared, seccomp", [
    (None, None, "0"),
    (None, {"type": "RuntimeDefault"}, "2"),
    ({"type": "Unconfined"}, {"type": "RuntimeDefault"}, "0"),
    ({"type": "Localhost", "localhostProfile": "mine/allow.json"}, None, "2"),
], ids=["none", "the pod's", "its own wins", "a file of the node"])
def test_a_seccomp_profile_filters(node, own, shared, seccomp):
    profile = node.root_dir / "seccomp" / "mine" / "allow.json"
    profile.parent.mkdir(parents=True)
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}))
    running = start(node, {"seccompProfile": own} if own else None,
                    **({"securityContext": {"seccompProfile": shared}} if shared else {}))
    assert fact(node, running, "Seccomp") == seccomp
    if own and own["type"] == "Localhost":
        with pytest.raises(AssertionError):
            node.exec(running, "mkdir", "/tmp-of-mine")


def test_seccomp_may_be_the_default_of_the_node(make_node):
    node = make_node(config={"seccompDefault": True}).start()
    assert fact(node, start(node), "Seccomp") == "2"


def test_a_seccomp_profile_that_is_not_there_is_named(node):
    node.apply("s.yaml", pod("s", shell("c", SLEEP, securityContext={
        "seccompProfile": {"type": "Localhost", "localhostProfile": "none.json"}})))
    waiting = node.wait_pod("s", "refused", lambda p: container_status(p) and (
        container_status(p)["state"].get("waiting", {}).get("reason") == "CreateContainerError"))
    assert f"{node.root_dir}/seccomp/none.json" in container_status(waiting)["state"]["waiting"]["message"]


def test_proc_and_sys_are_masked_unless_privileged(node):
    running = start(node)
    mounts = node.exec(running, "cat", "/proc/self/mountinfo")
    assert " /proc/timer_list " in mounts
    assert any(" /proc/sys ro," in line for line in mounts.splitlines())
    node.remove("s.yaml")
    node.wait_gone("s")
    running = start(node, {"privileged": True})
    mounts = node.exec(running, "cat", "/proc/self/mountinfo")
    assert " /proc/timer_list " not in mounts and " /proc/sys " not in mounts
    assert fact(node, running, "CapEff") == pathlib.Path("/proc/self/status").read_text().split(
        "CapBnd:\t")[1].split("\n")[0]


@pytest.mark.parametrize("context, no_new_privs", [
    ({}, "0"), ({"allowPrivilegeEscalation": True}, "0"), ({"allowPrivilegeEscalation": False}, "1")],
    ids=["unset", "allowed", "forbidden"])
def test_privileges_may_be_kept_from_growing(node, context, no_new_privs):
    assert fact(node, start(node, context), "NoNewPrivs") == no_new_privs


def test_the_user_is_told_in_the_status(node):
    running = start(node, {"runAsUser": 1000, "runAsGroup": 3000}, securityContext={"supplementalGroups": [4000]})
    assert fact(node, running, "Uid").split()[0] == "1000"
    user = container_status(running).get("user")
    if user is None:  # containerd before 2.0 does not tell
        status = node.bed.cri.call("ContainerStatus", container_id=node.container(running)).status
        assert not status.HasField("user")
        return
    assert user["linux"]["uid"] == 1000 and user["linux"]["gid"] == 3000
    assert set(user["linux"]["supplementalGroups"]) == {3000, 4000}


@pytest.mark.parametrize("spec, labels, reason, message", [
    ({"os": {"name": "windows"}}, {}, "PodOSNotSupported",
     "Failed to admit pod as the OS field doesn't match node OS"),
    ({}, {"kubernetes.io/os": "windows"}, "PodOSSelectorNodeLabelDoesNotMatch",
     "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"),
    ({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "65536"}]}}, {}, "SysctlForbidden",
     'forbidden sysctl: "kernel.msgmax" not allowlisted'),
], ids=["os", "label", "sysctl"])
def test_a_pod_that_does_not_suit_the_node_fails(node, spec, labels, reason, message):
    manifest = pod("s", shell("c", SLEEP), **spec)
    manifest["metadata"]["labels"] = labels
    node.apply("s.yaml", manifest)
    status = node.wait_pod("s", "rejected", lambda p: p["status"].get("phase") == "Failed")["status"]
    assert (status["reason"], status["message"]) == (reason, f"Pod was rejected: {message}")
    assert "containerStatuses" not in status


def test_an_unsafe_sysctl_may_be_allowed(make_node):
    node = make_node(config={"allowedUnsafeSysctls": ["kernel.msg*"]}).start()
    running = start(node, securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "65536"}]})
    assert node.exec(running, "cat", "/proc/sys/kernel/msgmax") == "65536\n"


def test_a_profile_needs_apparmor(node):
    if pathlib.Path("/sys/module/apparmor/parameters/enabled").exists():
        assert start(node, {"appArmorProfile": {"type": "Unconfined"}})
        return
    node.apply("s.yaml", pod("s", shell("c", SLEEP, securityContext={"appArmorProfile": {"type": "RuntimeDefault"}})))
    status = node.wait_pod("s", "rejected", lambda p: p["status"].get("phase") == "Failed")["status"]
    assert status["reason"] == "AppArmor"
    assert status["message"] == "Pod was rejected: Cannot enforce AppArmor: AppArmor is not enabled on the host"
    beds.wait_for("nothing of it", lambda: not node.pod_dir(node.pod("s")).exists())
