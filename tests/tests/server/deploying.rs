//! Endpoints that come and go while the server serves, and the container through which the application has them do so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use endpoint_runtime::prelude::*;
use endpoint_runtime::{Container, Endpoint, ServerEndpointConfig};

use super::support::{
    Echo, Raw, Reporter, capture, close, connect, next, next_text, only, only_these, says_back, soon, start,
    text, upgrade,
};

/// Says back what it hears, and of which endpoint it is an instance.
struct Named(&'static str);

impl Endpoint for Named {
    async fn on_message(&mut self, session: &Session, message: Message) -> Result<()> {
        let text = match message {
            Message::Text(text) => format!("{}: {text}", self.0),
            Message::Binary(_) => return Ok(()),
        };
        Ok(session.send(text).await?)
    }
}

#[track_caller]
fn named(path: &str, name: &'static str) -> ServerEndpointConfig {
    ServerEndpointConfig::builder(path, move || Named(name)).build()
}

async fn status(address: std::net::SocketAddr, path: &str) -> u16 {
    Raw::connect(address).await.ask(upgrade(path, &[])).await.status
}

fn paths(container: &Container) -> Vec<String> {
    container.endpoints().iter().map(|config| config.path().to_owned()).collect()
}

// ---- coming

#[tokio::test]
async fn an_endpoint_is_there_from_when_it_is_deployed() {
    let logged = capture();
    let server = start(only::<Echo>()).await;
    let address = server.local_addr();
    let mut before = connect(address, "/echo").await;
    assert_eq!(status(address, "/late/1").await, 404);
    server.deploy(named("/late/{x}", "late")).unwrap();
    let mut late = connect(address, "/late/1").await;
    says_back(&mut before, "not disturbed").await;
    soon(
        "sending",
        futures_util::SinkExt::send(&mut late, tokio_tungstenite::tungstenite::Message::text("x")),
    )
    .await
    .unwrap();
    assert_eq!(next_text(&mut late).await, "late: x");
    assert_eq!(paths(server.container()), ["/echo", "/late/{x}"]);
    let lines = logged.saying("endpoint");
    assert_eq!(lines.last().unwrap().field("path"), Some("/late/{x}"), "it is announced as the others are");
}

static HEARD: AtomicUsize = AtomicUsize::new(0);

/// One for all, with a component; deployed late.
#[server_endpoint("/shared", scope = singleton)]
struct Shared {
    #[inject]
    name: Arc<String>,
    #[init(HEARD.fetch_add(1, Ordering::Relaxed))]
    number: usize,
}

#[handlers]
impl Shared {
    #[on_open]
    fn open(&self) -> String {
        format!("{} {}", self.name, self.number)
    }
}

#[tokio::test]
async fn an_annotated_endpoint_is_deployed_once_however_often() {
    let server = start(only::<Echo>().provide("component".to_owned())).await;
    for _ in 0..3 {
        server.deploy(ServerEndpointConfig::of::<Shared>()).unwrap();
        server.deploy(ServerEndpointConfig::of::<Echo>()).unwrap();
        let mut client = connect(server.local_addr(), "/shared").await;
        assert_eq!(next_text(&mut client).await, "component 0");
    }
    assert_eq!(paths(server.container()), ["/echo", "/shared"]);
    // So is a configuration, and its clones; another one at the same path is another endpoint.
    let config = named("/once", "once");
    server.deploy(config.clone()).unwrap();
    server.deploy(config.clone()).unwrap();
    assert!(server.deploy(named("/once", "once")).is_err());
    assert_eq!(server.undeploy("/once"), Some(0));
    server.deploy(config).unwrap();
    // At the start of a server it is the same.
    let config = named("/twice", "twice");
    let report = only_these([config.clone(), config]).check();
    assert_eq!((report.problems().len(), report.endpoints().len()), (0, 1), "{report}");
}

#[tokio::test]
async fn what_is_wrong_is_told_at_once_and_changes_nothing() {
    let (first, line) = (named("/rooms/{room}", "first"), line!());
    let server = start(only_these([first])).await;
    let address = server.local_addr();
    let problems = |config: ServerEndpointConfig| {
        let error = server.deploy(config).unwrap_err();
        error.problems().iter().map(ToString::to_string).collect::<Vec<_>>()
    };

    let (config, second) = (named("/rooms/{other}", "second"), line!());
    let error = server.deploy(config).unwrap_err();
    let [conflict] = error.problems() else { panic!("{error}") };
    let places: Vec<_> = conflict.places().iter().map(ToString::to_string).collect();
    assert_eq!(places, [format!("{}:{line}", file!()), format!("{}:{second}", file!())]);
    assert!(conflict.to_string().contains("paths that match the same requests"), "{conflict}");

    let both = ServerEndpointConfig::builder("/rooms/{room}", || Named("x"))
        .subprotocols(["two words", "a", "a"])
        .origins(["nowhere"])
        .max_message_size(0)
        .build();
    let found = problems(both);
    assert_eq!(found.len(), 5, "{found:?}");
    for word in ["the same path", "two words", "listed twice", "`nowhere`", "`max_message_size`"] {
        assert!(found.iter().any(|problem| problem.contains(word)), "{word}: {found:?}");
    }
    let found = problems(named("rooms", "x"));
    assert!(found.len() == 1 && found[0].contains("must start with '/'"), "{found:?}");
    let found = problems(ServerEndpointConfig::of::<Shared>());
    assert!(found.len() == 1 && found[0].contains("Shared.name"), "{found:?}");

    assert_eq!(paths(server.container()), ["/rooms/{room}"]);
    let mut raw = Raw::upgraded(address, "/rooms/blue").await;
    raw.send(text("who?")).await;
    assert_eq!(raw.text().await, "first: who?");
}

/// A literal path beside a template that matches it is no conflict, early or late.
#[tokio::test]
async fn the_more_literal_endpoint_takes_over_new_handshakes() {
    let server = start(only_these([named("/rooms/{room}", "template")])).await;
    let says = async |path: &str| {
        let mut raw = Raw::upgraded(server.local_addr(), path).await;
        raw.send(text("?")).await;
        raw.text().await
    };
    assert_eq!(says("/rooms/blue").await, "template: ?");
    server.deploy(named("/rooms/blue", "literal")).unwrap();
    assert_eq!(says("/rooms/blue").await, "literal: ?");
    assert_eq!(says("/rooms/red").await, "template: ?");
    assert!(server.undeploy("/rooms/blue").is_some());
    assert_eq!(says("/rooms/blue").await, "template: ?");
}

// ---- going

#[tokio::test]
async fn an_undeployed_endpoint_is_gone_and_its_sessions_are_told() {
    let logged = capture();
    let (gone, mut reports) = Reporter::at("/gone");
    let (stays, mut others) = Reporter::at("/stays");
    let server = start(only_these([gone, stays])).await;
    let address = server.local_addr();
    let mut first = Raw::upgraded(address, "/gone").await;
    let mut second = Raw::upgraded(address, "/gone").await;
    // Of the same type, at another path.
    let mut other = Raw::upgraded(address, "/stays").await;
    for _ in 0..2 {
        reports.opened().await;
    }
    others.opened().await;

    assert_eq!(server.undeploy("/nowhere"), None);
    assert_eq!(server.undeploy("/gone"), Some(2));
    assert_eq!(server.undeploy("/gone"), None, "it was there once");
    assert_eq!(status(address, "/gone").await, 404);
    for raw in [&mut first, &mut second] {
        let reason = raw.frame().await.unwrap().reason();
        assert_eq!(reason, (1001, "the endpoint was undeployed".to_owned()));
        raw.send(close(1001)).await;
        assert!(raw.ended().await.is_empty());
        let reason = reports.closed().await;
        assert_eq!(reason.code(), CloseCode::Away);
        assert_eq!(reason.closed_by(), endpoint_runtime::ClosedBy::Container);
    }
    other.send(text("still here")).await;
    assert_eq!(other.text().await, "still here");
    let said = logged.saying("endpoint undeployed");
    assert_eq!((said.len(), said[0].field("sessions")), (1, Some("2")));

    // The path is free for another one.
    server.deploy(named("/gone", "new")).unwrap();
    let mut raw = Raw::upgraded(address, "/gone").await;
    raw.send(text("who?")).await;
    assert_eq!(raw.text().await, "new: who?");
}

/// Ends when its singleton is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[tokio::test]
async fn nothing_is_left_of_an_undeployed_endpoint() {
    let dropped = Arc::new(AtomicBool::new(false));
    let server = start(only::<Echo>()).await;
    let held = Dropped(Arc::clone(&dropped));
    let factory = move || {
        assert!(!held.0.load(Ordering::Acquire));
        Named("held")
    };
    server.deploy(ServerEndpointConfig::builder("/held", factory).build()).unwrap();
    let mut raw = Raw::upgraded(server.local_addr(), "/held").await;
    raw.send(text("x")).await;
    assert_eq!(raw.text().await, "held: x");
    server.undeploy("/held");
    assert_eq!(raw.frame().await.unwrap().reason().0, 1001);
    raw.send(close(1001)).await;
    raw.ended().await;
    soon("the end of the factory", async {
        while !dropped.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// While an endpoint comes and goes, every handshake is 101 or 404, every session ends with 1001, and those at other paths notice nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_come_and_go_under_traffic() {
    const ROUNDS: usize = 30;
    let server = Arc::new(start(only::<Echo>()).await);
    let address = server.local_addr();
    let stop = Arc::new(AtomicBool::new(false));
    let visitors: Vec<_> = (0..4)
        .map(|_| {
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                let (mut in_vain, mut served) = (0usize, 0usize);
                while !stop.load(Ordering::Acquire) {
                    let mut raw = Raw::connect(address).await;
                    match raw.ask(upgrade("/flicker", &[])).await.status {
                        404 => in_vain += 1,
                        101 => {
                            served += 1;
                            let frame = raw.frame().await.unwrap();
                            assert_eq!(frame.reason().0, 1001);
                            raw.send(close(1001)).await;
                            assert!(raw.ended().await.is_empty());
                        }
                        other => panic!("{other}"),
                    }
                }
                (in_vain, served)
            })
        })
        .collect();
    let mut steady = connect(address, "/echo").await;
    for round in 0..ROUNDS {
        // Whoever is seen in this round was not seen in the last.
        soon("an empty endpoint", async {
            while server.sessions().endpoint::<Named>().count() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        server.deploy(named("/flicker", "flicker")).unwrap();
        // Until somebody has come in.
        soon("a visitor", async {
            while server.sessions().endpoint::<Named>().count() == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(server.undeploy("/flicker").is_some());
        says_back(&mut steady, &format!("round {round}")).await;
    }
    stop.store(true, Ordering::Release);
    let mut all = (0, 0);
    for visitor in visitors {
        let (in_vain, served) = soon("a visitor", visitor).await.unwrap();
        all = (all.0 + in_vain, all.1 + served);
    }
    assert!(all.1 >= ROUNDS, "{all:?}");
    soon("the end of all sessions", async {
        while server.sessions().count() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(paths(server.container()), ["/echo"]);
}

/// Several who deploy at one path at a time: one of them does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_several_gets_the_path() {
    let server = start(only::<Echo>()).await;
    let tasks: Vec<_> = ["/race/{a}", "/race/{b}", "/race/{c}", "/race/{d}"]
        .into_iter()
        .map(|path| {
            let container = server.container().clone();
            tokio::spawn(async move { container.deploy(named(path, "racer")).is_ok() })
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        winners += usize::from(soon("a racer", task).await.unwrap());
    }
    assert_eq!((winners, server.container().endpoints().len()), (1, 2));
}

// ---- from inside

/// Deploys and undeploys on demand.
#[server_endpoint("/manager")]
struct Manager {
    #[inject]
    injected: Container,
}

#[handlers]
impl Manager {
    #[on_message]
    fn manage(&self, order: String, container: Container, session: &Session) -> Result<String> {
        let (verb, path) = order.split_once(' ').unwrap_or((&order, ""));
        Ok(match verb {
            "deploy" => {
                self.injected.deploy(named(path, "managed"))?;
                "deployed".to_owned()
            }
            "undeploy" => format!("{:?}", container.undeploy(path)),
            _ => {
                let sessions = [container.sessions(), session.sessions()].map(Sessions::count);
                format!("{:?} {sessions:?}", paths(&session.container()))
            }
        })
    }

    #[on_error]
    fn error(&self, error: &endpoint_runtime::DeployError) -> String {
        format!("{} problem", error.problems().len())
    }
}

#[tokio::test]
async fn handlers_deploy_through_the_container() {
    let server = start(only::<Manager>()).await;
    let address = server.local_addr();
    let mut manager = Raw::upgraded(address, "/manager").await;
    for (order, answer) in [
        ("list", "[\"/manager\"] [1, 1]"),
        ("deploy /managed/{x}", "deployed"),
        ("deploy /managed/{y}", "1 problem"),
        ("list", "[\"/manager\", \"/managed/{x}\"] [1, 1]"),
        ("undeploy /managed/{x}", "Some(0)"),
        ("undeploy /managed/{x}", "None"),
        // Oneself too.
        ("undeploy /manager", "Some(1)"),
    ] {
        manager.send(text(order)).await;
        if order.starts_with("undeploy /manager") {
            // The close frame was queued first; what the handler returned can no longer be sent.
            assert_eq!(manager.frame().await.unwrap().reason().0, 1001);
        } else {
            assert_eq!(manager.text().await, answer, "{order}");
        }
    }
    assert_eq!(status(address, "/manager").await, 404);
}

#[tokio::test]
async fn a_container_outlives_its_server_and_deploys_to_nothing() {
    let server = start(only::<Echo>()).await;
    let container = server.container().clone();
    let mut client = connect(server.local_addr(), "/echo").await;
    let session = soon("the session", async {
        loop {
            if let Some(session) = container.sessions().all().iter().next() {
                return session;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let stopping = tokio::spawn(server.shutdown());
    while let Some(frame) = next(&mut client).await {
        if frame.is_close() {
            let error = container.deploy(named("/too-late", "late")).unwrap_err();
            assert!(error.to_string().contains("shutting down"), "{error}");
        }
    }
    drop(client);
    soon("the shutdown", stopping).await.unwrap();
    let error = session.container().deploy(named("/too-late", "late")).unwrap_err();
    assert!(error.to_string().contains("no running server"), "{error}");
    assert_eq!((container.undeploy("/echo"), container.endpoints().len()), (None, 0));
    assert_eq!(container.sessions().count(), 0);
}
