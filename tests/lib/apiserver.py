"""The real API server under the same tests as nodeplane: kube-apiserver and etcd from the folder that KUBEBUILDER_ASSETS
names (the convention of envtest). No controllers run: namespaces stay Terminating and pods stay without a node."""

import base64
import os
import pathlib
import signal
import subprocess

import yaml

import bed as beds
import plane as planes

ASSETS = os.environ.get("KUBEBUILDER_ASSETS", "")


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class KubeApiserver(planes.Plane):
    """Has the interface of Plane; its start needs a few seconds."""

    def __init__(self, directory):
        super().__init__(pathlib.Path(directory) / "data", program=pathlib.Path(ASSETS) / "kube-apiserver")
        self.etcd = None
        self.ca = self.dir / "ca.crt"
        self.etcd_port, self.peer_port = planes.free_port(), planes.free_port()

    def _certificate(self, name, subject, extension):
        key, request, cert = (self.dir / f"{name}.{end}" for end in ("key", "csr", "crt"))
        ca = ("-CA", self.dir / "ca.crt", "-CAkey", self.dir / "ca.key", "-CAcreateserial")
        extensions = self.dir / f"{name}.ext"
        extensions.write_text(extension)
        _openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", subject)
        _openssl("x509", "-req", "-in", request, *ca, "-days", "2", "-out", cert, "-extfile", extensions)

    def _make_certificates(self):
        _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", self.dir / "ca.key", "-out",
                 self.dir / "ca.crt", "-subj", "/CN=test")
        self._certificate("server", "/CN=kube-apiserver", "subjectAltName=IP:127.0.0.1,DNS:localhost")
        self._certificate("admin", "/O=system:masters/CN=admin", "extendedKeyUsage=clientAuth")
        _openssl("genrsa", "-out", self.dir / "sa.key", "2048")

    def _write_kubeconfig(self):
        def data(name):
            return base64.b64encode((self.dir / name).read_bytes()).decode()
        self.kubeconfig.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.server, "certificate-authority-data": data("ca.crt")}}],
            "users": [{"name": "admin", "user": {"client-certificate-data": data("admin.crt"),
                                                 "client-key-data": data("admin.key")}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}]}))

    def command(self, *more):
        return [str(self.program), f"--etcd-servers=http://127.0.0.1:{self.etcd_port}", f"--secure-port={self.port}",
                "--bind-address=127.0.0.1", f"--client-ca-file={self.dir}/ca.crt",
                f"--tls-cert-file={self.dir}/server.crt", f"--tls-private-key-file={self.dir}/server.key",
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                f"--service-account-key-file={self.dir}/sa.key", f"--service-account-signing-key-file={self.dir}/sa.key",
                "--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=Node,RBAC",
                f"--kubelet-client-certificate={self.dir}/admin.crt", f"--kubelet-client-key={self.dir}/admin.key",
                "--disable-admission-plugins=ServiceAccount", *more]

    def start(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        self._make_certificates()
        self._write_kubeconfig()
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self.peer_port}"
        with open(self.dir.parent / "etcd.log", "ab") as log:
            self.etcd = subprocess.Popen([pathlib.Path(ASSETS) / "etcd", f"--data-dir={self.dir}/etcd", "--unsafe-no-fsync",
                                          f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
                                          f"--listen-peer-urls={peer}"], stdout=log, stderr=log,
                                         preexec_fn=planes._die_with_parent)
        return super().start()

    def stop(self, number=signal.SIGTERM, timeout=30):
        code = super().stop(number, timeout)
        if self.etcd is not None:
            self.etcd.kill()
            self.etcd.wait()
            self.etcd = None
        return code
