//! How many messages and bytes a session may receive in a second, and what becomes of more.

use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{Counters, OverRate, Rate, Server, ServerEndpointConfig};
use tokio::time::Instant;
use tracing::Level;

use super::support::{Raw, Reporter, capture, frame, only_these, soon, start, text, upgrade};

/// A server of one endpoint that says everything back, within these limits.
async fn limited(
    path: &str,
    set: impl Fn(&mut endpoint_runtime::Settings) + Send + Sync + 'static,
) -> Server {
    let (config, _) = Reporter::at(path);
    start(only_these([config]).configure(set)).await
}

fn counters(server: &Server) -> Counters {
    server.container().counters()
}

const PING: u8 = 9;
const PONG: u8 = 10;

/// How many are said back before the pong, which is the answer to what was sent last.
async fn before_the_pong(raw: &mut Raw) -> usize {
    let mut count = 0;
    loop {
        let frame = raw.frame().await.unwrap();
        match frame.opcode {
            PONG => return count,
            _ => count += 1,
        }
    }
}

#[tokio::test]
async fn messages_over_the_rate_are_dropped() {
    let logged = capture();
    let server = limited("/rates/drop", |settings| {
        settings.message_rate = Some(Rate::per_second(5).burst(10));
        settings.over_rate = OverRate::Drop;
    })
    .await;
    let mut raw = Raw::upgraded(server.local_addr(), "/rates/drop").await;
    let mut all = text("x").repeat(500);
    all.extend(frame(true, PING, b""));
    raw.send(all).await;
    let count = before_the_pong(&mut raw).await;
    assert!((10..500).contains(&count), "{count}");
    let Counters { rate_dropped, rate_closed, rate_waits, .. } = counters(&server);
    assert_eq!((rate_dropped, rate_closed, rate_waits), (500 - count as u64, 0, 0));
    let warned: Vec<_> = logged.loud().into_iter().filter(|line| line.level == Level::WARN).collect();
    assert!(warned[0].message.starts_with("message dropped"), "{warned:?}");
    assert_eq!(warned[0].field("path"), Some("/rates/drop"));
    // Who holds back is heard again.
    soon("an answer", async {
        loop {
            raw.send([text("again"), frame(true, PING, b"")].concat()).await;
            if before_the_pong(&mut raw).await == 1 {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn who_exceeds_the_rate_is_closed_with_1008() {
    let logged = capture();
    let server = limited("/rates/close", |settings| {
        settings.message_rate = Some(Rate::per_second(5).burst(10));
        settings.over_rate = OverRate::Close;
    })
    .await;
    let mut raw = Raw::upgraded(server.local_addr(), "/rates/close").await;
    raw.send(text("x").repeat(500)).await;
    let mut count = 0;
    let reason = loop {
        let frame = raw.frame().await.unwrap();
        match frame.opcode {
            8 => break frame.reason(),
            _ => count += 1,
        }
    };
    assert!((10..500).contains(&count), "{count}");
    assert_eq!(reason, (1008, "too many messages".to_owned()));
    let Counters { rate_dropped, rate_closed, .. } = counters(&server);
    assert_eq!((rate_dropped, rate_closed), (0, 1));
    let warned: Vec<_> = logged.loud().into_iter().filter(|line| line.level == Level::WARN).collect();
    assert!(warned[0].message.starts_with("session closed"), "{warned:?}");
    let mut again = Raw::upgraded(server.local_addr(), "/rates/close").await;
    again.send(text("hello")).await;
    assert_eq!(again.text().await, "hello");
}

/// Nothing is lost, it only takes its time; and pings that are not behind something that waits are answered.
#[tokio::test]
async fn messages_over_the_rate_wait() {
    let server = limited("/rates/wait", |settings| {
        settings.message_rate = Some(Rate::per_second(40).burst(10));
    })
    .await;
    let mut raw = Raw::upgraded(server.local_addr(), "/rates/wait").await;
    let begin = Instant::now();
    raw.send((0..30).flat_map(|number| text(&number.to_string())).collect::<Vec<_>>()).await;
    for number in 0..30 {
        assert_eq!(raw.text().await, number.to_string());
    }
    // Twenty of them had to wait for a fortieth of a second each.
    assert!(begin.elapsed() >= Duration::from_millis(490), "{:?}", begin.elapsed());
    raw.send(frame(true, PING, b"hello")).await;
    assert_eq!(raw.frame().await.unwrap().payload, b"hello");
    let Counters { rate_dropped, rate_closed, rate_waits, .. } = counters(&server);
    assert_eq!((rate_dropped, rate_closed), (0, 0));
    assert!((1..=20).contains(&rate_waits), "{rate_waits}");
}

/// One message may be more than all that there is: then the next one waits until that is paid.
#[tokio::test]
async fn bytes_have_a_rate() {
    let server = limited("/rates/bytes", |settings| {
        settings.byte_rate = Some(Rate::per_second(10_000).burst(1000));
    })
    .await;
    let mut raw = Raw::upgraded(server.local_addr(), "/rates/bytes").await;
    let begin = Instant::now();
    let long = "x".repeat(6000);
    raw.send([text(&long), text("next")].concat()).await;
    assert_eq!(raw.text().await, long);
    assert_eq!(raw.text().await, "next");
    assert!(begin.elapsed() >= Duration::from_millis(490), "{:?}", begin.elapsed());
    assert_eq!(counters(&server).rate_waits, 1);
}

/// While a message waits for its time, the session closes as always, and the server stops.
#[tokio::test]
async fn who_waits_can_be_closed() {
    let server = limited("/rates/stop", |settings| {
        settings.message_rate = Some(Rate::per_second(1));
    })
    .await;
    let mut raw = Raw::upgraded(server.local_addr(), "/rates/stop").await;
    raw.send(text("x").repeat(10_000)).await;
    assert_eq!(raw.text().await, "x");
    let stopped = tokio::spawn(server.shutdown());
    soon("the close frame", async {
        loop {
            match raw.frame().await {
                Some(frame) if frame.opcode == 8 => return assert_eq!(frame.reason().0, 1001),
                Some(_) => {}
                None => panic!("no close frame"),
            }
        }
    })
    .await;
    raw.try_send(super::support::close(1001)).await;
    soon("the end", stopped).await.unwrap();
}

/// Says how long its messages are, part by part.
#[server_endpoint("/rates/parts")]
struct Parts;

#[handlers]
impl Parts {
    #[on_message]
    fn part(&self, part: Fragment<Text>) -> String {
        format!("{}{}", part.data.len(), if part.last { "." } else { "" })
    }
}

/// A message in parts is one, and is dropped whole.
#[tokio::test]
async fn parts_are_dropped_together() {
    let exporter = super::support::only::<Parts>().configure(|settings| {
        settings.message_rate = Some(Rate::per_second(1).burst(1));
        settings.over_rate = OverRate::Drop;
    });
    let server = start(exporter).await;
    let mut raw = Raw::upgraded(server.local_addr(), "/rates/parts").await;
    let message = [frame(false, 1, b"a"), frame(false, 0, b"bc"), frame(true, 0, b"def")].concat();
    let mut all = message.repeat(50);
    all.extend(frame(true, PING, b""));
    raw.send(all).await;
    let mut parts = Vec::new();
    loop {
        let frame = raw.frame().await.unwrap();
        if frame.opcode == PONG {
            break;
        }
        parts.push(String::from_utf8(frame.payload).unwrap());
    }
    assert!(parts.len() >= 3 && parts.len() < 150, "{parts:?}");
    for message in parts.chunks(3) {
        assert_eq!(message, ["1", "2", "3."]);
    }
    assert_eq!(counters(&server).rate_dropped, 50 - parts.len() as u64 / 3);
}

/// What an endpoint says of itself goes before what holds for all.
#[tokio::test]
async fn an_endpoint_may_have_rates_of_its_own() {
    struct Plain;
    impl endpoint_runtime::Endpoint for Plain {
        async fn on_message(&mut self, session: &Session, message: Message) -> Result<()> {
            Ok(session.send(message).await?)
        }
    }
    let free = ServerEndpointConfig::builder("/rates/free", || Plain).message_rate(None).build();
    let strict = ServerEndpointConfig::builder("/rates/strict", || Plain)
        .byte_rate(Rate::per_second(1).burst(2))
        .over_rate(OverRate::Close)
        .build();
    let server = start(only_these([free, strict]).configure(|settings| {
        settings.message_rate = Some(Rate::per_second(1));
        settings.over_rate = OverRate::Drop;
    }))
    .await;
    let mut raw = Raw::connect(server.local_addr()).await;
    assert_eq!(raw.ask(upgrade("/rates/free", &[])).await.status, 101);
    raw.send(text("x").repeat(1000)).await;
    for _ in 0..1000 {
        assert_eq!(raw.text().await, "x");
    }
    let mut raw = Raw::upgraded(server.local_addr(), "/rates/strict").await;
    raw.send([text("a long one"), text("y")].concat()).await;
    assert_eq!(raw.text().await, "a long one");
    assert_eq!(raw.frame().await.unwrap().reason().0, 1008);
}
