//! Clients that come back, each time to any of three nodes, while everything that can happen happens: what each receives is what was sent,
//! or it was told where something is missing. Which faults there are and who goes where follows from a seed, which is printed.

mod chronicle;
mod client;
mod house;
mod judge;
mod mail;
mod sender;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::chronicle::Chronicle;
use self::client::{Client, Resumptions};
use self::house::{Fault, House};
use self::judge::Judge;
use self::mail::Verdict;
use self::sender::Letters;
use crate::Pace;
use crate::listener::Place;
use crate::node::PATIENCE;
use crate::random::Random;
use crate::scene::Check;

/// Where clients go: the path, and the room.
const ROOM: &str = "kept/roam";

/// How long after a fault its consequences are no surprise.
const AFTERMATH: Duration = Duration::from_secs(5);

/// Who was away from an engine that has lost all that it had gets nothing of so long before; nobody is away for longer.
const AWAY: Duration = Duration::from_secs(20);

/// How long they roam, and how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) minutes: u64,
    pub(crate) clients: usize,
    pub(crate) seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Roaming,
    /// Nobody leaves any more of his own accord, and the last messages are sent.
    Settling,
    Over,
}

/// What all who take part know.
struct Stage {
    chronicle: Mutex<Chronicle>,
    phase: watch::Sender<Phase>,
    doors: Mutex<Vec<SocketAddr>>,
    /// The session that each client has last had.
    sessions: Mutex<BTreeMap<usize, String>>,
    /// Since when there is trouble, and when the last one ended.
    trouble: Mutex<(Option<Instant>, Option<Instant>)>,
    /// When the engine lost all that it had.
    forgotten: Mutex<Vec<Instant>>,
    log: Mutex<String>,
    began: Instant,
}

impl Stage {
    fn new() -> Self {
        Stage {
            chronicle: Mutex::default(),
            phase: watch::Sender::new(Phase::Roaming),
            doors: Mutex::default(),
            sessions: Mutex::default(),
            trouble: Mutex::default(),
            forgotten: Mutex::default(),
            log: Mutex::default(),
            began: Instant::now(),
        }
    }

    fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    fn phases(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    fn set_doors(&self, doors: Vec<SocketAddr>) {
        *self.doors.lock().unwrap() = doors;
    }

    /// One of the nodes that are thought to live.
    fn door(&self, random: &mut Random) -> SocketAddr {
        *random.one_of(&self.doors.lock().unwrap()).expect("some node lives")
    }

    fn is_at(&self, client: usize, session: String) {
        self.sessions.lock().unwrap().insert(client, session);
    }

    fn where_is(&self, client: usize) -> Option<String> {
        self.sessions.lock().unwrap().get(&client).cloned()
    }

    fn trouble_begins(&self, what: String) {
        let _ = writeln!(self.log.lock().unwrap(), "{:8.2} s: {what}", self.began.elapsed().as_secs_f64());
        self.trouble.lock().unwrap().0 = Some(Instant::now());
    }

    fn trouble_ends(&self) {
        *self.trouble.lock().unwrap() = (None, Some(Instant::now()));
    }

    fn engine_forgets(&self) {
        self.forgotten.lock().unwrap().push(Instant::now());
    }

    /// Whether what was acknowledged then may be lost to some.
    fn may_be_lost(&self, acked: Instant) -> bool {
        // An answer takes a while.
        let until = |at: &Instant| *at + Duration::from_secs(1);
        self.forgotten.lock().unwrap().iter().any(|at| (acked..acked + AWAY).contains(&until(at)))
    }

    /// Whether anything has happened since then, or shortly before.
    fn had_trouble_since(&self, then: Instant) -> bool {
        let (now, ended) = *self.trouble.lock().unwrap();
        now.is_some() || ended.is_some_and(|ended| ended + AFTERMATH > then)
    }
}

pub(crate) async fn roam(pace: Pace) -> Vec<Check> {
    let Plan { minutes, clients, seed } = pace.roam;
    eprintln!("roam: {clients} clients for {minutes} minutes, --seed {seed}");
    let mut random = Random::new(seed);
    let stage = Arc::new(Stage::new());
    let mut house = House::new(Arc::clone(&stage)).await;
    let (mut roaming, mut judges) = (JoinSet::new(), Vec::new());
    for name in 0..clients {
        let (client, judge) = Client::new(name, Arc::clone(&stage), random.fork());
        judges.push(judge);
        roaming.spawn(client.run());
    }
    let (mut publishing, mut writing) = (JoinSet::new(), JoinSet::new());
    for name in ["ada", "bo"] {
        let pause = Duration::from_millis(80);
        publishing.spawn(sender::publishes(name.to_owned(), Arc::clone(&stage), random.fork(), pause));
    }
    for part in 0..4 {
        let mine = (part..clients).step_by(4).collect();
        let pause = Duration::from_millis(100);
        writing.spawn(sender::writes(mine, Arc::clone(&stage), random.fork(), pause));
    }
    let mut faults: BTreeMap<Fault, usize> = BTreeMap::new();
    sleep(Duration::from_secs(2)).await;
    while stage.began.elapsed() < Duration::from_secs(60 * minutes) {
        *faults.entry(house.befall(&mut random).await).or_default() += 1;
        sleep(random.millis(500, 6000)).await;
    }
    house.settle().await;
    stage.phase.send_replace(Phase::Settling);
    let ends = publishing.join_all().await;
    let letters = writing.join_all().await.into_iter().flatten().collect();
    let missing = await_ends(&judges, &ends, &letters).await;
    stage.phase.send_replace(Phase::Over);
    let clients = roaming.join_all().await;
    let result = Result { seed, faults, letters, missing };
    let checks = result.checks(&stage, &clients, &judges);
    if checks.iter().any(|check| !check.met) {
        report(seed, &stage, &judges);
    }
    checks
}

/// Waits until every client has the last messages of all, or for a while, and says how many have not.
async fn await_ends(
    judges: &[Arc<Mutex<Judge>>],
    ends: &[Place],
    letters: &BTreeMap<usize, Letters>,
) -> usize {
    let has_all = |(name, judge): (usize, &Arc<Mutex<Judge>>)| {
        let judge = judge.lock().unwrap();
        ends.iter().all(|end| judge.has(end)) && judge.mail.last() >= letters[&name].last()
    };
    let began = Instant::now();
    loop {
        let missing = judges.len() - judges.iter().enumerate().filter(|client| has_all(*client)).count();
        if missing == 0 || began.elapsed() > PATIENCE {
            return missing;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// What has come of it, beside what the clients know.
struct Result {
    seed: u64,
    faults: BTreeMap<Fault, usize>,
    letters: BTreeMap<usize, Letters>,
    /// Clients that have not received the last messages.
    missing: usize,
}

impl Result {
    fn checks(&self, stage: &Stage, clients: &[Client], judges: &[Arc<Mutex<Judge>>]) -> Vec<Check> {
        let judges: Vec<_> = judges.iter().map(|judge| judge.lock().unwrap()).collect();
        let chronicle = stage.chronicle.lock().unwrap();
        let of_judges = |field: fn(&Judge) -> usize| judges.iter().map(|judge| field(judge)).sum::<usize>();
        let of_clients = |field: fn(&Resumptions) -> usize| {
            clients.iter().map(|client| field(&client.resumptions)).sum::<usize>()
        };
        let private: Vec<Verdict> =
            judges.iter().enumerate().map(|(name, judge)| judge.mail.verdict(&self.letters[&name])).collect();
        let of_private = |field: fn(&Verdict) -> usize| private.iter().map(field).sum::<usize>();
        for (name, verdict) in private.iter().enumerate() {
            if !verdict.silent.is_empty() {
                eprintln!("client {name}: its own {:?} are missing", verdict.silent);
            }
            for number in verdict.wrong() {
                eprintln!("client {name}: its own {number}, {}", self.letters[&name].account(number));
            }
        }
        let delivered: usize = self.letters.values().map(|letters| letters.delivered.len()).sum();
        // Of those that came after its first message.
        let missing = |judge: &Judge| {
            let since = judge.first.map_or_else(Instant::now, |first| first + Duration::from_secs(1));
            let mine = chronicle.acked.iter().filter(move |(at, _)| *at > since);
            mine.filter(|(_, place)| !judge.has(place)).map(|(at, _)| *at).collect::<Vec<_>>()
        };
        let missing: Vec<Instant> = judges.iter().flat_map(|judge| missing(judge)).collect();
        // Whoever comes back with a place of another history is told so, and goes on behind what there is.
        let lost = missing.iter().filter(|at| !stage.may_be_lost(**at)).count();
        let (doubled, misplaced) = chronicle.doubled_and_misplaced();
        vec![
            Check::figure("seed", self.seed),
            Check::figure("faults", self.faults.values().sum::<usize>()),
            Check::figure("connections", of_clients(|of| of.connections)),
            Check::figure("room: acknowledged", chronicle.acked.len()),
            Check::figure("room: histories", chronicle.epochs()),
            Check::figure("room: received by all", of_judges(|judge| judge.received)),
            Check::zero("room: silent gaps", of_judges(|judge| judge.silent_gaps)),
            Check::zero("room: duplicates", of_judges(|judge| judge.duplicates) + doubled),
            Check::zero("room: out of order", of_judges(|judge| judge.disorder) + misplaced),
            Check::zero("room: not what was sent there", chronicle.contradictions),
            Check::zero("room: told missing, in vain", of_judges(|judge| judge.told_in_vain)),
            Check::figure("room: times told so", of_judges(|judge| judge.told)),
            Check::figure("room: too much missed to be told again", of_judges(|judge| judge.too_many)),
            Check::figure("room: told missing, the engine lost them", missing.len() - lost),
            Check::figure("room: told missing, the engine has them", lost),
            Check::zero("clients without the last messages", self.missing),
            Check::figure("private: delivered", delivered),
            Check::zero("private: missing untold", of_private(|of| of.silent.len())),
            Check::figure("private: told missing", of_private(|of| of.told)),
            Check::zero("private: to nobody, and received", of_private(|of| of.ghosts.len())),
            Check::zero("private: duplicates", of_private(|of| of.duplicates)),
            Check::zero("private: out of order", of_private(|of| of.disorder.len())),
            Check::figure("private: overtaken, by way of another node", of_private(|of| of.overtaken.len())),
            Check::zero("private: of others", of_judges(|judge| judge.astray)),
            Check::figure("sessions: resumed", of_clients(|of| of.resumed)),
            Check::figure("sessions: not, for a reason", of_clients(|of| of.excused)),
            Check::zero("sessions: not, without one", of_clients(|of| of.unexplained)),
            Check::figure("sessions: closed for good, resumed in trouble", of_clients(|of| of.revived)),
            Check::zero("sessions: closed for good, resumed", of_clients(|of| of.too_many)),
            Check::zero("sessions: greeted without a place", of_clients(|of| of.without_place)),
        ]
    }
}

/// Says what can be said of what went wrong.
fn report(seed: u64, stage: &Stage, judges: &[Arc<Mutex<Judge>>]) {
    eprintln!("roam: --seed {seed}\n{}", stage.log.lock().unwrap());
    for judge in judges {
        judge.lock().unwrap().remarks().iter().take(20).for_each(|remark| eprintln!("{remark}"));
    }
}
