//! Subprotocols: the first of the client's list that the endpoint speaks, or none and no header.

use endpoint_runtime::prelude::*;

use super::support::{Raw, only, start, text, upgrade};

/// Says which subprotocol it was.
#[server_endpoint("/spoken", subprotocols = ["chat.v2", "chat.v1"])]
struct Spoken;

#[handlers]
impl Spoken {
    #[on_message]
    fn message(&self, _: String, session: &Session) -> String {
        format!("{:?}", session.subprotocol())
    }
}

#[tokio::test]
async fn the_first_of_the_clients_list_is_chosen() {
    let server = start(only::<Spoken>()).await;
    let table: &[(&[&str], Option<&str>)] = &[
        (&["Sec-WebSocket-Protocol: chat.v2"], Some("chat.v2")),
        (&["Sec-WebSocket-Protocol: chat.v1, chat.v2"], Some("chat.v1")),
        (&["Sec-WebSocket-Protocol: chat.v3,chat.v2 , chat.v1"], Some("chat.v2")),
        (&["Sec-WebSocket-Protocol: other", "sec-websocket-protocol: chat.v1"], Some("chat.v1")),
        (&["Sec-WebSocket-Protocol: other"], None),
        (&["Sec-WebSocket-Protocol: CHAT.V2"], None),
        (&["Sec-WebSocket-Protocol:"], None),
        (&[], None),
    ];
    for (lines, chosen) in table {
        let mut raw = Raw::connect(server.local_addr()).await;
        let answer = raw.ask(upgrade("/spoken", lines)).await;
        assert_eq!(answer.status, 101, "{lines:?}");
        assert_eq!(answer.header("sec-websocket-protocol"), *chosen, "{lines:?}");
        raw.send(text("which?")).await;
        assert_eq!(raw.text().await, format!("{chosen:?}"), "{lines:?}");
    }
}

/// An extension that nobody has agreed on is declined, not an error: no header, and no compression.
#[tokio::test]
async fn an_unknown_extension_is_declined() {
    let server = start(only::<Spoken>()).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    let answer = raw.ask(upgrade("/spoken", &["Sec-WebSocket-Extensions: x-unheard-of; a=b"])).await;
    assert_eq!((answer.status, answer.header("sec-websocket-extensions")), (101, None));
    raw.send(text("which?")).await;
    assert_eq!(raw.text().await, "None");
}
