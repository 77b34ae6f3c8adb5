// WebSockets over HTTP/2 and TLS (RFC 8441): Chromium takes to it by itself, and so does Node's client when it is asked to.
//
//   http2.cjs CHROMIUM SERVER      executables; the server reads PORT, and writes the certificate of its authority
//
// One line for each check; exit status 1 when one failed.
"use strict";
const assert = require("node:assert");
const { spawn } = require("node:child_process");
const { createHash, X509Certificate } = require("node:crypto");
const { once } = require("node:events");
const http2 = require("node:http2");
const net = require("node:net");
const tls = require("node:tls");
const { stripVTControlCharacters } = require("node:util");
const { chromium } = require("playwright-core");

const [browserPath, serverPath] = process.argv.slice(2);
const patience = 20_000; // milliseconds for whatever is waited for

class Server {
  static async start() {
    const listener = net.createServer().listen(0, "127.0.0.1");
    await once(listener, "listening");
    const { port } = listener.address();
    listener.close();
    const server = new Server(port);
    await server.accepts();
    return server;
  }

  constructor(port) {
    this.port = port;
    this.said = "";
    this.authority = "";
    this.process = spawn(serverPath, [], { env: { ...process.env, PORT: String(port) } });
    this.ended = once(this.process, "exit");
    this.process.stdout.on("data", (data) => (this.authority += data));
    this.process.stderr.on("data", (data) => (this.said += data));
  }

  async accepts() {
    const end = Date.now() + patience;
    for (;;) {
      const socket = net.connect(this.port, "127.0.0.1");
      const accepted = await new Promise((resolve) => {
        socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
      });
      socket.destroy();
      if (accepted) return;
      if (this.process.exitCode !== null || Date.now() > end) throw new Error("the server did not start");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async stop(signal = "SIGTERM") {
    this.process.kill(signal);
    const [code] = await this.ended;
    return code;
  }

  // What Chromium knows a key by.
  fingerprint() {
    const key = new X509Certificate(this.authority).publicKey.export({ type: "spki", format: "der" });
    return createHash("sha256").update(key).digest("base64");
  }
}

// Checks build on one another, so the first failure ends the run.
async function check(name, body) {
  try {
    await body();
    console.log("ok   browser:", name);
  } catch (problem) {
    console.log("FAIL browser:", name);
    throw problem;
  }
}

function within(promise, what) {
  const late = new Promise((_, reject) => setTimeout(reject, patience, new Error(`${what}: too late`)).unref());
  return Promise.race([promise, late]);
}

// What runs in the page: a socket whose messages can be awaited one by one.
function install() {
  window.open_socket = async (path, protocols = []) => {
    const socket = new WebSocket(`wss://${location.host}${path}`, protocols);
    socket.binaryType = "arraybuffer";
    const heard = [];
    const waiting = [];
    socket.onmessage = ({ data }) => (waiting.length ? waiting.shift()(data) : heard.push(data));
    socket.next = () => (heard.length ? heard.shift() : new Promise((resolve) => waiting.push(resolve)));
    socket.gone = new Promise((resolve) => {
      socket.onclose = ({ code, reason, wasClean }) => resolve({ code, reason, wasClean });
    });
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error(`no socket at ${path}`));
    });
    return socket;
  };
}

async function inChromium(server) {
  const flags = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    `--ignore-certificate-errors-spki-list=${server.fingerprint()}`,
  ];
  const browser = await chromium.launch({ executablePath: browserPath, headless: true, args: flags });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(patience);
    await page.addInitScript(install);

    await check("a page comes over HTTP/2", async () => {
      // There is none, and the server says so.
      await page.goto(`https://localhost:${server.port}/`);
      const protocol = await page.evaluate(() => performance.getEntriesByType("navigation")[0].nextHopProtocol);
      assert.strictEqual(protocol, "h2");
    });
    await check("all its sockets share one connection", async () => {
      const seen = await page.evaluate(async () => {
        window.sockets = await Promise.all(Array.from({ length: 20 }, () => open_socket("/seen")));
        return Promise.all(sockets.map((socket) => socket.next()));
      });
      assert.match(seen[0], /^HTTP\/2\.0 encrypted 127\.0\.0\.1:\d+$/);
      assert.strictEqual(new Set(seen).size, 1, seen.join());
    });
    await check("what they say comes back, each to its own", async () => {
      const [texts, length] = await page.evaluate(async () => {
        sockets.forEach((socket, index) => socket.send(`Grüße ${index}`));
        const texts = await Promise.all(sockets.map((socket) => socket.next()));
        sockets[0].send(new Uint8Array(1 << 20));
        return [texts, (await sockets[0].next()).byteLength];
      });
      assert.deepStrictEqual(texts, Array.from({ length: 20 }, (_, index) => `Grüße ${index}`));
      assert.strictEqual(length, 1 << 20);
    });
    await check("subprotocol and compression are agreed on", async () => {
      const [protocol, extensions, text] = await page.evaluate(async () => {
        const socket = await open_socket("/seen", ["other", "seen.v1"]);
        await socket.next();
        socket.send("again and ".repeat(10_000).slice(0, 65_000));
        const text = await socket.next();
        return [socket.protocol, socket.extensions, text];
      });
      assert.strictEqual(protocol, "seen.v1");
      assert.match(extensions, /^permessage-deflate/);
      assert.strictEqual(text, "again and ".repeat(10_000).slice(0, 65_000));
    });
    await check("a socket is closed by the page", async () => {
      const gone = await page.evaluate(() => {
        sockets[0].close(4001, "bye");
        return sockets[0].gone;
      });
      assert.deepStrictEqual(gone, { code: 4001, reason: "", wasClean: true });
    });
    await check("a socket is closed by the server", async () => {
      const gone = await page.evaluate(() => {
        sockets[1].send("that is all");
        return sockets[1].gone;
      });
      assert.deepStrictEqual(gone, { code: 4002, reason: "as you like", wasClean: true });
    });
    await check("one that there is not is an error", async () => {
      const problem = await page.evaluate(() => open_socket("/nowhere").catch((problem) => problem.message));
      assert.strictEqual(problem, "no socket at /nowhere");
    });
    await check("the server stops, and tells all that are left", async () => {
      const gone = page.evaluate(() => Promise.all(sockets.slice(2).map((socket) => socket.gone)));
      assert.strictEqual(await within(server.stop(), "the end of the server"), 0);
      for (const { code, wasClean } of await gone) assert.deepStrictEqual([code, wasClean], [1001, true]);
    });
  } finally {
    await browser.close();
  }
}

// A text as a client sends it.
function masked(text) {
  const payload = Buffer.from(text);
  assert(payload.length < 126);
  const mask = Buffer.from([1, 2, 3, 4]);
  const frame = Buffer.concat([Buffer.from([0x81, 0x80 | payload.length]), mask, payload]);
  for (let index = 0; index < payload.length; index++) frame[6 + index] ^= mask[index % 4];
  return frame;
}

async function inNode(server) {
  const options = { ca: server.authority, servername: "localhost" };
  const session = http2.connect(`https://localhost:${server.port}`, { ...options, host: "127.0.0.1" });
  try {
    await check("the server says that it can, to Node's client", async () => {
      const [settings] = await within(once(session, "remoteSettings"), "settings");
      assert.strictEqual(settings.enableConnectProtocol, true);
    });
    await check("Node's client opens a WebSocket", async () => {
      const stream = session.request(
        { ":method": "CONNECT", ":protocol": "websocket", ":path": "/seen", "sec-websocket-version": "13" },
        { endStream: false },
      );
      const [headers] = await within(once(stream, "response"), "the answer");
      assert.strictEqual(headers[":status"], 200);
      assert.strictEqual(headers["sec-websocket-accept"], undefined);
      let heard = Buffer.alloc(0);
      stream.on("data", (data) => {
        heard = Buffer.concat([heard, data]);
        stream.emit("heard");
      });
      const hears = async (text) => {
        while (!heard.includes(text)) await within(once(stream, "heard"), text);
      };
      await hears("HTTP/2.0 encrypted");
      stream.write(masked("from node"));
      await hears("from node");
      stream.end(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]));
      await within(once(stream, "close"), "the end of the stream");
      assert(heard.subarray(-4).equals(Buffer.from([0x88, 2, 0x03, 0xe8])), heard.toString("hex"));
      assert.strictEqual(stream.rstCode, 0);
    });
  } finally {
    session.destroy();
  }
}

async function byHttp1(server) {
  await check("who offers HTTP/1.1 only is spoken to in that", async () => {
    const offered = { host: "127.0.0.1", port: server.port, ca: server.authority, servername: "localhost" };
    const socket = tls.connect({ ...offered, ALPNProtocols: ["http/1.1"] });
    await within(once(socket, "secureConnect"), "TLS");
    assert.strictEqual(socket.alpnProtocol, "http/1.1");
    socket.write(
      "GET /seen HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let heard = "";
    while (!heard.includes("encrypted")) heard += (await within(once(socket, "data"), "an answer"))[0];
    assert.match(heard, /^HTTP\/1\.1 101 [^]*HTTP\/1\.1 encrypted/);
    socket.destroy();
  });
}

async function main() {
  let server;
  let failed = false;
  try {
    server = await Server.start();
    await inNode(server);
    await byHttp1(server);
    await inChromium(server);
  } catch (problem) {
    failed = true;
    console.log(stripVTControlCharacters(problem.stack));
    console.log(`the server said:\n${server?.said ?? ""}`);
  }
  await server?.stop("SIGKILL");
  process.exit(failed ? 1 : 0);
}

main();
