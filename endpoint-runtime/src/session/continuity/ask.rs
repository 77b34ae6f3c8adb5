//! Questions to clients: [`Session::ask`], for those of this process.

use std::fmt;
use std::time::Duration;

use super::super::outbox::Shared;
use super::super::{ClusterError, SendError, Session};
use crate::message::{IntoMessage, Message};

/// A question was not answered.
#[derive(Debug)]
#[non_exhaustive]
pub enum AskError {
    /// The client cannot be asked: it has not connected as one that understands control messages.
    Unsupported,
    /// It was the session's own handler that asked, behind which the answer would wait: ask from another task, as one that
    /// [`Session::spawn`] makes.
    OwnHandler,
    /// The question was not sent.
    Send(SendError),
    /// No answer has come in time. If it comes yet, nobody hears it.
    Timeout,
    /// There is no such session, or it has ended without an answer.
    Gone,
    /// The question has not crossed to the session's node, or its answer not back: only where it is of
    /// [another node](crate::cluster::Member::ask).
    Cluster(ClusterError),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskError::Unsupported => {
                f.write_str("the client cannot be asked: it understands no control messages")
            }
            AskError::OwnHandler => {
                f.write_str("a session's own handler cannot wait for an answer, which comes behind it")
            }
            AskError::Send(error) => error.fmt(f),
            AskError::Timeout => f.write_str("the client has not answered in time"),
            AskError::Gone => f.write_str("the session has ended without an answer"),
            AskError::Cluster(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            AskError::Send(error) => Some(error),
            AskError::Cluster(error) => Some(error),
            _ => None,
        }
    }
}

impl From<SendError> for AskError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Closed(_) => AskError::Gone,
            error => AskError::Send(error),
        }
    }
}

impl Session {
    /// Asks the client a question, and waits for its answer. Only a client can answer that understands control messages: the page
    /// [`docs::wire`](crate::docs::wire) says which that is, and how it answers.
    ///
    /// The answer goes to nobody else, no `#[on_message]` sees it. It comes in its turn, as any message, so that a handler of the same session
    /// cannot wait for it. A question is not sent again when the session is resumed. A session of another node is asked by its id:
    /// [`Member::ask`](crate::cluster::Member::ask).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # fn f(session: endpoint_runtime::Session) {
    /// let this = session.clone();
    /// session.spawn(async move {
    ///     match this.ask("still there?", Duration::from_secs(5)).await {
    ///         Ok(answer) => println!("{:?}", answer.as_text()),
    ///         Err(error) => eprintln!("{error}"),
    ///     }
    /// });
    /// # }
    /// ```
    ///
    /// # Errors
    /// The client cannot be asked, the question cannot be sent, or no answer comes.
    pub async fn ask(&self, question: impl IntoMessage, timeout: Duration) -> Result<Message, AskError> {
        #[cfg(feature = "json")]
        if self.speaks() && self.is_here() {
            return Err(AskError::OwnHandler);
        }
        let question = Shared::of(question).map_err(SendError::Encode)?;
        self.put(question, timeout).await
    }

    /// [`ask`](Self::ask), where it is not the session's own handler that asks.
    #[cfg_attr(not(feature = "json"), allow(clippy::unused_async, reason = "then no client can be asked"))]
    pub(crate) async fn put(&self, question: Shared, timeout: Duration) -> Result<Message, AskError> {
        #[cfg(feature = "json")]
        if let Some(continuity) = self.continuity() {
            return present::put(self, &continuity.asked, question, timeout).await;
        }
        let _ = (question, timeout);
        Err(AskError::Unsupported)
    }
}

#[cfg(feature = "json")]
pub(super) use present::Asked;

#[cfg(feature = "json")]
mod present {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::super::super::Session;
    use super::super::super::outbox::{Frame, Outgoing, Shared};
    use super::AskError;
    use crate::message::{Message, control};

    /// The questions that wait for an answer.
    #[derive(Debug, Default)]
    pub(in super::super) struct Asked(Mutex<Waiting>);

    #[derive(Debug, Default)]
    struct Waiting {
        last: u64,
        by_number: HashMap<u64, oneshot::Sender<Message>>,
        over: bool,
    }

    impl Asked {
        fn waiting(&self) -> MutexGuard<'_, Waiting> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// `None`: the session is over.
        fn begin(&self) -> Option<(u64, oneshot::Receiver<Message>)> {
            let mut waiting = self.waiting();
            if waiting.over {
                return None;
            }
            waiting.last += 1;
            let (number, (answer, receiver)) = (waiting.last, oneshot::channel());
            waiting.by_number.insert(number, answer);
            Some((number, receiver))
        }

        /// An answer that nobody waits for any more is no fault of the client's.
        pub(in super::super) fn answer(&self, number: u64, message: Message) {
            let asker = self.waiting().by_number.remove(&number);
            if let Some(asker) = asker {
                let _ = asker.send(message);
            }
        }

        /// No answer can come any more.
        pub(in super::super) fn give_up(&self) {
            let mut waiting = self.waiting();
            waiting.over = true;
            waiting.by_number = HashMap::new();
        }
    }

    /// Takes a question back whose asker waits no more.
    struct Question<'a>(&'a Asked, u64);

    impl Drop for Question<'_> {
        fn drop(&mut self) {
            self.0.waiting().by_number.remove(&self.1);
        }
    }

    pub(super) async fn put(
        session: &Session,
        asked: &Asked,
        question: Shared,
        timeout: Duration,
    ) -> Result<Message, AskError> {
        let (number, answer) = asked.begin().ok_or(AskError::Gone)?;
        let _question = Question(asked, number);
        let frame = Frame::Shared(Arc::new(question.headed(control::ask(number))));
        session.push(Outgoing { frame, done: None })?;
        match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(AskError::Gone),
            Err(_) => Err(AskError::Timeout),
        }
    }
}
