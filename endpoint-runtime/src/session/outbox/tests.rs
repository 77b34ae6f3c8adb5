use bytes::Bytes;

use super::frame::OVERHEAD;
use super::*;
use crate::message::Message;

fn text(text: &'static str) -> Outgoing {
    Outgoing { frame: Frame::Text(Bytes::from_static(text.as_bytes())), done: None }
}

fn drain(outbox: &Outbox) -> Vec<String> {
    let mut all = Vec::new();
    let text = |payload: &[u8]| String::from_utf8(payload.to_vec()).unwrap();
    outbox.take(usize::MAX, |queued| match queued {
        Queued::One(outgoing) => all.push(text(outgoing.frame.payload())),
        Queued::Run(run) => all.extend(run.messages().iter().map(|message| text(message.payload()))),
    });
    all
}

/// Room for two messages of up to four bytes.
const LIMIT: usize = 2 * (4 + OVERHEAD);

#[test]
fn over_the_limit_the_policy_decides() {
    let cases: [(Overflow, bool, &[&str], u64, bool); 4] = [
        (Overflow::Disconnect, false, &[], 2, true),
        (Overflow::Wait, false, &["a", "b"], 1, false),
        (Overflow::DropNewest, false, &["a", "b"], 1, false),
        (Overflow::DropOldest, true, &["b", "ccc"], 1, false),
    ];
    for (overflow, accepted, left, dropped, closed) in cases {
        let outbox = Outbox::default();
        outbox.push(text("a"), LIMIT, overflow).unwrap();
        outbox.push(text("b"), LIMIT, overflow).unwrap();
        assert_eq!(outbox.push(text("ccc"), LIMIT, overflow).is_ok(), accepted, "{overflow:?}");
        assert_eq!(outbox.closed().is_some(), closed, "{overflow:?}");
        assert_eq!(drain(&outbox), left, "{overflow:?}");
        assert_eq!(outbox.dropped(), dropped, "{overflow:?}");
    }
}

#[test]
fn a_message_larger_than_the_limit_goes_alone() {
    let outbox = Outbox::default();
    outbox.try_push(text("a very long message"), 10).unwrap();
    let (back, refused) = outbox.try_push(text("x"), 10).unwrap_err();
    assert!(matches!(refused, Refused::Full));
    assert_eq!(back.frame.into_message(), Message::Text("x".into()));
    assert_eq!(drain(&outbox), ["a very long message"]);
}

#[test]
fn what_was_queued_before_the_close_still_goes() {
    let outbox = Outbox::default();
    outbox.try_push(text("a"), LIMIT).unwrap();
    assert!(outbox.close(&CloseReason::normal(), false));
    assert!(!outbox.close(&CloseReason::away("again"), false));
    assert!(outbox.try_push(text("b"), LIMIT).is_err());
    let mut seen = 0;
    assert_eq!(outbox.take(usize::MAX, |_| seen += 1), Some(CloseReason::normal()));
    assert_eq!(seen, 1);
}

#[test]
fn a_receipt_learns_of_a_dropped_message() {
    let outbox = Outbox::default();
    let (sender, mut receiver) = oneshot::channel();
    let first = Outgoing { done: Some(sender), ..text("a") };
    outbox.push(first, LIMIT, Overflow::DropOldest).unwrap();
    outbox.push(text("b"), LIMIT, Overflow::DropOldest).unwrap();
    outbox.push(text("c"), LIMIT, Overflow::DropOldest).unwrap();
    assert!(matches!(receiver.try_recv(), Ok(Err(SendError::Full))));
}

// ---- while a message is open

fn part(owner: Owner, text: &'static str, last: bool) -> Part {
    let payload = Bytes::from_static(text.as_bytes());
    Part { owner, kind: DataKind::Text, payload, last, compressed: false }
}

fn push_part(outbox: &Outbox, part: Part) -> Result<(), NotNow> {
    outbox.try_push_part(part, LIMIT, &mut None).map_err(|(_, not_now)| not_now)
}

#[test]
fn whole_messages_stand_behind_an_open_one_and_move_up_in_order() {
    let (outbox, owner) = (Outbox::default(), Owner::writer());
    outbox.try_push(text("0"), 1000).unwrap();
    outbox.try_push_part(part(owner, "a", false), 1000, &mut None).unwrap();
    outbox.try_push(text("1"), 1000).unwrap();
    outbox.push(text("2"), 1000, Overflow::Disconnect).unwrap();
    outbox.push_always(text("3"), 1000);
    outbox.try_push(Outgoing { frame: Frame::Ping(Bytes::from_static(b"ping")), done: None }, 1000).unwrap();
    outbox.try_push_all(&mut vec![text("4"), text("5")], 1000).unwrap();
    assert_eq!(drain(&outbox), ["0", "a", "ping"]);
    assert!(!outbox.has_news() && !outbox.is_clear());
    outbox.try_push_part(part(owner, "b", true), 1000, &mut None).unwrap();
    assert!(outbox.has_news());
    assert_eq!(drain(&outbox), ["b", "1", "2", "3", "4", "5"]);
    assert!(outbox.is_clear());
    assert_eq!(outbox.queued_bytes(), 0);
}

#[test]
fn what_waits_behind_its_message_never_locks_the_owner_out() {
    let (outbox, owner) = (Outbox::default(), Owner::writer());
    push_part(&outbox, part(owner, "a", false)).unwrap();
    assert_eq!(drain(&outbox), ["a"]);
    for number in ["1", "2"] {
        outbox.try_push(text(number), LIMIT).unwrap();
    }
    assert!(matches!(outbox.try_push(text("3"), LIMIT), Err((_, Refused::Full))));
    for piece in ["b", "c"] {
        push_part(&outbox, part(owner, piece, false)).unwrap();
    }
    // What goes before it counts.
    assert!(matches!(push_part(&outbox, part(owner, "d", false)), Err(NotNow::Full)));
    assert_eq!(drain(&outbox), ["b", "c"]);
    push_part(&outbox, part(owner, "d", true)).unwrap();
    assert_eq!(drain(&outbox), ["d", "1", "2"]);
}

#[test]
fn no_fragment_is_ever_dropped_to_make_room() {
    let (outbox, owner) = (Outbox::default(), Owner::writer());
    outbox.push(text("0"), LIMIT, Overflow::DropOldest).unwrap();
    push_part(&outbox, part(owner, "a", false)).unwrap();
    for number in ["1", "2", "3"] {
        outbox.push(text(number), LIMIT, Overflow::DropOldest).unwrap();
    }
    // There was room for one beside the fragment.
    assert_eq!(outbox.dropped(), 3);
    push_part(&outbox, part(owner, "b", true)).unwrap();
    for number in ["4", "5"] {
        outbox.push(text(number), LIMIT, Overflow::DropOldest).unwrap();
    }
    assert_eq!(outbox.dropped(), 5);
    assert_eq!(drain(&outbox), ["a", "b", "5"]);
    assert_eq!(outbox.queued_bytes(), 0);
}

#[test]
fn one_message_is_open_at_a_time() {
    let (outbox, owner, other) = (Outbox::default(), Owner::writer(), Owner::writer());
    assert!(!outbox.is_open_by(owner));
    push_part(&outbox, part(owner, "a", false)).unwrap();
    assert!(outbox.is_open_by(owner) && !outbox.is_open_by(other));
    assert!(matches!(push_part(&outbox, part(other, "x", false)), Err(NotNow::Busy)));
    assert!(outbox.holder().contains("a text message of a writer"), "{}", outbox.holder());
    let binary = Part { kind: DataKind::Binary, ..part(owner, "b", false) };
    assert!(matches!(push_part(&outbox, binary), Err(NotNow::OtherKind(DataKind::Text))));
    // What has one part is a message like any other.
    push_part(&outbox, part(other, "whole", true)).unwrap();
    drain(&outbox);
    push_part(&outbox, part(owner, "b", true)).unwrap();
    assert_eq!(drain(&outbox), ["b", "whole"]);
    push_part(&outbox, part(other, "x", false)).unwrap();
    assert!(matches!(push_part(&outbox, part(owner, "c", false)), Err(NotNow::Busy)));
}

#[tokio::test]
async fn who_stands_in_line_comes_before_who_was_there_already() {
    let (outbox, owner, other) = (Outbox::default(), Owner::writer(), Owner::writer());
    push_part(&outbox, part(owner, "a", false)).unwrap();
    let mut given_up = Box::pin(outbox.turn());
    let mut waiting = Box::pin(outbox.turn());
    assert!(futures_util::poll!(given_up.as_mut()).is_pending());
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    drop(given_up);
    push_part(&outbox, part(owner, "b", true)).unwrap();
    drain(&outbox);
    assert!(matches!(push_part(&outbox, part(owner, "c", false)), Err(NotNow::Busy)));
    let mut turn = Some(waiting.await.unwrap());
    outbox.try_push_part(part(other, "x", false), 1000, &mut turn).unwrap();
    assert!(turn.is_none());
    outbox.close(&CloseReason::normal(), false);
    assert_eq!(outbox.turn().await.unwrap_err(), CloseReason::normal());
}

#[test]
fn a_close_does_not_wait_for_the_end_of_a_message() {
    let (outbox, owner) = (Outbox::default(), Owner::writer());
    outbox.try_push(text("0"), 1000).unwrap();
    outbox.try_push_part(part(owner, "a", false), 1000, &mut None).unwrap();
    let (sender, mut receiver) = oneshot::channel();
    outbox.try_push(Outgoing { done: Some(sender), ..text("1") }, 1000).unwrap();
    outbox.close(&CloseReason::normal(), false);
    assert!(matches!(receiver.try_recv(), Ok(Err(SendError::Closed(_)))));
    assert_eq!(outbox.dropped(), 1);
    assert!(matches!(push_part(&outbox, part(owner, "b", true)), Err(NotNow::Closed(_))));
    let mut seen = 0;
    assert_eq!(outbox.take(usize::MAX, |_| seen += 1), Some(CloseReason::normal()));
    assert_eq!((seen, outbox.queued_bytes()), (2, 0));
}

#[test]
fn replies_are_held_back_when_too_much_stands_behind() {
    let (outbox, owner) = (Outbox::default(), Owner::writer());
    push_part(&outbox, part(owner, "a", false)).unwrap();
    drain(&outbox);
    for number in ["1", "2"] {
        outbox.push_always(text(number), LIMIT);
        assert!(!outbox.is_congested());
    }
    outbox.push_always(text("3"), LIMIT);
    assert!(outbox.is_congested());
    push_part(&outbox, part(owner, "b", true)).unwrap();
    assert!(!outbox.is_congested());
    assert_eq!(drain(&outbox), ["b", "1", "2", "3"]);
}

#[test]
fn a_mark_is_behind_what_was_there_before() {
    let (outbox, owner, elsewhere) = (Outbox::default(), Owner::writer(), Caller::here());
    let mut marks = Vec::new();
    let mut mark = |writing| {
        let (sender, receiver) = oneshot::channel();
        outbox.push_mark(sender, writing).unwrap();
        marks.push(receiver);
    };
    push_part(&outbox, part(owner, "a", false)).unwrap();
    // Who writes the message does not wait for its end, and everybody else does.
    mark(elsewhere);
    let other = std::thread::spawn(Caller::here).join().unwrap();
    mark(other);
    assert_eq!(drain(&outbox), ["a", ""]);
    push_part(&outbox, part(owner, "b", true)).unwrap();
    assert_eq!(drain(&outbox), ["b", ""]);
}

// ---- broadcasts

/// Puts a broadcast into these, behind the one before it.
fn broadcast(outboxes: &[&Outbox], text: &str, before: &mut Option<Arc<Run>>) {
    broadcast_within(1000, outboxes, text, before, Overflow::Disconnect);
}

fn broadcast_within(
    limit: usize,
    outboxes: &[&Outbox],
    text: &str,
    before: &mut Option<Arc<Run>>,
    overflow: Overflow,
) {
    let mut broadcast = Broadcast::new(Arc::new(Shared::new(DataKind::Text, text.as_bytes())), before.take());
    for outbox in outboxes {
        // Whether it is refused is to be seen in what was queued.
        let _ = outbox.push_broadcast(&mut broadcast, limit, overflow, || false);
    }
    *before = Some(broadcast.last());
}

/// What is taken out at once: each is one piece of what is written.
fn pieces(outbox: &Outbox) -> Vec<Queued> {
    let mut all = Vec::new();
    outbox.take(usize::MAX, |queued| all.push(queued));
    all
}

#[test]
fn broadcasts_that_follow_each_other_are_joined_once_for_all() {
    let (one, two) = (Outbox::default(), Outbox::default());
    let mut before = None;
    for text in ["a", "b"] {
        broadcast(&[&one, &two], text, &mut before);
    }
    let [Queued::Run(first)] = &pieces(&one)[..] else { panic!("not one piece") };
    let [Queued::Run(second)] = &pieces(&two)[..] else { panic!("not one piece") };
    assert!(Arc::ptr_eq(first, second));
    assert_eq!(first.encoded()[..], *b"\x81\x01a\x81\x01b");
    assert_eq!((one.queued_bytes(), one.is_clear()), (0, true));
}

#[test]
fn broadcasts_and_messages_stay_in_order() {
    let (outbox, other) = (Outbox::default(), Outbox::default());
    let mut before = None;
    broadcast(&[&outbox, &other], "a", &mut before);
    outbox.try_push(text("1"), 1000).unwrap();
    broadcast(&[&outbox, &other], "b", &mut before);
    outbox.try_push(text("2"), 1000).unwrap();
    assert_eq!(drain(&other), ["a", "b"]);
    assert_eq!(drain(&outbox), ["a", "1", "b", "2"]);
    assert_eq!(outbox.queued_bytes(), 0);
}

#[test]
fn long_broadcasts_are_not_joined() {
    let outbox = Outbox::default();
    let mut before = None;
    for letter in ["a", "b"] {
        let message = Shared::new(DataKind::Binary, letter.repeat(3000).as_bytes());
        let mut broadcast = Broadcast::new(Arc::new(message), before.take());
        outbox.push_broadcast(&mut broadcast, 100_000, Overflow::Disconnect, || false).unwrap();
        before = Some(broadcast.last());
    }
    assert_eq!(pieces(&outbox).len(), 2);
}

/// Messages are counted and dropped one by one, joined or not.
#[test]
fn over_the_limit_the_policy_decides_about_broadcasts() {
    let cases: [(Overflow, &[&str], u64, bool); 4] = [
        (Overflow::Disconnect, &[], 2, true),
        (Overflow::Wait, &["a", "b"], 1, false),
        (Overflow::DropNewest, &["a", "b"], 1, false),
        (Overflow::DropOldest, &["b", "ccc"], 1, false),
    ];
    for (overflow, left, dropped, closed) in cases {
        let outbox = Outbox::default();
        let mut before = None;
        for text in ["a", "b", "ccc"] {
            broadcast_within(LIMIT, &[&outbox], text, &mut before, overflow);
        }
        assert_eq!(outbox.closed().is_some(), closed, "{overflow:?}");
        assert_eq!(drain(&outbox), left, "{overflow:?}");
        assert_eq!((outbox.dropped(), outbox.queued_bytes()), (dropped, 0), "{overflow:?}");
    }
}

#[test]
fn broadcasts_stand_behind_an_open_message() {
    let (outbox, owner) = (Outbox::default(), Owner::writer());
    let mut before = None;
    broadcast(&[&outbox], "0", &mut before);
    outbox.try_push_part(part(owner, "a", false), 1000, &mut None).unwrap();
    assert_eq!(drain(&outbox), ["0", "a"]);
    broadcast(&[&outbox], "1", &mut before);
    outbox.try_push_part(part(owner, "b", true), 1000, &mut None).unwrap();
    assert_eq!(drain(&outbox), ["b", "1"]);
}
