//! Handing over sessions that are resumed on another node.

use std::pin::Pin;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::super::NodeId;
use super::super::envelope::Envelope;
use super::super::resume::{Peers, Resumption};
use super::command::{Answer, Question};
use super::{Node, Word};
use crate::session::{Place, Session, SessionId};

impl Node {
    /// What resumes the sessions of this node. Said once.
    pub(in crate::cluster) fn set_resumption(&self, resumption: &Arc<Resumption>) {
        let _ = self.resumption.set(Arc::downgrade(resumption));
    }

    /// This node was away for a while: its sessions may have gone on elsewhere, and those that have are closed.
    pub(super) async fn look_for_taken_sessions(&self) {
        if let Some(resumption) = self.resumption.get().and_then(Weak::upgrade) {
            resumption.look_again().await;
        }
    }

    /// The same, while everything goes on.
    pub(super) fn begin_to_look_for_taken_sessions(&self) {
        if let Some(node) = self.me.upgrade() {
            self.spawn(async move { node.look_for_taken_sessions().await });
        }
    }

    /// Another node has taken the record of this key: it is told what is known here of the session. That takes a while.
    pub(super) fn hand_over(&self, key: [u8; 32], question: Envelope) {
        let resumption = self.resumption.get().and_then(Weak::upgrade);
        let Some(node) = self.me.upgrade() else { return };
        self.spawn(async move {
            let record = match resumption {
                Some(resumption) => resumption.hand_over(key).await,
                None => None,
            };
            node.answer(&question, &Answer::Record(record));
        });
    }
}

impl Peers for Node {
    fn resumed(&self, old: SessionId, new: SessionId) {
        self.note_resumed(old, new);
    }

    fn enter(
        &self,
        session: &Session,
        room: &str,
        place: &Place,
        join: &mut dyn FnMut() -> bool,
    ) -> Option<bool> {
        self.enter_at(session, room, place, join)
    }

    fn hand_over(
        &self,
        session: SessionId,
        key: [u8; 32],
    ) -> Pin<Box<dyn Future<Output = Option<Bytes>> + Send + '_>> {
        Box::pin(async move {
            if self.is_gone(NodeId::new(session.node())) {
                // Perhaps it only sleeps. When it wakes, this is what it finds first.
                self.leave_word(session, Question::HandOver(key));
                return None;
            }
            match self.ask_about(session, Question::HandOver(key)).await {
                Ok(Word::Said(Answer::Record(record))) => record,
                Ok(word) => {
                    tracing::debug!(%session, ?word, "a session is not handed over");
                    None
                }
                Err(error) => {
                    tracing::debug!(%session, %error, "a session is not handed over");
                    None
                }
            }
        })
    }
}
