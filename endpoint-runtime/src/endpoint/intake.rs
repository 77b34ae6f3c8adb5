//! [`Intake`]: which messages an endpoint's methods take, in which form, and how large; known at compile time but for what decoders make.

use crate::message::{Kind, Made};

/// The most `Decoded<T>` methods of one endpoint.
const MAX_DECODED: usize = 16;

/// What the `#[on_message]` methods of an endpoint take.
#[derive(Clone, Copy, Debug)]
pub struct Intake {
    pub(crate) text: Form,
    pub(crate) binary: Form,
    /// `max_size` of the method that takes text, or binary messages.
    pub(crate) max_text: Option<usize>,
    pub(crate) max_binary: Option<usize>,
    /// Whether a method takes text, or binary messages as they come, not what a decoder makes of them.
    pub(crate) takes_text: bool,
    pub(crate) takes_binary: bool,
    /// Whether pings are shown to a method.
    pub(crate) pings: bool,
    /// Whether a method takes pongs.
    pub(crate) pongs: bool,
    decoded: [Option<(Made, Option<usize>)>; MAX_DECODED],
}

/// In which form messages of one kind are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Whole; nobody may take them.
    Whole,
    /// In parts, as they arrive.
    Parts,
    /// As a stream.
    Stream,
}

impl Intake {
    /// No method takes anything.
    pub const NONE: Self = Intake {
        text: Form::Whole,
        binary: Form::Whole,
        max_text: None,
        max_binary: None,
        takes_text: false,
        takes_binary: false,
        pings: false,
        pongs: false,
        decoded: [None; MAX_DECODED],
    };

    /// And a method whose parameters are of these kinds; the one that is the message says what it takes. `max_size`: the largest
    /// message it takes, bytes, if it says so.
    #[must_use]
    #[track_caller]
    pub const fn method(mut self, kinds: &[Option<Kind>], max_size: Option<usize>) -> Self {
        let Some(kind) = message_of(kinds) else { return self };
        if max_size.is_some() {
            assert!(
                matches!(kind, Kind::Text | Kind::Binary | Kind::Any | Kind::Decoded(_)),
                "`max_size` is for whole messages: a fragment, a stream, a ping or a pong has no such limit"
            );
        }
        if kind.takes_text() {
            self.takes_text = true;
            self.text = Form::of(kind);
            self.max_text = max_size;
        }
        if kind.takes_binary() {
            self.takes_binary = true;
            self.binary = Form::of(kind);
            self.max_binary = max_size;
        }
        self.pings |= matches!(kind, Kind::Ping);
        self.pongs |= matches!(kind, Kind::Pong);
        if let Kind::Decoded(made) = kind {
            let mut index = 0;
            while self.decoded[index].is_some() {
                index += 1;
                assert!(index < MAX_DECODED, "too many `Decoded<T>` methods: an endpoint has 16 at most");
            }
            self.decoded[index] = Some((made, max_size));
        }
        self
    }

    /// What methods take of what decoders make, and the largest message for it.
    pub(crate) fn decoded(&self) -> impl Iterator<Item = (Made, Option<usize>)> {
        self.decoded.iter().flatten().copied()
    }
}

impl Form {
    pub(crate) const fn of(kind: Kind) -> Self {
        match kind {
            Kind::TextFragment | Kind::BinaryFragment => Form::Parts,
            Kind::TextStream | Kind::BinaryStream => Form::Stream,
            _ => Form::Whole,
        }
    }
}

/// The kind of the message among the kinds of a method's parameters.
pub(crate) const fn message_of(kinds: &[Option<Kind>]) -> Option<Kind> {
    let mut index = 0;
    while index < kinds.len() {
        if kinds[index].is_some() {
            return kinds[index];
        }
        index += 1;
    }
    None
}

impl Default for Intake {
    fn default() -> Self {
        Self::NONE
    }
}
