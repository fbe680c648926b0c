#!/usr/bin/python3
"""A scripted container runtime: CRI v1 over gRPC with everything in memory, told by tests what to do.

It runs as a process of its own, so that it can be killed, and answers like a runtime would: sandboxes and containers
have states, names are reserved, images are pulled before they are used, events are sent. On top of that a control
socket takes commands, one JSON object a line, and answers each with one ({"ok": true, ...} or {"error": "..."}):

    {"do": "fail", "method": "CreateContainer", "code": "UNKNOWN", "message": "no", "times": 2}
                                                also a number as code; "pod": "<name>" for calls about that pod alone
    {"do": "hang", "method": "StopContainer"}                 until {"do": "release", "method": "StopContainer"}
    {"do": "delay", "method": "PullImage", "seconds": 0.5}    every call from now on; 0 ends it
    {"do": "grow", "method": "ListContainers", "bytes": 17000000}   replies get that much padding; 0 ends it
    {"do": "dribble", "method": "ListContainers", "hold": 20}   replies come byte by byte and stop after so many,
                                                                until {"do": "flow", "method": ...}; needs --slow-wire
    {"do": "exit", "container": "<id>", "exit_code": 1, "reason": "Error", "message": ""}
    {"do": "on_start", "image": "busybox", "exit_code": 0, "after": 0.1}   containers of it end by themselves
    {"do": "exec", "exit_code": 1, "stdout": "", "stderr": "no"}   what ExecSync answers from now on
    {"do": "stubborn", "on": true}                            containers ignore SIGTERM: StopContainer takes its timeout
    {"do": "status", "ready": true, "network": false}
    {"do": "set", "name": "cgroup_driver", "value": "systemd"}   or null, or "unimplemented"; see SETTINGS
    {"do": "events", "on": false}                             the RPC is unknown from now on; open streams end
    {"do": "end_events"}, {"do": "lose_events", "count": 3}
    {"do": "down"}, {"do": "up"}                              closes the socket and all connections; listens again
    {"do": "wipe"}                                            forgets all sandboxes and containers
    {"do": "add_image", "image": "busybox"}, {"do": "remove_image", "image": "busybox"}
    {"do": "calls", "method": "StopContainer", "clear": true} what was called: [{"method", "request", "at"}]
    {"do": "state"}                                           sandboxes, containers and images

Tests use FakeCri below, which starts and ends the process. Needs Debian's python3-grpcio and protobuf-compiler.
"""

import argparse
import concurrent.futures
import copy
import hashlib
import json
import os
import pathlib
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import slow_wire

WORKERS = 256  # calls at a time; hanging ones hold theirs


class FakeCri:
    """The process, from a test's side: FakeCri(directory) starts it, stop() ends it, do() sends a command."""

    def __init__(self, directory, *arguments):
        self.directory = pathlib.Path(directory)
        self.socket = self.directory / "cri.sock"
        self.control = self.directory / "control.sock"
        self.process = subprocess.Popen(
            ["/usr/bin/python3", __file__, "--socket", self.socket, "--control", self.control,
             "--messages", self.directory / "messages", *arguments])
        deadline = time.monotonic() + 30
        while not self.control.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError("the fake runtime did not start")
            time.sleep(0.02)

    def do(self, command, **arguments):
        """Sends one command and returns its answer; a refused one is a RuntimeError."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.control))
            connection.sendall(json.dumps({"do": command, **arguments}).encode() + b"\n")
            answer = json.loads(connection.makefile().readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def calls(self, method=None, clear=False):
        return self.do("calls", method=method, clear=clear)["calls"]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


# What {"do": "set"} may change, and how it starts.
SETTINGS = {
    "cgroup_driver": "cgroupfs",    # RuntimeConfig: "systemd", "cgroupfs", null (says nothing), "unimplemented"
    "runtime_name": "fake",
    "runtime_version": "1.0.0",
    "api_version": "0.1.0",
    "handlers": ["", "runc"],
    "user_namespaces": True,
    "recursive_read_only_mounts": True,
    "sandbox_stats": True,          # PodSandboxStats and ListPodSandboxStats are known
    "resize_sandbox": True,         # UpdatePodSandboxResources is known
    "verbose_pid": True,            # the verbose status of a container tells its pid
    "check_images": True,           # CreateContainer refuses an image that was not pulled
    "image_size": 4 << 20,
}


class Refusal(Exception):
    """Ends a call with a gRPC status."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code, self.message = code, message


def new_id(*parts):
    return hashlib.sha256("\0".join([*map(str, parts), str(time.time_ns())]).encode()).hexdigest()


def full_name(image):
    """What a runtime makes of a short image reference."""
    first = image.split("/")[0]
    if "/" not in image:
        image = "docker.io/library/" + image
    elif "." not in first and ":" not in first and first != "localhost":
        image = "docker.io/" + image
    return image if "@" in image or ":" in image.rsplit("/", 1)[-1] else image + ":latest"


def selected(labels, selector):
    return all(labels.get(key) == value for key, value in selector.items())


class Runtime:
    """The state, and one method per RPC, named like it. All of them run under the lock but where they wait."""

    def __init__(self, messages, with_processes):
        self.pb = messages
        self.with_processes = with_processes
        self.lock = threading.RLock()
        self.settings = copy.deepcopy(SETTINGS)
        self.ready, self.network_ready = True, True
        self.sandboxes, self.containers, self.images = {}, {}, {}
        self.processes = {}   # container id → Popen
        self.on_start, self.exec_result = {}, {"exit_code": 0, "stdout": "", "stderr": ""}
        self.stubborn = False
        self.events_on, self.lose_events, self.listeners = True, 0, []
        self.next_ip, self.next_pid = 2, 1 << 22   # a number no process has

    # --- helpers ---

    def sandbox(self, key):
        found = self.sandboxes.get(key)
        if not found:
            raise Refusal("NOT_FOUND", f'an error occurred when try to find sandbox "{key}": not found')
        return found

    def container(self, key):
        found = self.containers.get(key)
        if not found:
            raise Refusal("NOT_FOUND", f'an error occurred when try to find container "{key}": not found')
        return found

    def pod_of(self, request):
        """The name of the pod that a request is about; empty when it is about none, or one we do not know."""
        with self.lock:
            container = self.containers.get(getattr(request, "container_id", ""))
            sandbox = container["sandbox"] if container else getattr(request, "pod_sandbox_id", "")
            status = self.sandboxes.get(sandbox)
        if isinstance(request, self.pb.RunPodSandboxRequest):
            status = request.config
        return status.metadata.name if status else ""

    def find_image(self, name):
        for image in self.images.values():
            if name in (image.id, image.id.removeprefix("sha256:")) or name in image.repo_digests or \
                    full_name(name) in image.repo_tags:
                return image
        return None

    def send_event(self, container_id, kind, sandbox_id, deleted=False):
        event = self.pb.ContainerEventResponse(container_id=container_id, container_event_type=kind,
                                               created_at=time.time_ns())
        if sandbox_id in self.sandboxes:
            event.pod_sandbox_status.CopyFrom(self.sandboxes[sandbox_id])
            event.containers_statuses.extend(
                c["status"] for c in self.containers.values() if c["sandbox"] == sandbox_id)
        if self.lose_events > 0:
            self.lose_events -= 1
            return
        for listener in self.listeners:
            listener.put(event)

    def finish(self, key, exit_code, reason="", message=""):
        """A container's process has ended."""
        container = self.containers.get(key)
        if not container or container["status"].state == self.pb.CONTAINER_EXITED:
            return
        process = self.processes.pop(key, None)
        if process:
            process.kill()
            process.wait()
        status = container["status"]
        status.state = self.pb.CONTAINER_EXITED
        status.finished_at = time.time_ns()
        status.exit_code = exit_code
        status.reason = reason or ("Completed" if exit_code == 0 else "Error")
        status.message = message
        self.send_event(key, self.pb.CONTAINER_STOPPED_EVENT, container["sandbox"])

    def start_process(self, key):
        container = self.containers[key]
        container["pid"] = self.next_pid
        self.next_pid += 1
        if self.with_processes:
            process = subprocess.Popen(["sleep", "infinity"], stdin=subprocess.DEVNULL)
            container["pid"] = process.pid
            self.processes[key] = process
            threading.Thread(target=self.await_process, args=(key, process), daemon=True).start()
        ending = self.on_start.get(full_name(container["config"].image.user_specified_image or
                                             container["status"].image.image))
        if ending:
            timer = threading.Timer(ending["after"], self.finish_later, (key, ending["exit_code"]))
            timer.daemon = True
            timer.start()

    def finish_later(self, key, exit_code):
        with self.lock:
            self.finish(key, exit_code)

    def await_process(self, key, process):
        code = process.wait()
        with self.lock:
            if self.processes.get(key) is process:
                self.finish(key, 128 - code if code < 0 else code)

    # --- the runtime ---

    def Version(self, request):
        return self.pb.VersionResponse(
            version=self.settings["api_version"], runtime_name=self.settings["runtime_name"],
            runtime_version=self.settings["runtime_version"], runtime_api_version="v1")

    def Status(self, request):
        reply = self.pb.StatusResponse()
        for kind, good in (("RuntimeReady", self.ready), ("NetworkReady", self.network_ready)):
            reply.status.conditions.add(type=kind, status=good, reason="" if good else "FakeNotReady",
                                        message="" if good else "told so by a test")
        for name in self.settings["handlers"]:
            reply.runtime_handlers.add(name=name, features=dict(
                recursive_read_only_mounts=self.settings["recursive_read_only_mounts"],
                user_namespaces=self.settings["user_namespaces"]))
        reply.features.supplemental_groups_policy = True
        if request.verbose:
            reply.info["config"] = json.dumps(self.settings)
        return reply

    def RuntimeConfig(self, request):
        driver = self.settings["cgroup_driver"]
        if driver == "unimplemented":
            raise Refusal("UNIMPLEMENTED", "unknown method RuntimeConfig for service runtime.v1.RuntimeService")
        reply = self.pb.RuntimeConfigResponse()
        if driver:
            reply.linux.cgroup_driver = self.pb.SYSTEMD if driver == "systemd" else self.pb.CGROUPFS
            reply.linux.SetInParent()
        return reply

    def UpdateRuntimeConfig(self, request):
        return None

    # --- sandboxes ---

    def RunPodSandbox(self, request):
        config = request.config
        for key, other in self.sandboxes.items():
            if other.metadata == config.metadata:
                name = "_".join([config.metadata.name, config.metadata.namespace, config.metadata.uid,
                                 str(config.metadata.attempt)])
                raise Refusal("UNKNOWN", f'failed to reserve sandbox name "{name}": name "{name}" is reserved for "{key}"')
        if request.runtime_handler not in self.settings["handlers"]:
            raise Refusal("UNKNOWN", "failed to get sandbox runtime: no runtime for "
                                     f'"{request.runtime_handler}" is configured')
        key = new_id("sandbox", config.metadata.uid)
        status = self.pb.PodSandboxStatus(
            id=key, metadata=config.metadata, state=self.pb.SANDBOX_READY, created_at=time.time_ns(),
            labels=config.labels, annotations=config.annotations, runtime_handler=request.runtime_handler)
        status.linux.namespaces.options.CopyFrom(config.linux.security_context.namespace_options)
        if config.linux.security_context.namespace_options.network != self.pb.NODE:
            status.network.ip = f"10.88.{self.next_ip >> 8}.{self.next_ip & 255}"
            self.next_ip += 1
        else:
            status.network.SetInParent()
        self.sandboxes[key] = status
        if config.log_directory:
            os.makedirs(config.log_directory, exist_ok=True)
        self.send_event(key, self.pb.CONTAINER_CREATED_EVENT, key)
        self.send_event(key, self.pb.CONTAINER_STARTED_EVENT, key)
        return self.pb.RunPodSandboxResponse(pod_sandbox_id=key)

    def StopPodSandbox(self, request):
        status = self.sandbox(request.pod_sandbox_id)
        for key in [k for k, c in self.containers.items() if c["sandbox"] == status.id]:
            if self.containers[key]["status"].state == self.pb.CONTAINER_RUNNING:
                self.finish(key, 137)
        if status.state == self.pb.SANDBOX_READY:
            status.state = self.pb.SANDBOX_NOTREADY
            status.network.Clear()
            self.send_event(status.id, self.pb.CONTAINER_STOPPED_EVENT, status.id)

    def RemovePodSandbox(self, request):
        if request.pod_sandbox_id not in self.sandboxes:
            return
        self.StopPodSandbox(request)
        for key in [k for k, c in self.containers.items() if c["sandbox"] == request.pod_sandbox_id]:
            self.remove_container(key)
        self.send_event(request.pod_sandbox_id, self.pb.CONTAINER_DELETED_EVENT, request.pod_sandbox_id)
        del self.sandboxes[request.pod_sandbox_id]

    def PodSandboxStatus(self, request):
        reply = self.pb.PodSandboxStatusResponse(status=self.sandbox(request.pod_sandbox_id), timestamp=time.time_ns())
        reply.containers_statuses.extend(
            c["status"] for c in self.containers.values() if c["sandbox"] == request.pod_sandbox_id)
        return reply

    def ListPodSandbox(self, request):
        wanted, reply = request.filter, self.pb.ListPodSandboxResponse()
        for status in self.sandboxes.values():
            if status.id.startswith(wanted.id) and selected(status.labels, wanted.label_selector) and \
                    (not wanted.HasField("state") or wanted.state.state == status.state):
                reply.items.add(id=status.id, metadata=status.metadata, state=status.state,
                                created_at=status.created_at, labels=status.labels,
                                annotations=status.annotations, runtime_handler=status.runtime_handler)
        return reply

    def UpdatePodSandboxResources(self, request):
        if not self.settings["resize_sandbox"]:
            raise Refusal("UNIMPLEMENTED", "unknown method UpdatePodSandboxResources")
        self.sandbox(request.pod_sandbox_id)

    # --- containers ---

    def CreateContainer(self, request):
        sandbox, config = self.sandbox(request.pod_sandbox_id), request.config
        if sandbox.state != self.pb.SANDBOX_READY:
            raise Refusal("UNKNOWN", f'failed to create containerd container: sandbox "{sandbox.id}" is not ready')
        image = self.find_image(config.image.image)
        if not image and self.settings["check_images"]:
            raise Refusal("NOT_FOUND", f'failed to resolve image "{config.image.image}": not found')
        for key, other in self.containers.items():
            if other["sandbox"] == sandbox.id and other["status"].metadata == config.metadata:
                name = "_".join([config.metadata.name, sandbox.metadata.name, sandbox.metadata.namespace,
                                 sandbox.metadata.uid, str(config.metadata.attempt)])
                raise Refusal("UNKNOWN", f'failed to reserve container name "{name}": name "{name}" is reserved for "{key}"')
        key = new_id("container", config.metadata.name)
        log_path = os.path.join(request.sandbox_config.log_directory, config.log_path) if config.log_path else ""
        status = self.pb.ContainerStatus(
            id=key, metadata=config.metadata, state=self.pb.CONTAINER_CREATED, created_at=time.time_ns(),
            image=self.pb.ImageSpec(image=config.image.user_specified_image or config.image.image),
            image_ref=image.repo_digests[0] if image and image.repo_digests else config.image.image,
            image_id=image.id if image else config.image.image, labels=config.labels,
            annotations=config.annotations, mounts=config.mounts, log_path=log_path)
        status.resources.linux.CopyFrom(config.linux.resources)
        self.containers[key] = {"status": status, "sandbox": sandbox.id, "config": config, "pid": 0}
        self.send_event(key, self.pb.CONTAINER_CREATED_EVENT, sandbox.id)
        return self.pb.CreateContainerResponse(container_id=key)

    def StartContainer(self, request):
        status = self.container(request.container_id)["status"]
        if status.state != self.pb.CONTAINER_CREATED:
            name = self.pb.ContainerState.Name(status.state)
            raise Refusal("UNKNOWN", f'failed to set starting state for container "{status.id}": '
                                     f"container is in {name} state")
        status.state = self.pb.CONTAINER_RUNNING
        status.started_at = time.time_ns()
        if status.log_path and os.path.isdir(os.path.dirname(status.log_path)):
            pathlib.Path(status.log_path).touch()
        self.start_process(status.id)
        self.send_event(status.id, self.pb.CONTAINER_STARTED_EVENT, self.containers[status.id]["sandbox"])

    def StopContainer(self, request):
        status = self.container(request.container_id)["status"]
        if status.state != self.pb.CONTAINER_RUNNING:
            return
        if self.stubborn:
            self.lock.release()  # the others go on while this one takes its time
            try:
                time.sleep(max(request.timeout, 0))
            finally:
                self.lock.acquire()
        self.finish(request.container_id, 137 if self.stubborn else 143)

    def remove_container(self, key):
        self.finish(key, 137)
        sandbox = self.containers[key]["sandbox"]
        del self.containers[key]
        self.send_event(key, self.pb.CONTAINER_DELETED_EVENT, sandbox)

    def RemoveContainer(self, request):
        if request.container_id in self.containers:
            self.remove_container(request.container_id)

    def ListContainers(self, request):
        wanted, reply = request.filter, self.pb.ListContainersResponse()
        for container in self.containers.values():
            status = container["status"]
            if status.id.startswith(wanted.id) and selected(status.labels, wanted.label_selector) and \
                    wanted.pod_sandbox_id in ("", container["sandbox"]) and \
                    (not wanted.HasField("state") or wanted.state.state == status.state):
                reply.containers.add(id=status.id, pod_sandbox_id=container["sandbox"], metadata=status.metadata,
                                     image=status.image, image_ref=status.image_ref, image_id=status.image_id,
                                     state=status.state, created_at=status.created_at, labels=status.labels,
                                     annotations=status.annotations)
        return reply

    def ContainerStatus(self, request):
        container = self.container(request.container_id)
        reply = self.pb.ContainerStatusResponse(status=container["status"])
        if request.verbose:
            running = container["status"].state == self.pb.CONTAINER_RUNNING
            info = {"sandboxID": container["sandbox"], "runtimeType": "fake"}
            if self.settings["verbose_pid"]:
                info["pid"] = container["pid"] if running else 0
            reply.info["info"] = json.dumps(info)
        return reply

    def UpdateContainerResources(self, request):
        self.container(request.container_id)["status"].resources.linux.MergeFrom(request.linux)

    def ReopenContainerLog(self, request):
        status = self.container(request.container_id)["status"]
        if status.state != self.pb.CONTAINER_RUNNING:
            raise Refusal("UNKNOWN", "container is not running")
        if status.log_path:
            pathlib.Path(status.log_path).touch()

    def CheckpointContainer(self, request):
        self.container(request.container_id)

    # --- exec ---

    def ExecSync(self, request):
        self.container(request.container_id)
        result = self.exec_result
        return self.pb.ExecSyncResponse(exit_code=result["exit_code"], stdout=result["stdout"].encode(),
                                        stderr=result["stderr"].encode())

    def Exec(self, request):
        self.container(request.container_id)
        return self.pb.ExecResponse(url="http://127.0.0.1:1/exec/" + request.container_id[:8])

    def Attach(self, request):
        self.container(request.container_id)
        return self.pb.AttachResponse(url="http://127.0.0.1:1/attach/" + request.container_id[:8])

    def PortForward(self, request):
        self.sandbox(request.pod_sandbox_id)
        return self.pb.PortForwardResponse(url="http://127.0.0.1:1/portforward/" + request.pod_sandbox_id[:8])

    # --- stats ---

    def container_stats(self, container):
        status, now = container["status"], time.time_ns()
        stats = self.pb.ContainerStats()
        stats.attributes.id = status.id
        stats.attributes.metadata.CopyFrom(status.metadata)
        stats.attributes.labels.update(status.labels)
        stats.cpu.timestamp = stats.memory.timestamp = stats.writable_layer.timestamp = now
        stats.cpu.usage_core_nano_seconds.value = (now - status.started_at) // 100 if status.started_at else 0
        stats.memory.working_set_bytes.value = 1 << 20
        stats.writable_layer.used_bytes.value = 4096
        stats.writable_layer.inodes_used.value = 1
        stats.writable_layer.fs_id.mountpoint = "/"
        return stats

    def ContainerStats(self, request):
        return self.pb.ContainerStatsResponse(stats=self.container_stats(self.container(request.container_id)))

    def ListContainerStats(self, request):
        wanted, reply = request.filter, self.pb.ListContainerStatsResponse()
        for container in self.containers.values():
            status = container["status"]
            if status.state == self.pb.CONTAINER_RUNNING and status.id.startswith(wanted.id) and \
                    wanted.pod_sandbox_id in ("", container["sandbox"]) and \
                    selected(status.labels, wanted.label_selector):
                reply.stats.append(self.container_stats(container))
        return reply

    def sandbox_stats(self, status):
        if not self.settings["sandbox_stats"]:
            raise Refusal("UNIMPLEMENTED", "unknown method PodSandboxStats")
        stats = self.pb.PodSandboxStats()
        stats.attributes.id = status.id
        stats.attributes.metadata.CopyFrom(status.metadata)
        stats.attributes.labels.update(status.labels)
        stats.linux.cpu.timestamp = stats.linux.memory.timestamp = time.time_ns()
        stats.linux.containers.extend(self.container_stats(c) for c in self.containers.values()
                                      if c["sandbox"] == status.id)
        return stats

    def PodSandboxStats(self, request):
        return self.pb.PodSandboxStatsResponse(stats=self.sandbox_stats(self.sandbox(request.pod_sandbox_id)))

    def ListPodSandboxStats(self, request):
        reply = self.pb.ListPodSandboxStatsResponse()
        if not self.settings["sandbox_stats"]:
            raise Refusal("UNIMPLEMENTED", "unknown method ListPodSandboxStats")
        reply.stats.extend(self.sandbox_stats(status) for status in self.sandboxes.values()
                           if status.id.startswith(request.filter.id) and
                           selected(status.labels, request.filter.label_selector))
        return reply

    def ListMetricDescriptors(self, request):
        return self.pb.ListMetricDescriptorsResponse()

    def ListPodSandboxMetrics(self, request):
        return self.pb.ListPodSandboxMetricsResponse()

    # --- images ---

    def add_image(self, name):
        key = "sha256:" + hashlib.sha256(full_name(name).encode()).hexdigest()
        digest = hashlib.sha256(b"manifest " + full_name(name).encode()).hexdigest()
        repository = full_name(name).split("@")[0]
        if ":" in repository.rsplit("/", 1)[-1]:
            repository = repository.rsplit(":", 1)[0]
        self.images[key] = self.pb.Image(id=key, repo_digests=[f"{repository}@sha256:{digest}"],
                                         size=self.settings["image_size"],
                                         repo_tags=[] if "@" in name else [full_name(name)])
        return self.images[key]

    def PullImage(self, request):
        found = self.find_image(request.image.image) or self.add_image(request.image.image)
        return self.pb.PullImageResponse(image_ref=found.id)

    def ImageStatus(self, request):
        return self.pb.ImageStatusResponse(image=self.find_image(request.image.image))

    def ListImages(self, request):
        return self.pb.ListImagesResponse(images=self.images.values())

    def RemoveImage(self, request):
        found = self.find_image(request.image.image)
        if found:
            del self.images[found.id]

    def ImageFsInfo(self, request):
        reply = self.pb.ImageFsInfoResponse()
        for filesystems in (reply.image_filesystems, reply.container_filesystems):
            usage = filesystems.add(timestamp=time.time_ns())
            usage.fs_id.mountpoint = "/"
            usage.used_bytes.value = sum(image.size for image in self.images.values())
            usage.inodes_used.value = len(self.images)
        return reply


class Script:
    """What tests want to go wrong, and what was called."""

    def __init__(self):
        self.lock = threading.Lock()
        self.failures, self.delays, self.padding, self.hanging = {}, {}, {}, {}
        self.calls = []

    def enter(self, method, request_as_dict, context, pod=""):
        """Records a call about @pod, then delays, hangs or fails it. The state's lock is not held."""
        with self.lock:
            self.calls.append({"method": method, "request": request_as_dict, "at": time.time()})
            delay, gate = self.delays.get(method, 0), self.hanging.get(method)
            failures = self.failures.get(method, [])
            failure = next((f for f in failures if f["pod"] in (None, pod)), None)
            if failure and failure["times"] > 0:
                failure["times"] -= 1
                if failure["times"] == 0:
                    failures.remove(failure)
        time.sleep(delay)
        while gate and not gate.wait(0.05):
            if not context.is_active():
                raise Refusal("CANCELLED", "the caller went away")
        if failure:
            raise Refusal(failure["code"], failure["message"])


class Server:
    """gRPC in front of the runtime; may be taken down and up again while the runtime's state stays."""

    def __init__(self, runtime, script, path, wire=None):
        import grpc
        from google.protobuf import empty_pb2, json_format
        self.grpc, self.empty, self.to_dict = grpc, empty_pb2.Empty, json_format.MessageToDict
        self.runtime, self.script, self.path, self.wire = runtime, script, path, wire
        self.own_path = f"{path}.server" if wire else path
        self.server = None
        self.up()

    def up(self):
        if self.server:
            return
        path = pathlib.Path(self.own_path)
        path.unlink(missing_ok=True)
        self.server = self.grpc.server(concurrent.futures.ThreadPoolExecutor(WORKERS),
                                       options=[("grpc.max_send_message_length", -1),
                                                ("grpc.max_receive_message_length", -1),
                                                ("grpc.so_reuseport", 0),
                                                *(slow_wire.SERVER_OPTIONS if self.wire else [])])
        runtime, image = {}, {}
        for method in (name for name in dir(Runtime) if name[0].isupper()):
            (image if "Image" in method else runtime)[method] = self.handler(method)
        runtime["GetContainerEvents"] = self.grpc.unary_stream_rpc_method_handler(
            self.events, self.empty.FromString,
            lambda event: self.mark("GetContainerEvents") + event.SerializeToString())
        self.server.add_generic_rpc_handlers((
            self.grpc.method_handlers_generic_handler("runtime.v1.RuntimeService", runtime),
            self.grpc.method_handlers_generic_handler("runtime.v1.ImageService", image)))
        self.server.add_insecure_port(f"unix:{path}")
        self.server.start()
        if self.wire:
            self.wire.listen(self.path, path)

    def down(self):
        if not self.server:
            return
        if self.wire:
            self.wire.close()
        self.server.stop(0).wait()
        self.server = None
        pathlib.Path(self.path).unlink(missing_ok=True)

    def handler(self, method):
        request_type = getattr(self.runtime.pb, method + "Request", self.empty)

        def answer(request, context):
            try:
                self.script.enter(method, self.to_dict(request, preserving_proto_field_name=True), context,
                                  self.runtime.pod_of(request))
                with self.runtime.lock:
                    reply = getattr(self.runtime, method)(request) or self.empty()
                    return self.mark(method) + reply.SerializeToString() + self.padding(method)
            except Refusal as refusal:
                context.abort(self.status_code(refusal.code), refusal.message)

        return self.grpc.unary_unary_rpc_method_handler(answer, request_type.FromString, lambda raw: raw)

    def status_code(self, code):
        """A code by its name. A number is sent as it is, also one that gRPC does not know."""
        if isinstance(code, str):
            return getattr(self.grpc.StatusCode, code)
        # The library sends what stands in its table, and UNKNOWN for anything else.
        self.grpc._common.STATUS_CODE_TO_CYGRPC_STATUS_CODE.setdefault(code, code)
        return code

    def mark(self, method):
        return self.wire.mark(method) if self.wire else b""

    def padding(self, method):
        """An unknown field, which every reader skips: number 1000, of the size asked for."""
        size = self.script.padding.get(method, 0)
        if size == 0:
            return b""
        length, rest = b"", size
        while rest > 127:
            length, rest = length + bytes([rest & 127 | 128]), rest >> 7
        return b"\xc2\x3e" + length + bytes([rest]) + bytes(size)

    def events(self, request, context):
        mine = queue.Queue()
        with self.runtime.lock:
            if not self.runtime.events_on:
                context.abort(self.grpc.StatusCode.UNIMPLEMENTED,
                              "unknown method GetContainerEvents for service runtime.v1.RuntimeService")
            self.runtime.listeners.append(mine)
        context.add_callback(lambda: mine.put(None))
        try:
            self.script.enter("GetContainerEvents", {}, context)
            while (event := mine.get()) is not None:
                yield event
        except Refusal as refusal:
            context.abort(self.status_code(refusal.code), refusal.message)
        finally:
            with self.runtime.lock:
                self.runtime.listeners.remove(mine)


class Control:
    """The commands of the control socket, one method each."""

    def __init__(self, runtime, script, server):
        self.runtime, self.script, self.server = runtime, script, server

    def do_fail(self, method, code, message="told so by a test", times=1, pod=None):
        """@times 0 means for ever; {"code": null} takes it back."""
        with self.script.lock:
            if code is None:
                self.script.failures.pop(method, None)
            else:
                self.script.failures.setdefault(method, []).append(
                    {"code": code, "message": message, "times": times, "pod": pod})

    def do_hang(self, method):
        with self.script.lock:
            self.script.hanging.setdefault(method, threading.Event())

    def do_release(self, method):
        with self.script.lock:
            gate = self.script.hanging.pop(method, None)
        if gate:
            gate.set()

    def do_delay(self, method, seconds):
        self.script.delays[method] = seconds

    def do_grow(self, method, bytes):
        self.script.padding[method] = bytes

    def do_dribble(self, method, hold):
        if not self.server.wire:
            raise ValueError("started without --slow-wire")
        self.server.wire.dribble(method, hold)

    def do_flow(self, method):
        self.server.wire.flow(method)

    def do_exit(self, container, exit_code=0, reason="", message=""):
        with self.runtime.lock:
            if container not in self.runtime.containers:
                raise ValueError(f"no container {container}")
            self.runtime.finish(container, exit_code, reason, message)

    def do_on_start(self, image, exit_code=0, after=0.0):
        self.runtime.on_start[full_name(image)] = {"exit_code": exit_code, "after": after}

    def do_exec(self, exit_code=0, stdout="", stderr=""):
        self.runtime.exec_result = {"exit_code": exit_code, "stdout": stdout, "stderr": stderr}

    def do_stubborn(self, on=True):
        self.runtime.stubborn = on

    def do_status(self, ready=True, network=True):
        self.runtime.ready, self.runtime.network_ready = ready, network

    def do_set(self, name, value):
        if name not in SETTINGS:
            raise ValueError(f"no setting {name}")
        self.runtime.settings[name] = value

    def do_events(self, on):
        self.runtime.events_on = on
        if not on:
            self.do_end_events()

    def do_end_events(self):
        with self.runtime.lock:
            for listener in self.runtime.listeners:
                listener.put(None)

    def do_lose_events(self, count):
        self.runtime.lose_events = count

    def do_down(self):
        self.do_end_events()
        self.server.down()

    def do_up(self):
        self.server.up()

    def do_wipe(self):
        with self.runtime.lock:
            for key in list(self.runtime.containers):
                self.runtime.finish(key, 137)
            self.runtime.containers.clear()
            self.runtime.sandboxes.clear()

    def do_add_image(self, image):
        with self.runtime.lock:
            return {"id": self.runtime.add_image(image).id}

    def do_remove_image(self, image):
        with self.runtime.lock:
            found = self.runtime.find_image(image)
            if found:
                del self.runtime.images[found.id]

    def do_calls(self, method=None, clear=False):
        with self.script.lock:
            calls = [call for call in self.script.calls if method in (None, call["method"])]
            if clear:
                self.script.calls.clear()
        return {"calls": calls}

    def do_state(self):
        to_dict = self.server.to_dict
        with self.runtime.lock:
            return {"sandboxes": [to_dict(s, preserving_proto_field_name=True) for s in self.runtime.sandboxes.values()],
                    "containers": [dict(to_dict(c["status"], preserving_proto_field_name=True),
                                        pod_sandbox_id=c["sandbox"], pid=c["pid"])
                                   for c in self.runtime.containers.values()],
                    "images": [to_dict(i, preserving_proto_field_name=True) for i in self.runtime.images.values()],
                    "event_streams": len(self.runtime.listeners),
                    "held": self.server.wire.held if self.server.wire else 0}

    def answer(self, line):
        try:
            arguments = json.loads(line)
            command = getattr(self, "do_" + arguments.pop("do"), None)
            if not command:
                return {"error": "no such command"}
            return {"ok": True, **(command(**arguments) or {})}
        except (ValueError, TypeError, KeyError) as problem:
            return {"error": str(problem)}

    def serve(self, connection):
        with connection, connection.makefile("rw") as lines:
            for line in lines:
                lines.write(json.dumps(self.answer(line)) + "\n")
                lines.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--socket", required=True, help="where the runtime listens")
    parser.add_argument("--control", required=True, help="where commands are taken")
    parser.add_argument("--messages", help="folder for the generated Python messages (default: a temporary one)")
    parser.add_argument("--processes", action="store_true",
                        help="back each running container with a real process, so that its pid means something")
    parser.add_argument("--slow-wire", action="store_true", help="replies can be made to dribble")
    parser.add_argument("--image", action="append", default=[], help="an image that is there from the start")
    options = parser.parse_args()

    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
    import cri_client
    with tempfile.TemporaryDirectory() as temporary:
        messages = cri_client.load_messages(options.messages or temporary)
    runtime, script = Runtime(messages, options.processes), Script()
    for image in options.image:
        runtime.add_image(image)
    server = Server(runtime, script, options.socket, slow_wire.SlowWire() if options.slow_wire else None)
    control = Control(runtime, script, server)

    pathlib.Path(options.control).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(options.control)
    listener.listen()

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=control.serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    # Blocked in every thread, taken here: a handler would only run when the main thread happens to wake.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    control.do_wipe()
    for path in (options.socket, options.control):
        pathlib.Path(path).unlink(missing_ok=True)
    os._exit(0)  # calls that hang must not hold us


if __name__ == "__main__":
    main()
