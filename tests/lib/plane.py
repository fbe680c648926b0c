"""nodeplane under test: one process with a data directory of its own, and the clients that people use on it."""

import ctypes
import http.client
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import threading
import time

import yaml

import bed as beds

PROGRAM = pathlib.Path(os.environ.get("NODEPLANE", beds.ROOT / "build" / "nodeplane"))
KUBECTL = os.environ.get("KUBECTL", "kubectl")
NODE_NAME = "node-a"
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _die_with_parent():
    """Whatever becomes of the tests, the server ends with them."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_of_another(directory):
    """Ends the nodeplane that another process left running on @directory (see lives_on)."""
    pid_file = pathlib.Path(directory) / "nodeplane.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    try:  # another process may have the number by now
        if str(pathlib.Path(directory)) in pathlib.Path(f"/proc/{pid}/cmdline").read_text():
            os.kill(pid, signal.SIGTERM)
            beds.wait_for("the end of nodeplane", lambda: not beds.is_alive(pid), timeout=10)
    except FileNotFoundError:
        pass
    pid_file.unlink()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Plane:
    """A nodeplane on loopback. A restart keeps its directory and its port; one that lives on outlasts its parent."""

    def __init__(self, directory, *flags, program=PROGRAM, port=None, lives_on=False):
        assert pathlib.Path(program).exists(), f"{program} is not built: run make first"
        self.program = program
        self.dir = pathlib.Path(directory)
        self.port = port or free_port()
        self.lives_on = lives_on
        self.server = f"https://127.0.0.1:{self.port}"
        self.flags = list(flags)
        self.log_path = self.dir.parent / (self.dir.name + ".log")
        self.kubeconfig = self.dir / "admin.kubeconfig"
        self.ca = self.dir / "pki" / "ca.crt"
        self.node_kubeconfig = self.dir / f"node-{NODE_NAME}.kubeconfig"
        self.process = None

    def command(self, *more):
        return [str(self.program), f"--data-dir={self.dir}", f"--listen=127.0.0.1:{self.port}",
                f"--node-name={NODE_NAME}", *self.flags, *more]

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=self.lives_on,
                                            preexec_fn=None if self.lives_on else _die_with_parent)
        if self.lives_on:
            (self.dir.parent / "nodeplane.pid").write_text(str(self.process.pid))
        beds.wait_for("nodeplane's answer", self._answers, timeout=20)
        return self

    def _answers(self):
        assert self.process.poll() is None, f"nodeplane ended with {self.process.returncode}:\n{self.log()}"
        return self.kubeconfig.exists() and self.curl("/readyz", check=False).stdout == "ok"

    def stop(self, number=signal.SIGTERM, timeout=15):
        if self.process is None:
            return None
        self.process.send_signal(number)
        code = self.process.wait(timeout)
        self.process = None
        return code

    def restart(self, number=signal.SIGKILL):
        self.stop(number)
        return self.start()

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def resident_bytes(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    # kubectl

    def environment(self, kubeconfig=None):
        return {**os.environ, "KUBECONFIG": str(kubeconfig or self.kubeconfig), "HOME": str(self.dir.parent),
                "KUBECACHEDIR": str(self.dir.parent / "kube-cache"), "HTTPS_PROXY": "", "https_proxy": "", "NO_PROXY": "*"}

    def kubectl(self, *arguments, stdin=None, check=True, timeout=30, kubeconfig=None):
        """Runs kubectl to its end; @stdin may be an object, which is sent as YAML."""
        text = stdin if stdin is None or isinstance(stdin, str) else yaml.safe_dump(stdin)
        result = subprocess.run([KUBECTL, *map(str, arguments)], input=text or "", capture_output=True, text=True,
                                timeout=timeout, check=False, env=self.environment(kubeconfig))
        if check and result.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(map(str, arguments))}: {result.stderr}{result.stdout}")
        return result

    def get(self, *arguments):
        """The object or list that `kubectl get … -o json` shows."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json").stdout)

    def apply(self, *objects):
        return self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))

    # curl

    def credentials(self, kubeconfig=None):
        """Writes certificate, key and authority of a kubeconfig as files; returns curl's options for them."""
        config = yaml.safe_load(pathlib.Path(kubeconfig or self.kubeconfig).read_text())
        user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
        import base64
        options = []
        for option, data in (("--cert", user["client-certificate-data"]), ("--key", user["client-key-data"]),
                             ("--cacert", cluster["certificate-authority-data"])):
            path = self.dir.parent / f"{self.dir.name}-{(kubeconfig or self.kubeconfig).name}{option}.pem"
            content = base64.b64decode(data)
            if not path.exists() or path.read_bytes() != content:  # never half-written below another thread's feet
                fresh = path.with_suffix(f".{threading.get_ident()}")
                fresh.write_bytes(content)
                fresh.chmod(0o600)
                fresh.rename(path)
            options += [option, str(path)]
        return options

    def connection(self, timeout=10):
        """One connection of HTTP/1.1 as the admin, for many requests one after the other."""
        credentials = self.credentials()
        files = dict(zip(credentials[::2], credentials[1::2]))
        context = ssl.create_default_context(cafile=files["--cacert"])
        context.load_cert_chain(files["--cert"], files["--key"])
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=timeout)

    def curl(self, path, *options, check=True, kubeconfig=None, timeout=20):
        return subprocess.run(["curl", "-sS", "--noproxy", "*", "--max-time", str(timeout), *self.credentials(kubeconfig),
                               *options, self.server + path], capture_output=True, text=True, check=check, timeout=timeout + 5)

    def request(self, method, path, body=None, kubeconfig=None, content_type="application/json"):
        """Sends JSON with curl; returns (status code, decoded answer)."""
        options = ["-X", method, "-w", "\n%{http_code}"]
        if body is not None:
            options += ["-H", f"Content-Type: {content_type}", "--data-binary",
                        body if isinstance(body, str) else json.dumps(body)]
        text = self.curl(path, *options, kubeconfig=kubeconfig).stdout
        answer, _, code = text.rpartition("\n")
        return int(code), json.loads(answer) if answer.startswith("{") else answer

    # python3-kubernetes

    def client(self, kubeconfig=None):
        import kubernetes
        return kubernetes.config.new_client_from_config(str(kubeconfig or self.kubeconfig))


class Watch:
    """`curl` on a watch, whose events are read as they come."""

    def __init__(self, plane, path):
        self.process = subprocess.Popen(["curl", "-sSN", "--noproxy", "*", *plane.credentials(), plane.server + path],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_die_with_parent)

    def next(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def close(self):
        self.process.kill()
        self.process.communicate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def pod(name, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"containers": [{"name": "c", "image": "busybox:1.36"}], **spec}}


def elapsed(action):
    started = time.monotonic()
    action()
    return time.monotonic() - started
