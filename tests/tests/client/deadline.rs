//! The time that connecting may take, at each step.

use std::time::{Duration, Instant};

use endpoint_runtime::{self as runtime, ConnectError, ConnectStep, Proxy};

use super::support::{Raw, soon, teller};

const TIME: Duration = Duration::from_millis(200);

async fn timed_out(client: runtime::Client, url: &str) -> ConnectStep {
    let begin = Instant::now();
    let (teller, mut heard) = teller();
    let result = soon("the deadline", client.timeout(TIME).connect(teller, url)).await;
    assert!(begin.elapsed() >= TIME);
    heard.gone().await;
    match result {
        Err(ConnectError::Timeout { step, after: TIME }) => step,
        other => panic!("{other:?}"),
    }
}

/// A server that accepts and says nothing.
#[tokio::test]
async fn in_the_handshake() {
    let raw = Raw::bind().await;
    assert_eq!(timed_out(runtime::client(), &raw.url("/")).await, ConnectStep::Handshake);
}

#[tokio::test]
async fn in_the_middle_of_the_answer() {
    let raw = Raw::bind().await;
    let url = raw.url("/");
    let (step, _answered) = tokio::join!(
        timed_out(runtime::client(), &url),
        raw.answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade:")
    );
    assert_eq!(step, ConnectStep::Handshake);
}

#[tokio::test]
async fn in_tls() {
    let raw = Raw::bind().await;
    let url = format!("wss://{}/", raw.address);
    assert_eq!(timed_out(runtime::client(), &url).await, ConnectStep::Tls);
}

#[tokio::test]
async fn at_the_proxy() {
    let raw = Raw::bind().await;
    let client = runtime::client().proxy(Proxy::http(format!("http://{}", raw.address)));
    assert_eq!(timed_out(client, "ws://host.example/").await, ConnectStep::Proxy);
}

/// A listener whose queue is full lets nobody in.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn in_tcp() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(address)).await
    {
        waiting.push(stream);
    }
    assert_eq!(timed_out(runtime::client(), &format!("ws://{address}/")).await, ConnectStep::Tcp);
}

/// Redirects do not get more time.
#[tokio::test]
async fn over_all_redirects_together() {
    let raw = Raw::bind().await;
    let url = raw.url("/");
    let again = async {
        loop {
            let (_, _peer) =
                raw.answer(&super::support::response("302 Found", "Location: /again\r\n", "")).await;
            tokio::time::sleep(TIME / 10).await;
        }
    };
    tokio::select! {
        // Whichever step it was in.
        _ = timed_out(runtime::client().redirects(1_000_000), &url) => {}
        () = again => {}
    }
}
