"""Debian's docker-registry inside a bed, with or without a password and TLS, and images to pull from it.

It listens on the bed's loopback under a name of its own, which the bed's containerd finds in its certs.d: pulls of
`registry.test:5000/team/app:1` need no name server. Nothing is pulled or pushed as long as a test does not ask for it.
"""

import contextlib
import itertools
import re
import subprocess

import bed as beds
import images

_ports = itertools.count(5000)
_PUSH_NAMESPACE = "pushing"  # of containerd's: the bed's runtime does not see what is in there

_CONFIG = """version: 0.1
log: {{level: info, formatter: text}}
storage:
  filesystem: {{rootdirectory: {dir}/data}}
  delete: {{enabled: true}}
http:
  addr: 127.0.0.1:{port}
"""
_CONFIG_TLS = "  tls: {{certificate: {dir}/tls.crt, key: {dir}/tls.key}}\n"
_CONFIG_USERS = "auth:\n  htpasswd: {{realm: bed, path: {dir}/htpasswd}}\n"


class Registry:
    """One registry. Use it as a context manager, or call start() and close().

    @users: passwords by user name; None: everybody may pull. @tls: HTTPS with a certificate that containerd is told to
    trust. @host: the name it has in images, without the port."""

    def __init__(self, bed, users=None, tls=False, host="registry.test"):
        self.bed = bed
        self.port = next(_ports)
        self.host = f"{host}:{self.port}"
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.dir = bed.dir / f"registry-{self.port}"
        self.log_path = self.dir / "registry.log"
        self.users = users
        self.tls = tls
        self.process = None
        self._pushed_bytes = 0  # of the log, up to the last push
        self._hosts = bed.dir / "certs.d" / self.host

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    def start(self):
        if not self.dir.exists():
            self.dir.mkdir()
            self._configure()
        self.process = self.bed.spawn("docker-registry", "serve", self.dir / "config.yml", output=self.log_path)
        try:
            beds.wait_for(f"{self.host}", self._answers, timeout=20)
        except BaseException:
            self.stop()
            raise
        return self

    def _answers(self):
        assert self.process.is_running(), f"the registry ended:\n{self.log()}"
        result = self.bed.run("curl", "-s", "-k", "-o", "/dev/null", "-w", "%{http_code}", f"{self.url}/v2/", check=False)
        return result.stdout == ("200" if self.users is None else "401")

    def stop(self):
        """Ends the server; it keeps its images, and start() may follow."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self):
        self.stop()
        for path in (self._hosts / "hosts.toml", self._hosts):
            with contextlib.suppress(FileNotFoundError):
                path.rmdir() if path.is_dir() else path.unlink()

    def _configure(self):
        config = _CONFIG
        trust = ""
        if self.tls:
            config += _CONFIG_TLS
            self._make_certificate()
            trust = f'  ca = "{self.dir}/tls.crt"\n'
        if self.users is not None:
            config += _CONFIG_USERS
            self.set_users(self.users)
        (self.dir / "config.yml").write_text(config.format(dir=self.dir, port=self.port))
        self._hosts.mkdir(parents=True, exist_ok=True)
        (self._hosts / "hosts.toml").write_text(
            f'server = "{self.url}"\n[host."{self.url}"]\n  capabilities = ["pull", "resolve", "push"]\n{trust}')

    def _make_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", self.dir / "tls.key", "-out", self.dir / "tls.crt", "-days", "2",
                        "-subj", "/CN=registry", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)

    def set_users(self, users):
        """Other users and passwords from now on; the server notices (not for one that began without any)."""
        lines = [subprocess.run(["htpasswd", "-n", "-i", "-B", "-C", "4", name], input=password, check=True, text=True,
                                capture_output=True).stdout.strip() for name, password in users.items()]
        hidden = self.dir / "htpasswd.new"
        hidden.write_text("\n".join(lines) + "\n")
        hidden.rename(self.dir / "htpasswd")
        self.users = dict(users)

    # Its images

    def push(self, name, **config):
        """Makes a busybox image that no other test has, pushes it as @name (`team/app:1`) and returns its whole name.

        The runtime has nothing of it afterwards. @config adds to the image's configuration."""
        image = f"{self.host}/{name}"
        archive = self.dir / "push.tar"
        images.build_busybox_variant(archive, image, config)
        login = next(iter((self.users or {}).items()), None)
        user = ["--user", ":".join(login)] if login else []
        self._ctr("images", "import", "--no-unpack", archive)
        self._ctr("images", "push", "--hosts-dir", self._hosts.parent, *user, image)
        self._ctr("images", "rm", "--sync", image)
        archive.unlink()
        self._pushed_bytes = len(self.log())
        return image

    def _ctr(self, *arguments):
        self.bed.run("ctr", "--address", self.bed.socket, "--namespace", _PUSH_NAMESPACE, *arguments)

    # What it saw

    def log(self):
        return self.log_path.read_text() if self.log_path.exists() else ""

    def answers(self, name):
        """The status codes it gave since the last push to all who asked for a manifest of the repository @name
        (`team/app`), in order; it writes them down a moment after it has answered."""
        pattern = rf'"(?:GET|HEAD) /v2/{re.escape(name)}/manifests/\S+ HTTP/[\d.]+" (\d+)'
        return [int(code) for code in re.findall(pattern, self.log()[self._pushed_bytes:])]
