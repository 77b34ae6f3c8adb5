// Node's `ws` as a client of our server.
//
//   client.cjs echo          everything that /echo and /bcast promise
//   client.cjs limit PATH    the endpoint at PATH admits no message of 70,000 bytes
//   client.cjs interop       what tests/src/bin/interop.rs offers besides
//
// The server is at SERVER_URL (ws://HOST:PORT, or wss://). One line for each check; exit status 1 when one failed.
"use strict";
const assert = require("node:assert");
const { once } = require("node:events");
const WebSocket = require("ws");

const url = process.env.SERVER_URL;
const sizes = [0, 1, 125, 126, 65_535, 65_536, 1 << 20];
const closes = [[1000, "done"], [1001, "leaving"], [1011, "broken"], [3000, "registered"], [4999, "grün"]];
const patience = 30_000; // milliseconds for one check

// What is asked for of compression, and the answer's words where each message stands by itself, and where context is kept.
const noneKept = "server_no_context_takeover; client_no_context_takeover";
const wishes = [
  [true, noneKept, ""],
  [{ serverNoContextTakeover: true, clientNoContextTakeover: true }, noneKept, noneKept],
  [{ serverMaxWindowBits: 10, clientMaxWindowBits: 11 },
    noneKept + "; server_max_window_bits=10; client_max_window_bits=11",
    "server_max_window_bits=10; client_max_window_bits=11"],
];

// An open connection that keeps what arrives, so that nothing is missed between two awaits.
class Peer {
  static async open(path, options = {}) {
    const peer = new Peer(path, options);
    await once(peer.socket, "open");
    return peer;
  }

  constructor(path, { subprotocols = [], ...options }) {
    this.socket = new WebSocket(url + path, subprotocols, { perMessageDeflate: false, maxPayload: 0, ...options });
    this.arrived = [];
    this.waiting = [];
    this.socket.on("message", (data, binary) => {
      const message = binary ? data : data.toString();
      const waiting = this.waiting.shift();
      if (waiting) waiting(message);
      else this.arrived.push(message);
    });
    this.closed = new Promise((resolve) => this.socket.on("close", (code, reason) => resolve({ code, reason: String(reason) })));
  }

  message() {
    if (this.arrived.length) return this.arrived.shift();
    return Promise.race([
      new Promise((resolve) => this.waiting.push(resolve)),
      this.closed.then(({ code, reason }) => assert.fail(`closed with ${code} ${reason}`)),
    ]);
  }

  async echoes(message) {
    this.socket.send(message);
    assert.deepStrictEqual(await this.message(), message);
  }

  // An answered ping: the server has this connection open, and answers with the payload it was sent.
  async ping(payload) {
    this.socket.ping(payload);
    const [answer] = await once(this.socket, "pong");
    assert.strictEqual(String(answer), payload);
  }

  async close() {
    this.socket.close(1000);
    assert.strictEqual((await this.closed).code, 1000);
  }
}

async function echoes(message) {
  const peer = await Peer.open("/echo");
  await peer.echoes(message);
  await peer.close();
}

async function fragments(parts, whole) {
  const peer = await Peer.open("/echo");
  parts.forEach((part, index) => peer.socket.send(part, { fin: index === parts.length - 1 }));
  assert.deepStrictEqual(await peer.message(), whole);
  await peer.close();
}

async function pingBetweenFragments() {
  const peer = await Peer.open("/echo");
  peer.socket.send("first, ", { fin: false });
  await peer.ping("in between");
  peer.socket.send("last", { fin: true });
  assert.strictEqual(await peer.message(), "first, last");
  await peer.close();
}

async function pingIsAnswered() {
  const peer = await Peer.open("/echo");
  await peer.ping("are you there");
  await peer.ping("");
  await peer.echoes("still open");
  await peer.close();
}

async function noSubprotocol() {
  const peer = await Peer.open("/echo");
  assert.strictEqual(peer.socket.protocol, "");
  await peer.close();
}

async function closeIsAnswered() {
  const peer = await Peer.open("/echo");
  peer.socket.close(4001, "enough");
  assert.strictEqual((await peer.closed).code, 4001);
}

// Without a code on the wire, `ws` says 1005 when the answer has none either.
async function emptyCloseIsAnswered() {
  const peer = await Peer.open("/echo");
  peer.socket.close();
  const { code } = await peer.closed;
  assert.ok(code === 1005 || code === 1000, `closed with ${code}`);
}

async function broadcast() {
  const peers = await Promise.all([1, 2, 3].map(() => Peer.open("/bcast")));
  for (const peer of peers) await peer.ping("open");
  peers[1].socket.send("to all");
  for (const peer of peers) assert.strictEqual(await peer.message(), "to all");
  for (const peer of peers) await peer.close();
}

async function refused(path, status, options) {
  const { socket } = new Peer(path, options ?? {});
  socket.on("error", () => {}); // follows the refusal
  const answer = await new Promise((resolve) => {
    socket.on("unexpected-response", (_, response) => resolve(response.statusCode));
    socket.on("open", () => resolve(101));
  });
  socket.terminate();
  assert.strictEqual(answer, status);
}

async function sameOrigin() {
  const peer = await Peer.open("/echo", { origin: url.replace("ws", "http") });
  await peer.echoes("from a page of yours");
  await peer.close();
}

async function pipeline() {
  const peer = await Peer.open("/echo");
  const sent = Array.from({ length: 200 }, (_, number) => `${number}: ${"x".repeat((number * 37) % 2_000)}`);
  for (const message of sent) peer.socket.send(message);
  for (const message of sent) assert.strictEqual(await peer.message(), message);
  await peer.close();
}

async function oversized(path) {
  const peer = await Peer.open(path);
  peer.socket.send("x".repeat(70_000));
  const { code, reason } = await peer.closed;
  assert.strictEqual(code, 1009);
  console.log("    the server said:", reason);
}

async function partsAreSeen() {
  const peer = await Peer.open("/parts");
  peer.socket.send("first, ", { fin: false });
  assert.strictEqual(await peer.message(), "part first, ");
  peer.socket.send("last", { fin: true });
  let seen = "";
  for (let kind; kind !== "last"; ) {
    const said = await peer.message();
    kind = said.slice(0, 4);
    seen += said.slice(5);
  }
  assert.strictEqual(seen, "last");
  await peer.close();
}

async function bytesAreSeenInParts() {
  const peer = await Peer.open("/parts");
  peer.socket.send(Buffer.alloc(70_000), { fin: false });
  peer.socket.send(Buffer.alloc(70_000, 255), { fin: true });
  let [bytes, parts] = [0, 0];
  for (let kind; kind !== "last"; parts += 1) {
    const said = (await peer.message()).split(" ");
    kind = said[0];
    bytes += Number(said[2]);
  }
  assert.strictEqual(bytes, 140_000);
  assert.ok(parts > 1);
  await peer.close();
}

async function itsFragments(message, whole) {
  const peer = await Peer.open("/fragments");
  peer.socket.send(message);
  assert.deepStrictEqual(await peer.message(), whole);
  await peer.close();
}

async function stream(message, size) {
  const peer = await Peer.open("/streams");
  for (let start = 0; start < message.length; start += size) {
    peer.socket.send(message.slice(start, start + size), { fin: start + size >= message.length });
  }
  assert.deepStrictEqual(await peer.message(), message);
  await peer.close();
}

async function subprotocol(offered, chosen) {
  const peer = new Peer("/subprotocols", { subprotocols: offered });
  peer.socket.on("error", () => {}); // `ws` fails when none of its offers is taken, as a browser does not
  const [response] = await once(peer.socket, "upgrade");
  assert.strictEqual(response.headers["sec-websocket-protocol"], chosen);
  if (chosen || !offered.length) {
    assert.strictEqual(await peer.message(), chosen ?? "none");
    await peer.close();
  }
}

async function itSeesPings() {
  const peer = await Peer.open("/pings");
  await peer.ping("hello");
  assert.strictEqual(await peer.message(), "ping hello");
  await peer.close();
}

async function itPings() {
  const peer = await Peer.open("/pings");
  peer.socket.send("are you there");
  assert.strictEqual(await peer.message(), "pong are you there");
  await peer.close();
}

async function itCloses(order, code, reason) {
  const peer = await Peer.open("/close");
  peer.socket.send(order);
  assert.deepStrictEqual(await peer.closed, { code, reason });
}

async function itSeesTheClose(code, reason) {
  const witness = await Peer.open("/witness");
  assert.strictEqual(await witness.message(), "open");
  const peer = await Peer.open("/closing");
  peer.socket.close(code, reason);
  assert.strictEqual(await witness.message(), `${code ?? 1005} ${reason}`.trim());
  await witness.close();
}

async function objectArrives() {
  const peer = await Peer.open("/objects/3/-4");
  assert.strictEqual(await peer.message(), "(3, -4)");
  await peer.close();
}

async function compressed(path, perMessageDeflate, words) {
  const peer = new Peer(path, { perMessageDeflate });
  const opened = once(peer.socket, "open");
  const [response] = await once(peer.socket, "upgrade");
  assert.strictEqual(response.headers["sec-websocket-extensions"], "permessage-deflate" + (words && "; " + words));
  await opened;
  const noise = Buffer.from({ length: 100_000 }, (_, index) => (index * 2_654_435_761) >>> (index % 24));
  for (const size of [0, 1, 125, 1_023, 1_024, 1_025, 65_536, 1 << 20]) await peer.echoes("j".repeat(size));
  for (const message of [noise, noise.subarray(0, 2_000), noise.toString("hex"), "Grüße, 你好, 👩‍🚀 ".repeat(5_000), ""]) {
    await peer.echoes(message);
  }
  peer.socket.send(noise.subarray(0, 70_000), { fin: false });
  peer.socket.send(noise.subarray(70_000), { fin: true });
  assert.deepStrictEqual(await peer.message(), noise);
  const before = peer.socket._socket.bytesRead;
  await peer.echoes("j".repeat(1_000_000));
  assert.ok(peer.socket._socket.bytesRead - before < 10_000);
  await peer.close();
}

function* checksOfEcho() {
  for (const size of sizes) {
    yield [`text of ${size} bytes`, () => echoes("t".repeat(size))];
    yield [`binary of ${size} bytes`, () => echoes(Buffer.from({ length: size }, (_, index) => index))];
  }
  yield ["text beyond ASCII", () => echoes("Grüße, Καλημέρα, 你好, 👩‍🚀, \u0000, \u{10ffff}")];
  yield ["text in fragments", () => fragments(["one ", "", "zwei-ü ", "три ", "四"], "one zwei-ü три 四")];
  const [zeroes, ones] = [Buffer.alloc(126), Buffer.alloc(70_000, 255)];
  yield ["binary in fragments", () => fragments([zeroes, Buffer.alloc(0), ones], Buffer.concat([zeroes, ones]))];
  yield ["ping between fragments", pingBetweenFragments];
  yield ["ping", pingIsAnswered];
  yield ["no subprotocol", noSubprotocol];
  yield ["close with a code of one's own", closeIsAnswered];
  yield ["close without a code", emptyCloseIsAnswered];
  yield ["broadcast", broadcast];
  yield ["unknown path", () => refused("/nowhere", 404)];
  yield ["foreign origin", () => refused("/echo", 403, { origin: "http://evil.example" })];
  yield ["same origin", sameOrigin];
  yield ["200 messages at once", pipeline];
}

function* checksOfInterop() {
  yield ["parts are seen one by one", partsAreSeen];
  yield ["bytes are seen in parts", bytesAreSeenInParts];
  yield ["text in fragments of the server's", () => itsFragments("one zwei-ü три 四", "onezwei-üтри四")];
  yield ["binary in fragments of the server's", () => itsFragments(Buffer.from([1, 2, 3]), Buffer.from([1, 2, 3]))];
  yield ["text as a stream", () => stream("Grüße, Καλημέρα, 你好 ".repeat(20_000), 10_007)];
  yield ["binary as a stream", () => stream(Buffer.from({ length: 1_500_000 }, (_, index) => index), 10_007)];
  yield ["subprotocol of two, in the client's order", () => subprotocol(["chat.v1", "chat.v2"], "chat.v1")];
  yield ["subprotocol, the second offered", () => subprotocol(["unheard.of", "chat.v2"], "chat.v2")];
  yield ["subprotocol that nobody has", () => subprotocol(["unheard.of"], undefined)];
  yield ["subprotocol not asked for", () => subprotocol([], undefined)];
  yield ["ping is seen", itSeesPings];
  yield ["ping of the server's", itPings];
  for (const [code, text] of closes) {
    yield [`the server closes with ${code} ${text}`, () => itCloses(`${code} ${text}`, code, text)];
    yield [`the server sees a close with ${code}`, () => itSeesTheClose(code, text)];
  }
  yield ["the server closes with none", () => itCloses("none", 1005, "")];
  yield ["the server sees a close without a code", () => itSeesTheClose(undefined, "")];
  yield ["object of the application's", objectArrives];
  for (const [asked, byItself, inContext] of wishes) {
    yield [`compression ${JSON.stringify(asked)}`, () => compressed("/compressed", asked, byItself)];
    yield [`compression in context ${JSON.stringify(asked)}`, () => compressed("/compressed/context", asked, inContext)];
  }
}

const brief = (text) => String(text).replace(/\s+/g, " ").slice(0, 200);

async function run(checks) {
  let failed = 0;
  for (const [name, check] of checks) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error("no end within the time")), patience);
    });
    try {
      await Promise.race([check(), late]);
      console.log("ok   node:", name);
    } catch (problem) {
      failed += 1;
      console.log(`FAIL node: ${name}: ${brief(problem.message)}`);
    }
    clearTimeout(timer);
  }
  process.exit(failed ? 1 : 0);
}

const [mode, path] = process.argv.slice(2);
if (mode === "echo") run(checksOfEcho());
else if (mode === "interop") run(checksOfInterop());
else if (mode === "limit" && path) run([["message over the limit", () => oversized(path)]]);
else {
  console.error("usage: client.cjs echo | limit PATH | interop");
  process.exit(64);
}
