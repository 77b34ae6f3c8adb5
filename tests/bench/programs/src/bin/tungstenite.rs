//! tokio-tungstenite, as its examples use it (`default`), or for small messages (`tuned`): a small read buffer, and everything
//! that is there answered before the answers are flushed. `broadcast` sends what comes to all, through a channel for each.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use bench_programs::serve;
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::{Error, Message, protocol::WebSocketConfig};
use tokio_tungstenite::{accept_async, accept_async_with_config};

type Result<T> = std::result::Result<T, Error>;

const SMALL: usize = 4096;

fn is_data(message: &Message) -> bool {
    message.is_text() || message.is_binary()
}

async fn echo(stream: TcpStream) -> Result<()> {
    let mut socket = accept_async(stream).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if is_data(&message) {
            socket.send(message).await?;
        }
    }
    Ok(())
}

async fn tuned(stream: TcpStream) -> Result<()> {
    let config = WebSocketConfig::default().read_buffer_size(SMALL);
    let mut socket = accept_async_with_config(stream, Some(config)).await?;
    while let Some(message) = socket.next().await {
        let mut next = Some(message);
        while let Some(message) = next {
            let message = message?;
            if is_data(&message) {
                socket.feed(message).await?;
            }
            next = socket.next().now_or_never().flatten();
        }
        socket.flush().await?;
    }
    Ok(())
}

#[derive(Default)]
struct Members {
    next: u64,
    all: HashMap<u64, UnboundedSender<Message>>,
}

async fn broadcast(stream: TcpStream, members: Arc<Mutex<Members>>) -> Result<()> {
    let config = WebSocketConfig::default().read_buffer_size(SMALL);
    let mut socket = accept_async_with_config(stream, Some(config)).await?;
    let (sender, mut receiver) = unbounded_channel();
    let lock = || members.lock().expect("nobody panics");
    let id = {
        let mut members = lock();
        members.next += 1;
        let id = members.next;
        members.all.insert(id, sender);
        id
    };
    let result = async {
        loop {
            tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(message)) if is_data(&message) => {
                        for member in lock().all.values() {
                            let _ = member.send(message.clone());
                        }
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error),
                    None => return Ok(()),
                },
                Some(message) = receiver.recv() => {
                    socket.feed(message).await?;
                    while let Ok(message) = receiver.try_recv() {
                        socket.feed(message).await?;
                    }
                    socket.flush().await?;
                }
            }
        }
    }
    .await;
    lock().all.remove(&id);
    result
}

fn main() -> io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("default") => serve(|stream| echo(stream).map(|_| ())),
        Some("tuned") => serve(|stream| tuned(stream).map(|_| ())),
        Some("broadcast") => {
            let members = Arc::<Mutex<Members>>::default();
            serve(move |stream| broadcast(stream, members.clone()).map(|_| ()))
        }
        _ => Err(io::Error::other("usage: tungstenite default|tuned|broadcast")),
    }
}
