"""What somebody does on the node itself, with nothing but the agent's own program: exec, attach, top, logs, events."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import agent as agents
import bed as beds
import children
import pytest
from agent import SLEEP, pod, shell

LINES = "echo first; echo second; echo third; " + SLEEP
TALKER = "while read line; do echo heard $line; done; echo ended"


@pytest.fixture(scope="module")
def node(bed):
    """One agent whose pods all cases share: they only look and talk."""
    made = agents.Agent(bed)
    made.apply("web.yaml", pod("web", shell("c", LINES)))
    made.apply("two.yaml", pod("two", shell("a", "echo of a; " + SLEEP), shell("b", "echo of b; " + SLEEP)))
    made.apply("talk.yaml", pod("talk", {"name": "c", "image": "docker.io/library/busybox:1.36", "stdin": True,
                                         "command": ["sh", "-c", TALKER]}, restartPolicy="Never"))
    made.apply("screen.yaml", pod("screen", {"name": "c", "image": "docker.io/library/busybox:1.36", "stdin": True,
                                             "tty": True, "command": ["sh"]}))
    made.apply("done.yaml", pod("done", shell("c", "exit 0"), restartPolicy="Never"))
    made.apply("busy.yaml", pod("busy", shell("c", "while :; do :; done")))
    made.apply("other.yaml", pod("other", shell("c", SLEEP), metadata={"namespace": "kube-system"}))
    try:
        made.start()
        for name in ("web", "two", "talk", "screen", "busy", "other"):
            made.wait_running(name)
        made.wait_pod("done", "Succeeded", lambda p: p["status"]["phase"] == "Succeeded")
        yield made
    finally:
        print(f"\n--- the log of {made.name}'s cubelet ---\n{made.log_tail(100)}")
        made.stop(signal.SIGKILL)
        bed.cri.remove_all()
        beds.remove_cgroup(made.cgroup_root)


def run(node, *arguments, stdin=None, timeout=20):
    return subprocess.run(node.client_command(*arguments), input=stdin, capture_output=True, timeout=timeout,
                          **({} if stdin is not None else {"stdin": subprocess.DEVNULL}))


def refused(node, code, message, *arguments):
    result = run(node, *arguments)
    assert result.returncode == code, result
    assert result.stdout == b""
    assert result.stderr.decode() == f"cubelet: {message}\n"


# --- exec ---


def test_a_command_prints_to_both_outputs_and_its_code_is_ours(node):
    result = run(node, "exec", "web", "--", "sh", "-c", "echo out; echo 'and err' >&2; exit 3")
    assert (result.returncode, result.stdout) == (3, b"out\n")
    assert result.stderr == b"and err\ncommand terminated with exit code 3\n"
    result = run(node, "exec", "pod/web-node-a", "-c", "c", "-n", "default", "--", "printf", "%s|", "a b", "", "ü&=%")
    assert (result.returncode, result.stdout, result.stderr) == (0, "a b||ü&=%|".encode(), b"")


def test_options_of_the_command_are_its_own(node):
    result = run(node, "exec", "web", "--", "printf", "%s ", "-n", "x", "--help", "--")
    assert (result.returncode, result.stdout) == (0, b"-n x --help -- ")


def test_input_passes_whole_and_its_end_is_told(node):
    data = os.urandom(3 << 20)
    result = run(node, "exec", "-i", "web", "--", "cat", stdin=data, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout == data
    # Without --stdin the command has none, whatever we have.
    result = run(node, "exec", "web", "--", "cat", stdin=b"not for it")
    assert (result.returncode, result.stdout) == (0, b"")
    # It may also end without having read it; of much more than this Debian's containerd never tells the end.
    result = run(node, "exec", "-i", "web", "--", "sh", "-c", "exit 4", stdin=data[:1024])
    assert result.returncode == 4, result.stderr


def test_input_that_stays_open_does_not_keep_a_command_that_has_ended(node):
    with children.Child(node.client_command("exec", "-i", "web", "--", "head", "-n", "1"), stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE) as client:
        client.stdin.write(b"one\n")
        client.stdin.flush()
        assert client.stdout.read() == b"one\n"
        assert client.wait(10) == 0


@pytest.mark.parametrize("closed,output", [("<&-", b"in\n"), (">&-", b""), ("<&- >&- 2>&-", b"")])
def test_closed_streams_are_nobody_elses(node, closed, output):
    command = node.client_command("exec", "-i", "web", "--", "sh", "-c", "echo in $(cat); exit 3")
    result = subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", *command], capture_output=True, timeout=20,
                            stdin=subprocess.DEVNULL)
    assert (result.returncode, result.stdout) == (3, output)


def test_a_signal_ends_the_client(node):
    with children.Child(node.client_command("exec", "web", "--", "sh", "-c", "echo up; sleep 100"),
                        stdout=subprocess.PIPE) as client:
        assert client.stdout.readline() == b"up\n"
        client.send_signal(signal.SIGINT)
        assert client.wait(10) == -signal.SIGINT


def test_what_cannot_be_run_is_explained(node):
    refused(node, 1, 'there is no pod "nobody" in namespace "default" on this node', "exec", "nobody", "--", "true")
    refused(node, 1, 'there is no pod "other" in namespace "default" on this node, but one in namespace "kube-system": '
            "use --namespace", "exec", "other", "--", "true")
    refused(node, 1, 'pod "two-node-a" has no container "x" but: a, b', "exec", "two", "-c", "x", "--", "true")
    refused(node, 1, 'container "c" of pod "done-node-a" is not running: Completed', "exec", "done", "--", "true")
    refused(node, 1, 'container "c" of pod "done-node-a" is not running: Completed', "attach", "done")
    result = run(node, "exec", "web", "--", "/no/such/program")
    assert result.returncode not in (0, 2)
    assert b"no such file or directory" in result.stderr
    result = run(node, "exec", "web", "ls")
    assert result.returncode == 2
    assert result.stderr == b"cubelet: the command comes behind --: exec web -- ls\nSee `cubelet exec --help`.\n"
    result = run(node, "exec", "web", "--", "x" * (49 << 10))
    assert (result.returncode, result.stderr) == (1, b"cubelet: the command is larger than 49152 bytes\n")


def test_a_container_that_was_not_named_is_told(node):
    result = run(node, "exec", "two", "--", "true")
    assert (result.returncode, result.stderr) == (0, b'Defaulted container "a" out of: a, b\n')
    assert run(node, "exec", "-n", "kube-system", "other", "--", "true").returncode == 0


# --- terminals ---


class Terminal:
    """A client in a terminal of its own."""

    def __init__(self, node, *arguments, size=(24, 80)):
        self.master, slave = pty.openpty()
        self.resize(*size)
        self.before = termios.tcgetattr(slave)
        self.slave = slave  # kept open: what the client leaves behind can be looked at
        self.said = b""
        self.process = subprocess.Popen(node.client_command(*arguments), stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True, preexec_fn=self._own)

    def _own(self):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text)

    def read_until(self, text, timeout=15):
        end = time.monotonic() + timeout
        while text not in self.said:
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            assert ready, f"never: {text} in {self.said}"
            self.said += os.read(self.master, 4096)
        before, self.said = self.said.split(text, 1)
        return before

    def wait(self):
        try:
            return self.process.wait(15)
        finally:
            self.process.kill()

    def settings(self):
        return termios.tcgetattr(self.slave)

    def close(self):
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal(node):
    made = []

    def make(*arguments, **more):
        made.append(Terminal(node, *arguments, **more))
        return made[-1]

    yield make
    for one in made:
        one.process.kill()
        one.process.wait()
        one.close()


def test_a_shell_has_our_terminal_its_size_and_its_changes(terminal):
    shell_in = terminal("exec", "-it", "web", "--", "sh", size=(33, 101))
    shell_in.read_until(b"# ")
    shell_in.type(b"stty size; tty\n")
    shell_in.read_until(b"\r\n33 101\r\n/dev/pts/")
    shell_in.read_until(b"# ")
    assert not shell_in.settings()[3] & (termios.ICANON | termios.ECHO | termios.ISIG)
    shell_in.resize(40, 120)
    beds.wait_for("the new size", lambda: size_seen_by(shell_in) == b"40 120", timeout=15)
    # What says so itself is in the foreground and has its trap; the echo of what is typed tells of neither.
    shell_in.type(b"""sh -c "trap 'echo cau''ght; exit' INT; echo u''p; while :; do sleep 0.1; done"\n""")
    shell_in.read_until(b"up\r\n")
    shell_in.type(b"\x03")  # for the command there, not for the client
    shell_in.read_until(b"caught\r\n")
    shell_in.read_until(b"# ")
    shell_in.type(b"exit 7\n")
    assert shell_in.wait() == 7
    assert shell_in.settings() == shell_in.before


def size_seen_by(shell_in):
    shell_in.type(b"echo [$(stty size)]\n")
    shell_in.read_until(b"]\r\n")
    shell_in.read_until(b"[")
    size = shell_in.read_until(b"]")
    shell_in.read_until(b"# ")
    return size


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_the_terminal_is_given_back_when_a_signal_ends_us(terminal, number):
    shell_in = terminal("exec", "-it", "web", "--", "sh")
    shell_in.read_until(b"# ")
    assert shell_in.settings() != shell_in.before
    shell_in.process.send_signal(number)
    assert shell_in.wait() == -number
    assert shell_in.settings() == shell_in.before


def test_a_terminal_needs_one_here(node):
    result = run(node, "exec", "-it", "web", "--", "sh", "-c", "tty; cat", stdin=b"word")
    assert result.stdout == b"not a tty\nword"
    assert result.stderr == b"Unable to use a TTY: standard input is no terminal\n"
    result = run(node, "exec", "-t", "web", "--", "tty")
    assert (result.returncode, result.stdout) == (1, b"not a tty\n")


# --- attach ---


def test_what_runs_hears_us_and_we_hear_it(node):
    with children.Child(node.client_command("attach", "-i", "talk"), stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        client.stdin.write(b"one\n")
        client.stdin.flush()
        assert client.stdout.readline() == b"heard one\n"
        with children.Child(node.client_command("attach", "talk"), stdout=subprocess.PIPE) as listener:
            # Its joining is seen in what it hears, so it is talked to until then.
            def heard():
                client.stdin.write(b"again\n")
                client.stdin.flush()
                return select.select([listener.stdout], [], [], 0.2)[0]
            beds.wait_for("the listener", heard, timeout=15)
            assert listener.stdout.readline() == b"heard again\n"
            listener.terminate()
        client.terminate()
    assert "heard one\n" in node.logs("talk")


def test_a_terminal_in_the_pod_becomes_ours(node, terminal):
    shell_in = terminal("attach", "-it", "screen", size=(30, 90))
    shell_in.read_until(b"If you see no prompt, press enter.\r\n")
    shell_in.type(b"\n")
    shell_in.read_until(b"# ")
    beds.wait_for("our size", lambda: size_seen_by(shell_in) == b"30 90", timeout=15)
    shell_in.process.terminate()
    assert shell_in.wait() == -signal.SIGTERM
    assert shell_in.settings() == shell_in.before


def test_what_the_container_has_not_is_told(node):
    with children.Child(node.client_command("attach", "-it", "busy"), stdin=subprocess.DEVNULL,
                        stderr=subprocess.PIPE) as client:
        assert client.stderr.readline() == b"Unable to use standard input: container c has none\n"
        assert client.stderr.readline() == b"Unable to use a TTY: container c has none\n"
        client.terminate()


# --- top ---


def table(result):
    assert result.returncode == 0, result
    title, *rows = (line.split() for line in result.stdout.decode().splitlines())
    return title, {tuple(row[:-2]): row[-2:] for row in rows}


def test_top_shows_what_the_pods_use(node):
    title, rows = table(run(node, "top"))
    assert title == ["NAMESPACE", "NAME", "CPU(cores)", "MEMORY(bytes)"]
    for key in (("default", "web-node-a"), ("default", "two-node-a"), ("kube-system", "other-node-a")):
        cpu, memory = rows[key]
        assert cpu.endswith("m") and memory.endswith("Mi"), rows
    # It does nothing else than count.
    assert int(rows["default", "busy-node-a"][0].removesuffix("m")) > 50
    title, rows = table(run(node, "top", "pods", "--containers", "-n", "default", "--sort-by", "cpu"))
    assert title == ["NAMESPACE", "POD", "NAME", "CPU(cores)", "MEMORY(bytes)"]
    assert {key[2] for key in rows if key[1] == "two-node-a"} == {"a", "b"}
    assert all(key[0] == "default" for key in rows)
    assert next(iter(rows)) == ("default", "busy-node-a", "c")


def test_top_shows_the_node(node):
    result = run(node, "top", "node")
    title, row = (line.split() for line in result.stdout.decode().splitlines())
    assert title == ["NAME", "CPU(cores)", "MEMORY(bytes)", "MEMORY(%)"]
    assert row[0] == beds.NODE_NAME and int(row[1].removesuffix("m")) > 50
    assert 0 < int(row[3].removesuffix("%")) < 100
    result = run(node, "top", "-n", "nowhere")
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"No pods found in namespace nowhere.\n")
    assert run(node, "top", "clouds").returncode == 2


# --- logs and events ---


def test_logs_are_chosen_as_kubectl_does(node):
    beds.wait_for("the log", lambda: node.logs("web") == "first\nsecond\nthird\n")
    assert run(node, "logs", "pod/web", "--tail=2", "--limit-bytes", "9").stdout == b"second\nth"
    stamped = run(node, "logs", "web", "--timestamps").stdout.decode().splitlines()
    times = [line.split(" ", 1)[0] for line in stamped]
    assert [line.split(" ", 1)[1] for line in stamped] == ["first", "second", "third"]
    since = run(node, "logs", "web", "--timestamps", "--since-time", times[0]).stdout.decode().splitlines()
    assert since == stamped
    assert run(node, "logs", "web", "--since-time=2099-01-01T00:00:00Z").stdout == b""
    assert run(node, "logs", "web", "--since", "10h").stdout == b"first\nsecond\nthird\n"
    two = run(node, "logs", "two", "-c", "b")
    assert (two.stdout, two.stderr) == (b"of b\n", b"")
    assert run(node, "logs", "two").stderr == b'Defaulted container "a" out of: a, b\n'
    refused(node, 1, 'there is no pod "nobody" in namespace "default" on this node', "logs", "nobody")
    refused(node, 1, 'previous terminated container "c" in pod "web-node-a" not found', "logs", "-p", "web")
    assert run(node, "logs", "web", "--since", "1h", "--since-time", times[0]).returncode == 2
    assert run(node, "logs", "web", "--since-time", "yesterday").returncode == 2


def test_why_tells_what_a_pod_waits_for(node):
    said = run(node, "why", "web").stdout.decode()
    assert said.startswith("pod/web-node-a waits for nothing: it is Running and ready.\n\nNAMESPACE ")
    node.apply("ill.yaml", pod("ill", {**shell("c", SLEEP), "image": "registry.invalid/absent:1"}))

    def waits():
        return [line.split(maxsplit=6) for line in run(node, "why", "ill").stdout.decode().splitlines()[1:2]]
    beds.wait_for("the back-off", lambda: waits() and waits()[0][3] == "ImagePullBackOff")
    row = waits()[0]
    assert row[:3] == ["default", "ill-node-a", "c"] and row[5].endswith("s") and "registry.invalid" in row[6]
    assert "Failed to pull image" in run(node, "why", "ill").stdout.decode()
    everywhere = json.loads(run(node, "why", "-A", "-o", "json").stdout)
    assert [one["waits"] != [] for one in everywhere["pods"] if one["name"] in ("web-node-a", "ill-node-a")] == [True, False]
    refused(node, 1, 'there is no pod "nobody" on this node', "why", "nobody")
    node.remove("ill.yaml")


def test_events_come_as_they_happen(node):
    with children.Child(node.client_command("events", "-w", "-n", "default"), stdout=subprocess.PIPE,
                        text=True) as watch:
        assert watch.stdout.readline().split() == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
        node.apply("late.yaml", pod("late", shell("c", SLEEP)))
        seen = {}
        while "Started" not in seen:
            line = watch.stdout.readline()
            if "pod/late-node-a" in line:
                seen[next(word for word in ("Pulled", "Created", "Started") if word in line)] = line
        watch.terminate()
    refused(node, 1, 'there is no pod "nobody" on this node', "events", "nobody")
    node.remove("late.yaml")
