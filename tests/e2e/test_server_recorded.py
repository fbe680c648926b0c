"""The node's own replies against those of a kubelet 1.36.2 (tests/data/recorded/http): each metric family with its type,
help and labels, each JSON key with its type, each status, header and text is there, or stands in
tests/data/recorded-differences.tsv with the reason why not, as in docs/compatibility.md. What belongs to the recorded
machine and its runtime stands here. Then what Prometheus says of the pages."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import bed as beds
import cluster as clusters
import images
import pytest
import test_cluster_golden as golden
import test_golden
import yaml

HTTP = test_golden.RECORDED / "http"
DIFFERENCES = beds.ROOT / "tests" / "data" / "recorded-differences.tsv"
COMPATIBILITY = beds.ROOT / "docs" / "compatibility.md"
NODE = f"{beds.NODE_IP}:10250"
PAGES = {"/metrics": "metrics", "/metrics/cadvisor": "metrics_cadvisor", "/metrics/probes": "metrics_probes",
         "/metrics/resource": "metrics_resource", "/metrics/slis": "metrics_slis"}
OBJECTS = {"/pods": "pods", "/runningpods/": "runningpods", "/stats/summary": "stats_summary", "/configz": "configz"}
# How long, and how often, Prometheus scrapes.
SCRAPE_SECONDS = int(os.environ.get("SCRAPE_SECONDS", "16"))
SCRAPE_INTERVAL = int(os.environ.get("SCRAPE_INTERVAL", "4"))


def rows():
    return [line.split("\t") for line in DIFFERENCES.read_text().splitlines()[1:]]


def absent(reply):
    """Patterns of what is not there in @reply; a * at the end stands for anything."""
    return [re.compile(re.escape(what).replace(r"\*", ".*")) for where, what, _ in rows() if where == reply]


def is_absent(reply, name):
    return any(pattern.fullmatch(name) for pattern in absent(reply))


def recorded(name):
    return (HTTP / f"{name}.txt").read_text()


def test_what_is_not_there_is_documented():
    section = COMPATIBILITY.read_text().split("# Recorded replies", 1)[1]
    table = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in section.splitlines()
             if line.startswith("| `")]
    assert table == [[f"`{reply}`", f"`{what}`", why] for reply, what, why in rows()]


# The node


class Asked:
    """The node and those who ask it: admin, a certificate of bob, who may do nothing, a bad token, nobody."""

    def __init__(self, cluster):
        self.cluster, self.bed = cluster, cluster.bed
        admin = cluster.plane.credentials()
        files = dict(zip(admin[::2], admin[1::2]))
        self.admin = [files["--cert"], files["--key"]]
        bob = sign(cluster.plane.dir / "pki", self.bed.dir, "bob")
        self.options = {"admin": ["--cert", self.admin[0], "--key", self.admin[1]],
                        "user bob (no rights)": ["--cert", bob[0], "--key", bob[1]],
                        "bad bearer token": ["-H", "Authorization: Bearer none"], "no credentials": []}

    def ask(self, path, *options, method="GET", who="admin"):
        command = ["curl", "-skSi", "--max-time", "20", *self.options[who], *options]
        command += ["--head"] if method == "HEAD" else ["-X", method]
        # Not text: what an upgrade carries may be any bytes. curl ends none by itself, which is no matter.
        text = self.bed.run(*command, f"https://{NODE}{path}", text=False, check=False).stdout.decode("latin-1")
        return Reply(text.replace("\r\n", "\n"))

    def body(self, path, *options):
        reply = self.ask(path, *options)
        assert reply.status.startswith("HTTP/1.1 200"), reply.status
        return reply.body


class Reply:
    def __init__(self, text):
        head, _, self.body = text.partition("\n\n")
        self.status, *fields = head.splitlines()
        pairs = [field.split(": ", 1) for field in fields]
        self.headers = {name.lower(): value for name, value in pairs}


def sign(pki, directory, name):
    """A client certificate of the cluster's authority; returns its file and that of its key."""
    key, request, cert = (directory / f"{name}.{end}" for end in ("key", "csr", "crt"))
    for command in (["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out",
                     request, "-subj", f"/CN={name}"],
                    ["x509", "-req", "-in", request, "-CA", pki / "ca.crt", "-CAkey", pki / "ca.key", "-CAcreateserial",
                     "-CAserial", directory / f"{name}.srl", "-days", "1", "-out", cert]):
        subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)
    return str(cert), str(key)


@pytest.fixture(scope="module")
def node(bed):
    """The recorded pods on a node with the recorded configuration, each as far as the recording saw it."""
    bed.ctr("images", "tag", "--force", images.BUSYBOX_IMAGE, test_golden.AGNHOST)
    config = yaml.safe_load((golden.INPUT / "kubelet-config.yaml").read_text())
    cluster = clusters.Cluster(bed, config={key: config[key] for key in golden.CONFIGURED if key in config})
    try:
        # The recorded machine's default interface.
        bed.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0-peer")
        cluster.node.apply("static-web.yaml", golden.STATIC)
        cluster.start()
        cluster.namespace = "rec"
        cluster.create({"kind": "Namespace", "metadata": {"name": "rec"}})
        cluster.create(*with_lines(golden.with_busybox(golden.OBJECTS)))
        settle(cluster)
        node = Asked(cluster)
        node.body("/pods")  # there are figures of requests once there was one
        yield node
    finally:
        cluster.close()
        bed.run("ip", "link", "delete", "eth0", check=False)


def with_lines(objects):
    """The recorded web server has said six lines."""
    web = next(one for one in objects if one["kind"] == "Pod" and one["metadata"]["name"] == "web")
    shell = web["spec"]["containers"][0]
    shell["command"] = [*shell["command"][:-1], f"for n in 1 2 3 4 5 6; do echo line $n; done; {shell['command'][-1]}"]
    return objects


def settle(cluster):
    for name in ("web", "sidecar", "guaranteed", "volumes", "hooks", "hostnet", "secure"):
        cluster.wait_running(name, timeout=60)
    cluster.wait_running(golden.STATIC_NAME, namespace="default")
    for name, phase in (("done", "Succeeded"), ("failed", "Failed"), ("oom", "Failed"), ("deadline", "Failed"),
                        ("misplaced", "Failed"), ("too-big", "Failed")):
        cluster.wait_phase(name, phase)
    for name in ("never-pull", "bad-pull", "bad-config", "non-root"):
        cluster.wait_pod(name, "refused", lambda pod: (golden.waiting(pod) or ("ContainerCreating",))[0]
                         not in (None, "ContainerCreating"))
    for name in ("crash", "unhealthy"):
        cluster.wait_pod(name, "a restart", lambda pod: (golden.waiting(pod) or (None, 0))[1] > 0)


# Metrics

SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="(?:[^"\\]|\\.)*"')


def families(page):
    """Of each family, in their order: the lines of HELP and TYPE, and the sets of names of its samples' labels, each with
    what follows the family's name."""
    result = {}
    for line in page.splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
            result[family] = [line, None, set()]
        elif line.startswith("# TYPE "):
            result[family][1] = line
        elif line:
            name, labels = SAMPLE.match(line).groups()
            result[family][2].add((name.removeprefix(family), tuple(LABEL.findall(labels or ""))))
    return result


@pytest.mark.parametrize("path", PAGES)
def test_every_family_is_there_as_recorded(node, path):
    ours, theirs = families(node.body(path)), families(recorded(PAGES[path]))
    faults = []
    for name, (text, kind, labels) in theirs.items():
        if name not in ours:
            faults += [] if is_absent(path, name) else [f"{name} is not there"]
            continue
        if ours[name][:2] != [text, kind]:
            faults.append(f"{name}: {ours[name][:2]} instead of {[text, kind]}")
        faults += [f"{name}{suffix} has no sample with {some}" for suffix, some in labels - ours[name][2]]
    assert not faults, "\n".join(faults)
    assert list(ours) == sorted(ours)


def test_no_row_is_about_what_is_there(node):
    ours, theirs = families(node.body("/metrics")), families(recorded("metrics"))
    for pattern in absent("/metrics"):
        assert any(pattern.fullmatch(name) for name in theirs if name not in ours), pattern.pattern


def test_a_request_takes_time(node):
    """Most end in the same turn of the loop, whose clock stands still."""
    node.body("/configz")
    page = node.body("/metrics")
    assert float(re.search(r'^kubelet_http_requests_duration_seconds_sum\{.*path="configz".*\} (.*)$', page,
                           re.MULTILINE)[1]) > 0


def test_a_page_has_the_headers_of_a_kubelet_s(node):
    reply = node.ask("/metrics/slis")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
    assert abs(int(reply.headers["process-start-time-unix"]) - time.time()) < 600


# JSON

TYPES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
# What the recorded input, its runtime and what was done to it in mid-life brought along: reply, key, why.
ACCEPTED_KEYS = [
    ("/pods", r"metadata\.annotations\.kubectl\..*", "The pods were made by kubectl apply."),
    ("/pods", r"spec\.containers\.args", "There is no agnhost here; web is busybox with a command."),
    ("/pods", r"(spec\.ephemeralContainers|status\.ephemeralContainerStatuses).*", "The recording debugs a pod."),
    ("/pods", r"status\.\w+Statuses\.user.*", "containerd 1.6 does not tell with which user a container runs."),
]


def keys(value, where=""):
    """Every key of a document with the type of what it holds; the elements of a list have one name."""
    yield where, TYPES[type(value)]
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from keys(inner, f"{where}.{key}" if where else key)
    elif isinstance(value, list):
        for inner in value:
            yield from (one for one in keys(inner, where) if one[0] != where)


def document_keys(text):
    document = json.loads(text)
    return {key for one in document.get("items", [document]) for key in keys(one)} | set(keys({**document, "items": []}))


@pytest.mark.parametrize("path", OBJECTS)
def test_every_json_key_is_there_as_recorded(node, path):
    assert node.ask(path).headers["content-type"] == "application/json"
    theirs, missing = document_keys(recorded(OBJECTS[path])), set()

    def is_whole():
        missing.clear()
        missing.update((key, kind) for key, kind in theirs - document_keys(node.body(path))
                       if not is_absent(path, key)
                       and not any(path == where and re.fullmatch(pattern, key) for where, pattern, _ in ACCEPTED_KEYS))
        return not missing
    try:  # containerd looks at the layers of its containers every ten seconds
        beds.wait_for("all keys", is_whole, timeout=25 if path == "/stats/summary" else 0, interval=0.5)
    except TimeoutError:
        raise AssertionError(sorted(missing)) from None


def test_running_pods_are_those_recorded(node):
    def shape(text):
        return {pod["metadata"]["name"]: set(keys(pod)) for pod in json.loads(text)["items"]
                if pod["metadata"]["name"] != "unhealthy"}  # is restarted without end
    assert shape(node.body("/runningpods/")) == shape(recorded("runningpods"))


# Texts


def flag_names(text):
    return {re.split(r"[:= ]", line, maxsplit=1)[0] for line in text.splitlines()[3:]}


def test_flags_are_listed_as_recorded(node):
    ours, theirs = node.body("/flagz"), recorded("flagz")
    assert ours.splitlines()[:3] == theirs.splitlines()[:3]
    assert flag_names(theirs) <= flag_names(ours)
    assert flag_names(ours) - flag_names(theirs) == {"local-socket"}


STATUS_LINES = ("Started", "Up", "Go version", "Binary version", "Emulation version", "Paths")


def test_the_status_page_has_the_recorded_lines(node):
    ours, theirs = node.body("/statusz").splitlines(), recorded("statusz").splitlines()
    assert ours[:4] == theirs[:4]
    for lines in (ours[4:], theirs[4:]):
        assert len(lines) == len(STATUS_LINES)
        assert all(line.startswith(name) for line, name in zip(lines, STATUS_LINES)), lines
    assert ours[-1].split("/", 1)[1] == theirs[-1].split("/", 1)[1]


def test_the_checks_are_those_recorded(node):
    lines = recorded("healthz_verbose").splitlines()
    assert node.body("/healthz?verbose").splitlines() == [line for line in lines
                                                           if not is_absent("/healthz?verbose", line)]


def test_folders_of_logs_look_as_recorded(node):
    ours, theirs = node.body("/logs/").splitlines(), recorded("logs").splitlines()
    entry = re.compile(r'<a href="([^"]+)">\1</a>')
    assert [line for line in ours if not entry.fullmatch(line)] == [line for line in theirs if not entry.fullmatch(line)]
    assert sum(bool(entry.fullmatch(line)) for line in ours) == len(ours) - 4


def test_a_container_s_log_is_as_recorded(node):
    assert node.body("/containerLogs/rec/crash/c") == recorded("containerLogs_rec_crash_c")


# Statuses, headers and texts of what is asked wrongly, or with the wrong credentials

PATHS = {
    "GET /containerLogs of an absent pod": "/containerLogs/rec/none/c",
    "GET /containerLogs of an absent container": "/containerLogs/rec/web/none",
    "GET /exec without upgrade": "/exec/rec/web/web?command=id&output=1",
    "POST /exec without upgrade": "/exec/rec/web/web?command=id&output=1",
    "POST /exec, no streams asked": "/exec/rec/web/web?command=id",
    "POST /run": "/run/rec/web/web?cmd=id",
    "POST /run failing command": "/run/rec/web/web?cmd=false",
    "POST /run absent command": "/run/rec/web/web?cmd=no-such-command",
    "GET /portForward without upgrade": "/portForward/rec/web?port=80",
    "GET /checkpoint": "/checkpoint/rec/web/web",
    "exec WebSocket v5 handshake": "/exec/rec/web/web?command=id&output=1&error=1",
}
UPGRADE = ["--no-buffer", "--max-time", "2", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket",
           "-H", "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
           "-H", "Sec-WebSocket-Protocol: v5.channel.k8s.io"]
# Bodies that differ from run to run or from machine to machine, as patterns.
BODIES = {
    "GET /containerLogs?tailLines=2&timestamps=true": r"(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z line [56]\n){2}",
    "GET /containerLogs?sinceSeconds=2": r".*",  # all was said earlier than that
    "POST /run": r"uid=0.* gid=0.*\n",
    "POST /run absent command": r"rpc error: code = Unknown desc = failed to exec in container: failed to start exec .*",
    "exec WebSocket v5 handshake": r'.*uid=0.*\{"metadata":\{\},"status":"Success"\}.*',
}


def sections():
    for text in re.split(r"^### ", (HTTP / "errors.txt").read_text(errors="replace"), flags=re.MULTILINE)[1:]:
        title, _, reply = text.partition("\n")
        if reply.startswith("HTTP/"):
            yield title, reply


@pytest.mark.parametrize(("title", "reply"), sections(), ids=[title for title, _ in sections()])
def test_an_odd_request_is_answered_as_recorded(node, title, reply):
    what, _, who = title.rpartition(", ")
    method, _, path = what.partition(" ")
    path = PATHS.get(what, path.replace("/containerLogs?", "/containerLogs/rec/web/web?"))
    options = UPGRADE if "WebSocket" in what else []
    ours = node.ask(path, *options, method=method if method.isupper() else "GET", who=who)
    theirs = Reply(reply)
    theirs.body = theirs.body.removesuffix("\n")
    assert ours.status == theirs.status
    for headers in (ours.headers, theirs.headers):
        headers.pop("date", None)
        if what in BODIES:
            headers.pop("content-length", None)
    assert ours.headers == theirs.headers
    if what in BODIES:
        assert re.fullmatch(BODIES[what], ours.body, re.DOTALL), ours.body
    elif method != "HEAD":
        assert ours.body == theirs.body


def handshake(node, *options):
    return node.bed.run("openssl", "s_client", "-connect", NODE, *options, check=False).stdout


def test_no_other_protocol_is_agreed_on(node):
    text = handshake(node, "-alpn", "h2,http/1.1")
    assert "No ALPN negotiated" in text
    assert "New, TLSv1.3" in text
    assert "Server Temp Key: X25519" in text


def test_the_certificate_is_like_the_recorded_one(node):
    pem = node.bed.dir / "node.pem"
    pem.write_text(re.search(r"-----BEGIN.*?END CERTIFICATE-----\n", handshake(node), re.DOTALL)[0])
    text = subprocess.run(["openssl", "x509", "-in", pem, "-noout", "-subject", "-issuer", "-dates", "-ext",
                           "keyUsage,extendedKeyUsage,basicConstraints,subjectAltName"],
                          check=True, capture_output=True, text=True).stdout
    theirs = (HTTP / "errors.txt").read_text(errors="replace").split("certificate\n")[-1]

    def neutral(some):
        some = re.sub(r"@\d{10}", "@SECONDS", some.replace(beds.NODE_NAME, "node1"))
        return sorted(re.sub(r"(not\w+=).*", r"\1DATE", line.strip()) for line in some.splitlines())
    assert neutral(text) == neutral(theirs)


# Prometheus


def needed(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed (Debian's package prometheus)")


def complaints(page):
    """What promtool says of a page; one that cannot be parsed fails."""
    result = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False)
    assert result.returncode in (0, 3), result.stderr
    return set(result.stderr.splitlines())


# Upstream's own names, which the recording has no samples of: pattern, why.
ACCEPTED_COMPLAINTS = [
    ("authentication_token_cache_active_fetch_count .*_count.*", "The recorded node had been asked with no token."),
]


@pytest.mark.parametrize("path", PAGES)
def test_promtool_says_nothing_that_it_does_not_say_of_a_kubelet(node, path):
    needed("promtool")
    more = complaints(node.body(path)) - complaints(recorded(PAGES[path]))
    assert not [line for line in more if not any(re.fullmatch(pattern, line) for pattern, _ in ACCEPTED_COMPLAINTS)]


class Prometheus:
    """A real one in the bed, which scrapes every page twice: as it likes, and through the proxy as OpenMetrics."""

    ADDRESS = "127.0.0.1:9090"
    PROXY_PORT = 9091

    def __init__(self, node, directory):
        self.bed = node.bed
        self.log = directory / "prometheus.log"
        cert, key = node.admin
        jobs = [{"job_name": path, "metrics_path": path, "scheme": "https", "static_configs": [{"targets": [NODE]}],
                 "tls_config": {"cert_file": cert, "key_file": key, "insecure_skip_verify": True}} for path in PAGES]
        jobs += [{"job_name": f"openmetrics:{path}", "metrics_path": path,
                  "static_configs": [{"targets": [f"127.0.0.1:{self.PROXY_PORT}"]}]} for path in PAGES]
        interval = f"{SCRAPE_INTERVAL}s"
        config = directory / "prometheus.yml"
        config.write_text(yaml.safe_dump({"global": {"scrape_interval": interval, "scrape_timeout": interval},
                                          "scrape_configs": jobs}))
        self.proxy = self.bed.spawn("python3", pathlib.Path(__file__).parents[1] / "lib" / "openmetrics_proxy.py",
                                    self.PROXY_PORT, NODE, cert, key, output=self.log)
        self.process = self.bed.spawn("prometheus", f"--config.file={config}", f"--web.listen-address={self.ADDRESS}",
                                      f"--storage.tsdb.path={directory}/tsdb", "--log.level=warn", output=self.log)

    def get(self, path, **query):
        options = [part for name, value in query.items() for part in ("--data-urlencode", f"{name}={value}")]
        return self.bed.run("curl", "-sS", "--get", *options, f"http://{self.ADDRESS}{path}", check=False,
                            stderr=subprocess.DEVNULL).stdout

    def query(self, expression):
        """The values of an instant query by job."""
        text = self.get("/api/v1/query", query=expression)
        data = json.loads(text)["data"]["result"] if text.startswith("{") else []
        return {one["metric"].get("job"): float(one["value"][1]) for one in data}

    def close(self):
        for process in (self.process, self.proxy):
            process.kill()
            process.wait()


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_prometheus_scrapes_all_pages(node, tmp_path):
    needed("prometheus")
    pid = node.cluster.node.process.pid
    cpu = cpu_seconds(pid)
    prometheus = Prometheus(node, tmp_path)
    try:
        scrapes = SCRAPE_SECONDS // SCRAPE_INTERVAL - 1
        beds.wait_for(f"{scrapes} scrapes of each page", lambda: len(
            [job for job, count in prometheus.query("count_over_time(up[5m])").items() if count >= scrapes])
            == 2 * len(PAGES), timeout=SCRAPE_SECONDS + 30, interval=0.5)
        cpu = cpu_seconds(pid) - cpu
        assert set(prometheus.query("min_over_time(up[5m])").values()) == {1.0}, prometheus.get("/api/v1/targets")
        errors = [target["lastError"] for target in json.loads(prometheus.get("/api/v1/targets"))["data"]["activeTargets"]]
        assert set(errors) == {""}
        # Samples with times of their own: none goes back in time or says something else of the same moment.
        own = prometheus.get("/metrics")
        for what in ("sample_duplicate_timestamp", "sample_out_of_order", "sample_out_of_bounds"):
            assert re.search(rf"^prometheus_target_scrapes_{what}_total 0$", own, re.MULTILINE), what
        assert prometheus.log.read_text() == ""
        samples = prometheus.query("max_over_time(scrape_samples_scraped[5m])")
        assert sum(samples[path] for path in PAGES) > 2000
        for path in PAGES:  # a page may grow between the two
            assert abs(samples[path] - samples[f"openmetrics:{path}"]) <= 20 + samples[path] / 20, samples
        seconds = prometheus.query("avg_over_time(scrape_duration_seconds[5m])")
        resident = re.search(r"VmRSS:\s+(.*)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]
        print(f"\n{cpu:.2f} s of CPU in the agent, {resident} resident")
        for job in sorted(samples):
            print(f"{job:32} {int(samples[job]):6} samples {1000 * seconds[job]:8.1f} ms")
    finally:
        prometheus.close()
