// The chat page in Chromium: two people talk, one reloads, the server goes away and comes back.
//
//   chat.cjs CHROMIUM SERVER      executables; the server reads PORT
//
// One line for each check; exit status 1 when one failed. The page is found by its data-testid attributes.
"use strict";
const assert = require("node:assert");
const { spawn } = require("node:child_process");
const { once } = require("node:events");
const net = require("node:net");
const path = require("node:path");
const { stripVTControlCharacters } = require("node:util");
const { chromium } = require("playwright-core");

const [browserPath, serverPath] = process.argv.slice(2);
const patience = 20_000; // milliseconds for whatever a page has to show

const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

// The example as a process, on a port that stays the same when it is started again.
class Server {
  static async on(port) {
    const server = new Server(port);
    await server.accepts();
    return server;
  }

  constructor(port) {
    this.port = port;
    this.said = "";
    this.process = spawn(serverPath, [], { env: { ...process.env, PORT: String(port) } });
    this.ended = once(this.process, "exit");
    for (const stream of [this.process.stdout, this.process.stderr]) stream.on("data", (data) => (this.said += data));
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
      if (this.process.exitCode !== null || Date.now() > end) throw new Error(`the server did not start: ${this.said}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async stop(signal = "SIGTERM") {
    this.process.kill(signal);
    const [code] = await this.ended;
    return code;
  }
}

// What stands between a page and the server, and can be cut.
class Cable {
  static async to(port) {
    const cable = new Cable();
    cable.sockets = new Set();
    cable.listener = net.createServer((socket) => {
      const onward = net.connect(port, "127.0.0.1");
      for (const [from, to] of [[socket, onward], [onward, socket]]) {
        cable.sockets.add(from);
        from.pipe(to);
        from.on("error", () => to.destroy()).on("close", () => (cable.sockets.delete(from), to.destroy()));
      }
    });
    cable.listener.listen(0, "127.0.0.1");
    await once(cable.listener, "listening");
    return cable;
  }

  get url() {
    return `http://127.0.0.1:${this.listener.address().port}/`;
  }

  cut() {
    for (const socket of this.sockets) socket.destroy();
  }
}

// One person's page.
class Person {
  static async at(browser, nickname) {
    const context = await browser.newContext({ viewport: { width: 1000, height: 700 } });
    context.setDefaultTimeout(patience);
    return new Person(nickname, await context.newPage());
  }

  constructor(nickname, page) {
    this.nickname = nickname;
    this.page = page;
    this.problems = [];
    page.on("pageerror", (error) => this.problems.push(String(error)));
  }

  element(id) {
    return this.page.getByTestId(id);
  }

  // Fills in the form, as one who comes for the first time.
  async join(url, room) {
    await this.page.goto(url);
    await this.element("nickname").fill(this.nickname);
    await this.element("room").fill(room);
    await this.element("join").click();
    await this.is("open");
  }

  // Follows a link that says it all.
  async follow(url, room) {
    await this.page.goto(`${url}?room=${encodeURIComponent(room)}&nick=${encodeURIComponent(this.nickname)}`);
    await this.is("open");
  }

  async say(text) {
    await this.element("message").fill(text);
    await this.element("send").click();
  }

  // A person has to see that something is wrong; that all is well may go without saying.
  async is(state) {
    const status = this.page.locator(`[data-testid=status][data-state=${state}]`);
    await status.waitFor({ state: state === "open" ? "attached" : "visible" });
  }

  // Waits for a line of the page's own.
  async tells(text) {
    await this.element("entry").filter({ hasText: text }).first().waitFor();
  }

  async hears(nickname, text) {
    await this.element("entry").filter({ hasText: nickname }).filter({ hasText: text }).first().waitFor();
  }

  // Waits until the list of people holds exactly these, in whatever order.
  async sees(...nicknames) {
    const expected = nicknames.sort().join();
    const shown = async () => (await this.element("person").allTextContents()).map((text) => text.trim()).sort().join();
    const end = Date.now() + patience;
    while ((await shown()) !== expected) {
      if (Date.now() > end) assert.strictEqual(await shown(), expected);
      await this.page.waitForTimeout(50);
    }
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

async function picture(person, name) {
  const folder = process.env.TESTS_SCREENSHOTS;
  if (folder) await person.page.screenshot({ path: path.join(folder, `${name}.png`) });
}

async function freePort() {
  const listener = net.createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  listener.close();
  return port;
}

async function conversation(browser, url, servers) {
  const ann = await Person.at(browser, "Ann");
  const bo = await Person.at(browser, "Bo");

  await check("one joins by the form", async () => {
    await ann.join(url, "blue");
    await ann.sees("Ann");
  });
  await check("another joins by a link, and both see both", async () => {
    await bo.follow(url, "blue");
    await ann.sees("Ann", "Bo");
    await bo.sees("Ann", "Bo");
  });
  await check("what one says, both hear", async () => {
    await ann.say("Hello, Bo!");
    await bo.hears("Ann", "Hello, Bo!");
    await ann.hears("Ann", "Hello, Bo!");
    await bo.say("Grüße 👩‍🚀 <b>not bold</b>");
    await ann.hears("Bo", "Grüße 👩‍🚀 <b>not bold</b>");
    await picture(ann, "talking");
  });
  await check("markup stays text", async () => {
    assert.strictEqual(await ann.element("log").locator("b", { hasText: "not bold" }).count(), 0);
  });
  await check("another room hears nothing", async () => {
    const cy = await Person.at(browser, "Cy");
    await cy.follow(url, "red");
    await cy.sees("Cy");
    await bo.say("only for blue");
    await ann.hears("Bo", "only for blue");
    await cy.say("only for red");
    await cy.hears("Cy", "only for red");
    assert.strictEqual(await cy.element("entry").filter({ hasText: "only for blue" }).count(), 0);
    await cy.page.context().close();
    await ann.sees("Ann", "Bo");
  });
  await check("one reloads, and the other sees it go on", async () => {
    await bo.page.reload();
    await bo.is("open");
    await ann.sees("Ann", "Bo");
    await bo.sees("Ann", "Bo");
    await bo.say("back again");
    await ann.hears("Bo", "back again");
  });
  await check("one leaves, and the other sees it", async () => {
    const left = bo.page.url();
    await bo.page.goto("about:blank");
    await ann.sees("Ann");
    await bo.page.goto(left);
    await bo.is("open");
    await ann.sees("Ann", "Bo");
  });
  await check("a connection is cut, and its person goes on by the same name and has missed nothing", async () => {
    const cable = await Cable.to(servers.at(-1).port);
    const di = await Person.at(browser, "Di");
    await di.follow(cable.url, "blue");
    await ann.sees("Ann", "Bo", "Di");
    await di.page.locator("#rename").click();
    await di.page.locator("#new-nick").fill("Diana");
    await di.page.locator("#rename-dialog .primary").click();
    await ann.sees("Ann", "Bo", "Diana");
    await bo.say("before the cut");
    await di.hears("Bo", "before the cut");
    await di.say("my own words");
    await bo.hears("Diana", "my own words");
    cable.cut();
    await bo.say("during the cut");
    await di.tells("Connection lost");
    await di.tells("Reconnected, nothing missed.");
    await ann.sees("Ann", "Bo", "Diana");
    await bo.say("after the cut");
    await di.hears("Bo", "after the cut");
    for (const text of ["my own words", "before the cut", "during the cut", "after the cut"]) {
      assert.strictEqual(await di.element("entry").filter({ hasText: text }).count(), 1, text);
    }
    assert.strictEqual(await di.element("entry").filter({ hasText: "may have been missed" }).count(), 0);
    await picture(di, "resumed");
    assert.deepStrictEqual(di.problems, []);
    await di.page.context().close();
    cable.listener.close();
    await ann.sees("Ann", "Bo");
  });
  await check("the server stops when it is asked to, and both pages show that they reconnect", async () => {
    assert.strictEqual(await servers.at(-1).stop(), 0);
    await Promise.all([ann.is("reconnecting"), bo.is("reconnecting")]);
    await picture(ann, "reconnecting");
  });
  await check("the server comes back, and so do both", async () => {
    servers.push(await Server.on(servers.at(-1).port));
    await Promise.all([ann.is("open"), bo.is("open")]);
    await ann.sees("Ann", "Bo");
    await ann.say("that was quick");
    await bo.hears("Ann", "that was quick");
  });
  await check("the server crashes, comes back, and so do both", async () => {
    await servers.at(-1).stop("SIGKILL");
    await Promise.all([ann.is("reconnecting"), bo.is("reconnecting")]);
    servers.push(await Server.on(servers.at(-1).port));
    await Promise.all([ann.is("open"), bo.is("open")]);
    await ann.tells("some messages may have been missed");
    await bo.say("and again");
    await ann.hears("Bo", "and again");
    await picture(bo, "again");
  });
  await check("no script failed meanwhile", async () => {
    assert.deepStrictEqual([...ann.problems, ...bo.problems], []);
  });
}

async function main() {
  const servers = [];
  let browser;
  let failed = false;
  try {
    const port = await freePort();
    servers.push(await Server.on(port));
    // Each launch has an empty profile of its own.
    browser = await chromium.launch({ executablePath: browserPath, headless: true, args: flags });
    await conversation(browser, `http://127.0.0.1:${port}/`, servers);
  } catch (problem) {
    failed = true;
    console.log(stripVTControlCharacters(problem.stack));
    console.log(`the server said:\n${servers.at(-1)?.said ?? ""}`);
  }
  await browser?.close();
  await servers.at(-1)?.stop("SIGKILL");
  process.exit(failed ? 1 : 0);
}

main();
