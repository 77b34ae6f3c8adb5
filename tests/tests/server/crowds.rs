//! How many may come: for each address, for each principal, each second; how much queues may hold; how large bodies may be. Each has its edge, its
//! counter, its line in the log, and is over when there is no more of it than there may be.

use std::convert::Infallible;
use std::net::SocketAddr;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{Counters, Listen, Rate, Server, ServerEndpointExporter};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tracing::Level;

use super::support::{
    Answer, Echo, Raw, Reporter, capture, close, exporter, only, only_these, soon, start, text, upgrade,
};

/// A server behind a proxy on this machine, so that a test can come from any address.
fn proxied() -> ServerEndpointExporter {
    only::<Echo>().configure(|settings| settings.trusted_proxies = vec!["127.0.0.1".into()])
}

/// A handshake from this address.
async fn come(server: &Server, from: &str) -> (Raw, Answer) {
    let mut raw = Raw::connect(server.local_addr()).await;
    let answer = raw.ask(upgrade("/echo", &[&format!("X-Forwarded-For: {from}")])).await;
    (raw, answer)
}

/// The same, until it is accepted.
async fn come_at_last(server: &Server, from: &str) -> Raw {
    soon("a place", async {
        loop {
            let (raw, answer) = come(server, from).await;
            if answer.status == 101 {
                return raw;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

fn counters(server: &Server) -> Counters {
    server.container().counters()
}

async fn leave(mut raw: Raw) {
    raw.send(close(1000)).await;
    raw.ended().await;
}

#[tokio::test]
async fn an_address_has_so_many_connections() {
    let logged = capture();
    let server = start(proxied().configure(|settings| settings.max_connections_per_address = 2)).await;
    let first = come(&server, "192.0.2.1").await.0;
    let second = come(&server, "192.0.2.1").await;
    assert_eq!(second.1.status, 101);
    for _ in 0..3 {
        let (_, answer) = come(&server, "192.0.2.1").await;
        let reason = "too many connections from this address, try again later\n";
        assert_eq!((answer.status, answer.body.as_str()), (503, reason));
        assert_eq!((answer.header("retry-after"), answer.header("connection")), (Some("5"), Some("close")));
    }
    // Others are others; the addresses of one network of IPv6 are one.
    let other = come(&server, "192.0.2.2").await;
    let six = [come(&server, "2001:db8::1").await, come(&server, "2001:db8::2").await];
    assert!(other.1.status == 101 && six.iter().all(|(_, answer)| answer.status == 101));
    assert_eq!(come(&server, "2001:db8::ffff:3").await.1.status, 503);
    assert_eq!(come(&server, "2001:db8:0:1::1").await.1.status, 101);
    let Counters { refused_address, accepted, http_errors, .. } = counters(&server);
    assert_eq!((refused_address, accepted, http_errors), (4, 6, 4));
    let lines = logged.loud();
    let warned: Vec<_> = lines.iter().filter(|line| line.level == Level::WARN).collect();
    assert!((1..=4).contains(&warned.len()) && warned[0].message.contains("max_connections_per_address"));
    assert_eq!(warned[0].field("address"), Some("Some(192.0.2.1)"));
    assert_eq!(warned[0].field("unsaid"), Some("0"));
    leave(first).await;
    let mut third = come_at_last(&server, "192.0.2.1").await;
    third.send(text("hello")).await;
    assert_eq!(third.text().await, "hello");
}

/// Who is silent counts, as soon as it is known who that is; and beyond a few nobody is told anything.
#[tokio::test]
async fn silent_connections_of_an_address_count() {
    let exporter = endpoint_runtime::export_all()
        .settings(endpoint_runtime::Settings::default())
        .bind(Listen::on("127.0.0.1:0").proxy_protocol(true))
        .only(endpoint_runtime::ServerEndpointConfig::is::<Echo>)
        .configure(|settings| settings.max_connections_per_address = 3);
    let server = start(exporter).await;
    let introduced = async |address: &str| {
        let mut raw = Raw::connect(server.local_addr()).await;
        raw.send(format!("PROXY TCP4 {address} 203.0.113.1 4711 80\r\n")).await;
        raw
    };
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(introduced("192.0.2.1").await);
    }
    // Each is known before the next one comes.
    soon("three silent connections", async {
        while introduced("192.0.2.1").await.ask(upgrade("/echo", &[])).await.status != 503 {}
    })
    .await;
    let refused = counters(&server).refused_address;
    assert!(refused >= 1);
    let mut told = Vec::new();
    let mut closed = 0;
    while closed == 0 {
        let mut raw = introduced("192.0.2.1").await;
        raw.try_send(upgrade("/echo", &[])).await;
        match raw.answer().await {
            Some(answer) => {
                assert_eq!(answer.status, 503);
                // A silent one, that stays.
                told.push(introduced("192.0.2.1").await);
            }
            None => closed += 1,
        }
        assert!(told.len() < 1000);
    }
    assert!(counters(&server).refused_address > refused);
    let mut other = introduced("192.0.2.2").await;
    assert_eq!(other.ask(upgrade("/echo", &[])).await.status, 101);
    drop((silent, told));
    soon("a place", async {
        loop {
            let mut raw = introduced("192.0.2.1").await;
            raw.try_send(upgrade("/echo", &[])).await;
            if raw.answer().await.is_some_and(|answer| answer.status == 101) {
                return;
            }
        }
    })
    .await;
}

/// The machine's own programs are many, and 0 is no limit.
#[tokio::test]
async fn loopback_addresses_are_not_counted() {
    let alone = only::<Echo>().configure(|settings| settings.max_connections_per_address = 1);
    let unlimited = proxied().configure(|settings| settings.max_connections_per_address = 0);
    for (exporter, from) in [(alone, "127.0.0.1"), (unlimited, "192.0.2.1")] {
        let server = start(exporter).await;
        let mut all = Vec::new();
        for _ in 0..5 {
            let (raw, answer) = come(&server, from).await;
            assert_eq!(answer.status, 101);
            all.push(raw);
        }
        assert_eq!(counters(&server).refused_address, 0);
    }
}

/// Whom a proxy does not name is one of many.
#[tokio::test]
async fn addresses_of_trusted_proxies_are_not_counted() {
    let exporter = only::<Echo>().configure(|settings| {
        settings.trusted_proxies = vec!["127.0.0.1".into(), "192.0.2.1".into()];
        settings.max_connections_per_address = 1;
        settings.handshake_rate_per_address = Some(Rate::per_second(1));
    });
    let server = start(exporter).await;
    let mut all = Vec::new();
    for from in ["192.0.2.1", "unknown, 192.0.2.1", "192.0.2.2", "192.0.2.1, 192.0.2.1"] {
        let (raw, answer) = come(&server, from).await;
        assert_eq!(answer.status, 101, "{from}");
        all.push(raw);
    }
    assert_eq!(come(&server, "192.0.2.2, 192.0.2.1").await.1.status, 429);
}

/// Comes until it is refused, and says how often it was not.
async fn until_refused(server: &Server, from: &str) -> (u32, Answer) {
    let mut accepted = 0;
    loop {
        let (_, answer) = come(server, from).await;
        if answer.status != 101 {
            return (accepted, answer);
        }
        accepted += 1;
        assert!(accepted < 10_000, "never refused");
    }
}

#[tokio::test]
async fn there_are_so_many_handshakes_a_second() {
    let logged = capture();
    let exporter = proxied().configure(|settings| {
        settings.handshake_rate = Some(Rate::per_second(5).burst(20));
        settings.handshake_rate_per_address = None;
    });
    let server = start(exporter).await;
    let (accepted, answer) = until_refused(&server, "192.0.2.1").await;
    assert!(accepted >= 20, "{accepted}");
    let reason = "too many handshakes at this moment, try again later\n";
    assert_eq!((answer.status, answer.body.as_str()), (503, reason));
    assert_eq!(answer.header("retry-after"), Some("5"));
    let Counters { refused_rate, refused_address_rate, .. } = counters(&server);
    assert_eq!((refused_rate, refused_address_rate), (1, 0));
    let warned: Vec<_> = logged.loud().into_iter().filter(|line| line.level == Level::WARN).collect();
    assert_eq!(warned.len(), 1);
    assert!(warned[0].message.contains("`handshake_rate`"), "{warned:?}");
    // What is no endpoint's is not counted, and there will be more.
    assert_eq!(Raw::connect(server.local_addr()).await.ask(upgrade("/nowhere", &[])).await.status, 404);
    come_at_last(&server, "192.0.2.1").await;
}

#[tokio::test]
async fn an_address_has_so_many_handshakes_a_second() {
    let logged = capture();
    let exporter = proxied().configure(|settings| {
        settings.handshake_rate_per_address = Some(Rate::per_second(5).burst(10));
    });
    let server = start(exporter).await;
    let (accepted, answer) = until_refused(&server, "192.0.2.1").await;
    assert!(accepted >= 10, "{accepted}");
    let reason = "too many handshakes from this address, try again later\n";
    assert_eq!((answer.status, answer.body.as_str()), (429, reason));
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(come(&server, "192.0.2.2").await.1.status, 101, "others are others");
    assert_eq!(counters(&server).refused_address_rate, 1);
    let warned: Vec<_> = logged.loud().into_iter().filter(|line| line.level == Level::WARN).collect();
    assert!(warned[0].message.contains("handshake_rate_per_address"), "{warned:?}");
    come_at_last(&server, "192.0.2.1").await;
}

/// Says who everybody is.
#[derive(Default)]
struct Introducer;

impl Configurator for Introducer {
    async fn check(
        &self,
        handshake: &mut Handshake,
        _: &ApplicationContext,
    ) -> std::result::Result<(), Refusal> {
        if let Some(name) = handshake.header("x-user").map(ToOwned::to_owned) {
            Principal::new(name.clone()).named(name).establish(handshake.extensions_mut());
        }
        Ok(())
    }
}

#[server_endpoint("/crowds/known", configurator = Introducer)]
struct Known;

#[handlers]
impl Known {
    #[on_message]
    fn message(&self, text: String, who: Option<Principal<String>>) -> String {
        format!("{}: {text}", who.map_or("nobody".to_owned(), |who| who.to_string()))
    }
}

#[tokio::test]
async fn a_principal_has_so_many_sessions() {
    let logged = capture();
    let server =
        start(only::<Known>().configure(|settings| settings.max_connections_per_principal = 2)).await;
    let come = async |line: &str| {
        let mut raw = Raw::connect(server.local_addr()).await;
        let answer = raw.ask(upgrade("/crowds/known", &[line])).await;
        (raw, answer)
    };
    let (first, _second) = (come("X-User: ann").await.0, come("X-User: ann").await.0);
    let (_, answer) = come("X-User: ann").await;
    let reason = "you have too many connections, close one of them\n";
    assert_eq!((answer.status, answer.body.as_str()), (503, reason));
    let mut others = Vec::new();
    for line in ["X-User: bo", "X-Nobody: x", "X-Nobody: x", "X-Nobody: x"] {
        let (raw, answer) = come(line).await;
        assert_eq!(answer.status, 101, "{line}");
        others.push(raw);
    }
    assert_eq!(counters(&server).refused_principal, 1);
    let warned: Vec<_> = logged.loud().into_iter().filter(|line| line.level == Level::WARN).collect();
    assert!(warned[0].message.contains("max_connections_per_principal"), "{warned:?}");
    assert!(!format!("{warned:?}").contains("ann"), "who it is is nobody's business");
    leave(first).await;
    soon("a seat", async { while come("X-User: ann").await.1.status != 101 {} }).await;
}

/// When queues hold too much, nobody else is let in; a session that takes no more than a little still gets it.
#[tokio::test]
async fn queues_have_so_much_memory_together() {
    const LARGE: usize = 32 * 1024;
    let logged = capture();
    let (config, mut reports) = Reporter::at("/crowds/queue");
    let server = start(only_these([config]).configure(|settings| {
        settings.max_queue_memory = Some(1 << 20);
        settings.send_buffer = 1 << 30;
        settings.overflow = Overflow::DropNewest;
    }))
    .await;
    let told =
        logged.loud().iter().any(|line| line.message == "queues may hold 1.0 MiB (`max_queue_memory`)");
    assert!(told, "{:?}", logged.loud());
    let mut other = Raw::upgraded(server.local_addr(), "/crowds/queue").await;
    let other_session = reports.opened().await;
    let mut slow = Raw::upgraded(server.local_addr(), "/crowds/queue").await;
    let session = reports.opened().await;
    let message = "x".repeat(LARGE);
    // The kernel takes some megabytes, and then the queue fills.
    soon("a full queue", async {
        while session.dropped() == 0 {
            session.send(message.as_str()).await.unwrap();
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(session.queued_bytes() <= (1 << 20) + LARGE + 1024, "{}", session.queued_bytes());
    let answer = Raw::connect(server.local_addr()).await.ask(upgrade("/crowds/queue", &[])).await;
    let reason = "the server is short of memory, try again later\n";
    assert_eq!((answer.status, answer.body.as_str()), (503, reason));
    let Counters { refused_memory, dropped_messages, .. } = counters(&server);
    assert_eq!((refused_memory, dropped_messages), (1, session.dropped()));
    let warned: Vec<_> = logged.loud().into_iter().filter(|line| line.level == Level::WARN).collect();
    assert!(warned[0].message.contains("max_queue_memory"), "{warned:?}");
    other_session.send("a little").await.unwrap();
    assert_eq!(other.text().await, "a little");
    // The peer catches up, and there is room again.
    session.close(CloseReason::normal()).await.unwrap();
    while slow.frame().await.is_some_and(|frame| frame.opcode != 8) {}
    slow.try_send(close(1000)).await;
    slow.ended().await;
    soon("room", async {
        while Raw::connect(server.local_addr()).await.ask(upgrade("/crowds/queue", &[])).await.status != 101 {
        }
    })
    .await;
}

/// Says how many bytes it was given.
#[derive(Clone)]
struct Site;

impl tower_service::Service<Request<Incoming>> for Site {
    type Response = Response<String>;
    type Error = Infallible;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = std::result::Result<Response<String>, Infallible>> + Send>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::result::Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        Box::pin(async move {
            let bytes = request.into_body().collect().await.map_or(0, |body| body.to_bytes().len());
            Ok(Response::new(bytes.to_string()))
        })
    }
}

async fn post(address: SocketAddr, path: &str, rest: &str) -> (u16, String) {
    let request = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{rest}");
    let mut raw = Raw::connect(address).await;
    raw.try_send(request).await;
    let answer = raw.answer().await.unwrap();
    (answer.status, answer.body)
}

#[tokio::test]
async fn bodies_may_be_so_large() {
    let logged = capture();
    let limited =
        |bytes| only::<Echo>().fallback(Site).configure(move |settings| settings.max_body_size = bytes);
    let server = start(limited(5)).await;
    let address = server.local_addr();
    let chunked = "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for path in ["/", "/echo"] {
        let large = post(address, path, "Content-Length: 6\r\n\r\nabcdef").await;
        assert_eq!(large, (413, "the body is too large\n".to_owned()), "{path}");
        let unknown = post(address, path, chunked).await;
        assert_eq!(unknown, (411, "say how large the body is, in Content-Length\n".to_owned()), "{path}");
        let fits = post(address, path, "Content-Length: 5\r\n\r\nabcde").await;
        assert_eq!(fits, (200, "5".to_owned()), "{path}");
        assert_eq!(post(address, path, "\r\n").await, (200, "0".to_owned()), "{path}");
    }
    assert_eq!(counters(&server).refused_body, 4);
    let warned: Vec<_> = logged.loud().into_iter().filter(|line| line.level == Level::WARN).collect();
    assert!(warned[0].message.contains("max_body_size"), "{warned:?}");
    let server = start(limited(0)).await;
    assert_eq!(post(server.local_addr(), "/", chunked).await, (200, "3".to_owned()));
}

/// What everybody else refuses is counted too.
#[tokio::test]
async fn all_refusals_are_counted() {
    let server =
        start(exporter().only(endpoint_runtime::ServerEndpointConfig::is::<Echo>).configure(|settings| {
            settings.max_connections = 1;
            settings.head_timeout = std::time::Duration::from_millis(200);
        }))
        .await;
    let address = server.local_addr();
    for (path, origin) in [("/nowhere", "X: y"), ("/echo", "Origin: https://evil.example")] {
        let mut raw = Raw::connect(address).await;
        assert!(raw.ask(upgrade(path, &[origin])).await.status >= 400);
        raw.half_close().await;
        raw.ended().await;
    }
    let mut raw = Raw::connect(address).await;
    raw.send("NONSENSE\r\n\r\n").await;
    raw.ended().await;
    let mut silent = Raw::connect(address).await;
    silent.ended().await;
    soon("the counter", async {
        while counters(&server).slow_heads == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let Counters { connections, accepted, http_errors, slow_heads, refused_full, .. } = counters(&server);
    assert_eq!((connections, accepted, slow_heads, refused_full), (4, 0, 1, 0));
    assert_eq!(http_errors, 3);
    let session = Raw::upgraded(address, "/echo").await;
    assert_eq!(Raw::connect(address).await.ask(upgrade("/echo", &[])).await.status, 503);
    let Counters { connections, accepted, http_errors, refused_full, .. } = counters(&server);
    assert_eq!((connections, accepted, http_errors, refused_full), (6, 1, 4, 1));
    drop(session);
}
