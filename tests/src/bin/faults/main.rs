//! What befalls a cluster, and what becomes of its messages: nodes are processes (`clustered`), engines are real servers, and between them
//! are cables that are cut.
//!
//! `faults [--only F1,F6] [--quick] [--table FILE]`, in a release build, beside `clustered`. Publishers note what they are told of each
//! message, clients note what they hear, and the rest is set arithmetic. Several faults happen at a time, each to a cluster of its own. A
//! table says what came out and what should have; the exit status is 1 when a goal is missed: one of time three times in a row, by more
//! than the machine itself was late, any other once.
//!
//! `faults roam [--minutes 5] [--clients 20] [--seed N]`: clients roam among nodes while everything happens. It is one of the above, too.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // Whoever looks for faults wants to see what is wrong.

mod clock;
mod engine;
mod lateness;
mod listener;
mod network;
mod node;
mod nodes;
mod publisher;
mod random;
mod roam;
mod scene;
mod slow;
mod storm;

use std::fmt::Write;
use std::panic;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::lateness::Watch;
use crate::scene::Check;

/// How many faults happen at a time.
const SIDE_BY_SIDE: u32 = 5;

/// How often a fault happens until its goals of time are met.
const ATTEMPTS: usize = 3;

/// How much of everything there is.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// Less, for whoever waits.
    pub(crate) quick: bool,
    /// How clients roam.
    pub(crate) roam: roam::Plan,
}

type Run = fn(Pace) -> Pin<Box<dyn Future<Output = Vec<Check>> + Send>>;

#[derive(Clone, Copy)]
enum What {
    /// Something that waits most of the time: beside others.
    Beside(Run),
    /// Something that needs what the machine can do.
    Alone(Run),
    /// Something that takes longer than most, and little of the machine: from the beginning, whatever else there is.
    Throughout(Run),
}

macro_rules! run {
    ($how:ident $function:path) => {
        What::$how(|pace| Box::pin($function(pace)))
    };
}

/// The verdict on a goal that is not met.
const MISSED: &str = "MISSED";

/// What it is called, what it is, and how it is run.
type Fault = (&'static str, &'static str, What);

#[rustfmt::skip]
const FAULTS: &[Fault] = &[
    ("N2", "every call, two nodes", run!(Beside nodes::calls_of_two)),
    ("N5", "every call, five nodes", run!(Beside nodes::calls_of_five)),
    ("M", "a million messages", run!(Alone nodes::million)),
    ("F1", "engine killed, back after 2 s", run!(Beside engine::killed)),
    ("F1n", "the same, NATS", run!(Beside engine::nats_killed)),
    ("F2", "engine down for 30 s", run!(Beside engine::down)),
    ("F3", "engine restarted in order", run!(Beside engine::restarted)),
    ("F4", "engine restarted without its data", run!(Beside engine::forgotten)),
    ("F5", "lagging replica promoted", run!(Beside engine::promoted)),
    ("F6", "subscriber's cable cut for 20 s", run!(Beside network::subscriber_cut)),
    ("F7", "publisher's cable cut for 20 s", run!(Beside network::publisher_cut)),
    ("F8", "one way cut for 20 s", run!(Beside network::one_way)),
    ("F9", "cable flaps for 60 s", run!(Beside network::flapping)),
    ("F9r", "the same, connections reset", run!(Beside network::resetting)),
    ("F10", "node killed", run!(Alone nodes::killed)),
    ("F11", "node frozen for 15 s", run!(Beside nodes::frozen)),
    ("F12", "node stopped in order", run!(Beside nodes::drained)),
    ("F13", "one session resumed twice", run!(Beside nodes::two_takers)),
    ("F14", "session ends meanwhile", run!(Beside nodes::ends_meanwhile)),
    ("F15", "storm of reconnects, 50 missed", run!(Alone storm::storm)),
    ("F16", "100,000 channels of a node", run!(Alone engine::many_channels)),
    ("F17", "slow node", run!(Alone slow::slow)),
    ("F18", "dropped as slow consumer", run!(Beside network::too_slow)),
    ("F19", "history too short", run!(Beside engine::beyond)),
    ("F20", "message too large", run!(Alone engine::too_large)),
    ("F21", "mixed versions", run!(Beside engine::mixed_versions)),
    ("F22", "clock jumps by an hour", run!(Beside clock::jumps)),
    ("F23", "password refused", run!(Beside engine::refused)),
    ("F24", "leader of a stream killed, NATS", run!(Beside engine::leader_killed)),
    ("R", "clients roam among nodes", run!(Throughout roam::roam)),
];

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut only, mut quick, mut file) = (None, false, None);
    let mut roam = roam::Plan { minutes: 5, clients: 20, seed: random::seed() };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--only" => only = arguments.next(),
            "--quick" => quick = true,
            "roam" => only = Some("R".to_owned()),
            "--minutes" => roam.minutes = number(arguments.next()),
            "--clients" => roam.clients = number(arguments.next()) as usize,
            "--seed" => roam.seed = number(arguments.next()),
            "--table" => file = arguments.next(),
            other => {
                eprintln!("what is {other}?");
                return ExitCode::from(64);
            }
        }
    }
    // Where one has panicked is enough to know.
    panic::set_hook(Box::new(|panicked| eprintln!("{panicked}")));
    let pace = Pace { quick, roam };
    let turns = Arc::new(Semaphore::new(SIDE_BY_SIDE as usize));
    let wanted = |name: &str| only.as_ref().is_none_or(|only| only.split(',').any(|one| one == name));
    let mut faults: Vec<_> = FAULTS.iter().filter(|(name, ..)| wanted(name)).collect();
    // Those that need the machine come first, as turns go by who has waited longest.
    faults.sort_by_key(|(.., what)| !matches!(what, What::Alone(_)));
    let begun = |fault: &'static Fault| (fault, begin(fault.0, fault.2, pace, &turns));
    let mut running: Vec<_> = faults.into_iter().map(begun).collect();
    running.sort_by_key(|(fault, _)| FAULTS.iter().position(|other| other.0 == fault.0));
    let mut table = String::new();
    let (mut checked, mut missed) = (0, Vec::new());
    for ((name, about, _), task) in running {
        let checks = task.await.expect("it does not panic");
        checked += checks.len();
        let rows = rows(name, about, &checks);
        missed.extend(rows.lines().filter(|row| row.ends_with(MISSED)).map(str::to_owned));
        print!("{rows}");
        table.push_str(&rows);
    }
    // Nobody looks for them.
    missed.iter().for_each(|row| println!("{row}"));
    let last = format!("{checked} checks, {} missed\n", missed.len());
    print!("{last}");
    table.push_str(&last);
    if let Some(file) = file {
        std::fs::write(&file, &table).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    ExitCode::from(u8::from(!missed.is_empty()))
}

fn number(text: Option<String>) -> u64 {
    text.and_then(|text| text.parse().ok()).expect("a number")
}

/// Has a fault happen when it is its turn. Whether the machine is quiet is not ours to say: where nothing but goals of time are missed,
/// it happens once more.
fn begin(name: &'static str, what: What, pace: Pace, turns: &Arc<Semaphore>) -> JoinHandle<Vec<Check>> {
    let (run, count) = match what {
        What::Beside(run) => (run, 1),
        What::Alone(run) => (run, SIDE_BY_SIDE),
        What::Throughout(run) => (run, 0),
    };
    let turns = Arc::clone(turns);
    tokio::spawn(async move {
        let _turn = turns.acquire_many(count).await.expect("nobody closes it");
        let mut checks = attempt(name, run, pace).await;
        for _ in 1..ATTEMPTS {
            if !are_only_late(&checks) {
                break;
            }
            eprint!("{name}, once more, for it was late:\n{}", rows(name, "", &checks));
            checks = attempt(name, run, pace).await;
        }
        checks
    })
}

/// Whether goals are missed, and of time only.
fn are_only_late(checks: &[Check]) -> bool {
    let is_missed = |check: &&Check| !check.met;
    checks.iter().any(|check| !check.met) && checks.iter().filter(is_missed).all(|check| check.of_time)
}

/// One run of a fault; a panic is a goal that is missed.
async fn attempt(name: &str, run: Run, pace: Pace) -> Vec<Check> {
    let watch = Watch::begin();
    let outcome = tokio::spawn(run(pace)).await;
    let lateness = watch.end();
    match outcome {
        Ok(checks) => {
            let missed = checks.iter().any(|check| !check.met);
            if missed {
                eprintln!("{name}: the machine was late for {lateness}");
            }
            checks.into_iter().map(|check| check.on(lateness)).collect()
        }
        Err(error) => {
            let why = error.into_panic();
            let text =
                why.downcast_ref::<String>().map(String::as_str).or(why.downcast_ref::<&str>().copied());
            vec![Check::holds("it comes to its end", text.unwrap_or("it panicked"), false)]
        }
    }
}

fn rows(name: &str, about: &str, checks: &[Check]) -> String {
    let mut rows = String::new();
    for Check { what, figure, goal, met, .. } in checks {
        let verdict = if *met { "ok" } else { MISSED };
        let _ = writeln!(rows, "{name:<4} {about:<34} {what:<46} {figure:>14}  goal {goal:<10} {verdict}");
    }
    rows
}
