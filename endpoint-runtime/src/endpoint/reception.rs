//! [`Reception`]: who takes the messages of an endpoint, and in which form they are received for it.
//!
//! What the methods take ([`Intake`]) and what the decoders make ([`Coders`]) is known when the endpoint is deployed, and is checked then.
//! Message handlers that a session adds while it lives may change it for that session: [`Line`] serves both.

use super::coder::ListedDecoder;
use super::{Coders, Form, Intake};
use crate::message::{Kind, Made};

/// What is received by opcode: each kind has one taker at most, but for decoders, whose values may go to several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Native {
    Text,
    Binary,
}

/// Who takes the messages of an endpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reception {
    intake: Intake,
    coders: Coders,
    text: Line,
    binary: Line,
}

/// How messages of one kind are received, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) taker: Taker,
    pub(crate) form: Form,
    pub(crate) max_size: MaxSize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taker {
    Nobody,
    /// A method, or a handler of the session.
    Plain,
    /// The decoders, whose values go on to methods or handlers.
    Decoders,
}

/// The largest message that somebody takes, of those who say it, and of those for whom the endpoint's own limit holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MaxSize {
    said: Option<usize>,
    unsaid: bool,
}

impl MaxSize {
    fn of(max: Option<usize>) -> Self {
        MaxSize { said: max, unsaid: max.is_none() }
    }

    fn or(self, other: Self) -> Self {
        MaxSize { said: self.said.max(other.said), unsaid: self.unsaid || other.unsaid }
    }

    /// In bytes, where the endpoint's own limit is `default`.
    pub(crate) fn bytes(self, default: usize) -> usize {
        match self.said {
            Some(said) if self.unsaid => said.max(default),
            Some(said) => said,
            None => default,
        }
    }
}

impl Default for Line {
    fn default() -> Self {
        Line { taker: Taker::Nobody, form: Form::Whole, max_size: MaxSize::default() }
    }
}

impl Line {
    /// For a method or handler.
    pub(crate) fn plain(form: Form, max_size: Option<usize>) -> Self {
        Line { taker: Taker::Plain, form, max_size: MaxSize::of(max_size) }
    }

    /// For the decoders of one kind whose values are taken; `taken` says up to which size, if it does.
    pub(crate) fn decoders<'c>(
        decoders: impl Iterator<Item = &'c ListedDecoder>,
        taken: impl Fn(Made) -> Option<Option<usize>>,
    ) -> Self {
        let mut line = Line::default();
        for decoder in decoders {
            let Some(max_size) = taken(decoder.makes) else { continue };
            let max_size = MaxSize::of(max_size);
            if line.taker == Taker::Nobody {
                // A stream cannot be looked at without being read: the others may have to, so they come first as a whole.
                let form = if decoder.reads.is_stream() { Form::Stream } else { Form::Whole };
                line = Line { taker: Taker::Decoders, form, max_size };
            } else {
                line.max_size = line.max_size.or(max_size);
            }
        }
        line
    }
}

impl Reception {
    /// Finds out who takes what.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(crate) fn resolve(intake: Intake, coders: Coders) -> Result<Self, Vec<String>> {
        let mut reception = Reception { intake, coders, ..Self::default() };
        let problems = reception.problems();
        reception.text = reception.own_line(Native::Text);
        reception.binary = reception.own_line(Native::Binary);
        if problems.is_empty() { Ok(reception) } else { Err(problems) }
    }

    /// What the endpoint's methods take.
    pub(crate) fn intake(&self) -> &Intake {
        &self.intake
    }

    /// The endpoint's coders.
    pub(crate) fn coders(&self) -> &Coders {
        &self.coders
    }

    /// How messages of this kind are received for the endpoint's methods.
    pub(crate) fn line(&self, native: Native) -> Line {
        match native {
            Native::Text => self.text,
            Native::Binary => self.binary,
        }
    }

    /// Whether decoders stand between the messages and the methods.
    pub(crate) fn decodes(&self) -> bool {
        self.text.taker == Taker::Decoders || self.binary.taker == Taker::Decoders
    }

    /// The decoders for messages of this kind.
    pub(crate) fn decoders(&self, native: Native) -> impl Iterator<Item = &ListedDecoder> {
        self.coders.decoders().iter().filter(move |decoder| decoder.reads.native() == native)
    }

    /// Whether a decoder for messages of this kind makes such values.
    pub(crate) fn makes(&self, native: Native, made: Made) -> bool {
        self.decoders(native).any(|decoder| decoder.makes == made)
    }

    /// Whether a method takes such values, and up to which size of their messages, if it says so.
    pub(crate) fn takes_made(&self, made: Made) -> Option<Option<usize>> {
        self.intake.decoded().find(|(taken, _)| *taken == made).map(|(_, max_size)| max_size)
    }

    fn own_line(&self, native: Native) -> Line {
        let (is_taken, form, max_size) = match native {
            Native::Text => (self.intake.takes_text, self.intake.text, self.intake.max_text),
            Native::Binary => (self.intake.takes_binary, self.intake.binary, self.intake.max_binary),
        };
        if is_taken {
            return Line::plain(form, max_size);
        }
        Line::decoders(self.decoders(native), |made| self.takes_made(made))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut seen: Vec<Made> = Vec::new();
        for (made, max_size) in self.intake.decoded() {
            let name = made.name();
            if seen.contains(&made) {
                problems.push(format!(
                    "two `#[on_message]` methods take `Decoded<{name}>`: an endpoint has one for each type"
                ));
                continue;
            }
            seen.push(made);
            let makers: Vec<_> =
                self.coders.decoders().iter().filter(|decoder| decoder.makes == made).collect();
            if makers.is_empty() {
                let listed = self.listed();
                problems.push(format!(
                    "an `#[on_message]` method takes `Decoded<{name}>`, and no decoder of the endpoint makes that: {listed}"
                ));
            } else if max_size.is_some() && makers.iter().all(|decoder| decoder.reads.is_stream()) {
                problems.push(format!(
                    "`max_size` of the method that takes `Decoded<{name}>`: `{}` reads a stream, which has no limit",
                    makers[0].name
                ));
            }
            for maker in makers {
                let (kind, is_taken) = match maker.reads.native() {
                    Native::Text => ("text", self.intake.takes_text),
                    Native::Binary => ("binary", self.intake.takes_binary),
                };
                if is_taken {
                    problems.push(format!(
                        "{kind} messages have two takers: a method that takes them as they are, and by the decoder `{}` the method that takes `Decoded<{name}>`",
                        maker.name
                    ));
                }
            }
        }
        problems
    }

    /// The decoders, for people.
    fn listed(&self) -> String {
        if self.coders.decoders().is_empty() {
            return "it lists no decoders".to_owned();
        }
        let list: Vec<_> = self
            .coders
            .decoders()
            .iter()
            .map(|decoder| format!("`{}` makes `{}`", decoder.name, decoder.makes.name()))
            .collect();
        list.join(", ")
    }
}

impl Native {
    /// Whether a method or handler of this kind takes such messages as they come.
    pub(crate) fn goes_to(self, kind: Kind) -> bool {
        match self {
            Native::Text => kind.takes_text(),
            Native::Binary => kind.takes_binary(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::endpoint::coder::Decoder;
    use crate::error::Result;
    use crate::message::{Text, TextReader};

    struct A;
    struct B;

    macro_rules! decoders {
        ($($name:ident: $input:ty => $value:ident;)*) => {
            $(
                #[derive(Default)]
                struct $name;

                impl Decoder for $name {
                    type Input = $input;
                    type Value = $value;

                    async fn decode(&mut self, _: $input) -> Result<$value> {
                        Ok($value)
                    }
                }
            )*
        };
    }

    decoders! {
        TextA: Text => A;
        TextB: Text => B;
        StreamA: TextReader => A;
        BytesA: Bytes => A;
    }

    const fn decoded<T: 'static>() -> [Option<Kind>; 1] {
        [Some(Kind::Decoded(Made::of::<T>()))]
    }

    fn takes_a() -> Intake {
        Intake::NONE.method(&decoded::<A>(), None)
    }

    #[test]
    fn without_coders_the_methods_take_what_they_take() {
        let intake = Intake::NONE.method(&[Some(Kind::TextFragment)], None);
        let reception = Reception::resolve(intake, Coders::none()).unwrap();
        assert_eq!(reception.line(Native::Text), Line::plain(Form::Parts, None));
        assert_eq!(reception.line(Native::Binary).taker, Taker::Nobody);
        assert!(!reception.decodes());
    }

    #[test]
    fn the_first_decoder_says_whether_messages_come_whole() {
        let line = |coders| Reception::resolve(takes_a(), coders).unwrap().line(Native::Text);
        let whole = line(Coders::none().decoder::<TextA>().decoder::<StreamA>());
        assert_eq!((whole.taker, whole.form), (Taker::Decoders, Form::Whole));
        assert_eq!(line(Coders::none().decoder::<StreamA>().decoder::<TextA>()).form, Form::Stream);
        // What nobody takes does not count.
        assert_eq!(line(Coders::none().decoder::<TextB>().decoder::<StreamA>()).form, Form::Stream);
    }

    #[test]
    fn one_type_may_come_from_both_kinds() {
        let coders = Coders::none().decoder::<TextA>().decoder::<BytesA>();
        let reception = Reception::resolve(takes_a(), coders).unwrap();
        assert_eq!(reception.line(Native::Text).taker, Taker::Decoders);
        assert_eq!(reception.line(Native::Binary).taker, Taker::Decoders);
    }

    #[test]
    fn the_largest_limit_counts() {
        let coders = || Coders::none().decoder::<TextA>().decoder::<TextB>();
        let both = |a, b| {
            let intake = Intake::NONE.method(&decoded::<A>(), a).method(&decoded::<B>(), b);
            Reception::resolve(intake, coders()).unwrap().line(Native::Text).max_size.bytes(100)
        };
        assert_eq!(both(Some(10), Some(20)), 20);
        assert_eq!(both(Some(10), None), 100);
        assert_eq!(both(Some(1000), None), 1000);
        assert_eq!(both(None, None), 100);
    }

    #[test]
    fn a_decoder_that_nobody_needs_is_none_of_our_business() {
        let intake = Intake::NONE.method(&[Some(Kind::Text)], None);
        let reception = Reception::resolve(intake, Coders::none().decoder::<TextA>()).unwrap();
        assert_eq!(reception.line(Native::Text).taker, Taker::Plain);
    }

    #[test]
    fn all_problems_are_reported() {
        let intake = Intake::NONE
            .method(&[Some(Kind::Text)], None)
            .method(&decoded::<A>(), None)
            .method(&decoded::<A>(), None)
            .method(&decoded::<B>(), None);
        let problems = Reception::resolve(intake, Coders::none().decoder::<TextA>()).unwrap_err();
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[0].starts_with("text messages have two takers"), "{}", problems[0]);
        assert!(problems[0].contains("TextA"), "{}", problems[0]);
        assert!(problems[1].starts_with("two `#[on_message]` methods take"), "{}", problems[1]);
        assert!(problems[2].contains("no decoder of the endpoint makes that: `"), "{}", problems[2]);
        assert!(problems[2].contains("TextA` makes `"), "{}", problems[2]);

        let none = Reception::resolve(takes_a(), Coders::none()).unwrap_err();
        assert!(none[0].ends_with("it lists no decoders"), "{none:?}");

        let limited = Intake::NONE.method(&decoded::<A>(), Some(10));
        let stream = Reception::resolve(limited, Coders::none().decoder::<StreamA>()).unwrap_err();
        assert!(stream[0].contains("reads a stream, which has no limit"), "{stream:?}");
    }
}
