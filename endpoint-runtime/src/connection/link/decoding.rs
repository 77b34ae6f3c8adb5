//! What is found in the input: messages are delivered, control frames are dealt with.

use std::borrow::Cow;

use super::rates::Verdict;
use super::{Answer, Deliver, Link, Phase};
use crate::message::{CloseCode, CloseReason, ClosedBy, Incoming};
use crate::session::outbox::DataKind;
use crate::session::{Heard, Session};
use crate::wire::{Gate, Step, Violation};

/// What was found in the input.
#[derive(Clone, Copy)]
pub(super) enum Decoded {
    /// A message, of which the driver is to hear.
    Message,
    /// A message whose reply cannot be sent.
    Undelivered,
    /// Something that is dealt with.
    Done,
    /// A message, which waits for the handler.
    Held,
    /// Not enough for anything.
    Nothing,
    /// Not looked at: replies are to be written first.
    Later,
}

impl Link {
    /// Takes the next from the input. What most messages are is looked at first, and here; whatever else there may be, elsewhere.
    #[inline(always)]
    pub(super) fn decode(&mut self, gate: Gate, deliver: &mut Deliver<'_>) -> Decoded {
        if self.input.is_empty() && self.late.is_empty() && !self.decoder.owes() {
            return Decoded::Nothing;
        }
        let plain = gate == Gate::Open && self.phase == Phase::Open && !self.detour;
        if plain && self.late.is_empty() && !self.decoder.owes() {
            let answer = match self.decoder.short_message(self.input.bytes()) {
                Some(Ok((used, Step::Text(text)))) => Some((used, deliver(Incoming::Text(text)))),
                Some(Ok((used, Step::Binary(bytes)))) => Some((used, deliver(Incoming::Binary(bytes)))),
                Some(Err(violation)) => {
                    self.violated(violation);
                    return Decoded::Done;
                }
                _ => None,
            };
            if let Some((used, answer)) = answer {
                self.input.consume(used);
                return self.answered(answer);
            }
        }
        self.decode_any(gate, deliver)
    }

    #[inline(never)]
    fn decode_any(&mut self, gate: Gate, deliver: &mut Deliver<'_>) -> Decoded {
        // Once the session is closing, messages are of no interest, and the peer's close frame may stand behind some.
        let open = self.phase == Phase::Open;
        let free = open && gate == Gate::Open;
        if free && let Some(late) = self.late.next() {
            let answer = deliver(late);
            return self.answered(answer);
        }
        if self.input.is_empty() && !self.decoder.owes() {
            return Decoded::Nothing;
        }
        if self.retuned && !self.decoder.is_amid_message() {
            self.retune();
        }
        let gate = if open { self.parts.gate(gate) } else { Gate::Open };
        let (gate, now) = if open && self.rates.is_some() { self.paced(gate) } else { (gate, self.heard) };
        let (used, step) = match self.decoder.decode(self.input.bytes(), gate) {
            Ok(decoded) => decoded,
            Err(violation) => {
                self.violated(violation);
                return Decoded::Done;
            }
        };
        let mut closed = None;
        let verdict = match &mut self.rates {
            Some(rates) if open => rates.judge(&step, now),
            _ => Verdict::Take,
        };
        if verdict != Verdict::Take {
            self.input.consume(used);
            self.over_the_rate(verdict);
            return Decoded::Done;
        }
        if open && self.output.journal().is_some() {
            let heard = overheard(&self.session, &step);
            if heard != Heard::Application {
                drop(step);
                self.input.consume(used);
                return self.heard(heard);
            }
        }
        let answer = match step {
            Step::Incomplete => {
                self.input.consume(used);
                return Decoded::Nothing;
            }
            Step::Held => {
                self.input.consume(used);
                return Decoded::Held;
            }
            Step::Text(text) if open => deliver(Incoming::Text(text)),
            Step::Binary(bytes) if open => deliver(Incoming::Binary(bytes)),
            Step::TextPart(part, last) if open => self.parts.text(self.text, part, last, deliver),
            Step::BinaryPart(part, last) if open => self.parts.binary(self.binary, part, last, deliver),
            Step::Ping(payload) => {
                if self.output.is_blocked() {
                    self.owed_pong = Some(payload.into());
                } else {
                    self.output.put_pong(payload);
                }
                match (open && self.pings, free) {
                    (false, _) => Answer::Nothing,
                    (true, true) => deliver(Incoming::Ping(Cow::Borrowed(payload))),
                    (true, false) => {
                        self.late.keep_ping(payload);
                        Answer::Nothing
                    }
                }
            }
            Step::Pong(payload) if free => deliver(Incoming::Pong(Cow::Borrowed(payload))),
            Step::Pong(payload) => {
                if open {
                    self.late.keep_pong(payload);
                }
                Answer::Nothing
            }
            Step::Close(frame) => {
                closed = Some(match frame {
                    Some((code, text)) => CloseReason::new(code, text),
                    None => CloseReason::new(CloseCode::Status, ""),
                });
                Answer::Nothing
            }
            Step::Text(_) | Step::Binary(_) | Step::TextPart(..) | Step::BinaryPart(..) => Answer::Nothing,
        };
        self.input.consume(used);
        if let Some(reason) = closed {
            self.peer_closed(reason.by(ClosedBy::Peer));
        }
        self.answered(answer)
    }

    /// Does what is to be done about what a client has said of its session.
    #[cold]
    fn heard(&mut self, heard: Heard) -> Decoded {
        match heard {
            Heard::First => Decoded::Message,
            Heard::Application | Heard::Nothing => Decoded::Done,
            Heard::Wrong(reason) => {
                self.violated(Violation::policy(reason));
                Decoded::Done
            }
        }
    }

    /// Does what is to be done about a message.
    #[inline]
    fn answered(&mut self, answer: Answer) -> Decoded {
        match answer {
            Answer::Nothing => Decoded::Done,
            Answer::Reply(frame) => match self.reply_now(frame) {
                true => Decoded::Done,
                false => Decoded::Undelivered,
            },
            Answer::Wait => Decoded::Message,
        }
    }

    /// Looks up again how messages are to be received.
    fn retune(&mut self) {
        (self.retuned, self.detour) = (false, self.rates.is_some() || self.output.journal().is_some());
        let forms = self.session.forms();
        (self.text, self.binary, self.pings) = (forms.text, forms.binary, forms.pings);
        self.decoder.deliver(forms.text_delivery(), forms.binary_delivery());
    }
}

/// Whether what has come is about the session, and so none of the application's business.
#[cold]
fn overheard(session: &Session, step: &Step<'_>) -> Heard {
    let Some(continuity) = session.continuity() else { return Heard::Application };
    match step {
        Step::Text(text) => continuity.hear(DataKind::Text, text.as_bytes(), true),
        Step::Binary(bytes) => continuity.hear(DataKind::Binary, bytes, true),
        Step::TextPart(part, last) => continuity.hear(DataKind::Text, part.as_bytes(), *last),
        Step::BinaryPart(part, last) => continuity.hear(DataKind::Binary, part, *last),
        _ => Heard::Application,
    }
}
