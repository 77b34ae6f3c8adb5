//! Compression as a client agrees on it: what it offers, and which answers it takes.

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, Client, ConnectError, ServerEndpointConfig};

use super::support::{Echo, Raw, Teller, frame, soon, start, switching, teller, url};

const PLAIN: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// What this client offers, and what comes of the answer.
async fn connect(client: &Client, answer: Option<&str>) -> (Option<String>, Result<Session, ConnectError>) {
    let raw = Raw::bind().await;
    let serve = async {
        let mut peer = raw.accept().await;
        let request = peer.request().await;
        let line = answer.map(|answer| format!("Sec-WebSocket-Extensions: {answer}\r\n"));
        peer.write(switching(&request, &line.unwrap_or_default()).as_bytes()).await;
        (request.header("sec-websocket-extensions").map(str::to_owned), peer)
    };
    let connect = soon("connecting", client.connect(teller().0, raw.url("/")));
    let (session, (offered, _peer)) = tokio::join!(connect, serve);
    (offered, session)
}

#[tokio::test]
async fn it_is_offered_as_the_client_is_set_up() {
    let all =
        "permessage-deflate; client_max_window_bits; server_no_context_takeover; client_no_context_takeover";
    let table = [
        (runtime::client(), Some(all)),
        (runtime::client().compression(Compression::On), Some(all)),
        (
            runtime::client().compression(Compression::Context),
            Some("permessage-deflate; client_max_window_bits"),
        ),
        (runtime::client().compression(Compression::Off), None),
    ];
    for (client, expected) in table {
        let (offered, session) = connect(&client, None).await;
        assert_eq!(offered.as_deref(), expected);
        // Nobody has to take it.
        assert_eq!(session.unwrap().extensions(), []);
    }
}

/// Compresses with context, as its annotation says.
#[client_endpoint(compression = context)]
struct Keeps;

#[handlers]
impl Keeps {
    #[on_message]
    fn text(&self, _: String) {}
}

#[client_endpoint(compression = off)]
struct Refuses;

#[handlers]
impl Refuses {
    #[on_message]
    fn text(&self, _: String) {}
}

#[tokio::test]
async fn an_annotation_goes_before_the_client() {
    let server = start([ServerEndpointConfig::builder("/echo", || Echo).build()]).await;
    let address = url(server.local_addr(), "/echo");
    let agreed = |session: Session| session.extensions().iter().map(ToString::to_string).collect::<String>();
    for compression in [Compression::On, Compression::Off] {
        let client = runtime::client().compression(compression);
        let keeps = soon("connecting", client.connect(Keeps, &address)).await.unwrap();
        assert_eq!(agreed(keeps.clone()), PLAIN, "the server's part of it");
        assert_eq!(
            keeps.handshake().header("sec-websocket-extensions"),
            Some("permessage-deflate; client_max_window_bits")
        );
        let refuses = soon("connecting", client.connect(Refuses, &address)).await.unwrap();
        assert_eq!(agreed(refuses), "");
    }
}

#[tokio::test]
async fn answers_are_taken_or_fail_the_connection() {
    let client = runtime::client();
    let table = [
        ("permessage-deflate", Ok(())),
        (PLAIN, Ok(())),
        ("permessage-deflate; server_max_window_bits=8; client_max_window_bits=9", Ok(())),
        (
            "permessage-deflate; server_max_window_bits=16",
            Err("`server_max_window_bits` is a number from 8 to 15, and not `16`"),
        ),
        ("permessage-deflate; client_max_window_bits", Err("`client_max_window_bits` needs a number")),
        ("permessage-deflate; mux", Err("`mux` is none of its parameters")),
        ("permessage-deflate, permessage-deflate", Err("`permessage-deflate` twice")),
        ("permessage-deflate, x-none", Err("`x-none`, which was not offered")),
    ];
    for (answer, expected) in table {
        match (connect(&client, Some(answer)).await.1, expected) {
            (Ok(session), Ok(())) => {
                let agreed: Vec<_> = session.extensions().iter().map(ToString::to_string).collect();
                assert_eq!(agreed, [answer]);
            }
            (Err(ConnectError::Invalid(found)), Err(why)) => {
                assert!(found.contains(why), "{answer}: {found}");
            }
            (found, _) => panic!("{answer}: {found:?}"),
        }
    }
    // Who did not offer it is not to be answered with it.
    let off = client.compression(Compression::Off);
    let (_, session) = connect(&off, Some("permessage-deflate")).await;
    assert!(matches!(session, Err(ConnectError::Invalid(why)) if why.contains("was not offered")));
}

#[tokio::test]
async fn without_agreement_a_compressed_frame_is_a_violation() {
    let raw = Raw::bind().await;
    let (teller, mut heard): (Teller, _) = teller();
    let client = runtime::client();
    let connect = soon("connecting", client.connect(teller, raw.url("/")));
    let (session, mut peer) = tokio::join!(connect, raw.open());
    session.unwrap();
    heard.expect("open 1").await;
    // "Hello", compressed (RFC 7692 7.2.3.1).
    peer.write(&frame(0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00])).await;
    assert_eq!(peer.close_code().await, 1002);
}
