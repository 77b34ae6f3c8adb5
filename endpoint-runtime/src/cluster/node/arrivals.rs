//! What a node does with what arrives from others.

use std::sync::Arc;
use std::time::Duration;

use super::super::Arrival;
use super::super::counters::add;
use super::super::envelope::{Envelope, Flags, Kind, To};
use super::super::survey::Listed;
use super::Node;
use super::command::{Answer, Command, Question, Unanswered};
use crate::message::{CloseReason, ClosedBy};
use crate::session::outbox::{DataKind, Shared};
use crate::session::{Audience, GroupKey, Session, SessionId, Sessions, Target};

/// For whom something is, of the sessions of this process.
enum Here {
    /// Two endpoint types of one name are two audiences; most often it is one.
    Audiences(Vec<Audience>),
    Session(Option<Session>),
}

impl Node {
    /// Something has arrived. Whatever it is, it harms nobody.
    pub(super) fn arrived(&self, arrival: Arrival) {
        if arrival.position.is_some() {
            // Of a room whose messages are passed on in the order of their places, this node's own too.
            if let Some(feeds) = self.feeds() {
                feeds.arrived(arrival);
            }
            return;
        }
        let envelope = match Envelope::decode(arrival.message) {
            Ok(envelope) => envelope,
            Err(why) => return self.unreadable(&why),
        };
        let ttl = Duration::from_millis(envelope.ttl.into());
        if !ttl.is_zero() && envelope.lag() > ttl {
            return add(&self.tally.stale, 1);
        }
        let Some(sessions) = self.sessions.upgrade() else { return };
        // What is for sessions was done here when it was sent.
        let own = envelope.origin == self.id;
        match envelope.kind {
            Kind::Data if !own => self.deliver(&sessions, envelope),
            Kind::Command if !own => self.obey(&sessions, envelope),
            Kind::Survey if !own => self.say(&sessions, envelope),
            Kind::Reply => self.hear(envelope),
            Kind::Heartbeat => self.meet_one(&envelope),
            Kind::Presence if !own => self.notice(envelope),
            Kind::Goodbye if !own => {
                if let Some(members) = self.members() {
                    members.departed(envelope.origin);
                }
            }
            _ => {}
        }
    }

    pub(super) fn unreadable(&self, why: &dyn std::fmt::Display) {
        add(&self.tally.unreadable, 1);
        tracing::debug!(%why, "dropped what another node has sent");
    }

    fn meet_one(&self, envelope: &Envelope) {
        let Some(members) = self.members() else { return };
        if !members.heard(envelope.origin, envelope.lag(), &envelope.payload) {
            self.unreadable(&"a heartbeat that is none");
        }
    }

    /// Somebody has come into a room, or left it.
    fn notice(&self, envelope: Envelope) {
        let (To::Room(room), Some(presences)) = (&envelope.to, self.present()) else { return };
        if !presences.arrived(room, envelope.origin, &envelope.payload) {
            self.unreadable(&"a notice of presence that is none");
        }
    }

    fn deliver(&self, sessions: &Sessions, envelope: Envelope) {
        let Some(message) = message_of(&envelope) else {
            return self.unreadable(&"a text message that is not UTF-8");
        };
        let queued = match here(sessions, &envelope) {
            Here::Audiences(audiences) => {
                let message = Arc::new(message);
                let deliveries = audiences.iter().map(|audience| audience.deliver(Arc::clone(&message)));
                deliveries.map(|delivery| delivery.queued()).sum()
            }
            Here::Session(session) => usize::from(session.is_some_and(|session| session.take_in(message))),
        };
        self.answer_if_wanted(&envelope, Answer::Count(queued as u64));
    }

    fn obey(&self, sessions: &Sessions, mut envelope: Envelope) {
        let command = match Command::decode(std::mem::take(&mut envelope.payload)) {
            Ok(command) => command,
            Err(why) => return self.unreadable(&why),
        };
        let here = here(sessions, &envelope);
        let done = match &command {
            Command::Close { code, reason } => {
                let reason = Command::reason(*code, reason).by(ClosedBy::Application);
                here.close(&reason)
            }
            Command::Join(room) => here.each(|session| session.join(room)),
            Command::Leave(room) => here.each(|session| session.leave(room)),
        };
        self.answer_if_wanted(&envelope, Answer::Count(done as u64));
    }

    /// Says what another node wants to know.
    fn say(&self, sessions: &Sessions, mut envelope: Envelope) {
        let question = match Question::decode(std::mem::take(&mut envelope.payload)) {
            Ok(question) => question,
            Err(why) => return self.unreadable(&why),
        };
        #[cfg(feature = "json")]
        if let Question::HandOver(key) = question {
            return self.hand_over(key, envelope);
        }
        if let Question::ToClient { within, message } = question {
            return self.ask_here(sessions, Duration::from_millis(within.into()), message, envelope);
        }
        let here = here(sessions, &envelope);
        let answer = match question {
            Question::Count => Answer::Count(here.count() as u64),
            Question::Any => Answer::Any(here.count() > 0),
            #[cfg(feature = "json")]
            Question::HandOver(_) => Answer::Record(None),
            Question::ToClient { .. } => Answer::OfClient(Err(Unanswered::Gone)),
            Question::List { after, limit } => {
                let (sessions, more) = here.page(after, limit, self.engine.max_message() / 2);
                Answer::Page { sessions, more }
            }
        };
        self.answer_if_wanted(&envelope, answer);
    }

    fn hear(&self, mut envelope: Envelope) {
        match Answer::decode(std::mem::take(&mut envelope.payload), envelope.origin) {
            Ok(answer) => self.replies.arrived(envelope.correlation, envelope.origin, answer),
            Err(why) => self.unreadable(&why),
        }
    }

    fn answer_if_wanted(&self, envelope: &Envelope, answer: Answer) {
        if envelope.flags.has(Flags::REPLY_WANTED) {
            self.answer(envelope, &answer);
        }
    }
}

/// The message that is in an envelope, encoded once for all who get it. What says that it is text must be.
pub(super) fn message_of(envelope: &Envelope) -> Option<Shared> {
    let text = envelope.flags.has(Flags::TEXT);
    if text && simdutf8::basic::from_utf8(&envelope.payload).is_err() {
        return None;
    }
    let kind = if text { DataKind::Text } else { DataKind::Binary };
    let message = Shared::new(kind, &envelope.payload);
    Some(if envelope.flags.has(Flags::UNCOMPRESSED) { message.plain() } else { message })
}

fn here(sessions: &Sessions, envelope: &Envelope) -> Here {
    let audience = |target| {
        let audience = Audience::new(sessions.clone(), target).local();
        audience.except_all(envelope.except().iter().copied())
    };
    let group = |key| Here::Audiences(vec![audience(Target::Group(key))]);
    match &envelope.to {
        To::Everyone => Here::Audiences(vec![audience(Target::All)]),
        To::Room(name) => group(GroupKey::Room((&**name).into())),
        To::User(name) => group(GroupKey::User((&**name).into())),
        To::Endpoint(name) => {
            let types = sessions.endpoints_named(name).into_iter();
            Here::Audiences(types.map(|one| audience(Target::Group(GroupKey::Endpoint(one)))).collect())
        }
        To::Session(id) => Here::Session(sessions.get(id)),
        To::Node => Here::Session(None),
    }
}

impl Here {
    fn count(&self) -> usize {
        match self {
            Here::Audiences(audiences) => audiences.iter().map(Audience::count_here).sum(),
            Here::Session(session) => session.iter().count(),
        }
    }

    fn close(&self, reason: &CloseReason) -> usize {
        match self {
            Here::Audiences(audiences) => audiences.iter().map(|audience| audience.close_here(reason)).sum(),
            Here::Session(session) => session.iter().filter(|session| session.begin_close(reason)).count(),
        }
    }

    /// Does something with each. Of a crowd it says how many changed, and of one session whether it is there at all.
    fn each(&self, act: impl Fn(&Session) -> bool) -> usize {
        match self {
            Here::Audiences(audiences) => {
                audiences.iter().flat_map(Audience::iter).filter(|session| act(session)).count()
            }
            Here::Session(session) => {
                session.iter().for_each(|session| {
                    act(session);
                });
                session.iter().count()
            }
        }
    }

    /// Those behind one, sorted by id: at most so many, and of so many bytes. And whether there are more.
    fn page(&self, after: Option<SessionId>, limit: usize, weight: usize) -> (Vec<Listed>, bool) {
        match self {
            Here::Audiences(audiences) => Listed::page(audiences, after, limit, weight),
            Here::Session(session) => (session.iter().map(Listed::of).collect(), false),
        }
    }
}
