use proptest::prelude::*;

use super::*;

const NODE: u64 = 7;

fn id(serial: u64) -> SessionId {
    SessionId::new(NODE, serial)
}

/// The one room that something is told of.
fn only(mut news: Vec<News>) -> News {
    assert_eq!(news.len(), 1, "{news:?}");
    news.remove(0)
}

fn news(opened: bool, emptied: bool, entered: &[u64], left: &[(u64, Farewell)]) -> News {
    News {
        room: "blue".into(),
        opened,
        emptied,
        entered: entered.iter().map(|serial| (id(*serial), None)).collect(),
        left: left.iter().map(|(serial, farewell)| gone(*serial, *farewell)).collect(),
    }
}

fn gone(serial: u64, farewell: Farewell) -> Gone {
    Gone { id: id(serial), user: None, farewell }
}

#[test]
fn who_comes_and_goes_is_told_once() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.joined("blue", id(1));
    assert!(book.is_changed());
    assert_eq!(only(book.news(now)), news(true, false, &[1], &[]));
    book.joined("blue", id(1));
    assert_eq!(book.news(now), []);
    book.joined("blue", id(2));
    assert_eq!(only(book.news(now)), news(false, false, &[2], &[]));
    book.left(now, "blue", id(1), Leaving::Left);
    assert_eq!(only(book.news(now)), news(false, false, &[], &[(1, Farewell::Told)]));
    book.left(now, "blue", id(2), Leaving::Left);
    assert_eq!(only(book.news(now)), news(false, true, &[], &[(2, Farewell::Told)]));
    assert!(!book.knows("blue"));
}

#[test]
fn who_comes_and_goes_at_once_was_not_there() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.joined("blue", id(1));
    book.left(now, "blue", id(1), Leaving::Lost);
    assert_eq!(book.news(now), []);
    assert!(!book.knows("blue"));
    book.joined("blue", id(2));
    book.news(now);
    book.left(now, "blue", id(2), Leaving::Left);
    book.joined("blue", id(2));
    assert_eq!(book.news(now), []);
}

#[test]
fn a_lost_session_leaves_when_it_was_not_resumed() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.joined("blue", id(1));
    book.news(now);
    book.left(now, "blue", id(1), Leaving::Lost);
    assert_eq!((book.next(), book.is_changed()), (Some(now + GRACE), false));
    assert_eq!(book.news(now + GRACE / 2), []);
    assert_eq!(only(book.news(now + GRACE)), news(false, true, &[], &[(1, Farewell::Unless)]));
    assert_eq!(book.next(), None);
}

#[test]
fn a_session_that_another_resumes_leaves_without_a_word() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.joined("blue", id(1));
    book.news(now);
    book.left(now, "blue", id(1), Leaving::Lost);
    book.left(now, "blue", id(1), Leaving::Resumed);
    book.resumed(now, id(1), id(2));
    book.joined("blue", id(2));
    let told = only(book.news(now));
    assert_eq!((told.entered, told.left), (vec![(id(2), Some(id(1)))], vec![gone(1, Farewell::Silent)]));
    assert_eq!(book.news(now + GRACE), []);
}

#[test]
fn who_is_away_is_not_noted_again() {
    let (mut book, now) = (Book::default(), Instant::now());
    for serial in [1, 2] {
        book.joined("blue", id(serial));
    }
    book.news(now);
    book.left(now, "blue", id(1), Leaving::Lost);
    assert_eq!(book.here(), [("blue".into(), vec![id(2)])]);
}

#[test]
fn who_has_left_is_told_with_the_name_that_others_know() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.joined("blue", id(1));
    book.news(now);
    book.is_users("blue", id(1), Some("bo"));
    book.left(now, "blue", id(1), Leaving::Left);
    assert_eq!(only(book.news(now)).left[0].user.as_deref(), Some("bo"));
}

#[test]
fn resumptions_are_forgotten() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.resumed(now, id(1), id(2));
    book.news(now + MEMORY);
    book.joined("blue", id(2));
    assert_eq!(only(book.news(now + MEMORY)).entered, [(id(2), None)]);
}

proptest! {
    /// Whatever happens in which order: what was told adds up to who is there, and nobody is told to come or go twice.
    #[test]
    fn what_is_told_adds_up(steps in proptest::collection::vec((0..6u8, 0..3u64, 0..4_000u64), 0..200)) {
        let (mut book, mut now) = (Book::default(), Instant::now());
        let mut there: HashSet<SessionId> = HashSet::new();
        let mut joined: HashSet<SessionId> = HashSet::new();
        let mut open = false;
        let mut tell = |book: &mut Book, now| {
            for news in book.news(now) {
                assert_eq!(news.opened, !open);
                news.left.iter().for_each(|gone| assert!(there.remove(&gone.id)));
                news.entered.iter().for_each(|(id, _)| assert!(there.insert(*id)));
                open = !news.emptied;
                assert_eq!(open, !there.is_empty());
            }
            there.clone()
        };
        for (step, serial, millis) in steps {
            now += Duration::from_millis(millis);
            let how = match step {
                0 | 1 => None,
                2 => Some(Leaving::Left),
                3 | 4 => Some(Leaving::Lost),
                _ => { tell(&mut book, now); continue }
            };
            match how {
                None => { joined.insert(id(serial)); book.joined("blue", id(serial)) }
                Some(how) => if joined.remove(&id(serial)) { book.left(now, "blue", id(serial), how) },
            }
        }
        let there = tell(&mut book, now + 2 * GRACE);
        prop_assert_eq!(&there, &joined);
        prop_assert_eq!(book.count("blue"), joined.len());
        prop_assert_eq!(book.next(), None);
    }
}
