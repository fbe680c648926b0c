"""The quickstart behind tools/quickstart: one lasting bed, cubelet in it, and what there is to see."""

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
import plane as planes  # noqa: E402

DIRECTORY = pathlib.Path("/var/lib/cubelet-quickstart")
CGROUP = "cubelet-quickstart"
API_PORT = 6443  # kube-apiserver's; another when it is taken
EXAMPLES = ROOT / "examples" / "quickstart"


def say(text):
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def show(node, *arguments):
    """Shows a client command as it would be typed, and its answer."""
    print("$ " + " ".join(["build/cubelet", *arguments, f"--local-socket={node.socket}"]))
    print(node.client(*arguments).stdout.rstrip(), flush=True)


def down():
    """Ends the quickstart, whatever state it is in."""
    planes.end_of_another(DIRECTORY)
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
        node = agents.Agent(bed, name="node")
        for example in sorted(EXAMPLES.glob("*.yaml")):
            shutil.copy(example, node.manifests)
        say(f"Starting cubelet on the manifests in {node.manifests}:")
        print("  " + "  ".join(sorted(path.name for path in node.manifests.iterdir())))
        node.start()
        watch(node)
        plane = start_api()
    except BaseException:
        planes.end_of_another(DIRECTORY)
        bed.close()
        raise
    say(f"Ready after {time.monotonic() - started:.0f} s. To go on:")
    print(f"""  build/cubelet pods --local-socket={node.socket}
  build/cubelet logs web-{beds.NODE_NAME} -f --local-socket={node.socket}
  build/cubelet status --local-socket={node.socket}
  add, change or remove a manifest in {node.manifests}
  kubectl --kubeconfig={plane.kubeconfig} api-resources
  cubelet's own log: {node.log_path}
To stop and remove everything: make quickstart-down""", flush=True)


def start_api():
    """Starts nodeplane on loopback, beside the node; the node does not know of it yet."""
    program = DIRECTORY / "nodeplane"  # a copy: a build may go on meanwhile
    shutil.copy(planes.PROGRAM, program)
    plane = planes.Plane(DIRECTORY / "plane", program=program, port=free_port(), lives_on=True)
    say(f"Starting nodeplane, the Kubernetes API for one node, at {plane.server}:")
    plane.start()
    beds.wait_for("the namespaces", lambda: len(plane.get("ns")["items"]) == 4)
    print(f"$ kubectl --kubeconfig={plane.kubeconfig} get ns")
    print(plane.kubectl("get", "ns").stdout.rstrip(), flush=True)
    return plane


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
