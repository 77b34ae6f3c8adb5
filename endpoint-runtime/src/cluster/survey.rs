//! Who there is in the whole cluster: [`Audience::count_exact`] and [`Audience::list`].
//!
//! Each node is asked, and those that have not answered in time are named: what is said is either complete, or says what is missing.

use super::node::command::{Answer, MOST_LISTED, Question};
use super::{Node, NodeId};
use crate::session::{Audience, Session, SessionId};

/// How many sessions there are: see [`Audience::count_exact`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Count {
    /// Those of this process and of all nodes that have answered.
    pub total: usize,
    /// Whether all nodes have answered.
    pub complete: bool,
    /// The nodes that have not, sorted.
    pub missing: Vec<NodeId>,
}

/// Some of the sessions: see [`Audience::list`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// The page, sorted by id.
    pub sessions: Vec<Listed>,
    /// What to list from on to get the next page; `None` if this was the last.
    pub next: Option<SessionId>,
    /// Whether all nodes have answered.
    pub complete: bool,
    /// The nodes that have not, sorted. Their sessions are on no page that was asked for now.
    pub missing: Vec<NodeId>,
}

/// A session of the cluster, as its node knew it a moment ago.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// Which one.
    pub id: SessionId,
    /// The node that has it.
    pub node: NodeId,
    /// The path template of its endpoint.
    pub path: String,
    /// Whose it is.
    pub user: Option<String>,
    /// The rooms it is in.
    pub rooms: Vec<String>,
}

impl Listed {
    pub(super) fn of(session: &Session) -> Self {
        let id = *session.id();
        Listed {
            id,
            node: NodeId::new(id.node()),
            path: session.path().to_owned(),
            user: session.user(),
            rooms: session.rooms(),
        }
    }

    /// The sessions of this process behind one, sorted by id: at most so many, and of so many bytes. And whether there are more.
    pub(super) fn page(
        audiences: &[Audience],
        after: Option<SessionId>,
        limit: usize,
        weight: usize,
    ) -> (Vec<Listed>, bool) {
        let mut sessions: Vec<Session> =
            audiences.iter().flat_map(|audience| audience.behind(after)).collect();
        sessions.sort_unstable_by_key(|session| *session.id());
        let (mut page, mut left): (Vec<Listed>, _) = (Vec::new(), weight);
        for session in sessions.iter().take(limit) {
            let listed = Listed::of(session);
            let rest = left.checked_sub(listed.weight());
            // A page without anybody would have no end.
            if rest.is_none() && !page.is_empty() {
                break;
            }
            left = rest.unwrap_or_default();
            page.push(listed);
        }
        let more = page.len() < sessions.len();
        (page, more)
    }
}

impl Audience {
    /// How many they are, as all nodes say: each is asked, and has `cluster_deadline` to answer. Without a cluster they are those of this
    /// process.
    pub async fn count_exact(&self) -> Count {
        let Some(node) = self.node() else {
            return Count { total: self.count_here(), complete: true, missing: Vec::new() };
        };
        let asking = node.ask_all(&self.addressees(), Question::Count);
        drop(node);
        let answers = Box::pin(asking).await;
        let elsewhere = answers.answers.iter().map(|(_, answer)| match answer {
            Answer::Count(count) => usize::try_from(*count).unwrap_or(usize::MAX),
            _ => 0,
        });
        Count {
            total: elsewhere.fold(self.count_here(), usize::saturating_add),
            complete: answers.is_complete(),
            missing: answers.missing,
        }
    }

    /// A page of them, sorted by id: those behind `after`, at most `limit`, which is 1,000 at most. Each node is asked, and has
    /// `cluster_deadline` to answer.
    ///
    /// ```
    /// # async fn f(sessions: &endpoint_runtime::Sessions) {
    /// let mut after = None;
    /// loop {
    ///     let page = sessions.room("blue").list(after, 100).await;
    ///     for listed in &page.sessions {
    ///         println!("{} at {}", listed.user.as_deref().unwrap_or("somebody"), listed.node);
    ///     }
    ///     after = page.next;
    ///     if after.is_none() {
    ///         break;
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// Sessions that come and go between two pages may be on none of them; one that stays is on exactly one, if all nodes answer.
    pub async fn list(&self, after: Option<SessionId>, limit: usize) -> Listing {
        let limit = limit.clamp(1, MOST_LISTED);
        let (own, more) = Listed::page(std::slice::from_ref(self), after, limit, usize::MAX);
        let Some(node) = self.node() else {
            return Listing::merged(vec![(own, more)], limit, true, Vec::new());
        };
        let asking = node.ask_all(&self.addressees(), Question::List { after, limit });
        drop(node);
        let answers = Box::pin(asking).await;
        let complete = answers.is_complete();
        let pages = answers.answers.into_iter().filter_map(|(_, answer)| match answer {
            Answer::Page { sessions, more } => Some((sessions, more)),
            _ => None,
        });
        Listing::merged(std::iter::once((own, more)).chain(pages).collect(), limit, complete, answers.missing)
    }

    /// The node that is to be asked, if there are others and they are meant.
    fn node(&self) -> Option<std::sync::Arc<Node>> {
        if self.is_local() { None } else { Node::of(self.sessions()) }
    }
}

impl Listing {
    /// One page of several, each of which is sorted, and says whether it goes on.
    fn merged(
        pages: Vec<(Vec<Listed>, bool)>,
        limit: usize,
        complete: bool,
        missing: Vec<NodeId>,
    ) -> Listing {
        // Behind the end of a page that goes on there may be something that is not here.
        let known =
            pages.iter().filter(|(_, more)| *more).filter_map(|(page, _)| page.last()).map(|last| last.id);
        let known = known.min();
        let mut more = known.is_some();
        let mut sessions: Vec<_> = pages.into_iter().flat_map(|(page, _)| page).collect();
        sessions.sort_unstable_by_key(|listed| listed.id);
        if let Some(known) = known {
            sessions.retain(|listed| listed.id <= known);
        }
        more |= sessions.len() > limit;
        sessions.truncate(limit);
        let next = sessions.last().filter(|_| more).map(|last| last.id);
        Listing { sessions, next, complete, missing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(node: u64, serial: u64) -> Listed {
        let id = SessionId::new(node, serial);
        Listed { id, node: NodeId::new(node), path: String::new(), user: None, rooms: Vec::new() }
    }

    #[test]
    fn pages_of_several_nodes_become_one() {
        let (first, second) = (vec![listed(1, 1), listed(1, 2)], vec![listed(2, 1), listed(2, 2)]);
        let table = [
            // limit, whether each goes on, how many there are, which is next
            (10, [false, false], 4, None),
            (3, [false, false], 3, Some((2, 1))),
            // What the first node has yet goes before what the second has.
            (10, [true, false], 2, Some((1, 2))),
            (10, [false, true], 4, Some((2, 2))),
            (1, [true, true], 1, Some((1, 1))),
        ];
        for (limit, more, count, next) in table {
            let pages = vec![(second.clone(), more[1]), (first.clone(), more[0])];
            let merged = Listing::merged(pages, limit, true, Vec::new());
            let next = next.map(|(node, serial)| SessionId::new(node, serial));
            assert_eq!((merged.sessions.len(), merged.next), (count, next), "{limit} {more:?}");
            assert!(merged.sessions.is_sorted_by_key(|listed| listed.id));
        }
    }
}
