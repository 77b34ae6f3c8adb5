//! How a connection begins whose client may resume its session: it says which session that is, and is told which one it has. Then it is opened
//! as any other.

use std::future::poll_fn;

use tokio::time::timeout;

use super::link::{Answer, Progress};
use super::{Connection, Outcome, call};
use crate::message::{CloseReason, ClosedBy, control};

impl Connection {
    /// Waits for the client's first message, and has the session begin or go on. `false`: it has ended.
    pub(super) async fn greet(&mut self) -> bool {
        let Some(continuity) = self.session.continuity() else { return true };
        let keeper = continuity.keeper();
        let link = &mut self.link;
        // Nothing is delivered before what the client says first.
        let heard = poll_fn(|cx| link.poll_message(cx, &mut |_| Answer::Nothing));
        match timeout(keeper.first_within(), heard).await {
            Ok(Progress::Delivered) => {}
            Ok(Progress::Undelivered | Progress::Ended) => return false,
            Err(_) => {
                let reason = CloseReason::policy("the client has not said which session it resumes");
                self.session.begin_close(&reason.by(ClosedBy::Container));
                return false;
            }
        }
        let Some(first) = continuity.first() else { return false };
        // What was taken over belongs to this session, however it ends: it takes as long as it takes.
        let outcome = call(&mut self.link, &self.session, None, || keeper.open(&self.session, first)).await;
        match outcome {
            Outcome::Returned(frames) => self.link.greet(frames),
            Outcome::Panicked(_) | Outcome::Cancelled => {
                self.session.begin_close(&super::unexpected());
            }
        }
        self.session.is_open()
    }

    /// The session has been opened: of the rooms in which the client knows its place and that it has not joined, it hears nothing more.
    pub(super) fn say_what_is_not_recovered(&self) {
        let Some(continuity) = self.session.continuity() else { return };
        for room in continuity.take_places().into_keys() {
            self.session.say(control::recovered(&room, false));
        }
    }
}
