//! How many instances there are, and how long they live.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use endpoint_runtime as runtime;
use endpoint_runtime::prelude::*;

use crate::support::{Told, diary, settle, until};

/// Tells when it is dropped, and with it the instance that has it.
struct OnDrop(Arc<Told>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.tell("instance dropped");
    }
}

#[server_endpoint("/scope/connection")]
struct PerConnection {
    #[inject]
    told: Arc<Told>,
    calls: u32,
    #[init(Vec::with_capacity(8))]
    log: Vec<String>,
    guard: Option<OnDrop>,
}

#[handlers]
impl PerConnection {
    #[on_open]
    fn open(&mut self) {
        self.guard = Some(OnDrop(Arc::clone(&self.told)));
    }

    #[on_message]
    fn text(&mut self, text: String) -> String {
        self.calls += 1;
        self.log.push(text);
        format!("{} {}", self.calls, self.log.join(","))
    }

    #[on_close]
    async fn close(&mut self) {
        tokio::task::yield_now().await;
        self.told.tell(format!("close after {}", self.calls));
    }
}

#[tokio::test(start_paused = true)]
async fn each_connection_has_its_own_instance_until_it_has_closed() {
    let (told, mut heard) = diary();
    let app = runtime::test::app().only::<PerConnection>().provide(told).start().await;
    let mut ann = app.connect("/scope/connection").await.unwrap();
    let mut bob = app.connect("/scope/connection").await.unwrap();
    for (peer, sends, expected) in [(&mut ann, "a", "1 a"), (&mut bob, "x", "1 x")] {
        peer.send(sends).await.unwrap();
        assert_eq!(peer.text().await, expected);
    }
    ann.send("b").await.unwrap();
    assert_eq!(ann.text().await, "2 a,b");
    // A session that somebody holds does not hold the instance.
    let sessions: Vec<_> = app.sessions().all().iter().collect();
    ann.close(1000, "").await.unwrap();
    heard.expect("close after 2").await;
    heard.expect("instance dropped").await;
    settle().await;
    assert_eq!(heard.so_far(), Vec::<String>::new());
    drop(bob);
    heard.expect("close after 1").await;
    heard.expect("instance dropped").await;
    drop(sessions);
}

#[server_endpoint("/scope/singleton", scope = singleton)]
struct Shared {
    #[inject]
    told: Arc<Told>,
    calls: AtomicU32,
    #[init(made())]
    made: u32,
}

static MADE: AtomicU32 = AtomicU32::new(0);

fn made() -> u32 {
    MADE.fetch_add(1, Ordering::SeqCst) + 1
}

#[handlers]
impl Shared {
    #[on_message]
    async fn text(&self, _text: &str) -> String {
        format!("{} {}", self.calls.fetch_add(1, Ordering::SeqCst) + 1, self.made)
    }

    #[on_close]
    fn close(&self) {
        self.told.tell("close");
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.told.tell("instance dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn a_singleton_is_shared_and_made_once() {
    let (told, mut heard) = diary();
    let app = runtime::test::app().only::<Shared>().provide(told).start().await;
    assert_eq!(MADE.load(Ordering::SeqCst), 1, "it is made before the first connection");
    let mut ann = app.connect("/scope/singleton").await.unwrap();
    let mut bob = app.connect("/scope/singleton").await.unwrap();
    for expected in ["1 1", "3 1"] {
        ann.send("").await.unwrap();
        assert_eq!(ann.text().await, expected);
        bob.send("").await.unwrap();
        bob.text().await;
    }
    ann.close(1000, "").await.unwrap();
    bob.close(1000, "").await.unwrap();
    heard.expect("close").await;
    heard.expect("close").await;
    until("the end", || app.sessions().count() == 0).await;
    settle().await;
    assert_eq!(heard.so_far(), Vec::<String>::new(), "it outlives its connections");
    assert_eq!(MADE.load(Ordering::SeqCst), 1);
}

/// While one session's handler waits, another's runs: in a singleton too.
#[server_endpoint("/scope/busy-singleton", scope = singleton)]
struct BusySingleton {
    #[inject]
    gate: Arc<crate::support::Gate>,
}

#[handlers]
impl BusySingleton {
    #[on_message]
    async fn text(&self, text: String) -> String {
        if text == "wait" {
            self.gate.pass().await;
        }
        text
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_of_a_singleton_do_not_wait_for_each_other() {
    let gate = Arc::new(crate::support::Gate::new());
    let app = runtime::test::app().only::<BusySingleton>().provide_shared(Arc::clone(&gate)).start().await;
    let mut ann = app.connect("/scope/busy-singleton").await.unwrap();
    let mut bob = app.connect("/scope/busy-singleton").await.unwrap();
    ann.send("wait").await.unwrap();
    gate.arrived().await;
    bob.send("go").await.unwrap();
    assert_eq!(bob.text().await, "go");
    gate.open();
    assert_eq!(ann.text().await, "wait");
}
