//! Components that are built when they are used.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, ComponentConfig};
use tokio::sync::{Semaphore, oneshot};

use crate::support::{Diary, Misdeed, Part, Step, at, empty, nothing, part, soon, wicked};

/// Uses its lazy component when told so.
#[server_endpoint("/lazily")]
struct Lazily {
    #[inject]
    later: Lazy<Part<1>>,
}

#[handlers]
impl Lazily {
    #[on_message]
    async fn message(&self, text: String, by_parameter: Lazy<Part<1>>) -> String {
        match text.as_str() {
            "there?" => self.later.if_built().is_some().to_string(),
            _ => match (self.later.get().await, by_parameter.get().await) {
                (Ok(one), Ok(same)) => Arc::ptr_eq(&one, &same).to_string(),
                (Err(error), _) | (_, Err(error)) => error.to_string(),
            },
        }
    }
}

#[tokio::test]
async fn a_lazy_component_is_built_at_its_first_use_with_what_it_needs() {
    let diary = Diary::default();
    let app = runtime::test::app()
        .only::<Lazily>()
        .with(|exporter| {
            exporter
                .component(part::<1>(&diary, endpoint_runtime::Needs::component::<Part<2>>).lazy())
                .component(part::<2>(&diary, nothing).lazy())
        })
        .start()
        .await;
    assert_eq!(diary.take(), [""; 0]);
    let mut peer = app.connect("/lazily").await.unwrap();
    for (asked, answer) in [("there?", "false"), ("use", "true"), ("there?", "true"), ("use", "true")] {
        peer.send(asked).await.unwrap();
        assert_eq!(peer.text().await, answer);
    }
    let entries = diary.take();
    assert_eq!(entries.iter().filter(|entry| entry.starts_with("Build")).count(), 2, "{entries:?}");
    assert_eq!(entries.last().unwrap(), "Settle 1");
    drop(peer);
    app.shutdown().await;
    assert_eq!(
        diary.take(),
        ["Destroy 1", "Destroy 2"],
        "in the reverse of the order in which they were built"
    );
}

#[tokio::test]
async fn a_lazy_component_that_nobody_uses_is_never_built_nor_destroyed() {
    let diary = Diary::default();
    let server =
        soon("the start", empty().component(part::<1>(&diary, nothing).lazy()).start()).await.unwrap();
    server.shutdown().await;
    assert_eq!(diary.take(), [""; 0]);
}

#[tokio::test]
async fn a_lazy_component_that_something_needs_is_built_with_it() {
    let diary = Diary::default();
    let exporter = empty()
        .component(part::<1>(&diary, endpoint_runtime::Needs::component::<Part<2>>))
        .component(part::<2>(&diary, nothing).lazy());
    soon("the start", exporter.start()).await.unwrap().shutdown().await;
    assert_eq!(diary.take()[..2], ["Build 2", "Build 1"]);
}

/// Has lazy components, as if they were none.
#[server_endpoint("/at-once")]
struct AtOnce {
    #[inject]
    one: Arc<Part<1>>,
    #[inject]
    two: Option<Arc<Part<2>>>,
}

#[handlers]
impl AtOnce {
    #[on_message]
    fn message(&self, _: String, _three: Inject<Part<3>>) -> bool {
        Arc::strong_count(&self.one) > 1 && self.two.is_some()
    }
}

/// An endpoint is made when somebody connects, and then there is no time to build anything.
#[tokio::test]
async fn a_lazy_component_that_an_endpoint_needs_is_built_at_the_start() {
    let diary = Diary::default();
    let app = runtime::test::app()
        .only::<AtOnce>()
        .with(|exporter| {
            exporter
                .component(part::<1>(&diary, endpoint_runtime::Needs::component::<Part<4>>).lazy())
                .component(part::<2>(&diary, nothing).lazy())
                .component(part::<3>(&diary, nothing).lazy())
                .component(part::<4>(&diary, nothing).lazy())
        })
        .start()
        .await;
    assert_eq!(diary.take()[..4], ["Build 4", "Build 1", "Build 2", "Build 3"]);
    let mut peer = app.connect("/at-once").await.unwrap();
    peer.send("all there?").await.unwrap();
    assert_eq!(peer.text().await, "true");
    drop(peer);
    app.shutdown().await;
    assert_eq!(diary.take().last().unwrap(), "Destroy 4");
}

/// One that is deployed later waits for nobody, and is told what to do instead.
#[tokio::test]
async fn an_endpoint_that_comes_later_finds_only_what_is_built() {
    let diary = Diary::default();
    let exporter = empty()
        .component(part::<1>(&diary, nothing).lazy())
        .component(part::<2>(&diary, nothing).lazy())
        .component(part::<3>(&diary, nothing));
    let server = soon("the start", exporter.start()).await.unwrap();
    let error = server.deploy(ServerEndpointConfig::of::<AtOnce>()).unwrap_err();
    let texts: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2, "{error}");
    assert!(texts[0].starts_with("AtOnce.one (tests/tests/context/lazily.rs:"), "{error}");
    assert!(
        texts[0].ends_with(
            "needs the component `One` (src/app.rs:1), which is lazy and not built yet: take a `Lazy<T>`, or use one of it before"
        ),
        "{error}"
    );
    assert!(texts[1].contains("AtOnce.two"), "{error}");
    assert!(server.context().lazy::<Part<1>>().get().await.is_ok());
    assert!(server.context().lazy::<Part<2>>().get().await.is_ok());
    server.deploy(ServerEndpointConfig::of::<AtOnce>()).unwrap();
    server.shutdown().await;
}

/// One attempt at an eager component fails while another is built, which goes on without it: the next attempt is the whole of it.
#[tokio::test]
async fn a_component_that_failed_to_settle_is_told_again_when_it_is_built_again() {
    struct Early;
    let diary = Diary::default();
    let early = ComponentConfig::new("Early", "tests", at(9), |context: ApplicationContext| async move {
        let failed = context.lazy::<Fickle>().get().await.is_err();
        if failed { Ok(Early) } else { Err(Error::msg("it has settled at once")) }
    });
    let (told, attempts) = (diary.clone(), Arc::new(AtomicUsize::new(0)));
    let fickle = ComponentConfig::new("Fickle", "tests", at(8), move |_| {
        let (diary, attempt) = (told.clone(), attempts.fetch_add(1, Ordering::SeqCst));
        async move { Ok(Fickle { diary, attempt }) }
    });
    let exporter = empty().component(early).component(fickle.lifecycle::<Fickle>().aware::<Fickle>());
    soon("the start", exporter.start()).await.unwrap().shutdown().await;
    assert_eq!(diary.take(), ["aware 0", "settle 0", "destroy 0", "aware 1", "settle 1", "destroy 1"]);
}

/// Settles at the second attempt.
struct Fickle {
    diary: Diary,
    attempt: usize,
}

impl ContextAware for Fickle {
    fn set_application_context(&self, _: &ApplicationContext) {
        self.diary.note(format!("aware {}", self.attempt));
    }
}

impl Lifecycle for Fickle {
    async fn after_properties_set(&self) -> Result<()> {
        self.diary.note(format!("settle {}", self.attempt));
        if self.attempt == 0 { Err(Error::msg("not yet")) } else { Ok(()) }
    }

    async fn destroy(&self) {
        self.diary.note(format!("destroy {}", self.attempt));
    }
}

/// A circle that a `Lazy` breaks is none.
#[tokio::test]
async fn two_components_may_need_each_other_if_one_can_wait() {
    struct Hen(Arc<Egg>);
    struct Egg(Lazy<Hen>);
    let hen = ComponentConfig::new("Hen", "tests", at(1), |context| async move { Ok(Hen(context.get()?)) })
        .needs(endpoint_runtime::Needs::component::<Egg>);
    let egg = ComponentConfig::new("Egg", "tests", at(2), |context| async move { Ok(Egg(context.lazy())) })
        .needs(endpoint_runtime::Needs::injected::<Lazy<Hen>>);
    let (told, tell) = oneshot::channel();
    let exporter = empty().component(hen).component(egg).before_listening(|context| async move {
        let hen = context.get::<Hen>()?;
        let _ = told.send(Arc::ptr_eq(&hen, &hen.0.0.get().await?));
        Ok(())
    });
    soon("the start", exporter.start()).await.unwrap().shutdown().await;
    assert!(tell.await.unwrap());
}

/// Many want it at once, and the first builds it for all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_come_meanwhile_wait_for_the_one_that_is_built() {
    let (built, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (count, held) = (Arc::clone(&built), Arc::clone(&gate));
    let slow = ComponentConfig::new("Slow", "tests", at(1), move |_| {
        let (count, held) = (Arc::clone(&count), Arc::clone(&held));
        async move {
            let number = count.fetch_add(1, Ordering::SeqCst) as u64;
            held.acquire().await.map_err(|error| Error::msg(error.to_string()))?.forget();
            Ok(number)
        }
    });
    let (told, tell) = oneshot::channel();
    let exporter = empty().component(slow.lazy()).before_listening(move |context| async move {
        let _ = told.send(context);
        Ok(())
    });
    let server = soon("the start", exporter.start()).await.unwrap();
    let context = tell.await.unwrap();
    let users: Vec<_> = (0..20)
        .map(|_| {
            let later = context.lazy::<u64>();
            tokio::spawn(async move { *later.get().await.unwrap() })
        })
        .collect();
    gate.add_permits(1);
    for user in users {
        assert_eq!(soon("a user", user).await.unwrap(), 0);
    }
    assert_eq!(built.load(Ordering::SeqCst), 1);
    server.shutdown().await;
}

/// It fails to whoever asks, and the next one tries again; of what was built by half nothing is left.
#[tokio::test]
async fn a_lazy_component_that_cannot_be_built_fails_whoever_uses_it() {
    for (misdeed, says) in [
        ((Step::Build, Misdeed::Fail), "the component `One` (src/app.rs:1) could not be built: no luck"),
        (
            (Step::Build, Misdeed::Panic),
            "the component `One` (src/app.rs:1) could not be built: it panicked: out of luck",
        ),
        (
            (Step::Settle, Misdeed::Fail),
            "the component `One` (src/app.rs:1) failed in `after_properties_set`: no luck",
        ),
    ] {
        let diary = Diary::default();
        let app = runtime::test::app()
            .only::<Lazily>()
            .with(|exporter| exporter.component(wicked::<1>(&diary, nothing, Some(misdeed)).lazy()))
            .start()
            .await;
        let mut peer = app.connect("/lazily").await.unwrap();
        for _ in 0..2 {
            peer.send("use").await.unwrap();
            assert_eq!(peer.text().await, says);
        }
        let entries = diary.take();
        // Two messages, each of which tries twice.
        assert_eq!(entries.iter().filter(|entry| *entry == "Build 1").count(), 4, "{entries:?}");
        let destroyed = entries.iter().filter(|entry| *entry == "Destroy 1").count();
        assert_eq!(destroyed, if misdeed.0 == Step::Settle { 4 } else { 0 }, "{entries:?}");
        drop(peer);
        app.shutdown().await;
    }
}

/// A lazy part that is built when the gate is opened, an application that has it, and its context.
async fn gated(diary: &Diary) -> (Arc<Semaphore>, runtime::Server, ApplicationContext) {
    let (gate, own) = (Arc::new(Semaphore::new(0)), diary.clone());
    let held = Arc::clone(&gate);
    let slow = ComponentConfig::new("One", "tests", at(1), move |_| {
        let (held, diary) = (Arc::clone(&held), own.clone());
        async move {
            diary.note("begun");
            held.acquire().await.map_err(|error| Error::msg(error.to_string()))?.forget();
            Ok(Part::<1>::new(&diary))
        }
    });
    let (told, tell) = oneshot::channel();
    let slow = slow.lazy().lifecycle::<Part<1>>();
    let hopeless = wicked::<2>(diary, nothing, Some((Step::Build, Misdeed::Fail))).lazy();
    let exporter = empty().component(slow).component(hopeless).before_listening(move |context| async move {
        let _ = told.send(context);
        Ok(())
    });
    let server = soon("the start", exporter.start()).await.unwrap();
    (gate, server, tell.await.unwrap())
}

#[tokio::test]
async fn who_gives_up_waiting_leaves_nothing_half_built_to_others() {
    let diary = Diary::default();
    let (gate, server, context) = gated(&diary).await;
    let later = context.lazy::<Part<1>>();
    let impatient = tokio::spawn({
        let later = later.clone();
        async move { later.get().await.is_ok() }
    });
    diary.until("begun").await;
    impatient.abort();
    assert!(impatient.await.unwrap_err().is_cancelled());
    gate.add_permits(1);
    soon("the component", later.get()).await.unwrap();
    assert_eq!(diary.take(), ["begun", "Settle 1"]);
    server.shutdown().await;
    assert_eq!(diary.take(), ["Destroy 1"]);
}

/// Who is asked to stop while something is built has it done, and undone, before the rest is destroyed.
#[tokio::test]
async fn the_end_waits_for_what_is_being_built() {
    let diary = Diary::default();
    let (gate, server, context) = gated(&diary).await;
    let late = tokio::spawn({
        let later = context.lazy::<Part<1>>();
        async move { later.get().await.is_err() }
    });
    diary.until("begun").await;
    let ending = tokio::spawn(server.shutdown());
    let has_ended = async {
        // It fails anyway, but in other words.
        while !context
            .lazy::<Part<2>>()
            .get()
            .await
            .is_err_and(|error| error.to_string().contains("has ended"))
        {
            tokio::task::yield_now().await;
        }
    };
    soon("the end", has_ended).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!ending.is_finished());
    gate.add_permits(1);
    soon("the end", ending).await.unwrap();
    let entries = diary.take();
    let mut of_the_first = entries.iter().filter(|entry| *entry != "Build 2");
    assert!(of_the_first.by_ref().eq(["begun", "Settle 1", "Destroy 1"]), "{entries:?}");
    assert!(late.await.unwrap());
}

/// But not for ever.
#[tokio::test(start_paused = true)]
async fn what_is_built_too_late_is_destroyed_at_once() {
    let diary = Diary::default();
    let (gate, server, context) = gated(&diary).await;
    let later = context.lazy::<Part<1>>();
    let late = tokio::spawn({
        let later = later.clone();
        async move { later.get().await.err().map(|error| error.to_string()) }
    });
    diary.until("begun").await;
    server.shutdown().await;
    gate.add_permits(1);
    let why = soon("the refusal", late).await.unwrap().unwrap();
    assert_eq!(why, "the component `One` (src/app.rs:1) was built too late: the application has ended");
    assert_eq!(diary.take(), ["begun", "Settle 1", "Destroy 1"]);
    assert!(later.get().await.is_err(), "and nothing more is built");
    assert_eq!(diary.take(), [""; 0]);
}
