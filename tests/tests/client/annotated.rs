//! An annotated endpoint as a client: its declaration counts, its parameters are checked, its instance is the user's.

use std::time::Duration;

use endpoint_runtime::__private as generated;
use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, ConnectError};
use tokio::sync::mpsc::UnboundedSender;

use super::support::{Heard, Raw, frame, teller};

/// What its parameters ask for.
struct Greeting(String);

struct Listener {
    heard: UnboundedSender<String>,
    count: u32,
}

impl generated::Declared for Listener {
    type Scope = generated::PerConnection;
    const DECLARATION: generated::Declaration =
        generated::Declaration::client("Listener", "tests", generated::Place::new(file!(), line!()))
            .subprotocols(&["chat.v2"])
            .max_message_size(10)
            .ping_interval(Some(50));

    fn needs(_: &mut generated::Needs) {}

    fn create(_: &ApplicationContext) -> Result<Self> {
        Err(Error::msg("a client's instance is the user's"))
    }
}

impl generated::ClientDeclared for Listener {}

#[handlers]
impl Listener {
    #[on_open]
    fn open(&self, greeting: runtime::Inject<Greeting>, #[query] room: u32) -> String {
        format!("{} {room}", greeting.0.0)
    }

    #[on_message]
    fn hear(&mut self, text: String) {
        self.count += 1;
        self.heard.send(format!("{text} {}", self.count)).unwrap();
    }

    #[on_close]
    fn close(&self, reason: &CloseReason) {
        self.heard.send(format!("close {}", u16::from(reason.code()))).unwrap();
    }
}

fn listener() -> (Listener, Heard) {
    let (teller, heard) = teller();
    (Listener { heard: teller.teller(), count: 40 }, heard)
}

#[tokio::test]
async fn its_annotation_wins_over_the_clients_options() {
    let raw = Raw::bind().await;
    let (listener, mut heard) = listener();
    let client = runtime::client()
        .provide(Greeting("hello".to_owned()))
        .subprotocols(["other"])
        .max_message_size(1000)
        .ping_interval(Some(Duration::from_secs(1000)));
    let serve = async {
        let mut peer = raw.accept().await;
        let request = peer.request().await;
        assert_eq!(request.header("sec-websocket-protocol"), Some("chat.v2"));
        peer.write(super::support::switching(&request, "Sec-WebSocket-Protocol: chat.v2\r\n").as_bytes())
            .await;
        peer
    };
    let (session, mut peer) = tokio::join!(client.connect(listener, raw.url("/chat?room=7")), serve);
    assert_eq!(session.unwrap().subprotocol(), Some("chat.v2"));
    assert_eq!(peer.text().await, "hello 7");
    peer.write(&frame(0x81, b"one")).await;
    heard.expect("one 41").await;
    assert_eq!(peer.frame().await.unwrap().first, 0x89, "a ping after 50 ms");
    peer.write(&frame(0x81, b"longer than ten")).await;
    assert_eq!(peer.close_code().await, 1009);
    heard.expect("close 1009").await;
}

#[tokio::test]
async fn what_its_parameters_lack_is_named_before_anything_is_sent() {
    let nowhere = "ws://127.0.0.1:1/?room=7";
    let error = runtime::client().connect(listener().0, nowhere).await.unwrap_err();
    let ConnectError::Setup(problems) = &error else { panic!("{error}") };
    assert!(
        problems.len() == 1 && problems[0].contains("Greeting") && problems[0].contains("greeting"),
        "{error}"
    );
    let client = runtime::client().provide(Greeting(String::new()));
    for url in ["ws://127.0.0.1:1/", "ws://127.0.0.1:1/?room=blue"] {
        let error = client.connect(listener().0, url).await.unwrap_err();
        assert!(matches!(&error, ConnectError::Argument(why) if why.contains("room")), "{error}");
    }
}
