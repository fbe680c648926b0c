"""A TCP proxy on loopback that does to connections what networks do. It knows nothing of what it carries (TLS).

with FaultProxy(port_of_the_server) as proxy:
    … a client connects to proxy.port …
    proxy.cut()                   all connections are reset now; cut(reset=False) closes them in order
    proxy.cut_after(down=1000)    the connection that carries the thousandth further byte to the client is reset
    proxy.stall()                 nothing is forwarded any more; connections stay open. stall(new=False) spares new ones
    proxy.half_open()             new connections are accepted, and that is all
    proxy.turn_away()             new connections are reset at once: they can be counted
    proxy.refuse()                nothing listens
    proxy.resume()                ends all that; what was stalled goes on where it stood
    proxy.accepted                times (monotonic) at which connections came; proxy.up, proxy.down: bytes forwarded
"""

import asyncio
import contextlib
import socket
import struct
import threading
import time

PIECE_BYTES = 64 * 1024
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close drops what is queued and sends RST


class _Link:
    """One connection: the client's half and the server's."""

    def __init__(self, client):
        self.writers = [client]
        self.may_pass = asyncio.Event()
        self.may_pass.set()

    def end(self, reset):
        for writer in self.writers:
            if reset:
                with contextlib.suppress(OSError):
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
        self.may_pass.set()


class FaultProxy:
    """Methods are called from the test's thread; the connections live on a thread with a loop of their own."""

    def __init__(self, target_port, port=0):
        self.target_port = target_port
        self.port = port
        self.accepted = []
        self.up = self.down = 0
        self._budget = {"up": None, "down": None}
        self._mode = "forward"
        self._links = set()
        self._server = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_):
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def cut(self, reset=True):
        self._run(self._end_links(reset))

    def cut_after(self, up=None, down=None):
        self._budget = {"up": up, "down": down}

    def stall(self, new=True):
        self._run(self._stall("stall" if new else "forward"))

    def half_open(self):
        self._mode = "half-open"

    def turn_away(self):
        self._mode = "turn away"

    def refuse(self):
        self._run(self._stop_listening())

    def resume(self):
        self._run(self._resume())

    def open_count(self):
        return len(self._links)

    # on the loop

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _listen(self):
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _stop_listening(self):
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _end_links(self, reset):
        for link in list(self._links):
            link.end(reset)

    async def _stall(self, mode):
        self._mode = mode
        for link in self._links:
            link.may_pass.clear()

    async def _resume(self):
        self._mode = "forward"
        self._budget = {"up": None, "down": None}
        for link in self._links:
            link.may_pass.set()
        await self._listen()

    async def _close(self):
        await self._stop_listening()
        await self._end_links(True)
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        self.accepted.append(time.monotonic())
        link = _Link(writer)
        self._links.add(link)
        try:
            await self._carry(link, reader, writer)
        except OSError:
            pass  # the server is away, or somebody cut it
        finally:
            link.end(reset=False)
            self._links.discard(link)

    async def _carry(self, link, reader, writer):
        if self._mode == "turn away":
            link.end(reset=True)
            return
        if self._mode == "half-open":
            while await reader.read(PIECE_BYTES):
                pass
            return
        if self._mode == "stall":
            link.may_pass.clear()
            await link.may_pass.wait()
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        link.writers.append(up_writer)
        pumps = [asyncio.ensure_future(self._pump(link, reader, up_writer, "up")),
                 asyncio.ensure_future(self._pump(link, up_reader, writer, "down"))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, link, reader, writer, direction):
        while piece := await reader.read(PIECE_BYTES):
            await link.may_pass.wait()
            budget = self._budget[direction]
            is_last = budget is not None and len(piece) >= budget
            if budget is not None:
                piece = piece[:budget]
                self._budget[direction] = None if is_last else budget - len(piece)
            writer.write(piece)
            await writer.drain()
            setattr(self, direction, getattr(self, direction) + len(piece))
            if is_last:
                writer.close()  # what was let through arrives
                link.end(reset=direction == "up")
                return
