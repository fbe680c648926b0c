"""cubelet refuses to start with what is wrong, where, and what to do about it; and it keeps no silence on what it
does not do yet."""

import socket
import subprocess

import bed as beds
import pytest
from agent import SLEEP, pod, shell


def test_help_and_version_need_nothing(make_node):
    program = make_node().program
    for arguments in (["--help"], ["pods", "--help"], ["status", "--help"], ["logs", "--help"]):
        shown = subprocess.run([program, *arguments], capture_output=True, text=True, check=True).stdout
        assert "Usage:" in shown or "usage:" in shown, arguments
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    assert version.startswith("Kubernetes v1.36.2+cubelet.")


@pytest.mark.parametrize("flag", ["--no-such-flag", "--no-such-flag=1", "--v=abc"])
def test_a_wrong_flag_is_named(make_node, flag):
    code, output = make_node().run_to_its_end(flag)
    assert code != 0
    assert flag.split("=")[0].lstrip("-") in output


def test_an_unknown_configuration_field_is_named(make_node):
    node = make_node()
    node.write_config(noSuchField=1)
    code, output = node.run_to_its_end()
    assert code != 0
    assert "noSuchField" in output and "config.yaml" in output


def test_a_wrong_configuration_value_is_named(make_node):
    node = make_node()
    node.write_config(maxPods=-1)
    code, output = node.run_to_its_end()
    assert code != 0
    assert "maxPods" in output


def test_a_known_field_without_effect_is_mentioned_once(make_node):
    node = make_node(config={"topologyManagerScope": "pod"}).start()
    assert len(node.log_lines("topologyManagerScope")) == 1, node.log_tail()


def test_without_a_runtime_socket_it_says_where_it_looked(make_node):
    node = make_node()
    node.write_config(containerRuntimeEndpoint=f"unix://{node.dir}/absent.sock")
    code, output = node.run_to_its_end(timeout=60)
    assert code != 0
    assert f"{node.dir}/absent.sock" in output


def test_only_root_may_run_it(make_node):
    node = make_node()
    code, output = node.run_to_its_end(
        command=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", *node.command()])
    assert code != 0
    assert "root" in output


def test_a_second_agent_on_the_same_socket_is_refused(node):
    code, output = node.run_to_its_end()
    assert code != 0
    assert str(node.socket) in output
    assert node.status()["nodeName"] == "node-a"  # the first one was not hurt


def test_a_stale_socket_is_no_obstacle(make_node):
    node = make_node()
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(node.socket))
    stale.close()
    node.start()


def test_the_local_socket_is_roots_alone(node):
    assert node.socket.stat().st_mode & 0o777 == 0o600
    refused = node.bed.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--",
                           node.program, "status", f"--local-socket={node.socket}", check=False)
    assert refused.returncode != 0


def test_a_missing_cgroup_root_is_named(make_node):
    node = make_node()
    node.write_config(cgroupRoot="/no/such/cgroup")
    code, output = node.run_to_its_end()
    assert code != 0
    assert "/no/such/cgroup" in output


def test_a_client_without_an_agent_says_so(make_node):
    node = make_node()
    for command in ("pods", "status"):
        refused = node.client(command, check=False)
        assert refused.returncode != 0
        assert str(node.socket) in refused.stderr
        assert not refused.stdout


def test_a_missing_manifest_folder_is_no_obstacle(make_node):
    node = make_node(config={"fileCheckFrequency": "1s"})
    node.manifests.rmdir()
    node.start()
    beds.wait_for("the complaint", lambda: node.log_lines(str(node.manifests)))
    node.manifests.mkdir()
    node.apply("a.yaml", pod("a", shell("c", SLEEP)))
    node.wait_running("a")
