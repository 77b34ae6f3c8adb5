"""The `cluster` example, as its README says it: two people on two nodes talk, and Ctrl-C ends every process.

example.py PROGRAM

Nothing but the standard library. One line for each check; exit status 1 when one failed.
"""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

PATIENCE = 60  # seconds for whatever is waited for


class Peer:
    """A WebSocket client that knows no more than it takes."""

    def __init__(self, url, path):
        at = urlsplit(url)
        self.socket = socket.create_connection((at.hostname, at.port), PATIENCE)
        self.file = self.socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {at.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        status = self.file.readline().decode()
        assert " 101 " in status, status
        while self.file.readline().strip():
            pass

    def say(self, **command):
        payload, mask = json.dumps(command).encode(), os.urandom(4)
        assert len(payload) < 126
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        self.socket.sendall(bytes([0x81, 0x80 | len(payload)]) + mask + masked)

    def event(self, kind):
        """The next event of this kind."""
        while True:
            opcode, length = self.file.read(2)
            assert opcode == 0x81, opcode
            if length == 126:
                length = int.from_bytes(self.file.read(2))
            event = json.loads(self.file.read(length))
            if event["type"] == kind:
                return event


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return [int(child) for child in children.read().split()]


def main(program):
    example = subprocess.Popen([program, "2"], stdout=subprocess.PIPE, text=True)
    try:
        lines = [example.stdout.readline() for _ in range(3)]
        urls = re.findall(r"open (http://\S+)", "".join(lines))
        assert len(urls) == 2, lines
        print("ok   two nodes say where they are")
        ada = Peer(urls[0], "/chat/blue?nick=Ada")
        assert ada.event("welcome")["greeting"] == "You are on the node node-1."
        bo = Peer(urls[1], "/chat/blue?nick=Bo")
        assert bo.event("welcome")["greeting"] == "You are on the node node-2."
        assert ada.event("joined")["nick"] == "Bo · node-2"
        # A node that has just started hears of the others with their next heartbeat.
        names, until = [], time.monotonic() + PATIENCE
        while "Ada · node-1" not in names and time.monotonic() < until:
            names = Peer(urls[1], "/chat/blue?nick=Cy").event("people")["names"]
        assert {"Ada · node-1", "Bo · node-2"} <= set(names), names
        print("ok   each sees who is on which node")
        for number in range(20):
            ada.say(type="say", text=f"{number}")
        assert [bo.event("said") for _ in range(20)] == [
            {"type": "said", "nick": "Ada · node-1", "text": f"{number}"} for number in range(20)
        ]
        bo.say(type="say", text="and back")
        assert ada.event("said")["text"] == "and back"
        print("ok   what is said on one node is heard on the other, in order")
        started = children(example.pid)
        assert len(started) == 3, started
        example.send_signal(signal.SIGINT)
        assert example.wait(PATIENCE) == 0
        assert not any(alive(child) for child in started)
        print("ok   it ends, and all that it has started")
    finally:
        # It ends what it has started, as it would not if it were killed.
        if example.poll() is None:
            example.terminate()
            example.wait(PATIENCE)


try:
    socket.setdefaulttimeout(PATIENCE)
    main(sys.argv[1])
except (AssertionError, OSError) as error:
    print("FAIL", repr(error))
    sys.exit(1)
