//! What the tests share: a diary that components write, components that write it, and servers of some endpoints alone.

#[path = "../server/support/logged.rs"]
#[allow(dead_code)] // Other tests use all of it.
pub(crate) mod logged;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{
    self as runtime, ComponentConfig, DeployError, Needs, Place, ServerEndpointConfig,
    ServerEndpointExporter, Settings,
};

/// How long anything is waited for before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the future gives, or a failure that says what was waited for.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// What happened, in its order.
#[derive(Clone, Default)]
pub(crate) struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    pub(crate) fn note(&self, entry: impl Into<String>) {
        self.0.lock().unwrap().push(entry.into());
    }

    pub(crate) fn entries(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The entries so far, which are forgotten.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// Waits until something was noted.
    pub(crate) async fn until(&self, entry: &str) {
        let noted = async {
            while !self.entries().iter().any(|other| other == entry) {
                tokio::task::yield_now().await;
            }
        };
        soon(entry, noted).await;
    }
}

/// Places in a source that does not exist.
pub(crate) const fn at(line: u32) -> Place {
    Place::new("src/app.rs", line)
}

/// A component of which there may be as many types as there are numbers, that writes down what happens to it.
pub(crate) struct Part<const N: usize> {
    diary: Diary,
    /// In which step it does what.
    misdeed: Option<(Step, Misdeed)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Build,
    Aware,
    Settle,
    Destroy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misdeed {
    Fail,
    Panic,
    Hang,
}

impl<const N: usize> Part<N> {
    pub(crate) fn new(diary: &Diary) -> Self {
        Part { diary: diary.clone(), misdeed: None }
    }

    async fn does(diary: &Diary, step: Step, misdeed: Option<(Step, Misdeed)>) -> Result<()> {
        diary.note(format!("{step:?} {N}"));
        match misdeed.filter(|(when, _)| *when == step).map(|(_, misdeed)| misdeed) {
            Some(Misdeed::Fail) => Err(Error::msg("no luck")),
            Some(Misdeed::Panic) => panic!("out of luck"),
            Some(Misdeed::Hang) => std::future::pending().await,
            None => Ok(()),
        }
    }
}

impl<const N: usize> Lifecycle for Part<N> {
    async fn after_properties_set(&self) -> Result<()> {
        Self::does(&self.diary, Step::Settle, self.misdeed).await
    }

    async fn destroy(&self) {
        let _ = Self::does(&self.diary, Step::Destroy, self.misdeed).await;
    }
}

impl<const N: usize> ContextAware for Part<N> {
    fn set_application_context(&self, context: &ApplicationContext) {
        self.diary.note(format!("Aware {N}"));
        let _ = context;
        if self.misdeed == Some((Step::Aware, Misdeed::Panic)) {
            panic!("out of luck");
        }
    }
}

/// The configuration of a part that needs these.
pub(crate) fn part<const N: usize>(diary: &Diary, needs: fn(&mut Needs)) -> ComponentConfig {
    wicked::<N>(diary, needs, None)
}

/// The configuration of a part that does something that it ought not to.
pub(crate) fn wicked<const N: usize>(
    diary: &Diary,
    needs: fn(&mut Needs),
    misdeed: Option<(Step, Misdeed)>,
) -> ComponentConfig {
    let diary = diary.clone();
    let names = ["Zero", "One", "Two", "Three", "Four"];
    let make = move |_| {
        let diary = diary.clone();
        async move {
            Part::<N>::does(&diary, Step::Build, misdeed).await?;
            Ok(Part::<N> { diary, misdeed })
        }
    };
    ComponentConfig::new(names[N], "tests", at(N as u32), make)
        .needs(needs)
        .lifecycle::<Part<N>>()
        .aware::<Part<N>>()
}

pub(crate) fn nothing(_: &mut Needs) {}

/// An exporter of these endpoints alone, with the default settings, on any free port.
pub(crate) fn these(configs: impl IntoIterator<Item = ServerEndpointConfig>) -> ServerEndpointExporter {
    let mut exporter = runtime::export_all().settings(Settings::default()).bind("127.0.0.1:0").allow_empty();
    let mut places = Vec::new();
    for config in configs {
        places.push((config.path().to_owned(), config.place()));
        exporter = exporter.endpoint(config);
    }
    exporter.only(move |config| places.contains(&(config.path().to_owned(), config.place())))
}

/// An exporter without any endpoint.
pub(crate) fn empty() -> ServerEndpointExporter {
    these([])
}

/// Why an exporter did not start.
pub(crate) async fn refused(exporter: ServerEndpointExporter) -> DeployError {
    match soon("the start", exporter.start()).await {
        Ok(_) => panic!("it has started"),
        Err(Error::Deploy(error)) => error,
        Err(error) => panic!("another error than one of the deployment: {error}"),
    }
}

/// An endpoint that says what it hears.
pub(crate) struct Echo;

impl Endpoint for Echo {
    async fn on_message(&mut self, session: &Session, message: Message) -> Result<()> {
        Ok(session.send(message).await?)
    }
}
