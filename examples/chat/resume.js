// A WebSocket that comes back by itself, and goes on where it was: the client of sessions that can be resumed. What it says to the server and
// hears from it is documented with the server, on the page "The wire form for clients"; to speak it from another program, translate this class.

const FIRST_DELAY = 500;          // milliseconds before the first reconnect; doubles with each failure …
const LONGEST_DELAY = 15_000;     // … up to this
const CONNECT_TIMEOUT = 10_000;   // an attempt that hangs longer is given up
const STABLE_AFTER = 5_000;       // a connection that lasted this long makes the delays start over
const SAY_SEEN_EVERY = 16;        // messages, after which the server is told that it need not keep them
const FINAL = [1008, 4009];       // refused for good, and replaced by another connection: trying again is pointless

const MARK = "\u0001";            // what a message begins with that is not the application's

/** Reconnects with jittered exponential back-off, and resumes its session; it never queues. */
export class ResumingSocket {
  #address; #listener; #socket; #since = 0; #failures = 0; #timer; #ticker;
  #token = null;                  // resumes the session
  #seen = 0;                      // messages since the server has told which session it is
  #at = {};                       // the place in each recoverable room: {room: [epoch, offset]}
  #header = null;                 // what the server has said of the message that comes next
  #back = null;                   // after a reconnect, until it is certain whether anything was missed

  /**
   * `address()` is asked before every attempt. `listener` has `state(name, seconds)`, `message(data)`, `lost(reason)`, and `back(how)`,
   * which is told after a reconnect: `how.resumed`, whether the session goes on; `how.missed.messages`, whether any are missing;
   * `how.whole` and `how.missed.rooms`, the recoverable rooms without and with a gap. If it has `missed(room)`, that is told of a gap
   * while connected; if it has `ask(data)`, that answers questions.
   */
  constructor(address, listener) {
    this.#address = address;
    this.#listener = listener;
    this.#connect("connecting");
  }

  get isOpen() { return this.#socket?.readyState === WebSocket.OPEN; }

  /** Sends now, or says that it could not. */
  send(data) {
    if (!this.isOpen) return false;
    if (typeof data === "string" && data.startsWith(MARK)) this.#say({});
    this.#socket.send(data);
    return true;
  }

  /** Cuts a wait for the next attempt short. */
  hurry() { if (this.#ticker) this.#connect("reconnecting"); }

  /** Tries at once, even where the server has ended it for good. */
  retry() { if (!this.#socket) this.#connect("reconnecting"); }

  close() {
    this.#stopWaiting();
    this.#forget()?.close(1000);
    this.#listener.state("closed");
  }

  // ------------------------------------------------------------------------------------------ the session

  #say(control) { this.#socket.send(MARK + JSON.stringify(control)); }

  #received(data) {
    const header = this.#header;
    if (!header && typeof data === "string" && data.startsWith(MARK)) return this.#told(JSON.parse(data.slice(1)));
    this.#header = null;
    if (header?.ask !== undefined) return this.#asked(header.ask, data);
    if (header?.at) this.#at[header.at[0]] = header.at.slice(1);
    else if (++this.#seen % SAY_SEEN_EVERY === 0) this.#say({ seen: this.#seen });
    this.#listener.message(data);
  }

  #told(control) {
    const { session, joined, recovered } = control;
    if (session) {
      const back = { resumed: session.resumed, whole: [], missed: { messages: session.lost !== 0, rooms: [] } };
      if (this.#token) this.#back = { ...back, open: new Set(Object.keys(this.#at)) };
      this.#token = session.token;
      this.#seen = 0;
    } else if (joined) {
      this.#at[joined[0]] = joined.slice(1);
    } else if (recovered) {
      const [room, whole, ...place] = recovered;
      if (place.length) this.#at[room] = place;
      else if (!whole) delete this.#at[room];
      if (this.#back?.open.delete(room)) (whole ? this.#back.whole : this.#back.missed.rooms).push(room);
      else if (!whole) this.#listener.missed?.(room);
    } else {
      this.#header = control;
    }
    if (this.#back?.open.size === 0) {
      const back = this.#back;
      this.#back = null;
      this.#listener.back(back);
    }
  }

  #asked(number, question) {
    const answer = this.#listener.ask?.(question);
    if (answer === undefined) return;
    this.#say({ answer: number });
    this.#socket.send(answer);
  }

  // --------------------------------------------------------------------------------------- the connection

  #connect(state) {
    this.#stopWaiting();
    this.#listener.state(state);
    const address = new URL(this.#address());
    address.searchParams.set("resume", "1");
    const socket = this.#socket = new WebSocket(address);
    this.#timer = setTimeout(() => this.#ended({ code: 1006, reason: "" }), CONNECT_TIMEOUT);
    socket.onopen = () => {
      clearTimeout(this.#timer);
      this.#since = Date.now();
      this.#header = this.#back = null;
      this.#say({ resume: this.#token, at: this.#at, seen: this.#seen });
      this.#listener.state("open");
    };
    socket.onmessage = ({ data }) => this.#received(data);
    socket.onclose = (close) => this.#ended(close);
  }

  #ended({ code, reason }) {
    const wasOpen = this.#since > 0;
    if (wasOpen && Date.now() - this.#since > STABLE_AFTER) this.#failures = 0;
    this.#since = 0;
    this.#stopWaiting();
    this.#forget()?.close();
    if (wasOpen) this.#listener.lost(reason);
    if (FINAL.includes(code)) this.#listener.state("closed");
    else this.#wait();
  }

  /** Half of the delay is chance, so that the pages of a restarted server do not come back all at once. */
  #wait() {
    const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.#failures++) * (0.5 + Math.random() / 2);
    const due = Date.now() + delay;
    const tick = () => this.#listener.state("reconnecting", Math.ceil((due - Date.now()) / 1000));
    this.#timer = setTimeout(() => this.#connect("reconnecting"), delay);
    this.#ticker = setInterval(tick, 250);
    tick();
  }

  #stopWaiting() {
    clearTimeout(this.#timer);
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  }

  /** Lets go of the socket: whatever it still reports is of no interest. */
  #forget() {
    const socket = this.#socket;
    if (socket) socket.onopen = socket.onmessage = socket.onclose = null;
    this.#socket = undefined;
    return socket;
  }
}
