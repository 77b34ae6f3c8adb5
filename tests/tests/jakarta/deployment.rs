//! Groups P and Q: which endpoints are deployed, and what cannot be.

use std::any::Any;
use std::sync::Arc;

use endpoint_runtime::prelude::*;
use endpoint_runtime::test::RunningApp;
use endpoint_runtime::{
    self as runtime, Configurator, ConnectError, DeployError, Endpoint, Extension, ServerEndpointConfig,
    ServerEndpointConfigBuilder, ServerEndpointExporter,
};

use crate::stage::{Echo, echo, exporter, serve, url, with_only};
use crate::table::rows;
use crate::told::{Told, diary, soon};

// ---- P: selection

#[server_endpoint("/p/public/news")]
struct News;

#[server_endpoint("/p/public/{name}")]
struct Named;

#[server_endpoint("/p/admin")]
struct Admin;

macro_rules! echoes {
    ($($name:ident)*) => {
        $(
            #[handlers]
            impl $name {
                #[on_message]
                fn echo(&self, text: Text) -> Text {
                    text
                }
            }
        )*
    };
}

echoes!(News Named Admin Healthy Healthy2);

/// Which of these requests are answered, in their order; the others must be answered 404.
async fn answered(app: &RunningApp, paths: &[&'static str]) -> Vec<&'static str> {
    let mut answered = Vec::new();
    for path in paths {
        match app.connect(path).await {
            Ok(mut peer) => {
                peer.send(*path).await.unwrap();
                assert_eq!(peer.text().await, *path);
                answered.push(*path);
            }
            Err(refused) => assert_eq!(refused.status(), 404, "{path}"),
        }
    }
    answered
}

/// DP-02, DP-03: what is found is deployed unless it is filtered; of what is filtered every filter is asked, and the union of two selections is
/// one filter.
#[tokio::test(start_paused = true)]
async fn the_application_selects_what_is_deployed() {
    const PATHS: &[&str] = &["/p/public/news", "/p/public/x", "/p/admin", "/p/code", "/p/code2"];
    fn ours(config: &ServerEndpointConfig) -> bool {
        config.path().starts_with("/p/")
    }
    type Select = fn(ServerEndpointExporter) -> ServerEndpointExporter;
    let table: [(&str, Select, &[&str]); 8] = [
        ("everything that is found", |exporter| exporter.only(ours), &PATHS[..3]),
        ("used", |exporter| exporter.only(ServerEndpointConfig::is::<Admin>), &["/p/admin"]),
        ("not used", |exporter| exporter.only(|config| ours(config) && !config.is::<Admin>()), &PATHS[..2]),
        (
            "the other template then gets the requests",
            |exporter| exporter.only(|config| ours(config) && !config.is::<News>()),
            &PATHS[..3],
        ),
        (
            "a union of two selections",
            |exporter| exporter.only(|config| config.is::<News>() || config.path() == "/p/admin"),
            &["/p/public/news", "/p/admin"],
        ),
        (
            "several filters all agree",
            |exporter| {
                exporter
                    .only(ours)
                    .only(|config| !config.is::<Admin>())
                    .only(|config| config.path() != "/p/public/news")
            },
            // Its requests are the template's now.
            &["/p/public/news", "/p/public/x"],
        ),
        (
            "what is found and what is configured",
            |exporter| exporter.endpoint(echo("/p/code")).endpoint(echo("/p/code2")).only(ours),
            PATHS,
        ),
        (
            "filters are asked about what is configured too",
            |exporter| {
                let exporter = exporter.endpoint(echo("/p/code")).endpoint(echo("/p/code2"));
                exporter.only(|config| config.path() == "/p/code" || config.is::<Admin>())
            },
            &["/p/admin", "/p/code"],
        ),
    ];
    rows(table.map(|(name, select, expected)| {
        (name, async move {
            let app = runtime::test::app().with(select).start().await;
            assert_eq!(answered(&app, PATHS).await, expected);
        })
    }))
    .await;
}

// ---- Q: what cannot be deployed, and no compiler sees

/// There is nothing wrong with these.
#[server_endpoint("/q/echo")]
struct Healthy;

#[server_endpoint("/q/echo2")]
struct Healthy2;

/// A component that nobody provides.
struct Missing;

#[server_endpoint("/q/needy")]
struct Needy {
    #[inject]
    missing: Arc<Missing>,
}

#[handlers]
impl Needy {
    #[on_open]
    fn open(&self) {
        let _ = &self.missing;
    }
}

#[server_endpoint("/q/needy-method")]
struct NeedyMethod;

#[handlers]
impl NeedyMethod {
    #[on_open]
    fn open(&self, _missing: Inject<Missing>) {}
}

struct Undecodable;

#[server_endpoint("/q/no-decoder")]
struct NoDecoder;

#[handlers]
impl NoDecoder {
    #[on_message]
    fn message(&self, _message: Decoded<Undecodable>) {}
}

#[derive(Default)]
struct Rejects;

impl Configurator for Rejects {
    fn configure(&self, _: Option<&Handshake>, _: &mut dyn Any) -> Result<()> {
        Err(Error::msg("the stars stand wrong"))
    }
}

#[server_endpoint("/q/unmade", scope = singleton, configurator = Rejects)]
struct Unmade;

#[handlers]
impl Unmade {
    #[on_open]
    fn open(&self) {}
}

fn bad(
    change: impl FnOnce(ServerEndpointConfigBuilder) -> ServerEndpointConfigBuilder,
) -> ServerEndpointConfig {
    change(ServerEndpointConfig::builder("/q/bad", || Echo)).build()
}

/// An endpoint that cannot be deployed beside the healthy ones, and words that the error must have.
type Bad = (&'static str, fn() -> ServerEndpointConfig, &'static [&'static str]);

const BAD: &[Bad] = &[
    (
        "multiplepaths: a programmatic one at an annotated one's path",
        || echo("/q/echo"),
        &["/q/echo", "deployment.rs"],
    ),
    ("multiplepaths: two programmatic ones", || echo("/q/code/{x}"), &["/q/code/{x}", "deployment.rs"]),
    ("equivalent templates", || echo("/q/code/{y}"), &["/q/code/{x}", "/q/code/{y}"]),
    ("malformedpath: empty", || echo(""), &["the path is empty"]),
    ("malformedpath: relative", || echo("q/bad"), &["q/bad", "'/'"]),
    ("malformedpath: a variable that is half a segment", || echo("/q/{x}.do"), &["/q/{x}.do"]),
    ("malformedpath: a variable twice", || echo("/q/{x}/{x}"), &["/q/{x}/{x}"]),
    ("malformedpath: not normal", || echo("/q/../bad"), &["/q/../bad"]),
    ("malformedpath: an empty segment", || echo("/q//bad"), &["/q//bad"]),
    (
        "pasrv nomoreendpoints: a field that nobody provides",
        ServerEndpointConfig::of::<Needy>,
        &["Missing", "Needy"],
    ),
    (
        "a parameter that nobody provides",
        ServerEndpointConfig::of::<NeedyMethod>,
        &["Missing", "NeedyMethod"],
    ),
    ("textnodecoder, binarynodecoder", ServerEndpointConfig::of::<NoDecoder>, &["Undecodable", "NoDecoder"]),
    (
        "an instance that cannot be made",
        ServerEndpointConfig::of::<Unmade>,
        &["Unmade", "the stars stand wrong"],
    ),
    ("a subprotocol that is none", || bad(|config| config.subprotocols(["two words"])), &["two words"]),
    ("a subprotocol twice", || bad(|config| config.subprotocols(["a", "a"])), &["listed twice"]),
    ("an extension that is none", || bad(|config| config.extensions([Extension::new("x y")])), &["x y"]),
    ("an origin that is none", || bad(|config| config.origins(["nowhere"])), &["nowhere"]),
    ("MX-04: no size of a message", || bad(|config| config.max_message_size(0)), &["max_message_size"]),
    (
        "a required subprotocol of none",
        || bad(ServerEndpointConfigBuilder::require_subprotocol),
        &["require_subprotocol"],
    ),
];

/// There is one problem, with all these words in its text or its places.
fn says(error: &DeployError, words: &[&str]) {
    assert_eq!(error.problems().len(), 1, "{error}");
    let places = error.problems()[0].places().iter().map(ToString::to_string);
    let text = places.fold(error.to_string(), |text, place| format!("{text} {place}"));
    for word in words {
        assert!(text.contains(word), "{word} is not in {text}");
    }
}

/// What is deployed beside them: annotated and programmatic ones.
fn healthy() -> Vec<ServerEndpointConfig> {
    vec![
        ServerEndpointConfig::of::<Healthy>(),
        ServerEndpointConfig::of::<Healthy2>(),
        ServerEndpointConfig::builder("/q/code/{x}", || Echo).build(),
    ]
}

async fn echoes_at(address: std::net::SocketAddr, path: &str) {
    let (told, mut heard) = diary();
    let client = runtime::client();
    let session =
        soon("connecting", client.connect(Hears(told), format!("ws://{address}{path}"))).await.unwrap();
    session.send(path).await.unwrap();
    heard.expect(path).await;
}

/// A client that tells what it hears.
struct Hears(Told);

impl Endpoint for Hears {
    async fn on_message(&mut self, _: &Session, message: Message) -> Result<()> {
        self.0.tell(message.as_text().unwrap_or_default());
        Ok(())
    }
}

/// WSC-5.2.1-1 to -5: one endpoint that is wrong, and nothing is deployed: neither the others nor a port. The message says what is wrong.
#[tokio::test]
async fn one_bad_endpoint_prevents_all_others() {
    // A socket with a name is nobody else's, unlike a port that is free at the moment.
    let socket = &std::env::temp_dir().join(format!("endpoint-jakarta-{}.sock", std::process::id()));
    let exporter = || {
        let exporter = runtime::export_all().settings(runtime::Settings::default());
        exporter.bind(format!("unix:{}", socket.display())).bind("127.0.0.1:0")
    };
    rows(BAD.iter().map(|(name, bad, words)| {
        (*name, async move {
            for first in [true, false] {
                let mut configs = healthy();
                configs.insert(if first { 0 } else { configs.len() }, bad());
                let exporter = exporter().on_ready(|_| panic!("it is served"));
                let error = soon("an error", with_only(exporter, configs).start()).await.unwrap_err();
                says(error.downcast_ref().unwrap(), words);
                assert!(!socket.exists(), "a listener is open");
            }
            // It was this endpoint that kept the others from being served.
            let server = soon("the start", with_only(exporter(), healthy()).start()).await.unwrap();
            assert!(socket.exists());
            for path in ["/q/echo", "/q/echo2", "/q/code/1"] {
                echoes_at(server.local_addr(), path).await;
            }
            soon("the shutdown", server.shutdown()).await;
        })
    }))
    .await;
}

/// DP-05: the same endpoints under program control, while the server runs: each is an error, and nothing has changed.
#[tokio::test]
async fn a_bad_endpoint_changes_nothing_in_a_running_server() {
    let server = &serve(healthy()).await;
    let deployed =
        || server.container().endpoints().iter().map(|config| config.path().to_owned()).collect::<Vec<_>>();
    let before = &deployed();
    rows(BAD.iter().map(|(name, bad, words)| {
        (*name, async move {
            let error = server.deploy(bad()).unwrap_err();
            says(&error, words);
            assert_eq!(deployed(), *before);
            for path in ["/q/echo", "/q/echo2", "/q/code/1"] {
                echoes_at(server.local_addr(), path).await;
            }
            let refused = soon("connecting", runtime::client().connect(Echo, url(server, "/q/bad"))).await;
            let Err(ConnectError::Refused { status, .. }) = refused else { panic!("{refused:?}") };
            assert_eq!(status, 404);
        })
    }))
    .await;
    // It is still a server to which good ones can be deployed.
    server.deploy(echo("/q/late")).unwrap();
    echoes_at(server.local_addr(), "/q/late").await;
}

/// All that is wrong is told at once, of annotated and of programmatic endpoints.
#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let configs =
        [ServerEndpointConfig::of::<Needy>(), echo("relative"), ServerEndpointConfig::of::<NoDecoder>()];
    let report = with_only(exporter(), configs).check();
    let text = report.to_string();
    assert_eq!(report.problems().len(), 3, "{text}");
    assert!(["Missing", "relative", "Undecodable"].iter().all(|word| text.contains(word)), "{text}");
}
