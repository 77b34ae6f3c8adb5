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
    /// message it takes, bytes, if it says so, which only a method for whole messages may.
    #[must_use]
    #[track_caller]
    pub const fn method(mut self, kinds: &[Option<Kind>], max_size: Option<usize>) -> Self {
        let Some(kind) = message_of(kinds) else { return self };
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

/// Whether messages of this kind have a size before the method gets them.
pub(crate) const fn has_size(kind: Kind) -> bool {
    matches!(kind, Kind::Text | Kind::Binary | Kind::Any | Kind::Decoded(_))
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

#[cfg(test)]
mod tests {
    use super::{Form, Intake};
    use crate::__private::{Declared, Handlers};
    use crate::prelude::*;

    #[client_endpoint]
    struct Silent;

    #[handlers]
    impl Silent {
        #[on_open]
        fn open() {}
    }

    #[test]
    fn who_takes_nothing_is_given_whole_messages() {
        let Intake { text, binary, max_text, max_binary, pings, .. } = Silent::INTAKE;
        assert_eq!(
            (text, binary, max_text, max_binary, pings),
            (Form::Whole, Form::Whole, None, None, false)
        );
    }

    const LARGEST: usize = 1 << 10;

    #[client_endpoint]
    struct Mixed;

    #[handlers]
    impl Mixed {
        #[on_message]
        fn part(_part: Fragment<Bytes>) {}

        #[cfg(any())]
        #[on_message(max_size = 7)]
        fn left_out(_text: String) {}

        #[cfg(test)]
        #[on_message(max_size = 2 * LARGEST)]
        async fn text(&self, _session: &Session, _text: &str) {}

        #[on_message]
        fn ping(_ping: Ping) {}
    }

    #[test]
    fn each_method_says_what_it_takes() {
        let Intake { text, binary, max_text, max_binary, pings, .. } = Mixed::INTAKE;
        assert_eq!((text, max_text), (Form::Whole, Some(2048)));
        assert_eq!((binary, max_binary), (Form::Parts, None));
        assert!(pings);
    }

    #[client_endpoint]
    struct Anything;

    #[handlers]
    impl Anything {
        #[on_message(max_size = LARGEST)]
        fn any(_message: Message) {}

        #[on_message]
        fn pong(_pong: Pong) {}
    }

    #[test]
    fn a_method_for_both_has_one_size_for_both() {
        let Intake { text, binary, max_text, max_binary, pings, .. } = Anything::INTAKE;
        assert_eq!((text, binary), (Form::Whole, Form::Whole));
        assert_eq!((max_text, max_binary, pings), (Some(LARGEST), Some(LARGEST), false));
    }

    #[client_endpoint]
    struct Streams;

    #[handlers]
    impl Streams {
        #[on_message]
        fn text(_reader: TextReader) {}

        #[on_message]
        async fn binary(_reader: BinaryReader) {}
    }

    #[test]
    fn streams_are_streams() {
        let Intake { text, binary, .. } = Streams::INTAKE;
        assert_eq!((text, binary), (Form::Stream, Form::Stream));
        assert!(Streams::DECLARATION.is_client());
    }
}
