//! The smallest endpoint: it says every text back, reversed.
//!
//! Run it with `cargo run --example reverse`, then connect any WebSocket client to `ws://127.0.0.1:8080/reverse`; for
//! example `python3 -m websockets ws://127.0.0.1:8080/reverse`. Type `abc`, read `cba`. Ctrl-C stops it gracefully.

#![forbid(unsafe_code)]

use endpoint_runtime as runtime;
use runtime::prelude::*;

/// Says it back, reversed.
#[server_endpoint("/reverse")]
struct Reverse;

#[handlers]
impl Reverse {
    #[on_message]
    fn reverse(&self, text: String) -> String {
        text.chars().rev().collect()
    }
}

#[tokio::main]
async fn main() -> runtime::Result<()> {
    runtime::export_all().serve().await
}
