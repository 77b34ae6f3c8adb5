//! The opening handshake by hand-written bytes: every refusal, what is accepted, and that a refused connection can go on.

use endpoint_runtime::prelude::*;
use serde::Deserialize;

use super::support::{Answer, Raw, exporter, only, start, text, upgrade};

/// Asks for everything that is checked before the upgrade.
#[server_endpoint("/rooms/{room}", origins = ["https://good.example"])]
struct Room;

#[handlers]
impl Room {
    #[on_message]
    fn message(&self, text: String, #[path] room: u16, #[query] seat: Option<u8>) -> String {
        format!("{room} {seat:?} {text}")
    }
}

/// Is for those who are known.
#[server_endpoint("/vault")]
struct Vault;

#[handlers]
impl Vault {
    #[on_message]
    fn message(&self, text: String, who: Principal<String>) -> String {
        format!("{}: {text}", *who)
    }
}

#[derive(Deserialize)]
struct Search {
    word: String,
    page: Option<u8>,
}

/// Takes the whole query string.
#[server_endpoint("/search")]
struct Searching;

#[handlers]
impl Searching {
    #[on_message]
    fn message(&self, _: String, Query(search): Query<Search>) -> String {
        format!("{} {:?}", search.word, search.page)
    }
}

/// Any text; no variable.
#[server_endpoint("/files/{name}")]
struct Files;

#[handlers]
impl Files {
    #[on_message]
    fn message(&self, _: String, #[path] name: String) -> String {
        name
    }
}

/// The good request with one line replaced by others.
fn replaced(line: &str, by: &[&str]) -> String {
    let request = upgrade("/rooms/7", by);
    let whole = request.split("\r\n").find(|other| other.starts_with(line)).unwrap();
    request.replacen(&format!("{whole}\r\n"), "", 1)
}

/// A line of text says why, and nothing else; `None` in the table stands for what a bare HTTP server says.
fn assert_refusal(what: &str, answer: &Answer, status: u16, reason: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (status, format!("{reason}\n").as_str()), "{what}");
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{what}");
    let expected = |name: &str| match (status, name) {
        (405, "allow") => Some("GET"),
        (426, "upgrade") => Some("websocket"),
        (426, "connection") => Some("Upgrade"),
        (426, "sec-websocket-version") => Some("13"),
        _ => None,
    };
    for name in
        ["allow", "upgrade", "connection", "sec-websocket-version", "retry-after", "sec-websocket-accept"]
    {
        assert_eq!(answer.header(name), expected(name), "{what}: {name}");
    }
}

const NO_ENDPOINT: &str = "there is no endpoint at this path";
const BY_GET: &str = "a WebSocket is opened by GET";
const NOT_ASKED: &str = "this is a WebSocket endpoint: connect with ws:// or wss://";
const OLD: &str = "this server speaks version 13 of the WebSocket protocol";
const BAD_KEY: &str = "Sec-WebSocket-Key must be 16 bytes in base64";
const ORIGIN: &str = "this origin may not connect";

const VERSION: &str = "Sec-WebSocket-Version";
const KEY: &str = "Sec-WebSocket-Key";
const EVIL: &str = "Origin: https://evil.example";

/// Each row: what it is, the request, status and reason.
fn refusals() -> Vec<(&'static str, String, u16, &'static str)> {
    let good = || upgrade("/rooms/7", &[]);
    vec![
        ("no such path", upgrade("/nowhere", &[]), 404, NO_ENDPOINT),
        ("the root", upgrade("/", &[]), 404, NO_ENDPOINT),
        ("a plain request to no path", "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n".into(), 404, NO_ENDPOINT),
        ("not GET", good().replacen("GET", "POST", 1), 405, BY_GET),
        (
            "a body",
            good().replacen("GET", "PUT", 1).replacen("\r\n\r\n", "\r\nContent-Length: 3\r\n\r\nabc", 1),
            405,
            BY_GET,
        ),
        ("an unknown method", good().replacen("GET", "BREW", 1), 405, BY_GET),
        ("a plain request", "GET /rooms/7 HTTP/1.1\r\nHost: x\r\n\r\n".into(), 426, NOT_ASKED),
        ("Connection without upgrade", replaced("Connection", &["Connection: keep-alive"]), 426, NOT_ASKED),
        ("no Connection", replaced("Connection", &[]), 426, NOT_ASKED),
        ("another protocol", replaced("Upgrade", &["Upgrade: h2c"]), 426, NOT_ASKED),
        ("no Upgrade", replaced("Upgrade", &[]), 426, NOT_ASKED),
        ("an older version", replaced(VERSION, &["Sec-WebSocket-Version: 8"]), 426, OLD),
        ("a newer version", replaced(VERSION, &["Sec-WebSocket-Version: 14"]), 426, OLD),
        ("a list of versions", replaced(VERSION, &["Sec-WebSocket-Version: 13, 8"]), 426, OLD),
        ("two versions", upgrade("/rooms/7", &["Sec-WebSocket-Version: 13"]), 426, OLD),
        ("no version", replaced(VERSION, &[]), 426, OLD),
        ("no key", replaced(KEY, &[]), 400, BAD_KEY),
        ("an empty key", replaced(KEY, &["Sec-WebSocket-Key:"]), 400, BAD_KEY),
        ("a short key", replaced(KEY, &["Sec-WebSocket-Key: c2hvcnQ="]), 400, BAD_KEY),
        ("a long key", replaced(KEY, &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSE="]), 400, BAD_KEY),
        ("not base64", replaced(KEY, &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q=="]), 400, BAD_KEY),
        (
            "the key twice",
            upgrade("/rooms/7", &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]),
            400,
            BAD_KEY,
        ),
        (
            "a path that does not parse",
            upgrade("/rooms/blue", &[]),
            400,
            "`room`: invalid digit found in string",
        ),
        ("out of range", upgrade("/rooms/65536", &[]), 400, "`room`: number too large to fit in target type"),
        (
            "a query that does not parse",
            upgrade("/rooms/7?seat=x", &[]),
            400,
            "`seat`: invalid digit found in string",
        ),
        (
            "an encoded value that does not parse",
            upgrade("/rooms/%37%20", &[]),
            400,
            "`room`: invalid digit found in string",
        ),
        (
            "half an escape",
            upgrade("/files/a%4", &[]),
            400,
            "the value of {name} in the request path is not percent-encoded UTF-8",
        ),
        (
            "no UTF-8",
            upgrade("/files/%ff", &[]),
            400,
            "the value of {name} in the request path is not percent-encoded UTF-8",
        ),
        (
            "a query that serde refuses",
            upgrade("/search?page=1", &[]),
            400,
            "`the query string`: missing field `word`",
        ),
        (
            "a query of the wrong type",
            upgrade("/search?word=x&page=many", &[]),
            400,
            "`the query string`: invalid digit found in string",
        ),
        ("a foreign page", upgrade("/rooms/7", &[EVIL]), 403, ORIGIN),
        ("a stranger", upgrade("/vault", &[]), 401, "who are you?"),
    ]
}

#[tokio::test]
async fn every_refusal_has_its_status_its_headers_and_one_line() {
    let server = start(exporter().only(|config| config.place().to_string().contains("handshake.rs"))).await;
    for (what, request, status, reason) in refusals() {
        let answer = Raw::connect(server.local_addr()).await.ask(request).await;
        assert_refusal(what, &answer, status, reason);
    }
    assert_eq!(server.sessions().count(), 0, "a refused request is no session");
    server.shutdown().await;
}

#[tokio::test]
async fn a_refused_connection_can_go_on() {
    let server = start(exporter().only(|config| config.place().to_string().contains("handshake.rs"))).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    for (what, request, status, reason) in refusals() {
        assert_refusal(what, &raw.ask(request).await, status, reason);
    }
    assert_eq!(raw.ask(upgrade("/rooms/7", &[])).await.status, 101);
    raw.send(text("at last")).await;
    assert_eq!(raw.text().await, "7 None at last");
    drop(raw);
    server.shutdown().await;
}

#[tokio::test]
async fn a_head_request_is_refused_without_a_body() {
    let server = start(only::<Room>()).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    raw.send("HEAD /rooms/7 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let answer = String::from_utf8(raw.ended().await).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 405 ") && answer.to_lowercase().contains("\r\nallow: get\r\n"),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

/// HTTP/1.0 knows no upgrade (RFC 6455 4.2.1), whatever its headers say.
#[tokio::test]
async fn http_1_0_is_refused() {
    let server = start(only::<Room>()).await;
    let request = upgrade("/rooms/7", &[]).replacen("HTTP/1.1", "HTTP/1.0", 1);
    let answer = Raw::connect(server.local_addr()).await.ask(request).await;
    assert_eq!((answer.status, answer.body.trim_end()), (426, NOT_ASKED));
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
}

/// The order of the checks: what is wrong first is what is said.
#[tokio::test]
async fn the_checks_have_an_order() {
    let server = start(exporter().only(|config| config.place().to_string().contains("handshake.rs"))).await;
    let both = |path: &str, without: &str, more: &[&str]| {
        let request = upgrade(path, more);
        let line = request.split("\r\n").find(|line| line.starts_with(without)).unwrap();
        request.replacen(&format!("{line}\r\n"), "", 1)
    };
    let table = [
        ("path before method", upgrade("/nowhere", &[EVIL]).replacen("GET", "POST", 1), 404),
        ("method before upgrade", both("/rooms/7", "Upgrade", &[]).replacen("GET", "POST", 1), 405),
        ("upgrade before version", both("/rooms/7", "Upgrade", &["Sec-WebSocket-Version: 8"]), 426),
        ("version before key", both("/rooms/7", KEY, &["Sec-WebSocket-Version: 8"]), 426),
        ("key before origin", both("/rooms/7", KEY, &[EVIL]), 400),
        ("origin before path parameters", upgrade("/rooms/blue", &[EVIL]), 403),
        ("origin before query parameters", upgrade("/rooms/7?seat=x", &[EVIL]), 403),
    ];
    for (what, request, status) in table {
        assert_eq!(Raw::connect(server.local_addr()).await.ask(request).await.status, status, "{what}");
    }
}

#[tokio::test]
async fn a_good_request_in_any_of_its_forms_is_accepted() {
    let server = start(only::<Room>()).await;
    let good = || upgrade("/rooms/7", &[]);
    let table = [
        ("the example of the RFC", good()),
        ("a list in Connection", replaced("Connection", &["Connection: keep-alive, Upgrade"])),
        ("Connection in two lines", upgrade("/rooms/7", &["Connection: keep-alive"])),
        ("Upgrade in mixed case", replaced("Upgrade", &["uPgRaDe: WebSocket"])),
        ("upgrade in capitals", replaced("Connection", &["CONNECTION: UPGRADE"])),
        ("a list in Upgrade", replaced("Upgrade", &["Upgrade: h2c, websocket"])),
        ("no blanks", good().replace(": ", ":")),
        ("a key of another 16 bytes", good()),
        ("a listed origin", upgrade("/rooms/7", &["Origin: https://good.example"])),
        ("a whole URI", good().replacen("/rooms/7", "http://server.example/rooms/7", 1)),
        ("an empty line in front", format!("\r\n{}", good())),
    ];
    for (what, request) in table {
        let mut raw = Raw::connect(server.local_addr()).await;
        let answer = raw.ask(request).await;
        assert_eq!(answer.status, 101, "{what}: {answer:?}");
        assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{what}");
        assert!(
            answer.header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")),
            "{what}"
        );
        assert!(
            answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("upgrade")),
            "{what}"
        );
        assert_eq!(answer.header("sec-websocket-extensions"), None, "{what}: nothing was offered");
        raw.send(text(what)).await;
        assert_eq!(raw.text().await, format!("7 None {what}"));
    }
    server.shutdown().await;
}

/// RFC 6455 4.1: a client waits for the answer, but what it sends too early is not lost.
#[tokio::test]
async fn frames_in_the_packet_of_the_request_are_read() {
    let server = start(only::<Room>()).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    let mut bytes = upgrade("/rooms/7?seat=3", &[]).into_bytes();
    bytes.extend(text("one"));
    let second = text("two");
    bytes.extend(&second[..4]);
    raw.send(bytes).await;
    assert_eq!(raw.answer().await.unwrap().status, 101);
    assert_eq!(raw.text().await, "7 Some(3) one");
    raw.send(&second[4..]).await;
    assert_eq!(raw.text().await, "7 Some(3) two");
}

/// Bytes may come in any packets.
#[tokio::test]
async fn a_request_may_come_byte_by_byte() {
    let server = start(only::<Room>()).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    for byte in upgrade("/rooms/7", &[]).bytes().chain(text("slow")) {
        raw.send([byte]).await;
    }
    assert_eq!(raw.answer().await.unwrap().status, 101);
    assert_eq!(raw.text().await, "7 None slow");
}

/// What a handler learns of the request.
#[tokio::test]
async fn the_query_is_typed() {
    let server = start(only::<Searching>()).await;
    let mut raw = Raw::upgraded(server.local_addr(), "/search?word=a+b%26c&page=2&more=1").await;
    raw.send(text("?")).await;
    assert_eq!(raw.text().await, "a b&c Some(2)");
}
