//! Attributes that a client gives its sessions: copies, there before `on_open`, and anew in each connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, Backoff, Endpoint};
use tokio::sync::mpsc::UnboundedSender;

use super::support::{Raw, teller};

#[derive(Clone, Debug, PartialEq)]
struct Theme(&'static str);

/// Tells which theme it finds, and changes it.
struct Reader(UnboundedSender<String>);

impl Endpoint for Reader {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        let theme = session.attributes().get::<Theme>();
        session.attributes().get_shared::<Arc<AtomicU32>>().unwrap().fetch_add(1, Ordering::SeqCst);
        self.0.send(format!("{theme:?}"))?;
        session.attributes().insert(Theme("changed"));
        Ok(())
    }
}

#[tokio::test]
async fn each_session_has_copies_of_its_own() {
    let raw = Raw::bind().await;
    let shared = Arc::new(AtomicU32::new(0));
    let client =
        runtime::client().attribute(Theme("light")).attribute(Theme("dark")).attribute(Arc::clone(&shared));
    let (teller, mut heard) = teller();
    let reader = || Reader(teller.teller());
    for _ in 0..2 {
        let (session, _peer) = tokio::join!(client.connect(reader(), raw.url("/")), raw.open());
        heard.expect("Some(Theme(\"dark\"))").await;
        assert_eq!(session.unwrap().attributes().get(), Some(Theme("changed")));
    }
    // A clone's own options are its own.
    let clone = client.clone().attribute(Theme("high contrast"));
    let (_session, _peer) = tokio::join!(clone.connect(reader(), raw.url("/")), raw.open());
    heard.expect("Some(Theme(\"high contrast\"))").await;
    // What is in an `Arc` is one for all.
    assert_eq!(shared.load(Ordering::SeqCst), 3);
    let again = client.reconnect(Backoff::default().initial(Duration::from_millis(20)));
    let (_connection, peer) = tokio::join!(again.connect(reader(), raw.url("/")), raw.open());
    heard.expect("Some(Theme(\"dark\"))").await;
    drop(peer);
    let _peer = raw.open().await;
    heard.expect("Some(Theme(\"dark\"))").await;
}
