//! What one may ask for: by type, by trait, by name, all of a trait, lazily, if there is one.

use std::sync::Arc;

use endpoint_runtime::prelude::*;

use crate::forms::{Critic, Theatre};
use crate::support::{Journal, app, started};

pub(crate) trait Instrument: Send + Sync {
    fn sound(&self) -> &'static str;
}

/// Something else that the same component can do.
trait Breakable: Send + Sync {}

#[component(name = "high", as = [dyn Instrument, dyn Breakable])]
struct Flute;

#[component(name = "low", as = [dyn Instrument])]
struct Tuba;

impl Instrument for Flute {
    fn sound(&self) -> &'static str {
        "tweet"
    }
}

impl Breakable for Flute {}

impl Instrument for Tuba {
    fn sound(&self) -> &'static str {
        "oompah"
    }
}

#[derive(Debug)]
struct Hall(&'static str);

/// Several of one type: one without a name, which is meant where none is said.
#[provider]
fn hall() -> Hall {
    Hall("the hall")
}

#[provider(name = "small")]
fn small_hall() -> Hall {
    Hall("the small hall")
}

/// Nobody needs it until somebody does.
struct Fireworks;

#[component(lazy)]
impl Fireworks {
    #[constructor]
    async fn light(journal: Arc<Journal>) -> Self {
        journal.write("fireworks");
        Fireworks
    }
}

/// Lazy too, and something that is made needs it.
#[component(lazy)]
struct Lamp;

struct NeverProvided;

/// Asks for everything.
#[component]
struct Director {
    #[inject]
    theatre: Arc<Theatre>,
    #[inject]
    critic: Arc<dyn Critic>,
    #[inject("high")]
    melody: Arc<dyn Instrument>,
    #[inject("low")]
    bass: Arc<Tuba>,
    #[inject]
    orchestra: Vec<Arc<dyn Instrument>>,
    #[inject]
    breakables: Vec<Arc<dyn Breakable>>,
    #[inject]
    hall: Arc<Hall>,
    #[inject("small")]
    small_hall: Option<Arc<Hall>>,
    #[inject]
    nobody: Option<Arc<NeverProvided>>,
    #[inject]
    fireworks: Lazy<Fireworks>,
    #[inject]
    lamp: Arc<Lamp>,
    #[inject]
    sessions: Sessions,
    #[inject]
    container: Container,
}

/// Asks for the same by parameters.
struct Assistant {
    notes: String,
    fireworks: Lazy<Fireworks>,
}

#[component]
impl Assistant {
    #[constructor]
    async fn new(
        director: Arc<Director>,
        #[inject("low")] bass: Arc<dyn Instrument>,
        orchestra: Vec<Arc<dyn Instrument>>,
        nobody: Option<Arc<NeverProvided>>,
        #[inject("small")] hall: Arc<Hall>,
        fireworks: Lazy<Fireworks>,
        context: ApplicationContext,
    ) -> Result<Self> {
        let same = Arc::ptr_eq(&director, &context.get::<Director>()?);
        let notes = format!("{} {} {} {} {same}", bass.sound(), orchestra.len(), nobody.is_none(), hall.0);
        Ok(Assistant { notes, fireworks })
    }
}

#[tokio::test(start_paused = true)]
async fn fields_have_what_they_ask_for() {
    let (_, app) = started().await;
    let director = app.context().get::<Director>().unwrap();
    assert!(Arc::ptr_eq(&director.theatre, &app.context().get().unwrap()));
    assert_eq!(director.critic.verdict(), "not worth 16");
    assert_eq!((director.melody.sound(), director.bass.sound()), ("tweet", "oompah"));
    let mut sounds: Vec<_> = director.orchestra.iter().map(|instrument| instrument.sound()).collect();
    sounds.sort_unstable();
    assert_eq!((sounds, director.breakables.len()), (vec!["oompah", "tweet"], 1));
    assert_eq!((director.hall.0, director.small_hall.as_ref().unwrap().0), ("the hall", "the small hall"));
    assert!(director.nobody.is_none());
    assert!(Arc::ptr_eq(&director.lamp, &app.context().get().unwrap()));
    assert_eq!((director.sessions.all().count(), director.container.sessions().all().count()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn parameters_have_what_they_ask_for() {
    let (_, app) = started().await;
    let assistant = app.context().get::<Assistant>().unwrap();
    assert_eq!(assistant.notes, "oompah 2 true the small hall true");
}

#[tokio::test(start_paused = true)]
async fn a_lazy_component_is_made_when_it_is_used_and_once() {
    let (journal, app) = started().await;
    let assistant = app.context().get::<Assistant>().unwrap();
    assert!(!journal.has("fireworks") && app.context().find::<Fireworks>().is_none());
    let lit = assistant.fireworks.get().await.unwrap();
    let again = app.context().get::<Director>().unwrap().fireworks.get().await.unwrap();
    assert!(Arc::ptr_eq(&lit, &again));
    journal.places(["fireworks"]);
}

#[server_endpoint("/found")]
struct Listener {
    #[inject("high")]
    melody: Arc<dyn Instrument>,
    #[inject("low")]
    bass: Option<Arc<dyn Instrument>>,
    #[inject("nobody's")]
    nobody: Option<Arc<dyn Instrument>>,
    #[inject]
    all: Vec<Arc<dyn Instrument>>,
    #[value("listener.greeting", default = "hello".to_owned())]
    greeting: String,
    #[value("theatre.stage")]
    stage: String,
    heard: u32,
}

#[handlers]
impl Listener {
    #[on_message]
    fn text(&mut self, text: String, fireworks: Lazy<Fireworks>) -> String {
        self.heard += 1;
        let bass = self.bass.as_ref().map(|bass| bass.sound());
        format!(
            "{} {text} {} {} {bass:?} {} {} {} {}",
            self.greeting,
            self.heard,
            self.melody.sound(),
            self.nobody.is_none(),
            self.all.len(),
            self.stage,
            fireworks.if_built().is_none(),
        )
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_has_components_by_name_and_settings() {
    let (_, app) = app::<Listener>();
    let app =
        app.configure(|settings| settings.values.set("listener.greeting", "good evening")).start().await;
    for _ in 0..2 {
        let mut peer = app.connect("/found").await.unwrap();
        peer.send("Ada").await.unwrap();
        assert_eq!(peer.text().await, "good evening Ada 1 tweet Some(\"oompah\") true 2 large true");
    }
}
