use super::*;

fn text(text: &'static str) -> Outgoing {
    Outgoing { frame: Frame::Text(Bytes::from_static(text.as_bytes())), done: None }
}

fn drain(outbox: &Outbox) -> Vec<String> {
    let mut all = Vec::new();
    outbox.take(usize::MAX, |outgoing| {
        all.push(String::from_utf8(outgoing.frame.payload().to_vec()).unwrap());
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
