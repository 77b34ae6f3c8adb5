//! The end of an application: sessions first, then its components in reverse, each within its time.

use std::sync::Mutex;
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, ComponentConfig, ServerEndpointConfig};
use tokio::time::Instant;

use crate::support::{Diary, Misdeed, Step, nothing, part, wicked};

struct Leaving(Diary);

impl Endpoint for Leaving {
    async fn on_close(&mut self, _: &Session, _: &CloseReason) {
        self.0.note("on_close");
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.note("dropped");
    }
}

fn app(diary: &Diary) -> runtime::test::App {
    let own = diary.clone();
    let leaving = ServerEndpointConfig::builder("/ending", move || Leaving(own.clone())).build();
    runtime::test::app()
        .with(|exporter| exporter.only(|endpoint| endpoint.path() == "/ending"))
        .endpoint(leaving)
}

#[tokio::test]
async fn components_are_destroyed_in_reverse_when_no_session_is_left() {
    let diary = Diary::default();
    let app = app(&diary)
        .with(|exporter| exporter.component(part::<1>(&diary, nothing)).component(part::<2>(&diary, nothing)))
        .start()
        .await;
    let mut peer = app.connect("/ending").await.unwrap();
    diary.take();
    let ending = tokio::spawn(app.shutdown());
    assert_eq!(peer.closed().await.code(), CloseCode::Away);
    ending.await.unwrap();
    assert_eq!(diary.take(), ["on_close", "dropped", "Destroy 2", "Destroy 1"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_or_panics_does_not_hold_up_the_others() {
    let diary = Diary::default();
    let app = app(&diary)
        .configure(|settings| settings.destroy_timeout = Duration::from_secs(3))
        .with(|exporter| {
            exporter
                .component(part::<1>(&diary, nothing))
                .component(wicked::<2>(&diary, nothing, Some((Step::Destroy, Misdeed::Hang))))
                .component(wicked::<3>(&diary, nothing, Some((Step::Destroy, Misdeed::Panic))))
                .component(wicked::<4>(&diary, nothing, Some((Step::Destroy, Misdeed::Hang))))
        })
        .start()
        .await;
    diary.take();
    let begun = Instant::now();
    app.shutdown().await;
    assert_eq!(begun.elapsed().as_secs(), 6, "two of them had their time");
    assert_eq!(diary.take(), ["Destroy 4", "Destroy 3", "Destroy 2", "Destroy 1"]);
}

/// What is provided as a value can have a life too.
#[tokio::test]
async fn a_value_may_be_told_when_the_application_begins_and_ends() {
    let diary = Diary::default();
    let value = crate::support::Part::<1>::new(&diary);
    let app = app(&diary)
        .with(|exporter| {
            exporter.provide_managed(value).component(part::<2>(&diary, |needs| {
                needs.component::<crate::support::Part<1>>();
            }))
        })
        .start()
        .await;
    assert_eq!(diary.take(), ["Build 2", "Aware 2", "Settle 1", "Settle 2"]);
    app.shutdown().await;
    assert_eq!(diary.take(), ["Destroy 2", "Destroy 1"]);
}

/// They are dropped too, once nobody has their context.
#[tokio::test]
async fn components_are_dropped_with_their_application() {
    struct Held {
        diary: Diary,
        context: ApplicationContext,
    }
    impl Drop for Held {
        fn drop(&mut self) {
            self.diary.note(format!("dropped, and finds {:?}", self.context.find::<u8>()));
        }
    }
    let diary = Diary::default();
    let own = diary.clone();
    let app = app(&diary)
        .provide(1u8)
        .with(|exporter| {
            exporter.provide_with(move |context| {
                let diary = own.clone();
                async move { Ok(Held { diary, context }) }
            })
        })
        .start()
        .await;
    assert_eq!(diary.take(), [""; 0]);
    app.shutdown().await;
    diary.until("dropped, and finds None").await;
}

/// Also one that holds on to every context that it is handed.
#[tokio::test]
async fn whoever_keeps_a_context_does_not_keep_the_application() {
    #[derive(Default)]
    struct Keeper(Mutex<Vec<ApplicationContext>>, Diary);
    impl Keeper {
        fn keep(&self, context: &ApplicationContext) {
            assert!(context.get::<Keeper>().is_ok());
            self.0.lock().unwrap().push(context.clone());
        }
    }
    impl Drop for Keeper {
        fn drop(&mut self) {
            self.1.note(format!("dropped with {}", self.0.lock().unwrap().len()));
        }
    }
    impl Lifecycle for Keeper {
        async fn after_properties_set(&self) -> Result<()> {
            self.keep(&ApplicationContext::current());
            Ok(())
        }
    }
    impl ContextAware for Keeper {
        fn set_application_context(&self, context: &ApplicationContext) {
            self.keep(context);
        }
    }
    impl Observer for Keeper {
        fn observe(&self, event: &ApplicationEvent) {
            if let ApplicationEvent::ContextReady { context, .. } = event {
                self.keep(context);
            }
        }
    }
    let diary = Diary::default();
    let keeper = ComponentConfig::value(Keeper(Mutex::default(), diary.clone()));
    let app = app(&diary)
        .with(|exporter| {
            exporter
                .component(keeper.lifecycle::<Keeper>().aware::<Keeper>().observer::<Keeper>())
                .before_listening(|context| async move {
                    context.get::<Keeper>()?.keep(&context);
                    Ok(())
                })
        })
        .start()
        .await;
    assert_eq!(diary.take(), [""; 0]);
    app.shutdown().await;
    diary.until("dropped with 4").await;
}
