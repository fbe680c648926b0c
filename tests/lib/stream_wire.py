"""The two ways bytes of several streams share one connection to a node: SPDY/3.1 and WebSockets, and the first inside
the second. The side of the server, for asyncio; a write waits until the peer has taken most of it."""

import asyncio
import base64
import hashlib
import struct
import zlib

WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
CHUNK_BYTES = 32 * 1024
QUEUE_CHUNKS = 16  # of one stream, before the connection is no longer read

# SPDY/3 §2.6.10.1: the dictionary of header compression, words with their lengths and a text
WORDS = [
    *(b"options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
      b"authorization cache-control connection content-base content-encoding content-language content-length "
      b"content-location content-md5 content-range content-type date etag expect expires from host if-match "
      b"if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
      b"proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
      b"user-agent vary via warning www-authenticate method get status").split(),
    b"200 OK", *b"version HTTP/1.1 url public set-cookie keep-alive origin".split()]
DICTIONARY = b"".join(struct.pack(">I", len(word)) + word for word in WORDS) + (
    b"100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative "
    b"Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 "
    b"Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec "
    b"00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    b"application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8"
    b"charset=iso-8859-1,utf-,*,enq=0.")

SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
FIN = 1
CONTINUATION, BINARY, CLOSE, PING_FRAME, PONG_FRAME = 0, 2, 8, 9, 10


class Raw:
    """A connection as it is."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.reader, self.writer = reader, writer

    async def read(self) -> bytes:
        """What there is; nothing at the end."""
        return await self.reader.read(CHUNK_BYTES)

    async def write(self, data: bytes):
        self.writer.write(data)
        await self.writer.drain()


class WebSocket:
    """RFC 6455, after the handshake. Messages of any kind but control are taken for binary ones."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.reader, self.raw = reader, Raw(reader, writer)

    @staticmethod
    def accept_key(key: str) -> str:
        return base64.b64encode(hashlib.sha1((key + WEBSOCKET_GUID).encode()).digest()).decode()

    async def _frame(self) -> tuple[bool, int, bytes]:
        first, second = await self.reader.readexactly(2)
        length = second & 0x7f
        if length == 126:
            length, = struct.unpack(">H", await self.reader.readexactly(2))
        elif length == 127:
            length, = struct.unpack(">Q", await self.reader.readexactly(8))
        assert second & 0x80, "a client masks what it sends"
        mask = await self.reader.readexactly(4)
        data = await self.reader.readexactly(length)
        if length:
            pad = (mask * (length // 4 + 1))[:length]
            data = (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(length, "big")
        return bool(first & 0x80), first & 0x0f, data

    async def receive(self) -> bytes | None:
        """The next message; None once the peer has closed."""
        message = b""
        while True:
            try:
                is_last, kind, data = await self._frame()
            except asyncio.IncompleteReadError:
                return None
            if kind == CLOSE:
                return None
            if kind == PING_FRAME:
                await self._send(PONG_FRAME, data)
            elif kind != PONG_FRAME:
                message += data
                if is_last:
                    return message

    async def _send(self, kind: int, data: bytes):
        head = bytes([0x80 | kind])
        if len(data) < 126:
            head += bytes([len(data)])
        elif len(data) < 1 << 16:
            head += struct.pack(">BH", 126, len(data))
        else:
            head += struct.pack(">BQ", 127, len(data))
        await self.raw.write(head + data)

    async def send(self, message: bytes):
        await self._send(BINARY, message)

    async def close(self):
        await self._send(CLOSE, struct.pack(">H", 1000))

    # as what a tunnel carries

    async def read(self) -> bytes:
        while (message := await self.receive()) == b"":
            pass
        return message or b""

    async def write(self, data: bytes):
        await self.send(data)


class SpdyStream:
    """One stream: what the peer says on it is read, until nothing comes once it has closed its side."""

    def __init__(self, spdy: "Spdy", number: int, headers: dict[str, str]):
        self.spdy, self.number, self.headers = spdy, number, headers
        self.queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE_CHUNKS)
        self.is_closed = False

    async def read(self) -> bytes:
        return await self.queue.get()

    async def write(self, data: bytes, flags=0):
        await self.spdy.carrier.write(struct.pack(">II", self.number, flags << 24 | len(data)) + data)

    async def close(self):
        if not self.is_closed:
            self.is_closed = True
            await self.write(b"", FIN)


class Spdy:
    """SPDY/3.1 on a carrier that reads and writes bytes, without flow control, as Kubernetes uses it."""

    def __init__(self, carrier: Raw | WebSocket):
        self.carrier = carrier
        self.opened: asyncio.Queue[SpdyStream | None] = asyncio.Queue()  # None: the connection has ended
        self.streams: dict[int, SpdyStream] = {}
        self.pending = b""
        self.inflate = zlib.decompressobj(zdict=DICTIONARY)
        self.deflate = zlib.compressobj(zdict=DICTIONARY)

    async def _exactly(self, size: int) -> bytes:
        chunks = [self.pending]
        have = len(self.pending)
        while have < size:
            data = await self.carrier.read()
            if not data:
                raise EOFError
            chunks.append(data)
            have += len(data)
        whole = b"".join(chunks)
        self.pending = whole[size:]
        return whole[:size]

    def _headers(self, block: bytes) -> dict[str, str]:
        text = self.inflate.decompress(block)
        words, at = [], 4
        while at < len(text):
            size, = struct.unpack_from(">I", text, at)
            words.append(text[at + 4:at + 4 + size].decode())
            at += 4 + size
        return dict(zip(words[::2], words[1::2]))

    def _control(self, kind: int, body: bytes) -> bytes:
        return struct.pack(">HHI", 0x8003, kind, len(body)) + body

    async def _on_control(self, kind: int, flags: int, body: bytes):
        if kind == SYN_STREAM:
            number, = struct.unpack_from(">I", body)
            stream = self.streams[number] = SpdyStream(self, number, self._headers(body[10:]))
            none = self.deflate.compress(struct.pack(">I", 0)) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
            await self.carrier.write(self._control(SYN_REPLY, body[:4] + none))
            if flags & FIN:
                await stream.queue.put(b"")
            await self.opened.put(stream)
        elif kind == RST_STREAM:
            stream = self.streams.pop(struct.unpack_from(">I", body)[0], None)
            if stream:
                stream.is_closed = True
                await stream.queue.put(b"")
        elif kind == PING:
            await self.carrier.write(self._control(PING, body))

    async def run(self):
        """Reads until the connection ends, which every stream is told of."""
        try:
            while True:
                first, second = struct.unpack(">II", await self._exactly(8))
                flags, body = second >> 24, await self._exactly(second & 0xffffff)
                if first & 0x80000000:
                    await self._on_control(first & 0xffff, flags, body)
                elif stream := self.streams.get(first):
                    if body:
                        await stream.queue.put(body)
                    if flags & FIN:
                        await stream.queue.put(b"")
        except (EOFError, OSError):
            pass
        finally:
            self.opened.put_nowait(None)
            for stream in self.streams.values():
                while stream.queue.full():
                    stream.queue.get_nowait()
                stream.queue.put_nowait(b"")
