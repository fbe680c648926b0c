"""Container images made on the spot, as OCI archives, from programs of this machine. Nothing is downloaded.

pause    our own tests/lib/pause.c, linked statically
busybox  Debian's busybox-static with a link for each of its applets
"""

import hashlib
import io
import json
import pathlib
import subprocess
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
PAUSE_IMAGE = "registry.k8s.io/pause:3.10"
BUSYBOX_IMAGE = "docker.io/library/busybox:1.36"
BUSYBOX_CONFIG = {"Cmd": ["sh"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
# An account other than root, for images and pods that run as one.
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
GROUP = "root:x:0:\nnogroup:x:65534:\n"


class Layer:
    """One file system layer, built in memory."""

    def __init__(self):
        self._bytes = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._bytes, mode="w", format=tarfile.GNU_FORMAT)

    def directory(self, path, mode=0o755):
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        self._tar.addfile(entry)

    def file(self, path, content, mode=0o644):
        entry = tarfile.TarInfo(path)
        entry.size, entry.mode = len(content), mode
        self._tar.addfile(entry, io.BytesIO(content))

    def link(self, path, target):
        entry = tarfile.TarInfo(path)
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
        self._tar.addfile(entry)

    def finish(self):
        self._tar.close()
        return self._bytes.getvalue()


def _digest(blob):
    return hashlib.sha256(blob).hexdigest()


def write_archive(path, name, layer, config):
    """Writes an OCI archive of one image with one layer, which containerd imports under @name."""
    blobs = {}

    def add(blob, media_type):
        blobs[_digest(blob)] = blob
        return {"mediaType": media_type, "digest": "sha256:" + _digest(blob), "size": len(blob)}

    layer_entry = add(layer, "application/vnd.oci.image.layer.v1.tar")
    image = {"architecture": _architecture(), "os": "linux", "config": config,
             "rootfs": {"type": "layers", "diff_ids": ["sha256:" + _digest(layer)]}}
    config_entry = add(json.dumps(image).encode(), "application/vnd.oci.image.config.v1+json")
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": config_entry, "layers": [layer_entry]}
    manifest_entry = add(json.dumps(manifest).encode(), manifest["mediaType"])
    manifest_entry["annotations"] = {"io.containerd.image.name": name}
    index = {"schemaVersion": 2, "manifests": [manifest_entry]}

    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode()}
        files.update({"blobs/sha256/" + digest: blob for digest, blob in blobs.items()})
        for file_name, content in files.items():
            entry = tarfile.TarInfo(file_name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))


def _architecture():
    return subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()


def build_pause_program(directory):
    """Compiles the pause program into @directory once; returns its path."""
    source, program = HERE / "pause.c", pathlib.Path(directory) / "pause"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        program.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Os", "-static", "-s", "-o", program, source],
                       check=True)
    return program


def build_pause_archive(directory):
    """Makes the pause image's archive in @directory; returns its path."""
    program, path = build_pause_program(directory), pathlib.Path(directory) / "pause.tar"
    if not path.exists() or path.stat().st_mtime < program.stat().st_mtime:
        layer = Layer()
        layer.file("pause", program.read_bytes(), 0o755)
        write_archive(path, PAUSE_IMAGE, layer.finish(), {"Entrypoint": ["/pause"], "User": "65535:65535"})
    return path


def build_busybox_archive(directory):
    """Makes the busybox image's archive in @directory; returns its path."""
    program, path = pathlib.Path("/bin/busybox"), pathlib.Path(directory) / "busybox.tar"
    if path.exists() and path.stat().st_mtime > max(program.stat().st_mtime, pathlib.Path(__file__).stat().st_mtime):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    write_archive(path, BUSYBOX_IMAGE, _busybox_layer(program), BUSYBOX_CONFIG)
    return path


def build_busybox_variant(path, name, config):
    """Makes the archive @path of an image like busybox, but with another id: its name is one of its labels."""
    write_archive(path, name, _busybox_layer(pathlib.Path("/bin/busybox")),
                  {**BUSYBOX_CONFIG, "Labels": {"name": name}, **config})


def _busybox_layer(program):
    applets = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()
    layer = Layer()
    for name in ("bin", "dev", "etc", "home", "proc", "root", "sys", "usr", "usr/bin", "var"):
        layer.directory(name)
    layer.directory("tmp", 0o1777)
    layer.file("etc/passwd", PASSWD.encode())
    layer.file("etc/group", GROUP.encode())
    layer.file("bin/busybox", program.read_bytes(), 0o755)
    for applet in sorted(set(applets) - {"busybox"}):
        layer.link("bin/" + applet, "busybox")
    return layer.finish()
