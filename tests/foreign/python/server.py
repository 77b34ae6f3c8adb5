"""The `websockets` library as a server of our client: what each path does, `tests/src/bin/caller.rs` says.

Prints its URL on the first line, and serves until its standard input ends.
"""

import asyncio
import base64
import re
import sys

from websockets.asyncio.server import broadcast, serve
from websockets.exceptions import ConnectionClosed

LOGIN = "Basic " + base64.b64encode(b"Ada:lovelace").decode()
IDLE = 0.5  # seconds
PATHS = {}
witnesses = set()


def path(pattern):
    def register(handler):
        PATHS[re.compile(pattern)] = handler
        return handler

    return register


@path("/echo|/private")
async def echo(peer):
    async for message in peer:
        await peer.send(message)


@path("/fragments")
async def fragments(peer):
    async for message in peer:
        if isinstance(message, str):
            await peer.send(message.split(" "))  # a list is sent as one message, a frame for each part
        else:
            half = len(message) // 2
            await peer.send([message[:half], message[half:]])


@path("/halves")
async def halves(peer):
    async def parts():
        yield "first, "
        await peer.recv()
        yield "last"

    await peer.send(parts())
    await peer.wait_closed()


@path("/pings")
async def pings(peer):
    async for message in peer:
        await (await peer.ping(message))  # resolves by the pong with that payload only
        await peer.send("pong " + message)


@path("/subprotocols")
async def subprotocols(peer):
    await peer.send(peer.subprotocol or "none")
    await peer.wait_closed()


@path("/close")
async def close(peer):
    order = await peer.recv()
    if order == "none":
        peer.protocol.send_close()  # no code at all
        for data in peer.protocol.data_to_send():
            peer.transport.write(data)
        await peer.wait_closed()
    else:
        code, text = order.split(" ")
        await peer.close(int(code), text)


@path("/closing")
async def closing(peer):
    await peer.wait_closed()
    code, text = peer.close_code, peer.close_reason
    broadcast(witnesses, f"{code} {text}".strip())


@path("/witness")
async def witness(peer):
    witnesses.add(peer)
    await peer.send("open")
    await peer.wait_closed()
    witnesses.remove(peer)


@path("/header")
async def header(peer):
    await peer.send(peer.request.headers["X-Asked"])
    await peer.wait_closed()


@path("/rooms/([^/]+)")
async def room(peer, name):
    await peer.send(name)
    await peer.wait_closed()


@path("/idle")
async def idle(peer):
    try:
        while True:
            await asyncio.wait_for(peer.recv(), IDLE)
    except TimeoutError:
        await peer.close(1001, "idle")


def found(peer_path):
    for pattern, handler in PATHS.items():
        if match := pattern.fullmatch(peer_path):
            return handler, match.groups()
    return None


def admit(peer, request):
    if not found(request.path):
        return peer.respond(404, "there is nothing here\n")
    if request.path == "/private" and request.headers.get("Authorization") != LOGIN:
        refusal = peer.respond(401, "who are you?\n")
        refusal.headers["WWW-Authenticate"] = 'Basic realm="tests"'
        return refusal
    return None


def choose(peer, offered):
    return next((name for name in ("chat.v2", "chat.v1") if name in offered), None)


async def handle(peer):
    handler, arguments = found(peer.request.path)
    try:
        await handler(peer, *arguments)
    except ConnectionClosed:
        pass  # whoever calls checks how


async def main():
    options = {"process_request": admit, "select_subprotocol": choose, "max_size": None}
    async with serve(handle, "127.0.0.1", 0, **options) as server:
        host, port = server.sockets[0].getsockname()
        print(f"ws://{host}:{port}", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
