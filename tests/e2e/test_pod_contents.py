"""What a container finds: volumes, environment, names, limits, users, and what it can tell about its end."""

import json

import bed as beds
import pytest
from agent import SLEEP, condition, container_status, pod, shell


def volume(name, **source):
    return {"name": name, **source}


def mount(name, path, **more):
    return {"name": name, "mountPath": path, **more}


def test_empty_dirs_are_shared_survive_restarts_and_may_be_memory(node):
    node.apply("v.yaml", pod(
        "v", shell("c", "echo run >> /disk/runs; echo m > /mem/m; [ $(wc -l < /disk/runs) -ge 2 ] || exit 1; " + SLEEP,
                   volumeMounts=[mount("disk", "/disk"), mount("mem", "/mem")]),
        shell("other", SLEEP, volumeMounts=[mount("disk", "/seen", readOnly=True)]),
        volumes=[volume("disk", emptyDir={}), volume("mem", emptyDir={"medium": "Memory", "sizeLimit": "8Mi"})]))
    running = node.wait_pod("v", "restarted once", lambda p: (
        condition(p, "Ready") == "True" and container_status(p, "c")["restartCount"] == 1))
    assert node.exec(running, "cat", "/disk/runs", container="c") == "run\nrun\n"
    assert node.exec(running, "cat", "/seen/runs", container="other") == "run\nrun\n"
    mounted = node.exec(running, "sh", "-c", "df -k /mem | tail -n 1; stat -f -c %T /mem", container="c")
    assert "8192" in mounted and "tmpfs" in mounted
    with pytest.raises(AssertionError):
        node.exec(running, "touch", "/seen/x", container="other")
    directory = node.pod_dir(running) / "volumes" / "kubernetes.io~empty-dir" / "disk"
    assert directory.stat().st_mode & 0o7777 == 0o777
    node.remove("v.yaml")
    node.wait_gone("v")
    beds.wait_for("the pod directory to go", lambda: not node.pod_dir(running).exists())
    mounts = node.bed.run("cat", "/proc/self/mountinfo").stdout
    assert running["metadata"]["uid"] not in mounts


@pytest.mark.parametrize("kind,prepare,is_fine", [
    ("", "directory", True), ("DirectoryOrCreate", None, True), ("Directory", "directory", True),
    ("Directory", None, False), ("File", "file", True), ("File", "directory", False), ("FileOrCreate", None, True)])
def test_host_paths_are_checked_by_their_type(node, kind, prepare, is_fine):
    host = node.dir / "host"
    if prepare == "directory":
        host.mkdir()
    elif prepare == "file":
        host.write_text("content\n")
    node.apply("h.yaml", pod("h", shell("c", SLEEP, volumeMounts=[mount("host", "/host")]),
                             volumes=[volume("host", hostPath={"path": str(host), "type": kind})]))
    if is_fine:
        node.exec(node.wait_running("h"), "ls", "-d", "/host")
        assert host.is_file() == kind.startswith("File")
    else:
        complaint = f"hostPath type check failed: {host} is not a {kind.lower()}"
        beds.wait_for("the complaint", lambda: complaint in node.log())
        assert condition(node.pod("h"), "Ready") != "True"
        assert not node.bed.cri.containers(node.pod("h")["metadata"]["uid"])


def test_a_sub_path_is_one_part_of_a_volume(node):
    host = node.dir / "host"
    (host / "inner").mkdir(parents=True)
    (host / "inner" / "file").write_text("inner\n")
    node.apply("s.yaml", pod("s", shell("c", SLEEP, volumeMounts=[mount("host", "/sub", subPath="inner")]),
                             volumes=[volume("host", hostPath={"path": str(host)})]))
    assert node.exec(node.wait_running("s"), "cat", "/sub/file") == "inner\n"


def test_the_environment_comes_from_literals_fields_and_resources(node):
    node.apply("e.yaml", pod(
        "e", shell("c", SLEEP, resources={"limits": {"memory": "64Mi", "cpu": "500m"}}, env=[
            {"name": "PLAIN", "value": "p"},
            {"name": "COMPOSED", "value": "$(PLAIN)-$(UNKNOWN)-$$(ESC)"},
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
            {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['tier']"}}},
            {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "HOST_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
            {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
            {"name": "MILLIS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}}]),
        metadata={"labels": {"tier": "data"}}))
    running = node.wait_running("e")
    found = dict(line.split("=", 1) for line in node.exec(running, "env").splitlines())
    wanted = {"PLAIN": "p", "COMPOSED": "p-$(UNKNOWN)-$(ESC)", "NAME": "e-node-a", "UID": running["metadata"]["uid"],
              "LABEL": "data", "NODE": "node-a", "IP": running["status"]["podIP"], "HOST_IP": beds.NODE_IP,
              "MEMORY": str(64 << 20), "MILLIS": "500", "HOSTNAME": "e-node-a"}
    assert {name: found.get(name) for name in wanted} == wanted


def test_command_and_arguments_are_expanded(node):
    node.apply("x.yaml", pod("x", {
        "name": "c", "image": "docker.io/library/busybox:1.36", "command": ["sh", "-c", "echo $0 $1; sleep 3600"],
        "args": ["$(GREETING)", "$$(GREETING)"], "env": [{"name": "GREETING", "value": "hello"}]}))
    node.wait_running("x")
    beds.wait_for("the log", lambda: node.logs("x") == "hello $(GREETING)\n")


def test_the_hosts_file_names_the_pod_and_its_aliases(node):
    node.apply("h.yaml", pod("h", shell("c", SLEEP), hostname="box", subdomain="sub", hostAliases=[
        {"ip": "10.1.2.3", "hostnames": ["alias.example", "other.example"]}]))
    running = node.wait_running("h")
    hosts = node.exec(running, "cat", "/etc/hosts")
    assert hosts.startswith("# Kubernetes-managed hosts file.\n")
    assert f"{running['status']['podIP']}\tbox.sub.default.svc.cluster.local\tbox\n" in hosts
    assert "# Entries added by HostAliases.\n10.1.2.3\talias.example\tother.example\n" in hosts
    assert node.exec(running, "hostname") == "box\n"


@pytest.mark.parametrize("policy,config,wanted", [
    ("ClusterFirst", None, ["nameserver 10.0.0.10", "options ndots:5", "search default.svc.cluster.local "
                            "svc.cluster.local cluster.local example.org"]),
    ("Default", None, ["nameserver 192.0.2.53", "search example.org"]),
    ("None", {"nameservers": ["10.9.9.9"], "searches": ["a.example"], "options": [{"name": "ndots", "value": "3"}]},
     ["nameserver 10.9.9.9", "options ndots:3", "search a.example"])])
def test_dns_follows_the_pods_policy(node, policy, config, wanted):
    spec = {"dnsPolicy": policy, **({"dnsConfig": config} if config else {})}
    node.apply("d.yaml", pod("d", shell("c", SLEEP), **spec))
    lines = node.exec(node.wait_running("d"), "cat", "/etc/resolv.conf").splitlines()
    for line in wanted:
        assert line in lines


def test_a_termination_message_is_the_containers_or_its_last_words(node):
    node.apply("m.yaml", pod("m", shell("file", "printf 'all good' > /dev/termination-log"),
                             shell("words", "echo last words; exit 3",
                                   terminationMessagePolicy="FallbackToLogsOnError"),
                             shell("own", "printf elsewhere > /tmp/message; exit 1",
                                   terminationMessagePath="/tmp/message"), restartPolicy="Never"))
    ended = node.wait_pod("m", "Failed", lambda p: p["status"]["phase"] == "Failed")
    messages = {s["name"]: s["state"]["terminated"].get("message") for s in ended["status"]["containerStatuses"]}
    assert messages == {"file": "all good", "words": "last words\n", "own": "elsewhere"}


def cgroup_values(directories):
    """The limits in force below @directories, in cgroup v1's words on both versions."""
    values = {}
    for path in directories:
        def read(name, path=path):
            return (path / name).read_text().strip() if (path / name).exists() else None
        if read("cpu.shares"):
            values.update(shares=int(read("cpu.shares")), quota=int(read("cpu.cfs_quota_us")))
        if read("memory.limit_in_bytes"):
            values["memory"] = int(read("memory.limit_in_bytes"))
        if read("cpu.weight"):
            quota = read("cpu.max").split()[0]
            # The inverse of the kubelet's shares-to-weight formula, which loses a little.
            values.update(shares=2 + (int(read("cpu.weight")) - 1) * 262142 // 9999,
                          quota=-1 if quota == "max" else int(quota), memory=read("memory.max"))
    return values


def test_requests_and_limits_land_in_the_cgroups(node):
    resources = {"requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"cpu": "100m", "memory": "32Mi"}}
    node.apply("g.yaml", pod("g", shell("c", SLEEP, resources=resources)))
    node.apply("b.yaml", pod("b", shell("c", SLEEP, resources={"requests": {"cpu": "250m"}})))
    node.apply("e.yaml", pod("e", shell("c", SLEEP)))
    guaranteed, burstable, best_effort = (node.wait_running(name) for name in "gbe")
    assert [p["status"]["qosClass"] for p in (guaranteed, burstable, best_effort)] == [
        "Guaranteed", "Burstable", "BestEffort"]
    limited = cgroup_values(node.pod_cgroups(guaranteed))
    assert limited["shares"] == pytest.approx(102, abs=27)
    assert (limited["quota"], int(limited["memory"])) == (10000, 32 << 20)
    assert cgroup_values(node.pod_cgroups(burstable))["shares"] == pytest.approx(256, abs=27)
    assert cgroup_values(node.pod_cgroups(best_effort))["shares"] == 2
    parents = {p["metadata"]["name"]: node.pod_cgroups(p)[0].parent.name for p in (guaranteed, burstable, best_effort)}
    assert parents == {"g-node-a": "kubepods", "b-node-a": "burstable", "e-node-a": "besteffort"}
    info = node.bed.cri.container_info(node.container(guaranteed))
    assert info["runtimeSpec"]["linux"]["resources"]["memory"]["limit"] == 32 << 20
    assert info["config"]["linux"]["resources"]["cpu_shares"] == 102
    # The burstable tier weighs as much as its pods ask for together.
    tier = [path.parent for path in node.pod_cgroups(burstable)]
    assert cgroup_values(tier)["shares"] == pytest.approx(256, abs=27)


def test_a_container_beyond_its_memory_is_oom_killed(node):
    node.apply("oom.yaml", pod("oom", shell("c", "x=a; while true; do x=$x$x; done",
                                            resources={"limits": {"memory": "16Mi"}}), restartPolicy="Never"))
    ended = node.wait_pod("oom", "Failed", lambda p: p["status"]["phase"] == "Failed")
    terminated = container_status(ended)["state"]["terminated"]
    assert (terminated["reason"], terminated["exitCode"]) == ("OOMKilled", 137)


def test_a_security_context_is_applied(node):
    node.apply("s.yaml", pod(
        "s", {"name": "c", "image": "docker.io/library/busybox:1.36", "command": ["sleep", "3600"],
              "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                  "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}},
              "volumeMounts": [mount("work", "/data")]},
        securityContext={"runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000, "supplementalGroups": [4000],
                         "sysctls": [{"name": "net.ipv4.ip_local_port_range", "value": "1024 60000"}]},
        volumes=[volume("work", emptyDir={})]))
    running = node.wait_running("s")
    assert node.exec(running, "id", "-u") == "1000\n"
    assert node.exec(running, "id", "-g") == "3000\n"
    assert set(node.exec(running, "id", "-G").split()) == {"3000", "2000", "4000"}
    status = node.exec(running, "cat", "/proc/self/status")
    assert "CapBnd:\t0000000000000400" in status
    assert "NoNewPrivs:\t1" in status
    assert node.exec(running, "cat", "/proc/sys/net/ipv4/ip_local_port_range").split() == ["1024", "60000"]
    assert node.exec(running, "stat", "-c", "%g %a", "/data") == "2000 2777\n"
    with pytest.raises(AssertionError):
        node.exec(running, "touch", "/x")


def test_a_container_that_may_not_be_root_is_refused_when_it_is(node):
    node.apply("r.yaml", pod("r", shell("c", SLEEP, securityContext={"runAsNonRoot": True})))
    waiting = node.wait_pod("r", "refused", lambda p: container_status(p) and (
        container_status(p)["state"].get("waiting", {}).get("reason") == "CreateContainerConfigError"))
    assert container_status(waiting)["state"]["waiting"]["message"].startswith(
        "container has runAsNonRoot and image will run as root")


def test_host_namespaces_are_the_hosts(node):
    node.apply("h.yaml", pod("h", shell("c", "hostname; " + SLEEP, securityContext={"privileged": True}),
                             hostNetwork=True, hostPID=True, hostIPC=True))
    running = node.wait_running("h")
    assert running["status"]["podIP"] == beds.NODE_IP
    assert f"inet {beds.NODE_IP}/24" in node.exec(running, "ip", "address", "show", "uplink")
    assert node.exec(running, "readlink", "/proc/1/exe").startswith(str(node.bed.dir))
    assert node.exec(running, "hostname") == "node-a\n"


def test_a_shared_process_namespace_shows_the_others(node):
    node.apply("p.yaml", pod("p", shell("one", SLEEP), {"name": "two", "image": "docker.io/library/busybox:1.36",
                                                        "command": ["sleep", "1234"]}, shareProcessNamespace=True))
    running = node.wait_running("p")
    assert "sleep 1234" in node.exec(running, "ps", container="one")


def test_a_host_port_leads_to_the_pod(node):
    node.apply("w.yaml", pod("w", shell(
        "c", "mkdir /www; echo port > /www/index.html; exec httpd -f -p 80 -h /www",
        ports=[{"containerPort": 80, "hostPort": 18080}])))
    node.wait_running("w")
    beds.wait_for("the answer", lambda: node.bed.run(
        "curl", "-sS", f"http://{beds.NODE_IP}:18080/", check=False).stdout == "port\n")


IMAGES = {
    "never": ("example.invalid/none:1", "Never", "ErrImageNeverPull",
              'Container image "example.invalid/none:1" is not present with pull policy of Never'),
    "if not present": ("127.0.0.1:1/none:1", "IfNotPresent", "ImagePullBackOff",
                       'Back-off pulling image "127.0.0.1:1/none:1"'),
    "always": ("127.0.0.1:1/none:1", "Always", "ImagePullBackOff", 'Back-off pulling image "127.0.0.1:1/none:1"'),
    "invalid": ("docker.io/UPPER:1", "IfNotPresent", "InvalidImageName",
                'Failed to apply default image tag "docker.io/UPPER:1": couldn\'t parse image name "docker.io/UPPER:1": '),
}


@pytest.mark.parametrize("case", IMAGES)
def test_an_image_that_cannot_be_had_is_explained(node, case):
    image, policy, reason, message = IMAGES[case]
    node.apply("i.yaml", pod("i", {"name": "c", "image": image, "imagePullPolicy": policy}))
    waiting = node.wait_pod("i", reason, lambda p: container_status(p) and (
        container_status(p)["state"].get("waiting", {}).get("reason") == reason), timeout=40)
    assert container_status(waiting)["state"]["waiting"]["message"].startswith(message)
    assert waiting["status"]["phase"] == "Pending"


def test_a_present_image_is_not_pulled_again(node):
    for policy in ("Never", "IfNotPresent"):
        name = policy.lower()
        node.apply(f"{name}.yaml", pod(name, shell("c", SLEEP, imagePullPolicy=policy)))
        node.wait_running(name)


def test_a_container_that_cannot_start_says_why(node):
    node.apply("s.yaml", pod("s", {"name": "c", "image": "docker.io/library/busybox:1.36",
                                   "command": ["/no/such/program"]}))
    failed = node.wait_pod("s", "a failed start", lambda p: container_status(p) and any(
        "no such file" in json.dumps(container_status(p).get(state, {})) for state in ("state", "lastState")))
    assert failed["status"]["phase"] in ("Pending", "Running")


def test_hooks_run_and_hold_the_end(node):
    out = node.dir / "host"
    node.apply("k.yaml", pod(
        "k", shell("c", SLEEP, volumeMounts=[mount("out", "/out")], lifecycle={
            "postStart": {"exec": {"command": ["sh", "-c", "echo post > /out/post"]}},
            "preStop": {"exec": {"command": ["sh", "-c", "echo pre > /out/pre"]}}}),
        terminationGracePeriodSeconds=10,
        volumes=[volume("out", hostPath={"path": str(out), "type": "DirectoryOrCreate"})]))
    node.wait_running("k")
    beds.wait_for("the hook", lambda: (out / "post").exists() and (out / "post").read_text() == "post\n")
    node.remove("k.yaml")
    node.wait_gone("k")
    assert (out / "pre").read_text() == "pre\n"


def test_an_active_deadline_ends_the_pod(node):
    node.apply("d.yaml", pod("d", shell("c", SLEEP), activeDeadlineSeconds=3))
    ended = node.wait_pod("d", "Failed", lambda p: p["status"]["phase"] == "Failed")
    assert ended["status"]["reason"] == "DeadlineExceeded"
    assert ended["status"]["message"] == "Pod was active on the node longer than the specified deadline"
