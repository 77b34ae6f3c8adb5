//! The ten rules of an exporter, each by its number.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, Address, ComponentConfig, Server, ServerEndpointConfig, Settings};
use tokio::net::TcpStream;

use crate::support::logged::capture;
use crate::support::{
    Diary, Echo, Misdeed, Part, Step, at, empty, nothing, part, refused, soon, these, wicked,
};

fn echo(path: &str) -> ServerEndpointConfig {
    ServerEndpointConfig::builder(path, || Echo).build()
}

macro_rules! annotated {
    ($($name:ident $path:literal)*) => {
        $(
            #[server_endpoint($path)]
            struct $name;

            #[handlers]
            impl $name {
                #[on_message]
                fn message(&self, text: Text) -> Text {
                    text
                }
            }
        )*
    };
}

annotated!(Last "/rules/last" First "/rules/first" Middle "/rules/middle");

/// 1: what is found is collected in a stable order, explicit ones first, each type once.
#[test]
fn rule_1_collection_is_sorted_and_deduplicated() {
    let exporter = runtime::export_all()
        .settings(Settings::default())
        .endpoint(echo("/rules/z"))
        .endpoint(ServerEndpointConfig::of::<Middle>())
        .endpoint(ServerEndpointConfig::of::<Middle>())
        .only(|endpoint| {
            endpoint.is::<Last>()
                || endpoint.is::<First>()
                || endpoint.is::<Middle>()
                || endpoint.is::<Echo>()
        });
    let paths = |exporter: &runtime::ServerEndpointExporter| {
        exporter.check().endpoints().iter().map(|endpoint| endpoint.path().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(paths(&exporter), ["/rules/z", "/rules/middle", "/rules/first", "/rules/last"]);
    assert_eq!(paths(&exporter), paths(&exporter));
}

/// 2: what the environment lacks has an error each: a runtime, a listener, a component.
#[test]
fn rule_2_the_environment_is_asserted_with_an_error_each() {
    let exporter = these([])
        .configure(|settings| settings.bind.clear())
        .component(part::<1>(&Diary::default(), |needs| needs.asked_by("two", at(7)).component::<Part<2>>()));
    // Polled by hand: there is no runtime.
    let mut starting = std::pin::pin!(exporter.start());
    let polled = starting.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    let std::task::Poll::Ready(Err(error)) = polled else { panic!("it goes on without a runtime") };
    let text = error.to_string();
    for says in [
        "there is no tokio runtime here",
        "`bind`: an empty list listens nowhere",
        "One.two (src/app.rs:7) needs",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
    assert!(text.starts_with("cannot deploy, 3 problems"), "{text}");
}

static MADE: AtomicUsize = AtomicUsize::new(0);

/// Counts how often it is made.
#[server_endpoint("/rules/made", scope = singleton)]
struct Made {
    #[inject]
    diary: Arc<Diary>,
    #[init(MADE.fetch_add(1, Ordering::SeqCst))]
    _number: usize,
}

#[handlers]
impl Made {
    #[on_open]
    fn open(&self) {
        self.diary.note("open");
    }
}

/// 3: components are built before endpoints, and no endpoint is made by being collected.
#[tokio::test]
async fn rule_3_components_are_built_before_endpoints() {
    let diary = Diary::default();
    let hook = diary.clone();
    let exporter = these([ServerEndpointConfig::of::<Made>()])
        .provide(diary.clone())
        .component(part::<1>(&diary, nothing))
        .before_listening(|_| async move {
            hook.note(format!("{} made", MADE.load(Ordering::SeqCst)));
            Ok(())
        });
    assert_eq!(exporter.check().problems(), []);
    let server = soon("the start", exporter.start()).await.unwrap();
    assert_eq!(diary.take(), ["Build 1", "Aware 1", "Settle 1", "0 made"]);
    assert_eq!(MADE.load(Ordering::SeqCst), 1);
    server.shutdown().await;
}

/// 4: everything is validated, all problems come at once, with the places of both sides; the whole fails, and again in the same words.
#[tokio::test]
async fn rule_4_all_problems_come_at_once_and_the_whole_fails() {
    let diary = Diary::default();
    let (one, other) = (echo("/rules/{a}"), echo("/rules/{b}"));
    let places = [one.place(), other.place()];
    let exporter = || {
        these([one.clone(), other.clone(), echo("no slash")])
            .component(part::<1>(&diary, nothing))
            .component(part::<2>(&diary, endpoint_runtime::Needs::component::<Part<3>>))
    };
    let error = refused(exporter()).await;
    assert_eq!(error.problems().len(), 3, "{error}");
    assert!(error.problems().iter().any(|problem| problem.places() == places), "{error}");
    assert_eq!(diary.take(), [""; 0], "nothing was built");
    assert_eq!(refused(exporter()).await, error, "and no error hides another");
}

/// 5: what is mounted is frozen, with one line at INFO for each endpoint; without any endpoint there is no server, unless that is meant.
#[tokio::test]
async fn rule_5_each_endpoint_is_a_line_and_none_is_an_error() {
    let logged = capture();
    let server = soon("the start", these([echo("/rules/a"), echo("/rules/b")]).start()).await.unwrap();
    let lines = logged.saying("endpoint");
    let paths: Vec<_> = lines.iter().filter_map(|line| line.field("path")).collect();
    assert_eq!(paths, ["/rules/a", "/rules/b"]);
    assert!(lines.iter().all(|line| line.level == tracing::Level::INFO));
    server.shutdown().await;
    let nothing = runtime::export_all().settings(Settings::default()).bind("127.0.0.1:0").only(|_| false);
    assert!(refused(nothing).await.to_string().contains("`.allow_empty()`"));
    soon("the start", empty().start()).await.unwrap().shutdown().await;
}

/// 6: the port opens last, and only then it is said that the server is ready, with the port that was really bound.
#[tokio::test]
async fn rule_6_the_port_opens_last() {
    let diary = Diary::default();
    let (event, ready, bound) = (diary.clone(), diary.clone(), Arc::new(OnceLock::new()));
    let at_event = Arc::clone(&bound);
    let exporter = these([echo("/rules/a")])
        .component(part::<1>(&diary, nothing))
        .observe(move |happened: &ApplicationEvent| {
            if let ApplicationEvent::ContextReady { addresses, .. } = happened {
                event.note("event");
                let _ = at_event.set(addresses.clone());
            }
        })
        .on_ready(move |server: &Server| ready.note(format!("ready at {}", server.local_addr())));
    let server = soon("the start", exporter.start()).await.unwrap();
    let address = server.local_addr();
    assert_ne!(address.port(), 0);
    assert_eq!(bound.get().unwrap(), &[Address::Tcp(address)]);
    assert_eq!(diary.take()[2..], ["Settle 1".to_owned(), "event".to_owned(), format!("ready at {address}")]);
    server.shutdown().await;
}

/// 7: a failure after any start stops what was started, in reverse. Each stage has a test among those of undoing.
#[tokio::test]
async fn rule_7_a_failure_stops_what_was_started() {
    let diary = Diary::default();
    let exporter = empty()
        .component(part::<1>(&diary, nothing))
        .component(part::<2>(&diary, nothing))
        .component(wicked::<3>(&diary, nothing, Some((Step::Settle, Misdeed::Fail))));
    let error = refused(exporter).await;
    assert!(error.to_string().contains("`Three` (src/app.rs:3) failed in `after_properties_set`"), "{error}");
    let entries = diary.take();
    assert_eq!(entries[entries.len() - 3..], ["Destroy 3", "Destroy 2", "Destroy 1"]);
}

/// 8: an exporter serves once. `serve` and `start` take it by value, so that a second call does not compile (that is an example in the
/// documentation of `serve`, which must fail to compile); a configuration may be deployed by several exporters, and each has components of
/// its own.
#[tokio::test]
async fn rule_8_a_second_server_is_another_one() {
    let diary = Diary::default();
    let (config, component) = (echo("/rules/a"), part::<1>(&diary, nothing));
    let start = || these([config.clone()]).component(component.clone()).start();
    let (one, two) = (soon("one", start()).await.unwrap(), soon("two", start()).await.unwrap());
    assert_eq!(diary.take().iter().filter(|entry| *entry == "Build 1").count(), 2);
    assert_ne!(one.local_addr(), two.local_addr());
    one.shutdown().await;
    assert_eq!(diary.take(), ["Destroy 1"]);
    two.shutdown().await;
    assert_eq!(diary.take(), ["Destroy 1"]);
}

/// Says when it goes.
struct Going(Arc<Diary>);

impl Drop for Going {
    fn drop(&mut self) {
        self.0.note("dropped");
    }
}

#[server_endpoint("/rules/connection")]
struct PerConnection {
    #[inject]
    diary: Arc<Diary>,
    going: Option<Going>,
    heard: usize,
}

#[handlers]
impl PerConnection {
    #[on_message]
    fn message(&mut self, _: String) -> usize {
        self.going.get_or_insert_with(|| Going(Arc::clone(&self.diary)));
        self.heard += 1;
        self.heard
    }
}

#[server_endpoint("/rules/singleton", scope = singleton)]
struct Single {
    #[inject]
    diary: Arc<Diary>,
    heard: AtomicUsize,
}

#[handlers]
impl Single {
    #[on_message]
    fn message(&self, text: String) -> usize {
        self.diary.note(text);
        self.heard.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// 9: an instance for each connection, which is dropped with it, or one for all; what is injected is there, or the application does not start.
#[tokio::test]
async fn rule_9_instances_have_their_scope_and_what_they_need() {
    let configs = [ServerEndpointConfig::of::<PerConnection>(), ServerEndpointConfig::of::<Single>()];
    let lacking = these(configs.clone()).check();
    assert_eq!(lacking.problems().len(), 2, "nothing is injected that is null: {lacking}");
    let diary = Diary::default();
    let app = runtime::test::app().with(|_| these(configs).provide(diary.clone())).start().await;
    for (path, second) in [("/rules/connection", "1"), ("/rules/singleton", "2")] {
        let mut peers = [app.connect(path).await.unwrap(), app.connect(path).await.unwrap()];
        for (peer, heard) in peers.iter_mut().zip(["1", second]) {
            peer.send("hello").await.unwrap();
            assert_eq!(peer.text().await, heard, "{path}");
        }
        for mut peer in peers {
            peer.close(CloseCode::Normal, "").await.unwrap();
        }
    }
    let ended = async {
        while diary.entries().iter().filter(|entry| *entry == "dropped").count() < 2 {
            tokio::task::yield_now().await;
        }
    };
    soon("both instances", ended).await;
    app.shutdown().await;
}

/// 10: the end is the beginning in reverse: observers are told, nobody is accepted any more, sessions are closed, then the components go.
#[tokio::test]
async fn rule_10_the_end_is_the_beginning_in_reverse() {
    let diary = Diary::default();
    let address = Arc::new(OnceLock::new());
    let (observer, at_end) = (diary.clone(), Arc::clone(&address));
    let probe = diary.clone();
    struct Probe(Diary, Arc<OnceLock<std::net::SocketAddr>>);
    impl Lifecycle for Probe {
        async fn destroy(&self) {
            let open = TcpStream::connect(*self.1.get().unwrap()).await.is_ok();
            self.0.note(format!("destroy; open: {open}, sessions: {}", Sessions::current().count()));
        }
    }
    let component = ComponentConfig::new("Probe", "tests", at(1), move |_| {
        let (diary, address) = (probe.clone(), Arc::clone(&at_end));
        async move { Ok(Probe(diary, address)) }
    });
    let exporter = these([echo("/rules/a")])
        .component(component.lifecycle::<Probe>())
        .component(part::<1>(&diary, endpoint_runtime::Needs::component::<Probe>))
        .observe(move |event: &ApplicationEvent| match event {
            ApplicationEvent::ShuttingDown => observer.note("shutting down"),
            ApplicationEvent::SessionClosed { reason, .. } => {
                observer.note(format!("closed {}", reason.code()));
            }
            _ => {}
        });
    let server = soon("the start", exporter.start()).await.unwrap();
    let _ = address.set(server.local_addr());
    let url = format!("ws://{}/rules/a", server.local_addr());
    let session = soon("the connection", runtime::client().connect(Echo, &url)).await.unwrap();
    diary.take();
    server.shutdown().await;
    assert_eq!(
        diary.take(),
        ["shutting down", "closed 1001", "Destroy 1", "destroy; open: false, sessions: 0"]
    );
    drop(session);
}
