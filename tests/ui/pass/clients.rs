//! Endpoints of clients: their instances are made by their owner, and the handlers are those of a server's.

#![deny(warnings)]

use endpoint_runtime::prelude::*;

/// Has no `Default`.
struct Sender(Box<dyn Fn(String) + Send>);

#[client_endpoint]
struct Unit;

const LIMIT: usize = 1 << 20;

mod rooms {
    use super::*;

    #[client_endpoint(
        subprotocols = ["chat.v2", "chat.v1"],
        max_message_size = LIMIT / 2,
        idle_timeout = "off",
        ping_interval = "250ms",
        send_buffer = 1_048_576,
        overflow = drop_oldest,
        compression = "off",
        crate = endpoint_runtime,
    )]
    pub(crate) struct Listener {
        pub(crate) heard: Sender,
        pub(crate) count: u32,
    }
}

#[client_endpoint]
#[cfg(any())]
struct Gone(Missing);

#[handlers]
impl Unit {
    #[on_message]
    fn text(text: String) -> String {
        text
    }
}

#[handlers]
impl rooms::Listener {
    #[on_open]
    async fn open(&mut self, session: &Session, handshake: &Handshake, #[query] room: String) -> Result<()> {
        session.send(format!("{room} of {}", handshake.uri())).await?;
        Ok(())
    }

    #[on_message]
    fn text(&mut self, text: String) -> u32 {
        (self.heard.0)(text);
        self.count += 1;
        self.count
    }

    #[on_close]
    fn close(&self, reason: &CloseReason) {
        let _ = reason;
    }

    #[on_error]
    fn error(&self, error: &Error) {
        let _ = error;
    }
}

fn main() {
    let _: fn() -> [rooms::Listener; 0] = || [];
    let _ = (Unit, rooms::Listener { heard: Sender(Box::new(drop)), count: 0 });
}
