"""Child processes of tests."""

import subprocess


class Child(subprocess.Popen):
    """For a with-block, which waits for its child: not when something has failed in it, or it would wait for ever."""

    def __exit__(self, kind, *details):
        if kind:
            self.kill()
        super().__exit__(kind, *details)
