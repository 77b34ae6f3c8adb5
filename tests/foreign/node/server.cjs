// Node's `ws` as a server of our client: what each path does, `tests/src/bin/caller.rs` says.
//
// Prints its URL on the first line, and serves until its standard input ends.
"use strict";
const http = require("node:http");
const { once } = require("node:events");
const { WebSocketServer } = require("ws");

const login = "Basic " + Buffer.from("Ada:lovelace").toString("base64");
const idleTime = 500; // milliseconds
const witnesses = new Set();

function echo(socket) {
  socket.on("message", (data, binary) => socket.send(data, { binary }));
}

const paths = {
  "/echo": echo,
  "/private": echo,

  "/fragments": (socket) => {
    socket.on("message", (data, binary) => {
      const half = data.length >> 1;
      const parts = binary ? [data.subarray(0, half), data.subarray(half)] : data.toString().split(" ");
      parts.forEach((part, index) => socket.send(part, { fin: index === parts.length - 1 }));
    });
  },

  "/halves": (socket) => {
    socket.send("first, ", { fin: false });
    socket.on("message", () => socket.send("last", { fin: true }));
  },

  "/pings": (socket) => {
    socket.on("message", (data) => socket.ping(data));
    socket.on("pong", (data) => socket.send("pong " + data));
  },

  "/subprotocols": (socket) => socket.send(socket.protocol || "none"),

  "/close": (socket) => {
    socket.on("message", (order) => {
      const [code, text] = String(order).split(" ");
      if (code === "none") socket.close();
      else socket.close(Number(code), text);
    });
  },

  "/closing": (socket) => {
    socket.on("close", (code, reason) => {
      for (const witness of witnesses) witness.send(`${code} ${reason}`.trim());
    });
  },

  "/witness": (socket) => {
    witnesses.add(socket);
    socket.on("close", () => witnesses.delete(socket));
    socket.send("open");
  },

  "/header": (socket, request) => socket.send(request.headers["x-asked"]),

  "/rooms": (socket, request) => socket.send(request.url.split("/")[2]),

  "/idle": (socket) => {
    const timer = setTimeout(() => socket.close(1001, "idle"), idleTime);
    socket.on("message", () => timer.refresh());
    socket.on("close", () => clearTimeout(timer));
  },
};

function handler(url) {
  const [, first, second, ...more] = url.split("/");
  const known = Object.hasOwn(paths, "/" + first) && more.length === 0;
  return known && (second !== undefined) === (first === "rooms") ? paths["/" + first] : undefined;
}

const server = http.createServer();
const sockets = new WebSocketServer({
  noServer: true,
  perMessageDeflate: true,
  maxPayload: 0,
  handleProtocols: (offered) => ["chat.v2", "chat.v1"].find((name) => offered.has(name)) ?? false,
});

server.on("upgrade", (request, stream, head) => {
  const refuse = (status, more = "") => stream.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\n${more}Connection: close\r\n\r\n`);
  const handle = handler(request.url);
  if (!handle) return refuse("404 Not Found");
  if (request.url === "/private" && request.headers.authorization !== login) {
    return refuse("401 Unauthorized", 'WWW-Authenticate: Basic realm="tests"\r\n');
  }
  sockets.handleUpgrade(request, stream, head, (socket) => {
    socket.on("error", (problem) => console.error("node server:", problem.message));
    handle(socket, request);
  });
});

server.listen(0, "127.0.0.1", () => console.log(`ws://127.0.0.1:${server.address().port}`));
once(process.stdin.resume(), "end").then(() => process.exit(0));
