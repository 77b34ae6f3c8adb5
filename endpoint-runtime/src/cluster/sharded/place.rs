//! Which of several engines has a channel: the one with the highest score for its name (rendezvous hashing), so that with one engine more
//! only the channels that go there move. The same in every process and every version: nodes rely on it.

use super::super::Channel;

/// The number of the engine, of so many, that has this channel.
pub(super) fn of_channel(channel: &Channel, engines: usize) -> usize {
    highest(hash_of(channel), engines)
}

/// The number of the engine that keeps this key.
pub(super) fn of_key(key: &str, engines: usize) -> usize {
    highest(hash(b'k', key.as_bytes()), engines)
}

fn hash_of(channel: &Channel) -> u64 {
    match channel {
        Channel::Control => hash(b'c', &[]),
        Channel::All => hash(b'a', &[]),
        Channel::Node(node) => hash(b'n', node.to_string().as_bytes()),
        Channel::Room(name) => hash(b'r', name.as_bytes()),
        Channel::User(name) => hash(b'u', name.as_bytes()),
    }
}

fn highest(hash: u64, engines: usize) -> usize {
    let score = |engine: &usize| mixed(hash ^ mixed(*engine as u64 + 1));
    (0..engines).max_by_key(score).unwrap_or_default()
}

/// FNV-1a, 64 bits.
fn hash(kind: u8, name: &[u8]) -> u64 {
    let bytes = std::iter::once(&kind).chain(name);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Every bit of the number has a say in every bit of the result (the finish of SplitMix64).
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms() -> impl Iterator<Item = Channel> {
        (0..10_000).map(|number| Channel::room(&format!("room {number}")))
    }

    #[test]
    fn every_engine_has_about_as_many() {
        for engines in [1, 2, 3, 8, 16] {
            let mut having = vec![0; engines];
            rooms().for_each(|room| having[of_channel(&room, engines)] += 1);
            let fair = 10_000 / engines;
            assert!(
                having.iter().all(|count| (fair * 8 / 10..=fair * 12 / 10).contains(count)),
                "{having:?}"
            );
        }
    }

    #[test]
    fn with_one_more_only_those_move_that_go_there() {
        let mut moved = 0;
        for room in rooms() {
            match (of_channel(&room, 4), of_channel(&room, 5)) {
                (before, after) if before == after => {}
                (_, after) => {
                    assert_eq!(after, 4);
                    moved += 1;
                }
            }
        }
        assert!((1_600..2_400).contains(&moved), "{moved} of 10,000");
    }

    /// Nodes of another version compute the same.
    #[test]
    fn places_stay_as_they_are() {
        let channels = [
            Channel::All,
            Channel::room("blue"),
            Channel::user("blue"),
            Channel::room(""),
            Channel::room("é"),
        ];
        let places: Vec<_> = channels.iter().map(|channel| of_channel(channel, 7)).collect();
        assert_eq!((places, of_key("blue", 7)), (vec![2, 1, 2, 3, 4], 0));
    }
}
