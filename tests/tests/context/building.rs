//! How components are built, and how they are found: by type, by trait, by name, all of a trait, or not at all.

use std::sync::Arc;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{ComponentConfig, Container, Injected, Needs, Settings};
use tokio::sync::oneshot;

use crate::support::{Diary, Part, at, empty, nothing, part, refused, soon};

trait Greeter: Send + Sync {
    fn greet(&self) -> String;
}

struct English;
struct French(&'static str);

impl Greeter for English {
    fn greet(&self) -> String {
        "hello".to_owned()
    }
}

impl Greeter for French {
    fn greet(&self) -> String {
        format!("salut {}", self.0)
    }
}

/// What a started application has in its context, as `look` sees it.
async fn in_context<T: Send + 'static>(
    exporter: endpoint_runtime::ServerEndpointExporter,
    look: impl FnOnce(ApplicationContext) -> T + Send + Sync + 'static,
) -> T {
    let (told, tell) = oneshot::channel();
    let exporter = exporter.before_listening(move |context| async move {
        let _ = told.send(look(context));
        Ok(())
    });
    let server = soon("the start", exporter.start()).await.unwrap();
    let seen = tell.await.unwrap();
    server.shutdown().await;
    seen
}

#[tokio::test]
async fn what_a_component_needs_is_built_before_it_whatever_the_order_in_which_they_are_given() {
    let diary = Diary::default();
    let exporter = empty()
        .component(part::<1>(&diary, |needs| {
            needs.component::<Part<2>>();
            needs.component::<Part<3>>();
        }))
        .component(part::<2>(&diary, Needs::component::<Part<3>>))
        .component(part::<3>(&diary, nothing))
        .component(part::<4>(&diary, nothing));
    let server = soon("the start", exporter.start()).await.unwrap();
    let built = ["Build 3", "Build 2", "Build 1", "Build 4"];
    let told = ["Aware 3", "Aware 2", "Aware 1", "Aware 4", "Settle 3", "Settle 2", "Settle 1", "Settle 4"];
    assert_eq!(diary.take(), [built.as_slice(), &told].concat());
    server.shutdown().await;
    assert_eq!(diary.take(), ["Destroy 4", "Destroy 1", "Destroy 2", "Destroy 3"]);
}

/// Each is built once, however many need it, and may take its time.
#[tokio::test]
async fn a_component_is_built_once_and_asynchronously() {
    struct Shared(Arc<Part<1>>);
    let diary = Diary::default();
    let (open, gate) = oneshot::channel::<()>();
    let gate = Arc::new(tokio::sync::Mutex::new(Some(gate)));
    let slow = diary.clone();
    let exporter =
        empty()
            .component(
                ComponentConfig::new("Shared", "tests", at(9), |context| async move {
                    Ok(Shared(context.get()?))
                })
                .needs(Needs::component::<Part<1>>),
            )
            .component(part::<2>(&diary, Needs::component::<Part<1>>))
            .component(ComponentConfig::new("One", "tests", at(1), move |_| {
                let (gate, diary) = (Arc::clone(&gate), slow.clone());
                async move {
                    diary.note("begun");
                    let gate = gate.lock().await.take().unwrap();
                    gate.await.unwrap();
                    diary.note("done");
                    Ok(Part::<1>::new(&diary))
                }
            }));
    let starting = tokio::spawn(in_context(exporter, |context| {
        Arc::ptr_eq(&context.get::<Shared>().unwrap().0, &context.get::<Part<1>>().unwrap())
    }));
    diary.until("begun").await;
    assert_eq!(diary.entries(), ["begun"], "nothing that needs it is built meanwhile");
    open.send(()).unwrap();
    assert!(starting.await.unwrap());
    assert_eq!(diary.entries()[..3], ["begun", "done", "Build 2"]);
}

#[tokio::test]
async fn components_are_found_by_type_trait_and_name() {
    let exporter = empty()
        .provide(7u32)
        .provide_named("eight", 8u32)
        .provide_named("only", "text")
        .provide_shared::<dyn Greeter>(Arc::new(English))
        .provide_shared::<dyn Greeter>(Arc::new(French("toi")))
        .component(
            ComponentConfig::value(French("vous"))
                .named("polite")
                .provides::<French, dyn Greeter>(|french| french),
        );
    in_context(exporter, |context| {
        assert_eq!(*context.get::<u32>().unwrap(), 7, "the one without a name");
        assert_eq!(*context.named::<u32>("eight").unwrap(), 8);
        assert_eq!(
            *context.get::<&str>().unwrap(),
            "text",
            "a name need not be said where there is one only"
        );
        assert_eq!(context.named::<dyn Greeter>("polite").unwrap().greet(), "salut vous");
        assert_eq!(context.get::<French>().unwrap().greet(), "salut vous");
        let all: Vec<_> = context.all::<dyn Greeter>().iter().map(|greeter| greeter.greet()).collect();
        assert_eq!(all, ["hello", "salut toi", "salut vous"]);
        let names: Vec<_> = context
            .all_named::<u32>()
            .iter()
            .map(|named| (named.name().map(str::to_owned), **named))
            .collect();
        assert_eq!(names, [(None, 7), (Some("eight".to_owned()), 8)]);
        assert!(context.all::<String>().is_empty());
        let why = |error: Error| error.to_string();
        assert_eq!(why(context.get::<u8>().unwrap_err()), "no component `u8` was provided");
        assert_eq!(
            why(context.named::<u32>("nine").unwrap_err()),
            "no component `u32` named \"nine\" was provided"
        );
        let several = why(context.get::<dyn Greeter>().err().unwrap());
        assert!(several.starts_with("there are several components `dyn "), "{several}");
        assert!(context.find::<u8>().is_none() && context.find_named::<u32>("nine").is_none());
        // What the runtime has of its own.
        assert!(context.get::<Sessions>().is_ok() && context.get::<Container>().is_ok());
        assert_eq!(context.get::<Settings>().unwrap().bind, ["127.0.0.1:8080"]);
    })
    .await;
}

/// Everything that a field may be.
#[tokio::test]
async fn everything_that_can_be_injected_is() {
    struct Wants {
        one: Arc<u32>,
        maybe: (Option<Arc<u32>>, Option<Arc<String>>),
        named: Arc<u64>,
        all: Vec<Arc<dyn Greeter>>,
        with_names: Vec<Named<u64>>,
        later: Lazy<u32>,
        context: ApplicationContext,
        sessions: Sessions,
        container: Container,
    }
    fn needs(needs: &mut Needs) {
        needs.asked_by("one", at(1)).injected::<Arc<u32>>();
        needs.asked_by("maybe", at(2)).injected::<Option<Arc<String>>>();
        needs.asked_by("named", at(3)).injected_by_name::<Arc<u64>>("b");
        needs.asked_by("all", at(4)).injected::<Vec<Arc<dyn Greeter>>>();
        needs.asked_by("with_names", at(5)).injected::<Vec<Named<u64>>>();
        needs.asked_by("later", at(6)).injected::<Lazy<u32>>();
        needs.asked_by("context", at(7)).injected::<ApplicationContext>();
        needs.asked_by("sessions", at(8)).injected::<Sessions>();
        needs.asked_by("container", at(9)).injected::<Container>();
    }
    let wants = ComponentConfig::new("Wants", "tests", at(1), |context| async move {
        Ok(Wants {
            one: Injected::inject(&context)?,
            maybe: (Injected::inject(&context)?, Injected::inject(&context)?),
            named: endpoint_runtime::InjectedByName::inject_named(&context, "b")?,
            all: Injected::inject(&context)?,
            with_names: Injected::inject(&context)?,
            later: Injected::inject(&context)?,
            context: Injected::inject(&context)?,
            sessions: Injected::inject(&context)?,
            container: Injected::inject(&context)?,
        })
    });
    let greeter = ComponentConfig::new("English", "tests", at(20), |_| async { Ok(English) });
    let exporter = empty()
        .component(wants.needs(needs))
        .provide(1u32)
        .provide_named("a", 10u64)
        .provide_named("b", 20u64)
        .component(greeter.provides::<English, dyn Greeter>(|english| english));
    let wants = in_context(exporter, |context| context.get::<Wants>().unwrap()).await;
    assert_eq!((*wants.one, wants.maybe.0.as_deref(), wants.maybe.1.is_none()), (1, Some(&1), true));
    assert_eq!((*wants.named, wants.all.len(), wants.with_names.len()), (20, 1, 2));
    assert_eq!(wants.with_names[1].name(), Some("b"));
    assert_eq!((wants.sessions.count(), wants.container.endpoints().len()), (0, 0));
    // The application has ended, and nobody keeps it: neither does a component that has its context.
    assert!(wants.context.find::<u32>().is_none());
    assert_eq!(wants.context.get::<u32>().unwrap_err().to_string(), "the application has ended");
    assert!(wants.later.if_built().is_none());
    assert!(wants.later.get().await.is_err());
}

/// All of a trait, to one of them that hands on to all others.
#[tokio::test]
async fn one_of_a_trait_may_want_to_have_all_others() {
    struct Everybody(Vec<Arc<dyn Greeter>>);
    impl Greeter for Everybody {
        fn greet(&self) -> String {
            self.0.iter().map(|greeter| greeter.greet()).collect::<Vec<_>>().join(", ")
        }
    }
    let all = ComponentConfig::new("Everybody", "tests", at(1), |context| async move {
        Ok(Everybody(context.all::<dyn Greeter>()))
    });
    let later = ComponentConfig::new("French", "tests", at(2), |_| async { Ok(French("tous")) });
    let exporter = empty()
        .component(
            all.needs(endpoint_runtime::Needs::injected::<Vec<Arc<dyn Greeter>>>)
                .provides::<Everybody, dyn Greeter>(|all| all),
        )
        .provide_shared::<dyn Greeter>(Arc::new(English))
        .component(later.lazy().provides::<French, dyn Greeter>(|french| french));
    let greeting = in_context(exporter, |context| context.get::<Everybody>().unwrap().greet()).await;
    assert_eq!(greeting, "hello, salut tous", "the lazy one is built, since something that is built has it");
}

#[tokio::test]
async fn what_it_takes_code_to_make_finds_what_is_there() {
    struct Database(u32, String);
    let exporter = empty()
        .provide(5u32)
        .provide_with(|context| async move { Ok(format!("{} made", context.get::<u32>()?)) })
        .provide_with(|context| async move {
            let settings = context.get::<Settings>()?;
            Ok(Database(settings.drain_batch as u32, context.get::<String>()?.to_string()))
        });
    let found = in_context(exporter, |context| {
        let database = context.get::<Database>().unwrap();
        (database.0, database.1.clone())
    });
    assert_eq!(found.await, (1000, "5 made".to_owned()));
}

/// What is made later is there by `lazy`, and until then the error says so.
#[tokio::test]
async fn what_it_takes_code_to_make_can_have_others_built_there_and_then() {
    let diary = Diary::default();
    let exporter = empty()
        .provide_with(|context| async move {
            let why = context.get::<Part<1>>().err().map(|error| error.to_string());
            context.lazy::<Part<1>>().get().await?;
            Ok(why.unwrap_or_default())
        })
        .component(part::<1>(&diary, Needs::component::<Part<2>>))
        .component(part::<2>(&diary, nothing));
    let why = in_context(exporter, |context| context.get::<String>().unwrap().to_string()).await;
    assert!(why.starts_with("the component `One` (src/app.rs:1) is not built yet"), "{why}");
    // Whoever asks for it early gets it whole; nothing happens to it twice.
    let (built, ended) = (["Build 2", "Settle 2", "Build 1", "Settle 1"], ["Destroy 1", "Destroy 2"]);
    let without_aware: Vec<_> =
        diary.take().into_iter().filter(|entry| !entry.starts_with("Aware")).collect();
    assert_eq!(without_aware, [built.as_slice(), &ended].concat());
}

#[tokio::test]
async fn a_component_whose_code_waits_for_itself_is_an_error_and_no_standstill() {
    struct Hen;
    struct Egg;
    let hen = ComponentConfig::new("Hen", "tests", at(1), |context| async move {
        context.lazy::<Egg>().get().await?;
        Ok(Hen)
    });
    let egg = ComponentConfig::new("Egg", "tests", at(2), |context| async move {
        context.lazy::<Hen>().get().await?;
        Ok(Egg)
    });
    let error = refused(empty().component(hen).component(egg)).await.to_string();
    assert!(error.contains("components need each other while they are built: Egg -> Hen"), "{error}");
    assert!(error.contains("`Hen` (src/app.rs:1) could not be built"), "{error}");
}

/// Lazy, so that the other tests of this program do without it.
#[component(lazy)]
struct Registered {
    #[init("by the annotation")]
    made: &'static str,
}

/// What the exporter is given goes before what an annotation has registered as the same type and name, so that a test can have its own.
#[tokio::test]
async fn a_given_component_takes_the_place_of_a_registered_one() {
    let made = |exporter: endpoint_runtime::ServerEndpointExporter| async {
        let (told, tell) = oneshot::channel();
        let exporter = exporter.before_listening(|context| async move {
            let made = context.lazy::<Registered>().get().await?.made;
            let _ = told.send((made, context.all::<Registered>().len()));
            Ok(())
        });
        soon("the start", exporter.start()).await.unwrap().shutdown().await;
        tell.await.unwrap()
    };
    assert_eq!(made(empty()).await, ("by the annotation", 1));
    assert_eq!(made(empty().provide(Registered { made: "by hand" })).await, ("by hand", 1));
}

/// Two of one type and name cannot be told apart.
#[test]
fn two_of_one_type_and_name_are_a_problem() {
    let twice = empty().provide_named("a", 1u8).provide_named("a", 2u8).provide_named("b", 3u8);
    let report = twice.check();
    let text = report.to_string();
    assert!(text.contains("the component `u8` named \"a\" was provided more than once"), "{text}");
    assert_eq!((report.problems().len(), report.problems()[0].places().len()), (1, 2));
}
