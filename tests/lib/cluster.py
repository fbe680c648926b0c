"""A cluster of one node: nodeplane (or kube-apiserver) and cubelet in one bed, and what people and programs see of it
through the API."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import threading
import time
import urllib.parse

import yaml

import agent as agents
import apiserver as apiservers
import bed as beds
import cri_client
import forward
import plane as planes

_GROUPS = {"leases": "/apis/coordination.k8s.io/v1", "csinodes": "/apis/storage.k8s.io/v1",
           "runtimeclasses": "/apis/node.k8s.io/v1"}
_CLUSTER_WIDE = {"nodes", "namespaces", "csinodes", "runtimeclasses"}


class InBed:
    """Makes an API server one of a bed: it runs inside, and its port is forwarded, so that kubeconfigs are true inside
    and outside."""

    def move_in(self, bed):
        self.bed = bed
        self.forward = forward.Forward(bed.init_pid, self.port)

    def start(self):
        self.process = self.bed.spawn(*self.command(), output=self.log_path)
        beds.wait_for("the API server's answer", self._answers, timeout=30)
        return self

    def _answers(self):
        assert self.process.is_running(), f"the API server ended:\n{self.log()}"
        return self.kubeconfig.exists() and self.curl("/readyz", check=False).stdout == "ok"

    def stop(self, number=signal.SIGTERM, timeout=15):
        if self.process is None:
            return None
        self.process.kill(number)
        code = self.process.wait(timeout)
        self.process = None
        return code

    def pause(self):
        """Stops the server in its tracks, connections and all."""
        self.process.kill(signal.SIGSTOP)

    def go_on(self):
        """Starts the server again, and nsenter above it, which stops with its child."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        os.kill(int(re.search(r"^PPid:\s+(\d+)", status, re.MULTILINE)[1]), signal.SIGCONT)
        self.process.kill(signal.SIGCONT)

    def close(self):
        self.stop(signal.SIGKILL)
        self.forward.close()


class BedPlane(InBed, planes.Plane):
    def __init__(self, bed, directory, *flags):
        super().__init__(directory, "-v", "3", "--unsafe-no-fsync", *flags)
        self.move_in(bed)


class BedApiserver(InBed, apiservers.KubeApiserver):
    """No scheduler and no controllers: whoever uses it assigns pods to the node."""

    def __init__(self, bed, directory):
        super().__init__(directory)
        self.move_in(bed)

    def start(self):
        if self.etcd is None:
            self._prepare()
            client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self.peer_port}"
            self.etcd = self.bed.spawn(
                pathlib.Path(apiservers.ASSETS) / "etcd", f"--data-dir={self.dir}/etcd", "--unsafe-no-fsync",
                f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}",
                output=self.dir.parent / "etcd.log")
        return super().start()

    def _prepare(self):
        self.dir.mkdir(parents=True)
        self._make_certificates()
        self._certificate("node", f"/O=system:nodes/CN=system:node:{beds.NODE_NAME}", "extendedKeyUsage=clientAuth")
        self._write_kubeconfig()
        config = yaml.safe_load(self.kubeconfig.read_text())
        self.node_kubeconfig = self.dir / f"node-{beds.NODE_NAME}.kubeconfig"
        config["users"][0]["user"] = {"client-certificate": str(self.dir / "node.crt"),
                                      "client-key": str(self.dir / "node.key")}
        self.node_kubeconfig.write_text(yaml.safe_dump(config))

    def close(self):
        super().close()
        self.etcd.kill()
        self.etcd.wait()


SERVERS = {"nodeplane": BedPlane, "kube-apiserver": BedApiserver}


class Cluster:
    """One node in a bed with an API of its own. @namespace is where objects are unless one is named."""

    def __init__(self, bed, config=None, flags=(), server="nodeplane", name=None):
        self.bed = bed
        self.namespace = "default"
        self.node = agents.Agent(bed, config=config, name=name)
        self.plane = SERVERS[server](bed, self.node.dir / "plane")
        self.node.write_config(authentication={"x509": {"clientCAFile": str(self.plane.ca)},
                                               **(config or {}).get("authentication", {})})
        self.node.flags = [f"--kubeconfig={self.plane.node_kubeconfig}", *flags]
        self.name = beds.NODE_NAME
        self._connections = threading.local()

    def start(self):
        self.plane.start()
        self.node.start()
        self.wait_ready()
        return self

    def wait_ready(self, timeout=30):
        def is_ready():
            return self.node_condition("Ready") == "True"
        try:
            beds.wait_for(f"node {self.name}: Ready", is_ready, timeout)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{json.dumps(self.node_object(), indent=1)}\n{self.node.log_tail()}") from None
        return self

    def close(self):
        if self.node.process is not None and self.node.process.is_running():
            self.node.process.kill()
            self.node.process.wait()
        beds.wait_for("the end of all pods", self._remove_pods, timeout=20)
        self.plane.close()
        beds.remove_cgroup(self.node.cgroup_root)

    def _remove_pods(self):
        try:
            self.bed.cri.remove_all()
        except cri_client.grpc.RpcError:  # the runtime still does what the agent asked for last
            return False
        return True

    @contextlib.contextmanager
    def other_agent(self, *flags, **config):
        """Within it the agent runs with these flags and this configuration besides its own; it is started by the caller."""
        before = self.node.flags, dict(self.node.config)
        self.node.stop(signal.SIGKILL)
        self.node.flags = [*self.node.flags, *flags]
        self.node.write_config(**config)
        try:
            yield self.node
        finally:
            self.node.stop(signal.SIGKILL)
            self.node.flags, self.node.config = before
            self.node.prefix = []
            self.node.write_config()
            self.node.start()

    @contextlib.contextmanager
    def cut_off(self):
        """Within it no packet passes between the agent and the server; those outside the bed still reach it."""
        port, inside = str(self.plane.port), ("-p", "tcp", "-s", "127.0.0.1", "-d", "127.0.0.1")
        rules = [("OUTPUT", *inside, end, port, "-j", "DROP") for end in ("--dport", "--sport")]
        for rule in rules:
            self.bed.run("iptables", "-w", "-I", *rule)
        try:
            yield
        finally:
            for rule in rules:
                self.bed.run("iptables", "-w", "-D", *rule)

    # Requests, on one connection for each thread

    def request(self, method, path, body=None, content_type="application/json"):
        """Sends JSON; returns (status code, decoded answer)."""
        data = None if body is None else json.dumps(body)
        for is_last in (False, True):
            connection = getattr(self._connections, "connection", None)
            if connection is None:
                connection = self._connections.connection = self.plane.connection(timeout=20)
            try:
                connection.request(method, path, body=data, headers={"Content-Type": content_type})
                response = connection.getresponse()
                text = response.read()
                return response.status, json.loads(text) if text.startswith(b"{") else text.decode()
            except (OSError, http.client.HTTPException):
                connection.close()
                self._connections.connection = None
                if is_last:  # the first may be a connection that the server has closed meanwhile
                    raise
        raise AssertionError("not reached")

    def path(self, resource, name=None, namespace=None):
        where = "" if resource in _CLUSTER_WIDE else f"/namespaces/{namespace or self.namespace}"
        return f"{_GROUPS.get(resource, '/api/v1')}{where}/{resource}" + (f"/{name}" if name else "")

    def get(self, resource, name=None, namespace=None):
        """The object, or the list's items; None when there is no such object."""
        code, answer = self.request("GET", self.path(resource, name, namespace))
        if code == 404:
            return None
        assert code == 200, answer
        return answer if name else answer["items"]

    def create(self, *objects):
        """Creates objects in the cluster's namespace; pods are this node's, so that no scheduler is needed. Returns the
        last as it is now."""
        answer = None
        for one in objects:
            if one["kind"] == "Pod":
                one["spec"].setdefault("nodeName", self.name)
            namespace = one["metadata"].get("namespace")
            code, answer = self.request("POST", self.path(one["kind"].lower().replace("class", "classe") + "s",
                                                          namespace=namespace), one)
            assert code == 201, answer
        return answer

    def patch(self, resource, name, change, subresource="", namespace=None):
        """A strategic merge patch."""
        path = self.path(resource, name, namespace) + (f"/{subresource}" if subresource else "")
        code, answer = self.request("PATCH", path, change, "application/strategic-merge-patch+json")
        assert code == 200, answer
        return answer

    def delete(self, resource, name, namespace=None, **options):
        """Deletes with DeleteOptions; it is no error when there is nothing to delete."""
        code, answer = self.request("DELETE", self.path(resource, name, namespace), options)
        assert code in (200, 202, 404), answer
        return answer

    def kubectl(self, *arguments, **options):
        return self.plane.kubectl("-n", self.namespace, *arguments, **options).stdout

    # The node

    def node_object(self):
        return self.get("nodes", self.name)

    def node_condition(self, kind, field="status"):
        node = self.node_object() or {"status": {}}
        return next((c[field] for c in node["status"].get("conditions", []) if c["type"] == kind), None)

    # Pods

    def pod(self, name, namespace=None):
        return self.get("pods", name, namespace)

    def wait_pod(self, name, what, predicate, timeout=30, namespace=None):
        """Waits until predicate(pod) holds; @what says it in words. Returns the pod."""
        def probe():
            found = self.pod(name, namespace)
            return found if found and predicate(found) else None
        try:
            return beds.wait_for(f"pod {name}: {what}", probe, timeout)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{json.dumps(self.pod(name, namespace), indent=1)}\n"
                               f"{self.node.log_tail()}") from None

    def wait_running(self, name, timeout=30, namespace=None):
        return self.wait_pod(name, "Ready", lambda p: agents.condition(p, "Ready") == "True", timeout, namespace)

    def wait_phase(self, name, phase, timeout=30):
        return self.wait_pod(name, phase, lambda p: p["status"].get("phase") == phase, timeout)

    def wait_gone(self, name, timeout=30, namespace=None):
        try:
            beds.wait_for(f"the end of pod {name}", lambda: self.pod(name, namespace) is None, timeout)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{json.dumps(self.pod(name, namespace), indent=1)}\n"
                               f"{self.node.log_tail()}") from None

    # Events

    def events(self, name, namespace=None):
        """What was told of an object: (type, reason, message), in the order of first mention."""
        items = [event for event in self.get("events", namespace=namespace)
                 if event["involvedObject"]["name"] == name]
        items.sort(key=lambda event: (event.get("firstTimestamp") or "", event["metadata"]["name"].rsplit(".", 1)[1]))
        return [(event["type"], event["reason"], event.get("message", "")) for event in items]

    def wait_event(self, name, reason, timeout=30, namespace=None, text=""):
        """Waits for an event with the reason and the text within its message; returns (type, message)."""
        def probe():
            return next((event for event in self.events(name, namespace)
                         if event[1] == reason and text in event[2]), None)
        try:
            kind, _, message = beds.wait_for(f"event {reason} of {name}", probe, timeout)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.events(name, namespace)}\n{self.node.log_tail()}") from None
        return kind, message

    def watch(self, resource, **query):
        """Records all changes from now on (of one namespace)."""
        code, answer = self.request("GET", self.path(resource) + "?limit=1")
        assert code == 200, answer
        query = {"watch": "1", "resourceVersion": answer["metadata"]["resourceVersion"], **query}
        return Recording(self.plane, f"{self.path(resource)}?{urllib.parse.urlencode(query)}")


class Recording:
    """Every event of a watch, with the time it came, gathered by a thread."""

    def __init__(self, plane, path):
        self.events = []
        self._watch = planes.Watch(plane, path)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while (event := self._watch.next()) is not None:
            self.events.append((time.monotonic(), event))

    def objects(self, name):
        """The states object @name went through, in order."""
        return [event["object"] for _, event in list(self.events) if event["object"]["metadata"].get("name") == name]

    def wait_deleted(self, name, timeout=30):
        beds.wait_for(f"the end of {name} in the watch", lambda: any(
            event["type"] == "DELETED" and event["object"]["metadata"]["name"] == name
            for _, event in list(self.events)), timeout)

    def close(self):
        self._watch.process.kill()
        self._thread.join(timeout=5)
        self._watch.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def requests(plane, since=0):
    """What the agent asked nodeplane since that many characters of its log: (method, path, query)."""
    found = re.findall(r'"Request" method="(\S+)" path="(\S+)" query="([^"]*)" userAgent="cubelet/', plane.log()[since:])
    return [tuple(request) for request in found]
