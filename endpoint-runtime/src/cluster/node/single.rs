//! What goes from a node to another for one of the other's sessions, and what the other says to it.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::envelope::{Envelope, Kind, To};
use super::super::members::Standing;
use super::super::{Channel, ClusterError, Crossing, NodeId};
use super::Node;
use super::command::{Answer, Command, Question};
use super::outbound::{crossed, flags_of};
use crate::session::SessionId;
use crate::session::outbox::Shared;

/// How often it is looked whether a node that is to answer lives.
const LOOK: Duration = Duration::from_millis(500);

/// What has become of something that was for one node.
#[derive(Debug)]
pub(in crate::cluster) enum Word {
    Said(Answer),
    /// There is no such node, and so nobody has it: the engine knows that, or the node had said goodbye or was not heard any more, and it was
    /// not sent at all.
    NoSuchNode,
    /// It was on its way when the node said goodbye, or was not heard any more. One that sleeps finds it when it wakes, and one that is only not
    /// heard has done it.
    Lost,
    /// The node lives, as far as is known.
    Nothing,
}

impl Node {
    /// Sends something for one session of another node to that node, and waits for what it says.
    ///
    /// # Errors
    /// It has not crossed.
    async fn to_session(&self, id: SessionId, envelope: Envelope) -> Result<Word, ClusterError> {
        self.to_session_until(id, envelope, Instant::now() + self.deadline).await
    }

    /// The same, where the answer may take longer than the engine may.
    ///
    /// # Errors
    /// It has not crossed.
    pub(super) async fn to_session_until(
        &self,
        id: SessionId,
        envelope: Envelope,
        deadline: Instant,
    ) -> Result<Word, ClusterError> {
        let node = NodeId::new(id.node());
        if self.is_gone(node) {
            return Ok(Word::NoSuchNode);
        }
        let mut expected = self.replies.expect();
        let (done, handed) = oneshot::channel();
        self.publish(Channel::Node(node), &envelope.answered_as(expected.correlation), Some(done))?;
        match crossed(handed, deadline.min(Instant::now() + self.deadline)).await {
            Crossing::Failed(error) => return Err(error),
            Crossing::Handed { receivers: Some(0), .. } => return Ok(Word::NoSuchNode),
            _ => {}
        }
        loop {
            // Its node may die while it is waited for. What it has said before that is here before that is known.
            let (now, is_gone) = (Instant::now(), self.is_gone(node));
            let until = if is_gone { now } else { deadline.min(now + LOOK) };
            if let Some((_, answer)) = expected.next(until).await {
                return Ok(Word::Said(answer));
            }
            if is_gone {
                return Ok(Word::Lost);
            }
            if Instant::now() >= deadline {
                return Ok(Word::Nothing);
            }
        }
    }

    /// Whether a node is known to live no more.
    pub(super) fn is_gone(&self, node: NodeId) -> bool {
        self.members().is_some_and(|members| matches!(members.standing(node), Standing::Gone(_)))
    }

    /// Leaves something for one session of another node, and waits for nothing.
    #[cfg(feature = "json")]
    pub(super) fn leave_word(&self, id: SessionId, question: Question) {
        let envelope = self.new_envelope(Kind::Survey, To::Session(id), question.encode());
        if let Err(error) = self.publish(Channel::Node(NodeId::new(id.node())), &envelope, None) {
            tracing::debug!(session = %id, %error, "no word is left for a session");
        }
    }

    /// Sends a message to a session of another node.
    ///
    /// # Errors
    /// It has not crossed.
    pub(in crate::cluster) async fn send_to(
        &self,
        id: SessionId,
        message: Shared,
    ) -> Result<Word, ClusterError> {
        let mut envelope = self.sized(self.new_envelope(Kind::Data, To::Session(id), message.message()))?;
        let flags = flags_of(&message);
        drop(message);
        envelope.flags = flags;
        self.to_session(id, envelope).await
    }

    /// Has something done with a session of another node.
    ///
    /// # Errors
    /// It has not crossed.
    pub(in crate::cluster) async fn have_done(
        &self,
        id: SessionId,
        command: Command,
    ) -> Result<Word, ClusterError> {
        let envelope = self.new_envelope(Kind::Command, To::Session(id), command.encode());
        self.to_session(id, self.sized(envelope)?).await
    }

    /// Asks about a session of another node.
    ///
    /// # Errors
    /// It has not crossed.
    pub(in crate::cluster) async fn ask_about(
        &self,
        id: SessionId,
        question: Question,
    ) -> Result<Word, ClusterError> {
        let envelope = self.new_envelope(Kind::Survey, To::Session(id), question.encode());
        self.to_session(id, envelope).await
    }
}
