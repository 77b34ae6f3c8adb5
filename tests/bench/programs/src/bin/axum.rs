//! axum: an echo, and at `/bcast` a channel to all, as its example of a chat has it.

use std::io;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use axum::serve::ListenerExt;
use bench_programs::in_one_thread;
use tokio::sync::broadcast::Sender;

fn is_data(message: &Message) -> bool {
    matches!(message, Message::Text(_) | Message::Binary(_))
}

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket| {
        while let Some(Ok(message)) = socket.recv().await {
            if is_data(&message) && socket.send(message).await.is_err() {
                return;
            }
        }
    })
}

async fn everybody(upgrade: WebSocketUpgrade, State(all): State<Sender<Message>>) -> Response {
    upgrade.on_upgrade(|socket| member(socket, all))
}

async fn member(mut socket: WebSocket, all: Sender<Message>) {
    let mut said = all.subscribe();
    loop {
        tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(message)) if is_data(&message) => drop(all.send(message)),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            message = said.recv() => match message {
                Ok(message) => if socket.send(message).await.is_err() { return },
                Err(_) => return,
            },
        }
    }
}

fn main() -> io::Result<()> {
    in_one_thread(async |listener| {
        let all = Sender::<Message>::new(1024);
        let app = Router::new().route("/echo", any(echo)).route("/bcast", any(everybody)).with_state(all);
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        axum::serve(listener, app).await
    })
}
