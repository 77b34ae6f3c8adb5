// Bun's own WebSocket server, which is uWebSockets. DEFLATE=1 has it compress what it sends.
const deflate = process.env.DEFLATE === "1";

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  fetch(request, server) {
    const everybody = request.url.endsWith("/bcast");
    return server.upgrade(request, { data: { everybody } }) ? undefined : new Response("not a handshake", { status: 400 });
  },
  websocket: {
    perMessageDeflate: deflate,
    idleTimeout: 960,
    maxPayloadLength: 64 << 20,
    backpressureLimit: 128 << 20,
    open(socket) {
      if (socket.data.everybody) socket.subscribe("everybody");
    },
    message(socket, message) {
      // The server's publish, unlike the socket's own, leaves nobody out.
      if (socket.data.everybody) server.publish("everybody", message);
      else socket.send(message, deflate);
    },
  },
});
