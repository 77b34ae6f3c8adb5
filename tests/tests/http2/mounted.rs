//! Endpoints that are mounted in a server that speaks HTTP/2 itself: axum's.

use endpoint_runtime::Settings;
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

use super::support::{Connection, Reporter, close, soon, websocket};

#[tokio::test]
async fn both_versions_reach_what_is_mounted() {
    let (config, mut reports) = Reporter::at("/mounted/both");
    let exporter = endpoint_runtime::export_all().settings(Settings::default()).endpoint(config);
    let mounted = exporter.only(|config| config.path() == "/mounted/both").mount().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().nest("/ws", mounted.service().into_router());
    tokio::spawn(async move { axum::serve(listener, app).await });

    let mut connection = Connection::open(address).await;
    let mut socket = connection.open_socket("/ws/mounted/both").await;
    reports.opened().await;
    socket.says_back("over HTTP/2").await;
    assert_eq!(connection.connect(websocket("/ws/nothing", &[])).await.err().unwrap().status, 404);

    let stream = TcpStream::connect(address).await.unwrap();
    let url = format!("ws://{address}/ws/mounted/both");
    let (mut client, _) = soon("the handshake", tokio_tungstenite::client_async(url, stream)).await.unwrap();
    client.send(Message::text("over HTTP/1.1")).await.unwrap();
    assert_eq!(soon("the echo", client.next()).await.unwrap().unwrap(), Message::text("over HTTP/1.1"));

    let stopping = tokio::spawn(mounted.shutdown());
    assert_eq!(socket.reason().await.0, 1001);
    socket.say(close(1001));
    assert!(matches!(soon("the close", client.next()).await, Some(Ok(Message::Close(Some(_))))));
    drop(client);
    soon("the end", stopping).await.unwrap();
}
