//! Events of the application, and who observes them.

use std::sync::Arc;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, ComponentConfig, ServerEndpointConfig};

use crate::support::{Diary, Echo, at, empty, nothing, part, soon, these};

fn told(diary: &Diary, who: &str, event: &ApplicationEvent) {
    diary.note(match event {
        ApplicationEvent::ContextReady { addresses, .. } => {
            format!("{who}: ready, {} addresses", addresses.len())
        }
        ApplicationEvent::SessionOpened { session, .. } => {
            format!("{who}: opened, {} of {}", session.is_open(), session.sessions().count())
        }
        ApplicationEvent::SessionClosed { reason, .. } => format!("{who}: closed, {}", reason.code()),
        ApplicationEvent::ShuttingDown => format!("{who}: shutting down"),
        other => panic!("an event that nobody knows: {other:?}"),
    });
}

struct Witness(Diary);

impl Observer for Witness {
    fn observe(&self, event: &ApplicationEvent) {
        assert!(
            ApplicationContext::current().find::<Witness>().is_some(),
            "it is called in its server's name"
        );
        told(&self.0, "component", event);
    }
}

struct Telling(Diary);

impl Endpoint for Telling {
    async fn on_open(&mut self, _: &Session) -> Result<()> {
        self.0.note("on_open");
        Ok(())
    }

    async fn on_close(&mut self, _: &Session, _: &CloseReason) {
        self.0.note("on_close");
    }
}

#[tokio::test]
async fn what_happens_is_told_to_all_who_observe() {
    let diary = Diary::default();
    let (closure, component, own) = (diary.clone(), diary.clone(), diary.clone());
    let witness = ComponentConfig::new("Witness", "tests", at(1), move |_| {
        let diary = component.clone();
        async move { Ok(Witness(diary)) }
    });
    let exporter = these([ServerEndpointConfig::builder("/events", move || Telling(own.clone())).build()])
        .component(part::<1>(&diary, nothing))
        .component(witness.observer::<Witness>())
        .observe(move |event: &ApplicationEvent| told(&closure, "closure", event));
    let server = soon("the start", exporter.start()).await.unwrap();
    let ready = ["closure: ready, 1 addresses", "component: ready, 1 addresses"];
    assert_eq!(diary.take(), [["Build 1", "Aware 1", "Settle 1"].as_slice(), &ready].concat());

    let url = format!("ws://{}/events", server.local_addr());
    let client = runtime::client();
    let session = soon("the connection", client.connect(Echo, &url)).await.unwrap();
    soon("closing", session.close(CloseReason::new(CloseCode::Normal, ""))).await.unwrap();
    diary.until("component: closed, 1000").await;
    assert_eq!(
        diary.take(),
        [
            "closure: opened, true of 1",
            "component: opened, true of 1",
            "on_open",
            "on_close",
            "closure: closed, 1000",
            "component: closed, 1000"
        ]
    );
    server.shutdown().await;
    assert_eq!(diary.take(), ["closure: shutting down", "component: shutting down", "Destroy 1"]);
}

/// A session whose endpoint cannot be made is opened and closed as any other.
#[tokio::test]
async fn every_session_that_opened_is_closed() {
    let diary = Diary::default();
    let closure = diary.clone();
    let broken =
        ServerEndpointConfig::builder("/events/broken", || -> Echo { panic!("out of luck") }).build();
    let app = runtime::test::app()
        .endpoint(broken)
        .with(|exporter| {
            exporter
                .only(|endpoint| endpoint.path() == "/events/broken")
                .observe(move |event: &ApplicationEvent| told(&closure, "closure", event))
        })
        .start()
        .await;
    let mut peer = app.connect("/events/broken").await.unwrap();
    assert_eq!(peer.closed().await.code(), CloseCode::Error);
    diary.until("closure: closed, 1011").await;
    assert_eq!(
        diary.take(),
        ["closure: ready, 0 addresses", "closure: opened, true of 1", "closure: closed, 1011"]
    );
}

#[tokio::test]
async fn an_observer_that_panics_hurts_nobody() {
    let diary = Diary::default();
    let closure = diary.clone();
    let exporter = these([ServerEndpointConfig::builder("/events", || Echo).build()])
        .observe(|_: &ApplicationEvent| panic!("out of luck"))
        .observe(move |event: &ApplicationEvent| told(&closure, "second", event));
    let app = runtime::test::app().with(|_| exporter).start().await;
    let mut peer = app.connect("/events").await.unwrap();
    peer.send("hello").await.unwrap();
    assert_eq!(peer.text().await, "hello");
    peer.close(CloseCode::Normal, "").await.unwrap();
    app.shutdown().await;
    let happened = ["ready, 0 addresses", "opened, true of 1", "closed, 1000", "shutting down"];
    assert_eq!(diary.take(), happened.map(|what| format!("second: {what}")));
}

/// A lazy component observes what happens from when it is built.
#[tokio::test]
async fn a_lazy_observer_observes_once_it_is_built() {
    let diary = Diary::default();
    let component = diary.clone();
    let witness = ComponentConfig::new("Witness", "tests", at(1), move |_| {
        let diary = component.clone();
        async move { Ok(Witness(diary)) }
    });
    let (told, tell) = tokio::sync::oneshot::channel();
    let exporter =
        empty().component(witness.observer::<Witness>().lazy()).before_listening(|context| async move {
            let _ = told.send(context.lazy::<Witness>());
            Ok(())
        });
    let server = soon("the start", exporter.start()).await.unwrap();
    assert_eq!(diary.take(), [""; 0]);
    tell.await.unwrap().get().await.unwrap();
    server.shutdown().await;
    assert_eq!(diary.take(), ["component: shutting down"]);
}

/// An observer gets the context, and may keep it.
#[tokio::test]
async fn the_context_comes_with_the_first_event() {
    let kept: Arc<std::sync::OnceLock<ApplicationContext>> = Arc::default();
    let keep = Arc::clone(&kept);
    let exporter = empty().provide(7u8).observe(move |event: &ApplicationEvent| {
        if let ApplicationEvent::ContextReady { context, .. } = event {
            let _ = keep.set(context.clone());
        }
    });
    let server = soon("the start", exporter.start()).await.unwrap();
    assert_eq!(*kept.get().unwrap().get::<u8>().unwrap(), 7);
    server.shutdown().await;
}
