//! [`Parts`]: a message on its way that is delivered part by part, to a method or to a reader.

use std::borrow::Cow;
use std::task::Context;

use super::{Answer, Deliver};
use crate::endpoint::Form;
use crate::message::{BinaryReader, CloseReason, Fed, Feed, Incoming, TextReader};
use crate::wire::Gate;

#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The form of the message that has begun: it ends in the form in which it began.
    begun: Option<Form>,
    /// The other end of its reader, if it has one.
    stream: Option<Feed>,
}

impl Parts {
    pub(super) fn text(
        &mut self,
        form: Form,
        part: Cow<'_, str>,
        last: bool,
        deliver: &mut Deliver<'_>,
    ) -> Answer {
        if self.form(form, last) != Form::Stream {
            return deliver(Incoming::TextPart(part, last));
        }
        match self.pass_on(part.as_bytes(), last) {
            Some(fed) => deliver(Incoming::TextStream(TextReader::fed(fed))),
            None => Answer::Nothing,
        }
    }

    pub(super) fn binary(
        &mut self,
        form: Form,
        part: Cow<'_, [u8]>,
        last: bool,
        deliver: &mut Deliver<'_>,
    ) -> Answer {
        if self.form(form, last) != Form::Stream {
            return deliver(Incoming::BinaryPart(part, last));
        }
        match self.pass_on(&part, last) {
            Some(fed) => deliver(Incoming::BinaryStream(BinaryReader::fed(fed))),
            None => Answer::Nothing,
        }
    }

    /// The form of the message that a part belongs to.
    fn form(&mut self, form: Form, last: bool) -> Form {
        let form = self.begun.unwrap_or(form);
        self.begun = (!last).then_some(form);
        form
    }

    /// Gives a part to the reader of its message. With the first part there is a reader to be delivered.
    fn pass_on(&mut self, part: &[u8], last: bool) -> Option<Fed> {
        if let Some(feed) = &self.stream {
            feed.put(part, last);
            if last {
                self.stream = None;
            }
            return None;
        }
        let (feed, fed) = Feed::new();
        feed.put(part, last);
        self.stream = (!last).then_some(feed);
        Some(fed)
    }

    /// Whether data frames may be looked at where `gate` says so of whole messages: what is being read as a stream goes on beside its
    /// handler, as far as there is room, and for as long as it lasts holds back the next message.
    pub(super) fn gate(&self, gate: Gate) -> Gate {
        match &self.stream {
            None => gate,
            Some(feed) if feed.has_room() => Gate::Open,
            Some(_) => Gate::ControlOnly,
        }
    }

    /// Whether somebody reads a stream and has room for more.
    pub(super) fn reader_waits(&self) -> bool {
        self.stream.as_ref().is_some_and(Feed::has_room)
    }

    pub(super) fn register(&self, cx: &Context<'_>) {
        if let Some(feed) = &self.stream {
            feed.register(cx);
        }
    }

    /// The session ends: whoever reads a stream learns that the rest will not come.
    pub(super) fn cut(&mut self, reason: &CloseReason) {
        if let Some(feed) = self.stream.take() {
            feed.cut(reason);
        }
    }
}
