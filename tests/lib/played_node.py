"""A node's server as nodeplane sees it: HTTPS that asks for a client certificate, behind it exec, attach, port-forward and
logs as a kubelet has them. "The container" is a scratch directory: commands really run there, on this machine, and the
ports that are forwarded to are the machine's. It speaks

    exec, attach    WebSocket v5 and v4.channel.k8s.io, SPDY/3.1 v4.channel.k8s.io
    portForward     SPDY/3.1, that in a WebSocket (kubectl ≥ 1.30), and WebSocket v4.channel.k8s.io (Python's client)
    any of them     `upgrade: echo`, which is no more than its bytes back

    node = PlayedNode(directory)
    node.trust(authority)                         # of client certificates
    node.answers["refused"] = 403, "nope"         # what every request for that pod gets
    node.log.write_text("…")                      # of every container
    node.main = ["sh", "-c", "…"]                 # what an attach attaches to: started with it
    node.cut()                                    # every connection, without a word
"""

import asyncio
import contextlib
import fcntl
import json
import os
import pathlib
import signal
import ssl
import struct
import subprocess
import termios
import threading
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import stream_wire
from stream_wire import Raw, Spdy, SpdyStream, WebSocket

V5, V4, FORWARD = "v5.channel.k8s.io", "v4.channel.k8s.io", "portforward.k8s.io"
TUNNELLED_FORWARD = f"SPDY/3.1+{FORWARD}"
STDIN, STDOUT, STDERR, ERROR, RESIZE, HALF_CLOSE = 0, 1, 2, 3, 4, 255  # channels of a WebSocket
SUCCESS = {"metadata": {}, "status": "Success"}
FOLLOW_INTERVAL_S = 0.02


class Request:
    """A request's head. Names of fields are lower case; the same one may come several times."""

    def __init__(self, head: str):
        first, *lines = head.rstrip("\r\n").split("\r\n")
        self.method, self.target, _ = first.split(" ")
        url = urllib.parse.urlsplit(self.target)
        self.segments = url.path.strip("/").split("/")
        self.query = urllib.parse.parse_qs(url.query)
        self.fields: dict[str, list[str]] = {}
        for line in lines:
            name, _, value = line.partition(":")
            self.fields.setdefault(name.lower(), []).append(value.strip())

    def has(self, name: str) -> bool:
        return self.query.get(name) == ["1"]

    def tokens(self, name: str) -> list[str]:
        return [token.strip() for value in self.fields.get(name, []) for token in value.split(",")]

    @property
    def upgrade(self) -> str:
        return self.fields.get("upgrade", [""])[0].lower()


class Session(Protocol):
    """What a command is connected to, whatever the wire."""

    async def stdin(self) -> bytes: ...  # nothing once the client has closed it

    def windows(self) -> AsyncIterator[tuple[int, int]]: ...  # columns and rows

    async def send(self, channel: int, data: bytes): ...

    async def finish(self, status: dict): ...


class SpdySession:
    NAMES = {STDIN: "stdin", STDOUT: "stdout", STDERR: "stderr", ERROR: "error", RESIZE: "resize"}

    def __init__(self, streams: dict[str, SpdyStream]):
        self.streams = streams

    @classmethod
    async def open(cls, spdy: Spdy, channels: list[int]) -> "SpdySession | None":
        """The client opens the streams it has asked for. None when it leaves instead."""
        streams: dict[str, SpdyStream] = {}
        while set(streams) != {cls.NAMES[channel] for channel in channels}:
            stream = await spdy.opened.get()
            if stream is None:
                return None
            streams[stream.headers["streamtype"]] = stream
        return cls(streams)

    async def stdin(self) -> bytes:
        return await self.streams["stdin"].read()

    async def windows(self) -> AsyncIterator[tuple[int, int]]:
        text = ""
        while data := await self.streams["resize"].read():
            text += data.decode()
            with contextlib.suppress(json.JSONDecodeError):  # the rest is on its way
                while text.strip():
                    size, end = json.JSONDecoder().raw_decode(text)
                    text = text[end:].lstrip()
                    yield size["Width"], size["Height"]

    async def send(self, channel: int, data: bytes):
        await self.streams[self.NAMES[channel]].write(data)

    async def finish(self, status: dict):
        await self.streams["error"].write(json.dumps(status).encode())
        for stream in self.streams.values():
            await stream.close()


class WebSocketSession:
    def __init__(self, socket: WebSocket, protocol: str):
        self.socket, self.protocol = socket, protocol
        self.input: asyncio.Queue[bytes] = asyncio.Queue(stream_wire.QUEUE_CHUNKS)
        self.sizes: asyncio.Queue[bytes] = asyncio.Queue()

    async def run(self):
        """Reads until the client closes."""
        try:
            while (message := await self.socket.receive()) is not None:
                channel, data = message[0], message[1:]
                if channel == STDIN and data:
                    await self.input.put(data)
                elif channel == RESIZE and data:
                    self.sizes.put_nowait(data)
                elif channel == HALF_CLOSE and self.protocol == V5 and data == bytes([STDIN]):
                    await self.input.put(b"")
        except OSError:
            pass
        finally:
            if not self.input.full():
                self.input.put_nowait(b"")

    async def stdin(self) -> bytes:
        return await self.input.get()

    async def windows(self) -> AsyncIterator[tuple[int, int]]:
        while True:
            size = json.loads(await self.sizes.get())
            yield size["Width"], size["Height"]

    async def send(self, channel: int, data: bytes):
        await self.socket.send(bytes([channel]) + data)

    async def finish(self, status: dict):
        await self.send(ERROR, json.dumps(status).encode())
        await self.socket.close()


def exit_status(code: int) -> dict:
    if code == 0:
        return SUCCESS
    return {"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": f"command terminated with non-zero exit code: exit status {code}",
            "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]}}


class Command:
    """One command of "the container", connected to a session."""

    def __init__(self, session: Session, channels: list[int], root: pathlib.Path):
        self.session, self.channels, self.root = session, channels, root

    async def run(self, command: list[str]):
        try:
            if RESIZE in self.channels:
                code = await self._run_on_terminal(command)
            else:
                code = await self._run_on_pipes(command)
            status = exit_status(code if code >= 0 else 128 - code)
        except FileNotFoundError as error:
            status = {"metadata": {}, "status": "Failure", "reason": "InternalError",
                      "message": f"error executing command in container: {error}", "code": 500}
        await self.session.finish(status)

    async def _finish(self, process: asyncio.subprocess.Process, outputs: list[Awaitable], inputs: list[Awaitable]) -> int:
        """Until everything is told and the process has ended. The client's going away ends it."""
        tasks = [asyncio.ensure_future(task) for task in inputs]
        try:
            await asyncio.gather(*outputs)
            return await process.wait()
        finally:
            for task in tasks:
                task.cancel()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.gather(*tasks, return_exceptions=True)
            await process.wait()

    async def _run_on_pipes(self, command: list[str]) -> int:
        def pipe(channel: int) -> int:
            return subprocess.PIPE if channel in self.channels else subprocess.DEVNULL

        process = await asyncio.create_subprocess_exec(*command, cwd=self.root, start_new_session=True, stdin=pipe(STDIN),
                                                       stdout=pipe(STDOUT), stderr=pipe(STDERR))
        outputs = [self._send_all(channel, stream) for channel, stream in
                   ((STDOUT, process.stdout), (STDERR, process.stderr)) if stream]
        return await self._finish(process, outputs, [self._feed(process.stdin)] if process.stdin else [])

    async def _send_all(self, channel: int, reader: asyncio.StreamReader):
        with contextlib.suppress(OSError):  # EIO: how a terminal ends
            while data := await reader.read(stream_wire.CHUNK_BYTES):
                await self.session.send(channel, data)

    async def _feed(self, writer: asyncio.StreamWriter):
        with contextlib.suppress(OSError):  # it does not want any more
            try:
                while data := await self.session.stdin():
                    writer.write(data)
                    await writer.drain()
            finally:
                writer.close()
                await writer.wait_closed()

    async def _run_on_terminal(self, command: list[str]) -> int:
        main, other = os.openpty()
        process = await asyncio.create_subprocess_exec(
            *command, cwd=self.root, start_new_session=True, stdin=other, stdout=other, stderr=other,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(other)
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(main, "rb", 0))
        try:
            return await self._finish(process, [self._send_all(STDOUT, reader)], [self._type(main), self._resize(main)])
        finally:
            transport.close()

    async def _type(self, terminal: int):
        while STDIN in self.channels and (data := await self.session.stdin()):
            os.write(terminal, data)

    async def _resize(self, terminal: int):
        async for columns, rows in self.session.windows():
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Forwards:
    """Connections to ports of "the pod"."""

    @staticmethod
    async def connect(port: int, read: Callable[[], Awaitable[bytes]], write: Callable[[bytes], Awaitable]):
        """Copies both ways until the port's side ends. An end from @read leaves the other way open."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def up():
            with contextlib.suppress(OSError):
                while data := await read():
                    writer.write(data)
                    await writer.drain()
                writer.write_eof()

        sending = asyncio.ensure_future(up())
        try:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(stream_wire.CHUNK_BYTES):
                    await write(data)
        finally:
            sending.cancel()
            writer.close()

    async def _serve_pair(self, data: SpdyStream, error: SpdyStream):
        try:
            await self.connect(int(data.headers["port"]), data.read, data.write)
        except OSError as problem:
            await error.write(f"error forwarding port {data.headers['port']} to the pod: {problem}".encode())
        await data.close()
        await error.close()

    async def serve(self, spdy: Spdy):
        """A pair of streams for each connection."""
        pairs: dict[str, dict[str, SpdyStream]] = {}
        tasks = []
        while (stream := await spdy.opened.get()) is not None:
            pair = pairs.setdefault(stream.headers["requestid"], {})
            pair[stream.headers["streamtype"]] = stream
            if len(pair) == 2:
                tasks.append(asyncio.ensure_future(self._serve_pair(pair["data"], pair["error"])))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def serve_channels(self, socket: WebSocket, ports: list[int]):
        """Two channels a port, data and error, each of which begins with the port."""
        queues: list[asyncio.Queue[bytes]] = [asyncio.Queue() for _ in ports]

        async def one(index: int, port: int):
            for channel in (2 * index, 2 * index + 1):
                await socket.send(bytes([channel]) + struct.pack("<H", port))
            await self.connect(port, queues[index].get, lambda data: socket.send(bytes([2 * index]) + data))

        tasks = [asyncio.ensure_future(one(*item)) for item in enumerate(ports)]
        while (message := await socket.receive()) is not None:
            queues[message[0] // 2].put_nowait(message[1:])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Connection:
    """One connection of the node's server, with one request."""

    def __init__(self, node: "PlayedNode", reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.node, self.reader, self.writer = node, reader, writer

    async def serve(self):
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        request = Request(head)
        certificate = self.writer.get_extra_info("peercert")
        self.node.requests.append(head)
        self.node.subjects.append(dict(item[0] for item in certificate["subject"]) if certificate else {})
        kind, pod = request.segments[0], request.segments[2]
        if pod in self.node.answers:
            await self._answer(*self.node.answers[pod])
        elif kind == "containerLogs":
            await self._show_log(request)
        elif request.upgrade == "echo":
            await self._switch("upgrade: echo")
            await self._echo()
        elif kind == "portForward":
            await self._forward(request)
        else:
            await self._run(request, request.query.get("command", []) if kind == "exec" else self.node.main)

    async def _answer(self, status: int, text: str):
        self.writer.write(f"HTTP/1.1 {status} Answer\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
        await self.writer.drain()
        await self._echo()  # what comes next is noted, should anything come

    async def _switch(self, *fields: str):
        lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", *fields]
        self.writer.write("".join(line + "\r\n" for line in [*lines, ""]).encode())
        await self.writer.drain()

    async def _echo(self):
        while data := await self.reader.read(stream_wire.CHUNK_BYTES):
            self.node.requests.append(data.decode(errors="replace")[:100])
            self.writer.write(data)
            await self.writer.drain()

    async def _web_socket(self, request: Request, protocol: str) -> WebSocket:
        key = WebSocket.accept_key(request.fields["sec-websocket-key"][0])
        await self._switch("Upgrade: websocket", f"Sec-WebSocket-Accept: {key}", f"Sec-WebSocket-Protocol: {protocol}")
        return WebSocket(self.reader, self.writer)

    async def _spdy(self, protocol: str) -> Spdy:
        await self._switch("Upgrade: SPDY/3.1", f"X-Stream-Protocol-Version: {protocol}")
        return Spdy(Raw(self.reader, self.writer))

    @staticmethod
    async def _both(reading: Awaitable, work: Awaitable):
        """@work, which ends early when there is nobody to read from any more."""
        tasks = [asyncio.ensure_future(reading), asyncio.ensure_future(work)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, request: Request, command: list[str]):
        is_tty = request.has("tty")
        channels = [channel for channel, name in ((STDIN, "input"), (STDOUT, "output"), (STDERR, "error"))
                    if request.has(name) and not (is_tty and channel == STDERR)] + [ERROR] + [RESIZE] * is_tty
        protocols = request.tokens("sec-websocket-protocol")
        protocol = next((known for known in (V5, V4) if known in protocols), None)
        if request.upgrade == "websocket" and protocol:
            session = WebSocketSession(await self._web_socket(request, protocol), protocol)
            reading = session.run()
        elif request.upgrade == "spdy/3.1" and V4 in request.tokens("x-stream-protocol-version"):
            spdy = await self._spdy(V4)
            reading = spdy.run()
            session = None
        else:
            await self._answer(400, "unable to upgrade: no protocol that is known here")
            return

        async def work():
            found = session or await SpdySession.open(spdy, channels)
            if found:
                await Command(found, channels, self.node.root).run(command)

        await self._both(reading, work())

    async def _forward(self, request: Request):
        protocols = request.tokens("sec-websocket-protocol")
        ports = [int(port) for value in request.query.get("port", []) for port in value.split(",")]
        if request.upgrade == "websocket" and TUNNELLED_FORWARD in protocols:
            spdy = Spdy(await self._web_socket(request, TUNNELLED_FORWARD))
        elif request.upgrade == "websocket" and V4 in protocols and ports:
            await Forwards().serve_channels(await self._web_socket(request, V4), ports)
            return
        elif request.upgrade == "spdy/3.1" and FORWARD in request.tokens("x-stream-protocol-version"):
            spdy = await self._spdy(FORWARD)
        else:
            await self._answer(400, 'query parameter "port" is required')
            return
        await self._both(spdy.run(), Forwards().serve(spdy))

    async def _show_log(self, request: Request):
        self.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        with open(self.node.log, "rb") as log:
            if "tailLines" in request.query:
                lines = log.read().splitlines(keepends=True)
                log.seek(-sum(map(len, lines[-int(request.query["tailLines"][0]):])), os.SEEK_END)
            while True:
                if data := log.read(stream_wire.CHUNK_BYTES):
                    self.writer.write(b"%x\r\n%s\r\n" % (len(data), data))
                    await self.writer.drain()
                    self.node.log_bytes_sent += len(data)
                elif request.query.get("follow") == ["true"] and not self.reader.at_eof():
                    await asyncio.sleep(FOLLOW_INTERVAL_S)  # as a kubelet looks again
                    if self.writer.is_closing():
                        return
                else:
                    break
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()


class PlayedNode:
    """The server, on a thread of its own. Lists and settings are the test's to look at and change at any time."""

    def __init__(self, directory: pathlib.Path):
        self.root = directory / "root"
        self.root.mkdir(parents=True)
        self.log = directory / "log"
        self.log.write_text("hello\n")
        self.log_bytes_sent = 0
        self.main = ["cat"]
        self.answers: dict[str, tuple[int, str]] = {}
        self.requests: list[str] = []
        self.subjects: list[dict[str, str]] = []
        self.connections: dict[asyncio.StreamWriter, asyncio.Task] = {}
        key, certificate = directory / "key.pem", directory / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key,
                        "-out", certificate, "-subj", "/CN=node"], check=True, capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.context.verify_mode = ssl.CERT_OPTIONAL
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = self._call(asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context))
        self.port = self.server.sockets[0].getsockname()[1]

    def trust(self, authority: pathlib.Path):
        """Client certificates of @authority are asked for and looked at."""
        self.context.load_verify_locations(authority)

    def _call(self, work: Awaitable):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.connections[writer] = asyncio.current_task()
        try:
            await Connection(self, reader, writer).serve()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the peer went away, or we do
        finally:
            writer.close()
            del self.connections[writer]

    def connection_count(self) -> int:
        return len(self.connections)

    def cut(self):
        async def abort():
            cut = dict(self.connections)
            for writer, task in cut.items():
                writer.transport.abort()
                task.cancel()
            await asyncio.gather(*cut.values(), return_exceptions=True)
        self._call(abort())

    def close(self):
        self.cut()
        self.loop.call_soon_threadsafe(self.server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()
