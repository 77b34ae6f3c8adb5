//! [`Presence`]: who is in a room, a page at a time.

use super::{Session, SessionId};

/// Who is present in a room, on whichever node: a page of them (see [`Audience::present`](crate::Audience::present)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Presence {
    /// How many there are in all.
    pub count: u64,
    /// Some of them, sorted by id.
    pub members: Vec<PresentMember>,
    /// Behind whom the next page begins, if there is one.
    pub next: Option<SessionId>,
}

/// Somebody who is present in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresentMember {
    /// The session.
    pub id: SessionId,
    /// Whose it is: see [`Session::user`](crate::Session::user).
    pub user: Option<String>,
}

impl PresentMember {
    pub(crate) fn new(id: SessionId, user: Option<String>) -> Self {
        PresentMember { id, user }
    }
}

impl Presence {
    /// Of all these, those behind `after`, and not more than `limit`.
    pub(super) fn page(members: &[Session], after: Option<SessionId>, limit: usize) -> Self {
        let mut behind: Vec<_> = members.iter().filter(|session| after < Some(*session.id())).collect();
        behind.sort_unstable_by_key(|session| *session.id());
        let shown = &behind[..limit.min(behind.len())];
        let next = if shown.len() < behind.len() { shown.last().map(|session| *session.id()) } else { None };
        Presence {
            count: members.len() as u64,
            members: shown.iter().map(|session| PresentMember::new(*session.id(), session.user())).collect(),
            next,
        }
    }
}
