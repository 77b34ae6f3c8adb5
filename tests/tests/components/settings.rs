//! `#[value(..)]`: settings of the application's own, of whatever type serde reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use endpoint_runtime::prelude::*;
use serde::Deserialize;

use crate::support::{NoEndpoint, app, exporter, started};

#[derive(Deserialize, Debug, PartialEq, Eq, Clone)]
struct Opening {
    hour: u8,
    closed: Option<bool>,
}

#[component]
struct Program {
    #[value("program.pieces", default = Vec::new())]
    pieces: Vec<String>,
    #[value("program.length", default = 2.5)]
    length: f64,
    #[value("program.opening", default = Opening { hour: 20, closed: None })]
    opening: Opening,
    #[value("program.prices", default = BTreeMap::from([("stalls".to_owned(), 9)]))]
    prices: BTreeMap<String, u32>,
    #[value("program.sold_out", default = false)]
    sold_out: bool,
    /// Without a default, because it is one itself.
    #[value("program.sponsor")]
    sponsor: Option<String>,
}

#[tokio::test(start_paused = true)]
async fn what_is_not_set_has_its_default() {
    let (_, app) = started().await;
    let program = app.context().get::<Program>().unwrap();
    assert_eq!((&program.pieces[..], program.length, program.sold_out), (&[][..], 2.5, false));
    assert_eq!(program.opening, Opening { hour: 20, closed: None });
    assert_eq!(program.prices, BTreeMap::from([("stalls".to_owned(), 9)]));
    assert_eq!(program.sponsor, None);
}

#[tokio::test(start_paused = true)]
async fn what_is_set_is_read_as_what_is_asked_for() {
    let (_, app) = app::<NoEndpoint>();
    let app = app.configure(|settings| {
        settings.values.set("program.pieces", vec!["Faust", "Emilia Galotti"]);
        settings.values.set("program.length", 3.25);
        settings.values.set("program.opening.hour", 19);
        settings.values.set("program.opening.closed", true);
        settings.values.set("program.prices.stalls", 12);
        settings.values.set("program.prices.circle", 8);
        settings.values.set("program.sold_out", true);
        settings.values.set("program.sponsor", "the city");
    });
    let app = app.start().await;
    let program = app.context().get::<Program>().unwrap();
    assert_eq!((program.pieces.join(", ").as_str(), program.length), ("Faust, Emilia Galotti", 3.25));
    assert_eq!(program.opening, Opening { hour: 19, closed: Some(true) });
    assert_eq!(program.prices, BTreeMap::from([("circle".to_owned(), 8), ("stalls".to_owned(), 12)]));
    assert_eq!((program.sold_out, program.sponsor.as_deref()), (true, Some("the city")));
}

/// The problems of these settings, which name the key, who asks, and where.
#[track_caller]
fn problems_of(change: impl Fn(&mut endpoint_runtime::Settings) + Send + Sync + 'static) -> String {
    let report = exporter::<Curtain>(&Arc::default()).configure(change).check();
    assert!(!report.problems().is_empty());
    report.to_string()
}

#[server_endpoint("/curtain")]
struct Curtain {
    #[value("curtain.colour", default = "red".to_owned())]
    colour: String,
    #[value("curtain.seconds")]
    seconds: u8,
}

const LINE_OF_SECONDS: u32 = line!() - 3;

#[handlers]
impl Curtain {
    #[on_message]
    fn text(&self, _text: String) -> String {
        format!("{} {}", self.colour, self.seconds)
    }
}

#[test]
fn a_missing_setting_is_told_with_who_asks_and_where() {
    let problems = problems_of(|_| {});
    for part in ["Curtain.seconds", &format!("{}:{LINE_OF_SECONDS}", file!()), "`curtain.seconds`"] {
        assert!(problems.contains(part), "{part} is not in {problems}");
    }
    assert!(!problems.contains("colour"), "{problems}");
}

#[test]
fn a_setting_of_another_type_is_told_with_who_asks_and_where_even_beside_a_default() {
    let problems = problems_of(|settings| {
        settings.values.set("curtain.seconds", "a while");
        settings.values.set("curtain.colour", vec!["red", "blue"]);
        settings.values.set("program.length", "long");
    });
    for part in [
        "Curtain.seconds",
        &format!("{}:{LINE_OF_SECONDS}", file!()),
        "`curtain.seconds`",
        "Curtain.colour",
        "Program.length",
        "`program.length`",
    ] {
        assert!(problems.contains(part), "{part} is not in {problems}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_has_its_settings() {
    let (_, app) = app::<Curtain>();
    let app = app.configure(|settings| settings.values.set("curtain.seconds", 7)).start().await;
    let mut peer = app.connect("/curtain").await.unwrap();
    peer.send("?").await.unwrap();
    assert_eq!(peer.text().await, "red 7");
}
