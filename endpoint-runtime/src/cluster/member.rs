//! [`Member`]: one session, wherever it is.

use std::sync::Arc;
use std::time::Duration;

use super::node::Word;
use super::node::command::{Answer, Command, Question};
use super::{ClusterError, Listed, Node};
use crate::message::{CloseReason, ClosedBy, IntoMessage, Message};
use crate::session::outbox::Shared;
use crate::session::{AskError, SendError, Session, SessionId, Sessions};

/// A session of any node, by its id: see [`Sessions::session`].
///
/// Its id names its node, so that nothing is looked up: what is for it goes to that node, which says what has become of it. Whatever one task
/// does with one member arrives in its order.
///
/// Nobody waits for longer than he has to: a session of a node that has said goodbye, or was not heard any more, is gone at once, and nothing is
/// sent. While nobody knows that yet, at most ten seconds, there is no answer within `cluster_deadline`, unless the engine knows that nobody has
/// subscribed.
#[derive(Clone, Debug)]
#[must_use = "a member does nothing until something is sent to it"]
pub struct Member {
    sessions: Sessions,
    id: SessionId,
}

/// What has become of something that was for one session of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Its node has done it: a message is in the session's queue.
    Delivered,
    /// There is no such session, or not any more; or it was too slow, and its `overflow` has decided against the message. In any case it is not done,
    /// and will not be.
    Gone,
    /// Its node has not answered within `cluster_deadline`, or was not heard any more while it was waited for: perhaps it is done all the same,
    /// or will be when a node that sleeps wakes.
    Timeout,
}

impl Sessions {
    /// A session of the whole cluster, by its id. Whether there is one shows when something is done with it.
    ///
    /// ```
    /// use endpoint_runtime::cluster::Outcome;
    /// use endpoint_runtime::{SessionId, Sessions};
    ///
    /// async fn remind(sessions: &Sessions, id: SessionId) -> endpoint_runtime::Result<bool> {
    ///     Ok(sessions.session(&id).send("it is your turn").await? == Outcome::Delivered)
    /// }
    /// ```
    pub fn session(&self, id: &SessionId) -> Member {
        Member { sessions: self.clone(), id: *id }
    }
}

impl Member {
    /// Its id.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Sends a message, and says what has become of it: at most once it is in the session's queue.
    ///
    /// # Errors
    /// The value could not be turned into a message, or it has not crossed to the session's node.
    pub async fn send(&self, message: impl IntoMessage) -> Result<Outcome, ClusterError> {
        let message = Shared::of(message)?;
        match self.place() {
            Place::Here(session) => Ok(done(session.is_some_and(|session| session.take_in(message)))),
            Place::Elsewhere(node) => Box::pin(node.send_to(self.id, message)).await.map(outcome),
            Place::Nowhere => Ok(Outcome::Gone),
        }
    }

    /// Closes it.
    ///
    /// # Errors
    /// It has not crossed to the session's node.
    pub async fn close(&self, reason: CloseReason) -> Result<Outcome, ClusterError> {
        let reason = reason.by(ClosedBy::Application);
        match self.place() {
            Place::Here(session) => Ok(done(session.is_some_and(|session| session.begin_close(&reason)))),
            Place::Elsewhere(node) => node.have(self.id, Command::close(&reason)).await,
            Place::Nowhere => Ok(Outcome::Gone),
        }
    }

    /// Lets it join a room.
    ///
    /// # Errors
    /// It has not crossed to the session's node.
    pub async fn join(&self, room: &str) -> Result<Outcome, ClusterError> {
        match self.place() {
            Place::Here(session) => {
                let session = session.inspect(|session| {
                    session.join(room);
                });
                Ok(done(session.is_some()))
            }
            Place::Elsewhere(node) => node.have(self.id, Command::Join(room.to_owned())).await,
            Place::Nowhere => Ok(Outcome::Gone),
        }
    }

    /// Lets it leave a room.
    ///
    /// # Errors
    /// It has not crossed to the session's node.
    pub async fn leave(&self, room: &str) -> Result<Outcome, ClusterError> {
        match self.place() {
            Place::Here(session) => {
                let session = session.inspect(|session| {
                    session.leave(room);
                });
                Ok(done(session.is_some()))
            }
            Place::Elsewhere(node) => node.have(self.id, Command::Leave(room.to_owned())).await,
            Place::Nowhere => Ok(Outcome::Gone),
        }
    }

    /// Asks its client a question, and waits for the answer: [`Session::ask`], of whichever node the session is.
    ///
    /// `timeout` is for all of it, the way there and back. The question is handed to the engine within `cluster_deadline`, as anything is.
    /// At most 65,536 questions of a node wait for answers from others.
    ///
    /// ```
    /// use std::time::Duration;
    /// use endpoint_runtime::{AskError, SessionId, Sessions};
    ///
    /// async fn is_there(sessions: &Sessions, id: SessionId) -> Result<bool, AskError> {
    ///     match sessions.session(&id).ask("still there?", Duration::from_secs(30)).await {
    ///         Ok(answer) => Ok(answer.as_text() == Some("yes")),
    ///         Err(AskError::Gone | AskError::Timeout) => Ok(false),
    ///         Err(error) => Err(error),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// The client cannot be asked, the question has not got there, no answer comes, or the session ends, or its node dies, before it does.
    pub async fn ask(&self, question: impl IntoMessage, timeout: Duration) -> Result<Message, AskError> {
        match self.place() {
            Place::Here(Some(session)) => session.ask(question, timeout).await,
            Place::Elsewhere(node) => {
                let question = Shared::of(question).map_err(SendError::Encode)?;
                Box::pin(node.ask_client(self.id, question, timeout)).await
            }
            Place::Here(None) | Place::Nowhere => Err(AskError::Gone),
        }
    }

    /// What its node knows of it; `None` if there is no such session.
    ///
    /// # Errors
    /// Its node cannot be asked, or has not answered within `cluster_deadline`.
    pub async fn info(&self) -> Result<Option<Listed>, ClusterError> {
        match self.place() {
            Place::Here(session) => Ok(session.as_ref().map(Listed::of)),
            Place::Elsewhere(node) => {
                let question = Question::List { after: None, limit: 1 };
                match Box::pin(node.ask_about(self.id, question)).await? {
                    Word::Said(Answer::Page { sessions, .. }) => Ok(sessions.into_iter().next()),
                    Word::Said(_) | Word::NoSuchNode | Word::Lost => Ok(None),
                    Word::Nothing => Err(ClusterError::Timeout),
                }
            }
            Place::Nowhere => Ok(None),
        }
    }

    fn place(&self) -> Place {
        if self.id.node() == self.sessions.node() {
            return Place::Here(self.sessions.get(&self.id));
        }
        Node::of(&self.sessions).map_or(Place::Nowhere, Place::Elsewhere)
    }
}

/// Where a session is, as its id says.
enum Place {
    Here(Option<Session>),
    Elsewhere(Arc<Node>),
    /// Of another process, and there is no cluster.
    Nowhere,
}

impl Node {
    async fn have(&self, id: SessionId, command: Command) -> Result<Outcome, ClusterError> {
        Box::pin(self.have_done(id, command)).await.map(outcome)
    }
}

fn outcome(word: Word) -> Outcome {
    match word {
        Word::Said(Answer::Count(1..)) => Outcome::Delivered,
        Word::Said(_) | Word::NoSuchNode => Outcome::Gone,
        Word::Lost | Word::Nothing => Outcome::Timeout,
    }
}

fn done(done: bool) -> Outcome {
    if done { Outcome::Delivered } else { Outcome::Gone }
}
