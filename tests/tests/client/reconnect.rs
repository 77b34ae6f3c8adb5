//! Connections that are made again: what for, how soon, with which instance, and when no more.

use std::time::{Duration, Instant};

use endpoint_runtime::{
    self as runtime, Backoff, CloseCode, CloseReason, ConnectError, Connection, Lost, ReconnectingClient,
    SendError,
};

use super::support::{Heard, Raw, close_frame, frame, response, soon, teller};

fn quick() -> Backoff {
    Backoff::default().initial(Duration::from_millis(20)).max(Duration::from_millis(50))
}

fn client() -> ReconnectingClient {
    runtime::client().reconnect(quick())
}

async fn connect(
    client: &ReconnectingClient,
    raw: &Raw,
) -> (Connection, Heard, super::support::RawPeer<tokio::net::TcpStream>) {
    let (teller, mut heard) = teller();
    let (connection, peer) = tokio::join!(client.connect(teller, raw.url("/")), raw.open());
    heard.expect("open 1").await;
    (connection.unwrap(), heard, peer)
}

#[tokio::test]
async fn a_lost_connection_is_made_again_with_the_same_instance() {
    let raw = Raw::bind().await;
    let (connection, mut heard, mut peer) = connect(&client(), &raw).await;
    let first = connection.session();
    for round in 2..5 {
        drop(peer);
        peer = raw.open().await;
        heard.expect("close 1006 Network").await;
        heard.expect(&format!("open {round}")).await;
    }
    let session = soon("a session", connection.connected()).await.unwrap();
    assert_ne!(session, first);
    assert_eq!(session, connection.session());
    assert!(!first.is_open() && connection.is_connected());
    assert_eq!(connection.attempts(), 0);
    peer.write(&frame(0x81, b"here again")).await;
    heard.expect("text here again").await;
    connection.close(CloseReason::normal()).await.unwrap();
    assert_eq!(peer.close_code().await, 1000);
    peer.write(&close_frame(1000)).await;
    drop(peer);
    heard.expect("close 1000 Application").await;
    heard.gone().await;
    assert_eq!(soon("the end", connection.closed()).await.code(), CloseCode::Normal);
}

#[tokio::test]
async fn some_codes_are_worth_another_attempt_and_some_are_not() {
    for (code, again) in [
        (1000, false),
        (1001, true),
        (1002, false),
        (1003, false),
        (1007, false),
        (1008, false),
        (1009, false),
        (1010, false),
        (1011, true),
        (1012, true),
        (1013, true),
        (1014, true),
        (4000, false),
    ] {
        let raw = Raw::bind().await;
        let (connection, mut heard, mut peer) = connect(&client(), &raw).await;
        peer.write(&close_frame(code)).await;
        assert_eq!(peer.close_code().await, code);
        drop(peer);
        heard.expect(&format!("close {code} Peer")).await;
        if again {
            let _peer = raw.open().await;
            heard.expect("open 2").await;
        } else {
            heard.gone().await;
            let reason = soon("the end", connection.closed()).await;
            assert_eq!(u16::from(reason.code()), code);
            let sent = connection.send("too late").await;
            assert!(matches!(sent, Err(SendError::Closed(ended)) if ended == reason));
        }
    }
}

#[tokio::test]
async fn a_server_that_comes_back_is_waited_for() {
    let raw = Raw::bind().await;
    let (connection, mut heard, peer) = connect(&client(), &raw).await;
    let address = raw.address;
    drop((raw, peer));
    heard.expect("close 1006 Network").await;
    soon("some attempts", async {
        while connection.attempts() < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert!(!connection.is_connected());
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let (stream, _) = soon("another attempt", listener.accept()).await.unwrap();
    let mut peer = super::support::RawPeer::over(stream);
    let request = peer.request().await;
    peer.write(super::support::switching(&request, "").as_bytes()).await;
    heard.expect("open 2").await;
    soon("a session", connection.connected()).await.unwrap();
    assert_eq!(connection.attempts(), 0);
}

#[tokio::test]
async fn refusals_that_mean_later_are_tried_again_and_others_are_not() {
    for (line, again) in [
        ("408 Request Timeout", true),
        ("429 Too Many Requests", true),
        ("500 Internal Server Error", true),
        ("503 Service Unavailable", true),
        ("400 Bad Request", false),
        ("401 Unauthorized", false),
        ("404 Not Found", false),
    ] {
        let raw = Raw::bind().await;
        let (connection, mut heard, peer) = connect(&client(), &raw).await;
        drop(peer);
        heard.expect("close 1006 Network").await;
        raw.answer(&response(line, "", "")).await;
        if again {
            let _peer = raw.open().await;
            heard.expect("open 2").await;
        } else {
            let reason = soon("the end", connection.closed()).await;
            assert_eq!(reason.code(), CloseCode::Abnormal);
            assert!(reason.text().contains(&line[..3]), "{reason}");
            heard.gone().await;
        }
    }
}

#[tokio::test]
async fn retry_after_is_honoured_up_to_the_longest_pause() {
    let raw = Raw::bind().await;
    let backoff = Backoff::default().initial(Duration::from_millis(1)).max(Duration::from_millis(400));
    let (_connection, mut heard, peer) = connect(&runtime::client().reconnect(backoff), &raw).await;
    drop(peer);
    raw.answer(&response("503 Service Unavailable", "Retry-After: 3600\r\n", "")).await;
    let begin = Instant::now();
    let _peer = raw.open().await;
    let waited = begin.elapsed();
    // Not 3,600 seconds, and not the pause of a few milliseconds that it would have been.
    assert!(waited >= Duration::from_millis(390), "{waited:?}");
    heard.expect("close 1006 Network").await;
    heard.expect("open 2").await;
}

#[tokio::test]
async fn attempts_have_an_end_if_there_is_one() {
    let raw = Raw::bind().await;
    let client = runtime::client().reconnect(quick().attempts(3));
    let (connection, mut heard, peer) = connect(&client, &raw).await;
    drop(peer);
    for _ in 0..3 {
        raw.answer(&response("503 Service Unavailable", "", "")).await;
    }
    let reason = soon("the end", connection.closed()).await;
    assert!(reason.text().contains("503"), "{reason}");
    assert_eq!(connection.attempts(), 3);
    assert_eq!(soon("no session", connection.connected()).await.unwrap_err(), reason);
    heard.expect("close 1006 Network").await;
    heard.gone().await;
}

/// A server that accepts and drops is as good as down: only a connection that lasts makes the attempts count from the beginning.
#[tokio::test]
async fn connections_that_do_not_last_count_as_attempts() {
    let raw = Raw::bind().await;
    let (connection, _heard, peer) = connect(&runtime::client().reconnect(quick().attempts(3)), &raw).await;
    drop(peer);
    for _ in 0..3 {
        drop(raw.open().await);
    }
    soon("the end", connection.closed()).await;

    let raw = Raw::bind().await;
    let lasting = quick().attempts(3).lasting(Duration::ZERO);
    let (connection, mut heard, mut peer) = connect(&runtime::client().reconnect(lasting), &raw).await;
    for round in 2..10 {
        drop(peer);
        peer = raw.open().await;
        heard.expect("close 1006 Network").await;
        heard.expect(&format!("open {round}")).await;
    }
    assert!(soon("a session", connection.connected()).await.is_ok());
}

#[tokio::test]
async fn the_hook_subscribes_again_before_others_send() {
    let raw = Raw::bind().await;
    let client = client().on_reconnect(async |session| {
        tokio::time::sleep(Duration::from_millis(50)).await;
        session.send("subscribe").await?;
        Ok(())
    });
    let (connection, mut heard, mut peer) = connect(&client, &raw).await;
    connection.send("first").await.unwrap();
    // Not for the first connection.
    assert_eq!(peer.text().await, "first");
    drop(peer);
    heard.expect("close 1006 Network").await;
    let sending = connection.send("second");
    let serve = async {
        let mut peer = raw.open().await;
        assert_eq!(peer.text().await, "subscribe");
        assert_eq!(peer.text().await, "second");
        peer
    };
    let (sent, _peer) = tokio::join!(soon("sending", sending), serve);
    sent.unwrap();
    heard.expect("open 2").await;
}

#[tokio::test]
async fn a_hook_that_fails_costs_the_connection_and_is_tried_again() {
    let raw = Raw::bind().await;
    let tried = std::sync::atomic::AtomicU32::new(0);
    let client = client().on_reconnect(move |session| {
        let fails = tried.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        async move {
            if fails {
                return Err(runtime::Error::msg("not subscribed"));
            }
            Ok(session.send("subscribed").await?)
        }
    });
    let (_connection, mut heard, peer) = connect(&client, &raw).await;
    drop(peer);
    heard.expect("close 1006 Network").await;
    let mut peer = raw.open().await;
    assert_eq!(peer.close_code().await, 1011);
    peer.write(&close_frame(1011)).await;
    drop(peer);
    heard.expect("open 2").await;
    heard.expect("error not subscribed").await;
    heard.expect("close 1011 Container").await;
    let mut peer = raw.open().await;
    assert_eq!(peer.text().await, "subscribed");
    heard.expect("open 3").await;
}

#[tokio::test]
async fn a_sender_does_not_wait_for_ever() {
    let raw = Raw::bind().await;
    let client = runtime::client()
        .send_timeout(Duration::from_millis(100))
        .reconnect(Backoff::default().initial(Duration::from_secs(3600)).max(Duration::from_secs(3600)));
    let (connection, mut heard, peer) = connect(&client, &raw).await;
    drop(peer);
    heard.expect("close 1006 Network").await;
    let sent = soon("an error", connection.send("nobody there")).await;
    assert!(matches!(sent, Err(SendError::Full)), "{sent:?}");
    // And what is closed while there is no connection is closed at once.
    assert!(matches!(
        connection.close(CloseReason::new(1006, "")).await,
        Err(SendError::InvalidCloseCode(1006))
    ));
    connection.close(CloseReason::away("enough")).await.unwrap();
    let reason = soon("the end", connection.closed()).await;
    assert_eq!(reason.to_string(), "1001 enough");
    assert!(matches!(connection.send("too late").await, Err(SendError::Closed(_))));
    heard.gone().await;
}

#[tokio::test]
async fn an_endpoint_that_closes_its_session_means_it() {
    let raw = Raw::bind().await;
    let (connection, mut heard, mut peer) = connect(&client(), &raw).await;
    // 1013 from the server would be worth another attempt.
    connection.session().close(CloseReason::new(CloseCode::Again, "")).await.unwrap();
    assert_eq!(peer.close_code().await, 1013);
    peer.write(&close_frame(1013)).await;
    drop(peer);
    heard.expect("close 1013 Application").await;
    heard.gone().await;
    assert_eq!(soon("the end", connection.closed()).await.code(), CloseCode::Again);
}

#[tokio::test]
async fn the_application_may_decide_otherwise() {
    let raw = Raw::bind().await;
    let client = client().retry_if(|lost| match lost {
        Lost::Session(reason) => u16::from(reason.code()) == 1000,
        Lost::Attempt(error) => error.status().is_some_and(|status| status == 404),
        _ => false,
    });
    let (connection, mut heard, mut peer) = connect(&client, &raw).await;
    peer.write(&close_frame(1000)).await;
    drop(peer);
    heard.expect("close 1000 Peer").await;
    raw.answer(&response("404 Not Found", "", "")).await;
    let peer = raw.open().await;
    heard.expect("open 2").await;
    drop(peer);
    heard.expect("close 1006 Network").await;
    assert_eq!(soon("the end", connection.closed()).await.code(), CloseCode::Abnormal);
}

#[tokio::test]
async fn the_first_connection_is_tried_once_unless_the_client_is_patient() {
    let raw = Raw::bind().await;
    let busy = response("503 Service Unavailable", "", "");
    let (impatient, _heard) = teller();
    let (plain, patient) = (client(), client().patient(true));
    let (result, _) = tokio::join!(plain.connect(impatient, raw.url("/")), raw.answer(&busy));
    assert!(matches!(result, Err(ConnectError::Refused { .. })), "{result:?}");
    let (teller, mut heard) = teller();
    let serve = async {
        raw.answer(&busy).await;
        raw.answer(&busy).await;
        raw.open().await
    };
    let (connection, _peer) = tokio::join!(soon("connecting", patient.connect(teller, raw.url("/"))), serve);
    assert!(soon("a session", connection.unwrap().connected()).await.is_ok());
    heard.expect("open 1").await;
    // What cannot go better is an error for the patient too.
    let (another, _heard) = super::support::teller();
    let not_found = response("404 Not Found", "", "");
    let (result, _) = tokio::join!(patient.connect(another, raw.url("/")), raw.answer(&not_found));
    assert!(matches!(result, Err(ConnectError::Refused { .. })), "{result:?}");
}

#[tokio::test]
async fn a_shutdown_ends_it() {
    let raw = Raw::bind().await;
    let container = runtime::client();
    let (connection, mut heard, mut peer) = connect(&container.clone().reconnect(quick()), &raw).await;
    let long = Backoff::default().initial(Duration::from_secs(3600)).max(Duration::from_secs(3600));
    let (pausing, mut pausing_heard, other) = connect(&container.clone().reconnect(long), &raw).await;
    drop(other);
    pausing_heard.expect("close 1006 Network").await;
    let serve = async {
        assert_eq!(peer.close_code().await, 1001);
        peer.write(&close_frame(1001)).await;
        drop(peer);
    };
    tokio::join!(soon("the shutdown", container.shutdown()), serve);
    heard.expect("close 1001 Container").await;
    heard.gone().await;
    pausing_heard.gone().await;
    assert_eq!(soon("the end", connection.closed()).await.code(), CloseCode::Away);
    assert_eq!(soon("the end", pausing.closed()).await.code(), CloseCode::Abnormal);
}
