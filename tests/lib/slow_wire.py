"""A wire on which chosen replies arrive byte by byte and stop in the middle, while everything else flows.

It stands between the socket that clients know and the server's own. What clients send goes through as it is. What the
server sends is HTTP/2 frames, and those of a stream whose reply carries a mark are cut up: each byte of its DATA
becomes a frame of its own, sent in ten writes. After so many of them the stream is held until a test lets it flow; the
frames of other streams go by meanwhile. The server adds the mark, a field that no reader of the message knows.

Streams overtake each other here, so headers must not depend on earlier ones: the server needs SERVER_OPTIONS.
"""

import contextlib
import os
import pathlib
import queue
import socket
import struct
import threading

SERVER_OPTIONS = [("grpc.http2.hpack_table_size.encoder", 0)]  # no table, so no order between blocks of headers
DATA, RST_STREAM, END_STREAM = 0, 3, 1
HEADER_SIZE = 9
END = b""  # closes the queue of a stream


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def read_exactly(connection, size):
    """@size bytes, or fewer at the end."""
    data = b""
    while len(data) < size and (piece := connection.recv(size - len(data))):
        data += piece
    return data


class Slowness:
    """What one method's replies suffer: a gap after @hold bytes of DATA, which ends with let_flow()."""

    def __init__(self, method, hold):
        name = b"slow wire: " + method.encode() + b" " + os.urandom(8).hex().encode()
        self.mark = b"\xca\x3e" + bytes([len(name)]) + name  # field 1001, of bytes
        self.hold = hold
        gate = threading.Event()
        self.let_flow, self.wait = gate.set, gate.wait


class SlowWire:
    def __init__(self):
        self._slow = {}          # method → Slowness
        self._listener = None
        self._connections = []
        self.held = 0            # streams in their gap
        self._lock = threading.Lock()

    # What tests want

    def dribble(self, method, hold):
        with self._lock:
            self._slow[method] = Slowness(method, hold)

    def flow(self, method):
        """The rest of what dribbles arrives, still byte by byte; new streams are as usual."""
        with self._lock:
            slowness = self._slow.pop(method, None)
        if slowness:
            slowness.let_flow()

    def mark(self, method):
        """To be put in front of an encoded reply."""
        slowness = self._slow.get(method)
        return slowness.mark if slowness else b""

    # Its life

    def listen(self, path, server_path):
        pathlib.Path(path).unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, args=(self._listener, server_path), daemon=True).start()

    def close(self):
        """Closes the socket and every connection; listen() may follow."""
        for open_socket in (self._listener, *self._connections):
            self._shut(open_socket)
        self._listener.close()
        self._connections.clear()

    @staticmethod
    def _shut(open_socket):
        with contextlib.suppress(OSError):
            open_socket.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener, server_path):
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(server_path))
                self._connections += [client, server]
                threading.Thread(target=self._pass_requests, args=(client, server), daemon=True).start()
                threading.Thread(target=self._pass_replies, args=(server, client), daemon=True).start()

    def _pass_requests(self, client, server):
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                server.sendall(data)
        self._shut(server)

    # Replies

    def _pass_replies(self, server, client):
        streams = {}  # id → the queue of its frames
        writing = threading.Lock()
        with contextlib.suppress(OSError):
            while len(header := read_exactly(server, HEADER_SIZE)) == HEADER_SIZE:
                length = int.from_bytes(header[:3], "big")
                kind, flags, stream = struct.unpack(">BBI", header[3:])
                payload = read_exactly(server, length)
                slowness = self._slowness_of(kind, payload) if stream not in streams else None
                if slowness:
                    streams[stream] = queue.Queue()
                    threading.Thread(target=self._dribble, args=(client, writing, streams[stream], slowness),
                                     daemon=True).start()
                if stream in streams:
                    streams[stream].put((kind, flags, stream, payload))
                else:
                    with writing:
                        client.sendall(header + payload)
        for frames in streams.values():
            frames.put(END)
        self._shut(client)

    def _slowness_of(self, kind, payload):
        with self._lock:
            return next((s for s in self._slow.values() if kind == DATA and s.mark in payload), None)

    def _dribble(self, client, writing, frames, slowness):
        sent = 0
        with contextlib.suppress(OSError):
            while item := frames.get():
                kind, flags, stream, payload = item
                last = kind == RST_STREAM or flags & END_STREAM
                if kind != DATA:
                    self._send_bytes(client, writing, frame(kind, flags, stream, payload))
                for i in range(len(payload) if kind == DATA else 0):
                    if sent == slowness.hold:
                        self._hold(slowness)
                    ending = flags & END_STREAM if i + 1 == len(payload) else 0
                    self._send_bytes(client, writing, frame(DATA, ending, stream, payload[i:i + 1]))
                    sent += 1
                if last:
                    return

    def _hold(self, slowness):
        with self._lock:
            self.held += 1
        slowness.wait()
        with self._lock:
            self.held -= 1

    @staticmethod
    def _send_bytes(client, writing, data):
        """A frame is whole on the wire before another begins."""
        with writing:
            for byte in data:
                client.sendall(bytes([byte]))
