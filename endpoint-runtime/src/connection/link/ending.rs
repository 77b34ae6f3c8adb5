//! How a connection ends: the closing handshake (RFC 6455 7), from whichever side, and what becomes of it when there is none.

use std::io::ErrorKind;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use tokio::time::Instant;

use super::{Input, Link, Phase, Turn};
use crate::message::{CloseCode, CloseReason, ClosedBy, Text};
use crate::wire::{Role, Violation};

impl Link {
    pub(super) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.hurried = true;
        self.since = Instant::now();
        self.stop_sharing();
        if let Some(journal) = self.output.journal() {
            journal.seal();
        }
        if phase == Phase::Gone {
            self.input = Input::default();
            // Whoever waits for what was not written waits in vain, and may be the very handler that is awaited here.
            let lost = || CloseReason::lost("the connection was lost").into();
            self.output.abandon(self.reason.get_or_insert_with(lost));
        }
        if let Some(reason) = &self.reason {
            self.parts.cut(reason);
        }
    }

    /// Notes why the session ends, if that is not known yet.
    fn because(&mut self, reason: CloseReason) {
        self.reason.get_or_insert_with(|| reason.into());
    }

    /// Our close frame goes out behind what is queued; then the peer's is awaited.
    pub(super) fn begin_closing(&mut self, reason: &CloseReason) {
        self.output.put_close(reason.code(), reason.text());
        self.because(reason.clone());
        self.enter(Phase::Closing);
    }

    /// The runtime ends the session: the peer is told `code`, the application 1006 (Jakarta WebSocket 2.1.5).
    pub(super) fn end_by_container(&mut self, code: CloseCode, text: &str, next: Phase) {
        self.salvage();
        let reason = CloseReason::new(CloseCode::Abnormal, text).by(ClosedBy::Container);
        self.session.begin_close(&reason);
        // Who closed first is the one who did.
        self.because(reason);
        self.output.put_close(code, text);
        self.enter(next);
    }

    pub(super) fn peer_closed(&mut self, reason: CloseReason) {
        if self.phase == Phase::Open {
            self.session.begin_close(&reason);
            let first = self.take_out(usize::MAX);
            // A clean close frame gets its own code back, unless we were about to close ourselves.
            let reason = first.unwrap_or(reason);
            self.output.put_close(
                reason.code(),
                if reason.closed_by() == ClosedBy::Peer { "" } else { reason.text() },
            );
            self.because(reason);
        }
        self.enter(Phase::Finishing);
    }

    pub(super) fn violated(&mut self, violation: Violation) {
        let reason = CloseReason::new(violation.code, violation.reason.as_ref()).by(ClosedBy::Container);
        if self.phase == Phase::Open {
            self.salvage();
            self.session.outbox().close(&reason, true);
            self.session.begin_close(&reason);
            self.output.put_close(reason.code(), reason.text());
            self.because(reason);
            self.violation = Some(violation.into());
        }
        self.input.discard();
        self.enter(Phase::Finishing);
    }

    pub(super) fn lose_by(&mut self, error: &std::io::Error) {
        // What most peers do who go without a word costs no allocation.
        let text = match error.kind() {
            ErrorKind::ConnectionReset => Text::from_static("the connection was lost: connection reset"),
            kind => format!("the connection was lost: {kind}").into(),
        };
        self.lose(text);
    }

    /// Nothing more can come or go.
    pub(super) fn lose(&mut self, text: impl Into<Text>) {
        if self.phase == Phase::Gone {
            return;
        }
        self.salvage();
        let reason = self.session.outbox().closed().unwrap_or_else(|| CloseReason::lost(text));
        self.session.begin_close(&reason);
        self.session.outbox().close(&reason, true);
        self.because(reason);
        self.enter(Phase::Gone);
    }

    pub(super) fn finish(&mut self, cx: &mut Context<'_>) -> Turn {
        match self.write(cx) {
            Poll::Ready(true) => {}
            Poll::Ready(false) => return Turn::Again,
            Poll::Pending => return Turn::Wait,
        }
        if self.role == Role::Client {
            // The server closes TCP first: so the state that lingers after it is the server's, who expects it (RFC 6455 7.1.1).
            self.enter(Phase::Lingering);
            return Turn::Again;
        }
        match Pin::new(&mut self.transport).poll_shutdown(cx) {
            Poll::Pending => Turn::Wait,
            Poll::Ready(Ok(())) => {
                self.enter(Phase::Lingering);
                Turn::Again
            }
            Poll::Ready(Err(_)) => {
                self.enter(Phase::Gone);
                Turn::Again
            }
        }
    }

    pub(super) fn linger(&mut self, cx: &mut Context<'_>) -> Turn {
        self.input.discard();
        match self.input.poll_fill(&mut self.transport, cx) {
            Poll::Pending => Turn::Wait,
            Poll::Ready(Ok(bytes)) if bytes > 0 => Turn::Again,
            Poll::Ready(_) => {
                // A TLS peer is told once more that this is the end; whether it still listens makes no difference.
                let _ = Pin::new(&mut self.transport).poll_shutdown(cx);
                self.enter(Phase::Gone);
                Turn::Again
            }
        }
    }
}
