//! [`Pair`]: a connection whose one end is under test, as the server or as the client.

use std::sync::Arc;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, ClientEndpoint, Endpoint, Server, ServerEndpointConfig};

use crate::stage::{exporter, serve, url, with_only};
use crate::told::{Heard, Told, diary, soon, until};

/// Which end of the connection is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Server,
    Client,
}

pub(super) const SIDES: [Side; 2] = [Side::Server, Side::Client];

/// A connection over TCP.
pub(super) struct Pair {
    /// The session under test, and what its endpoint tells.
    pub(super) tested: Session,
    pub(super) heard: Heard,
    /// The session at the other end, and what comes there.
    pub(super) other: Session,
    pub(super) others: Heard,
    /// Until it is stopped.
    server: Option<Server>,
}

/// The other end: tells what comes.
struct Other(Told);

impl Endpoint for Other {
    async fn on_message(&mut self, _: &Session, message: Message) -> Result<()> {
        match message {
            Message::Text(text) => self.0.tell(text),
            Message::Binary(bytes) => self.0.tell(format_args!("{bytes:?}")),
        }
        Ok(())
    }

    async fn on_close(&mut self, _: &Session, reason: &CloseReason) {
        self.0.tell(format_args!("close {}", u16::from(reason.code())));
    }
}

impl Pair {
    /// Connects what is tested, `server` at its path or `client`, with a query in the URL.
    pub(super) async fn new<C: ClientEndpoint<Via>, Via>(
        side: Side,
        server: ServerEndpointConfig,
        client: impl FnOnce(Arc<Told>) -> C,
        query: &str,
    ) -> Pair {
        let (told, heard) = diary();
        let (others_told, others) = diary();
        let connector = runtime::client();
        match side {
            Side::Server => {
                let path = format!("{}{query}", server.path());
                let exporter = with_only(exporter(), [server]).provide(told);
                let server = soon("the start", exporter.start()).await.unwrap();
                let connecting = connector.connect(Other(others_told), url(&server, &path));
                let other = soon("connecting", connecting).await.unwrap();
                let tested = accepted(&server, &other).await;
                Pair { tested, heard, other, others, server: Some(server) }
            }
            Side::Client => {
                let config = ServerEndpointConfig::builder("/other", move || Other(others_told.clone()));
                let server = serve([config.build()]).await;
                let connecting =
                    connector.connect(client(Arc::new(told)), url(&server, &format!("/other{query}")));
                let tested = soon("connecting", connecting).await.unwrap();
                let other = accepted(&server, &tested).await;
                Pair { tested, heard, other, others, server: Some(server) }
            }
        }
    }

    /// Stops the server, which ends the connection if it has not ended.
    pub(super) async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            soon("the shutdown", server.shutdown()).await;
            until("the end", || self.tested.close_reason().is_some()).await;
        }
    }
}

/// The server's session of this client's. One that was over before it could be found is stood for by its other end.
async fn accepted(server: &Server, client: &Session) -> Session {
    let mut found = None;
    until("the server's session", || {
        found = server.sessions().all().iter().next();
        found.is_some() || client.close_reason().is_some()
    })
    .await;
    found.unwrap_or_else(|| client.clone())
}

/// The same annotated endpoint for both sides: `told` is the test's diary.
macro_rules! both_sides {
    ($server:ident at $path:literal, $client:ident ($($arguments:tt)*) { $($methods:tt)* }) => {
        #[server_endpoint($path, $($arguments)*)]
        struct $server {
            #[inject]
            told: Arc<Told>,
        }

        #[handlers]
        impl $server {
            $($methods)*
        }

        #[client_endpoint($($arguments)*)]
        struct $client {
            told: Arc<Told>,
        }

        #[handlers]
        impl $client {
            $($methods)*
        }

        impl $client {
            /// A connection with this endpoint at one end.
            async fn pair(side: Side, query: &str) -> Pair {
                let server = endpoint_runtime::ServerEndpointConfig::of::<$server>();
                Pair::new(side, server, |told| $client { told }, query).await
            }
        }
    };
}
pub(super) use both_sides;
