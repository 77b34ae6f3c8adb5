// The `ws` library on Node. DEFLATE=1 has it compress what it sends.
const { WebSocketServer } = require("ws");

const perMessageDeflate =
  process.env.DEFLATE === "1" && { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true };
const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.env.PORT), backlog: 4096, perMessageDeflate });
const everybody = new Set();

server.on("connection", (socket, request) => {
  socket.on("error", () => {});
  if (request.url !== "/bcast") {
    socket.on("message", (message, binary) => socket.send(message, { binary }));
    return;
  }
  everybody.add(socket);
  socket.on("close", () => everybody.delete(socket));
  socket.on("message", (message, binary) => {
    for (const member of everybody) member.send(message, { binary });
  });
});
