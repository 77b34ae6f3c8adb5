//! Questions to clients whose sessions are of other nodes, and those of other nodes to clients whose sessions are here.
//!
//! A question is as long on its way as whoever asks will wait, which may be for a person. So those that wait are counted, on both sides.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::super::ClusterError;
use super::super::envelope::{Envelope, Kind, To};
use super::arrivals::message_of;
use super::command::{Answer, Question, Unanswered};
use super::outbound::flags_of;
use super::{Node, Word};
use crate::message::Message;
use crate::session::outbox::Shared;
use crate::session::{AskError, SendError, SessionId, Sessions};

/// How many questions of this node may wait for an answer, and how many of other nodes.
const MOST: usize = 65_536;

/// The questions that wait for an answer.
#[derive(Debug)]
pub(super) struct Asking {
    own: Arc<Semaphore>,
    of_others: Arc<Semaphore>,
}

impl Default for Asking {
    fn default() -> Self {
        Asking { own: Arc::new(Semaphore::new(MOST)), of_others: Arc::new(Semaphore::new(MOST)) }
    }
}

/// A question that waits. When it is dropped, it waits no more.
type Waiting = OwnedSemaphorePermit;

fn begin(asking: &Arc<Semaphore>) -> Option<Waiting> {
    Arc::clone(asking).try_acquire_owned().ok()
}

impl Node {
    /// Asks the client of a session of another node.
    ///
    /// # Errors
    /// Nobody can be asked there, or nobody answers, or one of the two has not crossed.
    pub(in crate::cluster) async fn ask_client(
        &self,
        id: SessionId,
        question: Shared,
        timeout: Duration,
    ) -> Result<Message, AskError> {
        let _waiting = begin(&self.asking.own).ok_or(AskError::Cluster(ClusterError::Full))?;
        let within = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        let deadline = Instant::now() + Duration::from_millis(within.into());
        let asked = Question::ToClient { within, message: question.message() };
        let mut envelope = self.new_envelope(Kind::Survey, To::Session(id), asked.encode());
        envelope.flags = flags_of(&question);
        drop(question);
        let envelope = self.sized(envelope).map_err(AskError::Cluster)?;
        match self.to_session_until(id, envelope, deadline).await {
            Ok(Word::Said(Answer::OfClient(answer))) => answer.map_err(AskError::from),
            Ok(Word::Said(_) | Word::NoSuchNode | Word::Lost) => Err(AskError::Gone),
            Ok(Word::Nothing) | Err(ClusterError::Timeout) => Err(AskError::Timeout),
            Err(error) => Err(AskError::Cluster(error)),
        }
    }

    /// Another node asks the client of a session of this one. That takes a while.
    pub(super) fn ask_here(
        &self,
        sessions: &Sessions,
        within: Duration,
        message: Bytes,
        mut question: Envelope,
    ) {
        question.payload = message;
        let Some(message) = message_of(&question) else {
            return self.unreadable(&"a question that is no message");
        };
        question.payload = Bytes::new();
        let session = match &question.to {
            To::Session(id) => sessions.get(id),
            _ => None,
        };
        let Some(session) = session else { return self.answer_for(&question, Err(Unanswered::Gone)) };
        let Some(waiting) = begin(&self.asking.of_others) else {
            return self.answer_for(&question, Err(Unanswered::Busy));
        };
        let node = self.me.clone();
        self.spawn(async move {
            let said = session.put(message, within).await;
            drop((session, waiting));
            if let Some(node) = node.upgrade() {
                node.answer_for(&question, said.map_err(Unanswered::from));
            }
        });
    }

    /// Says to another node what a client has said to its question.
    fn answer_for(&self, question: &Envelope, said: Result<Message, Unanswered>) {
        let answer = Answer::OfClient(said);
        match self.sized(self.reply(question, &answer)) {
            Ok(reply) => self.send_reply(question.origin, &reply),
            Err(ClusterError::TooLarge { bytes, limit }) => {
                self.answer(question, &Answer::OfClient(Err(Unanswered::TooLarge { bytes, limit })));
            }
            Err(_) => {}
        }
    }
}

impl From<AskError> for Unanswered {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Unsupported => Unanswered::Unsupported,
            AskError::Timeout => Unanswered::Timeout,
            AskError::Send(_) => Unanswered::Unsent,
            AskError::Gone | AskError::OwnHandler | AskError::Cluster(_) => Unanswered::Gone,
        }
    }
}

impl From<Unanswered> for AskError {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::Gone => AskError::Gone,
            Unanswered::Unsupported => AskError::Unsupported,
            Unanswered::Timeout => AskError::Timeout,
            Unanswered::Unsent => AskError::Send(SendError::Full),
            Unanswered::Busy => AskError::Cluster(ClusterError::Full),
            Unanswered::TooLarge { bytes, limit } => {
                AskError::Cluster(ClusterError::TooLarge { bytes, limit })
            }
        }
    }
}
