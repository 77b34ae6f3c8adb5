//! What a type can do beyond being made is found out: nobody says it of the component.

use std::sync::{Arc, OnceLock};

use endpoint_runtime::prelude::*;

use crate::support::{Journal, app, started};

/// Needs nothing, and is needed by `Players`: made before, destroyed after.
struct Stage {
    journal: Arc<Journal>,
}

#[component]
impl Stage {
    #[constructor]
    async fn build(journal: Arc<Journal>) -> Self {
        journal.write("stage: made");
        Stage { journal }
    }
}

impl Lifecycle for Stage {
    async fn after_properties_set(&self) -> Result<()> {
        tokio::task::yield_now().await;
        self.journal.write("stage: set");
        Ok(())
    }

    async fn destroy(&self) {
        tokio::task::yield_now().await;
        self.journal.write("stage: destroyed");
    }
}

/// Does everything at once.
#[component]
struct Players {
    #[inject]
    journal: Arc<Journal>,
    #[inject]
    #[allow(dead_code)]
    stage: Arc<Stage>,
    context: OnceLock<ApplicationContext>,
}

impl Lifecycle for Players {
    async fn after_properties_set(&self) -> Result<()> {
        self.journal.write(format!("players: set, with the context: {}", self.context.get().is_some()));
        Ok(())
    }

    async fn destroy(&self) {
        self.journal.write("players: destroyed");
    }
}

impl ContextAware for Players {
    fn set_application_context(&self, context: &ApplicationContext) {
        self.journal.write("players: received the context");
        self.context.set(context.clone()).unwrap();
    }
}

impl Observer for Players {
    fn observe(&self, event: &ApplicationEvent) {
        self.journal.write(match event {
            ApplicationEvent::ContextReady { .. } => "players: ready",
            ApplicationEvent::SessionOpened { .. } => "players: opened",
            ApplicationEvent::SessionClosed { .. } => "players: closed",
            ApplicationEvent::ShuttingDown => "players: shutting down",
            _ => "players: something else",
        });
    }
}

/// Made by a provider: its type has a role all the same.
struct Ticker(Arc<Journal>);

impl Lifecycle for Ticker {
    async fn destroy(&self) {
        self.0.write("ticker: destroyed");
    }
}

#[provider]
async fn ticker(journal: Arc<Journal>) -> Result<Ticker> {
    Ok(Ticker(journal))
}

/// Has none.
#[component]
struct Extra;

#[server_endpoint("/roles")]
struct Door;

#[handlers]
impl Door {
    #[on_message]
    fn text(&self, text: String) -> String {
        text
    }
}

#[tokio::test(start_paused = true)]
async fn a_lifecycle_is_found() {
    let (journal, app) = started().await;
    assert!(app.context().find::<Extra>().is_some());
    let [made, set, of_players] =
        journal.places(["stage: made", "stage: set", "players: set, with the context: true"]);
    assert!(made < set && set < of_players);
    assert!(!journal.has("stage: destroyed"));
    app.shutdown().await;
    let [players, stage, _] = journal.places(["players: destroyed", "stage: destroyed", "ticker: destroyed"]);
    assert!(players < stage, "what another needs is destroyed after it");
}

#[tokio::test(start_paused = true)]
async fn who_is_aware_of_the_context_receives_it_first() {
    let (journal, app) = started().await;
    let [received, set] =
        journal.places(["players: received the context", "players: set, with the context: true"]);
    assert!(received < set);
    let players = app.context().get::<Players>().unwrap();
    let known = players.context.get().unwrap();
    assert!(Arc::ptr_eq(&known.get::<Players>().unwrap(), &players));
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_found() {
    let (journal, app) = app::<Door>();
    let app = app.start().await;
    let mut peer = app.connect("/roles").await.unwrap();
    peer.send("a").await.unwrap();
    assert_eq!(peer.text().await, "a");
    peer.close(CloseCode::Normal, "").await.unwrap();
    app.shutdown().await;
    let places = journal.places([
        "players: ready",
        "players: opened",
        "players: closed",
        "players: shutting down",
        "players: destroyed",
    ]);
    assert!(places.is_sorted(), "{places:?}");
}
