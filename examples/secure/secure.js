// The page of the canvas: signs in, opens the canvas with the token among the subprotocols, and brings a new one before it expires.

const COLORS = ["#ffffff", "#222222", "#d33c32", "#f2a33a", "#f6dd4b", "#4a9c5d", "#3b76c4", "#8b5aa8"];
const SIDE = 24;

const part = (id) => document.getElementById(id);
const brush = part("canvas").getContext("2d");
const scale = part("canvas").width / SIDE;

let token;
let socket;
let renewal;
let color = 1;

function say(text) {
  part("state").textContent = text;
}

async function ask(path, body) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const response = await fetch(path, { method: "POST", headers, body });
  if (!response.ok) {
    throw new Error(await response.text());
  }
  return response.status === 204 ? undefined : response.json();
}

function paint(x, y, value) {
  brush.fillStyle = COLORS[value];
  brush.fillRect(x * scale, y * scale, scale, scale);
}

function hear(data) {
  if (typeof data !== "string") {
    const bytes = new Uint8Array(data);
    if (bytes.length === 3) {
      paint(bytes[0], bytes[1], bytes[2]);
    } else {
      bytes.forEach((value, index) => paint(index % SIDE, Math.floor(index / SIDE), value));
    }
    return;
  }
  const event = JSON.parse(data);
  if (event.type === "welcome") {
    part("who").textContent = event.paints ? `${event.name} may paint.` : `${event.name} may look.`;
  } else if (event.type === "renewed") {
    say(`The token was renewed at ${new Date().toLocaleTimeString()}.`);
  } else {
    say(event.text);
  }
}

// Halfway through its time a token is replaced, and the socket told.
function renewLater(seconds) {
  clearTimeout(renewal);
  renewal = setTimeout(async () => {
    try {
      const next = await ask("/token");
      token = next.token;
      socket.send(token);
      renewLater(next.seconds);
    } catch (error) {
      say(error.message);
    }
  }, seconds * 500);
}

function open() {
  socket = new WebSocket(`wss://${location.host}/canvas`, ["canvas.v1", "bearer", token]);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("message", (event) => hear(event.data));
  socket.addEventListener("open", () => {
    part("login").hidden = true;
    part("studio").hidden = false;
    say(`Connected, speaking ${socket.protocol}.`);
  });
  socket.addEventListener("close", (event) => {
    clearTimeout(renewal);
    token = undefined;
    part("login").hidden = false;
    part("studio").hidden = true;
    say(event.reason ? `Closed: ${event.code}, ${event.reason}.` : `Closed: ${event.code}.`);
  });
}

part("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const login = { name: part("name").value, password: part("password").value };
    const given = await ask("/login", JSON.stringify(login));
    token = given.token;
    open();
    renewLater(given.seconds);
  } catch (error) {
    say(error.message);
  }
});

part("logout").addEventListener("click", () => ask("/logout").catch((error) => say(error.message)));

part("canvas").addEventListener("pointerdown", (event) => {
  const box = part("canvas").getBoundingClientRect();
  const x = Math.floor(((event.clientX - box.left) / box.width) * SIDE);
  const y = Math.floor(((event.clientY - box.top) / box.height) * SIDE);
  socket.send(new Uint8Array([x, y, color]));
});

COLORS.forEach((value, index) => {
  const button = document.createElement("button");
  button.style.background = value;
  button.title = value;
  button.setAttribute("aria-pressed", String(index === color));
  button.addEventListener("click", () => {
    color = index;
    for (const [other, each] of [...part("colors").children].entries()) {
      each.setAttribute("aria-pressed", String(other === index));
    }
  });
  part("colors").append(button);
});
