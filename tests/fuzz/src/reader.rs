//! The reading side of a connection: keeps what the decoder left, appends what arrives, and notes every event.

use crate::wire::{Decoder, Gate, Step};

/// A [`Step`] that owns what it says, or the code of the violation that ended the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Text(String),
    Binary(Vec<u8>),
    TextPart(String, bool),
    BinaryPart(Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Failed(u16),
}

/// What is read from a stream that arrives in these pieces, until it fails.
pub(crate) fn read<'a>(mut decoder: Decoder, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut events = Vec::new();
    let mut unconsumed = Vec::new();
    for piece in pieces {
        unconsumed.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut unconsumed, Gate::Open) {
                Err(violation) => {
                    assert!((1..=123).contains(&violation.reason.len()), "{}", violation.reason);
                    note(&mut events, Event::Failed(violation.code.into()));
                    return events;
                }
                Ok((consumed, Step::Held | Step::Incomplete)) => {
                    assert!(unconsumed.len() - consumed <= 130, "more is left than the beginning of a frame");
                    unconsumed.drain(..consumed);
                    break;
                }
                Ok((consumed, step)) => {
                    let event = owned(step);
                    unconsumed.drain(..consumed);
                    note(&mut events, event);
                }
            }
        }
    }
    events
}

fn owned(step: Step<'_>) -> Event {
    match step {
        Step::Incomplete | Step::Held => unreachable!("not an event"),
        Step::Text(text) => Event::Text(text.into_owned()),
        Step::Binary(bytes) => Event::Binary(bytes.into_owned()),
        Step::TextPart(part, last) => Event::TextPart(part.into_owned(), last),
        Step::BinaryPart(part, last) => Event::BinaryPart(part.to_vec(), last),
        Step::Ping(payload) => Event::Ping(payload.to_vec()),
        Step::Pong(payload) => Event::Pong(payload.to_vec()),
        Step::Close(body) => Event::Close(body.map(|(code, reason)| (code.into(), reason.into_owned()))),
    }
}

/// How many parts a message has depends on how it arrives, what they come to does not: they are put together. Where a stream
/// fails, it also depends how much of the last message was told.
fn note(events: &mut Vec<Event>, event: Event) {
    let unfinished = events
        .iter()
        .rposition(|event| matches!(event, Event::TextPart(_, false) | Event::BinaryPart(_, false)));
    match (unfinished, event) {
        (Some(at), Event::TextPart(part, last)) => match &mut events[at] {
            Event::TextPart(begun, end) => {
                begun.push_str(&part);
                *end = last;
            }
            other => panic!("text in the middle of {other:?}"),
        },
        (Some(at), Event::BinaryPart(part, last)) => match &mut events[at] {
            Event::BinaryPart(begun, end) => {
                begun.extend(part);
                *end = last;
            }
            other => panic!("bytes in the middle of {other:?}"),
        },
        (Some(at), Event::Failed(code)) => {
            events.remove(at);
            events.push(Event::Failed(code));
        }
        (Some(_), event @ (Event::Text(_) | Event::Binary(_))) => {
            panic!("{event:?} in the middle of a message")
        }
        (_, event) => events.push(event),
    }
}
