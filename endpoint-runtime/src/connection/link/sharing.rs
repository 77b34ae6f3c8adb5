//! Sharing the socket: broadcasts go past the connection's task, except while that has something to write itself.

use super::{Link, Phase};
use crate::session::fan_out;
use crate::wire::Role;

/// Who may write to the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// The task alone.
    No,
    /// The task alone; but a broadcast has come, so others might.
    Wanted,
    /// Others, while the task does not.
    Yes,
    /// Others when the task has written what it has.
    Later,
}

impl Link {
    /// Before anything is put where it goes out.
    #[inline]
    pub(super) fn hold(&mut self) {
        if self.sharing == Sharing::Yes {
            self.take_over();
        }
    }

    #[inline(never)]
    fn take_over(&mut self) {
        self.sharing = Sharing::Later;
        if let Some(rest) = self.session.outbox().hold() {
            self.output.put_encoded(&rest);
        }
    }

    /// At the end of a turn.
    #[inline]
    pub(super) fn share(&mut self) {
        if self.sharing != Sharing::No {
            self.share_again();
        }
        fan_out::send();
    }

    #[inline(never)]
    fn share_again(&mut self) {
        if self.output.is_empty() {
            match self.sharing {
                Sharing::Later => {
                    self.session.outbox().release();
                    self.sharing = Sharing::Yes;
                }
                Sharing::Wanted if self.is_fit_to_share() => {
                    self.sharing = match self.transport.lend() {
                        Some(socket) => {
                            self.session.outbox().lend(socket);
                            Sharing::Yes
                        }
                        None => Sharing::No,
                    };
                }
                _ => {}
            }
        }
    }

    /// What goes out must be what a broadcast is encoded as, and nobody may have to know of it: neither a header goes before it, nor is
    /// it kept until the client has seen it.
    fn is_fit_to_share(&self) -> bool {
        self.role == Role::Server
            && self.phase == Phase::Open
            && self.session.deflate().is_none()
            && self.output.journal().is_none()
    }

    /// The task alone writes, up to the end.
    pub(super) fn stop_sharing(&mut self) {
        if let Some(socket) = self.session.outbox().take_back() {
            self.transport.take_back(socket);
        }
        self.sharing = Sharing::No;
    }
}

impl Drop for Link {
    /// The socket must not outlive the connection, as handles on the session may.
    fn drop(&mut self) {
        self.stop_sharing();
    }
}
