use proptest::prelude::*;

use super::*;

const OWN: NodeId = NodeId::new(1);
const A: NodeId = NodeId::new(0xa);
const B: NodeId = NodeId::new(0xb);

fn said(name: &str, beat: u64) -> Heartbeat {
    Heartbeat { beat, name: name.to_owned(), ..Heartbeat::default() }
}

/// A table, and a clock that starts with it.
struct Watch {
    table: Table,
    start: Instant,
    beats: u64,
}

impl Watch {
    fn new() -> Self {
        let start = Instant::now();
        Watch { table: Table::new(OWN, start), start, beats: 0 }
    }

    fn at(&self, seconds: f64) -> Instant {
        self.start + Duration::from_secs_f64(seconds)
    }

    fn beat(&mut self, seconds: f64, node: NodeId) -> Option<Change> {
        self.beats += 1;
        self.table.beat(self.at(seconds), node, said("n", self.beats), Duration::ZERO)
    }

    /// Looks every second from one time to another, and says who has died when.
    fn look(&mut self, from: u32, to: u32) -> Vec<(u32, NodeId)> {
        let mut dead = Vec::new();
        for second in from..=to {
            let now = self.at(second.into());
            dead.extend(self.table.expire(now).into_iter().map(|change| match change {
                Change::Left { node, how: Departure::Silence, .. } => (second, node),
                other => panic!("{other:?}"),
            }));
        }
        dead
    }

    fn standing(&self, seconds: f64, node: NodeId) -> Standing {
        self.table.standing(self.at(seconds), node)
    }
}

fn joined(node: NodeId) -> Option<Change> {
    Some(Change::Joined { node, name: "n".to_owned() })
}

#[test]
fn a_silent_node_is_dead_within_ten_seconds() {
    let mut watch = Watch::new();
    assert_eq!(watch.beat(0.0, A), joined(A));
    assert_eq!(watch.beat(0.0, B), joined(B));
    assert_eq!(watch.look(1, 3), []);
    assert_eq!(watch.beat(3.0, B), None);
    assert_eq!(watch.look(4, 13), [(10, A), (13, B)]);
    assert_eq!(watch.standing(13.0, A), Standing::Gone(Departure::Silence));
    assert_eq!(watch.table.next_death(), None);
}

#[test]
fn two_lost_beats_are_not_death() {
    let mut watch = Watch::new();
    watch.beat(0.0, A);
    assert_eq!(watch.look(1, 8), []);
    assert_eq!(watch.beat(9.1, A), None);
    assert_eq!(watch.look(9, 18), []);
    assert_eq!(watch.standing(18.0, A), Standing::Alive);
}

#[test]
fn a_goodbye_is_heard_at_once_and_for_good() {
    let mut watch = Watch::new();
    watch.beat(0.0, A);
    let left = Change::Left { node: A, name: "n".to_owned(), how: Departure::Goodbye };
    assert_eq!(watch.table.goodbye(watch.at(0.1), A), Some(left));
    assert_eq!(watch.table.goodbye(watch.at(0.2), A), None);
    assert_eq!(watch.standing(0.2, A), Standing::Gone(Departure::Goodbye));
    // What was still on its way brings it back neither now nor later.
    assert_eq!(watch.beat(0.3, A), None);
    assert_eq!(watch.beat(20.0, A), None);
    assert_eq!(watch.look(21, 31), []);
}

#[test]
fn a_node_that_starts_again_is_another() {
    let mut watch = Watch::new();
    watch.beat(0.0, A);
    assert_eq!(watch.beat(1.0, B), joined(B), "the same name");
    watch.table.goodbye(watch.at(1.5), A);
    assert_eq!(watch.standing(2.0, B), Standing::Alive);
    assert_eq!(watch.table.alive().map(|(node, _)| node).collect::<Vec<_>>(), [B]);
}

#[test]
fn one_that_was_thought_dead_is_back_by_a_newer_beat_only() {
    let mut watch = Watch::new();
    watch.beat(0.0, A);
    let old = said("n", watch.beats);
    assert_eq!(watch.look(1, 10), [(10, A)]);
    assert_eq!(watch.table.beat(watch.at(11.0), A, old, Duration::ZERO), None);
    assert_eq!(watch.beat(12.0, A), joined(A));
    assert_eq!(watch.standing(12.0, A), Standing::Alive);
}

#[test]
fn nobody_dies_while_this_node_is_deaf() {
    let mut watch = Watch::new();
    watch.beat(0.0, A);
    watch.table.deafen();
    assert_eq!(watch.look(1, 60), []);
    assert_eq!(watch.table.next_death(), None);
    watch.table.listen(watch.at(60.0));
    watch.beat(62.0, A);
    assert_eq!(watch.look(61, 71), []);
    // One that does not come back is dead as soon as it could have been heard for long enough.
    assert_eq!(watch.look(72, 73), [(72, A)]);
}

#[test]
fn a_pause_of_this_node_kills_nobody() {
    let mut watch = Watch::new();
    watch.beat(0.0, A);
    watch.look(1, 2);
    // Stopped for a quarter of an hour.
    assert_eq!(watch.look(900, 900), []);
    watch.beat(900.5, A);
    assert_eq!(watch.look(901, 909), []);
}

#[test]
fn a_stranger_is_dead_when_it_would_have_been_heard() {
    let watch = Watch::new();
    assert_eq!(watch.standing(5.0, B), Standing::Unknown);
    assert_eq!(watch.standing(10.0, B), Standing::Gone(Departure::Silence));
    assert_eq!(watch.standing(0.0, OWN), Standing::Alive);
}

#[test]
fn a_beat_that_comes_twice_proves_nothing() {
    let mut watch = Watch::new();
    watch.beat(0.0, A);
    let old = said("n", watch.beats);
    watch.look(1, 4);
    assert_eq!(watch.table.beat(watch.at(5.0), A, old, Duration::ZERO), None);
    assert_eq!(watch.look(5, 10), [(10, A)]);
}

proptest! {
    /// Whatever is heard when: who is alive was heard within the time, who beats is never dead, and each death follows one birth.
    #[test]
    fn the_table_is_right(steps in proptest::collection::vec((0..3u8, 0..8u64, 1..1_000u64), 1..170)) {
        let start = Instant::now();
        let mut now = start;
        let mut table = Table::new(OWN, now);
        let mut heard: HashMap<u64, Instant> = HashMap::new();
        let mut departed: Vec<u64> = Vec::new();
        let (mut born, mut died) = (0, 0);
        for (beat, (step, node, millis)) in steps.into_iter().enumerate() {
            now += Duration::from_millis(millis);
            let dead = table.expire(now);
            died += dead.len();
            for change in dead {
                let Change::Left { node, .. } = change else { panic!("{change:?}") };
                let silent = now - heard.remove(&node.get()).unwrap();
                prop_assert!(silent >= DEAD_AFTER && silent < DEAD_AFTER + Duration::from_secs(2));
            }
            let id = node + 2;
            match step {
                0 if node == 7 => {
                    died += usize::from(table.goodbye(now, NodeId::new(id)).is_some());
                    heard.remove(&id);
                    departed.push(id);
                }
                _ => {
                    let change = table.beat(now, NodeId::new(id), said("n", beat as u64 + 1), Duration::ZERO);
                    if departed.contains(&id) {
                        prop_assert_eq!(change, None);
                    } else {
                        let new = heard.insert(id, now).is_none();
                        prop_assert_eq!(change.is_some(), new);
                        born += usize::from(new);
                    }
                }
            }
            prop_assert_eq!(born - died, table.alive().count());
            prop_assert!(table.next_death().is_none_or(|death| death > now));
        }
    }
}
