//! An application with all components of this program, and what they write down.

use std::sync::{Arc, Mutex};

use endpoint_runtime as runtime;
use endpoint_runtime::Settings;
use endpoint_runtime::prelude::*;
use runtime::ServerEndpointExporter;
use runtime::test::{App, RunningApp};

/// What the components of one application have done, in order.
#[derive(Default)]
pub(crate) struct Journal(Mutex<Vec<String>>);

impl Journal {
    pub(crate) fn write(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    /// Where each of these lines stands; all of them are there, once.
    #[track_caller]
    pub(crate) fn places<const N: usize>(&self, lines: [&str; N]) -> [usize; N] {
        let written = self.0.lock().unwrap();
        lines.map(|line| {
            let places: Vec<_> = (0..written.len()).filter(|&place| written[place] == line).collect();
            let [place] = places[..] else { panic!("{line} stands at {places:?} in {written:#?}") };
            place
        })
    }

    pub(crate) fn has(&self, line: &str) -> bool {
        self.0.lock().unwrap().iter().any(|written| written == line)
    }
}

/// An application before its start, with the endpoint `E` if it is one.
pub(crate) fn app<E: 'static>() -> (Arc<Journal>, App) {
    let journal = Arc::new(Journal::default());
    let app = runtime::test::app().only::<E>().provide_shared(Arc::clone(&journal));
    (journal, app.configure(|settings| settings.values.set("theatre.stage", "large")))
}

/// An application without an endpoint.
pub(crate) struct NoEndpoint;

/// An application that runs, and what was written.
pub(crate) async fn started() -> (Arc<Journal>, RunningApp) {
    let (journal, app) = app::<NoEndpoint>();
    (journal, app.start().await)
}

/// An exporter that only knows the endpoint `E`, and settings that are not read from anywhere.
pub(crate) fn exporter<E: 'static>(journal: &Arc<Journal>) -> ServerEndpointExporter {
    let mut settings = Settings::default();
    settings.values.set("theatre.stage", "large");
    settings.bind = vec!["127.0.0.1:0".to_owned()];
    runtime::export_all()
        .settings(settings)
        .only(ServerEndpointConfig::is::<E>)
        .allow_empty()
        .provide_shared(Arc::clone(journal))
}
