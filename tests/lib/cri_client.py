"""A small CRI v1 client over python3-grpcio: an independent peer, and the benchmark's floor.

Messages come from the project's own proto/cri.proto, so the same definitions are tried against a real runtime:

    cri = CriClient("/run/containerd/containerd.sock", messages=load_messages(build_dir))
    cri.call("Version").runtime_name
    cri.call("StopPodSandbox", pod_sandbox_id=sandbox)
"""

import importlib.util
import json
import pathlib
import subprocess
import sys
import time

import grpc
from google.protobuf import empty_pb2

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto" / "cri.proto"
IMAGE_METHODS = frozenset(["ListImages", "ImageStatus", "PullImage", "RemoveImage", "ImageFsInfo"])
MAX_MESSAGE_BYTES = 16 << 20  # what a kubelet takes


def load_messages(directory):
    """Generates cri_pb2.py into @directory when it is missing or old, and imports it."""
    directory = pathlib.Path(directory)
    module_path = directory / "cri_pb2.py"
    if not module_path.exists() or module_path.stat().st_mtime < PROTO.stat().st_mtime:
        directory.mkdir(parents=True, exist_ok=True)
        subprocess.run(["protoc", f"--proto_path={PROTO.parent}", f"--python_out={directory}", PROTO], check=True)
    if "cri_pb2" in sys.modules:
        return sys.modules["cri_pb2"]
    spec = importlib.util.spec_from_file_location("cri_pb2", module_path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["cri_pb2"] = module
    spec.loader.exec_module(module)
    return module


class CriClient:
    """Unary CRI calls by name. Fields are given as keyword arguments, nested ones as dictionaries."""

    def __init__(self, socket_path, messages):
        self.messages = messages
        self._channel = grpc.insecure_channel(
            f"unix://{socket_path}",
            options=[("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                     ("grpc.default_authority", "localhost")])
        self._methods = {}

    def call(self, method, timeout=60, **fields):
        """Calls @method and returns its reply; a failure is a grpc.RpcError."""
        if method not in self._methods:
            service = "ImageService" if method in IMAGE_METHODS else "RuntimeService"
            self._methods[method] = self._channel.unary_unary(
                f"/runtime.v1.{service}/{method}",
                request_serializer=lambda request: request.SerializeToString(),
                response_deserializer=self._message(method + "Response").FromString)
        return self._methods[method](self._message(method + "Request")(**fields), timeout=timeout)

    def _message(self, name):
        return getattr(self.messages, name, empty_pb2.Empty)  # messages without fields are not defined

    def close(self):
        self._channel.close()

    # What several tests need, said once.

    def sandboxes(self, uid=None):
        """Every sandbox, or those of the pod with @uid."""
        labels = {"io.kubernetes.pod.uid": uid} if uid else {}
        return list(self.call("ListPodSandbox", filter={"label_selector": labels}).items)

    def containers(self, uid=None):
        """Every container, or those of the pod with @uid."""
        labels = {"io.kubernetes.pod.uid": uid} if uid else {}
        return list(self.call("ListContainers", filter={"label_selector": labels}).containers)

    def container_info(self, container_id):
        """The runtime's verbose view of a container (pid, OCI spec, the CRI configuration it was made from)."""
        return json.loads(self.call("ContainerStatus", container_id=container_id, verbose=True).info["info"])

    def sandbox_info(self, sandbox_id):
        return json.loads(self.call("PodSandboxStatus", pod_sandbox_id=sandbox_id, verbose=True).info["info"])

    def exec(self, container_id, *command, timeout=10):
        """Runs @command in a container; returns its standard output, fails when its exit code is not 0."""
        reply = self.call("ExecSync", container_id=container_id, cmd=command, timeout=timeout)
        output, errors = reply.stdout.decode(), reply.stderr.decode()
        assert reply.exit_code == 0, f"{command} exited {reply.exit_code}: {output}{errors}"
        return output

    def remove_all(self):
        """Stops and removes every sandbox with its containers. What an agent had begun to remove may go meanwhile."""
        for sandbox in self.sandboxes():
            try:
                self._stop(sandbox.id)
                self._remove(sandbox.id)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.NOT_FOUND:
                    raise

    def _stop(self, sandbox_id):
        """Stops a sandbox. containerd 1.6 fails once when the sandbox's own process ends at that very moment."""
        try:
            self.call("StopPodSandbox", pod_sandbox_id=sandbox_id)
        except grpc.RpcError as error:
            if "ttrpc: closed" not in error.details():
                raise
            self.call("StopPodSandbox", pod_sandbox_id=sandbox_id)

    def _remove(self, sandbox_id, patience_s=10):
        """Removes a stopped sandbox; a container whose start the agent left under way has to get through it first."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                self.call("RemovePodSandbox", pod_sandbox_id=sandbox_id)
                return
            except grpc.RpcError as error:
                if "starting state" not in error.details() or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)


def container_command(name, image, *command, **more):
    """The configuration of a container that runs @command, for CreateContainer."""
    return {"metadata": {"name": name, "attempt": 0}, "image": {"image": image}, "command": command,
            "log_path": f"{name}/0.log", "linux": {"resources": {"oom_score_adj": 1000}}, **more}
