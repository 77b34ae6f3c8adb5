//! [`Link`]: one connection's I/O, without knowing whose messages they are.
//!
//! It reads, writes, answers pings, watches the clock and carries the closing handshake through. The driver (`connection`) polls it for
//! the next message, and beside a handler that is busy; so the connection stays alive whatever the handler does.

mod clock;
mod decoding;
mod ending;
mod late;
mod parts;
mod rates;
mod sharing;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::time::Instant;

use self::decoding::Decoded;
use self::late::Late;
use self::parts::Parts;
use self::rates::Rates;
use self::sharing::Sharing;
use super::input::Input;
use super::output::Output;
use super::timers::Timers;
use super::transport::Transport;
use crate::endpoint::Form;
use crate::message::{CloseReason, Incoming, Text};
use crate::session::Session;
use crate::session::outbox::{Frame, Outgoing, Queued};
use crate::wire::{Decoder, Gate, Role, Violation};

/// Gathered replies of this size are written before more messages are looked at.
const FLUSH_AT: u64 = 64 * 1024;

/// Messages and control frames in one turn, before other connections have theirs.
const TURN: u32 = 256;

/// How long the peer has to close TCP after both have sent close frames, before we do. A client waits as long before it closes its
/// own end (RFC 6455 7.1.1).
const LINGER: Duration = Duration::from_secs(2);

/// Where the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Messages come and go.
    Open,
    /// Our close frame is under way; the peer's is awaited.
    Closing,
    /// Both close frames are exchanged, or the peer broke the rules: what is queued goes out, then our end of the stream.
    Finishing,
    /// Our end of the stream is closed, unless we are the client; what the peer still sends is read and thrown away, so that no
    /// reset destroys what we sent.
    Lingering,
    /// Nothing more can come or go.
    Gone,
}

/// What the driver hears of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// A message was delivered, and there is more to do about it than to reply.
    Delivered,
    /// A reply could not be sent: the session is closing.
    Undelivered,
    /// There will be no more messages.
    Ended,
}

/// What is to be done about a message that was delivered.
pub(super) enum Answer {
    /// Nothing more.
    Nothing,
    /// A reply is to be sent.
    Reply(Frame),
    /// Whatever the driver says: no more is delivered before it has been asked.
    Wait,
}

/// Where messages are delivered.
pub(super) type Deliver<'d> = dyn FnMut(Incoming<'_>) -> Answer + 'd;

#[derive(Debug)]
pub(super) struct Link {
    session: Session,
    transport: Transport,
    input: Input,
    output: Output,
    sharing: Sharing,
    decoder: Decoder,
    role: Role,
    timers: Timers,
    phase: Phase,
    /// When the phase began.
    since: Instant,
    /// Why the session ends; set when it is no longer open.
    reason: Option<Box<CloseReason>>,
    /// What the peer did wrong, until the driver takes it.
    violation: Option<Box<Violation>>,
    /// When the peer was last heard of; when anything last went either way; when the socket last took anything.
    heard: Instant,
    active: Instant,
    wrote: Instant,
    /// When a ping went out that nothing has answered.
    pinged: Option<Instant>,
    /// The newest ping that could not be answered, because the socket takes nothing.
    owed_pong: Option<Box<[u8]>>,
    /// Pings and pongs to be looked at that came while a handler was busy, or the socket took nothing.
    late: Late,
    /// In which form messages are delivered, and whether pings are; and whether that is to be looked up again when the message that
    /// has begun has ended.
    text: Form,
    binary: Form,
    pings: bool,
    retuned: bool,
    /// How often messages may come, if that is limited. Boxed: it rarely is.
    rates: Option<Box<Rates>>,
    /// Whether messages take the longer way, on which the last two are looked at.
    detour: bool,
    /// The message that is delivered part by part.
    parts: Parts,
    /// Nothing that is queued goes out yet: the client has not been told which session it has.
    quiet: bool,
    /// Whether the peer has sent a message that waits. What it has sent since stands behind that, unread.
    held: bool,
    /// How long the running handler may go on when the session has ended, and until when, once it has.
    grace: Option<Duration>,
    grace_ends: Option<Instant>,
    /// The deadline that the timers know of, and whether something may come due before it. What was heard and sent only puts it off.
    armed: Option<Instant>,
    hurried: bool,
    /// Messages and control frames in this turn, and its time, once it is known.
    frames: u32,
    clock: Option<Instant>,
}

impl Link {
    pub(super) fn new(
        session: Session,
        transport: Transport,
        read_ahead: &[u8],
        timers: Timers,
        role: Role,
    ) -> Self {
        let (now, forms, deflate) = (Instant::now(), session.forms(), session.deflate());
        let rates = Rates::new(session.limits(), now);
        let session_speaks = session.speaks();
        Link {
            transport,
            input: Input::new(read_ahead),
            output: Output::new(role)
                .noting(session.continuity().map(|continuity| Arc::clone(continuity.journal())))
                .compressing(deflate.map(|deflate| deflate.ours), session.limits().compression_threshold),
            sharing: Sharing::No,
            decoder: Decoder::new(role, forms.text_delivery(), forms.binary_delivery())
                .inflating(deflate.map(|deflate| deflate.theirs)),
            role,
            session,
            timers,
            phase: Phase::Open,
            since: now,
            reason: None,
            violation: None,
            heard: now,
            active: now,
            wrote: now,
            pinged: None,
            owed_pong: None,
            late: Late::default(),
            text: forms.text,
            binary: forms.binary,
            pings: forms.pings,
            retuned: false,
            detour: rates.is_some() || session_speaks,
            quiet: session_speaks,
            rates,
            parts: Parts::default(),
            held: false,
            grace: None,
            grace_ends: None,
            armed: None,
            hurried: true,
            frames: 0,
            clock: None,
        }
    }

    // ---- what the driver asks for

    /// Goes on until the driver has something to do or the session ends: messages are delivered, and replied to, one after the other.
    #[inline]
    pub(super) fn poll_message(&mut self, cx: &mut Context<'_>, deliver: &mut Deliver<'_>) -> Poll<Progress> {
        self.no_handler_runs();
        self.poll(cx, Gate::Open, deliver)
    }

    /// Goes on beside a handler, which has not finished. Ready when the handler must not go on, because the session has ended
    /// and its grace is over.
    pub(super) fn poll_beside(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = self.poll(cx, Gate::ControlOnly, &mut |_| Answer::Nothing);
        if self.phase == Phase::Open {
            return Poll::Pending;
        }
        if self.session.is_aborted() {
            return Poll::Ready(());
        }
        if let Some(grace) = self.grace {
            let now = Instant::now();
            let end = *self.grace_ends.get_or_insert(now + grace);
            if now >= end {
                return Poll::Ready(());
            }
            self.arm();
        }
        Poll::Pending
    }

    /// Goes on until nothing is left to do: the closing handshake is over, and the transport closed.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.no_handler_runs();
        let _ = self.poll(cx, Gate::Open, &mut |_| Answer::Nothing);
        if self.phase == Phase::Gone { Poll::Ready(()) } else { Poll::Pending }
    }

    /// A handler begins. When the session ends meanwhile it has so much time left; `None`: as much as it takes.
    pub(super) fn handler_begins(&mut self, grace: Option<Duration>) {
        self.grace = grace;
        self.grace_ends = None;
    }

    /// Nobody's grace is to be waited for.
    fn no_handler_runs(&mut self) {
        self.grace_ends = None;
    }

    /// Puts a reply behind everything that was sent before it. `false`: the session is closing, and the reply goes nowhere.
    pub(super) fn reply(&mut self, frame: Frame) -> bool {
        self.hold();
        self.reply_now(frame)
    }

    /// The same, where the socket is held already.
    #[inline]
    fn reply_now(&mut self, frame: Frame) -> bool {
        if self.phase == Phase::Open && self.session.outbox().is_clear() && !self.output.is_blocked() {
            self.output.put_frame(frame);
            return true;
        }
        self.reply_in_line(frame)
    }

    #[inline(never)]
    fn reply_in_line(&mut self, frame: Frame) -> bool {
        if self.phase != Phase::Open {
            return false;
        }
        let outbox = self.session.outbox();
        // What the handler sent before it returned goes first, and so does a message that is open.
        if outbox.closed().is_some() {
            return false;
        }
        outbox.push_always(Outgoing { frame, done: None }, self.session.limits().send_buffer);
        true
    }

    /// Puts what the client is told about its session before whatever is queued, which goes out from now on.
    #[cfg(feature = "json")]
    pub(super) fn greet(&mut self, frames: impl IntoIterator<Item = Frame>) {
        self.hold();
        if self.phase == Phase::Open {
            frames.into_iter().for_each(|frame| self.output.put_frame(frame));
        }
        self.quiet = false;
    }

    /// Why the session ended, once it has.
    pub(super) fn reason(&self) -> Option<&CloseReason> {
        self.reason.as_deref()
    }

    /// What the peer did wrong, once.
    pub(super) fn take_violation(&mut self) -> Option<Violation> {
        self.violation.take().map(|violation| *violation)
    }

    // ---- the turn

    fn poll(&mut self, cx: &mut Context<'_>, gate: Gate, deliver: &mut Deliver<'_>) -> Poll<Progress> {
        self.hold();
        loop {
            if self.session.is_signalled() {
                self.heed_signals();
            }
            let turn = if matches!(self.phase, Phase::Open | Phase::Closing) {
                self.turn(cx, gate, deliver)
            } else {
                self.turn_at_the_end(cx)
            };
            match turn {
                Turn::Delivered => return Poll::Ready(Progress::Delivered),
                Turn::Undelivered => return Poll::Ready(Progress::Undelivered),
                Turn::Again => continue,
                Turn::Yield => cx.waker().wake_by_ref(),
                Turn::Wait => {}
            }
            self.rest(cx);
            // What came in while the waker was not yet registered would wake nobody.
            if matches!(turn, Turn::Wait) && (self.has_news() || self.is_called()) {
                self.hold();
                continue;
            }
            return match self.phase {
                Phase::Open | Phase::Closing => Poll::Pending,
                // No message can come any more, and who waits for one need not wait for the rest.
                Phase::Finishing | Phase::Lingering | Phase::Gone => Poll::Ready(Progress::Ended),
            };
        }
    }

    /// Whether there is something to look at that is neither in the socket nor in the outbox.
    fn is_called(&self) -> bool {
        let signalled = self.session.is_signalled() && self.phase != Phase::Gone;
        signalled || (self.held && self.parts.reader_waits())
    }

    #[cold]
    fn turn_at_the_end(&mut self, cx: &mut Context<'_>) -> Turn {
        match self.phase {
            Phase::Finishing => self.finish(cx),
            Phase::Lingering => self.linger(cx),
            Phase::Open | Phase::Closing | Phase::Gone => Turn::Wait,
        }
    }

    /// What was told from elsewhere: a timer has come due, limits or handlers were changed, or all is over.
    #[cold]
    fn heed_signals(&mut self) {
        let signals = self.session.take_signals();
        if signals.timer {
            self.armed = self.rates.as_mut().and_then(|rates| rates.rung(Instant::now()));
            self.hurried = true;
            self.look_at_the_clock();
        }
        if signals.retuned {
            (self.retuned, self.detour, self.hurried) = (true, true, true);
        }
        if signals.aborted {
            self.lose(Text::from_static(match self.role {
                Role::Server => "the server has stopped",
                Role::Client => "the client has stopped",
            }));
        }
    }

    #[inline(always)]
    fn turn(&mut self, cx: &mut Context<'_>, gate: Gate, deliver: &mut Deliver<'_>) -> Turn {
        let mut gate = gate;
        if !self.session.outbox().is_clear() {
            if self.has_news() {
                self.pump();
            }
            if self.session.outbox().is_congested() {
                gate = Gate::ControlOnly;
            }
        }
        // While the socket takes nothing, or a message of fragments does not end, messages wait: their replies would pile up. What comes
        // beside them is heard.
        let blocked = self.output.is_blocked();
        if blocked {
            gate = Gate::ControlOnly;
        }
        loop {
            let mut decoded = Decoded::Later;
            if blocked || (self.output.len() < FLUSH_AT && self.frames < TURN) {
                decoded = self.decode(gate, deliver);
                self.held = matches!(decoded, Decoded::Held);
                match decoded {
                    Decoded::Message | Decoded::Undelivered => {
                        self.frames += 1;
                        return if matches!(decoded, Decoded::Message) {
                            Turn::Delivered
                        } else {
                            Turn::Undelivered
                        };
                    }
                    Decoded::Done => {
                        self.frames += 1;
                        if self.has_changed() {
                            return Turn::Again;
                        }
                        continue;
                    }
                    _ => {}
                }
            }
            if blocked || !self.output.is_empty() {
                match self.write(cx) {
                    Poll::Ready(true) if !blocked => {}
                    Poll::Ready(_) => return Turn::Again,
                    Poll::Pending if !blocked => return Turn::Again,
                    Poll::Pending if matches!(decoded, Decoded::Nothing) => {}
                    Poll::Pending => return Turn::Wait,
                }
            }
            match decoded {
                Decoded::Later if self.frames >= TURN => return Turn::Yield,
                Decoded::Later => return Turn::Again,
                Decoded::Held => return Turn::Wait,
                _ => {}
            }
            match self.read(cx) {
                // Whatever else there is may wait until what was read has been looked at.
                Turn::Again if self.phase == Phase::Open => {}
                turn => return turn,
            }
        }
    }

    /// Whether there is more to look at than what the peer sent.
    #[inline]
    fn has_changed(&self) -> bool {
        self.phase != Phase::Open || !self.session.outbox().is_clear() || self.session.is_signalled()
    }

    /// Whether there is something in the outbox that can be taken now. While the socket takes nothing it stays there, where
    /// senders see it, unless the session closes.
    fn has_news(&self) -> bool {
        let outbox = self.session.outbox();
        self.phase == Phase::Open
            && outbox.has_news()
            && (!(self.output.is_blocked() || self.quiet) || outbox.closed().is_some())
    }

    /// Before the session ends otherwise than behind all that is queued: that is noted, where it may be sent again.
    fn salvage(&mut self) {
        if self.phase == Phase::Open && self.output.journal().is_some() {
            let _ = self.take_out(usize::MAX);
        }
    }

    fn pump(&mut self) {
        let budget = if self.output.is_blocked() { usize::MAX } else { FLUSH_AT as usize };
        if let Some(reason) = self.take_out(budget) {
            self.begin_closing(&reason);
        }
    }

    /// Takes up to `budget` bytes out of the outbox. When nothing is left and the session is closing, the reason comes back.
    fn take_out(&mut self, budget: usize) -> Option<CloseReason> {
        let (outbox, output, sharing) = (self.session.outbox(), &mut self.output, &mut self.sharing);
        let mut put = |queued| {
            if *sharing == Sharing::No && matches!(queued, Queued::Run(_)) {
                *sharing = Sharing::Wanted;
            }
            output.put(queued);
        };
        if self.session.deflate().is_none() {
            return outbox.take(budget, put);
        }
        // Whoever sends must not wait for the compressor.
        let mut taken = Vec::new();
        let closed = outbox.take(budget, |queued| taken.push(queued));
        taken.into_iter().for_each(&mut put);
        closed
    }

    /// `true`: all is written. `false`: the connection is lost.
    fn write(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.output.is_empty() {
            return Poll::Ready(true);
        }
        let (was_blocked, before) = (self.output.is_blocked(), self.output.len());
        let result = self.output.poll_write(&mut self.transport, cx);
        if !was_blocked || self.output.len() < before {
            self.wrote = self.now();
            self.active = self.wrote;
        }
        match result {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => {
                self.lose_by(&error);
                Poll::Ready(false)
            }
            Poll::Ready(Ok(())) => {
                if let Some(payload) = self.owed_pong.take() {
                    self.output.put_pong(&payload);
                    return self.write(cx);
                }
                Poll::Ready(true)
            }
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Turn {
        match self.input.poll_fill(&mut self.transport, cx) {
            Poll::Pending => Turn::Wait,
            Poll::Ready(Ok(0)) => {
                // Who has closed TLS is told that it is closed here too (RFC 8446 6.1), if there is room for that.
                if self.transport.may_keep() {
                    let _ = Pin::new(&mut self.transport).poll_shutdown(cx);
                }
                self.lose(Text::from_static("the connection was lost without a closing handshake"));
                Turn::Again
            }
            Poll::Ready(Ok(_)) => {
                self.heard = self.now();
                self.active = self.heard;
                // The next ping may be due before the answer to the last one was.
                self.hurried |= self.pinged.take().is_some();
                Turn::Again
            }
            Poll::Ready(Err(error)) => {
                self.lose_by(&error);
                Turn::Again
            }
        }
    }

    /// The time of this turn: it is looked up once.
    fn now(&mut self) -> Instant {
        *self.clock.get_or_insert_with(Instant::now)
    }

    fn rest(&mut self, cx: &Context<'_>) {
        self.session.outbox().register(cx);
        self.parts.register(cx);
        self.input.rest();
        self.output.rest();
        self.frames = 0;
        self.clock = None;
        if self.hurried || !self.output.is_empty() {
            self.arm();
            self.hurried = false;
        }
        self.share();
    }
}

/// How a turn ends.
#[derive(Clone, Copy)]
enum Turn {
    Delivered,
    Undelivered,
    Again,
    /// There is more to do, but others are waiting.
    Yield,
    /// Until the socket, the outbox or a timer has something.
    Wait,
}
