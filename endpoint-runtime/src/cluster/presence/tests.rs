use std::collections::{HashMap, HashSet};

use tokio::task::JoinHandle;
use tokio::time::{advance, sleep};

use super::*;
use crate::cluster::envelope::Envelope;
use crate::cluster::{Arrival, Local, Put, Receiver};

/// What all nodes of a test know: which of them are dead.
type Graves = Arc<Mutex<HashSet<NodeId>>>;

struct Around {
    graves: Graves,
    users: Arc<Mutex<HashMap<SessionId, String>>>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Surroundings for Around {
    fn has_presence(&self, room: &str) -> bool {
        room != "dark"
    }

    fn user(&self, session: SessionId) -> Option<String> {
        lock(&self.users).get(&session).cloned()
    }

    fn standing(&self, node: NodeId) -> Standing {
        if lock(&self.graves).contains(&node) { Standing::Gone(Departure::Silence) } else { Standing::Alive }
    }

    fn tell(&self, event: ApplicationEvent) {
        let name = |member: PresentMember| member.user.unwrap_or_else(|| member.id.serial().to_string());
        lock(&self.told).push(match event {
            ApplicationEvent::Entered { room, member } => format!("{room} +{}", name(member)),
            ApplicationEvent::Left { room, member } => format!("{room} -{}", name(member)),
            ApplicationEvent::Crowded { room, entered, left } => {
                format!("{room} {entered} more, {left} fewer")
            }
            other => panic!("{other:?}"),
        });
    }
}

/// Brings what arrives to presence.
struct Ear(Arc<Presences>);

impl Receiver for Ear {
    fn receive(&self, arrival: Arrival) {
        let envelope = Envelope::decode(arrival.message).unwrap();
        let Channel::Room(room) = arrival.channel else { panic!() };
        assert!(self.0.arrived(&room, envelope.origin, &envelope.payload));
    }

    fn lost(&self, _: &EngineError) {}

    fn back(&self) {}

    fn missed(&self, _: &[Channel]) {}
}

struct Hall {
    engine: Arc<Local>,
    presences: Arc<Presences>,
    id: NodeId,
    told: Arc<Mutex<Vec<String>>>,
    users: Arc<Mutex<HashMap<SessionId, String>>>,
    work: JoinHandle<()>,
}

impl Hall {
    async fn start(hub: &Local, id: u64, graves: &Graves) -> Self {
        let engine = Arc::new(hub.clone());
        let (told, users) = (Arc::default(), Arc::default());
        let around =
            Around { graves: Arc::clone(graves), users: Arc::clone(&users), told: Arc::clone(&told) };
        let id = NodeId::new(id);
        let presences = Arc::new(Presences::new(Arc::clone(&engine) as Arc<dyn Engine>, id, around));
        engine.start(Arc::new(Ear(Arc::clone(&presences)))).await.unwrap();
        engine.subscribe(&[Channel::room("blue")]).await.unwrap();
        let worker = Arc::clone(&presences);
        let work = tokio::spawn(async move { worker.work().await });
        Hall { engine, presences, id, told, users, work }
    }

    fn id(&self, serial: u64) -> SessionId {
        SessionId::new(self.id.get(), serial)
    }

    fn joins(&self, serial: u64) {
        self.presences.joined("blue", self.id(serial));
    }

    fn leaves(&self, serial: u64, how: Leaving) {
        self.presences.left("blue", self.id(serial), how);
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.told))
    }

    async fn all(&self) -> Vec<(NodeId, u64)> {
        let page = self.presences.present("blue", None, 1000).await.unwrap();
        assert_eq!((page.count, page.next), (page.members.len() as u64, None));
        page.members.iter().map(|member| (NodeId::new(member.id.node()), member.id.serial())).collect()
    }

    /// As a process that is killed.
    async fn die(&self, graves: &Graves) {
        self.work.abort();
        self.engine.stop().await.unwrap();
        lock(graves).insert(self.id);
    }
}

async fn two() -> (Hall, Hall, Graves) {
    let (hub, graves) = (Local::new(), Graves::default());
    (Hall::start(&hub, 1, &graves).await, Hall::start(&hub, 2, &graves).await, graves)
}

async fn a_moment() {
    sleep(Duration::from_millis(600)).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_where_is_known_everywhere() {
    let (a, b, _) = two().await;
    lock(&a.users).insert(a.id(1), "bo".to_owned());
    a.joins(1);
    b.joins(1);
    a.presences.joined("dark", a.id(1));
    a_moment().await;
    for hall in [&a, &b] {
        assert_eq!(hall.all().await, [(a.id, 1), (b.id, 1)]);
        let mut told = hall.told();
        told.sort();
        assert_eq!(told, ["blue +1", "blue +bo"]);
    }
    let page = b.presences.present("blue", None, 1).await.unwrap();
    assert_eq!(page.members, [PresentMember::new(a.id(1), Some("bo".to_owned()))]);
    assert_eq!((page.count, page.next), (2, Some(a.id(1))));
    assert_eq!(a.presences.present("dark", None, 10).await.unwrap(), Presence::default());
    a.leaves(1, Leaving::Left);
    a_moment().await;
    assert_eq!(b.told(), ["blue -bo"]);
    assert_eq!(b.all().await, [(b.id, 1)]);
}

#[tokio::test(start_paused = true)]
async fn records_live_as_long_as_their_node() {
    let (a, b, _) = two().await;
    a.joins(1);
    sleep(Duration::from_secs(600)).await;
    assert_eq!(b.all().await, [(a.id, 1)]);
    a.work.abort();
    sleep(TTL + Duration::from_secs(1)).await;
    assert_eq!(b.all().await, []);
}

#[tokio::test(start_paused = true)]
async fn the_members_of_a_dead_node_are_gone_at_once_and_told_once() {
    let (hub, graves) = (Local::new(), Graves::default());
    let mut halls = Vec::new();
    for id in 1..=4 {
        halls.push(Hall::start(&hub, id, &graves).await);
    }
    for hall in &halls {
        (1..=3).for_each(|serial| hall.joins(serial));
    }
    sleep(Duration::from_secs(2)).await;
    assert_eq!(halls[0].all().await.len(), 12);
    halls.iter().for_each(|hall| drop(hall.told()));
    halls[1].die(&graves).await;
    // Before anybody has cleared up.
    let page = halls[0].presences.present("blue", None, 5).await.unwrap();
    let serials: Vec<_> = page.members.iter().map(|member| (member.id.node(), member.id.serial())).collect();
    assert_eq!(serials, [(1, 1), (1, 2), (1, 3), (3, 1), (3, 2)]);
    for at in [0, 2, 3] {
        halls[at].presences.gone(NodeId::new(2), Departure::Silence);
    }
    sleep(Duration::from_millis(100)).await;
    let left = hub_count(&halls[0], "blue").await;
    assert_eq!(left, 9);
    assert_eq!(halls[0].engine.present(&Channel::Node(NodeId::new(2)), None, 10).await.unwrap().count, 0);
    for at in [0, 2, 3] {
        assert_eq!(halls[at].told(), ["blue -1", "blue -2", "blue -3"], "{at}");
    }
}

/// What the engine has, whoever lives.
async fn hub_count(hall: &Hall, room: &str) -> u64 {
    hall.engine.present(&Channel::room(room), None, 1).await.unwrap().count
}

#[tokio::test(start_paused = true)]
async fn a_reaper_that_dies_has_a_successor() {
    let (hub, graves) = (Local::new(), Graves::default());
    let a = Hall::start(&hub, 1, &graves).await;
    let b = Hall::start(&hub, 2, &graves).await;
    b.joins(1);
    a_moment().await;
    b.die(&graves).await;
    // Another has begun, and gone no further.
    let lock = format!("reaper:{}", b.id);
    let locked = a.engine.put(&lock, Bytes::new(), Duration::from_secs(30), Put::New).await;
    assert!(locked.unwrap());
    a.presences.gone(b.id, Departure::Silence);
    sleep(Duration::from_secs(20)).await;
    assert_eq!((hub_count(&a, "blue").await, a.all().await), (1, vec![]));
    sleep(Duration::from_secs(20)).await;
    assert_eq!(hub_count(&a, "blue").await, 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_thought_dead_notes_its_members_again() {
    let (a, b, graves) = two().await;
    b.joins(1);
    a_moment().await;
    lock(&graves).insert(b.id);
    a.presences.gone(b.id, Departure::Silence);
    a_moment().await;
    assert_eq!(a.all().await, []);
    lock(&graves).clear();
    b.presences.away();
    a_moment().await;
    assert_eq!(a.all().await, [(b.id, 1)]);
    // Somebody has to find it if it really dies.
    assert_eq!(a.engine.present(&Channel::Node(b.id), None, 10).await.unwrap().count, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_that_does_not_come_back_leaves_after_a_while() {
    let (a, b, _) = two().await;
    a.joins(1);
    a_moment().await;
    b.told();
    a.leaves(1, Leaving::Lost);
    sleep(Duration::from_secs(14)).await;
    assert_eq!((b.told(), b.all().await), (vec![], vec![(a.id, 1)]));
    sleep(Duration::from_secs(2)).await;
    assert_eq!((b.told(), b.all().await), (vec!["blue -1".to_owned()], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_resumed_elsewhere_neither_leaves_nor_enters() {
    let (a, b, _) = two().await;
    a.joins(1);
    b.joins(9);
    a_moment().await;
    drop((a.told(), b.told()));
    a.leaves(1, Leaving::Lost);
    sleep(Duration::from_secs(5)).await;
    b.presences.resumed(a.id(1), b.id(2));
    b.joins(2);
    a_moment().await;
    assert_eq!(a.all().await, [(b.id, 2), (b.id, 9)]);
    sleep(Duration::from_secs(60)).await;
    assert_eq!((a.told(), b.told()), (vec![], vec![]));
    assert_eq!(b.all().await, [(b.id, 2), (b.id, 9)]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_resumed_after_its_node_was_cleared_up_enters_anew() {
    let (a, b, graves) = two().await;
    a.joins(1);
    b.joins(9);
    a_moment().await;
    a.die(&graves).await;
    b.presences.gone(a.id, Departure::Silence);
    a_moment().await;
    b.told();
    b.presences.resumed(a.id(1), b.id(2));
    b.joins(2);
    a_moment().await;
    assert_eq!(b.told(), ["blue +2"]);
}

#[tokio::test(start_paused = true)]
async fn who_may_be_resumed_stays_for_a_while_after_a_goodbye() {
    let (a, b, graves) = two().await;
    a.joins(1);
    a.joins(2);
    a_moment().await;
    a.leaves(1, Leaving::Lost);
    a.leaves(2, Leaving::Left);
    a.presences.settle().await;
    a.work.abort();
    b.presences.gone(a.id, Departure::Goodbye);
    sleep(Duration::from_secs(14)).await;
    assert_eq!(b.all().await, [(a.id, 1)]);
    lock(&graves).insert(a.id);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(hub_count(&b, "blue").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_is_told_in_few_words_and_shown_by_the_page() {
    let (a, b, graves) = two().await;
    let crowd = 100_000;
    (1..=crowd).for_each(|serial| a.joins(serial));
    sleep(Duration::from_secs(5)).await;
    for hall in [&a, &b] {
        let told = hall.told();
        assert_eq!(told.len(), 51);
        assert_eq!(told[50], format!("blue {} more, 0 fewer", crowd - 50));
    }
    let (mut after, mut seen, mut pages) = (None, 0, 0);
    loop {
        let page = b.presences.present("blue", after, 1000).await.unwrap();
        assert_eq!(page.count, crowd);
        seen += page.members.len() as u64;
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((seen, pages), (crowd, 100));
    // Whoever is there hears of it when the others are gone.
    b.joins(1);
    a_moment().await;
    assert_eq!(b.told(), ["blue +1"]);
    a.die(&graves).await;
    b.presences.gone(a.id, Departure::Silence);
    sleep(Duration::from_secs(1)).await;
    assert_eq!((b.all().await, hub_count(&b, "blue").await), (vec![(b.id, 1)], 1));
    assert_eq!(b.told().len(), 51);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_taken_back_is_taken_back_later() {
    let (a, b, _) = two().await;
    a.joins(1);
    a.joins(2);
    a_moment().await;
    lock(&a.presences.failed).add(
        Instant::now(),
        Channel::room("blue"),
        vec![a.id(1).to_string(), a.id(2).to_string()],
    );
    // One is there again, which it was not when it failed.
    a.leaves(2, Leaving::Lost);
    a.presences.away();
    a_moment().await;
    assert_eq!(b.all().await, [(a.id, 1)]);
    advance(Duration::from_secs(1)).await;
}
