"""A wall clock of its own for one program under test, which a test may set while the program runs."""

import os
import pathlib
import struct
import subprocess

import bed as beds


class Clock:
    """Give `prefix` to an agent before its start; it must find @directory."""

    def __init__(self, directory):
        self._file = pathlib.Path(directory) / "clock-step"
        self._library = pathlib.Path(directory) / "clock_step.so"
        self.offset = 0
        self.step(0)
        subprocess.run(["cc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", self._library,
                        beds.ROOT / "tests" / "lib" / "clock_step.c"], check=True)

    @property
    def prefix(self):
        # A sanitizer wants to be loaded first; ours replaces nothing that it does.
        sanitizer = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0")))
        return ["env", f"LD_PRELOAD={self._library}", f"CLOCK_STEP_FILE={self._file}", f"ASAN_OPTIONS={sanitizer}"]

    def step(self, seconds):
        """Sets the clock forward or back."""
        self.offset += seconds
        if not self._file.exists():
            self._file.write_bytes(bytes(8))
        with open(self._file, "r+b") as file:  # the program has it mapped: not another file
            file.write(struct.pack("q", self.offset))
