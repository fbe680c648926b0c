"""The bed itself, with no agent: a sandbox and a container with a network, made by direct CRI calls."""

import pathlib

import bed as beds
import cri_client
import images
import pytest
import registry as registries


def sandbox_config(bed, name, **more):
    return {"metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"}, "hostname": name,
            "log_directory": str(bed.dir / "log" / "pods" / name),
            "labels": {"io.kubernetes.pod.uid": f"uid-{name}"},
            "linux": {"cgroup_parent": f"/{bed.cgroup}/{name}",
                      "security_context": {"namespace_options": {"pid": bed.cri.messages.CONTAINER}}}, **more}


@pytest.fixture
def web(bed):
    """A sandbox with a web server in it; yields (sandbox id, container id)."""
    config = sandbox_config(bed, "web", port_mappings=[{"container_port": 80, "host_port": 8081}])
    sandbox = bed.cri.call("RunPodSandbox", config=config).pod_sandbox_id
    server = cri_client.container_command(
        "c", images.BUSYBOX_IMAGE, "sh", "-c", "mkdir /www; echo hello > /www/index.html; exec httpd -f -h /www")
    container = bed.cri.call("CreateContainer", pod_sandbox_id=sandbox, config=server,
                             sandbox_config=config).container_id
    bed.cri.call("StartContainer", container_id=container)
    yield sandbox, container
    bed.cri.remove_all()


def test_a_sandbox_with_a_web_server_answers_at_its_address_and_host_port(bed, web):
    sandbox, container = web
    address = bed.cri.call("PodSandboxStatus", pod_sandbox_id=sandbox).status.network.ip
    assert address.startswith("10.88.")
    for url in (f"http://{address}/", f"http://{beds.NODE_IP}:8081/"):
        beds.wait_for(url, lambda url=url: bed.run("curl", "-sS", url, check=False).stdout == "hello\n")
    assert bed.cri.exec(container, "hostname") == "web\n"
    assert bed.cri.container_info(container)["pid"] > 0


def test_a_container_outlives_its_runtime(bed, web):
    _, container = web
    bed.stop_containerd()
    bed.start_containerd()
    assert bed.cri.exec(container, "cat", "/www/index.html") == "hello\n"


def pull(bed, image, **request):
    try:
        return bed.cri.call("PullImage", image={"image": image}, **request).image_ref
    except cri_client.grpc.RpcError as error:
        return error.details()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_registry_with_a_password_gives_its_images_to_who_knows_it(bed, tls):
    with registries.Registry(bed, users={"me": "s3cret"}, tls=tls) as registry:
        image = registry.push("team/app:1")
        assert "401" in pull(bed, image)
        assert pull(bed, image, auth={"username": "me", "password": "s3cret"}).startswith("sha256:")
        assert set(registry.answers("team/app")) == {401, 200}
        registry.set_users({"me": "changed"})
        bed.cri.call("RemoveImage", image={"image": image})
        assert "401" in pull(bed, image, auth={"username": "me", "password": "s3cret"})
        assert pull(bed, image, auth={"username": "me", "password": "changed"}).startswith("sha256:")
        bed.cri.call("RemoveImage", image={"image": image})


def test_a_registry_without_a_password_gives_its_images_to_everybody(bed):
    with registries.Registry(bed) as registry:
        image = registry.push("team/app:1", User="65534")
        assert pull(bed, image).startswith("sha256:")
        assert bed.cri.call("ImageStatus", image={"image": image}).image.uid.value == 65534
        bed.cri.call("RemoveImage", image={"image": image})


def test_ending_a_bed_leaves_nothing_behind():
    before = pathlib.Path("/proc/self/mountinfo").read_text()
    with beds.Bed() as host:
        host.start()
        host.cri.call("RunPodSandbox", config=sandbox_config(host, "left"))
        directory, cgroup, init = host.dir, host.cgroup, host.init_pid
    assert not directory.exists()
    assert not any(path.exists() for path in beds.cgroup_directories(cgroup))
    assert not beds.is_alive(init)
    assert pathlib.Path("/proc/self/mountinfo").read_text() == before
