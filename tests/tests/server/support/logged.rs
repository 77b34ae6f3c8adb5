//! [`capture`]: a subscriber that keeps the runtime's lines of this thread, for a test to look at.

use std::fmt;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) message: String,
    fields: Vec<(&'static str, String)>,
}

impl Line {
    /// The value of a field, as it is shown.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.fields.push((name, format!("{value:?}"))),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

/// The lines so far. Capturing ends when this goes.
pub(crate) struct Logged {
    lines: Arc<Mutex<Vec<Line>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Logged {
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap().clone()
    }

    /// The lines with this message.
    pub(crate) fn saying(&self, message: &str) -> Vec<Line> {
        self.lines().into_iter().filter(|line| line.message == message).collect()
    }

    /// The lines above DEBUG.
    pub(crate) fn loud(&self) -> Vec<Line> {
        self.lines().into_iter().filter(|line| line.level < Level::DEBUG).collect()
    }

    pub(crate) fn forget(&self) {
        self.lines.lock().unwrap().clear();
    }
}

struct Keep(Arc<Mutex<Vec<Line>>>);

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !event.metadata().target().starts_with("endpoint_runtime") {
            return;
        }
        let mut line = Line { level: *event.metadata().level(), message: String::new(), fields: Vec::new() };
        event.record(&mut line);
        self.0.lock().unwrap().push(line);
    }
}

/// Keeps what the runtime logs on this thread; in a test whose tokio runtime has one thread that is everything.
pub(crate) fn capture() -> Logged {
    // A place in the code that first logs on a thread where nobody listens may be remembered as one that nobody ever listens to:
    // so somebody listens everywhere, and keeps nothing. That it was set already is fine.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
    let lines = Arc::default();
    let subscriber = tracing_subscriber::registry().with(Keep(Arc::clone(&lines)));
    Logged { lines, _guard: tracing::subscriber::set_default(subscriber) }
}
