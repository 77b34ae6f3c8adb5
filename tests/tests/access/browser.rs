//! A client that we did not write says who it is as browsers can, over TCP.

use endpoint_runtime as runtime;
use endpoint_runtime::prelude::*;
use endpoint_runtime::{Server, Settings};
use futures_util::StreamExt;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message as Frame};

use crate::support::{User, token, tokens};

#[server_endpoint("/news/{topic}", subprotocols = ["news.v1"], require = "reader")]
struct News;

#[handlers]
impl News {
    #[on_open]
    fn open(&self, who: Principal<User>, #[path] topic: String) -> String {
        format!("{} reads {topic}", who.0)
    }
}

async fn start() -> Server {
    let exporter = runtime::export_all().settings(Settings::default()).bind("127.0.0.1:0");
    exporter.only(ServerEndpointConfig::is::<News>).bearer(tokens()).start().await.unwrap()
}

/// `new WebSocket(url, protocols)`, as a page of that origin would say it: what was agreed on, and the first message; or the status.
async fn open(server: &Server, protocols: &[&str], origin: &str) -> Result<(String, String), u16> {
    let mut request = format!("ws://{}/news/today", server.local_addr()).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", protocols.join(", ").parse().unwrap());
    request.headers_mut().insert("origin", origin.parse().unwrap());
    let (mut socket, response) = match tokio_tungstenite::connect_async(request).await {
        Ok(connected) => connected,
        Err(tungstenite::Error::Http(response)) => return Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    };
    let agreed = response.headers()["sec-websocket-protocol"].to_str().unwrap().to_owned();
    match socket.next().await {
        Some(Ok(Frame::Text(text))) => Ok((agreed, text.to_string())),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_browser_says_who_it_is_among_its_subprotocols() {
    let server = start().await;
    let here = format!("http://{}", server.local_addr());
    let (reader, other) = (token("bo.reader"), token("bo.writer"));
    let welcome = |agreed: &str| Ok((agreed.to_owned(), "bo reads today".to_owned()));
    let table: &[(&[&str], &str, _)] = &[
        (&["bearer", &reader], &here, welcome("bearer")),
        (&["news.v1", "bearer", &reader], &here, welcome("news.v1")),
        (&["bearer", &reader, "news.v1"], &here, welcome("news.v1")),
        (&["bearer", &other], &here, Err(403)),
        (&["bearer", "made-up"], &here, Err(401)),
        (&["news.v1"], &here, Err(401)),
        (&["bearer", &reader], "https://evil.example", Err(403)),
    ];
    for (protocols, origin, expected) in table {
        assert_eq!(open(&server, protocols, origin).await, *expected, "{protocols:?} from {origin}");
    }
    server.shutdown().await;
}
