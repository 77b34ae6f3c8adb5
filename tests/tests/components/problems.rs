//! What goes wrong when the application starts: a constructor that fails, and what nobody provides.

use std::sync::Arc;

use endpoint_runtime::prelude::*;

use crate::support::{Journal, NoEndpoint, exporter};

/// Made before `Fragile`, and undone when that fails.
struct Before(Arc<Journal>);

#[component]
impl Before {
    #[constructor]
    fn new(journal: Arc<Journal>) -> Self {
        Before(journal)
    }
}

impl Lifecycle for Before {
    async fn destroy(&self) {
        self.0.write("before: destroyed");
    }
}

struct Fragile;

#[component]
impl Fragile {
    #[constructor]
    async fn new(
        _before: Arc<Before>,
        #[value("fragile.breaks", default = false)] breaks: bool,
    ) -> Result<Self> {
        tokio::task::yield_now().await;
        if breaks { Err(Error::msg("it is fragile")) } else { Ok(Fragile) }
    }
}

struct Brittle;

#[provider]
async fn brittle(
    _before: Arc<Before>,
    #[value("brittle.breaks", default = false)] breaks: bool,
) -> Result<Brittle, std::num::ParseIntError> {
    if breaks { "".parse::<u8>().map(|_| Brittle) } else { Ok(Brittle) }
}

#[tokio::test]
async fn a_constructor_that_fails_stops_the_start_and_is_named() {
    for (key, parts) in [
        ("fragile.breaks", ["Fragile", "it is fragile"]),
        ("brittle.breaks", ["Brittle", "cannot parse integer from empty string"]),
    ] {
        let journal = Arc::default();
        let error = exporter::<NoEndpoint>(&journal).value(key, true).start().await.unwrap_err().to_string();
        for part in parts.into_iter().chain([file!()]) {
            assert!(error.contains(part), "{part} is not in {error}");
        }
        journal.places(["before: destroyed"]);
    }
}

struct Nowhere;
struct NowhereElse;

#[server_endpoint("/incomplete")]
struct Incomplete {
    #[inject]
    nothing: Arc<Nowhere>,
    #[inject("other")]
    named: Arc<Before>,
    #[inject]
    lazily: Lazy<NowhereElse>,
    #[inject]
    all: Vec<Arc<Nowhere>>,
    #[inject]
    perhaps: Option<Arc<Nowhere>>,
}

const LINE_OF_NOTHING: u32 = line!() - 11;

#[handlers]
impl Incomplete {
    #[on_message]
    fn text(&self, _text: String) {
        let _ = (&self.nothing, &self.named, &self.lazily, &self.all, &self.perhaps);
    }
}

#[test]
fn what_nobody_provides_is_told_with_the_field_and_its_line() {
    let report = exporter::<Incomplete>(&Arc::default()).check();
    let texts: Vec<_> = report.problems().iter().map(ToString::to_string).collect();
    let expected = [
        ("Incomplete.nothing", LINE_OF_NOTHING, "Nowhere"),
        ("Incomplete.named", LINE_OF_NOTHING + 2, "Before"),
        ("Incomplete.lazily", LINE_OF_NOTHING + 4, "NowhereElse"),
    ];
    assert_eq!(texts.len(), expected.len(), "{report}");
    for (who, line, what) in expected {
        let place = format!("{}:{line}", file!());
        let found = texts.iter().any(|text| [who, &place, what].iter().all(|part| text.contains(part)));
        assert!(found, "{who} at {place} is not in {report}");
    }
}
