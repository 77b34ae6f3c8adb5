// The chat page: a join form, one room, and a connection that comes back by itself (resume.js).
//
// The page says to the server   {type: "say", text} and {type: "rename", nick}; each is answered by exactly one of
// "sent", "named" and "error", in order. Besides, the server tells "welcome", "people", "joined", "left", "renamed" and
// "said". What people wrote reaches the document through textContent only, so it is never markup.

import { ResumingSocket } from "./resume.js";

const KEPT_LINES = 500;           // the log forgets older lines, so that a day in a busy room costs no memory
const SAME_BREATH = 120_000;      // lines by one person within this time stand together under one name

const $ = (id) => document.getElementById(id);

// ---------------------------------------------------------------------------------------------- view

function make(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

/** Gives an element its person's colour and initial. */
function dress(element, nick) {
  let hash = 0;
  for (const character of nick) hash = (hash * 31 + character.codePointAt(0)) % 3600;
  element.style.setProperty("--hue", String(hash / 10));
  element.dataset.initial = [...nick][0].toUpperCase();
  return element;
}

function clock() {
  const now = new Date();
  const time = make("time", "", now.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = now.toISOString();
  return time;
}

/** The message log: follows the newest line unless the reader has scrolled up. */
const log = {
  last: { nick: null, own: false, at: 0 },
  atEnd: true,
  height: 0,

  append(entry, follow = false) {
    const element = $("log");
    entry.dataset.testid = "entry";
    element.append(entry);
    while (element.children.length > KEPT_LINES) element.firstElementChild.remove();
    if (this.atEnd || follow) this.toEnd();
    else $("latest").hidden = false;
  },

  toEnd() {
    $("log").scrollTop = $("log").scrollHeight;
    this.atEnd = true;
    $("latest").hidden = true;
  },

  /** The reader scrolled, unless the height has changed too: then it is `resized` that knows what to do. */
  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = $("log");
    if (clientHeight !== this.height) return;
    this.atEnd = scrollHeight - scrollTop - clientHeight < 40;
    if (this.atEnd) $("latest").hidden = true;
  },

  /** The log is as high as the composer leaves it: its end stays in sight. */
  resized() {
    this.height = $("log").clientHeight;
    if (this.atEnd) this.toEnd();
  },

  system(text, trouble = false) {
    const entry = make("div", `entry system${trouble ? " trouble" : ""}`);
    entry.append(make("span", "", text), clock());
    this.last = { nick: null, own: false, at: 0 };
    this.append(entry);
  },

  said(nick, text, own) {
    const follows = this.last.nick === nick && this.last.own === own && Date.now() - this.last.at < SAME_BREATH;
    this.last = { nick, own, at: Date.now() };
    const entry = make("div", `entry ${own ? "own" : "other"}${follows ? " follows" : ""}`);
    const row = dress(make("div", "bubble-row"), nick);
    const talk = make("div", "talk");
    const byline = make("div", follows ? "byline unseen" : "byline");
    byline.append(make("span", "nick", nick), clock());
    talk.append(byline, make("div", "text", text));
    row.append(talk);
    entry.append(row);
    this.append(entry, own);
  },

  clear() {
    $("log").replaceChildren();
    this.toEnd();
    this.last = { nick: null, own: false, at: 0 };
  },
};

const order = new Intl.Collator(undefined, { sensitivity: "base", numeric: true });

function showPeople(names) {
  $("count").textContent = String(names.length);
  const isMe = (nick) => nick === chat.nick;
  const sorted = [...names].sort((a, b) => isMe(b) - isMe(a) || order.compare(a, b));
  $("people").replaceChildren(...sorted.map((nick) => {
    const person = dress(make("li", isMe(nick) ? "person me" : "person", nick), nick);
    person.dataset.testid = "person";
    return person;
  }));
}

const WORDS = { connecting: "Connecting…", open: "Connected", reconnecting: "Reconnecting…", closed: "Disconnected" };

function showState(state, seconds) {
  const pill = $("status");
  if (pill.dataset.state !== state) $("announce").textContent = WORDS[state];
  pill.dataset.state = state;
  pill.textContent = seconds > 0 ? `Reconnecting in ${seconds} s` : WORDS[state];
  const open = state === "open";
  $("send").disabled = !open;
  $("rename").disabled = !open;
  $("people").classList.toggle("stale", !open);
  $("offline").hidden = open || state === "connecting";
}

/** Unread lines are counted in the tab's title while nobody looks. */
let unread = 0;
function showTitle() {
  document.title = (unread ? `(${unread}) ` : "") + (chat ? `#${chat.room}` : "Chat");
}
function noticed() {
  if (document.hidden) unread += 1;
  showTitle();
}

// ---------------------------------------------------------------------------------------------- one room

/** The room that the page is in, from joining to leaving. */
class Chat {
  #connection; #unanswered = []; #beenHere = false;

  constructor(room, nick) {
    this.room = room;
    this.nick = nick;
  }

  start() {
    this.#connection = new ResumingSocket(() => this.#address(), this);
  }

  #address() {
    const address = new URL(`chat/${encodeURIComponent(this.room)}`, document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    address.search = new URLSearchParams({ nick: this.nick });
    address.hash = "";
    return address;
  }

  say(text) { return this.#command({ type: "say", text }); }
  rename(nick) { return this.#command({ type: "rename", nick }); }
  hurry() { this.#connection.hurry(); }
  retry() { this.#connection.retry(); }
  leave() { this.#connection.close(); }

  #command(command) {
    const sent = this.#connection.send(JSON.stringify(command));
    if (sent) this.#unanswered.push(command);
    return sent;
  }

  state(state, seconds) {
    showState(state, seconds);
  }

  lost(reason) {
    log.system(`Connection lost${reason ? ` (${reason})` : ""}.`, true);
  }

  /** Only of a room that says so itself is it certain that nothing was missed. */
  back({ resumed, whole, missed }) {
    const nothing = resumed && !missed.messages && whole.includes(this.room);
    log.system(nothing ? "Reconnected, nothing missed." : "Reconnected, some messages may have been missed.", !nothing);
  }

  missed() {
    log.system("Some messages may have been missed.", true);
  }

  /** What was sent and is not answered by now may be lost: it is given back to its writer rather than dropped or sent twice. */
  #giveBack() {
    const texts = this.#unanswered.splice(0).filter(({ type }) => type === "say").map(({ text }) => text);
    if (texts.length) {
      log.system("Your last message may not have arrived. It is back in the message field.", true);
      composer.giveBack(texts.join("\n"));
    }
  }

  message(data) {
    const event = JSON.parse(data);
    switch (event.type) {
      case "welcome":
        this.nick = event.nick;
        composer.limit(event.longest);
        if (this.#beenHere) this.#giveBack();
        else log.system(event.greeting);
        this.#beenHere = true;
        break;
      case "people": showPeople(event.names); break;
      case "joined": log.system(`${event.nick} joined`); break;
      case "left": log.system(`${event.nick} left`); break;
      case "renamed": log.system(`${event.from} is now ${event.to}`); break;
      case "said": log.said(event.nick, event.text, false); noticed(); break;
      case "sent":
        this.#unanswered.shift();
        log.said(this.nick, event.text, true);
        break;
      case "named":
        this.#unanswered.shift();
        this.nick = event.nick;
        history.replaceState(null, "", pageAddress(this.room, this.nick));
        showPeople([...$("people").children].map(({ textContent }) => textContent));
        log.system(`You are now ${event.nick}`);
        break;
      case "error": {
        const refused = this.#unanswered.shift();
        log.system(event.text, true);
        if (refused?.type === "say") composer.giveBack(refused.text);
        break;
      }
    }
  }
}

/** The message field. */
const composer = {
  longest: Infinity,

  limit(longest) {
    this.longest = longest;
    $("message").maxLength = longest;
  },

  clear() {
    $("message").value = "";
    this.changed();
  },

  /** Puts a text back in front of what has been written since. */
  giveBack(text) {
    const field = $("message");
    field.value = [text, field.value].filter(Boolean).join("\n");
    this.changed();
  },

  changed() {
    const field = $("message");
    const left = this.longest - field.value.length;
    $("room-left").hidden = left > 200;
    $("room-left").textContent = String(left);
    if (CSS.supports("field-sizing", "content")) return;
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + 2}px`;
  },

  submit() {
    const field = $("message");
    const text = field.value.trim();
    if (text && chat?.say(text)) this.clear();
    field.focus();
  },
};

// ---------------------------------------------------------------------------------------------- the page

let chat = null;

function pageAddress(room, nick) {
  const address = new URL(location.href);
  address.search = new URLSearchParams(nick ? { room, nick } : { room });
  address.hash = "";
  return address.href;
}

/** Names as the server takes them; "." and ".." would vanish from an address. */
function problemWith(name, isRoom) {
  if (!name) return "Please fill this in.";
  if (isRoom && /^\.\.?$/.test(name)) return "A room needs a longer name.";
  if (/\p{Cc}/u.test(name)) return "Please use visible characters only.";
  return [...name].length > 24 ? "At most 24 characters, please." : "";
}

/** Shows what the address asks for: a room, or the form. */
function route() {
  chat?.leave();
  chat = null;
  unread = 0;
  const query = new URLSearchParams(location.search);
  const [room, nick] = ["room", "nick"].map((key) => (query.get(key) ?? "").trim());
  const joins = !problemWith(room, true) && !problemWith(nick, false);
  $("lobby").hidden = joins;
  $("chat").hidden = !joins;
  if (joins) {
    chat = new Chat(room, nick);
    $("title").textContent = room;
    log.clear();
    composer.clear();
    showPeople([]);
    chat.start();
    $("message").focus();
  } else {
    if (room) $("room").value = room;
    if (nick) $("nick").value = nick;
    $("nick").focus();
  }
  showTitle();
}

function navigate(address) {
  history.pushState(null, "", address);
  route();
}

for (const id of ["nick", "room", "new-nick"]) $(id).addEventListener("input", () => $(id).setCustomValidity(""));

/** Reads a name from a field, or shows there what is wrong with it. */
function nameFrom(field, isRoom) {
  const name = field.value.trim();
  field.setCustomValidity(problemWith(name, isRoom));
  return field.reportValidity() ? name : null;
}

$("join").addEventListener("submit", (event) => {
  event.preventDefault();
  const nick = nameFrom($("nick"), false);
  const room = nick && nameFrom($("room"), true);
  if (room) navigate(pageAddress(room, nick));
});

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  composer.submit();
});
$("message").addEventListener("input", () => composer.changed());
$("message").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  composer.submit();
});

$("log").addEventListener("scroll", () => log.scrolled());
new ResizeObserver(() => log.resized()).observe($("log"));
$("latest").addEventListener("click", () => log.toEnd());
$("retry").addEventListener("click", () => chat?.retry());
$("leave").addEventListener("click", () => navigate(pageAddress(chat.room)));

$("invite").addEventListener("click", async () => {
  const address = pageAddress(chat.room);
  try {
    await navigator.clipboard.writeText(address);
    $("announce").textContent = $("invite").textContent = "Copied";
    setTimeout(() => { $("invite").textContent = "Copy invite"; }, 1500);
  } catch {
    log.system(`Invite with ${address}`);                    // no clipboard without https or permission
  }
});

$("rename").addEventListener("click", () => {
  $("new-nick").value = chat.nick;
  $("rename-dialog").showModal();
  $("new-nick").select();
});
$("rename-dialog").querySelector("form").addEventListener("submit", (event) => {
  const nick = nameFrom($("new-nick"), false);
  if (!nick) return event.preventDefault();
  if (nick !== chat.nick && !chat.rename(nick)) log.system("Not renamed: there is no connection.", true);
});

$("keep-nick").addEventListener("click", () => $("rename-dialog").close());

addEventListener("popstate", route);
addEventListener("online", () => chat?.hurry());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unread = 0;
  showTitle();
  chat?.hurry();                                          // timers of hidden tabs may lag by a minute
});

route();
