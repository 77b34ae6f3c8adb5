"""The `websockets` library as a client of our server.

client.py echo          everything that /echo and /bcast promise
client.py limit PATH    the endpoint at PATH admits no message of 70,000 bytes
client.py interop       what tests/src/bin/interop.rs offers besides

The server is at SERVER_URL (ws://HOST:PORT, or wss://). One line for each check; exit status 1 when one failed.
"""

import asyncio
import os
import random
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

URL = os.environ["SERVER_URL"]
ECHO = URL + "/echo"
SIZES = [0, 1, 125, 126, 65_535, 65_536, 1 << 20]
CLOSES = [
    ("1000 done", 1000, "done"),
    ("1001 leaving", 1001, "leaving"),
    ("1011 broken", 1011, "broken"),
    ("3000 registered", 3000, "registered"),
    ("4999 grün", 4999, "grün"),
]
PATIENCE = 30  # seconds for one check
NONE_KEPT = "server_no_context_takeover; client_no_context_takeover"
# What is asked for of compression, and the answer's words where each message stands by itself, and where context is kept.
WISHES = [
    ({}, NONE_KEPT, ""),
    ({"client_max_window_bits": True}, NONE_KEPT, ""),
    ({"server_no_context_takeover": True}, NONE_KEPT, "server_no_context_takeover"),
    ({"client_no_context_takeover": True}, NONE_KEPT, "client_no_context_takeover"),
    (
        {"server_max_window_bits": 9, "client_max_window_bits": 9},
        NONE_KEPT + "; server_max_window_bits=9; client_max_window_bits=9",
        "server_max_window_bits=9; client_max_window_bits=9",
    ),
    (
        {"server_max_window_bits": 12, "client_max_window_bits": 15},
        NONE_KEPT + "; server_max_window_bits=12",
        "server_max_window_bits=12",
    ),
]


def equal(found, expected):
    if found != expected:
        raise AssertionError(f"expected {str(expected)[:80]!r}, found {str(found)[:80]!r}")


def open_to(url, **options):
    return connect(url, max_size=None, compression=None, proxy=None, **options)


async def echoes(message):
    async with open_to(ECHO) as peer:
        await peer.send(message)
        equal(await peer.recv(), message)


async def fragments(parts):
    async with open_to(ECHO) as peer:
        await peer.send(parts)  # an iterable is sent as one message, a frame for each part
        equal(await peer.recv(), type(parts[0])().join(parts))


async def ping_is_answered():
    async with open_to(ECHO) as peer:
        await (await peer.ping(b"are you there"))  # resolves by the pong with that payload only
        await peer.send("still open")
        equal(await peer.recv(), "still open")


async def no_subprotocol_is_chosen():
    async with open_to(ECHO, subprotocols=["unheard.of"]) as peer:
        equal(peer.subprotocol, None)


async def close_is_answered():
    peer = await open_to(ECHO)
    await peer.close(4001, "enough")
    equal(peer.protocol.close_rcvd.code, 4001)
    equal(peer.protocol.close_rcvd_then_sent, False)


async def empty_close_is_answered():
    peer = await open_to(ECHO)
    peer.protocol.send_close()  # no code at all
    for data in peer.protocol.data_to_send():
        peer.transport.write(data)
    await peer.wait_closed()
    equal(peer.protocol.close_rcvd is not None, True)


async def broadcast_reaches_everyone():
    async with open_to(URL + "/bcast") as one, open_to(URL + "/bcast") as two, open_to(URL + "/bcast") as three:
        for peer in (one, two, three):
            await (await peer.ping())  # open on the server's side too
        await two.send("to all")
        for peer in (one, two, three):
            equal(await peer.recv(), "to all")


async def refused(status, url, **options):
    try:
        async with open_to(url, **options):
            raise AssertionError("the handshake was accepted")
    except InvalidStatus as refusal:
        equal(refusal.response.status_code, status)


async def same_origin_is_accepted():
    async with open_to(ECHO, origin=URL.replace("ws", "http", 1)) as peer:
        await peer.send("from a page of yours")
        equal(await peer.recv(), "from a page of yours")


async def pipeline():
    async with open_to(ECHO) as peer:
        sent = [f"{number}: " + "x" * (number * 37 % 2_000) for number in range(200)]
        sending = asyncio.ensure_future(send_all(peer, sent))
        for message in sent:
            equal(await peer.recv(), message)
        await sending


async def send_all(peer, messages):
    for message in messages:
        await peer.send(message)


async def oversized(url):
    async with open_to(url) as peer:
        try:
            # The server says no as soon as it has seen the header, which may be before all is sent.
            await peer.send("x" * 70_000)
            while True:
                await peer.recv()  # whatever the endpoint says to newcomers
        except ConnectionClosed as closed:
            equal(closed.rcvd and closed.rcvd.code, 1009)
            print("    the server said:", closed.rcvd.reason)


async def parts_are_seen_one_by_one():
    async with open_to(URL + "/parts") as peer:

        async def parts():
            yield "first, "
            equal(await peer.recv(), "part first, ")
            yield "last"

        await peer.send(parts())
        seen = ""
        while True:
            kind, text = (await peer.recv()).split(" ", 1)
            seen += text
            if kind == "last":
                break
        equal(seen, "last")


async def bytes_are_seen_in_parts():
    async with open_to(URL + "/parts") as peer:
        await peer.send([b"\x00" * 70_000, b"\xff" * 70_000])
        sizes, kind = [], "part"
        while kind == "part":
            kind, _, size, _ = (await peer.recv()).split(" ")
            sizes.append(int(size))
        equal(sum(sizes), 140_000)
        equal(len(sizes) > 1, True)


async def its_fragments(message, parts):
    async with open_to(URL + "/fragments") as peer:
        await peer.send(message)
        equal([part async for part in peer.recv_streaming()], parts)


async def stream(message, size):
    async with open_to(URL + "/streams") as peer:
        pieces = [message[start : start + size] for start in range(0, len(message), size)]
        sending = asyncio.ensure_future(peer.send(pieces))
        parts = [part async for part in peer.recv_streaming()]
        equal(type(message)().join(parts), message)
        equal(len(parts) > 1, True)
        await sending


async def subprotocol(offered, chosen):
    async with open_to(URL + "/subprotocols", subprotocols=offered or None) as peer:
        equal(peer.subprotocol, chosen)
        equal(await peer.recv(), chosen or "none")


async def it_sees_pings():
    async with open_to(URL + "/pings") as peer:
        await (await peer.ping(b"hello"))
        equal(await peer.recv(), "ping hello")


async def it_pings():
    async with open_to(URL + "/pings") as peer:
        await peer.send("are you there")
        equal(await peer.recv(), "pong are you there")


async def it_closes(order, code, text):
    async with open_to(URL + "/close") as peer:
        await peer.send(order)
        await peer.wait_closed()
        equal((peer.protocol.close_rcvd.code, peer.protocol.close_rcvd.reason), (code, text))
        equal(peer.protocol.close_rcvd_then_sent, True)


async def it_sees_the_close(code, text):
    async with open_to(URL + "/witness") as witness:
        equal(await witness.recv(), "open")
        peer = await open_to(URL + "/closing")
        if code is None:
            peer.protocol.send_close()
            for data in peer.protocol.data_to_send():
                peer.transport.write(data)
            await peer.wait_closed()
        else:
            await peer.close(code, text)
        equal(await witness.recv(), f"{code or 1005} {text}".strip())


async def object_arrives():
    async with open_to(URL + "/objects/3/-4") as peer:
        equal(await peer.recv(), "(3, -4)")


def counted(peer):
    """How many bytes have come, from now on."""
    count, receive = [0], peer.protocol.receive_data

    def receive_data(data):
        count[0] += len(data)
        receive(data)

    peer.protocol.receive_data = receive_data
    return count


async def compressed(path, wishes, words):
    chance = random.Random(7)
    noise = chance.randbytes(100_000)
    messages = ["j" * size for size in (0, 1, 125, 1_023, 1_024, 1_025, 65_536, 1 << 20)]
    messages += [noise, noise[:2_000], noise[:2_000], noise.hex(), "Grüße, 你好, 👩‍🚀 " * 5_000, b"\x00" * 500_000, ""]
    extensions = [ClientPerMessageDeflateFactory(**wishes)]
    async with open_to(URL + path, extensions=extensions) as peer:
        agreed = peer.response.headers["Sec-WebSocket-Extensions"]
        equal(agreed, "permessage-deflate" + ("; " + words if words else ""))
        for message in messages:
            await peer.send(message)
            equal(await peer.recv(), message)
        await peer.send([part for part in (noise[:70_000], b"", noise[70_000:])])
        equal(await peer.recv(), noise)
        # What is all alike has become smaller, and what was said before helps where it is kept.
        count = counted(peer)
        await peer.send("j" * 1_000_000)
        equal(await peer.recv(), "j" * 1_000_000)
        equal(count[0] < 10_000, True)
        count[0] = 0
        again = noise[:150].hex() * 4
        for _ in range(50):
            await peer.send(again)
            equal(await peer.recv(), again)
        # In a window of 9 bits, a message of this size leaves nothing of the one before it.
        if "bits=9" not in words:
            equal(count[0] < 50 * 60, "context" in path and "server_no" not in words)


async def not_compressed_unless_asked_for():
    async with open_to(URL + "/compressed") as peer:
        equal(peer.response.headers.get("Sec-WebSocket-Extensions"), None)
        count = counted(peer)
        await peer.send("j" * 100_000)
        equal(await peer.recv(), "j" * 100_000)
        equal(count[0] > 100_000, True)


def checks_of_echo():
    for size in SIZES:
        yield f"text of {size} bytes", echoes("t" * size)
        yield f"binary of {size} bytes", echoes(bytes(i & 255 for i in range(size)))
    yield "text beyond ASCII", echoes("Grüße, Καλημέρα, 你好, 👩‍🚀, \u0000, \U0010ffff")
    yield "text in fragments", fragments(["one ", "", "zwei-ü ", "три ", "四"])
    yield "binary in fragments", fragments([b"\x00" * 126, b"", b"\xff" * 70_000])
    yield "ping", ping_is_answered()
    yield "subprotocol that nobody has", no_subprotocol_is_chosen()
    yield "close with a code of one's own", close_is_answered()
    yield "close without a code", empty_close_is_answered()
    yield "broadcast", broadcast_reaches_everyone()
    yield "unknown path", refused(404, URL + "/nowhere")
    yield "foreign origin", refused(403, ECHO, origin="http://evil.example")
    yield "same origin", same_origin_is_accepted()
    yield "200 messages at once", pipeline()


def checks_of_interop():
    yield "parts are seen one by one", parts_are_seen_one_by_one()
    yield "bytes are seen in parts", bytes_are_seen_in_parts()
    yield "text in fragments of the server's", its_fragments("one zwei-ü три 四", ["one", "zwei-ü", "три", "四"])
    yield "binary in fragments of the server's", its_fragments(b"\x01\x02\x03", [b"\x01", b"\x02", b"\x03"])
    yield "text as a stream", stream("Grüße, Καλημέρα, 你好, 👩‍🚀 " * 20_000, 10_007)
    yield "binary as a stream", stream(bytes(range(256)) * 6_000, 10_007)
    yield "subprotocol of two, in the client's order", subprotocol(["chat.v1", "chat.v2"], "chat.v1")
    yield "subprotocol, the second offered", subprotocol(["unheard.of", "chat.v2"], "chat.v2")
    yield "subprotocol that nobody has", subprotocol(["unheard.of"], None)
    yield "subprotocol not asked for", subprotocol([], None)
    yield "ping is seen", it_sees_pings()
    yield "ping of the server's", it_pings()
    for order, code, text in CLOSES + [("none", 1005, "")]:
        yield f"the server closes with {order}", it_closes(order, code, text)
    for _, code, text in CLOSES:
        yield f"the server sees a close with {code}", it_sees_the_close(code, text)
    yield "the server sees a close without a code", it_sees_the_close(None, "")
    yield "object of the application's", object_arrives()
    for wishes, by_itself, in_context in WISHES:
        yield f"compression {wishes}", compressed("/compressed", wishes, by_itself)
        yield f"compression in context {wishes}", compressed("/compressed/context", wishes, in_context)
    yield "no compression", not_compressed_unless_asked_for()


async def main(checks):
    failed = 0
    for name, check in checks:
        try:
            await asyncio.wait_for(check, PATIENCE)
            print("ok   python:", name)
        except Exception as problem:
            failed += 1
            print(f"FAIL python: {name}: {type(problem).__name__}: {problem}")
    return 1 if failed else 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["echo"]:
            chosen = checks_of_echo()
        case ["interop"]:
            chosen = checks_of_interop()
        case ["limit", path]:
            chosen = [("message over the limit", oversized(URL + path))]
        case _:
            sys.exit(__doc__)
    sys.exit(asyncio.run(main(chosen)))
