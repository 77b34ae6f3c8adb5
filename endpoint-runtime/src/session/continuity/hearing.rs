//! [`Hearing`]: tells what a client says about its session from what it says to the application.

use super::super::outbox::DataKind;
use super::journal::{Journal, NeverSent};
use crate::message::control::{self, First, MARK, MAX_BYTES, Malformed, Said};
use crate::message::{Message, Text};

/// The longest answer to a question, bytes, where messages come in parts and no other limit holds.
const MAX_ANSWER: usize = 1024 * 1024;

/// What a message, or a part of one, was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The application's.
    Application,
    /// None of its business.
    Nothing,
    /// What the client says first.
    First,
    /// Against the rules.
    Wrong(&'static str),
}

/// What was heard so far.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// What the client has said first, until it is looked at; and whether it has.
    pub(super) first: Option<First>,
    has_begun: bool,
    next: Next,
    amid: Amid,
}

/// Whose the next message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Next {
    /// That shows when it begins.
    #[default]
    Unknown,
    /// The application's.
    Application,
    /// It answers this question.
    Answer(u64),
}

/// Amid which message.
#[derive(Debug, Default)]
enum Amid {
    #[default]
    None,
    Application,
    Control(Vec<u8>),
    Answer(u64, Vec<u8>),
}

impl Hearing {
    /// Hears a whole message, or a part of one; `last`: it ends with it.
    pub(super) fn hear(
        &mut self,
        kind: DataKind,
        part: &[u8],
        last: bool,
        journal: &Journal,
        answered: impl FnOnce(u64, Message),
    ) -> Heard {
        if matches!(self.amid, Amid::None) {
            self.amid = match std::mem::take(&mut self.next) {
                Next::Application => Amid::Application,
                Next::Answer(number) => Amid::Answer(number, Vec::new()),
                // Nothing of it is there yet.
                Next::Unknown if kind == DataKind::Text && part.is_empty() && !last => return Heard::Nothing,
                Next::Unknown if kind == DataKind::Text && part.first() == Some(&MARK) => {
                    Amid::Control(Vec::new())
                }
                Next::Unknown if self.has_begun => Amid::Application,
                Next::Unknown => {
                    return Heard::Wrong("the first message says which session it is: see `resume`");
                }
            };
        }
        let (kept, most) = match &mut self.amid {
            Amid::None | Amid::Application => {
                if last {
                    self.amid = Amid::None;
                }
                return Heard::Application;
            }
            Amid::Control(kept) => (kept, MAX_BYTES),
            Amid::Answer(_, kept) => (kept, MAX_ANSWER),
        };
        if kept.len() + part.len() > most {
            return Heard::Wrong("a message about the session is too long");
        }
        kept.extend_from_slice(part);
        if !last {
            return Heard::Nothing;
        }
        match std::mem::take(&mut self.amid) {
            Amid::Control(control) => self.said(&control, journal),
            Amid::Answer(number, answer) => {
                let message = match kind {
                    DataKind::Text => {
                        String::from_utf8(answer).ok().map(|text| Message::Text(Text::from(text)))
                    }
                    DataKind::Binary => Some(Message::Binary(answer.into())),
                };
                if let Some(message) = message {
                    answered(number, message);
                }
                Heard::Nothing
            }
            Amid::None | Amid::Application => Heard::Application,
        }
    }

    fn said(&mut self, control: &[u8], journal: &Journal) -> Heard {
        match (control::read(control), self.has_begun) {
            (Err(Malformed(reason)), _) => return Heard::Wrong(reason),
            (Ok(Said::First(first)), false) => {
                (self.first, self.has_begun) = (Some(first), true);
                return Heard::First;
            }
            (Ok(Said::First(_)), true) => return Heard::Wrong("which session it is can be said once"),
            (Ok(_), false) => {
                return Heard::Wrong("the first message says which session it is: see `resume`");
            }
            (Ok(Said::Seen(number)), true) => {
                if let Err(NeverSent) = journal.seen(number) {
                    return Heard::Wrong("more messages were seen than were sent");
                }
            }
            (Ok(Said::Header), true) => self.next = Next::Application,
            (Ok(Said::Answer(number)), true) => self.next = Next::Answer(number),
        }
        Heard::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::outbox::{Credit, Frame};
    use super::*;

    const FIRST: &str = "\u{1}{\"resume\":null}";

    /// What each message of a client is, and what it answers.
    fn hear(messages: &[&str], parts: usize) -> (Vec<Heard>, Vec<(u64, Message)>) {
        let journal = Journal::new(1_000, Credit::default());
        journal.note(&Frame::Text("one".into()));
        let (mut hearing, mut answers) = (Hearing::default(), Vec::new());
        let heard = messages.iter().map(|message| {
            let bytes = message.as_bytes();
            let mut step = |part: &[u8], last| {
                hearing.hear(DataKind::Text, part, last, &journal, |number, message| {
                    answers.push((number, message));
                })
            };
            for part in bytes.chunks(parts).take(if parts < bytes.len() { usize::MAX } else { 0 }) {
                let heard = step(part, false);
                if matches!(heard, Heard::Wrong(_)) {
                    return heard;
                }
            }
            step(if parts < bytes.len() { b"" } else { bytes }, true)
        });
        let heard = heard.collect();
        (heard, answers)
    }

    #[test]
    fn each_message_goes_where_it_belongs() {
        use Heard::{Application, First, Nothing, Wrong};
        let is_wrong = |heard: &Heard| matches!(heard, Wrong(_));
        for parts in [usize::MAX, 3, 1] {
            let (heard, answers) = hear(
                &[
                    FIRST,
                    "hello",
                    "",
                    "\u{1}{\"seen\":1}",
                    "\u{1}{}",
                    "\u{1}{\"seen\":9}",
                    "\u{1}{\"answer\":7}",
                    "\u{1}{}",
                    "bye",
                    "\u{1}{\"answer\":8}",
                    "eight",
                    "x\u{1}",
                ],
                parts,
            );
            assert_eq!(
                heard,
                [
                    First,
                    Application,
                    Application,
                    Nothing,
                    Nothing,
                    Application,
                    Nothing,
                    Nothing,
                    Application,
                    Nothing,
                    Nothing,
                    Application,
                ]
            );
            let text = |text: &str| Message::Text(text.into());
            assert_eq!(answers, [(7, text("\u{1}{}")), (8, text("eight"))]);
            for wrong in [
                &["hello"][..],
                &["", FIRST],
                &["\u{1}{}"],
                &["\u{1}{\"seen\":0}"],
                &["\u{1}{\"answer\":1}"],
                &["\u{1}"],
                &["\u{1}{"],
                &[FIRST, FIRST],
                &[FIRST, "\u{1}{\"seen\":2}"],
                &[FIRST, "\u{1}nonsense"],
            ] {
                assert!(hear(wrong, parts).0.iter().any(is_wrong), "{wrong:?} in parts of {parts}");
            }
        }
        let long = format!("\u{1}{}", "x".repeat(MAX_BYTES));
        assert!(is_wrong(&hear(&[&long], 1000).0[0]), "before it has ended");
    }
}
