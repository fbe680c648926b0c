"""A port of a bed's loopback on the machine's own: what listens inside can be reached from outside under the same
address, so that a kubeconfig is true on both sides.

usage: forward.py PID PORT    until killed; PID is any process of the bed
"""

import asyncio
import contextlib
import ctypes
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading

_CLONE_NEWNET = 0x40000000
_CHUNK = 1 << 16
SOURCE = "127.0.0.2"  # where connections seem to come from inside, so that they can be told from the bed's own
_libc = ctypes.CDLL(None, use_errno=True)


def enter_network(pid):
    """Moves the calling thread, and with it every socket it makes from now on, into the network of @pid."""
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        if _libc.setns(fd, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), f"network of process {pid}")
    finally:
        os.close(fd)


def within(process, action):
    """What @action returns when a thread calls it in the network of @process (as /proc names it), where its sockets stay."""
    result = []

    def run():
        enter_network(process)
        result.append(action())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert result, "see the thread's traceback"
    return result[0]


async def _carry(reader, writer):
    """One direction, to its end; a broken connection is an end like any other."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
            return
    writer.close()


async def _serve(listener, on_loop, port, **options):
    """@options: of the connection inside, when it is not one to loopback."""
    options = options or {"host": "127.0.0.1", "local_addr": (SOURCE, 0)}
    joined = set()  # the loop itself holds them only weakly

    async def join(reader, writer):
        joined.add(asyncio.current_task())
        try:
            inner_reader, inner_writer = await asyncio.open_connection(port=port, **options)
        except OSError:
            writer.transport.abort()  # like a port on which nobody listens
            joined.discard(asyncio.current_task())
            return
        await asyncio.gather(_carry(reader, inner_writer), _carry(inner_reader, writer))
        for end in (writer, inner_writer):
            end.close()
        joined.discard(asyncio.current_task())

    server = await asyncio.start_server(join, sock=listener)
    on_loop(asyncio.get_running_loop())
    async with server:
        await server.serve_forever()


class Forward:
    """The same in a thread of this process, until close(); with options of asyncio.open_connection() to another address
    than the loopback's, and from any port."""

    def __init__(self, pid, port, **options):
        self._listener = socket.create_server(("127.0.0.1", 0 if options else port), backlog=256)
        self.port = self._listener.getsockname()[1]
        self._loop = None
        self._failure = None
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(pid, port, options), daemon=True)
        self._thread.start()
        self._is_up.wait()
        if self._failure:
            self._listener.close()
            raise self._failure

    def _run(self, pid, port, options):
        try:
            enter_network(pid)
        except OSError as error:
            self._failure = error
            self._is_up.set()
            return
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(_serve(self._listener, self._on_loop, port, **options))

    def _on_loop(self, loop):
        self._loop = loop
        self._is_up.set()

    def close(self):
        def cancel():
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
        self._loop.call_soon_threadsafe(cancel)
        self._thread.join(timeout=10)
        self._listener.close()


def start_lasting(pid, port, pid_file):
    """Starts the forwarding as a process that outlasts this one; end_lasting() ends it."""
    process = subprocess.Popen([sys.executable, __file__, str(pid), str(port)], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    pathlib.Path(pid_file).write_text(str(process.pid))


def end_lasting(pid_file):
    """Ends what start_lasting() began, if it is still there."""
    path = pathlib.Path(pid_file)
    if not path.exists():
        return
    pid = int(path.read_text())
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        # Another process may have the number by now.
        if pathlib.Path(__file__).name in pathlib.Path(f"/proc/{pid}/cmdline").read_text():
            os.kill(pid, signal.SIGTERM)
    path.unlink()


if __name__ == "__main__":
    _outside = socket.create_server(("127.0.0.1", int(sys.argv[2])), backlog=256)
    enter_network(int(sys.argv[1]))
    asyncio.run(_serve(_outside, lambda loop: None, int(sys.argv[2])))
