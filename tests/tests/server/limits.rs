//! Limits on what a client may ask and how long it may take: heads, headers, silence, connections.

use std::time::Duration;

use endpoint_runtime::Settings;
use tokio::time::Instant;

use super::support::{Echo, Raw, Reporter, connect, only, only_these, says_back, start, text, upgrade};

/// What the impatient servers of these tests give a client for the head of its request.
const HEAD_TIMEOUT: Duration = Duration::from_millis(400);

/// Timers of a server may be coarse, but not early.
const NOT_BEFORE: Duration = Duration::from_millis(350);

fn impatient(settings: &mut Settings) {
    settings.head_timeout = HEAD_TIMEOUT;
}

#[tokio::test]
async fn a_silent_client_is_closed() {
    let server = start(only::<Echo>().configure(impatient)).await;
    let begin = Instant::now();
    let mut raw = Raw::connect(server.local_addr()).await;
    raw.ended().await;
    assert!(begin.elapsed() >= NOT_BEFORE, "{:?}", begin.elapsed());
}

/// Ever another byte does not help: the whole head has its time.
#[tokio::test]
async fn a_client_that_sends_its_head_too_slowly_is_closed() {
    let server = start(only::<Echo>().configure(impatient)).await;
    let begin = Instant::now();
    let mut raw = Raw::connect(server.local_addr()).await;
    raw.send("GET /echo HTTP/1.1\r\nX-Slow: ").await;
    super::support::soon("the end", raw.ended_in_spite_of(b"a", Duration::from_millis(20))).await;
    assert!(begin.elapsed() >= NOT_BEFORE, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_client_that_is_silent_after_an_answer_is_closed() {
    let server = start(only::<Echo>().configure(impatient)).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    assert_eq!(raw.ask(upgrade("/nowhere", &[])).await.status, 404);
    let begin = Instant::now();
    assert_eq!(raw.ended().await, b"");
    assert!(begin.elapsed() >= NOT_BEFORE, "{:?}", begin.elapsed());
}

/// A body is of no interest here, and one that never comes holds nothing.
#[tokio::test]
async fn a_client_that_never_sends_the_body_it_promised_is_closed() {
    let server = start(only::<Echo>().configure(impatient)).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    let request = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc";
    assert_eq!(raw.ask(request).await.status, 405);
    assert_eq!(raw.ended().await, b"");
}

/// The time for the head is not the session's, and clients that waste theirs are no business of others.
#[tokio::test]
async fn slow_clients_disturb_nobody() {
    let server = start(only::<Echo>().configure(impatient)).await;
    let mut served = connect(server.local_addr(), "/echo").await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        let mut raw = Raw::connect(server.local_addr()).await;
        raw.send("GET /echo HTTP/1.1\r\n").await;
        silent.push(raw);
    }
    says_back(&mut served, "beside fifty silent ones").await;
    let mut another = connect(server.local_addr(), "/echo").await;
    for raw in &mut silent {
        raw.ended().await;
    }
    // Both are older than the time for the head by now.
    says_back(&mut served, "after them").await;
    says_back(&mut another, "me too").await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431() {
    let server = start(only::<Echo>().configure(|settings| settings.max_head_size = 8192)).await;
    let fits = upgrade("/echo", &[&format!("X-Large: {}", "a".repeat(7000))]);
    assert_eq!(Raw::connect(server.local_addr()).await.ask(fits).await.status, 101);
    for line in [format!("X-Large: {}", "a".repeat(9000)), format!("X-Huge: {}", "a".repeat(1_000_000))] {
        let mut raw = Raw::connect(server.local_addr()).await;
        // The server need not read all of it.
        raw.try_send(upgrade("/echo", &[&line])).await;
        assert_eq!(raw.answer().await.unwrap().status, 431);
        raw.ended().await;
    }
    // A path that never ends is too large as well.
    let mut raw = Raw::connect(server.local_addr()).await;
    raw.try_send(format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(20_000))).await;
    assert!(matches!(raw.answer().await.unwrap().status, 414 | 431));
    raw.ended().await;
}

#[tokio::test]
async fn too_many_headers_are_431() {
    let server = start(only::<Echo>().configure(|settings| settings.max_headers = 20)).await;
    let with = |count: usize| {
        let lines: Vec<_> = (0..count).map(|index| format!("X-{index}: y")).collect();
        upgrade("/echo", &lines.iter().map(String::as_str).collect::<Vec<_>>())
    };
    // The request itself has five.
    assert_eq!(Raw::connect(server.local_addr()).await.ask(with(15)).await.status, 101);
    let mut raw = Raw::connect(server.local_addr()).await;
    assert_eq!(raw.ask(with(16)).await.status, 431);
    raw.ended().await;
}

#[tokio::test]
async fn over_the_limit_of_connections_a_handshake_is_503_until_one_has_gone() {
    let server = start(only::<Echo>().configure(|settings| settings.max_connections = 2)).await;
    let address = server.local_addr();
    let mut first = Raw::upgraded(address, "/echo").await;
    let mut second = Raw::upgraded(address, "/echo").await;
    for path in ["/echo", "/nowhere"] {
        let mut third = Raw::connect(address).await;
        let answer = third.ask(upgrade(path, &[])).await;
        assert_eq!((answer.status, answer.body.as_str()), (503, "the server is full, try again later\n"));
        assert_eq!(answer.header("retry-after"), Some("5"));
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(third.ended().await, b"");
    }
    // Those who were there first notice nothing.
    for raw in [&mut first, &mut second] {
        raw.send(text("still here")).await;
        assert_eq!(raw.text().await, "still here");
    }
    first.send(super::support::close(1000)).await;
    assert_eq!(first.frame().await.unwrap().reason().0, 1000);
    first.ended().await;
    let mut third = Raw::upgraded(address, "/echo").await;
    third.send(text("at last")).await;
    assert_eq!(third.text().await, "at last");
}

/// A connection that has not asked for anything yet counts too.
#[tokio::test]
async fn silent_connections_count() {
    let (config, _reports) = Reporter::at("/limits/silent");
    let exporter = only_these([config]).configure(|settings| settings.max_connections = 1);
    let server = start(exporter.configure(impatient)).await;
    let mut silent = Raw::connect(server.local_addr()).await;
    // Connections are accepted in their order.
    let answer = Raw::connect(server.local_addr()).await.ask(upgrade("/limits/silent", &[])).await;
    assert_eq!(answer.status, 503);
    silent.ended().await;
    Raw::upgraded(server.local_addr(), "/limits/silent").await;
}

/// 0 is no limit.
#[tokio::test]
async fn no_limit_of_connections() {
    let server = start(only::<Echo>().configure(|settings| settings.max_connections = 0)).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(connect(server.local_addr(), "/echo").await);
    }
    for client in &mut clients {
        says_back(client, "hello").await;
    }
    assert_eq!(server.sessions().count(), 20);
}
