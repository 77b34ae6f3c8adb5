//! What stands for the continuity of sessions in a program that is built without JSON: no session has any.

use super::super::outbox::{DataKind, Frame};
use super::{Resumed, Session};
use crate::message::CloseReason;

/// There is none.
#[derive(Debug)]
pub(crate) enum Continuity {}

/// There is none.
#[derive(Debug)]
pub(crate) enum Journal {}

/// Nothing is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "nobody listens")]
pub(crate) enum Heard {
    Application,
    Nothing,
    First,
    Wrong(&'static str),
}

impl Journal {
    pub(crate) fn note(&self, _: &Frame) -> bool {
        match *self {}
    }

    pub(crate) fn seal(&self) {
        match *self {}
    }
}

impl Continuity {
    pub(crate) fn journal(&self) -> &std::sync::Arc<Journal> {
        match *self {}
    }

    pub(super) fn resumed(&self) -> Option<&Resumed> {
        match *self {}
    }

    pub(super) fn changed(&self, _: &Session) {
        match *self {}
    }

    pub(super) fn enter(&self, _: &Session, _: &str, _: &mut dyn FnMut() -> bool) -> bool {
        match *self {}
    }

    pub(in crate::session) fn ended(&self, _: &Session, _: &CloseReason) {
        match *self {}
    }

    pub(crate) fn hear(&self, _: DataKind, _: &[u8], _: bool) -> Heard {
        match *self {}
    }
}
