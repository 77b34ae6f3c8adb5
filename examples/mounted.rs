//! The endpoints inside of an axum application: one port, axum's own routes beside them, and a middleware around both.
//!
//! Run it with `cargo run --example mounted` and open the printed address: the page is a route of axum's, and its WebSocket an endpoint. The
//! middleware says who everybody is, for the routes and for the endpoints. Ctrl-C stops both, in the order in which that is done well.

#![forbid(unsafe_code)]

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{Html, Response};
use axum::routing::get;
use endpoint_runtime as runtime;
use runtime::prelude::*;
use tokio::net::TcpListener;

/// Who somebody is: so many have been here before.
#[derive(Clone)]
struct Visitor(u64);

/// A wall to write on: what is written is seen by all who look.
#[server_endpoint("/walls/{wall}")]
struct Wall;

#[handlers]
impl Wall {
    #[on_open]
    async fn open(&self, session: &Session, #[path] wall: String, visitor: Principal<Visitor>) -> String {
        session.join(&wall);
        format!("you are visitor {} of the {wall} wall", visitor.0)
    }

    #[on_message]
    async fn write(
        &self,
        text: String,
        #[path] wall: String,
        visitor: Principal<Visitor>,
        sessions: Sessions,
    ) {
        sessions.room(&wall).send(format!("visitor {}: {text}", visitor.0)).await;
    }
}

const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><title>The wall</title>
<form><input name="text" autofocus placeholder="write on the wall"></form><pre></pre>
<script>
const wall = new WebSocket(`ws://${location.host}/ws/walls/blue`);
wall.onmessage = event => document.querySelector("pre").append(event.data + "\n");
wall.onclose = event => document.querySelector("pre").append(`closed: ${event.code} ${event.reason}\n`);
document.querySelector("form").onsubmit = event => {
    event.preventDefault();
    wall.send(event.target.text.value);
    event.target.reset();
};
</script>"#;

/// What a load balancer asks: it is told before the server stops.
async fn health(State(container): State<Container>) -> StatusCode {
    if container.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// Counts who comes. What a middleware leaves in a request, handlers find, of axum's routes and of endpoints.
async fn introduce(mut request: Request, next: Next) -> Response {
    use std::sync::atomic::{AtomicU64, Ordering};
    static VISITORS: AtomicU64 = AtomicU64::new(1);
    let visitor = Visitor(VISITORS.fetch_add(1, Ordering::Relaxed));
    request.extensions_mut().insert(Principal::new(visitor));
    next.run(request).await
}

#[tokio::main]
async fn main() -> runtime::Result<()> {
    let endpoints = runtime::export_all().mount().await?;
    let app = axum::Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/healthz", get(health))
        .with_state(endpoints.container().clone())
        .nest("/ws", endpoints.service().into_router())
        .layer(from_fn(introduce));
    let port = std::env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("open http://{}/", listener.local_addr()?);
    axum::serve(listener, app)
        .with_graceful_shutdown(async {
            // Without it, only the end of the process stops the server.
            let _ = tokio::signal::ctrl_c().await;
        })
        .await?;
    // To axum a connection that has become a WebSocket is gone: its sessions are ours to close.
    endpoints.shutdown().await;
    Ok(())
}
