"""Drives api_probe (tests/lib/api_probe.c): sends commands, keeps the lines that come back with their times."""

import ctypes
import itertools
import json
import os
import pathlib
import signal
import subprocess
import threading
import time

import yaml

import bed as beds

PROGRAM = pathlib.Path(os.environ.get("API_PROBE", beds.ROOT / "build-test" / "tests" / "lib" / "api_probe"))
# A finding ends the process with a code that close() sees.
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1", "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def kubeconfig_for(path, source, port):
    """Writes a copy of the kubeconfig @source whose server is at @port on loopback; returns @path."""
    config = yaml.safe_load(pathlib.Path(source).read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    return path


class Failed(AssertionError):
    """The command's answer was `failed`; the line is in `answer`."""

    def __init__(self, answer):
        super().__init__(str(answer))
        self.answer = answer


class Probe:
    def __init__(self, kubeconfig, log_path, verbosity=2):
        assert PROGRAM.exists(), f"{PROGRAM} is not built: run make test, or name one in API_PROBE"
        self.log_path = pathlib.Path(log_path)
        self.lines = []
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._is_over = False
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(PROGRAM), str(kubeconfig), str(verbosity)], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=log, text=True, preexec_fn=_die_with_parent,
                                            env={**os.environ, **SANITIZERS})
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.wait("", "ready")

    def _read(self):
        for text in self.process.stdout:
            line = json.loads(text)
            line["at"] = time.monotonic()
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    # commands

    def send(self, do, **parameters):
        """Sends a command; returns its id."""
        name = parameters.pop("id", None) or f"{do}-{next(self._numbers)}"
        self.process.stdin.write(json.dumps({"id": name, "do": do, **parameters}) + "\n")
        self.process.stdin.flush()
        return name

    def of(self, name, *whats):
        """The lines so far about the command @name, of the given sorts."""
        with self._changed:
            return [line for line in self.lines if line["id"] == name and (not whats or line["what"] in whats)]

    def wait(self, name, *whats, count=1, timeout=10):
        """The @count-th line of one of the sorts @whats about @name."""
        def found():
            return len(self.of(name, *whats)) >= count or self._is_over
        with self._changed:
            assert self._changed.wait_for(found, timeout), \
                f"no {'/'.join(whats)} of {name} within {timeout} s; there are {self.of(name)[-5:]}\n{self.log_tail()}"
        lines = self.of(name, *whats)
        assert len(lines) >= count, f"api_probe has ended\n{self.log_tail()}"
        return lines[count - 1]

    def ask(self, do, timeout=10, **parameters):
        """Sends a command and waits for its first line."""
        answer = self.wait(self.send(do, **parameters), timeout=timeout)
        if answer["what"] == "failed":
            raise Failed(answer)
        return answer

    def call(self, verb, kind, timeout=10, **parameters):
        """A request to its end; returns the line, Failed when the answer is no success."""
        return self.ask("call", timeout=timeout, verb=verb, kind=kind, **parameters)

    def start_call(self, verb, kind, **parameters):
        return self.send("call", verb=verb, kind=kind, **parameters)

    def stats(self):
        return self.ask("stats")

    # the process

    def log_tail(self, count=30):
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-count:])

    def is_sanitized(self):
        return b"__asan_init" in PROGRAM.read_bytes()

    def close(self, timeout=20):
        """Ends it; with the sanitizers a leak is an exit code."""
        if self.process.poll() is None:
            self.process.stdin.close()
        code = self.process.wait(timeout)
        self._reader.join(5)
        self.process.stdout.close()
        assert code == 0, f"api_probe ended with {code}:\n{self.log_tail(80)}"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        else:
            print(f"--- the log of api_probe ---\n{self.log_tail(60)}")
            self.kill()
