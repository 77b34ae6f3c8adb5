//! What the log says of connections and attempts, and that it tells no secrets.

use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use endpoint_runtime::{self as runtime, Backoff, Proxy};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::support::{Raw, response, soon, start_echo, teller, url};

/// All that anybody has logged on this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<(Level, String)>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push((*event.metadata().level(), line.0));
    }
}

#[tokio::test]
async fn attempts_are_logged_and_secrets_are_not() {
    // A place in the code that first logs on a thread where nobody listens may be remembered as one that nobody ever listens to:
    // so somebody listens everywhere, and keeps nothing. That it was set already is fine.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
    let raw = Raw::bind().await;
    let client = runtime::client()
        .bearer("hidden")
        .header("Cookie", "a=hidden")
        .reconnect(Backoff::default().initial(Duration::from_millis(1)).attempts(1));
    let at = format!("ws://bo:hidden@{}/chat?token=hidden", raw.address);
    let (endpoint, mut heard) = teller();
    let (connection, peer) = tokio::join!(client.connect(endpoint, at), raw.open());
    heard.expect("open 1").await;
    drop(peer);
    raw.answer(&response("503 Service Unavailable", "", "")).await;
    soon("the end", connection.unwrap().closed()).await;
    // Through a proxy too.
    let server = start_echo().await;
    let proxied = runtime::client().proxy(Proxy::http(format!("http://bo:hidden@{}", raw.address)));
    let (endpoint, _heard) = teller();
    let refusal = response("407 Proxy Authentication Required", "", "");
    let at = url(server.local_addr(), "/echo?hidden");
    let (refused, _) = tokio::join!(proxied.connect(endpoint, at), raw.answer(&refusal));
    assert!(refused.is_err());

    let lines = lines.0.lock().unwrap();
    let logged = |level: Level, parts: &[&str]| {
        lines.iter().any(|(of, line)| *of == level && parts.iter().all(|part| line.contains(part)))
    };
    let at = format!("url=ws://{}/chat", raw.address);
    assert!(logged(Level::INFO, &["message=connected", &at]), "{lines:#?}");
    assert!(
        logged(Level::INFO, &["message=connecting again", &at, "attempt=1", "reason=1006"]),
        "{lines:#?}"
    );
    assert!(logged(Level::INFO, &["message=not connecting again", &at, "503"]), "{lines:#?}");
    assert!(logged(Level::DEBUG, &["message=not connected", "407"]), "{lines:#?}");
    for (_, line) in lines.iter() {
        assert!(!line.contains("hidden") && !line.contains("aGlkZGVu"), "{line}");
    }
}
