//! What goes from a node to others: messages, commands and questions.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use super::super::counters::add;
use super::super::envelope::{Envelope, Flags, Kind, MOST_EXCEPTIONS, To};
use super::super::presence::Leaving;
use super::super::{Channel, ClusterError, Crossing, MessageId, NodeId, Retention};
use super::Node;
use super::command::{Answer, Command, Question};
use crate::message::CloseReason;
use crate::session::outbox::{DataKind, Shared};
use crate::session::{Addressees, Elsewhere, GroupKey, Passage, Session, SessionId, Target, may_come_back};

/// What other nodes have said, and which of them have said nothing.
#[derive(Debug, Default)]
pub(in crate::cluster) struct Answers {
    pub(in crate::cluster) answers: Vec<(NodeId, Answer)>,
    /// Whether the question has gone out to all that are known.
    pub(in crate::cluster) asked: bool,
    pub(in crate::cluster) missing: Vec<NodeId>,
}

impl Elsewhere for Node {
    fn began(&self, group: &GroupKey) {
        if let Some(channel) = channel_of_group(group) {
            if let (Some(feeds), GroupKey::Room(room)) = (self.feeds(), group)
                && self.rules().keep(room).is_some()
            {
                feeds.open(room);
            }
            self.subscriptions.want(&channel, true);
        }
    }

    fn ended(&self, group: &GroupKey) {
        if let Some(channel) = channel_of_group(group) {
            if let (Some(feeds), GroupKey::Room(room)) = (self.feeds(), group) {
                feeds.close(room);
            }
            self.subscriptions.want(&channel, false);
        }
    }

    fn reached(&self, groups: Vec<GroupKey>) -> Pin<Box<dyn Future<Output = bool> + Send>> {
        let (subscriptions, deadline) = (Arc::clone(&self.subscriptions), self.deadline);
        let feeds = self.feeds().cloned();
        let held = async move {
            for channel in groups.iter().filter_map(channel_of_group) {
                subscriptions.held(&channel).await;
                if let Some(feeds) = &feeds {
                    feeds.placed(&channel).await;
                }
            }
        };
        Box::pin(async move { timeout(deadline, held).await.is_ok() })
    }

    fn joined(&self, room: &str, session: &Session) {
        if let Some(presences) = self.present() {
            presences.joined(room, *session.id());
        }
        self.tell_place(room, session);
    }

    fn left(&self, room: &str, session: &Session, ended: bool) {
        if let Some(feeds) = self.feeds() {
            feeds.left(room, session.id());
        }
        if let Some(presences) = self.present() {
            presences.left(room, *session.id(), leaving(session, ended));
        }
    }

    fn send(&self, to: &Addressees<'_>, message: &Shared, wait: bool, here: &mut dyn FnMut()) -> Passage {
        let keep = match to.target {
            Target::Group(GroupKey::Room(room)) => self.rules().keep(room),
            _ => None,
        };
        let envelope = match self.data(to, message) {
            Ok(envelope) => envelope,
            Err(error) => {
                add(&self.tally.refused_too_large, 1);
                return Passage::Known(Crossing::Failed(error));
            }
        };
        // What has a place in a history is delivered when it comes back with it, here too.
        let append = keep.map(|keep| (envelope.id, keep));
        if append.is_none() {
            here();
        }
        let channel = channel_of(&envelope.to);
        if !wait {
            let crossing = match self.hand(channel, &envelope, append, None) {
                Ok(()) => Crossing::Queued,
                Err(error) => Crossing::Failed(error),
            };
            return Passage::Known(crossing);
        }
        let (done, handed) = oneshot::channel();
        match self.hand(channel, &envelope, append, Some(done)) {
            Ok(()) => Passage::Underway(Box::pin(crossed(handed, Instant::now() + self.deadline))),
            Err(error) => Passage::Known(Crossing::Failed(error)),
        }
    }

    fn close(
        &self,
        to: &Addressees<'_>,
        reason: &CloseReason,
    ) -> Pin<Box<dyn Future<Output = usize> + Send>> {
        let answers = self.command(to, &Command::close(reason));
        Box::pin(async move {
            let counts = answers.await.answers.into_iter().map(|(_, answer)| answer.count());
            counts.fold(0, usize::saturating_add)
        })
    }

    fn move_to(&self, to: &Addressees<'_>, room: &str, joins: bool) {
        let room = room.to_owned();
        let command = if joins { Command::Join(room) } else { Command::Leave(room) };
        let result = self
            .envelope(Kind::Command, to, command.encode())
            .and_then(|envelope| self.publish(channel_of(&envelope.to), &envelope, None));
        if let Err(error) = result {
            tracing::warn!(%error, "sessions of other nodes are not told of a room");
        }
    }

    fn count(&self, to: &Addressees<'_>) -> usize {
        let Some(members) = self.members() else { return 0 };
        let count = match to.target {
            Target::All => members.sessions_elsewhere(),
            Target::Group(GroupKey::Endpoint(endpoint)) => members.of_endpoint_elsewhere(endpoint.name),
            Target::Group(_) => 0,
        };
        usize::try_from(count).unwrap_or(usize::MAX)
    }
}

impl Node {
    /// The other nodes that live, and whether that is known: without a way to them it is not.
    fn others(&self) -> (Vec<NodeId>, bool) {
        self.members()
            .map_or((Vec::new(), false), |members| (members.others(), members.state().is_connected()))
    }

    /// Asks all nodes about some sessions.
    pub(in crate::cluster) fn ask_all(
        &self,
        to: &Addressees<'_>,
        question: Question,
    ) -> impl Future<Output = Answers> + Send + use<> {
        let mut expected = self.replies.expect();
        let question = self.envelope(Kind::Survey, to, question.encode());
        let handed = question.and_then(|envelope| {
            let (done, handed) = oneshot::channel();
            let envelope = envelope.answered_as(expected.correlation);
            self.publish(Channel::Control, &envelope, Some(done)).map(|()| handed)
        });
        let (others, deadline) = (self.others(), Instant::now() + self.deadline);
        async move {
            let mut waiting = Waiting::of(others);
            let Ok(handed) = handed else { return waiting.unasked() };
            if crossed(handed, deadline).await.error().is_some() {
                return waiting.unasked();
            }
            while !waiting.is_over() {
                let Some((from, answer)) = expected.next(deadline).await else { break };
                waiting.answered(from, answer);
            }
            waiting.over()
        }
    }

    /// Has all nodes do something with some sessions, and waits for what they say.
    ///
    /// It goes the way of the messages for these sessions, and so stays behind those that were sent before. For a room or a user that is not
    /// a way to all nodes: those without such sessions have to say so before it is certain that all have answered.
    fn command(
        &self,
        to: &Addressees<'_>,
        command: &Command,
    ) -> impl Future<Output = Answers> + Send + use<> {
        let mut expected = self.replies.expect();
        let (done, handed) = oneshot::channel();
        let result = self.envelope(Kind::Command, to, command.encode()).and_then(|envelope| {
            let channel = channel_of(&envelope.to);
            let everywhere = channel == Channel::All;
            self.publish(channel, &envelope.answered_as(expected.correlation), Some(done))?;
            if !everywhere {
                let roll = self.envelope(Kind::Survey, to, Question::Any.encode())?;
                self.publish(Channel::Control, &roll.answered_as(expected.correlation), None)?;
            }
            Ok(())
        });
        let (others, deadline) = (self.others(), Instant::now() + self.deadline);
        async move {
            let mut waiting = Waiting::of(others);
            if result.is_err() || crossed(handed, deadline).await.error().is_some() {
                return waiting.unasked();
            }
            while !waiting.is_over() {
                match expected.next(deadline).await {
                    // It will say more.
                    Some((_, Answer::Any(true))) => {}
                    Some((from, Answer::Any(false))) => waiting.has_nobody(from),
                    Some((from, answer)) => waiting.answered(from, answer),
                    None => break,
                }
            }
            waiting.over()
        }
    }

    /// What says to another node what it has asked.
    pub(super) fn reply(&self, question: &Envelope, answer: &Answer) -> Envelope {
        let mut reply = self.new_envelope(Kind::Reply, To::Node, answer.encode());
        reply.correlation = question.correlation;
        reply
    }

    /// Says to another node what it has asked.
    pub(super) fn answer(&self, question: &Envelope, answer: &Answer) {
        self.send_reply(question.origin, &self.reply(question, answer));
    }

    pub(super) fn send_reply(&self, to: NodeId, reply: &Envelope) {
        if let Err(error) = self.publish(Channel::Node(to), reply, None) {
            tracing::debug!(%error, node = %to, "an answer is not given");
        }
    }

    fn data(&self, to: &Addressees<'_>, message: &Shared) -> Result<Envelope, ClusterError> {
        let mut envelope = self.envelope(Kind::Data, to, message.message())?;
        envelope.flags = flags_of(message);
        envelope.id = to.id.unwrap_or(envelope.id);
        Ok(envelope)
    }

    /// Something for these sessions, if it can cross at all.
    fn envelope(&self, kind: Kind, to: &Addressees<'_>, payload: Bytes) -> Result<Envelope, ClusterError> {
        let except: Vec<SessionId> = to.except.iter().copied().collect();
        let sessions = except.len();
        let envelope = self
            .new_envelope(kind, to_of(to.target), payload)
            .excepting(except)
            .map_err(|_| ClusterError::TooManyExcepted { sessions, limit: MOST_EXCEPTIONS })?;
        self.sized(envelope)
    }

    pub(super) fn new_envelope(&self, kind: Kind, to: To, payload: Bytes) -> Envelope {
        Envelope::new(kind, self.id, to, payload)
    }

    pub(super) fn sized(&self, envelope: Envelope) -> Result<Envelope, ClusterError> {
        let (bytes, limit) = (envelope.encoded_len(), self.engine.max_message());
        if bytes > limit { Err(ClusterError::TooLarge { bytes, limit }) } else { Ok(envelope) }
    }

    /// Puts it into the queue of its channel.
    pub(super) fn publish(
        &self,
        channel: Channel,
        envelope: &Envelope,
        done: Option<oneshot::Sender<Crossing>>,
    ) -> Result<(), ClusterError> {
        self.hand(channel, envelope, None, done)
    }

    /// The same, to be appended to the history of the channel if it says how.
    fn hand(
        &self,
        channel: Channel,
        envelope: &Envelope,
        append: Option<(MessageId, Retention)>,
        done: Option<oneshot::Sender<Crossing>>,
    ) -> Result<(), ClusterError> {
        match self.runtime.get() {
            Some(runtime) if !self.stop.is_cancelled() => {
                self.publishing.put(runtime, channel, envelope.encode(), append, done)
            }
            _ => Err(ClusterError::unavailable("this node is not part of the cluster now")),
        }
    }
}

impl Answers {
    /// Whether all nodes that there are have answered.
    pub(in crate::cluster) fn is_complete(&self) -> bool {
        self.asked && self.missing.is_empty()
    }
}

impl Answer {
    fn count(self) -> usize {
        match self {
            Answer::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
            _ => 0,
        }
    }
}

impl Envelope {
    /// It is to be answered, under this number.
    pub(super) fn answered_as(mut self, correlation: u64) -> Self {
        self.flags = self.flags.with(Flags::REPLY_WANTED, true);
        self.correlation = correlation;
        self
    }
}

/// Who has not answered yet.
struct Waiting {
    others: HashSet<NodeId>,
    known: bool,
    answers: Vec<(NodeId, Answer)>,
}

impl Waiting {
    fn of((others, known): (Vec<NodeId>, bool)) -> Self {
        Waiting { others: others.into_iter().collect(), known, answers: Vec::new() }
    }

    fn answered(&mut self, from: NodeId, answer: Answer) {
        self.has_nobody(from);
        self.answers.push((from, answer));
    }

    fn has_nobody(&mut self, node: NodeId) {
        self.others.remove(&node);
    }

    fn is_over(&self) -> bool {
        self.others.is_empty()
    }

    fn over(self) -> Answers {
        let mut missing: Vec<_> = self.others.into_iter().collect();
        missing.sort_unstable();
        Answers { answers: self.answers, asked: self.known, missing }
    }

    fn unasked(self) -> Answers {
        Answers { asked: false, ..self.over() }
    }
}

/// How it went, at the latest at the deadline.
pub(super) async fn crossed(handed: oneshot::Receiver<Crossing>, deadline: Instant) -> Crossing {
    match timeout_at(deadline, handed).await {
        Ok(Ok(crossing)) => crossing,
        // The tasks are gone with their runtime.
        Ok(Err(_)) => Crossing::Failed(ClusterError::unavailable("this node has stopped")),
        Err(_) => Crossing::Failed(ClusterError::Timeout),
    }
}

pub(in crate::cluster) fn flags_of(message: &Shared) -> Flags {
    let flags = Flags::default().with(Flags::TEXT, message.kind() == DataKind::Text);
    flags.with(Flags::UNCOMPRESSED, message.is_plain())
}

fn to_of(target: &Target) -> To {
    match target {
        Target::All => To::Everyone,
        Target::Group(GroupKey::Endpoint(endpoint)) => To::Endpoint(endpoint.name.into()),
        Target::Group(GroupKey::Room(name)) => To::Room(Arc::from(&**name)),
        Target::Group(GroupKey::User(name)) => To::User(Arc::from(&**name)),
    }
}

pub(in crate::cluster) fn channel_of(to: &To) -> Channel {
    match to {
        To::Everyone | To::Endpoint(_) => Channel::All,
        To::Room(name) => Channel::Room(Arc::clone(name)),
        To::User(name) => Channel::User(Arc::clone(name)),
        To::Session(id) => Channel::Node(NodeId::new(id.node())),
        To::Node => Channel::Control,
    }
}

fn channel_of_group(group: &GroupKey) -> Option<Channel> {
    match group {
        GroupKey::Endpoint(_) => None,
        GroupKey::Room(name) => Some(Channel::room(name)),
        GroupKey::User(name) => Some(Channel::user(name)),
    }
}

/// The close code of a session that another has resumed.
const REPLACED: u16 = 4009;

/// How a session leaves a room.
fn leaving(session: &Session, ended: bool) -> Leaving {
    match session.close_reason() {
        Some(reason) if ended && u16::from(reason.code()) == REPLACED => Leaving::Resumed,
        Some(reason) if ended && session.speaks() && may_come_back(reason) => Leaving::Lost,
        _ => Leaving::Left,
    }
}
