//! The server whose costs are counted (`tests/costs`): endpoints that do nothing but receive and send.
//!
//! It listens on `127.0.0.1:$PORT`, in one thread, so that the same messages cost the same each time. The endpoints are as a
//! user writes them: an instance for each connection, and almost all settings as they come.

#![forbid(unsafe_code)]

use endpoint_runtime as runtime;
use runtime::prelude::*;

/// Says every message back as the runtime's own types, which nobody has to copy. One of 1 MiB may come, and go.
#[server_endpoint("/text", max_message_size = 1_048_576, send_buffer = 2_097_152)]
struct Shared;

#[handlers]
impl Shared {
    #[on_message]
    fn text(&self, text: Text) -> Text {
        text
    }

    #[on_message]
    fn binary(&self, bytes: Bytes) -> Bytes {
        bytes
    }
}

/// Says every message back as a `String`, which is the handler's own.
#[server_endpoint("/string")]
struct Owned;

#[handlers]
impl Owned {
    #[on_message]
    fn text(&self, text: String) -> String {
        text
    }
}

/// Says every message to everybody here.
#[server_endpoint("/all")]
struct Everybody;

#[handlers]
impl Everybody {
    #[on_message]
    async fn text(&self, text: Text, sessions: Sessions) {
        sessions.endpoint::<Everybody>().send(text).await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let port = std::env::var("PORT")?;
    runtime::export_all().bind(format!("127.0.0.1:{port}")).serve().await
}
