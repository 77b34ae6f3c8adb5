//! Nodes: what they do while all is well, and what befalls them.

use std::time::{Duration, Instant};

use endpoint_tests::redis_server::RedisServer;
use futures_util::stream::{self, StreamExt};
use tokio::time::{sleep, timeout};

use crate::Pace;
use crate::listener::{Account, Event, Listener, Memory};
use crate::node::PATIENCE;
use crate::publisher::Publisher;
use crate::random::Random;
use crate::scene::{Check, Scene};

/// Clients that come at a time.
const AT_A_TIME: usize = 32;

/// Clients that have lost their server come back within so many milliseconds, not all at once.
const COME_BACK: u64 = 5_000;

pub(crate) async fn calls_of_two(_: Pace) -> Vec<Check> {
    calls(2).await
}

pub(crate) async fn calls_of_five(_: Pace) -> Vec<Check> {
    calls(5).await
}

/// Every call of a cluster, from one node to sessions of all.
async fn calls(count: usize) -> Vec<Check> {
    let scene = Scene::of(RedisServer::start().await, count).await;
    let mut listeners = Vec::new();
    for (number, node) in scene.nodes.iter().enumerate() {
        listeners.push(Listener::plain(node, &format!("/plain/blue?user=user-{number}")).await);
    }
    let first = &scene.nodes[0];
    let last = &listeners[count - 1];
    let id = last.events().iter().find_map(|event| match event {
        Event::Text { text, .. } => text.split(' ').nth(1).map(ToOwned::to_owned),
        _ => None,
    });
    let id = id.unwrap();
    let mut wrong = Vec::new();
    let mut asked = 0;
    let mut is = |what: &str, right: bool| {
        asked += 1;
        if !right {
            wrong.push(what.to_owned());
        }
    };
    for to in ["room:plain/blue", "endpoint:plain", "all"] {
        for way in ["send", "post"] {
            let text = format!("{way}-{to}");
            first.ask(&format!("{way} {to} {text}")).await;
            for listener in &listeners {
                listener.until_text(&text).await;
            }
            is(&text, true);
        }
    }
    first.ask(&format!("send user:user-{} to-user", count - 1)).await;
    last.until_text("to-user").await;
    is(
        "only the user",
        listeners[..count - 1]
            .iter()
            .all(|other| !other.has(|event| matches!(event, Event::Text { text, .. } if text == "to-user"))),
    );
    first.ask("send local:room:plain/blue here").await;
    listeners[0].until_text("here").await;
    is("count_exact", first.ask("count_exact room:plain/blue").await["count"] == count);
    let one_page = first.ask("list room:plain/blue 1000").await;
    is(
        "list",
        one_page["sessions"].as_array().is_some_and(|all| all.len() == count) && one_page["complete"] == true,
    );
    let page = first.ask("list room:plain/blue 1").await;
    let next = page["next"].as_str().unwrap_or_default().to_owned();
    let second = first.ask(&format!("list room:plain/blue 1 {next}")).await;
    is("pages", second["sessions"][0]["id"] != page["sessions"][0]["id"]);
    is(
        "count",
        timeout(PATIENCE, first.until("count endpoint:plain", |told| told["count"] == count)).await.is_ok(),
    );
    is("info", first.ask(&format!("member-info {id}")).await["user"] == format!("user-{}", count - 1));
    is("receipt", first.ask(&format!("member-send {id} receipt")).await["outcome"] == "Delivered");
    last.until_text("receipt").await;
    is("join one", first.ask(&format!("member-join {id} red")).await["outcome"] == "Delivered");
    is("joined", first.ask("count_exact room:red").await["count"] == 1);
    is("leave one", first.ask(&format!("member-leave {id} red")).await["outcome"] == "Delivered");
    first.ask("join room:plain/blue green").await;
    is(
        "join all",
        timeout(PATIENCE, first.until("count_exact room:green", |told| told["count"] == count)).await.is_ok(),
    );
    first.ask("leave room:green green").await;
    is(
        "leave all",
        timeout(PATIENCE, first.until("count_exact room:green", |told| told["count"] == 0)).await.is_ok(),
    );
    is("close one", first.ask(&format!("member-close {id}")).await["outcome"] == "Delivered");
    last.until("an end", |events| matches!(events.last(), Some(Event::Closed))).await;
    is("gone", first.ask(&format!("member-send {id} late")).await["outcome"] == "Gone");
    is("close all", first.ask("close room:plain/blue").await["closed"] == count - 1);
    is(
        "not the local ones of others",
        !last.has(|event| matches!(event, Event::Text { text, .. } if text == "here")),
    );
    vec![
        Check::figure("calls", asked),
        // What is not answered in time is wrong, too.
        Check::holds("all are right", &format!("wrong: {wrong:?}"), wrong.is_empty()).of_time(),
    ]
}

/// A million messages in normal operation.
pub(crate) async fn million(pace: Pace) -> Vec<Check> {
    let scene = Scene::of(RedisServer::start().await, 2).await;
    let (volatile, kept) = if pace.quick { (100_000, 100_000) } else { (1_000_000, 100_000) };
    let mut checks = Vec::new();
    for (room, count, group) in [("plain/counted", volatile, 10_000), ("kept/counted", kept, 2_000)] {
        let path = format!("/{room}");
        let listener = match room.starts_with("kept") {
            true => Listener::wire(&scene.nodes[1], &path, Memory::default()).await,
            false => Listener::plain(&scene.nodes[1], &path).await,
        };
        let began = Instant::now();
        let (mut handed, mut ago) = (0, None);
        for from in (0..count).step_by(group) {
            let told = scene.nodes[0].ask(&format!("burst room:{room} many {from} {group} 24")).await;
            handed += told["handed"].as_u64().unwrap() as usize;
            // One group is on its way while the next one is sent.
            if let Some(last) = ago.replace(from + group - 1) {
                let end = format!("many {last} ");
                listener
                    .until("a group", |events| {
                        events
                            .iter()
                            .rev()
                            .take(group * 2)
                            .any(|event| matches!(event, Event::Text { text, .. } if text.starts_with(&end)))
                    })
                    .await;
            }
        }
        listener.settled(Duration::from_secs(2)).await;
        let took = began.elapsed() - Duration::from_secs(2);
        let account = Account::of(&listener.events());
        checks.extend([
            Check::exactly(&format!("{room}: acknowledged"), handed, count),
            Check::exactly(&format!("{room}: received"), account.received.len(), count),
            Check::zero(&format!("{room}: duplicates"), account.duplicates),
            Check::zero(&format!("{room}: out of order"), account.disorder),
            Check::zero(&format!("{room}: gaps"), account.silent_gaps + account.told),
            Check::figure(&format!("{room}: each second"), (count as f64 / took.as_secs_f64()) as usize),
        ]);
    }
    checks
}

/// A node with many sessions is killed, and its clients go on at another one.
pub(crate) async fn killed(pace: Pace) -> Vec<Check> {
    let mut scene = Scene::of(RedisServer::start().await, 3).await;
    let clients = if pace.quick { 2_000 } else { 10_000 };
    let publisher = Publisher::start(&scene.nodes[0], "room:kept/busy", "kept", 2, true).await;
    let come = |_| Listener::wire(&scene.nodes[2], "/kept/busy", Memory::default());
    let listeners: Vec<_> = stream::iter(0..clients).map(come).buffer_unordered(AT_A_TIME).collect().await;
    sleep(Duration::from_secs(2)).await;
    let mut node = scene.nodes.pop().unwrap();
    node.kill().await;
    let died = Instant::now();
    let other = format!("ws://{}/kept/busy?resume", scene.nodes[1].address);
    let mut again = tokio::task::JoinSet::new();
    let mut random = Random::new(10);
    for listener in listeners {
        let (other, pause) = (other.clone(), random.millis(0, COME_BACK));
        again.spawn(async move {
            let mut events = listener.events();
            sleep(pause).await;
            let began = Instant::now();
            let next = Listener::try_wire(&other, listener.memory()).await;
            let resumed = next
                .as_ref()
                .is_some_and(|next| next.has(|event| matches!(event, Event::Session { resumed: true })));
            let took = began.elapsed();
            events.retain(|event| !matches!(event, Event::Closed));
            (events, next, resumed, took)
        });
    }
    let forgotten = async {
        scene.nodes[0].knows(2).await;
        died.elapsed()
    };
    let (again, forgotten) = tokio::join!(again.join_all(), forgotten);
    let published = publisher.stop().await;
    sleep(Duration::from_secs(3)).await;
    let resumed =
        again.iter().filter(|(.., resumed, took)| *resumed && *took <= Duration::from_secs(10)).count();
    let (mut duplicates, mut gaps, mut lost, mut told) = (0, 0, 0, 0);
    for (mut events, next, ..) in again {
        let began: Option<u64> = events.iter().find_map(number);
        events.extend(next.iter().flat_map(Listener::events));
        let account = Account::of(&events);
        duplicates += account.duplicates;
        gaps += account.silent_gaps;
        told += account.told;
        // From the first that it has heard.
        let missed = published.acked.iter().filter(|sent| began.is_some_and(|began| **sent >= began));
        lost += missed.filter(|sent| !account.received.contains(&published.text(**sent))).count();
    }
    vec![
        Check::figure("sessions", clients),
        Check::within("forgotten by others", Some(forgotten), Duration::from_secs(10)),
        Check::at_least("resumed within 10 s", resumed, clients * 99 / 100).of_time(),
        Check::zero("lost of acknowledged", lost),
        Check::zero("duplicates", duplicates),
        Check::zero("silent gaps", gaps),
        Check::figure("told of what is missing", told),
    ]
}

fn number(event: &Event) -> Option<u64> {
    match event {
        Event::Text { text, place: Some(_), .. } => crate::listener::numbered(text).map(|(_, number)| number),
        _ => None,
    }
}

/// A node does nothing for 15 s, and then goes on as if nothing had happened.
pub(crate) async fn frozen(_: Pace) -> Vec<Check> {
    let scene = Scene::of(RedisServer::start().await, 2).await;
    let stays = Listener::wire(&scene.nodes[1], "/kept/busy", Memory::default()).await;
    let goes = Listener::wire(&scene.nodes[1], "/kept/busy", Memory::default()).await;
    let publisher = Publisher::start(&scene.nodes[0], "room:kept/busy", "kept", 12, true).await;
    sleep(Duration::from_secs(2)).await;
    let before = goes.memory();
    let mut heard = goes.events();
    scene.nodes[1].signal("STOP").await;
    let began = Instant::now();
    scene.nodes[0].knows(1).await;
    let dead = began.elapsed();
    let moved = Listener::wire(&scene.nodes[0], "/kept/busy", before).await;
    let resumed = moved.has(|event| matches!(event, Event::Session { resumed: true }));
    sleep(Duration::from_secs(15).saturating_sub(began.elapsed())).await;
    scene.nodes[1].signal("CONT").await;
    let awake = Instant::now();
    scene.nodes[0].knows(2).await;
    let known = awake.elapsed();
    goes.until("its end", |events| matches!(events.last(), Some(Event::Closed))).await;
    let closed = awake.elapsed();
    let stale =
        goes.events().iter().filter(|event| matches!(event, Event::Text { at, .. } if *at > awake)).count();
    sleep(Duration::from_secs(3)).await;
    let published = publisher.stop().await;
    stays.settled(Duration::from_secs(2)).await;
    heard.extend(moved.events());
    let (stays, moved) = (Account::of(&stays.events()), Account::of(&heard));
    vec![
        Check::within("taken for dead", Some(dead), Duration::from_secs(10)),
        Check::within("known again after it wakes", Some(known), Duration::from_secs(6)),
        Check::exactly("its session is resumed elsewhere", resumed.into(), 1),
        Check::within("the old one is closed", Some(closed), PATIENCE),
        Check::zero("messages to the old one after it wakes", stale),
        Check::zero("moved: lost of acknowledged", published.lost(&moved.received)),
        Check::zero("moved: duplicates and gaps", moved.duplicates + moved.silent_gaps),
        Check::zero("stayed: lost of acknowledged", published.lost(&stays.received)),
        Check::zero("stayed: duplicates and gaps", stays.duplicates + stays.silent_gaps),
        Check::figure("told of what is missing", format!("{} {}", moved.told, stays.told)),
    ]
}

/// A node is told to stop, and its clients go on elsewhere as soon as it lets them go.
pub(crate) async fn drained(pace: Pace) -> Vec<Check> {
    let mut scene = Scene::of(RedisServer::start().await, 2).await;
    let clients = if pace.quick { 100 } else { 1_000 };
    let come = |_| Listener::wire(&scene.nodes[1], "/kept/busy", Memory::default());
    let listeners: Vec<_> = stream::iter(0..clients).map(come).buffer_unordered(AT_A_TIME).collect().await;
    let publisher = Publisher::start(&scene.nodes[0], "room:kept/busy", "kept", 20, true).await;
    sleep(Duration::from_secs(2)).await;
    let mut node = scene.nodes.pop().unwrap();
    let other = &scene.nodes[0];
    let go_on = stream::iter(listeners).map(async |listener| {
        listener.until("its end", |events| matches!(events.last(), Some(Event::Closed))).await;
        let next = Listener::wire(other, "/kept/busy", listener.memory()).await;
        (listener.events(), next)
    });
    let began = Instant::now();
    let stop = async {
        node.shut_down().await;
        let (took, ended) = (began.elapsed(), Instant::now());
        other.knows(1).await;
        (took, ended.elapsed())
    };
    let go_on = go_on.buffer_unordered(clients).collect::<Vec<_>>();
    let ((took, forgotten), again) = tokio::join!(stop, go_on);
    sleep(Duration::from_secs(1)).await;
    let published = publisher.stop().await;
    sleep(Duration::from_secs(2)).await;
    let (mut lost, mut wrong, mut told, mut resumed) = (0, 0, 0, 0);
    for (mut events, next) in again {
        resumed += usize::from(next.has(|event| matches!(event, Event::Session { resumed: true })));
        events.extend(next.events());
        let account = Account::of(&events);
        lost += published.lost(&account.received);
        wrong += account.duplicates + account.silent_gaps + account.disorder;
        told += account.told;
    }
    vec![
        Check::figure("it has stopped after, s", format!("{:.2}", took.as_secs_f64())),
        Check::within("forgotten once it has ended", Some(forgotten), Duration::from_millis(500)),
        Check::exactly("sessions resumed", resumed, clients),
        Check::zero("lost of acknowledged", lost),
        Check::zero("duplicates and gaps", wrong),
        Check::zero("told of what is missing", told),
    ]
}

/// Two nodes are asked for the same session at once.
pub(crate) async fn two_takers(pace: Pace) -> Vec<Check> {
    let scene = Scene::of(RedisServer::start().await, 2).await;
    let tries = if pace.quick { 1_000 } else { 10_000 };
    let attempt = async |_| {
        let memory = Listener::wire(&scene.nodes[0], "/kept/own", Memory::default()).await.memory();
        let (one, other) = tokio::join!(
            Listener::wire(&scene.nodes[0], "/kept/own", memory.clone()),
            Listener::wire(&scene.nodes[1], "/kept/own", memory.clone()),
        );
        let has_it = |it: &&Listener| it.has(|event| matches!(event, Event::Session { resumed: true }));
        [one, other].iter().filter(has_it).count()
    };
    let owners: Vec<_> = stream::iter(0..tries).map(attempt).buffer_unordered(AT_A_TIME).collect().await;
    let so_many = |count| owners.iter().filter(|owners| **owners == count).count();
    vec![
        Check::figure("tries", tries),
        Check::zero("two owners", so_many(2)),
        Check::zero("no owner", so_many(0)),
    ]
}

/// A session ends while something for it is on its way.
pub(crate) async fn ends_meanwhile(pace: Pace) -> Vec<Check> {
    let scene = Scene::of(RedisServer::start().await, 2).await;
    let tries = if pace.quick { 50 } else { 500 };
    let (mut delivered, mut gone, mut unknown) = (0, 0, 0);
    for number in 0..tries {
        let listener = Listener::plain(&scene.nodes[1], "/plain/short").await;
        let id = listener.events().iter().find_map(|event| match event {
            Event::Text { text, .. } => text.split(' ').nth(1).map(ToOwned::to_owned),
            _ => None,
        });
        let command = format!("member-send {} late", id.unwrap());
        let end = async {
            sleep(Duration::from_micros(number * 7 % 1500)).await;
            drop(listener);
        };
        let (told, ()) = tokio::join!(scene.nodes[0].ask(&command), end);
        match told["outcome"].as_str() {
            Some("Delivered") => delivered += 1,
            Some("Gone") => gone += 1,
            _ => unknown += 1,
        }
    }
    vec![
        Check::figure("delivered, gone", format!("{delivered}, {gone}")),
        Check::zero("unknown outcomes", unknown),
    ]
}
