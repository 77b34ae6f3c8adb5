//! A start that fails, at whichever stage, is undone: what was built is destroyed, nothing is open, and the error says what failed and where.

use std::sync::Arc;
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{Configurator, Server, ServerEndpointConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::support::{Diary, Echo, Misdeed, Step, empty, nothing, part, refused, soon, these, wicked};

/// The third of four parts, each of which needs the one before, does something wrong.
fn four(diary: &Diary, misdeed: (Step, Misdeed)) -> endpoint_runtime::ServerEndpointExporter {
    use crate::support::Part;
    empty()
        .component(part::<4>(diary, endpoint_runtime::Needs::component::<Part<3>>))
        .component(wicked::<3>(diary, endpoint_runtime::Needs::component::<Part<2>>, Some(misdeed)))
        .component(part::<2>(diary, endpoint_runtime::Needs::component::<Part<1>>))
        .component(part::<1>(diary, nothing))
}

#[tokio::test]
async fn a_component_that_fails_stops_the_start_and_those_before_it_are_destroyed() {
    let (fails, panics) = ("no luck", "it panicked: out of luck");
    // What is done wrong where, how the start fails, what was done until then, and what is undone.
    type Row<'a> = ((Step, Misdeed), String, &'a [&'a str], &'a [&'a str]);
    let table: &[Row<'_>] = &[
        (
            (Step::Build, Misdeed::Fail),
            format!("could not be built: {fails}"),
            &["Build 1", "Build 2", "Build 3"],
            &["Destroy 2", "Destroy 1"],
        ),
        (
            (Step::Build, Misdeed::Panic),
            format!("could not be built: {panics}"),
            &["Build 1", "Build 2", "Build 3"],
            &["Destroy 2", "Destroy 1"],
        ),
        (
            (Step::Aware, Misdeed::Panic),
            format!("failed in `set_application_context`: {panics}"),
            &["Build 1", "Build 2", "Build 3", "Build 4", "Aware 1", "Aware 2", "Aware 3"],
            &["Destroy 4", "Destroy 3", "Destroy 2", "Destroy 1"],
        ),
        (
            (Step::Settle, Misdeed::Fail),
            format!("failed in `after_properties_set`: {fails}"),
            &[
                "Build 1", "Build 2", "Build 3", "Build 4", "Aware 1", "Aware 2", "Aware 3", "Aware 4",
                "Settle 1", "Settle 2", "Settle 3",
            ],
            &["Destroy 4", "Destroy 3", "Destroy 2", "Destroy 1"],
        ),
        (
            (Step::Settle, Misdeed::Panic),
            format!("failed in `after_properties_set`: {panics}"),
            &[
                "Build 1", "Build 2", "Build 3", "Build 4", "Aware 1", "Aware 2", "Aware 3", "Aware 4",
                "Settle 1", "Settle 2", "Settle 3",
            ],
            &["Destroy 4", "Destroy 3", "Destroy 2", "Destroy 1"],
        ),
    ];
    for (misdeed, says, before, undone) in table {
        let diary = Diary::default();
        let error = refused(four(&diary, *misdeed)).await;
        assert_eq!(error.to_string(), format!("cannot deploy: the component `Three` (src/app.rs:3) {says}"));
        assert_eq!(error.problems()[0].places(), [crate::support::at(3)]);
        assert_eq!(diary.take(), [*before, *undone].concat(), "{misdeed:?}");
    }
}

#[tokio::test]
async fn what_is_done_before_listening_may_fail() {
    for panics in [false, true] {
        let diary = Diary::default();
        let (first, second) = (diary.clone(), diary.clone());
        let exporter = empty()
            .component(part::<1>(&diary, nothing))
            .before_listening(|_| async move {
                first.note("first");
                Ok(())
            })
            .before_listening(move |_| async move {
                assert!(!panics, "out of luck");
                Err(Error::msg("no luck"))
            })
            .before_listening(|_| async move {
                second.note("never");
                Ok(())
            });
        let text = refused(exporter).await.to_string();
        let says = if panics { "failed: it panicked: out of luck" } else { "failed: no luck" };
        let start = format!("cannot deploy: what is done before listening ({}:", file!());
        assert!(text.starts_with(&start) && text.ends_with(says), "{text}");
        assert_eq!(diary.take(), ["Build 1", "Aware 1", "Settle 1", "first", "Destroy 1"]);
    }
}

/// A singleton that cannot be made is found when it is mounted.
#[tokio::test]
async fn an_endpoint_that_cannot_be_made_is_undone_too() {
    #[derive(Default)]
    struct Strict;
    impl Configurator for Strict {}

    #[server_endpoint("/undoing/broken", scope = singleton, configurator = Strict)]
    struct Broken {
        #[init(broken())]
        _never: u8,
    }
    fn broken() -> u8 {
        panic!("out of luck")
    }
    #[handlers]
    impl Broken {
        #[on_message]
        fn message(&self, _: String) {}
    }

    let diary = Diary::default();
    let exporter = these([ServerEndpointConfig::of::<Broken>()]).component(part::<1>(&diary, nothing));
    let text = refused(exporter).await.to_string();
    assert!(text.contains("Broken") && text.contains("could not be made"), "{text}");
    assert_eq!(diary.take().last().unwrap(), "Destroy 1");
}

/// The second of two addresses is taken: the first is not left open.
#[tokio::test]
async fn an_address_that_cannot_be_bound_leaves_nothing_open() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (taken, first) = (taken.local_addr().unwrap(), free.local_addr().unwrap());
    drop(free);
    let keep = TcpListener::bind(taken).await;
    assert!(keep.is_err() || taken != first);
    let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let held_at = held.local_addr().unwrap();
    let diary = Diary::default();
    let exporter = endpoint_runtime::export_all()
        .settings(endpoint_runtime::Settings::default())
        .allow_empty()
        .only(|_| false)
        .bind(first.to_string())
        .bind(held_at.to_string())
        .component(part::<1>(&diary, nothing));
    let text = refused(exporter).await.to_string();
    assert!(text.starts_with(&format!("cannot deploy: cannot listen on {held_at}: ")), "{text}");
    assert!(TcpStream::connect(first).await.is_err(), "nobody listens there");
    assert_eq!(diary.take().last().unwrap(), "Destroy 1");
}

/// Nobody gets a server whose `on_ready` panicked, so nobody could stop it.
#[tokio::test]
async fn a_panic_when_the_server_is_ready_ends_it() {
    let diary = Diary::default();
    let (told, tell) = oneshot::channel();
    let exporter = these([ServerEndpointConfig::builder("/echo", || Echo).build()])
        .component(part::<1>(&diary, nothing))
        .on_ready(move |server: &Server| {
            let _ = told.send(server.local_addr());
            panic!("out of luck");
        });
    let text = refused(exporter).await.to_string();
    assert!(text.ends_with("what is done when the server is ready panicked: out of luck"), "{text}");
    assert!(TcpStream::connect(tell.await.unwrap()).await.is_err());
    assert_eq!(diary.take().last().unwrap(), "Destroy 1");
}

/// Who is told to stop while the components are built destroys those that are.
#[tokio::test]
async fn a_shutdown_during_the_start_undoes_it() {
    let diary = Diary::default();
    let exporter = four(&diary, (Step::Settle, Misdeed::Hang));
    let (seen, stop) = (diary.clone(), diary.clone());
    let served = exporter.serve_with_shutdown(async move { stop.until("Settle 3").await });
    soon("the end", served).await.unwrap();
    let undone = ["Destroy 4", "Destroy 3", "Destroy 2", "Destroy 1"];
    let entries = seen.take();
    assert_eq!(entries[entries.len() - 4..], undone);
}

/// And so does who drops the start, in the background.
#[tokio::test]
async fn a_start_that_is_dropped_is_undone_in_the_background() {
    let diary = Diary::default();
    let starting = tokio::spawn(four(&diary, (Step::Build, Misdeed::Hang)).start());
    diary.until("Build 3").await;
    starting.abort();
    diary.until("Destroy 1").await;
    let entries = diary.take();
    assert_eq!(entries[entries.len() - 2..], ["Destroy 2", "Destroy 1"]);
}

/// An undoing is bounded as an ending is.
#[tokio::test(start_paused = true)]
async fn an_undoing_does_not_wait_for_ever() {
    let diary = Diary::default();
    let exporter = empty()
        .component(part::<1>(&diary, nothing))
        .component(wicked::<2>(&diary, nothing, Some((Step::Destroy, Misdeed::Hang))))
        .component(wicked::<3>(&diary, nothing, Some((Step::Build, Misdeed::Fail))));
    let begun = tokio::time::Instant::now();
    refused(exporter).await;
    assert_eq!(begun.elapsed().as_secs(), Duration::from_secs(10).as_secs());
    assert_eq!(diary.take().last().unwrap(), "Destroy 1");
}

/// Nothing is built to be checked.
#[test]
fn a_check_builds_nothing() {
    let diary = Diary::default();
    let exporter = four(&diary, (Step::Build, Misdeed::Panic));
    let _ = Arc::new(exporter.check());
    assert_eq!(diary.take(), [""; 0]);
}
