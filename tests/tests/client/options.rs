//! What a client says for endpoints that are written by hand: extensions, coders, attributes.

use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, Coders, ConnectError, Extension};

use super::support::{Raw, frame, soon, switching, teller};

#[tokio::test]
async fn extensions_are_offered_in_their_order_and_what_the_server_takes_is_agreed_on() {
    let raw = Raw::bind().await;
    let extensions = [Extension::new("x-two").with("id", "7").with("sampled", None), Extension::new("x-one")];
    let client = runtime::client().extensions(extensions).before_request(|headers| {
        headers.remove("sec-websocket-extensions");
    });
    let serve = async {
        let mut peer = raw.accept().await;
        let request = peer.request().await;
        assert_eq!(
            request.header("sec-websocket-extensions"),
            Some(concat!(
                "x-two; id=7; sampled, x-one, permessage-deflate; client_max_window_bits; ",
                "server_no_context_takeover; client_no_context_takeover"
            ))
        );
        peer.write(switching(&request, "Sec-WebSocket-Extensions: x-two; id=8\r\n").as_bytes()).await;
        peer
    };
    let connect = soon("connecting", client.connect(teller().0, raw.url("/")));
    let (session, _peer) = tokio::join!(connect, serve);
    let session = session.unwrap();
    assert_eq!(session.extensions(), [Extension::new("x-two").with("id", "8")]);
    assert_eq!(session.config().extensions().len(), 2);

    for (wrong, why) in [("two words", "not an extension"), ("permessage-deflate", "changes frames")] {
        let client = runtime::client().extensions([Extension::new(wrong)]);
        let error = client.connect(teller().0, raw.url("/")).await.unwrap_err();
        assert!(matches!(&error, ConnectError::Setup(all) if all[0].contains(why)), "{error}");
    }
}

/// `3,4` is a point.
#[derive(Default)]
struct Comma;

#[derive(Clone, Copy, PartialEq, Debug)]
struct Point(i32, i32);

impl Decoder for Comma {
    type Input = Text;
    type Value = Point;

    async fn decode(&mut self, text: Text) -> Result<Point> {
        let (x, y) = text.split_once(',').ok_or_else(|| Error::msg("no comma"))?;
        Ok(Point(x.parse()?, y.parse()?))
    }
}

impl Encoder for Comma {
    type Value = Point;
    type Output = String;

    async fn encode(&mut self, Point(x, y): &Point, text: &mut String) -> Result<()> {
        *text = format!("{x},{y}");
        Ok(())
    }
}

/// Mirrors points by a message handler.
struct Mirror;

impl Endpoint for Mirror {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        session.add_message_handler(|Decoded(Point(x, y))| async move { Encoded(Point(y, x)) })?;
        Ok(())
    }
}

#[tokio::test]
async fn an_endpoint_by_hand_has_the_clients_coders_and_each_session_its_attributes() {
    let raw = Raw::bind().await;
    let coders = Coders::none().decoder::<Comma>().encoder::<Comma>();
    let client = runtime::client().coders(coders).attribute(Point(1, 2));
    let serve = async || {
        let mut peer = raw.accept().await;
        let request = peer.request().await;
        peer.write(switching(&request, "").as_bytes()).await;
        peer.write(&frame(0x81, b"3,4")).await;
        assert_eq!(peer.text().await, "4,3");
        peer
    };
    for _ in 0..2 {
        let connect = soon("connecting", client.connect(Mirror, raw.url("/")));
        let (session, _peer) = tokio::join!(connect, soon("the mirrored point", serve()));
        let session = session.unwrap();
        assert_eq!(session.attributes().insert(Point(0, 0)).as_deref(), Some(&Point(1, 2)));
    }
}

#[tokio::test]
async fn an_idle_session_is_closed() {
    let raw = Raw::bind().await;
    let client = runtime::client().idle_timeout(Duration::from_millis(50)).ping_interval(None);
    let (teller, mut heard) = teller();
    let serve = async {
        let mut peer = raw.accept().await;
        let request = peer.request().await;
        peer.write(switching(&request, "").as_bytes()).await;
        assert_eq!(soon("a close frame", peer.close_code()).await, 1001);
        peer
    };
    let (session, _peer) = tokio::join!(soon("connecting", client.connect(teller, raw.url("/"))), serve);
    assert_eq!(session.unwrap().idle_timeout(), Some(Duration::from_millis(50)));
    heard.expect("open 1").await;
    heard.expect("close 1006 Container").await;
}
