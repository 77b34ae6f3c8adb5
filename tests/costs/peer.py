"""The other side of the connections: frames, and rounds in which the server sees all of them at once.

How often a server asks for what is there depends on how much is there each time, so on who else uses the machine. Here the
server is stopped while everything of a round is sent, and the next round begins when it sleeps: the same messages always
cost the same.
"""

import os
import signal
import socket
import struct
import time

KEY = b"\x37\xfa\x21\x3d"
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
TEXT, BINARY = 1, 2
# Seconds after which an answer, or sleep, is not awaited any more.
PATIENCE = 60


def payload(size):
    return bytes(ord("a") + index % 26 for index in range(size))


def frame(opcode, data, masked):
    """One final frame; masked as a client sends it, or not, as a server does."""
    mask = 0x80 if masked else 0
    if len(data) < 126:
        header = struct.pack("!BB", 0x80 | opcode, mask | len(data))
    elif len(data) < 1 << 16:
        header = struct.pack("!BBH", 0x80 | opcode, mask | 126, len(data))
    else:
        header = struct.pack("!BBQ", 0x80 | opcode, mask | 127, len(data))
    if not masked:
        return header + data
    return header + KEY + bytes(byte ^ KEY[index & 3] for index, byte in enumerate(data))


class Peer:
    """All connections to one server process."""

    def __init__(self, pid, port):
        self.pid, self.port = pid, port

    def state(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0]

    def wait_for(self, states):
        end = time.monotonic() + PATIENCE
        while self.state() not in states:
            if time.monotonic() > end:
                raise TimeoutError(f"the server is in state {self.state()}, not in {states}")
            time.sleep(0.0005)

    def idle(self):
        """Returns when the server has done all that there was to do."""
        self.wait_for("S")

    def at_once(self, act):
        """Acts while the server stands still, so that it sees everything at once; returns what `act` does."""
        self.idle()
        os.kill(self.pid, signal.SIGSTOP)
        try:
            self.wait_for("Tt")
            return act()
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def connect(self, path):
        """A TCP connection on which the request of a handshake has been sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Closed by a reset: no connection of an earlier round is left waiting.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(HANDSHAKE.format(path=path, port=self.port).encode())
        return connection

    def open(self, path, count):
        """So many connections, with the handshake behind them."""
        connections = self.at_once(lambda: [self.connect(path) for _ in range(count)])
        for connection in connections:
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += some(connection, 4096)
            if not answer.startswith(b"HTTP/1.1 101 ") or not answer.endswith(b"\r\n\r\n"):
                raise RuntimeError(f"no handshake with {path}: {answer[:80]!r}")
        return connections

    def close(self, connections):
        self.idle()
        for connection in connections:
            connection.close()
        self.idle()

    def exchange(self, senders, sent, receivers, expected):
        """One round: every sender sends, every receiver receives just what is expected."""
        self.at_once(lambda: self.send(senders, sent))
        for connection in receivers:
            if exactly(connection, len(expected)) != expected:
                raise RuntimeError("the server sent something else")

    @staticmethod
    def send(senders, sent):
        for connection in senders:
            connection.sendall(sent)


def some(connection, size):
    data = connection.recv(size)
    if not data:
        raise RuntimeError("the server closed the connection")
    return data


def exactly(connection, size):
    parts, missing = [], size
    while missing:
        parts.append(some(connection, missing))
        missing -= len(parts[-1])
    return b"".join(parts)
