"""Counts what messages cost, and holds it against the bounds. See `run`.

A case warms the server up and then has it do the same thing a number of times; each figure is divided by how many messages
that were.
"""

import os
import sys
import tomllib
from pathlib import Path

from counters import Calls, Instructions, Memory, SystemCalls
from peer import BINARY, TEXT, Peer, exactly, frame, payload

BOUNDS = Path(__file__).parent / "bounds.toml"
# How far above its bound a figure may be, as a part of it, and at least: a tenth of nothing is nothing. Memory comes in pages.
TOLERANCE = 0.10
SLACK, SLACK_IN_KIB = 0.02, 0.1
INTRODUCTION = """\
# What the cases of tests/costs cost. A figure that is more than a tenth above its bound fails, and so does one above
# `at_most`, a promise that no update changes. `tests/costs/run --update` writes the bounds as they are measured.
"""


class Echo:
    """Messages that come back to their sender: of a size, so many at once on so many connections."""

    unit = "message"
    counters = (SystemCalls, Instructions)

    def __init__(self, name, path, opcode, size, depth, connections, rounds):
        self.name, self.path, self.connections, self.rounds = name, path, connections, rounds
        self.sent = frame(opcode, payload(size), masked=True) * depth
        self.expected = frame(opcode, payload(size), masked=False) * depth
        self.count = rounds * connections * depth

    def receivers(self, connections):
        return connections

    def senders(self, connections):
        return connections

    def run(self, server):
        peer = Peer(server.pid, server.port)
        connections = peer.open(self.path, self.connections)
        round = lambda: peer.exchange(self.senders(connections), self.sent, connections, self.expected)
        for _ in range(3):
            round()

        def rounds():
            for _ in range(self.rounds):
                round()
            peer.idle()

        peer.idle()
        counted = server.counted(rounds)
        peer.close(connections)
        return counted

    def figures(self, counted):
        if "calls" in counted:
            yield "calls to receive and send", (counted["receiving"] + counted["sending"]) / self.count
        else:
            yield "instructions", counted["instructions"] / self.count
            yield "allocations", counted["allocations"] / self.count


class Broadcast(Echo):
    """Messages of one to all, itself included: what is counted is a delivery."""

    unit = "delivery"

    def senders(self, connections):
        return connections[:1]

    def figures(self, counted):
        if "calls" in counted:
            yield "calls to send", counted["sending"] / self.count
        else:
            yield "instructions", counted["instructions"] / self.count
            yield "allocations", counted["allocations"] / self.count


class Handshake:
    """Connections that are opened and lost again."""

    unit = "connection"
    counters = (SystemCalls, Instructions)

    def __init__(self, name, path, connections, rounds):
        self.name, self.path, self.connections, self.rounds = name, path, connections, rounds
        self.count = rounds * connections

    def run(self, server):
        peer = Peer(server.pid, server.port)
        round = lambda: peer.close(peer.open(self.path, self.connections))
        for _ in range(3):
            round()

        def rounds():
            for _ in range(self.rounds):
                round()

        peer.idle()
        return server.counted(rounds)

    def figures(self, counted):
        for name in ("calls", "instructions", "allocations"):
            if name in counted:
                yield name, counted[name] / self.count


class Idle:
    """Connections that are open: after a small message each, and after a big one."""

    unit = "connection"
    counters = (Memory,)

    def __init__(self, name, path, connections):
        self.name, self.path, self.connections = name, path, connections

    def run(self, server):
        peer = Peer(server.pid, server.port)
        peer.close(self.opened(peer, 64))
        none = server.resident()
        connections = self.opened(peer, self.connections)
        idle = server.resident()
        # What the first big messages leave is the thread's own, and kept for the next.
        self.exchange(peer, connections[:100], 1 << 20)
        before = server.resident()
        more = connections[100:1000]
        self.exchange(peer, more, 1 << 20)
        after = server.resident()
        peer.close(connections)
        return {"idle": (idle - none) / len(connections), "left": (after - before) / len(more)}

    def opened(self, peer, count):
        connections = []
        while len(connections) < count:
            connections += peer.open(self.path, min(64, count - len(connections)))
        self.exchange(peer, connections, 125)
        return connections

    @staticmethod
    def exchange(peer, connections, size):
        """One message after the other."""
        sent, expected = (frame(BINARY, payload(size), masked) for masked in (True, False))
        for connection in connections:
            connection.sendall(sent)
            if exactly(connection, len(expected)) != expected:
                raise RuntimeError("the server sent something else")
        peer.idle()

    def figures(self, counted):
        yield "KiB of memory", counted["idle"]
        yield "KiB more after 1 MiB", counted["left"]


class Call:
    """A call of the wire, by its name in tests/src/bin/calls.rs."""

    unit = "call"
    counters = (Calls,)

    def __init__(self, name, count):
        self.name, self.count = name, count

    def run(self, calls):
        return calls.counted(self.name, self.count)

    def figures(self, counted):
        yield "instructions", counted["instructions"] / self.count
        yield "allocations", counted["allocations"] / self.count


CASES = [
    Echo("125 bytes as Text", "/text", TEXT, 125, depth=1, connections=64, rounds=60),
    Echo("125 bytes as Text, 8 at once", "/text", TEXT, 125, depth=8, connections=16, rounds=60),
    Echo("125 bytes as String", "/string", TEXT, 125, depth=1, connections=64, rounds=60),
    Echo("125 bytes as String, 8 at once", "/string", TEXT, 125, depth=8, connections=16, rounds=60),
    Echo("1 KiB as Text", "/text", TEXT, 1024, depth=1, connections=64, rounds=30),
    Echo("64 KiB as Text", "/text", TEXT, 65536, depth=1, connections=4, rounds=100),
    Echo("64 KiB as Bytes", "/text", BINARY, 65536, depth=1, connections=4, rounds=100),
    Broadcast("broadcast of 100 bytes", "/all", TEXT, 100, depth=1, connections=64, rounds=60),
    Broadcast("broadcast of 100 bytes, 8 at once", "/all", TEXT, 100, depth=8, connections=64, rounds=20),
    Handshake("handshake", "/text", connections=16, rounds=40),
    Idle("idle connection", "/text", connections=3000),
    Call("decode a text of 125 bytes", 1000),
    Call("decode 8 texts of 125 bytes", 1000),
    Call("decode a text in 3 fragments", 1000),
    Call("decode 64 KiB of bytes", 100),
    Call("decode 64 KiB of ASCII", 100),
    Call("decode 64 KiB of Chinese", 100),
    Call("encode 125 bytes", 1000),
    Call("encode 64 KiB", 100),
    Call("encode 125 bytes, masked", 1000),
    Call("mask 64 KiB", 100),
    Call("deflate 1 KiB of JSON", 100),
    Call("inflate 1 KiB of JSON", 100),
]


def measure(cases):
    """From the names of the cases to their figures, from what is counted to how much of it there is for each message."""
    measured = {case.name: {} for case in cases}
    for counter in (Memory, SystemCalls, Instructions, Calls):
        of_it = [case for case in cases if counter in case.counters]
        if not of_it:
            continue
        with counter(os.environ["CALLS" if counter is Calls else "MEASURED"]) as server:
            for case in of_it:
                measured[case.name].update(case.figures(case.run(server)))
    return measured


def excess(figure, value, bound):
    """What is wrong with a value, and None if nothing is."""
    if bound is None:
        return "no bound"
    slack = SLACK_IN_KIB if "KiB" in figure else SLACK
    if value > max(bound["measured"] * (1 + TOLERANCE), bound["measured"] + slack):
        return f"more than {TOLERANCE:.0%} above {bound['measured']:g}"
    if value > bound.get("at_most", value):
        return f"more than {bound['at_most']:g}"
    return None


def judge(cases, measured, bounds):
    """Prints the table; returns how many figures are not as they should be."""
    failed = lower = 0
    print(f"{'':34}{'for each':>12}{'':28}{'measured':>12}{'bound':>12}")
    for case in cases:
        for figure, value in measured[case.name].items():
            bound = bounds.get(case.name, {}).get(figure)
            wrong = excess(figure, value, bound)
            failed += wrong is not None
            lower += bound is not None and excess(figure, bound["measured"], {"measured": value}) is not None
            shown = f"{bound['measured']:12,.3f}" if bound else " " * 12
            print(f"{case.name:34}{case.unit:>12}  {figure:26}{value:12,.3f}{shown}" + (f"  FAIL: {wrong}" if wrong else ""))
    if failed:
        print(f"{failed} figures are above their bounds. If that is worth it: tests/costs/run --update, and say why in the commit.")
    elif lower:
        print(f"{lower} figures are more than {TOLERANCE:.0%} below their bounds: tests/costs/run --update keeps it so.")
    return failed


def update(measured, bounds):
    """Writes the bounds, those of the cases that were not measured as they were."""
    for name, figures in measured.items():
        for figure, value in figures.items():
            entry = bounds.setdefault(name, {}).setdefault(figure, {})
            entry["measured"] = round(value) if value >= 100 else float(f"{value:.3g}")
    lines = [INTRODUCTION]
    for name in (case.name for case in CASES if case.name in bounds):
        lines.append(f'["{name}"]')
        for figure, entry in bounds[name].items():
            values = ", ".join(f"{key} = {entry[key]:g}" if entry[key] < 100 else f"{key} = {entry[key]}" for key in entry)
            lines.append(f'"{figure}" = {{ {values} }}')
        lines.append("")
    BOUNDS.write_text("\n".join(lines))


def main():
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    options = set(sys.argv[1:]) - set(words)
    if options - {"--update", "--list"}:
        sys.exit("usage: tests/costs/run [--update] [--list] [CASE...]")
    cases = [case for case in CASES if not words or any(word in case.name for word in words)]
    if "--list" in options:
        print("\n".join(case.name for case in cases))
        return
    bounds = tomllib.loads(BOUNDS.read_text()) if BOUNDS.exists() else {}
    measured = measure(cases)
    if "--update" in options:
        update(measured, bounds)
        bounds = tomllib.loads(BOUNDS.read_text())
    sys.exit(1 if judge(cases, measured, bounds) else 0)


if __name__ == "__main__":
    main()
