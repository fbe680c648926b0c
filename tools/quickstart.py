"""The quickstart behind tools/quickstart: one lasting bed with nodeplane and cubelet in it, and what there is to see."""

import contextlib
import pathlib
import shutil
import socket
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lib"))

import agent as agents  # noqa: E402
import bed as beds  # noqa: E402
import forward  # noqa: E402
import plane as planes  # noqa: E402

DIRECTORY = pathlib.Path("/var/lib/cubelet-quickstart")
CGROUP = "cubelet-quickstart"
API_PORT = 6443  # kube-apiserver's; another when it is taken
EXAMPLES = ROOT / "examples" / "quickstart"
FORWARD_PID = DIRECTORY / "forward.pid"


def say(text):
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def show(node, *arguments):
    """Shows a client command as it would be typed, and its answer."""
    print("$ " + " ".join(["build/cubelet", *arguments, f"--local-socket={node.socket}"]))
    print(node.client(*arguments).stdout.rstrip(), flush=True)


def kubectl(plane, *arguments):
    """Shows a kubectl command as it would be typed, and its answer."""
    print("$ " + " ".join(["kubectl", *arguments]))
    print(plane.kubectl(*arguments).stdout.rstrip(), flush=True)


def down():
    """Ends the quickstart, whatever state it is in."""
    forward.end_lasting(FORWARD_PID)
    beds.end_of_another(DIRECTORY)
    beds.remove_traces(DIRECTORY, CGROUP)


def up():
    started = time.monotonic()
    if (DIRECTORY / "init.pid").exists():
        say("An earlier quickstart is there: ending it first.")
    down()
    bed = beds.Bed(DIRECTORY, CGROUP, lives_on=True)
    try:
        say("Starting a private containerd with a bridge network, and making two images on the spot.")
        bed.start()
        plane = start_api(bed)
        node = start_node(bed, plane)
        watch(node)
        use_api(plane)
    except BaseException:
        forward.end_lasting(FORWARD_PID)
        bed.close()
        raise
    say(f"Ready after {time.monotonic() - started:.0f} s. To go on:")
    print(f"""  export KUBECONFIG={plane.kubeconfig}
  kubectl get pods -A -w
  kubectl describe node {beds.NODE_NAME}
  kubectl logs web-{beds.NODE_NAME} -f
  kubectl exec -it web-{beds.NODE_NAME} -- sh
  kubectl get --raw /api/v1/nodes/{beds.NODE_NAME}/proxy/metrics/cadvisor
  build/cubelet pods --local-socket={node.socket}
  build/cubelet logs web-{beds.NODE_NAME} -f --local-socket={node.socket}
  add, change or remove a manifest in {node.manifests}
  cubelet's own log: {node.log_path}
To stop and remove everything: make quickstart-down""", flush=True)


def start_api(bed):
    """Starts nodeplane inside, under an address that is true outside, too."""
    program = DIRECTORY / "nodeplane"  # a copy: a build may go on meanwhile
    shutil.copy(planes.PROGRAM, program)
    plane = planes.Plane(DIRECTORY / "plane", program=program, port=free_port())
    say(f"Starting nodeplane, the Kubernetes API for one node, at {plane.server}")
    forward.start_lasting(bed.init_pid, plane.port, FORWARD_PID)
    server = bed.spawn(*plane.command(), output=plane.log_path)

    def answers():
        if not server.is_running():
            raise RuntimeError(f"nodeplane ended:\n{plane.log()}")
        return plane.kubeconfig.exists() and plane.curl("/readyz", check=False).stdout == "ok"
    beds.wait_for("nodeplane's answer", answers)
    return plane


def start_node(bed, plane):
    """Starts cubelet as a member of that cluster, with the example manifests as static pods."""
    node = agents.Agent(bed, name="node", config={"authentication": {"x509": {"clientCAFile": str(plane.ca)}}},
                        flags=[f"--kubeconfig={plane.node_kubeconfig}"])
    for example in sorted((EXAMPLES / "manifests").glob("*.yaml")):
        shutil.copy(example, node.manifests)
    say(f"Starting cubelet on the manifests in {node.manifests}:")
    print("  " + "  ".join(sorted(path.name for path in node.manifests.iterdir())))
    node.start()
    beds.wait_for("the node to be Ready", lambda: any(
        agents.condition(item, "Ready") == "True" for item in plane.get("nodes")["items"]))
    say("The node has registered and is ready:")
    kubectl(plane, "get", "nodes", "-o", "wide")
    return node


def use_api(plane):
    """A pod by way of the API: applied, followed, deleted."""
    say("The static pods are there for kubectl, too; more come by way of the API:")
    greeter = str((EXAMPLES / "api" / "greeter.yaml").relative_to(ROOT))
    kubectl(plane, "apply", "-f", greeter)
    kubectl(plane, "wait", "--for=condition=Ready", "pod/greeter", "--timeout=30s")
    kubectl(plane, "get", "pods", "-o", "wide")
    say("Logs and commands go through the API to the node's own:")
    kubectl(plane, "logs", "greeter")
    kubectl(plane, "exec", "greeter", "--", "uname", "-n")
    kubectl(plane, "delete", "pod", "greeter")


def free_port():
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", API_PORT))
        except OSError:
            return planes.free_port()
    return API_PORT


def watch(node):
    """Shows the pods as they become ready."""
    web = node.wait_running("web")
    show(node, "pods")
    say("The web server is ready. It answers in its own network:")
    address = web["status"]["podIP"]
    print(f"$ nsenter --net=/proc/{node.bed.init_pid}/ns/net curl http://{address}:8080/")
    answer = beds.wait_for("the web server's answer", lambda: _answer(node, web))
    print(answer.rstrip(), flush=True)
    node.wait_running("prepared")
    say("The init container has prepared its volume; the main container reads it:")
    beds.wait_for("the note", lambda: node.logs("prepared", "-c", "main"))
    show(node, "logs", f"prepared-{beds.NODE_NAME}", "-c", "main")
    node.wait_pod("crasher", "in back-off", lambda pod: _reason(pod) == "CrashLoopBackOff")
    say("The crasher is held back longer each time:")
    show(node, "logs", f"crasher-{beds.NODE_NAME}")
    show(node, "pods")


def _answer(node, web):
    with contextlib.suppress(RuntimeError):
        return node.curl(web, 8080)
    return None


def _reason(pod):
    status = agents.container_status(pod)
    return status and status["state"].get("waiting", {}).get("reason")


if __name__ == "__main__":
    {"up": up, "down": down}[sys.argv[1]]()
