"""What counts: strace and callgrind, for just as long as the messages are sent that are to be counted.

Each runs the server, or is attached to it, and has `pid`, `port` and `counted(act)`: what the server did while `act` ran and
until it slept again, as a dictionary from what is counted to how often. `Calls` has no server.
"""

import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

RECEIVE = {"read", "readv", "recvfrom", "recvmsg", "recvmmsg"}
SEND = {"write", "writev", "sendto", "sendmsg", "sendmmsg"}
ALLOCATE = {"malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign"}
# Seconds until a server accepts connections, valgrind's own start included, or until a tool does what it is told.
PATIENCE = 60


def eventually(what, ready):
    end = time.monotonic() + PATIENCE
    while not (result := ready()):
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.01)
    return result


class Server:
    """The program, alone."""

    def __init__(self, program, wrap=()):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.folder = tempfile.TemporaryDirectory(prefix="costs-")
        self.log = Path(self.folder.name, "log")
        command = [part.format(folder=self.folder.name) for part in wrap] + [program]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, env={**os.environ, "PORT": str(self.port)}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.pid = self.process.pid

    def __enter__(self):
        try:
            eventually("the server does not listen", self.listens)
        except BaseException:
            self.__exit__()
            raise
        return self

    def listens(self):
        if self.process.poll() is not None:
            raise RuntimeError("the server ended at once:\n" + self.log.read_text(errors="replace"))
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE).close()
            return True
        except ConnectionRefusedError:
            return False

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


class Memory(Server):
    """What the process holds in memory, of which more is what became of it meanwhile."""

    def resident(self):
        """In KiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)[1])


class SystemCalls(Server):
    """strace, attached for as long as it counts."""

    def counted(self, act):
        summary = Path(self.folder.name, "summary")
        strace = subprocess.Popen(
            ["strace", "-c", "-f", "-p", str(self.pid), "-o", str(summary)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        try:
            told = strace.stderr.readline()
            if "attached" not in told:
                raise RuntimeError(f"strace cannot attach to the server: {told.strip()}")
            act()
        finally:
            strace.send_signal(signal.SIGINT)
            strace.wait(PATIENCE)
        calls = {}
        for line in summary.read_text().splitlines():
            fields = line.split()
            if len(fields) >= 5 and re.fullmatch(r"[\d.]+", fields[0]) and fields[-1] != "total":
                calls[fields[-1]] = int(fields[3])
        summary.unlink()
        return {
            "receiving": sum(calls.get(name, 0) for name in RECEIVE),
            "sending": sum(calls.get(name, 0) for name in SEND),
            "calls": sum(calls.values()),
        }


class Instructions(Server):
    """The program in callgrind, which is told when to begin at zero and when to say how far it came."""

    def __init__(self, program):
        super().__init__(program, ["valgrind", "--tool=callgrind", "--callgrind-out-file={folder}/profile"])
        self.dumps = 0

    def counted(self, act):
        self.tell("--zero")
        act()
        self.tell("--dump")
        self.dumps += 1
        profile = Path(self.folder.name, f"profile.{self.dumps}")
        eventually("callgrind writes no profile", lambda: profile.exists() and "\ntotals:" in profile.read_text())
        return self.read(profile.read_text())

    def tell(self, what):
        told = subprocess.run(
            ["callgrind_control", what, str(self.pid)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
        )
        if told.returncode or "OK" not in told.stdout:
            raise RuntimeError(f"callgrind_control {what}: {told.stdout}{told.stderr}")

    @staticmethod
    def read(profile):
        """The sum of a profile, and how often memory was asked for."""
        names, allocations, callee = {}, 0, None
        for line in profile.splitlines():
            # `cfn=(12) malloc` names a function, the next time it is `cfn=(12)`.
            if named := re.match(r"c?fn=\((\d+)\)(?: (.*))?$", line):
                if named[2]:
                    names[named[1]] = named[2]
                if line.startswith("c"):
                    callee = names.get(named[1], "")
            elif line.startswith("calls=") and callee in ALLOCATE:
                allocations += int(line[len("calls="):].split()[0])
        total = re.search(r"^totals: (\d+)", profile, re.MULTILINE)
        return {"instructions": int(total[1]), "allocations": allocations}


class Calls:
    """The program of single calls, in callgrind from its start to its end."""

    def __init__(self, program):
        self.program = program

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="costs-")
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def counted(self, name, count):
        """What so many calls cost: that of twice as many, less that of so many, which both start and end alike."""
        once, twice = self.profile(name, count), self.profile(name, 2 * count)
        return {what: twice[what] - once[what] for what in once}

    def profile(self, name, count):
        profile = Path(self.folder.name, "profile")
        command = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={profile}", self.program, name, str(count)]
        subprocess.run(command, stdin=subprocess.DEVNULL, check=True)
        return Instructions.read(profile.read_text())
